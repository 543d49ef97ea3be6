"""Incidents for whoever looks: the dashboard, the command, the read API.

In: the store. Out: plain dicts, times as ISO 8601, the newest incident first; with what waits to be
told and what nobody heard. Nothing holds an address. Fails as the database does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from lakeward.alerts.announcing import SPOKEN
from lakeward.interaction import iso
from lakeward.store.alerts import STATES, AlertTable, Change, Incident, State
from lakeward.store.tellings import Telling, Tellings

OPEN: Final[tuple[State, ...]] = tuple(state for state in STATES if state != "resolved")
DAY_MS: Final = 86_400_000


def overview(
    table: AlertTable,
    queue: Tellings,
    now_ms: int,
    *,
    states: Sequence[State] = OPEN,
    most: int = 100,
    before: int | None = None,
    since: int | None = None,
) -> dict[str, Any]:
    """The incidents in these states, and how the telling goes."""
    found = table.all(states, most, 1 << 62 if before is None else before, since or 0)
    return {
        "incidents": [plain(one) for one in found],
        "counts": table.counts(),
        "snoozes": [
            {"series": one.pattern, "until": iso(one.ends_at)} for one in table.snoozes(now_ms)
        ],
        "tellings": queue.counts(now_ms - DAY_MS),
        "not_told": [told(one) for one in queue.failed(now_ms - DAY_MS)],
    }


def whole(table: AlertTable, queue: Tellings, which: str) -> dict[str, Any]:
    """One incident with its steps and who was told of them."""
    incident = table.find(which)
    return plain(incident) | {
        "history": [step(one) for one in table.history(incident.incident_id)],
        "tellings": [told(one) for one in queue.of(incident.incident_id)],
    }


def plain(incident: Incident) -> dict[str, Any]:
    """One incident."""
    return {
        "incident_id": incident.incident_id,
        "state": incident.state,
        "kind": incident.kind,
        "severity": incident.severity,
        "series": list(incident.series),
        "members": incident.members,
        "flapping": bool(incident.flapping),
        "began_at": iso(incident.began_at),
        "opened_at": iso(incident.opened_at),
        "changed_at": iso(incident.changed_at),
        "resolved_at": _moment(incident.resolved_at),
        "snoozed_until": _moment(incident.snoozed_until),
        **{name: incident.signal.get(name) for name in SPOKEN},
    }


def step(change: Change) -> dict[str, Any]:
    """One step of an incident."""
    return {
        "at": iso(change.at),
        "what": change.what,
        "state": change.state,
        "severity": change.severity,
        "by": change.actor,
        "why": change.signal.get("why"),
    }


def told(telling: Telling) -> dict[str, Any]:
    """One telling."""
    return {
        "by": telling.kind,
        "incident_id": telling.incident_id,
        "what": telling.content.get("what", telling.what),
        "state": telling.state,
        "attempts": telling.attempts,
        "due_at": iso(telling.due_at),
        "reason": telling.reason,
    }


def _moment(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso(at_ms)
