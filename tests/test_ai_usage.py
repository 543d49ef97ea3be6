"""Tokens of every dialect: each is in one bucket, and the buckets add up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeward.ai.usage import buckets
from lakeward.catalog import arrange
from lakeward.catalog.ai import TOKEN_BUCKETS

COUNT = st.integers(0, 10**7)


def parts(told: dict[str, Any]) -> dict[str, int]:
    return {name: told[name] for name in TOKEN_BUCKETS if name in told}


@pytest.mark.parametrize(("usage", "dialect"), [
    ({"prompt_tokens": 17_903, "completion_tokens": 188, "total_tokens": 18_091,
      "prompt_tokens_details": {"cached_tokens": 17_817}}, "openai"),
    ({"input_tokens": 17_903, "output_tokens": 188, "total_tokens": 18_091,
      "input_tokens_details": {"cached_tokens": 17_817}}, "responses"),
    ({"input_tokens": 86, "cache_read_input_tokens": 17_817, "output_tokens": 188}, "anthropic"),
    ({"promptTokenCount": 17_903, "cachedContentTokenCount": 17_817,
      "candidatesTokenCount": 188, "totalTokenCount": 18_091}, "gemini"),
    ({"inputTokens": 86, "cacheReadInputTokens": 17_817, "outputTokens": 188}, "bedrock"),
    ({"prompt_tokens": 17_903, "prompt_cache_hit_tokens": 17_817, "completion_tokens": 188}, ""),
    ({"input_tokens": 86, "cache_read_input_tokens": 17_817, "output_tokens": 188}, ""),
])  # fmt: skip
def test_the_public_vector_is_the_same_in_every_dialect(usage: Any, dialect: str) -> None:
    told = buckets(usage, dialect)
    assert parts(told) == {"input_tokens": 86, "cache_read_tokens": 17_817, "output_tokens": 188}
    assert told["total_tokens"] == 18_091
    assert told["tokens_source"] == "reported"
    assert told["usage"] == usage


@pytest.mark.parametrize(("usage", "dialect", "expected"), [
    # Written for five minutes and for an hour.
    ({"input_tokens": 10, "output_tokens": 4, "cache_creation":
      {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 12}}, "anthropic",
     {"input_tokens": 10, "cache_write_tokens": 42, "output_tokens": 4}),
    ({"input_tokens": 10, "output_tokens": 40,
      "output_tokens_details": {"thinking_tokens": 25}}, "anthropic",
     {"input_tokens": 10, "output_tokens": 15, "reasoning_tokens": 25}),
    # Sound and pictures are parts of prompt and answer.
    ({"prompt_tokens": 100, "completion_tokens": 50,
      "prompt_tokens_details": {"cached_tokens": 20, "audio_tokens": 30, "image_tokens": 10},
      "completion_tokens_details": {"reasoning_tokens": 5, "audio_tokens": 15}}, "openai",
     {"input_tokens": 40, "cache_read_tokens": 20, "audio_input_tokens": 30, "image_tokens": 10,
      "output_tokens": 30, "reasoning_tokens": 5, "audio_output_tokens": 15}),
    # Sound that was cached is not counted twice.
    ({"prompt_tokens": 100, "completion_tokens": 0,
      "prompt_tokens_details": {"cached_tokens": 90, "audio_tokens": 40}}, "openai",
     {"cache_read_tokens": 90, "audio_input_tokens": 10}),
    # The sum says that reasoning stands beside the answer.
    ({"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 130,
      "completion_tokens_details": {"reasoning_tokens": 100}}, "openai",
     {"input_tokens": 10, "output_tokens": 20, "reasoning_tokens": 100}),
    ({"prompt_tokens": 10, "completion_tokens": 200, "total_tokens": 210,
      "completion_tokens_details": {"reasoning_tokens": 100}}, "openai",
     {"input_tokens": 10, "output_tokens": 100, "reasoning_tokens": 100}),
    # Thoughts of Gemini always do; what tools put into the prompt is prompt.
    ({"promptTokenCount": 10, "toolUsePromptTokenCount": 5, "thoughtsTokenCount": 7,
      "candidatesTokenCount": 3,
      "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 4}]}, "",
     {"input_tokens": 11, "audio_input_tokens": 4, "output_tokens": 3, "reasoning_tokens": 7}),
    ({"prompt_tokens": 9, "total_tokens": 9}, "embeddings", {"input_tokens": 9}),
    ({"prompt_eval_count": 12, "eval_count": 5}, "", {"input_tokens": 12, "output_tokens": 5}),
    ({"total_tokens": 30, "completion_tokens": 10}, "", {"input_tokens": 20, "output_tokens": 10}),
    # More than the whole: it cannot have been among it.
    ({"prompt_tokens": 10, "completion_tokens": 1,
      "prompt_tokens_details": {"cached_tokens": 100}}, "openai",
     {"input_tokens": 10, "cache_read_tokens": 100, "output_tokens": 1}),
])  # fmt: skip
def test_each_token_is_in_one_bucket(usage: Any, dialect: str, expected: dict[str, int]) -> None:
    told = buckets(usage, dialect)
    assert {name: count for name, count in parts(told).items() if count} == expected
    assert told["total_tokens"] == sum(expected.values())


@pytest.mark.parametrize("usage", [
    {}, {"prompt_tokens": None}, {"prompt_tokens": -1, "completion_tokens": "188"},
    {"prompt_tokens": True}, {"prompt_tokens": float("nan")}, {"prompt_tokens": 10**30},
    {"total_tokens": []}, {"prompt_tokens_details": {"cached_tokens": 5}},
])  # fmt: skip
def test_what_is_no_count_is_not_one(usage: dict[str, Any]) -> None:
    told = buckets(usage, "openai")
    assert told["tokens_source"] == "none"
    assert parts(told) == {}
    assert "total_tokens" not in told


def test_a_total_alone_is_in_no_bucket_unless_it_is_of_embeddings() -> None:
    assert parts(buckets({"total_tokens": 30}, "openai")) == {}
    assert buckets({"total_tokens": 30}, "openai")["total_tokens"] == 30
    assert parts(buckets({"total_tokens": 30}, "embeddings")) == {"input_tokens": 30}


def test_a_usage_that_cannot_be_read_says_nothing() -> None:
    class Broken(dict[str, Any]):
        def items(self) -> Any:
            raise RuntimeError

    assert buckets(Broken(prompt_tokens=5)) == {"tokens_source": "none"}


@st.composite
def openai(draw: st.DrawFn) -> tuple[dict[str, Any], str, int]:
    """A usage by OpenAI's rules, and how many tokens it speaks of."""
    read, written, fresh = draw(COUNT), draw(COUNT), draw(COUNT)
    heard, seen, reasoned, spoken, said = (draw(COUNT) for _ in range(5))
    asked, answered = read + written + fresh + heard + seen, reasoned + spoken + said
    before, after = draw(st.sampled_from([("prompt", "completion"), ("input", "output")]))
    usage = {
        f"{before}_tokens": asked, f"{after}_tokens": answered, "total_tokens": asked + answered,
        f"{before}_tokens_details": {"cached_tokens": read, "cache_write_tokens": written,
                                     "audio_tokens": heard, "image_tokens": seen},
        f"{after}_tokens_details": {"reasoning_tokens": reasoned, "audio_tokens": spoken},
    }  # fmt: skip
    dialect = draw(st.sampled_from(["openai", "responses", "inclusive"]))
    return usage, dialect, asked + answered


