"""Drawn: what a rule of `alerts.toml` measures, bucket by bucket, beside its limit.

In: a rule, a stretch of time. Out: rows as those of a band, of which nobody expects anything. Each
fails as a question does.

    alert_limit     a [[threshold]]: its metric in its buckets
    alert_budget    a [[budget]]: what AI cost since the day or the month began, added up
    alert_silence   a [[silent]]: how many of the type came
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Final

from lakeward.alerts.band import POINTS
from lakeward.alerts.budgets import STEP_MS, Spending
from lakeward.alerts.sight import moment
from lakeward.alerts.thresholds import CALLS, Measured
from lakeward.analysis.events import Events, Source
from lakeward.analysis.question import Column, Row, Sql, says
from lakeward.analysis.trend import COUNTS
from lakeward.errors import Rejected

MOST_POINTS: Final = 10_000


class AlertLimit(Measured, frozen=True, kw_only=True):
    """A metric beside the limit of a rule."""

    name: ClassVar[str] = "alert_limit"

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        if len(self.rules) != 1 or self.since is None or self.until is None:
            raise Rejected("`rules` takes one; `since` and `until` are needed.")

    def columns(self) -> tuple[Column, ...]:
        """Of a bucket."""
        return POINTS

    def finish(self, rows: list[Row]) -> list[Row]:
        """With the buckets in which nothing was measured."""
        assert self.since is not None
        assert self.until is not None
        (rule,) = self.rules
        step = rule.minutes * 60_000
        measured: dict[int, float] = dict(rows)
        nothing = 0.0 if rule.metric in COUNTS else None
        low = None if rule.below is None else rule.limit
        high = None if rule.above is None else rule.limit
        found: list[Row] = []
        for at in _buckets(self.since, self.until, step):
            value = measured.get(at, nothing)
            wrong = value is not None and rule.passed(value)
            found.append((moment(at), value, None, low, high, value is not None, wrong))
        return found


class AlertBudget(Spending, frozen=True, kw_only=True):
    """What AI cost since a period began, beside what it may cost."""

    name: ClassVar[str] = "alert_budget"

    amount: Annotated[float, says("What it may cost, in USD.")]

    def columns(self) -> tuple[Column, ...]:
        """Of five minutes in which something was spent."""
        return POINTS

    def finish(self, rows: list[Row]) -> list[Row]:
        """Added up, from nothing on."""
        total, found = 0.0, [(self.since, 0.0, None, None, self.amount, True, False)]
        for at, cost in rows:
            total += cost
            over = total > self.amount
            found.append((moment(at + STEP_MS), total, None, None, self.amount, True, over))
        return list(found)


class AlertSilence(Events, frozen=True, kw_only=True):
    """How many of a type came in each bucket."""

    name: ClassVar[str] = "alert_silence"

    event: Annotated[str, says("The type.")]
    service: Annotated[str | None, says("The app; all of them where it is left out.")] = None
    seconds: Annotated[int, says("How long a bucket is.")] = 300

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        if self.since is None or self.until is None or self.seconds < 60:
            raise Rejected("`since`, `until` and `seconds` of at least 60 are needed.")

    def columns(self) -> tuple[Column, ...]:
        """Of a bucket."""
        return POINTS

    def sql(self) -> Sql:
        """Over `interactions`; of calls everybody's, as the rule counts them."""
        calls = self.event == CALLS
        events = Events(
            since=self.since, until=self.until, bots=calls, internal=calls,
            internal_is=self.internal_is,
        )  # fmt: skip
        source = Source(events, quick=True)
        terms = [source.of_type(self.event)]
        if self.service is not None:
            terms.append(f"i.service = {source.values(self.service)}")
        bucket = f"{source.ms} - ({source.ms} % {self.seconds * 1000})"
        return Sql(
            f'SELECT CAST({bucket} AS BIGINT) AS "at", count(*) AS value '
            f"FROM {source.relation()} WHERE {source.where(*terms)} GROUP BY 1 ORDER BY 1",
            source.parameters,
        )

    def finish(self, rows: list[Row]) -> list[Row]:
        """With the buckets in which nothing came."""
        assert self.since is not None
        assert self.until is not None
        counts: dict[int, int] = dict(rows)
        return [
            (moment(at), float(counts.get(at, 0)), None, None, None, True, False)
            for at in _buckets(self.since, self.until, self.seconds * 1000)
        ]


def _buckets(since: datetime, until: datetime, step: int) -> range:
    """Starts of buckets, not more than anybody can see."""
    first, last = (round(each.timestamp() * 1000) for each in (since, until))
    return range(max(first - first % step, last - MOST_POINTS * step), last, step)
