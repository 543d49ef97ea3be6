"""The keeper makes durable what the rings hold, whatever disk, clock and other keepers do."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import lakeward.keeper
import lakeward.log
from conftest import Lake, alive, attachment_of, wait_until
from lakeward.audit import Report
from lakeward.errors import LakeBusy, NotDurable, Terminal, Unreadable
from lakeward.keeper import Keeper
from lakeward.lakedir import open_lake
from lakeward.log import read_segments
from lakeward.ring import DRAINED, TAILS

DAY_NS = 86_400_000_000_000
NOON_NS = 1_755_172_800_000_000_000  # 2025-08-14T12:00:00Z


class Clock:
    """A wall clock that the test sets."""

    def __init__(self, ns: int = NOON_NS) -> None:
        self.ns = ns

    def __call__(self) -> int:
        return self.ns


@contextmanager
def keeping(lake: Lake, **options: Any) -> Iterator[Keeper]:
    """A keeper thread on the lake, stopped and joined at the end."""
    keeper = Keeper(open_lake(lake.root), lake.ring_dir, **options)
    failure: list[BaseException] = []

    def run() -> None:
        try:
            keeper.run(wait=5.0)
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, daemon=True, name="keeping")
    thread.start()
    try:
        yield keeper
    finally:
        keeper._stopping = time.monotonic() + 0.3
        thread.join(120)
        assert not thread.is_alive()
    if failure:
        raise failure[0]


def has_ended() -> bool:
    """Whether the keeper of `keeping` gave up by itself."""
    return not any(thread.name == "keeping" for thread in threading.enumerate())


def paths(lake: Lake) -> list[str]:
    return [segment.path for segment in read_segments(lake.open())[0]]


def check(report: Report) -> None:
    assert report.ok, report.faults


def test_a_record_is_durable_when_commit_returns(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="external")
    with keeping(lake):
        wanted = [collector.record("hello", n=n) for n in range(100)]
        collector.commit(60)
        assert lake.ids() == wanted
    check(lake.audit())


def test_commit_raises_when_nobody_keeps_the_lake(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="external")
    assert collector.record("hello") is not None
    with pytest.raises(NotDurable, match="nobody keeps|lakeward run"):
        collector.commit(0.2)


def test_the_log_rolls_by_utc_day(lake: Lake) -> None:
    collector, clock = lake.collector(LAKEWARD_KEEPER="external"), Clock()
    with keeping(lake, now_ns=clock):
        for _ in range(3):
            collector.record("hello")
            collector.commit(60)
            clock.ns += DAY_NS
    assert [path.split("/")[3] for path in paths(lake)] == ["day=14", "day=15", "day=16"]
    check(lake.audit())


def test_the_log_rolls_by_size_and_the_order_of_files_is_not_the_order_of_names(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="external")
    wanted = []
    with keeping(lake, segment_bytes=2000, now_ns=Clock()):
        for n in range(40):
            wanted.append(collector.record("hello", n=n))
            collector.commit(60)
    names = [path.rpartition("/")[2] for path in paths(lake)]
    assert names[:3] == [
        "daily_summary.jsonl", "daily_summary-0001.jsonl", "daily_summary-0002.jsonl"
    ]  # fmt: skip
    assert len(names) > 3
    assert lake.ids() == wanted
    check(lake.audit())


def test_a_clock_that_goes_back_opens_a_new_file_in_the_right_day(lake: Lake) -> None:
    collector, clock = lake.collector(LAKEWARD_KEEPER="external"), Clock()
    wanted = []
    with keeping(lake, now_ns=clock):
        for days in (0, -1, 0, 27_000, 0):
            clock.ns = NOON_NS + days * DAY_NS
            wanted.append(collector.record("hello"))
            collector.commit(60)
    folders = [path.split("/", 1)[1].rpartition("/")[0] for path in paths(lake)]
    assert folders[0] == folders[2] == folders[4] == "year=2025/month=08/day=14"
    assert folders[1] == "year=2025/month=08/day=13"
    assert folders[3].startswith("year=2099/")
    assert paths(lake)[2].endswith("daily_summary-0001.jsonl")
    assert lake.ids() == wanted
    check(lake.audit())


def test_a_lake_has_one_keeper(lake: Lake) -> None:
    open_lake(lake.root)
    with keeping(lake):
        wait_until(lambda: lake.keeper_pid() is not None)
        with pytest.raises(LakeBusy, match="another keeper holds"):
            Keeper(lake.open(), lake.ring_dir).run()


def test_two_keepers_started_at_once_leave_one_and_lose_nothing(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="external")
    collector.record("hello")
    outcomes: list[str] = []
    keepers = [Keeper(lake.open(), lake.ring_dir) for _ in range(2)]

    def run(keeper: Keeper) -> None:
        try:
            keeper.run()
            outcomes.append("kept")
        except LakeBusy:
            outcomes.append("busy")

    threads = [threading.Thread(target=run, args=(keeper,)) for keeper in keepers]
    for thread in threads:
        thread.start()
    collector.commit(60)
    for keeper in keepers:
        keeper._stopping = 0.0
    for thread in threads:
        thread.join(120)
    assert sorted(outcomes) == ["busy", "kept"]
    assert len(lake.ids()) == 1
    check(lake.audit())


def failing(real: Callable[..., Any], number: int, flag: list[bool]) -> Callable[..., Any]:
    def function(*arguments: Any) -> Any:
        if flag[0]:
            raise OSError(number, os.strerror(number))
        return real(*arguments)

    return function


def test_a_full_disk_is_survived_and_collection_resumes_by_itself(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = [False]

    def write(fd: int, content: bytes) -> None:
        if full[0]:
            os.write(fd, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(fd, content)

    real = lakeward.log.write_all
    monkeypatch.setattr(lakeward.log, "write_all", write)
    collector = lake.collector(LAKEWARD_KEEPER="external")
    with keeping(lake):
        wanted = [collector.record("hello") for _ in range(10)]
        collector.commit(60)
        full[0] = True
        wanted += [collector.record("while_full") for _ in range(10)]
        wanted = [i for i in wanted if i]
        wanted += [collector.record("hello") for _ in range(10)]
        with pytest.raises(NotDurable, match="No space left"):
            collector.commit(0.5)
        assert collector.stats()["keeper"]["error"] == "No space left on device"
        check(lake.audit())
        full[0] = False
        collector.commit(60)
        assert lake.ids() == wanted
    check(lake.audit())


def test_drops_are_counted_when_the_ring_fills_behind_a_failing_disk(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [False]
    monkeypatch.setattr(
        lakeward.log, "write_all", failing(lakeward.log.write_all, errno.EROFS, broken)
    )
    collector = lake.collector(
        LAKEWARD_KEEPER="external", LAKEWARD_RING_BYTES="256KiB", LAKEWARD_FRAME_BYTES="8KiB"
    )
    with keeping(lake):
        collector.record("hello")
        collector.commit(60)
        broken[0] = True
        kept = [collector.record("hello", filler="x" * 500) for _ in range(1000)]
        assert None in kept
        dropped = kept.count(None)
        assert collector.stats()["reasons"] == {"full": dropped}
        broken[0] = False
        collector.commit(60)
        assert collector.record("hello") is not None
        collector.commit(60)
    report = lake.audit()
    check(report)
    assert report.sum["dropped"] == dropped
    assert report.sum["delivered"] == 1002 - dropped


def test_a_failed_fdatasync_seals_the_file_and_writes_the_batch_again(lake: Lake) -> None:
    broken = [False]
    collector = lake.collector(LAKEWARD_KEEPER="external")
    with keeping(lake, fdatasync=failing(os.fdatasync, errno.EIO, broken)):
        wanted = [collector.record("hello")]
        collector.commit(60)
        broken[0] = True
        wanted.append(collector.record("hello"))
        wait_until(lambda: collector.stats()["keeper"]["error"] != "", what="the keeper's notice")
        with pytest.raises(NotDurable, match="Input/output error"):
            collector.commit(0.3)
        broken[0] = False
        collector.commit(60)
    segments = read_segments(lake.open())[0]
    assert len(segments) >= 2
    assert segments[0].end is not None
    assert lake.ids() == wanted
    check(lake.audit())


def test_a_lake_moved_away_is_waited_for(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="external")
    with keeping(lake):
        wanted = [collector.record("hello")]
        collector.commit(60)
        away = lake.root.with_name("elsewhere")
        lake.root.rename(away)
        wait_until(lambda: collector.stats()["keeper"]["error"] != "", what="the keeper's notice")
        wanted.append(collector.record("hello"))
        with pytest.raises(NotDurable):
            collector.commit(0.3)
        away.rename(lake.root)
        collector.commit(60)
        assert lake.ids() == wanted
    check(lake.audit())


def test_a_lake_deleted_under_a_running_app_is_made_again_in_a_new_epoch(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="external")
    with keeping(lake):
        collector.record("before")
        collector.commit(60)
        before = lake.open().identity
        shutil.rmtree(lake.root)
        wait_until((lake.root / ".lakeward" / "published").exists, what="the new lake")
        wanted = collector.record("after")
        collector.commit(60)
        assert lake.ids() == [wanted]
    after = lake.open().identity
    assert after.lake_id == before.lake_id
    assert after.epoch > before.epoch
    report = lake.audit()
    check(report)
    assert report.sum["vanished"] == 1


def test_a_restored_backup_raises_the_epoch_and_repeats_nothing(lake: Lake, tmp_path: Path) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="external")
    with keeping(lake):
        first = collector.record("first")
        collector.commit(60)
    shutil.copytree(lake.root, tmp_path / "backup")
    with keeping(lake):
        collector.record("second")
        collector.commit(60)
    shutil.rmtree(lake.root)
    shutil.copytree(tmp_path / "backup", lake.root)
    with keeping(lake):
        third = collector.record("third")
        collector.commit(60)
    assert lake.ids() == [first, third]
    assert lake.open().identity.epoch == 2
    report = lake.audit()
    check(report)
    assert report.sum["vanished"] == 1


def test_a_torn_tail_is_cut_on_open(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="external")
    with keeping(lake):
        wanted = [collector.record("hello")]
        collector.commit(60)
    path = lake.root / paths(lake)[0]
    with path.open("ab") as file:
        file.write(b'{"interaction_id":"torn')
    with keeping(lake):
        wanted.append(collector.record("hello"))
        collector.commit(60)
    assert lake.ids() == wanted
    assert b"torn" not in path.read_bytes()
    check(lake.audit())


def test_whole_lines_that_no_batch_names_are_kept_and_counted_as_found(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="external")
    with keeping(lake):
        collector.record("hello")
        collector.commit(60)
        collector.record("hello")
        collector.commit(60)
    ledger = lake.root / ".lakeward" / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    last = next(n for n in range(len(lines) - 1, 0, -1) if b'"kind":"batch"' in lines[n])
    ledger.write_bytes(b"".join(lines[:last]))
    for ring in lake.ring_dir.glob("*"):
        ring.unlink()
    with keeping(lake):
        wait_until(lambda: lake.audit().ok, what="recovery")
    assert len(lake.ids()) == 2
    assert lake.audit().sum["found"] == 1


def test_a_file_cut_behind_the_keepers_back_is_named_and_raises_the_epoch(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="external")
    with keeping(lake):
        for _ in range(5):
            collector.record("hello")
            collector.commit(60)
    path = lake.root / paths(lake)[0]
    os.truncate(path, path.stat().st_size - 30)
    assert not lake.audit().ok
    with keeping(lake):
        collector.record("hello")
        collector.commit(60)
    assert lake.open().identity.epoch == 2
    report = lake.audit()
    check(report)
    assert report.sum["vanished"] == 1


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("lake.json", b'"format":1', b'"format":9'),
        ("ledger.jsonl", b'"format":1', b'"format":9'),
    ],
)
def test_a_lake_of_another_format_is_refused_with_a_sentence(
    lake: Lake, file: str, old: bytes, new: bytes
) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="external")
    with keeping(lake):
        collector.record("hello")
        collector.commit(60)
    path = lake.root / ".lakeward" / file
    content = path.read_bytes().replace(old, new)
    if file == "ledger.jsonl":
        first, _, rest = content.partition(b"\n")
        body = first[9:]
        content = b"%08x %s\n" % (lakeward.keeper.crc32(body), body) + rest
    path.write_bytes(content)
    with pytest.raises(Unreadable, match="format 9"), keeping(lake):
        wait_until(has_ended, what="the keeper's end")


def test_another_lake_in_the_place_of_a_deleted_one_is_refused(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="external")
    with pytest.raises(Terminal, match="another lake now"), keeping(lake):
        collector.record("hello")
        collector.commit(60)
        shutil.rmtree(lake.root)
        open_lake(lake.root)
        wait_until(has_ended, what="the keeper's end")


def test_a_spawned_keeper_hands_over_to_a_lakeward_run(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="spawn")
    collector.record("hello")
    collector.commit(60)
    spawned = lake.keeper_pid()
    assert spawned not in (None, os.getpid())
    from lakeward.cli.run import ask_for_handover

    ask_for_handover(lake.open(), lake.ring_dir)
    with keeping(lake):
        wait_until(lambda: lake.keeper_pid() == os.getpid(), what="hand-over")
        collector.record("hello")
        collector.commit(60)
    assert len(lake.ids()) == 2
    check(lake.audit())


def test_a_keeper_that_cannot_open_the_lake_tries_again_and_leaks_nothing(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="external")
    collector.record("hello")
    broken = [True]
    tries = []

    def recover(*arguments: Any) -> list[str]:
        tries.append(len(os.listdir("/proc/self/fd")))
        if broken[0]:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(*arguments)

    real = lakeward.keeper.recover
    monkeypatch.setattr(lakeward.keeper, "recover", recover)
    with keeping(lake, idle_seconds=0.1):
        wait_until(lambda: len(tries) > 5, what="tries")
        assert len(set(tries)) == 1
        broken[0] = False
        collector.commit(60)
    check(lake.audit())


def test_a_spawned_keeper_leaves_when_lake_and_rings_are_gone_and_nobody_records(
    lake: Lake,
) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="spawn")
    collector.record("hello")
    collector.commit(60)
    pid = lake.keeper_pid()
    assert pid is not None
    collector.close()
    shutil.rmtree(lake.root)
    shutil.rmtree(lake.ring_dir)
    wait_until(lambda: not alive(pid), what="the keeper's leave")
    assert not lake.root.exists()


def test_a_keeper_killed_inside_a_release_repeats_nothing(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="external")
    wanted = []
    with keeping(lake):
        for _ in range(6):
            wanted.append(collector.record("hello"))
            collector.commit(60)
    # As SIGKILL between its two stores leaves it: the tail moved, the sequence did not, and back.
    path = next(lake.ring_dir.glob("*.ring"))
    with path.open("r+b") as file:
        file.seek(DRAINED)
        file.write(bytes(8 * 16))
    with keeping(lake):
        collector.commit(60)
    with path.open("r+b") as file:
        file.seek(TAILS)
        file.write(bytes(8 * 16))
    with keeping(lake):
        wanted.append(collector.record("hello"))
        collector.commit(60)
    assert lake.ids() == wanted
    check(lake.audit())


def test_sigterm_ends_a_keeper_within_its_farewell_even_under_load(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="spawn")
    collector.record("hello")
    collector.commit(60)
    pid = lake.keeper_pid()
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    kept: list[str | None] = []

    def gone() -> bool:
        kept.extend(collector.record("load") for _ in range(50))
        return not alive(pid)

    wait_until(gone, what="the keeper's end")
    collector.commit(60)
    assert len(lake.ids()) == 1 + len([i for i in kept if i])
    check(lake.audit())


def test_a_copy_of_a_lake_never_drains_the_originals_rings(lake: Lake, tmp_path: Path) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="external")
    with keeping(lake):
        collector.record("hello")
        collector.commit(60)
        shutil.copytree(lake.root, tmp_path / "copy")
        with pytest.raises(LakeBusy, match="kept for another folder"):
            Keeper(open_lake(tmp_path / "copy"), lake.ring_dir).run()


def test_a_lake_moved_away_with_a_new_one_in_its_place_gets_nothing_of_the_new_one(
    lake: Lake,
) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="external")
    with keeping(lake, segment_bytes=600):
        wanted = [collector.record("hello")]
        collector.commit(60)
        away = lake.root.with_name("elsewhere")
        lake.root.rename(away)
        open_lake(lake.root)
        wanted += [collector.record("hello") for _ in range(20)]
        with pytest.raises(NotDurable):
            collector.commit(0.5)
        assert list(lake.root.glob("raw/**/*.jsonl")) == []
        shutil.rmtree(lake.root)
        away.rename(lake.root)
        collector.commit(60)
    assert lake.ids() == wanted
    check(lake.audit())


def test_a_ledger_event_of_a_later_version_is_refused_with_a_sentence(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="external")
    with keeping(lake):
        collector.record("hello")
        collector.commit(60)
    body = b'{"kind":"from the future"}'
    with (lake.root / ".lakeward" / "ledger.jsonl").open("ab") as file:
        file.write(b"%08x %s\n" % (lakeward.keeper.crc32(body), body))
    with pytest.raises(Unreadable, match="newer Lakeward"):
        lake.audit()


def test_a_dead_ring_whose_head_was_written_over_is_buried_and_the_keeper_leaves(
    lake: Lake,
) -> None:
    pid = os.fork()
    if pid == 0:
        collector = lake.collector(LAKEWARD_KEEPER="spawn")
        for n in range(20):
            collector.record("click", properties={"n": n})
        collector.commit()
        ring = attachment_of(collector).ring
        for lane in range(len(ring._heads)):
            ring._heads[lane] = 0
        os._exit(0)
    os.waitpid(pid, 0)
    keeper = lake.keeper_pid()
    wait_until(lambda: not list(lake.ring_dir.glob("*.ring")), what="the ring's end")
    wait_until(lambda: keeper is None or not alive(keeper), what="the keeper's farewell")
    assert len(lake.rows()) == 20
    assert lake.audit().ok
