"""The questions that `questions.py` measures: ours, a rival's statement, and how the two agree.

In: nothing. Out: `CASES`. A case is a question of the registry, made when it is asked; what
ClickHouse is asked for the same, over `{events}`, written as its own users would; how the figures
of both become comparable; and the share of the rival's CPU time that is the goal.

A further question is a further row here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from bigtable import START_MS
from lakeward.analysis.question import Question
from shop import DAYS

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
GAP: Final = 1800
SINCE: Final = datetime.fromtimestamp(START_MS / 1000, UTC)
UNTIL: Final = SINCE + timedelta(days=DAYS)


def _funnel() -> Question:
    from lakeward.analysis.funnel import Funnel
    from lakeward.analysis.step import Step

    return Funnel(steps=tuple(Step(event=name) for name in SHOPPING), unit="user_id")


def _percentiles() -> Question:
    from lakeward.analysis.trend import Series, Trend

    p95 = Series(event="api_call", metric="p95")
    return Trend(series=(p95,), grain="day", by=("route",), top=100, exact=True)


def _health() -> Question:
    from lakeward.analysis.api_health import ApiHealth

    return ApiHealth(by=("day", "route"), limit=10_000, exact=True)


def _retention() -> Question:
    from lakeward.analysis.retention import Retention

    return Retention(grain="week", periods=8, unit="user_id", since=SINCE, until=UNTIL)


def _sessions() -> Question:
    from lakeward.analysis.sessions import Sessions

    return Sessions(gap=GAP, grain="day", unit="user_id", since=SINCE, until=UNTIL)


def _paths() -> Question:
    from lakeward.analysis.paths import Paths

    return Paths(
        node="path", gap=GAP, depth=5, top=100, unit="user_id", since=SINCE, until=UNTIL
    )  # fmt: skip


def _by_position(rows: Rows, sessions: int) -> list[tuple[int, int]]:
    """Sessions that go on from each position, by whatever edge."""
    found: dict[int, int] = {}
    for row in rows:
        found[int(row[0])] = found.get(int(row[0]), 0) + int(row[sessions])
    return sorted(found.items())


def _told(rows: Rows) -> list[int]:
    """How many percentiles there are, and their mean, as ranks are chosen a little differently."""
    return [len(rows), round(sum(row[2] for row in rows) / len(rows))]


SITTINGS: Final = (
    "SELECT user_id, arrayJoin(arraySplit((x, d) -> d > {gap}, s, "
    "arrayDifference(arrayMap(x -> x.1, s)))) AS s "
    "FROM (SELECT user_id, arraySort(groupArray("
    "(toUnixTimestamp(assumeNotNull(timestamp)), {node}))) AS s "
    f"FROM {{{{events}}}} WHERE {COUNTED} AND user_id != 'anonymous' GROUP BY user_id)"
)
"""A user's interactions in order, split where a pause is longer than the gap."""
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
    "retention": Case(
        what="who came back in each of eight weeks after their first; the rival by a mask of weeks",
        ask=_retention,
        rival="SELECT toString(toDate('1970-01-01') + toUInt32((zero + c * 604800) / 86400)), "
        "w - c AS n, sum(k) FROM (SELECT b, count() AS k, "
        "toInt32(log2(bitAnd(b, toUInt64(-toInt64(b))))) AS c FROM (SELECT user_id, "
        "groupBitOr(bitShiftLeft(toUInt64(1), intDiv(toUnixTimestamp(timestamp) - zero, 604800)))"
        f" AS b FROM {{events}} WHERE {COUNTED} AND user_id != 'anonymous' GROUP BY user_id) "
        "GROUP BY b) ARRAY JOIN range(8) AS w WHERE bitTest(b, w) GROUP BY c, n".replace(
            "zero", str(START_MS // 1000)
        ),
        ours=lambda rows: sorted((row[0], row[1], row[3]) for row in rows if row[3]),
        theirs=lambda rows: sorted((row[0], int(row[1]), int(row[2])) for row in rows),
        goal=0.6,
    ),
    "sessions": Case(
        what="sessions by half an hour of inactivity, by day: how many, how long, bounces",
        ask=_sessions,
        rival="SELECT toString(toDate(toDateTime(s[1].1, 'UTC'))) AS day, count(), "
        "uniqExact(user_id), sum(length(s)), quantilesExact(0.5, 0.9)(s[-1].1 - s[1].1), "
        "countIf(length(s) = 1) FROM (" + SITTINGS.format(gap=GAP, node="0") + ") GROUP BY day",
        ours=lambda rows: sorted((row[0], row[1], row[2], row[3]) for row in rows),
        theirs=lambda rows: sorted((row[0], *map(int, row[1:4])) for row in rows),
        goal=1.3,
    ),
    "paths": Case(
        what="the first five edges between pages of each session, loops folded",
        ask=_paths,
        rival="SELECT e.1 AS at, e.2, e.3, uniqExact(user_id), count(), "
        "quantileExact(0.5)(e.4) FROM (SELECT user_id, arrayFilter((x, i) -> i = 1 OR "
        "s[i - 1].2 != x.2, s, arrayEnumerate(s)) AS n, arrayJoin(arrayMap(i -> (i, n[i].2, "
        "n[i + 1].2, toInt64(n[i + 1].1) - n[i].1), range(1, least(length(n), 5) + 1))) AS e "
        "FROM ("
        + SITTINGS.format(gap=GAP, node="assumeNotNull(path)")
        + ")) GROUP BY at, e.2, e.3",
        ours=lambda rows: _by_position(rows, 4),
        theirs=lambda rows: _by_position(rows, 4),
        goal=0.6,
    ),
}
