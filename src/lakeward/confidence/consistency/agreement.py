"""How far the sides agree, and how sure that is.

In: the votes of each witness on each claim. Out: `Alignment`s. Pure; the same votes in any order
give the same figures.

    of one claim    supports / (supports + contradicts), over the witnesses that speak of it
    of one source   100 times the mean over the claims that at least one witness speaks of
    overall         the mean of the sources that say anything

Silence is in none of these: it lowers `coverage` and raises no agreement. The interval holds 90 %
of what comes out when the witnesses are drawn anew, and with each draw one more witness who agrees
with everything or with nothing, by the toss of a coin: five voices cannot be as sure as fifty.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Final

from lakeward.confidence.consistency.findings import WITNESSES, Alignment, Witnessing

DRAWS: Final = 400
SEED: Final = 20260
Ballot = Mapping[int, bool]
"""Of one witness: the claims he speaks of, and whether he supports them."""
Ballots = Mapping[Witnessing, Sequence[Ballot]]


def alignments(ballots: Ballots, claims: int) -> dict[str, Alignment]:
    """`employee`, `customer` and `demo` with the CEO, `employee_customer`, and `overall`."""
    # Drawing is from a list: its order must not depend on who was read first.
    ordered = {kind: sorted(ballots.get(kind, ()), key=_order) for kind in WITNESSES}
    chance = random.Random(SEED)  # noqa: S311 - a draw of witnesses, no secret
    drawn: list[dict[str, float]] = []
    if any(ballot for kind in WITNESSES for ballot in ordered[kind]):
        drawn = [_scores(_draw(ordered, claims, chance)) for _ in range(DRAWS)]
    found = _scores(ordered)
    names = (*WITNESSES, "employee_customer", "overall")
    return {name: _alignment(name, found, drawn, ordered, claims) for name in names}


def _order(ballot: Ballot) -> tuple[tuple[int, bool], ...]:
    return tuple(sorted(ballot.items()))


def _draw(
    ordered: Mapping[Witnessing, Sequence[Ballot]], claims: int, chance: random.Random
) -> dict[Witnessing, list[Ballot]]:
    drawn: dict[Witnessing, list[Ballot]] = {}
    for kind in WITNESSES:
        own = ordered[kind]
        spoken = {claim for ballot in own for claim in ballot}
        if not spoken:
            continue
        agrees = chance.random() < 0.5
        stranger = dict.fromkeys(sorted(spoken), agrees)
        drawn[kind] = [*chance.choices(own, k=len(own)), stranger]
    return drawn


def _shares(ballots: Sequence[Ballot]) -> dict[int, float]:
    """Of each claim that is spoken of, the share of witnesses that support it."""
    yes: dict[int, int] = {}
    spoken: dict[int, int] = {}
    for ballot in ballots:
        for claim, agrees in ballot.items():
            spoken[claim] = spoken.get(claim, 0) + 1
            yes[claim] = yes.get(claim, 0) + agrees
    return {claim: yes[claim] / count for claim, count in spoken.items()}


def _scores(ballots: Mapping[Witnessing, Sequence[Ballot]]) -> dict[str, float]:
    shares = {kind: _shares(ballots.get(kind, ())) for kind in WITNESSES}
    scores: dict[str, float] = {
        kind: 100 * _mean(sorted(own.values())) for kind, own in shares.items() if own
    }
    if scores:
        scores["overall"] = _mean(list(scores.values()))
    employees, customers = shares["employee"], shares["customer"]
    if both := sorted(employees.keys() & customers.keys()):
        apart = [abs(employees[claim] - customers[claim]) for claim in both]
        scores["employee_customer"] = 100 * (1 - _mean(apart))
    return scores


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _alignment(
    name: str, found: Mapping[str, float], drawn: Sequence[Mapping[str, float]],
    ballots: Mapping[Witnessing, Sequence[Ballot]], claims: int,
) -> Alignment:  # fmt: skip
    kinds: tuple[Witnessing, ...] = WITNESSES
    if name == "employee_customer":
        kinds = ("employee", "customer")
    elif name != "overall":
        kinds = tuple(kind for kind in WITNESSES if kind == name)
    spoken = [{claim for ballot in ballots[kind] for claim in ballot} for kind in kinds]
    common = set.intersection(*spoken) if name == "employee_customer" else set().union(*spoken)
    coverage = len(common) / claims if claims else 0.0
    witnesses = sum(len(ballots[kind]) for kind in kinds)
    if name not in found:
        return Alignment(coverage=coverage, witnesses=witnesses)
    score = found[name]
    values = sorted(draw[name] for draw in drawn if name in draw)
    tail = len(values) // 20
    low, high = (values[tail], values[-tail - 1]) if values else (score, score)
    return Alignment(
        score=round(score, 2),
        low=round(min(low, score), 2),
        high=round(max(high, score), 2),
        coverage=round(coverage, 4),
        witnesses=witnesses,
    )
