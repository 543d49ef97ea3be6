"""The driver of followers: what is planned, repeated, left out, set aside and remembered."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from couriers import drive
from lakeward import rollout
from lakeward.accounts import Account, accounts
from lakeward.errors import (
    Rejected,
    Terminal,
    Throttled,
    Transient,
    Undeliverable,
)
from lakeward.followers import driver as driving
from lakeward.followers import state
from lakeward.followers.cursor import (
    Counts,
    CursorFile,
    Progress,
    locked,
    read_progress,
    recompute,
)
from lakeward.followers.driver import Driver
from lakeward.followers.protocol import Pace, Slice, Subscription
from lakeward.followers.slices import beyond, sift
from lakeward.lakedir import LakeDir, open_lake
from lakeward.ledger import State
from lakeward.log import read_segments
from lakeward.removal import Cut, finish_pending, remove_lines
from test_followers_contract import START_MS, Clock, record
from written_lakes import WrittenLog


class Sink:
    """Keeps what it is given; raises what it is told to, once each."""

    name = "sink"

    def __init__(self) -> None:
        self.pieces: list[Slice] = []
        self.raises: list[Exception] = []
        self.tidied = 0
        self.closed = False

    def deliver(self, piece: Slice) -> None:
        self.pieces.append(piece)
        if self.raises:
            raise self.raises.pop(0)

    def tidy(self) -> None:
        self.tidied += 1

    def close(self) -> None:
        self.closed = True

    def ids(self) -> list[str]:
        return [
            msgspec.json.decode(line)["interaction_id"]
            for piece in self.pieces
            for line in piece.lines
        ]


class Stage:
    """A log, and drivers of one sink along it."""

    def __init__(self, root: Path) -> None:
        self.log = WrittenLog(root, segment_bytes=20_000)
        self.lake = self.log.lake
        self.sink = Sink()
        self.clock = Clock()
        self.aside: list[tuple[str, bytes, str]] = []
        self.chance = 1.0
        self.shares: Callable[[int], int] = lambda feature: rollout.ALL
        self.written = 0

    def write(self, n: int) -> None:
        rows = [msgspec.json.encode(record(self.written + i)) for i in range(n)]
        self.written += n
        self.log.append(rows, START_MS)

    def driver(
        self,
        pace: Pace = Pace(lines=10),  # noqa: B008  # frozen
        feature: int | None = None,
        pause: Callable[[str], None] = lambda _: None,
        lake: LakeDir | None = None,
    ) -> Driver:
        return Driver(
            lake or self.lake, Subscription("sink", lambda: self.sink, pace, feature),
            self.set_aside, share=self.shared, clock=self.clock,
            chance=lambda: self.chance, pause=pause,
        )  # fmt: skip

    def shared(self, feature: int) -> int:
        return self.shares(feature)

    def set_aside(self, name: str, lines: list[tuple[bytes, str]]) -> None:
        self.aside += [(name, line, reason) for line, reason in lines]

    def deliver(self, **options: object) -> None:
        with contextlib.closing(self.driver(**options)) as driver:  # type: ignore[arg-type]  # passed on
            drive(driver)

    @property
    def cursor(self) -> Path:
        return self.lake.private / "cursors" / "sink.json"

    def progress(self) -> Progress:
        return read_progress(self.cursor)

    def account(self) -> tuple[list[Account], list[str]]:
        faults: list[str] = []
        state = State(lines={"raw": self.written})
        return accounts(self.lake, state, faults, log=True), faults

    def path(self, n: int = 0) -> Path:
        return self.lake.root / read_segments(self.lake)[0][n].path


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path / "data-lake")
    yield made
    made.log.close()


def blank(path: Path, n: int) -> None:
    """Overwrite the `n`-th line with spaces, as an erase does."""
    lines = path.read_bytes().splitlines(keepends=True)
    lines[n] = b" " * (len(lines[n]) - 1) + b"\n"
    with path.open("r+b") as file:
        file.write(b"".join(lines))


# Slices


def test_slices_are_in_log_order_end_with_their_segment_and_carry_its_day(stage: Stage) -> None:
    stage.write(35)
    stage.log.seal()
    stage.write(7)
    stage.deliver()
    assert [len(piece.lines) for piece in stage.sink.pieces] == [10, 10, 10, 5, 7]
    assert {piece.day for piece in stage.sink.pieces} == {"2025-08-14"}
    assert stage.sink.ids() == [record(n)["interaction_id"] for n in range(42)]
    assert stage.sink.pieces[3].end.offset == stage.path().stat().st_size
    assert stage.sink.pieces[4].start.offset == 0
    assert [piece.start.segment for piece in stage.sink.pieces] == [1, 1, 1, 1, 2]


def test_a_slice_takes_no_more_bytes_than_the_pace_but_always_a_line(stage: Stage) -> None:
    stage.write(6)
    size = len(msgspec.json.encode(record(0))) + 1
    stage.deliver(pace=Pace(bytes=2 * size + 50, lines=100))
    assert [len(piece.lines) for piece in stage.sink.pieces] == [2, 2, 2]
    stage.write(2)
    stage.deliver(pace=Pace(bytes=10, lines=100))
    assert [len(piece.lines) for piece in stage.sink.pieces[3:]] == [1, 1]


def test_a_slice_lingers_until_it_is_full_old_or_its_segment_is_sealed(stage: Stage) -> None:
    driver = stage.driver(pace=Pace(bytes=5_000, lines=1000, seconds=60))
    stage.write(2)
    for _ in range(5):
        assert driver.step() == 60
        assert driver.listening
    assert stage.sink.pieces == []
    stage.clock.now += 61
    driver.step()
    assert len(stage.sink.pieces) == 1  # old
    stage.write(30)
    driver.step()
    assert len(stage.sink.pieces) == 2  # full
    driver.step()
    driver.step()
    stage.write(1)
    stage.log.seal()
    stage.write(1)
    while driver.step() == 0.0:
        pass
    assert len(stage.sink.ids()) == stage.written - 1  # sealed; the last segment lingers
    driver.step(linger=False)
    assert len(stage.sink.ids()) == stage.written
    driver.close()


def test_memory_is_bounded_by_the_slice_and_not_by_the_backlog(stage: Stage) -> None:
    line = msgspec.json.encode(record(0) | {"properties": {"text": "x" * 4_000}})
    for _ in range(40):
        stage.log.append([line] * 100, START_MS)
    script = "import sys, test_driver; test_driver.measure(sys.argv[1])"
    # A process of its own: what else the suite left in this one allocates when it likes.
    done = subprocess.run(
        [sys.executable, "-c", script, str(stage.lake.root)], cwd=Path(__file__).parent,
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    delivered, peak = map(int, done.stdout.split())
    assert delivered == 4_000  # 18 MB
    assert peak < 4 * (64 << 10)


def measure(root: str) -> None:
    """Drive a lake's log to its end; print the lines delivered and the most memory it took."""
    seen, sink = [0], Sink()

    def count(piece: Slice) -> None:
        seen[0] += len(piece.lines)

    sink.deliver = count  # type: ignore[method-assign]  # keeps nothing
    pace = Pace(bytes=64 << 10, lines=1000)
    driver = Driver(
        open_lake(Path(root), create=False), Subscription("sink", lambda: sink, pace),
        lambda name, lines: None, clock=Clock(),
    )  # fmt: skip
    driver.step()
    # Python's table of interned names grows by megabytes at a time: not just now.
    grown = [sys.intern(f"name-{n}") for n in range(100_000)]
    tracemalloc.start()
    drive(driver)
    print(seen[0], tracemalloc.get_traced_memory()[1])
    assert grown
    driver.close()


