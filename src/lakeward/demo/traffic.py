"""Visitors of the demo: real HTTP requests over kept-alive connections, the same for one seed."""

from __future__ import annotations

import http.client
import json
import random
import threading
from collections import Counter

AGENTS = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/17.5 Safari/605",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
)
FOCUS = ("scheduling", "crm", "accounting", "hiring", "payroll")
VISITORS = 4
JSON = {"Content-Type": "application/json"}


def visit(port: int, requests: int, seed: int) -> Counter[int]:
    """Make `requests` requests from several visitors at once; how often each status came."""
    statuses: Counter[int] = Counter()
    threads = [
        threading.Thread(
            target=_visitor,
            args=(port, requests // VISITORS + (n < requests % VISITORS), seed + n, statuses),
        )
        for n in range(VISITORS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def _visitor(port: int, requests: int, seed: int, statuses: Counter[int]) -> None:
    dice = random.Random(seed)  # noqa: S311 - visitors, not secrets
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for n in range(requests):
        method, path, body = _step(dice, f"contractor-{seed}-{n % 17}")
        headers = {"User-Agent": dice.choice(AGENTS), **(JSON if body else {})}
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        answer.read()
        statuses[answer.status] += 1
        if answer.status >= 500:
            connection.close()  # the server closes after an exception; the next request reopens
    connection.close()


def _step(dice: random.Random, contractor: str) -> tuple[str, str, str | None]:
    """One request: method, path and JSON body."""
    kind = dice.choices(
        ("list", "one", "missing", "verify", "invalid", "match", "book", "coach", "invite",
         "health", "broken"),
        (24, 18, 3, 8, 2, 12, 6, 6, 3, 12, 1),
    )[0]  # fmt: skip
    partner = dice.choice(("p1", "p2", "p3"))
    token = f"{dice.getrandbits(160):040x}"
    steps = {
        "list": ("GET", f"/api/partners?focus={dice.choice(FOCUS)}", None),
        "one": ("GET", f"/api/partners/{partner}", None),
        "missing": ("GET", "/api/partners/p9", None),
        "verify": ("POST", "/api/verification", {"email": f"{contractor}@example.org",
                                                 "code": "4821"}),
        "invalid": ("POST", "/api/verification", {"email": "x"}),
        "match": ("POST", "/api/match", {"contractor": contractor,
                                         "focus": dice.sample(FOCUS, 2)}),
        "book": ("POST", "/api/demos", {"contractor": contractor, "partner": partner,
                                        "date": "2025-09-01"}),
        "coach": ("GET", "/api/coach", None),
        "invite": ("GET", f"/invite/{token}", None),
        "health": ("GET", "/health", None),
        "broken": ("GET", "/api/report", None),
    }  # fmt: skip
    method, path, body = steps[kind]
    return method, path, json.dumps(body) if body else None
