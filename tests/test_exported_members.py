"""The package face: what applications may import, and that nothing inside imports through it."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import lakeward

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src/lakeward"
MODULES = sorted(path for path in SOURCE.rglob("*.py"))
DEMO = SOURCE / "demo"
PLATFORM = (
    "app", "assistant", "booking", "coach", "contractor", "database", "feedback", "inbox",
    "journey", "library", "matching", "onboarding", "partners", "platform", "staff",
)  # fmt: skip
"""The app that visitors use; the rest of the demo serves and visits it."""
PUBLIC = {
    "lakeward.ai",
    "lakeward.ai.processor",
    "lakeward.confidence.score",
    "lakeward",
    "lakeward.flags",
    "lakeward.flags.database",
    "lakeward.flags.provider",
    "lakeward.lake",
    "lakeward.lake.summary",
    "lakeward.lakedir",
    "lakeward.messaging",
    "lakeward.outcomes",
    "lakeward.server.mount",
    "lakeward.settings",
    "lakeward.testing",
    "lakeward.trace",
} | {
    f"lakeward.capture.{room}"
    for room in ("asgi", "body", "celery", "django", "flask", "job", "wsgi")
}
"""Modules that the documentation tells applications to import from."""


def documented(module: str) -> set[str]:
    """The names that the table in docs/concepts.md says an application may import."""
    page = (ROOT / "docs/concepts.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| `{re.escape(module)}` \| (.*) \|$", page, re.MULTILINE)
    assert row is not None, module
    return set(re.findall(r"`(\w+)`", row[1].partition(" | ")[0]))


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """(module, name) of each import; the name is empty for `import module`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            yield from ((node.module or "", alias.name) for alias in node.names)


def test_the_face_is_what_the_documentation_says() -> None:
    assert set(lakeward.__all__) == documented("lakeward")
    assert sorted(lakeward.__all__) == list(lakeward.__all__)


@pytest.mark.parametrize("module", sorted(PUBLIC))
def test_every_documented_name_is_there(module: str) -> None:
    found = __import__(module, fromlist=["*"])
    for name in documented(module):
        assert hasattr(found, name), f"{module}.{name}"


def test_every_name_of_the_face_is_there() -> None:
    for name in lakeward.__all__:
        assert hasattr(lakeward, name), name


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if DEMO not in path.parents and path != SOURCE / "__init__.py"],
    ids=lambda path: str(path.relative_to(SOURCE)),
)
def test_nothing_inside_imports_from_the_face(path: Path) -> None:
    for module, name in imports(path):
        assert (module, name) != ("lakeward", "")
        if module == "lakeward":
            assert name not in lakeward.__all__, name
            assert (SOURCE / f"{name}.py").exists() or (SOURCE / name).is_dir(), name


def test_the_demos_platform_uses_the_public_interface_alone() -> None:
    for noun in PLATFORM:
        for module, name in imports(DEMO / f"{noun}.py"):
            if module.split(".")[0] == "lakeward" and not module.startswith("lakeward.demo"):
                assert name in documented(module), f"{noun}.py: from {module} import {name}"


def test_importing_the_face_needs_the_two_dependencies_and_nothing_else() -> None:
    code = (
        "import sys, lakeward, lakeward.capture.asgi, lakeward.capture.wsgi, lakeward.capture.job\n"
        "known = {'lakeward', 'msgspec', 'uuid_utils', '__main__', *sys.stdlib_module_names}\n"
        "known.add('typing_extensions')  # msgspec takes it where it is there\n"
        "known |= {'sitecustomize', 'usercustomize'}  # the machine's, not ours\n"
        "tops = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(t for t in tops if t not in known and not t.startswith('_')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_keepers_and_commands_start_without_what_only_recording_needs() -> None:
    """Each application starts a keeper and up to three children of it: what they load counts."""
    code = (
        "import sys\n"
        "from importlib import import_module\n"
        "for name in ('run', 'compaction', 'courier', 'tidy', 'erasing', 'abandonment',"
        " 'unfinished', 'serve', 'doctor', 'query', 'keys', 'people', 'tail', 'get', 'flags',"
        " 'erase', 'ask'):\n"
        "    import_module(f'lakeward.cli.{name}')\n"
        "import lakeward, lakeward.ai, lakeward.lake.jailed, lakeward.lake.reading\n"
        "heavy = ('collector', 'privacy', 'content', 'catalog.placement', 'ai.conversation')\n"
        "print([name for name in heavy if f'lakeward.{name}' in sys.modules])\n"
        "print(sorted(set(lakeward.__all__) - set(dir(lakeward))))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "[]"]


@pytest.mark.parametrize("face", ["lakeward", "lakeward.ai", "lakeward.catalog"])
def test_a_name_that_a_face_has_not_is_an_ordinary_error(face: str) -> None:
    module = import_module(face)
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match=f"module '{face}' has no attribute 'nothing'"):
        module.nothing  # noqa: B018


def test_the_supervisor_of_a_server_loads_nothing_that_only_its_workers_need() -> None:
    code = (
        "import sys, lakeward.cli.serve, lakeward.server.app, lakeward.server.supervisor\n"
        "print([name for name in ('uvicorn', 'duckdb', 'pyarrow', 'deltalake', 'boto3')"
        " if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_server_without_uvicorn_says_how_to_get_it(tmp_path: Path) -> None:
    code = (
        "import sys, importlib.util as util\n"
        "found = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name == 'uvicorn' else found(name, *more)\n"
        "from lakeward.cli import main\n"
        "sys.exit(main(['serve', '--port', '0']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env={**os.environ, "LAKEWARD_LAKE_DIR": str(tmp_path / "lake")},
                          timeout=120)  # fmt: skip
    assert done.returncode == 2
    assert "lakeward serve needs uvicorn: pip install 'lakeward[server]'" in done.stderr
