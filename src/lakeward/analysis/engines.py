"""Engines: who answers a question besides the machine that the lake is on.

In: a question, and an engine's connection. Out: an `Answer`, with the same rows as DuckDB's. Fails
with `Terminal` where the engine cannot say it or lacks a view that the question names.

An engine reads the table at one version; what is in the log alone is not in its answers. Identities
are worked out by DuckDB, as they grow out of chains of aliases, and handed over as a small table.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from lakeward.analysis.dialect import translated
from lakeward.analysis.question import Answer, Question, Row, Sql, portable
from lakeward.errors import Terminal
from lakeward.lake import identity

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

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
    return Answer(question.columns(), question.finish(engine.rows(portable(question))))


class Spark:
    """A Spark session over the files of the lake's table, such as `DeltaTable.file_uris()`."""

    name = "spark"

    def __init__(self, session: SparkSession, files: Sequence[str], identities: pa.Table) -> None:
        if session.conf.get("spark.sql.session.timeZone") != "UTC":
            raise Terminal("Spark must count in UTC: set spark.sql.session.timeZone to UTC")
        self._session = session
        session.read.parquet(*files).createOrReplaceTempView("interactions")
        session.createDataFrame(identities).createOrReplaceTempView("identities")
        stitched = self._session.sql(translated(Sql(identity.STITCHED, {}), "spark"))
        stitched.createOrReplaceTempView("stitched")

    def rows(self, sql: Sql) -> list[Row]:
        """As `Engine`."""
        check_views(sql, self.name)
        table: Any = self._session.sql(translated(sql, "spark")).toArrow()
        return [tuple(row.values()) for row in table.to_pylist()]


def check_views(sql: Sql, engine: str) -> None:
    """Refuse a statement that names a view which DuckDB alone has."""
    own = set(re.findall(r"(?:WITH|,)\s*([a-z_0-9]+) AS \(", sql.text))
    for name in NAMED.findall(sql.text):
        if name.lower() in NOT_CARRIED - own:
            raise Terminal(
                f"the view {name} is worked out by DuckDB alone: ask this of the lake itself, "
                f"not of {engine}"
            )


def _not_carried() -> frozenset[str]:
    from lakeward.lake import derived

    return frozenset(derived.VIEWS) - set(CARRIED)


NOT_CARRIED: Final = _not_carried()
