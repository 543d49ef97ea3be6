"""Numbers with their units, as ranges that can be compared.

In: a sentence's tokens. Out: `Quantity`s: "within two hours" is 0 to 2 hours, "over 40 staff" is
more than 40 of `staff`, "about a day" is a day give or take a fifth. Pure; never fails.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from lakeward.confidence.consistency.lexicon import kin, listed
from lakeward.confidence.consistency.wording import NUMBER_WORDS, Token

Dimension = Literal["hours", "money", "percent", "count", "year"]
HOURS: Final = {
    "second": 1 / 3600, "minute": 1 / 60, "min": 1 / 60, "hour": 1.0, "hr": 1.0, "day": 24.0,
    "week": 168.0, "fortnight": 336.0, "month": 730.0, "quarter": 2190.0, "year": 8760.0,
    "decade": 87600.0, "weekday": 24.0,
}  # fmt: skip
MONEY: Final = listed("$ € £ dollar euro pound usd eur gbp buck k cent")
UNITS: Final = MONEY | set(HOURS) | {"%", "percent"}
SPANS: Final = {
    "same_day": (0.0, 24.0), "next_day": (12.0, 48.0), "overnight": (0.0, 24.0),
    "immediately": (0.0, 1.0), "instantly": (0.0, 0.5),
}  # fmt: skip
"""Words that are a span of time by themselves, in hours."""
UP_TO: Final = listed("within under below maximum most less fewer max inside")
AT_LEAST: Final = listed("over above least more minimum exceed beyond plus min")
ABOUT: Final = listed(
    "about around nearly almost approximately roughly circa usually typically average"
)
MAGNITUDE: Final = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "dozen": 12.0}
QUALIFYING: Final = listed("business working full whole of")
"""Stand between a number and its unit: "one business day"."""
SAID_WITH: Final = UP_TO | AT_LEAST | ABOUT | {"than", "for", "since", "in"}
ABOVE: Final = 1e-7
LOOSE: Final = 0.2
"""How far "about" reaches, as a share."""


class Quantity(msgspec.Struct, frozen=True):
    """One number of a sentence."""

    low: float
    high: float
    dimension: Dimension
    of: tuple[str, ...]
    """Base forms of what is counted; empty for other dimensions."""
    said: str
    places: tuple[int, int]
    """Its words in the sentence: from here to before there."""
    spelled: bool = False
    """Written as a word, as in "two dogs"."""


def quantities(words: Sequence[Token]) -> tuple[Quantity, ...]:
    """All numbers of a sentence, in order."""
    found = []
    at = 0
    while at < len(words):
        word = words[at]
        if word.text in SPANS:
            low, high = SPANS[word.text]
            said = word.text.replace("_", " ")
            found.append(Quantity(low, high, "hours", (), said, (at, at + 1)))
        elif word.text == "24/7":
            pass
        elif (value := _value(words, at)) is not None:
            number, length = value
            found.append(_quantity(words, at, number, length))
            at += length
            continue
        elif word.text in ("a", "an", "one") and _unit(words, at + 1) and not _rhythm(words, at):
            # "usually a day" is a length; "once a day" is a rhythm.
            found.append(_quantity(words, at, 1.0, 1))
        at += 1
    return tuple(found)


def _value(words: Sequence[Token], at: int) -> tuple[float, int] | None:
    text = words[at].text
    if text[0].isdigit():
        number = _parsed(text.rpartition("-")[2])
    elif text in NUMBER_WORDS and text not in ("once", "twice"):
        number = NUMBER_WORDS[text]
    else:
        return None
    length = 1
    if text == "half" and at + 1 < len(words) and words[at + 1].text in ("a", "an"):
        length = 2
    while at + length < len(words) and words[at + length].text in MAGNITUDE:
        number *= MAGNITUDE[words[at + length].text]
        length += 1
    return number, length


def _parsed(text: str) -> float:
    digits = text.replace(",", "") if text.count(",") != 1 or len(text.split(",")[1]) == 3 else text
    try:
        return float(digits.replace(",", "."))
    except ValueError:
        return math.nan


def _unit(words: Sequence[Token], at: int) -> str:
    if at < len(words) and words[at].text in QUALIFYING:
        at += 1
    if at < len(words) and words[at].lemmas[0] in HOURS:
        return words[at].lemmas[0]
    return ""


def _rhythm(words: Sequence[Token], at: int) -> bool:
    before = words[at - 1] if at else None
    if before is None:
        return False
    if any(word.role == "number" for word in words[max(at - 4, 0) : at]):
        return True  # "two weeks of training a year"
    return before.role == "number" or before.text in ("once", "twice", "time", "times", "$", "%")


def _quantity(words: Sequence[Token], at: int, number: float, length: int) -> Quantity:
    after = at + length
    following = [word for word in words[after : after + 3] if word.text not in QUALIFYING]
    dimension: Dimension = "count"
    of: tuple[str, ...] = ()
    scale = 1.0
    first = following[0] if following else None
    before = words[at - 1].text if at else ""
    if first and first.lemmas[0] in HOURS:
        dimension, scale = "hours", HOURS[first.lemmas[0]]
    elif before in MONEY or (first and first.lemmas[0] in MONEY):
        dimension = "money"
    elif first and first.text in ("%", "percent"):
        dimension = "percent"
    elif 1900 <= number <= 2100 and before in ("in", "since", "until", "by", "from"):
        dimension = "year"
    else:
        of = tuple(
            lemma for word in following[:2] if word.role == "content" for lemma in word.lemmas
        )
    start = at - 1 if before in MONEY else at
    # What is counted stays a word of its own; a unit does not.
    end = (
        after
        if dimension in ("count", "year") or not first or first.lemmas[0] not in UNITS
        else (words.index(first, after) + 1)
    )
    said = _said(words, start, max(end, after + bool(first and first.role == "content")))
    low, high = _range(words, at, after, number * scale)
    if "-" in words[at].text:
        # "2-3 days" reaches from the one to the other, whatever stands before it.
        low = _parsed(words[at].text.partition("-")[0]) * scale
        high = number * scale
    spelled = not words[at].text[0].isdigit()
    return Quantity(low, high, dimension, of, said, (start, end), spelled)


def _said(words: Sequence[Token], start: int, end: int) -> str:
    """The number as it stands there, with the word that bounds it."""
    if start > 1 and words[start - 1].text == "than":
        start -= 2
    elif start and words[start - 1].text in SAID_WITH:
        start -= 1
    elif start > 1 and (words[start - 2].text, words[start - 1].text) == ("up", "to"):
        start -= 2
    said = " ".join(word.text for word in words[start:end])
    return re.sub(r"(?<=[$€£]) | (?=%)", "", said)


def _range(words: Sequence[Token], at: int, after: int, value: float) -> tuple[float, float]:
    before = [word.text for word in words[max(at - 3, 0) : at]]
    behind = [word.text for word in words[after + 1 : after + 3]]
    near = set(before[-2:])
    if "to" in before and ("up" in before or "down" in before):
        return 0.0, value
    if near & UP_TO or ({"no", "not"} & set(before) and near & {"more", "later"}):
        return 0.0, value
    if "than" in near and {"less", "fewer", "faster", "earlier"} & set(before):
        return 0.0, value
    if near & AT_LEAST or ("or" in behind and "more" in behind):
        # More than 30 is not 30.
        return value * (1 + ABOVE) if near & {"over", "than", "above"} else value, math.inf
    if set(before) & ABOUT:
        return value * (1 - LOOSE), value * (1 + LOOSE)
    return value, value


def comparable(one: Quantity, other: Quantity) -> bool:
    """Whether the two measure the same kind of thing."""
    if one.dimension != other.dimension:
        return False
    if one.dimension != "count" or not one.of or not other.of:
        return True
    return kin(one.of, other.of) in ("same", "synonym", "wider", "narrower", "stem")


def apart(one: Quantity, other: Quantity) -> bool:
    """Whether not both can be true of one thing."""
    if math.isnan(one.low) or math.isnan(other.low):
        return False
    slack = 1e-9 * max(abs(one.low), abs(other.low), 1.0)
    return one.high < other.low - slack or other.high < one.low - slack


def within(premise: Quantity, hypothesis: Quantity) -> bool:
    """Whether what the premise says is one of what the hypothesis allows."""
    return hypothesis.low <= premise.low and premise.high <= hypothesis.high
