"""Athena: what is sent is strict Trino; what comes back is typed; the emulator proves plumbing.

Nothing here has run on AWS. ministack answers with DuckDB: the way to Athena and back is real,
Trino's own functions are not. An emulator that gives canned rows is found out and fails.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import msgspec
import pytest
from sqlglot import exp, parse_one
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

from asked import START_MS, Row, answered, fill, memory
from clouds import BUCKET, KEYS, Cloud, emulator, settings
from conftest import Lake
from lakeward.analysis.athena import Athena, statement
from lakeward.analysis.athena_values import rows_of
from lakeward.analysis.engines import ask_engine
from lakeward.analysis.events import Events
from lakeward.analysis.filters import Filter, Op
from lakeward.analysis.listing import SHOWN
from lakeward.analysis.quality_places import DataPlaces
from lakeward.analysis.question import Prepared, Question, Sql, portable
from lakeward.analysis.registry import QUESTIONS, question_of
from lakeward.analysis.trend import Series, Trend
from lakeward.analysis.trino import foreign
from lakeward.cli import main
from lakeward.errors import LakewardError, SettingError, Terminal, Transient
from lakeward.lake.columns import COLUMNS
from lakeward.lake.receipt import ask as ask_for_erasure
from lakeward.person import Person
from test_engines import QUESTIONS_ASKED, TEXTS

OUTPUT = f"s3://{BUCKET}/athena/"
CARRIED = {
    name: kind
    for name, kind in QUESTIONS.items()
    if issubclass(kind, Events) and not issubclass(kind, Prepared)
}
HOSTILE = (
    *TEXTS,
    "'; DROP TABLE x; --",
    "\\' OR 1=1 --",
    "a''b",
    "/* x",
    "-- y",
    "U&'\\0041'",
    "%s{0}?",
)


def every_question() -> Iterator[tuple[str, Question]]:
    for name in CARRIED:
        if not name.startswith("experiment_"):  # the usual one counts bookings, a view of DuckDB
            yield name, question_of(name, SHOWN.get(name, {}))
    yield from QUESTIONS_ASKED.items()
    texts = tuple(filter(None, HOSTILE))
    ops: tuple[Op, ...] = ("contains", "starts", "ends", "is_not")
    hostile = [Filter(field="properties.plan", op=op, values=texts) for op in ops]
    where = Filter(any=(Filter(field="route", values=HOSTILE), *hostile))
    yield "hostile", Trend(where=where, by=("properties.it$s", "route", "person"))


def sent(question: Question) -> str:
    return statement(portable(question), "lakeward.interactions", "lakeward.ids")


TRINO = {
    "VARCHAR": "varchar", "TIMESTAMPTZ": "timestamp with time zone", "INTEGER": "integer",
    "BIGINT": "bigint", "DOUBLE": "double", "BOOLEAN": "boolean", "DATE": "date",
}  # fmt: skip
SCHEMA: dict[str, object] = {
    "lakeward": {
        "interactions": {name: TRINO[kind] for name, kind in COLUMNS.items()},
        "ids": dict.fromkeys(("kind", "id", "person", "since", "until"), "varchar"),
    }
}
COMPARED = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ)


def family(node: exp.Expression) -> str:
    """Trino compares within a family alone; empty where sqlglot does not know."""
    kind = node.type
    if kind is None or kind.is_type("unknown", "null"):
        return ""
    for name, kinds in (("number", exp.DataType.NUMERIC_TYPES), ("text", exp.DataType.TEXT_TYPES)):
        if kind.is_type(*kinds):
            return name
    return kind.sql("trino")


def faults(text: str) -> list[str]:
    """What Trino would refuse although it parses: names without a column, unlike types."""
    try:
        tree = qualify(
            parse_one(text, read="trino"), dialect="trino", schema=SCHEMA,
            expand_alias_refs=False, quote_identifiers=False, identify=False,
        )  # fmt: skip
    except Exception as error:
        return [str(error)]
    typed = annotate_types(tree, schema=SCHEMA, dialect="trino")
    return [
        node.sql("trino")
        for node in typed.find_all(*COMPARED)
        if len({family(node.this), family(node.expression)} - {""}) > 1
    ]


def test_every_question_is_sent_as_strict_trino_of_listed_parts() -> None:
    for name, question in every_question():
        text = sent(question)
        assert foreign(text) == set(), name
        assert faults(text) == [], name


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("SELECT json_transform(a, 'x') FROM t", "json_transform"),
        ("SELECT a FROM t WHERE shell ('x') > 1", "shell"),
        ("SELECT avg(1.0) FROM t", "a decimal"),
        ("SELECT ARRAY[1, 2] FROM t", "Array"),
        ("SELECT CAST(a AS JSON) FROM t", "JSON"),
        ("SELECT sum(a) FILTER (WHERE b) OVER () FROM t", "FILTER … OVER"),
        ("SELECT count(DISTINCT a) OVER () FROM t", "DISTINCT … OVER"),
        ("SELECT a FROM UNNEST(b)", "Unnest"),
    ],
)
def test_what_is_not_listed_is_found(text: str, found: str) -> None:
    assert found in foreign(text)


@pytest.mark.parametrize(
    "text", ["DELETE FROM t", "SELECT 1; SELECT 2", "SELECT (", "DROP TABLE t"]
)
def test_what_is_no_single_select_is_refused(text: str) -> None:
    with pytest.raises(Terminal):
        foreign(text)


def test_names_without_a_column_and_unlike_types_are_found() -> None:
    assert faults("SELECT nothing FROM lakeward.interactions")
    assert faults("SELECT route FROM lakeward.interactions WHERE route = response_status")
    assert not faults("SELECT route FROM lakeward.interactions WHERE route = 'a'")


def test_hostile_values_are_literals_and_nothing_else() -> None:
    for text in HOSTILE:
        said = statement(Sql("SELECT $p1 AS a FROM interactions", {"p1": text}), "a.b")
        (literal,) = parse_one(said, read="trino").find_all(exp.Literal)
        assert literal.this == text
        ours = said.partition("SELECT '")[2].rpartition("' AS a")[0]
        assert ours == text.replace("'", "''")  # Trino knows no other escape in a text


def test_moments_dates_and_numbers_are_literals_with_their_type() -> None:
    values: dict[str, Any] = {
        "p1": datetime(2025, 10, 26, 1, 0, 0, 1, UTC), "p2": date(2025, 3, 30), "p3": 0.1,
        "p4": 2**53 + 1, "p5": True,
    }  # fmt: skip
    said = statement(Sql("SELECT $p1, $p2, $p3, $p4, $p5, 1.5", values), "a.b")
    assert said.partition('"b") ')[2] == (
        "SELECT CAST('2025-10-26 01:00:00.001 UTC' AS TIMESTAMP WITH TIME ZONE), "
        "CAST('2025-03-30' AS DATE), CAST('0.1' AS DOUBLE), CAST(9007199254740993 AS BIGINT), "
        "TRUE, 1.5e0"
    )


def test_a_statement_that_athena_does_not_take_whole_is_refused() -> None:
    many = Trend(where=Filter(field="route", values=tuple("x" * 400 + str(n) for n in range(900))))
    with pytest.raises(Terminal, match="Athena takes 262144"):
        sent(many)


def test_views_and_files_that_duckdb_alone_has_are_said() -> None:
    for view in ("deals", "dated", "stitched_dated"):
        with pytest.raises(Terminal, match=f"{view} is worked out by DuckDB alone.*not of athena"):
            statement(Sql(f"SELECT * FROM {view}", {}), "a.b")


def page(kinds: list[str], *rows: list[str | None], names: list[str] | None = None) -> Any:
    cells = [{"Data": [{} if x is None else {"VarCharValue": x} for x in row]} for row in rows]
    info = [{"Name": n, "Type": k} for n, k in zip(names or kinds, kinds, strict=True)]
    return {"ResultSet": {"Rows": cells, "ResultSetMetadata": {"ColumnInfo": info}}}


def test_texts_become_values_of_their_types() -> None:
    kinds = [
        "bigint",
        "double",
        "varchar",
        "boolean",
        "date",
        "timestamp with time zone",
        "decimal(38,0)",
    ]
    names = list("abcdefg")
    utc, paris = "2025-10-26 01:00:00.001 UTC", "2025-11-02 02:00:00.001 Europe/Paris"
    one: list[str | None] = ["1", "1.0E-5", "", "true", "2025-10-26", utc, "7"]
    two: list[str | None] = ["2", "NaN", "a", "false", "2025-01-01", paris, "1.5"]
    rows = rows_of([page(kinds, [*names], one, names=names), page(kinds, [None] * 7, two)])
    moment = datetime(2025, 10, 26, 1, 0, 0, 1000, UTC)
    assert rows[0] == (1, 1e-05, "", True, date(2025, 10, 26), moment, 7)
    assert rows[1] == (None,) * 7
    assert rows[2][:1] + rows[2][2:5] == (2, "a", False, date(2025, 1, 1))
    assert rows[2][5:] == (datetime(2025, 11, 2, 1, 0, 0, 1000, UTC), 1.5)
    assert type(rows[0][0]) is int


def test_a_row_that_reads_like_the_head_is_a_row_on_a_later_page() -> None:
    pages = [page(["varchar"], ["a"], ["x"], names=["a"]), page(["varchar"], ["a"], names=["a"])]
    assert rows_of(pages) == [("x",), ("a",)]


@pytest.mark.parametrize("rows", [["2025-13-01"], ["x"]])
def test_a_value_that_is_not_of_its_type_is_refused_and_not_told(rows: list[str | None]) -> None:
    with pytest.raises(Terminal) as refused:
        rows_of([page(["date"], rows)])
    assert str(rows[0]) not in str(refused.value)


# The way to Athena and back.


@pytest.fixture
def ministack() -> Cloud:
    cloud = emulator("ministack")
    cloud.reset()
    return cloud


def rows() -> Iterator[Row]:
    for n in range(60):
        row: Row = {"ms": START_MS + n * 3_600_000, "anonymous_id": f"a{n % 7}",
                    "route": HOSTILE[n % len(HOSTILE)], "response_time_ms": n / 4}  # fmt: skip
        yield row | ({"user_id": f"u{n % 5}"} if n % 3 else {})
    yield {"interaction_type": "identify", "anonymous_id": "a1", "user_id": "u'1"}


def athena(cloud: Cloud, folder: Path, **more: str) -> Athena:
    """An engine over a Glue table whose files are in the emulator's bucket."""
    fill(rows())
    path = folder / "part.parquet"
    memory().execute(f"COPY interactions TO '{path}' (FORMAT parquet)")
    s3, glue = cloud.bucket(""), cloud.client("glue")
    s3.upload_file(str(path), BUCKET, "table/part.parquet")
    glue.create_database(DatabaseInput={"Name": "lakeward"})
    hive = {"BOOLEAN": "boolean", "INTEGER": "int", "DOUBLE": "double", "BIGINT": "bigint"}
    columns = [{"Name": name, "Type": hive.get(kind, "string")} for name, kind in COLUMNS.items()]
    glue.create_table(DatabaseName="lakeward", TableInput={
        "Name": "interactions", "TableType": "EXTERNAL_TABLE",
        "Parameters": {"classification": "parquet"},
        "StorageDescriptor": {"Columns": columns, "Location": f"s3://{BUCKET}/table/"},
    })  # fmt: skip
    return engine(cloud, folder, **more)


