"""What the catalog promises: each field in its place, nothing lost, and no value in a refusal."""

from __future__ import annotations

import copy
import enum
import string
from datetime import UTC, date, datetime, time
from decimal import Decimal
from http import HTTPStatus
from typing import Any, get_args, get_type_hints
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from lakeward.catalog import FIELD_SET, TYPES, Record, TypeSpec, arrange
from lakeward.catalog.record import NULLABLE
from lakeward.errors import Rejected
from lakeward.interaction import FIELDS, ApiCall, Interaction, JsonObject

KNOWN = frozenset(
    {
        "api_call",
        "job_run",
        "page_view",
        "click",
        "form_interaction",
        "web_vital",
        "client_error",
        "screen_view",
        "identify",
        "alias",
        "group",
        "span",
        "cta_click",
        "content_interaction",
        "partner_match",
        "demo_booking",
        "deal_closed",
        "flow_step",
        "flow_completion",
        "partner_onboarding",
        "feedback_submission",
        "powerconfidence_update",
        "partner_validation",
        "employee_feedback",
        "customer_reference",
        "demo_upload",
        "message_consistency_analysis",
        "confidence_change",
        "ai_conversation",
        "ai_rating",
        "experiment_exposure",
        "message_sent",
        "message_event",
        "anomaly",
    }
)
SPECS = pytest.mark.parametrize("spec", TYPES.values(), ids=lambda spec: spec.name)
CANARY = "canary-4f1d"


def stored(interaction_type: str, arranged: JsonObject) -> JsonObject:
    """The record as it is encoded."""
    make = ApiCall if interaction_type == "api_call" else Interaction
    fixed = {
        "interaction_id": "0198a9b0-1111-7222-8333-444455556666",
        "timestamp": "2025-08-14T16:11:28.677Z",
        "environment": "development",
        "app_version": "1.0.0",
    }
    record = make(**{**fixed, **arranged, "interaction_type": interaction_type})
    decoded: JsonObject = msgspec.json.decode(msgspec.json.encode(record))
    return decoded


def attempt(interaction_type: str, fields: JsonObject) -> JsonObject | Rejected:
    """What `arrange` returns or raises; anything but `Rejected` fails the test."""
    try:
        return arrange(interaction_type, fields)
    except Rejected as error:
        return error


def refusal(interaction_type: str, fields: JsonObject) -> str:
    with pytest.raises(Rejected) as caught:
        arrange(interaction_type, fields)
    # What a log would print with the error must not hold the value either.
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


# The registry


def test_every_type_of_the_design_is_known_and_no_other() -> None:
    assert TYPES.keys() == KNOWN


@SPECS
def test_every_known_type_says_which_moment_it_records(spec: TypeSpec) -> None:
    assert spec.doc
    assert spec.doc.split("\n")[0].endswith(".")
    assert spec.own | spec.lifted == set(spec.struct.__struct_fields__)
    assert spec.required <= spec.own | spec.lifted
    assert spec.lifted <= FIELD_SET
    assert spec.own.isdisjoint(FIELD_SET)
    assert (spec.slot is None) == (not spec.own)


@SPECS
def test_every_example_makes_a_record_with_each_field_in_its_place(spec: TypeSpec) -> None:
    record = stored(spec.name, arrange(spec.name, spec.example))
    for name, value in spec.example.items():
        place = record if name in FIELD_SET else record[spec.slot or "properties"]
        assert place[name] == value


@SPECS
def test_an_example_shows_own_fields_and_no_unknown_ones(spec: TypeSpec) -> None:
    assert spec.example.keys() <= spec.own | FIELD_SET
    assert spec.slot is None or not spec.own.isdisjoint(spec.example)


@SPECS
def test_a_type_without_a_required_field_is_refused(spec: TypeSpec) -> None:
    for name in spec.required:
        fields = {key: value for key, value in spec.example.items() if key != name}
        assert refusal(spec.name, fields) == f"{spec.name} refused: `{name}` is missing."


def test_outcome_types_are_those_that_outcome_tracking_switches() -> None:
    outcomes = {spec.name for spec in TYPES.values() if spec.outcome}
    assert {"partner_match", "demo_booking", "deal_closed", "flow_completion"} <= outcomes
    assert outcomes.isdisjoint({"api_call", "page_view", "ai_conversation", "message_sent"})
    assert all(TYPES[name].feature == "outcomes" for name in outcomes)


def test_the_record_describes_exactly_the_fields_of_an_interaction() -> None:
    assert Record.__struct_fields__ == FIELDS


