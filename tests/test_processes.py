"""Recording from every kind of process: forks, servers, workers, signals, exits, containers."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Lake, alive, attachment_of, wait_until
from lakeward.collector import Collector
from lakeward.settings import load

ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="needs root for mount and PID namespaces")


def script(lake: Lake, code: str, *, env: dict[str, str] | None = None, **options: Any) -> str:
    """Run a Python script on the lake; its stdout."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=lake.process_env(**(env or {})),
        capture_output=True, text=True, timeout=120, **options,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def names(lake: Lake) -> list[str]:
    return sorted(row["interaction_type"] for row in lake.rows())


def settle(lake: Lake, count: int) -> None:
    """Wait until `count` records are durable, then check the sum."""
    wait_until(lambda: len(lake.rows()) >= count, what=f"{count} records")
    report = lake.settled()
    assert report.ok, report.faults
    assert len(lake.ids()) == len(set(lake.ids())) == count


def test_first_use_by_many_threads_at_once_is_safe(lake: Lake) -> None:
    for _ in range(3):
        script(lake, """
            import sys, threading
            from lakeward import Collector
            from lakeward.catalog import TYPES
            sys.setswitchinterval(1e-6)
            collector = Collector.from_env()
            barrier = threading.Barrier(8)
            made = []
            def work():
                barrier.wait()
                for name, spec in TYPES.items():
                    made.append(collector.record(name, **spec.example))
            threads = [threading.Thread(target=work) for _ in range(8)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            assert None not in made and len(set(made)) == 8 * len(TYPES), made
        """)  # fmt: skip


def test_a_script_that_just_ends_loses_nothing_and_leaves_no_keeper(lake: Lake) -> None:
    script(lake, """
        from lakeward import Collector
        collector = Collector.from_env()
        for n in range(100):
            assert collector.record("hello", n=n)
    """)  # fmt: skip
    assert len(lake.rows()) == 100
    settle(lake, 100)
    wait_until(lambda: lake.keeper_pid() is None, what="idle exit")
    assert list(lake.ring_dir.glob("*.ring")) == []
    assert list(lake.ring_dir.glob("*.sock")) == []


def test_a_process_that_leaves_without_goodbye_loses_nothing(lake: Lake) -> None:
    script(lake, """
        import os
        from lakeward import Collector
        collector = Collector.from_env()
        for n in range(50):
            collector.record("hello", n=n)
        os._exit(0)
    """)  # fmt: skip
    settle(lake, 50)


def test_sigterm_without_any_handler_of_ours_loses_nothing(lake: Lake) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "import time\nfrom lakeward import Collector\n"
         "c = Collector.from_env()\nfor n in range(50): c.record('hello')\n"
         "print('ready', flush=True)\ntime.sleep(60)"],
        env=lake.process_env(), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    assert process.wait(120) == -signal.SIGTERM
    process.stdout.close()
    settle(lake, 50)


