"""Whether a schema may take the place of an earlier one of the same version.

In: two JSON Schemas of a record, as `dictionary.json_schema` makes them. Out: one sentence for each
incompatible change, naming its place; none where all that was written, and all that reads, stays
good. Pure; nothing fails: a keyword that it cannot judge counts as a change.

    compatible      a new optional field, a wider type, range or list of values, other words
    incompatible    a field that is gone or moved to another slot, a narrower type, range or list,
                    newly required or no longer always there, another unit, less care for
                    personal data
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lakeward.interaction import JsonObject

WORDS: Final = frozenset(
    {"$schema", "$id", "$defs", "$ref", "title", "description", "default", "examples"}
)
"""They say nothing of what is allowed."""
LOW: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
HIGH: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
SHAPES: Final = ("pattern", "format")
PARTS: Final = ("items", "additionalProperties", "propertyNames")
CARE: Final = ("none", "pseudonymous", "personal", "sensitive", "content")
"""From least to most: content may hold any of the others."""
JUDGED: Final = frozenset(
    {*LOW, *HIGH, *SHAPES, *PARTS, "type", "enum", "const", "anyOf", "not", "required"}
    | {"properties", "x-personal-data", "x-unit", "x-server-owned"}
)


def incompatible(before: JsonObject, after: JsonObject) -> list[str]:
    """What forbids `after` in the place of `before`."""
    return list(_Comparison(before, after).all())


class _Comparison:
    """Two schemas and the definitions that their references mean."""

    def __init__(self, before: JsonObject, after: JsonObject) -> None:
        self._before, self._after = before, after
        self._under_way: set[tuple[str, str]] = set()

    def all(self) -> Iterator[str]:
        yield from self._schema("", self._before, self._after)

    def _schema(self, place: str, old: JsonObject, new: JsonObject) -> Iterator[str]:
        refs = (str(old.get("$ref", "")), str(new.get("$ref", "")))
        if all(refs):
            if refs in self._under_way:  # a part that has itself inside
                return
            self._under_way.add(refs)
        old, new = _resolved(self._before, old), _resolved(self._after, new)
        name = place or "the record"
        yield from _annotations(name, old, new)
        if "anyOf" in old or "anyOf" in new:
            yield from self._choices(place, old, new)
        else:
            yield from _values(name, old, new)
            yield from _limits(name, old, new)
            yield from self._parts(place, old, new)
        for word in sorted((old.keys() | new.keys()) - WORDS - JUDGED):
            if old.get(word) != new.get(word):
                yield f"{name}: `{word}` changed, which cannot be judged"
        self._under_way.discard(refs)

    def _choices(self, place: str, old: JsonObject, new: JsonObject) -> Iterator[str]:
        """Each way to be valid must still be one."""
        ways = [_bare(new)] if "anyOf" not in new else new["anyOf"]
        for choice in [_bare(old)] if "anyOf" not in old else old["anyOf"]:
            if all(list(self._schema(place, choice, way)) for way in ways):
                kind = choice.get("type", choice.get("$ref", "one"))
                yield f"{place or 'the record'}: what was allowed as {kind} is not any more"

    def _parts(self, place: str, old: JsonObject, new: JsonObject) -> Iterator[str]:
        yield from self._properties(place, old, new)
        name = place or "the record"
        inner = {"items": f"{place}[]", "additionalProperties": f"{place}.*"}
        for part in PARTS:
            was, now = old.get(part, {}), new.get(part, {})
            was, now = ({} if x is True else {"enum": []} if x is False else x for x in (was, now))
            if was or now:
                yield from self._schema(inner.get(part, f"{place} (names)"), was, now)
        for value in _forbidden(new) - _forbidden(old):
            yield f"{name}: {value!r} is forbidden now"

    def _properties(self, place: str, old: JsonObject, new: JsonObject) -> Iterator[str]:
        was, now = old.get("properties", {}), new.get("properties", {})
        dot = f"{place}." if place else ""
        for field, schema in was.items():
            if field in now:
                yield from self._schema(dot + field, schema, now[field])
            elif slots := _slots_of(self._after, field) - {place}:
                yield f"{dot}{field} moved to {' and '.join(sorted(slots))}"
            else:
                yield f"{dot}{field} is gone"
        for field in new.get("required", ()):
            if field not in old.get("required", ()):
                yield f"{dot}{field} is required now"
        for field in old.get("required", ()):
            if field in now and field not in new.get("required", ()):
                yield f"{dot}{field} is not always there any more"


def _resolved(document: JsonObject, schema: JsonObject) -> JsonObject:
    if (reference := schema.get("$ref")) is None:
        return schema
    definition: JsonObject = document["$defs"][str(reference).rpartition("/")[2]]
    return {**definition, **{k: v for k, v in schema.items() if k != "$ref"}}


def _bare(schema: JsonObject) -> JsonObject:
    """Without what is said of the field as a whole."""
    return {k: v for k, v in schema.items() if not k.startswith("x-")}


def _slots_of(schema: JsonObject, field: str) -> set[str]:
    """The record's objects that have a field of that name."""
    slots: JsonObject = schema.get("properties", {})
    found = {name for name, slot in slots.items() if field in slot.get("properties", ())}
    return found | ({"the record"} if field in slots else set())


def _annotations(name: str, old: JsonObject, new: JsonObject) -> Iterator[str]:
    was, now = (str(schema.get("x-personal-data", "none")) for schema in (old, new))
    if was != now and (now not in CARE or was not in CARE or CARE.index(now) < CARE.index(was)):
        yield f"{name}: personal data went down from {was} to {now}"
    unit, other = old.get("x-unit"), new.get("x-unit")
    if unit is not None and unit != other:
        yield f"{name}: the unit changed from {unit} to {other or 'none'}"
    if bool(old.get("x-server-owned")) != bool(new.get("x-server-owned")):
        yield f"{name}: who may set it changed"


def _values(name: str, old: JsonObject, new: JsonObject) -> Iterator[str]:
    kinds, others = _kinds(old), _kinds(new)
    if others and (not kinds or not kinds <= others):
        was = " or ".join(sorted(kinds)) or "anything"
        yield f"{name}: the type narrowed from {was} to {' or '.join(sorted(others))}"
    allowed, permitted = _listed(old), _listed(new)
    if permitted is None:
        return
    if allowed is None:
        yield f"{name}: only listed values are allowed now"
    else:
        for value in allowed:
            if value not in permitted:
                yield f"{name}: {value!r} is not allowed any more"


def _kinds(schema: JsonObject) -> set[str]:
    kinds = schema.get("type", ())
    found = {kinds} if isinstance(kinds, str) else set(kinds)
    return found | ({"integer"} if "number" in found else set())


def _listed(schema: JsonObject) -> list[object] | None:
    if "const" in schema:
        return [schema["const"]]
    return schema.get("enum")


def _limits(name: str, old: JsonObject, new: JsonObject) -> Iterator[str]:
    for words, sign in ((LOW, 1), (HIGH, -1)):
        for word in words:
            was, now = old.get(word), new.get(word)
            if now is not None and (was is None or now * sign > was * sign):
                before = "without limit" if was is None else f"{was}"
                yield f"{name}: {word} narrowed from {before} to {now}"
    for word in SHAPES:
        if new.get(word) is not None and new[word] != old.get(word):
            yield f"{name}: its {word} changed"


def _forbidden(schema: JsonObject) -> set[str]:
    return {str(value) for value in schema.get("not", {}).get("enum", ())}
