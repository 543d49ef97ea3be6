"""Make the picture of the live page for the README: `python benchmarks/screenshot.py`.

The demo application is visited for real. What it recorded is recorded once more, spread over the
hour before (a fresh lake would show one minute), and visitors go on while the picture is taken.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from lakeward.collector import Collector
from lakeward.demo.plan import plan
from lakeward.demo.traffic import Traffic
from lakeward.interaction import iso
from lakeward.lakedir import open_lake
from lakeward.log import read_lines
from lakeward.settings import load
from measure import HERE, Talker, end, keeper_pid, scratch
from page import chromium

PICTURE = HERE.parent / "docs/live.png"
MOST_BYTES = 250_000
VISITORS, MINUTES = 120, 59
STAFF = "staff"
START_SECONDS = 30.0


@contextlib.contextmanager
def demo(environ: dict[str, str]) -> Iterator[int]:
    """The demo application; its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "lakeward.demo.app:create", "--factory",
               "--port", str(port), "--log-level", "critical"]  # fmt: skip
    process = subprocess.Popen(
        command, env={**os.environ, **environ, **own(environ)}, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def spread_over_an_hour(rows: list[dict[str, Any]], environ: dict[str, str]) -> None:
    """Record rows again, at times of the last hour, more in its middle."""
    dice = random.Random(5)
    now = time.time_ns() // 1_000_000
    with Collector(load(environ, HERE)) as collector:
        for row in rows:
            kept = {name: value for name, value in row.items() if name not in GIVEN}
            slot = {**kept.pop("outcomes", {}), **kept.pop("properties", {})}
            ago = dice.choice((dice.uniform, dice.triangular))(0, MINUTES) * 60_000
            collector.record(row["interaction_type"], timestamp=iso(int(now - ago)), **kept, **slot)
        collector.commit(20)


GIVEN = {"interaction_id", "timestamp", "environment", "app_version", "interaction_type",
         "parent_interaction_id"}  # fmt: skip


def main() -> None:
    """Visit, record, look, save."""
    with scratch() as first, demo(first) as port:
        visit(port, VISITORS, 10.0, seed=7)
        time.sleep(0.5)
        lake = open_lake(Path(first["LAKEWARD_LAKE_DIR"]), create=False)
        rows = [msgspec.json.decode(line) for line, _ in read_lines(lake)]
    with scratch() as environ, demo(environ) as port:
        spread_over_an_hour(rows, environ)
        visitors = threading.Thread(target=visit_for_a_while, args=(port,))
        visitors.start()
        with Talker("page.py", environ=environ) as server, chromium() as browser:
            page = browser.new_page(
                viewport={"width": 1280, "height": 800}, device_scale_factor=1.25
            )
            page.goto(f"http://127.0.0.1:{server.greeting['port']}/")
            page.wait_for_selector(".status.live")
            page.wait_for_timeout(8_000)
            page.screenshot(path=PICTURE)
        visitors.join()
        end(keeper_pid(Path(environ["LAKEWARD_LAKE_DIR"])))
    size = PICTURE.stat().st_size
    print(f"{PICTURE.name}: {size:,} bytes")
    if size > MOST_BYTES:
        raise SystemExit(f"the picture is larger than {MOST_BYTES:,} bytes")


def own(environ: dict[str, str]) -> dict[str, str]:
    """Settings of the platform itself."""
    database = Path(environ["LAKEWARD_LAKE_DIR"]).with_name("platform.db")
    return {"DEMO_STAFF": STAFF, "DEMO_DATABASE": str(database)}


def visit(port: int, visitors: int, seconds: float, seed: int) -> None:
    """Visitors of the demo's plan."""
    Traffic(plan(seed, visitors, seconds), port, STAFF).run(lambda done, of: None)


def visit_for_a_while(port: int) -> None:
    """A few visits a second."""
    visit(port, 40, 12.0, seed=100)


if __name__ == "__main__":
    main()
