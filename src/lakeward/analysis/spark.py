"""Spark: questions to the files of the lake's table at one version.

In: a session, the files, and who is who as DuckDB knows it. Out: the rows of statements. Fails with
`Terminal` for a session that does not count in UTC and for views that Spark lacks; what the cluster
raises comes through.

Files that older versions wrote lack columns: what is read has the table's columns in any case, and
null where a file has none. The table has no deletion vectors: an erasure writes files anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Self

from lakeward.analysis.dialect import translated
from lakeward.analysis.engines import check, check_views
from lakeward.analysis.question import Question, Row, Sql, portable
from lakeward.errors import Terminal
from lakeward.lake import derived, identity
from lakeward.lake.columns import COLUMNS, SqlType
from lakeward.lake.forget import condition
from lakeward.lake.receipt import waiting

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

    from lakeward.lake.reading import Reading

TYPES: Final[Mapping[SqlType, str]] = {
    "VARCHAR": "string", "TIMESTAMPTZ": "timestamp", "INTEGER": "int", "BIGINT": "bigint",
    "DOUBLE": "double", "BOOLEAN": "boolean", "DATE": "date",
}  # fmt: skip
SCHEMA: Final = ", ".join(f"`{name}` {TYPES[kind]}" for name, kind in COLUMNS.items())


class Spark:
    """A Spark session over the files of the lake's table, such as `DeltaTable.file_uris()`."""

    name = "spark"

    def __init__(
        self,
        session: SparkSession,
        files: Sequence[str],
        identities: pa.Table,
        hidden: str = "FALSE",
    ) -> None:
        """`hidden`: a condition, in DuckDB's words, of rows that nobody is to see any more."""
        if session.conf.get("spark.sql.session.timeZone") != "UTC":
            raise Terminal("Spark must count in UTC: set spark.sql.session.timeZone to UTC")
        self.session = session
        reader = session.read.schema(SCHEMA)
        rows = reader.parquet(*files) if files else session.createDataFrame([], SCHEMA)
        rows.createOrReplaceTempView("stored")
        session.createDataFrame(identities).createOrReplaceTempView("identities")
        for view, select in (
            ("interactions", f"SELECT * FROM stored WHERE NOT ({hidden})"),
            ("stitched", identity.STITCHED),
        ):
            session.sql(translated(Sql(select, {}), "spark")).createOrReplaceTempView(view)

    @classmethod
    def of(cls, reading: Reading, on: SparkSession | None = None) -> Self:
        """The table as a reading holds it, without whoever is being erased; on any session."""
        derived.create(reading.con)
        identities = reading.con.sql("FROM identities").to_arrow_table()
        hidden = " OR ".join(map(condition, waiting(reading.lake))) or "FALSE"
        return cls(session() if on is None else on, reading.files, identities, hidden)

    def rows(self, sql: Sql) -> list[Row]:
        """As `Engine`."""
        check_views(sql, self.name)
        table: Any = self.session.sql(translated(sql, "spark")).toArrow()
        return [tuple(row.values()) for row in table.to_pylist()]


def shown(question: Question) -> str:
    """The statement of a question."""
    check(question, Spark.name)
    return translated(portable(question), "spark")


def session() -> SparkSession:
    """The session that Spark's own configuration names, else one on this machine."""
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise Terminal("Spark is not installed: pip install pyspark, and Java") from None
    builder = SparkSession.builder.appName("lakeward")
    for name, value in (
        ("spark.sql.session.timeZone", "UTC"), ("spark.ui.enabled", "false"),
        ("spark.ui.showConsoleProgress", "false"),
    ):  # fmt: skip
        builder = builder.config(name, value)
    found: SparkSession = builder.getOrCreate()
    return found
