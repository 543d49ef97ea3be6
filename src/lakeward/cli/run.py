"""`lakeward run` and the entry of a spawned keeper: the one place where a keeper gets its tasks."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from lakeward.bell import HANDOVER, Bell
from lakeward.chores import ForgetSalts
from lakeward.cli.abandonment import Abandonment
from lakeward.cli.alerting import Alerting
from lakeward.cli.compaction import Compaction
from lakeward.cli.courier import Courier
from lakeward.cli.erasing import Erasing
from lakeward.cli.rolling import Rolling
from lakeward.cli.tidy import Tidying
from lakeward.cli.unfinished import Unfinished
from lakeward.cli.viewing import Viewing
from lakeward.cli.witnessing import Witnessing
from lakeward.errors import LakeBusy, LakewardError
from lakeward.keeper import Keeper, Task
from lakeward.lakedir import LakeDir, open_lake
from lakeward.ringdir import ring_folder
from lakeward.rollout import ShareFile
from lakeward.settings import Settings, load
from lakeward.version import VERSION

HANDOVER_SECONDS = 10.0


def tasks(lake: LakeDir, ring_dir: Path, settings: Settings) -> list[Task]:
    """What the keeper of a lake drives besides the log."""
    return [
        ForgetSalts(ring_dir / "salts"),
        Compaction(lake, settings),
        Rolling(lake, settings),
        Abandonment(lake, ring_dir, settings),
        Unfinished(lake, ring_dir, settings),
        Alerting(lake, ring_dir, settings),
        Witnessing(lake, ring_dir, settings),
        Viewing(lake, ring_dir, settings),
        Courier(lake, settings),
        Erasing(lake, settings),
        Tidying(lake, settings),
    ]


def spawned(order: dict[str, Any]) -> int:
    """Keep a lake for the application that spawned this process; never exits with 3 or 4."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        lake = open_lake(Path(order["lake"]), create=False)
        ring_dir = Path(order["ring_dir"])
        settings = load(folder=Path(order["env_file"]).parent)
        keeper = Keeper(
            lake,
            ring_dir,
            mode="spawn",
            segment_bytes=order["segment_bytes"],
            idle_seconds=order["idle_seconds"],
            tasks=tasks(lake, ring_dir, settings),
            shares=ShareFile(os.environ, Path(order["env_file"])),
        )
        stop_on_signals(keeper)
        keeper.run(wait=1.0)
    except LakeBusy:
        return 0
    except (LakewardError, OSError) as error:
        logging.getLogger("lakeward.keeper").error("%s", error)
        return 1
    return 0


def stop_on_signals(keeper: Keeper) -> None:
    """SIGTERM and SIGINT drain and stop."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: keeper.stop())


def add_arguments(command: argparse.ArgumentParser) -> None:
    """`run` has no arguments of its own."""
    del command


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Keep the lake in the foreground until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    lake = open_lake(settings.lake_dir)
    ring_dir = ring_folder(lake, settings.ring_dir)
    ask_for_handover(lake, ring_dir)
    keeper = Keeper(
        lake, ring_dir, mode="run", segment_bytes=settings.segment_bytes,
        tasks=tasks(lake, ring_dir, settings),
        shares=ShareFile(os.environ, settings.source.env_file),
    )  # fmt: skip
    stop_on_signals(keeper)
    print(f"keeping {lake.root} (rings in {ring_dir}); Ctrl-C stops", file=sys.stderr)
    keeper.run(wait=HANDOVER_SECONDS)
    return 0


def ask_for_handover(lake: LakeDir, ring_dir: Path) -> None:
    """Ask a spawned or older keeper to leave the lake to this one."""
    bell = Bell(ring_dir, f"handover-{os.getpid()}")
    bell.nudge(HANDOVER + VERSION.encode())
    bell.close()
