"""Flags in the app database: read by a watch, changed by people, and sticky assignments kept.

In: settings, or a database that is open. Out: a `Source`, a `StickyStore`, and an editor that
checks what people set. Fails as the database does, with `Rejected` for what is no flag, and
`MissingExtra` without SQLAlchemy. The database is opened by the first call that needs it, which is
never an evaluation.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lakeward.errors import Rejected, Terminal
from lakeward.flags.check import faults_of_feature, faults_of_group
from lakeward.flags.feature import Feature, Payload, read_feature
from lakeward.flags.source import Snapshot
from lakeward.flags.sticky import Unit, unit_name
from lakeward.settings import Settings
from lakeward.store.assignments import Assignments
from lakeward.store.database import Database, open_database
from lakeward.store.flags import NAME_LENGTH, FlagTable, Kind, Row


class Opened:
    """The app database, opened when it is needed."""

    def __init__(self, settings: Settings | Database) -> None:
        self._given = settings
        self._database = settings if isinstance(settings, Database) else None
        self._lock = threading.Lock()
        me = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _in_child(me))

    def after_fork(self) -> None:
        """The lock may be held by a thread of the parent."""
        self._lock = threading.Lock()

    def database(self) -> Database:
        """Open; what it raises, it raises at the next call again."""
        with self._lock:
            if self._database is None:
                assert isinstance(self._given, Settings)
                self._database = open_database(self._given)
            return self._database

    def close(self) -> None:
        """Give its connections back, unless it was open before."""
        with self._lock:
            if self._database is not None and self._database is not self._given:
                self._database.close()


def _in_child(me: weakref.ref[Opened]) -> None:
    opened = me()
    if opened is not None:
        opened.after_fork()


class DatabaseSource:
    """The flags that are in force in the app database."""

    name = "database"

    def __init__(self, settings: Settings | Database) -> None:
        self._opened = Opened(settings)

    def read(self, mark: str) -> Snapshot | None:
        """One small query when nothing changed."""
        table = FlagTable(self._opened.database())
        if mark and mark == str(table.newest()):
            return None
        newest, rows = table.current()
        return Snapshot(payload_of(rows), str(newest), str(newest))

    def close(self) -> None:
        """Give connections back."""
        self._opened.close()


def payload_of(rows: Sequence[Row]) -> Payload:
    """Rows in force as a payload."""
    content: dict[str, Any] = {"features": {}, "savedGroups": {}}
    for row in rows:
        content["features" if row.kind == "flag" else "savedGroups"][row.name] = row.definition
    try:
        return msgspec.convert(content, Payload)
    except msgspec.ValidationError as error:
        raise Rejected(f"the flags in the app database are not of the form: {error}") from None


class DatabaseSticky:
    """Sticky assignments in the app database."""

    def __init__(self, settings: Settings | Database) -> None:
        self._opened = Opened(settings)

    def fetch(self, units: Sequence[Unit]) -> dict[str, dict[str, str]]:
        """What is kept of these units."""
        found: dict[str, dict[str, str]] = {}
        rows = Assignments(self._opened.database()).fetch(units)
        for attribute, value, experiment, variation in rows:
            found.setdefault(unit_name(attribute, value), {})[experiment] = variation
        return found

    def keep(self, assignments: Mapping[str, Mapping[str, str]]) -> None:
        """Add assignments; the first one wins."""
        rows = []
        for unit, added in assignments.items():
            attribute, _, value = unit.partition("||")
            rows += [
                {"attribute": attribute, "value": value, "experiment": name, "variation": key}
                for name, key in added.items()
            ]
        Assignments(self._opened.database()).keep(rows)

    def close(self) -> None:
        """Give connections back."""
        self._opened.close()


class Editor:
    """Changes flags and groups, each checked with all others beside it."""

    def __init__(self, database: Database) -> None:
        self.table = FlagTable(database)

    def payload(self) -> Payload:
        """What is in force."""
        return payload_of(self.table.current()[1])

    def set_flag(
        self, name: str, definition: object, *, actor: str, after: int | None = None
    ) -> Row:
        """A flag as it shall be from now on."""
        feature = read_feature(definition)
        payload = self.payload()
        features = {**payload.features, _checked(name): feature}
        beside = Payload(features, payload.saved_groups)
        _refuse(name, faults_of_feature(name, feature, beside))
        return self.table.put("flag", name, definition, actor=actor, after=after)

    def switch(self, name: str, on: bool, *, actor: str) -> Row:
        """Let its rules apply, or give everybody its default."""
        row = self.found("flag", name)
        definition = {**row.definition, "enabled": on}
        return self.table.put("flag", name, definition, actor=actor, after=row.version)

    def set_weights(
        self, name: str, weights: Sequence[float], *, actor: str, experiment: str | None = None
    ) -> Row:
        """How the experiment of a flag shares units out from now on."""
        row = self.found("flag", name)
        rules = [dict(rule) for rule in row.definition.get("rules", [])]
        trials = [
            rule for rule in rules
            if rule.get("variations") and experiment in (None, rule.get("key", name))
        ]  # fmt: skip
        if len(trials) != 1:
            which = "no experiment" if not trials else f"{len(trials)} experiments"
            raise Terminal(f"the flag {name!r} has {which} of that key: name one with --experiment")
        trials[0]["weights"] = list(weights)
        trials[0].pop("ranges", None)
        definition = {**row.definition, "rules": rules}
        return self.set_flag(name, definition, actor=actor, after=row.version)

    def set_group(self, name: str, members: object, *, actor: str) -> Row:
        """The members of a saved group from now on."""
        _refuse(_checked(name), faults_of_group(members))
        return self.table.put("group", name, members, actor=actor)

    def found(self, kind: Kind, name: str) -> Row:
        """What is in force of this name."""
        row = self.table.find(kind, name)
        if row is None:
            raise Terminal(f"there is no {kind} {name[:80]!r}: `lakeward flags list` shows them")
        return row

    def feature(self, name: str) -> Feature:
        """A flag that is in force."""
        return read_feature(self.found("flag", name).definition)


def _checked(name: str) -> str:
    if not (0 < len(name) <= NAME_LENGTH and name.isprintable() and name == name.strip()):
        raise Terminal(
            f"a flag's name is 1 to {NAME_LENGTH} printable characters, with no blank at its ends"
        )
    return name


def _refuse(name: str, faults: Sequence[str]) -> None:
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise Rejected(f"{name}: {faults[0]}{more}")
