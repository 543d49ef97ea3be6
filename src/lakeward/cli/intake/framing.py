"""The bytes of a file → its lines → units, each of which becomes one interaction.

In: a binary file, plain or gzip, xz or bzip2 by its first bytes, whatever its name. Out: `Unit`s
in order: a line, or the lines of one CSV row. Memory is bounded: of a line longer than `MAX_LINE`
only the beginning is kept, and a CSV row ends within `MAX_ROW_LINES`.

`Terminal`, from `decoded` alone: a compressed file is damaged or ends early.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, TypeAlias

import msgspec

from lakeward.errors import Terminal

Problem: TypeAlias = Literal["undecodable", "too_long", "cut_short"]
"""Why a unit is quarantined: not of its format, longer than `MAX_LINE`, or not whole."""

PIECE = 1 << 16
MAX_LINE = 1 << 20
MAX_ROW_LINES = 1000


class Unit(msgspec.Struct, frozen=True):
    """What becomes one interaction: its first line's number (from 1) and its bytes."""

    number: int
    raw: bytes
    problem: Problem | None = None


def decoded(file: io.BufferedReader) -> Iterator[bytes]:
    """The uncompressed bytes of `file` from its start; Terminal where it is damaged or ends early.

    `read1` makes one step of the decompressor at a time, so what decodes before damage is yielded.
    """
    magic = file.read(6)
    file.seek(0)
    stream = _decoder(file, magic)
    while True:
        try:
            piece = stream.read1(PIECE)
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            raise Terminal("is damaged or cut short; get a whole copy of it") from error
        if not piece:
            return
        yield piece


def _decoder(file: io.BufferedReader, magic: bytes) -> io.BufferedIOBase:
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if magic == b"\xfd7zXZ\x00":
        return lzma.LZMAFile(file)
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(file)
    return file


def lines(pieces: Iterable[bytes], *, cut: bool = False) -> Iterator[Unit]:
    """Every line, blank ones too, without its end; of a longer one the first `MAX_LINE` bytes.

    `cut` says that the bytes stop in mid-stream: a last line without an end is then not whole.
    """
    number, rest = 0, b""
    for piece in pieces:
        if len(rest) > MAX_LINE and b"\n" not in piece:
            continue
        *whole, rest = (rest + piece).split(b"\n")
        for raw in whole:
            number += 1
            yield _line(number, raw)
        rest = rest[: MAX_LINE + 1]
    if rest:
        yield _line(number + 1, rest, "cut_short" if cut and rest.strip() else None)


def _line(number: int, raw: bytes, problem: Problem | None = None) -> Unit:
    if len(raw) > MAX_LINE:
        return Unit(number, raw[:MAX_LINE], "too_long")
    if number == 1:
        raw = raw.removeprefix(b"\xef\xbb\xbf")
    return Unit(number, raw.removesuffix(b"\r"), problem)


def filled(source: Iterable[Unit]) -> Iterator[Unit]:
    """The lines that are not blank."""
    return (line for line in source if line.problem or line.raw.strip())


def csv_rows(source: Iterable[Unit], delimiter: str) -> Iterator[Unit]:
    """Rows of one or more lines; a quote that never closes costs its own line, not the file."""
    fresh = iter(source)
    again: deque[Unit] = deque()

    def take() -> Unit | None:
        return again.popleft() if again else next(fresh, None)

    while (first := take()) is not None:
        row = [first]
        length, problem = _close_row(row, take, delimiter)
        again.extendleft(reversed(row[length:]))
        raw = b"\n".join(line.raw for line in row[:length])
        if problem or raw.strip():
            yield Unit(first.number, raw, problem)


def _close_row(
    row: list[Unit], take: Callable[[], Unit | None], delimiter: str
) -> tuple[int, Problem | None]:
    """Take lines into `row` until its quotes close; how many of them are the row."""
    if row[0].problem:
        return 1, row[0].problem
    size, state = len(row[0].raw), _quotes(row[0].raw, delimiter)
    while state == "open":
        if size > MAX_LINE or len(row) >= MAX_ROW_LINES or (more := take()) is None:
            return 1, None
        row.append(more)
        size += len(more.raw)
        if more.problem:
            return len(row) - 1, "cut_short"
        if more.raw.count(b'"') % 2:  # an even number leaves the cell open, so need not be parsed
            state = _quotes(b"\n".join(line.raw for line in row), delimiter)
    return (len(row) if state == "closed" else 1), None


def _quotes(raw: bytes, delimiter: str) -> Literal["closed", "open", "broken"]:
    if b'"' not in raw:
        return "closed"
    try:
        cells(raw, delimiter)
    except csv.Error as error:
        return "open" if str(error) == "unexpected end of data" else "broken"
    return "closed"


def cells(raw: bytes, delimiter: str) -> list[str]:
    """The cells of one CSV row; csv.Error when its quotes do not match."""
    return next(csv.reader([text_of(raw)], delimiter=delimiter, strict=True), [])


def text_of(raw: bytes) -> str:
    """`raw` as text that any store can hold: a byte that is not UTF-8 becomes `\\xff`."""
    return raw.decode("utf-8", "backslashreplace")
