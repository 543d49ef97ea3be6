"""Several machines on one: network namespaces behind a bridge, whose hosts can be switched off.

    ground 10.77.0.1 ──┬── first host  10.77.0.2
                       └── second host 10.77.0.3

All of it stands below one process that reads what the tests never write: whatever becomes of them,
its input ends, and the kernel takes processes, links and addresses away. No name and no address is
outside of it, so that any number of sites stand side by side. A site made by a user who is not root
has a user namespace, too. Where the machine allows neither, `Loopback` has the same doors: each
host is 127.0.0.1, and a proxy before the cloud is what can be cut.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from faulty import Faulty

GROUND: Final = ""
"""The place of what all hosts reach."""
ADDRESS: Final = "10.77.0.{}"
OWN_MEMORY: Final = 'mount -t tmpfs tmpfs /dev/shm && exec "$@"'


class Site(Protocol):
    """Places where processes are started."""

    def address(self, place: str) -> str:
        """Where a place is reached by all others."""

    def cloud(self, place: str, port: int) -> str:
        """How a place names the cloud, which listens on a port of the ground."""

    def start(
        self, place: str, command: Sequence[str], output: Path, env: Mapping[str, str],
        *, whole: bool = False,
    ) -> subprocess.Popen[bytes]:  # fmt: skip
        """Start a process; a `whole` machine has ids of processes and a /dev/shm of its own."""

    def cut(self, place: str) -> None:
        """Nothing gets from a host to the others any more, nor back."""

    def mend(self, place: str) -> None:
        """It does again."""

    def close(self) -> None:
        """End every process, and leave nothing."""


def descendants(pid: int) -> Iterator[int]:
    """A process's children, theirs, and so on, as they are now, whichever thread started them."""
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for child in thread.read_text().split():
                yield int(child)
                yield from descendants(int(child))


def kill_all(pid: int) -> None:
    """SIGKILL for a process and everything below it, the parents first: they start nothing anew."""
    for one in (pid, *descendants(pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def inmost(pid: int) -> int:
    """The process that a command became, behind those that made its namespaces."""
    while Path(f"/proc/{pid}/comm").read_text().strip() in {"nsenter", "unshare", "sh"}:
        pid = next(descendants(pid))
    return pid


class Namespaces:
    """A site of network namespaces. Fails with OSError where they cannot be made."""

    def __init__(self, hosts: Sequence[str]) -> None:
        rooted = [] if os.getuid() == 0 else ["--map-root-user"]
        self._user = [] if os.getuid() == 0 else ["--user", "--preserve-credentials"]
        self._places = (GROUND, *hosts)
        self._holders: list[subprocess.Popen[bytes]] = []
        self._started: list[subprocess.Popen[bytes]] = []
        try:
            ground = self._hold(
                ["unshare", *rooted, "--net", "--mount", "--pid", "--fork", "--kill-child",
                 "--mount-proc"]
            )  # fmt: skip
            self._first = next(descendants(ground.pid))
            self._net = {GROUND: self._first}
            own = f"addr add {self.address(GROUND)}/24 dev bridge"
            self._ip(GROUND, "link set lo up", "link add bridge type bridge", own,
                     "link set bridge up")  # fmt: skip
            for number, host in enumerate(hosts):
                self._add(host, f"port{number}")
        except BaseException:
            self.close()
            raise

    def _hold(self, command: list[str]) -> subprocess.Popen[bytes]:
        """A process that keeps a namespace for as long as its input is open."""
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [*command, "cat"], stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT
        )
        self._holders.append(process)
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(b"ready\n")
            process.stdin.flush()
        said = process.stdout.readline()
        if said != b"ready\n":
            raise OSError(said.decode().strip() or "no namespaces here")
        return process

    def _add(self, host: str, port: str) -> None:
        holder = self._hold([*self._enter(GROUND), "unshare", "--net"])
        self._net[host] = holder.pid
        self._ip(GROUND, f"link add {port} type veth peer name eth0 netns {holder.pid}",
                 f"link set {port} master bridge up")  # fmt: skip
        self._ip(host, "link set lo up", f"addr add {self.address(host)}/24 dev eth0",
                 "link set eth0 up")  # fmt: skip

    def _enter(self, place: str) -> list[str]:
        """What goes before a command so that it runs in a place's network alone."""
        target = str(self._first)
        net = f"--net=/proc/{self._net.get(place, self._first)}/ns/net"
        return ["nsenter", "--target", target, *self._user, net, "--"]

    def _ip(self, place: str, *lines: str) -> None:
        done = subprocess.run(
            [*self._enter(place), "ip", "-batch", "-"], input="\n".join(lines), text=True,
            capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise OSError(done.stderr.strip())

    def address(self, place: str) -> str:
        return ADDRESS.format(1 + self._places.index(place))

    def cloud(self, place: str, port: int) -> str:
        return f"http://{self.address(GROUND)}:{port}"

    def start(
        self, place: str, command: Sequence[str], output: Path, env: Mapping[str, str],
        *, whole: bool = False,
    ) -> subprocess.Popen[bytes]:  # fmt: skip
        words = self._enter(place)
        words[1:1] = ["--mount", "--pid"]
        words += ["env", "-C", str(output.parent)]  # a mount namespace begins at its root
        if whole:
            words += ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
                      "sh", "-c", OWN_MEMORY, "sh"]  # fmt: skip
        process = _started([*words, *command], output, env)
        self._started.append(process)
        return process

    def cut(self, place: str) -> None:
        self._ip(GROUND, f"link set port{self._places.index(place) - 1} down")

    def mend(self, place: str) -> None:
        self._ip(GROUND, f"link set port{self._places.index(place) - 1} up")

    def close(self) -> None:
        for holder in reversed(self._holders):
            holder.communicate()  # its input ends
        for process in self._started:
            process.wait()


class Loopback:
    """The same without namespaces: what is started is ended by its id."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self._proxies: dict[str, Faulty | None] = dict.fromkeys(hosts)
        self._started: list[subprocess.Popen[bytes]] = []
        self._held = contextlib.ExitStack()

    def address(self, place: str) -> str:
        return "127.0.0.1"

    def cloud(self, place: str, port: int) -> str:
        direct = f"http://127.0.0.1:{port}"
        if place == GROUND:
            return direct
        proxy = self._proxies[place]
        if proxy is None:
            proxy = self._proxies[place] = self._held.enter_context(Faulty(direct))
        return proxy.url

    def start(
        self, place: str, command: Sequence[str], output: Path, env: Mapping[str, str],
        *, whole: bool = False,
    ) -> subprocess.Popen[bytes]:  # fmt: skip
        process = _started(command, output, env)
        self._started.append(process)
        return process

    def cut(self, place: str) -> None:
        proxy = self._proxies[place]
        assert proxy is not None
        proxy.inject("reset", times=1 << 30)

    def mend(self, place: str) -> None:
        proxy = self._proxies[place]
        assert proxy is not None
        proxy.heal()

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                kill_all(process.pid)
            process.wait()
        self._held.close()


def _started(
    command: Sequence[str], output: Path, env: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    with output.open("ab") as file:
        return subprocess.Popen(
            command, cwd=output.parent, env={**os.environ, **env}, stdin=subprocess.DEVNULL,
            stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
