"""A report of an experiment on a terminal and as JSON.

In: a `Report`. Out: text: the verdict first, then what it stands on. What is in the lake was sent
by visitors: no name of an arm steers a terminal.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

import msgspec

from lakeward.analysis.experiment import wording
from lakeward.analysis.experiment.effect import Measured
from lakeward.analysis.experiment.result import ArmEffect, MetricResult, Report
from lakeward.analysis.experiment.verdict import small
from lakeward.cli.tail import printable
from lakeward.lake.written import inert


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
    yield wording.units(report)
    yield from wording.aside(report)
    yield from wording.notes(report)
    for metric in report.metrics:
        yield ""
        yield from _metric(metric, report)
    yield ""
    yield wording.method(report)


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
