"""What a model answered: responses of OpenAI and Anthropic, dicts of their shapes, and texts.

In: the response object, by whose shape it is recognised; no SDK is imported. Out: `Heard`, which
is empty for what nobody knows. Nothing fails: what cannot be read is left out.

    choices[].message        Chat Completions and everything compatible; .text: the old ones
    output[], status         Responses
    content[], stop_reason   Messages
    data[].embedding         Embeddings: counted, the vectors are not kept
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from lakeward.ai.attached import attachment
from lakeward.ai.messages import call, flat, parts, spoken
from lakeward.ai.reach import (
    ID_MOST,
    NAME_MOST,
    items,
    listed,
    mapping,
    name,
    read,
    string,
    text,
    view,
)
from lakeward.ai.usual import chat as usual_chat
from lakeward.interaction import JsonObject

REFUSALS: Final = frozenset({"content_filter", "refusal", "safety", "SAFETY", "PROHIBITED_CONTENT"})
"""Reasons to stop that mean: the model would not."""


class Heard(msgspec.Struct):
    """What an answer says."""

    fields: JsonObject
    """Fields of `ai_conversation`."""
    messages: list[JsonObject]
    usage: JsonObject | None = None
    dialect: str = ""
    """How `usage` counts."""


def heard(answer: object) -> Heard:
    """What `answer` says; nothing for a shape that nobody knows."""
    try:
        return _heard(answer)
    except Exception:
        return Heard({}, [])


def _heard(answer: object) -> Heard:
    if isinstance(answer, str):
        return Heard({}, [spoken("assistant", str.__str__(answer))])
    if (usual := usual_chat(answer)) is not None:
        fields, message, usage = usual
        return Heard(fields, [message], usage, "openai")
    get = view(answer)
    if choices := listed(get("choices")):
        return chat(get, choices)
    output = get("output")
    if isinstance(output, list) and get("object") == "response":
        return response(answer, output)
    content = get("content")
    if isinstance(content, list) and get("type") == "message":
        return claude(answer, content)
    data = listed(get("data"))
    if data and read(data[0], "embedding") is not None:
        found = _head(get, "embeddings", "embeddings")
        found.fields["status"] = "completed"
        return found
    message = get("message")
    if message is not None and text(message, "role"):
        return _message(answer, message)
    if string(get("role")) and content is not None:
        return _message(answer, answer)
    return _head(get, "", "")


def _head(get: Callable[[str], Any], operation: str, dialect: str) -> Heard:
    """What all answers have: id, model, usage."""
    fields: JsonObject = {"operation": operation} if operation else {}
    if model := string(get("model"), NAME_MOST):
        fields["model_answered"] = model
    if identifier := string(get("id"), ID_MOST):
        fields["response_id"] = identifier
    return Heard(fields, [], mapping(get("usage")), dialect)


def ended(fields: JsonObject, reason: str | None, refused: bool = False) -> None:
    """Say how an answer ended: by the provider's word, and by ours."""
    if reason:
        fields["finish_reason"] = reason[:200]
    fields["status"] = "refused" if refused or reason in REFUSALS else "completed"


def _message(answer: object, message: object) -> Heard:
    """An object with one message."""
    found = _head(view(answer), "chat", "")
    made = chat_message(message)
    found.messages.append(made)
    ended(found.fields, text(answer, "finish_reason") or text(answer, "done_reason"))
    count_calls(found)
    return found


def chat(get: Callable[[str], Any], choices: list[Any]) -> Heard:
    """A chat completion, or one of the old ones, which have a text."""
    first = view(choices[0])
    old = first("message") is None
    found = _head(get, "text_completion" if old else "chat", "openai")
    refused = False
    for choice in choices[:128]:
        if old:
            made = spoken("assistant", text(choice, "text") or "")
        else:
            made = chat_message(read(choice, "message"))
            refused = refused or _refuses(made.get("content"))
        found.messages.append(made)
    ended(found.fields, string(first("finish_reason")), refused)
    count_calls(found)
    return found


