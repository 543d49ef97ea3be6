"""The raw archive in a bucket as a log: the table's second source (`LAKEWARD_ACK=s3`).

In: a bucket with `raw/…/<lake id>-<epoch>-<segment>-<from>-<to>.jsonl.gz`, as the follower `s3`
and the Lambda make them. Out: pieces of what the table has not got, of all hosts together, each
with its own place in the table's transactions: the same that the host's own log has there, so that
it does not matter which of the two was first. Fails as the bucket does.

A host makes its objects one after the other, so whoever sees one sees all before it. An object that
the table has in part is read again as a whole: ids make each row once. Objects are listed by their
day. `since` leaves out older days, and with them whatever may have something unseen before it: a
listing of all days takes that.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

import msgspec

from lakeward.lake.delta import Origin, Table
from lakeward.lake.progress import Counts
from lakeward.lake.source import Piece
from lakeward.lakedir import Identity
from lakeward.log import Position

RAW: Final = "raw/"
KEY: Final = re.compile(
    r"raw/year=(\d{4})/month=(\d\d)/day=(\d\d)/"
    r"([0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12})-(\d{6})-(\d{8})-(\d{12})-(\d{12})\.jsonl\.gz"
)
SIDE_BY_SIDE: Final = 16
MOST_OBJECTS: Final = 512
"""Of one commit; small ones are many."""
SHRINKS: Final = 8
"""What gzip makes of our lines, about."""


class Bucket(Protocol):
    """What is asked of a bucket."""

    def listed(self, prefix: str, after: str = "") -> Iterator[tuple[str, int, float]]:
        """Keys behind `after`, their bytes, and when they were made in seconds since 1970, in the
        order of the keys."""

    def read(self, key: str) -> Iterator[bytes]:
        """Lines of an object."""


class Writer(msgspec.Struct, frozen=True):
    """Whoever made objects: a lake in one of its epochs."""

    identity: Identity


class Made(msgspec.Struct, frozen=True, order=True):
    """One object, by its place in its maker's log."""

    segment: int
    end: int
    start: int
    key: str
    bytes: int
    made_s: float


class Archive:
    """Everybody's objects as one source."""

    def __init__(self, bucket: Bucket, since: str = "") -> None:
        self._bucket = bucket
        self._since = since
        self._waiting: list[tuple[Writer, Made]] | None = None
        self._place = self._taken = 0
        self.found = 0
        """Objects that were listed."""
        self.left = 0
        """Objects that may have others before them, in days that were not listed."""
        self.listed = False
        """Whether they were listed at all."""
        self.oldest_s: float | None = None
        """When the oldest object was made that the table had not got when they were listed."""

    def reconcile(self, table: Table) -> None:
        """List anew; the table itself knows how far it is."""
        self._waiting = None

    def take(self, table: Table, most: int) -> Piece | None:
        """The next objects that the table has not got, oldest days first. What is not settled is
        taken again."""
        if self._waiting is None:
            self._waiting, self._place = list(self._list(table)), 0
            self.listed = True
        chosen: list[tuple[Writer, Made]] = []
        size, place = 0, self._place
        while place < len(self._waiting) and size < most and len(chosen) < MOST_OBJECTS:
            writer, made = self._waiting[place]
            place += 1
            if _behind(made, table.reached(writer)):
                chosen.append((writer, made))
                size += made.bytes * SHRINKS
        self._taken = place
        if not chosen:
            return None
        with ThreadPoolExecutor(SIDE_BY_SIDE, "lakeward-s3") as pool:
            parts = pool.map(lambda one: b"".join(self._bucket.read(one[1].key)), chosen)
            content = b"".join(parts)
        reached: dict[Identity, tuple[Origin, Position]] = {}
        for writer, made in chosen:
            place_ = Position(writer.identity.epoch, made.segment, made.end)
            reached[writer.identity] = (writer, place_)
        return Piece(content, tuple(reached.values()))

    def missed(self, piece: Piece, read: int) -> int:
        """Nothing is known of what was never put here."""
        return 0

    def plan(self, piece: Piece, counts: Counts) -> None:
        """Nothing: the commit says it all."""

    def settle(self) -> None:
        """Go on behind what was taken."""
        self._place = self._taken

    def _list(self, table: Table) -> Iterator[tuple[Writer, Made]]:
        """What the table has not got: each maker's in its order, makers by their oldest day."""
        self.found = self.left = 0
        of: dict[Identity, list[Made]] = {}
        for key, size, made_s in self._bucket.listed(RAW, _folder(self._since)):
            found = KEY.fullmatch(key)
            if found is None:
                continue
            self.found += 1
            epoch, segment, start, end = map(int, found.groups()[4:])
            who = Identity(1, found[4], epoch)
            of.setdefault(who, []).append(Made(segment, end, start, key, size, made_s))
        for who, made in of.items():
            writer = Writer(who)
            due = self._due(sorted(made), table.reached(writer))
            for one in due:
                self.oldest_s = min(one.made_s, self.oldest_s or one.made_s)
            yield from ((writer, one) for one in due)

    def _due(self, made: list[Made], reached: Position) -> list[Made]:
        """Those that are behind a place. Where older days were not listed, only those that have
        nothing unseen before them: one that the table has, or the very first, is seen, too, and no
        segment between them is missing."""
        first = next((n for n, one in enumerate(made) if _behind(one, reached)), len(made))
        due = made[first:]
        if not due or not self._since:
            return due
        begins = (due[0].segment, due[0].start) == (1, 0)
        end = len(due) if first or begins else 0
        for n in range(1, end):
            if due[n].segment > due[n - 1].segment + 1:
                end = n
                break
        if first and end and due[0].segment > made[first - 1].segment + 1:
            end = 0
        self.left += len(due) - end
        return due[:end]


def _folder(since: str) -> str:
    """Where a listing begins; everywhere without a day."""
    if not since:
        return ""
    return f"{RAW}year={since[:4]}/month={since[5:7]}/day={since[8:]}"


def _behind(made: Made, reached: Position) -> bool:
    """Whether an object has something that the table has not."""
    return (made.segment, made.end) > (reached.segment, reached.offset)


def days_before(today: str, days: int) -> str:
    """The day so many days before one, as `since` has it."""
    return (datetime.date.fromisoformat(today) - datetime.timedelta(days)).isoformat()
