"""The table against whoever would lose or repeat rows: answers that get lost, lines that are none,
disks that go back, and files that outlive a person."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from deltalake import DeltaTable
from obstore.exceptions import AlreadyExistsError
from uuid_utils import uuid7

from lakeward import suppression
from lakeward.errors import Terminal
from lakeward.lake import erase
from lakeward.lake.compact import Compactor
from lakeward.lake.delta import NAME, Conflict
from lakeward.lake.forget import TableEraser, expire
from lakeward.lake.merge import merge
from lakeward.lake.progress import account, waiting_bytes
from lakeward.lake.rows import connect, repaired
from lakeward.lake.scratch import scratch
from lakeward.lake.storage import Bucket
from lakeward.person import Person
from lakeward.removal import remove_segments
from test_table import DAY, MEMORY, NOON, Desk, ids_of, line, record
from test_table_s3 import desk_at

if TYPE_CHECKING:
    from clouds import Cloud


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.log.close()


class LosesAnswers:
    """A store whose puts are done, answered with an error and repeated, as S3's client does."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put(self, name: str, content: Any, **options: Any) -> None:
        self._store.put(name, content, **options)
        if options.get("mode") == "create":
            self._store.put(name, content, **options)


def test_a_commit_whose_answer_was_lost_keeps_its_files(cloud: Cloud, tmp_path: Path) -> None:
    """Taken for another host's, compactor and merge would delete files that the table names."""
    cloud.bucket(versions="")
    desk = desk_at(cloud, tmp_path)
    table = desk.table()
    storage = table.storage
    assert isinstance(storage, Bucket)
    storage.store = LosesAnswers(storage.store)  # type: ignore[assignment]  # the same, but worse
    with pytest.raises(AlreadyExistsError):
        storage.store.put("probe", b"", mode="create")
    compactor = Compactor(desk.lake, table, memory=MEMORY)
    lines = []
    for _ in range(8):
        lines.append(line())
        desk.log.append(lines[-1:])
        compactor.run()
    assert compactor.done.added == 8
    assert merge(compactor.con, table, compactor.scratch) == 8
    compactor.close()
    assert desk.ids() == ids_of(lines)
    desk.log.close()


def test_a_commit_of_the_same_changes_by_another_is_a_conflict(desk: Desk) -> None:
    desk.log.append([line()])
    desk.compact()
    ours, theirs = desk.table(), desk.table()
    version = ours.snapshot().version + 1
    assert theirs.snapshot().version + 1 == version
    ours.commit(version)
    with pytest.raises(Conflict):
        theirs.commit(version)


ID = b'{"interaction_id":"%s","timestamp":"2025-11-25T12:00:00.000Z"}'
NO_RECORDS = {
    "an id of other letters": ID % (b"z" * 36),
    "an id in upper case": ID % str(uuid7()).upper().encode(),
    "an id that goes on": ID % f"{uuid7()}0".encode(),
    "an id that is short": ID % b"1",
    "an id of the year 10889": ID % b"ffffffff-ffff-7fff-bfff-ffffffffffff",
    "half a line": line()[:90],
    "half a surrogate": line()[:-1] + b',"path":"\\ud800"}',
    "no UTF-8": line()[:-1] + b',"path":"\xff"}',
    "a control character": line()[:-1] + b',"path":"\x01"}',
}


@pytest.mark.parametrize("odd", NO_RECORDS.values(), ids=NO_RECORDS.keys())
@pytest.mark.parametrize("somebody_is_erased", [False, True])
def test_a_line_of_no_record_stops_neither_questions_nor_compaction(
    desk: Desk, odd: bytes, somebody_is_erased: bool
) -> None:
    good = line()
    desk.log.append([good, odd])
    if somebody_is_erased:
        suppression.add(desk.lake, Person("user_id", "gone"), NOON)
    assert desk.ids() == ids_of([good])
    aside: list[tuple[bytes, str]] = []
    done = desk.compact(set_aside=aside.extend)
    assert (done.read, done.added, done.refused) == (2, 1, 1)
    assert [line for line, _ in aside] == [odd]
    assert desk.ids() == ids_of([good])


def test_a_value_that_no_column_holds_is_shown_before_it_is_compacted(desk: Desk) -> None:
    wide = [line(response_status=2**40), line(timestamp="2025-99-99T99:99:99.999Z")]
    desk.log.append(wide)
    assert desk.ids() == ids_of(wide)
    assert desk.compact().added == 2
    assert desk.ids() == ids_of(wide)


def test_a_record_that_does_not_begin_with_its_id_is_a_row(desk: Desk) -> None:
    """It was read, and neither added nor counted as anything else."""
    turned = msgspec.json.encode(dict(reversed(record().items())))
    desk.log.append([turned])
    assert desk.ids() == ids_of([turned])
    done = desk.compact()
    assert (done.added, done.refused) == (1, 0)
    assert repaired([turned])[1] == []


def test_a_deep_line_of_somebody_erased_does_not_enter(desk: Desk) -> None:
    """DuckDB would read it, but nobody can tell whose it is."""
    deep = line(user_id="gone")[:-1] + b',"properties":' + b'{"a":' * 5000 + b"1" + b"}" * 5001
    suppression.add(desk.lake, Person("user_id", "gone"), NOON)
    desk.log.append([deep])
    assert desk.ids() == []
    assert desk.compact().refused == 1
    assert desk.ids() == []


