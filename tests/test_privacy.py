"""The scrubber: what becomes of records, values, paths, addresses, headers and salts."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import multiprocessing
import os
import pathlib
import stat
import sys
import threading
import types
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
import uuid_utils

from lakeward.interaction import FIELDS
from lakeward.privacy import (
    CACHE_MOST,
    REDACTED,
    TOO_DEEP,
    TOO_MANY,
    Policy,
    Scrubber,
    ScrubFailed,
)
from lakeward.salts import DailySalts, daily_id
from secrets_planted import HOSTILE, card_number, names, random_text

scrubber = Scrubber()
KEY = random_text(1, 40)


def test_a_default_record_is_left_as_it_is_in_a_new_dict() -> None:
    record = {
        "method": "GET",
        "path": "/api/partners/0198f7a2-1111-7abc-8def-1234567890ab",
        "user_id": "user-4711",
        "user_type": "partner",
        "response_status": 200,
        "response_time_ms": 12.5,
        "ip_address": "203.0.113.7",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
        "session_id": "0198f7a2-2222-8abc-8def-1234567890ab",
        "referrer": "https://app.example.com/partners?page=2&sort=name#top",
        "route": "/api/partners/{partner_id}",
        "error_type": None,
        "url": msgspec.UNSET,
    }
    for _ in range(2):  # new, then seen before
        scrubbed = scrubber.fields(record)
        assert scrubbed == record
        assert scrubbed is not record
        assert list(scrubbed) == list(record)


def test_each_field_is_scrubbed_by_its_own_rule() -> None:
    record = {
        "path": "/reset/AbCdEf123",
        "route": "/reset/{token}",
        "referrer": "example.com/invite/AbCdEf123",
        "url": "https://u:p@example.com/?token=x",
        "user_agent": f"bot Bearer {KEY}",
        "ip_address": "not an address: password=x",
        "metadata": {"password": "x", "kept": (1, 2)},
        "messages": [{"role": "user", "content": f"my key is sk-{KEY}"}],
        "custom": "token=abc",
        "pin": 1234,
        "response_bytes": int(card_number(3)),
        b"bytes".decode(): float("inf"),
    }
    assert scrubber.fields(record) == {
        "path": "/reset/[REDACTED]",
        "route": "/reset/{token}",
        "referrer": "example.com/invite/[REDACTED]",
        "url": "https://example.com/?token=[REDACTED]",
        "user_agent": "bot Bearer [REDACTED]",
        "ip_address": "not an address: password=x",
        "metadata": {"password": REDACTED, "kept": [1, 2]},
        "messages": [{"role": "user", "content": "my key is [REDACTED]"}],
        "custom": "token=[REDACTED]",
        "pin": REDACTED,
        "response_bytes": REDACTED,
        "bytes": None,
    }


def test_a_field_of_another_type_is_still_scrubbed_by_the_fields_rule() -> None:
    class Text(str):
        __slots__ = ()

    record = {"path": b"/reset/AbCdEf123", "referrer": Text("https://u:p@h/"), "user_id": Text("a")}
    scrubbed = scrubber.fields(record)
    assert scrubbed == {"path": "/reset/[REDACTED]", "referrer": "https://h/", "user_id": "a"}
    assert {type(item) for item in scrubbed.values()} == {str}


@pytest.mark.parametrize(
    "route",
    [
        "/invite/{token}/accept",
        "/verify/<str:token>",
        "/reset/:token",
        r"^reset/(?P<uid>[0-9A-Za-z]{1,13})/(?P<token>[0-9A-Za-z]{20})/$",
        "/files/{path:path}",
    ],
)
def test_a_route_template_is_kept_and_a_path_in_its_place_is_not(route: str) -> None:
    assert scrubber.fields({"route": route}) == {"route": route}
    assert scrubber.fields({"route": "/reset/AbCdEf123"}) == {"route": "/reset/[REDACTED]"}


def test_a_one_time_code_is_hidden_where_the_path_or_its_neighbours_speak_of_verification() -> None:
    def body(path: str, item: dict[str, Any]) -> Any:
        return scrubber.fields({"path": path, "request_body": item})["request_body"]

    assert body("/verify", {"code": "481 516"}) == {"code": REDACTED}
    assert body("/login/otp", {"code": 481516}) == {"code": REDACTED}
    assert body("/orders", {"code": "481516"}) == {"code": "481516"}
    assert scrubber.value({"code": "481516", "phone": "1"})["code"] == REDACTED
    assert scrubber.value({"mfa_challenge": {"x": [{"code": "AB12"}]}}) == {
        "mfa_challenge": REDACTED
    }
    assert scrubber.value({"reset": {"x": [{"code": "AB12"}]}}) == {
        "reset": {"x": [{"code": REDACTED}]}
    }
    errors = {"email": "a@b.io", "code": "invalid_request", "status": {"code": 404}}
    assert scrubber.value(errors) == errors


def test_a_value_is_hidden_where_the_entry_beside_it_names_it() -> None:
    value = [
        {"name": "password", "value": "x"},
        {"key": "q", "value": "y"},
        ["cookie", "z"],
        ["a", "b"],
    ]
    assert scrubber.value(value) == [
        {"name": "password", "value": REDACTED},
        {"key": "q", "value": "y"},
        ["cookie", REDACTED],
        ["a", "b"],
    ]
    assert scrubber.value(["password", "email"]) == ["password", "email"]  # a list of names


def test_that_a_secret_is_absent_may_be_known_and_a_number_may_not() -> None:
    value = {"password": None, "token": True, "pin": 1234, "secret": 0.5, "cvv": "", "otp": [1]}
    assert scrubber.value(value) == {
        **dict.fromkeys(value, REDACTED),
        "password": None,
        "token": True,
    }


def test_names_about_secrets_keep_their_values_unless_those_are_opaque() -> None:
    kept = {"token_type": "bearer", "total_tokens": 5, "tokens": ["a"], "password_strength": "weak"}
    assert scrubber.value(kept) == kept
    assert scrubber.value({"token_name": KEY, "key": KEY, "tokens": KEY}) == {
        "token_name": REDACTED,
        "key": REDACTED,
        "tokens": REDACTED,
    }


def test_the_host_adds_and_allows_names() -> None:
    own = Scrubber(Policy(keys=frozenset({"Internal-Ref"}), allow_keys=frozenset({"page_token"})))
    value = {"internalRef": 7, "internal_ref": "x", "pageToken": "abc", "page_token": f"sk-{KEY}"}
    assert own.value(value) == {
        "internalRef": REDACTED,
        "internal_ref": REDACTED,
        "pageToken": "abc",
        "page_token": REDACTED,
    }
    assert own.text("INTERNAL_REF=7 page_token=abc") == "INTERNAL_REF=[REDACTED] page_token=abc"


def test_the_host_names_sensitive_segments_of_its_own_paths() -> None:
    own = Scrubber(Policy(paths=("/guest/{}/menu", "/t/{table}/{seat}")))
    assert own.path("/guest/anna/menu") == "/guest/[REDACTED]/menu"
    assert own.path("/guest/anna/menu/") == "/guest/[REDACTED]/menu/"
    assert own.path("/guest/an%6Ea/menu") == "/guest/[REDACTED]/menu"
    assert own.path("/%67uest/anna/menu") == "/guest/[REDACTED]/menu"
    assert own.path("/t/4/12") == "/t/[REDACTED]/[REDACTED]"
    assert own.path("/guest/anna/bill") == "/guest/anna/bill"
    assert own.value("see https://h/guest/anna/menu") == "see https://h/guest/[REDACTED]/menu"
    assert own.fields({"path": "/guest/anna/menu"}) == {"path": "/guest/[REDACTED]/menu"}


def test_email_addresses_and_telephone_numbers_go_only_when_asked_for() -> None:
    text = "ada@example.com or +1 (415) 555-2671, 415-555-2671, order 4155552671, v1.2.3"
    assert scrubber.text(text) == text
    own = Scrubber(Policy(emails=True, phones=True))
    assert own.text(text) == "[REDACTED] or [REDACTED], [REDACTED], order 4155552671, v1.2.3"
    assert own.value({"mobile": 4155552671, "iphone": "15", "a": "ada@example.com"}) == {
        "mobile": REDACTED,
        "iphone": "15",
        "a": REDACTED,
    }
    assert own.path("/users/ada@example.com") == "/users/[REDACTED]"
    assert own.url("https://h/?q=ada%40example.com&n=1") == "https://h/?q=[REDACTED]&n=1"


# The host's callable


def test_the_hosts_callable_has_the_last_word_but_cannot_bring_a_secret_back() -> None:
    def hook(fields: dict[str, Any]) -> dict[str, Any]:
        fields["metadata"]["seen"] = fields["path"]
        return {**fields, "user_id": f"Bearer {KEY}", "properties": {"password": KEY}}

    given = {"path": "/reset/AbCdEf123", "user_id": "u", "metadata": {"a": 1}}
    assert Scrubber(hook=hook).fields(given) == {
        "path": "/reset/[REDACTED]",
        "user_id": "Bearer [REDACTED]",
        "metadata": {"a": 1, "seen": "/reset/[REDACTED]"},
        "properties": {"password": REDACTED},
    }
    assert given == {"path": "/reset/AbCdEf123", "user_id": "u", "metadata": {"a": 1}}


def test_a_callable_that_raises_or_returns_no_record_is_named_without_any_value() -> None:
    def raises(fields: dict[str, Any]) -> dict[str, Any]:
        raise KeyError(fields["user_id"])

    answers: list[Any] = [None, "hunter2", {1: "hunter2"}]
    hooks: list[Callable[[dict[str, Any]], Any]] = [raises, *((lambda _, a=a: a) for a in answers)]
    for hook in hooks:
        with pytest.raises(ScrubFailed) as failure:
            Scrubber(hook=hook).fields({"user_id": "hunter2"})
        assert "hunter2" not in str(failure.value)
        assert failure.value.__context__ is None
        assert failure.value.__cause__ is None
    with pytest.raises(ScrubFailed, match="KeyError"):
        Scrubber(hook=raises).fields({"user_id": "x"})


# Values of any kind


class Colour(enum.Enum):
    RED = "red"
    SECRET = f"Bearer {KEY}"


class Level(enum.IntEnum):
    HIGH = 3


@dataclasses.dataclass
class Account:
    user: str
    password: str = "hunter2"
    kind: dataclasses.InitVar[int] = 0
    shared: ClassVar[str] = "class"


class Attributed:
    __attrs_attrs__ = (types.SimpleNamespace(name="api_key"), types.SimpleNamespace(name="n"))

    def __init__(self) -> None:
        self.api_key, self.n, self.undeclared = "hunter2", 1, "x"


class Event(msgspec.Struct):
    name: str
    token: str = "hunter2"
    extra: int | msgspec.UnsetType = msgspec.UNSET


class Loud:
    """Whatever is asked of it, it says a secret or fails."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("hunter2")

    def __repr__(self) -> str:
        return "hunter2"

    __str__ = __repr__

    def __iter__(self) -> Any:
        raise RuntimeError("hunter2")


