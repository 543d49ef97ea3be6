"""Signals: what a rule says of one series at one moment; what watching gives and incidents take.

A rule speaks while something is wrong, once for each bucket or look, and
once when all is well again.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Kind = Literal["anomaly", "threshold", "budget", "silent"]
Severity = Literal["info", "warning", "critical"]
KINDS: Final[tuple[Kind, ...]] = ("anomaly", "threshold", "budget", "silent")
SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "critical")
"""From the mildest on."""


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule says; times are epoch milliseconds, values are in the unit of the series."""

    series: str
    """Such as `route:/api/partners errors`; with `kind` and `rule` the key of what is wrong."""
    kind: Kind
    rule: str = ""
    """Name of the rule in `alerts.toml`; empty for what is watched without one."""
    wrong: bool
    """Whether something is wrong from this bucket on; False: it is well again."""
    begins: bool = True
    """Whether it is worth telling of anew: a detector's alarm, or a limit that was just passed."""
    at: int
    """Start of the bucket that was judged."""
    seconds: float
    """Length of that bucket."""
    severity: Severity = "warning"
    direction: Literal["up", "down"] | None = None
    value: float | None = None
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    score: float | None = None
    unit: str = ""
    why: str
    """One sentence, without anything personal in it."""

    @property
    def key(self) -> str:
        """What this is about: equal from the first signal to the last."""
        return f"{self.kind}:{self.rule}:{self.series}"
