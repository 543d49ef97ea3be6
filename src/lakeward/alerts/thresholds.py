"""Thresholds: metrics in buckets of a rule's own, against its limit.

In: the rules, and the lake as a reading shows it. Out: signals; how far each rule has come is in
the memory. Fails as a question does.

Rules with buckets of one length are one question. Buckets begin at multiples of their length since
1970. Of calls (`api_call`) everybody's count, of other types those without bots and without the
team's own traffic. A bucket in which nothing happened is 0 for what is counted; for a rate or a
percentile it is unknown, and passed over. A new rule judges its newest buckets at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Final

import msgspec

from lakeward.alerts import limits
from lakeward.alerts.limits import Held
from lakeward.alerts.rules import Threshold
from lakeward.alerts.sight import Sight, moment
from lakeward.alerts.signal import Signal
from lakeward.analysis.events import Events, Source
from lakeward.analysis.metric import field_of, metric_of, number
from lakeward.analysis.question import Column, Row, Sql, ask, says
from lakeward.analysis.trend import COUNTS, named_by

CALLS: Final = "api_call"
BEHIND_MS: Final = 7 * 86_400_000


class Limits(msgspec.Struct, frozen=True):
    """What is remembered of all rules, by their names."""

    held: dict[str, Held] = {}


class Measured(Events, frozen=True, kw_only=True):
    """The metrics of some rules, in buckets of one length."""

    name: ClassVar[str] = "measured"

    rules: Annotated[tuple[Threshold, ...], says("Rules with equal minutes.")]
    bots: Annotated[bool, says("Whether bots count.")] = True
    internal: Annotated[bool, says("Whether the team's own traffic counts.")] = True

    def columns(self) -> tuple[Column, ...]:
        """The bucket's start, and a column for each rule."""
        metrics = [(rule.name, metric_of(rule.metric)) for rule in self.rules]
        return (
            Column("at", "integer", "Start of the bucket."),
            *(Column(f"rule_{n}", metric.kind, f"{name}.", metric.unit)
              for n, (name, metric) in enumerate(metrics, 1)),
        )  # fmt: skip

    def sql(self) -> Sql:
        """Over `interactions`, or `stitched` where a person counts."""
        source = Source(self, quick=True)
        usual = ""
        if any(rule.event != CALLS for rule in self.rules):
            usual = " AND " + Source(Events(internal_is=self.internal_is), source.values).where()
        step = self.rules[0].minutes * 60_000
        inner = [f"{source.ms} - ({source.ms} % {step}) AS at", "i.response_status"]
        names = [name for rule in self.rules for name in named_by(rule.measured)]
        if any("i.unit" in metric_of(rule.metric).sql for rule in self.rules):
            names.append("person")
            inner.append(f"{source.field('person').sql} AS unit")
        terms, values = [], []
        for n, rule in enumerate(self.rules, 1):
            term = f"{source.of_type(rule.event)} AND {source.condition(rule.measured.where)}"
            terms.append(term if rule.event == CALLS else term + usual)
            inner.append(f"({terms[-1]}) AS is_{n}")
            metric = metric_of(rule.metric)
            if (field := field_of(rule.metric, rule.field)) is not None:
                found = source.field(field)
                inner.append(f"{number(found) if metric.takes == 'number' else found.sql} AS x_{n}")
            values.append(metric.sql.format(rows=f"i.is_{n}", x=f"i.x_{n}") + f" AS rule_{n}")
        any_of = " OR ".join(f"({term})" for term in terms)
        return Sql(
            f"WITH i AS (SELECT {', '.join(inner)} FROM {source.relation(*names)} "
            f"WHERE {source.where(f'({any_of})')})\n"
            f'SELECT CAST(i.at AS BIGINT) AS "at", {", ".join(values)}\n'
            "FROM i GROUP BY 1 ORDER BY 1",
            source.parameters,
        )

    def finish(self, rows: list[Row]) -> list[Row]:
        """As the statement gave them."""
        return rows


def signals_of(sight: Sight) -> list[Signal]:
    """Judge the buckets that are over."""
    rules, whole_ms = sight.rules, sight.whole_ms
    before = sight.memory.word(Limits()).held
    signals = [
        limits.signal(held.rule, held.next_ms - 1, None, wrong=False)
        for name, held in before.items()
        if held.open and held.rule not in rules.thresholds
    ]
    by_minutes: dict[int, list[Held]] = {}
    for rule in rules.thresholds:
        step = rule.minutes * 60_000
        end = whole_ms - whole_ms % step
        held = before.get(rule.name)
        if held is None or held.rule != rule:
            held = Held(rule, end - rule.lasts * step)
        first = max(held.next_ms, end - BEHIND_MS)
        held = msgspec.structs.replace(held, next_ms=first - first % step)
        by_minutes.setdefault(rule.minutes, []).append(held)
    after: dict[str, Held] = {}
    for group in by_minutes.values():
        for held, said in _group(sight, group):
            after[held.rule.name] = held
            signals += said
    if after != before:
        sight.memory.keep(Limits(after))
    return signals


def _group(sight: Sight, group: list[Held]) -> Iterable[tuple[Held, list[Signal]]]:
    step = group[0].rule.minutes * 60_000
    since, until = min(held.next_ms for held in group), sight.whole_ms - sight.whole_ms % step
    if since >= until:
        return [(held, []) for held in group]
    question = Measured(
        rules=tuple(held.rule for held in group), since=moment(since), until=moment(until),
        internal_is=sight.settings.internal,
    )  # fmt: skip
    rows = {row[0]: row[1:] for row in ask(sight.reading, question).rows}
    found = []
    for n, held in enumerate(group):
        said: list[Signal] = []
        nothing = 0 if held.rule.metric in COUNTS else None
        for at in range(held.next_ms, until, step):
            value = rows[at][n] if at in rows else nothing
            if not isinstance(value, int | float) or sight.rules.excludes(held.rule.series, at):
                continue
            held, signal = limits.judged(held, at, float(value), sight.recent_ms)
            if signal is not None:
                said.append(signal)
        found.append((msgspec.structs.replace(held, next_ms=until), said))
    return found
