"""Questions about experiments: each against a plain reading of the rows, and what is refused."""

from __future__ import annotations

import functools
import json
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lakeward.analysis.dialect import translated
from lakeward.analysis.experiment.measured import ExperimentMoments, ExperimentQuantile
from lakeward.analysis.experiment.metric import metric
from lakeward.analysis.experiment.moments import FIELDS, PAIRS
from lakeward.analysis.experiment.question import ExperimentUnits
from lakeward.analysis.filters import Filter
from lakeward.analysis.question import Question, portable
from lakeward.analysis.registry import question_of
from lakeward.analysis.trino import foreign
from lakeward.catalog import TYPES
from lakeward.errors import Rejected
from lakeward.lake import derived
from lakeward.lake.columns import COLUMNS

Row = dict[str, Any]
START = datetime(2026, 9, 1, tzinfo=UTC)
STEP = timedelta(hours=12)
NAMES = (
    "interaction_id", "timestamp", "interaction_type", "service", "user_id", "anonymous_id",
    "session_id", "user_type", "partner_id", "bot", "response_time_ms", "experiments", "outcomes",
    "properties",
)  # fmt: skip
many = settings(deadline=None, max_examples=50)


PERSON = """SELECT *, CASE WHEN user_id <> 'anonymous' THEN user_id
    ELSE nullif(anonymous_id, '') END AS person FROM interactions"""
"""Who is who without identify and alias; test_identity.py holds the real view."""


@functools.cache
def memory(real: bool) -> duckdb.DuckDBPyConnection:
    """An empty lake; with the `real` view of identities a question takes a fifth of a second."""
    con = duckdb.connect(config={"threads": 1})
    con.execute("SET TimeZone = 'UTC'")
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    con.execute(f"CREATE TABLE interactions ({columns})")
    for name in TYPES:
        con.execute(
            f"CREATE VIEW \"{name}\" AS FROM interactions WHERE interaction_type = '{name}'"
        )
    if not real:
        con.execute(f"CREATE VIEW stitched AS {PERSON}")
    derived.create(con)
    return con


def fill(rows: Sequence[Row], real: bool = False) -> None:
    con = memory(real)
    con.execute("DELETE FROM interactions")
    if rows:
        con.executemany(
            f"INSERT INTO interactions ({', '.join(NAMES)}) VALUES "
            f"({', '.join('?' for _ in NAMES)})",
            [[row.get(name) for name in NAMES] for row in rows],
        )


