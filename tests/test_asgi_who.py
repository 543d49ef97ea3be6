"""Who called, as far as it may be known: user, session, address, consent; and what they sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from starlette.applications import Starlette
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    BaseUser,
    SimpleUser,
    UnauthenticatedUser,
)
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from apps import Stage, answer, ask, http_scope, ok, play
from conftest import Lake
from lakeward.capture.asgi import Receive, Scope, Send
from lakeward.capture.body import BodyRule
from lakeward.collector import Collector
from lakeward.settings import load

DAY_NS = 86_400_000_000_000
SESSION = "0B06C2F2-6C2D-4E5B-9A44-2B1C5F6A7D80"
BROWSER = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64)"}


@pytest.fixture
def stage(lake: Lake) -> Stage:
    return Stage(lake)


# The user


@pytest.mark.parametrize(
    ("said", "user"),
    [
        ("ann", ("ann", "unknown")),
        (("ann", "contractor"), ("ann", "contractor")),
        ((None, "visitor"), ("anonymous", "visitor")),
        (None, ("anonymous", "unknown")),
        ("", ("anonymous", "unknown")),
        (42, ("42", "unknown")),
    ],
)
def test_the_hook_names_the_user(stage: Stage, said: Any, user: tuple[str, str]) -> None:
    ask(stage.wrap(ok, user=lambda scope: said))
    row = stage.row()
    assert (row["user_id"], row["user_type"]) == user


def test_the_hook_is_given_the_scope_as_the_app_left_it(stage: Stage) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {"account": "a-17"}
        await answer(send)

    ask(stage.wrap(app, user=lambda scope: scope["state"]["account"]))
    assert stage.row()["user_id"] == "a-17"


def test_a_hook_that_raises_costs_the_user_and_tells_so_in_the_record(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    def hook(scope: Scope) -> str:
        raise KeyError("hunter2secret")

    app = stage.wrap(ok, user=hook)
    for _ in range(3):
        assert ask(app).text == "ok"
    rows = stage.rows()
    assert [row["user_id"] for row in rows] == ["anonymous"] * 3
    assert [row["metadata"] for row in rows] == [{"user_hook": "KeyError"}] * 3
    assert [record.message for record in caplog.records] == [
        "lakeward: the user hook failed (KeyError)"
    ]
    assert b"hunter2secret" not in stage.stored()


class Account(BaseUser):
    """A user as applications write them."""

    is_authenticated = True

    def __init__(self, number: int) -> None:
        self.id = number


class Guest(BaseUser):
    """Somebody who is not logged in and has a name all the same."""

    is_authenticated = False
    display_name = "Guest"


class Nameless(BaseUser):
    """A user whose `identity` is not implemented."""

    is_authenticated = True
    display_name = "Ann"


@pytest.mark.parametrize(
    ("user", "name"),
    [
        (SimpleUser("ann"), "ann"),
        (Account(7), "7"),
        (Nameless(), "Ann"),
        (Guest(), "anonymous"),
        (UnauthenticatedUser(), "anonymous"),
        (None, "anonymous"),
    ],
)
def test_the_user_of_an_authentication_middleware_is_taken(
    stage: Stage, user: BaseUser | None, name: str
) -> None:
    class Backend(AuthenticationBackend):
        async def authenticate(
            self, conn: HTTPConnection
        ) -> tuple[AuthCredentials, BaseUser] | None:
            return None if user is None else (AuthCredentials([]), user)

    async def page(request: Request) -> Response:
        return PlainTextResponse("page")

    middleware = [Middleware(AuthenticationMiddleware, backend=Backend())]
    ask(stage.installed(Starlette(routes=[Route("/", page)], middleware=middleware)))
    assert stage.row()["user_id"] == name


def test_the_hook_comes_before_the_frameworks_user(stage: Stage) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["user"] = SimpleUser("framework")
        await answer(send)

    ask(stage.wrap(app, user=lambda scope: "hook"))
    ask(stage.wrap(app, user=lambda scope: None))
    assert [row["user_id"] for row in stage.rows()] == ["hook", "framework"]


# The session


def session_of(stage: Stage, **headers: str) -> str:
    """The session recorded of one call with these headers (`_` for `-`)."""
    named = BROWSER | {name.replace("_", "-"): value for name, value in headers.items()}
    ask(stage.wrap(ok), headers=named)
    session: str = stage.rows()[-1]["session_id"]
    assert str(UUID(session)) == session
    return session


def test_a_uuid_in_the_session_header_is_kept_and_anything_else_is_hashed(stage: Stage) -> None:
    assert session_of(stage, x_session_id=SESSION) == SESSION.lower()
    hashed = session_of(stage, x_session_id="Ann's session")
    assert hashed == session_of(stage, x_session_id="Ann's session")
    assert hashed != session_of(stage, x_session_id="Bob's session")
    assert b"Ann's session" not in stage.stored()


def test_names_of_header_and_cookie_are_settings(stage: Stage) -> None:
    stage.set(LAKEWARD_SESSION_HEADER="X-Visit", LAKEWARD_SESSION_COOKIE="sid")
    assert session_of(stage, x_visit=SESSION) == SESSION.lower()
    by_agent = session_of(stage)
    assert session_of(stage, x_session_id=SESSION) == by_agent
    assert session_of(stage, cookie="session=abc") == by_agent
    assert session_of(stage, cookie="a=1; sid=abc") != by_agent


def test_a_session_cookie_gives_a_hash_and_is_never_stored(stage: Stage) -> None:
    secret = "eyJhbGciOi-very-secret-cookie"
    by_cookie = session_of(stage, cookie=f"theme=dark; session={secret}")
    assert by_cookie == session_of(stage, cookie=f"session={secret}; theme=light")
    assert by_cookie != session_of(stage, cookie="session=another")
    assert by_cookie != session_of(stage, x_session_id=secret)
    assert secret.encode() not in stage.stored()


def test_an_empty_cookie_and_one_of_a_similar_name_are_no_session(stage: Stage) -> None:
    by_agent = session_of(stage)
    for value in ("session=", "session", "my_session=abc", "a=session"):
        assert session_of(stage, cookie=value) == by_agent
    assert session_of(stage, x_session_id="") == by_agent


def test_cookies_in_two_headers_are_seen_as_one(stage: Stage) -> None:
    app = stage.wrap(ok)
    for pairs in ([b"a=1; session=abc"], [b"a=1", b"session=abc"], [b"session=abc", b"a=1"]):
        play(app, http_scope(headers=[(b"cookie", pair) for pair in pairs]))
    assert len({row["session_id"] for row in stage.rows()}) == 1


def test_without_a_name_the_session_is_a_hash_of_day_address_and_agent(stage: Stage) -> None:
    here = session_of(stage)
    assert session_of(stage) == here
    assert session_of(stage, user_agent="another") != here
    ask(stage.wrap(ok), headers=BROWSER, client=("198.51.100.1", 1))
    assert stage.rows()[-1]["session_id"] != here
    stage.set()
    assert session_of(stage) == here


@pytest.mark.parametrize(
    ("headers", "lasts"),
    [({}, False), ({"cookie": "session=abc"}, True), ({"x-session-id": "abc"}, True)],
)
def test_the_next_day_only_a_named_session_is_the_same(
    lake: Lake, headers: dict[str, str], lasts: bool
) -> None:
    days = iter(range(1, 100))
    now = [1_755_187_200_000_000_000]
    environ = {"LAKEWARD_KEEPER": "thread", **lake.env}
    collector = Collector(load(environ, lake.root.parent), now_ns=lambda: now[0])
    stage = Stage(lake)
    stage.collector = collector
    app = stage.wrap(ok)
    for _ in range(2):
        ask(app, headers=headers)
        ask(app, headers=headers)
        now[0] += next(days) * DAY_NS
    sessions = [row["session_id"] for row in stage.rows()]
    collector.close()
    assert sessions[0] == sessions[1]
    assert sessions[2] == sessions[3]
    assert (sessions[0] == sessions[2]) is lasts


def test_no_cookie_is_ever_set(stage: Stage) -> None:
    for headers in ({}, {"cookie": "session=abc"}, {"x-session-id": "abc"}):
        assert "set-cookie" not in ask(stage.wrap(ok), headers=headers).headers


# The address


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "address"),
    [
        ("", "10.0.0.1", "198.51.100.9", "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", "198.51.100.9", "198.51.100.9"),
        ("10.0.0.0/8", "203.0.113.7", "198.51.100.9", "203.0.113.7"),
        ("10.0.0.0/8", "10.0.0.1", "1.1.1.1, 198.51.100.9", "198.51.100.9"),
        ("10.0.0.0/8", "10.0.0.1", "1.1.1.1,198.51.100.9 , 10.0.0.2", "198.51.100.9"),
        ("10.0.0.0/8", "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.0/8", "10.0.0.1", "garbage", "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", "198.51.100.9, garbage, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.0/8", "10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", ",,", "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", "198.51.100.9:443", "198.51.100.9"),
        ("10.0.0.0/8", "10.0.0.1", "[2001:db8::9]:443", "2001:db8::9"),
        ("10.0.0.0/8", "10.0.0.1", "2001:db8::9", "2001:db8::9"),
        ("10.0.0.0/8", "::ffff:10.0.0.1", "198.51.100.9", "198.51.100.9"),
        ("::1,10.0.0.1", "::1", "198.51.100.9", "198.51.100.9"),
        ("*", "203.0.113.7", "198.51.100.9, 198.51.100.8", "198.51.100.9"),
        ("*", None, "198.51.100.9", "198.51.100.9"),
        ("10.0.0.0/8", None, "198.51.100.9", None),
    ],
)
def test_only_a_trusted_peer_may_name_another_address(
    stage: Stage, trusted: str, peer: str | None, forwarded: str, address: str | None
) -> None:
    stage.set(LAKEWARD_TRUSTED_PROXIES=trusted)
    headers = [(b"x-forwarded-for", forwarded.encode())]
    play(stage.wrap(ok), http_scope(headers=headers, client=peer and (peer, 1)))
    assert stage.row()["ip_address"] == address


def test_a_forwarded_address_in_two_headers_is_read_in_their_order(stage: Stage) -> None:
    stage.set(LAKEWARD_TRUSTED_PROXIES="10.0.0.0/8")
    headers = [(b"x-forwarded-for", b"1.1.1.1, 198.51.100.9"), (b"x-forwarded-for", b"10.0.0.2")]
    play(stage.wrap(ok), http_scope(headers=headers, client=("10.0.0.1", 1)))
    assert stage.row()["ip_address"] == "198.51.100.9"


def test_the_session_belongs_to_the_address_behind_the_proxy(stage: Stage) -> None:
    stage.set(LAKEWARD_TRUSTED_PROXIES="10.0.0.0/8")
    app = stage.wrap(ok)
    for address in ("198.51.100.1", "198.51.100.2"):
        ask(app, headers=BROWSER | {"x-forwarded-for": address}, client=("10.0.0.1", 1))
    first, second = (row["session_id"] for row in stage.rows())
    assert first != second


@pytest.mark.parametrize(
    ("policy", "address"), [("full", "203.0.113.7"), ("truncate", "203.0.113.0"), ("none", None)]
)
def test_the_address_is_stored_as_the_setting_says(
    stage: Stage, policy: str, address: str | None
) -> None:
    stage.set(LAKEWARD_IP=policy)
    ask(stage.wrap(ok))
    assert stage.row()["ip_address"] == address
    if policy != "full":
        assert b"203.0.113.7" not in stage.stored()


def test_a_hashed_address_is_the_same_all_day_and_is_none(stage: Stage) -> None:
    stage.set(LAKEWARD_IP="hash")
    app = stage.wrap(ok)
    for client in (("203.0.113.7", 1), ("203.0.113.7", 2), ("203.0.113.8", 1)):
        ask(app, client=client)
    first, second, third = (row["ip_address"] for row in stage.rows())
    assert first == second != third
    assert b"203.0.113.7" not in stage.stored()


# Consent


def calls(
    stage: Stage, headers: dict[str, str], consent: Callable[[Scope], Any] | None = None
) -> None:
    """One call that tells everything about who makes it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["user"] = SimpleUser("ann")
        await receive()
        await answer(send)

    rule = BodyRule("/call")
    wrapped = stage.wrap(app, consent=consent, bodies=[rule], user=lambda scope: ("ann", "staff"))
    ask(
        wrapped,
        "/call?page=2",
        "POST",
        json={"who": "ann"},
        headers=BROWSER | {"cookie": "session=abc", "x-who": "ann"} | headers,
    )


