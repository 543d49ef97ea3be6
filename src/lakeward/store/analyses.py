"""What was said, claim by claim, and how far it agrees.

In: a database, and what `lakeward.confidence.consistency` made of statements. Out: an `Analysis`,
or claims. Fails as the database does. The claims of a partner are those of its newest analysis.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import delete, insert, select
from uuid_utils import uuid7

from lakeward.store.changes import LAKEWARD, add_change, mark
from lakeward.store.database import Database
from lakeward.store.evidence_schema import ANALYSES, CLAIMS
from lakeward.store.row import record
from lakeward.store.witness_erasure import are_there

_C: Final = ANALYSES.c


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One claim of somebody."""

    source: Literal["ceo", "employee", "customer", "demo"]
    speaker: str
    """A witness, a demo, or, of the CEO, the partner's id, cut to 36 characters."""
    place: int
    kind: str
    text: str


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison; `at` is in ms since 1970."""

    analysis_id: str
    partner_id: str
    at: int
    statements: str
    """A digest of what was compared."""
    model: str
    overall: float | None
    report: dict[str, Any]
    released: dict[str, Any]
    """The same of what the partner may see."""


class Analyses:
    """The analyses of a database."""

    def __init__(self, database: Database, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._database = database
        self._now_ns = now_ns

    def add(
        self, partner_id: str, report: Mapping[str, Any], released: Mapping[str, Any],
        claims: Iterable[Said], *, statements: str, model: str, overall: float | None,
        told: Mapping[str, Any] | None, of: Collection[str] = (),
    ) -> Analysis | None:  # fmt: skip
        """Keep one, and its claims in the place of older ones; None when a witness of whom it is
        made was forgotten meanwhile. `told` is the `message_consistency_analysis`; None where
        nothing could be compared."""
        now_ns = self._now_ns()
        now_ms = now_ns // 1_000_000
        analysis = Analysis(
            analysis_id=str(uuid7(nanoseconds=now_ns)), partner_id=partner_id, at=now_ms,
            statements=statements, model=model, overall=overall, report=dict(report),
            released=dict(released),
        )  # fmt: skip
        rows = [
            {
                "claim_id": str(uuid7(nanoseconds=now_ns)), "partner_id": partner_id, "at": now_ms,
                **msgspec.structs.asdict(one),
            }
            for one in claims
        ]  # fmt: skip
        with self._database.write() as connection:
            if not are_there(connection, of):
                return None
            connection.execute(insert(ANALYSES).values(msgspec.structs.asdict(analysis)))
            connection.execute(delete(CLAIMS).where(CLAIMS.c.partner_id == partner_id))
            if rows:
                connection.execute(insert(CLAIMS), rows)
            if told is not None:
                add_change(connection, now_ns, "message_consistency_analysis", told)
            mark(
                connection, now_ns, LAKEWARD, partner_id, "analysis", "created",
                analysis.analysis_id, number=len(rows),
            )  # fmt: skip
        return analysis

    def last(self, partner_id: str) -> Analysis | None:
        """A partner's newest analysis."""
        query = select(ANALYSES).where(_C.partner_id == partner_id)
        query = query.order_by(_C.at.desc(), _C.analysis_id.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
            return record(row, Analysis) if row else None
