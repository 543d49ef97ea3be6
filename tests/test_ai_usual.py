"""Every short way of an AI turn gives what the long way gives, or leaves the turn to it."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from lakeward import detectors
from lakeward.ai import shapes, usage, usual
from lakeward.ai.reach import mapping
from lakeward.interaction import JsonObject
from lakeward.privacy import Policy, Scrubber
from lakeward.testing import MemoryCollector

thorough = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))

ID = "0198a9b0-1111-7222-8333-444455556666"
WHEN = "2026-11-25T20:00:00.123Z"
CARD, KEY = "4111 1111 1111 1111", "sk-proj-Ab3dEf6hIj9kLmNoPqRsTuVw"
HOSTS: tuple[dict[str, str], ...] = (
    {},
    {"LAKEWARD_SERVICE": "s", "LAKEWARD_DETECT_EMAILS": "true"},
    {"AI_CONTENT": "redacted"},
    {"AI_CONTENT": "none"},
    {"LAKEWARD_SENSITIVE_KEYS": "content"},
    {"LAKEWARD_SENSITIVE_KEYS": "feature,city"},
    {"LAKEWARD_AI_EVENT_BYTES": "8KiB"},
    {"LAKEWARD_ROLLOUT_AI_CONTENT": "0"},
)
SAID = st.sampled_from(
    [
        "How do I price a retainer?",
        "",
        "x" * 300,
        "Zürich — naïve ünïcode",
        f"My card is {CARD}.",
        f"key {KEY}",
        "password=hunter2x",
        "Your code is 123456",
        "/reset/Qz7Rk2Lw9Tn",
        "mail anna.lopez@example.com",
        "call +1 415 555 0123",
        "see https://example.com/?token=abcdef",
        "BEARER abc123def456",
        "half a pair \ud83d",
        "a\n/b\n",
        "1 2 3 4 5 6 7 8 9 0 1 2 3 4",
    ]
)
IDS = st.sampled_from(
    [
        "u1",
        "anna.lopez@example.com",
        ID,
        "550e8400-e29b-41d4-a716-446655440000",
        CARD,
        KEY,
        17,
        "",
        "x" * 600,
        None,
        "4bf92f3577b34da6a3ce929d0e0e4736",
    ]
)
NAMES = st.sampled_from(["coach", "gpt-4o", "gpt-4o-2024-08-06", "y" * 201, KEY, 3, True, None, ""])
COUNTS = st.sampled_from(
    [0, 1, 86, 188, 17_817, 18_091, -1, 2.0, 2.5, True, None, "7", 4111111111111111, 10**12]
)
NESTED = st.dictionaries(
    st.sampled_from(
        ["a", "city", "temperature", "cached_tokens", "token", "value", "content", "name"]
    ),
    COUNTS
    | SAID
    | st.lists(SAID, max_size=2)
    | st.dictionaries(st.sampled_from(["a", "code"]), SAID),
    max_size=3,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system", "z", KEY, 5, ""]), "content": SAID}
    )
    | st.fixed_dictionaries(
        {"role": st.just("assistant")},
        optional={
            "content": st.none()
            | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": SAID}), max_size=2),
            "tool_calls": st.lists(
                st.fixed_dictionaries({"id": st.just("c1"), "name": NAMES, "arguments": SAID}),
                max_size=2,
            ),
            "tool_call_id": IDS,
            "content_hash": NAMES,
            "more": NESTED,
        },
    )
    | NESTED,
    max_size=4,
)
USAGES = st.fixed_dictionaries(
    {},
    optional={
        "prompt_tokens": COUNTS,
        "completion_tokens": COUNTS,
        "total_tokens": COUNTS,
        "prompt_tokens_details": st.fixed_dictionaries(
            {}, optional={"cached_tokens": COUNTS, "audio_tokens": COUNTS, "value": COUNTS}
        ),
        "completion_tokens_details": NESTED
        | st.fixed_dictionaries(
            {"reasoning_tokens": COUNTS},
            optional={
                "audio_tokens": COUNTS,
                "audio": COUNTS,
                "accepted_prediction_tokens": COUNTS,
            },
        ),
    },
)
OFTEN: dict[str, st.SearchStrategy[Any]] = {
    "messages": MESSAGES,
    "feature": NAMES,
    "model_requested": NAMES,
    "user_id": IDS,
    "conversation_id": IDS,
    "turn": COUNTS,
    "duration_ms": COUNTS,
    "input_tokens": COUNTS,
    "output_tokens": COUNTS,
    "total_tokens": COUNTS,
    "usage": USAGES | NESTED,
    "status": st.sampled_from(["completed", "failed", "odd"]),
}
SELDOM: dict[str, st.SearchStrategy[Any]] = {
    "properties": NESTED,
    "metadata": NESTED,
    "parameters": NESTED,
    "trace_id": IDS,
    "session_id": IDS,
    "user_type": NAMES,
    "error_type": NAMES | st.just("E" * 20_000),
    "content_consent": st.sampled_from([True, False, None, "no"]),
    "content_mode": st.sampled_from(["full", "none", "odd"]),
    "tools_used": st.lists(NAMES, max_size=2),
    "url": SAID,
    "environment": NAMES,
    "mine": SAID,
    "ai_metadata": NESTED,
    "cost_usd": COUNTS,
    "response_id": IDS,
    "tokens_source": st.just("reported"),
    "streamed": st.booleans(),
}


@st.composite
def turns(draw: st.DrawFn) -> JsonObject:
    """A turn as it should be, and some of it as it should not."""
    made: JsonObject = {
        "messages": [{"role": "user", "content": "How do I price a retainer?"}],
        "turn": 3,
        "feature": "coach",
        "input_tokens": 86,
        "output_tokens": 188,
        "total_tokens": 274,
        "usage": {"prompt_tokens": 86, "prompt_tokens_details": {"cached_tokens": 0}},
    }
    for names, most in ((OFTEN, 3), (SELDOM, 2)):
        for name in draw(st.lists(st.sampled_from(sorted(names)), max_size=most, unique=True)):
            made[name] = draw(names[name])
    return made


@pytest.mark.parametrize("env", HOSTS, ids=lambda env: ",".join(env) or "default")
def test_a_turn_finished_in_one_go_is_the_turn_that_is_arranged_settled_and_scrubbed(
    env: dict[str, str],
) -> None:
    short, long = MemoryCollector(env), MemoryCollector(env)
    long._usual.finished = lambda fields, shares: None  # type: ignore[method-assign]
    taken = []
    finished = short._usual.finished

    def seen(fields: JsonObject, shares: Any) -> Any:
        taken.append(made := finished(fields, shares))
        return made

    short._usual.finished = seen  # type: ignore[method-assign]

    @thorough
    @given(turns())
    def same(fields: JsonObject) -> None:
        before = repr(fields)
        for collector in (short, long):
            collector.clear()
            collector.record("ai_conversation", **fields, interaction_id=ID, timestamp=WHEN)
        again = short.records
        short.clear()
        short.record_turn(dict(fields), ID, WHEN)
        assert repr(fields) == before
        assert short.records == again == long.records
        assert [list(row) for row in again] == [list(row) for row in long.records]
        assert len(short.quarantined) == len(long.quarantined)
        assert short.stats()["reasons"] == long.stats()["reasons"]

    same()
    usual = "AI_CONTENT" not in str(env).replace("AI_CONTENT': 'redacted", "")
    if usual and "LAKEWARD_SENSITIVE_KEYS" not in env:
        assert sum(made is not None for made in taken) > 10


def test_what_the_app_changes_afterwards_is_not_in_the_record() -> None:
    collector = MemoryCollector()
    message, usage_told, mine = {"role": "user", "content": "a"}, {"prompt_tokens": 1}, {"a": 1}
    fields: JsonObject = {"messages": [message], "usage": usage_told, "properties": mine}
    collector.record_turn(dict(fields), ID, WHEN)
    made = collector._usual.finished(fields, collector.shares(0))
    assert made is not None
    message["content"], usage_told["prompt_tokens"], mine["a"] = KEY, 7, 7
    row = msgspec.to_builtins(made)
    assert row["messages"] == [{"role": "user", "content": "a"}]
    assert (row["ai_metadata"]["usage"], row["properties"]) == ({"prompt_tokens": 1}, {"a": 1})


@thorough
@given(USAGES)
@example(
    {
        "prompt_tokens": 9,
        "completion_tokens": 3,
        "total_tokens": 14,
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
)
@example(
    {
        "prompt_tokens": 9,
        "completion_tokens": 3,
        "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
    }
)
def test_a_usage_as_most_are_has_the_buckets_of_the_long_way(told: JsonObject) -> None:
    told = mapping(told) or {}
    short = usual.buckets(told)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(usage, "usual_buckets", lambda told: None)
        long = usage._buckets(told, "openai")
    assert short is None or repr(short) == repr(long)


def test_the_usages_of_today_take_the_short_way() -> None:
    plain = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    asked = {"cached_tokens": 4, "audio_tokens": 0}
    said = {"reasoning_tokens": 2, "audio_tokens": 0, "accepted_prediction_tokens": 0}
    for more in ({}, {"prompt_tokens_details": asked}, {"completion_tokens_details": said}):
        assert usual.buckets(plain | more) is not None


def completion(**more: Any) -> JsonObject:
    message = {"role": "assistant", "content": "Start from the hours."} | more.pop("message", {})
    choice = {"index": 0, "message": message, "finish_reason": "stop"} | more.pop("choice", {})
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o",
        "choices": [choice],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    } | more


CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
SPOKEN: list[JsonObject] = [
    {},
    {"content": None},
    {"content": ""},
    {"refusal": "no"},
    {"reasoning_content": "hm"},
    {"tool_calls": [CALL]},
    {"content": "data:image/png;base64,aGVsbG8="},
    {"role": "r" * 300},
    {"content": ["part"]},
    {"audio": {"id": "a", "data": "aGk=", "transcript": "hi"}},
]
CHOSEN: list[JsonObject] = [{}, {"finish_reason": "content_filter"}, {"finish_reason": None}]
BESIDE: list[JsonObject] = [
    {},
    {"id": "i" * 600},
    {"model": ""},
    {"usage": None},
    {"service_tier": "flex", "more": 1},
    {"choices": []},
    {"object": "odd"},
]
COMPLETIONS = [
    completion(message=message, choice=choice, **more)
    for message, choice, more in product(SPOKEN, CHOSEN, BESIDE)
]


def test_a_chat_completion_as_most_are_is_heard_as_the_long_way_hears_it() -> None:
    taken = 0
    for told in COMPLETIONS:
        answer = ChatCompletion.construct(**told)
        short = shapes.heard(answer)
        taken += usual.chat(answer) is not None
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(shapes, "usual_chat", lambda answer: None)
            assert msgspec.to_builtins(short) == msgspec.to_builtins(shapes.heard(answer)), told
    assert taken > 1


PIECES = [
    "code",
    "otp",
    "earer",
    "ASIC",
    "Is Your",
    " ",
    "sk-",
    "-",
    "xoxb-",
    "KEY-",
    "lpat-",
    "xapp",
    "\n",
    "/",
    "=",
    '["',
    "eyJ",
    "ya29.",
    "%",
    "<",
    "\\",
    ":",
    "://a",
    "1234567",
    "\u0131s your ",
    "ba\u017fic ",
    "o\u0130tp ",
    "é",
    "\ud83d",
    "_abcdefgh",
    "AKIA",
    "SG.",
    "@example.com",
    "a",
]
LINES = st.lists(st.lists(st.sampled_from(PIECES), max_size=5).map("".join), min_size=1, max_size=4)
DASHED = re.compile(
    r"-(?:-|(?<=sk-)|(?<=lpat-)|(?<=xapp-)|(?<=pypi-)|(?<=CSPX-)|(?<=KEY-)|(?<=xox[a-z]-))"
)


@settings(max_examples=1500, deadline=None)
@given(LINES)
def test_the_quick_searches_find_what_the_patterns_find(texts: list[str]) -> None:
    for text in texts:
        assert bool(detectors._SPACE(text)) == bool(detectors._SPACE_FOLDED(text))
        assert bool(detectors._dashed(text)) == bool(DASHED.search(text))
    for policy in (Policy(), Policy(emails=True, phones=True)):
        hints = Scrubber(policy)._hints
        if detectors.clear("\n".join(texts), hints):
            assert not detectors.suspects(texts, hints)
        elif not any("\n" in text for text in texts):
            assert detectors.suspects(texts, hints)


@thorough
@given(USAGES | NESTED, USAGES | NESTED)
def test_counts_are_copied_as_any_object_is(first: JsonObject, second: JsonObject) -> None:
    scrubber = Scrubber()
    for told in (dict.fromkeys(first, 1), dict.fromkeys(second, 1), first, second):
        scrubber.value(told)
        short = scrubber.counted(told)
        if short is not None:
            assert short == scrubber.gathered(told, []) == Scrubber().value(told)
