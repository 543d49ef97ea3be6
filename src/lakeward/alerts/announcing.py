"""Which channels are told of a change, and when: rows for the queue, in the change's transaction.

In: an incident that has changed. Out: a change for the history and the lake, and tellings, one for
each channel, under a key that a repeat shares. What is not critical waits until a channel's quiet
hours are over.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import msgspec
from uuid_utils import uuid7

from lakeward.alerts.notifier import SHOWN_SERIES, Event, What
from lakeward.alerts.telling import Channel, Telling, quiet_until
from lakeward.store.alerts import Change, Incident, Work
from lakeward.store.tellings import Telling as Queued
from lakeward.store.tellings import add

SPOKEN = ("rule", "direction", "value", "expected", "low", "high", "score", "unit", "why")


class Announcer:
    """Writes down what is to be told, within one transaction."""

    def __init__(self, work: Work, telling: Telling, now_ms: int) -> None:
        self._work = work
        self._telling = telling
        self._now_ms = now_ms

    def note(self, incident: Incident, what: str, at: int, actor: str | None = None) -> None:
        """A step in the history; what is no change of state is not told to the lake."""
        silent = what in ("still", "calmed")
        self._work.add_change(
            Change(
                change_id=str(uuid7()), incident_id=incident.incident_id, seq=incident.seq, at=at,
                what=what, state=incident.state, severity=incident.severity,
                signal=incident.signal, actor=actor, recorded_at=self._now_ms if silent else None,
            )
        )  # fmt: skip

    def interested(self, incident: Incident) -> list[Channel]:
        """The channels that such an incident is for."""
        return [
            channel
            for channel in self._telling.channels
            if channel.wants(incident.kind, incident.severity, incident.series)
        ]

    def knowing(self, incident: Incident) -> list[Channel]:
        """The channels that were told that it is open."""
        return [one for one in self._telling.channels if one.channel_id in incident.told]

    def tell(self, incident: Incident, what: What, channels: Iterable[Channel]) -> Incident:
        """Queue it for these; the incident, with who knows of it now."""
        event = event_of(incident, what, self._now_ms)
        told = list(incident.told)
        for channel in channels:
            add(self._work.connection, self._queued(event, incident, channel))
            if channel.channel_id not in told:
                told.append(channel.channel_id)
        return msgspec.structs.replace(incident, told=tuple(told))

    def _queued(self, event: Event, incident: Incident, channel: Channel) -> Queued:
        until = None if incident.severity == "critical" else quiet_until(channel, self._now_ms)
        due = self._now_ms if until is None else until
        return Queued(
            telling_id=str(uuid7()),
            key=key_of(incident.incident_id, incident.seq, event.what, channel.channel_id),
            channel=channel.channel_id, kind=channel.by, what="incident",
            incident_id=incident.incident_id, seq=incident.seq, held=int(until is not None),
            content=msgspec.to_builtins(event), queued_at=due, due_at=due,
        )  # fmt: skip


def event_of(incident: Incident, what: What, at: int) -> Event:
    """An incident as it is told."""
    spoken: dict[str, Any] = {name: incident.signal.get(name) for name in SPOKEN}
    return Event(
        incident_id=incident.incident_id,
        what=what,
        state=incident.state,
        kind=incident.kind,
        severity=incident.severity,
        series=incident.series[:SHOWN_SERIES],
        members=incident.members,
        began_at=incident.began_at,
        at=at,
        **{name: value for name, value in spoken.items() if value is not None},
    )


def key_of(*parts: object) -> str:
    """What a telling is known by."""
    return blake2b("\0".join(map(str, parts)).encode(), digest_size=32).hexdigest()
