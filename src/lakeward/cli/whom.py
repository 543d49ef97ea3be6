"""Who a command is about: `--user`, `--session` and `--anonymous`, each as often as needed."""

from __future__ import annotations

import argparse

from lakeward.errors import Terminal
from lakeward.lake.erase import FLAGS, named
from lakeward.person import Person


def add_people(command: argparse.ArgumentParser) -> None:
    """The three flags."""
    for flag, kind in FLAGS.items():
        command.add_argument(
            f"--{flag}", metavar="ID", action="append", default=[],
            help=f"a person by {kind}; may be repeated",
        )  # fmt: skip


def people(arguments: argparse.Namespace) -> list[Person]:
    """Whom the flags name; Terminal when they name nobody."""
    found = [
        named(kind, value) for flag, kind in FLAGS.items() for value in getattr(arguments, flag)
    ]
    if not found:
        raise Terminal("say who: --user ID, --session ID or --anonymous ID")
    return list(dict.fromkeys(found))
