"""Sittings: the interactions of a unit without a long pause between them.

In: a question that has a `unit` and a `gap`. Out: pieces of SQL. Pure.

A sitting goes on while the next interaction is at most `gap` after the one before; just so long is
still the same one. It begins with the first interaction that counts: what the filters, `since` and
`until` leave out neither keeps it going nor begins it. A new campaign, a new day or a new page load
does not end it.
"""

from __future__ import annotations

from typing import Annotated, Final

from lakeward.analysis.events import Events, looked
from lakeward.analysis.question import says
from lakeward.errors import Rejected

LONGEST: Final = 30 * 86_400.0


class Sat(Events, frozen=True, kw_only=True):
    """What questions about sittings have in common."""

    gap: Annotated[float, says("Seconds without an interaction that end a session, if more.")] = (
        1800
    )
    unit: Annotated[str, says("Whose sessions: person, user_id, session_id, or any field.")] = (
        "person"
    )

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        if not 0.001 <= self.gap <= LONGEST:
            raise Rejected(f"`gap` must be from 0.001 to {LONGEST:.0f} seconds.")
        looked(self.unit)

    @property
    def gap_ms(self) -> int:
        """The longest pause within a sitting."""
        return round(self.gap * 1000)


def fresh(gap: str, order: str) -> str:
    """1 for the first interaction of a sitting, else 0, over rows of unit u and time t."""
    return f"CASE WHEN t - lag(t) OVER ({order}) <= {gap} THEN 0 ELSE 1 END"
