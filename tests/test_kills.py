"""Once `record()` returned an id, no kill loses it; once `commit()` returned, no power loss does.

Counted outside Lakeward by `tests/killing.py`. `make soak` runs the same harness 10,000 kills long.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HARNESS = Path(__file__).with_name("killing.py")


def run(tmp_path: Path, *options: str) -> dict[str, Any]:
    rings = Path("/dev/shm") / f"lw-kills-{tmp_path.parent.name}-{tmp_path.name}"
    command = [sys.executable, str(HARNESS), "--lake", str(tmp_path / "data-lake"), "--rings",
               str(rings), "--seconds", "240", *options]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    verdict: dict[str, Any] = json.loads(done.stdout)
    return verdict


@pytest.mark.parametrize("seed", [11, 12])
def test_three_hundred_kills_of_app_and_keeper_lose_and_repeat_nothing(
    tmp_path: Path, seed: int
) -> None:
    verdict = run(tmp_path, "--kills", "300", "--seed", str(seed))
    assert verdict["kills"] >= 300
    assert verdict["told"] > 1000
    assert (verdict["missing"], verdict["twice"]) == (0, 0)
    assert verdict["untold"] <= verdict["by"]["app"]
    assert verdict["ok"], verdict["faults"]
    assert len(verdict["points"]) >= 10


def test_power_losses_lose_nothing_that_was_committed(tmp_path: Path) -> None:
    verdict = run(tmp_path, "--kills", "120", "--seed", "21", "--power")
    assert verdict["committed"] > 1000
    assert (verdict["missing"], verdict["twice"]) == (0, 0)
    assert verdict["ok"], verdict["faults"]


@pytest.mark.parametrize(
    "power",
    [
        pytest.param([], id="kill"),
        pytest.param(["--power"], id="power loss", marks=pytest.mark.soak),
    ],
)
def test_a_keeper_that_releases_before_it_syncs_is_caught(tmp_path: Path, power: list[str]) -> None:
    verdict = run(
        tmp_path, "--kills", "200", "--seed", "31", "--named", "0.95", "--mutant", "eager", *power
    )
    assert verdict["missing"] > 0
