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
    1.0                      a decimal there, whose mean has no more digits than it; here a double
    $p1                      the value, with its type
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from lakeward.analysis.question import Sql, Value
from lakeward.errors import MissingExtra, Terminal

if TYPE_CHECKING:
    from sqlglot import exp

Dialect = Literal["spark", "trino"]
APPROXIMATE: Final = "approx_percentile"


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
            exp.Literal: _double,
        }

        for node in reversed(list(tree.find_all(*rules))):  # what is inside first
            node.replace(rules[type(node)](node))
        return tree.sql(dialect)
    except (errors.SqlglotError, KeyError, ValueError) as error:
        raise Terminal(f"this question cannot be asked in {dialect}: {error}") from None


def _double(node: exp.Literal) -> exp.Expression:
    """A number with a point as a double; anything else as it is."""
    from sqlglot import exp

    text = str(node.this)
    decimal = not node.is_string and "." in text and "e" not in text.lower()
    return exp.Literal.number(f"{text}e0") if decimal else node


def _value(node: exp.Placeholder, value: Value, dialect: Dialect) -> exp.Expression:
    """A parameter's value; a path into JSON as the dialect spells it."""
    from sqlglot import exp

    if isinstance(node.parent, exp.JSONExtractScalar) and isinstance(value, str):
        quote = "'" if dialect == "spark" else '"'
        steps = value.removeprefix('$."').removesuffix('"').split('"."')
        return exp.Literal.string("$" + "".join(f"[{quote}{step}{quote}]" for step in steps))
    return _literal(value, dialect)


def _literal(value: Value, dialect: Dialect) -> exp.Expression:
    """A value with its type; text is quoted when the tree is written."""
    from sqlglot import exp

    if isinstance(value, bool):
        return exp.true() if value else exp.false()
    if isinstance(value, int):
        return exp.cast(exp.Literal.number(value), "bigint")
    if isinstance(value, float):
        return exp.cast(exp.Literal.string(repr(value)), "double")
    if isinstance(value, datetime):
        digits = "microseconds"
        if dialect == "trino":  # its type has milliseconds, as records do: before and from stay so
            value, digits = (
                value + timedelta(microseconds=-value.microsecond % 1000),
                "milliseconds",
            )
        text = value.astimezone(UTC).isoformat(" ", digits).removesuffix("+00:00")
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
