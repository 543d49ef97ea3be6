"""Answers and usages as most are, read without a look at what they might be otherwise.

In: a chat completion of OpenAI's SDK that has one choice with a text, and a usage in the same
dialect. Out: what `shapes.heard` and `usage.buckets` make of them, in a third of the time; None for
all others, which are theirs. Nothing fails.
"""

from __future__ import annotations

from typing import Any, Final

from lakeward.ai.reach import ID_MOST, NAME_MOST, mapping
from lakeward.interaction import JsonObject

MOST_TOKENS: Final = 10**14
"""More tokens than this are no count; the sum of all buckets still fits a double."""
_PLAIN_REASONS: Final = frozenset({"stop", "length"})
_NOTHING: Final[JsonObject] = {}


def chat(answer: Any) -> tuple[JsonObject, JsonObject, JsonObject | None] | None:
    """The fields, the one message and the usage of a chat completion as the SDK's own class has
    it: without tools, refusal, thoughts or sound."""
    try:
        held = answer.__dict__
        if held["object"] != "chat.completion":
            return None
        (choice,) = held["choices"]
        chosen = choice.__dict__
        message = chosen["message"]
        said = message.__dict__
        content, role, reason = said["content"], said["role"], chosen["finish_reason"]
        if (
            type(content) is not str or not content or ";base64," in content
            or said["tool_calls"] or said["refusal"] or said["audio"] or said["function_call"]
            or message.__pydantic_extra__ or reason not in _PLAIN_REASONS
        ):  # fmt: skip
            return None
        model, identifier = held["model"], held["id"]
        if not (
            type(model) is type(identifier) is type(role) is str
            and 0 < len(model) <= NAME_MOST and 0 < len(identifier) <= ID_MOST
            and 0 < len(role) <= NAME_MOST
        ):  # fmt: skip
            return None
        fields: JsonObject = {
            "operation": "chat", "model_answered": model, "response_id": identifier,
            "finish_reason": reason, "status": "completed",
        }  # fmt: skip
        return fields, {"role": role, "content": content}, usage(held["usage"])
    except Exception:  # another class
        return None


def usage(told: Any) -> JsonObject | None:
    """A usage of the SDK's own class as `reach.mapping` copies it."""
    try:
        held = told.__dict__
        if told.__pydantic_extra__:
            return mapping(told)
        made: JsonObject = {}
        for name, value in held.items():
            if type(value) is int:
                made[name] = value
            elif value is not None:
                made[name] = inner = {}
                for below, count in value.__dict__.items():
                    if type(count) is int:
                        inner[below] = count
                    elif count is not None:
                        return mapping(told)
                if value.__pydantic_extra__:
                    return mapping(told)
        return made or None
    except Exception:  # another class
        return mapping(told)


def buckets(told: JsonObject) -> JsonObject | None:
    """The buckets of a chat completion's usage without sound and images."""
    try:
        asked, said, total = told["prompt_tokens"], told["completion_tokens"], told["total_tokens"]
        read = reasoned = 0
        beside = len(told) - 3
        if (details := told.get("prompt_tokens_details", _NOTHING)) is not _NOTHING:
            beside -= 1
            read = details["cached_tokens"]
            if len(details) > 1 and (len(details) > 2 or details["audio_tokens"] != 0):
                return None
        if (details := told.get("completion_tokens_details", _NOTHING)) is not _NOTHING:
            beside -= 1
            reasoned = details["reasoning_tokens"]
            if details.get("audio_tokens", 0) != 0 or "audio" in details:
                return None
        if (
            beside  # names that say something else
            or not type(asked) is type(said) is type(total) is type(read) is type(reasoned) is int
            or not 0 <= read <= asked <= MOST_TOKENS or not 0 <= reasoned <= said <= MOST_TOKENS
            or (reasoned and total == asked + said + reasoned)
            or not 0 <= total <= MOST_TOKENS
        ):  # fmt: skip
            return None
    except Exception:
        return None
    found: JsonObject = {"input_tokens": asked - read}
    if read:
        found["cache_read_tokens"] = read
    found["output_tokens"] = said - reasoned
    if reasoned:
        found["reasoning_tokens"] = reasoned
    found["total_tokens"] = asked + said
    found["tokens_source"] = "reported"
    found["usage"] = told
    return found