@st.composite
def anthropic(draw: st.DrawFn) -> tuple[dict[str, Any], str, int]:
    fresh, read, written, said = (draw(COUNT) for _ in range(4))
    thought = draw(st.integers(0, said))
    usage = {
        "input_tokens": fresh, "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written, "output_tokens": said,
        "output_tokens_details": {"thinking_tokens": thought},
    }  # fmt: skip
    return (
        usage,
        draw(st.sampled_from(["anthropic", "exclusive", ""])),
        fresh + read + written + said,
    )


@st.composite
def gemini(draw: st.DrawFn) -> tuple[dict[str, Any], str, int]:
    prompt, tools, said, thought = (draw(COUNT) for _ in range(4))
    usage = {
        "promptTokenCount": prompt, "cachedContentTokenCount": draw(st.integers(0, prompt)),
        "toolUsePromptTokenCount": tools, "candidatesTokenCount": said,
        "thoughtsTokenCount": thought, "totalTokenCount": prompt + tools + said + thought,
    }  # fmt: skip
    return usage, draw(st.sampled_from(["gemini", ""])), prompt + tools + said + thought


@st.composite
def bedrock(draw: st.DrawFn) -> tuple[dict[str, Any], str, int]:
    fresh, read, written, said = (draw(COUNT) for _ in range(4))
    usage = {"inputTokens": fresh, "cacheReadInputTokens": read, "cacheWriteInputTokens": written,
             "outputTokens": said, "totalTokens": fresh + read + written + said}  # fmt: skip
    return usage, draw(st.sampled_from(["bedrock", ""])), fresh + read + written + said


@given(st.one_of(openai(), anthropic(), gemini(), bedrock()))
def test_buckets_sum_to_the_providers_total_in_every_dialect(
    told: tuple[dict[str, Any], str, int],
) -> None:
    usage, dialect, total = told
    found = buckets(usage, dialect)
    assert sum(parts(found).values()) == found["total_tokens"] == total
    assert found["usage"] == usage
    arrange("ai_conversation", found)


NAMES = st.sampled_from([
    "prompt_tokens", "input_tokens", "completion_tokens", "output_tokens", "total_tokens",
    "prompt_tokens_details", "cached_tokens", "audio_tokens", "reasoning_tokens",
    "completion_tokens_details", "cache_read_input_tokens", "cache_creation", "promptTokenCount",
    "thoughtsTokenCount", "promptTokensDetails", "cache_creation_input_tokens",
])  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, JSON, max_size=8), st.sampled_from(["", "openai", "anthropic"]))
def test_whatever_comes_the_buckets_are_exclusive(usage: dict[str, Any], dialect: str) -> None:
    found = buckets(usage, dialect)
    assert all(count >= 0 for count in parts(found).values())
    if parts(found):
        assert sum(parts(found).values()) == found["total_tokens"]
    assert (found["tokens_source"] == "reported") == ("total_tokens" in found)
