"""Counts and checksums by which two places are compared that hold the same lines in any order.

In: digests of lines. Out: a `Sum`, equal for equal multisets, and a `Report` that says what became
of every line. The checksum is the sum of the digests modulo 2^64 (MSet-Add-Hash: Clarke, Devadas,
van Dijk, Gassend, Suh, "Incremental Multiset Hash Functions and Their Application to Memory
Integrity Checking", ASIACRYPT 2003): it finds accidents, and is no proof against whoever means to
deceive.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

import msgspec

from lakeward.errors import Terminal
from lakeward.lakedir import LakeDir, replace_file

ROUND: Final = 1 << 64


class Sum(msgspec.Struct):
    """How many lines, and their checksum."""

    lines: int = 0
    checksum: int = 0

    def add(self, mark: bytes) -> None:
        """One more line, by its digest of at least eight bytes."""
        self.lines += 1
        self.checksum = (self.checksum + int.from_bytes(mark[:8])) % ROUND

    def plus(self, other: Sum) -> None:
        """All of another sum."""
        self.lines += other.lines
        self.checksum = (self.checksum + other.checksum) % ROUND


class Report(msgspec.Struct):
    """What became of each line: `read` is the sum of all counts but `extra`."""

    place: str
    read: int = 0
    there: int = 0
    """Were there already."""
    filled: int = 0
    """Were put by this run, and read back."""
    superseded: int = 0
    """Have the id of a later line, which is there in their place."""
    other: int = 0
    """Are not there: another record stands there under their id."""
    left_out: dict[str, int] = {}
    """Do not belong there, by reason."""
    extra: int = 0
    """Lines there that the log has not."""
    ours: Sum = msgspec.field(default_factory=Sum)
    """Of what belongs there."""
    theirs: Sum = msgspec.field(default_factory=Sum)
    """Of what was read there."""

    def leave(self, why: str, lines: int = 1) -> None:
        """So many do not belong there."""
        if lines:
            self.left_out[why] = self.left_out.get(why, 0) + lines

    def plus(self, other: Report) -> None:
        """All of another report."""
        for name in ("read", "there", "filled", "superseded", "other", "extra"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for why, lines in other.left_out.items():
            self.leave(why, lines)
        self.ours.plus(other.ours)
        self.theirs.plus(other.theirs)

    @property
    def verified(self) -> bool:
        """Whether all that belongs there was read there, and nothing else."""
        return not self.other and not self.extra and self.ours == self.theirs


class Reached(msgspec.Struct):
    """How far a run is: content of `.lakeward/backfill/NAME.json`, from one run to the next."""

    place: str
    how: str
    epoch: int
    segment: int = 0
    offset: int = 0
    report: Report | None = None
    unlike: dict[str, tuple[int, int, int]] = {}
    """Ids under which another record stands, with the segment and place of ours."""


class ReachedFile:
    """The file; of another place, another way to do it or another epoch it counts for nothing."""

    def __init__(self, lake: LakeDir, name: str, place: str, how: str = "") -> None:
        folder = lake.private / "backfill"
        folder.mkdir(mode=0o700, exist_ok=True)
        self._path: Path = folder / f"{name}.json"
        fresh = Reached(place, how, lake.identity.epoch)
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=Reached)
        except FileNotFoundError:
            found = fresh
        except (msgspec.MsgspecError, UnicodeError):
            raise Terminal(
                f"{self._path} is damaged: delete it to compare from the start"
            ) from None
        same = (found.place, found.how, found.epoch) == (place, how, fresh.epoch)
        self.reached = found if same else fresh
        if self.reached.report is None:
            self.reached.report = Report(place)
        self.report: Report = self.reached.report

    def save(self, segment: int, offset: int) -> None:
        """All before this place is settled."""
        self.reached.segment, self.reached.offset = segment, offset
        replace_file(self._path, msgspec.json.encode(self.reached) + b"\n")

    def forget(self) -> None:
        """The run is through."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
