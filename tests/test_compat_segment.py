"""Segment's dialect without any SDK: recorded requests, the table of docs/compatible.md, and
anybody's JSON."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Lake
from intakes import ingest_of, send_batch
from lakeward.server.compat import DIALECTS, segment
from lakeward.server.compat.dialect import (
    Call,
    Endpoint,
    Outcome,
    Refused,
    Undecodable,
    type_of,
)
from lakeward.server.compat.segment import DIALECT
from lakeward.server.compat.segment_event import interaction
from lakeward.server.ingest import Batch
from recorded_clients import Made, made

RECORDED = Path(__file__).parent / "data" / "clients"
NAMES = ("segment-python", "segment-python-gzip", "segment-node", "rudder-python", "rudder-node",
         "jitsu-node", "segment-browser", "segment-browser-batch", "rudder-browser",
         "rudder-browser-beacon", "jitsu-browser")  # fmt: skip
DONE = Outcome(0, [])


def call(path: str, body: bytes = b"", query: dict[str, list[str]] | None = None,
         **headers: str) -> Call:  # fmt: skip
    said = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return Call("POST", path, {}, query or {}, said, body, "https://data.example.com/s")


def parse(asked: Call) -> Made:
    return made(segment.parse, asked)


def recorded(name: str) -> list[Made]:
    requests = json.loads((RECORDED / f"{name}.json").read_text())
    return [
        parse(call(parts.path, request["body"].encode(), parse_qs(parts.query),
                   **{n.replace("-", "_"): v for n, v in request["headers"].items()}))
        for request in requests
        for parts in [urlsplit(request["path"])]
    ]  # fmt: skip


def endpoint(path: str) -> Endpoint:
    return next(each for each in DIALECT.endpoints if path in each.paths)


@pytest.mark.parametrize("name", NAMES)
def test_what_was_recorded_of_an_sdk_is_one_interaction_for_each_event(
    lake: Lake, name: str
) -> None:
    ingest = ingest_of(lake.collector())
    for sending in recorded(name):
        batch = Batch(list(sending.events), sending.sent_at, "segment")
        assert send_batch(ingest, batch).rejected == []
        assert send_batch(ingest, batch).rejected == [], "a retry"
    kinds = Counter(row["interaction_type"] for row in lake.rows())
    assert set(kinds.values()) == {2}
    assert {"order_completed", "page_view", "identify", "group"} <= set(kinds)
    assert len(set(lake.ids())) == len(kinds), "a retry has the ids of the first"
    assert all("sent_at" in row for row in lake.rows())


@pytest.mark.parametrize("name", NAMES)
def test_the_key_of_a_recorded_request_is_found(name: str) -> None:
    requests = json.loads((RECORDED / f"{name}.json").read_text())
    for request, sending in zip(requests, recorded(name), strict=True):
        assert sending.secret == "{key}" or request["headers"]["authorization"] == "Basic {basic}"


def test_the_paths_of_a_recorded_request_lead_to_its_dialect() -> None:
    paths = {path for each in DIALECT.endpoints for path in each.paths}
    for name in NAMES:
        for request in json.loads((RECORDED / f"{name}.json").read_text()):
            assert request["path"].partition("?")[0] in paths


def test_no_path_is_known_to_two_dialects() -> None:
    paths = Counter(path for d in DIALECTS for each in d.endpoints for path in each.paths)
    assert [path for path, count in paths.items() if count > 1] == []


def mapped(**event: Any) -> dict[str, Any]:
    made = interaction(event, {})
    assert not isinstance(made, Refused)
    return made


def test_a_track_is_a_type_of_its_name_and_keeps_the_name() -> None:
    made = mapped(type="track", event="Order Completed", userId="u1", messageId="m-1",
                  properties={"total": 1, "path": "/not/the/page", "partner_id": "p9"},
                  context={"page": {"path": "/checkout", "url": "https://a.test/x"}})  # fmt: skip
    assert made["interaction_type"] == "order_completed"
    assert made["interaction_id"] == "m-1"
    assert made["properties"] == {"total": 1, "path": "/not/the/page", "partner_id": "p9",
                                  "event": "Order Completed"}  # fmt: skip
    assert (made["path"], made["partner_id"]) == ("/checkout", "p9")


def test_a_track_of_a_known_type_has_that_types_fields() -> None:
    made = mapped(type="track", event="deal_closed", properties={"value": 5, "note": "x"})
    assert (made["value"], made["properties"]) == (5, {"note": "x"})


def test_a_page_is_a_view_with_its_campaign() -> None:
    made = mapped(type="page", name="Install", category="docs", properties={"url": "https://a/b"},
                  context={"locale": "en", "campaign": {"name": "spring", "medium": "cpc"},
                           "page": {"title": "T"}, "ip": "203.0.113.7"})  # fmt: skip
    assert made["interaction_type"] == "page_view"
    assert (made["url"], made["title"], made["language"]) == ("https://a/b", "T", "en")
    assert (made["utm_campaign"], made["utm_medium"]) == ("spring", "cpc")
    assert made["properties"] == {"name": "Install", "category": "docs"}
    assert "203.0.113.7" not in json.dumps(made)


def test_the_older_id_of_an_alias_stands_where_an_erase_looks_for_it() -> None:
    made = mapped(type="alias", previousId="lead-1", userId="u1", anonymousId="a-1")
    assert (made["user_id"], made["anonymous_id"]) == ("u1", "lead-1")


def test_what_no_place_is_for_is_kept_as_metadata() -> None:
    context = {"app": {"version": "7"}, "library": {"name": "l", "version": "1"}}
    made = mapped(type="track", event="x", context=context)
    assert made["metadata"] == {"library": "l 1", "context": {"app": {"version": "7"}}}


PAGE_OF_RUDDER = {
    "url": "https://a.test/x?utm_id=7", "path": "/x", "search": "?utm_id=7", "title": "X",
    "referrer": "$direct", "referring_domain": "", "tab_url": "https://a.test/x?utm_id=7",
    "initial_referrer": "https://b.test/", "initial_referring_domain": "b.test",
}  # fmt: skip
CONTEXT_OF_RUDDER = {
    "page": PAGE_OF_RUDDER, "locale": "en", "timezone": "GMT+0000", "sessionId": 17,
    "campaign": {"name": "spring", "id": "7"}, "screen": {"width": 9, "density": 2},
    "userAgentData": {"mobile": False}, "traits": {"email": "x@example.com"},
    "ip": "203.0.113.7", "clientIds": {},
}  # fmt: skip


def test_what_only_a_page_has_a_place_for_stays_with_every_other_event() -> None:
    track = mapped(type="track", event="x", groupId="g4", context=CONTEXT_OF_RUDDER)
    assert track["metadata"]["context"] == {
        "page": {"title": "X", "initial_referrer": "https://b.test/"}, "locale": "en",
        "timezone": "GMT+0000", "campaign": {"name": "spring", "id": "7"},
        "screen": {"width": 9, "density": 2}, "groupId": "g4",
    }  # fmt: skip
    assert (track["session_id"], track["url"]) == ("17", "https://a.test/x?utm_id=7")
    page = mapped(type="page", context=CONTEXT_OF_RUDDER)
    assert page["metadata"]["context"] == {
        "page": {"initial_referrer": "https://b.test/"}, "campaign": {"id": "7"},
        "screen": {"density": 2},
    }  # fmt: skip
    assert (page["title"], page["timezone"], page["screen_width"]) == ("X", "GMT+0000", 9)


def test_a_visit_without_a_referrer_has_none() -> None:
    page = mapped(type="page", properties={"referrer": "$direct"}, context=CONTEXT_OF_RUDDER)
    assert "referrer" not in page
    assert "referrer" not in page.get("properties", {})


def test_a_servers_page_has_the_path_of_its_address() -> None:
    assert mapped(type="page", properties={"url": "https://a.test/b?c=1"})["path"] == "/b"
    assert "path" not in mapped(type="page", properties={"url": "https://[broken"})


@pytest.mark.parametrize(("given", "kept"), [("p9", "p9"), (42, "42"), ("", None), ([], None),
                                             (True, None), ("p" * 513, None)])  # fmt: skip
def test_a_partner_is_an_id_that_fits(given: Any, kept: str | None) -> None:
    made = mapped(type="track", event="x", properties={"partner_id": given})
    assert made.get("partner_id") == kept
    assert made["properties"]["partner_id"] == given


def test_what_does_not_fit_its_place_does_not_cost_a_page_its_type(lake: Lake) -> None:
    ingest = ingest_of(lake.collector())
    page = mapped(type="page", userId="u",
                  context={"campaign": {"content": "c" * 300}, "locale": "l" * 300,
                           "screen": {"width": 10**30, "height": -1},
                           "sessionId": "s" * 600})  # fmt: skip
    assert send_batch(ingest, Batch([page], None, "segment")).rejected == []
    (row,) = lake.rows()
    assert row["interaction_type"] == "page_view"
    assert row["metadata"]["context"]["campaign"] == {"content": "c" * 300}


def test_a_property_called_like_a_field_that_it_does_not_fit_stays_with_the_context(
    lake: Lake,
) -> None:
    ingest = ingest_of(lake.collector())
    given = {"title": {"a": 1}, "navigation": "header", "name": ["x"], "scroll_depth": 40}
    pages = [mapped(type=kind, userId="u", properties=given) for kind in ("page", "screen")]
    assert send_batch(ingest, Batch(pages, None, "segment")).rejected == []
    page, screen = lake.rows()
    assert (page["interaction_type"], screen["interaction_type"]) == ("page_view", "screen_view")
    assert page["properties"] == {"name": ["x"], "scroll_depth": 40}
    assert page["metadata"]["context"]["properties"] == {"title": {"a": 1}, "navigation": "header"}
    assert screen["properties"] == given


def test_a_screen_with_a_long_name_and_another_in_its_properties_keeps_both() -> None:
    made = mapped(type="screen", name="n" * 300, properties={"name": "Partners"})
    assert (made["screen"], made["properties"]) == ("Partners", {"name": "n" * 300})


@pytest.mark.parametrize("rest", [{}, {"app": 1}])
def test_an_event_that_is_set_aside_leaves_its_address_behind(rest: dict[str, Any]) -> None:
    made = interaction({"type": "x", "context": {"ip": "203.0.113.7", **rest}}, {})
    assert isinstance(made, Refused)
    assert made.event == {"type": "x", "context": rest}


def test_a_path_says_what_kind_an_event_without_one_is() -> None:
    (event,) = parse(call("/v1/page", b'{"type":null}')).events
    assert isinstance(event, dict)


@pytest.mark.parametrize("header", ["YS0x", "a-1"])
def test_rudders_browser_says_who_and_when_in_its_headers(header: str) -> None:
    body = b'{"type":"page","messageId":"m","originalTimestamp":"2025-08-14T16:11:28.677Z"}'
    sending = parse(call("/v1/page", body, anonymousid=header, sentat="2025-08-14T16:11:30.000Z"))
    (event,) = sending.events
    assert isinstance(event, dict)
    assert (event["anonymous_id"], event["timestamp"]) == ("a-1", "2025-08-14T16:11:28.677Z")
    assert sending.sent_at == "2025-08-14T16:11:30.000Z"


@pytest.mark.parametrize(
    ("sent", "secret"),
    [
        (call("/v1/batch", b'{"batch":[],"writeKey":"k1"}'), "k1"),
        (call("/v1/batch", b'{"batch":[{"type":"x","writeKey":"k2"}]}'), "k2"),
        (call("/beacon/v1/batch", b'{"batch":[]}', {"writeKey": ["k3"]}), "k3"),
        (call("/api/s/track", b'{"writeKey":"k4:***"}', x_write_key="k4:x"), "k4"),
        (call("/v1/batch", b'{"batch":[]}'), None),
    ],
)
def test_the_key_is_found_wherever_an_sdk_puts_it(sent: Call, secret: str | None) -> None:
    assert parse(sent).secret == secret


@pytest.mark.parametrize("short", ["t", "p", "s", "i", "g", "a"])
def test_the_short_paths_say_what_kind_it_is(short: str) -> None:
    (event,) = parse(call(f"/v1/{short}", b'{"event":"x","previousId":"p","userId":"u"}')).events
    assert isinstance(event, dict)


@pytest.mark.parametrize("body", [b"", b"{", b"7", b'"x"', b"null", b"\xff", b'{"batch":7}',
                                  b"[" * 100_000])  # fmt: skip
def test_what_is_no_event_and_no_batch_is_said(body: bytes) -> None:
    with pytest.raises(Undecodable):
        parse(call("/v1/batch", body))


def test_a_number_that_is_no_json_does_not_cost_a_batch() -> None:
    (event,) = parse(call("/v1/batch", b'{"batch":[{"type":"track","event":"x",'
                                       b'"properties":{"a":NaN,"b":2}}]}')).events  # fmt: skip
    assert isinstance(event, dict)
    assert event["properties"] == {"a": None, "b": 2}


def test_a_browser_is_told_to_send_here_and_its_own_figures_nowhere() -> None:
    asked = msgspec.structs.replace(
        call("/v1/projects/{key}/settings"), parts={"key": "lwk_w_x"}, method="GET"
    )
    answer = json.loads(endpoint("/v1/projects/{key}/settings").answer(asked, DONE).body)
    sending = answer["integrations"]["Segment.io"]
    assert (sending["apiHost"], sending["protocol"]) == ("data.example.com/s/v1", "https")
    assert sending["apiKey"] == "lwk_w_x"
    assert answer["metrics"]["sampleRate"] == 0
    source = json.loads(endpoint("/sourceConfig").answer(
        call("/sourceConfig", query={"writeKey": ["k"]}), DONE).body)  # fmt: skip
    assert (source["source"]["enabled"], source["source"]["destinations"]) == (True, [])


@pytest.mark.parametrize(
    ("name", "slug"),
    [("Order Completed", "order_completed"), ("signed_up", "signed_up"), ("$pageview", "pageview"),
     ("9 lives", "event_9_lives"), ("", "event"), ("日本", "event"), ("a" * 90, "a" * 64),
     ("Order: Completed!", "order:_completed"), ("../../etc", "etc"), ("é", "event")],
)  # fmt: skip
def test_a_name_becomes_a_type(name: str, slug: str) -> None:
    assert type_of(name) == slug


FIELDS = ["type", "event", "name", "properties", "traits", "context", "userId", "timestamp",
          "messageId", "page", "batch", "anonymousId", "sentAt", "campaign", "library", "screen",
          "groupId", "previousId", "writeKey", "width"]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=6), inner, max_size=8)
    ),
    max_leaves=25,
)
KINDS = st.sampled_from(["track", "page", "screen", "identify", "group", "alias", "other"])
TYPED = st.builds(
    lambda kind, event: {**event, "type": kind},
    KINDS,
    st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON)),
)
BATCHES = st.builds(lambda events: {"batch": events}, st.lists(TYPED, max_size=3))
PATHS = sorted({path for each in DIALECT.endpoints if each.parse for path in each.paths})


@given(st.sampled_from(PATHS), JSON | TYPED | BATCHES)
def test_anybodys_json_is_events_refused_ones_or_undecodable(path: str, content: Any) -> None:
    try:
        sending = parse(call(path, msgspec.json.encode(content)))
    except Undecodable:
        return
    assert all(isinstance(event, dict | Refused) for event in sending.events)
    msgspec.json.encode([e for e in sending.events if isinstance(e, dict)])
    assert sending.secret is None or isinstance(sending.secret, str)
    assert sending.sent_at is None or isinstance(sending.sent_at, str)