def assert_kept(stage: Stage, kept: str) -> None:
    """What became of the one call that was made."""
    rows = stage.rows()
    if kept == "none":
        assert rows == []
        assert stage.reasons() == {"consent": 1}
        assert stage.lake.audit().sum["excluded"] == 1
        return
    (row,) = rows
    assert row["query_params"] == {"page": "2"}
    who = ["ip_address", "user_agent", "session_id", "headers", "request_body"]
    if kept == "full":
        assert all(row[name] for name in who)
        assert (row["user_id"], row["user_type"]) == ("ann", "staff")
    else:
        assert [row.get(name) for name in who] == [None] * 5
        assert (row["user_id"], row["user_type"]) == ("anonymous", "unknown")
        assert b"ann" not in stage.stored()


@pytest.mark.parametrize("signal", ["sec-gpc", "dnt"])
@pytest.mark.parametrize("kept", ["full", "anonymous", "none"])
def test_a_privacy_signal_leaves_what_the_setting_allows(
    stage: Stage, signal: str, kept: str
) -> None:
    stage.set(LAKEWARD_PRIVACY_SIGNAL=kept, LAKEWARD_HEADERS="x-who")
    calls(stage, {signal: "1"})
    assert_kept(stage, kept)


@pytest.mark.parametrize("signal", [{}, {"sec-gpc": "0"}, {"dnt": "0"}, {"dnt": "unspecified"}])
def test_without_the_signal_everything_is_recorded(stage: Stage, signal: dict[str, str]) -> None:
    stage.set(LAKEWARD_PRIVACY_SIGNAL="none", LAKEWARD_HEADERS="x-who")
    calls(stage, signal)
    assert_kept(stage, "full")


