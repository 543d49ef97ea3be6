"""PostHog's dialect without its SDKs: recorded requests, odd ones, and what each event becomes."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Lake
from lakeward.catalog.placement import TYPE_NAME, arrange
from lakeward.errors import Rejected
from lakeward.lake import sql
from lakeward.server.compat.dialect import Outcome, Refused, Undecodable
from lakeward.server.compat.posthog import CONFIG, DIALECT, MAPPERS
from recorded_clients import call, endpoint, events, kinds, parsed, recorded, taken

PYTHON = {
    "ai_conversation": 3, "ai_rating": 2, "alias": 1, "exception": 1, "feature_flag_called": 1,
    "group": 1, "identify": 2, "in_a_context": 1, "nobody": 1, "order_completed": 1, "page_view": 1,
    "screen_view": 1, "span": 2,
}  # fmt: skip
NODE = {
    "ai_conversation": 1, "alias": 1, "at_once": 1, "exception": 1, "feature_flag_called": 1,
    "group": 1, "identify": 1, "order_completed": 1, "page_view": 1,
}  # fmt: skip
BROWSER = {
    "alias": 1, "click": 3, "client_error": 2, "form_interaction": 3, "group": 1, "identify": 3,
    "opt_in": 1, "order_completed": 1, "page_view": 2, "screen_view": 1, "told_of_a_person": 1,
    "web_vital": 4,
}  # fmt: skip


def made(name: str, **more: Any) -> list[dict[str, Any]]:
    """What one event becomes."""
    properties = more.pop("properties", {})
    event = {"event": name, "distinct_id": "u1", "uuid": "e1", "properties": properties} | more
    return events(DIALECT, call("/e/", {"api_key": "k"} | event))


def one(name: str, **more: Any) -> dict[str, Any]:
    [record] = made(name, **more)
    return record


@pytest.mark.parametrize(("name", "expected"), [
    ("posthog-python", PYTHON), ("posthog-python-v1", PYTHON), ("posthog-node", NODE),
    ("posthog-js", BROWSER), ("posthog-js-plain", {"page_view": 1, "web_vital": 4}),
])  # fmt: skip
def test_a_recorded_sdk_is_taken_whole_and_its_retry_is_the_same(
    lake: Lake, name: str, expected: dict[str, int]
) -> None:
    collector = lake.collector()
    calls = recorded(name)
    assert taken(DIALECT, collector, calls) == []
    rows = lake.rows()
    assert kinds(rows) == expected
    assert len({row["interaction_id"] for row in rows}) == len(rows)
    assert taken(DIALECT, collector, calls) == []
    assert {row["interaction_id"] for row in lake.rows()} == {row["interaction_id"] for row in rows}
    assert lake.quarantined() == []
    assert all(" " in row["metadata"]["library"] for row in rows)
    assert "{key}" not in json.dumps(rows)


@pytest.mark.parametrize("name", ["posthog-python", "posthog-node", "posthog-js"])
def test_the_key_is_in_the_body(name: str) -> None:
    assert {parsed(DIALECT, asked).secret for asked in recorded(name)} == {"{key}"}


def test_a_visit_before_and_after_identify_is_of_one_person(lake: Lake) -> None:
    assert taken(DIALECT, lake.collector(), recorded("posthog-js")) == []

    def asked(query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = sql(query, lake_dir=lake.root).to_pylist()
        return found

    everything = "SELECT DISTINCT person FROM stitched"
    assert asked(everything) == [{"person": "u1"}]
    [known] = asked("SELECT traits FROM people")
    assert json.loads(known["traits"]) == {"plan": "pro", "size": "small", "city": "Ghent"}
    [group] = asked("SELECT group_type, group_id, traits FROM groups")
    assert group == {"group_type": "company", "group_id": "g4", "traits": '{"industry":"roofing"}'}


EVENT = {"event": "signed up", "distinct_id": "u1", "uuid": "e1",
         "timestamp": "2025-08-14T16:11:28.677Z"}  # fmt: skip
B64 = base64.b64encode(json.dumps(EVENT | {"token": "k"}).encode())


@pytest.mark.parametrize("asked", [
    call("/capture/", EVENT | {"api_key": "k"}),
    call("/i/v0/e", EVENT | {"token": "k"}),
    call("/track", [EVENT | {"properties": {"token": "k"}}]),
    call("/engage/", [EVENT | {"token": "k"}]),
    call("/batch", {"api_key": "k", "batch": [EVENT]}),
    call("/e/?compression=base64", b"data=" + quote(B64).encode()),
    call("/e/", b"compression=base64&data=" + quote(B64).encode()),
    call("/e/?compression=base64", B64),
    call("/e/", b"data=" + B64.rstrip(b"=")),
    call("/e/", b"data=" + quote(json.dumps(EVENT | {"token": "k"})).encode()),
    call("/e/?compression=gzip-js&ver=1.0", EVENT | {"api_key": "k"}),
    call(f"/e/?data={quote(B64)}&ip=1", method="GET"),
    call("/e/", {"properties": {"$current_url": "https://example.com/?a=1&data=2"}, "token": "k"}
         | EVENT),
    call("/e/", b"ip=1&data=" + quote(B64).encode()),
    call("/e/?token=k", EVENT),
])  # fmt: skip
def test_one_event_comes_in_many_forms(asked: Any) -> None:
    sending = parsed(DIALECT, asked)
    assert sending.secret == "k"
    [event] = sending.events
    assert not isinstance(event, Refused)
    assert event["interaction_type"] == "signed_up"
    assert event["user_id"] == "u1"
    assert event["interaction_id"] == "e1"
    assert event["timestamp"] == "2025-08-14T16:11:28.677Z"
    assert "k" not in event.get("properties", {}).values()


@pytest.mark.parametrize("asked", [
    call("/e/?compression=lz64", b"data=N4IgpgZg"),
    call("/e/", b"data=compression&compression=lz64"),
    call("/batch/", b""), call("/batch/", b"nonsense"), call("/batch/", b'"text"'),
    call("/batch/", b"[" * 100_000), call("/e/", b"data=" + b"a=1&" * 50),
    call("/e/", b"\xff\xfe{"), call("/e/", method="GET"),
])  # fmt: skip
def test_what_is_no_event_is_said_to_be_none(asked: Any) -> None:
    with pytest.raises(Undecodable):
        parsed(DIALECT, asked)


def test_a_form_may_hold_any_letter() -> None:
    told = json.dumps({"event": "Größe — 大"}, ensure_ascii=False)
    [event] = events(DIALECT, call("/e/", b"data=" + quote(told).encode()))
    assert event["properties"]["event"] == "Größe — 大"


def test_a_number_that_is_none_does_not_cost_the_batch() -> None:
    body = b'{"batch": [{"event": "a", "properties": {"x": NaN, "y": 1}}, {"event": "b"}]}'
    first, second = events(DIALECT, call("/batch/", body))
    assert first["properties"] == {"y": 1}
    assert second["interaction_type"] == "b"


def test_an_event_without_a_name_is_refused_alone_and_without_its_key() -> None:
    content = {"batch": [EVENT, {"properties": {"token": "phc_secret", "a": 1}}, 7]}
    sending = parsed(DIALECT, call("/batch/", content))
    assert [isinstance(event, Refused) for event in sending.events] == [False, True, True]
    assert "phc_secret" not in repr(sending.events)


@pytest.mark.parametrize(("properties", "who"), [
    ({}, {"user_id": "u1"}),
    ({"$is_identified": False, "$device_id": "u1"}, {"anonymous_id": "u1"}),
    ({"$is_identified": True, "$device_id": "d1"}, {"user_id": "u1", "anonymous_id": "d1"}),
    ({"$is_identified": True, "$process_person_profile": False}, {"user_id": "u1"}),
    ({"$process_person_profile": False}, {"anonymous_id": "u1"}),
    ({"$device_id": "u1"}, {"anonymous_id": "u1"}),
    ({"$device_id": "d1"}, {"user_id": "u1", "anonymous_id": "d1"}),
])  # fmt: skip
def test_somebody_is_known_or_anonymous(properties: Any, who: dict[str, str]) -> None:
    record = one("x", properties=properties)
    assert {n: record[n] for n in ("user_id", "anonymous_id") if n in record} == who


def test_a_visitor_without_cookies_is_nobody() -> None:
    record = one("x", distinct_id="$posthog_cookieless", properties={"$cookieless_mode": True})
    assert not {"user_id", "anonymous_id"} & record.keys()


def test_times_may_be_numbers_and_the_address_of_the_visitor_is_not_taken() -> None:
    assert one("x", timestamp=1755187888677)["timestamp"] == "2025-08-14T16:11:28.677Z"
    record = one("x", properties={"$time": 1755187888.677, "$ip": "203.0.113.9"})
    assert record["timestamp"] == "2025-08-14T16:11:28.677Z"
    assert "203.0.113.9" not in repr(record)
    asked = call("/e/?_=1755187888677", EVENT)
    assert parsed(DIALECT, asked).sent_at == "2025-08-14T16:11:28.677Z"


def test_names_lose_their_dollar_but_where_the_app_has_one_so_called() -> None:
    properties = {"$os": "Linux", "$browser": "Chrome", "os": "mine", "gclid": None,
                  "$sdk_debug_x": 1, "$insert_id": "i", "$window_id": "w"}  # fmt: skip
    kept = one("x", properties=properties)["properties"]
    assert kept == {"os": "mine", "$os": "Linux", "browser": "Chrome", "window_id": "w"}


def test_a_view_of_a_single_page_app_ends_with_the_next() -> None:
    next_view, ended = made("$pageview", properties={
        "$current_url": "https://example.com/b", "$pathname": "/b", "$pageview_id": "v2",
        "navigation_type": "pushState", "$prev_pageview_id": "v1", "$prev_pageview_pathname": "/a",
        "$prev_pageview_max_content_percentage": 0.71, "$prev_pageview_duration": 7.743, "plan": 1,
    })  # fmt: skip
    assert next_view["view_id"] == "v2"
    assert next_view["navigation"] == "spa"
    assert ended["view_id"] == "v1"
    assert ended["path"] == "/a"
    assert "url" not in ended
    assert ended["scroll_depth"] == 71
    assert ended["properties"] == {"duration_ms": 7743}
    assert ended["interaction_id"] != next_view["interaction_id"]


def test_a_field_of_a_form_has_a_name_and_a_type_and_never_a_value() -> None:
    field = {"tag_name": "input", "attr__name": "phone", "attr__type": "tel",
             "attr__value": "0151-typed", "$el_text": "0151-typed"}  # fmt: skip
    form = {"tag_name": "form", "attr__id": "verification"}
    for kind in ("change", "submit", "click", "copy"):
        properties = {"$event_type": kind, "$elements": [field, form], "value": "0151-typed",
                      "$el_text": "0151-typed", "$elements_chain": 'input:attr__value="0151-typed"',
                      "data": "0151-typed"}  # fmt: skip
        if kind in {"click", "copy"}:
            del properties["value"], properties["data"]  # those are the app's own
        record = one("$autocapture", properties=properties)
        assert "0151-typed" not in repr(record)
    changed = one("$autocapture", properties={"$event_type": "change", "$elements": [field, form]})
    assert (changed["form"], changed["field"]) == ("verification", "phone")
    assert (changed["action"], changed["field_type"]) == ("field", "tel")


def test_a_click_leads_somewhere() -> None:
    elements = [
        {"tag_name": "span", "$el_text": "Out", "nth_of_type": 2},
        {"tag_name": "a", "attr__href": "https://example.org/x", "classes": ["b"]},
    ]
    click = one("$autocapture", properties={
        "$event_type": "click", "$elements": elements,
        "$external_click_url": "https://example.org/x",
    })  # fmt: skip
    assert click["href"] == "https://example.org/x"
    assert click["outbound"] is True
    assert click["selector"] == "a.b > span:nth-of-type(2)"
    chain = 'button.big:attr_id="book"nth-child="1"text="Book";body:nth-child="2"'
    chained = one("$autocapture", properties={"$event_type": "click", "$elements_chain": chain,
                                              "$el_text": "Book"})  # fmt: skip
    assert (chained["element"], chained["element_id"], chained["element_text"]) == (
        "button", "book", "Book")  # fmt: skip
    rage = one("$rageclick", properties={"$event_type": "click", "$elements": elements})
    assert rage["interaction_type"] == "rageclick"
    assert rage["properties"]["element"] == "span"


def test_a_flag_with_a_variant_is_an_exposure() -> None:
    seen = one("$feature_flag_called", properties={"$feature_flag": "page", "$feature/page": "b",
                                                   "$feature_flag_response": "b"})  # fmt: skip
    assert (seen["interaction_type"], seen["variant"]) == ("experiment_exposure", "b")
    for response in (True, False, None):
        told = {"$feature_flag": "page", "$feature_flag_response": response}
        plain = one("$feature_flag_called", properties=told)
        assert plain["interaction_type"] == "feature_flag_called"


def test_what_an_event_says_of_its_person_is_an_identify_of_its_own() -> None:
    event, known = made("x", properties={"$set": {"city": "Ghent"}, "a": 1})
    assert event["properties"] == {"a": 1}
    assert known["interaction_type"] == "identify"
    assert known["traits"] == {"city": "Ghent"}
    assert known["interaction_id"] == "e1:set"
    assert len(made("x", properties={"$set_once": {"$initial_host": "h", "gclid": None}})) == 1


def test_a_group_without_a_member_has_no_user() -> None:
    properties = {"$group_type": "company", "$group_key": "g4", "$group_set": {"a": 1}}
    record = one("$groupidentify", distinct_id="$company_g4", properties=properties)
    assert "user_id" not in record
    assert (record["group_id"], record["group_type"]) == ("g4", "company")


def test_the_newest_protocol_says_which_event_was_refused() -> None:
    asked = call("/i/v1/analytics/events", {"batch": [
        {"event": "a", "uuid": "e1", "properties": {"$set": {"x": 1}}},
        {"event": "b", "uuid": "e2", "properties": {}},
    ]})  # fmt: skip
    found = endpoint(DIALECT, asked)
    assert found.answer(asked, Outcome(3, [])).body == b'{"results":{}}'
    answer = json.loads(found.answer(asked, Outcome(2, [(2, "no")])).body)
    assert answer == {"results": {"e2": {"result": "drop", "details": "no"}}}


def test_questions_get_empty_answers_that_are_valid() -> None:
    for path in ("/flags/", "/decide", "/s/", "/api/surveys/", "/array/{token}/config"):
        asked = call(path, method="POST" if path[1] in "fds" else "GET")
        found = endpoint(DIALECT, asked)
        assert found.parse is None
        answer = json.loads(found.answer(asked, Outcome(0, [])).body)
        assert answer.get("sessionRecording", False) is False
    asked = call("/flags/")
    answer = json.loads(endpoint(DIALECT, asked).answer(asked, Outcome(0, [])).body)
    assert answer["featureFlags"] == answer["flags"] == {}


def test_the_script_of_the_configuration_holds_no_text_of_a_stranger() -> None:
    found = next(e for e in DIALECT.endpoints if e.paths == ("/array/{token}/config.js",))

    def script(token: str) -> bytes:
        asked = msgspec.structs.replace(call("/array/x/config.js"), parts={"token": token})
        return found.answer(asked, Outcome(0, [])).body

    told = script("lwk_w_abc").partition(b"=")[2].rstrip(b";")
    assert json.loads(told)["lwk_w_abc"]["config"]["token"] == "lwk_w_abc"
    assert json.loads(told)["lwk_w_abc"]["config"]["surveys"] is CONFIG["surveys"]
    assert script('"</script>') == b""


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
KNOWN = sorted({
    "$elements", "$event_type", "$el_text", "$elements_chain", "$exception_list", "$current_url",
    "$pathname", "$referrer", "$session_id", "$lib", "$lib_version", "$set", "$set_once", "alias",
    "$web_vitals_LCP_event", "$web_vitals_CLS_value", "$prev_pageview_id", "$device_id", "title",
    "$prev_pageview_max_content_percentage", "$prev_pageview_duration", "$group_key", "$group_type",
    "$group_set", "$ai_input", "$ai_output_choices", "$ai_input_tokens", "$ai_output_tokens",
    "$ai_cache_read_input_tokens", "$ai_reasoning_tokens", "$ai_provider", "$ai_model",
    "$ai_latency", "$ai_trace_id", "$ai_metric_name", "$ai_metric_value", "$is_identified",
    "$viewport_width", "$feature_flag", "$feature_flag_response", "$is_server", "$time", "utm_term",
    "token", "distinct_id", "navigation_type", "$anon_distinct_id", "$ai_model_parameters",
    "$ai_total_cost_usd", "$ai_span_name", "$ai_input_state", "$external_click_url", "", "$",
})  # fmt: skip
EVENTS = st.fixed_dictionaries(
    {"event": st.sampled_from([*MAPPERS, "api_call", "Order Completed", "$", " "]) | VALUES},
    optional={
        "properties": st.dictionaries(st.sampled_from(KNOWN), VALUES, max_size=8) | VALUES,
        "distinct_id": VALUES, "uuid": VALUES, "timestamp": VALUES, "options": VALUES,
        "$set": VALUES, "$set_once": VALUES, "session_id": VALUES,
    },
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.lists(EVENTS | VALUES, max_size=3), st.sampled_from(["/batch/", "/i/v1/analytics/events"])
)
def test_any_json_becomes_events_or_is_refused(batch: list[Any], path: str) -> None:
    asked = call(path, {"batch": batch, "sent_at": "2025-08-14T16:11:28.677Z"})
    found = parsed(DIALECT, asked).events
    refused = [(index, "no") for index in range(0, len(found), 2)]
    assert json.loads(endpoint(DIALECT, asked).answer(asked, Outcome(0, refused)).body)
    for event in found:
        if isinstance(event, Refused):
            continue
        fields = event.copy()
        kind = fields.pop("interaction_type")
        assert TYPE_NAME.fullmatch(kind)
        # What a type does not take, because the app called something of its own like one of its
        # fields, is kept as a custom type; nothing else may come of it.
        with contextlib.suppress(Rejected):
            arrange(kind, fields)


@pytest.mark.parametrize("content", [
    {"event": "a", "uuid": "e1"}, [{"event": "a", "uuid": "e1"}],
    {"event": "a", "uuid": "e1", "batch": None}, {"batch": [{"uuid": "e1"}]},
])  # fmt: skip
def test_the_newest_protocol_answers_whatever_form_the_events_came_in(content: Any) -> None:
    asked = call("/i/v1/analytics/events", content)
    answer = json.loads(endpoint(DIALECT, asked).answer(asked, Outcome(0, [(0, "no")])).body)
    assert answer["results"]["e1"]["result"] == "drop"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()),
       st.sampled_from(["/e/", "/e/?compression=base64", "/track?compression=gzip"]))  # fmt: skip
def test_any_body_becomes_events_or_is_none(body: bytes, path: str) -> None:
    try:
        sending = parsed(DIALECT, call(path, body))
    except Undecodable:
        return
    assert all(isinstance(event, dict | Refused) for event in sending.events)
