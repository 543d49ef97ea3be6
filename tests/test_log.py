"""Readers of the log see whole, durable lines in order; the ledger's journal adds up."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lakeward.log
from conftest import Lake, wait_until
from lakeward.errors import Unreadable
from lakeward.lakedir import LakeDir, open_lake, write_all
from lakeward.ledger import (
    STREAMS,
    Abort,
    Batch,
    Behind,
    Epoch,
    Event,
    Fold,
    Found,
    Gone,
    Ledger,
    Part,
    Seen,
    State,
    Stream,
    Truncated,
    Vanished,
    replay,
)
from lakeward.log import (
    Log,
    Position,
    day_folder,
    encode_published,
    last_lines,
    read_lines,
    read_published,
    read_segments,
)
from test_keeper import keeping

NOON_MS = 1_755_172_800_000  # 2025-08-14T12:00:00Z
many_times = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Writer:
    """The keeper's part of the log: writes lines and publishes their end, or only writes."""

    def __init__(self, lake: LakeDir, segment_bytes: int = 1 << 20) -> None:
        self.lake = lake
        self.log = Log(lake, segment_bytes)
        self.state = State(lake_id=lake.identity.lake_id)
        self.written: list[bytes] = []

    def write(self, *bodies: str, stream: Stream = "raw", now_ms: int = NOON_MS) -> None:
        """Append lines as one batch; readers do not see them yet."""
        lines = [f'{{"body":"{body}"}}\n'.encode() for body in bodies]
        content = b"".join(lines)
        segment, start = self.log.place(stream, len(content), now_ms)
        self.log.write(stream, content, len(lines))
        end = start + len(content)
        part = Part(stream, segment, start, end, len(lines), crc32(content))
        self.state.apply(Batch(self.state.batch + 1, [part], {}))
        self.written += lines

    def publish(self) -> None:
        """Let readers see what was written."""
        self.log.publish(self.state)


@pytest.fixture
def lake(tmp_path: Path) -> LakeDir:
    return open_lake(tmp_path / "data-lake")


@pytest.fixture
def writer(lake: LakeDir) -> Iterator[Writer]:
    made = Writer(lake, segment_bytes=100)
    yield made
    made.log.close()


def bodies(rows: list[tuple[bytes, Position]]) -> list[str]:
    return [msgspec.json.decode(line)["body"] for line, _ in rows]


def fill(writer: Writer, count: int) -> None:
    for n in range(0, count, 2):
        writer.write(str(n), str(n + 1))
    writer.publish()


def erase(lake: LakeDir, number: int) -> None:
    """Overwrite the `number`-th line of the log with spaces, as an erasure does."""
    line, position = list(read_lines(lake))[number]
    segment = next(s for s in read_segments(lake)[0] if s.number == position.segment)
    with (lake.root / segment.path).open("r+b") as file:
        file.seek(position.offset - len(line))
        file.write(b" " * (len(line) - 1))


# Reading lines


def test_lines_come_in_log_order_across_segments(lake: LakeDir, writer: Writer) -> None:
    fill(writer, 20)
    assert len(read_segments(lake)[0]) > 3
    assert [line for line, _ in read_lines(lake)] == writer.written


def test_reading_goes_on_behind_any_position(lake: LakeDir, writer: Writer) -> None:
    fill(writer, 20)
    rows = list(read_lines(lake))
    for n, (_, position) in enumerate(rows):
        assert list(read_lines(lake, position)) == rows[n + 1 :]


def test_a_position_says_the_segment_and_the_offset_behind_the_line(
    lake: LakeDir, writer: Writer
) -> None:
    fill(writer, 6)
    for line, position in read_lines(lake):
        segment = next(s for s in read_segments(lake)[0] if s.number == position.segment)
        content = (lake.root / segment.path).read_bytes()
        assert content[: position.offset].endswith(line)
        assert position.epoch == lake.identity.epoch


def test_what_is_written_and_not_published_is_not_read(lake: LakeDir, writer: Writer) -> None:
    writer.write("seen")
    writer.publish()
    writer.write("unseen")
    assert bodies(list(read_lines(lake))) == ["seen"]
    assert bodies(last_lines(lake, 5)) == ["seen"]
    writer.publish()
    writer.write("in a segment that is not published" + "x" * 100)
    assert len(read_segments(lake)[0]) == 2
    assert bodies(list(read_lines(lake))) == ["seen", "unseen"]
    assert bodies(last_lines(lake, 5)) == ["seen", "unseen"]


