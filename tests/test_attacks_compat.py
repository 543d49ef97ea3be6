"""An attacker at the endpoints of other products' SDKs: a documented answer, and nothing is harmed.

Every endpoint of every dialect is attacked, a new one, too (`attacks_compat.doors`)."""

from __future__ import annotations

import base64
import gzip
import json
import os
import socket
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from attacks_compat import (
    FORGED,
    MANY,
    PLANTED,
    SERVER_OWNED,
    SHARED,
    VALUES,
    Door,
    documented,
    doors,
    nested_protobuf,
    placed,
)
from conftest import Lake, wait_until
from lakeward.settings import load
from lakeward.store.database import open_database
from lakeward.store.keys import Keys
from server_process import Serving, serving
from test_attacks import said
from test_mount import host

DOORS = [*doors()]
KEYED = [door for door in DOORS if door.keyed]
PATHS = [door for n, door in enumerate(DOORS) if door.path not in {d.path for d in DOORS[:n]}]
ALLOWED = documented()


def name(door: Door) -> str:
    return f"{door.method} {door.path}"


class Besieged(NamedTuple):
    """A server with keys in force, and the keys."""

    lake: Lake
    server: Serving
    client: httpx.Client
    write: str
    read: str
    bound: str
    """A write key of one origin."""
    revoked: str

    @property
    def secrets(self) -> tuple[str, ...]:
        return self.write, self.read, self.bound, self.revoked, PLANTED

    def ask(
        self, door: Door, body: bytes = b"", key: str | None = None, path: str = "",
        **headers: str,
    ) -> tuple[int, str]:  # fmt: skip
        """Send a body; status and code, which are documented, in an answer that tells nothing."""
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            said["authorization"] = f"Bearer {key}"
        content = body if door.method == "POST" else None
        answer = self.client.request(door.method, path or door.path, content=content, headers=said)
        if door.keyed:
            assert not any(secret in answer.text for secret in self.secrets)
        return outcome(answer)


def outcome(answer: httpx.Response) -> tuple[int, str]:
    """Status and code; the code is documented and comes as every refusal does."""
    assert answer.headers["x-content-type-options"] == "nosniff"
    if answer.status_code < 400:
        return answer.status_code, ""
    content = answer.json()
    assert set(content) == {"code", "message"}
    assert (answer.status_code, content["code"]) in ALLOWED
    return answer.status_code, content["code"]


def keys_of(lake: Lake, folder: Path) -> tuple[str, str, str, str]:
    with open_database(load(lake.env, folder)) as database:
        keys = Keys(database)
        write = keys.create("write", "all", actor="test", types=["*"])[1]
        read = keys.create("read", "board", actor="test")[1]
        origins = ["https://app.example.com"]
        bound = keys.create("write", "site", actor="test", origins=origins)[1]
        revoked = keys.create("write", "old", actor="test", types=["*"])[1]
        keys.revoke("old", actor="test")
    return write, read, bound, revoked


@pytest.fixture(scope="module")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    folder = tmp_path_factory.mktemp("besieged")
    ring_dir = Path("/dev/shm") / f"lw-test-{os.getpid()}-besieged"
    ring_dir.mkdir(mode=0o700, exist_ok=True)
    lake = Lake(folder / "data-lake", ring_dir)
    with serving(lake) as server, server.client() as client:
        keys = keys_of(lake, folder)
        made = Besieged(lake, server, client, *keys)
        last = {"authorization": f"Bearer {made.bound}", "origin": "https://app.example.com"}
        wait_until(
            lambda: client.post("/v1/interactions", json=[], headers=last).status_code == 200,
            what="the keys in the server's memory",
        )
        yield made
    lake.close()


# Bodies


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("dialect", sorted({door.dialect for door in DOORS}))
def test_a_hostile_value_in_any_field_is_a_record_or_a_refusal(
    besieged: Besieged, dialect: str, value: bytes
) -> None:
    for door in (door for door in KEYED if door.dialect == dialect and door.method == "POST"):
        *bodies, with_keys = placed(dialect, value)
        for body in (*bodies, with_keys):
            status, _ = besieged.ask(door, body, besieged.write)
            assert status in {200, 400, 413} | ({401} if body is with_keys else set())
            assert besieged.ask(door, body)[0] in {400, 401, 413}, "without a key"