def test_a_shell_that_waits_for_the_apps_output_is_not_held_by_the_keeper(lake: Lake) -> None:
    code = "from lakeward import Collector; Collector.from_env().record('hello'); print('done')"
    started = subprocess.run(
        ["sh", "-c", 'echo "[$("$0" -c "$1" 2>&1)]"', sys.executable, code],
        env=lake.process_env(LAKEWARD_KEEPER_IDLE_SECONDS="300"), capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert started.stdout == "[done]\n"
    assert lake.keeper_pid() is not None


def test_the_keeper_inherits_nothing_from_the_app(lake: Lake, tmp_path: Path) -> None:
    held = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        out = script(lake, """
            import os
            from lakeward import Collector
            collector = Collector.from_env()
            collector.record("hello"); collector.commit(60)
            print(os.getpid(), os.getsid(0))
        """, env={"LAKEWARD_KEEPER_IDLE_SECONDS": "30"}, close_fds=False)  # fmt: skip
    finally:
        os.close(held)
    pid = lake.keeper_pid()
    assert pid is not None
    targets = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    assert str(tmp_path) not in targets
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert os.getsid(pid) != int(out.split()[1])
    assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    assert int(stat[1]) != int(out.split()[0])


def test_a_dead_keeper_is_replaced_by_the_app(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="spawn")
    collector.record("hello")
    collector.commit(60)
    first = lake.kill_keeper()
    assert first is not None
    attachment_of(collector)._started_ns = 0  # not 5 s in a test
    attachment_of(collector).next_look_ns = 0
    time.sleep(2.1)
    collector.record("hello")
    collector.commit(60)
    assert lake.keeper_pid() not in (None, first)
    settle(lake, 2)


def test_fork_before_first_use(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="spawn")
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            collector.record("child")
            os._exit(0)
        os.waitpid(pid, 0)
    collector.record("parent")
    collector.commit(60)
    settle(lake, 4)


def test_fork_after_first_use_gives_the_child_its_own_ring(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="spawn")
    collector.record("parent")
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            for _ in range(5):
                collector.record("child")
            os._exit(0)
        os.waitpid(pid, 0)
    collector.record("parent")
    collector.commit(60)
    settle(lake, 17)
    assert names(lake) == ["child"] * 15 + ["parent"] * 2


def test_fork_with_a_keeper_thread_leaves_the_lake_to_the_parent(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="thread")
    collector.record("parent")
    collector.commit(60)
    pid = os.fork()
    if pid == 0:
        collector.record("child")
        os._exit(0)
    os.waitpid(pid, 0)
    collector.record("parent")
    collector.commit(60)
    settle(lake, 3)
    collector.close()
    assert lake.keeper_pid() is None


def test_fork_in_a_thread_while_others_record(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="spawn")
    stop = threading.Event()
    counts = [0, 0, 0]

    def record(n: int) -> None:
        while not stop.is_set():
            counts[n] += collector.record("parent") is not None
            time.sleep(0.0005)

    threads = [threading.Thread(target=record, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        pid = os.fork()
        if pid == 0:
            ok = collector.record("child") is not None
            os._exit(0 if ok else 1)
        assert os.waitpid(pid, 0)[1] == 0
    stop.set()
    for thread in threads:
        thread.join()
    collector.commit(60)
    settle(lake, sum(counts) + 10)


def _record_in_pool(n: int) -> str | None:
    assert POOL_COLLECTOR is not None
    return POOL_COLLECTOR.record("task", n=n)


POOL_COLLECTOR: Collector | None = None


@pytest.mark.parametrize("used_before", [False, True])
def test_multiprocessing_pool(lake: Lake, used_before: bool) -> None:
    global POOL_COLLECTOR
    POOL_COLLECTOR = lake.collector(LAKEWARD_KEEPER="spawn")
    if used_before:
        POOL_COLLECTOR.record("task", n=-1)
    with multiprocessing.get_context("fork").Pool(3) as pool:
        ids = pool.map(_record_in_pool, range(60))
        pool.close()
        pool.join()
    assert len({i for i in ids if i}) == 60
    POOL_COLLECTOR.record("last")
    POOL_COLLECTOR.commit(60)
    settle(lake, 61 + used_before)


def test_several_apps_share_one_lake(lake: Lake) -> None:
    code = """
        from lakeward import Collector
        collector = Collector.from_env()
        for n in range(200):
            collector.record("hello", n=n)
        collector.commit(60)
    """
    apps = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)],
                         env=lake.process_env(LAKEWARD_SERVICE=f"app{n}"))
        for n in range(4)
    ]  # fmt: skip
    assert [app.wait(120) for app in apps] == [0] * 4
    settle(lake, 800)
    assert {row["service"] for row in lake.rows()} == {"app0", "app1", "app2", "app3"}


def test_a_signal_handler_and_a_finaliser_that_record(lake: Lake) -> None:
    out = script(lake, """
        import signal, time
        from lakeward import Collector
        collector = Collector.from_env()
        made = dict(handler=[], finaliser=[], main=[])
        def handle(*_):
            made["handler"].append(collector.record("handler"))
        class Dying:
            def __init__(self): self.me = self
            def __del__(self): made["finaliser"].append(collector.record("finaliser"))
        made["main"].append(collector.record("main"))
        collector.commit(60)
        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            Dying()
            made["main"].append(collector.record("main"))
            if len(made["main"]) % 500 == 0: collector.commit(60)
        signal.setitimer(signal.ITIMER_REAL, 0)
        import gc; gc.collect()
        import json
        counts = {k: sum(i is not None for i in v) for k, v in made.items()}
        print(json.dumps(counts), collector.stats()["accepted"])
    """)  # fmt: skip
    counts, accepted = out.rsplit(" ", 1)
    made = json.loads(counts)
    assert min(made.values()) > 5
    settle(lake, sum(made.values()))
    assert int(accepted) == sum(made.values())