def engine(cloud: Cloud, folder: Path, **more: str) -> Athena:
    """An engine over whatever is there."""
    where = {"LAKEWARD_TABLE": f"s3://{BUCKET}/table", "LAKEWARD_ATHENA_OUTPUT": OUTPUT}
    asked = settings(folder, cloud.endpoint, **{**where, **more})
    return Athena(asked, lambda: memory().sql("FROM identities").to_arrow_table())


def prove_it_computes(engine: Athena) -> None:
    """Fail unless the answers are worked out, here of numbers and of the lake's files."""
    assert engine.rows(Sql("SELECT 21 * 2 AS a, 'x' || $p1 AS b", {"p1": "y"})) == [(42, "xy")]
    (counted,) = (
        memory().execute("SELECT count(*), sum(response_time_ms) FROM interactions").fetchall()
    )
    said = "SELECT count(*) AS n, sum(response_time_ms) AS s FROM interactions"
    assert engine.rows(Sql(said, {})) == [counted]


def test_the_emulator_computes_and_a_question_comes_back_as_duckdb_answers(
    ministack: Cloud, tmp_path: Path
) -> None:
    asked = athena(ministack, tmp_path)
    prove_it_computes(asked)
    hostile = Filter(field="route", values=HOSTILE[:9])
    question = Trend(
        grain=None, by=("route",), where=hostile, unit="anonymous_id", top=1000,
        series=(Series(metric="units"), Series(metric="mean", field="response_time_ms")),
        since=datetime(2025, 8, 15, tzinfo=UTC),
    )  # fmt: skip
    assert ask_engine(asked, question).rows == [tuple(row.values()) for row in answered(question)]


