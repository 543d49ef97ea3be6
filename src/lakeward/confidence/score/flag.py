"""A flag: what looks like manipulation, whose weight it lowers, by how much, and why in words.

A flag's sentence is read by people of the platform. It counts persons and names what they share,
never an address, device or name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from lakeward.confidence.score.evidence import Source

FlagKind = Literal[
    "shared_device", "shared_address", "near_duplicate_text", "burst", "straight_lining",
    "employee_as_customer",
]  # fmt: skip
Key = tuple[Source, str]
"""A witness: the source and its respondent_id."""

ONE: dict[Source, str] = {
    "employees": "employee", "customers": "customer", "demos": "demo", "consistency": "witness",
}  # fmt: skip


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """One finding about one or more witnesses."""

    kind: FlagKind
    respondents: tuple[str, ...]
    """Whose weight it lowers."""
    witnesses: tuple[Key, ...]
    """The same by source: who is employee and customer may be lowered as one of them only."""
    evidence: tuple[str, ...]
    """What it was seen in; of a copied text, the first one too, whose author keeps the weight."""
    factor: float
    """What their weight is multiplied with: above 0, below 1."""
    sentence: str


def flagged(
    kind: FlagKind, lowered: Iterable[Key], evidence: Iterable[str], factor: float, sentence: str
) -> Flag:
    """A flag with its lists in their one order."""
    keys = tuple(sorted(set(lowered)))
    return Flag(
        kind=kind,
        respondents=tuple(sorted({person for _, person in keys})),
        witnesses=keys,
        evidence=tuple(sorted(set(evidence))),
        factor=factor,
        sentence=sentence,
    )


def counted(keys: Sequence[Key]) -> str:
    """`2 customers and 1 employee`."""
    numbers = {
        source: len({key for key in keys if key[0] == source})
        for source in sorted({source for source, _ in keys})
    }
    parts = [f"{n} {ONE[source]}{'s' if n > 1 and source != 'consistency' else ''}"
             for source, n in numbers.items()]  # fmt: skip
    return " and ".join(parts)
