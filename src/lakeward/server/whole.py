"""One record whole, and its neighbours in its trace.

In: a place in the log, as a row of the live feed names it. Out: the record formatted, and rows near
it. Says no with 404 for a place where no record of the reader's begins, with 410 for an erased one.
Reads files and is called in threads.
"""

from __future__ import annotations

from typing import Any

import msgspec

from lakeward.log import Position
from lakeward.server.answer import Refusal
from lakeward.server.feed import blocks
from lakeward.server.glance import Glance, glance
from lakeward.server.tail import Entry, Tail, decode

TRACE_BYTES, TRACE_ROWS = 1 << 20, 50


def look_up(tail: Tail, at: Position, head: Position) -> dict[str, Any]:
    """The record at a position, and its trace."""
    line = tail.line(at, head)
    if line is None:
        raise Refusal(404, "gone", "This record is not in the log any more.")
    if not line:
        raise Refusal(410, "erased", "This record was erased.")
    try:
        text = msgspec.json.format(line, indent=2).decode("utf-8", "replace")
    except msgspec.DecodeError:
        text = line.decode("utf-8", "replace")
    trace = decode(line).trace_id
    return {"text": text, "trace": _near(tail, at, head, trace) if trace else []}


def _near(tail: Tail, at: Position, head: Position, trace: str) -> list[Glance]:
    """Records of one trace within a megabyte before and behind a position, in log order."""
    start, _ = tail.before(at, TRACE_BYTES)
    found: list[Entry] = []
    for block in blocks(tail, start, head):
        found += [entry for entry in block.rows if entry.row.trace_id == trace]
        far = (at.segment, at.offset + TRACE_BYTES)
        if (block.end.segment, block.end.offset) > far:
            break
    return [glance(entry) for entry in found[:TRACE_ROWS]]
