"""Small work that every keeper does beside the log, whoever started it."""

from __future__ import annotations

import time
from pathlib import Path

from lakeward.interaction import iso
from lakeward.privacy import DailySalts

SALT_DAYS_MS = 2 * 86_400_000


class ForgetSalts:
    """Delete salts older than two days, so that yesterday's hashes can be linked to nobody."""

    def __init__(self, folder: Path) -> None:
        self._salts = DailySalts(folder)
        self._day = ""

    def step(self, state: object) -> None:
        """Once a day."""
        before = iso(time.time_ns() // 1_000_000 - SALT_DAYS_MS)[:10]
        if before != self._day:
            self._day = before
            self._salts.forget(before)

    def close(self) -> None:
        """Hold nothing."""
