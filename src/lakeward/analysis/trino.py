"""What may be sent to Athena: statements that parse strictly as Trino's, of listed parts alone.

In: Trino's SQL. Out: its parts that are not on the lists here, of which nothing must be left: names
of functions, kinds of expressions, types. Fails with `Terminal` for what does not parse. What is
not listed is never sent, so that a construct that sqlglot carries over wordless is found here and
not on AWS.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from lakeward.errors import MissingExtra, Terminal

if TYPE_CHECKING:
    from sqlglot import exp

FUNCTIONS: Final = frozenset(
    {
        "abs", "approx_percentile", "at_timezone", "avg", "bool_and", "bool_or", "ceil", "ceiling",
        "coalesce", "concat", "count", "covar_samp", "date_trunc", "day_of_week", "dense_rank",
        "first_value", "floor", "from_unixtime", "greatest", "hour", "if", "json_extract_scalar",
        "lag", "last_value", "lead", "least", "length", "lower", "max", "max_by", "min", "min_by",
        "mod", "month", "nullif", "rank", "round", "row_number", "sqrt", "starts_with",
        "stddev_samp", "strpos", "substr", "substring", "sum", "to_unixtime", "trim", "upper",
        "var_samp", "variance", "year",
    }
)  # fmt: skip
"""Functions of Athena's engine version 3 that our statements use."""
NODES: Final = frozenset(
    {
        "Abs", "Add", "Alias", "And", "ApproxQuantile", "ArgMax", "ArgMin", "Avg", "Between",
        "Boolean", "CTE", "Case", "Cast", "Ceil", "Coalesce", "Column", "Concat", "Count",
        "CovarSamp", "DPipe", "DataType", "DataTypeParam", "DayOfWeek", "DayOfWeekIso", "DenseRank",
        "Distinct", "Div", "EQ", "Except", "Exists", "Filter", "FirstValue", "Floor", "From", "GT",
        "GTE", "Greatest", "Group", "Having", "Hour", "Identifier", "If", "In", "Is",
        "JSONExtractScalar", "JSONPath", "JSONPathKey", "JSONPathRoot", "Join", "LT", "LTE", "Lag",
        "LastValue", "Lead", "Least", "Length", "Limit", "Literal", "LogicalAnd", "LogicalOr",
        "Lower", "Max", "Min", "Mod", "Month", "Mul", "NEQ", "Neg", "Not", "Null", "NullSafeEQ",
        "NullSafeNEQ", "Nullif", "Or", "Order", "Ordered", "Paren", "Rank", "Round", "RowNumber",
        "Select", "Sqrt", "Star", "StartsWith", "Stddev", "StddevSamp", "StrPosition", "Sub",
        "Subquery", "Substring", "Sum", "Table", "TableAlias", "TimeToUnix", "TimestampTrunc",
        "Trim", "TryCast", "Tuple", "Union", "UnixToTime", "Upper", "Var", "Variance", "Where",
        "Window", "WindowSpec", "With", "Year",
    }
)  # fmt: skip
"""Kinds of expressions: no lists, lambdas, structs, QUALIFY, statements that change anything."""
TYPES: Final = frozenset(
    {"BIGINT", "BOOLEAN", "DATE", "DOUBLE", "INTEGER", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE",
     "VARCHAR"}
)  # fmt: skip
WORDS: Final = frozenset(
    {"all", "and", "as", "by", "case", "cast", "else", "except", "exists", "filter", "from", "in",
     "is", "join", "not", "on", "or", "over", "select", "then", "try_cast", "union", "values",
     "when", "where", "with"}
)  # fmt: skip
"""Words that a parenthesis may follow without a call."""
LONGEST: Final = 262_144
"""Bytes of a statement that Athena takes."""


def check(text: str) -> None:
    """Refuse what must not be sent."""
    if found := foreign(text):
        raise Terminal(
            f"this question cannot be asked of Athena: {', '.join(sorted(found))} is not on the "
            "list of what Athena surely has"
        )
    if (size := len(text.encode())) > LONGEST:
        raise Terminal(
            f"this question's SQL has {size} bytes and Athena takes {LONGEST}: name fewer values"
        )


def foreign(text: str) -> set[str]:
    """Parts that are not on the lists; empty is what is wanted."""
    from sqlglot import exp

    tree = _parsed(text)
    found = {
        type(node).__name__
        for node in tree.walk()
        if type(node).__name__ not in NODES and not isinstance(node, exp.Anonymous)
    }
    for window in tree.find_all(exp.Window):  # Trino has neither over a window
        if isinstance(window.this, exp.Filter):
            found.add("FILTER … OVER")
        if window.this.find(exp.Distinct):
            found.add("DISTINCT … OVER")
    for number in tree.find_all(exp.Literal):
        if not number.is_string and re.fullmatch(r"[0-9]*\.[0-9]*", str(number.this)):
            found.add("a decimal")  # its mean has no more digits than it
    found |= {kind for node in tree.find_all(exp.DataType) if (kind := _type(node)) not in TYPES}
    return found | foreign_functions(text)


def foreign_functions(text: str) -> set[str]:
    """Names of functions that are not on the list."""
    from sqlglot import exp

    said = {str(node.name).lower() for node in _parsed(text).find_all(exp.Anonymous)}
    bare = re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", "''", text)
    names = set(re.findall(r"\b([a-z_][a-z_0-9]*)\s*\(", bare.lower()))
    aliases = set(re.findall(r"\b([a-z_][a-z_0-9]*)\s*\([^()]*\) as \(", bare.lower()))
    return (said | names) - FUNCTIONS - WORDS - aliases - {"timestamp"}


def _type(node: exp.DataType) -> str:
    return node.sql("trino").partition("(")[0]


def _parsed(text: str) -> exp.Query:
    try:
        from sqlglot import ErrorLevel, errors, exp, parse
    except ImportError:
        raise MissingExtra("Another engine's SQL", "engines") from None
    try:
        trees = parse(text, read="trino", error_level=ErrorLevel.RAISE)
    except errors.SqlglotError as error:
        line = str(error).partition(".")[0]
        raise Terminal(f"this question's SQL is not Trino's: {line}") from None
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise Terminal("a question is one SELECT: this is something else")
    return trees[0]
