"""What a snapshot finds, and what it lets pass; `test_dash_walk` holds pages to theirs."""

from __future__ import annotations

from typing import Any

import pytest

import snapshot
from dashboard import PAGE_KEYS, Dashboard, Looked

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

STYLED = "main [data-card], main section.card, main .card"


SPOILT = {
    "blank": "document.querySelector('main').replaceChildren()",
    "unstyled": "document.querySelectorAll('link[rel=stylesheet]').forEach((one) => one.remove())",
    "a card is missing": f"document.querySelector('{STYLED}').remove()",
}


def seen(fed: Dashboard, looked: Looked, spoilt: str = "") -> snapshot.Grey:
    """A page as a snapshot has it, after a script has spoilt it."""
    page = looked.open(f"/overview?range={fed.demo.range}&zone=UTC")
    if spoilt:
        page.evaluate(spoilt)
    return snapshot.taken(page)


def test_a_snapshot_finds_what_is_missing(fed: Dashboard, browser: Any) -> None:
    looked = Looked(browser, fed.server.url)
    whole = seen(fed, looked)
    for why, spoilt in SPOILT.items():
        assert snapshot.apart(whole, seen(fed, looked, spoilt)) > snapshot.MOST_APART, why


def test_another_visit_or_font_is_no_other_page_and_another_theme_is(
    fed: Dashboard, browser: Any
) -> None:
    whole = seen(fed, Looked(browser, fed.server.url))
    looked = Looked(browser, fed.server.url)
    assert snapshot.apart(whole, seen(fed, looked)) <= snapshot.MOST_APART / 4
    font = "document.documentElement.style.fontFamily = 'DejaVu Serif, serif'"
    other = seen(fed, looked, f"document.body.style.fontFamily = 'serif'; {font}")
    assert snapshot.apart(whole, other) <= snapshot.MOST_APART
    dark = Looked(browser, fed.server.url, theme="dark")
    assert snapshot.apart(whole, seen(fed, dark)) > 0.5


def test_snapshots_are_small_and_of_pages_that_there_are() -> None:
    files = sorted(snapshot.FOLDER.glob("*.png"))
    assert {path.stem.rpartition("-")[0] for path in files} <= set(PAGE_KEYS)
    assert all(path.stat().st_size < 60_000 for path in files)
