"""What a comparison of many witnesses finds, as data.

In: nothing. Out: the structs of a report; all can be written by msgspec as they are.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from lakeward.confidence.consistency.claims import Kind

Source = Literal["ceo", "employee", "customer", "demo"]
Witnessing = Literal["employee", "customer", "demo"]
WITNESSES: tuple[Witnessing, ...] = ("employee", "customer", "demo")
Unread = Literal["empty", "too_long", "too_many_statements", "too_many_claims",
                 "too_many_witnesses", "too_many_sentences", "too_many_pairs"]  # fmt: skip
"""Why a part of what was given was not compared."""


class Statement(msgspec.Struct, frozen=True):
    """What one person, or one demo, says."""

    source: Source
    witness_id: str
    text: str


class Votes(msgspec.Struct, frozen=True):
    """How the witnesses of one kind stand to one claim; each witness has one vote."""

    supports: int = 0
    contradicts: int = 0
    silent: int = 0


class Checked(msgspec.Struct, frozen=True):
    """One claim of the CEO and what was said about it."""

    claim: str
    kind: Kind
    votes: dict[str, Votes]
    """By kind of witness."""


class Discrepancy(msgspec.Struct, frozen=True):
    """A claim and the words of a witness that contradict it."""

    claim: str
    quote: str
    source: Witnessing
    witness_id: str
    similarity: float
    reason: str


class Alignment(msgspec.Struct, frozen=True):
    """How far two sides agree, 0 to 100, with a 90 % interval; None where nothing can be said."""

    score: float | None = None
    low: float | None = None
    high: float | None = None
    coverage: float = 0.0
    """Share of the claims that the witnesses speak of at all."""
    witnesses: int = 0


class Report(msgspec.Struct, frozen=True):
    """All that was found."""

    overall: Alignment
    ceo_employee: Alignment
    ceo_customer: Alignment
    ceo_demo: Alignment
    employee_customer: Alignment
    claims: list[Checked]
    discrepancies: list[Discrepancy]
    recommendations: list[str]
    witness_alignment: dict[str, float | None]
    """By witness: the share of the claims he speaks of that he supports."""
    model: str
    left_out: dict[Unread, int]
    """What was not compared, by reason."""
