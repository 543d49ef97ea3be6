"""AI conversations: every turn with a model is one record, captured by the app's own code.

In: a collector, and what the app asks and hears. Out: `ai_conversation` for each turn, however it
ends, and `ai_rating`. Nothing is raised into the app; no SDK is imported. The names are loaded by
the first who asks for them: a keeper, which looks after the drafts of turns, has no need of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lakeward.ai.conversation import AI, About, Rater
    from lakeward.ai.turn import Turn

__all__ = ["AI", "About", "Rater", "Turn"]

_WHERE = {"AI": "conversation", "About": "conversation", "Rater": "conversation", "Turn": "turn"}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
