"""The rules of alerts, over HTTP: `GET /api/rules` shows what is watched and who is told.

In: requests of who may read everything. Out: `alerts.toml` as it is in force, where it stands, and
the sentence of what is wrong in it. Of a channel only its kind and the variable that holds its
address, and whether that is set here: addresses are secrets. Says no with 403 to partners.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from lakeward.alerts.opening import told_by
from lakeward.alerts.rules import Rules, path_of, read
from lakeward.alerts.telling import Channel, Telling
from lakeward.errors import SettingError
from lakeward.interaction import iso
from lakeward.server import acting
from lakeward.server.answer import Headers, reply_json
from lakeward.server.guard import Guard
from lakeward.server.handler import GET, Handler
from lakeward.server.intake import Request
from lakeward.server.routes import Found, Part
from lakeward.settings import PLACEHOLDER, Settings, read_env_file

PARTS: Final = (Part("rules", "/api/rules"),)
WHY: Final = "Alerts are of everybody together."


class RuleRoom:
    """Answers for one worker."""

    parts = PARTS

    def __init__(
        self, settings: Settings, guard: Guard, environ: Mapping[str, str] | None = None
    ) -> None:  # fmt: skip
        self._settings = settings
        self._guard = guard
        self._environ = os.environ if environ is None else environ

    def moved(self, paths: Mapping[str, str]) -> None:
        """Nothing here depends on where the others are."""

    def handlers(self) -> dict[str, Handler]:
        """One list."""
        return {"rules": Handler(GET, "read", self._answer)}

    async def _answer(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        acting.refuse_partners(request, WHY)
        whole = acting.may_act(request, self._guard)
        await reply_json(request.send, await asyncio.to_thread(self._shown, whole))

    def _shown(self, whole: bool) -> dict[str, Any]:
        path = path_of(self._settings)
        told: dict[str, Any] = {"file": str(path) if whole else path.name, "there": path.exists()}
        rules, telling, error = Rules(), Telling(), ""
        try:
            rules = read(self._settings)
            telling = told_by(rules)
        except SettingError as refused:
            error = str(refused) if whole else str(refused).replace(str(path), path.name)
        return told | {
            "error": error,
            "rules": _of_rules(rules),
            "channels": [self._channel(channel) for channel in telling.channels],
            "digest": _digest(telling),
        }

    def _channel(self, channel: Channel) -> dict[str, Any]:
        return {
            "by": channel.by,
            "variable": channel.address,
            "set": self._is_set(channel.address),
            "signed": channel.secret is not None,
            "severity": channel.severity,
            "kinds": channel.kinds,
            "series": channel.series,
            "quiet": _hours(channel),
        }

    def _is_set(self, name: str) -> bool:
        """Whether a variable holds something, as the channel itself will look for it."""
        try:
            file = read_env_file(self._settings.source.env_file)
        except SettingError:
            file = {}
        for found in (self._environ.get(name), file.get(name)):
            if found is not None and found.strip() and not PLACEHOLDER.match(found.strip()):
                return True
        return False


def _of_rules(rules: Rules) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "watch": msgspec.to_builtins(rules.watch),
        "thresholds": _structs(rules.thresholds),
        "budgets": _structs(rules.budgets),
        "silent": _structs(rules.silences),
        "exclude": [
            {"from": iso(each.begin_ms), "until": iso(each.end_ms), "series": each.series}
            for each in rules.excluded
        ],
    }
    return plain


def _structs(rules: Sequence[msgspec.Struct]) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(rule) for rule in rules]


def _hours(channel: Channel) -> str | None:
    quiet = channel.quiet
    return None if quiet is None else f"{_clock(quiet.begins)} to {_clock(quiet.ends)} {quiet.zone}"


def _digest(telling: Telling) -> dict[str, Any] | None:
    due = telling.digest
    return None if due is None else {"at": _clock(due.minute), "zone": due.zone, "by": due.by}


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
