"""Quick and portable forms on many rows: heavy units, ties, and zones whose clocks change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from asked import TwoForms, answered_twice, fill, memory
from lakeward.analysis.paths import Paths
from lakeward.analysis.retention import Retention
from lakeward.analysis.sessions import Sessions
from lakeward.analysis.step import Step

ROWS = 40_000
SINCE = datetime(2025, 3, 1, tzinfo=UTC)
SPAN: dict[str, Any] = {"since": SINCE, "until": SINCE + timedelta(days=50), "unit": "session_id"}
ZONES = ("UTC", "Europe/Lisbon", "America/New_York", "Australia/Lord_Howe", "Pacific/Chatham")


@pytest.fixture(scope="module", autouse=True)
def many() -> Iterator[None]:
    """One unit has a quarter of all rows; half of the moments are shared by several."""
    fill([])
    memory().execute(
        f"""
        INSERT INTO interactions (timestamp, event_date, interaction_id, user_id, user_type,
            interaction_type, session_id, path)
        SELECT m, m::DATE, lpad(n::VARCHAR, 12, '0'), 'anonymous', 'unknown',
            CASE WHEN h % 3 = 0 THEN 'click' ELSE 'page_view' END,
            CASE WHEN h % 4 = 0 THEN 'heavy' ELSE 's' || (h // 7 % 900) END,
            CASE WHEN h % 11 > 0 THEN '/' || (h // 13 % 9) END
        FROM (SELECT n, hash(n) AS h, make_timestamptz(1000 * (
            epoch_ms(TIMESTAMPTZ '2025-02-20 00:00:00Z')
            + CAST(hash(n * 7) % 3500 AS BIGINT) * 1500000
            + CAST(hash(n * 3) % 4 AS BIGINT) * 450000)) AS m FROM range({ROWS}) r(n)) made
        """
    )
    yield
    fill([])


QUESTIONS: dict[str, TwoForms] = {
    **{
        f"retention {zone} {grain}": Retention(
            grain=grain, zone=zone, periods=62, start=Step(event="click"), **SPAN
        )
        for zone in ZONES
        for grain in ("day", "week", "month")
    },
    "retention later": Retention(grain="day", kind="on_or_after", cohort="every", **SPAN),
    "sessions": Sessions(**SPAN),
    "sessions by hour": Sessions(grain="hour", zone="Pacific/Chatham", gap=450, **SPAN),
    "paths": Paths(depth=10, **SPAN),
    "paths over all time": Paths(depth=10, gap=450, top=3, unit="session_id"),
}


@pytest.mark.parametrize("name", list(QUESTIONS))
def test_both_forms_give_the_same_answer(name: str) -> None:
    question = QUESTIONS[name]
    assert question.sql().text != question.portable().text
    assert len(answered_twice(question)) > 1
