"""The audit: does everything offered stand somewhere? Proved from the files alone.

In: a lake and the folders of its rings. Out: the sum, what is in each of its places, and a sentence
for every fault. Nothing is written and no process is asked, so it works on a stopped, killed or
copied lake; on a live one it looks again when what it read moved underneath it.

    offered + found = delivered + quarantined + waiting + each reason + vanished + in flight

and, independently, what rings say was accepted = what the ledger acknowledged = lines in files.
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from lakeward.accounts import Account, accounts
from lakeward.errors import Unreadable
from lakeward.fleet import registrations
from lakeward.lakedir import LakeDir
from lakeward.ledger import CATEGORY, STREAMS, Reason, Replay, RingState, State, replay
from lakeward.log import Published, Segment, read_published, read_segments
from lakeward.recovery import count_blank, count_lines
from lakeward.removal import WHYS, Journal, Removed, interrupted, read_journal, under_way
from lakeward.ring_reader import RingReader

LOOKS = 6
BETWEEN_SECONDS = 0.1


class RingReport(msgspec.Struct):
    """One ring as found on its mount."""

    ring: str
    owner: str
    alive: bool
    offered: int
    acknowledged: int
    waiting: int
    in_flight: int
    reasons: dict[str, int]
    fill: float
    """Share of the ring's bytes that wait, 0 to 1."""
    keeper_age_ms: float
    """Since the keeper's last round; 0 when no keeper has seen the ring."""


class Report(msgspec.Struct):
    """The result of an audit; `ok` means that the sum holds and nothing is unexplained."""

    ok: bool
    lake: str
    lake_id: str
    epoch: int
    sum: dict[str, int]
    reasons: dict[str, int]
    rings: list[RingReport]
    segments: int
    vanished: list[str]
    unseen: list[str]
    faults: list[str]
    followers: list[Account] = []
    moved: bool = False
    """Whether a ring was folded while this was read: then the figures are of two moments."""


def audit(lake: LakeDir, ring_folders: tuple[Path, ...]) -> Report:
    """Check a lake; looks again, a few times, while a fault may be mere movement."""
    return _looked_at(lake, ring_folders, log=True)


def tally(lake: LakeDir, ring_folders: tuple[Path, ...], *, looks: int = LOOKS) -> Report:
    """As `audit`, but without counting the lines in the log's files: cheap however old the lake.
    With one look it never waits, and its figures may be of two moments."""
    return _looked_at(lake, ring_folders, log=False, looks=looks)


def _looked_at(
    lake: LakeDir, ring_folders: tuple[Path, ...], *, log: bool, looks: int = LOOKS
) -> Report:
    report = _look(lake, ring_folders, log=log)
    moving: list[RingReport] = []
    for _ in range(looks - 1):
        moving = [ring for ring in report.rings if ring.in_flight]
        if report.ok and not moving and not report.moved:
            return report
        time.sleep(BETWEEN_SECONDS)
        report = _look(lake, ring_folders, log=log)
    for ring in report.rings:
        if ring.in_flight and ring in moving:
            report.faults.append(f"ring {ring.ring}: {ring.in_flight} records stay in flight")
    report.ok = not report.faults
    return report


def _look(lake: LakeDir, ring_folders: tuple[Path, ...], *, log: bool) -> Report:
    faults: list[str] = []
    published = read_published(lake.private / "published")
    try:
        journal = replay(lake.private / "ledger.jsonl")
    except FileNotFoundError:
        journal = Replay(State(lake_id=lake.identity.lake_id), None, 0, 0, [])
        if published is not None:
            faults.append("ledger.jsonl is missing although batches were published")
    faults += journal.faults
    state = _settle(journal, published, faults)
    removals = _removals(lake, faults)
    segments = _check_log(lake, state, removals, faults) if log else 0
    followers = accounts(lake, state, faults, log=log)
    rings = _check_rings(lake, state, ring_folders, faults)
    unseen = [
        f"{path.stem} ({owner})"
        for path, owner, lives in registrations(lake)
        if lives and not any(ring.ring == path.stem for ring in rings)
    ]
    vanished = [f"{v.ring} ({v.owner}), last seen before {v.at}" for v in state.vanished]
    vanished += _missing(state, rings, unseen)
    reasons = _reasons(state, rings)
    total = _sum(state, rings, reasons, faults)
    _split(lake, removals.removed, total)
    folded = (state.retired, state.offered, len(state.vanished))
    return Report(
        ok=not faults, lake=str(lake.root), lake_id=lake.identity.lake_id, epoch=state.epoch,
        sum=total, reasons=reasons, rings=rings, segments=segments, vanished=vanished,
        unseen=unseen, faults=faults, followers=followers, moved=_folded(lake) != folded,
    )  # fmt: skip


