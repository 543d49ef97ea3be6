"""What is usual at this time: a level, and profiles of the day, the week and of found periods.

In: moments and values. Out: what would be usual now, by several candidates (no season, the slot of
the day as it is or smoothed, with the week's or found periods on top) blended by how well each did
of late. Fails for nothing.

This is the additive decomposition of MSTL (Bandara et al., 2021) made online: each profile is a row
of slots, every slot a mean that forgets. Where values only can be positive the profile is a share
of the level, so that twice the traffic has twice the rhythm. Slots learn a few usual deviations at
most from one row: an outage is not a new habit.
"""

from __future__ import annotations

from typing import Final

import msgspec

DAY: Final = 86_400.0
WEEK: Final = 604_800.0
DAY_SLOT, WEEK_SLOT = 300.0, 1800.0
CANDIDATES: Final = 5
FORGET: Final = 0.0015
GROUND: Final = 1 / 400
CLIP: Final = 3.0
UNKNOWN: Final = -1.0


class Profile(msgspec.Struct):
    """Deviations from the level by the place in a period."""

    period: float
    width: float
    means: list[float]
    seen: list[int]
    least: float
    """How much a new row counts at least."""
    visits: float = 1.0
    """Periods that a row is a part of: the inverse of rows in one slot at a time."""
    early: float = 0.0
    """Slots that a moment may be early: rows jitter around the start of slots of one row."""


class Base(msgspec.Struct):
    """Level, profiles, and how far off each candidate was of late."""

    ground: float = 0.0
    """Level that knows no season."""
    level: float = 0.0
    """Level that the profiles deviate from."""
    rows: int = 0
    found: list[Profile] = msgspec.field(default_factory=list)
    day: Profile | None = None
    week: Profile | None = None
    losses: list[float] = msgspec.field(default_factory=lambda: [UNKNOWN] * CANDIDATES)
    tried: list[int] = msgspec.field(default_factory=lambda: [0] * CANDIDATES)
    since: float = 0.0
    """Seconds since the profiles were laid out."""
    held: bool = False
    """Whether the level stays as it is: what moves it may be a weekend."""
    settled: bool = False
    """Whether a whole period was seen."""
    relative: bool = False
    pace: float = 0.01


def profile(period: float, step: float, slot: float, least: float) -> Profile:
    """An empty profile with slots of a step, or of `slot` seconds where steps are shorter."""
    width = max(step, slot)
    count = max(2, round(period / width))
    visits = max(1.0, width / step)
    early = 0.499 if visits < 1.5 else 0.0
    means, seen = [0.0] * count, [0] * count
    return Profile(period, period / count, means, seen, least / visits, 1.0 / visits, early)


def slot_of(of: Profile, t: float) -> int:
    """Which slot a moment is in."""
    return int(((t % of.period) / of.width) + of.early) % len(of.means)


def candidates(base: Base, t: float) -> list[float | None]:
    """What each candidate holds for usual: ground, found, day, smoothed day, and week."""
    found: list[float | None] = [base.ground, None, None, None, None]
    if not (base.found or base.day or base.week):
        return found
    unit = base.level if base.relative and base.settled else 1.0
    shape, known = 0.0, True
    for each in base.found:
        i = slot_of(each, t)
        shape += each.means[i]
        known = known and each.seen[i] * each.visits > 0.99
    if base.found and known:
        found[1] = base.level + unit * shape
    day, fine = base.day, 0.0
    if day is not None:
        i = slot_of(day, t)
        means = day.means
        if day.seen[i] * day.visits > 0.99:  # not by the rows just before
            after = means[i + 1] if i + 1 < len(means) else means[0]
            found[2] = base.level + unit * (shape + means[i])
            smooth = 0.25 * means[i - 1] + 0.5 * means[i] + 0.25 * after
            found[3] = base.level + unit * (shape + smooth)
            fine = _within(day, i, smooth)
    if base.week is not None:
        i = slot_of(base.week, t)
        if base.week.seen[i] * base.week.visits > 0.99:
            found[4] = base.level + unit * (shape + base.week.means[i] + fine)
    return found


def _within(day: Profile, i: int, smooth: float) -> float:
    """How a slot of the day differs from the half-hour around it, which is a slot of the week."""
    wide = round(WEEK_SLOT / day.width)
    if wide <= 1:
        return 0.0
    first = i - i % wide
    part = day.means[first : first + wide]
    return smooth - sum(part) / len(part)


def blend(base: Base, held: list[float | None]) -> float:
    """One value of all candidates: those that were nearly the best count nearly alone."""
    best = min(
        (loss for loss, value in zip(base.losses, held, strict=True)
         if value is not None and loss != UNKNOWN),
        default=UNKNOWN,
    )  # fmt: skip
    if best == UNKNOWN:
        return base.ground
    total = weights = 0.0
    for loss, value in zip(base.losses, held, strict=True):
        if value is not None and loss != UNKNOWN:
            ratio = (best + 1e-12) / (loss + 1e-12)
            ratio *= ratio
            ratio *= ratio
            weight = ratio * ratio * ratio
            weights += weight
            total += weight * value
    return total / weights


