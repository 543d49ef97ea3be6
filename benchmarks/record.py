"""What recording costs the calling thread: time per call, memory per worker, starting a keeper.

Each round runs in fresh processes. A stall is a keeper stopped by SIGSTOP, as one that waits for a
dead disk: nothing is drained and its heartbeat goes stale. The ring is large enough for the run, so
that every call takes the whole way; a dropped record spoils the run and is shown.

Per-call times are `perf_counter_ns` around each call of a tight loop, less the median of two
readings of that clock back to back. These are wall times: they include waiting for the GIL and
whatever else ran on the machine.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Callable, Coroutine
from typing import Any

from measure import Report, child, interleaved, keeper_pid, quantile, scratch, spread, table

RING_BYTES = 256 << 20
SINGLE, THREADS, EACH = 40_000, 8, 10_000
MEMORY_CALLS = 100_000
ROUNDS = 7
QUANTILES = ("p50", "p99", "p99.9")
WAYS = ("record", "new paths", "app alone", "middleware")
KEEP = """
from argparse import Namespace
from lakeward.cli.run import run
from lakeward.settings import load
run(load(), Namespace())
"""
P50_US, IN_ALL_US, P99_US, DISABLED_US = 4.0, 6.5, 25.0, 0.2
WORKER_MB, SPAWN_MS = 20.0, 10.0

Timer = Callable[[int, int], "array[int]"]
"""Given the number of the first call and how many to make: nanoseconds of each."""


def clock_overhead() -> int:
    """Median of what two readings of the clock back to back show, in ns."""
    clock = time.perf_counter_ns
    return sorted(-clock() + clock() for _ in range(20_001))[10_000]


def time_record(collector: Any, paths: list[str]) -> Timer:
    """Each call of `record` for an `api_call` with the default fields."""
    record = collector.record
    clock = time.perf_counter_ns

    def run(first: int, count: int) -> array[int]:
        times = array("Q", bytes(8 * count))
        for n in range(count):
            path = paths[(first + n) % len(paths)]
            began = clock()
            record(
                "api_call", method="GET", path=path, response_status=200, response_time_ms=8.214,
                ip_address="203.0.113.7", user_agent="Mozilla/5.0 (X11; Linux x86_64) Chrome/139",
                session_id="0198a3c1-7d2e-8f40-9c3b-2f1d5e6a7b8c",
            )  # fmt: skip
            times[n] = clock() - began
        return times

    return run


def time_app(collector: Any) -> Timer:
    """Each call of an application that does nothing, inside the middleware of `collector`."""
    import traffic
    from lakeward.capture.asgi import LakewardMiddleware

    async def nothing(scope: traffic.Scope, receive: traffic.Receive, send: traffic.Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    app: traffic.App = LakewardMiddleware(nothing, collector) if collector else nothing
    made = traffic.scopes(2000)
    clock = time.perf_counter_ns

    def run(first: int, count: int) -> array[int]:
        times = array("Q", bytes(8 * count))
        for n in range(count):
            scope = dict(made[(first + n) % len(made)])
            began = clock()
            _finish(app(scope, traffic.receive, traffic.send))  # type: ignore[arg-type]  # a coroutine
            times[n] = clock() - began
        return times

    return run


def _finish(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never waits."""
    with contextlib.suppress(StopIteration):
        coroutine.send(None)


def timer(way: str, collector: Any) -> Timer:
    """The loop that measures `way`."""
    if way in ("middleware", "app alone"):
        return time_app(collector if way == "middleware" else None)
    if way == "new paths":
        return time_record(collector, [f"/api/new/{n:x}/{n}" for n in range(SINGLE * 2)])
    return time_record(collector, [f"/api/partners/{n}" for n in range(997)])


def in_threads(run: Timer) -> list[int]:
    """Times of all threads together."""
    results: list[array[int]] = []
    barrier = threading.Barrier(THREADS)

    def work(number: int) -> None:
        barrier.wait()
        results.append(run(number * EACH, EACH))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [ns for result in results for ns in result]


