"""Writes tests/data/table-0/lake.tar.gz: a lake whose table an older version made.

Run once and committed; later versions must open it. The table has fewer columns than this
version's, in files whose names say nothing, and holds the first half of the log.
"""

from __future__ import annotations

import sys
import tarfile
import tempfile
from pathlib import Path

import msgspec

from lakeward.interaction import iso
from lakeward.lake import columns, delta
from lakeward.lake.compact import Compactor
from lakeward.lake.storage import Folder
from written_lakes import WrittenLog

NOON = 1_764_072_000_000
MISSING = ("bot", "city", "country", "extra", "metadata")


def lines() -> list[bytes]:
    """Six interactions, the same on every run."""
    return [
        msgspec.json.encode(
            {
                "interaction_id": f"019abae2-8a{n:02x}-7000-8000-00000000000{n}",
                "timestamp": iso(NOON + n),
                "environment": "test",
                "app_version": "0.9.0",
                "interaction_type": "click",
                "user_id": f"user-{n}",
                "user_type": "contractor",
                "session_id": "s-1",
                "properties": {"n": n},
            }
        )
        for n in range(6)
    ]


def main(target: Path) -> None:
    """Write the archive."""
    for name in MISSING:
        columns.COLUMNS.pop(name)
        columns.RECORD.pop(name, None)
        columns.ENRICHED.pop(name, None)
    delta.fresh_name = lambda date, first, last, generation=0: f"event_date={date}/old.parquet"
    with tempfile.TemporaryDirectory() as folder:
        log = WrittenLog(Path(folder) / "data-lake")
        log.append(lines()[:3])
        from lakeward.lake import compact

        vars(compact)["fresh_name"] = delta.fresh_name
        compactor = Compactor(
            log.lake, delta.Table(Folder(log.lake.root / "table")), memory=512 << 20
        )
        compactor.run()
        compactor.close()
        log.append(lines()[3:])
        log.close()
        target.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(target, "w:gz") as archive:
            archive.add(log.lake.root, "data-lake")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
