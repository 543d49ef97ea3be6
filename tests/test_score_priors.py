"""What is believed of a partner before: learnt from the others of its category, or nothing."""

from __future__ import annotations

import random
import statistics
from typing import Any

import pytest

from lakeward.confidence.score import (
    DEFAULT,
    SOURCES,
    UNKNOWN,
    Answer,
    Options,
    Prior,
    category_priors,
    priors_of_each,
    score,
)
from lakeward.confidence.score.interval import _coupled, _two, draws
from lakeward.confidence.score.witness import witnesses
from lakeward.errors import Terminal
from scored import NOW, said, shares


def category(
    partners: int, *, within: float, between: float, each: int = 8, seed: int = 5
) -> dict[str, list[Answer]]:
    """Partners around 0.6, whose customers differ by `within`, and they by `between`."""
    dice = random.Random(seed)
    others = {}
    for n in range(partners):
        own = dice.gauss(0.6, between)
        others[f"p{n}"] = [
            said(f"c{k}", ratings=shares(min(max(dice.gauss(own, within), 0), 1)))
            for k in range(each)
        ]
    return others


def test_two_other_partners_are_too_few_and_the_basis_says_so() -> None:
    priors = category_priors(category(2, within=0.1, between=0.1), now_ms=NOW)
    prior = priors["customers"]
    assert (prior.mean, prior.strength, prior.spread) == (0.5, 2.0, 0.5)
    assert prior.partners == 2
    assert prior.basis.startswith("2 other partners of the category have customers, fewer than 3")
    assert priors["demos"].partners == 0


def test_the_mean_of_the_others_is_the_prior_each_partner_alike() -> None:
    others = {
        "loud": [said(f"c{k}", ratings=shares(1)) for k in range(50)],
        "quiet": [said("c", ratings=shares(0.4))],
        "other": [said("c", ratings=shares(0.4)), said("d", ratings=shares(0.4))],
    }
    prior = category_priors(others, now_ms=NOW)["customers"]
    assert prior.mean == pytest.approx(0.6)
    assert prior.strength == 2
    assert "fewer than 5 partners" in prior.basis


def test_the_more_alike_the_partners_the_stronger_the_prior() -> None:
    alike = category_priors(category(40, within=0.2, between=0.0), now_ms=NOW)["customers"]
    some = category_priors(category(40, within=0.2, between=0.11), now_ms=NOW)["customers"]
    apart = category_priors(category(40, within=0.1, between=0.2), now_ms=NOW)["customers"]
    assert alike.strength == 5
    assert some.strength == pytest.approx((0.2 / 0.11) ** 2, rel=0.35)
    assert apart.strength == 2
    assert alike.mean == pytest.approx(0.6, abs=0.03)
    assert some.spread == pytest.approx((0.2**2 + 0.11**2) ** 0.5, rel=0.2)


def test_perfect_others_make_no_partner_certain() -> None:
    others = {f"p{n}": [said("c", ratings=shares(1))] for n in range(9)}
    prior = category_priors(others, now_ms=NOW)["customers"]
    assert prior.mean == 0.95
    made = score([], now_ms=NOW, priors={"customers": prior})
    assert made.by_source["customers"].low < 0.95


def test_flagged_and_old_evidence_of_others_weighs_less_in_the_prior_too() -> None:
    fakes = [said(f"f{n}", device="d", ratings=shares(1)) for n in range(9)]
    honest = [said(f"h{n}", ratings=shares(0.2)) for n in range(3)]
    others = {f"p{n}": [*fakes, *honest] for n in range(3)}
    assert category_priors(others, now_ms=NOW)["customers"].mean == pytest.approx((1 + 0.6) / 4)


def test_priors_of_each_are_those_of_all_others() -> None:
    partners = category(7, within=0.2, between=0.1)
    for name, priors in priors_of_each(partners, now_ms=NOW).items():
        others = {other: told for other, told in partners.items() if other != name}
        assert priors == category_priors(others, now_ms=NOW)
        assert priors["customers"].partners == 6


def test_priors_do_not_depend_on_the_order_of_partners() -> None:
    others = category(9, within=0.2, between=0.1)
    turned = dict(reversed([(name, said_[::-1]) for name, said_ in others.items()]))
    assert category_priors(others, now_ms=NOW) == category_priors(turned, now_ms=NOW)


