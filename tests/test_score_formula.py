"""The PowerConfidence score of known evidence, by hand; what it is made of, and what it refuses."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from typing import Any

import msgspec
import pytest

from lakeward.catalog import TYPES, arrange
from lakeward.confidence.score import (
    SOURCES,
    UNKNOWN,
    Answer,
    Options,
    Prior,
    Rating,
    Score,
    fields_of,
    formula_version,
    ranked,
    score,
)
from lakeward.errors import Rejected, Terminal
from scored import DAY, NOW, YEAR, fifteen, said, shares

# The sum


def test_nobody_has_said_anything_and_the_score_is_the_prior() -> None:
    made = score([], now_ms=NOW)
    assert made.value == pytest.approx(50)
    assert made.baseline == made.value
    assert made.evidence_share == 0
    assert made.low < 15
    assert made.high > 85
    assert [part.mean for part in made.sources] == [None] * 4
    assert [part.prior_points for part in made.sources] == pytest.approx([15, 20, 10, 5])
    assert made.provisional
    assert made.effective_n == 0


def test_fifteen_who_say_8_of_10_make_the_score_that_the_formula_says() -> None:
    made = score(fifteen(8, 8, 8, 8, 8), now_ms=NOW)
    shrunk = (5 * 7 / 9 + 2 * 0.5) / (5 + 2)
    assert made.value == pytest.approx(100 * (0.9 * shrunk + 0.1 * 0.5))
    assert made.effective_n == pytest.approx(15)
    assert made.weight_sum == pytest.approx(15)
    assert made.data_points == 15
    assert made.evidence_share == pytest.approx(0.9 * 5 / 7)
    assert not made.provisional
    assert made.why_provisional == ()


def test_each_respondents_points_stand_there_and_add_up_to_the_score() -> None:
    evidence = [
        *fifteen(8, 6, 9),
        said("c", "consistency", ratings=shares(0.7)),
        said("x", days=400),
    ]
    made = score(evidence, now_ms=NOW)
    points = [person.points for part in made.sources for person in part.respondents]
    priors = [part.prior_points for part in made.sources]
    assert math.fsum(points + priors) == pytest.approx(made.value, abs=1e-9)
    pulls = [person.pull for part in made.sources for person in part.respondents]
    assert made.baseline + math.fsum(pulls) == pytest.approx(made.value, abs=1e-9)
    for part in made.sources:
        assert part.points == pytest.approx(sum(person.points for person in part.respondents))
        assert part.points + part.prior_points == pytest.approx(100 * part.weight * part.shrunk)
        assert part.pull == pytest.approx(100 * part.weight * (part.shrunk - part.prior.mean))


def test_a_nine_of_0_to_10_and_an_eight_of_1_to_10_stand_on_one_scale() -> None:
    assert Rating(9, 0, 10).share == 0.9
    assert Rating(8, 1, 10).share == pytest.approx(7 / 9)
    answer = said("a", ratings={"delivery": Rating(8, 1, 10), "nps": Rating(9, 0, 10)})
    made = score([answer], now_ms=NOW)
    assert made.by_source["customers"].mean == pytest.approx((7 / 9 + 0.9) / 2)


def test_a_prior_that_is_given_is_shown_with_its_strength_and_basis() -> None:
    prior = Prior(0.8, 4.0, 7, "mean of 7 other partners", 0.15)
    made = score([said("a", "customers", 1, 1)], now_ms=NOW, priors={"customers": prior})
    part = made.by_source["customers"]
    assert part.prior == prior
    assert part.shrunk == pytest.approx(4 * 0.8 / 5)
    assert made.by_source["employees"].prior == UNKNOWN


# Weights


def test_evidence_of_a_year_ago_weighs_seven_tenths_and_of_tomorrow_as_of_now() -> None:
    for days, age in ((365.25, 0.7), (2 * 365.25, 0.49), (0, 1.0), (-30, 1.0)):
        (person,) = score([said("a", days=days)], now_ms=NOW).by_source["customers"].respondents
        assert person.factors.age == pytest.approx(age)
        assert person.weight == pytest.approx(age)


def test_age_verification_and_completeness_multiply() -> None:
    answer = said("a", days=365.25, verified=False, completeness=0.6)
    (person,) = score([answer], now_ms=NOW).by_source["customers"].respondents
    assert person.weight == pytest.approx(0.7 * 0.5 * 0.6)
    factors = person.factors
    assert (factors.verification, factors.completeness) == (0.5, 0.6)
    assert (factors.flags, factors.flagged) == ({}, 1.0)


def test_evidence_older_than_anybody_still_weighs_a_little() -> None:
    ancient = said("a", at_ms=NOW - 3_000 * YEAR, verified=False, completeness=0)
    (person,) = score([ancient], now_ms=NOW).by_source["customers"].respondents
    assert 0 < person.weight < 1e-9


def test_who_answers_twelve_times_is_one_witness_with_one_weight() -> None:
    often = [said("a", "customers", 9, 9, evidence=f"e{n}", days=30 * n) for n in range(12)]
    made = score(often, now_ms=NOW)
    (person,) = made.by_source["customers"].respondents
    assert person.weight == 1
    assert len(person.evidence) == 12
    assert made.data_points == 12
    assert made.effective_n == 1


def test_of_what_a_person_said_the_newer_weighs_more() -> None:
    before = said("a", "customers", 10, evidence="e1", days=365.25)
    now = said("a", "customers", 1, evidence="e2")
    made = score([before, now], now_ms=NOW)
    assert made.by_source["customers"].mean == pytest.approx(0.7 / 1.7)


def test_the_effective_number_is_that_of_kish() -> None:
    evidence = [said("a"), said("b", verified=False), said("c", verified=False)]
    part = score(evidence, now_ms=NOW).by_source["customers"]
    assert part.weight_sum == pytest.approx(2)
    assert part.effective_n == pytest.approx(4 / 1.5)


# What counts, and once


def test_evidence_that_is_sent_again_counts_once_and_its_newest_word_counts() -> None:
    first = said("a", "customers", 2, 2, evidence="e", days=3)
    mended = said("a", "customers", 9, 9, evidence="e", days=1)
    alone = score([mended], now_ms=NOW)
    for order in ([first, mended], [mended, first], [mended, mended, first]):
        assert score(order, now_ms=NOW) == alone


def test_an_answer_without_ratings_has_no_part_and_is_counted() -> None:
    made = score([*fifteen(), said("w", ratings={}, text="Nothing but words.")], now_ms=NOW)
    assert made.unrated == 1
    assert made.data_points == 15
    assert made.value == score(fifteen(), now_ms=NOW).value


def test_measures_of_consistency_count_and_are_no_witnesses_of_their_own() -> None:
    measured = [
        said(f"customers-{n}", "consistency", ratings={"claims": Rating(1, 0, 1)}) for n in range(5)
    ]
    without, made = score(fifteen(), now_ms=NOW), score([*fifteen(), *measured], now_ms=NOW)
    assert made.value > without.value
    assert made.data_points == without.data_points == 15
    assert made.effective_n == without.effective_n


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"ratings": {"delivery": Rating(11, 1, 10)}}, "'delivery' is 11, and its scale ends at 1 and"),
    ({"ratings": {"delivery": Rating(0, 1, 10)}}, "'delivery' is 0"),
    ({"ratings": {"delivery": Rating(math.nan, 1, 10)}}, "'delivery' is nan"),
    ({"ratings": {"delivery": Rating(1, math.nan, 10)}}, "must begin below its end"),
    ({"ratings": {"delivery": Rating(5, 5, 5)}}, "must begin below its end"),
    ({"ratings": {"delivery": Rating(5, 1, math.inf)}}, "must begin below its end"),
    ({"completeness": 1.1}, "completeness 1.1 must be from 0 to 1"),
    ({"completeness": math.nan}, "completeness nan"),
    ({"seconds": -1.0}, "seconds -1.0 must be 0 or more"),
    ({"evidence_id": ""}, "one of them is empty"),
    ({"respondent_id": ""}, "one of them is empty"),
    ({"source": "friends"}, "one of employees, customers, demos, consistency"),
]


@pytest.mark.parametrize(("fields", "told"), REFUSED)
def test_what_cannot_be_meant_is_refused_and_named(fields: dict[str, Any], told: str) -> None:
    bad = msgspec.structs.replace(said("a"), **fields)
    with pytest.raises(Rejected) as refused:
        score([*fifteen(), bad], now_ms=NOW)
    assert told in str(refused.value)


# Provisional


def test_a_source_with_four_witnesses_makes_the_score_provisional_and_says_so() -> None:
    evidence = [a for a in fifteen() if a.respondent_id != "demos-4"]
    made = score(evidence, now_ms=NOW)
    assert made.provisional
    assert made.why_provisional == ("4 of 5 demos: 1 more needed.",)
    assert not score(fifteen(), now_ms=NOW).provisional


def test_five_of_each_are_provisional_while_few_of_them_carry_all_the_weight() -> None:
    evidence = [
        msgspec.structs.replace(a, at_ms=NOW - 4 * YEAR if a.respondent_id[-1] in "1234" else NOW)
        for a in fifteen()
    ]
    made = score(evidence, now_ms=NOW)
    assert made.effective_n < 10
    assert [why[:12] for why in made.why_provisional] == ["The evidence"]


def test_five_of_each_are_provisional_when_all_of_them_have_faded() -> None:
    evidence = [msgspec.structs.replace(a, at_ms=NOW - 4 * YEAR) for a in fifteen()]
    made = score(evidence, now_ms=NOW)
    assert made.effective_n == pytest.approx(15)
    assert made.weight_sum == pytest.approx(15 * 0.7**4)
    assert [why[:12] for why in made.why_provisional] == ["Age, missing"]


# Reliability


def test_witnesses_who_agree_on_strong_and_weak_categories_are_reliable() -> None:
    agreeing = [said(f"c{n}", "customers", 9, 4, 8, 3, 7) for n in range(4)]
    nearly = [said("c4", "customers", 9, 5, 8, 3, 7), said("c5", "customers", 8, 4, 8, 2, 7)]
    told = score([*agreeing, *nearly], now_ms=NOW).by_source["customers"].reliability
    assert told.alpha is not None
    assert told.alpha > 0.9
    assert told.icc is not None
    assert told.icc > 0.95
    assert (told.icc_form, told.respondents, told.categories) == ("ICC(2,k)", 6, 5)
    assert told.reason == ""


def test_too_few_or_all_alike_have_no_reliability_and_the_reason_is_told() -> None:
    def told(*evidence: Any) -> tuple[float | None, float | None, str]:
        found = score(evidence, now_ms=NOW).by_source["customers"].reliability
        return found.alpha, found.icc, found.reason

    few = told(said("a"), said("b"))
    assert few == (None, None, "2 witnesses and 5 categories: agreement shows from 3 of each on.")
    alike = told(said("a"), said("b"), said("c"))
    assert alike[:2] == (None, None)
    assert "habit" in alike[2]
    gaps = told(
        said("a", "customers", 9, 4, 8),
        said("b", "customers", 9, 5, 7),
        said("c", "customers", 8, 4),
    )
    assert gaps[0] is not None
    assert gaps[1] is None
    assert "2 witnesses rated every category" in gaps[2]


def test_the_means_of_categories_are_shown_with_how_many_rated_them() -> None:
    evidence = [
        said("a", "customers", 10, 1),
        said("b", "customers", 10),
        said("c", "customers", 1),
    ]
    made = score(evidence, now_ms=NOW).by_source["customers"].categories
    assert [(part.category, part.respondents) for part in made] == [
        ("communication", 1), ("satisfaction", 3),
    ]  # fmt: skip
    assert [part.mean for part in made] == pytest.approx([0, 2 / 3])


# Kept, told and ranked


def test_a_score_is_the_same_after_it_was_written_and_read() -> None:
    evidence = [*fifteen(), said("f", device="d"), said("g", device="d")]
    made = score(evidence, now_ms=NOW)
    assert made.flags
    for codec in (msgspec.json, msgspec.msgpack):
        assert codec.decode(codec.encode(made), type=Score) == made


def test_the_formulas_version_tells_of_other_weights() -> None:
    other = Options(
        weights={"employees": 0.25, "customers": 0.45, "demos": 0.2, "consistency": 0.1}
    )
    assert formula_version() == "1"
    assert formula_version(Options()) == "1"
    assert formula_version(other).startswith("1+")
    assert formula_version(other) != formula_version(Options(draws=3_000))
    assert score([], now_ms=NOW, options=other).formula_version == formula_version(other)


@pytest.mark.parametrize(
    "options",
    [
        {"weights": {"employees": 1.0}},
        {"weights": {"employees": 0.3, "customers": 0.4, "demos": 0.2, "consistency": 0.2}},
        {"weights": {"employees": -0.3, "customers": 1.0, "demos": 0.2, "consistency": 0.1}},
        {"weights": dict.fromkeys(SOURCES, math.nan)},
        {"yearly": 0.0},
        {"unverified": 1.5},
        {"least_flagged": 0.0},
        {"draws": 10},
        {"level": 1.0},
        {"flags": ("sarcasm",)},
    ],
)
def test_options_that_make_no_formula_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(Terminal):
        Options(**options)


def test_partners_are_ranked_by_the_lower_end_and_provisional_ones_stand_last() -> None:
    praised = [a for a in fifteen(10, 10, 10, of_each=40) if a.respondent_id[:6] != "demos-"]
    scores = {
        "few": score(praised, now_ms=NOW),
        "sure": score(fifteen(8, 9, 8, of_each=30), now_ms=NOW),
        "less sure": score(fifteen(8, 9, 8, of_each=5), now_ms=NOW),
        "also": score(fifteen(8, 9, 8, of_each=5), now_ms=NOW),
    }
    order = ranked(scores)
    assert [each.partner_id for each in order] == ["sure", "also", "less sure", "few"]
    assert [each.place for each in order] == [1, 2, 3, 4]
    assert scores["few"].low > scores["also"].low
    assert [each.provisional for each in order] == [False, False, False, True]
    assert [each.low for each in order] == [scores[each.partner_id].low for each in order]


def recorded(fields: Any) -> dict[str, Any]:
    """The record's fields, as the catalog arranges and checks them."""
    return arrange("powerconfidence_update", {"partner_id": "p9", **fields})


