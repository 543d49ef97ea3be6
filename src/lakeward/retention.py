"""Retention: what is older than the settings allow leaves the log and the quarantine.

In: settings, the time, and how far the table is. Out: whole files deleted when every line in them
is over, single lines overwritten otherwise, all journalled and counted `expired` (`removal`).
Nothing goes before every follower has it, until a follower is behind for longer than
`LAKEWARD_FOLLOWER_LAG_DAYS`. SettingError names `LAKEWARD_RETENTION_TYPES`; OSError when the disk
says no. May be ended and repeated at any point.

    .lakeward/retention.json   the first and last time of each kind of line in sealed files, so that
                               a run reads only files with something due; may be deleted
        {"day":"2026-11-26","kinds":["","click"],"files":{"7":{"click":[1764115200000,1764115200009]}}}

A line's time is that of its id, or the end of the day on which it was received when that is
earlier. The times of the quarantine are those of setting aside.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Final

import msgspec

from lakeward.barrier import erasing
from lakeward.errors import LakewardError, SettingError
from lakeward.followers.cursor import cursor_names, read_progress
from lakeward.followers.slices import day_of
from lakeward.interaction import id_ms, iso, parse_iso
from lakeward.lakedir import LakeDir, replace_file
from lakeward.ledger import STREAMS, Stream
from lakeward.lock import alone
from lakeward.log import Position, Segment, durable_files, read_published
from lakeward.removal import Cut, remove_lines, remove_segments
from lakeward.settings import Settings

DAY_MS: Final = 86_400_000
OTHERS: Final = ""
"""The kind of all lines whose type has no number of days of its own."""
SAVE_EVERY: Final = 16
"""Files that are read between two savings of what stands in them."""

Cutoffs = dict[str | None, int]
"""Type (None: all others) → ms since 1970 before which its interactions are over."""
Times = dict[str, tuple[int, int]]
"""Kind → first and last time of its lines."""


def cutoffs(settings: Settings, now_ms: int) -> Cutoffs:
    """What is over now, in whole days (UTC), so that mostly whole files are; empty when nothing
    ever is. 0 days of a type keep it for ever."""
    days: dict[str | None, int] = {}
    for entry in settings.retention_types:
        name, equals, number = (part.strip() for part in entry.partition("="))
        if not (name and equals and number.isdecimal() and number.isascii()) or name in days:
            raise SettingError(
                f"LAKEWARD_RETENTION_TYPES has {entry!r}: write type=days, each type once, such as "
                "page_view=30,click=30"
            )
        days[name] = int(number)
    if settings.retention_days:
        days[None] = settings.retention_days
    if not any(days.values()):
        return {}
    today = now_ms - now_ms % DAY_MS
    return {name: max(today - n * DAY_MS, 0) if n else 0 for name, n in days.items()}


class Expired(msgspec.Struct):
    """What a run did, in lines and files, and whom it waits for."""

    lines: int = 0
    files: int = 0
    individual: int = 0
    """Files of one interaction each, beside the log."""
    held: int = 0
    """Lines that are over and that a follower does not have yet."""
    waits_for: list[str] = []
    left_behind: list[str] = []
    """Followers that were too far behind to be waited for any longer."""


class Notes(msgspec.Struct):
    """Content of `retention.json`."""

    day: str = ""
    kinds: list[str] = []
    files: dict[int, Times] = {}


class _Line(msgspec.Struct):
    """What decides when a line is over."""

    interaction_id: object = None
    quarantine_id: object = None
    interaction_type: object = None


_line = msgspec.json.Decoder(_Line).decode


def read_notes(lake: LakeDir) -> Notes:
    """What was noted; nothing when the file is absent or damaged, as it can be made again."""
    try:
        content = (lake.private / "retention.json").read_bytes()
        return msgspec.json.decode(content, type=Notes)
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
        return Notes()


def write_notes(lake: LakeDir, notes: Notes) -> None:
    """Replace the file."""
    replace_file(lake.private / "retention.json", msgspec.json.encode(notes) + b"\n")


def note_day(lake: LakeDir, now_ms: int) -> None:
    """All stores are done for the day of `now_ms`."""
    with alone(lake, "retention"):
        write_notes(lake, msgspec.structs.replace(read_notes(lake), day=iso(now_ms)[:10]))


def expire_log(
    lake: LakeDir,
    settings: Settings,
    now_ms: int,
    *,
    table: Position | None = None,
    pause: Callable[[str], None] = lambda point: None,
) -> Expired:
    """Remove from log and quarantine what is over. `table`: how far the table is, where there is
    one to wait for."""
    rule = Rule(cutoffs(settings, now_ms), now_ms, settings.follower_lag_days * DAY_MS)
    done = Expired()
    if rule.cutoffs:
        with alone(lake, "retention"):
            notes = read_notes(lake)
            if notes.kinds != rule.kinds():
                notes = Notes(notes.day, rule.kinds())
            for stream in STREAMS:
                places = _places(lake, table) if stream == "raw" else {}
                _Expiry(lake, stream, rule, places, notes, done, pause).run()
    return done


def _places(lake: LakeDir, table: Position | None) -> dict[str, tuple[int, int]]:
    """How far each follower is in the log of this epoch; who cannot say it, is at its beginning."""
    epochs = {0, lake.identity.epoch}
    places = {}
    for name in cursor_names(lake):
        places[name] = (0, 0)
        with suppress(LakewardError):
            done = read_progress(lake.private / "cursors" / f"{name}.json").done
            if done.epoch in epochs:
                places[name] = done.segment, done.offset
    if table is not None:
        places["table"] = (table.segment, table.offset) if table.epoch in epochs else (0, 0)
    return places


class Rule(msgspec.Struct, frozen=True):
    """Which lines are over, and which of them are not waited for any longer."""

    cutoffs: Cutoffs
    now_ms: int
    lag_ms: int

    def kinds(self) -> list[str]:
        """The kinds of lines that the rule tells apart."""
        return sorted({OTHERS, *(name for name in self.cutoffs if name)})

    def kind(self, interaction_type: object) -> str:
        """The kind of a line of this type."""
        known = isinstance(interaction_type, str) and interaction_type in self.cutoffs
        return str(interaction_type) if known else OTHERS

    def over(self, kind: str, ms: int, *, longer: int = 0) -> bool:
        """Whether a line of that time is over, for `longer` at least."""
        return ms < self.cutoffs.get(kind or None, 0) - longer

    def shortest(self) -> str:
        """The kind that is over first."""
        return max(self.cutoffs, key=lambda name: self.cutoffs[name]) or OTHERS

    def hurries(self, received_ms: int) -> bool:
        """Whether lines received by then have waited long enough for whoever is behind."""
        return received_ms <= self.now_ms - self.lag_ms


class _Read(msgspec.Struct):
    """What stands in one file: what may go, what is held back, and the times of what stays."""

    cuts: list[Cut] = []
    stays: Times = {}
    held: int = 0
    early: int = 0
    """How many of the cuts somebody has not got."""


class _Expiry:
    """One run over one stream."""

    def __init__(
        self, lake: LakeDir, stream: Stream, rule: Rule, places: dict[str, tuple[int, int]],
        notes: Notes, done: Expired, pause: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._lake = lake
        self._stream: Stream = stream
        self._rule = rule
        self._places = places
        self._slowest = min(places.values(), default=(1 << 62, 0))
        self._notes = notes
        self._done = done
        self._pause = pause

    def run(self) -> None:
        """Go through the files, the oldest first."""
        published = read_published(self._lake.private / "published")
        if published is None:
            return
        read = 0
        last = published.ends[self._stream][0]
        for segment, end in list(durable_files(self._lake, published, self._stream)):
            # The keeper looks for the last file when it starts: that one stays, if only as spaces.
            sealed = segment.end is not None and segment.number < last
            if not (self._lake.root / segment.path).exists():
                self._notes.files.pop(segment.number, None)
            elif self._may_hold(segment, self._notes.files.get(segment.number)):
                self._expire(segment, end, sealed)
                read += 1
                if read % SAVE_EVERY == 0:
                    write_notes(self._lake, self._notes)
        write_notes(self._lake, self._notes)

    def _may_hold(self, segment: Segment, known: Times | None) -> bool:
        """Whether the file has to be read: something in it may be over."""
        received = _received(segment)
        if known is None:
            return True
        if not known:
            return self._rule.over(self._rule.shortest(), received)
        return any(self._rule.over(kind, first) for kind, (first, _) in known.items())

    def _expire(self, segment: Segment, end: int, sealed: bool) -> None:
        received = _received(segment)
        if sealed and self._is_over(segment, end):
            self._delete(segment)
            return
        read = self._read(segment, end, received)
        self._done.held += read.held
        if read.held:
            self._name(self._done.waits_for, segment.number)
        if read.early:
            self._name(self._done.left_behind, segment.number)
        empty = not read.stays and (read.cuts or self._rule.over(self._rule.shortest(), received))
        # A follower that has not got a line may be reading it: it sees it whole or not at all.
        with erasing(self._lake) if read.early else nullcontext():
            if sealed and empty and self._is_past(segment, end, received):
                self._delete(segment)
                return
            if read.cuts:
                self._done.lines += remove_lines(
                    self._lake, read.cuts, "expired", stream=self._stream, pause=self._pause
                )
        if sealed:
            self._notes.files[segment.number] = read.stays

    def _is_over(self, segment: Segment, end: int) -> bool:
        """Whether what is known of a file is enough to delete it."""
        known = self._notes.files.get(segment.number)
        return (
            bool(known)
            and (segment.number, end) <= self._slowest
            and all(self._rule.over(kind, last) for kind, (_, last) in (known or {}).items())
        )

    def _delete(self, segment: Segment) -> None:
        self._done.lines += remove_segments(
            self._lake, [segment.number], stream=self._stream, pause=self._pause
        )
        self._done.files += 1
        self._notes.files.pop(segment.number, None)

    def _is_past(self, segment: Segment, end: int, received: int) -> bool:
        """Whether nobody is waited for any longer who has not got the whole file."""
        return (segment.number, end) <= self._slowest or self._rule.hurries(received)

    def _read(self, segment: Segment, end: int, received: int) -> _Read:
        rule, hurries, read = self._rule, self._rule.hurries(received), _Read()
        offset = 0
        with (self._lake.root / segment.path).open("rb") as file:
            while offset < end:
                line = file.readline(end - offset)
                if not line.endswith(b"\n"):
                    break
                cut = Cut(segment.number, offset, len(line))
                offset += len(line)
                if line.startswith(b" ") and not line.strip():
                    continue
                kind, ms = self._told(line, received)
                if rule.over(kind, ms):
                    passed = (segment.number, offset) <= self._slowest
                    if passed or (hurries and rule.over(kind, ms, longer=rule.lag_ms)):
                        read.cuts.append(cut)
                        read.early += not passed
                        continue
                    read.held += 1
                first, last = read.stays.get(kind, (ms, ms))
                read.stays[kind] = min(first, ms), max(last, ms)
        return read

    def _told(self, line: bytes, received: int) -> tuple[str, int]:
        """Kind and time of a line; what is no record is of the day when it came."""
        try:
            told = _line(line)
            own = told.interaction_id if self._stream == "raw" else told.quarantine_id
            return self._rule.kind(told.interaction_type), min(id_ms(str(own)), received)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
            return OTHERS, received

    def _name(self, names: list[str], number: int) -> None:
        """Add the followers that are not beyond the file."""
        names += [
            name for name, place in self._places.items() if place[0] <= number and name not in names
        ]


def _received(segment: Segment) -> int:
    """The end of the day on which a file's lines were received, in ms since 1970."""
    day = day_of(segment)
    return parse_iso(day) + DAY_MS - 1 if day else 0
