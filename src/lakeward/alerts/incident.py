"""What may become of an incident: pure rules over rows.

In: an incident, and what was said or done. Out: what it is then, and what of it is worth telling.

    opened ──> ongoing ──> resolved ──(again within the cool-down)──> opened
       │ ╲        │ ╲___ acknowledged ───> resolved
       │  ╲___ snoozed ──(its time is over, or it got worse)──> ongoing
       └────────────────────────────────> resolved

An incident that opens or is over for the third time within an hour flaps: that is told once, and
then nothing, until it has stayed as it is for an hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec

from lakeward.alerts.signal import SEVERITIES, Signal
from lakeward.store.alerts import Incident, State

COOL_DOWN_MS: Final = 30 * 60_000
FLAP_MS: Final = 3_600_000
FLIPS: Final = 3
TOGETHER_MS: Final = 5 * 60_000
"""Series whose first bad buckets began within so long of each other may be one incident."""
MANY: Final = 5
"""So many at once are one incident, whatever they have in common."""
MOST_NAMES: Final = 100
NAME_LENGTH: Final = 200
FRESH_MS: Final = 3_600_000
"""What is older is history: it is recorded, and nobody is woken for it."""


def series_id(key: str) -> str:
    """What a series' row is found by."""
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def moment(signal: Signal, now_ms: int) -> int:
    """When a bucket was over; never in the future."""
    return min(now_ms, signal.at + round(signal.seconds * 1000))


def cause_of(signal: Signal) -> str:
    """What series share that probably went wrong together: the rule, the direction, and what they
    are series of. A budget shares nothing with anybody."""
    family = signal.series.partition(":")[0] if ":" in signal.series else "*"
    own = signal.series if signal.kind == "budget" else ""
    return "|".join((signal.kind, signal.rule, signal.direction or "", family, own))


def shown(signal: Signal) -> dict[str, Any]:
    """A signal as it is stored; names are cut to what a record may hold."""
    found: dict[str, Any] = msgspec.to_builtins(signal)
    return found | {"series": signal.series[:NAME_LENGTH]}


def opened(incident_id: str, signal: Signal, at: int, until: int | None) -> Incident:
    """A new one; snoozed from the start when its series is."""
    return Incident(
        incident_id=incident_id,
        state="opened" if until is None else "snoozed",
        kind=signal.kind,
        cause=cause_of(signal),
        severity=signal.severity,
        series=(signal.series[:NAME_LENGTH],),
        members=1,
        began_at=signal.at,
        opened_at=at,
        changed_at=at,
        snoozed_until=until,
        flips=(at,),
        signal=shown(signal),
    )


def joined(incident: Incident, signal: Signal, *, new: bool) -> Incident:
    """With one more signal of what is wrong."""
    names = incident.series
    name = signal.series[:NAME_LENGTH]
    if new and name not in names and len(names) < MOST_NAMES:
        names = (*names, name)
    newest = incident.signal.get("series") == name
    graver = rank(signal.severity) > rank(incident.signal.get("severity"))
    return msgspec.structs.replace(
        incident,
        series=names,
        members=incident.members + new,
        severity=max(incident.severity, signal.severity, key=rank),
        signal=shown(signal) if newest or graver else incident.signal,
    )


def after_wrong(incident: Incident, *, new: bool, risen: bool, until: int | None) -> State:
    """Its state when something in it is wrong (still, or again)."""
    match incident.state:
        case "resolved":
            return "opened" if until is None else "snoozed"
        case "opened" if not new:
            return "ongoing"
        case "snoozed" if risen:
            return "ongoing"
        case state:
            return state


def moved(incident: Incident, state: State, at: int) -> Incident:
    """In another state from now on; opening and ending count as flips."""
    flipped = "resolved" in (state, incident.state) and state != incident.state
    flips = (
        tuple(one for one in incident.flips if one > at - FLAP_MS) if flipped else incident.flips
    )
    return msgspec.structs.replace(
        incident,
        state=state,
        changed_at=at,
        resolved_at=at if state == "resolved" else None,
        snoozed_until=incident.snoozed_until if state == "snoozed" else None,
        flips=(*flips, at) if flipped else flips,
        seq=incident.seq + 1,
    )


def begins_to_flap(incident: Incident) -> bool:
    """Whether it has come and gone often enough."""
    return not incident.flapping and len(incident.flips) >= FLIPS


def has_calmed(incident: Incident, now_ms: int) -> bool:
    """Whether what flapped has stayed as it is for long enough."""
    return bool(incident.flapping) and (incident.flips or (0,))[-1] <= now_ms - FLAP_MS


def comes_back(incident: Incident, signal: Signal, at: int) -> bool:
    """Whether a signal is of a resolved incident: within the cool-down, three buckets at least."""
    patience = max(COOL_DOWN_MS, round(3 * signal.seconds * 1000))
    if incident.flapping:
        patience = max(patience, FLAP_MS)
    return incident.resolved_at is not None and abs(at - incident.resolved_at) <= patience


def home_among(
    candidates: Sequence[Incident], signal: Signal, fresh: int, *, snoozed: bool
) -> Incident | None:
    """The open incident that a series which just went wrong belongs to; `fresh` is how many went
    wrong with it."""
    near = [
        one
        for one in candidates
        if abs(one.began_at - signal.at) <= TOGETHER_MS and (one.state == "snoozed") == snoozed
    ]
    cause = cause_of(signal)
    alike = [one for one in near if one.cause == cause and signal.kind != "budget"]
    if alike:
        return alike[0]
    several = [one for one in near if not _is_ruled(one.kind, one.signal.get("rule"))]
    ruled = _is_ruled(signal.kind, signal.rule)
    if not ruled and several and sum(one.members for one in several) + fresh >= MANY:
        return max(several, key=lambda one: one.members)
    return None


def _is_ruled(kind: str, rule: object) -> bool:
    """Whether somebody wrote the limit: what they ask for by name is told by that name."""
    return kind in ("budget", "threshold") or (kind == "silent" and bool(rule))


def rank(severity: object) -> int:
    """How urgent; 0 for the mildest."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else 0
