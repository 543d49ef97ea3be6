"""What the lake costs: compaction, bytes, finding one interaction, erasing one user, freshness.

    compaction   the log of a million generated lines into the table (sorted, each id once,
                 enriched, committed) beside DuckDB's `COPY (FROM read_json(…)) TO …` of the same
                 files, which does none of that
    bytes        of the table for each interaction
    lookup       by id among fifty million rows, warm and cold, beside a scan of all ids. The table
                 is made once by `bigtable.py` and stays under `build/`
    erase        one user, finding and deleting included, beside rewriting by hand the files that
                 hold the user, were they known
    freshness    from `record()` until a question shows it, at a steady rate; what waits outside the
                 table meanwhile
    memory       ten million interactions compacted by the keeper's own child within 2 GiB, which
                 the system enforces

Blocks run in processes of their own (`lakework.py`), in turn.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from generator import batches
from lakeward.cli.compaction import ENVIRONMENT
from lakeward.collector import Collector
from lakeward.lake.progress import read_progress, waiting_bytes
from lakeward.lake.reading import open_reading
from lakeward.lakedir import open_lake
from lakeward.settings import load
from measure import HERE, Report, child, disk, interleaved, scratch, spread, table

ROWS = 1_000_000
BIG_ROWS = 50_000_000
BIG = HERE.parent / "build" / "lake-50m" / "lake"
MANY_ROWS = 10_000_000
LIMIT = 2 << 30
RATE = 3000
SECONDS = 45
MIB = 1 << 20
CHILD = "import sys; from lakeward.cli.compact import child; sys.exit(child(*sys.argv[1:]))"


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A scratch folder on a disk."""
    with tempfile.TemporaryDirectory(prefix="lakeward-bench-", dir=disk()) as path:
        yield Path(path)


def work(block: str, *arguments: object) -> dict[str, Any]:
    """Run a block in a process of its own, with malloc set as for the keeper's compactor."""
    found: dict[str, Any] = child(
        "lakework.py", block, *map(str, arguments), environ=ENVIRONMENT, seconds=3600
    )
    return found


def compaction(report: Report, rounds: int) -> None:
    """Compaction beside DuckDB's plain COPY, and the bytes of both."""
    found: dict[str, list[dict[str, Any]]] = {"compact": [], "default": [], "zstd": []}
    with folder() as scratched:
        root = scratched / "lake"
        size = work("fill", root, ROWS)["bytes"]
        for _, name in interleaved(list(found), rounds):
            if name == "compact":
                shutil.rmtree(root / "table", ignore_errors=True)
                (root / ".lakeward" / "table.json").unlink(missing_ok=True)
                found[name].append(work("compact", root))
            else:
                found[name].append(work("raw", root, scratched / "raw.parquet", name))
    names = {"compact": "Lakeward compacts", "default": "DuckDB `COPY`, as it comes",
             "zstd": "DuckDB `COPY`, the table's Parquet options"}  # fmt: skip
    rows = []
    for name, runs in found.items():
        cpu, wall = (spread([run[k] / ROWS * 1e6 for run in runs]) for k in ("cpu", "wall"))
        share = runs[0]["bytes"] / runs[0].get("rows", ROWS)
        memory = max(run["rss"] for run in runs) / MIB
        rows.append([names[name], cpu.text(), wall.text(), f"{share:.1f}", f"{memory:.0f}"])
    report.say(f"{ROWS:,} lines of {size / ROWS:.0f} bytes, two threads, {rounds} rounds.")
    head = ["", "CPU µs a line", "wall µs a line", "bytes a row", "MiB"]
    report.say(table(head, rows))
    last = found["compact"][-1]
    report.say(
        f"Merging its {last['commits']} files afterwards costs {last['merge_cpu'] / ROWS * 1e6:.2f}"
        f" µs of CPU a row and leaves {last['merged_bytes'] / last['rows']:.1f} bytes a row."
    )
    for what in ("cpu", "wall"):
        pairs = zip(found["default"], found["compact"], strict=True)
        ratio = spread([plain[what] / ours[what] for plain, ours in pairs])
        report.goal(f"throughput beside COPY ({what})", ratio.median, 0.85, "", at_most=False)
        report.figures[f"ratio_{what}"] = ratio
    report.goal("bytes of an interaction", last["merged_bytes"] / last["rows"], 41, "B")
    report.figures["compaction"] = found


def lookup(report: Report) -> None:
    """One id among fifty million."""
    subprocess.run([sys.executable, str(HERE / "bigtable.py"), str(BIG), str(BIG_ROWS)], check=True)
    found = work("get", BIG, 100, 7)
    scanned = work("scan", BIG)
    warm, cold = spread(found["warm"]), spread(found["cold"])
    rows = []
    for name, took in (
        ("warm: the connection is there", warm), ("cold: new connection, pages dropped", cold),
    ):  # fmt: skip
        faster = scanned["wall"] * 1000 / took.median
        rows.append([name, took.text(1), f"{faster:.0f}"])
    report.say(
        f"By id among {scanned['rows']:,} rows ({scanned['bytes'] / 1e9:.1f} GB); looking at every "
        f"id, pages warm, takes {scanned['wall']:.2f} s. A warm lookup costs "
        f"{found['warm_cpu_ms']:.1f} ms of CPU."
    )
    report.say(table(["", "ms p50 (least…most)", "times faster than a scan"], rows))
    report.goal("get by id, warm, p50", warm.median, 10, "ms")
    report.goal("get by id, cold, p50", cold.median, 30, "ms")
    report.figures["lookup"] = found | {"scan": scanned}