Point = collections.namedtuple("Point", "x password")


def test_values_of_other_types_become_json() -> None:
    moment = dt.datetime(2026, 11, 23, 10, 11, 12, tzinfo=dt.UTC)
    unique = uuid.UUID(int=7)
    seen = uuid_utils.uuid7()
    value = [
        (1, 2), {3}, frozenset({4}), collections.deque([5]), b"caf\xc3\xa9 \xff", bytearray(b"x"),
        memoryview(b"y"), moment, moment.date(), moment.time(), dt.timedelta(seconds=1.5), unique,
        seen, decimal.Decimal("1.20"), Colour.RED, Level.HIGH, Account("ada"), Attributed(),
        Event("open"), Point(1, "hunter2"), types.MappingProxyType({"a": 1}),
        collections.OrderedDict(a=1), collections.Counter("a"), pathlib.PurePosixPath("/etc/hosts"),
        msgspec.UNSET, Policy().ip,
    ]  # fmt: skip
    expected = [
        [1, 2], [3], [4], [5], "café \ufffd", "x", "y", "2026-11-23T10:11:12+00:00", "2026-11-23",
        "10:11:12", 1.5, str(unique), str(seen), "1.20", "red", 3,
        {"user": "ada", "password": REDACTED}, {"api_key": REDACTED, "n": 1},
        {"name": "open", "token": REDACTED}, {"x": 1, "password": REDACTED}, {"a": 1},
        {"a": 1}, {"a": 1}, "/etc/hosts", None, "full",
    ]  # fmt: skip
    assert scrubber.value(value) == expected
    assert msgspec.json.decode(msgspec.json.encode(scrubber.value(value))) == expected


