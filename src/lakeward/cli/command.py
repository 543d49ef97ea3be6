"""What every module of a command offers."""

from __future__ import annotations

import argparse
from typing import Protocol

from lakeward.settings import Settings


class CommandModule(Protocol):
    """A module under `lakeward.cli` that is one command."""

    def add_arguments(self, command: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments."""

    def run(self, settings: Settings, arguments: argparse.Namespace) -> int:
        """Do it and return the exit code."""
