"""What turns cost: the library's sums to the last digit, own prices, and no price where none is."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from genai_prices.data import providers
from genai_prices.types import ModelInfo, Provider, Usage
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeward.errors import MissingExtra, SettingError
from lakeward.lake import prices as prices_module
from lakeward.lake.pricelist import PriceList, parse, read
from lakeward.lake.prices import Asked, Priced, Prices, available
from lakeward.lake.rates import BUCKETS, Cost, Rates, Tiered

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
GPT_4O = Asked("openai", "gpt-4o-2024-08-06", "gpt-4o")
PRICES = Prices()

COUNTS = st.dictionaries(st.sampled_from(BUCKETS), st.integers(0, 2_000_000), max_size=9)
MOMENTS = st.datetimes(
    datetime(2023, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)
)  # fmt: skip


@cache
def listed() -> list[tuple[Provider, ModelInfo, str]]:
    """All models that are found by their id; to look takes seconds."""
    return [
        (provider, model, model.id)
        for provider in providers
        for model in provider.models
        if provider.find_model(model.id) is model
    ]


LISTED = st.deferred(lambda: st.sampled_from(listed()))


def usage_of(counts: dict[str, int]) -> Usage:
    """The same tokens in the library's inclusive units, its overlaps said to be empty."""

    def get(*names: str) -> int:
        return sum(counts.get(name, 0) for name in names)

    return Usage(
        input_tokens=get(*BUCKETS[:6]),
        cache_read_tokens=get("cache_read_tokens"),
        cache_write_tokens=get("cache_write_tokens", "cache_write_1h_tokens"),
        cache_write_1h_tokens=get("cache_write_1h_tokens"),
        input_audio_tokens=get("audio_input_tokens"),
        input_image_tokens=get("image_tokens"),
        output_tokens=get(*BUCKETS[6:]),
        output_reasoning_tokens=get("reasoning_tokens"),
        output_audio_tokens=get("audio_output_tokens"),
        cache_audio_read_tokens=0,
        cache_image_read_tokens=0,
        output_video_tokens=0,
        output_image_tokens=0,
        output_citation_tokens=0,
        input_video_tokens=0,
    )


def price(asked: Asked, counts: dict[str, int], at: datetime = NOW, **more: Any) -> Priced:
    found = PRICES.price(asked, counts, at, **more)
    assert found is not None
    return found


@settings(max_examples=1000)
@given(LISTED, COUNTS, MOMENTS)
def test_the_cost_is_that_of_genai_prices_to_the_last_digit(
    listed: tuple[Provider, ModelInfo, str], counts: dict[str, int], at: datetime
) -> None:
    provider, model, name = listed
    found = PRICES.price(Asked(provider.id, name), counts, at)
    if found is None:
        return
    theirs = model.calc_price(usage_of(counts), provider, genai_request_timestamp=at)
    assert found.cost.prompt == theirs.input_price
    assert found.cost.answer == theirs.output_price
    assert found.cost.total == theirs.total_price


def test_nearly_every_listed_model_has_a_price_for_texts() -> None:
    texts = {"input_tokens": 10, "output_tokens": 5}
    without = [m.id for p, m, name in listed() if not PRICES.price(Asked(p.id, name), texts, NOW)]
    assert len(without) < len(listed()) * 0.08


@given(LISTED, COUNTS, st.sampled_from(BUCKETS), st.integers(0, 10**6), MOMENTS)
def test_more_tokens_cost_no_less(
    listed: tuple[Provider, ModelInfo, str], counts: dict[str, int], bucket: str, more: int,
    at: datetime,
) -> None:  # fmt: skip
    asked = Asked(listed[0].id, listed[2])
    less, larger = counts, counts | {bucket: counts.get(bucket, 0) + more}
    one, other = PRICES.price(asked, less, at), PRICES.price(asked, larger, at)
    if one is not None and other is not None:
        assert other.cost.total >= one.cost.total


