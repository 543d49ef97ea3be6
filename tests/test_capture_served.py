"""Every adapter under real servers with several workers: each call once, and the sum holds."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from callers import Callers, assert_each_recorded_once
from conftest import Lake, wait_until
from servers import Server, granian, gunicorn, settled, uvicorn

THREADS, CALLS = 4, 50

SERVED = [
    ("wsgi", "gunicorn", "sync", ()),
    ("wsgi", "gunicorn", "gthread", ("--threads", "4")),
    ("flask", "gunicorn", "gevent", ()),
    ("flask", "gunicorn", "sync", ("--preload",)),
    ("django wrapped", "gunicorn", "gthread", ("--threads", "4")),
    ("django middleware", "gunicorn", "sync", ()),
    ("flask", "granian", "wsgi", ()),
    ("django wrapped", "granian", "wsgi", ()),
    ("starlette", "granian", "asgi", ()),
    ("django wrapped", "granian", "asgi", ()),
    ("django wrapped", "uvicorn", "asgi", ()),
    ("django middleware", "uvicorn", "asgi", ()),
]


@contextmanager
def serving(
    lake: Lake, folder: Path, app: str, server: str, kind: str, *options: str
) -> Iterator[Server]:
    """A site with two workers."""
    env = lake.process_env(
        APP=app, KIND=kind if kind == "asgi" else "wsgi", LAKEWARD_KEEPER_IDLE_SECONDS="30"
    )
    if server == "uvicorn":
        with uvicorn("served:made", env, *options, workers=2, folder=folder) as running:
            yield running
    else:
        start = gunicorn if server == "gunicorn" else granian
        with start("served:app", env, *options, workers=2, kind=kind, folder=folder) as running:
            yield running


@pytest.mark.parametrize(("app", "server", "kind", "options"), SERVED,
                         ids=[f"{s} {k}: {a}" for a, s, k, _ in SERVED])  # fmt: skip
def test_two_workers_record_each_call_exactly_once(
    lake: Lake, tmp_path: Path, app: str, server: str, kind: str, options: tuple[str, ...]
) -> None:
    with serving(lake, tmp_path, app, server, kind, *options) as running:
        callers = Callers(running, THREADS, CALLS).start().wait()
        printed = running.stop()
    report = settled(lake, THREADS * CALLS)
    assert report.ok, (report.faults, printed)
    assert (report.sum["offered"], report.sum["delivered"]) == (THREADS * CALLS, THREADS * CALLS)
    assert callers.failed == []
    assert_each_recorded_once(lake, callers)
    assert "lakeward:" not in printed
    routes = {row.get("route") for row in lake.rows()}
    assert routes == ({None} if app == "wsgi" else {"/call/{number}/{n}"})
    assert {row["ip_address"] for row in lake.rows()} == {"127.0.0.1"}


@pytest.mark.parametrize(("server", "kind"), [
    ("gunicorn", "sync"), ("gunicorn", "gthread"), ("gunicorn", "gevent"), ("granian", "wsgi"),
])  # fmt: skip
def test_files_and_torn_streams_are_recorded_once_under_real_servers(
    lake: Lake, tmp_path: Path, server: str, kind: str
) -> None:
    with serving(lake, tmp_path, "wsgi", server, kind) as running:
        file = (Path(__file__).parent / "served.py").read_bytes()
        if server == "gunicorn":  # granian has no file wrapper
            assert httpx.get(f"{running.url}/file").content == file
        assert httpx.head(f"{running.url}/x").status_code == 200
        with httpx.stream("GET", f"{running.url}/endless") as response:
            assert next(response.iter_raw())
        expected = 3 if server == "gunicorn" else 2
        wait_until(lambda: len(lake.rows()) >= expected, what="the records")
        running.stop()
    assert settled(lake, expected).ok
    rows = {row["path"]: row for row in lake.rows()}
    assert len(lake.rows()) == len(rows) == expected
    assert rows["/endless"]["error_type"] == "ClientDisconnect"
    assert (rows["/x"]["method"], rows["/x"]["response_bytes"]) == ("HEAD", 0)
    if server == "gunicorn":
        assert rows["/file"]["response_bytes"] == len(file)
        assert "error_type" not in rows["/file"]


def test_an_answered_call_survives_the_kill_of_its_worker(lake: Lake, tmp_path: Path) -> None:
    with serving(lake, tmp_path, "wsgi", "gunicorn", "sync") as running:
        for n in range(6):
            with running.connect() as connection:
                connection.sendall(b"GET /call/%d HTTP/1.1\r\nHost: a\r\n\r\n" % n)
                answer = b""
                while b"\r\n\r\n" not in answer or not answer.endswith(_body(answer)):
                    answer += connection.recv(65536)
                os.kill(int(_body(answer)), signal.SIGKILL)
        running.stop()
        assert lake.settled().ok
    assert sorted(row["path"] for row in lake.rows()) == [f"/call/{n}" for n in range(6)]


def _body(answer: bytes) -> bytes:
    """The body once it is as long as the head announces, else what no answer ends with."""
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return body if len(body) == length else b"\0"
