"""What looks like manipulation is flagged, lowers weights by the factor it shows, and nothing else
is flagged: each flag with what raises it, what nearly does, and what never may."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from lakeward.confidence.score import DEFAULT, Answer, Flag, FlagKind, Rating, Score, score
from scored import DAY, NOW, PEOPLE, fifteen, rated, said

HOUR = 3_600_000
TEXT = (
    "They delivered our migration two weeks early, trained every team on site, and answered the "
    "telephone at night when the old system failed."
)
HONEST = (
    "Great work, always on time.",
    "We have worked with them for two years and every release came on the day it was promised.",
    "Communication could be better: twice we learnt of a delay from our own customers.",
    "Their engineers know more about our warehouse software than the vendor's own consultants do.",
    "The project went fine, but the final invoice was a third above what had been agreed on.",
    "I would hire them again tomorrow. Our conversion rate went up by eleven percent in a quarter.",
    "Solid technical skills, a bit slow to answer mails, fair prices, no surprises in production.",
    "They delivered the migration late and over budget; the support afterwards made up for much.",
    "They delivered our new shop two weeks late, but trained the whole team and it has run since.",
    "As an employee I can say that management listens, and that overtime is paid without asking.",
    "Leadership changes its mind every month, and the roadmap that customers are shown is fiction.",
    "Good place to learn. Seniors review everything, and nobody is blamed for an honest mistake.",
)


def flags(answers: Sequence[Answer], kind: FlagKind | None = None) -> list[Flag]:
    made = score(answers, now_ms=NOW)
    return [flag for flag in made.flags if kind in (None, flag.kind)]


def weights(made: Score) -> dict[tuple[str, str], float]:
    return {
        (part.source, person.respondent_id): person.weight
        for part in made.sources
        for person in part.respondents
    }


# A shared device


def test_three_customers_on_one_device_weigh_as_one() -> None:
    (flag,) = flags([*fifteen(), *(said(f"f{n}", device="4711") for n in range(3))])
    assert flag.kind == "shared_device"
    assert flag.respondents == ("f0", "f1", "f2")
    assert flag.evidence == ("customers/f0", "customers/f1", "customers/f2")
    assert flag.factor == pytest.approx(1 / 3)
    assert flag.sentence == "3 customers answered on one device: together they weigh as one."
    made = score([said(f"f{n}", device="4711") for n in range(3)], now_ms=NOW)
    assert made.by_source["customers"].weight_sum == pytest.approx(1)


def test_one_person_on_one_device_again_and_again_is_not_flagged() -> None:
    assert flags([said("a", evidence=f"e{n}", device="d", address="a") for n in range(4)]) == []


def test_who_joins_two_devices_joins_all_who_used_either() -> None:
    evidence = [
        said("a", device="d1"), said("b", device="d1"), said("b", evidence="again", device="d2"),
        said("c", device="d2"), said("d", device="d3"),
    ]  # fmt: skip
    (flag,) = flags(evidence)
    assert flag.respondents == ("a", "b", "c")
    assert flag.evidence == ("again", "customers/a", "customers/b", "customers/c")


def test_no_device_is_not_a_shared_one() -> None:
    assert flags([said(f"c{n}", device="", address="") for n in range(9)]) == []


# A shared address


def test_customers_of_one_network_weigh_as_the_root_of_their_number() -> None:
    (flag,) = flags([said(f"f{n}", address="n") for n in range(4)])
    assert (flag.kind, flag.factor) == ("shared_address", 0.5)
    assert flag.sentence == "4 customers answered from one network: each weighs 0.50."


def test_employees_of_one_office_share_its_network_and_lose_little() -> None:
    (flag,) = flags([said(f"e{n}", "employees", address="office") for n in range(40)])
    assert (flag.kind, flag.factor) == ("shared_address", 0.8)


# Copied texts


@pytest.mark.parametrize(
    "copy",
    [
        TEXT,
        TEXT.upper(),
        TEXT.replace(",", " -").replace(".", "!!!"),
        TEXT.replace("two weeks", "three weeks").replace("every team", "each team"),
        "Hello. " + TEXT + " Many thanks to everybody there, and see you next year in Hamburg.",
        TEXT.replace("telephone", "phone").replace("They", "This company"),
        "\u200b".join(TEXT.split(" ")) + TEXT,
    ],
    ids=["same", "case", "punctuation", "words", "longer", "synonyms", "twice"],
)
def test_a_text_that_is_mostly_another_persons_is_a_copy(copy: str) -> None:
    evidence = [said("a", text=TEXT, days=3), said("b", text=copy, days=1)]
    (flag,) = flags(evidence)
    assert flag.kind == "near_duplicate_text"
    assert flag.respondents == ("b",)
    assert flag.evidence == ("customers/a", "customers/b")
    assert flag.factor == 0.5


def test_who_copies_a_public_quote_lowers_the_copy_and_never_the_author() -> None:
    author = said("author", text=TEXT, days=90)
    copies = [said(f"f{n}", text=TEXT + " x" * n, days=n) for n in range(3)]
    made = score([*copies, author], now_ms=NOW)
    alone = score([author], now_ms=NOW)
    assert weights(made)["customers", "author"] == weights(alone)["customers", "author"]
    assert {flag.respondents for flag in made.flags} == {("f0", "f1", "f2")}
    assert made.flags[0].factor == 0.25


def test_a_text_is_a_copy_across_sources_too() -> None:
    (flag,) = flags([said("e", "employees", text=TEXT, days=2), said("c", text=TEXT)])
    assert flag.witnesses == (("customers", "c"),)
    assert flag.sentence.startswith("1 customer and 1 employee wrote nearly the same text")


def test_short_texts_and_honest_ones_are_no_copies() -> None:
    short = [said(f"s{n}", text="Great work, always on time!") for n in range(5)]
    honest = [said(f"h{n}", text=text) for n, text in enumerate(HONEST)]
    assert flags([*short, *honest, said("t", text=TEXT)]) == []


def test_ones_own_text_may_be_sent_again() -> None:
    again = [said("a", evidence=f"e{n}", text=TEXT, days=90 * n) for n in range(3)]
    assert flags(again) == []


def test_among_hundreds_of_texts_the_two_copies_are_found() -> None:
    dice = random.Random(4)
    words = " ".join(HONEST).split()
    texts = [" ".join(dice.sample(words, 40)) for _ in range(150)]
    evidence = [said(f"c{n}", text=text) for n, text in enumerate(texts)]
    evidence += [said("x", text=TEXT, days=2), said("y", text=TEXT.replace("night", "noon"))]
    (flag,) = flags(evidence)
    assert flag.respondents == ("y",)


# Bursts


def open_links(n: int, apart: int, start: int = 0) -> list[Answer]:
    return [
        said(f"b{start + k}", verified=False, at_ms=NOW - 5 * DAY + start * DAY + k * apart)
        for k in range(n)
    ]


def test_nine_answers_through_open_links_within_an_hour_are_a_burst() -> None:
    (flag,) = flags(open_links(9, HOUR // 10))
    assert (flag.kind, len(flag.respondents)) == ("burst", 9)
    assert flag.factor == pytest.approx(1 / 3)
    assert "9 customers answered through open links" in flag.sentence


def test_four_are_none_and_neither_are_five_over_a_day() -> None:
    assert flags(open_links(4, 60_000)) == []
    assert flags(open_links(5, HOUR)) == []


def test_a_batch_of_invitations_that_comes_back_at_once_is_no_burst() -> None:
    batch = [
        said(f"{source}-{n}", source, at_ms=NOW - n * 10_000)
        for source in PEOPLE
        for n in range(30)
    ]
    assert flags(batch) == []


def test_a_source_that_is_always_busy_has_no_burst_and_a_quiet_one_has() -> None:
    usual = [said(f"u{n}", verified=False, at_ms=NOW - n * HOUR // 4) for n in range(400)]
    assert flags(usual) == []
    quiet = [said(f"u{n}", verified=False, at_ms=NOW - n * 7 * DAY) for n in range(50)]
    crowd = [said(f"x{n}", verified=False, at_ms=NOW - 3 * DAY - n * 1_000) for n in range(9)]
    (flag,) = flags([*quiet, *crowd])
    assert flag.respondents == tuple(f"x{n}" for n in range(9))


def test_one_person_who_answers_ten_times_is_no_burst() -> None:
    assert flags([said("a", evidence=f"e{n}", verified=False) for n in range(10)]) == []


# Straight lines


LONG = {f"c{n}": Rating(7, 1, 10) for n in range(8)}


@pytest.mark.parametrize(
    ("answer", "factor"),
    [
        (said("a", "customers", 10, 10, 10, 10, 10, seconds=5.0), 0.5),
        (said("a", "customers", 3, 3, 3, 3, seconds=7.9), 0.5),
        (said("a", "customers", 10, 9, 8, 10, 9, seconds=4.0), 0.5),
        (said("a", ratings=LONG), 0.8),
        (said("a", ratings=LONG, seconds=200.0), 0.8),
        (said("a", ratings={**rated(8, 8, 8), "nps": Rating(8, 0, 10)}, seconds=4.0), 0.5),
    ],
    ids=["same and quick", "low and quick", "unread", "long", "long and slow", "two scales"],
)
def test_a_form_that_was_clicked_through_is_flagged(answer: Answer, factor: float) -> None:
    (flag,) = flags([answer])
    assert (flag.kind, flag.factor) == ("straight_lining", factor)
    made = score([answer], now_ms=NOW)
    assert weights(made)["customers", "a"] == pytest.approx(factor)


@pytest.mark.parametrize(
    "answer",
    [
        said("a", "customers", 10, 10, 10, 10, 10),
        said("a", "customers", 10, 10, 10, 10, 10, seconds=60.0),
        said("a", "customers", 10, 10, 10, seconds=1.0),
        said("a", "customers", 10, 9, 10, 10, 9, seconds=6.0),
        said("a", ratings={**LONG, "c0": Rating(8, 1, 10)}),
    ],
    ids=["time unknown", "slow", "three categories", "quick but read", "long but not the same"],
)
def test_a_happy_customer_who_takes_the_time_is_not_flagged(answer: Answer) -> None:
    assert flags([answer]) == []


def test_one_hurried_answer_of_three_is_let_be() -> None:
    hurried = said("a", evidence="e0", seconds=3.0)
    assert flags([hurried, *(said("a", evidence=f"e{n}", seconds=90.0) for n in (1, 2))]) == []
    assert len(flags([hurried, said("a", evidence="e1", seconds=2.0)])) == 1


# Employees as customers


@pytest.mark.parametrize(
    ("trait", "factor"),
    [("contact", 0.1), ("device", 0.1), ("organisation", 0.2), ("address", 0.3)],
)
def test_a_customer_who_shares_what_an_employee_has_is_lowered_and_the_employee_is_not(
    trait: str, factor: float
) -> None:
    one = msgspec.structs.replace(said("e", "employees"), **{trait: "x"})
    other = msgspec.structs.replace(said("c", "customers"), **{trait: "x"})
    made = score([one, other], now_ms=NOW)
    (flag,) = made.flags
    assert (flag.kind, flag.factor) == ("employee_as_customer", factor)
    assert flag.witnesses == (("customers", "c"),)
    assert weights(made) == {("employees", "e"): 1.0, ("customers", "c"): factor}


def test_the_surest_of_several_shared_traits_is_told_once() -> None:
    traits: dict[str, Any] = {"contact": "c", "device": "d", "organisation": "o", "address": "a"}
    evidence = [said("e", "employees", **traits), said("c", "customers", **traits)]
    assert [(flag.factor, "telephone" in flag.sentence) for flag in flags(evidence)] == [
        (0.1, True)
    ]


def test_who_is_an_employee_is_no_customer() -> None:
    made = score([said("p", "employees"), said("p", "customers")], now_ms=NOW)
    assert weights(made) == {("employees", "p"): 1.0, ("customers", "p"): 0.1}


# All of them


def everything() -> list[Answer]:
    fakes = [
        said(
            f"f{n}", text=TEXT, device="dev-4711", address="10.4.7.11", contact="c-4711",
            organisation="o-4711", verified=False, at_ms=NOW - n * 1_000, seconds=3.0,
        )
        for n in range(8)
    ]  # fmt: skip
    boss = said("boss", "employees", device="dev-4711", address="10.4.7.11", contact="c-4711")
    measured = said("f0", "consistency", ratings={"claims": Rating(1, 0, 1)})
    return [*fifteen(), *fakes, boss, measured]


def test_flags_multiply_down_to_a_hundredth_and_each_factor_is_shown() -> None:
    made = score(everything(), now_ms=NOW)
    assert {flag.kind for flag in made.flags} == set(DEFAULT.flags)
    last = next(p for p in made.by_source["customers"].respondents if p.respondent_id == "f0")
    assert set(last.factors.flags) == set(DEFAULT.flags)
    assert last.factors.flagged == 0.01
    assert last.weight == pytest.approx(0.5 * 0.01, rel=1e-3)


def test_a_flagged_witnesss_measure_of_consistency_is_lowered_with_them() -> None:
    made = score(everything(), now_ms=NOW)
    (measure,) = made.by_source["consistency"].respondents
    assert measure.factors.flagged == 0.01


def test_no_flag_tells_an_address_a_device_or_a_contact() -> None:
    for flag in flags(everything()):
        assert "4711" not in msgspec.json.encode(flag).decode()
        assert "10.4.7" not in flag.sentence
        assert flag.sentence.endswith(".")


def test_a_flag_that_is_switched_off_is_neither_told_nor_counted() -> None:
    for kind in DEFAULT.flags:
        one = msgspec.structs.replace(DEFAULT, flags=(kind,))
        assert {flag.kind for flag in score(everything(), now_ms=NOW, options=one).flags} == {kind}
    none = score(everything(), now_ms=NOW, options=msgspec.structs.replace(DEFAULT, flags=()))
    assert none.flags == ()
    assert weights(none)["customers", "f0"] == pytest.approx(0.5)


def test_twenty_fakes_on_one_device_move_the_score_no_further_than_one_customer_could() -> None:
    honest = fifteen(4, 5, 4)
    before = score(honest, now_ms=NOW).value
    fakes = [said(f"f{n}", "customers", 10, 10, 10, device="d") for n in range(20)]
    after = score([*honest, *fakes], now_ms=NOW)
    one = score([*honest, fakes[0]], now_ms=NOW).value
    assert after.value == pytest.approx(one)
    assert before < after.value < before + 100 * 0.4 / (5 + 2 + 1)
