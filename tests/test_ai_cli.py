"""`lakeward ai` as a shell runs it: every verb and format, and what it says of what is missing."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from conftest import Lake
from lakeward.cli import main
from lakeward.cli.span import moment, only
from lakeward.errors import Terminal
from lakeward.interaction import iso

START_MS = 1_755_187_888_000
HOUR_MS = 3_600_000


def ask(lake: Lake, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lakeward.cli", "ai", *arguments]
    return subprocess.run(command, env=lake.process_env(**env), cwd=lake.root.parent,
                          capture_output=True, text=True, timeout=120)  # fmt: skip


def rows(lake: Lake, *arguments: str) -> list[dict[str, Any]]:
    """The answer in JSON, of a command that runs in this process."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert main(["ai", *arguments, "--lake", str(lake.root), "--format", "json"]) == 0
    found: list[dict[str, Any]] = json.loads(said.getvalue())
    return found


@pytest.fixture
def told(lake: Lake) -> Lake:
    """Three turns of two conversations, their ratings, and a deal."""
    collector = lake.collector()

    def turn(hours: int, **fields: Any) -> str | None:
        return collector.record(
            "ai_conversation", timestamp=iso(START_MS + hours * HOUR_MS), provider="openai",
            feature="coach", **fields,
        )  # fmt: skip

    first = turn(
        0, user_id="u1", conversation_id="c5", turn=0, model_answered="gpt-4o", status="completed",
        input_tokens=86, cache_read_tokens=17817, output_tokens=188, total_tokens=18091,
        tokens_source="reported", cost_usd=0.02436625, duration_ms=2140.7,
        time_to_first_token_ms=310, messages=[
            {"role": "user", "content": "How do I price\na retainer?\x1b[31m"},
            {"role": "assistant", "content": [{"type": "text", "text": "Start from the hours."},
                                              {"type": "image_url"}],
             "tool_calls": [{"id": "1", "function": {"name": "hours", "arguments": "{}"}}]},
        ],
    )  # fmt: skip
    turn(1, user_id="u1", conversation_id="c5", turn=1, model_answered="house-1",
         status="refused", input_tokens=10, total_tokens=10, tokens_source="estimated")  # fmt: skip
    turn(30, user_id="u2", conversation_id="c6", model_requested="gpt-4o", status="failed",
         error_type="RateLimitError")  # fmt: skip
    for user, helpful in (("u1", True), ("u2", False)):
        collector.record(
            "ai_rating", parent_interaction_id=first, user_id=user, helpful=helpful,
            rating=5 if helpful else 2, reason=None if helpful else "too_long",
        )  # fmt: skip
    collector.record("deal_closed", user_id="u1", partner_id="p1", deal_id="d1", value=1.0,
                     timestamp=iso(START_MS + 40 * HOUR_MS))  # fmt: skip
    collector.commit()
    return lake


def test_cost_by_day_is_a_table_that_says_what_has_no_price(told: Lake) -> None:
    done = ask(told, "cost")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == [
        "day", "turns", "input_tokens", "cache_read_tokens", "output_tokens", "total_tokens",
        "unknown_turns", "estimated_share", "cost_usd", "unpriced_turns", "conversations",
        "cost_per_conversation_usd",
    ]  # fmt: skip
    assert lines[2].split() == [
        "2025-08-14",
        "2",
        "96",
        "17817",
        "188",
        "18101",
        "0",
        "0.5",
        "0.024366",
        "1",
        "1",
        "0.024366",
    ]
    assert lines[3].split()[:2] == ["2025-08-15", "1"]
    assert lines[4] == "(2 rows)"
    assert done.stderr.startswith("lakeward: 1 turn has no price: house-1 (1); ")


def test_without_the_extra_it_says_which_one_gives_prices(told: Lake, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util, sys\nfind = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda n, p=None: None if n == 'genai_prices' else find(n, p)\n"
    )
    path = f"{tmp_path}:{Path(__file__).parents[1] / 'src'}"
    done = ask(told, "cost", PYTHONPATH=path)
    assert done.stderr.endswith("prices need an extra: pip install 'lakeward[ai]'\n")


