"""What to say or change, from what was found.

In: the checked claims, the discrepancies and what each witness said. Out: sentences for a person,
the most urgent first. Pure. Each names the claim or quote it rests on; where nothing was found,
nothing is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from lakeward.confidence.consistency.findings import (
    WITNESSES,
    Checked,
    Discrepancy,
    Witnessing,
)
from lakeward.confidence.consistency.lexicon import lexicon
from lakeward.confidence.consistency.reading import Reading
from lakeward.confidence.consistency.relation import Relation

MOST: Final = 20
LONGEST_QUOTE: Final = 160
CONFIRMED: Final = 3
"""Witnesses from which on a claim counts as well confirmed."""
PLURAL: Final[dict[Witnessing, str]] = {
    "employee": "employees", "customer": "customers", "demo": "demos",
}  # fmt: skip


class Heard(msgspec.Struct, frozen=True):
    """One witness: the quote that says most about each claim, and sentences of nothing claimed."""

    source: Witnessing
    witness_id: str
    answers: tuple[tuple[str, Relation] | None, ...]
    unsaid: tuple[tuple[str, Reading], ...]


def recommendations(
    checked: Sequence[Checked], discrepancies: Sequence[Discrepancy], heard: Sequence[Heard]
) -> list[str]:
    """What follows from the findings."""
    found = [
        *_mend(checked, discrepancies),
        *_divided(checked),
        *_silent(checked, heard),
        *_proven(checked),
        *_unsaid(heard),
    ]
    return found[:MOST]


def _quoted(text: str) -> str:
    if len(text) > LONGEST_QUOTE:
        text = text[: LONGEST_QUOTE - 1].rstrip() + "…"
    return f"“{text}”"


def _count(number: int, kind: Witnessing) -> str:
    return f"{number} {PLURAL[kind] if number != 1 else kind}"


def _mend(checked: Sequence[Checked], discrepancies: Sequence[Discrepancy]) -> list[str]:
    """Claims that are contradicted: what to do depends on what contradicts them."""
    found = []
    for claim in checked:
        own = [entry for entry in discrepancies if entry.claim == claim.claim]
        if not own:
            continue
        against = [
            _count(claim.votes[kind].contradicts, kind)
            for kind in WITNESSES
            if claim.votes[kind].contradicts
        ]
        who, first = " and ".join(against), own[0]
        if any("Numbers differ" in entry.reason for entry in own):
            first = next(entry for entry in own if "Numbers differ" in entry.reason)
            mend = "state the figure that holds, or mend what stands in its way"
        elif any("exceptions" in entry.reason for entry in own):
            mend = "name the exceptions, or end them"
        else:
            mend = "find out why before saying it again"
        verb = "contradict" if len(own) != 1 else "contradicts"
        quotes = f"{_quoted(claim.claim)} with {_quoted(first.quote)}"
        found.append((-len(own), f"{who} {verb} {quotes}: {mend}."))
    return [sentence for _, sentence in sorted(found)]


def _divided(checked: Sequence[Checked]) -> list[str]:
    """Claims on which employees and customers see opposite things."""
    found = []
    for claim in checked:
        employees, customers = claim.votes["employee"], claim.votes["customer"]
        for one, other, names in (
            (employees, customers, ("employees", "customers")),
            (customers, employees, ("customers", "employees")),
        ):
            if one.supports > one.contradicts and other.contradicts > other.supports:
                found.append(
                    f"On {_quoted(claim.claim)} {names[0]} agree and {names[1]} do not: let the "
                    "two sides compare what they see."
                )
    return found


def _silent(checked: Sequence[Checked], heard: Sequence[Heard]) -> list[str]:
    if not heard:
        return []
    return [
        f"No witness speaks of {_quoted(claim.claim)}: ask for it in the next survey, show it in a "
        "demo, or leave it out."
        for claim in checked
        if all(v.supports == v.contradicts == 0 for v in claim.votes.values())
    ]


def _proven(checked: Sequence[Checked]) -> list[str]:
    found = []
    for claim in checked:
        votes = claim.votes.values()
        yes, no = sum(v.supports for v in votes), sum(v.contradicts for v in votes)
        if yes >= CONFIRMED and not no:
            found.append((-yes, f"{yes} witnesses confirm {_quoted(claim.claim)}: say it first."))
    return [sentence for _, sentence in sorted(found)]


def _unsaid(heard: Sequence[Heard]) -> list[str]:
    """What two witnesses or more praise and no claim is near to."""
    judging = lexicon().good | lexicon().bad
    by_topic: dict[str, dict[tuple[str, str], str]] = {}
    for one in heard:
        for quote, reading in one.unsaid:
            if reading.judged <= 0:
                continue
            for word in reading.words:
                topic = word.token.lemmas[0]
                if topic not in judging and word.token.weight == 1.0 and not word.denied:
                    own = by_topic.setdefault(topic, {})
                    own.setdefault((one.source, one.witness_id), quote)
    found = [
        (-len(own), topic, min(own.values())) for topic, own in by_topic.items() if len(own) >= 2
    ]
    said: set[str] = set()
    sentences = []
    for negative, topic, quote in sorted(found):
        if quote not in said:
            said.add(quote)
            sentences.append(
                f"{-negative} witnesses praise {topic.replace('_', ' ')} ({_quoted(quote)}), which "
                "the CEO does not mention: consider saying it."
            )
    return sentences[:5]
