"""How much the dashboard transfers, counted from the built files that are committed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from lakeward.server.assets import STATIC, VIEWS

ROOT: Final = Path(__file__).resolve().parent.parent
MOST_START: Final = 80 << 10
"""Scripts that are transferred until the start page is drawn, compressed."""
MOST_PAGE: Final = 60 << 10
"""The chunk of any page alone; charts that are loaded when they are needed have their own."""
HEAVY: Final = ("canvas", "echarts", "heat", "sankey")


@pytest.fixture(scope="module")
def assets() -> ModuleType:
    spec = importlib.util.spec_from_file_location("assets", ROOT / "benchmarks/assets.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules.setdefault("assets", made)
    spec.loader.exec_module(made)
    return made


def test_the_start_page_is_drawn_after_eighty_kilobytes_of_scripts(assets: ModuleType) -> None:
    needed = assets.page(STATIC, "overview")
    sizes = {name: assets.packed(STATIC / "assets" / name) for name in needed}
    assert sum(sizes.values()) <= MOST_START, sizes


def test_the_start_page_needs_no_heavy_chart(assets: ModuleType) -> None:
    needed = assets.page(STATIC, "overview")
    assert not [name for name in needed if name.startswith(HEAVY)]


def test_every_page_is_a_chunk_of_its_own(assets: ModuleType) -> None:
    start = assets.entry(STATIC)
    for view in VIEWS:
        chunks = [path.name for path in (STATIC / "assets").glob(f"{view}-*.js")]
        assert len(chunks) == 1, (view, chunks)
        assert chunks[0] not in start
        assert assets.packed(STATIC / "assets" / chunks[0]) <= MOST_PAGE, view


def test_what_a_script_imports_is_found_whichever_way_it_is_written(
    assets: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text(
        '<script type="module" crossorigin src="/static/assets/index-1.js"></script>'
        '<link rel="modulepreload" href="/static/assets/early-1.js">'
    )
    for name, text in {
        "index-1.js": 'import{a as b}from"./shared-1.js";import("./overview-1.js")',
        "early-1.js": "", "shared-1.js": 'import"./deep-1.js";', "deep-1.js": "x".upper(),
        "overview-1.js": "import { t } from './text-1.js'", "text-1.js": "", "heavy-1.js": "",
    }.items():  # fmt: skip
        (tmp_path / "assets" / name).write_text(text)
    assert assets.entry(tmp_path) == {"index-1.js", "early-1.js", "shared-1.js", "deep-1.js"}
    assert assets.page(tmp_path, "overview") == {
        "index-1.js", "early-1.js", "shared-1.js", "deep-1.js", "overview-1.js", "text-1.js",
    }  # fmt: skip
    assert set(assets.later(tmp_path)) == {"heavy-1.js"}
