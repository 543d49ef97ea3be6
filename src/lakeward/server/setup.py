"""The settings in force, over HTTP: `GET /api/settings`, for admins.

In: settings as this process started with them. Out: for each what it is set to, where that stands,
its default and its sentence. Of a secret only whether it is set; what looks like one in a text is
cut out, and so are names and passwords in addresses. The rollout percentages, which change while
the server runs, are read anew. Says no with 403 to everybody else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from lakeward.errors import SettingError
from lakeward.privacy import Scrubber
from lakeward.server import acting
from lakeward.server.answer import Headers, reply_json
from lakeward.server.guard import Guard
from lakeward.server.handler import GET, Handler
from lakeward.server.intake import Request
from lakeward.server.routes import Found, Part
from lakeward.settings import SETTINGS, Setting, Settings, read_env_file, spelled

PARTS: Final = (Part("settings", "/api/settings"),)
WHY: Final = "Settings are shown to admins who are logged in."
HANDED_ON: Final = "LAKEWARD_LAKE_DIR"
"""The server tells its workers where the lake is, whoever told the server."""


class Setup:
    """Answers for one worker."""

    parts = PARTS

    def __init__(
        self, settings: Settings, guard: Guard, environ: Mapping[str, str] | None = None
    ) -> None:  # fmt: skip
        self._file = settings.source.env_file
        self._environ = os.environ if environ is None else environ
        self._guard = guard
        self._scrubber = Scrubber()
        self._began = self._spelled()

    def moved(self, paths: Mapping[str, str]) -> None:
        """Nothing here depends on where the others are."""

    def handlers(self) -> dict[str, Handler]:
        """One list."""
        return {"settings": Handler(GET, "read", self._answer)}

    async def _answer(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        acting.refuse_partners(request, WHY)
        acting.refuse_keys(request, self._guard, WHY)
        now = self._spelled()
        rows = [
            self._row(row, *(now if row.kind == "percent" else self._began)[row.env])
            for row in SETTINGS
        ]
        shown = {"file": self._file.name, "there": self._file.exists(), "settings": rows}
        await reply_json(request.send, shown)

    def _spelled(self) -> dict[str, tuple[str, str]]:
        try:
            return spelled(self._environ, read_env_file(self._file))
        except SettingError:
            return spelled(self._environ, {})

    def _row(self, row: Setting, text: str, origin: str) -> dict[str, Any]:
        handed = row.env == HANDED_ON and origin == "environment"
        return {
            "env": row.env,
            "value": None if row.secret else self._clean(text),
            "set": bool(text) if row.secret else origin != "default",
            "secret": row.secret,
            "from": None if handed else origin,
            "default": row.default,
            "kind": row.kind,
            "choices": row.choices,
            "doc": row.doc,
        }

    def _clean(self, text: str) -> str:
        return self._scrubber.text(text)
