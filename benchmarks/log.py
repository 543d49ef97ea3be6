"""What a durable append costs: Lakeward's keeper, SQLite, and the scheme it replaces.

The same prepared lines (an `api_call` each, as the collector encodes them) go three ways, in
batches that are durable when the batch is done:

    lakeward   the lines stand in a ring, as the application left them; one round of the keeper
               drains it, notes its intent in the ledger, appends, calls fdatasync, publishes and
               releases the ring. Putting them into the ring is the application's work: measured
               beside it.
    sqlite     one transaction a batch, WAL, synchronous=FULL, one BLOB column.
    original   one pretty-printed .json file for each event and a line appended to a summary, as the
               seed describes it; it knows no batches and makes nothing durable.

All in one process, on a disk, in turn; what counts is the process's CPU time, the kernel's work
for its system calls included.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from uuid_utils import uuid7

from lakeward.interaction import ApiCall
from lakeward.keeper import Keeper, take_lock
from lakeward.lakedir import open_lake
from lakeward.ring import Label, Ring, create
from measure import Report, disk, interleaved, scratch, spread, table
from traffic import fields

BATCHES = {1: 150, 10: 100, 100: 60, 1000: 40}
"""Batch size → batches in a block."""
ORIGINAL_EVENTS = 300
ROUNDS = 9
TIMES_SQLITE, TIMES_ORIGINAL, EVENT_US = 3.0, 100.0, 1.0

Way = Callable[[list[bytes]], dict[str, float]]
"""Appends one batch; CPU and wall seconds of what counts."""


def records(count: int) -> list[ApiCall]:
    """Interactions as a collector makes them."""
    return [
        ApiCall(str(uuid7()), "2025-08-14T16:11:28.677Z", "development", "1.0.0", "api_call",
                **fields(n))
        for n in range(count)
    ]  # fmt: skip


def timed(work: Callable[[], object]) -> dict[str, float]:
    """CPU and wall seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


@contextlib.contextmanager
def lakeward(folder: Path, rings: Path) -> Iterator[Way]:
    """A keeper in this process with one ring."""
    lake = open_lake(folder / "lake")
    label = Label(pid=0, host="bench", service="log", version="", started="")
    identity = lake.identity
    ring: Ring = create(rings, lake_id=identity.lake_id, epoch=identity.epoch,
                        total=32 << 20, lanes=16, frame=1 << 20, label=label)  # fmt: skip
    keeper = Keeper(lake, rings)

    def append(lines: list[bytes]) -> dict[str, float]:
        put = timed(lambda: [ring.append(line) for line in lines])
        found = timed(keeper.round)
        assert ring.reached(ring.mark()), "one round must drain the ring"
        return found | {"put": put["cpu"]}

    keeper._lock = take_lock(lake, 0.0)
    with keeper.opened():
        yield append
    ring.close()
    os.close(keeper._lock)


@contextlib.contextmanager
def sqlite(folder: Path) -> Iterator[Way]:
    """A table of lines in SQLite."""
    base = sqlite3.connect(folder / "lines.db", isolation_level=None)
    assert base.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
    base.execute("PRAGMA synchronous=FULL")
    base.execute("CREATE TABLE log (seq INTEGER PRIMARY KEY, line BLOB)")

    def insert(lines: list[bytes]) -> None:
        base.execute("BEGIN IMMEDIATE")
        base.executemany("INSERT INTO log (line) VALUES (?)", [(line,) for line in lines])
        base.execute("COMMIT")

    yield lambda lines: timed(lambda: insert(lines))
    base.close()


def original(folder: Path, events: list[dict[str, Any]]) -> Callable[[], None]:
    """The seed's scheme, encoding included: a pretty file for each event, a line in the summary."""
    day = folder / "raw" / "year=2025" / "month=08" / "day=14"

    def write() -> None:
        for event in events:
            day.mkdir(parents=True, exist_ok=True)
            (day / f"{event['interaction_id']}.json").write_text(json.dumps(event, indent=2))
            with (day / "daily_summary.jsonl").open("a") as summary:
                summary.write(json.dumps(event) + "\n")

    return write


