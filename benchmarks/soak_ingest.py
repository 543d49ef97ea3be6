"""Ten minutes at 70 % of what the server can take, twice: under SIGKILLs, and in peace for memory.

    python benchmarks/soak_ingest.py [--minutes 10] [--limit-seconds 60] [--json FILE]

Runs the harness of the tests (`tests/ingest_killing.py`) three times on fresh lakes: without a
pace, for what two workers can take with their clients and the compactor on the same machine; at
70 % of it while workers and the server, which is the keeper, are killed; at 70 % of it without
kills, for how the memory of each process grows from minute 3 on. In all of them clients give up
requests in the middle, files roll every 32 MiB, and the compactor runs. Exits 1 when something
acknowledged is missing or stands twice, when the ledger's sum does not hold, when a compaction
failed, or when a process grows by more than 1 MB a minute.
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

HARNESS = Path(__file__).parent.parent / "tests" / "ingest_killing.py"
SHARE = 0.7
SECONDS_PER_KILL = 10.0
SERVER_KILLS = 0.2
"""Of all kills; the others are workers'."""
MOST_MB_A_MINUTE = 1.0


def run(seconds: float, rate: float = 0.0, kills: int = 0, *more: str) -> dict[str, Any]:
    """One run on a fresh lake."""
    servers = round(kills * SERVER_KILLS)
    with (
        tempfile.TemporaryDirectory(prefix="lakeward-soak-", dir=disk()) as folder,
        tempfile.TemporaryDirectory(prefix="lakeward-soak-", dir="/dev/shm") as rings,
    ):
        command = [
            sys.executable, str(HARNESS), "--folder", f"{folder}/run", "--rings", f"{rings}/rings",
            "--seconds", str(seconds), "--rate", str(rate), "--worker-kills",
            str(kills - servers), "--server-kills", str(servers), *more,
        ]  # fmt: skip
        path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=True,
            env=os.environ | {"PYTHONPATH": path},
        )  # fmt: skip
    verdict: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(json.dumps(verdict), file=sys.stderr, flush=True)
    return verdict


def kept(verdict: dict[str, Any]) -> bool:
    """Whether all that was acknowledged is there once."""
    return (
        verdict["told"] == verdict["acknowledged"]
        and not any(verdict[n] for n in ("twice", "told_missing", "tail", "doctor"))
        and not verdict["compactions_failed"]
    )


def main() -> int:
    """Measure, press, count, print."""
    parser = argparse.ArgumentParser(description="soak of the server")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--limit-seconds", type=float, default=60)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    limit = run(options.limit_seconds, 0.0, 0, "--limit")
    most = limit["acknowledged"] / limit["seconds"]
    seconds = options.minutes * 60
    killed = run(seconds, SHARE * most, int(seconds / SECONDS_PER_KILL))
    calm = run(seconds, SHARE * most)
    slopes = {name: found["mb_a_minute"] for name, found in calm["memory"].items()}
    verdict = {"limit_per_second": round(most), "killed": killed, "calm": calm, "slopes": slopes}
    print(json.dumps(verdict, indent=2))
    if options.json:
        options.json.write_text(json.dumps(verdict, indent=2) + "\n")
    grows = not slopes or max(slopes.values()) > MOST_MB_A_MINUTE
    return 0 if kept(killed) and kept(calm) and not grows else 1


if __name__ == "__main__":
    sys.exit(main())
