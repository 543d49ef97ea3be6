"""Pages of other origins: they may send and read the answer to that, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from conftest import Lake
from lakeward.settings import load
from lakeward.store.database import open_database
from lakeward.store.keys import Keys
from server_process import serving

SHOP = {"origin": "https://shop.example"}
READ = ["/", "/v1/summary", "/v1/live/hour", "/v1/live/record?at=1-1-1", "/metrics", "/health",
        "/openapi.json", "/nothing/here"]  # fmt: skip


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, str, str]]:
    """A server with a write key for a shop's pages, and a read key."""
    ring_dir = Path("/dev/shm") / f"lw-test-{os.getpid()}-crossing"
    ring_dir.mkdir(mode=0o700, exist_ok=True)
    lake = Lake(tmp_path_factory.mktemp("crossing") / "data-lake", ring_dir)
    with open_database(load(lake.env, lake.root.parent)) as database:
        keys = Keys(database)
        _, write = keys.create("write", "shop", actor="t", origins=["https://shop.example"])
        _, read = keys.create("read", "ops", actor="t")
    with serving(lake) as server, server.client() as client:
        yield client, write, read
    lake.close()


def told(answer: httpx.Response) -> set[str]:
    return {name for name in answer.headers if name.startswith("access-control-")}


def bearer(key: str) -> dict[str, str]:
    return {**SHOP, "authorization": f"Bearer {key}"}


def test_a_page_that_was_let_in_reads_the_answer_with_its_credentials(
    shop: tuple[httpx.Client, str, str],
) -> None:
    client, write, _ = shop
    answer = client.post("/v1/interactions", json={"interaction_type": "page_view"},
                         headers=bearer(write))  # fmt: skip
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["vary"] == "origin"
    refused = client.post("/v1/interactions", content=b"{", headers=bearer(write))
    assert refused.status_code == 400
    assert refused.headers["access-control-allow-origin"] == "https://shop.example", (
        "an SDK that may not read the answer cannot know whether to try again"
    )
    assert refused.headers["access-control-expose-headers"] == "retry-after"


@pytest.mark.parametrize("path", READ)
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST"])
def test_nothing_that_is_read_is_told_to_a_page_of_another_origin(
    shop: tuple[httpx.Client, str, str], path: str, method: str
) -> None:
    client, write, read = shop
    wish = {"access-control-request-method": "GET"} if method == "OPTIONS" else {}
    for key in (write, read, ""):
        answer = client.request(method, path, headers=(bearer(key) if key else SHOP) | wish)
        assert told(answer) == set()
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_another_origins_page_gets_no_further_with_a_key_of_the_shop(
    shop: tuple[httpx.Client, str, str],
) -> None:
    client, write, _ = shop
    for origin in ("https://evil.example", "null", "http://shop.example", "https://shop.example.x",
                   "https://shop.example:444", "https://xshop.example"):  # fmt: skip
        headers = {"origin": origin, "authorization": f"Bearer {write}"}
        answer = client.post("/v1/interactions", json={}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "wrong_origin")


def test_the_script_may_be_loaded_by_every_page(shop: tuple[httpx.Client, str, str]) -> None:
    answer = shop[0].get("/lakeward.js", headers=SHOP)
    assert answer.status_code == 200
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
