"""The report of many witnesses: votes, alignments, discrepancies, recommendations, limits."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeward.catalog.confidence import MessageConsistencyAnalysis
from lakeward.confidence.consistency import (
    Report,
    Source,
    Statement,
    embedding,
    fields_of,
    lexical,
    report,
)
from lakeward.confidence.consistency.agreement import alignments
from lakeward.confidence.consistency.reporting import (
    LONGEST_STATEMENT,
    MOST_CLAIMS,
    MOST_PAIRS,
    MOST_SENTENCES,
    MOST_STATEMENTS,
    MOST_WITNESSES,
)

CEO = (
    "We answer every request within one hour. Our staff is friendly. We never charge hidden fees. "
    "We employ 40 people."
)
SAID: tuple[tuple[Source, str, str], ...] = (
    ("employee", "e1", "We always answer within an hour. The staff is friendly."),
    ("employee", "e2", "There are no hidden fees. My colleagues are kind."),
    ("customer", "c1", "It took them two days to answer. The staff was friendly."),
    ("customer", "c2", "We were charged hidden fees. They left the garden tidy."),
    ("customer", "c3", "The garden was tidy when they left. The coffee was cold."),
    ("demo", "d1", "The dashboard shows all orders."),
)


def statements(*more: tuple[Source, str, str]) -> list[Statement]:
    said: list[tuple[Source, str, str]] = [("ceo", "boss", CEO), *SAID, *more]
    return [Statement(*fields) for fields in said]


def of(every: list[Statement]) -> Report:
    return report(every, lexical())


def test_each_claim_has_the_votes_of_each_kind_of_witness() -> None:
    votes = {claim.claim: claim.votes for claim in of(statements()).claims}
    answer = votes["We answer every request within one hour."]
    assert (answer["employee"].supports, answer["employee"].silent) == (1, 1)
    assert (answer["customer"].contradicts, answer["customer"].silent) == (1, 2)
    fees = votes["We never charge hidden fees."]
    assert fees["customer"].contradicts == 1
    friendly = votes["Our staff is friendly."]
    assert friendly["customer"].supports == 1
    assert friendly["demo"].silent == 1


def test_a_discrepancy_carries_both_quotes_and_the_reason() -> None:
    found = {entry.witness_id: entry for entry in of(statements()).discrepancies}
    assert found["c1"].claim == "We answer every request within one hour."
    assert found["c1"].quote == "It took them two days to answer."
    assert found["c1"].source == "customer"
    assert "Numbers differ: two days and within one hour." in found["c1"].reason
    assert 0 <= found["c1"].similarity <= 1


def test_recommendations_follow_from_the_findings() -> None:
    said = of(statements()).recommendations
    assert any("1 customer contradicts “We answer every" in s and "figure" in s for s in said)
    assert any("No witness speaks of “We employ 40 people.”" in sentence for sentence in said)
    assert any("2 witnesses praise garden" in sentence for sentence in said)
    assert any("employees agree and customers do not" in sentence for sentence in said)


def test_a_claim_that_many_confirm_should_be_said_first() -> None:
    more: list[tuple[Source, str, str]] = [
        ("customer", f"m{n}", "The staff was friendly.") for n in range(3)
    ]
    said = of(statements(*more)).recommendations
    assert any("6 witnesses confirm “Our staff is friendly.”" in s for s in said)


def test_alignments_are_shares_of_those_who_speak() -> None:
    found = of(statements())
    assert found.ceo_employee.score == 100
    # Customers: answering 0 of 1, fees 0 of 1, friendliness 1 of 1.
    assert found.ceo_customer.score == pytest.approx(33.33)
    assert found.ceo_demo.score is None
    assert found.ceo_demo.coverage == 0
    assert found.overall.score == pytest.approx((100 + 33.33) / 2, abs=0.01)
    assert found.overall.coverage == 0.75
    assert found.overall.witnesses == 6
    for side in (found.ceo_employee, found.ceo_customer, found.overall):
        assert side.low is not None
        assert side.high is not None
        assert side.score is not None
        assert 0 <= side.low <= side.score <= side.high <= 100


def test_two_witnesses_are_less_sure_than_ten() -> None:
    few = alignments({"customer": [{0: True}] * 2}, 1)["customer"]
    many = alignments({"customer": [{0: True}] * 10}, 1)["customer"]
    assert few.score == many.score == 100
    assert few.low is not None
    assert many.low is not None
    assert few.low < many.low


def test_where_nothing_can_be_compared_nothing_is_invented() -> None:
    for every in (
        [],
        [Statement("ceo", "boss", CEO)],
        [Statement("customer", "c", "They are kind.")],
    ):
        found = of(every)
        assert found.overall.score is None
        assert found.overall.low is None
        assert found.discrepancies == []
        assert fields_of(found) is None
    assert of([Statement("ceo", "boss", CEO)]).recommendations == []


def test_a_witness_who_addresses_nothing_has_no_alignment() -> None:
    found = of(statements()).witness_alignment
    assert found["d1"] is None
    assert found["e1"] == 1.0
    assert found["c1"] == 0.5
    assert set(found) == {"e1", "e2", "c1", "c2", "c3", "d1"}


def test_one_witness_has_one_vote_however_often_it_is_said() -> None:
    loud = Statement(
        "customer", "c1", "It took three days to answer. They needed a week to answer."
    )
    once, often = of(statements()), of([*statements(), loud, loud])
    assert [claim.votes for claim in once.claims] == [claim.votes for claim in often.claims]


@settings(max_examples=15)
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_statements_changes_nothing(shuffle: random.Random) -> None:
    every = statements()
    expected = of(every)
    shuffle.shuffle(every)
    assert of(every) == expected


CLAIMS = st.integers(0, 3)
BALLOT = st.dictionaries(CLAIMS, st.booleans())


@given(st.lists(BALLOT, max_size=6), st.sets(CLAIMS, min_size=1), st.lists(BALLOT, max_size=3))
def test_a_witness_who_agrees_never_lowers_alignment(
    customers: list[dict[int, bool]], agreed: set[int], employees: list[dict[int, bool]]
) -> None:
    friend = dict.fromkeys(agreed, True)
    before = alignments({"customer": customers, "employee": employees}, 4)
    after = alignments({"customer": [*customers, friend], "employee": employees}, 4)
    assert after["customer"].score is not None
    assert after["customer"].score >= (before["customer"].score or 0)
    assert after["customer"].coverage >= before["customer"].coverage
    if before["customer"].score is not None:
        assert (after["overall"].score or 0) >= (before["overall"].score or 0)


@given(st.lists(BALLOT, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_silence_changes_no_score(customers: list[dict[int, bool]], shuffle: random.Random) -> None:
    before = alignments({"customer": customers}, 4)
    quiet = [*customers, {}, {}]
    shuffle.shuffle(quiet)
    after = alignments({"customer": quiet}, 4)
    assert after["customer"].score == before["customer"].score
    assert after["customer"].coverage == before["customer"].coverage


def test_the_catalog_takes_the_fields_and_nobody_is_named_in_them() -> None:
    found = of(statements())
    fields = fields_of(found)
    assert fields is not None
    typed = msgspec.convert(fields, MessageConsistencyAnalysis)
    assert typed.overall == found.overall.score
    assert set(fields) <= set(MessageConsistencyAnalysis.__struct_fields__)
    assert (fields["claims"], fields["contradicted"], fields["supported"]) == (4, 2, 1)
    assert fields["not_addressed"] == 1
    assert fields["model"] == "lexical-fallback"
    written = msgspec.json.encode(fields).decode()
    assert not any(f'"{name}"' in written for _, name, _ in SAID)


def test_a_report_is_written_and_read_back() -> None:
    found = of(statements())
    assert msgspec.json.decode(msgspec.json.encode(found), type=Report) == found


def test_the_embedding_model_reports_under_its_name() -> None:
    found = report(statements(), embedding())
    assert found.model == "minilm-l6-v2-int8"
    assert {entry.witness_id for entry in found.discrepancies} >= {"c1"}


def test_what_lies_beyond_a_limit_is_counted() -> None:
    words = [
        f"We sell {a} {b}." for a in ("red", "blue", "old", "new", "big", "good") for b in NOUNS
    ]
    assert len(words) > MOST_CLAIMS
    many = [
        Statement("ceo", "boss", " ".join(words)),
        Statement("customer", "long", "It is fine. " * LONGEST_STATEMENT),
        Statement("customer", "empty", "  "),
        Statement("employee", "chatty", " ".join(f"Room {n} was tidy." for n in range(150))),
        *(Statement("demo", f"d{n:04}", "It shows boxes.") for n in range(MOST_WITNESSES + 7)),
    ]
    left_out = of(many).left_out
    assert left_out["too_many_claims"] == len(words) - MOST_CLAIMS
    assert left_out["too_long"] == 1
    assert left_out["empty"] == 1
    assert left_out["too_many_sentences"] == 150 - MOST_SENTENCES
    assert left_out["too_many_witnesses"] == 7
    crowd = [Statement("customer", f"c{n}", "Kind.") for n in range(MOST_STATEMENTS + 5)]
    assert of(crowd).left_out["too_many_statements"] == 5


def test_pairs_beyond_the_limit_are_counted() -> None:
    claims = " ".join(f"We sell {noun} boxes." for noun in NOUNS)
    busy = [
        Statement("customer", f"c{n}", " ".join(f"Shelf {n} {m} was blue." for m in range(60)))
        for n in range(60)
    ]
    left_out = of([Statement("ceo", "boss", claims), *busy]).left_out
    assert left_out["too_many_pairs"] == 60 * 60 * len(NOUNS) - MOST_PAIRS // len(NOUNS) * len(
        NOUNS
    )


NOUNS = ("oak", "pine", "steel", "glass", "paper", "cotton", "plastic", "rubber", "silver", "tin")
