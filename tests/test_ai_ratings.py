"""Ratings over HTTP: from programs and from pages, durable before the answer, each once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from uuid_utils import uuid7

from conftest import Lake, wait_until
from heard_server import heard_server
from lakeward.interaction import id_ms, is_pages, iso
from lakeward.lake import derived
from lakeward.lake.reading import open_reading
from lakeward.settings import load
from server_process import Serving, serving
from sites_served import site
from test_mount import host, own_page
from test_server_keys import created

PATH = "/v1/ai/ratings"
TURN = str(uuid7())


@pytest.fixture
def served(lake: Lake) -> Iterator[Serving]:
    with serving(lake) as server:
        yield server


def rate(server: Serving, content: Any, **headers: str) -> httpx.Response:
    with server.client() as client:
        return client.post(PATH, json=content, headers=headers)


def current(lake: Lake) -> list[dict[str, Any]]:
    """What `ai_ratings_current` says."""
    with open_reading(lake.open(), load(lake.env)) as reading:
        derived.create(reading.con)
        cursor = reading.con.execute("FROM ai_ratings_current ORDER BY rated_at")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def test_a_rating_is_durable_when_it_is_answered_and_hangs_on_its_turn(
    lake: Lake, served: Serving
) -> None:
    answer = rate(served, {"interaction_id": TURN, "helpful": False, "rating": 2,
                           "reason": "wrong", "comment": "My card is 4111 1111 1111 1111",
                           "user_id": "u1", "turn": None})  # fmt: skip
    assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "rejected": []})
    (row,) = lake.rows()
    assert row["interaction_type"] == "ai_rating"
    assert (row["parent_interaction_id"], row["user_id"]) == (TURN, "u1")
    assert row["ai_metadata"] == {
        "helpful": False, "rating": 2, "reason": "wrong", "comment": "My card is [REDACTED]",
    }  # fmt: skip
    assert row["interaction_id"] != TURN


def test_ratings_come_as_a_list_or_under_their_name_and_what_is_wrong_is_named(
    lake: Lake, served: Serving
) -> None:
    ratings: list[Any] = [
        {"conversation_id": "c5", "turn": 0, "helpful": True, "user_id": "u1"},
        {"conversation_id": "c5", "helpful": True},
        {"interaction_id": TURN},
        {"interaction_id": TURN, "rating": 6},
        {"interaction_id": TURN, "rating": 5, "password": "s3cr3t-in-a-field"},
        "helpful",
        {"interaction_id": TURN, "rating": 4.0, "rater_id": "r1"},
    ]
    for content in (ratings, {"ratings": ratings}):
        said = rate(served, content).json()
        assert said["accepted"] == 2
        reasons = {r["index"]: r["reason"] for r in said["rejected"]}
        assert list(reasons) == [1, 2, 3, 4, 5]
        assert reasons[1].startswith("Say which turn: its `interaction_id`, or")
        assert reasons[2] == "Say `helpful`, `rating`, `reason` or `comment`."
        assert reasons[3] == "`rating` must be `int` <= 5."
        assert reasons[4].startswith("The fields of a rating are rating_id, interaction_id,")
        assert reasons[5] == "A rating must be an object."
    assert [row["ai_metadata"].get("rater_id") for row in lake.rows()] == [None, "r1"] * 2
    aside = lake.quarantined()
    assert len(aside) == 10
    assert "s3cr3t" not in json.dumps(aside)
    assert aside[2]["record"]["parent_interaction_id"] == TURN, "a replay would hang it there"


NO_RATINGS = [
    (b"{", 400, "bad_json"),
    (b'{"ratings": 3}', 400, "bad_batch"),
    (b"3", 400, "bad_batch"),
    (b'{"helpful": true}', 400, "bad_rating"),
    (b'{"interaction_id": "x", "helpful": "yes"}', 400, "bad_rating"),
    (json.dumps([{}] * 2501).encode(), 413, "too_many"),
    (b'{"comment": "' + b"x" * (5 << 20) + b'"}', 413, "too_large"),
]


def test_what_is_no_rating_is_refused_with_a_code_and_a_sentence(served: Serving) -> None:
    for content, status, code in NO_RATINGS:
        with served.client() as client:
            answer = client.post(PATH, content=content)
        assert (answer.status_code, answer.json()["code"]) == (status, code), content[:60]
        assert set(answer.json()) == {"code", "message"}
        assert answer.json()["message"].endswith(".")


def test_a_retry_with_the_same_rating_id_meets_itself(lake: Lake, served: Serving) -> None:
    by_turn = {"interaction_id": TURN, "helpful": True, "rating_id": "button-7", "user_id": "u1"}
    by_place = {"conversation_id": "c5", "turn": 0, "rating": 4, "rating_id": "button-8",
                "timestamp": "2026-11-01T10:00:00.000Z"}  # fmt: skip
    by_day = {"conversation_id": "c5", "turn": 0, "rating": 3, "rating_id": "button-9"}
    own = {"interaction_id": TURN, "helpful": False, "rating_id": str(uuid7())}
    for content in (by_turn, by_place, by_day, own):
        for _ in range(2):
            assert rate(served, content).json()["accepted"] == 1
    ids = lake.ids()
    assert ids[::2] == ids[1::2]
    assert len(set(ids)) == 4
    assert ids[6] != own["rating_id"], "it could be the id of a turn"
    (first, second) = lake.rows()[:2]
    assert first["timestamp"] <= second["timestamp"]
    assert first["timestamp"][:10] == first["received_at"][:10], "its time is when it came"
    with open_reading(lake.open(), load(lake.env)) as reading:
        assert reading.con.execute("SELECT count(*) FROM ai_rating").fetchone() == (4,)


def test_a_rating_cannot_take_the_place_of_its_turn(lake: Lake, served: Serving) -> None:
    turn = str(uuid7())
    rated = {"interaction_id": turn, "rating_id": turn, "helpful": True, "user_id": "u1"}
    assert rate(served, rated).json()["accepted"] == 1  # while the turn streams
    collector = lake.collector(LAKEWARD_KEEPER="external")
    collector.record("ai_conversation", interaction_id=turn, user_id="u1", conversation_id="c5")
    collector.commit()
    (row,) = current(lake)
    assert (row["turn_id"], row["helpful"]) == (turn, True)


def test_no_page_takes_the_place_of_a_turn_or_speaks_for_a_rater_that_a_server_told_of(
    lake: Lake, served: Serving
) -> None:
    page = created(lake, "write", "page")
    server = created(lake, "write", "server", "--allow", "*")
    as_page = {"authorization": f"Bearer {page}"}
    as_server = {"authorization": f"Bearer {server}"}
    turn = str(uuid7())
    rated = {"interaction_id": turn, "user_id": "u1", "rating_id": "r"}
    wait_until(
        lambda: rate(served, rated | {"helpful": True}, **as_server).status_code == 200,
        what="the last key",
    )
    forged = [
        {"interaction_type": "click", "interaction_id": turn, "element": "button"},
        {"interaction_type": "ai_rating", "interaction_id": lake.ids()[0], "user_id": "u1",
         "parent_interaction_id": turn, "helpful": False},
        {"interaction_type": "ai_rating", "user_id": "u1", "parent_interaction_id": turn,
         "helpful": False},
        {"interaction_type": "ai_rating", "user_id": "u9", "rater_id": "u1", "helpful": False,
         "parent_interaction_id": turn},
    ]  # fmt: skip
    with served.client() as client:
        for key in (as_page, as_page, as_server | {"origin": "http://127.0.0.1:9"}):
            sent = client.post("/v1/interactions", json=forged, headers=key)
            assert sent.json() == {"accepted": 4, "rejected": []}
        at = {"timestamp": iso(id_ms(turn))}
        doors = {
            "/batch/": {"api_key": page, "batch": [
                {"event": "x", "uuid": turn, "distinct_id": "u1", "properties": {}} | at]},
            "/v1/batch": {"writeKey": page, "batch": [
                {"type": "track", "event": "x", "messageId": turn, "anonymousId": "u1"} | at]},
        }  # fmt: skip
        for path, content in doors.items():
            assert client.post(path, json=content, headers=as_page).status_code == 200
    assert rate(served, rated | {"helpful": False}, **as_page).json()["accepted"] == 1
    rate(served, rated | {"helpful": False, "rating_id": "s", "anonymous_id": "a1"}, **as_page)
    collector = lake.collector(LAKEWARD_KEEPER="external")
    collector.record("ai_conversation", interaction_id=turn, user_id="u1", conversation_id="c5")
    collector.commit()
    ids = {row["interaction_type"]: row["interaction_id"] for row in lake.rows()}
    assert {kind for kind, given in ids.items() if not is_pages(given)} == {"ai_conversation"}
    assert sum(row["interaction_type"] == "x" for row in lake.rows()) == 2
    assert {row["turn_id"] for row in current(lake)} == {turn}
    said = [(row["rater_kind"], row["rater"], row["helpful"]) for row in current(lake)]
    assert sorted(said) == [
        ("anonymous_id", "a1", False), ("claimed_user_id", "u1", False), ("user_id", "u1", True),
    ]  # fmt: skip
    with open_reading(lake.open(), load(lake.env)) as reading:
        clicks = reading.con.execute("SELECT interaction_id FROM click").fetchall()
    assert len(clicks) == 1, "sent three times, it is one"
    assert clicks[0][0][:14] == turn[:14]
    assert is_pages(clicks[0][0])


def test_a_rating_from_the_future_is_not_the_last_word_for_ever(
    lake: Lake, served: Serving
) -> None:
    turn = str(uuid7())
    for helpful, more in ((False, {"timestamp": "2099-01-01T00:00:00Z"}), (True, {})):
        rated = {"interaction_id": turn, "user_id": "u1", "helpful": helpful, **more}
        assert rate(served, rated).json()["accepted"] == 1
    (row,) = current(lake)
    assert row["helpful"] is True


def test_the_last_word_of_a_rater_counts_whichever_way_the_turn_is_named(
    lake: Lake, served: Serving
) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="external")
    turn = collector.record("ai_conversation", user_id="u1", conversation_id="c5", feature="coach")
    collector.commit()
    place = {"conversation_id": "c5", "turn": 0}
    rate(served, place | {"user_id": "u1", "helpful": True, "rating": 5})
    rate(served, place | {"user_id": "u2", "helpful": True})
    named = str(turn).upper()
    rate(served, {"interaction_id": named, "user_id": "u1", "helpful": False, "reason": "wrong"})
    rows = current(lake)
    assert [(r["rater"], r["turn_id"], r["helpful"], r["rating"], r["reason"]) for r in rows] == [
        ("u2", turn, True, None, None),
        ("u1", turn, False, None, "wrong"),
    ]


def test_a_pages_key_may_rate_and_a_key_for_other_types_or_for_reading_may_not(
    lake: Lake, served: Serving
) -> None:
    keys = {
        "page": created(lake, "write", "page", "--origin", "https://app.example.com"),
        "orders": created(lake, "write", "orders", "--allow", "order_placed"),
        "read": created(lake, "read", "board"),
    }
    content = {"interaction_id": TURN, "helpful": True}

    def status(name: str, **headers: str) -> tuple[int, str | None]:
        answer = rate(served, content, authorization=f"Bearer {keys[name]}", **headers)
        return answer.status_code, answer.json().get("code")

    wait_until(lambda: rate(served, content).status_code == 401, what="keys in force")
    wait_until(lambda: status("read") == (403, "wrong_kind"), what="the last key")
    assert status("page") == (200, None)
    assert status("page", origin="https://app.example.com") == (200, None)
    assert status("page", origin="https://evil.example") == (403, "wrong_origin")
    assert status("orders") == (403, "wrong_type")


def test_the_path_can_be_renamed_and_switched_off(lake: Lake) -> None:
    content = {"interaction_id": TURN, "helpful": True}
    with serving(lake, LAKEWARD_PATHS="ratings=/thumbs") as server, server.client() as client:
        assert client.post("/thumbs", json=content).status_code == 200
        assert client.post(PATH, json=content).status_code == 404
        assert "/thumbs" in client.get("/openapi.json").json()["paths"]
    with serving(lake, LAKEWARD_PATHS="ratings=") as server, server.client() as client:
        assert client.post(PATH, json=content).status_code == 404


def test_pages_of_the_app_rate_at_its_own_origin_without_a_key(lake: Lake, tmp_path: Path) -> None:
    path, content = f"/_lakeward{PATH}", {"interaction_id": TURN, "helpful": True}
    with host(lake, tmp_path) as client:
        answer = client.post(path, json=content, headers=own_page(client))
        assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "rejected": []})
        assert client.post(path, json=content).status_code == 401
    (row,) = [row for row in lake.rows() if row["interaction_type"] == "ai_rating"]
    assert row["parent_interaction_id"] == TURN
    assert is_pages(row["interaction_id"]), "whoever opens the page could have sent it"


BUTTONS = """<!doctype html><title>Coach</title>
<script src="{host}/lakeward.js" data-key="{key}" defer></script>
<button id="up" onclick="send({{helpful: true, rating: 5}})">Helpful</button>
<button id="down" onclick="lakeward.ai.rate({{parent_interaction_id: '{turn}', helpful: false}})">
  Not helpful</button>
