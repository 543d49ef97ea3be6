"""Snowplow's dialect: recorded requests, odd ones, and its Python tracker as a real process."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Lake
from heard_server import Heard, heard_server
from lakeward.catalog.placement import TYPE_NAME
from lakeward.server.compat.dialect import Outcome, Refused, Undecodable
from lakeward.server.compat.snowplow import DIALECT
from lakeward.store.token import make_token
from recorded_clients import call, endpoint, events, kinds, parsed, recorded, taken

TP2 = "/com.snowplowanalytics.snowplow/tp2"
VENDOR = "iglu:com.snowplowanalytics.snowplow"
EXPECTED = {
    "application_error": 1, "click": 2, "client_error": 1, "deal_closed": 1, "focus_form": 1,
    "form_interaction": 2, "order_placed": 1, "page_ping": 1, "page_view": 2, "screen_view": 1,
    "shop_add_to_basket": 1, "transaction": 1, "transaction_item": 1, "web_vital": 3,
}  # fmt: skip
SENT = sum(EXPECTED.values()) - 2  # three web vitals are one event


def made(**given: Any) -> list[dict[str, Any]]:
    """What one event becomes."""
    return events(DIALECT, call(TP2, {"schema": "iglu:…", "data": [{"eid": "e1"} | given]}))


def one(**given: Any) -> dict[str, Any]:
    [record] = made(**given)
    return record


def told(schema: str, data: Any, **given: Any) -> list[dict[str, Any]]:
    """What a self-describing event becomes."""
    inner = {"schema": f"{schema}/jsonschema/1-0-0", "data": data}
    envelope = {"schema": f"{VENDOR}/unstruct_event/jsonschema/1-0-0", "data": inner}
    return made(e="ue", ue_pr=json.dumps(envelope), **given)


@pytest.mark.parametrize("name", ["snowplow-python", "snowplow-python-get"])
def test_a_recorded_tracker_is_taken_whole_and_its_retry_is_the_same(lake: Lake, name: str) -> None:
    collector = lake.collector()
    assert taken(DIALECT, collector, recorded(name)) == []
    rows = lake.rows()
    assert kinds(rows) == EXPECTED
    assert len({row["interaction_id"] for row in rows}) == len(rows)
    assert taken(DIALECT, collector, recorded(name)) == []
    assert {row["interaction_id"] for row in lake.rows()} == {row["interaction_id"] for row in rows}
    assert lake.quarantined() == []
    assert "0151-typed" not in json.dumps(rows)
    assert "203.0.113.9" not in json.dumps(rows)
    assert {row["metadata"]["library"] for row in rows} == {"snowplow py-1.1.0"}
    assert {row["user_id"] for row in rows} == {"u1"}
    assert {row["anonymous_id"] for row in rows} == {"d-7f31"}
    [deal] = [row for row in rows if row["interaction_type"] == "deal_closed"]
    assert deal["outcomes"] == {"value": 24000, "currency": "USD"}
    assert deal["metadata"]["schema"] == "iglu:com.acme/deal_closed/jsonschema/2-0-0"


def test_the_key_is_the_app_id_when_it_looks_like_one() -> None:
    key = make_token("write", b"0123456789abcdef0123456789abcdef")
    content = {"data": [{"e": "pv", "aid": "shop"}, {"e": "pv", "aid": key}, {"aid": key}]}
    sending = parsed(DIALECT, call(TP2, content))
    assert sending.secret == key
    assert key not in repr(sending.events)
    assert parsed(DIALECT, call(TP2, {"data": [{"e": "pv", "aid": "shop"}]})).secret is None
    assert one(e="pv", aid="shop")["metadata"] == {"app_id": "shop"}
    asked = call(f"/i?{urlencode({'e': 'pv', 'aid': key, 'key': key})}", method="GET")
    assert parsed(DIALECT, asked).secret == key
    assert key not in repr(parsed(DIALECT, asked).events)


def test_answers_are_those_of_a_collector() -> None:
    posted, asked = call(TP2, {"data": []}), call("/i?e=pv", method="GET")
    assert endpoint(DIALECT, posted).answer(posted, Outcome(0, [])).body == b"ok"
    pixel = endpoint(DIALECT, asked).answer(asked, Outcome(1, []))
    assert pixel.kind == b"image/gif"
    assert pixel.body.startswith(b"GIF89a\x01\x00\x01\x00")


def test_times_are_ms_and_a_true_time_is_not_corrected() -> None:
    record = one(e="pv", dtm="1755187888677", stm="1755187888000")
    assert record["timestamp"] == "2025-08-14T16:11:28.677Z"
    assert record["sent_at"] == "2025-08-14T16:11:28.677Z"  # never before the event itself
    record = one(e="pv", dtm="1755187888677", stm="1755187890000", ttm="1755187880000")
    assert record["timestamp"] == "2025-08-14T16:11:20.000Z"
    assert "sent_at" not in record
    assert "timestamp" not in one(e="pv", dtm="soon", stm="1755187890000")


def test_sessions_and_views_come_from_contexts() -> None:
    contexts = [{"schema": f"{VENDOR}/web_page/jsonschema/1-0-0", "data": {"id": "v1"}},
                {"schema": f"{VENDOR}/client_session/jsonschema/1-0-2",
                 "data": {"sessionId": "s1", "userId": "d1"}}]  # fmt: skip
    envelope = json.dumps({"schema": f"{VENDOR}/contexts/jsonschema/1-0-1", "data": contexts})
    encoded = base64.urlsafe_b64encode(envelope.encode()).decode().rstrip("=")
    for beside in ({"co": envelope}, {"cx": encoded}):
        record = one(e="pp", ds="1280x2000", vp="1280x720", pp_may="900", **beside)
        assert record["interaction_type"] == "page_view"
        assert record["view_id"] == "v1"
        assert record["scroll_depth"] == 81
        assert (record["session_id"], record["anonymous_id"]) == ("s1", "d1")
    assert one(e="pp", pp_may="900")["interaction_type"] == "page_ping"


def test_a_struct_event_is_a_type_of_its_own() -> None:
    assert one(e="se", se_ca="Shop", se_ac="Add")["interaction_type"] == "shop_add"
    assert one(e="se", se_ca="page", se_ac="view")["interaction_type"] == "struct.page_view"
    assert one(e="se", se_va="2.5")["properties"] == {"value": 2.5}
    assert one(e="se", se_va="nan")["properties"] == {"value": "nan"}


def test_forms_have_names_and_never_values() -> None:
    secret = "0151-typed"
    [submit] = told(f"{VENDOR}/submit_form", {"formId": "f", "elements": [
        {"name": "phone", "value": secret}, {"name": "note", "value": ""}]})  # fmt: skip
    assert (submit["form"], submit["fields_total"], submit["fields_completed"]) == ("f", 2, 1)
    [change] = told(f"{VENDOR}/change_form", {"formId": "f", "elementId": "phone", "type": "tel",
                                              "value": secret})  # fmt: skip
    assert (change["action"], change["field"], change["field_type"]) == ("field", "phone", "tel")
    [focus] = told(f"{VENDOR}/focus_form", {"formId": "f", "elementId": "x", "value": secret})
    assert secret not in repr((submit, change, focus))


def test_a_schema_of_somebody_else_is_a_type_by_its_name() -> None:
    [mine] = told("iglu:com.acme/link_click", {"targetUrl": "x"})
    assert (mine["interaction_type"], mine["properties"]) == ("link_click", {"targetUrl": "x"})
    [listed] = told("iglu:com.acme/Order-Placed", [1, 2])
    assert listed["interaction_type"] == "order-placed"
    assert listed["properties"] == {"data": [1, 2]}


@pytest.mark.parametrize("given", [
    {}, {"e": "xx"}, {"e": ["pv"]}, {"e": "ue"}, {"e": "ue", "ue_pr": "nonsense"},
    {"e": "ue", "ue_px": "%%%"}, {"e": "ue", "ue_pr": 7}, {"e": "ue", "ue_pr": "[" * 99_999},
    {"e": "ue", "ue_pr": '{"data":{"schema":"iglu:nothing","data":{}}}'}, {"e": "pv", "cx": "é"},
])  # fmt: skip
def test_an_event_that_is_none_is_refused_alone(given: Any) -> None:
    sending = parsed(DIALECT, call(TP2, {"data": [given, {"e": "pv"}]}))
    assert [isinstance(event, Refused) for event in sending.events] == [True, False]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"data": {}}', b'{"schema": "x"}', b"\xff"])
def test_a_body_without_events_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(Undecodable):
        parsed(DIALECT, call(TP2, body))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = ("screen_view", "link_click", "button_click", "submit_form", "change_form", "focus_form",
         "application_error", "web_vitals", "api_call", "deal_closed", "anything")  # fmt: skip
FIELDS = ("name", "id", "type", "formId", "elements", "value", "elementId", "message", "lcp",
          "exceptionName", "lineNumber", "targetUrl", "programmingLanguage", "label")  # fmt: skip
INNER = st.builds(
    lambda name, data: {"data": {"schema": f"{VENDOR}/{name}/jsonschema/1-0-0", "data": data}},
    st.sampled_from(NAMES),
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=5) | VALUES,
)
PARAMETERS = ("eid", "dtm", "stm", "ttm", "uid", "duid", "url", "vp", "ds", "pp_may", "se_ca",
              "se_ac", "se_va", "aid", "tv", "cx")  # fmt: skip
EVENTS = st.fixed_dictionaries(
    {"e": st.sampled_from(["pv", "pp", "se", "ue", "tr", "ti"]) | VALUES},
    optional=dict.fromkeys(PARAMETERS, VALUES)
    | {
        "ue_pr": INNER | INNER.map(json.dumps) | VALUES,
        "co": INNER.map(json.dumps) | VALUES,
    },
)


@settings(max_examples=400, deadline=None)
@given(st.lists(EVENTS | VALUES, max_size=3))
def test_any_json_becomes_events_or_is_refused(data: list[Any]) -> None:
    for event in parsed(DIALECT, call(TP2, {"data": data})).events:
        assert isinstance(event, Refused) or TYPE_NAME.fullmatch(event["interaction_type"])


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["e", "ue_px", "co", "dtm", "uid"]), st.text(max_size=30)))
def test_any_query_becomes_an_event_or_is_refused(query: dict[str, str]) -> None:
    asked = call("/i?" + urlencode(query, errors="surrogatepass"), method="GET")
    [event] = parsed(DIALECT, asked).events
    assert isinstance(event, Refused) or event["interaction_type"]


@pytest.fixture
def heard(lake: Lake) -> Iterator[Heard]:
    pytest.importorskip("snowplow_tracker")
    with heard_server(lake) as made:
        yield made


def sent_ids(heard: Heard) -> list[str]:
    """The ids of all events that the tracker sent, read without the product's own code."""
    found: list[str] = []
    for exchange in heard.proxy.sendings():
        if exchange.method == "POST":
            found += [event["eid"] for event in json.loads(exchange.body)["data"]]
        else:
            found += parse_qs(urlsplit(exchange.path).query)["eid"]
    return found


@pytest.mark.parametrize("method", ["post", "get"])
def test_every_kind_of_event_of_a_real_tracker_arrives_once(heard: Heard, method: str) -> None:
    heard.run("snowplow_python.py", method)
    assert {line.split()[2] for line in heard.heard()} == {"200"}
    ids = sent_ids(heard)
    assert len(ids) == len(set(ids)) == SENT
    assert heard.counted() == EXPECTED
    assert heard.lake.quarantined() == []
    assert heard.key not in str(heard.lake.rows())


@pytest.mark.parametrize("method", ["post", "get"])
def test_a_wrong_key_is_refused_and_not_asked_again(heard: Heard, method: str) -> None:
    heard.run("snowplow_python.py", method, key="lwk_w_" + "x" * 40)
    assert {line.split()[2] for line in heard.heard()} == {"401"}
    ids = sent_ids(heard)
    assert len(ids) == len(set(ids)), "something was sent again"
    assert heard.lake.rows() == []
