"""`lakeward keys` as a shell runs it, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import json
import os
import pwd
import re
import subprocess
import sys
from typing import Any

import pytest

from databases import Store
from lakeward.store.allowance import BROWSER_TYPES
from lakeward.store.keys import Keys, load_keyring
from lakeward.store.token import Kind, is_token

Done = subprocess.CompletedProcess[str]
ME = pwd.getpwuid(os.getuid()).pw_name
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def keys(store: Store, *arguments: str, **environ: str) -> Done:
    """Run one verb to its end."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "lakeward.cli", "keys", *arguments],
        env=os.environ | store.env | environ, cwd=store.lake.parent, capture_output=True,
        text=True, encoding="utf-8", timeout=120,
    )  # fmt: skip


def answer(store: Store, *arguments: str) -> Any:
    done = keys(store, *arguments, "--format", "json")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return json.loads(done.stdout)


def made(store: Store, name: str, kind: Kind = "write", **more: Any) -> str:
    """The secret of a key that is there when the command comes."""
    return Keys(store.open()).create(kind, name, actor=ME, **more)[1]


def refusal(done: Done) -> str:
    """The one sentence of a command that exits with 2."""
    assert (done.returncode, done.stdout) == (2, ""), done
    [line] = done.stderr.splitlines()
    assert line.startswith("lakeward: ")
    return line.removeprefix("lakeward: ")


@pytest.fixture
def file(tmp_path: Any) -> Store:
    """A database of SQLite."""
    return Store(tmp_path, "")


def test_a_key_is_made_shown_once_found_listed_and_revoked(store: Store) -> None:
    row = answer(
        store, "create", "--kind", "write", "--name", "shop", "--allow", "page_view", "shop.*",
        "--allow", "click", "--origin", "https://App.example.com", "--origin", "*.example.org",
    )  # fmt: skip
    secret = row.pop("key")
    assert is_token(secret)
    assert row["types"] == ["page_view", "shop.*", "click"]
    assert row["origins"] == ["https://app.example.com", "https://*.example.org"]
    assert (row["kind"], row["name"], row["created_by"]) == ("write", "shop", ME)
    assert re.fullmatch(TIME, row["created_at"])
    assert answer(store, "list") == {"keys": [row]}
    found = load_keyring(store.open()).find(secret)
    assert found is not None
    assert found.key_id == row["key_id"]

    revoked = answer(store, "revoke", "shop")
    assert revoked == row | {"revoked_at": revoked["revoked_at"]}
    assert re.fullmatch(TIME, revoked["revoked_at"])
    assert answer(store, "list") == {"keys": []}
    assert answer(store, "list", "--all") == {"keys": [revoked]}
    assert load_keyring(store.open()).find(secret) is None

    trail = answer(store, "audit")["audit"]
    assert [(entry["action"], entry["actor"]) for entry in trail] == [
        ("key.create", ME),
        ("key.revoke", ME),
    ]
    assert {entry["subject"] for entry in trail} == {row["key_id"]}
    assert answer(store, "audit", "-n", "1")["audit"] == trail[1:]
    assert secret[12:] not in json.dumps([row, revoked, trail])


def test_as_text_the_secret_stands_alone_on_stdout_and_the_warning_beside_it(file: Store) -> None:
    done = keys(file, "create", "--kind", "write", "--name", "web")
    assert done.returncode == 0
    assert is_token(done.stdout.removesuffix("\n"))
    assert "shown only this once" in done.stderr
    assert "write key web" in done.stderr
    assert done.stdout.strip()[12:] not in done.stderr
    [key] = Keys(file.open()).all()
    assert key.types == BROWSER_TYPES


def test_the_table_for_people_shows_who_what_and_when_but_no_secret(file: Store) -> None:
    made(file, "page", "read")
    secret = made(file, "server", types=["*"], origins=["https://a.test"])
    browser = made(file, "web")
    done = keys(file, "list")
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["NAME", "KIND", "BEGINS", "CREATED", "BY", "ID", "FOR"]
    assert [line.split()[0] for line in lines] == ["page", "server", "web"]
    assert secret[:12] in lines[1]
    assert lines[0].endswith("reading from any origin")
    assert lines[1].endswith("* from https://a.test")
    assert lines[2].endswith("page_view, screen_view, click, 11 more from any origin")
    assert secret[12:] not in done.stdout
    assert browser[12:] not in done.stdout

    revoked = keys(file, "revoke", "web").stdout
    assert re.fullmatch(r"revoked web \([0-9a-f-]{36}\)\n", revoked)
    assert "web" not in keys(file, "list").stdout
    assert re.search(f"revoked {TIME}; page_view", keys(file, "list", "--all").stdout)
    trail = keys(file, "audit").stdout.splitlines()
    assert len(trail) == 4
    assert re.fullmatch(rf"{TIME}  {ME}  key\.revoke  [0-9a-f-]{{36}}  write web", trail[-1])


