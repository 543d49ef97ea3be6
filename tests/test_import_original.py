"""The original system's lake comes in whole and once: its names, its nulls, its sessions."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from conftest import Lake
from lakeward.cli.intake.original import LARGEST, days, opened, translated
from lakeward.errors import Terminal

SEED = {
    "interaction_id": "b3b1e2a0-6d0c-4a57-9d4e-0b8f3f0f2a11",
    "timestamp": "2025-08-14T16:11:28.677Z",
    "environment": "development",
    "app_version": "1.0.0",
    "interaction_type": "api_call",
    "method": "GET",
    "path": "/api/partners",
    "user_id": "anonymous",
    "user_type": "unknown",
    "response_status": 401,
    "response_time_ms": 8,
    "ip_address": "::1",
    "user_agent": "curl/8.8.0",
    "session_id": "0d6c2e3c-8f0a-4b52-8d59-0f6ac1f1a001",
}
"""A record as the original's own description shows it."""
Row = dict[str, Any]


class Original:
    """A lake as the original system wrote it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def day(self, number: int) -> Path:
        folder = self.root / f"raw/year=2025/month=08/day={number:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def put(self, number: int, *, summary: bool = True, alone: bool = True, **fields: Any) -> str:
        """One record: in the day's streaming file, in a pretty file of its own, or both."""
        record = {**SEED, "interaction_id": str(uuid.uuid4()),
                  "timestamp": f"2025-08-{number:02d}T16:11:28.677Z", **fields}  # fmt: skip
        day = self.day(number)
        if summary:
            with (day / "daily_summary.jsonl").open("a") as file:
                file.write(json.dumps(record) + "\n")
        if alone:
            path = day / f"{record['interaction_id']}.json"
            path.write_text(json.dumps(record, indent=2))
        return str(record["interaction_id"])


@pytest.fixture
def original(tmp_path: Path) -> Original:
    return Original(tmp_path / "original")


