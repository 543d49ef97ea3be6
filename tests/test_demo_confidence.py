"""PowerConfidence in the demo: three partners with known answers, heard through every door."""

from __future__ import annotations

import http.client
import importlib.util
import time
from collections import Counter
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec
import pytest

from conftest import Lake, wait_until
from dashboard import DemoLake, demo_lake
from lakeward.confidence import consistency
from lakeward.demo import prelude
from lakeward.demo.carrier import MOST_BYTES, Carrier
from lakeward.demo.evidence import can_ask, confided
from lakeward.demo.hearing import THINKS
from lakeward.demo.partners import PARTNERS
from lakeward.demo.plan import plan
from lakeward.demo.sayings import cases
from lakeward.demo.stage import Stage
from lakeward.demo.standing import Standings, whole
from lakeward.demo.testimony import Case, Known, differing, known
from lakeward.demo.truth import expected
from lakeward.errors import Transient
from lakeward.lakedir import open_lake
from lakeward.log import read_lines
from lakeward.settings import load
from lakeward.store.database import open_database
from lakeward.store.keys import Keys
from server_process import serving

pytestmark = pytest.mark.skipif(
    prelude.missing() or not importlib.util.find_spec("fastapi"),
    reason="needs pip install 'lakeward[demo,confidence]'",
)
NOW_MS = time.time_ns() // 1_000_000
PLAN = {one.partner_id: one for one in cases()}
Row = dict[str, Any]


def answers(model: consistency.Model | None = None) -> dict[str, Known]:
    return {one: known(told, NOW_MS, model or consistency.lexical()) for one, told in PLAN.items()}


# The plan and its answers


def test_each_of_the_three_has_fifteen_points_of_evidence_and_words_of_its_own() -> None:
    for told in PLAN.values():
        assert Counter(one.form for one in told.witnesses) == {"employee": 5, "reference": 5}
        assert len(told.demos) == 5
    people = [one for told in PLAN.values() for one in told.witnesses]
    assert len({one.phone for one in people}) == len({one.email for one in people}) == 30
    assert len({PARTNERS[one].focus[0] for one in PLAN}) == 3  # none is another's prior
    assert {one.name for one in people if one.unreachable}
    assert {one.name for one in people if one.returns}


@pytest.mark.parametrize("model", [consistency.lexical(), consistency.default()])
def test_the_known_answers_are_apart_and_far_from_the_next_whole_point(
    model: consistency.Model,
) -> None:
    found = answers(model)
    assert found["p1"].score > found["p3"].score + 5 > found["p2"].score + 9
    for one in found.values():
        assert abs(one.score % 1 - 0.5) > 0.15  # ages of seconds do not change it
        assert one.points == 15
    assert found["p1"].contradicted == found["p3"].contradicted == ()
    assert found["p2"].contradicted == ("The books are closed by the fifth of the month.",)
    assert {which: one.flags for which, one in found.items()} == {
        "p1": (), "p2": (), "p3": ("employee_as_customer",)
    }  # fmt: skip


def changed(told: Case, **fields: object) -> Case:
    """The same with another first witness."""
    first = msgspec.structs.replace(told.witnesses[0], **fields)
    return msgspec.structs.replace(told, witnesses=(first, *told.witnesses[1:]))


def test_the_answers_follow_from_the_plan() -> None:
    told, before = PLAN["p1"], answers()["p1"]
    model = consistency.lexical()
    worse = known(changed(told, ratings=(1, 1, 1, 1, 1, 1)), NOW_MS, model)
    assert worse.score < before.score - 2
    shared = changed(told, network=told.witnesses[5].network)
    assert known(shared, NOW_MS, model).flags == ("employee_as_customer",)
    denied = changed(told, texts=("Crews and trucks do not stand on one calendar.", "", ""))
    assert known(denied, NOW_MS, model).contradicted


def test_a_difference_is_told_of_each_answer() -> None:
    wanted = answers()
    assert differing(wanted, wanted, "the lake") == []
    assert differing(wanted, {}, "the lake") == [
        f"confidence: the lake has no score of {which}" for which in wanted
    ]
    one = wanted["p2"]
    for name, value in {
        "score": one.score + 0.2, "points": 14, "alignment": 1.0, "contradicted": (),
        "flags": ("burst",),
    }.items():  # fmt: skip
        other = wanted | {"p2": msgspec.structs.replace(one, **{name: value})}
        (told,) = differing(wanted, other, "the lake")
        assert told.startswith(f"confidence.p2.{name}: ")
    silent = wanted | {"p2": msgspec.structs.replace(one, flags=None)}
    assert differing(wanted, silent, "the lake") == []  # the lake does not tell of flags