def time_calls(way: str, stall: bool) -> dict[str, Any]:
    """One block in this process: a single thread, then eight."""
    from lakeward import Collector
    from lakeward.settings import load

    settings = load()
    keeper = subprocess.Popen([sys.executable, "-c", KEEP], stderr=subprocess.DEVNULL)
    try:
        keeper_pid(settings.lake_dir)
        collector = Collector(settings)
        run = timer(way, collector)
        run(0, 2000)
        collector.commit()
        if stall:
            os.kill(keeper.pid, signal.SIGSTOP)
            time.sleep(2.5)
        overhead = clock_overhead()
        gc.collect()
        found: dict[str, Any] = {"overhead_ns": overhead}
        for name, times in (("1", run(2000, SINGLE)), (str(THREADS), in_threads(run))):
            ordered = sorted(ns - overhead for ns in times)
            found[name] = {q: quantile(ordered, float(q[1:]) / 100) / 1e3 for q in QUANTILES}
        found["reasons"] = collector.stats()["reasons"]
        found["ring_bytes"] = collector.stats()["ring"]["bytes"]
        os.kill(keeper.pid, signal.SIGCONT)
        collector.close()
        return found
    finally:
        keeper.terminate()
        keeper.wait(10)


def time_disabled() -> dict[str, float]:
    """CPU of one call when collection is off, beside a call of a function that does nothing; the
    loop around them is subtracted."""
    from lakeward import Collector

    collector = Collector.from_env()
    assert not collector.settings.collect

    def nothing(kind: str, /, **fields: Any) -> None:
        return None

    found: dict[str, list[float]] = {"record": [], "nothing": []}
    calls = range(50_000)
    for _ in range(15):
        began = time.process_time_ns()
        for _ in calls:
            pass
        loop = time.process_time_ns() - began
        for name, function in (("record", collector.record), ("nothing", nothing)):
            began = time.process_time_ns()
            for _ in calls:
                function("api_call", method="GET", path="/api/partners", response_status=200,
                         response_time_ms=8.2, ip_address="203.0.113.7", user_agent="curl/8.8.0",
                         session_id="0198a3c1-7d2e-8f40-9c3b-2f1d5e6a7b8c")  # fmt: skip
            found[name].append((time.process_time_ns() - began - loop) / len(calls) / 1e3)
    return {name: spread(times).median for name, times in found.items()}


def start() -> dict[str, float]:
    """Milliseconds of the calling thread: opening the ring in a lake that exists, then starting
    the keeper, then until the keeper's first sign of life."""
    from lakeward.attachment import Attachment
    from lakeward.lakedir import open_lake
    from lakeward.settings import load

    settings = load()
    open_lake(settings.lake_dir)
    began = time.perf_counter()
    attachment = Attachment(settings)
    opened = time.perf_counter()
    cpu = time.thread_time()
    attachment.ensure_keeper()
    cpu = time.thread_time() - cpu
    started = time.perf_counter()
    while not attachment.ring.beat[0] and time.perf_counter() < started + 10:
        time.sleep(0.001)
    seen = time.perf_counter()
    attachment.close(2.0)
    return {"open": (opened - began) * 1e3, "start": (started - opened) * 1e3,
            "start_cpu": cpu * 1e3, "seen": (seen - started) * 1e3}  # fmt: skip


def report_calls(report: Report) -> None:
    """Times of each call, in every condition."""
    found: dict[str, list[Any]] = {}
    names = [f"{way}/{disk}" for way in WAYS for disk in ("normal", "stalled")]
    names.remove("app alone/stalled")
    for _, name in interleaved(names, report.rounds(ROUNDS)):
        way, disk = name.split("/")
        with scratch() as environ:
            environ |= {"LAKEWARD_KEEPER": "external", "LAKEWARD_RING_BYTES": str(RING_BYTES)}
            found.setdefault(name, []).append(
                child("record.py", "--block", "calls", way, disk, environ=environ)
            )
    rows = []
    for name, blocks in found.items():
        for threads in ("1", str(THREADS)):
            cells = [spread([b[threads][q] for b in blocks]).text() for q in QUANTILES]
            rows.append([*name.split("/"), threads, *cells])
            report.figures[f"{name}/{threads}"] = [block[threads] for block in blocks]
    overhead = spread([block["overhead_ns"] for blocks in found.values() for block in blocks])
    drops = sum(sum(b["reasons"].values()) for blocks in found.values() for b in blocks)
    report.say("Time per call on the calling thread, µs: median over the rounds (least…most).")
    report.say(table(["what", "disk", "threads", *QUANTILES], rows))
    report.say(
        f"Ring of {found[names[0]][0]['ring_bytes'] / 2**20:.0f} MiB in lanes; the clock's "
        f"{overhead.text(0)} ns are subtracted; records dropped in all rounds: {drops}. "
        "`app alone` is an application that does nothing, `middleware` the same inside "
        "the middleware; `new paths` gives every call a path that was never scrubbed before."
    )
    hold_calls(report, found)
    report.goal("records dropped (contended, full)", drops, 0, "")


