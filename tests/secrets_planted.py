"""Random records with secrets planted in them, for tests that scan what is left.

`planted()` draws `(fields, needles)`: keyword fields of a record, and the secret parts hidden in
them. `leaks(raw, needles)` names the needles of which eight or more characters stand in `raw`.
Needles are derived by hashing, so that nothing else ever looks like a piece of one.
"""

from __future__ import annotations

import dataclasses
import enum
import json
from base64 import b64encode
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
from hypothesis import strategies as st

PIECE = 8
ALNUM = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def names(text: str) -> list[str]:
    return text.split()


SENSITIVE_KEYS = names(
    "password passwd pwd passphrase secret client_secret clientSecret token access_token"
    " refreshToken id_token csrf X-CSRF-Token xsrfToken api_key apiKey x-api-key APIKEY auth"
    " authorization Proxy-Authorization cookie Set-Cookie credit_card creditCardNumber card_number"
    " cc-number cvv cvc pin ssn social_security_number account_number routing_number private_key"
    " ssh-key x-amz-signature otp one_time_code verification_code sms_code mfa totp jwt credentials"
    " webhook_secret encryption.key password_confirmation newPassword old_password_2 DB_PASSWORD"
)


class Colour(enum.Enum):
    RED = "red"
    BLUE = 3


class Secret(NamedTuple):
    text: str
    needle: str


class Pair(NamedTuple):
    user: str
    password: str


@dataclasses.dataclass
class Login:
    user: str
    password: str


@dataclasses.dataclass(slots=True)
class Slotted:
    api_key: str


class Signed(msgspec.Struct):
    signature: str
    note: str = "kept"