def test_gevent_workers_record_and_commit(lake: Lake) -> None:
    script(lake, """
        from gevent import monkey; monkey.patch_all()
        import gevent
        from lakeward import Collector
        collector = Collector.from_env()
        def work(n):
            for i in range(20):
                collector.record("green", n=n); gevent.sleep(0)
            collector.commit(60)
        ticks = []
        clock = gevent.spawn(lambda: [(ticks.append(1), gevent.sleep(0.001)) for _ in range(2000)])
        gevent.joinall([gevent.spawn(work, n) for n in range(20)], raise_error=True)
        assert len(ticks) > 5, "the hub stood still"
    """)  # fmt: skip
    settle(lake, 400)


APP = """
from fastapi import FastAPI
from lakeward import Collector
from lakeward.capture.asgi import install
app = FastAPI()
install(app, Collector.from_env())
@app.get("/hello/{n}")
async def hello(n: int) -> dict[str, int]:
    return {"n": n}
"""

WSGI_APP = """
from lakeward import Collector
collector = Collector.from_env()
if PRELOADED:
    collector.record("loaded")
def app(environ, start_response):
    collector.record("call")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]
"""


def get(port: int, path: str) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=120) as answer:
        return int(answer.status)


def up(port: int, path: str) -> bool:
    try:
        return get(port, path) == 200
    except OSError:
        return False


def stop(process: subprocess.Popen[Any]) -> int:
    process.terminate()
    try:
        return process.wait(120)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


READY = """
import pathlib
def post_worker_init(worker):
    pathlib.Path(f"ready-{worker.pid}").touch()
"""
"""gunicorn sends SIGTERM once: a worker that has no handler yet does not hear it, and is killed
after the 30 s of its graceful timeout, whatever the app is."""


@pytest.mark.parametrize("options", [[], ["--preload"], ["-k", "gevent"], ["--threads", "4"]])
def test_gunicorn_prefork(lake: Lake, tmp_path: Path, free_port: int, options: list[str]) -> None:
    (tmp_path / "served.py").write_text(WSGI_APP.replace("PRELOADED", str("--preload" in options)))
    (tmp_path / "ready.py").write_text(READY)
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-w", "2", "-b", f"127.0.0.1:{free_port}",
         "--log-level", "critical", "-c", "ready.py", *options, "served:app"],
        env=lake.process_env(), cwd=tmp_path,
    )  # fmt: skip
    try:
        wait_until(lambda: up(free_port, "/"), what="gunicorn")
        wait_until(lambda: len(list(tmp_path.glob("ready-*"))) == 2, what="both workers")
        for _ in range(40):
            get(free_port, "/")
        assert server.poll() is None
    finally:
        assert stop(server) == 0
    settle(lake, len(lake.rows()))
    assert names(lake).count("call") >= 41
    assert names(lake).count("loaded") == ("--preload" in options)


def edited(app: Path, port: int) -> Callable[[], bool]:
    """Save the app with another route now and then until it serves it: what is saved before the
    reloader has looked at its files for the first time is no change to it."""
    looked = itertools.count()

    def serves_it() -> bool:
        if next(looked) % 800 == 0:
            app.write_text(APP.replace("/hello/{n}", "/again/{n}"))
        return up(port, "/again/2")

    return serves_it


def test_uvicorn_reload(lake: Lake, tmp_path: Path, free_port: int) -> None:
    app = tmp_path / "served.py"
    app.write_text(APP)
    server = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "served:app", "--reload", "--port", str(free_port),
         "--log-level", "critical"],
        env=lake.process_env(), cwd=tmp_path, start_new_session=True,
    )  # fmt: skip
    try:
        wait_until(lambda: up(free_port, "/hello/1"), what="uvicorn")
        wait_until(edited(app, free_port), what="the reload")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(120)
    wait_until(lambda: any(row.get("path") == "/again/2" for row in lake.rows()))
    report = lake.settled()
    assert report.ok, report.faults
    assert {"/hello/1", "/again/2"} <= {row["path"] for row in lake.rows()}


