"""Keys in front of the server: who may send what, who may read, and how soon a revoked key ends."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from commands import answer_of
from conftest import Lake, wait_until
from lakeward.server.answer import Refusal
from lakeward.server.guard import Guard, Kind
from lakeward.settings import load
from lakeward.store.database import open_database
from lakeward.store.keys import load_keyring
from server_process import Serving, serving

PATH = "/v1/interactions"
EVENT = {"interaction_type": "page_view", "url": "https://app.example.com/"}


def keys(lake: Lake, *arguments: str) -> Any:
    """`lakeward keys … --format json`."""
    return answer_of(lake, "keys", *arguments)


def created(lake: Lake, kind: str, name: str, *more: str) -> str:
    secret: str = keys(lake, "create", "--kind", kind, "--name", name, *more)["key"]
    return secret


class Keyed:
    """A server with a key of each kind."""

    def __init__(self, lake: Lake, server: Serving) -> None:
        self.lake = lake
        self.server = server
        self.write = created(lake, "write", "site", "--origin", "https://app.example.com")
        self.read = created(lake, "read", "board")
        self.trusted = created(lake, "write", "backend", "--allow", "*")


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    folder = tmp_path_factory.mktemp("keyed")
    lake = Lake(folder / "data-lake", folder / "rings")
    (folder / "rings").mkdir(mode=0o700)
    with serving(lake) as server:
        made = Keyed(lake, server)
        with server.client() as client:
            last = bearer(made.trusted)  # the one that was made last
            wait_until(
                lambda: client.post(PATH, json=[], headers=last).status_code == 200,
                what="keys in force",
            )
        yield made
    lake.close()


@pytest.fixture
def client(keyed: Keyed) -> Iterator[httpx.Client]:
    with keyed.server.client() as client:
        yield client


def bearer(secret: str, **more: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}", **more}


def test_as_soon_as_there_is_a_key_nothing_goes_without_one(client: httpx.Client) -> None:
    for method, path in (("POST", PATH), ("GET", "/metrics"), ("GET", "/v1/summary"),
                         ("GET", "/v1/live"), ("GET", "/v1/live/hour")):  # fmt: skip
        answer = client.request(method, path, content=b"[]" if method == "POST" else None)
        assert (answer.status_code, answer.json()["code"]) == (401, "no_key"), path
        assert answer.headers["www-authenticate"].startswith("Bearer")
    for path in ("/health", "/openapi.json", "/"):
        assert client.get(path).status_code == 200, path


def test_a_key_is_taken_wherever_its_client_can_put_it(keyed: Keyed, client: httpx.Client) -> None:
    basic = base64.b64encode(f"{keyed.write}:".encode()).decode()
    for headers in (bearer(keyed.write), {"authorization": f"Basic {basic}"},
                    {"x-api-key": keyed.write}):  # fmt: skip
        assert client.post(PATH, json=EVENT, headers=headers).json()["accepted"] == 1
    assert client.post(f"{PATH}?key={keyed.write}", json=EVENT).json()["accepted"] == 1


def test_a_key_does_what_its_kind_may_and_no_more(keyed: Keyed, client: httpx.Client) -> None:
    answer = client.post(PATH, json=EVENT, headers=bearer(keyed.read))
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_kind")
    answer = client.get("/metrics", headers=bearer(keyed.write))
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_kind")
    assert client.get("/metrics", headers=bearer(keyed.read)).status_code == 200
    answer = client.post(PATH, json=EVENT, headers=bearer("lwk_w_nonsense"))
    assert (answer.status_code, answer.json()["code"]) == (401, "unknown_key")


def test_a_public_key_sends_the_types_on_its_list_only(keyed: Keyed, client: httpx.Client) -> None:
    batch = [EVENT, {"interaction_type": "deal_closed", "deal_value": 1}]
    answer = client.post(PATH, json=batch, headers=bearer(keyed.write)).json()
    assert answer["accepted"] == 1
    assert answer["rejected"] == [
        {"index": 1, "reason": "This key may not send that `interaction_type`."}
    ]
    custom = {"interaction_type": "anything.else"}
    assert client.post(PATH, json=custom, headers=bearer(keyed.trusted)).json()["accepted"] == 1


def test_a_key_of_one_origin_is_refused_from_another(keyed: Keyed, client: httpx.Client) -> None:
    there = bearer(keyed.write, origin="https://evil.example")
    answer = client.post(PATH, json=EVENT, headers=there)
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_origin")
    here = bearer(keyed.write, origin="https://app.example.com")
    answer = client.post(PATH, json=EVENT, headers=here)
    assert answer.json()["accepted"] == 1
    assert answer.headers["access-control-allow-origin"] == "https://app.example.com"


def test_a_revoked_key_ends_within_moments_in_every_worker(lake: Lake) -> None:
    with serving(lake, "--workers", "2") as server, server.client() as client:
        secret = created(lake, "write", "site")
        created(lake, "read", "board")  # so that keys stay in force

        def status() -> int:
            return httpx.post(
                server.url + PATH, verify=False, json=EVENT, headers=bearer(secret)
            ).status_code

        wait_until(lambda: [status() for _ in range(6)] == [200] * 6, what="the key's beginning")
        keys(lake, "revoke", "site")
        wait_until(lambda: [status() for _ in range(6)] == [401] * 6, what="the key's end")
        assert client.get("/health").status_code == 200


def test_no_key_shows_in_the_lake_or_in_what_the_server_prints(
    keyed: Keyed, client: httpx.Client
) -> None:
    event = EVENT | {"url": f"https://app.example.com/?key={keyed.write}", "note": keyed.trusted}
    client.post(f"{PATH}?key={keyed.write}", json=event)
    client.post(f"{PATH}?key={keyed.write}", content=b"{")
    for path in [keyed.server.output, *keyed.lake.root.rglob("*"), *keyed.lake.ring_dir.glob("*")]:
        if path.is_file():
            content = path.read_bytes()
            for secret in (keyed.write, keyed.read, keyed.trusted):
                assert secret.encode() not in content, path.name


def test_beyond_the_loopback_everything_needs_a_key_even_when_the_last_is_revoked(
    lake: Lake,
) -> None:
    lake.collector().commit()
    keyring = load_keyring(open_database(load(lake.env, lake.root.parent)))
    assert not keyring
    guard = Guard(keyring, loopback=False)
    kinds: tuple[Kind, ...] = ("read", "write")
    for kind in kinds:
        with pytest.raises(Refusal, match="key is needed"):
            guard.admit({"query_string": b""}, {}, kind)
    guard.check_host({b"host": b"lake.example.com"})
    named = Guard(keyring, loopback=False, hosts=["lake.example.com"])
    named.check_host({b"host": b"Lake.Example.com:443"})
    with pytest.raises(Refusal, match="host name"):
        named.check_host({b"host": b"other.example.com"})
