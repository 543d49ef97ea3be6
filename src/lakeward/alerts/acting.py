"""What people do to incidents: acknowledge, snooze, resolve; each is in the history and the audit.

In: an incident's id or a series, and who acts. Out: the incident as it is then. Fails with
`Terminal` for what is not there, or is over already, and as the database does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import msgspec

from lakeward.alerts import incident as rules
from lakeward.alerts.announcing import Announcer
from lakeward.alerts.taking import is_of, over
from lakeward.alerts.telling import Telling
from lakeward.errors import Terminal
from lakeward.store.alerts import AlertTable, Incident, Snooze, Work, found
from lakeward.store.trail import note

Verb = Literal["ack", "snooze", "resolve"]
VERBS: Final[tuple[Verb, ...]] = ("ack", "snooze", "resolve")
LONGEST_MINUTES: Final = 60 * 24 * 31
MOST_PATTERN: Final = 512


class Acts:
    """Acts on the incidents of a database; `telling` says who hears that one is over."""

    def __init__(self, table: AlertTable, telling: Telling, now_ms: Callable[[], int]) -> None:
        self._table = table
        self._telling = telling
        self._now_ms = now_ms

    def acknowledge(self, which: str, *, actor: str) -> Incident:
        """Somebody sees to it: nobody is told any more, unless it gets worse."""

        def step(incident: Incident, announcer: Announcer, now: int) -> Incident:
            incident = rules.moved(incident, "acknowledged", now)
            announcer.note(incident, "acknowledged", now, actor)
            return incident

        return self._act("acknowledge", which, actor, step)

    def snooze(self, which: str, minutes: float, *, actor: str) -> Incident:
        """Nobody is told for so long; when it is still wrong then, it is told again. None ends
        that now."""
        _check(minutes)

        def step(incident: Incident, announcer: Announcer, now: int) -> Incident:
            if minutes:
                return _hushed(incident, announcer, now, now + round(minutes * 60_000), actor)
            if incident.state != "snoozed":
                raise Terminal(f"the incident {incident.incident_id} is not snoozed")
            return _woken(incident, announcer, now, actor)

        return self._act("snooze" if minutes else "unsnooze", which, actor, step)

    def resolve(self, which: str, *, actor: str) -> Incident:
        """It is over, whatever the series say until they are well or something begins anew."""

        def step(incident: Incident, announcer: Announcer, now: int) -> Incident:
            return over(announcer, incident, now, actor)

        return self._act("resolve", which, actor, step)

    def snooze_series(self, pattern: str, minutes: float, *, actor: str) -> list[Incident]:
        """Of these series nobody is told for so long; the open incidents that are of them alone.
        None ends that now."""
        _check(minutes)
        if not (0 < len(pattern) <= MOST_PATTERN and pattern.isprintable()):
            raise Terminal(f"a series is 1 to {MOST_PATTERN} characters, * stands for any of them")
        now = self._now_ms()
        if not minutes:
            return self._unsnooze_series(pattern, now, actor)
        until = now + round(minutes * 60_000)
        hushed = []
        with self._table.working() as work:
            snooze = Snooze(pattern=pattern, ends_at=until, created_at=now, created_by=actor)
            work.snooze(snooze)
            announcer = Announcer(work, self._telling, now)
            for incident in work.open():
                wrong = work.wrong(incident.incident_id)
                if wrong and all(is_of(pattern, one.key) for one in wrong):
                    hushed.append(_hushed(incident, announcer, now, until, actor))
                    work.keep(hushed[-1])
            self._audit(work, now, actor, "snooze", pattern[:128])
        return hushed

    def _unsnooze_series(self, pattern: str, now: int, actor: str) -> list[Incident]:
        """End it, and with it what it alone hushed: those that sleep as long as it did."""
        found = []
        with self._table.working() as work:
            snooze = next((one for one in work.snoozes(now) if one.pattern == pattern), None)
            if snooze is None:
                raise Terminal(f"{pattern[:80]!r} is not snoozed: `lakeward alerts` shows what is")
            work.snooze(msgspec.structs.replace(snooze, ends_at=now))
            announcer = Announcer(work, self._telling, now)
            for incident in work.open():
                if incident.state == "snoozed" and incident.snoozed_until == snooze.ends_at:
                    found.append(_woken(incident, announcer, now, actor))
                    work.keep(found[-1])
            self._audit(work, now, actor, "unsnooze", pattern[:128])
        return found

    def _act(
        self,
        verb: str,
        which: str,
        actor: str,
        step: Callable[[Incident, Announcer, int], Incident],
    ) -> Incident:
        now = self._now_ms()
        with self._table.working() as work:
            incident = found(work.connection, which)
            if incident.state == "resolved":
                raise Terminal(f"the incident {incident.incident_id} is resolved already")
            incident = step(incident, Announcer(work, self._telling, now), now)
            if incident.state == "resolved":
                work.dismiss(incident.incident_id)
            work.keep(incident)
            self._audit(work, now, actor, verb, incident.incident_id)
        return incident

    def _audit(self, work: Work, now: int, actor: str, verb: str, subject: str) -> None:
        note(work.connection, now * 1_000_000, actor, f"alert.{verb}", subject, {})


def _woken(incident: Incident, announcer: Announcer, now: int, actor: str) -> Incident:
    """What was snoozed is told again."""
    incident = rules.moved(incident, "ongoing", now)
    announcer.note(incident, "ongoing", now, actor)
    return announcer.tell(incident, "still", announcer.interested(incident))


def _hushed(
    incident: Incident, announcer: Announcer, now: int, until: int, actor: str
) -> Incident:  # fmt: skip
    incident = msgspec.structs.replace(incident, snoozed_until=until)
    incident = rules.moved(incident, "snoozed", now)
    announcer.note(incident, "snoozed", now, actor)
    return incident


def _check(minutes: float) -> None:
    if minutes != 0 and not 1 <= minutes <= LONGEST_MINUTES:
        raise Terminal("a snooze lasts one minute to 31 days; 0 ends it")
