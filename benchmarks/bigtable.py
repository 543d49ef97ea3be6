"""A table of many rows in the table's own layout, made straight by DuckDB and not through a log.

    python benchmarks/bigtable.py LAKE [ROWS]

In: a folder. Out: a lake with rows of a million to a day, sorted by id, in the columns, row groups
and names that merging gives them. What is there already stays as it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from journeys import AGENTS, PAGES, SITE
from lakeward.interaction import iso
from lakeward.lake.columns import COLUMNS
from lakeward.lake.delta import DataFile, Table, fresh_name, named
from lakeward.lake.rows import ARROW, ROW_GROUP, connect, quoted
from lakeward.lake.storage import table_storage
from lakeward.lakedir import open_lake
from lakeward.settings import load

A_DAY = 1_000_000
DAY_MS = 86_400_000
START_MS = 1_754_870_400_000
USERS = 200_000


def day_of_rows(day: int, rows: int, names: tuple[str, ...] = tuple(COLUMNS)) -> str:
    """The select that makes one day: calls and page views of users, in the order of their ids.

    Never two in one millisecond. Days differ in ids and times only.
    """
    start = START_MS + day * DAY_MS
    agents = "[" + ", ".join(quoted(text) for text, _ in AGENTS) + "]"
    pages = "[" + ", ".join(quoted(page) for page in PAGES) + "]"
    columns = {
        "interaction_id": "concat(head[1:8], '-', head[9:12], '-7', m[1:3], '-8', m[4:6], '-', "
        "m[7:18])",
        "timestamp": "make_timestamptz(ms * 1000)",
        "environment": "'production'",
        "app_version": "'1.4.2'",
        "interaction_type": "if(view, 'page_view', 'api_call')",
        "method": "if(view, NULL, 'GET')",
        "path": f"if(view, {pages}[h % {len(PAGES)} + 1], '/api/partners/' || h % 900)",
        "user_id": f"if(h % 3 = 0, 'user-' || (h // 7) % {USERS}, 'anonymous')",
        "user_type": "if(h % 3 = 0, 'contractor', 'unknown')",
        "response_status": "if(view, NULL, if(h % 40 = 0, 404, 200))",
        "response_time_ms": "if(view, NULL, (h % 90000) / 1000)",
        "ip_address": "concat('203.0.', (h // 11) % 250, '.', (h // 13) % 250)",
        "user_agent": f"{agents}[(h // 17) % {len(AGENTS)} + 1]",
        "session_id": "concat('0198a3c1-7d2e-8f40-9c3b-', lpad(((h // 7) % 900000)::VARCHAR, "
        "12, '0'))",
        "service": "if(view, 'web', 'api')",
        "route": "if(view, NULL, '/api/partners/{id}')",
        "url": f"if(view, {quoted(SITE)} || {pages}[h % {len(PAGES)} + 1], NULL)",
        "device": "'desktop'",
        "browser": "'Chrome'",
        "os": "'Windows'",
        "bot": "false",
    }
    made = ", ".join(
        f"({columns[name]})::{kind} AS {name}" if name in columns else f"NULL::{kind} AS {name}"
        for name, kind in COLUMNS.items()
        if name in names
    )
    rows_of_it = (
        f"SELECT i, {start} + i * {DAY_MS} // {rows} AS ms, "
        f"(hash(i) >> 1)::BIGINT AS h, md5((i + {day * rows})::VARCHAR) AS m "
        f"FROM range({rows}) r(i)"
    )
    return (
        f"SELECT {made} FROM (SELECT *, printf('%012x', ms) AS head, h % 5 = 0 AS view "
        f"FROM ({rows_of_it}))"
    )


def build(root: Path, rows: int) -> None:
    """Make it, a file for each day, in one commit a day."""
    lake = open_lake(root)
    table = Table(table_storage(lake.root, load({}, root.parent)))
    con = connect(2 << 30, 2)
    count = min(A_DAY, rows)
    same = con.sql(day_of_rows(0, count)).to_arrow_table()
    for day in range(rows // count):
        start = START_MS + day * DAY_MS
        date = iso(start)[:10]
        snapshot = table.snapshot()
        if not snapshot.dated(date):
            own = con.sql(day_of_rows(day, count, ("interaction_id", "timestamp"))).to_arrow_table()
            columns = dict(zip(same.column_names, same.columns, strict=True))
            whole = pa.table(columns | {name: own[name] for name in own.column_names})
            file = placed(table, root / "day.parquet", whole, start)
            table.commit(snapshot.version + 1, add=[file])


def placed(table: Table, local: Path, rows: pa.Table, start: int) -> DataFile:
    """A file of a day's rows, in the table's folder."""
    pq.write_table(rows, local, row_group_size=ROW_GROUP, **ARROW)
    last = start + (rows.num_rows - 1) * DAY_MS // rows.num_rows
    name = fresh_name(iso(start)[:10], f"{start:012x}", f"{last:012x}")
    size = local.stat().st_size
    table.storage.place(local, name)
    return named(name, size, rows.num_rows, iso(start), iso(last))


if __name__ == "__main__":
    build(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 50_000_000)
