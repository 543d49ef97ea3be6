"""What `lakeward aws backfill` does: fill a bucket and a table, or bring back what they have.

In: settings and the words of the command. Out: a report for each place, for people or as JSON; the
exit code is 1 where counts or checksums do not agree.
"""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from lakeward.aws.backfill.archive import ArchiveFill
from lakeward.aws.backfill.comeback import bring, objects, pages
from lakeward.aws.backfill.items import ItemsFill, content_of
from lakeward.aws.backfill.known import Known
from lakeward.aws.backfill.patience import Patience
from lakeward.aws.backfill.shipping import durable, shipped
from lakeward.aws.backfill.tally import ReachedFile, Report
from lakeward.cli.courier import Returns
from lakeward.collector import Collector
from lakeward.errors import SettingError, Terminal, Transient
from lakeward.followers.driver import Driver
from lakeward.lakedir import LakeDir, open_lake
from lakeward.removal import finish_pending
from lakeward.rollout import ShareFile
from lakeward.settings import Settings
from lakeward.sinks.dynamodb import DynamoTable
from lakeward.sinks.item import Unfit, item_of
from lakeward.sinks.objects import mark
from lakeward.sinks.registry import configured
from lakeward.sinks.s3 import bucket_of

PLACES = ("s3", "dynamodb")
WHY = {
    "erased": "erased",
    "erased_there": "missing where an erase, perhaps of another host, wrote the object anew "
                    "(--erased-everywhere puts them)",
    "expired": "would be expired",
    "suppressed": "of somebody who was erased",
    "unfit": "no item can be made of them: see the quarantine",
    "unreadable": "no interaction with an id",
}  # fmt: skip


def backfill(settings: Settings, arguments: argparse.Namespace) -> int:
    """Both ways; one run of a lake at a time."""
    if arguments.rate < 0:
        raise Terminal("--rate takes a number of interactions a second")
    if arguments.source and arguments.places:
        raise Terminal("--from brings back; it takes no place to fill beside it")
    lake = open_lake(settings.lake_dir, create=bool(arguments.source))
    logging.getLogger("lakeward.courier").setLevel(logging.CRITICAL)  # its sentences are shown here
    with _alone(lake):
        if arguments.source:
            reports = [_brought(settings, lake, arguments.source)]
        else:
            chosen = _chosen(settings, arguments.places)
            reports = [_filled(settings, lake, name, arguments) for name in chosen]
    if arguments.format == "json":
        rows = [_row(report) for report in reports]
        print(msgspec.json.encode({"backfill": rows}).decode())
    else:
        print("\n".join(_told(report) for report in reports))
    return 0 if all(_fine(report) for report in reports) else 1


def _chosen(settings: Settings, places: list[str]) -> list[str]:
    """Which places; those that are asked for must be switched on, as traffic goes on."""
    on = {"s3": settings.use_s3, "dynamodb": settings.use_dynamodb}
    for name in places:
        if name not in on:
            raise Terminal(f"{name[:40]!r} is no PLACE: there are s3 and dynamodb")
        if not on[name]:
            raise SettingError(
                f"{name} is not on: set USE_{name.upper()}=true, so that what comes meanwhile is "
                "shipped, too"
            )
    chosen = [name for name in PLACES if on[name] and (not places or name in places)]
    if not chosen:
        raise SettingError("there is nothing to fill: set USE_S3=true or USE_DYNAMODB=true")
    return chosen


