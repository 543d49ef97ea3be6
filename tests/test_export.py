"""Everything that is known of a person comes out as it went in, whether the table has it or not."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from conftest import Lake
from lakeward.cli import main
from lakeward.cli.compact import compact
from lakeward.collector import Collector
from lakeward.settings import load

ANN = "ann'; DROP TABLE interactions; --"


def told(collector: Collector, n: int) -> None:
    """Some of Ann's interactions, of several kinds, and one of somebody else."""
    collector.record("page_view", user_id=ANN, session_id="s1", url="https://example.com/?q=ä", n=n)
    collector.record(
        "api_call", user_id=ANN, method="GET", path="/x", response_status=200,
        response_time_ms=1.5, query_params={"a": ["1", "2"]}, request_body=["x", {"y": None}],
        user_agent="Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0",
    )  # fmt: skip
    collector.record("signed_up", user_id=ANN, deep={"list": [1, 2.5, "three", True, None]})
    collector.record("ai_conversation", anonymous_id="a1", messages=[{"role": "user"}])
    collector.record("signed_up", user_id="bob")


@pytest.fixture
def planted(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Half of it is in the table, half in the log alone, and one line is quarantined."""
    for name, value in lake.env.items():
        monkeypatch.setenv(name, value)
    with lake.collector() as collector:
        told(collector, 1)
        collector.commit()
        compact(lake.open(), load(lake.env, lake.root.parent))
        told(collector, 2)
        collector.record("demo_booking", user_id=ANN, status="later")
        collector.commit()
    return lake


def lines(path: Path) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


def test_every_record_comes_back_as_it_was_and_the_quarantine_behind_them(
    planted: Lake, tmp_path: Path
) -> None:
    output = tmp_path / "ann.jsonl"
    assert main(["export", "--user", ANN, "--output", str(output)]) == 0
    mine = [row for row in planted.rows() if row["user_id"] == ANN]
    assert len(mine) == 6
    *found, quarantined = lines(output)
    assert found == sorted(mine, key=lambda row: str(row["interaction_id"]))
    assert quarantined == planted.quarantined()[0]


def test_the_export_is_a_new_file_that_only_its_owner_reads(planted: Lake, tmp_path: Path) -> None:
    output = tmp_path / "ann.jsonl"
    assert main(["export", "--user", ANN, "--output", str(output)]) == 0
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    before = output.read_bytes()
    assert main(["export", "--user", "bob", "--output", str(output)]) == 2
    assert output.read_bytes() == before
    assert [path.name for path in tmp_path.glob(".ann*")] == []


def test_without_a_file_it_goes_to_stdout(
    planted: Lake, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["export", "--anonymous", "a1", "--session", "s1"]) == 0
    found = [msgspec.json.decode(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert sorted(row["interaction_type"] for row in found) == [
        "ai_conversation", "ai_conversation", "page_view", "page_view",
    ]  # fmt: skip


def test_parquet_has_the_columns_of_the_table(planted: Lake, tmp_path: Path) -> None:
    output = tmp_path / "ann.parquet"
    assert main(["export", "--user", ANN, "--format", "parquet", "--output", str(output)]) == 0
    with duckdb.connect() as con:
        found = con.execute(f"SELECT interaction_type, user_id, browser FROM '{output}'")
        rows = found.fetchall()
    assert len(rows) == 6
    assert {row[1] for row in rows} == {ANN}


def test_parquet_needs_a_file(planted: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--user", ANN, "--format", "parquet"]) == 2
    assert "--output" in capsys.readouterr().err


def test_whoever_is_not_there_has_an_empty_export(planted: Lake, tmp_path: Path) -> None:
    output = tmp_path / "nobody.jsonl"
    assert main(["export", "--user", "nobody", "--output", str(output)]) == 0
    assert output.read_bytes() == b""
