"""Partners over HTTP: told by the platform, witnessed by people, scored within seconds, and each
reads what is meant for it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from commands import answer_of
from conftest import Lake, wait_until
from lakeward.errors import Terminal
from lakeward.settings import load
from lakeward.store.changes import untold
from lakeward.store.database import open_database
from server_process import Serving, serving
from test_login import added, logged_in
from test_server_keys import bearer, created

SCORES = {"satisfaction": 9, "communication": 8, "delivery": 9, "expertise": 9, "value": 7}
WORK = {"leadership": 8, "communication": 7, "delivery": 9, "expertise": 9, "growth": 6}


class House:
    """A server with keys: of the platform, of a reader, of a partner."""

    def __init__(self, lake: Lake, server: Serving) -> None:
        self.lake, self.server = lake, server
        types = ("--allow", "confidence_change", "--allow", "customer_reference",
                 "--allow", "employee_feedback")  # fmt: skip
        self.platform = created(lake, "write", "platform", *types)
        self.page = created(lake, "write", "page")
        self.reader = created(lake, "read", "reader")
        self.own = created(lake, "read", "own", "--partner", "p9")

    def post(self, path: str, body: object, key: str | None = None) -> httpx.Response:
        with self.server.client() as client:
            return client.post(path, json=body, headers=bearer(key or self.platform))

    def get(self, path: str, key: str | None = None) -> Any:
        with self.server.client() as client:
            answer = client.get(path, headers=bearer(key or self.reader))
            assert answer.status_code == 200, answer.text
            return answer.json()

    def feed(self, kind: str, number: int, **more: Any) -> httpx.Response:
        scores = WORK if kind == "employee-feedback" else SCORES
        body = {"person": {"name": f"Zoe{number}", "email": f"zoe{number}@firm{number}.example"},
                "key": f"k{number}", "scores": scores, "nps": 9, **more}  # fmt: skip
        return self.post(f"/api/partners/p9/{kind}", body)

    def settle(self) -> None:
        """Four employees and four customers of one of two partners, heard, scored and told."""
        partners = [{"partner_id": "p9", "name": "Acme", "category": "roofing",
                     "proposition": "We answer every call within one hour."},
                    {"partner_id": "p1", "name": "Bolt", "category": "roofing"}]  # fmt: skip
        assert self.post("/api/partners", {"partners": partners}).status_code == 200
        for n in range(4):
            assert self.feed("employee-feedback", n).status_code == 201
            more = {"texts": {"comments": f"Reply {n} was quick."}, "months": 12}
            assert self.feed("customer-references", n, **more).status_code == 201
        wait_until(lambda: len(told(self, "employee_feedback")) == 4, what="the lake")
        wait_until(lambda: (self.get("/api/partners/p9/confidence")["score"] or {})
                   .get("data_points") == 8, what="the score")  # fmt: skip
        wait_until(lambda: told(self, "powerconfidence_update"), what="the lake")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    lake = Lake(folder / "data-lake", folder / "rings")
    (folder / "rings").mkdir(mode=0o700)
    with serving(lake) as server:
        made = House(lake, server)
        wait_until(
            lambda: made.post("/api/partners", {"partners": []}).status_code == 400, what="keys"
        )
        made.settle()
        yield made
    lake.close()


def test_a_platform_tells_of_its_partners_as_often_as_it_likes(house: House) -> None:
    told = [{"partner_id": "q9", "name": "Acme", "category": "plumbing"},
            {"partner_id": "q1", "name": "Bolt", "category": "plumbing"}]  # fmt: skip
    first = house.post("/api/partners", {"partners": told}).json()["partners"]
    assert [one["change"] for one in first] == ["created", "created"]
    again = house.post("/api/partners", {"partners": told}).json()["partners"]
    assert [one["change"] for one in again] == ["unchanged", "unchanged"]
    told[1]["name"] = "Bolt & Sons"
    third = house.post("/api/partners", {"partners": told}).json()["partners"]
    assert [one["change"] for one in third] == ["unchanged", "updated"]
    assert house.get("/api/partners/q1")["name"] == "Bolt & Sons"
    assert house.get("/api/partners/q1")["category"] == "plumbing"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"partners": []}, "bad_partner"),
        ({"partners": [{"partner_id": "x"}]}, "bad_request"),
        ({"partners": [{"partner_id": "", "name": "X"}]}, "bad_request"),
        ({"partners": [{"partner_id": "a/b", "name": "X"}]}, "bad_request"),
        ({"partners": [{"partner_id": "x", "name": "X", "zone": "Mars/Base"}]}, "bad_request"),
        ({"partners": [{"partner_id": "x", "name": "X", "language": "english"}]}, "bad_request"),
        ({"partners": [{"partner_id": "x", "name": "a\nb"}]}, "bad_request"),
        ({"partners": [{"partner_id": "x", "name": "X", "shoe": 9}]}, "bad_body"),
        ({"partner": 1}, "bad_body"),
    ],
)
def test_a_partner_that_will_not_do_is_refused_in_one_sentence(
    house: House, body: Any, code: str
) -> None:
    answer = house.post("/api/partners", body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.json()["message"].endswith(".")


def test_the_score_is_there_within_seconds_of_what_people_say(house: House) -> None:
    again = house.feed("employee-feedback", 3)
    assert (again.status_code, again.json()["new"]) == (200, False)
    score = house.get("/api/partners/p9/confidence")["score"]
    points = sum(part["points"] + part["prior_points"] for part in score["sources"])
    assert points == pytest.approx(score["value"])
    assert score["provisional"]
    listed = {one["partner_id"]: one["score"] for one in house.get("/api/partners")["partners"]}
    assert listed["p9"]["value"] == score["value"]
    assert {row["partner_id"] for row in told(house, "powerconfidence_update")} == {"p9"}
    assert len(told(house, "employee_feedback")) == 4
    assert house.get("/api/partners/p9/consistency")["report"] is not None
    assert house.get("/api/partners/p9/history")["history"][0]["value"] == score["value"]


def told(house: House, kind: str) -> list[dict[str, Any]]:
    return [row for row in house.lake.rows() if row["interaction_type"] == kind]


def test_a_partner_reads_its_own_in_groups_and_nobody_elses(house: House) -> None:
    mine = house.get("/api/partners/p9/confidence", house.own)
    employees = mine["score"]["sources"][0]
    assert employees["respondents_n"] == 3
    assert mine["waiting"] == {}
    assert house.get("/api/partners/p9/confidence")["waiting"]["employees"] == 1
    assert len(mine["quotes"]) == 3
    every = [mine, house.get("/api/partners/p9/history", house.own),
             house.get("/api/partners/p9/consistency", house.own),
             house.get("/api/partners", house.own)]  # fmt: skip
    text = json.dumps(every)
    assert "oe1" not in text
    assert "firm" not in text
    assert "respondent_id" not in text
    assert [one["partner_id"] for one in every[3]["partners"]] == ["p9"]
    with house.server.client() as client:
        for path in ("p1", "p1/confidence", "p1/consistency", "p1/history", "p1/invitations",
                     "p9/invitations", "nobody/confidence"):  # fmt: skip
            answer = client.get(f"/api/partners/{path}", headers=bearer(house.own))
            wanted = 200 if path == "p9/invitations" else 403
            assert answer.status_code == wanted, path
            if wanted == 200:
                assert set(answer.json()) == {"invited"}


def test_partners_ask_nothing_of_what_witnesses_said(house: House) -> None:
    with house.server.client() as client:
        for kind in ("employee_feedback", "powerconfidence_update", "confidence_change"):
            where = {"field": "interaction_type", "values": [kind]}
            answers = {}
            for key in (house.own, house.reader):
                answer = client.post("/api/questions/trend", headers=bearer(key),
                                     json={"grain": None, "where": where})  # fmt: skip
                assert answer.status_code == 200, answer.text
                answers[key] = sum(row[0] for row in answer.json()["rows"])
            assert answers[house.own] == 0
            assert answers[house.reader] > 0
        day = client.get("/v1/summary", headers=bearer(house.own)).json()
        assert "employee_feedback" not in json.dumps(day)


def test_a_key_that_pages_have_and_one_of_other_types_change_nothing(house: House) -> None:
    for key, code in (
        (house.page, "wrong_key"), (house.reader, "wrong_kind"), ("lwk_x", "unknown_key"),
    ):  # fmt: skip
        answer = house.post("/api/partners", {"partners": []}, key)
        assert answer.status_code in (401, 403)
        assert answer.json()["code"] == code
    with house.server.client() as client:
        assert client.post("/api/partners", json={"partners": []}).status_code == 401


@pytest.mark.parametrize(
    "more",
    [{"scores": {"value": 3}}, {"scores": {**SCORES, "value": 11}}, {"scores": {**SCORES, "x": 1}},
     {"nps": 11}, {"texts": {"poem": "x"}}, {"at": "yesterday"}, {"at": "2026-11-20T10:00:00"},
     {"at": "2190-01-01T00:00:00Z"},
     {"key": ""}, {"key": "x" * 49}, {"person": {"name": "x"}}, {"person": {"email": "x"}},
     {"form": "employee"}],
)  # fmt: skip
def test_an_answer_that_will_not_do_is_refused_in_one_sentence(
    house: House, more: dict[str, Any]
) -> None:
    answer = house.feed("customer-references", 90, **more)
    assert answer.status_code == 400, answer.text
    assert set(answer.json()) == {"code", "message"}


def test_of_an_unknown_partner_nothing_is_kept(house: House) -> None:
    body: Any = {"person": {"email": "a@b.example"}, "key": "1", "scores": WORK}
    answer = house.post("/api/partners/ghost/employee-feedback", body)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_partner")


def test_people_log_in_and_invite_each_for_what_is_theirs(house: House) -> None:
    added(house.lake, "ann@example.com")
    added(house.lake, "pam@example.com", "--role", "partner", "--partner", "p9")
    people = {"form": "employee", "people": [{"phone": "+15125550101"}]}
    with logged_in(house.server, "pam@example.com") as pam:
        headers = {"origin": house.server.url}
        answer = pam.post("/api/partners/p9/invitations", json=people, headers=headers)
        assert answer.status_code == 201
        assert answer.json()["accepted"] == 1
        assert "LAKEWARD_PUBLIC_URL" in answer.json()["waits"]
        assert set(answer.json()) == {"accepted", "waits"}
        for path, body in (
            ("p1/invitations", people),
            ("p9/invitations", people | {"deliver": "link"}),
            ("p9/employee-feedback", {"person": {}, "key": "1", "scores": WORK}),
            ("p9/remove", {}),
            ("p9/demo-reviews", {"demo_id": "d", "scores": {"proof": 10}}),
        ):
            answer = pam.post(f"/api/partners/{path}", json=body, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "not_for_partners"), path
        evil = {"origin": "https://evil.example"}
        answer = pam.post("/api/partners/p9/invitations", json=people, headers=evil)
        assert answer.json()["code"] == "foreign_origin"
    with logged_in(house.server, "ann@example.com") as ann:
        listed = ann.get("/api/partners/p9/invitations").json()["invitations"]
        assert [one["form"] for one in listed] == ["employee"]
        mine = {"demo_id": "d1", "scores": {"proof": 10}, "comments": "Clear."}
        answer = ann.post("/api/partners/p9/demo-reviews", json=mine, headers=headers)
        assert answer.status_code == 201
        bad = ann.post("/api/partners/p9/demo-reviews", json=mine | {"scores": {"x": 1}},
                       headers=headers)  # fmt: skip
        assert bad.json()["code"] == "bad_review"


def test_a_person_who_is_removed_takes_everything_along(house: House) -> None:
    def newest() -> str | None:
        return next((row["user_id"] for row in told(house, "customer_reference")
                     if row["feedback"].get("company") == "Gone Ltd"), None)  # fmt: skip

    person = {"email": "gone@gone.example", "company": "Gone Ltd"}
    body = {"person": person, "key": "51", "scores": SCORES}
    assert house.post("/api/partners/p1/customer-references", body).status_code == 201
    wait_until(newest, what="the lake")
    answer = house.post(f"/api/witnesses/{newest()}/remove", {})
    assert (answer.status_code, answer.json()["removed"]) == (200, True)
    gone = house.post(f"/api/witnesses/{newest()}/remove", {})
    assert (gone.status_code, gone.json()["code"]) == (404, "no_such_person")


def test_erased_by_an_address_a_witness_is_in_no_byte_of_lake_and_database(house: House) -> None:
    person = {"email": "zed@zedco.example", "company": "Zed & Daughters"}
    body = {"person": person, "key": "60", "scores": SCORES, "texts": {"comments": "Unique words."}}
    assert house.post("/api/partners/p1/customer-references", body).status_code == 201

    def mine() -> str | None:
        return next((row["user_id"] for row in told(house, "customer_reference")
                     if row["feedback"].get("comments") == "Unique words."), None)  # fmt: skip

    wait_until(mine, what="the lake")
    who = mine() or ""
    held = house.get("/api/partners/p1/confidence")
    with open_database(load(house.lake.env, house.lake.root.parent)) as database:
        wait_until(lambda: not untold(database), what="everything told")
    environ = {**house.lake.process_env(), "LAKEWARD_RING_DIR": str(house.lake.ring_dir)}
    command = [
        sys.executable,
        "-m",
        "lakeward.cli",
        "erase",
        "--user",
        "zed@zedco.example",
        "--yes",
    ]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    raw = b"".join(path.read_bytes() for path in house.lake.root.rglob("*") if path.is_file())
    for secret in ("zed@zedco", "Zed & Daughters", "Unique words", who):
        assert secret.encode() not in raw, secret
    assert held["partner_id"] == "p1"


def test_the_command_shows_who_is_where_and_what_a_score_is_made_of(house: House) -> None:
    listed = answer_of(house.lake, "confidence", "list")["partners"]
    assert ("p9", True) in [(one["partner_id"], one["provisional"]) for one in listed]
    shown = answer_of(house.lake, "confidence", "show", "p9")
    assert shown["score"]["sources"][0]["source"] == "employees"
    for words in (("show", "q7"), ("show", "ghost")):
        with pytest.raises(Terminal):
            answer_of(house.lake, "confidence", *words)
    done = answer_of(house.lake, "confidence", "round")
    assert set(done) == {"invited", "sent", "scored", "told"}
