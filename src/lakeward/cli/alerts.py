"""`lakeward alerts list|show|ack|snooze|resolve|test|digest|watch`: what is wrong, and who hears.

In: the app database, `alerts.toml`, and for `watch` what the last look left. Out: a table or JSON;
`test` tells each channel and says what happened. Nothing printed holds an address. Exit code 1 when
a channel could not be told.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from lakeward.cli.alert_table import aligned, table
from lakeward.cli.command import add_general_arguments
from lakeward.cli.keys import actor
from lakeward.cli.tail import printable
from lakeward.errors import Terminal
from lakeward.lakedir import open_lake
from lakeward.settings import Settings

if TYPE_CHECKING:  # the rooms behind it need an extra that other commands do without
    from lakeward.alerts.acting import Acts
    from lakeward.alerts.desk import Desk

FORMATS = ("table", "json")
VERBS = ("list", "show", "ack", "snooze", "resolve", "test", "digest", "watch")


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Eight verbs; without one it is `list`."""
    _add_list(command, False, 50)
    verbs = command.add_subparsers(dest="verb", required=False, metavar="VERB")
    listed = verbs.add_parser("list", help="show what is wrong now")
    _add_list(listed, argparse.SUPPRESS, argparse.SUPPRESS)
    show = verbs.add_parser("show", help="show one incident, its steps and who was told")
    ack = verbs.add_parser("ack", help="say that somebody sees to it")
    snooze = verbs.add_parser("snooze", help="tell nobody of it for a while")
    resolve = verbs.add_parser("resolve", help="say that it is over")
    for verb in (show, ack, resolve):
        verb.add_argument("id", metavar="ID", help="of the incident, or as much of it as is shown")
    snooze.add_argument("id", metavar="ID|SERIES", help="an incident, or series such as 'route:*'")
    snooze.add_argument("--for", dest="minutes", type=_minutes, default=60.0, metavar="30m|4h|2d",
                        help="how long (1h); 0 ends it")  # fmt: skip
    test = verbs.add_parser("test", help="tell every channel something, and say what happened")
    digest = verbs.add_parser("digest", help="show the digest of a day")
    digest.add_argument("--day", metavar="YYYY-MM-DD", help="which day (yesterday)")
    digest.add_argument("--send", action="store_true", help="tell it to the digest's channels now")
    watch = verbs.add_parser("watch", help="show what is watched")
    watch.add_argument("--since", metavar="DAY|SPAN", help="with --dry-run: from when on (7d)")
    watch.add_argument("--dry-run", action="store_true",
                       help="show what would have been said, and tell nobody")  # fmt: skip
    for verb in (listed, show, ack, snooze, resolve, test, digest, watch):
        add_general_arguments(verb, below=True, formats=FORMATS)