def test_null_is_a_value_exactly_where_an_interaction_takes_it() -> None:
    for model in (Interaction, Record):
        hints = get_type_hints(model)
        takes_null = {n for n, hint in hints.items() if type(None) in get_args(hint)}
        assert takes_null | {"request_body"} == NULLABLE


# Placement


def test_own_fields_move_under_the_slot_and_the_records_fields_stay_on_top() -> None:
    assert arrange("partner_match", {"user_id": "u1", "partner_id": "p9", "score": 87}) == {
        "user_id": "u1",
        "partner_id": "p9",
        "outcomes": {"score": 87},
    }


def test_a_field_that_nothing_knows_moves_under_properties() -> None:
    arranged = arrange("partner_match", {"partner_id": "p9", "score": 87, "campaign": "may"})
    assert arranged["outcomes"] == {"score": 87}
    assert arranged["properties"] == {"campaign": "may"}


def test_where_properties_is_the_slot_own_and_unknown_fields_share_it() -> None:
    arranged = arrange("page_view", {"path": "/", "title": "Home", "theme": "dark"})
    assert arranged == {"path": "/", "properties": {"title": "Home", "theme": "dark"}}


def test_a_slot_given_whole_is_merged_and_a_keyword_wins() -> None:
    arranged = arrange(
        "partner_match",
        {"partner_id": "p9", "outcomes": {"score": 1, "rank": 2, "note": "kept"}, "score": 87},
    )
    assert arranged["outcomes"] == {"score": 87, "rank": 2, "note": "kept"}


def test_a_slot_given_whole_is_validated_like_keywords() -> None:
    assert "`score`" in refusal("partner_match", {"partner_id": "p9", "outcomes": {"score": 101}})
    assert "`status` is missing" in refusal("demo_booking", {"outcomes": {"demo_type": "a"}})


def test_a_field_of_the_record_that_the_type_needs_is_found_in_its_slot() -> None:
    arranged = arrange("partner_match", {"outcomes": {"partner_id": 9, "score": 87}})
    assert arranged == {"partner_id": "9", "outcomes": {"score": 87}}


def test_properties_given_whole_keep_their_keys_and_a_keyword_wins() -> None:
    arranged = arrange(
        "deal_closed", {"value": 5, "properties": {"a": 1, "b": 2}, "b": 3, "partner_id": "p9"}
    )
    assert arranged["properties"] == {"a": 1, "b": 3}


def test_a_slot_that_is_not_an_object_is_refused() -> None:
    for slot in ("outcomes", "properties"):
        fields = {"partner_id": "p9", "extra": 1, slot: [CANARY]}
        assert refusal("partner_match", fields) == (
            f"partner_match refused: `{slot}` must be an object."
        )


def test_a_custom_type_keeps_the_records_fields_on_top_and_the_rest_in_properties() -> None:
    assert arrange("signed_up", {"user_id": "u1", "plan": "pro", "seats": 3}) == {
        "user_id": "u1",
        "properties": {"plan": "pro", "seats": 3},
    }
    assert arrange("signed_up", {}) == {}


@pytest.mark.parametrize("name", ["a", "signed_up", "shop:cart.add-item", "a" * 64])
def test_a_custom_types_name_may_have_these_forms(name: str) -> None:
    assert arrange(name, {"plan": "pro"}) == {"properties": {"plan": "pro"}}


@pytest.mark.parametrize(
    "name", ["", "Signed Up", "signed up", "1st", "é", "a" * 65, "a\n", "_a", None, 5, ["a"]]
)
def test_any_other_name_is_refused_and_not_repeated(name: Any) -> None:
    assert refusal(name, {}) == (
        "`interaction_type` must be text that matches [a-z][a-z0-9_.:-]{0,63}, such as `signed_up`."
    )


def test_the_type_cannot_be_given_a_second_time_as_a_field() -> None:
    for name in ("signed_up", "api_call"):
        fields = {"method": "GET", "path": "/", "interaction_type": CANARY}
        assert CANARY not in refusal(name, fields)


# Conversion


def test_integer_and_uuid_keys_become_text() -> None:
    key = UUID("0198a9b0-1111-7222-8333-444455556666")
    arranged = arrange(
        "deal_closed", {"user_id": 7, "partner_id": key, "deal_id": 12, "value": 1, "order_id": 4}
    )
    assert arranged["user_id"] == "7"
    assert arranged["partner_id"] == str(key)
    assert arranged["outcomes"]["deal_id"] == "12"
    # No one has said that this one is text.
    assert arranged["properties"]["order_id"] == 4
    assert arrange("api_call", {"method": "GET", "path": "/", "user_id": 7})["user_id"] == "7"


