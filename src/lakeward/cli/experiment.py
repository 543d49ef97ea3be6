"""`lakeward experiment NAME`: what an experiment shows, out of the lake or of a CSV of users."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lakeward.cli.span import moment, zone_of
from lakeward.errors import Rejected, Terminal
from lakeward.lakedir import open_lake
from lakeward.settings import Settings

if TYPE_CHECKING:  # what is behind it needs an extra that other commands do without
    from lakeward.analysis.experiment.result import Report, Terms

FORMATS = ("table", "json")


def add_arguments(command: argparse.ArgumentParser) -> None:
    """What is measured, how it is judged, and whose deeds count."""
    command.add_argument("name", metavar="NAME", help="key of the experiment; of a CSV, its title")
    command.add_argument(
        "--metric", action="append", default=[], metavar="METRIC",
        help="what decides: demo_booking, count:TYPE, sum:TYPE.FIELD, mean:TYPE.FIELD, ratio:A/B, "
        "p90:TYPE.FIELD; lower:… where less is better; may be repeated",
    )  # fmt: skip
    command.add_argument(
        "--guardrail", action="append", default=[], metavar="METRIC",
        help="what must not be hurt; may be repeated",
    )  # fmt: skip
    command.add_argument("--csv", type=Path, metavar="FILE", help="users of a file, not the lake")
    _add_terms(command)
    _add_span(command)


def _add_terms(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--split", metavar="SHARES", help="planned: 50/50, or control=90,treatment=10 (equal)"
    )
    command.add_argument("--control", metavar="ARM", help="what the others are held against")
    way = command.add_mutually_exclusive_group()
    way.add_argument(
        "--sequential", action="store_true", help="valid whenever you look (the default)"
    )
    way.add_argument("--fixed", action="store_true", help="valid once, at the planned end")
    command.add_argument("--level", type=float, default=0.95, metavar="P", help="0.95")
    command.add_argument(
        "--correction", choices=("holm", "bh", "none"), default="holm",
        help="of several metrics and arms (holm)",
    )  # fmt: skip
    command.add_argument(
        "--minimum", type=float, metavar="LIFT", help="the smallest lift that matters, such as 0.02"
    )
    command.add_argument(
        "--prior", type=float, metavar="SPREAD", help="normal prior of the lift around 0 (flat)"
    )


def _add_span(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--within", type=float, default=14, metavar="DAYS", help="after the exposure (14)"
    )
    command.add_argument(
        "--cuped", type=float, default=0, metavar="DAYS",
        help="adjust for the same metric so long before (0: not)",
    )  # fmt: skip
    command.add_argument(
        "--unit", choices=("person", "session", "visitor"), default="person",
        help="what was assigned (person)",
    )  # fmt: skip
    command.add_argument("--service", metavar="APP", help="only this app")
    command.add_argument("--since", metavar="WHEN", help="exposures from then on: a day, or 7d")
    command.add_argument("--until", metavar="WHEN", help="nothing from then on (now)")
    command.add_argument("--zone", default="UTC", metavar="ZONE", help="whose days are meant (UTC)")


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Judge and print."""
    from lakeward.cli.verdict import write

    try:
        found = _of_csv(arguments) if arguments.csv else _of_lake(settings, arguments)
    except Rejected as error:
        raise Terminal(str(error)) from None
    write(found, arguments.format, sys.stdout)
    return 0


def _of_csv(arguments: argparse.Namespace) -> Report:
    from lakeward.analysis.experiment.distributions import need
    from lakeward.analysis.experiment.report import report
    from lakeward.analysis.experiment.sheet import read

    need()
    terms = _terms(arguments)
    sheet = read(arguments.csv)
    guarded = {text.removeprefix("lower:") for text in arguments.guardrail}
    metrics = arguments.metric or [name for name in sheet.names() if name not in guarded]
    observed = [sheet.observed(text) for text in metrics]
    observed += [sheet.observed(text, "guardrail") for text in arguments.guardrail]
    return report(sheet.population(arguments.name), observed, terms)


def _of_lake(settings: Settings, arguments: argparse.Namespace) -> Report:
    from lakeward.analysis.experiment.asking import Wanted, experiment
    from lakeward.analysis.experiment.distributions import need
    from lakeward.analysis.experiment.question import Exposed
    from lakeward.lake.reading import Reading
    from lakeward.lake.scratch import scratch

    need()
    terms = _terms(arguments)
    zone, now = zone_of(arguments.zone), datetime.now(UTC)
    since = moment("--since", arguments.since, zone, now) if arguments.since else None
    until = moment("--until", arguments.until, zone, now) if arguments.until else now
    asked = Exposed(
        experiment=arguments.name, unit=arguments.unit, service=arguments.service, since=since,
        until=until, within_days=arguments.within,
    )  # fmt: skip
    wanted = [Wanted(text) for text in arguments.metric]
    wanted += [Wanted(text, "guardrail") for text in arguments.guardrail]
    lake = open_lake(settings.lake_dir, create=False)
    memory = settings.query_memory
    with scratch(lake) as spill, Reading(lake, settings, memory=memory, spill=spill) as reading:
        return experiment(reading, asked, wanted, terms, arguments.cuped)


def _terms(arguments: argparse.Namespace) -> Terms:
    from lakeward.analysis.experiment.result import Terms

    return Terms(
        control=arguments.control, split=split(arguments.split), level=arguments.level,
        sequential=not arguments.fixed, correction=arguments.correction,
        minimum=arguments.minimum, prior=arguments.prior,
    )  # fmt: skip


def split(text: str | None) -> tuple[tuple[str | None, float], ...]:
    """Planned shares: `50/50` in the order of the arms, or `control=90,treatment=10`."""
    if text is None:
        return ()
    found: list[tuple[str | None, float]] = []
    for part in text.split("," if "=" in text else "/"):
        name, equals, share = part.rpartition("=")
        try:
            found.append((name if equals else None, float(share)))
        except ValueError:
            found = []
            break
    if not found or len({name for name, _ in found}) < len(found) * ("=" in text):
        raise Terminal(f"--split: {text[:60]!r} must be like 50/50 or control=90,treatment=10")
    return tuple(found)
