"""What questions cost over many rows, beside ClickHouse (chdb) over the same files.

    python benchmarks/questions.py [--rounds N] [--json FILE] [--write]

Each run is a process of its own with two threads that asks twice; the second time counts, so that
neither engine pays for its start. Ours reads the lake as `lakeward ask` does, the table's log and
the tail included; chdb is handed the table's Parquet files. Both must find the same, or nothing is
measured. CPU time of the process while it answers, and the most memory it ever had.

LAKEWARD_BENCH_ROWS says how many rows, of several tables (10000000,50000000); they are made once by
`shop.py` and stay under `build/`. LAKEWARD_BENCH_PARTS names the questions of `question_cases.py`.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from lakeward.analysis.question import ask
from lakeward.lake.reading import open_reading
from lakeward.lakedir import open_lake
from lakeward.settings import load
from measure import HERE, Report, child, interleaved, spread, table
from question_cases import CASES, Case, Rows
from shop import build

ROWS = "10000000,50000000"
THREADS = 2
ENGINES = ("lakeward", "chdb")
MIB = 1 << 20
MEMORY = 8 << 30
"""What ours may take, so that nothing is spilt; what it took is in the table."""


def place(rows: int) -> Path:
    """Where the lake of so many rows is."""
    return HERE.parent / "build" / f"shop-{rows}" / "lake"


def asked(case: Case, root: Path) -> tuple[Callable[[], Rows], Callable[[Rows], object]]:
    """Our way."""
    reading = open_reading(open_lake(root), load({}, root.parent), threads=THREADS, memory=MEMORY)
    question = case.ask()
    return lambda: [list(row) for row in ask(reading, question).rows], case.ours


def rivalled(case: Case, root: Path) -> tuple[Callable[[], Rows], Callable[[Rows], object]]:
    """ClickHouse's way."""
    from chdb import session

    with open_reading(open_lake(root), load({}, root.parent)) as reading:
        files = {Path(file) for file in reading.files}
    folder = Path(os.path.commonpath(files))
    assert files == set(folder.glob("*/*.parquet")), (
        "a file that is not of the table's last version"
    )
    events = f"file('{folder}/*/*.parquet', Parquet)"
    query = f"{case.rival.replace('{events}', events)} SETTINGS max_threads = {THREADS}"
    clickhouse: Any = session.Session()  # type: ignore[no-untyped-call]  # chdb has no types

    def run() -> Rows:
        lines = str(clickhouse.query(query, "JSONCompactEachRow")).splitlines()
        return [json.loads(line) for line in lines]

    return run, case.theirs


def once(name: str, engine: str, root: Path) -> dict[str, Any]:
    """One process: asked twice, the second time counts."""
    case = CASES[name]
    run, told = (asked if engine == "lakeward" else rivalled)(case, root)
    run()
    cpu, wall = time.process_time(), time.perf_counter()
    rows = run()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"cpu": cpu, "wall": wall, "memory": most, "told": told(rows)}


def measured(report: Report, rows: int, names: list[str], rounds: int) -> None:
    """All questions over one table."""
    root = place(rows)
    root.parent.mkdir(parents=True, exist_ok=True)
    build(root, rows)
    lines, taken = [], {}
    for name in names:
        found: dict[str, list[dict[str, Any]]] = {engine: [] for engine in ENGINES}
        for _, engine in interleaved(ENGINES, rounds):
            found[engine].append(child("questions.py", "once", name, engine, str(root)))
        taken[name] = found
        lines.append(_line(report, rows, name, found))
    report.figures[str(rows)] = taken
    report.say(f"{rows:,} rows, {THREADS} threads, {rounds} rounds.")
    head = ["question", "CPU s", "chdb, CPU s", "ratio of the round", "wall s", "chdb, wall s",
            "most memory, MiB", "chdb, MiB"]  # fmt: skip
    report.say(table(head, lines))


def _line(
    report: Report, rows: int, name: str, found: dict[str, list[dict[str, Any]]]
) -> list[str]:
    ours, theirs = found["lakeward"], found["chdb"]
    for one, other in zip(ours, theirs, strict=True):
        assert one["told"] == other["told"], f"{name}: {one['told']} and {other['told']}"
    ratio = spread([a["cpu"] / b["cpu"] for a, b in zip(ours, theirs, strict=True)])
    million = rows // 1_000_000
    report.goal(f"{name}, {million} million rows", ratio.median, CASES[name].goal, "of chdb's CPU")
    cells = [spread([one["cpu"] for one in each]).text() for each in (ours, theirs)]
    cells += [ratio.text()]
    cells += [spread([one["wall"] for one in each]).text() for each in (ours, theirs)]
    cells += [f"{max(one['memory'] for one in each) / MIB:.0f}" for each in (ours, theirs)]
    return [name, *cells]


def main() -> None:
    """Measure all of it, or what the environment names."""
    if sys.argv[1:2] == ["once"]:
        found = once(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
        print(msgspec.json.encode(found).decode())
        return
    report = Report("questions")
    names = os.environ.get("LAKEWARD_BENCH_PARTS", ",".join(CASES)).split(",")
    for rows in map(int, os.environ.get("LAKEWARD_BENCH_ROWS", ROWS).split(",")):
        measured(report, rows, names, report.rounds(5))
    for name in names:
        report.say(f"`{name}`: {CASES[name].what}.")
    report.finish()


if __name__ == "__main__":
    main()
