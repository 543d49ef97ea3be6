"""PostHog: its SDKs for browsers, servers and apps write into this lake.

In: `POST /batch/`, `/e/` and their other names, `/i/v1/analytics/events`, `/i/v0/ai/batch/`; one
event, a list, or `{"api_key": …, "batch": […], "sent_at": …}`; as JSON, or as base64 in the form
field `data`. Out: a record for each event (more for `$web_vitals`, for a view of a single-page app
that ends, and for what an event says of its person), flags where `LAKEWARD_FLAGS` names some, and
empty answers to what else SDKs ask: no surveys, no recordings. Fails with `Undecodable` for what is
none of this.

The key is `api_key` or `token`, in the body or in the properties of the first event.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from lakeward.flags import Evaluation
from lakeward.interaction import JsonObject
from lakeward.plain import text_of
from lakeward.server.compat import posthog_ai as ai
from lakeward.server.compat import posthog_person as who
from lakeward.server.compat import posthog_web as web
from lakeward.server.compat.dialect import (
    Answer,
    Call,
    Dialect,
    Endpoint,
    Outcome,
    Question,
    Refused,
    Sending,
    Undecodable,
    each,
    object_of,
)
from lakeward.server.compat.lenient_json import decoded
from lakeward.server.compat.posthog_event import (
    Event,
    event_of,
    time_text,
)
from lakeward.server.compat.posthog_flags import attributes_of, flags_of

Mapper = Callable[[Event], list[JsonObject]]

MOST_FIELDS = 20
"""In a form; SDKs send four."""
NEWEST = "/i/v1/analytics/events"
SENDING = ("/batch", "/e", "/i/v0/e", "/i/v0/ai/batch", "/capture", "/track", "/engage")
FLAGS: JsonObject = {
    "flags": {}, "featureFlags": {}, "featureFlagPayloads": {}, "errorsWhileComputingFlags": False,
}  # fmt: skip
CONFIG: JsonObject = {
    "hasFeatureFlags": False, "supportedCompression": ["gzip", "gzip-js"], "surveys": False,
    "sessionRecording": False, "heatmaps": False, "toolbarParams": {}, "isAuthenticated": False,
    "siteApps": [], "defaultIdentifiedOnly": True, "autocapture_opt_out": False,
}  # fmt: skip
SCRIPT = b"text/javascript; charset=utf-8"
_TOKEN = re.compile("[A-Za-z0-9_-]{1,200}")
EMPTY: JsonObject = {
    "surveys": [], "product_tours": [], "experiments": [], "earlyAccessFeatures": [],
    "results": [], "flags": [], "group_type_mapping": {}, "cohorts": {},
}  # fmt: skip


def _parse(call: Call) -> Sending:
    """The events of a request."""
    content = _content(call)
    whole, raws = object_of(content), _listed(content)
    library = call.headers.get(b"posthog-sdk-info")
    sdk = None if library is None else library.decode("latin-1")[:200]
    events = each(raws, lambda raw: _records(raw, sdk))
    return Sending(events, _secret(call, whole, raws), _sent_at(call, whole))


def _listed(content: Any) -> list[Any]:
    """The events as they came: of a batch, of a list, or one."""
    if isinstance(content, list):
        return content
    if not isinstance(content, dict):
        raise Undecodable("The body holds no event: send one, a list, or `batch`.")
    batch = content.get("batch")
    return batch if isinstance(batch, list) else [content]


def _content(call: Call) -> Any:
    """The body, or the query of an image that a page asks for, decoded."""
    body = call.body.strip()
    if call.method == "GET":
        body = _last(call.query.get("data", [])).encode()
    compression = _last(call.query.get("compression", []))
    if body[:1] not in (b"{", b"[") and (body[:5] == b"data=" or b"&data=" in body[:200]):
        compression, body = _form(body, compression)
    if compression.startswith("lz"):
        raise Undecodable("lz-string is not read: send gzip or base64.")
    if body[:1] not in (b"{", b"["):
        body = _plain(body)
    try:
        return decoded(body)
    except ValueError:
        raise Undecodable("The body is neither JSON nor base64 of JSON.") from None


def _form(body: bytes, compression: str) -> tuple[str, bytes]:
    """What a form says of the compression, and its `data`."""
    try:
        # A letter for each byte, there and back.
        form = parse_qs(body.decode("latin-1"), max_num_fields=20, encoding="latin-1")
    except ValueError:
        raise Undecodable("The form has too many fields: `data` alone is read.") from None
    said = _last(form.get("compression", [])) or compression
    return said, _last(form.get("data", [])).encode("latin-1")


def _plain(body: bytes) -> bytes:
    """Base64 undone; a plus sign may have become a blank on the way."""
    text = body.replace(b" ", b"+").rstrip(b"=")
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return body


def _last(values: list[str]) -> str:
    return values[-1] if values else ""


def _secret(call: Call, whole: JsonObject, raws: list[Any]) -> str | None:
    """The key; None leaves it to the headers and `key=`."""
    first = object_of(raws[0]) if raws else {}
    places = (whole, first, object_of(first.get("properties")))
    found = (text_of(place.get(name)) for place in places for name in ("api_key", "token"))
    asked = (_last(call.query.get(name, [])) for name in ("api_key", "token"))
    return next((text for text in (*found, *asked) if text), None)


def _sent_at(call: Call, whole: JsonObject) -> str | None:
    """The sender's clock: in the body, in a header, or as `_` in the query."""
    told = time_text(whole.get("sent_at"))
    header = call.headers.get(b"posthog-request-timestamp")
    if told is None and header is not None:
        told = header.decode("latin-1")
    ms = _last(call.query.get("_", []))
    if told is None and ms.isdecimal() and len(ms) == 13:
        told = time_text(int(ms))
    return told


