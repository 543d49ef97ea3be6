"""A partner never sees who said what: what is shown comes in groups of three people, given once,
and no two looks differ by less."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databases import Store
from lakeward.confidence.desk import Told
from lakeward.confidence.released import (
    K,
    groups,
    names_of,
    quotable,
    quotes,
    shown,
    waiting,
)
from lakeward.store.invitations import Form
from lakeward.store.responses import Answers, Response
from lakeward.store.witnesses import Witness
from witnessed import ADMIN, Asked


def heard(n: int, who: str, form: Form = "employee", device: str = "") -> Response:
    return Response(
        response_id=f"{n:06}", partner_id="p9", witness_id=who, invitation_id=None, key=str(n),
        form=form, period="", at=-n, answers=Answers(), verified=1, completeness=1, seconds=None,
        channel="sms", address="", device=device, created_by="x",
    )  # fmt: skip


def grouped(responses: list[Response], contacts: dict[str, str] | None = None) -> list[Response]:
    """The responses after one look, as the database has them then."""
    given = groups(responses, contacts or {})
    return [
        msgspec.structs.replace(one, released=given.get(one.response_id, one.released))
        for one in responses
    ]


def test_fewer_than_three_are_nobodys_yet() -> None:
    rows = grouped([heard(1, "a"), heard(2, "b")])
    assert shown(rows) == frozenset()
    assert waiting(rows) == {"employees": 2, "customers": 0}


def test_three_are_shown_and_a_fourth_waits() -> None:
    rows = grouped([heard(n, who) for n, who in enumerate("abcd")])
    assert [one.released for one in rows] == [1, 1, 1, None]
    assert len(shown(rows)) == 3


def test_one_who_answers_again_and_again_is_still_one() -> None:
    assert not shown(grouped([heard(n, "a") for n in range(9)] + [heard(10, "b")]))


def test_employees_do_not_fill_up_a_group_of_customers() -> None:
    assert not shown(grouped([heard(1, "a"), heard(2, "b"), heard(3, "c", "reference")]))


def test_people_of_one_device_or_one_address_are_not_three() -> None:
    same = [heard(1, "a", device="d"), heard(2, "b", device="d"), heard(3, "c", device="e")]
    assert not shown(grouped(same))
    assert shown(grouped([*same, heard(4, "z", device="f")]))
    rows = [heard(1, "a"), heard(2, "b"), heard(3, "c")]
    assert not shown(grouped(rows, {"a": "phone", "b": "phone", "c": "x"}))


def test_an_answer_with_an_older_date_joins_no_group_that_was_given() -> None:
    rows = grouped([heard(n, who) for n, who in enumerate("abc")])
    late = msgspec.structs.replace(heard(9, "x"), at=-(10**9))
    assert [one.released for one in grouped([late, *rows])] == [None, 1, 1, 1]


def test_a_group_that_loses_one_is_shown_no_more_and_nobody_takes_the_place() -> None:
    rows = grouped([heard(n, who) for n, who in enumerate("abcd")])
    left = grouped(rows[1:])
    assert shown(left) == frozenset()
    assert [one.released for one in left] == [1, 1, None]


@given(st.lists(st.sampled_from("abcdefg"), max_size=40))
def test_no_two_looks_differ_by_fewer_than_three_witnesses(said: list[str]) -> None:
    rows: list[Response] = []
    looks: list[frozenset[str]] = [frozenset()]
    for n, who in enumerate(said):
        rows = grouped([*rows, heard(n, who)])
        looks.append(shown(rows))
    whose = {one.response_id: one.witness_id for one in rows}
    for before, after in pairwise(looks):
        assert before <= after
        new = {whose[which] for which in after - before}
        assert not new or len(new) == K


def witness(name: str, email: str = "", company: str = "") -> Witness:
    return Witness(
        witness_id="w", partner_id="p9", role="employee", contact="c", name=name,
        email=email or None, company=company or None, language="en", zone="", created_at=1,
        created_by="x",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("people", "text", "kept"),
    [
        ([witness("Grace Hopper")], "Grace and hopper answer.", "\u2026 and \u2026 answer."),
        ([witness("O'Neil")], "O\u2019Neil shouts at us.", "\u2026 shouts at us."),
        ([witness("José")], "JOSE and José are kind.", "\u2026 and \u2026 are kind."),
        ([witness("Jo Li")], "_Li_ and (Jo) help us.", "_\u2026_ and (\u2026) help us."),
        ([witness("Anna-Lena")], "Lena is always here.", "\u2026 is always here."),
        ([witness("", "ada.lovelace@acme.example")], "Lovelace of acme said so.",
         "\u2026 of \u2026 said so."),
        ([witness("", "ada.x@gmail.com")], "We use gmail here.", "We use gmail here."),
        ([witness("王伟")], "我们的王伟很好, really", "我们的\u2026很好, really"),
        ([witness("Al")], "Also all of us are fine.", "Also all of us are fine."),
        ([], "Write to x@y.example or call +1 512 555 0100, @boss.",
         "Write to \u2026 or call \u2026, \u2026."),
    ],
)  # fmt: skip
def test_names_and_addresses_are_taken_out_of_words(
    people: list[Witness], text: str, kept: str
) -> None:
    row = heard(1, "w")
    row = msgspec.structs.replace(row, answers=Answers(texts={"strengths": text}))
    assert quotable(row, names_of(people)) == {"strengths": kept}


def test_quotes_come_in_no_order_of_time() -> None:
    said = [f"What number {n} says of it." for n in range(6)]
    rows = [msgspec.structs.replace(heard(n, str(n)), quotable={"strengths": text})
            for n, text in enumerate(said)]  # fmt: skip
    found = [one.text for one in quotes(rows, {one.response_id for one in rows})]
    assert sorted(found) == said
    assert found != said


def test_a_partner_adds_nothing_to_a_person_who_is_known(store: Store) -> None:
    from lakeward.store.changes import Actor

    asked = Asked(store)
    pam = Actor("pam@example.com", "partner")
    [(seen, _)] = asked.desk.invite(
        "p9", "employee", [Told(name="Ada", phone="+15125550100")], ADMIN
    )  # fmt: skip
    [(again, new)] = asked.desk.invite(
        "p9", "employee", [Told(name="Boss", phone="+15125550100")], pam
    )  # fmt: skip
    assert (again.invitation_id, new) == (seen.invitation_id, False)
    [known] = asked.desk.witnesses.of("p9")
    assert (known.name, known.email) == ("Ada", None)
    for told in (
        Told(phone="+15125550100", email="boss@acme.example"),
        Told(phone="+15125550101", user_id="u1"),
    ):
        with pytest.raises(Exception, match="partners name people by"):
            asked.desk.invite("p9", "employee", [told], pam)
    with pytest.raises(Exception, match="partners change"):
        asked.desk.partners.upsert("p9", actor=pam, name="Better")
    asked.desk.partners.remove("p9", actor=ADMIN)
    with pytest.raises(Exception, match="no such partner"):
        asked.desk.partners.upsert("p9", actor=pam, proposition="We are back.")