def test_who_is_who_travels_as_a_file_and_is_gone_afterwards(
    ministack: Cloud, tmp_path: Path
) -> None:
    asked = athena(ministack, tmp_path)
    question = Trend(grain=None, by=("person",), top=1000, series=(Series(metric="units"),))
    told = ask_engine(asked, question).rows
    assert told == [tuple(row.values()) for row in answered(question)]
    assert any(row[0] == "u'1" for row in told)
    listed = ministack.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", [])
    assert not [found["Key"] for found in listed if "identities" in found["Key"]]
    tables = ministack.client("glue").get_tables(DatabaseName="lakeward")["TableList"]
    assert [found["Name"] for found in tables] == ["interactions"]
    history = ministack.client("athena")
    texts = [
        history.get_query_execution(QueryExecutionId=name)["QueryExecution"]["Query"]
        for name in history.list_query_executions()["QueryExecutionIds"]
    ]
    assert texts
    assert not [text for text in texts if "u''1" in text]


def test_more_rows_than_a_page_come_whole_and_nulls_are_nulls(
    ministack: Cloud, tmp_path: Path
) -> None:
    asked = athena(ministack, tmp_path)
    two = "FROM interactions a CROSS JOIN interactions b"
    found = asked.rows(Sql(f"SELECT a.route, a.city, 1 AS one {two}", {}))
    assert len(found) == 61 * 61
    assert {row[1:] for row in found} == {(None, 1)}
    assert {row[0] for row in found} >= set(HOSTILE[:9])


