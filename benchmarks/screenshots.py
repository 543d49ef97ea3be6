"""Make the pictures of the dashboard for README and docs: `make screenshots`.

    python benchmarks/screenshots.py [--lake FOLDER] [PAGE …]

A demo with four weeks before it fills a fresh lake, `lakeward serve` serves it, and each page is
looked at as a visitor would. Pictures are WebP, at most 150 KB each. With `--lake` a copy of that
lake is served instead.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from measure import HERE, scratch
from page import chromium

FOLDER: Final = HERE.parent / "docs/pictures"
MOST_BYTES: Final = 150_000
START_SECONDS: Final = 60.0
STILL: Final = 12
"""Looks in a row, ten a second, at which nothing loads."""
WIDTH, HEIGHT = 1280, 860


class Picture(msgspec.Struct, frozen=True):
    """One picture: of which page, in which theme."""

    path: str
    theme: str = "light"
    height: int = HEIGHT


PICTURES: Final = {
    "overview": Picture("/overview?range=28d", height=980),
    "overview-dark": Picture("/overview?range=28d", "dark", 980),
    "live": Picture("/live"),
    "api": Picture("/api?range=28d", height=980),
    "visitors": Picture("/visitors?range=28d"),
    "funnels": Picture("/funnels?range=28d"),
    "retention": Picture("/retention?range=28d"),
    "paths": Picture("/paths?range=28d"),
    "experiments": Picture("/experiments?range=28d&key=match-page"),
    "ai": Picture("/ai?range=28d"),
    "explore": Picture("/explore"),
    "partners": Picture("/partners?range=28d", height=1100),
    "partner": Picture("/partners?range=28d&partner=p2", height=1600),
}


def fill(environ: dict[str, str]) -> None:
    """Run the demo."""
    command = [sys.executable, "-m", "lakeward.cli", "demo", "--once", "--format", "json"]
    subprocess.run(
        command, env={**os.environ, **environ}, stdout=subprocess.DEVNULL, check=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def served(environ: dict[str, str], output: Path) -> tuple[subprocess.Popen[bytes], str]:
    """`lakeward serve`, and its address."""
    command = [sys.executable, "-m", "lakeward.cli", "serve", "--port", "0"]
    with output.open("wb") as log:
        process = subprocess.Popen(
            command, env={**os.environ, **environ}, stdout=log, stderr=subprocess.STDOUT
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"serving (http://\S+?)/ ", output.read_text())
        if found and _answers(found[1]):
            return process, found[1]
        time.sleep(0.1)
    raise SystemExit(f"the server did not start:\n{output.read_text()}")


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def taken(browser: Any, url: str, picture: Picture) -> bytes:
    """A page, once every card says something."""
    context = browser.new_context(
        viewport={"width": WIDTH, "height": picture.height}, color_scheme=picture.theme,
        reduced_motion="reduce", timezone_id="UTC", locale="en-US",
    )  # fmt: skip
    page = context.new_page()
    page.goto(url + picture.path)
    page.wait_for_selector("main.page > *")
    still = 0
    for _ in range(600):  # a card may come only when another has its answer
        still = 0 if page.locator("main .waiting").count() else still + 1
        if still == STILL:
            break
        page.wait_for_timeout(100)
    devtools = context.new_cdp_session(page)
    for quality in (90, 80, 65, 50):
        told = devtools.send("Page.captureScreenshot", {"format": "webp", "quality": quality})
        content = base64.b64decode(told["data"])
        if len(content) <= MOST_BYTES:
            break
    context.close()
    return content


def main() -> int:
    """Make all of them, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join(PICTURES))
    parser.add_argument("--lake", type=Path)
    asked = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    with scratch() as environ:
        lake = Path(environ["LAKEWARD_LAKE_DIR"])
        demo = HERE.parent / "src/lakeward/demo"
        environ |= {"LAKEWARD_FLOWS": str(demo / "flows.toml"),
                    "LAKEWARD_AI_PRICES": str(demo / "prices.toml"),
                    "LAKEWARD_FLAGS": str(demo / "flags.json")}  # fmt: skip
        if asked.lake:
            shutil.copytree(asked.lake, lake)
        else:
            fill(environ)
        process, url = served(environ, lake.parent / "serve.log")
        try:
            with chromium() as browser:
                for name in asked.names or PICTURES:
                    content = taken(browser, url, PICTURES[name])
                    (FOLDER / f"{name}.webp").write_bytes(content)
                    print(f"{name}: {len(content):,} bytes")
                    assert len(content) <= MOST_BYTES, name
        finally:
            process.terminate()
            process.wait(60)
    return 0


if __name__ == "__main__":
    sys.exit(main())
