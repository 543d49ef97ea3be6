"""The questions that `questions.py` measures: ours, a rival's statement, and how the two agree.

In: nothing. Out: `CASES`. A case is a question of the registry, made when it is asked; what
ClickHouse is asked for the same, over `{events}`, written as its own users would; how the figures
of both become comparable; and the share of the rival's CPU time that is the goal.

A further question is a further row here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from lakeward.analysis.question import Question

Rows = list[list[Any]]
"""An answer's rows as JSON has them: times are text."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One question and its rival."""

    what: str
    ask: Callable[[], Question]
    rival: str
    ours: Callable[[Rows], object]
    """Our answer, as far as the rival can tell it."""
    theirs: Callable[[Rows], object]
    goal: float
    """The most of the rival's CPU time that it may take."""


COUNTED: Final = (
    "NOT ifNull(bot, false) AND ifNull(user_type NOT IN ('internal', 'staff', 'test'), true)"
)
"""What questions leave out unless they are asked for it."""
SHOPPING: Final = ("product_view", "add_to_cart", "checkout_start", "purchase")
WEEK_MS: Final = 604_800_000


def _funnel() -> Question:
    from lakeward.analysis.funnel import Funnel
    from lakeward.analysis.step import Step

    return Funnel(steps=tuple(Step(event=name) for name in SHOPPING), unit="user_id")


def _percentiles() -> Question:
    from lakeward.analysis.trend import Series, Trend

    p95 = Series(event="api_call", metric="p95")
    return Trend(series=(p95,), grain="day", by=("route",), top=100)


def _health() -> Question:
    from lakeward.analysis.api_health import ApiHealth

    return ApiHealth(by=("day", "route"), limit=10_000)


def _told(rows: Rows) -> list[int]:
    """How many percentiles there are, and their mean, as ranks are chosen a little differently."""
    return [len(rows), round(sum(row[2] for row in rows) / len(rows))]


NAMES: Final = ", ".join(f"'{name}'" for name in SHOPPING)
CASES: Final[dict[str, Case]] = {
    "funnel": Case(
        what="four steps within a week; ours with times of each step, `windowFunnel` without",
        ask=_funnel,
        rival="SELECT countIf(level >= 1), countIf(level >= 2), countIf(level >= 3), "
        f"countIf(level >= 4) FROM (SELECT user_id, windowFunnel({WEEK_MS})("
        "toUInt64(toUnixTimestamp64Milli(timestamp)), "
        + ", ".join(f"interaction_type = '{name}'" for name in SHOPPING)
        + f") AS level FROM {{events}} WHERE interaction_type IN ({NAMES}) AND {COUNTED} "
        "AND user_id != 'anonymous' GROUP BY user_id)",
        ours=lambda rows: [row[2] for row in rows],
        theirs=lambda rows: [int(count) for count in rows[0]],
        goal=0.9,
    ),
    "percentiles": Case(
        what="the duration that 95 of 100 calls stay below, by day and route",
        ask=_percentiles,
        rival="SELECT toDate(timestamp) AS day, route, "
        "quantileExact(0.95)(response_time_ms) FROM {events} "
        f"WHERE interaction_type = 'api_call' AND {COUNTED} GROUP BY day, route",
        ours=_told,
        theirs=_told,
        goal=0.8,
    ),
    "health": Case(
        what="calls, failures, three percentiles by day and route; ours with Apdex and bytes",
        ask=_health,
        rival="SELECT toDate(timestamp) AS day, route, count(), "
        "countIf(response_status >= 500), quantilesExact(0.5, 0.95, 0.99)(response_time_ms) "
        "FROM {events} WHERE interaction_type = 'api_call' GROUP BY day, route",
        ours=lambda rows: sorted((row[2], row[9]) for row in rows),
        theirs=lambda rows: sorted((int(row[2]), int(row[3])) for row in rows),
        goal=0.8,
    ),
}
