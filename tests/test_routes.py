"""Every public path can be renamed, switched off, and stand below a prefix."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from conftest import Lake
from lakeward.errors import SettingError
from lakeward.server.routes import Part, Renamed, Routes, prefix_of
from server_process import serving

PARTS = (
    Part("collect", "/v1/collect"),
    Part("page", "/"),
    Part("spoken", "", ("/v1/batch", "/v1/p/{key}/settings")),
)


def routed(*entries: str) -> Routes[str]:
    roots, routes = Renamed(PARTS, entries), Routes[str]()
    for part in PARTS:
        for path in part.paths if part.name in roots else ():
            routes.add(part.name, roots[part.name], path, part.name)
    return routes


def leads(routes: Routes[str], path: str) -> str | None:
    found = routes.find(path)
    return None if found is None else found.handler


def test_a_part_is_where_it_is_by_default_or_where_it_was_moved_to_and_nowhere_else() -> None:
    routes = routed()
    assert leads(routes, "/v1/collect") == "collect"
    assert leads(routes, "/") == "page"
    assert leads(routes, "/v1/batch") == "spoken"
    routes = routed("collect=/c", "page=/ops", "spoken=/s")
    assert [leads(routes, path) for path in ("/c", "/ops", "/s/v1/batch")] == [
        "collect",
        "page",
        "spoken",
    ]
    assert [leads(routes, path) for path in ("/v1/collect", "/", "/v1/batch", "/s", "/c/")] == [
        None
    ] * 5


def test_a_step_with_a_name_takes_any_one_step() -> None:
    found = routed("spoken=/s.+$").find("/s.+$/v1/p/lwk_w_x/settings")
    assert found is not None
    assert (found.steps, found.below) == ({"key": "lwk_w_x"}, "/v1/p/{key}/settings")
    for path in (
        "/sx+$/v1/p/k/settings",
        "/s.+$/v1/p/a/b/settings",
        "/s.+$/v1/p//settings",
        "/s.+$/v1/p/k/settings\n",
    ):
        assert routed("spoken=/s.+$").find(path) is None


def test_a_part_without_a_path_is_switched_off() -> None:
    assert leads(routed("spoken="), "/v1/batch") is None
    assert leads(routed("spoken="), "/v1/collect") == "collect"


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("nothing=/x", "the parts are collect, page, spoken"),
        ("collect", "must be like"),
        ("collect=x", "is no path"),
        ("collect=/a b", "is no path"),
        ("collect=//x", "is no path"),
        ("collect=/a/../b", "is no path"),
        ("collect=/{x}", "is no path"),
        ("collect=/a?b", "is no path"),
        ("collect=/", "of collect and of page"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(entry: str, says: str) -> None:
    with pytest.raises(SettingError, match=re.escape(says)):
        routed(entry)


def test_a_prefix_is_a_path_without_a_slash_at_its_end() -> None:
    assert [prefix_of(text) for text in ("", "/", "/data", "/a/b/")] == ["", "", "/data", "/a/b"]
    with pytest.raises(SettingError, match="LAKEWARD_PATH_PREFIX"):
        prefix_of("data")


MOVED = (
    "interactions=/collect,live=/l,summary=/day,metrics=/m,health=/up,openapi=/api.json,page=/ops,"
    "sdk=/s.js"
)
THERE = ("/l/hour", "/day", "/m", "/up", "/api.json", "/ops", "/s.js")
NOT_THERE = ("/", "/v1/live/hour", "/v1/summary", "/metrics", "/health", "/lakeward.js",
             "/openapi.json", "/static/assets/x.js")  # fmt: skip


@contextmanager
def serving_at(lake: Lake, health: str, **env: str) -> Iterator[httpx.Client]:
    with serving(lake, health=health, **env) as server, server.client() as client:
        yield client


def test_every_path_of_a_real_server_can_be_renamed_and_the_page_finds_what_was_moved(
    lake: Lake,
) -> None:
    with serving_at(lake, "/up", LAKEWARD_PATHS=MOVED) as client:
        assert {client.get(path).status_code for path in THERE} == {200}
        assert {client.get(path).status_code for path in NOT_THERE} == {404}
        assert (
            client.post("/collect", json={"interaction_type": "signed_up"}).json()["accepted"] == 1
        )
        assert client.post("/v1/interactions", json={}).status_code == 404
        page = client.get("/ops").text
        for asset in re.findall(r'(?:src|href)="([^"]+)"', page):
            assert asset.startswith("/ops/static/")
            assert client.get(asset).status_code == 200
        said = re.search(r'name="lakeward-paths" content="([^"]*)"', page)
        assert said is not None
        paths_said = json.loads(said[1].replace("&quot;", '"'))
        assert (paths_said["live"], paths_said["summary"]) == ("/l", "/day")
        document = client.get("/api.json").json()
        assert "/collect" in document["paths"]
        assert "/v1/interactions" not in document["paths"]


def test_below_a_prefix_everything_is_found_with_and_without_it(lake: Lake) -> None:
    with serving_at(lake, "/data/health", LAKEWARD_PATH_PREFIX="/data") as client:
        assert client.get("/health").status_code == 200, "a proxy that takes the prefix off"
        page = client.get("/data/").text
        assets = re.findall(r'(?:src|href)="([^"]+)"', page)
        assert assets
        assert all(client.get(asset).status_code == 200 for asset in assets)
        assert all(asset.startswith("/data/static/") for asset in assets)
        assert client.get("/database").status_code == 404
        answer = client.post("/data/v1/interactions", json={"interaction_type": "signed_up"})
        assert answer.json()["accepted"] == 1


def test_a_path_that_is_none_ends_the_server_with_one_sentence(lake: Lake) -> None:
    command = [sys.executable, "-m", "lakeward.cli", "serve", "--port", "0"]
    env = lake.process_env(LAKEWARD_PATHS="sdk=lakeward")
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert "LAKEWARD_PATHS: 'lakeward' is no path" in done.stderr
    assert "Traceback" not in done.stderr
