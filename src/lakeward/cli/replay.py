"""`lakeward replay`: bring what was set aside back into the lake, once its reason is gone."""

from __future__ import annotations

import argparse

import msgspec

from lakeward.cli.quarantine import add_selection, selection
from lakeward.cli.record import parse_fields
from lakeward.collector import Collector
from lakeward.errors import Terminal
from lakeward.lakedir import open_lake
from lakeward.replay import Replay, Replayed
from lakeward.settings import Settings


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Which entries, what to change in them, and whether to do it."""
    add_selection(command)
    command.add_argument(
        "--set", dest="changes", action="append", default=[], metavar="field=value",
        help="mend a field in each of them; null takes it out; may be repeated",
    )  # fmt: skip
    command.add_argument(
        "--dry-run", action="store_true", help="say what would become of them, and do nothing"
    )


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Bring them back; 1 when something is still refused."""
    if not settings.collect:
        raise Terminal("collection is off: set ENABLE_DATA_COLLECTION=true")
    lake = open_lake(settings.lake_dir, create=False)
    chosen, changes = selection(arguments), parse_fields(arguments.changes)
    with Collector(settings) as collector:
        replay = Replay(lake, collector, changes, dry=arguments.dry_run)
        done = replay.run(chosen)
    if arguments.format == "json":
        row = {"dry_run": arguments.dry_run, **msgspec.structs.asdict(done)}
        del row["left"]  # the command takes all of them
        print(msgspec.json.encode(row).decode())
    else:
        print(_told(done, dry=arguments.dry_run))
    return 1 if done.refused else 0


def _told(done: Replayed, *, dry: bool) -> str:
    n = done.replayed
    noun = "interaction" if n == 1 else "interactions"
    lines = [f"{n:,} {noun} {'would be ' if dry else ''}brought back of {done.selected:,} selected"]
    if done.known:
        lines.append(f"  {done.known:,} brought back before")
    if done.suppressed:
        lines.append(f"  {done.suppressed:,} of erased people")
    lines += [f"  {count:,} stay: {why}" for why, count in done.refused.items()]
    return "\n".join(lines)
