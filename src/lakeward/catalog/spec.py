"""What a known interaction type is made of: its `TypeSpec` and the words its fields are typed with.

A type is a frozen `msgspec.Struct`. A field of it that carries the name of a field of the record
(`partner_id`, `messages`) tightens that field; every other field is the type's own and lives under
the type's slot. Each field says with `doc()` what it means, its unit and its personal-data class.
`UNSET` is "not given"; null is never stored in a type's own field.

A limit that is not part of a field's meaning is there so that one bad caller cannot harm a store:
ids fit a DynamoDB key (512 characters are at most 2,048 bytes), numbers fit a double exactly, and
no number is infinite.
"""

from __future__ import annotations

from datetime import date, datetime
from inspect import cleandoc
from typing import Annotated, Literal, TypeAlias, TypeVar, get_args

import msgspec
from msgspec import Meta, UnsetType

from lakeward.interaction import FIELDS, JsonObject

FIELD_SET: frozenset[str] = frozenset(FIELDS)

Slot: TypeAlias = Literal[
    "outcomes", "feedback", "analysis", "experiments", "ai_metadata", "properties"
]
"""The record's object fields that a type may own."""

Feature: TypeAlias = Literal[
    "api_calls",
    "bodies",
    "outcomes",
    "ai_content",
    "browser_events",
    "messages",
    "jobs",
    "anomalies",
    "identity",
    "spans",
]
"""What gradual rollout can switch; each type belongs to one (`bodies` is a part of `api_calls`)."""

PersonalData: TypeAlias = Literal["none", "pseudonymous", "personal", "sensitive", "content"]
"""none: about no one. pseudonymous: an id of a person. personal: a person's data.
sensitive: could harm if known (none of the known fields is meant to hold such data).
content: free text or a foreign object, which may hold any of these."""

PERSONAL_DATA: tuple[PersonalData, ...] = get_args(PersonalData)

T = TypeVar("T")
Opt: TypeAlias = T | UnsetType
"""May be left out; null counts as left out."""
Nullable: TypeAlias = T | UnsetType | None
"""May be left out; null is kept, as in the seed's fields."""

Id: TypeAlias = Annotated[str, Meta(max_length=512)]
Name: TypeAlias = Annotated[str, Meta(max_length=200)]
Text: TypeAlias = Annotated[str, Meta(max_length=32_768)]
Names: TypeAlias = Annotated[list[Name], Meta(max_length=100)]
Ids: TypeAlias = Annotated[list[Id], Meta(max_length=100)]
Texts: TypeAlias = Annotated[list[Text], Meta(max_length=100)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Millis: TypeAlias = Annotated[float, Meta(ge=0, le=1e15)]
Seconds: TypeAlias = Annotated[float, Meta(ge=0, le=1e12)]
Amount: TypeAlias = Annotated[float, Meta(ge=0, le=1e15)]
Number: TypeAlias = Annotated[float, Meta(ge=-1e15, le=1e15)]
Score100: TypeAlias = Annotated[float, Meta(ge=0, le=100)]
Rating10: TypeAlias = Annotated[float, Meta(ge=1, le=10)]
Ratings: TypeAlias = Annotated[dict[Name, Rating10], Meta(max_length=50)]
Nps: TypeAlias = Annotated[int, Meta(ge=0, le=10)]
Moment: TypeAlias = datetime
Stamp: TypeAlias = Annotated[datetime, Meta(extra_json_schema={"format": "date-time"})]
"""A moment as Lakeward writes it; `Moment` may come without a zone."""
Day: TypeAlias = date
Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
# In Python `$` alone lets a newline follow: hence a length beside it, or a look-ahead.
Currency: TypeAlias = Annotated[str, Meta(pattern="^[A-Z]{3}$", max_length=3)]
TimeOfDay: TypeAlias = Annotated[
    str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$(?!\n)")
]
Sha256: TypeAlias = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", max_length=64)]
InteractionId: TypeAlias = Annotated[
    str,
    Meta(
        max_length=512,
        extra_json_schema={
            "format": "uuid",
            "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[78][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
        },
    ),
]
"""Stored as a UUID of ours; given, it may be foreign, for the door adopts it."""


def doc(meaning: str, unit: str = "", personal: PersonalData = "none") -> Meta:
    """The documentation of one field, as the exported schema and the data dictionary show it."""
    notes: dict[str, str] = {"x-personal-data": personal}
    if unit:
        notes["x-unit"] = unit
    return Meta(description=meaning, extra_json_schema=notes)


class TypeSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One known interaction type, as the registry holds it."""

    name: str
    struct: type[msgspec.Struct]
    slot: Slot | None
    """The record's object field that holds the own fields; None when there are none."""
    own: frozenset[str]
    """Names that live in the slot."""
    lifted: frozenset[str]
    """Fields of the record that the type tightens; found in a slot given whole, they move up."""
    required: frozenset[str]
    """Own and lifted names without which the type is refused."""
    forbidden: frozenset[str]
    """Names the type refuses to carry anywhere."""
    outcome: bool
    """Obeys ENABLE_OUTCOME_TRACKING."""
    feature: Feature
    doc: str
    example: JsonObject
    """Keyword fields that `arrange` accepts."""


def spec(
    name: str,
    struct: type[msgspec.Struct],
    slot: Slot | None,
    feature: Feature,
    *,
    example: JsonObject,
    outcome: bool = False,
    forbidden: frozenset[str] = frozenset(),
) -> TypeSpec:
    """The spec of `struct`; what lives where follows from the names of its fields."""
    names = frozenset(struct.__struct_fields__)
    return TypeSpec(
        name=name,
        struct=struct,
        slot=slot,
        own=names - FIELD_SET,
        lifted=names & FIELD_SET,
        required=frozenset(_required(struct)),
        forbidden=forbidden,
        outcome=outcome,
        feature=feature,
        doc=cleandoc(struct.__doc__ or ""),
        example=example,
    )


def _required(struct: type[msgspec.Struct]) -> list[str]:
    names, defaults = struct.__struct_fields__, struct.__struct_defaults__
    # The defaults belong to the last names; a keyword-only field without one has NODEFAULT.
    first = len(names) - len(defaults)
    return [
        name
        for place, name in enumerate(names)
        if place < first or defaults[place - first] is msgspec.NODEFAULT
    ]
