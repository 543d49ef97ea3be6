"""`lakeward rollup`: count the hours and days of the table now, or delete what was counted."""

from __future__ import annotations

import argparse

import msgspec

from lakeward.lakedir import open_lake
from lakeward.settings import Settings


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Whether to make or to delete."""
    command.add_argument(
        "--drop", action="store_true", help="delete all roll-ups; the keeper makes them again"
    )


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Count until nothing is left to count."""
    from lakeward.analysis.rollup.build import Builder
    from lakeward.analysis.rollup.packs import drop, locked

    lake = open_lake(settings.lake_dir, create=False)
    if arguments.drop:
        with locked(lake):
            gone = drop(lake)
        print(msgspec.json.encode({"dropped": gone}).decode() if arguments.format == "json"
              else f"{gone} packs of roll-ups deleted")  # fmt: skip
        return 0
    made = Builder(lake, settings, memory=settings.compact_memory).run()
    if arguments.format == "json":
        print(msgspec.json.encode(msgspec.structs.asdict(made)).decode())
        return 0
    print(f"{made.rows:,} rows counted; {made.covered:,} of {made.total:,} are in roll-ups")
    if made.total < settings.rollup_rows:
        print(f"  with fewer than {settings.rollup_rows:,} (LAKEWARD_ROLLUP_ROWS) none are needed")
    else:
        print(f"  {made.packs} packs, {made.bytes:,} bytes")
    return 0
