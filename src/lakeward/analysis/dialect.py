"""Dialects: the one statement of a question as Spark and as Trino (Athena) say it.

In: a statement in the portable subset of DuckDB's SQL, with its parameters. Out: text for another
engine, in which every value is a literal that sqlglot has quoted. Fails with `Terminal` for what
cannot be said there, and with `MissingExtra` without sqlglot.

What sqlglot does not carry over rightly is put right here, each with a test that runs it:

    epoch_ms(t)              read as "from ms"; here always "to ms"
    make_timestamptz(us)     unknown to the others
    quantile_cont(x, q)      Spark: an aggregate of another form; Trino: approximate only
    t AT TIME ZONE z         Trino: keeps the zone, where a local time is meant
    isodow(t)                off by one day in Spark
    $p1                      the value, with its type
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from lakeward.analysis.question import Sql, Value
from lakeward.errors import MissingExtra, Terminal

if TYPE_CHECKING:
    from sqlglot import exp

Dialect = Literal["spark", "trino"]
APPROXIMATE: Final = "approx_percentile"
TRINO_FUNCTIONS: Final = frozenset(
    {
        "abs", "approx_percentile", "arbitrary", "at_timezone", "avg", "bool_and", "bool_or",
        "cardinality", "ceil", "ceiling", "coalesce", "concat", "count", "count_if", "date",
        "date_add", "date_diff", "date_trunc", "day_of_week", "dense_rank", "exp", "first_value",
        "floor", "from_unixtime", "greatest", "hour", "if", "json_extract_scalar", "lag",
        "last_value", "lead", "least", "length", "ln", "lower", "max", "max_by", "min", "min_by",
        "mod", "month", "nullif", "pow", "power", "rank", "regexp_like", "round", "row_number",
        "sqrt", "starts_with", "stddev_samp", "strpos", "substr", "substring", "sum",
        "to_unixtime", "trim", "truncate", "upper", "var_samp", "week", "year",
    }
)  # fmt: skip
"""Functions of Athena's engine version 3 that our statements may use."""


def translated(sql: Sql, dialect: Dialect) -> str:
    """The statement in another dialect."""
    try:
        from sqlglot import errors, exp, parse_one
    except ImportError:
        raise MissingExtra("Another engine's SQL", "engines") from None
    try:
        tree = parse_one(sql.text, read="duckdb")
        rules: dict[type[exp.Expression], Callable[[Any], exp.Expression]] = {
            exp.Placeholder: lambda node: _value(node, sql.parameters[node.name], dialect),
            exp.UnixToTime: lambda node: _to_ms(node.this, dialect),
            exp.Anonymous: lambda node: _unknown(node, dialect),
            exp.PercentileCont: lambda node: _percentile(node, dialect),
            exp.PercentileDisc: lambda node: _percentile(node, dialect),
            exp.AtTimeZone: lambda node: _local(node, dialect),
            exp.DayOfWeekIso: lambda node: _weekday(node, dialect),
        }

        for node in reversed(list(tree.find_all(*rules))):  # what is inside first
            node.replace(rules[type(node)](node))
        return tree.sql(dialect)
    except (errors.SqlglotError, KeyError, ValueError) as error:
        raise Terminal(f"this question cannot be asked in {dialect}: {error}") from None


def foreign_functions(text: str) -> set[str]:
    """Functions in Trino's SQL that are not on the list; empty is what is wanted."""
    import re

    from sqlglot import ErrorLevel, exp, parse_one

    tree = parse_one(text, read="trino", error_level=ErrorLevel.RAISE)
    said = {str(node.name).lower() for node in tree.find_all(exp.Anonymous)}
    names = set(re.findall(r"\b([a-z_]+)\(", re.sub(r"'(?:[^']|'')*'", "''", text.lower())))
    words = {"as", "in", "and", "or", "not", "over", "filter", "when", "then", "else", "from",
             "where", "join", "on", "select", "cast", "try_cast", "values", "by", "all", "with",
             "exists", "timestamp", "decimal", "varchar", "is", "union", "case"}  # fmt: skip
    return (said | names) - TRINO_FUNCTIONS - words


