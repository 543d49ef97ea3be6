"""What leaves the log: in place, counted, finished after any kill, and nothing else with it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from conftest import Lake
from lakeward.audit import audit
from lakeward.errors import Terminal, Unreadable
from lakeward.followers.cursor import CursorFile, place, verify
from lakeward.keeper import Keeper
from lakeward.lakedir import LakeDir, open_lake
from lakeward.log import Position, read_lines, read_published
from lakeward.person import Person
from lakeward.recovery import count_blank
from lakeward.removal import (
    Cut,
    LogEraser,
    finish_pending,
    interrupted,
    lines_of,
    paused,
    read_journal,
    remove_lines,
    remove_segments,
    removed,
    under_way,
)
from lakeward.ringdir import known_folders
from written_lakes import WrittenLog

POINTS = ["after intent", "between files", "before cursors"]


class Stop(BaseException):
    """A kill at a named point."""


def stop_at(point: str) -> Any:
    def pause(at: str) -> None:
        if at == point:
            raise Stop

    return pause


def line(n: int, user: str = "bob") -> bytes:
    return msgspec.json.encode({"interaction_id": f"id-{n}", "user_id": user, "n": n})


def written(root: Path) -> tuple[WrittenLog, LakeDir]:
    """Three files of four lines each; Ann has the second line of each."""
    log = WrittenLog(root / "data-lake")
    for start in range(0, 12, 4):
        log.append([line(n, "ann" if n % 4 == 1 else "bob") for n in range(start, start + 4)])
        log.seal()
    log.append([line(12)])
    return log, log.lake


def cuts_of(lake: LakeDir, user: str) -> list[Cut]:
    needle = f'"user_id":"{user}"'.encode()
    return [cut for cut, content in lines_of(lake, "raw") if needle in content]


def users(lake: LakeDir) -> list[str]:
    return [msgspec.json.decode(content)["user_id"] for content, _ in read_lines(lake)]


def test_lines_become_spaces_of_equal_length_and_nothing_else_changes(tmp_path: Path) -> None:
    log, lake = written(tmp_path)
    before = {p: p.read_bytes() for p in lake.root.rglob("*.jsonl") if "raw" in p.parts}
    positions = [position for content, position in read_lines(lake) if b'"ann"' not in content]
    assert remove_lines(lake, cuts_of(lake, "ann"), "erased") == 3
    for path, content in before.items():
        after = path.read_bytes()
        assert len(after) == len(content)
        for old, new in zip(content.split(b"\n"), after.split(b"\n"), strict=True):
            assert new == (b" " * len(old) if b'"ann"' in old else old)
    assert users(lake) == ["bob"] * 10
    assert [position for _, position in read_lines(lake)] == positions
    assert {n: r.erased for n, r in removed(lake).items()} == {1: 1, 2: 1, 3: 1}
    log.close()


def test_removing_again_counts_nothing(tmp_path: Path) -> None:
    log, lake = written(tmp_path)
    cuts = cuts_of(lake, "ann")
    assert remove_lines(lake, cuts, "erased") == 3
    assert remove_lines(lake, cuts, "expired") == 0
    assert sum(r.blank() for r in removed(lake).values()) == 3
    log.close()


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_any_point_is_made_good(tmp_path: Path, point: str) -> None:
    """The next removal, or whoever opens the lake, finishes it; counted once."""
    log, lake = written(tmp_path)
    cursor = CursorFile(lake, "sink")
    end = [position for _, position in read_lines(lake)][-1]
    cursor.plan(place(lake, end))
    cursor.settle()
    with pytest.raises(Stop):
        remove_lines(lake, cuts_of(lake, "ann"), "erased", pause=stop_at(point))
    finish_pending(lake)
    assert users(lake) == ["bob"] * 10
    assert not read_journal(lake).pending
    assert sum(r.erased for r in removed(lake).values()) == 3
    verify(lake, CursorFile(lake, "sink").progress.done)
    log.close()


def test_cursors_before_and_behind_an_erased_line_still_fit(tmp_path: Path) -> None:
    log, lake = written(tmp_path)
    for n, (_, position) in enumerate(list(read_lines(lake))):
        cursor = CursorFile(lake, f"sink-{n}")
        cursor.plan(place(lake, position))
        cursor.settle()
    remove_lines(lake, cuts_of(lake, "ann"), "erased")
    for n in range(13):
        verify(lake, CursorFile(lake, f"sink-{n}").progress.done)
    log.close()


@pytest.mark.parametrize(
    "cut", [Cut(1, 3, 10), Cut(1, 0, 5), Cut(9, 0, 10), Cut(1, 0, 100_000), Cut(1, 0, 96)]
)
def test_what_is_no_line_is_not_touched(tmp_path: Path, cut: Cut) -> None:
    log, lake = written(tmp_path)
    before = [path.read_bytes() for path in lake.root.rglob("*.jsonl")]
    with pytest.raises(Terminal):
        remove_lines(lake, [cut], "erased")
    assert [path.read_bytes() for path in lake.root.rglob("*.jsonl")] == before
    log.close()


@pytest.mark.parametrize("point", ["", "after intent"])
def test_whole_files_go_and_readers_pass_over_them(tmp_path: Path, point: str) -> None:
    log, lake = written(tmp_path)
    remove_lines(lake, cuts_of(lake, "ann")[:1], "erased")
    if point:
        with pytest.raises(Stop):
            remove_segments(lake, [1, 2], pause=stop_at(point))
        finish_pending(lake)
    else:
        assert remove_segments(lake, [1, 2]) == 7
    assert removed(lake)[1].gone
    assert removed(lake)[1].expired == 3
    assert users(lake) == ["bob", "ann", "bob", "bob", "bob"]
    assert remove_segments(lake, [1, 2]) == 0
    with pytest.raises(Terminal, match="not sealed"):
        remove_segments(lake, [4])
    log.close()


def test_an_altered_journal_is_not_believed(tmp_path: Path) -> None:
    log, lake = written(tmp_path)
    remove_lines(lake, cuts_of(lake, "ann"), "erased")
    path = lake.private / "removals.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"erased"', b'"expired"'))
    with pytest.raises(Unreadable):
        removed(lake)
    path.write_bytes(whole + b'00000000 {"kind":"do')
    assert sum(r.erased for r in removed(lake).values()) == 3
    remove_lines(lake, cuts_of(lake, "bob")[:1], "erased")
    assert sum(r.erased for r in removed(lake).values()) == 4
    log.close()


def test_the_sum_holds_with_removed_lines_and_a_blanked_one_turns_it_red(lake: Lake) -> None:
    """`doctor` takes removals out of what is delivered, and finds what nobody journalled."""
    collector = lake.collector()
    for n in range(6):
        collector.record("note", user_id="ann" if n == 2 else "bob", n=n)
    collector.commit()
    collector.close()
    here = open_lake(lake.root)
    assert remove_lines(here, cuts_of(here, "ann"), "erased") == 1
    report = lake.audit()
    assert report.ok, report.faults
    assert (report.sum["delivered"], report.sum["erased"]) == (5, 1)
    cut = cuts_of(here, "bob")[0]
    path = next(here.root.rglob("daily_summary.jsonl"))
    with path.open("r+b") as file:
        file.seek(cut.offset)
        file.write(b" " * (cut.length - 1))
    report = lake.audit()
    assert not report.ok
    assert "2 lines are blank and 1 were removed" in report.faults[0]


def test_a_lost_journal_line_turns_the_sum_red(lake: Lake) -> None:
    collector = lake.collector()
    for n in range(4):
        collector.record("note", user_id="ann", n=n)
    collector.commit()
    collector.close()
    here = open_lake(lake.root)
    for cut in cuts_of(here, "ann")[:2]:
        remove_lines(here, [cut], "erased")
    path = here.private / "removals.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]))
    assert not lake.audit().ok
    path.write_bytes(b"".join(lines[2:]))
    assert not lake.audit().ok


def test_a_deleted_file_of_a_segment_turns_the_sum_red_unless_it_expired(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_SEGMENT_BYTES="4KiB")
    for n in range(60):
        collector.record("note", text="x" * 200, n=n)
        if n % 10 == 9:
            collector.commit()
    collector.close()
    here = open_lake(lake.root)
    assert remove_segments(here, [1]) > 0
    report = lake.audit()
    assert report.ok, report.faults
    assert report.sum["expired"] > 0
    assert sum(1 for _ in read_lines(here)) == 60 - report.sum["expired"]
    (next(here.root.rglob("daily_summary-0001.jsonl"))).unlink()
    assert not lake.audit().ok


def test_recovery_after_a_power_loss_keeps_lines_behind_an_erased_one(lake: Lake) -> None:
    """The ledger's end was lost, and the bytes of its last batch are not what its CRC says."""
    collector = lake.collector()
    for n in range(8):
        collector.record("note", user_id="ann" if n == 7 else "bob", n=n)
    collector.commit()
    collector.close()
    here = open_lake(lake.root)
    ledger = here.private / "ledger.jsonl"
    remove_lines(here, cuts_of(here, "ann"), "erased")
    kept = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join(kept[:1]))
    with Keeper(here, lake.ring_dir).opened():
        pass
    assert len(users(open_lake(lake.root))) == 7
    report = lake.audit()
    assert report.ok, report.faults


