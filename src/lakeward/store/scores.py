"""Scores that partners had: each is added and none is changed.

In: a database and a score, computed elsewhere. Out: a `Scored`. Fails as the database does. A score
of the same evidence by the same formula is not added again, so of two hosts that compute it one
adds it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, and_, func, select
from uuid_utils import uuid7

from lakeward.store.changes import LAKEWARD, add_change, mark
from lakeward.store.database import Database
from lakeward.store.evidence_schema import SCORES
from lakeward.store.row import record
from lakeward.store.upsert import added
from lakeward.store.witness_erasure import are_there

Trigger = Literal["evidence", "schedule", "correction", "erasure"]
_C: Final = SCORES.c


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a partner's history; `at` is in ms since 1970."""

    score_id: str
    partner_id: str
    seq: int
    """1 for a partner's first one, and one more each time."""
    at: int
    trigger: Trigger
    evidence: str
    """A digest of what it was made of."""
    stamp: str
    formula_version: str
    value: float
    low: float
    high: float
    provisional: int
    score: dict[str, Any]
    """All of it, as `lakeward.confidence.score` has it."""
    released: dict[str, Any] | None
    """The same of what the partner may see; None while that is nothing."""
    waiting: dict[str, int]
    """Answers by source that the partner may not see yet."""


class Scores:
    """The history of a database."""

    def __init__(self, database: Database, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._database = database
        self._now_ns = now_ns

    def add(
        self, partner_id: str, score: Mapping[str, Any], *, trigger: Trigger, evidence: str,
        stamp: str, told: Mapping[str, Any], released: Mapping[str, Any] | None = None,
        waiting: Mapping[str, int] = {}, after: int = 0, of: Collection[str] = (),
    ) -> Scored | None:  # fmt: skip
        """Add one behind entry `after`; None when another one stands there already, or when a
        witness of whom it is made was forgotten meanwhile. `told` is the
        `powerconfidence_update`."""
        now_ns = self._now_ns()
        scored = Scored(
            score_id=str(uuid7(nanoseconds=now_ns)), partner_id=partner_id, seq=after + 1,
            at=now_ns // 1_000_000, trigger=trigger, evidence=evidence, stamp=stamp,
            formula_version=str(score["formula_version"]), value=float(score["value"]),
            low=float(score["low"]), high=float(score["high"]),
            provisional=int(bool(score["provisional"])), score=dict(score),
            released=None if released is None else dict(released), waiting=dict(waiting),
        )  # fmt: skip
        with self._database.write() as connection:
            if (_newest(connection, partner_id) or 0) != after or not are_there(connection, of):
                return None
            if not added(connection, SCORES, msgspec.structs.asdict(scored)):
                return None
            add_change(connection, now_ns, "powerconfidence_update", told)
            mark(
                connection, now_ns, LAKEWARD, partner_id, "score", "created", scored.score_id,
                reason=trigger,
            )  # fmt: skip
        return scored

    def last(self, partner_id: str) -> Scored | None:
        """A partner's score now."""
        query = select(SCORES).where(_C.partner_id == partner_id)
        with self._database.read() as connection:
            row = connection.execute(query.order_by(_C.seq.desc()).limit(1)).mappings().first()
            return record(row, Scored) if row else None

    def latest(self) -> dict[str, Scored]:
        """Every partner's score now."""
        newest = select(_C.partner_id, func.max(_C.seq).label("seq")).group_by(_C.partner_id)
        last = newest.subquery()
        same = and_(_C.partner_id == last.c.partner_id, _C.seq == last.c.seq)
        with self._database.read() as connection:
            rows = connection.execute(select(SCORES).join(last, same)).mappings()
            return {one.partner_id: one for one in (record(row, Scored) for row in rows)}

    def history(self, partner_id: str, most: int = 500) -> list[Scored]:
        """A partner's scores, the newest first."""
        query = select(SCORES).where(_C.partner_id == partner_id)
        query = query.order_by(_C.seq.desc()).limit(most)
        with self._database.read() as connection:
            return [record(row, Scored) for row in connection.execute(query).mappings()]


def _newest(connection: Connection, partner_id: str) -> int | None:
    newest: int | None = connection.scalar(
        select(func.max(_C.seq)).where(_C.partner_id == partner_id)
    )
    return newest
