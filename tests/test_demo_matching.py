"""The demo's matching: known cases by hand, and what holds for all."""

from __future__ import annotations

from itertools import permutations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeward.demo.matching import Wishes, matches, neighbours
from lakeward.demo.partners import FOCUS_AREAS, LIBRARY, PARTNERS, READINESS, REVENUE_TIERS, Partner

WISHES = st.builds(
    Wishes,
    st.lists(st.sampled_from(sorted(FOCUS_AREAS)), min_size=1, max_size=3, unique=True).map(tuple),
    st.none() | st.sampled_from(sorted(REVENUE_TIERS)),
    st.sampled_from(sorted(READINESS)),
)


def partner(number: int, *focus: str, tier: str = "1m_5m", score: float | None = None) -> Partner:
    return Partner(f"p{number}", f"Firm {number}", "a@b.example", "Helps.", focus, (tier,), score)


@pytest.mark.parametrize(
    ("focus", "points"),
    [
        (("crm",), 62.5),  # first wish and primary: 3 + 2 of 8
        (("hiring", "crm"), 37.5),  # first wish, not primary: 3 of 8
        (("hiring", "crm", "safety"), 62.5),  # first and second wish: 5 of 8
        (("safety", "crm"), 87.5),  # first, second and primary: 7 of 8
        (("payroll", "crm", "safety"), 100.0),  # all three, the third is primary: 8 of 8
        (("crm", "safety", "payroll"), 100.0),  # all three, the first is primary: 8 of 8
        (("insurance",), 0.0),
    ],
)
def test_focus_areas_count_three_two_one_and_two_more_for_the_primary(
    focus: tuple[str, ...], points: float
) -> None:
    wishes = Wishes(("crm", "safety", "payroll"))
    assert matches(wishes, [partner(1, *focus)])[0].parts["focus"] == points


@pytest.mark.parametrize(
    ("tier", "points"),
    [("1m_5m", 100), ("500k_1m", 75), ("5m_10m", 75), ("under_500k", 25), (None, 50)],
)
def test_revenue_counts_by_nearness(tier: str | None, points: float) -> None:
    assert matches(Wishes(("crm",), tier), [partner(1, "crm")])[0].parts["revenue"] == points


def test_without_confidence_the_others_share_its_weight() -> None:
    wishes = Wishes(("crm",), "1m_5m", "now")
    without, with_score = partner(1, "crm"), partner(1, "crm", score=40)
    (match,) = matches(wishes, [without])
    assert match.score == round((60 * 62.5 + 20 * 100 + 10 * 100) / 90, 1)
    assert "confidence" not in match.parts
    (match,) = matches(wishes, [with_score])
    assert match.score == round((60 * 62.5 + 20 * 100 + 10 * 40 + 10 * 100) / 100, 1)
    assert match.parts["confidence"] == 40


def test_readiness_is_the_contractors_own() -> None:
    scores = [
        matches(Wishes(("crm",), None, ready), [partner(1, "crm")])[0].parts["readiness"]
        for ready in ("now", "quarter", "year", "exploring")
    ]
    assert scores == [100, 75, 50, 25]


def test_three_are_shown_and_ties_stand_by_number() -> None:
    firms = [partner(n, "crm") for n in (10, 2, 1, 11)]
    for order in permutations(firms):
        found = matches(Wishes(("crm",)), order)
        assert [match.partner.partner_id for match in found] == ["p1", "p2", "p10"]


@given(wishes=WISHES)
def test_every_match_of_anybody_has_reasons_and_a_score_in_order(wishes: Wishes) -> None:
    found = matches(wishes, PARTNERS.values())
    assert len(found) == 3
    scores = [match.score for match in found]
    assert scores == sorted(scores, reverse=True)
    for match in found:
        assert 0 <= match.score <= 100
        assert match.reasons
        assert all(0 <= points <= 100 for points in match.parts.values())


@given(wishes=WISHES, score=st.floats(0, 100))
def test_a_better_known_partner_never_loses_by_it(wishes: Wishes, score: float) -> None:
    firm = partner(1, "crm")
    low = matches(wishes, [msgspec.structs.replace(firm, confidence=score / 2)])[0].score
    assert matches(wishes, [msgspec.structs.replace(firm, confidence=score)])[0].score >= low


def test_a_tiers_neighbours_are_those_beside_it() -> None:
    assert neighbours("under_500k") == ["500k_1m"]
    assert neighbours("1m_5m") == ["500k_1m", "5m_10m"]
    assert neighbours("over_10m") == ["5m_10m"]


def test_the_bundled_partners_and_library_use_known_words() -> None:
    assert len(PARTNERS) == 12
    for firm in PARTNERS.values():
        assert set(firm.focus) <= set(FOCUS_AREAS)
        assert set(firm.revenue) <= set(REVENUE_TIERS)
        assert firm.email.endswith(".example")
    assert {content.focus for content in LIBRARY.values()} <= set(FOCUS_AREAS)
    covered = {area for firm in PARTNERS.values() for area in firm.focus}
    assert covered == set(FOCUS_AREAS)