def test_erasing_goes_on_while_others_write(lake: Lake) -> None:
    """Everything of the person goes, nothing else, and the sum holds."""
    collector = lake.collector()
    done = threading.Event()

    def record() -> None:
        for n in range(3000):
            collector.record("note", user_id="ann" if n % 10 == 0 else "bob", n=n)
        done.set()

    writer = threading.Thread(target=record)
    writer.start()
    here = open_lake(lake.root)
    eraser = LogEraser(here, "raw")
    person = Person("user_id", "ann")
    while not done.is_set():
        eraser.erase(person)
    writer.join()
    collector.commit()
    eraser.erase(person)
    assert eraser.find(person) == 0
    assert users(here).count("bob") == 2700
    collector.close()
    report = lake.audit()
    assert report.ok, report.faults
    assert report.sum["erased"] == 300


def test_a_process_killed_while_it_erases_harms_nothing_else(tmp_path: Path) -> None:
    """SIGKILL of the real process after each of its first writes."""
    log, lake = written(tmp_path)
    script = (
        "import os, signal, sys; from pathlib import Path; from lakeward.lakedir import open_lake;"
        "from lakeward.removal import *\n"
        "lake = open_lake(Path(sys.argv[1])); left = int(sys.argv[2])\n"
        "real = os.pwrite\n"
        "def pwrite(*a):\n"
        "    global left\n"
        "    left -= 1\n"
        "    n = real(*a)\n"
        "    if not left: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return n\n"
        "os.pwrite = pwrite\n"
        "cuts = [c for c, l in lines_of(lake, 'raw') if b'\"ann\"' in l]\n"
        "remove_lines(lake, cuts, 'erased')\n"
    )
    for left in (1, 2, 3):
        subprocess.run([sys.executable, "-c", script, str(lake.root), str(left)], check=False)
    finish_pending(lake)
    assert users(lake) == ["bob"] * 10
    assert sum(r.erased for r in removed(lake).values()) == 3
    log.close()


