"""`lakeward people …`: who may look into the lake through the server.

    add EMAIL [--role partner --partner ID]   a new person, and a one-time link to choose a password
    list                                      everybody
    link EMAIL                                another one-time link; the old password stays for now
    reset EMAIL                               the same, and password and logins end at once
    role EMAIL admin | partner --partner ID   another role
    disable EMAIL, enable EMAIL               out at once, and in again
    audit                                     who logged in, failed, was locked out, changed what

A link is printed alone on stdout, and what people should know of it on stderr. With
`--password-stdin`, `add` and `reset` read a password instead.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from lakeward.cli.command import add_general_arguments
from lakeward.cli.keys import actor
from lakeward.cli.tail import printable
from lakeward.errors import MissingExtra, Terminal
from lakeward.interaction import iso
from lakeward.settings import Settings

if TYPE_CHECKING:  # the room behind it needs an extra that other commands do without
    from lakeward.store.database import Database
    from lakeward.store.people import People, Person
    from lakeward.store.trail import Entry

AUDITED = ("person.", "login.", "link.", "quarantine.")


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The verbs."""
    verbs = command.add_subparsers(dest="verb", required=True, metavar="VERB")
    add = verbs.add_parser("add", help="add a person, and print a link to choose a password")
    role = verbs.add_parser("role", help="give a person another role")
    people = verbs.add_parser("list", help="show who may log in")
    people.add_argument("--all", action="store_true", help="the disabled ones too")
    link = verbs.add_parser("link", help="print a one-time link to choose a password")
    reset = verbs.add_parser("reset", help="end password and logins at once, and print a link")
    disable = verbs.add_parser("disable", help="shut a person out at once")
    enable = verbs.add_parser("enable", help="let a person in again")
    audit = verbs.add_parser("audit", help="show logins, failures and changes")
    audit.add_argument("-n", type=int, default=50, metavar="N", help="how many to show (50)")
    for verb in (add, role, link, reset, disable, enable):
        verb.add_argument("email", metavar="EMAIL", help="e-mail address (or id) of the person")
    add.add_argument("--role", choices=("admin", "partner"), default="admin")
    role.add_argument("role", metavar="admin|partner", choices=("admin", "partner"))
    for verb in (add, role):
        verb.add_argument("--partner", metavar="ID", help="the partner_id that a partner sees")
    for verb in (add, reset):
        verb.add_argument(
            "--password-stdin", action="store_true", help="read the password from stdin, no link"
        )
    for verb in (add, role, people, link, reset, disable, enable, audit):
        add_general_arguments(verb, below=True)


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Open the database and do what the verb says."""
    try:
        from lakeward.store.database import open_database
        from lakeward.store.people import People
        from lakeward.store.trail import entries
    except ImportError:
        raise MissingExtra("lakeward people", "server") from None

    with open_database(settings, create=arguments.verb == "add") as database:
        people, json = People(database), arguments.format == "json"
        match arguments.verb:
            case "list":
                shown = [p for p in people.all() if arguments.all or p.disabled_at is None]
                _print({"people": list(map(_row, shown))} if json else _table(shown))
            case "audit":
                found = entries(database, max(arguments.n, 0), AUDITED)
                _print({"audit": list(map(_entry, found))} if json else _lines(found))
            case "add" | "link" | "reset":
                _let_in(settings, arguments, database, people)
            case _:
                person = _change(people, arguments)
                _print(_row(person) if json else _sentence(person))
    return 0


def _change(people: People, arguments: argparse.Namespace) -> Person:
    match arguments.verb:
        case "role":
            return people.change_role(
                arguments.email, arguments.role, actor=actor(), partner_id=arguments.partner
            )
        case "disable":
            return people.disable(arguments.email, actor=actor())
    return people.enable(arguments.email, actor=actor())


def _let_in(
    settings: Settings, arguments: argparse.Namespace, database: Database, people: People
) -> None:  # fmt: skip
    """Add or reset, and print how the person gets in."""
    from lakeward.store.link import HOURS, Links

    verb, email = arguments.verb, arguments.email
    typed = verb != "link" and arguments.password_stdin
    encoded = _encoded(email if verb == "add" else people.find(email).email) if typed else None
    if verb == "add":
        person = people.add(
            email, arguments.role, actor=actor(), partner_id=arguments.partner, password=encoded
        )
    elif verb == "reset":
        person = people.set_password(email, encoded, actor=actor())
    else:
        person = people.find(email)
    if not typed and person.disabled_at is not None:
        raise Terminal("this person is disabled: `lakeward people enable` comes first")
    told, shown = _sentence(person), _row(person)
    if not typed:
        ticket = Links(database).make(person.person_id, actor=actor())
        shown["link"] = welcome_address(settings, ticket)
        told += f" The link is good once, within {HOURS} hours, for this address only."
    if arguments.format == "json":
        _print(shown)
        return
    if not typed:
        _print(shown["link"])
    print(told, file=sys.stderr)


def welcome_address(settings: Settings, ticket: str, reached: str = "") -> str:
    """The link of a ticket; `reached` is where the server is when no setting says so."""
    from lakeward.server.app import places

    base = settings.public_url.rstrip("/")
    if not base:
        base = (reached or "http://127.0.0.1:8000") + settings.path_prefix.strip().rstrip("/")
    return f"{base}{places(settings).get('page', '/').rstrip('/')}/?welcome={ticket}"


def _encoded(email: str) -> str:
    """What is stored of the password on stdin."""
    from lakeward.store.password import Passwords, checked_password
    from lakeward.store.people import plain_email

    password = sys.stdin.readline().rstrip("\r\n")
    return Passwords().encoded(checked_password(password, plain_email(email)))


def _print(shown: str | dict[str, Any]) -> None:
    print(shown if isinstance(shown, str) else msgspec.json.encode(shown).decode())


def _row(person: Person) -> dict[str, Any]:
    row = msgspec.structs.asdict(person)
    disabled = None if person.disabled_at is None else iso(person.disabled_at)
    times = {"created_at": iso(person.created_at), "disabled_at": disabled}
    tied = {"oidc": row.pop("subject") is not None}
    del row["issuer"]
    return row | times | tied


def _sentence(person: Person) -> str:
    what = "admin" if person.role == "admin" else f"partner {person.partner_id}"
    state = " (disabled)" if person.disabled_at is not None else ""
    return printable(f"{person.email} ({person.person_id}) is {what}{state}.")


def _table(people: list[Person]) -> str:
    if not people:
        return "nobody: `lakeward people add EMAIL` adds somebody"
    rows: list[tuple[str, ...]] = [("EMAIL", "ROLE", "PARTNER", "ADDED", "STATE", "ID")]
    for person in people:
        state = f"disabled {iso(person.disabled_at)}" if person.disabled_at else "may log in"
        added = iso(person.created_at)
        row = (person.email, person.role, person.partner_id or "-", added, state, person.person_id)
        rows.append(tuple(map(printable, row)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _entry(entry: Entry) -> dict[str, Any]:
    return msgspec.structs.asdict(entry) | {"at": iso(entry.at)}


def _lines(trail: list[Entry]) -> str:
    return "\n".join(
        printable(
            f"{iso(entry.at)}  {entry.actor}  {entry.action}  {entry.subject}  "
            + " ".join(f"{name}={value}" for name, value in entry.details.items())
        )
        for entry in trail
    )