def _records(raw: Any, library: str | None) -> list[JsonObject | Refused]:
    """What one event makes."""
    event = event_of(raw, library) if isinstance(raw, dict) else None
    if event is None:
        return [Refused("`event`, the name of what happened, is missing.", _without_key(raw))]
    made: list[JsonObject | Refused] = [*MAPPERS.get(event.name, _custom)(event)]
    if event.name not in OF_A_PERSON and (event.set_always or event.set_once):
        # A person's traits may come with any event; they are an `identify` of their own.
        made.append(who.traits(event, "set"))
    return made


def _without_key(raw: Any) -> Any:
    """A refused event as the quarantine may have it."""
    if not isinstance(raw, dict):
        return raw
    kept = {name: value for name, value in raw.items() if name not in {"api_key", "token"}}
    if isinstance(kept.get("properties"), dict):
        kept["properties"] = {n: v for n, v in kept["properties"].items()
                              if n not in {"api_key", "token"}}  # fmt: skip
    return kept


def _custom(event: Event) -> list[JsonObject]:
    """A type of the event's own name; with the element, where it was about one."""
    if "$elements" in event.properties or "$elements_chain" in event.properties:
        return web.touched(event)
    return [web.custom(event)]


MAPPERS: dict[str, Mapper] = {
    "$pageview": web.page_view, "$pageleave": web.page_leave, "$screen": web.screen_view,
    "$autocapture": web.autocapture, "$web_vitals": web.web_vitals, "$exception": web.exception,
    "$feature_flag_called": web.exposure,
    "$identify": who.identify, "$set": who.person_set, "$set_once": who.person_set,
    "$create_alias": who.alias, "$groupidentify": who.group,
    "$ai_generation": ai.ai_conversation, "$ai_embedding": ai.ai_conversation,
    "$ai_span": ai.span, "$ai_trace": ai.span, "$ai_feedback": ai.feedback, "$ai_metric": ai.metric,
}  # fmt: skip
OF_A_PERSON = frozenset({"$identify", "$set", "$set_once"})


def _taken(call: Call, outcome: Outcome) -> Answer:
    return Answer(b'{"status":1}')


def _judged(call: Call, outcome: Outcome) -> Answer:
    """The newest protocol: which events were refused, so that `on_error` of the SDK hears of it."""
    refused = dict(outcome.rejected)
    results: JsonObject = {}
    at = 0
    for raw in _listed(_content(call)) if refused else []:
        count = sum(1 for _ in each([raw], lambda one: _records(one, None)))
        reason = next((refused[i] for i in range(at, at + count) if i in refused), None)
        identifier = text_of(object_of(raw).get("uuid")) or ""
        if reason is not None and _TOKEN.fullmatch(identifier):
            results[identifier] = {"result": "drop", "details": reason}
        at += count
    return Answer(msgspec.json.encode({"results": results}))


def _said(content: JsonObject) -> Callable[[Call, Outcome], Answer]:
    body = msgspec.json.encode(content)
    return lambda call, outcome: Answer(body)


def _configured(call: Call, outcome: Outcome) -> Answer:
    return Answer(msgspec.json.encode(CONFIG | {"hasFeatureFlags": call.has_flags}))


def _script(call: Call, outcome: Outcome) -> Answer:
    """The configuration as posthog-js loads it first: a script that sets a variable."""
    token = call.parts["token"]
    if not _TOKEN.fullmatch(token):  # a stranger's text is not written into a script
        return Answer(b"", SCRIPT)
    config = CONFIG | {"token": token, "hasFeatureFlags": call.has_flags}
    told = msgspec.json.encode({token: {"config": config, "siteApps": []}})
    return Answer(b"window._POSTHOG_REMOTE_CONFIG=" + told + b";", SCRIPT)


def _asked(call: Call) -> tuple[str | None, JsonObject]:
    """Who asks for flags."""
    content = object_of(_content(call))
    return _secret(call, content, []), attributes_of(content)


def _evaluated(found: Mapping[str, Evaluation]) -> Answer:
    config = CONFIG | {"hasFeatureFlags": True}
    return Answer(msgspec.json.encode(flags_of(found) | config))


def _both(*paths: str) -> tuple[str, ...]:
    """With and without the slash at the end."""
    return tuple(found for path in paths for found in (path, f"{path}/"))


_ANY = ("GET", "POST")
DIALECT = Dialect(
    "posthog",
    (
        Endpoint(_both(*SENDING), _taken, _parse, _ANY),
        Endpoint(_both(NEWEST), _judged, _parse),
        # Recordings of sessions, logs and metrics of the SDK: taken off its hands, never kept.
        Endpoint(_both("/s", "/i/v1/logs", "/i/v1/metrics"), _taken, None, _ANY),
        Endpoint(
            _both("/flags", "/decide"), _said(FLAGS | CONFIG), None, _ANY,
            flags=Question(_asked, _evaluated),
        ),
        Endpoint(_both("/array/{token}/config"), _configured, None, ("GET",)),
        Endpoint(("/array/{token}/config.js",), _script, None, ("GET",)),
        Endpoint(
            _both("/api/surveys", "/api/product_tours", "/api/web_experiments",
                  "/api/early_access_features", "/api/feature_flag/local_evaluation",
                  "/flags/definitions"),
            _said(EMPTY), None, _ANY,
        ),
    ),
)  # fmt: skip
