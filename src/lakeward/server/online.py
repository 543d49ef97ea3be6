"""Who is online: visitors of the last five minutes and of each minute of the hour, and where.

In: rows, in any order. Out: numbers ready to be drawn. Never fails.

A visitor is who the record itself says it was, the user, else the anonymous id, else the session.
Programs and the team's own traffic are left out as questions leave them out, and so are types that
nobody is the cause of. A visitor is on the page of the last view. When somebody was there is
`received_at`, else `timestamp`, as in the hour.

Exact up to a bound, of visitors now and of each minute; a number above its bound means "more than
that". Kept are hashes with a key of this process, and of the last five minutes the page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from hashlib import blake2b
from os import urandom
from typing import Final

import msgspec

from lakeward.analysis.events import own_rule
from lakeward.errors import MissingExtra
from lakeward.interaction import Moments
from lakeward.lake.agents import LONGEST, Agents
from lakeward.server.hour import MINUTE, MINUTES, first_minute
from lakeward.server.tail import Row

NOW_MS: Final = 5 * MINUTE
MOST_NOW, MOST_IN_MINUTE = 10_000, 2_000
MOST_PAGES, LISTED = 2_000, 10
OTHER: Final = "(other)"
NOBODYS: Final = frozenset({"job_run", "anomaly", "message_sent", "message_event"})
VIEWS: Final = frozenset({"page_view", "screen_view"})
REMEMBERED: Final = 5_000

Bots = Callable[[Sequence[str]], list[bool]]


class Seen(msgspec.Struct, frozen=True, gc=False):
    """One visitor at one moment; `page` where it was a view."""

    who: int
    ms: int
    page: str | None


class Page(msgspec.Struct, frozen=True):
    """A page and how many are on it; `share` is of the fullest."""

    name: str
    visitors: int
    share: float


class People(msgspec.Struct, frozen=True):
    """Who is online, as the page draws it; more than `most` means "more than that"."""

    visitors: int
    most: int
    minutes: list[int]
    """Of each minute of the hour, the running one last."""
    most_in_minute: int
    pages: list[Page]


class Visitors:
    """Tells visitors from programs and from the team; called in threads, one at a time."""

    def __init__(self, internal: Collection[str] = (), bots: Bots | None = None) -> None:
        rules = [own_rule(rule) for rule in internal]
        self._own = frozenset(rule for rule in rules if rule[0] != "ip_address")
        self._networks = tuple(value for field, value in rules if field == "ip_address")
        self._fields = tuple({field for field, _ in self._own})
        self._bots = bots
        self._programs: dict[str, bool] = {}
        self._moments = Moments()
        self._key = urandom(16)

    def of(self, rows: Iterable[Row]) -> list[Seen]:
        """The visitors among some rows, in their order."""
        found = [row for row in rows if _who(row) and not self._is_own(row)]
        self._learn({(row.user_agent or "")[:LONGEST] for row in found})
        seen = []
        for row in found:
            if not self._programs[(row.user_agent or "")[:LONGEST]]:
                ms = self._ms(row)
                if ms is not None:
                    seen.append(Seen(self._hashed(_who(row)), ms, _page(row)))
        return seen

    def _is_own(self, row: Row) -> bool:
        if any((field, getattr(row, field)) in self._own for field in self._fields):
            return True
        return bool(self._networks) and (row.ip_address or "").startswith(self._networks)

    def _learn(self, agents: Collection[str]) -> None:
        new = [agent for agent in agents if agent not in self._programs]
        if len(self._programs) + len(new) > REMEMBERED:
            self._programs, new = {}, list(agents)
        if self._bots is None:
            self._bots = _known_bots()
        self._programs.update(zip(new, self._bots(new), strict=True))

    def _ms(self, row: Row) -> int | None:
        try:
            return self._moments.ms(row.received_at or row.timestamp or "")[0]
        except (ValueError, OverflowError):
            return None

    def _hashed(self, who: str) -> int:
        told = blake2b(who.encode("utf-8", "replace"), digest_size=8, key=self._key).digest()
        return int.from_bytes(told, "big")


class Online:
    """Counts of the last 60 minutes and of the last five."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[int, str | None]] = {}
        self._minutes: dict[int, set[int]] = {}
        self._pages: Counter[str] = Counter()
        self._full = 0
        """Until when somebody may be missing among those of the last five minutes."""

    def add(self, seen: Iterable[Seen], now_ms: int) -> None:
        """Count them; those of another hour are left out."""
        first, last = first_minute(now_ms), now_ms + MINUTE
        self._expire(now_ms)
        for each in seen:
            minute = each.ms // MINUTE * MINUTE
            if not first <= minute <= last:
                continue
            people = self._minutes.setdefault(minute, set())
            if len(people) <= MOST_IN_MINUTE:
                people.add(each.who)
            if each.ms > now_ms - NOW_MS:
                self._be_there(each)

    def _be_there(self, each: Seen) -> None:
        before = self._last.get(each.who)
        if before is None and len(self._last) >= MOST_NOW:
            self._full = max(self._full, each.ms + NOW_MS)
            return
        ms, page = before or (0, None)
        if each.page is not None and each.ms >= ms:
            page = self._moved(page, each.page)
        self._last[each.who] = (max(ms, each.ms), page)

    def _moved(self, before: str | None, page: str) -> str:
        if page not in self._pages and len(self._pages) >= MOST_PAGES:
            page = OTHER
        self._left(before)
        self._pages[page] += 1
        return page

    def _left(self, page: str | None) -> None:
        if page is not None:
            self._pages[page] -= 1
            if not self._pages[page]:
                del self._pages[page]

    def _expire(self, now_ms: int) -> None:
        first = first_minute(now_ms)
        for minute in [minute for minute in self._minutes if minute < first]:
            del self._minutes[minute]
        for who in [w for w, (ms, _) in self._last.items() if ms <= now_ms - NOW_MS]:
            self._left(self._last.pop(who)[1])

    def snapshot(self, now_ms: int) -> People:
        """Who is online now."""
        self._expire(now_ms)
        first = first_minute(now_ms)
        minutes = [len(self._minutes.get(first + n * MINUTE, ())) for n in range(MINUTES)]
        ranked = sorted(self._pages.items(), key=lambda item: (item[0] == OTHER, -item[1], item[0]))
        fullest = max(self._pages.values(), default=1)
        pages = [Page(name, n, round(n / fullest, 4)) for name, n in ranked[:LISTED]]
        now = MOST_NOW + 1 if self._full > now_ms else len(self._last)
        return People(now, MOST_NOW, minutes, MOST_IN_MINUTE, pages)


def _who(row: Row) -> str:
    if row.interaction_type in NOBODYS:
        return ""
    user = row.user_id if row.user_id != "anonymous" else None
    return user or row.anonymous_id or row.session_id or ""


def _page(row: Row) -> str | None:
    return (row.path or row.url or "")[:200] or None if row.interaction_type in VIEWS else None


def _known_bots() -> Bots:
    """Tells which agents are programs; none without the extra `lake`, whose lists say it."""
    try:
        agents = Agents()
    except MissingExtra:
        return lambda texts: [False] * len(texts)
    return lambda texts: [agent.bot for agent in agents.known(texts)]
