"""The ledger: what became of every record offered, kept so that a kill at any instant leaves the
sum provable.

In: events of the keeper, in order. Out: a journal of them on disk and the `State` they add up to.
A journal line that does not fit on the disk is taken back whole and raises OSError.

`.lakeward/ledger.jsonl` starts with a snapshot; each further line is one event, each line carries
the CRC of its JSON:

    1c291ca3 {"kind":"state","batch":41,"rings":{…},"lines":{"raw":9120},…}
    9d3fb2aa {"kind":"batch","batch":42,"parts":[…],"acks":{"0198…":[[0,120,55296]]}}

A batch is written *before* its bytes go to the log, as an intent. The next line settles it, an
`abort` takes it back; a batch that stands last is settled by whoever reads, by looking at what
was published. Lines are not synced one by one: the page cache survives a kill, and after a power
loss the log itself is the truth (`Found`). Batch numbers have no gaps, so a missing line shows.
"""

from __future__ import annotations

import os
from enum import IntEnum
from pathlib import Path
from typing import Literal
from zlib import crc32

import msgspec

from lakeward.errors import Unreadable
from lakeward.lakedir import replace_file, write_all

FORMAT = 1
Stream = Literal["raw", "quarantine"]
STREAMS: tuple[Stream, ...] = ("raw", "quarantine")


class Reason(IntEnum):
    """Why an offered record was not kept. The number is its counter's place in the ring."""

    interrupted = 0
    """The caller was killed, or a signal handler raised, in the middle of `record`."""
    full = 1
    """The ring had no room: the keeper or its disk is behind."""
    contended = 2
    """Every lane of the ring was in use at that instant."""
    too_large = 3
    """The encoded record is larger than `LAKEWARD_FRAME_BYTES`."""
    scrub_failed = 4
    """The host's own scrubbing callable raised or returned no dict."""
    unencodable = 5
    """The record cannot be written as JSON."""
    rejected = 6
    """Refused by its type in development, where the caller got the exception."""
    sampled = 7
    """Left out by a rollout percentage."""
    excluded = 8
    """The path is on the list of paths that are not recorded."""
    disabled = 9
    """That kind of collection is switched off."""
    consent = 10
    """The caller's consent or privacy signal forbids it."""
    damaged = 11
    """A frame failed its checksum: something wrote over the ring's memory."""


CATEGORY: dict[Reason, str] = {
    Reason.sampled: "sampled",
    Reason.excluded: "excluded",
    Reason.disabled: "disabled",
    Reason.consent: "excluded",
    Reason.rejected: "rejected",
}
"""Where a reason stands in the sum; every other reason is `dropped`."""


class Part(msgspec.Struct, frozen=True, array_like=True):
    """Bytes [start, end) of one segment, holding `lines` lines with CRC `crc`."""

    stream: Stream
    segment: int
    start: int
    end: int
    lines: int
    crc: int


Acks = dict[str, list[tuple[int, int, int]]]
"""Ring id → (lane, sequence, tail) reached."""


class Batch(msgspec.Struct, frozen=True, tag_field="kind", tag="batch"):
    """Drained frames on their way into the log."""

    batch: int
    parts: list[Part]
    acks: Acks
    damaged: dict[str, int] = {}


class Abort(msgspec.Struct, frozen=True, tag_field="kind", tag="abort"):
    """The batch before this line did not reach the log."""

    batch: int


class Seen(msgspec.Struct, frozen=True, tag_field="kind", tag="ring"):
    """A ring was met for the first time."""

    ring: str
    owner: str


class Fold(msgspec.Struct, frozen=True, tag_field="kind", tag="fold"):
    """A dead ring's counters, taken over for good."""

    ring: str
    offered: int
    accepted: int
    reasons: dict[str, int]


class Gone(msgspec.Struct, frozen=True, tag_field="kind", tag="gone"):
    """A folded ring's file is removed."""

    ring: str


class Vanished(msgspec.Struct, frozen=True, tag_field="kind", tag="vanished"):
    """A ring's file disappeared with whatever had not been drained."""

    ring: str
    owner: str
    at: str
    acked: int = 0


class Found(msgspec.Struct, frozen=True, tag_field="kind", tag="found"):
    """Whole lines in the log that no batch names: the ledger's end was lost with the power."""

    stream: Stream
    segment: int
    end: int
    lines: int


