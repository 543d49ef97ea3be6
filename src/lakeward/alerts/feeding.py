"""Feeding: the buckets of series go to their detectors, in the order of time.

In: what a look works with, and a stretch of time. Out: signals of what was wrong and is well again;
entries and detectors are in the memory. Fails as a question does.

A series begins with the first bucket in which something came. From then on a bucket without
anything is one of 0, where that means something; but not where nothing at all came and nobody
watched, more than an hour ago.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

import msgspec

from lakeward.alerts.judging import signals_of
from lakeward.alerts.memory import Entry
from lakeward.alerts.ranking import FINE
from lakeward.alerts.series import ALL, Found, Watched
from lakeward.alerts.sight import Sight, moment
from lakeward.alerts.signal import Signal
from lakeward.analysis.anomaly.watch import Bucket, judged
from lakeward.analysis.question import pieces

STALE_MS: Final = 6 * 3_600_000
"""How long a share or a percentile may say nothing, until nothing counts as wrong with it."""
NEVER: Final = 1 << 62
SILENT: Final = "type:"
"""What begins so is silent when nothing comes; that nobody calls a route is an anomaly."""


class Feed:
    """Feeds the series of one look."""

    def __init__(self, sight: Sight) -> None:
        self._sight, self._rules, self._memory = sight, sight.rules, sight.memory

    def fed(
        self, since: int, until: int, seconds: int, learned: Collection[str] | None = None
    ) -> list[Signal]:
        """Feed the buckets of one length; `learned` names the only series, and says nothing."""
        entries = {
            key: entry for key, entry in self._memory.entries.items()
            if entry.seconds == seconds and (learned is None or key in learned)
        }  # fmt: skip
        if since >= until or not entries:
            return []
        measures: dict[str, dict[int, tuple[float, float]]] = {}
        moments: set[int] = set()
        for row in self.rows(since, until, seconds):
            if row.family == ALL:
                moments.add(row.at)
            for key, _, value, volume in row.measures():
                if key in entries:
                    measures.setdefault(key, {})[row.at] = (value, volume)
        recent = NEVER if learned is not None else self._sight.recent_ms
        times = [
            at for at in range(since, until, seconds * 1000)
            if learned is not None or at in moments or at + seconds * 1000 >= recent
        ]  # fmt: skip
        signals = []
        for key, entry in entries.items():
            buckets = self._buckets(entry, times, measures.get(key, {}))
            if not buckets:
                continue
            kept, verdicts = judged(self._memory.kept(key), buckets)
            if verdicts and entry.last is None:
                first = round(verdicts[0][0].start * 1000)
                entry = msgspec.structs.replace(entry, since=first)
            entry, said = signals_of(entry, verdicts, recent, silent=key.startswith(SILENT))
            self._memory.put(key, entry, kept)
            signals += said
        return [] if learned is not None else signals

    def _buckets(
        self, entry: Entry, times: Iterable[int], measures: dict[int, tuple[float, float]]
    ) -> list[Bucket]:
        """Rows of a series; it begins when something came for the first time."""
        key, seen = entry.series.key, entry.last is not None
        found = []
        for at in times:
            measured = measures.get(at)
            seen = seen or measured is not None
            if measured is None and not (entry.zero and seen):
                continue
            if not self._rules.excludes(key, at):
                value, volume = measured or (0.0, 0.0)
                found.append(Bucket(entry.series, at / 1000, value, volume=volume))
        return found

    def stale(self, until: int) -> list[Signal]:
        """Episodes of series that say nothing any more are over."""
        found = []
        for key, entry in self._memory.entries.items():
            if entry.episode is None or entry.last is None:
                continue
            if entry.zero or entry.last.at >= until - STALE_MS:
                continue
            found.append(
                Signal(
                    series=key, kind=entry.episode.kind, wrong=False, begins=False,
                    at=until - FINE * 1000, seconds=entry.series.step, unit=entry.unit,
                    why=f"{key}: has said nothing for hours.",
                )
            )  # fmt: skip
        for signal in found:
            entry = self._memory.entries[signal.series]
            self._memory.rank(signal.series, msgspec.structs.replace(entry, episode=None))
        return found

    def rows(self, since: int, until: int, seconds: int) -> list[Found]:
        """What came, by buckets of so many seconds; 0: in one."""
        question = Watched(
            since=moment(since), until=moment(until), seconds=seconds,
            groups=self._rules.watch.series, internal_is=self._sight.settings.internal,
        )  # fmt: skip
        return [Found(*row) for piece in pieces(self._sight.reading, question) for row in piece]
