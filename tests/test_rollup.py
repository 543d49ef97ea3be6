"""Roll-ups: the same answers as rows give, at once and after whatever happens to the table."""

from __future__ import annotations

import itertools
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from lakeward.analysis.access import narrowed
from lakeward.analysis.api_health import ApiHealth
from lakeward.analysis.filters import Filter
from lakeward.analysis.grains import Grain
from lakeward.analysis.question import Answer, ask
from lakeward.analysis.rollup import bins, packs, sketch
from lakeward.analysis.rollup.build import Builder
from lakeward.analysis.trend import Series, Trend
from lakeward.lake.reading import Reading, open_reading
from lakeward.lakedir import LakeDir, open_lake
from lakeward.settings import Settings, load
from tabled import START_MS, crowd, put

CLOSE = ("p50", "p90", "p95", "p99")
UNITS = ("units", "unique")
NOW = datetime(2026, 1, 15, tzinfo=UTC)


class Home:
    """A lake with a table, and what tests do with them."""

    def __init__(self, root: Path, **environ: str) -> None:
        self.lake: LakeDir = open_lake(root / "data-lake")
        self.settings: Settings = load({"LAKEWARD_ROLLUP_ROWS": "1", **environ}, root)

    def put(self, rows: Any) -> None:
        put(self.lake, self.settings, rows)

    def roll(self, now: datetime = NOW) -> Any:
        return Builder(self.lake, self.settings, now=lambda: now).run()

    def reading(self) -> Reading:
        return open_reading(self.lake, self.settings)

    def ask(self, question: Any) -> Answer:
        with self.reading() as reading:
            return ask(reading, question)

    def packs(self) -> list[str]:
        return sorted(path.name for path in packs.folder(self.lake).glob("*/"))


@pytest.fixture(scope="module")
def rolled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reading]:
    """Three days in packs, of which some are put together; more of them and a day in no pack."""
    home = Home(tmp_path_factory.mktemp("rolled"))
    home.put(crowd(1, 1500))
    home.roll()
    home.put(crowd(2, 300))
    home.roll(datetime(2025, 10, 25, tzinfo=UTC))  # nothing is over yet: these stay rows
    with home.reading() as reading:
        yield reading


def at(hours: float) -> datetime:
    return datetime.fromtimestamp(START_MS / 1000, UTC) + timedelta(hours=hours)


def same(question: Any, reading: Reading, source: str = "rollups") -> Answer:
    """The answer from roll-ups, which is that of rows as far as it says that it is."""
    answer = ask(reading, question)
    assert answer.source == source, question
    rows = ask(reading, msgspec.structs.replace(question, exact=True))
    assert rows.source == "rows"
    assert [c.name for c in answer.columns] == [c.name for c in rows.columns]
    assert len(answer.rows) == len(rows.rows), question
    for one, other in zip(answer.rows, rows.rows, strict=True):
        for column, left, right in zip(answer.columns, one, other, strict=True):
            assert agrees(column.doc, left, right), (question, column.name, one, other)
    return answer


def agrees(doc: str, left: Any, right: Any) -> bool:
    """Whether two values are the same, or as close as the column says."""
    if left == right:
        return True
    if left is None or right is None or isinstance(left, (str, bool)):
        return False
    if "Within 1%" in doc:
        return math.isclose(left, right, rel_tol=0.0101, abs_tol=bins.SMALLEST_MS)
    if "standard error" in doc:
        return math.isclose(left, right, rel_tol=0.05, abs_tol=1)
    return isinstance(left, float) and math.isclose(left, right, rel_tol=1e-9)


SERIES = (
    Series(event="api_call"), Series(event="api_call", metric="errors"),
    Series(event="api_call", metric="error_rate"), Series(metric="sum", field="request_bytes"),
    Series(metric="mean", field="response_time_ms"),
    Series(metric="sum", field="ai_metadata.cost_usd"),
    Series(metric="least", field="response_time_ms"), Series(event="click", metric="most",
                                                           field="response_time_ms"),
)  # fmt: skip
PERCENTILES = (*(Series(event="api_call", metric=name) for name in CLOSE), Series(event="click"))
SPANS = (
    (None, None), (at(0), at(72)), (at(5), at(50.0)), (at(5.3), at(50.7)), (at(24), None),
    (None, at(47.999)), (at(3.2), at(5.9)),
)  # fmt: skip


