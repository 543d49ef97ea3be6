"""Logging in on a real server: the first admin, cookies, roles, lock-out, and what pages of other
origins get."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from commands import answer_of
from conftest import Lake, wait_until
from server_process import Serving, first_serving, serving

EMAIL, PASSWORD = "ada@example.com", "the quick brown lake"
LINK = re.compile(r"make yourself the admin \(once, within 24 h\): (\S+)/\?welcome=(\S+)")


def people(lake: Lake, *arguments: str, typed: str = "", fails: bool = False) -> Any:
    """`lakeward people … --format json`; with `fails`, what it says on stderr."""
    if not fails:
        return answer_of(lake, "people", *arguments, typed=typed)
    command = [sys.executable, "-m", "lakeward.cli", "people", *arguments, "--format", "json"]
    done = subprocess.run(command, env=lake.process_env(), cwd=lake.root.parent, input=typed,
                          capture_output=True, text=True, timeout=120)  # fmt: skip
    assert done.returncode == 2, done.stdout
    return done.stderr


def added(lake: Lake, email: str, *more: str, password: str = PASSWORD) -> str:
    """A person with a password; the id."""
    who = people(lake, "add", email, "--password-stdin", *more, typed=password + "\n")
    person_id: str = who["person_id"]
    return person_id


def logged_in(server: Serving, email: str = EMAIL, password: str = PASSWORD) -> httpx.Client:
    """A browser's worth of client."""
    with server.client() as client:
        answer = client.post("/v1/login", json={"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        return server.client(cookies=client.cookies)


def first_link(server: Serving) -> str:
    wait_until(lambda: LINK.search(server.output.read_text()) is not None, what="the link")
    found = LINK.search(server.output.read_text())
    assert found is not None
    assert found[1] == server.url
    return found[2]


def audited(lake: Lake) -> list[tuple[str, str]]:
    return [(e["action"], e["subject"]) for e in people(lake, "audit")["audit"]]


# The first admin


def test_the_first_start_prints_a_link_that_makes_one_admin_and_no_second(lake: Lake) -> None:
    with first_serving(lake) as server, server.client() as client:
        token = first_link(server)
        assert client.get("/v1/me").json() == {"who": "anyone"}
        assert client.get("/v1/live/hour").status_code == 200  # a quick start asks for nothing
        said = {"token": token, "email": "Ada@Example.com", "password": PASSWORD}
        me = client.post("/v1/welcome", json=said)
        assert me.status_code == 200, me.text
        assert (me.json()["email"], me.json()["role"]) == (EMAIL, "admin")
        other = {"token": token, "email": "eve@example.com", "password": PASSWORD}
        with server.client() as stranger:
            again = stranger.post("/v1/welcome", json=other)
            assert (again.status_code, again.json()["code"]) == (403, "bad_link")
            wait_until(
                lambda: stranger.get("/v1/live/hour").status_code == 401, what="a closed door"
            )
            assert stranger.get("/v1/me").json() == {"who": "nobody"}
            assert stranger.get("/health").status_code == 200
            assert stranger.post("/v1/interactions", json=[]).status_code == 401
        assert client.get("/v1/live/hour").status_code == 200
        assert client.get("/metrics").status_code == 200
        who = me.json()["person_id"]
    assert b"welcome=" not in lake.root.joinpath(".lakeward", "app.db").read_bytes()
    assert token.encode() not in b"".join(
        path.read_bytes() for path in lake.root.rglob("*") if path.is_file()
    )
    assert [pair for pair in audited(lake) if pair[0] != "login.fail"] == [
        ("link.make", "first admin"), ("person.add", who), ("login.open", who)
    ]  # fmt: skip


def test_a_restart_without_an_admin_ends_the_old_link_and_with_one_prints_none(
    lake: Lake,
) -> None:
    with serving(lake) as server:
        old = first_link(server)
    with serving(lake) as server, server.client() as client:
        new = first_link(server)
        assert new != old
        said = {"token": old, "email": EMAIL, "password": PASSWORD}
        assert client.post("/v1/welcome", json=said).status_code == 403
        assert client.post("/v1/welcome", json=said | {"token": new}).status_code == 200
    with serving(lake) as server, logged_in(server) as client:
        assert client.get("/v1/me").json()["who"] == "person"
        assert "make yourself" not in server.output.read_text()


def test_beyond_the_loopback_a_server_starts_with_a_person_and_not_with_nobody(
    lake: Lake,
) -> None:
    command = [sys.executable, "-m", "lakeward.cli", "serve", "--port", "0", "--host", "0.0.0.0"]
    done = subprocess.run(command, env=lake.process_env(), cwd=lake.root.parent,
                          capture_output=True, text=True, timeout=120)  # fmt: skip
    assert done.returncode == 2
    assert "there is no key yet" in done.stderr
    assert "lakeward people add" in done.stderr
    added(lake, EMAIL)
    with serving(lake, "--host", "0.0.0.0", LAKEWARD_ALLOWED_HOSTS="*") as server:
        assert httpx.get(f"http://127.0.0.1:{server.port}/v1/summary").status_code == 401


# Logging in and out


@pytest.fixture(scope="module")
def peopled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lake, Serving]]:
    """A server with an admin, trusting a proxy on this machine."""
    folder = tmp_path_factory.mktemp("peopled")
    lake = Lake(folder / "data-lake", folder / "rings")
    (folder / "rings").mkdir(mode=0o700)
    added(lake, EMAIL)
    with serving(lake, "--workers", "2", LAKEWARD_TRUSTED_PROXIES="127.0.0.1") as server:
        yield lake, server
    lake.close()