@contextmanager
def _alone(lake: LakeDir) -> Iterator[None]:
    fd = os.open(lake.private / "backfill.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Transient("another backfill of this lake runs: wait until it has ended") from None
    finally:
        os.close(fd)


def _filled(settings: Settings, lake: LakeDir, name: str, arguments: argparse.Namespace) -> Report:
    """Ship what is there now, then compare and put what is missing."""
    files = durable(lake)
    place = _place(settings, name)
    how = f"replace={arguments.replace} everywhere={arguments.erased_everywhere}"
    file = ReachedFile(lake, name, place, how)
    if files:
        subscription = next(one for one in configured(settings, lake) if one.name == name)
        shares = ShareFile(os.environ, settings.source.env_file)
        driver = Driver(
            lake, subscription, Returns(lake, settings, "spawn"),
            share=lambda feature: shares()[feature], mend=lambda: finish_pending(lake),
        )  # fmt: skip
        shipped(lake, driver, (files[-1][0].number, files[-1][1]), _say)
    after = (file.reached.segment, file.reached.offset)
    walk = _walk_archive if name == "s3" else _walk_items
    walk(settings, lake, [one for one in files if (one[0].number, one[1]) > after], file, arguments)
    file.forget()
    return file.report


def _walk_archive(
    settings: Settings, lake: LakeDir, files: list[Any], file: ReachedFile,
    arguments: argparse.Namespace,
) -> None:  # fmt: skip
    bucket = bucket_of(settings)
    try:
        filling = ArchiveFill(
            lake, bucket, settings.s3_bytes, Patience(_say), everywhere=arguments.erased_everywhere
        )
        for segment, end in files:
            if (lake.root / segment.path).exists():
                filling.fill(segment, end, file.report)
            _progress(file.report)
            if segment.end is not None:  # the last one may grow until this run goes on
                file.save(segment.number, end)
    finally:
        bucket.api.close()


def _walk_items(
    settings: Settings, lake: LakeDir, files: list[Any], file: ReachedFile,
    arguments: argparse.Namespace,
) -> None:  # fmt: skip
    table = DynamoTable.from_settings(settings)
    try:
        filling = ItemsFill(
            lake, table, file, Patience(_say), replace=arguments.replace, rate=arguments.rate
        )
        for segment, end in files:
            here = file.reached.segment == segment.number
            start = file.reached.offset if here else 0
            if (lake.root / segment.path).exists():
                for place in filling.fill(segment, start, end, file.report):
                    _progress(file.report)
                    file.save(segment.number, place)
        filling.end(file.report)
    finally:
        table.close()


def _brought(settings: Settings, lake: LakeDir, source: str) -> Report:
    """All that the source has and this lake has not."""
    if not settings.collect:
        raise Terminal("collection is off: set ENABLE_DATA_COLLECTION=true")
    if source == "s3" and settings.use_s3:
        raise SettingError(
            "USE_S3=true would ship what comes back into the bucket a second time: set "
            "USE_S3=false for the lake that it comes back into"
        )
    place = _place(settings, source)
    digest = mark if source == "s3" else _item_mark
    known = Known(lake.private / "backfill" / f"from-{source}.sqlite", lake, place, digest)
    opened = bucket_of(settings) if source == "s3" else DynamoTable.from_settings(settings)
    report, through, patience = Report(place), False, Patience(_say)
    try:
        parts = (
            pages(opened, known, patience) if isinstance(opened, DynamoTable)
            else objects(opened, known)
        )  # fmt: skip
        with Collector(settings) as collector:
            if said := known.said("report"):  # a run before this one was killed
                report = msgspec.json.decode(said, type=Report)
            bring(lake, parts, known, collector, report, digest, _progress, patience)
        through = True
    finally:
        known.close(forget=through)
        if isinstance(opened, DynamoTable):
            opened.close()
        else:
            opened.api.close()
    return report


def _item_mark(line: bytes) -> bytes:
    """What an item says of a line: names in any order, numbers by their value."""
    try:
        return mark(content_of(item_of(line).attributes))
    except Unfit:
        return mark(line)


def _place(settings: Settings, name: str) -> str:
    where = settings.aws_region
    if name == "s3":
        return f"bucket {settings.data_lake_bucket} in {where}"
    return f"table {settings.interactions_table} in {where}"


def _fine(report: Report) -> bool:
    return report.verified and "unreadable" not in report.left_out


def _row(report: Report) -> dict[str, object]:
    counts = {name: getattr(report, name)
              for name in ("read", "there", "filled", "superseded", "other", "extra")}  # fmt: skip
    return {
        "place": report.place, **counts, "left_out": report.left_out,
        "expected": _sum(report, "ours"), "found": _sum(report, "theirs"),
        "verified": _fine(report),
    }  # fmt: skip


def _sum(report: Report, which: str) -> dict[str, object]:
    total = getattr(report, which)
    return {"interactions": total.lines, "checksum": f"{total.checksum:016x}"}


def _told(report: Report) -> str:
    said = [f"{report.place}: {report.read:,} read, {report.there:,} were there, "
            f"{report.filled:,} put"]  # fmt: skip
    if report.superseded:
        said.append(f"{report.superseded:,} with the id of another one, of which one stands")
    said += [f"{lines:,} left out: {WHY[why]}" for why, lines in sorted(report.left_out.items())]
    if report.other:
        said.append(
            f"{report.other:,} not there, as another record has their id (--replace puts ours)"
        )
    if report.extra:
        said.append(f"{report.extra:,} there that the log does not have: run it again, and then "
                    "`lakeward doctor`")  # fmt: skip
    ours, theirs = report.ours, report.theirs
    if report.verified:
        end = f"verified: {ours.lines:,} interactions, checksum {ours.checksum:016x}"
    else:
        end = (f"NOT verified: {ours.lines:,} interactions with checksum {ours.checksum:016x} "
               f"belong there, {theirs.lines:,} with {theirs.checksum:016x} were read")  # fmt: skip
    return "\n  ".join([*said, end])


def _say(sentence: str) -> None:
    print(f"waiting: {sentence}", file=sys.stderr, flush=True)


def _progress(report: Report) -> None:
    if sys.stderr.isatty():
        print(f"\r{report.place}: {report.read:,} ", end="", file=sys.stderr, flush=True)
