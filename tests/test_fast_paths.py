"""Every short way gives what the long way gives, or leaves the input to it."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lakeward.catalog import FIELD_SET, TYPES, TypeSpec, placement
from lakeward.errors import Rejected
from lakeward.interaction import Clock, JsonObject, Moments
from lakeward.privacy import Policy, Scrubber
from lakeward.server.ingest import _timed
from lakeward.server.shape import Lines
from lakeward.server.skew import Clocks, Moment
from lakeward.testing import MemoryCollector
from secrets_planted import SENSITIVE_KEYS, names
from tries import tries

thorough = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

# Pieces that mean something to a detector, cut so that they fit an address of short parts.
PIECES = names(
    "a page 7 2026-11-25 v1.2 reset invite verify token otp code share magic-link resetPw sso -- -"
    " eyJ eyJa.b eyJhbGciOi AKIA0123456 sk-Ab3dEf9h sk- SG.aaaa.bbb xoxb-1 4111 4111-1111 1111"
    " 555 0199 +1 hf aB3xY9Zk2Q1 Qz7Rk2Lw9Tn ya29.abc0123 bearer basic KEY-1ABC glpat- 123456"
    " 12345678 code-123456 otp-1234 c3 . .. 0123abcd DEAD-BEEF true login unlock"
)
HOSTS = names(
    "example.com a.b localhost 127.0.0.1 token.example.com code.io secret cdn--x.net reset.io"
    " eyJ.example.com sk-aB3dEf9hKlMnOpQr.io xn--bcher-kva.example password 4111.1111.1111.1111"
)
QUERY_NAMES = names(
    "q page size sort state scope code token key id lang utm secret pin otp auth sig state iss tag"
    " author resets cb next"
)
pieces = st.lists(st.sampled_from(PIECES), max_size=2).map(lambda parts: "".join(parts)[:11])


@st.composite
def addresses(draw: st.DrawFn) -> str:
    """Addresses of short parts, mostly of the form that the short way takes."""
    scheme = draw(st.sampled_from(["http", "https"]))
    host = draw(st.sampled_from(HOSTS) | st.from_regex(r"[A-Za-z0-9.-]{1,20}", fullmatch=True))
    port = draw(st.sampled_from(["", "", ":80", ":12345", ":8", ":"]))
    path = "".join("/" + draw(pieces) for _ in range(draw(st.integers(0, 5))))
    pairs = draw(st.lists(st.tuples(st.sampled_from(QUERY_NAMES), pieces), max_size=4))
    query = "?" + "&".join(f"{name}={value}" for name, value in pairs) if pairs else ""
    return f"{scheme}://{host}{port}{path}{query}"


def origin(url: str) -> str:
    return "/".join(url.split("/")[:3]).partition("?")[0]


@thorough
@given(st.lists(addresses(), min_size=1, max_size=4))
@example(["https://a.b/eyJ.x"])
@example(["https://a.b/reset/Qz7Rk2Lw9Tn"])
def test_an_address_at_a_known_origin_becomes_what_it_becomes_the_long_way(urls: list[str]) -> None:
    short, long = Scrubber(), Scrubber()
    for url in urls:
        short.url(origin(url) + "/")
        short.url(origin(url))
    for url in urls:
        assert short.url(url) == long._settled(url, long._url_once, 0)


@thorough
@given(addresses())
def test_an_address_whose_origin_the_policy_watches_takes_the_long_way(url: str) -> None:
    policy = Policy(emails=True, phones=True, paths=("/a/{}", "/page/{}/7"))
    short, long = Scrubber(policy), Scrubber(policy)
    short.url(origin(url))
    assert short.url(url) == long._settled(url, long._url_once, 0)


FLAT_KEYS = names(
    "id name title note page size q total author city label header code value key x y"
)
flat_leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | pieces
    | st.text(st.characters(), max_size=8)
    | addresses()
    | st.sampled_from(
        ["/reset/Qz7Rk2Lw9Tn", "password=x", '{"token": "x1"}', "Bearer abc123def456"]
    )
    | st.integers(10, 300).map(lambda n: "lorem ipsum " * n)
    | st.sampled_from(SENSITIVE_KEYS)
)
flat_objects = st.dictionaries(
    st.sampled_from([*FLAT_KEYS, *SENSITIVE_KEYS]) | st.text(max_size=3), flat_leaves, max_size=30
)


@thorough
@given(
    flat_objects, flat_objects, st.booleans(),
    st.sampled_from([
        Policy(), Policy(max_items=3), Policy(max_string=40), Policy(max_depth=0),
        Policy(emails=True, phones=True), Policy(keys=frozenset({"city"})),
        Policy(allow_keys=frozenset({"token"})),
    ]),
)  # fmt: skip
@example({"x": "eyJ.abc"}, {}, False, Policy())
def test_a_flat_object_of_known_names_becomes_what_the_walk_makes_of_it(
    first: JsonObject, second: JsonObject, verifying: bool, policy: Policy
) -> None:
    short, long = Scrubber(policy), Scrubber(policy)
    long.known = lambda item, depth=0: None  # type: ignore[method-assign]
    for value in (dict.fromkeys(first, 1), dict.fromkeys(second, 1), first, second, first):
        made = short._value(value, 0, verifying)
        assert repr(made) == repr(long._value(value, 0, verifying))


plain = st.none() | st.booleans() | st.integers(-5, 10**16) | st.floats() | st.text(max_size=4)
RECORD_NAMES = sorted(FIELD_SET)


@st.composite
def given_fields(draw: st.DrawFn, spec: TypeSpec | None) -> JsonObject:
    """Fields as a client sends them: an example, altered, with strangers and slots given whole."""
    fields: JsonObject = dict(spec.example) if spec is not None and draw(st.booleans()) else {}
    own = sorted(spec.own | spec.lifted | spec.forbidden) if spec is not None else []
    known = st.sampled_from([*RECORD_NAMES, *own, *own, *own]) if own else st.sampled_from(
        RECORD_NAMES
    )  # fmt: skip
    example_of = dict(spec.example) if spec is not None else {}
    for _ in range(draw(st.integers(0, 3))):
        name = draw(known | st.text("abc_id", min_size=1, max_size=4))
        fields[name] = draw(
            st.just(example_of.get(name, "x")) | plain | st.lists(plain, max_size=2)
        )
    for name in draw(st.lists(st.sampled_from(sorted(fields)), max_size=2)) if fields else ():
        fields.pop(name, None)
    slots = [spec.slot] if spec is not None and spec.slot else []
    for slot in draw(
        st.lists(st.sampled_from([*slots, *slots, "properties", "metadata"]), max_size=2)
    ):
        names_inside = known | st.sampled_from(["campaign", "visit_id", "interaction_type"])
        whole = draw(st.dictionaries(names_inside, plain, max_size=3))
        for name in (
            draw(st.lists(st.sampled_from(sorted(example_of)), max_size=3)) if example_of else ()
        ):
            whole[name] = fields.pop(name, example_of[name])
        fields[slot] = draw(st.just(whole) | st.just(whole) | plain)
    return fields


def long_way(interaction_type: str, fields: JsonObject) -> JsonObject | None:
    """What the loops make of it, None for a refusal."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(placement, "_arrange_plain", lambda spec, given: None)
        try:
            return placement._arrange(interaction_type, fields)
        except Rejected:
            return None


