"""Answers of questions on a terminal, as JSON and as CSV.

In: an `Answer`. Out: what `printout` prints. A table has its numbers rounded and leaves out the
columns in which nothing stands; JSON and CSV have all columns and exact values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, TextIO

import msgspec

from lakeward.analysis.question import Answer, Cell, Column
from lakeward.cli.printout import write_table
from lakeward.interaction import iso
from lakeward.lake.written import inert, write_csv

if TYPE_CHECKING:
    import pyarrow as pa

MOST: Final = 2**63 - 1
"""Sums of what strangers claimed may be larger."""
DIGITS: Final = {"USD": 6, "0 to 1": 4, "ms": 1}
"""Digits after the point that a table shows, by unit."""


def write(
    answer: Answer, format_: str, out: TextIO, *, keep: int = 0, asked: Iterable[str] = ()
) -> None:
    """Print it; a table has the first `keep` columns and those `asked` for in any case."""
    if format_ == "json":
        out.write(inert(msgspec.json.format(msgspec.json.encode(plain(answer)), indent=2).decode()))
        out.write("\n")
    elif format_ == "csv":
        write_csv(_Rows(answer), out)
    else:
        write_table(_Rows(brief(answer, keep, set(asked))), out)


def plain(answer: Answer) -> list[dict[str, Any]]:
    """Rows as JSON has them: times in ISO 8601, JSON as JSON."""
    return [
        {
            column.name: _plain(column, value)
            for column, value in zip(answer.columns, row, strict=True)
        }
        for row in answer.rows
    ]


def _plain(column: Column, value: Any) -> Any:
    if value is None:
        return None
    if column.kind == "json":
        return msgspec.Raw(value.encode())
    if column.kind == "integer":
        return min(value, MOST)
    return iso(round(value.timestamp() * 1000)) if column.kind == "time" else value


def brief(answer: Answer, keep: int, asked: set[str]) -> Answer:
    """The columns in which something stands, rounded."""
    shown = [
        n
        for n, column in enumerate(answer.columns)
        if n < keep or column.name in asked or any(row[n] for row in answer.rows)
    ]
    columns = tuple(answer.columns[n] for n in shown)
    return Answer(
        columns, [tuple(_rounded(answer.columns[n], row[n]) for n in shown) for row in answer.rows]
    )


def _rounded(column: Column, value: Cell) -> Cell:
    return round(value, DIGITS.get(column.unit, 3)) if isinstance(value, float) else value


class _Rows:
    """An answer as the batches that are printed."""

    cut = False

    def __init__(self, answer: Answer) -> None:
        import pyarrow as pa

        kinds = {
            "text": pa.string(), "json": pa.string(), "integer": pa.int64(),
            "number": pa.float64(), "boolean": pa.bool_(), "date": pa.date32(),
            "time": pa.timestamp("ms"),
        }  # fmt: skip
        self._answer = answer
        self.schema: pa.Schema = pa.schema([(c.name, kinds[c.kind]) for c in answer.columns])

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """One batch."""
        import pyarrow as pa

        arrays = [
            pa.array(
                [_held(column, row[n]) for row in self._answer.rows], self.schema.field(n).type
            )
            for n, column in enumerate(self._answer.columns)
        ]
        yield pa.record_batch(arrays, schema=self.schema)


def _held(column: Column, value: Any) -> Any:
    """A value as Arrow takes it; of times, the milliseconds in UTC, which no row need say."""
    if value is None:
        return None
    if column.kind == "integer":
        return min(value, MOST)
    return round(value.timestamp() * 1000) if column.kind == "time" else value
