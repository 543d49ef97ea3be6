"""Witnesses that share a device or an address, and employees who pose as customers.

In: answers with keyed digests. Out: flags. Digests are compared and never told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from lakeward.confidence.score.evidence import PEOPLE, Answer, Source
from lakeward.confidence.score.flag import Flag, Key, counted, flagged
from lakeward.confidence.score.groups import groups

OFFICE: Final = 0.8
"""An office has one address, and honest employees share it: the mark is slight."""
TRAITS: Final[tuple[tuple[str, float, str], ...]] = (
    ("respondent_id", 0.1, "is the same person as an employee"),
    ("contact", 0.1, "has the telephone number or mail address of an employee"),
    ("device", 0.1, "answered on the device of an employee"),
    ("organisation", 0.2, "has a mail address of the company itself"),
    ("address", 0.3, "answered from the network of an employee"),
)
"""What a customer may share with an employee, the surest first. A customer on a visit uses the
company's network, so that one lowers least."""


def shared_devices(answers: Sequence[Answer]) -> list[Flag]:
    """A device counts once, however many answer on it: each of m weighs 1/m."""
    return [
        flagged(
            "shared_device", keys, evidence, 1 / len(keys),
            f"{counted(keys)} answered on one device: together they weigh as one.",
        )
        for keys, evidence in _sharing(answers, lambda answer: answer.device)
    ]  # fmt: skip


def shared_addresses(answers: Sequence[Answer]) -> list[Flag]:
    """Households, customers' offices and networks share one honestly: m weigh as √m."""
    seen = []
    for keys, evidence in _sharing(answers, lambda answer: answer.address):
        factor = OFFICE if keys[0][0] == "employees" else len(keys) ** -0.5
        sentence = f"{counted(keys)} answered from one network: each weighs {factor:.2f}."
        seen.append(flagged("shared_address", keys, evidence, factor, sentence))
    return seen


def _sharing(
    answers: Sequence[Answer], trait: Callable[[Answer], str]
) -> list[tuple[list[Key], list[str]]]:
    """Groups of different persons within a source that a trait joins, with their evidence."""
    by: dict[tuple[str, str], list[Answer]] = {}
    for answer in answers:
        if answer.source in PEOPLE and trait(answer):
            by.setdefault((answer.source, trait(answer)), []).append(answer)
    shared = [by[key] for key in sorted(by) if len({a.respondent_id for a in by[key]}) > 1]
    links = [[(answer.source, answer.respondent_id) for answer in each] for each in shared]
    return [
        (
            sorted(keys),
            [a.evidence_id for each in shared for a in each if (a.source, a.respondent_id) in keys],
        )
        for keys in groups(links)
    ]


def posing(answers: Sequence[Answer]) -> list[Flag]:
    """Customers who share with an employee what only one person, or company, has.

    The customer is lowered and the employee is not: that one is what they say they are.
    """
    sides: dict[Source, list[Answer]] = {"employees": [], "customers": []}
    for answer in answers:
        if answer.source in sides:
            sides[answer.source].append(answer)
    taken: set[Key] = set()
    seen = []
    for trait, factor, what in TRAITS:
        known = {getattr(answer, trait) for answer in sides["employees"]} - {""}
        keys: dict[Key, list[str]] = {}
        for answer in sides["customers"]:
            if getattr(answer, trait) in known:
                keys.setdefault((answer.source, answer.respondent_id), []).append(
                    answer.evidence_id
                )
        for key in sorted(keys.keys() - taken):
            sentence = f"A customer {what}: the answer weighs {factor:.2f}."
            seen.append(flagged("employee_as_customer", [key], keys[key], factor, sentence))
        taken |= keys.keys()
    return seen
