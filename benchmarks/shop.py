"""The table that questions are measured over: a shop's interactions, fifty days of them.

    python benchmarks/shop.py LAKE [ROWS]

In: a folder. Out: a lake whose rows have the columns, row groups and names that merging gives them,
a file for each day. What is there already stays as it is.

One unit of fifty rows on average, but few make most: the place of a row's user among all is a cube
of chance, so the first thousandth has a tenth of the rows. Times are whole seconds, so that ties
are common. Of twenty rows four are views of products, two put into the cart, one checks out, one
buys, four are calls with a duration, three page views, and the rest clicks and searches.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bigtable import DAY_MS, START_MS, placed
from lakeward.interaction import iso
from lakeward.lake.columns import COLUMNS
from lakeward.lake.delta import Table
from lakeward.lake.rows import connect
from lakeward.lake.storage import table_storage
from lakeward.lakedir import open_lake
from lakeward.settings import load

DAYS = 50
EACH = 50
"""Rows of a user, on average."""
TYPES = (
    *("product_view",) * 4, *("page_view",) * 3, *("api_call",) * 4, *("add_to_cart",) * 2,
    "checkout_start", "purchase", *("click",) * 3, *("search",) * 2,
)  # fmt: skip


def day_of_rows(day: int, rows: int, of_day: int) -> str:
    """The select that makes one day of a table of so many rows, in the order of ids."""
    start = START_MS + day * DAY_MS
    types = "[" + ", ".join(f"'{name}'" for name in TYPES) + "]"
    columns = {
        "interaction_id": "concat(head[1:8], '-', head[9:12], '-7', m[1:3], '-8', m[4:6], '-', "
        "m[7:18])",
        "timestamp": "make_timestamptz(ms // 1000 * 1000000)",
        "environment": "'production'",
        "app_version": "'1.4.2'",
        "interaction_type": "type",
        "path": "'/p/' || (g // 31 % 60)",
        "user_id": "if(user % 50 = 49, 'anonymous', 'user-' || user)",
        "anonymous_id": "'visitor-' || user",
        "user_type": "'contractor'",
        "session_id": f"'s-' || (user * {DAYS} + {day})",
        "service": "if(type = 'api_call', 'api', 'web')",
        "route": "if(type = 'api_call', '/api/r' || (g // 20 % 40), NULL)",
        "response_status": "if(type = 'api_call', if(g // 800 % 40 = 0, 503, 200), NULL)",
        "response_time_ms": "if(type = 'api_call', (h % 90000) / 1000, NULL)",
        "device": "['phone', 'laptop', 'tablet'][user % 3 + 1]",
        "bot": "false",
    }
    made = ", ".join(
        f"({columns[name]})::{kind} AS {name}" if name in columns else f"NULL::{kind} AS {name}"
        for name, kind in COLUMNS.items()
    )
    chance = "pow((h % 1000003) / 1000003.0, 3)"
    numbers = (
        f"SELECT {start} + i * {DAY_MS} // {of_day} AS ms, "
        f"(hash(i + {day * of_day}) >> 1)::BIGINT AS h, "
        f"(hash(i + {day * of_day} + 7777777777) >> 1)::BIGINT AS g, "
        f"md5((i + {day * of_day})::VARCHAR) AS m FROM range({of_day}) r(i)"
    )
    return (
        f"SELECT {made} FROM (SELECT *, printf('%012x', ms) AS head, "
        f"floor({rows // EACH} * {chance})::BIGINT AS user, "
        f"{types}[g % {len(TYPES)} + 1] AS type FROM ({numbers})) ORDER BY interaction_id"
    )


def build(root: Path, rows: int) -> None:
    """Make it, a file and a commit for each day."""
    lake = open_lake(root)
    table = Table(table_storage(lake.root, load({}, root.parent)))
    con = connect(2 << 30, 2)
    for day in range(DAYS):
        start = START_MS + day * DAY_MS
        snapshot = table.snapshot()
        if not snapshot.dated(iso(start)[:10]):
            made = con.sql(day_of_rows(day, rows, rows // DAYS)).to_arrow_table()
            file = placed(table, root / "day.parquet", made, start)
            table.commit(snapshot.version + 1, add=[file])


if __name__ == "__main__":
    build(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10_000_000)
