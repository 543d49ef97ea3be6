"""The form of a secret: recognisable, whole, and protected against typing errors."""

from __future__ import annotations

import re
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeward.detectors import REDACTED
from lakeward.privacy import Scrubber
from lakeward.store.token import Kind, digest, is_token, make_token

random_bytes = st.binary(min_size=32, max_size=32)
kinds = st.sampled_from(("write", "read"))


@given(kinds, random_bytes)
def test_a_secret_says_its_kind_and_has_one_length(kind: Kind, random: bytes) -> None:
    token = make_token(kind, random)
    assert re.fullmatch(f"lwk_{kind[0]}_[0-9A-Za-z]{{49}}", token)
    assert is_token(token)


@given(random_bytes, random_bytes)
def test_different_randomness_gives_different_secrets(one: bytes, other: bytes) -> None:
    assert (make_token("write", one) == make_token("write", other)) == (one == other)
    assert (digest(make_token("write", one)) == digest(make_token("write", other))) == (
        one == other
    )


def test_the_form_does_not_change_with_versions() -> None:
    assert make_token("write", bytes(range(32))) == (
        "lwk_w_" + "003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf178O57"
    )
    assert make_token("read", bytes(32)).startswith("lwk_r_" + "0" * 43)
    assert is_token(make_token("read", b"\xff" * 32))


@given(random_bytes, st.integers(0, 54), st.characters())
def test_a_letter_that_is_wrong_is_noticed(random: bytes, at: int, letter: str) -> None:
    token = make_token("write", random)
    wrong = token[:at] + letter + token[at + 1 :]
    assert is_token(wrong) == (wrong == token)


@given(random_bytes, st.integers(0, 53))
def test_two_letters_in_the_wrong_order_are_noticed(random: bytes, at: int) -> None:
    token = make_token("write", random)
    wrong = token[:at] + token[at + 1] + token[at] + token[at + 2 :]
    assert is_token(wrong) == (wrong == token)


@given(st.text())
def test_whatever_else_is_asked_it_is_no_secret(text: str) -> None:
    assert not is_token(text)


@pytest.mark.parametrize(
    "text",
    [
        "{}", "key {} was used", "https://x.example.com/v1/batch?k={}", "/v1/{}/batch",
        '{"writeKey": "{}"}', "Authorization: Bearer {}", "lakeward keys revoke {}", "({})",
        "{},{}", "cut short: {}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["write", "read"])
def test_the_scrubber_takes_secrets_of_ours_out_of_whatever_is_recorded(
    text: str, kind: Kind
) -> None:
    scrubber = Scrubber()
    for _ in range(50):
        token = make_token(kind, secrets.token_bytes(32))
        if text.startswith("cut"):
            token = token[:30]
        for clean in (
            scrubber.text(text.replace("{}", token)),
            str(scrubber.value({"note": text.replace("{}", token)})),
        ):
            assert REDACTED in clean
            assert token[6:] not in clean
    path = scrubber.path(f"/keys/{token}/use")
    assert path == f"/keys/{REDACTED}/use"


def test_the_first_characters_by_which_people_know_a_key_are_no_secret() -> None:
    hint = make_token("write", secrets.token_bytes(32))[:12]
    assert Scrubber().text(f"revoked {hint}") == f"revoked {hint}"
