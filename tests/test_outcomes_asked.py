"""Outcomes and partners: each figure against a plain reading of the views, and the command."""

from __future__ import annotations

import io
import json
import sys
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asked import START_MS, Row, answered, fill, memory, moment_of, nearest_rank
from conftest import Lake
from lakeward.analysis.outcomes import Outcomes, PartnerPerformance
from lakeward.analysis.partner_figures import PartnerFigures
from lakeward.analysis.question import portable
from lakeward.cli import main
from lakeward.errors import Rejected
from tries import tries

many = settings(deadline=None, max_examples=tries(8))
DAY_MS = 86_400_000
who = {
    "ms": st.integers(0, 9).map(lambda n: START_MS + n * DAY_MS // 3),
    "user_id": st.sampled_from(["u1", "u2", "anonymous"]),
    "partner_id": st.sampled_from(["p1", "p2", None]),
    "service": st.sampled_from([None, "app", "app"]),
}


def _told(kind: str, **own: Any) -> st.SearchStrategy[Row]:
    outcome = st.fixed_dictionaries({}, optional=own)
    return st.fixed_dictionaries(
        {**who, "interaction_type": st.just(kind), "outcomes": outcome}
    )  # fmt: skip


told = st.lists(
    _told("partner_match", score=st.integers(0, 100))
    | _told(
        "demo_booking", booking_id=st.sampled_from(["b1", "b2"]),
        status=st.sampled_from(["booked", "held", "held", "no_show", "cancelled"]),
        source=st.sampled_from(["match", "mail"]),
    )
    | _told(
        "deal_closed", deal_id=st.just("d1"), value=st.integers(0, 9),
        currency=st.sampled_from(["USD", "EUR"]), deal_type=st.sampled_from(["new", "renewal"]),
        satisfaction=st.integers(1, 10), days_to_close=st.integers(0, 50),
    )
    | st.fixed_dictionaries({
        **who, "interaction_type": st.just("feedback_submission"),
        "feedback": st.sampled_from([{}, {"overall": 4}, {"overall": 9}]),
    })
    | st.fixed_dictionaries({
        **who, "interaction_type": st.just("partner_onboarding"),
        "outcomes": st.sampled_from([
            {"status": "started", "steps_completed": 0, "steps_total": 4}, {"status": "completed"},
        ]),
    }),
    max_size=12,
)  # fmt: skip


def view(name: str) -> list[Row]:
    """The rows of a view (proven in test_outcome_views)."""
    cursor = memory().execute(f'SELECT * FROM "{name}"')
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _things(made: list[Row]) -> list[Row]:
    """Every match, booking, deal and piece of feedback with its dimensions, read plainly."""
    booked = view("bookings")
    things = []
    for row in view("matches"):
        mine = [b for b in booked if b["match_interaction_id"] == row["interaction_id"]]
        mine.sort(key=lambda b: (b["first_at"], b["booking_id"], b["service"] is None))
        source = mine[0]["source"] if mine else None
        things.append(row | {"kind": "match", "at": row["matched_at"], "source": source})
    things += [row | {"kind": "booking", "at": row["first_at"]} for row in booked]
    for row in view("deals"):
        found = [
            b["source"] for b in booked
            if (b["service"], b["booking_id"]) == (row["service"], row["booking_id"])
        ]  # fmt: skip
        source = found[0] if found else None
        things.append(row | {"kind": "deal", "at": row["closed_at"], "source": source})
    for row in made:
        if row["interaction_type"] == "feedback_submission":
            at = datetime.fromtimestamp(row["ms"] / 1000, UTC)
            things.append(row | {"kind": "feedback", "at": at})
        if row["interaction_type"] == "partner_onboarding":
            at = datetime.fromtimestamp(row["ms"] / 1000, UTC)
            things.append(row | {"kind": "onboarding", "at": at})
    return things


def _dimension(thing: Row, name: str, zone: str) -> Any:
    if name in ("day", "week", "month"):
        found = moment_of(round(thing["at"].timestamp() * 1000), name, zone)
        return found.date() if isinstance(found, datetime) else found
    if name in ("deal_type", "currency") and thing["kind"] != "deal":
        return None
    return thing.get({"partner": "partner_id"}.get(name, name))


def _rate(hits: int, of: int) -> float | None:
    return hits / of if of else None


def _figures(things: list[Row]) -> Row:
    kinds = defaultdict(list)
    for thing in things:
        kinds[thing["kind"]].append(thing)
    matches, bookings, deals = kinds["match"], kinds["booking"], kinds["deal"]
    held = sum(b["status"] == "held" for b in bookings)
    missed = sum(b["status"] == "no_show" for b in bookings)
    won = sum(m["deals"] > 0 for m in matches)
    booked = sum(m["booked_at"] is not None for m in matches)
    money = {d["currency"] for d in deals}
    worth = [d["value"] for d in deals if d["value"] is not None]
    took = [d["days_from_match"] for d in deals if d["days_from_match"] is not None]
    told_ = [d["days_to_close"] for d in deals if d["days_to_close"] is not None]
    stars = [d["satisfaction"] for d in deals if d["satisfaction"] is not None]
    return {
        "matches": len(matches), "booked": booked, "booked_rate": _rate(booked, len(matches)),
        "held": sum(m["held_at"] is not None for m in matches), "won": won,
        "won_rate": _rate(won, len(matches)), "bookings": len(bookings), "demos_held": held,
        "no_shows": missed, "cancelled": sum(b["status"] == "cancelled" for b in bookings),
        "no_show_rate": _rate(missed, held + missed), "deals": len(deals),
        "currencies": len(money), "revenue": sum(worth) if len(money) == 1 and worth else None,
        "revenue_currency": next(iter(money)) if len(money) == 1 else None,
        "timed_deals": len(took), "days_p50": nearest_rank(took, 0.5),
        "days_p90": nearest_rank(took, 0.9), "told_days_p50": nearest_rank(told_, 0.5),
        "rated_deals": len(stars), "satisfaction": sum(stars) / len(stars) if stars else None,
    }  # fmt: skip


def _of_partner(things: list[Row]) -> Row:
    matches = [thing for thing in things if thing["kind"] == "match"]
    scores = [m["score"] for m in matches if m["score"] is not None]
    given_ = [t["feedback"].get("overall") for t in things if t["kind"] == "feedback"]
    stars = [overall for overall in given_ if overall is not None]
    joining = [(t["at"], t["outcomes"]["status"]) for t in things if t["kind"] == "onboarding"]
    return {
        "onboarding": max(joining)[1] if joining else None,
        "contractors": len({m["person"] for m in matches} - {None}),
        "mean_score": sum(scores) / len(scores) if scores else None,
        "feedbacks": len(stars), "mean_feedback": sum(stars) / len(stars) if stars else None,
        "last_at": max(thing["at"] for thing in things),
    }  # fmt: skip


def _same(got: Row, expected: Row) -> None:
    for name, value in expected.items():
        close = pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
        assert got[name] == close, name


BY = ("partner", "service", "source", "deal_type", "currency", "day", "week", "month")
spans = {
    "since": st.none() | st.just(datetime.fromtimestamp(START_MS / 1000 + 86_400, UTC)),
    "until": st.none() | st.just(datetime.fromtimestamp(START_MS / 1000 + 3 * 86_400, UTC)),
    "zone": st.sampled_from(["UTC", "Asia/Kolkata"]),
    "only": st.sampled_from([{}, {"partner": ("p1", "no")}, {"source": ("match",)}]),
}


def _counted(question: Outcomes, made: list[Row]) -> list[Row]:
    kept = []
    for thing in _things(made):
        if thing["kind"] not in question.things:
            continue
        if question.since is not None and thing["at"] < question.since:
            continue
        if question.until is not None and thing["at"] >= question.until:
            continue
        if all(str(_dimension(thing, n, "UTC")) in v for n, v in question.only.items()):
            kept.append(thing)
    return kept


@many
@given(told, st.lists(st.sampled_from(BY), max_size=2, unique=True).map(tuple),
       st.fixed_dictionaries(spans))  # fmt: skip
def test_outcomes_are_those_of_a_plain_reading(
    made: list[Row], by: tuple[str, ...], asked: dict[str, Any]
) -> None:
    fill(made)
    question = Outcomes(by=by, **asked)
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for thing in _counted(question, made):
        groups[tuple(_dimension(thing, name, question.zone) for name in by)].append(thing)
    if not by and not groups:
        groups[()] = []
    got = {tuple(row[name] for name in by): row for row in answered(question)}
    assert got.keys() == groups.keys()
    for key, things in groups.items():
        _same(got[key], _figures(things))


@many
@given(told, st.fixed_dictionaries(spans))
def test_partners_do_as_a_plain_reading_says(made: list[Row], asked: dict[str, Any]) -> None:
    fill(made)
    question = PartnerPerformance(**asked)
    groups: dict[str, list[Row]] = defaultdict(list)
    for thing in _counted(question, made):
        if thing["partner_id"] is not None:
            groups[thing["partner_id"]].append(thing)
    got = answered(question)
    assert {row["partner"] for row in got} == groups.keys()
    for row in got:
        _same(row, _figures(groups[row["partner"]]) | _of_partner(groups[row["partner"]]))
    places = [(-row["deals"], -row["won"], -row["matches"], row["partner"]) for row in got]
    assert places == sorted(places)


def _newest(rows: list[Row], name: Any) -> list[Row]:
    """Of rows that are called the same, the one that came last."""
    found: dict[Any, Row] = {}
    for row in sorted(rows, key=lambda row: (row["ms"], row["interaction_id"])):
        found[name(row)] = row
    return list(found.values())


def _own(rows: list[Row]) -> Row:
    """What records say of a partner; each has its day, and the newest word on it counts."""
    kinds = defaultdict(list)
    for row in rows:
        kinds[row["interaction_type"]].append(row)
    held = {
        status: len([r for r in kinds["demo_booking"] if r["outcomes"].get("status") == status])
        for status in ("booked", "held", "no_show", "cancelled")
    }
    deals = kinds["deal_closed"]
    money = {d["outcomes"].get("currency") for d in deals}
    worth = [d["outcomes"]["value"] for d in deals if "value" in d["outcomes"]]
    stars = [f["feedback"]["overall"] for f in kinds["feedback_submission"] if f["feedback"]]
    joining = [r["outcomes"] for r in kinds["partner_onboarding"]]
    return {
        "matches": len(kinds["partner_match"]),
        "visitors": len({r["user_id"] for r in kinds["partner_match"]} - {"anonymous"}),
        **held, "deals": len(deals), "currencies": len(money),
        "revenue": sum(worth) if len(money) == 1 and worth else None,
        "revenue_currency": next(iter(money)) if len(money) == 1 else None,
        "feedbacks": len(stars), "mean_feedback": sum(stars) / len(stars) if stars else None,
        "onboarding": max((j["status"] for j in joining), default=None),
        "steps_total": max((j["steps_total"] for j in joining if "steps_total" in j), default=None),
    }  # fmt: skip


def _called(row: Row) -> tuple[Any, ...]:
    kind, own = row["interaction_type"], row.get("outcomes", {})
    common = (kind, row["partner_id"], row["service"])
    if kind == "demo_booking":
        return (*common, own.get("status"), own.get("booking_id") or row["interaction_id"])
    if kind == "deal_closed":
        return (*common, own.get("deal_id") or row["interaction_id"])
    return common if kind == "partner_onboarding" else (*common, row["interaction_id"])


@many
@given(told, st.sampled_from([("partner_id",), ("day", "partner_id"), (), ("partner_id",
       "currency")]), st.sampled_from(["UTC", "Asia/Kolkata"]))  # fmt: skip
def test_a_partners_own_records_are_counted_as_a_plain_reading_counts_them(
    made: list[Row], by: tuple[str, ...], zone: str
) -> None:
    rows = [row | {"interaction_id": f"{n:04d}"} for n, row in enumerate(made)]
    fill(rows)
    question = PartnerFigures(by=by, zone=zone)
    kept = _newest([row for row in rows if row["partner_id"] is not None], _called)

    def dimension(row: Row, name: str) -> Any:
        if name == "currency":
            deal = row["interaction_type"] == "deal_closed"
            return row["outcomes"].get("currency") if deal else None
        if name == "partner_id":
            return row["partner_id"]
        found = moment_of(row["ms"], name, zone)
        return found.date() if isinstance(found, datetime) else found

    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in kept:
        groups[tuple(dimension(row, name) for name in by)].append(row)
    if not by and not groups:
        groups[()] = []
    got = answered(question)
    form = portable(question)
    assert question.finish(memory().execute(form.text, dict(form.parameters)).fetchall()) == [
        tuple(row.values()) for row in got
    ]
    assert {tuple(row[name] for name in by) for row in got} == groups.keys()
    for row in got:
        things = groups[tuple(row[name] for name in by)]
        _same(row, _own(things))


def test_over_time_the_days_without_anything_are_rows_too() -> None:
    fill([_deal(0, value=1, currency="USD"), _deal(2 * DAY_MS, value=2, currency="USD")])
    day = datetime.fromtimestamp(START_MS / 1000, UTC).date()
    since = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=1)
    question = PartnerFigures(by=("day",), since=since, until=since + timedelta(days=4))
    rows = answered(question)
    assert [(row["day"], row["deals"], row["revenue"]) for row in rows] == [
        (day - timedelta(days=1), 0, None), (day, 1, 1.0), (day + timedelta(days=1), 0, None),
        (day + timedelta(days=2), 1, 2.0),
    ]  # fmt: skip
    assert rows[0]["onboarding"] is None
    assert rows[0]["steps_done"] is None


