"""Abandoned flows in a real lake: told by the keeper, exactly once, whatever is killed and when."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Lake, wait_until
from lakeward.cli import main
from lakeward.cli.abandonment import Abandonment, Word, derive, read, read_refused, write
from lakeward.cli.compact import compact
from lakeward.collector import Collector
from lakeward.interaction import iso, parse_iso
from lakeward.lake.reading import open_reading
from lakeward.log import Position
from lakeward.quiet import fields_of
from lakeward.ring import FULL
from lakeward.rollout import FEATURES, OUTCOMES, covers
from lakeward.settings import Settings, load

HOUR = 3_600_000
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)
DECLARED = '[flows.contractor]\nsteps = ["verify", "focus", "done"]\nquiet_seconds = 600\n'
KILLED = """
import os, signal, sys
from pathlib import Path
from lakeward.cli.abandonment import derive
from lakeward.lakedir import open_lake
from lakeward.settings import load

def pause(point):
    if point == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)

derive(open_lake(Path(sys.argv[1]), create=False), load(folder=Path(sys.argv[2])), pause=pause)
"""
POINTS = ("before look", "before record", "before commit", "before word")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def settings_of(lake: Lake, **more: str) -> Settings:
    return load({**lake.env, **more}, lake.root.parent)


def step(collector: Collector, name: str, ago_ms: int, user: str = "c1", **more: Any) -> str:
    made = collector.record(
        "flow_step", flow="contractor", step=name, user_id=user,
        timestamp=iso(now_ms() - ago_ms), **more,
    )  # fmt: skip
    assert made is not None
    return made


def told(lake: Lake) -> list[dict[str, Any]]:
    """Derived records as the log has them; a repeat is one."""
    rows = [row for row in lake.rows() if row["interaction_type"] == "flow_completion"]
    return list({r["interaction_id"]: r for r in rows if r["outcomes"].get("derived")}.values())


def in_the_table(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    settings = settings_of(lake)
    compact(lake.open(), settings)
    with open_reading(lake.open(), settings) as reading:
        return reading.con.execute(sql).fetchall()


def test_the_keeper_tells_of_a_run_that_went_quiet(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a child process of a keeper that the settings of a new user make, save the quiet time."""
    monkeypatch.setenv("LAKEWARD_FLOW_QUIET_SECONDS", "2")
    with lake.collector(LAKEWARD_FLOW_QUIET_SECONDS="2") as collector:
        first = step(collector, "verify", HOUR + 1_500, referrer="https://example.com/podcast")
        last = step(
            collector, "focus", HOUR, status="entered", user_agent=SAFARI, session_id="s1",
            partner_id="p9",
        )  # fmt: skip
        collector.commit()
        wait_until(lambda: told(lake), what="the abandonment")
        wait_until(lambda: read(lake.open()).next_ms is None, what="the word of the next look")
    (row,) = told(lake)
    began, entered = (
        next(parse_iso(r["timestamp"]) for r in lake.rows() if r["interaction_id"] == one)
        for one in (first, last)
    )
    assert row["timestamp"] == iso(entered + 2000)
    assert row["outcomes"] == {
        "flow": "contractor", "status": "abandoned", "derived": True,
        "seconds": (entered - began) / 1000,
        "steps": ["verify"], "abandoned_steps": ["focus"], "steps_completed": 1,
        "device": "mobile", "browser": "Mobile Safari",
    }  # fmt: skip
    assert row["parent_interaction_id"] == last
    assert (row["user_id"], row["session_id"], row["partner_id"]) == ("c1", "s1", "p9")
    assert row["referrer"] == "https://example.com/podcast"
    assert lake.settled().ok


