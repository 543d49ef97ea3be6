"""The verdict of a row: surprises of all kinds, the line they must pass, and learning from it.

In: a detector's state, a moment and a value. Out: a `Verdict`; the state has learned the row. Fails
for nothing.
"""

from __future__ import annotations

import math
from typing import Final

from lakeward.analysis.anomaly import novelty, residual, season, tails
from lakeward.analysis.anomaly.state import HISTORY, Drift, State
from lakeward.analysis.anomaly.verdict import Verdict

WEEK: Final = 604_800.0
MARGIN: Final = 1.3
"""Decades between a week's rows and the line: about one false alarm in so many weeks."""
HARD: Final = 8.0
"""Deviations are cut here where they are averaged, so that one row is no drift."""
PERSISTS: Final = 48
"""Rows on one side after which a new level is believed."""
SLOWLY: Final = 400
"""The same where no alarm went before."""
DOUBT: Final = 0.25
"""What a row may change of the usual while something seems wrong."""
SPARSE: Final = 0.15
"""What a slot's mean of a count cannot be known below: a few days saw nothing in it."""
ROW: Final = 0.94
"""Single rows are many: theirs counts a little less."""
MANNER: Final = 0.87
"""How rows move says less than where they are."""
OVER: Final = 12
"""Ordinary rows that end what went wrong."""
RETURN: Final = 576
"""Rows in which going back to the former level is no news."""
LASTS: Final = 72
"""Rows of one alarm after which it is."""
BINS: Final = residual.BINS


def judge(
    state: State, t: float, local: float, value: float, volume: float | None, learning: bool
) -> Verdict:
    """What is to be thought of the row; learns it if it is a new one."""
    base, spread, options = state.base, state.spread, state.options
    counts = options.kind == "count" or (options.kind == "value" and state.whole)
    held = season.candidates(base, local)
    usual = season.blend(base, held)
    if counts or base.relative:
        usual = max(usual, 0.0)
    bin_ = int(local % 86_400.0 / 3600.0)
    unit = residual.unit(spread, usual) * spread.bins[bin_]
    floor = max(1e-3 * spread.size, 1e-9) / 1.25
    far = max(spread.far * unit, floor)
    near = 1.25 * max(spread.near[spread.shape] * unit, floor)
    guesses = residual.guesses(state.residual)
    expected = usual + residual.forecast(state.residual, guesses) * far
    if counts or base.relative:
        expected = max(expected, 0.0)
    z, off = (value - expected) / near, (value - usual) / far
    found = _surprises(state, value, z, off, expected, usual, volume, counts)
    verdict = _verdict(state, t, value, volume, expected, near, found)
    if learning:
        _learn(state, local, value, held, usual, expected, z, off, guesses, far, near, bin_)
    return verdict


def _surprises(
    state: State, value: float, z: float, off: float, expected: float, usual: float,
    volume: float | None, counts: bool,
) -> list[tuple[float, int, str]]:  # fmt: skip
    """How surprising each kind of look is, to which side, and its words."""
    side = 1 if z > 0 else -1
    tail = state.point.up if z > 0 else state.point.down
    point = ROW * tails.surprise(tail, abs(z))
    least = min(SPARSE, state.spread.size)
    if counts:
        point = min(point, tails.count_surprise(value, max(expected, least)))
    elif state.options.kind == "rate" and volume is not None:
        point = min(point, tails.share_surprise(value, expected, volume))
    found = [(point, side, "row")]
    cut = HARD if off > HARD else -HARD if off < -HARD else off
    fresh = _freshness(state)
    back = state.episode.moved if state.last < state.episode.until else 0.0
    for drift in state.drifts:
        pace = drift.pace
        mean = drift.mean + pace * (cut - drift.mean)
        size = max(drift.size, math.sqrt(pace / (2 - pace)))
        tail = drift.tails.up if mean > 0 else drift.tails.down
        surprise = fresh * tails.surprise(tail, abs(mean) / size)
        if counts:
            rows = (2 - pace) / pace
            seen = drift.seen + pace * (value - drift.seen)
            due = drift.due + pace * (usual - drift.due)
            surprise = min(surprise, tails.count_surprise(seen * rows, max(due, least) * rows))
        side = 1 if mean > 0 else -1
        if back * side < 0.0 and abs(mean) < 1.3 * abs(back) + 1.0:
            surprise *= 0.5
        found.append((surprise, side, "drift"))
    if not (counts and state.spread.size < 1.0):  # single events have no shape
        found.append((MANNER * fresh * _restless(state, z), 0, "restless"))
        novel = tails.surprise(state.shapes.tails.up, state.shapes.score)
        found.append((MANNER * fresh * novel, 0, "shape"))
    if counts and value == 0.0:
        found.append((fresh * _zeros(state, usual), -1, "silent"))
    return found


