"""Visits, pages, forms and web vitals: both forms against a plain walk through the same rows."""

from __future__ import annotations

import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asked import (
    START_MS,
    Row,
    TwoForms,
    answered_twice,
    fill,
    kept,
    moment_of,
    nearest_rank,
    value_of,
)
from lakeward.analysis.filters import Filter
from lakeward.analysis.forms import FormFields, Forms
from lakeward.analysis.visits import Pages, Visits
from lakeward.analysis.web_vitals import LIMITS, WebVitals
from lakeward.errors import Rejected

many = settings(deadline=None, max_examples=50)
GAP_MS = 10
SINCE = datetime.fromtimestamp((START_MS + 15) / 1000, UTC)
times = st.one_of(
    st.integers(0, 60), st.sampled_from([0, 10, 20, 21, 30, 41, 3_600_000, 86_400_000])
).map(lambda ms: START_MS + ms)
who = {
    "anonymous_id": st.sampled_from(["a1", "a2"]),
    "session_id": st.sampled_from(["s1", "s2"]),
    "user_id": st.sampled_from(["anonymous", "u1"]),
    "path": st.sampled_from(["/a", "/b", "/c"]),
    "device": st.sampled_from(["phone", "laptop"]),
    "bot": st.booleans(),
}
reports = st.lists(
    st.fixed_dictionaries(
        {
            "ms": times,
            "interaction_type": st.sampled_from(["page_view", "page_view", "screen_view", "click"]),
            "properties": st.fixed_dictionaries(
                {},
                optional={
                    "view_id": st.sampled_from(["v1", "v2", "v3"]),
                    "engagement_ms": st.sampled_from([0, 3, 12.5, 40]),
                    "scroll_depth": st.sampled_from([20, 50, 100]),
                },
            ),
        },
        optional=who,
    ),
    max_size=14,
)


def median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None