def test_a_line_that_is_being_overwritten_counts_as_erased(desk: Desk) -> None:
    """A reader may see the beginning of it as it was, and spaces behind."""
    suppression.add(desk.lake, Person("user_id", "gone"), NOON)
    whole = line(user_id="gone")
    desk.log.append([whole[:70] + b" " * (len(whole) - 70)])
    aside: list[tuple[bytes, str]] = []
    done = desk.compact(set_aside=aside.extend)
    assert (done.read, done.erased, aside) == (1, 1, [])


def test_a_record_that_holds_another_does_not_stand_in_for_it(desk: Desk) -> None:
    inner = record(ms=NOON)
    desk.log.append([line(properties={"original": inner}), msgspec.json.encode(inner)])
    assert desk.get(inner["interaction_id"]) == inner
    lonely = record(ms=NOON)
    desk.log.append([line(messages=[lonely])])
    assert desk.get(lonely["interaction_id"]) is None


def test_a_log_that_went_back_behind_the_table_loses_nothing(tmp_path: Path) -> None:
    """An older copy of the disk under a table elsewhere: what comes now stands before its place."""
    desk = Desk(tmp_path, LAKEWARD_TABLE=str(tmp_path / "table"))
    old = [line() for _ in range(5)]
    desk.log.append(old)
    desk.compact()
    desk.log.close()
    shutil.copytree(tmp_path / "data-lake", tmp_path / "copy")
    back = Desk(tmp_path, LAKEWARD_TABLE=str(tmp_path / "table"))
    lost = [line(path="/" + "x" * 5000)]
    back.log.append(lost)
    back.compact()
    back.log.close()
    shutil.rmtree(tmp_path / "data-lake")
    shutil.move(tmp_path / "copy", tmp_path / "data-lake")
    again = Desk(tmp_path, LAKEWARD_TABLE=str(tmp_path / "table"))
    fresh = [line() for _ in range(3)]
    again.log.append(fresh)
    assert waiting_bytes(again.lake) > 0
    assert again.ids() == ids_of([*old, *lost, *fresh])
    assert again.compact().added == 3
    assert again.ids() == ids_of([*old, *lost, *fresh])
    assert DeltaTable(str(tmp_path / "table")).count() == 9
    faults: list[str] = []
    account(again.lake, faults)
    assert (faults, again.compact().read) == ([], 0)
    again.log.close()


def test_files_that_retention_took_before_the_table_had_them_are_counted(desk: Desk) -> None:
    """As after a restore, when the log is read from its beginning again."""
    desk.log.append([line(), line()])
    desk.log.seal()
    desk.log.append([line()])
    desk.log.seal()
    desk.log.append([line()])
    compactor = Compactor(desk.lake, desk.table(), memory=MEMORY, slice_bytes=1)
    compactor.step()
    remove_segments(desk.lake, [1, 2])
    compactor.run()
    compactor.close()
    assert (compactor.done.read, compactor.done.gone) == (2, 2)
    faults: list[str] = []
    account(desk.lake, faults)
    assert not faults


def test_a_merged_file_with_the_person_does_not_outlive_the_erase(
    cloud: Cloud, tmp_path: Path
) -> None:
    """In a bucket it would wait for a vacuum, and for as long as nothing is compacted."""
    cloud.bucket(versions="")
    desk = desk_at(cloud, tmp_path)
    for n in range(8):
        desk.log.append([line(user_id="mallory" if n == 3 else "alice")])
        desk.compact()
    with scratch(desk.lake) as folder:
        table = desk.table()
        con = connect(MEMORY, 1, None, table.storage)
        assert merge(con, table, folder) == 8
        con.close()
    assert TableEraser(desk.lake, desk.settings).erase(Person("user_id", "mallory")).records == 1
    storage = desk.table().storage
    assert isinstance(storage, Bucket)
    files = [name for name, _ in storage.names() if NAME.fullmatch(name)]
    assert len(files) == 8  # seven that were merged name others
    assert not any(b"mallory" in storage.store.get(name).bytes().to_bytes() for name in files)
    desk.log.close()


def test_an_erase_leaves_a_file_that_another_lake_is_about_to_commit(tmp_path: Path) -> None:
    """Two lakes of one machine write to one folder; each knows its own barrier only."""
    shared = str(tmp_path / "table")
    here, there = (Desk(tmp_path / name, LAKEWARD_TABLE=shared) for name in ("a", "b"))
    here.log.append([line(user_id="mallory")])
    here.compact()
    theirs = line()
    there.log.append([theirs])

    def pause(at: str) -> None:
        if at == "before commit":
            eraser = TableEraser(here.lake, here.settings)
            assert eraser.erase(Person("user_id", "mallory")).records in (0, 1)

    there.compact(pause=pause)
    assert there.ids() == ids_of([theirs])
    for desk in (here, there):
        desk.log.close()


def test_rows_without_a_type_stay_when_a_type_expires(desk: Desk) -> None:
    kept = line(interaction_type=None, schema_version=1)
    desk.log.append([kept, line(interaction_type="click")])
    desk.compact()
    table = desk.table()
    with scratch(desk.lake) as folder, connect(MEMORY) as con:
        assert expire(desk.lake, table, con, folder, {"click": NOON + DAY}) == 1
    assert desk.ids() == ids_of([kept])


def test_an_id_that_is_no_text_names_nobody() -> None:
    with pytest.raises(Terminal, match="no text"):
        erase.named("user_id", "\udcff")
