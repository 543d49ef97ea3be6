"""An attacker at the door of `lakeward serve`: an answer with a reason, and nothing is harmed."""

from __future__ import annotations

import gzip
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import uvicorn

from apps import ok
from conftest import Lake, wait_until
from lakeward.capture.asgi import Receive, Scope, Send
from lakeward.server.connection import HEAD_BYTES, Connection
from lakeward.server.unread import Unread
from server_process import Serving, serving


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lake, Serving]]:
    ring_dir = Path("/dev/shm") / f"lw-test-{os.getpid()}-attacks"
    ring_dir.mkdir(mode=0o700, exist_ok=True)
    lake = Lake(tmp_path_factory.mktemp("attacks") / "data-lake", ring_dir)
    with serving(lake) as server:
        yield lake, server
    lake.close()


def said(port: int, *parts: bytes) -> bytes:
    """What a server says to raw bytes until it closes."""
    heard = b""
    with socket.create_connection(("127.0.0.1", port), timeout=120) as client:
        try:
            for part in parts:
                client.sendall(part)
            while got := client.recv(65536):
                heard += got
        except ConnectionError:
            pass  # it closed while we were still talking
    return heard


def outcome(raw: bytes) -> tuple[int, str]:
    """Status, and the code of a refusal."""
    head, _, body = raw.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    if status < 400:
        return status, ""
    assert b"content-type: application/json" in head
    content = json.loads(body)
    assert set(content) == {"code", "message"}
    return status, content["code"]


def post(body: bytes, *headers: bytes, path: bytes = b"/v1/interactions") -> bytes:
    lines = [b"POST %s HTTP/1.1" % path, b"host: localhost", b"connection: close",
             b"content-length: %d" % len(body), *headers]  # fmt: skip
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def get(target: bytes, *headers: bytes, host: bytes = b"localhost") -> bytes:
    lines = [b"GET %s HTTP/1.1" % target, b"host: " + host, b"connection: close", *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def event(inside: bytes) -> bytes:
    return b'{"interaction_type":"signed_up",%s}' % inside


BODIES = {
    "integer of half a million digits": (event(b'"n":' + b"9" * 500_000), 400),
    "number beyond a double": (event(b'"n":1e999'), 400),
    "NaN": (event(b'"n":NaN'), 400),
    "nested a hundred thousand deep": (event(b'"n":' + b"[" * 100_000), 400),
    "invalid UTF-8": (event(b'"n":"\xff\xfe"'), 400),
    "overlong UTF-8": (event(b'"n":"\xc0\xaf"'), 400),
    "surrogate in UTF-8": (event(b'"n":"\xed\xa0\x80"'), 400),
    "lone surrogate": (event(b'"n":"\\ud800"'), 400),
    "byte order mark": (b"\xef\xbb\xbf{}", 400),
    "UTF-16": ('{"interaction_type":"x"}'.encode("utf-16"), 400),
    "gzip in gzip": (gzip.compress(gzip.compress(b"{}")), 400),
    "gzip of two bytes": (b"\x1f\x8b", 400),
    "a million numbers": (b"[" + b",".join([b"1"] * 1_000_000) + b"]", 413),
    "nothing": (b"", 400),
    "null": (b"null", 400),
    "integer of 400 digits": (event(b'"n":' + b"9" * 400), 200),
    "nested 900 deep": (event(b'"n":' + b'{"a":' * 900 + b"1" + b"}" * 900), 200),
    "a hundred thousand names": (event(b",".join(b'"k%d":1' % n for n in range(100_000))), 200),
    "duplicate names": (event(b'"user_id":"a","user_id":"b","interaction_type":"x_y"'), 200),
    "null bytes": (event(b'"a\\u0000b":"\\u0000"'), 200),
    "line separators": (event(b'"a":"x\\ny\\u2028z"'), 200),
    "names of the language": (event(b'"__proto__":{},"__class__":1,"self":2,"fields":3'), 200),
    "an id that is a path": (event(b'"interaction_id":"../../etc/passwd"'), 200),
}


@pytest.mark.parametrize(("body", "status"), BODIES.values(), ids=BODIES)
def test_a_hostile_body_is_refused_or_one_record(
    shared: tuple[Lake, Serving], body: bytes, status: int
) -> None:
    lake, server = shared
    before = len(lake.rows())
    assert outcome(said(server.port, post(body)))[0] == status
    rows = lake.rows()
    assert len(rows) == before + (status == 200)
    (lake_file,) = lake.root.glob("raw/**/*.jsonl") if rows else (None,)
    if lake_file is not None:
        assert all(json.loads(line) for line in lake_file.read_bytes().split(b"\n")[:-1])


TIMES = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999-14:00", "2025-08-14T16:11:28.٣٣٣Z",
         "9999-99-99T99:99:99Z", 1e308, 10**18, True, {}, "\x00"]  # fmt: skip


