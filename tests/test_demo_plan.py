"""The plan of the demo: a pure function of its numbers, with a funnel that one can believe."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import msgspec
import pytest

from lakeward.demo.acts import GO_ON
from lakeward.demo.experiment import CONTROL, TREATMENT, effect
from lakeward.demo.partners import FOCUS_AREAS
from lakeward.demo.plan import BROWSERS, MOST_BOOKINGS, Plan, done, plan, settled, shown

WAY = ("start", "code", "focus", "profile", "choose")


def kinds(of: Plan) -> Counter[str]:
    return Counter(act.kind for visitor in of.visitors for act in visitor.acts)


def test_equal_numbers_give_equal_plans_in_another_process_too() -> None:
    code = (
        "import msgspec, sys\nfrom lakeward.demo.plan import plan\n"
        "sys.stdout.buffer.write(msgspec.json.encode(plan(7, 50, 20.0)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, timeout=120
    )
    assert done.stdout == msgspec.json.encode(plan(7, 50, 20.0))


def test_another_seed_gives_other_journeys() -> None:
    assert plan(7, 50, 20.0).visitors != plan(8, 50, 20.0).visitors


def test_a_longer_run_has_the_same_journeys() -> None:
    short, long = plan(7, 50, 20.0), plan(7, 50, 90.0)
    assert short.visitors == long.visitors
    assert short.outage != long.outage


@pytest.mark.parametrize("seed", [1, 7, 99])
def test_fewer_visitors_reach_each_further_step_and_some_the_end(seed: int) -> None:
    counted = kinds(plan(seed, 600, 60.0))
    reached = [counted[kind] for kind in WAY]
    assert reached == sorted(reached, reverse=True)
    assert len(set(reached)) == len(reached)
    assert 0.35 < reached[-1] / counted["start"] < 0.85


def test_everything_that_a_visitor_can_do_happens() -> None:
    counted = kinds(plan(7, 600, 60.0))
    rare = ["wrong_code", "mistake", "away", "reschedule", "cancel", "held", "no_show", "deal"]
    for kind in [*rare, "book", "feedback", "coach", "content", "join", "review", "api"]:
        assert counted[kind] > 3, kind


@pytest.mark.parametrize("visitors", [1, 2, 3, 12])
def test_the_smallest_run_shows_every_outcome(visitors: int) -> None:
    made = plan(7, visitors, 5.0)
    assert len(made.visitors) == visitors
    assert {*WAY, "book", "held", "deal", "feedback", "coach"} <= set(kinds(made))
    assert sum(visitor.browser for visitor in made.visitors) <= BROWSERS


def test_nobody_wishes_for_the_same_thing_twice_or_books_without_a_match() -> None:
    for visitor in plan(7, 600, 60.0).visitors:
        kinds_done = [act.kind for act in visitor.acts]
        for act in visitor.acts:
            if act.kind == "focus":
                wishes = [value for _, value in act.fields]
                assert len(set(wishes)) == 3
                assert set(wishes) <= set(FOCUS_AREAS)
        if "book" in kinds_done:
            assert kinds_done.index("choose") < kinds_done.index("book")
        if "deal" in kinds_done:
            assert kinds_done.index("held") < kinds_done.index("deal")
        if "coach" in kinds_done:
            assert kinds_done.index("feedback") < kinds_done.index("coach")


def test_no_two_visitors_share_an_address() -> None:
    addresses = [
        value
        for visitor in plan(7, 600, 60.0).visitors
        for act in visitor.acts
        for name, value in act.fields
        if act.kind in {"start", "join"} and name == "email"
    ]
    assert len(set(addresses)) == len(addresses)
    assert all(address.endswith(".example") for address in addresses)


def test_no_partner_is_booked_more_often_than_it_has_time() -> None:
    booked = Counter(
        shown(visitor)[act.place].partner.partner_id
        for visitor in plan(7, 5000, 60.0).visitors
        for act in visitor.acts
        if act.kind == "book"
    )
    assert max(booked.values()) == MOST_BOOKINGS


def test_the_plan_has_the_known_effect_of_the_experiment() -> None:
    people = [
        visitor
        for seed in range(12)  # few each, so that no partner is booked out
        for visitor in plan(seed, 400, 60.0).visitors
        if shown(visitor) and visitor.number > BROWSERS
    ]
    for arm, share in effect(GO_ON["choose"]).conversion.items():
        booked = sum(any(act.kind == "book" for act in done(who, arm)) for who in people)
        spread = (share * (1 - share) * len(people)) ** 0.5
        assert abs(booked - share * len(people)) < 4 * spread, arm


def test_who_books_with_the_control_books_with_the_treatment_too_and_the_rest_is_the_same() -> None:
    made = plan(7, 400, 60.0)
    for one, other in zip(
        settled(made, {}).visitors,
        settled(made, dict.fromkeys(range(400), TREATMENT)).visitors,
        strict=True,
    ):
        control, treated = Counter(one.acts), Counter(other.acts)
        assert control <= treated
        assert {act.kind for act in treated - control} <= {
            "book", "reschedule", "cancel", "held", "no_show", "deal",
        }  # fmt: skip
    assert settled(made, {}) == settled(made, dict.fromkeys(range(400), CONTROL))
