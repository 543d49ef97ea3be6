"""Package the Lambda that takes interactions: `make lambda`.

    python deploy/package_lambda.py [FOLDER] [--architecture arm64]

In: this repo, `requirements/lambda.txt`, pip. Out: `FOLDER/lakeward-ingest.zip` for Python 3.11 on
Amazon Linux, the same bytes from the same inputs, and a line with its sizes. Fails where it would
be over Lambda's limits.
"""

from __future__ import annotations

import argparse
import compileall
import py_compile
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

REPO: Final = Path(__file__).resolve().parent.parent
PLATFORMS: Final = {
    "x86_64": ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"),
    "arm64": ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"),
}
MOST_UNZIPPED: Final = 250 << 20
MOST_ZIPPED: Final = 50 << 20
"""What may be uploaded directly; from a bucket it may be larger."""
LEFT_OUT: Final = ("server/static/", "demo/")
"""Of lakeward: pages that a Lambda does not show."""
VERSION: Final = (3, 11)
"""Of Lambda's Python, whose bytecode no other one reads."""
SELDOM: Final = {"alembic", "argon2", "cffi", "mako", "markupsafe", "pycparser", "sqlalchemy"}
"""What no cold start loads is compiled by whoever loads it."""
MOMENT: Final = (1980, 1, 1, 0, 0, 0)


def main() -> int:
    """Build it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=REPO / "build" / "lambda")
    parser.add_argument("--architecture", choices=PLATFORMS, default="x86_64")
    asked = parser.parse_args()
    tree = asked.folder / "tree"
    shutil.rmtree(asked.folder, ignore_errors=True)
    tree.mkdir(parents=True)
    install(tree, asked.architecture)
    shutil.copytree(
        REPO / "src" / "lakeward", tree / "lakeward", ignore=shutil.ignore_patterns("__pycache__")
    )
    compiled(tree)
    path = asked.folder / "lakeward-ingest.zip"
    unzipped = zipped(tree, path)
    print(f"{path}: {path.stat().st_size:,} bytes, {unzipped:,} unzipped")
    if unzipped > MOST_UNZIPPED or path.stat().st_size > MOST_ZIPPED:
        print("over Lambda's limits: 50 MiB to upload, 250 MiB unzipped", file=sys.stderr)
        return 1
    return 0


def install(tree: Path, architecture: str) -> None:
    """What is needed besides, by hash, for Lambda's machine and not for this one."""
    platforms = [word for one in PLATFORMS[architecture] for word in ("--platform", one)]
    subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         "--no-compile", "--require-hashes", "--only-binary", ":all:", "--python-version", "3.11",
         "--implementation", "cp", *platforms, "--target", str(tree), "--requirement",
         str(REPO / "requirements" / "lambda.txt")],
        check=True,
    )  # fmt: skip


def compiled(tree: Path) -> None:
    """Bytecode beside what a cold start loads. Lambda's folder is read-only: without it each new
    process would compile all of that, which takes twice as long as the rest of its start."""
    if sys.version_info[:2] != VERSION:
        print("without bytecode, which takes Python 3.11: cold starts are slower", file=sys.stderr)
        return
    for entry in sorted(tree.iterdir()):
        if entry.name in SELDOM or entry.suffix in (".dist-info", ".libs"):
            continue
        how: dict[str, object] = {
            "quiet": 2, "stripdir": str(tree), "prependdir": "/var/task",
            "invalidation_mode": py_compile.PycInvalidationMode.UNCHECKED_HASH,
        }  # fmt: skip
        if entry.is_dir():
            compileall.compile_dir(entry, **how)  # type: ignore[arg-type]  # as it has them
        elif entry.suffix == ".py":
            compileall.compile_file(entry, **how)  # type: ignore[arg-type]  # as it has them


def zipped(tree: Path, path: Path) -> int:
    """The tree as a zip whose bytes depend on its files alone; how large they are."""
    total = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in files(tree):
            content = file.read_bytes()
            total += len(content)
            info = zipfile.ZipInfo(file.relative_to(tree).as_posix(), MOMENT)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(info, content)
    return total


def files(tree: Path) -> Iterator[Path]:
    """What belongs into it, in order."""
    for file in sorted(tree.rglob("*")):
        name = file.relative_to(tree).as_posix()
        inside = name.removeprefix("lakeward/") if name.startswith("lakeward/") else ""
        if file.is_file() and not (inside and inside.startswith(LEFT_OUT)):
            yield file


if __name__ == "__main__":
    sys.exit(main())