@pytest.mark.parametrize("name", ["moto", "ministack that mocks"])
def test_an_emulator_that_only_mocks_is_found_out(name: str, tmp_path: Path) -> None:
    cloud = emulator(name.partition(" ")[0])
    cloud.reset()
    fill(rows())
    cloud.bucket("")
    if name != "moto":
        configured(cloud, "mock")
    try:
        with pytest.raises((AssertionError, LakewardError)):
            prove_it_computes(engine(cloud, tmp_path))
    finally:
        if name != "moto":
            configured(cloud, "auto")


def configured(cloud: Cloud, engine: str) -> None:
    body = msgspec.json.encode({"athena.ATHENA_ENGINE": engine})
    request = Request(f"{cloud.endpoint}/_ministack/config", body, method="POST")
    with urlopen(request, timeout=120) as answer:
        assert answer.status == 200
        assert engine in answer.read().decode()


def test_the_commands_ask_athena_and_not_while_somebody_is_being_erased(
    ministack: Cloud, tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    athena(ministack, tmp_path)  # whose table has other rows than the lake: it is Athena's answer
    with lake.collector() as collector:
        collector.record("page_view", user_id="u1")
        collector.commit()
    more = {**lake.env, **KEYS, "LAKEWARD_AWS_ENDPOINT": ministack.endpoint,
            "LAKEWARD_ATHENA_OUTPUT": OUTPUT, "LAKEWARD_TABLE": f"s3://{BUCKET}/lake"}  # fmt: skip
    for name, value in more.items():
        monkeypatch.setenv(name, value)
    body = '{"grain": null, "by": ["route"], "series": [{"event": "identify"}]}'
    assert main(("ask", "trend", body, "--engine", "athena", "--format", "json")) == 0
    assert msgspec.json.decode(capsys.readouterr().out) == [{"route": None, "series_1": 1}]
    assert main(("ask", "trend", body, "--engine", "athena", "--sql")) == 0
    assert 'FROM "lakeward"."interactions"' in capsys.readouterr().out
    assert main(("ask", "outcomes", "--engine", "athena")) == 2
    assert "is worked out by DuckDB alone: ask this of the lake itself" in capsys.readouterr().err
    ask_for_erasure(lake.open(), str(uuid.uuid4()), [Person("user_id", "gone")])
    assert main(("ask", "trend", body, "--engine", "athena")) != 0
    assert "somebody is being erased" in capsys.readouterr().err


def test_a_table_that_is_not_there_is_one_sentence_with_the_execution(
    ministack: Cloud, tmp_path: Path
) -> None:
    ministack.bucket("")
    with pytest.raises(Terminal, match=r"Athena did not answer \(\w+\): its console says why of "):
        engine(ministack, tmp_path).rows(Sql("SELECT 'secret-value' FROM interactions", {}))


def test_one_that_does_not_finish_is_stopped(ministack: Cloud, tmp_path: Path) -> None:
    asked = athena(ministack, tmp_path, LAKEWARD_QUERY_SECONDS="1")
    asked._sleep = lambda seconds: None
    endless = " CROSS JOIN ".join(f"interactions t{n}" for n in range(5))
    with pytest.raises(Transient, match="did not finish in 1 s"):
        asked.rows(Sql(f"SELECT sum(length(t0.route || t1.route || t4.route)) FROM {endless}", {}))
    client = ministack.client("athena")
    (name,) = client.list_query_executions()["QueryExecutionIds"]
    status = client.get_query_execution(QueryExecutionId=name)["QueryExecution"]["Status"]
    assert status["State"] == "CANCELLED"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"LAKEWARD_ATHENA_TABLE": 'x"; DROP'}, "LAKEWARD_ATHENA_TABLE must be like"),
        ({"LAKEWARD_ATHENA_OUTPUT": "/tmp"}, "LAKEWARD_ATHENA_OUTPUT must be like s3://"),
    ],
)
def test_settings_that_name_no_place_are_refused(
    tmp_path: Path, more: dict[str, str], said: str
) -> None:
    with pytest.raises(SettingError, match=re.escape(said)):
        engine(Cloud("nobody", 9, ""), tmp_path, **more)


