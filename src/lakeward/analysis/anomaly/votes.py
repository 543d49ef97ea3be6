"""The verdict of a row: surprises of all kinds, and the line they must pass.

In: a detector's state, a moment and a value. Out: a `Verdict`, and the `Row` that may be learned;
nothing here changes the state. Fails for nothing.
"""

from __future__ import annotations

import math
from typing import Final

from lakeward.analysis.anomaly import residual, season, tails
from lakeward.analysis.anomaly.row import HARD, Row
from lakeward.analysis.anomaly.state import Drift, State
from lakeward.analysis.anomaly.verdict import Verdict

WEEK: Final = 604_800.0
MARGIN: Final = 1.3
"""Decades between a week's rows and the line: about one false alarm in so many weeks."""
ROW: Final = 0.92
"""Single rows are many: theirs counts a little less than averages."""
DRIFT: Final = 1.03
MANNER: Final = 0.87
"""How rows move says less than where they are."""
SPARSE: Final = 0.15
"""What a slot's mean of a count cannot be known below: a few days saw nothing in it."""
PRESENT: Final = 2.5
"""Usual sizes that the last few rows must be off for what they are part of to be going on."""
WAKE: Final = 144
"""Rows after an alarm in which long looks still see it, and are believed less."""
IN_WAKE: Final = 0.75
RESTLESS: Final = 1.2
NOVEL: Final = 8.0
"""Decades that a shape says at most: it is of many rows, of which this one is the last."""
GOES_ON: Final = 0.8
"""Share of the line at which an alarm goes on."""
LEARNING: Final = 24
"""Rows before anything is said; the step is known by then."""
SIDES: Final = {"both": 0, "up": 1, "down": -1}
Found = tuple[float, int, str]
"""How surprising a look is, to which side (0: none), and its name."""


def row_of(state: State, local: float, value: float, volume: float | None) -> Row:
    """The value beside what is usual and what was forecast."""
    base, spread, options = state.base, state.spread, state.options
    counts = options.kind == "count" or (options.kind == "value" and state.whole)
    least = 0.0 if counts or base.relative else -math.inf
    held = season.candidates(base, local)
    usual = max(season.blend(base, held), least)
    hour = int(local % 86_400.0 / 3600.0)
    unit = residual.unit(spread, usual) * spread.bins[hour]
    floor = max(8e-4 * spread.size, 8e-10)
    far = max(spread.far * unit, floor)
    near = 1.25 * max(spread.near[spread.shape] * unit, floor)
    guesses = residual.guesses(state.residual)
    ahead = residual.forecast(state.residual, guesses)
    expected = max(usual + ahead * far, least)
    off = (value - usual) / far
    return Row(
        local, hour, value, volume, counts, held, usual, guesses, expected, far, near,
        z=(value - expected) / near, off=HARD if off > HARD else -HARD if off < -HARD else off,
    )  # fmt: skip


def judge(state: State, t: float, row: Row) -> tuple[Verdict, float]:
    """What is to be thought of the row, and its surprise as a share of the line."""
    options, line = state.options, line_of(state)
    surprise, side, kind = _voted(_surprises(state, row), SIDES[options.direction])
    surprise *= state.rows / (state.rows + 40.0)
    small = max(abs(row.expected), abs(row.value)) < options.min_volume
    if options.kind == "rate" and row.volume is not None:
        small = row.volume < options.min_volume
    if state.rows <= LEARNING or small:
        surprise *= 0.5 * line / (surprise + line)
    since = t - state.episode.last
    goes_on = since <= _cooldown(state)
    if kind != "row" and not goes_on and since <= WAKE * state.step:
        surprise *= IN_WAKE
    anomalous = surprise >= (GOES_ON * line if goes_on else line)
    low = row.expected - row.near * tails.size_of(state.point.down, line)
    high = row.expected + row.near * tails.size_of(state.point.up, line)
    if options.kind != "value" or state.whole:
        low = max(low, 0.0)
    why = _why(kind, side, row, surprise) if anomalous else "as usual"
    score = surprise / (surprise + line)
    alarm = anomalous and not goes_on
    return Verdict(score, anomalous, row.expected, low, high, why, alarm), surprise / line


