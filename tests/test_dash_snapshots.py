"""What a snapshot finds, and what it lets pass; `test_dash_walk` holds pages to theirs."""

from __future__ import annotations

from typing import Any

import pytest

import snapshot
from dashboard import PAGE_KEYS, Dashboard, Looked
from sites_served import CHROMIUM

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
if not CHROMIUM.exists():
    pytest.skip(f"there is no Chromium at {CHROMIUM}", allow_module_level=True)

STYLED = "main [data-card], main section.card, main .card"


def seen(fed: Dashboard, browser: Any, name: str, theme: str, spoilt: str = "") -> snapshot.Grey:
    """A page as a snapshot has it, after a script has spoilt it."""
    looked = Looked(browser, fed.server.url, "desk", theme)
    page = looked.open(f"/{name}?range={fed.demo.range}&zone=UTC")
    if spoilt:
        page.evaluate(spoilt)
    found = snapshot.taken(page)
    looked.close()
    return found


@pytest.fixture(scope="module")
def whole(fed: Dashboard, browser: Any) -> snapshot.Grey:
    """The page that is spoilt in the following."""
    return seen(fed, browser, "overview", "light")


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param("document.querySelector('main').replaceChildren()", id="blank"),
        pytest.param(
            "document.querySelectorAll('link[rel=stylesheet]').forEach((one) => one.remove())",
            id="unstyled",
        ),
        pytest.param(f"document.querySelector('{STYLED}').remove()", id="a card is missing"),
    ],
)
def test_a_snapshot_finds_what_is_missing(
    fed: Dashboard, browser: Any, whole: snapshot.Grey, spoilt: str
) -> None:
    other = seen(fed, browser, "overview", "light", spoilt)
    assert snapshot.apart(whole, other) > snapshot.MOST_APART


def test_another_visit_or_font_is_no_other_page_and_another_theme_is(
    fed: Dashboard, browser: Any, whole: snapshot.Grey
) -> None:
    again = seen(fed, browser, "overview", "light")
    assert snapshot.apart(whole, again) <= snapshot.MOST_APART / 4
    font = "document.documentElement.style.fontFamily = 'DejaVu Serif, serif'"
    other = seen(
        fed, browser, "overview", "light", f"document.body.style.fontFamily = 'serif'; {font}"
    )
    assert snapshot.apart(whole, other) <= snapshot.MOST_APART
    assert snapshot.apart(whole, seen(fed, browser, "overview", "dark")) > 0.5


def test_snapshots_are_small_and_of_pages_that_there_are() -> None:
    files = sorted(snapshot.FOLDER.glob("*.png"))
    assert {path.stem.rpartition("-")[0] for path in files} <= set(PAGE_KEYS)
    assert all(path.stat().st_size < 60_000 for path in files)