@given(COUNTS, COUNTS)
def test_two_turns_cost_together_what_they_cost_one_by_one(
    one: dict[str, int], other: dict[str, int]
) -> None:
    both = {name: one.get(name, 0) + other.get(name, 0) for name in BUCKETS}
    total = price(GPT_4O, one).cost.total + price(GPT_4O, other).cost.total
    assert price(GPT_4O, both).cost.total == total


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_cached_tokens_cost_no_more_than_others(cached: int, others: int) -> None:
    for asked in (
        GPT_4O,
        Asked("anthropic", "claude-sonnet-4-5"),
        Asked("google", "gemini-2.5-pro"),
    ):
        with_cache = {"input_tokens": others, "cache_read_tokens": cached}
        without = {"input_tokens": others + cached}
        assert price(asked, with_cache).cost.total <= price(asked, without).cost.total


def test_the_published_vector_of_a_cached_prompt() -> None:
    counts = {"input_tokens": 86, "cache_read_tokens": 17817, "output_tokens": 188}
    found = price(GPT_4O, counts)
    assert found.cost == Cost(Decimal("0.02436625"), Decimal("0.02248625"), Decimal("0.00188"))
    assert found.source == "genai-prices"


def test_a_price_is_that_of_the_day_of_the_turn() -> None:
    tokens = {"input_tokens": 1_000_000}
    asked = Asked("openai", "o3")
    before = price(asked, tokens, datetime(2025, 6, 9, tzinfo=UTC))
    after = price(asked, tokens, datetime(2025, 6, 11, tzinfo=UTC))
    assert [before.cost.total, after.cost.total] == [10, 2]


def test_a_long_prompt_has_the_rate_of_its_tier_for_all_tokens() -> None:
    asked = Asked("google", "gemini-2.5-pro")
    at_most = price(asked, {"input_tokens": 200_000}).cost.total
    beyond = price(asked, {"input_tokens": 200_001}).cost.total
    assert beyond > at_most * Decimal("1.9")


def test_the_model_that_answered_comes_before_the_one_that_was_asked_for() -> None:
    tokens = {"input_tokens": 1_000_000}
    assert price(Asked("openai", "gpt-4o-mini", "gpt-4o"), tokens).cost.total == Decimal("0.15")
    assert price(Asked("openai", "unheard-of", "gpt-4o"), tokens).cost.total == Decimal("2.5")


@pytest.mark.parametrize(
    "asked",
    [
        Asked("openai", "unheard-of"),
        Asked("ollama", "gpt-4o"),
        Asked("", "unheard-of"),
        Asked("openai", ""),
        Asked(),
        Asked("github-copilot", "gpt-4o"),
    ],
    ids=["model", "provider", "neither", "unnamed", "nothing", "no rate listed"],
)
def test_what_nobody_lists_has_no_price_rather_than_zero(asked: Asked) -> None:
    assert PRICES.price(asked, {"input_tokens": 5, "output_tokens": 5}, NOW) is None


def test_a_bucket_without_a_rate_leaves_the_whole_turn_without_a_price() -> None:
    embeddings = Asked("openai", "text-embedding-3-small")
    assert price(embeddings, {"input_tokens": 8}).cost.total > 0
    speech = Asked("openai", "tts-1")
    assert PRICES.price(speech, {"input_tokens": 8, "output_tokens": 8}, NOW) is None


def test_a_model_that_is_free_costs_zero() -> None:
    found = price(Asked("openrouter", "gemma-3-27b-it:free"), {"input_tokens": 5})
    assert found.cost == Cost(Decimal(0), Decimal(0), Decimal(0))


