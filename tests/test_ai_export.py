"""`lakeward export --ai`: formats that their own rules accept, consent, ratings, erased people."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Lake
from lakeward.analysis.ai_examples import joined
from lakeward.analysis.training import Unfit, openai, sharegpt
from lakeward.cli import main
from lakeward.interaction import iso
from lakeward.lake.reading import open_reading
from lakeward.settings import load

START_MS = 1_755_187_888_000
Row = dict[str, Any]
ASKED: Row = {"role": "user", "content": "How do I price a retainer?"}
ANSWERED: Row = {"role": "assistant", "content": "Start from the hours you expect."}
CALLS: Row = {
    "role": "assistant",
    "tool_calls": [{"id": "c1", "name": "hours", "arguments": {"n": 1}}],
}
RESULT: Row = {"role": "tool", "tool_call_id": "c1", "content": {"hours": 40}}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}
TOOLS = [{"name": "hours", "description": "Hours of a month.", "input_schema": SCHEMA}]


# What the formats' own rules say


def valid_openai(line: Row) -> None:
    """The documented rules of chat examples for fine-tuning, and of the chat requests they are."""
    assert set(line) <= {"messages", "tools", "parallel_tool_calls"}
    messages = line["messages"]
    assert messages
    assert messages[-1]["role"] == "assistant"
    open_: list[str] = []
    for message in messages:
        role = message["role"]
        assert role in ("system", "user", "assistant", "tool")
        assert set(message) <= {"role", "content", "name", "weight", "tool_calls", "tool_call_id"}
        assert isinstance(message.get("content", ""), str)
        if role != "tool":
            assert open_ == [], "a call is answered before anybody goes on"
        if role == "tool":
            open_.remove(message["tool_call_id"])
            assert "content" in message
        elif role == "assistant":
            calls = message.get("tool_calls", [])
            assert message.get("content") or calls
            for call in calls:
                assert set(call) == {"id", "type", "function"}
                assert call["type"] == "function"
                assert set(call["function"]) == {"name", "arguments"}
                assert isinstance(call["function"]["arguments"], str)
            open_ = [call["id"] for call in calls]
        else:
            assert message["content"]
            assert set(message) == {"role", "content"}
    for tool in line.get("tools", []):
        assert tool["type"] == "function"
        assert set(tool["function"]) <= {"name", "description", "parameters", "strict"}
        assert tool["function"]["parameters"]["type"] == "object"


def valid_sharegpt(line: Row) -> None:
    """Who asks and who answers take turns, and an answer is the last word."""
    assert set(line) <= {"conversations", "tools"}
    said = line["conversations"]
    assert all(set(entry) == {"from", "value"} for entry in said)
    assert all(isinstance(entry["value"], str) for entry in said)
    turns = [entry["from"] for entry in said]
    if turns[0] == "system":
        turns.pop(0)
    assert turns
    assert len(turns) % 2 == 0
    assert set(turns[::2]) <= {"human", "observation"}
    assert set(turns[1::2]) <= {"gpt", "function_call"}
    for entry in said:
        if entry["from"] == "function_call":
            json.loads(entry["value"])
    if "tools" in line:
        assert all(set(tool) >= {"name", "parameters"} for tool in json.loads(line["tools"]))


TEXT = st.sampled_from(["", "Hello", "yes"])
PARTS = st.lists(
    st.sampled_from([
        {"type": "text", "text": "a"}, {"type": "text", "content": "b"}, "c",
        {"type": "reasoning", "text": "hm"}, {"type": "refusal", "text": "no"},
        {"type": "image_url"}, {"type": "text"}, 3,
    ]), max_size=3,
)  # fmt: skip
CALL = st.sampled_from([
    {"id": "c1", "name": "hours", "arguments": {"n": 1}},
    {"id": "c2", "function": {"name": "hours", "arguments": '{"n": 2}'}},
    {"id": "c1", "name": "hours", "arguments": "not json"}, {"name": "hours"},
    {"id": "c1", "name": "odd name"}, {"id": ["c1"], "name": "hours"}, "odd",
    {"id": "c1", "name": "hours", "arguments_hash": "00"},
])  # fmt: skip
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool", "model", "human", "critic"])},
    optional={
        "content": TEXT | PARTS | st.just({"hours": 40}) | st.none(),
        "tool_calls": st.lists(CALL, max_size=2) | st.sampled_from([None, 3, {"id": "c1"}]),
        "tool_call_id": st.sampled_from(["c1", "c2", None]),
        "content_hash": st.just("00"),
        "attachments": st.sampled_from([[], [{"media_type": "image/png"}]]),
        "name": st.just("ann"),
    },
)
LIKELY = st.sampled_from([ASKED, ANSWERED, CALLS, RESULT, {"role": "system", "content": "Be kind"}])
MESSAGES = st.lists(LIKELY | LIKELY | LIKELY | MESSAGE, max_size=6)


@settings(deadline=None, max_examples=800)
@given(messages=MESSAGES, tools=st.sampled_from([None, TOOLS, "odd", [3, {"name": "odd name"}]]))
def test_whatever_was_said_becomes_an_example_that_the_rules_accept_or_none(
    messages: list[Row], tools: Any
) -> None:
    before = json.dumps(messages)
    for make, valid in ((openai, valid_openai), (sharegpt, valid_sharegpt)):
        with contextlib.suppress(Unfit):
            valid(json.loads(msgspec.json.encode(make(messages, tools))))
    assert json.dumps(messages) == before


def test_a_conversation_with_a_tool_is_whole_in_both_formats() -> None:
    messages: list[Row] = [
        {"role": "developer", "content": "Be kind"},
        ASKED,
        CALLS,
        RESULT,
        ANSWERED,
        ASKED,
    ]
    assert openai(messages, TOOLS) == {
        "messages": [
            {"role": "system", "content": "Be kind"}, ASKED,
            {"role": "assistant", "tool_calls": [
                {"id": "c1", "type": "function",
                 "function": {"name": "hours", "arguments": '{"n":1}'}}]},
            {"role": "tool", "tool_call_id": "c1", "content": '{"hours":40}'}, ANSWERED,
        ],
        "tools": [{"type": "function", "function": {
            "name": "hours", "description": "Hours of a month.",
            "parameters": SCHEMA}}],
    }  # fmt: skip
    made = sharegpt(messages, TOOLS)
    assert made["conversations"] == [
        {"from": "system", "value": "Be kind"},
        {"from": "human", "value": "How do I price a retainer?"},
        {"from": "function_call", "value": '{"name":"hours","arguments":{"n":1}}'},
        {"from": "observation", "value": '{"hours":40}'},
        {"from": "gpt", "value": "Start from the hours you expect."},
    ]
    assert json.loads(made["tools"])[0]["name"] == "hours"


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([ASKED], "no_answer"),
        ([ASKED | {"content": [{"type": "image_url"}]}, ANSWERED], "not_text"),
        ([ASKED | {"attachments": [{"sha256": "0" * 64}]}, ANSWERED], "not_text"),
        ([{"role": "user", "content_hash": "00"}, ANSWERED], "too_long"),
        ([{"role": "critic", "content": "x"}, ANSWERED], "unknown_role"),
        ([ASKED, CALLS, ANSWERED], "odd_calls"),
        ([ASKED, RESULT, ANSWERED], "odd_calls"),
    ],
)
def test_what_a_format_cannot_carry_is_left_out_with_its_reason(
    messages: list[Row], reason: str
) -> None:
    with pytest.raises(Unfit) as unfit:
        openai(messages)
    assert unfit.value.reason == reason


def test_turns_that_repeat_what_was_said_before_are_joined_once() -> None:
    kind = {"role": "system", "content": "Be kind"}
    more = [{"role": "user", "content": "And in winter?"}, {"role": "assistant", "content": "More"}]
    whole = [kind, ASKED, ANSWERED, *more]
    assert joined([[kind, ASKED, ANSWERED], whole]) == whole, "the whole history each time"
    assert joined([[kind, ASKED, ANSWERED], more]) == whole, "only what is new"
    assert joined([[kind, ASKED, ANSWERED], [kind, ANSWERED, *more]]) == whole, "a window of it"
    assert joined([[kind, ASKED, ANSWERED], [kind, *more]]) == whole, "instructions and what is new"
    assert joined([[ASKED, ANSWERED], [ASKED, ANSWERED]]) == [ASKED, ANSWERED] * 2, "asked twice"
    assert joined([[ASKED], [ASKED, ANSWERED]]) == [ASKED, ANSWERED], "failed, and tried again"


# A real lake


@pytest.fixture
def told(lake: Lake) -> Lake:
    collector = lake.collector()
    at = 0

    def turn(**fields: Any) -> str:
        nonlocal at
        at += 1
        fields = {"status": "completed", "messages": [ASKED, ANSWERED], "feature": "coach",
                  "timestamp": iso(START_MS + at * 1000), **fields}  # fmt: skip
        made = collector.record("ai_conversation", **fields)
        assert made is not None
        return made

    def rated(turn_id: str, user: str, helpful: bool) -> None:
        nonlocal at
        at += 1
        collector.record(
            "ai_rating", parent_interaction_id=turn_id, user_id=user, helpful=helpful,
            timestamp=iso(START_MS + at * 1000),
        )  # fmt: skip

    liked = turn(user_id="u1", conversation_id="c1", content_consent=True)
    rated(liked, "u1", True)
    second = [{"role": "user", "content": "My card is 4111 1111 1111 1111"}, ANSWERED]
    disliked = turn(user_id="u1", conversation_id="c1", messages=[ASKED, ANSWERED, *second])
    rated(disliked, "u1", False)
    rated(disliked, "u2", True)
    rated(disliked, "u2", False)
    turn(user_id="u3", conversation_id="c2", content_mode="none", messages=[{"role": "user"}])
    turn(user_id="u4", conversation_id="c3", content_consent=False)
    turn(user_id="u4", conversation_id="c3", content_consent=True,
         messages=[ASKED, ANSWERED, ASKED, ANSWERED])  # fmt: skip
    turn(user_id="gone", conversation_id="c4", messages=[
        {"role": "user", "content": "I am leaving-soon"}, ANSWERED], feature="sales")  # fmt: skip
    turn(user_id="u5", status="failed", messages=[ASKED], feature="sales")
    turn(user_id="u6", messages=[ASKED, CALLS, RESULT, ANSWERED], parameters={"tools": TOOLS})
    collector.commit()
    return lake


def export(lake: Lake, *arguments: str) -> tuple[list[Row], str]:
    """Lines, and what is said of them."""
    out, said = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        code = main(["export", "--ai", *arguments, "--lake", str(lake.root)])
    assert code == 0, said.getvalue()
    out.flush()
    raw = out.buffer.getvalue()
    return [json.loads(line) for line in raw.splitlines()], said.getvalue().strip()


def test_turns_come_with_their_ratings_and_without_anybodys_id(told: Lake) -> None:
    lines, said = export(told)
    assert [line.get("conversation_id") for line in lines] == ["c1", "c1", "c4", None, None]
    assert said == "5 turns; left out: 2 without consent, 1 without content"
    assert [line["helpful"] for line in lines[:2]] == [True, False]
    assert lines[1]["ratings_unhelpful"] == 2
    assert "user_id" not in lines[0]
    assert lines[4]["tools"] == TOOLS
    assert "4111" not in json.dumps(lines)
    assert export(told) == (lines, said), "the same every time"


def test_each_format_passes_its_rules_and_says_what_was_left_out(told: Lake) -> None:
    lines, said = export(told, "--format", "openai")
    assert said == (
        "4 turns; left out: 2 without consent, 1 without content, "
        "1 that did not end as completed"
    )  # fmt: skip
    for line in lines:
        valid_openai(line)
    assert lines[3]["tools"][0]["function"]["name"] == "hours"
    lines, _ = export(told, "--format", "sharegpt")
    assert len(lines) == 4
    for line in lines:
        valid_sharegpt(line)


def test_ratings_features_and_times_choose_the_turns(told: Lake) -> None:
    assert [len(line["messages"]) for line in export(told, "--rating", "helpful")[0]] == [2]
    assert [len(line["messages"]) for line in export(told, "--rating", "unhelpful")[0]] == [4]
    assert len(export(told, "--rating", "any")[0]) == 2
    assert len(export(told, "--feature", "sales")[0]) == 2
    assert len(export(told, "--feature", "sales", "--only", "status=failed")[0]) == 1
    assert len(export(told, "--since", "2025-08-15")[0]) == 0


def test_consent_can_be_required_and_one_refusal_takes_what_repeats_it(told: Lake) -> None:
    lines, said = export(told, "--consent", "required")
    assert [line["content_consent"] for line in lines] == [True]
    assert said == "1 turn; left out: 7 without consent"
    assert all(line.get("conversation_id") != "c3" for line in export(told)[0])


def test_conversations_are_joined_and_left_out_whole(told: Lake) -> None:
    lines, said = export(told, "--unit", "conversation", "--format", "openai")
    assert [len(line["messages"]) for line in lines] == [4, 2, 4]
    assert said == (
        "3 conversations; left out: 1 without content, 1 without consent, "
        "1 that did not end as completed"
    )  # fmt: skip
    (whole,) = export(told, "--unit", "conversation", "--rating", "unhelpful")[0]
    assert (whole["ratings_helpful"], whole["ratings_unhelpful"]) == (1, 2)
    assert len(whole["turns"]) == 2


def test_erased_people_are_absent(told: Lake) -> None:
    assert "leaving-soon" in json.dumps(export(told)[0])
    assert main(["erase", "--user", "gone", "--yes", "--lake", str(told.root)]) == 0
    assert "leaving-soon" not in json.dumps(export(told)[0])


def test_a_file_is_new_private_and_whole(told: Lake, tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    lines, _ = export(told, "--format", "openai", "--output", str(file))
    assert lines == []
    assert file.stat().st_mode & 0o777 == 0o600
    assert [json.loads(line) for line in file.read_bytes().splitlines()] == export(
        told, "--format", "openai"
    )[0]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--ai", "--user", "u1"], "--ai is of no single person: leave --user, --session,"),
        (["--ai", "--format", "parquet"], "--ai has no parquet: take jsonl, openai, sharegpt"),
        (["--user", "u1", "--format", "openai"], "--format openai is for AI turns: say --ai, too"),
        (["--user", "u1", "--rating", "any"], "--rating is for AI turns: say --ai, too"),
        (["--ai", "--only", "x=1"], "`only`: 'x' is no dimension here: take one of hour, day"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(
    told: Lake, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert main(["export", *arguments, "--lake", str(told.root)]) == 2
    assert capsys.readouterr().err.startswith(f"lakeward: {sentence}")


def test_content_that_may_not_be_used_does_not_leave_the_engine(told: Lake) -> None:
    from lakeward.analysis.ai_examples import AiExamples, Examples

    with open_reading(told.open(), load(told.env)) as reading:
        rows = list(Examples(reading, AiExamples())._rows())
    assert [r["messages"] for r in rows if not r["consented"]] == [[], []]
