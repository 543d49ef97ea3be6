"""A question's statement as somebody may copy it into `lakeward query` or the page Explore.

In: a question. Out: one SELECT over the views of docs/query.md with the values in their places;
None for a question about what is no view, such as the quarantine. Pure; nothing fails.

It is what is asked, word for word, save that views of questions alone stand in front of it as CTEs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Final

from lakeward.analysis.question import Prepared, Question, Value
from lakeward.lake.dated import COMPUTED, DATED, STITCHED

PIECES: Final = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w+)""")
"""Texts and quoted names, which are left as they are, and parameters."""
BEGINS: Final = re.compile(r"\s*WITH\s+", re.IGNORECASE)
OWN: Final = {
    STITCHED: f"SELECT *, {COMPUTED} FROM stitched",
    DATED: f"SELECT *, {COMPUTED} FROM interactions",
}


def runnable(question: Question) -> str | None:
    """The statement that runs as it is copied."""
    if isinstance(question, Prepared):
        return None
    statement = question.sql()
    text = _valued(statement.text, statement.parameters)
    own = [f"{name} AS ({sql})" for name, sql in OWN.items() if re.search(rf"\b{name}\b", text)]
    if not own:
        return text
    begins = BEGINS.match(text)
    if begins is None:
        return f"WITH {', '.join(own)}\n{text}"
    return f"WITH {', '.join(own)},\n{text[begins.end() :]}"


def _valued(text: str, parameters: Mapping[str, Value]) -> str:
    def put(found: re.Match[str]) -> str:
        return literal(parameters[found[1]]) if found[1] in parameters else found[0]

    return PIECES.sub(put, text)


def literal(value: Value) -> str:
    """A value as DuckDB reads it, of the type that a parameter would have."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        said = f"{value}" if isinstance(value, int) or "e" in f"{value}" else f"{value}e0"
        return f"({said})" if value < 0 else said
    if isinstance(value, datetime):
        return f"TIMESTAMPTZ '{value.astimezone(UTC).isoformat(sep=' ')}'"
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    return "'" + value.replace("'", "''") + "'"
