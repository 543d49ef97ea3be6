"""What `lakeward import` promises: every line once, however often and however rudely it is run."""

from __future__ import annotations

import bz2
import fcntl
import gzip
import io
import json
import lzma
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeward.cli.intake import importer
from lakeward.cli.intake.importer import Bar, Progress, Report, run
from lakeward.errors import NotDurable, Terminal, Transient
from lakeward.interaction import JsonObject, id_ms, parse_iso
from lakeward.person import Person
from lakeward.suppression import Row, Suppressed, digest

SAMPLE = Path(__file__).parent / "data" / "access_sample.log"
REAL = Path(__file__).parents[2] / "shared" / "data" / "apache_logs_2015.log.xz"
SAMPLE_ROWS, SAMPLE_UNREADABLE = 29, 2
ERASED = parse_iso("2025-02-01T00:00:00Z")


class Killed(BaseException):
    """Stands for SIGKILL where a process of its own would only slow the test."""


class Memory:
    """A collector whose lake is a list; what was not committed dies with it."""

    def __init__(self) -> None:
        self.log: list[JsonObject] = []
        self.ring: list[JsonObject] = []
        self.quarantined: list[JsonObject] = []
        self.commits: list[int] = []
        self.kill_at = -1
        self.refuses: Callable[[JsonObject], bool] = lambda _: False

    def record(self, interaction_type: str, /, **fields: Any) -> str | None:
        if len(self.log) + len(self.ring) == self.kill_at:
            raise Killed
        if self.refuses(fields):
            return None
        self.ring.append({"interaction_type": interaction_type, **fields})
        return str(fields["interaction_id"])

    def quarantine(self, reason: str, *, note: str, raw: bytes) -> None:
        self.quarantined.append({"reason": reason, "note": note, "bytes": len(raw)})

    def commit(self, timeout: float) -> None:
        self.commits.append(len(self.ring))
        self.log += self.ring
        self.ring = []

    def position(self) -> JsonObject:
        return {"offset": len(self.log)}

    def known_ids(self, position: JsonObject) -> Iterator[str]:
        return (row["interaction_id"] for row in self.log[position["offset"] :])

    @property
    def ids(self) -> list[str]:
        return [row["interaction_id"] for row in self.log]


def bring(memory: Memory, lake: Path, *paths: Path | str, **options: Any) -> Report:
    settings: dict[str, Any] = {
        "kind": None,
        "mapping": {},
        "default_type": None,
        "position": memory.position,
        "known_ids": memory.known_ids,
        "progress": lambda _: None,
    }
    return run([str(path) for path in paths], memory, lake, **settings | options)


def access_lines(count: int) -> bytes:
    line = '10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET /{} HTTP/1.1" 200 5 "-" "-"\n'
    return "".join(line.format(n) for n in range(count)).encode()


def written(folder: Path, content: bytes, name: str = "some.log") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def balanced(report: Report) -> bool:
    return all(
        file.lines == file.recorded + file.known + file.suppressed + file.refused + file.quarantined
        for file in report.files
    )


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def memory() -> Memory:
    return Memory()


# Every line, once


def test_the_ten_thousand_real_requests_become_ten_thousand_interactions(
    lake: Path, memory: Memory
) -> None:
    if not REAL.exists():
        pytest.skip(f"the real access log is not on this machine ({REAL})")
    (file,) = bring(memory, lake, REAL).files
    assert (file.state, file.lines) == ("imported", 10_000)
    assert file.recorded + file.quarantined == 10_000
    assert len(set(memory.ids)) == file.recorded == 10_000
    assert {row["interaction_type"] for row in memory.log} == {"api_call"}


def test_an_ugly_log_is_recorded_or_quarantined_line_by_line(lake: Path, memory: Memory) -> None:
    report = bring(memory, lake, SAMPLE)
    (file,) = report.files
    assert (file.recorded, file.quarantined) == (SAMPLE_ROWS, SAMPLE_UNREADABLE)
    assert balanced(report)
    assert file.message == "29 interactions imported, 2 lines quarantined"
    assert len(set(memory.ids)) == SAMPLE_ROWS
    assert memory.quarantined[1]["note"].endswith(
        "line 32: not a line of a common or combined access log"
    )