@pytest.mark.parametrize("moment", TIMES, ids=str)
def test_a_time_that_is_none_is_named_as_the_reason(
    shared: tuple[Lake, Serving], moment: Any
) -> None:
    sent = json.dumps({"interaction_type": "signed_up", "timestamp": moment}).encode()
    raw = said(shared[1].port, post(sent))
    (refused,) = json.loads(raw.partition(b"\r\n\r\n")[2])["rejected"]
    assert "`timestamp` must be ISO 8601" in refused["reason"]


FRAMINGS = {
    "negative length": b"content-length: -1\r\n\r\n{}",
    "signed length": b"content-length: +2\r\n\r\n{}",
    "two lengths": b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}x",
    "length beyond 64 bits": b"content-length: 99999999999999999999999999\r\n\r\n{}",
    "length and chunks": b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks of no size": b"transfer-encoding: chunked\r\n\r\nZZ\r\nfoo\r\n",
    "unknown coding": b"transfer-encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "folded header": b"x: a\r\n b\r\nbroken\r\n\r\n",
    "null in a header": b"x: a\0b\r\n\r\n",
}


@pytest.mark.parametrize("rest", FRAMINGS.values(), ids=FRAMINGS)
def test_a_request_that_two_servers_could_read_differently_is_refused(
    shared: tuple[Lake, Serving], rest: bytes
) -> None:
    request = b"POST /v1/interactions HTTP/1.1\r\nhost: localhost\r\n" + rest
    assert outcome(said(shared[1].port, request)) == (400, "bad_request")


@pytest.mark.parametrize(
    "raw", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"CONNECT evil.example:443 HTTP/1.1\r\nhost: localhost\r\n\r\n", b"\0\0\0\0"],
    ids=["TLS", "HTTP/2", "CONNECT", "zeros"],
)  # fmt: skip
def test_another_protocol_is_refused(shared: tuple[Lake, Serving], raw: bytes) -> None:
    assert outcome(said(shared[1].port, raw)) == (400, "bad_request")


HOSTS = [
    b"evil.example",
    b"localhost@evil.example",
    b"localhost:evil.example",
    b"[::1]evil.example",
    b"localhost, evil.example",
    b"localhost.evil.example",
    b"",
    b"\xff",
    b"[::1",
    b"0.0.0.0",
]


@pytest.mark.parametrize("host", HOSTS, ids=repr)
def test_a_host_that_only_looks_like_this_machine_is_refused(
    shared: tuple[Lake, Serving], host: bytes
) -> None:
    assert outcome(said(shared[1].port, get(b"/v1/summary", host=host)))[0] == 421


@pytest.mark.parametrize("host", [b"localhost", b"LOCALHOST.:80", b"127.0.0.1:9", b"[::1]:8000"])
def test_a_host_that_is_this_machine_is_served(shared: tuple[Lake, Serving], host: bytes) -> None:
    assert outcome(said(shared[1].port, get(b"/v1/summary", host=host)))[0] == 200


def test_two_hosts_are_refused_whichever_comes_first(shared: tuple[Lake, Serving]) -> None:
    for first, second in ((b"evil.example", b"localhost"), (b"localhost", b"evil.example")):
        raw = said(shared[1].port, get(b"/v1/summary", b"host: " + second, host=first))
        assert outcome(raw)[0] in {400, 421}


ORIGINS = [b"null", b"", b"http://[::1", b"http://localhost.evil.example", b"http://\xff",
           b"http://localhost@evil.example", b"https://evil.example#localhost"]  # fmt: skip


@pytest.mark.parametrize("origin", ORIGINS, ids=repr)
def test_an_origin_that_is_not_this_machine_may_not_send(
    shared: tuple[Lake, Serving], origin: bytes
) -> None:
    raw = said(shared[1].port, post(event(b'"a":1'), b"origin: " + origin))
    assert outcome(raw) == (403, "foreign_origin")


PATHS = [
    b"/v1/../v1/summary",
    b"//v1/summary",
    b"/v1/summary/",
    b"/v1/summary;x",
    b"/V1/SUMMARY",
    b"/v1/summary%00",
    b"/v1/%2e%2e/metrics",
    b"/..",
    b"/v1/interactions/../../metrics",
]


@pytest.mark.parametrize("path", PATHS, ids=repr)
def test_a_path_is_what_it_is_and_nothing_else(shared: tuple[Lake, Serving], path: bytes) -> None:
    assert outcome(said(shared[1].port, get(path))) == (404, "not_found")


@pytest.mark.parametrize(
    "head", [b"x: " + b"a" * (4 * HEAD_BYTES), b"\r\n".join(b"x-%d: y" % n for n in range(40_000))],
    ids=["one long header", "many headers"],
)  # fmt: skip
def test_a_head_without_end_is_cut_off(shared: tuple[Lake, Serving], head: bytes) -> None:
    start = b"GET /health HTTP/1.1\r\nhost: localhost\r\n"
    pieces = [head[at : at + 16_384] for at in range(0, len(head), 16_384)]
    raw = said(shared[1].port, start, *pieces * 4)
    assert raw == b"" or outcome(raw) == (431, "head_too_large")  # a reset may swallow the answer
    assert outcome(said(shared[1].port, get(b"/health"))) == (200, "")


