"""Views that are worked out when they are asked: identities, what became of outcomes, AI
turns and their ratings.

In: a query. Out: the views that it may name, made in the order in which they stand on each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lakeward.lake import conversations, identity, outcomes, runs

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

VIEWS: Final[dict[str, str]] = identity.VIEWS | outcomes.VIEWS | runs.VIEWS | conversations.VIEWS
"""The select of each view by its name."""
DESCRIBED: Final = " UNION ALL ".join(
    f"SELECT '{name}', column_name, column_type FROM (DESCRIBE FROM {name})" for name in VIEWS
)
"""The query whose answer are the columns of all of them: view, name, type."""


def asked(sql: str) -> bool:
    """Whether a query may ask one of the views: they take longer to set up than a lake to open."""
    folded = sql.lower()
    return any(name in folded for name in VIEWS)


def create(con: DuckDBPyConnection) -> None:
    """The views, where those of the types are."""
    for name, select in VIEWS.items():
        con.execute(f'CREATE VIEW IF NOT EXISTS "{name}" AS {select}')
