"""Who was erased stays out, and whoever comes back later is welcome."""

from __future__ import annotations

from pathlib import Path

import pytest
from uuid_utils import uuid7

from lakeward.errors import Unreadable
from lakeward.lakedir import open_lake
from lakeward.person import Person
from lakeward.suppression import add, hashed, load

NOON = 1_764_072_000_000


def made(ms: int, **fields: str) -> dict[str, object]:
    return {"interaction_id": str(uuid7(nanoseconds=ms * 1_000_000)), **fields}


def test_records_from_before_the_erase_are_covered_and_later_ones_are_not(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake")
    assert not load(lake)
    add(lake, Person("user_id", "ann"), NOON)
    suppressed = load(lake)
    assert suppressed
    assert suppressed.covers(made(NOON - 1, user_id="ann"))
    assert suppressed.covers(made(NOON, user_id="ann"))
    assert not suppressed.covers(made(NOON + 1, user_id="ann"))
    assert not suppressed.covers(made(NOON - 1, user_id="bob"))
    assert not suppressed.covers(made(NOON - 1, session_id="ann"))
    assert suppressed.covers({"user_id": "ann"})


def test_the_later_of_two_erases_counts(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake")
    for at in (NOON + 10, NOON):
        add(lake, Person("session_id", "s"), at)
    assert load(lake).covers(made(NOON + 5, session_id="s"))


def test_the_files_name_nobody(tmp_path: Path) -> None:
    """A keyed hash, another in each lake."""
    here, there = open_lake(tmp_path / "a"), open_lake(tmp_path / "b")
    add(here, Person("user_id", "ann@example.org"), NOON)
    stored = b"".join(p.read_bytes() for p in here.private.rglob("*") if p.is_file())
    assert b"ann" not in stored
    person = Person("user_id", "ann@example.org")
    assert hashed(here, person) != hashed(there, person)
    assert (here.private / "suppression.key").stat().st_mode & 0o077 == 0


def test_a_torn_line_does_not_count_and_is_cut(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake")
    add(lake, Person("user_id", "ann"), NOON)
    with (lake.private / "suppressed.jsonl").open("ab") as file:
        file.write(b'{"kind":"user_id","ha')
    assert load(lake).covers(made(NOON, user_id="ann"))
    add(lake, Person("user_id", "bob"), NOON)
    assert load(lake).covers(made(NOON, user_id="ann"))
    assert load(lake).covers(made(NOON, user_id="bob"))


def test_a_list_without_its_key_is_said_and_not_passed_over(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake")
    add(lake, Person("user_id", "ann"), NOON)
    (lake.private / "suppression.key").unlink()
    with pytest.raises(Unreadable, match="restore"):
        load(lake)


def test_whoever_came_back_and_was_erased_by_another_id_is_covered_by_that(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake")
    add(lake, Person("user_id", "ann"), NOON - 1000)
    add(lake, Person("session_id", "s"), NOON + 1000)
    assert load(lake).covers(made(NOON, user_id="ann", session_id="s"))
    assert not load(lake).covers(made(NOON, user_id="ann", session_id="t"))
