"""What a demo came to, in figures that do not depend on who was quicker; and how two differ.

In: figures that were expected and figures that were found. Out: a sentence for each difference.
The same shape is filled from the plan (`truth.py`), from the log, and by SQL (`evidence.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec


class Step(msgspec.Struct, frozen=True):
    """People who came to one step of a flow, and who finished it."""

    entered: int = 0
    completed: int = 0


class Flow(msgspec.Struct, frozen=True):
    """One flow; `abandoned` is what the quiet flows conclude, None where they are not watched."""

    steps: dict[str, Step]
    completed: int = 0
    abandoned: int | None = None


class Match(msgspec.Struct, frozen=True):
    """A partner shown to a contractor."""

    partner: str
    score: float
    rank: int


class Deals(msgspec.Struct, frozen=True):
    """Deals in one currency."""

    count: int = 0
    value: float = 0.0


class Feedback(msgspec.Struct, frozen=True):
    """All feedback; scores are means by category, rounded to three places."""

    count: int = 0
    scores: dict[str, float] = {}
    overall: float = 0.0
    nps: float = 0.0
    recommend: int = 0


class Coach(msgspec.Struct, frozen=True):
    """Conversations with the coach, their turns, and what people said of the answers.

    Tokens are known where the bundled assistant answers, a cost where the demo's price counts; the
    log knows tokens only.
    """

    conversations: int = 0
    turns: int = 0
    helpful: int = 0
    unhelpful: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


class Arm(msgspec.Struct, frozen=True):
    """People who were shown one variant of an experiment, and those of them who booked a demo."""

    users: int = 0
    conversions: int = 0


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """One day (UTC) of the past."""

    date: str
    types: dict[str, int] = {}
    """Interactions by type."""
    visitors: int = 0
    """People whom the platform knew and who called it."""
    flows: dict[str, Flow] = {}
    bookings: dict[str, int] = {}
    """Changes of bookings by status."""
    deals: dict[str, Deals] = {}
    """By currency."""
    turns: int = 0
    """Of the coach."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    """None where other prices than the demo's count."""
    helpful: int = 0
    unhelpful: int = 0
    feedback: int = 0
    overall: float | None = None
    """Mean mark of the feedback."""
    errors: dict[str, int] = {}
    """Answers of 400 and above by route."""


class Cohort(msgspec.Struct, frozen=True):
    """People who called the platform for the first time in the week from that Monday on."""

    week: str
    size: int
    returned: list[int]
    """Who did in that week and each one after it."""


class History(msgspec.Struct, frozen=True, kw_only=True):
    """The days before the run, the last being the run's own up to its beginning."""

    days: list[Day] = []
    outage_day: str = ""
    spike_day: str = ""
    """On which the coach was expensive."""
    experiment_began: str = ""
    experiments: dict[str, dict[str, Arm]] = {}
    retention: list[Cohort] = []


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is counted. Later figures get fields with defaults."""

    flows: dict[str, Flow] = {}
    matches: dict[str, list[Match]] = {}
    """What each contractor was shown, the best first. Whose key is whose is not compared."""
    bookings: dict[str, int] = {}
    """Changes of bookings by status."""
    deals: dict[str, Deals] = {}
    """By currency."""
    feedback: Feedback = Feedback()
    coach: Coach = Coach()
    onboardings: dict[str, int] = {}
    """By status."""
    content: dict[str, int] = {}
    """Content interactions by kind."""
    messages: dict[str, int] = {}
    """Messages sent by template."""
    ctas: int = 0
    """Calls to action that were followed."""
    failed_requests: int = 0
    """Requests that met the outage."""
    experiments: dict[str, dict[str, Arm]] = {}
    """By experiment and variant."""
    history: History | None = None
    """The past that the lake was given; the run's own figures are without it."""


UNKNOWN: Final = (".abandoned", ".input_tokens", ".output_tokens", ".cost_usd")
"""Figures that one side may not know."""


def differences(expected: Figures, found: Figures, where: str = "the lake") -> list[str]:
    """A sentence for each figure that is not as expected."""
    told = [
        f"{name}: {_say(want)} expected, {where} has {_say(have)}"
        for name, want, have in _apart(_plain(expected), _plain(found), "")
    ]
    return told + [*_matches(expected.matches, found.matches, where)]


def _plain(figures: Figures) -> dict[str, Any]:
    built: dict[str, Any] = msgspec.to_builtins(figures)
    del built["matches"], built["history"]
    return built


def _apart(want: object, have: object, name: str) -> Iterator[tuple[str, object, object]]:
    if isinstance(want, Mapping) or isinstance(have, Mapping):
        left: Mapping[str, object] = want if isinstance(want, Mapping) else {}
        right: Mapping[str, object] = have if isinstance(have, Mapping) else {}
        for key in sorted({*left, *right}):
            yield from _apart(left.get(key, 0), right.get(key, 0), f"{name}.{key}".lstrip("."))
    elif name.endswith(UNKNOWN) and (want is None or have is None):
        return
    elif isinstance(want, float) or isinstance(have, float):
        if abs(float(str(want)) - float(str(have))) > (1e-6 if name.endswith("usd") else 0.0015):
            yield name, want, have
    elif want != have:
        yield name, want, have


def _say(figure: object) -> str:
    return f"{figure:,}" if isinstance(figure, int | float) else str(figure)


def _matches(
    want: Mapping[str, Sequence[Match]], have: Mapping[str, Sequence[Match]], where: str
) -> Iterator[str]:
    wanted = Counter(_told(shown) for shown in want.values())
    found = Counter(_told(shown) for shown in have.values())
    for shown, n in sorted((wanted - found).items()):
        yield f"matches: {n} contractor(s) with {shown} expected and not in {where}"
    for shown, n in sorted((found - wanted).items()):
        yield f"matches: {where} has {n} contractor(s) with {shown} that nobody expects"


def _told(shown: Sequence[Match]) -> str:
    ordered = sorted(shown, key=lambda match: (match.rank, match.partner))
    return ", ".join(f"{match.rank}. {match.partner} at {match.score:.1f}" for match in ordered)
