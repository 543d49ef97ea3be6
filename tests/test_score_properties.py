"""What holds of the score whatever the evidence is: laws, tried on evidence made up by hypothesis.

The evidence of most laws raises no flag; those that are about flags say so."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import msgspec
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from lakeward.confidence.score import (
    DEFAULT,
    SOURCES,
    UNKNOWN,
    Answer,
    Options,
    Prior,
    Score,
    Source,
    score,
)
from scored import DAY, FORM, NOW, answers, of, said, shares

QUICK = Options(draws=100)
"""Most laws hold in each draw: a hundred will do."""
NO_FLAGS = Options(draws=100, flags=())
PRIORS = st.fixed_dictionaries(
    {},
    optional={
        source: st.builds(
            Prior, st.sampled_from((0.0, 0.3, 0.75, 1.0)), st.sampled_from((2.0, 3.3, 5.0)),
            st.just(6), st.just("six others"), st.sampled_from((0.0, 0.15, 0.5)),
        )
        for source in SOURCES
    },
)  # fmt: skip
DIGEST = st.sampled_from(("", "", "x", "y"))
WORDS = "They were on time and knew what they did, and our people liked to work with them. "
SUSPECT = st.builds(
    said,
    st.integers(0, 9).map("r{}".format),
    st.sampled_from(("employees", "customers", "demos")),
    evidence=st.integers(0, 10**9).map(str),
    ratings=st.lists(st.integers(0, 3).map(lambda n: n / 3), min_size=4, max_size=4).map(
        lambda values: shares(*values)
    ),
    days=st.integers(0, 9),
    verified=st.booleans(),
    seconds=st.one_of(st.none(), st.integers(0, 30).map(float)),
    device=DIGEST, address=DIGEST, contact=DIGEST, organisation=DIGEST,
    text=st.sampled_from(("", WORDS, WORDS.upper(), WORDS * 2)),
)  # fmt: skip


def people(made: Score) -> dict[tuple[Source, str], float]:
    """Weights by witness."""
    return {(p.source, w.respondent_id): w.weight for p in made.sources for w in p.respondents}


def rerated(evidence: Sequence[Answer], n: int, category: str, share: float) -> list[Answer]:
    """The same evidence, with one rating changed."""
    one = evidence[n]
    scale = one.ratings[category]
    value = scale.low + share * (scale.high - scale.low)
    ratings = {**one.ratings, category: msgspec.structs.replace(scale, value=value)}
    return [*evidence[:n], msgspec.structs.replace(one, ratings=ratings), *evidence[n + 1 :]]


# The value


@given(answers(), PRIORS)
def test_the_score_is_between_its_ends_and_all_points_together_are_the_score(
    evidence: list[Answer], priors: dict[Source, Prior]
) -> None:
    made = score(evidence, now_ms=NOW, priors=priors, options=QUICK)
    assert 0 <= made.low <= made.value <= made.high <= 100
    points = [person.points for part in made.sources for person in part.respondents]
    points += [part.prior_points for part in made.sources]
    assert abs(math.fsum(points) - made.value) < 1e-9
    pulls = [person.pull for part in made.sources for person in part.respondents]
    assert abs(made.baseline + math.fsum(pulls) - made.value) < 1e-9
    for part in made.sources:
        assert 0 <= part.low <= part.shrunk <= part.high <= 1
        assert part.effective_n <= part.respondents_n + 1e-9
        assert part.weight_sum <= part.effective_n + 1e-9


@given(st.one_of(answers(), st.lists(SUSPECT, max_size=12)), st.randoms(use_true_random=False))
def test_the_order_of_evidence_changes_no_byte(evidence: list[Answer], dice: random.Random) -> None:
    shuffled = [
        msgspec.structs.replace(
            answer, ratings=dict(dice.sample(list(answer.ratings.items()), len(answer.ratings)))
        )
        for answer in dice.sample(evidence, len(evidence))
    ]
    first, again = (score(each, now_ms=NOW, options=QUICK) for each in (evidence, shuffled))
    assert msgspec.json.encode(first) == msgspec.json.encode(again)


@given(answers(least=1), st.data())
def test_evidence_that_comes_twice_changes_nothing(
    evidence: list[Answer], data: st.DataObject
) -> None:
    twice = evidence + data.draw(st.lists(st.sampled_from(evidence), min_size=1))
    assert score(twice, now_ms=NOW, options=QUICK) == score(evidence, now_ms=NOW, options=QUICK)


@given(answers(least=1), PRIORS, st.data())
def test_a_higher_rating_lowers_neither_the_score_nor_an_end_of_its_interval(
    evidence: list[Answer], priors: dict[Source, Prior], data: st.DataObject
) -> None:
    n = data.draw(st.integers(0, len(evidence) - 1))
    category = data.draw(st.sampled_from(sorted(evidence[n].ratings)))
    share = data.draw(st.floats(evidence[n].ratings[category].share, 1))
    before = score(evidence, now_ms=NOW, priors=priors, options=QUICK)
    after = score(rerated(evidence, n, category, share), now_ms=NOW, priors=priors, options=QUICK)
    assert after.value >= before.value - 1e-9
    assert after.low >= before.low - 1e-9
    assert after.high >= before.high - 1e-9
    for old, new in zip(before.sources, after.sources, strict=True):
        assert new.low >= old.low - 1e-9
        assert new.high >= old.high - 1e-9


@given(st.lists(SUSPECT, min_size=1, max_size=12), st.data())
def test_a_higher_rating_lowers_no_score_while_the_flags_stay_the_same(
    evidence: list[Answer], data: st.DataObject
) -> None:
    evidence = list({answer.evidence_id: answer for answer in evidence}.values())
    n = data.draw(st.integers(0, len(evidence) - 1))
    category = data.draw(st.sampled_from(sorted(evidence[n].ratings)))
    share = data.draw(st.floats(evidence[n].ratings[category].share, 1))
    before = score(evidence, now_ms=NOW, options=QUICK)
    after = score(rerated(evidence, n, category, share), now_ms=NOW, options=QUICK)
    straight = [
        tuple(flag for flag in made.flags if flag.kind == "straight_lining")
        for made in (before, after)
    ]
    assert [flag for flag in before.flags if flag not in straight[0]] == [
        flag for flag in after.flags if flag not in straight[1]
    ], "only straight lines look at ratings"
    assume(straight[0] == straight[1])
    assert after.value >= before.value - 1e-9
    assert after.low >= before.low - 1e-9


def test_a_rating_that_makes_a_straight_line_may_lower_the_score_as_the_page_says() -> None:
    others = [said(f"c{n}", "customers", 2, 2, 3) for n in range(5)]
    read = said("x", "customers", 10, 10, 10, 9, seconds=6.0)
    line = said("x", "customers", 10, 10, 10, 10, seconds=6.0)
    before, after = (score([*others, each], now_ms=NOW) for each in (read, line))
    assert not before.flags
    assert after.flags
    assert before.value - 100 * 0.4 / (1 + UNKNOWN.strength) < after.value < before.value


# One person


@given(answers(least=1), PRIORS, st.data())
def test_what_one_person_says_moves_the_score_by_no_more_than_their_weight(
    evidence: list[Answer], priors: dict[Source, Prior], data: st.DataObject
) -> None:
    source, person = data.draw(st.sampled_from([(a.source, a.respondent_id) for a in evidence]))

    def all_say(share: float) -> Score:
        told = [
            msgspec.structs.replace(a, ratings=shares(share))
            if (a.source, a.respondent_id) == (source, person) else a
            for a in evidence
        ]  # fmt: skip
        return score(told, now_ms=NOW, priors=priors, options=QUICK)

    low, high = all_say(0.0), all_say(1.0)
    part = low.by_source[source]
    weight = people(low)[source, person]
    pull = 100 * part.weight * weight / (part.weight_sum + part.prior.strength)
    assert abs(high.value - low.value - pull) < 1e-9
    assert pull <= 100 * part.weight / (1 + part.prior.strength) + 1e-9


@given(answers(), PRIORS, st.sampled_from(SOURCES), st.sampled_from((0.0, 0.5, 1.0)))
def test_a_new_person_moves_the_score_by_no_more_than_that_either(
    evidence: list[Answer], priors: dict[Source, Prior], source: Source, share: float
) -> None:
    new = said("new", source, evidence="new", ratings=shares(share))
    before = score(evidence, now_ms=NOW, priors=priors, options=QUICK)
    after = score([*evidence, new], now_ms=NOW, priors=priors, options=QUICK)
    part = before.by_source[source]
    bound = 100 * part.weight / (part.weight_sum + part.prior.strength + 1)
    assert abs(after.value - before.value) <= bound + 1e-9


@given(answers(least=1), st.integers(1, 60), st.data())
def test_a_person_who_sends_more_never_weighs_more_than_one(
    evidence: list[Answer], times: int, data: st.DataObject
) -> None:
    one = data.draw(st.sampled_from(evidence))
    more = [msgspec.structs.replace(one, evidence_id=f"more{n}") for n in range(times)]
    before, after = (
        people(score(each, now_ms=NOW, options=QUICK)) for each in (evidence, [*evidence, *more])
    )
    assert before == after
    assert max(after.values()) <= 1


# Age


@given(answers(least=1), st.integers(1, 4_000), st.data())
def test_older_evidence_weighs_less(evidence: list[Answer], days: int, data: st.DataObject) -> None:
    n = data.draw(st.integers(0, len(evidence) - 1))
    one = evidence[n]
    alone = [a for a in evidence if (a.source, a.respondent_id) == (one.source, one.respondent_id)]
    assume(len(alone) == 1)
    older = msgspec.structs.replace(one, at_ms=min(one.at_ms, NOW) - days * DAY)
    aged = [*evidence[:n], older, *evidence[n + 1 :]]
    before, after = (people(score(each, now_ms=NOW, options=QUICK)) for each in (evidence, aged))
    key = (one.source, one.respondent_id)
    assert after[key] < before[key]
    assert {k: w for k, w in after.items() if k != key} == {
        k: w for k, w in before.items() if k != key
    }


@given(answers(), PRIORS)
def test_without_new_evidence_a_score_goes_back_to_the_prior(
    evidence: list[Answer], priors: dict[Source, Prior]
) -> None:
    later = [
        score(evidence, now_ms=NOW + years * 365 * DAY, priors=priors, options=QUICK)
        for years in (0, 3, 9, 60)
    ]
    shares_ = [made.evidence_share for made in later]
    assert shares_ == sorted(shares_, reverse=True)
    assert abs(later[-1].value - later[-1].baseline) < 1e-3


# The interval


@given(answers(), PRIORS, st.sampled_from(SOURCES), st.floats(0, 1), st.integers(1, 5))
def test_who_agrees_with_a_source_narrows_its_interval(
    evidence: list[Answer], priors: dict[Source, Prior], source: Source, where: float, n: int
) -> None:
    before = score(evidence, now_ms=NOW, priors=priors, options=QUICK).by_source[source]
    share = before.low + where * (before.high - before.low)  # anywhere within it is agreement
    more = [said(f"new{k}", source, evidence=f"new{k}", ratings=shares(share)) for k in range(n)]
    after = score([*evidence, *more], now_ms=NOW, priors=priors, options=QUICK).by_source[source]
    assert before.low - 1e-9 <= after.low
    assert after.high <= before.high + 1e-9


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.sampled_from(SOURCES), st.integers(1, 12), st.booleans())
@example(seed=1, source="consistency", n=1, known=False)
def test_who_agrees_with_a_source_narrows_the_interval_of_the_score(
    seed: int, source: Source, n: int, known: bool
) -> None:
    dice = random.Random(seed)
    quality = dice.uniform(0.1, 0.9)
    prior = Prior(quality, 4.0, 9, "nine others", 0.2) if known else UNKNOWN
    evidence = [
        said(f"{each}{k}", each, ratings=shares(min(max(dice.gauss(quality, 0.15), 0), 1)))
        for each in SOURCES
        for k in range(n)
    ]
    made = score(evidence, now_ms=NOW, priors=dict.fromkeys(SOURCES, prior))
    shrunk = made.by_source[source].shrunk
    more = [said(f"new{k}", source, ratings=shares(shrunk)) for k in range(3)]
    after = score([*evidence, *more], now_ms=NOW, priors=dict.fromkeys(SOURCES, prior))
    # The ends are those of 2,000 draws: a source of a tenth of the weight moves them by little
    # more than they are uncertain by.
    assert after.high - after.low <= 1.005 * (made.high - made.low)
    assert abs(after.value - made.value) < 1e-9


def test_each_doubling_of_agreeing_witnesses_narrows_the_interval() -> None:
    widths = []
    for n in (0, 1, 2, 4, 8, 16, 32):
        evidence = [
            said(f"{source}{k}", source, ratings=shares(0.5 + (-1) ** k * 0.2))
            for source in SOURCES
            for k in range(n)
        ]
        made = score(evidence, now_ms=NOW)
        widths.append(made.high - made.low)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < widths[0] / 5


def test_one_witness_is_not_certain_and_neither_are_five_who_say_the_same() -> None:
    for n in (1, 5):
        evidence = [
            said(f"{source}{k}", source, ratings=shares(0.9))
            for source in SOURCES
            for k in range(n)
        ]
        made = score(evidence, now_ms=NOW)
        assert made.high - made.low > 10


# Flags


@given(st.lists(SUSPECT, max_size=12))
def test_a_flag_never_raises_a_weight_and_every_lower_weight_has_its_flag(
    evidence: list[Answer],
) -> None:
    with_flags = score(evidence, now_ms=NOW, options=QUICK)
    without = score(evidence, now_ms=NOW, options=NO_FLAGS)
    for (key, weight), (other, free) in zip(
        people(with_flags).items(), people(without).items(), strict=True
    ):
        assert key == other
        named = any(key in flag.witnesses for flag in with_flags.flags)
        assert 0 < weight <= free
        assert (weight < free) == named
    for flag in with_flags.flags:
        assert 0 < flag.factor < 1
        assert set(flag.evidence) <= {answer.evidence_id for answer in evidence}


@given(st.lists(SUSPECT, max_size=12))
def test_a_weight_is_the_product_of_the_factors_that_are_shown(evidence: list[Answer]) -> None:
    made = score(evidence, now_ms=NOW, options=QUICK)
    for part in made.sources:
        for person in part.respondents:
            factors = person.factors
            shown = max(math.prod(factors.flags.values()), DEFAULT.least_flagged)
            assert factors.flagged == shown
            product = factors.age * factors.verification * factors.completeness * shown
            assert math.isclose(person.weight, product, rel_tol=1e-12)
            for kind, factor in factors.flags.items():
                assert any(
                    flag.kind == kind and flag.factor == factor
                    and person.respondent_id in flag.respondents
                    for flag in made.flags
                )  # fmt: skip


@given(st.lists(SUSPECT, max_size=10))
def test_a_score_of_any_evidence_can_be_written_and_read(evidence: list[Answer]) -> None:
    made = score(evidence, now_ms=NOW, options=QUICK)
    assert msgspec.json.decode(msgspec.json.encode(made), type=Score) == made
    assert len(of(evidence, "consistency")) == 0
    assert set(FORM) >= {part.category for each in made.sources for part in each.categories}
