"""What a row teaches: the usual, the spreads, the tails, and whether a new level is here to stay.

In: a detector's state and a row that was judged. Out: the state has learned it. Fails for nothing.
"""

from __future__ import annotations

import math
from typing import Final

from lakeward.analysis.anomaly import novelty, residual, season, tails
from lakeward.analysis.anomaly.row import HARD, Row
from lakeward.analysis.anomaly.state import HISTORY, Drift, State
from lakeward.analysis.anomaly.verdict import Verdict

WEEK: Final = 604_800.0
FIRST_WEEK: Final = 8 * 86_400.0
PERSISTS: Final = 48
"""Rows on one side after which a new level is believed."""
SLOWLY: Final = 400
"""The same where no alarm went before."""
LASTS: Final = 72
"""Rows of one alarm after which it is."""
OVER: Final = 12
"""Ordinary rows that end what went wrong."""
RETURN: Final = 576
"""Rows in which going back to the former level is no news."""
DOUBT: Final = 0.25
"""What a row may change of the usual while something seems wrong."""
RISING: Final = 0.6
"""The same of usual sizes, upwards."""
TENSE: Final = 0.6
"""Share of the line from which something seems wrong."""
SEARCHED: Final = 12_300
"""Rows after which no period is looked for."""


def note(state: State, t: float, verdict: Verdict, tension: float) -> None:
    """Keep what was said."""
    episode = state.episode
    episode.tension = tension
    if verdict.alarm:
        episode.weariness += 1.0
    episode.lasting = episode.lasting + 1 if verdict.is_anomaly else 0
    if verdict.is_anomaly:
        episode.last = max(t, episode.last)


def learn(state: State, row: Row) -> None:
    """Take in a row that was judged."""
    base, value = state.base, row.value
    state.episode.before = row.off
    if state.whole and (value < 0 or value != int(value)):
        state.whole = False
        if state.options.kind == "value":
            season.make_absolute(base)
    base.held = _first_week(state)
    wrong = base.held or state.episode.tension > TENSE
    season.learn(base, row.local, value, row.held, row.far, state.step, DOUBT if wrong else 1.0)
    ahead, reach = (row.expected - row.usual) / row.far, 5.0 * row.near / row.far
    off = min(max(row.off, ahead - reach), ahead + reach)
    residual.learn(state.residual, off, row.guesses)
    rising = RISING if wrong else 1.0
    _learn_spread(state, row, rising)
    if state.rows <= 12:
        return
    tails.learn(state.point, row.z)
    for drift in state.drifts:
        _learn_drift(drift, row, state.rows, rising)
    _learn_calm(state, row.z)
    if novelty.add(state.shapes, row.off):
        tails.learn(state.shapes.tails, state.shapes.score)
    _keep_zeros(state, value, row.usual)
    _believe(state, row.usual, row.far)
    state.episode.weariness *= 1.0 - min(0.01, state.step / WEEK)
    if state.options.season == "auto" and state.rows < SEARCHED:
        state.recent.append(row.off)
        if len(state.recent) > HISTORY:
            del state.recent[: HISTORY // 3]


def _learn_spread(state: State, row: Row, rising: float) -> None:
    spread, value = state.spread, row.value
    near, far = abs(value - row.expected), abs(value - row.usual)
    residual.learn_spread(spread, value, row.usual, near, far, rising)
    if state.rows > 200:
        ratio = min(abs(row.z) / 0.8, 3.0)
        share = spread.bins[row.hour] * (1.0 + 0.005 * (ratio - 1.0))
        spread.bins[row.hour] = min(max(share, 0.3), 4.0)
    if state.rows % 64 == 0:
        residual.choose_shape(spread, 1 if state.whole else 0)


def _learn_calm(state: State, z: float) -> None:
    calm = state.calm
    calm.short += 0.08 * (min(abs(z), HARD) - calm.short)
    level = math.log(max(calm.short, 1e-3) / 0.8)
    calm.size += (min(abs(level), 4 * calm.size) - calm.size) * max(1 / 500, 1 / (state.rows + 1))
    tails.learn(calm.tails, level / (1.25 * max(calm.size, 0.15)))


def _learn_drift(drift: Drift, row: Row, rows: int, rising: float) -> None:
    """Its usual size is a quantile (0.7), so that a long anomaly hardly moves it."""
    pace = drift.pace
    drift.mean += pace * (row.off - drift.mean)
    drift.seen += pace * (row.value - drift.seen)
    drift.due += pace * (row.usual - drift.due)
    step = max(1 / 1000, 3.0 / (rows + 20))
    size = drift.size * (1.0 + (0.7 * rising if abs(drift.mean) > drift.size else -0.3) * step)
    drift.size = max(size, math.sqrt(pace / (2 - pace)))
    tails.learn(drift.tails, drift.mean / drift.size, tails.LEAST_OFTEN)


def _keep_zeros(state: State, value: float, usual: float) -> None:
    episode = state.episode
    if value == 0.0:
        episode.due += usual
    elif episode.due:
        episode.longest = max(episode.longest * 0.98, min(episode.due, 2 * episode.longest + 3))
        episode.due = 0.0


def _believe(state: State, usual: float, far: float) -> None:
    """A deviation that stays on one side, or an alarm that goes on, is a new level."""
    episode, drifts = state.episode, state.drifts
    quick, mean = drifts[0].mean, drifts[1].mean
    side = 1 if mean > 1.5 else -1 if mean < -1.5 else 0
    if side and side == episode.side:
        episode.persisting += 1
    else:
        episode.side, episode.persisting = side, 0
    _end_averages(state)
    back = state.last < episode.until and episode.moved * mean < 0.0
    if episode.persisting < (OVER if back else PERSISTS if episode.lasting else SLOWLY):
        if episode.lasting < LASTS:
            return
        episode.lasting = 0
        mean = drifts[2].mean
        if quick * mean <= 0.0 or drifts[1].mean * mean <= 0.0:
            return
        mean = min(abs(mean), abs(drifts[1].mean)) * (1.0 if mean > 0.0 else -1.0)
    if state.base.held:
        return
    season.shift(state.base, usual + mean * far, usual)
    episode.moved = 0.0 if episode.moved * mean < 0.0 else mean
    episode.until = state.last + RETURN * state.step
    episode.persisting = episode.lasting = 0
    for drift in drifts:
        drift.mean = 0.0
        drift.seen = drift.due
    residual.shift(state.residual, mean)


def _first_week(state: State) -> bool:
    if state.last - state.first > FIRST_WEEK:
        return False
    base = state.base  # once seen it is believed: a weekend makes the day look worse
    return base.week is not None and (base.held or season.has_rhythm(base, 0.6))


def _end_averages(state: State) -> None:
    """What went wrong is over when short averages are ordinary: long ones forget it."""
    episode, drifts = state.episode, state.drifts
    first = drifts[0]
    if not episode.lasting or abs(first.mean) > first.size:
        episode.ordinary = 0
        return
    episode.ordinary += 1
    if episode.ordinary >= OVER:
        for drift in drifts[1:]:
            if abs(drift.mean) > abs(first.mean):
                drift.mean = first.mean
                drift.seen = drift.due
        episode.ordinary = 0


def forget(state: State, rows: float) -> None:
    """Rows are missing: averages fade."""
    residual.forget(state.residual, rows)
    for drift in state.drifts:
        keep = (1.0 - drift.pace) ** rows
        drift.mean *= keep
        drift.seen = drift.due + (drift.seen - drift.due) * keep
