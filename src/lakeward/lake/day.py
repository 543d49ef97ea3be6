"""One day of the log: the durable lines of its folder, decoded as far as a summary needs them.

In: a lake and a date (UTC). Out: batches of rows, how many lines were no record, how many were
erased. A day is a day of receipt: the files of its folder, whatever the records' own times say. No
line beyond the published durable end is read. Fails with OSError when a file of the log is gone and
with Unreadable when the log's table is damaged.

A value whose type is not that of the record's field counts as absent: someone else wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from lakeward.lakedir import LakeDir
from lakeward.ledger import Stream
from lakeward.log import durable_files, read_published
from lakeward.removal import removed

BLOCK = 1 << 18
"""Bytes read at once; a longer line is read whole."""
EMPTY = Raw(b"{}")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
BROKEN = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding raises for text that is no JSON, or none of the expected form."""


class Row(msgspec.Struct, gc=False):
    """The fields of a record that a summary looks at."""

    interaction_type: str
    timestamp: str | None = None
    app_version: str | None = None
    method: str | None = None
    path: str | None = None
    user_id: str | None = None
    response_status: int | None = None
    response_time_ms: float | None = None
    session_id: str | None = None
    service: str | None = None
    route: str | None = None
    partner_id: str | None = None
    ai_metadata: Raw = EMPTY
    messages: Raw = EMPTY
    outcomes: Raw = EMPTY
    feedback: Raw = EMPTY


class Entry(msgspec.Struct, gc=False):
    """The field of a quarantine entry that a summary looks at."""

    reason: str


T = TypeVar("T", Row, Entry)


class Batch(msgspec.Struct, gc=False):
    """Some lines of a day."""

    rows: list[Any]
    unreadable: int = 0
    erased: int = 0


def checked_date(text: str) -> str:
    """`text` when it is a date such as 2025-08-14; else ValueError."""
    try:
        if DATE.fullmatch(text):
            return date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    raise ValueError(f"{text[:40]!r} is no day: give today, yesterday or YYYY-MM-DD (UTC)")


def read_rows(files: Iterable[tuple[Path, int]]) -> Iterator[Batch]:
    """The records of a day's files."""
    return _batches(files, msgspec.json.Decoder(Row), Row)


def read_entries(files: Iterable[tuple[Path, int]]) -> Iterator[Batch]:
    """What was quarantined on a day, of its files."""
    return _batches(files, msgspec.json.Decoder(Entry), Entry)


def _batches(
    files: Iterable[tuple[Path, int]], decoder: msgspec.json.Decoder[T], kind: type[T]
) -> Iterator[Batch]:
    for block in _blocks(files):
        # `decode_lines` would take two objects on one line for two records.
        if b" \n" not in block:
            try:
                rows = decoder.decode_lines(block)
            except BROKEN:
                pass
            else:
                if len(rows) == block.count(b"\n"):
                    yield Batch(rows)
                    continue
        yield _line_by_line(block, decoder, kind)


def day_files(lake: LakeDir, day: str, stream: Stream = "raw") -> Iterator[tuple[Path, int]]:
    """The files of a day that hold something, in log order, each with its durable end."""
    published = read_published(lake.private / "published")
    if published is None:
        return
    year, month, number = day.split("-")
    folder = f"{stream}/year={year}/month={month}/day={number}/"
    expired = {number for number, found in removed(lake).items() if found.gone}
    for segment, end in durable_files(lake, published, stream):
        if end and segment.path.startswith(folder) and segment.number not in expired:
            yield lake.root / segment.path, end


def _blocks(files: Iterable[tuple[Path, int]]) -> Iterator[bytes]:
    """Whole durable lines, many at once."""
    for path, end in files:
        with path.open("rb") as file:
            while end:
                block = file.read(min(BLOCK, end))
                end -= len(block)
                if block[-1:] != b"\n":
                    rest = file.readline(end)
                    end -= len(rest)
                    block += rest
                if not block:
                    break
                yield block


def _line_by_line(block: bytes, decoder: msgspec.json.Decoder[T], kind: type[T]) -> Batch:
    """A block in which some line is erased, or is not as we write it."""
    batch = Batch([])
    for line in block.split(b"\n"):
        if not line:
            continue
        if not line.strip(b" "):
            batch.erased += 1
            continue
        row = _decoded(line, decoder, kind)
        if row is None:
            batch.unreadable += 1
        else:
            batch.rows.append(row)
    return batch


def _decoded(line: bytes, decoder: msgspec.json.Decoder[T], kind: type[T]) -> T | None:
    """One row, without the fields that have a wrong type; None when the line is no record."""
    try:
        return decoder.decode(line)
    except BROKEN:
        pass
    try:
        found = msgspec.json.decode(line, type=dict[str, Raw])
    except BROKEN:
        return None
    fields: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        value = found.get(field.name)
        if value is not None:
            try:
                fields[field.name] = msgspec.json.decode(value, type=field.type)
            except BROKEN:
                continue
    try:
        return kind(**fields)
    except TypeError:
        return None  # without a type it is no record