# Repeats


def test_every_attempt_has_the_planned_range_although_the_log_grew(stage: Stage) -> None:
    stage.write(4)
    stage.sink.raises = [Transient("away"), OSError(104, "reset"), KeyError("u1")]
    driver = stage.driver()
    for _ in range(3):
        assert driver.step() > 0
        stage.write(3)
    driver.close()
    stage.deliver()
    names = [piece.name for piece in stage.sink.pieces]
    assert len(set(names[:4])) == 1
    assert len(stage.sink.pieces[3].lines) == 4
    assert stage.progress().counts == Counts(delivered=13)


def test_pauses_grow_with_full_jitter_to_their_bound_and_begin_anew(stage: Stage) -> None:
    stage.write(1)
    stage.sink.raises = [Transient("away") for _ in range(12)]
    driver = stage.driver()
    pauses = [driver.step() for _ in range(12)]
    assert pauses[:4] == [0.5, 1.0, 2.0, 4.0]
    assert max(pauses) == pauses[-1] == driving.LONGEST_PAUSE
    assert driver.step() == 0.0
    stage.write(1)
    stage.sink.raises = [Transient("away")]
    stage.chance = 0.5
    assert driver.step() == 0.25
    driver.close()


def test_a_throttling_sink_says_how_long_at_least(stage: Stage) -> None:
    stage.write(1)
    stage.sink.raises = [Throttled("busy", 7.0), Throttled("busy", 1e9)]
    driver = stage.driver()
    assert driver.step() == 7.0
    assert driver.step() == driving.LONGEST_PAUSE
    driver.close()