def test_a_price_file_that_cannot_be_read_is_what_is_said(told: Lake, tmp_path: Path) -> None:
    (tmp_path / "prices.json").write_text("{")
    done = ask(told, "cost", LAKEWARD_AI_PRICES=str(tmp_path / "prices.json"))
    assert done.returncode == 0
    assert "house-1 (1); " in done.stderr
    assert "prices.json is not TOML" in done.stderr


def test_turns_can_be_priced_later(told: Lake) -> None:
    done = ask(told, "reprice", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) >= {"turns", "unpriced"}


def test_cost_by_model_and_user_is_json_with_every_column(told: Lake) -> None:
    found = {(r["model"], r["user"]): r for r in rows(told, "cost", "--by", "model, user")}
    assert list(found) == [("gpt-4o", "u1"), ("gpt-4o", "u2"), ("house-1", "u1")]
    assert found["gpt-4o", "u1"]["cost_usd"] == 0.02436625
    assert found["gpt-4o", "u2"]["unpriced_turns"] == 0, "it failed before it cost anything"
    assert found["house-1", "u1"]["cost_usd"] is None


def test_cost_per_outcome_says_zero_where_none_followed(
    told: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    asking = ["ai", "cost", "--by", "model", "--per", "demo_held", "--lake", str(told.root)]
    assert main(asking) == 0
    lines = capsys.readouterr().out.splitlines()
    names = ["outcomes", "leading_cost_usd", "cost_per_outcome_usd"]
    assert lines[0].split()[-3:] == names
    places = [lines[0].index(name) for name in names]
    assert [line[places[0] :].split()[:2] for line in lines[2:4]] == [["0", "0.0"]] * 2


def test_cost_per_deal_is_that_of_the_turns_before_it(told: Lake) -> None:
    (row,) = rows(told, "cost", "--by", "", "--per", "deal_closed")
    assert (row["outcomes"], row["cost_per_outcome_usd"]) == (1, 0.02436625)
    (row,) = rows(told, "cost", "--by", "", "--per", "deal_closed", "--within", "1.6")
    assert (row["outcomes"], row["cost_per_outcome_usd"]) == (0, None)
    (row,) = rows(told, "cost", "--by", "", "--per", "demo_held")
    assert (row["outcomes"], row["cost_per_outcome_usd"]) == (0, None)


def test_times_and_filters_choose_what_is_asked(told: Lake) -> None:
    (row,) = rows(told, "cost", "--since", "2025-08-15", "--until", "2025-08-16")
    assert (row["day"], row["turns"]) == ("2025-08-15", 1)
    by = rows(told, "cost", "--zone", "Asia/Tokyo")
    assert [row["day"] for row in by] == ["2025-08-15", "2025-08-16"]
    (row,) = rows(told, "cost", "--only", "model=gpt-4o", "--only", "user=u1")
    assert row["turns"] == 1
    assert rows(told, "cost", "--since", "5m") == []


def test_threads_list_conversations_the_newest_first(told: Lake) -> None:
    second, first = rows(told, "threads")
    assert (second["conversation"], second["turns"], second["last_status"]) == ("c6", 1, "failed")
    assert first["models"] == "gpt-4o, house-1"
    assert (first["helpful"], first["unhelpful"], first["failed"]) == (1, 1, 1)
    assert first["first_at"] == "2025-08-14T16:11:28.000Z"
    assert len(rows(told, "threads", "--limit", "1")) == 1


def test_one_thread_is_read_with_who_said_what(told: Lake) -> None:
    done = ask(told, "threads", "--conversation", "c5")
    lines = done.stdout.splitlines()
    assert lines[0].startswith(
        "turn 0  2025-08-14T16:11:28.000Z · u1 · gpt-4o · completed · 18,091 tokens · $0.024366 · "
    )
    assert lines[1:6] == [
        "    user: How do I price",
        "          a retainer?\N{REPLACEMENT CHARACTER}[31m",
        "    assistant: Start from the hours.",
        "               [image_url]",
        "               [calls hours]",
    ]
    assert lines[7].startswith("turn 1  2025-08-14T17:11:28.000Z · u1 · house-1 · refused")
    assert lines[8] == "    (its content was not kept)"
    (first, _) = rows(told, "threads", "--conversation", "c5")
    assert first["messages"][0]["role"] == "user"


def test_ratings_latency_and_errors_are_by_model_unless_told_otherwise(told: Lake) -> None:
    (rated,) = rows(told, "ratings")
    assert (rated["model"], rated["helpful_rate"], rated["mean_rating"]) == ("gpt-4o", 0.5, 3.5)
    assert round(rated["helpful_low"], 4) == 0.0945
    reasons = {r["reason"]: r["ratings"] for r in rows(told, "ratings", "--by", "reason")}
    assert reasons == {None: 1, "too_long": 1}
    quick = {r["model"]: r["duration_p95"] for r in rows(told, "latency")}
    assert quick == {"gpt-4o": 2140.7, "house-1": None}
    ends = {r["model"]: (r["failed_rate"], r["refused_rate"]) for r in rows(told, "errors")}
    assert ends == {"gpt-4o": (0.5, 0.0), "house-1": (0.0, 1.0)}


def test_csv_has_every_column_and_exact_values(told: Lake) -> None:
    done = ask(told, "cost", "--by", "model", "--format", "csv")
    header, first, *_ = csv.reader(io.StringIO(done.stdout))
    assert dict(zip(header, first, strict=True))["cost_usd"] == "0.02436625"
    done = ask(told, "threads", "--conversation", "c5", "--format", "csv")
    assert len(list(csv.reader(io.StringIO(done.stdout)))) == 3


def test_an_empty_lake_and_a_filter_that_fits_nothing_are_told_apart(lake: Lake) -> None:
    collector = lake.collector()
    collector.record("page_view", url="https://app.example.com/")
    collector.commit()
    done = ask(lake, "ratings")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("lakeward: the lake holds no rating of an AI answer yet: docs/ai")
    assert rows(lake, "cost") == []
    collector.record("ai_conversation", conversation_id="c1", status="completed")
    collector.commit()
    done = ask(lake, "threads", "--conversation", "c2")
    assert done.stderr == "lakeward: no AI turn fits: the lake holds others\n"


def test_the_sql_is_shown_when_it_is_wanted(told: Lake) -> None:
    done = ask(told, "cost", "--only", "model=x'y", "--sql")
    assert done.stdout.startswith("WITH turn AS (SELECT")
    assert "x'y" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("cost", "--by", "colour"), "`by`: 'colour' is no dimension here: take one of hour, day"),
        (("cost", "--since", "soon"), "--since: 'soon' is no day such as 2026-11-01, no moment"),
        (("cost", "--only", "model"), "--only: 'model' must be like model=gpt-4o"),
        (("cost", "--zone", "../etc/passwd"), "--zone: '../etc/passwd' is no time zone such as"),
        (("cost", "--within", "0"), "`within_days` must be above 0 and at most 3650."),
        (("threads", "--limit", "0"), "`limit` must be 1 or more."),
    ],
)
def test_a_wrong_argument_is_one_sentence(
    told: Lake, arguments: tuple[str, ...], sentence: str
) -> None:
    done = ask(told, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"lakeward: {sentence}")
    assert done.stderr.count("\n") == 1


def test_moments_are_days_of_the_zone_moments_and_spans() -> None:
    now = datetime(2026, 11, 26, 12, tzinfo=UTC)
    lisbon = ZoneInfo("Asia/Tokyo")
    assert moment("--since", "2026-11-26", lisbon, now) == datetime(2026, 11, 25, 15, tzinfo=UTC)
    assert moment("--since", "2026-11-26T01:00:00Z", lisbon, now).hour == 1
    assert moment("--since", "36h", lisbon, now) == datetime(2026, 11, 25, 0, tzinfo=UTC)
    for text in ("999999w", "7", "", "2026-13-01"):
        with pytest.raises(Terminal):
            moment("--since", text, lisbon, now)
    assert only(["model=a", "model=b=c", "user="]) == {"model": ("a", "b=c"), "user": ("",)}
