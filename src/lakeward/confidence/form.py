"""The forms that witnesses answer, and what is read from them.

In: a form's name, and fields as a page or an API has them. Out: `Answers`, and a sentence for each
field that will not do. Nothing here fails: what a stranger typed is never an error of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from lakeward.store.invitations import Form
from lakeward.store.responses import Answers

LEAST_RATED: Final = 2
"""Categories without which an answer says too little to be one."""
TEXT_LENGTH: Final = 4000
RATINGS: Final = tuple(range(1, 11))
LIKELY: Final = tuple(range(11))
UNKNOWN: Final = "unknown"
"""What somebody chooses who cannot say."""


class Item(msgspec.Struct, frozen=True):
    """One question: `name` is that of the field, `label` what the person reads."""

    name: str
    label: str
    hint: str = ""


class Sheet(msgspec.Struct, frozen=True):
    """One form as it is asked."""

    title: str
    lead: str
    ratings: tuple[Item, ...]
    likely: Item
    texts: tuple[Item, ...]
    months: Item | None = None
    quote: Item | None = None


_OFFER = Item(
    "value_proposition", "What does the company offer, in your own words?",
    "As you would tell a friend; a sentence or two is plenty.",
)  # fmt: skip
_CUSTOMER: Final = (
    Item("satisfaction", "Satisfaction", "All in all."),
    Item("communication", "Communication", "Answers, updates, honesty."),
    Item("delivery", "Delivery", "What was agreed, on time."),
    Item("expertise", "Expertise", "Knowing the trade."),
    Item("value", "Value for money"),
)
SHEETS: Final[Mapping[Form, Sheet]] = {
    "employee": Sheet(
        "How is it to work there?",
        "Your answers are shown to the company only together with those of at least two "
        "colleagues, and never with your name.",
        (
            Item("leadership", "Leadership", "Decisions that make sense, and are explained."),
            Item("communication", "Communication", "Hearing what you need to know."),
            Item("delivery", "Delivery", "Keeping what customers were promised."),
            Item("expertise", "Expertise", "People know what they are doing."),
            Item("growth", "Growth", "Learning something, and getting on."),
        ),
        Item("nps", "How likely are you to recommend the company to a friend as a place to work?"),
        (
            _OFFER,
            Item("strengths", "What works well?"),
            Item("improvements", "What should be better?"),
        ),
        Item("months", "How long have you been there?"),
    ),
    "reference": Sheet(
        "How was working with them?",
        "Your answers are shown to the company only together with those of at least two other "
        "customers, and never with your name.",
        _CUSTOMER,
        Item("nps", "How likely are you to recommend them to a friend or colleague?"),
        (
            _OFFER,
            Item("results", "What did they achieve for you?"),
            Item("comments", "Anything else?"),
        ),
        Item("months", "How long have you worked with them?"),
        Item("may_quote", "You may quote me by name."),
    ),
    "quarterly": Sheet(
        "How were the last three months?",
        "Your answers are shown to the company only together with those of at least two other "
        "customers, and never with your name.",
        _CUSTOMER,
        Item("nps", "How likely are you to recommend them to a friend or colleague?"),
        (Item("comments", "What should they know?"),),
    ),
}
TENURE: Final[Mapping[str, int]] = {
    "Less than three months": 1,
    "Three months to a year": 7,
    "One to three years": 24,
    "More than three years": 60,
}
"""Coarse on purpose: who has been there for 37 months may be one person. In months."""


class Filled(msgspec.Struct, frozen=True):
    """A form as it came back."""

    answers: Answers
    completeness: float
    """The part of its questions that was answered; who cannot say has answered."""
    wrong: dict[str, str]
    """A sentence by field; nothing is kept while there is one."""


def names(form: Form) -> tuple[str, ...]:
    """The fields of a form."""
    sheet = SHEETS[form]
    single = [item.name for item in (sheet.likely, sheet.months, sheet.quote) if item]
    return (*(item.name for item in (*sheet.ratings, *sheet.texts)), *single)


def read(form: Form, fields: Mapping[str, str]) -> Filled:
    """What a page sent: each field is text."""
    sheet = SHEETS[form]
    wrong: dict[str, str] = {}
    scores: dict[str, int] = {}
    said = 0
    for item in sheet.ratings:
        value = fields.get(item.name, "").strip()
        if not value:
            wrong[item.name] = "Please choose a number, or that you cannot say."
        elif value != UNKNOWN:
            _whole(value, RATINGS, item.name, scores, wrong)
        said += value != ""
    likely: dict[str, int] = {}
    if value := fields.get(sheet.likely.name, "").strip():
        said += 1
        if value != UNKNOWN:
            _whole(value, LIKELY, sheet.likely.name, likely, wrong)
    texts = {item.name: _text(fields.get(item.name, "")) for item in sheet.texts}
    for name, text in texts.items():
        if len(text) > TEXT_LENGTH:
            wrong[name] = f"This is longer than {TEXT_LENGTH:,} signs: please shorten it."
    months = TENURE.get(fields.get("months", "")) if sheet.months else None
    said += sum(map(bool, texts.values())) + (months is not None)
    if not wrong and len(scores) < LEAST_RATED:
        wrong[sheet.ratings[0].name] = f"Please give a number for at least {LEAST_RATED} of these."
    asked = len(sheet.ratings) + 1 + len(sheet.texts) + (sheet.months is not None)
    answers = Answers(
        scores=scores, nps=likely.get(sheet.likely.name),
        texts={name: text for name, text in texts.items() if text}, months=months,
        may_quote=sheet.quote is not None and fields.get("may_quote") == "yes",
    )  # fmt: skip
    return Filled(answers, round(said / asked, 4), wrong)


def checked(form: Form, answers: Answers) -> Filled:
    """Answers that came by the API: the same rules, in the API's words."""
    sheet = SHEETS[form]
    rated = {item.name for item in sheet.ratings}
    written = {item.name for item in sheet.texts}
    wrong: dict[str, str] = {}
    for name, value in answers.scores.items():
        if name not in rated:
            wrong["scores"] = f"`scores` may have {', '.join(sorted(rated))}."
        elif value not in RATINGS:
            wrong["scores"] = "`scores` are whole numbers from 1 to 10."
    if answers.nps is not None and answers.nps not in LIKELY:
        wrong["nps"] = "`nps` is a whole number from 0 to 10."
    for name, text in answers.texts.items():
        if name not in written:
            wrong["texts"] = f"`texts` may have {', '.join(sorted(written))}."
        elif len(text) > TEXT_LENGTH:
            wrong["texts"] = f"A text has at most {TEXT_LENGTH:,} characters."
    if answers.months is not None and not 0 <= answers.months <= 1200:
        wrong["months"] = "`months` is a whole number from 0 to 1200."
    if len(answers.scores) < LEAST_RATED:
        wrong.setdefault("scores", f"`scores` needs at least {LEAST_RATED} categories.")
    texts = {name: _text(text) for name, text in answers.texts.items()}
    said = len(answers.scores) + (answers.nps is not None) + sum(map(bool, texts.values()))
    said += sheet.months is not None and answers.months is not None
    asked = len(sheet.ratings) + 1 + len(sheet.texts) + (sheet.months is not None)
    kept = msgspec.structs.replace(answers, texts={name: t for name, t in texts.items() if t})
    return Filled(kept, round(min(said / asked, 1.0), 4), wrong)


def _whole(
    text: str, allowed: tuple[int, ...], name: str, into: dict[str, int], wrong: dict[str, str]
) -> None:
    if text.isascii() and text.isdigit() and len(text) < 3 and int(text) in allowed:
        into[name] = int(text)
    else:
        wrong[name] = f"Please choose a number from {allowed[0]} to {allowed[-1]}."


def _text(text: str) -> str:
    """What a database can hold of it."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    kept = (s for s in plain if (s.isprintable() or s in "\n\t") and not "\ud800" <= s <= "\udfff")
    return "".join(kept).strip()
