"""What `lakeward demo` does: a platform, visitors, and whether the lake holds what happened.

In: settings and a plan's numbers. Out: a summary on stdout, and an exit code: 0 when nothing was
lost and the lake equals the truth, else 1 with a sentence on stderr. With `once` it ends then;
without, platform and dashboard stay up until Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import FrameType
from typing import Final

import msgspec

from lakeward.audit import Report, audit
from lakeward.demo.browser import chromium
from lakeward.demo.evidence import can_ask, counted, rows_since
from lakeward.demo.figures import Figures
from lakeward.demo.plan import plan
from lakeward.demo.prelude import Prelude, carrier_for, prelude
from lakeward.demo.progress import Progress
from lakeward.demo.stage import PRICES, Stage, declared
from lakeward.demo.summary import Run, render
from lakeward.demo.traffic import Traffic
from lakeward.demo.truth import Truth, compare, expected, position, write
from lakeward.errors import LakewardError, Terminal
from lakeward.flows import read as read_flows
from lakeward.interaction import iso
from lakeward.lakedir import LakeDir, open_lake
from lakeward.log import read_published
from lakeward.ringdir import known_folders
from lakeward.settings import Settings

SETTLE_SECONDS: Final = 60.0
TERMINATED: Final = 128 + signal.SIGTERM
QUIET_MOST: Final = 60.0
FULL: Final = 1 << 20
"""Bytes below which a disk is full: SQLite and the log want more at a time."""
OWN: Final = ("contractor", "partner_onboarding")
LOST: Final = ("dropped", "vanished")
DAYS: Final = 28
"""Four weeks, so that what is usual of a weekday is known, and who comes back."""


class Asked(msgspec.Struct, frozen=True):
    """What the command line says."""

    visitors: int
    seconds: float
    seed: int
    port: int = 0
    once: bool = False
    format: str = "text"
    days: int | None = None
    """Of history; None: `DAYS` where the lake holds nothing yet."""


def show(settings: Settings, asked: Asked) -> int:
    """Run the demo; its exit code."""
    with _terminable():
        try:
            return _show(settings, asked)
        except Terminated:
            return TERMINATED


def _show(settings: Settings, asked: Asked) -> int:
    lake = open_lake(settings.lake_dir)
    days = _days(lake) if asked.days is None else asked.days
    settings = declared(settings, days)
    quiet = quiet_seconds(settings)
    with ExitStack() as held:
        if carrier := carrier_for(settings, days):
            held.enter_context(carrier)
        stage = held.enter_context(Stage(settings, asked.port, carrier))
        browser, why = chromium()
        _say(f"platform   {stage.platform}\ndashboard  {stage.live}")
        _say(f"staff      header `staff: {stage.staff}` opens {stage.platform}staff")
        if why:
            _say(f"no visitor comes in a browser: {why}")
        before = prelude(lake, settings, asked.seed, days, stage, carrier, _say)
        planned = plan(asked.seed, asked.visitors, asked.seconds, before.scores)
        figures = partial(
            expected, planned, watched=bool(quiet), bundled=not settings.coach_url,
            priced=settings.ai_prices == PRICES,
        )  # fmt: skip
        truth = _begun(
            lake, asked, before, msgspec.structs.replace(figures(), history=before.history)
        )
        lost = _lost(_audited(lake, settings))
        traffic = Traffic(planned, stage.port, stage.staff, chromium=browser)
        started = time.monotonic()
        try:
            traffic.run(Progress(sys.stderr))
        except LakewardError as error:
            print(f"lakeward: the demo stopped: {error}{_why(settings)}", file=sys.stderr)
            return 1
        seconds = time.monotonic() - started
        truth = msgspec.structs.replace(
            truth, outage=traffic.outage, ended=iso(time.time_ns() // 1_000_000),
            figures=msgspec.structs.replace(figures(traffic.arms), history=before.history),
        )  # fmt: skip
        path = write(truth, lake)
        if asked.once:
            _sent(lake, truth)
            stage.end("platform")
        if quiet:
            _say(f"waiting for the flows that were given up to go quiet ({quiet:.0f} s)")
        patience = SETTLE_SECONDS + 1.5 * quiet
        report, told = _settled(lake, settings, truth, patience, ended=asked.once)
        told = [*before.differences, *told]
        run = _told(lake, settings, truth, report, told, _lost(report) - lost)
        run = msgspec.structs.replace(
            run, seconds=round(seconds, 1), platform=stage.platform, live=stage.live,
            browser=bool(browser), truth=str(path), at_once=asked.once,
        )  # fmt: skip
        _print(run, asked.format)
        if not asked.once:
            _stay(stage)
    return 0 if run.ok else 1


def _days(lake: LakeDir) -> int:
    """A lake that holds something has a past of its own."""
    return 0 if read_published(lake.private / "published") else DAYS


def _why(settings: Settings) -> str:
    """What a person sees too late: the platform keeps its own database beside the lake."""
    free = shutil.disk_usage(settings.lake_dir).free
    return "" if free >= FULL else f"; the disk of {settings.lake_dir} is full"


def _begun(lake: LakeDir, asked: Asked, before: Prelude, figures: Figures) -> Truth:
    truth = Truth(
        seed=asked.seed, visitors=asked.visitors, seconds=asked.seconds,
        began=iso(time.time_ns() // 1_000_000), after=position(lake), figures=figures,
        confidence=before.confidence, scores=before.scores,
    )  # fmt: skip
    write(truth, lake)
    return truth


def quiet_seconds(settings: Settings) -> float:
    """After how long a flow of the demo counts as abandoned; 0 when that is not told in time."""
    flows = read_flows(settings).flows
    quiet = max((flow.quiet_seconds for flow in flows if flow.name in OWN), default=0.0)
    return quiet if can_ask() and settings.track_outcomes and quiet <= QUIET_MOST else 0.0


def _audited(lake: LakeDir, settings: Settings) -> Report:
    return audit(lake, known_folders(lake, settings.ring_dir))


def _lost(report: Report) -> int:
    return sum(report.sum[name] for name in LOST)


def _sent(lake: LakeDir, truth: Truth) -> None:
    """Wait for the messages: what a platform has not sent at its end, its next start sends."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while counted(rows_since(lake, truth.after)).messages != truth.figures.messages:
        if time.monotonic() > deadline:
            return  # the comparison says what is missing
        time.sleep(0.2)