def _deal(n: int, **own: Any) -> Row:
    return {"interaction_type": "deal_closed", "ms": START_MS + n, "partner_id": "p1",
            "user_id": "u1", "outcomes": own}  # fmt: skip


def test_money_of_two_currencies_is_never_added() -> None:
    fill([_deal(0, value=1, currency="USD"), _deal(1, value=2, currency="EUR"),
          _deal(2, value=4, currency="EUR"), _deal(3, value=8)])  # fmt: skip
    [row] = answered(Outcomes())
    assert (row["deals"], row["currencies"], row["revenue"]) == (4, 3, None)
    found = {row["currency"]: row["revenue"] for row in answered(Outcomes(by=("currency",)))}
    assert found == {"USD": 1, "EUR": 6, None: 8}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Outcomes(by=("mood",)), "is no dimension here"),
        (lambda: Outcomes(only={"mood": ("a",)}), "is no dimension here"),
        (lambda: Outcomes(zone="Mars"), "is no time zone"),
        (lambda: PartnerPerformance(by=("day",)), "must have `partner`"),
    ],
)
def test_what_cannot_be_asked_of_outcomes_is_refused(make: Any, said: str) -> None:
    with pytest.raises(Rejected, match=said):
        make()


# The command


@pytest.fixture
def asked(lake: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `lakeward outcomes` on a lake of two partners; gives exit code, stdout and stderr."""
    collector = lake.collector()
    for partner in ("p1", "p2"):
        common = {"user_id": "u1", "partner_id": partner}
        day = "2026-09-{:02}T09:00:00Z".format
        collector.record("partner_match", **common, timestamp=day(1))
        collector.record("demo_booking", **common, status="held", timestamp=day(5))
        currency = "USD" if partner == "p1" else "EUR"
        collector.record(
            "deal_closed", **common, value=5.0, currency=currency, timestamp=day(11)
        )  # fmt: skip
    collector.commit()

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
        for name, value in lake.env.items():
            monkeypatch.setenv(name, value)
        code = main(("outcomes", *words))
        return code, *capsys.readouterr()

    return run


def test_the_command_tells_of_outcomes_and_of_partners(asked: Any) -> None:
    code, out, err = asked("--format", "json")
    [row] = json.loads(out)
    assert code == 0
    assert (row["matches"], row["held_rate"], row["deals"], row["revenue"]) == (2, 1, 2, None)
    assert "several currencies are not added" in err
    _, out, err = asked("--partners", "--format", "json")
    rows = {row["partner"]: row for row in json.loads(out)}
    assert (rows["p1"]["revenue"], rows["p1"]["revenue_currency"]) == (5, "USD")
    assert (rows["p2"]["days_p50"], err) == (10, "")
    _, out, _ = asked("--by", "month,partner", "--only", "partner=p2", "--format", "json")
    [row] = json.loads(out)
    assert (row["month"], row["partner"]) == (str(date(2026, 9, 1)), "p2")
    code, out, err = asked("--by", "mood")
    assert (code, out) == (2, "")
    assert "is no dimension here" in err
