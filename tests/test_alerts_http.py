"""`/api/alerts` on a real server: who sees incidents, who may act on them, and what is refused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from alert_lake import DAY, FIVE, HOUR, settings_of, spread, written
from alerted import T0, well, wrong
from conftest import Lake
from lakeward.alerts.desk import Desk
from lakeward.alerts.opening import opened_desk
from lakeward.alerts.rules import read
from lakeward.alerts.telling import Telling
from lakeward.alerts.watching import look
from lakeward.interaction import iso
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


@pytest.fixture
def watched(lake: Lake) -> Iterator[tuple[Serving, dict[str, Any], int]]:
    """A lake of three days whose route fails since an hour, looked at just now."""
    now = time.time_ns() // 1_000_000
    now -= now % HOUR
    call = {"interaction_type": "api_call", "route": "/a b", "method": "GET", "path": "/a"}
    rows = [
        row | {"response_status": 500 if n % 2 and row["ms"] >= now - HOUR else 200}
        for n, row in enumerate(spread(now - 3 * DAY, now, FIVE, lambda _: 20, "a", **call))
    ]
    cost = {"model_answered": "m", "cost_usd": 1.5}
    rows += spread(now - HOUR, now, HOUR // 4, lambda _: 1, "b",
                   interaction_type="ai_conversation", ai_metadata=cost)  # fmt: skip
    written(lake, rows)
    (lake.root.parent / "alerts.toml").write_text(BUDGET)
    settings = settings_of(lake)
    with opened_desk(lake.open(), settings, read(settings)) as desk:
        look(lake.open(), settings, read(settings), desk, now_ms=now - HOUR + 60_000)
        look(lake.open(), settings, read(settings), desk, now_ms=now + 60_000)
    with serving(lake) as running:
        incidents = httpx.get(f"{running.url}/api/alerts").json()["incidents"]
        (failing,) = [one for one in incidents if one["series"] == ["route:/a b errors"]]
        yield running, failing, now


BUDGET = """
[[budget]]
name = "AI"
amount = 1
per = "month"
"""


def test_an_incident_is_drawn_with_its_band_and_what_was_told(
    watched: tuple[Serving, dict[str, Any], int],
) -> None:
    server, failing, now = watched
    with server.client() as client:
        path = f"/api/alerts/{failing['incident_id']}/series"
        drawn = client.get(path).json()
        assert (drawn["series"], drawn["others"], drawn["unit"], drawn["seconds"]) == (
            "route:/a b errors", [], "0 to 1", 300,
        )  # fmt: skip
        names = [column["name"] for column in drawn["columns"]]
        points = {row[0]: dict(zip(names, row, strict=True)) for row in drawn["rows"]}
        (told,) = [one for one in drawn["told"] if one["what"] == "opened"]
        for part in ("value", "expected", "low", "high"):
            assert points[told["at"]][part] == pytest.approx(told[part])
        assert failing["why"] in drawn["whys"]
        assert "learned since" in drawn["whys"][1]
        assert next(at for at, point in points.items() if point["wrong"]) == drawn["began_at"]
        assert drawn["learned_since"] == iso(now - 3 * DAY)
        shown = client.get("/api/alerts/watched").json()
        (one,) = [row for row in shown["series"] if row["series"] == "route:/a b errors"]
        assert one["wrong_since"] == drawn["began_at"]
        assert one["incident_id"] == failing["incident_id"]
        assert shown["verdict"] == {"state": "incidents", "sentence": "2 incidents are open."}
        assert one["learned_since"] == drawn["learned_since"]
        assert shown["rules"] == [{"kind": "budget", "name": "AI", "of": "AI cost per month"}]
        assert shown["sentence"].startswith(f"{len(shown['series'])} series, ")
        of_name = client.get("/api/alerts/watched/series", params={"series": "route:/a b errors"})
        assert of_name.json()["rows"][-12:] == [
            row for row in drawn["rows"] if iso(now - HOUR) <= row[0] < iso(now)
        ]
        (budget,) = client.get("/api/alerts/budgets").json()["budgets"]
        assert budget["used"] == pytest.approx(1.5 * len(budget_turns(client)))
        assert (budget["state"], budget["share"]) == ("over", pytest.approx(budget["used"]))
        for where, wanted in (
            ("/api/alerts/watched/series", (400, "no_series")),
            ("/api/alerts/watched/series?series=nothing", (404, "no_series")),
            (f"{path}?series=nothing", (404, "no_series")),
            ("/api/alerts/0000/series", (404, "no_incident")),
        ):
            assert code(client.get(where)) == wanted, where


def budget_turns(client: httpx.Client) -> list[Any]:
    """The turns that a budget of the month counts."""
    since = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    asked = {"since": since.isoformat(), "limit": 1000}
    rows = client.post("/api/questions/ai_threads", json=asked).json()["rows"]
    assert rows
    return list(rows)


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
        newer = client.get("/api/alerts", params={"since": newest["opened_at"]}).json()
        assert newer["incidents"] == [newest]
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
        for path in ("watched", "watched/series?series=x", "budgets", "0000/series"):
            refused = client.get(f"/api/alerts/{path}", headers=partner)
            assert code(refused) == (403, "not_for_partners"), path
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
