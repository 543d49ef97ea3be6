"""Vacuum: files that the table no longer names are deleted, once nobody can be reading them.

In: the table. Out: names that are gone. What a reader of this machine holds a lease on stays; for
readers elsewhere, and for commits of other hosts that are under way, a file must have been seen
unnamed for `grace` seconds. `.lakeward/unnamed.json` remembers since when. Where that went with its
disk, the table's own log says when a file was replaced; one in a bucket that no commit ever named
goes after a day.
"""

from __future__ import annotations

import time
from math import ceil
from typing import Final

import msgspec

from lakeward.lake.delta import Table
from lakeward.lake.lease import leases
from lakeward.lakedir import LakeDir, replace_file

REMEMBERED: Final = "unnamed.json"


def vacuum(lake: LakeDir, table: Table, grace: float, now_ms: int | None = None) -> list[str]:
    """Delete what may be deleted; the names."""
    now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    named = set(table.snapshot().files)
    unnamed = {
        name
        for name, _ in table.storage.names()
        if name.endswith(".parquet") and not name.startswith("_") and name not in named
    }
    seen = _seen(lake)
    since = {name: min(seen.get(name, now), now) for name in unnamed}
    held, fresh = leases(lake), unnamed - seen.keys()
    replaced = table.replaced(ceil(grace / 3600)) if fresh else set()
    gone = sorted(
        name for name, ms in since.items()
        if name not in held
        and (
            now - ms >= grace * 1000
            or (name in fresh and (name in replaced or table.storage.is_forgotten(name, now)))
        )
    )  # fmt: skip
    if since or seen:
        left = {name: ms for name, ms in since.items() if name not in gone}
        replace_file(lake.private / REMEMBERED, msgspec.json.encode(left) + b"\n")
    table.storage.delete(gone)
    return gone


def _seen(lake: LakeDir) -> dict[str, int]:
    try:
        content = (lake.private / REMEMBERED).read_bytes()
        return msgspec.json.decode(content, type=dict[str, int])
    except (FileNotFoundError, msgspec.MsgspecError):
        return {}
