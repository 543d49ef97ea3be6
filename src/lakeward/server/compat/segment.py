"""Segment, and whoever speaks as Segment does: RudderStack, Jitsu.

In: requests of their SDKs. Out: interactions of ours (`segment_event`), and answers as the SDKs
expect them: `{"success": true}`, and for browsers a configuration that names this server alone.
`Undecodable` for a body that is neither an event nor a batch.

    POST /v1/batch, /v1/import, /beacon/v1/batch    {"batch": [event, …], "sentAt", "writeKey"}
    POST /v1/track …, and short /v1/t …             one event; browsers
    POST /api/s/track, /api/s/s2s/track …           the same; Jitsu
    POST /v1/m                                      the SDK's own figures: nothing is kept
    GET  /v1/projects/{key}/settings, /sourceConfig, /v1/sourceConfig   what the browser asks first
"""

from __future__ import annotations

import base64
from typing import Any, Final

import msgspec

from lakeward.interaction import JsonObject
from lakeward.plain import text_of
from lakeward.server.compat.dialect import (
    SHARED_BYTES,
    Answer,
    Call,
    Dialect,
    Endpoint,
    Outcome,
    Refused,
    Sending,
    Undecodable,
    each,
    object_of,
)
from lakeward.server.compat.lenient_json import decoded
from lakeward.server.compat.segment_event import NO_OBJECT, SHORT, interaction

BATCHES: Final = ("/v1/batch", "/v1/import", "/v1/b", "/beacon/v1/batch")
KINDS: Final = ("track", "page", "screen", "identify", "group", "alias")
SINGLES: Final = (
    *(f"/v1/{kind}" for kind in (*KINDS, *SHORT)),
    *(f"/api/s/{kind}" for kind in (*KINDS, "event")),
    *(f"/api/s/s2s/{kind}" for kind in (*KINDS, "event")),
)
SUCCESS: Final = msgspec.json.encode({"success": True, "ok": True})


def parse(call: Call) -> Sending:
    """The events of a request."""
    content = _content(call.body)
    if isinstance(content.get("batch"), list):
        return _batch(call, content)
    kind = call.path.rstrip("/").rpartition("/")[2]
    if "batch" in call.path or kind in {"import", "b"}:
        raise Undecodable("`batch` must be a list of events.")
    if isinstance(content.get("batch"), dict):
        content = content["batch"]
    kind = SHORT.get(kind, kind)
    if kind in KINDS and not content.get("type"):
        content["type"] = kind
    headers = call.headers
    if not content.get("anonymousId") and b"anonymousid" in headers:
        content["anonymousId"] = _visitor(headers[b"anonymousid"])
    sent = text_of(content.get("sentAt")) or headers.get(b"sentat", b"").decode("latin-1")
    return Sending(each([content], lambda event: [interaction(event, {})]),
                   _secret(call, content), sent or None)  # fmt: skip


def _batch(call: Call, content: JsonObject) -> Sending:
    shared = object_of(content.get("context"))
    if shared and len(msgspec.json.encode(shared)) > SHARED_BYTES:
        raise Undecodable(f"The batch's `context` is larger than {SHARED_BYTES} bytes.")

    def made(event: Any) -> list[JsonObject | Refused]:
        is_event = isinstance(event, dict)
        return [interaction(event, shared) if is_event else Refused(NO_OBJECT, event)]

    events = each(content["batch"], made)
    first = next((event for event in content["batch"] if isinstance(event, dict)), {})
    sent = text_of(content.get("sentAt")) or text_of(first.get("sentAt"))
    return Sending(events, _secret(call, content) or _secret(call, first), sent)


def _content(body: bytes) -> JsonObject:
    try:
        content = decoded(body)
    except ValueError:
        raise Undecodable("The body is not JSON.") from None
    if isinstance(content, list):
        return {"batch": content}
    if not isinstance(content, dict):
        raise Undecodable("The body must be an event, or an object with `batch`.")
    return content


def _secret(call: Call, content: JsonObject) -> str | None:
    """The key: in the body, in the query, or in Jitsu's header; Jitsu has `:` and a secret behind
    it, which it masks in the body."""
    header = call.headers.get(b"x-write-key", b"").decode("latin-1")
    asked = call.query.get("writeKey") or call.query.get("write_key") or [""]
    found = header or text_of(content.get("writeKey")) or asked[-1]
    return found.partition(":")[0] or None


def _visitor(header: bytes) -> str:
    """RudderStack's `AnonymousId`, which its SDKs encode in Base64."""
    try:
        plain = base64.b64decode(header, validate=True).decode()
    except ValueError:
        return header.decode("latin-1")
    return plain if plain.isprintable() else header.decode("latin-1")


def _success(call: Call, outcome: Outcome) -> Answer:
    return Answer(SUCCESS)


def _settings(call: Call, outcome: Outcome) -> Answer:
    """What a browser's SDK sends where: here, and its own figures nowhere."""
    scheme, _, host = call.base.partition("://")
    key = call.parts.get("key", "")
    sending: JsonObject = {
        "apiKey": key,
        "apiHost": f"{host}/v1",
        "protocol": scheme,
        "unbundledIntegrations": [],
        "addBundledMetadata": True,
        "versionSettings": {"version": "4.4.7", "componentTypes": ["browser"]},
    }
    content: JsonObject = {
        "integrations": {"Segment.io": sending},
        "plan": {"track": {"__default": {"enabled": True, "integrations": {}}}},
        "edgeFunction": {},
        "analyticsNextEnabled": True,
        "middlewareSettings": {},
        "enabledMiddleware": {},
        "metrics": {"sampleRate": 0, "host": f"{host}/v1", "protocol": scheme},
        "legacyVideoPluginsEnabled": False,
        "remotePlugins": [],
        "autoInstrumentationSettings": {"disableTraffic": False, "sampleRate": 0},
    }
    return Answer(msgspec.json.encode(content))


def _source(call: Call, outcome: Outcome) -> Answer:
    """RudderStack's configuration: a source that is on and has no destinations beside this one."""
    key = (call.query.get("writeKey") or [""])[-1]
    source: JsonObject = {
        "id": "lakeward",
        "name": "lakeward",
        "writeKey": key,
        "enabled": True,
        "workspaceId": "lakeward",
        "destinations": [],
        "dataplanes": {},
        "config": {
            "statsCollection": {"errors": {"enabled": False}, "metrics": {"enabled": False}}
        },
        "connections": [],
    }
    return Answer(msgspec.json.encode({"source": source, "updatedAt": "2026-01-01T00:00:00.000Z"}))


def _slashed(*paths: str) -> tuple[str, ...]:
    return (*paths, *(f"{path}/" for path in paths))


DIALECT: Final = Dialect(
    "segment",
    (
        Endpoint(_slashed(*BATCHES, *SINGLES), _success, parse),
        Endpoint(_slashed("/v1/m"), _success),
        Endpoint(_slashed("/v1/projects/{key}/settings"), _settings, methods=("GET",)),
        Endpoint(_slashed("/sourceConfig", "/v1/sourceConfig"), _source, methods=("GET",)),
    ),
)
