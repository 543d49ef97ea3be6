"""`lakeward import FILE…`: interactions, CSV or access logs into the lake, each content once."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import msgspec

from lakeward.barrier import delivering
from lakeward.cli.intake import importer
from lakeward.cli.intake.importer import Erased
from lakeward.cli.intake.rows import KINDS, parse_mapping
from lakeward.collector import Collector
from lakeward.errors import Terminal
from lakeward.interaction import JsonObject
from lakeward.lakedir import LakeDir, open_lake
from lakeward.log import Position, read_lines, read_published
from lakeward.settings import Settings
from lakeward.suppression import load


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Files and how to read them."""
    command.add_argument(
        "files", metavar="FILE", nargs="+", help="plain, gz, xz or bz2; - is stdin"
    )
    command.add_argument("--as", dest="kind", choices=KINDS, help="format, when not plain to see")
    command.add_argument("--type", metavar="NAME", help="type of rows that do not say theirs")
    command.add_argument(
        "--map", metavar="field=column", action="append", default=[], help="which CSV column it is"
    )


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Import the files; 1 when one of them failed."""
    if not settings.collect:
        raise Terminal("collection is off: set ENABLE_DATA_COLLECTION=true")
    lake = open_lake(settings.lake_dir)
    with Collector(settings) as collector, importer.Bar(sys.stderr) as bar:
        report = importer.run(
            arguments.files,
            collector,
            lake.root,
            kind=arguments.kind,
            mapping=parse_mapping(arguments.map),
            default_type=arguments.type,
            position=partial(position, lake),
            known_ids=partial(known_ids, lake),
            progress=bar,
            erased=partial(erased, lake),
        )
    if arguments.format == "json":
        print(msgspec.json.encode(report).decode())
    for file in report.files:
        out = sys.stderr if file.state == "failed" else sys.stdout
        if arguments.format != "json" or file.state == "failed":
            print(f"{file.name}: {file.message}", file=out)
    return 0 if report.ok else 1


def position(lake: LakeDir) -> JsonObject:
    """Where the log's durable end is now."""
    published = read_published(lake.private / "published")
    segment, offset = published.ends["raw"] if published else (0, 0)
    return {"segment": segment, "offset": offset}


@contextmanager
def erased(lake: LakeDir) -> Iterator[Erased]:
    """Who was erased, for one batch: whoever is not on the list now is not erased until the batch
    is in the log, where the erase finds it."""
    with delivering(lake):
        suppressed = load(lake)
        yield suppressed.covers if suppressed else lambda _: False


def known_ids(lake: LakeDir, since: JsonObject) -> Iterator[str]:
    """Ids that became durable after `since`."""
    start = Position(segment=since.get("segment", 0), offset=since.get("offset", 0))
    for line, _ in read_lines(lake, start):
        yield msgspec.json.decode(line)["interaction_id"]
