"""Drives one follower in processes that die at a named point, for the contract suite.

    python tests/couriers.py LAKE FOLDER FOLLOWER SEED

Settings come from the environment and FOLDER. Forks a driver for each point, which ends by SIGKILL
there, then one that lives. Prints the points that killed. A program of its own, so that it is
single-threaded and may fork.
"""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path

import msgspec

from killing import after, die
from lakeward.errors import LakewardError
from lakeward.followers import driver as driving
from lakeward.followers.driver import Driver
from lakeward.followers.protocol import Pace, Subscription
from lakeward.lakedir import LakeDir, open_lake
from lakeward.settings import load
from lakeward.sinks.registry import configured

POINTS = ("before plan", "after plan", "before deliver", "after deliver", "after quarantine",
          "before replace", "after replace", "after settle")  # fmt: skip
PACE = Pace(bytes=8_192, lines=25)


def subscription(
    lake: LakeDir, folder: Path, follower: str, environ: dict[str, str]
) -> Subscription:
    """The follower as the product makes it, in small slices."""
    found = configured(load(environ, folder), lake)
    made = next(one for one in found if one.name == follower)
    return msgspec.structs.replace(made, pace=PACE)


def put_aside(lake: LakeDir, follower: str, lines: list[tuple[bytes, str]]) -> None:
    """In the quarantine's place: a file of the tests."""
    with (lake.root.parent / "aside.jsonl").open("ab") as file:
        for line, reason in lines:
            file.write(msgspec.json.encode([follower, reason, line.decode()]) + b"\n")


def drive(driver: Driver, slices: int = 2_000) -> None:
    """Until there is nothing left to do, or so many slices are done."""
    for _ in range(slices):
        if driver.step(linger=False) >= driving.IDLE_SECONDS:
            return
    if slices == 2_000:
        raise LakewardError("the follower does not come to an end")


def main() -> int:
    lake, folder, follower = open_lake(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]
    dice, killed = random.Random(int(sys.argv[4])), []
    made = subscription(lake, folder, follower, dict(os.environ))
    for point in (*POINTS, ""):
        pid = os.fork()
        if pid == 0:
            status = 9
            try:
                die_at(point, dice.randrange(1, 3), lake, made)
                status = 0
            finally:
                os._exit(status)
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            killed.append(point)
        elif os.WEXITSTATUS(status):
            return 1
    print(json.dumps(killed))
    return 0


def die_at(point: str, nth: int, lake: LakeDir, made: Subscription) -> None:
    """Drive the follower; SIGKILL when `point` is reached for the `nth` time."""
    due, replace = after(nth, die), os.replace

    def deadly(source: object, target: object) -> None:
        cursor = str(target).endswith(".json") and "cursors" in str(target)
        if cursor and point == "before replace":
            due()
        replace(source, target)  # type: ignore[arg-type]  # as it was called
        if cursor and point == "after replace":
            due()

    os.replace = deadly  # type: ignore[assignment]  # in this forked process only

    def pause(name: str) -> None:
        if name == point:
            due()

    driver = Driver(
        lake, made, lambda name, lines: put_aside(lake, name, lines), chance=lambda: 0.0,
        pause=pause,
    )  # fmt: skip
    drive(driver, nth + 1 if point else 2_000)
    driver.close()


if __name__ == "__main__":
    sys.exit(main())
