"""Athena: questions to the lake's Delta table in a bucket, through the Glue catalog.

In: settings, and who is who as DuckDB knows it. Out: the rows of statements. Fails with `Terminal`
for what Athena lacks or refuses (its code and the execution's id, never its message, which may
quote values), with `Transient` where AWS is away or time runs out.

    interactions   LAKEWARD_ATHENA_TABLE, read in place
    identities     a Parquet file under LAKEWARD_ATHENA_OUTPUT and a table over it, for as long as
                   one question takes: ids in a statement's text would stay in Athena's history
    stitched       the same SQL as everywhere, in the statement
"""

from __future__ import annotations

import io
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Final, Self

from lakeward.analysis.athena_values import rows_of
from lakeward.analysis.dialect import translated
from lakeward.analysis.engines import check as check_question
from lakeward.analysis.engines import check_views, named
from lakeward.analysis.question import Question, Row, Sql, portable
from lakeward.analysis.trino import check
from lakeward.errors import LakewardError, SettingError, Terminal, Transient
from lakeward.interaction import JsonObject
from lakeward.lake import derived, identity
from lakeward.lake.receipt import waiting
from lakeward.settings import Settings

if TYPE_CHECKING:
    import boto3
    import pyarrow as pa

    from lakeward.lake.reading import Reading
    from lakeward.sinks.aws import Api

