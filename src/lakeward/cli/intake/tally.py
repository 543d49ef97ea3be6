"""The counts of an import and what is told of them, to people and to programs.

In: counts while they grow. Out: a `FileReport` for each file, in which always
`lines == recorded + known + suppressed + refused + quarantined`, and a `Report` of them all.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Tally(msgspec.Struct):
    """The counts of one file while they grow."""

    lines: int = 0
    recorded: int = 0
    known: int = 0
    refused: int = 0
    quarantined: int = 0
    suppressed: int = 0

    @property
    def all_refused(self) -> bool:
        """Whether nothing came through, as when collection is off."""
        return self.refused > 0 and self.recorded + self.known + self.suppressed == 0


class FileReport(msgspec.Struct, frozen=True):
    """What became of one file; `known` were recorded by an earlier try that was interrupted,
    `suppressed` are of people who were erased."""

    name: str
    state: Literal["imported", "skipped", "failed"]
    message: str
    bytes: int
    lines: int = 0
    recorded: int = 0
    known: int = 0
    refused: int = 0
    quarantined: int = 0
    suppressed: int = 0


class Report(msgspec.Struct, frozen=True):
    """What became of all files, in the order given."""

    files: tuple[FileReport, ...]

    @property
    def ok(self) -> bool:
        """Whether no file failed."""
        return all(file.state != "failed" for file in self.files)


def sentence(tally: Tally) -> str:
    """What became of one file's lines."""
    parts = [f"{counted(tally.recorded, 'interaction')} imported"]
    if tally.known:
        parts.append(f"{tally.known:,} known from a try that was interrupted")
    if tally.suppressed:
        parts.append(f"{tally.suppressed:,} of erased people left out")
    if tally.refused:
        parts.append(f"{tally.refused:,} refused")
    if tally.quarantined:
        parts.append(f"{counted(tally.quarantined, 'line')} quarantined")
    return ", ".join(parts)


def counted(number: int, noun: str) -> str:
    """`10,000 interactions`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