def test_a_login_is_a_cookie_that_no_script_and_no_other_site_gets(
    peopled: tuple[Lake, Serving],
) -> None:
    lake, server = peopled
    with server.client() as client:
        answer = client.post("/v1/login", json={"email": " ADA@example.com", "password": PASSWORD})
        assert answer.status_code == 200
        cookie = answer.headers["set-cookie"]
        found = re.fullmatch(
            r"lakeward=([\w-]{43}); Path=/; Max-Age=604800; HttpOnly; SameSite=Strict", cookie
        )
        assert found, cookie
        assert answer.headers["cache-control"] == "no-store"
        me = client.get("/v1/me").json()
        assert (me["who"], me["email"], me["role"]) == ("person", EMAIL, "admin")
        for path in ("/v1/summary", "/v1/live/hour", "/metrics"):
            assert client.get(path).status_code == 200
    stored = b"".join(path.read_bytes() for path in lake.root.rglob("*") if path.is_file())
    assert found[1].encode() not in stored
    assert PASSWORD.encode() not in stored
    assert b"$argon2id$" in stored


def test_over_https_the_cookie_is_bound_to_the_host(peopled: tuple[Lake, Serving]) -> None:
    _, server = peopled
    https = {"x-forwarded-proto": "https"}
    said = {"email": EMAIL, "password": PASSWORD}
    with server.client(headers=https) as client:
        answer = client.post("/v1/login", json=said)
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-lakeward=")
        assert cookie.endswith("; Secure")
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        ticket = cookie.partition("=")[2].partition(";")[0]
        client.cookies.clear()
        right, planted = (f"{name}={ticket}" for name in ("__Host-lakeward", "lakeward"))
        assert client.get("/v1/summary", headers={"cookie": right}).status_code == 200
        assert client.get("/v1/summary", headers={"cookie": planted}).status_code == 401
    with server.client() as client:
        assert client.get("/v1/summary", headers={"cookie": right}).status_code == 401
        assert "strict-transport-security" not in client.get("/health").headers


def test_a_cookie_never_sends_anything_into_the_lake(peopled: tuple[Lake, Serving]) -> None:
    _, server = peopled
    with logged_in(server) as client:
        event = [{"interaction_type": "page_view", "url": "https://app.example.com/"}]
        answer = client.post("/v1/interactions", json=event)
        assert (answer.status_code, answer.json()["code"]) == (401, "no_key")


def test_unknown_people_and_wrong_passwords_get_the_same_answer(
    peopled: tuple[Lake, Serving],
) -> None:
    _, server = peopled
    with server.client() as client:
        answers = [
            client.post("/v1/login", json={"email": email, "password": "not the password"})
            for email in (EMAIL, "nobody@example.com", "no address", "\x00@example.com")
        ]
    assert {a.status_code for a in answers} == {401}
    assert len({a.content for a in answers}) == 1
    kept = ("set-cookie", "retry-after")
    assert not any(name in a.headers for a in answers for name in kept)


def test_logging_out_ends_this_login_and_everywhere_ends_all(
    peopled: tuple[Lake, Serving],
) -> None:
    _, server = peopled
    one, two, three = logged_in(server), logged_in(server), logged_in(server)
    ticket = one.cookies["lakeward"]
    left = one.post("/v1/logout", json={})
    assert left.json() == {"who": "nobody"}
    assert "lakeward=; Path=/; Max-Age=0" in left.headers["set-cookie"]
    copied = {"cookie": f"lakeward={ticket}"}
    wait_until(lambda: one.get("/v1/summary", headers=copied).status_code == 401, what="the end")
    assert two.get("/v1/summary").status_code == 200
    two.post("/v1/logout", json={"everywhere": True})
    wait_until(lambda: three.get("/v1/summary").status_code == 401, what="the end of all")
    assert three.post("/v1/logout", json={}).json() == {"who": "nobody"}
    for client in (one, two, three):
        client.close()