@pytest.mark.parametrize(
    ("default", "said", "kept"),
    [
        ("full", "full", "full"),
        ("full", "anonymous", "anonymous"),
        ("full", "none", "none"),
        ("none", None, "none"),
        ("none", "full", "full"),
        ("anonymous", None, "anonymous"),
        ("full", "denied", "none"),
        ("full", False, "none"),
        ("full", True, "none"),
    ],
)
def test_the_apps_word_on_consent_goes_before_the_default_and_nonsense_is_no_yes(
    stage: Stage, default: str, said: Any, kept: str
) -> None:
    stage.set(LAKEWARD_CONSENT=default, LAKEWARD_HEADERS="x-who")
    calls(stage, {}, consent=lambda scope: said)
    assert_kept(stage, kept)


def test_the_strictest_of_hook_and_signal_holds(stage: Stage) -> None:
    stage.set(LAKEWARD_PRIVACY_SIGNAL="anonymous", LAKEWARD_HEADERS="x-who")
    calls(stage, {"dnt": "1"}, consent=lambda scope: "full")
    assert_kept(stage, "anonymous")


def test_a_consent_hook_that_raises_is_no_yes(stage: Stage) -> None:
    def hook(scope: Scope) -> None:
        raise KeyError

    calls(stage, {}, consent=hook)
    assert_kept(stage, "none")


