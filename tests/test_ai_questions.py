"""Questions about AI turns: each against a plain reading, and what cannot be asked."""

from __future__ import annotations

import functools
import json
import math
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Lake
from lakeward.analysis.ai_cost import AiCost, Outcome
from lakeward.analysis.ai_health import AiErrors, AiLatency
from lakeward.analysis.ai_ratings import AiRatings
from lakeward.analysis.ai_threads import AiThread, AiThreads
from lakeward.analysis.listing import SHOWN
from lakeward.analysis.question import Question, ask
from lakeward.analysis.registry import QUESTIONS, question_of
from lakeward.catalog import TYPES
from lakeward.catalog.ai import TOKEN_BUCKETS
from lakeward.errors import Rejected, Terminal
from lakeward.interaction import iso
from lakeward.lake import derived
from lakeward.lake.columns import COLUMNS
from lakeward.lake.reading import open_reading
from lakeward.settings import load
from tries import tries

START_MS = 1_755_187_888_000
STEP_MS = 9 * 3_600_000
"""Between two moments of a test: a few of them are several days."""
Row = dict[str, Any]
many = settings(deadline=None, max_examples=tries(25))


@functools.cache
def memory() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(config={"threads": 1})
    con.execute("SET TimeZone = 'UTC'")
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    con.execute(f"CREATE TABLE interactions ({columns})")
    for name in TYPES:
        con.execute(
            f"CREATE VIEW \"{name}\" AS FROM interactions WHERE interaction_type = '{name}'"
        )
    derived.create(con)
    return con


NAMES = ("interaction_id", "timestamp", "interaction_type", "service", "conversation_id",
         "parent_interaction_id", "user_id", "anonymous_id", "session_id", "partner_id",
         "error_type", "ai_metadata", "outcomes")  # fmt: skip


def fill(rows: list[Row]) -> None:
    con = memory()
    con.execute("DELETE FROM interactions")
    if rows:
        con.executemany(
            f"INSERT INTO interactions ({', '.join(NAMES)}) VALUES "
            "(?, ?::TIMESTAMPTZ, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [[row.get(name) for name in NAMES] for row in rows],
        )