def test_people_without_a_place_for_who_is_who_are_refused(tmp_path: Path) -> None:
    asked = engine(Cloud("nobody", 9, ""), tmp_path, LAKEWARD_ATHENA_OUTPUT="")
    with pytest.raises(SettingError, match="set LAKEWARD_ATHENA_OUTPUT"):
        ask_engine(asked, Trend(by=("person",)))


def test_questions_about_files_beside_the_table_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Terminal, match="'data_places' is about files beside the table"):
        ask_engine(engine(Cloud("nobody", 9, ""), tmp_path), DataPlaces())


def test_without_aws_the_question_is_looked_at_first_and_then_where_the_table_is(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    with lake.collector() as collector:
        collector.record("page_view", user_id="u1")
        collector.commit()
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    for name, value in lake.env.items():
        monkeypatch.setenv(name, value)
    for words, said in (
        (("ask", "outcomes"), "is worked out by DuckDB alone"),
        (("ask", "data_places"), "is about files beside the table"),
        (("ask", "trend"), "this lake's table is on this disk"),
        (("funnel", "page_view", "demo_booking"), "set LAKEWARD_TABLE, such as s3://"),
    ):
        assert main((*words, "--engine", "athena")) == 2
        assert said in capsys.readouterr().err, words
    monkeypatch.setenv("LAKEWARD_TABLE", f"s3://{BUCKET}/table")
    assert main(("ask", "outcomes", "--engine", "athena")) == 2
    assert "is worked out by DuckDB alone" in capsys.readouterr().err
