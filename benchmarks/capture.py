"""What capturing every call costs the application, beside the tools that people use today.

In process: one Starlette application with one JSON route is called as ASGI, without a server, in
bursts with pauses, so that background threads get their share and nobody's queue overflows. Each
recorder of each round is a fresh process; what counts is the CPU of the whole process, background
threads and the last flush included, less that of the bare application in the same round.

The keeper: its CPU for each event at several rates, and with one idle application.

Under uvicorn: CPU of the server process for each request, with the middleware and without.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import (
    Report,
    Talker,
    child,
    cpu_seconds,
    disk,
    interleaved,
    keeper_pid,
    scratch,
    spread,
    table,
)
from rivals import RECORDERS, SENDING, stay_home
from traffic import App, Scope, application, many, receive, scopes, send

REQUESTS, BURST, PERIOD = 6_000, 100, 0.0125
WARM = 2_000
ROUNDS = 9
RATES = (6_000, 12_000, 48_000)
RATE_SECONDS, RATE_ROUNDS, IDLE_SECONDS = 1.5, 5, 10.0
SERVED, CONNECTIONS, SERVED_ROUNDS = 3_000, 8, 20
ADDED_US, KEEPER_US, IDLE_PERCENT, SERVED_RATIO = 6.5, 1.5, 1.0, 1.1
SHARES = {"QueueHandler + JSON": 5, "posthog": 15, "opentelemetry": 15, "apitally": 30}
"""How many times Lakeward's cost another recorder's must be."""


class Warnings(logging.Handler):
    """Counts what the recorders complain of, such as a full queue."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the sentence."""
        self.texts.append(f"{record.name}: {record.getMessage()}"[:200])


async def drive(app: App, made: list[Scope], count: int) -> None:
    """`count` calls in bursts; after each a pause at least as long as the burst took."""
    for first in range(0, count, BURST):
        began = time.perf_counter()
        for n in range(first, first + BURST):
            await app(dict(made[n % len(made)]), receive, send)
        took = time.perf_counter() - began
        time.sleep(max(PERIOD - took, took))


def run_recorder(name: str, sink: str) -> dict[str, Any]:
    """One block in this process: CPU of each request, in µs."""
    stay_home()
    warnings = Warnings()
    logging.getLogger().addHandler(warnings)
    made = scopes(WARM)
    with tempfile.TemporaryDirectory(dir=disk()) as folder:
        app, flush = RECORDERS[name](application(), sink, Path(folder))
        keeper = 0
        asyncio.run(drive(app, made, WARM))
        if name == "lakeward":
            flush()
            keeper = keeper_pid(Path(os.environ["LAKEWARD_LAKE_DIR"]))
        keeper_began = cpu_seconds(keeper) if keeper else 0.0
        began = time.process_time()
        asyncio.run(drive(app, made, REQUESTS))
        flush()
        cpu = time.process_time() - began
        keeper_cpu = cpu_seconds(keeper) - keeper_began if keeper else 0.0
    return {
        "us": cpu / REQUESTS * 1e6,
        "keeper_us": keeper_cpu / REQUESTS * 1e6,
        "warnings": warnings.texts,
    }


def feed(rate: int) -> dict[str, float]:
    """Record at a steady rate; the keeper's CPU for each event, in µs."""
    from lakeward import Collector

    collector = Collector.from_env()
    calls = list(many(2000))
    for call in calls:
        collector.record("api_call", **call)
    collector.commit()
    keeper = keeper_pid(collector.settings.lake_dir)
    time.sleep(0.3)
    began, used, count = time.perf_counter(), cpu_seconds(keeper), 0
    while (passed := time.perf_counter() - began) < RATE_SECONDS:
        for _ in range(int(passed * rate) - count):
            collector.record("api_call", **calls[count % 2000])
            count += 1
        time.sleep(0.002)
    collector.commit()
    took, used = time.perf_counter() - began, cpu_seconds(keeper) - used
    accepted = collector.stats()["accepted"]
    assert accepted == count + 2000, collector.stats()
    return {"us": used / count * 1e6, "rate": count / took}


def idle() -> dict[str, float]:
    """An application that is attached and does nothing: the keeper's share of a core, in %."""
    from lakeward import Collector

    collector = Collector.from_env()
    collector.record("api_call", method="GET", path="/")
    collector.commit()
    keeper = keeper_pid(collector.settings.lake_dir)
    time.sleep(1.0)
    began, used = time.perf_counter(), cpu_seconds(keeper)
    own = time.process_time()
    time.sleep(IDLE_SECONDS)
    took = time.perf_counter() - began
    return {
        "percent": (cpu_seconds(keeper) - used) / took * 100,
        "app_percent": (time.process_time() - own) / took * 100,
    }


def block(kind: str, *arguments: str) -> Any:
    """Measure in this process."""
    if kind == "recorder":
        return run_recorder(arguments[0], arguments[1])
    return feed(int(arguments[0])) if kind == "feed" else idle()


def run_block(name: str, sink: str) -> dict[str, Any]:
    """One recorder in a fresh process."""
    with scratch() as environ:
        if name == "lakeward, off":
            environ["ENABLE_DATA_COLLECTION"] = "false"
        made: dict[str, Any] = child(
            "capture.py", "--block", "recorder", name, sink, environ=environ
        )
        return made


