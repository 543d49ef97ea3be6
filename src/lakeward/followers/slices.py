"""Where a follower's next slice ends, and what stands in it.

In: a place in the log and a pace. Out: a stretch of one segment that is durable and not yet read,
the end of a slice in it, its lines with what is to become of each. Reads no more of the log than
one slice at once, and looks at the list of segments only when something was published.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import msgspec

from lakeward.errors import Unreadable
from lakeward.followers.cursor import Counts, Cursor, Progress
from lakeward.followers.protocol import Pace, Slice
from lakeward.lakedir import LakeDir
from lakeward.log import Published, Segment, durable_files, read_published
from lakeward.rollout import ALL, bucket
from lakeward.suppression import Suppressed

DAY = re.compile(r"year=(\d{4})/month=(\d\d)/day=(\d\d)/")


class Stretch(msgspec.Struct, frozen=True):
    """Durable bytes of one segment from `start` to `end`."""

    segment: Segment
    start: int
    end: int
    last: bool
    """Whether more may be appended."""
    here: bool
    """Whether the file is there; retention deletes whole segments."""


class Read(msgspec.Struct, frozen=True):
    """A slice as it is to be delivered, the place of each line, and the lines left out of it."""

    piece: Slice
    places: tuple[tuple[int, int], ...]
    left_out: Counts


class Who(msgspec.Struct, frozen=True):
    """What decides whether a record is delivered."""

    interaction_id: object = None
    user_id: object = None
    session_id: object = None
    anonymous_id: object = None


_who = msgspec.json.Decoder(Who).decode


class Lookout:
    """Notices what waits behind a place; remembers the segments between publications."""

    def __init__(self, lake: LakeDir) -> None:
        self._lake = lake
        self._published: Published | None = None
        self._files: list[tuple[Segment, int]] = []

    def _look(self) -> bool:
        """Whether anything is durable in this epoch."""
        known, published = self._published, read_published(self._lake.private / "published")
        if published is not None and published != known:
            end = published.ends["raw"]
            if known is not None and self._files and known.ends["raw"][0] == end[0]:
                self._files[-1] = (self._files[-1][0], end[1])
            else:
                self._files = list(durable_files(self._lake, published))
            self._published = published
        return self._published is not None and self._published.epoch == self._lake.identity.epoch

    def waiting(self, done: Cursor) -> Stretch | None:
        """What comes next behind `done`, in one segment; None when all is delivered."""
        if not self._look():
            return None
        for n, (segment, end) in enumerate(self._files):
            if segment.number < done.segment:
                continue
            start = done.offset if segment.number == done.segment else 0
            if start < end:
                here = (self._lake.root / segment.path).exists()
                return Stretch(segment, start, end, n == len(self._files) - 1, here)
        return None

    def planned(self, progress: Progress) -> Stretch | None:
        """The slice that is under way; None when its segment is not known."""
        planned, done = progress.planned, progress.done
        assert planned is not None
        self._look()
        for segment, _ in self._files:
            if segment.number == planned.segment:
                start = done.offset if segment.number == done.segment else 0
                here = (self._lake.root / segment.path).exists()
                return Stretch(segment, start, planned.offset, False, here)
        return None

    def cut(self, stretch: Stretch, pace: Pace) -> int:
        """Where a slice that begins with the stretch ends: after whole lines, and at least one."""
        with (self._lake.root / stretch.segment.path).open("rb") as file:
            file.seek(stretch.start)
            content = file.read(min(pace.bytes, stretch.end - stretch.start))
            end = _end_of(content, pace.lines)
            if not end:
                content = b""
                file.seek(stretch.start)
                end = len(file.readline(stretch.end - stretch.start))
        return stretch.start + end

    def lines(self, stretch: Stretch) -> Iterator[tuple[int, int, bytes]]:
        """(start, end, line) of all there is in the stretch, erased lines included."""
        with (self._lake.root / stretch.segment.path).open("rb") as file:
            file.seek(stretch.start)
            at = stretch.start
            while at < stretch.end:
                line = file.readline(stretch.end - at)
                if not line.endswith(b"\n"):
                    raise Unreadable(
                        f"{stretch.segment.path} ends before what was published: start "
                        "`lakeward run`, which counts what is gone"
                    )
                yield at, at + len(line), line
                at += len(line)


def _end_of(content: bytes, lines: int) -> int:
    """Behind the last line of `content`, or behind the `lines`-th."""
    if content.count(b"\n") <= lines:
        return content.rfind(b"\n") + 1
    end = 0
    for _ in range(lines):
        end = content.index(b"\n", end) + 1
    return end


def day_of(segment: Segment) -> str:
    """Day of receipt of a segment, from its folder."""
    found = DAY.search(segment.path)
    return "-".join(found.groups()) if found else ""


def sift(
    lines: Iterator[tuple[int, int, bytes]],
    start: Cursor,
    end: Cursor,
    day: str,
    *,
    suppressed: Suppressed,
    sampled: Callable[[Who], bool] | None,
) -> Read:
    """The slice without erased lines, suppressed people and users beyond the rollout's share."""
    kept: list[bytes] = []
    places: list[tuple[int, int]] = []
    erased = hidden = left = 0
    for begin, behind, line in lines:
        if not line.strip():
            erased += 1
            continue
        if suppressed or sampled is not None:
            who = whose(line)
            if suppressed and suppressed.covers(msgspec.structs.asdict(who)):
                hidden += 1
                continue
            if sampled is not None and sampled(who):
                left += 1
                continue
        kept.append(line)
        places.append((begin, behind))
    return Read(
        Slice(start, end, tuple(kept), day), tuple(places),
        Counts(sampled=left, suppressed=hidden, erased=erased),
    )  # fmt: skip


def whose(line: bytes) -> Who:
    """Of whom a line is; of nobody when it is no record."""
    try:
        return _who(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Who()


def beyond(share: int, feature: int) -> Callable[[Who], bool] | None:
    """Whether a record is left out by a rollout's share; None when all are in. A user without an
    id is its session, one with neither is drawn by the id of the record: always alike."""
    if share >= ALL:
        return None

    def left_out(who: Who) -> bool:
        named = None if who.user_id == "anonymous" else who.user_id
        user = named or who.anonymous_id or who.session_id or who.interaction_id
        return bucket(feature, str(user)) >= share

    return left_out
