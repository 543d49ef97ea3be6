"""Write the sample of a lake and a ring that a future version must still drain.

    python -m tests.make_format_sample

Run once for each format version and never again for the same one: the point of
`tests/data/format-1/` is that it was written by the code of its time.
"""

from __future__ import annotations

import gzip
import shutil
import tarfile
import tempfile
from pathlib import Path

from lakeward.collector import Collector
from lakeward.keeper import Keeper
from lakeward.lakedir import open_lake
from lakeward.settings import load

TARGET = Path(__file__).parent / "data" / "format-1"


def main() -> None:
    """Ten records in the log, one in quarantine, five still waiting in a ring."""
    with tempfile.TemporaryDirectory() as folder:
        root, rings = Path(folder) / "data-lake", Path(folder) / "rings"
        rings.mkdir(mode=0o700)
        settings = load({
            "LAKEWARD_LAKE_DIR": str(root), "LAKEWARD_RING_DIR": str(rings),
            "LAKEWARD_KEEPER": "external", "LAKEWARD_RING_BYTES": "256KiB",
            "LAKEWARD_FRAME_BYTES": "8KiB", "LAKEWARD_RING_LANES": "4",
        })  # fmt: skip
        collector = Collector(settings)
        for n in range(10):
            collector.record("sample", n=n)
        collector.record("partner_match", score=-1)
        keeper = Keeper(open_lake(root), rings)
        with keeper.opened():
            keeper.round()
        for n in range(10, 15):
            collector.record("sample", n=n)
        TARGET.mkdir(parents=True, exist_ok=True)
        with (
            gzip.GzipFile(TARGET / "lake.tar.gz", "wb", mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w") as archive,
        ):
            archive.add(root, "data-lake")
            archive.add(rings, "rings")
        shutil.rmtree(rings)


if __name__ == "__main__":
    main()
