"""Demos of a partner as far as they are evidence."""

from __future__ import annotations

from lakeward.confidence.desk import Desk
from lakeward.confidence.evidence import Shown


def shown(desk: Desk, partner_id: str) -> list[Shown]:
    """Those that were looked into, with what is said in them."""
    return []
