"""The commands that the pages show, and a newcomer who types them.

commands(page)      every `$ …` of the page's blocks, with the output that stands below it
Typist(folder, …)   runs them: `lakeward` in this process, which spares a start for each, and
                    all others in a shell; an id or key that a page shows stands for the one
                    that was really printed
differs(…)          what the page shows and the command did not print
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from conftest import wait_until
from lakeward.cli import main

FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ID: Final = r"01[0-9a-f]{6}-[0-9a-f]{4}-[78][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
KEY: Final = r"lwk_[rw]_\w+"
CHANGING: Final = re.compile(
    rf"{ID}|{KEY}|welcome=[\w-]+…?|\d{{4}}-\d\d-\d\d[T ][\d:.]+Z?|/[\w./-]+/data-lake"
    r"|\b[0-9a-fA-F]{12,}…?|\b[0-9a-f]{10,}…|[\d][\d,.:]*\d|\d"
)
"""Ids, keys, times, folders and numbers: of one lake and one moment."""
HOST: Final = re.compile(r"(https?://)?(localhost:8000|127\.0\.0\.1:8000|data\.example\.com)")


class Command(msgspec.Struct, frozen=True):
    """A line that a page tells to type."""

    page: str
    text: str
    shown: tuple[str, ...] = ()
    before: str = ""
    """The Python block before it, which is the page's program."""

    @property
    def word(self) -> str:
        """What it begins with."""
        return self.text.split()[0]


def commands(page: Path, name: str) -> Iterator[Command]:
    """In the page's order."""
    before = ""
    for block in FENCE.finditer(page.read_text(encoding="utf-8")):
        if block[1] == "python":
            before = block[2]
        if block[1] != "console":
            continue
        for part in re.split(r"^\$ ", block[2], flags=re.MULTILINE)[1:]:
            lines = part.rstrip("\n").split("\n")
            took = 1
            while lines[took - 1].endswith("\\") or not _is_whole("\n".join(lines[:took])):
                took += 1
            text = re.sub(r"\s+#\s.*", "", "\n".join(lines[:took])).strip()
            yield Command(name, text, tuple(lines[took:]), before)


def _is_whole(text: str) -> bool:
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return False
    return True


class Said(msgspec.Struct, frozen=True):
    """What came of it."""

    code: int
    text: str


