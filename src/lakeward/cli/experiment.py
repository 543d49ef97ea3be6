"""`lakeward experiment NAME`: what an experiment shows, out of the lake or of a CSV of users."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lakeward.cli.asking import add_events, add_unit, events, print_sql
from lakeward.cli.engine import asked_of
from lakeward.cli.plan import fill, split_of
from lakeward.errors import Rejected, Terminal
from lakeward.settings import Settings

if TYPE_CHECKING:  # what is behind it needs an extra that other commands do without
    from lakeward.analysis.experiment.asking import Wanted
    from lakeward.analysis.experiment.question import Exposed
    from lakeward.analysis.experiment.result import Report, Terms

FORMATS = ("table", "json")


def add_arguments(command: argparse.ArgumentParser) -> None:
    """What is measured, how it is judged, and whose deeds count."""
    command.add_argument("name", metavar="NAME", help="key of the experiment; of a CSV, its title")
    command.add_argument(
        "--metric", action="append", default=[], metavar="METRIC",
        help="what decides: STEP, count:STEP, sum:FIELD:STEP, mean:FIELD:STEP, ratio:A/B, "
        "p90:FIELD:STEP; lower:… where less is better; may be repeated",
    )  # fmt: skip
    command.add_argument(
        "--guardrail", action="append", default=[], metavar="METRIC",
        help="what must not be hurt; may be repeated",
    )  # fmt: skip
    command.add_argument("--csv", type=Path, metavar="FILE", help="users of a file, not the lake")
    _add_terms(command)
    _add_time(command)


def _add_terms(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--split", metavar="SHARES", help="planned: 50/50, or control=90,treatment=10 (the flag's)"
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


def _add_time(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--within", type=float, metavar="DAYS",
        help="how long after its exposure a unit's deeds count (as the flag plans, else 14)",
    )  # fmt: skip
    command.add_argument(
        "--cuped", type=float, default=0, metavar="DAYS",
        help="adjust for the same metric so long before (0: not)",
    )  # fmt: skip
    add_unit(command)
    command.set_defaults(unit=None)
    add_events(command)


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Judge and print."""
    from lakeward.analysis.experiment.distributions import need
    from lakeward.cli.verdict import write

    try:
        if arguments.sql:
            return _print_sql(settings, arguments)
        need()
        found = _of_csv(arguments) if arguments.csv else _of_lake(settings, arguments)
    except Rejected as error:
        raise Terminal(str(error)) from None
    write(found, arguments.format, sys.stdout)
    return 0


def _of_csv(arguments: argparse.Namespace) -> Report:
    from lakeward.analysis.experiment.report import report
    from lakeward.analysis.experiment.sheet import read

    terms = _terms(arguments)
    sheet = read(arguments.csv)
    guarded = {text.removeprefix("lower:") for text in arguments.guardrail}
    metrics = arguments.metric or [name for name in sheet.names() if name not in guarded]
    observed = [sheet.observed(text) for text in metrics]
    observed += [sheet.observed(text, "guardrail") for text in arguments.guardrail]
    return report(sheet.population(arguments.name), observed, terms)


def _of_lake(settings: Settings, arguments: argparse.Namespace) -> Report:
    from lakeward.analysis.experiment.asking import experiment

    notes = fill(settings, arguments)
    terms = _terms(arguments)
    of, wanted = _asked(settings, arguments)
    with asked_of(settings, arguments.engine) as put:
        found = experiment(put, of, wanted, terms, arguments.cuped)
    return msgspec.structs.replace(found, notes=[*found.notes, *notes])


def _asked(settings: Settings, arguments: argparse.Namespace) -> tuple[Exposed, list[Wanted]]:
    from lakeward.analysis.experiment.asking import Wanted
    from lakeward.analysis.experiment.metric import metric
    from lakeward.analysis.experiment.question import Exposed

    # One moment for all questions: what comes in between would be in some of them.
    parameters = {"until": datetime.now(UTC)} | events(settings, arguments)
    of = Exposed(
        **parameters,
        experiment=arguments.name,
        unit=arguments.unit or "person",
        within_days=14 if arguments.within is None else arguments.within,
    )
    wanted = [Wanted(metric(text)) for text in arguments.metric]
    wanted += [Wanted(metric(text), "guardrail") for text in arguments.guardrail]
    return of, wanted


def _print_sql(settings: Settings, arguments: argparse.Namespace) -> int:
    from lakeward.analysis.experiment.asking import questions

    fill(settings, arguments)
    of, wanted = _asked(settings, arguments)
    asked = questions(of, wanted, arguments.cuped)
    for question in (asked.units, *asked.measured):
        print_sql(settings, question, arguments.engine)
    return 0


def _terms(arguments: argparse.Namespace) -> Terms:
    from lakeward.analysis.experiment.result import Terms

    return Terms(
        control=arguments.control, split=split_of(arguments.split), level=arguments.level,
        sequential=not arguments.fixed, correction=arguments.correction,
        minimum=arguments.minimum, prior=arguments.prior,
    )  # fmt: skip
