"""Fixtures for every test: an isolated lake with its own ring folder and a keeper that ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import msgspec
import pytest

from lakeward.attachment import Attachment
from lakeward.audit import Report, audit
from lakeward.collector import Collector
from lakeward.errors import LakewardError
from lakeward.lakedir import LakeDir, open_lake
from lakeward.lock import Bearing, is_kept
from lakeward.log import read_lines
from lakeward.ringdir import known_folders
from lakeward.settings import load

if TYPE_CHECKING:  # most tests need no database and no cloud
    from clouds import Cloud
    from dashboard import Dashboard
    from databases import Shelf, Store


hypothesis.settings.register_profile("lakeward", deadline=None)
hypothesis.settings.load_profile("lakeward")
"""A busy machine is no finding."""

os.environ.setdefault("LAKEWARD_INDIVIDUAL_FILES", "off")
"""For keepers that inherit this process's environment alone, too: a courier is a second process."""

os.environ["SSL_CERT_FILE"] = str(Path(__file__).with_name("data") / "authority.pem")
"""One authority, whose key nobody has: nothing here trusts a stranger, and an HTTP client that
loads all authorities of the world takes as long to make as fifty requests."""


LONG = {
    "test_ack_s3",
    "test_alert_watching",
    "test_api_schema",
    "test_aws_backfill",
    "test_aws_runtime",
    "test_aws_traffic",
    "test_capture_celery",
    "test_demo_end_to_end",
    "test_demo_stage",
    "test_documented_commands",
    "test_erase_proof",
    "test_open_lake",
    "test_page_hostile",
    "test_removal",
    "test_several_machines",
    "test_table_kills",
}  # fmt: skip
"""Files of which one test takes twenty seconds or more: begun first, or the last of them would
hold up the end while the other processes have nothing left to do."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays until the end: no look for garbage has to pass over it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Each process begins with files of its own, and finds those of the others compiled."""
    report = yield
    if isinstance(collector, pytest.Directory):
        worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
        first = worker * len(report.result) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
        report.result[:] = [*report.result[first:], *report.result[:first]]
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: (item.path.stem not in LONG, item.path))


signal.signal(signal.SIGINT, signal.default_int_handler)
"""What runs in the background may be handed an ignored SIGINT, and hand it to what it starts."""


def wait_until(true: Callable[[], Any], seconds: float = 120.0, what: str = "it") -> None:
    """Poll until `true()`; fail the test when it does not become so.

    A look that is dear is followed by a longer pause: it takes from what it waits for.
    """
    deadline = time.monotonic() + seconds
    began = time.thread_time()
    while not true():
        now = time.thread_time()
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(min(max(0.01, 2 * (now - began)), 0.5))
        began = time.thread_time()