def test_the_values_inside_other_types_are_scrubbed_too() -> None:
    value = [Colour.SECRET, decimal.Decimal(card_number(1)), b"password=hunter2", {f"sk-{KEY}"}]
    assert scrubber.value(value) == [
        "Bearer [REDACTED]", REDACTED, "password=[REDACTED]", [REDACTED]
    ]  # fmt: skip


def test_an_unknown_object_is_only_named_and_none_of_its_code_runs() -> None:
    value = {"a": Loud(), "b": object(), "c": lambda: 1, "d": ValueError("hunter2"), "e": Loud}
    assert scrubber.value(value) == {
        "a": "[unsupported: Loud]",
        "b": "[unsupported: object]",
        "c": "[unsupported: function]",
        "d": "[unsupported: ValueError]",
        "e": "[unsupported: type]",
    }
    assert scrubber.fields({"user_id": Loud()}) == {"user_id": "[unsupported: Loud]"}


def test_a_lazy_attribute_of_a_model_is_not_loaded() -> None:
    @dataclasses.dataclass
    class Row:
        name: str

    def load(row: Row) -> str:
        raise AssertionError("loaded")

    row = Row("ada")
    Row.name = property(load)  # type: ignore[assignment]  # as a database mapper does
    assert scrubber.value(row) == {"name": "ada"}
    del row.__dict__["name"]
    assert scrubber.value(row) == "[unsupported: Row]" or scrubber.value(row) == {}


