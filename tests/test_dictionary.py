"""What the data dictionary promises: every field is documented, and the schemas tell the truth."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lakeward.catalog import FIELD_SET, PERSONAL_DATA, TYPES, TypeSpec, arrange
from lakeward.dictionary import (
    ALWAYS,
    ANY_TYPE,
    DRAFT,
    FIELDS_DOC,
    data_dictionary,
    json_schema,
    render_types_md,
    type_rows,
)
from lakeward.errors import Terminal
from lakeward.interaction import (
    FIELDS,
    SEED_FIELDS,
    SERVER_OWNED,
    ApiCall,
    Interaction,
    JsonObject,
)

PAGE = Path(__file__).parents[1] / "docs" / "types.md"
SPECS = pytest.mark.parametrize("spec", TYPES.values(), ids=lambda spec: spec.name)
NAMES = pytest.mark.parametrize("name", [None, *TYPES])
KINDS: dict[str, Any] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": int | float,
    "array": list,
    "object": dict,
    "null": type(None),
}


def record_of(spec: TypeSpec, fields: JsonObject | None = None) -> JsonObject:
    """The stored record of a type's example."""
    make = ApiCall if spec.name == "api_call" else Interaction
    record = make(
        "0198a9b0-1111-7222-8333-444455556666",
        "2025-08-14T16:11:28.677Z",
        "development",
        "1.0.0",
        spec.name,
        **arrange(spec.name, spec.example if fields is None else fields),
    )
    decoded: JsonObject = msgspec.json.decode(msgspec.json.encode(record))
    return decoded


def fits(schema: JsonObject, value: Any, root: JsonObject) -> bool:
    """Whether `value` is valid, for the keywords of the draft that the schemas use."""
    return all(_keyword(word, rule, schema, value, root) for word, rule in schema.items())


def _keyword(word: str, rule: Any, schema: JsonObject, value: Any, root: JsonObject) -> bool:
    text, number = isinstance(value, str), isinstance(value, int | float)
    whole = isinstance(value, list)
    members = value if isinstance(value, dict) else {}
    match word:
        case "$schema" | "$id" | "$defs" | "title" | "description" | "format":
            return True
        case "x-unit" | "x-personal-data" | "x-server-owned":
            return True
        case "$ref":
            return fits(root["$defs"][rule.removeprefix("#/$defs/")], value, root)
        case "type":
            return isinstance(value, KINDS[rule]) and (rule == "boolean" or value is not True)
        case "const":
            return bool(value == rule)
        case "enum":
            return bool(value in rule)
        case "anyOf":
            return any(fits(choice, value, root) for choice in rule)
        case "not":
            return not fits(rule, value, root)
        case "minimum":
            return not number or bool(value >= rule)
        case "maximum":
            return not number or bool(value <= rule)
        case "maxLength":
            return not text or len(value) <= int(rule)
        case "pattern":
            return not text or re.search(rule, value) is not None
        case "maxItems":
            return not whole or len(value) <= int(rule)
        case "items":
            return not whole or all(fits(rule, item, root) for item in value)
        case "required":
            return all(name in members for name in rule)
        case "maxProperties":
            return len(members) <= int(rule)
        case "propertyNames":
            return all(fits(rule, name, root) for name in members)
        case "properties":
            return all(fits(rule[name], v, root) for name, v in members.items() if name in rule)
        case "additionalProperties":
            known = schema.get("properties", {})
            rest = [v for name, v in members.items() if name not in known]
            return not rest if rule is False else all(fits(rule, v, root) for v in rest)
    raise AssertionError(f"the schemas use a keyword that this test does not know: {word}")


# Rows


def test_every_field_of_the_record_has_one_row_in_order() -> None:
    assert tuple(row.name for row in FIELDS_DOC) == FIELDS
    assert {row.interaction_type for row in FIELDS_DOC} == {ANY_TYPE}
    assert {row.name for row in FIELDS_DOC if row.server_owned} == SERVER_OWNED
    assert {row.name for row in FIELDS_DOC if row.required} == set(ALWAYS)


@SPECS
def test_every_field_of_every_known_type_has_a_row(spec: TypeSpec) -> None:
    names = {row.name for row in type_rows(spec)}
    assert {f"{spec.slot}.{name}" for name in spec.own} | spec.lifted <= names
    required = {row.name.removeprefix(f"{spec.slot}.") for row in type_rows(spec) if row.required}
    assert spec.required <= required


def test_every_row_says_what_the_field_means_and_whose_data_it_is() -> None:
    rows = data_dictionary()
    for row in rows:
        assert row.meaning.endswith("."), row
        assert row.type, row
        assert row.personal_data in PERSONAL_DATA, row
    assert len({(row.interaction_type, row.name) for row in rows}) == len(rows)
    assert {row.interaction_type for row in rows} == {ANY_TYPE, *TYPES}


