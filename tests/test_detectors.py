"""Which names are sensitive, which texts hold secrets, and which path segments are tokens."""

from __future__ import annotations

import os
import random
import secrets
import string
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeward.detectors import (
    EMAILS,
    PHONES,
    REDACTED,
    Verdict,
    card,
    folded,
    hidden_segment,
    judge,
    leads_to_token,
    mail_in,
    names_phone,
    opaque,
    path_tokens,
    phone_in,
    redact,
    suspects,
    words,
)
from secrets_planted import HOSTILE, IN_TEXT, SENSITIVE_KEYS, card_number, names


@pytest.mark.parametrize("name", SENSITIVE_KEYS)
def test_a_sensitive_name_is_known_in_any_case_and_with_any_separator(name: str) -> None:
    spellings = {name, name.upper(), name.replace("_", "-"), name.replace("_", "."), f"user_{name}"}
    spellings |= {name.replace("_", " "), name.title().replace("_", ""), f" {name} "}
    assert {spelling: judge(spelling) for spelling in spellings} == dict.fromkeys(
        spellings, Verdict.SECRET
    )


@pytest.mark.parametrize(
    "name",
    names(
        "tokens total_tokens input_tokens output_tokens maxTokens token_count cached_tokens author"
        " authors authority session_id sessionId passenger compass secretary country_code"
        " status_code zip_code postal_code promo_code error_code http_code barcode keyboard pinned"
        " pinterest shipping shopping_cart password_changed_at password_length token_type"
        " tokenizer secret_count cookie_consent card_type card_brand signature_version"
        " has_password is_token max_token public_key primary_key partition_key keywords monkey"
        " partition compassion passive bypass spinner opinion salted_caramel_count hashtag"
        " commit_hash encoded decode state method user_agent email phone address name id data"
        " 123 1 _"
    )
    + ["", "-", "日本", "🙂", "a" * 10_000],
)
def test_a_harmless_name_is_not_sensitive(name: str) -> None:
    assert judge(name) not in (Verdict.SECRET, Verdict.CODE)


def test_a_random_id_as_a_name_is_not_sensitive_by_chance() -> None:
    ids = [uuid.UUID(int=random.Random(seed).getrandbits(128)) for seed in range(3000)]
    assert [str(one) for one in ids if judge(str(one)) is not Verdict.PLAIN] == []
    assert judge("485764ca-06c3-f4f7-92fa-91c62d9af3cf") is Verdict.PLAIN
    assert judge("tk9QxPin_4vZr8OtpKw2LmYs") is Verdict.PLAIN
    assert judge("2fa") is judge("user2FA") is judge("2fa_code") is Verdict.SECRET
    assert judge("password_485764ca-06c3-f4f7-92fa-91c62d9af3cf") is Verdict.SECRET


def test_a_plain_code_depends_on_what_stands_around_it() -> None:
    assert judge("code") is Verdict.CODE
    assert judge("codes") is Verdict.CODE
    assert judge("smsCode") is judge("login-code") is judge("otp_code") is Verdict.SECRET
    assert judge("verification") is judge("reset_challenge") is not Verdict.PLAIN


def test_names_are_compared_without_case_and_separators() -> None:
    assert words("XMLHttp-APIKey_v2.oAuthToken") == names("xml http api key v 2 o auth token")
    assert folded("X-Api-Key") == folded("xApiKey") == folded("x_api key") == "xapikey"
    assert judge("ｐａｓｓｗｏｒｄ") is Verdict.SECRET  # noqa: RUF001 - full-width letters


def test_names_of_telephone_numbers_are_known() -> None:
    assert all(map(names_phone, ("phone", "phoneNumber", "mobile_no", "user.telephone", "Fax")))
    assert not any(map(names_phone, ("iphone", "microphone", "mobile_app", "number", "")))


def never(name: str) -> Verdict:
    return Verdict.PLAIN


