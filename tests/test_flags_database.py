"""Flags and sticky assignments in the app database, on SQLite and a real PostgreSQL."""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import pytest

from databases import Store, exit_code, forked
from lakeward.errors import LakewardError, Rejected, Terminal, Transient
from lakeward.flags import FixedSource, Flags, MemorySticky, StickyStore
from lakeward.flags.database import DatabaseSource, DatabaseSticky, Editor
from lakeward.flags.feature import Payload, read_feature
from lakeward.flags.memory import Memory
from lakeward.flags.watch import Watch
from lakeward.person import Person
from lakeward.settings import load
from lakeward.store.eraser import DatabaseEraser
from lakeward.store.flags import FlagTable
from lakeward.store.trail import entries

PAGE: dict[str, Any] = {
    "defaultValue": "plain",
    "rules": [{"key": "match-page", "variations": ["plain", "reasons"],
               "hashAttribute": "user_id", "hashVersion": 2}],
}  # fmt: skip


# The table


def test_a_change_reaches_a_running_app_by_its_next_look(store: Store) -> None:
    editor = Editor(store.open())
    editor.set_flag("page", PAGE, actor="ada")
    flags = Flags(DatabaseSource(store.settings()), every=3600)
    assert flags.evaluate("page", {"user_id": "u1"}).source == "experiment"
    assert flags.rules.source == "database"
    editor.switch("page", False, actor="bo")
    flags.watch.look()
    assert flags.evaluate("page", {"user_id": "u1"}).source == "disabled"
    assert flags.watch.look() is None
    flags.close()


def test_weights_are_changed_without_writing_the_rule_anew(store: Store) -> None:
    editor = Editor(store.open())
    editor.set_flag("page", PAGE, actor="ada")
    row = editor.set_weights("page", [0.1, 0.9], actor="ada")
    assert row.definition == {
        **PAGE,
        "rules": [PAGE["rules"][0] | {"weights": [0.1, 0.9]}],
    }
    with pytest.raises(Rejected, match=r"add up to 1.*they are 1\.1"):
        editor.set_weights("page", [0.2, 0.9], actor="ada")
    with pytest.raises(Rejected, match="3 numbers for 2 variations"):
        editor.set_weights("page", [0.2, 0.3, 0.5], actor="ada")
    with pytest.raises(Terminal, match="no experiment"):
        editor.set_weights("page", [0.5, 0.5], actor="ada", experiment="other")
    assert editor.found("flag", "page").version == row.version


def test_every_change_is_a_row_of_history_and_of_the_audit(store: Store) -> None:
    database = store.open()
    editor = Editor(database)
    editor.set_flag("page", PAGE, actor="ada")
    editor.switch("page", False, actor="bo")
    editor.table.remove("flag", "page", actor="cy")
    history = FlagTable(database).history("flag", "page")
    assert [(row.version, row.created_by) for row in history] == [(1, "ada"), (2, "bo"), (3, "cy")]
    assert [row.definition is None for row in history] == [False, False, True]
    trail = entries(database, 10, ("flag.",))
    assert [(entry.action, entry.actor, entry.subject) for entry in trail] == [
        ("flag.create", "ada", "page"), ("flag.change", "bo", "page"),
        ("flag.remove", "cy", "page"),
    ]  # fmt: skip
    with pytest.raises(Terminal, match="no flag 'page'"):
        editor.table.remove("flag", "page", actor="cy")
    watch = Watch(DatabaseSource(database))
    watch.look()
    assert (watch.loaded, watch.rules.flags) == (True, {})


def test_two_people_do_not_undo_each_other_unseen(store: Store) -> None:
    editor = Editor(store.open())
    row = editor.set_flag("page", PAGE, actor="ada")
    editor.set_flag("page", PAGE | {"enabled": False}, actor="bo", after=row.version)
    with pytest.raises(Rejected, match="changed since it was read"):
        editor.set_flag("page", PAGE, actor="ada", after=row.version)


