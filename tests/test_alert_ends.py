"""What must not be lost between a look and a person: ends, worse news, and all after a bad name.

Real looks at a real lake go through a real desk, with the clock passed in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from alert_lake import DAY, FIVE, HOUR, START, Row, looked, rules_of, spread, written
from alerted import Office, well, wrong
from conftest import Lake
from databases import Store
from lakeward.alerts.rules import Rules
from lakeward.errors import SettingError

MINUTE = 60_000
SLACK: dict[str, Any] = {"by": "slack", "url_env": "SLACK"}
SMS: dict[str, Any] = {"by": "sms", "to_env": "PHONE", "severity": "critical"}


@pytest.fixture
def office(store: Store) -> Office:
    return Office(store, (SLACK, SMS))


def at(day: int, hour: int, minute: int) -> int:
    """A moment, five seconds past the minute, as a keeper's looks are."""
    return START + day * DAY + hour * HOUR + minute * MINUTE + 5_000


def turn(ms: int, cost: float) -> Row:
    told = {"model_answered": "m", "cost_usd": cost, "captured_by": "api"}
    return {
        "ms": ms, "interaction_type": "ai_conversation", "conversation_id": f"c{ms}",
        "ai_metadata": told,
    }  # fmt: skip


def test_a_budget_is_told_in_each_period_and_when_its_amount_is_passed(
    lake: Lake, office: Office
) -> None:
    written(lake, [
        turn(at(day, hour, minute), cost)
        for day in (0, 1) for hour, minute, cost in ((10, 1, 8.5), (12, 2, 2.0))
    ])  # fmt: skip
    rules = rules_of("[watch]\nseries = []\n[[budget]]\nname = 'AI'\namount = 10")
    for day in (0, 1):
        for hour, minute, heard in (
            (0, 1, [["resolved"], ["resolved"]] if day else [[], []]),
            (10, 6, [["opened"], []]), (12, 1, [[], []]), (12, 6, [["worse"], ["worse"]]),
            (12, 11, [[], []]), (23, 56, [[], []]),
        ):  # fmt: skip
            looked(lake, rules, office.desk, at(day, hour, minute))
            assert [office.heard(0), office.heard(1)] == heard, (day, hour, minute)


def pages(since: int, until: int, each: int, seed: str) -> Iterator[Row]:
    return spread(since, until, HOUR, lambda _: each, seed, interaction_type="page_view")


def test_what_is_open_ends_when_its_series_is_watched_in_another_way(
    lake: Lake, office: Office
) -> None:
    rise = START + 3 * DAY
    written(lake, [*pages(START, rise, 30, "a"), *pages(rise, rise + HOUR, 400, "b")])
    looked(lake, Rules(), office.desk, rise + 65_000)
    looked(lake, Rules(), office.desk, rise + HOUR + 65_000)
    assert office.heard() == ["opened"]
    looked(lake, rules_of("[watch]\nsensitivity = 0.5"), office.desk, rise + HOUR + FIVE + 65_000)
    assert (office.heard(), office.only().state) == (["resolved"], "resolved")


def test_what_begins_after_hours_without_a_word_is_news_and_the_quiet_incident_is_over(
    office: Office,
) -> None:
    """A memory that was deleted knows no end of what was open."""
    office.take(wrong("type:a"), wrong("type:b"))
    later = wrong("type:a", at=7 * 24 * 60)
    office.take(later)
    assert office.heard() == ["opened", "resolved", "opened"]
    assert [(one.state, one.series) for one in office.all()] == [
        ("resolved", ("type:a", "type:b")), ("opened", ("type:a",)),
    ]  # fmt: skip
    assert office.take(later) == 0
    office.take(wrong("type:a", at=7 * 24 * 60 + 300))
    assert (office.heard(), len(office.all())) == ([], 2)


def test_what_a_clock_said_that_was_ahead_makes_nothing_deaf(office: Office) -> None:
    ahead = 90 * 24 * 60
    office.take(wrong("type:a", at=ahead))
    office.take(wrong("type:b", at=ahead + 60))
    assert office.heard() == ["opened", "opened"]
    office.take(well("type:a"))
    assert office.heard() == ["resolved"]
    office.take(wrong("type:a", at=60))
    assert office.heard() == ["opened"]
    office.take(wrong("type:b", at=300))
    assert office.heard() == ["resolved", "opened"]
    office.take(well("type:a", at=305, seconds=60.0), well("type:b", at=305))
    assert [one.state for one in office.all()] == ["resolved"] * 4
    office.take(wrong("type:c", at=ahead + 60), well("type:c", at=ahead + 65))
    office.heard()
    office.take(wrong("type:c", at=400))
    assert office.heard() == ["opened"], "and not the one that was over months later"


def test_it_is_back_counts_though_the_event_came_late(lake: Lake, office: Office) -> None:
    """What happened before its absence was told, and came into the lake after."""
    booking = {"interaction_type": "demo_booking"}
    written(lake, [{"ms": START, **booking}])
    rules = rules_of("[watch]\nseries = []\n[[silent]]\nevent = 'demo_booking'\nminutes = 60")
    for minute in (1, 31):
        looked(lake, rules, office.desk, at(0, 0, minute))
    for minute in (1, 6, 11):
        looked(lake, rules, office.desk, at(0, 1, minute))
    assert office.heard() == ["opened"]
    written(lake, [{"ms": at(0, 1, 4), **booking}])
    looked(lake, rules, office.desk, at(0, 1, 16))
    assert (office.heard(), office.only().state) == (["resolved"], "resolved")


def test_names_that_no_text_may_hold_are_not_watched_and_stop_nothing(
    lake: Lake, office: Office
) -> None:
    rise = START + 3 * DAY

    def steps(name: str) -> Iterator[Row]:
        told = {"interaction_type": "flow_step", "outcomes": {"flow": "buy", "step": name}}
        yield from spread(START, rise, HOUR, lambda _: 20, name, **told)
        yield from spread(rise, rise + HOUR, HOUR, lambda _: 300, name, **told)

    named = ["pay", "a\0b", "a\nCRITICAL", "a\x1b[2J", "a\u2028b", "a\u202eb", "co\u200cop"]
    written(lake, [row for name in named for row in steps(name)])
    for hour in (0, 1):
        looked(
            lake, rules_of("[watch]\nseries = ['steps']"), office.desk, rise + hour * HOUR + 65_000
        )
    (incident,) = office.all()
    assert sorted(incident.series) == ["step:buy/co\u200cop", "step:buy/pay"]
    assert office.heard() == ["opened"]


@pytest.mark.parametrize(
    "rule",
    [
        "[[silent]]\nevent = 'click'\nminutes = 5\nservice = \"a\\nb\"",
        "[[threshold]]\nname = 'a'\nevent = '*'\nabove = 1\nmetric = 'sum'\n"
        'field = "properties.a\\u0000b"',
        "[[budget]]\nname = \"a\\nb\"\namount = 1",
    ],
)  # fmt: skip
def test_a_rule_whose_name_would_forge_a_line_is_refused(rule: str) -> None:
    with pytest.raises(SettingError):
        rules_of(rule)
