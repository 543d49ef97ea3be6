"""What is kept of AI content: each door, each mode, consent, rollout; looked for as raw bytes."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from conftest import Lake
from lakeward.catalog import TYPES
from lakeward.content import AI, FOREIGN, POLICED, fit
from lakeward.interaction import JsonObject
from lakeward.testing import MemoryCollector
from lakeward.withheld import bare, turns
from server_process import serving
from test_compat_otlp import request, span

EMAIL, PHONE = "anna.lopez@example.com", "+1 415 555 0123"
CARD, KEY = "4111 1111 1111 1111", "sk-proj-Ab3dEf6hIj9kLmNoPqRsTuVw"
SAID = "measles in the second week"
TEXT = f"It is {SAID}. Write to {EMAIL} or call {PHONE}; my card is {CARD}, my key {KEY}."
PERSONAL, SECRETS = (EMAIL, PHONE), (CARD, KEY)
MODES = ("full", "redacted", "none")
SEEN = {
    "full": (SAID, *PERSONAL),
    "redacted": (SAID,),
    "none": (),
}
"""What must be found, by mode; nothing else that was planted may be."""


def turn(**more: Any) -> JsonObject:
    """A turn with words planted in every place that can hold content."""
    return {
        "user_id": "u1",
        "conversation_id": "c5",
        "model_requested": "gpt-4o",
        "messages": [
            {"role": "system", "content": TEXT, "name": TEXT},
            {"role": "user", "content": [{"type": "text", "text": TEXT},
                                         {"type": "tool_use", "name": "find", "input": TEXT}],
             "attachments": [{"media_type": "image/png", "reference": f"s3://x/{TEXT}",
                              "size_bytes": 7}]},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "call_1", "name": "find", "arguments": {"q": TEXT}},
                {"id": "call_2", "type": "function",
                 "function": {"name": "tell", "arguments": json.dumps({"q": TEXT})}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": TEXT},
        ],
        "parameters": {"temperature": 0.2, "stop": [TEXT], "user": EMAIL, "response_format": {
            "type": "json_schema", "json_schema": {"description": TEXT}}, "model": "gpt-4o"},
        "usage": {"prompt_tokens": 9, "note": TEXT, "details": {"cached_tokens": 3}},
        "tool_call_count": 2,
        "tools_used": ["find"],
        "my_note": TEXT,
        "tenant": "acme",
    } | more  # fmt: skip


def found(lake: Lake) -> set[str]:
    """Which of the planted words stand in any file of the lake or its rings."""
    raw = b"".join(
        path.read_bytes()
        for folder in (lake.root, lake.ring_dir, lake.root.parent)
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    )
    return {word for word in (SAID, *PERSONAL, *SECRETS) if word.encode() in raw}


def by_python(lake: Lake, mode: str) -> None:
    with lake.collector(AI_CONTENT=mode) as collector:
        assert collector.record("ai_conversation", **turn())
        assert collector.record("ai_rating", conversation_id="c5", helpful=True, comment=TEXT)
        assert collector.record("ai_conversation", **turn(turn=-1)) is None, "to the quarantine"
        collector.commit()


def posted(lake: Lake, mode: str, path: str, body: Any) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with serving(lake, AI_CONTENT=mode) as server, server.client() as client:
        answer = client.post(path, content=raw, headers={"content-type": "application/json"})
        assert answer.status_code == 200, answer.text


def by_http(lake: Lake, mode: str) -> None:
    events = [turn(interaction_type="ai_conversation"),
              {"interaction_type": "ai_rating", "conversation_id": "c5", "comment": TEXT},
              turn(interaction_type="ai_conversation", turn=-1)]  # fmt: skip
    posted(lake, mode, "/v1/interactions", {"batch": events})


def by_otlp(lake: Lake, mode: str) -> None:
    said = json.dumps([{"role": "user", "parts": [{"type": "text", "content": TEXT}]}])
    chat = {"gen_ai.operation.name": "chat", "gen_ai.input.messages": said, "my.note": TEXT,
            "gen_ai.request.stop_sequences": [TEXT], "gen_ai.request.temperature": 0.2}  # fmt: skip
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.output.messages": said,
             "gen_ai.agent.name": "coach"}  # fmt: skip
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.call.result": TEXT}
    event = {"name": "gen_ai.user.message", "attributes": [
        {"key": "content", "value": {"stringValue": TEXT}}]}  # fmt: skip
    rated = {"name": "gen_ai.evaluation.result", "attributes": [
        {"key": "gen_ai.evaluation.name", "value": {"stringValue": "rating"}},
        {"key": "gen_ai.evaluation.score.value", "value": {"doubleValue": 4}},
        {"key": "gen_ai.evaluation.explanation", "value": {"stringValue": TEXT}}]}  # fmt: skip
    kinds: list[tuple[dict[str, Any], list[Any]]]
    kinds = [(chat, [rated]), (agent, []), (tool, [event])]
    spans = [
        span(spanId=f"eee19b7ec3c1b17{n}", attributes=attributes, events=events,
             status={"message": TEXT})
        for n, (attributes, events) in enumerate(kinds)
    ]  # fmt: skip
    posted(lake, mode, "/v1/traces", request(*spans))


def by_posthog(lake: Lake, mode: str) -> None:
    generation = {"$ai_model": "gpt-4o", "$ai_provider": "openai", "$ai_trace_id": "t1",
                  "$ai_input": [{"role": "user", "content": TEXT}], "my_note": TEXT,
                  "$ai_output_choices": [{"role": "assistant", "content": TEXT}],
                  "$ai_tools": [{"name": "find", "description": TEXT}],
                  "$ai_model_parameters": {"stop": TEXT}}  # fmt: skip
    events = [
        {"event": "$ai_generation", "distinct_id": "u1", "properties": generation},
        {"event": "$ai_generation", "distinct_id": "u1",
         "properties": generation | {"$ai_latency": -4}},  # not as our type has it
        {"event": "$ai_span", "distinct_id": "u1", "properties": {
            "$ai_trace_id": "t1", "$ai_span_name": "rag", "$ai_input_state": TEXT}},
        {"event": "$ai_feedback", "distinct_id": "u1", "properties": {
            "$ai_trace_id": "t1", "$ai_feedback_text": TEXT}},
        {"event": 7, "properties": generation},
    ]  # fmt: skip
    posted(lake, mode, "/batch/", {"api_key": "any", "batch": events})


def by_import(lake: Lake, mode: str) -> None:
    """Files of both kinds, with lines that no type takes and one that is none."""
    when = {"timestamp": "2026-11-01T10:00:00.000Z"}
    rows: list[JsonObject] = [
        turn(interaction_type="ai_conversation", **when),
        {"interaction_type": "ai_rating", "conversation_id": "c5", "comment": TEXT},
        turn(interaction_type="ai_conversation", turn=-1),
        turn(interaction_type="ai_conversation", interaction_id=TEXT),
        turn(interaction_type="ai_conversation", messages=TEXT, **when),
        turn(interaction_type="ai_conversation", timestamp=TEXT),
    ]
    table = io.StringIO()
    cells = {name: json.dumps(value) if isinstance(value, (dict, list)) else value
             for name, value in rows[0].items()}  # fmt: skip
    sheet = csv.DictWriter(table, [*cells, "unknown"])
    sheet.writeheader()
    sheet.writerow(cells | {"unknown": TEXT})
    with TemporaryDirectory() as folder:  # beside the lake they would be found
        told, sheets = Path(folder, "told.jsonl"), Path(folder, f"{KEY}.csv")
        told.write_text("\n".join(map(json.dumps, rows)) + f'\n{{"comment": "{TEXT}\n')
        sheets.write_text(table.getvalue())
        done = subprocess.run(
            [sys.executable, "-m", "lakeward.cli", "import", str(told), str(sheets)],
            env=lake.process_env(AI_CONTENT=mode, LAKEWARD_KEEPER="thread"),
            cwd=lake.root.parent, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        (lake.root.parent / "output.txt").write_text(done.stdout.replace(KEY, "") + done.stderr)
    assert done.stdout.startswith("told.jsonl: "), done.stderr
    assert any("unknown" in str(row) for row in lake.rows())


DOORS = {
    "python": by_python, "http": by_http, "otlp": by_otlp, "posthog": by_posthog,
    "import": by_import,
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("door", DOORS)
def test_every_door_keeps_what_the_mode_allows_and_nothing_else(
    lake: Lake, door: str, mode: str
) -> None:
    """Log, quarantine, rings, the server's output and whatever else lies beside the lake."""
    DOORS[door](lake, mode)
    assert found(lake) == set(SEEN[mode])
    turns = [row for row in lake.rows() if row["interaction_type"] == "ai_conversation"]
    assert turns
    assert {row["ai_metadata"]["content_mode"] for row in turns} == {mode}
    assert len(lake.rows()) + len(lake.quarantined()) >= 3


