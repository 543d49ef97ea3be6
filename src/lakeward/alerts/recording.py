"""Changes of incidents as `anomaly` interactions, each once.

In: changes that the lake may not know of. Out: how many it has taken; what it has no room for stays
for later. The id is made of incident and step, so that a change told twice is one row.
"""

from __future__ import annotations

from typing import Any, Final

from lakeward.collector import Collector
from lakeward.interaction import foreign_id, iso
from lakeward.messaging.telling import offered
from lakeward.store.alerts import AlertTable, Change, Incident
from lakeward.store.tellings import Tellings

TYPE: Final = "anomaly"
SAID: Final = ("direction", "score", "value", "expected", "low", "high", "why")


def record(table: AlertTable, queue: Tellings, collector: Collector, now_ms: int) -> int:
    """Tell the lake of everything that it may not know of."""
    done: list[str] = []
    for change, incident in table.unrecorded():
        if not offered(collector, TYPE, fields_of(change, incident, queue)):
            break
        done.append(change.change_id)
    if done:
        table.mark_recorded(done, now_ms)
    return len(done)


def fields_of(change: Change, incident: Incident, queue: Tellings) -> dict[str, Any]:
    """The record of a change; `series` is the one that spoke, whatever else is in the incident."""
    signal = change.signal
    said = {name: signal[name] for name in SAID if signal.get(name) is not None}
    if signal.get("score") is not None:
        said["score"] = min(max(float(signal["score"]), 0.0), 1.0)
    notified = queue.told(change.incident_id, change.seq)
    return {
        "interaction_id": foreign_id("alert", f"{change.incident_id} {change.seq}", change.at),
        "timestamp": iso(change.at),
        "series": signal["series"],
        "kind": signal["kind"],
        "state": change.state,
        "severity": change.severity,
        **said,
        "bucket_start": iso(int(signal["at"])),
        "bucket_seconds": float(signal["seconds"]),
        "alert_id": incident.incident_id,
        **({"notified": notified} if notified else {}),
    }
