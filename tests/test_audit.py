"""Doctor proves the sum from the files, and any single alteration turns it red."""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import msgspec
import pytest

from conftest import Lake, attachment_of, wait_until
from lakeward.capture.exchange import Capture
from lakeward.cli import main
from lakeward.ledger import Reason
from lakeward.ring import COUNTERS, DRAINED, OFFERED, TAILS
from test_keeper import keeping


@pytest.fixture
def filled(lake: Lake) -> Lake:
    """A lake with a folded ring, a live ring, several batches and every kind of outcome."""
    for n in range(2):
        collector = lake.collector(LAKEWARD_KEEPER="external")
        with keeping(lake):
            for i in range(20):
                collector.record("hello", n=i)
                if i % 4 == 0:
                    collector.commit(60)
            collector.record("partner_match", score=-1)
            Capture(collector).leave_out(Reason.excluded)
            collector.count(Reason.sampled, 3)
            collector.commit(60)
            if n == 0:
                collector.close()
                wait_until(lambda: not list(lake.ring_dir.glob("*.ring")), what="folding")
    assert lake.audit().ok
    return lake


def ledger_lines(lake: Lake) -> tuple[Path, list[bytes]]:
    path = lake.root / ".lakeward" / "ledger.jsonl"
    return path, path.read_bytes().splitlines(keepends=True)


def sealed(body: bytes) -> bytes:
    return b"%08x %s\n" % (crc32(body), body)


def without_a_log_line(lake: Lake) -> None:
    path = next(lake.root.glob("raw/*/*/*/*.jsonl"))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:7] + lines[8:]))


def without_the_last_log_line(lake: Lake) -> None:
    path = next(lake.root.glob("raw/*/*/*/*.jsonl"))
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def without_a_quarantine_line(lake: Lake) -> None:
    path = next(lake.root.glob("quarantine/*/*/*/*.jsonl"))
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))


