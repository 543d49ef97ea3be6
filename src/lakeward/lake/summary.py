"""The summary of one day: what was received, by whom, how fast, and what came of it.

In: a lake and a day. Out: a `Summary`, computed in one pass over the day's files up to the
published durable end. A day is the UTC day of receipt, the folder that a record stands in;
`other_days` says how many records carry another day's time. Drops and other reasons are counted for
the whole lake since it began, not by day, and are labelled so. Fails with ValueError for a name
that is no day, with OSError when a file of the log is gone, with Unreadable when its table is
damaged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from lakeward.audit import tally as tally_lake
from lakeward.catalog.confidence import WITNESSED
from lakeward.errors import LakewardError
from lakeward.interaction import iso
from lakeward.lake.day import Row, checked_date, day_files, read_entries, read_rows
from lakeward.lake.figures import LakeCounts, Quarantined, Summary
from lakeward.lake.tally import OUTCOME_TYPES, AiTally, CallTally, Names, OutcomeTally
from lakeward.lake.turns import Turns
from lakeward.lakedir import LakeDir
from lakeward.ringdir import known_folders

__all__ = ["Summary", "summarize", "summarize_named"]

DAY_MS = 86_400_000


def summarize_named(
    lake: LakeDir,
    name: str,
    partner: str | None = None,
    *,
    ring_dir: Path | None = None,
    turns: Turns | None = None,
    now_ns: Callable[[], int] = time.time_ns,
) -> Summary:
    """The summary of `today`, `yesterday` or YYYY-MM-DD, UTC; ValueError for any other name."""
    return summarize(lake, day_named(name, now_ns), partner, ring_dir=ring_dir, turns=turns)


def day_named(name: str, now_ns: Callable[[], int] = time.time_ns) -> str:
    """The date that a name means now."""
    ago = {"today": 0, "yesterday": 1}.get(name)
    return checked_date(name) if ago is None else iso(now_ns() // 1_000_000 - ago * DAY_MS)[:10]


def summarize(
    lake: LakeDir,
    date: str,
    partner: str | None = None,
    *,
    ring_dir: Path | None = None,
    turns: Turns | None = None,
) -> Summary:
    """The summary of a day, YYYY-MM-DD (UTC); ValueError when it is none.

    Of a `partner` it counts the records that are its own, and nothing that cannot be told to be.
    `ring_dir` is `LAKEWARD_RING_DIR` where that is set: the counts of running processes stand
    there. `turns` completes AI turns as the table does; without it they are as they were told. A
    day without data has a summary too, of zeros.
    """
    date = checked_date(date)
    files = list(day_files(lake, date))
    day = _Day(date, turns)
    for batch in read_rows(files):
        if partner is not None:
            day.add(
                row
                for row in batch.rows
                if row.partner_id == partner and row.interaction_type not in WITNESSED
            )
            continue
        day.erased += batch.erased
        day.unreadable += batch.unreadable
        day.add(batch.rows)
    refused, reasons = 0, Names()
    set_aside = day_files(lake, date, "quarantine") if partner is None else ()
    for batch in read_entries(set_aside):
        refused += len(batch.rows) + batch.unreadable
        for entry in batch.rows:
            reasons.add(entry.reason)
    quarantine = Quarantined(refused, reasons.ordered())
    folded = day.folded() | {"quarantine": reasons.folded}
    return day.figures(
        lake.identity.lake_id, len(files), quarantine, folded,
        lake_counts(lake, ring_dir) if partner is None else None,
    )  # fmt: skip


def lake_counts(lake: LakeDir, ring_dir: Path | None = None) -> LakeCounts | None:
    """What the ledger and the rings have counted since the lake began; it waits for nobody."""
    try:
        report = tally_lake(lake, known_folders(lake, ring_dir), looks=1)
    except (LakewardError, OSError):
        return None
    places = report.sum
    return LakeCounts(
        offered=places["offered"],
        delivered=places["delivered"],
        quarantined=places["quarantined"],
        waiting=places["waiting"],
        reasons=dict(sorted(report.reasons.items(), key=lambda pair: (-pair[1], pair[0]))),
    )


class _Day:
    """What adds up."""

    def __init__(self, date: str, turns: Turns | None) -> None:
        self._date = date
        self._rows = self._other_days = self._anonymous = 0
        self.erased = self.unreadable = 0
        self._users: set[str] = set()
        self._sessions: set[str] = set()
        self._types, self._services, self._versions = Names(), Names(), Names()
        self._calls, self._outcomes, self._ai = CallTally(), OutcomeTally(), AiTally(turns)

    def add(self, rows: Iterable[Row]) -> None:
        """Some rows."""
        for row in rows:
            self._rows += 1
            kind = row.interaction_type
            self._types.add(kind)
            if row.timestamp is not None and not row.timestamp.startswith(self._date):
                self._other_days += 1
            if row.user_id is None or row.user_id == "anonymous":
                self._anonymous += 1
            else:
                self._users.add(row.user_id)
            if row.session_id is not None:
                self._sessions.add(row.session_id)
            if row.service is not None:
                self._services.add(row.service)
            if row.app_version is not None:
                self._versions.add(row.app_version)
            if kind == "api_call":
                self._calls.add(row)
            elif kind in OUTCOME_TYPES:
                self._outcomes.add(row)
            elif kind == "ai_conversation":
                self._ai.turn(row)
            elif kind == "ai_rating":
                self._ai.rating(row)

    def folded(self) -> dict[str, int]:
        """What full lists left out."""
        return {
            "by_type": self._types.folded,
            "services": self._services.folded,
            "app_versions": self._versions.folded,
            "flows": self._outcomes.folded,
            "models": self._ai.folded,
        }

    def figures(
        self,
        lake_id: str,
        files: int,
        quarantine: Quarantined,
        folded: dict[str, int],
        lake: LakeCounts | None,
    ) -> Summary:
        """All of it."""
        calls = self._calls.figures()
        folded["routes"] = calls.other.calls if calls.other else 0
        return Summary(
            date=self._date,
            basis="receipt",
            lake_id=lake_id,
            files=files,
            interactions=self._rows,
            other_days=self._other_days,
            erased=self.erased,
            unreadable=self.unreadable,
            users=len(self._users),
            sessions=len(self._sessions),
            anonymous=self._anonymous,
            by_type=self._types.ordered(),
            services=self._services.ordered(),
            app_versions=self._versions.ordered(),
            api_calls=calls,
            outcomes=self._outcomes.figures(),
            ai=self._ai.figures(),
            quarantine=quarantine,
            folded={name: n for name, n in folded.items() if n},
            lake=lake,
        )
