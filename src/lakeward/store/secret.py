"""Random keys that every host of an app database shares.

In: a database and a name. Out: 32 bytes, the same for all who ask, made by whoever asks first.
Fails as the database does.
"""

from __future__ import annotations

import secrets

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from lakeward.store.database import Database
from lakeward.store.schema import SECRETS


def shared_secret(database: Database, name: str) -> bytes:
    """The secret of that name."""
    known = select(SECRETS.c.value).where(SECRETS.c.name == name)
    with database.read() as connection:
        value = connection.scalar(known)
    if value is None:
        made = sqlite.insert(SECRETS) if database.path else postgresql.insert(SECRETS)
        row = {"name": name, "value": secrets.token_hex(32)}
        with database.write() as connection:
            # of two at once the second waits here for the first, and makes none
            connection.execute(made.values(row).on_conflict_do_nothing(index_elements=["name"]))
            value = connection.scalars(known).one()
    return bytes.fromhex(value)
