"""A streamed chat completion put together: OpenAI's chunks and everything compatible.

In: chunks, as objects or dicts, those of the old completions too. Out: as `pieces.Dialect`. Usage
is the last that came: some services send a growing one with every chunk, most one at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from lakeward.ai.draft_file import Aside
from lakeward.ai.messages import flat
from lakeward.ai.reach import ID_MOST, NAME_MOST, listed, name, read, string, text, view
from lakeward.ai.shapes import Heard, count_calls, ended
from lakeward.ai.usual import usage
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
        self.asides: list[Aside] = []
        self._choices: dict[int, _Choice] = {}
        self._fields: JsonObject = {"operation": "chat"}
        self._reason: str | None = None
        self._usage: object = None
        self._first: list[str] | None = None
        """The content of the first choice, once there is one."""

    def hear(self, chunk: Any) -> str | None:
        """As `pieces.Dialect`. At once for a chunk as most are, of the SDK's own classes: one
        choice, a text, no more."""
        try:
            (told,) = chunk.__dict__["choices"]
            said = told.__dict__
            fields = said["delta"].__dict__
            piece, first = fields["content"], self._first
            if (
                type(piece) is str and piece and first is not None and not said["finish_reason"]
                and not said["index"] and not fields["tool_calls"] and not fields["refusal"]
                and not fields["function_call"] and not said["delta"].__pydantic_extra__
                and chunk.usage is None
            ):  # fmt: skip
                first.append(piece)
                return piece
        except Exception:  # noqa: S110 - another class
            pass
        return self._rare(chunk)

    def _rare(self, chunk: object) -> str | None:
        """As `hear`, of a chunk of any form."""
        piece = self._edge(chunk)
        if piece is not None:
            return piece or None
        get, fields = view(chunk), self._fields
        if "response_id" not in fields:
            self._named(get("id"), get("model"))
        usage = get("usage")
        if usage is not None:
            self._usage = usage
        added: str | None = None
        for told in listed(get("choices")):
            piece = self._choice(view(told))
            if piece is not None:
                added = piece if added is None else added + piece
        return added

    def _named(self, identifier: object, model: object) -> None:
        if identifier := string(identifier, ID_MOST):
            self._fields["response_id"] = identifier
        if model := string(model, NAME_MOST):
            self._fields["model_answered"] = model

    def _edge(self, chunk: Any) -> str | None:
        """The text of a first chunk of these classes; empty for a last one, which tells the reason
        of the end, or the usage, and no more. None leaves it to the long way."""
        try:
            held = chunk.__dict__
            choices, usage, first = held["choices"], held["usage"], self._first
            if usage is not None:
                if choices or first is None:
                    return None
                self._usage = usage
                return ""
            (told,) = choices
            said = told.__dict__
            delta = said["delta"]
            fields = delta.__dict__
            piece = fields["content"]
            if (
                said["index"] != 0 or delta.__pydantic_extra__ or fields["tool_calls"]
                or fields["refusal"] or fields["function_call"]
            ):  # fmt: skip
                return None
            if type(piece) is not str or not piece or said["finish_reason"]:
                return self._ending(piece, said["finish_reason"])
            if first is None:
                first = self._begun(held)
            first.append(piece)
        except Exception:  # another class
            return None
        return piece

    def _begun(self, held: JsonObject) -> list[str]:
        """The first choice's content, at its first text."""
        if "response_id" not in self._fields:
            self._named(held["id"], held["model"])
        choice = self._choices.setdefault(0, _Choice())
        self._first = choice.content
        return choice.content

    def _ending(self, piece: object, reason: object) -> str | None:
        """A chunk that says why the first choice ended, and no more."""
        if piece or type(reason) is not str or self._first is None:
            return None
        self._reason, self.over = self._reason or reason, True
        return ""

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
            self.asides.append(Aside(piece))
            added = added or ""
        for told in listed(get("tool_calls")):
            if aside := _call_piece(choice.calls, told):
                self.asides.append(aside)
            added = added or ""
        return added

    def begun(self) -> JsonObject:
        """As `pieces.Dialect`."""
        return self._fields

    def told(self) -> Heard:
        """As `pieces.Dialect`."""
        found = Heard(dict(self._fields), [], usage(self._usage), "openai")
        refused = False
        for choice in self._choices.values():
            found.messages.append(_chat_message(choice))
            refused = refused or bool(choice.refusal)
        ended(found.fields, self._reason, refused)
        count_calls(found)
        return found


def _call_piece(calls: dict[int, JsonObject], told: object) -> Aside | None:
    index = read(told, "index")
    key = index if type(index) is int else len(calls)
    made = calls.get(key)
    if made is None:
        if len(calls) >= 128:
            return None
        made = calls[key] = {"pieces": []}
    function = read(told, "function")
    if identifier := name(told, "id", ID_MOST):
        made["id"] = identifier
    if called := name(function, "name"):
        made["name"] = called
    if piece := text(function, "arguments"):
        made["pieces"].append(piece)
    return Aside(piece or "", key, identifier, called)


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
