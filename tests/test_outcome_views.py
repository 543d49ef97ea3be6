"""Matches, bookings and deals: the views against a plain reading, and in a real lake."""

from __future__ import annotations

import functools
import json
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Lake
from lakeward.catalog import TYPES
from lakeward.cli import main
from lakeward.interaction import iso
from lakeward.lake import identity, outcomes
from lakeward.outcomes import Outcomes
from tries import tries

START_MS = 1_755_187_888_000
Row = dict[str, Any]
Key = tuple[str | None, str]
COLUMNS = (
    "interaction_id VARCHAR, timestamp TIMESTAMPTZ, interaction_type VARCHAR, service VARCHAR, "
    "user_id VARCHAR, anonymous_id VARCHAR, partner_id VARCHAR, properties VARCHAR, "
    "outcomes VARCHAR"
)
many = settings(deadline=None, max_examples=tries(30))


@functools.cache
def memory() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute(f"CREATE TABLE interactions ({COLUMNS})")
    for name in TYPES:
        con.execute(
            f"CREATE VIEW \"{name}\" AS FROM interactions WHERE interaction_type = '{name}'"
        )
    for view, select in (identity.VIEWS | outcomes.VIEWS).items():
        con.execute(f'CREATE VIEW "{view}" AS {select}')
    return con


def asked(rows: list[Row], query: str) -> list[Row]:
    con = memory()
    con.execute("DELETE FROM interactions")
    if rows:
        con.executemany(
            "INSERT INTO interactions VALUES (?, ?::TIMESTAMPTZ, ?, ?, ?, ?, ?, NULL, ?)",
            [
                [r["id"], iso(START_MS + r["at"]), r["type"], r["service"], r["user"],
                 r["visitor"], r["partner"], json.dumps(r["own"])]
                for r in rows
            ],
        )  # fmt: skip
    cursor = con.execute(query)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]


def row(kind: str, at: int, user: str, visitor: str | None, partner: str | None, own: Row) -> Row:
    return {"type": kind, "at": at, "user": user, "visitor": visitor, "partner": partner,
            "own": {name: value for name, value in own.items() if value is not None}}  # fmt: skip


AT, USER = st.integers(0, 6), st.sampled_from(["u1", "u2", "anonymous"])
PARTNER = st.sampled_from(["p1", "p2", None])
VISITOR = st.sampled_from([None, "a1"])
SCORE = st.none() | st.integers(0, 100)
TOLD = st.lists(
    st.builds(
        row, st.just("partner_match"), AT, USER, VISITOR, st.sampled_from(["p1", "p2"]),
        st.fixed_dictionaries({"score": SCORE, "rank": st.none() | st.integers(1, 3)}),
    )
    | st.builds(
        row, st.just("demo_booking"), AT, USER, VISITOR, PARTNER,
        st.fixed_dictionaries({
            "booking_id": st.sampled_from(["b1", "b2", None]),
            "status": st.sampled_from(["booked", "rescheduled", "cancelled", "held"]),
            "date": st.sampled_from([None, "2026-12-01", "2026-12-02"]),
        }),
    )
    | st.builds(
        row, st.just("deal_closed"), AT, USER, VISITOR, PARTNER,
        st.fixed_dictionaries({
            "deal_id": st.sampled_from(["d1", None]),
            "value": st.none() | st.integers(0, 9),
            "match_interaction_id": st.sampled_from([None, None, "0000", "0003", "no"]),
        }),
    )
    | st.builds(row, st.just("identify"), AT, USER, VISITOR, st.none(), st.just({})),
    max_size=9,
)  # fmt: skip
APPS = st.sampled_from([[None], ["shop"], ["shop", "app"], [None, "shop"], ["shop", "shop", "app"]])


def numbered(rows: list[Row], apps: list[str | None]) -> list[Row]:
    """Each with its id, and the app that told it."""
    return [r | {"id": f"{n:04d}", "service": apps[n % len(apps)]} for n, r in enumerate(rows)]


ROWS = st.builds(numbered, TOLD, APPS)


# The plain reading


def place(r: Row) -> tuple[int, str]:
    return r["at"], r["id"]


def newest(rows: list[Row], name: str) -> Any:
    said = [r for r in sorted(rows, key=place) if r["own"].get(name) is not None]
    return said[-1]["own"][name] if said else None


def first(rows: list[Row], name: str) -> Any:
    said = [r[name] for r in sorted(rows, key=place) if r[name] is not None]
    return said[0] if said else None


