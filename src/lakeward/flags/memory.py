"""What a process knows of sticky assignments, so that an evaluation never asks their store.

In: attributes of units and new assignments. Out: what is known of a unit. New assignments wait for
the thread that writes them; units that are not known wait for it to fetch them. Bounded: behind
`MOST` units the oldest generation is let go, behind `WAITING` new ones are counted `lost`. Nothing
here raises; a store that fails is asked again at the next look, and warned of once.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lakeward.flags.evaluate import Assigned
from lakeward.flags.hashing import hashed_text
from lakeward.flags.sticky import Known, StickyStore, Unit, assignment_name, unit_name

logger = logging.getLogger("lakeward")

MOST: Final = 50_000
WAITING: Final = 20_000
BATCH: Final = 500
ATTRIBUTES: Final = frozenset(
    ("id", "user_id", "userId", "anonymous_id", "anonymousId", "deviceId", "device_id",
     "session_id", "sessionId", "company", "company_id")
)  # fmt: skip
"""Attributes that may assign and are looked up before a rule asked for one."""


class Memory:
    """Known assignments, those to be written, and units to be fetched."""

    def __init__(self, store: StickyStore, most: int = MOST) -> None:
        self._store = store
        self._half = max(most // 2, 1)
        self._new: dict[str, dict[str, str]] = {}
        self._old: dict[str, dict[str, str]] = {}
        self._unsaved: dict[str, dict[str, str]] = {}
        self._unmet: dict[str, Unit] = {}
        self._names = set(ATTRIBUTES)
        self._lock = threading.Lock()
        self._failing = False
        self._counts = {"kept": 0, "fetched": 0, "lost": 0, "store_failed": 0}
        me = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _in_child(me))

    def known(self, attributes: Mapping[str, Any]) -> Known:
        """What is known of a unit; one that is not known will be."""
        found: dict[str, Mapping[str, str]] = {}
        for name, value in self._units(attributes):
            unit = unit_name(name, value)
            kept = self._new.get(unit)
            if kept is None and (kept := self._old.get(unit)) is not None:
                self._put(unit, kept)
            if kept is not None:
                found[unit] = kept
            elif len(self._unmet) < WAITING:
                self._unmet[unit] = (name, value)
        return found

    def keep(self, met: Assigned) -> None:
        """A new assignment, unless it is known."""
        if met.bucket_version is None:
            return
        if met.attribute not in self._names:
            self._names.add(met.attribute)
        unit = unit_name(met.attribute, hashed_text(met.unit))
        name = assignment_name(met.experiment, met.bucket_version)
        kept = self._new.get(unit, {})
        if name in kept:
            return
        if len(self._unsaved) >= WAITING:
            self._counts["lost"] += 1
            return
        with self._lock:
            self._put(unit, {**kept, name: met.key})
            self._unsaved.setdefault(unit, {})[name] = met.key

    def recall(self, attributes: Mapping[str, Any]) -> bool:
        """Fetch a unit now, in the caller's thread, if it is not known."""
        try:
            wanted = [
                (name, value) for name, value in self._units(attributes)
                if (unit := unit_name(name, value)) not in self._new and unit not in self._old
            ]  # fmt: skip
            return not wanted or self._fetch(wanted)
        except Exception as error:
            return self._failed(error)

    def work(self) -> None:
        """Write what is new, then fetch what was asked for: what is known last is the store's."""
        try:
            self._write()
            with self._lock:
                unmet, self._unmet = list(self._unmet.values()), {}
            for at in range(0, len(unmet), BATCH):
                if not self._fetch(unmet[at : at + BATCH]):
                    return
            self._failing = False
        except Exception as error:
            self._failed(error)

    def close(self) -> None:
        """Write what is new, and let the store go."""
        self.work()
        try:
            self._store.close()
        except Exception as error:
            self._failed(error)

    def stats(self) -> dict[str, int]:
        """What was counted."""
        return {**self._counts, "known": len(self._new) + len(self._old),
                "unsaved": len(self._unsaved)}  # fmt: skip

    def _units(self, attributes: Mapping[str, Any]) -> list[Unit]:
        names = self._names
        return [
            (name, text) for name, value in attributes.items()
            if name in names and (text := hashed_text(value))
        ]  # fmt: skip

    def _write(self) -> None:
        with self._lock:
            unsaved, self._unsaved = self._unsaved, {}
        if not unsaved:
            return
        try:
            self._store.keep(unsaved)
        except Exception:
            with self._lock:  # what came since is newer: the store's first one wins all the same
                for unit, assignments in self._unsaved.items():
                    unsaved[unit] = {**assignments, **unsaved.get(unit, {})}
                self._unsaved = unsaved
            raise
        self._counts["kept"] += sum(map(len, unsaved.values()))
        with self._lock:  # another process may have been first
            for unit in unsaved:
                name, _, value = unit.partition("||")
                self._unmet[unit] = (name, value)

    def _fetch(self, units: list[Unit]) -> bool:
        try:
            found = self._store.fetch(units)
        except Exception as error:
            return self._failed(error)
        with self._lock:
            for name, value in units:
                unit = unit_name(name, value)
                mine = self._new.get(unit) or self._old.get(unit) or {}
                self._put(unit, {**mine, **found.get(unit, {})})
        self._counts["fetched"] += len(units)
        return True

    def _put(self, unit: str, kept: dict[str, str]) -> None:
        if len(self._new) >= self._half:
            self._old, self._new = self._new, {}
        self._new[unit] = kept

    def _failed(self, error: Exception) -> bool:
        self._counts["store_failed"] += 1
        if not self._failing:
            logger.warning("lakeward: sticky assignments are not kept now: %s", error)
        self._failing = True
        return False

    def after_fork(self) -> None:
        """What waits is the parent's to write."""
        self._lock = threading.Lock()
        self._unsaved = {}


def _in_child(me: weakref.ref[Memory]) -> None:
    memory = me()
    if memory is not None:
        memory.after_fork()


class MemorySticky:
    """A store that forgets with the process: for tests, and for apps of one process."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    def fetch(self, units: Sequence[Unit]) -> dict[str, dict[str, str]]:
        """What is kept of these units."""
        names = [unit_name(*unit) for unit in units]
        with self._lock:
            return {name: dict(self._kept[name]) for name in names if name in self._kept}

    def keep(self, assignments: Mapping[str, Mapping[str, str]]) -> None:
        """Add assignments; the first one wins."""
        with self._lock:
            for unit, added in assignments.items():
                self._kept[unit] = {**added, **self._kept.get(unit, {})}

    def close(self) -> None:
        """Nothing is held."""