def test_scores_have_their_weight_in_matching() -> None:
    without, scores = plan(7, 200, 20.0), {"p1": 75.0, "p2": 20.0, "p3": 66.0}
    with_them = plan(7, 200, 20.0, scores)
    before, after = expected(without).matches, expected(with_them).matches
    assert before.keys() == after.keys()
    told = {who: (before[who], after[who]) for who in before if before[who] != after[who]}
    assert told
    for old, new in told.values():  # whose matches have no partner with a score stay as they are
        assert {one.partner for one in (*old, *new)} & scores.keys()
    lowered = [
        (one, other)
        for old, new in told.values()
        for one in old
        for other in new
        if one.partner == other.partner == "p2"
    ]
    assert lowered
    assert all(other.score < one.score for one, other in lowered)


# One run of the demo, with its history


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoLake:
    if not can_ask():
        pytest.skip("the extra `lake` is not installed")
    return demo_lake(tmp_path_factory)


@pytest.fixture(scope="module")
def rows(demo: DemoLake) -> list[Row]:
    lake = open_lake(demo.root, create=False)
    return [msgspec.json.decode(line) for line, _ in read_lines(lake)]


def test_the_run_found_the_known_answers_on_the_server_and_in_the_lake(
    demo: DemoLake, rows: list[Row]
) -> None:
    wanted = answers(consistency.default())
    assert differing(wanted, demo.truth.confidence, "the truth") == []
    assert differing(wanted, confided(rows), "the lake") == []
    assert demo.truth.scores == {which: whole(one.score) for which, one in wanted.items()}
    assert demo.out["scores"] == demo.truth.scores
    assert demo.out["differences"] == []


def test_everybody_was_asked_by_message_and_answered_once(rows: list[Row]) -> None:
    kinds = Counter(
        (row["interaction_type"], row["partner_id"])
        for row in rows
        if row["interaction_type"] in ("employee_feedback", "customer_reference")
    )
    assert kinds == {
        (kind, partner): 5
        for kind in ("employee_feedback", "customer_reference")
        for partner in PLAN
    }
    sent = Counter(
        row["properties"]["channel"]
        for row in rows
        if row["interaction_type"] == "message_sent"
        and row["properties"].get("purpose") == "confidence"
        and row["properties"].get("status", "sent") == "sent"
    )
    out_of_reach = sum(one.unreachable for told in PLAN.values() for one in told.witnesses)
    assert sent == {"sms": 30 - out_of_reach, "email": out_of_reach}
    asked = [row for row in rows if row["interaction_type"] == "employee_feedback"]
    assert all(row["feedback"].get("verified") for row in asked)
    assert all(row["feedback"]["seconds"] >= THINKS for row in asked)


def test_each_demo_was_uploaded_looked_into_and_rated(rows: list[Row]) -> None:
    done = [
        row["partner_id"]
        for row in rows
        if row["interaction_type"] == "demo_upload" and row["properties"]["status"] == "completed"
    ]
    assert Counter(done) == dict.fromkeys(PLAN, 5)
    rated = [
        row["partner_id"]
        for row in rows
        if row["interaction_type"] == "confidence_change"
        and row["properties"]["record"] == "review"
    ]
    assert Counter(rated) == dict.fromkeys(PLAN, 5)


def test_visitors_of_the_run_were_matched_by_the_scores(demo: DemoLake, rows: list[Row]) -> None:
    after = [
        row
        for row in rows
        if row["interaction_type"] == "partner_match" and row["timestamp"] >= demo.truth.began
    ]
    assert after
    for row in after:
        parts = row["outcomes"]["score_parts"]
        assert parts.get("confidence") == demo.truth.scores.get(row["partner_id"])
        said = f"PowerConfidence {parts.get('confidence', 0):.0f} of 100"
        assert (said in row["outcomes"]["reasons"]) is ("confidence" in parts)
    assert {row["partner_id"] for row in after} & demo.truth.scores.keys()


def test_nobody_in_the_lake_is_known_by_address(rows: list[Row]) -> None:
    text = msgspec.json.encode(rows).decode()
    for told in PLAN.values():
        for one in told.witnesses:
            assert one.phone not in text
            assert one.email not in text
            assert one.network not in text


# The platform asks as any other would