def answered(question: Question, real: bool = False) -> list[Row]:
    statement = question.sql()
    cursor = memory(real).execute(statement.text, dict(statement.parameters))
    names = [column[0] for column in cursor.description or []]
    assert names == [column.name for column in question.columns()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def at(step: float) -> datetime:
    return START + step * STEP


def row(kind: str, step: float, who: Row, **own: Any) -> Row:
    """A row; `who`: user, visitor, session, service, bot."""
    slot = {"experiment_exposure": "experiments", "view": "properties"}.get(kind, "outcomes")
    told = {name: value for name, value in own.items() if value is not None}
    return {
        "timestamp": at(step), "interaction_type": kind, "service": who.get("service"),
        "user_id": who.get("user", "anonymous"), "anonymous_id": who.get("visitor"),
        "session_id": who.get("session"), "bot": who.get("bot"), "own": told,
        "user_type": who.get("type"), "partner_id": "p1", slot: json.dumps(told),
        "response_time_ms": who.get("ms"),
    }  # fmt: skip


def exposure(step: float, who: Row, arm: str | None, **own: Any) -> Row:
    return row("experiment_exposure", step, who, experiment=own.pop("experiment", "x"),
               variant=arm, **own)  # fmt: skip


def numbered(rows: Sequence[Row]) -> list[Row]:
    return [each | {"interaction_id": f"{n:05d}"} for n, each in enumerate(rows)]


# The plain reading


def person(each: Row) -> str | None:
    """Without identify and alias, a person is the user, else the visitor."""
    return each["user_id"] if each["user_id"] != "anonymous" else each["anonymous_id"] or None


def hidden(each: Row) -> bool:
    """Bots and the team's own traffic."""
    return bool(each["bot"]) or each["user_type"] == "staff"


UNIT: dict[str, Callable[[Row], str | None]] = {
    "person": person,
    "session_id": lambda each: each["session_id"],
}
Key = tuple[str | None, str]


class Plain:
    """Exposures read one by one."""

    def __init__(self, rows: Sequence[Row], unit: str) -> None:
        self.rows, self.unit = rows, UNIT[unit]
        self.aside: dict[tuple[str, str | None], set[Any]] = defaultdict(set)
        good = []
        for each in rows:
            own = each["own"]
            if each["interaction_type"] != "experiment_exposure" or own["experiment"] != "x":
                continue
            key, arm = (each["service"], self.unit(each)), own.get("variant")
            if hidden(each):
                continue
            if own.get("forced"):
                self.aside["forced", arm].add(key)
            elif key[1] is None or arm is None:
                self.aside["unknown", arm].add(each["interaction_id"])
            else:
                good.append(each)
        newest = max((each["own"].get("experiment_version", 0) for each in good), default=0)
        met: dict[Key, list[Row]] = defaultdict(list)
        for each in good:
            key = (each["service"], self.unit(each) or "")
            if each["own"].get("experiment_version", 0) < newest:
                self.aside["earlier_version", each["own"]["variant"]].add(key)
            else:
                met[key].append(each)
        self.arms: dict[str, dict[Key, datetime]] = defaultdict(dict)
        for key, of in met.items():
            names = sorted({each["own"]["variant"] for each in of})
            if len(names) > 1:
                self.aside["several_arms", " + ".join(names)].add(key)
            else:
                self.arms[names[0]][key] = min(each["timestamp"] for each in of)

    def deeds(
        self, key: Key, first: datetime, days: float, before: float, kinds: Callable[[Row], bool]
    ) -> tuple[list[Row], list[Row]]:
        """What a unit did after and before."""
        own = [
            r for r in self.rows
            if (r["service"], self.unit(r)) == key and not hidden(r) and kinds(r)
        ]  # fmt: skip
        till, since = first + timedelta(days=days), first - timedelta(days=before)
        return ([r for r in own if first <= r["timestamp"] < till],
                [r for r in own if since <= r["timestamp"] < first])  # fmt: skip


WHO = st.fixed_dictionaries(
    {
        "user": st.sampled_from(["u1", "u2", "u3", "u4", "u5", "u6", "anonymous"]),
        "visitor": st.sampled_from([None, "", "a1", "u1"]),
        "session": st.sampled_from([None, "s1", "s2", "s3", "s4"]),
        "service": st.sampled_from([None, None, "web"]),
        "bot": st.sampled_from([None, None, False, True]),
        "type": st.sampled_from([None, None, None, "staff"]),
        "ms": st.none() | st.integers(1, 9),
    }
)
AT = st.integers(-12, 12)
EXPOSURE = st.builds(
    lambda step, who, arm, own: exposure(step, who, arm, **own), AT, WHO,
    st.sampled_from(["a", "b", "b", None]),
    st.fixed_dictionaries({
        "experiment_version": st.sampled_from([None, 1, 1, 1]),
        "forced": st.sampled_from([None, None, False, True]),
        "experiment": st.sampled_from(["x", "x", "x", "y"]),
        "variant_index": st.sampled_from([None, 0, 1]),
        "hash_attribute": st.sampled_from([None, "user_id"]),
    }),
)  # fmt: skip
CLICK = st.builds(
    lambda step, who, cta, value: row("cta_click", step, who, cta=cta) if value is None
    else row("view", step, who, value=value, sort=cta), AT, WHO, st.sampled_from(["book", "call"]),
    st.none() | st.sampled_from([0, 1, 2.5, -3, "7", "many", "NaN", "-Infinity", 1e300]),
)  # fmt: skip
ROWS = st.lists(st.one_of(EXPOSURE, EXPOSURE, CLICK), max_size=26).map(numbered)
UNITS = st.sampled_from(["person", "session_id"])
ME: Row = {"user": "u1"}


@many
@given(ROWS, UNITS)
@example(numbered([exposure(0, ME, "a"), exposure(0, ME, "b")]), "person")
def test_who_met_which_arm_is_what_reading_one_by_one_finds(rows: list[Row], unit: Any) -> None:
    fill(rows)
    plain = Plain(rows, unit)
    found = answered(ExperimentUnits(experiment="x", unit=unit, until=at(6), within_days=2))
    cut = Plain([r for r in rows if r["timestamp"] < at(6)], unit)
    arms = {r["arm"]: r for r in found if r["state"] == "exposed"}
    assert {arm: len(units) for arm, units in cut.arms.items()} == {
        arm: r["units"] for arm, r in arms.items()
    }
    aside = {(r["state"], r["arm"]): r["units"] for r in found if r["state"] != "exposed"}
    assert aside == {key: len(units) for key, units in cut.aside.items()}
    for arm, units in cut.arms.items():
        firsts = list(units.values())
        assert (arms[arm]["first_at"], arms[arm]["last_at"]) == (min(firsts), max(firsts))
        assert arms[arm]["open_units"] == sum(f > at(6) - timedelta(days=2) for f in firsts)
    whole = answered(ExperimentUnits(experiment="x", unit=unit))
    assert {r["arm"]: r["units"] for r in whole if r["state"] == "exposed"} == {
        arm: len(units) for arm, units in plain.arms.items()
    }


def number(value: Any) -> float | None:
    try:
        found = math.nan if value is None else float(value)
    except ValueError:
        return None
    return found if abs(found) <= 1e15 else None


def a_click(each: Row) -> bool:
    return bool(each["interaction_type"] == "cta_click")


def a_view(each: Row) -> bool:
    return bool(each["interaction_type"] == "view")


def values(of: list[Row]) -> list[float]:
    return [v for r in of if (v := number(r["own"].get("value"))) is not None]


PLAIN: dict[str, tuple[Callable[[list[Row], list[Row]], float], ...]] = {
    "cta_click": (lambda clicks, _: float(bool(clicks)),),
    "count:cta_click[outcomes.cta=book]": (
        lambda c, _: float(sum(r["own"]["cta"] == "book" for r in c)),
    ),
    "sum:properties.value:view": (lambda _, views: math.fsum(values(views)),),
    "mean:properties.value:view[properties.sort=call]": (
        lambda _, views: math.fsum(values([r for r in views if r["own"]["sort"] == "call"])),
        lambda _, views: float(len(values([r for r in views if r["own"]["sort"] == "call"]))),
    ),
    "ratio:cta_click/count:view": (lambda c, _: float(len(c)), lambda _, v: float(len(v))),
}  # fmt: skip
"""What a metric is of a unit's clicks and views: y, and d where it has one."""


@many
@given(ROWS, UNITS, st.sampled_from(sorted(PLAIN)), st.sampled_from([0, 2.5, 6]),
       st.sampled_from([1, 2.5, 14]))  # fmt: skip
@example(  # a deed in the millisecond of the exposure, one before it, one at the very end
    numbered([exposure(0, ME, "a"), exposure(3, ME, "a"), row("cta_click", 0, ME, cta="book"),
              row("cta_click", -1, ME, cta="book"), row("cta_click", 2, ME, cta="book"),
              exposure(0, {"user": "u2"}, "b")]), "person",
    "count:cta_click[outcomes.cta=book]", 2.5, 1,
)  # fmt: skip
def test_moments_are_what_reading_one_by_one_finds(
    rows: list[Row], unit: Any, text: str, before: float, days: float
) -> None:
    fill(rows)
    plain = Plain(rows, unit)
    found = answered(ExperimentMoments(
        experiment="x", unit=unit, metric=metric(text), before_days=before, within_days=days,
    ))  # fmt: skip
    assert [r["arm"] for r in found] == sorted(plain.arms)
    for each in found:
        samples = []
        for key, first in plain.arms[each["arm"]].items():
            clicks = plain.deeds(key, first, days, before, a_click)
            views = plain.deeds(key, first, days, before, a_view)
            y, *d = (of(clicks[0], views[0]) for of in PLAIN[text])
            x, *z = (of(clicks[1], views[1]) for of in PLAIN[text])
            samples.append((y, d[0] if d else 1.0, x if before else 0.0,
                            z[0] if z and before else 1.0))  # fmt: skip
        n = len(samples)
        assert each["units"] == n
        means = [math.fsum(s[k] for s in samples) / n for k in range(4)]
        assert [each[f] for f in FIELDS] == pytest.approx(means, abs=1e-9)
        for pair in PAIRS:
            i, j = FIELDS.index(pair[0]), FIELDS.index(pair[1])
            total = math.fsum((s[i] - means[i]) * (s[j] - means[j]) for s in samples)
            assert each[pair] == pytest.approx(total / (n - 1) if n > 1 else 0, abs=1e-9)


@many
@given(ROWS, UNITS, st.sampled_from([10, 50, 90, 99.5]), st.sampled_from([1, 14]))
def test_a_quantile_is_what_reading_one_by_one_finds(
    rows: list[Row], unit: Any, percent: float, days: float
) -> None:
    fill(rows)
    plain = Plain(rows, unit)
    text = f"p{percent:g}:properties.value:view"
    found = answered(ExperimentQuantile(
        experiment="x", unit=unit, metric=metric(text), within_days=days,
    ))  # fmt: skip
    assert [r["arm"] for r in found] == sorted(plain.arms)
    for each in found:
        units = [
            told
            for key, first in plain.arms[each["arm"]].items()
            if (told := values(plain.deeds(key, first, days, 0, a_view)[0]))
        ]
        ordered = sorted(v for told in units for v in told)
        assert each["units"] == len(plain.arms[each["arm"]])
        assert (each["measured_units"], each["values"]) == (len(units), len(ordered))
        if not ordered:
            assert (each["value"], each["low"], each["high"]) == (None, None, None)
            continue
        share, n = percent / 100, len(ordered)
        middle = ordered[max(1, math.ceil(share * n)) - 1]
        assert each["value"] == middle
        if len(units) < 2:
            assert each["low"] is None
            continue
        half = 1.959963984540054 * clustered(units, middle)
        low, high = (share - half) * n, (share + half) * n
        if min(abs(low - round(low)), abs(high - round(high))) > 1e-9:  # no tie of roundings
            assert each["low"] == ordered[max(1, math.ceil(max(0.0, low))) - 1]
            assert each["high"] == ordered[min(n, math.floor(min(high, n)) + 1) - 1]


def clustered(units: list[list[float]], middle: float) -> float:
    """The error of the share of values not above the middle, units as clusters."""
    k = len(units)
    below = [sum(v <= middle for v in told) for told in units]
    sizes = [len(told) for told in units]
    share = sum(below) / sum(sizes)
    rest = [b - share * s for b, s in zip(below, sizes, strict=True)]
    return math.sqrt(math.fsum(r * r for r in rest) / (k - 1) / k) / (sum(sizes) / k)


def test_a_quantiles_interval_holds_the_truth_though_values_of_a_unit_are_alike() -> None:
    """Seven tenths of a value's spread is its unit's: 60 intervals of 95 % of a known p90."""
    dice = np.random.default_rng(5)
    lots, users, each = 30, 160, 6
    units = lots * users
    own = np.repeat(dice.normal(0, 0.7**0.5, units), each)
    seconds = np.exp(own + dice.normal(0, 0.3**0.5, units * each))
    who = [f"{n // users}-{n % users}" for n in range(units)]
    arms = [f"arm{n % 2}" for n in range(units)]
    told = pa.table({
        "user_id": [*who, *np.repeat(who, each)],
        "kind": ["experiment_exposure"] * units + ["view"] * units * each,
        "experiments": [
            f'{{"experiment": "{n // users}", "variant": "{arm}"}}' for n, arm in enumerate(arms)
        ] + [None] * units * each,
        "properties": [None] * units + [f'{{"value": {value}}}' for value in seconds.tolist()],
    })  # fmt: skip
    fill([])
    con = memory(False)
    con.register("told", told)
    con.execute(
        "INSERT INTO interactions (timestamp, interaction_type, user_id, experiments, properties) "
        "SELECT TIMESTAMPTZ '2026-09-01 00:00Z', kind, user_id, experiments, properties FROM told"
    )
    con.unregister("told")
    truth, held = math.exp(1.2815515655446004), 0
    p90 = metric("p90:properties.value:view")
    for lot in range(lots):
        for row in answered(ExperimentQuantile(experiment=str(lot), metric=p90)):
            held += row["low"] <= truth <= row["high"]
    fill([])
    assert 0.9 <= held / (2 * lots) <= 1


# Outcomes by person


def test_a_deal_that_was_told_twice_counts_once_with_its_newest_value() -> None:
    buyer: Row = {"user": "u1"}
    rows = [exposure(0, buyer, "a"), exposure(0, {"user": "u2"}, "b")]
    for step, value in ((1, 100.0), (2, 150.0)):
        rows.append(row("deal_closed", step, buyer, deal_id="d1", value=value, currency="EUR"))
    rows.append(row("deal_closed", 3, buyer, deal_id="d2", value=1.0, currency="USD"))
    fill(numbered(rows))

    def y(text: str) -> list[tuple[float, int]]:
        found = answered(ExperimentMoments(experiment="x", metric=metric(text)))
        return [(each["y"], each["currencies"]) for each in found]

    summed = "sum:outcomes.value:deal_closed"
    assert y(f"{summed}[outcomes.currency=EUR]") == [(150.0, 1), (0.0, 1)]
    assert y(f"{summed}[outcomes.value>140]") == [(150.0, 1), (0.0, 1)]
    assert y(summed) == [(151.0, 2), (0.0, 2)]
    assert y("count:deal_closed") == [(2.0, 0), (0.0, 0)]
    assert y("deal_closed[outcomes.deal_type=renewal]") == [(0.0, 0), (0.0, 0)]


def test_a_visitor_who_logs_in_later_is_one_unit() -> None:
    rows = [
        exposure(0, {"visitor": "a1"}, "a"), exposure(0, {"user": "u2"}, "b"),
        row("demo_booking", 2, {"user": "u1"}, booking_id="b1", status="booked", date="2026-09-09"),
        row("demo_booking", 3, {"user": "u1"}, booking_id="b1", status="held", date="2026-09-09"),
        {**row("identify", 1, {"user": "u1", "visitor": "a1"}), "outcomes": None},
        exposure(2, {"user": "u1"}, "a"),
    ]  # fmt: skip
    fill(numbered(rows), real=True)
    assert [r["units"] for r in answered(ExperimentUnits(experiment="x"), real=True)] == [1, 1]
    for text, expected in (("demo_booking", 1), ("count:demo_held", 1),
                           ("count:demo_booking[outcomes.status=booked]", 0)):  # fmt: skip
        found = answered(ExperimentMoments(experiment="x", metric=metric(text)), real=True)
        assert [each["y"] for each in found] == [expected, 0]


def test_a_session_has_its_own_bookings() -> None:
    guest: Row = {"session": "s1"}
    rows = [
        exposure(0, guest, "a"), exposure(0, {"session": "s2"}, "b"),
        row("demo_booking", 1, guest, booking_id="b1", status="held", date="2026-09-09"),
    ]  # fmt: skip
    fill(numbered(rows))
    for text in ("demo_booking", "demo_held"):
        found = answered(ExperimentMoments(experiment="x", unit="session_id", metric=metric(text)))
        assert [each["y"] for each in found] == [1, 0]


def test_a_column_of_the_record_is_a_field_too() -> None:
    rows = [exposure(0, ME, "a"), *(row("api_call", 1, ME | {"ms": ms}) for ms in (3, 5, 90))]
    fill(numbered(rows))
    found = answered(
        ExperimentQuantile(experiment="x", metric=metric("p50:response_time_ms:api_call"))
    )
    assert found[0]["value"] == 5


def test_a_number_that_no_figure_can_hold_is_none() -> None:
    rows = [exposure(0, ME, "a"), exposure(0, {"user": "u2"}, "a")]
    for value in ("Infinity", "-Infinity", "NaN", 1e300, "many", 3, "4"):
        rows.append(row("view", 1, ME, value=value))
    fill(numbered(rows))
    found = answered(ExperimentMoments(experiment="x", metric=metric("mean:properties.value:view")))
    assert (found[0]["y"], found[0]["d"], found[0]["yy"]) == (3.5, 1, 24.5)
    median = answered(
        ExperimentQuantile(experiment="x", metric=metric("p50:properties.value:view"))
    )
    assert (median[0]["values"], median[0]["value"]) == (2, 3)


def test_since_and_filters_are_about_exposures_and_not_about_deeds() -> None:
    rows = [
        exposure(-4, ME, "a"), exposure(0, ME, "b"), row("view", -1, ME), row("view", 1, ME),
        exposure(1, ME | {"session": "s9"}, "a"),
    ]  # fmt: skip
    fill(numbered(rows))
    found = answered(ExperimentMoments(
        experiment="x", metric=metric("count:view"), since=at(0), before_days=3,
        where=Filter(field="session_id", op="unknown"),
    ))  # fmt: skip
    assert [(r["arm"], r["y"], r["x"]) for r in found] == [("b", 1, 1)]


def test_apps_with_the_same_ids_are_not_mixed() -> None:
    rows = [
        exposure(0, ME | {"service": "web"}, "a"), exposure(0, ME | {"service": "shop"}, "b"),
        row("cta_click", 1, ME | {"service": "shop"}, cta="book"),
    ]  # fmt: skip
    fill(numbered(rows))
    found = answered(ExperimentMoments(experiment="x", metric=metric("cta_click")))
    assert [(each["arm"], each["y"]) for each in found] == [("a", 0), ("b", 1)]
    shop = Filter(field="service", values=("shop",))
    only = answered(ExperimentUnits(experiment="x", where=shop))
    assert [each["arm"] for each in only] == ["b"]


# What cannot be asked


HOSTILE = "'; DROP TABLE interactions; --"


def test_values_are_parameters_and_names_are_checked() -> None:
    asked = ExperimentMoments(
        experiment=HOSTILE, where=Filter(field="service", values=(HOSTILE,)),
        metric=metric(f"ratio:count:shop.order[properties.plan={HOSTILE}]/count:view"),
    )  # fmt: skip
    statement = asked.sql()
    assert "DROP" not in statement.text
    fill([])
    assert answered(asked) == []


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "a name is missing"),
        ("sum:", "a name is missing"),
        ("ratio:/view", "a name is missing"),
        ("sum:deal_closed", "name a field and a type"),
        ("sum:outcomes.colour:deal_closed", "no field 'outcomes.colour' that fits"),
        ("deal_closed[outcomes.partner=3]", "no field 'outcomes.partner' that fits"),
        ("sum:colour:view", "'colour' is no field"),
        ("count:view[colour=red]", "'colour' is no field"),
        ("ratio:cta_click", "a ratio is of two"),
        ("median:properties.value:view", "'median:properties.value:view'"),
        ("count:a b", "is no step"),
        ("p0:properties.value:view", "a quantile is p1 to p99"),
        ("p90:properties.value:view", "ask experiment_quantile"),
        ("x" * 2001, "at most 2000 letters"),
    ],
)
def test_a_metric_that_cannot_be_read_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(Rejected, match=named):
        ExperimentMoments(experiment="x", metric=metric(text))


