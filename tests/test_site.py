"""The docs site: every page has its place in the side bar, once. That no link or anchor of it leads
nowhere is `make site`'s to prove, in an environment of its own."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from lakeward.version import VERSION

ROOT = Path(__file__).resolve().parent.parent


def configuration() -> Any:
    spec = importlib.util.spec_from_file_location("site_conf", ROOT / "deploy/site/conf.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_in_one_group_of_the_side_bar() -> None:
    site = configuration()
    named = [page for names in site.GROUPS.values() for page in names.split()]
    assert len(named) == len(set(named))
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    decisions = {page for page in pages if page.startswith("adr/0")}  # listed by their index
    assert {page.removesuffix(".md") for page in pages - decisions} <= set(named)


def test_the_side_bar_names_no_page_that_is_not_there_and_the_pages_carry_none_of_it() -> None:
    site = configuration()
    for line in site.navigation().splitlines():
        if line.startswith("/"):
            assert (ROOT / f"{line[1:]}.md").is_file()
    assert "{toctree}" not in (ROOT / "README.md").read_text(encoding="utf-8")
    assert site.version == VERSION


def test_nothing_of_the_site_is_asked_of_another_address() -> None:
    text = (ROOT / "deploy/site/conf.py").read_text(encoding="utf-8")
    assert "http" not in text
    assert configuration().html_show_search_summary is False
