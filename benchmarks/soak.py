"""Ten thousand SIGKILLs over app and keeper, counted outside Lakeward.

    python benchmarks/soak.py [--kills 10000] [--seconds 5000] [--json FILE]

Runs the harness of the tests (`tests/killing.py`) in episodes of 500 kills on fresh lakes, half of
them at named points, until the number is reached and each point was hit at least 200 times. Then a
tenth as many with power losses. Exits 1 when anything told is missing or doubled, an audit is red,
a point was hit too seldom, or the mutant that releases before it syncs goes unnoticed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

HARNESS = Path(__file__).parent.parent / "tests" / "killing.py"
EPISODE = 500
LEAST_PER_POINT = 200
SECONDS_PER_EPISODE = 600.0


def episode(seed: int, kills: int, *options: str) -> dict[str, Any]:
    """One run of the harness on a fresh lake."""
    with tempfile.TemporaryDirectory() as folder:
        rings = f"/dev/shm/lakeward-soak-{Path(folder).name}"
        command = [sys.executable, str(HARNESS), "--lake", f"{folder}/data-lake", "--rings", rings,
                   "--kills", str(kills), "--seed", str(seed), *options]  # fmt: skip
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS_PER_EPISODE, check=True
        )
    verdict: dict[str, Any] = json.loads(done.stdout)
    return verdict


def soak(kills: int, deadline: float, *options: str) -> dict[str, Any]:
    """Episodes until `kills` are reached; the sums."""
    total: Counter[str] = Counter()
    points: Counter[str] = Counter()
    red: list[str] = []
    seed = 1000
    while total["kills"] < kills and time.monotonic() < deadline:
        verdict = episode(seed, min(EPISODE, kills), *options)
        seed += 1
        for name in ("kills", "told", "committed", "found", "missing", "twice", "untold"):
            total[name] += verdict[name]
        points.update(verdict["points"])
        red += verdict["faults"]
        counts = "  ".join(f"{total[name]:,} {name}" for name in ("told", "missing", "twice"))
        print(f"  {total['kills']:>6,} kills  {counts}  {len(red)} faults", flush=True)
    return {**total, "points": dict(sorted(points.items())), "faults": red}


def main() -> int:
    """Kill, count, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=5000.0, help="bound on the whole run")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    deadline = time.monotonic() + options.seconds
    print("kills")
    killed = soak(options.kills, deadline, "--named", "0.9")
    print("power losses")
    powered = soak(options.kills // 10, deadline, "--power")
    print("mutant (must lose)")
    mutant = episode(1, 120, "--mutant", "eager")
    least = LEAST_PER_POINT * options.kills / 10_000
    seldom = {point: n for point, n in killed["points"].items() if n < least}
    result = {"kills": killed, "power": powered, "mutant_missing": mutant["missing"],
              "seldom": seldom}  # fmt: skip
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    bad = any(run["missing"] or run["twice"] or run["faults"] for run in (killed, powered))
    return 1 if bad or seldom or not mutant["missing"] else 0


if __name__ == "__main__":
    sys.exit(main())
