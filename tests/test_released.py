"""A partner never sees who said what: what is shown comes in groups of three, and no two looks
differ by less."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from databases import Store
from lakeward.confidence.desk import Told
from lakeward.confidence.released import K, quotes, released
from lakeward.confidence.score import Answer, Rating, Source
from witnessed import Asked


def heard(n: int, who: str, source: Source = "employees") -> Answer:
    return Answer(
        evidence_id=f"e{n}", respondent_id=who, source=source, at_ms=n,
        ratings={"delivery": Rating(n % 10 + 1, 1, 10)}, verified=True, completeness=1,
    )  # fmt: skip


def test_fewer_than_three_are_nobodys_yet() -> None:
    found = released([heard(1, "a"), heard(2, "b")])
    assert found.answers == ()
    assert found.waiting == {"employees": 2, "customers": 0}


def test_three_are_shown_and_a_fourth_waits() -> None:
    found = released([heard(n, who) for n, who in enumerate("abcd")])
    assert found.witnesses == {"a", "b", "c"}
    assert found.waiting["employees"] == 1


def test_one_who_answers_again_and_again_is_still_one() -> None:
    found = released([heard(n, "a") for n in range(9)] + [heard(10, "b")])
    assert found.answers == ()
    assert found.waiting["employees"] == 10


def test_employees_do_not_fill_up_a_group_of_customers() -> None:
    found = released([heard(1, "a"), heard(2, "b"), heard(3, "c", "customers")])
    assert found.answers == ()


@given(st.lists(st.sampled_from("abcdefg"), max_size=40), st.randoms(use_true_random=False))
def test_no_two_looks_differ_by_fewer_than_three_witnesses(
    said: list[str], dice: random.Random
) -> None:
    answers = [heard(n, who) for n, who in enumerate(said)]
    looks = []
    for n in range(len(answers) + 1):
        seen = answers[:n]
        dice.shuffle(seen)
        looks.append({one.evidence_id for one in released(seen).answers})
    whose = {one.evidence_id: one.respondent_id for one in answers}
    for before, after in pairwise(looks):
        assert before <= after
        new = {whose[which] for which in after - before}
        assert not new or len(new) == K


def test_quotes_name_nobody_and_come_in_no_order_of_time(store: Store) -> None:
    asked = Asked(store)
    people = [Told(name=name, email=f"{name.lower()}@acme.example") for name in
              ("Grace Hopper", "Ada", "Alan", "Edsger")]  # fmt: skip
    said = [
        "Grace and I answer within a day, write to grace@acme.example.",
        "Call Hopper at +1 512 555 0100 and see.",
        "We keep what we promise.",
        "Nobody hears of this one yet.",
    ]
    for told, text in zip(people, said, strict=True):
        told = Told(name=told.name, email=(told.email or "").replace(" ", "."))
        asked.answer(asked.invite("employee", told), strengths=text)
    responses = asked.desk.responses.of("p9")
    from lakeward.confidence.evidence import gather

    shown = released(gather(asked.desk, "p9", "", []).answers).responses
    found = [one.text for one in quotes(responses, shown, asked.desk.witnesses.of("p9"))]
    assert sorted(found) == [
        "Call … at … and see.",
        "We keep what we promise.",
        "… and I answer within a day, write to …",
    ]
    assert "Nobody hears" not in repr(found)
