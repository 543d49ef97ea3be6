"""People, links, logins and lock-out on SQLite and a real PostgreSQL."""

from __future__ import annotations

import sqlite3
import threading
from itertools import count
from pathlib import Path
from typing import Literal

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from databases import Store, back_to
from lakeward.errors import Rejected, Terminal
from lakeward.person import Person as Whom
from lakeward.store import attempts
from lakeward.store.database import postgresql, sqlite
from lakeward.store.entrance import BAD_LINK, WRONG, Entrance, Opened, Shut
from lakeward.store.eraser import DatabaseEraser
from lakeward.store.keys import Keys
from lakeward.store.link import Links
from lakeward.store.login import MOST_LOGINS, find_login
from lakeward.store.migration import revisions
from lakeward.store.password import Passwords, checked_password
from lakeward.store.people import People
from lakeward.store.schema import ATTEMPTS, LOGINS, PEOPLE, REVISION
from lakeward.store.trail import entries

EMAIL, PASSWORD = "ada@example.com", "the quick brown lake"
NEW = "the slow green river"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
MINUTE_NS = 60 * 1_000_000_000


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.ns = 1_755_187_888_677_000_000

    def now(self) -> int:
        return self.ns

    def pass_minutes(self, minutes: float) -> None:
        self.ns += int(minutes * MINUTE_NS)


class House:
    """An app database with its people and its entrance."""

    def __init__(self, store: Store) -> None:
        self.time = Time()
        self.store = store
        self.database = store.open()
        self.passwords = Passwords(CHEAP)
        self.people = People(self.database, now_ns=self.time.now)
        self.links = Links(self.database, now_ns=self.time.now)
        self.entrance = Entrance(
            self.database, self.passwords, login_seconds=3600, now_ns=self.time.now
        )

    def add(self, email: str = EMAIL, password: str = PASSWORD) -> str:
        encoded = self.passwords.encoded(password)
        return self.people.add(email, "admin", actor="root", password=encoded).person_id

    def holds(self, opened: Opened | Shut) -> bool:
        """Whether a login is in force."""
        assert isinstance(opened, Opened), opened
        now_ms = self.time.now() // 1_000_000
        return find_login(self.database, opened.ticket, now_ms) is not None

    def another_entrance(self) -> Entrance:
        """Of another process, as it were."""
        return Entrance(self.store.open(), self.passwords, login_seconds=60, now_ns=self.time.now)

    def enter(self, email: str = EMAIL, password: str = PASSWORD) -> Opened:
        opened = self.entrance.log_in(email, password, None)
        assert isinstance(opened, Opened), opened
        return opened

    def actions(self) -> list[str]:
        return [entry.action for entry in entries(self.database, 500)]


@pytest.fixture
def house(store: Store) -> House:
    return House(store)


# Passwords


@pytest.mark.parametrize(
    "password",
    ["", "elevenchars", "x" * 129, EMAIL, EMAIL.upper(), "password1234", "PASSWORD1234",
     "a" * 12, "abcabcabcabc", "lakewardlakeward", "correcthorsebatterystaple"],
)  # fmt: skip
def test_a_password_that_is_short_long_or_common_is_refused_without_being_quoted(
    password: str,
) -> None:
    with pytest.raises(Rejected) as refused:
        checked_password(password, EMAIL)
    assert len(password) < 3 or password not in str(refused.value)


@given(password=st.text(max_size=200))
def test_every_password_is_checked_or_refused_and_never_fails_otherwise(password: str) -> None:
    passwords = Passwords(CHEAP)
    try:
        checked_password(password, EMAIL)
    except Rejected:
        return
    assert passwords.fits(passwords.encoded(password), password)
    assert not passwords.fits(passwords.encoded(password), password + "x")


def test_a_password_typed_in_another_form_of_the_same_letters_is_the_same() -> None:
    passwords = Passwords(CHEAP)
    assert passwords.fits(passwords.encoded("cafe\u0301 au lait"), "caf\u00e9 au lait")


@pytest.mark.parametrize("stored", [None, "", "nonsense", "$argon2id$v=19$m=8,t=1,p=1$x$y"])
def test_what_is_no_hash_fits_no_password(stored: str | None) -> None:
    assert not Passwords(CHEAP).fits(stored, PASSWORD)


