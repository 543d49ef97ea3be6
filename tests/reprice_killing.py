"""Kills `reprice` wherever it writes, and at random moments; prints what was left.

    python tests/reprice_killing.py LAKE PRICES RANDOM_KILLS

In: a lake whose turns have no cost, and a file of prices for them. Each kill is of a fork of this
process on a copy of the lake; afterwards another fork looks at the table with deltalake, completes
it twice, and looks again. Out: a line of JSON for each kill.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deltalake
import duckdb  # noqa: F401 - loaded once, for all forks
import pyarrow.dataset  # noqa: F401 - the same
import pyarrow.parquet as pq

from lakeward.lake import merge
from lakeward.lake import reprice as repricing
from lakeward.lake.delta import Table
from lakeward.lake.storage import Folder
from lakeward.lakedir import open_lake
from lakeward.settings import load

TRAPS = (
    ("write", "before", 1), ("write", "after", 2), ("place", "after", 1), ("commit", "before", 2),
    ("commit", "after", 1), ("commit", "after", 2), ("commit", "after", 3), ("vacuum", "after", 1),
)  # fmt: skip
MOST = 60.0


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def deadly(call: Callable[..., Any], when: str, which: int) -> Callable[..., Any]:
    """The function, which kills its process before or after its `which`th call."""
    calls = 0

    def called(*given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if when == "before" and calls == which:
            die()
        found = call(*given, **named)
        if when == "after" and calls == which:
            die()
        return found

    return called


def arm(point: str, when: str, which: int) -> None:
    """Set the trap, in a fork that is about to run."""
    holder, name = {
        "write": (merge, "_written"), "place": (Folder, "place"), "commit": (Table, "commit"),
        "vacuum": (repricing, "vacuum"),
    }[point]  # fmt: skip
    setattr(holder, name, deadly(getattr(holder, name), when, which))


def forked(job: Callable[[], Any], seconds: float = MOST) -> tuple[int, Any]:
    """How a fork ended that does it, killed after so many seconds, and what it said."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(out)
        try:
            with os.fdopen(into, "w") as said:
                json.dump(job(), said)
            os._exit(0)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
    os.close(into)
    until = time.monotonic() + seconds
    while (done := os.waitpid(pid, os.WNOHANG))[0] == 0:
        if time.monotonic() >= until:
            os.kill(pid, signal.SIGKILL)
            done = os.waitpid(pid, 0)
            break
        time.sleep(0.002)
    with os.fdopen(out) as said:
        text = said.read()
    return os.waitstatus_to_exitcode(done[1]), json.loads(text) if text.endswith("}") else None


def look(root: Path) -> dict[str, Any]:
    """The table as another reader sees it: rows, ids, costs, and a hash of all else."""
    table = deltalake.DeltaTable(str(root / "table"))
    rows = table.to_pyarrow_table().sort_by("interaction_id").to_pylist()
    told = [json.loads(row.pop("ai_metadata") or "{}") for row in rows]
    costs = [one.pop("cost_usd", None) for one in told if "provider" in one]
    for one in told:
        for name in ("input_cost_usd", "output_cost_usd", "price_source", "price_version"):
            one.pop(name, None)
        for name in ("total_tokens", "tokens_source"):
            one.pop(name, None)
    named = {Path(path).name for path in table.file_uris()}
    stored = {path.name for path in (root / "table").rglob("*.parquet")}
    return {
        "rows": len(rows), "ids": len({row["interaction_id"] for row in rows}),
        "hash": hashlib.sha256(repr((rows, told)).encode()).hexdigest(),
        "priced": sum(cost is not None for cost in costs), "costs": sorted({c for c in costs if c}),
        "turns": len(costs), "absent": len(named - stored), "spare": len(stored - named),
        "bad": sum(not _sound(name) for name in table.file_uris()),
    }  # fmt: skip


def _sound(name: str) -> bool:
    return bool(pq.ParquetFile(name.removeprefix("file://")).metadata.num_rows)


def complete(root: Path, prices: Path) -> dict[str, Any]:
    done = repricing.reprice(open_lake(root, create=False), settings(prices, root))
    return {"turns": done.turns, "files": done.files, "unpriced": done.unpriced}


def settings(prices: Path, root: Path) -> Any:
    given = {"LAKEWARD_AI_PRICES": str(prices), "LAKEWARD_VACUUM_SECONDS": "1"}
    return load(given, root.parent)


def killed(lake: Path, prices: Path, trap: tuple[str, str, int] | float) -> dict[str, Any]:
    """One kill, and what came of it."""
    root = lake.with_name("copy")
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(lake, root)

    def run() -> dict[str, Any]:
        if not isinstance(trap, float):
            arm(*trap)
        return complete(root, prices)

    def judged() -> dict[str, Any]:
        return {
            "left": look(root), "again": complete(root, prices), "last": complete(root, prices),
            "whole": look(root), "scratch": len(list((root / ".lakeward" / "scratch").glob("*"))),
        }  # fmt: skip

    ended, _ = forked(run, trap if isinstance(trap, float) else MOST)
    return {"trap": trap, "ended": ended, **(forked(judged)[1] or {})}


def main(lake: Path, prices: Path, randoms: int) -> None:
    """All traps, and kills at random."""
    dice = random.Random(7)
    begun = time.monotonic()
    trial = lake.with_name("copy")
    shutil.copytree(lake, trial)
    forked(lambda: complete(trial, prices))
    took = time.monotonic() - begun
    print(json.dumps(forked(lambda: look(lake))[1]))
    for trap in TRAPS:
        print(json.dumps(killed(lake, prices, trap)), flush=True)
    for _ in range(randoms):
        print(json.dumps(killed(lake, prices, dice.uniform(0.0, took))), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
