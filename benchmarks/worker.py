"""What one web worker takes in memory, with or without recording; prints JSON.

A file of its own that imports nothing beyond the standard library, because what is compared is a
process that has never heard of Lakeward.
"""

from __future__ import annotations

import asyncio  # noqa: F401 - a worker has it
import json
import os
import sys
from pathlib import Path

import starlette.applications
import starlette.responses
import starlette.routing  # noqa: F401
import uvicorn  # noqa: F401


def record(calls: int) -> tuple[str, int]:
    """First use and `calls` records; the ring's path and how many it accepted."""
    from lakeward import Collector
    from lakeward.capture.asgi import LakewardMiddleware  # noqa: F401

    collector = Collector.from_env()
    for n in range(calls):
        collector.record(
            "api_call", method="GET", path=f"/api/partners/{n % 997}", response_status=200,
            response_time_ms=8.214, ip_address=f"203.0.113.{n % 250}", user_agent="curl/8.8.0",
            session_id="0198a3c1-7d2e-8f40-9c3b-2f1d5e6a7b8c",
        )  # fmt: skip
        if n % 1000 == 999:
            collector.commit()
    stats = collector.stats()
    return stats["ring"]["path"], stats["accepted"]


def resident() -> dict[str, float]:
    """Rss and Pss of this process in MB."""
    rows = [line.split() for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]]
    found = {row[0][:-1].lower(): int(row[1]) * 1024 / 1e6 for row in rows}
    return {"rss": found["rss"], "pss": found["pss"]}


def touched(path: str) -> float:
    """MB of the mapping of `path` that this process has touched."""
    here, kilobytes = False, 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            here = line.endswith(path)
        elif here and line.startswith("Rss:"):
            kilobytes += int(line.split()[1])
    return kilobytes * 1024 / 1e6


def main() -> None:
    """Record as many as the argument says, and look."""
    calls = int(sys.argv[1])
    found = {"calls": float(calls), "accepted": 0.0, "ring": 0.0, "ring_whole": 0.0}
    if calls:
        path, found["accepted"] = record(calls)
        found |= {"ring": touched(path), "ring_whole": os.stat(path).st_size / 1e6}
    print(json.dumps(found | resident()))


if __name__ == "__main__":
    main()
