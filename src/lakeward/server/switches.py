"""The flags that are in force, over HTTP: looked at by who may read, changed by admins.

    GET  /api/flags    every flag: value, rules, shares, experiments, and where it comes from
    POST /api/flags    {"name": …, "on": false}            its default for everybody
                       {"name": …, "value": …}             another default
                       {"name": …, "weights": [0.9, 0.1], "experiment": …}
                       with `after`, the version that was seen: refused when there is a newer one

In: requests of who may read everything; an admin or this machine changes. Out: flags as
`lakeward flags list` has them, of saved groups only how many are in them. Flags of a file are
changed in the file. Says no with 400, 403, 404, 409 where somebody else changed it or it stands in
a file, 503 while the database is away.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from lakeward.errors import LakewardError, Rejected
from lakeward.flags.check import faults_of_feature
from lakeward.flags.database import Editor, payload_of
from lakeward.flags.feature import Feature, Payload, Rule
from lakeward.flags.source import FileSource
from lakeward.interaction import iso
from lakeward.server import acting
from lakeward.server.answer import Headers, Refusal, reply_json
from lakeward.server.guard import Guard
from lakeward.server.handler import GET, POST, Handler
from lakeward.server.intake import Intake, Request
from lakeward.server.routes import Found, Part
from lakeward.settings import Settings
from lakeward.store.database import Database
from lakeward.store.flags import Row

PARTS: Final = (Part("switches", "/api/flags"),)
MOST_BYTES: Final = 64 << 10
WHY: Final = "Flags are of everybody together."
WANTED: Final = (
    "The body must have a `name`, and one of `on`, `value` and `weights`; and may have `after`, a "
    "version, and with `weights` the `experiment`."
)


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a flag shall be from now on."""

    name: str
    on: bool | UnsetType = UNSET
    value: Any | UnsetType = UNSET
    weights: tuple[float, ...] | UnsetType = UNSET
    experiment: str | None = None
    after: int | None = None

    def __post_init__(self) -> None:
        """Refuse two changes at once, and none."""
        if sum(each is not UNSET for each in (self.on, self.value, self.weights)) != 1:
            raise ValueError("give one change")


