"""Budgets: what AI has cost since the day or the month began, against what it may cost.

In: the rules, and the lake as a reading shows it. Out: a signal when the share to warn at is
reached, one when the amount is passed, one at each later look, and one when the next day or month
begins. Fails as a question does.

The cost is that of the view `ai_turns`, each turn once, as of the look: a turn that comes late or
is priced later counts. `at` is the five minutes in which the sum passed the line, so that a look
that is repeated says the same; where more was said since, it is that of the look. Days and months
are those of the zone of `[watch]`.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Final
from zoneinfo import ZoneInfo

import msgspec

from lakeward.alerts.rules import Budget
from lakeward.alerts.sight import Sight, moment
from lakeward.alerts.signal import Signal
from lakeward.analysis.ai_turns import of_turns
from lakeward.analysis.question import Column, Row, Sql, ask
from lakeward.analysis.scope import check_times
from lakeward.lake.reading import Reading

STEP_MS: Final = 300_000
WARNED, OVER = 1, 2


class Held(msgspec.Struct, frozen=True):
    """What is remembered of a budget."""

    budget: Budget
    period_ms: int
    level: int = 0
    said_ms: int = 0
    """`at` of the last signal."""


class Budgets(msgspec.Struct, frozen=True):
    """Of all budgets, by their names."""

    held: dict[str, Held] = {}


class Spending(msgspec.Struct, frozen=True, kw_only=True):
    """What AI cost in each five minutes."""

    name: ClassVar[str] = "spending"

    since: datetime
    until: datetime

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        check_times(self.since, self.until, "UTC")

    def columns(self) -> tuple[Column, ...]:
        """The bucket's start and its cost."""
        return (
            Column("at", "integer", "Start of the bucket."),
            Column("cost_usd", "number", "Cost.", "USD"),
        )

    def sql(self) -> Sql:
        """Over `ai_turns`."""
        text = f"""WITH t AS (
    SELECT epoch_ms(t.started_at) AS ms, t.cost_usd FROM ai_turns t
    WHERE t.started_at >= $since AND t.started_at < $until
)
SELECT CAST(ms - (ms % {STEP_MS}) AS BIGINT) AS "at", sum(cost_usd) AS cost_usd
FROM t GROUP BY 1 HAVING sum(cost_usd) > 0 ORDER BY 1"""
        return Sql(of_turns(text), {"since": self.since, "until": self.until})

    def finish(self, rows: list[Row]) -> list[Row]:
        """As the statement gave them."""
        return rows


def signals_of(sight: Sight) -> list[Signal]:
    """Compare what was spent until now."""
    rules, whole_ms = sight.rules, sight.whole_ms
    before = sight.memory.word(Budgets()).held
    signals = [
        _signal(held.budget, whole_ms - whole_ms % STEP_MS, None, wrong=False)
        for held in before.values()
        if held.level and all(held.budget.name != budget.name for budget in rules.budgets)
    ]
    after: dict[str, Held] = {}
    costs: dict[int, list[tuple[int, float]]] = {}
    for budget in rules.budgets:
        start = period_start(whole_ms, budget.per, rules.watch.zone)
        if start not in costs:
            costs[start] = _spent(sight.reading, start, whole_ms)
        held = before.get(budget.name) or Held(budget, start)
        after[budget.name], said = _judged(budget, held, start, costs[start], whole_ms)
        signals += said
    if after != before:
        sight.memory.keep(Budgets(after))
    return signals


def _spent(reading: Reading, start: int, end: int) -> list[tuple[int, float]]:
    if start >= end:
        return []
    rows = ask(reading, Spending(since=moment(start), until=moment(end))).rows
    return [(int(str(at)), float(str(cost))) for at, cost in rows]


def _judged(
    budget: Budget, held: Held, start: int, costs: list[tuple[int, float]], whole_ms: int
) -> tuple[Held, list[Signal]]:
    signals = []
    level_before, now = held.level, whole_ms - whole_ms % STEP_MS
    if held.period_ms != start or held.budget.per != budget.per:
        if level_before:
            ended = max(start - STEP_MS, held.said_ms)
            signals.append(_signal(held.budget, ended, 0.0, wrong=False))
        level_before = 0
    passed, total = _passed(budget, costs)
    level = max(passed, default=0)
    told = {  # never before what was said last, which would make it an old story
        line: at if at > held.said_ms and not level_before else now
        for line, at in passed.items() if line > level_before
    }  # fmt: skip
    for line, at in told.items():
        if line == level or at != told[level]:
            signals.append(_signal(budget, at, total, wrong=True, begins=True, over=line == OVER))
    if level and level == level_before and now > held.said_ms:
        signals.append(_signal(budget, now, total, wrong=True, over=level == OVER))
    elif level < level_before and not level:
        signals.append(_signal(budget, now, total, wrong=False))
    said_ms = max([held.said_ms, *(each.at for each in signals)])
    return Held(budget, start, level, said_ms), signals


def _passed(budget: Budget, costs: list[tuple[int, float]]) -> tuple[dict[int, int], float]:
    """In which five minutes each line was passed, and the sum."""
    lines = {WARNED: budget.warn_at * budget.amount, OVER: budget.amount}
    passed: dict[int, int] = {}
    total = 0.0
    for at, cost in costs:
        total += cost
        for line, amount in lines.items():
            if total >= amount and (line == WARNED or total > amount):
                passed.setdefault(line, at)
    return passed, total


def _signal(
    budget: Budget, at: int, value: float | None, *, wrong: bool, begins: bool = False,
    over: bool = False,
) -> Signal:  # fmt: skip
    if value is None:
        why = f"{budget.name}: the budget was taken out of the file."
    else:
        share = value / budget.amount
        why = (
            f"{budget.name}: AI has cost {value:.2f} of {budget.amount:.2f} {budget.currency} "
            f"this {budget.per} ({share:.0%})."
        )
    return Signal(
        series=f"ai cost per {budget.per}", kind="budget", rule=budget.name, wrong=wrong,
        begins=begins, at=at, seconds=STEP_MS / 1000, severity="critical" if over else "warning",
        direction="up", value=value, high=budget.amount, unit=budget.currency, why=why,
    )  # fmt: skip


def period_start(ms: int, per: str, zone: str) -> int:
    """When the day or the month of a moment began."""
    local = datetime.fromtimestamp(ms / 1000, ZoneInfo(zone))
    day = 1 if per == "month" else local.day
    start = datetime(local.year, local.month, day, tzinfo=ZoneInfo(zone))
    return round(start.timestamp() * 1000)
