"""Demos of a partner as far as they are evidence.

In: the desk. Out: those that were looked into, with what is said or written in them, the oldest
first; of a long text its beginning, about half an hour of speech. One that was refused or failed
shows nothing. Fails as the database does.
"""

from __future__ import annotations

from lakeward.confidence.desk import Desk
from lakeward.confidence.evidence import TEXT_LENGTH, Shown
from lakeward.store.demos import Demos


def shown(desk: Desk, partner_id: str) -> list[Shown]:
    """Those that were looked into, with what is said in them."""
    return [
        Shown(demo_id=demo.demo_id, at=demo.created_at, text=text[:TEXT_LENGTH])
        for demo, text in Demos(desk.database).texts(partner_id)
    ]
