"""The keeper's task that tells of abandoned flows: a child process when some run may be quiet.

In: the log as it grows, of which it looks only whether a step of a flow stands there. Out: at most
one child at a time, which works the open runs out, tells of the quiet ones and leaves word of when
to look again. Where nothing tells of flows no child is ever started. A child that fails is started
again later, each time after twice as long; a broken `flows.toml` stops this task alone.

    .lakeward/quiet.json            {"epoch":1,"segment":7,"offset":52110,"next_ms":1755187888677}
    .lakeward/quiet-refused.json    [5995326889737806970]

What stands before the position was looked at. `next_ms` is when the next open run may be quiet; 0
means as soon as can be, null that none is open. The refused are runs that were offered once and
not kept, by a hash of their last step's id. The files hold nothing of anybody, and may be lost:
then the log is looked through again, and the refused are offered once more.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from lakeward import flows
from lakeward.cli.child import LONGEST_PAUSE, Child, worked
from lakeward.errors import LakewardError, SettingError
from lakeward.lakedir import LakeDir
from lakeward.log import Position, read_published
from lakeward.settings import Settings

logger = logging.getLogger("lakeward.flows")

LOOK_SECONDS: Final = 0.5
LOOK_BYTES: Final = 1 << 20
"""Of the log in one go: less than a millisecond of the keeper's time."""
WRITE_SECONDS: Final = 5.0
SHORTEST, LONGEST = 2.0, 600.0
"""Between two children, in seconds, while steps keep coming."""
LATE: Final = 0.25
"""How late an abandonment may be told, as a share of the shortest quiet time."""
FAREWELL_SECONDS: Final = 0.0
"""A kill at any point is safe, so nobody's stop waits for the child."""
MARK: Final = b'"interaction_type":"flow_step"'


class Word(msgspec.Struct, frozen=True):
    """What the file holds."""

    epoch: int = 0
    segment: int = 0
    offset: int = 0
    next_ms: int | None = None

    def position(self) -> Position:
        """What was looked at ends here."""
        return Position(self.epoch, self.segment, self.offset)


_decode = msgspec.json.Decoder(Word).decode
_decode_refused = msgspec.json.Decoder(list[Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]]).decode


