"""Who is who: the views against a plain reading of the rule, and in a real lake."""

from __future__ import annotations

import functools
import json
from itertools import pairwise
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Lake
from lakeward.catalog import TYPES
from lakeward.cli import main
from lakeward.interaction import iso
from lakeward.lake import identity, sql

START_MS = 1_755_187_888_000
USERS, VISITORS = ["u1", "u2", "u3", "x"], ["a1", "x"]
Row = dict[str, Any]


examples = settings(deadline=None, max_examples=50)


@functools.cache
def memory() -> duckdb.DuckDBPyConnection:
    """A database with the views over a table of its own."""
    con = duckdb.connect()
    con.execute(
        "CREATE TABLE interactions (interaction_id VARCHAR, timestamp TIMESTAMPTZ, "
        "interaction_type VARCHAR, user_id VARCHAR, anonymous_id VARCHAR, properties VARCHAR)"
    )
    for name in TYPES:
        con.execute(
            f"CREATE VIEW \"{name}\" AS FROM interactions WHERE interaction_type = '{name}'"
        )
    for view, select in identity.VIEWS.items():
        con.execute(f'CREATE VIEW "{view}" AS {select}')
    return con


def asked(rows: list[Row], query: str) -> list[tuple[Any, ...]]:
    con = memory()
    con.execute("DELETE FROM interactions")
    columns = ("id", "at", "type", "user", "visitor", "properties")
    con.executemany(
        "INSERT INTO interactions VALUES (?, ?::TIMESTAMPTZ, ?, ?, ?, ?)",
        [[iso(START_MS + r["at"] * 1000) if c == "at" else r[c] for c in columns] for r in rows],
    )
    return con.execute(query).fetchall()


def row(kind: str, at: int, user: str = "anonymous", visitor: str | None = None, **own: Any) -> Row:
    return {"type": kind, "at": at, "user": user, "visitor": visitor,
            "properties": json.dumps(own) if own else None}  # fmt: skip


def numbered(rows: list[Row]) -> list[Row]:
    return [r | {"id": f"{number:04d}"} for number, r in enumerate(rows)]


TRAITS = st.dictionaries(
    st.sampled_from(["plan", "size", 'a"b', "c.d", ""]),
    st.sampled_from([None, 1, 0.5, "pro", True, [1], {"deep": None}]),
    max_size=3,
)
AT = st.integers(0, 4)
USER = st.sampled_from([*USERS, "anonymous"])
VISITOR = st.none() | st.sampled_from([*VISITORS, ""])
ROWS = st.lists(
    st.builds(row, st.just("page_view"), AT, USER, VISITOR)
    | st.builds(row, st.just("identify"), AT, USER, VISITOR, traits=TRAITS)
    | st.builds(
        row, st.just("alias"), AT, USER, st.sampled_from([*USERS, *VISITORS, "", "anonymous"])
    )
    | st.builds(
        row, st.just("group"), AT, USER, VISITOR,
        group_id=st.sampled_from(["g1", "g2"]), traits=TRAITS,
    )
    | st.builds(
        row, st.just("group"), AT, USER, VISITOR,
        group_id=st.sampled_from(["g1", "g2"]), group_type=st.sampled_from(["team", "firm"]),
    ),
    min_size=1, max_size=14,
).map(numbered)  # fmt: skip


