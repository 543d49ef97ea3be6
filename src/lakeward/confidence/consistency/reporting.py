"""The report: what the CEO claims, against what employees, customers and demos say.

In: statements of any number of people, and a model. Out: a `Report`. Fails only as the model does.
The order of the statements changes nothing. Limits are below; what lies beyond them is counted
in `left_out` by reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from lakeward.confidence.consistency.advice import Heard, recommendations
from lakeward.confidence.consistency.agreement import Ballot, alignments
from lakeward.confidence.consistency.claims import Claim, claims
from lakeward.confidence.consistency.comparing import strongest
from lakeward.confidence.consistency.findings import (
    WITNESSES,
    Checked,
    Discrepancy,
    Report,
    Source,
    Statement,
    Unread,
    Votes,
    Witnessing,
)
from lakeward.confidence.consistency.models import Model, default
from lakeward.confidence.consistency.relation import Relation, View, relate
from lakeward.confidence.consistency.wording import cleaned
from lakeward.settings import load

LONGEST_STATEMENT: Final = 20_000
MOST_STATEMENTS: Final = 2_000
MOST_CLAIMS: Final = 50
MOST_WITNESSES: Final = 200
MOST_SENTENCES: Final = 100
"""Of one witness."""
MOST_PAIRS: Final = 30_000
MOST_DISCREPANCIES: Final = 100


class Witness(msgspec.Struct, frozen=True):
    """One witness and his sentences."""

    source: Witnessing
    witness_id: str
    quotes: tuple[str, ...]


class _LeftOut:
    """Counts what is not compared."""

    def __init__(self) -> None:
        self.counts: dict[Unread, int] = {}

    def add(self, reason: Unread, count: int = 1) -> None:
        if count > 0:
            self.counts[reason] = self.counts.get(reason, 0) + count


def report(statements: Iterable[Statement], model: Model | None = None) -> Report:
    """Compare every claim of the CEO with every witness."""
    chosen = model if model is not None else default(load().embedding_model)
    left_out = _LeftOut()
    texts = _gathered(statements, left_out)
    claimed = _claimed(texts, left_out)
    witnesses = _witnesses(texts, left_out)
    heard = _heard(claimed, witnesses, chosen, left_out)
    ballots: dict[Witnessing, list[Ballot]] = {kind: [] for kind in WITNESSES}
    for one in heard:
        ballots[one.source].append(_ballot(one))
    found = alignments(ballots, len(claimed))
    checked = _checked(claimed, heard)
    discrepancies = _discrepancies(claimed, heard)
    return Report(
        overall=found["overall"],
        ceo_employee=found["employee"],
        ceo_customer=found["customer"],
        ceo_demo=found["demo"],
        employee_customer=found["employee_customer"],
        claims=checked,
        discrepancies=discrepancies[:MOST_DISCREPANCIES],
        recommendations=recommendations(checked, discrepancies, heard),
        witness_alignment=_shares(heard),
        model=chosen.name,
        left_out=dict(sorted(left_out.counts.items())),
    )


def _gathered(
    statements: Iterable[Statement], left_out: _LeftOut
) -> dict[tuple[Source, str], list[str]]:
    """What each person says, in an order that does not depend on theirs."""
    found: dict[tuple[Source, str], list[str]] = {}
    every = sorted(statements, key=lambda s: (s.source, s.witness_id, s.text))
    left_out.add("too_many_statements", len(every) - MOST_STATEMENTS)
    for statement in every[:MOST_STATEMENTS]:
        if not statement.text.strip():
            left_out.add("empty")
            continue
        if len(statement.text) > LONGEST_STATEMENT:
            left_out.add("too_long")
        own = found.setdefault((statement.source, statement.witness_id), [])
        own.append(statement.text[:LONGEST_STATEMENT])
    return found


def _claimed(texts: dict[tuple[Source, str], list[str]], left_out: _LeftOut) -> list[Claim]:
    """The CEO's claims, each once."""
    found: dict[str, Claim] = {}
    for (source, _), own in texts.items():
        if source == "ceo":
            for claim in (claim for text in own for claim in claims(text)):
                found.setdefault(cleaned(claim.quote).rstrip(".!"), claim)
    left_out.add("too_many_claims", len(found) - MOST_CLAIMS)
    return list(found.values())[:MOST_CLAIMS]


