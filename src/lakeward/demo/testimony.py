"""What is said of three of the demo's partners, and the PowerConfidence that must come of it.

In: nothing; this is a plan, as `plan.py` is one. Out: for each of the three five employees, five
customers and five demos, fifteen points of evidence, and the known answer: the score, what is
contradicted, who looks as if they posed. `hearing.py` does what is planned, through the server's
own doors; nothing here reads anything back.

    p1  everybody says what the CEO says
    p2  customers say otherwise: the books are not closed when the CEO claims
    p3  one of the customers writes from an employee's network

Each of the three has another main focus area, so that none of them is the other's prior.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from lakeward.confidence import consistency
from lakeward.confidence.score import Answer, Flag, Rating, Source, score

FORMS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "employee": (
        ("leadership", "communication", "delivery", "expertise", "growth"),
        ("value_proposition", "strengths", "improvements"),
    ),
    "reference": (
        ("satisfaction", "communication", "delivery", "expertise", "value"),
        ("value_proposition", "results", "comments"),
    ),
}
"""Each form's five categories and three questions for words; besides, how likely and how long."""
REVIEWED: Final = ("clarity", "relevance", "proof")
TOLERANCE: Final = 0.05
"""Points: evidence ages while it is heard."""
QUESTIONS: Final = 10
"""Of either form."""
Form = Literal["employee", "reference"]


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """One person, and what that person answers."""

    name: str
    form: Form
    phone: str
    email: str
    network: str
    """From where the form is filled in."""
    ratings: tuple[int, int, int, int, int, int]
    """The five categories from 1 to 10, and how likely from 0 to 10."""
    texts: tuple[str, str, str]
    """An empty one was left out."""
    unreachable: bool = False
    """No SMS comes through: an e-mail does."""
    returns: bool = False
    """Saves first, and comes back."""

    @property
    def fields(self) -> dict[str, str]:
        """What is typed into the form."""
        rated, asked = FORMS[self.form]
        said = zip((*rated, "nps"), map(str, self.ratings), strict=True)
        words = {name: text for name, text in zip(asked, self.texts, strict=True) if text}
        return {**dict(said), **words, "months": "One to three years"}


class Demo(msgspec.Struct, frozen=True, kw_only=True):
    """A document in which a partner shows what it offers, and what it is rated."""

    title: str
    text: str
    ratings: tuple[int, int, int]


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """All that is said of one partner."""

    partner_id: str
    proposition: str
    witnesses: tuple[Witness, ...]
    demos: tuple[Demo, ...]


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What must come of it."""

    score: float
    """0 to 100."""
    points: int
    """Of evidence."""
    alignment: float | None
    """How far everybody agrees, 0 to 100."""
    contradicted: tuple[str, ...] = ()
    """What the CEO says, and somebody contradicts."""
    flags: tuple[str, ...] | None = ()
    """Kinds of what looks like manipulation; None where that is not told."""


def known(told: Case, now_ms: int, model: consistency.Model) -> Known:
    """The answer, from the plan and the rules alone; `model` is what sentences are compared by."""
    report = consistency.report(_statements(told), model=model)
    answers = [*_answers(told, now_ms)]
    answers += [
        msgspec.structs.replace(
            one, source="consistency", evidence_id=f"agreement {one.respondent_id}", text="",
            seconds=None, ratings={"agreement": Rating(share, 0, 1)},
        )
        for one in answers
        if one.source != "demos"
        and (share := report.witness_alignment.get(one.respondent_id)) is not None
    ]  # fmt: skip
    made = score(answers, now_ms=now_ms)
    return Known(
        score=round(made.value, 3), points=made.data_points, alignment=report.overall.score,
        contradicted=tuple(sorted({one.claim for one in report.discrepancies})),
        flags=kinds_of(made.flags),
    )  # fmt: skip


def differing(wanted: Mapping[str, Known], found: Mapping[str, Known], where: str) -> list[str]:
    """A sentence for each answer that is not the known one."""
    told = []
    for partner, want in wanted.items():
        have = found.get(partner)
        if have is None:
            told.append(f"confidence: {where} has no score of {partner}")
            continue
        pairs = (
            (name, getattr(want, name), getattr(have, name)) for name in Known.__struct_fields__
        )
        for name, left, right in pairs:
            if right is None and name == "flags":
                continue
            if isinstance(left, float) and isinstance(right, float | int):
                if abs(left - right) <= TOLERANCE:
                    continue
            elif left == right:
                continue
            told.append(f"confidence.{partner}.{name}: {left} expected, {where} has {right}")
    return told


def kinds_of(flags: Sequence[Flag]) -> tuple[str, ...]:
    """Kinds of flags, each once."""
    return tuple(sorted({one.kind for one in flags}))


def _statements(told: Case) -> list[consistency.Statement]:
    sides: Mapping[Form, Literal["employee", "customer"]] = {
        "employee": "employee", "reference": "customer",
    }  # fmt: skip
    return [
        consistency.Statement("ceo", told.partner_id, told.proposition),
        *(
            consistency.Statement(sides[one.form], one.name, "\n".join(filter(None, one.texts)))
            for one in told.witnesses
        ),
        *(consistency.Statement("demo", one.title, one.text) for one in told.demos),
    ]


def _answers(told: Case, now_ms: int) -> list[Answer]:
    sides: Mapping[Form, Source] = {"employee": "employees", "reference": "customers"}
    found = []
    for one in told.witnesses:
        *rated, likely = one.ratings
        ratings = {
            name: Rating(value, 1, 10)
            for name, value in zip(FORMS[one.form][0], rated, strict=True)
        }
        found.append(
            Answer(
                evidence_id=one.name, respondent_id=one.name, source=sides[one.form], at_ms=now_ms,
                ratings=ratings | {"recommend": Rating(likely, 0, 10)}, verified=True,
                completeness=len(one.fields) / QUESTIONS, text="\n".join(filter(None, one.texts)),
                address=one.network, contact=one.phone,
                organisation=one.email.rpartition("@")[2],
            )
        )  # fmt: skip
    for shown in told.demos:
        marks = zip(REVIEWED, shown.ratings, strict=True)
        found.append(
            Answer(
                evidence_id=shown.title, respondent_id=shown.title, source="demos", at_ms=now_ms,
                ratings={name: Rating(mark, 1, 10) for name, mark in marks}, verified=True,
                completeness=1.0,
            )
        )  # fmt: skip
    return found
