"""Logging in through an identity provider: a real server, a real provider, and what either may be
told that is not so."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from conftest import Lake
from identity_provider import (
    CLIENT,
    SECRET,
    IdentityProvider,
    changed,
    identity_provider,
    new_key,
    signed_by_public_key,
    unsigned,
)
from lakeward.settings import load
from lakeward.store.database import open_database
from lakeward.store.people import People
from server_process import Serving, serving
from servers import free_port
from test_login import audited, people

EMAIL = "ada@example.com"
ADA = {"sub": "ada-at-the-provider", "email": EMAIL, "email_verified": True}


def settings(provider: IdentityProvider, port: int, **more: str) -> dict[str, str]:
    return {
        "LAKEWARD_OIDC_ISSUER": provider.url, "LAKEWARD_OIDC_CLIENT_ID": CLIENT,
        "LAKEWARD_OIDC_CLIENT_SECRET": SECRET,
        "LAKEWARD_PUBLIC_URL": f"http://127.0.0.1:{port}", **more,
    }  # fmt: skip


@pytest.fixture(scope="module")
def desk() -> Iterator[IdentityProvider]:
    with identity_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def running(
    desk: IdentityProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Lake, Serving]]:
    folder = tmp_path_factory.mktemp("oidc")
    lake = Lake(folder / "data-lake", folder / "rings")
    (folder / "rings").mkdir(mode=0o700)
    port = free_port()
    with open_database(load(lake.env)) as database:
        for email in (EMAIL, *(f"p{number}@example.com" for number in range(12))):
            People(database).add(email, "admin", actor="tests")
    with serving(lake, "--port", str(port), "--workers", "2", **settings(desk, port)) as server:
        yield lake, server
    lake.close()


@pytest.fixture
def provider(desk: IdentityProvider) -> IdentityProvider:
    desk.reset()
    desk.person = dict(ADA)
    return desk


@pytest.fixture
def server(running: tuple[Lake, Serving]) -> Serving:
    return running[1]


def sent(client: httpx.Client, path: str = "/v1/login/oidc") -> str:
    """Where the server sends a browser that wants in."""
    answer = client.get(path)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def returned(client: httpx.Client) -> str:
    """Where the provider sends the browser back to."""
    answer = client.get(sent(client))
    assert answer.status_code == 302, answer.text
    return str(answer.headers["location"])


def landed(client: httpx.Client, back: str | None = None) -> str:
    """Where the browser is in the end: what the page's address says behind the question mark."""
    answer = client.get(back or returned(client))
    assert answer.status_code == 303, answer.text
    assert answer.content == b""
    page, _, said = answer.headers["location"].partition("?")
    assert page == f"{client.base_url}".rstrip("/") + "/"
    return str(said)


def who(client: httpx.Client) -> dict[str, Any]:
    said: dict[str, Any] = client.get("/v1/me").json()
    assert said["oidc"] is True
    return said


# In


def test_a_person_whom_the_provider_vouches_for_is_in(
    provider: IdentityProvider, server: Serving
) -> None:
    with server.client() as client:
        assert who(client) == {"who": "nobody", "oidc": True}
        back = returned(client)
        answer = client.get(back)
        cookies = answer.headers.get_list("set-cookie")
        assert re.fullmatch(
            r"lakeward=[\w-]{43}; Path=/; Max-Age=604800; HttpOnly; SameSite=Strict", cookies[1]
        )
        assert cookies[0] == "lakeward-oidc=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
        assert answer.headers["location"] == server.url + "/"
        assert (answer.headers["cache-control"], answer.headers["referrer-policy"]) == (
            "no-store", "no-referrer"
        )  # fmt: skip
        assert who(client)["email"] == EMAIL
        assert client.get("/v1/live/hour").status_code == 200
        assert client.post("/v1/logout", json={}).status_code == 200
        assert who(client)["who"] == "nobody"


def test_a_person_is_known_again_by_the_providers_name_whatever_the_address_is_now(
    provider: IdentityProvider, server: Serving
) -> None:
    provider.person |= {"sub": "p0", "email": "p0@example.com"}
    with server.client() as client:
        assert landed(client) == ""
        person_id = who(client)["person_id"]
    provider.person = {"sub": "p0", "email": "married@example.com", "email_verified": False}
    with server.client() as client:
        assert landed(client) == ""
        assert who(client)["person_id"] == person_id


