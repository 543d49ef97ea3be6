"""The demo platform over real sockets: what visitors can do, and what it leaves in the lake."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from conftest import Lake, wait_until
from demo_served import FOCUS, GOOD, PROFILE, STAFF, Site, alert, platform
from lakeward.demo.matching import Wishes, matches
from lakeward.demo.partners import PARTNERS

Row = dict[str, Any]


@pytest.fixture
def site(lake: Lake, tmp_path: Path) -> Iterator[Site]:
    with platform(lake, tmp_path) as served:
        yield served


def rows(lake: Lake, kind: str, **own: object) -> list[Row]:
    """Rows of a type whose own fields are these."""
    found = []
    for row in lake.rows():
        slot = row.get("outcomes") or row.get("feedback") or row.get("properties") or {}
        if row["interaction_type"] == kind and own.items() <= slot.items():
            found.append(row)
    return found


def settled(lake: Lake, kind: str, n: int, **own: object) -> list[Row]:
    wait_until(lambda: len(rows(lake, kind, **own)) >= n, what=f"{n} {kind}")
    found = rows(lake, kind, **own)
    assert len(found) == n
    return found


def test_a_contractor_goes_from_the_first_page_to_a_deal(site: Site, lake: Lake) -> None:
    ann = site.visitor()
    ann.get("/", headers={"referer": "https://podcast.example/17"})  # type: ignore[arg-type]
    partners = ann.match()
    expected = matches(Wishes(tuple(FOCUS.values()), "1m_5m", "now"), PARTNERS.values())
    assert partners == [match.partner.partner_id for match in expected]
    assert ann.post("/matches", partner=partners[0]).url.path == "/done"
    slots = ann.slots(partners[0])
    booking = ann.book(partners[0], slots[0])
    ann.post(f"/bookings/{booking}/reschedule", slot=slots[3])
    assert ann.staff(f"/staff/bookings/{booking}/held").status_code == 303
    deal = {"booking": booking, "value": "24000", "currency": "EUR", "satisfaction": "9"}
    assert ann.staff("/staff/deals", **deal).status_code == 303

    (closed,) = settled(lake, "deal_closed", 1)
    told = settled(lake, "partner_match", 3)
    assert [row["partner_id"] for row in told] == partners
    assert [row["outcomes"]["score"] for row in told] == [match.score for match in expected]
    assert [row["outcomes"]["primary"] for row in told] == [True, False, False]
    who = told[0]["user_id"]
    assert closed["outcomes"]["match_interaction_id"] == told[0]["interaction_id"]
    assert (closed["outcomes"]["value"], closed["outcomes"]["currency"]) == (24000, "EUR")
    states = [row["outcomes"]["status"] for row in rows(lake, "demo_booking")]
    assert states == ["booked", "rescheduled", "held"]
    days = [row["outcomes"]["date"] + "T" + row["outcomes"]["time"] for row in
            rows(lake, "demo_booking")]  # fmt: skip
    assert days == [slots[0], slots[3], slots[3]]
    steps = [(r["outcomes"]["step"], r["outcomes"]["status"]) for r in rows(lake, "flow_step")]
    assert steps == [
        ("verification", "entered"), ("verification", "completed"),
        ("focus_areas", "entered"), ("focus_areas", "completed"),
        ("business_profile", "entered"), ("business_profile", "completed"),
        ("matching", "entered"), ("matching", "completed"), ("completion", "completed"),
    ]  # fmt: skip
    (end,) = rows(lake, "flow_completion")
    assert end["referrer"] == "https://podcast.example/17"
    outcomes = [*told, *rows(lake, "demo_booking"), closed, end]
    assert {row["user_id"] for row in outcomes} == {who}
    calls = {row["interaction_id"]: row for row in rows(lake, "api_call")}
    for row in outcomes:
        call = calls[row["parent_interaction_id"]]
        assert call["trace_id"] == row["trace_id"]
    sent = settled(lake, "message_sent", 5)  # a code, two introductions, two about the move
    assert {row["properties"]["status"] for row in sent} == {"sent"}


def test_the_page_shows_what_was_wrong_and_nothing_is_told(site: Site, lake: Lake) -> None:
    ann = site.visitor()
    ann.get("/start")
    good = {"name": "Ann", "email": "a@b.example", "phone": "+15125550100"}
    for bad, sentence in [
        ({"name": " "}, "tell us your name"), ({"email": "a@b"}, "e-mail address"),
        ({"phone": "555"}, "country code"), ({"phone": "+1512555010x"}, "country code"),
    ]:  # fmt: skip
        page = ann.post("/start", **{**good, **bad})
        assert page.status_code == 422
        assert sentence in alert(page)
    ann.verify()
    for form in ({}, {"first": "crm", "second": "crm"}, {"first": "gold"}):
        assert ann.post("/focus", **form).status_code == 422
    ann.post("/focus", **FOCUS)
    for change in ({"revenue": "all"}, {"team": ""}, {"readiness": "never"}):
        assert ann.post("/profile", **{**PROFILE, **change}).status_code == 422
    ann.post("/profile", **PROFILE)
    assert ann.post("/matches", partner="p0").status_code == 422
    assert ann.get("/done").status_code == 409
    settled(lake, "flow_step", 3, status="completed")
    assert rows(lake, "flow_completion") == []


def test_a_code_may_be_tried_five_times_and_used_once(site: Site) -> None:
    ann = site.visitor()
    code = ann.begin()
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    for _ in range(5):
        assert "not the code" in alert(ann.post("/verify", code=wrong))
    assert "too often" in alert(ann.post("/verify", code=code))
    assert ann.get("/focus").status_code == 403
    ann.post("/verify/again")
    wait_until(lambda: ann.code() != code, what="another code")
    assert ann.post("/verify", code=ann.code()).url.path == "/focus"
    other = site.visitor("+15125550199")
    other.begin()
    assert other.post("/verify", code=ann.code()).status_code == 422


def test_nobody_reads_anothers_messages_or_asks_for_codes_without_end(site: Site) -> None:
    ann, eve = site.visitor(), site.visitor()
    ann.begin()
    eve.get("/start")
    eve.post("/start", name="Ann Mason", email="ann@contractor.example", phone=ann.phone)
    wait_until(lambda: "code is" in eve.get("/inbox").text, what="a code of her own")
    assert eve.get("/inbox").text.count("<article") == 1
    answers = [eve.post("/verify/again").status_code for _ in range(11)]
    assert answers == [*[200] * 9, 429, 429]
    assert site.visitor().get("/inbox").text.count("<article") == 0


def test_who_wishes_something_else_chooses_from_the_new_matches(site: Site, lake: Lake) -> None:
    ann = site.visitor()
    first = ann.match()
    ann.post("/focus", first="safety", second="insurance")
    second = re.findall(r'data-partner="(p\d+)"', ann.get("/matches").text)
    assert (len(second), set(second) - set(first) != set()) == (3, True)
    gone, new = (next(iter(sorted(set(a) - set(b)))) for a, b in ((first, second), (second, first)))
    assert ann.post("/matches", partner=gone).status_code == 422
    assert ann.post("/matches", partner=new).url.path == "/done"
    ann.get("/matches")
    told = settled(lake, "partner_match", 6)
    assert sorted(row["partner_id"] for row in told) == sorted(first + second)


def test_another_number_has_to_be_verified_anew(site: Site) -> None:
    ann = site.visitor()
    ann.verify()
    person = {"name": "Ann", "email": "ann@contractor.example"}
    ann.post("/start", **person, phone="+15125550111")
    assert ann.get("/profile").status_code == 403
    ann.verify()
    assert ann.get("/profile").status_code == 200


def test_headers_that_are_no_addresses_break_nothing(site: Site) -> None:
    ann = site.visitor()
    assert ann.http.get("/", headers={"referer": "http://[x"}).status_code == 200
    assert ann.http.post("/start", headers={"origin": "http://[x"}).status_code == 403


def test_a_slot_is_given_once_however_many_ask_at_the_same_time(site: Site, lake: Lake) -> None:
    people = [site.visitor(f"+1512555{n:04d}") for n in range(4)]
    for person in people:
        person.verify()
    slot = people[0].slots("p1")[0]
    answers: list[int] = []
    threads = [
        threading.Thread(
            target=lambda p=person: answers.append(
                p.http.post(
                    "/partners/p1/book", data={"slot": slot}, follow_redirects=False
                ).status_code
            )
        )
        for person in people
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [303, 409, 409, 409]
    settled(lake, "demo_booking", 1, status="booked")


def test_a_booking_is_its_owners_and_staffs_and_ends_once(site: Site, lake: Lake) -> None:
    ann, bob = site.visitor(), site.visitor("+15125550101")
    ann.verify()
    bob.verify()
    slots = ann.slots("p1")
    booking, second = ann.book("p1", slots[0]), ann.book("p2", slots[0])
    assert bob.get(f"/bookings/{booking}").status_code == 404
    assert bob.post(f"/bookings/{booking}/cancel").status_code == 404
    assert bob.post(f"/staff/bookings/{booking}/held").status_code == 403
    assert bob.post(f"/staff/bookings/{booking}/held", staff="guess").status_code == 403
    assert ann.post("/partners/p1/book", slot="2020-01-01T09:00").status_code == 409
    assert ann.post("/partners/p99/book", slot=slots[1]).status_code == 404
    other = bob.book("p1", slots[1])
    taken = bob.post(f"/bookings/{other}/reschedule", slot=slots[0])
    assert (taken.status_code, "Somebody has" in alert(taken)) == (409, True)
    ann.post(f"/bookings/{second}/cancel", reason="No time")
    assert ann.post(f"/bookings/{second}/cancel").status_code == 409
    assert ann.staff(f"/staff/bookings/{second}/held").status_code == 409
    assert ann.staff(f"/staff/bookings/{booking}/no-show").status_code == 303
    deal = {"booking": booking, "value": "1", "currency": "USD"}
    assert ann.staff("/staff/deals", **deal).status_code == 409
    bob.book("p2", slots[0])  # free again
    (cancelled,) = settled(lake, "demo_booking", 1, status="cancelled")
    assert cancelled["outcomes"]["reason"] == "No time"
    settled(lake, "demo_booking", 1, status="no_show")


def test_the_coach_opens_with_feedback_and_logs_every_turn(site: Site, lake: Lake) -> None:
    ann = site.visitor()
    ann.verify()
    ann.post("/focus", **FOCUS)
    question = "How do I hire a foreman <script>alert(1)</script>?"
    assert ann.get("/coach").status_code == 403
    assert ann.post("/coach/messages", conversation="k-1", text="x").status_code == 403
    assert ann.post("/feedback", **{**GOOD, "nps": "11"}).status_code == 422
    assert ann.post("/feedback", **GOOD, recommend="yes", comments="Good.").url.path == "/coach"
    said: list[str] = []
    shown: list[str] = []
    for text in (question, "And payroll?"):
        answer = ann.post("/coach/messages", conversation="k-1", text=text)
        events = [json.loads(line[6:]) for line in answer.text.split("\n\n") if line]
        said.append("".join(event.get("text", "") for event in events))
        assert events[-1].pop("done") is True
        shown.append(events[-1]["turn"])
    assert "demo" in said[0]
    assert said[0] != said[1]
    turns = settled(lake, "ai_conversation", 2)
    assert [turn["interaction_id"] for turn in turns] == shown
    for number, (turn, text) in enumerate(zip(turns, (question, "And payroll?"), strict=True)):
        ai = turn["ai_metadata"]
        assert (turn["conversation_id"], ai["turn"]) == ("k-1", number)
        assert [m["role"] for m in turn["messages"]] == ["system", "user", "assistant"]
        assert turn["messages"][1]["content"] == text
        assert turn["messages"][2]["content"] == said[number]
        assert (ai["status"], ai["finish_reason"], ai["streamed"]) == ("completed", "stop", True)
        assert ai["input_tokens"] + ai["output_tokens"] == ai["total_tokens"] > 0
        assert 0 <= ai["time_to_first_token_ms"] <= ai["duration_ms"]
    (feedback,) = settled(lake, "feedback_submission", 1)
    assert feedback["feedback"]["scores"] == {"communication": 9, "expertise": 8, "value": 7}
    assert feedback["user_id"] == turns[0]["user_id"]
    bob = site.visitor("+15125550101")
    bob.verify()
    bob.post("/feedback", **GOOD)
    assert bob.post("/coach/messages", conversation="k-1", text="mine?").status_code == 404
    assert bob.post("/coach/ratings", turn=shown[0], helpful="no").status_code == 404
    assert ann.post("/coach/ratings", turn=shown[0], helpful="perhaps").status_code == 422
    for helpful in ("no", "yes"):
        assert ann.post("/coach/ratings", turn=shown[0], helpful=helpful).status_code == 200
    ratings = settled(lake, "ai_rating", 2)
    assert [row["ai_metadata"]["helpful"] for row in ratings] == [False, True]
    assert {row["parent_interaction_id"] for row in ratings} == {shown[0]}
    assert {row["user_id"] for row in ratings} == {turns[0]["user_id"]}


def test_a_partner_joins_step_by_step(site: Site, lake: Lake) -> None:
    firm = site.visitor()
    assert firm.post("/join", company="C", name="B", email="b@c.example").status_code == 403
    firm.get("/join")
    assert firm.post("/join", company="C", name="B", email="nobody").status_code == 422
    firm.post("/join", company="C & Sons", name="B", email="b@c.example")
    assert firm.post("/join/focus").status_code == 422
    firm.post("/join/focus", focus=["crm", "hiring"])
    firm.post("/join/proposition", proposition="We help.", revenue=["1m_5m"])
    assert firm.post("/join/review").status_code == 422
    done = firm.post("/join/review", agree="yes")
    assert "Welcome, C &amp; Sons" in done.text
    firm.post("/join/review", agree="yes")
    told = settled(lake, "partner_onboarding", 6)
    assert [row["outcomes"]["status"] for row in told] == [
        "started", *["step_completed"] * 4, "completed",
    ]  # fmt: skip
    settled(lake, "flow_completion", 1, flow="partner_onboarding", steps_completed=4)


def test_partners_are_listed_for_the_verified_and_not_during_the_outage(
    site: Site, lake: Lake
) -> None:
    ann = site.visitor()
    refused = ann.get("/api/partners")
    assert (refused.status_code, refused.json()["code"]) == (401, 401)
    ann.verify()
    assert len(ann.get("/api/partners").json()) == 12
    assert ann.get("/api/partners/p2").json()["name"] == "Ledgerline"
    assert ann.get("/api/partners/p99").status_code == 404
    assert ann.post("/staff/outage", on="yes").status_code == 403
    ann.staff("/staff/outage", on="yes")
    assert [ann.get(f"/api/partners{rest}").status_code for rest in ("", "/p1")] == [503, 503]
    ann.staff("/staff/outage", on="no")
    assert ann.get("/api/partners").status_code == 200
    wait_until(lambda: len([r for r in rows(lake, "api_call") if r["response_status"] == 503]) == 2)


def test_the_library_tells_what_was_looked_at_and_taken_up(site: Site, lake: Lake) -> None:
    ann = site.visitor()
    ann.get("/library")
    ann.get("/library/ep-1")
    ann.http.post(
        "/library/ep-1", data={"action": "complete", "progress": "100"}, follow_redirects=False
    )
    assert ann.get("/library/nothing").status_code == 404
    assert ann.post("/library/ep-1", action="burn").status_code == 422
    told = settled(lake, "content_interaction", 2)
    assert [row["outcomes"]["action"] for row in told] == ["view", "complete"]
    assert told[1]["outcomes"]["progress"] == 100


def test_forms_of_other_sites_and_huge_ones_do_nothing(site: Site, lake: Lake) -> None:
    ann = site.visitor()
    ann.verify()
    for headers in (
        {"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):  # fmt: skip
        answer = ann.http.post("/focus", data=FOCUS, headers=headers)
        assert answer.status_code == 403
    assert ann.post("/focus", first="x" * 70_000).status_code == 403
    assert ann.post("/focus", first="x" * 400).status_code == 422
    chunks = (b"first=" + b"x" * 10_000 for _ in range(30))
    with contextlib.suppress(httpx.TransportError):  # the server may hang up on it
        answer = ann.http.post(
            "/focus", content=chunks, headers={"content-type": "application/x-www-form-urlencoded"}
        )
        assert answer.status_code < 500
    assert rows(lake, "flow_step", step="focus_areas", status="completed") == []
    own = {"origin": site.address, "sec-fetch-site": "same-origin"}
    assert ann.http.post("/focus", data=FOCUS, headers=own).url.path == "/profile"


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}\x00\u202e"


def test_hostile_words_are_words(site: Site) -> None:
    ann = site.visitor()
    ann.get("/start")
    page = ann.post("/start", name=HOSTILE, email="x", phone=HOSTILE)
    assert page.status_code == 422
    assert "<script>alert" not in page.text
    assert "49" not in page.text
    assert ann.post("/verify", code=ann.begin(HOSTILE)).url.path == "/focus"
    ann.post("/focus", **FOCUS)
    partner = "p1"
    ann.book(partner, ann.slots(partner)[0])
    wait_until(lambda: "meet Northbuild" in ann.get("/inbox").text, what="the introduction")
    inbox = ann.get("/inbox").text
    assert "<script>alert" not in inbox
    assert "<img src=x" not in inbox
    for path in ("/bookings/<script>", "/partners/%3Cscript%3E/book", "/library/<script>"):
        answer = ann.get(path)
        assert answer.status_code == 404
        assert "<script>" not in answer.text.replace('<script src="', "")
    policy = ann.get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


def test_whatever_is_sent_to_a_form_never_breaks_a_page(site: Site, lake: Lake) -> None:
    ann = site.visitor()
    ann.match()
    odd = ["", " ", "\x00", "x" * 300, "-1", "1e9", "NaN", "p1", "é", "🙂", "%", "[]", "'; --"]
    paths = (
        "/start", "/verify", "/focus", "/profile", "/matches", "/feedback", "/library/ep-1",
        "/partners/p1/book", "/join", "/join/focus", "/join/proposition", "/join/review",
        "/coach/messages", "/bookings/b-1/cancel",
    )  # fmt: skip
    fields = (
        "name", "email", "phone", "code", "first", "second", "revenue", "team", "readiness",
        "partner", "slot", "nps", "overall", "action", "progress", "focus", "agree", "text",
    )  # fmt: skip
    for path in paths:
        for value in odd:
            answer = ann.post(path, **dict.fromkeys(fields, value))
            assert answer.status_code < 500, (path, value)
    for path in ("/staff/deals", "/staff/outage", "/staff/bookings/b-1/held"):
        for value in odd:
            form = dict.fromkeys(("booking", "value", "currency", "satisfaction", "on"), value)
            assert ann.staff(path, **form).status_code < 500, (path, value)


def test_the_platform_works_with_collection_switched_off(lake: Lake, tmp_path: Path) -> None:
    with platform(lake, tmp_path, ENABLE_DATA_COLLECTION="false") as site:
        ann = site.visitor()
        partners = ann.match()
        assert ann.post("/matches", partner=partners[0]).url.path == "/done"
        ann.post("/feedback", **GOOD)
        assert "demo" in ann.post("/coach/messages", conversation="k", text="crm?").text
    assert not (lake.root / "raw").exists() or lake.rows() == []


def test_staff_sees_bookings_and_nobody_else_does(site: Site) -> None:
    ann = site.visitor()
    ann.verify()
    booking = ann.book("p1", ann.slots("p1")[0])
    assert ann.get("/staff").status_code == 403
    assert booking in ann.http.get("/staff", headers={"staff": STAFF}).text
