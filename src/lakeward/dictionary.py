"""The data dictionary: every field of every known type, for people and for machines.

In: the catalog's structs, whose fields carry their documentation. Out: rows, a standalone JSON
Schema (draft 2020-12) of each type's full record, and the page `docs/types.md`. The schemas
describe what is stored, so they stay open: a reader must not fail on a field that came later.
`x-unit`, `x-personal-data` and `x-server-owned` are our annotations in them. Nothing here does
I/O, and nothing fails but a question for an unknown type.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import msgspec
from msgspec import UNSET

from lakeward.catalog import TYPES, PersonalData, Record, TypeSpec, arrange
from lakeward.errors import Terminal
from lakeward.interaction import (
    FIELDS,
    SCHEMA_VERSION,
    SEED_FIELDS,
    SERVER_OWNED,
    Interaction,
    JsonObject,
)

ANY_TYPE = "*"
DRAFT = "https://json-schema.org/draft/2020-12/schema"
UNLIMITED = 1e9
"""Limits from here on protect stores and say nothing about a field's meaning."""

ALWAYS: tuple[str, ...] = tuple(
    field.name for field in msgspec.structs.fields(Interaction) if field.default is not UNSET
)
"""Fields that no stored record is without."""


class FieldDoc(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the data dictionary."""

    interaction_type: str
    """A known type, or `*` for a field that a record of any type may have."""
    name: str
    """Where the field is in the record, such as `outcomes.score` or `messages[].role`."""
    type: str
    unit: str
    meaning: str
    personal_data: PersonalData
    server_owned: bool
    required: bool


def json_schema(type_name: str | None = None) -> JsonObject:
    """The JSON Schema of one known type's stored record; without a name, of any record."""
    if type_name is None:
        spec = None
    elif (spec := TYPES.get(type_name)) is None:
        raise Terminal(f"there is no known type of that name; choose one of {', '.join(TYPES)}")
    structs = (Record,) if spec is None else (Record, spec.struct)
    _, definitions = msgspec.json.schema_components(structs, ref_template="#/$defs/{name}")
    # msgspec shares parts between what it returns, and some of them are changed below.
    definitions = deepcopy(definitions)
    record = definitions.pop("Record")
    properties = record["properties"]
    for name in SERVER_OWNED:
        properties[name]["x-server-owned"] = True
    required = list(ALWAYS)
    if spec is not None:
        required = _specialise(spec, properties, definitions.pop(spec.struct.__name__))
    schema = {
        "$schema": DRAFT,
        "$id": f"urn:lakeward:v{SCHEMA_VERSION}:{type_name or 'interaction'}",
        "title": type_name or "interaction",
        "description": spec.doc if spec else record["description"],
        "type": "object",
        "properties": {name: properties[name] for name in FIELDS},
        "required": [name for name in FIELDS if name in required],
    }
    return schema | ({"$defs": definitions} if definitions else {})


def _specialise(spec: TypeSpec, properties: JsonObject, struct: JsonObject) -> list[str]:
    """Put the type's own schema into the record's properties; the record's required fields."""
    fields: JsonObject = struct["properties"]
    properties["interaction_type"] = {"const": spec.name} | properties["interaction_type"]
    properties |= {name: fields[name] for name in spec.lifted}
    required = [*ALWAYS, *(spec.lifted & spec.required)]
    if spec.name == "api_call":
        return [*required, *SEED_FIELDS]
    if spec.slot is None:
        return required
    needed = sorted(spec.own & spec.required)
    properties[spec.slot] |= {"properties": {n: fields[n] for n in fields if n in spec.own}}
    if needed:
        properties[spec.slot]["required"] = needed
        required.append(spec.slot)
    if spec.forbidden:
        properties[spec.slot]["propertyNames"] = {"not": {"enum": sorted(spec.forbidden)}}
    return required


def data_dictionary() -> list[FieldDoc]:
    """The rows of the record's own fields, then those of each known type."""
    return [*FIELDS_DOC, *(row for spec in TYPES.values() for row in type_rows(spec))]


def type_rows(spec: TypeSpec) -> list[FieldDoc]:
    """The rows of the fields that one known type adds to the record or tightens."""
    schema = json_schema(spec.name)
    properties = schema["properties"]
    lifted = {name: properties[name] for name in FIELDS if name in spec.lifted}
    rows = [*_rows(spec.name, lifted, schema["required"], schema, "")]
    if spec.slot is not None:
        slot = properties[spec.slot]
        own = {
            name: slot["properties"][name]
            for name in spec.struct.__struct_fields__
            if name in spec.own
        }
        rows += _rows(spec.name, own, slot.get("required", ()), schema, f"{spec.slot}.")
    return rows


def _rows(
    type_name: str, properties: JsonObject, required: Any, schema: JsonObject, prefix: str
) -> Iterator[FieldDoc]:
    for name, field in properties.items():
        yield FieldDoc(
            interaction_type=type_name,
            name=prefix + name,
            type=_type_text(field),
            unit=field.get("x-unit", ""),
            meaning=field.get("description", ""),
            personal_data=field.get("x-personal-data", "none"),
            server_owned=not prefix and name in SERVER_OWNED,
            required=name in required,
        )
        for choice in field.get("anyOf", [field]):
            if nested := choice.get("items", {}).get("$ref"):
                part = schema["$defs"][nested.rpartition("/")[2]]
                inner = f"{prefix}{name}[]."
                yield from _rows(type_name, part["properties"], part["required"], schema, inner)


def _type_text(field: JsonObject) -> str:
    """A field's schema in a few words."""
    if "enum" in field:
        return " | ".join(str(value) for value in field["enum"])
    if "anyOf" in field:
        return " or ".join(_type_text(choice) for choice in field["anyOf"])
    kind = str(field.get("type", "object" if "$ref" in field else "any"))
    if kind in ("integer", "number"):
        return kind + _range_text(field)
    if kind == "string":
        return _string_text(field)
    if kind == "array":
        return f"list of {_type_text(field['items'])}" if "items" in field else "list"
    values = field.get("additionalProperties")
    return f"object of {_type_text(values)}" if kind == "object" and values else kind


def _range_text(field: JsonObject) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    if low is None or low <= -UNLIMITED:
        return ""
    return f" {low} to {high}" if high is not None and high < UNLIMITED else f" from {low}"


def _string_text(field: JsonObject) -> str:
    if field.get("format") == "uuid":
        return "UUID"
    if "format" in field:
        return str(field["format"])
    if "pattern" in field:
        pattern = str(field["pattern"]).removesuffix("(?!\n)")
        return f"text like `{pattern}`"
    return f"text up to {field['maxLength']}" if "maxLength" in field else "text"


def render_types_md() -> str:
    """The text of `docs/types.md`."""
    blocks = [INTRODUCTION, _table(FIELDS_DOC), "## Known types"]
    blocks.append("\n".join(f"- [`{s.name}`](#{s.name}): {_first(s.doc)}" for s in TYPES.values()))
    for spec in TYPES.values():
        blocks += [f"### {spec.name}", spec.doc, _facts(spec), _table(type_rows(spec))]
        blocks += [_example(spec)]
    return "\n\n".join(blocks) + "\n"


def _first(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split())


def _facts(spec: TypeSpec) -> str:
    place = f"Own fields in `{spec.slot}`" if spec.slot else "No own fields"
    facts = [place, f"rolled out with `{spec.feature}`"]
    if spec.outcome:
        facts.append("obeys `ENABLE_OUTCOME_TRACKING`")
    if spec.forbidden:
        facts.append(f"refuses {', '.join(f'`{name}`' for name in sorted(spec.forbidden))}")
    return "; ".join(facts) + "."


def _table(rows: tuple[FieldDoc, ...] | list[FieldDoc]) -> str:
    lines = ["| field | type | unit | meaning | personal data |", "|---|---|---|---|---|"]
    for row in rows:
        marks = " **required**" * row.required + " *server-owned*" * row.server_owned
        cells = (f"`{row.name}`{marks}", row.type, row.unit, row.meaning, row.personal_data)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _example(spec: TypeSpec) -> str:
    call = "".join(f"    {name}={_literal(value)},\n" for name, value in spec.example.items())
    record = msgspec.json.format(msgspec.json.encode(arrange(spec.name, spec.example)), indent=2)
    return (
        f'```python\ncollector.record(\n    "{spec.name}",\n{call})\n```\n\n'
        f"puts into the record\n\n```json\n{record.decode()}\n```"
    )


def _literal(value: Any) -> str:
    """Python source of an example's value, with the house's quotes."""
    if isinstance(value, str):
        return msgspec.json.encode(value).decode()
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_literal(k)}: {_literal(v)}' for k, v in value.items())}}}"
    return repr(value)


