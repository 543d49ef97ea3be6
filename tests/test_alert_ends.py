"""What must not be lost between a look and a person: ends, worse news, and all after a bad name.

Real looks at a real lake go through a real desk, with the clock passed in."""

from __future__ import annotations

from typing import Any

import pytest

from alert_lake import DAY, FIVE, HOUR, START, Row, looked, rules_of, written
from alerted import Office
from conftest import Lake
from databases import Store

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
