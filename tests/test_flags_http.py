"""Flags over HTTP: a page's question, what it tells the lake, and PostHog's own SDK."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from conftest import Lake, wait_until
from server_process import Serving, serving
from test_server_keys import created

PATH = "/v1/flags/evaluate"
FEATURES: dict[str, Any] = {
    "match-page": {"defaultValue": "plain", "rules": [
        {"key": "match-page", "variations": ["plain", "reasons"], "hashAttribute": "user_id",
         "hashVersion": 2, "meta": [{"key": "control"}, {"key": "reasons-first"}]},
    ]},
    "staff": {"defaultValue": False, "rules": [
        {"condition": {"user_id": {"$inGroup": "staff"}}, "force": True},
    ]},
    "limit": {"defaultValue": 3},
    "colour": {"defaultValue": "blue"},
}  # fmt: skip
PYTHON = """
import json, sys
from posthog import Posthog
client = Posthog(sys.argv[2], host=sys.argv[1], flush_interval=0.1)
told = {name: client.get_feature_flag(name, "u1") for name in ("match-page", "staff", "colour")}
told["payload"] = client.get_feature_flag_payload("match-page", "u1")
told["all"] = sorted(client.get_all_flags("u1"))
told["on"] = client.feature_enabled("staff", "ann", person_properties={"plan": "pro"})
client.shutdown()
print(json.dumps(told))
"""


class Flagged:
    """A server with a file of flags and a page's key."""

    def __init__(self, lake: Lake, server: Serving, path: Path, key: str) -> None:
        self.lake, self.server, self.path, self.key = lake, server, path, key

    def ask(self, content: Any, **headers: str) -> httpx.Response:
        with self.server.client() as client:
            raw = content if isinstance(content, bytes) else json.dumps(content).encode()
            headers = {"authorization": f"Bearer {self.key}"} | headers
            return client.post(PATH, content=raw, headers=headers)

    def flags(self, content: Any) -> dict[str, Any]:
        answer = self.ask(content)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["flags"]
        return found


def write(path: Path, features: dict[str, Any]) -> None:
    aside = path.with_suffix(".new")
    aside.write_text(json.dumps({"features": features, "savedGroups": {"staff": ["ann", "bob"]}}))
    aside.replace(path)


@pytest.fixture(scope="module")
def flagged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flagged]:
    folder = tmp_path_factory.mktemp("flagged")
    ring_dir = Path("/dev/shm") / f"lw-test-{folder.parent.name}-{folder.name}"[:60]
    ring_dir.mkdir(mode=0o700, exist_ok=True)
    lake = Lake(folder / "data-lake", ring_dir)
    path = folder / "flags.json"
    write(path, FEATURES)
    try:
        key = created(lake, "write", "site", "--origin", "https://app.example.com")
        with serving(lake, LAKEWARD_FLAGS=str(path)) as server:
            yield Flagged(lake, server, path, key)
    finally:
        lake.close()


def exposures(lake: Lake) -> list[dict[str, Any]]:
    return [row for row in lake.rows() if row["interaction_type"] == "experiment_exposure"]


def test_named_flags_are_answered_and_their_experiments_told_once(flagged: Flagged) -> None:
    before = len(exposures(flagged.lake))
    question = {"attributes": {"user_id": "u-named"}, "flags": ["match-page", "limit", "unknown"]}
    found = flagged.flags(question)
    assert found["limit"] == {"value": 3}
    assert set(found) == {"match-page", "limit"}
    variant = found["match-page"]["variant"]
    assert found["match-page"]["value"] == {"control": "plain", "reasons-first": "reasons"}[variant]
    assert flagged.flags(question) == found
    (row,) = exposures(flagged.lake)[before:]
    assert row["user_id"] == "u-named"
    assert row["experiments"]["variant"] == variant
    assert row["experiments"]["source"] == "file"
    assert row["received_at"]


