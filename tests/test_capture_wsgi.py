"""What the WSGI middleware promises beyond the contract: the protocol, whole, and every end."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps import Stage
from conftest import Lake
from lakeward import trace
from lakeward.capture.body import BodyRule
from lakeward.capture.wsgi import LakewardMiddleware, WsgiApp
from lakeward.errors import Terminal
from sites import Asked, Rules, environ_of, plain_wsgi, wsgi_ask

Start = Callable[..., Any]
ROOT = Asked("/")


@pytest.fixture
def stage(lake: Lake) -> Stage:
    return Stage(lake)


def wrapped(stage: Stage, app: WsgiApp, **rules: Any) -> LakewardMiddleware:
    return LakewardMiddleware(app, stage.collector, **rules)


def answering(
    parts: Callable[[], Iterable[bytes]], status: str = "200 OK", **headers: str
) -> WsgiApp:
    """An application that answers everything with these parts."""
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]

    def app(environ: Any, start_response: Start) -> Iterable[bytes]:
        start_response(status, named)
        return parts()

    return app


def quietly(*_: object) -> Any:
    """A server's `start_response` that nobody looks at."""
    return lambda data: None


# The protocol


@pytest.mark.parametrize(
    "target", ["/", "/api/partners/7", "/stream", "/nothing", "/empty", "/moved", "/nobody"]
)
def test_neither_server_nor_application_can_find_fault_with_the_middleware(
    stage: Stage, target: str
) -> None:
    site = plain_wsgi(Rules(stage.collector), around=validator)
    site(Asked(target))
    assert stage.row()["path"] == target


def test_a_list_is_handed_to_the_server_as_it_is(stage: Stage) -> None:
    parts = [b"one", b"two"]
    app = wrapped(stage, answering(lambda: parts))
    assert app(environ_of(ROOT), quietly) is parts
    row = stage.row()
    assert (row["response_bytes"], row["ttfb_ms"]) == (6, row["response_time_ms"])


def test_what_is_written_in_the_old_manner_is_counted(stage: Stage) -> None:
    def app(environ: Any, start_response: Start) -> Iterable[bytes]:
        write = start_response("200 OK", [])
        write(b"old ")
        write(b"")
        return [b"manner"]

    assert wsgi_ask(wrapped(stage, app), ROOT).body == b"old manner"
    assert stage.row()["response_bytes"] == 10


