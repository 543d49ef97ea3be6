"""What stands outside the table, as tables that a question can name: refusals, and what became of
everything that was offered.

In: a reading of the lake. Out: the tables `refusals` and `places` in its memory, made anew each
time. Entries of the quarantine that nobody can read are left out; counts that cannot be had
just now, because the ledger moves or is damaged, are not there.

    refusals   set_aside_at, interaction_type, reason, follower, brought_back, n
    places     place, reason, n, oldest_at      offered, delivered, …; compacted, duplicate, …
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from lakeward.errors import LakewardError
from lakeward.interaction import parse_iso
from lakeward.lake.progress import read_progress
from lakeward.lake.summary import lake_counts
from lakeward.quarantine import Entry, Selection, brought_back, entries

if TYPE_CHECKING:
    from lakeward.lake.reading import Reading

LONGEST: Final = 200
REFUSALS: Final = (
    "CREATE OR REPLACE TEMP TABLE refusals (set_aside_at TIMESTAMPTZ, interaction_type VARCHAR, "
    "reason VARCHAR, follower VARCHAR, brought_back BOOLEAN, n BIGINT)"
)
FILL: Final = (
    "INSERT INTO refusals SELECT make_timestamptz(unnest(?::BIGINT[]) * 1000), "
    "unnest(?::VARCHAR[]), unnest(?::VARCHAR[]), unnest(?::VARCHAR[]), unnest(?::BOOLEAN[]), "
    "unnest(?::BIGINT[])"
)
PLACES: Final = (
    "CREATE OR REPLACE TEMP TABLE places (place VARCHAR, reason VARCHAR, n BIGINT, "
    "oldest_at TIMESTAMPTZ)"
)
Key = tuple[int, str | None, str, str | None, bool]


def make_refusals(reading: Reading) -> None:
    """The quarantine: how many of a type were set aside in a millisecond, and why."""
    reading.con.execute(REFUSALS)
    marked = brought_back(reading.lake)
    found: Counter[Key] = Counter()
    for entry in entries(reading.lake, Selection()):
        if (key := _key(entry, marked)) is not None:
            found[key] += 1
    if found:
        columns = [list(values) for values in zip(*found, strict=True)]
        reading.con.execute(FILL, [*columns, list(found.values())])


def _key(entry: Entry, marked: set[str]) -> Key | None:
    try:
        at = parse_iso(entry.quarantined_at)
    except (ValueError, OverflowError):
        return None
    kind, follower = entry.interaction_type[:LONGEST], entry.follower[:LONGEST]
    return at, kind or None, entry.reason, follower or None, entry.quarantine_id in marked


def make_places(reading: Reading) -> None:
    """Where everything offered is, and what became of each line on its way into the table."""
    con = reading.con
    con.execute(PLACES)
    rows: list[tuple[str, str | None, int]] = []
    counts = lake_counts(reading.lake, reading.settings.ring_dir)
    if counts is not None:
        kept = ("offered", "delivered", "quarantined", "waiting")
        rows += [(name, None, getattr(counts, name)) for name in kept]
        rows += [("dropped", reason, n) for reason, n in counts.reasons.items()]
    try:
        done = read_progress(reading.lake).done.counts
    except LakewardError:
        pass  # the table itself knows how far it is; what became of lines is not known
    else:
        names = ("added", "duplicate", "suppressed", "erased", "refused", "gone")
        rows += [("compacted", name, getattr(done, name)) for name in names]
    con.executemany("INSERT INTO places VALUES (?, ?, ?, NULL)", [list(row) for row in rows])
    con.execute(
        "INSERT INTO places SELECT 'not_in_table', NULL, count(*), min(timestamp) FROM tail"
    )
