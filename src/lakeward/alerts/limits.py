"""Limits: what a rule says of one bucket after the other, with hysteresis.

In: what is remembered of a rule, and its buckets in the order of time. Out: signals, and what is
remembered afterwards. Pure.

    value      . ! . ! ! . ! . .      ! beyond the limit; for = 2
    signals            b   w   -      b begins, w wrong still, - well again
"""

from __future__ import annotations

import msgspec

from lakeward.alerts.rules import Threshold
from lakeward.alerts.signal import Signal


class Held(msgspec.Struct, frozen=True):
    """What is remembered of a rule."""

    rule: Threshold
    next_ms: int
    """The first bucket that was not judged."""
    beyond: int = 0
    within: int = 0
    """Buckets in a row."""
    open: bool = False
    told: bool = False


def judged(held: Held, at: int, value: float, recent_ms: int) -> tuple[Held, Signal | None]:
    """One bucket; before `recent_ms` nothing begins."""
    rule = held.rule
    passed = rule.passed(value)
    beyond, within = (held.beyond + 1, 0) if passed else (0, held.within + 1)
    opens = not held.open and beyond >= rule.lasts
    ends = held.open and within >= rule.lasts
    told = held.told and not opens
    wrong = passed and (held.open or opens)
    begins = wrong and not told and at + rule.minutes * 60_000 >= recent_ms
    after = msgspec.structs.replace(
        held, beyond=beyond, within=within, open=(held.open or opens) and not ends,
        told=told or begins,
    )  # fmt: skip
    if not wrong and not ends:
        return after, None
    return after, signal(rule, at, value, wrong=wrong, begins=begins)


def signal(
    rule: Threshold, at: int, value: float | None, *, wrong: bool, begins: bool = False
) -> Signal:
    """What a rule says; without a value that it is no rule any more."""
    if value is None:
        why = f"{rule.name}: the rule was changed or taken out of the file."
    else:
        again = "" if wrong else " again"
        why = (
            f"{rule.name}: {rule.series} is {value:.6g} in {rule.minutes} minutes{again}, "
            f"your limit is {rule.limit:.6g}."
        )
    return Signal(
        series=rule.series, kind="threshold", rule=rule.name, wrong=wrong, begins=begins, at=at,
        seconds=rule.minutes * 60.0, severity=rule.severity,
        direction="up" if rule.above is not None else "down", value=value,
        low=None if rule.below is None else rule.limit,
        high=None if rule.above is None else rule.limit, unit=rule.unit, why=why,
    )  # fmt: skip