def test_another_account_of_the_provider_with_the_same_address_does_not_get_in(
    provider: IdentityProvider, server: Serving
) -> None:
    provider.person |= {"sub": "p1", "email": "p1@example.com"}
    with server.client() as client:
        assert landed(client) == ""
    provider.person["sub"] = "made-later-under-the-same-address"
    with server.client() as client:
        assert landed(client) == "refused=unknown_person"
        assert who(client)["who"] == "nobody"


def test_an_address_that_only_the_userinfo_tells_will_do(
    provider: IdentityProvider, server: Serving
) -> None:
    provider.person = {"sub": "p2"}
    provider.userinfo = {"sub": "p2", "email": "P2@Example.com", "email_verified": True}
    with server.client() as client:
        assert landed(client) == ""
        assert who(client)["email"] == "p2@example.com"


def test_keys_that_the_provider_changes_meanwhile_are_looked_up(
    provider: IdentityProvider, server: Serving
) -> None:
    provider.person |= {"sub": "p3", "email": "p3@example.com"}
    with server.client() as client:
        back = returned(client)
        provider.key = provider.signer = new_key(f"later-{time.time_ns()}")
        assert landed(client, back) == ""


def test_a_reset_lets_another_account_of_the_provider_take_the_place(
    provider: IdentityProvider, running: tuple[Lake, Serving]
) -> None:
    lake, server = running
    provider.person |= {"sub": "p9", "email": "p9@example.com"}
    with server.client() as client:
        assert landed(client) == ""
    people(lake, "reset", "p9@example.com")
    provider.person |= {"sub": "p9-moved"}
    with server.client() as client:
        assert landed(client) == ""
        assert who(client)["email"] == "p9@example.com"
    provider.person |= {"sub": "p9"}
    with server.client() as client:
        assert landed(client) == "refused=unknown_person"


# What a browser may be sent with


def test_every_login_has_words_of_its_own_and_none_that_tells_of_another(
    provider: IdentityProvider, server: Serving
) -> None:
    words: list[str] = []
    for _ in range(2):
        with server.client() as client:
            location = sent(client)
            asked = {name: each[0] for name, each in parse_qs(urlsplit(location).query).items()}
            ticket = client.cookies["lakeward-oidc"]
        assert location.startswith(f"{provider.url}/authorize?tenant=t&")
        assert asked["scope"] == "openid email"
        assert asked["redirect_uri"] == f"{server.url}/v1/login/oidc/callback"
        assert asked["code_challenge_method"] == "S256"
        words += [ticket, asked["state"], asked["nonce"], asked["code_challenge"]]
        assert ticket not in location
    assert len(set(words)) == len(words)
    assert all(re.fullmatch(r"[\w-]{43}", word) for word in words)


@pytest.mark.parametrize("state", ["", "x", "A" * 43, "\u00e9", "\x00"])
def test_a_wrong_state_lets_nobody_in_and_does_not_end_the_login_that_is_on_its_way(
    provider: IdentityProvider, server: Serving, state: str
) -> None:
    with server.client() as client:
        back = returned(client)
        right = parse_qs(urlsplit(back).query)
        wrong = httpx.URL("/v1/login/oidc/callback", params={"code": right["code"][0],
                                                             "state": state})  # fmt: skip
        assert landed(client, str(wrong)) == "refused=failed"
        assert landed(client, f"{back}&state=twice") == "refused=failed"
        assert landed(client, back) == ""


def test_a_browser_that_was_not_sent_there_is_not_let_in(
    provider: IdentityProvider, server: Serving
) -> None:
    with server.client() as client, server.client() as victim:
        back = returned(client)
        assert landed(victim, back) == "refused=failed"  # an attacker's own address, clicked
        victim.cookies.set("lakeward-oidc", "short", domain="127.0.0.1")
        assert landed(victim, back) == "refused=failed"
        sent(victim)
        assert landed(victim, back) == "refused=failed"
        assert who(victim)["who"] == "nobody"


def test_a_stolen_code_is_of_no_use_in_another_login(
    provider: IdentityProvider, server: Serving
) -> None:
    with server.client() as client, server.client() as thief:
        code = parse_qs(urlsplit(returned(client)).query)["code"][0]
        own = parse_qs(urlsplit(returned(thief)).query)["state"][0]
        used = str(httpx.URL("/v1/login/oidc/callback", params={"code": code, "state": own}))
        assert landed(thief, used) == "refused=failed"
        assert who(thief)["who"] == "nobody"