def test_a_segment_that_was_sealed_since_is_read_to_its_published_end_only(
    lake: LakeDir, writer: Writer
) -> None:
    writer.write("seen")
    writer.publish()
    writer.write("unseen")
    writer.log.seal("raw", "size")
    assert bodies(list(read_lines(lake))) == ["seen"]


def test_half_a_line_behind_the_published_end_is_never_read(lake: LakeDir, writer: Writer) -> None:
    writer.write("whole")
    writer.publish()
    [segment] = read_segments(lake)[0]
    with (lake.root / segment.path).open("ab") as file:
        file.write(b'{"body":"to')
    assert bodies(list(read_lines(lake))) == ["whole"]


def test_the_two_streams_are_read_apart(lake: LakeDir, writer: Writer) -> None:
    writer.write("good")
    writer.write("bad", stream="quarantine")
    writer.write("also good")
    writer.publish()
    assert bodies(list(read_lines(lake))) == ["good", "also good"]
    assert bodies(list(read_lines(lake, stream="quarantine"))) == ["bad"]
    assert bodies(last_lines(lake, 9, "quarantine")) == ["bad"]


def test_erased_lines_are_skipped_and_positions_stay(lake: LakeDir, writer: Writer) -> None:
    fill(writer, 12)
    before = list(read_lines(lake))
    erase(lake, 5)
    kept = before[:5] + before[6:]
    assert list(read_lines(lake)) == kept
    for _, position in before:
        assert list(read_lines(lake, position)) == [row for row in kept if follows(row, position)]


def follows(row: tuple[bytes, Position], position: Position) -> bool:
    return (row[1].segment, row[1].offset) > (position.segment, position.offset)


def test_a_lake_without_a_published_end_has_no_lines(lake: LakeDir, writer: Writer) -> None:
    writer.write("unseen")
    (lake.private / "published").unlink()
    assert list(read_lines(lake)) == []
    assert last_lines(lake, 5) == []


def test_a_position_of_an_older_epoch_is_not_taken_for_a_new_one(
    lake: LakeDir, writer: Writer
) -> None:
    fill(writer, 12)
    old = list(read_lines(lake))[5][1]
    fresh = Writer(lake.with_epoch(2), segment_bytes=1 << 20)
    fresh.state = msgspec.structs.replace(writer.state, epoch=2)
    fresh.write("new")
    fresh.publish()
    fresh.log.close()
    with pytest.raises(Unreadable):
        list(read_lines(fresh.lake, old))


# The last lines


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 13, 14, 15, 100])
def test_the_last_lines_are_the_end_of_all_lines(lake: LakeDir, writer: Writer, count: int) -> None:
    fill(writer, 14)
    rows = list(read_lines(lake))
    assert last_lines(lake, count) == (rows[-count:] if count else [])


def test_erased_lines_do_not_count_as_last_ones(lake: LakeDir, writer: Writer) -> None:
    fill(writer, 14)
    for number in (13, 12, 11, 4):
        erase(lake, number)
    assert bodies(last_lines(lake, 7)) == ["3", "5", "6", "7", "8", "9", "10"]


def test_the_last_lines_of_a_long_log_are_found_without_reading_it_all(
    lake: LakeDir, writer: Writer
) -> None:
    fill(writer, 20)
    first = lake.root / read_segments(lake)[0][0].path
    first.unlink()
    assert bodies(last_lines(lake, 3)) == ["17", "18", "19"]


# A reader beside a writer


def slow_halves(fd: int, content: bytes) -> None:
    """A write that a reader can watch being half done."""
    for at in range(0, len(content), 7):
        write_all(fd, content[at : at + 7])


def test_a_reader_beside_a_writer_never_sees_a_torn_line(lake: LakeDir) -> None:
    total = 1500
    pid = os.fork()
    if pid == 0:
        try:
            lakeward.log.write_all = slow_halves
            writer = Writer(lake, segment_bytes=3000)
            for n in range(0, total, 3):
                writer.write(*(f"{m:05d}" for m in range(n, n + 3)))
                writer.publish()
            os._exit(0)
        finally:
            os._exit(1)
    position: Position | None = None
    seen: list[str] = []
    looks = 0

    def all_read() -> bool:
        nonlocal position, looks
        looks += 1
        for line, reached in read_lines(lake, position):
            assert line.endswith(b"}\n"), line
            seen.append(msgspec.json.decode(line)["body"])
            position = reached
        return len(seen) >= total

    wait_until(all_read, what="reading it all")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert seen == [f"{n:05d}" for n in range(total)]
    assert looks > 1


