"""The browser SDK on a page's main thread: what does it cost to begin, and for each interaction?

A page of 2,000 elements with links, buttons and a form, in Chromium, once with the SDK and once
without, turn by turn. What is sent goes to a sink on the loopback that accepts all. Figures are CPU
time of the page's main thread while it runs script (DevTools' `ScriptDuration` in thread ticks),
less the same without the SDK:

- **start**: the built file is compiled and runs until it has begun, in a new page each time, with
  the timers that it sets held back; **start, with what waits**: with the tasks that they begin.
- all others: 200 interactions and whatever comes of them, such as writing and sending the batch,
  divided by 200. Events are dispatched by script, `real click` is the browser's own input.
"""

from __future__ import annotations

import contextlib
import statistics
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from measure import Report, spread, table
from page import chromium

SCRIPT = Path(__file__).parent.parent / "src/lakeward/server/static_sdk/lakeward.js"
ROUNDS, STARTS, EVENTS = 3, 10, 200
START_MS, EVENT_MS = 5.0, 1.0
SETTLE_MS = 1500

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

BEGIN = """([code, held]) => {
  const timeout = window.setTimeout;
  if (held) window.setTimeout = () => 1;
  const script = document.createElement('script');
  script.dataset.key = 'lwk_w_bench';
  script.dataset.host = location.origin;
  script.textContent = code;
  document.head.append(script);
  window.setTimeout = timeout;
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
    "track()": "if (window.lakeward) lakeward.track('Order Completed', {total: n, plan: 'pro'})",
}

DISPATCH = """async ([act, count]) => {
  const go = document.getElementById('go'), email = document.querySelector('[name=email]');
  const stopped = AbortSignal.abort(), one = new Function('n', 'go', 'email', 'stopped', act);
  // In timers: what DevTools runs itself is no script to its account.
  for (let n = 0; n < count; ) {
    await new Promise((done) => setTimeout(() => {
      for (const end = n + 25; n < end; n++) one(n, go, email, stopped);
      done();
    }, 20));
  }
}"""


class Site(BaseHTTPRequestHandler):
    """The page, and a server that takes everything."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The page."""
        self._answer(PAGE.encode(), "text/html; charset=utf-8")

    def do_POST(self) -> None:
        """A batch."""
        self.rfile.read(int(self.headers["content-length"]))
        self._answer(b'{"accepted":1,"rejected":[]}', "application/json")

    def _answer(self, body: bytes, kind: str) -> None:
        with contextlib.suppress(OSError):  # a page that is closed does not wait
            self._send(body, kind)

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Nothing."""


class Server(ThreadingHTTPServer):
    """Pages that are closed in the middle are nobody's failure."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing."""


@contextlib.contextmanager
def site() -> Iterator[str]:
    """The address of the site."""
    server = Server(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


class Watched:
    """A page of a visitor of its own, and the CPU time of its scripts."""

    def __init__(self, browser: Any, address: str) -> None:
        self._context = browser.new_context()
        self.page = self._context.new_page()
        self._devtools = self._context.new_cdp_session(self.page)
        self._devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
        self.page.goto(address)
        self.page.wait_for_timeout(100)
        self.page.evaluate(BEGIN, ["window.warm = 1", False])

    def script_ms(self) -> float:
        """All of it so far."""
        found = self._devtools.send("Performance.getMetrics")["metrics"]
        return 1000 * next(float(m["value"]) for m in found if m["name"] == "ScriptDuration")

    def close(self) -> None:
        """The visitor has gone."""
        self._context.close()


def start_ms(browser: Any, address: str, code: str, held: bool) -> float:
    """What running `code` costs in a new page."""
    watched = Watched(browser, address)
    before = watched.script_ms()
    watched.page.evaluate(BEGIN, [code, held])
    if not held:
        watched.page.wait_for_timeout(100)
    took = watched.script_ms() - before
    watched.close()
    return took


def event_ms(browser: Any, address: str, code: str, act: str | None) -> float:
    """What one interaction costs in a page where `code` has run."""
    watched = Watched(browser, address)
    watched.page.evaluate(BEGIN, [code, False])
    watched.page.wait_for_timeout(SETTLE_MS)
    before = watched.script_ms()
    if act is None:
        for _ in range(EVENTS):
            watched.page.mouse.click(60, 60)
    else:
        watched.page.evaluate(DISPATCH, [act, EVENTS])
    watched.page.wait_for_timeout(SETTLE_MS)
    took = (watched.script_ms() - before) / EVENTS
    watched.close()
    return took


def one_round(browser: Any, address: str, figures: dict[str, list[float]]) -> None:
    """Every figure with and without the SDK in turn."""
    code, none = SCRIPT.read_text(encoding="ascii"), "window.none = 1"
    for name, held in (("start", True), ("start, with what waits", False)):
        for _ in range(STARTS):
            took = start_ms(browser, address, code, held) - start_ms(browser, address, none, held)
            figures.setdefault(name, []).append(took)
    for name, act in (("real click", None), *ACTS.items()):
        took = event_ms(browser, address, code, act) - event_ms(browser, address, none, act)
        figures.setdefault(name, []).append(took)


def main() -> None:
    """Run, print, keep."""
    report = Report("sdk")
    figures: dict[str, list[float]] = {}
    with site() as address, chromium() as browser:
        for _ in range(report.rounds(ROUNDS)):
            one_round(browser, address, figures)
    report.figures = dict(figures)
    rows = [[name, spread(values).text(3)] for name, values in figures.items()]
    report.say(table(["CPU of the main thread", "ms"], rows))
    for name, values in figures.items():
        limit = START_MS if name == "start" else EVENT_MS
        if name != "start, with what waits":
            report.goal(name, statistics.median(values), limit, "ms")
    report.finish()


if __name__ == "__main__":
    main()
