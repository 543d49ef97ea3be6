"""`lakeward serve`: interactions over HTTP, durable before the answer."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from conftest import Lake, alive, attachment_of, wait_until
from intakes import ingest_of, sender, take
from lakeward.server.answer import Refusal
from server_process import Serving, serving
from test_online import CHROME

PATH = "/v1/interactions"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lake, Serving]]:
    """One server for the tests that only ask."""
    folder = tmp_path_factory.mktemp("server")
    ring_dir = Path("/dev/shm") / f"lw-test-{os.getpid()}-server"
    ring_dir.mkdir(mode=0o700, exist_ok=True)
    lake = Lake(folder / "data-lake", ring_dir)
    with serving(lake) as server:
        yield lake, server
    lake.close()


@pytest.fixture
def client(shared: tuple[Lake, Serving]) -> Iterator[httpx.Client]:
    with shared[1].client() as client:
        yield client


@pytest.fixture
def there(shared: tuple[Lake, Serving]) -> Lake:
    return shared[0]


def event(n: int, **more: Any) -> dict[str, Any]:
    return {"interaction_type": "signed_up", "user_id": f"u-{n}", "plan": "gold", **more}


def refusal(answer: httpx.Response) -> tuple[int, str]:
    content = answer.json()
    assert set(content) == {"code", "message"}, content
    assert content["message"].endswith("."), content
    return answer.status_code, content["code"]


@pytest.mark.parametrize(
    ("body", "count"),
    [(event(1), 1), ([event(2), event(3)], 2), ({"batch": [event(4), event(5)]}, 2), ([], 0)],
    ids=["one", "list", "batch", "empty list"],
)
def test_what_was_answered_with_200_is_in_the_lake(
    client: httpx.Client, there: Lake, body: Any, count: int
) -> None:
    before = len(there.rows()) if there.root.exists() else 0
    answer = client.post(PATH, json=body)
    assert (answer.status_code, answer.json()) == (200, {"accepted": count, "rejected": []})
    assert len(there.rows()) == before + count


def test_a_record_has_the_servers_address_and_time_and_the_clients_own_fields(
    client: httpx.Client, there: Lake
) -> None:
    sent = event(
        7, timestamp="2025-08-14T16:11:28.677Z", received_at="1999-01-01T00:00:00.000Z",
        ip_address="203.0.113.9", service="forged", token="s3cr3t-value-of-a-token",
    )  # fmt: skip
    assert client.post(PATH, json=sent, headers={"user-agent": CHROME}).status_code == 200
    row = there.rows()[-1]
    assert row["timestamp"] == "2025-08-14T16:11:28.677Z"
    assert row["received_at"] > "2026"
    assert (row["ip_address"], row["user_agent"]) == ("127.0.0.1", CHROME)
    assert "service" not in row
    assert row["properties"] == {"plan": "gold", "token": "[REDACTED]"}


@pytest.mark.parametrize(
    ("agent", "kept"),
    [
        ("curl/8.8.0", False),
        ("python-requests/2.32.3", False),
        ("Apache-HttpClient/4.5.14 (Java/17.0.9)", False),
        ("Dart/3.5 (dart:io)", False),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", True),
        ("Shop/3.1 (iPhone; iOS 17.2)", True),
        ("Shop/3 CFNetwork/1490.0.4 Darwin/23.2.0", True),
    ],
)
def test_the_agent_of_who_sends_is_the_visitors_where_it_tells_of_a_device(
    client: httpx.Client, there: Lake, agent: str, kept: bool
) -> None:
    assert client.post(PATH, json=event(7), headers={"user-agent": agent}).status_code == 200
    assert there.rows()[-1].get("user_agent") == (agent if kept else None)
    told = event(7) | {"user_agent": "okhttp/4.12"}  # of somebody who is known to be a program
    assert client.post(PATH, json=told, headers={"user-agent": agent}).status_code == 200
    assert there.rows()[-1]["user_agent"] == "okhttp/4.12"


def test_gzip_is_told_by_its_first_bytes(client: httpx.Client, there: Lake) -> None:
    content = gzip.compress(json.dumps([event(8)] * 3).encode())
    before = len(there.rows())
    answer = client.post(PATH, content=content, headers={"content-type": "text/plain"})
    assert answer.json() == {"accepted": 3, "rejected": []}
    assert len(there.rows()) == before + 3


def test_what_a_type_refuses_is_listed_and_set_aside_and_the_rest_is_kept(
    client: httpx.Client, there: Lake
) -> None:
    before, aside = len(there.rows()), len(there.quarantined())
    wrong = [
        event(1),
        {"interaction_type": "partner_match", "score": "high", "password": "hunter2-secret"},
        "text", {"user_id": "x"}, {"interaction_type": "Not A Name"}, {"interaction_type": 7},
        event(2),
    ]  # fmt: skip
    answer = client.post(PATH, json=wrong).json()
    assert answer["accepted"] == 2
    assert [entry["index"] for entry in answer["rejected"]] == [1, 2, 3, 4, 5]
    assert all(entry["reason"] for entry in answer["rejected"])
    assert len(there.rows()) == before + 2
    entries = there.quarantined()[aside:]
    assert len(entries) == 5
    assert "hunter2" not in json.dumps(entries)
    assert {"reason", "record", "quarantined_at"} <= set(entries[0])


def test_what_a_sender_cannot_set_does_not_get_into_the_quarantine(
    client: httpx.Client, there: Lake
) -> None:
    """A replay would bring it into the lake."""
    mine = {"ip_address": "192.0.2.1", "service": "shop", "received_at": "2001-01-01T00:00:00Z"}
    client.post(PATH, json=[{"interaction_type": "partner_match", "score": "high", **mine}])
    assert there.quarantined()[-1]["record"] == {
        "interaction_type": "partner_match",
        "score": "high",
    }


def test_a_body_that_is_no_json_leaves_its_length_and_hash_only(
    client: httpx.Client, there: Lake
) -> None:
    aside = len(there.quarantined())
    assert refusal(client.post(PATH, content=b"\xff\x00secret{")) == (400, "bad_json")
    wait_until(lambda: len(there.quarantined()) == aside + 1)
    entry = there.quarantined()[-1]
    assert (entry["reason"], entry["bytes"]) == ("undecodable", 9)
    assert "secret" not in json.dumps(entry)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"batch": 7}', (400, "bad_batch")),
        (b"7", (400, "bad_batch")),
        (b"[" * 100_000, (400, "bad_json")),
        (b"\x1f\x8bnonsense", (400, "bad_gzip")),
        (gzip.compress(b"[]")[:-4], (400, "bad_gzip")),
        (gzip.compress(b" " * (64 << 20)), (413, "too_large")),
        (b" " * (5 << 20), (413, "too_large")),
        (json.dumps([event(1)] * 2501).encode(), (413, "too_many")),
    ],
    ids=["batch of 7", "seven", "deep", "no gzip", "cut gzip", "bomb", "large", "many"],
)
def test_a_bad_body_is_refused_with_a_code_and_a_sentence(
    client: httpx.Client, content: bytes, expected: tuple[int, str]
) -> None:
    assert refusal(client.post(PATH, content=content)) == expected


def test_an_interaction_over_the_limit_is_rejected_alone(client: httpx.Client) -> None:
    big = event(1, notes=[["x" * 1000] * 20, ["y" * 1000] * 20])
    answer = client.post(PATH, json=[event(1), big]).json()
    assert answer["accepted"] == 1
    assert answer["rejected"] == [
        {"index": 1, "reason": "The interaction is larger than 32768 bytes."}
    ]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [("GET", PATH, (405, "wrong_method")), ("POST", "/health", (405, "wrong_method")),
     ("GET", "/etc/passwd", (404, "not_found")), ("GET", "/v1/summary?date=x", (400, "bad_date"))],
)  # fmt: skip
def test_other_paths_and_methods_are_refused(
    client: httpx.Client, method: str, path: str, expected: tuple[int, str]
) -> None:
    assert refusal(client.request(method, path)) == expected


def test_a_name_that_was_pointed_here_is_refused(client: httpx.Client) -> None:
    for host in ("evil.example", "evil.example:8000", "127.0.0.1.evil.example", ""):
        answer = client.get("/health", headers={"host": host})
        assert refusal(answer) == (421, "unknown_host"), host
    for host in ("localhost", "localhost:1", "[::1]:80", "127.0.0.1"):
        assert client.get("/health", headers={"host": host}).status_code == 200, host


def test_a_foreign_page_neither_reads_nor_writes_without_a_key(client: httpx.Client) -> None:
    foreign = {"origin": "https://evil.example"}
    for path in ("/metrics", "/v1/summary", "/v1/live/hour"):
        assert refusal(client.get(path, headers=foreign)) == (403, "foreign_origin")
        cross = {"sec-fetch-site": "cross-site"}
        assert refusal(client.get(path, headers=cross)) == (403, "foreign_origin")
        here = {"origin": "http://localhost:3000"}
        assert refusal(client.get(path, headers=here)) == (403, "foreign_origin")
        own = {"origin": str(client.base_url)}
        assert client.get(path, headers=own).status_code == 200
    assert refusal(client.post(PATH, json=event(1), headers=foreign)) == (403, "foreign_origin")
    assert refusal(client.post(PATH, json=event(1), headers={"origin": "null"})) == (
        403, "foreign_origin",
    )  # fmt: skip


def test_a_page_of_this_machine_may_send_and_read_its_answer(client: httpx.Client) -> None:
    origin = {"origin": "http://localhost:3000"}
    wish = {"access-control-request-method": "POST",
            "access-control-request-headers": "content-type"}  # fmt: skip
    asked = client.options(PATH, headers=origin | wish)
    assert asked.status_code == 204
    assert asked.headers["access-control-allow-headers"] == "content-type"
    answer = client.post(PATH, json=event(1), headers=origin)
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert "access-control-allow-origin" not in client.options("/metrics", headers=origin).headers


def test_health_is_ok_and_tells_nothing_else(client: httpx.Client) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    assert client.head("/health").status_code == 200


def figures(client: httpx.Client) -> dict[str, float]:
    """Prometheus text, checked line by line."""
    found: dict[str, float] = {}
    for line in client.get("/metrics").text.splitlines():
        if not line.startswith("#"):
            row = re.fullmatch(r"([a-z_]+(?:\{[a-z]+=\"[^\"]*\"\})?) ([-+.0-9e]+)", line)
            assert row, line
            found[row[1]] = float(row[2])
    return found


def test_the_metrics_hold_the_ledgers_sum_and_what_came_over_http(
    client: httpx.Client, there: Lake
) -> None:
    before = figures(client)
    client.post(PATH, json=[event(1), event(2), {"interaction_type": "!"}])
    after = figures(client)
    grown = {
        'lakeward_ingested_total{outcome="accepted"}': 2,
        'lakeward_ingested_total{outcome="rejected"}': 1,
        "lakeward_commit_seconds_count": 1,
    }
    assert {name: after[name] - before[name] for name in grown} == grown
    expected = there.audit().sum

    def told() -> dict[str, float]:
        pattern = re.compile(r'lakeward_interactions_total{outcome="(.*)"}')
        rows = [(pattern.fullmatch(name), n) for name, n in figures(client).items()]
        return {row[1]: n for row, n in rows if row}

    # A look at the lake's files is at most a second old.
    wait_until(lambda: told() == expected, what="the ledger's sum in the metrics")
    assert figures(client)["lakeward_ledger_ok"] == 1
    places = sum(n for name, n in expected.items() if name not in {"offered", "found"})
    assert places == expected["offered"] > 0


def test_answers_carry_the_headers_that_keep_browsers_from_guessing(client: httpx.Client) -> None:
    for answer in (client.get("/health"), client.get("/nothing"), client.post(PATH, content=b"x")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "server" not in answer.headers


def test_a_client_that_leaves_in_the_middle_of_its_body_leaves_nothing(
    there: Lake, shared: tuple[Lake, Serving]
) -> None:
    before = len(there.rows())
    with socket.create_connection(("127.0.0.1", shared[1].port)) as connection:
        connection.sendall(b"POST /v1/interactions HTTP/1.1\r\nHost: localhost\r\n"
                           b"Content-Length: 1000\r\n\r\n{\"interaction_type\"")  # fmt: skip
    with shared[1].client() as client:
        assert client.post(PATH, json=event(1)).status_code == 200
    assert len(there.rows()) == before + 1


# The commit


def test_a_batch_that_does_not_fit_the_ring_is_refused_whole(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="external", LAKEWARD_RING_BYTES="256KiB",
                               LAKEWARD_RING_LANES="2", LAKEWARD_FRAME_BYTES="64KiB")  # fmt: skip
    ingest = ingest_of(collector, commit_seconds=0.01)
    codes: list[str] = []
    while "no_room" not in codes and len(codes) < 50:
        with pytest.raises(Refusal) as refused:
            take(ingest, *[event(n, note="x" * 500) for n in range(50)])
        codes.append(refused.value.code)
    assert codes == ["not_durable"] * (len(codes) - 1) + ["no_room"]
    assert refused.value.status == 503
    stats = collector.stats()
    assert stats["accepted"] % 50 == 0
    assert stats["reasons"] == {"full": 50}
    assert stats["offered"] == stats["accepted"] + 50


def test_a_batch_is_refused_when_nobody_makes_it_durable(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="external")
    ingest = ingest_of(collector, commit_seconds=0.05)
    with pytest.raises(Refusal) as refused:
        take(ingest, event(1))
    assert (refused.value.status, refused.value.code) == (503, "not_durable")
    assert refused.value.retry_after > 0


def test_more_requests_than_may_wait_are_told_to_come_again(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="external")
    ingest = ingest_of(collector, waiting=3, commit_seconds=1)

    async def crowd() -> list[Any]:
        body = json.dumps(event(1)).encode()
        tasks = [ingest.take(ingest.decoded(body), sender()) for _ in range(5)]
        return await asyncio.gather(*tasks, return_exceptions=True)

    statuses = [getattr(answer, "status", 0) for answer in asyncio.run(crowd())]
    assert statuses == [503, 503, 503, 429, 429]


def test_health_says_when_nothing_is_made_durable(lake: Lake) -> None:
    with serving(lake) as server, server.client() as client:
        server.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: client.get("/health").status_code == 503, what="bad health")
        assert client.get("/health").json()["status"] == "no_keeper"
        server.process.send_signal(signal.SIGCONT)
        wait_until(lambda: client.get("/health").status_code == 200, what="good health")


# Life and death


class Load:
    """Sends batches in a thread until told to stop; remembers what was acknowledged."""

    def __init__(self, server: Serving) -> None:
        self._server = server
        self.told: list[str] = []
        self.sent = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(120)

    def has_told(self, count: int) -> bool:
        """Whether so many were acknowledged."""
        return len(self.told) > count

    def _run(self) -> None:
        while not self._stop.is_set():
            names = [f"n-{self.sent}-{k}" for k in range(20)]
            self.sent += 1
            try:
                answer = httpx.post(self._server.url + PATH, verify=False, timeout=120,
                                    json=[event(0, name=name) for name in names])  # fmt: skip
            except httpx.TransportError:
                if self._server.process.poll() is not None:
                    return
                continue
            if answer.status_code == 200:
                self.told += names


def names(lake: Lake) -> list[str]:
    return [row["properties"]["name"] for row in lake.rows() if "name" in row.get("properties", {})]


@pytest.mark.parametrize("workers", ["1", "3"])
def test_sigterm_under_load_ends_all_and_loses_nothing_acknowledged(
    lake: Lake, workers: str
) -> None:
    with serving(lake, "--workers", workers) as server, Load(server) as load:
        wait_until(lambda: len(load.told) > 400, what="some load")
        pids = server.workers()
        assert len(pids) == int(workers)
        assert server.stop() == 0
    assert not any(alive(pid) for pid in pids)
    found = names(lake)
    assert set(load.told) <= set(found)
    assert len(found) == len(set(found))
    assert lake.audit().ok
    assert not list(lake.ring_dir.glob("*.ring"))


def test_a_killed_worker_is_started_again_and_loses_nothing_acknowledged(lake: Lake) -> None:
    with serving(lake, "--workers", "2") as server:
        with Load(server) as load:
            for n in range(3):
                wait_until(partial(load.has_told, (n + 1) * 200), what="some load")
                os.kill(server.workers()[0], signal.SIGKILL)
        wait_until(lambda: len(server.workers()) == 2, what="two workers")
        with server.client() as client:
            assert client.get("/health").status_code == 200
    found = names(lake)
    assert set(load.told) <= set(found)
    assert len(found) == len(set(found))
    assert lake.audit().ok


def test_workers_end_when_their_supervisor_is_killed_and_the_next_server_has_all(
    lake: Lake,
) -> None:
    with serving(lake) as server:
        with Load(server) as load:
            wait_until(lambda: len(load.told) > 200, what="some load")
            pids = server.workers()
            server.process.kill()
        wait_until(lambda: not any(alive(pid) for pid in pids), what="the workers' end")
    with serving(lake):
        wait_until(lambda: lake.audit().sum["waiting"] == 0, what="the drain")
    assert set(load.told) <= set(names(lake))
    assert lake.audit().ok


def run(lake: Lake, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lakeward.cli", *arguments]
    return subprocess.run(
        command, env=lake.process_env(), capture_output=True, text=True, timeout=120,
        cwd=lake.root.parent,
    )  # fmt: skip


def test_an_address_that_others_reach_is_refused_without_a_key(lake: Lake) -> None:
    for host in ("0.0.0.0", "::"):
        done = run(lake, "serve", "--host", host, "--port", "0")
        assert done.returncode == 2
        assert "lakeward keys create" in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_one_sentence(lake: Lake) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run(lake, "serve", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "cannot listen on 127.0.0.1" in done.stderr
    for wrong in ("x", "-1", "70000"):
        assert run(lake, "serve", "--port", wrong).returncode == 2


def test_a_lake_has_one_server(lake: Lake) -> None:
    with serving(lake):
        done = run(lake, "serve", "--port", "0")
        assert done.returncode == 2
        assert "another keeper holds" in done.stderr


def test_a_servers_lake_takes_other_apps_records_too(lake: Lake) -> None:
    with serving(lake):
        collector = lake.collector(LAKEWARD_KEEPER="external")
        collector.record("signed_up", user_id="u")
        collector.commit()
        assert len(lake.rows()) == 1


def test_a_killed_workers_batch_in_flight_is_told_from_damage(lake: Lake) -> None:
    pid = os.fork()
    if pid == 0:
        collector = lake.collector(LAKEWARD_KEEPER="external")
        collector.record("signed_up")
        ring = attachment_of(collector).ring

        def die(*_: object) -> int:
            os.kill(os.getpid(), signal.SIGKILL)
            return 0

        ring._crc = die
        collector.put_batch([b"{}"] * 40)
        os._exit(1)
    os.waitpid(pid, 0)
    with serving(lake):
        report = lake.settled()
    assert report.ok, report.faults
    assert (report.sum["offered"], report.reasons) == (41, {"interrupted": 40})


def test_the_interface_is_described_and_every_path_of_it_exists(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    for path, methods in document["paths"].items():
        for method in methods:
            asked = client.build_request(method.upper(), path.replace("{verb}", "ack"))
            if path != "/v1/live":
                answer = client.send(asked)
                assert answer.status_code != 405, path
                assert '"not_found"' not in answer.text, path


def test_a_zip_bomb_costs_no_memory(shared: tuple[Lake, Serving]) -> None:
    pid = shared[1].workers()[0]

    def resident() -> int:
        status = Path(f"/proc/{pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1])  # type: ignore[index]  # it is there

    before = resident()
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    content = b"".join([*(bomb.compress(bytes(1 << 20)) for _ in range(400)), bomb.flush()])
    with shared[1].client() as client:
        assert refusal(client.post(PATH, content=content)) == (413, "too_large")
    assert resident() - before < 60_000
