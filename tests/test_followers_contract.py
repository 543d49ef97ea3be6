"""What every follower owes, whatever it delivers to: all of it, under the same names, through kills
and outages, with bad records set aside. A destination joins by `tests/destinations.py`."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import destinations_aws  # noqa: F401  # registers its destinations
import destinations_local  # noqa: F401
from couriers import drive, put_aside, subscription
from destinations import DESTINATIONS, Destination, Fault
from lakeward.followers import state
from lakeward.followers.cursor import Counts, CursorFile
from lakeward.followers.driver import Driver
from lakeward.interaction import iso
from lakeward.lakedir import LakeDir
from written_lakes import WrittenLog

COURIERS = Path(__file__).with_name("couriers.py")
START_MS = 1_755_187_888_677
DAY_SECONDS = 86_400.0
TRANSIENT: tuple[Fault, ...] = ("errors", "throttled", "timeout", "hang", "down")


class Clock:
    """Seconds that pass only when the driver waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Stage:
    """A lake with a log of given lines, a destination, and drivers between the two."""

    def __init__(self, log: WrittenLog, folder: Path, destination: Destination) -> None:
        self.log, self.folder, self.destination = log, folder, destination
        self.lake: LakeDir = log.lake
        self.clock = Clock()
        self.ids: list[str] = []

    def write(self, n: int, segment_ms: int = START_MS) -> None:
        """Append `n` records as the log holds them."""
        first = len(self.ids)
        rows = [record(first + i) for i in range(n)]
        self.ids += [row["interaction_id"] for row in rows]
        self.log.append([msgspec.json.encode(row) for row in rows], segment_ms)

    def driver(self) -> Driver:
        """A driver with the test's clock and no luck: the longest pause each time."""
        environ = {"LAKEWARD_INDIVIDUAL_FILES": "off", **self.destination.environ}
        made = subscription(self.lake, self.folder, self.destination.follower, environ)
        return Driver(
            self.lake, made, lambda name, lines: put_aside(self.lake, name, lines),
            clock=self.clock, chance=lambda: 1.0,
        )  # fmt: skip

    def deliver(self) -> None:
        """All there is, by a driver of its own."""
        with contextlib.closing(self.driver()) as driver:
            drive(driver)

    def arrived(self) -> list[str]:
        return sorted(row["interaction_id"] for row in self.destination.arrived())

    def counts(self) -> Counts:
        return CursorFile(self.lake, self.destination.follower).progress.counts

    def condition(self) -> state.Condition:
        return state.read(self.lake, self.destination.follower)


def record(n: int) -> dict[str, Any]:
    """A call of one of fifty users."""
    ms = START_MS + n
    time = f"{ms:012x}"
    return {
        "interaction_id": f"{time[:8]}-{time[8:]}-7{n % 4096:03x}-8000-{n:012x}",
        "timestamp": iso(ms), "environment": "test", "app_version": "1.0.0",
        "interaction_type": "api_call", "method": "GET", "path": f"/api/partners/{n}",
        "user_id": f"u{n % 50}" if n % 3 else "anonymous", "user_type": "unknown",
        "response_status": 200, "response_time_ms": 4.25, "session_id": f"s{n % 70}",
        "properties": {"text": "äöü \U0001f41f", "n": n},
    }  # fmt: skip


@contextlib.contextmanager
def staged(name: str, folder: Path) -> Iterator[Stage]:
    folder.mkdir(exist_ok=True)
    log = WrittenLog(folder / "data-lake", segment_bytes=60_000)
    with contextlib.closing(log), DESTINATIONS[name](log.lake, folder) as destination:
        yield Stage(log, folder, destination)


@pytest.fixture(params=sorted(DESTINATIONS))
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def stage(name: str, tmp_path: Path) -> Iterator[Stage]:
    with staged(name, tmp_path / "stage") as made:
        yield made


def test_everything_arrives_across_segments_and_days(stage: Stage) -> None:
    stage.write(300)
    stage.write(10, START_MS + 86_400_000)
    driver = stage.driver()
    drive(driver)
    stage.write(40, START_MS + 86_400_000)
    drive(driver)
    driver.close()
    assert stage.arrived() == sorted(stage.ids)
    assert stage.counts() == Counts(delivered=350)
    rows = {row["interaction_id"]: row for row in stage.destination.arrived()}
    assert rows[stage.ids[7]]["properties"] == record(7)["properties"]
    assert rows[stage.ids[7]]["response_time_ms"] == 4.25