def _freshness(state: State) -> float:
    """Averages are believed when a rhythm that may be there could have been seen."""
    base = state.base
    if base.day is None:
        return min(1.0, state.rows / 150)
    days = (state.last - state.first) / 86_400.0
    return min(1.0, days / 1.5) * (0.8 if days < 7.0 else 1.0)


def _restless(state: State, z: float) -> float:
    calm = state.calm
    short = calm.short + 0.08 * (min(abs(z), HARD) - calm.short)
    level = math.log(max(short, 1e-3) / 0.8) / (1.25 * max(calm.size, 0.15))
    tail = calm.tails.up if level > 0 else calm.tails.down
    return tails.surprise(tail, abs(level))


def _zeros(state: State, usual: float) -> float:
    """Nothing came: what was due since something last did, against the longest such run."""
    due = state.episode.due + usual
    spread = state.spread.near[1] * 1.25
    over = max(1.0, spread * spread)
    return due / over / tails.LN10 * min(1.0, due / (1.5 * state.episode.longest + 1e-9))


def line_of(state: State) -> float:
    """The surprise that makes an alarm: rarer than weekly, and more when alarms were many."""
    rows = WEEK / max(state.step, 1.0) if state.step else 2016.0
    if state.last < 1e8:
        rows = 500.0
    line = math.log10(max(rows, 100.0)) + MARGIN - math.log10(state.options.sensitivity)
    return line * (1.0 + 0.08 * max(0.0, state.episode.weariness - 2.0))


def _verdict(
    state: State, t: float, value: float, volume: float | None, expected: float, near: float,
    found: list[tuple[float, int, str]],
) -> Verdict:  # fmt: skip
    options, episode = state.options, state.episode
    line = line_of(state)
    wanted = {"both": 0, "up": 1, "down": -1}[options.direction]
    surprise, side, kind = 0.0, 0, "row"
    second = 0.0
    for each in found:
        if wanted and each[1] != wanted and each[1]:
            continue
        if each[0] > surprise:
            second = surprise
            surprise, side, kind = each
        elif each[0] > second:
            second = each[0]
    surprise += 0.1 * second
    surprise *= state.rows / (state.rows + 40.0)
    small = max(abs(expected), abs(value)) < options.min_volume
    if options.kind == "rate" and volume is not None:
        small = volume < options.min_volume
    if state.rows <= 24 or small:
        surprise = min(surprise, 0.5 * line)
    open_ = t - episode.last <= _cooldown(state)
    anomalous = surprise >= (0.8 * line if open_ else line)
    score = surprise / (surprise + line)
    episode.tension = surprise / line
    if anomalous and score < 0.5:
        score = 0.5
    low = expected - near * tails.size_of(state.point.down, line)
    high = expected + near * tails.size_of(state.point.up, line)
    if options.kind != "value" or state.whole:
        low = max(low, 0.0)
    why = _why(kind, side, value, expected, surprise) if anomalous else "as usual"
    alarm = anomalous and not open_
    if alarm:
        episode.since = t
        episode.weariness += 1.0
    episode.lasting = episode.lasting + 1 if anomalous else 0
    if anomalous:
        episode.last = max(t, episode.last)
    return Verdict(score, anomalous, expected, low, high, why, alarm)


def _cooldown(state: State) -> float:
    return state.options.cooldown or max(3_600.0 if state.last > 1e8 else 0.0, 12 * state.step)