def test_counts_and_sums_are_those_of_rows_by_each_field_grain_zone_and_time(
    rolled: Reading,
) -> None:
    zones = ("UTC", "Europe/Lisbon", "America/New_York")
    grains: tuple[Grain | None, ...] = ("hour", "day", "week", "month", None)
    fields = ((), ("route",), ("interaction_type", "device"), ("path",), ("response_status",),
              ("user_type",), ("bot", "partner_id"), ("ai_metadata.model_answered",),
              ("weekday", "hour_of_day"), ("country",))  # fmt: skip
    spans = itertools.cycle(itertools.product(SPANS, zones))
    for n, (grain, by) in enumerate(itertools.product(grains, fields)):
        (since, until), zone = next(spans)
        question = Trend(
            series=SERIES, grain=grain, by=by, zone=zone, since=since, until=until,
            bots=n % 2 == 0, internal=n % 3 == 0, top=1000,
        )  # fmt: skip
        same(question, rolled)


def test_percentiles_are_within_a_hundredth(rolled: Reading) -> None:
    grains: tuple[Grain | None, ...] = ("day", None)
    for (since, until), by, grain in itertools.product(SPANS, ((), ("route",)), grains):
        same(Trend(series=PERCENTILES, by=by, grain=grain, since=since, until=until), rolled)
    for (since, until), by in itertools.product(
        SPANS, ((), ("route",), ("day", "service"), ("hour",), ("month", "route"))
    ):
        same(ApiHealth(by=by, since=since, until=until, zone="Europe/Lisbon"), rolled)


def test_units_are_close_to_those_of_rows(rolled: Reading) -> None:
    every, some = Series(metric="units"), Series(event="click", metric="units")
    for unit, (since, until) in itertools.product(("visitor", "user_id", "session_id"), SPANS):
        whole = Trend(series=(every, Series()), unit=unit, since=since, until=until)
        same(whole, rolled)
        same(msgspec.structs.replace(whole, grain="hour", zone="Europe/Lisbon"), rolled)
        typed = msgspec.structs.replace(whole, series=(some, every), by=("interaction_type",))
        days = since is None or until is None or until - since > timedelta(days=1, hours=12)
        same(typed, rolled, "rollups" if days else "rows")
    same(Trend(series=(Series(metric="unique"),), grain="week"), rolled)


def test_filters_by_the_field_that_cells_are_by_hold(rolled: Reading) -> None:
    for where in (
        Filter(field="route", values=("/a", "")),
        Filter(field="route", op="unknown"),
        Filter(field="response_status", op="at_least", values=(500,)),
        Filter(any=(Filter(field="interaction_type", values=("click",)),
                    Filter(field="path", op="starts", values=("/p",)))),
        Filter(none=(Filter(field="bot", values=(True,)),)),
    ):  # fmt: skip
        same(Trend(where=where, bots=True), rolled)
        same(Trend(series=(Series(where=where), Series()), grain=None), rolled)


def test_a_partner_is_told_of_its_own_records_from_roll_ups_too(rolled: Reading) -> None:
    for question, source in (
        (Trend(grain=None, by=("interaction_type",)), "rollups"),
        (Trend(by=("partner_id",)), "rollups"),
        (Trend(grain=None, by=("route",)), "rows"),  # by two fields
    ):
        answer = same(narrowed(question, "p1"), rolled, source)
        counted = [row[-1] for row in answer.rows if isinstance(row[-1], int)]
        only = Filter(field="partner_id", values=("p1",))
        [(whole,)] = ask(rolled, Trend(grain=None, exact=True, where=only)).rows
        assert sum(counted) == whole
        if question.by == ("partner_id",):
            assert {row[1] for row in answer.rows} == {"p1"}


def test_what_cells_cannot_tell_is_counted_from_rows(rolled: Reading) -> None:
    for question in (
        Trend(zone="Asia/Kolkata"),
        Trend(by=("route", "device")),
        Trend(by=("city",)),
        Trend(where=Filter(field="properties.plan", op="known")),
        Trend(clock="received"),
        Trend(series=(Series(metric="units"),)),  # who somebody is, is worked out
        Trend(series=(Series(metric="units"),), unit="visitor", by=("device",)),
        Trend(series=(Series(metric="p95", field="ttfb_ms"),)),
        Trend(internal_is=("user_type:client",)),
        Trend(since=at(3.2), until=at(3.9)),
        ApiHealth(apdex_ms=100),
        ApiHealth(by=("consumer",)),
    ):
        same(question, rolled, "rows")
    same(Trend(internal_is=("user_type:client",), internal=True), rolled)


def test_an_answer_says_how_close_it_is(rolled: Reading) -> None:
    asked = Trend(series=(Series(), Series(metric="p95"), Series(metric="units")), unit="visitor")
    docs = [column.doc for column in ask(rolled, asked).columns]
    assert docs[1] == "* events."
    assert docs[2].endswith(" Within 1%, from roll-ups.")
    assert docs[3].endswith(" An estimate from roll-ups, standard error 1.6%.")