def test_a_line_names_a_person_however_json_spells_it(tmp_path: Path) -> None:
    log = WrittenLog(tmp_path / "data-lake")
    name = 'Änn "quoted" \\ 日本'
    escaped = b'{"interaction_id":"x","user_id":"\\u00c4nn \\"quoted\\" \\\\ \\u65e5\\u672c"}'
    capitals = escaped.replace(b"u00c4", b"u00C4")
    slashed = b'{"interaction_id":"y","user_id":"org\\/ann"}'
    log.append([msgspec.json.encode({"user_id": name}), escaped, capitals, slashed, line(1)])
    eraser = LogEraser(log.lake, "raw")
    assert eraser.find(Person("user_id", name)) == 3
    assert eraser.erase(Person("user_id", name)).records == 3
    assert eraser.erase(Person("user_id", "org/ann")).records == 1
    assert users(log.lake) == ["bob"]
    log.close()


@pytest.mark.parametrize("given", [42, 42.0])
def test_a_refused_record_that_holds_the_id_as_a_number_names_the_person(
    lake: Lake, given: float
) -> None:
    """As the app gave it: only what a type accepts is stored as text."""
    with lake.collector() as collector:
        collector.record("cta_click", user_id=given)
        collector.record("cta_click", user_id=True)
        collector.record("cta_click", user_id=421)
        collector.commit()
    here, ann = lake.open(), Person("user_id", "42")
    eraser = LogEraser(here, "quarantine")
    assert eraser.erase(ann).records == 1
    assert eraser.find(ann) == 0
    assert [row["record"]["user_id"] for row in lake.quarantined()] == [True, 421]
    report = lake.audit()
    assert report.ok, report.faults


def test_doctor_finds_no_fault_while_lines_are_removed(lake: Lake) -> None:
    """At every point of a removal that is under way; of one whose process is dead it does."""
    with lake.collector() as collector:
        for n in range(6):
            collector.record("note", user_id="ann" if n % 2 else "bob", n=n)
        collector.commit()
    here, seen = lake.open(), list[str]()

    def look(point: str) -> None:
        report = lake.audit()
        assert report.ok, (point, report.faults)
        seen.append(point)

    assert remove_lines(here, cuts_of(here, "ann"), "erased", pause=look) == 3
    assert seen == POINTS
    with pytest.raises(Stop):
        remove_lines(here, cuts_of(here, "bob")[:1], "erased", pause=stop_at("after intent"))
    assert "a removal was interrupted" in lake.audit().faults[0]
    finish_pending(here)
    report = lake.audit()
    assert report.ok, report.faults


