"""The schemas that people build on: an incompatible change is refused, of whatever kind it is."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from conftest import Lake
from lakeward.catalog import TYPES
from lakeward.cli.schema import broken, schemas, text_of
from lakeward.dictionary import data_dictionary
from lakeward.evolution import incompatible
from lakeward.interaction import SCHEMA_VERSION, JsonObject
from test_cli import lakeward, sentence
from write_docs import SCHEMAS, write_schemas

BASELINE = Path(__file__).parents[1] / SCHEMAS
NAMES = pytest.mark.parametrize("name", ["interaction", *TYPES])

BEFORE: JsonObject = {
    "type": "object",
    "properties": {
        "user_id": {"type": "string", "maxLength": 512, "x-personal-data": "personal"},
        "referrer": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "outcomes": {
            "type": "object",
            "properties": {
                "score": {"type": "number", "minimum": 0, "maximum": 100, "x-unit": "points"},
                "rank": {"type": "integer"},
                "stage": {"type": "string"},
                "status": {"enum": ["booked", "held"]},
                "date": {"type": "string", "format": "date"},
                "code": {"type": "string", "pattern": "^a"},
                "steps": {"type": "array", "items": {"type": "string"}, "maxItems": 100},
                "parts": {"type": "object", "additionalProperties": {"type": "number"}},
                "nodes": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
            },
            "propertyNames": {"not": {"enum": ["secret"]}},
            "required": ["status"],
        },
        "feedback": {"type": "object", "properties": {}},
    },
    "required": ["user_id", "outcomes"],
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "inner": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
            },
            "required": [],
        }
    },
}


def own(schema: JsonObject) -> JsonObject:
    found: JsonObject = schema["properties"]["outcomes"]["properties"]
    return found


def changed(change: Callable[[JsonObject], Any]) -> list[str]:
    after = deepcopy(BEFORE)
    change(after)
    return incompatible(BEFORE, after)


def move(schema: JsonObject) -> None:
    schema["properties"]["feedback"]["properties"]["score"] = own(schema).pop("score")


INCOMPATIBLE: dict[str, Callable[[JsonObject], Any]] = {
    "outcomes.stage is gone": lambda s: own(s).pop("stage"),
    "user_id is gone": lambda s: s["properties"].pop("user_id"),
    "outcomes.score moved to feedback": move,
    "outcomes.score: the type narrowed from integer or number to integer": lambda s: own(s)[
        "score"
    ].update(type="integer"),
    "outcomes.stage: the type narrowed from string to boolean": lambda s: own(s)["stage"].update(
        type="boolean"
    ),
    "outcomes.status: the type narrowed from anything to string": lambda s: own(s)["status"].update(
        type="string"
    ),
    "outcomes.score: minimum narrowed from 0 to 1": lambda s: own(s)["score"].update(minimum=1),
    "outcomes.score: maximum narrowed from 100 to 10": lambda s: own(s)["score"].update(maximum=10),
    "outcomes.rank: maximum narrowed from without limit to 3": lambda s: own(s)["rank"].update(
        maximum=3
    ),
    "user_id: maxLength narrowed from 512 to 10": lambda s: s["properties"]["user_id"].update(
        maxLength=10
    ),
    "outcomes.steps: maxItems narrowed from 100 to 5": lambda s: own(s)["steps"].update(maxItems=5),
    "outcomes.status: 'held' is not allowed any more": lambda s: own(s)["status"].update(
        enum=["booked"]
    ),
    "outcomes.stage: only listed values are allowed now": lambda s: own(s)["stage"].update(
        enum=["a"]
    ),
    "outcomes.date: its format changed": lambda s: own(s)["date"].update(format="date-time"),
    "outcomes.code: its pattern changed": lambda s: own(s)["code"].update(pattern="^b"),
    "outcomes.steps[]: the type narrowed from string to integer": lambda s: own(s)["steps"].update(
        items={"type": "integer"}
    ),
    "outcomes.parts.*: the type narrowed from integer or number to integer": lambda s: own(s)[
        "parts"
    ].update(additionalProperties={"type": "integer"}),
    "outcomes (names): 'code' is forbidden now": lambda s: s["properties"]["outcomes"].update(
        propertyNames={"not": {"enum": ["secret", "code"]}}
    ),
    "outcomes.rank is required now": lambda s: s["properties"]["outcomes"].update(
        required=["status", "rank"]
    ),
    "outcomes is not always there any more": lambda s: s.update(required=["user_id"]),
    "user_id: personal data went down from personal to pseudonymous": lambda s: s["properties"][
        "user_id"
    ].update({"x-personal-data": "pseudonymous"}),
    "user_id: personal data went down from personal to none": lambda s: s["properties"][
        "user_id"
    ].pop("x-personal-data"),
    "outcomes.score: the unit changed from points to %": lambda s: own(s)["score"].update(
        {"x-unit": "%"}
    ),
    "user_id: who may set it changed": lambda s: s["properties"]["user_id"].update(
        {"x-server-owned": True}
    ),
    "referrer: what was allowed as null is not any more": lambda s: s["properties"].update(
        referrer={"type": "string"}
    ),
    "outcomes.nodes[].name is gone": lambda s: s["$defs"]["Node"]["properties"].pop("name"),
    "outcomes.score: `multipleOf` changed, which cannot be judged": lambda s: own(s)[
        "score"
    ].update(multipleOf=5),
    "outcomes.steps[]: only listed values are allowed now": lambda s: own(s)["steps"].update(
        items=False
    ),
}

COMPATIBLE: dict[str, Callable[[JsonObject], Any]] = {
    "a new optional field": lambda s: own(s).update(new={"type": "string", "maxLength": 3}),
    "a new field of the record": lambda s: s["properties"].update(metadata={"type": "object"}),
    "an integer becomes a number": lambda s: own(s)["rank"].update(type="number"),
    "a range is wider": lambda s: own(s)["score"].update(minimum=-1, maximum=1000),
    "a range is gone": lambda s: own(s)["score"].pop("maximum"),
    "a list of values is longer": lambda s: own(s)["status"].update(enum=["held", "x", "booked"]),
    "a list of values is gone": lambda s: own(s)["status"].pop("enum"),
    "a text is longer": lambda s: s["properties"]["user_id"].update(maxLength=1000),
    "more care for personal data": lambda s: own(s)["stage"].update({"x-personal-data": "content"}),
    "null is allowed too": lambda s: own(s).update(
        stage={"anyOf": [{"type": "string"}, {"type": "null"}]}
    ),
    "other words": lambda s: own(s)["stage"].update(description="Another.", title="Stage"),
    "no longer required": lambda s: s["properties"]["outcomes"].update(propertyNames={}),
    "a format is gone": lambda s: own(s)["date"].pop("format"),
    "a part that has itself inside": lambda s: s["$defs"]["Node"]["properties"].update(
        more={"$ref": "#/$defs/Node"}
    ),
}


@pytest.mark.parametrize("said", INCOMPATIBLE)
def test_an_incompatible_change_is_named(said: str) -> None:
    assert changed(INCOMPATIBLE[said]) == [said]


@pytest.mark.parametrize("what", COMPATIBLE)
def test_a_compatible_change_passes(what: str) -> None:
    assert changed(COMPATIBLE[what]) == []


@NAMES
def test_a_schema_is_compatible_with_itself(name: str) -> None:
    assert incompatible(schemas(name)[name], schemas(name)[name]) == []


@NAMES
def test_each_change_of_any_field_of_a_real_schema_is_found(name: str) -> None:
    before = schemas(name)[name]
    for field in before["properties"]:
        after = deepcopy(before)
        del after["properties"][field]
        assert incompatible(before, after), field
        after = deepcopy(before)
        after["properties"][field] = {"type": "boolean"}
        assert incompatible(before, after), field


# The baseline


def test_what_version_1_promised_still_holds() -> None:
    changes = broken(schemas(), BASELINE)
    assert changes == [], "take the change back, or raise SCHEMA_VERSION, which makes a new folder"


def test_the_baseline_has_every_type_and_what_was_added() -> None:
    stored = {path.stem: path.read_text(encoding="utf-8") for path in BASELINE.glob("*.json")}
    assert stored == {n: text_of(s) for n, s in schemas().items()}, "run `make docs`"


def test_every_version_until_now_has_its_folder() -> None:
    folders = sorted(path.name for path in BASELINE.parent.iterdir() if path.is_dir())
    assert folders == sorted(f"v{n}" for n in range(1, SCHEMA_VERSION + 1))


def test_make_docs_renews_a_compatible_baseline_and_leaves_a_broken_promise_alone(
    tmp_path: Path,
) -> None:
    write_schemas(tmp_path)
    path = tmp_path / "partner_match.json"
    promised = json.loads(path.read_text())
    del promised["properties"]["outcomes"]["properties"]["rank"]  # as if it were added later
    path.write_text(json.dumps(promised))
    write_schemas(tmp_path)
    assert path.read_text() == text_of(schemas("partner_match")["partner_match"])
    promised["properties"]["outcomes"]["properties"]["gone"] = {"type": "string"}
    path.write_text(json.dumps(promised))
    with pytest.raises(SystemExit, match=r"partner_match: outcomes\.gone is gone\n.*stays as it"):
        write_schemas(tmp_path)
    assert json.loads(path.read_text()) == promised
    (tmp_path / "old_type.json").write_text("{}")
    assert "old_type: the type is gone" in broken(schemas(), tmp_path)


def test_stored_records_of_all_examples_validate_against_the_baseline(lake: Lake) -> None:
    collector = lake.collector()
    for spec in TYPES.values():
        assert collector.record(spec.name, **spec.example), spec.name
    collector.commit()
    rows = lake.rows()
    assert [row["interaction_type"] for row in rows] == list(TYPES)
    for row in rows:
        for name in ("interaction", row["interaction_type"]):
            schema = json.loads((BASELINE / f"{name}.json").read_text(encoding="utf-8"))
            jsonschema.Draft202012Validator.check_schema(schema)
            jsonschema.Draft202012Validator(
                schema, format_checker=jsonschema.FormatChecker()
            ).validate(row)


# The command


def test_the_command_lists_all_types_and_prints_one(lake: Lake) -> None:
    listed = lakeward(lake, "schema")
    assert listed.returncode == 0, listed.stderr
    assert re.findall(r"^([a-z_]+) ", listed.stdout, re.MULTILINE) == ["interaction", *TYPES]
    assert list(json.loads(lakeward(lake, "schema", "--format", "json").stdout)["types"]) == [
        "interaction",
        *TYPES,
    ]
    one = lakeward(lake, "schema", "partner_match")
    assert json.loads(one.stdout) == schemas("partner_match")["partner_match"]
    assert lakeward(lake, "schema", "nothing").returncode == 2
    assert "there is no known type" in sentence(lakeward(lake, "schema", "nothing"))


def test_the_command_writes_files_and_compares_with_them(lake: Lake, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "v1"
    done = lakeward(lake, "schema", "--out", str(folder), "--dictionary", "--format", "csv")
    assert done.returncode == 0, done.stderr
    assert {path.stem for path in folder.glob("*.json")} == {"interaction", *TYPES}
    with (folder / "dictionary.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(data_dictionary())
    assert lakeward(lake, "schema", "--against", str(folder)).returncode == 0
    path = folder / "cta_click.json"
    path.write_text(path.read_text().replace('"maxLength": 200', '"maxLength": 300'))
    done = lakeward(lake, "schema", "--against", str(folder))
    assert done.returncode == 1
    assert "cta_click: outcomes.cta: maxLength narrowed from 300 to 200" in done.stdout
    assert lakeward(lake, "schema", "--against", str(tmp_path)).returncode == 2


def test_the_dictionary_has_every_field_in_every_format(lake: Lake) -> None:
    rows = json.loads(lakeward(lake, "schema", "--dictionary", "--format", "json").stdout)
    assert [row["name"] for row in rows] == [row.name for row in data_dictionary()]
    text = lakeward(lake, "schema", "partner_match", "--dictionary").stdout
    assert "partner_match  outcomes.score  number 0 to 100 (points of 100)  [none]" in text
    page = lakeward(lake, "schema", "--dictionary", "--format", "markdown").stdout
    assert page == (BASELINE.parents[1] / "types.md").read_text(encoding="utf-8")
    assert lakeward(lake, "schema", "--format", "csv").returncode == 2
