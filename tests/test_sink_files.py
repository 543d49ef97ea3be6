"""Individual files: readable, whole, safely named, pruned by age, and rid of a person."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest

from lakeward.errors import Undeliverable
from lakeward.followers.cursor import Cursor
from lakeward.followers.protocol import Slice
from lakeward.interaction import parse_iso
from lakeward.lakedir import LakeDir, open_lake
from lakeward.person import Gone, Person
from lakeward.sinks import files
from lakeward.sinks.files import IndividualFiles
from test_followers_contract import record

NOON = "2025-08-14T12:00:00.000Z"


@pytest.fixture
def lake(tmp_path: Path) -> LakeDir:
    return open_lake(tmp_path / "data-lake")


def piece(*lines: bytes, day: str = "2025-08-14") -> Slice:
    return Slice(Cursor(1, 1, 0), Cursor(1, 1, 9), lines, day)


def sink(lake: LakeDir, days: int = 7, now: str = NOON) -> IndividualFiles:
    return IndividualFiles(lake, days, lambda: parse_iso(now))


def line(n: int) -> bytes:
    return msgspec.json.encode(record(n)) + b"\n"


def test_a_file_stands_beside_the_log_of_its_day_and_reads_as_the_record(lake: LakeDir) -> None:
    sink(lake).deliver(piece(line(7)))
    path = lake.root / f"raw/year=2025/month=08/day=14/{record(7)['interaction_id']}.json"
    text = path.read_text(encoding="utf-8")
    assert json.loads(text) == record(7)
    assert list(json.loads(text)) == list(record(7))
    assert text.startswith('{\n  "interaction_id": "')
    assert text.endswith("}\n")
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a/b", "", "x" * 300, "0198A959-C225-7F8B-8D56-238C645CADB6",
             "0198a959-c225-4f8b-8d56-238c645cadb6", "0198a959-c225-7f8b-8d56-238c645cadb6\n"],
)  # fmt: skip
def test_an_id_that_is_no_safe_name_is_undeliverable(lake: LakeDir, name: str) -> None:
    before = sorted(lake.root.parent.rglob("*"))
    bad = msgspec.json.encode({"interaction_id": name})
    with pytest.raises(Undeliverable) as caught:
        sink(lake).deliver(piece(line(1), bad, b"no json\n", b'{"interaction_id":5}'))
    assert [index for index, _ in caught.value.records] == [1, 2, 3]
    assert name[:20] not in str(caught.value) or not name
    new = set(lake.root.parent.rglob("*.json*")) - set(before)
    assert [path.stem for path in new] == [record(1)["interaction_id"]]


def test_a_begun_file_is_overwritten_by_the_repeat_and_a_link_is_not_followed(
    lake: LakeDir, tmp_path: Path
) -> None:
    folder = lake.root / "raw/year=2025/month=08/day=14"
    folder.mkdir(parents=True)
    begun = folder / f".{record(3)['interaction_id']}.json"
    begun.write_bytes(b'{"half":')
    sink(lake).deliver(piece(line(3)))
    assert not begun.exists()
    (victim := tmp_path / "victim").write_text("mine")
    begun.symlink_to(victim)
    with pytest.raises(OSError, match="symbolic"):
        sink(lake).deliver(piece(line(3)))
    assert victim.read_text() == "mine"


def test_files_are_pruned_by_day_of_receipt_and_nothing_else_is(
    lake: LakeDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PRUNE_MOST", 3)
    made = sink(lake, days=7, now="2025-08-21T00:00:00.000Z")
    for day in ("2025-08-12", "2025-08-13", "2025-08-14"):
        made.deliver(piece(line(1), line(2), day=day))
    old = lake.root / "raw/year=2025/month=08/day=12"
    (old / "daily_summary.jsonl").write_text("the log\n")
    (old / "notes.json").write_text("somebody's\n")
    made.tidy()
    assert len(list(lake.root.rglob("*-*.json"))) == 3  # bounded work at once
    made.tidy()
    assert sorted(os.listdir(old)) == ["daily_summary.jsonl", "notes.json"]
    assert {path.parent.name for path in lake.root.rglob("*-*.json")} == {"day=14"}


def test_zero_days_keep_files_for_ever(lake: LakeDir) -> None:
    made = sink(lake, days=0, now="2035-08-21T00:00:00.000Z")
    made.deliver(piece(line(1)))
    made.tidy()
    assert len(list(lake.root.rglob("*-*.json"))) == 1


def test_a_person_is_found_and_erased_and_others_stay_as_they_are(lake: LakeDir) -> None:
    made = sink(lake)
    made.deliver(piece(*(line(n) for n in range(120))))
    folder = lake.root / "raw/year=2025/month=08/day=14"
    begun = folder / ".0198a959-c225-7f8b-8d56-238c645cadb6.json"
    begun.write_bytes(b'{"user_id": "u7", "half')
    others = {
        path: path.read_bytes()
        for path in folder.iterdir()
        if json.loads(path.read_text() if path != begun else "{}").get("user_id") != "u7"
        and path != begun
    }
    person = Person("user_id", "u7")
    assert made.find(person) == 3
    assert made.erase(person) == Gone(3)
    assert made.find(person) == 0
    assert made.erase(person) == Gone(0)
    assert {path: path.read_bytes() for path in folder.iterdir()} == others
    assert made.find(Person("session_id", "s7")) == 1
    assert made.find(Person("anonymous_id", "s7")) == 0
