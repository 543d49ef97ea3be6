"""The known interaction types as documented, typed structs, and where their fields go.

In: an interaction type and flat keyword fields. Out: the record's top-level fields, validated.
`Rejected` is all that can be raised, and its message never holds a value.
"""

from lakeward.catalog.finished import Call, Conversation, call, conversation, is_messages
from lakeward.catalog.placement import arrange
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
