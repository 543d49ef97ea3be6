"""Retention: what is over goes, by age and type; nothing else does, and nobody misses a line."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from conftest import Lake, wait_until
from lakeward.cli.compact import compact
from lakeward.cli.tidy import Tidying, tidy, told
from lakeward.errors import SettingError
from lakeward.followers.cursor import CursorFile, place, verify
from lakeward.followers.driver import Driver
from lakeward.followers.protocol import Pace, Slice, Subscription
from lakeward.interaction import foreign_id, iso
from lakeward.lakedir import LakeDir
from lakeward.log import Position, read_lines, read_segments
from lakeward.removal import finish_pending, removed
from lakeward.retention import cutoffs, expire_log, read_notes
from lakeward.settings import Settings, load
from written_lakes import WrittenLog

DAY = 86_400_000
NOW = 1_764_158_400_000  # 2025-11-26T12:00:00Z
TODAY = NOW - NOW % DAY


def settings_of(folder: Path, **environ: str) -> Settings:
    return load({"LAKEWARD_COMPACT": "false", **environ}, folder)


def line(n: int, ms: int, kind: str = "api_call") -> bytes:
    record = {"interaction_id": foreign_id("test", str(n), ms), "interaction_type": kind, "n": n}
    return msgspec.json.encode(record)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[WrittenLog]:
    made = WrittenLog(tmp_path / "data-lake")
    yield made
    made.close()


def filled(log: WrittenLog, days: Iterable[int] = (40, 20, 1, 0)) -> LakeDir:
    """One file for each of so many days ago: an even `n` is an api_call, an odd one a click."""
    n = 0
    for ago in days:
        at = NOW - ago * DAY
        log.append([line(n + i, at + i, ("api_call", "click")[i % 2]) for i in range(4)], at)
        n += 4
    return log.lake


def numbers(lake: LakeDir) -> list[int]:
    return [msgspec.json.decode(content)["n"] for content, _ in read_lines(lake)]


def files(lake: LakeDir) -> list[bool]:
    return [(lake.root / s.path).exists() for s in read_segments(lake)[0]]


def follow(lake: LakeDir, name: str, position: Position) -> CursorFile:
    cursor = CursorFile(lake, name)
    cursor.plan(place(lake, position))
    cursor.settle()
    return cursor


def ends(lake: LakeDir) -> list[Position]:
    return [position for _, position in read_lines(lake)]


# what is over


def test_nothing_is_ever_over_unless_settings_say_so(tmp_path: Path) -> None:
    assert cutoffs(settings_of(tmp_path), NOW) == {}
    kept = settings_of(tmp_path, LAKEWARD_RETENTION_TYPES="click=0")
    assert cutoffs(kept, NOW) == {}


def test_days_are_whole_and_a_types_own_number_wins(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path, LAKEWARD_RETENTION_DAYS="30", LAKEWARD_RETENTION_TYPES="click=7, deal_closed=0"
    )
    assert cutoffs(settings, NOW) == {
        None: TODAY - 30 * DAY, "click": TODAY - 7 * DAY, "deal_closed": 0
    }  # fmt: skip
    assert cutoffs(settings, TODAY) == cutoffs(settings, TODAY + DAY - 1)


def test_more_days_than_there_were_keep_everything(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, LAKEWARD_RETENTION_DAYS="36500")
    assert cutoffs(settings, NOW) == {None: 0}


@pytest.mark.parametrize(
    "entry", ["click", "click=", "=3", "click=-1", "click=x", "a=1,a=2", "a=²"]
)
def test_an_entry_that_is_no_number_of_days_is_refused_by_name(tmp_path: Path, entry: str) -> None:
    settings = settings_of(tmp_path, LAKEWARD_RETENTION_TYPES=entry)
    with pytest.raises(SettingError, match="LAKEWARD_RETENTION_TYPES"):
        cutoffs(settings, NOW)


# the log


def test_without_a_limit_nothing_is_removed(tmp_path: Path, log: WrittenLog) -> None:
    lake = filled(log)
    assert expire_log(lake, settings_of(tmp_path), NOW).lines == 0
    assert numbers(lake) == list(range(16))
    assert not (lake.private / "removals.jsonl").exists()


def test_files_of_which_every_line_is_over_are_deleted(tmp_path: Path, log: WrittenLog) -> None:
    lake = filled(log)
    done = expire_log(lake, settings_of(tmp_path, LAKEWARD_RETENTION_DAYS="15"), NOW)
    assert (done.lines, done.files, done.held) == (8, 2, 0)
    assert numbers(lake) == list(range(8, 16))
    assert files(lake) == [False, False, True, True]
    assert not (lake.root / "raw/year=2025/month=10").exists()
    assert {n: r.expired for n, r in removed(lake).items()} == {1: 4, 2: 4}


def test_lines_of_a_type_are_blanked_where_others_stay(tmp_path: Path, log: WrittenLog) -> None:
    lake = filled(log)
    sizes = [(lake.root / s.path).stat().st_size for s in read_segments(lake)[0]]
    done = expire_log(lake, settings_of(tmp_path, LAKEWARD_RETENTION_TYPES="click=1"), NOW)
    assert (done.lines, done.files) == (4, 0)
    assert numbers(lake) == [0, 2, 4, 6, 8, 9, 10, 11, 12, 13, 14, 15]
    assert [(lake.root / s.path).stat().st_size for s in read_segments(lake)[0]] == sizes


def test_a_type_may_be_kept_longer_than_the_others(tmp_path: Path, log: WrittenLog) -> None:
    lake = filled(log)
    settings = settings_of(
        tmp_path, LAKEWARD_RETENTION_DAYS="10", LAKEWARD_RETENTION_TYPES="click=30,web_vital=0"
    )
    assert expire_log(lake, settings, NOW).lines == 6
    assert numbers(lake) == [5, 7, *range(8, 16)]
    assert files(lake) == [False, True, True, True]


def test_a_file_that_ends_up_blank_is_deleted(tmp_path: Path, log: WrittenLog) -> None:
    """Types that are over one after the other leave nothing but spaces."""
    lake = filled(log)
    expire_log(lake, settings_of(tmp_path, LAKEWARD_RETENTION_TYPES="click=10"), NOW)
    settings = settings_of(
        tmp_path, LAKEWARD_RETENTION_TYPES="click=10", LAKEWARD_RETENTION_DAYS="10"
    )
    assert expire_log(lake, settings, NOW).lines == 4
    assert files(lake) == [False, False, True, True]
    assert removed(lake)[1].expired == 4


def test_the_last_file_stays_although_it_is_over(tmp_path: Path, log: WrittenLog) -> None:
    """The keeper goes on in it, or looks for it when it starts: its lines go, the file stays."""
    lake = filled(log, [40, 39])
    log.seal()
    assert expire_log(lake, settings_of(tmp_path, LAKEWARD_RETENTION_DAYS="15"), NOW).lines == 8
    assert files(lake) == [False, True]
    assert numbers(lake) == []


def test_an_old_time_counts_whenever_it_came_and_a_future_one_from_its_receipt(
    tmp_path: Path, log: WrittenLog
) -> None:
    log.append([line(0, NOW - 900 * DAY), line(1, NOW)], NOW)
    log.append([line(2, NOW + 9000 * DAY), b"{not ours}"], NOW + DAY)
    log.append([line(3, NOW + 50 * DAY)], NOW + 50 * DAY)
    lake = log.lake
    settings = settings_of(tmp_path, LAKEWARD_RETENTION_DAYS="30")
    assert expire_log(lake, settings, NOW).lines == 1
    assert expire_log(lake, settings, NOW + 50 * DAY).lines == 3
    assert numbers(lake) == [3]


def test_the_quarantine_is_kept_as_long_as_the_log_by_the_time_of_setting_aside(
    tmp_path: Path, lake: Lake
) -> None:
    collector = lake.collector()
    collector.record("demo_booking", status="later", user_id="ann", timestamp="2001-01-01T00:00Z")
    collector.commit()
    collector.close()
    settings = settings_of(tmp_path, LAKEWARD_RETENTION_DAYS="5")
    now = lake.quarantined()[0]["quarantine_id"]
    ms = int(now[:8] + now[9:13], 16)
    assert expire_log(lake.open(), settings, ms + 3 * DAY).lines == 0
    assert expire_log(lake.open(), settings, ms + 7 * DAY).lines == 1
    assert lake.quarantined() == []
    assert b"ann" not in b"".join(p.read_bytes() for p in lake.root.rglob("quarantine*.jsonl"))
    assert lake.audit().ok


# followers


def test_what_a_follower_does_not_have_is_waited_for(tmp_path: Path, log: WrittenLog) -> None:
    lake = filled(log)
    follow(lake, "slow", ends(lake)[5])
    follow(lake, "quick", ends(lake)[-1])
    settings = settings_of(tmp_path, LAKEWARD_RETENTION_DAYS="15", LAKEWARD_FOLLOWER_LAG_DAYS="90")
    done = expire_log(lake, settings, NOW)
    assert (done.lines, done.files, done.held, done.waits_for) == (6, 1, 2, ["slow"])
    assert numbers(lake) == [6, 7, *range(8, 16)]
    verify(lake, follow(lake, "slow", ends(lake)[1]).progress.done)
    assert expire_log(lake, settings, NOW).lines == 2
    assert files(lake) == [False, False, True, True]


def test_a_follower_too_far_behind_is_not_waited_for(tmp_path: Path, log: WrittenLog) -> None:
    lake = filled(log)
    slow = follow(lake, "slow", ends(lake)[1])
    settings = settings_of(tmp_path, LAKEWARD_RETENTION_DAYS="15", LAKEWARD_FOLLOWER_LAG_DAYS="7")
    done = expire_log(lake, settings, NOW)
    assert (done.lines, done.held, done.waits_for, done.left_behind) == (4, 4, ["slow"], ["slow"])
    assert numbers(lake) == list(range(4, 16))
    verify(lake, slow.progress.done)
    assert list(told(done))[1:] == [
        "4 lines are over and wait for: slow", "not waited for any longer: slow"
    ]  # fmt: skip


def test_lines_that_came_late_wait_as_long_as_others(tmp_path: Path, log: WrittenLog) -> None:
    """An import of old data is over at once, and followers get it first all the same."""
    log.append([line(0, NOW - 900 * DAY)], NOW)
    log.append([line(1, NOW + DAY)], NOW + DAY)
    CursorFile(log.lake, "slow").change(lambda p: msgspec.structs.replace(p, inside=1))
    settings = settings_of(tmp_path, LAKEWARD_RETENTION_DAYS="30", LAKEWARD_FOLLOWER_LAG_DAYS="7")
    assert expire_log(log.lake, settings, NOW + DAY).lines == 0
    assert expire_log(log.lake, settings, NOW + 9 * DAY).lines == 1


def test_the_table_is_a_follower(tmp_path: Path, log: WrittenLog) -> None:
    lake = filled(log)
    settings = settings_of(tmp_path, LAKEWARD_RETENTION_DAYS="15", LAKEWARD_FOLLOWER_LAG_DAYS="90")
    done = expire_log(lake, settings, NOW, table=Position())
    assert (done.lines, done.waits_for) == (0, ["table"])
    assert expire_log(lake, settings, NOW, table=ends(lake)[7]).files == 2


def test_a_cursor_that_cannot_be_read_is_at_the_beginning(tmp_path: Path, log: WrittenLog) -> None:
    lake = filled(log)
    cursor = follow(lake, "hurt", ends(lake)[-1])
    cursor.path.write_bytes(b"{")
    settings = settings_of(tmp_path, LAKEWARD_RETENTION_DAYS="15", LAKEWARD_FOLLOWER_LAG_DAYS="90")
    assert expire_log(lake, settings, NOW).waits_for == ["hurt"]


# notes and kills


def test_a_file_is_read_once_and_then_only_when_something_in_it_is_over(
    tmp_path: Path, log: WrittenLog
) -> None:
    lake = filled(log)
    settings = settings_of(tmp_path, LAKEWARD_RETENTION_DAYS="30")
    expire_log(lake, settings, NOW)
    noted = read_notes(lake)
    assert list(noted.files) == [2, 3]
    path = lake.root / read_segments(lake)[0][1].path
    content = path.read_bytes()
    path.write_bytes(b"".join(line(n, NOW - 900 * DAY, "click") + b"\n" for n in range(4, 8)))
    assert expire_log(lake, settings, NOW).lines == 0, "it was not read again"
    path.write_bytes(content)
    assert read_notes(lake) == noted
    # by its notes alone
    assert expire_log(lake, settings, NOW + 12 * DAY).files == 1


def test_notes_of_other_types_or_damaged_ones_are_made_again(
    tmp_path: Path, log: WrittenLog
) -> None:
    lake = filled(log)
    expire_log(lake, settings_of(tmp_path, LAKEWARD_RETENTION_DAYS="30"), NOW)
    settings = settings_of(tmp_path, LAKEWARD_RETENTION_TYPES="click=10")
    assert expire_log(lake, settings, NOW).lines == 2
    (lake.private / "retention.json").write_bytes(b"{")
    assert expire_log(lake, settings, NOW + 12 * DAY).lines == 4


class Stop(BaseException):
    """A kill at a named point."""


@pytest.mark.parametrize("point", ["after intent", "between files", "before cursors"])
def test_a_run_that_was_killed_is_made_good_by_the_next(
    tmp_path: Path, log: WrittenLog, point: str
) -> None:
    lake = filled(log)
    settings = settings_of(
        tmp_path, LAKEWARD_RETENTION_DAYS="30", LAKEWARD_RETENTION_TYPES="click=10"
    )

    def pause(at: str) -> None:
        if at == point:
            raise Stop

    with pytest.raises(Stop):
        expire_log(lake, settings, NOW, pause=pause)
    finish_pending(lake)
    expire_log(lake, settings, NOW)
    assert numbers(lake) == [4, 6, *range(8, 16)]
    assert {n: r.expired for n, r in removed(lake).items()} == {1: 4, 2: 2}


# all of it


def recorded(lake: Lake, ago: int, n: int = 4) -> list[str]:
    """Interactions of that many days ago, received now."""
    collector = lake.collector()
    at = iso(NOW - ago * DAY)
    kinds = ("click", "hello")
    ids = [collector.record(kinds[i % 2], timestamp=at, user_id=f"u{i}") for i in range(n)]
    collector.commit()
    collector.close()
    return [str(i) for i in ids]


def test_doctor_adds_up_what_expired_and_the_table_loses_it_too(lake: Lake) -> None:
    old, young = recorded(lake, 40), recorded(lake, 1)
    settings = load(
        {**lake.env, "LAKEWARD_RETENTION_DAYS": "30", "LAKEWARD_RETENTION_TYPES": "click=60"},
        lake.root.parent,
    )
    report = compact(lake.open(), settings, over=cutoffs(settings, NOW))
    assert (report.added, report.expired) == (8, 2)
    done = tidy(lake.open(), settings, NOW)
    assert done.lines == 2
    assert sorted(lake.ids()) == sorted([old[0], old[2], *young])
    audit = lake.audit()
    assert audit.ok, audit.faults
    assert (audit.sum["delivered"], audit.sum["expired"]) == (6, 2)
    assert read_notes(lake.open()).day == iso(NOW)[:10]
    from lakeward.lake.reading import open_reading

    with open_reading(lake.open(), settings) as reading:
        rows = reading.con.execute(
            f"SELECT interaction_id FROM ({reading.views['interactions']})"
        ).fetchall()
    assert sorted(row[0] for row in rows) == sorted([old[0], old[2], *young])


def test_individual_files_go_with_their_interactions(lake: Lake) -> None:
    old, young = recorded(lake, 40, 2), recorded(lake, 1, 2)
    folder = next(lake.root.glob("raw/year=*/month=*/day=*"))
    for row in lake.rows():
        (folder / f"{row['interaction_id']}.json").write_bytes(msgspec.json.encode(row))
    (folder / "notes.json").write_text("mine")
    settings = load(
        {**lake.env, "LAKEWARD_COMPACT": "false", "LAKEWARD_RETENTION_DAYS": "30"},
        lake.root.parent,
    )
    assert tidy(lake.open(), settings, NOW).individual == 2
    left = sorted(path.stem for path in folder.glob("*.json"))
    assert left == sorted([*young, "notes"])
    assert not set(old) & set(left)


def test_the_keeper_starts_one_run_a_day(lake: Lake) -> None:
    recorded(lake, 40)
    clock, day = [0.0], [0]
    environ = {"LAKEWARD_COMPACT": "false", "LAKEWARD_RETENTION_DAYS": "30"}
    Path(lake.root.parent, ".env.development").write_text(
        "".join(f"{name}={value}\n" for name, value in environ.items())
    )
    settings = load(lake.env, lake.root.parent)
    task = Tidying(
        lake.open(), settings, now=lambda: clock[0],
        now_ms=lambda: time.time_ns() // 1_000_000 + day[0] * DAY,
    )  # fmt: skip
    task.step(None)
    wait_until(lambda: read_notes(lake.open()).day, what="the day's run")
    assert lake.rows() == []
    assert lake.audit().ok
    for _ in range(3):
        clock[0] += 100.0
        wait_until(lambda: step_until_reaped(task, clock), what="the child's end")
        assert not task._child
    day[0] = 1
    clock[0] += 100.0
    task.step(None)
    assert task._child
    task.close()
    assert not task._child


def step_until_reaped(task: Tidying, clock: list[float]) -> bool:
    clock[0] += 6.0
    task.step(None)
    return not task._child


def test_a_bad_setting_stops_retention_and_not_the_keeper(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    recorded(lake, 40)
    settings = load({**lake.env, "LAKEWARD_RETENTION_TYPES": "click"}, lake.root.parent)
    task = Tidying(lake.open(), settings)
    task.step(None)
    assert "LAKEWARD_RETENTION_TYPES" in caplog.text
    assert len(lake.rows()) == 4


def test_lakeward_compact_says_what_expired(lake: Lake) -> None:
    recorded(lake, 40)
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [sys.executable, "-m", "lakeward.cli", "compact", "--format", "json"],
        env=lake.process_env(LAKEWARD_RETENTION_DAYS="30"), cwd=lake.root.parent,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    row: dict[str, Any] = msgspec.json.decode(done.stdout)
    assert (row["added"], row["expired"], row["retention"]["lines"]) == (4, 4, 4)
    assert lake.rows() == []


def test_a_keeper_that_is_killed_amid_retention_loses_nothing_else(lake: Lake) -> None:
    """Writers go on, files go, the keeper dies and comes back: the sum holds."""
    young = recorded(lake, 1, 6)
    recorded(lake, 40, 6)
    environ = {"LAKEWARD_COMPACT": "false", "LAKEWARD_RETENTION_DAYS": "30"}
    settings = load({**lake.env, **environ}, lake.root.parent)
    collector = lake.collector(LAKEWARD_KEEPER="spawn")
    more = []
    for _ in range(3):
        more += [collector.record("hello", timestamp=iso(NOW)) for _ in range(20)]
        collector.commit()
        lake.kill_keeper(signal.SIGKILL)
        expire_log(lake.open(), settings, NOW)
        collector.record("hello", timestamp=iso(NOW - 50 * DAY))
    collector.commit()
    expire_log(lake.open(), settings, NOW)
    assert sorted(lake.ids()) == sorted([*young, *map(str, more)])
    collector.close()
    wait_until(lambda: lake.audit().ok, what="a sum that holds")
    assert lake.audit().sum["expired"] == 9


class Sink:
    """A follower that keeps what it gets."""

    name = "sink"

    def __init__(self) -> None:
        self.got: list[int] = []

    def deliver(self, piece: Slice) -> None:
        self.got += [msgspec.json.decode(content)["properties"]["n"] for content in piece.lines]

    def close(self) -> None:
        """Nothing to let go of."""


@pytest.mark.parametrize("begun", [0, 2])
def test_a_follower_that_was_left_behind_counts_what_it_missed(lake: Lake, begun: int) -> None:
    """Whole files are `expired` to it, blank lines `erased`; its sum holds, and the table's."""
    later = time.time_ns() // 1_000_000 + 3 * DAY
    collector = lake.collector(LAKEWARD_SEGMENT_BYTES="4KiB")
    for n in range(40):
        old = n < 30 or n == 35
        at = iso(later - (40 if old else 3) * DAY)
        collector.record("hello", n=n, timestamp=at, note="x" * 300)
        collector.commit()
    sink = Sink()
    pace = Pace(lines=begun or 100)
    driver = Driver(lake.open(), Subscription("sink", lambda: sink, pace), lambda name, rows: None)
    if begun:
        driver.step(linger=False)
    settings = load(
        {**lake.env, "LAKEWARD_RETENTION_DAYS": "30", "LAKEWARD_FOLLOWER_LAG_DAYS": "1"},
        lake.root.parent,
    )
    done = expire_log(lake.open(), settings, later, table=Position())
    assert done.lines == 31
    assert "table" in done.left_behind
    kept = [*range(30, 35), *range(36, 40)]
    assert [row["properties"]["n"] for row in lake.rows()] == kept
    while driver.step(linger=False) == 0.0:
        pass
    driver.close()
    assert sink.got == [*range(begun), *kept]
    audit = lake.audit()
    assert audit.ok, audit.faults
    (account,) = audit.followers
    assert (account.waiting, account.delivered) == (0, len(sink.got))
    assert account.expired + account.erased == 40 - len(sink.got)
    assert account.expired > 0
    report = compact(lake.open(), settings)
    assert report.added == len(kept)
