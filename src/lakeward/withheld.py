"""What is left of AI content when none may be kept: shapes, roles, tools, counts, single words.

In: values as they came, of any form. Out: new values of the same shape without what was said. Pure;
nothing fails, and the given values stay as they are.

    {"role": "user", "content": "Where is my order?"}          {"role": "user"}
    {"role": "assistant", "tool_calls": [{"id": "call_1",      {"role": "assistant", "tool_calls":
     "name": "find", "arguments": {"q": "order 7"}}]}           [{"id": "call_1", "name": "find"}]}

A text stays where it is one word of ASCII, such as a model's name or an id, and its field's name
does not say that it is content.
"""

from __future__ import annotations

import re
from typing import Any, Final

from lakeward.interaction import JsonObject

WORD: Final = re.compile(r"[A-Za-z0-9_.:/$-]{1,128}")
NAME: Final = re.compile(r"[A-Za-z0-9_.:/$-]{1,64}")
SAID: Final = re.compile(
    r"(?:^|[._$-])(?:contents?|texts?|prompts?|completions?|messages?|inputs?|outputs?|arguments"
    r"|args|results?|answers?|questions?|query|state|comment|notes?|raw|instructions|tools?"
    r"|documents?|value|body|description|title|summary|definitions|functions|explanation|choices"
    r"|system|user|stop|sequences|suffix|metadata|format|prediction|schema|transcript|bias"
    r"|headers|memory|context|history)$",
    re.IGNORECASE,
)
"""Names of fields that hold what was said, by their last word."""
ABOUT_AI: Final = ("gen_ai.", "llm.", "traceloop.", "openinference.", "ai.", "input.", "output.",
                   "input_state", "output_state", "retrieval.", "embedding.")  # fmt: skip
TOLD: Final = frozenset({"reason", "finish_reason"})
"""Names of fields for a word, into which anybody may write a sentence."""
MOST_NAME: Final = 200
MOST_DEPTH: Final = 4
MOST_ITEMS: Final = 100
MOST_REQUESTS: Final = 1000


def word(value: object) -> str | None:
    """A text that is one word; None for any other."""
    return value if type(value) is str and WORD.fullmatch(value) else None


def short(value: Any, name: str = "") -> Any:
    """What a field of a type may hold: a text no longer than a name; what is nested is bare."""
    if name in TOLD:
        return word(value)
    if type(value) is str:
        return value if len(value) <= MOST_NAME else None
    return bare(value)


def bare(value: Any, depth: int = 0) -> Any:
    """Numbers, truth values and single words of an object; None for what is none of these."""
    kind = type(value)
    if kind is dict:
        if depth > MOST_DEPTH:
            return None
        return {
            name: kept
            for name, item in value.items()
            if type(name) is str and NAME.fullmatch(name) and not _says(name, item)
            and (kept := bare(item, depth + 1)) is not None and kept != {} and kept != []
        }  # fmt: skip
    if kind is list or kind is tuple:
        # Not numbers: they may be an embedding, which tells what was said.
        items = [bare(item, depth + 1) for item in value[:MOST_ITEMS] if type(item) in (dict, str)]
        return [item for item in items if item]
    if kind is bool or kind is int or kind is float:
        return value
    return word(value)


def _says(name: str, item: object) -> bool:
    """Whether a field of this name holds what was said; a number never does."""
    return type(item) not in (int, float, bool) and SAID.search(name) is not None


def known(value: Any, own: frozenset[str]) -> JsonObject:
    """An object whose fields in `own` are a type's, and stay; the others are bare."""
    if type(value) is not dict:
        return {}
    typed = {
        name: kept
        for name, item in value.items()
        if name in own and (kept := short(item, name)) is not None
    }
    loose: JsonObject = bare({name: item for name, item in value.items() if name not in own})
    each = value.get("requests")
    if "requests" in own and type(each) is list:  # parts of the turn, with the turn's own fields
        parts = own - {"requests"}
        typed["requests"] = [known(one, parts) for one in each[:MOST_REQUESTS]]
    return typed | loose


def turns(messages: Any) -> list[JsonObject]:
    """Messages with their roles, tools and files' kinds."""
    if type(messages) is not list:
        return []
    return [_turn(message) for message in messages if type(message) is dict]


def _turn(message: JsonObject) -> JsonObject:
    made: JsonObject = {"role": word(message.get("role")) or "other"}
    if parts := _parts(message.get("content")):
        made["content"] = parts
    calls = message.get("tool_calls")
    if type(calls) is list:
        made["tool_calls"] = [_call(call) for call in calls if type(call) is dict]
    if answered := word(message.get("tool_call_id")):
        made["tool_call_id"] = answered
    files = message.get("attachments")
    if type(files) is list:
        made["attachments"] = [_file(file) for file in files if type(file) is dict]
    if made["role"] in ("tool", "function") and (name := word(message.get("name"))):
        made["name"] = name
    return made


def _parts(content: Any) -> list[JsonObject]:
    """Kinds of the parts of a content, with the tools that they call."""
    if type(content) is not list:
        return []
    made = []
    for part in content:
        if type(part) is dict and (kind := word(part.get("type"))):
            named = {name: text for name in ("id", "name", "tool_use_id")
                     if kind != "text" and (text := word(part.get(name)))}  # fmt: skip
            made.append({"type": kind} | named)
    return made


def _call(call: JsonObject) -> JsonObject:
    made: JsonObject = {
        name: text for name in ("id", "type", "name") if (text := word(call.get(name)))
    }
    function = call.get("function")
    if type(function) is dict and (named := word(function.get("name"))):
        made["function"] = {"name": named}
    return made


def _file(file: JsonObject) -> JsonObject:
    """A file's kind and size; not where it is, nor a hash to find it by."""
    made: JsonObject = {}
    if kind := word(file.get("media_type")):
        made["media_type"] = kind
    if type(size := file.get("size_bytes")) is int:
        made["size_bytes"] = size
    return made


def of_a_span(content: JsonObject) -> bool:
    """Whether a span's attributes or events are about an AI."""
    properties = content.get("properties")
    if type(properties) is not dict:
        return False
    attributes = properties.get("attributes")
    if type(attributes) is dict and any(_about_ai(name) for name in attributes):
        return True
    events = properties.get("events")
    return type(events) is list and any(
        type(event) is dict and _about_ai(event.get("name")) for event in events
    )


def _about_ai(name: object) -> bool:
    return type(name) is str and name.startswith(ABOUT_AI)