def test_the_update_that_is_told_is_what_the_catalog_knows() -> None:
    before = score(fifteen()[:-1], now_ms=NOW - DAY)
    made = score(fifteen(), now_ms=NOW)
    first = fields_of(before, None, "evidence")
    second = fields_of(made, before, "evidence")
    known = set(TYPES["powerconfidence_update"].struct.__struct_fields__)
    assert set(second) == known - {"partner_id"}
    assert set(first) == known - {"partner_id", "previous_score", "change"}
    assert second["change"] == pytest.approx(made.value - before.value, abs=1e-6)
    assert sum(second["contributions"].values()) == pytest.approx(made.value, abs=1e-5)
    assert second["reason"] == "1 more demo."
    assert recorded(second)["outcomes"]["new_score"] == second["new_score"]
    recorded(first)


def test_the_reason_of_an_update_names_what_is_different() -> None:
    made = score(fifteen(), now_ms=NOW)
    older = score(fifteen(), now_ms=NOW + YEAR)
    faked = score([*fifteen(), said("f", device="d"), said("g", device="d")], now_ms=NOW)
    assert fields_of(made, None, "evidence")["reason"] == "First score, of 15 pieces of evidence."
    assert fields_of(older, made, "schedule")["reason"] == "The same evidence, older."
    assert fields_of(faked, made, "evidence")["reason"] == (
        "2 more customers, 1 flag instead of 0."
    )
    assert fields_of(made, faked, "erasure")["reason"].startswith("2 fewer customers")