def test_a_quarantine_note_quotes_neither_the_line_nor_the_files_name(
    lake: Path, memory: Memory, tmp_path: Path
) -> None:
    bring(memory, lake, written(tmp_path, SAMPLE.read_bytes(), "ann@example.com.log"))
    notes = " ".join(entry["note"] for entry in memory.quarantined)
    assert "Out of memory" not in notes
    assert "ann" not in notes


def test_identical_lines_survive(lake: Path, memory: Memory, tmp_path: Path) -> None:
    bring(memory, lake, written(tmp_path, access_lines(1) * 3))
    assert len(set(memory.ids)) == 3


def test_a_file_that_grew_gives_its_old_lines_their_old_ids(lake: Path, tmp_path: Path) -> None:
    before, after = Memory(), Memory()
    bring(before, lake, written(tmp_path, access_lines(10) * 2))
    bring(after, lake, written(tmp_path, access_lines(10) * 2 + access_lines(11)))
    assert after.ids[:20] == before.ids


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, bz2.compress])
def test_a_file_is_the_same_however_it_is_named_and_packed(
    lake: Path, memory: Memory, tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    bring(memory, lake, written(tmp_path, access_lines(7), "access.log"))
    report = bring(memory, lake, written(tmp_path, pack(access_lines(7)), "whatever.txt"))
    assert report.files[0].state == "skipped"
    assert len(memory.log) == 7


def test_the_id_carries_the_time_of_the_line(lake: Path, memory: Memory, tmp_path: Path) -> None:
    bring(memory, lake, written(tmp_path, access_lines(1)))
    assert id_ms(memory.ids[0]) == parse_iso("2015-05-17T10:05:03Z")
    assert memory.log[0]["timestamp"] == "2015-05-17T10:05:03.000Z"


def test_a_second_import_adds_nothing(lake: Path, memory: Memory) -> None:
    bring(memory, lake, SAMPLE)
    report = bring(memory, lake, SAMPLE, SAMPLE)
    assert [file.state for file in report.files] == ["skipped", "skipped"]
    assert report.files[0].message == "already imported: 29 interactions"
    assert report.ok
    assert len(memory.log) == SAMPLE_ROWS
    assert len(memory.quarantined) == SAMPLE_UNREADABLE


def test_batches_stay_within_five_hundred_records(
    lake: Path, memory: Memory, tmp_path: Path
) -> None:
    bring(memory, lake, written(tmp_path, access_lines(1201)))
    assert memory.commits == [500, 500, 201]


def test_batches_stay_within_one_mebibyte(lake: Path, memory: Memory, tmp_path: Path) -> None:
    row = json.dumps({"interaction_type": "click", "note": "x" * 400_000}) + "\n"
    bring(memory, lake, written(tmp_path, row.encode() * 5))
    assert memory.commits == [2, 2, 1]


def test_a_line_that_is_too_long_is_quarantined_and_the_rest_is_read(
    lake: Path, memory: Memory, tmp_path: Path
) -> None:
    long = b'{"interaction_type":"click","note":"' + b"x" * (2 << 20) + b'"}\n'
    short = b'{"interaction_type":"click"}\n'
    report = bring(memory, lake, written(tmp_path, short + long + short))
    assert (report.files[0].recorded, report.files[0].quarantined) == (2, 1)
    assert memory.quarantined[0]["reason"] == "too_long"
    assert memory.quarantined[0]["bytes"] == 1 << 20


def test_what_the_collector_refuses_is_counted(lake: Path, memory: Memory, tmp_path: Path) -> None:
    memory.refuses = lambda fields: fields["path"] == "/3"
    report = bring(memory, lake, written(tmp_path, access_lines(5)))
    assert (report.files[0].recorded, report.files[0].refused) == (4, 1)
    assert balanced(report)


def test_a_file_that_the_collector_refuses_whole_can_be_imported_when_that_is_mended(
    lake: Path, memory: Memory, tmp_path: Path
) -> None:
    path = written(tmp_path, b'{"path":"/"}\n' * 3)
    memory.refuses = lambda _: True
    report = bring(memory, lake, path, default_type="No Name")
    assert not report.ok
    assert "refused all of it (3)" in report.files[0].message
    memory.refuses = lambda _: False
    assert bring(memory, lake, path, default_type="page_view").files[0].recorded == 3


def test_csv_rows_become_what_the_mapping_says(lake: Path, memory: Memory, tmp_path: Path) -> None:
    path = written(tmp_path, b"When;Page;plan\n2025-08-14 16:11:28;/a;gold\n;/b;\n")
    mapping = {"timestamp": "When", "path": "Page"}
    bring(memory, lake, path, mapping=mapping, default_type="page_view")
    first, second = memory.log
    assert (first["interaction_type"], first["path"], first["plan"]) == ("page_view", "/a", "gold")
    assert first["timestamp"] == "2025-08-14T16:11:28.000Z"
    assert (second["path"], "plan" in second) == ("/b", False)


def test_an_empty_file_is_imported_as_nothing(lake: Path, memory: Memory, tmp_path: Path) -> None:
    (file,) = bring(memory, lake, written(tmp_path, b"\n\n")).files
    assert (file.state, file.lines, file.message) == ("imported", 0, "there is nothing in it")


ANY_LINES = st.lists(
    st.one_of(st.binary(max_size=60), st.sampled_from(SAMPLE.read_bytes().splitlines())),
    max_size=30,
)


@pytest.mark.parametrize("kind", ["access", "jsonl"])
@given(found=ANY_LINES)
def test_any_bytes_are_recorded_or_quarantined_line_by_line(kind: str, found: list[bytes]) -> None:
    memory = Memory()
    content = b"\n".join(found)
    filled = [line for line in content.split(b"\n") if line.strip()]
    options = {"default_type": "click"} if kind == "jsonl" else {}
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), b"\n" + content)
        report = bring(memory, Path(folder) / "lake", path, kind=kind, **options)
    assert balanced(report)
    assert len(memory.log) + len(memory.quarantined) == len(filled)
    assert len(set(memory.ids)) == len(memory.log)


