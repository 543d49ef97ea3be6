"""Answers of witnesses for tests of the score: whole, fresh and verified unless it is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from lakeward.confidence.score import SOURCES, Answer, Rating, Source

NOW = 1_795_737_600_000
DAY = 86_400_000
YEAR = round(365.25 * DAY)
FORM = ("satisfaction", "communication", "delivery", "expertise", "value")
PEOPLE: tuple[Source, ...] = ("employees", "customers", "demos")


def rated(*values: float, low: float = 1, high: float = 10) -> dict[str, Rating]:
    """Ratings of the first categories of the form."""
    return {name: Rating(value, low, high) for name, value in zip(FORM, values, strict=False)}


def said(
    person: str,
    source: Source = "customers",
    *values: float,
    evidence: str = "",
    days: float = 0,
    ratings: Mapping[str, Rating] | None = None,
    **more: Any,
) -> Answer:
    """What a person said: 8 of 10 in everything by default."""
    fields: dict[str, Any] = {
        "evidence_id": evidence or f"{source}/{person}", "respondent_id": person, "source": source,
        "at_ms": round(NOW - days * DAY), "verified": True, "completeness": 1.0,
        "ratings": rated(*(values or (8,) * 5)) if ratings is None else ratings,
    }  # fmt: skip
    return Answer(**{**fields, **more})


def fifteen(*values: float, of_each: int = 5) -> list[Answer]:
    """Five employees, five customers, five demos who all say the same."""
    return [said(f"{source}-{n}", source, *values) for source in PEOPLE for n in range(of_each)]


def shares(*values: float) -> dict[str, Rating]:
    """Ratings on a scale of 0 to 1."""
    return rated(*values, low=0, high=1)


@st.composite
def answers(draw: st.DrawFn, least: int = 0, most: int = 12) -> list[Answer]:
    """Any evidence that no flag is raised by: no digests, no texts, no times taken."""
    rating = st.integers(0, 20).map(lambda n: n / 20)
    people = draw(
        st.lists(
            st.tuples(st.sampled_from(SOURCES), st.integers(0, 9)), min_size=least, max_size=most
        )
    )
    return [
        said(
            f"r{person}", source, evidence=f"e{n}", days=draw(st.integers(-100, 2_000)),
            ratings=shares(*draw(st.lists(rating, min_size=1, max_size=5))),
            verified=source == "demos" or draw(st.booleans()),
            completeness=draw(st.sampled_from((0.0, 0.3, 1.0))),
        )
        for n, (source, person) in enumerate(people)
    ]  # fmt: skip


def of(answers: Sequence[Answer], source: Source) -> list[Answer]:
    """Those of one source."""
    return [answer for answer in answers if answer.source == source]
