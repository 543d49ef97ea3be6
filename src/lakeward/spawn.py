"""Starting a keeper from inside an application, in a few milliseconds and without a trace in it.

In: a lake and its ring folder. Out: a process in its own session, adopted by init, that inherits
no descriptor, no working directory and no signal mask. Fails with `Terminal` where this program is
no plain Python interpreter, and with OSError when the system has no process to give.

`posix_spawn` is used rather than `fork`: it takes the same time whatever the application's size,
and it runs none of the application's code between the two.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import msgspec

from lakeward.errors import Terminal
from lakeward.lakedir import LakeDir

SHELL = "/bin/sh"
BOOT = (
    "import json,os,sys\n"
    "order=json.loads(sys.argv[1])\n"
    "for fd in os.listdir('/dev/fd'):\n"
    "    if int(fd)>2:\n"
    "        try: os.close(int(fd))\n"
    "        except OSError: pass\n"
    "os.chdir('/')\n"
    "sys.path[:]=order['path']\n"
    "from lakeward.cli.run import spawned\n"
    "sys.exit(spawned(order))\n"
)
REAP_SECONDS = 0.008
LOG_MOST = 1 << 20


class Order(msgspec.Struct, frozen=True):
    """What a spawned keeper is told."""

    path: list[str]
    lake: str
    ring_dir: str
    segment_bytes: int
    idle_seconds: float
    env_file: str


def interpreter() -> str:
    """The Python that can run a keeper; Terminal where `sys.executable` is something else."""
    name = Path(sys.executable or "").name.lower()
    if not name.startswith(("python", "pypy")) or getattr(sys, "frozen", False):
        raise Terminal(
            f"{name or 'this program'} cannot start a keeper: run `lakeward run` beside it and "
            "set LAKEWARD_KEEPER=external"
        )
    return sys.executable


def spawn(
    lake: LakeDir, ring_dir: Path, segment_bytes: int, idle_seconds: float, env_file: Path
) -> None:
    """Start a keeper for `lake`; returns at once, the keeper takes the lake's lock itself."""
    order = Order(
        path=[os.path.abspath(entry) for entry in sys.path],
        lake=str(lake.root),
        ring_dir=str(ring_dir),
        segment_bytes=segment_bytes,
        idle_seconds=idle_seconds,
        env_file=str(env_file),
    )
    command = [interpreter(), "-I", "-c", BOOT, msgspec.json.encode(order).decode()]
    log = _open_log(lake, ring_dir)
    try:
        pid = _launch(command, log)
    finally:
        os.close(log)
    deadline = time.monotonic() + REAP_SECONDS
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(pid, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
            time.sleep(0.0005)


def _launch(command: list[str], log: int) -> int:
    """Run `command` in a new session; through a shell that leaves at once, so that init adopts
    the keeper and the application never has to wait for it."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, log, 1),
        (os.POSIX_SPAWN_DUP2, log, 2),
    ]
    if os.access(SHELL, os.X_OK):
        command = [SHELL, "-c", '"$@" &', "sh", *command]
    return os.posix_spawn(
        command[0],
        command,
        os.environ,
        file_actions=actions,
        setsid=True,
        setsigmask=(),
        setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD],
    )


def _open_log(lake: LakeDir, ring_dir: Path) -> int:
    """The keeper's own log file: in the lake, else beside the rings, else nowhere."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    for path in (lake.private / "keeper.log", ring_dir / "keeper.log"):
        with contextlib.suppress(OSError):
            fd = os.open(path, flags, 0o600)
            if os.fstat(fd).st_size > LOG_MOST:
                os.ftruncate(fd, 0)
            return fd
    return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