def test_what_arrives_again_is_the_same(stage: Stage) -> None:
    stage.write(60)
    for _ in range(2):
        stage.deliver()
        names = stage.destination.names()
        shutil.rmtree(stage.lake.private / "cursors")
    assert stage.destination.names() == names
    assert set(stage.arrived()) == set(stage.ids)


@pytest.mark.parametrize("fault", TRANSIENT)
def test_a_passing_failure_delays_and_loses_nothing(stage: Stage, fault: Fault) -> None:
    stage.write(60)
    stage.deliver()
    stage.write(60)
    if not stage.destination.fail(fault):
        pytest.skip("this destination has no such failure")
    driver = stage.driver()
    driver.step()
    assert driver.step(linger=False) > 0
    assert stage.condition().state == "retrying"
    assert not driver.stopped
    stage.destination.fail("none")
    drive(driver)
    driver.close()
    assert set(stage.arrived()) == set(stage.ids)
    assert stage.condition().state == "running"


def test_refused_credentials_stop_the_follower_with_a_sentence(stage: Stage) -> None:
    stage.write(30)
    if not stage.destination.fail("refused"):
        pytest.skip("this destination asks for no credentials")
    driver = stage.driver()
    for _ in range(3):
        driver.step(linger=False)
    assert driver.stopped
    condition = stage.condition()
    assert condition.state == "stopped"
    assert condition.sentence.count(" ") > 5
    for name, value in stage.destination.environ.items():
        if any(word in name for word in ("SECRET", "KEY", "URL")):
            assert value not in condition.sentence
    stage.destination.fail("none")
    stage.deliver()
    assert stage.arrived() == sorted(stage.ids)


def test_a_record_that_cannot_be_delivered_is_set_aside_alone(stage: Stage) -> None:
    bad = stage.destination.bad
    if bad is None:
        pytest.skip("this destination takes every line")
    stage.write(20)
    stage.log.append([bad], START_MS)
    stage.write(20)
    stage.deliver()
    assert stage.arrived() == sorted(stage.ids)
    assert stage.counts() == Counts(delivered=40, quarantined=1)
    aside = [json.loads(line) for line in (stage.folder / "aside.jsonl").read_text().splitlines()]
    assert [(name, line.encode()) for name, _, line in aside] == [(stage.destination.follower, bad)]
    assert aside[0][1]


def test_a_sink_that_is_down_for_a_day_gets_everything_afterwards(stage: Stage) -> None:
    stage.write(25)
    stage.deliver()
    if not stage.destination.fail("down"):
        pytest.skip("this destination cannot be down")
    driver, attempts = stage.driver(), 0
    stage.write(300)
    while stage.clock.now < DAY_SECONDS:
        stage.clock.now += driver.step()
        attempts += 1
        assert not driver.stopped
    assert 200 < attempts < 400
    stage.destination.fail("none")
    drive(driver)
    driver.close()
    assert set(stage.arrived()) == set(stage.ids)
    assert stage.counts() == Counts(delivered=325)


def test_kills_between_all_steps_make_the_same_names(name: str, tmp_path: Path) -> None:
    names = []
    for kills in (False, True):
        with staged(name, tmp_path / "stage") as stage:
            if not kills:
                for _ in range(8):
                    stage.write(60)
                    if stage.destination.bad is not None:
                        stage.log.append([stage.destination.bad], START_MS)
                stage.deliver()
                ids, counts = stage.arrived(), stage.counts()
            else:
                killed = run_couriers(stage)
                assert len(set(killed)) >= 6
                assert stage.counts() == counts
                assert set(stage.arrived()) == set(ids)
            names.append(stage.destination.names())
            shutil.rmtree(stage.lake.private / "cursors")
    assert names[0] == names[1]


def run_couriers(stage: Stage) -> list[str]:
    command = [sys.executable, str(COURIERS), str(stage.lake.root), str(stage.folder),
               stage.destination.follower, "7"]  # fmt: skip
    environ = os.environ | {"LAKEWARD_INDIVIDUAL_FILES": "off"} | stage.destination.environ
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    killed: list[str] = json.loads(done.stdout)
    return killed