def test_changes_at_once_have_a_number_each(store: Store) -> None:
    database = store.open()
    failures: list[LakewardError] = []

    def changes(name: str) -> None:
        for n in range(5):
            try:
                FlagTable(database).put("flag", name, {"defaultValue": n}, actor=name)
            except LakewardError as error:
                failures.append(error)

    threads = [threading.Thread(target=changes, args=(f"f{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    newest, rows = FlagTable(database).current()
    assert (newest, [row.definition for row in rows]) == (20, [{"defaultValue": 4}] * 4)


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("definition", "sentence"),
    [
        ({"rules": [{}]}, "rule 1: it has neither `force` nor `variations`"),
        ({"rules": [{"force": 1, "variations": [1, 2]}]}, "would never run"),
        ({"rules": [{"variations": [1]}]}, "two `variations`"),
        ({"rules": [{"force": 1, "coverage": 2}]}, "`coverage` must be from 0 to 1"),
        ({"rules": [{"force": 1, "range": [0.5, 0.2]}]}, "`range`"),
        ({"rules": [{"variations": [1, 2], "ranges": [[0, 0.6], [0.5, 1]]}]}, "overlap"),
        ({"rules": [{"variations": [1, 2], "ranges": [[0, 1]]}]}, "1 ranges for 2"),
        ({"rules": [{"variations": [1, 2], "meta": [{"key": "a"}, {"key": "a"}]}]}, "same key"),
        ({"rules": [{"variations": [1, 2], "meta": [{}]}]}, "1 entries for 2"),
        ({"rules": [{"variations": [1, 2], "hashVersion": 3}]}, "`hashVersion`"),
        ({"rules": [{"variations": [1, 2], "hashAttribute": ""}]}, "`hashAttribute` is empty"),
        ({"rules": [{"variations": [1, 2], "namespace": ["n", 1, 0]}]}, "`namespace`"),
        ({"rules": [{"variations": [1, 2], "minBucketVersion": 1}]}, "`minBucketVersion`"),
        ({"rules": [{"force": 1, "condition": {"a": {"$regx": 1}}}]}, r"\$regx is no operator"),
        ({"rules": [{"force": 1, "condition": {"a": {"$regex": "("}}}]}, "no regular expression"),
        ({"rules": [{"force": 1, "condition": {"a": {"$regex": "^(a+)+$"}}}]}, "repeats itself"),
        ({"rules": [{"force": 1, "condition": {"a": {"$in": 1}}}]}, r"\$in must be a list"),
        ({"rules": [{"force": 1, "condition": {"a": {"$inGroup": "g"}}}]}, "savedGroups"),
        ({"rules": [{"force": 1, "condition": {"$or": {}}}]}, r"\$or must be a list"),
        ({"rules": [{"force": 1, "condition": {"a": {"$gt": 1, "b": 2}}}]}, r"\$gt stands beside"),
        ({"rules": [{"force": 1, "parentConditions": [{"id": "no"}]}]}, "'no' is no flag"),
        ({"rules": [{"force": 1, "parentConditions": [{"id": "me"}]}]}, "lead back to itself"),
        ({"rules": [{"force": 1, "parentConditions": [{"id": "b"}]}]}, "me → b → me"),
        ({"rules": 3}, "not of the form"),
    ],
)
def test_what_would_do_nothing_or_harm_is_refused_with_a_sentence(
    definition: object, sentence: str, store: Store
) -> None:
    editor = Editor(store.open())
    FlagTable(store.open()).put(
        "flag", "b", {"rules": [{"force": 1, "parentConditions": [{"id": "me"}]}]}, actor="x"
    )
    with pytest.raises(Rejected, match=sentence):
        editor.set_flag("me", definition, actor="ada")


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_names_and_groups_are_checked_too(store: Store) -> None:
    editor = Editor(store.open())
    for name in ("", " a", "a\n", "x" * 201):
        with pytest.raises(Terminal, match="printable"):
            editor.set_flag(name, {}, actor="ada")
    with pytest.raises(Rejected, match="list of texts"):
        editor.set_group("staff", {"a": 1}, actor="ada")
    editor.set_group("staff", ["u1"], actor="ada")
    staff = {"rules": [{"force": 1, "condition": {"id": {"$inGroup": "staff"}}}]}
    editor.set_flag("page", staff, actor="ada")
    flags = Flags(DatabaseSource(store.open()), every=3600)
    assert flags.value("page", 0, {"id": "u1"}) == 1


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_rows_that_somebody_broke_leave_the_last_good_flags(store: Store) -> None:
    database = store.open()
    Editor(database).set_flag("page", PAGE, actor="ada")
    flags = Flags(DatabaseSource(database), every=3600)
    FlagTable(database).put("flag", "page", {"rules": 3}, actor="x")
    flags.watch.look()
    assert flags.stats()["invalid"] == 1
    assert flags.evaluate("page", {"user_id": "u1"}).source == "experiment"


def test_a_database_that_is_away_is_counted_and_stops_nothing() -> None:
    settings = load({"LAKEWARD_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"})
    flags = Flags(DatabaseSource(settings), sticky=DatabaseSticky(settings), every=3600)
    assert flags.value("page", "plain", {"user_id": "u1"}) == "plain"
    assert flags.recall({"user_id": "u1"}) is False
    assert flags.stats()["away"] == 1
    flags.close()


def test_forked_workers_read_the_database_for_themselves(store: Store) -> None:
    database = store.open()
    Editor(database).set_flag("page", PAGE, actor="ada")
    flags = Flags(DatabaseSource(database), every=3600)

    def asks() -> None:
        Editor(database).switch("page", False, actor="worker")
        flags.watch.look()
        assert flags.evaluate("page").source == "disabled"

    assert exit_code(forked(asks)) == 0
    flags.watch.look()
    assert flags.evaluate("page").source == "disabled"
    sticky = DatabaseSticky(database)
    with sticky._opened._lock:  # as the parent's thread may hold it
        child = forked(lambda: sticky.fetch([("id", "u1")]))
    assert exit_code(child) == 0


def test_an_erased_person_is_in_no_group_condition_or_assignment(store: Store) -> None:
    database = store.open()
    editor = Editor(database)
    editor.set_group("staff", ["ann@example.com", "bob@example.com"], actor="ann@example.com")
    editor.set_flag(
        "page", {"rules": [{"force": 1, "condition": {"id": "ann@example.com"}}]}, actor="bo"
    )
    sticky = DatabaseSticky(database)
    sticky.keep({"id||ann@example.com": {"a__0": "1", "b__0": "0"},
                 "id||bob@example.com": {"a__0": "1"}})  # fmt: skip
    eraser = DatabaseEraser(database)
    ann = Person("user_id", "ann@example.com")
    found = eraser.find(ann)
    assert found >= 5
    assert eraser.erase(ann).records == found
    assert eraser.find(ann) == 0
    raw = store.raw()
    assert b"ann@example.com" not in raw
    assert b"bob@example.com" in raw
    watch = Watch(DatabaseSource(database))
    watch.look()
    assert watch.loaded


# Sticky stores, one contract


@pytest.fixture(params=["memory", "database"])
def sticky(request: pytest.FixtureRequest, store: Store) -> StickyStore:
    return MemorySticky() if request.param == "memory" else DatabaseSticky(store.open())


def test_an_assignment_is_kept_and_found(sticky: StickyStore) -> None:
    assert sticky.fetch([("id", "u1")]) == {}
    sticky.keep({"id||u1": {"page__0": "1"}, "session_id||a||b": {"page__0": "0"}})
    assert sticky.fetch([("id", "u1"), ("session_id", "a||b"), ("id", "u2")]) == {
        "id||u1": {"page__0": "1"}, "session_id||a||b": {"page__0": "0"},
    }  # fmt: skip
    assert sticky.fetch([("session_id", "u1")]) == {}
    assert sticky.fetch([]) == {}


def test_the_first_assignment_wins(sticky: StickyStore) -> None:
    sticky.keep({"id||u1": {"page__0": "1"}})
    sticky.keep({"id||u1": {"page__0": "0", "other__2": "a"}})
    assert sticky.fetch([("id", "u1")]) == {"id||u1": {"page__0": "1", "other__2": "a"}}


def test_nothing_to_keep_is_nothing_done(sticky: StickyStore) -> None:
    sticky.keep({})
    sticky.keep({"id||u1": {}})
    assert sticky.fetch([("id", "u1")]) in ({}, {"id||u1": {}})


def test_a_unit_too_long_for_the_table_costs_the_others_nothing(store: Store) -> None:
    sticky = DatabaseSticky(store.open())
    sticky.keep({"id||" + "x" * 300: {"page__0": "1"}, "id||u1": {"page__0": "1"}})
    assert sticky.fetch([("id", "u1"), ("id", "x" * 300)]) == {"id||u1": {"page__0": "1"}}


def test_two_processes_that_disagree_end_with_the_first_ones_variation(store: Store) -> None:
    database = store.open()
    Editor(database).set_flag("page", PAGE, actor="ada")
    one, two = (
        Flags(DatabaseSource(database), sticky=DatabaseSticky(database), every=3600)
        for _ in range(2)
    )
    unit = {"user_id": "u1"}
    first = one.evaluate("page", unit)
    one.watch.work()
    Editor(database).set_weights(
        "page", [1, 0] if first.value == "reasons" else [0, 1], actor="ada"
    )
    two.watch.look()
    assert two.evaluate("page", unit).value != first.value  # it has not met the unit
    two.watch.work()
    again = two.evaluate("page", unit)
    assert again.value == first.value
    assert again.assigned is not None
    assert again.assigned.sticky
    for flags in (one, two):
        flags.close()


def test_what_a_store_could_not_take_is_kept_for_the_next_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Away(MemorySticky):
        away = True

        def keep(self, assignments: Any) -> None:
            if self.away:
                raise Transient("the database is away")
            super().keep(assignments)

    store = Away()
    memory = Memory(store)
    flags = Flags(FixedSource(Payload({"page": read_feature(PAGE)})), every=3600)
    (met,) = flags.evaluate("page", {"user_id": "u1"}).met
    assert met.bucket_version is None  # nothing is to be kept without a store
    memory.keep(msgspec.structs.replace(met, bucket_version=0))
    memory.work()
    memory.work()
    assert memory.stats()["unsaved"] == 1
    assert memory.stats()["store_failed"] == 2
    assert len(caplog.records) == 1
    store.away = False
    memory.work()
    assert memory.stats()["unsaved"] == 0
    assert store.fetch([("user_id", "u1")]) == {"user_id||u1": {"match-page__0": met.key}}
