"""`lakeward flags list|get|set|group|remove|history|import|check|evaluate`: flags and experiments.

`check` and `evaluate` work on a file as well; the others change the app database, from which
running apps take the change at their next look. What would do nothing, or harm, is refused with a
sentence; each change is a row of the history and of the audit.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from lakeward.cli.command import add_general_arguments
from lakeward.cli.keys import actor
from lakeward.cli.plan import counted, faults
from lakeward.cli.tail import printable
from lakeward.errors import LakewardError, Rejected, Terminal
from lakeward.interaction import iso
from lakeward.settings import Settings

if TYPE_CHECKING:  # the rooms behind it need an extra that other commands do without
    from lakeward.flags.database import Editor
    from lakeward.flags.evaluate import Evaluation
    from lakeward.flags.source import Source
    from lakeward.store.flags import Row


class FlagsAccount(msgspec.Struct, frozen=True):
    """What `lakeward doctor` says of flags."""

    source: str
    flags: int | None = None
    faults: list[str] = []


def look(settings: Settings) -> FlagsAccount | None:
    """The flags of the setting, as an app would read them; None where there are none. A database
    is not opened: `lakeward flags list` does."""
    if settings.flags in ("", "database"):
        return FlagsAccount(settings.flags) if settings.flags else None
    from lakeward.flags.source import FileSource

    try:
        payload = _payload(FileSource(Path(settings.flags).expanduser()))
    except (LakewardError, OSError) as error:
        return FlagsAccount(settings.flags, 0, [str(error)])
    return FlagsAccount(settings.flags, len(payload.features), faults(payload))


def sentence(account: FlagsAccount) -> str:
    """The same for people."""
    if account.flags is None:
        return "in the app database"
    told = f"{account.flags} in {account.source}"
    if account.faults:
        told += f"; {len(account.faults)} to mend, the first: {account.faults[0]}"
    return told


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Nine verbs."""
    verbs = command.add_subparsers(dest="verb", required=True, metavar="VERB")
    listed = verbs.add_parser("list", help="show the flags and groups of the app database")
    get = verbs.add_parser("get", help="show one flag")
    set_ = verbs.add_parser("set", help="make a flag, or change it")
    what = set_.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--value", metavar="JSON", help="what everybody has whom no rule gives another"
    )
    what.add_argument("--json", metavar="TEXT", help="the whole definition")
    what.add_argument("--file", type=Path, metavar="FILE", help="a file with the whole definition")
    what.add_argument("--on", action="store_true", help="let its rules apply")
    what.add_argument("--off", action="store_true", help="give everybody its default")
    what.add_argument("--weights", metavar="W,W,…", help="how its experiment shares units out")
    set_.add_argument("--experiment", metavar="KEY", help="which experiment, where it has several")
    group = verbs.add_parser("group", help="say who is in a saved group")
    remove = verbs.add_parser("remove", help="take a flag away; its history stays")
    history = verbs.add_parser("history", help="show who changed a flag, and when")
    for verb in (get, set_, group, remove, history):
        verb.add_argument("name", metavar="NAME", help="its key")
    group.add_argument("members", metavar="MEMBER", nargs="*", help="texts that an attribute has")
    import_ = verbs.add_parser("import", help="bring a file's flags into the app database")
    check = verbs.add_parser("check", help="say what is wrong in a file")
    for verb in (import_, check):
        verb.add_argument("file", type=Path, metavar="FILE", help="JSON or TOML")
    evaluate = verbs.add_parser("evaluate", help="show what somebody would see, and why")
    evaluate.add_argument("name", metavar="NAME", help="its key")
    evaluate.add_argument("attributes", metavar="key=value", nargs="*", help="of whom")
    evaluate.add_argument("--file", type=Path, metavar="FILE", help="instead of LAKEWARD_FLAGS")
    for verb in (listed, get, set_, group, remove, history, import_, check, evaluate):
        add_general_arguments(verb, below=True)


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Do what the verb says."""
    if arguments.verb == "check":
        return _check(arguments)
    if arguments.verb == "evaluate":
        return _evaluate(settings, arguments)
    from lakeward.flags.database import Editor
    from lakeward.store.database import open_database

    with open_database(settings, create=arguments.verb in ("set", "group", "import")) as database:
        return VERBS[arguments.verb](Editor(database), arguments)


def _list(editor: Editor, arguments: argparse.Namespace) -> int:
    rows = editor.table.current()[1]
    _say(arguments, {"flags": [_told(row) for row in rows]}, _table(rows))
    return 0


def _get(editor: Editor, arguments: argparse.Namespace) -> int:
    row = editor.found("flag", arguments.name)
    _say(arguments, _told(row), _pretty(row.definition))
    return 0


def _set(editor: Editor, arguments: argparse.Namespace) -> int:
    name, who = arguments.name, actor()
    if arguments.on or arguments.off:
        row = editor.switch(name, arguments.on, actor=who)
    elif arguments.weights is not None:
        weights = _weights(arguments.weights)
        row = editor.set_weights(name, weights, actor=who, experiment=arguments.experiment)
    elif arguments.value is not None:
        before = editor.table.find("flag", name)
        definition = {} if before is None else before.definition
        value = _json(arguments.value, "--value")
        row = editor.set_flag(
            name, {**definition, "defaultValue": value}, actor=who,
            after=None if before is None else before.version,
        )  # fmt: skip
    else:
        text = arguments.json
        if text is None:
            text = arguments.file.read_text(encoding="utf-8", errors="replace")
        row = editor.set_flag(name, _json(text, "the definition"), actor=who)
    return _changed(arguments, row)


def _group(editor: Editor, arguments: argparse.Namespace) -> int:
    row = editor.set_group(arguments.name, list(arguments.members), actor=actor())
    return _changed(arguments, row)


def _remove(editor: Editor, arguments: argparse.Namespace) -> int:
    return _changed(arguments, editor.table.remove("flag", arguments.name, actor=actor()))


def _history(editor: Editor, arguments: argparse.Namespace) -> int:
    rows = editor.table.history("flag", arguments.name)
    if not rows:
        editor.found("flag", arguments.name)  # says that there is none
    _say(arguments, {"history": [_told(row) for row in rows]}, "\n".join(map(_line, rows)))
    return 0


def _import(editor: Editor, arguments: argparse.Namespace) -> int:
    from lakeward.flags.source import FileSource, plain

    payload = _payload(FileSource(arguments.file))
    if found := faults(payload):
        raise Rejected(f"{arguments.file}: {found[0]}; `lakeward flags check` shows all")
    content = plain(arguments.file)
    for name, members in content.get("savedGroups", {}).items():
        editor.set_group(name, members, actor=actor())
    definitions = content["features"]
    for name, definition in definitions.items():
        editor.table.put("flag", name, definition, actor=actor())
    _say(arguments, {"imported": len(definitions)}, f"imported {counted(len(definitions))}")
    return 0


VERBS: dict[str, Callable[[Editor, argparse.Namespace], int]] = {
    "list": _list, "get": _get, "set": _set, "group": _group, "remove": _remove,
    "history": _history, "import": _import,
}  # fmt: skip


def _check(arguments: argparse.Namespace) -> int:
    from lakeward.flags.source import FileSource

    payload = _payload(FileSource(arguments.file))
    found = faults(payload)
    good = f"{counted(len(payload.features))}, nothing to mend"
    _say(arguments, {"flags": len(payload.features), "faults": found}, "\n".join(found) or good)
    return 1 if found else 0


def _evaluate(settings: Settings, arguments: argparse.Namespace) -> int:
    from lakeward.flags.evaluate import Context, evaluate
    from lakeward.flags.ruleset import ready
    from lakeward.flags.source import FileSource

    source: Source
    if arguments.file is None and settings.flags == "database":
        from lakeward.flags.database import DatabaseSource

        source = DatabaseSource(settings)
    else:
        path = arguments.file or settings.flags
        if not path:
            raise Terminal("LAKEWARD_FLAGS is empty: name a file with --file")
        source = FileSource(Path(path).expanduser())
    rules = ready(_payload(source))
    from lakeward.cli.record import parse_fields  # loads the collector, which no other needs

    attributes = parse_fields(arguments.attributes)
    found = evaluate(rules, arguments.name, Context(attributes=attributes))
    if found.source == "unknownFeature":
        raise Terminal(f"there is no flag {arguments.name[:80]!r} in {source.name}")
    told = _evaluated(found)
    _say(arguments, told, "\n".join(f"{name:12} {_short(told[name])}" for name in told))
    return 0


def _evaluated(found: Evaluation) -> dict[str, Any]:
    told: dict[str, Any] = {"value": found.value, "on": found.on, "source": found.source}
    if found.rule_id:
        told["rule"] = found.rule_id
    if found.assigned is not None:
        met = found.assigned
        told |= {"experiment": met.experiment, "variant": met.key, "assigned_by": met.attribute,
                 "bucket": met.bucket}  # fmt: skip
    return told


def _payload(source: Source) -> Any:
    snapshot = source.read("")
    source.close()
    assert snapshot is not None  # it was never read before
    return snapshot.payload


def _weights(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        raise Terminal("--weights must be numbers such as 0.5,0.5") from None


def _json(text: str, what: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Terminal(f"{what} must be JSON: a text needs quotation marks") from None


def _changed(arguments: argparse.Namespace, row: Row) -> int:
    done = "removed" if row.definition is None else "set"
    _say(arguments, _told(row), f"{row.kind} {printable(row.name)} {done} (version {row.version})")
    return 0


def _say(arguments: argparse.Namespace, told: dict[str, Any], text: str) -> None:
    print(msgspec.json.encode(told).decode() if arguments.format == "json" else text)
    sys.stdout.flush()


def _told(row: Row) -> dict[str, Any]:
    return msgspec.structs.asdict(row) | {"created_at": iso(row.created_at)}


def _line(row: Row) -> str:
    what = "removed" if row.definition is None else _short(row.definition)
    return printable(f"{row.version:6}  {iso(row.created_at)}  {row.created_by}  {what}")


def _pretty(definition: object) -> str:
    return msgspec.json.format(msgspec.json.encode(definition), indent=2).decode()


def _short(value: object, most: int = 80) -> str:
    text = msgspec.json.encode(value).decode()
    return printable(text if len(text) <= most else text[: most - 1] + "…")


def _table(rows: Sequence[Row]) -> str:
    if not rows:
        return "no flags: `lakeward flags set NAME --value true` makes one"
    shown = [("NAME", "KIND", "STATE", "RULES", "VERSION", "CHANGED", "BY")]
    for row in rows:
        definition = row.definition if isinstance(row.definition, dict) else {}
        state = "off" if definition.get("enabled") is False else "on"
        rules = definition.get("rules", [])
        count = len(row.definition if row.kind == "group" else rules)
        shown.append((
            printable(row.name), row.kind, state if row.kind == "flag" else "", str(count),
            str(row.version), iso(row.created_at), printable(row.created_by),
        ))  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in shown
    )
