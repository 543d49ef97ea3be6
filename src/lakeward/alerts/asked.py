"""A digest that somebody asks for: shown, or told at once, and then who did not hear it.

In: a desk, the time, a day. Out: the digest, and a sentence for each channel that was not told. One
that waits already is not queued again. Fails with `Terminal` for what is no day, or has not come.
"""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from lakeward.alerts.desk import Desk
from lakeward.alerts.digest import asked_for, yesterday
from lakeward.alerts.notifier import Digest
from lakeward.errors import Terminal
from lakeward.interaction import iso


def digest_for(
    desk: Desk, now_ms: int, *, day: str | None, send: bool
) -> tuple[Digest, list[str]]:  # fmt: skip
    """The digest of a day, yesterday where none is named; and what is to be said of the sending."""
    zone = "UTC" if desk.telling.digest is None else desk.telling.digest.zone
    today = datetime.fromtimestamp(now_ms / 1000, ZoneInfo(zone)).date()
    day = _day(day, today) if day is not None else yesterday(today.isoformat())
    waits = send and any(state == "queued" for _, state, *_ in desk.table.digests(day, now_ms))
    digest = asked_for(
        desk.table, desk.queue, desk.telling, desk.totals, now_ms, day=day, send=send and not waits
    )
    if not send:
        return digest, []
    desk.step(now_ms)
    said = [
        f"{kind} was not told: {reason or 'it was not tried yet'}"
        + (f"; it is tried again at {iso(due_at)}" if state == "queued" else "")
        for kind, state, due_at, reason in desk.table.digests(day, now_ms)
    ]
    if waits:
        said.insert(0, "a digest of that day waits already: no other one was queued")
    return digest, said


def _day(text: str, today: date) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Terminal(f"{text[:40]!r} is no day: write one such as 2026-08-14") from None
    if day > today:
        raise Terminal(f"{day} has not come yet: write a day that has, such as {today}")
    return day.isoformat()