def measure_recorders(report: Report) -> dict[str, list[dict[str, Any]]]:
    """All recorders, interleaved; fails when one that sends did not."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in RECORDERS}
    with Talker("sink.py") as sink:
        address = f"http://127.0.0.1:{sink.greeting['port']}"
        for _, name in interleaved(list(RECORDERS), report.rounds(ROUNDS)):
            before = sink.ask("totals")
            made = run_block(name, address)
            after = sink.ask("totals")
            made["posts"] = after["posts"] - before["posts"]
            made["bytes"] = after["bytes"] - before["bytes"]
            if (name in SENDING) != (made["posts"] > 0):
                raise SystemExit(f"{name} made {made['posts']} posts to the sink: {made}")
            found[name].append(made)
    return found


def report_recorders(report: Report) -> None:
    """CPU that each recorder adds to a request."""
    found = measure_recorders(report)
    bare = [made["us"] for made in found["bare"]]
    added = {
        name: spread([made["us"] - base for made, base in zip(blocks, bare, strict=True)])
        for name, blocks in found.items()
    }
    mine = added["lakeward"].median
    rows = []
    for name, blocks in found.items():
        total = spread([made["us"] for made in blocks])
        bytes_sent = spread([made["bytes"] / (REQUESTS + WARM) for made in blocks])
        times = "" if name == "bare" else f"{added[name].median / mine:.1f}"
        sent = f"{bytes_sent.median:.0f}" if name in SENDING else ""
        extra = "" if name == "bare" else added[name].text(1)
        rows.append([name, total.text(1), extra, times, sent])
    report.say(f"CPU of the application's process for each request, µs, {len(bare)} rounds.")
    head = ["recorder", "in all", "added", "÷ lakeward's", "bytes sent a request"]
    report.say(table(head, rows))
    keeper = spread([made["keeper_us"] for made in found["lakeward"]])
    report.say(f"Beside it Lakeward's keeper used {keeper.text()} µs for each of these requests.")
    made = [block for blocks in found.values() for block in blocks]
    complaints = sorted({text for block in made for text in block["warnings"]})
    if complaints:
        report.say("The recorders complained: " + "; ".join(complaints[:5]))
    report.figures["recorders"] = found
    report.goal("lakeward: CPU added to a request", mine, ADDED_US, "µs")
    for name, share in SHARES.items():
        report.goal(f"{name} ÷ lakeward, added CPU", added[name].median / mine, share, "",
                    at_most=False)  # fmt: skip


def report_keeper(report: Report) -> None:
    """The keeper's CPU for each event, and when nothing happens."""
    found: dict[str, list[dict[str, float]]] = {}
    for _, rate in interleaved([str(rate) for rate in RATES], RATE_ROUNDS):
        with scratch() as environ:
            environ["LAKEWARD_RING_BYTES"] = "32MiB"
            made = child("capture.py", "--block", "feed", rate, environ=environ)
            found.setdefault(rate, []).append(made)
    rows = []
    for rate, blocks in found.items():
        us, real = spread([b["us"] for b in blocks]), spread([b["rate"] for b in blocks])
        rows.append([f"{int(rate):,}", f"{real.median:,.0f}", us.text()])
        report.goal(f"keeper: CPU per event at {int(rate):,}/s", us.median, KEEPER_US, "µs")
    with scratch() as environ:
        still = child("capture.py", "--block", "idle", environ=environ)
    report.say("The keeper's own process, CPU for each event.")
    report.say(table(["events/s asked", "events/s made", "keeper µs/event"], rows))
    report.say(
        f"With one attached application that does nothing, for {IDLE_SECONDS:g} s, the keeper used "
        f"{still['percent']:.2f} % of a core and the application {still['app_percent']:.2f} %."
    )
    report.figures["keeper"] = {"rates": found, "idle": still}
    report.goal("keeper: share of a core when idle", still["percent"], IDLE_PERCENT, "%")


def report_served(report: Report) -> None:
    """CPU of the server process under uvicorn, with the middleware and without."""
    found: dict[str, list[float]] = {"off": [], "on": []}
    with (
        scratch() as environ,
        Talker("serving.py", "off") as off,
        Talker("serving.py", "on", environ=environ) as on,
        Talker("load.py") as load,
    ):
        servers = {"off": off, "on": on}
        order = {"requests": SERVED, "connections": CONNECTIONS}
        for number, name in interleaved(list(servers), SERVED_ROUNDS + 1):
            server = servers[name]
            before = server.ask("cpu")["cpu"]
            made = load.ask({"port": server.greeting["port"], **order})["requests"]
            used = server.ask("cpu")["cpu"] - before
            if number:
                found[name].append(used / made * 1e6)
    off_us, on_us = spread(found["off"]), spread(found["on"])
    ratio = spread([b / a for a, b in zip(found["off"], found["on"], strict=True)])
    report.say(
        f"Under uvicorn (uvloop, httptools), {CONNECTIONS} keep-alive connections, "
        f"{SERVED_ROUNDS} blocks of {SERVED} requests each: CPU of the server process "
        f"{off_us.text(1)} µs a request without and {on_us.text(1)} µs with the middleware, "
        f"ratio {ratio.text(3)}."
    )
    report.figures["served"] = found
    report.goal("under uvicorn: server CPU, on ÷ off", ratio.median, SERVED_RATIO, "")


def main() -> None:
    """Run everything and report."""
    report = Report("capture")
    report_recorders(report)
    report_keeper(report)
    report_served(report)
    report.finish()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--block"]:
        print(json.dumps(block(*sys.argv[2:])))
    else:
        main()
