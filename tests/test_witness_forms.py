"""What witnesses fill in: what counts as an answer, and what is said of what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeward.confidence import form
from lakeward.store.invitations import FORMS, Form
from lakeward.store.responses import Answers
from witnessed import sheet

EVERY = pytest.mark.parametrize("which", FORMS)


@EVERY
def test_a_whole_form_is_read_whole(which: Form) -> None:
    texts = {item.name: f"About {item.name}." for item in form.SHEETS[which].texts}
    months = {"months": "One to three years"} if form.SHEETS[which].months else {}
    found = form.read(which, sheet(which, 7, **texts, **months))
    assert found.wrong == {}
    assert set(found.answers.scores.values()) == {7}
    assert found.answers.nps == 7
    assert found.answers.texts == texts
    assert found.answers.months == (24 if months else None)
    assert found.completeness == 1.0


@EVERY
def test_each_category_that_is_left_out_is_named(which: Form) -> None:
    found = form.read(which, {})
    assert set(found.wrong) == {item.name for item in form.SHEETS[which].ratings}


def test_who_cannot_say_has_answered_and_rates_nothing() -> None:
    found = form.read("reference", sheet("reference", 9) | {"value": form.UNKNOWN, "nps": ""})
    assert found.wrong == {}
    assert "value" not in found.answers.scores
    assert found.answers.nps is None
    assert found.completeness == pytest.approx(5 / 10)


def test_who_can_say_nearly_nothing_is_asked_for_a_little_more() -> None:
    unknown = sheet("employee") | dict.fromkeys(
        ("leadership", "communication", "delivery", "expertise"), form.UNKNOWN
    )
    assert "at least 2" in form.read("employee", unknown).wrong["leadership"]


@pytest.mark.parametrize("value", ["0", "11", "-1", "7.5", "seven", "\u0667", "7 ", "007"])
def test_a_rating_off_the_scale_is_refused(value: str) -> None:
    found = form.read("employee", sheet("employee") | {"delivery": value})
    assert ("delivery" in found.wrong) == (value != "7 ")


def test_a_text_that_is_too_long_is_refused_and_control_signs_are_left_out() -> None:
    long = form.read("quarterly", sheet("quarterly", comments="x" * 4001))
    assert "4,000" in long.wrong["comments"]
    plain = form.read("quarterly", sheet("quarterly", comments=" a\x00b\x1b[0m\r\nc\ud800 "))
    assert plain.answers.texts == {"comments": "ab[0m\nc"}


@EVERY
@given(fields=st.dictionaries(st.text(max_size=20), st.text(max_size=40), max_size=10))
def test_whatever_is_sent_nothing_is_raised(which: Form, fields: dict[str, str]) -> None:
    found = form.read(which, fields | {"nps": fields.get("nps", "\x00")})
    assert 0 <= found.completeness <= 1
    assert found.wrong


@pytest.mark.parametrize(
    ("answers", "wrong"),
    [
        (Answers(scores={"value": 3}), "scores"),
        (Answers(scores={"value": 3, "delivery": 11}), "scores"),
        (Answers(scores={"value": 3, "speed": 4}), "scores"),
        (Answers(scores={"value": 3, "delivery": 4}, nps=11), "nps"),
        (Answers(scores={"value": 3, "delivery": 4}, texts={"essay": "x"}), "texts"),
        (Answers(scores={"value": 3, "delivery": 4}, months=-1), "months"),
    ],
)
def test_what_comes_by_the_api_keeps_to_the_same_rules(answers: Answers, wrong: str) -> None:
    assert wrong in form.checked("reference", answers).wrong
