"""Small work that every keeper does beside the log, whoever started it."""

from __future__ import annotations

import time
from pathlib import Path

from lakeward.interaction import iso
from lakeward.salts import DailySalts

DAY_MS = 86_400_000
SALT_DAYS = 2


class ForgetSalts:
    """Delete salts older than two days, so that yesterday's hashes can be linked to nobody."""

    def __init__(self, folder: Path) -> None:
        self._salts = DailySalts(folder)
        self._day = -1

    def step(self, state: object) -> None:
        """Once a day."""
        ms = time.time_ns() // 1_000_000
        if ms // DAY_MS != self._day:
            self._day = ms // DAY_MS
            self._salts.forget(iso(ms - SALT_DAYS * DAY_MS)[:10])

    def close(self) -> None:
        """Hold nothing."""
