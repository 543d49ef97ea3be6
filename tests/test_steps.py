"""Steps and conditions as people write them."""

from __future__ import annotations

import pytest

from lakeward.analysis.filters import Filter
from lakeward.analysis.step import Step, filter_of, step_of
from lakeward.errors import Rejected


@pytest.mark.parametrize(
    ("word", "step"),
    [
        ("demo_booking", Step(event="demo_booking")),
        ("*", Step()),
        (
            "page_view[path=/pricing]",
            Step(
                event="page_view", where=Filter(field="path", values=("/pricing",)),
                label="page_view[path=/pricing]",
            ),
        ),
        (
            "paid:=deal_closed[outcomes.value>=2.5,route!=/x\\,y]",
            Step(
                event="deal_closed", label="paid",
                where=Filter(
                    all=(
                        Filter(field="outcomes.value", op="at_least", values=(2.5,)),
                        Filter(field="route", op="is_not", values=("/x,y",)),
                    )
                ),
            ),
        ),
        ("my:own:event", Step(event="my:own:event")),
        (
            "api_call[response_status=500,response_status=503]",
            Step(
                event="api_call", where=Filter(field="response_status", values=(500, 503)),
                label="api_call[response_status=500,response_status=503]",
            ),
        ),
    ],
)  # fmt: skip
def test_a_word_is_a_step(word: str, step: Step) -> None:
    assert step_of(word) == step


def test_each_sign_is_a_comparison() -> None:
    ops = {"!=": "is_not", "~": "contains", "!~": "contains_not", "^=": "starts", "$=": "ends"}
    for sign, op in ops.items():
        assert filter_of([f"route{sign}a=b"]) == Filter(field="route", op=op, values=("a=b",))  # type: ignore[arg-type]  # each is one
    assert filter_of(["bot=true"]) == Filter(field="bot", values=(True,))
    assert filter_of(['{"any": [{"field": "bot", "op": "known"}]}']) == Filter(
        any=(Filter(field="bot", op="known"),)
    )
    assert filter_of([]) is None


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("a b", "is no step"),
        ("page_view[path]", "is no condition"),
        ("page_view[nothing=1]", "is no field"),
        ("page_view[response_status=ok]", "'ok' is none"),
        ("page_view[response_time_ms>nan]", "'nan' is none"),
        ('page_view[{"field": 1}]', "is no filter"),
        ("page_view[path=]", None),
    ],
)
def test_what_is_no_step_is_refused_in_a_sentence(word: str, said: str | None) -> None:
    if said is None:
        assert step_of(word).where == Filter(field="path", values=("",))
        return
    with pytest.raises(Rejected, match=said):
        step_of(word)
