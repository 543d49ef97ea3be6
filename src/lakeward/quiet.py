"""Abandonment: a run of a flow that went quiet is told as a `flow_completion`, exactly once.

In: a lake, what `flows.toml` declares, and the time. Out: a record for each run whose last step is
longer ago than its flow's quiet time, and the moment at which it is worth looking again. It reads
the table and all of the log behind it, so nothing is decided amid a backlog. What was told stands
in the lake and ends its run; what was refused (sampled out, quarantined) ends nothing there, so
its mark goes out and comes in again at the next look. The record's id is a function of the run's
last step, so that a repeat after a kill meets itself in the table. Fails as a reading does, and
with `NotDurable` when the keeper does not make the records durable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from lakeward.barrier import delivering
from lakeward.collector import Collector
from lakeward.flows import Flow, Flows
from lakeward.interaction import LATEST_MS, foreign_id, iso
from lakeward.lake.reading import Reading
from lakeward.lake.runs import CHOSEN, NEXT_QUIET, OPEN_RUNS, QUIET_RUNS, REFUSED
from lakeward.lakedir import LakeDir
from lakeward.settings import Settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SOURCE: Final = "lakeward.quiet"
"""What the ids of derived records are made with, beside the last step's id."""
GRACE_MS: Final = 2_000
"""What was told a moment ago may not be in the log yet."""
MOST: Final = 20_000
"""Runs told in one look; the rest is told in the next, at once."""
BATCH: Final = 500
"""Records between two commits: a ring holds them all."""
MOST_STEPS: Final = 100
MOST_REFUSED: Final = 100_000
"""Marks that are kept; behind that many, the oldest runs are offered once more."""
PASSING: Final = ("full", "contended", "no_ring", "closed")
"""Reasons of a refusal that the next look may not meet."""
MEMORY: Final = 256 << 20
COMMIT_SECONDS: Final = 30.0


class OpenRun(msgspec.Struct, frozen=True):
    """A run without an end, in the order of the columns of `QUIET_RUNS`."""

    service: str | None
    flow: str
    last_ms: int
    quiet: float
    first_ms: int
    last_id: str
    user_id: str | None
    user_type: str | None
    anonymous_id: str | None
    session_id: str | None
    partner_id: str | None
    environment: str | None
    app_version: str | None
    device: str | None
    browser: str | None
    referrer: str | None
    steps_total: int | None
    done: list[str]
    begun: list[str]
    mark: int

    @property
    def quiet_ms(self) -> int:
        """The moment at which it counts as abandoned."""
        return min(self.last_ms + round(self.quiet * 1000), LATEST_MS)


class Look(msgspec.Struct, frozen=True):
    """What one look did, and when the next run may be quiet; None when none is open."""

    told: int
    not_kept: int
    next_ms: int | None
    refused: list[int]
    """Marks of runs that are still open and were decided, in this look or before."""


def look(
    lake: LakeDir, settings: Settings, flows: Flows, collector: Collector, *, now_ms: int,
    refused: Sequence[int] = (), spill: Path | None = None,
    pause: Callable[[str], None] = lambda _: None,
) -> Look:  # fmt: skip
    """Tell of every run that is quiet at `now_ms` and was not refused before; they are durable
    when it returns.

    No erase can end meanwhile: what is told of a person who is being erased is swept with the rest.
    """
    not_kept: list[OpenRun] = []
    with delivering(lake):
        with Reading(lake, settings, memory=MEMORY, threads=1, spill=spill) as reading:
            still, quiet, next_ms = open_runs(reading.con, settings, flows, now_ms, refused)
        pause("before record")
        passing = _passing(collector)
        for first in range(0, len(quiet), BATCH):
            for run in quiet[first : first + BATCH]:
                if collector.record("flow_completion", **fields_of(run, flows)) is None:
                    not_kept.append(run)
                    if passing == (passing := _passing(collector)):
                        still.append(run.mark)
            pause("before commit")
            collector.commit(COMMIT_SECONDS)
    again = len(quiet) == MOST or passing > 0
    told = len(quiet) - len(not_kept)
    return Look(told, len(not_kept), now_ms if again else next_ms, still[-MOST_REFUSED:])


def _passing(collector: Collector) -> int:
    reasons = collector.stats()["reasons"]
    return sum(reasons.get(name, 0) for name in PASSING)


def open_runs(
    con: DuckDBPyConnection, settings: Settings, flows: Flows, now_ms: int,
    refused: Sequence[int] = (),
) -> tuple[list[int], list[OpenRun], int | None]:  # fmt: skip
    """Which of the refused are open still, the runs of the others that are quiet, the longest
    first, and when the first of the rest may be."""
    con.execute("CREATE OR REPLACE TEMP TABLE quiet_times (flow VARCHAR, seconds DOUBLE)")
    if flows.flows:
        times = [[flow.name, flow.quiet_seconds] for flow in flows.flows]
        con.executemany("INSERT INTO quiet_times VALUES (?, ?)", times)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE open_runs AS {OPEN_RUNS}",
        {"quiet": settings.flow_quiet_seconds},
    )
    found = {row[0] for row in con.execute(REFUSED, {"refused": list(refused)}).fetchall()}
    still = [mark for mark in refused if mark in found]
    at = {"now": now_ms, "grace": GRACE_MS}
    con.execute(f"CREATE OR REPLACE TEMP TABLE chosen AS {CHOSEN}", at | {"most": MOST})
    later = con.execute(NEXT_QUIET, at).fetchone()
    rows = con.execute(QUIET_RUNS).fetchall()
    return still, [OpenRun(*row) for row in rows], later[0] if later else None


def fields_of(run: OpenRun, flows: Flows) -> dict[str, object]:
    """The derived record."""
    done = _different(run.done)
    declared = flows.named(run.flow)
    total = run.steps_total if declared is None else len(declared.steps)
    moment = run.quiet_ms
    fields: dict[str, object | None] = {
        "interaction_id": foreign_id(SOURCE, run.last_id, moment),
        "timestamp": iso(moment),
        "parent_interaction_id": run.last_id,
        "flow": run.flow,
        "status": "abandoned",
        "derived": True,
        "seconds": (run.last_ms - run.first_ms) / 1000,
        "steps": done[:MOST_STEPS],
        "abandoned_steps": _left(run, done, declared)[:MOST_STEPS],
        "steps_completed": len(done),
        "steps_total": total,
    }
    same = ("service", "user_id", "user_type", "anonymous_id", "session_id", "partner_id",
            "environment", "app_version", "device", "browser", "referrer")  # fmt: skip
    fields |= {name: getattr(run, name) for name in same}
    return {name: value for name, value in fields.items() if value is not None}


def _left(run: OpenRun, done: list[str], declared: Flow | None) -> list[str]:
    """Steps that were begun and not done; where there is none, the next that is declared."""
    if begun := [step for step in _different(run.begun) if step not in done]:
        return begun
    if declared is None:
        return []
    reached = [declared.steps.index(step) for step in done if step in declared.steps]
    following = max(reached, default=-1) + 1
    return list(declared.steps[following : following + 1])


def _different(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