def ordered(value: Any) -> str:
    return repr(
        sorted(value.items(), key=lambda item: str(item[0])) if isinstance(value, dict) else value
    )


@pytest.mark.parametrize("name", [*sorted(TYPES), "signed_up"])
@settings(max_examples=tries(20), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_fields_that_are_right_as_they_are_are_arranged_as_the_loops_would(
    name: str, data: st.DataObject
) -> None:
    spec = TYPES.get(name)
    fields = data.draw(given_fields(spec))
    before = repr(fields)
    short = placement._arrange_plain(spec, fields)
    assert repr(fields) == before
    if short is None:
        return
    long = long_way(name, fields)
    assert long is not None
    assert {key: ordered(value) for key, value in short.items()} == {
        key: ordered(value) for key, value in long.items()
    }


STAMPS = st.sampled_from([
    "2026-11-25T20:00:00.123Z", "2026-11-25 20:00:00.123Z", "2026-11-25T20:00:00Z",
    "2026-11-25T20:00:00.123+01:00", "1969-01-01T00:00:00.000Z", "2026-11-31T20:00:00.123Z",
    "2026-11-25T20:00:00.\u0661\u0662\u0663Z", "soon", "", 7,
])  # fmt: skip

SENT = st.sampled_from([None, None, "2026-11-25T19:59:00.000Z", "2027-01-01T00:00:00+01:00"])
IDENTIFIERS = st.sampled_from([None, "0198a9b0-1111-7222-8333-444455556666", "msg-17", 17])
NOW_MS = 1_795_636_800_000


@pytest.mark.parametrize("name", sorted(TYPES))
@settings(max_examples=tries(20), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_line_made_by_its_shape_is_the_line_that_the_collector_makes(
    name: str, data: st.DataObject
) -> None:
    scrub_more = {"LAKEWARD_SENSITIVE_KEYS": "title,city", "LAKEWARD_IP": "truncate"}
    collector = MemoryCollector(
        data.draw(st.sampled_from([{}, {"LAKEWARD_SERVICE": "s"}, scrub_more]))
    )
    lines = Lines(collector)
    received = collector.received("203.0.113.9", data.draw(st.sampled_from([None, "curl/8"])))
    clocks = Clocks("app", NOW_MS, Moments(), Clock())
    for _ in range(3):
        fields = data.draw(given_fields(TYPES[name]))
        for owned in ("ip_address", "received_at", "service"):
            fields.pop(owned, None)
        for given_apart in ("timestamp", "interaction_id", "sent_at"):
            fields.pop(given_apart, None)
        sent_at, identifier = data.draw(SENT), data.draw(IDENTIFIERS)
        shift, sent = clocks.sent(sent_at) if sent_at else (0, None)
        try:
            moment = clocks.moment(data.draw(STAMPS), identifier, shift)
        except Rejected:
            continue
        for _ in range(2):  # what is known by now must be as what is not
            before = repr(fields)
            made = lines.make(name, fields, received, moment, sent)
            assert repr(fields) == before
            timed = _timed(fields, moment, sent)
            if made is None:
                with contextlib.suppress(Exception):
                    collector.prepare(name, timed, received)
                continue
            long = msgspec.json.decode(collector.prepare(name, timed, received))
            short = msgspec.json.decode(made)
            assert list(short) == list(long)
            assert short == long


def test_usual_page_views_are_made_by_their_shape() -> None:
    collector = MemoryCollector()
    lines, received = Lines(collector), collector.received("203.0.113.9", "curl/8")
    moment = Moment("0198a9b0-1111-7222-8333-444455556666", "2026-11-25T20:00:00.123Z", None)
    event = {
        "user_id": "u", "session_id": "s", "title": "T",
        "url": "https://app.example.com/?password=hunter2", "scroll_depth": 40,
    }  # fmt: skip
    made = lines.make("page_view", event, received, moment, None)
    assert made is not None
    row = msgspec.json.decode(made)
    assert row["url"] == "https://app.example.com/?password=[REDACTED]"
    assert row["properties"] == {"title": "T", "scroll_depth": 40}
    refused = {**event, "scroll_depth": 140}
    assert lines.make("page_view", refused, received, moment, None) is None


def test_a_records_field_in_a_slot_given_whole_is_left_to_the_collector() -> None:
    collector = MemoryCollector()
    lines, received = Lines(collector), collector.received("203.0.113.9", None)
    moment = Moment("0198a9b0-1111-7222-8333-444455556666", "2026-11-25T20:00:00.123Z", None)
    for name, short in (("mood", True), ("ai_metadata", False)):  # null, the second goes
        for value in (False, None):
            given = {"feedback": {name: value}}
            collector.prepare("feedback_submission", _timed(given, moment, None), received)
            made = lines.make("feedback_submission", given, received, moment, None)
            assert (made is not None) is short
