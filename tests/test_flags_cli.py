"""`lakeward flags` as people type it: in this process, on a real database; once as a shell does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import Lake
from databases import Store
from lakeward.cli import main

PAGE = {
    "defaultValue": "plain",
    "rules": [{"key": "match-page", "variations": ["plain", "reasons"],
               "hashAttribute": "user_id", "hashVersion": 2}],
}  # fmt: skip


class Shell:
    """Runs commands against one database."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def run(self, *arguments: str) -> tuple[int, str, str]:
        code = main(["flags", *arguments])
        out, err = self._capsys.readouterr()
        return code, out, err

    def answer(self, *arguments: str) -> Any:
        code, out, err = self.run(*arguments, "--format", "json")
        assert (code, err) == (0, "")
        return json.loads(out)

    def refusal(self, *arguments: str) -> str:
        code, out, err = self.run(*arguments)
        assert (code, out) == (2, "")
        (line,) = err.splitlines()
        return line.removeprefix("lakeward: ")


@pytest.fixture
def shell(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    for name, value in store.env.items():
        monkeypatch.setenv(name, value)
    store.open()
    monkeypatch.chdir(store.lake.parent)
    return Shell(capsys)


def test_a_flag_is_made_changed_switched_and_removed(shell: Shell) -> None:
    assert "no flags" in shell.run("list")[1]
    assert shell.answer("set", "page", "--json", json.dumps(PAGE))["version"] == 1
    assert shell.answer("get", "page")["definition"] == PAGE
    changed = shell.answer("set", "page", "--weights", "0.2,0.8")
    assert changed["definition"]["rules"][0]["weights"] == [0.2, 0.8]
    assert shell.answer("set", "page", "--off")["definition"]["enabled"] is False
    assert "off" in shell.run("list")[1]
    assert shell.answer("set", "page", "--on")["definition"]["enabled"] is True
    valued = shell.answer("set", "page", "--value", '"bare"')
    assert valued["definition"]["defaultValue"] == "bare"
    assert len(valued["definition"]["rules"]) == 1
    assert shell.answer("group", "staff", "u1", "7")["definition"] == ["u1", "7"]
    assert [row["name"] for row in shell.answer("list")["flags"]] == ["page", "staff"]
    assert "removed" in shell.run("remove", "page")[1]
    history = shell.answer("history", "page")["history"]
    assert [row["version"] for row in history] == [1, 2, 3, 4, 5, 7]
    assert history[-1]["definition"] is None
    assert len(shell.run("history", "page")[1].splitlines()) == 6


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_refusals_are_one_sentence(shell: Shell, tmp_path: Path) -> None:
    shell.run("set", "page", "--json", json.dumps(PAGE))
    assert "add up to 1" in shell.refusal("set", "page", "--weights", "0.2,0.9")
    assert "numbers such as" in shell.refusal("set", "page", "--weights", "half")
    assert "must be JSON" in shell.refusal("set", "page", "--value", "bare")
    assert "no flag 'other'" in shell.refusal("get", "other")
    assert "no flag 'other'" in shell.refusal("set", "other", "--off")
    assert "no flag 'other'" in shell.refusal("history", "other")
    assert "LAKEWARD_FLAGS is empty" in shell.refusal("evaluate", "page")
    assert "No such file" in shell.refusal("check", "gone.json")


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_file_is_checked_imported_and_evaluated(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = tmp_path / "flags.json"
    good.write_text(json.dumps({"features": {"page": PAGE}, "savedGroups": {"staff": ["u1"]}}))
    assert shell.answer("check", str(good)) == {"flags": 1, "faults": []}
    bad = tmp_path / "bad.json"
    rules = [{"force": 1, "coverage": 2}, {"variations": [1]}]
    bad.write_text(json.dumps({"features": {"page": {"rules": rules}}}))
    code, out, _ = shell.run("check", str(bad))
    assert code == 1
    assert [line.partition(":")[0] for line in out.splitlines()] == ["page", "page"]
    assert "bad.json" in shell.refusal("import", str(bad))
    assert shell.answer("import", str(good)) == {"imported": 1}
    by_file = shell.answer("evaluate", "page", "user_id=u1", "--file", str(good))
    monkeypatch.setenv("LAKEWARD_FLAGS", "database")
    assert shell.answer("evaluate", "page", "user_id=u1") == by_file
    assert by_file["source"] == "experiment"
    assert by_file["value"] in ("plain", "reasons")
    assert "no flag 'other'" in shell.refusal("evaluate", "other")
    assert "bucket" in shell.run("evaluate", "page", "user_id=u1")[1]


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_toml_is_imported_as_it_was_written(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "flags.toml"
    path.write_text('[features.page]\ndefaultValue = "plain"\n')
    assert shell.answer("import", str(path)) == {"imported": 1}
    assert shell.answer("get", "page")["definition"] == {"defaultValue": "plain"}


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_what_is_shown_steers_no_terminal(shell: Shell) -> None:
    shell.run("set", "page", "--value", '"\\u001b[2J"')
    for verb in ("get", "history"):
        assert "\x1b" not in shell.run(verb, "page")[1]
    assert "\x1b" not in shell.run("list")[1]


def test_doctor_names_what_is_wrong_in_the_file_of_the_setting(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    collector = lake.collector()
    collector.record("hello")
    collector.commit()
    for name, value in lake.env.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "flags.json"
    path.write_text(json.dumps({"features": {"page": {"rules": [{"variations": [1]}]}}}))
    sound = tmp_path / "sound.json"
    sound.write_text(json.dumps({"features": {"page": {"defaultValue": "plain"}}}))
    for flags, told in (
        (str(sound), f"1 in {sound}\n"), (str(path), "1 in"),
        (str(path), "1 to mend, the first: page: rule 1: an experiment needs"),
        (str(tmp_path / "gone.json"), "No such file"), ("database", "in the app database"),
    ):  # fmt: skip
        monkeypatch.setenv("LAKEWARD_FLAGS", flags)
        main(["doctor"])
        assert told in capsys.readouterr().out
    main(["doctor", "--format", "json"])
    assert json.loads(capsys.readouterr().out)["flags"]["source"] == "database"


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_shell_runs_it_with_warnings_as_errors(store: Store) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "lakeward.cli", "flags", "set", "on", "--value",
         "true"],
        env=os.environ | store.env, cwd=store.lake.parent, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "flag on set (version 1)\n"