def test_the_parameters_are_those_that_are_advised_and_old_hashes_are_made_anew(
    house: House,
) -> None:
    house.add()
    strong = Passwords(PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    assert Passwords().encoded(PASSWORD).startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    house.entrance = Entrance(house.database, strong, login_seconds=60, now_ns=house.time.now)
    house.enter()
    with house.database.read() as connection:
        stored = connection.scalar(select(PEOPLE.c.password))
    assert stored is not None
    assert stored.startswith("$argon2id$v=19$m=16,t=2,p=1$")
    house.enter()


# People


@pytest.mark.parametrize("email", ["", "ada", "bob@", "@x", "a b@x.org", "a@b@c", "a\x00@b.c"])
def test_what_is_no_address_is_refused_and_not_quoted(house: House, email: str) -> None:
    with pytest.raises(Terminal, match="an e-mail address is like") as refused:
        house.people.add(email, "admin", actor="root")
    assert len(email) < 4 or email not in str(refused.value)


def test_an_address_is_one_person_in_whatever_case(house: House) -> None:
    house.add("Ada@Example.COM ")
    with pytest.raises(Terminal, match="there is a person with this e-mail address"):
        house.add()
    assert house.people.find("ADA@example.com").email == EMAIL


def test_a_partner_has_a_partner_id_and_an_admin_none(house: House) -> None:
    for partner_id in (None, "", "x" * 129, "a\nb"):
        with pytest.raises(Terminal, match="a partner needs the partner_id"):
            house.people.add(EMAIL, "partner", actor="root", partner_id=partner_id)
    with pytest.raises(Terminal, match="an admin sees everything"):
        house.people.add(EMAIL, "admin", actor="root", partner_id="p9")
    keys = Keys(house.database)
    assert keys.create("read", "k", actor="root", partner_id="p9")[0].partner_id == "p9"
    with pytest.raises(Terminal, match="a write key is of no partner"):
        keys.create("write", "w", actor="root", partner_id="p9")
    with pytest.raises(Terminal, match="a partner needs"):
        keys.create("read", "e", actor="root", partner_id="")


def test_another_password_a_reset_and_disabling_end_every_login(house: House) -> None:
    who = house.add()
    first = house.enter()
    house.people.set_password(EMAIL, house.passwords.encoded(NEW), actor="root")
    assert not house.holds(first)
    second, third = house.enter(password=NEW), house.enter(password=NEW)
    changed = house.entrance.change_password(second.login, NEW, PASSWORD, None)
    assert [house.holds(login) for login in (second, third, changed)] == [False, False, True]
    house.people.disable(who, actor="root")
    assert not house.holds(changed)
    assert house.entrance.log_in(EMAIL, PASSWORD, None) == WRONG
    house.people.enable(EMAIL, actor="root")
    house.enter()


def test_a_login_ends_by_its_time_and_old_ones_give_way_to_new(house: House) -> None:
    house.add()
    first = house.enter()
    house.time.pass_minutes(59)
    assert house.holds(first)
    house.time.pass_minutes(2)
    assert not house.holds(first)
    logins = []
    for _ in range(MOST_LOGINS + 3):
        house.time.pass_minutes(0.01)
        logins.append(house.enter())
    assert [house.holds(login) for login in logins] == [False] * 3 + [True] * MOST_LOGINS
    with house.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(LOGINS)) == MOST_LOGINS


# One-time links


def test_a_link_is_for_one_person_one_time_and_one_day(house: House) -> None:
    who = house.people.add(EMAIL, "admin", actor="root").person_id
    old = house.links.make(who, actor="root")
    ticket = house.links.make(who, actor="root")
    entrance = house.entrance
    for wrong in (old, "", "A" * 43, ticket[:-1], f"{ticket}x"):
        assert entrance.welcome(wrong, EMAIL, PASSWORD, None) == BAD_LINK
    assert entrance.welcome(ticket, "eve@example.com", PASSWORD, None) == BAD_LINK
    weak = entrance.welcome(ticket, EMAIL, "short", None)
    assert isinstance(weak, Shut)
    assert weak.reason == "bad_password"
    assert house.holds(entrance.welcome(ticket, EMAIL, PASSWORD, None))
    assert entrance.welcome(ticket, EMAIL, PASSWORD, None) == BAD_LINK
    late = house.links.make(who, actor="root")
    house.time.pass_minutes(24 * 60 + 1)
    assert entrance.welcome(late, EMAIL, PASSWORD, None) == BAD_LINK