class Typist:
    """Types one page's commands after another, in one folder."""

    def __init__(self, folder: Path, environ: Mapping[str, str], url: str = "") -> None:
        self.folder = folder
        self.environ = dict(environ)
        # As in an environment that was activated: `lakeward` is found by its name.
        found = self.environ.get("PATH", os.defpath)
        self.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{found}"
        self.url = url
        self.known: dict[str, str] = {}
        """What a page shows, and what it is here."""
        self._served: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Typist:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._served:
            process.terminate()
            process.wait(120)

    def types(self, command: Command) -> Said:
        """Run it; what it printed, what went wrong included."""
        text = command.text
        for shown in re.findall(ID, text):
            if shown not in self.known:  # of a record that the page showed in full
                self.known[shown] = self._newest()
        if not any(shown.startswith("lwk_") for shown in self.known):
            text = text.replace("-H 'Authorization: Bearer lwk_…'", "")
        for shown, real in self.known.items():
            text = text.replace(shown, real)
        if command.word == "lakeward" and " | " not in text:
            said = self.ours(shlex.split(text)[1:])
        elif command.word == "export":
            for word in shlex.split(text)[1:]:
                name, _, self.environ[name] = word.partition("=")
            said = Said(0, "")
        elif text.endswith(" &"):
            said = self._starts(command, text)
        elif command.word == "cat":
            (self.folder / text.split()[1]).write_text("\n".join(command.shown) + "\n")
            said = self._shell(text)
        else:
            said = self._shell(HOST.sub(self.url, text))
        self._learns(command.shown, said.text.splitlines())
        return said

    def _newest(self) -> str:
        """The id of the newest record."""
        said = self.ours(["tail", "-n", "1", "--format", "json"])
        return str(json.loads(said.text)["interaction_id"]) if said.text else ""

    def ours(self, words: list[str]) -> Said:
        """`lakeward` with these words."""
        out = io.StringIO()
        told = logging.StreamHandler(out)
        told.setLevel(logging.WARNING)
        logging.getLogger("lakeward").addHandler(told)  # what a process without any prints
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            for name, value in self.environ.items():
                patch.setenv(name, value)
            with redirect_stdout(out), redirect_stderr(out):
                try:
                    code = main(words)
                except SystemExit as ended:
                    code = int(ended.code or 0)
                finally:
                    logging.getLogger("lakeward").removeHandler(told)
        return Said(code, out.getvalue())

    def _starts(self, command: Command, text: str) -> Said:
        """The page's program under a server, on a free port."""
        (self.folder / "app.py").write_text(command.before)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        words = [*shlex.split(text.removesuffix(" &")), "--port", str(port)]
        with (self.folder / "served.log").open("wb") as log:
            process = subprocess.Popen(
                [Path(sys.executable).with_name(words[0]), *words[1:]], cwd=self.folder,
                env=self.environ, stdout=log, stderr=log,
            )  # fmt: skip
        self._served.append(process)
        self.url = f"http://localhost:{port}"
        wait_until(lambda: "running on" in (self.folder / "served.log").read_text())
        return Said(0, "")

    def _shell(self, text: str) -> Said:
        done = subprocess.run(
            ["bash", "-c", text], cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
        )  # fmt: skip
        return Said(done.returncode, done.stdout)

    def _learns(self, shown: tuple[str, ...], printed: list[str]) -> None:
        for line in shown:
            same = next((each for each in printed if pattern(line).fullmatch(squeezed(each))), "")
            for found, real in zip(
                re.findall(f"{ID}|{KEY}", line), re.findall(f"{ID}|{KEY}", same), strict=False
            ):
                self.known[found] = real
        for key in re.findall(KEY, "\n".join(printed)):
            self.known.setdefault("lwk_…", key)


def squeezed(line: str) -> str:
    """As many spaces as columns need are one."""
    return re.sub(r"\s+", " ", line).strip()


def pattern(line: str) -> re.Pattern[str]:
    """What a printed line must look like: its words, and `…` for anything."""
    parts, end = [], 0
    text = squeezed(line)
    for found in re.finditer(rf"{CHANGING.pattern}|…", text):
        parts.append(re.escape(text[end : found.start()]))
        parts.append(".*" if found[0] == "…" else r"\S+")
        end = found.end()
    return re.compile("".join((*parts, re.escape(text[end:]))))


def differs(command: Command, said: Said) -> list[str]:
    """Lines of the page that were not printed so. Of a table its columns are compared and not the
    rows, of JSON the names and not the values: these are of another lake."""
    printed = [squeezed(line) for line in said.text.splitlines()]
    shown = [line for line in command.shown if line.strip(" …")]
    if shown and shown[0].startswith("{"):
        return _names_missing("\n".join(shown), said.text)
    missing, in_table = [], False
    for line, below in zip(shown, [*shown[1:], ""], strict=False):
        if set(line.replace("…", "").strip()) <= {"─", " "}:
            in_table = True
            continue
        if in_table and not re.fullmatch(r"\(\d+ rows?\)", line):
            continue
        in_table = False
        if below.startswith("──"):
            wanted = [word for word in line.split() if word != "…"]
            if not any(set(wanted) <= set(each.split()) for each in printed):
                missing.append(line)
        elif re.fullmatch(r"\(\d+ rows?\)", line):
            if not any(re.fullmatch(r"\(\d+ rows?\)", each) for each in printed):
                missing.append(line)
        elif not any(pattern(line).fullmatch(each) for each in printed):
            missing.append(line)
    return missing


def _names_missing(shown: str, printed: str) -> list[str]:
    try:
        real = set(names(json.loads(printed.strip().splitlines()[0])))
    except ValueError:
        real = set(re.findall(r'"(\w+)":', printed))
    return [name for name in re.findall(r'"(\w+)":', shown) if name not in real]


def names(value: Any) -> Iterator[str]:
    """Every name of a JSON value."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield name
            yield from names(below)
    elif isinstance(value, list):
        for below in value:
            yield from names(below)