@pytest.mark.parametrize("value", [True, 7.0, b"u", ["u"], {"u": 1}])
def test_no_other_type_becomes_an_id(value: Any) -> None:
    assert "`user_id` must be `str`" in refusal("signed_up", {"user_id": value})


def test_a_decimal_becomes_the_same_number_or_stays_text() -> None:
    exact, beyond = Decimal("1250.10"), Decimal("0.1000000000000000000001")
    assert arrange("deal_closed", {"value": exact})["outcomes"] == {"value": 1250.1}
    assert arrange("sold", {"value": beyond})["properties"] == {"value": str(beyond)}
    assert "`value` must be `float`" in refusal("deal_closed", {"value": beyond})
    assert "`value` must be `float`" in refusal("deal_closed", {"value": Decimal("NaN")})


def test_dates_times_and_enum_members_become_their_text() -> None:
    class Status(enum.Enum):
        BOOKED = "booked"

    arranged = arrange(
        "demo_booking",
        {
            "status": Status.BOOKED,
            "date": date(2025, 8, 20),
            "time": time(10, 30),
            "client_timestamp": datetime(2025, 8, 14, 16, 11, 28, tzinfo=UTC),
        },
    )
    assert arranged["client_timestamp"] == "2025-08-14T16:11:28+00:00"
    assert arranged["outcomes"] == {"status": "booked", "date": "2025-08-20", "time": "10:30:00"}


def test_an_http_status_of_the_standard_library_is_a_number() -> None:
    fields = {"method": "GET", "path": "/", "response_status": HTTPStatus.NOT_FOUND}
    assert stored("api_call", arrange("api_call", fields))["response_status"] == 404


def test_subclasses_of_plain_types_become_plain() -> None:
    class Safe(str):
        def __str__(self) -> str:
            return CANARY

    class Half(float):
        pass

    arranged = arrange("sold", {"user_id": Safe("u1"), "share": Half(0.5), "tags": (Safe("a"),)})
    assert stored("sold", arranged)["properties"] == {"share": 0.5, "tags": ["a"]}
    assert type(arranged["user_id"]) is str
    assert arranged["user_id"] == "u1"


def test_text_is_not_a_number() -> None:
    assert "`score` must be `float`, not `str`" in refusal(
        "partner_match", {"partner_id": "p9", "score": "87"}
    )


def test_null_means_absent_where_the_record_has_no_null() -> None:
    fields = {"partner_id": "p9", "score": None, "trace_id": None, "route": None, "note": None}
    assert arrange("partner_match", fields) == {
        "partner_id": "p9",
        "route": None,
        "properties": {"note": None},
    }
    assert "`partner_id` is missing" in refusal("partner_match", {"partner_id": None})


def test_an_unset_field_is_absent() -> None:
    assert arrange("signed_up", {"user_id": UNSET, "plan": UNSET}) == {}
    arranged = arrange("api_call", {"method": "GET", "path": "/", "route": UNSET})
    assert arranged == {"method": "GET", "path": "/"}


# Refusal