@pytest.mark.parametrize(
    "fields",
    [
        (1.1, 2.0, 0, "", 0.5),
        (0.5, 0.0, 0, "", 0.5),
        (0.5, 2.0, 0, "", 0.6),
        (0.5, 1e9, 0, "", 0.1),
    ],
)
def test_what_is_no_prior_is_refused(fields: Any) -> None:
    with pytest.raises(Terminal):
        Prior(*fields)


# The prior in the interval


@pytest.mark.parametrize(("mean", "spread"), [(0.5, 0.5), (0.8, 0.15), (0.9, 0.3), (0.05, 0.2)])
def test_the_two_witnesses_of_a_prior_have_its_mean_and_spread(mean: float, spread: float) -> None:
    two = _two(Prior(mean, 3.0, 5, "", spread))
    assert sum(share for _, share in two) == pytest.approx(1)
    assert all(0 <= value <= 1 for value, _ in two)
    assert sum(share * value for value, share in two) == pytest.approx(mean)
    variance = sum(share * (value - mean) ** 2 for value, share in two)
    assert variance == pytest.approx(min(spread**2, mean * (1 - mean)))


def test_without_evidence_and_knowledge_every_mean_is_alike_likely() -> None:
    drawn = sorted(draws([], UNKNOWN, 4_000))
    for place in (0.05, 0.25, 0.5, 0.75, 0.95):
        assert drawn[int(place * 4_000)] == pytest.approx(place, abs=0.03)


def test_the_mean_of_the_draws_is_the_shrunk_mean() -> None:
    evidence = [said(f"c{n}", ratings=shares(n / 9), days=100 * n) for n in range(9)]
    prior = Prior(0.8, 3.0, 9, "", 0.2)
    heard = witnesses(evidence, now_ms=NOW).by_source["customers"]
    made = score(evidence, now_ms=NOW, priors={"customers": prior}).by_source["customers"]
    assert made.low < made.shrunk < made.high
    assert statistics.fmean(draws(heard, prior, 20_000)) == pytest.approx(made.shrunk, abs=0.002)


def test_draws_that_go_together_are_gamma_draws() -> None:
    for shape in (0.4, 1.0, 2.6):
        drawn = _coupled(shape, "try", 20_000)
        assert statistics.fmean(drawn) == pytest.approx(shape, rel=0.03)
        assert statistics.variance(drawn) == pytest.approx(shape, rel=0.06)


def test_a_wrong_prior_is_wrong_in_all_sources_at_once() -> None:
    one, other = (draws([], Prior(0.7, k, 9, "", 0.2), 4_000) for k in (2.0, 4.0))
    assert statistics.correlation(one, other) > 0.7
    made = score([], now_ms=NOW, priors=dict.fromkeys(SOURCES, UNKNOWN))
    assert made.high - made.low > 85  # four priors with luck of their own would leave 50


@pytest.mark.parametrize("known", [True, False])
def test_the_interval_holds_the_truth_of_nine_partners_in_ten(known: bool) -> None:
    """What everybody would say, of 150 partners with five witnesses of each source."""
    dice = random.Random(11)

    def made_up(name: str, each: int) -> tuple[float, list[Answer]]:
        quality = {source: dice.gauss(0, 0.05) for source in SOURCES}
        own = dice.gauss(0.6, 0.08)
        told = [
            said(
                f"{name}-{source}-{n}", source, ratings=shares(_within(dice.gauss(at + own, 0.14)))
            )
            for source, at in quality.items()
            for n in range(each)
        ]
        truth = sum(100 * DEFAULT.weights[s] * (own + at) for s, at in quality.items())
        return truth, told

    priors = [
        category_priors({f"{n}": made_up(f"o{n}", 8)[1] for n in range(15)}, now_ms=NOW)
        for _ in range(5)
    ]
    held = []
    for n in range(150):
        truth, told = made_up("p", 5)
        given = priors[n % len(priors)] if known else {}
        made = score(told, now_ms=NOW, priors=given, options=Options(draws=500))
        held.append(made.low <= truth <= made.high)
    # Of 150 at 90 %, 82 % or fewer come by chance once in a thousand.
    assert statistics.fmean(held) > 0.82


def _within(share: float) -> float:
    return min(max(share, 0.0), 1.0)