@SPECS
def test_every_field_documents_its_class_itself_and_not_by_default(spec: TypeSpec) -> None:
    schema = json_schema(spec.name)
    parts = [
        schema["properties"],
        *(part["properties"] for part in schema.get("$defs", {}).values()),
    ]
    if spec.slot:
        parts.append(schema["properties"][spec.slot]["properties"])
    for part in parts:
        for name, field in part.items():
            assert "x-personal-data" in field, name
            assert field.get("description"), name


def test_a_time_or_an_amount_has_a_unit() -> None:
    for row in data_dictionary():
        if row.name.endswith(("_ms", "seconds", "bytes", "tokens", "_usd", "months", "score")):
            assert row.unit, row


def test_a_type_that_tightens_a_field_keeps_its_class() -> None:
    common = {row.name: row for row in FIELDS_DOC}
    for spec in TYPES.values():
        for row in type_rows(spec):
            if row.name in FIELD_SET:
                assert row.personal_data == common[row.name].personal_data


# Schemas


@NAMES
def test_a_schema_stands_alone_and_covers_the_whole_flat_record(name: str | None) -> None:
    schema = json_schema(name)
    assert schema["$schema"] == DRAFT
    assert schema["$id"].startswith("urn:lakeward:v1:")
    assert tuple(schema["properties"]) == FIELDS
    assert set(ALWAYS) <= set(schema["required"]) <= set(FIELDS)
    text = msgspec.json.encode(schema).decode()
    used = set(re.findall(r'"\$ref":"#/\$defs/(\w+)"', text))
    assert used == set(schema.get("$defs", {}))


@SPECS
def test_the_stored_example_conforms_to_its_own_schema_and_to_that_of_any_record(
    spec: TypeSpec,
) -> None:
    record = record_of(spec)
    for name in (spec.name, None):
        schema = json_schema(name)
        assert fits(schema, record, schema)


@SPECS
def test_a_schema_refuses_another_type_and_a_missing_required_field(spec: TypeSpec) -> None:
    schema = json_schema(spec.name)
    assert not fits(schema, record_of(spec) | {"interaction_type": "other"}, schema)
    for name in spec.required:
        record = record_of(spec)
        del (record if name in spec.lifted else record[spec.slot or ""])[name]
        assert not fits(schema, record, schema)


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("partner_match", "outcomes", {"score": 101}),
        ("deal_closed", "outcomes", {"value": 5, "currency": "usd"}),
        ("demo_booking", "outcomes", {"status": "lost"}),
        ("feedback_submission", "feedback", {"scores": {"delivery": 11}}),
        ("form_interaction", "properties", {"form": "a", "action": "field", "value": "x"}),
        ("ai_conversation", "messages", [{"content": "no role"}]),
        ("message_consistency_analysis", "analysis", {"overall": 1, "discrepancies": [{"q": 1}]}),
        ("api_call", "response_status", 99),
    ],
)
def test_a_schema_refuses_what_the_catalog_refuses(name: str, place: str, value: Any) -> None:
    schema = json_schema(name)
    assert not fits(schema, record_of(TYPES[name]) | {place: value}, schema)


def test_the_schema_of_an_api_call_requires_the_seeds_fourteen_fields() -> None:
    assert json_schema("api_call")["required"] == list(SEED_FIELDS)
    schema = json_schema("api_call")
    unknown = record_of(TYPES["api_call"], {"method": None, "path": "/"})
    assert unknown["response_status"] is None
    assert fits(schema, unknown, schema)


def test_a_schema_is_the_callers_to_change() -> None:
    json_schema("partner_match")["properties"]["outcomes"]["properties"].clear()
    assert "score" in json_schema("partner_match")["properties"]["outcomes"]["properties"]


def test_a_schema_of_an_unknown_type_is_a_question_that_cannot_be_answered() -> None:
    with pytest.raises(Terminal, match="choose one of api_call"):
        json_schema("signed_up")


# The page


def test_the_committed_page_equals_the_generated_text() -> None:
    assert PAGE.read_text(encoding="utf-8") == render_types_md(), (
        "write it anew: python -c 'from lakeward.dictionary import render_types_md as r; "
        'print(r(), end="")\' > docs/types.md'
    )


def test_the_page_names_every_type_and_every_field() -> None:
    page = render_types_md()
    for row in data_dictionary():
        assert f"| `{row.name}`" in page
    for name in TYPES:
        assert f"### {name}\n" in page
