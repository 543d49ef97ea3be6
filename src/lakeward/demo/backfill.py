"""A past, put into a lake through the door for old data: records with their own ids and times.

In: a past and settings. Out: how many records are durable. A record that is in the lake already has
the same id, so a past that is told twice is in the table once. Fails with `NotDurable` when the
keeper does not take them.
"""

from __future__ import annotations

from typing import Final

from lakeward import Collector
from lakeward.collector import OUTCOMES
from lakeward.demo.chronicle import chapters
from lakeward.demo.past import Past
from lakeward.demo.scribe import Told
from lakeward.errors import NotDurable
from lakeward.settings import Settings

FRAME_SHARE: Final = 0.5
"""Of the largest frame; so much room is left for the visit that does not fit any more."""
COMMIT_SECONDS: Final = 60.0


def backfill(past: Past, settings: Settings) -> int:
    """Record a past; what the settings keep out of the lake stays out."""
    kept, lines, size = 0, list[bytes](), 0
    with Collector(settings) as collector:
        for chapter in chapters(past):
            visit = _prepared(collector, chapter)
            lines += visit
            size += sum(map(len, visit))
            if size > FRAME_SHARE * settings.frame_bytes:
                kept += _put(collector, lines)
                lines, size = [], 0
        kept += _put(collector, lines)
    return kept


def _prepared(collector: Collector, chapter: list[Told]) -> list[bytes]:
    left_out = not collector.settings.track_outcomes
    return [
        collector.prepare(kind, fields)
        for kind, fields in chapter
        if not ((left_out and kind in OUTCOMES) or collector.leaves_out(kind, fields))
    ]


def _put(collector: Collector, lines: list[bytes]) -> int:
    if lines and not collector.put_batch(lines):
        raise NotDurable("the history of the demo found no room in the ring: is a keeper running?")
    collector.commit(COMMIT_SECONDS)
    return len(lines)
