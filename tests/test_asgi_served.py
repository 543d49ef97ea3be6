"""The middleware under real servers and real sockets, whole and killed."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets.sync.client as websocket
from websockets.exceptions import InvalidStatus

from callers import Callers, assert_each_recorded_once
from conftest import Lake, alive, wait_until
from servers import Server, gunicorn, settled, uvicorn

KILLS, SUDDEN_KILLS = 3, 8


@pytest.fixture
def shop(lake: Lake, tmp_path: Path) -> Iterator[Server]:
    """The shop under uvicorn with one worker."""
    with uvicorn("apps:shop", lake.process_env(), folder=tmp_path) as server:
        yield server


def recorded(lake: Lake, count: int) -> list[dict[str, Any]]:
    """The first `count` records or more, once they are durable."""
    wait_until(lambda: lake.root.exists() and len(lake.rows()) >= count, what=f"{count} records")
    return lake.rows()


def send_raw(server: Server, request: bytes) -> bytes:
    """All that the server answers to these bytes until it closes."""
    with server.connect() as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer


def test_calls_of_every_kind_are_recorded_under_a_real_server(lake: Lake, shop: Server) -> None:
    with httpx.Client(base_url=shop.url) as client:
        assert client.get("/health").status_code == 200
        sent = [
            client.get("/api/partners/7?page=2"),
            client.get("/api/partners/seven"),
            client.post("/api/partners", json={"name": "Ann", "level": 1}),
            client.put("/api/partners"),
            client.head("/api/partners/7"),
            client.get("/nothing"),
            client.get("/boom"),
        ]
    assert [response.status_code for response in sent] == [200, 422, 201, 405, 405, 404, 500]
    rows = recorded(lake, len(sent))
    assert [row["response_status"] for row in rows] == [r.status_code for r in sent]
    assert [row["response_bytes"] for row in rows] == [len(r.content) for r in sent]
    assert [row.get("route") for row in rows] == [
        "/api/partners/{partner_id}",
        "/api/partners/{partner_id}",
        "/api/partners",
        "/api/partners",
        "/api/partners/{partner_id}",
        None,
        "/boom",
    ]
    assert {row["ip_address"] for row in rows} == {"127.0.0.1"}
    assert rows[-1]["error_type"] == "LookupError"
    shop.stop()
    report = settled(lake, len(sent) + 1)
    assert report.ok
    assert (report.sum["offered"], report.sum["excluded"]) == (len(sent) + 1, 1)


def test_pipelined_and_unusual_requests_are_recorded_like_others(lake: Lake, shop: Server) -> None:
    request = (
        b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"
        b"GET /n%6fthing/%ff?%zz&=&a=%ff HTTP/1.1\r\nHost: a\r\nUser-Agent:\r\n"
        b"Referer: \xff\xfe\r\nCookie: \xc3\x28\r\n\r\n"
        b"PROPFIND //.. HTTP/1.1\r\nHost: a\r\n\r\n"
        b"GET /last HTTP/1.0\r\nX-Huge: " + b"h" * 30_000 + b"\r\n\r\n"
    )
    assert send_raw(shop, request).count(b"HTTP/1.1 404") == 4
    paths = [row["path"] for row in recorded(lake, 4)]
    assert paths == ["/nothing", "/nothing/\ufffd", "//..", "/last"]


def test_a_socket_closed_in_mid_stream_is_a_client_disconnect_recorded_once(
    lake: Lake, shop: Server
) -> None:
    with shop.connect() as connection:
        connection.sendall(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
        received = b""
        while b"data: 2" not in received:
            received += connection.recv(65536)
    httpx.get(f"{shop.url}/nothing")
    rows = recorded(lake, 2)
    (row,) = [row for row in rows if row["path"] == "/events"]
    assert (row["response_status"], row["error_type"]) == (200, "ClientDisconnect")
    assert row["response_bytes"] >= len(b"data: 0\n\n") * 3
    shop.stop()
    assert len(lake.rows()) == 2


def test_a_call_is_durable_while_its_background_task_runs_for_minutes(
    lake: Lake, shop: Server
) -> None:
    assert httpx.get(f"{shop.url}/later").status_code == 200
    (row,) = recorded(lake, 1)
    assert (row["route"], row["response_status"]) == ("/later", 200)
    shop.process.kill()


def test_websockets_are_recorded_when_they_close(lake: Lake, shop: Server) -> None:
    url = shop.url.replace("http", "ws")
    with websocket.connect(f"{url}/echo/7") as connection:
        connection.send("hello")
        assert connection.recv() == "7: hello"
    (row,) = recorded(lake, 1)
    assert (row["method"], row["route"], row["response_status"]) == (
        "WEBSOCKET",
        "/echo/{room}",
        101,
    )
    assert (row["request_bytes"], row["response_bytes"]) == (5, 8)
    assert "error_type" not in row
    with pytest.raises(InvalidStatus):
        websocket.connect(f"{url}/closed")
    assert recorded(lake, 2)[1]["response_status"] == 403


def test_a_websocket_whose_socket_is_torn_is_a_client_disconnect(lake: Lake, shop: Server) -> None:
    with websocket.connect(f"{shop.url.replace('http', 'ws')}/echo/7") as connection:
        connection.send("hello")
        assert connection.recv() == "7: hello"
        connection.socket.shutdown(socket.SHUT_RDWR)
        (row,) = recorded(lake, 1)
    assert (row["response_status"], row["error_type"]) == (101, "ClientDisconnect")


def test_everything_is_durable_once_the_server_has_shut_down(lake: Lake, shop: Server) -> None:
    with httpx.Client(base_url=shop.url) as client:
        for n in range(200):
            client.get(f"/api/partners/{n}")
    shop.stop()
    assert len(lake.rows()) == 200


@pytest.mark.parametrize("options", [[], ["--http", "h11", "--loop", "asyncio"]])
def test_an_app_without_lifespan_is_served_and_recorded(
    lake: Lake, tmp_path: Path, options: list[str]
) -> None:
    with uvicorn("apps:plain", lake.process_env(), *options, folder=tmp_path) as server:
        pid = int(httpx.get(f"{server.url}/x", headers={"user-agent": "a"}).text)
        assert pid == server.process.pid
        printed = server.stop()
    assert "Error" not in printed
    assert settled(lake, 1).ok
    assert [row["path"] for row in lake.rows()] == ["/x"]


def test_without_a_lake_the_server_serves_as_ever(lake: Lake, tmp_path: Path) -> None:
    nowhere = tmp_path / "file"
    nowhere.write_text("")
    env = lake.process_env(LAKEWARD_LAKE_DIR=str(nowhere / "lake"))
    with uvicorn("apps:shop", env, folder=tmp_path) as server:
        assert httpx.get(f"{server.url}/api/partners/7").status_code == 200
        printed = server.stop()
    assert printed.count("nothing is collected") == 1
    assert "Traceback" not in printed


def test_four_workers_record_each_call_exactly_once(lake: Lake, tmp_path: Path) -> None:
    with uvicorn("apps:plain", lake.process_env(), workers=4, folder=tmp_path) as server:
        callers = Callers(server, threads=8, calls=75).start().wait()
        server.stop()
    report = settled(lake, 600)
    assert report.ok
    assert (report.sum["offered"], report.sum["delivered"]) == (600, 600)
    assert callers.failed == []
    assert len(lake.rows()) == 600
    assert_each_recorded_once(lake, callers)
    assert len({pid for _, pid in callers.answered}) > 1


def test_no_answered_call_is_lost_when_workers_are_killed_under_load(
    lake: Lake, tmp_path: Path
) -> None:
    env = lake.process_env(LAKEWARD_KEEPER_IDLE_SECONDS="30")
    with uvicorn("apps:plain", env, workers=4, folder=tmp_path) as server:
        callers = Callers(server, threads=8, calls=150).start()
        killed: set[int] = set()
        for _ in range(KILLS):
            callers.wait_for(60)
            victim = next(pid for _, pid in reversed(callers.answered) if alive(pid))
            os.kill(victim, signal.SIGKILL)
            killed.add(victim)
        callers.wait()
        server.stop()
        report = lake.settled()
    assert len(killed) == KILLS
    assert report.ok
    assert_each_recorded_once(lake, callers)


def test_a_call_is_kept_though_its_worker_is_killed_the_moment_its_answer_is_whole(
    lake: Lake, tmp_path: Path
) -> None:
    env = lake.process_env(LAKEWARD_KEEPER_IDLE_SECONDS="30")
    with uvicorn("apps:plain", env, workers=4, folder=tmp_path) as server:
        for n in range(SUDDEN_KILLS):
            with server.connect() as connection:
                connection.sendall(b"GET /call/%d HTTP/1.1\r\nHost: a\r\n\r\n" % n)
                answer = body = b""
                while not body:
                    answer += connection.recv(65536)
                    assert answer
                    body = answer.partition(b"\r\n\r\n")[2]
                os.kill(int(body), signal.SIGKILL)
        server.stop()
        assert lake.settled().ok
    paths = sorted(row["path"] for row in lake.rows())
    assert paths == [f"/call/{n}" for n in range(SUDDEN_KILLS)]


def test_gunicorn_workers_record_each_call_exactly_once(lake: Lake, tmp_path: Path) -> None:
    with gunicorn("apps:plain()", lake.process_env(), workers=2, folder=tmp_path) as server:
        callers = Callers(server, threads=4, calls=50).start().wait()
        server.stop()
    assert settled(lake, 200).ok
    assert callers.failed == []
    assert len(lake.rows()) == 200
    assert_each_recorded_once(lake, callers)
