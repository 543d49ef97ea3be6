"""Erasing a witness: what a person said of a partner goes whole, and the score is made anew.

In: a connection and an id: the app's, a witness's own, an e-mail address or a telephone number.
Out: how many rows there were. Fails as the database does. Scores that were given stay as they are,
but name `erased` where they named the person; analyses that quote the person go.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, delete, func, or_, select, update

from lakeward.store.evidence_schema import (
    ANALYSES,
    CHANGES,
    CLAIMS,
    INVITATIONS,
    RESPONSES,
    SCORES,
    WITNESSES,
)
from lakeward.store.schema import AUDIT
from lakeward.store.withdrawal import ERASED, PUNCTUATION

_W: Final = WITNESSES.c


def witnesses(connection: Connection, value: str) -> list[str]:
    """The ids of the witnesses that go by this id or address."""
    named = or_(
        _W.witness_id == value,
        _W.user_id == value,
        func.lower(_W.email) == value.strip().lower(),
        _W.phone == PUNCTUATION.sub("", value),
    )
    return list(connection.scalars(select(_W.witness_id).where(named)))


def are_there(connection: Connection, ids: Collection[str]) -> bool:
    """Whether none of these witnesses was forgotten; rows are held until the transaction ends, so
    that nobody is forgotten while what names the person is being written."""
    wanted = set(ids)
    query = select(_W.witness_id).where(_W.witness_id.in_(wanted)).with_for_update(read=True)
    return wanted <= set(connection.scalars(query))


def names_of(connection: Connection, value: str) -> list[str]:
    """Every id under which the lake may know whoever goes by this id or address."""
    query = select(_W.witness_id, _W.user_id).where(_W.witness_id.in_(witnesses(connection, value)))
    return [name for row in connection.execute(query) for name in row if name is not None]


def held(connection: Connection, value: str) -> int:
    """Rows that are of the person."""
    ids = witnesses(connection, value)
    if not ids:
        return 0
    counted = sum(
        connection.scalar(select(func.count()).select_from(table).where(column.in_(ids))) or 0
        for table, column in _PLACES
    )
    return counted + len(ids)


def forget(connection: Connection, value: str) -> int:
    """Delete whoever goes by this id or address, and everything that the person said."""
    ids = witnesses(connection, value)
    if not ids:
        return 0
    gone = sum(
        connection.execute(delete(table).where(column.in_(ids))).rowcount
        for table, column in _PLACES
    )
    gone += connection.execute(delete(WITNESSES).where(_W.witness_id.in_(ids))).rowcount
    _unquote(connection, ids)
    _unname(connection, ids)
    _untell(connection, ids)
    return gone


_PLACES: Final[Sequence[tuple[Any, Any]]] = (
    (CLAIMS, CLAIMS.c.speaker),
    (RESPONSES, RESPONSES.c.witness_id),
    (INVITATIONS, INVITATIONS.c.witness_id),
)
"""Rows that are a person's, in the order in which they may go."""


def _unquote(connection: Connection, ids: Sequence[str]) -> None:
    naming = _naming(connection, ANALYSES.c.analysis_id, ANALYSES.c.report, ids)
    connection.execute(delete(ANALYSES).where(ANALYSES.c.analysis_id.in_(naming)))


def _unname(connection: Connection, ids: Sequence[str]) -> None:
    """Scores and the audit are not changed; a name in them is taken out. JSON is not read: an id is
    a UUID."""
    pattern = re.compile("|".join(map(re.escape, ids)))
    for table, columns in (
        (SCORES, (SCORES.c.score, SCORES.c.released)),
        (AUDIT, (AUDIT.c.details,)),
    ):
        (key,) = table.primary_key.columns
        for which in _naming(connection, key, columns[0], ids):
            row = connection.execute(select(*columns).where(key == which)).one()
            raws = [pattern.sub(ERASED, msgspec.json.encode(one).decode()) for one in row]
            values = {
                column.name: msgspec.json.decode(raw)
                for column, raw in zip(columns, raws, strict=True)
            }
            connection.execute(update(table).where(key == which).values(values))


def _untell(connection: Connection, ids: Sequence[str]) -> None:
    naming = _naming(connection, CHANGES.c.change_id, CHANGES.c.fields, ids)
    connection.execute(delete(CHANGES).where(CHANGES.c.change_id.in_(naming)))


def _naming(connection: Connection, key: Any, column: Any, ids: Sequence[str]) -> list[str]:
    """Keys of rows whose JSON names one of them; looked through here, a batch at a time, because
    the two databases ask differently."""
    found = []
    for which, content in connection.execute(select(key, column).execution_options(yield_per=200)):
        text = msgspec.json.encode(content).decode()
        if any(name in text for name in ids):
            found.append(which)
    return found
