"""`lakeward get ID`: one interaction as it was recorded, from the table or the log."""

from __future__ import annotations

import argparse
import json
import sys

from lakeward.lake.written import inert
from lakeward.lakedir import open_lake
from lakeward.settings import Settings


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Which."""
    command.add_argument("interaction_id", metavar="ID", help="its interaction_id")


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print it as JSON; exit code 1 when the lake has none of this id."""
    from lakeward.lake.lookup import get

    lake = open_lake(settings.lake_dir, create=False)
    record = get(lake, settings, arguments.interaction_id)
    if record is None:
        sentence = f"the lake has no interaction {arguments.interaction_id.strip().lower()}"
        print(f"lakeward: {sentence}", file=sys.stderr)
        if arguments.format == "json":
            print(json.dumps({"error": sentence}))
        return 1
    if arguments.format == "json":
        print(inert(json.dumps(record, ensure_ascii=False, separators=(",", ":"))))
    else:
        print(inert(json.dumps(record, ensure_ascii=False, indent=2)))
    return 0