def test_all_flags_are_answered_without_being_told_and_without_their_rules(
    flagged: Flagged,
) -> None:
    before = len(exposures(flagged.lake))
    answer = flagged.ask({"attributes": {"user_id": "ann"}})
    found = answer.json()["flags"]
    assert set(found) == set(FEATURES)
    assert found["staff"] == {"value": True}
    assert "bob" not in answer.text
    assert "hashAttribute" not in answer.text
    assert flagged.flags({"attributes": {"user_id": "eve"}})["staff"] == {"value": False}
    assert len(exposures(flagged.lake)) == before


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{", 400, "bad_json"),
        (b'{"attributes": {"a": ' + b"[" * 50_000, 400, "bad_json"),
        (b"[]", 400, "bad_question"),
        (b'{"attributes": 3}', 400, "bad_question"),
        (b'{"flags": "all"}', 400, "bad_question"),
        (b'{"flags": ' + json.dumps(["x"] * 201).encode() + b"}", 400, "bad_question"),
        (b'{"rules": true}', 400, "bad_question"),
        (b'{"attributes": {"a": "' + b"x" * 70_000 + b'"}}', 413, "too_large"),
    ],
    ids=["cut", "deep", "list", "attributes", "flags", "many", "other", "large"],
)
def test_what_is_no_question_is_refused_with_a_code_and_a_sentence(
    flagged: Flagged, content: bytes, status: int, code: str
) -> None:
    answer = flagged.ask(content)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["message"].endswith(".")


def test_a_key_is_needed_and_a_page_of_its_origin_may_read_the_answer(flagged: Flagged) -> None:
    wrong = flagged.ask({}, authorization="Bearer lwk_w_wrong")
    assert wrong.status_code == 401
    own = flagged.ask({}, origin="https://app.example.com")
    assert own.headers["access-control-allow-origin"] == "https://app.example.com"
    assert flagged.ask({}, origin="https://evil.example").status_code == 403


def test_a_changed_file_is_served_without_a_restart(flagged: Flagged) -> None:
    try:
        write(flagged.path, FEATURES | {"limit": {"defaultValue": 4}})
        wait_until(lambda: flagged.flags({"flags": ["limit"]})["limit"]["value"] == 4)
    finally:
        write(flagged.path, FEATURES)
    wait_until(lambda: flagged.flags({"flags": ["limit"]})["limit"]["value"] == 3)


def test_posthogs_own_sdk_is_answered_and_tells_what_it_used(flagged: Flagged) -> None:
    pytest.importorskip("posthog")
    before = len(exposures(flagged.lake))
    ran = subprocess.run(
        [sys.executable, "-c", PYTHON, flagged.server.url, flagged.key], capture_output=True,
        text=True, timeout=120, check=True,
    )  # fmt: skip
    told = json.loads(ran.stdout.splitlines()[-1])
    mine = flagged.flags({"attributes": {"user_id": "u1"}})["match-page"]
    assert told["match-page"] == mine["variant"]
    assert told["payload"] == mine["value"]
    assert (told["staff"], told["colour"], told["on"]) == (False, "blue", True)
    assert told["all"] == sorted(FEATURES)
    wait_until(lambda: len(exposures(flagged.lake)) > before, what="the exposure")
    rows = [row["experiments"] for row in exposures(flagged.lake)[before:]]
    assert {
        "experiment": "match-page",
        "variant": mine["variant"],
        "feature_key": "match-page",
    } in rows


def test_posthogs_browser_is_told_that_there_are_flags(flagged: Flagged) -> None:
    with flagged.server.client() as client:
        assert client.get(f"/array/{flagged.key}/config").json()["hasFeatureFlags"] is True
        assert b'"hasFeatureFlags":true' in client.get(f"/array/{flagged.key}/config.js").content
        body = {"token": flagged.key, "distinct_id": "u1"}
        answer = client.post("/flags/?v=2", json=body).json()
        assert answer["flags"]["limit"]["metadata"]["payload"] == "3"
        assert answer["featureFlags"]["staff"] is False
        assert answer["errorsWhileComputingFlags"] is False
        assert client.post("/flags/", json=body | {"token": "phc_wrong"}).status_code == 401
        assert client.post("/flags/", content=b"\xff").status_code in (400, 401)


def test_without_flags_everybody_is_told_that_there_are_none(lake: Lake) -> None:
    with serving(lake) as server, server.client() as client:
        assert client.post(PATH, json={}).json() == {"flags": {}}
        assert client.post("/flags/", json={"token": "x"}).json()["flags"] == {}
        assert client.get("/array/x/config").json()["hasFeatureFlags"] is False
