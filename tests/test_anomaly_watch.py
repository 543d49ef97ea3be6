"""Many series under one watch: alarms of each, a bounded number, and a file that outlives it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from anomaly_series import START
from lakeward.analysis.anomaly.watch import Bucket, Series, Watch
from lakeward.errors import Unreadable

CALLS = Series("route:GET /api/partners", "count")
COST = Series("ai:cost", "value", direction="up")


def buckets(series: Series, rows: range, level: float = 100.0) -> list[Bucket]:
    found = []
    for i in rows:
        dice = random.Random(f"{series.key}{i}")
        found.append(Bucket(series, START + 300.0 * i, float(round(dice.gauss(level, 5)))))
    return found


def test_an_alarm_names_its_series_and_its_time() -> None:
    watch = Watch()
    assert watch.feed([*buckets(CALLS, range(500)), *buckets(COST, range(500))]) == []
    wrong = [Bucket(CALLS, START + 300.0 * 500, 0.0), Bucket(COST, START + 300.0 * 500, 5.0)]
    [finding] = watch.feed(wrong)
    assert (finding.key, finding.start, finding.value) == (CALLS.key, START + 300.0 * 500, 0.0)
    assert "nothing comes where 10" in finding.why


def test_buckets_may_come_again_and_those_that_are_not_over_are_passed_over() -> None:
    watch = Watch()
    watch.feed(buckets(CALLS, range(500)))
    again = Bucket(CALLS, START + 300.0 * 400, 0.0)
    unfinished = Bucket(CALLS, START + 300.0 * 500, 0.0, complete=False)
    assert watch.feed([again, unfinished]) == []
    assert len(watch.feed([Bucket(CALLS, START + 300.0 * 500, 0.0)])) == 1


def test_a_restart_between_any_two_buckets_changes_nothing(tmp_path: Path) -> None:
    rows = buckets(CALLS, range(400)) + [Bucket(CALLS, START + 300.0 * 400, 300.0)]
    whole, path = Watch(), tmp_path / "anomalies.state"
    expected = [finding for row in rows for finding in whole.feed([row])]
    found, watch = [], Watch.load(path)
    for i, row in enumerate(rows):
        found += watch.feed([row])
        if i % 40 == 0:
            watch.save(path)
            watch = Watch.load(path)
    assert found == expected
    assert len(found) == 1
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_the_number_of_series_is_bounded_and_those_that_gave_way_are_counted() -> None:
    watch = Watch(most=10)
    for n in range(25):
        watch.feed(buckets(Series(f"route:{n}"), range(3)))
    assert (len(watch), watch.dropped) == (10, 15)


def test_a_series_that_falls_silent_is_told() -> None:
    watch = Watch()
    watch.feed([*buckets(CALLS, range(100)), *buckets(COST, range(140))])
    now = START + 300.0 * 140
    assert [finding.key for finding in watch.silent(now)] == [CALLS.key]


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (path := tmp_path / "anomalies.state").write_bytes(b"no")
    with pytest.raises(Unreadable, match=r"anomalies\.state"):
        Watch.load(path)