def test_an_address_of_the_way_back_works_once(provider: IdentityProvider, server: Serving) -> None:
    with server.client() as client:
        back = returned(client)
        ticket = client.cookies["lakeward-oidc"]
        assert landed(client, back) == ""
        client.cookies.clear()
        assert landed(client, back) == "refused=failed"
        client.cookies.set("lakeward-oidc", ticket, domain="127.0.0.1")
        assert landed(client, back) == "refused=failed"
        assert who(client)["who"] == "nobody"


def test_nothing_in_a_request_says_where_a_browser_is_sent(
    provider: IdentityProvider, server: Serving
) -> None:
    evil = "//evil.example"
    more = f"next={evil}&redirect_uri={evil}&return_to={evil}"
    headers = {"x-forwarded-host": "evil.example", "x-forwarded-proto": "https", "referer": evil}
    with server.client(headers=headers) as client:
        location = sent(client, f"/v1/login/oidc?{more}")
        assert location.startswith(provider.url)
        assert "evil" not in location
        back = str(client.get(location).headers["location"])
        assert landed(client, f"{back}&{more}&iss={evil}") == ""
        assert landed(client, f"{back}&{more}") == "refused=failed"
        assert landed(client, "/v1/login/oidc/callback?" + "&".join(["a=b"] * 99)) == (
            "refused=failed"
        )


def test_only_get_goes_there_and_back(provider: IdentityProvider, server: Serving) -> None:
    with server.client() as client:
        back = returned(client)
        assert client.head(back).status_code == 405
        assert client.post(back, json={}).status_code == 405
        assert landed(client, back) == ""  # none of them used the code up


# What a provider may say


