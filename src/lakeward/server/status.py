"""Status: how the lake and this server are, for machines.

In: the lake's files and the workers' gauges. Out: health as a dict, metrics as Prometheus text, a
day's summary. Reading files happens in a thread and at most once a second, whoever asks how often.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from lakeward.audit import Report, tally
from lakeward.collector import Collector
from lakeward.lakedir import LakeDir
from lakeward.server.answer import Refusal
from lakeward.server.gauges import (
    ACCEPTED,
    BOUNDS_MS,
    BUCKETS,
    COMMIT_NS,
    COMMITS,
    CUT,
    CUTS,
    REJECTED,
    Gauges,
)

FRESH_SECONDS = 1.0
STALE_MS = 5_000
CLASS_NAMES = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")

Summarize = Callable[[LakeDir, str, str | None], Any]
"""A day's summary, of one partner if named; ValueError with a sentence for a date that is none."""


class Status:
    """What one worker can tell of lake and server."""

    def __init__(
        self,
        lake: LakeDir,
        ring_folders: tuple[Path, ...],
        collector: Collector,
        gauges: Gauges,
        summarize: Summarize,
    ) -> None:
        self._lake = lake
        self._ring_folders = ring_folders
        self._collector = collector
        self._gauges = gauges
        self._summarize = summarize
        self._looked = 0.0
        self._report: Report | None = None
        self._looking = asyncio.Lock()

    def health(self) -> dict[str, Any]:
        """`ok` when what is accepted now will be durable; names no path and no process."""
        keeper = self._collector.stats().get("keeper")
        if keeper is None:
            return {"status": "no_ring", "message": "The server has no memory to put records in."}
        if keeper["error"]:
            return {"status": "disk", "message": f"The lake cannot be written: {keeper['error']}."}
        if not keeper["seen"] or keeper["age_ms"] > STALE_MS:
            return {"status": "no_keeper", "message": "No keeper makes records durable."}
        return {"status": "ok"}

    async def report(self) -> Report:
        """The ledger's sum, at most a second old."""
        async with self._looking:
            if self._report is None or time.monotonic() - self._looked > FRESH_SECONDS:
                self._report = await asyncio.to_thread(tally, self._lake, self._ring_folders)
                self._looked = time.monotonic()
            return self._report

    async def summary(self, query: bytes, partner: str | None = None) -> Any:
        """The summary of `date` in a query string, today's without one."""
        date = parse_qs(query.decode("latin-1")).get("date", ["today"])[-1]
        try:
            return await asyncio.to_thread(self._summarize, self._lake, date, partner)
        except ValueError as error:
            raise Refusal(400, "bad_date", f"{error}.") from None

    async def metrics(self) -> str:
        """Prometheus text, format 0.0.4."""
        report = await self.report()
        used = await asyncio.to_thread(_disk, self._lake.root)
        return "\n".join(
            [
                *_ledger(report),
                *_rings(report),
                *_followers(report),
                *_server(self._gauges.sums()),
                *used,
                "",
            ]
        )


def _family(name: str, kind: str, text: str, rows: list[tuple[str, float]]) -> Iterator[str]:
    yield f"# HELP lakeward_{name} {text}"
    yield f"# TYPE lakeward_{name} {kind}"
    for labels, value in rows:
        yield f"lakeward_{name}{labels} {value:.17g}"


def _ledger(report: Report) -> Iterator[str]:
    yield from _family(
        "interactions_total", "counter", "What became of everything offered; it is the sum of all.",
        [(f'{{outcome="{name}"}}', n) for name, n in report.sum.items()],
    )  # fmt: skip
    yield from _family(
        "left_out_total", "counter", "Interactions that were not kept, by reason.",
        [(f'{{reason="{name}"}}', n) for name, n in report.reasons.items()],
    )  # fmt: skip
    yield from _family("ledger_ok", "gauge", "1 when the ledger's sum holds.",
                       [("", float(report.ok))])  # fmt: skip


def _rings(report: Report) -> Iterator[str]:
    alive = [ring for ring in report.rings if ring.alive]
    yield from _family("rings", "gauge", "Processes that record into the lake.",
                       [("", len(alive))])  # fmt: skip
    yield from _family(
        "ring_fill_ratio", "gauge", "How full the fullest ring is.",
        [("", max((ring.fill for ring in report.rings), default=0.0))],
    )  # fmt: skip
    yield from _family(
        "lag_seconds", "gauge", "Age of the keeper's last round, by the ring it saw last.",
        [("", max((ring.keeper_age_ms / 1000 for ring in alive), default=0.0))],
    )  # fmt: skip


def _followers(report: Report) -> Iterator[str]:
    names = ("delivered", "quarantined", "sampled", "suppressed", "erased", "expired")
    yield from _family(
        "follower_records", "gauge", "What became of the log's records, for each follower.",
        [(f'{{follower="{one.name}",outcome="{name}"}}', getattr(one, name))
         for one in report.followers for name in names],
    )  # fmt: skip
    yield from _family(
        "follower_waiting_records", "gauge", "Records that a follower has not taken yet.",
        [(f'{{follower="{one.name}"}}', one.waiting) for one in report.followers],
    )  # fmt: skip
    yield from _family(
        "follower_up", "gauge", "0 while a follower retries or has stopped.",
        [(f'{{follower="{one.name}"}}', float(one.state == "running"))
         for one in report.followers],
    )  # fmt: skip


def _server(sums: list[int]) -> Iterator[str]:
    yield from _family(
        "http_responses_total", "counter", "Answers of this server, by class of status.",
        [(f'{{class="{name}"}}', sums[n]) for n, name in enumerate(CLASS_NAMES)],
    )  # fmt: skip
    yield from _family(
        "ingested_total", "counter", "Interactions that came over HTTP.",
        [('{outcome="accepted"}', sums[ACCEPTED]), ('{outcome="rejected"}', sums[REJECTED])],
    )  # fmt: skip
    yield from _family(
        "http_cut_total", "counter", "Connections cut because their answer was not read, by why.",
        [(f'{{reason="{name}"}}', sums[CUT + n]) for n, name in enumerate(CUTS)],
    )  # fmt: skip
    yield "# HELP lakeward_commit_seconds From a body's arrival to its batch being durable."
    yield "# TYPE lakeward_commit_seconds histogram"
    total = 0
    for n, bound in enumerate(BOUNDS_MS):
        total += sums[BUCKETS + n]
        yield f'lakeward_commit_seconds_bucket{{le="{bound / 1000:g}"}} {total}'
    yield f'lakeward_commit_seconds_bucket{{le="+Inf"}} {sums[COMMITS]}'
    yield f"lakeward_commit_seconds_sum {sums[COMMIT_NS] / 1e9:.9f}"
    yield f"lakeward_commit_seconds_count {sums[COMMITS]}"


def _disk(root: Path) -> list[str]:
    found = os.statvfs(root)
    free = float(found.f_bavail * found.f_frsize)
    return list(_family("disk_free_bytes", "gauge", "Free space on the lake's disk.", [("", free)]))
