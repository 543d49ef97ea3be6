"""The summary of a demo, for people and for programs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from lakeward.demo.figures import Figures, Flow
from lakeward.demo.partners import PARTNERS
from lakeward.demo.truth import OutageTold


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A demo that ran: one JSON document of `lakeward demo --format json`."""

    ok: bool
    """Nothing was lost, and the lake equals the truth."""
    seed: int
    visitors: int
    seconds: float = 0.0
    interactions: int
    by_type: dict[str, int]
    figures: Figures
    """Of the truth; the lake's are the same where there are no differences."""
    outage: OutageTold | None
    scores: dict[str, float] = {}
    """PowerConfidence by which visitors were matched."""
    sum: dict[str, int]
    """The ledger of the whole lake."""
    lost: int
    differences: list[str]
    asked_table: bool
    """SQL over the table was compared, too."""
    lake: str
    platform: str = ""
    live: str = ""
    browser: bool = False
    truth: str = ""
    at_once: bool = False


def render(run: Run, command: str) -> str:
    """The summary, the most important first."""
    return "\n".join(_lines(run, command))


def _lines(run: Run, command: str) -> Iterator[str]:
    figures = run.figures
    yield ""
    yield (f"{run.interactions:,} interactions of {run.visitors:,} visitors in {run.seconds:.0f} s "
           f"landed in {run.lake}")  # fmt: skip
    for name, flow in figures.flows.items():
        yield from _flow(name, flow)
    yield ""
    yield f"  matches      {len(figures.matches):,} contractors, three partners each"
    if run.scores:
        named = {PARTNERS[which].name: f"{points:.0f}" for which, points in run.scores.items()
                 if which in PARTNERS}  # fmt: skip
        yield f"  confidence   {', '.join(' '.join(one) for one in named.items())}"
    yield f"  bookings     {_counts(figures.bookings)}"
    yield f"  deals        {_deals(figures)}"
    yield (f"  feedback     {figures.feedback.count:,}, overall {figures.feedback.overall:.1f}, "
           f"NPS answers {figures.feedback.nps:.1f} on average")  # fmt: skip
    coach = figures.coach
    cost = "" if coach.cost_usd is None else f", {coach.cost_usd:.4f} USD"
    yield (f"  coach        {coach.conversations:,} conversations, {coach.turns:,} turns{cost}, "
           f"{coach.helpful:,} of {coach.helpful + coach.unhelpful:,} rated helpful")  # fmt: skip
    yield f"  content      {_counts(figures.content)}"
    yield f"  messages     {_counts(figures.messages)}"
    for name, arms in figures.experiments.items():
        told = ", ".join(f"{arm.conversions:,} of {arm.users:,} {variant}"
                         for variant, arm in sorted(arms.items()))  # fmt: skip
        yield f"  experiment   {name}: {told} booked"
    if run.outage is not None:
        yield (f"  outage       {run.outage.minutes * 60:.1f} s, "
               f"{run.outage.failed_requests:,} failed requests")  # fmt: skip
    yield ""
    yield f"  ledger       {_counts({name: n for name, n in run.sum.items() if n})}"
    yield f"  lost         {run.lost:,}"
    table = " and the table" if run.asked_table else ""
    yield (f"  truth        the log{table} equal{'s' * (not table)} {run.truth}" if run.ok
           else f"  truth        the lake does NOT equal {run.truth}")  # fmt: skip
    yield ""
    yield "look further:"
    for words in (
        'query "SELECT status, count(*) FROM bookings GROUP BY ALL"',
        "experiment match-page --metric demo_booking", "confidence list", "tail -n 5", "doctor",
    ):  # fmt: skip
        yield f"  {command} {words}"
    for setting, name, words in (
        ("LAKEWARD_FLOWS", "flows.toml", "coverage"),
        ("LAKEWARD_AI_PRICES", "prices.toml", "ai cost"),
    ):
        path = os.path.relpath(Path(__file__).with_name(name))
        yield f"  {setting}={path} {command} {words}"


def _flow(name: str, flow: Flow) -> Iterator[str]:
    first = max((step.entered for step in flow.steps.values()), default=0)
    gave_up = "" if flow.abandoned is None else f", {flow.abandoned:,} gave up"
    yield f"\n  {name}: {flow.completed:,} of {first:,} came to the end{gave_up}"
    for step, people in flow.steps.items():
        came = people.entered or people.completed
        bar = "█" * round(24 * came / first) if first else ""
        yield f"    {step:<18}{came:>6,}  {bar}"


def _counts(found: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in found.items()) or "none"


def _deals(figures: Figures) -> str:
    return (
        ", ".join(
            f"{deals.count:,} worth {deals.value:,.0f} {currency}"
            for currency, deals in sorted(figures.deals.items())
        )
        or "none"
    )
