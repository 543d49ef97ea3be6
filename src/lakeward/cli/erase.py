"""`lakeward erase`: forget a person in every store, and show the receipt.

Exit code 1 while a store has not forgotten yet, or when `--verify` finds something.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import msgspec

from lakeward.cli.stores import opened, witness_names
from lakeward.cli.tail import printable
from lakeward.cli.whom import add_people, people
from lakeward.errors import LakewardError, Terminal
from lakeward.lake import erase
from lakeward.lake import receipt as book
from lakeward.lake.draining import drain
from lakeward.lake.receipt import Receipt
from lakeward.lakedir import LakeDir, open_lake
from lakeward.person import Person
from lakeward.settings import Settings


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Who, how far, and the ways to look at what was done."""
    add_people(command)
    command.add_argument(
        "--linked", action="store_true",
        help="also sessions and anonymous ids in which no other user was named",
    )  # fmt: skip
    command.add_argument("--yes", action="store_true", help="do not ask: nothing brings it back")
    command.add_argument("--resume", action="store_true", help="go on with what is waiting")
    command.add_argument("--list", action="store_true", help="show every receipt")
    command.add_argument("--show", metavar="ERASURE", help="show one receipt")
    command.add_argument(
        "--verify", metavar="ERASURE", help="look in every store whether the person is gone"
    )


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Erase, go on, or show."""
    lake = open_lake(settings.lake_dir, create=False)
    if arguments.list:
        return _shown(book.receipts(lake), arguments.format, code=0)
    if arguments.show:
        return _shown([book.load(lake, arguments.show)], arguments.format, code=0)
    if arguments.resume:
        return _shown(resume(lake, settings), arguments.format)
    who = _under_any_name(lake, settings, people(arguments))
    if arguments.verify:
        return _verify(lake, settings, book.load(lake, arguments.verify), who, arguments.format)
    if arguments.linked:
        who = _with_linked(lake, settings, who)
    if not arguments.yes:
        _confirm(who)
    with opened(lake, settings) as stores:
        receipt = erase.begin(setting(lake, settings, stores), who)
    return _shown([receipt], arguments.format)


def resume(lake: LakeDir, settings: Settings) -> list[Receipt]:
    """Go on with every erasure that waits for a store."""
    with opened(lake, settings) as stores:
        return erase.go_on(setting(lake, settings, stores))


def setting(lake: LakeDir, settings: Settings, stores: erase.Stores) -> erase.Setting:
    """Where an erasure runs."""
    return erase.Setting(lake, stores, drain=lambda: drain(lake, settings))


def _under_any_name(lake: LakeDir, settings: Settings, who: list[Person]) -> list[Person]:
    """A user's id stands in `anonymous_id`, too, where an `alias` gave the user another one; and
    whoever spoke of a partner has an id as a witness, which the app need not know."""
    try:
        aliases = witness_names(lake, settings, [each.value for each in who])
    except LakewardError as error:
        print(
            f"{error}\nIt may know the person by another id: erase once more when it is back.",
            file=sys.stderr,
        )
        aliases = []
    who = [*who, *(Person("user_id", name) for name in aliases)]
    older = [Person("anonymous_id", each.value) for each in who if each.kind == "user_id"]
    return list(dict.fromkeys([*who, *older]))


def _with_linked(lake: LakeDir, settings: Settings, who: list[Person]) -> list[Person]:
    from lakeward.lake.export import linked
    from lakeward.lake.reading import open_reading

    with open_reading(lake, settings) as reading:
        found = [
            more for person in who if person.kind == "user_id" for more in linked(reading, person)
        ]
    return list(dict.fromkeys([*who, *found]))


def _confirm(who: Sequence[Person]) -> None:
    if not sys.stdin.isatty():
        raise Terminal("nobody is there to ask: add --yes when you mean it")
    kinds = ", ".join(f"{person.kind} {printable(person.value)}" for person in who)
    print(f"Erase {kinds} from every store? Nothing brings it back. [y/N] ", end="", flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise Terminal("nothing was erased")


def _verify(
    lake: LakeDir, settings: Settings, receipt: Receipt, who: list[Person], format_: str
) -> int:
    with opened(lake, settings) as stores:
        found = erase.verify(setting(lake, settings, stores), receipt, who)
    if format_ == "json":
        row = {"erasure_id": receipt.erasure_id, "stage": receipt.stage, "found": found}
        print(msgspec.json.encode(row).decode())
    else:
        print("\n".join(f"{n:>8,}  {name}" for name, n in found.items()))
        print("nothing is left" if not any(found.values()) else "NOT gone")
    return 1 if any(found.values()) else 0


def _shown(receipts: Sequence[Receipt], format_: str, code: int | None = None) -> int:
    if format_ == "json":
        rows = [msgspec.to_builtins(receipt) | {"stage": receipt.stage} for receipt in receipts]
        print(msgspec.json.encode({"erasures": rows}).decode())
    elif not receipts:
        print("no erasures")
    else:
        print("\n\n".join(map(render, receipts)))
    return int(any(not r.gone_at for r in receipts)) if code is None else code


def render(receipt: Receipt) -> str:
    """A receipt for people."""
    kinds = ", ".join(f"{kind} {digest[:12]}…" for kind, digest in receipt.people)
    lines = [
        f"erasure   {receipt.erasure_id}",
        f"of        {kinds} (keyed hashes)",
        f"asked     {receipt.asked_at}",
        f"hidden    {receipt.hidden_at or 'not yet'}",
        f"gone      {receipt.gone_at or 'not yet: run `lakeward erase --resume`'}",
    ]
    for note in receipt.stores:
        lines.append(f"{note.records:>8,}  {note.name}{'' if note.done else ': WAITING'}")
        if note.error:
            lines.append(f"          {printable(note.error)}")
        if note.remains:
            until = f" until {note.until}" if note.until else ""
            lines.append(f"          remains{until}: {note.remains}")
    lines += [
        f"unseen    {printable(owner)}: its memory is not on this machine; what it records of the "
        "person's past is kept out when it arrives"
        for owner in receipt.unseen
    ]
    return "\n".join(lines)
