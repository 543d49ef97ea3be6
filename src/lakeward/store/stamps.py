"""Stamps: a text for each partner that is another one when what is said of it may be another.

In: a database. Out: stamps by partner, of a few questions for all partners together. Nothing that
was said is read. Fails as the database does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, func, select

from lakeward.store.demos_schema import DEMOS
from lakeward.store.evidence_schema import PARTNERS, RESPONSES, REVIEWS, WITNESSES

COUNTED: Final[Sequence[tuple[Any, Any]]] = (
    (RESPONSES, RESPONSES.c.response_id),
    (REVIEWS, REVIEWS.c.at),
    (WITNESSES, WITNESSES.c.witness_id),
    (DEMOS, DEMOS.c.updated_at),
)
"""Tables of evidence, and what grows with each new row of them."""


def stamps(connection: Connection) -> dict[str, str]:
    """How many rows of each kind a partner has, and the newest; when it was changed itself."""
    parts: dict[str, list[str]] = {}
    rows = connection.execute(select(PARTNERS.c.partner_id, PARTNERS.c.updated_at))
    for partner, updated in rows:
        parts[partner] = [str(updated)]
    for table, newest in COUNTED:
        counted = select(table.c.partner_id, func.count(), func.max(newest))
        found = {
            row[0]: row[1:] for row in connection.execute(counted.group_by(table.c.partner_id))
        }
        for partner, told in parts.items():
            told.append(repr(tuple(found.get(partner, ()))))
    return {partner: " ".join(told) for partner, told in parts.items()}