def _folded(lake: LakeDir) -> tuple[list[str], int, int]:
    """Which rings the ledger has taken over by now, for noticing that it took one meanwhile."""
    try:
        state = replay(lake.private / "ledger.jsonl").state
    except FileNotFoundError:
        return [], 0, 0
    return state.retired, state.offered, len(state.vanished)


def _settle(journal: Replay, published: Published | None, faults: list[str]) -> State:
    """The state with its last batch, when that was published."""
    state, batch = journal.state, published.batch if published else 0
    if journal.pending is not None and batch >= journal.pending.batch:
        state.apply(journal.pending)
    if batch > state.batch:
        faults.append(f"ledger: batches {state.batch + 1} to {batch} were published and are gone")
    elif batch < state.batch:
        faults.append(
            f"published: stands at batch {batch}, the ledger at {state.batch}; after a power loss "
            "start `lakeward run` once"
        )
    return state


class Counted(msgspec.Struct, frozen=True):
    """What stands in one file of the log, beside what was acknowledged into it."""

    segment: Segment
    end: int
    lines: int
    found: int
    blank: int
    size: int


def _check_log(lake: LakeDir, state: State, before: Journal, faults: list[str]) -> int:
    """Count the lines of every file and compare with what was acknowledged into it, and its blank
    lines with the journal of removals."""
    try:
        segments, _ = read_segments(lake)
    except Unreadable as error:
        faults.append(str(error))
        return 0
    acknowledged = dict.fromkeys(STREAMS, 0)
    counted: list[Counted] = []
    for segment in segments:
        current, end, lines = state.ends.get(segment.stream, (0, 0, 0))
        if segment.end is not None:
            end, lines = segment.end, segment.lines
        elif segment.number != current:
            continue
        counted.append(_counted(lake, segment, end, lines))
        acknowledged[segment.stream] += lines
    _check_files(lake, counted, before, faults)
    for stream, n in acknowledged.items():
        if n != state.lines.get(stream, 0):
            faults.append(
                f"{stream}: segments hold {n} lines, {state.lines.get(stream, 0)} were acknowledged"
            )
    return len(segments)


def _counted(lake: LakeDir, segment: Segment, end: int, lines: int) -> Counted:
    path = lake.root / segment.path
    try:
        found, size = count_lines(path, end), path.stat().st_size
        return Counted(segment, end, lines, found, count_blank(path, end), size)
    except OSError:
        return Counted(segment, end, lines, 0, 0, 0)


def _check_files(lake: LakeDir, counted: list[Counted], before: Journal, faults: list[str]) -> None:
    """Somebody may have removed lines while these were counted: at least those are blank that were
    done before, and at most those that are journalled after."""
    try:
        after = read_journal(lake).removed
    except Unreadable:  # it was said before, or is at the next look
        after = before.removed
    open_cuts: dict[int, int] = {}
    for cut in (cut for cutting in before.pending for cut in cutting.cuts):
        open_cuts[cut.segment] = open_cuts.get(cut.segment, 0) + 1
    for here in counted:
        number, path = here.segment.number, here.segment.path
        most = after.get(number, Removed())
        if most.gone:
            # looked for twice: whoever had the lock may have deleted it in between
            if (lake.root / path).exists() and not under_way(lake) and (lake.root / path).exists():
                faults.append(f"{path}: stands although it was deleted: start `lakeward run`")
            continue
        least = before.removed.get(number, Removed()).blank() - open_cuts.get(number, 0)
        if here.found != here.lines or here.size < here.end:
            faults.append(f"{path}: {here.found} lines where {here.lines} were acknowledged")
        elif not least <= here.blank <= most.blank():
            faults.append(f"{path}: {here.blank} lines are blank and {most.blank()} were removed")


def _removals(lake: LakeDir, faults: list[str]) -> Journal:
    try:
        if interrupted(lake):
            faults.append("a removal was interrupted: start `lakeward run`, which finishes it")
        return read_journal(lake)
    except Unreadable as error:
        faults.append(str(error))
        return Journal()


def _split(lake: LakeDir, removals: dict[int, Removed], total: dict[str, int]) -> None:
    """Take what was removed out of `delivered` and `quarantined`, and name it."""
    total |= dict.fromkeys(WHYS, 0)
    try:
        streams = {segment.number: segment.stream for segment in read_segments(lake)[0]}
    except Unreadable:
        return
    for number, gone in removals.items():
        place = "delivered" if streams.get(number) == "raw" else "quarantined"
        for why in WHYS:
            n = getattr(gone, why)
            total[why] += n
            total[place] -= n