def test_an_error_of_the_follower_is_named_by_its_type_alone(stage: Stage) -> None:
    stage.write(1)
    stage.sink.raises = [ValueError("u1@example.org is no number")]
    driver = stage.driver()
    driver.step()
    condition = state.read(stage.lake, "sink")
    assert (condition.state, condition.sentence) == (
        "retrying", "the follower failed with ValueError",
    )  # fmt: skip
    assert condition.since
    drive(driver)
    driver.close()
    assert state.read(stage.lake, "sink").state == "running"


def test_an_erase_that_was_killed_halfway_is_finished_first(stage: Stage) -> None:
    stage.write(10)
    stage.deliver()
    stage.write(5)
    first = stage.path().read_bytes().index(b"\n") + 1

    def killed(point: str) -> None:
        if point == "before cursors":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        remove_lines(stage.lake, [Cut(1, 0, first)], "erased", pause=killed)
    driver = Driver(
        stage.lake, Subscription("sink", lambda: stage.sink), stage.set_aside,
        mend=lambda: finish_pending(stage.lake),
    )  # fmt: skip
    drive(driver)
    driver.close()
    assert len(stage.sink.ids()) == 15
    assert stage.account()[1] == []


# The follower's end


def test_a_terminal_error_stops_the_follower_with_its_sentence(stage: Stage) -> None:
    stage.write(5)
    stage.sink.raises = [Terminal("there is no bucket: create it")]
    driver = stage.driver()
    driver.step()
    assert driver.stopped
    assert stage.sink.closed
    for _ in range(3):
        assert driver.step() == driving.REST_SECONDS
    assert len(stage.sink.pieces) == 1
    assert state.read(stage.lake, "sink").sentence == "there is no bucket: create it"
    stage.deliver()
    assert stage.progress().counts == Counts(delivered=5)


def test_two_drivers_never_drive_one_follower(stage: Stage) -> None:
    stage.write(5)
    first, second = stage.driver(), stage.driver()
    first.step()
    assert second.step() == driving.LOCK_SECONDS
    assert len(stage.sink.pieces) == 1
    first.close()
    stage.write(1)
    assert second.step() == 0.0
    assert len(stage.sink.pieces) == 2
    second.close()


def test_a_log_that_is_another_stops_the_follower(stage: Stage) -> None:
    stage.write(5)
    stage.deliver()
    with stage.path().open("r+b") as file:
        file.seek(40)
        file.write(b"#")
    stage.write(5)
    driver = stage.driver()
    driver.step()
    assert driver.stopped
    assert "is not what was delivered" in state.read(stage.lake, "sink").sentence
    assert len(stage.sink.pieces) == 1


# Records that cannot be delivered


def test_undeliverable_records_are_set_aside_and_the_rest_counts(stage: Stage) -> None:
    stage.write(5)
    stage.sink.raises = [Undeliverable([(1, "too deep"), (4, "too large"), (9, "no such line")])]
    stage.deliver()
    assert [(name, reason) for name, _, reason in stage.aside] == [
        ("sink", "too deep"), ("sink", "too large"),
    ]  # fmt: skip
    assert msgspec.json.decode(stage.aside[1][1])["interaction_id"] == (record(4)["interaction_id"])
    assert stage.progress().counts == Counts(delivered=3, quarantined=2)


def test_a_rejected_slice_is_delivered_line_by_line_under_lasting_names(stage: Stage) -> None:
    stage.write(4)
    names: list[list[str]] = []
    for _ in range(2):
        stage.sink.pieces, stage.aside = [], []
        stage.sink.raises = [Rejected("one of them"), Rejected("the first")]
        stage.deliver()
        names.append([piece.name for piece in stage.sink.pieces])
        stage.cursor.unlink()
    assert names[0] == names[1]
    assert len(set(names[0])) == 5
    assert len(stage.aside) == 1


def test_a_slice_is_not_settled_before_its_bad_records_are_durable(stage: Stage) -> None:
    stage.write(3)
    stage.sink.raises = [Undeliverable([(0, "bad")])]

    def full(name: str, lines: list[tuple[bytes, str]]) -> None:
        raise Transient("there is no room")

    stage.set_aside = full  # type: ignore[method-assign]  # a full ring
    driver = stage.driver()
    assert driver.step() > 0
    assert stage.progress().counts == Counts()
    driver.close()


# What is left out


