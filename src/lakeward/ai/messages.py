"""What the app asked: messages of every provider's parameters as those of `ai_conversation`.

In: a list of messages, a text, a list of texts, or a provider's objects among them. Out: fresh
dicts of role, content, tool calls and attachments; the caller's objects are never changed and not
kept, so that the app may go on with them. Nothing fails: what cannot be read is left out.

    {"role": "user", "content": [{"type": "image", "source": {"type": "base64", …}}]}
        -> {"role": "user", "content": [{"type": "image"}], "attachments": [{"sha256": …}]}
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "9"}]}
        -> {"role": "tool", "tool_call_id": "t1", "content": "9"}
"""

from __future__ import annotations

from typing import Any, Final

from lakeward.ai.attached import attachment, bulky, holds_file, without_files
from lakeward.ai.reach import ID_MOST, exact, items, listed, name, plain, read, text
from lakeward.interaction import JsonObject

_TEXTS: Final = frozenset({"text", "input_text", "output_text"})
_CALLS: Final = frozenset(
    {"tool_use", "server_tool_use", "mcp_tool_use", "function_call", "custom_tool_call"}
)
_RESULTS: Final = frozenset({"function_call_output", "custom_tool_call_output", "tool_result"})
_PLAIN_KEYS: Final = frozenset({"role", "content"})


def asked(given: object, system: object = None) -> list[JsonObject]:
    """The messages of a request; `system` stands before them."""
    found: list[JsonObject] = []
    if system is not None:
        _each([{"role": "system", "content": system}], found)
    try:
        one = isinstance(given, str) or not isinstance(given, list | tuple)
    except Exception:
        one = True
    if given is not None:
        _each([given] if one else listed(given), found)
    return found


def _each(messages: list[Any], found: list[JsonObject]) -> None:
    for message in messages:
        if type(message) is dict and message.keys() == _PLAIN_KEYS:
            role, content = message["role"], message["content"]
            if type(role) is str and type(content) is str and ";base64," not in content:
                found.append({"role": role[:200] or "user", "content": content})
                continue
        try:
            _any(message, found)
        except Exception:
            found.append({"role": "user"})


def spoken(role: str, said: str) -> JsonObject:
    """A message that is one text."""
    if ";base64," not in said:
        return {"role": role, "content": said}
    files: list[JsonObject] = []
    message: JsonObject = {"role": role, "content": without_files(said, files)}
    if files:
        message["attachments"] = files
    return message


def _any(message: object, found: list[JsonObject]) -> None:
    """One message or one item of `responses`, as the messages that it makes."""
    if isinstance(message, str):
        found.append(spoken("user", message))
        return
    kind = text(message, "type")
    if kind in _RESULTS:
        found.append(_result(message))
    elif kind in _CALLS:
        _attach_call(found, call(message))
    elif kind == "reasoning":
        if thought := parts(items(message, "summary") + items(message, "content"), {}, []):
            said = [{"type": "reasoning", "text": part.get("text", "")} for part in thought]
            found.append({"role": "assistant", "content": said})
    else:
        found.extend(_message(message))


def _message(message: object) -> list[JsonObject]:
    made: JsonObject = {"role": name(message, "role") or "user"}
    results: list[JsonObject] = []
    if who := name(message, "name"):
        made["name"] = who
    if answered := name(message, "tool_call_id", ID_MOST):
        made["tool_call_id"] = answered
    content = read(message, "content")
    if isinstance(content, str):
        made |= spoken(made["role"], str.__str__(content))
    elif content is not None:
        said = parts(listed(content) or [content], made, results)
        if said:
            made["content"] = flat(said)
    if refusal := text(message, "refusal"):
        made.setdefault("content", [{"type": "refusal", "text": refusal}])
    calls = [call(told) for told in items(message, "tool_calls")]
    if old := read(message, "function_call"):
        calls.append(call(old))
    if calls:
        made["tool_calls"] = made.get("tool_calls", []) + calls
    if results and len(made) == 1:
        return results
    return [*results, made]


def parts(content: list[Any], message: JsonObject, results: list[JsonObject]) -> list[JsonObject]:
    """The parts of a content; calls and files go into `message`, results of tools to `results`."""
    said: list[JsonObject] = []
    for part in content:
        if isinstance(part, str):
            said.append({"type": "text", "text": str.__str__(part)})
            continue
        kind = text(part, "type")
        if kind in _TEXTS or kind == "summary_text" or kind == "reasoning_text":
            files: list[JsonObject] = []
            words = text(part, "text") or ""
            if ";base64," in words:
                words = without_files(words, files)
                message["attachments"] = message.get("attachments", []) + files
            said.append({"type": "text", "text": words})
        elif kind in _CALLS:
            message.setdefault("tool_calls", []).append(call(part))
        elif kind in _RESULTS:
            results.append(_result(part))
        elif kind == "thinking":
            said.append({"type": "reasoning", "text": text(part, "thinking") or ""})
        elif kind == "redacted_thinking":
            said.append({"type": "reasoning", "redacted": True})
        elif kind == "refusal":
            said.append({"type": "refusal", "text": text(part, "refusal") or ""})
        elif kind is not None and holds_file(kind):
            said.append({"type": kind[:200]})
            if file := attachment(part, kind):
                message.setdefault("attachments", []).append(file)
        else:
            said.append(_unknown(part, kind))
    return said


def flat(said: list[JsonObject]) -> Any:
    """One text as the text itself; several parts as they are."""
    if len(said) == 1 and said[0]["type"] == "text":
        return said[0]["text"]
    return said


def call(told: object) -> JsonObject:
    """A call that the model asked for: id, name, arguments as the provider gives them."""
    inner = read(told, "function")
    if inner is None:
        inner = read(told, "custom")
    held = told if inner is None or isinstance(inner, str) else inner
    made: JsonObject = {}
    if identifier := name(told, "call_id", ID_MOST) or name(told, "id", ID_MOST):
        made["id"] = identifier
    if called := name(held, "name"):
        made["name"] = called
    for key in ("arguments", "input"):
        given = read(held, key)
        if given is not None:
            made["arguments"] = _small(exact(given))
            break
    return made


def _attach_call(found: list[JsonObject], made: JsonObject) -> None:
    """An item that is a call joins the assistant's message before it."""
    if found and found[-1]["role"] == "assistant" and "tool_call_id" not in found[-1]:
        found[-1].setdefault("tool_calls", []).append(made)
    else:
        found.append({"role": "assistant", "tool_calls": [made]})


def _result(part: object) -> JsonObject:
    """What a tool answered."""
    made: JsonObject = {"role": "tool"}
    if answered := name(part, "call_id", ID_MOST) or name(part, "tool_use_id", ID_MOST):
        made["tool_call_id"] = answered
    content = read(part, "output")
    content = read(part, "content") if content is None else content
    if isinstance(content, str):
        made |= spoken("tool", str.__str__(content))
    elif content is not None and (said := parts(listed(content) or [content], made, [])):
        made["content"] = flat(said)
    if read(part, "is_error") is True:
        made["is_error"] = True
    return made


def _unknown(part: object, kind: str | None) -> JsonObject:
    """A part of a type of which nothing is known, without what looks like bytes."""
    kept = _small(plain(part))
    made: JsonObject = kept if isinstance(kept, dict) else {}
    made["type"] = (kind or "unknown")[:200]
    return made


def _small(value: Any) -> Any:
    """JSON without what looks like bytes."""
    if type(value) is str:
        return bulky(value)
    if type(value) is dict:
        return {key: _small(item) for key, item in value.items()}
    if type(value) is list:
        return [_small(item) for item in value]
    return value
