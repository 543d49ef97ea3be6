"""Build wheel and sdist, and be the first who installs them: `make release`.

    python deploy/check_release.py [FOLDER] [--python PYTHON …]

In: this repo, hatchling, pip, and each Python from 3.11 on that is named or found (on PATH, or in
pyenv's folder). Out: `FOLDER` (`dist/`) with both files, and a table of what was done with the
wheel in empty environments of each Python, warnings being errors all the while. Exit code 1 where
the sdist makes another wheel, or where one did not do what its documentation says.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

REPO: Final = Path(__file__).resolve().parent.parent
OLDEST: Final = (3, 11)
NEWEST_LOOKED_FOR: Final = 20
SECONDS: Final = 600
"""The longest that one step may take: pip on a slow line."""

RECORDING: Final = """
import os, threading, time
from lakeward import Collector

idle = threading.Thread(target=time.sleep, args=(1,))
idle.start()  # a keeper is started, and a fork taken, beside it
with Collector.from_env() as collector:
    assert collector.record("signed_up", user_id="u1", plan="pro")
    collector.commit(timeout=30)
idle.join()
if not (child := os.fork()):
    with Collector.from_env() as collector:
        assert collector.record("signed_up", user_id="u2", plan="free")
        collector.commit(timeout=30)
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
IMPORTING: Final = """
import importlib, pkgutil, lakeward
theirs = {"asgiref", "billiard", "celery", "django", "flask"}  # an app has them, or needs not these
for one in pkgutil.walk_packages(lakeward.__path__, "lakeward."):
    if not one.name.endswith(("__main__", "migrations.env")):  # which are run, not imported
        try:
            importlib.import_module(one.name)
        except ModuleNotFoundError as error:
            assert error.name in theirs, error
"""
POSTING: Final = """
import json, sys, urllib.request
url = sys.argv[1]
page = urllib.request.urlopen(url).read().decode()
for name in [part.split('"')[0] for part in page.split('src="')[1:]]:
    assert urllib.request.urlopen(url + name.lstrip("./")).status == 200, name
assert len(urllib.request.urlopen(url + "lakeward.js").read()) > 5000
body = json.dumps({"batch": [{"interaction_type": "signed_up", "user_id": "u3"}]})
kind = {"content-type": "application/json"}
request = urllib.request.Request(url + "v1/interactions", body.encode(), kind)
assert json.load(urllib.request.urlopen(request)) == {"accepted": 1, "rejected": []}
"""


class Failed(Exception):
    """What one step said when it did not do what it should."""


