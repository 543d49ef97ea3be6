"""Blocks of work that `lake.py` measures, each in a process of its own.

    python benchmarks/lakework.py BLOCK ARGUMENTS…

Prints one line of JSON: CPU and wall seconds of the work without imports and set-up, the largest
resident memory, and what the block says besides.
"""

from __future__ import annotations

import json
import os
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from generator import lines
from lakeward.lake.compact import Compactor
from lakeward.lake.delta import Table, local_path
from lakeward.lake.files import select_of
from lakeward.lake.forget import TableEraser
from lakeward.lake.lookup import Lookup
from lakeward.lake.merge import merge
from lakeward.lake.rows import ARROW, PARQUET, connect, listed, quoted
from lakeward.lake.storage import table_storage
from lakeward.lakedir import LakeDir, open_lake
from lakeward.ledger import State
from lakeward.log import Log
from lakeward.person import Person
from lakeward.settings import Settings, load

MEMORY = 1 << 30
THREADS = 2
RECEIVED_MS = 1_754_956_800_000


@contextmanager
def measured(found: dict[str, Any]) -> Iterator[None]:
    """CPU and wall seconds of what runs within, all threads."""
    cpu, wall = time.process_time(), time.perf_counter()
    yield
    found["cpu"] = time.process_time() - cpu
    found["wall"] = time.perf_counter() - wall


def opened(root: str) -> tuple[LakeDir, Settings, Table]:
    """A lake by its folder, with defaults."""
    lake = open_lake(Path(root))
    settings = load({"LAKEWARD_LAKE_DIR": root}, Path(root).parent)
    return lake, settings, Table(table_storage(lake.root, settings))


def fill(root: str, rows: str, seed: str = "7") -> dict[str, Any]:
    """Write a lake's log as the keeper does, without one; and what stands in it."""
    lake = open_lake(Path(root))
    log = Log(lake, 128 << 20)
    state = State(lake_id=lake.identity.lake_id, epoch=lake.identity.epoch)
    source = lines(int(seed), int(rows))
    size = 0
    while piece := list(islice(source, 20_000)):
        data = b"\n".join(piece) + b"\n"
        segment, start = log.place("raw", len(data), RECEIVED_MS)
        log.write("raw", data, len(piece))
        state.batch += 1
        state.ends["raw"] = (segment, start + len(data), len(piece))
        log.publish(state)
        size += len(data)
    log.close()
    return {"bytes": size}


def raw(root: str, out: str, how: str) -> dict[str, Any]:
    """What DuckDB alone makes of the same lines: found columns, no order, nothing left out."""
    con = connect(MEMORY, THREADS, Path(out).parent)
    files = listed(str(path) for path in sorted(Path(root).glob("raw/*/*/*/*.jsonl")))
    options = {"default": "FORMAT parquet", "zstd": PARQUET}[how]
    found: dict[str, Any] = {}
    with measured(found):
        con.execute(f"COPY (FROM read_json({files})) TO {quoted(out)} ({options})")
    return found | {"bytes": Path(out).stat().st_size}


def compact(root: str) -> dict[str, Any]:
    """The log into the table: sorted, each id once, enriched, committed; then merged, beside it."""
    lake, _, table = opened(root)
    compactor = Compactor(lake, table, memory=MEMORY, threads=THREADS)
    found: dict[str, Any] = {}
    with measured(found):
        done = compactor.run()
    found |= {"rows": done.added, "commits": done.commits, "bytes": _size(table)}
    merging: dict[str, Any] = {}
    with measured(merging):
        merge(compactor.con, table, compactor.scratch, closed_before="9999-12-31")
    compactor.close()
    files = table.snapshot().files.values()
    return found | {"merge_cpu": merging["cpu"], "merged_bytes": _size(table), "files": len(files)}


def _size(table: Table) -> int:
    return sum(file.bytes for file in table.snapshot().files.values())


