"""Which SQL is a question: one SELECT over the lake's views, with functions that only compute.

In: SQL of anybody and the names of the views. Out: nothing, or `Rejected` with one sentence that
says what is refused. It reads no file and runs nothing: DuckDB parses the text and hands the tree
over as JSON, which is walked here.

The walk knows what is allowed and refuses the rest, so that syntax which a newer DuckDB brings is
refused until someone has looked at it:

    statement   exactly one, of SELECT (so VALUES, FROM …, DESCRIBE and SUMMARIZE of one)
    table       a view of the lake or a CTE in scope, by its bare name; never a file's name
    function    of `functions.SCALARS`, in FROM of `functions.TABLES`
    node        of `NODES`
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, cast

import msgspec

from lakeward.errors import MissingExtra, Rejected
from lakeward.lake.functions import SCALARS, TABLES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LONGEST: Final = 256 << 10
"""Bytes of one query; nobody writes a longer one by hand."""

NODES: Final = frozenset(
    {
        "SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE",
        "BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EMPTY", "EXPRESSION_LIST", "PIVOT",
        "SHOW_REF",
        "ORDER_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "DISTINCT_MODIFIER",
        "ORDER_DEFAULT", "ASCENDING", "DESCENDING",
        "VALUE_CONSTANT", "VALUE_DEFAULT", "VALUE_NULL", "COLUMN_REF", "POSITIONAL_REFERENCE",
        "STAR", "FUNCTION", "LAMBDA", "LAMBDA_REF", "CASE_EXPR", "OPERATOR_CAST", "TYPE", "COLLATE",
        "CONJUNCTION_AND", "CONJUNCTION_OR",
        "COMPARE_EQUAL", "COMPARE_NOTEQUAL", "COMPARE_LESSTHAN", "COMPARE_GREATERTHAN",
        "COMPARE_LESSTHANOREQUALTO", "COMPARE_GREATERTHANOREQUALTO", "COMPARE_DISTINCT_FROM",
        "COMPARE_NOT_DISTINCT_FROM", "COMPARE_IN", "COMPARE_NOT_IN", "COMPARE_BETWEEN",
        "OPERATOR_NOT", "OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL", "OPERATOR_COALESCE",
        "OPERATOR_NULLIF", "OPERATOR_TRY", "OPERATOR_UNPACK", "GROUPING_FUNCTION",
        "ARRAY_CONSTRUCTOR", "ARRAY_EXTRACT", "ARRAY_SLICE", "STRUCT_EXTRACT",
        "WINDOW_AGGREGATE", "WINDOW_ROW_NUMBER", "WINDOW_RANK", "WINDOW_RANK_DENSE",
        "WINDOW_PERCENT_RANK", "WINDOW_CUME_DIST", "WINDOW_NTILE", "WINDOW_LEAD", "WINDOW_LAG",
        "WINDOW_FIRST_VALUE", "WINDOW_LAST_VALUE", "WINDOW_NTH_VALUE", "WINDOW_FILL",
    }
)  # fmt: skip
"""What may stand in the tree: statements, tables, modifiers and expressions."""

PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""Names of CTEs: never such that, where it is out of scope, a file could be meant."""

Node = Mapping[str, object]
Scope = frozenset[str]


class _Parsed(msgspec.Struct):
    """What `json_serialize_sql` answers."""

    error: bool = False
    error_type: str = ""
    error_message: str = ""
    statements: list[dict[str, object]] = []


def check(sql: str, views: Iterable[str], con: DuckDBPyConnection | None = None) -> None:
    """Return when `sql` is one question over `views`; else `Rejected`.

    `con` is a `parser()` for who checks many.
    """
    statement = _parsed(sql, con)
    try:
        _walk(statement, frozenset(name.lower() for name in views))
    except RecursionError:
        raise Rejected("the query is nested too deeply") from None


def _parsed(sql: str, con: DuckDBPyConnection | None) -> Node:
    """The tree of the one statement."""
    try:
        size = len(sql.encode())
    except UnicodeEncodeError:
        raise Rejected("the query is no valid Unicode text") from None
    if size > LONGEST:
        raise Rejected(f"the query has {size} bytes; at most {LONGEST} are taken")
    if "\0" in sql:
        raise Rejected("the query holds a NUL character")
    if con is None:
        with parser() as con:
            parsed = _serialized(con, sql)
    else:
        parsed = _serialized(con, sql)
    if parsed.error:
        if parsed.error_type == "not implemented":
            raise Rejected(
                "only SELECT is allowed: one statement that reads (PIVOT needs FROM … PIVOT (…) "
                "with its values)"
            )
        raise Rejected(f"the query cannot be read: {one_line(parsed.error_message)}")
    if len(parsed.statements) != 1:
        raise Rejected(f"exactly one statement is allowed, not {len(parsed.statements)}")
    return parsed.statements[0]


