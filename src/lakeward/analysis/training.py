"""Messages of AI turns as training examples: OpenAI's chat format, and ShareGPT.

In: messages as `ai_conversation` has them, and the tools of the request where they are known. Out:
an example, or `Unfit` with the reason: what a format cannot carry is never left out silently of the
middle of a conversation. Pure.

    {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}],
     "tools": [{"type": "function", "function": {"name": "…", "parameters": {…}}}]}

    {"conversations": [{"from": "human", "value": "…"}, {"from": "gpt", "value": "…"}],
     "tools": "[{\"name\": …}]"}

Both end with what the model said. ShareGPT takes turns: `human` or `observation`, then `gpt` or
`function_call`; equal ones in a row become one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

import msgspec

from lakeward.interaction import JsonObject

Reason = Literal["not_text", "too_long", "unknown_role", "no_answer", "odd_calls", "out_of_turn"]
ROLES: Final = {
    "system": "system", "developer": "system", "user": "user", "human": "user",
    "assistant": "assistant", "model": "assistant", "ai": "assistant", "tool": "tool",
    "function": "tool",
}  # fmt: skip
TEXTS: Final = frozenset({"text", "input_text", "output_text", "refusal"})
SILENT: Final = frozenset({"reasoning", "thinking"})
"""Parts that no format has a place for, and that the answer does without."""
FUNCTION: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class Unfit(Exception):
    """These messages make no example of the format."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def openai(messages: Sequence[JsonObject], tools: object = None) -> JsonObject:
    """An example of OpenAI's chat format for fine-tuning."""
    said = [made for message in messages for made in _message(message)]
    while said and said[-1]["role"] != "assistant":
        said.pop()
    if not said:
        raise Unfit("no_answer")
    _check_calls(said)
    example: JsonObject = {"messages": said}
    if known := functions(tools):
        example["tools"] = [{"type": "function", "function": function} for function in known]
    return example


def _message(message: JsonObject) -> Iterator[JsonObject]:
    role = ROLES.get(str(message.get("role")))
    if role is None:
        raise Unfit("unknown_role")
    if message.get("content_hash"):
        raise Unfit("too_long")
    if message.get("attachments"):
        raise Unfit("not_text")
    made: JsonObject = {"role": role}
    if text := text_of(message.get("content"), tool=role == "tool"):
        made["content"] = text
    if role == "tool":
        made |= {"tool_call_id": message.get("tool_call_id"), "content": text or ""}
    elif role == "assistant" and message.get("tool_calls"):
        calls = message["tool_calls"]
        made["tool_calls"] = [_call(call) for call in (calls if isinstance(calls, list) else [0])]
    if len(made) > 1:
        yield made


def text_of(content: object, *, tool: bool = False) -> str:
    """The text of a content; what a tool answered may be any JSON."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        if tool:
            return msgspec.json.encode(content).decode()
        content = [content]
    found: list[str] = []
    part: Any
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(part, str):
            found.append(part)
        elif kind in SILENT:
            continue
        elif kind in TEXTS and isinstance(words := part.get("text", part.get("content")), str):
            found.append(words)
        elif tool:
            return msgspec.json.encode(content).decode()
        else:
            raise Unfit("not_text")
    return "\n".join(found)


def _call(call: object) -> JsonObject:
    """A call of a tool, whose arguments are JSON text there."""
    if not isinstance(call, dict):
        raise Unfit("odd_calls")
    inner = call["function"] if isinstance(call.get("function"), dict) else call
    identifier, name, arguments = call.get("id"), inner.get("name"), inner.get("arguments")
    if "arguments_hash" in inner:
        raise Unfit("too_long")
    if not isinstance(identifier, str) or not isinstance(name, str):
        raise Unfit("odd_calls")
    if not FUNCTION.fullmatch(name):
        raise Unfit("odd_calls")
    if not isinstance(arguments, str):
        arguments = msgspec.json.encode(arguments or {}).decode()
    function = {"name": name, "arguments": arguments}
    return {"id": identifier, "type": "function", "function": function}


def _check_calls(said: Sequence[JsonObject]) -> None:
    """Every call is answered before anybody says more, and nothing else is."""
    open_: set[str] = set()
    for message in said:
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_:
                raise Unfit("odd_calls")
            open_.discard(message["tool_call_id"])
        elif open_:
            raise Unfit("odd_calls")
        else:
            ids = [call["id"] for call in message.get("tool_calls", ())]
            open_ = set(ids)
            if len(open_) < len(ids):
                raise Unfit("odd_calls")


def functions(tools: object) -> list[JsonObject]:
    """Definitions of tools as OpenAI has them within `function`; of Anthropic's too."""
    found = []
    for tool in tools if isinstance(tools, list) else ():
        if not isinstance(tool, dict):
            continue
        held = tool["function"] if isinstance(tool.get("function"), dict) else tool
        schema = held.get("parameters", held.get("input_schema"))
        if isinstance(held.get("name"), str) and FUNCTION.fullmatch(held["name"]):
            function: JsonObject = {"name": held["name"]}
            if isinstance(held.get("description"), str):
                function["description"] = held["description"]
            function["parameters"] = schema if isinstance(schema, dict) else {"type": "object"}
            found.append(function)
    return found


def sharegpt(messages: Sequence[JsonObject], tools: object = None) -> JsonObject:
    """An example of the ShareGPT format."""
    said: list[JsonObject] = []
    for message in openai(messages)["messages"]:
        for who, value in _spoken(message):
            if said and said[-1]["from"] == who and who != "function_call":
                said[-1]["value"] += "\n\n" + value
            else:
                said.append({"from": who, "value": value})
    turns = [entry["from"] for entry in said[said[0]["from"] == "system" :]]
    asking = [who in ("human", "observation") for who in turns]
    if "system" in turns or asking != [n % 2 == 0 for n in range(len(asking))]:
        raise Unfit("out_of_turn")
    example: JsonObject = {"conversations": said}
    if known := functions(tools):
        example["tools"] = msgspec.json.encode(known).decode()
    return example


def _spoken(message: JsonObject) -> Iterator[tuple[str, str]]:
    who = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}
    if "content" in message:
        yield who[message["role"]], message["content"]
    if calls := message.get("tool_calls"):
        made = [
            {
                "name": call["function"]["name"],
                "arguments": _decoded(call["function"]["arguments"]),
            }
            for call in calls
        ]
        yield "function_call", msgspec.json.encode(made[0] if len(made) == 1 else made).decode()


def _decoded(arguments: str) -> Any:
    try:
        return msgspec.json.decode(arguments or "{}")
    except (msgspec.DecodeError, RecursionError):
        return arguments