def test_numbers_that_json_or_a_lake_cannot_hold_are_changed() -> None:
    value = [float("nan"), float("-inf"), 2**63, 2**64, -(2**63) - 1, 10**5000, 0.1, -5, 1e300]
    assert scrubber.value(value) == [
        None, None, 2**63, str(2**64), str(-(2**63) - 1), "[too large]", 0.1, -5, 1e300
    ]  # fmt: skip
    digits = card_number(4)
    assert scrubber.value([int(digits), float(digits), -int(digits), int(digits) + 1]) == [
        REDACTED, REDACTED, REDACTED, int(digits) + 1
    ]  # fmt: skip


def test_keys_become_text_and_are_scrubbed_and_none_is_lost() -> None:
    value: dict[Any, Any] = {
        1: "a",
        "1": "b",
        None: 0,
        False: 1,
        2.5: 2,
        b"pin": 3,
        (1,): 4,
        f"sk-{KEY}": 5,
    }
    value[f"x sk-{KEY}"] = value[f"Bearer {KEY}"] = 6
    value[REDACTED] = 7
    scrubbed = scrubber.value(value)
    assert len(scrubbed) == len(value)
    assert scrubbed["pin"] == REDACTED
    assert {"1", "null", "2.5", "[unsupported: tuple]", REDACTED} <= set(scrubbed)
    assert KEY not in str(scrubbed)
    assert scrubber.value(scrubbed) == scrubbed


def test_halves_of_surrogate_pairs_never_break_the_encoding() -> None:
    value = {"\ud83d\ude00": "a\ud800b", "path": ["\udfff"]}
    assert scrubber.value(value) == {"😀": "a\ufffdb", "path": ["\ufffd"]}
    assert scrubber.text("\ud83d\ude00") == "😀"
    assert scrubber.path("/\ud800") == "/\ufffd"
    msgspec.json.encode(scrubber.fields({"user_agent": "\ud800", "referrer": "https://h/\udc00"}))


def test_a_cycle_and_a_fan_of_references_come_to_an_end() -> None:
    cycle: dict[str, Any] = {"n": 1}
    cycle |= {"a": cycle, "b": [cycle, cycle], "c": cycle}
    fan: list[Any] = ["x"]
    for _ in range(15):
        fan = [fan] * 100
    for value in (cycle, fan):
        raw = msgspec.json.encode(scrubber.value(value))
        assert TOO_DEEP.encode() in raw or TOO_MANY.encode() in raw
        assert len(raw) < 2_000_000


def test_a_dict_that_another_thread_changes_does_not_break_the_walk() -> None:
    shared: dict[str, Any] = {"inner": {}}
    running = True

    def change() -> None:
        n = 0
        while running:
            n += 1
            shared["inner"][f"k{n % 500}"] = f"token={n}"
            if n % 700 == 0:
                shared["inner"].clear()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(300):
            msgspec.json.encode(scrubber.value(shared))
    finally:
        running = False
        thread.join()
        sys.setswitchinterval(before)


# Limits


