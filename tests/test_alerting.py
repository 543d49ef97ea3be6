"""The keeper's task that watches: when it starts its child, and what that leaves."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from alert_lake import DAY, HOUR, START, settings_of, spread, written
from conftest import Lake, wait_until
from lakeward.alerts.memory import opened
from lakeward.alerts.overview import watched
from lakeward.cli import main
from lakeward.cli.alerting import SETTLE_MS, Alerting, watch
from lakeward.cli.run import tasks

NOON = START + 12 * HOUR
DIGEST = """[watch]
series = []
[[tell]]
by = "webhook"
url_env = "OPS_HOOK_URL"
[digest]
by = ["webhook"]
"""


class Clock:
    """Two clocks that the test sets."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.ms = NOON + SETTLE_MS

    def later(self, seconds: float) -> None:
        self.seconds += seconds
        self.ms += round(seconds * 1000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def task(lake: Lake, clock: Clock) -> Iterator[Alerting]:
    written(lake, list(spread(START, NOON, HOUR, lambda _: 30, "a", interaction_type="page_view")))
    made = Alerting(lake.open(), lake.ring_dir, settings_of(lake), lambda: clock.seconds,
                    lambda: clock.ms)  # fmt: skip
    yield made
    made.close()


def starts(task: Alerting, monkeypatch: pytest.MonkeyPatch, code: int = 0) -> list[float]:
    """When children were started, each of which ends at once with this code."""
    found: list[float] = []

    def started(_: object, *arguments: str, environ: object = None) -> int:
        del arguments, environ
        found.append(task._now())
        return os.spawnv(os.P_NOWAIT, "/bin/sh", ["sh", "-c", f"exit {code}"])

    monkeypatch.setattr("lakeward.cli.child.start", started)
    return found


def live(task: Alerting, clock: Clock, seconds: int) -> None:
    """The keeper's loop for so long; children end in no time."""
    for _ in range(seconds):
        task.step(None)
        wait_until(lambda: _ended(task), what="the child's end")
        clock.later(1.0)


def _ended(task: Alerting) -> bool:
    if not task._child:
        return True
    pid = task._child._pid
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def test_a_child_is_started_for_each_five_minutes_and_not_in_the_first_one(
    task: Alerting, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = starts(task, monkeypatch)
    first = clock.seconds
    live(task, clock, 1000)
    assert [round(at - first) for at in began] == [60, 300, 600, 900]


def test_one_that_fails_is_started_again_after_a_pause(
    task: Alerting, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = starts(task, monkeypatch, code=1)
    first = clock.seconds
    live(task, clock, 280)
    assert [round(at - first) for at in began] == [60, 121, 242]


@pytest.mark.parametrize(
    ("rules", "said"),
    [("[watch]\nseries = []", ""), ("[wach]", "nothing is watched: "), (DIGEST, None)],
)
def test_where_nothing_is_to_be_done_no_child_is_started(
    lake: Lake, task: Alerting, clock: Clock, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, rules: str, said: str | None,
) -> None:  # fmt: skip
    (lake.root.parent / "alerts.toml").write_text(rules)
    began = starts(task, monkeypatch)
    with caplog.at_level(logging.ERROR, "lakeward.alerts"):
        live(task, clock, 70)
    (lake.root.parent / "alerts.toml").write_text("")
    before = len(began)
    live(task, clock, 300)
    assert len(began) == before + 1, "the file was mended"
    assert bool(before) == (said is None)
    assert len(caplog.records) == bool(said), "once"
    assert (said or "") in caplog.text


def test_the_child_of_a_keeper_looks_at_its_lake(lake: Lake, task: Alerting, clock: Clock) -> None:
    """A real process with the clock of today: what is in the lake is long ago."""
    del clock
    words = (str(lake.root), str(lake.root.parent), str(lake.ring_dir))
    task._child.start(*words)
    wait_until(lambda: task._child.reaped(0.0) == 0, 120, "its end")
    shown = watched(lake.open())
    assert shown.judged_until is not None
    assert shown.series == (), "nothing has come for two weeks"
    assert list((lake.root / ".lakeward/scratch").iterdir()) == []


def test_doctor_says_how_watching_goes(
    lake: Lake, task: Alerting, capsys: pytest.CaptureFixture[str]
) -> None:
    del task
    command = ["doctor", "--lake", str(lake.root)]
    main(command)
    assert "watched   nobody has watched this lake yet" in capsys.readouterr().out
    watch(lake.open(), settings_of(lake), now_ms=NOON + SETTLE_MS)
    main([*command, "--format", "json"])
    assert json.loads(capsys.readouterr().out)["alerts"] == {
        "watched": 1, "wrong": 0, "left_out": 0, "rare": 0,
        "judged_until": "2025-11-10T12:00:00.000Z", "refused": "",
        "other_version": False,
    }  # fmt: skip


def test_doctor_says_what_is_wrong_with_the_file(
    lake: Lake, task: Alerting, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    del task
    monkeypatch.chdir(lake.root.parent)
    Path("alerts.toml").write_text("[watch]\nmost = 0")
    main(["doctor", "--lake", str(lake.root)])
    said = capsys.readouterr().out
    assert "watched   nothing is watched: " in said
    assert "alerts.toml: watch: most must be from 1 to 10000" in said


def test_a_keeper_has_the_task_and_looks_that_meet_do_no_harm(lake: Lake, tmp_path: Path) -> None:
    written(lake, list(spread(START, NOON, HOUR, lambda _: 30, "a", interaction_type="page_view")))
    made = tasks(lake.open(), lake.ring_dir, settings_of(lake))
    assert any(isinstance(each, Alerting) for each in made)
    with opened(lake.open()):
        watch(lake.open(), settings_of(lake), now_ms=START + DAY)
    assert watched(lake.open()).judged_until is None
    watch(lake.open(), settings_of(lake), now_ms=NOON + SETTLE_MS)
    assert [row.series for row in watched(lake.open()).series] == ["type:page_view"]
