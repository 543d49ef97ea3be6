"""The keeper compacts by itself, in a child that takes no more memory than it may."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from deltalake import DeltaTable

from conftest import Lake, wait_until
from lakeward.cli.child import LONGEST_PAUSE
from lakeward.cli.compaction import Compaction
from lakeward.lake.progress import read_progress, waiting_bytes
from lakeward.lakedir import open_lake
from lakeward.settings import load
from test_table import Desk, line


def test_a_running_keeper_moves_the_log_into_the_table(lake: Lake) -> None:
    env = lake.process_env(LAKEWARD_COMPACT_SECONDS="0", LAKEWARD_KEEPER="external")
    keeper = subprocess.Popen([sys.executable, "-m", "lakeward.cli", "run"], env=env)
    try:
        with lake.collector(LAKEWARD_KEEPER="external") as collector:
            for n in range(50):
                collector.record("note", n=n)
            collector.commit()
        here = open_lake(lake.root)
        wait_until(lambda: read_progress(here).done.counts.added == 50, what="compaction")
        assert DeltaTable(str(lake.root / "table")).count() == 50
        assert waiting_bytes(here) == 0
    finally:
        keeper.terminate()
        keeper.wait(120)


def test_a_killed_keeper_takes_its_children_with_it(tmp_path: Path) -> None:
    """The child asks to die with its parent: no orphan goes on compacting."""
    script = (
        "import os, sys, time; from lakeward.cli.child import start;"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(start('test_compaction_child')));"
        "time.sleep(60)"
    )
    (tmp_path / "test_compaction_child.py").write_text(
        "import time\ndef child():\n    time.sleep(60)\n    return 0\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    parent = subprocess.Popen([sys.executable, "-c", script], env=env)
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: b"test_compaction_child" in Path(f"/proc/{pid}/cmdline").read_bytes())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_until(lambda: not _runs(pid), what="the child's end")


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


def test_the_child_cannot_take_more_memory_than_the_setting(tmp_path: Path) -> None:
    """The least that can be set is enforced by the system, and 100,000 lines fit into it."""
    desk = Desk(tmp_path)
    desk.log.append([line(text="x" * 400, n=n) for n in range(100_000)])
    desk.log.close()
    script = (
        "import resource, sys; from lakeward.cli.compact import child\n"
        "code = child(sys.argv[1], sys.argv[2])\n"
        "print(code, *resource.getrlimit(resource.RLIMIT_DATA))"
    )
    env = {**os.environ, "LAKEWARD_COMPACT_MEMORY": "768MiB"}
    ran = subprocess.run(
        [sys.executable, "-c", script, str(desk.lake.root), str(tmp_path)],
        env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.stdout.split() == ["0", str(768 << 20), str(768 << 20)], ran.stderr
    assert DeltaTable(str(desk.lake.root / "table")).count() == 100_000
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When a child would have been started; each fails at once."""
    times: list[float] = []

    def start(*_: str, environ: dict[str, str]) -> int:
        times.append(0.0)
        return len(environ)

    monkeypatch.setattr("lakeward.cli.child.start", start)
    monkeypatch.setattr("lakeward.cli.child.ended", lambda pid: 1)
    return times


def test_compaction_waits_until_enough_is_there_or_it_is_old(
    tmp_path: Path, started: list[float]
) -> None:
    desk = Desk(tmp_path, LAKEWARD_COMPACT_BYTES="10KiB", LAKEWARD_COMPACT_SECONDS="60")
    clock = Clock()
    task = Compaction(desk.lake, desk.settings, clock)
    task.step(None)
    desk.log.append([line()])
    for _ in range(50):
        clock.now += 1
        task.step(None)
    assert not started
    clock.now += 11
    task.step(None)
    assert len(started) == 1
    desk.log.close()


def test_a_full_tail_is_compacted_at_once_and_failures_pause_longer_each_time(
    tmp_path: Path, started: list[float]
) -> None:
    desk = Desk(tmp_path, LAKEWARD_COMPACT_BYTES="4KiB", LAKEWARD_COMPACT_SECONDS="10")
    clock = Clock()
    task = Compaction(desk.lake, desk.settings, clock)
    desk.log.append([line(n=n) for n in range(100)])
    starts: list[float] = []
    for _ in range(4000):
        before = len(started)
        task.step(None)
        if len(started) > before:
            starts.append(clock.now)
        clock.now += 1
    gaps = [b - a for a, b in itertools.pairwise(starts)]
    assert starts[0] == 1000.0
    assert gaps[:4] == sorted(gaps[:4])
    assert gaps[0] >= 20
    assert max(gaps) <= LONGEST_PAUSE + 2
    desk.log.close()


def test_it_is_off_when_the_setting_says_so(tmp_path: Path, started: list[float]) -> None:
    desk = Desk(tmp_path, LAKEWARD_COMPACT="false", LAKEWARD_COMPACT_SECONDS="0")
    desk.log.append([line()])
    task = Compaction(desk.lake, desk.settings, Clock())
    task.step(None)
    assert not started
    assert load({"LAKEWARD_COMPACT": "true"}, tmp_path).compact
    desk.log.close()