def test_what_is_too_deep_too_many_or_too_long_leaves_a_marker() -> None:
    small = Scrubber(Policy(max_depth=2, max_string=20, max_items=3))
    assert small.value({"a": {"b": {"c": 1}, "d": [2], "e": 3}}) == {
        "a": {"b": TOO_DEEP, "d": TOO_DEEP, "e": 3}
    }
    assert small.value(list(range(10))) == [0, 1, 2, "[7 more]"]
    assert small.value(dict.fromkeys("abcde", 1)) == {
        "a": 1,
        "b": 1,
        "c": 1,
        "[truncated]": "2 more",
    }
    assert small.value("word " * 10) == "word word word word …[truncated 30 chars]"
    assert small.fields({"user_agent": "x" * 50, "path": "/" + "abc/" * 8}) == {
        "user_agent": "x" * 20 + "…[truncated 30 chars]",
        "path": "/abc/abc/abc/abc/abc…[truncated 13 chars]",
    }


def test_what_is_already_cut_is_not_cut_again() -> None:
    small = Scrubber(Policy(max_string=20, max_items=3))
    value = [["x" * 100] * 5, dict.fromkeys("abcdef", "word " * 30)]
    once = small.value(value)
    assert small.value(once) == once


@pytest.mark.parametrize("shift", [-60, -40, -20, -10, -1, 0, 1])
def test_a_secret_across_the_cut_leaves_no_first_half(shift: int) -> None:
    limit = 1000
    small = Scrubber(Policy(max_string=limit))
    for secret in (
        f"Bearer {KEY}",
        f"sk-{KEY}",
        card_number(9),
        f"password={KEY}",
        f"https://h/reset/{KEY}",
    ):
        for tail in ("", " and more" * 10, " and more" * 5000):
            text = "lorem ipsum " * 200
            text = text[: limit + shift - len(text[:0])] + " " + secret + tail
            clean = small.text(text)
            assert not any(secret[-12:][: n + 6] in clean for n in range(6))
            assert not any(KEY[:8] in part for part in clean.split())
            assert len(clean) < limit + 64


def test_a_secret_longer_than_what_is_looked_at_leaves_nothing() -> None:
    key = random_text(3, 60_000)
    for secret in (
        f"-----BEGIN PRIVATE KEY-----\n{key}", f"password='{key}'", f"sk-{key}",
        f"eyJhbGciOiJIUzI1NiJ9.{key}.x", f"https://h/reset/{key}", f'{{"token": "{key}"}}',
    ):  # fmt: skip
        clean = scrubber.text(f"see {secret}")
        assert not any(key[at : at + 12] in clean for at in range(0, len(key), 4))


# Texts that hold data


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ('{"password":"x","a":1}', '{"password":"[REDACTED]","a":1}'),
        ('{"a":"kept", "n": 1}', '{"a":"kept", "n": 1}'),
        ('[["cookie","x"]]', '[["cookie","[REDACTED]"]]'),
        ('{"a":"{\\"pin\\":1234}"}', '{"a":"{\\"pin\\":\\"[REDACTED]\\"}"}'),
        ('{"password":"x","password":null}', '{"password":"[REDACTED]","password":null}'),
        ('{"\\u0070assword":"x"}', '{"password":"[REDACTED]"}'),
        ('{"credentials":{"a":"x"}} cut', '{"credentials":[REDACTED]} cut'),
        ("a=1&password=my+pass%20word&b=%20", "a=1&password=[REDACTED]&b=%20"),
        ("user%5Bpassword%5D=x&user[name]=ada", "user%5Bpassword%5D=[REDACTED]&user[name]=ada"),
        ("next=%2Freset%2FAbCdEf123", "next=/reset/[REDACTED]"),
        ("data=%7B%22pin%22%3A%221234%22%7D", "data=%7B%22pin%22:%22[REDACTED]%22%7D"),
        ("code=abcd1234&state=xyz", "code=[REDACTED]&state=xyz"),
        ("code=SUMMER&q=a", "code=SUMMER&q=a"),
        ("100% sure, a%20b", "100% sure, a%20b"),
        ("x%3Fpassword%3Dhunter2 y", "x?password=[REDACTED] y"),
        ("see https://ada:pw@h/a?b=1, ok", "see https://h/a?b=1, ok"),
        ("redis://:hunter2@h:6379/0", "redis://h:6379/0"),
        ("amqp://u:p#/?w@h/v", "amqp://h/v"),
        ("https://h/p?email=a@b.io", "https://h/p?email=a@b.io"),
    ],
)  # fmt: skip
def test_a_text_that_holds_data_is_scrubbed_as_data(text: str, clean: str) -> None:
    assert scrubber.text(text) == clean
    assert scrubber.text(clean) == clean
    assert scrubber.value({"a": [text]}) == {"a": [clean]}