# What is recorded of headers and bodies


def test_only_the_listed_headers_are_recorded_and_secrets_never(stage: Stage) -> None:
    stage.set(LAKEWARD_HEADERS="X-Tag,authorization")
    sent = {"x-tag": "blue", "x-other": "red", "authorization": "Bearer hunter2secret"}
    ask(stage.wrap(ok), headers=sent)
    assert stage.row()["headers"] == {"x-tag": "blue", "authorization": "[REDACTED]"}
    assert b"hunter2secret" not in stage.stored()


async def reads(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the whole body, then answers with its length."""
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    await answer(send, str(size).encode())


def body_of(stage: Stage, path: str = "/in", rule: BodyRule | None = None, **sent: Any) -> Any:
    """The recorded body of one call."""
    rules = [rule or BodyRule("/in*")]
    ask(stage.wrap(reads, bodies=rules), path, "POST", **sent)
    return stage.rows()[-1].get("request_body")


def test_bodies_are_not_recorded_unless_asked_for(stage: Stage) -> None:
    ask(stage.wrap(reads), "/in", "POST", json={"a": 1})
    assert "request_body" not in stage.row()


def test_a_rule_lets_the_bodies_of_its_routes_and_types_be_recorded(stage: Stage) -> None:
    assert body_of(stage, json={"a": [1, None, "x"]}) == {"a": [1, None, "x"]}
    assert body_of(stage, "/in/deep", data={"a": ["1", "2"], "b": ""}) == {"a": ["1", "2"], "b": ""}
    assert body_of(stage, "/out", json={"a": 1}) is None
    assert body_of(stage, content=b"text", headers={"content-type": "text/plain"}) is None
    texts = BodyRule("/in", ("text/plain",))
    with_charset = {"content-type": "Text/Plain; charset=utf-8"}
    assert body_of(stage, rule=texts, content="grüße", headers=with_charset) == "grüße"
    patch = BodyRule("/in", ("application/merge-patch+json",))
    kind = {"content-type": "application/merge-patch+json"}
    assert body_of(stage, rule=patch, content=b'{"a": null}', headers=kind) == {"a": None}


@pytest.mark.parametrize("form", ["json", "data"])
def test_secrets_in_bodies_are_never_stored(stage: Stage, form: str) -> None:
    sent: Any = {form: {"user": "ann", "password": "hunter2secret"}}
    recorded = body_of(stage, **sent)
    assert recorded == {"user": "ann", "password": "[REDACTED]"}
    assert b"hunter2secret" not in stage.stored()


def test_of_a_body_that_is_too_large_only_a_marker_is_stored(stage: Stage) -> None:
    small = BodyRule("/in", most=20)
    assert body_of(stage, rule=small, json="x" * 18) == "x" * 18
    assert body_of(stage, rule=small, json="y" * 19) == "[too large: more than 20 bytes]"
    assert b"y" * 19 not in stage.stored()


@pytest.mark.parametrize(
    "raw", [b'{"a": ', b"\xff\xfe", b"[" * 5000, b'"\\ud800"', b"NaN", b"1e999999", b"9" * 5000]
)
def test_a_body_that_cannot_be_decoded_gives_a_marker_and_the_call_is_kept(
    stage: Stage, raw: bytes
) -> None:
    headers = {"content-type": "application/json"}
    recorded = body_of(stage, content=raw, headers=headers)
    assert recorded == f"[undecodable: {len(raw)} bytes]"
    assert stage.reasons() == {}


def test_a_body_in_chunks_is_put_together(stage: Stage) -> None:
    raw = json.dumps({"long": "x" * 5000, "password": "hunter2secret"}).encode()
    parts = [raw[at : at + 7] for at in range(0, len(raw), 7)]
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    headers = [(b"content-type", b"application/json")]
    scope = http_scope("/in", "POST", headers=headers)
    said = play(stage.wrap(reads, bodies=[BodyRule("/in")]), scope, *messages)
    assert said[1]["body"] == str(len(raw)).encode()
    row = stage.row()
    assert row["request_body"] == {"long": "x" * 5000, "password": "[REDACTED]"}
    assert row["request_bytes"] == len(raw)


def test_an_empty_body_and_one_the_app_never_read_are_left_out(stage: Stage) -> None:
    headers = {"content-type": "application/json"}
    assert body_of(stage, content=b"", headers=headers) is None
    ask(stage.wrap(ok, bodies=[BodyRule("/in")]), "/in", "POST", json={"a": 1})
    assert stage.rows()[-1].get("request_body") is None
    assert stage.rows()[-1]["request_bytes"] == 7


def test_an_app_gets_its_body_byte_for_byte(stage: Stage) -> None:
    got: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        got.append((await receive())["body"])
        await answer(send)

    ask(stage.wrap(app, bodies=[BodyRule("*")]), "/", "POST", content=b'{"password": "x"}',
        headers={"content-type": "application/json"})  # fmt: skip
    assert got == [b'{"password": "x"}']
    assert stage.row()["request_body"] == {"password": "[REDACTED]"}