def test_another_password_ends_the_other_logins(lake: Lake) -> None:
    added(lake, EMAIL)
    with serving(lake) as server:
        here, there = logged_in(server), logged_in(server)
        wrong = here.post("/v1/password", json={"old": "not this one", "new": "another lake now"})
        assert (wrong.status_code, wrong.json()["code"]) == (401, "wrong_login")
        for weak in ("short", EMAIL, "password1234", "abababababab", "x" * 129):
            answer = here.post("/v1/password", json={"old": PASSWORD, "new": weak})
            assert (answer.status_code, answer.json()["code"]) == (400, "bad_password")
        done = here.post("/v1/password", json={"old": PASSWORD, "new": "another lake now"})
        assert done.status_code == 200, done.text
        assert here.get("/v1/summary").status_code == 200
        wait_until(lambda: there.get("/v1/summary").status_code == 401, what="the other's end")
        logged_in(server, password="another lake now").close()
        with server.client() as client:
            old = client.post("/v1/login", json={"email": EMAIL, "password": PASSWORD})
            assert old.status_code == 401
            nobody = client.post("/v1/password", json={"old": PASSWORD, "new": "a lake of mine"})
            assert (nobody.status_code, nobody.json()["code"]) == (401, "no_login")
        here.close()
        there.close()


def test_a_disabled_person_is_out_at_once_in_the_middle_of_a_stream_too(lake: Lake) -> None:
    added(lake, EMAIL)
    with serving(lake, "--workers", "2") as server, logged_in(server) as client:
        with client.stream("GET", "/v1/live") as stream:
            assert stream.status_code == 200
            people(lake, "disable", EMAIL)
            for _ in stream.iter_bytes():  # ends: the client would wait for its timeout
                pass
        assert client.get("/v1/summary").status_code == 401
        with server.client() as again:
            answer = again.post("/v1/login", json={"email": EMAIL, "password": PASSWORD})
            assert (answer.status_code, answer.json()["code"]) == (401, "wrong_login")
        people(lake, "enable", EMAIL)
        assert client.get("/v1/summary").status_code == 401  # its logins are gone for good
        logged_in(server).close()


# Too many attempts


def test_ten_failures_shut_a_person_out_whoever_tries_and_a_restart_opens_nothing(
    lake: Lake,
) -> None:
    added(lake, EMAIL)
    for email in (EMAIL, "nobody@example.com"):
        with serving(lake) as server, server.client() as client:
            wrong = {"email": email, "password": "not the password"}
            codes = [client.post("/v1/login", json=wrong).status_code for _ in range(11)]
            assert codes == [401] * 10 + [429]
    with serving(lake) as server, server.client() as client:
        locked = client.post("/v1/login", json={"email": EMAIL, "password": PASSWORD})
        assert (locked.status_code, locked.json()["code"]) == (429, "locked")
        assert 0 < int(locked.headers["retry-after"]) <= 900
    actions = [action for action, _ in audited(lake)]
    assert actions.count("login.fail") == 18
    assert actions.count("login.lock") == 2
    assert EMAIL not in str(people(lake, "audit"))


def test_ten_failures_shut_an_address_out_and_no_other(peopled: tuple[Lake, Serving]) -> None:
    _, server = peopled
    with server.client(headers={"x-forwarded-for": "203.0.113.7"}) as client:
        for n in range(10):
            said = {"email": f"guess{n}@example.com", "password": "not the password"}
            assert client.post("/v1/login", json=said).status_code == 401
        right = {"email": EMAIL, "password": PASSWORD}
        assert client.post("/v1/login", json=right).status_code == 429
        link = {"token": "A" * 43, "email": EMAIL, "password": PASSWORD}
        assert client.post("/v1/welcome", json=link).status_code == 429
        other = {"x-forwarded-for": "203.0.113.8"}
        assert client.post("/v1/login", json=right, headers=other).status_code == 200


# Pages of other origins


FOREIGN: list[dict[str, str]] = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
]


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("path", ["login", "logout", "welcome", "password"])
def test_no_page_of_another_origin_logs_anybody_in_or_out(
    peopled: tuple[Lake, Serving], path: str, foreign: dict[str, str]
) -> None:
    _, server = peopled
    with logged_in(server) as client:
        said = {"email": EMAIL, "password": PASSWORD, "token": "A" * 43, "old": "", "new": ""}
        answer = client.post(f"/v1/{path}", json=said, headers=foreign)
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")
        assert "set-cookie" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers
        assert client.get("/v1/summary").status_code == 200
        read = client.get("/v1/summary", headers=foreign)
        assert read.status_code == 401  # its cookie is not looked at


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_what_a_form_can_send_is_no_login(peopled: tuple[Lake, Serving], kind: str) -> None:
    _, server = peopled
    with server.client() as client:
        content = json.dumps({"email": EMAIL, "password": PASSWORD})
        answer = client.post("/v1/login", content=content, headers={"content-type": kind})
        assert (answer.status_code, answer.json()["code"]) == (415, "not_json")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"email": 1}', b"\xff", b"[" * 5000])
