"""Engines: who answers a question besides the machine that the lake is on.

In: a question, and an engine's connection. Out: an `Answer`, with the same rows as DuckDB's. Fails
with `Terminal` where the engine cannot say it or lacks a view that the question names.

An engine reads the table at one version; what is in the log alone is not in its answers. Identities
are worked out by DuckDB, as they grow out of chains of aliases, and handed over as a small table.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from lakeward.analysis.question import Answer, Prepared, Question, Row, Sql, portable
from lakeward.errors import Terminal

CARRIED: Final = ("interactions", "identities", "stitched")
"""The views that every engine has."""
NAMED: Final = re.compile(r"\b(?:FROM|JOIN)\s+([a-z_]+)\b(?!\s*\()", re.IGNORECASE)


class Engine(Protocol):
    """Runs statements over the lake's table."""

    name: str

    def rows(self, sql: Sql) -> list[Row]:
        """The rows of a statement in the portable subset."""


def ask_engine(engine: Engine, question: Question) -> Answer:
    """Put a question to an engine."""
    check(question, engine.name)
    return Answer(question.columns(), question.finish(engine.rows(portable(question))))


def check(question: Question, engine: str) -> None:
    """Refuse a question that only the lake's own machine can answer."""
    if isinstance(question, Prepared):
        raise Terminal(
            f"the question {question.name!r} is about files beside the table: ask it of the lake "
            f"itself, not of {engine}"
        )
    check_views(portable(question), engine)


def named(sql: Sql) -> set[str]:
    """The relations that a statement reads and does not make itself."""
    own = set(re.findall(r"(?:WITH|,)\s*([a-z_0-9]+) AS \(", sql.text))
    return {name.lower() for name in NAMED.findall(sql.text)} - own


def check_views(sql: Sql, engine: str) -> None:
    """Refuse a statement that names a view which DuckDB alone has."""
    for name in sorted(named(sql) & NOT_CARRIED):
        raise Terminal(
            f"the view {name} is worked out by DuckDB alone: ask this of the lake itself, "
            f"not of {engine}"
        )


def _not_carried() -> frozenset[str]:
    from lakeward.lake import dated, derived

    return frozenset((*derived.VIEWS, dated.DATED, dated.STITCHED)) - set(CARRIED)


NOT_CARRIED: Final = _not_carried()
