"""What an interaction weighs and asks for, wherever it goes: the figures of docs/scale.md.

    bytes        of a line in the log, in the archive (gzip), as an item, as a row of the table
    requests     of shipping, of compaction into a bucket, of compaction from the archive
    CPU          of shipping to S3 and to DynamoDB, of compaction into a bucket; AWS is an emulator
                 in a process of its own, whose time counts for nobody
    columns      bytes of the columns that each saved question of Athena reads

The lines are those of `generator.py`. Requests are counted in the emulator's own log. With
`--write` the figures go to `scale.json`, too, from which the page's tables are made
(`scale_page.py`).
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import Any

import boto3
import msgspec
import pyarrow.parquet as pq

from lakeward.aws.questions import saved
from lakeward.followers.cursor import Cursor
from lakeward.followers.protocol import Slice
from lakeward.followers.slices import Lookout, Stretch
from lakeward.lake.archive import Archive
from lakeward.lake.columns import COLUMNS
from lakeward.lake.compact import Compactor
from lakeward.lake.delta import Table, local_path
from lakeward.lake.merge import merge
from lakeward.lake.storage import table_storage
from lakeward.lakedir import LakeDir, open_lake
from lakeward.log import durable_files, read_published
from lakeward.settings import Settings, load
from lakeward.sinks.blueprint import create_table
from lakeward.sinks.dynamodb import DynamoTable
from lakeward.sinks.item import item_of
from lakeward.sinks.s3 import S3Archive
from lakework import fill
from measure import HERE, Report, disk, spread, table

ROWS = 200_000
ITEMS = 10_000
MEMORY = 1 << 30
BUCKET = "lake"
FIGURES = HERE / "scale.json"
REQUEST = re.compile(r'"(GET|PUT|POST|HEAD|DELETE) (\S*) HTTP')


class Emulator:
    """moto in a process of its own, and what was asked of it."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process, self.endpoint, self._log = process, f"http://127.0.0.1:{port}", log
        self._seen = 0

    def asked(self) -> Counter[str]:
        """Requests since the last look, by kind: a GET with a query lists."""
        time.sleep(0.2)
        text = self._log.read_bytes()
        new, self._seen = text[self._seen :].decode("utf-8", "replace"), len(text)
        kinds: Counter[str] = Counter()
        for method, path in REQUEST.findall(new):
            listing = method == "GET" and "list-type" in path
            kinds["LIST" if listing else method] += 1
        return kinds