@pytest.mark.parametrize(
    ("name", "model"),
    [("azure.ai.openai", "gpt-4o"), ("aws.bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
     ("gcp.vertex_ai", "gemini-2.5-pro"), ("gcp.gen_ai", "gemini-2.5-pro"), ("x_ai", "grok-4"),
     ("mistral_ai", "mistral-large-latest"), ("deepseek", "deepseek-chat"), ("", "gpt-4o"),
     ("OpenAI", "GPT-4o")],
)  # fmt: skip
def test_providers_are_found_by_the_names_of_opentelemetry(name: str, model: str) -> None:
    assert price(Asked(name, model), {"input_tokens": 1000, "output_tokens": 10}).cost.total > 0


def test_tiers_of_service_have_prices_of_their_own() -> None:
    tokens = {"input_tokens": 1_000_000}
    standard = price(GPT_4O, tokens).cost.total
    assert price(GPT_4O, tokens, context={"processing": "batch"}).cost.total == standard / 2
    assert price(GPT_4O, tokens, context={"service_tier": "auto"}).cost.total == standard


def test_the_version_names_package_and_table() -> None:
    assert price(GPT_4O, {"input_tokens": 1}).version.partition("+")[0] == "0.2.3"
    assert len(price(GPT_4O, {"input_tokens": 1}).version.partition("+")[2]) == 12


def test_prices_reach_for_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    found = Prices().price(GPT_4O, {"input_tokens": 1}, NOW)
    assert found is not None


# Prices of the user's own.

OWN = """
[[price]]
provider = "openai"
model = "gpt-4o*"
until = 2026-07-01
input = 1.5
output = 6
cache_read = 0.1

[[price]]
model = "GPT-4o*"
from = 2026-07-01
input = 2
output = 8
reasoning = 9
request = 0.005

[[price.tiers]]
above = 1000
input = 4
cache_read = 1

[[price]]
model = "house-embedder"
input = 0.01
"""


def own(tmp_path: Path, text: str = OWN) -> Prices:
    path = tmp_path / "prices.toml"
    path.write_text(text)
    return Prices(path)


def total(prices: Prices, asked: Asked, day: str, **counts: int) -> Decimal | None:
    at = datetime.fromisoformat(day).replace(tzinfo=UTC)
    found = prices.price(asked, {f"{k}_tokens": v for k, v in counts.items()}, at)
    return None if found is None else found.cost.total


def test_own_prices_win_on_their_days_and_for_their_models(tmp_path: Path) -> None:
    prices = own(tmp_path)
    million = 1_000_000
    assert total(prices, GPT_4O, "2026-06-30", input=million) == Decimal("1.5")
    assert total(prices, GPT_4O, "2026-06-30", input=million, cache_read=million) == Decimal("1.6")
    assert total(prices, GPT_4O, "2026-07-01", input=1000) == Decimal("0.007")
    assert total(prices, GPT_4O, "2026-07-01", reasoning=million) == Decimal("9.005")
    assert total(prices, GPT_4O, "2026-07-01", audio_output=million) == Decimal("8.005")
    other = Asked("openai", "gpt-4.1")
    assert total(prices, other, "2026-07-01", input=million) == 2


def test_own_tiers_are_for_all_tokens_of_a_longer_prompt(tmp_path: Path) -> None:
    prices = own(tmp_path)
    long = total(prices, GPT_4O, "2026-08-01", input=1000, cache_read=1, output=10)
    assert long == (4 * 1000 + 1 + 8 * 10) / Decimal(1_000_000) + Decimal("0.005")
    written = total(prices, GPT_4O, "2026-08-01", cache_write=2000)
    assert written == 4 * 2000 / Decimal(1_000_000) + Decimal("0.005")


def test_an_own_row_without_a_rate_for_answers_prices_no_answer(tmp_path: Path) -> None:
    prices = own(tmp_path)
    assert total(prices, Asked("", "house-embedder"), "2026-08-01", input=10**6) == Decimal("0.01")
    assert total(prices, Asked("", "house-embedder"), "2026-08-01", output=1) is None


def test_the_version_of_own_prices_is_the_hash_of_their_file(tmp_path: Path) -> None:
    found = own(tmp_path).price(GPT_4O, {"input_tokens": 1}, NOW)
    assert found is not None
    assert found.source == "own"
    assert found.version == parse(OWN.encode(), "x").version
    assert found.version != parse(OWN.encode() + b"\n", "x").version


def test_own_prices_need_no_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(name: str) -> object:
        return None if name in {"genai_prices", "rs_bpe"} else find_spec(name)

    monkeypatch.setattr(prices_module, "find_spec", gone)
    assert not available()
    prices = own(tmp_path)
    assert total(prices, GPT_4O, "2026-06-30", input=1_000_000) == Decimal("1.5")
    with pytest.raises(MissingExtra, match=r"pip install 'lakeward\[ai\]'"):
        total(prices, Asked("openai", "gpt-4.1"), "2026-06-30", input=1)


ROW = '[[price]]\nmodel = "m"\ninput = 1\n'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[price", "is not TOML"),
        ("price = 5", r"price must be up to 10000 rows that begin \[\[price\]\]"),
        ("price = [5]", r"row 1 must be a table that begins \[\[price\]\]"),
        ("prices = []", "'prices' is unknown; the keys are currency, price"),
        ('currency = "EUR"', 'currency must be "USD"; convert the prices'),
        (f"{ROW}{ROW}outputt = 2", "row 2: 'outputt' is unknown; the keys are provider, model"),
        ("[[price]]\ninput = 1", 'row 1: model is missing; name one, such as model = "gpt-4o'),
        ('[[price]]\nmodel = "m"', "row 1: input is missing; give USD for a million tokens"),
        ("[[price]]\nmodel = 5\ninput = 1", "row 1: model must be text of up to 200 letters"),
        (f"{ROW}output = -1", "row 1: output must be US dollars from 0 to 1000000, such as 2.5"),
        (f'{ROW}output = "2"', "row 1: output must be US dollars"),
        (f"{ROW}output = nan", "row 1: output must be US dollars"),
        (f"{ROW}output = inf", "row 1: output must be US dollars"),
        (f"{ROW}output = true", "row 1: output must be US dollars"),
        (f'{ROW}from = "2026-01-01"', "row 1: from must be a day without quotes"),
        (f"{ROW}from = 2026-01-01T00:00:00Z", "row 1: from must be a day without quotes"),
        (f"{ROW}from = 2026-01-02\nuntil = 2026-01-02", "row 1: until must be a later day"),
        (f"{ROW}tiers = 5", r"row 1: tiers must be up to 20 that begin \[\[price.tiers\]\]"),
        (f"{ROW}[[price.tiers]]\ninput = 1", "row 1, tier 1: above must be a number of tokens"),
        (f"{ROW}[[price.tiers]]\nabove = 1\nx = 1", "row 1, tier 1: 'x' is unknown"),
        (
            f"{ROW}[[price.tiers]]\nabove = 5\n[[price.tiers]]\nabove = 5",
            "row 1, tier 2: above must be more than that of the tier before",
        ),
    ],
)
def test_a_wrong_file_is_refused_in_one_sentence_that_names_row_and_key(
    text: str, sentence: str
) -> None:
    with pytest.raises(SettingError, match=sentence) as caught:
        parse(text.encode(), "prices.toml")
    assert str(caught.value).startswith("prices.toml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x = " + b"[" * 5000, b"x = " + b"1" * 5000])
