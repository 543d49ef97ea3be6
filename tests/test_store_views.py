"""Saved views on SQLite and a real PostgreSQL: saved, renamed, removed, and gone with a person."""

from __future__ import annotations

import pytest

from databases import Store, back_to
from lakeward.errors import Terminal
from lakeward.person import Person
from lakeward.store import views as room
from lakeward.store.database import postgresql, sqlite
from lakeward.store.eraser import DatabaseEraser
from lakeward.store.people import People
from lakeward.store.trail import entries
from lakeward.store.views import Views

ADA, ANN = "ada@example.com", "ann@example.com"


def test_a_view_is_saved_renamed_and_removed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    views = Views(store.open())
    week = views.make("funnels", "Signups, weekly", "range=7d&steps=a,b", actor=ADA)
    views.make("api", "Slow routes", "", actor=ADA)
    assert [(view.page, view.name) for view in views.all()] == [
        ("api", "Slow routes"), ("funnels", "Signups, weekly"),
    ]  # fmt: skip
    with pytest.raises(Terminal, match="is there already for this page"):
        views.make("funnels", "Signups, weekly", "range=30d", actor=ADA)
    other = views.make("retention", "Signups, weekly", "", actor=ADA)  # another page may have it
    assert views.rename(week.view_id, "Signups", actor=ADA).name == "Signups"
    second = views.make("funnels", "Second", "", actor=ADA)
    with pytest.raises(Terminal, match="is there already"):
        views.rename(second.view_id, "Signups", actor=ADA)
    views.remove(other.view_id, actor=ADA)
    for gone in (other.view_id, "no such", "x" * 100, "a\0b"):
        with pytest.raises(Terminal, match="there is no such view"):
            views.remove(gone, actor=ADA)
    for name in ("", " a", "a\n", "x" * 81):
        with pytest.raises(Terminal, match="1 to 80 printable"):
            views.make("api", name, "", actor=ADA)
    for query in ("a b", "a#b", "a\n", "\u202e", "<b>", "x" * 2001):
        with pytest.raises(Terminal, match="behind the question mark"):
            views.make("api", "x", query, actor=ADA)
    told = [(entry.action, entry.actor) for entry in entries(store.open(), 4)]
    assert told == [
        ("view.make", ADA),
        ("view.rename", ADA),
        ("view.make", ADA),
        ("view.remove", ADA),
    ]
    monkeypatch.setattr(room, "MOST", len(views.all()))
    with pytest.raises(Terminal, match="remove one"):
        views.make("api", "One more", "", actor=ADA)


def test_an_erased_person_is_in_no_view(store: Store) -> None:
    database = store.open()
    views = Views(database)
    views.make("explore", "Hers", "user=ann%40example.com&range=7d", actor=ADA)
    views.make("explore", "Listed", "where=user_id%3Dann%40example.com%2Cbo", actor=ADA)
    views.make("explore", ANN, "", actor=ADA)
    kept = views.make("explore", "Made by her", "user=joann@example.com", actor=ANN)
    eraser = DatabaseEraser(database)
    assert eraser.find(Person("user_id", ANN)) == 5  # and the audit's line of what she made
    assert eraser.erase(Person("user_id", ANN)).records == 5
    assert eraser.find(Person("user_id", ANN)) == 0
    (left,) = views.all()
    assert (left.view_id, left.created_by) == (kept.view_id, "erased")
    raw = store.raw()
    assert b"joann@example.com" in raw
    assert ANN.encode() not in raw.replace(b"joann@example.com", b"")


def test_a_database_of_the_version_before_gets_views(store: Store) -> None:
    store.open()
    store.close()
    unopened = postgresql(store.url) if store.url else sqlite(store.file.parent)
    back_to(unopened, "0005")
    unopened.close()
    assert Views(store.open()).all() == []


def test_the_last_admin_stays_one_where_that_is_asked_for(store: Store) -> None:
    people = People(store.open())
    ada = people.add(ADA, "admin", actor="t")
    bob = people.add("bob@example.com", "admin", actor="t")
    assert people.disable(bob.person_id, actor="t", leaves_admin=True).disabled_at
    for _ in range(2):
        with pytest.raises(Terminal, match="nobody would be an admin"):
            people.disable(ada.person_id, actor="t", leaves_admin=True)
        with pytest.raises(Terminal, match="nobody would be an admin"):
            people.change_role(
                ada.person_id, "partner", actor="t", partner_id="p1", leaves_admin=True
            )
    assert people.find(ADA).disabled_at is None
    people.enable(bob.person_id, actor="t")
    assert people.change_role(
        ada.person_id, "partner", actor="t", partner_id="p1", leaves_admin=True
    ).role == "partner"  # fmt: skip
    assert people.disable(bob.person_id, actor="t").disabled_at  # as `lakeward people` may
