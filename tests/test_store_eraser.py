"""The app database forgets a person: rows stay, the id is in no row, page or log of it."""

from __future__ import annotations

import sqlite3
import threading

import pytest
from sqlalchemy import insert, text

from databases import Store
from lakeward.errors import Transient
from lakeward.person import Person
from lakeward.store import eraser as room
from lakeward.store.eraser import PERSONAL, DatabaseEraser
from lakeward.store.keys import Keys
from lakeward.store.schema import AUDIT, METADATA
from lakeward.store.trail import entries

ANN = Person("user_id", "ann@example.com")
CONTROL = "bob@example.com"


def planted(store: Store) -> DatabaseEraser:
    """Keys and audit entries of two people, some of them written over since."""
    database = store.open()
    keys = Keys(database)
    keys.create("write", ANN.value, actor=ANN.value, types=["*"])
    keys.create("read", "page", actor=CONTROL)
    with database.write() as connection:
        for n in range(200):
            details = {"who": [ANN.value, n], ANN.value: {"x": ANN.value}, "other": CONTROL}
            row = {"audit_id": f"{n:036d}", "at": n, "actor": "ada", "action": "flag.set",
                   "subject": ANN.value, "details": details}  # fmt: skip
            connection.execute(insert(AUDIT).values(row))
    with database.write() as connection:  # free pages hold what stood in them
        connection.execute(text("DELETE FROM lakeward_audit WHERE at BETWEEN 1 AND 150"))
    return DatabaseEraser(database)


def test_every_table_says_where_a_person_can_stand() -> None:
    assert {table.name for table in PERSONAL} == set(METADATA.tables)


def test_the_id_is_gone_from_rows_pages_and_the_write_ahead_log(store: Store) -> None:
    eraser = planted(store)
    assert ANN.value.encode() in store.raw()
    assert eraser.find(ANN) == 52
    gone = eraser.erase(ANN)
    assert gone.records == 52
    assert eraser.find(ANN) == 0
    raw = store.raw()
    assert ANN.value.encode() not in raw
    assert CONTROL.encode() in raw
    assert ("PostgreSQL" in gone.remains) == bool(store.url)


def test_what_was_done_stays_and_says_that_somebody_was_erased(store: Store) -> None:
    eraser = planted(store)
    with store.open().read() as connection:
        before = connection.execute(text("SELECT count(*) FROM lakeward_audit")).scalar()
    eraser.erase(ANN)
    trail = entries(store.open(), 1000)
    assert len(trail) == before
    entry = next(entry for entry in trail if entry.at == 160)
    assert entry.subject == "erased"
    assert entry.details == {"who": ["erased", 160], "erased": {"x": "erased"}, "other": CONTROL}
    keys = Keys(store.open()).all()
    assert [key.name for key in keys] == [f"erased {keys[0].key_id}", "page"]
    assert [key.created_by for key in keys] == [f"erased {keys[0].key_id}", CONTROL]


def test_erasing_twice_changes_nothing_more(store: Store) -> None:
    eraser = planted(store)
    eraser.erase(ANN)
    assert eraser.erase(ANN).records == 0


def test_an_id_that_is_part_of_another_is_left_alone(store: Store) -> None:
    eraser = planted(store)
    assert eraser.find(Person("user_id", "ann")) == 0
    assert eraser.erase(Person("user_id", "ann")).records == 0
    assert ANN.value.encode() in store.raw()


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_reader_that_stays_makes_it_wait_and_another_try_ends_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "WAIT_SECONDS", 0.2)
    eraser = planted(store)
    done = threading.Event()
    reader = sqlite3.connect(store.file, isolation_level=None, check_same_thread=False)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM lakeward_audit").fetchall()
    try:
        with pytest.raises(Transient):
            eraser.erase(ANN)
    finally:
        done.set()
        reader.close()
    eraser.erase(ANN)
    assert ANN.value.encode() not in store.raw()