def seen(made: list[Row], question: Visits | Pages) -> dict[str, list[Row]]:
    """Each visitor's views in order, each the sum of its reports."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for n, row in enumerate(made):
        row = row | {"id": f"0198a000-0000-7000-8000-{n:012x}"}
        visitor = value_of(row, "user_id") or row.get("anonymous_id") or row.get("session_id")
        for told in kept([row], question):
            if visitor and row["interaction_type"] in ("page_view", "screen_view"):
                view = row["properties"].get("view_id") or row["id"]
                found[visitor, view].append(told)
    visitors: dict[str, list[Row]] = defaultdict(list)
    for (visitor, view), rows in found.items():

        def least(name: str, rows: list[Row] = rows) -> Any:
            return min((v for row in rows if (v := value_of(row, name)) is not None), default=None)

        def most(name: str, rows: list[Row] = rows) -> Any:
            return max((v for row in rows if (v := row["properties"].get(name)) is not None),
                       default=None)  # fmt: skip

        visitors[visitor].append(
            {"ms": min(row["ms"] for row in rows), "view": view, "used": most("engagement_ms"),
             "depth": most("scroll_depth"), "path": least("path"), "device": least("device"),
             "visitor": visitor}
        )  # fmt: skip
    for views in visitors.values():
        views.sort(key=lambda view: (view["ms"], view["view"]))
    return visitors


def sat(made: list[Row], question: Visits | Pages) -> Iterator[list[Row]]:
    """The sessions."""
    for views in seen(made, question).values():
        session = [views[0]]
        for view in views[1:]:
            if view["ms"] - session[-1]["ms"] - (session[-1]["used"] or 0) > GAP_MS:
                yield session
                session = []
            session.append(view)
        yield session


def figures(sessions: list[list[Row]]) -> Row:
    lengths = [
        (max(v["ms"] + (v["used"] or 0) for v in session) - session[0]["ms"]) / 1000
        for session in sessions
    ]
    n, views = len(sessions), sum(map(len, sessions))
    return {
        "visitors": len({session[0]["visitor"] for session in sessions}), "sessions": n,
        "views": views, "views_per_session": views / n if n else None,
        "bounce_share": sum(len(s) == 1 for s in sessions) / n if n else None,
        "median_seconds": median(lengths),
    }  # fmt: skip


def same(told: Row, wanted: Row) -> None:
    assert {name: told[name] for name in wanted} == pytest.approx(wanted)


common: dict[str, Any] = {"unit": "visitor", "gap": GAP_MS / 1000}


@many
@given(
    reports, st.sampled_from([None, "hour", "day"]), st.sampled_from([(), ("path",), ("device",)]),
    st.sampled_from([(), ("path",)]), st.sampled_from(["UTC", "Asia/Kolkata"]), st.booleans(),
)  # fmt: skip
def test_visits_are_those_of_a_walk_through_the_views(
    made: list[Row], grain: Any, by: Any, ends: Any, zone: str, cut: bool
) -> None:
    fill(made)
    question = Visits(grain=grain, by=by, ends=ends, zone=zone, since=SINCE if cut else None,
                      **common)  # fmt: skip
    groups: dict[Any, list[list[Row]]] = defaultdict(list)
    for session in sat(made, question):
        start = [session[0][name] for name in by]
        if grain is not None:
            start.insert(0, moment_of(session[0]["ms"], grain, zone))
        groups[*start, *(session[-1][name] for name in ends)].append(session)
    if grain is None and not by and not ends:
        groups.setdefault((), [])
    if grain is not None and groups and not by and not ends:
        begins = [session[0]["ms"] for sessions in groups.values() for session in sessions]
        first = START_MS + 15 if cut else min(begins)
        for ms in (*range(first, max(begins), 1_800_000), max(begins)):
            groups.setdefault((moment_of(ms, grain, zone),), [])
    told = {tuple(row.values())[:-6]: row for row in answered_twice(question)}
    assert told.keys() == groups.keys()
    for key, sessions in groups.items():
        same(told[key], figures(sessions))


@many
@given(reports, st.sampled_from([("path",), ("device", "path"), ()]))
def test_pages_are_told_by_their_views_and_by_where_sessions_begin_and_end(
    made: list[Row], by: Any
) -> None:
    fill(made)
    question = Pages(by=by, **common)
    groups: dict[Any, Counter[str]] = defaultdict(Counter)
    visitors: dict[Any, set[str]] = defaultdict(set)
    used: dict[Any, list[float]] = defaultdict(list)
    depths: dict[Any, list[float]] = defaultdict(list)
    for session in sat(made, question):
        for n, view in enumerate(session):
            key = tuple(view[name] for name in by)
            first, last = n == 0, n == len(session) - 1
            groups[key] += Counter(views=1, entries=first, exits=last, bounces=first and last)
            visitors[key].add(view["visitor"])
            used[key] += [view["used"] / 1000] if view["used"] is not None else []
            depths[key] += [view["depth"]] if view["depth"] is not None else []
    if not by:
        groups.setdefault((), Counter())
    told = {tuple(row.values())[: len(by)]: row for row in answered_twice(question)}
    assert told.keys() == groups.keys()
    for key, counts in groups.items():
        entries, views = counts["entries"], counts["views"]
        same(told[key], {
            "views": views, "visitors": len(visitors[key]), "entries": entries,
            "exits": counts["exits"], "bounces": counts["bounces"],
            "exit_share": counts["exits"] / views if views else None,
            "bounce_share": counts["bounces"] / entries if entries else None,
            "median_seconds": median(used[key]), "median_depth": median(depths[key]),
        })  # fmt: skip


def test_moments_in_which_nobody_came_are_rows_too() -> None:
    day = 86_400_000
    fill([{"anonymous_id": "a", "ms": START_MS + n * day} for n in (0, 3)])
    told = answered_twice(Visits(grain="day"))
    assert [row["visitors"] for row in told] == [1, 0, 0, 1]
    assert told[1]["bounce_share"] is None
    until = datetime.fromtimestamp(START_MS / 1000, UTC) + timedelta(days=5)
    assert len(answered_twice(Visits(grain="day", until=until))) == 6
    assert len(answered_twice(Visits(grain="day", by=("device",)))) == 2


FIELDS = ["name", "email", 'say "x"']
deeds = st.lists(
    st.fixed_dictionaries(
        {
            "ms": times,
            "interaction_type": st.sampled_from(["form_interaction"] * 5 + ["click"]),
            "properties": st.fixed_dictionaries(
                {"form": st.sampled_from(["f", "g"]),
                 "action": st.sampled_from(["start", "field", "error", "submit", "abandon"])},
                optional={
                    "field": st.sampled_from(FIELDS), "field_index": st.integers(0, 2),
                    "field_ms": st.sampled_from([5, 900]), "changes": st.integers(0, 2),
                    "duration_ms": st.sampled_from([1000, 2500]),
                    "field_order": st.lists(st.sampled_from(FIELDS), unique=True),
                },
            ),
        },
        optional=who,
    ),
    max_size=14,
)  # fmt: skip
RANK = {"start": 0, "field": 1, "error": 2, "submit": 3, "abandon": 3}


def attempts(made: list[Row], question: Forms | FormFields) -> Iterator[list[Row]]:
    """What each did with each form, cut where an attempt begins."""
    lines: dict[Any, list[Row]] = defaultdict(list)
    for n, row in enumerate(made):
        visitor = row.get("session_id") or value_of(row, "user_id") or row.get("anonymous_id")
        for told in kept([row], question):
            if visitor and row["interaction_type"] == "form_interaction":
                lines[visitor, row["properties"]["form"], row.get("path", "")].append(
                    told | row["properties"] | {"n": n}
                )
    for line in lines.values():
        line.sort(key=lambda row: (row["ms"], RANK[row["action"]], row["n"]))
        found: list[Row] = []
        for row in line:
            if found and (row["action"] == "start" or found[-1]["action"] in ("submit", "abandon")):
                yield found
                found = []
            found.append(row)
        yield found


def first(rows: list[Row], name: str) -> Any:
    return next((v for row in rows if (v := row.get(name)) is not None), None)


@many
@given(deeds, st.sampled_from([(), ("device",)]), st.booleans())
def test_forms_are_told_by_attempts_and_where_they_stop(
    made: list[Row], by: Any, cut: bool
) -> None:
    fill(made)
    question = Forms(by=by, since=SINCE if cut else None)
    groups: dict[Any, list[list[Row]]] = defaultdict(list)
    for attempt in attempts(made, question):
        groups[attempt[0]["form"], *(first(attempt, name) for name in by)].append(attempt)
    told = {tuple(row.values())[: 1 + len(by)]: row for row in answered_twice(question)}
    assert told.keys() == groups.keys()
    for key, found in groups.items():
        done = [{row["action"] for row in attempt} for attempt in found]
        n, sent = len(found), sum("submit" in each for each in done)
        given_up = sum("abandon" in each and "submit" not in each for each in done)
        ended = [
            [
                r["duration_ms"] / 1000
                for r in attempt
                if r["action"] == "submit" and "duration_ms" in r
            ]
            for attempt in found
        ]
        lengths = [max(seconds) for seconds in ended if seconds]
        stops = Counter(first(a[::-1], "field") for a, each in zip(found, done, strict=True)
                        if "submit" not in each)  # fmt: skip
        stops.pop(None, None)
        most = min(stops, key=lambda field: (-stops[field], field), default=None)
        refused = sum("error" in each for each in done)
        same(told[key], {
            "attempts": n, "submitted": sent, "abandoned": given_up, "open": n - sent - given_up,
            "submitted_share": sent / n, "refused": refused, "refused_share": refused / n,
            "median_seconds": median(lengths), "stops_most_at": most,
        })  # fmt: skip


@many
@given(deeds, st.sampled_from([(), ("device",)]), st.sampled_from([None, "f"]))
def test_each_field_of_a_form_says_who_used_it_and_who_stopped_there(
    made: list[Row], by: Any, form: str | None
) -> None:
    fill(made)
    question = FormFields(by=by, form=form)
    wanted: dict[Any, Counter[str]] = defaultdict(Counter)
    began: Counter[Any] = Counter()
    unsent: Counter[Any] = Counter()
    left: dict[Any, list[Row]] = defaultdict(list)
    all_of = [a for a in attempts(made, question) if form is None or a[0]["form"] == form]
    named = {(row["form"], row["field"]) for a in all_of for row in a if "field" in row}
    for attempt in all_of:
        key = (attempt[0]["form"], *(first(attempt, name) for name in by))
        sent = any(row["action"] == "submit" for row in attempt)
        began[key] += 1
        unsent[key] += not sent
        told = {row["field"] for row in attempt if "field" in row}
        # what several ends list is that of the greatest text, as the SQL takes it
        listed = max((json.dumps(row["field_order"]) for row in attempt if "field_order" in row),
                     default="")  # fmt: skip
        used = told | {f for g, f in named if g == key[0] and f'"{f}"' in listed}
        for field in used:
            refused = any(r["action"] == "error" and r.get("field") == field for r in attempt)
            wanted[*key, field] += Counter(reached=1, refused=refused)
        if not sent:
            wanted[*key, first(attempt[::-1], "field")]["stopped"] += 1
        for row in attempt:
            if row["action"] == "field" and "field" in row:
                left[*key, row["field"]].append(row)
    told_rows = {tuple(row.values())[: 2 + len(by)]: row for row in answered_twice(question)}
    assert told_rows.keys() == wanted.keys()
    for key, counts in wanted.items():
        rows, of = left[key], key[:-1]
        changes = [row["changes"] for row in rows if "changes" in row]
        same(told_rows[key], {
            "attempts": began[of], "reached": counts["reached"], "stopped": counts["stopped"],
            "reached_share": counts["reached"] / began[of], "refused": counts["refused"],
            "stopped_share": counts["stopped"] / unsent[of] if unsent[of] else None,
            "place": min((r["field_index"] for r in rows if "field_index" in r), default=None),
            "median_seconds": median([r["field_ms"] / 1000 for r in rows if "field_ms" in r]),
            "changes": statistics.mean(changes) if changes else None,
        })  # fmt: skip


vitals = st.lists(
    st.fixed_dictionaries(
        {
            "ms": times,
            "interaction_type": st.sampled_from(["web_vital", "web_vital", "click"]),
            "properties": st.fixed_dictionaries(
                {"name": st.sampled_from([*LIMITS, "FID"]),
                 "value": st.sampled_from([0, 0.1, 0.11, 0.25, 0.3, 200, 500.5, 2500, 4000, 9e3])},
                optional={"metric_id": st.sampled_from(["m1", "m2", "m3"])},
            ),
        },
        optional={"path": st.sampled_from(["/a", "/b"]), "bot": st.booleans()},
    ),
    max_size=20,
)  # fmt: skip


@many
@given(vitals, st.sampled_from([(), ("path",)]))
def test_web_vitals_are_of_the_last_report_and_rated_by_the_published_limits(
    made: list[Row], by: Any
) -> None:
    fill(made)
    question = WebVitals(by=by)
    last: dict[str, Row] = {}
    for n, row in enumerate(made):
        for told in kept([row], question):
            if row["interaction_type"] == "web_vital" and told["properties"]["name"] in LIMITS:
                key = told["properties"].get("metric_id", str(n))
                if key not in last or told["ms"] >= last[key]["ms"]:
                    last[key] = told
    groups: dict[Any, list[float]] = defaultdict(list)
    for row in last.values():
        groups[row["properties"]["name"], *(row.get(name) for name in by)].append(
            row["properties"]["value"]
        )
    told_rows = answered_twice(question)
    found = {tuple(row.values())[: 1 + len(by)]: row for row in told_rows}
    assert found.keys() == groups.keys()
    assert [row["vital"] for row in told_rows] == sorted(
        (row["vital"] for row in told_rows), key=list(LIMITS).index
    )
    for key, values in groups.items():
        good_up_to, poor_above = LIMITS[key[0]]
        p75 = nearest_rank(values, 0.75) or 0.0
        good, poor = (sum(v <= good_up_to for v in values), sum(v > poor_above for v in values))
        n = len(values)
        same({**found[key], "rating": 0}, {
            "measured": n, "p75": p75, "good": good, "poor": poor,
            "needs_improvement": n - good - poor, "good_share": good / n, "poor_share": poor / n,
            "needs_improvement_share": (n - good - poor) / n, "good_up_to": good_up_to,
            "poor_above": poor_above,
        })  # fmt: skip
        rating = ("good" if p75 <= good_up_to else "needs-improvement" if p75 <= poor_above
                  else "poor")  # fmt: skip
        assert found[key]["rating"] == rating


def test_a_report_on_leaving_is_no_other_view_and_makes_the_visit_as_long_as_it_was() -> None:
    place = {"anonymous_id": "a", "session_id": "s", "interaction_type": "page_view"}
    minute = 60_000
    fill([
        {**place, "ms": START_MS, "path": "/read", "properties": {"view_id": "v"}},
        {**place, "ms": START_MS + 50 * minute, "path": "/read",
         "properties": {"view_id": "v", "engagement_ms": 40 * minute, "scroll_depth": 80}},
        {**place, "ms": START_MS + 60 * minute, "path": "/next", "properties": {"view_id": "w"}},
    ])  # fmt: skip
    [visit] = answered_twice(Visits())
    assert (visit["views"], visit["sessions"], visit["median_seconds"]) == (2, 1, 3600)
    read = next(row for row in answered_twice(Pages()) if row["path"] == "/read")
    assert (read["views"], read["entries"], read["exits"]) == (1, 1, 0)
    assert (read["median_seconds"], read["median_depth"]) == (2400, 80)


def test_who_asked_not_to_be_known_is_a_visitor_by_the_session() -> None:
    fill([{"session_id": s, "ms": START_MS + n} for n, s in enumerate(("s1", "s1", "s2"))])
    assert [row["visitors"] for row in answered_twice(Visits())] == [2]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Visits(by=("day",)), "take it as `grain`"),
        (lambda: Visits(limit=0), "`limit`"),
        (lambda: Pages(by=("path", "path")), "different fields"),
        (lambda: Forms(limit=10_001), "`limit`"),
        (lambda: FormFields(by=("mood",)), "'mood' is no field"),
        (lambda: WebVitals(limit=0), "`limit`"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(make: Any, message: str) -> None:
    with pytest.raises(Rejected, match=message):
        make()


ASKED: list[TwoForms] = [Visits(), Pages(), Forms(), FormFields(), WebVitals()]


def test_filters_and_the_teams_own_traffic_hold_of_all_of_them() -> None:
    kinds = {"page_view": {}, "form_interaction": {"form": "f", "action": "start"},
             "web_vital": {"name": "LCP", "value": 1}}  # fmt: skip
    fill([
        {"interaction_type": kind, "properties": told, "session_id": f"{n}", "device": device,
         **({"user_type": "staff"} if n == 3 else {})}
        for kind, told in kinds.items()
        for n, device in enumerate(("phone", "phone", "laptop", "phone"))
    ])  # fmt: skip
    where = Filter(field="device", values=("phone",))
    wanted = {"visits": 2, "pages": 2, "forms": 2, "form_fields": 2, "web_vitals": 2}
    for question in ASKED:
        [row] = answered_twice(type(question)(where=where))  # type: ignore[call-arg]  # all take it
        first_count = next(v for v in row.values() if isinstance(v, int))
        assert first_count == wanted[question.name]
