"""What the formula is computed with, and its version: formula and options together.

In: nothing, or other weights and limits. Fails with `Terminal` where they make no formula.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Final, get_args

import msgspec

from lakeward.confidence.score.evidence import SOURCES, Source
from lakeward.confidence.score.flag import FlagKind
from lakeward.errors import Terminal

FORMULA: Final = "1"
"""Changed with anything that makes another number of the same evidence."""


def _weights() -> dict[Source, float]:
    return {"employees": 0.30, "customers": 0.40, "demos": 0.20, "consistency": 0.10}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Weights and limits. Each default has its reason in docs/confidence.md."""

    weights: Mapping[Source, float] = msgspec.field(default_factory=_weights)
    """Of the sources; together 1."""
    yearly: float = 0.7
    """What a year leaves of the weight of evidence."""
    unverified: float = 0.5
    """Weight of a witness of whom nobody knows that it is the invited person."""
    least_complete: float = 0.1
    """Weight of an answer that is hardly filled in."""
    per_source: int = 5
    """Witnesses that employees, customers and demos need each, or the score is provisional."""
    effective_n: float = 10.0
    """The same for the effective number of witnesses (Kish)."""
    least_weight: float = 5.0
    """The same for the weight of all witnesses together, in full ones."""
    flags: tuple[FlagKind, ...] = get_args(FlagKind)
    """What is looked for."""
    least_flagged: float = 0.01
    """Flags together never take a witness's weight below this share."""
    draws: int = 2_000
    level: float = 0.90

    def __post_init__(self) -> None:
        """Refuse what makes no formula."""
        if set(self.weights) != set(SOURCES) or not all(w >= 0 for w in self.weights.values()):
            raise Terminal(f"weights must have {', '.join(SOURCES)}, each 0 or more.")
        if not math.isclose(math.fsum(self.weights.values()), 1, abs_tol=1e-9):
            raise Terminal(f"weights add up to {math.fsum(self.weights.values())}, and must to 1.")
        for name in ("yearly", "unverified", "least_complete", "least_flagged"):
            if not 0 < getattr(self, name) <= 1:
                raise Terminal(f"{name} is {getattr(self, name)}: it must be above 0, 1 at most.")
        if not 0 < self.level < 1 or self.draws < 100:
            raise Terminal("level must be between 0 and 1, and draws 100 or more.")
        if unknown := set(self.flags) - set(get_args(FlagKind)):
            raise Terminal(f"no such flag: {', '.join(sorted(map(str, unknown)))[:200]}.")


DEFAULT: Final = Options()


def formula_version(options: Options = DEFAULT) -> str:
    """`1`, and with other options than the default ones a digest of these: `1+3fa2c01b`."""
    if options == DEFAULT:
        return FORMULA
    told = msgspec.json.encode(options, order="deterministic")
    return f"{FORMULA}+{hashlib.sha256(told).hexdigest()[:8]}"
