"""The browser SDK as an npm package: packed, installed in an empty folder without a network,
imported, and its types checked by a program that uses it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WEB = ROOT / "web"
MODULES = WEB / "node_modules"
SERVED = "src/lakeward/server/static_sdk/lakeward.js"
USED = """
import { ai, consent, cta, identify, init, page, reset, track } from "@lakeward/browser";
import type { Options } from "@lakeward/browser";
import { init as small } from "@lakeward/browser/core";

const options: Options = { key: "lwk_w_x", host: "https://data.example.com", off: ["forms"] };
init(options);
small(options);
track("Order Completed", { total: 3 });
page({ section: "pricing" });
identify("u1", { plan: "pro" }, "contractor");
cta("book_demo", { placement: "hero" });
ai.rate({ conversation_id: "c1", turn: 1, helpful: true });
consent("anonymous");
reset();
"""
MISUSED = 'import { consent, init } from "@lakeward/browser";\ninit({ off: ["mice"] });\ninit(3);\n'
IMPORTED = """
import * as whole from "@lakeward/browser";
import * as core from "@lakeward/browser/core";
import { createRequire } from "node:module";

const { resolve } = createRequire(import.meta.url);
whole.track("before init", { nothing: "throws" });
console.log(JSON.stringify({
  whole: Object.keys(whole), core: Object.keys(core), tag: resolve("@lakeward/browser/lakeward.js"),
}));
"""


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """With the Node of this environment first, and nobody's settings of npm."""
    environ = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder), "npm_config_audit": "false", "npm_config_fund": "false",
        "npm_config_update_notifier": "false",
    }  # fmt: skip
    return subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, timeout=300
    )


def done(command: list[str], folder: Path) -> str:
    ended = run(command, folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tarball, built from the source in a copy of its folder."""
    if not (MODULES / "rolldown").exists():
        pytest.skip("needs web/node_modules: make web")
    copy = tmp_path_factory.mktemp("packed")
    made = ("node_modules", "dist", "test")
    shutil.copytree(WEB / "sdk", copy / "web/sdk", ignore=shutil.ignore_patterns(*made))
    (copy / "web/node_modules").symlink_to(MODULES.resolve())
    done(["npm", "pack"], copy / "web/sdk")
    [tarball] = (copy / "web/sdk").glob("*.tgz")
    assert (copy / SERVED).read_bytes() == (ROOT / SERVED).read_bytes()
    return tarball


@pytest.fixture(scope="module")
def installed(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of somebody's, with the package in it and no other."""
    project = tmp_path_factory.mktemp("project")
    (project / "package.json").write_text('{"private": true, "type": "module"}')
    done(["npm", "install", "--offline", "--ignore-scripts", str(packed)], project)
    names = sorted(path.name for path in (project / "node_modules").glob("[!.]*/*"))
    assert names == ["browser"]
    return project


def test_the_package_holds_what_was_built_its_types_and_its_license(packed: Path) -> None:
    with tarfile.open(packed) as archive:
        names = {name.removeprefix("package/") for name in archive.getnames()}
    types = {f"dist/types/{path.stem}.d.ts" for path in (WEB / "sdk/src").glob("*.ts")}
    built = {"dist/core.mjs", "dist/lakeward.mjs", "dist/lakeward.js"}
    assert names == built | types | {"package.json", "README.md", "LICENSE"}


def test_every_export_and_entry_of_it_is_there_and_it_asks_for_no_other(installed: Path) -> None:
    folder = installed / "node_modules/@lakeward/browser"
    package = json.loads((folder / "package.json").read_text())
    assert package["sideEffects"] is False
    assert "dependencies" not in package
    named = [package["main"], package["module"], package["types"]]
    for entry in package["exports"].values():
        named += [entry] if isinstance(entry, str) else entry.values()
    assert not [name for name in named if not (folder / name).is_file()]
    assert (folder / "dist/lakeward.js").read_bytes() == (ROOT / SERVED).read_bytes()


def test_node_imports_it_where_there_is_no_page(installed: Path) -> None:
    (installed / "use.mjs").write_text(IMPORTED)
    found = json.loads(done(["node", "use.mjs"], installed))
    calls = {"consent", "identify", "init", "page", "reset", "track"}
    assert set(found["core"]) == calls
    assert set(found["whole"]) == calls | {"ai", "cta"}
    assert found["tag"].endswith("@lakeward/browser/dist/lakeward.js")


@pytest.mark.parametrize("resolution", ["bundler", "nodenext"])
def test_its_types_say_what_may_be_called(installed: Path, resolution: str) -> None:
    module = "nodenext" if resolution == "nodenext" else "esnext"
    tsc = [
        str(MODULES / ".bin/tsc"), "--noEmit", "--strict", "--target", "es2020", "--lib",
        "es2022,dom", "--module", module, "--moduleResolution", resolution,
    ]  # fmt: skip
    (installed / "used.ts").write_text(USED)
    done([*tsc, "used.ts"], installed)
    (installed / "misused.ts").write_text(MISUSED)
    refused = run([*tsc, "misused.ts"], installed)
    assert refused.returncode != 0
    assert refused.stdout.count("misused.ts(") == 2, refused.stdout
