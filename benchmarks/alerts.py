"""What does it cost to watch a lake of a thousand series and a million rows a day?

A lake of so many days is made by DuckDB; then each look is a process of its own, as the keeper
starts one, with the clock of that moment: the first one, which learns, and an hour of looks.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pyarrow as pa

from bigtable import A_DAY, DAY_MS, START_MS, day_of_rows, placed
from lakeward.alerts.overview import watched
from lakeward.interaction import iso
from lakeward.lake.delta import Table
from lakeward.lake.rows import connect
from lakeward.lake.storage import table_storage
from lakeward.lakedir import open_lake
from lakeward.settings import load
from measure import Report, scratch, table

DAYS = 5
ROUTES, TYPES = 290, 120
FIVE_MS = 300_000
VARIED = f"""SELECT * REPLACE (
    CASE WHEN interaction_type = 'api_call'
        THEN '/api/r' || floor(pow(hash(interaction_id) % 10007 / 10007, 2.5) * {ROUTES})::INT
    END AS route,
    CASE WHEN interaction_type = 'api_call' THEN 'api_call'
        ELSE 'seen_' || (hash(interaction_id) % {TYPES}) END AS interaction_type,
    'shop' AS service
) FROM made"""
LOOK = """
import sys
from pathlib import Path
from lakeward.cli.alerting import watch
from lakeward.lakedir import open_lake
from lakeward.settings import load

root = Path(sys.argv[1])
watch(open_lake(root, create=False), load({"LAKEWARD_LAKE_DIR": sys.argv[1]}, root.parent),
      now_ms=int(sys.argv[2]))
status = Path("/proc/self/status").read_text()  # what it forked from is in its usage, not here
print(status.partition("VmHWM:")[2].split()[0])
"""


def build(root: Path, days: int) -> None:
    """Days of calls of many routes and of many types, some much more often than others."""
    lake = open_lake(root)
    to = Table(table_storage(lake.root, load({}, root.parent)))
    con = connect(2 << 30, 2)
    con.register("made", con.sql(day_of_rows(0, A_DAY)).to_arrow_table())
    same = con.sql(VARIED).to_arrow_table()
    for day in range(days):
        start = START_MS + day * DAY_MS
        own = con.sql(day_of_rows(day, A_DAY, ("interaction_id", "timestamp"))).to_arrow_table()
        columns = dict(zip(same.column_names, same.columns, strict=True))
        whole = pa.table(columns | {name: own[name] for name in own.column_names})
        file = placed(to, root / "day.parquet", whole, start)
        to.commit(to.snapshot().version + 1, add=[file])


def look(root: Path, now_ms: int) -> tuple[float, float]:
    """CPU seconds and MiB of a look in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [sys.executable, "-c", LOOK, str(root), str(now_ms)]
    said = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, int(said) / 1024


def main() -> None:
    """The lake, the first look, an hour."""
    report = Report("alerts")
    days = report.rounds(DAYS)
    with scratch() as environ:
        root = Path(environ["LAKEWARD_LAKE_DIR"])
        build(root, days)
        now = START_MS + (days - 1) * DAY_MS + DAY_MS // 2 + 62_000
        learned, memory = look(root, now)
        looks = [look(root, now + n * FIVE_MS)[0] for n in range(1, 13)]
        shown = watched(open_lake(root))
        fine = sum(row.minutes == 5 for row in shown.series)
        size = (root / ".lakeward/alerts.state").stat().st_size / 2**20
    report.say(
        f"{len(shown.series):,} series, {fine} of them in buckets of five minutes, over {days} "
        f"days of {A_DAY:,} rows; {shown.left_out:,} left out. Judged until {iso(now)[:16]}."
    )
    report.say(
        table(
            ["look", "CPU seconds"],
            [
                ["the first, which learns", f"{learned:.1f}"],
                ["one of five minutes, the least", f"{min(looks):.2f}"],
                ["the one with the hours, the most", f"{max(looks):.2f}"],
                ["an hour of looks", f"{sum(looks):.1f}"],
            ],
        )
    )
    report.goal("an hour of watching", sum(looks), 60.0, "CPU s")
    report.goal("memory of the first look", memory, 1024.0, "MiB")
    report.goal("the memory on disk", size, 64.0, "MiB")
    report.figures |= {"learned": learned, "looks": looks, "series": len(shown.series)}
    report.finish()


if __name__ == "__main__":
    main()
