"""What every module of a command offers, and the arguments that every command takes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Protocol

from lakeward.settings import Settings


class CommandModule(Protocol):
    """A module under `lakeward.cli` that is one command."""

    def add_arguments(self, command: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments."""

    def run(self, settings: Settings, arguments: argparse.Namespace) -> int:
        """Do it and return the exit code."""


def add_general_arguments(command: argparse.ArgumentParser, *, below: bool = False) -> None:
    """`--lake` and `--format`; those `below` a command leave its own standing when not given."""
    lake, format_ = (argparse.SUPPRESS,) * 2 if below else (None, "text")
    command.add_argument(
        "--lake", type=Path, default=lake, help="folder of the lake (LAKEWARD_LAKE_DIR)"
    )
    command.add_argument("--format", choices=("text", "json"), default=format_)
