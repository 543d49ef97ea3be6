"""`lakeward query` and `lakeward get` as a shell runs them: every format, and hostile content."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import Lake, wait_until
from lakeward.cli.printout import CELL, write_table
from lakeward.lake.written import inert, write_csv, write_json
from test_cli import COMMAND, environment, lakeward, out, running, sentence
from test_table import Desk, line, record

HOSTILE = "\x1b[31mred\x1b]0;title\x07\n\u202egnp\u2066\x9b31m"


@pytest.fixture
def asked(lake: Lake, tmp_path: Path) -> Lake:
    """A lake with two rows in the table and two in the log."""
    desk = Desk(tmp_path)
    desk.log.append([line(user_id="u1", response_time_ms=1.5), line(user_id="東京")])
    desk.compact()
    desk.log.append([line(user_id="=cmd()|x", path="/a,b"), line(user_id=HOSTILE)])
    assert desk.lake.root == lake.root
    return lake


SELECT = "SELECT user_id, path, response_time_ms FROM interactions ORDER BY response_time_ms, path"


def test_a_table_is_aligned_and_counted(asked: Lake) -> None:
    done = lakeward(asked, "query", "SELECT user_id, count(*) AS n FROM interactions "
                    "WHERE len(user_id) < 3 GROUP BY ALL ORDER BY user_id")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "user_id  n\n───────  ─\nu1       1\n東京     1\n(2 rows)\n"


def test_a_table_says_when_it_is_cut(asked: Lake) -> None:
    done = lakeward(asked, "query", "FROM range(1000)")
    assert done.stdout.endswith("199\n(the first 200 rows; --limit N shows more)\n")
    done = lakeward(asked, "query", "FROM range(1000)", "--limit", "3")
    assert done.stdout.endswith("    2\n(the first 3 rows; --limit N shows more)\n")
    done = lakeward(asked, "query", "FROM range(3)", "--limit", "3")
    assert done.stdout.endswith("(3 rows)\n")


@pytest.mark.parametrize("format_", ["table", "json"])
def test_what_visitors_sent_does_not_steer_the_terminal(asked: Lake, format_: str) -> None:
    done = lakeward(asked, "query", SELECT, "--format", format_)
    assert done.returncode == 0
    assert all(c.isprintable() or c == "\n" for c in done.stdout), done.stdout
    if format_ == "json":
        assert HOSTILE in [row["user_id"] for row in json.loads(done.stdout)]


def test_json_is_an_array_with_a_row_on_each_line(asked: Lake) -> None:
    done = lakeward(asked, "query", SELECT, "--format", "json")
    rows = json.loads(done.stdout)
    assert rows[0] == {"user_id": "u1", "path": None, "response_time_ms": 1.5}
    assert len(done.stdout.splitlines()) == len(rows) + 2
    none = lakeward(asked, "query", "SELECT 1 WHERE false", "--format", "json")
    assert json.loads(none.stdout) == []


def test_csv_runs_no_formula(asked: Lake) -> None:
    done = lakeward(asked, "query", SELECT, "--format", "csv")
    assert done.returncode == 0
    assert '\'=cmd()|x,"/a,b",' in done.stdout
    read = list(csv.reader(io.StringIO(done.stdout, newline="")))
    assert read[0] == ["user_id", "path", "response_time_ms"]
    assert len(read) == 5


def test_parquet_goes_to_a_file_only(asked: Lake, tmp_path: Path) -> None:
    refused = lakeward(asked, "query", SELECT, "--format", "parquet")
    assert refused.returncode == 2
    assert sentence(refused) == "--format parquet needs --output FILE"
    path = tmp_path / "answer.parquet"
    done = lakeward(asked, "query", SELECT, "--format", "parquet", "--output", str(path))
    assert (done.returncode, done.stdout) == (0, "")
    table = pq.read_table(path)
    assert table.num_rows == 4
    assert table.column("response_time_ms").type == pa.float64()


def test_parquet_names_a_type_that_it_does_not_have(asked: Lake, tmp_path: Path) -> None:
    path = tmp_path / "answer.parquet"
    done = lakeward(asked, "query", "SELECT INTERVAL 1 DAY", "--format", "parquet",
                    "--output", str(path))  # fmt: skip
    assert done.returncode == 2
    assert "cast intervals" in sentence(done)
    assert list(tmp_path.glob("*answer*")) == []


@pytest.mark.parametrize("format_", ["json", "csv", "table"])
def test_output_appears_whole_or_not_at_all(asked: Lake, tmp_path: Path, format_: str) -> None:
    path = tmp_path / "answer"
    path.write_text("before")
    failing = (
        "SELECT CASE WHEN a < 90000 THEN a ELSE ('x' || a)::INTEGER END AS a FROM range(99999) t(a)"
    )
    options = ["--format", format_, "--output", str(path), "--limit", "1000000"]
    done = lakeward(asked, "query", failing, *options)
    assert done.returncode == 2
    assert "does not fit" in sentence(done)
    assert path.read_text() == "before"
    assert lakeward(asked, "query", "SELECT 1 AS a", *options).returncode == 0
    assert "1" in path.read_text()
    assert [p.name for p in tmp_path.glob("*answer*")] == ["answer"]


def test_lines_of_csv_end_as_rfc_4180_says(asked: Lake) -> None:
    command = [*COMMAND, "query", "SELECT 1 AS a, 'é' AS b", "--format", "csv"]
    environ = environment(asked, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    done = subprocess.run(command, env=environ, capture_output=True, timeout=120)
    assert done.stdout == "a,b\r\n1,é\r\n".encode()


def test_a_limit_is_told_where_the_answer_does_not_say_it(asked: Lake) -> None:
    done = lakeward(asked, "query", "FROM range(9)", "--format", "csv", "--limit", "2")
    assert (done.returncode, done.stdout.split()) == (0, ["range", "0", "1"])
    assert sentence(done) == "there are more than these 2 rows"
    whole = lakeward(asked, "query", "FROM range(50000)", "--format", "csv")
    assert (len(whole.stdout.splitlines()), whole.stderr) == (50_001, "")


def test_the_question_comes_from_a_file_or_standard_input(asked: Lake, tmp_path: Path) -> None:
    file = tmp_path / "question.sql"
    file.write_text("\ufeffSELECT 7 AS n -- é", encoding="utf-8")
    assert "7" in lakeward(asked, "query", "--file", str(file)).stdout
    done = subprocess.run(
        [*COMMAND, "query", "-"], input="SELECT 8 AS n", env=environment(asked),
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "8" in done.stdout
    for wrong in ([], ["SELECT 1", "--file", str(file)]):
        refused = lakeward(asked, "query", *wrong)
        assert refused.returncode == 2
        assert "give the SQL once" in sentence(refused)
    file.write_bytes(b"SELECT '\xff'")
    assert "no UTF-8" in sentence(lakeward(asked, "query", "--file", str(file)))
    missing = lakeward(asked, "query", "--file", str(tmp_path / "none.sql"))
    assert missing.returncode == 2


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("DROP VIEW interactions", "only SELECT"),
        ("SELECT * FROM read_csv('x')", "read_csv"),
        ("SELECT nope FROM interactions", "nope"),
        ("SELECT 1; SELECT 2", "exactly one"),
    ],
)
def test_a_refused_query_is_one_sentence_and_exit_code_2(
    asked: Lake, query: str, word: str
) -> None:
    done = lakeward(asked, "query", query)
    assert (done.returncode, done.stdout) == (2, "")
    assert word in sentence(done)
    as_json = lakeward(asked, "query", query, "--format", "json")
    assert word in json.loads(as_json.stdout)["error"]


def test_too_slow_is_one_sentence(asked: Lake) -> None:
    done = lakeward(asked, "query", "SELECT count(*) FROM range(1000000000000) a, range(99999) b",
                    LAKEWARD_QUERY_SECONDS="3")  # fmt: skip
    assert done.returncode == 2
    assert "LAKEWARD_QUERY_SECONDS" in sentence(done)


def test_a_reader_that_goes_away_is_no_error(asked: Lake) -> None:
    command = [*COMMAND, "query", "FROM range(100000000)", "--format", "csv"]
    with subprocess.Popen(
        command, env=environment(asked), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert out(process.stdout).readline() == "range\n"
        out(process.stdout).close()
        assert out(process.stderr).read() == ""
        assert process.wait(120) == 0


def test_ctrl_c_ends_the_query_and_its_child(asked: Lake) -> None:
    endless = "SELECT count(*) FROM range(1000000000000) a, range(99999) b"
    readers = asked.root / ".lakeward/readers"
    with running(asked, "query", endless) as process:
        wait_until(lambda: list(readers.glob("[!.]*")), what="opening of the lake")
        lease = next(readers.glob("[!.]*"))
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 130
        assert out(process.stderr).read() == ""
    wait_until(lambda: not _held(lease), what="the child's end")


def _held(path: Path) -> bool:
    """Whether some process has a file open."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link) == str(path):
                return True
        except OSError:
            continue
    return False


