"""A report of an experiment on a terminal and as JSON.

In: a `Report`. Out: text: the verdict first, then what it stands on. What is in the lake was sent
by visitors: no name of an arm steers a terminal.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

import msgspec

from lakeward.analysis.experiment.effect import Measured
from lakeward.analysis.experiment.result import ArmEffect, MetricResult, Report
from lakeward.analysis.experiment.verdict import small
from lakeward.cli.tail import printable
from lakeward.lake.written import inert

REASONS = {
    "several_arms": "met several arms",
    "forced": "were put into an arm by hand",
    "earlier_version": "met an earlier version",
    "unknown": "exposures name no unit",
    "not_in_the_plan": "met an arm that the split does not name",
    "repeated_rows": "rows came again",
    "differing_rows": "users have rows that differ",
}


def write(report: Report, format_: str, out: TextIO) -> None:
    """Print it."""
    if format_ == "json":
        out.write(inert(msgspec.json.format(msgspec.json.encode(report), indent=2).decode()))
        out.write("\n")
        return
    for line in lines(report):
        out.write(printable(line) + "\n")


def lines(report: Report) -> Iterator[str]:
    """The report in words."""
    yield report.verdict.sentence
    yield ""
    planned = "" if report.split.p is None else f"; shares as planned: p {small(report.split.p)}"
    arms = ", ".join(f"{arm.arm} {arm.units:,} ({arm.planned:.1%} planned)" for arm in report.arms)
    yield f"Units: {arms}{planned}."
    for aside in report.set_aside:
        whom = f" ({aside.arm})" if aside.arm else ""
        yield f"Set aside: {aside.units:,} {REASONS.get(aside.reason, aside.reason)}{whom}."
    if report.open_units:
        yield f"{report.open_units:,} units still have time to act."
    for note in report.notes:
        yield f"Note: {note.rstrip('.')}."
    for metric in report.metrics:
        yield ""
        yield from _metric(metric, report)
    yield ""
    how = "valid whenever you look" if report.method == "sequential" else "valid once, at the end"
    yield f"Intervals of {100 * report.level:.4g} %, {how}; p adjusted by {report.correction}."


def _metric(metric: MetricResult, report: Report) -> Iterator[str]:
    guard = "guardrail, " if metric.role == "guardrail" else ""
    yield f"{metric.metric} ({guard}{metric.kind}, {metric.better} is better)"
    for arm in metric.arms:
        yield f"  {arm.arm}: {_figure(arm.value)}"
    if metric.adjusted is not None:
        kept = metric.adjusted.variance_kept
        yield f"  adjusted for what was before: {kept:.1%} of the variance is left"
    for effect in metric.effects:
        yield f"  {effect.arm} against {report.control}: {effect.state}"
        yield from _effect(effect)


def _effect(effect: ArmEffect) -> Iterator[str]:
    for name, found, shape in (
        ("difference", effect.difference, "{:+.5g}"), ("lift", effect.lift, "{:+.2%}"),
    ):  # fmt: skip
        if found is not None:
            yield f"    {name} {_measured(found, shape)}"
    if effect.p_adjusted is not None:
        yield f"    adjusted p {small(effect.p_adjusted)}"
    if effect.belief is not None:
        shape = "{:.2%}" if effect.belief_of == "lift" else "{:.4g}"
        loss = shape.format(effect.belief.loss_if_shipped)
        yield (
            f"    chance to win {effect.belief.chance_to_win:.1%}; "
            f"expected loss if shipped {loss} ({effect.belief_of})"
        )
    if effect.detectable is not None:
        yield f"    detectable so far {effect.detectable:.4g}"


def _measured(found: Measured, shape: str) -> str:
    text = shape.format(found.value)
    if found.low is not None and found.high is not None:
        text += f" ({shape.format(found.low)} to {shape.format(found.high)})"
    return text if found.p is None else f"{text}, p {small(found.p)}"


def _figure(value: float | None) -> str:
    return "no value" if value is None else f"{value:.5g}"