class Behind(msgspec.Struct, frozen=True, tag_field="kind", tag="behind"):
    """A ring was drained further than this ledger knows: the lake is an older copy of itself."""

    ring: str
    acks: list[tuple[int, int, int]]
    records: int


class Epoch(msgspec.Struct, frozen=True, tag_field="kind", tag="epoch"):
    """The lake's past changed; positions of the epoch before mean nothing now."""

    epoch: int
    why: str


class Truncated(msgspec.Struct, frozen=True, tag_field="kind", tag="truncated"):
    """The log ends before what was published: `lines` lines are gone from the disk."""

    stream: Stream
    segment: int
    end: int
    lines: int


class Head(msgspec.Struct, frozen=True):
    """What every version's first line has."""

    format: int | None = None


class RingState(msgspec.Struct):
    """What is known of a ring that is not folded yet."""

    owner: str
    lanes: dict[int, tuple[int, int]] = {}
    """Lane → (sequence, tail) acknowledged."""
    damaged: int = 0

    def acked(self) -> int:
        """Records of this ring that were drained, damaged ones included."""
        return sum(sequence for sequence, _ in self.lanes.values())


class State(msgspec.Struct, tag_field="kind", tag="state"):
    """Sum of all events; the first line of the journal."""

    format: int = FORMAT
    lake_id: str = ""
    epoch: int = 1
    batch: int = 0
    rings: dict[str, RingState] = {}
    retired: list[str] = []
    """Folded rings whose file may still stand."""
    offered: int = 0
    accepted: int = 0
    reasons: dict[str, int] = {}
    lines: dict[str, int] = {}
    ends: dict[str, tuple[int, int, int]] = {}
    """Stream → (segment, end in bytes, lines in that segment)."""
    found: int = 0
    lost: int = 0
    """Records acknowledged once and no longer in the log (restored copy, truncated file)."""
    vanished: list[Vanished] = []

    def apply(self, event: Event) -> None:
        """Add one event. Batches must come in order, without gaps."""
        match event:
            case Batch():
                self._apply_batch(event)
            case Seen():
                self.rings.setdefault(event.ring, RingState(event.owner))
            case Fold():
                self._fold(event)
            case Gone():
                self.retired = [ring for ring in self.retired if ring != event.ring]
            case Vanished():
                self._vanish(event)
            case Found():
                self._extend(event.stream, event.segment, event.end, event.lines)
                self.found += event.lines
            case Behind():
                ring = self.rings.setdefault(event.ring, RingState(""))
                ring.lanes.update({lane: (seq, tail) for lane, seq, tail in event.acks})
                self.lost += event.records
            case Epoch():
                self.epoch = event.epoch
            case Truncated():
                _, _, lines = self.ends.get(event.stream, (0, 0, 0))
                self.ends[event.stream] = (event.segment, event.end, lines - event.lines)
                self.lines[event.stream] = self.lines.get(event.stream, 0) - event.lines
                self.lost += event.lines

    def _apply_batch(self, event: Batch) -> None:
        self.batch = event.batch
        for part in event.parts:
            self._extend(part.stream, part.segment, part.end, part.lines)
        for ring_id, acks in event.acks.items():
            ring = self.rings.setdefault(ring_id, RingState(""))
            ring.lanes.update({lane: (sequence, tail) for lane, sequence, tail in acks})
            ring.damaged += event.damaged.get(ring_id, 0)

    def _extend(self, stream: Stream, segment: int, end: int, lines: int) -> None:
        number, _, before = self.ends.get(stream, (segment, 0, 0))
        self.ends[stream] = (segment, end, lines + (before if number == segment else 0))
        self.lines[stream] = self.lines.get(stream, 0) + lines

    def _fold(self, event: Fold) -> None:
        if event.ring in self.retired:
            return
        self.rings.pop(event.ring, None)
        self.retired = [*self.retired, event.ring]
        self.offered += event.offered
        self.accepted += event.accepted
        for reason, n in event.reasons.items():
            self.reasons[reason] = self.reasons.get(reason, 0) + n

    def _vanish(self, event: Vanished) -> None:
        ring = self.rings.pop(event.ring, None)
        acked = ring.acked() if ring else 0
        damaged = ring.damaged if ring else 0
        self.offered += acked
        self.accepted += acked - damaged
        if damaged:
            self.reasons["damaged"] = self.reasons.get("damaged", 0) + damaged
        self.vanished = [*self.vanished, msgspec.structs.replace(event, acked=acked)]