@pytest.mark.parametrize("unit", HOSTILE)
def test_a_hostile_megabyte_comes_to_an_end(unit: str) -> None:
    text = (unit * (1_000_000 // len(unit) + 1))[:1_000_000]
    for scrub in (scrubber.text, scrubber.path, scrubber.url):
        assert len(scrub(text)) < 17_000
    msgspec.json.encode(scrubber.value({"a": [text], text[:500_000]: 1}))
    msgspec.json.encode(scrubber.query(text[:200_000]))


def test_json_that_is_nested_without_end_is_taken_as_text() -> None:
    for text in ("[" * 100_000, '{"a":' * 3000, "[" * 900 + "]" * 900):
        assert isinstance(scrubber.text(text), str)
    assert KEY not in scrubber.text("[" * 900 + f'{{"password":"{KEY}"}}' + "]" * 900)


# URLs, queries, headers


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("", ""),
        ("https://example.com/", "https://example.com/"),
        ("https://ada:pw@example.com:8080/a", "https://example.com:8080/a"),
        ("//example.com/reset/AbCdEf123", "//example.com/reset/[REDACTED]"),
        ("/cb#access_token=abc&token_type=bearer", "/cb#access_token=[REDACTED]&token_type=bearer"),
        ("https://h/#/reset/AbCdEf123?token=9", "https://h/#/reset/[REDACTED]?token=[REDACTED]"),
        ("https://h/#section-2", "https://h/#section-2"),
        ("https://h/cb?code=abcd1234&state=x", "https://h/cb?code=[REDACTED]&state=x"),
        ("https://h/reset?k=AbCdEf123&lang=en-GB", "https://h/reset?k=[REDACTED]&lang=en-GB"),
        ("https://h/s?q=a+b&gclid=Cj0KCQiA3", "https://h/s?q=a+b&gclid=Cj0KCQiA3"),
        ("https://h/?X-Amz-Signature=abc&X-Amz-Date=20261123", "https://h/?X-Amz-Signature=[REDACTED]&X-Amz-Date=20261123"),
        ("https://h/a%20b/c?d=%E2%82%AC", "https://h/a%20b/c?d=%E2%82%AC"),
        ("https://[2001:db8::1]:443/a", "https://[2001:db8::1]:443/a"),
        ("android-app://com.example.app", "android-app://com.example.app"),
        ("about:blank", "about:blank"),
        ("https://h/%72eset/AbCdEf123", "https://h/%72eset/[REDACTED]"),
        ("https://h/x%2Freset%2FAbCdEf123", "https://h/[REDACTED]"),
    ],
)  # fmt: skip
def test_a_url_keeps_what_is_harmless(url: str, clean: str) -> None:
    assert scrubber.url(url) == clean
    assert scrubber.url(clean) == clean


def test_a_query_becomes_a_dict() -> None:
    assert scrubber.query(b"") is None
    assert scrubber.query("&&") is None
    assert scrubber.query(b"a=1&a=2&a=3&b&c=&d=x%20y+z&%C3%A9=%FF") == {
        "a": ["1", "2", "3"], "b": "", "c": "", "d": "x y z", "é": "\ufffd"
    }  # fmt: skip
    assert scrubber.query("password=a&password=b&pass%77ord=c&Api-Key=d&page=2") == {
        "password": REDACTED, "Api-Key": REDACTED, "page": "2"
    }  # fmt: skip
    assert scrubber.query("code=4815&state=x") == {"code": REDACTED, "state": "x"}
    assert scrubber.query("code=4815&colour=red") == {"code": "4815", "colour": "red"}
    assert scrubber.query(f"{KEY}&q=sk-{KEY}") == {REDACTED: "", "q": REDACTED}
    few = Scrubber(Policy(max_items=2))
    assert few.query("a=1&b=2&c=3") == {"a": "1", "b": "2", "[truncated]": "1 more"}


