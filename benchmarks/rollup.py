"""What a dashboard's questions cost over a long history: from roll-ups, and from rows.

    python benchmarks/rollup.py [--rounds N] [--json FILE] [--write]

The ten questions of an overview, each asked by a process of its own; that of roll-ups has asked it
before, as a server's has. What counts is CPU time of all its threads (two), from the question to
the rows of its answer. The lake is the shop of `questions.py`, with the same heavy-tailed users;
LAKEWARD_BENCH_ROWS says how many rows (50000000). Roll-ups are made once, as the keeper makes them,
and stay under `build/`; what they take on disk is said. Counts of both must be equal, percentiles
and units as close as the answer says, or nothing is measured.
"""

from __future__ import annotations

import math
import os
import resource
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from bigtable import START_MS
from lakeward.analysis.api_health import ApiHealth
from lakeward.analysis.question import Answer, ask
from lakeward.analysis.rollup.build import Builder
from lakeward.analysis.trend import Series, Trend
from lakeward.lake.reading import open_reading
from lakeward.lakedir import open_lake
from lakeward.settings import load
from measure import Report, child, spread, table
from question_cases import SINCE, UNTIL
from questions import place
from shop import build

ROWS: Final = "50000000"
GOAL_MS: Final = 100.0
MIB: Final = 1 << 20
ROWS_MEMORY: Final = 6 << 30
"""What the rows of so long a history need; roll-ups do with the usual gigabyte."""
DAY: Final = timedelta(days=1)
API: Final = "api_call"
ASKED: Final[dict[str, Any]] = {
    "today and yesterday, by hour": Trend(grain="hour", since=UNTIL - 2 * DAY),
    "types, by day": Trend(by=("interaction_type",)),
    "errors and their rate, by day": Trend(
        series=(Series(event=API, metric="errors"), Series(event=API, metric="error_rate"))
    ),
    "p95 of the API, by day": Trend(series=(Series(event=API, metric="p95"),)),
    "routes: calls, errors, p50, p95, p99": ApiHealth(since=UNTIL - 30 * DAY, until=UNTIL),
    "visitors, by day": Trend(series=(Series(metric="units"),), unit="visitor"),
    "visitors, by month": Trend(series=(Series(metric="units"),), unit="visitor", grain="month"),
    "pages": Trend(series=(Series(event="page_view"),), by=("path",), grain=None),
    "devices, by week": Trend(by=("device",), grain="week"),
    "purchases, by day in Lisbon": Trend(
        series=(Series(event="purchase"), Series(event="checkout_start")), zone="Europe/Lisbon"
    ),
}
"""An overview's questions; the bench's lake has no AI turns, whose cost is asked of rows."""


def once(name: str, exact: bool, root: Path) -> dict[str, Any]:
    """One process: asked twice, the second time counts."""
    question = msgspec.structs.replace(ASKED[name], exact=exact)
    memory = ROWS_MEMORY if exact else 1 << 30
    settings = load({}, root.parent)
    with open_reading(open_lake(root), settings, threads=2, memory=memory) as reading:
        if not exact:
            ask(reading, question)
        cpu, wall = time.process_time(), time.perf_counter()
        answer = ask(reading, question)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    assert answer.source == ("rows" if exact else "rollups")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"cpu": cpu, "wall": wall, "memory": most, "told": told(answer)}


def told(answer: Answer) -> list[Any]:
    """The answer's rows, with what each column says of how close it is."""
    docs = [column.doc for column in answer.columns]
    close = [0.0101 if "Within" in doc else 0.08 if "estimate" in doc else 1e-9 for doc in docs]
    rows = msgspec.json.decode(msgspec.json.encode(answer.rows))
    return [close, rows]


def agree(one: list[Any], other: list[Any]) -> bool:
    """Whether what roll-ups tell is what rows tell."""
    close, left = one
    return len(left) == len(other[1]) and all(
        a == b or (isinstance(a, int | float) and math.isclose(a, b, rel_tol=tolerance))
        for x, y in zip(left, other[1], strict=True)
        for a, b, tolerance in zip(x, y, close, strict=True)
    )


def roll(root: Path) -> dict[str, float]:
    """Make the roll-ups that are not there yet."""
    settings = load({}, root.parent)
    made = Builder(open_lake(root), settings).run()
    cpu = resource.getrusage(resource.RUSAGE_SELF)
    size = sum(path.stat().st_size for path in (root / "table").rglob("*.parquet"))
    return {
        "rows": made.rows, "cpu": cpu.ru_utime + cpu.ru_stime, "bytes": made.bytes,
        "table": size, "covered": made.covered, "total": made.total,
    }  # fmt: skip


def measured(report: Report, rows: int, rounds: int) -> None:
    """All questions over one table."""
    root = place(rows)
    root.parent.mkdir(parents=True, exist_ok=True)
    build(root, rows)
    made = child("rollup.py", "roll", str(root), seconds=7200)
    assert made["covered"] == made["total"]
    lines, taken = [], {}
    for name in ASKED:
        quick = [child("rollup.py", "once", name, "rollups", str(root)) for _ in range(rounds)]
        slow = [child("rollup.py", "once", name, "rows", str(root))]
        assert agree(quick[0]["told"], slow[0]["told"]), name
        for each in (*quick, *slow):
            del each["told"]
        taken[name] = {"rollups": quick, "rows": slow}
        cpu = spread([each["cpu"] * 1000 for each in quick])
        report.goal(f"{name}, {rows // 1_000_000} million rows", cpu.median, GOAL_MS, "ms of CPU")
        lines.append([name, cpu.text(1), f"{slow[0]['cpu'] * 1000:.0f}",
                      f"{max(each['memory'] for each in quick) / MIB:.0f}"])  # fmt: skip
    report.figures[str(rows)] = {"made": made, "asked": taken}
    report.say(f"{rows:,} rows in {round((UNTIL - SINCE) / DAY)} days, {rounds} rounds.")
    head = ["question", "CPU ms, roll-ups", "CPU ms, rows", "most memory, MiB"]
    report.say(table(head, lines))
    said = f"Roll-ups take {made['bytes'] / MIB:.0f} MiB beside {made['table'] / MIB:.0f} MiB"
    if made["rows"]:
        each = made["cpu"] / made["rows"] * 1e6
        said += f" and took {each:.1f} µs of CPU for each row"
    report.say(f"{said}.")


def main() -> None:
    """Measure all of it, or what the environment names."""
    assert SINCE.timestamp() * 1000 == START_MS
    if sys.argv[1:2] == ["once"]:
        found: object = once(sys.argv[2], sys.argv[3] == "rows", Path(sys.argv[4]))
    elif sys.argv[1:2] == ["roll"]:
        found = roll(Path(sys.argv[2]))
    else:
        report = Report("rollup")
        for rows in map(int, os.environ.get("LAKEWARD_BENCH_ROWS", ROWS).split(",")):
            measured(report, rows, report.rounds(5))
        report.finish()
        return
    print(msgspec.json.encode(found).decode())


if __name__ == "__main__":
    main()
