"""A clock that stands still until a test moves it.

In: a moment as ISO 8601 text or a datetime. Out: nanoseconds since 1970, as `Collector(now_ns=…)`
wants them. Fails with ValueError for text that is no time.
"""

from __future__ import annotations

from datetime import datetime

from lakeward.interaction import iso, parse_iso

START = "2025-08-14T16:11:28.677Z"


class FrozenClock:
    """Call it for the ns since 1970; `tick` and `set` move it, backwards too."""

    def __init__(self, start: str | datetime = START) -> None:
        self._ns = 0
        self.set(start)

    def __call__(self) -> int:
        """Nanoseconds since 1970."""
        return self._ns

    def tick(self, seconds: float = 1.0) -> None:
        """Let `seconds` pass."""
        self._ns += round(seconds * 1_000_000_000)

    def set(self, moment: str | datetime) -> None:
        """Stand at `moment`; without a zone it is UTC."""
        text = moment if isinstance(moment, str) else moment.isoformat()
        self._ns = parse_iso(text) * 1_000_000

    @property
    def text(self) -> str:
        """The moment as a record's `timestamp` has it."""
        return iso(self._ns // 1_000_000)
