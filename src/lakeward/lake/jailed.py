"""The child that answers one question: bounded first, then opened, then locked, then asked.

In: an order on stdin. Out: Arrow IPC on stdout, or the form that the order names, and one verdict
on the descriptor that it was given. It never fails: whatever goes wrong is a verdict, and where the
system ends it, the lack of one.

    guard ──► bounds ──► open the lake ──► lock DuckDB ──► no file may grow ──► run

Each lock holds without the one before. Once locked, DuckDB opens the files that the views list and
nothing else, takes no setting back and loads nothing; and the kernel gives no byte of any file to
write, no core and no memory beyond the bound.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import resource
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NoReturn, TextIO

import msgspec

from lakeward.catalog import TYPES
from lakeward.errors import LakewardError, Rejected
from lakeward.lake import derived
from lakeward.lake.guard import check, one_line
from lakeward.lake.jail import Form, Order, Verdict
from lakeward.lake.reading import Reading, open_reading
from lakeward.lake.rows import listed
from lakeward.lake.written import Batches, write_csv, write_parquet, write_rows
from lakeward.lakedir import open_lake
from lakeward.settings import load

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

VIEWS: Final = ("interactions", *TYPES, *derived.VIEWS)
BATCH_ROWS: Final = 10_000
PIECE: Final = 1 << 20
"""Bytes before which nothing is written: an error in a small answer leaves no part of one."""
Writer = Callable[["Bounded", IO[bytes]], None]
DESCRIPTORS: Final = 512
OWN_MEMORY: Final = 384 << 20
"""What interpreter, libraries and the stacks of threads have mapped before the question."""
ADDRESSES: Final = 16 << 30
"""Address space: reserved by allocators far beyond what is used, so this is a second line only."""
PR_SET_PDEATHSIG: Final = 1


def main(order: bytes, verdict_fd: int) -> NoReturn:
    """Answer one order and leave without running anything else."""
    out = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no part of the answer
    verdict = _answered(msgspec.json.decode(order, type=Order), out)
    os.close(out)
    with contextlib.suppress(OSError):
        os.write(verdict_fd, msgspec.json.encode(verdict))
    os._exit(0)  # no destructor runs, and none can hang


def _answered(order: Order, out: int) -> Verdict:
    try:
        die_with(order.parent)
        bound(order.memory, order.seconds)
        check(order.sql, VIEWS)
        return _asked(order, out)
    except Rejected as error:
        return Verdict("refused", str(error))
    except LakewardError as error:
        return Verdict("impossible", str(error))
    except MemoryError:
        return Verdict("memory")
    except OSError as error:
        return Verdict("impossible", f"the lake cannot be read: {error.strerror}")


def _asked(order: Order, out: int) -> Verdict:
    import duckdb

    lake = open_lake(Path(order.environ["LAKEWARD_LAKE_DIR"]), create=False)
    settings = load(order.environ, lake.private)
    threads = min(4, os.cpu_count() or 1)
    try:
        with open_reading(lake, settings, memory=order.memory * 3 // 4, threads=threads) as reading:
            if derived.asked(order.sql):
                derived.create(reading.con)
            lock(reading)
            return stream(reading.con, order, out)
    except duckdb.Error as error:
        return ended(str(error))


def die_with(parent: int) -> None:
    """Be killed when the parent is gone, and at once where it is gone already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def bound(memory: int, seconds: float) -> None:
    """Limits of the kernel for the whole process. Data is what counts: heap and private mappings;
    of a core file nothing is written, as it would hold rows."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_DATA, memory + OWN_MEMORY)
    _limit(resource.RLIMIT_AS, max(ADDRESSES, 4 * memory))
    _limit(resource.RLIMIT_CPU, int(seconds) * 4 + 5)
    _limit(resource.RLIMIT_NOFILE, DESCRIPTORS)


def _limit(which: int, most: int) -> None:
    hard = resource.getrlimit(which)[1]
    value = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(which, (value, value))


def lock(reading: Reading) -> None:
    """From here on DuckDB reaches the listed files alone, and the kernel lets no file grow."""
    lock_connection(reading.con, reading.files)


def lock_connection(con: DuckDBPyConnection, files: list[str]) -> None:
    """The lock of one connection over some files, and of this process."""
    for statement in locking(files):
        con.execute(statement)
    _limit(resource.RLIMIT_FSIZE, 0)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write fails; nobody is killed for it


def locking(files: list[str]) -> list[str]:
    """What is told to DuckDB, in this order."""
    return [
        "SET allow_persistent_secrets = false",
        "SET allow_community_extensions = false",
        "SET enable_logging = false",
        f"SET allowed_paths = {listed(files)}",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ]


class Bounded:
    """An answer's batches up to the rows and bytes that are wanted; `verdict` says how it ended."""

    def __init__(self, con: DuckDBPyConnection, order: Order) -> None:
        self._reader = con.sql(order.sql).to_arrow_reader(BATCH_ROWS)
        self._order = order
        self.schema: pa.Schema = self._reader.schema
        self.verdict = Verdict("done")
        self.cut = False

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Each batch, until one is beyond a bound or is an error."""
        import pyarrow as pa

        rows = size = 0
        while True:
            try:
                batch = self._reader.read_next_batch()
            except StopIteration:
                return
            except (OSError, pa.ArrowException) as error:
                self.verdict = ended(str(error))
                return
            if self._order.rows and rows + batch.num_rows > self._order.rows:
                self.verdict, self.cut = Verdict("cut"), True
                yield batch.slice(0, self._order.rows - rows)
                return
            rows += batch.num_rows
            size += batch.nbytes
            if size > self._order.answer_bytes:
                self.verdict = Verdict("large")
                return
            yield batch


def stream(con: DuckDBPyConnection, order: Order, out: int) -> Verdict:
    """Run it and write batches as they come, up to the rows and bytes that are wanted."""
    warnings.simplefilter("ignore")
    answer = Bounded(con, order)
    with os.fdopen(out, "wb", PIECE, closefd=False) as sink:
        WRITERS[order.form](answer, sink)
    return answer.verdict


def _write_arrow(answer: Bounded, sink: IO[bytes]) -> None:
    import pyarrow as pa

    with pa.ipc.new_stream(sink, answer.schema) as ipc:
        for batch in answer:
            ipc.write_batch(batch)


def _write_parquet(answer: Bounded, sink: IO[bytes]) -> None:
    write_parquet(answer, sink)


def _as_text(write: Callable[[Batches, TextIO], None]) -> Writer:
    def written(answer: Bounded, sink: IO[bytes]) -> None:
        with io.TextIOWrapper(sink, encoding="utf-8", newline="") as text:
            write(answer, text)

    return written


WRITERS: Final[dict[Form, Writer]] = {
    "arrow": _write_arrow,
    "rows": _as_text(write_rows),
    "csv": _as_text(write_csv),
    "parquet": _write_parquet,
}

QUOTABLE: Final = frozenset({"Binder", "Catalog", "Parser"})
"""Errors that come before any row is read: their text quotes the query alone."""
OF_A_VALUE: Final = frozenset({"Conversion", "Invalid Input", "Out of Range"})
OF_THE_LOCK: Final = frozenset({"Permission", "IO"})


def ended(said: str) -> Verdict:
    """What DuckDB said when it failed, as a verdict: one sentence, without a value of any row.

    Its class cannot be asked: an error amid the rows comes through Arrow, as OSError.
    """
    kind, _, rest = said.partition(" Error: ")
    if kind == "Out of Memory":
        return Verdict("memory")
    if kind in QUOTABLE:
        quoted_query = one_line(rest.partition("\n\nLINE ")[0])
        return Verdict("refused", f"the query cannot be answered: {quoted_query}")
    if kind in OF_A_VALUE:
        return Verdict(
            "refused",
            f"the query failed at a value that does not fit ({kind}): TRY_CAST and try(…) give "
            "NULL there",
        )
    if kind in OF_THE_LOCK:
        return Verdict("refused", "the query wants a file or a setting that it may not reach")
    named = f" ({kind})" if rest and len(kind) < 40 else ""
    return Verdict("refused", f"the query failed{named}: ask in another way")