# Killed, damaged, changed


@pytest.mark.parametrize("kill_at", [0, 1, 499, 500, 501, 2600, 2999])
def test_an_import_killed_midway_resumes_without_doubles(
    lake: Path, memory: Memory, tmp_path: Path, kill_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer, "CHECKPOINT_BATCHES", 2)
    path = written(tmp_path, access_lines(1500) * 2)
    memory.kill_at = kill_at
    with pytest.raises(Killed):
        bring(memory, lake, path)
    memory.kill_at = -1  # what stands in the ring survives: the keeper drains it into the log
    (file,) = bring(memory, lake, path).files
    assert (file.state, file.known, file.recorded) == ("imported", kill_at, 3000 - kill_at)
    assert len(memory.ids) == len(set(memory.ids)) == 3000
    assert bring(memory, lake, path).files[0].message == "already imported: 3,000 interactions"


def test_an_import_killed_twice_resumes_from_its_last_checkpoint(
    lake: Path, memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer, "CHECKPOINT_BATCHES", 2)
    monkeypatch.setattr(importer, "WINDOW", 1000)
    path = written(tmp_path, b"garbage\n" + access_lines(4000))
    asked: list[JsonObject] = []

    def known_ids(position: JsonObject) -> Iterator[str]:
        asked.append(position)
        return memory.known_ids(position)

    for kill_at in (1700, 3300):
        memory.kill_at = kill_at
        with pytest.raises(Killed):
            bring(memory, lake, path, kind="access", known_ids=known_ids)
    memory.kill_at = -1
    report = bring(memory, lake, path, kind="access", known_ids=known_ids)
    assert asked == [{"offset": 999}, {"offset": 2999}]
    assert (report.files[0].lines, report.files[0].quarantined) == (4001, 1)
    assert balanced(report)
    assert len(memory.ids) == len(set(memory.ids)) == 4000
    assert len(memory.quarantined) == 1