BAD: list[tuple[str, str, Any]] = [
    ("api_call", "response_status", 99),
    ("api_call", "response_status", 600),
    ("api_call", "response_time_ms", -0.5),
    ("api_call", "response_time_ms", float("nan")),
    ("api_call", "response_time_ms", float("inf")),
    ("api_call", "path", None),
    ("api_call", "user_id", CANARY * 50),
    ("api_call", "request_bytes", -7),
    ("api_call", "timestamp", CANARY),
    ("api_call", "headers", [CANARY]),
    ("job_run", "outcome", CANARY),
    ("job_run", "retries", -7),
    ("job_run", "retries", 2**70),
    ("anomaly", "score", 1.01),
    ("confidence_change", "record", CANARY),
    ("confidence_change", "number", -1),
    ("anomaly", "bucket_start", CANARY),
    ("page_view", "scroll_depth", 100.5),
    ("click", "outbound", CANARY),
    ("click", "data", {"a": 4711}),
    ("form_interaction", "action", CANARY),
    ("form_interaction", "field_order", CANARY),
    ("web_vital", "name", CANARY),
    ("web_vital", "value", -4711),
    ("client_error", "count", 0),
    ("client_error", "message", [CANARY]),
    ("cta_click", "cta", CANARY * 20),
    ("content_interaction", "content_type", CANARY),
    ("partner_match", "score", 100.01),
    ("partner_match", "score", -0.01),
    ("partner_match", "primary", CANARY),
    ("partner_match", "focus_areas", [CANARY] * 101),
    ("partner_match", "podcast_matched", 4711),
    ("demo_booking", "status", CANARY),
    ("demo_booking", "date", "4711-13-01"),
    ("demo_booking", "time", "25:47"),
    ("demo_booking", "time", "10:47\n"),
    ("deal_closed", "value", -4711),
    ("deal_closed", "value", 10**400),
    ("deal_closed", "currency", "usd"),
    ("deal_closed", "currency", "USD\n"),
    ("deal_closed", "satisfaction", 10.5),
    ("deal_closed", "contract_months", -4711),
    ("flow_step", "status", CANARY),
    ("flow_completion", "seconds", -4711),
    ("partner_onboarding", "status", CANARY),
    ("feedback_submission", "scores", {CANARY: 11}),
    ("feedback_submission", "scores", {CANARY * 20: 9}),
    ("feedback_submission", "nps", 11),
    ("feedback_submission", "recommend", CANARY),
    ("powerconfidence_update", "new_score", 101),
    ("powerconfidence_update", "change", -101),
    ("powerconfidence_update", "confidence", 80),
    ("partner_validation", "valid_until", CANARY),
    ("employee_feedback", "completeness", 4711),
    ("customer_reference", "nps", 9.5),
    ("demo_upload", "sha256", CANARY),
    ("message_consistency_analysis", "overall", 4711),
    ("message_consistency_analysis", "discrepancies", [{"claim": CANARY, CANARY: CANARY}]),
    ("ai_conversation", "tokens_source", CANARY),
    ("ai_conversation", "input_tokens", -4711),
    ("ai_conversation", "cost_usd", -4711),
    ("ai_conversation", "messages", [{"content": CANARY}]),
    ("ai_rating", "rating", 6),
    ("experiment_exposure", "hash_version", 4711),
    ("experiment_exposure", "bucket", 4711),
    ("message_sent", "channel", CANARY),
    ("message_event", "event", CANARY + " - at `$.provider`"),
]


@pytest.mark.parametrize(("name", "field", "value"), BAD)
def test_a_bad_value_is_refused_by_field_and_rule_and_never_repeated(
    name: str, field: str, value: Any
) -> None:
    message = refusal(name, TYPES[name].example | {field: value})
    assert message.startswith(f"{name} refused: ")
    assert f"`{field}" in message
    assert CANARY not in message
    assert "4711" not in message


def test_a_refused_choice_is_told_what_it_may_be() -> None:
    assert refusal("demo_booking", {"status": CANARY}) == (
        "demo_booking refused: `status` must be one of "
        "booked, cancelled, held, no_show, rescheduled."
    )


@pytest.mark.parametrize("place", ["keyword", "slot", "properties"])
@pytest.mark.parametrize("name", ["value", "values", "field_value", "field_values", "data"])
def test_a_form_interaction_never_carries_a_value(name: str, place: str) -> None:
    fields: JsonObject = {"form": "verification", "action": "field"}
    fields |= {name: CANARY} if place == "keyword" else {"properties": {name: CANARY}}
    assert refusal("form_interaction", fields) == (
        f"form_interaction refused: `{name}` is not collected by this type."
    )


def test_token_buckets_that_exceed_their_total_are_refused() -> None:
    cached = {"cache_read_tokens": 17817, "output_tokens": 188, "total_tokens": 18091}
    assert arrange("ai_conversation", {**cached, "input_tokens": 86})
    counted_twice = {**cached, "input_tokens": 17903}
    assert refusal("ai_conversation", counted_twice) == (
        "ai_conversation refused: "
        "the token buckets are exclusive and must not exceed `total_tokens`."
    )


def test_messages_keep_keys_that_the_catalog_does_not_know() -> None:
    messages = [{"role": "assistant", "content": None, "tool_calls": None, "refusal": "no"}]
    assert arrange("ai_conversation", {"messages": messages})["messages"] == messages


def test_an_object_that_fails_when_it_is_read_is_refused() -> None:
    class Hostile(dict[str, Any]):
        def items(self) -> Any:
            raise RuntimeError(CANARY)

    assert CANARY not in refusal("signed_up", {"plan": Hostile()})


# Nothing lost, nothing mutated, whatever comes

