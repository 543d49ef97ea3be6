"""Tokens: what a provider's `usage` says, as buckets of which each token is in exactly one.

In: the usage object as it came, and the dialect that it is written in. Out: fields of
`ai_conversation`. Pure arithmetic; nothing fails for what it is given.

    prompt_tokens 17,903, cached_tokens 17,817, completion_tokens 188     OpenAI: parts of the whole
    input_tokens 86, cache_read_input_tokens 17,817, output_tokens 188    Anthropic: beside it
        -> input 86, cache_read 17,817, output 188, total 18,091

A part that exceeds its whole cannot have been among it, so it stands beside it; a part of which it
is not known that it is none of the others (audio and images, some of them cached) is cut to what
is left. A count that is no whole number from 0 is as good as absent. A total alone stays alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from lakeward.ai.reach import NAME_MOST
from lakeward.ai.usual import MOST_TOKENS
from lakeward.ai.usual import buckets as usual_buckets
from lakeward.catalog.ai import TOKEN_BUCKETS
from lakeward.interaction import JsonObject

INCLUSIVE: Final = frozenset({"openai", "responses", "embeddings", "inclusive"})
EXCLUSIVE: Final = frozenset({"anthropic", "bedrock", "exclusive"})

_INPUT = ("prompt_tokens", "input_tokens", "inputTokens", "prompt_eval_count", "inputTokenCount")
_OUTPUT = ("completion_tokens", "output_tokens", "outputTokens", "eval_count", "outputTokenCount")
_TOTAL = ("total_tokens", "totalTokens")
_READ = ("cache_read_input_tokens", "cacheReadInputTokens", "prompt_cache_hit_tokens")
_WRITTEN = ("cache_creation_input_tokens", "cacheWriteInputTokens", "cache_write_input_tokens")
_ASKED_DETAILS = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_SAID_DETAILS = ("completion_tokens_details", "output_tokens_details", "output_token_details")
_USUAL = frozenset(
    {
        "prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details",
        "completion_tokens_details",
    }
)  # fmt: skip
_GEMINI = frozenset({"promptTokenCount", "prompt_token_count", "totalTokenCount"}) | {
    "candidatesTokenCount", "candidates_token_count", "total_token_count",
}  # fmt: skip


class Counts(msgspec.Struct):
    """What was read of a usage; None is not said."""

    asked: int | None = None
    said: int | None = None
    total: int | None = None
    read: int = 0
    written: int = 0
    reasoned: int = 0
    heard: int = 0
    """Audio in the prompt."""
    spoken: int = 0
    """Audio in the answer."""
    seen: int = 0
    """Images in the prompt."""
    cached_beside: bool = False
    reasoned_beside: bool = False


def buckets(usage: Mapping[str, Any], dialect: str = "") -> JsonObject:
    """The exclusive buckets, their sum, where they are from, and the usage as it came.

    `dialect` is `openai`, `responses`, `embeddings` or `inclusive`; `anthropic`, `bedrock` or
    `exclusive`; `gemini`; any other: the names of the counts decide.
    """
    try:
        return _buckets({name: v for name, v in usage.items() if v is not None}, dialect)
    except Exception:  # a mapping of the app's own may do anything
        return {"tokens_source": "none"}


def _buckets(told: JsonObject, dialect: str) -> JsonObject:
    """The same of a dict that holds nothing but what was said."""
    if dialect == "openai" and (usual := usual_buckets(told)) is not None:
        return usual
    gemini = dialect == "gemini" or not _GEMINI.isdisjoint(told)
    counts = _gemini(told) if gemini else _read(told)
    found = _split(counts, _beside(told, dialect), dialect)
    if not found:
        if counts.total is not None:
            return {"total_tokens": counts.total, "tokens_source": "reported", "usage": told}
        return {"tokens_source": "none", "usage": told} if told else {"tokens_source": "none"}
    total = sum(found.values())
    return {**found, "total_tokens": total, "tokens_source": "reported", "usage": told}


def together(usages: list[tuple[JsonObject, str, JsonObject]]) -> JsonObject:
    """The buckets of all requests of a turn, each a usage as `reach.mapping` gives it, its dialect
    and what else its answer says."""
    if len(usages) == 1:
        return _buckets(*usages[0][:2])
    if not usages:
        return {"tokens_source": "none"}
    return added([{**about, **_buckets(told, dialect)} for told, dialect, about in usages])


def added(each: list[JsonObject]) -> JsonObject:
    """The buckets of several requests, added up, and each by itself; their usages as they came."""
    found: JsonObject = {"tokens_source": "none"}
    for name in (*TOKEN_BUCKETS, "total_tokens"):
        counts = [told[name] for told in each if type(told.get(name)) is int]
        if counts:
            found[name], found["tokens_source"] = sum(counts), "reported"
    requests = [one for told in each for one in told.get("requests") or [_request(told)]]
    if 1 < len(requests) <= REQUESTS_MOST:
        found["requests"] = requests
    raw = [one for told in each if "usage" in told for one in _usages(told)]
    return found | {"usage": {"requests": raw[:100]}} if raw else found


def _usages(told: JsonObject) -> list[Any]:
    """The usages of requests that were added up before, else that of one."""
    return told["usage"]["requests"] if "requests" in told else [told["usage"]]


def _request(told: JsonObject) -> JsonObject:
    """What is known of one request of several, as far as it has a price."""
    found = {name: told[name] for name in _OF_REQUESTS if name in told}
    usage = told.get("usage", _NOTHING)
    kept = _object(usage, ("cache_creation",)).get("ephemeral_1h_input_tokens")
    made = _object(usage, ("server_tool_use",)).get("web_search_requests")
    for name, count in (("cache_write_1h_tokens", kept), ("web_searches", made)):
        if _whole(count):
            found[name] = _whole(count)
    for name in ("service_tier", "speed"):
        if type(usage.get(name)) is str:
            found[name] = usage[name][:NAME_MOST]
    return found


REQUESTS_MOST: Final = 1000
"""Requests of a turn that are kept one by one; of a turn of more, none is."""
ABOUT: Final[tuple[str, ...]] = ("operation", "provider", "model_requested", "model_answered")
"""Whose tokens they are."""
_OF_REQUESTS: Final = (*ABOUT, *TOKEN_BUCKETS, "total_tokens")
_TOKENS: Final = frozenset({*TOKEN_BUCKETS, "total_tokens", "tokens_source", "usage", "requests"})


def filled(made: JsonObject, more: JsonObject) -> JsonObject:
    """`made`, and what somebody else saw that it lacks; tokens are taken all or none."""
    if made.get("tokens_source") == "none" and more.get("tokens_source", "none") != "none":
        made = {name: value for name, value in made.items() if name not in _TOKENS}
    else:
        more = {name: value for name, value in more.items() if name not in _TOKENS}
    return {**more, **made}


def _beside(told: JsonObject, dialect: str) -> bool:
    """Whether cached tokens stand beside the input."""
    if dialect in INCLUSIVE:
        return False
    if dialect in EXCLUSIVE:
        return True
    named = ("cache_read_input_tokens", "cache_creation_input_tokens", "cacheReadInputTokens",
             "cacheWriteInputTokens")  # fmt: skip
    return any(name in told for name in named) and "prompt_tokens" not in told


def _split(counts: Counts, beside: bool, dialect: str) -> dict[str, int]:
    """The buckets that hold something; input and output also when they hold nothing. None where
    only a total is known, unless it can be input alone."""
    asked, said = counts.asked, counts.said
    if asked is None and said is None:
        if counts.total is None or dialect != "embeddings":
            return {}
        asked = counts.total
    elif asked is None and counts.total is not None and said is not None:
        asked = max(0, counts.total - said)
    found: dict[str, int] = {}
    if asked is not None:
        cached = counts.read + counts.written
        left = asked if beside or counts.cached_beside or cached > asked else asked - cached
        heard = min(counts.heard, left)
        seen = min(counts.seen, left - heard)
        found["input_tokens"] = left - heard - seen
        if cached:
            _add(found, cache_read_tokens=counts.read, cache_write_tokens=counts.written)
        if heard or seen:
            _add(found, audio_input_tokens=heard, image_tokens=seen)
    if said is not None:
        reasoned = counts.reasoned
        apart = counts.reasoned_beside or reasoned > said or _apart(counts)
        left = said if apart else said - reasoned
        spoken = min(counts.spoken, left)
        found["output_tokens"] = left - spoken
        if reasoned or spoken:
            _add(found, reasoning_tokens=reasoned, audio_output_tokens=spoken)
    return found


def _add(found: dict[str, int], **more: int) -> None:
    found.update({name: count for name, count in more.items() if count})


def _apart(counts: Counts) -> bool:
    """Whether the provider's own sum shows that reasoning is not among the output."""
    asked, said, total = counts.asked, counts.said, counts.total
    if not counts.reasoned or asked is None or said is None or total is None:
        return False
    return total == asked + said + counts.reasoned


