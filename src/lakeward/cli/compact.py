"""`lakeward compact`: move the log into the table now; and the child that the keeper starts for
it."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import logging
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lakeward.barrier import delivering
from lakeward.cli.courier import Returns
from lakeward.cli.tidy import tidy, told
from lakeward.errors import LakewardError, SettingError, Terminal
from lakeward.interaction import iso
from lakeward.lakedir import LakeDir, open_lake
from lakeward.lock import is_kept
from lakeward.retention import Cutoffs, cutoffs
from lakeward.settings import Settings

if TYPE_CHECKING:  # behind an extra
    from lakeward.lake.archive import Archive

logger = logging.getLogger("lakeward.compact")

DAY_MS = 86_400_000
STACK_BYTES = 1 << 20


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Whether to tidy as well."""
    command.add_argument(
        "--full", action="store_true",
        help="also merge the small files of days that are over, whatever their number",
    )  # fmt: skip
    command.add_argument(
        "--archive", action="store_true",
        help="take what other hosts put into the bucket's raw archive, too",
    )  # fmt: skip
    command.add_argument(
        "--days", type=_days, metavar="N",
        help="with --archive: list the last N days only (all of them are listed without)",
    )  # fmt: skip


def _days(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= 3650:
        raise argparse.ArgumentTypeError("must be a number of days from 1 to 3650")
    return int(text)


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Compact until the table has the whole log; waits for a compactor that runs already."""
    if arguments.days is not None and not arguments.archive:
        raise Terminal("--days is of --archive: add that, or leave it out")
    lake = open_lake(settings.lake_dir, create=arguments.archive)
    started = time.monotonic()
    now_ms = time.time_ns() // 1_000_000
    report = compact(
        lake, settings, full=arguments.full, over=cutoffs(settings, now_ms),
        archive=arguments.archive, days=arguments.days,
    )  # fmt: skip
    expired = tidy(lake, settings, now_ms)
    if arguments.format == "json":
        row = msgspec.structs.asdict(report) | {"retention": msgspec.structs.asdict(expired)}
        print(msgspec.json.encode(row).decode())
        return 0
    seconds = time.monotonic() - started
    print(f"{report.added} interactions added to the table ({report.read} lines, {seconds:.1f} s)")
    for count, what in (
        (report.duplicate, "were there already"),
        (report.suppressed, "are of erased people"),
        (report.erased, "were erased in the log"),
        (report.refused, "are no records: see `lakeward quarantine list`"),
        (report.gone, "were deleted by retention before the table had them"),
        (report.merged, "files merged into larger ones"),
        (report.deleted, "files deleted that no reader needs"),
        (report.expired, "rows of the table are over and removed"),
        (report.left, "objects may have others before them: compact without --days takes them"),
    ):
        if count:
            print(f"  {count} {what}")
    for sentence in told(expired):
        print(f"  {sentence}")
    return 0


class Report(msgspec.Struct, frozen=True):
    """What a compaction did, in lines, rows and files."""

    read: int
    added: int
    duplicate: int
    suppressed: int
    erased: int
    refused: int
    gone: int
    bytes: int
    commits: int
    merged: int
    deleted: int
    expired: int = 0
    """Rows of the table that retention removed."""
    objects: int = 0
    """Objects of the raw archive that were listed."""
    left: int = 0
    """Those that wait for a listing of all days."""
    unfinished: bool = False
    """Whether it was enough before all was done: the next compaction goes on."""
    lag_seconds: float | None = None
    """How long the oldest object had waited that was not in the table when they were listed; None
    when they were not."""


def compact(
    lake: LakeDir,
    settings: Settings,
    *,
    full: bool = False,
    wait: bool = True,
    over: Cutoffs | None = None,
    archive: bool = False,
    days: int | None = None,
    enough: Callable[[], bool] = lambda: False,
) -> Report:
    """Catch up, with the raw archive of all hosts too where `archive` says so (its last `days`),
    remove what is `over`, merge, vacuum. After each commit it is asked whether that is `enough`."""
    from lakeward.analysis.rollup.eraser import RollupEraser
    from lakeward.lake.compact import Compactor, locked
    from lakeward.lake.delta import Table
    from lakeward.lake.forget import expire
    from lakeward.lake.merge import merge
    from lakeward.lake.storage import table_storage
    from lakeward.lake.vacuum import vacuum

    with locked(lake, wait=wait):
        table = Table(table_storage(lake.root, settings))
        returns = Returns(lake, settings, "external" if is_kept(lake) else "spawn")
        compactor = Compactor(
            lake, table, memory=settings.compact_memory, geo=settings.geoip,
            prices=settings.ai_prices,
            set_aside=lambda lines: returns("table", lines),
        )  # fmt: skip
        shelf = _archive(settings, days) if archive else None
        try:
            done, lag = compactor.run(enough=enough), None
            if shelf is not None and not enough():
                listed_s = time.time()
                done = compactor.turned_to(shelf).run(enough=enough)
                if shelf.listed:
                    lag = max(listed_s - (shelf.oldest_s or listed_s), 0.0)
            yesterday = iso(time.time_ns() // 1_000_000 - DAY_MS)[:10]
            with delivering(lake):
                due = {} if enough() else over or {}
                expired = expire(lake, table, compactor.con, compactor.scratch, due)
                merged = merge(
                    compactor.con, table, compactor.scratch,
                    closed_before=yesterday if full else "", enough=enough,
                )  # fmt: skip
            if expired or merged:
                RollupEraser(lake, settings).prune()
            unfinished = enough()
            deleted = 0 if unfinished else len(vacuum(lake, table, settings.vacuum_seconds))
        finally:
            compactor.close()
    return Report(
        **msgspec.structs.asdict(done), merged=merged, deleted=deleted, expired=expired,
        objects=shelf.found if shelf else 0, left=shelf.left if shelf else 0, lag_seconds=lag,
        unfinished=unfinished,
    )  # fmt: skip


def _archive(settings: Settings, days: int | None) -> Archive:
    """The bucket's raw archive as a source."""
    from lakeward.lake.archive import Archive, days_before
    from lakeward.sinks.s3 import bucket_of

    today = iso(time.time_ns() // 1_000_000)[:10]
    return Archive(bucket_of(settings), days_before(today, days) if days else "")


def small_stacks() -> None:
    """Let threads of the libraries have stacks of 1 MiB: the limit counts all of a stack, used or
    not, and with 8 MiB for each of them little would be left to work with."""
    attributes = ctypes.create_string_buffer(256)
    with contextlib.suppress(OSError, AttributeError):  # another libc: the limit is tighter then
        libc = ctypes.CDLL(None)
        if libc.pthread_attr_init(attributes) == 0:
            libc.pthread_attr_setstacksize(attributes, ctypes.c_size_t(STACK_BYTES))
            libc.pthread_setattr_default_np(attributes)


def child(lake_dir: str, env_folder: str) -> int:
    """What the keeper's child does: compact within the memory that the settings allow."""
    from lakeward.settings import load

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    os.nice(10)
    small_stacks()
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    try:
        settings = load(folder=Path(env_folder))
        limit = settings.compact_memory
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        compact(open_lake(Path(lake_dir), create=False), settings, wait=False)
    except (LakewardError, SettingError, OSError) as error:
        logger.error("compaction failed: %s", error)
        return 1
    except MemoryError:
        logger.error("compaction failed: raise LAKEWARD_COMPACT_MEMORY")
        return 1
    finally:
        sys.stderr.flush()
    return 0