DID: Row = {"event": "view"}


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"kind": "ratio", "measures": [DID]}, "a ratio is of 2 measures"),
        ({"kind": "mean", "measures": [DID], "quantile": 0.5}, "goes with the kind quantile"),
        ({"kind": "quantile", "measures": [DID], "quantile": 0.5}, "verb` is sum"),
        ({"kind": "quantile", "measures": [DID], "quantile": 1}, "above 0 and below 1"),
        ({"kind": "share", "measures": [DID | {"verb": "count"}]}, "verb` is did"),
        ({"kind": "mean", "measures": [DID | {"verb": "sum"}]}, "`field` goes with"),
        ({"kind": "mean", "measures": [DID | {"verb": "count", "field": "path"}]}, "`field` goes"),
        ({"kind": "mean", "measures": [DID | {"nothing": 1}]}, "nothing"),
    ],
)
def test_a_metric_in_json_that_is_no_figure_is_refused_by_name(more: Row, named: str) -> None:
    with pytest.raises(Rejected, match=named):
        question_of("experiment_moments", {"experiment": "x", "metric": more})


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"experiment": ""}, "`experiment`"),
        ({"within_days": 0}, "`within_days`"),
        ({"within_days": float("nan")}, "`within_days`"),
        ({"before_days": -1}, "`before_days`"),
        ({"since": datetime(2026, 1, 1)}, "`since` must have a zone"),
        ({"since": START, "until": START}, "`until` must be after"),
        ({"unit": "colour"}, "'colour' is no field"),
        ({"unit": "response_time_ms"}, "is no id"),
        (
            {"unit": "session_id", "metric": metric("sum:outcomes.value:deal_closed")},
            "only counted by person",
        ),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused_by_name(more: Row, named: str) -> None:
    parameters: Row = {"experiment": "x", "metric": metric("cta_click")} | more
    with pytest.raises(Rejected, match=named):
        ExperimentMoments(**parameters)
    with pytest.raises(Rejected, match="no quantile"):
        ExperimentQuantile(experiment="x", metric=metric("cta_click"))


