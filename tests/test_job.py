"""What a job records: one `job_run` for each run, and everything inside joins it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from conftest import Lake
from lakeward import trace
from lakeward.capture import shared
from lakeward.capture.job import job, use
from lakeward.capture.wsgi import LakewardMiddleware
from lakeward.collector import Collector
from lakeward.errors import Terminal
from sites import Asked, environ_header, wsgi_ask

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = "0198a3c1-0000-7000-8000-000000000001"


@pytest.fixture
def collector(lake: Lake) -> Collector:
    return lake.collector()


@pytest.fixture(autouse=True)
def nothing_shared() -> Iterator[None]:
    """No collector of another test is found."""
    use(None)
    yield
    use(None)


def rows(lake: Lake, collector: Collector) -> list[dict[str, Any]]:
    collector.commit()
    return lake.rows()


def row(lake: Lake, collector: Collector) -> dict[str, Any]:
    (found,) = rows(lake, collector)
    return found


def test_a_block_is_one_run_with_name_outcome_and_duration(
    lake: Lake, collector: Collector
) -> None:
    with job("nightly-sync", collector, queue="mail", region="eu") as run:
        run.fields["retries"] = 2
    found = row(lake, collector)
    assert found["interaction_type"] == "job_run"
    assert found["interaction_id"] == run.interaction_id
    assert found["trace_id"] == run.interaction_id.replace("-", "")
    assert found["properties"].pop("duration_ms") >= 0
    assert found["properties"] == {
        "job_name": "nightly-sync", "outcome": "succeeded", "queue": "mail", "retries": 2,
        "region": "eu",
    }  # fmt: skip
    assert "error_type" not in found


def test_a_decorated_function_is_a_run_each_time_and_stays_itself(
    lake: Lake, collector: Collector
) -> None:
    @job("double", collector)
    def double(number: int, *, plus: int = 0) -> int:
        """Twice as much."""
        return number * 2 + plus

    assert (double(2), double(3, plus=1)) == (4, 7)
    assert (double.__name__, double.__doc__) == ("double", "Twice as much.")
    assert [found["properties"]["job_name"] for found in rows(lake, collector)] == ["double"] * 2


def test_a_coroutine_function_is_a_run_until_it_is_through(
    lake: Lake, collector: Collector
) -> None:
    @job("slow", collector)
    async def slow(number: int) -> int:
        await asyncio.sleep(0.03)
        return number

    async def main() -> list[int]:
        async with job("all", collector):
            return await asyncio.gather(*(slow(n) for n in range(3)))

    assert asyncio.run(main()) == [0, 1, 2]
    *inner, outer = rows(lake, collector)
    assert [found["properties"]["job_name"] for found in inner] == ["slow"] * 3
    assert all(found["properties"]["duration_ms"] >= 29 for found in inner)
    assert {found["parent_interaction_id"] for found in inner} == {outer["interaction_id"]}


@pytest.mark.parametrize("way", ["block", "function", "coroutine"])
def test_what_a_job_raises_is_named_by_its_type_and_raised_on(
    lake: Lake, collector: Collector, way: str
) -> None:
    broken = job("broken", collector)
    with pytest.raises(LookupError, match="hunter2secret"):
        if way == "block":
            with broken:
                raise LookupError("password=hunter2secret")
        elif way == "function":
            broken(_raises)()
        else:

            async def raises() -> None:
                _raises()

            asyncio.run(_awaited(broken(raises)))
    found = row(lake, collector)
    assert (found["properties"]["outcome"], found["error_type"]) == ("failed", "LookupError")
    assert b"hunter2secret" not in b"".join(p.read_bytes() for p in lake.root.rglob("*.jsonl"))
    assert trace.CURRENT.get() is None


def _raises() -> None:
    raise LookupError("password=hunter2secret")


async def _awaited(function: Any) -> None:
    await function()


def test_an_exception_that_brings_another_attempt_is_a_retry(
    lake: Lake, collector: Collector
) -> None:
    for attempt, error in enumerate([TimeoutError, LookupError]):
        with (
            pytest.raises(error),
            job("fetch", collector, retry_on=(TimeoutError,), retries=attempt),
        ):
            raise error
    assert [
        (found["properties"]["outcome"], found["properties"]["retries"], found["error_type"])
        for found in rows(lake, collector)
    ] == [("retried", 0, "TimeoutError"), ("failed", 1, "LookupError")]


@pytest.mark.parametrize(
    ("code", "outcome"), [(None, "succeeded"), (0, "succeeded"), (3, "failed"), ("no", "failed")]
)
def test_a_script_that_exits_ends_its_job_by_its_code(
    lake: Lake, collector: Collector, code: Any, outcome: str
) -> None:
    with pytest.raises(SystemExit), job("script", collector):
        sys.exit(code)
    assert row(lake, collector)["properties"]["outcome"] == outcome


def test_a_generator_is_refused_with_a_sentence(collector: Collector) -> None:
    def numbers() -> Iterator[int]:
        yield 1

    async def later() -> AsyncIterator[int]:
        yield 1

    for function in (numbers, later):
        with pytest.raises(Terminal, match=r'generator.*`with job\("numbers"\):` inside it'):
            job("numbers", collector)(function)


def test_what_is_recorded_inside_joins_the_innermost_job(lake: Lake, collector: Collector) -> None:
    with job("outer", collector) as outer, job("inner", collector) as inner:
        collector.record("cta_click", cta="book")
        assert trace.headers()["tracestate"] == f"lakeward={inner.interaction_id}"
    click, second, first = rows(lake, collector)
    assert click["parent_interaction_id"] == inner.interaction_id
    assert second["parent_interaction_id"] == outer.interaction_id
    assert "parent_interaction_id" not in first
    assert click["trace_id"] == second["trace_id"] == first["trace_id"]
    assert trace.CURRENT.get() is None


def test_a_job_inside_a_call_joins_it_with_session_and_user(
    lake: Lake, collector: Collector
) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        with job("part", collector):
            collector.record("cta_click", cta="book")
        start_response("200 OK", [])
        return [b"ok"]

    wrapped = LakewardMiddleware(
        app, collector, user=lambda environ: environ_header(environ, "x-user")
    )
    wsgi_ask(wrapped, Asked("/", "GET", (("x-user", "c-17"),)))
    click, part, call = rows(lake, collector)
    assert part["parent_interaction_id"] == call["interaction_id"]
    assert click["parent_interaction_id"] == part["interaction_id"]
    for name in ("user_id", "session_id", "trace_id"):
        assert click[name] == part[name] == call[name]


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": f"lakeward={CALLER}"},
        {"Traceparent": f"00-{TRACE}-{SPAN}-01", "TraceState": f"a=b,lakeward={CALLER}"},
        {b"traceparent": f"00-{TRACE}-{SPAN}-01".encode(),
         b"tracestate": f"lakeward={CALLER}".encode()},
    ],
)  # fmt: skip
def test_headers_that_are_handed_in_continue_their_trace(
    lake: Lake, collector: Collector, headers: Any
) -> None:
    with job("outer", collector), job("import", collector, headers=headers):
        collector.record("cta_click", cta="book")
    click, found, _ = rows(lake, collector)
    assert (found["trace_id"], found["parent_interaction_id"]) == (TRACE, CALLER)
    assert click["trace_id"] == TRACE
    assert click["parent_interaction_id"] == found["interaction_id"]


def test_a_trace_goes_through_a_queue_of_ones_own(lake: Lake, collector: Collector) -> None:
    with job("publisher", collector) as publisher:
        message = {"headers": trace.headers(), "body": "..."}
    with job("worker", collector, headers=message["headers"]):  # type: ignore[arg-type]
        pass
    first, second = rows(lake, collector)
    assert second["parent_interaction_id"] == publisher.interaction_id
    assert first["trace_id"] == second["trace_id"]


@pytest.mark.parametrize("headers", [{}, {"traceparent": "nonsense"}, {"traceparent": None}, 7])
def test_strange_headers_begin_a_new_trace_and_raise_nothing(
    lake: Lake, collector: Collector, headers: Any
) -> None:
    with job("import", collector, headers=headers) as run:
        pass
    assert row(lake, collector)["trace_id"] == run.interaction_id.replace("-", "")


def test_one_job_object_serves_many_threads_and_itself(lake: Lake, collector: Collector) -> None:
    shared_job = job("shared", collector)
    barrier = threading.Barrier(4)
    runs: dict[str, str] = {}

    def work(n: int) -> None:
        with shared_job as outer:
            barrier.wait()
            with shared_job as inner:
                barrier.wait()
                runs[inner.interaction_id] = outer.interaction_id

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {r["interaction_id"]: r.get("parent_interaction_id") for r in rows(lake, collector)}
    assert len(found) == 8
    assert {inner: found[inner] for inner in runs} == runs


def test_a_block_that_ends_in_another_context_is_recorded_once(
    lake: Lake, collector: Collector
) -> None:
    async def main() -> None:
        block = job("moved", collector)
        await asyncio.to_thread(block.__enter__)
        await asyncio.to_thread(block.__exit__, None, None, None)

    asyncio.run(main())
    assert row(lake, collector)["properties"]["outcome"] == "succeeded"


def test_a_name_that_is_none_is_quarantined_and_the_job_runs(
    lake: Lake, collector: Collector
) -> None:
    @job("x" * 300, collector)
    def work() -> str:
        return "done"

    assert work() == "done"
    assert rows(lake, collector) == []
    assert len(lake.quarantined()) == 1


def test_switched_off_a_job_costs_nothing_and_is_counted(lake: Lake) -> None:
    off = lake.collector(ENABLE_DATA_COLLECTION="false")
    with job("x", off):
        pass
    assert off.stats()["reasons"] == {"disabled": 1}


# The shared collector


def test_without_a_collector_one_is_made_on_the_first_run_and_shared(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = job("first")(lambda: None), job("second")
    assert shared._made == {}
    for name, value in {**lake.env, "LAKEWARD_KEEPER": "thread"}.items():
        monkeypatch.setenv(name, value)
    first()
    with second:
        pass
    made = shared.collector()
    assert [r["properties"]["job_name"] for r in rows(lake, made)] == ["first", "second"]
    assert made.stats()["offered"] == 2
    made.close()


def test_an_application_may_share_its_own_collector(lake: Lake, collector: Collector) -> None:
    use(collector)
    with job("x"):
        pass
    assert row(lake, collector)["properties"]["job_name"] == "x"


def test_a_module_with_decorators_opens_nothing_and_its_forks_record(lake: Lake) -> None:
    code = textwrap.dedent("""
        import os
        from lakeward.capture.job import job
        from lakeward.capture import shared
        @job("work")
        def work():
            return os.getpid()
        assert not shared._made and not os.path.exists(os.environ["LAKEWARD_LAKE_DIR"])
        work()
        children = []
        for _ in range(3):
            pid = os.fork()
            if not pid:
                work()
                os._exit(0)
            children.append(pid)
        for pid in children:
            os.waitpid(pid, 0)
        work()
    """)
    subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=lake.process_env(), check=True, timeout=120
    )
    report = lake.settled()
    assert report.ok, report.faults
    assert report.sum["offered"] == 5
    assert [r["properties"]["job_name"] for r in lake.rows()] == ["work"] * 5


def test_a_cron_script_leaves_its_job_when_it_fails(lake: Lake) -> None:
    code = "from lakeward.capture.job import job\nwith job('nightly'):\n    1 / 0"
    done = subprocess.run(
        [sys.executable, "-c", code], env=lake.process_env(), capture_output=True, timeout=120
    )
    assert done.returncode == 1
    assert b"ZeroDivisionError" in done.stderr
    assert os.path.exists(lake.root)
    (found,) = lake.rows()
    assert (found["properties"]["outcome"], found["error_type"]) == ("failed", "ZeroDivisionError")
    assert lake.settled().ok