def _serialized(con: DuckDBPyConnection, sql: str) -> _Parsed:
    import duckdb

    try:
        row = con.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
        return msgspec.json.decode(cast(tuple[str], row)[0], type=_Parsed)
    except (duckdb.Error, msgspec.DecodeError, RecursionError):
        raise Rejected("the query cannot be read: its syntax tree is too deep or broken") from None


def parser() -> DuckDBPyConnection:
    """A database of its own that can reach nothing, to parse in."""
    try:
        import duckdb
    except ImportError:
        raise MissingExtra("Asking the lake", "lake") from None
    return duckdb.connect(
        config={
            "enable_external_access": "false", "autoload_known_extensions": "false",
            "autoinstall_known_extensions": "false", "lock_configuration": "true", "threads": "1",
        }
    )  # fmt: skip


def _walk(part: object, scope: Scope) -> None:
    """Refuse what is not known to be harmless in this part of the tree."""
    if isinstance(part, list):
        for each in part:
            _walk(each, scope)
    elif isinstance(part, dict):
        _walk_node(cast(Node, part), scope)


def _walk_node(node: Node, scope: Scope) -> None:
    kind = node.get("type")
    if isinstance(kind, str) and kind not in NODES:
        raise Rejected(f"{_spoken(kind)} is not allowed in a query")
    if node.get("named_param_map"):
        raise Rejected("parameters ($1, ?) have no value here: write the value into the query")
    if node.get("at_clause"):
        raise Rejected("AT (…) is not allowed: a query sees the lake as it is now")
    if kind == "BASE_TABLE":
        _check_table(node, scope)
    elif kind == "SHOW_REF":
        _check_description(node)
    if "function_name" in node:
        _check_function(node)
    elif kind == "TABLE_FUNCTION":
        node = _checked_table_function(node, scope)
    scope = _with_ctes(node, scope)
    for name, value in node.items():
        if name != "cte_map":
            _walk(value, scope)


def _with_ctes(node: Node, scope: Scope) -> Scope:
    """The scope inside a node; each CTE is walked in the scope that it has itself."""
    if node.get("type") == "RECURSIVE_CTE_NODE":
        scope |= {_plain(node.get("cte_name"))}
    for entry in _entries(node.get("cte_map")):
        _walk(entry.get("value"), scope)
        scope |= {_plain(entry.get("key"))}
    return scope


def _entries(cte_map: object) -> Iterable[Node]:
    entries = cte_map.get("map", []) if isinstance(cte_map, dict) else []
    return cast(list[Node], entries)


def _plain(name: object) -> str:
    if not isinstance(name, str) or not PLAIN.fullmatch(name):
        raise Rejected(f"{_quoted(name)} is no name for a CTE: use letters, digits and underscores")
    return name.lower()


def _path(node: Node) -> list[str]:
    qualified = node.get("qualified_name")
    path = qualified.get("path", []) if isinstance(qualified, dict) else []
    return cast(list[str], path)


def _check_table(node: Node, scope: Scope) -> None:
    path = _path(node)
    known = len(path) == 1 and path[0].isascii() and path[0].lower() in scope
    if not known or node.get("table_name") != path[0]:
        raise Rejected(
            f"{_quoted('.'.join(path))} is none of the lake's views: ask interactions or the name "
            "of a type, without a schema"
        )


def _check_description(node: Node) -> None:
    """DESCRIBE and SUMMARIZE of a query are questions; SHOW TABLES and the like look elsewhere."""
    if node.get("show_type") not in ("DESCRIBE", "SUMMARY") or not node.get("query"):
        raise Rejected("SHOW is not allowed: DESCRIBE interactions lists the columns")


def _check_function(node: Node, allowed: frozenset[str] = SCALARS) -> None:
    path = _path(node)
    name = node.get("function_name")
    if path not in ([], [name]):
        raise Rejected(f"{_quoted('.'.join(path))}: functions have no schema here")
    if not isinstance(name, str) or not name.isascii() or name.lower() not in allowed:
        where = " in FROM" if allowed is TABLES else ""
        raise Rejected(f"the function {_quoted(name)} is not allowed{where}: see docs/query.md")


def _checked_table_function(node: Node, scope: Scope) -> Node:
    """The node without its function, which has been looked at: in FROM others are allowed."""
    function = node.get("function")
    if not isinstance(function, dict) or function.get("type") != "FUNCTION":
        raise Rejected("only a function call may stand there in FROM")
    _check_function(function, TABLES)
    for name, value in function.items():
        if name != "function_name":
            _walk(value, scope)
    return {name: value for name, value in node.items() if name != "function"}


def one_line(text: str) -> str:
    """What DuckDB says of a query, which may quote it: on one line, printable and not long."""
    words = " ".join(text.split())
    said = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)
    return said if len(said) <= 300 else said[:299] + "…"


def _quoted(name: object) -> str:
    text = str(name)
    return repr(text if len(text) <= 60 else text[:59] + "…")


def _spoken(kind: str) -> str:
    return kind.lower().removesuffix("_node").removesuffix("_query").replace("_", " ").upper()
