"""Messages of a person who is erased: what waits is withdrawn, what went keeps no trace of whom.

In: a connection and the person's id. Out: how many rows there were. Fails as the database does.

Rows are the person's that name the id, or wait for it as an address; and those that name nobody
and are for the same recipient, as long as no other user is named for that recipient. The database
finds and changes them: none is loaded. A message that is under way cannot be called back: its
sender finds its lease gone.
"""

from __future__ import annotations

import re
from typing import Any, Final

from sqlalchemy import Connection, and_, case, func, or_, select, update

from lakeward.store.outbox import GONE
from lakeward.store.schema import OUTBOX

ERASED: Final = "erased"
PUNCTUATION: Final = re.compile(r"[ ().\u00a0-]")
_C = OUTBOX.c


def named(connection: Connection, value: str) -> int:
    """How many messages are the person's."""
    query = select(func.count()).select_from(OUTBOX).where(_of(_C, value))
    return connection.scalar(query) or 0


def withdraw(connection: Connection, value: str, now_ms: int) -> int:
    """Forget whose they are; nothing of them goes any more. How many there were."""
    waits = _C.final_at.is_(None)
    changes: dict[str, Any] = {
        column.name: case((column == value, ERASED), else_=column)
        for column in (_C.user_id, _C.session_id)
    }
    changes |= {
        "recipient_hash": ERASED,
        "state": case((waits, "failed"), else_=_C.state),
        "reason": case((waits, ERASED), else_=_C.reason),
        "final_at": func.coalesce(_C.final_at, now_ms),
    }
    # found before the first is changed: SQLite would look for the others among changed rows
    rows = OUTBOX.alias().c
    found = _C.outbox_id.in_(select(rows.outbox_id).where(_of(rows, value)))
    return connection.execute(update(OUTBOX).where(found).values(**changes, **GONE)).rowcount


def _of(columns: Any, value: str) -> Any:
    mine, other = OUTBOX.alias().c, OUTBOX.alias().c
    named_other = and_(other.user_id.is_not(None), other.user_id != value)
    recipients = []
    for name, none in (("recipient_hash", ERASED), ("address", "")):
        known = select(mine[name]).where(_names(mine, value), mine[name] != none)
        shared = select(other[name]).where(other[name].in_(known), named_other)
        column = func.coalesce(columns[name], none)
        recipients.append((column.in_(known), column.not_in(shared)))
    theirs, alone = zip(*recipients, strict=True)
    return or_(_names(columns, value), and_(columns.user_id.is_(None), or_(*theirs), *alone))


def _names(columns: Any, value: str) -> Any:
    """People write an e-mail address in any case, and a telephone number with any punctuation."""
    spelled = {value, value.strip().lower(), PUNCTUATION.sub("", value)}
    return or_(
        columns.user_id == value,
        columns.session_id == value,
        columns.address.in_(spelled),
        func.lower(columns.address).in_(spelled),
    )