def _check_rings(
    lake: LakeDir, state: State, folders: tuple[Path, ...], faults: list[str]
) -> list[RingReport]:
    reports: list[RingReport] = []
    for path in sorted(path for folder in folders for path in folder.glob("*.ring")):
        try:
            reader = RingReader(path, writable=False)
        except FileNotFoundError:
            continue
        except (Unreadable, OSError) as error:
            faults.append(str(error))
            continue
        try:
            if reader.identity.lake_id != lake.identity.lake_id or reader.ring_id in state.retired:
                continue
            reports.append(_check_ring(reader, state.rings.get(reader.ring_id), faults))
        finally:
            reader.close()
    return reports


def _check_ring(reader: RingReader, known: RingState | None, faults: list[str]) -> RingReport:
    alive = reader.owner_lives()
    known = known or RingState("")
    for lane, (tail, drained) in enumerate(zip(reader.tails, reader.sequences, strict=True)):
        acked, at = known.lanes.get(lane, (0, 0))
        if drained > acked:
            faults.append(
                f"ring {reader.ring_id}: lane {lane} was released up to {drained}, "
                f"acknowledged up to {acked}"
            )
        elif acked > drained or at > tail:
            # Killed between acknowledgement and release: the next keeper sees the repeat.
            reader.tails[lane], reader.sequences[lane] = at, acked
    published = reader.published()
    offered, by_lane = reader.tallies()
    counts = [sum(reason) for reason in zip(*by_lane, strict=True)]
    counts[Reason.damaged] += known.damaged
    left = reader.unaccounted(published)
    for lane, n in enumerate(left):
        if n not in {0, 1, reader.begun(lane)}:
            faults.append(f"ring {reader.ring_id}: {n} records of lane {lane} are unaccounted for")
    if not alive:
        counts[Reason.interrupted] += sum(left)
    acknowledged = sum(reader.sequences)
    label = reader.identity.label
    return RingReport(
        ring=reader.ring_id, owner=f"pid {label.pid} {label.service}" if label else "unknown",
        alive=alive, offered=sum(offered), acknowledged=acknowledged - known.damaged,
        waiting=sum(published) - acknowledged, in_flight=sum(left) if alive else 0,
        reasons={Reason(i).name: n for i, n in enumerate(counts) if n}, fill=reader.fill(),
        keeper_age_ms=max(time.time_ns() - beat, 0) / 1e6 if (beat := reader.beaten()[0]) else 0.0,
    )  # fmt: skip


def _missing(state: State, rings: list[RingReport], unseen: list[str]) -> list[str]:
    """Rings that the ledger knows and that are neither here, folded nor alive elsewhere."""
    here = {ring.ring for ring in rings} | {name.split(" ")[0] for name in unseen}
    return [
        f"{ring_id} ({ring.owner}), {ring.acked()} records acknowledged"
        for ring_id, ring in state.rings.items()
        if ring_id not in here
    ]


def _reasons(state: State, rings: list[RingReport]) -> dict[str, int]:
    reasons = dict(state.reasons)
    for ring in rings:
        for reason, n in ring.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + n
    return reasons


def _sum(
    state: State, rings: list[RingReport], reasons: dict[str, int], faults: list[str]
) -> dict[str, int]:
    """The two equations; a sentence for each that does not hold."""
    here = {ring.ring for ring in rings}
    away = [ring for ring_id, ring in state.rings.items() if ring_id not in here]
    away_acked = sum(ring.acked() - ring.damaged for ring in away)
    acknowledged = state.accepted + sum(ring.acknowledged for ring in rings) + away_acked
    delivered, quarantined = (state.lines.get(stream, 0) for stream in STREAMS)
    total = {
        "offered": state.offered + sum(ring.offered for ring in rings) + away_acked,
        "found": state.found,
        "delivered": delivered,
        "quarantined": quarantined,
        "waiting": sum(ring.waiting for ring in rings),
        **dict.fromkeys(("rejected", "dropped", "sampled", "excluded", "disabled"), 0),
        "vanished": state.lost,
        "in_flight": sum(ring.in_flight for ring in rings),
    }
    for name, n in reasons.items():
        if n < 0:
            faults.append(f"{-n} records were delivered beyond those offered ({name} is negative)")
        total[CATEGORY.get(Reason[name], "dropped")] += n
    if acknowledged + state.found != delivered + quarantined + state.lost:
        faults.append(
            f"acknowledged {acknowledged} and found {state.found} records, but the log holds "
            f"{delivered + quarantined} and {state.lost} are known to be gone"
        )
    places = sum(n for name, n in total.items() if name not in {"offered", "found"})
    if total["offered"] + total["found"] != places:
        faults.append(f"offered {total['offered']} + found {total['found']} is not {places}")
    if state.offered != state.accepted + sum(state.reasons.values()):
        faults.append(
            f"folded rings offered {state.offered}, accounted for "
            f"{state.accepted + sum(state.reasons.values())}"
        )
    return total