def _read(told: JsonObject) -> Counts:
    """Counts by the names that most providers use."""
    counts = Counts(_count(told, _INPUT), _count(told, _OUTPUT), _count(told, _TOTAL))
    if asked := _object(told, _ASKED_DETAILS):
        counts.read = _count(asked, ("cached_tokens", "cache_read")) or 0
        counts.written = _count(asked, ("cache_write_tokens", "cache_creation")) or 0
        counts.heard = _count(asked, ("audio_tokens", "audio")) or 0
        counts.seen = _count(asked, ("image_tokens",)) or 0
    if said := _object(told, _SAID_DETAILS):
        counts.reasoned = _count(said, ("reasoning_tokens", "thinking_tokens", "reasoning")) or 0
        counts.spoken = _count(said, ("audio_tokens", "audio")) or 0
    if not _USUAL.issuperset(told):
        counts.read = _count(told, _READ) or counts.read
        counts.written = _count(told, _WRITTEN) or counts.written or _by_age(told)
        counts.reasoned = counts.reasoned or _count(told, ("reasoning_tokens",)) or 0
    return counts


def _by_age(told: JsonObject) -> int:
    """Anthropic's tokens written for five minutes and for an hour."""
    kept = _object(told, ("cache_creation",))
    return sum(_whole(kept.get(f"ephemeral_{age}_input_tokens")) or 0 for age in _AGES)


