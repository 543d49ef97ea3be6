"""Texts as sentences, and what they claim."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeward.confidence.consistency import Figure, claims, sentences


def split(text: str) -> list[str]:
    return [sentence.text for sentence in sentences(text)]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("See www.a.com. It is new.", ["See www.a.com.", "It is new."]),
        ("We repair, e.g. roofs. We are quick.", ["We repair, e.g. roofs.", "We are quick."]),
        ("We are open 24/7. Call us!", ["We are open 24/7.", "Call us!"]),
        ("It took 2.5 hours. Good.", ["It took 2.5 hours.", "Good."]),
        ("Mr. B. Jones agrees. So do I.", ["Mr. B. Jones agrees.", "So do I."]),
        ("Acme Inc. Sells roofs.", ["Acme Inc.", "Sells roofs."]),
        ("Acme Inc. sells roofs.", ["Acme Inc. sells roofs."]),
        ("- Fast\n- Kind\n• Tidy", ["Fast", "Kind", "Tidy"]),
        ("1) One offer\n2. Another offer\n(3) A third", ["One offer", "Another offer", "A third"]),
        ("He said: “We know.” Then he left.", ["He said: “We know.”", "Then he left."]),
        ("Really?! Yes... Well", ["Really?!", "Yes...", "Well"]),
        ("one line\r\nanother", ["one line", "another"]),
        ("we are quick. we are kind.", ["we are quick.", "we are kind."]),
        ("first; second", ["first", "second"]),
        ("", []),
        ("... !!! ---", []),
    ],
)  # fmt: skip
def test_sentences_end_where_a_reader_ends_them(text: str, parts: list[str]) -> None:
    assert split(text) == parts


@given(st.text(max_size=300))
def test_each_sentence_stands_where_it_says(text: str) -> None:
    found = sentences(text)
    assert all(text[one.start : one.end] == one.text for one in found)
    assert [one.start for one in found] == sorted(one.start for one in found)


def test_ten_thousand_sentences_are_split_and_more_are_not() -> None:
    assert len(sentences("It is so. " * 12_000)) == 10_000


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("We are the best roofers in town.", "superlative"),
        ("We are the only certified company here.", "superlative"),
        ("Our prices are the lowest.", "superlative"),
        ("We answer within one hour.", "promise"),
        ("We guarantee clean sites.", "promise"),
        ("You will never wait.", "promise"),
        ("We have 40 employees.", "number"),
        ("Costs fall by 30%.", "number"),
        ("We offer training for beginners.", "offer"),
        ("We repair roofs.", "offer"),
        ("Our staff is friendly.", "statement"),
        ("At least they are honest.", "statement"),
    ],
)
def test_claims_have_kinds(text: str, kind: str) -> None:
    (claim,) = claims(text)
    assert claim.kind == kind


@pytest.mark.parametrize(
    ("text", "figure"),
    [
        ("We answer within two hours.", Figure("within two hours", 0, 2, "hours")),
        ("We answer in 30 minutes.", Figure("in 30 minutes", 0.5, 0.5, "hours")),
        ("We have over 40 employees.", Figure("over 40 employees", 40, None, "employee")),
        ("A visit costs $1,500.", Figure("$1,500", 1500, 1500, "money")),
        ("It costs up to 90 euros.", Figure("up to 90 euros", 0, 90, "money")),
        ("Costs fall by 30 percent.", Figure("30 percent", 30, 30, "%")),
        ("It takes about five days.", Figure("about five days", 96, 144, "hours")),
        ("It took us a day.", Figure("a day", 24, 24, "hours")),
        ("It takes half an hour.", Figure("half an hour", 0.5, 0.5, "hours")),
        ("We exist since 1998.", Figure("since 1998", 1998, 1998, "year")),
        ("We won two million euros.", Figure("two million euros", 2e6, 2e6, "money")),
        ("We deliver the same day.", Figure("same day", 0, 24, "hours")),
    ],
)
def test_numbers_are_ranges_with_units(text: str, figure: Figure) -> None:
    (claim,) = claims(text)
    (found,) = claim.numbers
    assert (found.text, found.unit) == (figure.text, figure.unit)
    assert found.low == pytest.approx(figure.low)
    assert found.high == (None if figure.high is None else pytest.approx(figure.high))


def test_a_claim_knows_its_place() -> None:
    text = "Hello! We answer within one hour. Do you like it? - no\nOur staff is kind."
    found = claims(text)
    assert [claim.quote for claim in found][-1] == "Our staff is kind."
    assert all(text[claim.start : claim.end] == claim.quote for claim in found)
    assert not any(claim.quote.endswith("?") for claim in found)
