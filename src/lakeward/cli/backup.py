"""`lakeward backup FILE`: the whole lake as one tar file, while it goes on."""

from __future__ import annotations

import argparse
import gzip
import io
import sqlite3
import tempfile
import time
from contextlib import ExitStack, closing
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import msgspec

from lakeward import backup, removal
from lakeward.cli.output import fresh
from lakeward.errors import MissingExtra, Terminal
from lakeward.interaction import iso
from lakeward.lakedir import LakeDir, open_lake
from lakeward.settings import Settings
from lakeward.version import VERSION

GZIP_LEVEL = 1
"""Logs shrink to a tenth at once; Parquet does not, at any level."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Where to."""
    command.add_argument(
        "file", metavar="FILE", type=Path, help="a new file, .tar or .tar.gz, readable by you alone"
    )


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Pack, then say what is in it."""
    output: Path = arguments.file
    if not output.name.endswith((".tar", ".tar.gz", ".tgz")):
        raise Terminal(f"{output.name!r} must end with .tar or .tar.gz")
    lake = open_lake(settings.lake_dir, create=False)
    with fresh(output) as path, ExitStack() as held:
        file: IO[bytes] = held.enter_context(path.open("wb"))
        if not output.name.endswith(".tar"):
            packed = gzip.GzipFile("", "wb", GZIP_LEVEL, fileobj=file)
            file = held.enter_context(io.BufferedWriter(held.enter_context(packed), 1 << 20))
        manifest = pack(lake, settings, file)
    size = output.stat().st_size
    if arguments.format == "json":
        row = {"file": str(output), "bytes": size, "files": len(manifest.files),
               "epoch": manifest.epoch, "notes": manifest.notes}  # fmt: skip
        print(msgspec.json.encode(row).decode())
    else:
        print(f"{len(manifest.files)} files in {output} ({size:,} bytes)")
        print("\n".join(manifest.notes))
    return 0


def pack(lake: LakeDir, settings: Settings, file: IO[bytes]) -> backup.Manifest:
    """Everything, in the order that lets nothing be ahead of what it depends on."""
    made_at = iso(time.time_ns() // 1_000_000)
    packer = backup.Packer(file)
    with removal.paused(lake):  # else blanked lines and their journal would be of two moments
        backup.pack_private(packer, lake)
        state = backup.pack_log(packer, lake)
    notes = [pack_table(packer, lake, settings), pack_database(packer, lake, settings)]
    backup.pack_suppressed(packer, lake)
    manifest = backup.Manifest(
        VERSION, lake.identity.lake_id, state.epoch, made_at, tuple(notes), dict(packer.files)
    )
    packer.close(manifest)
    return manifest


def pack_table(packer: backup.Packer, lake: LakeDir, settings: Settings) -> str:
    """The table at one version; a sentence about it."""
    if settings.table.startswith("s3://"):
        return "the table is in S3 and not in this file: the bucket's versions are its backup"
    if not (lake.root / "table").exists() and not settings.table:
        return "there is no table yet"
    if find_spec("deltalake") is None:
        raise MissingExtra("Copying the table", "lake")
    from lakeward.lake.copying import copied

    with copied(lake, settings) as (version, files):
        for name, path in files:
            packer.add_file(f"table/{name}", path)
    return f"the table is in it at version {version}" if version >= 0 else "there is no table yet"


def pack_database(packer: backup.Packer, lake: LakeDir, settings: Settings) -> str:
    """SQLite as SQLite copies itself while others write; a sentence about it."""
    if settings.database_url:
        return "the app database is in PostgreSQL and not in this file: run pg_dump beside it"
    path = lake.private / "app.db"
    if not path.exists():
        return "there is no app database yet"
    with tempfile.TemporaryDirectory(dir=lake.private, prefix=".backup-") as folder:
        copy = Path(folder) / "app.db"
        with (
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
        packer.add_file(".lakeward/app.db", copy)
    return "the app database is in it"