def test_lines_that_go_while_doctor_counts_are_no_fault(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lake.collector() as collector:
        for n in range(60):  # more than doctor's looks use up
            collector.record("note", user_id="ann", n=n)
        collector.commit()
    here = lake.open()

    def and_then_some(path: Path, end: int) -> int:
        remove_lines(here, cuts_of(here, "ann")[:1], "expired")
        blank = count_blank(path, end)
        remove_lines(here, cuts_of(here, "ann")[:1], "expired")
        return blank

    monkeypatch.setattr("lakeward.audit.count_blank", and_then_some)
    report = audit(here, known_folders(here, lake.ring_dir))
    assert report.ok, report.faults
    monkeypatch.undo()
    assert lake.audit().ok


def test_collection_goes_on_when_the_journal_is_damaged(lake: Lake) -> None:
    """Doctor says it; nothing is removed until it is restored."""
    with lake.collector() as collector:
        collector.record("note", user_id="ann")
        collector.commit()
    here = lake.open()
    (here.private / "removals.jsonl").write_bytes(b'00000000 {"kind":"done","number":0}\n')
    with lake.collector() as collector:
        collector.record("note", user_id="bob")
        collector.commit()
    assert users(here) == ["ann", "bob"]
    assert "removals.jsonl has a damaged line" in lake.audit().faults[0]
    with pytest.raises(Unreadable):
        remove_lines(here, cuts_of(here, "ann"), "erased")


@pytest.mark.parametrize("open_cut", [False, True])
def test_a_keeper_starts_while_a_backup_keeps_removals_waiting(lake: Lake, open_cut: bool) -> None:
    with lake.collector() as collector:
        for user in ("ann", "ann", "bob"):
            collector.record("note", user_id=user)
        collector.commit()
    here = lake.open()
    first, second = cuts_of(here, "ann")
    remove_lines(here, [first], "erased")
    if open_cut:
        with pytest.raises(Stop):
            remove_lines(here, [second], "erased", pause=stop_at("after intent"))
    with paused(here), lake.collector() as collector:
        collector.record("note", user_id="carol")
        collector.commit()
        assert under_way(here)
        assert not interrupted(here)
    assert users(here)[-1] == "carol"
    assert interrupted(here) is open_cut
    with lake.collector() as collector:  # the next keeper finishes it
        collector.record("note", user_id="dora")
        collector.commit()
    report = lake.audit()
    assert report.ok, report.faults
    assert users(here) == (["bob"] if open_cut else ["ann", "bob"]) + ["carol", "dora"]


def test_a_journal_of_another_log_removes_nothing(tmp_path: Path) -> None:
    log, lake = written(tmp_path)
    with pytest.raises(Stop):
        remove_lines(lake, cuts_of(lake, "ann"), "erased", pause=stop_at("after intent"))
    (lake.private / "segments.jsonl").write_bytes(b"")
    with pytest.raises(Unreadable, match="segments"):
        finish_pending(lake)
    log.close()


def test_keepers_are_killed_while_people_are_erased_and_others_record(lake: Lake) -> None:
    """SIGKILL of the keeper's process again and again: Ann goes, nothing else does."""
    here, chance = open_lake(lake.root), random.Random(20_261_126)
    eraser, person = LogEraser(here, "raw"), Person("user_id", "ann")
    collector = lake.collector(LAKEWARD_KEEPER="spawn")
    enough, recorded, killed = threading.Event(), [0, 0], 0

    def record(me: int) -> None:
        while not enough.is_set():
            collector.record("note", user_id="ann", me=me)
            for n in range(9):
                collector.record("note", user_id="bob", me=me, n=n)
            recorded[me] += 1
            collector.commit(60)

    writers = [threading.Thread(target=record, args=(me,)) for me in (0, 1)]
    for writer in writers:
        writer.start()
    while killed < 5:
        time.sleep(chance.random() * 0.1)
        eraser.erase(person)
        killed += lake.kill_keeper() is not None
    enough.set()
    for writer in writers:
        writer.join()
    eraser.erase(person)
    assert users(here) == ["bob"] * 9 * sum(recorded)
    collector.close()
    lake.kill_keeper()
    with Keeper(here, lake.ring_dir).opened():
        pass
    report = lake.audit()
    assert report.ok, report.faults
    assert report.sum["erased"] == sum(recorded)


def test_positions_of_a_log_without_its_first_files_still_lead_on(tmp_path: Path) -> None:
    log, lake = written(tmp_path)
    published = read_published(lake.private / "published")
    assert published is not None
    remove_segments(lake, [1])
    start = Position(published.epoch, 1, 10)
    assert len(list(read_lines(lake, start))) == 9
    assert os.path.exists(lake.root / "raw")
    log.close()
