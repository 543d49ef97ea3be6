"""Watches one series, row by row: is this row worth a person's time?

In: moments and values, in order. Out: a `Verdict` of each, which depends on it and on rows before
it alone. Fails with `Rejected` for options and moments that cannot be; whatever number comes is
taken, and what is none (NaN, infinite) is passed over.

Four kinds of surprise vote: the row against its forecast, averages of rows against the usual (over
about 6, 20 and 70 rows: what a single row does not show), restlessness, and the shape of the
last rows. Each has its own learned tail (`tails`), so that what a series does every day surprises
nobody. The line of an alarm is set in weeks between false ones.
"""

from __future__ import annotations

import math
import zoneinfo
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from lakeward.analysis.anomaly import learning, season, votes
from lakeward.analysis.anomaly.clock import CALENDAR, Moment, seconds_of, step_of
from lakeward.analysis.anomaly.rhythm import period_of
from lakeward.analysis.anomaly.state import State, packed, unpacked
from lakeward.analysis.anomaly.verdict import (
    Direction,
    Kind,
    Options,
    Season,
    Verdict,
    checked,
    season_named,
)

LARGEST: Final = 1e100
SEARCHES: Final = frozenset((96, 192, 384, 768, 1536, 3072, 6144, 12288))
SLOWEST: Final = 21_600.0
"""A step beyond which a day has too few rows for a rhythm."""


