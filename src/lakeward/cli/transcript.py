"""One AI conversation as text: who said what, what it cost, how it was rated.

In: the rows of the question `ai_thread`. Out: lines. Nothing in them steers a terminal; what is no
text (an image, a call of a tool) is named, not shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from lakeward.cli.tail import printable
from lakeward.interaction import iso

LONGEST: Final = 2000
"""Letters of one message that are shown; JSON has all."""


def transcript(turns: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The turns, oldest first."""
    for turn in turns:
        yield " · ".join(_head(turn))
        messages = msgspec.json.decode(turn["messages"] or "[]")
        for message in messages if isinstance(messages, list) else ():
            yield from _message(message)
        if not messages:
            yield "    (its content was not kept)"
        yield ""


def _head(turn: Mapping[str, Any]) -> Iterator[str]:
    number = "turn" if turn["turn"] is None else f"turn {turn['turn']}"
    yield f"{number}  {iso(round(turn['started_at'].timestamp() * 1000))}"
    for name in ("user", "model", "status", "error_type"):
        if turn[name]:
            yield printable(turn[name])
    if turn["total_tokens"] is not None:
        yield f"{turn['total_tokens']:,} tokens"
    if turn["cost_usd"] is not None:
        yield f"${turn['cost_usd']:.6f}"
    if turn["helpful"] is not None:
        yield "helpful" if turn["helpful"] else "not helpful"
    if turn["rating"] is not None:
        yield f"{turn['rating']} of 5"
    if turn["reason"]:
        yield printable(turn["reason"])
    yield turn["interaction_id"]


def _message(message: Any) -> Iterator[str]:
    if not isinstance(message, dict):
        return
    role = printable(str(message.get("role", "?")))
    mark = f"{role}: "
    for text in _texts(message):
        shown = text[:LONGEST] + ("…" if len(text) > LONGEST else "")
        for line in shown.splitlines():
            yield f"    {mark}{printable(line)}"
            mark = " " * len(mark)


def _texts(message: Mapping[str, Any]) -> Iterator[str]:
    content = message.get("content")
    parts = content if isinstance(content, list) else [content]
    for part in parts:
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            text = part.get("text")
            yield text if isinstance(text, str) else f"[{part.get('type', 'part')}]"
    for call in message.get("tool_calls") or ():
        if isinstance(call, dict):
            inner = call.get("function")
            named = inner if isinstance(inner, dict) else call
            yield f"[calls {named.get('name', 'a tool')}]"
    for held in message.get("attachments") or ():
        if isinstance(held, dict):
            yield f"[attached: {held.get('media_type', 'a file')}]"
    if message.get("content_hash"):
        yield "[too long to keep; its hash is kept]"
