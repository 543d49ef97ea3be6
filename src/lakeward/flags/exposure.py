"""Exposures: that a unit met its variant is told to the lake once in each process.

In: what an evaluation met. Out: an `experiment_exposure` through the collector, which joins it to
the call under way. What was told is remembered for `most` units, the newest ones; a unit that is
forgotten, or met in another process, is told again, and an analysis counts its first exposure.
Never raises, never waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lakeward.collector import Collector
from lakeward.flags.evaluate import Assigned
from lakeward.flags.hashing import hashed_text
from lakeward.trace import CURRENT

TYPE: Final = "experiment_exposure"
MOST: Final = 100_000
LONGEST: Final = 200
PERSON: Final = {
    "user_id": "user_id", "userId": "user_id", "id": "user_id",
    "anonymous_id": "anonymous_id", "anonymousId": "anonymous_id",
    "deviceId": "anonymous_id", "device_id": "anonymous_id",
    "session_id": "session_id", "sessionId": "session_id",
}  # fmt: skip
"""Attributes by which a person is known, and the record's field of each: an exposure must be found
when the person is erased, whatever it was assigned by."""


class Fresh:
    """Remembers what was told, in two generations: when the newer is full, the older is let go."""

    def __init__(self, most: int = MOST) -> None:
        self._half = max(most // 2, 1)
        self._new: dict[tuple[object, ...], None] = {}
        self._old: dict[tuple[object, ...], None] = {}

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def is_fresh(self, met: Assigned) -> bool:
        """Whether it was not told before; from now on it was."""
        unit = hashed_text(met.unit)
        key = (met.experiment, met.key, met.attribute, unit, met.phase, met.hash_used)
        if key in self._new:
            return False
        fresh = key not in self._old
        if len(self._new) >= self._half:
            self._old, self._new = self._new, {}
        self._new[key] = None
        return fresh


class Exposures:
    """Tells them to a collector."""

    def __init__(self, collector: Collector, most: int = MOST) -> None:
        self._collector = collector
        self._fresh = Fresh(most)
        self.told = 0
        self.untold = 0
        """Not kept by the collector (switched off, sampled out, full), which counts why."""

    def tell(self, met: Assigned, attributes: Mapping[str, Any], source: str) -> None:
        """Record it unless this process has."""
        if not self._fresh.is_fresh(met):
            return
        fields = told_of(met, attributes, source)
        cause = CURRENT.get()
        if cause is not None:  # the user of the call under way comes first
            for name in cause.person():
                fields.pop(name, None)
        if self._collector.record(TYPE, **fields) is None:
            self.untold += 1
        else:
            self.told += 1


def told_of(met: Assigned, attributes: Mapping[str, Any], source: str) -> dict[str, Any]:
    """What an exposure says."""
    unit = hashed_text(met.unit)
    fields = _who(met, unit, attributes)
    fields |= {
        "experiment": met.experiment[:LONGEST],
        "variant": met.key[:LONGEST],
        "variant_index": met.index,
        "hash_attribute": met.attribute[:LONGEST],
        "source": source,
    }
    if met.feature:
        fields["feature_key"] = met.feature[:LONGEST]
    if met.phase and met.phase.isascii() and met.phase.isdecimal() and len(met.phase) < 16:
        fields["experiment_version"] = int(met.phase)
    if unit:
        fields["hash_value"] = unit[:LONGEST]
    if met.hash_used:
        fields |= {"bucket": met.bucket, "hash_version": met.hash_version}
    else:
        fields["forced"] = True
    if met.sticky:
        fields["sticky"] = True
    return fields


def _who(met: Assigned, unit: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Whose exposure it is."""
    found: dict[str, Any] = {}
    named = [(met.attribute, unit)] if unit else []
    named += [(name, hashed_text(attributes.get(name))) for name in PERSON if name != "id"]
    for name, text in named:
        field = PERSON.get(name)
        if field and text:
            found.setdefault(field, text[:LONGEST])
    return found
