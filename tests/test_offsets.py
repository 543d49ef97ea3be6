"""The calendar by arithmetic is that of DuckDB."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import duckdb
import pytest

from lakeward.analysis.events import calendar
from lakeward.analysis.offsets import NUMBERED, SHOWN, changes, numbered

ZONES = (
    "UTC", "Europe/Lisbon", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu",
    "America/Sao_Paulo", "Africa/Cairo", "Pacific/Apia", "Asia/Tehran",
)  # fmt: skip
START_MS, END_MS = 946_684_800_000, 2_208_988_800_000  # 2000 to 2040


@pytest.mark.parametrize("zone", ZONES)
def test_every_field_of_the_calendar_is_that_of_duckdb(zone: str) -> None:
    dice = random.Random(zone)
    edges = [at + delta for at, _ in changes(zone) for delta in (-1, 0, 1, 1_800_000)]
    moments = [ms for ms in edges if START_MS <= ms < END_MS]
    moments += [dice.randrange(START_MS, END_MS) for _ in range(1000)]
    con = duckdb.connect(config={"threads": 1})
    con.execute("SET TimeZone = 'UTC'")
    con.execute("CREATE TABLE t AS SELECT unnest(?::BIGINT[]) AS ms", [moments])
    since = datetime.fromtimestamp(START_MS / 1000, UTC)
    until = datetime.fromtimestamp(END_MS / 1000, UTC)
    for name in NUMBERED:
        for bounds in ((None, None), (since, until)):
            quick = SHOWN[name].format(x=f"({numbered(name, 'ms', zone, *bounds)})")
            plain = calendar(name, "make_timestamptz(ms * 1000)", "$zone").sql
            wrong = con.execute(
                f"SELECT ms, {quick}, {plain} FROM t WHERE {quick} IS DISTINCT FROM {plain}",
                {"zone": zone},
            ).fetchall()
            assert wrong == [], name


def test_only_the_changes_between_two_moments_are_in_the_statement() -> None:
    since, until = datetime(2025, 6, 1, tzinfo=UTC), datetime(2025, 12, 1, tzinfo=UTC)
    text = numbered("day", "ms", "Europe/Lisbon", since, until)
    assert text.count("WHEN") == 1
    assert str(round(datetime(2025, 10, 26, 1, tzinfo=UTC).timestamp() * 1000)) in text
    assert numbered("day", "ms", "UTC", None, None) == "(ms + 0) // 86400000"


def test_a_change_is_found_to_the_second() -> None:
    lisbon = dict(changes("Europe/Lisbon"))
    at = round(datetime(2026, 3, 29, 2, tzinfo=ZoneInfo("Europe/Lisbon")).timestamp() * 1000)
    assert lisbon[at] == 3_600_000