def imported(lake: Lake, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lakeward.cli", "import", *words, "--format", "json"]
    return subprocess.run(
        command, env=lake.process_env(), capture_output=True, text=True, check=False,
        cwd=lake.root.parent,
    )  # fmt: skip


def test_the_whole_lake_comes_in_each_interaction_once(lake: Lake, original: Original) -> None:
    for n in range(5):
        original.put(14, response_time_ms=n)
    original.put(14, summary=False, path="/only/alone")
    original.put(15, alone=False, path="/only/streamed")
    done = imported(lake, "--as", "original", str(original.root))
    assert done.returncode == 0, done.stderr
    files = json.loads(done.stdout)["files"]
    assert [(one["name"], one["recorded"]) for one in files] == [
        ("year=2025/month=08/day=14", 6), ("year=2025/month=08/day=15", 1),
    ]  # fmt: skip
    rows = lake.rows()
    assert len({row["interaction_id"] for row in rows}) == 7
    assert {row["path"] for row in rows} == {"/api/partners", "/only/alone", "/only/streamed"}
    assert {row["timestamp"] for row in rows} == {
        "2025-08-14T16:11:28.677Z", "2025-08-15T16:11:28.677Z"
    }  # fmt: skip
    kept = {k: v for k, v in SEED.items() if k not in ("interaction_id", "timestamp", "path",
                                                       "response_time_ms")}  # fmt: skip
    for row in rows:
        assert {name: row[name] for name in kept} == kept


def test_a_second_import_adds_nothing_and_a_day_that_grew_its_new_ones(
    lake: Lake, original: Original
) -> None:
    original.put(14)
    assert imported(lake, "--as", "original", str(original.root)).returncode == 0
    again = json.loads(imported(lake, "--as", "original", str(original.root)).stdout)
    assert [one["state"] for one in again["files"]] == ["skipped"]
    original.put(14)
    grown = imported(lake, "--as", "original", str(original.day(14)))
    assert grown.returncode == 0, grown.stderr
    assert len({row["interaction_id"] for row in lake.rows()}) == 2


def test_nulls_sessions_and_names_are_said_in_our_words(lake: Lake, original: Original) -> None:
    original.put(14, session_id=None, user_id="u7", partner_id=None, outcomes={"status": None},
                 metadata={"session_id": "s-17", "plan": "pro", "campaign": None})  # fmt: skip
    day = original.day(14)
    (day / "odd.json").write_text(json.dumps({
        "interactionId": "odd-1", "timestamp": "2025-08-14T10:00:00Z", "userId": "u8",
        "interactionType": "page_view", "path": "/p", "userAgent": "x/1", "sessionId": "s-18",
        "responseTime": 12, "colourOfDoor": "red",
    }))  # fmt: skip
    done = imported(lake, "--as", "original", str(original.root))
    assert done.returncode == 0, done.stderr
    rows = {row["user_id"]: row for row in lake.rows()}
    assert rows["u7"]["session_id"]
    assert "partner_id" not in rows["u7"]
    assert rows["u7"]["metadata"] == {"plan": "pro"}
    assert rows["u8"]["interaction_type"] == "page_view"
    assert rows["u8"]["response_time_ms"] == 12
    assert rows["u8"]["session_id"]
    assert "red" in json.dumps(rows["u8"])


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"a": None, "path": "/x"}, {"path": "/x"}),
        ({"metadata": {"session_id": "s"}}, {"session_id": "s"}),
        ({"metadata": {"sessionId": "s", "x": 1}}, {"session_id": "s", "metadata": {"x": 1}}),
        ({"session_id": "mine", "metadata": {"session_id": "other"}}, {"session_id": "mine"}),
        ({"session_id": None, "metadata": {"session_id": None}}, {}),
        ({"userId": "u", "user_id": "v"}, {"userId": "u", "user_id": "v"}),
        ({"statusCode": 404, "ip": "::1"}, {"response_status": 404, "ip_address": "::1"}),
        ({"outcomes": {"a": None, "b": {"c": None, "d": 0}}}, {"outcomes": {"b": {"d": 0}}}),
        ({"messages": [None, {"a": None}]}, {"messages": [None, {"a": None}]}),
    ],
)
def test_each_word_is_translated_and_nothing_is_lost(given: Row, wanted: Row) -> None:
    assert translated(given) == wanted


def test_what_is_broken_is_set_aside_and_counted(lake: Lake, original: Original) -> None:
    original.put(14)
    day = original.day(14)
    (day / "torn.json").write_text('{"interaction_id": "torn", "path": "/a')
    (day / "empty.json").write_text("")
    (day / "large.json").write_text('{"x": "' + "y" * LARGEST + '"}')
    with (day / "daily_summary.jsonl").open("a") as file:
        file.write('{"interaction_id": "half')
    done = imported(lake, "--as", "original", str(original.root))
    (report,) = json.loads(done.stdout)["files"]
    assert report["recorded"] == 1
    assert report["quarantined"] == 3
    assert len(lake.rows()) == 1


def test_lines_that_end_without_an_end_do_not_run_into_the_next_file(original: Original) -> None:
    day = original.day(14)
    (day / "daily_summary.jsonl").write_text('{"interaction_id": "a"}')
    (day / "daily_summary-0001.jsonl").write_text('{"interaction_id": "b"}\n')
    (day / "a.json").write_text('{"interaction_id": "a"}')
    (day / "c.json").write_text('{\n  "interaction_id": "c"\n}')
    with opened(day) as file:
        said = [json.loads(line)["interaction_id"] for line in file.read().splitlines()]
    assert said == ["b", "a", "c"]


def test_a_folder_without_days_is_named(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(Terminal, match="has no days such as"):
        days(str(tmp_path / "nothing"))
    done = imported(lake, "--as", "original", str(tmp_path / "nothing"))
    assert done.returncode == 2
    assert "has no days such as" in done.stderr