def _witnesses(texts: dict[tuple[Source, str], list[str]], left_out: _LeftOut) -> list[Witness]:
    found: list[Witness] = []
    for kind in WITNESSES:
        own = [(name, said) for (source, name), said in texts.items() if source == kind]
        left_out.add("too_many_witnesses", len(own) - MOST_WITNESSES)
        for name, said in own[:MOST_WITNESSES]:
            quotes = list(dict.fromkeys(c.quote for text in said for c in claims(text)))
            left_out.add("too_many_sentences", len(quotes) - MOST_SENTENCES)
            found.append(Witness(kind, name, tuple(quotes[:MOST_SENTENCES])))
    return found


def _heard(
    claimed: Sequence[Claim], witnesses: Sequence[Witness], model: Model, left_out: _LeftOut
) -> list[Heard]:
    """Each witness on each claim. Every sentence goes through the model once."""
    quotes = [quote for witness in witnesses for quote in witness.quotes]
    room = MOST_PAIRS // max(len(claimed), 1)
    left_out.add("too_many_pairs", (len(quotes) - room) * len(claimed))
    quotes = list(dict.fromkeys(quotes[:room]))
    views = model.views([*(claim.quote for claim in claimed), *quotes])
    of_claims = views[: len(claimed)]
    of_quotes = dict(zip(quotes, views[len(claimed) :], strict=True))
    found = []
    for witness in witnesses:
        seen = [(quote, of_quotes[quote]) for quote in witness.quotes if quote in of_quotes]
        answers = [_best(seen, claim, model) for claim in of_claims]
        nearest = {quote: _nearest(view, of_claims) for quote, view in seen}
        unsaid = tuple((q, v.reading) for q, v in seen if nearest[q] < UNSAID)
        found.append(Heard(witness.source, witness.witness_id, tuple(answers), unsaid))
    return found


UNSAID: Final = 0.5
"""A sentence no nearer than this to any claim is of something that the CEO does not say."""


def _nearest(view: View, of_claims: Sequence[View]) -> float:
    return max((view.similarity(claim) for claim in of_claims), default=0.0)


def _best(
    seen: Sequence[tuple[str, View]], claim: View, model: Model
) -> tuple[str, Relation] | None:
    """What of a witness' words says most about a claim; one witness, one vote."""
    related = [(q, relate(view, claim, model.coefficients, model.name)) for q, view in seen]
    best = strongest(relation for _, relation in related)
    return next(((q, r) for q, r in related if r is best), None)


def _ballot(heard: Heard) -> dict[int, bool]:
    return {
        at: answer[1].label == "supports"
        for at, answer in enumerate(heard.answers)
        if answer is not None and answer[1].label != "not_addressed"
    }


def _checked(claimed: Sequence[Claim], heard: Sequence[Heard]) -> list[Checked]:
    found = []
    for at, claim in enumerate(claimed):
        votes: dict[str, Votes] = {}
        for kind in WITNESSES:
            labels = [
                answer[1].label if (answer := one.answers[at]) is not None else "not_addressed"
                for one in heard
                if one.source == kind
            ]
            votes[kind] = Votes(
                labels.count("supports"), labels.count("contradicts"), labels.count("not_addressed")
            )
        found.append(Checked(claim.quote, claim.kind, votes))
    return found


def _discrepancies(claimed: Sequence[Claim], heard: Sequence[Heard]) -> list[Discrepancy]:
    """The contradictions, the surest first."""
    found: list[tuple[float, Discrepancy]] = []
    for at, claim in enumerate(claimed):
        for one in heard:
            answer = one.answers[at]
            if answer is None or answer[1].label != "contradicts":
                continue
            quote, relation = answer
            reason = " ".join(reason.sentence for reason in relation.reasons)
            similarity = round(relation.similarity, 4)
            entry = Discrepancy(claim.quote, quote, one.source, one.witness_id, similarity, reason)
            found.append((relation.certainty, entry))
    found.sort(key=lambda pair: (-pair[0], pair[1].claim, pair[1].source, pair[1].witness_id))
    return [entry for _, entry in found]


def _shares(heard: Sequence[Heard]) -> dict[str, float | None]:
    """By witness; whoever speaks in two roles is one witness."""
    votes: dict[str, list[bool]] = {}
    for one in heard:
        votes.setdefault(one.witness_id, []).extend(_ballot(one).values())
    return {
        name: round(sum(own) / len(own), 4) if own else None for name, own in sorted(votes.items())
    }