def test_only_allowed_headers_are_kept_and_the_secret_ones_hidden() -> None:
    given = [
        (b"Host", b"example.com"), (b"Authorization", b"Basic x"), (b"cookie", b"a=b"),
        (b"set-cookie", b"a=b"), (b"Proxy-Authorization", b"x"), (b"X-Api-Key", b"x"),
        (b"x-csrf-token", b"x"), (b"accept", b"text/html"), (b"accept", b"*/*"), (b"etag", b"no"),
        (b"referer", b"https://h/reset/AbCdEf123"), (b"x-forwarded-for", b"203.0.113.7"),
        (b"x-note", b"caf\xe9 Bearer " + KEY.encode()),
    ]  # fmt: skip
    allow = frozenset(name.lower() for name, _ in given) - {b"etag"}
    expected = {
        "host": "example.com", "authorization": REDACTED, "cookie": REDACTED,
        "set-cookie": REDACTED, "proxy-authorization": REDACTED, "x-api-key": REDACTED,
        "x-csrf-token": REDACTED, "accept": "text/html, */*",
        "referer": "https://h/reset/[REDACTED]", "x-forwarded-for": "203.0.113.7",
        "x-note": "café Bearer [REDACTED]",
    }  # fmt: skip
    assert scrubber.headers(given, allow) == expected
    lenient = Scrubber(Policy(allow_keys=frozenset({"authorization", "cookie", "x-api-key"})))
    assert lenient.headers(given, allow) == expected
    private = Scrubber(Policy(ip="truncate"))
    assert private.headers(given, allow) == {**expected, "x-forwarded-for": REDACTED}


# Addresses


def of_day(day: str) -> bytes:
    return day.encode() * 4