def read(lake: LakeDir) -> Word:
    """The file, or the beginning where there is none that can be read."""
    try:
        word = _decode((lake.private / "quiet.json").read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return Word()
    if word.epoch not in {
        0,
        lake.identity.epoch,
    }:  # another copy of the lake: its log is another, too
        return Word()
    return word


def write(lake: LakeDir, position: Position, next_ms: int | None) -> None:
    """Replace the file whole; a full disk is no failure."""
    word = Word(position.epoch, position.segment, position.offset, next_ms)
    _replace(lake.private / "quiet.json", msgspec.json.encode(word))


def read_refused(lake: LakeDir) -> list[int]:
    """The runs that were refused; none where the file cannot be read."""
    try:
        return _decode_refused((lake.private / "quiet-refused.json").read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return []


def write_refused(lake: LakeDir, refused: list[int]) -> None:
    """Replace the file; where none is left there is none."""
    path = lake.private / "quiet-refused.json"
    if refused:
        _replace(path, msgspec.json.encode(refused))
    else:
        path.unlink(missing_ok=True)


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(f".json.{os.getpid()}")
    with contextlib.suppress(OSError):
        temporary.write_bytes(content + b"\n")
        os.replace(temporary, path)


class Abandonment:
    """Starts the child when it is time."""

    def __init__(
        self,
        lake: LakeDir,
        ring_dir: Path,
        settings: Settings,
        now: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._lake = lake
        self._ring_dir = ring_dir
        self._env_folder = settings.source.env_file.parent
        self._now, self._now_ms = now, now_ms
        self._look_at = self._written_at = 0.0
        self._interval = SHORTEST
        self._possible = (
            settings.collect
            and settings.track_outcomes
            and all(importlib.util.find_spec(name) for name in ("duckdb", "deltalake", "pyarrow"))
        )
        if self._possible:
            self._plan(settings)
        self._child = Child(__name__, 2 * self._interval, farewell=FAREWELL_SECONDS)
        word = read(lake) if self._possible else Word()
        self._reached, self._next_ms = word.position(), word.next_ms

    def _plan(self, settings: Settings) -> None:
        """How often to look, from the shortest quiet time."""
        try:
            declared = flows.read(settings)
        except SettingError as error:
            logger.error("no abandonment is derived: %s", error)
            self._possible = False
            return
        shortest = min(
            (settings.flow_quiet_seconds, *(flow.quiet_seconds for flow in declared.flows))
        )
        self._interval = min(max(shortest * LATE, SHORTEST), LONGEST)

    def step(self, state: object) -> None:
        """Twice a second: reap, look, start."""
        del state
        now = self._now()
        if not self._possible or now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        if self._child and not self._reaped(now):
            return
        try:
            self._watch(now)
        except (LakewardError, OSError) as error:
            logger.error("no abandonment is derived for now: %s", error)
            self._look_at = now + LONGEST_PAUSE
            return
        if (
            self._next_ms is not None
            and self._next_ms <= self._now_ms()
            and now >= self._child.not_before
        ):
            self._start(now)

    def _watch(self, now: float) -> None:
        """Whether a step of a flow stands in what is new in the log; a due look ends the search,
        for the child reads all there is. What has just begun is not quiet yet: no hurry."""
        from lakeward.lake.batch import take

        if self._next_ms == 0:
            return
        taken = take(self._lake, self._reached, LOOK_BYTES)
        if taken is None:
            return
        if MARK in taken.content:
            self._next_ms = 0
            self._child.not_before = max(self._child.not_before, now + self._interval)
        else:
            self._reached = taken.end
            if len(taken.content) >= LOOK_BYTES:
                self._look_at = 0.0
        if self._next_ms == 0 or now >= self._written_at + WRITE_SECONDS:
            self._written_at = now
            write(self._lake, self._reached, self._next_ms)

    def _start(self, now: float) -> None:
        self._child.not_before = now + self._interval
        words = (str(self._lake.root), str(self._env_folder), str(self._ring_dir))
        self._child.start(*words)

    def _reaped(self, now: float) -> bool:
        code = self._child.reaped(now)
        if code == 0:
            word = read(self._lake)
            self._reached, self._next_ms = word.position(), word.next_ms
        return code is not None

    def close(self) -> None:
        """End the child; what it did not tell, the next one does."""
        self._child.close()


def child(lake_dir: str, env_folder: str, ring_dir: str) -> int:
    """What the child does: one look, and word of the next."""
    return worked(logger, "looking for quiet flows", derive, lake_dir, env_folder, ring_dir)


def derive(
    lake: LakeDir,
    settings: Settings,
    *,
    now_ms: int | None = None,
    pause: Callable[[str], None] = lambda _: None,
) -> int:
    """One look at the whole lake; how many runs were told to be abandoned."""
    from lakeward.collector import Collector
    from lakeward.lake.scratch import scratch
    from lakeward.quiet import look

    published = read_published(lake.private / "published")
    if published is None:
        return 0
    reached = Position(published.epoch, *published.ends["raw"])
    now_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    if not (settings.collect and settings.track_outcomes):  # may have changed since the keeper read
        write(lake, reached, now_ms + round(LONGEST_PAUSE * 1000))
        return 0
    pause("before look")
    collector = Collector(
        msgspec.structs.replace(
            settings, lake_dir=lake.root, keeper="external", service="", exit_seconds=0.0
        )
    )
    try:
        with scratch(lake) as spill:
            found = look(
                lake, settings, flows.read(settings), collector, now_ms=now_ms,
                refused=read_refused(lake), spill=spill, pause=pause,
            )  # fmt: skip
    finally:
        collector.detach()
    pause("before word")
    if found.told:
        logger.info("%d runs of flows were abandoned", found.told)
    if found.not_kept:
        logger.warning("%d abandoned runs were not kept: see lakeward doctor", found.not_kept)
    write_refused(lake, found.refused)
    write(lake, reached, found.next_ms)
    return found.told