@contextmanager
def emulator() -> Iterator[Emulator]:
    """Started, and ended by its own id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="lakeward-bench-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            for _ in range(600):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield Emulator(process, port, log)
        finally:
            process.terminate()
            process.wait()


def settings_of(root: Path, endpoint: str, **more: str) -> Settings:
    """Of a lake that ships to the emulator."""
    return load({
        "LAKEWARD_LAKE_DIR": str(root), "DATA_LAKE_BUCKET": BUCKET, "INTERACTIONS_TABLE": "items",
        "AWS_REGION": "us-east-1", "LAKEWARD_AWS_ENDPOINT": endpoint,
        "AWS_ACCESS_KEY_ID": "AKIABENCHBENCHBENCH0", "AWS_SECRET_ACCESS_KEY": "of-benchmarks",
        **more,
    }, root.parent)  # fmt: skip


def slices(lake: LakeDir, size: int) -> Iterator[Slice]:
    """The log in slices of about so many bytes, as a follower gets them."""
    published = read_published(lake.private / "published")
    assert published is not None
    for segment, end in durable_files(lake, published):
        lines: list[bytes] = []
        start = 0
        stretch = Stretch(segment, 0, end, False, True)
        for _, stop, line in Lookout(lake).lines(stretch):
            lines.append(line)
            if stop - start >= size or stop == end:
                first, last = Cursor(1, segment.number, start), Cursor(1, segment.number, stop)
                yield Slice(first, last, tuple(lines), "2025-08-11")
                lines, start = [], stop


def shipping(root: Path, cloud: Emulator, found: dict[str, Any], rounds: int) -> None:
    """To S3 in objects of 16 MiB of lines, and of a thousandth of that."""
    settings, lake = settings_of(root, cloud.endpoint), open_lake(root)
    pieces = list(slices(lake, settings.s3_bytes))
    cpu = []
    for _ in range(rounds):
        boto = boto3.resource("s3", endpoint_url=cloud.endpoint, aws_access_key_id="x",
                              aws_secret_access_key="x", region_name="us-east-1")  # fmt: skip
        boto.Bucket(BUCKET).objects.all().delete()
        archive = S3Archive.from_settings(settings, lake)
        cloud.asked()
        began = time.process_time()
        for piece in pieces:
            archive.deliver(piece)
        cpu.append((time.process_time() - began) / ROWS * 1e6)
        asked = cloud.asked()
        sizes = [one.size for one in boto.Bucket(BUCKET).objects.all()]
        archive.close()
    found |= {
        "ship_s3_cpu_us": spread(cpu), "objects": len(pieces), "ship_s3_requests": dict(asked),
        "archive_bytes": sum(sizes) / ROWS,
    }  # fmt: skip


def putting(root: Path, cloud: Emulator, found: dict[str, Any], rounds: int) -> None:
    """Items: what they weigh, in write units, and what putting them costs."""
    settings, lake = settings_of(root, cloud.endpoint), open_lake(root)
    create_table(settings)
    pieces, lines = [], 0
    for piece in slices(lake, 300_000):
        pieces.append(piece)
        lines += len(piece.lines)
        if lines >= ITEMS:
            break
    items = [item_of(line) for piece in pieces for line in piece.lines]
    units = held = 0
    for item in items:
        indexes = sum(name in item.attributes for name in ("user_id", "session_id"))
        units += ceil(item.size / 1024) * (1 + indexes)
        held += indexes
    cpu = []
    for _ in range(rounds):
        sink = DynamoTable.from_settings(settings)
        cloud.asked()
        began = time.process_time()
        for piece in pieces:
            sink.deliver(piece)
        cpu.append((time.process_time() - began) / lines * 1e6)
        requests = cloud.asked()["POST"]
        sink.close()
    found |= {
        "ship_dynamodb_cpu_us": spread(cpu), "item_bytes": sum(i.size for i in items) / len(items),
        "write_units": units / len(items), "indexes": held / len(items),
        "items_of_a_request": lines / requests,
    }  # fmt: skip


def compacting(root: Path, cloud: Emulator, found: dict[str, Any]) -> None:
    """The log into a table in the bucket, as the keeper's child does; then the archive into one."""
    for name, prefix in (("log", "one"), ("archive", "two")):
        settings = settings_of(root, cloud.endpoint, LAKEWARD_TABLE=f"s3://{BUCKET}/{prefix}/table")
        lake = open_lake(root if name == "log" else root.parent / "elsewhere")
        made = Table(table_storage(lake.root, settings))
        source = None if name == "log" else Archive(S3Archive.from_settings(settings, lake)._bucket)
        cloud.asked()
        began = time.process_time()
        compactor = Compactor(lake, made, memory=MEMORY, source=source)
        report = compactor.run()
        compactor.close()
        found[f"compact_{name}"] = {
            "cpu_us": (time.process_time() - began) / ROWS * 1e6, "commits": report.commits,
            "rows": report.added, "requests": dict(cloud.asked()),
        }  # fmt: skip


