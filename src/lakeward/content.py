"""What is kept of the content of AI conversations: the one place where every door asks.

In: the arranged fields of an AI record, the rollout's shares. Out: the same fields, scrubbed, with
as much content as AI_CONTENT, the person's consent and the rollout allow; a record that would be
too long has hashes in the place of its longest contents. Nothing here fails for what it is given.

    full       scrubbed as everything is
    redacted   e-mail addresses and telephone numbers are cut from the content, too
    none       roles, tools, counts and single words about the request; nothing that was said

The strictest counts: of the setting, of `content_mode` as the record came, of `content_consent`
false, and of a rollout that does not cover the user.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any, Final, Literal

import msgspec

from lakeward.catalog import TYPES
from lakeward.interaction import FIELDS, JsonObject
from lakeward.privacy import Policy, Scrubber
from lakeward.rollout import AI_CONTENT, ALL, Shares, covers
from lakeward.settings import Settings
from lakeward.withheld import bare, known, of_a_span, short, turns

Mode = Literal["full", "redacted", "none"]
STRICTNESS: Final[dict[object, int]] = {"full": 0, "redacted": 1, "none": 2}
NONE: Final = 2
MODES: Final[tuple[Mode, ...]] = ("full", "redacted", "none")

AI: Final = frozenset(name for name, spec in TYPES.items() if spec.feature == "ai_content")
FOREIGN: Final = ("posthog", "otlp", "segment", "rudderstack", "snowplow")
"""A turn of theirs that does not fit our type is kept as `posthog.ai_conversation`."""
POLICED: Final = AI | {f"{source}.{name}" for source in FOREIGN for name in AI} | {"span"}
"""Types that the policy looks at; a span may be an agent's."""

CONTENT: Final[tuple[str, ...]] = (
    "messages", "ai_metadata", "parameters", "usage", "comment", "properties", "metadata",
    "outcomes", "feedback", "analysis", "experiments", "query_params", "request_body",
)  # fmt: skip
"""Fields that can hold content, arranged or not."""
CONTENT_SET: Final = frozenset(CONTENT)
IDENTITY: Final = frozenset(FIELDS) - CONTENT_SET - {"headers"}
MARKS: Final = (b'"$ai_', b"gen_ai.", b"traceloop.", b'"llm.', b'"ai_')
"""What an event of another product that speaks of an AI has in it."""

RESERVE: Final = 64 * (1 + len(FIELDS))
"""Bytes of what a collector and a server add to a record, at most."""
WORTH: Final = 160
"""Characters of a content for which a hash would be longer than half."""
MOST_ITEMS: Final = 4_096


def is_policed(interaction_type: object) -> bool:
    """Whether the policy looks at this type; what is no name of a type is none of its."""
    return type(interaction_type) is str and interaction_type in POLICED


class Contents:
    """The policy of one collector; shared between threads."""

    def __init__(self, settings: Settings, policy: Policy) -> None:
        self._mode = STRICTNESS[settings.ai_content]
        self._most = min(settings.ai_event_bytes, settings.frame_bytes) - RESERVE
        longest = max(policy.max_string, settings.ai_event_bytes)
        long = msgspec.structs.replace(policy, max_string=longest, max_items=MOST_ITEMS)
        strict = msgspec.structs.replace(long, emails=True, phones=True)
        self.scrubber = Scrubber(long)
        """As all is scrubbed, but for longer texts."""
        wary = Scrubber(strict)
        self._scrubbers = (self.scrubber, wary, wary)

    def usual(self, shares: Shares) -> tuple[Scrubber, Mode, int] | None:
        """What scrubs the content of a turn of which nobody asks for less than the setting keeps,
        the mode, and how many bytes its messages may have; None when some content is kept from
        all."""
        if self._mode == NONE or shares[AI_CONTENT] < ALL:
            return None
        return self._scrubbers[self._mode], MODES[self._mode], self._most

    def settle(
        self, interaction_type: str, fields: JsonObject, shares: Shares, lot: str
    ) -> tuple[JsonObject, bool]:
        """The content of an arranged record as it may be kept, scrubbed, to be put over the other
        fields; it is taken out of `fields`. And whether it was the rollout that left some out."""
        if interaction_type == "span" and not of_a_span(fields):
            return {}, False
        content = {name: fields.pop(name) for name in fields.keys() & CONTENT_SET}
        mode, sampled = self._allowed(content, fields, shares, lot)
        if mode == NONE:
            sampled = sampled and (
                "messages" in content or "comment" in content.get("ai_metadata", ())
            )
            content = withhold(interaction_type, content)
            for name in ADDRESSES & fields.keys():
                fields[name] = _without_query(fields[name])
        elif "messages" in content:
            content = fit(content, self._most)
        harmless = self._scrubbers[mode].harmless(content)
        if harmless is None:
            self._scrubbers[mode].clean(content)
        else:
            content = harmless
        if interaction_type == "ai_conversation":
            own = content.get("ai_metadata")
            said = dict(own) if isinstance(own, dict) else {}
            content["ai_metadata"] = said | {"content_mode": MODES[mode]}
        return content, sampled

    def refused(
        self, interaction_type: str, fields: JsonObject, shares: Shares
    ) -> tuple[JsonObject, Scrubber | None]:
        """What may be set aside of a record that its type refused, and what scrubs it; None: what
        scrubs everything."""
        if not is_policed(interaction_type):
            strict = self._mode or shares[AI_CONTENT] < ALL
            if not strict or not _speaks_of_ai(fields):
                return fields, None
        mode, _ = self._allowed(fields, fields, shares, "")
        if mode == NONE:
            fields = withheld(interaction_type, fields)
        return fields, self._scrubbers[mode]

    def mode(self, fields: JsonObject, shares: Shares) -> Mode:
        """What may be kept of the content of a record that begins, whose fields lie flat."""
        return MODES[self._allowed(fields, fields, shares, "")[0]]

    def _allowed(
        self, content: JsonObject, fields: JsonObject, shares: Shares, lot: str
    ) -> tuple[int, bool]:
        """How strict to be with one record, and whether that is the rollout's doing alone."""
        mode = self._mode
        for place in (content.get("ai_metadata"), content.get("properties"), content):
            if type(place) is dict:
                if place.get("content_consent") not in (None, True):
                    return NONE, False
                told = place.get("content_mode")
                if type(told) is str:
                    mode = max(mode, STRICTNESS.get(told, 0))
        if mode < NONE and shares[AI_CONTENT] < ALL:
            who = next((fields[name] for name in WHO if fields.get(name)), lot)
            if not covers(shares, AI_CONTENT, str(who)):
                return NONE, True
        return mode, False


