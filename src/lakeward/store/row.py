"""A row of the app database as the frozen struct that stands for it.

In: a row. Out: a struct; columns that it does not have are left out. Fails with `Unreadable` naming
table and field, never the value, when somebody else wrote what does not fit.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
from sqlalchemy import RowMapping

from lakeward.errors import Unreadable

S = TypeVar("S", bound=msgspec.Struct)


def record(row: RowMapping, kind: type[S]) -> S:
    """`row` as a `kind`."""
    try:  # SQLAlchemy's names of columns are a kind of str that msgspec does not take
        return msgspec.convert({str(name): value for name, value in row.items()}, kind)
    except msgspec.ValidationError as error:
        raise Unreadable(
            f"a {kind.__name__.lower()} in the app database cannot be read ({error}): "
            "restore it from a backup"
        ) from None