def random_text(seed: int, length: int, alphabet: str = ALNUM) -> str:
    raw = blake2b(seed.to_bytes(8, "big"), digest_size=64).digest() * (length // 64 + 1)
    return "".join(alphabet[(byte + i * 7) % len(alphabet)] for i, byte in enumerate(raw[:length]))


def card_number(seed: int) -> str:
    """Sixteen digits with a known issuer and a right check digit."""
    body = "4" + random_text(seed, 14, "0123456789")
    total = sum(
        (2 * int(d) if 2 * int(d) < 10 else 2 * int(d) - 9) if i % 2 == 0 else int(d)
        for i, d in enumerate(body)
    )
    return body + str(-total % 10)


def _plain(form: str, length: int = 24, alphabet: str = ALNUM) -> Callable[[int], Secret]:
    """`form` with `§` where the secret is."""

    def make(seed: int) -> Secret:
        needle = random_text(seed, length, alphabet)
        return Secret(form.replace("§", needle), needle)

    return make


def _link(form: str, length: int = 24) -> Callable[[int], Secret]:
    """As `_plain`, for tokens known only by looking random, which chance must not undo."""

    def make(seed: int) -> Secret:
        letters = random_text(seed, length)
        needle = "".join(letters[i] if i % 3 else str(seed >> i & 7) for i in range(length))
        return Secret(form.replace("§", needle), needle)

    return make


def _jwt(seed: int) -> Secret:
    payload = random_text(seed, 40)
    return Secret(f"eyJhbGciOiJIUzI1NiJ9.{payload}.{random_text(seed + 1, 43)}", payload)


def _basic(seed: int) -> Secret:
    raw = b64encode(f"user:{random_text(seed, 20)}".encode()).decode()
    return Secret(f"Basic {raw}", raw)


def _card(separator: str) -> Callable[[int], Secret]:
    def make(seed: int) -> Secret:
        digits = card_number(seed)
        shown = separator.join(digits[i : i + 4] for i in range(0, 16, 4))
        return Secret(shown, shown)

    return make


def _nested(wrap: Callable[[dict[str, Any]], str]) -> Callable[[int], Secret]:
    """A text that is itself data with a sensitive key."""

    def make(seed: int) -> Secret:
        needle = random_text(seed, 16)
        key = SENSITIVE_KEYS[seed % len(SENSITIVE_KEYS)]
        return Secret(wrap({"page": 2, key: needle, "size": "large"}), needle)

    return make


def _form(data: dict[str, Any]) -> str:
    return "&".join(f"{quote(key)}={quote(str(item))}" for key, item in data.items())


def _escaped(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


LOWER_HEX = "0123456789abcdef"
UPPER = "ABCDEFGHJKLMNPQRSTUVWXYZ234567"

IN_TEXT: dict[str, Callable[[int], Secret]] = {
    "aws": _plain("AKIA§", 16, UPPER),
    "aws session": _plain("ASIA§", 16, UPPER),
    "openai": _plain("sk-§", 40),
    "openai project": _plain("sk-proj-§", 60),
    "anthropic": _plain("sk-ant-api03-§", 60),
    "github": _plain("ghp_§", 36),
    "github oauth": _plain("gho_§", 36),
    "github fine": _plain("github_pat_§", 50),
    "gitlab": _plain("glpat-§", 20),
    "slack": _plain("xoxb-123456789012-§", 24),
    "stripe": _plain("sk_live_§", 24),
    "stripe restricted": _plain("rk_live_§", 24),
    "webhook": _plain("whsec_§", 32),
    "google": _plain("AIza§", 35),
    "google oauth": _plain("ya29.§", 60),
    "sendgrid": _plain("SG.abcdefghijklmnopqrstuv.§", 43),
    "twilio": _plain("SK§", 32, LOWER_HEX),
    "npm": _plain("npm_§", 36),
    "write-key": _plain("lwk_w_§", 49),
    "read-key": _plain("lwk_r_§", 49),
    "pem": _plain("-----BEGIN RSA PRIVATE KEY-----\n§\n-----END RSA PRIVATE KEY-----", 60),
    "pem, cut": _plain("-----BEGIN OPENSSH PRIVATE KEY-----\n§", 60),
    "bearer": _plain("Bearer §"),
    "jwt": _jwt,
    "basic": _basic,
    "card": _card(""),
    "card, spaced": _card(" "),
    "card, dashed": _card("-"),
    "userinfo": _plain("postgres://admin:§@db.example.com:5432/app"),
    "assigned": _plain("password=§"),
    "assigned with colon": _plain("client_secret: §"),
    "assigned in quotes": _plain("api_key = '§'"),
    "python literal": _plain("{'user': 'ada', 'password': '§'}"),
    "cut json": _plain('{"user": "ada", "password": "§'),
    "escaped json": _plain('body="{\\"token\\": \\"§\\"}"'),
    "header line": _plain("Authorization: Digest §"),
    "cookie line": _plain("Cookie: theme=dark; sessionid=§; lang=en"),
    "flag": _plain("mysql --password §"),
    "element": _plain("<login><password>§</password></login>"),
    "reset link": _link("https://example.com/reset-password/§"),
    "invitation link": _link("https://example.com/invite/§/accept"),
    "link with token": _plain("https://example.com/welcome?lang=en&token=§"),
    "implicit grant": _plain("https://example.com/cb#access_token=§&token_type=bearer"),
    "link in a link": _link("https://example.com/login?next=https%3A%2F%2Fx.io%2Freset%2F§"),
    "opaque path": _link("https://example.com/d/§/edit", 32),
    "relative path": _link("/confirm/§"),
    "json": _nested(json.dumps),
    "json in json": _nested(lambda data: json.dumps({"payload": json.dumps(data)})),
    "form": _nested(_form),
    "escaped form": _nested(lambda data: "data=" + _escaped(_form(data))),
    "escaped name": _plain("a=1&pass%77ord=§"),
    "unicode escapes": _plain('{"\\u0070assword": "§"}'),
}
"""Secrets in texts, each text recognisable as it stands or among other words."""

WHOLE = frozenset({"json", "json in json", "form", "escaped form", "escaped name"}) | {
    "unicode escapes",
    "relative path",
}
"""Those that are recognised only when they are the whole text."""

PATHS: dict[str, Callable[[int], Secret]] = {
    "reset": _link("/account/reset/§"),
    "invite": _link("/teams/7/invite/§/accept"),
    "short": _link("/verify/§", 12),
    "opaque": _link("/files/§", 32),
    "escaped": lambda seed: Secret(
        "/x/reset/" + _escaped(random_text(seed, 20)), _escaped(random_text(seed, 20))
    ),
    "escaped slash": _link("/x/reset%2F§", 12),
    "escaped word": _link("/%72eset/§", 12),
    "escaped twice": _link("/x/reset%252F§", 12),
    "matrix": _link("/shop;jsessionid=§/cart"),
    "key": _plain("/hook/sk_live_§"),
}


def text_secrets(among_words: bool = True) -> st.SearchStrategy[Secret]:
    kinds = sorted(IN_TEXT.keys() - WHOLE) if among_words else sorted(IN_TEXT)
    return st.builds(
        lambda kind, seed: IN_TEXT[kind](seed), st.sampled_from(kinds), st.integers(0, 2**40)
    )


def anything() -> st.SearchStrategy[Any]:
    """Any nested data, decoded JSON or not."""
    leaves = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=20)
        | st.text(st.characters(), max_size=6)  # surrogates too
        | st.binary(max_size=12)
        | st.datetimes()
        | st.uuids()
        | st.decimals()
        | st.builds(object)
        | st.sampled_from(Colour)
    )
    keys = st.text(max_size=8) | st.integers() | st.none() | st.binary(max_size=4)
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(keys, inner, max_size=4)
            | st.tuples(inner, inner)
            | st.frozensets(st.text(max_size=5), max_size=3)
        ),
        max_leaves=12,
    )


_WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@st.composite
def _in_place(draw: st.DrawFn) -> tuple[Any, str]:
    """A value with one secret in it, and the needle."""
    place = draw(st.integers(0, 10))
    seed = draw(st.integers(0, 2**40))
    needle = random_text(seed, draw(st.integers(10, 30)))
    key = draw(st.sampled_from(SENSITIVE_KEYS))
    if place == 0:
        hidden = draw(st.sampled_from([needle, [needle], {"x": {"y": needle}}, needle.encode()]))
        return {"note": draw(_WORDS), key: hidden}, needle
    if place == 1:
        return [["accept", "*/*"], [key, needle], (b"authorization", needle.encode())], needle
    if place == 2:
        return {"fields": [{"name": key, "value": needle}, {"name": "q", "value": "x"}]}, needle
    if place == 3:
        made: list[Any] = [Login("ada", needle), Pair("ada", needle), Slotted(needle)]
        return draw(st.sampled_from([*made, Signed(needle)])), needle
    if place == 4:
        digits = card_number(seed)
        return {"n": draw(st.sampled_from([int(digits), float(digits), digits]))}, digits
    if place == 5:
        code = str(random_text(seed, 8, "23456789"))
        return {"verification": {"channel": "sms", "code": code}}, code
    secret = draw(text_secrets(among_words=False))
    if place == 6:
        return secret.text, secret.needle
    if place == 7:
        return {secret.text: draw(_WORDS)}, secret.needle
    if place == 8:
        return secret.text.encode(), secret.needle
    secret = draw(text_secrets())
    if place == 9:
        filler = "lorem ipsum dolor " * draw(st.integers(850, 950))
        return f"{filler}{secret.text} {filler}", secret.needle  # about where a text is cut
    return f"{draw(_WORDS)} {secret.text} {draw(_WORDS)}", secret.needle


@st.composite
def _nested_in(draw: st.DrawFn, value: Any) -> Any:
    for _ in range(draw(st.integers(0, 4))):
        other = draw(anything())
        shape = draw(st.integers(0, 4))
        if shape == 0:
            value = [other, value]
        elif shape == 1:
            value = (value, other)
        elif shape == 2:
            value = {"before": other, draw(_WORDS): value}
        elif shape == 3:
            value = {"items": [value]}
        else:
            value = {"kept": "as it is", "inner": value}
    return value


@st.composite
def planted_value(draw: st.DrawFn) -> tuple[Any, list[str]]:
    """One nested value with one to three secrets."""
    parts = [draw(_in_place()) for _ in range(draw(st.integers(1, 3)))]
    values = [draw(_nested_in(value)) for value, _ in parts]
    return (values[0] if len(values) == 1 else values), [needle for _, needle in parts]


@st.composite
def planted(draw: st.DrawFn) -> tuple[dict[str, Any], list[str]]:
    """Keyword fields of one record, and every needle in them."""
    path = PATHS[draw(st.sampled_from(sorted(PATHS)))](draw(st.integers(0, 2**40)))
    link = draw(text_secrets().filter(lambda secret: secret.text.startswith("http")))
    agent = draw(text_secrets())
    fields: dict[str, Any] = {
        "method": "GET",
        "path": path.text,
        "referrer": link.text,
        "user_agent": f"Mozilla/5.0 {agent.text}",
        "response_status": 200,
    }
    needles = [path.needle, link.needle, agent.needle]
    places = ["metadata", "properties", "request_body", "query_params", "messages", "custom_field"]
    for name in draw(st.lists(st.sampled_from(places), unique=True, max_size=3)):
        value, more = draw(planted_value())
        fields[name] = value
        needles += more
    return fields, needles


def leaks(raw: bytes, needles: list[str], piece: int = PIECE) -> list[str]:
    """The needles of which `piece` or more characters in a row stand in `raw`."""
    found = []
    for needle in needles:
        text = needle.encode()
        starts = range(max(1, len(text) - piece + 1))
        if any(text[at : at + piece] in raw for at in starts):
            found.append(needle)
    return found


HOSTILE = [
    *names(
        'a 4 eyJ eyJa. sk- password= a= : pwd=[ {"a": " pw=" \\ [ % %25 :// x://a@ / /reset'
        " /aB3xY9 <ab> -----BEGIN -- a@ 4444- +1 bearer_ & a=b& password=,; password=x,a= SG. é"
    ),
    *("1 ", "code ", "-----BEGIN PRIVATE KEY-----", "\n", " ", '"\\\\"', "\ud800", "# ", "a.a@a."),
]
"""What a text is made of that wants to be slow to search."""
