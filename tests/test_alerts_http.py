"""`/api/alerts` on a real server: who sees incidents, who may act on them, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from alerted import T0, well, wrong
from conftest import Lake
from lakeward.alerts.desk import Desk
from lakeward.alerts.telling import Telling
from lakeward.settings import load
from lakeward.store.database import open_database
from lakeward.store.keys import Keys
from lakeward.testing import MemoryCollector
from server_process import Serving, serving
from test_login import added, logged_in


@pytest.fixture
def server(lake: Lake) -> Iterator[Serving]:
    with open_database(load(lake.env, lake.root.parent)) as database:
        desk = Desk(database, Telling(), {}, MemoryCollector())
        desk.take([wrong(at=0), wrong("type:click count", at=0)], T0 + 360_000)
        desk.take([well(at=5), wrong("partner:p1 leads", at=30)], T0 + 2_400_000)
    with serving(lake) as running:
        yield running


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_incidents_are_listed_looked_at_and_acted_on_by_this_machine_alone(
    lake: Lake, server: Serving
) -> None:
    with server.client() as client:
        listed = client.get("/api/alerts").json()
        assert [one["series"] for one in listed["incidents"]] == [
            ["partner:p1 leads"], ["type:click count"],
        ]  # fmt: skip
        assert listed["counts"]["resolved"] == 1
        assert len(client.get("/api/alerts?state=all").json()["incidents"]) == 3
        assert len(client.get("/api/alerts?state=resolved").json()["incidents"]) == 1
        newest = listed["incidents"][0]
        older = client.get("/api/alerts", params={"most": 1, "before": newest["opened_at"]}).json()
        assert older["incidents"] == [listed["incidents"][1]]
        path = f"/api/alerts/{newest['incident_id']}"
        assert client.get(path).json()["history"][0]["what"] == "opened"
        assert client.post(f"{path}/ack", json={}).json()["state"] == "acknowledged"
        snoozed = client.post(f"{path}/snooze", json={"minutes": 30}).json()
        assert (snoozed["state"], snoozed["snoozed_until"] is None) == ("snoozed", False)
        ended = client.post(f"{path}/snooze", json={"minutes": 0}).json()
        assert (ended["state"], ended["snoozed_until"]) == ("ongoing", None)
        again = client.post(f"{path}/snooze", json={"minutes": 0})
        assert code(again) == (409, "not_snoozed")
        assert client.post(f"{path}/resolve", json={}).json()["state"] == "resolved"
        assert code(client.post(f"{path}/ack", json={})) == (409, "over")
        cases: list[tuple[str, str, Any, tuple[int, str]]] = [
            ("GET", "/api/alerts?state=bad", None, (400, "bad_state")),
            ("GET", "/api/alerts?" + "x=1&" * 9, None, (400, "bad_query")),
            ("GET", "/api/alerts?most=0", None, (400, "bad_number")),
            ("GET", "/api/alerts?before=soon", None, (400, "bad_moment")),
            ("GET", "/api/alerts/0000", None, (404, "no_incident")),
            ("POST", "/api/alerts/0000/ack", {}, (404, "no_incident")),
            ("POST", f"{path}/shout", {}, (404, "not_found")),
            ("POST", f"{path}/snooze", {"minutes": 0.5}, (400, "bad_body")),
            ("POST", f"{path}/snooze", {"hours": 1}, (400, "bad_body")),
        ]
        for method, where, content, wanted in cases:
            assert code(client.request(method, where, json=content)) == wanted, where
        assert code(client.post(f"{path}/ack", content=b"{}")) == (415, "wrong_type")
        foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
        refused = client.post(f"{path}/ack", json={}, headers=foreign)
        assert code(refused) == (403, "foreign_origin")
        nearby = {"sec-fetch-site": "same-site"}  # of another port of this machine
        refused = client.post(f"{path}/ack", json={}, headers=nearby)
        assert code(refused) == (403, "foreign_origin")
        history = client.get(path).json()["history"]
    assert [(one["what"], one["by"]) for one in history[1:]] == [
        ("acknowledged", "this machine"), ("snoozed", "this machine"), ("ongoing", "this machine"),
        ("resolved", "this machine"),
    ]  # fmt: skip
    states = [row["analysis"]["state"] for row in lake.rows()]
    assert states[-4:] == ["acknowledged", "snoozed", "ongoing", "resolved"]


def test_people_act_read_keys_read_and_partners_see_nothing(lake: Lake, server: Serving) -> None:
    with open_database(load(lake.env, lake.root.parent)) as database:
        keys = Keys(database)
        made = [keys.create("read", "all", actor="t"), keys.create("write", "w", actor="t"),
                keys.create("read", "one", actor="t", partner_id="p1")]  # fmt: skip
    added(lake, "ada@example.com", "--role", "admin")
    read, write, partner = ({"authorization": f"Bearer {secret}"} for _, secret in made)
    import conftest

    with server.client() as client:
        conftest.wait_until(lambda: client.get("/api/alerts").status_code == 401)
        assert code(client.get("/api/alerts")) == (401, "no_key")
        assert code(client.get("/api/alerts", headers=write)) == (403, "wrong_kind")
        assert code(client.get("/api/alerts", headers=partner)) == (403, "not_for_partners")
        (one, *_) = client.get("/api/alerts", headers=read).json()["incidents"]
        path = f"/api/alerts/{one['incident_id']}"
        assert code(client.post(f"{path}/ack", json={}, headers=read)) == (403, "not_a_person")
        assert code(client.post(f"{path}/ack", json={}, headers=partner)) == (
            403, "not_for_partners",
        )  # fmt: skip
        assert code(client.post(f"{path}/ack", json={})) == (401, "no_key")
    with logged_in(server) as ada:
        assert ada.post(f"{path}/ack", json={}).json()["state"] == "acknowledged"
        assert ada.get(path).json()["history"][-1]["by"] == "ada@example.com"
