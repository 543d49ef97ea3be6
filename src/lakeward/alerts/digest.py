"""The daily digest: yesterday's incidents and totals, once a day for each channel.

In: the time, the incidents, and what the analysis layer says of the day. Out: a telling for each
channel of `[digest]`, queued once a day whoever asks and however often. A day is the digest's
zone's; the digest of a day on which nobody ran is not made up for on the next.

What is usual is the mean of the same weekday in the four weeks before, as far back as the lake
goes; where there is none, nothing is said.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import msgspec
from uuid_utils import uuid7

from lakeward.alerts.announcing import event_of, key_of
from lakeward.alerts.notifier import Digest, Total
from lakeward.alerts.telling import DigestTime, Telling
from lakeward.errors import LakewardError, Terminal
from lakeward.hours import moment_of
from lakeward.store.alerts import AlertTable
from lakeward.store.tellings import Telling as Queued
from lakeward.store.tellings import Tellings

if TYPE_CHECKING:
    from lakeward.analysis.question import Answer, Question

logger = logging.getLogger("lakeward.alerts")

Totals = Callable[[str, str], Sequence[Total]]
"""The totals of a day in a zone."""
WEEKS: Final = 4
MOST_SHOWN: Final = 20
COUNTED: Final = (
    ("events", "interactions", "*", "events"),
    ("visitors", "", "*", "units"),
    ("API calls", "", "api_call", "events"),
    ("API errors", "", "api_call", "errors"),
    ("demo bookings", "", "demo_booking", "events"),
    ("deals closed", "", "deal_closed", "events"),
)
"""Name, unit, type and metric of each total."""


def queue_due(
    table: AlertTable, queue: Tellings, telling: Telling, totals: Totals | None, now_ms: int
) -> int:
    """Queue today's digest where it is due and was not yet; for how many channels."""
    when = telling.digest
    if when is None or (today := due_day(when, now_ms)) is None:
        return 0
    keys = {c.channel_id: key_of("digest", today, c.channel_id) for c in telling.digested()}
    if all(queue.knows(key) for key in keys.values()):
        return 0
    made = digest_of(table, yesterday(today), when.zone, totals, now_ms)
    queued = 0
    for channel in telling.digested():
        key = keys[channel.channel_id]
        queued += queue.add(queued_for(made, channel.channel_id, channel.by, key, now_ms))
    return queued


def asked_for(
    table: AlertTable,
    queue: Tellings,
    telling: Telling,
    totals: Totals | None,
    now_ms: int,
    *,
    day: str | None,
    send: bool,
) -> Digest:
    """A digest that somebody wants to see, of yesterday or of a day; told at once when `send`."""
    zone = "UTC" if telling.digest is None else telling.digest.zone
    if day is None:
        day = yesterday(datetime.fromtimestamp(now_ms / 1000, ZoneInfo(zone)).date().isoformat())
    try:
        date.fromisoformat(day)
    except ValueError:
        raise Terminal(f"{day[:40]!r} is no day: write one such as 2026-08-14") from None
    if send and not telling.digested():
        raise Terminal("alerts.toml has no [digest] with a channel that it could be sent by")
    made = digest_of(table, day, zone, totals, now_ms)
    for channel in telling.digested() if send else ():
        key = key_of("digest asked for", str(uuid7()))
        queue.add(queued_for(made, channel.channel_id, channel.by, key, now_ms))
    return made


def queued_for(digest: Digest, channel: str, by: str, key: str, now_ms: int) -> Queued:
    """A row of the queue."""
    content: dict[str, Any] = msgspec.to_builtins(digest)
    return Queued(
        telling_id=str(uuid7()), key=key, channel=channel, kind=by, what="digest",
        content=content, queued_at=now_ms, due_at=now_ms,
    )  # fmt: skip


def due_day(when: DigestTime, now_ms: int) -> str | None:
    """Today, once its digest is due."""
    today = datetime.fromtimestamp(now_ms / 1000, ZoneInfo(when.zone)).date().isoformat()
    return today if now_ms >= moment_of(today, when.minute, when.zone) else None


def yesterday(day: str) -> str:
    """The day before."""
    return (date.fromisoformat(day) - timedelta(days=1)).isoformat()


def digest_of(table: AlertTable, day: str, zone: str, totals: Totals | None, now_ms: int) -> Digest:
    """The digest of a day."""
    begins, ends = (
        moment_of(one.isoformat(), 0, zone)
        for one in (date.fromisoformat(day), date.fromisoformat(day) + timedelta(days=1))
    )
    changes = table.between(begins, ends)
    opened = {which for what, which in changes if what in ("opened", "reopened")}
    resolved = {which for what, which in changes if what == "resolved"}
    counts = table.counts()
    open_ = table.all(("opened", "ongoing", "acknowledged", "snoozed"), MOST_SHOWN)
    return Digest(
        day=day, zone=zone, opened=len(opened), resolved=len(resolved),
        open=tuple(event_of(one, "still", now_ms) for one in open_),
        open_count=sum(n for state, n in counts.items() if state != "resolved"),
        totals=_known(totals, day, zone),
    )  # fmt: skip


def _known(totals: Totals | None, day: str, zone: str) -> tuple[Total, ...]:
    """A lake that cannot be asked now is no reason to say nothing of its alerts."""
    if totals is None:
        return ()
    try:
        return tuple(totals(day, zone))
    except Exception as error:  # DuckDB's and the disk's own, too: their words may hold anything
        said = error if isinstance(error, LakewardError) else type(error).__name__
        logger.error("the digest has no totals: %s", said)
        return ()


def totals_of(asked: Callable[[Question], Answer], day: str, zone: str) -> list[Total]:
    """The totals of a day beside the usual ones, by two questions."""
    from lakeward.analysis.ai_cost import AiCost
    from lakeward.analysis.trend import Series, Trend

    last = date.fromisoformat(day)
    first = last - timedelta(weeks=WEEKS)
    since, until = (
        datetime.combine(one, datetime.min.time(), ZoneInfo(zone))
        for one in (first, last + timedelta(days=1))
    )
    series = tuple(
        Series(event=event, metric=metric, label=name) for name, _, event, metric in COUNTED
    )
    trend = Trend(since=since, until=until, zone=zone, grain="day", series=series)
    days: dict[date, tuple[Any, ...]] = {row[0]: row[1:] for row in asked(trend).rows}  # type: ignore[misc] # a day's key is a date
    cost = AiCost(since=since, until=until, zone=zone, by=("day",))
    answer = asked(cost)
    names = [column.name for column in answer.columns]
    at = names.index("cost_usd")
    spent: dict[date, Any] = {row[0]: row[at] for row in answer.rows}  # type: ignore[misc] # as above
    begun = min((one for one, row in days.items() if row[0]), default=last)
    same = [one for one in days if one != last and begun <= one and not (last - one).days % 7]
    found = []
    for n, (name, unit, _, _) in enumerate(COUNTED):
        value = days[last][n] if last in days else 0
        found.append(_total(name, unit, value, [days[one][n] for one in same]))
    usual = [float(spent.get(one) or 0) for one in same]
    value = float(spent[last] or 0) if last in spent else 0.0
    found.append(_total("AI cost", "USD", value, usual))
    return found


def _total(name: str, unit: str, value: Any, before: Sequence[Any]) -> Total:
    usual = sum(map(float, before)) / len(before) if before else None
    return Total(name=name, value=float(value), usual=usual, unit=unit)
