"""`lakeward outbox list|send|resend|preview|templates`: the messages of an app.

Nothing here shows an address or the text of a message that was sent; `preview` shows the text of a
template for values that are given.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

import msgspec

from lakeward.cli.command import add_general_arguments
from lakeward.cli.tail import printable
from lakeward.errors import SettingError, Terminal
from lakeward.interaction import iso
from lakeward.settings import Settings

if TYPE_CHECKING:  # the rooms behind it need an extra that other commands do without
    from lakeward.messaging.template import Template
    from lakeward.store.outbox import Outbox, Row


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Five verbs."""
    verbs = command.add_subparsers(dest="verb", required=True, metavar="VERB")
    show = verbs.add_parser("list", help="count messages by state, and show those that wait")
    show.add_argument("-n", type=int, default=20, metavar="N", help="how many to show (20)")
    send = verbs.add_parser("send", help="send what waits and is due now")
    resend = verbs.add_parser("resend", help="send an unsure message again")
    resend.add_argument("id", metavar="ID", help="its outbox id, as `list` shows it")
    preview = verbs.add_parser("preview", help="show what a template makes of some values")
    preview.add_argument("template", metavar="TEMPLATE")
    preview.add_argument("--channel", choices=("sms", "email"), required=True)
    preview.add_argument("--language", metavar="CODE", help="such as en or pt-BR")
    preview.add_argument("--values", metavar="JSON", default="{}", help="an object of values")
    templates = verbs.add_parser("templates", help="list the templates and what they need")
    for verb in (show, send, resend, preview, templates):
        add_general_arguments(verb, below=True)


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Do what the verb says."""
    json = arguments.format == "json"
    match arguments.verb:
        case "preview":
            return _preview(settings, arguments, json)
        case "templates":
            return _templates(settings, json)
        case "send":
            return _send(settings, json)
        case "resend":
            return _resend(settings, arguments.id, json)
    from lakeward.store.database import open_database
    from lakeward.store.outbox import Outbox

    with open_database(settings, create=False) as database:
        return _list(Outbox(database), max(arguments.n, 0), json)


def _list(outbox: Outbox, most: int, json: bool) -> int:
    counts, waiting = outbox.counts(), outbox.waiting(most)
    if json:
        _print({"counts": counts, "waiting": [_row(row) for row in waiting]})
        return 0
    lines = [", ".join(f"{n} {state}" for state, n in counts.items())]
    if waiting:
        lines.append(f"the oldest that waits is of {iso(waiting[0].created_at)}")
    lines += map(_line, waiting)
    print("\n".join(lines))
    return 0


def _row(row: Row) -> dict[str, Any]:
    return {
        "outbox_id": row.outbox_id,
        "state": row.state,
        "channel": row.channel,
        "template": row.template,
        "attempts": row.attempts,
        "created_at": iso(row.created_at),
        "due_at": iso(row.due_at) if row.due_at is not None else None,
        "reason": row.reason,
    }


def _line(row: Row) -> str:
    words = (row.outbox_id, f"{row.state:7}", f"{row.channel:5}", row.template, row.reason or "")
    return printable("  ".join(words)).rstrip()


def _send(settings: Settings, json: bool) -> int:
    """In this process, as the app's own threads do it; exit code 1 when some still wait."""
    from lakeward.collector import Collector
    from lakeward.messaging import Messages
    from lakeward.messaging.carriers import is_live
    from lakeward.messaging.messages import SHOWN_BY_DEFAULT

    if not is_live(settings) and settings.messages != "console":
        raise SettingError(SHOWN_BY_DEFAULT)
    with Collector(settings) as collector, Messages(settings, collector) as messages:
        before = messages.outbox.counts()
        messages.drain()
        after = messages.outbox.counts()
    done = {state: after[state] - before[state] for state in ("sent", "failed")}
    waits = sum(after[state] for state in ("queued", "sending", "unsure"))
    if json:
        _print({**done, "waiting": waits})
    else:
        print(f"{done['sent']} sent, {done['failed']} failed, {waits} still wait")
    return 1 if waits else 0


def _resend(settings: Settings, outbox_id: str, json: bool) -> int:
    from lakeward.store.database import open_database
    from lakeward.store.outbox import Outbox

    with open_database(settings, create=False) as database:
        if not Outbox(database).resend(outbox_id, time.time_ns() // 1_000_000):
            raise Terminal("no message of that id is unsure: `lakeward outbox list` shows them")
    sentence = "queued again: a sender of the app takes it, or `lakeward outbox send`"
    _print({"outbox_id": outbox_id, "state": "queued"}) if json else print(sentence)
    return 0


def _preview(settings: Settings, arguments: argparse.Namespace, json: bool) -> int:
    from lakeward.messaging.messages import folder_of
    from lakeward.messaging.segments import segments
    from lakeward.messaging.template import Templates

    try:
        values = msgspec.json.decode(arguments.values, type=dict[str, str | int | float])
    except (msgspec.DecodeError, UnicodeError):
        raise Terminal('--values must be a JSON object such as {"code": "123456"}') from None
    template = Templates(folder_of(settings)).find(
        arguments.template, arguments.channel, arguments.language
    )
    shown = template.render(values)
    unused = [name for name in values if name not in template.placeholders()]
    parts = segments(shown.text) if template.channel == "sms" else None
    if json:
        head = {"template": template.name, "version": template.version, "segments": parts}
        _print({**head, **msgspec.structs.asdict(shown), "unused": unused})
        return 0
    lines = [f"Subject: {shown.subject}", ""] if shown.subject else []
    lines.append(shown.text)
    if shown.html is not None:
        lines += ["", "--- html ---", shown.html]
    lines += [""] + ([f"{parts} SMS segments"] if parts else []) + [f"version {template.version}"]
    lines += [f"not used: {', '.join(unused)}"] if unused else []
    print("\n".join("".join(map(printable, line)) for line in "\n".join(lines).split("\n")))
    return 0


def _templates(settings: Settings, json: bool) -> int:
    from lakeward.messaging.messages import folder_of
    from lakeward.messaging.template import Templates

    templates = Templates(folder_of(settings))
    found = templates.all()
    if json:
        _print({"folder": str(templates.folder), "templates": [_entry(one) for one in found]})
        return 0
    print(printable(f"{templates.folder}: {len(found)} templates"))
    for one in found:
        spoken = f" ({one.language})" if one.language else ""
        needs = ", ".join(one.placeholders()) or "nothing"
        print(printable(f"{one.name}  {one.channel}{spoken}  {one.version}  needs {needs}"))
    return 0


def _entry(one: Template) -> dict[str, Any]:
    return {
        "name": one.name, "channel": one.channel, "language": one.language,
        "version": one.version, "html": one.html is not None, "needs": one.placeholders(),
    }  # fmt: skip


def _print(shown: dict[str, Any]) -> None:
    print(msgspec.json.encode(shown).decode())
