"""The quick form of funnels beside the one that every engine takes: the same rows, of any lake."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from asked import Row, answered_twice, fill
from lakeward.analysis.filters import Filter
from lakeward.analysis.funnel import Exclusion, Funnel, FunnelTimes, FunnelUnits
from lakeward.analysis.step import Step

HOUR_MS = 3_600_000
WITHIN_MS = 6 * HOUR_MS
STEPS = tuple(Step(event=name) for name in ("visit", "look", "ask", "buy"))
TYPES = ("visit",) * 8 + ("look",) * 4 + ("ask",) * 2 + ("buy", "leave", "click")


def _rows() -> Iterator[Row]:
    """Two units with three hundred interactions each and eighty with few, through a night on
    which clocks go back; every third moment is shared, every tenth a window's edge from another."""
    dice = random.Random(7)
    sizes = {f"heavy-{n}": 300 for n in range(2)} | {f"u'{n}é": 1 + n % 23 for n in range(80)}
    night = 1_761_436_800_000  # 2025-10-26T00:00:00Z, an hour before Berlin's clocks go back
    for unit, size in sizes.items():
        moments = [night - 9 * HOUR_MS]
        for _ in range(size):
            choice = dice.random()
            ms = dice.choice(moments[-20:])
            if choice > 0.4:
                ms = night + dice.randrange(-12 * HOUR_MS, 12 * HOUR_MS)
            elif choice > 0.3:
                ms += WITHIN_MS + dice.choice((-1, 0, 0, 1))
            moments.append(ms)
            yield {
                "ms": ms, "interaction_type": dice.choice(TYPES), "session_id": unit,
                "user_id": unit if dice.random() < 0.8 else "anonymous",
                "anonymous_id": f"a-{unit}", "device": dice.choice(("phone", "laptop", None)),
                "route": dice.choice(("/a", "/b")), "bot": dice.random() < 0.02,
                "interaction_id": f"0198a000-0000-7000-8000-{dice.getrandbits(48):012x}",
            }  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def filled() -> None:
    """The same rows for all tests."""
    fill(_rows())


LEAVE = Exclusion(event="leave")
WAYS: list[tuple[str, dict[str, Any]]] = [
    ("two steps", {"steps": STEPS[:2]}),
    ("four steps", {"steps": STEPS}),
    ("a step that comes again", {"steps": (STEPS[0], STEPS[1], STEPS[0], STEPS[2])}),
    ("ten steps", {"steps": STEPS[:2] * 5}),
    ("a millisecond", {"steps": STEPS, "within": 0.001}),
    ("a week", {"steps": STEPS, "within": 604_800}),
    ("by a field", {"steps": STEPS, "by": ("device",)}),
    ("by hour where clocks go back", {"steps": STEPS, "by": ("hour", "route"),
                                      "zone": "Europe/Berlin"}),
    ("of persons", {"steps": STEPS, "unit": "person", "by": ("day",), "zone": "Europe/Berlin"}),
    ("of users", {"steps": STEPS, "unit": "user_id"}),
    ("of a field without a value", {"steps": STEPS, "unit": "country"}),
    ("barred", {"steps": STEPS, "exclude": (LEAVE,)}),
    ("barred at one step", {"steps": STEPS, "exclude": (Exclusion(event="leave", after=2),)}),
    ("barred by two", {"steps": STEPS, "by": ("device",),
                       "exclude": (LEAVE, Exclusion(event="click", after=1))}),
    ("barred by a step", {"steps": STEPS, "exclude": (Exclusion(event="visit", after=2),)}),
    ("filtered", {"steps": (
        Step(event="visit", where=Filter(field="route", values=("/a",))),
        Step(event="look", where=Filter(field="device", op="unknown")),
    )}),
    ("in a time", {"steps": STEPS, "since": datetime(2025, 10, 25, 18, tzinfo=UTC),
                   "until": datetime(2025, 10, 26, 6, tzinfo=UTC)}),
]  # fmt: skip


@pytest.mark.parametrize(
    "parameters", [ways for _, ways in WAYS], ids=[name.replace(" ", "-") for name, _ in WAYS]
)
def test_joins_find_what_windows_find(parameters: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"unit": "session_id", "within": WITHIN_MS / 1000} | parameters
    assert "ASOF" in Funnel(**asked).sql().text
    answered_twice(Funnel(**asked))
    for step in (1, 2):
        answered_twice(FunnelUnits(**asked, step=step, dropped=step == 1))
    if not asked.get("by"):
        answered_twice(FunnelTimes(**asked))


@pytest.mark.parametrize(
    "parameters",
    [
        {"steps": STEPS, "order": "strict"},
        {"steps": STEPS, "order": "any"},
        {"steps": STEPS, "hold": ("device",)},
        {"steps": (Step(), *STEPS)},
        {"steps": (STEPS[0], *STEPS)},
    ],
)
def test_what_joins_cannot_tell_is_left_to_windows(parameters: dict[str, Any]) -> None:
    question = Funnel(**parameters)
    assert "ASOF" not in question.sql().text
    assert "ASOF" not in question.sql().text