def test_a_body_that_is_none_is_named_without_being_quoted(
    peopled: tuple[Lake, Serving], body: bytes
) -> None:
    _, server = peopled
    with server.client() as client:
        answer = client.post(
            "/v1/login", content=body, headers={"content-type": "application/json"}
        )
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_body")
        assert answer.json()["message"] == "This takes a JSON object of: email, password."
        large = client.post("/v1/login", json={"email": EMAIL, "password": "x" * 9000})
        assert large.status_code == 413


def test_the_page_may_be_reached_by_its_public_address(lake: Lake) -> None:
    added(lake, EMAIL)
    public = "https://data.example.com"
    with serving(lake, LAKEWARD_PUBLIC_URL=public) as server, server.client() as client:
        said = {"email": EMAIL, "password": PASSWORD}
        answer = client.post("/v1/login", json=said, headers={"origin": public})
        assert answer.status_code == 200
        assert answer.headers["set-cookie"].startswith("__Host-lakeward=")
        link = people_with(lake, public)
        assert link.startswith(f"{public}/?welcome=")


def people_with(lake: Lake, public: str) -> str:
    command = [sys.executable, "-m", "lakeward.cli", "people", "link", EMAIL]
    done = subprocess.run(
        command, env=lake.process_env(LAKEWARD_PUBLIC_URL=public), cwd=lake.root.parent,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return done.stdout.strip()


# Headers


def test_every_answer_says_what_keeps_it_safe(peopled: tuple[Lake, Serving]) -> None:
    _, server = peopled
    with server.client() as client:
        page = client.get("/")
        static = re.search(r'src="(/static/[^"]+)"', page.text)
        assert static is not None
        answers = [
            page, client.get(static[1]), client.get("/nothing"), client.get("/static/a/b"),
            client.get("/health"), client.get("/openapi.json"), client.get("/v1/summary"),
            client.put("/v1/login"), client.post("/v1/login"), client.get("/v1/me"),
            client.get("/health", headers={"host": "evil.example"}),
            client.options("/v1/interactions", headers={"origin": "https://a.example"}),
            client.head("/"), client.get("/lakeward.js"),
        ]  # fmt: skip
    for headers in (*(answer.headers for answer in answers), no_http(server)):
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "camera=()" in headers["permissions-policy"]
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "*" not in policy
        assert "server" not in headers


def no_http(server: Serving) -> httpx.Headers:
    """The headers of the answer to what is no HTTP."""
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        connection.sendall(b"what is this\r\n\r\n")
        head = connection.makefile("rb").read().partition(b"\r\n\r\n")[0]
    status, *lines = head.decode().split("\r\n")
    assert " 400 " in status
    return httpx.Headers({name: value for name, _, value in (x.partition(": ") for x in lines)})


# Many at once


def test_many_logins_at_once_are_turned_away_and_slow_nothing_that_is_sent(lake: Lake) -> None:
    keys = [
        sys.executable,
        "-m",
        "lakeward.cli",
        "keys",
        "create",
        "--kind",
        "write",
        "--name",
        "w",
    ]
    made = subprocess.run(keys, env=lake.process_env(), cwd=lake.root.parent, check=True,
                          capture_output=True, text=True, timeout=120)  # fmt: skip
    with serving(lake) as server, server.client() as client:
        codes: list[int] = []

        def tries(n: int) -> None:
            said = {"email": f"x{n}@example.com", "password": "not the password"}
            answer = httpx.post(f"{server.url}/v1/login", json=said, timeout=120)
            codes.append(answer.status_code)
            if answer.status_code == 503:
                assert answer.headers["retry-after"] == "1"

        threads = [threading.Thread(target=tries, args=(n,)) for n in range(50)]
        for thread in threads:
            thread.start()
        bearer = {"authorization": f"Bearer {made.stdout.strip()}"}
        event = [{"interaction_type": "page_view", "url": "https://app.example.com/"}]
        assert client.post("/v1/interactions", json=event, headers=bearer).json()["accepted"] == 1
        for thread in threads:
            thread.join()
    assert len(codes) == 50
    assert set(codes) == {401, 503}
