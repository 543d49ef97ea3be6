"""The account of each follower: is every line of the log before its cursor in one of its counts?

In: a lake's cursors, states and log, read and never written. Out: what became of the lines, how
many wait, how the follower fares, and a sentence for every count or cursor that does not agree with
the log.
"""

from __future__ import annotations

import msgspec

from lakeward.errors import LakewardError
from lakeward.followers import state
from lakeward.followers.cursor import Progress, cursor_names, read_progress, verify
from lakeward.lakedir import LakeDir
from lakeward.ledger import State
from lakeward.log import Segment, read_segments
from lakeward.recovery import count_lines


class Account(msgspec.Struct, frozen=True):
    """One follower's sum: the log's lines are `waiting` and all the counts together."""

    name: str
    state: str
    sentence: str
    since: str
    waiting: int
    delivered: int = 0
    quarantined: int = 0
    sampled: int = 0
    suppressed: int = 0
    erased: int = 0
    expired: int = 0


def accounts(lake: LakeDir, ledger: State, faults: list[str], *, log: bool) -> list[Account]:
    """Every follower that has a cursor; with `log` the files are read, too."""
    read: list[tuple[str, Progress]] = []
    for name in cursor_names(lake):  # before the log, which only goes on
        try:
            read.append((name, read_progress(lake.private / "cursors" / f"{name}.json")))
        except LakewardError as error:
            faults.append(f"follower {name}: {error}")
    try:
        segments = [s for s in read_segments(lake)[0] if s.stream == "raw"]
    except LakewardError:
        return []  # named by the audit of the log
    found = []
    for name, progress in read:
        try:
            if progress.done.epoch in {0, lake.identity.epoch}:
                _check(lake, name, progress, segments, faults, log=log)
        except LakewardError as error:
            faults.append(f"follower {name}: {error}")
        now = state.read(lake, name)
        waiting = max(ledger.lines.get("raw", 0) - progress.counts.total(), 0)
        found.append(
            Account(
                name, now.state, now.sentence, now.since, waiting,
                **msgspec.structs.asdict(progress.counts),
            )
        )  # fmt: skip
    return found


def _check(
    lake: LakeDir, name: str, progress: Progress, segments: list[Segment], faults: list[str],
    *, log: bool,
) -> None:  # fmt: skip
    """The cursor's place, its counts, and the file that it stands in."""
    done, counted = progress.done, progress.counts.total()
    before = sum(s.lines for s in segments if s.number < done.segment) + progress.inside
    if counted != before:
        faults.append(
            f"follower {name}: {before} lines stand before its cursor and {counted} are counted"
        )
    verify(lake, done)
    if progress.planned is not None:
        verify(lake, progress.planned)
    here = next((lake.root / s.path for s in segments if s.number == done.segment), None)
    if log and here is not None and here.exists():
        lines = count_lines(here, done.offset)
        if lines != progress.inside:
            faults.append(
                f"follower {name}: {lines} lines stand in its segment before its cursor and "
                f"{progress.inside} are counted"
            )
