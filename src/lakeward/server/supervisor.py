"""The supervisor: one process that keeps the lake and sees to it that web workers answer.

In: settings, an address, a number of workers. Out: the keeper in this process, the workers in
theirs, all ended by one SIGTERM. Fails with `Terminal` for an address that cannot be had, or that
others could reach although no key says who may do what.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import msgspec

from lakeward.errors import Terminal
from lakeward.server.order import Order

logger = logging.getLogger("lakeward.server")

BACKLOG = 2048
QUICK_SECONDS = 2.0
QUICK_MOST = 5
"""So many deaths right after the start, one after the other, and the server gives up."""
PAUSE_SECONDS, PAUSE_MOST = 0.25, 10.0
KILL_SECONDS = 5.0


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; Terminal with the reason when there can be none."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, number)
    except OSError as error:
        raise Terminal(f"{host} is no address to listen on: {error.strerror}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise Terminal(f"cannot listen on {host}, port {port}: {error.strerror}") from None
    return listener


class Worker:
    """One worker's process and how often it died."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.quick = 0
        self.next_start = 0.0


class Workers:
    """A task of the keeper: starts the workers, and again when they die."""

    def __init__(
        self, count: int, listener: socket.socket, *, environ: dict[str, str], loopback: bool,
        hosts: tuple[str, ...],
    ) -> None:  # fmt: skip
        self._workers = [Worker(number) for number in range(count)]
        self._listener = listener
        self._environ = environ
        self._loopback = loopback
        self._hosts = hosts
        self._pipe, self._end = os.pipe()
        self._stopping = False
        self.failed = False
        """Whether the workers could not be brought to life."""

    def step(self, state: object) -> None:
        """Look after every worker."""
        if self._stopping:
            return
        now = time.monotonic()
        for worker in self._workers:
            process = worker.process
            if process is None:
                if now >= worker.next_start:
                    self._start(worker, now)
            elif (code := process.poll()) is not None:
                self._bury(worker, code, now)

    def _start(self, worker: Worker, now: float) -> None:
        order = Order(
            worker.number, len(self._workers), self._listener.fileno(), self._pipe, self._loopback,
            self._hosts,
        )  # fmt: skip
        command = [
            sys.executable,
            "-m",
            "lakeward.server.worker",
            msgspec.json.encode(order).decode(),
        ]
        worker.process = subprocess.Popen(  # noqa: S603 - this very interpreter
            command, env=self._environ, pass_fds=(self._listener.fileno(), self._pipe),
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        worker.started = now

    def _bury(self, worker: Worker, code: int, now: float) -> None:
        worker.process = None
        worker.quick = worker.quick + 1 if now - worker.started < QUICK_SECONDS else 0
        pause = min(PAUSE_SECONDS * 2**worker.quick, PAUSE_MOST) if worker.quick else 0.0
        worker.next_start = now + pause
        logger.error("worker %d ended with %d: starting it again", worker.number, code)
        if worker.quick >= QUICK_MOST:
            logger.error("worker %d does not stay alive: giving up", worker.number)
            self.failed = True
            self.stop()
            os.kill(os.getpid(), signal.SIGTERM)

    def pids(self) -> list[int]:
        """Processes that run."""
        return [worker.process.pid for worker in self._workers if worker.process is not None]

    def stop(self) -> None:
        """Ask all workers to finish what they are at; safe from a signal handler."""
        self._stopping = True
        for worker in self._workers:
            if worker.process is not None:
                with suppress(ProcessLookupError):
                    worker.process.terminate()

    def close(self) -> None:
        """Wait for the workers, and end those that do not end."""
        self.stop()
        deadline = time.monotonic() + KILL_SECONDS
        for worker in self._workers:
            if worker.process is None:
                continue
            try:
                worker.process.wait(max(deadline - time.monotonic(), 0.05))
            except subprocess.TimeoutExpired:
                logger.error("worker %d did not stop and is killed", worker.number)
                worker.process.kill()
                worker.process.wait()
        os.close(self._end)
        os.close(self._pipe)
