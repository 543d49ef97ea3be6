"""Evidence: what one witness said at one time, with what is needed to weigh it.

In: answers from forms, measures of demos and of consistency. Out: the same, checked, each once, in
an order that is always the same. Fails with `Rejected` where an answer cannot be meant: a rating
off its scale or not a number, an empty id.

    answer ─ ratings {category: value on low..high} ─► each in [0, 1] ─► their mean

Addresses, devices, contacts and organisations are keyed digests. They are only ever compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final, Literal, get_args

import msgspec

from lakeward.errors import Rejected

Source = Literal["employees", "customers", "demos", "consistency"]
SOURCES: Final[tuple[Source, ...]] = get_args(Source)
PEOPLE: Final[tuple[Source, ...]] = ("employees", "customers", "demos")
"""Sources with witnesses of their own. Consistency measures what these same witnesses say."""


class Rating(msgspec.Struct, frozen=True):
    """One rating on the scale it was asked on."""

    value: float
    low: float
    high: float

    @property
    def share(self) -> float:
        """Where it stands between the ends of its scale: 0 to 1."""
        return (self.value - self.low) / (self.high - self.low)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of evidence: an answer of one witness."""

    evidence_id: str
    respondent_id: str
    source: Source
    at_ms: int
    ratings: Mapping[str, Rating]
    """By category, such as delivery. Without any, the answer has no part in the score."""
    verified: bool
    """A signed link of this one person was used, or someone of the platform looked."""
    completeness: float
    """Part of the form that was answered: 0 to 1."""
    text: str = ""
    """All free text, to find copies."""
    seconds: float | None = None
    """Time taken to answer."""
    address: str = ""
    device: str = ""
    contact: str = ""
    """Digest of the telephone number or mail address."""
    organisation: str = ""
    """Digest of the domain of a company's mail address; empty for a mail provider's."""

    @property
    def share(self) -> float:
        """The mean of its ratings, each category alike: 0 to 1."""
        return math.fsum(rating.share for rating in self.ratings.values()) / len(self.ratings)


def distinct(answers: Iterable[Answer]) -> list[Answer]:
    """Each piece of evidence once, checked, in one order whatever order they came in.

    An id that comes twice within a source is one piece of evidence that was sent again: the newest
    counts, and of equally new ones the one whose bytes are the greater.
    """
    newest: dict[tuple[str, str], Answer] = {}
    for answer in answers:
        check(answer)
        key = (answer.source, answer.evidence_id)
        known = newest.get(key)
        if known is None or _rank(known) < _rank(answer):
            newest[key] = answer
    return [newest[key] for key in sorted(newest)]


def _rank(answer: Answer) -> tuple[int, bytes]:
    return answer.at_ms, msgspec.json.encode(answer, order="deterministic")


def check(answer: Answer) -> None:
    """Refuse what cannot be meant.

    A rating off its scale is not moved to the end of it: whoever sends 11 of 10 has another scale
    in mind, and then 9 of 10 is as wrong, unseen.
    """
    if answer.source not in SOURCES:
        raise Rejected(f"source {str(answer.source)[:40]!r}: it is one of {', '.join(SOURCES)}.")
    if not answer.evidence_id or not answer.respondent_id:
        raise Rejected("an answer needs an evidence_id and a respondent_id: one of them is empty.")
    named = f"answer {answer.evidence_id[:80]!r}"
    if not 0 <= answer.completeness <= 1:
        raise Rejected(f"{named}: completeness {answer.completeness} must be from 0 to 1.")
    if answer.seconds is not None and not 0 <= answer.seconds < math.inf:
        raise Rejected(f"{named}: seconds {answer.seconds} must be 0 or more.")
    for category, rating in answer.ratings.items():
        if not -math.inf < rating.low < rating.high < math.inf:
            raise Rejected(
                f"{named}: the scale of {category[:80]!r}, {rating.low} to {rating.high}, "
                "must begin below its end."
            )
        if not rating.low <= rating.value <= rating.high:
            raise Rejected(
                f"{named}: {category[:80]!r} is {rating.value}, and its scale ends at "
                f"{rating.low} and {rating.high}."
            )