class Lake:
    """A lake for one test: its folders, its environment, and what landed in it."""

    def __init__(self, root: Path, ring_dir: Path) -> None:
        self.root = root
        self.ring_dir = ring_dir
        self.env = {
            "LAKEWARD_LAKE_DIR": str(root),
            "LAKEWARD_RING_DIR": str(ring_dir),
            "LAKEWARD_KEEPER_IDLE_SECONDS": "1",
            "LAKEWARD_INDIVIDUAL_FILES": "off",
        }
        self._collectors: list[Collector] = []

    def process_env(self, **more: str) -> dict[str, str]:
        """The environment for a subprocess that uses this lake."""
        return {**os.environ, **self.env, **more}

    def collector(self, scrub: Any = None, **settings: str) -> Collector:
        """A collector in this process, with a keeper thread unless told otherwise."""
        environ = {"LAKEWARD_KEEPER": "thread", **self.env, **settings}
        collector = Collector(load(environ, self.root.parent), scrub=scrub)
        self._collectors.append(collector)
        return collector

    def open(self) -> LakeDir:
        """The lake's folder as Lakeward sees it."""
        return open_lake(self.root, create=False)

    def rows(self) -> list[dict[str, Any]]:
        """Durable records in log order; none before somebody made the lake."""
        if not (self.root / ".lakeward" / "lake.json").exists():
            return []
        return [msgspec.json.decode(line) for line, _ in read_lines(self.open())]

    def ids(self) -> list[str]:
        """Their ids."""
        return [row["interaction_id"] for row in self.rows()]

    def quarantined(self) -> list[dict[str, Any]]:
        """Durable quarantine entries."""
        lines = read_lines(self.open(), stream="quarantine")
        return [msgspec.json.decode(line) for line, _ in lines]

    def audit(self) -> Report:
        """What doctor finds."""
        lake = self.open()
        return audit(lake, known_folders(lake, self.ring_dir))

    def settled(self) -> Report:
        """The audit once every ring of a dead process is folded (needs a running keeper)."""
        report: list[Report] = []

        def folded() -> bool:
            report[:] = [self.audit()]
            return all(ring.alive for ring in report[0].rings)

        wait_until(folded, what="folding of the dead rings")
        return report[0]

    def keeper_pid(self) -> int | None:
        """Process id of the keeper that holds the lake."""
        lock = self.root / ".lakeward" / "keeper.lock"
        if not lock.exists() or not is_kept(self.open()):
            return None
        try:
            return msgspec.json.decode(lock.read_bytes(), type=Bearing).pid
        except msgspec.DecodeError:
            return None

    def kill_keeper(self, number: int = signal.SIGKILL) -> int | None:
        """Signal the keeper's process (never this one) and wait for its end."""
        pid = self.keeper_pid()
        if pid is None or pid == os.getpid():
            return None
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return None
        wait_until(lambda: not alive(pid), what="the keeper's end")
        return pid

    def close(self) -> None:
        """End everything."""
        for collector in self._collectors:
            collector.close()
        if os.path.exists(self.root / ".lakeward" / "lake.json"):
            with contextlib.suppress(LakewardError, OSError):
                self.kill_keeper()
        shutil.rmtree(self.ring_dir, ignore_errors=True)


def attachment_of(collector: Collector) -> Attachment:
    """A collector's ring, registration and watch on the keeper, for tests that reach inside."""
    assert isinstance(collector._attachment, Attachment)
    return collector._attachment


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """An isolated lake on the disk with rings in shared memory."""
    ring_dir = Path("/dev/shm") / f"lw-test-{os.getpid()}-{tmp_path.name[-40:]}"
    ring_dir.mkdir(mode=0o700, exist_ok=True)
    made = Lake(tmp_path / "data-lake", ring_dir)
    yield made
    made.close()


@pytest.fixture
def free_port() -> int:
    """A loopback port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A real PostgreSQL server for the session."""
    from databases import postgresql_server

    with postgresql_server() as url:
        yield url


@pytest.fixture(scope="session")
def shelf(postgresql: str) -> Shelf:
    """Databases of that server, which one test takes after another."""
    from databases import Shelf

    return Shelf(postgresql)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An app database in which nothing stands, on each of the two."""
    from databases import Store

    shelf = request.getfixturevalue("shelf") if request.param == "postgresql" else None
    made = Store(tmp_path, shelf.take() if shelf else "")
    yield made
    made.close()
    if shelf:
        shelf.give_back(made.url)


@pytest.fixture(params=["ministack", "moto"])
def cloud(request: pytest.FixtureRequest) -> Cloud:
    """An empty cloud of each of the two makers."""
    from clouds import emulator

    running = emulator(request.param)
    running.reset()
    return running


@pytest.fixture(scope="session")
def fed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """The dashboard of a lake that a demo filled; one server for all tests of a process."""
    from dashboard import dashboard

    with dashboard(tmp_path_factory) as running:
        yield running


@pytest.fixture(scope="session")
def _chromium() -> Iterator[Any]:
    """The one browser of this process, and the loop in which Playwright serves it."""
    from sites_served import CHROMIUM, chromium

    if not CHROMIUM.exists():
        pytest.skip(f"there is no Chromium at {CHROMIUM}")
    with chromium() as opened:
        loop = asyncio.get_running_loop()
        asyncio._set_running_loop(None)
        yield opened, loop
        asyncio._set_running_loop(loop)


@pytest.fixture
def browser(_chromium: Any) -> Iterator[Any]:
    """Chromium without a context; those that the test opens are closed with it.

    Playwright's loop counts as running in this thread for as long as the browser is open: the tests
    that need no browser must not see it, or none of them could run a loop of its own.
    """
    opened, loop = _chromium
    asyncio._set_running_loop(loop)
    yield opened
    for context in opened.contexts:
        context.close()
    asyncio._set_running_loop(None)
