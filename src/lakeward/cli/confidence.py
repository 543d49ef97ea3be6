"""`lakeward confidence list|show|round`: partners' scores, and what time brings.

`round` does at once what the keeper does by itself: invites and reminds people, scores partners,
lets the lake hear of it. Nothing here shows who said what.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import msgspec

from lakeward.cli.command import add_general_arguments
from lakeward.cli.tail import printable
from lakeward.errors import SettingError, Terminal
from lakeward.interaction import iso
from lakeward.settings import Settings

if TYPE_CHECKING:  # behind an extra
    from lakeward.confidence.round import Done
    from lakeward.store.scores import Scored


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Three verbs."""
    verbs = command.add_subparsers(dest="verb", required=True, metavar="VERB")
    listed = verbs.add_parser("list", help="partners by the lower bound of their score")
    show = verbs.add_parser("show", help="a partner's score, and what it is made of")
    show.add_argument("partner", metavar="PARTNER_ID")
    round_ = verbs.add_parser("round", help="invite, remind, score and tell now")
    for verb in (listed, show, round_):
        add_general_arguments(verb, below=True)


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Do what the verb says."""
    json = arguments.format == "json"
    if arguments.verb == "round":
        done = rounded(settings)
        said = msgspec.structs.asdict(done)
        print(_json(said) if json else ", ".join(f"{n} {name}" for name, n in said.items()))
        return 0
    from lakeward.store.database import open_database
    from lakeward.store.partners import Partners
    from lakeward.store.scores import Scores

    with open_database(settings, create=False) as database:
        if arguments.verb == "list":
            names = {one.partner_id: one.name for one in Partners(database).all()}
            return _listed(Scores(database).latest(), names, json)
        found = Scores(database).last(Partners(database).get(arguments.partner).partner_id)
        if found is None:
            raise Terminal("nothing was said of this partner yet, so there is no score")
        print(_json(_plain(found)) if json else "\n".join(_shown(found)))
        return 0


def rounded(settings: Settings) -> Done:
    """One round, in this process."""
    from lakeward.collector import Collector
    from lakeward.confidence.desk import Desk
    from lakeward.confidence.round import once
    from lakeward.confidence.sending import TEMPLATES
    from lakeward.messaging import Messages
    from lakeward.messaging.carriers import configured
    from lakeward.messaging.message import Channel
    from lakeward.store.database import open_database

    with open_database(settings) as database, Collector(settings) as collector:
        desk = Desk(database, settings)
        channels: list[Channel] = []
        try:
            carried = configured(settings, {})
            channels += [name for name, one in carried.items() if not isinstance(one, str)]
        except SettingError:  # said by whoever sends; scores need no messages
            return once(desk, collector, None, ())
        with Messages(settings, collector, behind=TEMPLATES) as messages:
            done = once(desk, collector, messages, channels)
            messages.drain()
        return done


def _listed(latest: dict[str, Scored], names: dict[str, str], json: bool) -> int:
    rows = [latest[which] for which in names if which in latest]
    rows.sort(key=lambda one: (one.provisional, -one.low, one.partner_id))
    if json:
        print(_json({"partners": [_plain(one) | {"score": None} for one in rows]}))
        return 0
    for place, one in enumerate(rows, 1):
        told = "provisional" if one.provisional else f"{place:>3}."
        name = printable(names[one.partner_id])[:40]
        print(f"{told:>11}  {one.value:5.1f}  {one.low:5.1f} to {one.high:5.1f}  {name}")
    if waiting := [which for which in names if which not in latest]:
        print(f"{len(waiting)} without a score yet")
    return 0


def _shown(found: Scored) -> list[str]:
    said = found.score
    lines = [
        f"{found.value:.1f} of 100 (90 %: {found.low:.1f} to {found.high:.1f}), of {iso(found.at)}"
    ]
    lines += [f"provisional: {why}" for why in said["why_provisional"]]
    for part in said["sources"]:
        lines.append(
            f"{part['source']:>12}  {part['points']:5.1f} of evidence, {part['prior_points']:5.1f} "
            f"of the prior; {part['respondents_n']} witnesses"
        )
    return lines + [f"flag: {printable(flag['sentence'])}" for flag in said["flags"]]


def _plain(one: Scored) -> dict[str, Any]:
    return msgspec.structs.asdict(one) | {"at": iso(one.at), "provisional": bool(one.provisional)}


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