def recorded(kind: str = "ai_conversation", **fields: Any) -> JsonObject:
    """The record of a turn, by the environment's names in capitals."""
    env = {name: fields.pop(name) for name in list(fields) if name.isupper()}
    collector = MemoryCollector(env)
    assert collector.record(kind, **fields)
    (record,) = collector.records
    return record


def test_none_keeps_roles_tools_counts_and_how_it_was_asked() -> None:
    row = recorded(AI_CONTENT="none", **turn())
    assert row["messages"] == [
        {"role": "system"},
        {"role": "user", "content": [{"type": "text"}, {"type": "tool_use", "name": "find"}],
         "attachments": [{"media_type": "image/png", "size_bytes": 7}]},
        {"role": "assistant", "tool_calls": [
            {"id": "call_1", "name": "find"},
            {"id": "call_2", "type": "function", "function": {"name": "tell"}}]},
        {"role": "tool", "tool_call_id": "call_1"},
    ]  # fmt: skip
    assert row["ai_metadata"] == {
        "model_requested": "gpt-4o", "tool_call_count": 2, "tools_used": ["find"],
        "parameters": {"temperature": 0.2, "model": "gpt-4o"},
        "usage": {"prompt_tokens": 9, "details": {"cached_tokens": 3}}, "content_mode": "none",
    }  # fmt: skip
    assert row["properties"] == {"tenant": "acme"}
    assert (row["user_id"], row["conversation_id"]) == ("u1", "c5")