def test_celery_prefork(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(textwrap.dedent(f"""
        from celery import Celery
        from lakeward import Collector
        app = Celery("tasks", broker="filesystem://")
        app.conf.broker_transport_options = {{
            "data_folder_in": "{tmp_path}/broker", "data_folder_out": "{tmp_path}/broker",
            "control_folder": "{tmp_path}/control",
        }}
        app.conf.worker_prefetch_multiplier = 1
        collector = Collector.from_env()
        collector.record("loaded")
        @app.task
        def work(n):
            collector.record("task", n=n)
    """))  # fmt: skip
    (tmp_path / "broker").mkdir()
    (tmp_path / "control").mkdir()
    env = lake.process_env(C_FORCE_ROOT="1", LAKEWARD_KEEPER_IDLE_SECONDS="20")
    worker = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "celery", "-A", "tasks", "worker", "-c", "2", "-P",
         "prefork", "-l", "CRITICAL", "--without-gossip", "--without-mingle",
         "--without-heartbeat"],
        env=env, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c",
             "import tasks\nfor n in range(30): tasks.work.delay(n)"],
            env=env, cwd=tmp_path, check=True, timeout=120,
        )  # fmt: skip
        wait_until(lambda: lake.root.exists() and names(lake).count("task") == 30)
    finally:
        stop(worker)
    report = lake.settled()
    assert report.ok, report.faults
    assert sorted(r["properties"]["n"] for r in lake.rows() if r["interaction_type"] == "task") == (
        list(range(30))
    )


def test_a_jupyter_kernel_records_and_may_be_killed(lake: Lake) -> None:
    from jupyter_client.manager import KernelManager

    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(env=lake.process_env())
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=120)
        cells = (
            "from lakeward import Collector; c = Collector.from_env()",
            "first = c.record('cell', n=1)",
            "import asyncio; await c.acommit(10)",
            "second = c.record('cell', n=2)",
        )
        for code in cells:
            reply = client.execute_interactive(code, timeout=120, output_hook=lambda _: None)
            assert reply["content"]["status"] == "ok", reply["content"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    settle(lake, 2)


@needs_root
def test_a_container_torn_down_loses_at_most_what_came_since_the_last_commit(
    lake: Lake, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    (tmp_path / "app.py").write_text(
        textwrap.dedent(f"""
        import os, time
        from lakeward import Collector
        told = os.open({str(told)!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        collector = Collector.from_env()
        while True:
            batch = [collector.record("hello") for _ in range(5)]
            collector.commit(60)
            os.write(told, "".join(f"{{i}}\\n" for i in batch).encode())
    """)
    )
    # Its own /dev/shm and PID namespace; PID 1 is the shell, and with it everything dies at once.
    container = subprocess.Popen(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c",
         'mount -t tmpfs none /dev/shm; unset LAKEWARD_RING_DIR; "$0" "$1"; true',
         sys.executable, str(tmp_path / "app.py")],
        env=lake.process_env(),
    )  # fmt: skip
    wait_until(lambda: told.exists() and len(told.read_text().split()) > 200, what="records")
    children = Path(f"/proc/{container.pid}/task/{container.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    container.wait(120)
    wait_until(lambda: lake.keeper_pid() is None, what="the container's end")
    committed = set(told.read_text().split())
    report = lake.audit()
    assert len(report.vanished) == 1
    missing = committed - set(lake.ids())
    keeper = lake.collector(LAKEWARD_KEEPER="thread")
    keeper.record("after")
    keeper.commit(60)
    missing = committed - set(lake.ids())
    assert missing == set()
    wait_until(lambda: b'"vanished"' in (lake.root / ".lakeward/ledger.jsonl").read_bytes())
    report = lake.audit()
    assert report.ok, report.faults
    assert "app.py" in report.vanished[0]


@needs_root
def test_a_read_only_container_with_a_writable_volume_collects(lake: Lake) -> None:
    lake.root.mkdir()
    code = ("from lakeward import Collector\nc = Collector.from_env()\n"
            "assert c.record('hello'); c.commit(60)")  # fmt: skip
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c",
         f'mount --bind "{lake.root}" "{lake.root}" && mount -o remount,bind,ro / && '
         '(touch /readonly 2>/dev/null && exit 9; exec "$0" -c "$1")', sys.executable, code],
        env=lake.process_env(PYTHONDONTWRITEBYTECODE="1"), capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    settle(lake, 1)


@needs_root
def test_a_read_only_lake_never_harms_the_app(lake: Lake) -> None:
    first = lake.collector(LAKEWARD_KEEPER="thread")
    first.record("before")
    first.commit(60)
    first.close()
    code = ("from lakeward import Collector, NotDurable\nc = Collector.from_env()\n"
            "ids = [c.record('hello') for _ in range(10)]\n"
            "try: c.commit(1)\nexcept NotDurable as e: print(all(ids), e)")  # fmt: skip
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c",
         f'mount --bind "{lake.root}" "{lake.root}" && mount -o remount,bind,ro "{lake.root}" && '
         'exec "$0" -c "$1"', sys.executable, code],
        env=lake.process_env(), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("True not durable"), done.stdout + done.stderr
    again = lake.collector(LAKEWARD_KEEPER="thread")
    again.record("after")
    again.commit(60)
    settle(lake, 12)