def test_erased_lines_are_skipped_and_counted(stage: Stage) -> None:
    stage.write(10)
    blank(stage.path(), 3)
    stage.deliver()
    assert len(stage.sink.ids()) == 9
    assert stage.progress().counts == Counts(delivered=9, erased=1)
    assert stage.account()[1] == []


def test_a_slice_of_erased_lines_alone_is_not_delivered(stage: Stage) -> None:
    stage.write(3)
    for n in range(3):
        blank(stage.path(), n)
    stage.deliver()
    assert stage.sink.pieces == []
    assert stage.progress().counts == Counts(erased=3)


def test_an_erase_before_the_cursor_is_no_other_log(stage: Stage) -> None:
    stage.write(10)
    stage.deliver()
    with locked(stage.lake):
        blank(stage.path(), 3)
        assert recompute(stage.lake, frozenset({1})) == 1
        assert recompute(stage.lake, frozenset({2})) == 0
    stage.write(5)
    stage.deliver()
    assert len(stage.sink.ids()) == 15
    assert stage.account()[1] == []


def test_an_erase_between_two_attempts_takes_the_person_out_of_the_second(stage: Stage) -> None:
    stage.write(10)
    stage.sink.raises = [Transient("away")]
    driver = stage.driver()
    driver.step()
    with locked(stage.lake):
        blank(stage.path(), 3)
        recompute(stage.lake, frozenset({1}))
    drive(driver)
    driver.close()
    first, second = stage.sink.pieces
    assert first.name == second.name
    assert len(second.lines) == 9
    assert stage.progress().counts == Counts(delivered=9, erased=1)


class Hidden:
    """Stands for a suppression list that names one user."""

    def __bool__(self) -> bool:
        return True

    def covers(self, record: dict[str, object]) -> bool:
        return record["user_id"] == "u7"


def test_suppressed_people_are_left_out_and_counted(stage: Stage) -> None:
    lines = [msgspec.json.encode(record(n)) + b"\n" for n in range(100)]
    places = ((n, n + 1, line) for n, line in enumerate([*lines, b"not json\n"]))
    start = CursorFile(stage.lake, "sink").progress.done
    read = sift(places, start, start, "2025-08-14", suppressed=Hidden(), sampled=None)  # type: ignore[arg-type]  # stands for one
    assert read.left_out == Counts(suppressed=1)
    assert len(read.piece.lines) == 100


def test_a_rollout_share_is_planned_so_that_repeats_have_the_same_users(stage: Stage) -> None:
    stage.write(200)
    stage.shares = lambda feature: 5_000
    stage.sink.raises = [Transient("away")]
    driver = stage.driver(Pace(lines=200), rollout.S3)
    driver.step()
    stage.shares = lambda feature: rollout.ALL
    driver.step()
    first, second = stage.sink.pieces
    assert first == second
    counts = stage.progress().counts
    assert counts.delivered + counts.sampled == 200
    assert 60 < counts.sampled < 140
    stage.write(50)
    drive(driver)
    driver.close()
    assert stage.progress().counts.sampled == counts.sampled


def test_who_is_in_at_ten_percent_is_in_at_twenty() -> None:
    from lakeward.followers.slices import Who

    people = [Who(f"id{n}", f"u{n}") for n in range(500)]
    people += [Who(f"id{n}", "anonymous", f"s{n}") for n in range(500)]
    people += [Who(f"id{n}") for n in range(500)]
    ten, twenty = beyond(1_000, rollout.DYNAMODB), beyond(2_000, rollout.DYNAMODB)
    assert ten is not None
    assert twenty is not None
    inside = [who for who in people if not ten(who)]
    assert 100 < len(inside) < 200
    assert not any(twenty(who) for who in inside)
    assert beyond(rollout.ALL, rollout.S3) is None


def test_a_segment_that_retention_deleted_counts_as_expired(stage: Stage) -> None:
    stage.write(20)
    stage.log.seal()
    stage.write(5)
    driver = stage.driver()
    driver.step()
    stage.path().unlink()
    drive(driver)
    driver.close()
    assert stage.progress().counts == Counts(delivered=15, expired=10)
    assert stage.account()[1] == []


def test_a_planned_slice_whose_segment_is_deleted_counts_as_expired(stage: Stage) -> None:
    stage.write(20)
    stage.log.seal()
    stage.write(5)
    stage.sink.raises = [Transient("away")]
    driver = stage.driver()
    driver.step()
    stage.path().unlink()
    drive(driver)
    driver.close()
    assert stage.progress().counts == Counts(delivered=5, expired=20)
    assert stage.account()[1] == []


# Epochs


