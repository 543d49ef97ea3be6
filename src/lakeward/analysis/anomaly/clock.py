"""When a row was: moments in seconds, the step between rows, the place in a season.

In: timestamps as people write them. Out: seconds since 1970. Fails with `Rejected` for what is no
moment.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

from lakeward.errors import Rejected

Moment = datetime | float | int | str
CALENDAR: Final = 100_000_000.0
"""Numbers below are row numbers or test clocks, of which no day or week is known."""
FORMS: Final = (
    "%Y-%m-%d %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d/%b/%Y:%H:%M:%S %z",
    "%Y/%m/%d", "%m/%d/%Y",
)  # fmt: skip


def seconds_of(moment: Moment) -> float:
    """Seconds since 1970; a time without a zone is UTC's, a large number is ms, µs or ns."""
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp()
    if isinstance(moment, str):
        return _read(moment.strip())
    number = float(moment)
    if not math.isfinite(number):
        raise Rejected(f"timestamp: {number} is no moment.")
    return _scaled(number)


def _scaled(number: float) -> float:
    size = abs(number)
    if size < 1e11:
        return number
    return number / (1e3 if size < 1e14 else 1e6 if size < 1e17 else 1e9)


def _read(text: str) -> float:
    try:
        return seconds_of(float(text))
    except ValueError:
        pass
    try:
        return seconds_of(datetime.fromisoformat(text))
    except ValueError:
        pass
    for form in FORMS:
        try:
            return seconds_of(datetime.strptime(text, form))
        except ValueError:
            continue
    raise Rejected(
        f"timestamp: {text[:40]!r} is no moment such as 2014-07-01 00:00:00 or 1404172800."
    )


def step_of(deltas: list[float]) -> float:
    """The step of rows with these distances: their median, or a round one close to it."""
    ordered = sorted(delta for delta in deltas if delta > 0)
    if not ordered:
        return 0.0
    median = ordered[len(ordered) // 2]
    for round_ in (1.0, 5.0, 10.0, 15.0, 30.0, 60.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 86400.0):
        if abs(median - round_) < 0.1 * round_:
            return round_
    return median
