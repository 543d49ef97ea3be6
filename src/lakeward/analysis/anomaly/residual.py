"""What is left beside the usual, forecast one row ahead, and how large it usually is.

In: deviations from the usual. Out: a forecast of the next one, blended of nothing, averages, the
last one and an autoregression (recursive least squares), and spreads. Fails for nothing.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

LAGS: Final = 4
R4: Final = range(LAGS)
REMEMBERED: Final = 0.998
"""What of the autoregression's weight the next row leaves."""
SHAPES: Final = 3
"""Spreads may be constant, grow with the root of what is expected, or with it."""
PACE: Final = 1 / 400
FAR_PACE: Final = 1 / 400
BINS: Final = 24


class Residual(msgspec.Struct):
    """Of the deviations: the last ones, averages, the autoregression, and losses of forecasts."""

    last: list[float] = msgspec.field(default_factory=lambda: [0.0] * LAGS)
    weights: list[float] = msgspec.field(default_factory=lambda: [0.3, 0.1, 0.0, 0.0])
    inverse: list[float] = msgspec.field(
        default_factory=lambda: [1.0 if i % (LAGS + 1) == 0 else 0.0 for i in range(LAGS * LAGS)]
    )
    """Of the lags' covariance, row by row."""
    quick: float = 0.0
    calm: float = 0.0
    losses: list[float] = msgspec.field(default_factory=lambda: [1.0, 1.0, 1.0, 1.0, 1.0])
    rows: int = 0


class Spread(msgspec.Struct):
    """Usual sizes of deviations: from the forecast, and from what is usual."""

    near: list[float] = msgspec.field(default_factory=lambda: [0.0] * SHAPES)
    codes: list[float] = msgspec.field(default_factory=lambda: [0.0] * SHAPES)
    """Mean logarithm of each shape's unit: shapes are compared by code length."""
    far: float = 0.0
    """A quantile (0.7): a drift that lasts for hours hardly moves it."""
    shape: int = 0
    bins: list[float] = msgspec.field(default_factory=lambda: [1.0] * BINS)
    """By the hour, as a share of the overall."""
    size: float = 0.0
    """Usual size of the values."""
    rows: int = 0


def guesses(of: Residual) -> list[float]:
    """Forecasts of the next deviation."""
    a, b, c, d = of.last
    u, v, w, x = of.weights
    return [0.0, of.calm, of.quick, a, u * a + v * b + w * c + x * d]


def forecast(of: Residual, held: list[float]) -> float:
    """One forecast of all."""
    best = min(of.losses)
    total = weights = 0.0
    for loss, value in zip(of.losses, held, strict=True):
        ratio = (best + 1e-12) / (loss + 1e-12)
        ratio *= ratio
        ratio *= ratio
        weight = ratio * ratio
        weights += weight
        total += weight * value
    return total / weights


def learn(of: Residual, off: float, held: list[float]) -> None:
    """Take in a deviation, in usual sizes and cut."""
    of.rows += 1
    pace = max(0.01, 1.0 / (of.rows + 1))
    losses = of.losses
    for i, guess in enumerate(held):
        losses[i] += (min(abs(off - guess), 6.0) - losses[i]) * pace
    _regress(of, off, held[4])
    of.last = [off, *of.last[:-1]]
    of.quick += 0.35 * (off - of.quick)
    of.calm += 0.1 * (off - of.calm)


def _regress(of: Residual, off: float, guess: float) -> None:
    """One step of recursive least squares; an error counts 2 usual sizes at most."""
    a, b, c, d = of.last
    inverse = of.inverse
    p = [
        inverse[i] * a + inverse[i + 1] * b + inverse[i + 2] * c + inverse[i + 3] * d
        for i in (0, 4, 8, 12)
    ]
    bottom = REMEMBERED + a * p[0] + b * p[1] + c * p[2] + d * p[3]
    if not 0.5 < bottom < 1e9:
        of.inverse = [1.0 if i % (LAGS + 1) == 0 else 0.0 for i in range(LAGS * LAGS)]
        return
    error = off - guess
    error = 2.0 if error > 2.0 else -2.0 if error < -2.0 else error
    gains = [each / bottom for each in p]
    of.weights = [
        min(max(weight + gain * error, -3.0), 3.0)
        for weight, gain in zip(of.weights, gains, strict=True)
    ]
    scale = 1.0 / REMEMBERED if inverse[0] + inverse[5] + inverse[10] + inverse[15] < 40.0 else 1.0
    of.inverse = [(inverse[4 * i + j] - gains[i] * p[j]) * scale for i in R4 for j in R4]


def shift(of: Residual, by: float) -> None:
    """What is usual has moved by so many usual sizes."""
    of.last = [each - by for each in of.last]
    of.quick -= by
    of.calm -= by


def forget(of: Residual, rows: float) -> None:
    """Rows are missing: what was near is far."""
    of.quick *= 0.65**rows
    of.calm *= 0.9**rows
    of.last = [each * 0.7**rows for each in of.last]


def unit(of: Spread, expected: float) -> float:
    """What deviations are measured by where this is expected."""
    if of.shape == 0:
        return 1.0
    least = max(1e-3 * of.size, 1e-12)
    size = expected if expected > least else least
    return math.sqrt(size) if of.shape == 1 else size


def learn_spread(
    of: Spread, value: float, expected: float, near: float, far: float, trust: float
) -> None:
    """Take in how far a value was from its forecast and from what is usual."""
    of.rows += 1
    pace = max(PACE, 1.0 / (of.rows + 1))
    of.size += (min(abs(value), 1e100) - of.size) * pace
    least = max(1e-3 * of.size, 1e-12)
    size = expected if expected > least else least
    root = math.sqrt(size)
    for i, by in enumerate((1.0, root, size)):
        off = near / by
        usual = of.near[i]
        if of.rows > 12 and off > 6.0 * usual:
            off = 6.0 * usual + 1e-3 * min(off, 100.0 * usual)
        of.near[i] = usual + (off - usual) * pace
        of.codes[i] += (math.log(by) - of.codes[i]) * pace
    off = far / (1.0, root, size)[of.shape]
    if of.rows <= 24:
        of.far += (off - of.far) * pace
        return
    step = max(FAR_PACE, 3.0 / (of.rows + 20))
    of.far *= 1.0 + (0.7 * trust if off > of.far else -0.3) * step


def choose_shape(of: Spread, favourite: int) -> None:
    """Take the shape that describes deviations in the fewest bits; change only for a clear gain."""
    costs = [
        math.log(near + 1e-300) + code - (0.03 if i == favourite else 0.0)
        for i, (near, code) in enumerate(zip(of.near, of.codes, strict=True))
    ]
    best = min(range(SHAPES), key=costs.__getitem__)
    if costs[best] < costs[of.shape] - 0.02:
        was, now = of.codes[of.shape], of.codes[best]
        of.far *= math.exp(was - now)
        of.shape = best
