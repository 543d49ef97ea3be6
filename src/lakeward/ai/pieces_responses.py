"""A streamed answer of OpenAI's Responses API put together.

In: events, as objects or dicts. Out: as `pieces.Dialect`: the whole response where the last event
brought it, else what the deltas said.
"""

from __future__ import annotations

from typing import Final

from lakeward.ai.draft_file import Aside
from lakeward.ai.messages import call, flat
from lakeward.ai.reach import items, name, read, text
from lakeward.ai.shapes import Heard, count_calls, response
from lakeward.interaction import JsonObject


class Responses:
    """Events of the Responses API."""

    over = False

    def __init__(self) -> None:
        self.asides: list[Aside] = []
        self._begun: object = None
        self._final: object = None
        self._items: dict[int, JsonObject] = {}
        self._error: str | None = None

    def hear(self, chunk: object) -> str | None:
        """As `pieces.Dialect`."""
        kind = text(chunk, "type") or ""
        if kind.endswith(".delta"):
            return self._delta(kind, chunk)
        whole = read(chunk, "response")
        if whole is not None and kind in _ENDS:
            self._final, self.over = whole, True
        elif whole is not None:
            self._begun = whole
        elif kind == "response.output_item.added":
            return self._added(chunk)
        elif kind == "error":
            self._error, self.over = name(chunk, "code") or "error", True
        return None

    def _added(self, chunk: object) -> str | None:
        item = self._item(chunk)["told"] = read(chunk, "item")
        if not (text(item, "type") or "").endswith("_call"):
            return None
        told = call(item)
        self.asides.append(Aside("", _index(chunk), told.get("id"), told.get("name")))
        return ""

    def _item(self, chunk: object) -> JsonObject:
        key = _index(chunk)
        if key not in self._items and len(self._items) >= 1024:
            return {"pieces": {}}
        return self._items.setdefault(key, {"pieces": {}})

    def _delta(self, kind: str, chunk: object) -> str | None:
        part = _PARTS.get(kind)
        piece = text(chunk, "delta")
        if part is None or piece is None:
            return None
        self._item(chunk)["pieces"].setdefault(part, []).append(piece)
        if part in ("text", "refusal"):
            return piece
        self.asides.append(Aside(piece, _index(chunk) if part == "arguments" else None))
        return ""

    def begun(self) -> JsonObject:
        """As `pieces.Dialect`."""
        return self.told().fields

    def told(self) -> Heard:
        """As `pieces.Dialect`."""
        if self._final is not None:
            return response(self._final, items(self._final, "output"))
        found = response(self._begun, [])
        found.usage = None
        for key in ("status", "finish_reason"):
            found.fields.pop(key, None)
        made: JsonObject = {"role": "assistant"}
        said: list[JsonObject] = []
        for item in self._items.values():
            for part, pieces in item["pieces"].items():
                whole = "".join(pieces)
                if part == "arguments":
                    told = call(item.get("told")) | {"arguments": whole}
                    made.setdefault("tool_calls", []).append(told)
                else:
                    said.append({"type": part, "text": whole})
        if said:
            made["content"] = flat(said)
        if len(made) > 1:
            found.messages.append(made)
        if self._error:
            found.fields |= {"status": "failed", "error_type": self._error}
        count_calls(found)
        return found


def _index(chunk: object) -> int:
    index = read(chunk, "output_index")
    return index if type(index) is int else 0


_ENDS: Final = frozenset(
    {"response.completed", "response.incomplete", "response.failed", "response.cancelled"}
)
_PARTS: Final = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.reasoning_summary_text.delta": "reasoning",
    "response.reasoning_text.delta": "reasoning",
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "arguments",
    "response.mcp_call_arguments.delta": "arguments",
}
