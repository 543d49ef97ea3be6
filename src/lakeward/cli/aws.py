"""`lakeward aws template|plan|deploy|status|destroy|bucket|table|env|backfill`: a lake on AWS.

Nothing is changed before it was shown, and data are never deleted. Whoever is not at a terminal
says yes with `--yes`. No output holds a secret.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from lakeward.cli.command import add_general_arguments
from lakeward.errors import Terminal
from lakeward.settings import Settings

if TYPE_CHECKING:  # the room behind it needs an extra that other commands do without
    from lakeward.aws.deployment import Environment

TEMPLATES = ("storage", "ingest", "query", "processing", "monitoring")


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Nine verbs."""
    verbs = command.add_subparsers(dest="verb", required=True, metavar="VERB")
    template = verbs.add_parser("template", help="print a CloudFormation template")
    template.add_argument("name", metavar="NAME", choices=TEMPLATES, help=", ".join(TEMPLATES))
    plan = verbs.add_parser("plan", help="show what a deployment would do, and do nothing")
    deploy = verbs.add_parser("deploy", help="show what would be done, ask, do it and wait")
    for verb in (plan, deploy):
        _add_stacks(verb)
        verb.add_argument(
            "--set", metavar="NAME=VALUE", action="append", default=[], dest="chosen",
            help="value of a template's parameter; may be repeated",
        )  # fmt: skip
    status = verbs.add_parser("status", help="show all stacks and their outputs")
    destroy = verbs.add_parser("destroy", help="take stacks away; data stay")
    _add_stacks(destroy)
    destroy.add_argument(
        "--bucket", metavar="NAME", help="the data lake's bucket, to take storage away"
    )
    for verb in (deploy, destroy):
        verb.add_argument("--yes", action="store_true", help="do not ask")
    bucket = verbs.add_parser("bucket", help="make DATA_LAKE_BUCKET without CloudFormation")
    table = verbs.add_parser("table", help="make INTERACTIONS_TABLE without CloudFormation")
    env = verbs.add_parser("env", help="print the settings of what is deployed: .env.production")
    backfill = verbs.add_parser(
        "backfill", help="put what bucket and table lack, or bring back what they have; compare all"
    )
    _add_backfill(backfill)
    for verb in (plan, deploy, status, destroy, env):
        verb.add_argument("--environment", metavar="NAME", help="whose stacks (LAKEWARD_ENV)")
    for verb in (plan, deploy, status, destroy, bucket, table, env, backfill):
        verb.add_argument("--account", metavar="ID", default="", help="refuse any other account")
    for verb in (template, plan, deploy, status, destroy, bucket, table, env, backfill):
        add_general_arguments(verb, below=True)


def _add_stacks(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("stacks", metavar="STACK", nargs="+", choices=TEMPLATES, help="which stacks")


def _add_backfill(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "places", metavar="PLACE", nargs="*",
        help="s3, dynamodb; both when none is named, as far as they are switched on",
    )  # fmt: skip
    verb.add_argument(
        "--from", dest="source", choices=("s3", "dynamodb"),
        help="the way back: bring what is there into this lake",
    )  # fmt: skip
    verb.add_argument(
        "--rate", metavar="N", type=float, default=0.0,
        help="compare at most so many interactions a second with DynamoDB",
    )  # fmt: skip
    verb.add_argument(
        "--replace", action="store_true", help="put ours where DynamoDB has another under an id"
    )
    verb.add_argument(
        "--erased-everywhere", action="store_true",
        help="every erase was run on every host: put also what an object lacks that one rewrote",
    )  # fmt: skip


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Do what the verb says."""
    from lakeward.aws import stacks

    json = arguments.format == "json"
    if arguments.verb == "template":
        text = stacks.stack_of(arguments.name).template()
        put({"template": text} if json else text.rstrip("\n"))
        return 0
    if arguments.verb in ("bucket", "table"):
        return _make(settings, arguments, json)
    if arguments.verb == "backfill":
        return _backfill(settings, arguments)
    from lakeward.aws.deployment import Environment
    from lakeward.aws.formation import formation, require_account
    from lakeward.cli import stacking

    name = stacks.checked(arguments.environment or settings.environment)
    account = require_account(settings, arguments.account)
    with formation(settings) as connection:
        environment = Environment(connection, settings, name)
        where = f"account {account}, {settings.aws_region}, environment {name}"
        match arguments.verb:
            case "plan":
                return stacking.plan(environment, arguments, where, put)
            case "deploy":
                return stacking.deploy(environment, arguments, where, put, agreed)
            case "destroy":
                return stacking.destroy(environment, arguments, where, put, typed)
            case "status":
                return stacking.status(environment, json, where, put)
            case _:
                return _env(environment, settings, json)


def _make(settings: Settings, arguments: argparse.Namespace, json: bool) -> int:
    from lakeward.aws.formation import require_account

    require_account(settings, arguments.account)
    if arguments.verb == "table":
        from lakeward.aws.table import make_table

        became = make_table(settings)
        row = {"table": settings.interactions_table, "became": became}
        put(row if json else f"table {settings.interactions_table}: {became}")
        return 0
    from lakeward.aws.bucket import create_bucket

    done = create_bucket(settings)
    if json:
        put({"done": [msgspec.structs.asdict(one) for one in done]})
    else:
        put("\n".join(f"{one.bucket}  {one.what}: {one.became}" for one in done))
    return 1 if any(one.became.startswith("left") for one in done) else 0


def _backfill(settings: Settings, arguments: argparse.Namespace) -> int:
    from lakeward.aws.formation import require_account
    from lakeward.cli.backfilling import backfill

    if arguments.account:
        require_account(settings, arguments.account)
    return backfill(settings, arguments)


def _env(environment: Environment, settings: Settings, json: bool) -> int:
    from lakeward.aws import dotenv

    outputs = environment.outputs()
    if not outputs:
        raise Terminal(
            f"nothing is deployed for the environment {environment.name} in "
            f"{settings.aws_region}: `lakeward aws deploy storage` comes first"
        )
    text = dotenv.rendered(outputs, environment.name, settings.aws_region, settings.aws_endpoint)
    put({"env": text} if json else text.rstrip("\n"))
    return 0


def put(shown: str | Mapping[str, object]) -> None:
    """One answer on stdout."""
    print(shown if isinstance(shown, str) else msgspec.json.encode(shown).decode())


def agreed(question: str, yes: bool) -> bool:
    """Whether the person at the terminal agrees; without one, `--yes` must have been given."""
    return yes or typed(f"{question} [y/N] ", "--yes").lower() in ("y", "yes")


def typed(prompt: str, option: str) -> str:
    """What is typed at the terminal."""
    if not sys.stdin.isatty():
        raise Terminal(f"nobody is here to be asked: add {option} when it is what you want")
    print(prompt, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()
