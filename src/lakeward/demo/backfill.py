"""A past, put into a lake through the door for old data: records with their own ids and times.

In: a past and settings. Out: how many records are durable. A record that is in the lake already has
the same id, so a past that is told twice is in the table once. Fails with `NotDurable` when the
keeper does not take them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lakeward import Collector
from lakeward.demo.chronicle import chronicle
from lakeward.demo.past import Past
from lakeward.settings import Settings

BATCH: Final = 1000
"""Records between two commits: a ring holds them all."""
COMMIT_SECONDS: Final = 60.0


def backfill(
    past: Past, settings: Settings, progress: Callable[[int], None] = lambda _: None
) -> int:
    """Record a past; what the settings keep out of the lake stays out."""
    kept = told = 0
    with Collector(settings) as collector:
        for kind, fields in chronicle(past):
            kept += collector.record(kind, **fields) is not None
            told += 1
            if told % BATCH == 0:
                collector.commit(COMMIT_SECONDS)
                progress(kept)
        collector.commit(COMMIT_SECONDS)
    return kept
