"""Lakes for the pages AI, Partners and Anomalies: a few days of turns, of partners, and of a route
that fails, with hostile text in what visitors may send.

In: a lake and the present moment. Out: rows in its table, and incidents in its database.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from alert_lake import DAY, FIVE, HOUR, Row, settings_of, spread, written
from conftest import Lake
from lakeward.alerts.opening import opened_desk
from lakeward.alerts.rules import read
from lakeward.alerts.signal import Signal
from lakeward.alerts.watching import look
from server_process import Serving, serving

HOSTILE = "<img src=x onerror=alert(1)>\u202egnp.exe {{1}}"
"""Markup, text that runs backwards, a template."""
MODELS = {"gpt-4o": 0.02, "claude-4": 0.03, "house-1": None}
"""What a turn of each costs; one has no price."""
FAILING = "route:/checkout errors"


def turn_id(n: int) -> str:
    return f"0198a000-0000-7000-8000-{n:012x}"


def turns(now_ms: int) -> Iterator[Row]:
    """Sixty turns of twenty conversations in the last five days, with ratings and outcomes."""
    models = list(MODELS)
    for n in range(60):
        model, talk = models[n % 3], f"talk-{n // 3}" if n // 3 else HOSTILE
        at = now_ms - 5 * DAY + n * 2 * HOUR - 600_000
        failed = n % 10 == 9
        told: dict[str, Any] = {
            "model_answered": model, "feature": "coach" if n // 3 % 2 else "summary", "turn": n % 3,
            "status": "failed" if failed else "completed", "cost_usd": MODELS[model],
            "input_tokens": 400, "output_tokens": 100,
            "duration_ms": 800 + 40 * n, "time_to_first_token_ms": 200 + n,
            "tokens_source": "estimated" if n % 6 == 0 else "reported",
        }  # fmt: skip
        said = [
            {"role": "user", "content": HOSTILE if n == 0 else f"Question {n} about pricing"},
            {"role": "assistant", "content": [{"type": "text", "text": f"Answer {n}"}]},
        ]
        yield {
            "ms": at, "interaction_id": turn_id(n), "interaction_type": "ai_conversation",
            "conversation_id": talk, "user_id": f"u{n // 3 % 4}", "trace_id": f"{n:032x}",
            "ai_metadata": {name: value for name, value in told.items() if value is not None},
            "messages": said if n != 2 else None, "service": "web",
            "error_type": "RateLimitError" if failed else None,
        }  # fmt: skip
        if n % 2 == 0:
            yield {
                "ms": at + 60_000, "interaction_type": "ai_rating", "user_id": f"u{n // 3 % 4}",
                "parent_interaction_id": turn_id(n), "service": "web",
                "ai_metadata": {"helpful": n % 8 != 0, "rating": 4, "reason": "clear"},
            }  # fmt: skip


def partners(now_ms: int) -> Iterator[Row]:
    """Three partners with matches, demos, deals in two currencies, feedback, and one who joins."""
    for n in range(30):
        partner = f"p{n % 3}" if n % 3 else HOSTILE
        at = now_ms - 6 * DAY + n * 4 * HOUR
        common = {"partner_id": partner, "user_id": f"c{n}", "service": "web"}
        yield {
            "ms": at,
            "interaction_type": "partner_match",
            "outcomes": {"score": 60 + n},
            **common,
        }
        status = ("held", "no_show", "cancelled", "booked")[n % 4]
        for step, word in enumerate(dict.fromkeys(("booked", status))):
            yield {
                "ms": at + (step + 1) * HOUR, "interaction_type": "demo_booking",
                "outcomes": {"booking_id": f"b{n}", "status": word}, **common,
            }  # fmt: skip
        if n % 5 == 0:
            money = "EUR" if n % 10 else "USD"
            yield {
                "ms": at + 3 * HOUR, "interaction_type": "deal_closed",
                "outcomes": {"deal_id": f"d{n}", "value": 1000 + n, "currency": money}, **common,
            }  # fmt: skip
        if n % 2:
            yield {
                "ms": at + 4 * HOUR, "interaction_type": "feedback_submission",
                "feedback": {"overall": 6 + n % 5}, **common,
            }  # fmt: skip
    yield {
        "ms": now_ms - DAY, "interaction_type": "partner_onboarding", "partner_id": "p1",
        "outcomes": {"status": "step_completed", "steps_completed": 2, "steps_total": 4},
    }  # fmt: skip


def calls(now_ms: int) -> Iterator[Row]:
    """Three days of calls of a route that fails since an hour."""
    call = {
        "interaction_type": "api_call",
        "route": "/checkout",
        "method": "GET",
        "path": "/checkout",
    }
    for n, row in enumerate(spread(now_ms - 3 * DAY, now_ms, FIVE, lambda _: 20, "a", **call)):
        failed = n % 2 and row["ms"] >= now_ms - HOUR
        yield row | {"response_status": 500 if failed else 200, "response_time_ms": 20.0 + n % 30}


RULES = """
[[budget]]
name = "AI"
amount = 1.2
per = "month"

[[threshold]]
name = "slow"
event = "api_call"
metric = "p95"
above = 500
minutes = 15
"""


def fell_ill(lake: Lake, now_ms: int) -> None:
    """What the watch says of the calls, and incidents that are over, one of six series."""
    (lake.root.parent / "alerts.toml").write_text(RULES)
    settings = settings_of(lake)
    rules = read(settings)
    past = [
        Signal(
            series=f"type:kind{n} {HOSTILE}"[:90], kind="anomaly", wrong=wrong, begins=wrong,
            at=now_ms - 2 * DAY + (0 if wrong else HOUR), seconds=300.0, value=40.0 + n,
            expected=5.0, low=0.0, high=12.0, unit="interactions", direction="up",
            why=f"type:kind{n}: {40 + n} where 5 was expected.",
        )
        for wrong in (True, False)
        for n in range(6)
    ]  # fmt: skip
    with opened_desk(lake.open(), settings, rules) as desk:
        desk.take(past[:6], now_ms - 2 * DAY + FIVE)
        desk.take(past[6:], now_ms - 2 * DAY + HOUR + FIVE)
        look(lake.open(), settings, rules, desk, now_ms=now_ms - HOUR + 60_000)
        look(lake.open(), settings, rules, desk, now_ms=now_ms + 60_000)


def filled(lake: Lake, rows: Iterator[Row]) -> list[Row]:
    """These rows in the lake's table; what they are."""
    made = [{name: value for name, value in row.items() if value is not None} for row in rows]
    written(lake, made)
    return made


@contextmanager
def business(
    factory: pytest.TempPathFactory, make: Callable[[Lake, int], None]
) -> Iterator[tuple[Lake, Serving, int]]:
    """A server on a lake that `make` fills; the hour that is taken for now."""
    folder = factory.mktemp("business")
    lake = Lake(folder / "data-lake", folder / "rings")
    lake.ring_dir.mkdir(mode=0o700)
    now_ms = time.time_ns() // 1_000_000
    now_ms -= now_ms % HOUR
    try:
        make(lake, now_ms)
        with serving(lake) as server:
            yield lake, server, now_ms
    finally:
        lake.close()


def violations(page: Any) -> list[str]:
    """What axe finds, and where."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")

    return [
        f"{one['id']} at {[node['target'] for node in one['nodes']][:3]}"
        for one in axe.Axe().run(page).response["violations"]
    ]