@pytest.mark.parametrize("kind", sorted(IN_TEXT.keys() & set(names(
    "aws openai anthropic github gitlab slack stripe webhook google sendgrid twilio npm pem bearer"
    " jwt basic card write-key read-key"
))))  # fmt: skip
def test_a_secret_is_known_by_its_form_alone_and_the_words_around_it_stay(kind: str) -> None:
    for seed in range(20):
        secret = IN_TEXT[kind](seed)
        text = f"see {secret.text}, thanks"
        assert suspects([text]) == {text}
        clean = redact(text, never)
        assert secret.needle not in clean
        assert clean.startswith("see ")
        assert clean.endswith(", thanks")
        assert REDACTED in clean


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Ada Lovelace",
        "2026-11-23T10:11:12.123Z",
        "1732356000123",
        "1732356000123456",
        "order 1234567890123456 shipped",
        "0198f7a2-1111-7abc-8def-1234567890ab",
        "d41d8cd98f00b204e9800998ecf8427e",
        "risk-assessment-report-2026-final",
        "task-force-management-plan",
        "the bearer of bad news",
        "basic understanding of physics",
        "Basic Plan2026",
        "eyJpZCI6MTIzfQ",
        "Error code: 50012, country code: 1234",
        "input_tokens: 12, total_tokens=55",
        "authors: Ada, Bob; status: ok",
        "0.4111111111111111",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0",
        "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
        "password: null, token=false",
        "the password is required",
        "pk_live_abcdefghijklmnop is publishable",
        "AKIA",
        "lwk_w_S57Q3m",
        "lwk_w_…",
        "4111 1111 1111 1112",
        "2001:db8::1",
        "<p>password</p>",
    ],
)
def test_harmless_text_is_left_as_it_is(text: str) -> None:
    assert redact(text, judge) == text


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("password=hunter2", "password=[REDACTED]"),
        ("pwd: hunter2; user: ada", "pwd: [REDACTED]; user: ada"),
        ("{password:hunter2,user:ada}", "{password:[REDACTED],user:ada}"),
        ("'token' => 'a b c',", "'token' => '[REDACTED]',"),
        ('{"pin": 1234, "n": 1}', '{"pin": [REDACTED], "n": 1}'),
        ('"secret": "a\\"b", "n": 1', '"secret": "[REDACTED]", "n": 1'),
        ('\\"secret\\": \\"a b\\", n', '\\"secret\\": \\"[REDACTED]\\", n'),
        ("b'password': b'x y'", "b'password': b'[REDACTED]'"),
        ("credentials: {a: [1, 2]} end", "credentials: [REDACTED] end"),
        ('"auth": {"a": ["x"]}, "b": 1', '"auth": [REDACTED], "b": 1'),
        ("api_key=x&b=2", "api_key=[REDACTED]&b=2"),
        ("Cookie: a=b; c=d\r\nHost: x", "Cookie: [REDACTED]\nHost: x"),
        ("curl -H 'Authorization: Basic eA==' http://h", "curl -H 'Authorization: [REDACTED]' http://h"),
        ("token: Bearer abc next", "token: [REDACTED] next"),
        ("run --api-key abc -v", "run --api-key [REDACTED] -v"),
        ("<Password type='x'>a b</Password>", "<Password type='x'>[REDACTED]</Password>"),
        ("Your verification code: 123456", "Your verification code: [REDACTED]"),
        ("123456 is your Acme login code", "[REDACTED] is your Acme login code"),
        ("Your OTP is 4829 13.", "Your OTP is [REDACTED]."),
        ("password=[REDACTED]&x=1", "password=[REDACTED]&x=1"),
        ("password=[REDACTED]more", "password=[REDACTED]"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG", "aws_secret_access_key = [REDACTED]"),
    ],
)  # fmt: skip
def test_the_value_of_a_sensitive_name_goes_and_its_surroundings_stay(
    text: str, clean: str
) -> None:
    assert redact(text, judge).replace("\r", "") == clean
    assert redact(clean, judge) == clean


def test_a_private_key_that_is_cut_goes_to_the_end() -> None:
    assert redact("x -----BEGIN EC PRIVATE KEY-----\nMIIEabc", judge) == "x [REDACTED]"


@pytest.mark.parametrize(
    "digits",
    names(
        "4111111111111111 4222222222222 5555555555554444 2223003122003222 378282246310005"
        " 6011111111111117 3530111333300000 30569309025904 6200000000000005 4000002500003155"
    ),
)
def test_cards_are_known_by_issuer_length_and_check_digit(digits: str) -> None:
    assert card(digits)
    assert not card(digits[:-1] + str((int(digits[-1]) + 1) % 10))
    assert not card(digits + "0" * 8)
    assert redact(f"paid with {digits}.", judge) == "paid with [REDACTED]."


def test_a_card_is_found_between_other_groups_of_digits() -> None:
    number = card_number(5)
    grouped = " ".join(number[i : i + 4] for i in range(0, 16, 4))
    assert redact(f"12 {grouped} 123", judge) == "12 [REDACTED] 123"
    assert redact(f"9{number}9", judge) == f"9{number}9"  # inside a longer run
    assert redact("4 " * 40, judge) == "4 " * 40


