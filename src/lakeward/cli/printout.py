"""Answers as people and programs read them: an aligned table, JSON, CSV, Parquet.

In: an answer's batches. Out: text on a stream, or a file. What is in the lake was sent by
visitors: no cell steers a terminal, none is a formula in a spreadsheet. Values are exact: integers
and decimals of any length have all their digits, times their microseconds. Fails with what the
answer fails with, and with `Terminal` for columns that Parquet has no type for.
"""

from __future__ import annotations

import datetime
import decimal
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TextIO

import msgspec

from lakeward.cli.tail import printable
from lakeward.errors import Terminal

if TYPE_CHECKING:
    import pyarrow as pa

CELL: Final = 48
"""Columns of the terminal that one cell may take."""
MARKS: Final = 4
"""Code points for each of them: accents take no room and could be stacked without end."""
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet may take for the beginning of a formula, in either width."""
STEERING: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class Batches(Protocol):
    """The part of an answer that is printed."""

    cut: bool

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Batches in order."""


def write_table(answer: Batches, out: TextIO) -> None:
    """Aligned columns, numbers to the right, and how many rows there are."""
    names = [_cell(name) for name in _names(answer.schema)]
    rows = [[_cell(_text(value)) for value in row] for row in _rows(answer)]
    widths = [
        max([_width(name), *(_width(row[n]) for row in rows)]) for n, name in enumerate(names)
    ]
    right = [_is_number(field.type) for field in answer.schema]
    for row in (names, ["─" * width for width in widths], *rows):
        cells = (_aligned(*each) for each in zip(row, widths, right, strict=True))
        out.write("  ".join(cells).rstrip() + "\n")
    if answer.cut:
        out.write(f"(the first {len(rows):,} rows; --limit N shows more)\n")
    else:
        out.write(f"({len(rows):,} row{'' if len(rows) == 1 else 's'})\n")


def write_json(answer: Batches, out: TextIO) -> None:
    """An array, an object on each line; where the answer breaks off, the array is not closed."""
    encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=str)
    names = _names(answer.schema)
    before = "[\n"
    for row in _rows(answer):
        line = encoder.encode(dict(zip(names, row, strict=True))).decode()
        out.write(before + inert(line))
        before = ",\n"
    out.write("[]\n" if before == "[\n" else "\n]\n")


def write_csv(answer: Batches, out: TextIO) -> None:
    """RFC 4180 with a header; NULL is empty, an empty text is quoted."""
    out.write(",".join(_field(name) for name in _names(answer.schema)) + "\r\n")
    for row in _rows(answer):
        out.write(",".join(_field(value) for value in row) + "\r\n")


def write_parquet(answer: Batches, path: Path) -> None:
    """One file with the answer's own types."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            field.with_name(name)
            for field, name in zip(answer.schema, _names(answer.schema), strict=True)
        ]
    )
    try:
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for batch in answer:
                writer.write_batch(pa.record_batch(batch.columns, schema=schema))
    except pa.ArrowNotImplementedError:
        raise Terminal(
            "Parquet has no type for one of the columns: cast intervals and unions to VARCHAR"
        ) from None


def inert(text: str) -> str:
    """JSON with its invisible characters escaped: the same value, and no terminal obeys it."""
    return STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _names(schema: pa.Schema) -> list[str]:
    """Names of the columns, each once: an object cannot have one twice."""
    names: list[str] = []
    for name in schema.names:
        unique, n = name, 0
        while unique in names or (n and unique in schema.names):
            n += 1
            unique = f"{name}_{n}"
        names.append(unique)
    return names


def _rows(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[Any, ...]]:
    for batch in batches:
        yield from zip(*(_values(column) for column in batch.columns), strict=True)


def _values(column: pa.Array[Any]) -> Sequence[Any]:
    """A column as Python values; what Python cannot hold exactly is text."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind):
        return [text and text.replace(" ", "T") for text in column.cast(pa.string()).to_pylist()]
    if pa.types.is_interval(kind):
        return [None if value is None else _duration(*value) for value in column.to_pylist()]
    try:
        return list(column.to_pylist())
    except (OverflowError, ValueError):
        return [str(value) for value in column.cast(pa.string()).to_pylist()]


def _duration(months: int, days: int, nanoseconds: int) -> str:
    """An interval in ISO 8601."""
    seconds = decimal.Decimal(nanoseconds) / 1_000_000_000
    return f"P{months}M{days}DT{seconds.normalize():f}S"


def _text(value: object) -> str:
    """A value as a line of text."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case decimal.Decimal():
            return f"{value:f}"
        case bytes():
            return value.hex()
        case datetime.date() | datetime.time():
            return value.isoformat()
        case _:
            return msgspec.json.encode(value, enc_hook=str).decode()


def _field(value: object) -> str:
    """A field of CSV; text that a spreadsheet would run begins with an apostrophe."""
    text = _text(value)
    if value is None or isinstance(value, (bool, int, float, decimal.Decimal)):
        return text
    if text.lstrip(" ").startswith(FORMULA):
        text = "'" + text
    if text == "" or any(mark in text for mark in ',"\r\n') or text != text.strip():
        return '"' + text.replace('"', '""') + '"'
    return text


def _cell(text: str) -> str:
    """Text within the width of a cell, without what could steer a terminal."""
    text = printable(text[: CELL * MARKS + 1])
    if len(text) <= CELL * MARKS and _width(text) <= CELL:
        return text
    text = text[: CELL * MARKS]
    while _width(text) >= CELL:
        text = text[:-1]
    return text + "…"


def _width(text: str) -> int:
    """Columns of a terminal: East Asian letters take two, accents none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.category(c) in ("Mn", "Me", "Cf")
        else 2 if unicodedata.east_asian_width(c) in ("W", "F") else 1
        for c in text
    )  # fmt: skip


def _aligned(text: str, width: int, right: bool) -> str:
    room = " " * (width - _width(text))
    return room + text if right else text + room


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))
