"""What a partner may see of the evidence about it: never so little that it says who said it.

In: all answers about a partner. Out: those that are released. Pure.

k-anonymity with k = 3: of each source answers are released in groups, in the order in which they
came; a group is whole once three different witnesses are in it. So two looks at different times
never differ by fewer than three witnesses, be they new ones or known ones who answered again, and
no subtraction shows what one of them said; a partner is told how many answers wait. Demos are the
partner's own and rated by the team: they are shown at once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from lakeward.confidence.evidence import MAIL_PROVIDERS
from lakeward.confidence.score import Answer, Source
from lakeward.store.invitations import Form
from lakeward.store.responses import Response
from lakeward.store.witnesses import Witness

K: Final = 3
PEOPLE: Final[tuple[Source, ...]] = ("employees", "customers")
QUOTED: Final[Mapping[Form, tuple[str, ...]]] = {
    "employee": ("strengths", "improvements"),
    "reference": ("results", "comments"),
    "quarterly": ("comments",),
}
MOST_QUOTES: Final = 12
SHORTEST: Final = 12
"""Of a quote, in characters: less says nothing."""
ADDRESS: Final = re.compile(r"\S+@\S+|https?://\S+|\+?\d[\d\s().-]{6,}\d")


class Released(msgspec.Struct, frozen=True):
    """What is shown, and how much waits."""

    answers: tuple[Answer, ...]
    witnesses: frozenset[str]
    responses: frozenset[str]
    """Ids of the witnesses' answers."""
    waiting: Mapping[Source, int]


class Quote(msgspec.Struct, frozen=True):
    """Words of a witness, without whom."""

    source: Source
    field: str
    text: str


def released(answers: Iterable[Answer]) -> Released:
    """Those of whole groups; agreement with the CEO goes with what the same witness answered."""
    everything = sorted(answers, key=lambda one: (one.at_ms, one.evidence_id))
    shown: list[Answer] = []
    waiting: dict[Source, int] = {}
    for source in PEOPLE:
        group: list[Answer] = []
        for answer in everything:
            if answer.source == source:
                group.append(answer)
                if len({one.respondent_id for one in group}) == K:
                    shown += group
                    group = []
        waiting[source] = len(group)
    people = frozenset(one.respondent_id for one in shown)
    ids = frozenset(one.evidence_id for one in shown)
    shown += [one for one in everything if one.source == "demos"]
    return Released(tuple(shown), people, ids, waiting)


def quotes(
    responses: Iterable[Response], shown: Collection[str], people: Sequence[Witness]
) -> list[Quote]:
    """Words of the answers with these ids, without names and addresses, in an order that says
    nothing of who and when."""
    names = names_of(people)
    found = [
        Quote("employees" if one.form == "employee" else "customers", field, text)
        for one in responses
        if one.response_id in shown
        for field in QUOTED[one.form]
        if len(text := without(one.answers.texts.get(field, ""), names)) >= SHORTEST
    ]
    distinct = list(dict.fromkeys(found))
    distinct.sort(key=lambda one: hashlib.sha256(one.text.encode()).digest())
    return distinct[:MOST_QUOTES]


def names_of(people: Sequence[Witness]) -> re.Pattern[str] | None:
    """Names of everybody who may have been asked, whole and in parts."""
    parts = {
        part
        for one in people
        for whole in (one.name, one.company or "", *_of_mail(one.email))
        for part in (whole, *whole.split())
        if len(part) > 2
    }
    if not parts:
        return None
    longest = sorted(parts, key=lambda part: (-len(part), part))
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, longest))})\b", re.IGNORECASE)


def _of_mail(address: str | None) -> tuple[str, ...]:
    """What an e-mail address says of a person: who, and of which company."""
    local, _, domain = (address or "").lower().partition("@")
    if domain in MAIL_PROVIDERS:
        return (local,)
    return local, domain, domain.partition(".")[0]


def without(text: str, names: re.Pattern[str] | None) -> str:
    """The text without these names, and without addresses."""
    plain = ADDRESS.sub("…", text)
    return (names.sub("…", plain) if names else plain).strip()
