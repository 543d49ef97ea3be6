"""What the guard takes for a question, and that it takes nothing else."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacks_sql import ATTACKS, QUESTIONS
from lakeward.catalog import TYPES
from lakeward.errors import Rejected
from lakeward.lake.functions import SCALARS, TABLES
from lakeward.lake.guard import LONGEST, NODES, check, parser
from lakeward.lake.jailed import VIEWS

shared = functools.cache(parser)
"""One for all: making a database takes longer than what it does here."""
PLACES = {"out": "x.out", "secret": "secret.csv", "folder": "."}


def filled(sql: str, places: dict[str, str] = PLACES) -> str:
    for name, value in places.items():
        sql = sql.replace("{" + name + "}", value)
    return sql


def taken(sql: str, views: Iterable[str]) -> None:
    check(sql, views, shared())


def test_a_check_alone_needs_no_parser() -> None:
    check("SELECT 1", VIEWS)
    with pytest.raises(Rejected):
        check("COPY a TO 'b'", VIEWS)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_in_one_sentence(name: str) -> None:
    with pytest.raises(Rejected) as refused:
        taken(filled(ATTACKS[name]), VIEWS)
    assert "\n" not in str(refused.value)
    assert str(refused.value)


@pytest.mark.parametrize("sql", QUESTIONS)
def test_a_question_passes(sql: str) -> None:
    taken(sql, VIEWS)


def test_the_views_are_interactions_every_known_type_and_what_is_worked_out() -> None:
    assert set(VIEWS) == {
        "interactions", *TYPES, "identities", "stitched", "people", "groups", "bookings", "deals",
        "matches", "flow_runs", "ai_turns", "ai_ratings_current",
        "ai_told_twice",
    }  # fmt: skip
    for view in VIEWS:
        taken(f'SELECT count(*) FROM "{view}"', VIEWS)


def test_only_the_views_that_are_given_can_be_asked() -> None:
    with pytest.raises(Rejected, match="none of the lake's views"):
        taken("SELECT * FROM click", ["interactions"])


def test_a_cte_ends_with_the_select_that_it_belongs_to() -> None:
    taken("SELECT * FROM (WITH a AS (SELECT 1) FROM a)", VIEWS)
    for sql in (
        "SELECT * FROM (WITH a AS (SELECT 1) FROM a), a",
        "WITH a AS (WITH b AS (SELECT 1) FROM b) SELECT * FROM b",
        "WITH a AS (FROM b), b AS (SELECT 1) FROM a",
        "SELECT (WITH a AS (SELECT 1) SELECT 1) FROM a",
    ):
        with pytest.raises(Rejected, match="none of the lake's views"):
            taken(sql, VIEWS)


def test_a_name_of_other_letters_is_no_view() -> None:
    for name in ("clic\u212a", "ＣＬＩＣＫ", "click "):  # noqa: RUF001 - letters that look alike
        with pytest.raises(Rejected):
            taken(f'SELECT * FROM "{name}"', VIEWS)
    with pytest.raises(Rejected):
        taken('SELECT "\u212aurtosis"(1)', VIEWS)


REFUSED = re.compile(
    r"__internal_|__cast$|__between$|(icu_)?collate_|icu_|has_\w+_privilege$|pg_|inet_|st_|variant_"
    r"|json_(de)?serialize_|json_copy_|map_to_pg|map_type_id"
    r"|(curr|next|set)val$|current_(?!date$|local)|(session_)?user$|(col|obj|shobj)_description$"
    r"|(get|make|replace|vector)_type$|format_(pg_)?type$|cast_to_type$|can_cast_implicitly$"
    r"|(combine|combine_aggr|finalize|to_aggregate_state|constant_or_null|sum_no_overflow)$"
    r"|(create_sort_key|index_key|remap_struct|stats|bitstring_byte_comparable|vertex_extract)$"
    r"|(timetz_byte_comparable|array_to_string_comma_default|hive_partition_component)$"
    r"|(alias|assert_true|error|getvariable|get_block_size|in_search_path|invoke|setseed)$"
    r"|(parse_duckdb_log_message|sleep_ms|txid_current|version|write_log)$"
)
"""Functions that someone has looked at and left out, by why: internals, the catalog, settings and
variables, text of queries, waiting, writing."""


def functions(kinds: tuple[str, ...]) -> set[str]:
    with duckdb.connect() as con:
        found = con.execute(
            "SELECT DISTINCT lower(function_name) FROM duckdb_functions() "
            "WHERE list_contains(?, function_type)",
            [list(kinds)],
        ).fetchall()
    return {name for (name,) in found}


SCALAR_KINDS = ("scalar", "macro", "aggregate", "window")


def test_every_function_of_duckdb_is_allowed_or_known_to_be_left_out() -> None:
    """A newer DuckDB fails here until someone has looked at what it brings."""
    there = {name for name in functions(SCALAR_KINDS) if " " not in name}
    unknown = {name for name in there - SCALARS if not REFUSED.match(name)}
    assert unknown == set()
    assert {name for name in SCALARS if REFUSED.match(name)} == set()
    assert SCALARS - there <= {"unnest"}
    assert TABLES - functions(("table",)) == set()


def test_no_function_that_reads_or_waits_is_allowed() -> None:
    words = [
        "read", "scan", "file", "glob", "duckdb", "pragma", "secret", "setting", "query", "execute",
        "serialize", "sniff", "parquet", "log_", "sleep", "env", "table",
    ]  # fmt: skip
    harmless = {
        "parse_filename", "regexp_split_to_table",
        "formatreadablesize", "formatreadabledecimalsize",
    }  # fmt: skip
    suspicious = {n for n in SCALARS | TABLES if any(word in n for word in words)} - harmless
    assert suspicious == set()


def test_every_function_that_is_not_allowed_is_refused_wherever_it_stands() -> None:
    others = functions((*SCALAR_KINDS, "table", "table_macro", "pragma"))
    for name in sorted(others):
        quoted = f'"{name}"'
        if name not in SCALARS:
            for sql in (
                f"SELECT {quoted}(1)",
                f"SELECT 1 ORDER BY list_filter([1], lambda x: {quoted}(x))",
            ):
                with pytest.raises(Rejected):
                    taken(sql, VIEWS)
        if name not in TABLES:
            with pytest.raises(Rejected):
                taken(f"FROM {quoted}('a')", VIEWS)


def test_an_unknown_node_of_the_tree_is_refused() -> None:
    """What a newer DuckDB parses into is not walked past."""
    assert not {"INSERT_QUERY_NODE", "DELETE_QUERY_NODE", "UPDATE_QUERY_NODE"} & NODES
    assert "VALUE_PARAMETER" not in NODES


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("SELECT '" + "a" * LONGEST + "'", "at most"),
        ("SELECT " + "(" * 3000 + "1" + ")" * 3000, "depth"),
        ("SELECT " + "NOT " * 3000 + "true", "depth|deep"),
        ("SELECT " + "[" * 900 + "]" * 900, "deep"),
        ("SELECT '\ud800'", "Unicode"),
        ("SELECT 1\0; COPY a TO b", "NUL"),
        ("SELEC 1", "syntax error"),
        ("SELECT 1;; SELECT 2", "exactly one"),
    ],
    ids=lambda value: value[:12],
)
def test_what_cannot_be_read_is_refused(sql: str, word: str) -> None:
    with pytest.raises(Rejected, match=word):
        taken(sql, VIEWS)


PIECES = [
    "SELECT", "FROM", "interactions", "click", "(", ")", ",", ";", "*", "1", "'a.csv'", '"a.csv"',
    "WITH", "a", "AS", "read_text", "count", "UNION ALL", "JOIN", "ON true", "WHERE", "COPY", "TO",
    "PIVOT", "IN", "DESCRIBE", "VALUES", "--", "/*", "*/", "\n", "$$", "x -> x", "lambda x: x", "[",
    "]", "{", "}", "::", "INSERT INTO", "DELETE FROM", "?", "$1", "LATERAL", "RECURSIVE", "\0",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=14).map(" ".join))
def test_whatever_the_text_it_is_taken_or_refused(sql: str) -> None:
    try:
        taken(sql, VIEWS)
    except Rejected as error:
        said = str(error)
    else:
        said = ""
        assert not _tables(sql) & {"a.csv"}
    assert "\n" not in said


def _tables(sql: str) -> set[str]:
    """The tables that DuckDB itself finds in a query."""
    found: set[Any] = shared().get_table_names(sql)
    return {str(name).strip('"') for name in found}
