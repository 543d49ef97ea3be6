"""Every command that README and docs show is typed by a newcomer, in the page's order, and prints
what the page says. What cannot be run here, or shows another lake, is listed with the reason; a
list that names what no page shows any more fails."""

from __future__ import annotations

import gzip
import json
import os
import pwd
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from conftest import Lake
from dashboard import Dashboard, dashboard
from documented import FENCE, Command, Said, Typist, commands, differs
from lakeward.demo.experiment import FLAGS
from stacked import account
from test_aws_commands import answered
from test_import_original import Original

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="the pages use curl")
COMMANDS = [one for page in PAGES for one in commands(page, str(page.relative_to(ROOT)))]

NOT_TYPED = {
    "pip install": "`make release` installs into empty environments",
    "make demo": "test_demo_end_to_end.py runs what it runs",
    "make test": "these are the tests",
    "make release": "takes minutes; what it builds is looked at by test_package.py",
    "cd web/sdk && npm pack": "test_sdk_package.py",
    "docker compose": "needs Docker; test_deploy.py starts what the files say",
    "gunicorn": "goes on until it is stopped; test_capture_served.py",
    "granian": "goes on until it is stopped; test_capture_served.py",
    "uvicorn app:app --workers": "goes on until it is stopped; test_capture_served.py",
    "DEMO_STAFF=letmein uvicorn": "goes on until it is stopped; test_demo_platform.py",
    "lakeward run": "goes on until it is stopped; test_cli.py",
    "lakeward serve": "goes on until it is stopped; the pages' own server is one, test_server.py",
    "lakeward demo": "its lake is the one that the others ask; test_demo_end_to_end.py",
    "lakeward funnel partner_match demo_booking --engine spark": "test_engines.py",
    "lakeward alerts show": "a demo has no incident; test_alerts_cli.py",
    "lakeward alerts ack": "a demo has no incident; test_alerts_cli.py",
    "lakeward alerts snooze 6c645cadb6": "a demo has no incident; test_alerts_cli.py",
    "lakeward alerts resolve": "a demo has no incident; test_alerts_cli.py",
    "SPARK_CONF_DIR=": "needs a cluster; test_several_machines.py",
    "lakeward aws backfill": "needs a bucket; test_aws_backfill.py",
    "lakeward aws deploy storage": "typed below, on an emulator",
    'lakeward query "SELECT count(*) FROM range(': "takes a minute; test_query_jail.py",
    "curl -si -X PATCH": "its address is of the answer before; test_uploads_tus.py",
}
"""How a command begins, and why it is not typed here."""

OTHERS = {
    "lakeward ai reprice": "what it completes depends on the turns",
    "lakeward doctor | grep": "of a file with a mistake",
    "lakeward export --ai": "what is left out depends on the turns",
    "lakeward tail -n 2": "of another moment",
    "lakeward summary": "of an app without a page",
    "lakeward ai cost --by model --per": "of several models",
    "lakeward confidence list": "of partners with fewer answers",
    "lakeward coverage --strict": "of a flow with a mistake",
    "lakeward compact": "of a lake in which some stood twice",
    "lakeward rollup": "of a larger lake",
    "lakeward ai threads --conversation k-2-13": "of a conversation that the lake has not",
    "README.md: lakeward doctor": "of the quickstart, where a health check was left out",
    "docs/operations.md: lakeward doctor": "of lakes after accidents",
    "lakeward outbox list": "of an outbox in which one waits",
}
"""Commands whose output depends on what is in the lake: they are typed and must succeed."""


READS = re.compile(r"curl|lakeward (tail|get|query|doctor) ?")
PATIENCE = 20.0
"""Seconds: a newcomer types more slowly than a keeper starts, or a server hears of a new key."""


def begins(command: Command, many: dict[str, str]) -> str:
    """The entry that it begins with, or none."""
    whole = f"{command.page}: {command.text}"
    return next(
        (each for each in many if command.text.startswith(each) or whole.startswith(each)), ""
    )


def wrong(command: Command, said: Said) -> str:
    """What a newcomer would complain of."""
    refusals = [line for line in command.shown if line.startswith("lakeward: ")]
    fails = bool(refusals) and len(refusals) == len(command.shown)
    missing = [] if begins(command, OTHERS) else differs(command, said)
    if command.word == "curl" and re.search(r"^HTTP/1.1 [45]|^\{\"code\"", said.text, re.MULTILINE):
        missing.append("an answer that is none of an error")
    if (said.code != 0) == fails and not missing:
        return ""
    return (
        f"{command.page}: {command.text}\n  exit {said.code}, not printed: {missing}\n{said.text}"
    )


def typed(typist: Typist, page: str) -> list[str]:
    """Type a page's commands; the complaints."""
    found = []
    me = pwd.getpwuid(os.getuid()).pw_name
    for command in COMMANDS:
        shown = tuple(re.sub(r"\bada  ", f"{me}  ", line) for line in command.shown)
        command = msgspec.structs.replace(command, shown=shown)
        if command.page == page and not begins(command, NOT_TYPED):
            said = typist.types(command)
            deadline = time.monotonic() + PATIENCE * bool(READS.match(command.text))
            while wrong(command, said) and time.monotonic() < deadline:
                time.sleep(0.2)
                said = typist.types(command)
            found += [text] if (text := wrong(command, said)) else []
    return found


