"""Replay: bring what was set aside back into the lake, once its reason is gone.

In: a selection of quarantine entries. Out: the same interactions in the log, under the id that each
had, or one that its entry alone decides, so that bringing it back twice adds no row to the table.
What its type still refuses stays where it is. Nobody who was erased comes back.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

import msgspec

from lakeward.barrier import delivering
from lakeward.collector import OUTCOMES, Collector
from lakeward.errors import Rejected, Transient
from lakeward.interaction import OURS, JsonObject, foreign_id, iso, parse_iso
from lakeward.lakedir import LakeDir
from lakeward.privacy import ScrubFailed
from lakeward.quarantine import NOT_PERMITTED, Entry, Selection, brought_back, entries, mark
from lakeward.suppression import Suppressed, load, who

BATCH_LINES, BATCH_BYTES = 500, 1 << 18
COMMIT_SECONDS = 60.0
SOURCE = "quarantine"


class Replayed(msgspec.Struct):
    """What became of the selected entries: `selected` is the sum of all the others."""

    selected: int = 0
    replayed: int = 0
    known: int = 0
    suppressed: int = 0
    left: int = 0
    """Not looked at, as there were more than were to be taken at a time."""
    refused: dict[str, int] = {}

    def refuse(self, why: str) -> None:
        """One more that stays, for this reason."""
        self.refused[why] = self.refused.get(why, 0) + 1


class Ready(msgspec.Struct, frozen=True):
    """A line that can go into the log, and the entry that it comes from."""

    quarantine_id: str
    line: bytes


class Replay:
    """One bringing back; `most` entries at a time that were not brought back before, 0: all."""

    def __init__(
        self, lake: LakeDir, collector: Collector, changes: JsonObject, *, dry: bool = False,
        most: int = 0,
    ) -> None:  # fmt: skip
        self._lake = lake
        self._collector = collector
        self._changes = changes
        self._dry = dry
        self._most = most
        self._done = Replayed()

    def run(self, chosen: Selection) -> Replayed:
        """All selected entries, a batch at a time."""
        self._asked = bool(chosen.ids) or chosen.reason == NOT_PERMITTED
        for batch in _batches(self._fresh(chosen)):
            # While this is held no erase finishes: whoever is not on the list now, is not erased
            # until what is brought back of him is in the log, where the erase finds it.
            with delivering(self._lake):
                suppressed = load(self._lake)
                ready = [r for entry in batch if (r := self._ready(entry, suppressed))]
                if ready and not self._dry:
                    self._put(ready)
                self._done.replayed += len(ready)
        return self._done

    def _fresh(self, chosen: Selection) -> Iterator[Entry]:
        known = brought_back(self._lake)
        fresh = 0
        for entry in entries(self._lake, chosen):
            self._done.selected += 1
            if entry.quarantine_id in known:
                self._done.known += 1
            elif self._most and fresh >= self._most:
                self._done.left += 1
            else:
                fresh += 1
                yield entry

    def _ready(self, entry: Entry, suppressed: Suppressed) -> Ready | None:
        """The entry's line, or None when it was counted as something else."""
        try:
            if entry.reason == NOT_PERMITTED and not self._asked:
                raise Rejected("A key did not permit it: name it by --id or by its whole --reason.")
            line = line_of(self._collector, entry, self._changes)
        except Rejected as error:
            self._done.refuse(str(error))
        except ScrubFailed:
            self._done.refuse("The scrub callable failed.")
        else:
            if not (suppressed and suppressed.covers(who(line))):
                return Ready(entry.quarantine_id, line)
            self._done.suppressed += 1
        return None

    def _put(self, ready: list[Ready]) -> None:
        """Into the log, durably, then into the journal: a kill in between repeats it under the
        same ids."""
        for lines in framed([r.line for r in ready]):
            if not self._collector.put_batch(lines):
                raise Transient(
                    "the memory between this process and the lake's keeper is full or missing: see "
                    "`lakeward doctor` and replay again"
                )
            self._collector.commit(COMMIT_SECONDS)
        mark(self._lake, [r.quarantine_id for r in ready], iso(time.time_ns() // 1_000_000))


def _batches(found: Iterator[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    for entry in found:
        batch.append(entry)
        if len(batch) == BATCH_LINES:
            yield batch
            batch = []
    if batch:
        yield batch


def framed(lines: list[bytes]) -> Iterator[list[bytes]]:
    """Lines in parts that the ring has room for; a longer one is a part of its own."""
    part: list[bytes] = []
    size = 0
    for line in lines:
        if part and size + len(line) > BATCH_BYTES:
            yield part
            part, size = [], 0
        part.append(line)
        size += len(line)
    yield part


def line_of(collector: Collector, entry: Entry, changes: JsonObject) -> bytes:
    """The finished line of an entry's interaction; Rejected, with a sentence, when there is none.

    What a follower set aside was finished once, so it is taken as it stands.
    """
    if entry.record is None:
        raise Rejected("Only its length and hash were kept.")
    if not isinstance(entry.record, dict):
        raise Rejected("It was too large to be kept.")
    if entry.follower and not changes:
        line = msgspec.json.encode(entry.record)
    else:
        kind, fields = interaction(entry, changes)
        if kind in OUTCOMES and not collector.settings.track_outcomes:
            raise Rejected("Outcomes are not tracked: set ENABLE_OUTCOME_TRACKING=true.")
        try:
            line = collector.prepare(kind, fields)
        except (Rejected, ScrubFailed):
            raise
        except Exception as error:
            raise Rejected(f"It cannot be stored ({type(error).__name__}).") from None
    if len(line) > collector.settings.frame_bytes:
        raise Rejected("It is larger than LAKEWARD_FRAME_BYTES.")
    return line


def interaction(entry: Entry, changes: JsonObject) -> tuple[str, JsonObject]:
    """Type and fields with an id and a time that the entry alone decides, whenever it is brought
    back; one without a time is as old as its entry."""
    fields = entry.record | changes
    fields = {name: value for name, value in fields.items()
              if value is not None or name not in changes}  # fmt: skip
    kind = fields.pop("interaction_type", None) or entry.interaction_type
    if not isinstance(kind, str) or not kind:
        raise Rejected("`interaction_type` is missing: give it with --set interaction_type=NAME.")
    if entry.environment:
        fields.setdefault("environment", entry.environment)
    if fields.get("interaction_id") is None:
        ms = parse_iso(entry.quarantined_at)
        with suppress(ValueError, OverflowError):
            ms = ms if fields.get("timestamp") is None else parse_iso(str(fields["timestamp"]))
        fields["interaction_id"] = foreign_id(SOURCE, entry.quarantine_id, ms)
    elif OURS.fullmatch(str(fields["interaction_id"]).lower()):
        return kind, fields  # it has its time in itself
    if fields.get("timestamp") is None:
        fields["timestamp"] = entry.quarantined_at
    return kind, fields