def test_without_keys_the_list_says_how_to_make_one(file: Store) -> None:
    file.open()
    assert "lakeward keys create" in keys(file, "list").stdout


def test_the_general_options_stand_before_the_verb_or_behind_it(file: Store) -> None:
    made(file, "web")
    elsewhere = {"LAKEWARD_LAKE_DIR": str(file.lake / "nowhere")}
    lake = str(file.lake)
    for arguments in (
        ("--lake", lake, "--format", "json", "list"),
        ("list", "--lake", lake, "--format", "json"),
        ("--lake", "/nowhere", "--format", "text", "list", "--lake", lake, "--format", "json"),
    ):
        done = keys(file, *arguments, **elsewhere)
        assert [key["name"] for key in json.loads(done.stdout)["keys"]] == ["web"]


@pytest.mark.parametrize("verb", [["list"], ["revoke", "web"], ["audit"]])
def test_only_create_makes_a_lake(file: Store, verb: list[str]) -> None:
    assert refusal(keys(file, *verb)).startswith(f"there is no lake at {file.lake}")
    assert not file.lake.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["create", "--kind", "write", "--name", "web"], "a key named 'web' is in force"),
        (["create", "--kind", "write", "--name", ""], "a key's name is 1 to 64"),
        (["create", "--kind", "write", "--name", "b", "--allow", "*.x"], "'*.x' is no type"),
        (["create", "--kind", "write", "--name", "b", "--origin", "b"], "'b' is no origin"),
        (["create", "--kind", "read", "--name", "b", "--allow", "x"], "a read key writes"),
        (["revoke", "nobody"], "there is no key 'nobody'"),
    ],
)  # fmt: skip
def test_a_wrong_word_is_one_sentence_and_exit_code_2(
    file: Store, arguments: list[str], sentence: str
) -> None:
    made(file, "web")
    assert refusal(keys(file, *arguments)).startswith(sentence)
    assert [key.name for key in Keys(file.open()).all()] == ["web"]


def test_an_error_is_json_too_where_that_is_asked_for(file: Store) -> None:
    made(file, "web")
    done = keys(file, "revoke", "nobody", "--format", "json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"].startswith("there is no key 'nobody'")


def test_a_database_that_is_away_is_one_sentence_without_its_password(file: Store) -> None:
    url = "postgresql://ada:Kq7hunter2Zz9@127.0.0.1:1/app"
    for verb in (["list"], ["create", "--kind", "write", "--name", "web"]):
        sentence = refusal(keys(file, *verb, LAKEWARD_DATABASE_URL=url))
        assert "LAKEWARD_DATABASE_URL does not answer" in sentence
        assert "Kq7hunter2Zz9" not in sentence
    assert not file.lake.exists()


def test_no_error_repeats_a_secret_that_stands_among_the_words(file: Store) -> None:
    secret = made(file, "web")
    shop = ["create", "--kind", "write", "--name", "shop"]
    for arguments in (
        ["revoke", secret],
        ["revoke", f"key {secret}"],
        ["create", "--kind", "write", "--name", secret],
        [*shop, "--allow", secret],
        [*shop, "--origin", f"https://{secret}@a.test"],
        [*shop, "--origin", f"https://a.test/?k={secret}"],
    ):
        done = keys(file, *arguments)
        assert done.returncode == 2, arguments
        assert secret[12:] not in done.stdout + done.stderr


def test_several_people_may_make_keys_at_once(store: Store) -> None:
    command = [sys.executable, "-m", "lakeward.cli", "keys", "create", "--kind", "write", "--name"]
    started = [
        subprocess.Popen(
            [*command, f"key {n}"], env=os.environ | store.env, cwd=store.lake.parent,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for n in range(4)
    ]  # fmt: skip
    secrets = [process.communicate(timeout=120)[0].strip() for process in started]
    ring = load_keyring(store.open())
    assert sorted(key.name for secret in secrets if (key := ring.find(secret))) == [
        f"key {n}" for n in range(4)
    ]


def test_the_keys_of_a_lake_do_not_load_what_other_commands_do_without(file: Store) -> None:
    code = (
        "import sys; from lakeward.cli import parser; parser()\n"
        "sys.exit(any(m in sys.modules for m in ('sqlalchemy', 'alembic', 'lakeward.store')))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