def test_readable_segments_are_not_opaque() -> None:
    readable = [
        str(uuid.UUID(int=0x0198F7A211117ABC8DEF1234567890AB)),
        "user-0198f7a2-1111-7abc-8def-1234567890ab",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "how-to-reset-your-password-in-2026",
        "getUserByIdAndOrganisation",
        "Quarterly_Report_Q3_2026_FINALv2.pdf",
        "iphone-15-pro-max-256gb",
        "1234567890123456789",
        "2026-11-23T10:11:12.123Z",
        "chunk-vendors.8d3a9b7c.js",
        "d41d8cd98f00b204e9800998ecf8427e",
        "a" * 40,
        "internationalization",
        "XMLHttpRequestEventTarget",
        "Datenschutzerklaerung-und-Impressum",
    ]
    assert [text for text in readable if opaque(text)] == []


@pytest.mark.parametrize(
    "alphabet",
    [
        string.ascii_letters + string.digits + "-_",
        string.ascii_lowercase + string.digits,
        string.ascii_uppercase + "234567",
        string.ascii_letters,
    ],
)
def test_random_tokens_are_opaque(alphabet: str) -> None:
    chance = random.Random(11)
    tokens = ["".join(chance.choices(alphabet, k=32)) for _ in range(500)]
    assert sum(map(opaque, tokens)) >= 470


def test_tokens_of_the_standard_library_are_opaque() -> None:
    tokens = [secrets.token_urlsafe(32) for _ in range(200)]
    assert sum(map(opaque, tokens)) >= 198
    # 48 hexadecimal digits: no hash has that length.
    assert all(opaque(os.urandom(24).hex()) for _ in range(500))


def kept(path: str) -> str:
    return path_tokens(
        path, lambda text, behind, after: hidden_segment(text, behind=behind, after=after),
        leads_to_token,
    )  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "//",
        "/api/partners",
        "/users/12345678/orders/987654321",
        "/blog/2026/11/23/how-to-reset-your-password",
        "/reset-password/confirm",
        "/auth/google-oauth2/callback",
        "/auth/users/jane-doe-123",
        "/invite/5/accept",
        "/authors/jane-doe-1",
        "/token/refresh",
        "/assets/main-BxY3kQ2z.js",
        "/reset/{token}",
        "/invite/<str:token>/accept",
        "/verify/:token",
        "/commit/d41d8cd98f00b204e9800998ecf8427e",
        "/unsubscribe/weekly-digest",
    ],
)
def test_an_ordinary_path_is_left_as_it_is(path: str) -> None:
    assert kept(path) == path


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("/reset/AbCdEf123", "/reset/[REDACTED]"),
        ("/reset/MQ/c3x-5f2a9c8d7e6b5a4f/", "/reset/MQ/[REDACTED]/"),
        ("/confirm/email/aB3dE6gH9", "/confirm/email/[REDACTED]"),
        ("/verify/123456", "/verify/[REDACTED]"),
        ("/share/d41d8cd98f00b204e9800998ecf8427e", "/share/[REDACTED]"),
        ("/invitations/qwzxkfjtbv", "/invitations/[REDACTED]"),
        ("/unsubscribe/bob@example.com", "/unsubscribe/[REDACTED]"),
        ("/passwordReset/0198f7a2-1111-7abc-8def-1234567890ab", "/passwordReset/[REDACTED]"),
        ("/d/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms/edit", "/d/[REDACTED]/edit"),
    ],
)
def test_a_token_in_a_path_goes_and_the_rest_stays(path: str, clean: str) -> None:
    assert kept(path) == clean
    assert kept(clean) == clean


def test_suspects_are_only_the_texts_that_need_a_look() -> None:
    texts = [
        "Ada",
        "2026-11-23T10:11:12Z",
        "https://cdn.example.com/a/b.png",
        "password=x",
        "/reset/x",
    ]
    assert suspects(texts) == {"password=x", "/reset/x"}
    assert suspects(["https://example.com/reset/abcdef1"]) != set()
    assert suspects(["https://u:p@example.com/"]) != set()


@pytest.mark.parametrize("unit", HOSTILE)
def test_a_hostile_text_comes_to_an_end(unit: str) -> None:
    text = (unit * (200_000 // len(unit) + 1))[:200_000]
    assert len(redact(text, judge)) <= 4 * len(text)


@given(
    st.text(alphabet="0123456789+-. ()@ab\nü", max_size=60)
    | st.from_regex(EMAILS) | st.from_regex(PHONES) | st.text(max_size=80)
)  # fmt: skip
def test_the_cheap_look_for_addresses_and_numbers_overlooks_none(text: str) -> None:
    assert bool(mail_in(text)) == bool(EMAILS.search(text))
    assert bool(phone_in(text)) == bool(PHONES.search(text))
