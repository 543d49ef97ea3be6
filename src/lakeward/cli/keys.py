"""`lakeward keys create|list|revoke|audit|digest`: the keys of the HTTP server.

A secret is printed once, by `create`, alone on stdout; what people should know of it is on stderr,
so that `KEY=$(lakeward keys create …)` holds the key and nothing else.
"""

from __future__ import annotations

import argparse
import os
import pwd
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from lakeward.cli.command import add_general_arguments
from lakeward.cli.tail import printable
from lakeward.errors import Terminal
from lakeward.interaction import iso
from lakeward.settings import Settings

if TYPE_CHECKING:  # the room behind it needs an extra that other commands do without
    from lakeward.store.keys import Key, Keys
    from lakeward.store.trail import Entry


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Five verbs."""
    verbs = command.add_subparsers(dest="verb", required=True, metavar="VERB")
    create = verbs.add_parser("create", help="make a key and show its secret, once")
    create.add_argument("--kind", choices=("write", "read"), required=True)
    create.add_argument("--name", required=True, help="what you will know it by")
    create.add_argument(
        "--allow", metavar="TYPE", nargs="+", action="extend", default=[],
        help="types that a write key may write: a name, 'shop.*', or '*' for all",
    )  # fmt: skip
    create.add_argument(
        "--origin", metavar="ORIGIN", nargs="+", action="extend", default=[],
        help="pages that may use it, such as https://app.example.com or '*.example.com'",
    )  # fmt: skip
    create.add_argument(
        "--partner", metavar="ID", help="of a read key: show the records of this partner only"
    )
    keys = verbs.add_parser("list", help="show the keys in force")
    keys.add_argument("--all", action="store_true", help="the revoked ones too")
    revoke = verbs.add_parser("revoke", help="end a key")
    revoke.add_argument("key", metavar="NAME", help="its name or its id")
    audit = verbs.add_parser("audit", help="show who made and revoked which key")
    audit.add_argument("-n", type=int, default=50, metavar="N", help="how many to show (50)")
    digests = verbs.add_parser(
        "digest", help="print what LAKEWARD_KEYS has of the secret on standard input"
    )
    for verb in (create, keys, revoke, audit, digests):
        add_general_arguments(verb, below=True)


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Open the database and do what the verb says."""
    if arguments.verb == "digest":
        _print(f"sha256:{_digest(sys.stdin.read().strip())}")
        return 0
    from lakeward.store.database import open_database
    from lakeward.store.keys import Keys
    from lakeward.store.trail import entries

    with open_database(settings, create=arguments.verb == "create") as database:
        json = arguments.format == "json"
        match arguments.verb:
            case "create":
                _create(Keys(database), arguments, json)
            case "list":
                _list(Keys(database), arguments, json)
            case "revoke":
                key = Keys(database).revoke(arguments.key, actor=actor())
                _print(_row(key) if json else f"revoked {key.name} ({key.key_id})")
            case "audit":
                _audit(entries(database, max(arguments.n, 0), ("key.",)), json)
    return 0


def _digest(secret: str) -> str:
    """What stands for a secret where it must not stand itself."""
    from lakeward.store.token import digest, is_token

    if not is_token(secret):
        raise Terminal("that is no key: pipe the secret that `lakeward keys create` printed")
    return digest(secret)


def _create(keys: Keys, arguments: argparse.Namespace, json: bool) -> None:
    key, secret = keys.create(
        arguments.kind, arguments.name, actor=actor(), origins=arguments.origin,
        types=arguments.allow, partner_id=arguments.partner,
    )  # fmt: skip
    if json:
        _print({"key": secret, **_row(key)})
        return
    _print(secret)
    print(
        f"{key.kind} key {key.name} ({key.key_id}) for {_scope(key)}.\n"
        "The key is shown only this once: Lakeward keeps a digest of it.",
        file=sys.stderr,
    )


def _list(keys: Keys, arguments: argparse.Namespace, json: bool) -> None:
    found = [key for key in keys.all() if arguments.all or key.revoked_at is None]
    _print({"keys": [_row(key) for key in found]} if json else _table(found))


def _audit(trail: list[Entry], json: bool) -> None:
    rows = [msgspec.structs.asdict(entry) | {"at": iso(entry.at)} for entry in trail]
    _print({"audit": rows} if json else "\n".join(map(_line, trail)))


def actor() -> str:
    """The user of the operating system who runs the command."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name[:128]
    except KeyError:
        return f"uid {os.getuid()}"


def _print(shown: str | dict[str, Any]) -> None:
    print(shown if isinstance(shown, str) else msgspec.json.encode(shown).decode())


def _row(key: Key) -> dict[str, Any]:
    revoked = None if key.revoked_at is None else iso(key.revoked_at)
    times = {"created_at": iso(key.created_at), "revoked_at": revoked}
    return msgspec.structs.asdict(key) | times


def _scope(key: Key) -> str:
    types = _some(key.types)
    if key.kind == "read":
        types = "reading" if key.partner_id is None else f"reading of partner {key.partner_id}"
    return f"{types} from {_some(key.origins) or 'any origin'}"


def _some(words: Sequence[str]) -> str:
    few = words if len(words) <= 4 else [*words[:3], f"{len(words) - 3} more"]
    return ", ".join(few)


def _table(keys: list[Key]) -> str:
    if not keys:
        return "no keys: `lakeward keys create --kind write --name NAME` makes one"
    rows: list[tuple[str, ...]] = [("NAME", "KIND", "BEGINS", "CREATED", "BY", "ID", "FOR")]
    for key in keys:
        state = f"revoked {iso(key.revoked_at)}; " if key.revoked_at else ""
        created = iso(key.created_at)
        row = (key.name, key.kind, key.hint, created, key.created_by, key.key_id)
        rows.append((*map(printable, row), printable(state + _scope(key))))
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]] + [0]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )


def _line(entry: Entry) -> str:
    details = " ".join(str(entry.details.get(name, "")) for name in ("kind", "name"))
    return printable(f"{iso(entry.at)}  {entry.actor}  {entry.action}  {entry.subject}  {details}")
