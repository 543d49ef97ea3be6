"""A million interactions through log and table under hundreds of SIGKILLs of keeper and compactor.

    python benchmarks/soak_table.py [--rows 1000000] [--kills 400] [--seed 7] [--json FILE]

Runs the harness of the tests (`tests/table_killing.py`): six writers, a reader of one snapshot
after the other, and something killed about once a second. Exits 1 when an id stands there twice,
not at all, or with another content than its first line; when anything that a writer was told to be
durable is missing in a snapshot; when the ledger's sum does not hold; or when the counts of the
table are not those of the log.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from measure import disk

HARNESS = Path(__file__).parent.parent / "tests" / "table_killing.py"
SECONDS_PER_KILL = 2.5
WRITERS = 6


def soak(rows: int, kills: int, seed: int) -> dict[str, Any]:
    """One run on a fresh lake."""
    pace = rows / (kills * SECONDS_PER_KILL * WRITERS)
    with (
        tempfile.TemporaryDirectory(prefix="lakeward-soak-", dir=disk()) as folder,
        tempfile.TemporaryDirectory(prefix="lakeward-soak-", dir="/dev/shm") as rings,
    ):
        command = [
            sys.executable, str(HARNESS), "--lake", f"{folder}/data-lake", "--rings",
            f"{rings}/rings", "--rows", str(rows), "--kills", str(kills), "--seed", str(seed),
            "--pace", str(pace), "--slice", "8000000", "--segment", "32000000",
            "--longest", "6",
        ]  # fmt: skip
        path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        environ = os.environ | {"PYTHONPATH": path}
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environ, check=True)
    verdict: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return verdict


def holds(verdict: dict[str, Any]) -> bool:
    """Whether every promise was kept."""
    counted = verdict["counted"]
    return (
        verdict["rows"] == verdict["ids"] == counted["added"]
        and not any(verdict[name] for name in ("wrong", "twice", "missing", "told_missing", "tail"))
        and counted["read"] == verdict["lines"]
        and counted["duplicate"] == verdict["lines"] - verdict["rows"]
        and verdict["ok"]
    )


def main() -> int:
    """Kill, count, print."""
    parser = argparse.ArgumentParser(description="soak of the table")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=400)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    verdict = soak(options.rows, options.kills, options.seed)
    print(json.dumps(verdict, indent=2))
    if options.json:
        options.json.write_text(json.dumps(verdict, indent=2) + "\n")
    return 0 if holds(verdict) else 1


if __name__ == "__main__":
    sys.exit(main())