def hold_calls(report: Report, found: dict[str, list[Any]]) -> None:
    """Medians over the rounds, held against P1."""

    def median(way: str, disks: tuple[str, ...], threads: str, q: str) -> float:
        return spread([b[threads][q] for disk in disks for b in found[f"{way}/{disk}"]]).median

    both, eight = ("normal", "stalled"), str(THREADS)
    alone = median("app alone", ("normal",), "1", "p50")
    report.goal("`record`: p50, one thread", median("record", both, "1", "p50"), P50_US, "µs")
    added = median("middleware", both, "1", "p50") - alone
    report.goal("middleware added: p50, one thread", added, IN_ALL_US, "µs")
    for way in ("record", "middleware"):
        p99 = median(way, ("stalled",), eight, "p99")
        report.goal(f"{way}: p99, {THREADS} threads, disk stalled", p99, P99_US, "µs")


def report_disabled(report: Report) -> None:
    """The cost of being switched off."""
    blocks = [
        child("record.py", "--block", "disabled", environ={"ENABLE_DATA_COLLECTION": "false"})
        for _ in range(3)
    ]
    off = spread([block["record"] for block in blocks])
    nothing = spread([block["nothing"] for block in blocks])
    report.say(
        f"With ENABLE_DATA_COLLECTION=false `record` takes {off.text(3)} µs of CPU; a function "
        f"that does nothing, called with the same keywords, {nothing.text(3)} µs."
    )
    report.figures["disabled"] = blocks
    report.goal("collection off: CPU per call", off.median, DISABLED_US, "µs")


def report_memory(report: Report) -> None:
    """Resident memory that recording adds to a worker."""
    found: dict[str, list[dict[str, float]]] = {"without": [], "with": []}
    for _, name in interleaved(list(found), 5):
        calls = MEMORY_CALLS if name == "with" else 0
        with scratch() as environ:
            found[name].append(child("worker.py", str(calls), environ=environ))
    pairs = list(zip(found["with"], found["without"], strict=True))
    rss = spread([a["rss"] - b["rss"] for a, b in pairs])
    pss = spread([a["pss"] - b["pss"] for a, b in pairs])
    whole = spread([a["rss"] - a["ring"] + a["ring_whole"] - b["rss"] for a, b in pairs])
    touched = spread([a["ring"] for a in found["with"]])
    report.say(
        f"Memory that {MEMORY_CALLS:,} records add to a worker that has imported Starlette and "
        f"uvicorn: Rss {rss.text(1)} MB (of it touched ring pages {touched.text(1)} MB), "
        f"Pss {pss.text(1)} MB; with every page of the ring counted {whole.text(1)} MB."
    )
    report.figures["memory"] = found
    report.goal("memory per worker, whole ring counted", whole.median, WORKER_MB, "MB")


def report_start(report: Report) -> None:
    """What the first use costs once."""
    blocks = []
    for _ in range(9):
        with scratch() as environ:
            blocks.append(child("record.py", "--block", "start", environ=environ))
    found = {name: spread([block[name] for block in blocks]) for name in blocks[0]}
    report.say(
        f"First use, wall ms: opening the ring {found['open'].text()}, starting a keeper "
        f"{found['start'].text()} (CPU {found['start_cpu'].text()}); the keeper's first heartbeat "
        f"comes {found['seen'].text(0)} ms later, in its own process."
    )
    report.figures["start"] = blocks
    report.goal("starting a keeper, calling thread", found["start"].median, SPAWN_MS, "ms")


def block(kind: str, *arguments: str) -> Any:
    """Measure in this process."""
    if kind == "calls":
        return time_calls(arguments[0], arguments[1] == "stalled")
    return time_disabled() if kind == "disabled" else start()


def main() -> None:
    """Run everything and report."""
    report = Report("record")
    report_calls(report)
    report_disabled(report)
    report_memory(report)
    report_start(report)
    report.finish()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--block"]:
        print(json.dumps(block(*sys.argv[2:])))
    else:
        main()
