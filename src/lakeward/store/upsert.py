"""Inserting what may be there already: of two at once one inserts, and the other is told so.

In: a connection inside a transaction, a table and a row. Out: whether it was inserted; a row of the
same key or the same unique names stands there otherwise, and can be read. Fails as the database
does. Both databases say it the same way, without an error that would end the transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def added(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert the row, unless one of the table's unique names is taken."""
    on_sqlite = connection.dialect.name == "sqlite"
    made: Any = sqlite.insert(table) if on_sqlite else postgresql.insert(table)
    first = next(iter(table.primary_key.columns))
    done = made.values(dict(values)).on_conflict_do_nothing().returning(first)
    return connection.scalar(done) is not None
