"""One record whole, as the log holds it.

In: a place in the log, as a row of the live feed names it. Out: the record formatted. Says no with
404 for a place where no record begins, with 410 for an erased one. Reads files and is called in
threads.
"""

from __future__ import annotations

import msgspec

from lakeward.log import Position
from lakeward.server.answer import Refusal
from lakeward.server.tail import Tail


def look_up(tail: Tail, at: Position, head: Position) -> dict[str, str]:
    """The record at a position."""
    line = tail.line(at, head)
    if line is None:
        raise Refusal(404, "gone", "This record is not in the log any more.")
    if not line:
        raise Refusal(410, "erased", "This record was erased.")
    try:
        text = msgspec.json.format(line, indent=2).decode("utf-8", "replace")
    except msgspec.DecodeError:
        text = line.decode("utf-8", "replace")
    return {"text": text}
