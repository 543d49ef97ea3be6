"""Messages of an AI turn, out of every form in which OpenTelemetry has carried them.

In: attributes and events of a span. Out: messages as `ai_conversation` has them, oldest first, and
the names of the attributes that they were made of. What has none of these forms is left where it
is; nothing fails.

    gen_ai.system_instructions, gen_ai.input.messages, gen_ai.output.messages  today's: parts
    event gen_ai.user.message, …, gen_ai.choice                                before: an event each
    event gen_ai.content.prompt with gen_ai.prompt, …completion                before: JSON text
    gen_ai.prompt.0.role, gen_ai.completion.0.content, …                       numbered attributes

A file that went inline is not stored: its media type, hash and size are.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from lakeward.ai.spans import Event
from lakeward.interaction import JsonObject
from lakeward.plain import text_of

INPUT, OUTPUT = "gen_ai.input.messages", "gen_ai.output.messages"
INSTRUCTIONS = "gen_ai.system_instructions"
PROMPT, COMPLETION = "gen_ai.prompt", "gen_ai.completion"
NUMBERED = re.compile(r"gen_ai\.(prompt|completion)\.([0-9]{1,4})\.(.+)")
TOOL_CALL = re.compile(r"tool_calls\.([0-9]{1,4})\.(id|name|arguments)")
SPOKEN = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
    "gen_ai.choice": "assistant",
}
"""Events that are a message, and who speaks unless they say it."""
WRITTEN = {"gen_ai.content.prompt": PROMPT, "gen_ai.content.completion": COMPLETION}
"""Events that hold all messages of one side in an attribute."""
ONE_TEXT = frozenset({"role", "parts", "name", "finish_reason"})
MOST_ROLE = 200
MOST_ID = 512


class Told(msgspec.Struct):
    """What was said in a turn."""

    messages: list[JsonObject] = []
    answered: list[JsonObject] = []
    """Those of the messages that are the model's answer."""
    finish_reason: str | None = None
    attributes: set[str] = set()
    """Names of the attributes that it was made of."""
    events: set[int] = set()
    """Indexes of the events that it was made of."""

    def say(self, message: JsonObject, *, answer: bool) -> None:
        """Add a message."""
        self.messages.append(message)
        if answer:
            self.answered.append(message)
            reason = message.pop("finish_reason", None)
            if self.finish_reason is None:
                self.finish_reason = text_of(reason)
        else:
            message.pop("finish_reason", None)


def told(attributes: JsonObject, events: Sequence[Event]) -> Told:
    """What was said; the newest form that is there counts, so that nothing is said twice."""
    for read in (_of_parts, _of_attributes, _of_numbers):
        found = read(attributes)
        if found.messages:
            return found
    return _of_events(events)


def _of_parts(attributes: JsonObject) -> Told:
    found = Told()
    for name in (INSTRUCTIONS, INPUT, OUTPUT):
        if name not in attributes:
            continue
        given = structured(attributes[name])
        if name == INSTRUCTIONS and given:
            given = [{"role": "system", "parts": given if isinstance(given, list) else [given]}]
        messages = _listed(given)
        if messages is None:
            continue
        found.attributes.add(name)
        for message in messages:
            role = "assistant" if name == OUTPUT else "user"
            one = _of_one_text(message, role)
            for each in message_of(message, role) if one is None else (one,):
                found.say(each, answer=name == OUTPUT)
    return found


def _of_one_text(given: JsonObject, role: str) -> JsonObject | None:
    """`message_of` for what most messages are, at a third of its cost; None for any other."""
    parts = given.get("parts")
    if type(parts) is not list or len(parts) != 1 or not given.keys() <= ONE_TEXT:
        return None
    part, said, reason = parts[0], given.get("role"), given.get("finish_reason")
    if type(part) is not dict or part.get("type") != "text" or given.get("name") is not None:
        return None
    text = part.get("content")
    if type(text) is not str or (said is not None and type(said) is not str):
        return None
    message: JsonObject = {"role": (said or role)[:MOST_ROLE], "content": text}
    if reason is not None:
        message["finish_reason"] = reason
    return message


def _of_attributes(attributes: JsonObject) -> Told:
    found = Told()
    for name in (PROMPT, COMPLETION):
        _add_written(found, attributes.get(name), answer=name == COMPLETION, source=name)
    return found


def _add_written(found: Told, value: object, *, answer: bool, source: str) -> bool:
    """Add messages that are JSON text, or one message that is plain text."""
    role = "assistant" if answer else "user"
    messages = _listed(structured(value))
    if messages is None:
        if not isinstance(value, str) or not value:
            return False
        messages = [{"role": role, "content": value}]
    found.attributes.add(source)
    for message in messages:
        for each in message_of(message, role):
            found.say(each, answer=answer)
    return True


