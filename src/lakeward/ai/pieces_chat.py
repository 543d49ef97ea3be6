"""A streamed chat completion put together: OpenAI's chunks and everything compatible.

In: chunks, as objects or dicts, those of the old completions too. Out: as `pieces.Dialect`. Usage
is the last that came: some services send a growing one with every chunk, most one at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from lakeward.ai.messages import flat
from lakeward.ai.reach import ID_MOST, NAME_MOST, listed, mapping, name, read, string, text, view
from lakeward.ai.shapes import Heard, count_calls, ended
from lakeward.interaction import JsonObject


class _Choice(msgspec.Struct):
    """One of the answers of a chat."""

    role: str = "assistant"
    content: list[str] = []
    thought: list[str] = []
    refusal: list[str] = []
    calls: dict[int, JsonObject] = {}
    """By index; arguments as a list of pieces."""


class Chat:
    """Chunks of Chat Completions, and of the old completions."""

    over = False

    def __init__(self) -> None:
        self._choices: dict[int, _Choice] = {}
        self._fields: JsonObject = {"operation": "chat"}
        self._reason: str | None = None
        self._usage: object = None

    def hear(self, chunk: object) -> str | None:
        """As `pieces.Dialect`."""
        piece = self._common(chunk)
        if piece is not None:
            return piece
        get, fields = view(chunk), self._fields
        if "response_id" not in fields:
            if identifier := string(get("id"), ID_MOST):
                fields["response_id"] = identifier
            if model := string(get("model"), NAME_MOST):
                fields["model_answered"] = model
        usage = get("usage")
        if usage is not None:
            self._usage = usage
        added: str | None = None
        for told in listed(get("choices")):
            piece = self._choice(view(told))
            if piece is not None:
                added = piece if added is None else added + piece
        return added

    def _common(self, chunk: Any) -> str | None:
        """The text of a chunk as most are, of the SDK's own classes: one choice, a text, no more.
        None leaves it to the long way."""
        try:
            held = chunk.__dict__
            (told,) = held["choices"]
            said, delta = told.__dict__, told.delta
            if held["usage"] is not None or said["finish_reason"] or said["index"] != 0:
                return None
            fields = delta.__dict__
            piece = fields["content"]
            if type(piece) is not str or not piece or delta.__pydantic_extra__:
                return None
            if fields["tool_calls"] or fields["refusal"] or fields["function_call"]:
                return None
            self._choices[0].content.append(piece)
        except Exception:  # another class, or the first chunk of all
            return None
        return piece

    def _choice(self, get: Callable[[str], Any]) -> str | None:
        index = get("index")
        key = index if type(index) is int else 0
        choice = self._choices.get(key)
        if choice is None:
            if len(self._choices) >= 128:
                return None
            choice = self._choices[key] = _Choice()
        if reason := string(get("finish_reason")):
            self._reason, self.over = self._reason or reason, True
        delta = get("delta")
        if delta is None:
            old = string(get("text"))
            if old is not None:
                self._fields["operation"] = "text_completion"
                choice.content.append(old)
            return old
        return self._delta(choice, view(delta))

    def _delta(self, choice: _Choice, get: Callable[[str], Any]) -> str | None:
        added: str | None = None
        if piece := string(get("content")):
            choice.content.append(piece)
            added = piece
        if piece := string(get("refusal")):
            choice.refusal.append(piece)
            added = piece
        if piece := string(get("reasoning_content")) or string(get("reasoning")):
            choice.thought.append(piece)
            added = added or ""
        for told in listed(get("tool_calls")):
            _call_piece(choice.calls, told)
            added = added or ""
        return added

    def told(self) -> Heard:
        """As `pieces.Dialect`."""
        found = Heard(dict(self._fields), [], mapping(self._usage), "openai")
        refused = False
        for choice in self._choices.values():
            found.messages.append(_chat_message(choice))
            refused = refused or bool(choice.refusal)
        ended(found.fields, self._reason, refused)
        count_calls(found)
        return found


def _call_piece(calls: dict[int, JsonObject], told: object) -> None:
    index = read(told, "index")
    key = index if type(index) is int else len(calls)
    made = calls.get(key)
    if made is None:
        if len(calls) >= 128:
            return
        made = calls[key] = {"pieces": []}
    function = read(told, "function")
    if identifier := name(told, "id", ID_MOST):
        made["id"] = identifier
    if called := name(function, "name"):
        made["name"] = called
    if piece := text(function, "arguments"):
        made["pieces"].append(piece)


def _chat_message(choice: _Choice) -> JsonObject:
    made: JsonObject = {"role": choice.role}
    told = (("reasoning", choice.thought), ("text", choice.content), ("refusal", choice.refusal))
    said = [{"type": kind, "text": "".join(pieces)} for kind, pieces in told if pieces]
    if said:
        made["content"] = flat(said)
    calls = []
    for told_call in choice.calls.values():
        whole = {key: told_call[key] for key in ("id", "name") if key in told_call}
        calls.append(whole | {"arguments": "".join(told_call["pieces"])})
    if calls:
        made["tool_calls"] = calls
    return made


class ChatHelper(Chat):
    """Events of `chat.completions.stream`, each of which stands for a chunk or repeats a part."""

    def hear(self, chunk: object) -> str | None:
        """As `pieces.Dialect`."""
        return super().hear(read(chunk, "chunk")) if text(chunk, "type") == "chunk" else None
