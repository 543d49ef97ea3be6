"""Runs one step with a strange file in a child that the system bounds and shuts off.

In: settings, a task, the file. Out: what the child found. Fails with `Rejected` for a file that
will not do, with `TooMuch` when it wants more time or memory than settings allow, with `Died` when
the system ended the child, and with `Terminal` for what the machine lacks.

    parent ── order (JSON) ──► stdin    child  (celled.py, shut.py)
           ◄─ lines of JSON ── stdout
           ── the file, opened for reading, as a descriptor

The child has a session of its own, none of the parent's descriptors and none of its environment. It
dies with its parent, and when its time is over the parent kills the whole group. The parent decodes
JSON of a bounded length into structs, never a pickle.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final, cast

import msgspec

from lakeward.confidence.demos.celled import Found, Order, Task, Told, Verdict
from lakeward.errors import LakewardError, Rejected, Terminal
from lakeward.settings import Settings
from lakeward.spawn import interpreter

BOOT: Final = (
    "import json,sys\n"
    "order=sys.stdin.buffer.read()\n"
    "sys.path[:]=json.loads(order)['path']\n"
    "from lakeward.confidence.demos.celled import main\n"
    "main(order)\n"
)
LEAN: Final = {
    "MALLOC_ARENA_MAX": "2", "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1",
}  # fmt: skip
PASSED: Final = ("LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")
ANSWER_BYTES: Final = 32 << 20
PATIENCE: Final = 10.0
"""Seconds after which whoever waits says that it still does."""
_decode: Final = msgspec.json.Decoder(Told | Verdict).decode


class TooMuch(Terminal):
    """It wants more time or memory than it may take."""


class Died(LakewardError):
    """The system ended the child: the next try may go well."""


def run(
    settings: Settings, task: Task, file: Path | None, tell: Callable[[float], None], **order: Any
) -> Found:
    """What the child found; `tell` hears how far it is, and at least every `PATIENCE` seconds."""
    fd = -1 if file is None else os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        child = _start(fd)
    finally:
        if fd >= 0:
            os.close(fd)
    told = Order(
        task=task, fd=fd, path=[os.path.abspath(entry) for entry in sys.path],
        parent=os.getpid(), memory=settings.demo_memory, seconds=settings.demo_step_seconds,
        longest=settings.demo_duration_seconds, **order,
    )  # fmt: skip
    deadline = time.monotonic() + settings.demo_step_seconds
    try:
        with contextlib.suppress(BrokenPipeError), cast(IO[bytes], child.stdin) as stdin:
            stdin.write(msgspec.json.encode(told))
        verdict = _listened(cast(IO[bytes], child.stdout), deadline, tell)
    finally:
        _end(child)
    if verdict is None:
        raise _cause(child.returncode, settings, time.monotonic() > deadline)
    return _found(verdict, settings)


def _start(fd: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own interpreter with our own code
        [interpreter(), "-I", "-c", BOOT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # native code's last words, which may quote the file
        cwd="/",
        env=environment(os.environ),
        pass_fds=(fd,) if fd >= 0 else (),
        start_new_session=True,
    )


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The least that it needs: no key, no proxy, no setting."""
    return {name: environ[name] for name in PASSED if name in environ} | LEAN


def _listened(
    stdout: IO[bytes], deadline: float, tell: Callable[[float], None]
) -> Verdict | None:  # fmt: skip
    """The verdict; None when the child ended or its time did before there was one."""
    share = 0.0
    for line in _lines(stdout.fileno(), deadline):
        if line is not None:
            try:
                said = _decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                return None
            if isinstance(said, Verdict):
                return said
            share = said.share
        tell(share)
    return None


def _lines(fd: int, deadline: float) -> Iterator[bytes | None]:
    """Whole lines as they come, and None after each while without one."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    rest, size = b"", 0
    while (left := deadline - time.monotonic()) > 0:
        if not poll.poll(min(left, PATIENCE) * 1000):
            yield None
            continue
        piece = os.read(fd, 1 << 16)
        size += len(piece)
        if not piece or size > ANSWER_BYTES:
            return
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole


def _end(child: subprocess.Popen[bytes]) -> None:
    """Whatever it does, and everything that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    cast(IO[bytes], child.stdout).close()


def _found(verdict: Verdict, settings: Settings) -> Found:
    match verdict.kind:
        case "done":
            return verdict.found
        case "refused":
            raise Rejected(verdict.sentence)
        case "impossible":
            raise Terminal(verdict.sentence)
        case "memory":
            raise _memory(settings)
        case "failed":
            raise Died(f"the process that looks into the file failed ({verdict.sentence})")


def _cause(code: int | None, settings: Settings, late: bool) -> LakewardError:
    if late or code == -signal.SIGXCPU:
        return TooMuch(
            f"the step took longer than {settings.demo_step_seconds:g} seconds: send a shorter "
            "demo, or raise LAKEWARD_DEMO_STEP_SECONDS"
        )
    ending = f"exit code {code}"
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            ending = signal.Signals(-code).name
    return Died(f"the process that looks into the file was ended by the system ({ending})")


def _memory(settings: Settings) -> TooMuch:
    return TooMuch(
        "the file needs more memory than it may take: send a simpler one, or raise "
        f"LAKEWARD_DEMO_MEMORY (now {settings.demo_memory >> 20} MiB)"
    )
