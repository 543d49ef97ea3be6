"""The browser SDK on a page's main thread: what does it cost to begin, and for each interaction?

A page of 2,000 elements with links, buttons and a form, in Chromium, once with the SDK and once
without, turn by turn. The page is isolated from other origins, so its clock has steps of 5 µs. What
is sent goes to a sink on the loopback that accepts all.

- **start**: the built file is compiled and run, and begins: a new page for each figure.
- **handlers**: an event is dispatched, and everything that hears of it has run; less the same
  without the SDK.
- **whole**: real clicks by the browser's input, and what comes later on the main thread, such as
  writing the batch: the browser's own account of script time (DevTools' `ScriptDuration`), less the
  same without the SDK, for each click.
"""

from __future__ import annotations

import contextlib
import statistics
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from measure import Report, quantile, table
from page import chromium

SCRIPT = Path(__file__).parent.parent / "src/lakeward/server/static_sdk/lakeward.js"
ROUNDS, STARTS, EVENTS, CLICKS = 3, 15, 400, 150
START_MS, EVENT_MS = 5.0, 1.0

PAGE = (
    "<!doctype html><html lang=en><title>Partners</title><body><main><form name=verify>"
    "<input name=email><input name=phone><select name=size><option>1</select></form>"
    "<button id=go class='primary big' data-lw-plan=pro>Book <b>a demo</b></button>"
    + "".join(
        f"<section class=card><p>Partner {n}<div><a href='/p/{n}?x=1'>Open</a></div></section>"
        for n in range(400)
    )
    + "</main></body></html>"
)

BEGIN = """async () => {
  const code = await (await fetch('/lakeward.js')).text();
  const script = document.createElement('script');
  script.dataset.key = 'lwk_w_bench';
  script.dataset.host = location.origin;
  script.textContent = code;
  const begun = performance.now();
  document.head.append(script);
  return performance.now() - begun;
}"""

ACTS = {
    "click": "go.dispatchEvent(new MouseEvent('click', "
    "{bubbles: true, composed: true, clientX: 9, clientY: 9}))",
    "a field is left": "email.dispatchEvent(new FocusEvent('focusin', {bubbles: true})); "
    "email.dispatchEvent(new InputEvent('input', {bubbles: true})); "
    "email.dispatchEvent(new FocusEvent('focusout', {bubbles: true}))",
    "scroll": "document.dispatchEvent(new Event('scroll', {bubbles: true}))",
    "route": "history.pushState({}, '', '/r/' + n)",
    "fetch": "fetch('/none', {signal: stopped}).catch(() => 0)",
    "track()": "window.lakeward && lakeward.track('Order Completed', {total: n, plan: 'pro'})",
}

DISPATCH = """async ([act, count]) => {
  const go = document.getElementById('go'), email = document.querySelector('[name=email]');
  const stopped = AbortSignal.abort(), act_ = new Function('n', 'go', 'email', 'stopped', act);
  const took = [];
  for (let n = 0; n < count + 50; n++) {
    const begun = performance.now();
    act_(n, go, email, stopped);
    took.push(performance.now() - begun);
    if (n % 25 == 0) await new Promise((done) => setTimeout(done, 20));
  }
  return took.slice(50);
}"""


class Site(BaseHTTPRequestHandler):
    """The page, the script, and a server that takes everything."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Page or script."""
        script = self.path == "/lakeward.js"
        self._answer(SCRIPT.read_bytes() if script else PAGE.encode(),
                     "text/javascript" if script else "text/html; charset=utf-8")  # fmt: skip

    def do_POST(self) -> None:
        """A batch."""
        self.rfile.read(int(self.headers["content-length"]))
        self._answer(b'{"accepted":1,"rejected":[]}', "application/json")

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("cross-origin-opener-policy", "same-origin")
        self.send_header("cross-origin-embedder-policy", "require-corp")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Nothing."""


@contextlib.contextmanager
def site() -> Iterator[str]:
    """The address of the site."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def opened(browser: Any, address: str, with_sdk: bool) -> Iterator[tuple[Any, float]]:
    """A page of a visitor of its own, and how long the SDK took to begin there, ms."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(address)
    assert page.evaluate("crossOriginIsolated")
    took = page.evaluate(BEGIN) if with_sdk else 0.0
    page.wait_for_timeout(50)
    try:
        yield page, took
    finally:
        context.close()


def whole(page: Any) -> float:
    """ms of script for each real click."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable")

    def script_ms() -> float:
        found = devtools.send("Performance.getMetrics")["metrics"]
        return 1000 * next(one["value"] for one in found if one["name"] == "ScriptDuration")

    before = script_ms()
    for _ in range(CLICKS):
        page.mouse.click(60, 60)
    page.wait_for_timeout(2500)
    return (script_ms() - before) / CLICKS


def one_round(browser: Any, address: str, figures: dict[str, list[float]]) -> None:
    """Every figure once, with and without the SDK in turn."""
    for _ in range(STARTS):
        with opened(browser, address, True) as (_, took):
            figures.setdefault("start", []).append(took)
    for name, act in ACTS.items():
        took: dict[bool, list[float]] = {}
        for with_sdk in (True, False):
            with opened(browser, address, with_sdk) as (page, _):
                took[with_sdk] = page.evaluate(DISPATCH, [act, EVENTS])
        bare = statistics.median(took[False])
        figures.setdefault(name, []).extend(ms - bare for ms in took[True])
    clicks = []
    for with_sdk in (True, False):
        with opened(browser, address, with_sdk) as (page, _):
            clicks.append(whole(page))
    figures.setdefault("click, whole", []).append(clicks[0] - clicks[1])


def main() -> None:
    """Run, print, keep."""
    report = Report("sdk")
    figures: dict[str, list[float]] = {}
    with site() as address, chromium() as browser:
        for _ in range(report.rounds(ROUNDS)):
            one_round(browser, address, figures)
    report.figures = dict(figures)
    rows = []
    for name, values in figures.items():
        ordered = sorted(values)
        rows.append([name, *(f"{ms:.3f}" for ms in (
            statistics.median(ordered), quantile(ordered, 0.99), ordered[-1])), str(len(ordered))])  # fmt: skip
    report.say("Main thread, ms.")
    report.say(table(["what", "median", "p99", "most", "samples"], rows))
    report.goal("start: median", statistics.median(figures["start"]), START_MS, "ms")
    for name, values in figures.items():
        if name != "start":
            report.goal(f"{name}: median", statistics.median(values), EVENT_MS, "ms")
    report.finish()


if __name__ == "__main__":
    main()
