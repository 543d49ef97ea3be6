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
    sources: tuple[Source, ...]
    respondents: tuple[str, ...]
    """Whose weight it lowers."""
    evidence: tuple[str, ...]
    """What it was seen in; of a copied text, the first one too, whose author keeps the weight."""
    factor: float
    """What their weight is multiplied with: above 0, below 1."""
    sentence: str


class Found(msgspec.Struct, frozen=True):
    """A flag, and the witnesses it lowers by source and id."""

    flag: Flag
    lowered: tuple[Key, ...]


def found(
    kind: FlagKind, lowered: Iterable[Key], evidence: Iterable[str], factor: float, sentence: str
) -> Found:
    """A finding in its one order."""
    keys = tuple(sorted(set(lowered)))
    flag = Flag(
        kind=kind, sources=tuple(sorted({source for source, _ in keys})),
        respondents=tuple(sorted({person for _, person in keys})),
        evidence=tuple(sorted(set(evidence))), factor=factor, sentence=sentence,
    )  # fmt: skip
    return Found(flag, keys)


def counted(keys: Sequence[Key]) -> str:
    """`2 customers and 1 employee`."""
    numbers = {
        source: len({key for key in keys if key[0] == source})
        for source in sorted({source for source, _ in keys})
    }
    parts = [f"{n} {ONE[source]}{'s' if n > 1 and source != 'consistency' else ''}"
             for source, n in numbers.items()]  # fmt: skip
    return " and ".join(parts)
