"""Celery tasks are `job_run`s: in real workers, across processes, however an attempt ends."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, signals

from conftest import Lake, wait_until
from lakeward.capture import shared
from lakeward.capture.celery import install
from lakeward.capture.job import job
from lakeward.collector import Collector
from lakeward.errors import Terminal

TASKS = """
    import os, time
    from celery import Celery
    from celery.exceptions import Ignore, Reject
    from lakeward.capture import shared
    from lakeward.capture.celery import install

    app = Celery("tasks", broker="filesystem://")
    app.conf.broker_transport_options = {
        "data_folder_in": "FOLDER/broker", "data_folder_out": "FOLDER/broker",
        "control_folder": "FOLDER/control", "processed_folder": "FOLDER/processed",
    }
    app.conf.worker_prefetch_multiplier = 1
    app.conf.task_track_started = False
    install(app)

    @app.task
    def ok(secret):
        shared.collector().record("cta_click", cta="book")

    @app.task
    def broken(secret):
        raise LookupError("password=" + secret)

    @app.task(bind=True, max_retries=2)
    def flaky(self):
        try:
            raise TimeoutError
        except TimeoutError as error:
            raise self.retry(exc=error, countdown=0)

    @app.task(autoretry_for=(ValueError,), retry_kwargs={"max_retries": 1, "countdown": 0})
    def again():
        raise ValueError

    @app.task
    def ignored():
        raise Ignore

    @app.task
    def rejected():
        raise Reject("no", requeue=False)

    @app.task
    def leaves():
        raise SystemExit(1)

    @app.task
    def killed():
        os.kill(os.getpid(), 9)

    @app.task(time_limit=1)
    def slow():
        time.sleep(60)

    @app.task
    def parent():
        ok.delay("hunter2secret")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with tasks and a broker."""
    for name in ("broker", "control", "processed"):
        (tmp_path / name).mkdir()
    (tmp_path / "tasks.py").write_text(textwrap.dedent(TASKS).replace("FOLDER", str(tmp_path)))
    return tmp_path


@contextmanager
def worker(lake: Lake, folder: Path, pool: str) -> Iterator[None]:
    """A real worker until the block ends."""
    command = [
        sys.executable, "-W", "ignore", "-m", "celery", "-A", "tasks", "worker", "-c", "2",
        "-P", pool, "-l", "CRITICAL", "--without-gossip", "--without-mingle",
        "--without-heartbeat",
    ]  # fmt: skip
    env = lake.process_env(C_FORCE_ROOT="1", LAKEWARD_KEEPER_IDLE_SECONDS="20")
    process = subprocess.Popen(
        command, env=env, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def publish(lake: Lake, folder: Path, code: str) -> None:
    """Run what publishes, in a process of its own."""
    env = lake.process_env(LAKEWARD_KEEPER_IDLE_SECONDS="20")
    code = "import tasks\nfrom lakeward.capture.job import job\n" + textwrap.dedent(code)
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=env, cwd=folder, check=True, timeout=120
    )


def runs(lake: Lake, name: str = "") -> list[dict[str, Any]]:
    """The recorded runs of jobs and tasks, with the fields of each on top."""
    found = [row for row in lake.rows() if row["interaction_type"] == "job_run"]
    flat = [row | row["properties"] for row in found]
    return [row for row in flat if row["job_name"].endswith(name)]


def recorded(lake: Lake, count: int) -> None:
    wait_until(
        lambda: lake.root.exists() and len(runs(lake)) >= count, seconds=300, what=f"{count} runs"
    )


def test_every_end_of_a_task_is_recorded_by_a_prefork_worker(lake: Lake, folder: Path) -> None:
    with worker(lake, folder, "prefork"):
        publish(lake, folder, """
            with job("publisher"):
                tasks.ok.delay("hunter2secret")
                tasks.flaky.delay()
            tasks.broken.delay("hunter2secret")
            tasks.again.delay()
            tasks.ignored.delay()
            tasks.rejected.delay()
            tasks.parent.delay()
            tasks.ok.apply_async(("hunter2secret",), expires=-5)
            tasks.leaves.delay()
            tasks.killed.delay()
            tasks.slow.delay()
        """)  # fmt: skip
        recorded(lake, 16)
    report = lake.settled()
    assert report.ok, report.faults
    (publisher,) = runs(lake, "publisher")
    ok = {run["outcome"]: run for run in runs(lake, "tasks.ok") if run["queue"] == "celery"}
    first = next(run for run in runs(lake, "tasks.ok") if run["trace_id"] == publisher["trace_id"])
    assert first["parent_interaction_id"] == publisher["interaction_id"]
    assert ok["failed"]["error_type"] == "Expired"
    assert "duration_ms" not in ok["failed"]
    clicks = [row for row in lake.rows() if row["interaction_type"] == "cta_click"]
    assert first["interaction_id"] in {row["parent_interaction_id"] for row in clicks}

    flaky = runs(lake, "flaky")
    assert [(run["outcome"], run["retries"], run["error_type"]) for run in flaky] == [
        ("retried", 0, "TimeoutError"), ("retried", 1, "TimeoutError"),
        ("failed", 2, "TimeoutError"),
    ]  # fmt: skip
    assert {run["trace_id"] for run in flaky} == {publisher["trace_id"]}
    assert len({run["job_id"] for run in flaky}) == 1
    assert [run["outcome"] for run in runs(lake, "again")] == ["retried", "failed"]

    ends = {
        name: [(run["outcome"], run.get("error_type")) for run in runs(lake, name)]
        for name in ("broken", "ignored", "rejected", "killed", "leaves", "slow", "parent")
    }
    assert ends == {
        "broken": [("failed", "LookupError")],
        "ignored": [("succeeded", None)],
        "rejected": [("failed", "Reject")],
        "killed": [("failed", "WorkerLostError")],
        "leaves": [("failed", "WorkerLostError")],
        "slow": [("failed", "TimeLimitExceeded")],
        "parent": [("succeeded", None)],
    }
    (parent,) = runs(lake, "parent")
    child = next(run for run in runs(lake, "tasks.ok") if run["trace_id"] == parent["trace_id"])
    assert child["parent_interaction_id"] == parent["interaction_id"]
    assert all("@" in run["worker"] for run in runs(lake, "flaky"))
    stored = b"".join(path.read_bytes() for path in lake.root.rglob("*") if path.is_file())
    assert b"hunter2secret" not in stored


def test_tasks_in_threads_keep_their_traces_apart(lake: Lake, folder: Path) -> None:
    with worker(lake, folder, "threads"):
        publish(lake, folder, """
            for n in range(8):
                with job("publisher"):
                    tasks.ok.delay("x")
                    tasks.flaky.delay()
        """)  # fmt: skip
        recorded(lake, 8 + 8 + 24)
    assert lake.settled().ok
    for publisher in runs(lake, "publisher"):
        same = [run for run in runs(lake) if run["trace_id"] == publisher["trace_id"]]
        names = sorted(run["job_name"].removeprefix("tasks.") for run in same)
        assert names == ["flaky", "flaky", "flaky", "ok", "publisher"]


@pytest.fixture
def collector(lake: Lake) -> Iterator[Collector]:
    """The collector of an eager application in this process."""
    collector = lake.collector()
    shared.use(collector)
    yield collector
    shared.use(None)


@pytest.fixture
def app() -> Iterator[Celery]:
    """An eager application whose receivers are taken off again."""
    watched = (signals.before_task_publish, signals.task_prerun, signals.task_postrun,
               signals.task_failure, signals.task_revoked)  # fmt: skip
    before = [list(signal.receivers) for signal in watched]
    app = Celery("eager", set_as_current=False)
    app.conf.task_always_eager = True
    yield app
    for signal, receivers in zip(watched, before, strict=True):
        signal.receivers[:] = receivers
        signal.sender_receivers_cache.clear()


def task(app: Celery, function: Callable[..., Any], **options: Any) -> Any:
    return app.task(function, **options)


def test_an_eager_task_is_part_of_what_runs_it(
    lake: Lake, app: Celery, collector: Collector
) -> None:
    install(app)

    def work(number: int) -> int:
        collector.record("cta_click", cta="book")
        return number * 2

    double = task(app, work, name="double")
    with job("outer", collector) as outer:
        assert double.delay(4).get() == 8
    collector.commit()
    (run,) = runs(lake, "double")
    assert run["parent_interaction_id"] == outer.interaction_id
    click = next(row for row in lake.rows() if row["interaction_type"] == "cta_click")
    assert click["parent_interaction_id"] == run["interaction_id"]


def test_only_the_tasks_of_the_installed_application_are_recorded(
    lake: Lake, app: Celery, collector: Collector
) -> None:
    install(app, collector)
    other = Celery("other", set_as_current=False)
    other.conf.task_always_eager = True

    def work() -> None:
        pass

    for owner, name in ((app, "ours"), (other, "theirs")):
        task(owner, work, name=name).delay()
    collector.commit()
    assert [run["job_name"] for run in runs(lake)] == ["ours"]


def test_a_trace_that_a_message_has_already_is_left_alone(
    app: Celery, collector: Collector
) -> None:
    install(app, collector)
    headers = {"traceparent": "of another tool"}
    with job("outer", collector):
        signals.before_task_publish.send(sender="x", headers=headers, body=())
    assert headers == {"traceparent": "of another tool"}


def test_a_second_install_is_refused(app: Celery, collector: Collector) -> None:
    install(app, collector)
    with pytest.raises(Terminal, match="once"):
        install(app, collector)
