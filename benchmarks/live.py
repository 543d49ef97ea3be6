"""From an answer to a changed page: how long until a person sees what an application has just done.

An application under uvicorn, captured by Lakeward, is asked 200 times a second, each time for
another path. A server of the same lake, a process of its own, feeds the live page in Chromium,
which notes when each path has been drawn: in the frame after the one in which its row came. The
clock starts when the client has read the answer. A row that never came counts as endless.
"""

from __future__ import annotations

import contextlib
import http.client
import threading
import time

from measure import Report, Talker, quantile, scratch, spread, table
from page import chromium
from traffic import headers

RATE, SECONDS, CLIENTS = 200, 20, 4
LIMIT_MS = 2_000.0
SETTLE_SECONDS = 10.0

WATCH = """
window.drawn = {};
new MutationObserver((changes) => {
  const rows = changes.flatMap((change) => [...change.addedNodes])
    .flatMap((node) => node.querySelectorAll ? [...node.querySelectorAll('.open')] : []);
  const found = rows.map((row) => row.textContent.split('/').pop());
  requestAnimationFrame(() => {
    const now = performance.timeOrigin + performance.now();
    for (const n of found) window.drawn[n] ??= now;
  });
}).observe(document, { childList: true, subtree: true });
"""


def ask(port: int, numbers: range, start: float, answered: dict[int, float]) -> None:
    """One client: its share of the requests, each at its own time."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    sent = {name.decode(): value.decode() for name, value in headers(1)}
    for n in numbers:
        time.sleep(max(start + n / RATE - time.monotonic(), 0))
        connection.request("GET", f"/api/partners/{n}", headers=sent)
        connection.getresponse().read()
        answered[n] = time.time() * 1000
    connection.close()


def one_round(number: int) -> list[float]:
    """Milliseconds from answer to page, one for each request, in order of size."""
    answered: dict[int, float] = {}
    total = RATE * SECONDS
    with contextlib.ExitStack() as stack:
        environ = stack.enter_context(scratch())
        app = stack.enter_context(Talker("serving.py", "on", environ=environ)).greeting["port"]
        ask(app, range(1), time.monotonic(), {})
        port = stack.enter_context(Talker("page.py", environ=environ)).greeting["port"]
        page = stack.enter_context(chromium()).new_page()
        page.add_init_script(WATCH)
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector(".status.live")
        start = time.monotonic() + 0.5
        clients = [
            threading.Thread(
                target=ask, args=(app, range(n + 1, total + 1, CLIENTS), start, answered)
            )
            for n in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        deadline = time.monotonic() + SETTLE_SECONDS
        drawn: dict[str, float] = {}
        while time.monotonic() < deadline and not all(str(n) in drawn for n in answered):
            page.wait_for_timeout(200)
            drawn = page.evaluate("window.drawn")
    return sorted(drawn.get(str(n), float("inf")) - at for n, at in answered.items())


def main() -> None:
    """Measure and report."""
    report = Report("live")
    rounds = [one_round(n) for n in range(report.rounds(3))]
    rows = []
    for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("slowest", 1.0)):
        figures = spread([quantile(times, q) for times in rounds])
        report.figures[name] = [quantile(times, q) for times in rounds]
        rows.append([name, figures.text(0)])
    unseen = sum(time == float("inf") for times in rounds for time in times)
    report.say(table([f"answer to page at {RATE}/s", "ms"], rows))
    report.say(f"{sum(map(len, rounds)):,} requests in {len(rounds)} rounds, {unseen} never drawn.")
    worst = max(quantile(times, 0.95) for times in rounds)
    report.goal("answer to changed page, p95 of the worst round", worst, LIMIT_MS, "ms")
    report.finish()


if __name__ == "__main__":
    main()