def _add_list(command: argparse.ArgumentParser, all_: object, most: object) -> None:
    command.add_argument("--all", action="store_true", default=all_, help="what is resolved, too")
    command.add_argument("-n", type=int, default=most, metavar="N", help="how many to show (50)")


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Do what the verb says."""
    return DONE[arguments.verb or "list"](settings, arguments)


def _list(settings: Settings, arguments: argparse.Namespace) -> int:
    from lakeward.alerts.listing import OPEN, overview
    from lakeward.alerts.overview import account, remark
    from lakeward.store.alerts import STATES, AlertTable
    from lakeward.store.database import open_database
    from lakeward.store.tellings import Tellings

    now = _now_ms()
    with open_database(settings, create=False) as database:
        shown = overview(
            AlertTable(database), Tellings(database), now,
            states=STATES if arguments.all else OPEN, most=max(arguments.n, 0),
        )  # fmt: skip
    told = account(open_lake(settings.lake_dir, create=False), settings)
    said = remark(told, now)
    nothing = "no incident is open" if said or told.wrong else "nothing is wrong that is watched"
    _say(arguments, shown, table(shown, nothing))
    _warn(said)
    return 0


def _show(settings: Settings, arguments: argparse.Namespace) -> int:
    from lakeward.alerts.listing import whole
    from lakeward.store.alerts import AlertTable
    from lakeward.store.database import open_database
    from lakeward.store.tellings import Tellings

    with open_database(settings, create=False) as database:
        shown = whole(AlertTable(database), Tellings(database), arguments.id)
    lines = [f"{name:14} {_cell(value)}" for name, value in shown.items()
             if value is not None and name not in ("history", "tellings")]  # fmt: skip
    lines += ["", *(f"{one['at']}  {one['what']}{_by(one)}" for one in shown["history"])]
    for one in shown["tellings"]:
        reason = f": {one['reason']}" if one["reason"] else ""
        lines.append(f"{one['by']:8} {one['what']:9} {one['state']}{reason}")
    _say(arguments, shown, "\n".join(map(printable, lines)).replace("\n\n\n", "\n\n"))
    return 0


def _act(settings: Settings, arguments: argparse.Namespace) -> int:
    from lakeward.alerts.listing import plain
    from lakeward.alerts.taking import is_series

    if arguments.verb == "snooze" and is_series(arguments.id):
        return _snooze_series(settings, arguments)
    with _desk(settings) as (desk, acts):
        incident = {
            "ack": lambda: acts.acknowledge(arguments.id, actor=actor()),
            "resolve": lambda: acts.resolve(arguments.id, actor=actor()),
            "snooze": lambda: acts.snooze(arguments.id, arguments.minutes, actor=actor()),
        }[arguments.verb]()
        shown = plain(incident)
        until = f" until {shown['snoozed_until']}" if shown["snoozed_until"] else ""
        _say(arguments, shown, f"{incident.incident_id} is {incident.state}{until}")
        desk.step(_now_ms())
    return 0


def _snooze_series(settings: Settings, arguments: argparse.Namespace) -> int:
    from lakeward.alerts.listing import plain
    from lakeward.alerts.overview import meets
    from lakeward.alerts.rules import read
    from lakeward.interaction import iso

    pattern, name = arguments.id, printable(arguments.id)
    with _desk(settings) as (desk, acts):
        found = acts.snooze_series(pattern, arguments.minutes, actor=actor())
        ends = {one.pattern: iso(one.ends_at) for one in desk.table.snoozes(_now_ms())}
        until = ends.get(pattern)
        told = {"series": pattern, "until": until, "incidents": [plain(one) for one in found]}
        how = f"snoozed until {until}" if until else "not snoozed any more"
        _say(arguments, told, f"{name} is {how}, and {len(found)} incidents of it")
        desk.step(_now_ms())
    if until and not found and not meets(pattern, open_lake(settings.lake_dir), read(settings)):
        _warn(f"{name} meets no series that is watched: `lakeward alerts watch` shows their names")
    return 0


def _test(settings: Settings, arguments: argparse.Namespace) -> int:
    from lakeward.alerts.rules import path_of
    from lakeward.alerts.trial import told_by_each

    with _desk(settings) as (desk, _):
        found = told_by_each(desk, _now_ms())
    if not found:
        path = path_of(settings)
        raise Terminal(f"{path} has no [[tell]]: nobody is told" if path.exists() else
                       f"there is no {path}: write a [[tell]] into it, nobody is told")  # fmt: skip
    text = "\n".join(
        printable(f"{one['by']:8} {one['address']:24} {one['result']}") for one in found
    )
    _say(arguments, {"channels": found}, text)
    return 0 if all(one["told"] for one in found) else 1


def _digest(settings: Settings, arguments: argparse.Namespace) -> int:
    from lakeward.alerts.asked import digest_for
    from lakeward.alerts.notifier import Notice
    from lakeward.alerts.wording import heading, paragraphs

    now = _now_ms()
    with _desk(settings) as (desk, _):
        digest, missed = digest_for(desk, now, day=arguments.day, send=arguments.send)
    notice = Notice(notice_id="", kind="digest", at=now, digest=digest)
    text = "\n\n".join((heading(notice), *paragraphs(notice)))
    _say(arguments, msgspec.to_builtins(digest), "\n".join(map(printable, text.split("\n"))))
    for one in missed:
        _warn(one)
    return 1 if missed else 0


def _watch(settings: Settings, arguments: argparse.Namespace) -> int:
    from lakeward.alerts.overview import account, sentence, watched
    from lakeward.alerts.rules import read

    lake = open_lake(settings.lake_dir, create=False)
    if arguments.dry_run:
        from lakeward.alerts.watching import replay
        from lakeward.cli.span import moment

        now = _now_ms()
        since = now - 7 * 86_400_000
        if arguments.since:
            now_ = datetime.fromtimestamp(now / 1000, UTC)
            since = round(moment("--since", arguments.since, UTC, now_).timestamp() * 1000)
        signals = replay(lake, settings, read(settings), since_ms=since, now_ms=now)
        shown: dict[str, Any] = {"signals": [msgspec.to_builtins(one) for one in signals]}
        begun = [one for one in signals if one.begins or not one.wrong]
        text = "\n".join(printable(f"{_moment(one.at)}  {one.why}") for one in begun)
        _say(arguments, shown, text or "nothing would have been said")
        return 0
    found = watched(lake)
    rows = [("SERIES", "MINUTES", "PER HOUR", "VALUE", "USUAL", "WRONG SINCE")]
    for one in found.series:
        usual = "" if one.low is None else f"{one.low:.4g} to {one.high:.4g}"
        value = "" if one.value is None else f"{one.value:.4g}"
        rows.append((one.series, str(one.minutes), f"{one.per_hour:g}", value, usual,
                     one.wrong_since or ""))  # fmt: skip
    told = account(lake, settings)
    lines = aligned(rows) if found.series else []
    lines += [] if told.refused else [sentence(told)]
    _say(arguments, msgspec.to_builtins(found), "\n".join(lines))
    _warn(sentence(told) if told.refused else "")
    return 0


DONE: dict[str, Callable[[Settings, argparse.Namespace], int]] = {
    "list": _list, "show": _show, "ack": _act, "snooze": _act, "resolve": _act, "test": _test,
    "digest": _digest, "watch": _watch,
}  # fmt: skip


@contextmanager
def _desk(settings: Settings) -> Iterator[tuple[Desk, Acts]]:
    from lakeward.alerts.acting import Acts
    from lakeward.alerts.opening import opened_desk
    from lakeward.alerts.rules import read

    lake = open_lake(settings.lake_dir, create=False)
    with opened_desk(lake, settings, read(settings), kept=False) as desk:
        yield desk, Acts(desk.table, desk.telling, _now_ms)


def _minutes(text: str) -> float:
    units = {"m": 1, "h": 60, "d": 1440}
    if text == "0":
        return 0.0
    try:
        return float(text[:-1]) * units[text[-1:]]
    except (KeyError, ValueError):
        raise argparse.ArgumentTypeError("must be like 30m, 4h or 2d; 0 ends a snooze") from None


def _by(step: dict[str, Any]) -> str:
    return f" by {step['by']}" if step["by"] else ""


def _cell(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _moment(at_ms: int) -> str:
    from lakeward.alerts.wording import moment

    return moment(at_ms)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _say(arguments: argparse.Namespace, told: dict[str, Any], text: str) -> None:
    print(msgspec.json.encode(told).decode() if arguments.format == "json" else text)
    sys.stdout.flush()


def _warn(sentence: str) -> None:
    if sentence:
        print(printable(sentence), file=sys.stderr)