@pytest.fixture
def newcomer(lake: Lake, tmp_path: Path) -> Iterator[Typist]:
    """An empty folder in which there is no lake yet."""
    environ = lake.process_env()
    del environ["LAKEWARD_LAKE_DIR"]
    with Typist(tmp_path, environ) as typist:
        yield typist


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A server on a copy of the demo's lake that no other test uses: keys and flags change it."""
    with dashboard(tmp_path_factory) as running:
        yield running


@needs_curl
@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md"])
def test_the_first_steps_do_what_the_page_says(newcomer: Typist, page: str) -> None:
    assert typed(newcomer, page) == []


def test_the_page_of_imports_does_what_it_says(newcomer: Typist) -> None:
    given(newcomer.folder)
    assert typed(newcomer, "docs/import.md") == []


@needs_curl
def test_every_other_page_does_what_it_says(filled: Dashboard, tmp_path: Path) -> None:
    complaints = []
    pages = {one.page for one in COMMANDS} - {*FRESH, *OPEN}
    for page in (*OPEN, *sorted(pages)):
        folder = tmp_path / page.replace("/", "-")
        folder.mkdir()
        given(folder)
        environ = {**filled.lake.process_env()}
        with Typist(folder, environ, filled.server.url) as typist:
            if page == "docs/deploy.md":  # its own key is made in a container
                made = typist.ours(["keys", "create", "--kind", "write", "--name", page])
                typist.environ["KEY"] = made.text.split()[0]
            complaints += typed(typist, page)
    assert complaints == [], "\n".join(complaints)


FRESH = ("README.md", "docs/quickstart.md", "docs/import.md")
OPEN = ("docs/server.md", "docs/uploads.md")
"""Typed first, on a server that has no key yet."""


def test_the_storage_stack_is_deployed_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = account(tmp_path)
    [command] = [one for one in COMMANDS if one.text.startswith("lakeward aws deploy")]
    answered(monkeypatch, "y\n")
    environ = {**aws.environ, "AWS_REGION": "eu-central-1"}
    with Typist(tmp_path, environ) as typist:
        said = typist.types(command)
    said = Said(said.code, said.text.replace("[y/N] ", "[y/N] y\n"))
    assert wrong(command, said) == ""


def given(folder: Path) -> None:
    """Files that the pages speak of as the reader's own."""
    shutil.copy(FLAGS, folder / "flags.json")
    hours = [f"2026-11-{day:02}T{hour:02}:00:00Z,{400 + hour}" for day in range(1, 21)
             for hour in range(24)]  # fmt: skip
    (folder / "requests.csv").write_text("\n".join(["timestamp,value", *hours]) + "\n")
    lines = (
        '203.0.113.9 - - [17/May/2015:10:05:03 +0000] "GET /partners HTTP/1.1" 200 12',
        '203.0.113.9 - ann [17/May/2015:10:05:43 +0000] "POST /login?token=s3 HTTP/1.1" 302 -',
        '203.0.113.9 - ann [17/May/2015:10:05:43 +0000] "POST /login?token=s3 HTTP/1.1" 302 -',
        "no line of a log",
    )
    (folder / "access.log").write_text("\n".join(lines) + "\n")
    (folder / "access.log.gz").write_bytes(gzip.compress((folder / "access.log").read_bytes()))
    event = {"interaction_type": "click", "timestamp": "2025-08-14T16:11:28.677Z", "path": "/"}
    (folder / "events.jsonl").write_text(f"{json.dumps(event)}\n" * 2)
    Original(folder / "old-platform/data-lake").put(14)
    (folder / "templates/messages").mkdir(parents=True)
    (folder / "templates/messages/verification.sms.txt").write_text("Your code is {{ code }}.\n")
    (folder / "roofs.mp4").write_bytes(b"\0" * 100)
    rows = [f"u{n},{'control' if n % 2 else 'new'},{n % 5},{n % 7}" for n in range(400)]
    (folder / "users.csv").write_text("\n".join(["user,arm,orders,complained", *rows]) + "\n")


def test_what_is_not_typed_or_not_compared_is_still_shown() -> None:
    for many in (NOT_TYPED, OTHERS):
        assert not [each for each in many if not any(begins(one, {each: ""}) for one in COMMANDS)]
    named = re.findall(r"test_\w+\.py", " ".join(NOT_TYPED.values()))
    assert named
    assert not [name for name in named if not (ROOT / "tests" / name).exists()]


def test_commands_stand_in_blocks_of_the_console_behind_a_prompt() -> None:
    """Or this file would not see them."""
    tools = re.compile(r"^(lakeward|curl|pip|npm|uvicorn|docker) |^make [a-z]+$", re.MULTILINE)
    for page in PAGES:
        for block in FENCE.finditer(page.read_text(encoding="utf-8")):
            if block[1] in ("", "console", "sh", "bash", "shell"):
                assert not (found := tools.search(block[2])), f"{page.name}: {found and found[0]}"


def test_a_difference_is_seen() -> None:
    shown = ("a table  of_two", "───────  ──────", "x              1", "(1 row)", "the sum holds")
    command = Command("x.md", "lakeward x", shown)
    printed = "table of_two  more a\n─ ─ ─\n(7 rows)\nthe sum holds\n"
    assert wrong(command, Said(0, printed)) == ""
    assert "exit 1" in wrong(command, Said(1, printed))
    assert "the sum holds" in wrong(command, Said(0, printed.replace("holds", "holds NOT")))
    assert "of_two" in wrong(command, Said(0, printed.replace("of_two", "of_three")))
    said = Said(0, '{"a": 1}')
    assert wrong(Command("x.md", "lakeward x", ('{"a":2,"b":…}',)), said)
    assert not wrong(Command("x.md", "lakeward x", ('{"a":2}',)), said)
