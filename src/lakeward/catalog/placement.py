"""Where each field of an interaction goes: the record's top level, the type's slot, `properties`.

In: a type and flat keyword fields. Out: the fields of `Interaction` that they make, validated.

    partner_match  user_id, partner_id         a field of the record   stays on top
                   score, reasons              the type's own          moves under `outcomes`
                   outcomes={"score": 87}      the slot given whole    merged; a keyword wins
                   campaign                    neither                 moves under `properties`

A custom type has no own fields: what is not the record's goes under `properties`. Null in a field
that has no null (an own field, `partner_id`) means absent and is left out.

What is converted, because nothing is lost: an int or UUID in a field named `…_id` becomes text, a
Decimal that a float can hold becomes a number, an enum member its value, a date or time ISO 8601,
a subclass of str, int or float its plain value. Everything else must have its type: "87" is not a
number. This reaches two containers deep; deeper values, and objects that JSON does not know, pass
untouched, for the scrubber visits every value anyway. So does an `api_call` whose fields are all
the record's and already right: it is the common case, checked in one go and returned as it is.

Only `Rejected` is raised. Its message names a field and a rule from code, never a value, nor a
field name that the caller made up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType, ValidationError, inspect

from lakeward.catalog.record import NULLABLE, Record
from lakeward.catalog.registry import TYPES
from lakeward.catalog.spec import FIELD_SET, Slot, TypeSpec
from lakeward.errors import Rejected
from lakeward.interaction import JsonObject

TYPE_NAME = re.compile("[a-z][a-z0-9_.:-]{0,63}")
DEPTH = 2
"""Containers whose values are converted, counted from the flat field."""

CAPTURED = frozenset({"request_body", "messages", "headers", "query_params"})
"""Large, and JSON as they come: looking inside would be paid for on every call."""

_PLAIN = frozenset({str, int, float, bool, type(None)})
_PLAIN_OR_MORE = _PLAIN | {dict, list}
_convert = msgspec.convert


class _Call(Record, kw_only=True, gc=False, forbid_unknown_fields=True):
    """As `finished.Call`, for looking only."""

    method: str | None
    path: str
    interaction_type: UnsetType = UNSET  # whatever is given, look again


class _Top(Record, kw_only=True, gc=False, forbid_unknown_fields=True):
    """The record's fields of any type, for looking only."""

    interaction_type: UnsetType = UNSET  # whatever is given, look again


def _compile() -> None:
    """Let msgspec build what it knows of each type now, under the import lock: done on first use
    by several threads at once it can crash the process (msgspec 0.22), and a signal handler that
    records may come in the middle of it."""
    for struct in (_Call, _Top, Record, *(spec.struct for spec in TYPES.values())):
        msgspec.json.Decoder(struct)


_compile()


def arrange(interaction_type: str, fields: JsonObject) -> JsonObject:
    """The record's top-level fields of one interaction, validated; `fields` is left as it is.

    The result may be `fields` itself, or share values with it. Raises `Rejected`.
    """
    if interaction_type == "api_call":
        try:
            _convert(fields, _Call)
        except Exception:  # noqa: S110 - the long way finds out what it is, and says it
            pass
        else:
            return fields
    try:
        return _arrange(interaction_type, fields)
    except Rejected:
        raise
    except Exception:  # noqa: S110
        # Text that is not Unicode, an object that fails when read. Ours is raised outside the
        # handler, so that the error that holds the value does not travel along as its context.
        pass
    raise Rejected("a field refused: its value cannot be read as JSON.")


def _arrange(interaction_type: str, fields: JsonObject) -> JsonObject:
    spec = _spec(interaction_type)
    plain = _arrange_plain(spec, fields)
    if plain is not None:
        return plain
    top: JsonObject = {}
    own: JsonObject = {}
    loose: JsonObject = {}
    for name, value in _given(spec, fields):
        if name in FIELD_SET:
            top[name] = value
        elif spec is not None and name in spec.own:
            own[name] = value
        else:
            loose[name] = value
    if "interaction_type" in top:
        raise _refusal(spec, "`interaction_type` is the type itself and cannot be a field.")
    if spec is not None and spec.slot is not None:
        _fill_slot(spec, spec.slot, top, own)
    if loose:
        top["properties"] = _whole(spec, top, "properties") | loose
    _validate(spec, top)
    return top


