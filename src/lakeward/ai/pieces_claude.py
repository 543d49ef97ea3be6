"""A streamed answer of Anthropic's Messages API put together.

In: events, as objects or dicts. Out: as `pieces.Dialect`. Its usage is cumulative: what the last
event says of a count takes the place of what the first one said.
"""

from __future__ import annotations

from typing import Any

import msgspec

from lakeward.ai.draft_file import Aside
from lakeward.ai.reach import ID_MOST, mapping, name, read, text
from lakeward.ai.shapes import Heard, claude
from lakeward.interaction import JsonObject


class Claude:
    """Events of the Messages API; the helper's events beside them repeat what these say."""

    over = False

    def __init__(self) -> None:
        self.asides: list[Aside] = []
        self._message: object = None
        self._blocks: dict[int, JsonObject] = {}
        self._usage: JsonObject = {}
        self._reason: str | None = None

    def hear(self, chunk: object) -> str | None:
        """As `pieces.Dialect`."""
        kind = text(chunk, "type")
        if kind == "content_block_delta":
            return self._delta(chunk)
        if kind == "content_block_start":
            return self._start(chunk)
        if kind == "message_start":
            self._message = read(chunk, "message")
            self._usage = mapping(read(self._message, "usage")) or {}
        elif kind == "message_delta":
            self._reason = text(read(chunk, "delta"), "stop_reason") or self._reason
            self._usage |= mapping(read(chunk, "usage")) or {}
        elif kind == "message_stop":
            self.over = True
        return None

    def _start(self, chunk: object) -> str | None:
        index, block = read(chunk, "index"), read(chunk, "content_block")
        if type(index) is not int or len(self._blocks) >= 1024:
            return None
        kind = text(block, "type") or "unknown"
        made: JsonObject = {"type": kind, "pieces": []}
        if kind.endswith("tool_use"):
            made |= {"id": name(block, "id", ID_MOST), "name": name(block, "name")}
        elif kind not in ("text", "thinking", "redacted_thinking"):
            made["block"] = block
        self._blocks[index] = made
        if not kind.endswith("tool_use"):
            return None
        self.asides.append(Aside("", index, made["id"], made["name"]))
        return ""

    def _delta(self, chunk: object) -> str | None:
        made, delta = self._blocks.get(read(chunk, "index")), read(chunk, "delta")
        if made is None:
            return None
        kind = text(delta, "type")
        if kind == "text_delta":
            piece = text(delta, "text")
        elif kind in ("thinking_delta", "input_json_delta"):
            piece = text(delta, "thinking") or text(delta, "partial_json")
        else:
            return None
        if piece is None:
            return None
        made["pieces"].append(piece)
        if kind == "text_delta":
            return piece
        call = read(chunk, "index") if kind == "input_json_delta" else None
        self.asides.append(Aside(piece, call))
        return ""

    def begun(self) -> JsonObject:
        """As `pieces.Dialect`."""
        return self.told().fields

    def told(self) -> Heard:
        """As `pieces.Dialect`."""
        whole: JsonObject = {"role": "assistant"}
        for key in ("id", "model"):
            whole[key] = read(self._message, key)
        whole["stop_reason"] = self._reason
        whole["usage"] = self._usage
        return claude(whole, [_block(made) for made in self._blocks.values()])


def _block(made: JsonObject) -> Any:
    """A block as it would be in an answer that is no stream."""
    if "block" in made:
        return made["block"]
    kind, whole = made["type"], "".join(made["pieces"])
    if kind == "thinking":
        return {"type": kind, "thinking": whole}
    if kind.endswith("tool_use"):
        return {"type": kind, "id": made["id"], "name": made["name"], "input": _json(whole)}
    return {"type": kind, "text": whole}


def _json(whole: str) -> Any:
    """A call's arguments; the beginning of them as text when the stream was cut."""
    if not whole:
        return {}
    try:
        return msgspec.json.decode(whole)
    except (msgspec.DecodeError, RecursionError):
        return whole