@pytest.mark.parametrize(
    ("given", "truncated"),
    [
        ("203.0.113.77", "203.0.113.0"),
        (" 203.0.113.77 ", "203.0.113.0"),
        ("::ffff:203.0.113.77", "203.0.113.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("fe80::1%eth0", "fe80::"),
        ("unknown", None),
        ("203.0.113.77:8080", None),
        ("", None),
        (None, None),
    ],
)
def test_an_address_is_cut_to_its_network(given: str | None, truncated: str | None) -> None:
    own = Scrubber(Policy(ip="truncate"))
    assert own.address(given, "2026-11-23") == truncated
    assert own.address(given, "2026-11-23") == truncated


def test_a_full_address_is_kept_and_a_text_in_its_place_is_scrubbed() -> None:
    for address in ("203.0.113.77", "2001:db8::1", "::ffff:203.0.113.77", "unix:", None):
        assert scrubber.address(address, "2026-11-23") == address
    assert scrubber.address("password=hunter2", "2026-11-23") == "password=[REDACTED]"
    assert Scrubber(Policy(ip="none")).address("203.0.113.77", "2026-11-23") is None


def test_a_hashed_address_can_be_joined_within_a_day_and_not_beyond() -> None:
    own, other = (Scrubber(Policy(ip="hash"), salt=of_day) for _ in range(2))
    one = own.address("203.0.113.77", "2026-11-23")
    assert one is not None
    assert one.startswith("ip_")
    assert len(one) == 35
    assert other.address("::ffff:203.0.113.77", "2026-11-23") == one
    assert own.address("203.0.113.77", "2026-11-24") != one
    assert own.address("203.0.113.78", "2026-11-23") != one
    assert own.address("nonsense", "2026-11-23") is None
    assert Scrubber(Policy(ip="hash")).address("203.0.113.77", "2026-11-23") is None


def test_addresses_inside_values_are_hidden_unless_the_policy_is_full() -> None:
    value = {"context": {"ip": "203.0.113.77", "$ip": "203.0.113.77", "clientIp": "x", "zip": "1"}}
    assert scrubber.value(value) == value
    assert Scrubber(Policy(ip="hash")).value(value) == {
        "context": {"ip": REDACTED, "$ip": REDACTED, "clientIp": REDACTED, "zip": "1"}
    }


# Caches


def test_a_flood_of_names_texts_and_paths_is_not_remembered() -> None:
    own = Scrubber(Policy(ip="truncate"))
    for n in range(3 * CACHE_MOST):
        own.fields({"path": f"/a/{n}", "url": f"https://h/?n={n}", "user_id": f"u-{n}", f"x{n}": 1})
        own.value({f"k{n}": f"a: {n}", "a" * 600 + str(n): "b" * 600 + str(n)})
        own.text(f"k{n}: 1")
        own.address(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", "2026-11-23")
    caches = [item for item in vars(own).values() if isinstance(item, dict | set)]
    assert len(caches) > 6
    assert max(map(len, caches)) <= max(CACHE_MOST, len(FIELDS))
    assert all(len(key) <= 600 for cache in caches for key in cache)


def test_threads_may_share_a_scrubber() -> None:
    own = Scrubber()
    wrong: list[Any] = []

    def work(start: int) -> None:
        for n in range(start, start + 1500):
            scrubbed = own.fields({"path": f"/reset/Tk{n:07}x", "user_id": f"token={n}", "n": n})
            if scrubbed != {"path": "/reset/[REDACTED]", "user_id": "token=[REDACTED]", "n": n}:
                wrong.append(scrubbed)

    threads = [threading.Thread(target=work, args=(n * 900,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# Salts and ids


def test_a_daily_id_looks_like_a_uuid_and_depends_on_every_part() -> None:
    one = uuid.UUID(daily_id(b"k" * 32, "203.0.113.7", "agent"))
    assert one.version == 8
    assert one.variant == uuid.RFC_4122
    assert str(one) == daily_id(b"k" * 32, "203.0.113.7", "agent")
    parts = [("a", "bc"), ("ab", "c"), ("abc",), ("abc", ""), (), ("",), ("\ud800",)]
    ids = {daily_id(salt, *part) for part in parts for salt in (b"k" * 32, b"l" * 32)}
    assert len(ids) == 2 * len(parts)
    assert daily_id(b"k" * 100, "a") == daily_id(b"k" * 64 + b"other", "a")


def test_a_salt_is_made_once_and_read_by_all(tmp_path: Path) -> None:
    folder = tmp_path / "private" / "salts"
    one, other = DailySalts(folder), DailySalts(folder)
    salt = one("2026-11-23")
    assert len(salt) == 32
    assert other("2026-11-23") == salt == one("2026-11-23")
    assert one("2026-11-24") != salt
    assert one("lasting") == other("lasting")
    assert stat.S_IMODE((folder / "2026-11-23").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(path.name for path in folder.iterdir()) == ["2026-11-23", "2026-11-24", "lasting"]
    assert not one.ephemeral


def _salt_of(folder: str, start: Any) -> bytes:
    start.wait()
    return DailySalts(Path(folder))("2026-11-23")


def test_racing_processes_agree_on_a_salt(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        start = manager.Event()
        with context.Pool(4) as pool:
            answers = [pool.apply_async(_salt_of, (str(tmp_path), start)) for _ in range(4)]
            start.set()
            assert len({answer.get(60) for answer in answers}) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["2026-11-23"]


def test_a_damaged_salt_is_passed_over_by_all_alike(tmp_path: Path) -> None:
    (tmp_path / "2026-11-23").write_bytes(b"")
    one, other = DailySalts(tmp_path)("2026-11-23"), DailySalts(tmp_path)("2026-11-23")
    assert one == other
    assert len(one) == 32


def test_without_a_folder_a_process_has_its_own_salt(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder, day in ((tmp_path / "file", "2026-11-23"), (tmp_path, "../escape")):
        salts = DailySalts(folder)
        assert len(salts(day)) == 32
        assert salts(day) == salts(day)
        assert salts.ephemeral
    assert not (tmp_path.parent / "escape").exists()


def test_salts_of_past_days_are_forgotten(tmp_path: Path) -> None:
    salts = DailySalts(tmp_path)
    old = salts("2026-11-20")
    for day in ("2026-11-21", "2026-11-22", "lasting"):
        salts(day)
    (tmp_path / ".2026-11-20.deadbeef").write_bytes(b"left by a kill")
    (tmp_path / "2026-notes").write_text("not ours")
    assert salts.forget("2026-11-22") == 2
    assert sorted(os.listdir(tmp_path)) == ["2026-11-22", "2026-notes", "lasting"]
    assert salts("2026-11-20") != old
    assert DailySalts(tmp_path / "absent").forget("2026-11-22") == 0


def test_every_name_of_the_planted_secrets_is_hidden_at_any_depth() -> None:
    for name in names("password clientSecret X-API-Key set-cookie ssn cvv refresh_token"):
        value: Any = {name: "hunter2"}
        for _ in range(8):
            value = {"a": [value]}
        assert b"hunter2" not in msgspec.json.encode(scrubber.value(value))
