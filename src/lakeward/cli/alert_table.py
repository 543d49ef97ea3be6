"""Incidents as a table for people: `lakeward alerts list`.

In: what `alerts.listing.overview` says. Out: lines of text. Nothing fails.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from lakeward.cli.tail import printable


def table(shown: dict[str, Any], nothing: str) -> str:
    """What is wrong, or `nothing`; what is snoozed; what nobody heard."""
    rows = [("ID", "STATE", "SEVERITY", "SINCE", "SERIES", "WHY")]
    for one in shown["incidents"]:
        more = f" +{one['members'] - 1}" if one["members"] > 1 else ""
        state = "flapping" if one["flapping"] else one["state"]
        series = (one["series"] or [""])[0]
        rows.append((one["incident_id"][-12:], state, one["severity"], one["opened_at"],
                     f"{_cut(series, 48)}{more}", _cut(str(one["why"] or ""), 80)))  # fmt: skip
    lines = aligned(rows) if len(rows) > 1 else [nothing]
    lines += [f"{printable(one['series'])} is snoozed until {one['until']}"
              for one in shown["snoozes"]]  # fmt: skip
    lines += [printable(_missed(one)) for one in shown["not_told"]]
    return "\n".join(lines)


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns as wide as they must be."""
    shown = [tuple(map(printable, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in shown
    ]


def _cut(text: str, most: int) -> str:
    """For a screen; whoever reads it from a pipe gets all of it."""
    return text if len(text) <= most or not sys.stdout.isatty() else f"{text[: most - 1]}…"


def _missed(one: dict[str, Any]) -> str:
    """Who has not heard of what, and what becomes of it."""
    which = one["incident_id"]
    what = f"{which[-12:]} ({one['what']})" if which else f"a {one['what']}"
    times = f"tried {one['attempts']} time{'s' if one['attempts'] != 1 else ''}"
    after = f"again at {one['due_at']}" if one["state"] == "queued" else "given up"
    return f"{one['by']} has not heard of {what}, {times}, {after}: {one['reason']}"
