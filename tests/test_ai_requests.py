"""A turn of several requests costs what its requests cost one by one."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeward.ai import AI
from lakeward.ai.genai_tokens import tokens
from lakeward.ai.usage import buckets, together
from lakeward.catalog import arrange
from lakeward.catalog.ai import TOKEN_BUCKETS
from lakeward.lake.turns import Turns
from lakeward.testing import MemoryCollector
from test_ai_usage import anthropic, bedrock, gemini, openai
from test_table import NOON

Row = dict[str, Any]
OWN = """
[[price]]
model = "long"
input = 1
output = 2
request = 0.5
search = 0.25
[[price.tiers]]
above = 1000
input = 10

[[price]]
model = "small"
input = 100
output = 100
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "prices.toml"
    path.write_text(OWN)
    return path


def turn_of(*answers: Any, **about: Any) -> Row:
    """The metadata of a turn in whose block these answers came."""
    collector = MemoryCollector()
    with AI(collector).conversation("c5", **about) as turn:
        for answer in answers:
            turn.answer(answer)
    assert collector.quarantined == []
    [record] = collector.records
    found: Row = record["ai_metadata"]
    return found


def priced(told: Row, own: Path | None = None, ms: int = NOON) -> Row:
    found: Row = json.loads(Turns(own).complete(json.dumps(told), None, ms) or "")
    return found


def chat(asked: int, said: int, model: str = "long") -> Row:
    return {"choices": [{"message": {"role": "assistant", "content": "So."}}], "model": model,
            "usage": {"prompt_tokens": asked, "completion_tokens": said}}  # fmt: skip


def claude(long: int, searches: int, model: str = "claude-sonnet-4-5-20250929") -> Row:
    return {
        "type": "message", "model": model, "content": [{"type": "text", "text": "So."}],
        "usage": {
            "input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 1000,
            "cache_creation": {"ephemeral_1h_input_tokens": long,
                               "ephemeral_5m_input_tokens": 1000 - long},
            "server_tool_use": {"web_search_requests": searches},
        },
    }  # fmt: skip


def test_the_tier_of_a_request_is_that_of_its_own_prompt_and_each_has_its_price(own: Path) -> None:
    told = turn_of(chat(900, 10), chat(900, 10), chat(2000, 10))
    found = priced(told, own)
    assert found["input_cost_usd"] == (900 + 900 + 2000 * 10) / 1e6
    assert found["output_cost_usd"] == 3 * 20 / 1e6
    assert found["cost_usd"] == (21800 + 60) / 1e6 + 3 * 0.5
    assert found["input_tokens"] == 3800


def test_requests_of_different_models_cost_what_their_own_models_cost(own: Path) -> None:
    told = turn_of(chat(100, 0, "small"), chat(100, 0), provider="openai", model="long")
    assert priced(told, own)["input_cost_usd"] == (100 * 100 + 100) / 1e6
    # Of a model that nobody lists the app's own choice says nothing where it did not answer.
    assert "cost_usd" not in priced(turn_of(chat(9, 1, "odd"), chat(9, 1), model="long"), own)


def test_a_turn_of_own_and_of_public_prices_names_both(own: Path) -> None:
    told = turn_of(chat(100, 0, "gpt-4o"), chat(100, 0), provider="openai")
    found = priced(told, own)
    assert found["price_source"] == "own+genai-prices"
    assert found["input_cost_usd"] == (100 * 2.5 + 100) / 1e6
    again = json.loads(Turns(own, again=True).complete(json.dumps(found), None, NOON) or "")
    assert again == found


def test_caches_of_an_hour_and_searches_of_each_request_are_paid() -> None:
    one, other = claude(400, 2), claude(0, 1)
    apart = [priced(turn_of(answer, provider="anthropic"))["cost_usd"] for answer in (one, other)]
    both = priced(turn_of(one, other, provider="anthropic"))
    assert both["cost_usd"] == pytest.approx(sum(apart), abs=1e-12)
    assert both["requests"][0]["cache_write_1h_tokens"] == 400
    assert [request["web_searches"] for request in both["requests"]] == [2, 1]
    short = priced(turn_of(claude(0, 0), claude(0, 0), provider="anthropic"))
    more = Decimal(3) * 10 / 1000 + Decimal(400) * (6 - Decimal("3.75")) / 1_000_000
    assert both["cost_usd"] - short["cost_usd"] == pytest.approx(float(more), abs=1e-12)


