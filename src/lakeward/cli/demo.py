"""`lakeward demo`: the main job on real traffic (the application lives in `lakeward.demo`)."""

from __future__ import annotations

import argparse

from lakeward.errors import MissingExtra
from lakeward.settings import Settings


def add_arguments(command: argparse.ArgumentParser) -> None:
    """How much traffic."""
    command.add_argument("--requests", type=int, default=2000, help="how many requests to make")


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Run the demo."""
    try:
        from lakeward.demo.show import show
    except ModuleNotFoundError as error:
        raise MissingExtra(f"the demo (it uses {error.name})", "demo") from None
    return show(settings, arguments.requests, arguments.format)