def test_without_a_lake_it_says_so(lake: Lake) -> None:
    for command in (["query", "SELECT 1"], ["get", str(record()["interaction_id"])]):
        done = lakeward(lake, *command)
        assert done.returncode == 2
        assert "there is no lake" in sentence(done)


# What is printed


class Batches(msgspec.Struct):
    """An answer that is there already."""

    table: pa.Table
    cut: bool = False

    @property
    def schema(self) -> pa.Schema:
        return self.table.schema

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        yield from self.table.to_batches()


def printed(write: Any, columns: dict[str, Any]) -> str:
    text = io.StringIO(newline="")
    write(Batches(pa.table(columns)), text)
    return text.getvalue()


def test_json_keeps_every_digit() -> None:
    columns = {
        "wide": pa.array([Decimal(2**127 - 1), Decimal(-1)], pa.decimal256(39, 0)),
        "big": pa.array([2**63 - 1, -(2**63)]),
        "unsigned": pa.array([2**64 - 1, 0], pa.uint64()),
        "money": pa.array([Decimal("12.30"), None]),
        "float": pa.array([0.1, 1e300]),
        "at": pa.array([1_764_072_000_000_001, None], pa.timestamp("us", "UTC")),
        "ns": pa.array([1_764_072_000_000_000_001, None], pa.timestamp("ns")),
        "blob": pa.array([b"\0\xff", b""]),
        "list": pa.array([[1, None], []]),
        "yes": pa.array([True, False]),
    }
    text = printed(write_json, columns)
    assert '"wide":170141183460469231731687303715884105727,' in text
    first, second = json.loads(text, parse_float=Decimal)
    assert (first["big"], first["unsigned"]) == (2**63 - 1, 2**64 - 1)
    assert first["money"] == Decimal("12.30")
    assert '"money":12.30' in text
    assert first["float"] == Decimal("0.1")
    assert first["at"] == "2025-11-25T12:00:00.000001Z"
    assert first["ns"] == "2025-11-25T12:00:00.000000001"
    assert (first["list"], first["yes"], second["money"]) == ([1, None], True, None)