INTRODUCTION = """\
# Interaction types

<!-- Made by lakeward.dictionary.render_types_md(); a test holds this file equal to it. -->

A record is flat. `collector.record(type, **fields)` puts each field in its place: a field of the
record stays on top, a field of the type goes under the type's slot (an object such as `outcomes`),
every other goes under `properties`. The slot may also be given whole, as in
`outcomes={"score": 87}`; unknown keys in it are kept, and a keyword wins over a key.

A type that is not on this page is custom and welcome: its name matches `[a-z][a-z0-9_.:-]{0,63}`,
and what the record does not know goes under `properties`.

Values must have the type shown: `"87"` is not a number. Converted are only an int or UUID in a
field named `…_id` (to text), a Decimal that a float can hold, an enum member (to its value), and
dates and times (to ISO 8601). Null means absent, save where the type says `or null`. An invalid
interaction is refused with one sentence that names the field and the rule, never the value.

Personal data: **none** is about no one; **pseudonymous** is an id of a person or leads to one;
**personal** is a person's data; **sensitive** could harm if known (no known field is meant for
it); **content** is free text or a foreign object, which may hold any of these.

## The record"""

_schema = json_schema()
FIELDS_DOC: tuple[FieldDoc, ...] = tuple(
    _rows(ANY_TYPE, _schema["properties"], _schema["required"], _schema, "")
)
"""One row for every field of `Interaction`."""