BODIES = {
    "nothing": b"",
    "a blank": b" ",
    "null": b"null",
    "a number": b"1",
    "a text": b'"x"',
    "an empty list": b"[]",
    "an empty object": b"{}",
    "zeros": b"\0" * 1000,
    "noise": bytes(range(256)) * 40,
    "braces": b"{" * 100_000,
    "brackets": b"[" * 100_000,
    "UTF-16": '{"batch":[]}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a form": b"data=" + b"%" * 1000,
    "base64 of base64": base64.b64encode(base64.b64encode(b"{}")),
    "gzip of gzip": gzip.compress(gzip.compress(b"{}")),
    "gzip cut short": gzip.compress(b"{}" * 1000)[:-9],
    "gzip of two bytes": b"\x1f\x8b",
    "zlib of two bytes": b"x\x9c",
    "ten thousand members of gzip": gzip.compress(b"") * 10_000,
    "protobuf a hundred thousand deep": nested_protobuf(2000),
    "protobuf 30 deep": nested_protobuf(30),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("door", DOORS, ids=name)
def test_a_body_that_is_none_is_refused_or_holds_nothing(
    besieged: Besieged, door: Door, body: bytes
) -> None:
    assert besieged.ask(door, body, besieged.write)[0] in {200, 400}


BOMBS: dict[str, Callable[[], bytes]] = {
    "gzip": lambda: gzip.compress(b" " * 100_000_000),
    "zlib": lambda: zlib.compress(b" " * 100_000_000),
    "deflate": lambda: zlib.compress(b" " * 100_000_000)[2:-4],
    "gzip in members": lambda: gzip.compress(b" " * 3_000_000) * 2,
}


@cache
def made(bomb: str) -> bytes:
    """Once, and not by whoever merely collects the tests."""
    return BOMBS[bomb]()


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("door", [d for d in DOORS if d.method == "POST"], ids=name)
def test_a_bomb_is_refused_before_it_goes_off(besieged: Besieged, door: Door, bomb: str) -> None:
    headers = {"content_encoding": bomb} if bomb == "deflate" else {}
    assert besieged.ask(door, made(bomb), besieged.write, **headers) == (413, "too_large")


@pytest.mark.parametrize("dialect", MANY)
def test_a_body_of_a_million_events_is_refused_as_too_many(
    besieged: Besieged, dialect: str
) -> None:
    door = next(door for door in KEYED if door.dialect == dialect and door.method == "POST")
    for body in MANY[dialect]:
        assert besieged.ask(door, body, besieged.write) in {(413, "too_many"), (400, "bad_body")}
        assert besieged.ask(door, body) == (401, "no_key")


@pytest.mark.parametrize("dialect", SHARED)
def test_what_thousands_of_events_share_may_not_be_large(besieged: Besieged, dialect: str) -> None:
    door = next(door for door in KEYED if door.dialect == dialect and door.method == "POST")
    assert besieged.ask(door, SHARED[dialect], besieged.write) == (400, "bad_body")


# Keys


KEY_IN_BODY = {
    "segment": '{"writeKey":"KEY","batch":[{"type":"page"}]}',
    "posthog": '{"api_key":"KEY","batch":[{"event":"x","properties":{"token":"KEY"}}]}',
    "snowplow": '{"data":[{"e":"pv","aid":"KEY"}]}',
}


@pytest.mark.parametrize("door", KEYED, ids=name)
def test_a_key_that_does_not_fit_lets_nobody_in_wherever_it_stands(
    besieged: Besieged, door: Door
) -> None:
    wrong = {
        besieged.read: (403, "wrong_kind"),
        besieged.revoked: (401, "unknown_key"),
        besieged.bound: (403, "wrong_origin"),
        besieged.write[:-1] + "~": (401, "unknown_key"),
        "lwk_w_": (401, "unknown_key"),
        "*": (401, "unknown_key"),
    }
    before = len(besieged.lake.rows())
    for key, refused in wrong.items():
        evil = "https://evil.example"
        assert besieged.ask(door, b"{}", key, origin=evil) == refused
        basic = "Basic " + base64.b64encode(f"{key}:".encode()).decode()
        for headers in ({"authorization": basic}, {"x_api_key": key}):
            assert besieged.ask(door, b"{}", origin=evil, **headers) == refused
        asked = f"{door.path}?key={key}"
        assert besieged.ask(door, b"{}", path=asked, origin=evil) == refused
        if door.dialect in KEY_IN_BODY and door.method == "POST":
            body = KEY_IN_BODY[door.dialect].replace("KEY", key).encode()
            # An app id that looks like no key is none.
            other = (401, "no_key") if door.dialect == "snowplow" else refused
            assert besieged.ask(door, body, origin=evil) in {refused, other}
    assert besieged.ask(door, b"{}", authorization="Basic !") == (401, "bad_authorization")
    assert besieged.ask(door, b"{}", cookie=f"key={besieged.write}") == (401, "no_key")
    assert len(besieged.lake.rows()) == before


def test_what_the_server_knows_itself_nobody_can_set(besieged: Besieged) -> None:
    forged = json.dumps(SERVER_OWNED)[1:-1]
    secret = f'"password":"{PLANTED}"'
    bodies = {
        "/v1/batch": f'{{"batch":[{{"type":"track","event":"forged_segment",{forged},"context":'
                     f'{{"ip":"{FORGED}",{forged}}},"properties":{{{secret},{forged}}}}}]}}',
        "/batch": f'{{"batch":[{{"event":"forged_posthog",{forged},"properties":'
                  f'{{"$ip":"{FORGED}",{secret},{forged}}}}}]}}',
        "/com.snowplowanalytics.snowplow/tp2":
            f'{{"data":[{{"e":"se","se_ca":"forged","se_ac":"snowplow","ip":"{FORGED}",'
            f'{secret},{forged}}}]}}',
        "/v1/traces": json.dumps({"resourceSpans": [{"resource": {"attributes": [
            {"key": key, "value": {"stringValue": FORGED}} for key in SERVER_OWNED]},
            "scopeSpans": [{"spans": [{
                "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
                "name": "forged_otlp", "startTimeUnixNano": "1755187888677000000",
                "attributes": [{"key": key, "value": {"stringValue": value}}
                               for key, value in {**SERVER_OWNED, "password": PLANTED}.items()],
            }]}]}]}),
    }  # fmt: skip
    for path, body in bodies.items():
        door = next(door for door in KEYED if (door.method, door.path) == ("POST", path))
        assert besieged.ask(door, body.encode(), besieged.write) == (200, ""), path
    rows = [row for row in besieged.lake.rows()
            if "forged_" in row["interaction_type"] or row.get("properties", {}).get("span_name")
            == "forged_otlp" or "forged_otlp" in json.dumps(row)]  # fmt: skip
    assert len(rows) == len(bodies)
    for row in rows:
        owned = {name: row.get(name) for name in SERVER_OWNED}
        assert FORGED not in owned.values(), owned


# Paths, methods, queries


@pytest.mark.parametrize("door", PATHS, ids=name)
def test_a_path_is_what_it_is_and_nothing_else(besieged: Besieged, door: Door) -> None:
    path = door.path
    for odd in (f"/{path}", f"/.{path}", f"/x/..{path}", f"/%2e%2e{path}", f"{path}%00",
                f"{path};x", f"{path}%2f..", f"{path}/../x", f"{path}%0d%0aset-cookie:a=b",
                path.upper() + "/X", path.replace("/", "%2f%2f"), path + "x" * 20_000,
                f"/data{path}"):  # fmt: skip
        raw = said(besieged.server.port, head(door.method, odd.encode()))
        if "some-key" in path and odd.startswith(path[:9]):
            continue  # a name stands for any text
        assert answered(raw) in {(404, "not_found"), (400, "bad_request")}


@pytest.mark.parametrize("door", PATHS, ids=name)
def test_a_method_that_a_path_does_not_take_is_named(besieged: Besieged, door: Door) -> None:
    methods = {each.method for each in DOORS if each.path == door.path}
    for method in {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS"} - methods:
        answer = besieged.client.request(method, door.path)
        assert answer.status_code == 405
        assert set(answer.headers["allow"].split(", ")) == methods
    for _ in range(50):
        origin = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        assert besieged.client.options(door.path, headers=origin).status_code == 204


@pytest.mark.parametrize("door", DOORS, ids=name)
def test_a_query_of_thousands_of_parameters_is_refused(besieged: Besieged, door: Door) -> None:
    query = "&".join(f"p{n}=1" for n in range(5000))
    path = f"{door.path}?{query}"
    assert besieged.ask(door, b"{}", besieged.write, path=path) == (400, "query")
    path = f"{door.path}?e=pv&data=" + "%7B" * 1000 + "&compression=" + "x" * 1000
    assert besieged.ask(door, b"{}", besieged.write, path=path)[0] in {200, 400}


# Bytes on the wire


def head(method: str, target: bytes, *headers: bytes, host: bytes = b"localhost") -> bytes:
    lines = [b"%s %s HTTP/1.1" % (method.encode(), target), b"host: " + host,
             b"connection: close", *headers]  # fmt: skip
    return b"\r\n".join(lines) + b"\r\n\r\n"


def answered(raw: bytes) -> tuple[int, str]:
    first, _, body = raw.partition(b"\r\n\r\n")
    status = int(first.split()[1])
    if status < 400:
        return status, ""
    code = json.loads(body)["code"]
    assert (status, code) in ALLOWED
    return status, code


@pytest.mark.parametrize("door", [d for d in DOORS if d.method == "POST"], ids=name)
def test_a_body_without_end_or_of_a_false_length_is_cut_off(besieged: Besieged, door: Door) -> None:
    port, path = besieged.server.port, door.path.encode()
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    chunked = head("POST", path, b"transfer-encoding: chunked")
    raw = said(port, chunked, *[chunk] * 100)
    assert raw == b"" or answered(raw) == (413, "too_large")  # a reset may swallow the answer
    long = head("POST", path, b"content-length: 999999999999999")
    assert answered(said(port, long, b"{}")) == (413, "too_large")
    for lie in (b"content-length: -1", b"content-length: 2\r\ncontent-length: 3",
                b"content-length: 2\r\ntransfer-encoding: chunked"):  # fmt: skip
        assert answered(said(port, head("POST", path, lie), b"{}")) == (400, "bad_request")
    with socket.create_connection(("127.0.0.1", port), timeout=120) as client:
        client.sendall(head("POST", path, b"content-length: 1000") + b"{")  # and is gone


def test_hundreds_of_clients_whose_bodies_never_end_keep_nobody_out(besieged: Besieged) -> None:
    with ExitStack() as open_ones:
        for n in range(300):
            door = KEYED[n % len(KEYED)]
            client = socket.create_connection(("127.0.0.1", besieged.server.port), timeout=120)
            request = head("POST", door.path.encode(), b"content-length: 4000000")
            open_ones.enter_context(client).sendall(request + b'{"batch":[')
        for door in KEYED:
            assert besieged.ask(door, b"{}", besieged.write)[0] in {200, 400}


HOSTS = [b"evil.example", b"localhost@evil.example", b'a"b', b"</script>", b"", b"localhost, x"]


@pytest.mark.parametrize("door", PATHS, ids=name)
def test_a_host_that_is_not_this_one_is_refused_and_never_repeated(
    besieged: Besieged, door: Door
) -> None:
    for other in HOSTS:
        raw = said(besieged.server.port, head(door.method, door.path.encode(), host=other))
        assert answered(raw) in {(421, "unknown_host"), (400, "bad_request")}
        assert not other or other not in raw.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("door", [d for d in DOORS if not d.keyed and d.method == "GET"], ids=name)
def test_a_proxy_that_nobody_trusts_moves_no_configuration(besieged: Besieged, door: Door) -> None:
    forwarded = {"x-forwarded-host": "evil.example", "x-forwarded-proto": "javascript",
                 "x-forwarded-prefix": "/evil", "forwarded": "host=evil.example;proto=evil",
                 "x-original-url": "/evil", "x-rewrite-url": "/evil"}  # fmt: skip
    answer = besieged.client.get(door.path, headers=forwarded)
    assert answer.status_code == 200
    assert "evil" not in answer.text
    assert "javascript:" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_what_stands_in_a_path_or_a_host_is_repeated_as_text_alone(
    tmp_path: Path,
) -> None:
    ring_dir = tmp_path / "rings"
    ring_dir.mkdir(mode=0o700)
    lake = Lake(tmp_path / "data-lake", ring_dir)
    markup = b"%22%3E%3C%2Fscript%3E%0d%0aset-cookie:%20a=b".replace(b"%2F", b"%5c")
    with serving(lake, LAKEWARD_ALLOWED_HOSTS="*", LAKEWARD_PATHS="segment=/s") as server:
        for path in (b"/s/v1/projects/%s/settings", b"/s/sourceConfig?writeKey=%s",
                     b"/array/%s/config", b"/array/%s/config.js", b"/flags?token=%s"):  # fmt: skip
            raw = said(server.port, head("GET", path % markup, host=b'x"><b>.example'))
            first, _, body = raw.partition(b"\r\n\r\n")
            assert first.startswith((b"HTTP/1.1 200", b"HTTP/1.1 421", b"HTTP/1.1 400"))
            assert b"set-cookie" not in first.lower()
            assert b"content-type: text/html" not in first
            if b"javascript" in first:
                assert body == b""
            else:
                json.loads(body)
    lake.close()


# Elsewhere


def test_below_a_prefix_and_under_other_names_the_same_holds(tmp_path: Path) -> None:
    ring_dir = tmp_path / "rings"
    ring_dir.mkdir(mode=0o700)
    lake = Lake(tmp_path / "data-lake", ring_dir)
    roots = {door.dialect: f"/{door.dialect[:2]}" for door in DOORS}
    paths = ",".join(f"{dialect}={root}" for dialect, root in roots.items())
    with serving(
        lake, health="/data/health", LAKEWARD_PATHS=paths, LAKEWARD_PATH_PREFIX="/data"
    ) as server, server.client() as client:  # fmt: skip
        for door in PATHS:
            moved = f"/data{roots[door.dialect]}{door.path}"
            assert outcome(client.request(door.method, door.path)) == (404, "not_found")
            assert outcome(client.request(door.method, "/data" + door.path))[0] == 404
            for odd in (moved.replace("/data", "/data/data", 1), "/" + moved, moved + "/x/.."):
                raw = said(server.port, head(door.method, odd.encode()))
                assert answered(raw) == (404, "not_found")
        for door in DOORS:
            moved = f"/data{roots[door.dialect]}{door.path}"
            for body in (b"", b"[" * 100_000, b"\xff", *placed(door.dialect, b"9" * 400)):
                content = body if door.method == "POST" else None
                answer = client.request(door.method, moved, content=content)
                assert outcome(answer)[0] in {200, 400}
        assert client.get("/data/health").status_code == 200
        assert "Traceback" not in server.output.read_text()
        assert "failed (" not in server.output.read_text()
    lake.close()


def test_mounted_in_an_app_the_same_holds_and_the_app_goes_on(lake: Lake, tmp_path: Path) -> None:
    with host(lake, tmp_path) as client:
        own = {"origin": str(client.base_url).rstrip("/"), "sec-fetch-site": "same-origin"}
        for door in DOORS:
            bodies = [*BODIES.values(), *placed(door.dialect, b"9" * 400),
                      *placed(door.dialect, b"[" * 980 + b"]" * 980)]  # fmt: skip
            for body in bodies if door.method == "POST" else [b""]:
                answer = client.request(
                    door.method, "/_lakeward" + door.path, content=body or None, headers=own
                )
                assert outcome(answer)[0] in {200, 400, 401}
            assert client.get("/call").text == "hello"


# At last


def test_after_all_of_it_nothing_was_unforeseen_and_no_secret_is_anywhere(
    besieged: Besieged,
) -> None:
    assert besieged.client.get("/health").status_code == 200
    report = besieged.lake.audit()
    assert report.ok, report.faults
    printed = besieged.server.output.read_text()
    assert "Traceback" not in printed
    assert "failed (" not in printed
    metrics = besieged.client.get(
        "/metrics", headers={"authorization": f"Bearer {besieged.read}"}
    ).text
    assert "lakeward" in metrics
    for secret in besieged.secrets:
        assert secret not in printed
        assert secret not in metrics
        for path in besieged.lake.root.rglob("*"):
            if path.is_file():
                assert secret.encode() not in path.read_bytes(), path.name
