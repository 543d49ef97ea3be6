"""The known interaction types as documented, typed structs, and where their fields go.

In: an interaction type and flat keyword fields. Out: the record's top-level fields, validated.
`Rejected` is all that can be raised, and its message never holds a value. What builds records is
loaded by the first who asks for it: who only wants to know the types need not wait for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lakeward.catalog.record import Record
from lakeward.catalog.registry import TYPES
from lakeward.catalog.spec import (
    FIELD_SET,
    PERSONAL_DATA,
    Feature,
    PersonalData,
    Slot,
    TypeSpec,
)

if TYPE_CHECKING:
    from lakeward.catalog.finished import Call, Conversation, call, conversation, is_messages
    from lakeward.catalog.placement import arrange

__all__ = [
    "FIELD_SET",
    "PERSONAL_DATA",
    "TYPES",
    "Call",
    "Conversation",
    "Feature",
    "PersonalData",
    "Record",
    "Slot",
    "TypeSpec",
    "arrange",
    "call",
    "conversation",
    "is_messages",
]

_WHERE = {
    "Call": "finished",
    "Conversation": "finished",
    "arrange": "placement",
    "call": "finished",
    "conversation": "finished",
    "is_messages": "finished",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
