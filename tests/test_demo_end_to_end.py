"""The demo from end to end: one run as a user starts it, and what the lake holds after it.

Each row is held against the truth that was computed from the plan, and joined from the click to
what came of it.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Lake
from lakeward.demo import truth as truth_of_demo
from lakeward.demo.browser import chromium
from lakeward.demo.evidence import can_ask
from lakeward.demo.figures import Match
from lakeward.demo.partners import PARTNERS
from lakeward.demo.plan import BROWSERS, plan
from lakeward.demo.stage import FLOWS
from lakeward.demo.truth import NAME, Truth

pytestmark = pytest.mark.skipif(
    not (importlib.util.find_spec("fastapi") and importlib.util.find_spec("uvicorn")),
    reason="the demo needs fastapi and uvicorn: pip install 'lakeward[demo]'",
)
VISITORS, SECONDS, SEED = 14, 4, 7
STEPS = ["verification", "focus_areas", "business_profile", "matching", "completion"]
Row = dict[str, Any]


class Shown:
    """A demo that ran: what it printed, the truth, and the lake's rows."""

    def __init__(self, lake: Lake, answer: dict[str, Any]) -> None:
        self.lake, self.answer = lake, answer
        self.truth: Truth = truth_of_demo.read(lake.root / ".lakeward" / NAME)
        self.rows = lake.rows()
        self.by_id = {row["interaction_id"]: row for row in self.rows}

    def of(self, kind: str, **outcomes: object) -> list[Row]:
        """Rows of a type, with these outcomes."""
        return [
            row
            for row in self.rows
            if row["interaction_type"] == kind
            and all(row["outcomes"].get(name) == value for name, value in outcomes.items())
        ]

    def call(self, row: Row) -> Row:
        """The API call in which a row was recorded: its parent, in the same trace and session."""
        call = self.by_id[row["parent_interaction_id"]]
        assert call["interaction_type"] == "api_call"
        assert (call["trace_id"], call["session_id"]) == (row["trace_id"], row["session_id"])
        return call

    def clicked(self, row: Row) -> Row:
        """The click in a real browser that led to a row, through one call, in one trace."""
        call = self.call(row)
        clicks = [
            one
            for one in self.of("click")
            if one["trace_id"] == row["trace_id"] and one["session_id"] == row["session_id"]
        ]
        assert clicks
        assert clicks[0]["interaction_id"] < call["interaction_id"] < row["interaction_id"]
        return clicks[0]

    def in_browser(self, rows: list[Row]) -> list[Row]:
        """Those of visitors who came in a real browser."""
        sessions = {row["session_id"] for row in self.of("click")}
        return [row for row in rows if row["session_id"] in sessions]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """One small run of `lakeward demo --once`, in a lake that held something before."""
    folder = tmp_path_factory.mktemp("demo")
    ring_dir = Path("/dev/shm") / f"lw-{folder.name}-{folder.stat().st_ino}"
    ring_dir.mkdir(mode=0o700)
    lake = Lake(folder / "data-lake", ring_dir)
    try:
        collector = lake.collector()
        collector.record("deal_closed", value=1.0, currency="USD", partner_id="p1")
        collector.close()
        flows = folder / "flows.toml"
        flows.write_text(FLOWS.read_text().replace("= 20", "= 8"))
        command = [
            sys.executable, "-m", "lakeward.cli", "demo", "--once", "--format", "json",
            "--visitors", str(VISITORS), "--seconds", str(SECONDS), "--seed", str(SEED),
        ]  # fmt: skip
        done = subprocess.run(
            command, cwd=folder, env=lake.process_env(LAKEWARD_FLOWS=str(flows)),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr + done.stdout
        assert "\x1b" not in done.stderr
        assert "\r" not in done.stderr
        made = Shown(lake, json.loads(done.stdout))
        made.rows = made.rows[1:]
        assert made.truth.figures.history is None  # the lake had a past of its own
        yield made
    finally:
        lake.close()
        shutil.rmtree(ring_dir, ignore_errors=True)


def test_contractor_flow_with_data_collection(shown: Shown) -> None:
    flow = shown.truth.figures.flows["contractor"]
    people: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in shown.of("flow_step", flow="contractor"):
        shown.call(row)
        assert row["user_type"] == "contractor"
        told = row["outcomes"]
        assert (told["step_index"], told["steps_total"]) == (STEPS.index(told["step"]), 5)
        assert row["user_id"] not in people[told["step"], told["status"]]
        people[told["step"], told["status"]].add(row["user_id"])
    for step in STEPS:
        assert len(people[step, "entered"]) == flow.steps[step].entered
        assert len(people[step, "completed"]) == flow.steps[step].completed
    ends = shown.of("flow_completion", flow="contractor", status="completed")
    assert {row["user_id"] for row in ends} == people["completion", "completed"]
    assert len(ends) == flow.completed > BROWSERS
    given_up = shown.of("flow_completion", flow="contractor", status="abandoned")
    if can_ask():
        begun = people["verification", "entered"]
        assert {row["user_id"] for row in given_up} == begun - people["completion", "completed"]
        assert len(given_up) == flow.abandoned
        assert all(row["outcomes"]["derived"] for row in given_up)
    for row in ends:
        assert shown.call(row)["route"] == "/matches"
        assert row["outcomes"]["steps"] == STEPS
        assert row["outcomes"]["device"] in {"mobile", "desktop"}
    assert len(shown.of("cta_click", cta="find_partner")) == shown.truth.figures.ctas
    texts = [row for row in shown.of("message_sent") if row["properties"]["channel"] == "sms"]
    assert len(texts) == shown.truth.figures.messages["verification"]
    assert shown.answer["lost"] == 0
    assert shown.answer["differences"] == []


def test_partner_matching_tracks_outcomes(shown: Shown) -> None:
    found: dict[str, list[Match]] = defaultdict(list)
    for row in shown.of("partner_match"):
        assert shown.call(row)["route"] in {"/matches", "/profile"}
        told = row["outcomes"]
        assert told["primary"] is (told["rank"] == 1)
        assert told["candidates"] == len(PARTNERS)
        assert told["reasons"]
        assert len(told["focus_areas"]) == 3
        found[row["user_id"]].append(Match(row["partner_id"], told["score"], told["rank"]))
    expected = shown.truth.figures.matches

    def ordered(matches: list[Match]) -> list[tuple[int, str, float]]:
        return sorted((match.rank, match.partner, match.score) for match in matches)

    assert sorted(map(ordered, found.values())) == sorted(map(ordered, expected.values()))
    by_id = {row["interaction_id"]: row for row in shown.of("partner_match")}
    deals = shown.of("deal_closed")
    for currency, told in shown.truth.figures.deals.items():
        values = [
            row["outcomes"]["value"] for row in deals if row["outcomes"]["currency"] == currency
        ]
        assert (len(values), sum(values)) == (told.count, told.value)
    assert len(deals) == sum(told.count for told in shown.truth.figures.deals.values()) > 0
    for row in deals:
        match = by_id[row["outcomes"]["match_interaction_id"]]
        assert (match["user_id"], match["partner_id"]) == (row["user_id"], row["partner_id"])
        assert shown.call(row)["route"] == "/staff/deals"


def test_an_exposure_joins_the_look_at_the_matches_and_the_arms_are_those_of_the_truth(
    shown: Shown,
) -> None:
    arms: dict[str, set[str]] = defaultdict(set)
    for row in (row for row in shown.rows if row["interaction_type"] == "experiment_exposure"):
        told = row["experiments"]
        assert told["hash_value"] == row["user_id"]
        assert told["source"] == "file"
        assert shown.call(row)["route"] == "/matches"
        arms[told["variant"]].add(row["user_id"])
    found = shown.truth.figures.experiments["match-page"]
    assert {arm: len(people) for arm, people in arms.items()} == {
        arm: told.users for arm, told in found.items()
    }
    assert sum(len(people) for people in arms.values()) == len(set().union(*arms.values()))
    booked = {row["user_id"] for row in shown.of("demo_booking", status="booked")}
    for arm, people in arms.items():
        assert len(people & booked) == found[arm].conversions


def test_demo_booking_captures_data(shown: Shown) -> None:
    rows = shown.of("demo_booking")
    counted: dict[str, int] = defaultdict(int)
    bookings: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        shown.call(row)
        counted[row["outcomes"]["status"]] += 1
        bookings[row["outcomes"]["booking_id"]].append(row)
    assert counted == shown.truth.figures.bookings
    matched = {(row["user_id"], row["partner_id"]) for row in shown.of("partner_match")}
    for told in bookings.values():
        assert told[0]["outcomes"]["status"] == "booked"
        assert len({(row["user_id"], row["partner_id"]) for row in told}) == 1
        assert (told[0]["user_id"], told[0]["partner_id"]) in matched
        assert told[0]["outcomes"]["timezone"] == "UTC"
        assert told[0]["outcomes"]["time"][3:5] in {"00", "30"}
    slots = {
        (told[-1]["partner_id"], told[-1]["outcomes"]["date"], told[-1]["outcomes"]["time"])
        for told in bookings.values()
        if told[-1]["outcomes"]["status"] != "cancelled"
    }
    cancelled = counted["cancelled"]
    assert len(slots) == len(bookings) - cancelled
    if chromium()[0]:
        booked = shown.in_browser(shown.of("demo_booking", status="booked"))
        assert len(booked) == BROWSERS
        for row in booked:
            assert shown.clicked(row)["properties"]["data"]["cta"] == "confirm_demo"


def test_ai_coach_conversation_logging(shown: Shown) -> None:
    turns: dict[str, list[Row]] = defaultdict(list)
    for row in shown.of("ai_conversation"):
        assert shown.call(row)["route"] == "/coach/messages"
        turns[row["conversation_id"]].append(row)
    coach = shown.truth.figures.coach
    assert (len(turns), sum(map(len, turns.values()))) == (coach.conversations, coach.turns)
    gave_feedback = {
        row["user_id"]: row["interaction_id"] for row in shown.of("feedback_submission")
    }
    assert len(gave_feedback) == shown.truth.figures.feedback.count
    asked = sorted(
        dict(act.fields)["text"]
        for visitor in plan(SEED, VISITORS, SECONDS).visitors
        for act in visitor.acts
        if act.kind == "coach"
    )
    said = []
    for told in turns.values():
        assert len({row["user_id"] for row in told}) == 1
        assert gave_feedback[told[0]["user_id"]] < told[0]["interaction_id"]
        assert [row["ai_metadata"]["turn"] for row in told] == list(range(len(told)))
        for row in told:
            assert row["ai_metadata"]["status"] == "completed"
            assert row["ai_metadata"]["streamed"] is True
            roles = [message["role"] for message in row["messages"]]
            assert roles == ["system", "user", "assistant"]
            said.append(row["messages"][1]["content"])
    assert sorted(said) == asked
    used = [row["ai_metadata"] for rows in turns.values() for row in rows]
    assert sum(one["input_tokens"] for one in used) == coach.input_tokens
    assert sum(one["output_tokens"] for one in used) == coach.output_tokens
    assert coach.cost_usd
    rated = shown.of("ai_rating")
    assert len(rated) == coach.helpful + coach.unhelpful > 0
    owners = {row["interaction_id"]: row["user_id"] for rows in turns.values() for row in rows}
    assert all(row["user_id"] == owners[row["parent_interaction_id"]] for row in rated)
    if chromium()[0]:
        in_browser = shown.in_browser(shown.of("ai_conversation"))
        assert len(in_browser) == 2 * BROWSERS
        for row in in_browser:
            shown.clicked(row)


def test_the_outage_is_in_the_lake_as_it_was_planned(shown: Shown) -> None:
    outage = shown.truth.outage
    assert outage is not None
    failed = [row for row in shown.of("api_call") if row.get("response_status") == 503]
    assert len(failed) == outage.failed_requests == shown.truth.figures.failed_requests
    assert all(row["route"] == "/api/partners" for row in failed)
    assert all(outage.started <= row["timestamp"] <= outage.ended for row in failed)
