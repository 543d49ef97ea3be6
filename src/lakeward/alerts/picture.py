"""Picture: which question draws an incident or a watched series, and in sentences why it is one.

In: an incident with its steps, or the name of a series; what is remembered of the series; the
rules. Out: a `Picture`, whose question is yet to be asked. Fails with `Terminal` for a series that
the incident has not, or that nobody watches. Pure.

An incident is drawn from a day before it began (of buckets of an hour: a week), to its end and a
little further; never more than `MOST` buckets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from lakeward.alerts.band import LONGEST_DAYS, AlertBand
from lakeward.alerts.budgets import period_start
from lakeward.alerts.drawn import AlertBudget, AlertLimit, AlertSilence
from lakeward.alerts.memory import Entry
from lakeward.alerts.ranking import FINE
from lakeward.alerts.rules import Budget, Rules, Silent, Threshold
from lakeward.alerts.sight import moment
from lakeward.alerts.watching import LEARN_MS, SETTLE_MS
from lakeward.errors import Terminal
from lakeward.interaction import iso
from lakeward.settings import Settings
from lakeward.store.alerts import Change, Incident

Drawn = AlertBand | AlertLimit | AlertBudget | AlertSilence
DRAWN: Final[dict[str, type[msgspec.Struct]]] = {
    kind.name: kind for kind in (AlertBand, AlertLimit, AlertBudget, AlertSilence)
}
"""What a process that answers questions takes beside the questions that anybody may ask."""
MOST: Final = 1500
LEAD, TAIL = 288, 36
"""Buckets of five minutes before an incident and after it."""
LEAD_HOURS, TAIL_HOURS = 168, 12
DAY_MS: Final = 86_400_000
R = TypeVar("R", Budget, Silent, Threshold)
FAMILIES: Final = {
    "route": "routes", "type": "types", "step": "steps", "flow": "flows", "ai": "costs of AI",
    "partner": "of partners",
}  # fmt: skip


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to draw."""

    series: str
    others: tuple[str, ...] = ()
    unit: str = ""
    seconds: int
    """How long a bucket is."""
    question: Drawn | None = None
    note: str = ""
    """Why there is nothing to draw."""
    whys: tuple[str, ...] = ()
    told: tuple[dict[str, Any], ...] = ()
    """What was said of this series at the time, with the figures of that moment."""
    began_at: str | None = None
    ended_at: str | None = None
    learned_since: str | None = None


class View(msgspec.Struct, frozen=True):
    """What pictures are made with."""

    rules: Rules
    settings: Settings
    entries: Mapping[str, Entry]
    now_ms: int


def of_incident(
    view: View, incident: Incident, history: Sequence[Change], series: str | None = None
) -> Picture:
    """One series of an incident; that of its gravest signal where none is named."""
    signal = incident.signal
    name = series if series is not None else str(signal.get("series") or incident.series[0])
    if name not in incident.series:
        raise Terminal(f"no series {name[:80]!r} is in this incident")
    entry = view.entries.get(name)
    seconds = round(float(signal.get("seconds") or FINE)) if entry is None else entry.seconds
    question, note = _question(view, incident, name, seconds)
    if isinstance(question, AlertLimit):
        seconds = question.rules[0].minutes * 60
    since = None if entry is None else entry.since
    return Picture(
        series=name, others=tuple(one for one in incident.series if one != name),
        unit=str(signal.get("unit") or ""), seconds=seconds, question=question, note=note,
        whys=tuple(_whys(incident, since)), told=tuple(_told(history, name)),
        began_at=iso(incident.began_at),
        ended_at=None if incident.resolved_at is None else iso(incident.resolved_at),
        learned_since=None if since is None else iso(since),
    )  # fmt: skip


def of_series(view: View, name: str) -> Picture:
    """A series that is watched, of late."""
    entry = view.entries.get(name)
    if entry is None:
        raise Terminal(f"no series {name[:80]!r} is watched: `lakeward alerts watch` shows them")
    step = entry.seconds * 1000
    until = view.now_ms - view.now_ms % step if entry.last is None else entry.last.at + step
    lead = 2 * LEAD if entry.seconds == FINE else 2 * LEAD_HOURS
    return Picture(
        series=name, unit=entry.unit, seconds=entry.seconds,
        question=_band(view, name, entry.seconds, until - lead * step, until),
        began_at=None if entry.episode is None else iso(entry.episode.since),
        learned_since=None if entry.since is None else iso(entry.since),
    )  # fmt: skip


