"""What a notice says to people, in plain text.

In: a notice. Out: a heading of one line, and paragraphs. Numbers are shortened, never invented;
nothing in them is of a person, because nothing in a signal is.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from lakeward.alerts.notifier import SHOWN_SERIES, Digest, Event, Notice, Total

LONGEST_HEADING: Final = 150
DONE: Final = {
    "opened": "",
    "reopened": "again: ",
    "worse": "got worse: ",
    "flapping": "comes and goes: ",
    "still": "still open: ",
    "resolved": "resolved: ",
    "test": "test: ",
}
SIGNS: Final = {"critical": "CRITICAL", "warning": "Warning", "info": "Note"}


def heading(notice: Notice) -> str:
    """One line."""
    if notice.digest is not None:
        text = f"The day {notice.digest.day}: {_counted(notice.digest)}"
    elif len(notice.events) == 1:
        text = headline(notice.events[0])
    else:
        still = sum(event.what != "resolved" for event in notice.events)
        text = f"{len(notice.events)} alerts were held back in quiet hours, {still} of them open"
    return _one_line(text, LONGEST_HEADING)


def headline(event: Event) -> str:
    """One line about one incident."""
    more = f" and {event.members - 1} more" if event.members > 1 else ""
    name = event.rule or (event.series[0] if event.series else event.kind)
    if event.rule and event.members == 1 and event.series:
        name = f"{event.rule} ({event.series[0]})"
    sign = "" if event.what == "resolved" else f"{SIGNS.get(event.severity, 'Warning')}, "
    return _one_line(f"{sign}{DONE[event.what]}{name}{more}", LONGEST_HEADING)


def paragraphs(notice: Notice) -> list[str]:
    """What follows the heading."""
    if notice.digest is not None:
        return digest_paragraphs(notice.digest)
    if len(notice.events) == 1:
        return details(notice.events[0])
    return [f"{headline(event)}\n{event.why}".rstrip() for event in notice.events]


def details(event: Event) -> list[str]:
    """One incident."""
    found = [event.why] if event.why else []
    if event.members > 1:
        names = "\n".join(f"- {name}" for name in event.series[:SHOWN_SERIES])
        rest = event.members - min(len(event.series), SHOWN_SERIES)
        found.append(f"{event.members} series:\n{names}" + (f"\nand {rest} more" if rest else ""))
    if event.value is not None:
        usual = ""
        if event.low is not None and event.high is not None:
            usual = f", usual are {short(event.low)} to {short(event.high)}"
        elif event.expected is not None:
            usual = f", expected {short(event.expected)}"
        unit = f" {event.unit}" if event.unit else ""
        found.append(f"{short(event.value)}{unit}{usual}")
    found.append(f"since {moment(event.began_at)}, incident {event.incident_id}")
    return found


def digest_paragraphs(digest: Digest) -> list[str]:
    """A day."""
    found = [f"Alerts: {_counted(digest)}."]
    if digest.open:
        lines = [f"- {headline(event)} (since {moment(event.began_at)})" for event in digest.open]
        rest = digest.open_count - len(digest.open)
        found.append("Open now:\n" + "\n".join(lines) + (f"\nand {rest} more" if rest > 0 else ""))
    if digest.totals:
        found.append(f"{digest.day} ({digest.zone}):\n" + "\n".join(map(total, digest.totals)))
    return found


def total(one: Total) -> str:
    """One figure, beside the usual one."""
    unit = f" {one.unit}" if one.unit else ""
    if one.value is None:
        return f"- {one.name}: unknown"
    text = f"- {one.name}: {short(one.value)}{unit}"
    if one.usual is None:
        return text
    if one.usual == 0:
        return f"{text} (usually 0)"
    change = (one.value - one.usual) / one.usual * 100
    return f"{text} (usually {short(one.usual)}, {change:+.0f} %)"


def short(value: float) -> str:
    """A number with as many digits as a person looks at."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3g}"


def moment(at_ms: int) -> str:
    """A time, in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _counted(digest: Digest) -> str:
    return f"{digest.opened} opened, {digest.resolved} resolved, {digest.open_count} open"


def _one_line(text: str, most: int) -> str:
    flat = "".join(sign if sign.isprintable() else " " for sign in text)
    return flat if len(flat) <= most else flat[: most - 1] + "…"
