"""`lakeward restore FILE --lake DIR`: a lake made of a backup, without those erased since."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

import msgspec

from lakeward.cli.erase import render, setting
from lakeward.cli.stores import opened
from lakeward.lake import erase
from lakeward.lake.receipt import Receipt
from lakeward.lakedir import LakeDir, open_lake
from lakeward.restoring import bring_suppressed, restore
from lakeward.settings import Settings


def add_arguments(command: argparse.ArgumentParser) -> None:
    """What to unpack, and who is not to come back."""
    command.add_argument("file", metavar="FILE", type=Path, help="what `lakeward backup` made")
    command.add_argument(
        "--suppressed", metavar="LIST", type=Path,
        help="a later suppressed.jsonl of this lake, with suppression.key beside it",
    )  # fmt: skip


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Unpack, then erase again whom the suppression list names."""
    root = settings.lake_dir
    with arguments.file.open("rb") as file:
        manifest = restore(file, root)
    added = bring_suppressed(root, arguments.suppressed) if arguments.suppressed else 0
    lake = open_lake(root, create=False)
    receipt = erase_again(lake, settings)
    if arguments.format == "json":
        row = {
            "lake": str(root), "files": len(manifest.files), "made_at": manifest.made_at,
            "epoch": lake.identity.epoch, "notes": manifest.notes, "suppressed": added,
            "erased_again": receipt and msgspec.to_builtins(receipt),
        }  # fmt: skip
        print(msgspec.json.encode(row).decode())
    else:
        print(f"{root} is as it was at {manifest.made_at}, in epoch {lake.identity.epoch}")
        print("\n".join(manifest.notes))
        if receipt:
            print("\nerased again, as the suppression list says:\n" + render(receipt))
    return 1 if receipt and not receipt.gone_at else 0


def erase_again(lake: LakeDir, settings: Settings) -> Receipt | None:
    """A restored lake may be older than an erasure: the people that its list names go again."""
    if find_spec("duckdb") is None:
        return None
    from lakeward.lake.reappeared import reappeared

    people = reappeared(lake, settings)
    if not people:
        return None
    with opened(lake, settings) as stores:
        return erase.begin(setting(lake, settings, stores), people)