def test_what_the_app_gave_is_not_changed() -> None:
    for mode in MODES:
        given = turn()
        recorded(AI_CONTENT=mode, ai_metadata=(own := {"feature": "coach"}), **given)
        assert given == turn()
        assert own == {"feature": "coach"}


@pytest.mark.parametrize("consent", [False, None, True])
def test_without_consent_no_content_is_kept(consent: bool | None) -> None:
    row = recorded(content_consent=consent, **turn())
    assert (SAID in json.dumps(row)) is (consent is not False)
    assert row["ai_metadata"]["content_mode"] == ("none" if consent is False else "full")
    row = recorded("ai_rating", turn=0, comment=TEXT, content_consent=consent)
    assert ("comment" in row["ai_metadata"] or "comment" in row) is (consent is not False)


def test_a_sentence_in_the_place_of_a_word_and_a_question_in_an_address_go_too() -> None:
    where = {"url": f"https://app.example/ask?q={SAID}", "referrer": f"https://x.example/#{SAID}"}
    for interaction_type, fields in (
        ("ai_rating", {"turn": 0, "reason": TEXT} | where),
        ("ai_conversation", {"finish_reason": TEXT} | where),
    ):
        row = recorded(interaction_type, content_mode="none", **fields)
        assert SAID not in json.dumps(row)
        assert row["url"] == "https://app.example/ask"
    row = recorded("ai_rating", turn=0, reason="too_long", content_mode="none")
    assert row["ai_metadata"]["reason"] == "too_long"


