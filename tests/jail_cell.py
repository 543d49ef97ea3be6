"""The jail without its guard, as a process of its own: SQL in, one JSON text a line; what became of
it out. Whatever an attack achieves here, it achieves against the locks alone.

    python tests/jail_cell.py LAKE
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from pathlib import Path

import msgspec

from lakeward.lake.jailed import bound, lock
from lakeward.lake.reading import open_reading
from lakeward.lakedir import open_lake
from lakeward.settings import load

LOCKED = "/lakeward-test-is-locked"
"""A path that is asked for and not there, so that a trace shows where the locked part begins."""
SECONDS = 5.0
order_of_this_process = "a variable that SQL must not see"


class Outcome(msgspec.Struct):
    """Rows as text, or the kind of error."""

    rows: str = ""
    error: str = ""


class Opened(msgspec.Struct):
    """What the cell may reach."""

    files: list[str]


def main(root: str) -> None:
    import duckdb

    settings = load({"LAKEWARD_LAKE_DIR": root}, Path(root) / ".lakeward")
    bound(1 << 30, 600)
    with open_reading(open_lake(Path(root)), settings, memory=512 << 20) as reading:
        lock(reading)
        os.access(LOCKED, os.F_OK)
        print(msgspec.json.encode(Opened(reading.files)).decode(), flush=True)
        for line in sys.stdin:
            timer = threading.Timer(SECONDS, reading.con.interrupt)
            timer.start()
            try:
                rows = reading.con.execute(msgspec.json.decode(line, type=str)).fetchmany(50)
                outcome = Outcome(rows=repr(rows))
            except Exception as error:  # whatever it is, the cell goes on
                outcome = Outcome(error=f"{type(error).__name__}: {error}")
            finally:
                timer.cancel()
                with contextlib.suppress(duckdb.Error):
                    reading.con.rollback()
            print(msgspec.json.encode(outcome).decode(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