def grouped(rows: list[Row], kind: str, key: str) -> dict[Key, list[Row]]:
    """By the app that told them and the id that it gave."""
    found: dict[Key, list[Row]] = {}
    for r in rows:
        if r["type"] == kind:
            found.setdefault((r["service"], r["own"].get(key) or r["id"]), []).append(r)
    return found


def before(rows: list[Row], at: int, whose: tuple[str | None, ...]) -> Row | None:
    """The newest match of that app, person and partner that is not later."""
    found = [
        r for r in rows
        if r["type"] == "partner_match" and r["at"] <= at and None not in whose[1:]
        and (r["service"], r["person"], r["partner"]) == whose
    ]  # fmt: skip
    return max(found, key=place, default=None)


def persons(rows: list[Row]) -> list[Row]:
    """The rows with who they are of, as `stitched` says (proven in test_identity)."""
    known = {r["interaction_id"]: r["person"] for r in asked(rows, "FROM stitched")}
    return [r | {"person": known[r["id"]]} for r in rows]


def bookings(rows: list[Row]) -> dict[Key, Row]:
    found = {}
    for key, told in grouped(rows, "demo_booking", "booking_id").items():
        at = min(r["at"] for r in told)
        person, partner = first(told, "person"), first(told, "partner")
        match = before(rows, at, (key[0], person, partner))
        held = [r["at"] for r in told if r["own"]["status"] == "held"]
        found[key] = {
            "person": person, "partner_id": partner, "at": at,
            "status": newest(told, "status"), "date": newest(told, "date"),
            "times_rescheduled": sum(r["own"]["status"] == "rescheduled" for r in told),
            "held": min(held, default=None), "match": match and match["id"],
        }  # fmt: skip
    return found


def deals(rows: list[Row]) -> dict[Key, Row]:
    ids = {r["id"]: r for r in rows if r["type"] == "partner_match"}
    booked = bookings(rows)
    found = {}
    for key, told in grouped(rows, "deal_closed", "deal_id").items():
        at = min(r["at"] for r in told)
        person, partner = first(told, "person"), first(told, "partner")
        match = ids.get(newest(told, "match_interaction_id") or "") or before(
            rows, at, (key[0], person, partner)
        )
        mine = [
            (b["at"], name) for (app, name), b in booked.items()
            if app == key[0] and b["at"] <= at and person is not None and partner is not None
            and (b["person"], b["partner_id"]) == (person, partner)
        ]  # fmt: skip
        found[key] = {
            "person": person, "partner_id": partner, "at": at, "value": newest(told, "value"),
            "match": match and match["id"], "score": match and match["own"].get("score"),
            "matched": match and match["at"], "booking": max(mine)[1] if mine else None,
        }  # fmt: skip
    return found


@many
@given(rows=ROWS)
def test_bookings_are_those_of_a_plain_reading(rows: list[Row]) -> None:
    expected = bookings(persons(rows))
    got = {
        (r["service"], r["booking_id"]): {
            "person": r["person"], "partner_id": r["partner_id"], "at": ms(r["first_at"]),
            "status": r["status"], "date": r["date"], "held": ms(r["held_at"]),
            "times_rescheduled": r["times_rescheduled"], "match": r["match_interaction_id"],
        }
        for r in asked(rows, "FROM bookings")
    }  # fmt: skip
    assert got == expected


@many
@given(rows=ROWS)
def test_deals_are_those_of_a_plain_reading(rows: list[Row]) -> None:
    expected = deals(persons(rows))
    got = {
        (r["service"], r["deal_id"]): {
            "person": r["person"], "partner_id": r["partner_id"], "at": ms(r["closed_at"]),
            "value": r["value"], "match": r["match_interaction_id"], "score": r["match_score"],
            "matched": ms(r["matched_at"]), "booking": r["booking_id"],
        }
        for r in asked(rows, "FROM deals")
    }  # fmt: skip
    assert got == expected


@many
@given(rows=ROWS)
def test_matches_are_those_of_a_plain_reading(rows: list[Row]) -> None:
    known = persons(rows)
    booked, closed = bookings(known).values(), deals(known).values()
    expected = {}
    for r in known:
        if r["type"] == "partner_match":
            mine = [b for b in booked if b["match"] == r["id"]]
            sold = [d for d in closed if d["match"] == r["id"]]
            expected[r["id"]] = (
                r["own"].get("score"), min((b["at"] for b in mine), default=None),
                min((b["held"] for b in mine if b["held"] is not None), default=None),
                min((d["at"] for d in sold), default=None), len(sold),
            )  # fmt: skip
    got = {
        r["interaction_id"]: (
            r["score"], ms(r["booked_at"]), ms(r["held_at"]), ms(r["deal_at"]), r["deals"]
        )
        for r in asked(rows, "FROM matches")
    }  # fmt: skip
    assert got == expected


