"""One record at a glance: the row that a list shows, cut to what fits.

In: an entry of the log. Out: a `Glance` of bounded size, whatever the record holds. Never fails.
"""

from __future__ import annotations

from typing import Any

import msgspec

from lakeward.server.tail import UNREADABLE, Entry, write_position

SHORT, LONG = 80, 240
PREVIEWED = ("outcomes", "feedback", "analysis", "ai_metadata", "properties", "metadata")


class Glance(msgspec.Struct, frozen=True, omit_defaults=True):
    """A row of the list. `at` is where the record stands in the log."""

    at: str
    type: str
    what: str
    id: str | None = None
    time: str | None = None
    method: str | None = None
    route: str | None = None
    status: int | None = None
    ms: float | None = None
    user: str | None = None
    session: str | None = None
    trace: str | None = None
    error: str | None = None
    service: str | None = None


def glance(entry: Entry) -> Glance:
    """The row of an entry."""
    at, row = write_position(entry.at), entry.row
    if row.interaction_type == UNREADABLE:
        return Glance(at, UNREADABLE, cut(entry.line[:1000].decode("utf-8", "replace"), LONG))
    found = msgspec.json.decode(entry.line)
    user = row.user_id if row.user_id not in (None, "anonymous") else row.anonymous_id
    return Glance(
        at=at,
        type=cut(row.interaction_type or "(no type)", SHORT),
        what=cut(_what(found), LONG),
        id=short(row.interaction_id),
        time=short(row.timestamp),
        method=short(row.method),
        route=short(row.route, LONG),
        status=row.response_status,
        ms=row.response_time_ms,
        user=short(user),
        session=short(row.session_id),
        trace=short(row.trace_id),
        error=short(row.error_type),
        service=short(found.get("service")),
    )


def cut(text: str, most: int) -> str:
    """`text`, or its beginning with an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"


def short(value: Any, most: int = SHORT) -> str | None:
    """A text cut to size; anything else is None."""
    return cut(value, most) if isinstance(value, str) else None


def _what(found: dict[str, Any]) -> str:
    """What it was about: the path, the address, or the first plain values of its own fields."""
    for name in ("path", "url"):
        if isinstance(value := found.get(name), str) and value:
            return value
    parts: list[str] = []
    if isinstance(partner := found.get("partner_id"), str):
        parts.append(f"partner {cut(partner, SHORT)}")
    for slot in PREVIEWED:
        fields = found.get(slot)
        if isinstance(fields, dict):
            parts += [
                f"{cut(name, SHORT)} {cut(str(value), SHORT)}"
                for name, value in list(fields.items())[:6]
                if isinstance(value, (str, int, float)) and not isinstance(value, bool)
            ]
    return " · ".join(parts[:4])
