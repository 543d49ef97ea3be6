"""Two hosts with one bucket and one table, their clients, and what befalls them.

The *passing* one answers when S3 has a batch (`LAKEWARD_ACK=s3`), and its disk goes with it. The
*lasting* one answers when its disk has it, and comes back with that. Each has its own lake, memory
and ids of processes.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from clouds import BUCKET, EMULATORS, KEYS, REGION, TABLE
from conftest import wait_until
from lakeward.followers.cursor import Progress
from lakeward.lakedir import open_lake
from lakeward.log import Position, read_published
from lakeward.settings import load
from lakeward.store.database import open_database
from lakeward.store.keys import Keys
from machines import GROUND, Loopback, Namespaces, Site, inmost, kill_all
from servers import free_port

HERE = Path(__file__).parent
PASSING, LASTING = "passing", "lasting"
HOSTS = (PASSING, LASTING)
DELTA = f"s3://{BUCKET}/tables/interactions"
REACHES = """
import sys, urllib.error, urllib.request
try:
    urllib.request.urlopen(sys.argv[1], timeout=2)
except urllib.error.HTTPError:
    pass
"""
PAUSE = 0.1
"""Of a client between two batches, so that there is a while in which things can befall hosts."""


def namespaces_or_loopback() -> Site:
    """Namespaces where the machine allows them."""
    try:
        return Namespaces(HOSTS)
    except OSError as error:
        print(f"no network namespaces here ({error}): both hosts are on the loopback")
        return Loopback(HOSTS)


class Hosts:
    """Both hosts, the cloud below them, and everything that they were sent."""

    def __init__(self, folder: Path, site: Site) -> None:
        self.folder, self.site = folder, site
        self._port = free_port()
        self._serving: dict[str, subprocess.Popen[bytes]] = {}
        self._clients: list[subprocess.Popen[bytes]] = []
        self._ports = {host: free_port() for host in HOSTS}
        self.key = ""
        for host in HOSTS:
            self._provision(host)

    def _provision(self, host: str) -> None:
        """A new lake with the database that all hosts begin with: it has the clients' key."""
        lake = open_lake(self.folder / host / "data-lake")
        settings = load({"LAKEWARD_LAKE_DIR": str(lake.root)}, self.folder)
        shelf = self.folder / "keys"
        if not shelf.exists():
            with open_database(settings) as database:
                _, self.key = Keys(database).create("write", "clients", actor="test", types=["*"])
            shelf.mkdir()
            for path in lake.private.glob("app.db*"):
                shutil.copy(path, shelf)
        shutil.copytree(shelf, lake.private, dirs_exist_ok=True)

    def start_cloud(self, emulator: str) -> None:
        """An emulator on the ground, with bucket and table."""
        words = [
            part.replace("127.0.0.1", self.site.address(GROUND)) for part in EMULATORS[emulator][0]
        ]
        words = [part.replace("{port}", str(self._port)) for part in words]
        self.site.start(GROUND, [sys.executable, "-m", *words], self.folder / "cloud.log", {})
        wait_until(lambda: self._ask_cloud("bucket"), what="the cloud's first answer")
        assert self._ask_cloud("table")

    def _ask_cloud(self, thing: str) -> bool:
        return self.ran(GROUND, "aws", thing).returncode == 0

    def env(self, place: str) -> dict[str, str]:
        """The settings of a host, or of whoever has nothing but the cloud."""
        env = {
            "USE_S3": "true", "USE_DYNAMODB": "true", "DATA_LAKE_BUCKET": BUCKET,
            "INTERACTIONS_TABLE": TABLE, "AWS_REGION": REGION, "LAKEWARD_TABLE": DELTA,
            "LAKEWARD_AWS_ENDPOINT": self.site.cloud(place, self._port),
            "LAKEWARD_AWS_SECONDS": "2", "LAKEWARD_S3_SECONDS": "1",
            "LAKEWARD_COMPACT_SECONDS": "5",
            "LAKEWARD_LAKE_DIR": str(self.folder / (place or "asking") / "data-lake"),
            "LAKEWARD_INDIVIDUAL_FILES": "off", **KEYS,
        }  # fmt: skip
        if place:
            env["LAKEWARD_RING_DIR"] = str(self.rings(place))
        if place == PASSING:
            env["LAKEWARD_ACK"] = "s3"
        return env

    def rings(self, host: str) -> Path:
        """In the host's own memory where it has one; on the loopback all see the same."""
        return Path("/dev/shm") / f"lw-{self.folder.stat().st_ino}-{host}"

    def url(self, host: str) -> str:
        """Where a host is reached."""
        return f"http://{self.site.address(host)}:{self._ports[host]}"

    def ran(self, place: str, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of Lakeward at a place, at its end."""
        return self.run(place, [sys.executable, "-m", "lakeward.cli", *words])

    def run(
        self, place: str, command: Sequence[str], **env: str
    ) -> subprocess.CompletedProcess[str]:
        """A command at a place, at its end."""
        output = self.folder / "ran.log"
        output.unlink(missing_ok=True)
        process = self.site.start(place, command, output, {**self.env(place), **env})
        return subprocess.CompletedProcess(command, process.wait(300), output.read_text())

    def serve(self, host: str) -> None:
        """Switch a host on."""
        output = self.folder / f"{host}.log"
        seen = len(output.read_text()) if output.exists() else 0
        address = self.site.address(host)
        command = [sys.executable, "-m", "lakeward.cli", "serve", "--host", address, "--port",
                   str(self._ports[host])]  # fmt: skip
        process = self.site.start(host, command, output, self.env(host), whole=True)
        self._serving[host] = process

        def listens() -> bool:
            said = output.read_text()[seen:]
            assert process.poll() is None, said
            return "serving http" in said

        wait_until(listens, what=f"the start of the {host} host")

    def switch_off(self, host: str) -> None:
        """Without a warning: its processes and its memory are gone, and the passing one's disk."""
        process = self._serving.pop(host)
        kill_all(process.pid)
        process.wait()
        shutil.rmtree(self.rings(host), ignore_errors=True)
        if host == PASSING:
            shutil.rmtree(self.folder / host / "data-lake")
            self._provision(host)

    def delivered(self, host: str) -> None:
        """Wait until both followers of a host have brought all of its log."""
        lake = open_lake(self.folder / host / "data-lake", create=False)

        def done() -> bool:
            published = read_published(lake.private / "published")
            assert published is not None
            end = Position(published.epoch, *published.ends["raw"])
            cursors = (lake.private / "cursors" / f"{name}.json" for name in ("s3", "dynamodb"))
            found = [msgspec.json.decode(path.read_bytes(), type=Progress) for path in cursors]
            return all(one.done.position() == end for one in found)

        wait_until(done, what=f"delivery of all that the {host} host has")

    def stop(self, host: str) -> None:
        """End a host politely."""
        process = self._serving.pop(host)
        os.kill(inmost(process.pid), signal.SIGTERM)
        assert process.wait(120) == 0, (self.folder / f"{host}.log").read_text()

    def close(self) -> None:
        """End all of it, and what the hosts' memory would have taken with it."""
        self.site.close()
        for host in HOSTS:
            shutil.rmtree(self.rings(host), ignore_errors=True)

    def send(self, batches: Sequence[dict[str, Any]]) -> None:
        """Give batches to the clients, one beside each host, in turns."""
        for number, host in enumerate(HOSTS):
            with self._plan(host).open("a") as plan:
                plan.writelines(json.dumps(batch) + "\n" for batch in batches[number::2])
            if len(self._clients) == number:
                self._clients.append(self._client(host, HOSTS[1 - number]))

    def _plan(self, host: str) -> Path:
        return self.folder / f"plan-{host}.jsonl"

    def _client(self, host: str, other: str) -> subprocess.Popen[bytes]:
        """Beside a host, which it asks first."""
        command = [sys.executable, str(HERE / "sending.py"), str(self._plan(host)),
                   str(self._told(host)), str(PAUSE), self.url(host), self.url(other)]  # fmt: skip
        output = self.folder / f"client-{host}.log"
        return self.site.start(host, command, output, {"SENDING_KEY": self.key})

    def _told(self, host: str) -> Path:
        return self.folder / f"told-{host}"

    def told(self) -> list[tuple[int, str]]:
        """Which batches were answered for, and by which host."""
        found = []
        names = {self.url(host): host for host in HOSTS}
        for path in filter(Path.exists, map(self._told, HOSTS)):
            for line in path.read_text().splitlines():
                number, _, url = line.partition(" ")
                found.append((int(number), names[url]))
        return found

    def reaches_the_cloud(self, host: str) -> bool:
        """Whether anything at a host gets an answer from there."""
        url = self.site.cloud(host, self._port)
        return self.run(host, [sys.executable, "-c", REACHES, url]).returncode == 0

    def go_on(self, batches: Sequence[dict[str, Any]], many: int, *hosts: str) -> None:
        """Send batches until hosts have answered for so many more; the rest is on its way."""
        before = Counter(host for _, host in self.told())
        self.send(batches)

        def answered() -> bool:
            now = Counter(host for _, host in self.told())
            return all(now[host] >= before[host] + many for host in hosts)

        wait_until(answered, what=f"{many} batches more at {hosts}")

    def sent_all(self) -> None:
        """Let the clients come to their end."""
        for host, client in zip(HOSTS, self._clients, strict=True):
            with self._plan(host).open("a") as plan:
                plan.write("\n")
            assert client.wait(300) == 0, (self.folder / f"client-{host}.log").read_text()

    def mirror(self) -> Path:
        """Bucket and table as files, which no part of Lakeward has made."""
        folder = self.folder / "mirror"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        command = [sys.executable, str(HERE / "mirroring.py"), self.site.cloud(GROUND, self._port),
                   BUCKET, TABLE, str(folder)]  # fmt: skip
        done = self.run(GROUND, command)
        assert done.returncode == 0, done.stdout
        return folder
