"""What `doctor` says of messages: how many wait, since when, and what carries them.

In: settings. Out: an account without any address, or None where there is no outbox. Never raises: a
database that is away is a sentence. The database is looked at as it is, never made or upgraded.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import msgspec

from lakeward.errors import LakewardError
from lakeward.interaction import iso
from lakeward.lakedir import open_lake
from lakeward.settings import Settings

if TYPE_CHECKING:  # behind an extra
    from lakeward.store.database import Database


class MessagesAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Messages of an outbox; `unsure` ones are counted in `waiting`, too."""

    waiting: int = 0
    unsure: int = 0
    oldest: str | None = None
    kinds: dict[str, int] = {}
    carriers: dict[str, str] = {}
    error: str = ""


def look(settings: Settings) -> MessagesAccount | None:
    """Look into the app database, if there is one."""
    if not all(map(find_spec, ("sqlalchemy", "alembic"))):
        return None
    try:
        with _database(settings) as database:
            return _account(database, settings)
    except FileNotFoundError:
        return None
    except LakewardError as error:
        return MessagesAccount(error=str(error))


def _database(settings: Settings) -> Database:
    from lakeward.store.database import postgresql, sqlite

    if settings.database_url:
        return postgresql(settings.database_url)
    private = open_lake(settings.lake_dir, create=False).private
    if not (private / "app.db").exists():
        raise FileNotFoundError
    return sqlite(private, read_only=True)


def _account(database: Database, settings: Settings) -> MessagesAccount | None:
    from lakeward.messaging.carriers import is_live, missing
    from lakeward.messaging.message import CHANNELS
    from lakeward.store.migration import is_current
    from lakeward.store.outbox import Outbox

    with database.read() as connection:
        if not is_current(connection):
            return None
    outbox = Outbox(database)
    kinds, oldest = outbox.kinds(), outbox.waiting(1)
    carriers: dict[str, str] = dict.fromkeys(CHANNELS, "console")
    for channel in CHANNELS if is_live(settings) else ():
        absent = ", ".join(name.upper() for name in missing(settings, channel))
        carriers[channel] = f"needs {absent}" if absent else "configured"
    return MessagesAccount(
        waiting=sum(kinds.values()),
        unsure=outbox.counts()["unsure"],
        oldest=iso(oldest[0].created_at) if oldest else None,
        kinds={str(kind): n for kind, n in kinds.items()},
        carriers=carriers,
    )


def sentence(account: MessagesAccount) -> str:
    """The account on one line."""
    if account.error:
        return f"cannot be looked at: {account.error}"
    waits = f"{account.waiting:,} wait"
    if account.waiting:
        kinds = ", ".join(f"{n:,} {kind}" for kind, n in sorted(account.kinds.items()))
        waits += f" ({kinds}), {account.unsure:,} of them unsure, the oldest of {account.oldest}"
    return waits + "; " + ", ".join(f"{name} {how}" for name, how in account.carriers.items())