class Plain:
    """The rule as one reads it, row by row."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = sorted(rows, key=lambda r: (r["at"], r["id"]))
        self.aliases: list[tuple[str, str, int]] = [
            (r["visitor"], r["user"], r["at"])
            for r in self.rows
            if r["type"] == "alias" and r["user"] != "anonymous"
            if r["visitor"] not in ("", "anonymous", r["user"])
        ]
        self.groups: list[set[str]] = []
        for previous, user, _ in self.aliases:
            met = [g for g in self.groups if previous in g or user in g]
            self.groups = [g for g in self.groups if g not in met]
            self.groups.append({previous, user}.union(*met))
        claims = [
            (r["at"], r["visitor"], self.user(r["user"]), r["id"])
            for r in self.rows
            if r["type"] == "identify" and r["visitor"] and r["user"] != "anonymous"
        ]
        for r in self.rows:
            if r["type"] == "alias" and (r["visitor"], r["user"], r["at"]) in self.aliases:
                claims.append((r["at"], r["visitor"], self.user(r["user"]), r["id"]))
        self.claims = sorted(claims, key=lambda c: (c[0], c[3]))

    def user(self, user: str) -> str:
        """The person of a user id: the user of the newest alias of those that are joined."""
        for group in self.groups:
            if user in group:
                return next(u for _, u, _ in reversed(self.aliases) if u in group)
        return user

    def person(self, r: Row) -> str | None:
        """The person of a record."""
        if r["user"] != "anonymous":
            return self.user(r["user"])
        claims = [c for c in self.claims if c[1] == r["visitor"]]
        before = [c for c in claims if c[0] <= r["at"]]
        if before:
            return str(before[-1][2])
        if claims:  # the last word of the first moment
            return str([c for c in claims if c[0] == claims[0][0]][-1][2])
        visitor: str | None = r["visitor"] or None
        return visitor

    def people(self) -> dict[str, tuple[Row, int, int]]:
        found: dict[str, tuple[Row, int, int]] = {}
        known = set()
        for r in self.rows:
            person = self.person(r)
            if person is None:
                continue
            traits, first, _ = found.get(person, ({}, r["at"], 0))
            if r["type"] == "identify":
                traits = traits | json.loads(r["properties"])["traits"]
            if r["type"] == "identify" or r["user"] != "anonymous":
                known.add(person)
            found[person] = traits, first, r["at"]
        return {person: said for person, said in found.items() if person in known}


@examples
@given(ROWS)
def test_every_record_has_the_person_that_the_rule_gives_it(rows: list[Row]) -> None:
    plain = Plain(rows)
    found = dict(asked(rows, "SELECT interaction_id, person FROM stitched"))
    assert len(found) == len(rows)  # and nothing came twice
    assert found == {r["id"]: plain.person(r) for r in rows}


@examples
@given(ROWS)
def test_people_have_the_newest_value_of_every_trait(rows: list[Row]) -> None:
    found = asked(
        rows,
        "SELECT person, traits, epoch_ms(first_seen), epoch_ms(last_seen) FROM people",
    )
    shown = {
        person: (json.loads(traits), (first - START_MS) // 1000, (last - START_MS) // 1000)
        for person, traits, first, last in found
    }
    assert len(shown) == len(found)
    assert shown == Plain(rows).people()


@examples
@given(ROWS)
def test_groups_have_the_newest_value_of_every_trait(rows: list[Row]) -> None:
    wanted: dict[tuple[str | None, str], Row] = {}
    for r in sorted(rows, key=lambda r: (r["at"], r["id"])):
        if r["type"] == "group":
            own = json.loads(r["properties"])
            key = own.get("group_type"), own["group_id"]
            wanted[key] = wanted.get(key, {}) | own.get("traits", {})
    found = asked(rows, "SELECT group_type, group_id, traits FROM groups")
    assert len(found) == len(wanted)
    assert {(kind, group): json.loads(traits) for kind, group, traits in found} == wanted


@examples
@given(ROWS)
def test_the_stretches_of_an_id_leave_no_gap_and_do_not_overlap(rows: list[Row]) -> None:
    found = asked(rows, "SELECT kind, id, since, until, person FROM identities ORDER BY ALL")
    by_id: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
    for kind, name, *stretch in found:
        by_id.setdefault((kind, name), []).append(tuple(stretch))
    for (kind, _), stretches in by_id.items():
        assert kind == "anonymous_id" or len(stretches) == 1
        assert (stretches[0][0].year, stretches[-1][1].year) == (2000, 2100)
        for (_, until, person), (since, _, following) in pairwise(stretches):
            assert until == since
            assert person != following


def test_a_chain_of_aliases_is_one_person_called_as_the_newest_says() -> None:
    rows = numbered([row("alias", 9 - n, f"u{n + 1}", f"u{n}") for n in range(9)])
    found = asked(rows, "SELECT DISTINCT person FROM identities")
    assert found == [("u1",)]  # the alias of u0 and u1 is the newest


def test_two_people_at_one_browser_stay_two() -> None:
    rows = numbered(
        [
            row("page_view", 0, visitor="a1"),
            row("identify", 1, "ada", "a1"),
            row("page_view", 2, visitor="a1"),
            row("identify", 3, "bob", "a1"),
            row("page_view", 4, visitor="a1"),
        ]
    )
    found = asked(rows, "SELECT person FROM stitched ORDER BY interaction_id")
    assert [person for (person,) in found] == ["ada", "ada", "ada", "bob", "bob"]


def test_at_the_moment_of_an_identify_the_id_is_the_newcomers_and_the_last_word_counts() -> None:
    rows = numbered(
        [
            row("identify", 1, "ada", "a1"),
            row("page_view", 3, visitor="a1"),
            row("identify", 3, "bob", "a1"),
            row("identify", 3, "cyd", "a1"),
            row("page_view", 4, visitor="a1"),
        ]
    )
    found = asked(rows, "SELECT person FROM stitched ORDER BY interaction_id")
    assert [person for (person,) in found] == ["ada", "cyd", "bob", "cyd", "cyd"]


@pytest.fixture
def known(lake: Lake) -> Lake:
    """A lake in which ada came anonymously, signed up, and changed her id; and bob."""
    collector = lake.collector()
    told: list[tuple[str, dict[str, Any]]] = [
        ("page_view", {"anonymous_id": "a1", "path": "/"}),
        ("identify", {"anonymous_id": "a1", "user_id": "ada", "traits": {"plan": "free"}}),
        ("alias", {"user_id": "ada-2", "anonymous_id": "ada"}),
        ("identify", {"user_id": "ada-2", "traits": {"plan": "pro"}}),
        ("identify", {"user_id": "bob", "anonymous_id": "a2", "traits": {"plan": "max"}}),
        ("group", {"user_id": "bob", "group_id": "g1", "traits": {"size": 3}}),
    ]
    for second, (kind, fields) in enumerate(told):
        collector.record(kind, timestamp=iso(START_MS + second * 1000), **fields)
    collector.commit()
    return lake


def rows_of(lake: Lake, query: str) -> list[Row]:
    found: list[Row] = sql(query, lake_dir=lake.root).to_pylist()
    return found


def test_the_views_can_be_asked_in_a_query(known: Lake) -> None:
    assert rows_of(known, "SELECT person, traits FROM people ORDER BY person") == [
        {"person": "ada-2", "traits": '{"plan":"pro"}'},
        {"person": "bob", "traits": '{"plan":"max"}'},
    ]
    assert rows_of(known, "SELECT person FROM Stitched WHERE path = '/'") == [{"person": "ada-2"}]
    assert rows_of(known, "SELECT group_id, traits->>'$.size' AS size FROM groups") == [
        {"group_id": "g1", "size": "3"}
    ]
    assert len(rows_of(known, "SELECT * FROM identities")) == 6


def test_a_person_who_was_erased_is_in_none_of_the_views(
    known: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in known.env.items():
        monkeypatch.setenv(name, value)
    assert main(["erase", "--user", "ada", "--user", "ada-2", "--anonymous", "a1", "--yes"]) == 0
    for view in ("identities", "stitched", "people", "groups"):
        assert '"ada' not in json.dumps(rows_of(known, f"FROM {view}"), default=str)
    assert rows_of(known, "SELECT person FROM people") == [{"person": "bob"}]
