"""Runs one question in a child that the system bounds, and hands its answer on as it comes.

In: settings, SQL and the most rows to take. Out: a `Run` whose `read` gives the child's Arrow IPC
stream, and then its verdict. Fails with `Rejected` for what the guard or DuckDB refuses, and with
`Terminal` when the question takes more time, memory or room than the settings allow.

    parent ── order (JSON) ──► stdin   child  (jailed.py)
           ◄─ Arrow IPC ────── stdout, or what `form` says
           ◄─ verdict (JSON) ─ fd N

The child has a session of its own, none of the parent's descriptors and none of its environment but
what a table in S3 needs. It dies with its parent, and when its time is over the parent kills the
whole group. Time is counted while the parent waits for the child: a reader that takes its time
costs the question nothing. The parent decodes Arrow and one JSON object, never a pickle.
"""

from __future__ import annotations

import io
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Final, Literal, cast

import msgspec

from lakeward.errors import LakewardError, Rejected, Terminal
from lakeward.lakedir import open_lake
from lakeward.settings import SETTINGS, Settings
from lakeward.spawn import interpreter

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BOOT: Final = (
    "import json,sys\n"
    "order=sys.stdin.buffer.read()\n"
    "sys.path[:]=json.loads(order)['path']\n"
    "from lakeward.lake.jailed import main\n"
    "main(order,int(sys.argv[1]))\n"
)
ANSWER_BYTES: Final = 1 << 30
"""The largest answer, as Arrow; a question that wants more wants an export."""
Form = Literal["arrow", "rows", "csv", "parquet"]
"""What the child writes: batches for Python, or bytes that are handed on as they are."""
TABLE_SETTINGS: Final = (
    "lake_dir", "table", "geoip", "ai_prices", "aws_region", "aws_access_key_id",
    "aws_secret_access_key", "aws_endpoint",
)  # fmt: skip
LEAN: Final = {
    "MALLOC_ARENA_MAX": "2", "ARROW_DEFAULT_MEMORY_POOL": "system", "ARROW_IO_THREADS": "2",
    "DUCKDB_JE_MALLOC_CONF": "retain:false",
    "OMP_NUM_THREADS": "2", "TOKIO_WORKER_THREADS": "2",
}  # fmt: skip
"""Allocators and pools take memory ahead, by the number of cores; what a question may take is to be
left for the question."""
PASSED: Final = ("LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")
PASSED_FOR_S3: Final = ("HOME", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
VERDICT_BYTES: Final = 64 << 10


class Order(msgspec.Struct, frozen=True):
    """What the child is told."""

    path: list[str]
    environ: dict[str, str]
    sql: str
    rows: int
    answer_bytes: int
    memory: int
    seconds: float
    parent: int
    form: Form = "arrow"


class Verdict(msgspec.Struct, frozen=True):
    """How it ended: all rows are there, or as many as were wanted, or why there are none."""

    kind: Literal["done", "cut", "refused", "impossible", "memory", "large"]
    sentence: str = ""


class Run:
    """One question on its way. Use as a context manager: leaving it ends the child."""

    def __init__(
        self, settings: Settings, sql: str, *, rows: int = 0, form: Form = "arrow",
        answer_bytes: int = 0,
    ) -> None:  # fmt: skip
        """`answer_bytes`: the largest answer, as Arrow; 0: 1 GiB."""
        self._settings = settings
        self._left = settings.query_seconds
        self._answer_bytes = answer_bytes or ANSWER_BYTES
        self._ending = threading.Lock()
        order = _order(settings, sql, rows, form, self._answer_bytes)
        verdict, theirs = os.pipe()
        self._verdict = os.fdopen(verdict, "rb")
        try:
            self._child = _start(settings, theirs)
        except BaseException:
            self._verdict.close()
            raise
        finally:
            os.close(theirs)
        self._out = cast(IO[bytes], self._child.stdout)
        pipe = _Pipe(self._out.fileno(), self._wait)
        self.stream = io.BufferedReader(pipe, 1 << 20)
        with suppress(BrokenPipeError):  # it is dead: its verdict, or the lack of one, says why
            _tell(cast(IO[bytes], self._child.stdin), order)

    def finish(self) -> bool:
        """The end of the answer: whether rows were cut off; raises when it is no whole answer."""
        content = bytearray()
        while len(content) < VERDICT_BYTES:
            self._wait(self._verdict.fileno())
            part = os.read(self._verdict.fileno(), VERDICT_BYTES)
            if not part:
                break
            content += part
        self.close()
        if not content:
            raise self._died()
        verdict = msgspec.json.decode(bytes(content), type=Verdict)
        if verdict.kind in ("done", "cut"):
            return verdict.kind == "cut"
        raise self._error(verdict)

    def _wait(self, fd: int) -> None:
        """Return when the child has written or closed; kill it when its time is over."""
        began = time.monotonic()
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        ready = poll.poll(max(self._left, 0) * 1000)
        self._left -= time.monotonic() - began
        if not ready:
            self.close()
            raise Terminal(_slow(self._settings))

    def _died(self) -> LakewardError:
        """No verdict: the system ended it."""
        if self._child.returncode == -signal.SIGXCPU:
            return Terminal(_slow(self._settings))
        return Terminal(
            f"the query's process died ({_ending(self._child.returncode)}), most likely for want "
            f"of memory: {_more_memory(self._settings)}"
        )

    def _error(self, verdict: Verdict) -> LakewardError:
        match verdict.kind:
            case "memory":
                need = "the query needs more memory than it may take: "
                return Terminal(need + _more_memory(self._settings))
            case "large":
                most = f"{self._answer_bytes >> 20} MiB"
                return Terminal(f"the answer has more than {most}: count, group or LIMIT it")
            case "refused":
                return Rejected(verdict.sentence)
            case _:
                return Terminal(verdict.sentence)

    def close(self) -> None:
        """End the child, whatever it does, and everything that it started."""
        self.kill()
        with self._ending:
            self._child.wait()
        self._verdict.close()
        self._out.close()

    def kill(self) -> None:
        """Let it end now; for another thread than the one that reads, which finds it dead."""
        with self._ending:  # its number is not another process's until it is waited for
            if self._child.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(self._child.pid, signal.SIGKILL)


class _Pipe(io.RawIOBase):
    """The read end of a pipe, waited for with a bound."""

    def __init__(self, fd: int, wait: Callable[[int], None]) -> None:
        self._fd = fd
        self._await = wait

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        self._await(self._fd)
        return os.readv(self._fd, [buffer])


def _start(settings: Settings, verdict: int) -> subprocess.Popen[bytes]:
    try:
        python = interpreter()
    except Terminal:
        raise Terminal(
            "this program cannot start Python: ask by `lakeward query` instead"
        ) from None
    return subprocess.Popen(  # noqa: S603 - our own interpreter with our own code
        [python, "-I", "-c", BOOT, str(verdict)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # native code's last words, which may quote rows
        cwd="/",
        env=_environment(settings, os.environ),
        pass_fds=(verdict,),
        start_new_session=True,
    )


def _environment(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """The least that it needs."""
    passed = {name: environ[name] for name in PASSED if name in environ}
    if settings.table.startswith("s3://"):
        for name, value in environ.items():
            if name.startswith("AWS_") or name.upper() in PASSED_FOR_S3:
                passed[name] = value
    return passed | LEAN


def _order(settings: Settings, sql: str, rows: int, form: Form, answer_bytes: int) -> bytes:
    lake = open_lake(settings.lake_dir, create=False)
    values = {
        row.env: getattr(settings, row.name) for row in SETTINGS if row.name in TABLE_SETTINGS
    }
    environ = {name: str(value or "") for name, value in values.items()}
    environ["LAKEWARD_LAKE_DIR"] = str(lake.root.absolute())
    if settings.table and not settings.table.startswith("s3://"):
        environ["LAKEWARD_TABLE"] = os.path.abspath(settings.table)
    order = Order(
        path=[os.path.abspath(entry) for entry in sys.path],
        environ=environ,
        sql=sql,
        rows=rows,
        answer_bytes=answer_bytes,
        memory=settings.query_memory,
        seconds=settings.query_seconds,
        parent=os.getpid(),
        form=form,
    )
    try:
        return msgspec.json.encode(order)
    except UnicodeEncodeError:
        raise Rejected("the query is no valid Unicode text") from None


def _tell(stdin: IO[bytes], order: bytes) -> None:
    with stdin:
        stdin.write(order)


def _slow(settings: Settings) -> str:
    return (
        f"the query took longer than {settings.query_seconds:g} seconds: ask for less, such as one "
        "event_date, or raise LAKEWARD_QUERY_SECONDS"
    )


def _more_memory(settings: Settings) -> str:
    return f"ask for less, or raise LAKEWARD_QUERY_MEMORY (now {settings.query_memory >> 20} MiB)"


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        with suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"
