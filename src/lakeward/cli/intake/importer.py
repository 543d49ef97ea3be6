"""The run of `lakeward import`: files → interactions in the lake, each content once.

In: paths, a collector and the lake's folder. Out: a `Report` with one `FileReport` a file, whose
`lines == recorded + known + suppressed + refused + quarantined`. A file is read twice: first its
content is hashed and looked up in the manifest, then its units are recorded and committed in
batches. An import that was killed goes on after its last durable checkpoint; ids that it recorded
beyond that are found in the lake's log and left out (a line quarantined beyond it is quarantined
again).

Memory: 70 to 130 bytes per distinct line, for counting its occurrences, and the ids of at most
`WINDOW` units after a kill; nothing else grows with the file.

`Terminal`: a file is missing or not readable as asked; all files are looked at before the first
is imported. `Transient`: another import runs, or the lake's disk lags; import again to go on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from functools import partial
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from lakeward.cli.intake.framing import Problem, Unit, lines
from lakeward.cli.intake.manifest import Entry, Manifest
from lakeward.cli.intake.progress import Bar, Progress
from lakeward.cli.intake.rows import KINDS, Kind, Layout, Row, keyed, layout_of, parse, units
from lakeward.cli.intake.source import (
    Content,
    Rereading,
    Source,
    content_of,
    looked_at,
    looked_at_days,
    reading,
)
from lakeward.cli.intake.tally import FileReport, Report, Tally, counted, sentence
from lakeward.errors import Rejected, Terminal
from lakeward.interaction import JsonObject, iso, parse_iso
from lakeward.privacy import Scrubber

__all__ = ["Bar", "FileReport", "Progress", "Recorder", "Report", "run"]

BATCH_UNITS = 500
BATCH_BYTES = 1 << 20
CHECKPOINT_BATCHES = 50
WINDOW = BATCH_UNITS * CHECKPOINT_BATCHES
COMMIT_TIMEOUT_S = 60.0

Offer: TypeAlias = tuple[Unit, int]
"""A unit and which occurrence of its bytes in the file it is, from 0."""

Erased: TypeAlias = Callable[[JsonObject], bool]
"""Whether a record is of someone who was erased after it."""

_PROBLEMS: dict[Problem, str] = {
    "too_long": "longer than 1 MiB; the hash is that of its first 1 MiB",
    "cut_short": "the file ends within it",
}
_DAMAGED = "behind that it is damaged or cut short, so get a whole copy of it"


class Recorder(Protocol):
    """What an import needs of a collector."""

    def record(self, interaction_type: str, /, **fields: Any) -> str | None:
        """The id; None when the collector refused (and counted) the interaction."""

    def quarantine(self, reason: str, *, note: str, raw: bytes) -> None:
        """Count an unreadable unit; of `raw` only length and hash are kept."""

    def commit(self, timeout: float) -> None:
        """Return when everything recorded is durable; NotDurable after `timeout` seconds."""


class Job(msgspec.Struct, frozen=True):
    """What all files of one run share."""

    collector: Recorder
    manifest: Manifest
    position: Callable[[], JsonObject]
    known_ids: Callable[[JsonObject], Iterable[str]]
    erased: Callable[[], AbstractContextManager[Erased]]
    progress: Callable[[Progress], None]
    now_ms: Callable[[], int]


class Task(msgspec.Struct, frozen=True):
    """One file to record, and how far an earlier try came."""

    source: Source
    layout: Layout
    content: Content
    entry: Entry


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def run(
    paths: Sequence[str],
    collector: Recorder,
    lake: Path,
    *,
    kind: str | None,
    mapping: dict[str, str],
    default_type: str | None,
    position: Callable[[], JsonObject],
    known_ids: Callable[[JsonObject], Iterable[str]],
    progress: Callable[[Progress], None],
    erased: Callable[[], AbstractContextManager[Erased]] = lambda: nullcontext(lambda _: False),
    now_ms: Callable[[], int] = _now_ms,
) -> Report:
    """Import `paths` in order.

    `position()` is where the lake's log ends now, `known_ids(position)` the ids recorded since,
    and `erased()` tells for a batch whether a record is of someone who was erased after it: no
    erase ends while it is held.
    """
    known_kind: Kind | None = next((known for known in KINDS if known == kind), None)
    if kind != known_kind:
        raise Terminal(f"--as {kind} is not known; give one of {', '.join(KINDS)}")
    look = partial(layout_of, kind=known_kind, mapping=mapping, default_type=default_type)
    with ExitStack() as spools:
        sources = [
            source
            for path in paths
            for source in (
                looked_at_days(path, look)
                if known_kind == "original" and os.path.isdir(path)
                else [looked_at(path, look, spools)]
            )
        ]
        with Manifest(lake) as manifest:
            job = Job(collector, manifest, position, known_ids, erased, progress, now_ms)
            return Report(tuple(_imported(job, source) for source in sources))


def _imported(job: Job, source: Source) -> FileReport:
    tell = partial(FileReport, source.name, bytes=source.size)
    layout = source.layout
    if layout is None:
        return tell(state="imported", message="there is nothing in it")
    content = content_of(source, partial(_show, job, source, "checking", 0))
    entry = job.manifest.find(content.digest)
    if entry is not None and entry.state == "done":
        message = f"already imported: {counted(entry.recorded, 'interaction')}"
        if content.damaged:
            return tell(state="failed", message=f"{message}; {_DAMAGED}")
        return tell(state="skipped", message=message)
    how = {"as": layout.kind, "map": dict(layout.mapping), "type": layout.default_type}
    if entry is None or entry.state == "refused":
        at = iso(job.now_ms())
        name = Scrubber().text(source.name)  # it stays in the lake
        entry = Entry(content.digest, name, "started", at, how, job.position())
        job.manifest.append(entry)
        return _recorded(job, Task(source, layout, content, entry), frozenset())
    if entry.how != how:
        options = msgspec.json.encode(entry.how).decode()
        return tell(
            state="failed",
            message=f"its import was begun with {options}; end it with the same options",
        )
    task = Task(source, layout, content, entry)
    return _recorded(job, task, _known(job, task))


def _recorded(job: Job, task: Task, known: frozenset[str]) -> FileReport:
    entry = task.entry
    tally = Tally(
        entry.lines, 0, entry.recorded, entry.refused, entry.quarantined, entry.suppressed
    )  # fmt: skip
    again = Rereading(task.content)
    with reading(task.source) as file:
        offers = islice(_offers(task, again.pieces(file)), entry.lines, None)
        for number, batch in enumerate(_batches(offers), 1):
            with job.erased() as erased:
                for offer in batch:
                    _record(job.collector, task, offer, known, erased, tally)
                job.collector.commit(COMMIT_TIMEOUT_S)
            tally.lines += len(batch)
            if number % CHECKPOINT_BATCHES == 0 and not tally.all_refused:
                job.manifest.append(_step(job, entry, tally))
            _show(job, task.source, "importing", tally.lines, file.tell())
    counts = msgspec.structs.asdict(tally)
    tell = partial(FileReport, task.source.name, bytes=task.source.size, **counts)
    if not again.same:
        return tell(state="failed", message="it changed while it was read; import it again")
    if tally.all_refused:
        job.manifest.append(msgspec.structs.replace(entry, state="refused"))
        return tell(
            state="failed",
            message=f"the collector refused all of it ({tally.refused:,}): see `lakeward doctor`, "
            "ENABLE_DATA_COLLECTION and --type, then import it again",
        )
    job.manifest.append(msgspec.structs.replace(_step(job, entry, tally), state="done"))
    if task.content.damaged:
        return tell(state="failed", message=f"{sentence(tally)}; {_DAMAGED}")
    return tell(state="imported", message=sentence(tally))


def _offers(task: Task, pieces: Iterable[bytes]) -> Iterator[Offer]:
    seen: dict[int, int] = {}
    for unit in units(lines(pieces, cut=task.content.damaged), task.layout):
        digest = int.from_bytes(blake2b(unit.raw, digest_size=8).digest())
        occurrence = seen.get(digest, 0)
        seen[digest] = occurrence + 1
        yield unit, occurrence


def _batches(offers: Iterable[Offer]) -> Iterator[list[Offer]]:
    batch: list[Offer] = []
    size = 0
    for offer in offers:
        length = len(offer[0].raw)
        if batch and (len(batch) == BATCH_UNITS or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(offer)
        size += length
    if batch:
        yield batch


def _record(
    collector: Recorder, task: Task, offer: Offer, known: frozenset[str], erased: Erased,
    tally: Tally,
) -> None:  # fmt: skip
    unit = offer[0]
    try:
        row, fields = _interaction(task, offer)
    except Rejected as why:
        note = f"import {task.content.digest[:12]}, line {unit.number}: {why}"
        collector.quarantine(unit.problem or "undecodable", note=note, raw=unit.raw)
        tally.quarantined += 1
        return
    if fields["interaction_id"] in known:
        tally.known += 1
    elif erased(fields if row.dated else row.fields):
        tally.suppressed += 1
    elif collector.record(row.interaction_type, **fields) is None:
        tally.refused += 1
    else:
        tally.recorded += 1


def _interaction(task: Task, offer: Offer) -> tuple[Row, JsonObject]:
    unit, occurrence = offer
    if unit.problem:
        raise Rejected(_PROBLEMS[unit.problem])
    row = parse(unit.raw, task.layout)
    return row, keyed(row, unit.raw, occurrence, parse_iso(task.entry.at))


def _known(job: Job, task: Task) -> frozenset[str]:
    """Ids that the interrupted try recorded beyond its last checkpoint."""
    candidates = set()
    with reading(task.source) as file:
        offers = _offers(task, Rereading(task.content).pieces(file))
        for offer in islice(offers, task.entry.lines, task.entry.lines + WINDOW):
            with suppress(Rejected):
                candidates.add(_interaction(task, offer)[1]["interaction_id"])
    job.collector.commit(COMMIT_TIMEOUT_S)  # what the killed process left in its ring is now logged
    return frozenset(key for key in job.known_ids(task.entry.log) if key in candidates)


def _step(job: Job, entry: Entry, tally: Tally) -> Entry:
    return msgspec.structs.replace(
        entry,
        log=job.position(),
        lines=tally.lines,
        recorded=tally.recorded + tally.known,
        refused=tally.refused,
        quarantined=tally.quarantined,
        suppressed=tally.suppressed,
    )


def _show(
    job: Job, source: Source, stage: Literal["checking", "importing"], count: int, done: int
) -> None:
    job.progress(Progress(source.name, stage, done, source.size, count))
