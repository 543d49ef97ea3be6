"""What `make demo` does: serve the app, send it visitors, and show what landed in the lake.

In: settings and a number of requests. Out: a summary on stdout, exit code 0 when every request is
accounted for. The server is a process of its own on a free loopback port and is ended here.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
import uvicorn

from lakeward.audit import Report, audit
from lakeward.demo.traffic import visit
from lakeward.errors import Terminal
from lakeward.interaction import JsonObject
from lakeward.lakedir import LakeDir, open_lake
from lakeward.log import Position, read_lines, read_published
from lakeward.ringdir import known_folders
from lakeward.settings import Settings
from lakeward.sinks.registry import follower_names

START_SECONDS = 30.0
SETTLE_SECONDS = 10.0


def show(settings: Settings, requests: int, format_: str) -> int:
    """Run app and visitors once; 1 when the sum does not hold or a request is missing."""
    lake = open_lake(settings.lake_dir)
    before, excluded = _end(lake), _settled(lake, settings).reasons.get("excluded", 0)
    port = _free_port()
    server = _serve(settings, port)
    started = time.monotonic()
    try:
        probes = _await_server(server, port)
        statuses = visit(port, requests, seed=7)
        statuses[200] += probes
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(START_SECONDS)
    seconds = time.monotonic() - started
    report = _settled(lake, settings)
    rows = [msgspec.json.decode(line) for line, _ in read_lines(lake, before)]
    calls = sum(1 for row in rows if row["interaction_type"] == "api_call")
    excluded = report.reasons.get("excluded", 0) - excluded
    answered = sum(statuses.values())
    complete = report.ok and calls + excluded == answered
    if format_ == "json":
        print(msgspec.json.encode({"requests": answered, "records": len(rows), "calls": calls,
                                   "excluded": excluded, "sum": report.sum, "ok": complete}
                                  ).decode())  # fmt: skip
    else:
        _print(lake, rows, statuses, seconds, report)
        print(f"\n{answered:,} requests answered = {calls:,} recorded + {excluded:,} excluded")
        command = os.path.relpath(sys.argv[0])
        print(f"look around: {command} tail -n 5 · {command} doctor · {command} record hello a=1")
    return 0 if complete else 1


def _end(lake: LakeDir) -> Position:
    published = read_published(lake.private / "published")
    segment, offset = published.ends["raw"] if published else (0, 0)
    return Position(segment=segment, offset=offset)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _serve(settings: Settings, port: int) -> subprocess.Popen[bytes]:
    environ = {**os.environ, "LAKEWARD_LAKE_DIR": str(settings.lake_dir)}
    command = [
        sys.executable, "-m", uvicorn.__name__, "lakeward.demo.app:create", "--factory",
        "--host", "127.0.0.1", "--port", str(port), "--log-level", "critical",
    ]  # fmt: skip
    return subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL)  # noqa: S603 - ours


def _await_server(server: subprocess.Popen[bytes], port: int) -> int:
    """How many requests it took until the server answered."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
            connection.request("GET", "/health")
            connection.getresponse().read()
            return 1
        except OSError:
            time.sleep(0.05)
    raise Terminal("the demo's server did not start: run `python -m uvicorn "
                   "lakeward.demo.app:create --factory` to see why")  # fmt: skip


def _settled(lake: LakeDir, settings: Settings) -> Report:
    """The audit once the keeper has taken over the server's ring."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        report = audit(lake, known_folders(lake, settings.ring_dir))
        settled = all(ring.alive for ring in report.rings) and _written(report, settings)
        if settled or time.monotonic() > deadline:
            return report
        time.sleep(0.1)


def _written(report: Report, settings: Settings) -> bool:
    """Whether each interaction has its own file by now, where there are to be any."""
    if "files" not in follower_names(settings):
        return True
    return any(one.name == "files" and not one.waiting for one in report.followers)


def _print(
    lake: LakeDir, rows: list[JsonObject], statuses: Counter[int], seconds: float, report: Report

) -> None:  # fmt: skip
    kinds = Counter(row["interaction_type"] for row in rows)
    print(f"\n{sum(statuses.values()):,} HTTP requests in {seconds:.1f} s, answers: "
          + ", ".join(f"{status} x {n:,}" for status, n in sorted(statuses.items())))  # fmt: skip
    print(f"{len(rows):,} interactions landed in {_relative(lake.root)}:")
    for kind, n in kinds.most_common():
        print(f"  {n:>7,}  {kind}")
    print("\nfiles")
    for path in sorted(lake.root.glob("raw/**/*.jsonl")):
        print(f"  {_relative(path)}  {path.stat().st_size:,} bytes")
    single = sorted(lake.root.glob("raw/**/*-*.json"))
    if single:
        print(f"  {_relative(single[-1])}  and {len(single) - 1:,} more, one for each interaction")
    sample = next((row for row in rows if "/invite/" in (row.get("path") or "")), rows[-1])
    print("\none record (the invitation's token never reached the disk)")
    print(msgspec.json.format(msgspec.json.encode(sample), indent=2).decode())
    print("\nledger")
    for place, n in report.sum.items():
        if n or place in {"offered", "delivered", "dropped"}:
            print(f"  {n:>7,}  {place}")
    print("  the sum holds: nothing was lost" if report.ok else "  the sum does NOT hold")


def _relative(path: Path) -> str:
    return os.path.relpath(path)