class Detector:
    """A series' watcher; `to_bytes` and `from_bytes` carry it over a restart, to the bit."""

    def __init__(
        self,
        season: Season = "auto",
        *,
        kind: Kind = "value",
        step: float = 0.0,
        direction: Direction = "both",
        zone: str = "UTC",
        min_volume: float = 0.0,
        cooldown: float = 0.0,
        exclude: Iterable[tuple[Moment, Moment]] = (),
        sensitivity: float = 1.0,
    ) -> None:
        """Everything may be left out: season and step are found in the rows."""
        ranges = tuple((seconds_of(start), seconds_of(end)) for start, end in exclude)
        options = Options(
            season_named(season), kind, step, direction, zone, min_volume, cooldown, ranges,
            sensitivity,
        )  # fmt: skip
        self._state = State(checked(options), step=step)
        self._prepare()

    def _prepare(self) -> None:
        options = self._state.options
        self._zone = None if options.zone == "UTC" else zoneinfo.ZoneInfo(options.zone)

    def to_bytes(self) -> bytes:
        """All it remembers, at most 64 KiB."""
        return packed(self._state)

    @classmethod
    def from_bytes(cls, data: bytes) -> Detector:
        """The detector that goes on as the one did whose bytes these are."""
        found = cls.__new__(cls)
        found._state = unpacked(data)
        found._prepare()
        return found

    def update(
        self,
        timestamp: Moment,
        value: float,
        *,
        volume: float | None = None,
        complete: bool = True,
    ) -> Verdict:
        """The verdict of a row. `volume`: of how many a rate is a share; `complete`: whether the
        bucket is over, else it is looked at and not judged."""
        state = self._state
        t = seconds_of(timestamp)
        value = float(value)
        if not math.isfinite(value):
            return self._passed(t, "not a number")
        if any(start <= t < end for start, end in state.options.exclude):
            return self._passed(t, "in an excluded range")
        if not complete:
            return self._passed(t, "the bucket is not over")
        value = min(max(value, -LARGEST), LARGEST)
        new = self._arrived(t)
        row = votes.row_of(state, self._local(t), value, volume)
        verdict, tension = votes.judge(state, t, row)
        if new:
            learning.note(state, t, verdict, tension)
            learning.learn(state, row)
        return verdict

    def silent(self, now: Moment) -> Verdict | None:
        """An alarm if rows should have come by `now` and did not, else None."""
        return votes.silence(self._state, seconds_of(now))

    def _passed(self, t: float, why: str) -> Verdict:
        expected = season.blend(
            self._state.base, season.candidates(self._state.base, self._local(t))
        )
        return Verdict(0.0, False, expected, expected, expected, why)

    def _local(self, t: float) -> float:
        """Seconds of the wall clock where the season is lived."""
        if self._zone is None or not abs(t) < 6e10:
            return t
        offset = datetime.fromtimestamp(t, UTC).astimezone(self._zone).utcoffset()
        return t + (offset.total_seconds() if offset else 0.0)

    def _arrived(self, t: float) -> bool:
        """Keep the clock; whether the row is a new one that may be learned."""
        state = self._state
        delta = t - state.last
        if delta <= 0.0:
            state.late += 1
            if state.late < max(votes.LEARNING, 7_200 / (state.step or 300.0)):
                return False  # a repeated row, or the hour that a clock's change repeats
            state.deltas.clear()
        state.late = 0
        state.last = t
        if state.rows == 0:
            state.first = t
        elif delta > 0.0 and len(state.deltas) < 64:
            state.deltas.append(delta)
        elif delta > 0.0:
            state.deltas[state.rows % 64] = delta
        state.rows += 1
        if state.rows == votes.LEARNING or (state.rows % 256 == 0 and not state.options.step):
            self._find_step()
        if state.rows in SEARCHES and state.options.season == "auto":
            self._find_period()
        missing = delta / state.step - 1.0 if state.step else 0.0
        if missing > 0.5:
            learning.forget(state, min(missing, 10_000.0))
        return True

    def _find_step(self) -> None:
        state = self._state
        found = state.options.step or step_of(state.deltas) or 1.0
        if state.step and 0.6 < found / state.step < 1.6 and state.rows > votes.LEARNING:
            return
        state.step = found
        base = state.base
        base.found, base.day, base.week, base.settled = [], None, None, False
        base.level, base.since = base.ground, 0.0
        base.losses[1:] = [season.UNKNOWN] * (season.CANDIDATES - 1)
        base.tried[1:] = [0] * (season.CANDIDATES - 1)
        self._lay_out(state.options.season, found)
        base.relative = state.options.kind != "value" or state.whole

    def _lay_out(self, wanted: str, step: float) -> None:
        """The profiles that options or the calendar ask for."""
        base, calendar = self._state.base, self._state.last >= CALENDAR
        if wanted == "none":
            return
        if wanted == "hour":
            base.found = [season.profile(3600.0, step, 1.0, 0.1)]
        elif wanted not in ("auto", "day", "week"):
            period = float(wanted[:-1]) if wanted.endswith("s") else int(wanted) * step
            base.found = [season.profile(period, step, period / 2016, 0.12)]
        else:
            if step <= SLOWEST and (calendar or wanted != "auto"):
                base.day = season.profile(season.DAY, step, season.DAY_SLOT, 0.12)
            if wanted != "day" and step <= season.DAY and (calendar or wanted == "week"):
                base.week = season.profile(season.WEEK, step, season.WEEK_SLOT, 0.3)
        first = base.found[0] if base.found else base.day
        if first is not None:
            base.pace = min(0.02, max(0.0015, 0.5 * step / first.period))

    def _find_period(self) -> None:
        """Look for a rhythm that the calendar has not."""
        state = self._state
        base = state.base
        if len(base.found) >= 2 or not state.step or len(state.recent) < 64:
            return
        period = period_of(state.recent)
        seconds = period * state.step
        known = [each.period for each in (*base.found, base.day, base.week) if each is not None]
        if not period or any(_told(seconds, each) for each in known):
            return
        if base.day is not None or base.week is not None:
            if season.has_rhythm(base, 0.85):
                return
            base.day = base.week = None  # the clock's day means nothing to this series
        base.found.append(season.profile(seconds, state.step, state.step, 0.12))
        if len(base.found) == 1:
            base.level, base.settled, base.since = base.ground, False, 0.0
            base.pace = min(0.02, max(0.0015, 0.5 / period))


def _told(period: float, by: float) -> bool:
    """Whether a profile of the period `by` has this one in it, or nearly."""
    times = max(period / by, by / period)
    return abs(times - round(times)) < 0.04 * times
