"""What questions about AI turns have in common: the dimensions of a turn.

Out: a registry over the view `ai_turns` as `t`, that view with no more than a question asks of it,
and what is told of a share. Pure.
"""

from __future__ import annotations

import re
from typing import Final

from lakeward.analysis.question import Column
from lakeward.analysis.scope import Dimension, days
from lakeward.lake.conversations import ALL, ratings, turns

Z95: Final = 1.959963984540054
"""The normal quantile of a 95 % interval."""

TURN: Final[dict[str, Dimension]] = {
    **days("t.started_at"),
    "model": Dimension("t.model", "Model that answered, else the one asked for."),
    "provider": Dimension("t.provider", "Who runs the model."),
    "feature": Dimension("t.feature", "What the app uses it for."),
    "user": Dimension("nullif(t.user_id, 'anonymous')", "Who asked, where it is known."),
    "session": Dimension("t.session_id", "Session in which it was asked."),
    "conversation": Dimension("t.conversation_id", "Conversation of the turn."),
    "service": Dimension("t.service", "App that told of it."),
    "partner": Dimension("t.partner_id", "Partner that it concerns."),
    "prompt": Dimension("t.prompt_name", "The app's name of the prompt."),
    "prompt_version": Dimension("t.prompt_version", "Version of that prompt."),
    "operation": Dimension("t.operation", "Kind of request, such as chat."),
    "status": Dimension("t.status", "How the turn ended."),
    "finish_reason": Dimension("t.finish_reason", "Why the model stopped."),
    "error_type": Dimension("t.error_type", "Class of the error."),
    "captured_by": Dimension("t.captured_by", "Which way it was captured."),
}
"""How turns can be broken down and filtered."""


_USED: Final = re.compile(r"\bt\.(\w+)")
RATED: Final = f"({ratings(numbered=False)})"
"""`ai_ratings_current` without the turns' numbers, which cost more than all else."""


def is_of_turns(text: str) -> bool:
    """Whether it names a column of `t`."""
    return _USED.search(text) is not None


def of_turns(text: str, rows: str = ALL, rated: str = RATED) -> str:
    """The text with the columns of `ai_turns t` that it names in the place of that view: a question
    about a few reads and parses less. Only turns of `rows`, and ratings of `rated`."""
    whole = "ai_turns t"
    assert whole in text
    return text.replace(whole, f"({turns(_USED.findall(text), rows, rated)}) t")


def wilson(hits: str, of: str) -> tuple[str, str]:
    """The Wilson score interval of a share in SQL, low and high, with the parameter `$z`."""
    share = f"({hits} * 1.0 / nullif({of}, 0))"
    middle = f"({share} + $z * $z / (2.0 * {of}))"
    half = f"($z * sqrt({share} * (1.0 - {share}) / {of} + $z * $z / (4.0 * {of} * {of})))"
    whole = f"(1.0 + $z * $z / {of})"
    return (
        f"greatest(0.0, ({middle} - {half}) / {whole})",
        f"least(1.0, ({middle} + {half}) / {whole})",
    )


def share_columns(name: str, doc: str) -> tuple[Column, Column, Column]:
    """A share and the ends of its interval."""
    return (
        Column(f"{name}_rate", "number", doc, "0 to 1"),
        Column(f"{name}_low", "number", "Low end of its Wilson 95 % interval.", "0 to 1"),
        Column(f"{name}_high", "number", "High end of its Wilson 95 % interval.", "0 to 1"),
    )