class Switches:
    """Answers for one worker."""

    parts = PARTS

    def __init__(
        self, database: Database, settings: Settings, guard: Guard, intake: Intake
    ) -> None:  # fmt: skip
        self._editor = Editor(database)
        self._flags = settings.flags
        self._file = "" if settings.flags in ("", "database") else Path(settings.flags).name
        self._guard = guard
        self._intake = intake

    def moved(self, paths: Mapping[str, str]) -> None:
        """Nothing here depends on where the others are."""

    def handlers(self) -> dict[str, Handler]:
        """The list, and a change."""
        return {"switches": Handler((*GET, *POST), "read", self._answer)}

    async def _answer(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        if request.method == "POST":
            await self._change(request)
            return
        acting.refuse_partners(request, WHY)
        shown = await acting.beside(_refused, self._shown)
        may_change = not self._file and acting.may_act(request, self._guard)
        await reply_json(request.send, {**shown, "may_change": may_change})

    def _shown(self) -> dict[str, Any]:
        source = "file" if self._file else "database"
        told = {"source": source, "file": self._file or None, "used": bool(self._flags)}
        if not self._file:
            rows = self._editor.table.current()[1]
            return told | {"error": "", **_listed(payload_of(rows), rows)}
        try:
            snapshot = FileSource(Path(self._flags).expanduser()).read("")
        except (Rejected, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            sentence = f"{self._file} cannot be read, so its flags are not in force: {why}."
            return told | {"error": sentence, "flags": [], "groups": []}
        assert snapshot is not None  # it was never read before
        return told | {"error": "", **_listed(snapshot.payload, ())}

    async def _change(self, request: Request) -> None:
        actor = acting.actor(request, self._guard, WHY)
        asked = await acting.said(request, self._intake, Change, WANTED, MOST_BYTES)
        if self._file:
            raise Refusal(
                409, "in_a_file", f"Flags stand in the file {self._file}: change them there."
            )
        row = await acting.beside(_refused, self._changed, asked, actor)
        await reply_json(request.send, {"name": row.name, "version": row.version})

    def _changed(self, asked: Change, actor: str) -> Row:
        editor, name = self._editor, asked.name
        row = editor.found("flag", name)
        if asked.after not in (None, row.version):
            raise Rejected(f"the flag {name!r} was changed since it was read: read it again")
        if asked.on is not UNSET:
            return editor.switch(name, asked.on, actor=actor)
        if asked.weights is not UNSET:
            return editor.set_weights(
                name, asked.weights, actor=actor, experiment=asked.experiment
            )  # fmt: skip
        definition = {**row.definition, "defaultValue": asked.value}
        return editor.set_flag(name, definition, actor=actor, after=row.version)


def _listed(payload: Payload, rows: tuple[Row, ...] | list[Row]) -> dict[str, Any]:
    changed = {row.name: row for row in rows if row.kind == "flag"}
    flags = [
        _flag(name, feature, payload, changed.get(name))
        for name, feature in sorted(payload.features.items())
    ]
    groups = [
        {"name": name, "members": len(members)}
        for name, members in sorted(payload.saved_groups.items())
    ]
    return {"flags": flags, "groups": groups}


def _flag(name: str, feature: Feature, payload: Payload, row: Row | None) -> dict[str, Any]:
    rules = [_rule(name, rule) for rule in feature.rules]
    return {
        "name": name,
        "enabled": feature.enabled,
        "value": feature.default_value,
        "description": feature.description,
        "rules": rules,
        "experiments": [rule["experiment"] for rule in rules if rule["experiment"]],
        "to_mend": faults_of_feature(name, feature, payload),
        "version": None if row is None else row.version,
        "changed_at": None if row is None else iso(row.created_at),
        "changed_by": None if row is None else row.created_by,
    }


def _rule(flag: str, rule: Rule) -> dict[str, Any]:
    told: dict[str, Any] = {
        "enabled": rule.enabled,
        "condition": rule.condition,
        "parents": [parent.id for parent in rule.parent_conditions],
        "coverage": rule.coverage,
        "by": rule.hash_attribute or "id",
        "experiment": None,
        "variations": [],
    }
    if rule.force is not UNSET:
        return told | {"value": rule.force}
    variations = rule.variations or ()
    return told | {
        "experiment": (rule.key or flag) if variations else None,
        "variations": [
            {**_called(rule, n), "value": value, "share": share}
            for n, (value, share) in enumerate(zip(variations, shares(rule), strict=True))
        ],
        "hypothesis": rule.plan.hypothesis if rule.plan else "",
    }


def _called(rule: Rule, n: int) -> dict[str, str]:
    meta = rule.meta[n] if rule.meta and n < len(rule.meta) else None
    key = meta.key if meta and meta.key else str(n)
    return {"key": key, "name": (meta.name if meta else None) or key}


def shares(rule: Rule) -> list[float]:
    """How an experiment's variations share its units out; ranges win over weights, and without
    either all have the same."""
    count = len(rule.variations or ())
    if rule.ranges and len(rule.ranges) == count:
        return [round(end - begin, 6) for begin, end in rule.ranges]
    if rule.weights and len(rule.weights) == count:
        return list(rule.weights)
    return [round(1 / count, 6)] * count if count else []


def _refused(error: LakewardError) -> Refusal | None:
    text = str(error)
    if "there is no flag" in text:
        return Refusal(404, "no_such_flag", acting.sentence(error))
    if "was changed since" in text:
        return Refusal(409, "changed", acting.sentence(error))
    return Refusal(400, "bad_flag", acting.sentence(error))
