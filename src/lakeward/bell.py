"""The bell between a process that commits and its keeper: datagrams on a socket in the ring folder.

In: a ring folder. Out: a nudge that makes the keeper look at once, and a wake-up when it is done.
Nothing here is needed for correctness (the keeper looks every 20 ms anyway), so every failure is
quiet: no socket, no keeper and a full queue all mean "poll".
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future

NUDGE: Final = b"nudge"
HELLO: Final = b"hello"
HANDOVER: Final = b"handover "
NAME: Final = "keeper.sock"
PATH_MOST: Final = 107 if sys.platform == "linux" else 103
"""A longer path does not fit a socket's name (108 bytes on Linux, 104 on macOS)."""


def readable(bell: socket.socket | None, seconds: float) -> bool:
    """Wait until a datagram can be read; `poll`, as `select` fails beyond 1,024 descriptors."""
    poller = select.poll()
    if bell is not None:
        poller.register(bell, select.POLLIN)
    return bool(poller.poll(seconds * 1000.0))


def greet(folder: Path) -> None:
    """Tell the keeper of `folder` that a ring appeared; nobody answers."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
        bell.setblocking(False)
        bell.sendto(HELLO, str(folder / NAME))


class Bell:
    """The collector's end."""

    def __init__(self, folder: Path, name: str) -> None:
        self._keeper = str(folder / NAME)
        self._own = folder / f"{name}.sock"
        self._socket: socket.socket | None = None
        self._sleepers: dict[AbstractEventLoop, list[Future[None]]] = {}

    def open(self) -> socket.socket | None:
        """The socket, bound on first use; None where there can be none."""
        if self._socket is not None or len(os.fsencode(self._own)) > PATH_MOST:
            return self._socket
        bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            bell.setblocking(False)
            bell.bind(str(self._own))
        except OSError:
            bell.close()
            return None
        self._socket = bell
        return bell

    def nudge(self, message: bytes = NUDGE) -> bool:
        """Ask the keeper to look now; False when nobody listens."""
        bell = self.open()
        if bell is None:
            return False
        try:
            bell.sendto(message, self._keeper)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True

    def wait(self, seconds: float) -> None:
        """Sleep until the keeper answers or `seconds` passed."""
        bell = self.open()
        if readable(bell, seconds):
            self.hush()

    async def heard(self, seconds: float) -> None:
        """Nudge and wait, for a coroutine. All that wait on one event loop nudge once, when the
        loop has done what it had before it, and one answer wakes them all: a group commit."""
        import asyncio  # whoever awaits has it loaded; a worker that never does is spared 4 MB

        loop, bell = asyncio.get_running_loop(), self.open()
        if bell is None:
            await asyncio.sleep(seconds)
            return
        sleepers = self._sleepers.setdefault(loop, [])
        if not sleepers:
            loop.add_reader(bell, self._wake, loop)
            loop.call_soon(self.nudge)
        woken: Future[None] = loop.create_future()
        sleepers.append(woken)
        alarm = loop.call_later(seconds, _done, woken)
        try:
            await woken
        finally:
            alarm.cancel()
            if woken in sleepers:
                sleepers.remove(woken)
                if not sleepers:
                    self._forget(loop)

    def _wake(self, loop: AbstractEventLoop) -> None:
        self.hush()
        for woken in self._forget(loop):
            _done(woken)

    def _forget(self, loop: AbstractEventLoop) -> list[Future[None]]:
        if self._socket is not None:
            loop.remove_reader(self._socket)
        return self._sleepers.pop(loop, [])

    def hush(self) -> None:
        """Take answers off the queue."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                while self._socket.recv(64):
                    pass

    def close(self, *, remove: bool = True) -> None:
        """Close the socket; a forked child must not remove its parent's."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            if remove:
                with contextlib.suppress(OSError):
                    self._own.unlink()


def _done(woken: Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


class Doorway:
    """The keeper's end."""

    def __init__(self, folder: Path) -> None:
        path = folder / NAME
        self._waiting: list[str] = []
        self._socket: socket.socket | None = None
        self._poller = select.poll()
        if len(os.fsencode(path)) > PATH_MOST:
            return
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        door.setblocking(False)
        try:
            door.bind(str(path))
        except OSError:
            door.close()
            return
        self._socket, self._path = door, path
        self._poller.register(door, select.POLLIN)

    def wait(self, seconds: float) -> list[bytes]:
        """Messages that came; empty after `seconds`. Those who nudged are answered later."""
        messages: list[bytes] = []
        ready = self._poller.poll(seconds * 1000.0)
        while ready and self._socket is not None and len(messages) < 256:
            try:
                message, sender = self._socket.recvfrom(256)
            except OSError:
                break
            messages.append(message)
            if sender:
                self._waiting.append(sender)
        return messages

    def answer(self) -> None:
        """Wake everyone who nudged since the last answer."""
        if self._socket is None or not self._waiting:
            return
        for address in set(self._waiting):
            with contextlib.suppress(OSError):
                self._socket.sendto(b"done", address)
        self._waiting.clear()

    def close(self) -> None:
        """Close and remove the socket."""
        if self._socket is not None:
            self._socket.close()
            with contextlib.suppress(OSError):
                self._path.unlink()