TABLE: Final = re.compile(r"([a-z0-9_]{1,128})\.([a-z0-9_]{1,128})")
OUTPUT: Final = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/([\w!.*'()/-]*)")
CODE: Final = re.compile(r"[A-Z][A-Z_]{2,60}")
FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0
CHANGED: Final = "CAST({0} AS TIMESTAMPTZ) AS {0}"
IDENTITIES: Final = f"kind, id, person, {CHANGED.format('since')}, {CHANGED.format('until')}"
WITH: Final = re.compile(r"\s*WITH\s+", re.IGNORECASE)


def statement(sql: Sql, table: str, identities: str = "") -> str:
    """What is sent: the question's SQL as Trino says it, over these tables; checked strictly."""
    check_views(sql, Athena.name)
    ctes = [f"interactions AS (SELECT * FROM {_quoted(table)})"]
    if identities:
        ctes.append(f"identities AS (SELECT {IDENTITIES} FROM {_quoted(identities)})")
        ctes.append(f"stitched AS ({identity.STITCHED})")
    whole, more = f"WITH {', '.join(ctes)}", WITH.match(sql.text)
    text = f"{whole}, {sql.text[more.end() :]}" if more else f"{whole} {sql.text}"
    said = translated(Sql(text, sql.parameters), "trino")
    check(said)
    return said


def shown(question: Question, settings: Settings) -> str:
    """The statement of a question; the name of the table of identities is another each time."""
    check_question(question, Athena.name)
    sql, table = portable(question), settings.athena_table
    people = f"{table.partition('.')[0]}.lakeward_identities" if _of_people(sql) else ""
    return statement(sql, table, people)


def _of_people(sql: Sql) -> bool:
    return bool(named(sql) & {"stitched", "identities"})


class Athena:
    """A workgroup of Athena over the lake's table."""

    name = "athena"

    def __init__(
        self,
        settings: Settings,
        identities: Callable[[], pa.Table],
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if TABLE.fullmatch(settings.athena_table) is None:
            raise SettingError("LAKEWARD_ATHENA_TABLE must be like lakeward.interactions")
        self._output = OUTPUT.fullmatch(settings.athena_output.rstrip("/") + "/")
        if settings.athena_output and self._output is None:
            raise SettingError("LAKEWARD_ATHENA_OUTPUT must be like s3://bucket/athena/")
        self._settings = settings
        self._identities = identities
        self._sleep = sleep

    @classmethod
    def of(cls, reading: Reading) -> Self:
        """The table that a reading's settings name."""
        if waiting(reading.lake):  # its name must not come to stand in Athena's history
            raise Transient(
                "somebody is being erased and Athena would still show them: ask again when "
                "`lakeward doctor` knows of no erasure under way, or ask the lake itself"
            )
        derived.create(reading.con)
        return cls(reading.settings, lambda: reading.con.sql("FROM identities").to_arrow_table())

    def rows(self, sql: Sql) -> list[Row]:
        """As `Engine`."""
        of_people = _of_people(sql)
        text = statement(sql, self._settings.athena_table, "a.b" if of_people else "")
        if not self._settings.table.startswith("s3://"):  # what Glue names is another table then
            raise SettingError(
                "this lake's table is on this disk, and Athena reads a bucket: set LAKEWARD_TABLE, "
                "such as s3://bucket/table, or leave out --engine"
            )
        if not of_people:
            return self._ran(text)
        with self._handed_over() as identities:
            return self._ran(statement(sql, self._settings.athena_table, identities))

    def close(self) -> None:
        """Let go of connections."""
        for name in {"_api", "_bucket"} & vars(self).keys():
            vars(self)[name].close()

    # What a question lacks is said before AWS is looked for, which may have no credentials here.

    @cached_property
    def _keys(self) -> boto3.Session:
        from lakeward.sinks import aws

        return aws.session(self._settings)

    @cached_property
    def _api(self) -> Api:
        from lakeward.sinks import aws

        return aws.athena_api(self._settings, self._keys)

    @cached_property
    def _bucket(self) -> Api:
        from lakeward.sinks import aws

        return aws.s3_api(self._settings, self._keys, aws.ATHENA_OUTPUT)

    def _ran(self, text: str) -> list[Row]:
        """Start it, wait, and read its pages."""
        execution = self._started(text)
        try:
            self._wait(execution)
        except BaseException:
            with suppress(LakewardError):
                self._api.ask("stop_query_execution", QueryExecutionId=execution)
            raise
        return rows_of(self._api.pages("get_query_results", QueryExecutionId=execution))

    def _started(self, text: str) -> str:
        more: JsonObject = {}
        if self._output is not None:
            more["ResultConfiguration"] = {
                "OutputLocation": f"s3://{'/'.join(self._output.groups())}"
            }
        database, _, _ = self._settings.athena_table.partition(".")
        answer = self._api.ask(
            "start_query_execution", QueryString=text, WorkGroup=self._settings.athena_workgroup,
            QueryExecutionContext={"Database": database}, **more,
        )  # fmt: skip
        return str(answer["QueryExecutionId"])

    def _wait(self, execution: str) -> None:
        waited, pause = 0.0, FIRST_WAIT
        while True:
            answer = self._api.ask("get_query_execution", QueryExecutionId=execution)
            status = answer["QueryExecution"]["Status"]
            if status["State"] == "SUCCEEDED":
                return
            if status["State"] in ("FAILED", "CANCELLED"):
                raise Terminal(_why(status, execution))
            if waited >= self._settings.query_seconds:
                raise Transient(
                    f"Athena did not finish in {self._settings.query_seconds:g} s: ask for fewer "
                    "days, or raise LAKEWARD_QUERY_SECONDS"
                )
            self._sleep(pause)
            waited, pause = waited + pause, min(pause * 1.5, LONGEST_WAIT)

    @contextmanager
    def _handed_over(self) -> Iterator[str]:
        """A table of identities, taken away again whatever happens."""
        if self._output is None:
            raise SettingError(
                "who is who goes to Athena as a small file: set LAKEWARD_ATHENA_OUTPUT, such as "
                "s3://bucket/athena/"
            )
        bucket, prefix = self._output.groups()
        database, _, _ = self._settings.athena_table.partition(".")
        name = f"lakeward_identities_{uuid.uuid4().hex}"
        key, table = f"{prefix}{name}/part.parquet", f"{database}.{name}"
        body = parquet(self._identities())
        try:
            self._bucket.ask("put_object", Bucket=bucket, Key=key, Body=body)
            self._ran(_created(table, f"s3://{bucket}/{prefix}{name}/"))
            yield table
        finally:
            with suppress(LakewardError):
                self._ran(f"DROP TABLE IF EXISTS `{database}`.`{name}`")
            with suppress(LakewardError):
                self._bucket.ask("delete_object", Bucket=bucket, Key=key)


def parquet(identities: pa.Table) -> bytes:
    """The table as a file; its moments as text, which Hive and Trino read alike."""
    import pyarrow as pa
    import pyarrow.parquet

    def text(moment: object) -> str:
        return f"{moment:%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"

    columns = {
        name: pa.array(identities[name].cast(pa.string()))
        if name not in ("since", "until")
        else pa.array(map(text, identities[name].cast(pa.timestamp("ms", "UTC")).to_pylist()),
                      pa.string())
        for name in ("kind", "id", "person", "since", "until")
    }  # fmt: skip
    out = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(columns), out)
    return out.getvalue()


def _created(table: str, place: str) -> str:
    """Athena's DDL is Hive's, not Trino's."""
    columns = ", ".join(f"{name} string" for name in ("kind", "id", "person", "since", "until"))
    database, _, name = table.partition(".")
    return (
        f"CREATE EXTERNAL TABLE `{database}`.`{name}` ({columns}) STORED AS PARQUET "
        f"LOCATION '{place}'"
    )


def _quoted(table: str) -> str:
    return ".".join(f'"{part}"' for part in table.split("."))


def _why(status: JsonObject, execution: str) -> str:
    code = CODE.match(str(status.get("StateChangeReason", "")))
    return (
        f"Athena did not answer ({code[0] if code else status['State']}): its console says why of "
        f"the execution {execution}"
    )
