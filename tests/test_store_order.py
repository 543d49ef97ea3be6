"""Ids that stand in the order of writing, whatever the clock does."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from databases import Store
from lakeward.interaction import id_ms
from lakeward.store.order import ordered_id
from lakeward.store.trail import entries, note

NOON_NS = 1_795_780_800_000_000_000


@given(st.lists(st.integers(0, 900_000), min_size=2, max_size=20))
def test_ids_of_one_millisecond_stand_as_they_were_made(steps: list[int]) -> None:
    made = [ordered_id(NOON_NS + step) for step in sorted(steps)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_an_id_is_a_uuid_of_version_7_of_its_millisecond() -> None:
    later = NOON_NS + 3_600_000_000_000  # no other test was there
    made = ordered_id(later + 123_456)
    assert uuid.UUID(made).version == 7
    assert uuid.UUID(made).variant == uuid.RFC_4122
    assert id_ms(made) == later // 1_000_000


def test_threads_never_get_the_same_place() -> None:
    moment = NOON_NS + 7_200_000_000_000
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: ordered_id(moment), range(2000)))
    assert len({one[:18] for one in made}) == 2000


def test_a_clock_that_was_set_back_by_much_is_believed() -> None:
    ordered_id(NOON_NS + 9_000_000_000_000)
    assert id_ms(ordered_id(NOON_NS)) == NOON_NS // 1_000_000


def test_entries_of_one_moment_come_back_as_they_were_written(store: Store) -> None:
    database = store.open()
    with database.write() as connection:
        for n in range(40):
            note(connection, NOON_NS, "ann", "test.note", str(n), {})
    found = [one.subject for one in entries(database, 40, ["test."])]
    assert found == [str(n) for n in range(40)]