def _refuses(content: object) -> bool:
    return type(content) is list and any(part["type"] == "refusal" for part in content)


def chat_message(message: object) -> JsonObject:
    """The model's message, of whichever parts it has."""
    get = view(message)
    made: JsonObject = {"role": string(get("role"), NAME_MOST) or "assistant"}
    content = get("content")
    thought = string(get("reasoning_content")) or string(get("reasoning"))
    refusal = string(get("refusal"))
    if type(content) is str and not thought and not refusal and ";base64," not in content:
        if content:
            made["content"] = content
    else:
        said: list[JsonObject] = [{"type": "reasoning", "text": thought}] if thought else []
        if isinstance(content, str):
            content = [{"type": "text", "text": content}] if content else []
        said += parts(listed(content), made, [])
        if refusal:
            said.append({"type": "refusal", "text": refusal})
        if said:
            made["content"] = flat(said)
    _spoken(get("audio"), made)
    calls = [call(told) for told in listed(get("tool_calls"))]
    if old := get("function_call"):
        calls.append(call(old))
    if calls:
        made["tool_calls"] = calls
    return made


def _spoken(audio: object, made: JsonObject) -> None:
    """An answer that is sound: what was said, and the hash of it."""
    if audio is not None and text(audio, "data"):
        made["attachments"] = [attachment({"audio": audio}, "audio")]
        if transcript := text(audio, "transcript"):
            made.setdefault("content", transcript)


def response(answer: object, output: list[Any]) -> Heard:
    """An answer of the Responses API: its items as one message, reasoning first."""
    found = _head(view(answer), "chat", "responses")
    made: JsonObject = {"role": "assistant"}
    said: list[JsonObject] = []
    for item in output:
        kind = text(item, "type")
        if kind == "reasoning":
            thoughts = parts(items(item, "summary") + items(item, "content"), {}, [])
            said += [{"type": "reasoning", "text": part.get("text", "")} for part in thoughts]
        elif kind == "message":
            said += parts(items(item, "content"), made, [])
        elif kind == "image_generation_call" and (data := text(item, "result")):
            said.append({"type": "image"})
            image = attachment({"data": data, "media_type": "image/png"}, "image")
            made.setdefault("attachments", []).append(image)
        elif kind is not None and kind.endswith("_call"):
            made.setdefault("tool_calls", []).append(_item_call(item, kind))
    if said:
        made["content"] = flat(said)
    if len(made) > 1:
        found.messages.append(made)
    _response_end(answer, found, said)
    count_calls(found)
    return found


def _item_call(item: object, kind: str) -> JsonObject:
    """A call of the app's own function or of a tool that the provider runs."""
    made = call(item)
    made.setdefault("name", kind.removesuffix("_call"))
    return made


def _response_end(answer: object, found: Heard, said: list[JsonObject]) -> None:
    state = name(answer, "status")
    reason = text(read(answer, "incomplete_details"), "reason") or state
    refused = any(part["type"] == "refusal" for part in said)
    ended(found.fields, reason, refused)
    if state in ("failed", "cancelled"):
        found.fields["status"] = state
        if code := name(read(answer, "error"), "code"):
            found.fields["error_type"] = code


def claude(answer: object, content: list[Any]) -> Heard:
    """An answer of the Messages API."""
    found = _head(view(answer), "chat", "anthropic")
    made: JsonObject = {"role": name(answer, "role") or "assistant"}
    results: list[JsonObject] = []
    if said := parts(content, made, results):
        made["content"] = flat(said)
    found.messages += [made, *results]
    ended(found.fields, text(answer, "stop_reason"))
    count_calls(found)
    return found


def count_calls(found: Heard) -> None:
    """Say how many tools the answer wants, and which."""
    calls = [made for message in found.messages for made in message.get("tool_calls", ())]
    if calls:
        found.fields["tool_call_count"] = len(calls)
        names = dict.fromkeys(made["name"] for made in calls if "name" in made)
        found.fields["tools_used"] = list(names)[:100]
