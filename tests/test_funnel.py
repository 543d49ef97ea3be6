"""Funnels: every order, tie, window, exclusion and breakdown against a search of all ways."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asked import START_MS, Row, answered, answered_twice, fill, holds, kept, value_of
from lakeward.analysis.filters import Filter
from lakeward.analysis.funnel import Exclusion, Funnel, FunnelTimes, FunnelUnits, Order
from lakeward.analysis.step import Step
from lakeward.errors import Rejected

many = settings(deadline=None, max_examples=100)
WITHIN_MS = 10
Way = tuple[int, int, int | None]
"""When a step was reached, from which start, and when the step before was."""


def rows_of(types: str, most: int = 9) -> st.SearchStrategy[list[Row]]:
    """Few units, few moments: ties, window edges and overtaking starts are the rule."""
    row = st.fixed_dictionaries(
        {
            "ms": st.integers(0, 24).map(lambda ms: START_MS + ms),
            "interaction_type": st.sampled_from(types),
            "session_id": st.sampled_from(["s1", "s2"]),
        },
        optional={
            "route": st.sampled_from(["/a", "/b"]),
            "device": st.sampled_from(["phone", "laptop"]),
        },
    )
    return st.lists(row, max_size=most)


STEPS = {
    "apart": (Step(event="a"), Step(event="b"), Step(event="c")),
    "same": (Step(event="a"), Step(event="a"), Step(event="a")),
    "mixed": (Step(event="*"), Step(event="a"), Step(event="*"), Step(event="b")),
    "filtered": (
        Step(event="a", where=Filter(field="route", values=("/a",))),
        Step(event="a", where=Filter(field="route", op="known")),
        Step(event="b"),
    ),
}


def _flags(row: Row, steps: tuple[Step, ...]) -> list[bool]:
    return [s.event in ("*", row["interaction_type"]) and holds(s.where, row) for s in steps]


def _ordered(rows: list[Row], funnel: Funnel) -> Iterator[tuple[int, Way]]:
    """Every way: (step reached, when and from where)."""
    flags = [_flags(row, funnel.steps) for row in rows]

    def barred(step: int, after: int, before: int) -> bool:
        return any(
            after < row["ms"] < before and _flags(row, (out,))[0]
            for out in funnel.exclude
            if out.after in (None, step)
            for row in rows
        )

    def walk(step: int, at: int, start: int, before: int | None) -> Iterator[tuple[int, Way]]:
        now = rows[at]["ms"]
        yield step, (now, start, before)
        if step == len(funnel.steps):
            return
        for to, row in enumerate(rows):
            fits = to != at and flags[to][step] and now <= row["ms"] <= start + funnel.within_ms
            if fits and not barred(step, now, row["ms"]):
                yield from walk(step + 1, to, start, now)

    for at, row in enumerate(rows):
        if flags[at][0]:
            yield from walk(1, at, row["ms"], None)


def _strict(rows: list[Row], funnel: Funnel) -> Iterator[tuple[int, Way]]:
    def place(item: tuple[int, Row]) -> tuple[int, int, int]:
        flags = _flags(item[1], funnel.steps)
        return item[1]["ms"], flags.index(True) if True in flags else len(flags), item[0]

    ordered = [row for _, row in sorted(enumerate(rows), key=place)]
    for first, row in enumerate(ordered):
        before: int | None = None
        for step, later in enumerate(ordered[first : first + len(funnel.steps)]):
            late = later["ms"] - row["ms"] > funnel.within_ms
            if late or not _flags(later, funnel.steps)[step]:
                break
            yield step + 1, (later["ms"], row["ms"], before)
            before = later["ms"]


def _any(rows: list[Row], funnel: Funnel) -> Iterator[tuple[int, Way]]:
    for end in {row["ms"] for row in rows}:
        latest = []
        for step in funnel.steps:
            done = [row["ms"] for row in rows if row["ms"] <= end and _flags(row, (step,))[0]]
            latest += [max(done)] if done else []
        latest.sort(reverse=True)
        for k, start in enumerate(latest, 1):
            if end - start <= funnel.within_ms:
                yield k, (end, start, latest[1] if k > 1 else None)


SEARCH: dict[Order, Any] = {"ordered": _ordered, "strict": _strict, "any": _any}


def furthest(rows: list[Row], funnel: Funnel) -> dict[int, Way]:
    """Of one unit: how it first reached each step; from the latest start, by the latest way."""
    found: dict[int, list[Way]] = defaultdict(list)
    for step, way in SEARCH[funnel.order](rows, funnel):
        found[step].append(way)
    best: dict[int, Way] = {}
    for step, ways in found.items():
        best[step] = min(ways, key=lambda way: (way[0], -way[1], -(way[2] or 0)))
    return best


def went(rows: list[Row], funnel: Funnel) -> dict[str, tuple[int, int, Any, dict[int, Way]]]:
    """By unit: level, start, the fields at the start, and how each step was reached."""
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in kept(rows, funnel):
        unit = value_of(row, funnel.unit)
        step = any(_flags(row, (*funnel.steps, *funnel.exclude)))
        if unit is not None and (step or funnel.order == "strict"):
            groups[unit, *(value_of(row, name) for name in funnel.hold)].append(row)
    chosen: dict[str, Any] = {}
    for (unit, *held), group in groups.items():
        best = furthest(group, funnel)
        if not best:
            continue
        level = max(best)
        reached, start, _ = best[level]
        rank = (-level, reached, -start, [(value is None, value or "") for value in held])
        if unit not in chosen or rank < chosen[unit][0]:
            steps = funnel.steps[:1] if funnel.order != "any" else funnel.steps
            first = next(r for r in group if r["ms"] == start and any(_flags(r, steps)))
            by = tuple(value_of(first, name) for name in funnel.by)
            chosen[unit] = (rank, (level, start, by, best))
    return {unit: told for unit, (_, told) in chosen.items()}


def _quantile(values: list[float], share: float) -> float | None:
    if len(values) < 2:
        return values[0] if values else None
    return statistics.quantiles(values, n=10, method="inclusive")[round(share * 10) - 1]


def plainly(rows: list[Row], funnel: Funnel) -> dict[Any, Row]:
    """What the funnel should answer, by fields and step."""
    groups: dict[Any, list[Any]] = defaultdict(list)
    for told in went(rows, funnel).values():
        groups[told[2]].append(told)
    if not funnel.by:
        groups.setdefault((), [])
    found = {}
    for by, units in groups.items():
        counts = [sum(u[0] >= k for u in units) for k in range(1, len(funnel.steps) + 1)]
        for k, count in enumerate(counts, 1):
            ways = [u[3][k] for u in units if k in u[3]] if k > 1 else []
            steps = [(way[0] - (way[2] or 0)) / 1000 for way in ways]
            whole = [(way[0] - way[1]) / 1000 for way in ways]
            before = counts[max(0, k - 2)]
            found[by, k] = {
                "name": funnel.steps[k - 1].name,
                "users": count,
                "conversion": count / counts[0] if counts[0] else None,
                "conversion_from_previous": count / before if before else None,
                "dropped": before - count,
                "median_seconds": _quantile(steps, 0.5),
                "p90_seconds": _quantile(steps, 0.9),
                "median_seconds_from_start": _quantile(whole, 0.5),
                "p90_seconds_from_start": _quantile(whole, 0.9),
            }
    return found


def agree(rows: list[Row], funnel: Funnel) -> None:
    fill(rows)
    told = {}
    joined = "ASOF" in funnel.sql().text  # else both forms are one
    for row in (answered_twice if joined else answered)(funnel):
        by = tuple(row.pop(name) for name in funnel.by)
        told[by, row.pop("step")] = row
    wanted = plainly(rows, funnel)
    assert set(told) == set(wanted)
    for key, row in wanted.items():
        assert told[key] == pytest.approx(row), key


@many
@given(
    rows_of("abcd"),
    st.sampled_from(list(STEPS)),
    st.sampled_from(["ordered", "strict", "any"]),
    st.sampled_from([(), ("device",), ("route", "device")]),
    st.sampled_from([(), ("route",)]),
    st.integers(1, 12),
)
@example(
    [{"ms": START_MS + ms, "interaction_type": kind, "session_id": "s1"}
     for ms, kind in ((0, "a"), (9, "a"), (11, "b"), (15, "c"))],
    "apart", "ordered", (), (), 10,
)  # fmt: skip
def test_a_funnel_finds_what_a_search_of_all_ways_finds(
    rows: list[Row], steps: str, order: Order, by: Any, hold: Any, within: int
) -> None:
    agree(
        rows,
        Funnel(
            steps=STEPS[steps], within=within / 1000, order=order, by=by, hold=hold,
            unit="session_id",
        ),
    )  # fmt: skip


@many
@given(
    rows_of("abcd", 10),
    st.sampled_from(["apart", "same", "filtered"]),
    st.sampled_from([None, 1, 2]),
    st.sampled_from(["d", "a"]),
)
def test_what_must_not_happen_bars_the_way_between_its_steps(
    rows: list[Row], steps: str, after: int | None, event: str
) -> None:
    exclude = (Exclusion(event=event, after=after),)
    agree(
        rows, Funnel(steps=STEPS[steps], within=0.01, exclude=exclude, unit="session_id")
    )  # fmt: skip


@many
@given(rows_of("abc"), st.sampled_from(list(STEPS)), st.integers(1, 3), st.booleans())
def test_who_dropped_is_who_the_funnel_counts(
    rows: list[Row], steps: str, step: int, dropped: bool
) -> None:
    fill(rows)
    question = FunnelUnits(
        steps=STEPS[steps], within=0.01, unit="session_id", step=step, dropped=dropped,
        by=("device",),
    )  # fmt: skip
    last = step == len(question.steps)
    wanted = {
        unit: (level, by, start, best[level][0])
        for unit, (level, start, by, best) in went(rows, question).items()
        if (level == step if dropped and not last else level >= step)
    }
    told = {
        row["unit"]: (
            row["reached"], (row["device"],), _ms(row["started_at"]), _ms(row["reached_at"]),
        )
        for row in answered_twice(question)
    }  # fmt: skip
    assert told == wanted


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


@many
@given(rows_of("ab", 12), st.integers(1, 5))
def test_the_bins_hold_everybody_who_went_through(rows: list[Row], bins: int) -> None:
    fill(rows)
    question = FunnelTimes(steps=STEPS["apart"][:2], within=0.02, unit="session_id", bins=bins)
    times = sorted(
        (best[2][0] - best[2][1]) / 1000
        for level, _, _, best in went(rows, question).values()
        if level == 2
    )
    told = answered_twice(question)
    assert sum(row["users"] for row in told) == len(times)
    for row in told:
        assert row["to_seconds"] > row["from_seconds"]
    if times:
        assert told[0]["from_seconds"] == pytest.approx(times[0])


def test_a_later_start_that_completes_wins() -> None:
    day = 86_400_000
    fill(
        [
            {"ms": START_MS, "interaction_type": "visit", "user_id": "u1"},
            {"ms": START_MS + 6 * day, "interaction_type": "visit", "user_id": "u1"},
            {"ms": START_MS + 8 * day, "interaction_type": "buy", "user_id": "u1"},
        ]
    )
    steps = (Step(event="visit"), Step(event="buy"))
    first, second = answered(Funnel(steps=steps))
    assert (first["users"], second["users"]) == (1, 1)
    assert second["median_seconds"] == 2 * 86_400


def test_a_funnel_by_day_is_a_trend_of_those_who_started() -> None:
    day = 86_400_000
    fill(
        [
            {"ms": START_MS + n * day, "interaction_type": kind, "user_id": f"u{n}"}
            for n in range(3)
            for kind in (("a", "b") if n else ("a",))
        ]
    )
    steps = (Step(event="a"), Step(event="b"))
    told = answered(Funnel(steps=steps, by=("day",)))
    assert [(str(row["day"]), row["users"]) for row in told if row["step"] == 2] == [
        ("2025-08-14", 0), ("2025-08-15", 1), ("2025-08-16", 1),
    ]  # fmt: skip


def test_one_person_goes_through_before_and_after_the_login() -> None:
    fill(
        [
            {"ms": START_MS, "interaction_type": "page_view", "anonymous_id": "a1"},
            {"ms": START_MS + 1, "interaction_type": "identify", "anonymous_id": "a1",
             "user_id": "u1"},
            {"ms": START_MS + 2, "interaction_type": "demo_booking", "user_id": "u1"},
        ]
    )  # fmt: skip
    steps = (Step(event="page_view"), Step(event="demo_booking"))
    assert [row["users"] for row in answered(Funnel(steps=steps))] == [1, 1]


AB = (Step(event="a"), Step(event="b"))


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"steps": AB[:1]}, "2 to 20"),
        ({"steps": AB * 11}, "2 to 20"),
        ({"steps": AB, "within": 0}, "`within`"),
        ({"steps": AB, "by": ("x",)}, "is no field"),
        ({"steps": AB, "unit": "x"}, "is no field"),
        ({"steps": AB, "exclude": (Exclusion(event="c", after=2),)}, "no step after step 2"),
        ({"steps": AB, "exclude": (Exclusion(event="c"),), "order": "any"}, "ordered steps"),
    ],
)
def test_what_is_no_funnel_is_refused_in_a_sentence(parameters: Row, said: str) -> None:
    with pytest.raises(Rejected, match=said):
        Funnel(**parameters)


def test_times_outside_the_range_do_not_count() -> None:
    fill([{"ms": START_MS + n, "interaction_type": k, "user_id": "u"} for n, k in enumerate("ab")])
    since = datetime.fromtimestamp((START_MS + 1) / 1000, UTC)
    assert [row["users"] for row in answered(Funnel(steps=AB, since=since))] == [0, 0]
