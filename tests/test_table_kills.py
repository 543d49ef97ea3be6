"""Every interaction is one row, whatever is killed when: keepers, compactors, both.

Counted outside Lakeward by `tests/table_killing.py`; `make soak` runs it with a million
interactions and hundreds of kills.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HARNESS = Path(__file__).with_name("table_killing.py")
GENERATOR = Path(__file__).parent.parent / "benchmarks"


def run(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    rings = Path("/dev/shm") / f"lw-table-{tmp_path.parent.name}-{tmp_path.name}"
    command = [sys.executable, str(HARNESS), "--lake", str(tmp_path / "data-lake"), "--rings",
               str(rings), *options]  # fmt: skip
    path = os.pathsep.join([str(GENERATOR), os.environ.get("PYTHONPATH", "")])
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=280,
            env=os.environ | {"PYTHONPATH": path},
        )  # fmt: skip
    finally:
        shutil.rmtree(rings, ignore_errors=True)


@pytest.mark.parametrize(
    ("rows", "kills"), [(5000, 12), pytest.param(12_000, 30, marks=pytest.mark.soak)]
)
def test_kills_of_keeper_and_compactor_leave_one_row_for_each_interaction(
    tmp_path: Path, rows: int, kills: int
) -> None:
    """The first line with an id is its row, every reader sees each durable id once, sums hold."""
    done = run(tmp_path, "--rows", str(rows), "--kills", str(kills), "--seed", "7", "--pace", "60")
    assert done.returncode == 0, done.stderr[-3000:]
    verdict: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert verdict["kills"] >= kills
    assert verdict["by"].keys() >= {"keeper", "compactor"}
    assert verdict["contradicted"] > 0
    assert verdict["rows"] == verdict["ids"] > rows * 0.9
    assert (verdict["wrong"], verdict["twice"], verdict["missing"]) == (0, 0, 0)
    assert (verdict["told_missing"], verdict["tail"]) == (0, 0)
    assert verdict["snapshots"] >= 3
    counted = verdict["counted"]
    assert counted["read"] == verdict["lines"]
    assert counted["added"] == verdict["rows"]
    assert counted["duplicate"] == verdict["lines"] - verdict["rows"]
    assert verdict["ok"], verdict["faults"]


def test_a_compactor_that_does_not_look_into_the_table_is_caught(tmp_path: Path) -> None:
    done = run(
        tmp_path, "--rows", "6000", "--kills", "8", "--seed", "7", "--pace", "80",
        "--slice", "50000", "--mutant", "blind",
    )  # fmt: skip
    caught = done.returncode != 0 and "twice" in done.stderr
    assert caught or json.loads(done.stdout.splitlines()[-1])["twice"] > 0
