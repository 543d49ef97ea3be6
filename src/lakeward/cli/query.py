"""`lakeward query "SQL"`: a question to the lake, answered as a table, JSON, CSV or Parquet."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from uuid_utils import uuid7

from lakeward.cli.printout import write_table
from lakeward.errors import Terminal
from lakeward.lake.answer import Answer
from lakeward.lake.written import write_csv, write_json, write_parquet
from lakeward.settings import Settings

FORMATS = ("table", "json", "csv", "parquet")
TABLE_ROWS = 200
"""Rows that a table shows unless told otherwise; all of it must be there before it is aligned."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The question, and where the answer goes."""
    command.add_argument("sql", nargs="?", metavar="SQL", help="one SELECT; - reads standard input")
    command.add_argument("--file", type=Path, metavar="FILE", help="read the SQL from a file")
    command.add_argument(
        "--output", type=Path, metavar="FILE",
        help="write the answer there; the file appears when it is whole",
    )  # fmt: skip
    command.add_argument(
        "--limit", type=_positive, metavar="N",
        help=f"at most N rows (table: {TABLE_ROWS}, others: all)",
    )  # fmt: skip


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Ask and print."""
    if arguments.format == "parquet" and arguments.output is None:
        raise Terminal("--format parquet needs --output FILE")
    rows = arguments.limit or (TABLE_ROWS if arguments.format == "table" else 0)
    with Answer(settings, _question(arguments), rows=rows) as answer:
        if arguments.output is None:
            _print(answer, arguments.format, sys.stdout)
        else:
            _save(answer, arguments.format, arguments.output)
        if answer.cut and (arguments.format != "table" or arguments.output is not None):
            print(f"lakeward: there are more than these {rows} rows", file=sys.stderr)
    return 0


def _question(arguments: argparse.Namespace) -> str:
    if (arguments.sql is None) == (arguments.file is None):
        raise Terminal('give the SQL once: lakeward query "SELECT …", or -, or --file FILE')
    try:
        if arguments.file is not None:
            return str(arguments.file.read_text(encoding="utf-8-sig"))
        if arguments.sql == "-":
            return sys.stdin.buffer.read().decode()
        return os.fsencode(arguments.sql).decode()  # a locale of ASCII hides its letters
    except UnicodeDecodeError:
        raise Terminal("the query is no UTF-8 text") from None


def _print(answer: Answer, format_: str, out: TextIO) -> None:
    {"table": write_table, "json": write_json, "csv": write_csv}[format_](answer, out)


def _save(answer: Answer, format_: str, path: Path) -> None:
    with _replacing(path) as temporary:
        if format_ == "parquet":
            write_parquet(answer, temporary)
            return
        with open(temporary, "w", encoding="utf-8", newline="") as out:
            _print(answer, format_, out)


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place when all went well, and is removed when not."""
    temporary = path.with_name(f".{path.name}.{uuid7().hex[-8:]}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
