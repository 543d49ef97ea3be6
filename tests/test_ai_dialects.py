"""Tokens in every dialect: each in one bucket, none twice, the buckets add up to the total."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeward.ai.genai import ai_conversation
from lakeward.ai.genai_tokens import WHOLES, tokens
from lakeward.ai.spans import Span
from lakeward.catalog.ai import TOKEN_BUCKETS
from lakeward.catalog.placement import arrange
from lakeward.interaction import JsonObject
from lakeward.server.compat.posthog import DIALECT
from lakeward.server.compat.posthog_ai import COUNTS
from recorded_clients import call, events


class Used(msgspec.Struct, frozen=True):
    """What a turn used: each token in one of these."""

    fresh: int
    read: int
    written: int
    spoken: int
    reasoned: int

    @property
    def asked(self) -> int:
        return self.fresh + self.read + self.written

    @property
    def answered(self) -> int:
        return self.spoken + self.reasoned

    @property
    def total(self) -> int:
        return self.asked + self.answered

    @property
    def buckets(self) -> dict[str, int]:
        return {
            "input_tokens": self.fresh,
            "cache_read_tokens": self.read,
            "cache_write_tokens": self.written,
            "output_tokens": self.spoken,
            "reasoning_tokens": self.reasoned,
        }


VECTOR = Used(86, 17_817, 0, 188, 0)
"""The public one: prompt 17,903 of which cached 17,817, completion 188."""
counts = st.integers(0, 2_000_000)
uses = st.builds(Used, counts, counts, counts, counts, counts)


def of_span(usage: JsonObject, scope: str = "") -> JsonObject:
    """The record of a span with these attributes."""
    attributes = {"gen_ai.operation.name": "chat", **usage}
    span = Span("1" * 32, "2" * 16, "", "chat", 3, 1, 2, attributes, [], [], 0, "", {}, scope)
    record = ai_conversation(span)[0]
    return arrange(record.pop("interaction_type"), record)["ai_metadata"]  # type: ignore[no-any-return]  # JSON


def of_posthog(properties: JsonObject) -> JsonObject:
    """The record of a generation with these properties."""
    content = {"event": "$ai_generation", "distinct_id": "u1", "properties": properties}
    [record] = events(DIALECT, call("/batch/", {"batch": [content]}))
    return arrange(record.pop("interaction_type"), record)["ai_metadata"]  # type: ignore[no-any-return]  # JSON


def today(used: Used) -> JsonObject:
    """OpenTelemetry's conventions of today: the parts are in their wholes, no total."""
    return of_span({
        "gen_ai.usage.input_tokens": used.asked,
        "gen_ai.usage.output_tokens": used.answered,
        "gen_ai.usage.cache_read.input_tokens": used.read,
        "gen_ai.usage.cache_write.input_tokens": used.written,
        "gen_ai.usage.reasoning.output_tokens": used.reasoned,
    }, "opentelemetry.util.genai.handler")  # fmt: skip


def before(used: Used) -> JsonObject:
    """The older names."""
    return of_span({
        "gen_ai.system": "openai",
        "gen_ai.usage.prompt_tokens": used.asked,
        "gen_ai.usage.completion_tokens": used.answered,
        "gen_ai.usage.cache_read_input_tokens": used.read,
        "gen_ai.usage.cache_creation_input_tokens": used.written,
        "gen_ai.usage.output_tokens.reasoning": used.reasoned,
    })  # fmt: skip


def openllmetry(used: Used) -> JsonObject:
    """OpenLLMetry 0.62, for OpenAI and for Anthropic: as today's, with the total."""
    return of_span({
        "gen_ai.usage.input_tokens": used.asked,
        "gen_ai.usage.output_tokens": used.answered,
        "gen_ai.usage.total_tokens": used.total,
        "gen_ai.usage.cache_read.input_tokens": used.read,
        "gen_ai.usage.cache_creation.input_tokens": used.written,
        "gen_ai.usage.reasoning_tokens": used.reasoned,
    }, "opentelemetry.instrumentation.anthropic")  # fmt: skip


def openllmetry_before(used: Used) -> JsonObject:
    """OpenLLMetry of the years before."""
    return of_span({
        "gen_ai.usage.prompt_tokens": used.asked,
        "gen_ai.usage.completion_tokens": used.answered,
        "llm.usage.total_tokens": used.total,
        "gen_ai.usage.cache_read_input_tokens": used.read,
        "gen_ai.usage.cache_creation_input_tokens": used.written,
        "gen_ai.usage.reasoning_tokens": used.reasoned,
    })  # fmt: skip


