"""What is told, and what tells it.

A notifier says by what it raises whether somebody heard: `Throttled` or `Transient` — not yet, try
later; `Terminal` — not before somebody mends something, try later still; `Rejected` — never, this
one is refused. Nothing that it raises holds an address or a secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, Protocol

import msgspec

What = Literal["opened", "reopened", "worse", "flapping", "still", "resolved", "test"]
SHOWN_SERIES: Final = 10


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What has become of one incident; times are in ms since 1970."""

    incident_id: str
    what: What
    state: str
    kind: str
    severity: str
    series: tuple[str, ...]
    """The first ones; `members` is how many there are."""
    members: int
    began_at: int
    at: int
    rule: str = ""
    direction: str | None = None
    value: float | None = None
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    score: float | None = None
    unit: str = ""
    why: str = ""


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of a day, and what is usual on such a day; None where nothing is known."""

    name: str
    value: float | None
    usual: float | None = None
    unit: str = ""


class Digest(msgspec.Struct, frozen=True, kw_only=True):
    """One day: its incidents and totals."""

    day: str
    zone: str
    opened: int
    resolved: int
    open: tuple[Event, ...]
    """Those that are open now, the first of many."""
    open_count: int
    totals: tuple[Total, ...] = ()


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one channel: an incident, several that were held back, a digest, or a test."""

    notice_id: str
    """Equal for every attempt."""
    kind: Literal["incident", "digest", "test"]
    at: int
    events: tuple[Event, ...] = ()
    digest: Digest | None = None
    held: bool = False
    """Whether it was held back by quiet hours."""


class Notifier(Protocol):
    """Tells one channel."""

    def tell(self, notice: Notice) -> None:
        """Hand it over, once, within a minute."""

    def close(self) -> None:
        """Let go of whatever is held."""


def notice_of(contents: Sequence[dict[str, Any]], notice_id: str, kind: Any, at: int) -> Notice:
    """What stood in the queue, as one message."""
    if kind == "digest":
        digest = msgspec.convert(contents[0], Digest)
        return Notice(notice_id=notice_id, kind="digest", at=at, digest=digest)
    events = tuple(msgspec.convert(content, Event) for content in contents)
    return Notice(notice_id=notice_id, kind=kind, at=at, events=events)
