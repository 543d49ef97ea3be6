"""The dashboard over ten million rows: how soon a page is there, and how soon it answers.

`lakeward serve` serves a lake of `shop.py` (its files linked, the rest copied: the lake that is
kept is not written to). Chromium opens each page anew with an empty cache: when it painted first,
and when every card had its figures. Then it does what people do: opens a card's menu, goes to
another page by key, chooses another range. What counts is from the key or click to the next frame;
how long the new figures took is told beside it.

A table at the end has every script that a page loads later, with its size.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from assets import entry, later, packed, page
from lakeward.server.assets import STATIC, VIEWS
from measure import HERE, Report, scratch, spread, table
from page import chromium
from screenshots import served

ROWS: Final = 10_000_000
RANGE: Final = "2025-08-11..2025-09-29"
"""All days of the shop."""
OTHER: Final = "2025-09-01..2025-09-29"
ROUNDS: Final = 3
PATIENCE_S: Final = 60.0
FIRST_PAINT_MS: Final = 1000.0
INTERACTION_MS: Final = 200.0
START_BYTES: Final = 80 << 10
LONGEST: Final = "() => Math.max(0, ...(window.told ?? []).map((one) => one.duration))"
LISTEN: Final = """
    window.told = [];
    new PerformanceObserver((list) => window.told.push(...list.getEntries()))
        .observe({type: 'event', durationThreshold: 16, buffered: true});
"""
"""The browser's own measure: from an event to the frame that shows what came of it."""
THERE: Final = """() => document.querySelector('main.page > *') !== null
    && !document.querySelector('main .waiting, main [aria-busy=true]')"""
PAINTED: Final = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? -1"


def linked(kept: Path, lake: Path) -> None:
    """A lake with the same table, of which nothing that is written reaches the one that is kept."""
    shutil.copytree(kept / ".lakeward", lake / ".lakeward")
    shutil.copytree(kept / "table", lake / "table", copy_function=_link)


def _link(source: str, target: str) -> None:
    if source.endswith(".parquet"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def waits(page_: Any) -> float:
    """Until every card says something and asks for nothing more; in ms."""
    began = time.monotonic()
    while time.monotonic() < began + PATIENCE_S and not page_.evaluate(THERE):
        page_.wait_for_timeout(20)
    return 1000 * (time.monotonic() - began)


def visit(browser: Any, url: str, view: str) -> dict[str, float]:
    """One page, opened anew and used."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, timezone_id="UTC")
    context.add_init_script(LISTEN)
    at = context.new_page()
    at.goto(f"{url}/{view}?range={RANGE}&zone=UTC", wait_until="commit")
    figures = waits(at)
    painted = float(at.evaluate(PAINTED))
    menus = at.locator("main [data-card] [aria-haspopup=menu]")
    if menus.count():
        menus.first.click()
        at.keyboard.press("Escape")
    at.evaluate("document.activeElement?.blur()")
    spans = at.locator(".spans [aria-haspopup=menu]")
    fresh = 0.0
    if spans.count():
        spans.first.click()
        at.keyboard.press("End")
        at.keyboard.press("Escape")
        at.evaluate(f"""() => {{
            const to = new URL(location.href);
            to.searchParams.set('range', '{OTHER}');
            history.pushState(null, '', to);
            dispatchEvent(new PopStateEvent('popstate'));
        }}""")
        at.wait_for_timeout(50)
        fresh = waits(at)
    at.keyboard.press("g")
    at.keyboard.press("o" if view != "overview" else "l")
    at.wait_for_timeout(400)
    longest = float(at.evaluate(LONGEST))
    context.close()
    return {"painted": painted, "figures": figures, "longest": longest, "fresh": fresh}


def measured(report: Report, url: str) -> None:
    """Every page, some rounds of it."""
    found: dict[str, list[dict[str, float]]] = {view: [] for view in VIEWS}
    with chromium() as browser:
        visit(browser, url, "overview")  # a first process to answer questions
        for _ in range(report.rounds(ROUNDS)):
            for view in VIEWS:
                found[view].append(visit(browser, url, view))
    rows = [
        [view, *(spread([one[name] for one in seen]).text(0) for name in seen[0])]
        for view, seen in found.items()
    ]
    report.say(table(["page", "first paint, ms", "all figures, ms", "slowest interaction, ms",
                      "figures of another range, ms"], rows))  # fmt: skip
    report.figures["pages"] = found
    for name, limit, key in (
        ("first paint, slowest page", FIRST_PAINT_MS, "painted"),
        ("key or click to next frame, slowest page", INTERACTION_MS, "longest"),
    ):
        worst = max(spread([one[key] for one in seen]).median for seen in found.values())
        report.goal(name, worst, limit, "ms")


def sizes(report: Report) -> None:
    """What is transferred, and when."""
    start = sum(packed(STATIC / "assets" / name) for name in page(STATIC, "overview"))
    frame = sum(packed(STATIC / "assets" / name) for name in entry(STATIC))
    report.say(f"Scripts, compressed: the frame {frame / 1024:.1f} KB, with the start page "
               f"{start / 1024:.1f} KB. Later, each when it is needed:")  # fmt: skip
    told = sorted(later(STATIC).items(), key=lambda one: -one[1])
    rows = [[name.rpartition("-")[0] or name, f"{size / 1024:.1f}"] for name, size in told]
    report.say(table(["chunk", "KB"], rows))
    report.goal("scripts until the start page is drawn", start / 1024, START_BYTES / 1024, "KB")


def main() -> int:
    """Serve the shop, look, and report."""
    report = Report("paint")
    kept = HERE.parent / "build" / f"shop-{ROWS}" / "lake"
    if not kept.exists():
        subprocess.run([sys.executable, HERE / "shop.py", kept, str(ROWS)], check=True)
    with scratch() as environ:
        lake = Path(environ["LAKEWARD_LAKE_DIR"])
        linked(kept, lake)
        process, url = served(environ, lake.parent / "serve.log")
        try:
            measured(report, url)
        finally:
            process.terminate()
            process.wait(60)
    sizes(report)
    report.finish()
    return 0 if all(goal.met for goal in report.goals) else 1


if __name__ == "__main__":
    sys.exit(main())