def beside(used: Used) -> JsonObject:
    """A sender whose caches stand beside the input, as Bedrock counts; the total says so."""
    return of_span({
        "gen_ai.usage.input_tokens": used.fresh,
        "gen_ai.usage.output_tokens": used.answered,
        "gen_ai.usage.total_tokens": used.total,
        "gen_ai.usage.cache_read_input_tokens": used.read,
        "gen_ai.usage.cache_write_input_tokens": used.written,
        "gen_ai.usage.reasoning_tokens": used.reasoned,
    })  # fmt: skip


def posthog_openai(used: Used) -> JsonObject:
    return of_posthog({
        "$ai_provider": "openai",
        "$ai_input_tokens": used.asked,
        "$ai_output_tokens": used.answered,
        "$ai_cache_read_input_tokens": used.read,
        "$ai_cache_creation_input_tokens": used.written,
        "$ai_reasoning_tokens": used.reasoned,
    })  # fmt: skip


def posthog_anthropic(used: Used) -> JsonObject:
    return of_posthog({
        "$ai_provider": "anthropic",
        "$ai_input_tokens": used.fresh,
        "$ai_output_tokens": used.answered,
        "$ai_cache_read_input_tokens": used.read,
        "$ai_cache_creation_input_tokens": used.written,
        "$ai_reasoning_tokens": used.reasoned,
    })  # fmt: skip


SPEAKERS: list[Callable[[Used], JsonObject]] = [
    today, before, openllmetry, openllmetry_before, beside, posthog_openai, posthog_anthropic,
]  # fmt: skip


def buckets(record: JsonObject) -> dict[str, int]:
    return {name: record[name] for name in TOKEN_BUCKETS if name in record}


@pytest.mark.parametrize("speak", SPEAKERS)
@given(used=uses)
def test_each_token_is_in_one_bucket(speak: Callable[[Used], JsonObject], used: Used) -> None:
    record = speak(used)
    assert buckets(record) == used.buckets
    assert record["total_tokens"] == used.total
    assert record["tokens_source"] == "reported"


@pytest.mark.parametrize("speak", SPEAKERS)
def test_the_public_vector_is_the_same_in_every_dialect(
    speak: Callable[[Used], JsonObject],
) -> None:
    assert buckets(speak(VECTOR)) == VECTOR.buckets
    assert speak(VECTOR)["total_tokens"] == 18_091


numbers = st.one_of(
    st.integers(-5, 300), st.integers(0, 2**60), st.floats(), st.text(max_size=3), st.none(),
    st.booleans(), st.just("42"), st.lists(st.integers(), max_size=2),
)  # fmt: skip
names = sorted(name for names in WHOLES.values() for name in names)


@given(usage=st.dictionaries(st.sampled_from(names), numbers))
def test_whatever_a_span_says_the_buckets_add_up(usage: dict[str, Any]) -> None:
    told = {f"gen_ai.usage.{name}": value for name, value in usage.items()}
    record = of_span(told)
    found = buckets(record)
    assert all(count >= 0 for count in found.values())
    assert sum(found.values()) == record.get("total_tokens", 0)
    assert record["tokens_source"] == ("reported" if found else "none")


@given(given=st.dictionaries(st.sampled_from(sorted(COUNTS.values())), numbers))
def test_whatever_posthog_says_the_buckets_add_up(given: dict[str, Any]) -> None:
    record = of_posthog(given)
    found = buckets(record)
    assert all(count >= 0 for count in found.values())
    assert sum(found.values()) == record.get("total_tokens", 0)


def test_a_side_that_nobody_told_is_not_zero() -> None:
    assert tokens({"input_tokens": 100}) | {"usage": 0} == {
        "input_tokens": 100, "total_tokens": 100, "tokens_source": "reported", "usage": 0,
    }  # fmt: skip
    assert "input_tokens" not in tokens({"output_tokens": 7})
    told = tokens({"input_tokens": 10, "total_tokens": 130})
    assert (told["input_tokens"], told["output_tokens"], told["total_tokens"]) == (10, 120, 130)


def test_audio_and_images_are_taken_out_of_the_text() -> None:
    record = of_span({
        "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 500,
        "gen_ai.usage.cache_read.input_tokens": 300, "gen_ai.usage.audio.input_tokens": 250,
        "gen_ai.usage.audio.cache_read.input_tokens": 50, "gen_ai.usage.image.input_tokens": 100,
        "gen_ai.usage.audio.output_tokens": 200, "gen_ai.usage.reasoning.output_tokens": 40,
    })  # fmt: skip
    assert buckets(record) == {
        "input_tokens": 400, "cache_read_tokens": 300, "output_tokens": 260,
        "reasoning_tokens": 40, "audio_input_tokens": 200, "audio_output_tokens": 200,
        "image_tokens": 100,
    }  # fmt: skip
    assert record["total_tokens"] == 1500
