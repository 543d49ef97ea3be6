"""`lakeward export`: all that is known of a person, as JSON Lines or Parquet; or AI turns."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lakeward.cli import export_ai
from lakeward.cli.output import fresh
from lakeward.cli.whom import add_people, people
from lakeward.errors import Terminal
from lakeward.lake.erase import FLAGS
from lakeward.lakedir import open_lake
from lakeward.settings import Settings

FORMATS = ("jsonl", "parquet", "openai", "sharegpt")


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Who, in which form, and where to."""
    add_people(command)
    export_ai.add_arguments(command)
    command.add_argument(
        "--output", metavar="FILE", type=Path, help="a new file, readable by you alone; else stdout"
    )


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Write the file and say what is in it."""
    if arguments.ai:
        if any(getattr(arguments, flag) for flag in FLAGS):
            raise Terminal("--ai is of no single person: leave --user, --session, --anonymous out")
        return export_ai.run(settings, arguments)
    export_ai.refuse_without(arguments)
    from lakeward.lake.export import quarantined, write_lines, write_parquet
    from lakeward.lake.reading import open_reading

    who = people(arguments)
    lake = open_lake(settings.lake_dir, create=False)
    output: Path | None = arguments.output
    with open_reading(lake, settings) as reading:
        if arguments.format == "jsonl" and output is None:
            found, refused = write_lines(lake, reading, who, sys.stdout.buffer)
        elif arguments.format == "jsonl":
            assert output is not None
            with fresh(output) as path, path.open("wb") as file:
                found, refused = write_lines(lake, reading, who, file)
        elif output is None:
            raise Terminal("Parquet is no text: name a file with --output")
        else:
            with fresh(output) as path:
                found, refused = write_parquet(reading, who, str(path)), 0
            if any(True for _ in quarantined(lake, who)):
                print("the quarantine holds more: export it with --format jsonl", file=sys.stderr)
    print(f"{found} interactions, {refused} lines of the quarantine", file=sys.stderr)
    return 0