<output id="said"></output>
<script>
  async function send(rating) {{
    const answer = await fetch("{host}/v1/ai/ratings", {{
      method: "POST",
      headers: {{authorization: "Bearer {key}", "content-type": "application/json"}},
      body: JSON.stringify({{interaction_id: "{turn}", rating_id: "r", user_id: "u1", ...rating}}),
    }});
    document.getElementById("said").value = JSON.stringify(await answer.json());
  }}
</script>"""


def test_buttons_of_a_page_elsewhere_rate_the_exact_turn_by_request_and_by_sdk(
    lake: Lake, browser: Any
) -> None:
    with heard_server(lake) as heard:
        page_text = BUTTONS.format(host=heard.proxy.url, key=heard.key, turn=TURN)
        with site({"/": page_text.encode()}) as address:
            page = browser.new_page()
            page.goto(address)
            page.wait_for_function("window.lakeward")
            page.click("#up")
            page.wait_for_function("document.getElementById('said').value")
            said = json.loads(page.evaluate("document.getElementById('said').value"))
            assert said == {"accepted": 1, "rejected": []}
            page.click("#down")
            wait_until(lambda: len(heard.rows().get("ai_rating", [])) == 2, what="both ratings")
            page.close()
    asked, clicked = heard.rows()["ai_rating"]
    assert asked["parent_interaction_id"] == clicked["parent_interaction_id"] == TURN
    assert asked["ai_metadata"] == {"helpful": True, "rating": 5}
    assert clicked["ai_metadata"] == {"helpful": False}
    assert clicked["anonymous_id"]