class Newcomer:
    """An empty environment of one Python, an empty folder to work in, and a shell."""

    def __init__(self, python: str, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir(parents=True)
        run([python, "-m", "venv", str(folder / "venv")])
        self.bin = folder / "venv" / "bin"
        kept = ("HOME", "LANG", "PATH", "TMPDIR")
        self.environ = {name: os.environ[name] for name in kept if name in os.environ}
        self.environ |= {"PYTHONWARNINGS": "error", "LAKEWARD_KEEPER_IDLE_SECONDS": "2"}

    def install(self, wheel: Path, extras: str = "") -> None:
        """As a newcomer does."""
        what = f"{wheel}[{extras}]" if extras else str(wheel)
        run([str(self.bin / "python"), "-m", "pip", "install", "--quiet", what])

    def python(self, code: str, *words: str) -> str:
        """Run a program."""
        return run([str(self.bin / "python"), "-c", code, *words], self.folder, self.environ)

    def lakeward(self, *words: str) -> str:
        """Run a command that must succeed; what it printed."""
        return run([str(self.bin / "lakeward"), *words], self.folder, self.environ)

    def refused(self, extra: str, *words: str) -> None:
        """A command that must name what it needs, in one sentence, and nothing else."""
        done = subprocess.run(  # noqa: S603 - ours
            [self.bin / "lakeward", *words], cwd=self.folder, env=self.environ,
            capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
        named = f"pip install 'lakeward[{extra}]'" in done.stderr
        if done.returncode != 2 or not named or done.stderr.count("\n") != 1:
            raise Failed(f"`lakeward {' '.join(words)}` said: {done.stdout}{done.stderr}")

    @contextmanager
    def serving(self, *words: str) -> Iterator[str]:
        """`lakeward serve` on a free port of the loopback; its address."""
        command = [str(self.bin / "lakeward"), "serve", "--port", "0", *words]
        said = self.folder / "serve.log"
        with said.open("wb") as file:
            process = subprocess.Popen(  # noqa: S603 - ours
                command, cwd=self.folder, env=self.environ, stdout=file, stderr=file
            )
        try:
            while "serving http" not in said.read_text():
                if process.poll() is not None:
                    raise Failed(said.read_text())
                time.sleep(0.1)
            yield said.read_text().split("serving ")[1].split()[0]
        finally:
            process.terminate()
            code = process.wait(SECONDS)
        if code != 0 or "Warning" in said.read_text():
            raise Failed(f"`lakeward serve` ended with {code}: {said.read_text()}")


def run(
    command: list[str], folder: Path | None = None, environ: dict[str, str] | None = None
) -> str:
    """A command to its end, which must be a good one."""
    done = subprocess.run(  # noqa: S603 - ours
        command, cwd=folder, env=environ, capture_output=True, text=True, timeout=SECONDS,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise Failed(f"{' '.join(command)[-300:]}: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def built(folder: Path) -> tuple[Path, Path]:
    """Wheel and sdist; fails where the sdist makes another wheel than the tree does."""
    for older in folder.glob("lakeward-*"):
        older.unlink()
    build = [sys.executable, "-m", "hatchling", "build"]
    run([*build, "-d", str(folder)], REPO)
    [wheel], [sdist] = folder.glob("lakeward-*.whl"), folder.glob("lakeward-*.tar.gz")
    with tempfile.TemporaryDirectory() as scratch:
        with tarfile.open(sdist) as archive:
            archive.extractall(scratch, filter="data")
        [tree] = Path(scratch).iterdir()
        run([*build, "-t", "wheel", "-d", str(tree / "dist")], tree)
        [again] = (tree / "dist").iterdir()
        if digest(again) != digest(wheel):
            raise Failed(f"{sdist.name} makes another {wheel.name} than the tree")
    return wheel, sdist


def digest(file: Path) -> str:
    """Of its bytes."""
    return sha256(file.read_bytes()).hexdigest()


def plain(one: Newcomer, wheel: Path) -> None:
    """Without extras: two dependencies; all that needs more names the extra."""
    one.install(wheel)
    listed = run([str(one.bin / "python"), "-m", "pip", "list", "--format", "freeze"])
    found = {line.split("==")[0].replace("_", "-") for line in listed.split()}
    if found - {"pip", "setuptools"} != {"lakeward", "msgspec", "uuid-utils"}:
        raise Failed(f"installed: {sorted(found)}")
    version = wheel.name.split("-")[1]
    if one.lakeward("--version") != f"lakeward {version}\n":
        raise Failed(one.lakeward("--version"))
    one.python(RECORDING)
    one.lakeward("record", "deal_closed", "value=24000", "partner_id=p1")
    expect(one.lakeward("tail"), "user=u1", "user=u2", "deal_closed")
    expect(one.lakeward("doctor"), "3  offered", "the sum holds")
    expect(one.lakeward("summary"), "deal_closed")
    expect(one.lakeward("aws", "template", "storage"), "AWS::S3::Bucket")
    for extra, words in (
        ("lake", ("query", "SELECT 1")),
        ("lake", ("ask", "trend")),
        ("server", ("serve", "--port", "0")),
        ("server", ("keys", "list")),
        ("analysis", ("experiment", "e1")),
        ("aws", ("aws", "status")),
        ("demo", ("demo", "--once")),
    ):
        one.refused(extra, *words)


def server_and_lake(one: Newcomer, wheel: Path) -> None:
    """Over HTTP in, out as an answer, by what the plain installation recorded before, too."""
    one.install(wheel, "server,lake")
    with one.serving("--workers", "2") as url:
        one.python(POSTING, url)
        asked = '{"series": [{"event": "signed_up"}], "grain": null}'
        expect(one.lakeward("ask", "trend", asked, "--format", "csv"), "3")
    one.lakeward("compact")
    rows = one.lakeward("query", "SELECT count(*) AS n FROM interactions", "--format", "csv")
    expect(rows, "4")
    expect(one.lakeward("doctor"), "the sum holds", "table ")


def everything(one: Newcomer, wheel: Path) -> None:
    """All extras: each module can be imported, and the demo runs on a lake of its own."""
    one.install(wheel, "all")
    one.python(IMPORTING)
    lake = ("--lake", str(one.folder / "demo-lake"))
    few = ("--visitors", "20", "--seconds", "5", "--days", "1")
    expect(one.lakeward("demo", "--once", *few, *lake), "lost         0", "the table equal ")


STEPS: Final[dict[str, Callable[[Newcomer, Path], None]]] = {
    "plain": plain,
    "[server,lake]": server_and_lake,
    "[all]": everything,
}


def expect(text: str, *parts: str) -> None:
    """All of them are in it."""
    for part in parts:
        if part not in text:
            raise Failed(f"no {part!r} in:\n{text}")


def pythons() -> Iterator[str]:
    """Those on PATH and in pyenv's folder, the oldest first, each version once."""
    names = [f"python3.{minor}" for minor in range(OLDEST[1], NEWEST_LOOKED_FOR)]
    folder = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found: dict[tuple[int, ...], str] = {}
    for candidate in (*filter(None, map(shutil.which, names)), *folder.glob("*/bin/python")):
        try:
            version = version_of(str(candidate))
        except Failed:  # a shim of pyenv's for what is not the one in use
            continue
        if version >= OLDEST:
            found.setdefault(version, str(candidate))
    for version in sorted(found):
        yield found[version]


def version_of(python: str) -> tuple[int, ...]:
    """As numbers."""
    said = run([python, "-c", "import sys; print(*sys.version_info[:3])"])
    return tuple(map(int, said.split()))


def row(python: str, wheel: Path, folder: Path) -> tuple[str, bool]:
    """One line of the table, and whether all went well; what went wrong is on stderr."""
    version = ".".join(map(str, version_of(python)))
    cells, well = [version], True
    one = Newcomer(python, folder / version)
    for name, step in STEPS.items():
        began = time.monotonic()
        try:
            step(one, wheel)
            cells.append(f"runs ({time.monotonic() - began:.0f} s)")
        except Failed as failure:
            print(f"Python {version}, {name}: {failure}", file=sys.stderr)
            cells.append("**fails**")
            well = False
    return f"| {' | '.join(cells)} |", well


def main() -> int:
    """Build, install, run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=REPO / "dist")
    parser.add_argument("--python", action="append", help="instead of those that are found")
    asked = parser.parse_args()
    try:
        wheel, sdist = built(asked.folder.resolve())
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 1
    for file in (wheel, sdist):
        print(f"{file.name}: {file.stat().st_size:,} bytes, sha256 {digest(file)}")
    print(f"\n| Python | {' | '.join(STEPS)} |\n|---|{'---|' * len(STEPS)}", flush=True)
    good = True
    with tempfile.TemporaryDirectory() as scratch:
        for python in asked.python or pythons():
            line, well = row(python, wheel, Path(scratch))
            print(line, flush=True)
            good &= well
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
