"""What every module of a command offers, and the arguments that every command takes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, Protocol

from lakeward.settings import Settings


class CommandModule(Protocol):
    """A module under `lakeward.cli` that is one command."""

    def add_arguments(self, command: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments."""

    def run(self, settings: Settings, arguments: argparse.Namespace) -> int:
        """Do it and return the exit code."""


class Parser(argparse.ArgumentParser):
    """One sentence for a wrong argument, as for everything else that is wrong."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        line = " ".join(message.split())
        self.exit(2, f"lakeward: {line}; see `{self.prog} --help`\n")


FORMATS = ("text", "json")
"""Of a command that does not say its own; the first is the default."""


def add_general_arguments(
    command: argparse.ArgumentParser, *, below: bool = False, formats: Sequence[str] = FORMATS
) -> None:
    """`--lake` and `--format`; those `below` a command leave its own standing when not given."""
    lake, format_ = (argparse.SUPPRESS,) * 2 if below else (None, formats[0])
    command.add_argument(
        "--lake", type=Path, default=lake, help="folder of the lake (LAKEWARD_LAKE_DIR)"
    )
    command.add_argument("--format", choices=formats, default=format_)
