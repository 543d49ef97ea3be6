"""How far the log is in the table, and what became of each line, for those who cannot read the
table.

In: the end of a slice with its counts, before and after its commit. Out: `.lakeward/table.json`:

    {"done":{"epoch":1,"segment":7,"offset":52110,"counts":{"read":118,"added":117,…}},
     "planned":…,"table":"table"}

The counts are of one table: where `LAKEWARD_TABLE` names another, they begin anew, and what that
one has already is `uncounted`. The table's own word is the truth: a plan whose commit happened
counts, one whose commit did not is forgotten.
`read == added + duplicate + suppressed + erased + refused`; `gone` lines were deleted
with their files before the table had them.
"""

from __future__ import annotations

import msgspec

from lakeward.errors import LakewardError, Terminal
from lakeward.lake.batch import is_ahead
from lakeward.lakedir import LakeDir, replace_file
from lakeward.log import Position, durable_files, read_published, read_segments
from lakeward.recovery import count_lines


class Counts(msgspec.Struct, frozen=True):
    """What became of lines of the log."""

    read: int = 0
    added: int = 0
    duplicate: int = 0
    suppressed: int = 0
    erased: int = 0
    refused: int = 0
    gone: int = 0

    def plus(self, other: Counts) -> Counts:
        """The sum of both."""
        return Counts(
            *(getattr(self, name) + getattr(other, name) for name in self.__struct_fields__)
        )


class Place(msgspec.Struct, frozen=True):
    """A position of the log and the counts up to it, in its epoch. `uncounted` lines before it are
    in the table by its own word, while this file knows nothing of them."""

    epoch: int = 0
    segment: int = 0
    offset: int = 0
    counts: Counts = Counts()
    uncounted: int = 0

    def position(self) -> Position:
        """The place alone."""
        return Position(self.epoch, self.segment, self.offset)


class TableProgress(msgspec.Struct, frozen=True):
    """Content of the file."""

    done: Place = Place()
    planned: Place | None = None
    table: str = ""
    """Which table; empty where an older Lakeward wrote the file."""


def read_progress(lake: LakeDir) -> TableProgress:
    """The file's content; nothing done where there is none."""
    path = lake.private / "table.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=TableProgress)
    except FileNotFoundError:
        return TableProgress()
    except (msgspec.MsgspecError, UnicodeError):
        raise Terminal(f"{path} is damaged: delete it, the table knows how far it is") from None


class ProgressFile:
    """The compactor's side of the file."""

    def __init__(self, lake: LakeDir) -> None:
        self._lake = lake
        self.progress = read_progress(lake)

    def reconcile(self, reached: Position, uri: str) -> None:
        """Believe the table: was the planned slice committed?"""
        self._of(uri)
        published = read_published(self._lake.private / "published")
        if published is not None and is_ahead(reached, published):
            self._store(TableProgress())
            return
        done, planned = self.progress.done, self.progress.planned
        if planned is not None:
            happened = _ordered(planned.position()) <= _ordered(reached)
            self._store(TableProgress(planned if happened else done))
        if self.progress.done.position() != reached and reached.segment:
            counts = self.progress.done.counts if same_epoch(self.progress, reached) else Counts()
            missed = lines_before(self._lake, reached) - counts.read - counts.gone
            place = Place(reached.epoch, reached.segment, reached.offset, counts, max(missed, 0))
            self._store(TableProgress(place))

    def _of(self, uri: str) -> None:
        """Make it the progress of this table; one in the lake's folder moves with the folder."""
        name = uri.removeprefix(f"{self._lake.root}/")
        if self.progress.table not in ("", name):
            self.progress = TableProgress()
        self.progress = msgspec.structs.replace(self.progress, table=name)

    def plan(self, end: Position, counts: Counts) -> None:
        """What the next commit will make true."""
        done = self.progress.done
        before = done if done.epoch == end.epoch else Place()
        total = before.counts.plus(counts)
        place = Place(end.epoch, end.segment, end.offset, total, before.uncounted)
        self._store(TableProgress(done, place))

    def lines_to(self, end: Position) -> int:
        """Lines of the log between what is counted and a position, looked up in its segments."""
        done = self.progress.done
        known = done.counts.read + done.counts.gone + done.uncounted
        return lines_before(self._lake, end) - (known if done.epoch == end.epoch else 0)

    def settle(self) -> None:
        """It is committed."""
        assert self.progress.planned is not None
        self._store(TableProgress(self.progress.planned))

    def _store(self, progress: TableProgress) -> None:
        progress = msgspec.structs.replace(progress, table=self.progress.table)
        replace_file(self._lake.private / "table.json", msgspec.json.encode(progress) + b"\n")
        self.progress = progress


def _ordered(position: Position) -> tuple[int, int, int]:
    return position.epoch, position.segment, position.offset


def same_epoch(progress: TableProgress, position: Position) -> bool:
    """Whether the counts are of the epoch of a position."""
    return progress.done.epoch == position.epoch


def lines_before(lake: LakeDir, position: Position) -> int:
    """Lines of the log before a position, removed ones included."""
    total = 0
    for segment in read_segments(lake)[0]:
        if segment.stream != "raw" or segment.number > position.segment:
            continue
        path = lake.root / segment.path
        if segment.number < position.segment or segment.end == position.offset:
            total += segment.lines
        elif path.exists():
            total += count_lines(path, position.offset)
    return total


class TableAccount(msgspec.Struct, frozen=True):
    """The table's sum for `doctor`: every line of the log before its place is in one count."""

    waiting_bytes: int
    counts: Counts
    uncounted: int


def account(lake: LakeDir, faults: list[str]) -> TableAccount | None:
    """What became of each line, None before the first compaction; a fault when it is not the
    sum."""
    try:
        done = read_progress(lake).done
        if done == Place():
            return None
        if done.epoch == lake.identity.epoch:
            before = lines_before(lake, done.position())
            known = done.counts.read + done.counts.gone + done.uncounted
            if known != before:
                faults.append(
                    f"table: {before} lines stand before its place and {known} are counted"
                )
        counts = done.counts
        whole = counts.added + counts.duplicate + counts.suppressed + counts.erased + counts.refused
        if counts.read != whole:
            faults.append(f"table: {counts.read} lines were read, {whole} are accounted for")
        return TableAccount(waiting_bytes(lake), counts, done.uncounted)
    except LakewardError as error:
        faults.append(f"table: {error}")
        return None


def waiting_bytes(lake: LakeDir) -> int:
    """Durable bytes of the log that are not in the table yet."""
    published = read_published(lake.private / "published")
    if published is None:
        return 0
    done = read_progress(lake).done
    if done.epoch != published.epoch:
        done = Place()
    return sum(
        max(end - (done.offset if segment.number == done.segment else 0), 0)
        for segment, end in durable_files(lake, published)
        if segment.number >= done.segment
    )
