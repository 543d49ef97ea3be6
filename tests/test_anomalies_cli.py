"""`lakeward anomalies`: CSV in, CSV out, and one sentence for what cannot be read."""

from __future__ import annotations

import csv
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from anomaly_kinds import made
from lakeward.cli import main

HEAD = "timestamp,value,anomaly_score,label"


def written(path: Path, rows: int = 1_200, head: str = "timestamp,value\n") -> list[list[str]]:
    """A series as people keep it; its rows."""
    series = made("latency", 11)
    lines = [
        [datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S"), f"{value:.4f}"]
        for time, value in zip(series.times[:rows], series.values, strict=False)
    ]
    path.write_text(head + "".join(f"{time},{value}\n" for time, value in lines))
    return lines


def judged(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[list[str]]:
    assert main(["anomalies", *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == HEAD
    return list(csv.reader(lines[1:]))


def test_each_row_comes_back_with_a_score_and_a_label(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = written(path := tmp_path / "series.csv", 4_000)
    found = judged(capsys, "--csv", str(path))
    assert [row[:2] for row in found] == rows
    assert all(0.0 <= float(row[2]) <= 1.0 for row in found)
    assert {row[3] for row in found} == {"0", "1"}
    assert all((float(row[2]) >= 0.4) or row[3] == "0" for row in found)


def test_a_row_depends_on_no_later_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(path := tmp_path / "whole.csv", 2_400)
    whole = judged(capsys, "--csv", str(path))
    for rows in (1, 23, 24, 97, 1_537):
        written(path, rows)
        assert judged(capsys, "--csv", str(path)) == whole[:rows]


def test_a_header_may_be_missing_or_name_the_columns_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = written(path := tmp_path / "series.csv", 60)
    expected = judged(capsys, "--csv", str(path))
    written(path, 60, head="")
    assert judged(capsys, "--csv", str(path)) == expected
    path.write_text(
        "\ufeffhost;value;time\r\n" + "".join(f"a;{value};{time}\r\n" for time, value in rows)
    )
    assert judged(capsys, "--csv", str(path)) == expected


def test_milliseconds_seconds_and_row_numbers_are_clocks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    series = made("latency", 11)
    labels = []
    for form in ("{0:.0f}", "{1:.0f}"):
        path = tmp_path / "series.csv"
        path.write_text("".join(
            form.format(time, time * 1000) + f",{value}\n"
            for time, value in zip(series.times[:900], series.values, strict=False)
        ))  # fmt: skip
        labels.append([row[2:] for row in judged(capsys, "--csv", str(path))])
    assert labels[0] == labels[1]
    path.write_text("".join(f"{i},{i % 3}\n" for i in range(200)))
    assert len(judged(capsys, "--csv", str(path))) == 200


def test_standard_input_is_a_dash_and_is_answered_row_by_row() -> None:
    command = [sys.executable, "-m", "lakeward.cli", "anomalies", "--csv", "-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("timestamp,value\n2014-07-01 00:00:00,5\n")
        process.stdin.flush()
        process.stdin.write("2014-07-01 00:05:00,6\n")
        process.stdin.close()
        assert process.stdout.read().splitlines()[0] == HEAD
    assert process.returncode == 0


def test_a_missing_value_is_a_row_without_a_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path := tmp_path / "holes.csv").write_text("1,5\n2,\n3,NaN\n\n4,6\n")
    found = judged(capsys, "--csv", str(path))
    assert [row[0] for row in found] == ["1", "2", "3", "4"]
    assert [row[2:] for row in found[1:3]] == [["0", "0"]] * 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("timestamp,value\n1,2\n2,abc\n", "line 3: 'abc' is no number"),
        ("1,2\nnever,3\n", "line 2: timestamp: 'never' is no moment"),
        ("1,2\n3\n", "line 2: 1 columns"),
        ("1,2\n\xff,3\n", "is no UTF-8 text"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, sentence: str
) -> None:
    (path := tmp_path / "bad.csv").write_bytes(text.encode("latin-1"))
    assert main(["anomalies", "--csv", str(path)]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_a_missing_file_and_a_wrong_option_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, sentence in (
        (["--csv", str(tmp_path / "no.csv")], "no.csv"),
        (["--csv", "-", "--season", "fortnight"], "`season`"),
        (["--csv", "-", "--exclude", "2014"], "--exclude takes START/END"),
    ):
        assert main(["anomalies", *arguments]) == 2
        error = capsys.readouterr().err
        assert sentence in error
        assert error.count("\n") == 1


def test_excluded_ranges_and_directions_reach_the_detector(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"{i},{100 + i % 5}" for i in range(600)] + ["600,500", "601,102"]
    (path := tmp_path / "series.csv").write_text("\n".join(lines))
    for more, label in (
        ([], "1"),
        (["--direction", "down"], "0"),
        (["--exclude", "600/601"], "0"),
        (["--min-volume", "900"], "0"),
    ):
        assert judged(capsys, "--csv", str(path), *more)[600][3] == label, more
