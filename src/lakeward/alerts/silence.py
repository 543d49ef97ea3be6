"""Silence: interaction types that must not be away for longer than so many minutes.

In: the rules, and the lake as a reading shows it. Out: a signal when a type has been away for too
long, one at each later look, and one when it is back. Fails as a question does.

The time runs from the last of the type, and not from before the rule was first looked at; nor from
before a pause in which nobody watched. `at` of the first signal is when it had been away for so
long, so that a look that is repeated says the same; that of the last one is the look that saw it
back, as what is back may have come late. Of calls (`api_call`) everybody's count, of other types
those without bots and without the team's own traffic.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

import msgspec

from lakeward.alerts.rules import Silent
from lakeward.alerts.sight import Sight, moment
from lakeward.alerts.signal import Signal
from lakeward.analysis.events import Events, Source
from lakeward.analysis.question import Column, Row, Sql, ask, says

STEP_MS: Final = 300_000
PAUSE_MS: Final = 3_600_000
"""A gap between looks in which nobody watched."""


class Heard(msgspec.Struct, frozen=True):
    """What is remembered."""

    looked_ms: int = 0
    since: dict[str, int] = {}
    """Since when each rule is looked at, without a pause."""
    open: dict[str, int] = {}
    """Rules of which something is away, and where that began."""


class Newest(Events, frozen=True, kw_only=True):
    """When something of each type came last."""

    name: ClassVar[str] = "newest"

    events: Annotated[tuple[str, ...], says("The types.")]
    bots: Annotated[bool, says("Whether bots count.")] = True
    internal: Annotated[bool, says("Whether the team's own traffic counts.")] = True

    def columns(self) -> tuple[Column, ...]:
        """Type, app, moment."""
        return (
            Column("event", "text", "The type."), Column("service", "text", "The app."),
            Column("at", "integer", "Moment of the last one."),
        )  # fmt: skip

    def sql(self) -> Sql:
        """Over `interactions`."""
        source = Source(self, quick=True)
        usual = Source(Events(internal_is=self.internal_is), source.values).where()
        named = source.values.list(self.events)
        counted = f"(i.interaction_type = {source.values('api_call')} OR ({usual}))"
        where = source.where(f"i.interaction_type IN ({named})", counted)
        return Sql(
            "SELECT i.interaction_type AS event, i.service AS service, "
            f'CAST(max({source.ms}) AS BIGINT) AS "at" FROM {source.relation()} WHERE {where} '
            "GROUP BY i.interaction_type, i.service",
            source.parameters,
        )

    def finish(self, rows: list[Row]) -> list[Row]:
        """As the statement gave them."""
        return rows


def signals_of(sight: Sight) -> list[Signal]:
    """Who has been away for too long."""
    rules, memory, whole_ms = sight.rules, sight.memory, sight.whole_ms
    before = memory.word(Heard())
    by_name = {rule.name: rule for rule in rules.silences}
    signals = [
        _signal(Silent(name, 1), whole_ms - whole_ms % STEP_MS, wrong=False,
                why=f"{name}: the rule was taken out of the file.")
        for name in before.open if name not in by_name
    ]  # fmt: skip
    if not by_name:
        if before != Heard():
            memory.keep(Heard())
        return signals
    paused = whole_ms - before.looked_ms > PAUSE_MS
    since = {name: whole_ms if paused else before.since.get(name, whole_ms) for name in by_name}
    newest = _newest(sight)
    still: dict[str, int] = {}
    for name, rule in by_name.items():
        last = max((at for event, service, at in newest if _is_of(rule, event, service)), default=0)
        began = max(last, since[name])
        if name in before.open and last <= before.open[name]:
            began = before.open[name]
        if whole_ms - began < rule.minutes * 60_000 or rules.excludes(f"type:{name}", whole_ms):
            if name in before.open and last > before.open[name]:
                due = min(before.open[name] + round(rule.minutes * 60_000), whole_ms)
                at = max(whole_ms - whole_ms % STEP_MS, due)  # its own moment may be an old story
                signals.append(_signal(rule, at, wrong=False, why=f"{name}: it is back."))
            elif name in before.open:
                still[name] = before.open[name]
            continue
        still[name] = began
        due, now = began + round(rule.minutes * 60_000), whole_ms - whole_ms % STEP_MS
        if name not in before.open:
            signals.append(_away(rule, began, last, whole_ms, due, new=True))
        elif now > due:
            signals.append(_away(rule, began, last, whole_ms, now, new=False))
    memory.keep(Heard(whole_ms, since, still))
    return signals


def _is_of(rule: Silent, event: object, service: object) -> bool:
    return event == rule.event and rule.service in (None, service)


def _newest(sight: Sight) -> list[tuple[object, object, int]]:
    rules, whole_ms = sight.rules.silences, sight.whole_ms
    longest = round(max(rule.minutes for rule in rules) * 60_000) + PAUSE_MS
    question = Newest(
        events=tuple(dict.fromkeys(rule.event for rule in rules)), until=moment(whole_ms),
        since=moment(whole_ms - longest), internal_is=sight.settings.internal,
    )  # fmt: skip
    rows = ask(sight.reading, question).rows
    return [(event, service, at) for event, service, at in rows if isinstance(at, int)]


def _away(rule: Silent, began: int, last: int, whole_ms: int, at: int, *, new: bool) -> Signal:
    minutes = (whole_ms - began) / 60_000
    heard = f"the last came at {moment(last):%Y-%m-%d %H:%M} UTC"
    why = f"{rule.name}: nothing has come for {minutes:.0f} minutes" + (
        f"; {heard}." if last else "."
    )
    return _signal(rule, at, wrong=True, begins=new, why=why, value=0.0)


def _signal(
    rule: Silent, at: int, *, wrong: bool, why: str, begins: bool = False,
    value: float | None = None,
) -> Signal:  # fmt: skip
    return Signal(
        series=f"type:{rule.name}", kind="silent", rule=rule.name, wrong=wrong, begins=begins,
        at=at, seconds=rule.minutes * 60.0, severity=rule.severity,
        direction="down" if wrong else None, value=value, unit="interactions", why=why,
    )  # fmt: skip