def test_an_environment_without_a_ring_costs_the_app_nothing_but_the_data(
    lake: Lake, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    out = script(lake, """
        import logging
        logging.basicConfig(format="%(message)s")
        from lakeward import Collector, NotDurable
        collector = Collector.from_env()
        assert [collector.record("hello") for _ in range(1000)] == [None] * 1000
        try: collector.commit(1)
        except NotDurable as error: print(error)
        print(collector.stats())
    """, env={"LAKEWARD_RING_DIR": str(tmp_path / "file")}, stdin=None)  # fmt: skip
    assert "no_ring" in out
    assert "'no_ring': 1000" in out


def test_an_invalid_setting_switches_collection_off_and_names_itself(lake: Lake) -> None:
    out = script(lake, """
        import logging, sys
        logging.basicConfig(stream=sys.stdout, format="%(message)s")
        from lakeward import Collector
        collector = Collector.from_env()
        assert collector.record("hello") is None
        collector.commit(1)
    """, env={"LAKEWARD_IP": "trucnate"})  # fmt: skip
    assert "collection is off: LAKEWARD_IP must be one of full, truncate, hash, none" in out
    assert not lake.root.exists()


def test_an_invalid_line_of_the_environments_file_never_raises_into_the_app(
    lake: Lake, tmp_path: Path
) -> None:
    (tmp_path / ".env.development").write_text("LAKEWARD_RING_BYTES=much\n")
    out = script(lake, """
        import logging, sys
        logging.basicConfig(stream=sys.stdout, format="%(message)s")
        from lakeward import Collector
        assert Collector.from_env().record("hello") is None
    """, cwd=tmp_path)  # fmt: skip
    assert "collection is off: LAKEWARD_RING_BYTES must be a size" in out


def test_switched_off_it_opens_nothing(lake: Lake) -> None:
    collector = lake.collector(ENABLE_DATA_COLLECTION="false")
    assert collector.record("hello") is None
    collector.commit(1)
    assert collector.stats()["reasons"] == {"disabled": 1}
    assert not lake.root.exists()


def test_nothing_of_the_keeper_runs_in_the_apps_interpreter(lake: Lake) -> None:
    out = script(lake, """
        import threading
        from lakeward import Collector
        collector = Collector.from_env()
        collector.record("hello"); collector.commit(60)
        print(threading.active_count())
    """)  # fmt: skip
    assert out == "1\n"


def test_a_link_or_a_strangers_folder_is_not_trusted_with_rings(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(lake.ring_dir)
    collector = Collector(load({**lake.env, "LAKEWARD_RING_DIR": str(tmp_path / "link")}))
    assert collector.record("hello") is None
    assert collector.stats()["reasons"] == {"no_ring": 1}
    assert alive(os.getpid())
