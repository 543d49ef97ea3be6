"""A first form of what is to come."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lakeward.lake.columns import ENRICHED

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def register(con: DuckDBPyConnection, geo: Path | None) -> None:
    """Nothing yet."""


def columns() -> str:
    """The select list of the enriched columns."""
    return ", ".join(f"NULL::{kind} AS {name}" for name, kind in ENRICHED.items())
