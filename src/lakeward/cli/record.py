"""`lakeward record TYPE key=value …`: one interaction from a shell, durable before it returns."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import msgspec

from lakeward.catalog import arrange
from lakeward.collector import Collector
from lakeward.errors import Rejected, Terminal
from lakeward.settings import Settings


def add_arguments(command: argparse.ArgumentParser) -> None:
    """TYPE, fields and a timeout."""
    command.add_argument("type", metavar="TYPE", help="such as demo_booking or any name of yours")
    command.add_argument(
        "fields", metavar="key=value", nargs="*", help="value is JSON where it parses, else text"
    )
    command.add_argument("--timeout", type=float, default=10.0, help="seconds to wait for the disk")


def parse_fields(pairs: list[str]) -> dict[str, Any]:
    """`key=value` words as fields; Terminal for a word without `=`."""
    fields: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise Terminal(f"each field is written key=value, and {key!r} has no value")
        try:
            fields[key] = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            fields[key] = text
    return fields


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Record, wait until it is durable, print the id."""
    fields = parse_fields(arguments.fields)
    if not settings.collect:
        raise Terminal("collection is off: set ENABLE_DATA_COLLECTION=true")
    with Collector(settings) as collector:
        interaction_id = collector.record(arguments.type, **fields)
        collector.commit(arguments.timeout)
        if interaction_id is None:
            return _explain(arguments, fields, collector)
    if arguments.format == "json":
        print(msgspec.json.encode({"interaction_id": interaction_id}).decode())
    else:
        print(interaction_id)
    return 0


def _explain(arguments: argparse.Namespace, fields: dict[str, Any], collector: Collector) -> int:
    try:
        arrange(arguments.type, fields)
        reasons = ", ".join(collector.stats()["reasons"])
        why = f"not kept: {reasons or 'see the quarantine'}"
    except Rejected as error:
        why = f"{error} (quarantined)"
    if arguments.format == "json":
        print(msgspec.json.encode({"interaction_id": None, "error": why}).decode())
    print(f"lakeward: {why}", file=sys.stderr)
    return 1