def learn(
    base: Base, t: float, value: float, held: list[float | None], spread: float, step: float,
    trust: float,
) -> None:  # fmt: skip
    """Take a row in; `spread` is the usual deviation, `trust` how much it counts (0 to 1)."""
    base.rows += 1
    clip = CLIP * spread if base.rows > 12 else abs(value) + 1e300
    losses = base.losses
    worst = 8.0 * spread if base.rows > 12 else 1e300
    best = None
    for i, guess in enumerate(held):
        if guess is None:
            continue
        off = min(abs(value - guess), worst)
        base.tried[i] += 1
        if losses[i] == UNKNOWN:
            losses[i] = max(off, min((each for each in losses if each != UNKNOWN), default=0.0))
        losses[i] += (off - losses[i]) * max(FORGET, 1.0 / (base.tried[i] + 3))
        if i and (best is None or losses[i] < losses[best]):
            best = i
    base.ground += _clipped(value - base.ground, clip) * max(1.0 / base.rows, GROUND * trust)
    if base.found or base.day or base.week:
        _learn_profiles(base, t, value, held[best] if best else None, held, clip, step, trust)


def _learn_profiles(
    base: Base, t: float, value: float, guess: float | None, held: list[float | None], clip: float,
    step: float, trust: float,
) -> None:  # fmt: skip
    unit = base.level if base.relative and base.settled else 1.0
    unit = max(unit, 1e-9) if unit >= 0 else unit
    slot_clip = clip * trust
    for each in base.found:
        off = value - (held[1] if held[1] is not None else base.level)
        _learn_slot(each, t, off / unit, slot_clip / unit)
    day, week = base.day, base.week
    first = day or (base.found[0] if base.found else week)
    if week is not None and base.settled:
        _learn_week(base, week, t, value, unit, slot_clip)
    if day is not None:
        off = value - (held[2] if held[2] is not None else base.level)
        _learn_slot(day, t, off / unit, slot_clip / unit)
    if not base.settled:
        base.since += step
        if first is not None and base.since >= first.period:
            settle(base)
    elif guess is not None and not base.held:
        base.level += _clipped(value - guess, clip) * base.pace * trust


def _learn_week(
    base: Base, week: Profile, t: float, value: float, unit: float, clip: float
) -> None:
    """The week stands on the level, not on the day: neither can spoil the other."""
    day, fine = base.day, 0.0
    if day is not None:
        i = slot_of(day, t)
        fine = _within(day, i, day.means[i])
    off = (value - base.level) / unit - fine - week.means[slot_of(week, t)]
    _learn_slot(week, t, off, clip / unit)


def _learn_slot(of: Profile, t: float, off: float, clip: float) -> None:
    i = slot_of(of, t)
    seen = of.seen[i]
    if seen * of.visits > 0.99:
        off = _clipped(off, clip)
    of.means[i] += off * max(1.0 / (seen + 1), of.least)
    of.seen[i] = min(seen + 1, 1_000_000)


def settle(base: Base) -> None:
    """After a first whole period: the level becomes its mean, and profiles sum up to nothing."""
    first = base.day or (base.found[0] if base.found else base.week)
    if first is None or 2 * sum(1 for n in first.seen if n) < len(first.seen):
        return
    known = [mean for mean, n in zip(first.means, first.seen, strict=True) if n]
    middle = sum(known) / len(known)
    for i, n in enumerate(first.seen):
        if n:
            first.means[i] -= middle
    base.level += middle
    base.settled = True
    if base.relative and base.level > 0:
        _scale(base, 1.0 / base.level)
    else:
        base.relative = False


def make_absolute(base: Base) -> None:
    """Values turned out not to be of one sign: profiles are no shares any more."""
    if base.relative and base.settled:
        _scale(base, base.level)
    base.relative = False


def _scale(base: Base, factor: float) -> None:
    for each in (*base.found, base.day, base.week):
        if each is not None:
            each.means = [mean * factor for mean in each.means]


def has_rhythm(base: Base, share: float) -> bool:
    """Whether the day or week leaves at most this share of what no season would."""
    best = min((loss for loss in base.losses[2:] if loss != UNKNOWN), default=UNKNOWN)
    return best != UNKNOWN and best < share * base.losses[0]


def shift(base: Base, value: float, usual: float) -> None:
    """A new level that is there to stay: it is `value` now where `usual` was usual."""
    if not base.settled:
        base.ground += value - usual
        return
    ratio = value / usual if base.relative and usual > 0.0 else 0.0
    base.ground += value - usual
    if 0.05 < ratio < 20.0:
        base.level *= ratio
    elif not base.relative:
        base.level += value - usual


def _clipped(off: float, clip: float) -> float:
    return clip if off > clip else -clip if off < -clip else off