WHO: Final = ("user_id", "anonymous_id", "session_id", "conversation_id", "distinct_id")
"""By whom a rollout decides: the first that is known; all records of one get one answer."""


OWN: Final = {
    name: spec.own - {"comment", "parameters", "usage", "attributes"}
    for name, spec in TYPES.items()
    if name in POLICED
}
"""The fields of each type that say how, not what."""


def withheld(interaction_type: str, fields: JsonObject) -> JsonObject:
    """Fields that were not arranged, or not yet, without what was said; a new object."""
    content: JsonObject = {}
    kept: JsonObject = {}
    loose: JsonObject = {}
    own = OWN.get(interaction_type, frozenset())
    for name, value in fields.items():
        if name in CONTENT:
            content[name] = value
        elif name in IDENTITY or name in own:
            kept[name] = _without_query(value) if name in ADDRESSES else short(value, name)
        else:
            loose[name] = value
    kept = {name: value for name, value in kept.items() if value is not None}
    rest: JsonObject = bare(loose)
    return kept | rest | withhold(interaction_type, content)


ADDRESSES: Final = frozenset({"url", "referrer"})


def _without_query(address: Any) -> Any:
    """An address without what was asked in it."""
    return re.split("[?#]", address, maxsplit=1)[0] if type(address) is str else bare(address)


def withhold(interaction_type: str, content: JsonObject) -> JsonObject:
    """The fields of a record without what was said; new objects, the given ones stay."""
    kept: JsonObject = {}
    own = OWN.get(interaction_type, frozenset())
    for name, value in content.items():
        if name == "messages":
            kept[name] = turns(value)
        elif name in ("ai_metadata", "properties"):
            kept[name] = known(value, own)
        elif name in ("parameters", "usage", "metadata", "experiments"):
            kept[name] = bare(value)
    return {name: value for name, value in kept.items() if value is not None}


def fit(fields: JsonObject, most: int) -> JsonObject:
    """`fields` with `content_hash` in the place of the longest contents of `messages`, until they
    come to `most` bytes as JSON; `fields` itself where they do so already. The hash is SHA-256 of
    the content: of a text's UTF-8, or of the JSON of anything else."""
    messages = fields.get("messages")
    if type(messages) is not list or rough(messages) * 6 < most:
        return fields
    size = _size(fields)
    if size <= most:
        return fields
    messages = list(messages)
    longest = sorted(
        ((_size(message), index) for index, message in enumerate(messages)), reverse=True
    )
    for length, index in longest:
        if size <= most or length < WORTH:
            break
        shorter = hashed(messages[index])
        size -= length - _size(shorter)
        messages[index] = shorter
    return fields | {"messages": messages}


def hashed(message: Any) -> Any:
    """A message with hashes of its content and of the arguments of its calls."""
    if not isinstance(message, dict):
        return message
    made = dict(message)
    content = made.pop("content", None)
    if content is not None:
        made["content_hash"] = digest(content)
    calls = made.get("tool_calls")
    if isinstance(calls, list) and _size(calls) > WORTH:
        made["tool_calls"] = [_call_hashed(call) for call in calls]
    return made


def _call_hashed(call: Any) -> Any:
    if not isinstance(call, dict):
        return call
    made = dict(call)
    if isinstance(made.get("function"), dict):
        made["function"] = _call_hashed(made["function"])
    if (arguments := made.pop("arguments", None)) is not None:
        made["arguments_hash"] = digest(arguments)
    return made


def digest(content: object) -> str:
    """SHA-256 of a content."""
    raw = content.encode("utf-8", "surrogatepass") if type(content) is str else _encoded(content)
    return sha256(raw).hexdigest()


def rough(messages: list[Any]) -> int:
    """Characters of the contents, without what is around them; 6 bytes each at most as JSON.
    A content in parts and calls of tools are measured, not guessed."""
    total = 0
    for message in messages:
        if type(message) is not dict:
            return 1 << 40
        content = message.get("content")
        if type(content) is str:
            total += len(content) + 64
        elif content is not None or "tool_calls" in message:
            total += _size(message)
    return total


def _size(value: object) -> int:
    return len(_encoded(value))


def _encoded(value: object) -> bytes:
    try:
        return _encode(value)
    except Exception:  # halves of surrogate pairs, objects that JSON does not know, too deep
        return _encode(Scrubber(WHOLE).value(value))


_encode = msgspec.json.Encoder().encode
WHOLE: Final = Policy(max_string=1 << 24, max_items=1 << 20)


def _speaks_of_ai(fields: JsonObject) -> bool:
    raw = _encoded(fields)
    return any(mark in raw for mark in MARKS)