def test_times_beyond_pythons_are_text() -> None:
    columns = {
        "at": pa.array([2**62], pa.timestamp("us")),
        "day": pa.array([2**31 - 1], pa.date32()),
    }
    [row] = json.loads(printed(write_json, columns))
    assert all(isinstance(value, str) for value in row.values())
    assert printed(write_csv, columns)
    assert printed(write_table, columns)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＠", "  =", '"="'])  # noqa: RUF001
def test_no_field_of_csv_begins_as_a_formula(start: str) -> None:
    text = printed(write_csv, {start + "name": [start + "1+1", None, "", "plain"]})
    rows = list(csv.reader(io.StringIO(text, newline="")))
    for cell in (rows[0][0], rows[1][0]):
        assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＠"))  # noqa: RUF001
        assert start in cell
    assert text.split("\r\n")[-4:] == ["", '""', "plain", ""]


def test_numbers_stay_numbers_in_csv() -> None:
    text = printed(write_csv, {"n": [-1], "x": [-2.5], "d": [Decimal("-3.10")]})
    assert text == "n,x,d\r\n-1,-2.5,-3.10\r\n"


def test_columns_of_one_name_are_told_apart() -> None:
    table = pa.Table.from_arrays([pa.array([n]) for n in range(4)], names=["a", "a", "a_1", "b"])
    text = io.StringIO()
    write_json(Batches(table), text)
    assert json.loads(text.getvalue()) == [{"a": 0, "a_2": 1, "a_1": 2, "b": 3}]


def test_a_cell_takes_no_more_room_than_it_may() -> None:
    accents = "a" + "\u0301" * 10_000
    text = printed(write_table, {"wide": ["東" * 500, "x" * 500, accents, "ok"], "n": [1, 2, 3, 4]})
    rows = text.splitlines()[2:-1]
    assert rows[0].startswith("東" * ((CELL - 1) // 2) + "…")
    assert rows[1].startswith("x" * (CELL - 1) + "…")
    assert all(len(row) < 6 * CELL for row in rows)
    assert all(row.endswith(f" {n}") for n, row in enumerate(rows, 1))


def test_inert_json_means_the_same() -> None:
    text = json.dumps({"a": HOSTILE}, ensure_ascii=False)
    assert json.loads(inert(text)) == {"a": HOSTILE}
    assert all(c.isprintable() for c in inert(text))


# One interaction


def test_get_shows_a_record_from_the_table_and_from_the_log(lake: Lake, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    old = record(user_id="u1", properties={"plan": "pro", "n": [1, 2]})
    new = record(user_id=HOSTILE)
    desk.log.append([msgspec.json.encode(old)])
    desk.compact()
    desk.log.append([msgspec.json.encode(new)])
    for wanted in (old, new):
        done = lakeward(lake, "get", wanted["interaction_id"].upper())
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == wanted
        assert all(c.isprintable() or c == "\n" for c in done.stdout)
        one = lakeward(lake, "get", wanted["interaction_id"], "--format", "json")
        assert json.loads(one.stdout) == wanted
        assert len(one.stdout.splitlines()) == 1


def test_get_of_an_unknown_id_is_exit_code_1_and_of_a_malformed_one_2(asked: Lake) -> None:
    unknown = str(record()["interaction_id"])
    done = lakeward(asked, "get", unknown)
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence(done) == f"the lake has no interaction {unknown}"
    as_json = lakeward(asked, "get", unknown, "--format", "json")
    assert "no interaction" in json.loads(as_json.stdout)["error"]
    for malformed in ("7", "x" * 500, "../../etc/passwd", unknown + "'"):
        wrong = lakeward(asked, "get", malformed)
        assert (wrong.returncode, wrong.stdout) == (2, "")
        assert "no interaction id" in sentence(wrong)