def test_a_consent_that_is_no_truth_value_is_none_at_all() -> None:
    collector = MemoryCollector()
    assert collector.record("ai_conversation", **turn(content_consent="no")) is None
    assert SAID not in json.dumps(collector.quarantined)


@pytest.mark.parametrize("field", ["feature", "user_id", "finish_reason", "usage", "ai_metadata"])
def test_what_is_refused_is_set_aside_without_what_was_said(field: str) -> None:
    """A text where it does not belong, which may be what was said."""
    for told in (f"{SAID} " * 20, [SAID], {"x": [SAID], "feature": {"y": SAID}}):
        collector = MemoryCollector({"AI_CONTENT": "none"})
        fields = turn(turn=-1) | {field: told}
        assert collector.record("ai_conversation", **fields) is None
        assert SAID not in json.dumps(collector.quarantined)
        (entry,) = collector.quarantined
        assert entry["record"]["model_requested"] == "gpt-4o"
        assert entry["record"]["messages"][0] == {"role": "system"}


def test_a_stricter_mode_of_the_record_counts_and_a_looser_one_does_not() -> None:
    assert recorded(**turn(content_mode="none"))["messages"][0] == {"role": "system"}
    row = recorded(AI_CONTENT="redacted", **turn(content_mode="full"))
    assert row["ai_metadata"]["content_mode"] == "redacted"
    assert EMAIL not in json.dumps(row)


@pytest.mark.parametrize("share", ["0", "50", "100"])
def test_a_rollout_keeps_the_record_and_withholds_its_content(share: str) -> None:
    """What it leaves out is counted `sampled`, as a body is; the record is there."""
    collector = MemoryCollector({"LAKEWARD_ROLLOUT_AI_CONTENT": share})
    for n in range(400):
        collector.record("ai_conversation", **turn(user_id=f"u{n}"))
        collector.record("ai_rating", comment=SAID, user_id=f"u{n}")
    assert len(collector.records) == 800
    kept: dict[str, set[bool]] = {}
    for row in collector.records:
        kept.setdefault(row["user_id"], set()).add(SAID in json.dumps(row))
    assert all(len(answers) == 1 for answers in kept.values())
    covered = sum(True in answers for answers in kept.values())
    stats = collector.stats()
    assert stats["reasons"].get("sampled", 0) == 2 * (400 - covered)
    assert stats["offered"] == 800 + 2 * (400 - covered)
    assert {"0": covered == 0, "50": 150 < covered < 250, "100": covered == 400}[share]


def test_two_processes_give_a_user_the_same_answer(lake: Lake) -> None:
    code = (
        "from lakeward import Collector\n"
        "with Collector.from_env() as c:\n"
        "    for n in range(60):\n"
        "        c.record('ai_conversation', user_id=f'u{n}', messages="
        "[{'role': 'user', 'content': 'hello there'}])\n"
    )
    env = lake.process_env(LAKEWARD_ROLLOUT_AI_CONTENT="50")
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code], env=env, check=True, timeout=120)
    kept: dict[str, list[bool]] = {}
    for row in lake.rows():
        kept.setdefault(row["user_id"], []).append("content" in row["messages"][0])
    assert len(kept) == 60
    assert all(len(answers) == 2 and len(set(answers)) == 1 for answers in kept.values())
    assert len({answers[0] for answers in kept.values()}) == 2


def test_the_hosts_own_callable_sees_the_whole_and_decides_nothing_here() -> None:
    seen: list[JsonObject] = []

    def hook(fields: JsonObject) -> JsonObject:
        seen.append(fields)
        return fields

    collector = MemoryCollector({"AI_CONTENT": "none"}, scrub=hook)
    collector.record("ai_conversation", **turn())
    assert SAID in json.dumps(seen)
    assert CARD not in json.dumps(seen)
    assert SAID not in json.dumps(collector.records)


