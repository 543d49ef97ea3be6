"""The command `lakeward`.

In: arguments. Out: text for people, or JSON with `--format json`. A wrong argument, setting or
file is one sentence on stderr and exit code 2; an answer of "no" (a red doctor, a refused record,
a failed import) is 1.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Container, Sequence
from typing import cast

import msgspec

from lakeward.cli.command import FORMATS, CommandModule, Parser, add_general_arguments
from lakeward.errors import LakewardError
from lakeward.settings import load
from lakeward.version import VERSION

COMMANDS = {
    "run": "keep the lake in the foreground: drain every app's ring into the log",
    "serve": "keep the lake, take interactions over HTTP and show them live",
    "record": "record one interaction: TYPE key=value …",
    "tail": "show the newest interactions, and follow with -f",
    "summary": "show what one day holds: types, routes, users, outcomes, AI cost",
    "query": "ask the lake in SQL: table, JSON, CSV or Parquet",
    "ask": "ask any question by its name: trends, funnels, AI cost and all others",
    "funnel": "how many went through steps, how far, how long it took, and who dropped",
    "experiment": "judge an experiment: effects, intervals that hold while you look, a verdict",
    "api": "how many calls, how many failed, how quick: by route and consumer",
    "outcomes": "what became of matches, demos and deals, and how partners do",
    "quality": "whether data come as expected: volume, empty fields, refusals, lag, clocks",
    "retention": "who came back, who was active how often, who is new and who fell away",
    "sessions": "how many sessions, how long they took, where they began and ended",
    "paths": "which pages, routes or steps follow each other within sessions",
    "ai": "ask what AI turns cost, how they are rated, how quick they are; read conversations",
    "anomalies": "judge the rows of a series in CSV: which are worth a person's time",
    "alerts": "what is wrong now; acknowledge, snooze and resolve it; test who is told",
    "get": "show one interaction by its id",
    "coverage": "list the declared flows and outcomes, and when each was last seen",
    "schema": "show or write the JSON Schemas of all types and the data dictionary",
    "doctor": "prove from the files that nothing offered is missing",
    "compact": "move the log into the table now, and tidy the table",
    "rollup": "count hours and days of the table ahead of questions, so that these stay quick",
    "quarantine": "show what was set aside, and why",
    "replay": "bring what was set aside back into the lake",
    "import": "read interactions, CSV or access logs into the lake",
    "export": "write down everything that is known of a person, or AI turns to train with",
    "erase": "forget a person in every store, with a receipt",
    "backup": "pack the lake into one file while it goes on",
    "restore": "unpack a backup into an empty folder",
    "keys": "make, list and revoke the keys of the HTTP server",
    "people": "add people, give them roles and one-time links, shut them out",
    "flags": "list, change, check and evaluate feature flags and experiments",
    "confidence": "partners' scores and what they are made of; invite, remind and score now",
    "aws": "templates, deployment and settings of what a lake needs on AWS",
    "outbox": "list, send and preview the messages of an app",
    "demo": "run a small real app with real traffic and show what landed",
}


def parser(named: Container[str] = COMMANDS) -> argparse.ArgumentParser:
    """The command line; the own arguments of each command in `named` are added by its module.

    The others' modules stay unread: with all of them a start takes twice as long.
    """
    top = Parser(prog="lakeward", description="Own every interaction of a Python web app.")
    top.add_argument("--version", action="version", version=f"lakeward {VERSION}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if name not in named:
            continue
        module = _module(name)
        add_general_arguments(command, formats=getattr(module, "FORMATS", FORMATS))
        module.add_arguments(command)
    return top


def _module(command: str) -> CommandModule:
    name = {"import": "intake"}.get(command, command)
    module = importlib.import_module(f"lakeward.cli.{name}")
    return cast(CommandModule, module)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; a reader that went away is no error."""
    words = sys.argv[1:] if argv is None else list(argv)
    arguments = parser(words).parse_args(words)
    _speak_utf8(arguments.format)
    code = 0
    try:
        code = _run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    return code


def _speak_utf8(format_: str) -> None:
    """JSON and CSV are UTF-8 wherever they go; text never fails at a letter the terminal lacks."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            encoding="utf-8" if format_ in ("json", "csv") else None, errors="replace"
        )


def _run(arguments: argparse.Namespace) -> int:
    environ = dict(os.environ)
    if arguments.lake is not None:
        environ["LAKEWARD_LAKE_DIR"] = str(arguments.lake.absolute())
    try:
        return _module(arguments.command).run(load(environ), arguments)
    except LakewardError as error:
        return _fail(arguments.format, str(error))
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(arguments.format, f"{where}{error.strerror or type(error).__name__}")


def _fail(format_: str, sentence: str) -> int:
    sentence = sentence.encode("utf-8", "backslashreplace").decode()  # a path may be any bytes
    print(f"lakeward: {sentence}", file=sys.stderr)
    if format_ == "json":
        print(msgspec.json.encode({"error": sentence}).decode())
    return 2