def _voted(found: list[Found], wanted: int) -> Found:
    """The most surprised look; the second adds a little."""
    surprise, second, side, kind = 0.0, 0.0, 0, "row"
    for each, where, name in found:
        if wanted and where != wanted:
            continue
        if each > surprise:
            second = surprise
            surprise, side, kind = each, where, name
        elif each > second:
            second = each
    return surprise + 0.1 * second, side, kind


def _surprises(state: State, row: Row) -> list[Found]:
    """How surprising each kind of look is."""
    side = 1 if row.z > 0 else -1
    far = abs(row.z)
    if state.episode.lasting:  # the forecast has seen what is wrong: to come back is no news
        far = min(far, abs(row.off) * row.far / row.near)
    point = ROW * tails.surprise(state.point.up if row.z > 0 else state.point.down, far)
    least = min(SPARSE, state.spread.size)
    if row.counts:
        point = min(point, tails.count_surprise(row.value, max(row.expected, least)))
    elif state.options.kind == "rate" and row.volume is not None:
        point = min(point, tails.share_surprise(row.value, row.expected, row.volume))
    found: list[Found] = [(point, side, "row")]
    fresh = _freshness(state)
    back = state.episode.moved if state.last < state.episode.until else 0.0
    now = _now(state, row)
    for drift in state.drifts:
        surprise, where, name = _drifted(drift, row, least, fresh, back)
        found.append((surprise * _present(now * where, 0.5 * abs(drift.mean)), where, name))
    if not (row.counts and state.spread.size < 1.0):  # single events have no shape
        swings = _present(abs(row.z), RESTLESS) * _restless(state, row.z)
        found.append((MANNER * fresh * swings, 0, "restless"))
        novel = min(NOVEL, tails.surprise(state.shapes.tails.up, state.shapes.score))
        found.append((MANNER * fresh * _present(abs(now), PRESENT) * novel, 0, "shape"))
    if row.counts and row.value == 0.0:
        found.append((fresh * _zeros(state, row.usual), -1, "silent"))
    return found


def _now(state: State, row: Row) -> float:
    """How far off the last few rows and the last two are, whichever is less."""
    quick = state.residual.quick + 0.35 * (row.off - state.residual.quick)
    pair = 0.5 * (row.off + state.episode.before)
    if quick * pair <= 0.0:
        return 0.0
    return min(quick, pair) if quick > 0.0 else max(quick, pair)


def _present(now: float, wanted: float) -> float:
    """How much of what long looks saw is there in the last few rows; what is over alarms nobody."""
    if now >= wanted:
        return 1.0
    share = now / wanted if now > 0.0 else 0.0
    return share * share


def _drifted(drift: Drift, row: Row, least: float, fresh: float, back: float) -> Found:
    """An average with this row in it; `back` is the way to a former level, which is no news."""
    pace = drift.pace
    mean = drift.mean + pace * (row.off - drift.mean)
    size = max(drift.size, math.sqrt(pace / (2 - pace)))
    tail = drift.tails.up if mean > 0 else drift.tails.down
    surprise = DRIFT * fresh * tails.surprise(tail, abs(mean) / size)
    if row.counts:
        rows = (2 - pace) / pace
        seen = drift.seen + pace * (row.value - drift.seen)
        due = drift.due + pace * (row.usual - drift.due)
        surprise = min(surprise, tails.count_surprise(seen * rows, max(due, least) * rows))
    side = 1 if mean > 0 else -1
    if back * side < 0.0 and abs(mean) < 1.3 * abs(back) + 1.0:
        surprise *= 0.5
    return surprise, side, "drift"


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


def _cooldown(state: State) -> float:
    return state.options.cooldown or max(3_600.0 if state.last > 1e8 else 0.0, 12 * state.step)


def _why(kind: str, side: int, row: Row, surprise: float) -> str:
    value, expected = row.value, row.expected
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