def _of_numbers(attributes: JsonObject) -> Told:
    found, sides = (
        Told(),
        {"prompt": dict[int, JsonObject](), "completion": dict[int, JsonObject]()},
    )
    for name, value in attributes.items():
        if parts := NUMBERED.fullmatch(name):
            found.attributes.add(name)
            message = sides[parts[1]].setdefault(int(parts[2]), {})
            if call := TOOL_CALL.fullmatch(parts[3]):
                message.setdefault("calls", {}).setdefault(int(call[1]), {})[call[2]] = value
            else:
                message[parts[3]] = structured(value) if parts[3] == "content" else value
    for side, messages in sides.items():
        answer = side == "completion"
        for _, message in sorted(messages.items()):
            calls = message.pop("calls", {})
            if calls:
                message["tool_calls"] = [call for _, call in sorted(calls.items())]
            for each in message_of(message, "assistant" if answer else "user"):
                found.say(each, answer=answer)
    return found


def _of_events(events: Sequence[Event]) -> Told:
    found = Told()
    for index, event in enumerate(events):
        if event.name in WRITTEN:
            name = WRITTEN[event.name]
            value = event.attributes.get(name)
            if _add_written(found, value, answer=name == COMPLETION, source=name):
                found.events.add(index)
        elif role := SPOKEN.get(event.name):
            given = {name.removeprefix("gen_ai.event."): value
                     for name, value in event.attributes.items()}  # fmt: skip
            inner = structured(given.pop("message", None))
            given |= inner if isinstance(inner, dict) else {}
            given.pop("gen_ai.system", None)
            given["content"] = structured(given.get("content"))
            if role == "tool":
                given.setdefault("tool_call_id", given.pop("id", None))
            for each in message_of(given, role):
                found.say(each, answer=event.name == "gen_ai.choice")
            found.events.add(index)
    found.attributes.clear()
    return found


def structured(value: object) -> Any:
    """What JSON text holds, where it is an object or a list; anything else as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError, ValueError):
            return value
    return value


def _listed(given: object) -> list[JsonObject] | None:
    """A list of messages, or None for what is none."""
    if isinstance(given, dict):
        given = [given]
    if not isinstance(given, list):
        return None
    for message in given:
        if not isinstance(message, dict):
            return None
    return given


def message_of(given: JsonObject, role: str) -> Iterator[JsonObject]:
    """A message of either kind, with `parts` or with `content`, as messages of ours: the results of
    tools are a message each."""
    message: JsonObject = {"role": (text_of(given.get("role")) or role)[:MOST_ROLE]}
    rest: list[Any] = []
    calls: list[JsonObject] = []
    files: list[JsonObject] = []
    parts = given.get("parts")
    if not isinstance(parts, list):
        content = given.get("content")
        parts = content if isinstance(content, list) else [] if content is None else [content]
    results = []
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "tool_call":
            calls.append(call_of(part))
        elif kind == "tool_call_response":
            answer = part["response"] if "response" in part else part.get("result")
            results.append(_identified({"role": "tool", "content": structured(answer)}, part))
        elif kind in ("blob", "file", "uri"):
            files.append(_file(part))
        else:
            rest.append(part)
    given_calls = _listed(structured(given.get("tool_calls")))
    calls += map(call_of, given_calls or ())
    if name := text_of(given.get("name")):
        message["name"] = name
    if rest:
        message["content"] = _text(rest[0]) if len(rest) == 1 else rest
    if calls:
        message["tool_calls"] = calls
    if files:
        message["attachments"] = files
    if call_id := text_of(given.get("tool_call_id")):
        message["tool_call_id"] = call_id[:MOST_ID]
    if given.get("finish_reason") is not None:
        message["finish_reason"] = given["finish_reason"]
    if len(message) > 1 or not results:
        yield message
    yield from results


def _text(part: object) -> object:
    """A part that is text alone as this text."""
    if isinstance(part, dict) and part.get("type") == "text":
        for name in ("content", "text"):
            if isinstance(part.get(name), str):
                return part[name]
    return part


def call_of(given: JsonObject) -> JsonObject:
    """A call that the model asked for: id, name, arguments."""
    function = given.get("function")
    inner = function if isinstance(function, dict) else given
    call: JsonObject = {}
    if (call_id := text_of(given.get("id"))) is not None:
        call["id"] = call_id
    for name in ("name", "arguments"):
        if inner.get(name) is not None:
            call[name] = structured(inner[name])
    return call


def _identified(message: JsonObject, part: JsonObject) -> JsonObject:
    call_id = text_of(part.get("id"))
    return message | ({} if call_id is None else {"tool_call_id": call_id[:MOST_ID]})


def _file(part: JsonObject) -> JsonObject:
    """A file that went with a message, by reference."""
    file: JsonObject = {}
    if kind := text_of(part.get("mime_type")) or text_of(part.get("modality")):
        file["media_type"] = kind[:MOST_ROLE]
    if reference := text_of(part.get("uri")) or text_of(part.get("file_id")):
        file["reference"] = reference[:32_768]
    content = part.get("content")
    if isinstance(content, str):
        try:
            raw = b64decode(content)
        except ValueError:
            raw = content.encode("utf-8", "surrogatepass")
        file |= {"sha256": sha256(raw).hexdigest(), "size_bytes": len(raw)}
    return file