def test_bytes_that_are_no_file_of_prices_are_refused(content: bytes) -> None:
    with pytest.raises(SettingError, match="prices.toml is not"):
        parse(content, "prices.toml")


def test_a_file_that_cannot_be_read_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="which is not there"):
        read(tmp_path / "none.toml")
    with pytest.raises(SettingError, match="cannot be read"):
        read(tmp_path)
    assert read(None) == PriceList()


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_list_or_one_sentence(content: bytes) -> None:
    with suppress(SettingError):
        assert isinstance(parse(content, "prices.toml"), PriceList)


def test_a_rate_of_a_tier_is_for_prompts_that_are_longer() -> None:
    rates = Rates({"input_tokens": Tiered(Decimal(1), ((10, Decimal(2)), (20, Decimal(3))))})
    costs = [rates.cost({"input_tokens": n}) for n in (10, 11, 20, 21)]
    assert [cost and cost.total * 1_000_000 for cost in costs] == [10, 22, 40, 63]


def test_the_command_line_loads_no_prices() -> None:
    script = (
        "import sys\nimport lakeward.lake.prices, lakeward.lake.turns, lakeward.lake.enrich\n"
        "lakeward.lake.prices.Prices()\n"
        "assert not {'genai_prices', 'pydantic', 'rs_bpe'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
