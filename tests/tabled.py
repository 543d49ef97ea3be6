"""Rows put straight into a lake's table: a file for each day, as compaction writes them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lakeward.interaction import iso
from lakeward.lake.columns import COLUMNS, NESTED
from lakeward.lake.delta import Table, fresh_name, named
from lakeward.lake.rows import ARROW, ROW_GROUP
from lakeward.lake.storage import table_storage
from lakeward.lakedir import LakeDir
from lakeward.settings import Settings

Row = dict[str, Any]
"""A record: `ms` is its time, `day` (ms) that of its id if it is another, objects are dicts."""
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
START_MS = 1_761_350_400_000  # 2025-10-25T00:00:00Z: the day before Lisbon's clocks go back
TYPES: dict[str, pa.DataType] = {
    "VARCHAR": pa.string(), "TIMESTAMPTZ": pa.timestamp("us", "UTC"), "INTEGER": pa.int32(),
    "BIGINT": pa.int64(), "DOUBLE": pa.float64(), "BOOLEAN": pa.bool_(),
}  # fmt: skip


def put(lake: LakeDir, settings: Settings, rows: Iterable[Row]) -> None:
    """Into files of their days, one commit for all."""
    table = Table(table_storage(lake.root, settings))
    by_day: dict[int, list[Row]] = {}
    for row in rows:
        day = int(row.get("day") or row["ms"])
        by_day.setdefault(day // DAY_MS * DAY_MS, []).append(row)
    files = []
    for day, some in sorted(by_day.items()):
        made = [_line(day, n, row) for n, row in enumerate(some)]
        columns = {
            name: pa.array([row.get(name) for row in made], TYPES[kind])
            for name, kind in COLUMNS.items()
        }
        local: Path = lake.private / "made.parquet"
        pq.write_table(pa.table(columns), local, row_group_size=ROW_GROUP, **ARROW)
        name = fresh_name(iso(day)[:10], f"{day:012x}", f"{day + DAY_MS - 1:012x}")
        size = local.stat().st_size
        table.storage.place(local, name)
        times = [row["ms"] for row in some if row["ms"] is not None]
        files.append(named(name, size, len(made), iso(min(times)), iso(max(times))))
    table.commit(table.snapshot().version + 1, add=files)


_made = 0


def _line(day: int, n: int, row: Row) -> Row:
    global _made
    _made += 1
    head = f"{day + n:012x}"
    told = {name: json.dumps(v) if name in NESTED else v for name, v in row.items()}
    return {
        "interaction_id": f"{head[:8]}-{head[8:]}-7000-8000-{_made:012x}",
        "timestamp": datetime.fromtimestamp(row["ms"] / 1000, UTC),
        "interaction_type": "page_view", "user_id": "anonymous", "user_type": "unknown", **told,
    }  # fmt: skip


def crowd(seed: int, rows: int, days: int = 3) -> Sequence[Row]:
    """Rows that are awkward: at the ends of hours and days, without fields, with odd ones."""
    dice = random.Random(seed)
    made: list[Row] = []
    for _ in range(rows):
        ms = START_MS + dice.randrange(days * DAY_MS)
        if dice.random() < 0.3:  # on an hour, or a millisecond beside one
            ms = max(START_MS, ms // HOUR_MS * HOUR_MS + dice.choice((-1, 0, 1)))
        row: Row = {"ms": ms, "interaction_type": dice.choice(("api_call", "click", "page_view"))}
        for name, values in {
            "user_id": ("anonymous", "u1", "u2", "u3"), "anonymous_id": ("", "a1", "a2"),
            "session_id": tuple(f"s{n}" for n in range(40)), "bot": (True, False, None),
            "user_type": ("staff", "client", "unknown"), "device": ("phone", "laptop"),
            "path": ("/", "/p/1", "it's \"quoted\"", "é" * 40), "service": ("api", "web"),
            "response_status": (101, 200, 302, 404, 499, 500, 503), "country": ("PT", ""),
            "partner_id": ("p1", "(other)"), "request_bytes": (0, 7, 2**62),
            "route": ("/a", "/b", "", "(other)"), "response_bytes": (1, 2**62),
        }.items():  # fmt: skip
            if dice.random() < 0.8:
                row[name] = dice.choice(values)
        if dice.random() < 0.8:
            row["response_time_ms"] = dice.choice(
                (0.0, 0.0004, 0.5, 299.9, 300.0, 1200.0, 1200.1, 9e9, dice.lognormvariate(4, 2))
            )
        if dice.random() < 0.2:
            cost = dice.choice((0.25, 1, "0.5", "much", None))
            row["ai_metadata"] = {"model_answered": dice.choice(("m1", "m2")), "cost_usd": cost}
        if dice.random() < 0.05:
            row["day"] = START_MS  # told late, by an id of another day
        made.append(row)
    return made
