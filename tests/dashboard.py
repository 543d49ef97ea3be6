"""A lake that a demo filled, once for all test processes, and the dashboard on a copy of it.

    demo_lake(factory)      the lake and its truth; the first process that asks runs `lakeward demo`
    dashboard(factory)      `lakeward serve` on a copy of it, for this process alone
    Looked                  a page in Chromium whose complaints and requests are kept

A keeper owns its lake, so each process serves its own copy. What a test records there is seen by
the tests of that process alone; figures of past days stay those of the truth.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import pytest

from conftest import Lake
from lakeward.demo import truth as truth_of_demo
from lakeward.demo.experiment import FLAGS
from lakeward.demo.figures import Day, History
from lakeward.demo.stage import FLOWS, PRICES
from lakeward.demo.truth import Truth
from server_process import Serving, serving

VISITORS, SECONDS, SEED, DAYS = 14, 4, 7, 28
PAGE_KEYS: Final = {
    "overview": "o", "live": "l", "visitors": "v", "funnels": "f", "retention": "r", "paths": "p",
    "experiments": "x", "partners": "t", "ai": "i", "api": "a", "anomalies": "n", "data": "d",
    "explore": "e", "settings": "s",
}  # fmt: skip
"""The pages of the walk and their keys: a page that is not here fails `test_dash_walk`."""
SIZES: Final = {"phone": (360, 740), "desk": (1280, 900), "wall": (2560, 1440)}
SETTLED: Final = """() => {
    const main = document.querySelector('main.page');
    return main && main.children.length && !main.querySelector('.waiting')
        && ![...main.querySelectorAll('[data-card]')].some((one) => one.querySelector('.waiting'));
}"""
"""Whether every card says something."""
STILL: Final = 5
"""Looks in a row at which nothing loads."""
PATIENCE_S: Final = 120.0


class DemoLake(msgspec.Struct, frozen=True):
    """A lake after a demo with four weeks before it."""

    root: Path
    flows: Path
    truth: Truth
    out: dict[str, Any]

    @property
    def history(self) -> History:
        """The truth of the days before."""
        found = self.truth.figures.history
        assert found is not None
        return found

    @property
    def days(self) -> list[Day]:
        """Whole days: without the one of the run."""
        return self.history.days[:-1]

    @property
    def range(self) -> str:
        """The whole days, as the address of a page names them."""
        return f"{self.days[0].date}..{self.days[-1].date}"

    def total(self, *kinds: str) -> int:
        """Interactions of these types in the whole days, or of all."""
        return sum(
            n for day in self.days for kind, n in day.types.items() if kind in kinds or not kinds
        )


def demo_lake(factory: pytest.TempPathFactory) -> DemoLake:
    """The lake, made by whichever process comes first."""
    base = factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    folder = shared / "demo-lake"
    with (shared / "demo-lake.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "out.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder)
    return DemoLake(
        folder / "data-lake", folder / "flows.toml",
        truth_of_demo.read(folder / "data-lake" / ".lakeward" / truth_of_demo.NAME),
        msgspec.json.decode((folder / "out.json").read_bytes()),
    )  # fmt: skip


def _make(folder: Path) -> None:
    folder.mkdir()
    flows = folder / "flows.toml"
    flows.write_text(FLOWS.read_text())
    with ring_folder(folder) as ring_dir:
        lake = Lake(folder / "data-lake", ring_dir)
        command = [
            sys.executable, "-m", "lakeward.cli", "demo", "--once", "--format", "json",
            "--visitors", str(VISITORS), "--seconds", str(SECONDS), "--seed", str(SEED),
        ]  # fmt: skip
        done = subprocess.run(
            command, cwd=folder, env=lake.process_env(LAKEWARD_FLOWS=str(flows)),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    (folder / "said.txt").write_text(done.stderr)
    (folder / "out.json").write_text(done.stdout)


@contextmanager
def ring_folder(folder: Path) -> Iterator[Path]:
    """Where rings go; shared memory, as a lake has them."""
    ring_dir = Path("/dev/shm") / f"lw-{folder.name}-{folder.stat().st_ino}"
    ring_dir.mkdir(mode=0o700, exist_ok=True)
    try:
        yield ring_dir
    finally:
        shutil.rmtree(ring_dir, ignore_errors=True)


class Dashboard(msgspec.Struct, frozen=True):
    """A server on a copy of the demo's lake."""

    demo: DemoLake
    lake: Lake
    server: Serving


@contextmanager
def dashboard(factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """`lakeward serve` on this process's own copy of the lake."""
    demo = demo_lake(factory)
    folder = factory.mktemp("dashboard")
    shutil.copytree(demo.root, folder / "data-lake")
    with ring_folder(folder) as ring_dir:
        lake = Lake(folder / "data-lake", ring_dir)
        told = {"LAKEWARD_FLOWS": str(demo.flows), "LAKEWARD_AI_PRICES": str(PRICES),
                "LAKEWARD_FLAGS": str(FLAGS)}  # fmt: skip
        lake.env.update(told)
        try:
            with serving(lake) as server:
                yield Dashboard(demo, lake, server)
        finally:
            lake.close()


class Looked:
    """A page in Chromium, and everything that it complained of or asked for."""

    def __init__(
        self, browser: Any, url: str, size: str = "desk", theme: str = "light", **options: Any
    ) -> None:
        width, height = SIZES[size]
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme,
            reduced_motion="reduce", timezone_id="UTC", locale="en-US", **options,
        )  # fmt: skip
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.page = self.context.new_page()
        self.url = url
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def _said(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{self.page.url.partition('?')[0]}: {message.text}")

    def open(self, path: str) -> Any:
        """Go there and wait until every card says something."""
        self.page.goto(self.url + path)
        return self.settled()

    def settled(self) -> Any:
        """The page, once every card says something, and goes on to: a card may come only when
        another has its answer."""
        still, deadline = 0, time.monotonic() + PATIENCE_S
        while still < STILL:
            still = still + 1 if self.page.evaluate(SETTLED) else 0
            assert time.monotonic() < deadline, f"{self.page.url} is still loading"
            self.page.wait_for_timeout(80)
        return self.page

    @property
    def foreign(self) -> list[str]:
        """Requests to anybody but the server."""
        ours = urlsplit(self.url).netloc
        return [url for url in self.requests if urlsplit(url).netloc not in ("", ours)]

    def close(self) -> None:
        """Close the page and forget what it kept, what its routes still fetch as well."""
        for page in self.context.pages:
            page.unroute_all(behavior="ignoreErrors")
        self.context.unroute_all(behavior="ignoreErrors")
        self.context.close()


def figures(page: Any) -> dict[str, str]:
    """Figures by their names: what they are, unrounded, where the page says it."""
    found: dict[str, str] = page.evaluate(
        "() => Object.fromEntries([...document.querySelectorAll('[data-figure]')]"
        ".map((one) => [one.dataset.figure, one.dataset.value ?? one.textContent.trim()]))"
    )
    return found


def number(text: str) -> float:
    """A figure as a number; K, M and B as they are written on the page."""
    digits = text.replace(",", "").replace("\u202f", "").replace("$", "").strip()
    factor = {"K": 1e3, "M": 1e6, "B": 1e9}.get(digits[-1:], 1.0)
    return float(digits.rstrip("KMB%")) * factor