def test_a_long_content_is_whole_up_to_the_limit_and_a_hash_beyond_it() -> None:
    whole = "wörter " * 60_000
    row = recorded(messages=[{"role": "user", "content": whole}])
    assert row["messages"] == [{"role": "user", "content": whole}]
    longer = "wörter " * 160_000
    row = recorded(messages=[{"role": "user", "content": "short"},
                             {"role": "assistant", "content": longer}])  # fmt: skip
    assert row["messages"] == [
        {"role": "user", "content": "short"},
        {"role": "assistant", "content_hash": sha256(longer.encode()).hexdigest()},
    ]


def test_the_longest_contents_go_first_and_the_result_fits() -> None:
    calls = [{"id": "c", "function": {"name": "f", "arguments": "z" * 5000}}]
    fields = {"messages": [
        {"role": "user", "content": "a" * 300}, {"role": "user", "content": "b" * 4000},
        {"role": "assistant", "tool_calls": calls}, {"role": "user", "content": ["c" * 3000]},
    ]}  # fmt: skip
    for most in (13_000, 9_000, 5_000, 1_500):
        made = fit(fields, most)
        assert len(json.dumps(made)) <= most + 100
        assert made["messages"][0]["content"] == "a" * 300
    assert made["messages"][2]["tool_calls"][0]["function"]["arguments_hash"]
    assert fit(fields, 13_000) is fields
    assert calls[0]["function"] == {"name": "f", "arguments": "z" * 5000}, "the app's own stays"


def test_a_content_of_any_depth_and_of_objects_fits_or_is_refused() -> None:
    deep: Any = "x"
    for _ in range(5_000):
        deep = [deep]
    for content in (deep, [object()] * 9, ["\ud83d" * 300_000], "\ud83d" * 1_100_000):
        collector = MemoryCollector()
        collector.record("ai_conversation", messages=[{"role": "user", "content": content}])
        stats = collector.stats()
        assert len(collector.records) + sum(stats["reasons"].values()) == 1
        assert "unencodable" not in stats["reasons"]


HOSTILE: list[Any] = [
    None, 7, "text of several words", [None, 3, "x y"], [{"role": 3, "content": object()}],
    [{"role": "a b", "tool_calls": "x"}], [{"content": [1, {"type": TEXT}, {"text": TEXT}]}],
    [{"role": "user", "attachments": [TEXT, {"media_type": TEXT, "size_bytes": TEXT}]}],
    {"deep": {"a": {"b": {"c": {"d": {"e": {"f": "g"}}}}}}}, {TEXT: 1, "ok": 1, 3: 4},
    {"vector": [0.1, 0.2]}, {"患者": "患者は陽性です", "x": "患者は陽性です"},
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE, ids=map(str, range(len(HOSTILE))))
def test_whatever_form_it_has_nothing_said_is_left(value: Any) -> None:
    for made in (bare(value), turns(value)):
        text = str(made)
        assert not any(word in text for word in (SAID, "several words", "患者", "0.1"))


@pytest.mark.parametrize("value", HOSTILE, ids=map(str, range(len(HOSTILE))))
def test_no_form_of_messages_raises_into_the_app(value: Any) -> None:
    for mode in MODES:
        collector = MemoryCollector({"AI_CONTENT": mode})
        collector.record("ai_conversation", messages=value, parameters=value, usage=value)
        assert len(collector.records) + len(collector.quarantined) == 1


def test_other_types_are_not_looked_at() -> None:
    """Only AI types, what other products call them, and spans, which may be an agent's."""
    assert {"ai_conversation", "ai_rating"} == AI
    assert {name for name in TYPES if name in POLICED} == AI | {"span"}
    assert set(FOREIGN) >= {"posthog", "otlp", "segment"}
    row = recorded("feedback_submission", AI_CONTENT="none", comment=SAID)
    assert SAID in json.dumps(row)
    row = recorded("span", AI_CONTENT="none", span_name="SELECT a FROM b",
                   attributes={"db.statement": "SELECT a FROM b"})  # fmt: skip
    assert row["properties"]["attributes"] == {"db.statement": "SELECT a FROM b"}
