"""A link is of one person and one invitation, and nobody can make one."""

from __future__ import annotations

import string
import uuid

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeward.confidence import link
from lakeward.store.invitations import Invitation

SECRET = b"s" * 32
ONE = Invitation(
    invitation_id=str(uuid.UUID(int=7)), partner_id="p9", witness_id="w", form="employee",
    period="", nonce="n" * 32, created_by="ann", created_at=1, expires_at=2,
)  # fmt: skip


def test_a_link_leads_to_its_invitation_and_is_short_enough_for_an_sms() -> None:
    text = link.token(ONE, SECRET)
    assert len(text) == link.LENGTH == 38
    assert link.invitation_id(text) == ONE.invitation_id
    assert link.is_genuine(text, ONE, SECRET)


@pytest.mark.parametrize(
    "changes", [{"nonce": "m" * 32}, {"expires_at": 3}, {"invitation_id": str(uuid.UUID(int=8))}]
)
def test_a_link_of_another_nonce_end_or_invitation_is_none(changes: dict[str, object]) -> None:
    other = msgspec.structs.replace(ONE, **changes)
    assert not link.is_genuine(link.token(other, SECRET), ONE, SECRET)


def test_a_link_of_another_secret_is_none() -> None:
    assert not link.is_genuine(link.token(ONE, b"t" * 32), ONE, SECRET)


@given(st.text(alphabet=string.ascii_letters + string.digits + "-_", min_size=38, max_size=38))
def test_no_text_but_the_link_itself_is_genuine(text: str) -> None:
    genuine = link.token(ONE, SECRET)
    assert link.is_genuine(text, ONE, SECRET) == (text == genuine)


@given(st.integers(0, 37), st.sampled_from(string.ascii_letters + string.digits + "-_"))
def test_one_changed_sign_makes_it_worthless(place: int, sign: str) -> None:
    genuine = link.token(ONE, SECRET)
    changed = genuine[:place] + sign + genuine[place + 1 :]
    if changed != genuine:
        named = link.invitation_id(changed) == ONE.invitation_id
        assert not (named and link.is_genuine(changed, ONE, SECRET))


@given(st.text(max_size=60))
def test_whatever_is_asked_for_nothing_is_raised(text: str) -> None:
    found = link.invitation_id(text)
    assert found is None or len(found) == 36


def test_a_link_to_be_left_alone_outlives_the_asking_and_is_good_for_nothing_else() -> None:
    text = link.stop_token(ONE, SECRET)
    assert len(text) == link.LENGTH
    assert link.invitation_id(text) == ONE.invitation_id
    anew = msgspec.structs.replace(ONE, nonce="m" * 32, expires_at=3)
    assert link.may_stop(text, ONE, SECRET)
    assert link.may_stop(text, anew, SECRET)
    assert not link.is_genuine(text, ONE, SECRET)
    assert link.may_stop(link.token(ONE, SECRET), ONE, SECRET)  # by hand, from the form's address
    assert not link.may_stop(link.token(ONE, SECRET), anew, SECRET)
    other = msgspec.structs.replace(ONE, invitation_id=str(uuid.UUID(int=8)))
    assert not link.may_stop(text, other, SECRET)
    assert not link.may_stop(link.stop_token(ONE, b"t" * 32), ONE, SECRET)
