"""A report of an experiment in sentences, for a terminal and a page alike.

In: a `Report`. Out: sentences. Names in them are as visitors sent them: whoever shows them sees to
it that they steer nothing. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lakeward.analysis.experiment.ratio import ALPHA
from lakeward.analysis.experiment.result import Report
from lakeward.analysis.experiment.verdict import small

REASONS: Final[Mapping[str, str]] = {
    "several_arms": "met several arms",
    "forced": "were put into an arm by hand",
    "earlier_version": "met an earlier version",
    "unknown": "exposures name no unit",
    "not_in_the_plan": "met an arm that the split does not name",
    "repeated_rows": "rows came again",
    "differing_rows": "users have rows that differ",
}


def units(report: Report) -> str:
    """How many came, arm by arm, against the plan."""
    planned = "" if report.split.p is None else f"; shares as planned: p {small(report.split.p)}"
    arms = ", ".join(f"{arm.arm} {arm.units:,} ({arm.planned:.1%} planned)" for arm in report.arms)
    return f"Units: {arms}{planned}."


def ratio(report: Report) -> str:
    """Whether the arms have their shares, and what follows of it."""
    split = report.split
    if split.p is None:
        return "Too few units came to say whether the arms have their planned shares."
    if split.broken:
        return (
            f"The arms do not have their planned shares (p {small(split.p)}, below {ALPHA}): trust "
            "no figure until you know what assigns, exposes or loses units unevenly."
        )
    return (
        f"The arms have their planned shares as far as so many units tell (p {small(split.p)}; "
        f"below {ALPHA} something would be broken)."
    )


def aside(report: Report) -> list[str]:
    """Who counts in no arm, and why."""
    return [
        f"Set aside: {each.units:,} {REASONS.get(each.reason, each.reason)}"
        f"{f' ({each.arm})' if each.arm else ''}."
        for each in report.set_aside
    ]


def notes(report: Report) -> list[str]:
    """What else is to be known."""
    still = [f"{report.open_units:,} units still have time to act."] if report.open_units else []
    return [*still, *(f"Note: {note.rstrip('.')}." for note in report.notes)]


def method(report: Report) -> str:
    """What the intervals are."""
    how = "valid whenever you look" if report.method == "sequential" else "valid once, at the end"
    return f"Intervals of {100 * report.level:.4g} %, {how}; p adjusted by {report.correction}."
