"""What an older version left behind is drained and read, or refused with a sentence."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from conftest import Lake
from test_keeper import keeping


@pytest.mark.parametrize("version", [1])
def test_a_lake_and_a_ring_of_an_older_version_are_taken_over(lake: Lake, version: int) -> None:
    sample = Path(__file__).parent / "data" / f"format-{version}" / "lake.tar.gz"
    with tarfile.open(sample) as archive:
        archive.extractall(lake.root.parent, filter="data")
    lake.ring_dir.rmdir()
    (lake.root.parent / "rings").rename(lake.root.parent / "old-rings")
    lake.ring_dir = lake.root.parent / "old-rings"
    lake.ring_dir.chmod(0o700)
    before = lake.audit()
    assert before.ok, before.faults
    assert (before.sum["delivered"], before.sum["waiting"]) == (10, 5)
    with keeping(lake):
        lake.settled()
    report = lake.audit()
    assert report.ok, report.faults
    assert [row["properties"]["n"] for row in lake.rows()] == list(range(15))
    assert [row["interaction_type"] for row in lake.quarantined()] == ["partner_match"]
    assert list(lake.ring_dir.glob("*.ring")) == []
