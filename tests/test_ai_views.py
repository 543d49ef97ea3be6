"""Turns and ratings: the views against a plain reading, and in a real lake."""

from __future__ import annotations

import functools
import json
import time
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Lake
from lakeward.catalog.ai import TOKEN_BUCKETS
from lakeward.cli import main
from lakeward.interaction import iso
from lakeward.lake import conversations
from lakeward.lake.columns import COLUMNS
from tries import tries

START_MS = 1_755_187_888_000
Row = dict[str, Any]
many = settings(deadline=None, max_examples=tries(40))


@functools.cache
def memory() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(config={"threads": 1})
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    con.execute(f"CREATE TABLE interactions ({columns})")
    for name in ("ai_conversation", "ai_rating"):
        con.execute(f"CREATE VIEW {name} AS FROM interactions WHERE interaction_type = '{name}'")
    for view, select in conversations.VIEWS.items():
        con.execute(f'CREATE VIEW "{view}" AS {select}')
    return con


NAMES = ("interaction_id", "timestamp", "interaction_type", "service", "conversation_id",
         "parent_interaction_id", "user_id", "anonymous_id", "session_id", "trace_id")  # fmt: skip


def asked(rows: list[Row], query: str) -> list[Row]:
    con = memory()
    con.execute("DELETE FROM interactions")
    if rows:
        con.executemany(
            f"INSERT INTO interactions ({', '.join(NAMES)}, ai_metadata) "
            "VALUES (?, ?::TIMESTAMPTZ, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                [r["id"], iso(START_MS + r["at"]), r["type"], r["service"], r["conversation"],
                 r["parent"], *r["who"], r["trace"], json.dumps(r["own"])]
                for r in rows
            ],
        )  # fmt: skip
    cursor = con.execute(query)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]


def row(
    kind: str, at: int, service: str | None, conversation: str | None, parent: str | None,
    who: tuple[str | None, ...], own: Row,
) -> Row:  # fmt: skip
    told = {name: value for name, value in own.items() if value is not None}
    trace = told.pop("trace", None)
    return {"type": kind, "at": at, "service": service, "conversation": conversation,
            "parent": parent, "who": who, "trace": trace, "own": told}  # fmt: skip


AT, SERVICE = st.integers(0, 5), st.sampled_from(["web", None])
CONVERSATION, TURN = st.sampled_from(["c1", "c2", None]), st.sampled_from([None, None, 0, 1])
TRACE = st.sampled_from([None, "t1"])
WHO = st.sampled_from([
    ("u1", None, None), ("u2", "a1", None), ("anonymous", "a1", "s1"), ("anonymous", "", "s1"),
    ("anonymous", None, None), ("anonymous", "u1", "s1"),
])  # fmt: skip
ROWS = st.lists(
    st.builds(
        row, st.just("ai_conversation"), AT, SERVICE, CONVERSATION, st.just(None), WHO,
        st.fixed_dictionaries({
            "turn": TURN, "trace": TRACE, "model_requested": st.sampled_from([None, "m"]),
            "model_answered": st.sampled_from([None, "m-1"]),
            "input_tokens": st.sampled_from([None, 3]), "output_tokens": st.sampled_from([None, 4]),
            "total_tokens": st.sampled_from([None, 9]),
        }),
    )
    | st.builds(
        row, st.just("ai_rating"), AT, SERVICE, CONVERSATION,
        st.sampled_from([None, "0000", "0001", "call"]), WHO,
        st.fixed_dictionaries({
            "turn": TURN, "trace": TRACE, "helpful": st.sampled_from([None, True, False]),
            "rating": st.none() | st.integers(1, 5), "reason": st.sampled_from([None, "wrong"]),
            "rater_id": st.sampled_from([None, None, "u1", "r1"]),
        }),
    ),
    max_size=9,
).map(lambda rows: [r | {"id": f"{number:04d}"} for number, r in enumerate(rows)])  # fmt: skip


# The plain reading


def place(r: Row) -> tuple[int, str]:
    return r["at"], r["id"]


def numbered(rows: list[Row]) -> dict[str, Row]:
    """Turns by id, each with its number."""
    found: dict[str, Row] = {}
    seen: dict[tuple[Any, Any], int] = {}
    for r in sorted((r for r in rows if r["type"] == "ai_conversation"), key=place):
        number = r["own"].get("turn")
        if r["conversation"] is not None:
            key = r["service"], r["conversation"]
            seen[key] = seen.get(key, -1) + 1
            number = seen[key] if number is None else number
        found[r["id"]] = r | {"turn": number}
    return found


def rater(r: Row) -> tuple[str, str] | None:
    user, visitor, session = r["who"]
    if "rater_id" in r["own"]:
        return "user_id", r["own"]["rater_id"]
    for kind, value in (("user_id", user), ("anonymous_id", visitor), ("session_id", session)):
        if value not in (None, "", "anonymous"):
            return kind, value
    return None


def turn_of(r: Row, known: dict[str, Row]) -> Row | None:
    if r["parent"] in known:
        return known[r["parent"]]
    told = r["conversation"], r["own"].get("turn"), r["service"]
    same = []
    if told[0] is not None and told[1] is not None:
        same = [t for t in known.values() if (t["conversation"], t["turn"], t["service"]) == told]
    elif r["parent"] is None and told[1] is None and r["trace"] is not None:
        same = [
            t for t in known.values() if (t["trace"], t["service"]) == (r["trace"], r["service"])
        ]
    return max(same, key=lambda t: (t["at"] <= r["at"], place(t)), default=None)


