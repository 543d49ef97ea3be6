"""What an attacker sends to the endpoints of other products' SDKs: hostile values where each of
them has its fields, hostile bodies, and every endpoint there is."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from lakeward.server.compat import DIALECTS

DOCS = Path(__file__).parents[1] / "docs/server.md"
PLANTED = "hunter2-planted"
FORGED = "forged-by-nobody"
SERVER_OWNED = {"received_at": FORGED, "ip_address": FORGED, "service": FORGED,
                "environment": FORGED, "app_version": FORGED, "interaction_type": FORGED,
                "schema_version": FORGED}  # fmt: skip


class Door(NamedTuple):
    """One endpoint of a dialect."""

    dialect: str
    method: str
    path: str
    keyed: bool


def doors() -> Iterator[Door]:
    """Every endpoint, by its first path, once for each of its methods."""
    for dialect in DIALECTS:
        for endpoint in dialect.endpoints:
            path = re.sub(r"\{[a-z_]+\}", "some-key", endpoint.paths[0])
            for method in endpoint.methods:
                yield Door(dialect.name, method, path, endpoint.parse is not None)


def documented() -> set[tuple[int, str]]:
    """Status and code of every refusal that the docs have."""
    found = set()
    for row in re.findall(r"^\| ([0-9, ]+) \| (`.*?`) \|", DOCS.read_text(), re.MULTILINE):
        codes = re.findall(r"`([a-z_]+)`", row[1])
        statuses = [int(status) for status in row[0].split(",")]
        found |= {(status, code) for status in statuses for code in codes}
    return found


VALUES: dict[str, bytes] = {
    "an integer of 400 digits": b"9" * 400,
    "an integer of 5,000 digits": b"9" * 5000,
    "a negative integer of 4,300 digits": b"-" + b"9" * 4299,
    "a number beyond a double": b"1e999",
    "NaN": b"NaN",
    "half an emoji": b'"\\ud83d"',
    "half an emoji as bytes": b'"\xed\xa0\xbd"',
    "broken UTF-8": b'"\xff\xfe"',
    "null bytes": b'"a\\u0000b"',
    "null": b"null",
    "an empty text": b'""',
    "truth": b"true",
    "an object": b'{"__proto__":{"x":1},"constructor":[]}',
    "markup": b'"</script><img src=x onerror=alert(1)>\\r\\nset-cookie: a=b"',
    "a path": b'"../../../../etc/passwd\\u0000"',
    "a long text": b'"' + b"x" * 200_000 + b'"',
    "a hundred thousand names": b"{%s}" % b",".join(b'"k%d":1' % n for n in range(100_000)),
    "the same name ten thousand times": b"{%s}" % b",".join([b'"k":1'] * 10_000),
    "a long list": b"[%s]" % b",".join([b"{}"] * 50_000),
    **{f"{kind} {deep} deep": begin * deep + b"1" + end * deep
       for deep in (300, 900, 960, 970, 980, 985, 990, 5000)
       for kind, begin, end in (("a list", b"[", b"]"), ("an object", b'{"a":', b"}"))},
}  # fmt: skip


def _fields(names: str, value: bytes) -> bytes:
    return b",".join(b'"%s":%s' % (name.encode(), value) for name in names.split())


SEGMENT = ("type event messageId userId anonymousId timestamp sentAt originalTimestamp properties "
           "traits context groupId previousId name category writeKey")  # fmt: skip
POSTHOG = "distinct_id uuid timestamp $set $set_once token api_key"
POSTHOG_PROPERTIES = (
    "distinct_id $current_url $pathname $session_id $lib $lib_version $device_id $set $set_once "
    "$elements $elements_chain $event_type $el_text $web_vitals_LCP_event $web_vitals_LCP_value "
    "$exception_list $exception_message $feature_flag $feature_flag_response $group_type "
    "$group_key $group_set alias $anon_distinct_id $ai_provider $ai_model $ai_input_tokens "
    "$ai_input $ai_output_choices $ai_latency $ai_metric_value $ai_trace_id $ai_total_cost_usd "
    "$prev_pageview_id $prev_pageview_duration $screen_width $timezone password"
)  # fmt: skip
POSTHOG_EVENTS = ("$pageview", "$pageleave", "$screen", "$autocapture", "$web_vitals", "$exception",
                  "$feature_flag_called", "$identify", "$set", "$create_alias", "$groupidentify",
                  "$ai_generation", "$ai_span", "$ai_feedback", "$ai_metric", "own")  # fmt: skip
SNOWPLOW = ("eid dtm stm ttm uid duid sid url refr ua page res vp ds pp_mix pp_may lang tz co cx "
            "se_ca se_ac se_va tr_tt ti_pr tna tv p password")  # fmt: skip
SPAN = ("traceId spanId parentSpanId name kind startTimeUnixNano endTimeUnixNano attributes events "
        "links status")  # fmt: skip
IDS = b'"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",'


def _segment(value: bytes) -> list[bytes]:
    bodies = [b'{"batch":[{%s}]}' % _fields(SEGMENT, value)]
    for kind in ("track", "page", "screen", "identify", "group", "alias"):
        fields = _fields(SEGMENT.removeprefix("type "), value)
        bodies.append(b'{"batch":[{"type":"%s",%s}]}' % (kind.encode(), fields))
    return [*bodies, b'{"batch":%s}' % value, b'{"context":%s,"batch":[{"type":"page"}]}' % value]


def _posthog(value: bytes) -> list[bytes]:
    events = [
        b'{"event":"%s",%s,"properties":{"$ai_metric_name":"helpful",%s}}'
        % (name.encode(), _fields(POSTHOG, value), _fields(POSTHOG_PROPERTIES, value))
        for name in POSTHOG_EVENTS
    ]
    if len(value) > 10_000:
        events = [b'{"event":"own","properties":{"a":%s}}' % value]
    whole = b'{"batch":[%s],"sent_at":%s}' % (b",".join(events), value)
    return [whole, b'{"batch":%s}' % value, b'{"event":%s}' % value, base64.b64encode(whole),
            b"data=" + quote(base64.b64encode(events[0])).encode(),
            b"data=" + quote(events[-1]).encode(), b"data=x" + b"&f=1" * 50]  # fmt: skip


def _snowplow(value: bytes) -> list[bytes]:
    few = SNOWPLOW if len(value) <= 10_000 else "co"
    events = [b'{"e":"%s",%s}' % (kind, _fields(few, value))
              for kind in (b"pv", b"pp", b"se", b"ue", b"tr", b"ti", b"xx")]  # fmt: skip
    inside = b'{"schema":"iglu:a.b/c/jsonschema/1-0-0","data":%s}' % value
    event = b'{"schema":"iglu:a.b/unstruct_event/jsonschema/1-0-0","data":%s}' % inside
    packed = base64.urlsafe_b64encode(event)
    packed_contexts = base64.b64encode(b'{"data":[%s,%s]}' % (inside, value))
    events.append(b'{"e":"ue","ue_px":"%s","cx":"%s"}' % (packed, packed_contexts))
    events.append(b'{"e":%s}' % value)
    return [b'{"data":[%s]}' % b",".join(events), b'{"data":%s}' % value]


def _otlp(value: bytes) -> list[bytes]:
    anything = [b'{"%s":%s}' % (kind, value) for kind in (
        b"stringValue", b"intValue", b"doubleValue", b"boolValue", b"bytesValue", b"arrayValue",
        b"kvlistValue")]  # fmt: skip
    said = json.dumps({"stringValue": value.decode("utf-8", "replace")}).encode()
    names = (b"gen_ai.input.messages", b"gen_ai.prompt", b"gen_ai.prompt.0.content", b"url.full",
             b"http.request.method", b"gen_ai.usage.input_tokens", b"password")  # fmt: skip
    pairs = b",".join(b'{"key":"%s","value":%s}' % (name, said) for name in names)
    turn = b'{"key":"gen_ai.operation.name","value":{"stringValue":"chat"}},'
    spans = [b'{%s"startTimeUnixNano":"1","attributes":[%s%s]}' % (IDS, turn, pairs)]
    odd = [b'{%s"startTimeUnixNano":"1","attributes":[{"key":"a","value":%s}]}' % (IDS, any_)
           for any_ in anything]  # fmt: skip
    odd += [b'{"%s":%s}' % (name.encode(), value) for name in SPAN.split()]
    shape = b'{"resourceSpans":[{"scopeSpans":[{"spans":[%s]}]}]}'
    resource = b'{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":%s}]}}]}' % said
    return [*(shape % each for each in (*spans, *odd)), b'{"resourceSpans":%s}' % value, resource]


def _any(value: bytes) -> list[bytes]:
    """For a dialect that this file does not know yet."""
    return [value, b'{"events":[%s]}' % value]


PLACES: dict[str, Callable[[bytes], list[bytes]]] = {
    "segment": _segment, "posthog": _posthog, "snowplow": _snowplow, "otlp": _otlp,
}  # fmt: skip


def placed(dialect: str, value: bytes) -> list[bytes]:
    """Bodies of a dialect that have a value wherever its events have fields."""
    return PLACES.get(dialect, _any)(value)


def nested_protobuf(deep: int) -> bytes:
    """An attribute in lists, `deep` of them."""
    value = b"\x18\x01"
    for _ in range(deep):
        value = _part(5, _part(1, value))
    span = _part(9, _part(1, b"a") + _part(2, value))
    return _part(1, _part(2, _part(2, span)))


def _part(field: int, content: bytes) -> bytes:
    size, length = len(content), b""
    while True:
        length += bytes([size & 127 | (128 if size > 127 else 0)])
        size >>= 7
        if not size:
            return bytes([field << 3 | 2]) + length + content


MANY: dict[str, tuple[bytes, ...]] = {
    "segment": (b'{"batch":[%s]}' % b",".join([b'{"type":"page"}'] * 200_000),
                b"[%s]" % b",".join([b"1"] * 2_000_000)),
    "posthog": (b"[%s]" % b",".join([b'{"event":"$web_vitals"}'] * 160_000),
                b'{"batch":[%s]}' % b",".join([b"{}"] * 1_000_000)),
    "snowplow": (b'{"data":[%s]}' % b",".join([b'{"e":"pv"}'] * 300_000),),
    "otlp": (b'{"resourceSpans":[{"scopeSpans":[{"spans":[%s]}]}]}'
             % b",".join([b"{}"] * 1_000_000),
             _part(1, _part(2, b"\x12\x00" * 2_000_000)),
             b"\x0a\x00" * 2_000_000, _part(1, b"\x12\x00" * 2_000_000)),
}  # fmt: skip
"""Bodies within the limit that hold more than anybody has to look at."""

SHARED: dict[str, bytes] = {
    "segment": json.dumps({"context": {"big": ["x" * 1000] * 1000},
                           "batch": [{"type": "page"}] * 2000}).encode(),
    "otlp": json.dumps({"resourceSpans": [{
        "resource": {"attributes": [{"key": f"k{n}", "value": {"stringValue": "x" * 100}}
                                    for n in range(5000)]},
        "scopeSpans": [{"spans": [{}] * 2000}]}]}).encode(),
}  # fmt: skip
"""Bodies whose events share so much that each of them is too large."""
