"""Requests of a real site of 2015, sent again to an app under uvicorn: what came in is recorded.

The whole log (10,000 requests) lies outside the repository; 300 of its lines are always tried.
"""

from __future__ import annotations

import http.client
import lzma
import re
import threading
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import msgspec
import pytest

from conftest import Lake
from lakeward.detectors import REDACTED
from lakeward.interaction import JsonObject
from lakeward.privacy import Scrubber
from servers import Server, settled, uvicorn

SAMPLE = Path(__file__).parent / "data" / "access_replay.log"
WHOLE = Path(__file__).parents[2] / "shared" / "data" / "apache_logs_2015.log.xz"
CALLERS = 4

LINE = re.compile(
    rb'(?P<ip>\S+) \S+ \S+ \[[^\]]+\] "(?P<method>\S+) (?P<target>\S+) HTTP/1\.[01]" \d+ \S+'
    rb' "(?P<referrer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)(?P<end>"?)'
)
ESCAPED = re.compile(rb"\\(?:x([0-9a-f]{2})|(.))")


class Sent(NamedTuple):
    """One request of the log, as bytes of HTTP."""

    ip: str
    method: str
    target: str
    referrer: bytes | None
    agent: bytes | None


class Call(NamedTuple):
    """What must be recorded of one request; `query` as JSON."""

    ip: str
    method: str
    path: str
    query: str
    referrer: str | None
    agent: str | None


def requests(path: Path) -> list[Sent]:
    """Every line of a log as the request that it tells of; one of them is cut short."""
    raw = path.read_bytes()
    if path.suffix == ".xz":
        raw = lzma.decompress(raw)
    found = [LINE.fullmatch(line) for line in raw.splitlines()]
    lines = [match for match in found if match]
    assert len(lines) == len(found)
    assert [match["end"] for match in lines].count(b"") == 1
    return [
        Sent(
            match["ip"].decode(),
            match["method"].decode(),
            match["target"].decode(),
            unescaped(match["referrer"]),
            unescaped(match["agent"]),
        )
        for match in lines
    ]


def unescaped(field: bytes) -> bytes | None:
    """The header's bytes, from the log's way to write them; None where there was none."""
    if field == b"-":
        return None
    return ESCAPED.sub(lambda m: bytes.fromhex(m[1].decode()) if m[1] else m[2], field)


def raw_call(sent: Sent) -> Call:
    """The call as it was, unscrubbed."""
    path, _, query = sent.target.partition("?")
    texts = [
        None if raw is None else raw.decode("utf-8", "backslashreplace")
        for raw in (sent.referrer, sent.agent)
    ]
    return Call(sent.ip, sent.method, unquote(path), query, *texts)


def scrubbed(call: Call, scrubber: Scrubber) -> Call:
    """The call as it may be stored."""
    return Call(
        scrubber.text(call.ip),
        call.method,
        scrubber.path(call.path),
        as_json(scrubber.query(call.query.encode())),
        None if call.referrer is None else scrubber.url(call.referrer),
        None if call.agent is None else scrubber.text(call.agent),
    )


def recorded(row: JsonObject) -> Call:
    """What the lake has of a call."""
    return Call(
        row["ip_address"],
        row["method"],
        row["path"],
        as_json(row.get("query_params")),
        row.get("referrer"),
        row["user_agent"],
    )


def as_json(value: object) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


def replay(server: Server, sent: list[Sent]) -> None:
    """Send the requests over a few kept-alive connections; each must be answered."""
    answered: list[int] = []

    def call(part: list[Sent]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        for request in part:
            connection.putrequest(request.method, request.target, skip_accept_encoding=True)
            connection.putheader("X-Forwarded-For", request.ip)
            if request.referrer is not None:
                connection.putheader("Referer", request.referrer)
            if request.agent is not None:
                connection.putheader("User-Agent", request.agent)
            connection.endheaders()
            response = connection.getresponse()
            response.read()
            answered.append(response.status)
        connection.close()

    threads = [threading.Thread(target=call, args=(sent[n::CALLERS],)) for n in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert answered == [200] * len(sent)


LOGS = [
    pytest.param(SAMPLE, 300, id="sample"),
    pytest.param(
        WHOLE,
        10_000,
        id="whole",
        marks=pytest.mark.skipif(not WHOLE.exists(), reason=f"the whole log is not at {WHOLE}"),
    ),
]
OPTIONS = ["--no-proxy-headers"]
TRUST = {"LAKEWARD_TRUSTED_PROXIES": "127.0.0.1"}


@pytest.mark.parametrize(("log", "count"), LOGS)
def test_what_is_recorded_is_what_came_in_scrubbed(
    lake: Lake, tmp_path: Path, log: Path, count: int
) -> None:
    sent = requests(log)
    assert len(sent) == count
    env = lake.process_env(LAKEWARD_EXCLUDE=",", **TRUST)
    with uvicorn("apps:plain", env, *OPTIONS, folder=tmp_path) as server:
        replay(server, sent)
        server.stop()
    report = settled(lake, count)
    got = Counter(map(recorded, lake.rows()))
    raw = list(map(raw_call, sent))
    scrubber = Scrubber()
    assert got == Counter(scrubbed(call, scrubber) for call in raw)
    assert_harmless_calls_are_untouched(raw, got)
    assert report.ok
    assert (report.sum["offered"], report.sum["delivered"]) == (count, count)


def assert_harmless_calls_are_untouched(raw: list[Call], got: Counter[Call]) -> None:
    """Checked without the scrubber: a record with no mark of it holds the very bytes that came."""
    harmless = Counter({call: n for call, n in got.items() if REDACTED not in repr(call)})
    plain = Counter(call._replace(query=as_json(parsed(call.query))) for call in raw)
    assert harmless - plain == Counter()
    assert 0.8 < harmless.total() / len(raw) < 1


def parsed(query: str) -> JsonObject | None:
    """A query of this log: no name comes twice, and a plus stands for a space."""
    pairs = [pair.partition("=") for pair in query.replace("+", " ").split("&") if pair]
    return {unquote(name): unquote(value) for name, _, value in pairs} or None


@pytest.mark.parametrize(("log", "count"), LOGS)
def test_with_the_default_exclusions_each_call_is_recorded_or_counted(
    lake: Lake, tmp_path: Path, log: Path, count: int
) -> None:
    sent = requests(log)
    with uvicorn("apps:plain", lake.process_env(), *OPTIONS, folder=tmp_path) as server:
        replay(server, sent)
        server.stop()
    report = settled(lake, count)
    assert report.ok
    excluded = sum(
        request.target.partition("?")[0] in {"/favicon.ico", "/robots.txt"} for request in sent
    )
    assert excluded > 0
    assert report.reasons == {"excluded": excluded}
    assert len(lake.rows()) + excluded == count == report.sum["offered"]