def test_of_many_who_use_a_link_at_once_one_gets_in(house: House) -> None:
    ticket = house.links.first(actor="root")
    assert ticket is not None
    results: list[Opened | Shut] = []

    def comes(n: int) -> None:
        entrance = house.another_entrance()
        results.append(entrance.welcome(ticket, f"ada{n}@example.com", PASSWORD, None))

    threads = [threading.Thread(target=comes, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(result, Opened) for result in results) == 1
    assert [person.role for person in house.people.all()] == ["admin"]


def test_the_first_link_is_void_once_there_is_an_admin(house: House) -> None:
    ticket = house.links.first(actor="root")
    assert ticket is not None
    house.people.add("pat@example.com", "partner", actor="root", partner_id="p9")
    assert house.entrance.welcome(ticket, "pat@example.com", PASSWORD, None) == BAD_LINK
    house.add("bob@example.com")
    assert house.entrance.welcome(ticket, EMAIL, PASSWORD, None) == BAD_LINK
    assert house.links.first(actor="root") is None
    house.people.disable("bob@example.com", actor="root")
    assert house.links.first(actor="root") is not None


# Lock-out


def test_after_ten_failures_the_door_is_shut_for_a_quarter_of_an_hour(house: House) -> None:
    house.add()
    for _ in range(attempts.MOST):
        assert house.entrance.log_in(EMAIL, "wrong", None) == WRONG
        house.time.pass_minutes(1)
    locked = house.entrance.log_in(EMAIL, PASSWORD, None)
    assert isinstance(locked, Shut)
    assert (locked.reason, locked.wait_seconds) == ("locked", 5 * 60)
    house.time.pass_minutes(4.9)
    assert isinstance(house.entrance.log_in(EMAIL, PASSWORD, None), Shut)
    house.time.pass_minutes(0.2)
    house.enter()
    assert house.actions().count("login.lock") == 1
    house.time.pass_minutes(16)
    house.enter()
    with house.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(ATTEMPTS)) == 0


def test_who_gets_in_begins_to_count_anew(house: House) -> None:
    house.add()
    for _ in range(3):
        for _ in range(attempts.MOST - 1):
            assert house.entrance.log_in(EMAIL, "wrong", None) == WRONG
        house.enter()


def test_an_address_that_gets_in_somewhere_is_still_shut_out_of_guessing(house: House) -> None:
    house.add()
    for n in range(attempts.MOST):
        assert house.entrance.log_in(f"x{n}@example.com", "wrong", "203.0.113.7") == WRONG
        if n == 5:
            assert isinstance(house.entrance.log_in(EMAIL, PASSWORD, "203.0.113.7"), Opened)
    shut = house.entrance.log_in(EMAIL, PASSWORD, "203.0.113.7")
    assert isinstance(shut, Shut)
    assert shut.reason == "locked"
    house.enter()


