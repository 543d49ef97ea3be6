"""A client that sends what it was given until some host has answered for it: a process of its own.

    python tests/sending.py PLAN TOLD PAUSE HOME OTHER

PLAN has a batch in each line, and grows until its last line, which is empty. One goes to HOME;
where that does not answer 200 within seconds, to OTHER, and so on in turns. A batch that is marked
`both` is then sent to the host that has not answered, by another thread, until it does. TOLD has a
line for each answer: which batch, whose. The key is in SENDING_KEY. Only what Python has itself is
used: a client should cost nothing beside what it tries.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlsplit

THREADS = 2
PATIENCE = 4.0
"""Shorter than a host waits for S3: who is not answered asks elsewhere, and both may keep it."""


class Sender:
    """Batches of one plan to two hosts."""

    def __init__(self, plan: Path, told: Path, pause: float, hosts: tuple[str, str]) -> None:
        self._plan = plan.open()
        self._part, self._ended = "", False
        self._told = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._pause, self._hosts = pause, hosts
        self.again: SimpleQueue[tuple[dict[str, Any], tuple[str, ...]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._open = threading.local()

    def run(self) -> None:
        """Send until the plan is at its end."""
        for line in iter(self._next, None):
            batch = json.loads(line)
            who = self._sent(batch, self._hosts)
            if batch["both"]:
                rest = tuple(host for host in self._hosts if host != who)
                self.again.put((batch, rest))
            time.sleep(self._pause)

    def run_again(self) -> None:
        """Send what goes to both to the other one, too."""
        for batch, hosts in iter(self.again.get, None):
            self._sent(batch, hosts)

    def _next(self) -> str | None:
        """The next line of the plan, when it is there; None at its end."""
        with self._lock:
            while not self._ended:
                self._part += self._plan.readline()
                if self._part.endswith("\n"):
                    line, self._part = self._part, ""
                    self._ended = line == "\n"
                    return None if self._ended else line
                time.sleep(0.01)
            return None

    def _sent(self, batch: dict[str, Any], hosts: tuple[str, ...]) -> str:
        """The host that answered for a batch, which was sent for so long."""
        while True:
            for host in hosts:
                if self._kept(host, batch):
                    return host
            time.sleep(0.05)

    def _kept(self, host: str, batch: dict[str, Any]) -> bool:
        """Whether a host answers for all of a batch."""
        try:
            status, answer = self._post(host, {"batch": batch["batch"]})
        except (OSError, HTTPException):
            self._open.__dict__.pop(host, None)
            return False
        if status != 200:
            return False
        if answer["rejected"]:
            print(f"batch {batch['n']}: {answer['rejected']}", flush=True)
            os._exit(1)
        os.write(self._told, f"{batch['n']} {host}\n".encode())
        return True

    def _post(self, host: str, body: object) -> tuple[int, Any]:
        kept = self._open.__dict__
        if host not in kept:
            place = urlsplit(host)
            kept[host] = HTTPConnection(place.hostname or "", place.port, timeout=PATIENCE)
        headers = {"authorization": f"Bearer {os.environ['SENDING_KEY']}"}
        kept[host].request("POST", "/v1/interactions", json.dumps(body), headers)
        answer = kept[host].getresponse()
        return answer.status, json.loads(answer.read())


def main() -> None:
    """Send with several threads."""
    plan, told, pause, home, other = sys.argv[1:]
    sender = Sender(Path(plan), Path(told), float(pause), (home, other))
    threads = [threading.Thread(target=sender.run) for _ in range(THREADS)]
    again = threading.Thread(target=sender.run_again)
    for thread in (*threads, again):
        thread.start()
    for thread in threads:
        thread.join()
    sender.again.put(None)
    again.join()


if __name__ == "__main__":
    main()