def _question(view: View, incident: Incident, name: str, seconds: int) -> tuple[Drawn | None, str]:
    """What is asked, or why nothing is."""
    rule = str(incident.signal.get("rule") or "")
    since, until = _range(incident, seconds, view.now_ms)
    if incident.kind == "budget":
        return _budget(view, incident, rule)
    if incident.kind == "threshold":
        found = _named(view.rules.thresholds, rule)
        if found is None:
            return None, _gone(rule)
        since, until = _range(incident, found.minutes * 60, view.now_ms)
        limit = AlertLimit(
            rules=(found,), since=moment(since), until=moment(until),
            internal_is=view.settings.internal,
        )  # fmt: skip
        return limit, ""
    if incident.kind == "silent" and rule:
        silent = _named(view.rules.silences, rule)
        if silent is None:
            return None, _gone(rule)
        since, until = _range(incident, FINE, view.now_ms)
        silence = AlertSilence(
            event=silent.event, service=silent.service, since=moment(since), until=moment(until),
            internal_is=view.settings.internal,
        )  # fmt: skip
        return silence, ""
    return _band(view, name, seconds, since, until), ""


def _band(view: View, name: str, seconds: int, since: int, until: int) -> AlertBand:
    """From the bucket on that its detector began with, where that is known and not long ago."""
    watch, entry = view.rules.watch, view.entries.get(name)
    began = entry.since if entry is not None and entry.since is not None else since - LEARN_MS
    days = min(max((since - began) / DAY_MS, 0.0), LONGEST_DAYS)
    return AlertBand(
        series=name, seconds=seconds, since=moment(since), until=moment(until),
        groups=watch.series, learn_days=days, sensitivity=watch.sensitivity,
        watched_in=watch.zone, internal_is=view.settings.internal,
        excluded=tuple(
            (each.begin_ms, each.end_ms) for each in view.rules.excluded
            if each.holds(name, each.begin_ms)
        ),
    )  # fmt: skip


def _budget(view: View, incident: Incident, rule: str) -> tuple[AlertBudget | None, str]:
    budget = _named(view.rules.budgets, rule)
    if budget is None:
        return None, _gone(rule)
    question = budget_of(budget, incident.began_at, view.rules.watch.zone, view.now_ms)
    return question, ""


def budget_of(budget: Budget, at_ms: int, zone: str, now_ms: int) -> AlertBudget:
    """What was spent in the day or month of a moment."""
    start = period_start(at_ms, budget.per, zone)
    longest = (1 if budget.per == "day" else 31) * DAY_MS + DAY_MS // 8
    end = period_start(start + longest, budget.per, zone)
    until = max(min(now_ms - now_ms % 1000, end), start + 1000)
    return AlertBudget(since=moment(start), until=moment(until), amount=budget.amount)


def _range(incident: Incident, seconds: int, now_ms: int) -> tuple[int, int]:
    """From when to when, in whole buckets."""
    step = seconds * 1000
    lead, tail = (LEAD, TAIL) if seconds < 1800 else (LEAD_HOURS, TAIL_HOURS)
    since = incident.began_at - lead * step
    ended = now_ms if incident.resolved_at is None else incident.resolved_at + tail * step
    until = min(ended, now_ms - SETTLE_MS, since + MOST * step)
    since -= since % step
    return since, max(until - until % step, since + step)


def _named(rules: Sequence[R], name: str) -> R | None:
    return next((rule for rule in rules if rule.name == name), None)


def _gone(rule: str) -> str:
    return f"The rule {rule[:80]!r} is not in alerts.toml any more: there is nothing to draw."


def _whys(incident: Incident, since: int | None) -> list[str]:
    """In sentences, what was seen first."""
    said = incident.signal.get("why")
    found = [str(said)] if said else []
    if incident.members > 1:
        kinds = Counter(name.partition(":")[0].partition(" ")[0] for name in incident.series)
        listed = ", ".join(f"{n} {FAMILIES.get(kind, kind)}" for kind, n in kinds.most_common())
        found.append(
            f"{incident.members} series went wrong within five minutes of each other: {listed}."
        )
    if incident.kind == "silent":
        found.append("Silent: nothing comes any more of a type that was due.")
    if incident.kind == "anomaly" or not incident.signal.get("rule"):
        learned = "" if since is None else f", learned since {iso(since)[:10]}"
        found.append(
            "Nobody set a limit: it is judged by what is usual of this series at such a time"
            f"{learned}."
        )
    if incident.flapping:
        found.append(
            "It came and went three times within an hour, and is told again when it has stayed as "
            "it is for an hour."
        )
    return found


def _told(history: Sequence[Change], name: str) -> list[dict[str, Any]]:
    """The figures that were said of a series, exactly."""
    return [
        {
            "at": iso(int(change.signal["at"])), "what": change.what,
            **{part: change.signal.get(part) for part in
               ("value", "expected", "low", "high", "score", "why")},
        }
        for change in history
        if change.signal.get("series") == name and isinstance(change.signal.get("at"), int)
    ]  # fmt: skip
