"""What a question is: a frozen struct of parameters that becomes SQL, and rows with known columns.

In: a question and a reading of the lake. Out: an `Answer`. A question refuses parameters that it
cannot take with `Rejected`, when it is made; asking fails as a reading does, and with `Terminal`
where the answer needs more memory than there is.

    AiCost(by=("model",)) ──► Sql(text, parameters) ──► engine ──► Answer(columns, rows)
           checked               pure; values are
                                 always parameters

The SQL names the views of docs/query.md alone. It keeps to what other engines say too; a question
that has a quicker form for DuckDB has both, and one suite finds them the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Protocol, runtime_checkable

import msgspec

from lakeward.errors import Terminal
from lakeward.lake import dated, derived

if TYPE_CHECKING:
    from lakeward.lake.reading import Reading

Kind = Literal["text", "integer", "number", "boolean", "time", "date", "json"]
Value = str | int | float | bool | datetime | date
Cell = Value | None
Row = tuple[Any, ...]
PIECE: Final = 500


def says(meaning: str) -> msgspec.Meta:
    """The documentation of a parameter, as the list of questions and a schema show it."""
    return msgspec.Meta(description=meaning)


class Column(msgspec.Struct, frozen=True):
    """A column of an answer."""

    name: str
    kind: Kind
    doc: str
    unit: str = ""


class Sql(msgspec.Struct, frozen=True):
    """A statement; `$name` stands for a parameter."""

    text: str
    parameters: Mapping[str, Value]


class Question(Protocol):
    """What can be asked."""

    name: ClassVar[str]

    def columns(self) -> tuple[Column, ...]:
        """What the answer's rows hold, in this order."""

    def sql(self) -> Sql:
        """The statement; the same question has the same one."""

    def finish(self, rows: list[Row]) -> list[Row]:
        """The answer's rows, of those that the statement gave; the columns are the same."""


@runtime_checkable
class Prepared(Protocol):
    """A question about what is not in the table, too."""

    def prepare(self, reading: Reading) -> None:
        """Make the small tables that its statement names beside the views."""


@runtime_checkable
class Portable(Protocol):
    """A question whose statement is in DuckDB's own words, with the same in everyone's."""

    def portable(self) -> Sql:
        """The statement that every engine takes."""


def portable(question: Question) -> Sql:
    """The statement that every engine takes: of a question with two forms the slower one."""
    return question.portable() if isinstance(question, Portable) else question.sql()


class Answer(msgspec.Struct, frozen=True):
    """Rows as the question orders them."""

    columns: tuple[Column, ...]
    rows: list[tuple[Cell, ...]]
    source: Literal["rows", "rollups"] = "rows"
    """What was counted; of roll-ups, columns that are close and not exact say so."""

    def dicts(self) -> Iterator[dict[str, Cell]]:
        """Each row by the names of its columns."""
        names = [column.name for column in self.columns]
        return (dict(zip(names, row, strict=True)) for row in self.rows)


def ask(reading: Reading, question: Question) -> Answer:
    """Put a question to the lake as the reading shows it, from roll-ups where they can tell."""
    from lakeward.analysis.rollup.asking import from_rollups

    if (answer := from_rollups(reading, question)) is not None:
        return answer
    rows = [row for piece in pieces(reading, question) for row in piece]
    return Answer(question.columns(), question.finish(rows))


def pieces(reading: Reading, question: Question) -> Iterator[list[Row]]:
    """The rows of the statement, some at a time."""
    import duckdb

    statement = question.sql()
    if isinstance(question, Prepared) or derived.asked(statement.text):  # they take their time
        derived.create(reading.con)
    if dated.DATED in statement.text:
        reading.create_dated(stitched=dated.STITCHED in statement.text)
    if isinstance(question, Prepared):
        question.prepare(reading)
    try:
        cursor = reading.con.execute(statement.text, dict(statement.parameters))
        while piece := cursor.fetchmany(PIECE):
            yield piece
    except duckdb.OutOfMemoryException:
        raise Terminal(
            f"the question {question.name!r} needs more memory than there is: ask for fewer days, "
            "or raise LAKEWARD_QUERY_MEMORY"
        ) from None
