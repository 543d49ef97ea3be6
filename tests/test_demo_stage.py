"""The demo's processes, progress and end: nothing hangs, nothing is left, a sentence says why."""

from __future__ import annotations

import importlib.util
import io
import os
import pty
import random
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from conftest import Lake, alive, wait_until
from lakeward.demo.plan import plan
from lakeward.demo.progress import Progress
from lakeward.demo.traffic import Gate

pytestmark = pytest.mark.skipif(
    not (importlib.util.find_spec("fastapi") and importlib.util.find_spec("uvicorn")),
    reason="the demo needs fastapi and uvicorn: pip install 'lakeward[demo]'",
)
PLATFORM = re.compile(r"^platform +(http://\S+:(\d+)/)$", re.MULTILINE)
LIVE = re.compile(r"^dashboard +http://\S+?:(\d+)/", re.MULTILINE)


class Demo:
    """`lakeward demo` as a process; `watched` gives it a terminal as its input."""

    def __init__(self, lake: Lake, *options: str, watched: bool = False, **env: str) -> None:
        self.said = lake.root.parent / "demo.err"
        self._ends: list[int] = list(pty.openpty()) if watched else []
        command = [sys.executable, "-m", "lakeward.cli", "demo", "--days", "0", *options]
        with self.said.open("wb") as said, (lake.root.parent / "demo.out").open("wb") as out:
            self.process = subprocess.Popen(
                command, cwd=lake.root.parent, env=lake.process_env(**env), stdout=out,
                stderr=said, stdin=self._ends[-1] if watched else subprocess.DEVNULL,
            )  # fmt: skip

    def text(self) -> str:
        """What it said so far."""
        return self.said.read_text()

    def ports(self) -> list[int]:
        """Of the platform and of the dashboard, once both are told."""
        wait_until(lambda: LIVE.search(self.text()) or self.ended(), what="the demo's start")
        platform, live = PLATFORM.search(self.text()), LIVE.search(self.text())
        assert platform, self.text()
        assert live, self.text()
        return [int(platform[2]), int(live[1])]

    def children(self) -> list[int]:
        """Its two processes."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [pid for pid in map(int, path.read_text().split()) if alive(pid)]

    def ended(self) -> bool:
        """Whether it is over."""
        return self.process.poll() is not None

    def close(self) -> None:
        """End it, whatever it is at."""
        if not self.ended():
            self.process.terminate()
            self.process.wait(120)
        for end in self._ends:
            os.close(end)


@contextmanager
def demo(lake: Lake, *options: str, watched: bool = False, **env: str) -> Iterator[Demo]:
    """A demo that is ended with the block."""
    running = Demo(lake, *options, watched=watched, **env)
    try:
        yield running
    finally:
        running.close()


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def test_a_watched_demo_stays_up_until_it_is_ended_and_leaves_nothing(lake: Lake) -> None:
    bare = str(Path(sys.executable).parent)  # a PATH without a browser
    with demo(lake, "--visitors", "4", "--seconds", "1", watched=True, PATH=bare) as running:
        ports, children = running.ports(), running.children()
        assert len(children) == 2
        wait_until(lambda: "stay up" in running.text() or running.ended(), what="the run")
        assert not running.ended(), running.text()
        assert httpx.get(f"http://127.0.0.1:{ports[0]}/").status_code == 200
        assert httpx.get(f"http://127.0.0.1:{ports[1]}/health").status_code == 200
        assert "no visitor comes in a browser: there is no Chromium" in running.text()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(120) == 0
    assert not any(map(alive, children))
    assert all(map(is_free, ports))
    assert (lake.root / ".lakeward" / "demo-truth.json").exists()
    assert "equal" in (lake.root.parent / "demo.out").read_text()


def test_ctrl_c_in_the_middle_ends_everything(lake: Lake) -> None:
    with demo(lake, "--visitors", "200", "--seconds", "60") as running:
        ports, children = running.ports(), running.children()
        wait_until(lambda: "of 200 visitors" in running.text(), what="the first visitors")
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(120) == 130
    assert "Traceback" not in running.text()
    assert not any(map(alive, children))
    assert all(map(is_free, ports))


def test_a_platform_that_dies_ends_the_run_with_a_sentence(lake: Lake) -> None:
    with demo(lake, "--visitors", "200", "--seconds", "60", "--once") as running:
        ports = running.ports()
        wait_until(lambda: "of 200 visitors" in running.text(), what="the first visitors")
        os.kill(running.children()[-1], signal.SIGKILL)
        assert running.process.wait(120) == 1
    last = running.text().strip().splitlines()[-1]
    assert re.match(r"lakeward: the demo stopped: .*(platform|browser)", last)
    assert "Traceback" not in running.text()
    assert all(map(is_free, ports))


@pytest.mark.root
@pytest.mark.soak
def test_a_full_disk_ends_the_run_with_a_sentence_that_says_so(lake: Lake) -> None:
    lake.root.mkdir()
    small = f'mount -t tmpfs -o size=2m none "{lake.root}" && exec "$0" "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", small, sys.executable, "-m", "lakeward.cli", "demo",
         "--once", "--days", "0", "--visitors", "60", "--seconds", "10"],
        env=lake.process_env(LAKEWARD_INDIVIDUAL_FILES="on"), cwd=lake.root.parent,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert re.fullmatch(r"lakeward: the demo stopped: .*; the disk of \S+ is full", last), last


def test_the_children_of_a_killed_demo_end(lake: Lake) -> None:
    with demo(lake, "--visitors", "200", "--seconds", "60") as running:
        ports, children = running.ports(), running.children()
        running.process.kill()
        running.process.wait(120)
        wait_until(lambda: not any(map(alive, children)), what="the children's end")
    assert all(map(is_free, ports))


def bound_where_nobody_is_sent(other: socket.socket) -> int:
    """A port whose neighbour no other test is given: both are below what the system chooses."""
    while True:
        port = random.randint(20_000, 32_000)
        with suppress(OSError):
            other.bind(("127.0.0.1", port))
            return port


@pytest.mark.parametrize("further", [0, 1])
def test_a_port_that_is_taken_is_named(lake: Lake, further: int) -> None:
    with socket.socket() as other:
        taken = bound_where_nobody_is_sent(other)
        other.listen()
        with demo(lake, "--port", str(taken - further)) as running:
            assert running.process.wait(120) == 2
    assert f"port {taken} is taken: give the demo another one, --port N" in running.text()


def test_numbers_out_of_range_are_refused(lake: Lake) -> None:
    lake.root.parent.mkdir(exist_ok=True)
    numbers = {"--visitors": "0", "--seconds": "x", "--days": "367", "--port": "70000"}
    for option, value in numbers.items():
        with demo(lake, option, value) as running:
            assert running.process.wait(120) == 2
        assert "must be a number from" in running.text()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_and_a_file_gets_lines() -> None:
    bar, lines = Terminal(), io.StringIO()
    for out in (bar, lines):
        progress = Progress(out)
        for n in range(101):
            progress(n, 100)
    assert bar.getvalue().count("\r") == 101
    assert bar.getvalue().endswith("\n")
    assert "█" * 32 in bar.getvalue()
    assert "\r" not in lines.getvalue()
    assert [line.split()[0] for line in lines.getvalue().splitlines()] == [
        "0", "20", "40", "60", "80", "100",
    ]  # fmt: skip


def test_nobody_reads_while_the_gate_is_shut() -> None:
    gate, order = Gate(), []
    with gate.reading():
        order.append("read")
    with gate.shut():
        order.append("shut")
    with gate.reading():
        order.append("read")
    assert order == ["read", "shut", "read"]
    assert plan(1, 3, 5.0).outage.reads == 3
