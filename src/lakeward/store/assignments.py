"""Sticky assignments in the app database: which variation a unit was given first.

In: units and assignments. Out: what is kept. Of two processes that assign the same unit at once the
first one wins. Fails as the database does. An erasure takes the rows of a person away.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from lakeward.store.database import Database
from lakeward.store.schema import ASSIGNMENTS

LONGEST: Final = {"attribute": 64, "value": 256, "experiment": 255, "variation": 255}


class Assignments:
    """The assignments of a database."""

    def __init__(self, database: Database, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._database = database
        self._now_ns = now_ns

    def fetch(self, units: Sequence[tuple[str, str]]) -> list[tuple[str, str, str, str]]:
        """Attribute, value, experiment and variation of every assignment of these units."""
        columns = ASSIGNMENTS.c
        query = select(
            columns.attribute, columns.value, columns.experiment, columns.variation
        ).where(tuple_(columns.attribute, columns.value).in_(list(units)))
        with self._database.read() as connection:
            return [(row[0], row[1], row[2], row[3]) for row in connection.execute(query)]

    def keep(self, rows: Sequence[Mapping[str, str]]) -> int:
        """Add those that are not there; how many were too long to be kept."""
        fit = [row for row in rows if all(len(row[name]) <= most for name, most in LONGEST.items())]
        if fit:
            now_ms = self._now_ns() // 1_000_000
            with self._database.write() as connection:
                _insert(connection, [{**row, "created_at": now_ms} for row in fit])
        return len(rows) - len(fit)


def _insert(connection: Connection, rows: list[dict[str, Any]]) -> None:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    connection.execute(dialect.insert(ASSIGNMENTS).on_conflict_do_nothing(), rows)
