"""The last hour: how many interactions of each type and route, errors, and how long they took.

In: rows, in any order. Out: numbers ready to be drawn, by minute. Never fails.

A record counts in the minute in which it was received: `received_at` where a server stamped it,
else `timestamp`. Both are in the record, so an hour that is computed again after a restart is the
same hour; an imported record of last year is in the list of what arrives and not in this hour.

Bounded: known types, 40 others, 200 routes, 60 paths without a route; what is beyond goes to
`(other)`. Times are kept in bins that grow by a quarter of an octave: percentiles are within 10 %.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from lakeward.catalog import TYPES
from lakeward.interaction import parse_iso
from lakeward.server.tail import Row

MINUTE = 60_000
MINUTES = 60
OTHER = "(other)"
MOST_TYPES, MOST_ROUTES, MOST_PATHS = 40, 200, 60
STACKED, LISTED = 5, 12
_SMALLEST_MS, _PER_OCTAVE, _BINS = 0.05, 4, 90
_REMEMBERED = 5_000


class Cell(msgspec.Struct):
    """One minute of one type and route."""

    count: int = 0
    errors: int = 0
    times: dict[int, int] = msgspec.field(default_factory=dict)

    def add(self, other: Cell, sign: int = 1) -> None:
        """Sum another cell into this one, or take it out."""
        self.count += sign * other.count
        self.errors += sign * other.errors
        for bin_, n in other.times.items():
            self.times[bin_] = self.times.get(bin_, 0) + sign * n

    def take(self, row: Row) -> None:
        """Count one row."""
        self.count += 1
        self.errors += is_error(row)
        if row.response_time_ms is not None:
            bin_ = time_bin(row.response_time_ms)
            self.times[bin_] = self.times.get(bin_, 0) + 1


class Totals(msgspec.Struct, frozen=True):
    """Numbers of the whole hour."""

    count: int
    errors: int
    error_share: float
    p50: float | None
    p95: float | None


class Line(msgspec.Struct, frozen=True):
    """One type or route of the hour; `share` is of the largest one listed."""

    name: str
    count: int
    errors: int
    share: float
    p50: float | None
    p95: float | None


class Minute(msgspec.Struct, frozen=True, array_like=True):
    """One minute: when it began, counts, percentiles, and counts in the order of `stack`."""

    at: int
    count: int
    errors: int
    p50: float | None
    p95: float | None
    stack: list[int]


class Snapshot(msgspec.Struct, frozen=True):
    """The hour as the page draws it. `whole` says that `minutes` are all there are."""

    now: int
    first: int
    whole: bool
    stack: list[str]
    minutes: list[Minute]
    totals: Totals
    types: list[Line]
    routes: list[Line]


class Hour:
    """Counts of the last 60 minutes, the running one included."""

    def __init__(self) -> None:
        self.version = 0
        self._series: dict[tuple[str, str], dict[int, Cell]] = {}
        self._sums: dict[tuple[str, str], Cell] = {}
        self._changed: dict[int, int] = {}
        self._types: Counter[str] = Counter()
        self._routes: Counter[str] = Counter()
        self._paths: Counter[str] = Counter()
        self._minutes: dict[str, int | None] = {}

    def add(self, rows: Iterable[Row], now_ms: int) -> None:
        """Count rows; those of another hour are left out."""
        first, last = first_minute(now_ms), now_ms + MINUTE
        self._expire(first)
        self.version += 1
        for row in rows:
            minute = self._minute(row.received_at or row.timestamp)
            if minute is None or not first <= minute <= last:
                continue
            key = self._key(row)
            if key not in self._series:
                self._series[key], self._sums[key] = {}, Cell()
            self._series[key].setdefault(minute, Cell()).take(row)
            self._sums[key].take(row)
            self._changed[minute] = self.version

    def _minute(self, text: str | None) -> int | None:
        """The minute of an ISO time, remembered by its first sixteen characters."""
        if text is None:
            return None
        key = text if text[-1:] != "Z" else text[:16]
        if key not in self._minutes:
            if len(self._minutes) >= _REMEMBERED:
                self._minutes.clear()
            try:
                self._minutes[key] = parse_iso(text) // MINUTE * MINUTE
            except (ValueError, OverflowError):
                self._minutes[key] = None
        return self._minutes[key]

    def _key(self, row: Row) -> tuple[str, str]:
        type_, route = row.interaction_type or OTHER, route_of(row)
        if type_ not in TYPES:
            type_ = _bounded(self._types, type_, MOST_TYPES)
        if row.route:
            route = _bounded(self._routes, route, MOST_ROUTES)
        elif route:
            route = _bounded(self._paths, route, MOST_PATHS)
        return type_, route

    def _expire(self, first: int) -> None:
        if not any(minute < first for minute in self._changed):
            return
        self._changed = {m: version for m, version in self._changed.items() if m >= first}
        for key, series in list(self._series.items()):
            for minute in [m for m in series if m < first]:
                self._sums[key].add(series.pop(minute), -1)
            if not series:
                del self._series[key], self._sums[key]
        # A name that is not seen any more gives its place to another.
        kept = {name for key in self._series for name in key}
        for names in (self._types, self._routes, self._paths):
            for name in [name for name in names if name not in kept]:
                del names[name]

    def snapshot(
        self,
        now_ms: int,
        types: frozenset[str] = frozenset(),
        route: str = "",
        since: int = 0,
        stack: list[str] | None = None,
    ) -> Snapshot:
        """The hour of some types and a route. With `since`, a version, and the `stack` of then:
        only minutes that changed after it."""
        first = first_minute(now_ms)
        self._expire(first)
        chosen = {
            key: series
            for key, series in self._series.items()
            if (not types or key[0] in types) and (not route or key[1] == route)
        }
        sums = {key: self._sums[key] for key in chosen}
        by_type, by_route = _summed(sums, 0), _summed(sums, 1)
        by_route.pop("", None)
        names = _steady(by_type, stack or [])
        whole = not since or names != stack
        minutes = [
            _minute(minute, chosen, names)
            for minute, version in sorted(self._changed.items())
            if whole or version > since
        ]
        total = Cell()
        for cell in by_type.values():
            total.add(cell)
        return Snapshot(
            now_ms, first, whole, names, minutes, _totals(total), _lines(by_type), _lines(by_route)
        )


def first_minute(now_ms: int) -> int:
    """When the window's first minute begins."""
    return (now_ms // MINUTE - MINUTES + 1) * MINUTE


def route_of(row: Row) -> str:
    """`GET /api/partners/{id}`: the route, or the path of what has none."""
    where = (row.route or row.path or "")[:200]
    return f"{row.method} {where}" if where and row.method else where


def is_error(row: Row) -> bool:
    """Status 500 and above; without a status, anything that names an error."""
    if row.response_status is not None:
        return row.response_status >= 500
    return row.error_type is not None


def time_bin(ms: float) -> int:
    """The bin of a response time."""
    if not ms > _SMALLEST_MS:
        return 0
    return min(int(math.log2(ms / _SMALLEST_MS) * _PER_OCTAVE) + 1, _BINS)


def percentile(times: Mapping[int, int], q: float) -> float | None:
    """The middle of the bin below which a share `q` of the times lies."""
    total = sum(times.values())
    if not total:
        return None
    left = max(math.ceil(total * q), 1)
    for bin_ in sorted(times):
        left -= times[bin_]
        if left <= 0:
            break
    value = _SMALLEST_MS * 2 ** ((bin_ - 0.5) / _PER_OCTAVE) if bin_ else _SMALLEST_MS / 2
    return float(f"{value:.3g}")


def _bounded(names: Counter[str], name: str, most: int) -> str:
    if name in names or len(names) < most:
        names[name] += 1
        return name
    return OTHER


def _summed(sums: Mapping[tuple[str, str], Cell], place: int) -> dict[str, Cell]:
    found: dict[str, Cell] = {}
    for key, cell in sums.items():
        found.setdefault(key[place], Cell()).add(cell)
    return found


def _steady(by_type: Mapping[str, Cell], before: list[str]) -> list[str]:
    """The largest types, in the order they had, so that colours stay with their type."""
    ranked = sorted(by_type, key=lambda name: (-by_type[name].count, name))
    rest = OTHER in by_type
    if rest:
        ranked.remove(OTHER)
    largest = ranked if len(ranked) <= STACKED + 1 else ranked[:STACKED]
    names = [name for name in before if name in largest]
    names += [name for name in largest if name not in names]
    return [*names, OTHER] if rest or len(ranked) > len(largest) else names


def _minute(
    minute: int, chosen: Mapping[tuple[str, str], Mapping[int, Cell]], names: list[str]
) -> Minute:
    total, stack = Cell(), dict.fromkeys(names, 0)
    for key, series in chosen.items():
        if (cell := series.get(minute)) is not None:
            total.add(cell)
            stack[key[0] if key[0] in stack else OTHER] += cell.count
    p50, p95 = percentile(total.times, 0.5), percentile(total.times, 0.95)
    return Minute(minute, total.count, total.errors, p50, p95, list(stack.values()))


def _totals(total: Cell) -> Totals:
    share = total.errors / total.count if total.count else 0.0
    p50, p95 = percentile(total.times, 0.5), percentile(total.times, 0.95)
    return Totals(total.count, total.errors, round(share, 5), p50, p95)


def _lines(cells: Mapping[str, Cell]) -> list[Line]:
    ranked = sorted(cells.items(), key=lambda item: (item[0] == OTHER, -item[1].count, item[0]))
    most = max((cell.count for cell in cells.values()), default=1)
    return [
        Line(name, cell.count, cell.errors, round(cell.count / most, 4),
             percentile(cell.times, 0.5), percentile(cell.times, 0.95))
        for name, cell in ranked[:LISTED]
    ]  # fmt: skip
