"""Clients press a real server while its workers and its keeper are killed; `make soak` does it for
ten minutes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from conftest import Lake

HARNESS = Path(__file__).parent / "ingest_killing.py"


def test_what_was_acknowledged_stands_in_the_table_once_whoever_was_killed(
    lake: Lake, tmp_path: Path
) -> None:
    command = [
        sys.executable, str(HARNESS), "--folder", str(tmp_path / "run"), "--rings",
        str(lake.ring_dir), "--seconds", "16", "--rate", "2000", "--worker-kills", "4",
        "--server-kills", "2",
    ]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    verdict = json.loads(done.stdout)
    assert verdict["told"] == verdict["acknowledged"] > 1000
    assert (verdict["twice"], verdict["told_missing"], verdict["tail"]) == (0, 0, 0)
    assert verdict["told"] <= verdict["rows"] <= verdict["sent"]
    assert verdict["kills"]["server"] == 2
    assert verdict["kills"]["worker"] > 0
    assert verdict["compactions_failed"] == 0
    assert verdict["doctor"] == 0