def without_an_acknowledgement(lake: Lake) -> None:
    path, lines = ledger_lines(lake)
    batches = [n for n, line in enumerate(lines) if b'"kind":"batch"' in line]
    del lines[batches[len(batches) // 2]]
    path.write_bytes(b"".join(lines))


def without_the_last_acknowledgement(lake: Lake) -> None:
    path, lines = ledger_lines(lake)
    batches = [n for n, line in enumerate(lines) if b'"kind":"batch"' in line]
    del lines[batches[-1]]
    path.write_bytes(b"".join(lines))


def with_a_smaller_acknowledgement(lake: Lake) -> None:
    path, lines = ledger_lines(lake)
    n = next(n for n, line in enumerate(lines) if b'"kind":"batch"' in line)
    row = json.loads(lines[n][9:])
    row["parts"][0][4] -= 1
    lines[n] = sealed(json.dumps(row, separators=(",", ":")).encode())
    path.write_bytes(b"".join(lines))


def without_the_ledger(lake: Lake) -> None:
    (lake.root / ".lakeward" / "ledger.jsonl").unlink()


def without_a_folded_counter(lake: Lake) -> None:
    path, lines = ledger_lines(lake)
    n = next(n for n, line in enumerate(lines) if b'"kind":"fold"' in line or b'"state"' in line)
    n = next((i for i, line in enumerate(lines) if b'"kind":"fold"' in line), n)
    row = json.loads(lines[n][9:])
    del row["reasons"]["sampled"]
    lines[n] = sealed(json.dumps(row, separators=(",", ":")).encode())
    path.write_bytes(b"".join(lines))


def alter_ring(lake: Lake, at: int, words: int, change: Callable[[int], int]) -> None:
    path = next(lake.ring_dir.glob("*.ring"))
    with path.open("r+b") as file:
        file.seek(at)
        values = list(struct.unpack(f"<{words}Q", file.read(8 * words)))
        n = next(n for n, value in enumerate(values) if value)
        values[n] = change(values[n])
        file.seek(at)
        file.write(struct.pack(f"<{words}Q", *values))


def without_a_live_counter(lake: Lake) -> None:
    alter_ring(lake, COUNTERS, 32 * 16, lambda _: 0)


def without_the_offered_count(lake: Lake) -> None:
    alter_ring(lake, OFFERED, 16, lambda value: value - 1)


def with_a_released_lane_that_nobody_acknowledged(lake: Lake) -> None:
    alter_ring(lake, DRAINED, 16, lambda value: value + 1)


def without_the_published_end(lake: Lake) -> None:
    (lake.root / ".lakeward" / "published").unlink()


def without_a_segment(lake: Lake) -> None:
    next(lake.root.glob("raw/*/*/*/*.jsonl")).unlink()


ALTERATIONS = [
    without_a_log_line, without_the_last_log_line, without_a_quarantine_line,
    without_an_acknowledgement, without_the_last_acknowledgement, with_a_smaller_acknowledgement,
    without_the_ledger, without_a_folded_counter, without_a_live_counter,
    without_the_offered_count, with_a_released_lane_that_nobody_acknowledged,
    without_the_published_end, without_a_segment,
]  # fmt: skip


@pytest.mark.parametrize("alter", ALTERATIONS, ids=lambda f: f.__name__)
def test_one_alteration_turns_the_audit_red(filled: Lake, alter: Callable[[Lake], None]) -> None:
    alter(filled)
    report = filled.audit()
    assert not report.ok
    assert report.faults


def test_the_sum_names_every_place(filled: Lake) -> None:
    report = filled.audit()
    assert report.sum["offered"] == 2 * (20 + 1 + 1 + 3)
    assert (report.sum["delivered"], report.sum["quarantined"]) == (40, 2)
    assert (report.sum["excluded"], report.sum["sampled"]) == (2, 6)


def test_a_ring_that_vanished_with_its_container_is_named(filled: Lake) -> None:
    ring = next(filled.ring_dir.glob("*.ring"))
    [collector] = [c for c in filled._collectors if not c._closed]
    collector._attachment.abandon()  # type: ignore[union-attr]  # its process is gone
    collector._attachment = None
    ring.unlink()
    report = filled.audit()
    assert report.ok, report.faults
    assert [name.split(" ")[0] for name in report.vanished] == [ring.stem]
    with keeping(filled):
        wait_until(
            lambda: b"vanished" in (filled.root / ".lakeward/ledger.jsonl").read_bytes(),
            what="noting it",
        )
    report = filled.audit()
    assert report.ok, report.faults
    assert ring.stem in report.vanished[0]


def test_a_collector_whose_memory_the_keeper_cannot_see_is_named_unseen(lake: Lake) -> None:
    lake.collector(LAKEWARD_KEEPER="external").record("hello")
    elsewhere = lake.collector(
        LAKEWARD_KEEPER="external", LAKEWARD_RING_DIR=str(lake.ring_dir / "other container")
    )
    elsewhere.record("hello")
    with keeping(lake):
        report = lake.audit()
    assert [name.split(" ")[0] for name in report.unseen] == [
        str(elsewhere._attachment.ring.ring_id)  # type: ignore[union-attr]
    ]


def test_records_that_wait_in_a_ring_stand_in_the_sum(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="external")
    for _ in range(5):
        collector.record("hello")
    report = lake.audit()
    assert report.ok, report.faults
    assert report.sum["waiting"] == 5


def test_the_caller_killed_in_mid_record_counts_as_in_flight_then_interrupted(lake: Lake) -> None:
    pid = os.fork()
    if pid == 0:
        collector = lake.collector(LAKEWARD_KEEPER="external")
        collector.record("hello")
        ring = attachment_of(collector).ring
        ring._crc = lambda *_: os.kill(os.getpid(), 9)  # type: ignore[assignment]  # never returns
        collector.record("hello")
        os._exit(1)
    os.waitpid(pid, 0)
    report = lake.audit()
    assert report.ok, report.faults
    assert report.reasons == {"interrupted": 1}
    with keeping(lake):
        report = lake.settled()
    assert report.ok, report.faults
    assert report.reasons == {"interrupted": 1}


def test_doctor_says_so_in_words_json_and_exit_code(
    filled: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in filled.env.items():
        monkeypatch.setenv(name, value)
    assert main(["doctor"]) == 0
    assert "the sum holds" in capsys.readouterr().out
    assert main(["doctor", "--format", "json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["ok"] is True
    assert row["sum"]["offered"] == 50
    without_a_log_line(filled)
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "does NOT hold" in out
    assert re.search(r"FAULT .*daily_summary.jsonl: 39 lines where 40", out)


def test_doctor_reads_and_never_writes(filled: Lake) -> None:
    def state() -> dict[str, tuple[int, bytes]]:
        return {
            str(path): (path.stat().st_mtime_ns, path.read_bytes())
            for folder in (filled.root, filled.ring_dir)
            for path in folder.rglob("*")
            if path.is_file()
        }

    before = state()
    filled.audit()
    assert state() == before


def test_the_tail_word_and_drained_word_are_where_the_format_says() -> None:
    assert (OFFERED, TAILS, DRAINED, COUNTERS) == (1536, 2048, 2560, 4096)
    assert msgspec.json.encode(Reason.full) == b"1"