def test_rows_without_a_time_keep_their_ids_over_a_kill(
    lake: Path, memory: Memory, tmp_path: Path
) -> None:
    rows = b"".join(b'{"interaction_type":"click","n":%d}\n' % n for n in range(100))
    path = written(tmp_path, rows)
    memory.kill_at = 60
    with pytest.raises(Killed):
        bring(memory, lake, path, now_ms=lambda: 1_755_187_888_000)
    memory.kill_at = -1
    bring(memory, lake, path, now_ms=lambda: 1_755_999_999_000)
    assert len(memory.ids) == len(set(memory.ids)) == 100


def test_a_begun_import_is_not_ended_with_other_options(
    lake: Path, memory: Memory, tmp_path: Path
) -> None:
    path = written(tmp_path, b'{"ts":"2015-05-17"}\n' * 10)
    memory.kill_at = 5
    with pytest.raises(Killed):
        bring(memory, lake, path, default_type="click")
    memory.kill_at = -1
    report = bring(memory, lake, path, default_type="click", mapping={"timestamp": "ts"})
    assert not report.ok
    assert 'begun with {"as":"jsonl","map":{},"type":"click"}' in report.files[0].message


class OnDisk(Memory):
    """As `Memory`, but its ring and log are one file, so that they outlive a SIGKILL."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def record(self, interaction_type: str, /, **fields: Any) -> str | None:
        with self.path.open("a") as file:
            file.write(fields["interaction_id"] + "\n")
        if self.path.stat().st_size == self.kill_at * 37:
            os.kill(os.getpid(), signal.SIGKILL)
        return str(fields["interaction_id"])

    def position(self) -> JsonObject:
        return {"offset": self.path.stat().st_size if self.path.exists() else 0}

    def known_ids(self, position: JsonObject) -> Iterator[str]:
        return iter(self.path.read_text()[position["offset"] :].split())


def test_a_real_sigkill_leaves_neither_doubles_nor_a_lock(lake: Path, tmp_path: Path) -> None:
    disk = OnDisk(tmp_path / "log")
    path = written(tmp_path, access_lines(1300))
    for kill_at in (1, 700, 1299):
        child = os.fork()
        if not child:
            disk.kill_at = kill_at
            bring(disk, lake, path)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL
    bring(disk, lake, path)
    ids = disk.path.read_text().split()
    assert len(ids) == len(set(ids)) == 1300


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, lambda it: bz2.compress(it, 1)])
def test_of_a_file_that_ends_early_what_decodes_is_imported_and_it_fails(
    lake: Path, memory: Memory, tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    packed = pack(access_lines(20_000))
    path = written(tmp_path, packed[: len(packed) * 2 // 3])
    report = bring(memory, lake, path)
    (file,) = report.files
    assert not report.ok
    assert 0 < file.recorded == len(memory.log) < 20_000
    assert balanced(report)
    assert "cut short, so get a whole copy" in file.message
    assert all(entry["reason"] == "cut_short" for entry in memory.quarantined)
    again = bring(memory, lake, path)
    assert not again.ok
    assert len(memory.log) == file.recorded
    whole = Memory()
    bring(whole, lake, written(tmp_path, packed, "whole"))
    assert whole.ids[: file.recorded] == memory.ids


def test_half_a_line_before_the_damage_is_not_taken_for_a_line(
    lake: Path, memory: Memory, tmp_path: Path
) -> None:
    whole = access_lines(2) + b'10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 20'
    path = written(tmp_path, gzip.compress(whole)[:-8])
    (file,) = bring(memory, lake, path).files
    assert (file.recorded, file.quarantined) == (2, 1)
    assert memory.quarantined[0]["reason"] == "cut_short"


def test_a_file_with_nothing_that_decodes_is_refused(
    lake: Path, memory: Memory, tmp_path: Path
) -> None:
    with pytest.raises(Terminal, match="damaged or cut short"):
        bring(memory, lake, written(tmp_path, b"\x1f\x8bnonsense"))


def changing(path: Path, content: bytes) -> Callable[[], int]:
    """A clock that is read between the two readings of a file, and changes it then."""

    def now_ms() -> int:
        path.write_bytes(content)
        return 1_755_187_888_000

    return now_ms


def test_a_log_that_grows_while_it_is_read_is_imported_as_it_was(
    lake: Path, memory: Memory, tmp_path: Path
) -> None:
    path = written(tmp_path, access_lines(10))
    (file,) = bring(memory, lake, path, now_ms=changing(path, access_lines(20))).files
    assert (file.state, file.recorded) == ("imported", 10)


@pytest.mark.parametrize(
    "content",
    [access_lines(5), b"", gzip.compress(access_lines(9))[:50]],
    ids=["shorter", "empty", "packed and cut"],
)
def test_a_file_that_changes_while_it_is_read_fails(
    lake: Path, memory: Memory, tmp_path: Path, content: bytes
) -> None:
    path = written(tmp_path, access_lines(10))
    report = bring(memory, lake, path, now_ms=changing(path, content))
    assert report.files[0].message == "it changed while it was read; import it again"
    path.write_bytes(access_lines(10))
    assert bring(memory, lake, path).files[0].state == "imported"
    assert len(set(memory.ids)) == 10


def test_a_commit_that_fails_leaves_the_import_to_be_resumed(
    lake: Path, memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, access_lines(10))

    def late(timeout: float) -> None:
        raise NotDurable("the disk is behind")

    with monkeypatch.context() as patch:
        patch.setattr(memory, "commit", late)
        with pytest.raises(NotDurable):
            bring(memory, lake, path)
    assert bring(memory, lake, path).ok
    assert len(memory.ids) == len(set(memory.ids)) == 10


def test_a_torn_line_of_the_manifest_is_passed_over(
    lake: Path, memory: Memory, tmp_path: Path
) -> None:
    first, second = written(tmp_path, access_lines(1), "a"), written(tmp_path, b"{}\n", "b")
    bring(memory, lake, first)
    manifest = lake / ".lakeward" / "imports.jsonl"
    with manifest.open("ab") as file:
        file.write(b'{"content":"12')
    bring(memory, lake, second, default_type="click")
    report = bring(memory, lake, first, second, default_type="click")
    assert [file.state for file in report.files] == ["skipped", "skipped"]
    steps = manifest.read_bytes().splitlines()
    assert len(steps) == 5
    assert [msgspec.json.decode(step)["state"] for step in steps[3:]] == ["started", "done"]
    assert manifest.stat().st_mode & 0o077 == 0


def test_a_second_import_at_the_same_time_is_told_to_wait(lake: Path, memory: Memory) -> None:
    (lake / ".lakeward").mkdir(parents=True)
    with (lake / ".lakeward" / "imports.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Transient, match="another import"):
            bring(memory, lake, SAMPLE)
    assert bring(memory, lake, SAMPLE).ok


def test_a_lake_that_cannot_be_written_is_named(memory: Memory, tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file where the folder should be")
    with pytest.raises(Terminal, match="lake cannot be written"):
        bring(memory, tmp_path / "lake", SAMPLE)


# What cannot be read


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "there is no file"),
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: path.write_text("prose"), "no known format"),
        (lambda path: path.write_text("{}"), "--type"),
    ],
)
def test_a_path_that_cannot_be_imported_stops_all_before_the_first(
    lake: Path,
    memory: Memory,
    tmp_path: Path,
    make: Callable[[Path], object],
    words: str,
) -> None:
    path = tmp_path / "there"
    make(path)
    with pytest.raises(Terminal, match=words) as caught:
        bring(memory, lake, SAMPLE, path)
    assert str(path) in str(caught.value)
    assert not memory.log


def test_an_unknown_format_name_is_refused(lake: Path, memory: Memory) -> None:
    with pytest.raises(Terminal, match="jsonl, csv, access"):
        bring(memory, lake, SAMPLE, kind="xml")


def test_a_minus_reads_standard_input(
    lake: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = io.BytesIO(gzip.compress(SAMPLE.read_bytes()))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stdin))
    assert bring(memory, lake, "-").files[0].recorded == SAMPLE_ROWS
    assert bring(memory, lake, SAMPLE).files[0].state == "skipped"


def test_a_named_pipe_is_read_like_a_file(lake: Path, memory: Memory, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    child = os.fork()
    if not child:
        pipe.write_bytes(SAMPLE.read_bytes())
        os._exit(0)
    report = bring(memory, lake, pipe)
    os.waitpid(child, 0)
    assert report.files[0].recorded == SAMPLE_ROWS


# What is told


def test_a_report_can_be_read_by_a_program(lake: Path, memory: Memory) -> None:
    told = msgspec.json.decode(msgspec.json.encode(bring(memory, lake, SAMPLE)))
    assert told["files"][0]["name"] == "access_sample.log"
    assert told["files"][0]["bytes"] == SAMPLE.stat().st_size


def test_progress_counts_the_bytes_of_the_source_up_to_all_of_them(
    lake: Path, memory: Memory, tmp_path: Path
) -> None:
    seen: list[Progress] = []
    path = written(tmp_path, gzip.compress(access_lines(3000)))
    bring(memory, lake, path, progress=seen.append)
    assert [step.stage for step in seen] == sorted(step.stage for step in seen)
    assert (seen[-1].done, seen[-1].lines) == (path.stat().st_size, 3000)


class Terminal80(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_is_redrawn_ten_times_a_second_at_most_and_cleared() -> None:
    stream, now = Terminal80(), [0.0]
    with Bar(stream, clock=lambda: now[0]) as bar:
        for step in range(100):
            now[0] = step / 100
            bar(Progress("a.log", "importing", step, 100, step))
    assert stream.getvalue().count("a.log") == 10
    assert stream.getvalue().endswith("\r\x1b[K")


def test_the_bar_is_silent_where_nobody_looks() -> None:
    stream = io.StringIO()
    with Bar(stream) as bar:
        bar(Progress("a.log", "checking", 1, 2))
    assert stream.getvalue() == ""


def test_a_file_name_cannot_send_codes_to_the_terminal() -> None:
    stream = Terminal80()
    with Bar(stream) as bar:
        bar(Progress("a\x1b[2Jb\n", "checking", 1, 0))
    assert "\x1b[2J" not in stream.getvalue()
    assert "a?[2Jb?" in stream.getvalue()


def test_people_who_were_erased_stay_out(tmp_path: Path) -> None:
    """What the list says is asked anew for each batch; a row without a time may be any old."""
    rows = [
        {"user_id": "ann", "timestamp": "2025-01-01T00:00:00Z"},
        {"user_id": "bob", "timestamp": "2025-01-01T00:00:00Z"},
        {"user_id": "ann", "timestamp": "2025-03-01T00:00:00Z"},
        {"user_id": "ann"},
        {"user_id": "ann", "interaction_id": "0198bd02-9b65-7000-8000-000000000001"},
    ]
    path = written(tmp_path, b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    suppressed = Suppressed("k", [Row("user_id", digest("k", Person("user_id", "ann")), ERASED)])
    memory = Memory()
    held: list[int] = []

    @contextmanager
    def erased() -> Iterator[Callable[[JsonObject], bool]]:
        held.append(len(memory.log))
        yield suppressed.covers
        held.append(len(memory.log))

    report = bring(memory, tmp_path / "lake", path, default_type="hello", erased=erased)
    assert [row["user_id"] for row in memory.log] == ["bob", "ann", "ann"]
    assert memory.log[2]["interaction_id"].startswith("0198bd02")
    assert report.files[0].message == "3 interactions imported, 2 of erased people left out"
    assert balanced(report)
    assert held == [0, 3], "the batch is durable before an erase goes on"


def test_an_import_of_nobody_but_erased_people_is_done(tmp_path: Path) -> None:
    memory = Memory()
    path = written(tmp_path, b'{"user_id":"ann"}\n')
    everybody: Any = lambda: nullcontext(lambda _: True)  # noqa: E731 - a factory of contexts
    for state in ("imported", "skipped"):
        report = bring(memory, tmp_path / "lake", path, default_type="hello", erased=everybody)
        assert (report.ok, report.files[0].state) == (True, state)
    assert memory.log == []
