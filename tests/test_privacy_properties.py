"""No planted secret survives, whatever it is planted in; what is harmless does."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakeward.privacy import Policy, Scrubber
from secrets_planted import anything, leaks, names, planted, planted_value
from tries import tries

thorough = settings(
    max_examples=tries(60),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@thorough
@given(planted())
def test_no_planted_secret_survives_in_a_record(drawn: tuple[dict[str, Any], list[str]]) -> None:
    fields, needles = drawn
    raw = msgspec.json.encode(Scrubber().fields(fields))
    assert leaks(raw, needles) == []


@thorough
@given(planted_value())
def test_no_planted_secret_survives_in_a_nested_value(drawn: tuple[Any, list[str]]) -> None:
    value, needles = drawn
    raw = msgspec.json.encode(Scrubber().value(value))
    assert leaks(raw, needles) == []


@thorough
@given(planted_value())
def test_a_short_limit_leaves_no_half_of_a_secret(drawn: tuple[Any, list[str]]) -> None:
    value, needles = drawn
    scrubber = Scrubber(Policy(max_string=40, max_items=3, max_depth=4))
    assert leaks(msgspec.json.encode(scrubber.value(value)), needles) == []


@thorough
@given(planted_value())
def test_scrubbing_again_changes_nothing(drawn: tuple[Any, list[str]]) -> None:
    scrubber = Scrubber(Policy(emails=True, phones=True))
    once = scrubber.value(drawn[0])
    assert scrubber.value(once) == once


@thorough
@given(planted())
def test_scrubbing_a_record_again_changes_nothing(drawn: tuple[dict[str, Any], list[str]]) -> None:
    scrubber = Scrubber()
    once = scrubber.fields(drawn[0])
    assert scrubber.fields(once) == once


@thorough
@given(planted_value(), st.booleans())
def test_what_is_left_alone_would_not_have_changed(
    drawn: tuple[Any, list[str]], wary: bool
) -> None:
    scrubber = Scrubber(Policy(emails=wary, phones=wary, max_items=50))
    for fields in ({"messages": [drawn[0]]}, {"ai_metadata": {"usage": drawn[0]}}):
        once = scrubber.fields(fields)  # names are known from now on
        assert scrubber.harmless(fields) in (None, once)
        assert leaks(msgspec.json.encode(once), drawn[1]) == []


def test_a_plain_conversation_is_copied_as_it_is() -> None:
    scrubber = Scrubber()
    turn: dict[str, Any] = {
        "messages": [{"role": "user", "content": "How do I price a retainer?"}],
        "ai_metadata": {"usage": {"prompt_tokens": 5, "details": {"cached_tokens": 0}}},
    }
    scrubber.fields(turn)
    kept = scrubber.harmless(turn)
    assert kept == turn
    turn["messages"][0]["content"] = "changed"
    assert kept["messages"][0]["content"] == "How do I price a retainer?"
    secret = "sk-" + "a1B2" * 8
    assert scrubber.harmless({"messages": [{"role": "user", "content": secret}]}) is None
    assert scrubber.harmless({"ai_metadata": {"usage": {"prompt_tokens": secret}}}) is None


@thorough
@given(anything(), st.booleans())
def test_whatever_comes_in_can_be_encoded(value: Any, short: bool) -> None:
    policy = Policy(max_string=20, max_items=2, max_depth=2) if short else Policy()
    scrubbed = Scrubber(policy).value(value)
    assert msgspec.json.decode(msgspec.json.encode(scrubbed)) is not msgspec.UNSET


@thorough
@given(st.text(st.characters()))
def test_any_text_path_url_and_query_is_taken(text: str) -> None:
    scrubber = Scrubber(Policy(emails=True, phones=True, paths=("/a/{}/b",)))
    for scrub in (scrubber.text, scrubber.path, scrubber.url, scrubber.query):
        msgspec.json.encode(scrub(text))


WORDS = st.sampled_from(
    names(
        "partner contract invoice harbor meadow violet copper winter signal garden secretary"
        " passenger compass author keyboard pinned shipping Ünïcode naïve 東京 resets tokens"
    )
)
HARMLESS_KEYS = st.sampled_from(
    names(
        "id name title total_tokens input_tokens max_tokens token_count author authors session_id"
        " passenger compass secretary country_code status_code zip_code promo_code error_code"
        " keyboard pinned shipping created_at amount description state city items tags"
    )
)
HARMLESS_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(-1e9, 1e9)
    | st.lists(WORDS, max_size=8).map(" ".join)
    | st.uuids().map(str)
    | st.datetimes().map(lambda moment: moment.isoformat() + "Z")
    | WORDS.map(lambda word: f"https://cdn.example.com/images/{word}-2x.png?size=large&page=2")
)
HARMLESS = st.recursive(
    HARMLESS_LEAVES,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(HARMLESS_KEYS, inner, max_size=6),
    max_leaves=25,
)


@thorough
@given(st.dictionaries(HARMLESS_KEYS, HARMLESS, max_size=8))
def test_harmless_data_are_left_as_they_are(value: dict[str, Any]) -> None:
    assert Scrubber().value(value) == value


@thorough
@given(planted_value())
def test_the_callers_own_objects_are_not_changed(drawn: tuple[Any, list[str]]) -> None:
    value = [drawn[0], {"password": "x", "list": ["Bearer abc123def456", {"token": 5}]}]
    before = repr(value)
    Scrubber().value(value)
    assert repr(value) == before
