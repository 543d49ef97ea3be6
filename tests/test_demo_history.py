"""The demo's past: it looks as the running platform's records do, and the lake equals its truth."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter, defaultdict
from typing import Any, Final

import msgspec
import pytest

from dashboard import DAYS, SEED, DemoLake, demo_lake
from lakeward.catalog.confidence import WITNESSED
from lakeward.demo.annals import history
from lakeward.demo.chronicle import chronicle
from lakeward.demo.evidence import can_ask
from lakeward.demo.lives import OUTAGE_AGO, past
from lakeward.demo.past import DAY_MS, Past, date_of
from lakeward.lakedir import open_lake
from lakeward.log import read_lines
from lakeward.settings import Settings, load

pytestmark = pytest.mark.skipif(not can_ask(), reason="the extra `lake` is not installed")
QUIET: Final = {"contractor": 20.0, "partner_onboarding": 20.0}
NOON: Final = 1_764_158_400_000
"""2025-11-26T12:00:00Z, a Wednesday."""
RARE: Final = {
    "api_call": {"parent_interaction_id", "error_type", "query_params.cta", "referrer",
                 "request_bytes"},
    "identify": {"referrer"}, "flow_completion": {"referrer"}, "click": {"referrer"},
    "demo_booking": {"outcomes.reason"}, "feedback_submission": {"feedback.comments"},
    "content_interaction": {"outcomes.progress"},
    "partner_onboarding": {"outcomes.step", "outcomes.focus_areas", "outcomes.revenue_tiers"},
}  # fmt: skip
"""What the platform leaves now and then, whatever one short run had of it."""
Row = dict[str, Any]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoLake:
    return demo_lake(tmp_path_factory)


@pytest.fixture(scope="module")
def rows(demo: DemoLake) -> list[Row]:
    lake = open_lake(demo.root, create=False)
    found = [msgspec.json.decode(line) for line, _ in read_lines(lake)]
    found = [row for row in found if row["interaction_type"] != "anomaly"]  # which the lake finds
    return [row for row in found if not _of_witnesses(row)]


def _of_witnesses(row: Row) -> bool:
    """Whether it tells of those who speak of partners, which a test of its own looks at."""
    kind = row["interaction_type"]
    return kind in {*WITNESSED, "confidence_change", "demo_upload"} and (
        kind != "message_sent" or row["properties"].get("purpose") == "confidence"
    )


@pytest.fixture(scope="module")
def settings(demo: DemoLake) -> Settings:
    environ = {"LAKEWARD_LAKE_DIR": str(demo.root), "LAKEWARD_FLOWS": str(demo.flows)}
    return load(environ, demo.root.parent)


def made(days: int = DAYS, until: int = NOON, seed: int = SEED) -> Past:
    return past(seed, days, until, QUIET)


def shape(row: Row, before: str = "") -> set[str]:
    """The names of all that stands in a record."""
    found: set[str] = set()
    for name, value in row.items():
        if isinstance(value, dict):
            found |= shape(value, f"{before}{name}.")
        else:
            found.add(before + name)
    return found


def shapes(rows: list[Row]) -> dict[str, list[set[str]]]:
    found: dict[str, list[set[str]]] = defaultdict(list)
    for row in rows:
        found[row["interaction_type"]].append(shape(row))
    return found


def test_each_record_of_the_past_has_the_shape_of_the_running_platforms(
    demo: DemoLake, rows: list[Row]
) -> None:
    began = demo.truth.began
    past_ones = shapes([row for row in rows if row["timestamp"] < began])
    live = shapes([row for row in rows if row["timestamp"] >= began])
    assert set(live) <= set(past_ones)
    for kind, found in past_ones.items():
        if kind not in live:  # no browser on this machine: nothing to hold them against
            assert kind in {"page_view", "web_vital", "click", "form_interaction"}
            continue
        always, ever = set.intersection(*live[kind]), set.union(*live[kind])
        assert set.intersection(*found) >= always - RARE.get(kind, set()), kind
        assert set.union(*found) <= ever | RARE.get(kind, set()), kind


def test_the_paths_routes_and_answers_of_the_past_are_those_of_the_platform(
    demo: DemoLake, rows: list[Row]
) -> None:
    calls = [row for row in rows if row["interaction_type"] == "api_call"]
    before = {(row["method"], row["route"]) for row in calls if row["timestamp"] < demo.truth.began}
    after = {(row["method"], row["route"]) for row in calls if row["timestamp"] >= demo.truth.began}
    assert after <= before
    from lakeward.demo.app import create  # noqa: F401 - the routes are FastAPI's own

    known = {route for _, route in after} | {
        "/bookings/{booking_id}/reschedule", "/bookings/{booking_id}/cancel", "/library",
        "/api/partners/{partner_id}", "/staff/bookings/{booking_id}/no-show", "/join/done",
        "/join/review", "/join/proposition", "/join/focus", "/join",
    }  # fmt: skip
    assert {route for _, route in before} <= known


def test_each_record_stands_on_its_own_day_with_an_id_that_nobody_else_has(
    demo: DemoLake, rows: list[Row]
) -> None:
    told = [row for row in rows if row["timestamp"] < demo.truth.began]
    assert len({row["interaction_id"] for row in told}) == len(told)
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for row in told:
        counted[row["timestamp"][:10]][row["interaction_type"]] += 1
    assert {day: dict(sorted(found.items())) for day, found in counted.items()} == {
        day.date: day.types for day in demo.history.days if day.types
    }
    known = {row["interaction_id"] for row in rows}
    assert {row["parent_interaction_id"] for row in told if "parent_interaction_id" in row} <= known


QUESTIONS: Final = {
    "visitors": "SELECT event_date::VARCHAR AS day, count(DISTINCT user_id) AS n FROM api_call "
    "WHERE user_id <> 'anonymous' GROUP BY ALL",
    "errors": "SELECT event_date::VARCHAR AS day, route AS name, count(*) AS n FROM api_call "
    "WHERE response_status >= 400 GROUP BY ALL",
    "bookings": "SELECT event_date::VARCHAR AS day, outcomes->>'$.status' AS name, count(*) AS n "
    "FROM demo_booking GROUP BY ALL",
    "deals": "SELECT event_date::VARCHAR AS day, outcomes->>'$.currency' AS name, "
    "sum((outcomes->>'$.value')::DOUBLE) AS n FROM deal_closed GROUP BY ALL",
    "coach": "SELECT left((started_at AT TIME ZONE 'UTC')::VARCHAR, 10) AS day, count(*) AS n, "
    "sum(input_tokens)::BIGINT AS input_tokens, sum(output_tokens)::BIGINT AS output_tokens, "
    "sum(cost_usd) AS cost FROM ai_turns GROUP BY ALL",
    "feedback": "SELECT event_date::VARCHAR AS day, count(*) AS n, "
    "round(avg((feedback->>'$.overall')::DOUBLE), 3) AS overall FROM feedback_submission "
    "GROUP BY ALL",
    "steps": "SELECT event_date::VARCHAR AS day, outcomes->>'$.flow' AS flow, "
    "outcomes->>'$.step' AS step, outcomes->>'$.status' AS status, count(*) AS n "
    "FROM flow_step GROUP BY ALL",
    "ends": "SELECT event_date::VARCHAR AS day, outcomes->>'$.flow' AS flow, "
    "outcomes->>'$.status' AS status, count(*) AS n FROM flow_completion GROUP BY ALL",
}


def asked(settings: Settings, sql: str) -> list[Row]:
    from lakeward.lake.answer import Answer

    with Answer(settings, sql) as answer:
        return [row for batch in answer for row in batch.to_pylist()]


def by_day(found: list[Row], days: set[str]) -> dict[str, dict[str, float]]:
    told: dict[str, dict[str, float]] = defaultdict(dict)
    for row in found:
        if row["day"] in days:
            told[row["day"]][row["name"]] = row["n"]
    return dict(told)


def test_the_table_answers_what_the_truth_says_of_each_whole_day(
    demo: DemoLake, settings: Settings
) -> None:
    answers = {name: asked(settings, sql) for name, sql in QUESTIONS.items()}
    days = {day.date for day in demo.days}
    visitors = {row["day"]: row["n"] for row in answers["visitors"] if row["day"] in days}
    assert visitors == {day.date: day.visitors for day in demo.days if day.visitors}
    assert by_day(answers["errors"], days) == {
        day.date: day.errors for day in demo.days if day.errors
    }
    assert by_day(answers["bookings"], days) == {
        day.date: day.bookings for day in demo.days if day.bookings
    }
    assert by_day(answers["deals"], days) == {
        day.date: {currency: deals.value for currency, deals in day.deals.items()}
        for day in demo.days
        if day.deals
    }
    coach = {row["day"]: row for row in answers["coach"]}
    for day in demo.days:
        if day.turns:
            found = coach[day.date]
            assert (found["n"], found["input_tokens"], found["output_tokens"]) == (
                day.turns, day.input_tokens, day.output_tokens,
            )  # fmt: skip
            assert float(found["cost"]) == pytest.approx(day.cost_usd, abs=1e-6)
        else:
            assert day.date not in coach
    feedback = {row["day"]: (row["n"], row["overall"]) for row in answers["feedback"]}
    assert {day: told for day, told in feedback.items() if day in days} == {
        day.date: (day.feedback, day.overall) for day in demo.days if day.feedback
    }
    steps = Counter(
        {(r["day"], r["flow"], r["step"], r["status"]): r["n"] for r in answers["steps"]}
    )
    ends = Counter({(r["day"], r["flow"], r["status"]): r["n"] for r in answers["ends"]})
    for day in demo.days:
        for name, flow in day.flows.items():
            for step, people in flow.steps.items():
                assert steps[day.date, name, step, "entered"] == people.entered
                assert steps[day.date, name, step, "completed"] == people.completed
            assert ends[day.date, name, "completed"] == flow.completed
            assert ends[day.date, name, "abandoned"] == flow.abandoned


def test_another_hour_of_the_day_gives_the_same_days_before_it() -> None:
    early, late = history(made()), history(made(until=NOON + 6 * 3_600_000))
    assert early.days[:-1] == late.days[:-1]
    assert sum(early.days[-1].types.values()) < sum(late.days[-1].types.values())


def test_equal_numbers_give_equal_records_in_another_process_too() -> None:
    code = (
        "import msgspec, sys\nfrom lakeward.demo.lives import past\n"
        "from lakeward.demo.chronicle import chronicle\n"
        "quiet = {'contractor': 20.0, 'partner_onboarding': 20.0}\n"
        f"told = list(chronicle(past({SEED}, 3, {NOON}, quiet)))\n"
        "sys.stdout.buffer.write(msgspec.json.encode(told))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=120)
    assert ran.stdout == msgspec.json.encode(list(chronicle(made(days=3))))
    assert msgspec.json.encode(list(chronicle(made(days=3, seed=8)))) != ran.stdout


def test_an_empty_lake_is_given_four_weeks_and_every_record_is_kept(demo: DemoLake) -> None:
    assert len(demo.history.days) == DAYS + 1
    told = sum(sum(day.types.values()) for day in demo.history.days)
    assert (
        f"28 days before today: {told:,} interactions"
        in (demo.root.parent / "said.txt").read_text()
    )
    assert demo.out["lost"] == 0
    assert demo.out["differences"] == []


def test_a_past_has_a_rhythm_an_outage_a_dear_day_and_people_who_come_again() -> None:
    told = history(made())
    by_weekday: dict[int, list[int]] = defaultdict(list)
    for n, day in enumerate(told.days[:-1]):
        by_weekday[(n + 2) % 7].append(day.types["api_call"])  # the first day is a Wednesday
    quiet = [n for weekday in (5, 6) for n in by_weekday[weekday]]
    busy = [n for weekday in range(5) for n in by_weekday[weekday]]
    assert sum(quiet) / len(quiet) < 0.7 * sum(busy) / len(busy)
    first, last = told.days[:7], told.days[21:28]
    assert sum(day.visitors for day in last) > 1.3 * sum(day.visitors for day in first)
    assert told.outage_day == date_of(NOON - OUTAGE_AGO * DAY_MS)
    outage = next(day for day in told.days if day.date == told.outage_day)
    assert outage.errors["/api/partners"] > 50
    costs = sorted((day.cost_usd or 0.0) for day in told.days)
    dear = next(day for day in told.days if day.date == told.spike_day)
    assert dear.cost_usd == costs[-1] > 8 * costs[-2]
    cohort = told.retention[1]
    assert cohort.returned[0] == cohort.size > cohort.returned[1] > cohort.returned[-1] > 0
    arms = told.experiments["match-page"]
    assert {arm: people.users > 50 for arm, people in arms.items()} == {
        "control": True, "reasons-first": True,
    }  # fmt: skip
    shares = {arm: people.conversions / people.users for arm, people in arms.items()}
    assert shares["reasons-first"] > shares["control"] + 0.1


@pytest.mark.parametrize("days", [1, 2, 5])
def test_a_short_past_is_a_whole_one(days: int) -> None:
    told = history(made(days=days))
    assert len(told.days) == days + 1
    assert sum(day.types.get("api_call", 0) for day in told.days) > 0