def test_a_worker_may_hold_as_many_connections_as_the_machine_allows(
    shared: tuple[Lake, Serving],
) -> None:
    (worker,) = shared[1].workers()
    limits = Path(f"/proc/{worker}/limits").read_text()
    (line,) = (line for line in limits.splitlines() if line.startswith("Max open files"))
    soft, hard = line.split()[3:5]
    assert soft == hard


def test_hundreds_of_clients_that_never_finish_a_head_keep_nobody_out(
    shared: tuple[Lake, Serving],
) -> None:
    port = shared[1].port
    with ExitStack() as open_ones:
        for _ in range(300):
            client = socket.create_connection(("127.0.0.1", port), timeout=120)
            open_ones.enter_context(client).sendall(
                b"POST /v1/interactions HTTP/1.1\r\nhost: x\r\nx"
            )
        assert outcome(said(port, post(event(b'"a":1')))) == (200, "")


def test_after_all_of_it_the_sum_holds_and_nothing_was_unforeseen(
    shared: tuple[Lake, Serving],
) -> None:
    lake, server = shared
    report = lake.audit()
    assert report.ok, report.faults
    assert report.sum["dropped"] == 0, report.reasons
    printed = server.output.read_text()
    assert "Traceback" not in printed
    assert "failed (" not in printed


class Impatient(Connection):
    idle_seconds = 2.0


BIG = 8 << 20


async def big(scope: Scope, receive: Receive, send: Send) -> None:
    """As many bytes as a large answer has, for `/big`; else "ok"."""
    if scope["path"] != "/big":
        await ok(scope, receive, send)
        return
    length = [(b"content-length", b"%d" % BIG)]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": bytes(BIG)})


@contextmanager
def connections(unread: Unread) -> Iterator[int]:
    """A server with little patience in a thread; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 << 10)
        connection = cast(type[Connection], partial(Impatient, unread=unread))
        config = uvicorn.Config(big, http=connection, lifespan="off", log_level="error",
                                ws="none", timeout_keep_alive=60)  # fmt: skip
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        wait_until(lambda: server.started)
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(120)


@pytest.fixture
def impatient() -> Iterator[int]:
    with connections(Unread(lambda reason: None)) as port:
        yield port


ASKED = b"GET /big HTTP/1.1\r\nhost: x\r\n\r\n"


def deaf(port: int, stack: ExitStack, times: int = 1) -> socket.socket:
    """A client that asks for much and reads nothing."""
    client = stack.enter_context(socket.socket())
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 10)
    client.settimeout(120)
    client.connect(("127.0.0.1", port))
    client.sendall(ASKED * times)
    return client


def is_cut(client: socket.socket) -> bool:
    """Whether its answer ends before it is whole."""
    got = 0
    with suppress(ConnectionError):
        while got < BIG and (part := client.recv(1 << 20)):
            got += len(part)
    return got < BIG


def test_an_answer_that_nobody_reads_is_cut_and_counted() -> None:
    """The time is short: what is still there after it is kept for ever, or read."""
    cut: list[str] = []
    with connections(Unread(cut.append, seconds=0.5)) as port, ExitStack() as stack:
        client = deaf(port, stack)
        wait_until(lambda: cut == ["slow"], what="the cut")
        assert is_cut(client)


def test_unread_answers_of_many_take_no_more_than_there_is_room_for() -> None:
    cut: list[str] = []
    with connections(Unread(cut.append, most=4 * BIG)) as port, ExitStack() as stack:
        clients = [deaf(port, stack) for _ in range(12)]
        wait_until(lambda: len(cut) == 8, what="eight cuts")
        assert outcome(said(port, get(b"/health"))) == (200, "")
        assert set(cut) == {"full"}
        assert [is_cut(client) for client in clients].count(False) == 4
        assert len(cut) == 8


def test_a_request_begins_when_the_answer_before_it_was_read() -> None:
    """Or else one connection holds any number of them."""
    unread = Unread(lambda reason: None)
    with connections(unread) as port, ExitStack() as stack:
        client = deaf(port, stack, 5)
        wait_until(lambda: unread._waits, what="the first answer")
        client.sendall(ASKED * 5)
        [wait] = unread._waits
        assert wait.get_write_buffer_size() <= BIG + 1000
        got, whole = 0, 10 * BIG
        while got < whole and (part := client.recv(1 << 20)):
            got += len(part)
        assert got >= whole


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: x\r\nx: ",
             b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5000000\r\n\r\nx"],
    ids=["nothing", "half a line", "half a head", "an answered request whose body never ends"],
)  # fmt: skip
def test_a_connection_that_only_waits_is_closed(impatient: int, sent: bytes) -> None:
    heard = said(impatient, sent)  # returns once the server closes
    assert heard == b"" or heard.endswith(b"ok")


def test_a_connection_that_goes_on_asking_is_kept(impatient: int) -> None:
    with socket.create_connection(("127.0.0.1", impatient), timeout=120) as client:
        answered = 0
        for _ in range(6):
            client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            answered += client.recv(65536).count(b"HTTP/1.1 200")
            threading.Event().wait(0.4)  # in sum longer than it waits for one
    assert answered == 6
