"""Children of the keeper: processes that end with it, whatever ends it.

In: what the child shall run. Out: its process id, and later its end. The child asks the system to
be killed when its parent dies, and looks whether that has already happened. A task of the keeper
has one child at a time (`Child`); what the child does of a task is `worked`, which never fails.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from lakeward.errors import LakewardError
from lakeward.lakedir import LakeDir, open_lake
from lakeward.settings import Settings, load

LONGEST_PAUSE: Final = 600.0
FAREWELL_SECONDS: Final = 2.0
FAILED: Final = 1
NICE: Final = 5

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


class Child:
    """At most one at a time. After one that failed comes a pause, each time twice as long."""

    def __init__(
        self,
        module: str,
        first_pause: float,
        *,
        longest_pause: float = LONGEST_PAUSE,
        farewell: float = FAREWELL_SECONDS,
    ) -> None:
        self._module = module
        self._first_pause, self._longest_pause = first_pause, longest_pause
        self._farewell = farewell
        self._pid = self._failures = 0
        self.not_before = 0.0
        """When its task may start one again."""

    def __bool__(self) -> bool:
        return self._pid > 0

    def start(self, *arguments: str, environ: Mapping[str, str] | None = None) -> None:
        """Run one; the task has seen that none runs."""
        self._pid = start(self._module, *arguments, environ=environ)

    def reaped(self, now: float) -> int | None:
        """The exit code of one that has ended, once; None while it runs."""
        code = ended(self._pid)
        if code is None:
            return None
        self._pid = 0
        self._failures = 0 if code == 0 else self._failures + 1
        if code != 0:
            pause = self._first_pause * 2.0 ** min(self._failures - 1, 20)
            self.not_before = now + min(pause, self._longest_pause)
        return code

    def close(self) -> None:
        """End it; what it did not do, the next one does."""
        pid, self._pid = self._pid, 0
        if pid:
            end(pid, self._farewell)


def worked(
    logger: logging.Logger,
    what: str,
    work: Callable[[LakeDir, Settings], object],
    lake_dir: str,
    env_folder: str,
    ring_dir: str,
) -> int:
    """The exit code of a child that did `work` on a lake, or logged why it could not."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        os.nice(NICE)
        settings = load(folder=Path(env_folder))
        settings = msgspec.structs.replace(settings, ring_dir=Path(ring_dir))
        work(open_lake(Path(lake_dir), create=False), settings)
    except (LakewardError, OSError) as error:
        logger.error("%s", error)
        return FAILED
    except Exception as error:  # its text may quote what somebody said or did
        logger.error("%s failed with %s", what, type(error).__name__)
        return FAILED
    finally:
        sys.stderr.flush()
    return 0