def erasing(report: Report, rounds: int) -> None:
    """One user of a table of six days, beside the same by hand."""
    ours, hand = [], []
    for number in range(rounds):
        with folder() as scratched:
            root = scratched / "lake"
            _few_days(root, 6)
            user = f"user-{number * 1000 + 17}"
            (scratched / "out").mkdir()
            hand.append(work("rewrite", root, user, scratched / "out"))
            ours.append(work("erase", root, user))
    rows = []
    for name, runs, kind in (
        ("Lakeward erases", ours, ""),
        ("by hand with DuckDB", hand, ""),
        ("by hand with pyarrow", hand, "arrow_"),
    ):
        spent = [spread([run[kind + what] for run in runs]).text() for what in ("cpu", "wall")]
        rows.append([name, *spent])
    report.say(f"A user in {hand[0]['files']} files of a million rows each.")
    report.say(table(["", "CPU s", "wall s"], rows))
    for what in ("cpu", "wall"):
        ratio = spread([a[what] / b[what] for a, b in zip(ours, hand, strict=True)])
        report.goal(f"erase beside rewriting by hand ({what})", ratio.median, 1.2, "")
    report.figures["erase"] = {"ours": ours, "hand": hand}


def _few_days(root: Path, days: int) -> None:
    """A lake whose table is the first days of the large one, without copying their bytes."""
    from lakeward.lake.delta import Table
    from lakeward.lake.storage import table_storage

    settings = load({}, root.parent)
    big = Table(table_storage(BIG, settings))
    small = Table(table_storage(open_lake(root).root, settings))
    files = sorted(big.snapshot().files.values(), key=lambda file: file.name)[:days]
    for file in files:
        target = root / "table" / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(BIG / "table" / file.name, target)
        except OSError:
            shutil.copyfile(BIG / "table" / file.name, target)
    small.commit(small.snapshot().version + 1, add=files)


def freshness(report: Report) -> None:
    """How long until a question shows what was just recorded, while compaction goes on."""
    shown: list[float] = []
    waiting: list[int] = []
    with scratch() as environ:
        settings = load(environ, Path(environ["LAKEWARD_LAKE_DIR"]).parent)
        ended = threading.Event()
        with Collector(settings) as collector:
            lake = open_lake(settings.lake_dir)
            feeder = threading.Thread(target=_feed, args=(collector, ended))
            feeder.start()
            try:
                stop = time.monotonic() + SECONDS
                while time.monotonic() < stop:
                    begun = time.perf_counter()
                    found = collector.record("click", path="/probe")
                    while not _is_shown(lake, settings, found):
                        pass
                    shown.append((time.perf_counter() - begun) * 1000)
                    waiting.append(waiting_bytes(lake))
                    time.sleep(0.5)
            finally:
                ended.set()
                feeder.join()
            done = read_progress(lake).done.counts
    took, tail = spread(shown), spread([size / MIB for size in waiting])
    report.say(
        f"At {RATE} lines a second for {SECONDS} s: a question that begins right after `record()` "
        f"shows it after {took.text(0)} ms; {tail.text(1)} MiB wait outside the table, "
        f"{done.added:,} rows are in it at the end."
    )
    report.goal("recorded → in the answer, p50", took.median / 1000, 1, "s")
    report.goal("recorded → in the answer, most", took.most / 1000, 1, "s")
    report.goal(
        "waiting outside the table, most", tail.most, 2 * settings.compact_bytes / MIB, "MiB"
    )
    report.figures["freshness"] = {"ms": shown, "waiting": waiting}


def _feed(collector: Collector, ended: threading.Event) -> None:
    began, put = time.monotonic(), 0
    for batch in batches(7, RATE * SECONDS * 2, 100):
        while not collector.put_batch(batch):
            time.sleep(0.01)
        put += len(batch)
        if ended.wait(max(began + put / RATE - time.monotonic(), 0)):
            return


def _is_shown(lake: Any, settings: Any, wanted: str | None) -> bool:
    with open_reading(lake, settings) as reading:
        question = "SELECT count(*) FROM interactions WHERE interaction_id = ?"
        answer = reading.con.execute(question, [wanted]).fetchone()
    return bool(answer and answer[0])


def memory(report: Report) -> None:
    """Ten million interactions through the keeper's own child, under the limit it sets itself."""
    with folder() as scratched:
        root = scratched / "lake"
        work("fill", root, MANY_ROWS)
        command = [sys.executable, "-c", CHILD, str(root), str(scratched)]
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, env=os.environ | {"LAKEWARD_COMPACT_MEMORY": str(LIMIT)}
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - begun
        rows = read_progress(open_lake(root)).done.counts.added
    cpu = used.ru_utime + used.ru_stime
    report.say(
        f"{MANY_ROWS:,} lines became {rows:,} rows under RLIMIT_DATA of {LIMIT // MIB} MiB in "
        f"{wall:.0f} s ({cpu:.0f} s of CPU), merging included; exit code {process.returncode}."
    )
    report.goal("largest resident memory", used.ru_maxrss / 1024, LIMIT / MIB, "MiB")
    report.goal("interactions in the table", rows, MANY_ROWS * 0.98, "rows", at_most=False)
    found = {"rss": used.ru_maxrss * 1024, "wall": wall, "cpu": cpu, "rows": rows}
    report.figures["memory"] = found


def main() -> None:
    """Measure all of it, or what LAKEWARD_BENCH_PARTS names."""
    report = Report("lake")
    rounds = report.rounds(3)
    parts: dict[str, Callable[[], None]] = {
        "compaction": lambda: compaction(report, rounds),
        "lookup": lambda: lookup(report),
        "erase": lambda: erasing(report, rounds),
        "freshness": lambda: freshness(report),
        "memory": lambda: memory(report),
    }
    for name in os.environ.get("LAKEWARD_BENCH_PARTS", ",".join(parts)).split(","):
        parts[name]()
    report.finish()


if __name__ == "__main__":
    main()