# Files of the log


def test_a_torn_last_line_of_the_segment_table_is_not_there(lake: LakeDir, writer: Writer) -> None:
    fill(writer, 8)
    segments, good = read_segments(lake)
    table = lake.private / "segments.jsonl"
    assert good == table.stat().st_size
    last = table.read_bytes().splitlines(keepends=True)[-1]
    for cut in range(1, len(last)):
        with table.open("ab") as file:
            file.write(last[:cut])
        assert read_segments(lake) == (segments, good)
        os.truncate(table, good)


def test_a_torn_last_line_of_the_segment_table_is_cut_on_open(lake: LakeDir) -> None:
    first = Writer(lake)
    first.write("one")
    first.publish()
    first.log.close()
    table = lake.private / "segments.jsonl"
    before = table.read_bytes()
    table.write_bytes(before + b'{"segment":2,"stre')
    again = Log(lake, 1 << 20)
    assert table.read_bytes() == before
    again.place("raw", 1, NOON_MS)
    again.close()
    assert [segment.number for segment in read_segments(lake)[0]] == [1, 2]


@pytest.mark.parametrize("line", [b"{]\n", b"\n", b'{"segment":"two"}\n', b"[1]\n"])
def test_a_damaged_whole_line_of_the_segment_table_is_refused(
    lake: LakeDir, writer: Writer, line: bytes
) -> None:
    writer.write("one")
    with (lake.private / "segments.jsonl").open("ab") as file:
        file.write(line)
    with pytest.raises(Unreadable, match="damaged line"):
        read_segments(lake)


def test_a_sealed_segment_has_its_end_and_its_lines_and_an_open_one_has_none(
    lake: LakeDir, writer: Writer
) -> None:
    fill(writer, 20)
    *sealed, last = read_segments(lake)[0]
    for segment in sealed:
        content = (lake.root / segment.path).read_bytes()
        assert (segment.end, segment.lines) == (len(content), content.count(b"\n"))
    assert last.end is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: content[:20] + bytes([content[20] ^ 1]) + content[21:],
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: (
            b"LAKEEND2" + content[8:60] + crc32(b"LAKEEND2" + content[8:60]).to_bytes(4, "little")
        ),
    ],
    ids=["empty", "short", "long", "a bit", "its checksum", "another format"],
)
def test_a_published_end_that_is_not_whole_is_none(
    lake: LakeDir, writer: Writer, damage: Any
) -> None:
    writer.write("one")
    writer.publish()
    path = lake.private / "published"
    assert read_published(path) is not None
    path.write_bytes(damage(path.read_bytes()))
    assert read_published(path) is None
    assert list(read_lines(lake)) == []


@given(
    st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1),
    st.dictionaries(st.sampled_from(STREAMS), st.tuples(*[st.integers(0, 2**64 - 1)] * 3)),
)  # fmt: skip
def test_a_published_end_reads_as_it_was_written(
    epoch: int, batch: int, ends: dict[str, tuple[int, int, int]]
) -> None:
    content = encode_published(epoch, batch, ends)
    assert len(content) == 64
    path = Path("/dev/shm") / f"lw-published-{os.getpid()}"
    path.write_bytes(content)
    try:
        found = read_published(path)
    finally:
        path.unlink()
    assert found is not None
    assert (found.epoch, found.batch) == (epoch, batch)
    assert found.ends == {stream: ends.get(stream, (0, 0, 0))[:2] for stream in STREAMS}


# Days


