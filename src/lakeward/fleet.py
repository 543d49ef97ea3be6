"""The rings of one lake as its keeper sees them: met, drained, and folded when their owner died.

In: the ring folder and the ledger. Out: gathered frames with the acknowledgements they mean. Fails
with OSError from the ledger's disk; a ring that cannot be read is named once and left alone.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from lakeward.errors import Unreadable
from lakeward.lakedir import LakeDir
from lakeward.ledger import Behind, Fold, Gone, Ledger, Reason, Seen, Stream, Vanished
from lakeward.ring_reader import RingReader

logger = logging.getLogger("lakeward.keeper")

ROUND_BYTES = 8 << 20
"""About how much one round takes from all rings: bounds the keeper's memory and a batch's size."""
SETTLE_NS = 50_000_000
"""A folder changed this recently may change again within the same tick of its clock."""


class Gathered(msgspec.Struct):
    """Frames of one round: lines by stream and the acknowledgements they carry."""

    lines: dict[Stream, list[bytes]]
    counts: dict[Stream, int]
    positions: list[tuple[RingReader, list[tuple[int, int, int]]]]
    damaged: dict[str, int]

    def add(self, stream: Stream, lines: list[bytes], records: int) -> None:
        """Take `lines`, holding `records`, of one ring."""
        if lines:
            self.lines.setdefault(stream, []).extend(lines)
            self.counts[stream] = self.counts.get(stream, 0) + records


class Fleet:
    """All rings of a lake that this keeper can see."""

    def __init__(
        self,
        folders: tuple[Path, ...],
        lake: LakeDir,
        ledger: Ledger,
        pause: Callable[[str], None],
    ) -> None:
        self.folders = folders
        self._lake = lake
        self._ledger = ledger
        self._pause = pause
        self.rings: dict[str, RingReader] = {}
        self._shares: tuple[int, ...] = ()
        self._refused: set[str] = set()
        self._changed_ns: dict[Path, int] = {}
        self.behind = False
        """Whether a ring had been drained further than the ledger knows (a restored lake)."""

    def discover(self, now_ns: int, *, thorough: bool = False) -> None:
        """Meet rings that appeared; cheap while the folders do not change."""
        for folder in self.folders:
            try:
                changed = os.stat(folder).st_mtime_ns
            except FileNotFoundError:
                continue
            if thorough or changed != self._changed_ns.get(folder):
                if now_ns - changed > SETTLE_NS:
                    self._changed_ns[folder] = changed
                self._discover_in(folder)

    def _discover_in(self, folder: Path) -> None:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.endswith(".ring")]
        for name in names:
            if name.removesuffix(".ring") not in self.rings and name not in self._refused:
                self._meet(folder / name)

    def _meet(self, path: Path) -> None:
        try:
            reader = RingReader(path)
        except FileNotFoundError:
            return
        except (Unreadable, OSError) as error:
            self._refused.add(path.name)
            logger.error("%s", error)
            return
        if reader.identity.lake_id != self._lake.identity.lake_id:
            self._refused.add(path.name)
            reader.close()
            return
        if reader.ring_id in self._ledger.state.retired:
            self._remove(reader)
            return
        self._align(reader)
        if self._shares:
            reader.say_shares(self._shares)
        self.rings[reader.ring_id] = reader

    def _align(self, reader: RingReader) -> None:
        """Take the further of ledger and ring as drained: a repeat is recognised here."""
        label = reader.identity.label
        if reader.ring_id not in self._ledger.state.rings:
            owner = f"pid {label.pid} on {label.host} {label.service}" if label else "unknown"
            self._ledger.append(Seen(reader.ring_id, owner.strip()))
        known = self._ledger.state.rings[reader.ring_id].lanes
        ahead: list[tuple[int, int, int]] = []
        behind: list[tuple[int, int, int]] = []
        missed = 0
        for lane, (tail, sequence) in enumerate(zip(reader.tails, reader.sequences, strict=True)):
            acked, at = known.get(lane, (0, 0))
            if (acked >= sequence and at > tail) or acked > sequence:
                ahead.append((lane, acked, at))
            elif sequence > acked:
                behind.append((lane, sequence, tail))
                missed += sequence - acked
        reader.release(ahead)
        if behind:
            self._ledger.append(Behind(reader.ring_id, behind, missed))
            self.behind = True

    def gather(self) -> Gathered | None:
        """Drain every ring once; None when nothing was published since the last round."""
        gathered = Gathered({}, {}, [], {})
        share = max(ROUND_BYTES // (len(self.rings) or 1), 1 << 18)
        for ring_id, reader in self.rings.items():
            drained = reader.drain(share)
            if drained is None:
                continue
            gathered.positions.append((reader, drained.positions))
            if drained.damaged:
                gathered.damaged[ring_id] = drained.damaged
            gathered.add("raw", drained.lines, drained.records)
            gathered.add("quarantine", drained.quarantined, drained.records_quarantined)
        return gathered if gathered.positions else None

    def beat(self, now_ns: int, errno: int) -> None:
        """Tell every owner that the keeper lives."""
        for reader in self.rings.values():
            reader.beat(now_ns, errno)

    def say_shares(self, shares: tuple[int, ...]) -> None:
        """Tell every owner, and those yet to come, the rollout's shares."""
        if shares != self._shares:
            self._shares = shares
            for reader in self.rings.values():
                reader.say_shares(shares)

    def bury(self) -> bool:
        """Fold the rings of dead owners that are drained empty; whether any is still to drain."""
        left = False
        for ring_id, reader in list(self.rings.items()):
            if not reader.adopt():
                continue
            if not reader.empty():
                left = True
                continue
            self._fold(reader)
            del self.rings[ring_id]
        return left

    def _fold(self, reader: RingReader) -> None:
        offered, by_lane = reader.tallies()
        counts = [sum(reason) for reason in zip(*by_lane, strict=True)]
        damaged = self._ledger.state.rings[reader.ring_id].damaged
        counts[Reason.damaged] += damaged
        for lane, left in enumerate(reader.unaccounted(reader.sequences)):
            broken = reader.skipped or left not in {0, 1, reader.begun(lane)}
            counts[Reason.damaged if broken else Reason.interrupted] += left
        drained = sum(reader.sequences)
        reasons = {Reason(n).name: count for n, count in enumerate(counts) if count}
        self._pause("before fold")
        self._ledger.append(Fold(reader.ring_id, sum(offered), drained - damaged, reasons))
        self._pause("after fold")
        self._remove(reader)

    def _remove(self, reader: RingReader) -> None:
        reader.path.unlink(missing_ok=True)
        (self._lake.collectors / f"{reader.ring_id}.json").unlink(missing_ok=True)
        self._pause("after unlink")
        self._ledger.append(Gone(reader.ring_id))
        reader.close()

    def name_vanished(self, at: str) -> None:
        """Note rings that are neither here nor folded: their memory went with their container."""
        for path, owner, lives in registrations(self._lake):
            if lives or self._stands(path.stem):
                continue
            if path.stem not in self._ledger.state.retired:
                self._ledger.append(Vanished(path.stem, owner, at))
            path.unlink(missing_ok=True)
        for ring_id, state in list(self._ledger.state.rings.items()):
            if not self._stands(ring_id):
                registered = self._lake.collectors / f"{ring_id}.json"
                if not registered.exists():
                    self._ledger.append(Vanished(ring_id, state.owner, at))

    def _stands(self, ring_id: str) -> bool:
        """Whether the ring is mapped here or its file is in one of the folders."""
        return ring_id in self.rings or any(
            (folder / f"{ring_id}.ring").exists() for folder in self.folders
        )

    def owners_live(self) -> bool:
        """Whether any ring still has a living owner."""
        return any(reader.owner_lives() for reader in self.rings.values())

    def close(self) -> None:
        """Let go of all rings."""
        for reader in self.rings.values():
            reader.close()
        self.rings.clear()


def any_owner_lives(folders: tuple[Path, ...]) -> bool:
    """Whether some ring in `folders` has a living owner, without taking anything over."""
    for path in (path for folder in folders for path in folder.glob("*.ring")):
        try:
            reader = RingReader(path, writable=False)
        except (Unreadable, OSError):
            continue
        try:
            if reader.owner_lives():
                return True
        finally:
            reader.close()
    return False


def registrations(lake: LakeDir) -> list[tuple[Path, str, bool]]:
    """Each registered collector: its file, its owner in words, and whether it is alive."""
    found: list[tuple[Path, str, bool]] = []
    for path in sorted(lake.collectors.glob("*.json")):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            owner = os.read(fd, 4096).decode("utf-8", "replace").strip()
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
                lives = False
            except OSError:
                lives = True
        finally:
            os.close(fd)
        found.append((path, owner, lives))
    return found