def get(root: str, count: str, seed: str) -> dict[str, Any]:
    """Lookups by id: warm (the same connection, seen files), and cold (a new connection, the file
    gone from the page cache)."""
    lake, settings, table = opened(root)
    wanted = _some_ids(table, int(count), int(seed))
    lookup = Lookup(lake, settings)
    for one in wanted[:20]:
        lookup.get(one)
    spent = time.process_time()
    warm = [_timed(lambda one=one: lookup.get(one)) for one in wanted]  # type: ignore[misc]
    spent = time.process_time() - spent
    lookup.close()
    cold = []
    for one in wanted:
        _forget_pages(table)
        begun = time.perf_counter()
        lookup = Lookup(lake, settings)
        assert lookup.get(one) is not None
        cold.append((time.perf_counter() - begun) * 1000)
        lookup.close()
    return {"warm": warm, "cold": cold, "warm_cpu_ms": spent * 1000 / len(wanted)}


def _timed(action: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    assert action() is not None
    return (time.perf_counter() - begun) * 1000


def _some_ids(table: Table, count: int, seed: int) -> list[str]:
    """Ids from anywhere in the table; whole row groups are read, so that it does not take long."""
    import pyarrow.parquet as pq

    dice = random.Random(seed)
    files = list(table.snapshot().files.values())
    ids = []
    for _ in range(count):
        path = local_path(table.storage, dice.choice(files).name)
        with pq.ParquetFile(path) as file:
            group = file.read_row_group(
                dice.randrange(file.num_row_groups), columns=["interaction_id"]
            )
        ids.append(group.column(0)[dice.randrange(group.num_rows)].as_py())
    return ids


def _forget_pages(table: Table) -> None:
    for file in table.snapshot().files.values():
        fd = os.open(local_path(table.storage, file.name), os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def scan(root: str) -> dict[str, Any]:
    """The same question with every id of the table looked at, pages warm."""
    _, _, table = opened(root)
    con = connect(MEMORY, THREADS)
    source = select_of(table, table.snapshot().files.values())
    found: dict[str, Any] = {}
    for _ in range(2):
        with measured(found):
            con.execute(f"SELECT * FROM ({source}) WHERE suffix(interaction_id, 'none')").fetchall()
    rows = sum(file.rows for file in table.snapshot().files.values())
    return found | {"rows": rows, "bytes": _size(table)}


def erase(root: str, user: str) -> dict[str, Any]:
    """Erase a user from the table: find the files, rewrite them, commit, delete the old ones."""
    lake, settings, _ = opened(root)
    eraser = TableEraser(lake, settings)
    found: dict[str, Any] = {}
    with measured(found):
        gone = eraser.erase(Person("user_id", user))
    return found | {"rows": gone.records}


def rewrite(root: str, user: str, out: str) -> dict[str, Any]:
    """What one would do by hand with the files that hold the user, were they known."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    _, _, table = opened(root)
    con = connect(MEMORY, THREADS)
    paths = [local_path(table.storage, file.name) for file in table.snapshot().files.values()]
    hit = con.execute(
        f"SELECT DISTINCT filename FROM read_parquet({listed(paths)}, filename = true) "
        "WHERE user_id = ?", [user],
    ).fetchall()  # fmt: skip
    found: dict[str, Any] = {}
    with measured(found):
        for number, (path,) in enumerate(hit):
            select = f"FROM read_parquet({quoted(path)}, hive_partitioning = false) " \
                     f"WHERE user_id IS DISTINCT FROM {quoted(user)}"  # fmt: skip
            con.execute(f"COPY ({select}) TO {quoted(f'{out}/{number}.parquet')} ({PARQUET})")
    arrow: dict[str, Any] = {}
    with measured(arrow):
        for number, (path,) in enumerate(hit):
            rows = pq.ParquetFile(path).read()
            keep = pc.not_equal(rows["user_id"], user).combine_chunks().fill_null(True)
            pq.write_table(
                rows.filter(keep), f"{out}/{number}.arrow.parquet", row_group_size=20_480, **ARROW
            )
    return found | {"files": len(hit), "arrow_cpu": arrow["cpu"], "arrow_wall": arrow["wall"]}


def main() -> int:
    """Run one block."""
    block, *arguments = sys.argv[1:]
    work: dict[str, Callable[..., dict[str, Any]]] = {
        "fill": fill, "raw": raw, "compact": compact, "get": get, "scan": scan, "erase": erase,
        "rewrite": rewrite,
    }  # fmt: skip
    found = work[block](*arguments)
    found["rss"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
