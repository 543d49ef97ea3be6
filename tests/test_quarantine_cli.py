"""`lakeward quarantine list`: what was set aside, found by what people know of it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import Any

import msgspec
import pytest

from conftest import Lake
from lakeward.person import Person
from lakeward.quarantine import Selection, brought_back, entries, mark, newest
from lakeward.removal import LogEraser
from test_cli import lakeward

ESC = "\x1b[31m"


@pytest.fixture
def filled(lake: Lake) -> Lake:
    """Three bookings, a deal and an unreadable body, in that order."""
    collector = lake.collector()
    for n in range(3):
        collector.record("demo_booking", status="later", n=n, user_id="ann")
    collector.record("deal_closed", value="much", user_id="bob")
    collector.quarantine("undecodable", note=f"the body{ESC} of a request", raw=b"{")
    collector.commit()
    collector.close()
    return lake


def listed(lake: Lake, *arguments: str) -> list[dict[str, Any]]:
    done = lakeward(lake, "quarantine", "list", "--format", "json", *arguments)
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = msgspec.json.decode(done.stdout)["quarantine"]
    return rows


def test_the_newest_entries_come_first_with_their_reason(filled: Lake) -> None:
    rows = listed(filled)
    assert [row.get("interaction_type") for row in rows] == [
        None, "deal_closed", "demo_booking", "demo_booking", "demo_booking"
    ]  # fmt: skip
    assert [row["record"]["n"] for row in rows[2:]] == [2, 1, 0]
    assert rows[0]["reason"] == "undecodable"
    assert rows[0]["bytes"] == 1
    assert "`status` must be one of" in rows[2]["reason"]
    assert not any(row["replayed"] for row in rows)


def test_entries_are_found_by_type_reason_day_time_and_id(filled: Lake) -> None:
    rows = listed(filled)
    assert len(listed(filled, "--type", "demo_booking")) == 3
    assert len(listed(filled, "--type", "demo")) == 0
    assert len(listed(filled, "--reason", "MUST BE ONE OF")) == 3
    assert len(listed(filled, "--follower", "s3")) == 0
    assert len(listed(filled, "--date", "1999-12-31")) == 0
    assert listed(filled, "--date", rows[0]["quarantined_at"][:10]) == rows
    assert listed(filled, "--since", rows[0]["quarantined_at"])[0] == rows[0]
    assert listed(filled, "--since", "2099-01-01") == []
    two = [rows[1]["quarantine_id"], rows[3]["quarantine_id"].upper()]
    assert listed(filled, "--id", two[0], "--id", two[1]) == [rows[1], rows[3]]
    assert listed(filled, "-n", "2") == rows[:2]
    assert listed(filled, "-n", "0") == []


@pytest.mark.parametrize("flag", ["--date", "--since"])
def test_a_day_or_time_that_is_none_is_one_sentence(filled: Lake, flag: str) -> None:
    done = lakeward(filled, "quarantine", "list", flag, "soon")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"lakeward: {flag}: 'soon' is no ")


def test_the_table_names_what_happened_and_steers_no_terminal(filled: Lake) -> None:
    mark(filled.open(), [listed(filled)[1]["quarantine_id"]], "2026-01-01T00:00:00.000Z")
    done = lakeward(filled, "quarantine", "list")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["SET", "ASIDE", "ID", "TYPE", "REASON"]
    assert len(lines) == 6
    assert "undecodable (the body\N{REPLACEMENT CHARACTER}[31m of a request)" in lines[1]
    assert "replayed; deal_closed refused" in lines[2]
    assert ESC not in done.stdout


def test_an_empty_quarantine_says_so(lake: Lake) -> None:
    collector = lake.collector()
    collector.record("hello")
    collector.commit()
    done = lakeward(lake, "quarantine", "list")
    assert done.stdout == "nothing of the kind is in the quarantine\n"
    assert listed(lake) == []


def test_entries_of_several_files_are_read_newest_first(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_SEGMENT_BYTES="4KiB")
    for n in range(40):
        collector.record("demo_booking", status="later", n=n)
        if n % 5 == 4:
            collector.commit()
    assert len(list(lake.root.rglob("quarantine*.jsonl"))) > 1
    found = newest(lake.open(), Selection(), 30)
    assert [entry.record["n"] for entry in found] == list(range(39, 9, -1))
    assert [e.record["n"] for e in entries(lake.open(), Selection())] == list(range(40))


def test_who_was_erased_is_not_listed(filled: Lake) -> None:
    assert LogEraser(filled.open(), "quarantine").erase(Person("user_id", "ann")).records == 3
    assert len(listed(filled)) == 2


def test_a_mark_behind_a_torn_line_counts(filled: Lake) -> None:
    lake = filled.open()
    mark(lake, ["a"], "2026-01-01T00:00:00.000Z")
    path = lake.private / "replays.jsonl"
    path.write_bytes(path.read_bytes() + b'{"quarantine_id":"b","at')
    assert brought_back(lake) == {"a"}
    mark(lake, ["c"], "2026-01-01T00:00:00.000Z")
    assert brought_back(lake) == {"a", "c"}


def test_a_terminal_gets_lines_of_its_width(filled: Lake) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "lakeward.cli", "quarantine", "list"], stdout=theirs,
        env=filled.process_env(COLUMNS="120"), cwd=filled.root.parent, timeout=120, check=False,
    )  # fmt: skip
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.returncode == 0
    assert max(map(len, shown.splitlines())) == 120
    assert "…" in shown
