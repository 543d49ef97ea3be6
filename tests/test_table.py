"""The table: each interaction once, whatever comes twice, late, torn or from another version."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from deltalake import DeltaTable
from uuid_utils import uuid7

from lakeward.errors import Rejected, Terminal, Transient, Unreadable
from lakeward.interaction import foreign_id, iso
from lakeward.lake.batch import batch_of
from lakeward.lake.columns import COLUMNS, RECORD
from lakeward.lake.compact import Compacted, Compactor
from lakeward.lake.delta import NAME, Conflict, Table, named
from lakeward.lake.forget import TableEraser, expire
from lakeward.lake.lease import Lease, leases
from lakeward.lake.lookup import Lookup
from lakeward.lake.merge import merge
from lakeward.lake.progress import account, read_progress, waiting_bytes
from lakeward.lake.reading import Reading
from lakeward.lake.rows import connect, repaired
from lakeward.lake.scratch import scratch
from lakeward.lake.storage import Folder, table_storage
from lakeward.lake.vacuum import vacuum
from lakeward.person import Person
from lakeward.settings import Settings, load
from lakeward.suppression import add as suppress
from written_lakes import WrittenLog

NOON = 1_764_072_000_000  # 2025-11-25T12:00:00Z
DAY = 86_400_000
MEMORY = 512 << 20


def record(ms: int = NOON, **fields: Any) -> dict[str, Any]:
    return {
        "interaction_id": str(uuid7(nanoseconds=ms * 1_000_000)),
        "timestamp": iso(ms),
        "environment": "test",
        "app_version": "1.0.0",
        "interaction_type": "click",
        "user_id": "anonymous",
        "user_type": "unknown",
    } | fields


def line(**fields: Any) -> bytes:
    return msgspec.json.encode(record(**fields))


class Desk:
    """A lake with a log and a table, and what tests do with them."""

    def __init__(self, root: Path, **settings: str) -> None:
        self.log = WrittenLog(root / "data-lake")
        self.lake = self.log.lake
        self.settings: Settings = load(settings, root)

    def compact(self, **options: Any) -> Compacted:
        compactor = Compactor(self.lake, self.table(), memory=MEMORY, **options)
        try:
            return compactor.run()
        finally:
            compactor.close()

    def table(self) -> Table:
        return Table(table_storage(self.lake.root, self.settings))

    def rows(self, sql: str = "SELECT * FROM interactions") -> list[tuple[Any, ...]]:
        with Reading(self.lake, self.settings, memory=MEMORY) as reading:
            return reading.con.execute(sql).fetchall()

    def ids(self) -> list[str]:
        return [row[0] for row in self.rows("SELECT interaction_id FROM interactions ORDER BY 1")]

    def get(self, interaction_id: str) -> dict[str, Any] | None:
        lookup = Lookup(self.lake, self.settings)
        try:
            return lookup.get(interaction_id)
        finally:
            lookup.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.log.close()


def ids_of(lines: list[bytes]) -> list[str]:
    return sorted(json.loads(one)["interaction_id"] for one in lines)


def test_what_is_in_the_log_is_in_the_table(desk: Desk) -> None:
    """Every line becomes one row, and the files are sorted by id."""
    lines = [line(ms=NOON + n % 7, path=f"/p/{n}") for n in range(500)]
    desk.log.append(lines)
    done = desk.compact()
    assert (done.read, done.added, done.commits) == (500, 500, 1)
    [file] = desk.table().snapshot().files.values()
    con = connect(MEMORY)
    stored = con.execute(
        "SELECT interaction_id FROM read_parquet(?)", [str(desk.lake.root / "table" / file.name)]
    ).fetchall()
    assert [row[0] for row in stored] == ids_of(lines)
    assert desk.ids() == ids_of(lines)


def test_a_second_run_adds_nothing(desk: Desk) -> None:
    desk.log.append([line() for _ in range(10)])
    assert desk.compact().added == 10
    assert desk.compact() == Compacted()
    assert desk.table().snapshot().version == 0


def test_of_two_lines_with_one_id_the_first_in_the_log_stays(desk: Desk) -> None:
    """Within a slice, and between slices and the table, days later."""
    twice = str(uuid7(nanoseconds=NOON * 1_000_000))
    first = line(interaction_id=twice, path="/zz/first")
    second = line(interaction_id=twice, path="/aa/second")
    desk.log.append([line(), first, line(), second])
    done = desk.compact()
    assert (done.added, done.duplicate) == (3, 1)
    desk.log.append([second, line()], at_ms=NOON + 5 * DAY)
    done = desk.compact()
    assert (done.added, done.duplicate) == (1, 1)
    assert desk.rows(f"SELECT path FROM interactions WHERE interaction_id = '{twice}'") == [
        ("/zz/first",)
    ]


def test_duplicates_in_the_tail_are_shown_once(desk: Desk) -> None:
    """Questions see each id once although neither log nor table was cleaned yet."""
    lines = [line() for _ in range(20)]
    desk.log.append(lines)
    desk.compact()
    fresh = line()
    desk.log.append([*lines[:7], fresh, fresh])
    assert desk.ids() == ids_of([*lines, fresh])


def test_rows_go_to_the_day_of_their_id_whenever_they_come(desk: Desk) -> None:
    late = line(ms=NOON - 40 * DAY)
    early = foreign_id("app", "x", 0)
    desk.log.append([line(), late, line(interaction_id=early, timestamp=iso(946684800000))])
    desk.compact()
    dates = {file.date for file in desk.table().snapshot().files.values()}
    assert dates == {"2025-11-25", "2025-10-16", "2000-01-01"}
    assert desk.rows("SELECT event_date::VARCHAR FROM interactions ORDER BY 1") == [
        ("2000-01-01",), ("2025-10-16",), ("2025-11-25",),
    ]  # fmt: skip


def test_every_field_of_a_record_comes_back_as_it_was(desk: Desk) -> None:
    whole = record(
        interaction_type="api_call", method="GET", path="/a", response_status=None,
        response_time_ms=8.25, ip_address="::1", user_agent=None, session_id=None,
        query_params={"q": ["ä", 1, None]}, messages=[{"role": "user", "content": "\u2028 '\"\\"}],
        properties={"deep": {"er": [1.5, True]}}, response_bytes=2**40, request_body=[1, "2"],
        client_timestamp="2025-11-25T12:00:00+01:00", metadata={},
    )  # fmt: skip
    desk.log.append([msgspec.json.encode(whole)])
    assert desk.get(whole["interaction_id"]) == whole
    desk.compact()
    assert desk.get(whole["interaction_id"]) == whole
    assert desk.get(str(uuid7(nanoseconds=NOON * 1_000_000))) is None


def test_a_lookup_refuses_what_is_no_id(desk: Desk) -> None:
    with pytest.raises(Terminal, match="UUID"):
        desk.get("../../etc/passwd")


def test_erased_lines_are_passed_over_and_counted(desk: Desk) -> None:
    kept = [line() for _ in range(3)]
    gone = b" " * len(kept[0])
    desk.log.append([kept[0], gone, kept[1], gone, kept[2]])
    done = desk.compact()
    assert (done.read, done.added, done.erased) == (5, 3, 2)
    assert desk.ids() == ids_of(kept)


def test_fields_of_a_newer_version_are_kept_in_extra(desk: Desk) -> None:
    newer = record(schema_version=2, mood="good", response_status="teapot")
    desk.log.append([msgspec.json.encode(newer), line()])
    assert desk.compact().added == 2
    [row] = desk.rows("SELECT extra FROM interactions WHERE extra IS NOT NULL")
    assert json.loads(row[0]) == {"mood": "good", "response_status": "teapot"}
    assert desk.get(newer["interaction_id"]) == newer


def test_a_line_that_is_no_record_holds_up_nothing(desk: Desk) -> None:
    """It is handed on to be quarantined and counted; all others are rows."""
    good = line()
    aside: list[tuple[bytes, str]] = []
    desk.log.append([good, b'{"interaction_id":"%s","timestamp":' % (b"0" * 36), b"{}"])
    done = desk.compact(set_aside=aside.extend)
    assert (done.added, done.refused, len(aside)) == (1, 2, 2)
    assert desk.ids() == ids_of([good])


@pytest.mark.parametrize("value", [2**31, "x", [], {}, 1.5, True])
def test_a_value_that_its_column_cannot_hold_goes_to_extra(value: Any) -> None:
    [good], bad = repaired([line(response_status=value)])
    assert not bad
    assert json.loads(good)["extra"] == {"response_status": value}


def test_the_counts_add_up_to_the_lines_read(desk: Desk) -> None:
    lines = [line() for _ in range(30)]
    desk.log.append([*lines, *lines[:4], b" " * 40, b"{}"])
    desk.compact()
    counts = read_progress(desk.lake).done.counts
    assert counts.read == 36
    assert counts.read == (
        counts.added + counts.duplicate + counts.suppressed + counts.erased + counts.refused
    )
    assert waiting_bytes(desk.lake) == 0
    faults: list[str] = []
    sums = account(desk.lake, faults)
    assert sums is not None
    assert (faults, sums.counts, sums.waiting_bytes) == ([], counts, 0)


def test_a_changed_count_is_a_fault_and_a_lost_file_is_none(desk: Desk) -> None:
    """Doctor compares the table's counts with the log; what only the table knows is uncounted."""
    desk.log.append([line() for _ in range(9)])
    desk.compact()
    path = desk.lake.private / "table.json"
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"added":9', b'"added":8'))
    faults: list[str] = []
    account(desk.lake, faults)
    assert "9 lines were read, 8 are accounted for" in faults[0]
    path.write_bytes(content.replace(b"9", b"7"))
    account(desk.lake, faults)
    path.unlink()
    desk.log.append([line()])
    desk.compact()
    faults = []
    sums = account(desk.lake, faults)
    assert sums is not None
    assert (faults, sums.uncounted, sums.counts.added) == ([], 9, 1)