def _why(kind: str, side: int, value: float, expected: float, surprise: float) -> str:
    once = f"seen once in {10 ** min(surprise, 12):,.0f} rows"
    where = "above" if side > 0 else "below"
    if kind == "row":
        return f"{value:.6g} is far {where} the expected {expected:.6g}, {once}"
    if kind == "drift":
        return f"rows have been {where} the usual for a while (expected {expected:.6g}), {once}"
    if kind == "restless":
        return f"rows swing more or less than they do (expected {expected:.6g}), {once}"
    if kind == "silent":
        return f"nothing comes where {expected:.6g} a row is usual, {once}"
    return f"the last rows have a shape that was not seen before, {once}"


def _learn(
    state: State, local: float, value: float, held: list[float | None], usual: float,
    expected: float, z: float, off: float, guesses: list[float], far: float, near: float, bin_: int,
) -> None:  # fmt: skip
    base, spread = state.base, state.spread
    if state.whole and (value < 0 or value != int(value)):
        state.whole = False
        if state.options.kind == "value":
            season.make_absolute(base)
    base.held = _first_week(state)
    trust = DOUBT if base.held or state.episode.tension > 0.6 else 1.0
    season.learn(base, local, value, held, far, state.step, trust)
    cut = HARD if off > HARD else -HARD if off < -HARD else off
    ahead = (expected - usual) / far
    reach = 5.0 * near / far
    residual.learn(state.residual, min(max(cut, ahead - reach), ahead + reach), guesses)
    ratio = min(abs(z), 6.0) / 0.8
    rising = 1.0 if trust == 1.0 else 0.6
    residual.learn_spread(spread, value, usual, abs(value - expected), abs(value - usual), rising)
    if state.rows > 200:
        pace = 0.01
        spread.bins[bin_] *= 1.0 + pace * (min(ratio, 3.0) - 1.0) * 0.5
        spread.bins[bin_] = min(max(spread.bins[bin_], 0.3), 4.0)
    if state.rows % 64 == 0:
        residual.choose_shape(spread, 1 if state.whole else 0)
    if state.rows <= 12:
        return
    tails.learn(state.point, z)
    for drift in state.drifts:
        _learn_drift(drift, cut, value, usual, state.rows, rising)
    calm = state.calm
    calm.short += 0.08 * (min(abs(z), HARD) - calm.short)
    level = math.log(max(calm.short, 1e-3) / 0.8)
    calm.size += (min(abs(level), 4 * calm.size) - calm.size) * max(1 / 500, 1 / (state.rows + 1))
    tails.learn(calm.tails, level / (1.25 * max(calm.size, 0.15)))
    if novelty.add(state.shapes, cut):
        tails.learn(state.shapes.tails, state.shapes.score)
    _keep_zeros(state, value, usual)
    _believe(state, usual, far)
    state.episode.weariness *= 1.0 - min(0.01, state.step / WEEK)
    if state.options.season == "auto" and state.rows < 12_300:
        state.recent.append(cut)
        if len(state.recent) > HISTORY:
            del state.recent[: HISTORY // 3]


def _learn_drift(drift: Drift, cut: float, value: float, usual: float, rows: int, trust: float) -> None:
    """Its usual size is a quantile (0.7), so that a long anomaly hardly moves it."""
    pace = drift.pace
    drift.mean += pace * (cut - drift.mean)
    drift.seen += pace * (value - drift.seen)
    drift.due += pace * (usual - drift.due)
    step = max(1 / 1000, 3.0 / (rows + 20))
    size = drift.size * (1.0 + (0.7 * trust if abs(drift.mean) > drift.size else -0.3) * step)
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
    if state.last - state.first > 8 * 86_400.0:
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


def silence(state: State, now: float) -> Verdict | None:
    """Whether rows should have come by now."""
    if state.rows < 24 or not state.step:
        return None
    ordinary = max(state.deltas, default=state.step)
    since = now - state.last
    wanted = max(4.0 * state.step, 2.0 * ordinary)
    if since <= wanted:
        return None
    score = since / (since + wanted)
    why = f"no row has come for {since:,.0f} s, where one comes every {state.step:,.0f} s"
    return Verdict(score, True, state.base.ground, 0.0, 0.0, why, True)