@pytest.mark.parametrize(
    ("moment", "folder"),
    [
        ("2025-08-14T00:00:00.000", "raw/year=2025/month=08/day=14"),
        ("2025-08-14T23:59:59.999", "raw/year=2025/month=08/day=14"),
        ("2025-08-15T00:00:00.000", "raw/year=2025/month=08/day=15"),
        ("2024-02-29T12:00:00.000", "raw/year=2024/month=02/day=29"),
        ("2025-12-31T23:59:59.999", "raw/year=2025/month=12/day=31"),
        ("2026-01-01T00:00:00.000", "raw/year=2026/month=01/day=01"),
        ("1999-12-31T23:59:59.999", "raw/year=2000/month=01/day=01"),
        ("1970-01-01T00:00:00.000", "raw/year=2000/month=01/day=01"),
        ("2100-01-01T00:00:00.000", "raw/year=2099/month=12/day=31"),
        ("9999-12-31T23:59:59.999", "raw/year=2099/month=12/day=31"),
    ],
)
def test_a_folder_is_the_utc_day_of_receipt_within_the_lakes_years(
    moment: str, folder: str
) -> None:
    ms = (datetime.fromisoformat(moment) - datetime(1970, 1, 1)) // timedelta(milliseconds=1)
    assert day_folder("raw", ms) == folder
    assert day_folder("quarantine", ms) == folder.replace("raw", "quarantine")


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31, 23, 59, 59), timezones=st.just(UTC))
)
def test_a_folder_is_named_as_the_calendar_says(moment: datetime) -> None:
    ms = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert day_folder("raw", ms) == moment.strftime("raw/year=%Y/month=%m/day=%d")


# Writing


