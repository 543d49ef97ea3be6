"""`lakeward people` as a shell runs it, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from databases import Store
from lakeward.cli import main
from lakeward.store.entrance import Entrance, Opened
from lakeward.store.password import Passwords

EMAIL, PASSWORD = "ada@example.com", "the quick brown lake"
LINK = re.compile(r"http://127\.0\.0\.1:8000/\?welcome=([\w-]{43})")


def people(
    store: Store, *arguments: str, typed: str = "", **env: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "lakeward.cli", "people", *arguments],
        env=os.environ | store.env | env, cwd=store.lake.parent, input=typed,
        capture_output=True, text=True, encoding="utf-8", timeout=120,
    )  # fmt: skip


def answer(store: Store, *arguments: str, typed: str = "") -> Any:
    done = people(store, *arguments, "--format", "json", typed=typed)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return json.loads(done.stdout)


def refusal(store: Store, *arguments: str, typed: str = "") -> str:
    done = people(store, *arguments, typed=typed)
    assert (done.returncode, done.stdout) == (2, ""), done
    [line] = done.stderr.splitlines()
    return line.removeprefix("lakeward: ")


def gets_in(store: Store, password: str) -> bool:
    entrance = Entrance(store.open(), Passwords(), login_seconds=60)
    return isinstance(entrance.log_in(EMAIL, password, None), Opened)


def test_a_person_is_added_linked_reset_moved_and_shut_out(store: Store) -> None:
    added = people(store, "add", EMAIL)
    assert added.returncode == 0, added.stderr
    link = LINK.fullmatch(added.stdout.strip())
    assert link is not None  # alone on stdout, for `LINK=$(…)`
    assert "is admin. The link is good once, within 24 hours" in added.stderr
    entrance = Entrance(store.open(), Passwords(), login_seconds=60)
    assert isinstance(entrance.welcome(link[1], EMAIL, PASSWORD, None), Opened)

    assert LINK.fullmatch(answer(store, "link", EMAIL)["link"])
    assert gets_in(store, PASSWORD)
    reset = answer(store, "reset", EMAIL)
    assert not gets_in(store, PASSWORD)
    ticket = LINK.fullmatch(reset["link"])
    assert ticket is not None
    assert isinstance(entrance.welcome(ticket[1], EMAIL, PASSWORD, None), Opened)
    typed = answer(store, "reset", EMAIL, "--password-stdin", typed="a slow green river\n")
    assert "link" not in typed
    assert gets_in(store, "a slow green river")

    moved = answer(store, "role", typed["person_id"], "partner", "--partner", "p9")
    assert (moved["role"], moved["partner_id"]) == ("partner", "p9")
    assert answer(store, "disable", EMAIL)["disabled_at"] is not None
    assert not gets_in(store, "a slow green river")
    assert answer(store, "list")["people"] == []
    [row] = answer(store, "list", "--all")["people"]
    assert row["email"] == EMAIL
    assert "password" not in row
    assert "is disabled" in refusal(store, "link", EMAIL)
    answer(store, "enable", EMAIL)
    assert gets_in(store, "a slow green river")
    assert "partner  p9" in people(store, "list").stdout

    trail = answer(store, "audit", "-n", "500")["audit"]
    made = [
        entry["action"] for entry in trail if entry["actor"] not in (row["person_id"], "unknown")
    ]
    assert made == [
        "person.add", "link.make", "link.make", "person.password", "link.make", "person.password",
        "person.role", "person.disable", "person.enable",
    ]  # fmt: skip
    shown = people(store, "audit").stdout
    assert "login.open" in shown
    assert EMAIL not in shown


def test_the_audits_of_keys_and_people_do_not_mix(store: Store) -> None:
    people(store, "add", EMAIL)
    subprocess.run(
        [sys.executable, "-m", "lakeward.cli", "keys", "create", "--kind", "read", "--name", "x"],
        env=os.environ | store.env, cwd=store.lake.parent, capture_output=True, check=True,
        timeout=120,
    )  # fmt: skip
    actions = {entry["action"] for entry in answer(store, "audit")["audit"]}
    assert actions == {"person.add", "link.make"}


REFUSED = (
    (("add", "nonsense"), "", "an e-mail address is like ada@example.com"),
    (("add", "b@x.org", "--role", "partner"), "", "a partner needs the partner_id"),
    (("add", "b@x.org", "--partner", "p9"), "", "an admin sees everything"),
    (("add", "b@x.org", "--password-stdin"), "short\n", "a password has 12 to 128 characters"),
    (("add", EMAIL), "", "there is a person with this e-mail address already"),
    (("link", "eve@x.org"), "", "there is no such person"),
    (("role", EMAIL, "partner"), "", "a partner needs the partner_id"),
    (("reset", EMAIL, "--password-stdin"), EMAIL, "must not be the e-mail address"),
)


def test_what_will_not_do_is_one_sentence_and_changes_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    people(store, "add", EMAIL, "--password-stdin", typed=PASSWORD)
    before = answer(store, "list", "--all")
    first, typed, said = REFUSED[0]
    assert said in refusal(store, *first, typed=typed)
    for name, value in store.env.items():  # the others here: a shell's process is tried above
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(store.lake.parent)
    for arguments, typed, said in REFUSED:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        assert main(["people", *arguments]) == 2, arguments
        told = capsys.readouterr()
        assert told.out == ""
        [line] = told.err.splitlines()
        assert said in line.removeprefix("lakeward: "), arguments
        assert gets_in(store, PASSWORD), arguments
    assert answer(store, "list", "--all") == before


def test_links_begin_where_people_reach_the_server(tmp_path: Any) -> None:
    store = Store(tmp_path, "")
    people(store, "add", EMAIL)
    for env, begin in (
        ({"LAKEWARD_PUBLIC_URL": "https://data.example.com/x/"}, "https://data.example.com/x/?"),
        ({"LAKEWARD_PATH_PREFIX": "/data"}, "http://127.0.0.1:8000/data/?"),
        ({"LAKEWARD_PATHS": "page=/board"}, "http://127.0.0.1:8000/board/?"),
    ):
        assert people(store, "link", EMAIL, **env).stdout.startswith(f"{begin}welcome=")
    store.close()
