"""Children of the keeper: processes that end with it, whatever ends it.

In: what the child shall run. Out: its process id, and later its end. The child asks the system to
be killed when its parent dies, and looks whether that has already happened.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping

BOOT = (
    "import ctypes,os,sys\n"
    "try: ctypes.CDLL(None).prctl(1, 9)\n"
    "except (OSError, AttributeError): pass\n"
    "if os.getppid() != int(sys.argv[1]): sys.exit(0)\n"
    "for fd in os.listdir('/dev/fd'):\n"
    "    if int(fd)>2:\n"
    "        try: os.close(int(fd))\n"
    "        except OSError: pass\n"
    "sys.path[:]=sys.argv[2].split(os.pathsep)\n"
    "import importlib\n"
    "sys.exit(importlib.import_module(sys.argv[3]).child(*sys.argv[4:]))\n"
)
"""PR_SET_PDEATHSIG is Linux's; elsewhere the child looks at its parent now and then."""


def start(module: str, *arguments: str, environ: Mapping[str, str] | None = None) -> int:
    """Run `child(*arguments)` of a module in a process of its own; its id."""
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    words = [str(os.getpid()), path, module, *arguments]
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-I", "-c", BOOT, *words],
        os.environ if environ is None else environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
        setsigmask=(),
        setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD],
    )


def ended(pid: int) -> int | None:
    """The exit code of a child that has ended, else None. An application that waits for all its
    children takes the code away; then it is -1."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return -1
    return os.waitstatus_to_exitcode(status) if found else None


def end(pid: int, seconds: float) -> None:
    """Ask a child to end, and end it when it does not in time."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while ended(pid) is None:
        if time.monotonic() >= deadline:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
            return
        time.sleep(0.01)
