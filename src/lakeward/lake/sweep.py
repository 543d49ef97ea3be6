"""Sweeping: what comes late of a person who was erased does not stay in the log either.

In: a lake with its suppression list. Out: lines that the list covers are blanked and counted
`suppressed`; `.lakeward/swept.json` remembers how far the log was looked through, as whoever is
erased later is taken out of what stands before by the erasure itself. Fails as a removal does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from lakeward.lakedir import LakeDir, replace_file
from lakeward.ledger import STREAMS, Stream
from lakeward.log import Position, read_lines
from lakeward.removal import MOST_CUTS, Cut, remove_lines
from lakeward.suppression import load

SWEPT: Final = "swept.json"
EVERY: Final = 100_000
"""Lines after which the place is remembered, so that a kill costs little."""


def sweep(lake: LakeDir) -> int:
    """Blank what came since the last time; how many lines."""
    return sum(_sweep(lake, stream) for stream in STREAMS)


def _sweep(lake: LakeDir, stream: Stream) -> int:
    suppressed = load(lake)
    swept, cuts, reached = 0, list[Cut](), _place(lake, stream)
    for n, (record, cut, position) in enumerate(records(lake, stream, reached), 1):
        reached = position
        if record and suppressed.covers(record):
            cuts.append(cut)
        if len(cuts) >= MOST_CUTS or n % EVERY == 0:
            swept += remove_lines(lake, cuts, "suppressed", stream=stream)
            _remember(lake, stream, reached)
            cuts = []
    swept += remove_lines(lake, cuts, "suppressed", stream=stream) if cuts else 0
    _remember(lake, stream, reached)
    return swept


def records(
    lake: LakeDir, stream: Stream, start: Position
) -> Iterator[tuple[dict[str, Any], Cut, Position]]:
    """What stands in each line behind `start`, its place, and the position behind it. Of a line of
    the quarantine it is the refused record, with the time of the refusal when it has no id."""
    for line, position in read_lines(lake, start, stream):
        cut = Cut(position.segment, position.offset - len(line), len(line))
        try:
            record = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            record = {}
        if stream == "quarantine":
            inner = record.get("record")
            named = {"interaction_id": record.get("quarantine_id")}
            record = named | inner if isinstance(inner, dict) else {}
        yield record, cut, position


def _place(lake: LakeDir, stream: Stream) -> Position:
    place = _places(lake).get(stream, Position())
    return place if place.epoch == lake.identity.epoch else Position()


def _places(lake: LakeDir) -> dict[Stream, Position]:
    try:
        content = (lake.private / SWEPT).read_bytes()
        return msgspec.json.decode(content, type=dict[Stream, Position])
    except (FileNotFoundError, msgspec.MsgspecError):
        return {}


def _remember(lake: LakeDir, stream: Stream, place: Position) -> None:
    known = _places(lake)
    if known.get(stream) != place:
        replace_file(lake.private / SWEPT, msgspec.json.encode(known | {stream: place}) + b"\n")