def test_an_answer_given_up_for_an_error_page_is_recorded_with_the_error(stage: Stage) -> None:
    def app(environ: Any, start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", [("content-length", "2")])
        try:
            raise LookupError("password=hunter2secret")
        except LookupError:
            start_response("500 Oh", [("content-length", "5")], sys.exc_info())
        return iter([b"so", b"rry"])

    answered = wsgi_ask(wrapped(stage, app), ROOT)
    assert (answered.status, answered.body) == (500, b"sorry")
    row = stage.row()
    assert (row["response_status"], row["error_type"]) == (500, "LookupError")
    assert row["response_bytes"] == 5
    assert b"hunter2secret" not in stage.stored()


def test_an_error_page_that_comes_too_late_is_the_servers_to_refuse(stage: Stage) -> None:
    def app(environ: Any, start_response: Start) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"half"
        try:
            raise LookupError
        except LookupError:
            start_response("500 Oh", [], sys.exc_info())

    def refuses(status: str, headers: Any, exc_info: Any = None) -> Any:
        if exc_info:
            raise exc_info[1].with_traceback(exc_info[2])
        return quietly()

    parts = iter(wrapped(stage, app)(environ_of(ROOT), refuses))
    assert next(parts) == b"half"
    with pytest.raises(LookupError):
        next(parts)
    row = stage.row()
    assert (row["response_status"], row["error_type"]) == (200, "LookupError")


def test_a_status_that_says_its_exception_is_no_error_and_a_plain_503_is_none(
    stage: Stage,
) -> None:
    class Unavailable(Exception):
        code = 503

    def app(environ: Any, start_response: Start) -> Iterable[bytes]:
        try:
            raise Unavailable
        except Unavailable:
            start_response("503 Busy", [])
        return [b"busy"]

    try:
        raise RuntimeError("a server may call in an except block")
    except RuntimeError:
        wsgi_ask(wrapped(stage, app), ROOT)
        wsgi_ask(wrapped(stage, answering(lambda: [b"busy"], "503 Busy")), ROOT)
    assert [row.get("error_type") for row in stage.rows()] == [None, None]


def test_an_app_that_starts_no_response_is_recorded_as_such(stage: Stage) -> None:
    wsgi_ask(wrapped(stage, lambda environ, start_response: []), ROOT)
    row = stage.row()
    assert (row["response_status"], row["error_type"]) == (500, "NoResponse")


@pytest.mark.parametrize("value", ["-1", "abc", "9" * 30, ""])
def test_a_strange_content_length_costs_nothing(stage: Stage, value: str) -> None:
    wsgi_ask(wrapped(stage, answering(lambda: iter([b"ok"]), content_length=value)), ROOT)
    assert stage.row()["response_bytes"] == 2


@pytest.mark.parametrize("status", ["", "OK"])
def test_a_status_that_is_none_costs_no_more_than_the_record(stage: Stage, status: str) -> None:
    app = wrapped(stage, answering(lambda: iter([b"ok"]), status))
    assert list(app(environ_of(ROOT), quietly)) == [b"ok"]
    assert stage.reasons() == {"unencodable": 1}


# In the ring before the last byte


def accepted_at_each_part(stage: Stage, app: WsgiApp, **more: Any) -> list[int]:
    parts = wrapped(stage, app)(environ_of(ROOT, **more), quietly)
    return [stage.collector.stats()["accepted"] for _ in parts]


def test_the_call_is_in_the_ring_before_the_last_part_where_its_length_is_announced(
    stage: Stage,
) -> None:
    app = answering(lambda: iter([b"one", b"two", b"x"]), content_length="7")
    assert accepted_at_each_part(stage, app) == [0, 0, 1]
    row = stage.row()
    assert (row["response_bytes"], row.get("error_type")) == (7, None)


def test_the_call_is_in_the_ring_before_a_list_goes_to_the_server(stage: Stage) -> None:
    assert accepted_at_each_part(stage, answering(lambda: (b"one", b"two"))) == [1, 1]


def test_the_call_is_in_the_ring_before_the_last_written_part(stage: Stage) -> None:
    seen: list[int] = []

    def app(environ: Any, start_response: Start) -> Iterable[bytes]:
        write = start_response("200 OK", [("Content-Length", "4")])
        write(b"ab")
        write(b"cd")
        return iter(())

    def server(status: str, headers: Any) -> Any:
        return lambda data: seen.append(stage.collector.stats()["accepted"])

    list(wrapped(stage, app)(environ_of(ROOT), server))
    assert seen == [0, 1]


def test_a_stream_of_unknown_length_is_in_the_ring_when_it_ends(stage: Stage) -> None:
    assert accepted_at_each_part(stage, answering(lambda: iter([b"a", b"b"]))) == [0, 0]
    assert stage.row()["response_bytes"] == 2


def test_a_length_of_nothing_is_reached_at_once(stage: Stage) -> None:
    wrapped(stage, answering(lambda: iter(()), content_length="0"))(environ_of(ROOT), quietly)
    row = stage.row()
    assert (row["response_bytes"], row.get("error_type")) == (0, None)


# How it can end


def test_a_server_that_closes_before_the_end_has_lost_its_client(stage: Stage) -> None:
    closed: list[str] = []

    def endless() -> Iterator[bytes]:
        try:
            while True:
                yield b"more"
        finally:
            closed.append("by the server")

    parts: Any = wrapped(stage, answering(endless))(environ_of(ROOT), quietly)
    assert [next(parts), next(parts)] == [b"more", b"more"]
    parts.close()
    assert closed == ["by the server"]
    row = stage.row()
    assert (row["response_status"], row["error_type"]) == (200, "ClientDisconnect")
    assert row["response_bytes"] == 8
    parts.close()
    assert len(stage.rows()) == 1


def test_a_server_that_throws_the_answer_away_leaves_a_record_too(stage: Stage) -> None:
    parts = wrapped(stage, answering(lambda: iter([b"never read"])))(environ_of(ROOT), quietly)
    del parts
    assert stage.row()["error_type"] == "ClientDisconnect"


@pytest.mark.parametrize(("method", "status"), [("HEAD", "200 OK"), ("GET", "304 Same")])
def test_an_answer_without_a_body_may_be_closed_unread(
    stage: Stage, method: str, status: str
) -> None:
    app = wrapped(stage, answering(lambda: iter([b"body"]), status))
    parts: Any = app(environ_of(Asked("/", method)), quietly)
    parts.close()
    assert "error_type" not in stage.row()


def test_an_exception_before_the_answer_is_named_and_raised_on(stage: Stage) -> None:
    def app(environ: Any, start_response: Start) -> Iterable[bytes]:
        raise LookupError("password=hunter2secret")

    assert isinstance(wsgi_ask(wrapped(stage, app), ROOT).raised, LookupError)
    row = stage.row()
    assert (row["response_status"], row["error_type"]) == (500, "LookupError")
    assert b"hunter2secret" not in stage.stored()


def test_a_worker_told_to_leave_names_that_and_no_status(stage: Stage) -> None:
    def app(environ: Any, start_response: Start) -> Iterable[bytes]:
        raise SystemExit(1)

    with pytest.raises(SystemExit):
        wrapped(stage, app)(environ_of(ROOT), quietly)
    row = stage.row()
    assert (row["response_status"], row["error_type"]) == (None, "SystemExit")


def test_what_fails_after_the_last_byte_is_a_job_of_its_own(stage: Stage) -> None:
    class Parts(list[bytes]):
        def close(self) -> None:
            raise OSError("of no concern")

    app = wrapped(stage, answering(lambda: Parts([b"ok"]), content_length="2"))
    parts: Any = app(environ_of(ROOT), quietly)
    assert list(parts) == [b"ok"]
    with pytest.raises(OSError, match="concern"):
        parts.close()
    call, job = stage.rows()
    assert "error_type" not in call
    assert (job["interaction_type"], job["error_type"]) == ("job_run", "OSError")
    assert job["parent_interaction_id"] == call["interaction_id"]


# Files


class Sender:
    """A server that recognises its own file wrapper, as gunicorn and mod_wsgi do."""

    def __init__(self, app: WsgiApp, wrapper: Any) -> None:
        self.environ = environ_of(ROOT, **{"wsgi.file_wrapper": wrapper})
        self.answer: Any = app(self.environ, quietly)
        self.recognised = isinstance(self.answer, wrapper)


def sending(path: Path, **headers: str) -> WsgiApp:
    def app(environ: Any, start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", list(headers.items()))
        wrapped_file: Iterable[bytes] = environ["wsgi.file_wrapper"](path.open("rb"))
        return wrapped_file

    return app


def test_the_servers_own_file_wrapper_comes_back_to_it_and_is_recorded_when_closed(
    stage: Stage, tmp_path: Path
) -> None:
    (path := tmp_path / "film").write_bytes(b"x" * 500)
    server = Sender(wrapped(stage, sending(path, **{"Content-Length": "500"})), FileWrapper)
    assert server.recognised
    assert stage.collector.stats()["accepted"] == 0
    server.answer.close()
    assert server.answer.filelike.closed
    row = stage.row()
    assert (row["response_bytes"], row.get("error_type")) == (500, None)


def test_a_client_that_leaves_during_a_file_is_named_when_the_server_closes_it(
    stage: Stage, tmp_path: Path
) -> None:
    (path := tmp_path / "film").write_bytes(b"x")
    server = Sender(wrapped(stage, sending(path)), FileWrapper)
    try:
        raise BrokenPipeError
    except BrokenPipeError:
        server.answer.close()
    row = stage.row()
    assert row["error_type"] == "ClientDisconnect"
    assert "response_bytes" not in row


def test_a_file_wrapper_that_cannot_be_watched_is_recorded_when_it_is_handed_over(
    stage: Stage, tmp_path: Path
) -> None:
    class Sealed:
        __slots__ = ("filelike",)

        def __init__(self, filelike: Any) -> None:
            self.filelike = filelike

        def close(self) -> None:
            self.filelike.close()

    (path := tmp_path / "film").write_bytes(b"x")
    server = Sender(wrapped(stage, sending(path)), Sealed)
    assert server.recognised
    assert stage.collector.stats()["accepted"] == 1
    server.answer.close()
    assert len(stage.rows()) == 1


# The request


def test_a_body_of_unknown_length_is_counted_as_it_is_read(stage: Stage) -> None:
    def app(environ: Any, start_response: Start) -> Iterable[bytes]:
        stream = environ["wsgi.input"]
        lines = [stream.readline(), *stream.readlines(1), stream.read(2), *stream]
        assert b"".join(lines) == b"one\ntwo\nthree\nfour\n"
        start_response("200 OK", [])
        return []

    asked = environ_of(ROOT, HTTP_TRANSFER_ENCODING="chunked", REQUEST_METHOD="POST")
    asked["wsgi.input"].write(b"one\ntwo\nthree\nfour\n")
    asked["wsgi.input"].seek(0)
    list(wrapped(stage, app)(asked, quietly))
    assert stage.row()["request_bytes"] == 19


def test_a_stream_of_the_server_keeps_what_it_can_do(stage: Stage) -> None:
    seen: list[Any] = []

    def app(environ: Any, start_response: Start) -> Iterable[bytes]:
        stream = environ["wsgi.input"]
        buffer = bytearray(2)
        seen.extend([stream.readable(), stream.readinto(buffer), bytes(buffer), stream.read1(9)])
        seen.append(hasattr(stream, "recv_into"))
        start_response("200 OK", [])
        return []

    headers = (("content-type", "text/plain"),)
    rule = BodyRule("/", ("text/plain",))
    wsgi_ask(wrapped(stage, app, bodies=[rule]), Asked("/", "POST", headers, b"abcde"))
    assert seen == [True, 2, b"ab", b"cde", False]
    assert stage.row()["request_body"] == "abcde"


def test_without_a_rule_the_servers_stream_is_the_applications(stage: Stage) -> None:
    environ = environ_of(Asked("/", "POST", (), b"abc"))
    stream = environ["wsgi.input"]
    wrapped(stage, answering(list))(environ, quietly)
    assert environ["wsgi.input"] is stream


def test_the_address_of_a_unix_socket_is_none(stage: Stage) -> None:
    wrapped(stage, answering(list))(environ_of(ROOT, REMOTE_ADDR=""), quietly)
    assert stage.row()["ip_address"] is None


def test_an_environ_that_cannot_be_read_costs_the_record_and_not_the_answer(stage: Stage) -> None:
    environ = environ_of(ROOT)
    del environ["REQUEST_METHOD"]
    assert wrapped(stage, answering(lambda: [b"ok"]))(environ, quietly) == [b"ok"]
    assert stage.reasons() == {"unencodable": 1}


BYTES = st.text(st.characters(max_codepoint=255), max_size=40)


@given(
    path=BYTES, root=BYTES, query=BYTES, method=BYTES, header=BYTES, address=BYTES,
    length=st.one_of(BYTES, st.integers().map(str)), body=st.lists(st.binary(max_size=9)),
)  # fmt: skip
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_a_client_sends_the_answer_is_the_applications_and_the_call_is_accounted_for(
    lake: Lake, path: str, root: str, query: str, method: str, header: str, address: str,
    length: str, body: list[bytes],
) -> None:  # fmt: skip
    environ = environ_of(
        ROOT, PATH_INFO=path, SCRIPT_NAME=root, QUERY_STRING=query, REQUEST_METHOD=method,
        REMOTE_ADDR=address, HTTP_COOKIE=header, HTTP_REFERER=header, HTTP_TRACEPARENT=header,
        HTTP_USER_AGENT=header, HTTP_X_SESSION_ID=header, CONTENT_LENGTH=length,
        CONTENT_TYPE=header,
    )  # fmt: skip
    with lake.collector(LAKEWARD_KEEPER="external", LAKEWARD_EXIT_SECONDS="0") as collector:
        app = LakewardMiddleware(
            answering(lambda: iter(body), content_length=length), collector, exclude=()
        )
        assert list(app(environ, quietly)) == body
        stats = collector.stats()
        assert (stats["offered"], stats["accepted"], stats["reasons"]) == (1, 1, {})


def test_a_middleware_of_ours_inside_another_leaves_the_call_to_the_outer_one(
    stage: Stage,
) -> None:
    inner = wrapped(stage, answering(lambda: [b"ok"]))
    assert wsgi_ask(wrapped(stage, inner), ROOT).body == b"ok"
    assert len(stage.rows()) == 1
    assert stage.collector.stats()["offered"] == 1


def test_a_hook_that_is_a_coroutine_function_is_refused(stage: Stage) -> None:
    async def hook(environ: Any) -> str:
        return "ann"

    with pytest.raises(Terminal, match="coroutine"):
        wrapped(stage, answering(list), user=hook)


# What happens during a call


def test_what_a_stream_records_joins_its_call_and_nothing_else_does(stage: Stage) -> None:
    def parts() -> Iterator[bytes]:
        stage.collector.record("cta_click", cta="streamed")
        yield b"one"
        stage.collector.record("cta_click", cta="again")

    class Closing:
        def __iter__(self) -> Iterator[bytes]:
            return parts()

        def close(self) -> None:
            stage.collector.record("cta_click", cta="closed")

    answer: Any = wrapped(stage, answering(Closing))(environ_of(ROOT), quietly)
    stage.collector.record("cta_click", cta="between")
    for _ in answer:
        assert trace.CURRENT.get() is None
    answer.close()
    assert trace.CURRENT.get() is None
    rows = stage.rows()
    (call,) = (row for row in rows if row["interaction_type"] == "api_call")
    joined = {
        row["outcomes"]["cta"]: row.get("parent_interaction_id") == call["interaction_id"]
        for row in rows
        if row is not call
    }
    assert joined == {"between": False, "streamed": True, "again": True, "closed": True}


def test_an_app_passes_its_trace_on(stage: Stage) -> None:
    sent: dict[str, str] = {}

    def app(environ: Any, start_response: Start) -> Iterable[bytes]:
        sent.update(trace.headers())
        return answering(lambda: [b"ok"])(environ, start_response)

    wsgi_ask(wrapped(stage, app), ROOT)
    row = stage.row()
    assert sent["traceparent"].split("-")[1] == row["trace_id"]
    assert sent["tracestate"] == f"lakeward={row['interaction_id']}"


def test_a_full_ring_costs_records_and_no_answer(lake: Lake) -> None:
    stage = Stage(lake).set(LAKEWARD_KEEPER="external", LAKEWARD_RING_BYTES="256KiB",
                            LAKEWARD_FRAME_BYTES="8KiB", LAKEWARD_EXIT_SECONDS="0")  # fmt: skip
    app = wrapped(stage, answering(lambda: [b"ok"]))
    for _ in range(2000):
        assert app(environ_of(ROOT), quietly) == [b"ok"]
    stats = stage.collector.stats()
    assert stats["reasons"]["full"] > 0
    assert stats["accepted"] + sum(stats["reasons"].values()) == stats["offered"] == 2000


INTERLEAVED = """
    import time, threading
    from lakeward import Collector
    from lakeward.capture.wsgi import LakewardMiddleware
    from sites import Asked, wsgi_ask

    collector = Collector.from_env()

    def app(environ, start_response):
        path = environ["PATH_INFO"]
        time.sleep(0.01)
        collector.record("cta_click", cta=path)
        start_response("200 OK", [])
        def parts():
            time.sleep(0.01)
            yield b"one"
            collector.record("cta_click", cta=path)
            time.sleep(0.01)
            yield b"two"
        return parts()

    wrapped = LakewardMiddleware(app, collector)
    threads = [threading.Thread(target=wsgi_ask, args=(wrapped, Asked(f"/{n}"))) for n in range(20)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""


@pytest.mark.parametrize("first", ["", "from gevent import monkey; monkey.patch_all()"])
def test_calls_that_take_turns_in_threads_or_greenlets_keep_their_outcomes_apart(
    lake: Lake, first: str
) -> None:
    code = first + "\n" + textwrap.dedent(INTERLEAVED)
    subprocess.run([sys.executable, "-c", code], env=lake.process_env(), check=True, timeout=120,
                   cwd=Path(__file__).parent)  # fmt: skip
    assert lake.settled().ok
    rows = lake.rows()
    calls = {row["interaction_id"]: row["path"] for row in rows if "path" in row}
    clicks = [row for row in rows if "path" not in row]
    assert (len(calls), len(clicks)) == (20, 40)
    for click in clicks:
        assert calls[click["parent_interaction_id"]] == click["outcomes"]["cta"]