def test_other_engines_can_say_the_questions_too() -> None:
    asked = (
        ExperimentUnits(experiment="x", until=START),
        ExperimentMoments(
            experiment="x", before_days=3,
            metric=metric("ratio:sum:outcomes.value:deal_closed/count:page_view[path~/a]"),
        ),
        ExperimentQuantile(experiment="x", metric=metric("p90:response_time_ms:api_call")),
    )  # fmt: skip
    for question in asked:
        assert "$p" not in translated(portable(question), "spark")
        assert foreign(translated(portable(question), "trino")) == set()


def test_less_may_be_better() -> None:
    found = metric("lower:p99.9:response_time_ms:api_call")
    assert found.lower
    assert found.quantile == pytest.approx(0.999)
    assert found.name == "p99.9:response_time_ms:api_call"


def test_a_slash_within_a_condition_does_not_end_a_measure() -> None:
    found = metric("ratio:count:page_view[path=/a/b]/paid:=deal_closed[outcomes.value>0]")
    assert [m.event for m in found.measures] == ["page_view", "deal_closed"]
    assert [m.verb for m in found.measures] == ["count", "count"]
    assert found.measures[0].where == Filter(field="path", values=("/a/b",))


def test_every_type_can_be_counted() -> None:
    fill([])
    for name in TYPES:
        assert answered(ExperimentMoments(experiment="x", metric=metric(f"count:{name}"))) == []
