"""Answers as programs read them: JSON, CSV, Parquet, and the rows of the server's JSON.

In: an answer's batches. Out: text on a stream, or a file. What is in the lake was sent by
visitors: no cell is a formula in a spreadsheet. Values are exact: integers and decimals of any
length have all their digits, times their microseconds. Fails with what the answer fails with, and
with `Terminal` for columns that Parquet has no type for.
"""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Protocol, TextIO

import msgspec

from lakeward.errors import Terminal

if TYPE_CHECKING:
    import pyarrow as pa

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet may take for the beginning of a formula, in either width."""
MOST: Final = 2**53 - 1
"""The largest integer that every reader of JSON takes."""
STEERING: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class Batches(Protocol):
    """The part of an answer that is printed."""

    cut: bool

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Batches in order."""


def write_json(answer: Batches, out: TextIO) -> None:
    """An array, an object on each line; where the answer breaks off, the array is not closed."""
    encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=str)
    names = names_of(answer.schema)
    before = "[\n"
    for row in rows_of(answer):
        line = encoder.encode(dict(zip(names, row, strict=True))).decode()
        out.write(before + inert(line))
        before = ",\n"
    out.write("[]\n" if before == "[\n" else "\n]\n")


def write_csv(answer: Batches, out: TextIO) -> None:
    """RFC 4180 with a header; NULL is empty, an empty text is quoted."""
    out.write(",".join(_field(name) for name in names_of(answer.schema)) + "\r\n")
    for row in rows_of(answer):
        out.write(",".join(_field(value) for value in row) + "\r\n")


def write_rows(answer: Batches, out: TextIO) -> None:
    """The beginning of an object, which whoever knows how it ended closes: columns with their
    types, and rows as lists. A number that JavaScript would round is text."""
    names = names_of(answer.schema)
    columns = [
        {"name": name, "type": str(field.type), "kind": _kind(field.type)}
        for name, field in zip(names, answer.schema, strict=True)
    ]
    encoder = msgspec.json.Encoder(enc_hook=str)
    out.write('{"columns":' + inert(encoder.encode(columns).decode()) + ',"rows":[')
    before = ""
    for row in rows_of(answer):
        out.write(before + inert(encoder.encode([_rounded(value) for value in row]).decode()))
        before = ","
    out.write("]")


def _kind(kind: pa.DataType) -> str:
    """What a page takes a column for; a time without a zone is of no known moment."""
    import pyarrow as pa

    types = pa.types
    if types.is_integer(kind) or (types.is_decimal(kind) and kind.scale == 0):
        return "integer"
    if types.is_floating(kind) or types.is_decimal(kind):
        return "number"
    if types.is_timestamp(kind):
        return "time" if kind.tz else "local"
    return "date" if types.is_date(kind) else "boolean" if types.is_boolean(kind) else "text"


def _rounded(value: object) -> object:
    """A value as a program reads it whose only numbers are doubles; lists and maps as text."""
    if isinstance(value, (bool, float, str)) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) <= MOST else str(value)
    if isinstance(value, decimal.Decimal):
        if value == value.to_integral_value():
            return int(value) if abs(value) <= MOST else text_of(value)
        near = float(value)
        return near if decimal.Decimal(repr(near)) == value else text_of(value)
    return text_of(value)


def write_parquet(answer: Batches, where: Path | IO[bytes]) -> None:
    """One file with the answer's own types."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            field.with_name(name)
            for field, name in zip(answer.schema, names_of(answer.schema), strict=True)
        ]
    )
    try:
        with pq.ParquetWriter(where, schema, compression="zstd") as writer:
            for batch in answer:
                writer.write_batch(pa.record_batch(batch.columns, schema=schema))
    except pa.ArrowNotImplementedError:
        raise Terminal(
            "Parquet has no type for one of the columns: cast intervals and unions to VARCHAR"
        ) from None


def inert(text: str) -> str:
    """JSON with its invisible characters escaped: the same value, and no terminal obeys it."""
    return STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def names_of(schema: pa.Schema) -> list[str]:
    """Names of the columns, each once: an object cannot have one twice."""
    names: list[str] = []
    for name in schema.names:
        unique, n = name, 0
        while unique in names or (n and unique in schema.names):
            n += 1
            unique = f"{name}_{n}"
        names.append(unique)
    return names


def rows_of(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[Any, ...]]:
    """Rows of Python values."""
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


def text_of(value: object) -> str:
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
    text = text_of(value)
    if value is None or isinstance(value, (bool, int, float, decimal.Decimal)):
        return text
    if text.lstrip(" ").startswith(FORMULA):
        text = "'" + text
    if text == "" or any(mark in text for mark in ',"\r\n') or text != text.strip():
        return '"' + text.replace('"', '""') + '"'
    return text