def _arrange_plain(spec: TypeSpec | None, fields: JsonObject) -> JsonObject | None:
    """What `_arrange` makes of fields that are right as they are, as those that came as JSON
    mostly are: in two looks, without a loop. None for all others."""
    if not _PLAIN.issuperset(map(type, fields.values())) and not _settled(fields):
        return None
    try:
        if spec is None:
            _convert(fields, _Top)
            return fields
        slot, whole = spec.slot, fields.get(spec.slot) if spec.slot else None
        if spec.forbidden or (whole and not FIELD_SET.isdisjoint(whole)):
            return None  # a record's field inside the slot may move up, be converted or go
        top, names = fields, [name for name in fields if name in spec.own]
        own: JsonObject = {}
        if names:
            top = fields.copy()
            own = {name: top.pop(name) for name in names}
        _convert(top, _Top)
        merged = {**whole, **own} if whole else own
        if merged or spec.required or spec.lifted:
            _convert({**top, **merged} if spec.lifted else merged, spec.struct)
    except Exception:
        return None
    if own and slot is not None:
        top[slot] = merged
    return top


def _settled(fields: JsonObject) -> bool:
    """Whether `_native` would leave everything in `fields` as it is."""
    for name, value in fields.items():
        kind = type(value)
        if kind in _PLAIN or name in CAPTURED:
            continue
        if kind is not dict and kind is not list:
            return False
        for item in value.values() if kind is dict else value:
            inner = type(item)
            if inner in _PLAIN:
                continue
            if inner is not dict and inner is not list:
                return False
            if not _PLAIN_OR_MORE.issuperset(map(type, item.values() if inner is dict else item)):
                return False
    return True


def _spec(interaction_type: object) -> TypeSpec | None:
    """The spec of a known type, None for a custom one."""
    if not isinstance(interaction_type, str) or not TYPE_NAME.fullmatch(interaction_type):
        raise Rejected(
            f"`interaction_type` must be text that matches {TYPE_NAME.pattern}, "
            "such as `signed_up`."
        )
    return TYPES.get(interaction_type)


def _given(spec: TypeSpec | None, fields: JsonObject) -> Iterator[tuple[str, Any]]:
    """The fields that hold something, their values converted where nothing is lost."""
    for name, value in fields.items():
        own = spec is not None and name in spec.own
        if value is None:
            if own or (name in FIELD_SET and name not in NULLABLE):
                continue
        elif value is UNSET:
            continue
        kind = type(value)
        if kind is int and (own or name in FIELD_SET) and name.endswith("_id"):
            yield name, str(value)
        elif kind in _PLAIN or name in CAPTURED:
            yield name, value
        else:
            yield name, _native(value, DEPTH)