_AGES = ("5m", "1h")


def _gemini(told: JsonObject) -> Counts:
    """Counts of Google's `usageMetadata`: cached among the prompt, thoughts beside the answer."""
    prompt = _count(told, ("promptTokenCount", "prompt_token_count"))
    tools = _count(told, ("toolUsePromptTokenCount", "tool_use_prompt_token_count")) or 0
    asked = None if prompt is None else prompt + tools
    given = told.get("promptTokensDetails") or told.get("prompt_tokens_details")
    made = told.get("candidatesTokensDetails") or told.get("candidates_tokens_details")
    thought = _count(told, ("thoughtsTokenCount", "thoughts_token_count"))
    said = _count(told, ("candidatesTokenCount", "candidates_token_count"))
    return Counts(
        asked=asked,
        said=0 if said is None and thought is not None else said,
        total=_count(told, ("totalTokenCount", "total_token_count")),
        read=_count(told, ("cachedContentTokenCount", "cached_content_token_count")) or 0,
        reasoned=thought or 0,
        heard=_modality(given, "AUDIO"),
        spoken=_modality(made, "AUDIO"),
        seen=_modality(given, "IMAGE"),
        reasoned_beside=True,
    )


def _modality(details: object, wanted: str) -> int:
    """Tokens of one kind in a list of `{modality, tokenCount}`."""
    if not isinstance(details, list):
        return 0
    return sum(
        _count(part, ("tokenCount", "token_count")) or 0
        for part in details[:16]
        if isinstance(part, dict) and str(part.get("modality")).rpartition(".")[2] == wanted
    )


def _object(told: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    for name in names:
        if name in told and isinstance(found := told[name], Mapping):
            return found
    return _NOTHING


_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def _count(told: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    """The first of these counts that is there."""
    for name in names:
        if name in told and (found := _whole(told[name])) is not None:
            return found
    return None


def _whole(value: object) -> int | None:
    if type(value) is int:
        return value if 0 <= value <= MOST_TOKENS else None
    if type(value) is float and value.is_integer():
        return int(value) if 0 <= value <= MOST_TOKENS else None
    return None