names = st.one_of(
    st.sampled_from(sorted(FIELD_SET)),
    st.sampled_from(sorted(set().union(*(spec.own for spec in TYPES.values())))),
    st.text(max_size=8),
    st.just("\ud800"),
)
types = st.one_of(
    st.sampled_from(sorted(KNOWN)), st.text(string.ascii_lowercase, min_size=1), st.text(max_size=8)
)
unicode = st.text(st.characters(codec="utf-8"), max_size=12)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.integers(0, 100),
    st.floats(),
    unicode,
    st.sampled_from(["booked", "sms", "USD", "2025-08-14", "LCP", "10:30"]),
)
json_values = st.recursive(
    scalars,
    lambda v: st.lists(v, max_size=3) | st.dictionaries(unicode, v, max_size=3),
    max_leaves=8,
)
encodable = st.one_of(
    json_values,
    st.decimals(),
    st.uuids(),
    st.datetimes(),
    st.dates(),
    st.times(),
    st.tuples(scalars, scalars),
    st.binary(max_size=4),
)
looped: list[Any] = []
looped.append(looped)
anything = st.one_of(
    encodable,
    st.text(max_size=6),
    st.sampled_from(
        ["\ud800", object(), UNSET, looped, {1: 2}, {(1,): 2}, {None: 1}, range(3), len, 1j]
    ),
    st.integers(),
)
plain_names = names.filter(lambda name: name != "\ud800")
whole_slots = st.dictionaries(plain_names, encodable, max_size=4)


def survivors(fields: JsonObject) -> set[str]:
    """The names of `fields` that may not be missing from what `arrange` returns."""
    return {name for name, value in fields.items() if value is not None}


@given(types, st.dictionaries(names, anything, max_size=6))
def test_nothing_but_rejected_is_ever_raised_and_the_input_stays_as_it_was(
    interaction_type: str, fields: JsonObject
) -> None:
    before = list(fields.items())
    result = attempt(interaction_type, fields)
    assert not isinstance(result, Rejected) or result.__context__ is None
    after = list(fields.items())
    assert [name for name, _ in before] == [name for name, _ in after]
    assert all(old is new for (_, old), (_, new) in zip(before, after, strict=True))


@given(
    st.sampled_from(sorted(KNOWN)) | st.just("signed_up"),
    st.dictionaries(plain_names, encodable, max_size=5),
    st.dictionaries(
        st.sampled_from(["outcomes", "feedback", "properties", "ai_metadata"]), whole_slots
    ),
)
def test_what_is_accepted_can_be_stored_and_no_field_is_lost(
    interaction_type: str, fields: JsonObject, slots: JsonObject
) -> None:
    spec = TYPES.get(interaction_type)
    given_fields = (spec.example if spec else {}) | fields | slots
    before = copy.deepcopy(given_fields)
    arranged = attempt(interaction_type, given_fields)
    assert repr(given_fields) == repr(before)
    if isinstance(arranged, Rejected):
        return
    record = stored(interaction_type, arranged)
    slot = spec.slot if spec else None
    found = record.keys() | record.get("properties", {}).keys()
    found |= record.get(slot or "properties", {}).keys()
    assert survivors(given_fields) <= found
    for name in slots:
        assert survivors(slots[name]) <= found | record[name].keys()


@given(
    st.dictionaries(
        st.sampled_from(FIELDS),
        st.one_of(unicode, st.none(), st.integers(100, 599), st.dictionaries(unicode, json_values)),
        max_size=4,
    )
)
def test_an_api_call_of_the_records_fields_alone_is_returned_as_it_is_or_refused(
    fields: JsonObject,
) -> None:
    call: JsonObject = {"method": "GET", "path": "/", **fields}
    arranged = attempt("api_call", call)
    if isinstance(arranged, Rejected):
        return
    kept = {name: value for name, value in call.items() if value is not None or name in NULLABLE}
    ids = {name: str(v) for name, v in kept.items() if name.endswith("_id") and v is not None}
    assert repr(sorted(arranged.items())) == repr(sorted((kept | ids).items()))


@given(types, st.dictionaries(names, anything, max_size=4), st.sampled_from(sorted(KNOWN)))
def test_a_refusal_repeats_nothing_that_the_caller_sent(
    interaction_type: str, fields: JsonObject, known: str
) -> None:
    planted = {
        name: [CANARY] if value is None or isinstance(value, str) else value
        for name, value in fields.items()
    }
    for name in (interaction_type, known, CANARY):
        result = attempt(name, planted | {CANARY: CANARY, "user_type": {CANARY: CANARY}})
        assert isinstance(result, Rejected)
        assert CANARY not in str(result)