Event = (
    Batch | Abort | Seen | Fold | Gone | Vanished | Found | Behind | Epoch | Truncated
)  # fmt: skip
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Event).decode
_decode_state = msgspec.json.Decoder(State).decode
_decode_head = msgspec.json.Decoder(Head).decode
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Replay(msgspec.Struct):
    """What reading a journal found."""

    state: State
    pending: Batch | None
    """The batch that stands last: its bytes may or may not be in the log."""
    good: int
    """Bytes of the journal that are whole."""
    torn: int
    faults: list[str]
    """Sentences about lines that are missing, altered or out of order."""


def replay(path: Path) -> Replay:
    """Read a journal; FileNotFoundError without one, Unreadable when its head is not ours."""
    content = path.read_bytes()
    first = content.find(b"\n") + 1
    head = _checked(content[:first])
    try:
        version = _decode_head(head or b"").format
        if version != FORMAT:
            raise Unreadable(
                f"{path} is of ledger format {version} and this Lakeward knows {FORMAT}: "
                "use the version that wrote it"
            )
        state = _decode_state(head or b"")
    except _UNDECODABLE:
        raise Unreadable(
            f"{path} does not start with a whole snapshot: restore it from a backup"
        ) from None
    out = Replay(state, None, first, 0, [])
    for line in content[first:].splitlines(keepends=True):
        body = _checked(line)
        if body is None:
            break
        out.good += len(line)
        try:
            event = _decode(body)
        except _UNDECODABLE:
            raise Unreadable(
                f"{path} holds an event that this version does not know: use a newer Lakeward"
            ) from None
        _replay_one(out, event)
    out.torn = len(content) - out.good
    if content[out.good :].count(b"\n") > 1:
        out.faults.append(f"{path.name}: a line in the middle is damaged")
    return out


def _replay_one(out: Replay, event: Event) -> None:
    if isinstance(event, Abort):
        if out.pending is None or out.pending.batch != event.batch:
            out.faults.append(f"ledger: abort of batch {event.batch} has no batch before it")
        out.pending = None
        return
    if out.pending is not None:
        out.state.apply(out.pending)
        out.pending = None
    if isinstance(event, Batch):
        if event.batch != out.state.batch + 1:
            out.faults.append(f"ledger: batch {out.state.batch + 1} is missing")
        out.pending = event
    else:
        out.state.apply(event)


def _checked(line: bytes) -> bytes | None:
    """The JSON of one journal line, or None when its CRC or its end is not right."""
    if not line.endswith(b"\n") or len(line) < 11:
        return None
    body = line[9:-1]
    return body if line[:8] == b"%08x" % crc32(body) else None


def _line(event: Event | State) -> bytes:
    body = _encode(event)
    return b"%08x %s\n" % (crc32(body), body)


class Ledger:
    """The journal, open for appending; only the keeper has one."""

    def __init__(self, path: Path, lake_id: str, epoch: int, rotate_bytes: int = 4 << 20) -> None:
        self.path = path
        self._rotate_bytes = rotate_bytes
        self.faults: list[str] = []
        self.pending: Batch | None = None
        try:
            replayed = replay(path)
        except FileNotFoundError:
            self.state = State(lake_id=lake_id, epoch=epoch)
            replace_file(path, _line(self.state))
        else:
            self.state, self.pending = replayed.state, replayed.pending
            self.faults = replayed.faults
            if replayed.torn:
                os.truncate(path, replayed.good)
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._size = os.fstat(self._fd).st_size

    def append(self, event: Event) -> None:
        """Write one event and, unless it is a batch, add it to the state."""
        line = _line(event)
        try:
            write_all(self._fd, line)
        except BaseException:
            os.ftruncate(self._fd, self._size)
            raise
        self._size += len(line)
        if isinstance(event, Batch):
            self.pending = event
        elif isinstance(event, Abort):
            self.pending = None
        else:
            self.state.apply(event)

    def settle(self) -> None:
        """The pending batch is durable in the log."""
        if self.pending is not None:
            self.state.apply(self.pending)
            self.pending = None

    def rotate(self, *, force: bool = False) -> None:
        """Replace a long journal by a snapshot; nothing may be pending."""
        if self._size < self._rotate_bytes and not force:
            return
        replace_file(self.path, _line(self.state))
        os.close(self._fd)
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._size = os.fstat(self._fd).st_size

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
