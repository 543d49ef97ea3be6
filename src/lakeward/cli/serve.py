"""`lakeward serve`: keeper, web workers and dashboard in one command, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from importlib.util import find_spec
from types import FrameType

from lakeward.cli.keys import actor
from lakeward.cli.people import welcome_address
from lakeward.cli.run import HANDOVER_SECONDS, ask_for_handover, tasks
from lakeward.errors import Terminal
from lakeward.keeper import Keeper
from lakeward.lakedir import open_lake
from lakeward.ringdir import ring_folder
from lakeward.rollout import ShareFile
from lakeward.settings import Settings


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Where to listen, and with how many workers."""
    command.add_argument("--host", default="127.0.0.1", help="address to listen on")
    command.add_argument("--port", type=_port, default=8000, help="port; 0 takes a free one")
    command.add_argument("--workers", type=_workers, default=1, help="web processes (1 to 64)")


def _has_key_or_person(settings: Settings) -> bool:
    from lakeward.store.database import open_database
    from lakeward.store.keys import load_keyring
    from lakeward.store.people import has_people

    with open_database(settings) as database, database.read() as connection:
        return bool(load_keyring(database)) or has_people(connection)


def _first_link(settings: Settings, reached: str) -> str | None:
    """A link that makes its user the admin; None when there is one, or no page to use it on."""
    from lakeward.server.app import places
    from lakeward.store.database import open_database
    from lakeward.store.link import Links

    if not {"page", "welcome"} <= set(places(settings)):
        return None
    with open_database(settings) as database:
        ticket = Links(database).first(actor=actor())
    return None if ticket is None else welcome_address(settings, ticket, reached)


def _port(text: str) -> int:
    return _number(text, 0, 65_535)


def _workers(text: str) -> int:
    return _number(text, 1, 64)


def _number(text: str, least: int, most: int) -> int:
    if not text.isdecimal() or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"must be a number from {least} to {most}")
    return int(text)


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Serve in the foreground."""
    try:
        from lakeward.server.app import places
        from lakeward.server.guard import is_loopback
        from lakeward.server.oidc import check_provider
        from lakeward.server.shipped import check
        from lakeward.server.supervisor import Workers, listen

        if find_spec("uvicorn") is None:  # what the workers load, and this process never
            raise ModuleNotFoundError(name="uvicorn")
    except ImportError as error:
        missing = f"lakeward serve needs {error.name}: pip install 'lakeward[server]'"
        raise Terminal(missing) from None
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    places(settings)
    check_provider(settings)
    check(settings)
    lake = open_lake(settings.lake_dir)
    loopback = is_loopback(arguments.host)
    if not loopback and not _has_key_or_person(settings):
        raise Terminal(
            f"{arguments.host} can be reached by others and there is no key yet: make one with "
            "`lakeward keys create --kind write --name app`, or an admin with `lakeward people "
            "add`, or listen on 127.0.0.1"
        )
    ring_dir = ring_folder(lake, settings.ring_dir)
    listener = listen(arguments.host, arguments.port)
    environ = dict(os.environ)
    environ["LAKEWARD_LAKE_DIR"] = str(lake.root)
    workers = Workers(
        arguments.workers, listener, environ=environ, loopback=loopback,
        hosts=settings.allowed_hosts,
    )  # fmt: skip
    ask_for_handover(lake, ring_dir)
    keeper = Keeper(
        lake, ring_dir, mode="serve", segment_bytes=settings.segment_bytes,
        tasks=[*tasks(lake, ring_dir, settings), workers],
        shares=ShareFile(os.environ, settings.source.env_file),
    )  # fmt: skip

    def stop(number: int, frame: FrameType | None) -> None:
        workers.stop()
        keeper.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    crowd = f"{arguments.workers} worker{'s' * (arguments.workers > 1)}"
    print(
        f"serving http://{shown}:{port}/ from {lake.root} with {crowd}; Ctrl-C stops",
        file=sys.stderr, flush=True,
    )  # fmt: skip
    if link := _first_link(settings, f"http://{shown}:{port}"):
        print(f"make yourself the admin (once, within 24 h): {link}", file=sys.stderr, flush=True)
    with listener:
        keeper.run(wait=HANDOVER_SECONDS)
    return 1 if workers.failed else 0