def _settled(
    lake: LakeDir, settings: Settings, truth: Truth, seconds: float, *, ended: bool
) -> tuple[Report, list[str]]:
    """The audit and the differences, once everything that was said is durable."""
    deadline = time.monotonic() + seconds
    while True:
        report = _audited(lake, settings)
        waiting = report.sum["waiting"] + report.sum["in_flight"]
        folded = not ended or all(ring.alive for ring in report.rings)
        told = compare(lake, truth) if folded and not waiting else ["records are on their way"]
        if not told or time.monotonic() > deadline:
            if not told and can_ask():
                told = compare(lake, truth, settings)
            return report, told
        time.sleep(0.2)


def _told(
    lake: LakeDir, settings: Settings, truth: Truth, report: Report, told: list[str], lost: int
) -> Run:
    rows = rows_since(lake, truth.after)
    kinds = Counter(row["interaction_type"] for row in rows)
    return Run(
        ok=report.ok and not told and not lost, seed=truth.seed, visitors=truth.visitors,
        interactions=len(rows), by_type=dict(kinds.most_common()), figures=truth.figures,
        outage=truth.outage, scores=truth.scores, sum=report.sum, lost=lost, asked_table=can_ask(),
        differences=[*told, *report.faults], lake=os.path.relpath(settings.lake_dir),
    )  # fmt: skip


def _print(run: Run, format_: str) -> None:
    if format_ == "json":
        print(msgspec.json.encode(run).decode(), flush=True)
    else:
        print(render(run, _command()), flush=True)
    for sentence in run.differences:
        print(f"lakeward: the lake is not the truth: {sentence}", file=sys.stderr)
    if run.lost:
        print(f"lakeward: {run.lost} records were lost: see `lakeward doctor`", file=sys.stderr)


def _command() -> str:
    """How this command was called."""
    path = os.path.relpath(sys.argv[0])
    return path if os.path.basename(path) == "lakeward" else "lakeward"


def _stay(stage: Stage) -> None:
    _say(f"{stage.platform} and {stage.live} stay up; Ctrl-C ends them")
    try:
        while stage.alive("platform") and stage.alive("serve"):
            threading.Event().wait(0.5)
    except (KeyboardInterrupt, Terminated):
        return
    raise Terminal("the demo's platform or server ended by itself: start it again")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Terminated(BaseException):
    """SIGTERM came."""


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM unwinds everything, as Ctrl-C does."""

    def unwind(number: int, frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
