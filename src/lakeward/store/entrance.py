"""The entrance: every way in which somebody comes to be logged in, and out again.

In: what was typed, a link's ticket, or what an identity provider vouches for. Out: an `Opened`
login, or a `Shut` with a reason from a closed list. Each way costs an unknown address as much as a
known one and answers it the same. What happened is in the audit, with neither address nor password.
Blocking: each call asks the database, and most hash a password.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec
from sqlalchemy import Connection, RowMapping, select, update

from lakeward.errors import Rejected, Terminal
from lakeward.interaction import Clock
from lakeward.store import attempts, link
from lakeward.store.attempts import Attempt
from lakeward.store.database import Database
from lakeward.store.login import Login, end_login, open_login
from lakeward.store.password import Passwords, checked_password
from lakeward.store.people import (
    Person,
    checked_email,
    end_all,
    has_admin,
    is_email,
    new_person,
    plain_email,
)
from lakeward.store.row import record
from lakeward.store.schema import PEOPLE
from lakeward.store.ticket import RANDOM_BYTES, is_ticket
from lakeward.store.trail import note

Reason: TypeAlias = Literal[
    "wrong_login",
    "locked",
    "bad_link",
    "bad_email",
    "bad_password",
    "no_password",
    "unknown_person",
]
UNKNOWN = "unknown"
"""What stands in the audit for an address that belongs to nobody."""


class Opened(msgspec.Struct, frozen=True):
    """Somebody is in."""

    login: Login
    ticket: str
    seconds: int
    """How long it lasts."""


class Shut(msgspec.Struct, frozen=True):
    """Somebody is not."""

    reason: Reason
    sentence: str
    wait_seconds: int = 0


WRONG = Shut("wrong_login", "The e-mail address or the password is wrong.")
NO_PASSWORD = Shut("no_password", "There is no password to change: a provider logs you in.")
BAD_LINK = Shut("bad_link", "The link was used already, is too old, or is for another address.")


class Entrance:
    """The ways in of one database."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        *,
        login_seconds: float,
        now_ns: Callable[[], int] = time.time_ns,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._seconds = login_seconds
        self._clock = Clock(now_ns)
        self._random = random

    def log_in(self, email: str, password: str, address: str | None) -> Opened | Shut:
        """By e-mail address and password; `address` is where it comes from, None: uncounted."""
        plain = plain_email(email) if is_email(email) else ""
        attempt = self._begin(plain, address)
        if attempt.wait_seconds:
            return _locked(attempt)
        with self._database.read() as connection:
            row = _row(connection, PEOPLE.c.email == plain)
        stored = row["password"] if row is not None and row["disabled_at"] is None else None
        fits = self._passwords.fits(stored, password)
        stale = fits and self._passwords.is_stale(str(stored))
        encoded = self._passwords.encoded(password) if stale else None
        with self._database.write() as connection:
            # Looked at again: somebody may have been disabled, or have another password, since.
            now = _row(connection, PEOPLE.c.email == plain)
            if row is None or now is None or not fits or not _same(row, now):
                return self._failed(connection, row, attempt, "password")
            attempts.forgive(connection, attempt, _by_email(plain))
            if encoded is not None:
                _keep(connection, now["person_id"], encoded)
            return self._open(connection, record(now, Person), "password")

    def welcome(
        self, ticket: str, email: str, password: str, address: str | None
    ) -> Opened | Shut:  # fmt: skip
        """By a one-time link: choose a password, and be logged in."""
        attempt = self._begin(None, address)
        if attempt.wait_seconds:
            return _locked(attempt)
        plain = plain_email(email)
        with self._database.read() as connection:
            found = self._guest(connection, ticket, plain) if is_ticket(ticket) else None
        shut = None if found is None else _unfit(plain, password)
        encoded = "" if found is None or shut else self._passwords.encoded(password)
        with self._database.write() as connection:
            if found is not None:
                found = self._guest(connection, ticket, plain)
            if found is None:
                return self._failed(connection, None, attempt, "link", BAD_LINK)
            attempts.forgive(connection, attempt, _by_email(plain))
            if shut is not None:
                return shut
            if not link.take(connection, ticket):
                return BAD_LINK
            return self._open(connection, self._moved_in(connection, found, plain, encoded), "link")

    def change_password(
        self, login: Login, old: str, new: str, address: str | None
    ) -> Opened | Shut:  # fmt: skip
        """Another password for who is logged in; every other login ends, and this one has another
        ticket from now on."""
        person = login.person
        mine = PEOPLE.c.person_id == person.person_id
        try:
            checked_password(new, person.email)
        except Rejected as error:
            return Shut("bad_password", _sentence(error))
        with self._database.read() as connection:
            row = _row(connection, mine)
        if row is None or row["password"] is None:
            return NO_PASSWORD
        attempt = self._begin(person.email, address)
        if attempt.wait_seconds:
            return _locked(attempt)
        fits = self._passwords.fits(row["password"], old)
        encoded = self._passwords.encoded(new) if fits else ""
        with self._database.write() as connection:
            now = _row(connection, mine)
            if now is None or not fits or not _same(row, now):
                return self._failed(connection, row, attempt, "password")
            attempts.forgive(connection, attempt, _by_email(person.email))
            self._changed(connection, person.person_id, encoded)
            return self._open(connection, record(now, Person), "password")

    def vouched(self, issuer: str, subject: str, email: str | None) -> Opened | Shut:
        """By an identity provider; `email` only where it says that it is verified.

        Whom it vouched for before is known by its own name for them. The first time the address
        must be that of a person who is not tied to another account there.
        """
        with self._database.write() as connection:
            row = _row(connection, (PEOPLE.c.issuer == issuer) & (PEOPLE.c.subject == subject))
            if row is None and email is not None and is_email(email):
                free = (PEOPLE.c.email == plain_email(email)) & PEOPLE.c.subject.is_(None)
                row = _row(connection, free)
            if row is None or row["disabled_at"] is not None:
                self._note_failure(connection, row, "provider", last=False)
                return Shut("unknown_person", "Nobody here has this address: ask an admin.")
            if row["subject"] is None:
                mine = PEOPLE.c.person_id == row["person_id"]
                tied = {"issuer": issuer, "subject": subject}
                connection.execute(update(PEOPLE).where(mine).values(tied))
                note(connection, self._clock.now(), row["person_id"], "person.tie",
                     row["person_id"], {})  # fmt: skip
            return self._open(connection, record(row, Person), "provider")

    def log_out(self, login: Login, *, everywhere: bool) -> None:
        """End this login, or all of this person."""
        person_id = login.person.person_id
        with self._database.write() as connection:
            ended = end_all(connection, person_id) if everywhere else 1
            if not everywhere and not end_login(connection, login.digest):
                return
            note(connection, self._clock.now(), person_id, "login.end", person_id,
                 {"logins": ended})  # fmt: skip

    def _begin(self, email: str | None, address: str | None) -> Attempt:
        names = [] if email is None else [_by_email(email)]
        names += [] if address is None else [f"address {address}"]
        with self._database.write() as connection:
            return attempts.begin(connection, names, self._clock.now())

    def _failed(
        self, connection: Connection, row: RowMapping | None, attempt: Attempt, by: str,
        shut: Shut = WRONG,
    ) -> Shut:  # fmt: skip
        self._note_failure(connection, row, by, last=attempt.last)
        return shut

    def _note_failure(
        self, connection: Connection, row: RowMapping | None, by: str, *, last: bool
    ) -> None:  # fmt: skip
        who = UNKNOWN if row is None else row["person_id"]
        action = "login.lock" if last else "login.fail"
        note(connection, self._clock.now(), UNKNOWN, action, who, {"by": by})

    def _open(self, connection: Connection, person: Person, by: str) -> Opened:
        now_ns = self._clock.now()
        opened = open_login(
            connection, person, self._random(RANDOM_BYTES), now_ns // 1_000_000, self._seconds
        )
        note(connection, now_ns, person.person_id, "login.open", person.person_id, {"by": by})
        return Opened(*opened, int(self._seconds))

    def _guest(self, connection: Connection, ticket: str, email: str) -> link.Link | None:
        """The link, when it is in force and for this address."""
        found = link.look(connection, ticket, self._clock.now() // 1_000_000)
        if found is None:
            return None
        if found.person_id is None:
            taken = is_email(email) and _row(connection, PEOPLE.c.email == email) is not None
            return None if taken or has_admin(connection) else found
        row = _row(connection, PEOPLE.c.person_id == found.person_id)
        fits = row is not None and row["disabled_at"] is None and row["email"] == email
        return found if fits else None

    def _moved_in(
        self, connection: Connection, found: link.Link, email: str, encoded: str
    ) -> Person:  # fmt: skip
        """The person of a link, with the new password and without older logins."""
        if found.person_id is None:
            return new_person(connection, self._clock.now(), email, "admin", None, password=encoded)
        row = _row(connection, PEOPLE.c.person_id == found.person_id)
        assert row is not None
        self._changed(connection, found.person_id, encoded)
        return record(row, Person)

    def _changed(self, connection: Connection, person_id: str, encoded: str) -> None:
        """Another password: whoever logged in with the old one is out."""
        _keep(connection, person_id, encoded)
        end_all(connection, person_id)
        note(connection, self._clock.now(), person_id, "person.password", person_id, {})


def _unfit(email: str, password: str) -> Shut | None:
    """Why somebody cannot move in with these."""
    try:
        checked_password(password, checked_email(email))
    except Terminal as error:
        return Shut("bad_email", _sentence(error))
    except Rejected as error:
        return Shut("bad_password", _sentence(error))
    return None


def _row(connection: Connection, which: object) -> RowMapping | None:
    return connection.execute(select(PEOPLE).where(which)).mappings().first()  # type: ignore[arg-type]  # a condition


def _same(before: RowMapping, now: RowMapping) -> bool:
    """Whether what was checked still holds."""
    return (before["password"], None) == (now["password"], now["disabled_at"])


def _keep(connection: Connection, person_id: str, encoded: str) -> None:
    connection.execute(
        update(PEOPLE).where(PEOPLE.c.person_id == person_id).values(password=encoded)
    )


def _by_email(email: str) -> str:
    return f"email {email}"


def _locked(attempt: Attempt) -> Shut:
    return Shut("locked", "Too many attempts: try again later.", attempt.wait_seconds)


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