def test_sketches_are_as_close_as_they_say() -> None:
    con = duckdb.connect()
    errors = []
    for n in range(20):
        count = (2000, 10_000, 40_000)[n % 3]
        units = f"SELECT '{n}-' || r AS u FROM range({count}) t(r)"
        made = sketch.planes(f"SELECT 1 AS k, {sketch.ranked('u')} FROM ({units})", "k")
        estimated = sketch.estimate("plane", "bit_count(bits)")
        [(told,)] = con.execute(f"SELECT {estimated} FROM ({made})").fetchall()
        errors.append(told / count - 1)
    assert math.sqrt(sum(error**2 for error in errors) / len(errors)) < 1.5 * sketch.ERROR
    assert max(map(abs, errors)) < 4 * sketch.ERROR


def test_a_field_of_many_values_has_the_most_frequent_and_says_so(tmp_path: Path) -> None:
    home = Home(tmp_path)
    often = [{"ms": START_MS + n, "path": f"/often/{n % 400}"} for n in range(1200)]
    home.put([*often, *({"ms": START_MS + n, "path": f"/once/{n:03}"} for n in range(300))])
    home.roll()
    asked = Trend(by=("path",), grain=None, top=1000)
    answer = home.ask(asked)
    found: dict[Any, Any] = {row[0]: row[1] for row in answer.rows}
    assert answer.source == "rollups"
    assert len(found) == 501
    assert {found[f"/often/{n}"] for n in range(400)} == {3}
    assert found["(other)"] == 200
    assert answer.columns[0].doc.endswith("Beyond the 500 most frequent of a day it is (other).")
    assert len(home.ask(msgspec.structs.replace(asked, exact=True)).rows) == 700
    filtered = Trend(where=Filter(field="path", values=("/once/299",)), grain=None)
    assert home.ask(filtered) == Answer(filtered.columns(), [(1,)], "rows")


def test_few_rows_have_no_roll_ups(tmp_path: Path) -> None:
    home = Home(tmp_path, LAKEWARD_ROLLUP_ROWS="11")
    home.put(crowd(3, 10))
    assert home.roll().packs == 0
    assert home.ask(Trend()).source == "rows"
    home.put(crowd(4, 1))
    assert home.roll().covered == 11
    assert home.ask(Trend()).source == "rollups"


def test_days_become_months_and_what_comes_late_is_counted_again(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.put(crowd(5, 300, days=9))  # 25 October to 2 November
    assert home.roll().united == 9
    assert [name[:10] for name in home.packs()] == ["2025-10-25", "2025-11-01"]
    with home.reading() as reading:
        same(Trend(series=(*SERIES[:5], *PERCENTILES), by=("route",)), reading)
    home.put(crowd(6, 30, days=9))
    with home.reading() as reading:  # the late ones are rows until they are counted
        same(Trend(series=SERIES), reading)
    home.roll()
    assert len(home.packs()) == 2
    with home.reading() as reading:
        same(Trend(series=SERIES), reading)
        same(Trend(series=(Series(metric="units"),), unit="visitor", grain="month"), reading)


def test_a_roll_up_that_is_broken_or_gone_leaves_the_question_to_the_rows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = Home(tmp_path)
    home.put(crowd(7, 50))
    home.roll()
    right = home.ask(Trend(exact=True)).rows
    for path in packs.folder(home.lake).glob("*/*.all.*"):
        path.write_bytes(path.read_bytes()[:100])
    assert home.ask(Trend()) == Answer(Trend().columns(), right, "rows")
    assert "rows are counted" in caplog.text
    (packs.folder(home.lake) / packs.INDEX).write_text("{")
    assert home.ask(Trend()).source == "rows"
    home.roll()
    assert home.ask(Trend()) == Answer(Trend().columns(), right, "rollups")


@pytest.mark.parametrize("point", ["made", "placed", "indexed"])
def test_a_builder_that_is_killed_anywhere_leaves_right_answers_and_no_rubbish(
    tmp_path: Path, point: str
) -> None:
    home = Home(tmp_path)
    home.put(crowd(8, 200))
    code = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from test_rollup import Home, NOW, Builder\n"
        "home = Home(Path(sys.argv[1]))\nseen = []\n"
        "def pause(point):\n    seen.append(point)\n"
        f"    if seen.count('{point}') == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "Builder(home.lake, home.settings, now=lambda: NOW, pause=pause).run()\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=env)
    assert ended.returncode == -signal.SIGKILL
    with home.reading() as reading:
        same(Trend(series=SERIES), reading)
    home.roll()
    index = packs.read(home.lake)
    assert index is not None
    assert [pack.name for pack in index.packs] == home.packs()
    assert not list((home.lake.private / "scratch").glob("*"))
    with home.reading() as reading:
        same(Trend(series=SERIES, by=("route",)), reading)
