"""Days in UTC without a look at the time: the view `dated` against the time of each row."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from asked import answered_twice, fill
from conftest import Lake
from lakeward.analysis.question import Question, ask, portable
from lakeward.analysis.retention import Retention
from lakeward.analysis.trend import Trend
from lakeward.cli.compact import compact
from lakeward.lake import dated, derived
from lakeward.lake.reading import Reading, open_reading
from lakeward.settings import load

OTHER_DAY = "0198a5a0-9b65-7000-8000-000000000001"  # an id of 2025-08-13


def read(lake: Lake) -> Reading:
    return open_reading(lake.open(), load(lake.env))


def recorded(lake: Lake, *moments: str, **fields: object) -> None:
    collector = lake.collector()
    for moment in moments:
        collector.record("page_view", timestamp=moment, user_id="ann", **fields)
    collector.commit()
    collector.close()


@pytest.fixture
def days(lake: Lake) -> Lake:
    """A table with a file of its day, one whose ids say another day than its times, and a tail."""
    recorded(lake, "2025-08-11T00:00:00.000Z", "2025-08-11T23:59:59.999Z")
    recorded(lake, "2025-08-15T10:00:00.000Z", interaction_id=OTHER_DAY)
    compact(lake.open(), load(lake.env))
    recorded(lake, "2025-08-14T12:00:00.000Z")
    return lake


def test_each_row_has_the_day_of_its_time_whatever_its_id_says(days: Lake) -> None:
    with read(days) as reading:
        derived.create(reading.con)
        reading.create_dated()
        con = reading.con
        partitions = {str(row[0]) for row in con.execute("SELECT event_date FROM dated").fetchall()}
        found = con.execute(f"SELECT {dated.DAY}, timestamp FROM dated").fetchall()
    assert "2025-08-13" in partitions
    assert len(found) == 4
    assert all(day == moment.astimezone(UTC).date() for day, moment in found)


def test_a_file_of_its_day_is_known_by_its_statistics_and_another_is_not(days: Lake) -> None:
    with read(days) as reading:
        files = reading.snapshot.files.values()
        known = {file.date: dated.of_its_day(file) for file in files}
    assert known == {"2025-08-11": True, "2025-08-13": False}


QUESTIONS: list[Question] = [
    Trend(since=datetime(2025, 8, 11, tzinfo=UTC), until=datetime(2025, 8, 16, tzinfo=UTC)),
    Trend(since=datetime(2025, 8, 11, 1, tzinfo=UTC), until=datetime(2025, 8, 14, 12, tzinfo=UTC)),
    Trend(grain="week", by=("day", "weekday", "month"), unit="user_id"),
    Retention(
        since=datetime(2025, 8, 11, tzinfo=UTC), until=datetime(2025, 8, 25, tzinfo=UTC),
        grain="day", unit="user_id",
    ),
    Retention(
        since=datetime(2025, 8, 11, tzinfo=UTC), until=datetime(2025, 10, 1, tzinfo=UTC),
        grain="month",
    ),
]  # fmt: skip


@pytest.mark.parametrize("question", QUESTIONS)
def test_questions_about_days_find_what_the_time_says(days: Lake, question: Question) -> None:
    statement = portable(question)
    with read(days) as reading:
        assert dated.DAY in question.sql().text
        by_day = ask(reading, question).rows
        by_time = reading.con.execute(statement.text, dict(statement.parameters)).fetchall()
    assert by_day == question.finish(by_time)
    assert by_day


def test_files_of_other_days_are_not_opened_and_no_time_is_read(days: Lake) -> None:
    """A count of a day that is known reads one file, and no column of it that is long."""
    question = Trend(
        since=datetime(2025, 8, 11, tzinfo=UTC), until=datetime(2025, 8, 12, tzinfo=UTC)
    )
    with read(days) as reading:
        (row,) = ask(reading, question).rows
        statement = question.sql()
        plan = reading.con.execute("EXPLAIN " + statement.text, dict(statement.parameters))
        text = str(plan.fetchall()[0][1])
    assert row == (date(2025, 8, 11), 2)
    assert "timestamp >=" not in text
    assert "2025-08-13" not in text.replace("2025-08-13'", "")


def test_a_moment_within_a_day_is_kept_apart_from_its_day() -> None:
    fill([{"ms": 1_754_870_400_000 + hour * 3_600_000} for hour in range(60)])
    for since, until in ((0, 24), (1, 24), (0, 25), (23, 49), (5, 6)):
        question = Trend(
            since=datetime.fromtimestamp(1_754_870_400 + since * 3600, UTC),
            until=datetime.fromtimestamp(1_754_870_400 + until * 3600, UTC),
            grain=None,
        )
        assert [row["series_1"] for row in answered_twice(question)] == [until - since]