def limited(lake: Path, code: str) -> str:
    """Run a script in which no file may grow beyond what `limit(bytes)` says: a full disk."""
    head = """
        import os, resource, sys
        from pathlib import Path
        from lakeward.lakedir import open_lake
        from lakeward.ledger import *
        from lakeward.log import *
        lake = open_lake(Path(sys.argv[1]))
        def limit(most):
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(head) + textwrap.dedent(code), str(lake)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_lines_that_do_not_fit_on_the_disk_are_taken_back_whole(lake: LakeDir) -> None:
    out = limited(lake.root, """
        log = Log(lake, 1 << 20)
        segment, _ = log.place("raw", 8, 1_755_172_800_000)
        log.write("raw", b'{"n":1}\\n', 1)
        path = lake.root / log.segments[0].path
        limit(12)
        try:
            log.write("raw", b'{"n":2}\\n{"n":3}\\n', 2)
        except OSError as error:
            print(error.strerror, path.read_bytes())
        limit(resource.RLIM_INFINITY)
        assert log.place("raw", 8, 1_755_172_800_000) == (segment, 8)
        log.write("raw", b'{"n":4}\\n', 1)
        print(path.read_bytes())
    """)  # fmt: skip
    assert out == 'File too large b\'{"n":1}\\n\'\nb\'{"n":1}\\n{"n":4}\\n\'\n'


def test_an_event_that_does_not_fit_on_the_disk_is_taken_back_whole(lake: LakeDir) -> None:
    out = limited(lake.root, """
        path = lake.private / "ledger.jsonl"
        ledger = Ledger(path, lake.identity.lake_id, 1)
        ledger.append(Seen("ring", "owner"))
        before, state = path.read_bytes(), replay(path).state
        for most in (len(before), len(before) + 1, len(before) + 30):
            limit(most)
            for event in (Seen("another", "owner"), Batch(1, [], {}), Epoch(2, "why")):
                try:
                    ledger.append(event)
                except OSError:
                    assert path.read_bytes() == before
                    assert ledger.state == state and ledger.pending is None
                else:
                    print("it fitted")
        limit(resource.RLIM_INFINITY)
        ledger.append(Batch(1, [], {"ring": [(0, 5, 120)]}))
        ledger.settle()
        ledger.append(Epoch(3, "why"))
        again = replay(path)
        assert again.state == ledger.state and not again.faults and not again.torn
        print(again.state.epoch, again.state.batch)
    """)  # fmt: skip
    assert out == "3 1\n"


def test_a_segment_that_cannot_be_noted_leaves_no_file(lake: LakeDir) -> None:
    out = limited(lake.root, """
        log = Log(lake, 1 << 20)
        limit(10)
        try:
            log.place("raw", 8, 1_755_172_800_000)
        except OSError as error:
            print(error.strerror)
        print((lake.private / "segments.jsonl").read_bytes(), list(lake.root.glob("raw/*/*/*/*")))
        limit(resource.RLIM_INFINITY)
        print(log.place("raw", 8, 1_755_172_800_000), log.segments[0].path.rpartition("/")[2])
    """)  # fmt: skip
    assert out == "File too large\nb'' []\n(1, 0) daily_summary.jsonl\n"


def test_an_end_that_cannot_be_published_does_not_write_the_batch_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = [False]
    publish = Log.publish

    def fails_once(log: Log, state: State) -> bytes:
        if full[0]:
            full[0] = False
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return publish(log, state)

    monkeypatch.setattr(Log, "publish", fails_once)
    (tmp_path / "rings").mkdir(mode=0o700)
    with closing(Lake(tmp_path / "data-lake", tmp_path / "rings")) as lake, keeping(lake):
        collector = lake.collector(LAKEWARD_KEEPER="external")
        collector.record("before")
        collector.commit(60)
        full[0] = True
        wanted = [collector.record("while_full") for _ in range(3)]
        collector.commit(60)
        assert not full[0]
        assert lake.ids()[1:] == wanted
        assert lake.audit().ok


# The ledger


def ledger_of(lake: LakeDir, rotate_bytes: int = 4 << 20) -> Ledger:
    return Ledger(lake.private / "ledger.jsonl", lake.identity.lake_id, 1, rotate_bytes)


def batch(number: int, lines: int = 1, ring: str = "ring") -> Batch:
    end = number * 100
    return Batch(
        number, [Part("raw", 1, end - 100, end, lines, 7)], {ring: [(0, number, number * 64)]}
    )


def test_a_torn_tail_of_the_journal_is_cut_wherever_it_was_torn(lake: LakeDir) -> None:
    ledger = ledger_of(lake)
    ledger.append(Seen("ring", "owner"))
    whole = ledger.path.read_bytes()
    ledger.append(Fold("ring", 3, 2, {"full": 1}))
    ledger.close()
    content = ledger.path.read_bytes()
    for cut in range(len(whole), len(content)):
        ledger.path.write_bytes(content[:cut])
        again = ledger_of(lake)
        assert ledger.path.read_bytes() == whole
        assert again.faults == []
        assert list(again.state.rings) == ["ring"]
        again.append(Epoch(9, "why"))
        again.close()
        assert replay(ledger.path).state.epoch == 9


def test_a_journals_last_batch_is_pending_until_a_line_settles_it(lake: LakeDir) -> None:
    ledger = ledger_of(lake)
    ledger.append(batch(1))
    found = replay(ledger.path)
    assert (found.pending, found.state.batch) == (batch(1), 0)
    ledger.settle()
    ledger.append(batch(2))
    found = replay(ledger.path)
    assert (found.pending, found.state.batch) == (batch(2), 1)
    ledger.append(Abort(2))
    found = replay(ledger.path)
    assert (found.pending, found.state.batch) == (None, 1)
    assert found.state == ledger.state


def test_a_missing_batch_is_named(lake: LakeDir) -> None:
    ledger = ledger_of(lake)
    for number in (1, 2, 3):
        ledger.append(batch(number))
        ledger.settle()
    ledger.close()
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    ledger.path.write_bytes(b"".join(lines[:2] + lines[3:]))
    assert replay(ledger.path).faults == ["ledger: batch 2 is missing"]
    assert ledger_of(lake).faults == ["ledger: batch 2 is missing"]


def test_an_abort_without_its_batch_is_named(lake: LakeDir) -> None:
    ledger = ledger_of(lake)
    ledger.append(batch(1))
    ledger.append(Abort(1))
    ledger.close()
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    ledger.path.write_bytes(lines[0] + lines[2])
    assert replay(ledger.path).faults == ["ledger: abort of batch 1 has no batch before it"]


def test_a_damaged_line_in_the_middle_is_named_and_nothing_behind_it_is_believed(
    lake: LakeDir,
) -> None:
    ledger = ledger_of(lake)
    for number in range(1, 6):
        ledger.append(batch(number))
        ledger.settle()
    ledger.close()
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b'"raw"', b'"row"')
    ledger.path.write_bytes(b"".join(lines))
    found = replay(ledger.path)
    assert found.faults == ["ledger.jsonl: a line in the middle is damaged"]
    assert found.pending == batch(2)
    assert found.torn == sum(map(len, lines[3:]))


def test_any_changed_byte_of_a_line_is_noticed(lake: LakeDir) -> None:
    ledger = ledger_of(lake)
    ledger.append(Seen("ring", "owner"))
    ledger.append(Fold("ring", 3, 2, {"full": 1}))
    ledger.close()
    content = ledger.path.read_bytes()
    start = content.rindex(b"\n", 0, -1) + 1
    for at in range(start, len(content)):
        ledger.path.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        if at == start + 8:
            continue  # the blank behind the checksum carries nothing
        assert replay(ledger.path).state.offered == 0, at


@pytest.mark.parametrize("content", [b"", b"\n", b"00000000 {}\n", b'{"kind":"state"}\n'])
def test_a_journal_without_a_whole_snapshot_is_refused(lake: LakeDir, content: bytes) -> None:
    (lake.private / "ledger.jsonl").write_bytes(content)
    with pytest.raises(Unreadable, match="does not start with a whole snapshot"):
        ledger_of(lake)
    assert (lake.private / "ledger.jsonl").read_bytes() == content


def checked(body: bytes) -> bytes:
    return b"%08x %s\n" % (crc32(body), body)


def test_a_journal_of_another_format_is_refused_and_left_alone(lake: LakeDir) -> None:
    content = checked(b'{"kind":"state","format":99,"something":"else"}')
    (lake.private / "ledger.jsonl").write_bytes(content)
    with pytest.raises(Unreadable, match="of ledger format 99 and this Lakeward knows 1"):
        ledger_of(lake)
    assert (lake.private / "ledger.jsonl").read_bytes() == content


def test_an_event_that_only_a_later_version_knows_is_refused_in_a_sentence(lake: LakeDir) -> None:
    ledger = ledger_of(lake)
    ledger.close()
    with ledger.path.open("ab") as file:
        file.write(checked(b'{"kind":"something_new","ring":"ring"}'))
    with pytest.raises(Unreadable):
        replay(ledger.path)


def test_rotation_keeps_the_state_and_starts_a_short_journal(lake: LakeDir) -> None:
    ledger = ledger_of(lake, rotate_bytes=2000)
    ledger.append(Seen("ring", "owner"))
    sizes = []
    for number in range(1, 60):
        ledger.append(batch(number))
        ledger.settle()
        before = msgspec.json.encode(ledger.state)
        ledger.rotate()
        assert msgspec.json.encode(ledger.state) == before
        sizes.append(ledger.path.stat().st_size)
    assert max(sizes) < 2000
    assert any(later < earlier for earlier, later in pairwise(sizes))
    ledger.rotate(force=True)
    found = replay(ledger.path)
    assert (found.state, found.faults, found.torn) == (ledger.state, [], 0)
    assert found.state.lines == {"raw": 59}


def test_rotation_can_be_forced_and_appending_goes_on_in_the_new_file(lake: LakeDir) -> None:
    ledger = ledger_of(lake)
    ledger.append(batch(1))
    ledger.settle()
    old = os.stat(ledger.path).st_ino
    ledger.rotate()
    assert os.stat(ledger.path).st_ino == old
    ledger.rotate(force=True)
    assert os.stat(ledger.path).st_ino != old
    assert ledger.path.read_bytes().count(b"\n") == 1
    ledger.append(Seen("another", "owner"))
    assert replay(ledger.path).state == ledger.state
    assert "another" in ledger.state.rings


def test_a_fold_counts_once_however_often_it_is_applied() -> None:
    state = State()
    state.apply(Seen("ring", "owner"))
    state.apply(Batch(1, [Part("raw", 1, 0, 10, 2, 0)], {"ring": [(0, 2, 64)]}))
    fold = Fold("ring", 5, 2, {"full": 2, "sampled": 1})
    state.apply(fold)
    once = msgspec.json.encode(state)
    state.apply(fold)
    assert msgspec.json.encode(state) == once
    assert (state.offered, state.accepted, state.reasons) == (5, 2, {"full": 2, "sampled": 1})
    assert (state.rings, state.retired) == ({}, ["ring"])


def test_seeing_a_ring_again_does_not_forget_what_it_acknowledged() -> None:
    state = State()
    state.apply(Seen("ring", "owner"))
    state.apply(Batch(1, [], {"ring": [(0, 7, 448)]}))
    state.apply(Seen("ring", "owner"))
    assert state.rings["ring"].acked() == 7


def test_the_end_of_a_stream_follows_its_parts_from_segment_to_segment() -> None:
    state = State()
    state.apply(Batch(1, [Part("raw", 1, 0, 10, 2, 0), Part("quarantine", 2, 0, 5, 1, 0)], {}))
    state.apply(Batch(2, [Part("raw", 1, 10, 30, 3, 0)], {}))
    state.apply(Batch(3, [Part("raw", 3, 0, 8, 1, 0)], {}))
    assert state.ends == {"raw": (3, 8, 1), "quarantine": (2, 5, 1)}
    assert state.lines == {"raw": 6, "quarantine": 1}


RINGS = st.sampled_from(["r1", "r2", "r3"])
SMALL = st.integers(0, 50)
REASONS = st.dictionaries(st.sampled_from(["full", "sampled", "damaged"]), SMALL, max_size=2)
LANES = st.lists(st.tuples(st.integers(0, 3), SMALL, SMALL), max_size=3)
PARTS = st.builds(
    Part, st.sampled_from(STREAMS), st.integers(1, 3), SMALL, SMALL, SMALL, st.integers(0, 9)
)
OTHER_EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(Seen, RINGS, st.text(max_size=5)),
    st.builds(Fold, RINGS, SMALL, SMALL, REASONS),
    st.builds(Gone, RINGS),
    st.builds(Vanished, RINGS, st.text(max_size=5), st.just("2025-08-14T12:00:00.000Z")),
    st.builds(Found, st.sampled_from(STREAMS), st.integers(1, 3), SMALL, SMALL),
    st.builds(Behind, RINGS, LANES, SMALL),
    st.builds(Epoch, st.integers(1, 9), st.text(max_size=5)),
    st.builds(Truncated, st.sampled_from(STREAMS), st.integers(1, 3), SMALL, SMALL),
)
DRAINED = st.tuples(
    st.lists(PARTS, max_size=2), st.dictionaries(RINGS, LANES, max_size=2),
    st.dictionaries(RINGS, SMALL, max_size=1), st.sampled_from(["settle", "abort"]),
)  # fmt: skip
STEPS = st.lists(OTHER_EVENTS | DRAINED | st.just("rotate"), max_size=14)


def perform(ledger: Ledger, steps: list[Any]) -> Iterator[State]:
    """Do what a keeper may do, in any order; the state after each line that stands."""
    for step in steps:
        if step == "rotate":
            ledger.rotate(force=True)
        elif isinstance(step, tuple):
            parts, acks, damaged, outcome = step
            made = Batch(ledger.state.batch + 1, parts, acks, damaged)
            ledger.append(made)
            yield copied(ledger.state)
            if outcome == "abort":
                ledger.append(Abort(made.batch))
            else:
                ledger.settle()
        else:
            ledger.append(step)
        yield copied(ledger.state)


def copied(state: State) -> State:
    return msgspec.json.decode(msgspec.json.encode(state), type=State)


@many_times
@given(STEPS)
def test_events_replayed_from_the_file_add_up_to_the_state_in_memory(
    tmp_path: Path, steps: list[Any]
) -> None:
    path = tmp_path / "ledger.jsonl"
    path.unlink(missing_ok=True)
    ledger = Ledger(path, "lake", 1)
    list(perform(ledger, steps))
    found = replay(path)
    if found.pending is not None:
        found.state.apply(found.pending)
    ledger.close()
    assert (found.state, found.faults, found.torn) == (ledger.state, [], 0)


@many_times
@given(STEPS, st.data())
def test_a_journal_torn_anywhere_replays_to_a_state_that_once_was(
    tmp_path: Path, steps: list[Any], data: st.DataObject
) -> None:
    path = tmp_path / "ledger.jsonl"
    path.unlink(missing_ok=True)
    ledger = Ledger(path, "lake", 1)
    states = [copied(ledger.state), *perform(ledger, steps)]
    ledger.close()
    content = path.read_bytes()
    head = content.index(b"\n") + 1
    path.write_bytes(content[: data.draw(st.integers(head, len(content)))])
    found = replay(path)
    assert found.faults == []
    assert found.state in states


def reached(lake: LakeDir, number: int) -> bool:
    return replay(lake.private / "ledger.jsonl").state.batch >= number


def test_a_keeper_killed_while_it_appends_leaves_a_journal_that_opens(lake: LakeDir) -> None:
    ledger_of(lake).close()
    for nth in range(3):
        pid = os.fork()
        if pid == 0:
            try:
                ledger = ledger_of(lake, rotate_bytes=600)
                while True:
                    ledger.append(batch(ledger.state.batch + 1))
                    ledger.settle()
                    ledger.rotate()
            finally:
                os._exit(1)
        grown = (nth + 1) * 40
        wait_until(partial(reached, lake, grown), what=f"{grown} batches")
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        found = replay(lake.private / "ledger.jsonl")
        assert found.faults == []
        again = ledger_of(lake)
        assert again.pending == found.pending
        again.settle()
        again.close()