def test_many_attempts_at_once_are_no_more_than_many_in_turn(house: House) -> None:
    house.add()
    results: list[Opened | Shut] = []

    def tries() -> None:
        entrance = house.another_entrance()
        for _ in range(4):
            results.append(entrance.log_in(EMAIL, "wrong", None))

    threads = [threading.Thread(target=tries) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count(WRONG) == attempts.MOST
    assert len(results) == 20


def test_an_unknown_address_costs_what_a_known_one_costs_and_leaves_as_much(
    house: House,
) -> None:
    checked: list[str | None] = []

    class Counted(Passwords):
        def fits(self, stored: str | None, password: str) -> bool:
            checked.append(stored)
            return super().fits(stored, password)

    entrance = Entrance(house.database, Counted(CHEAP), login_seconds=60, now_ns=house.time.now)
    house.add()
    house.people.add("new@example.com", "admin", actor="root")
    house.add("off@example.com")
    house.people.disable("off@example.com", actor="root")
    before = len(house.actions())
    for email in (EMAIL, "new@example.com", "off@example.com", "eve@example.com", "nonsense"):
        assert entrance.log_in(email, "wrong", None) == WRONG
    assert [stored is None for stored in checked] == [False, True, True, True, True]
    assert len(house.actions()) == before + 5


def test_without_a_stored_password_as_much_is_hashed_as_with_one() -> None:
    checked: list[str] = []

    class Seen(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002
            checked.append(str(hash))
            return super().verify(hash, password)

    hasher = Seen(time_cost=3, memory_cost=64, parallelism=2)
    assert not Passwords(hasher).fits(None, PASSWORD)
    real = hasher.hash(PASSWORD)
    shape = [len(part) for part in real.split("$")]
    assert [len(part) for part in checked[0].split("$")] == shape
    assert checked[0].split("$")[:4] == real.split("$")[:4]


# Providers


def test_whom_a_provider_vouches_for_must_be_known_and_is_known_by_its_own_name_then(
    house: House,
) -> None:
    house.add()
    entrance = house.entrance
    assert isinstance(entrance.vouched("https://id", "s1", None), Shut)
    assert isinstance(entrance.vouched("https://id", "s1", "eve@example.com"), Shut)
    assert isinstance(entrance.vouched("https://id", "s1", "ADA@example.com"), Opened)
    assert isinstance(entrance.vouched("https://id", "s1", "new@example.com"), Opened)
    assert isinstance(entrance.vouched("https://id", "s2", EMAIL), Shut)
    assert isinstance(entrance.vouched("https://other", "s1", EMAIL), Shut)
    house.people.disable(EMAIL, actor="root")
    assert isinstance(entrance.vouched("https://id", "s1", EMAIL), Shut)
    assert house.actions().count("person.tie") == 1


# What is stored, and what is forgotten


def test_nothing_that_opens_a_door_is_stored_and_the_audit_names_nobody(house: House) -> None:
    who = house.add()
    ticket = house.links.make(who, actor="root")
    opened = house.enter()
    house.entrance.log_in("eve@example.com", "a wrong password", "203.0.113.7")
    raw = house.store.raw()
    for secret in (PASSWORD, ticket, opened.ticket, "a wrong password", "eve@example.com",
                   "203.0.113.7"):  # fmt: skip
        assert secret.encode() not in raw
    assert EMAIL not in str(entries(house.database, 100))


def test_a_person_who_is_erased_is_in_no_row_and_cannot_log_in(house: House) -> None:
    who = house.add()
    house.add("bob@example.com")
    house.entrance.vouched("https://id", "s1", EMAIL)
    opened, ticket = house.enter(), house.links.make(who, actor="root")
    eraser = DatabaseEraser(house.database)
    whom = Whom("user_id", "Ada@example.com")
    assert eraser.find(whom) == 1
    assert eraser.erase(whom).records == 1
    assert eraser.find(whom) == 0
    assert not house.holds(opened)
    assert house.entrance.log_in(EMAIL, PASSWORD, None) == WRONG
    assert house.entrance.welcome(ticket, EMAIL, PASSWORD, None) == BAD_LINK
    assert isinstance(house.entrance.vouched("https://id", "s1", EMAIL), Shut)
    raw = house.store.raw()
    assert EMAIL.encode() not in raw
    assert b"bob@example.com" in raw
    house.add()  # the address may come back


# From the version before


def test_a_database_of_the_version_before_keeps_its_keys_and_gets_people(store: Store) -> None:
    store.open()
    store.close()
    unopened = postgresql(store.url) if store.url else sqlite(store.file.parent)
    back_to(unopened, "0001")
    with unopened as database, database.write() as connection:
        assert revisions(connection) == {"0001"}
        connection.execute(
            text(
                "INSERT INTO lakeward_keys (key_id, kind, name, digest, hint, origins, types, "
                "created_at, created_by) VALUES ('k', 'read', 'old', 'd', 'lwk_r_x', '[]', '[]', "
                "1, 'ada')"
            )
        )
    database = store.open()
    with database.read() as connection:
        assert revisions(connection) == {REVISION}
    [key] = Keys(database).all()
    assert (key.name, key.partner_id) == ("old", None)
    People(database).add(EMAIL, "admin", actor="root")


def test_the_check_of_roles_stands_in_the_database_itself(tmp_path: Path) -> None:
    store = Store(tmp_path, "")
    store.open()
    numbers = count()
    with sqlite3.connect(store.file) as connection:
        for role, partner in (("admin", "p9"), ("partner", None), ("owner", None)):
            row = (str(next(numbers)), f"{next(numbers)}@x.org", role, partner)
            with pytest.raises(sqlite3.IntegrityError, match="ck_lakeward_people_role"):
                connection.execute(
                    "INSERT INTO lakeward_people (person_id, email, role, partner_id, created_at, "
                    "created_by) VALUES (?, ?, ?, ?, 1, 'x')", row,
                )  # fmt: skip
    connection.close()
    store.close()