def test_searches_without_a_known_price_leave_the_turn_without_a_cost(own: Path) -> None:
    told: Row = {"model_answered": "long", "input_tokens": 10, "output_tokens": 0,
                 "usage": {"server_tool_use": {"web_search_requests": 2}}}  # fmt: skip
    assert priced(told, own)["cost_usd"] == 10 / 1e6 + 0.5 + 2 * 0.25
    assert "cost_usd" not in priced(told | {"model_answered": "small"}, own)


def test_what_a_tier_of_service_costs_is_that_of_the_request_it_served() -> None:
    answers = [claude(0, 0), claude(0, 0)]
    answers[1]["usage"]["service_tier"] = "batch"
    at = 1_793_000_000_000
    full, batch = [priced(turn_of(a, provider="anthropic"), ms=at)["cost_usd"] for a in answers]
    assert batch < full
    both = priced(turn_of(*answers, provider="anthropic"), ms=at)
    assert both["cost_usd"] == pytest.approx(full + batch, abs=1e-12)


def test_a_request_whose_tokens_nobody_knows_leaves_the_turn_without_a_cost(own: Path) -> None:
    silent = chat(0, 0) | {"usage": {"total_tokens": 50}}
    assert "cost_usd" not in priced(turn_of(chat(100, 1), silent), own)


@pytest.mark.parametrize("change", [
    {"input_tokens": 5000}, {"requests": []}, {"requests": [5]}, {"requests": "two"},
    {"requests": None}, {"requests": [{"input_tokens": -1}]},
])  # fmt: skip
def test_requests_that_are_not_the_turn_price_nothing(own: Path, change: Row) -> None:
    assert "cost_usd" not in priced(turn_of(chat(900, 10), chat(900, 10)) | change, own)


def test_what_an_instrumentation_saw_of_several_requests_is_priced_one_by_one(own: Path) -> None:
    collector = MemoryCollector()
    with AI(collector).conversation("c5") as turn:
        for asked in (900, 800, 2000):
            spoken = tokens({"input_tokens": asked, "output_tokens": 10})
            turn.heard({"status": "completed", "model_answered": "long", **spoken})
    [record] = collector.records
    told = record["ai_metadata"]
    assert [request["input_tokens"] for request in told["requests"]] == [900, 800, 2000]
    assert [usage["input_tokens"] for usage in told["usage"]["requests"]] == [900, 800, 2000]
    assert priced(told, own)["input_cost_usd"] == (1700 + 20000) / 1e6


def test_of_a_turn_of_very_many_requests_none_is_kept_and_nothing_is_guessed(own: Path) -> None:
    most = turn_of(*[chat(1, 1)] * 1000)
    assert len(most["requests"]) == 1000
    assert priced(most, own)["cost_usd"] == 500 + 3000 / 1e6
    more = turn_of(*[chat(1, 1)] * 1001)
    assert "requests" not in more
    assert more["input_tokens"] == 1001
    assert "cost_usd" not in priced(more, own)


def test_without_content_the_requests_are_kept_with_the_names_of_their_models(own: Path) -> None:
    collector = MemoryCollector({"LAKEWARD_AI_CONTENT": "none"})
    answers = [chat(9, 1, "claude-3-5@20240620")] * 60 + [chat(9, 1)] * 60
    with AI(collector).conversation("c5") as turn:
        for answer in answers:
            turn.answer(answer)
    [record] = collector.records
    kept = record["ai_metadata"]["requests"]
    assert [one["model_answered"] for one in kept] == [a["model"] for a in answers]
    assert all(one["input_tokens"] == 9 for one in kept)


USAGES = st.lists(st.one_of(openai(), anthropic(), gemini(), bedrock()), min_size=2, max_size=5)


@given(USAGES)
def test_the_buckets_of_the_requests_add_up_to_the_turns_in_every_dialect(
    told: list[tuple[Row, str, int]],
) -> None:
    found = together([(usage, dialect, {}) for usage, dialect, _ in told])
    sums: Counter[str] = Counter()
    for request, (usage, dialect, total) in zip(found["requests"], told, strict=True):
        alone = buckets(usage, dialect)
        names = [name for name in TOKEN_BUCKETS if name in alone]
        assert {n: request[n] for n in names} == {n: alone[n] for n in names}
        assert request["total_tokens"] == total
        sums.update({name: request.get(name, 0) for name in (*TOKEN_BUCKETS, "total_tokens")})
    assert dict(sums) == {name: found.get(name, 0) for name in (*TOKEN_BUCKETS, "total_tokens")}
    arrange("ai_conversation", found)