def looking(lake: Lake, point: str) -> int:
    """One look by a process of its own, killed at the point; its exit code."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(lake.root), str(lake.root.parent), point],
        env=lake.process_env(), timeout=120, check=False,
    )  # fmt: skip
    return done.returncode


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_any_point_neither_loses_nor_doubles_one(lake: Lake, point: str) -> None:
    keeper = lake.collector(ENABLE_OUTCOME_TRACKING="false")  # this one's keeper derives nothing
    keeper.attach()
    with lake.collector(LAKEWARD_KEEPER="external") as collector:
        for n in range(5):
            step(collector, "verify", HOUR, user=f"c{n}")
        collector.commit()
        assert looking(lake, point) == -signal.SIGKILL
        assert looking(lake, "") == 0
        assert derive(lake.open(), settings_of(lake)) == 0
    rows = in_the_table(lake, "SELECT user_id, count(*) FROM flow_completion GROUP BY 1 ORDER BY 1")
    assert rows == [(f"c{n}", 1) for n in range(5)]
    assert in_the_table(lake, "SELECT count(*) FROM interactions") == [(10,)]
    assert lake.settled().ok


def test_two_looks_at_once_tell_of_a_run_once(lake: Lake) -> None:
    with lake.collector() as collector:
        for n in range(3):
            step(collector, "verify", HOUR, user=f"c{n}")
        collector.commit()
        looks = [
            subprocess.Popen(
                [sys.executable, "-c", KILLED, str(lake.root), str(lake.root.parent), ""],
                env=lake.process_env(),
            )
            for _ in range(2)
        ]
        assert [each.wait(timeout=120) for each in looks] == [0, 0]
    assert in_the_table(lake, "SELECT count(*) FROM flow_completion") == [(3,)]


def test_more_runs_than_one_look_tells_of_are_told_in_the_next(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lakeward.quiet.MOST", 4)
    monkeypatch.setattr("lakeward.quiet.BATCH", 3)
    with lake.collector() as collector:
        for n in range(6):
            step(collector, "verify", HOUR, user=f"c{n}")
        collector.commit()
        assert derive(lake.open(), settings_of(lake)) == 4
        assert (read(lake.open()).next_ms or 0) <= now_ms(), "at once"
        assert derive(lake.open(), settings_of(lake)) == 2
        assert read(lake.open()).next_ms is None
    assert sorted(row["user_id"] for row in told(lake)) == [f"c{n}" for n in range(6)]


HALF = {"LAKEWARD_ROLLOUT_OUTCOMES": "50"}
"""The share was lowered while runs were open: what ends them is left out."""


def out_and_in(n: int) -> tuple[list[str], list[str]]:
    """Users outside of half the share, and inside."""
    shares = tuple([5_000] * len(FEATURES))
    users = [f"c{number}" for number in range(8 * n)]
    kept = [user for user in users if covers(shares, OUTCOMES, user)]
    return [user for user in users if user not in kept][:n], kept[:n]


def counted(lake: Lake, reason: str) -> int:
    report = lake.settled()
    assert report.ok, report.faults
    return report.reasons.get(reason, 0)


def test_a_run_that_is_sampled_out_is_decided_once_and_starves_no_other(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lakeward.quiet.MOST", 4)
    out, kept = out_and_in(6)
    with lake.collector(LAKEWARD_FLOW_QUIET_SECONDS="86400") as collector:
        for n, user in enumerate(out + kept):
            step(collector, "verify", 2 * HOUR - 1000 * n, user=user)
        collector.commit()
        looks = [derive(lake.open(), settings_of(lake, **HALF)) for _ in range(5)]
        assert (sum(looks), looks[-1]) == (6, 0)
        assert read(lake.open()).next_ms is None
        assert counted(lake, "sampled") == 6
        step(collector, "focus", HOUR, user=out[0])  # this one returns: that is another run
        collector.commit()
        assert derive(lake.open(), settings_of(lake, **HALF)) == 0
        assert counted(lake, "sampled") == 7
        assert derive(lake.open(), settings_of(lake, **HALF)) == 0
        assert counted(lake, "sampled") == 7
    assert sorted(row["user_id"] for row in told(lake)) == sorted(kept)


def test_a_run_whose_end_is_quarantined_is_set_aside_once(lake: Lake) -> None:
    with lake.collector(LAKEWARD_FLOW_QUIET_SECONDS="86400") as collector:
        step(collector, "verify", HOUR)
        collector.commit()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "lakeward.quiet.fields_of",
                lambda run, flows: fields_of(run, flows) | {"seconds": -1.0},
            )
            for _ in range(3):
                assert derive(lake.open(), settings_of(lake)) == 0
        assert len(lake.quarantined()) == 1
        assert len(read_refused(lake.open())) == 1
        step(collector, "verify", 2 * HOUR, user="c2")
        collector.record("flow_completion", flow="contractor", user_id="c1")
        collector.commit()
        assert derive(lake.open(), settings_of(lake)) == 1
        assert read_refused(lake.open()) == [], "the run was ended by its app"
        assert not (lake.root / ".lakeward" / "quiet-refused.json").exists()


def test_a_run_that_found_no_room_is_offered_again(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lake.collector(LAKEWARD_FLOW_QUIET_SECONDS="86400") as collector:
        step(collector, "verify", HOUR)
        collector.commit()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("lakeward.ring.Ring.append", lambda *_, **__: FULL)
            assert derive(lake.open(), settings_of(lake)) == 0
        next_ms = read(lake.open()).next_ms
        assert next_ms is not None
        assert next_ms <= now_ms(), "at once"
        assert derive(lake.open(), settings_of(lake)) == 1


@pytest.mark.parametrize("off", ["ENABLE_OUTCOME_TRACKING", "ENABLE_DATA_COLLECTION"])
def test_what_was_switched_off_meanwhile_offers_nothing_until_it_is_on_again(
    lake: Lake, off: str
) -> None:
    with lake.collector(LAKEWARD_FLOW_QUIET_SECONDS="86400") as collector:
        step(collector, "verify", HOUR)
        collector.commit()
        for _ in range(2):
            assert derive(lake.open(), settings_of(lake, **{off: "false"})) == 0
        assert counted(lake, "disabled") == 0
        assert (read(lake.open()).next_ms or 0) > now_ms()
        assert derive(lake.open(), settings_of(lake)) == 1


def test_a_run_that_went_on_within_a_backlog_is_not_abandoned(lake: Lake) -> None:
    (lake.root.parent / "flows.toml").write_text(DECLARED)
    with lake.collector() as collector:
        for minutes in (80, 72, 64, 56):  # each pause is shorter than ten minutes
            step(collector, "verify", minutes * 60_000)
        step(collector, "focus", 5 * 60_000, user="c2")  # and this one may go on
        collector.record("flow_completion", flow="contractor", user_id="c1",
                         timestamp=iso(now_ms() - 50 * 60_000))  # fmt: skip
        collector.commit()
        assert derive(lake.open(), settings_of(lake)) == 0
        word = read(lake.open())
        assert word.next_ms is not None
        assert 4 * 60_000 < word.next_ms - now_ms() < 6 * 60_000


def test_who_returns_after_an_abandonment_is_counted_again(lake: Lake) -> None:
    (lake.root.parent / "flows.toml").write_text(DECLARED)
    with lake.collector() as collector:
        step(collector, "verify", 10 * HOUR)
        collector.commit()
        assert derive(lake.open(), settings_of(lake)) == 1
        compact(lake.open(), settings_of(lake))
        assert derive(lake.open(), settings_of(lake)) == 0, "the table ends the run as the log did"
        step(collector, "focus", 5 * HOUR)
        collector.commit()
        assert derive(lake.open(), settings_of(lake)) == 1
    assert [row["outcomes"]["abandoned_steps"] for row in told(lake)] == [["focus"], ["done"]]
    assert {row["outcomes"]["steps_total"] for row in told(lake)} == {3}


def test_the_view_shows_each_run_to_whoever_asks(
    lake: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in lake.env.items():
        monkeypatch.setenv(name, value)
    with lake.collector() as collector:
        step(collector, "verify", 2 * HOUR, user="c1")
        step(collector, "verify", 1_000, user="c2")
        collector.record("flow_completion", flow="contractor", user_id="c3")
        collector.commit()
        derive(lake.open(), settings_of(lake))
    sql = "SELECT person, status, derived, steps FROM flow_runs ORDER BY person"
    assert main(["query", sql, "--format", "json"]) == 0
    assert [tuple(row.values()) for row in json.loads(capsys.readouterr().out)] == [
        ("c1", "abandoned", True, 1), ("c2", "running", False, 1), ("c3", "completed", False, 0),
    ]  # fmt: skip


def test_nothing_is_told_of_a_person_who_was_erased(lake: Lake) -> None:
    with lake.collector() as collector:
        step(collector, "verify", HOUR, user="ann-7c1e9f", session_id="ann-session")
        step(collector, "verify", HOUR, user="bob")
        collector.commit()
        derive(lake.open(), settings_of(lake))
        assert len(told(lake)) == 2
        compact(lake.open(), settings_of(lake))
        erase = ["erase", "--user", "ann-7c1e9f", "--yes", "--lake", str(lake.root)]
        assert main(erase) == 0
        assert derive(lake.open(), settings_of(lake)) == 0
        collector.commit()
    assert [row["user_id"] for row in told(lake)] == ["bob"]
    left = [
        path
        for path in lake.root.rglob("*")
        if path.is_file() and b"ann-7c1e9f" in path.read_bytes()
    ]
    assert left == []


# The keeper's task


class Times:
    """A clock of seconds and one of milliseconds that the test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> float:
        return self.seconds

    def now_ms(self) -> int:
        return now_ms() + round(self.seconds * 1000) - 1_000_000


