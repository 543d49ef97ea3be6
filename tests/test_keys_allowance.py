"""What a key is good for: patterns of types, and the pages it may be used from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeward.catalog import TYPES
from lakeward.errors import Terminal
from lakeward.store.allowance import (
    BROWSER_TYPES,
    admits,
    checked_origins,
    checked_types,
    is_public,
    permits,
)


def test_the_types_that_browsers_may_claim_are_known_ones_and_no_business_outcome() -> None:
    assert set(BROWSER_TYPES) - {"@custom"} <= set(TYPES)
    theirs = {"api_call", "job_run", "deal_closed", "ai_conversation", "alias", "partner_match"}
    assert not any(permits(BROWSER_TYPES, name) for name in theirs)


def test_custom_types_are_those_that_no_page_of_ours_describes() -> None:
    assert checked_types(["@custom"]) == ("@custom",)
    assert permits(["@custom"], "signed_up")
    assert not any(permits(["@custom"], name) for name in TYPES)
    assert not permits(["page_view"], "@custom")


@pytest.mark.parametrize(
    ("types", "origins", "public"),
    [
        (BROWSER_TYPES, (), True),
        (BROWSER_TYPES, ("https://app.example.com",), True),
        (("*",), ("https://app.example.com",), True),
        (("shop.*", "@custom"), (), True),
        (("*",), (), False),
        (("page_view", "deal_closed"), (), False),
        (("ai_*",), (), False),
    ],
)
def test_a_key_is_a_pages_when_it_names_pages_or_permits_nothing_of_a_servers(
    types: tuple[str, ...], origins: tuple[str, ...], public: bool
) -> None:
    assert is_public(types, origins) is public


@pytest.mark.parametrize("word", ["page_view", "*", "a*", "shop.*", "a.b:c-d", "x" * 64])
def test_a_type_or_its_beginning_is_a_pattern(word: str) -> None:
    assert checked_types([word, word]) == (word,)


@pytest.mark.parametrize(
    "word",
    [
        "",
        "Page",
        "9a",
        "*.sold",
        "a*b",
        "a**",
        "a b",
        "a,b",
        "é",
        "x" * 65,
        "a\n",
        "**",
        "@known",
        "@custom*",
    ],
)
def test_what_is_no_pattern_is_refused_by_name(word: str) -> None:
    with pytest.raises(Terminal, match="is no type: write a name such as page_view"):
        checked_types(["page_view", word])


@given(st.from_regex(r"[a-z][a-z0-9_.:-]{0,20}", fullmatch=True), st.integers(0, 21))
def test_a_pattern_with_a_star_takes_exactly_what_begins_so(name: str, cut: int) -> None:
    assert permits([name], name)
    assert permits([name[:cut] + "*"], name)
    assert not permits([name + "x*", name + "x"], name)
    assert not permits([], name)


@pytest.mark.parametrize(
    ("word", "stored"),
    [
        ("https://app.example.com", "https://app.example.com"),
        ("HTTPS://App.Example.com/", "https://app.example.com"),
        ("https://app.example.com:443", "https://app.example.com"),
        ("http://app.example.com:80", "http://app.example.com"),
        ("http://localhost:5173", "http://localhost:5173"),
        ("http://127.0.0.1:08000", "http://127.0.0.1:8000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("*.example.com", "https://*.example.com"),
        ("http://*.example.com:8080", "http://*.example.com:8080"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
)
def test_an_origin_is_kept_in_the_form_that_browsers_send(word: str, stored: str) -> None:
    assert checked_origins([word]) == (stored,)
    assert checked_origins([stored, word]) == (stored,)


@pytest.mark.parametrize(
    "word",
    [
        "", "*", "null", "app.example.com", "https://", "https://a.example.com/path", "ftp://a.b",
        "https://a b", "https://*", "https://*.", "https://a.*.com", "https://*example.com",
        "https://user:hunter2@a.example.com", "https://a.example.com:99999", "https://a:b",
        "https://bücher.example", "https://a.example.com?x", "https://a.example.com\n",
        "javascript:alert(1)", "https://" + "a" * 400, "//a.example.com", "https://-a.com",
    ],
)  # fmt: skip
def test_what_is_no_origin_is_refused_by_name_and_no_password_is_repeated(word: str) -> None:
    with pytest.raises(Terminal, match="is no origin: write https://app.example.com") as refused:
        checked_origins([word])
    assert "hunter2" not in str(refused.value)
    assert len(str(refused.value)) < 300


ALLOWED = checked_origins(["https://app.example.com", "*.example.org", "http://*.dev.test:8080"])


@pytest.mark.parametrize(
    "origin",
    [
        None, "https://app.example.com", "https://APP.example.com", "https://app.example.com:443",
        "https://a.example.org", "https://a.b.example.org", "http://x.dev.test:8080",
    ],
)  # fmt: skip
def test_pages_of_a_listed_origin_and_programs_without_one_are_admitted(origin: str | None) -> None:
    assert admits(ALLOWED, origin)


@pytest.mark.parametrize(
    "origin",
    [
        "", "null", "*", "http://app.example.com", "https://app.example.com:8443",
        "https://example.com", "https://evil-app.example.com", "https://app.example.com.evil.test",
        "https://example.org", "https://evilexample.org", "http://a.example.org",
        "https://a.example.org:8443", "http://x.dev.test", "https://x.dev.test:8080",
        "https://*.example.org", "https://a.example.org@evil.test", "https://evil.test#.example.org",
        "https://evil.test/.example.org", "https://evil.test\\.example.org", "\udc80",
        "https://" + "a." * 100_000 + "example.org", "app.example.com", "https://.example.org",
        "https://a..example.org",
    ],
)  # fmt: skip
def test_every_other_page_is_refused(origin: str) -> None:
    assert not admits(ALLOWED, origin)


def test_a_key_without_origins_is_admitted_from_anywhere() -> None:
    assert all(admits((), origin) for origin in (None, "", "null", "https://anywhere.test"))


@given(st.text())
def test_whatever_the_header_says_the_answer_is_yes_or_no(origin: str) -> None:
    assert admits(ALLOWED, origin) in (True, False)
    assert permits(("a*",), origin) in (True, False)


def test_a_key_takes_a_bounded_number_of_words() -> None:
    with pytest.raises(Terminal, match="at most 64 types, and these are 65"):
        checked_types([f"t{n}" for n in range(65)])
    with pytest.raises(Terminal, match="at most 64 origins"):
        checked_origins([f"https://a{n}.test" for n in range(65)])