# The same bytes


def mixed() -> list[Answer]:
    """Witnesses of every kind, honest ones and others, from figures alone."""
    people: list[Answer] = []
    for n, source in enumerate([*SOURCES] * 6):
        people.append(
            said(
                f"p{n}", source, 1 + n % 10, 10 - n % 7, 4 + n % 5, days=n * 23, verified=n % 3 > 0,
                completeness=(1 + n % 4) / 4, device=f"d{n % 20}", address=f"a{n % 12}",
                seconds=float(n), ratings=shares(0.6) if source == "consistency" else None,
            )
        )  # fmt: skip
    return people


def test_formula_1_gives_these_numbers_whoever_asks_and_whenever() -> None:
    """Scores that are kept were made by it: other numbers are another formula."""
    made = score(mixed(), now_ms=NOW)
    assert made.formula_version == "1"
    assert len(made.flags) == 12
    assert (made.value, made.low, made.high) == pytest.approx(
        (52.40587484, 19.97571622, 82.37759794), abs=1e-6
    )
    assert (made.effective_n, made.weight_sum) == pytest.approx(
        (13.9918035410, 3.5084372248), abs=1e-9
    )


def test_another_process_makes_the_same_bytes() -> None:
    code = (
        "import msgspec, sys\n"
        "from lakeward.confidence.score import Answer, score\n"
        "told = msgspec.json.decode(sys.stdin.buffer.read(), type=list[Answer])\n"
        f"sys.stdout.buffer.write(msgspec.json.encode(score(told, now_ms={NOW})))\n"
    )
    mine = msgspec.json.encode(score(mixed(), now_ms=NOW))
    for seed in ("1", "2"):  # of the hashes that sets are ordered by
        done = subprocess.run(
            [sys.executable, "-c", code], input=msgspec.json.encode(mixed()), check=True,
            capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed},
        )  # fmt: skip
        assert done.stdout == mine


def test_the_score_needs_no_extra() -> None:
    code = (
        "import sys, lakeward.confidence.score\n"
        "known = {'lakeward', 'msgspec', 'typing_extensions', '__main__', 'sitecustomize',\n"
        "         'usercustomize', *sys.stdlib_module_names}\n"
        "tops = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(t for t in tops if t not in known and not t.startswith('_')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
