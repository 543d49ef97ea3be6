"""Whether roll-ups or rows are counted: the one place where that is chosen.

In: a reading and a question. Out: the answer from roll-ups, or None where rows must be counted: for
a question that says so (`exact`), one that cells cannot answer, and where there are no roll-ups. A
file of theirs that is gone or broken is no error either: rows are always right.

Counts and sums are the same from both. Percentiles and numbers of units are close; the answer's
columns say how close.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import msgspec

from lakeward.analysis.api_health import PERCENTS, ApiHealth
from lakeward.analysis.filters import fields_of
from lakeward.analysis.question import Answer, Column, Question, Row, Sql
from lakeward.analysis.rollup import bins, health, sketch, trends
from lakeward.analysis.rollup.cells import MOST, OTHER
from lakeward.analysis.rollup.cover import Cover, Need, cells, cover
from lakeward.analysis.rollup.source import CellSource
from lakeward.analysis.trend import Trend

if TYPE_CHECKING:
    from lakeward.lake.reading import Reading

logger = logging.getLogger("lakeward.rollup")

TIME_DOC: Final = f" Within {bins.ERROR:.0%}, from roll-ups."
UNIT_DOC: Final = f" An estimate from roll-ups, standard error {sketch.ERROR:.1%}."
OTHER_DOC: Final = f" Beyond the {MOST} most frequent of a day it is {OTHER}."


def from_rollups(reading: Reading, question: Question) -> Answer | None:
    """The answer; None where rows must be counted."""
    import duckdb

    if not isinstance(question, Trend | ApiHealth) or question.exact:
        return None
    need = need_of(question)
    found = None if need is None else cover(reading, _rules(question))
    if need is None or found is None or not _whole(question, need, found):
        return None
    statement = statement_of(reading, question, need, found)
    if statement is None:
        return None
    try:
        rows = reading.con.execute(statement.text, dict(statement.parameters)).fetchall()
    except duckdb.InterruptException:
        raise
    except duckdb.Error as error:  # a pack was replaced meanwhile, or is damaged
        logger.warning(
            "rows are counted, as a roll-up cannot be read (%s): if it stays so, run "
            "`lakeward rollup --drop`", type(error).__name__,
        )  # fmt: skip
        return None
    columns = tuple(_documented(question, need, found))
    return Answer(columns, question.finish(_ranked(question, rows)), "rollups")


def _ranked(question: Trend | ApiHealth, rows: list[Row]) -> list[Row]:
    """The rows with percentiles in the place of the bands that these are in."""
    shares = trends.shares(question) if isinstance(question, Trend) else health.shares(question)
    told = dict(shares)
    if not told:
        return rows
    return [
        tuple(
            bins.percentile(told[n], value) if n in told else value for n, value in enumerate(row)
        )
        for row in rows
    ]


def need_of(question: Trend | ApiHealth) -> Need | None:
    """What a question needs of cells; None where it needs rows."""
    if isinstance(question, Trend):
        return trends.need_of(question)
    return health.need_of(question)


def statement_of(
    reading: Reading, question: Trend | ApiHealth, need: Need, found: Cover
) -> Sql | None:
    """The statement over the cells of a reading."""
    source = CellSource(question)
    told = cells(reading, found, need, source)
    if told is None:
        return None
    if isinstance(question, Trend):
        return Sql(trends.statement(question, source, told), source.parameters)
    return health.statement(question, source, told)


def _rules(question: Trend | ApiHealth) -> tuple[str, ...] | None:
    """What the team's own traffic must be in cells; None where that does not matter."""
    return None if question.internal else question.internal_is


def _whole(question: Trend | ApiHealth, need: Need, found: Cover) -> bool:
    """Whether each value that a filter names is in the cells."""
    if need.facet not in found.rest:
        return True
    named = set(fields_of(question.where))
    if isinstance(question, Trend):
        named |= {name for series in question.series for name in fields_of(series.where)}
    return need.facet not in named


def _documented(question: Trend | ApiHealth, need: Need, found: Cover) -> list[Column]:
    """The columns; what is not exact says so."""
    close: dict[str, str] = {}
    if isinstance(question, Trend):
        for n, series in enumerate(question.series, 1):
            if series.metric in trends.PERCENTILES:
                close[f"series_{n}"] = TIME_DOC
            elif series.metric in trends.OF_UNITS:
                close[f"series_{n}"] = UNIT_DOC
    else:
        close = {f"p{percent}": TIME_DOC for percent in PERCENTS}
    if need.facet in found.rest:
        close[need.facet] = OTHER_DOC
    return [
        msgspec.structs.replace(column, doc=column.doc + close.get(column.name, ""))
        for column in question.columns()
    ]