def reading(root: Path, found: dict[str, Any]) -> None:
    """A merged table on the disk: bytes of a row, of each column, of what questions read."""
    settings = load({"LAKEWARD_LAKE_DIR": str(root)}, root.parent)
    lake = open_lake(root)
    made = Table(table_storage(root, settings))
    compactor = Compactor(lake, made, memory=MEMORY)
    compactor.run()
    merge(compactor.con, made, compactor.scratch, closed_before="9999-12-31")
    compactor.close()
    columns: Counter[str] = Counter()
    rows = size = 0
    for file in made.snapshot().files.values():
        meta = pq.read_metadata(local_path(made.storage, file.name))
        rows, size = rows + meta.num_rows, size + file.bytes
        for group in range(meta.num_row_groups):
            for n in range(meta.num_columns):
                column = meta.row_group(group).column(n)
                columns[column.path_in_schema.split(".")[0]] += column.total_compressed_size
    questions = {}
    for one in saved(settings):
        if one.sql:
            named = {name for name in COLUMNS if re.search(rf"\b{name}\b", one.sql)}
            questions[one.name] = sum(columns[name] for name in named) / rows
    found |= {
        "table_bytes": size / rows, "rows_of_lines": rows / ROWS,
        "files": len(made.snapshot().files), "athena_bytes": questions,
    }  # fmt: skip


def main() -> None:
    """All figures, as tables."""
    report = Report("scale")
    rounds, found = report.rounds(3), dict[str, Any]()
    folder = Path(tempfile.mkdtemp(prefix="lakeward-bench-", dir=disk()))
    try:
        found["line_bytes"] = fill(str(folder / "lake"), str(ROWS))["bytes"] / ROWS
        reading(folder / "lake", found)
        with emulator() as cloud:
            client = boto3.client("s3", endpoint_url=cloud.endpoint, aws_access_key_id="x",
                                  aws_secret_access_key="x", region_name="us-east-1")  # fmt: skip
            client.create_bucket(Bucket=BUCKET)
            shipping(folder / "lake", cloud, found, rounds)
            putting(folder / "lake", cloud, found, rounds)
            (folder / "lake" / ".lakeward" / "table.json").unlink()
            compacting(folder / "lake", cloud, found)
    finally:
        shutil.rmtree(folder)
    tell(report, found)
    report.figures = found
    report.finish()
    if report.arguments.write:
        FIGURES.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")


def tell(report: Report, found: dict[str, Any]) -> None:
    """The tables of README.md."""
    report.say(f"{ROWS:,} lines, of which {found['rows_of_lines']:.1%} are rows of the table.")
    report.say(table(["bytes of an interaction", ""], [
        ["line of the log", f"{found['line_bytes']:.0f}"],
        ["in the archive", f"{found['archive_bytes']:.1f}"],
        ["row of the table, merged", f"{found['table_bytes']:.1f}"],
        ["item in DynamoDB", f"{found['item_bytes']:.0f}"],
    ]))  # fmt: skip
    report.say(table(["shipping", "CPU µs an interaction", "requests"], [
        ["to S3, 16 MiB an object", found["ship_s3_cpu_us"].text(),
         f"{found['ship_s3_requests']} for {found['objects']} objects"],
        ["to DynamoDB", found["ship_dynamodb_cpu_us"].text(),
         f"one for {found['items_of_a_request']:.1f} items, "
         f"{found['write_units']:.2f} write units an item"],
    ]))  # fmt: skip
    report.say(table(["compaction into a bucket", "CPU µs a line", "commits", "requests"], [
        [name, f"{found[key]['cpu_us']:.1f}", str(found[key]["commits"]),
         ", ".join(f"{n} {kind}" for kind, n in sorted(found[key]["requests"].items()))]
        for name, key in (("from the log", "compact_log"), ("from the archive", "compact_archive"))
    ]))  # fmt: skip
    read = sorted(found["athena_bytes"].values())
    report.say(
        f"Columns that a saved question of Athena reads: {read[0]:.1f} to {read[-1]:.1f} bytes a "
        f"row, {read[len(read) // 2]:.1f} in the middle of {len(read)} questions."
    )


if __name__ == "__main__":
    main()