def test_the_platform_keeps_what_it_knew_while_the_server_is_away(lake: Lake) -> None:
    with serving(lake) as server:
        standings = Standings(server.url)
        assert standings.known == 0
        assert [one.partner_id for one in standings.partners] == list(PARTNERS)
    standings.close()
    assert Standings(server.url).known == 0  # away from the beginning: nobody waits for it


def test_where_a_key_is_wanted_the_demo_borrows_one_and_gives_it_back(lake: Lake) -> None:
    settings = load(lake.env, lake.root.parent)
    with open_database(settings) as database:
        Keys(database).create("write", "an app", actor="somebody")
    with Stage(settings) as stage:
        assert httpx.get(f"http://127.0.0.1:{stage.server_port}/api/partners").status_code == 401
        wait_until(lambda: bool(_read_keys(lake)), what="the key")
        assert stage.scores() == {}
        assert not [one for one in _read_keys(lake) if one.revoked_at]
    assert all(one.revoked_at for one in _read_keys(lake))


def test_on_an_open_server_it_makes_no_key(lake: Lake) -> None:
    with Stage(load(lake.env, lake.root.parent)) as stage:
        assert stage.scores() == {}
        url = f"http://127.0.0.1:{stage.server_port}/api/partners"
        assert httpx.get(url).status_code == 200
    assert _read_keys(lake) == []


def _read_keys(lake: Lake) -> list[Any]:
    with open_database(load(lake.env, lake.root.parent)) as database:
        return [one for one in Keys(database).all() if one.kind == "read"]


@pytest.mark.parametrize(
    ("setting", "days"),
    [({}, 0), ({"LAKEWARD_DATABASE_URL": "postgresql://somewhere/else"}, 28),
     ({"ENABLE_DATA_COLLECTION": "false"}, 28)],
    ids=["no history", "a database of others", "nothing is collected"],
)  # fmt: skip
def test_nobody_is_heard_where_it_would_be_in_the_way(
    lake: Lake, setting: dict[str, str], days: int
) -> None:
    assert prelude.carrier_for(load(lake.env, lake.root.parent), 28) is not None
    assert prelude.carrier_for(load({**lake.env, **setting}, lake.root.parent), days) is None


def test_partners_that_the_server_knows_are_left_alone(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in lake.env.items():  # as a user's shell has them, for the demo's processes
        monkeypatch.setenv(name, value)
    settings = load(lake.env, lake.root.parent)
    said: list[str] = []
    with Carrier() as carrier, Stage(settings, 0, carrier) as stage:
        url = f"http://127.0.0.1:{stage.server_port}/api/partners"
        mine = {"partners": [{"partner_id": "mine", "name": "Mine", "category": "roofing"}]}
        assert httpx.post(url, json=mine).status_code == 200
        made = prelude.prelude(open_lake(lake.root), settings, 7, 1, stage, carrier, said.append)
        assert [one["partner_id"] for one in httpx.get(url).json()["partners"]] == ["mine"]
    assert "nobody speaks of partners: the server knows some already, or asks for a key" in said
    assert (made.confidence, made.scores, made.differences) == ({}, {}, [])
    assert made.history is not None


# The carrier


def test_the_carrier_takes_what_the_two_protocols_say_and_nothing_else() -> None:
    with Carrier(["+13035550100"]) as carrier, httpx.Client(base_url=carrier.address) as http_:
        path = f"/2010-04-01/Accounts/{carrier.account}/Messages.json"
        away = http_.post(path, data={"To": "+13035550100", "Body": "a"})
        assert (away.status_code, away.json()["code"]) == (400, 21610)
        assert http_.post(path, data={"To": "+13035550101", "Body": "b"}).status_code == 201
        assert carrier.received(["+13035550100", "+13035550101"], 1.0) == "b"
        with pytest.raises(Transient, match="did not come"):
            carrier.received(["+13035550100"], 0.05)
        assert http_.get(path).json()["messages"] == []
        assert http_.post("/elsewhere", content=b"").status_code == 404
        assert http_.post("/v3/mail/send", content=b"no json").status_code == 400
        connection = http.client.HTTPConnection(*http_.base_url.netloc.decode().split(":"))  # type: ignore[arg-type]  # a port in digits
        connection.putrequest("POST", path)
        connection.putheader("content-length", str(MOST_BYTES + 1))
        connection.endheaders(urlencode({"To": "x"}).encode())
        assert connection.getresponse().status == 413
        connection.close()
    with pytest.raises(httpx.TransportError):
        httpx.get(carrier.address)