def answered(question: Question) -> list[Row]:
    """The rows of a question to the filled table; their columns are those that it promises."""
    statement = question.sql()
    cursor = memory().execute(statement.text, dict(statement.parameters))
    names = [column[0] for column in cursor.description or []]
    assert names == [column.name for column in question.columns()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def ms(at: int) -> int:
    return START_MS + at * STEP_MS


def turn(at: int, user: str, visitor: str | None, session: str | None, own: Row) -> Row:
    told = {name: value for name, value in own.items() if value is not None}
    return {"at": at, "timestamp": iso(ms(at)), "interaction_type": "ai_conversation",
            "user_id": user, "anonymous_id": visitor, "session_id": session,
            "conversation_id": told.pop("conversation", None), "own": told,
            "service": told.pop("service", None),
            "ai_metadata": json.dumps(told), "outcomes": None}  # fmt: skip


def other(
    kind: str, at: int, user: str, visitor: str | None, session: str | None, own: Row
) -> Row:  # fmt: skip
    return {"at": at, "timestamp": iso(ms(at)), "interaction_type": kind, "user_id": user,
            "anonymous_id": visitor, "session_id": session, "own": own,
            "service": own.get("service"),
            "outcomes": json.dumps({k: v for k, v in own.items() if v is not None})}  # fmt: skip


def numbered(rows: list[Row]) -> list[Row]:
    return [r | {"interaction_id": f"{n:04d}"} for n, r in enumerate(rows)]


AT = st.integers(0, 9)
USER = st.sampled_from(["u1", "u2", "anonymous"])
VISITOR = st.sampled_from([None, "a1"])
SESSION = st.sampled_from([None, "s1", "s2"])
OWN = st.fixed_dictionaries({
    "model_answered": st.sampled_from([None, "m1", "m2"]), "feature": st.sampled_from(["f", None]),
    "provider": st.just("p"),
    "conversation": st.sampled_from([None, "c1", "c2"]), "service": st.sampled_from([None, "web"]),
    "status": st.sampled_from([None, "completed", "failed", "refused", "cancelled"]),
    "input_tokens": st.sampled_from([None, 3]), "cache_read_tokens": st.sampled_from([None, 5]),
    "total_tokens": st.sampled_from([None, None, 11]),
    "tokens_source": st.sampled_from([None, "reported", "estimated"]),
    "cost_usd": st.sampled_from([None, 0.5, 0.25]),
    "time_to_first_token_ms": st.sampled_from([None, 1, 2.5, 7]),
    "duration_ms": st.none() | st.integers(0, 40),
})  # fmt: skip
TURN = st.builds(turn, AT, USER, VISITOR, SESSION, OWN)
OUTCOME = st.builds(
    other, st.just("demo_booking"), AT, USER, VISITOR, SESSION,
    st.fixed_dictionaries({"booking_id": st.sampled_from(["b1", "b2", None]),
                           "service": st.sampled_from([None, None, "web"]),
                           "status": st.sampled_from(["booked", "held"])}),
) | st.builds(
    other, st.just("deal_closed"), AT, USER, VISITOR, SESSION,
    st.fixed_dictionaries({"deal_id": st.sampled_from(["d1", None]),
                           "service": st.sampled_from([None, "web"])}),
)  # fmt: skip
IDENTIFY = st.builds(other, st.just("identify"), AT, USER, st.just("a1"), SESSION, st.just({}))
TURNS = st.lists(TURN, max_size=8).map(numbered)
ROWS = st.lists(TURN | TURN | OUTCOME | IDENTIFY, max_size=10).map(numbered)


# The plain reading


def of(r: Row, name: str, zone: str = "UTC") -> Any:
    own = r["own"]
    match name:
        case "hour":
            local = datetime.fromtimestamp(ms(r["at"]) / 1000, ZoneInfo(zone))
            return local.replace(minute=0, second=0, microsecond=0)
        case "day":
            return datetime.fromtimestamp(ms(r["at"]) / 1000, ZoneInfo(zone)).date()
        case "model":
            return own.get("model_answered")
        case "user":
            return None if r["user_id"] == "anonymous" else r["user_id"]
        case "conversation":
            return r["conversation_id"]
        case "service":
            return r["service"]
    return own.get(name)


def split(rows: list[Row], by: tuple[str, ...], zone: str = "UTC") -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = {}
    for r in rows:
        if r["interaction_type"] == "ai_conversation":
            found.setdefault(tuple(of(r, name, zone) for name in by), []).append(r)
    return found


def total(r: Row) -> int | None:
    buckets = [r["own"][name] for name in TOKEN_BUCKETS if name in r["own"]]
    known: int | None = r["own"].get("total_tokens", sum(buckets) if buckets else None)
    return known


def added(rows: list[Row], name: str) -> float | None:
    values = [r["own"][name] for r in rows if name in r["own"]]
    return sum(values) if values else None


def costs(rows: list[Row]) -> Row:
    known = [r for r in rows if total(r) is not None]
    estimated = [r for r in known if r["own"].get("tokens_source") == "estimated"]
    priced = [r for r in rows if "cost_usd" in r["own"]]
    return {
        "turns": len(rows),
        **{name: (added(rows, name) or 0) if known else None for name in TOKEN_BUCKETS},
        "total_tokens": sum(total(r) or 0 for r in known) if known else None,
        "unknown_turns": len(rows) - len(known),
        "estimated_share": len(estimated) / len(known) if known else None,
        "cost_usd": added(rows, "cost_usd"), "input_cost_usd": None, "output_cost_usd": None,
        "unpriced_turns": sum(
            "cost_usd" not in r["own"]
            and ((total(r) or 0) > 0 or r["own"].get("status") != "failed")
            for r in rows
        ),
        "conversations": len({talk(r) for r in rows}),
        "cost_per_conversation_usd": None if not priced else (
            (added(rows, "cost_usd") or 0) / len({talk(r) for r in priced})
        ),
    }  # fmt: skip


def talk(r: Row) -> tuple[Any, Any]:
    return r["service"], r["conversation_id"] or r["interaction_id"]


BYS = st.sampled_from([(), ("day",), ("model",), ("model", "feature"), ("user", "day"),
                       ("conversation",), ("status", "service"), ("hour", "model")])  # fmt: skip


@many
@given(rows=TURNS, by=BYS, zone=st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata"]))
def test_cost_and_tokens_are_those_of_a_plain_reading(
    rows: list[Row], by: tuple[str, ...], zone: str
) -> None:
    fill(rows)
    expected = {key: costs(found) for key, found in split(rows, by, zone).items()}
    got = {tuple(r.pop(name) for name in by): r for r in answered(AiCost(by=by, zone=zone))}
    assert got == expected


@many
@given(rows=TURNS, since=AT, until=AT, model=st.sampled_from([("m1",), ("m1", "m2"), ("no",)]))
def test_times_and_filters_choose_the_turns(
    rows: list[Row], since: int, until: int, model: tuple[str, ...]
) -> None:
    fill(rows)
    if since >= until:
        since, until = until, since + 1
    moments = [datetime.fromtimestamp(ms(at) / 1000, UTC) for at in (since, until)]
    chosen = [r for r in rows if since <= r["at"] < until and of(r, "model") in model]
    question = AiCost(since=moments[0], until=moments[1], only={"model": model})
    assert sum(r["turns"] for r in answered(question)) == len(chosen)


def persons(rows: list[Row]) -> dict[str, str | None]:
    """Who each row is of, as `stitched` says (proven in test_identity)."""
    found = memory().execute("SELECT interaction_id, person FROM stitched").fetchall()
    return dict(found)


def happened(rows: list[Row], per: Outcome, person: dict[str, str | None]) -> list[Row]:
    """Outcomes: of which app and whom, and when."""
    kind, key = ("deal_closed", "deal_id") if per == "deal_closed" else ("demo_booking",
                                                                          "booking_id")  # fmt: skip
    told: dict[tuple[Any, str], list[Row]] = {}
    for r in sorted(rows, key=lambda r: (r["at"], r["interaction_id"])):
        if r["interaction_type"] == kind:
            name = r["service"], r["own"].get(key) or r["interaction_id"]
            told.setdefault(name, []).append(r)
    found = []
    for name, said in told.items():
        counted = [r for r in said if r["own"]["status"] == "held"] if per == "demo_held" else said
        who = [p for r in said if (p := person[r["interaction_id"]]) is not None]
        if counted and who:
            found.append({"id": name, "at": counted[0]["at"], "person": who[0]})
    return found


@many
@given(
    rows=ROWS, by=st.sampled_from([(), ("model",), ("day", "model")]),
    per=st.sampled_from(["demo_booked", "demo_held", "deal_closed"]),
    within=st.sampled_from([0.75, 2.0, 30.0]),
)  # fmt: skip
def test_the_cost_of_an_outcome_is_that_of_the_turns_of_its_person_before_it(
    rows: list[Row], by: tuple[str, ...], per: Outcome, within: float
) -> None:
    fill(rows)
    person = persons(rows)
    sessions: dict[tuple[Any, str], set[str]] = {}
    for r in rows:
        if r["session_id"] and (who := person[r["interaction_id"]]):
            sessions.setdefault((r["service"], r["session_id"]), set()).add(who)
    found = happened(rows, per, person)
    expected = {}
    for key, turns in split(rows, by).items():
        led, outcomes = [], set()
        for r in turns:
            who = person[r["interaction_id"]]
            named = sessions.get((r["service"], r["session_id"] or ""), set())
            if who is None and len(named) == 1:
                (who,) = named
            mine = {
                o["id"] for o in found
                if (o["id"][0], o["person"]) == (r["service"], who)
                and 0 <= (o["at"] - r["at"]) * STEP_MS <= within * 86_400_000
            }  # fmt: skip
            outcomes |= mine
            led += [r] if mine else []
        cost = added(led, "cost_usd") if led else 0
        each = cost / len(outcomes) if outcomes and cost is not None else None
        expected[key] = (len(outcomes), cost, each)
    got = {
        tuple(r[name] for name in by): (
            r["outcomes"], r["leading_cost_usd"], r["cost_per_outcome_usd"]
        )
        for r in answered(AiCost(by=by, per=per, within_days=within))
    }  # fmt: skip
    assert got == expected


@many
@given(rows=TURNS)
def test_threads_are_those_of_a_plain_reading(rows: list[Row]) -> None:
    fill(rows)
    threads: dict[tuple[Any, Any], list[Row]] = {}
    for r in sorted(rows, key=lambda r: (r["at"], r["interaction_id"])):
        key = r["conversation_id"] or r["interaction_id"], r["service"]
        threads.setdefault(key, []).append(r)
    got = answered(AiThreads(limit=100))
    assert [r["last_at"] for r in got] == sorted((r["last_at"] for r in got), reverse=True)
    assert {
        (r["conversation"], r["service"]): (
            r["turns"], r["total_tokens"], r["cost_usd"], r["models"], r["failed"], r["last_status"]
        )
        for r in got
    } == {
        key: (
            len(said), sum(totals) if (totals := [n for r in said if (n := total(r)) is not None])
            else None, added(said, "cost_usd"),
            ", ".join(sorted({m for r in said if (m := of(r, "model"))})) or None,
            sum(r["own"].get("status") in ("failed", "refused", "cancelled") for r in said),
            said[-1]["own"].get("status"),
        )
        for key, said in threads.items()
    }  # fmt: skip
    for key in threads:
        (name, service) = key
        shown = answered(AiThread(conversation=name, service=service))
        wanted = [r["interaction_id"] for r in threads[key]]
        mine = [r["interaction_id"] for r in shown if r["service"] == service]
        assert mine == wanted


def test_a_thread_is_found_by_a_text_in_any_of_its_turns_and_keeps_all_of_them() -> None:
    one = turn(0, "u7", None, None, {"conversation": "C-1", "feature": "Coach"})
    two = turn(1, "u8", None, None, {"conversation": "C-1", "model_answered": "m_9"})
    other = turn(2, "u9", None, None, {"conversation": "c-2"})
    fill(numbered([one, two, other]))
    memory().execute(
        "UPDATE interactions SET messages = ? WHERE interaction_id = '0001'",
        [json.dumps([{"role": "user", "content": "My 100% SECRET plan"}])],
    )
    for text in ("c-1", "COACH", "U7", "m_9", "secret plan", "100%"):
        found = answered(AiThreads(find=text))
        assert [(r["conversation"], r["turns"]) for r in found] == [("C-1", 2)], text
    assert len(answered(AiThreads(find="c-"))) == 2
    for text in ("m%9", "c_1", "nobody"):
        assert answered(AiThreads(find=text)) == [], text
    with pytest.raises(Rejected, match="`find` must have at most 200 letters"):
        AiThreads(find="x" * 201)


def rank(values: list[float], percent: int) -> float | None:
    return sorted(values)[math.ceil(percent * len(values) / 100) - 1] if values else None


@many
@given(rows=TURNS, by=st.sampled_from([(), ("model",)]))
def test_percentiles_are_measured_values_by_nearest_rank(
    rows: list[Row], by: tuple[str, ...]
) -> None:
    fill(rows)
    expected = {}
    for key, turns in split(rows, by).items():
        row: Row = {"turns": len(turns)}
        for short, name in (("ttft", "time_to_first_token_ms"), ("duration", "duration_ms")):
            values = [r["own"][name] for r in turns if name in r["own"]]
            row[f"{short}_turns"] = len(values)
            row |= {f"{short}_p{p}": rank(values, p) for p in (50, 95, 99)}
        expected[key] = row
    got = {tuple(r.pop(name) for name in by): r for r in answered(AiLatency(by=by))}
    assert got == expected


def test_percentiles_of_many_values_are_by_nearest_rank() -> None:
    values = [float((n * 7919) % 1009) for n in range(999)]
    fill(numbered([turn(0, "u1", None, None, {"duration_ms": v}) for v in values]))
    (row,) = answered(AiLatency())
    got = (row["duration_p50"], row["duration_p95"], row["duration_p99"])
    assert got == tuple(rank(values, p) for p in (50, 95, 99))


@many
@given(rows=TURNS, by=st.sampled_from([(), ("model",)]))
def test_errors_and_refusals_are_counted_with_their_intervals(
    rows: list[Row], by: tuple[str, ...]
) -> None:
    fill(rows)
    expected = {}
    for key, turns in split(rows, by).items():
        ends = [r["own"].get("status") for r in turns]
        said = sum(end is not None for end in ends)
        row: Row = {"turns": len(turns)}
        for end in ("completed", "failed", "refused", "cancelled", "abandoned"):
            row[end] = ends.count(end)
        for end in ("failed", "refused"):
            row |= interval(end, row[end], said)
        expected[key] = row
    got = {tuple(r.pop(name) for name in by): r for r in answered(AiErrors(by=by))}
    assert got == {
        key: {
            name: value if value is None else pytest.approx(value, abs=1e-12)
            for name, value in row.items()
        }
        for key, row in expected.items()
    }


def interval(name: str, hits: int, of_: int) -> Row:
    """Wilson's interval as it is defined: the shares whose own standard error reaches the one seen,
    found by bisection."""
    if not of_:
        return dict.fromkeys((f"{name}_rate", f"{name}_low", f"{name}_high"))
    seen = hits / of_

    def edge(outside: float) -> float:
        inside = seen
        for _ in range(200):
            share = (inside + outside) / 2
            reaches = abs(seen - share) <= 1.959963984540054 * math.sqrt(share * (1 - share) / of_)
            inside, outside = (share, outside) if reaches else (inside, share)
        return inside

    return {f"{name}_rate": seen, f"{name}_low": edge(0.0), f"{name}_high": edge(1.0)}


def rating(turn_id: str, user: str, own: Row, at: int = 9) -> Row:
    return {
        "at": at, "timestamp": iso(ms(at)), "interaction_type": "ai_rating", "user_id": user,
        "parent_interaction_id": turn_id, "own": own, "ai_metadata": json.dumps(own),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("helpful", "of_", "low", "high"),
    [(5, 5, 0.5655, 1.0), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_the_helpful_rate_has_the_published_intervals(
    helpful: int, of_: int, low: float, high: float
) -> None:
    asked = turn(0, "u1", None, None, {"model_answered": "m1"}) | {"interaction_id": "t1"}
    rows = [asked]
    for n in range(of_):
        rows.append(rating("t1", f"r{n}", {"helpful": n < helpful}) | {"interaction_id": f"r{n}"})
    fill(rows)
    (row,) = answered(AiRatings(by=("model",)))
    assert (row["helpful"], row["unhelpful"]) == (helpful, of_ - helpful)
    assert (round(row["helpful_low"], 4), round(row["helpful_high"], 4)) == (low, high)
    assert row["helpful_rate"] == pytest.approx(helpful / of_)


def test_ratings_are_broken_down_by_their_turns_and_by_reason() -> None:
    turns = [
        turn(0, "u1", None, None, {"model_answered": "m1", "feature": "f", "prompt_version": "3"}),
        turn(1, "u1", None, None, {"model_answered": "m2", "feature": "f", "prompt_version": "4"}),
    ]
    given_ = [
        rating("0000", "u1", {"helpful": True, "rating": 5}, at=2),
        rating("0000", "u1", {"helpful": False, "rating": 1, "reason": "wrong"}, at=6),
        rating("0000", "u2", {"helpful": True, "rating": 4, "comment": "yes"}, at=3),
        rating("0001", "u1", {"rating": 3}, at=3),
        rating("gone", "u1", {"helpful": True, "reason": "clear"}, at=3),
    ]
    fill(numbered([*turns, *given_]))

    def by(*names: str) -> dict[Any, Any]:
        return {
            tuple(r[name] for name in names): (
                r["ratings"], r["helpful"], r["unhelpful"], r["mean_rating"], r["comments"]
            )
            for r in answered(AiRatings(by=names))
        }  # fmt: skip

    assert by() == {(): (4, 2, 1, pytest.approx(8 / 3), 1)}
    assert by("model") == {
        ("m1",): (2, 1, 1, 2.5, 1), ("m2",): (1, 0, 0, 3.0, 0), (None,): (1, 1, 0, None, 0),
    }  # fmt: skip
    assert by("reason") == {
        (None,): (2, 1, 0, 3.5, 1), ("wrong",): (1, 0, 1, 1.0, 0), ("clear",): (1, 1, 0, None, 0),
    }  # fmt: skip
    assert set(by("feature", "prompt_version")) == {("f", "3"), ("f", "4"), (None, None)}
    days = answered(AiRatings(by=("day",)))
    assert [str(r["day"]) for r in days] == ["2025-08-15", "2025-08-16"], "when it was given"
    only = answered(AiRatings(only={"feature": ("f",)}))
    assert only[0]["ratings"] == 3


# What cannot be asked


@pytest.mark.parametrize(
    ("name", "parameters", "sentence"),
    [
        ("ai_costs", {}, "'ai_costs' is no question: ask one of "),
        ("ai_cost", {"by": ["colour"]}, "`by`: 'colour' is no dimension here: take one of hour"),
        ("ai_cost", {"by": ["day", "day"]}, "`by` takes 6 different dimensions at most."),
        ("ai_cost", {"only": {"x; DROP": ["1"]}}, "`only`: 'x; DROP' is no dimension here"),
        ("ai_cost", {"only": {"model": []}}, "`only` needs a value for each of its dimensions."),
        ("ai_cost", {"zone": "Mars/Olympus"}, "`zone`: 'Mars/Olympus' is no time zone"),
        ("ai_cost", {"since": "2026-11-01T00:00:00"}, "`since` must have a zone"),
        ("ai_cost", {"since": "2026-11-02T00:00:00Z", "until": "2026-11-01T00:00:00Z"},
         "`until` must be after `since`."),
        ("ai_cost", {"per": "coffee"}, "ai_cost: Invalid enum value 'coffee'"),
        ("ai_cost", {"within_days": 0}, "`within_days` must be above 0 and at most 3650."),
        ("ai_cost", {"color": 1}, "'color' is no parameter of ai_cost: it takes by, since, until"),
        ("ai_threads", {"limit": 0}, "`limit` must be 1 or more."),
        ("ai_threads", {"by": ["day"]}, "`by`: threads are rows of their own"),
        ("ai_thread", {}, "ai_thread: Object missing required field `conversation`."),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_one_sentence(name: str, parameters: Row, sentence: str) -> None:
    with pytest.raises(Rejected) as refused:
        question_of(name, parameters)
    assert str(refused.value).startswith(sentence)
    assert str(refused.value).endswith(".")


HOSTILE = "x'; DROP TABLE interactions; --"


def test_values_are_parameters_and_never_part_of_the_text() -> None:
    questions: list[Question] = [
        AiCost(by=("model",), only={"feature": (HOSTILE,)}, per="deal_closed"),
        AiThreads(only={"user": (HOSTILE,)}), AiThreads(find=HOSTILE),
        AiThread(conversation=HOSTILE, service=HOSTILE),
        AiRatings(only={"reason": (HOSTILE,)}), AiLatency(only={"model": (HOSTILE,)}),
        AiErrors(only={"model": (HOSTILE,)}),
    ]  # fmt: skip
    for question in questions:
        assert HOSTILE not in question.sql().text
        assert HOSTILE in question.sql().parameters.values()
        assert question.sql() == question.sql()
        assert answered(question) == []


def test_every_question_says_what_it_is_and_what_its_columns_mean() -> None:
    for name, kind in QUESTIONS.items():
        assert kind.__doc__
        made = question_of(name, SHOWN.get(name, {}))
        assert made.name == name
        columns = made.columns()
        assert len({column.name for column in columns}) == len(columns)
        assert all(column.doc.endswith(".") for column in columns)


def test_a_question_to_a_real_lake_is_answered_from_the_log_and_twice(lake: Lake) -> None:
    collector = lake.collector()
    collector.record(
        "ai_conversation", user_id="u1", conversation_id="c5", turn=0, model_answered="gpt-4o",
        status="completed", input_tokens=86, cost_usd=0.02436625,
        messages=[{"role": "user", "content": "Hello"}],
    )  # fmt: skip
    collector.commit()
    with open_reading(lake.open(), load(lake.env)) as reading:
        for _ in range(2):
            (row,) = ask(reading, question_of("ai_cost", {"by": ["model"]})).dicts()
            assert (row["model"], row["turns"], row["cost_usd"]) == ("gpt-4o", 1, 0.02436625)
        (said,) = ask(reading, AiThread(conversation="c5")).dicts()
        assert json.loads(str(said["messages"])) == [{"role": "user", "content": "Hello"}]


def test_an_answer_that_needs_more_memory_than_there_is_says_what_to_do(lake: Lake) -> None:
    collector = lake.collector()
    for n in range(400):
        collector.record("ai_conversation", user_id=f"u{n}", conversation_id=f"c{n}")
    collector.commit()
    with open_reading(lake.open(), load(lake.env)) as reading:
        reading.con.execute("SET memory_limit = '1MB'")
        with pytest.raises(Terminal, match=r"'ai_cost' needs more memory .* LAKEWARD_QUERY_MEMORY"):
            ask(reading, AiCost(by=("user", "conversation"), per="deal_closed"))