def what(r: Row, turn: Row | None) -> tuple[Any, ...]:
    conversation, number = r["conversation"], r["own"].get("turn")
    if turn is not None:
        return "turn", turn["id"], turn["service"]
    if conversation is not None and number is not None:
        return "number", conversation, number, r["service"]
    if r["parent"] is not None:
        return "turn", r["parent"], r["service"]
    return ("conversation", conversation, r["service"]) if conversation else ("rating", r["id"])


def current(rows: list[Row]) -> dict[str, Row | None]:
    """Ratings that count, by id, and the turn of each."""
    known = numbered(rows)
    last: dict[tuple[Any, ...], Row] = {}
    for r in sorted((r for r in rows if r["type"] == "ai_rating"), key=place):
        last[what(r, turn_of(r, known)), rater(r) or r["id"]] = r
    return {r["id"]: turn_of(r, known) for r in last.values()}


@many
@given(rows=ROWS)
def test_the_last_rating_of_each_rater_is_that_of_a_plain_reading(rows: list[Row]) -> None:
    by_id = {r["id"]: r for r in rows}
    expected = {}
    for key, turn in current(rows).items():
        r = by_id[key]
        number = r["own"].get("turn") if turn is None else turn["turn"]
        of = r if turn is None else turn
        expected[key] = (
            turn and turn["id"], of["service"], of["conversation"], number,
            rater(r) or (None, None), *map(r["own"].get, ("helpful", "rating", "reason")),
        )  # fmt: skip
    got = {
        r["interaction_id"]: (
            r["turn_id"], r["service"], r["conversation_id"], r["turn"],
            (r["rater_kind"], r["rater"]), r["helpful"], r["rating"], r["reason"],
        )
        for r in asked(rows, "FROM ai_ratings_current")
    }  # fmt: skip
    assert got == expected


def newest(rated: list[Row], name: str) -> Any:
    said = [r["own"][name] for r in sorted(rated, key=place) if name in r["own"]]
    return said[-1] if said else None


@many
@given(rows=ROWS)
def test_turns_are_those_of_a_plain_reading(rows: list[Row]) -> None:
    by_id, chosen = {r["id"]: r for r in rows}, current(rows)
    expected = {}
    for key, t in numbered(rows).items():
        own = t["own"]
        buckets = [own[name] for name in TOKEN_BUCKETS if name in own]
        rated = [by_id[r] for r, turn in chosen.items() if turn is not None and turn["id"] == key]
        expected[key] = (
            t["turn"], own.get("model_answered") or own.get("model_requested"),
            own.get("total_tokens", sum(buckets) if buckets else None),
            newest(rated, "helpful"), newest(rated, "rating"), len(rated),
            sum(r["own"].get("helpful") is True for r in rated),
            sum(r["own"].get("helpful") is False for r in rated),
        )  # fmt: skip
    got = {
        r["interaction_id"]: (
            r["turn"], r["model"], r["total_tokens"], r["helpful"], r["rating"], r["ratings"],
            r["ratings_helpful"], r["ratings_unhelpful"],
        )
        for r in asked(rows, "FROM ai_turns")
    }  # fmt: skip
    assert got == expected


def test_a_turn_of_the_log_has_its_buckets_and_the_word_of_who_changed_their_mind(
    lake: Lake, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    collector = lake.collector()
    turn = collector.record(
        "ai_conversation", user_id="u1", conversation_id="c5", feature="coach", provider="openai",
        model_requested="gpt-4o", model_answered="gpt-4o-2024-08-06", input_tokens=86,
        cache_read_tokens=17817, output_tokens=188, total_tokens=18091, cost_usd=0.02436625,
        tools_used=["search"], usage={"prompt_tokens": 17903},
        messages=[{"role": "user", "content": "How do I price a retainer?"}],
    )  # fmt: skip
    hour = 3_600_000
    now = round(time.time() * 1000)
    ratings: tuple[Row, ...] = (
        {"user_id": "u1", "conversation_id": "c5", "turn": 0, "helpful": True},
        {"user_id": "u1", "parent_interaction_id": turn, "helpful": False, "rating": 2},
        {"user_id": "u2", "parent_interaction_id": turn, "rating": 5},
    )
    for number, rating in enumerate(ratings):
        collector.record("ai_rating", timestamp=iso(now + number * hour), **rating)
    collector.commit()
    query = (
        "SELECT turn, model, input_tokens, cache_read_tokens, output_tokens, total_tokens, "
        "cost_usd, tools_used, usage->>'$.prompt_tokens' AS prompt, helpful, rating, ratings, "
        "mean_rating, json_array_length(messages) AS messages FROM ai_turns"
    )
    assert main(["query", query, "--lake", str(lake.root), "--format", "json"]) == 0
    (found,) = json.loads(capsysbinary.readouterr().out)
    assert found == {
        "turn": 0, "model": "gpt-4o-2024-08-06", "input_tokens": 86, "cache_read_tokens": 17817,
        "output_tokens": 188, "total_tokens": 18091, "cost_usd": 0.02436625,
        "tools_used": ["search"], "prompt": "17903", "helpful": False, "rating": 5, "ratings": 2,
        "mean_rating": 3.5, "messages": 1,
    }  # fmt: skip