def test_a_new_epoch_goes_on_where_the_log_is_the_same(stage: Stage) -> None:
    stage.write(10)
    stage.deliver()
    stage.lake = stage.log.lake = stage.lake.with_epoch(2)
    stage.log._state.epoch = 2
    stage.write(5)
    stage.deliver()
    assert stage.sink.ids() == [record(n)["interaction_id"] for n in range(15)]
    assert stage.sink.pieces[-1].name.startswith("000002-")
    assert stage.account()[1] == []


def test_a_new_epoch_with_another_past_is_delivered_from_the_earliest_record(
    stage: Stage,
) -> None:
    stage.write(10)
    copy = stage.path().read_bytes()
    stage.write(10)
    stage.deliver()
    stage.log.close()
    stage.path().write_bytes(copy)  # an older copy is put in its place, and other lines follow
    stage.lake = open_lake(stage.lake.root).with_epoch(2)
    log = stage.log = WrittenLog(stage.lake.root, segment_bytes=20_000)
    log._log.resume(log._log.segments[0], len(copy), 10)
    log._state.epoch = 2
    stage.written = 50
    stage.write(30)
    stage.sink.pieces = []
    stage.deliver()
    expected = [*range(10), *range(50, 80)]
    assert stage.sink.ids() == [record(n)["interaction_id"] for n in expected]
    assert stage.progress().counts == Counts(delivered=40)


def test_a_cursor_of_a_later_epoch_stops_the_follower(stage: Stage) -> None:
    stage.write(3)
    stage.deliver()
    row = msgspec.json.decode(stage.cursor.read_bytes())
    row["done"]["epoch"] = 9
    stage.cursor.write_bytes(msgspec.json.encode(row))
    driver = stage.driver()
    driver.step()
    assert driver.stopped


# The account


def test_the_account_holds_and_says_what_waits(stage: Stage) -> None:
    stage.write(30)
    driver = stage.driver()
    driver.step()
    [account], faults = stage.account()
    assert faults == []
    assert (account.name, account.state) == ("sink", "running")
    assert (account.delivered, account.waiting) == (10, 20)
    driver.close()


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row["counts"].update(delivered=9),
        lambda row: row["counts"].update(sampled=1),
        lambda row: row.update(inside=9),
        lambda row: row.update(inside=11, counts={"delivered": 11}),
        lambda row: row["done"].update(offset=row["done"]["offset"] - 1),
        lambda row: row["done"].update(crc=1),
        lambda row: row["done"].update(segment=2),
        lambda row: row.update(planned=row["done"] | {"offset": 17}),
    ],
    ids=["count", "sum", "inside", "both", "offset", "crc", "segment", "planned"],
)
def test_a_changed_cursor_or_count_turns_doctor_red(
    stage: Stage, change: Callable[[dict[str, dict[str, int]]], None]
) -> None:
    stage.write(10)
    stage.log.seal()
    stage.write(10)
    driver = stage.driver()
    driver.step()
    driver.close()
    assert stage.account()[1] == []
    row = msgspec.json.decode(stage.cursor.read_bytes())
    change(row)
    stage.cursor.write_bytes(msgspec.json.encode(row))
    assert stage.account()[1]


def test_a_damaged_cursor_is_a_fault_and_stops_the_follower(stage: Stage) -> None:
    stage.write(3)
    stage.deliver()
    stage.cursor.write_bytes(b"{")
    assert "damaged" in stage.account()[1][0]
    driver = stage.driver()
    driver.step()
    assert driver.stopped


# Small things


def test_a_follower_tidies_about_once_a_minute_also_when_nothing_comes(stage: Stage) -> None:
    driver = stage.driver()
    for _ in range(30):
        driver.step()
        stage.clock.now += 10
    assert stage.sink.tidied == 5
    driver.close()


def test_a_full_disk_under_the_cursor_is_waited_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.write(3)
    driver = stage.driver()

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patched:
        patched.setattr("lakeward.followers.cursor.replace_file", full)
        assert driver.step() > 0
    assert stage.sink.pieces == []
    assert "No space left" in state.read(stage.lake, "sink").sentence
    drive(driver)
    driver.close()
    assert len(stage.sink.ids()) == 3


def test_a_follower_that_cannot_be_made_is_tried_again_or_stops(stage: Stage) -> None:
    made: list[Exception] = [Transient("the network is away"), Terminal("give it a name")]

    def opened() -> Sink:
        raise made.pop(0)

    driver = Driver(stage.lake, Subscription("sink", opened), stage.set_aside, chance=lambda: 1.0)
    assert driver.step() == 0.5
    driver.step()
    assert driver.stopped
