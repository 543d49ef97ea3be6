"""What is shipped: wheel and sdist hold what they need and no more, and one makes the other.

That they install and run in empty environments is `make release`'s to prove, which takes minutes.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest

from lakeward.version import VERSION

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NEVER = re.compile(
    r"__pycache__|\.py[co]$|(^|/)(tests?|node_modules|\.env[^/]*|data-lake)(/|$)|\.map$"
)


def checker() -> Any:
    """`make release`, as a module."""
    spec = importlib.util.spec_from_file_location("check_release", ROOT / "deploy/check_release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Wheel and sdist; that the sdist makes the same wheel is tried where they are built."""
    wheel, sdist = checker().built(tmp_path_factory.mktemp("dist") / "dist")
    return wheel, sdist


def of_wheel(shipped: tuple[Path, Path]) -> set[str]:
    with zipfile.ZipFile(shipped[0]) as archive:
        return set(archive.namelist())


def of_sdist(shipped: tuple[Path, Path]) -> set[str]:
    with tarfile.open(shipped[1]) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def tracked(*folders: str) -> set[str]:
    """Files of the repository in these folders, those not committed yet among them."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *folders]
    try:
        said = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs git, and a clone")
    return {name for name in said.split("\0") if name and (ROOT / name).is_file()}


def metadata(shipped: tuple[Path, Path]) -> Message:
    with zipfile.ZipFile(shipped[0]) as archive:
        text = archive.read(f"lakeward-{VERSION}.dist-info/METADATA").decode()
    return Parser().parsestr(text)


def test_the_wheel_is_every_file_of_the_package_and_no_other(shipped: tuple[Path, Path]) -> None:
    found = {name for name in of_wheel(shipped) if ".dist-info/" not in name}
    assert found == {name.removeprefix("src/") for name in tracked("src")}
    for needed in (
        "lakeward/py.typed",
        "lakeward/server/static/index.html",
        "lakeward/server/static_sdk/lakeward.js",
        "lakeward/server/third-party.txt",
        "lakeward/aws/templates/storage.yaml",
        "lakeward/store/migrations/env.py",
        "lakeward/confidence/consistency/lexicon.LICENSE",
        "lakeward_pytest.py",
    ):
        assert needed in found


def test_the_page_in_the_wheel_has_all_that_it_loads(shipped: tuple[Path, Path]) -> None:
    static = "lakeward/server/static/"
    with zipfile.ZipFile(shipped[0]) as archive:
        names = archive.namelist()
        texts = [archive.read(name).decode() for name in names if name.startswith(static)]
    loaded = set(
        re.findall(r"""["'/](\w[\w.-]*-[\w-]{8}\.(?:js|css|svg))["'?]""", "\n".join(texts))
    )
    assert len(loaded) > 20
    assert not [name for name in loaded if f"{static}assets/{name}" not in names]


def test_neither_holds_tests_caches_settings_or_data(shipped: tuple[Path, Path]) -> None:
    for names in (of_wheel(shipped), of_sdist(shipped)):
        assert not [name for name in names if NEVER.search(name)]


def test_the_sdist_is_the_package_its_documentation_and_what_builds_it(
    shipped: tuple[Path, Path],
) -> None:
    top = {"README.md", "CHANGELOG.md", "LICENSE", "SECURITY.md", "pyproject.toml", ".gitignore"}
    found = of_sdist(shipped) - {""}
    assert found == tracked("src", "docs") | top | {"PKG-INFO"}


def test_the_metadata_claim_what_was_tried_and_license_what_is_shipped(
    shipped: tuple[Path, Path],
) -> None:
    said = metadata(shipped)
    assert said["Version"] == VERSION
    assert said["License-Expression"] == "Apache-2.0"
    assert said["Requires-Python"] == ">=3.11"
    claimed = re.findall(r"Python :: (3\.\d+)", str(said))
    ran = re.findall(r"^\| (3\.\d+)\.\d+ \| runs", (ROOT / "docs/release.md").read_text(), re.M)
    assert claimed == ran
    licenses = {name for name in of_wheel(shipped) if ".dist-info/licenses/" in name}
    assert {name.rpartition("/")[2] for name in licenses} == {
        "LICENSE", "lexicon.LICENSE", "third-party.txt",
    }  # fmt: skip


def test_an_extra_asks_for_nothing_that_all_leaves_out() -> None:
    extras = PROJECT["optional-dependencies"]
    [everything] = extras["all"]
    named = set(re.findall(r"[a-z]+", everything.partition("[")[2]))
    assert named == set(extras) - {
        "all",
        "speech",
        "embeddings",
        "lambda",
    }  # models, and an image's


def test_every_extra_that_a_message_names_exists() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("src/**/*.py"))
    named = set(re.findall(r"MissingExtra\([^,]+, \"(\w+)\"\)", sources))
    assert len(named) > 5
    assert named <= set(PROJECT["optional-dependencies"])


def test_whose_code_is_in_the_built_page_is_named_with_its_license() -> None:
    notices = (ROOT / "src/lakeward/server/third-party.txt").read_text(encoding="utf-8")
    lock = json.loads((ROOT / "web/package-lock.json").read_text(encoding="utf-8"))["packages"]
    asked = json.loads((ROOT / "web/dashboard/package.json").read_text(encoding="utf-8"))
    bundled = {*asked["dependencies"], "web-vitals"}  # the SDK's one is bundled, too
    packages = [(name, lock[f"node_modules/{name}"]) for name in sorted(bundled)]
    for name, package in packages:
        assert f"{name} {package['version']} ({package['license']})" in notices, name
        assert "GPL" not in package["license"]
        for below in package.get("dependencies", {}):
            own = lock.get(f"node_modules/{name}/node_modules/{below}")
            packages.append((below, own or lock[f"node_modules/{below}"]))
