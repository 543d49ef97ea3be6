"""What a new keeper does first: bring log and ledger of a dead one to one truth.

In: the log and the ledger as they stand on the disk after a kill, a power loss, a full disk or a
restored backup. Out: open segments cut to whole lines, a settled ledger, a published end. Fails
with OSError when the disk does not let it; then nothing was acknowledged and it is tried again.
"""

from __future__ import annotations

import os
from pathlib import Path
from zlib import crc32

from lakeward.ledger import STREAMS, Abort, Batch, Epoch, Found, Ledger, Stream, Truncated
from lakeward.log import Log, Segment, read_published

CHUNK = 1 << 20


def recover(log: Log, ledger: Ledger, highwater: Path | None = None) -> list[str]:
    """Reconcile; returns a sentence for each thing that was not as a clean stop leaves it."""
    notes: list[str] = list(ledger.faults)
    published = read_published(log.lake.private / "published")
    if ledger.pending is not None:
        known = published.batch if published else 0
        _resolve(log, ledger, ledger.pending, known, notes)
    for stream in STREAMS:
        _reconcile(log, ledger, stream, notes)
    shared = read_published(highwater) if highwater else None
    if shared is not None and shared.batch > ledger.state.batch and not _power_lost(notes):
        raise_epoch(log, ledger, "restored", notes)
    log.publish(ledger.state)
    ledger.rotate(force=bool(notes))
    return notes


def raise_epoch(log: Log, ledger: Ledger, why: str, notes: list[str]) -> None:
    """Positions given out before mean nothing now: say so in the lake's identity."""
    epoch = max(ledger.state.epoch, log.lake.identity.epoch) + 1
    log.lake = log.lake.with_epoch(epoch)
    ledger.append(Epoch(epoch, why))
    notes.append(f"the lake's epoch is now {epoch}: {why}")


def _power_lost(notes: list[str]) -> bool:
    return any("without a batch" in note for note in notes)


def _resolve(log: Log, ledger: Ledger, batch: Batch, published: int, notes: list[str]) -> None:
    """Settle the last batch when all its bytes are in the log, else cut what there is of it."""
    paths = {segment.number: log.lake.root / segment.path for segment in log.segments}
    whole = all(
        part.segment in paths and _holds(paths[part.segment], part.start, part.end, part.crc)
        for part in batch.parts
    )
    if whole or batch.batch <= published:
        ledger.settle()
        if batch.batch > published:
            notes.append(f"batch {batch.batch} was in the log: settled")
        return
    for part in batch.parts:
        path = paths.get(part.segment)
        if path is not None and path.exists() and path.stat().st_size > part.start:
            os.truncate(path, part.start)
    ledger.append(Abort(batch.batch))
    notes.append(f"batch {batch.batch} was not whole in the log: taken back")


def _holds(path: Path, start: int, end: int, crc: int) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(start)
            content = file.read(end - start)
    except FileNotFoundError:
        return False
    return len(content) == end - start and crc32(content) == crc


def _reconcile(log: Log, ledger: Ledger, stream: Stream, notes: list[str]) -> None:
    """Make the ledger's end of one stream the end that the disk has, and open its last segment."""
    known, known_end, known_lines = ledger.state.ends.get(stream, (0, 0, 0))
    for segment in [s for s in log.segments if s.stream == stream and s.number >= known]:
        path = log.lake.root / segment.path
        start, lines = (known_end, known_lines) if segment.number == known else (0, 0)
        if segment.end is not None:
            end, more = segment.end, segment.lines - lines
        elif not path.exists():
            _lose(log, ledger, segment, 0, lines, notes)
            log.note_sealed(segment, "gone", 0, 0)
            continue
        else:
            end, more = whole_lines(path, start)
        if end < start:
            _lose(log, ledger, segment, end, lines - count_lines(path, end), notes)
            lines, more = count_lines(path, end), 0
        elif more:
            ledger.append(Found(stream, segment.number, end, more))
            notes.append(f"{segment.path}: {more} lines stood there without a batch")
        if segment.end is None:
            _continue(log, segment, end, lines + more)


def _continue(log: Log, segment: Segment, end: int, lines: int) -> None:
    """Resume the last segment of its stream; an older one is sealed where it ends."""
    last = max(s.number for s in log.segments if s.stream == segment.stream)
    if segment.number == last:
        log.resume(segment, end, lines)
    else:
        log.note_sealed(segment, "recovered", end, lines)


def _lose(
    log: Log, ledger: Ledger, segment: Segment, end: int, lines: int, notes: list[str]
) -> None:
    """The file is shorter than what was published: name the loss and start a new epoch."""
    ledger.append(Truncated(segment.stream, segment.number, end, lines))
    notes.append(f"{segment.path}: {lines} published lines are gone from the disk")
    raise_epoch(log, ledger, "truncated", notes)


def whole_lines(path: Path, start: int) -> tuple[int, int]:
    """(end, lines) of the whole records after `start`; smaller than `start` when the file is."""
    size = path.stat().st_size
    if size < start:
        return _last_line_end(path, size), 0
    end, lines = start, 0
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            record = line[:1] == b"{" and line.endswith(b"}\n")
            if not record and (line.strip(b" ") != b"\n" or len(line) < 2):
                break
            end += len(line)
            lines += 1
    return end, lines


def _last_line_end(path: Path, size: int) -> int:
    """Where the last whole line of a shortened file ends."""
    with path.open("rb") as file:
        while size:
            at = max(size - CHUNK, 0)
            file.seek(at)
            found = file.read(size - at).rfind(b"\n")
            if found >= 0:
                return at + found + 1
            size = at
    return 0


def count_lines(path: Path, end: int) -> int:
    """Lines in the first `end` bytes, erased ones included."""
    lines = 0
    with path.open("rb") as file:
        while end > 0:
            content = file.read(min(CHUNK, end))
            if not content:
                break
            lines += content.count(b"\n")
            end -= len(content)
    return lines


def count_blank(path: Path, end: int) -> int:
    """Lines in the first `end` bytes that begin with a space: those that were removed in place."""
    blank, before = 0, b"\n"
    with path.open("rb") as file:
        while end > 0:
            content = file.read(min(CHUNK, end))
            if not content:
                break
            blank += content.count(b"\n ") + (before == b"\n" and content[:1] == b" ")
            before = content[-1:]
            end -= len(content)
    return blank
