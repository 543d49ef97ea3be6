"""What scrubbing costs on the calling thread.

    .venv/bin/python benchmarks/privacy.py

The default record has texts that were seen before, as on a running server. The body is decoded
JSON of 52 keys and 1.1 KB whose values are new in every call and whose names are not. Each figure
is the best and the median of many repeats; on a shared machine compare the best.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import msgspec

from lakeward.privacy import Scrubber

AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36"
)
WORDS = ("contract", "partner", "invoice", "harbor", "meadow", "violet", "copper", "winter")


def record() -> dict[str, Any]:
    return {
        "method": "GET",
        "path": "/api/partners/0198f7a2-1111-7abc-8def-1234567890ab/contracts",
        "user_id": "user-4711",
        "user_type": "partner",
        "response_status": 200,
        "response_time_ms": 12.5,
        "ip_address": "203.0.113.7",
        "user_agent": AGENT,
        "session_id": "0198f7a2-2222-8abc-8def-1234567890ab",
        "referrer": "https://app.example.com/partners?page=2",
    }


def body(chance: random.Random) -> dict[str, Any]:
    """About 1.1 KB: names, ids, times, an address, numbers, flags and two nested objects."""

    def word() -> str:
        return f"{chance.choice(WORDS)}{chance.randrange(1000)}"

    out: dict[str, Any] = {
        "id": f"0198f7a2-{chance.randrange(4096):04x}-7abc-8def-{chance.randrange(2**40):012x}",
        "created_at": f"2026-11-23T10:{chance.randrange(60):02d}:11.{chance.randrange(1000):03d}Z",
        "avatar_url": f"https://cdn.example.com/avatars/{word()}.png",
        "comment": f"Please call {word()} about the {word()} tomorrow afternoon",
        "password": word(),
        "access_token": word() * 2,
        "contact": {"first_name": word(), "last_name": word(), "city": word(), "zip_code": "94110"},
        "totals": {"net": chance.random(), "gross": chance.random(), "items": chance.randrange(99)},
    }
    for index in range(14):
        out[f"label_{index}"] = word()
        out[f"amount_{index}"] = chance.randrange(100_000)
    for index in range(9):
        out[f"active_{index}"] = chance.random() < 0.5
    return out


def report(name: str, taken: list[float], size: float = 0) -> None:
    best, median = min(taken), statistics.median(taken)
    per_kb = f"   {size:.0f} bytes: best {best / size * 1024:.2f} µs/KB" if size else ""
    print(f"{name:44} best {best:7.2f} µs   median {median:7.2f} µs{per_kb}")


def measure(name: str, call: Callable[[Any], object], item: object) -> None:
    """The same item again and again: all its texts were seen before."""
    taken = []
    for _ in range(300):
        start = time.perf_counter_ns()
        for _ in range(1000):
            call(item)
        taken.append((time.perf_counter_ns() - start) / 1_000_000)
    report(name, taken)


def measure_new(
    name: str, call: Callable[[Any], object], make: Callable[[], Any], per_kb: bool = False
) -> None:
    """Items whose values were never seen; their names were."""
    taken, sizes = [], []
    for _ in range(200):
        given = [make() for _ in range(20)]
        sizes += [len(msgspec.json.encode(item)) for item in given]
        start = time.perf_counter_ns()
        for item in given:
            call(item)
        taken.append((time.perf_counter_ns() - start) / 20_000)
    report(name, taken, statistics.mean(sizes) if per_kb else 0)


def main() -> None:
    chance = random.Random(7)
    scrubber = Scrubber()
    fields, value, text = scrubber.fields, scrubber.value, scrubber.text

    def new_session() -> dict[str, Any]:
        number = f"{chance.randrange(2**40):012x}"
        return record() | {
            "path": f"/api/partners/{chance.randrange(10**6)}/contracts",
            "user_id": f"user-{number}",
            "session_id": f"0198f7a2-2222-8abc-8def-{number}",
        }

    def all_new() -> dict[str, Any]:
        number = chance.randrange(10**9)
        return new_session() | {
            "user_agent": f"{AGENT} {number}",
            "referrer": f"https://app.example.com/partners?page={number}",
        }

    def as_text() -> str:
        return msgspec.json.encode(body(chance)).decode()

    measure("default record, texts seen before", fields, record())
    measure_new("default record, path, user and session new", fields, new_session)
    measure_new("default record, every text new", fields, all_new)
    measure_new("decoded body, 52 keys, values new", value, lambda: body(chance), per_kb=True)
    measure_new("the same body, still JSON text", text, as_text, per_kb=True)


if __name__ == "__main__":
    main()