def stepped(task: Abandonment, times: Times, seconds: float) -> None:
    until = times.seconds + seconds
    while times.seconds < until:
        task.step(None)
        times.seconds += 0.5


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Children that were asked for; none is made."""
    asked: list[tuple[str, ...]] = []

    def start(*words: str, environ: object = None) -> int:
        asked.append(words)
        return 1 << 30

    monkeypatch.setattr("lakeward.cli.child.start", start)
    monkeypatch.setattr("lakeward.cli.child.ended", lambda pid: None)
    return asked


def task_of(lake: Lake, times: Times, **more: str) -> Abandonment:
    return Abandonment(
        lake.open(), lake.ring_dir, settings_of(lake, **more), times.now, times.now_ms
    )


def test_where_nothing_tells_of_flows_no_child_is_started(
    lake: Lake, started: list[tuple[str, ...]]
) -> None:
    times = Times()
    with lake.collector() as collector:
        collector.record("partner_match", partner_id="p1")
        collector.commit()
        task = task_of(lake, times)
        stepped(task, times, 3600)
        assert started == []
        step(collector, "verify", 0)
        collector.commit()
        stepped(task, times, 440)
        assert started == [], "what has just begun is not quiet yet"
        stepped(task, times, 20)
        assert len(started) == 1
        assert read(lake.open()).next_ms == 0
    again = task_of(lake, times)  # the keeper was killed meanwhile
    stepped(again, times, 1)
    assert len(started) == 2


@pytest.mark.parametrize("off", ["ENABLE_OUTCOME_TRACKING", "ENABLE_DATA_COLLECTION"])
def test_where_outcomes_are_switched_off_nothing_is_derived(
    lake: Lake, started: list[tuple[str, ...]], off: str
) -> None:
    times = Times()
    with lake.collector() as collector:
        step(collector, "verify", HOUR)
        collector.commit()
        stepped(task_of(lake, times, **{off: "false"}), times, 3600)
    assert started == []


def test_a_broken_declaration_stops_this_task_and_nothing_else(
    lake: Lake, started: list[tuple[str, ...]], caplog: pytest.LogCaptureFixture
) -> None:
    (lake.root.parent / "flows.toml").write_text("[flows.a]\nsteps = 3\n")
    times = Times()
    with lake.collector() as collector:
        step(collector, "verify", HOUR)
        collector.commit()
        stepped(task_of(lake, times), times, 3600)
    assert started == []
    assert "no abandonment is derived" in caplog.text
    assert "flows.a.steps must be a list of names" in caplog.text
    assert len(lake.rows()) == 1


def test_a_child_that_fails_is_started_again_ever_later(
    lake: Lake, started: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    times = Times()
    with lake.collector() as collector:
        collector.commit()
    write(lake.open(), Position(), 0)
    code: Callable[[int], int] = lambda pid: 1  # noqa: E731
    monkeypatch.setattr("lakeward.cli.child.ended", code)
    task = task_of(lake, times, LAKEWARD_FLOW_QUIET_SECONDS="8")
    stepped(task, times, 61)
    assert 4 <= len(started) <= 5  # after 0, 4, 12, 28 and 60 seconds


def test_a_stop_does_not_wait_for_a_child_that_does_not_hear(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = subprocess.Popen(
        [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
         "\nprint('deaf', flush=True)\ntime.sleep(60)"],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert deaf.stdout is not None
    assert deaf.stdout.readline() == b"deaf\n"
    monkeypatch.setattr("lakeward.cli.child.start", lambda *_, **__: deaf.pid)
    with lake.collector() as collector:
        collector.commit()
    write(lake.open(), Position(), 0)
    times = Times()
    task = task_of(lake, times)
    stepped(task, times, 1)

    def sleep(seconds: float) -> None:
        raise AssertionError("the stop waited for the child")

    with monkeypatch.context() as patch:
        patch.setattr("lakeward.cli.child.time.sleep", sleep)
        task.close()
    with pytest.raises(ProcessLookupError):
        os.kill(deaf.pid, 0)
    deaf.wait(120)
    deaf.stdout.close()


def test_the_word_of_another_epoch_or_a_damaged_one_is_the_beginning(lake: Lake) -> None:
    with lake.collector() as collector:
        collector.commit()
    home = lake.open()
    epoch = home.identity.epoch
    write(home, Position(epoch, 3, 90), 17)
    assert read(home) == Word(epoch, 3, 90, 17)
    write(home, Position(epoch + 1, 3, 90), 17)
    assert read(home) == Word()
    (home.private / "quiet.json").write_text("{")
    assert read(home) == Word()


def test_the_file_of_the_task_holds_numbers_only(lake: Lake) -> None:
    with lake.collector() as collector:
        step(collector, "verify", 0, user="ann-7c1e9f")
        collector.commit()
        derive(lake.open(), settings_of(lake))
    content = json.loads((Path(lake.root) / ".lakeward" / "quiet.json").read_text())
    assert all(isinstance(value, int) for value in content.values())
