"""Signals become incidents, in one transaction: all of a look, or nothing of it.

In: signals, ordered or not, perhaps taken before. Out: rows of incidents, series, changes and
tellings. What was taken before, by (key, at), and what is older than the last that was said of a
series, changes nothing; within the same bucket the end does, and what is graver.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Final

import msgspec
from uuid_utils import uuid7

from lakeward.alerts import incident as rules
from lakeward.alerts.announcing import Announcer
from lakeward.alerts.notifier import What
from lakeward.alerts.signal import Signal
from lakeward.alerts.telling import Telling
from lakeward.store.alerts import Incident, Series, Snooze, Status, Work

QUIET_MS: Final = 6 * 3_600_000
"""What is wrong is said at each look; a share or a percentile may say nothing for so long."""

AHEAD_MS: Final = 3_600_000
"""What was said of a later time than that was said by a clock that was wrong."""


class Taking:
    """Takes signals within a transaction."""

    def __init__(
        self,
        work: Work,
        telling: Telling,
        now_ms: int,
        new_id: Callable[[], str] = lambda: str(uuid7()),
    ) -> None:
        self._work = work
        self._now_ms = now_ms
        self._new_id = new_id
        self._announcer = Announcer(work, telling, now_ms)
        self._snoozes: list[Snooze] = work.snoozes(now_ms)
        self._opened: set[str] = set()
        """Incidents of the moment that is being taken."""
        self._pending: dict[str, tuple[What, bool]] = {}
        """What there is to tell of an incident, and whether to those alone who do not know it."""

    def take(self, signals: Sequence[Signal]) -> int:
        """How many of them were new."""
        taken = 0
        ordered = sorted(signals, key=lambda signal: signal.at)
        for _, together in groupby(ordered, key=lambda signal: signal.at):
            fresh: list[Signal] = []
            for signal in together:
                before = self._work.series(rules.series_id(signal.key))
                if before is not None and is_known(before, signal, self._now_ms):
                    continue
                taken += 1
                if not signal.wrong:
                    self._well(before, signal)
                elif (home := self._home(before, signal)) is None:
                    fresh += [] if self._dismissed(before, signal) else [signal]
                else:
                    self._wrong(home, signal, new=False)
            for signal in fresh:
                self._new(signal, len(fresh))
            self._tell()
        return taken

    def _home(self, before: Series | None, signal: Signal) -> Incident | None:
        """The incident that a series is in already."""
        incident = None if before is None else self._work.incident(before.incident_id)
        if before is None or incident is None:
            return None
        if signal.begins and before.status == "wrong" and is_quiet(before, signal):
            self._fell_silent(incident, signal)
            return None
        if incident.state != "resolved":
            return incident
        at = rules.moment(signal, self._now_ms)
        back = before.status != "dismissed" and rules.comes_back(incident, signal, at)
        return incident if back else None

    def _fell_silent(self, incident: Incident, signal: Signal) -> None:
        """One that nobody ended, as the memory of it was lost: what begins now is another."""
        series = self._work.wrong(incident.incident_id)
        if incident.state != "resolved" and all(is_quiet(one, signal) for one in series):
            at = rules.moment(signal, self._now_ms)
            self._work.keep(over(self._announcer, incident, at))
            self._work.dismiss(incident.incident_id)

    def _dismissed(self, before: Series | None, signal: Signal) -> bool:
        """Whether somebody said that it is over, and nothing has begun anew since."""
        if before is None or before.status != "dismissed" or signal.begins:
            return False
        self._say(before.incident_id, signal, "dismissed")
        return True

    def _new(self, signal: Signal, fresh: int) -> None:
        """A series that just went wrong: in an incident of its own, or one that began with it."""
        until = self._snoozed(signal)
        home = rules.home_among(self._work.open(), signal, fresh, snoozed=until is not None)
        if home is not None:
            self._wrong(home, signal, new=True)
            return
        at = rules.moment(signal, self._now_ms)
        incident = rules.opened(self._new_id(), signal, at, until)
        incident = msgspec.structs.replace(incident, seq=1)
        self._opened.add(incident.incident_id)
        self._announcer.note(incident, "opened", at)
        self._keep(incident, signal)
        if signal.begins and until is None:
            self._pending[incident.incident_id] = ("opened", False)

    def _wrong(self, incident: Incident, signal: Signal, *, new: bool) -> None:
        """One more signal of an incident, or of one that was over."""
        if incident.incident_id in self._opened:  # a moment ago: they are one piece of news
            self._keep(rules.joined(incident, signal, new=new), signal)
            if signal.begins and incident.state != "snoozed":
                self._pending.setdefault(incident.incident_id, ("opened", False))
            return
        at = rules.moment(signal, self._now_ms)
        risen = rules.rank(signal.severity) > rules.rank(incident.severity)
        again = incident.state == "resolved"
        until = self._snoozed(signal) if again else None
        state = rules.after_wrong(incident, new=new, risen=risen, until=until)
        before, incident = incident.state, rules.joined(incident, signal, new=new)
        if until is not None:
            incident = msgspec.structs.replace(incident, snoozed_until=until)
        if state != before or risen:
            incident = rules.moved(incident, state, at)
            self._announcer.note(incident, "reopened" if again else "worse" if risen else state, at)
        if again and state != "snoozed" and rules.begins_to_flap(incident):
            incident = msgspec.structs.replace(incident, flapping=1)
            if self._now_ms - at <= rules.FRESH_MS:
                self._pending[incident.incident_id] = ("flapping", False)
        elif (news := _news(incident, signal, risen=risen, again=again)) is not None:
            self._pending.setdefault(incident.incident_id, news)
        self._keep(incident, signal)

    def _tell(self) -> None:
        """What there is to tell of this moment, once for each incident."""
        for incident_id, (what, strangers) in self._pending.items():
            incident = self._work.incident(incident_id)
            if incident is not None:
                channels = self._announcer.interested(incident)
                if strangers:
                    channels = [one for one in channels if one.channel_id not in incident.told]
                self._work.keep(self._announcer.tell(incident, what, channels))
        self._pending.clear()
        self._opened.clear()

    def _keep(self, incident: Incident, signal: Signal) -> None:
        self._work.keep(incident)
        self._say(incident.incident_id, signal, "wrong")

    def _well(self, before: Series | None, signal: Signal) -> None:
        """A series is as ever; with the last one of them the incident is over."""
        if before is None:
            return
        self._say(before.incident_id, signal, "well")
        incident = self._work.incident(before.incident_id)
        if incident is None or incident.state == "resolved":
            return
        if not self._work.wrong(incident.incident_id):
            at = rules.moment(signal, self._now_ms)
            self._work.keep(over(self._announcer, incident, at))

    def _say(self, incident_id: str, signal: Signal, status: Status) -> None:
        self._work.say(
            Series(
                series_id=rules.series_id(signal.key), key=signal.key, incident_id=incident_id,
                status=status, at=signal.at, severity=signal.severity,
            )
        )  # fmt: skip

    def _snoozed(self, signal: Signal) -> int | None:
        ends = [one.ends_at for one in self._snoozes if is_of(one.pattern, signal.key)]
        return max(ends, default=None)


def is_known(before: Series, signal: Signal, now_ms: int) -> bool:
    """Whether a signal is taken already, or older than what is."""
    if before.at > now_ms + AHEAD_MS:
        return False
    if signal.at != before.at:
        return signal.at < before.at
    if not signal.wrong:
        return before.status != "wrong"
    return before.status == "well" or rules.rank(signal.severity) <= rules.rank(before.severity)


def is_quiet(before: Series, signal: Signal) -> bool:
    """Whether nothing was said of a series for so long that it is none of the same trouble."""
    patience = max(QUIET_MS, round(3 * signal.seconds * 1000))
    return abs(signal.at - before.at) > patience


def _news(
    incident: Incident, signal: Signal, *, risen: bool, again: bool
) -> tuple[What, bool] | None:
    """What a signal of what is wrong already makes worth telling."""
    if incident.state == "snoozed":
        return None
    if risen and (incident.told or signal.begins):
        return "worse", False
    if incident.state == "acknowledged" or (incident.flapping and incident.told):
        return None
    if again and signal.begins:
        return "reopened", False
    if incident.told or signal.begins:  # a channel that it concerns only now
        return "opened", True
    return None


def is_of(pattern: str, key: str) -> bool:
    """Whether a snooze is of a series: by its key, or by its name alone."""
    name = key.split(":", 2)[-1]
    return fnmatchcase(key, pattern) or fnmatchcase(name, pattern)


def is_series(text: str) -> bool:
    """Whether somebody means series and not an incident, whose id is of hexadecimal digits."""
    return not all(sign in "0123456789abcdef-" for sign in text)


def over(announcer: Announcer, incident: Incident, at: int, actor: str | None = None) -> Incident:
    """An incident that is over; whoever knew of it is told, unless it snoozes or flaps."""
    if actor is not None:
        incident = msgspec.structs.replace(incident, flapping=0)
    quiet = incident.state == "snoozed" or bool(incident.flapping)
    incident = rules.moved(incident, "resolved", at)
    announcer.note(incident, "resolved", at, actor)
    if quiet:
        return incident
    if actor is None and rules.begins_to_flap(incident):
        incident = msgspec.structs.replace(incident, flapping=1)
        return announcer.tell(incident, "flapping", announcer.knowing(incident))
    incident = announcer.tell(incident, "resolved", announcer.knowing(incident))
    return msgspec.structs.replace(incident, told=())


def due(work: Work, announcer: Announcer, now_ms: int) -> None:
    """What time alone brings: a snooze is over, what flapped has calmed."""
    for incident in work.open():
        if incident.state == "snoozed" and (incident.snoozed_until or 0) <= now_ms:
            woken = rules.moved(incident, "ongoing", now_ms)
            announcer.note(woken, "ongoing", now_ms)
            channels = announcer.interested(woken)
            work.keep(announcer.tell(woken, "still", channels))
    for incident in work.flapping():
        if rules.has_calmed(incident, now_ms) and incident.state != "snoozed":
            calm = msgspec.structs.replace(incident, flapping=0, seq=incident.seq + 1)
            announcer.note(calm, "calmed", now_ms)
            what: What = "resolved" if calm.state == "resolved" else "still"
            calm = announcer.tell(calm, what, announcer.knowing(calm))
            gone = calm.state == "resolved"
            work.keep(msgspec.structs.replace(calm, told=() if gone else calm.told))