def _native(value: Any, depth: int) -> Any:
    """`value` as JSON has it, when that is possible without loss; otherwise `value`."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, dict):
        return {k: _native(v, depth - 1) for k, v in value.items()} if depth else value
    if isinstance(value, list | tuple):
        return [_native(v, depth - 1) for v in value] if depth else value
    if isinstance(value, Enum):
        return _native(value.value, depth)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return _number(value)
    # The base's own method: that of a subclass may do anything.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    return value


def _number(value: Decimal) -> float | str:
    """A float when it is the same number, else text: no amount is rounded in silence."""
    number = float(value) if value.is_finite() else float("nan")
    return number if Decimal(repr(number)) == value else str(value)


def _whole(spec: TypeSpec | None, top: JsonObject, slot: Slot) -> JsonObject:
    """The object that the caller gave for a slot, empty when there is none."""
    given = top.get(slot, {})
    if not isinstance(given, dict):
        raise _refusal(spec, f"`{slot}` must be an object.")
    return given


def _fill_slot(spec: TypeSpec, slot: Slot, top: JsonObject, own: JsonObject) -> None:
    """Merge the slot given whole with the own fields; a field the type tightens moves up."""
    merged: JsonObject = {}
    for name, value in _given(spec, _whole(spec, top, slot)):
        if name in spec.lifted and name not in top:
            top[name] = value
        else:
            merged[name] = value
    merged |= own
    if merged or slot in top:
        top[slot] = merged


def _validate(spec: TypeSpec | None, top: JsonObject) -> None:
    """Hold the record's fields, then the type's, against their structs."""
    _check(spec, Record, top)
    if spec is None:
        return
    slot = top.get(spec.slot, {}) if spec.slot else {}
    for name in spec.forbidden:
        if name in slot or name in top.get("properties", {}):
            raise _refusal(spec, f"`{name}` is not collected by this type.")
    mine = {name: slot[name] for name in spec.own & slot.keys()}
    mine |= {name: top[name] for name in spec.lifted & top.keys()}
    _check(spec, spec.struct, mine)


def _check(spec: TypeSpec | None, struct: type[msgspec.Struct], fields: JsonObject) -> None:
    try:
        _convert(fields, struct)
    except ValidationError as error:
        sentence = _sentence(struct, str(error))
    else:
        return
    raise _refusal(spec, sentence)


def _refusal(spec: TypeSpec | None, sentence: str) -> Rejected:
    return Rejected(f"{spec.name if spec else 'custom interaction'} refused: {sentence}")


def _sentence(struct: type[msgspec.Struct], message: str) -> str:
    """msgspec's message in our words, with nothing in it that the caller sent."""
    # Greedy up to the last path: before it an enum's message holds the value, and may fake one.
    parts = re.fullmatch(r"(.*) - at `(key` in `)?\$\.?(.*)`", message, re.DOTALL)
    rule, key, path = parts.groups("") if parts else (message, "", "")
    if rule.startswith("Rule: "):
        return rule.removeprefix("Rule: ") + "."
    if missing := re.fullmatch("Object missing required field `(.*)`", rule):
        return f"`{f'{path}.' if path else ''}{missing[1]}` is missing."
    field = f"a key of `{path}`" if key else f"`{path}`"
    if rule.startswith("Object contains unknown field"):
        return f"{field} has a key that is not known there."
    if rule.startswith("Expected "):
        return f"{field} must be {rule.removeprefix('Expected ').replace(', got', ', not')}."
    if choices := _choices(struct, path):
        return f"{field} must be one of {', '.join(choices)}."
    return f"{field} must be {'a date or time in ISO 8601' if 'RFC3339' in rule else 'in range'}."


def _choices(struct: type[msgspec.Struct], path: str) -> list[str]:
    """The values that the field at msgspec's path can take, when they are listed."""
    kind: inspect.Type | None = inspect.type_info(struct)
    for step in re.findall(r"\[[^]]*\]|\w+", path):
        kind = _bare(kind)
        if isinstance(kind, inspect.StructType):
            kind = next((f.type for f in kind.fields if f.name == step), None)
        elif isinstance(kind, inspect.ListType):
            kind = kind.item_type
        elif isinstance(kind, inspect.DictType):
            kind = kind.value_type
    kind = _bare(kind)
    return [str(value) for value in kind.values] if isinstance(kind, inspect.LiteralType) else []


def _bare(kind: inspect.Type | None) -> inspect.Type | None:
    """`kind` without its documentation and without absence."""
    while isinstance(kind, inspect.Metadata | inspect.UnionType):
        if isinstance(kind, inspect.Metadata):
            kind = kind.type
        else:
            # Absence is no part of `inspect`'s unions: what remains beside null is the field.
            kind = next((t for t in kind.types if not isinstance(t, inspect.NoneType)), None)
    return kind
