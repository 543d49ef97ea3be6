"""`/api/experiments` and `/api/suggest` on a real server: numbers, caching, and who may not ask."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from conftest import Lake, wait_until
from lakeward.server.experiment_list import csv_of
from lakeward.settings import load
from lakeward.store.database import open_database
from lakeward.store.keys import Keys
from server_process import Serving, serving
from test_experiment_cli import told, when
from test_login import EMAIL, added, logged_in

SPAN: dict[str, Any] = {"since": "2026-09-01T00:00:00Z", "until": "2026-09-30T00:00:00Z"}
METRICS: dict[str, Any] = {
    "metric": ["demo_booking", "count:page_view"],
    "guardrail": "lower:count:page_view",
}
RULE = {
    "key": "match-page", "variations": ["plain", "reasons"], "weights": [0.5, 0.5],
    "meta": [{"key": "control"}, {"key": "treatment"}],
    "plan": {"hypothesis": "Reasons make people book.", "metrics": ["demo_booking"]},
}  # fmt: skip
FLAGS = {
    "features": {
        "page": {"defaultValue": "plain", "rules": [RULE]},
        "later": {"defaultValue": 0, "rules": [{"key": "=unmet", "variations": [0, 1]}]},
    }
}
DECLARED = '[flows.contractor]\nsteps = ["verification", "matching"]\n'


@pytest.fixture
def flags(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "flags.json").write_text(json.dumps(FLAGS))
    (tmp_path / "flows.toml").write_text(DECLARED)
    names = {"LAKEWARD_FLAGS": "flags.json", "LAKEWARD_FLOWS": "flows.toml"}
    return {name: str(tmp_path / file) for name, file in names.items()}


@pytest.fixture
def server(lake: Lake, flags: dict[str, str]) -> Iterator[Serving]:
    told(lake)
    collector = lake.collector()
    for n, step in enumerate(("verification", "matching")):
        for user in range(3 - n):
            collector.record("flow_step", flow="contractor", step=step, step_index=n,
                             user_id=f"f{user}", timestamp=when(1 + n / 8))  # fmt: skip
    collector.record("flow_step", flow="contractor", step="matching", step_index=1,
                     status="entered", user_id="f2", timestamp=when(1.3))  # fmt: skip
    for n in range(120):
        collector.record(
            "api_call", method="GET", path="/x", response_status=200, response_time_ms=float(n),
            user_id=f"u{n}", timestamp=when(n / 60),
        )  # fmt: skip
    for n, step in enumerate(("b", "a", "a")):  # told backwards; nobody declared it
        collector.record("flow_step", flow="side", step=step, step_index=1 - n % 2,
                         user_id=f"g{n}", timestamp=when(1 + n / 8))  # fmt: skip
    collector.commit()
    collector.close()
    with serving(lake, **flags) as running:
        yield running


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def table(of: dict[str, Any]) -> list[dict[str, Any]]:
    names = [column["name"] for column in of["columns"]]
    return [dict(zip(names, row, strict=True)) for row in of["rows"]]


def test_experiments_are_listed_judged_and_followed_day_by_day(server: Serving) -> None:
    with server.client() as client:
        listed = client.get("/api/experiments", params=SPAN).json()
        met, unmet = listed["experiments"]
        assert (met["key"], met["units"], met["state"], met["exposures"]) == (
            "match-page", 122, "running", 124,
        )  # fmt: skip
        assert [(a["arm"], a["units"], a["planned"]) for a in met["arms"]] == [
            ("control", 62, 0.5), ("treatment", 62, 0.5),
        ]  # fmt: skip
        assert (met["hypothesis"], met["first_at"]) == ("Reasons make people book.", when(0))
        assert (unmet["key"], unmet["units"], unmet["state"]) == ("=unmet", 0, "running")
        planned = client.get("/api/experiments/match-page", params=SPAN).json()
        assert [m["metric"] for m in planned["report"]["metrics"]] == ["demo_booking"]
        assert planned["report"]["verdict"]["status"] in ("ship", "keep_running")
        assert planned["sentences"]["aside"] == [
            "Set aside: 1 were put into an arm by hand (treatment).",
            "Set aside: 2 met several arms (control + treatment).",
        ]
        assert planned["sentences"]["ratio"].startswith("The arms have their planned shares as")
        assert planned["sentences"]["notes"] == ["Note: planned: Reasons make people book."]
        assert "sql" not in planned
        for each in planned["questions"]:  # as anybody may ask them
            again = client.post(f"/api/questions/{each['kind']}", json=each["parameters"])
            assert again.status_code == 200, again.text
        asked = {**SPAN, **METRICS, "fixed": "1", "sql": "1"}
        found = client.get("/api/experiments/match-page", params=asked).json()
        assert [each["name"] for each in found["sql"]] == ["experiment_units"] + [
            "experiment_moments"
        ] * 3
        rows = table(found["figures"])
        assert [(r["metric"], r["arm"], r["units"], r["state"]) for r in rows[:2]] == [
            ("demo_booking", "control", 60, "control"), ("demo_booking", "treatment", 60, "better"),
        ]  # fmt: skip
        assert (rows[0]["value"], rows[1]["difference"]) == (0.25, 0.25)
        lines = list(csv.reader(io.StringIO(
            client.get("/api/experiments/match-page/csv", params={**SPAN, **METRICS}).text
        )))  # fmt: skip
        assert lines[0][:4] == ["metric", "role", "kind", "arm"]
        assert lines[1][:6] == ["demo_booking", "metric", "share", "control", "60", "0.25"]


def test_the_course_is_what_each_day_would_have_read(server: Serving) -> None:
    with server.client() as client:
        course = client.get("/api/experiments/match-page/course", params=SPAN).json()
        assert course["left_out"] == []
        units, intervals = table(course["units"]), table(course["intervals"])
        moments = list(dict.fromkeys(row["moment"] for row in units))
        # From the day after the first exposure until nobody can act any more, and now.
        assert moments[:2] == ["2026-09-02T00:00:00.000Z", "2026-09-03T00:00:00.000Z"]
        assert moments[-1] == "2026-09-30T00:00:00.000Z"
        assert (len(moments), moments[-2]) == (16, "2026-09-16T00:00:00.000Z")
        # Two people met both arms, a day after the others met their one.
        arms = [[row["units"] for row in units if row["moment"] == moment] for moment in moments]
        assert (arms[0], arms[-1]) == ([62, 60], [60, 60])
        several = {**SPAN, **METRICS, "cuped": "7"}
        several["metric"] = [
            *METRICS["metric"], "p90:response_time_ms:api_call",
            "ratio:count:demo_booking/count:api_call",
        ]  # fmt: skip
        course = client.get("/api/experiments/match-page/course", params=several).json()
        intervals, ends = table(course["intervals"]), ("difference", "low", "high", "p")
        for moment in (moments[0], moments[1], moments[-1]):
            report = client.get(
                "/api/experiments/match-page", params={**several, "until": moment}
            ).json()["report"]
            rows = [row for row in intervals if row["moment"] == moment]
            assert [row["metric"] for row in rows] == [m["metric"] for m in report["metrics"]]
            for row, metric in zip(rows, report["metrics"], strict=True):
                then = metric["effects"][0]["difference"]
                assert [row["difference"], *(row[f"difference_{n}"] for n in ends[1:])] == [
                    pytest.approx(then[n]) for n in ("value", *ends[1:])
                ], metric["metric"]  # fmt: skip
            assert rows[0]["verdict"] == report["verdict"]["status"]
        local = client.get(
            "/api/experiments/match-page/course", params={**SPAN, "zone": "Asia/Kolkata"}
        ).json()
        assert table(local["units"])[0]["moment"] == "2026-09-01T18:30:00.000Z"


def test_an_answer_has_a_tag_until_something_comes_in_and_what_cannot_be_asked_is_said(
    lake: Lake, server: Serving
) -> None:
    with server.client() as client:
        path = "/api/experiments/match-page"
        first = client.get(path, params=SPAN)
        tag = {"if-none-match": first.headers["etag"]}

        def unmoved() -> bool:
            """The keeper may be moving what was recorded into the table."""
            nonlocal first, tag
            if client.get(path, params=SPAN, headers=tag).status_code == 304:
                again = client.get(path, params=SPAN)
                if again.headers["etag"] == tag["if-none-match"]:
                    assert again.json() == first.json()  # kept, with what it took
                    return True
            first = client.get(path, params=SPAN)
            tag = {"if-none-match": first.headers["etag"]}
            return False

        wait_until(unmoved, what="an answer that is kept")
        event = {"interaction_type": "page_view", "path": "/y", "user_id": "u1"}
        assert client.post("/v1/interactions", json=event).status_code == 200
        assert client.get(path, params=SPAN, headers=tag).status_code == 200
        cases = {
            "/api/experiments/nobody": (404, "no_experiment"),
            "/api/experiments/-?experiment=a/b": (404, "no_experiment"),
            f"{path}?metric=nonsense:": (400, "bad_question"),
            f"{path}?split=half": (400, "bad_question"),
            f"{path}?within=x": (400, "bad_question"),
            f"{path}?until=soon": (400, "bad_question"),
            f"{path}?level=2": (400, "bad_question"),
            f"{path}?zone=Nowhere": (400, "bad_question"),
            f"{path}?shout=1": (400, "bad_query"),
            f"{path}?{'metric=a&' * 65}": (400, "bad_query"),
            "/api/experiments?since=soon": (400, "bad_question"),
            "/api/suggest": (400, "bad_question"),
            "/api/suggest?field=nothing": (400, "bad_question"),
            "/api/suggest?field=path&most=0": (400, "bad_number"),
            "/api/suggest?feld=path": (400, "bad_query"),
        }
        for where, wanted in cases.items():
            assert code(client.get(where)) == wanted, where
        said = client.get("/api/experiments/nobody").json()["message"]
        assert "'match-page'" in said
    with open_database(load(lake.env, lake.root.parent)) as database:
        _, partner = Keys(database).create("read", "p", actor="test", partner_id="p1")
        _, whole = Keys(database).create("read", "w", actor="test")
    with server.client() as client:
        own = {"authorization": f"Bearer {partner}"}
        wait_until(  # as soon as the server knows the keys
            lambda: client.get("/api/experiments", headers=own).status_code != 401, what="the key"
        )
        for where in ("/api/experiments", path, f"{path}/course", f"{path}/csv", "/api/suggest",
                      "/api/suggest/funnels"):  # fmt: skip
            assert code(client.get(where, headers=own)) == (403, "not_for_partners"), where
        allowed = client.get(path, params=SPAN, headers={"authorization": f"Bearer {whole}"})
        assert allowed.status_code == 200
    added(lake, EMAIL)
    with logged_in(server) as client:  # and no parameter is taken for a key
        assert code(client.get("/api/experiments/-?experiment=a/b")) == (404, "no_experiment")


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b"])
def test_no_cell_of_an_experiments_csv_is_a_formula(begins: str) -> None:
    told = {"columns": [{"name": "arm"}, {"name": "units"}], "rows": [[f"{begins}1+1", -2]]}
    found = csv_of(json.dumps({"figures": told}).encode()).decode()
    assert list(csv.reader(io.StringIO(found, newline=""))) == [
        ["arm", "units"], [f"'{begins}1+1", "-2"],
    ]  # fmt: skip


def test_values_are_suggested_those_that_come_most_first_and_flows_are_ready_funnels(
    server: Serving,
) -> None:
    with server.client() as client:
        types = client.get("/api/suggest", params={"field": "interaction_type"}).json()
        counts = {each["value"]: each["events"] for each in types["values"]}
        assert (counts["demo_booking"], counts["page_view"], counts["flow_step"]) == (287, 120, 9)
        order = [each["events"] for each in types["values"]]
        assert order == sorted(order, reverse=True)
        some = {"field": "interaction_type", "q": "BOOK", "most": "1"}
        assert client.get("/api/suggest", params=some).json()["values"] == [
            {"value": "demo_booking", "events": 287}
        ]
        steps = {"field": "outcomes.step", "event": "flow_step"}
        found = client.get("/api/suggest", params=steps).json()["values"]
        assert [each["value"] for each in found] == ["matching", "verification", "a", "b"]
        ready = client.get("/api/suggest/funnels").json()
        assert [(each["name"], each["source"], each["events"]) for each in ready["funnels"]] == [
            ("contractor", "declared", 6), ("side", "seen", 3), ("match to deal", "outcomes", 290),
        ]  # fmt: skip
        assert [s["label"] for s in ready["funnels"][1]["steps"]] == ["a", "b"]
        asked = {"steps": ready["funnels"][0]["steps"], "within": 86_400}
        answer = client.post("/api/questions/funnel", json=asked).json()
        assert [row[:3] for row in answer["rows"]] == [[1, "verification", 3], [2, "matching", 2]]
