"""Answers as people read them: an aligned table.

In: an answer's batches. Out: text on a stream. What is in the lake was sent by visitors: no cell
steers a terminal. Fails with what the answer fails with.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final, TextIO

from lakeward.cli.tail import printable
from lakeward.lake.written import Batches, names_of, rows_of, text_of

if TYPE_CHECKING:
    import pyarrow as pa

CELL: Final = 48
"""Columns of the terminal that one cell may take."""
MARKS: Final = 4
"""Code points for each of them: accents take no room and could be stacked without end."""


def write_table(answer: Batches, out: TextIO) -> None:
    """Aligned columns, numbers to the right, and how many rows there are."""
    names = [_cell(name) for name in names_of(answer.schema)]
    rows = [[_cell(text_of(value)) for value in row] for row in rows_of(answer)]
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