def _value(node: exp.Placeholder, value: Value, dialect: Dialect) -> exp.Expression:
    """A parameter's value; a path into JSON as the dialect spells it."""
    from sqlglot import exp

    if isinstance(node.parent, exp.JSONExtractScalar) and isinstance(value, str):
        quote = "'" if dialect == "spark" else '"'
        steps = value.removeprefix('$."').removesuffix('"').split('"."')
        return exp.Literal.string("$" + "".join(f"[{quote}{step}{quote}]" for step in steps))
    return _literal(value)


def _literal(value: Value) -> exp.Expression:
    """A value with its type; text is quoted when the tree is written."""
    from sqlglot import exp

    if isinstance(value, bool):
        return exp.true() if value else exp.false()
    if isinstance(value, int):
        return exp.cast(exp.Literal.number(value), "bigint")
    if isinstance(value, float):
        return exp.cast(exp.Literal.string(repr(value)), "double")
    if isinstance(value, datetime):
        text = value.astimezone(UTC).isoformat(" ", "microseconds").removesuffix("+00:00")
        return exp.cast(exp.Literal.string(f"{text} UTC"), "timestamptz")
    if isinstance(value, date):
        return exp.cast(exp.Literal.string(value.isoformat()), "date")
    return exp.Literal.string(value)


def _to_ms(moment: exp.Expression, dialect: Dialect) -> exp.Expression:
    """Milliseconds since 1970 of a moment, or of a local time as if it were UTC."""
    from sqlglot import exp

    if dialect == "spark":
        return exp.Anonymous(this="unix_millis", expressions=[exp.cast(moment, "timestamptz")])
    seconds = exp.Anonymous(this="to_unixtime", expressions=[moment])
    rounded = exp.Round(this=exp.Mul(this=seconds, expression=exp.Literal.number(1000)))
    return exp.cast(rounded, "bigint")


def _unknown(node: exp.Anonymous, dialect: Dialect) -> exp.Expression:
    from sqlglot import exp

    name = str(node.this).lower()
    if name == "make_timestamptz":
        (us,) = node.expressions
        if dialect == "spark":
            return exp.Anonymous(this="timestamp_micros", expressions=[exp.cast(us, "bigint")])
        seconds = exp.Div(
            this=exp.cast(us, "double"), expression=exp.Literal.number(1_000_000), typed=True
        )
        return exp.Anonymous(this="from_unixtime", expressions=[seconds])
    raise ValueError(f"nobody knows how to say {name} there")


def _percentile(node: exp.Expression, dialect: Dialect) -> exp.Expression:
    from sqlglot import exp

    if dialect == "trino":
        return exp.Anonymous(
            this=APPROXIMATE, expressions=[node.this, node.args["expression"]]
        )  # fmt: skip
    share = node.args["expression"]
    if isinstance(node, exp.PercentileCont):
        return exp.Anonymous(this="percentile", expressions=[node.this, share])
    order = exp.Order(expressions=[exp.Ordered(this=node.this, nulls_first=True)])
    disc = exp.Anonymous(this="percentile_disc", expressions=[share])
    return exp.WithinGroup(this=disc, expression=order)


def _local(node: exp.AtTimeZone, dialect: Dialect) -> exp.Expression:
    from sqlglot import exp

    if dialect == "spark":
        return node
    return exp.cast(exp.Anonymous(this="at_timezone", expressions=[node.this, node.args["zone"]]),
                    "timestamp")  # fmt: skip


def _weekday(node: exp.Expression, dialect: Dialect) -> exp.Expression:
    from sqlglot import exp

    if dialect == "trino":
        return node
    return exp.Add(
        this=exp.Anonymous(this="weekday", expressions=[node.this]),
        expression=exp.Literal.number(1),
    )
