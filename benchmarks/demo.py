"""The demo as a benchmark: what its visitors notice of Lakeward, and how long a whole run takes.

The first part is `latency.py` with the platform in the place of the small application: a page that
is rendered, with a look into SQLite, collection on and off, a control and a planted millisecond.
The second runs `lakeward demo --once` as a user would, and asks the result for its figures: more
than ten thousand interactions within two minutes, none of them lost, the lake equal to the truth.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

import msgspec

from latency import Setting, told
from measure import Report, scratch

PAGE = Setting(served="demo-", rate=100, path="/library", slot_requests=20)
LEAST, MOST_SECONDS = 10_000, 120.0


def run(report: Report) -> bool:
    """Whether a whole run keeps its promise."""
    with scratch() as environ:
        command = [sys.executable, "-m", "lakeward.cli", "demo", "--once", "--format", "json"]
        began = time.monotonic()
        done = subprocess.run(command, env={**os.environ, **environ}, stdout=subprocess.PIPE)
        seconds = time.monotonic() - began
    figures = msgspec.json.decode(done.stdout)
    report.say(
        f"`lakeward demo --once`: exit code {done.returncode}, {figures['interactions']:,} "
        f"interactions in {seconds:.1f} s from start to end, {figures['lost']} lost, "
        f"{len(figures['differences'])} differences to the truth."
    )
    report.figures["run"] = {"seconds": seconds, **figures}
    return done.returncode == 0 and figures["interactions"] >= LEAST and seconds <= MOST_SECONDS


def main() -> int:
    """Measure both, and report."""
    report = Report("demo")
    kept = run(report)
    code = told(report, "A page of the demo", PAGE)
    return 0 if kept else code or 1


if __name__ == "__main__":
    sys.exit(main())
