"""Token buckets of a span: each token once, however its sender counts.

In: what a span says of usage, by names without `gen_ai.usage.`. Out: exclusive buckets, their sum,
and the usage as it came. Pure; nothing fails.

    input_tokens 17,903   cache_read 17,817              ->  input 86, cache_read 17,817
    input_tokens     10   cache_read 100   total 130     ->  input 10, cache_read 100, output 20
    output_tokens   188   reasoning 40                   ->  output 148, reasoning 40

The conventions count cached tokens among the input and reasoning among the output. So do the
instrumentations whose source was read: opentelemetry-instrumentation-openai-v2 2.4b0 (it passes on
what OpenAI counts, and on chats leaves out what was cached), OpenLLMetry's openai 0.62.4 (the same,
with the cached) and anthropic 0.62.4 (`_set_token_usage` adds both caches to Anthropic's own count,
which has neither). Strands passes on Bedrock's counts, which are exclusive, but tells the total, so
the total decides where it is told: it fits one way of counting. Parts that exceed their whole stand
beside it in any case.
"""

from __future__ import annotations

from lakeward.ai.attributes import whole
from lakeward.interaction import JsonObject

USAGE = "gen_ai.usage."
OLD_TOTAL = "llm.usage.total_tokens"
WHOLES: dict[str, tuple[str, ...]] = {
    "input": ("input_tokens", "prompt_tokens"),
    "output": ("output_tokens", "completion_tokens"),
    "cache_read": ("cache_read.input_tokens", "cache_read_input_tokens", "input_tokens.cached"),
    "cache_write": (
        "cache_creation.input_tokens", "cache_write.input_tokens", "cache_creation_input_tokens",
        "cache_write_input_tokens", "input_tokens.cache_write",
    ),
    "reasoning": ("reasoning.output_tokens", "reasoning_tokens", "output_tokens.reasoning"),
    "audio_input": ("audio.input_tokens",),
    "audio_output": ("audio.output_tokens",),
    "image": ("image.input_tokens",),
    "audio_cached": ("audio.cache_read.input_tokens",),
    "image_cached": ("image.cache_read.input_tokens",),
    "total": ("total_tokens",),
}  # fmt: skip
PART_OF = {name: part for part, names in WHOLES.items() for name in names}
RANK = {name: rank for names in WHOLES.values() for rank, name in enumerate(names)}
BOTH = frozenset({"input_tokens", "output_tokens"})
NO_BUCKETS = frozenset({"total", "audio_cached", "image_cached"})
ALWAYS = ("input", "output")
SOMETIMES = ("cache_read", "cache_write", "reasoning", "audio_input", "audio_output", "image")
MOST = 2**48


def tokens(usage: JsonObject) -> JsonObject:
    """Exclusive buckets, their sum, and the usage as it came."""
    if usage.keys() == BOTH:  # as most are
        asked, said = usage["input_tokens"], usage["output_tokens"]
        if type(asked) is int and type(said) is int and 0 <= asked < MOST and 0 <= said < MOST:
            return {"input_tokens": asked, "output_tokens": said, "total_tokens": asked + said,
                    "tokens_source": "reported", "usage": usage}  # fmt: skip
    found = _counts(usage)
    if found.keys() <= NO_BUCKETS:
        return {"tokens_source": "none"} | ({"usage": usage} if usage else {})
    buckets: JsonObject = {f"{part}_tokens": n for part, n in _exclusive(found).items()}
    total = sum(buckets.values())
    return buckets | {"total_tokens": total, "tokens_source": "reported", "usage": usage}


def _counts(usage: JsonObject) -> dict[str, int]:
    """What each part has; where it has several names, the first of them that is a count."""
    found: dict[str, int] = {}
    ranks: dict[str, int] = {}
    for name, value in usage.items():
        part, count = PART_OF.get(name), whole(value)
        if part is None or count is None or not 0 <= count < MOST:
            continue
        if part not in found or RANK[name] < ranks[part]:
            found[part], ranks[part] = count, RANK[name]
    return found


def _exclusive(found: dict[str, int]) -> dict[str, int]:
    """The buckets, each without what stands in another."""
    buckets = {part: found.get(part, 0) for part in ALWAYS}
    buckets |= {part: found[part] for part in SOMETIMES if part in found}
    cached = found.get("cache_read", 0) + found.get("cache_write", 0)
    reasoning = found.get("reasoning", 0)
    within, thought_within = _counted(buckets, cached, reasoning, found.get("total"))
    if within:
        buckets["input"] -= cached
    if thought_within:
        buckets["output"] -= reasoning
    for part, in_cache in (("audio_input", "audio_cached"), ("image", "image_cached")):
        if part in buckets:
            buckets[part] = _without(buckets[part], found.get(in_cache, 0))
            buckets["input"] = _without(buckets["input"], buckets[part])
    buckets["output"] = _without(buckets["output"], found.get("audio_output", 0))
    return _said(buckets, found)


def _said(buckets: dict[str, int], found: dict[str, int]) -> dict[str, int]:
    """The buckets without a side that nobody told; where the total is told, it is the rest."""
    unsaid = [part for part in ALWAYS if part not in found]
    said = {part: count for part, count in buckets.items() if part not in unsaid}
    rest = found.get("total", 0) - sum(said.values())
    if len(unsaid) == 1 and rest > 0:
        said[unsaid[0]] = rest
    return said


def _counted(
    wholes: dict[str, int], cached: int, reasoning: int, total: int | None
) -> tuple[bool, bool]:
    """Whether the cached tokens are among the input, and the reasoning among the output."""
    asked, answered = wholes["input"], wholes["output"]
    ways = ((True, True), (False, True), (True, False), (False, False))
    fits = [
        (cached_in, thought_in)
        for cached_in, thought_in in ways
        if (asked >= cached or not cached_in) and (answered >= reasoning or not thought_in)
    ]
    for cached_in, thought_in in fits:
        beside = (0 if cached_in else cached) + (0 if thought_in else reasoning)
        if total == asked + answered + beside:
            return cached_in, thought_in
    return fits[0]


def _without(count: int, part: int) -> int:
    return count - part if count >= part else count