LIES: dict[str, dict[str, Any]] = {
    "nonce": {"nonce": "of-another-login"},
    "no nonce": {"nonce": None},
    "aud": {"aud": "another-client"},
    "aud with azp": {"aud": "another-client", "azp": CLIENT},
    "no aud": {"aud": None},
    "auds without azp": {"aud": [CLIENT, "another-client"]},
    "auds with azp": {"aud": [CLIENT, "another-client"], "azp": "another-client"},
    "iss": {"iss": "https://another.example"},
    "no iss": {"iss": None},
    "expired": {"exp": int(time.time()) - 3600},
    "no exp": {"exp": None},
    "exp in words": {"exp": "never"},
    "of tomorrow": {"iat": int(time.time()) + 86_400},
    "not before tomorrow": {"nbf": int(time.time()) + 86_400},
    "no sub": {"sub": None},
    "empty sub": {"sub": ""},
    "long sub": {"sub": "x" * 256},
    "sub with a null": {"sub": "a\x00b"},
    "sub of numbers": {"sub": 7},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_token_that_does_not_fit_lets_nobody_in(
    provider: IdentityProvider, server: Serving, lie: str
) -> None:
    provider.lies = LIES[lie]
    with server.client() as client:
        assert landed(client) == "refused=failed"
        assert who(client)["who"] == "nobody"


MADE = {
    "alg none": unsigned,
    "the public key as a secret": signed_by_public_key,
    "changed": changed,
    "no token": lambda provider, claims: "",
    "no words": lambda provider, claims: "a.b.c",
}


@pytest.mark.parametrize("made", MADE)
def test_a_token_that_the_provider_did_not_sign_lets_nobody_in(
    provider: IdentityProvider, server: Serving, made: str
) -> None:
    provider.made = MADE[made]
    with server.client() as client:
        assert landed(client) == "refused=failed"
        assert who(client)["who"] == "nobody"


def test_a_token_of_another_key_lets_nobody_in(provider: IdentityProvider, server: Serving) -> None:
    for kid in (provider.key.kid, "unknown"):
        provider.signer = new_key(str(kid))
        with server.client() as client:
            assert landed(client) == "refused=failed"
            assert who(client)["who"] == "nobody"


@pytest.mark.parametrize("verified", [False, None, "false", "yes", 2])
def test_an_address_that_the_provider_has_not_verified_is_nobodys(
    provider: IdentityProvider, server: Serving, verified: object
) -> None:
    provider.person = {"sub": "p4", "email": "p4@example.com", "email_verified": verified}
    with server.client() as client:
        assert landed(client) == "refused=unverified_email"
        assert who(client)["who"] == "nobody"


def test_a_userinfo_of_somebody_else_lets_nobody_in(
    provider: IdentityProvider, server: Serving
) -> None:
    provider.person = {"sub": "p5"}
    provider.userinfo = {"sub": "p6", "email": "p5@example.com", "email_verified": True}
    with server.client() as client:
        assert landed(client) == "refused=failed"
        assert who(client)["who"] == "nobody"


def test_whom_nobody_added_the_provider_cannot_add(
    provider: IdentityProvider, running: tuple[Lake, Serving]
) -> None:
    lake, server = running
    provider.person = {"sub": "eve", "email": "eve@example.com", "email_verified": True}
    with server.client() as client:
        assert landed(client) == "refused=unknown_person"
        assert who(client)["who"] == "nobody"
    assert "eve@example.com" not in str(people(lake, "list"))


def test_who_was_disabled_does_not_get_in(
    provider: IdentityProvider, running: tuple[Lake, Serving]
) -> None:
    lake, server = running
    provider.person = {"sub": "p7", "email": "p7@example.com", "email_verified": True}
    with server.client() as client:
        assert landed(client) == ""
    people(lake, "disable", "p7@example.com")
    for subject in ("p7", "another"):
        provider.person["sub"] = subject
        with server.client() as client:
            assert landed(client) == "refused=unknown_person"
            assert who(client)["who"] == "nobody"


def test_who_does_not_want_to_is_told_so_and_the_rest_is_a_failure(
    provider: IdentityProvider, server: Serving
) -> None:
    for said, told in (("access_denied", "cancelled"), ("server_error", "failed")):
        provider.denies = said
        with server.client() as client:
            assert landed(client) == f"refused={told}"
            assert "lakeward-oidc" not in client.cookies


def test_logins_through_a_provider_are_in_the_audit_and_nothing_personal_is_in_the_log(
    provider: IdentityProvider, running: tuple[Lake, Serving]
) -> None:
    lake, server = running
    provider.person = {"sub": "p8", "email": "p8@example.com", "email_verified": True}
    with server.client() as client:
        back = returned(client)
        assert landed(client, back) == ""
        person_id = who(client)["person_id"]
        provider.lies = {"nonce": "x"}
        assert landed(client) == "refused=failed"
    mine = [action for action, subject in audited(lake) if subject == person_id]
    assert set(mine) >= {"person.add", "person.tie", "login.open"}
    printed = server.output.read_text()
    assert "the provider's token does not hold (InvalidClaimError: nonce)" in printed
    code = parse_qs(urlsplit(back).query)["code"][0]
    for word in (code, SECRET, "p8", "@example.com", "for-userinfo", "Traceback"):
        assert word not in printed


# Providers that are away or otherwise


def test_a_provider_that_is_away_keeps_only_its_own_people_out(
    provider: IdentityProvider, lake: Lake
) -> None:
    provider.away = True
    port = free_port()
    people(lake, "add", EMAIL)
    with (
        serving(lake, "--port", str(port), **settings(provider, port)) as server,
        server.client() as client,
    ):
        assert client.get("/health").status_code == 200
        location = sent(client)
        assert location == f"{server.url}/?refused=failed"
        assert "the provider answers 503" in server.output.read_text()
        provider.away = False
        assert landed(client) == ""


WRONGLY: tuple[dict[str, Any], ...] = (
    {"issuer": "https://another.example"},
    {"token_endpoint": "http://provider.example/token"},
    {"authorization_endpoint": "javascript:alert(1)"},
    {"jwks_uri": 7},
)


def test_a_provider_that_is_not_what_it_should_be_is_not_used(
    provider: IdentityProvider, lake: Lake
) -> None:
    port = free_port()
    with (
        serving(lake, "--port", str(port), **settings(provider, port)) as server,
        server.client() as client,
    ):
        for said in WRONGLY:
            provider.metadata = said
            assert sent(client) == f"{server.url}/?refused=failed", said
        provider.metadata = {}
        assert sent(client).startswith(provider.url)


def test_secrets_are_said_as_the_provider_wants_them_and_paths_may_be_others(
    provider: IdentityProvider, lake: Lake
) -> None:
    provider.methods = ["client_secret_post"]
    port = free_port()
    people(lake, "add", EMAIL)
    moved = {
        "LAKEWARD_PATHS": "login=/in,page=/dash,me=/who", "LAKEWARD_PATH_PREFIX": "/data",
        "LAKEWARD_PUBLIC_URL": f"http://127.0.0.1:{port}/data/",
    }  # fmt: skip
    env = settings(provider, port, **moved)
    with (
        serving(lake, "--port", str(port), **env) as server,
        server.client() as client,
    ):
        location = sent(client, "/data/in/oidc")
        back = str(client.get(location).headers["location"])
        assert back.startswith(f"{server.url}/data/in/oidc/callback?")
        assert client.get(back).headers["location"] == f"{server.url}/data/dash"
        assert client.get("/data/who").json()["email"] == EMAIL


def test_over_https_the_cookies_are_of_this_host_alone(
    provider: IdentityProvider, lake: Lake
) -> None:
    provider.secret = ""  # and the provider knows no secret of this server
    people(lake, "add", EMAIL)
    env = settings(provider, 0, LAKEWARD_PUBLIC_URL="https://lake.example",
                   LAKEWARD_ALLOWED_HOSTS="lake.example",
                   LAKEWARD_OIDC_CLIENT_SECRET="")  # fmt: skip
    with (
        serving(lake, **env) as server,
        server.client(headers={"host": "lake.example"}) as client,
    ):
        answer = client.get("/v1/login/oidc")
        [cookie] = answer.headers.get_list("set-cookie")
        assert re.fullmatch(r"__Host-lakeward-oidc=([\w-]{43}); Path=/; Max-Age=600; HttpOnly; "
                            r"SameSite=Lax; Secure", cookie)  # fmt: skip
        back = httpx.get(answer.headers["location"]).headers["location"]
        assert back.startswith("https://lake.example/v1/login/oidc/callback?")
        here = back.removeprefix("https://lake.example")
        plain = client.get(
            here, headers={"cookie": cookie.partition(";")[0].removeprefix("__Host-")}
        )
        assert plain.headers["location"] == "https://lake.example/?refused=failed"
        done = client.get(here, headers={"cookie": cookie.partition(";")[0]})
        assert done.headers["location"] == "https://lake.example/"
        assert done.headers["strict-transport-security"]
        assert re.match(r"__Host-lakeward=[\w-]{43}; .*; Secure",
                        done.headers.get_list("set-cookie")[1])  # fmt: skip


# Settings


def refused_start(lake: Lake, **env: str) -> str:
    command = [sys.executable, "-m", "lakeward.cli", "serve", "--port", "0"]
    done = subprocess.run(command, env=lake.process_env(**env), cwd=lake.root.parent,
                          capture_output=True, text=True, timeout=120)  # fmt: skip
    assert done.returncode == 2, done.stderr
    return done.stderr.strip()


WRONG = {
    "LAKEWARD_OIDC_ISSUER": "http://login.example.com",
    "LAKEWARD_OIDC_CLIENT_ID": "",
    "LAKEWARD_PUBLIC_URL": "",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_server_whose_provider_cannot_work_says_so_and_does_not_start(
    lake: Lake, name: str
) -> None:
    good = {
        "LAKEWARD_OIDC_ISSUER": "https://login.example.com", "LAKEWARD_OIDC_CLIENT_ID": CLIENT,
        "LAKEWARD_PUBLIC_URL": "https://lake.example",
    }  # fmt: skip
    said = refused_start(lake, **good | {name: WRONG[name]})
    assert name in said
    assert len(said.splitlines()) == 1


def test_a_missing_extra_is_one_sentence(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "joserfc.py").write_text("raise ImportError\n")
    path = ":".join([str(tmp_path), *filter(None, [lake.process_env().get("PYTHONPATH")])])
    env = {
        "LAKEWARD_OIDC_ISSUER": "https://login.example.com", "LAKEWARD_OIDC_CLIENT_ID": CLIENT,
        "LAKEWARD_PUBLIC_URL": "https://lake.example",
    }  # fmt: skip
    said = refused_start(lake, PYTHONPATH=path, **env)
    assert said.endswith(
        "logging in through LAKEWARD_OIDC_ISSUER needs an extra: pip install 'lakeward[oidc]'"
    )
    assert len(said.splitlines()) == 1


def test_without_a_provider_there_is_no_way_over_one(lake: Lake) -> None:
    with serving(lake) as server, server.client() as client:
        for path in ("/v1/login/oidc", "/v1/login/oidc/callback?code=c&state=s"):
            answer = client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "no_provider")
        assert "oidc" not in client.get("/v1/me").json()