class Stop(BaseException):
    """A kill at a named point."""


@pytest.mark.parametrize("point", ["after take", "before commit", "after commit"])
def test_a_kill_between_any_two_steps_neither_loses_nor_repeats(desk: Desk, point: str) -> None:
    lines = [line(ms=NOON + n) for n in range(3000)]
    for start in range(0, 3000, 500):
        desk.log.append(lines[start : start + 500])
        desk.log.seal()

    def pause(at: str) -> None:
        if at == point:
            raise Stop

    for _ in range(3):
        with pytest.raises(Stop):
            desk.compact(pause=pause, slice_bytes=1000)
    desk.compact()
    assert desk.ids() == ids_of(lines)
    counts = read_progress(desk.lake).done.counts
    assert (counts.read, counts.added, counts.duplicate) == (3000, 3000, 0)


def test_a_compactor_killed_at_random_loses_nothing(desk: Desk) -> None:
    """SIGKILL of the real process, a dozen times."""
    lines = [line(ms=NOON + n // 3) for n in range(4000)]
    script = (
        "import sys; from pathlib import Path; from lakeward.lakedir import open_lake;"
        "from lakeward.lake.compact import Compactor; from lakeward.lake.delta import Table;"
        "from lakeward.lake.storage import Folder\n"
        "root = Path(sys.argv[1]); lake = open_lake(root)\n"
        "k = Compactor(lake, Table(Folder(root / 'table')), memory=512 << 20, slice_bytes=5000,"
        " pause=lambda p: print(p, flush=True)); k.run(); k.close()"
    )
    chance = random.Random(11)
    for start in range(0, 4000, 400):
        desk.log.append(lines[start : start + 400])
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(desk.lake.root)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        for _ in range(chance.randrange(1, 30)):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    desk.compact()
    assert desk.ids() == ids_of(lines)
    assert not list((desk.lake.private / "scratch").iterdir())


def test_two_hosts_add_each_interaction_once(tmp_path: Path) -> None:
    """Two lakes, one table, duplicates of each other: the loser of a commit looks again."""
    shared = str(tmp_path / "table")
    here, there = (Desk(tmp_path / name, LAKEWARD_TABLE=shared) for name in ("a", "b"))
    common = [line(ms=NOON + n) for n in range(100)]
    ours, theirs = [line(ms=NOON) for _ in range(50)], [line(ms=NOON) for _ in range(50)]
    here.log.append([*common, *ours])
    there.log.append([*theirs, *reversed(common)])
    overtaken = False

    def pause(at: str) -> None:
        nonlocal overtaken
        if at == "before commit" and not overtaken:
            overtaken = True
            there.compact()

    done = here.compact(pause=pause)
    assert (done.added, done.duplicate) == (50, 100)
    assert here.ids() == there.ids() == ids_of([*common, *ours, *theirs])
    assert DeltaTable(shared).count() == 200
    named = set(here.table().snapshot().files)
    assert {name for name, _ in here.table().storage.names() if NAME.fullmatch(name)} == named
    for desk in (here, there):
        desk.log.close()


def test_a_new_epoch_reads_the_log_again_and_adds_nothing_twice(desk: Desk) -> None:
    lines = [line() for _ in range(10)]
    desk.log.append(lines)
    desk.compact()
    raised = desk.lake.with_epoch(2)
    log = WrittenLog(raised.root)
    log.append([*lines, line()])
    compactor = Compactor(log.lake, desk.table(), memory=MEMORY)
    assert compactor.run().duplicate >= 10
    compactor.close()
    log.close()
    assert DeltaTable(str(desk.lake.root / "table")).count() == 11


def test_of_two_writers_of_one_version_one_wins(tmp_path: Path) -> None:
    table, other = Table(Folder(tmp_path)), Table(Folder(tmp_path))
    table.commit(0)
    with pytest.raises(Conflict):
        other.commit(0)


def test_the_delta_log_names_nobody(desk: Desk) -> None:
    """Statistics hold counts and times only, in the log and in its checkpoint."""
    desk.log.append([line(user_id="ann@example.org", session_id="s-1", path="/secret/ann")])
    desk.compact()
    desk.table().checkpoint()
    log = desk.lake.root / "table" / "_delta_log"
    content = b"".join(path.read_bytes() for path in log.iterdir())
    assert b"ann" not in content
    assert b"s-1" not in content
    assert [p for p in log.iterdir() if ".checkpoint." in p.name]


def test_deltalake_reads_the_table_with_its_statistics(desk: Desk) -> None:
    desk.log.append([line(ms=NOON), line(ms=NOON + 5)])
    desk.compact()
    delta = DeltaTable(str(desk.lake.root / "table"))
    assert [field.name for field in delta.schema().fields] == [*COLUMNS, "event_date"]
    table = delta.to_pyarrow_table()
    assert table.num_rows == 2
    assert str(table.schema.field("timestamp").type) == "timestamp[us, tz=UTC]"


def test_small_files_are_merged_and_rows_stay(desk: Desk) -> None:
    lines = [line(ms=NOON + n * 100) for n in range(900)]
    for start in range(0, 900, 100):
        desk.log.append(lines[start : start + 100])
        desk.compact()
    table = desk.table()
    assert len(table.snapshot().files) == 9
    with scratch(desk.lake) as folder:
        assert merge(connect(MEMORY), table, folder) == 8
        assert len(table.snapshot().files) == 2
        assert merge(connect(MEMORY), table, folder, closed_before="2025-11-26") == 2
    assert len(table.snapshot().files) == 1
    assert desk.ids() == ids_of(lines)


def test_vacuum_waits_for_readers_and_for_the_grace(desk: Desk) -> None:
    for n in range(3):
        desk.log.append([line(ms=NOON + n)])
        desk.compact()
    table = desk.table()
    with Reading(desk.lake, desk.settings, memory=MEMORY) as reading:
        assert len(leases(desk.lake)) == 3
        with scratch(desk.lake) as folder:
            merge(connect(MEMORY), table, folder, closed_before="2026-01-01")
        assert vacuum(desk.lake, table, 0) == []
        assert reading.con.execute("SELECT count(*) FROM interactions").fetchall() == [(3,)]
    assert vacuum(desk.lake, table, 3600, now_ms=NOON + 1) == []
    assert len(vacuum(desk.lake, table, 3600, now_ms=NOON + 2 + 3_600_000)) == 3
    assert len(desk.ids()) == 3


def test_a_lease_of_a_dead_process_holds_nothing(desk: Desk) -> None:
    held = Lease(desk.lake.private / "readers", ["a"])
    pid = os.fork()
    if pid == 0:
        Lease(desk.lake.private / "readers", ["b"])
        os._exit(0)
    os.waitpid(pid, 0)
    assert leases(desk.lake) == {"a"}
    held.close()
    assert leases(desk.lake) == set()


@pytest.mark.parametrize("kind", ["user_id", "session_id", "anonymous_id"])
def test_erasing_a_person_leaves_no_byte_in_the_table(desk: Desk, kind: Any) -> None:
    """The files with the person are replaced, all others stay as they are, bit by bit."""
    person = Person(kind, "Ann O'Person")
    desk.log.append([line(ms=NOON + n) for n in range(50)])
    desk.compact()
    untouched = {p: p.read_bytes() for p in (desk.lake.root / "table").rglob("*.parquet")}
    desk.log.append([line(ms=NOON + 90 + n, **{kind: person.value}) for n in range(5)] + [line()])
    desk.compact()
    eraser = TableEraser(desk.lake, desk.settings)
    assert eraser.find(person) == 5
    assert eraser.erase(person).records == 5
    assert eraser.find(person) == 0
    assert eraser.erase(person).records == 0
    for path, content in untouched.items():
        assert path.read_bytes() == content
    for path in desk.lake.root.joinpath("table").rglob("*"):
        if path.suffix == ".parquet":
            con = connect(MEMORY)
            found = con.execute(f"SELECT {kind} FROM read_parquet(?)", [str(path)]).fetchall()
            assert (person.value,) not in found
        elif path.is_file():
            assert person.value.encode() not in path.read_bytes()
    assert DeltaTable(str(desk.lake.root / "table")).count() == 51


def test_an_erase_waits_for_a_reader_of_the_old_files(desk: Desk) -> None:
    person = Person("user_id", "ann")
    desk.log.append([line(user_id="ann")])
    desk.compact()
    reading = Reading(desk.lake, desk.settings, memory=MEMORY)

    def finish(_: float) -> None:
        reading.close()

    eraser = TableEraser(desk.lake, desk.settings, sleep=finish)
    assert eraser.erase(person).records == 1
    assert not list((desk.lake.root / "table").rglob("*.parquet"))


def test_rows_expire_by_age_and_by_type(desk: Desk) -> None:
    old, new = NOON - 10 * DAY, NOON
    desk.log.append(
        [line(ms=old, interaction_type=kind) for kind in ("click", "page_view", "deal_closed")]
        + [line(ms=new, interaction_type="click")]
    )
    desk.compact()
    with scratch(desk.lake) as folder:
        gone = expire(
            desk.lake, desk.table(), connect(MEMORY), folder,
            {None: NOON - 20 * DAY, "click": NOON - 5 * DAY},
        )  # fmt: skip
        assert gone == 1
        assert desk.rows("SELECT interaction_type FROM interactions ORDER BY 1") == [
            ("click",), ("deal_closed",), ("page_view",),
        ]  # fmt: skip
        expire(desk.lake, desk.table(), connect(MEMORY), folder, {None: NOON - 5 * DAY})
    assert desk.rows("SELECT interaction_type FROM interactions") == [("click",)]


def test_a_table_of_something_else_is_left_alone(tmp_path: Path) -> None:
    import pyarrow as pa
    from deltalake import write_deltalake

    write_deltalake(str(tmp_path / "t"), pa.table({"x": [1]}))
    desk = Desk(tmp_path, LAKEWARD_TABLE=str(tmp_path / "t"))
    desk.log.append([line()])
    with pytest.raises(Unreadable, match="something else"):
        desk.compact()
    desk.log.close()


def test_a_batch_is_in_the_order_of_ids_with_the_first_of_each() -> None:
    a, b = line(ms=NOON), line(ms=NOON + 1)
    batch = batch_of(b"\n".join([b, a, b"   ", a.replace(b"test", b"last"), b""]))
    assert batch.lines == [a, b]
    assert (batch.read, batch.erased, batch.duplicate) == (4, 1, 1)


def test_columns_are_the_fields_of_the_record() -> None:
    from lakeward.interaction import FIELDS

    assert tuple(RECORD) == (*FIELDS, "extra")
    assert issubclass(Conflict, Exception)
    assert issubclass(Rejected, Exception)


def sample(tmp_path: Path) -> Desk:
    """The committed lake whose table an older version made."""
    with tarfile.open(Path(__file__).parent / "data" / "table-0" / "lake.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    return Desk(tmp_path)


def test_a_table_of_an_older_version_opens_and_grows(tmp_path: Path) -> None:
    """Its columns are fewer and its files' names say nothing; rows that follow are whole."""
    desk = sample(tmp_path)
    assert len(desk.ids()) == 6
    assert desk.rows("SELECT count(*) FROM interactions WHERE city IS NULL") == [(6,)]
    assert desk.compact().added == 3
    assert desk.compact() == Compacted()
    assert desk.rows("SELECT user_id, bot FROM click ORDER BY 1") == [
        (f"user-{n}", None if n < 3 else False) for n in range(6)
    ]
    delta = DeltaTable(str(desk.lake.root / "table"))
    assert {field.name for field in delta.schema().fields} == {*COLUMNS, "event_date"}
    assert delta.to_pyarrow_table().num_rows == 6
    for interaction_id in desk.ids():
        found = desk.get(interaction_id)
        assert found is not None
        assert found["properties"]["n"] == int(interaction_id[-1])
    desk.log.close()


def test_a_person_is_erased_from_a_file_of_an_older_version(tmp_path: Path) -> None:
    desk = sample(tmp_path)
    person = Person("user_id", "user-1")
    assert TableEraser(desk.lake, desk.settings).erase(person).records == 1
    assert TableEraser(desk.lake, desk.settings).find(person) == 0
    assert desk.rows("SELECT count(*) FROM interactions") == [(5,)]
    desk.log.close()


def test_columns_of_a_newer_version_are_ignored_and_kept(desk: Desk) -> None:
    """A file that a newer version wrote is read, and an erase leaves its columns alone."""
    desk.log.append([line(), line(user_id="ann")])
    desk.compact()
    table = desk.table()
    snapshot = table.snapshot()
    [old] = snapshot.files.values()
    newer = f"event_date={old.date}/{old.first}-{old.last}-{uuid7()}.c99.parquet"
    con = connect(MEMORY)
    root = desk.lake.root / "table"
    con.execute(
        f"COPY (SELECT * EXCLUDE city, 7 AS mood FROM read_parquet('{root / old.name}', "
        f"hive_partitioning = false)) TO '{root / newer}' (FORMAT parquet)"
    )
    table.commit(1, add=[named(newer, (root / newer).stat().st_size, 2)], remove=[old])
    assert len(desk.ids()) == 2
    TableEraser(desk.lake, desk.settings).erase(Person("user_id", "ann"))
    [left] = desk.table().snapshot().files.values()
    assert left.generation == 99
    assert con.execute(f"SELECT mood FROM read_parquet('{root / left.name}')").fetchall() == [(7,)]


def test_a_tail_beyond_the_bound_is_one_sentence_and_found_all_the_same_by_id(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Questions read a bounded part of the log; a lookup searches it piece by piece."""
    monkeypatch.setattr("lakeward.lake.reading.TAIL_MOST", 1000)
    monkeypatch.setattr("lakeward.lake.lookup.PIECE", 300)
    lines = [line(n=n) for n in range(50)]
    desk.log.append(lines)
    with pytest.raises(Transient, match="lakeward compact"):
        desk.ids()
    assert desk.get(ids_of(lines)[-1]) is not None
    desk.compact()
    assert desk.ids() == ids_of(lines)


POISON = {
    "half a surrogate": b'{"x":"\\ud800"}',
    "a byte that is no text": b'{"x":"\xff"}',
    "a number beyond all": b'{"x":1e999}',
    "a deep nest": b"[" * 5000 + b"]" * 5000,
    "a control character": b'{"x":"\x01"}',
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
def test_a_poisonous_line_harms_neither_its_neighbours_nor_questions(
    desk: Desk, poison: bytes
) -> None:
    """Nothing of ours writes such a line; one that stands there all the same is set aside alone,
    or kept, and whoever asks meanwhile gets the others."""
    good = [line(ms=NOON + n, user_id="ann") for n in range(40)]
    bad = line(ms=NOON + 20, user_id="ann")[:-1] + b',"properties":' + poison + b"}"
    desk.log.append([*good[:20], bad, *good[20:]])
    assert set(ids_of(good)) <= set(desk.ids())
    aside: list[tuple[bytes, str]] = []
    done = desk.compact(set_aside=aside.extend)
    assert done.added + done.refused == 41
    assert len(aside) == done.refused <= 1
    assert set(ids_of(good)) <= set(desk.ids())
    suppress(desk.lake, Person("user_id", "ann"), NOON + DAY)
    desk.log.append([bad, line()])
    assert desk.compact().added == 1