def original_prepared(folder: Path, events: list[dict[str, Any]]) -> Callable[[], None]:
    """The same with its bytes prepared: only the files."""
    day = folder / "prepared" / "year=2025" / "month=08" / "day=14"
    ready = [
        (f"{event['interaction_id']}.json", json.dumps(event, indent=2), json.dumps(event) + "\n")
        for event in events
    ]

    def write() -> None:
        for name, pretty, line in ready:
            day.mkdir(parents=True, exist_ok=True)
            (day / name).write_text(pretty)
            with (day / "daily_summary.jsonl").open("a") as summary:
                summary.write(line)

    return write


def measure_ways(rounds: int) -> dict[str, list[dict[str, float]]]:
    """Per event: CPU µs and wall µs of each way and batch, in turn."""
    found: dict[str, list[dict[str, float]]] = {}
    encode = msgspec.json.Encoder().encode
    lines = [encode(record) for record in records(1000)]
    folder = Path(tempfile.mkdtemp(prefix="lakeward-bench-", dir=disk()))
    try:
        with (
            scratch() as environ,
            lakeward(folder, Path(environ.get("LAKEWARD_RING_DIR", folder))) as keeper,
            sqlite(folder) as base,
        ):
            ways: dict[str, Way] = {"lakeward": keeper, "sqlite": base}
            names = [f"{way}/{size}" for size in BATCHES for way in ways]
            for number, name in interleaved([*names, "original", "prepared"], rounds + 1):
                made = one_block(name, ways, lines, folder)
                if number:
                    found.setdefault(name, []).append(made)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def one_block(
    name: str, ways: dict[str, Way], lines: list[bytes], folder: Path
) -> dict[str, float]:
    """Figures of one way and batch, per event, in µs."""
    if name in ("original", "prepared"):
        events = [msgspec.to_builtins(record) for record in records(ORIGINAL_EVENTS)]
        write = (original if name == "original" else original_prepared)(folder, events)
        took, count = timed(write), ORIGINAL_EVENTS
    else:
        way, size = name.split("/")
        batch, took = lines[: int(size)], {"cpu": 0.0, "wall": 0.0}
        for _ in range(BATCHES[int(size)]):
            for key, seconds in ways[way](batch).items():
                took[key] = took.get(key, 0.0) + seconds
        count = int(size) * BATCHES[int(size)]
    return {key: seconds / count * 1e6 for key, seconds in took.items()}


def report_rows(report: Report, found: dict[str, list[dict[str, float]]]) -> None:
    """A row for each way and batch."""
    order = [f"{way}/{size}" for size in BATCHES for way in ("lakeward", "sqlite")]
    rows = []
    for name in [*order, "prepared", "original"]:
        way, _, batch = name.partition("/")
        cpu, wall = (spread([block[key] for block in found[name]]) for key in ("cpu", "wall"))
        put = spread([block.get("put", 0.0) for block in found[name]])
        ring = put.text() if way == "lakeward" else ""
        rows.append([way, batch, cpu.text(), ring, f"{1e6 / wall.median:,.0f}"])
    report.say(
        f"Medians of {len(found['original'])} rounds (least…most); events a second by wall time; "
        "`prepared` is `original` with its bytes encoded beforehand."
    )
    report.say(table(["way", "batch", "CPU µs/event", "into the ring", "events/s"], rows))


def hold(report: Report, found: dict[str, list[dict[str, float]]]) -> None:
    """The goals: ratios of the same round, and the cost of a large batch."""

    def ratio(above: str, below: str) -> float:
        pairs = zip(found[above], found[below], strict=True)
        return spread([a["cpu"] / b["cpu"] for a, b in pairs]).median

    for size in BATCHES:
        times = ratio(f"sqlite/{size}", f"lakeward/{size}")
        name = f"sqlite ÷ lakeward, CPU, batches of {size}"
        report.goal(name, times, TIMES_SQLITE, "", at_most=False)
    largest = max(BATCHES)
    for way in ("original", "prepared"):
        times = ratio(way, f"lakeward/{largest}")
        name = f"{way} ÷ lakeward, CPU, batches of {largest}"
        report.goal(name, times, TIMES_ORIGINAL, "", at_most=False)
    cpu = spread([block["cpu"] for block in found[f"lakeward/{largest}"]]).median
    report.goal(f"lakeward: CPU per event, batches of {largest}", cpu, EVENT_US, "µs")


def main() -> None:
    """Measure and report."""
    report = Report("log")
    found = measure_ways(report.rounds(ROUNDS))
    report.figures = found
    report_rows(report, found)
    hold(report, found)
    report.finish()


if __name__ == "__main__":
    main()