def test_two_apps_that_give_the_same_ids_are_not_mixed() -> None:
    told: list[tuple[str, Row]] = [
        ("partner_match", {"score": 10}), ("partner_match", {"score": 20}),
        ("demo_booking", {"booking_id": "1", "status": "held"}),
        ("demo_booking", {"booking_id": "1", "status": "cancelled"}),
        ("deal_closed", {"deal_id": "1", "value": 3}),
        ("deal_closed", {"deal_id": "1", "value": 4}),
    ]  # fmt: skip
    made = [row(kind, at, "u1", None, "p1", own) for at, (kind, own) in enumerate(told)]
    rows = numbered(made, ["shop", "app"])
    columns = "service, booking_id, status, match_interaction_id"
    asked_bookings = asked(rows, f"SELECT {columns} FROM bookings ORDER BY first_at")
    assert [tuple(r.values()) for r in asked_bookings] == [
        ("shop", "1", "held", "0000"), ("app", "1", "cancelled", "0001"),
    ]  # fmt: skip
    columns = "service, value, match_score"
    asked_deals = asked(rows, f"SELECT {columns} FROM deals ORDER BY value")
    assert [tuple(r.values()) for r in asked_deals] == [("shop", 3.0, 10.0), ("app", 4.0, 20.0)]
    columns = "service, score, held_at IS NOT NULL, deals"
    asked_matches = asked(rows, f"SELECT {columns} FROM matches ORDER BY score")
    assert [tuple(r.values()) for r in asked_matches] == [
        ("shop", 10.0, True, 1), ("app", 20.0, False, 1),
    ]  # fmt: skip


def test_a_deal_that_names_its_match_finds_it_in_whichever_app_told_it() -> None:
    rows = numbered(
        [
            row("partner_match", 0, "u1", None, "p1", {"score": 10}),
            row("deal_closed", 1, "u1", None, "p1", {"match_interaction_id": "0000"}),
        ],
        ["shop", "crm"],
    )
    (deal,) = asked(rows, "SELECT service, match_score FROM deals")
    assert deal == {"service": "crm", "match_score": 10.0}


def ms(moment: Any) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000) - START_MS


def test_a_deal_weeks_later_finds_its_match_over_an_identify(
    lake: Lake, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    collector = lake.collector()
    tell = Outcomes(collector)
    at = {day: iso(START_MS + day * 86_400_000) for day in (0, 1, 2, 31)}
    match = tell.partner_match(
        partner_id="p1", anonymous_id="a1", score=87.5, rank=1, timestamp=at[0]
    )
    tell.partner_match(partner_id="p2", anonymous_id="a1", score=60, timestamp=at[0])
    collector.record("identify", user_id="c1", anonymous_id="a1", timestamp=at[1])
    tell.demo_booked(user_id="c1", partner_id="p1", booking_id="b1", timestamp=at[2])
    tell.deal_closed(
        user_id="c1", partner_id="p1", deal_id="d1", value=24000.0, currency="USD",
        timestamp=at[31],
    )  # fmt: skip
    tell.deal_closed(
        user_id="c1",
        partner_id="p1",
        deal_id="d1",
        value=25000.0,
        timestamp=iso(START_MS + 32 * 86_400_000),
    )
    collector.commit()
    query = (
        "SELECT value, currency, match_interaction_id, match_score, days_from_match, booking_id "
        "FROM deals"
    )
    assert main(["query", query, "--lake", str(lake.root), "--format", "json"]) == 0
    (deal,) = json.loads(capsysbinary.readouterr().out)
    assert deal == {
        "value": 25000.0, "currency": "USD", "match_interaction_id": match,
        "match_score": 87.5, "days_from_match": 31.0, "booking_id": "b1",
    }  # fmt: skip
    query = "SELECT partner_id, booked_at IS NOT NULL AS booked, deals FROM matches ORDER BY 1"
    assert main(["query", query, "--lake", str(lake.root), "--format", "json"]) == 0
    rows = json.loads(capsysbinary.readouterr().out)
    assert rows == [
        {"partner_id": "p1", "booked": True, "deals": 1},
        {"partner_id": "p2", "booked": False, "deals": 0},
    ]
