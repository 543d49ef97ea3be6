"""One event of Segment as an interaction of ours.

In: an event as `{"type": "track", "event": …, "properties": {…}, "context": {…}, …}`, and the
context that its batch shares. Out: fields as `POST /v1/interactions` takes them, or `Refused`.
Never fails. `docs/compatible.md` has the table; what an event's context has beyond it is kept under
`metadata`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from lakeward.catalog import TYPES
from lakeward.catalog.spec import TypeSpec
from lakeward.interaction import JsonObject
from lakeward.plain import text_of
from lakeward.server.compat.dialect import (
    Refused,
    object_of,
    path_of,
    placed,
    type_of,
)

DIRECT: Final = "$direct"
"""What RudderStack calls the referrer of somebody who typed the address."""
NO_OBJECT: Final = "An event must be an object."
NO_TYPE: Final = "`type` must be track, page, screen, identify, group or alias."
NO_NAME: Final = "A track event needs a name in `event`."
SHORT: Final = {
    "t": "track",
    "p": "page",
    "s": "screen",
    "i": "identify",
    "g": "group",
    "a": "alias",
}

PAGE: Final = {"url": "url", "path": "path", "referrer": "referrer", "title": "title"}
CAMPAIGN: Final = {
    "source": "utm_source",
    "medium": "utm_medium",
    "name": "utm_campaign",
    "term": "utm_term",
    "content": "utm_content",
}
SIZES: Final = {
    "width": "screen_width",
    "height": "screen_height",
    "innerWidth": "viewport_width",
    "innerHeight": "viewport_height",
}
LEFT_OUT: Final = frozenset({"ip", "traits", "userAgentData"})
"""Parts of a context that are not kept: an address, which the server knows better; who the user
is, which `identify` says once; what the user agent says already."""
OF_URL: Final = frozenset({"search", "host", "tab_url", "encoding", "referring_domain",
                           "initial_referring_domain"})  # fmt: skip
"""Of a context's page: what its addresses say."""
ID, NAME, TEXT = 512, 200, 32_768
"""Characters that a record's fields hold: what is longer costs a record its type, or its place."""
LARGEST = 2**53


def interaction(event: JsonObject, shared: JsonObject) -> JsonObject | Refused:
    """An event as our fields."""
    make = _MAKERS.get(str(event.get("type") or event.get("action") or ""))
    if make is None:
        return _refused(NO_TYPE, event)
    context = _context(event, shared)
    fields = _named(event, context)
    made = make(event, context)
    if isinstance(made, Refused):
        return made
    fields |= made
    if "path" not in fields and (path := path_of(fields.get("url", ""))):
        fields["path"] = path
    if metadata := _metadata(context):
        fields["metadata"] = metadata
    return fields


def _context(event: JsonObject, shared: JsonObject) -> JsonObject:
    """An event's context, to take from: what finds a place leaves it, the rest is kept as it is."""
    context = {**shared, **object_of(event.get("context"))}
    if event.get("type") != "group" and event.get("groupId"):
        context.setdefault("groupId", event["groupId"])
    return {k: dict(v) if isinstance(v, dict) else v for k, v in context.items()}


def _refused(reason: str, event: JsonObject) -> Refused:
    """Set aside without the address that the event claims."""
    if "ip" in (context := object_of(event.get("context"))):
        event = {**event, "context": {k: v for k, v in context.items() if k != "ip"}}
    return Refused(reason, event)


def _named(event: JsonObject, context: JsonObject) -> JsonObject:
    """What every event says: who, when, with what, on which page."""
    fields: JsonObject = {}
    page = object_of(context.get("page"))
    _put(fields, "interaction_id", text_of(event.get("messageId")))
    _put(fields, "timestamp", _when(event))
    _put(fields, "user_id", text_of(event.get("userId")))
    _put(fields, "anonymous_id", text_of(event.get("anonymousId")))
    _take(fields, {"sessionId": "session_id"}, context, ID)
    _take(fields, {"userAgent": "user_agent"}, context, TEXT)
    if page.get("referrer") == DIRECT:
        del page["referrer"]
    _take(fields, {"url": "url", "path": "path", "referrer": "referrer"}, page, TEXT)
    properties = object_of(event.get("properties"))
    partner = text_of(properties.get("partner_id"))
    if partner is not None and len(partner) <= ID:
        fields["partner_id"] = partner
    return fields


def _when(event: JsonObject) -> str | None:
    """By the sender's clock. RudderStack's `originalTimestamp` is when its SDK was called."""
    when = event.get("timestamp") or event.get("originalTimestamp")
    return text_of(when) if isinstance(when, str) else None


def _metadata(context: JsonObject) -> JsonObject:
    """Which SDK, and what of the context has no place of its own."""
    library = object_of(context.pop("library", None))
    name, version = text_of(library.get("name")), text_of(library.get("version"))
    page = object_of(context.get("page"))
    for said in OF_URL & page.keys():
        del page[said]
    rest = {k: v for k, v in context.items() if k not in LEFT_OUT and v not in (None, "", {})}
    found: JsonObject = {}
    if name:
        found["library"] = f"{name} {version}" if version else name
    if rest:
        found["context"] = rest
    return found


def _track(event: JsonObject, context: JsonObject) -> JsonObject | Refused:
    name = text_of(event.get("event"))
    if name is None:
        return _refused(NO_NAME, event)
    kind = type_of(name)
    properties = dict(object_of(event.get("properties")))
    if kind != name:
        properties.setdefault("event", name)
    return placed(kind, properties) | {"interaction_type": kind}


def _page(event: JsonObject, context: JsonObject) -> JsonObject:
    properties = dict(object_of(event.get("properties")))
    page = object_of(context.get("page"))
    for name in properties.keys() & page.keys():
        if page[name] == properties[name]:
            del page[name]
    if properties.get("referrer") == DIRECT:
        del properties["referrer"]
    fields: JsonObject = {"interaction_type": "page_view"}
    _take(fields, PAGE, properties, TEXT)
    _take(fields, {"title": "title"}, page, TEXT)
    _take(fields, {"locale": "language", "timezone": "timezone"}, context, NAME)
    _take(fields, CAMPAIGN, object_of(context.get("campaign")), NAME)
    screen = object_of(context.get("screen"))
    for theirs, ours in SIZES.items():
        size = screen.get(theirs)
        if isinstance(size, int) and not isinstance(size, bool) and 0 <= size < LARGEST:
            fields[ours] = screen.pop(theirs)
    _take(properties, {"name": "name", "category": "category"}, dict(event), TEXT)
    return _with(fields, properties, context)


def _screen(event: JsonObject, context: JsonObject) -> JsonObject:
    fields: JsonObject = {"interaction_type": "screen_view"}
    properties = dict(object_of(event.get("properties")))
    said: JsonObject = {name: event[name] for name in ("name", "category") if name in event}
    if properties.get("name") == said.get("name"):
        properties.pop("name", None)
    _take(fields, {"name": "screen"}, said, NAME)
    _take(fields, {"name": "screen"}, properties, NAME)
    _take(fields, {"locale": "language", "timezone": "timezone"}, context, NAME)
    _take(properties, {"name": "name", "category": "category"}, said, TEXT)
    return _with(fields, properties, context)


def _with(fields: JsonObject, properties: JsonObject, context: JsonObject) -> JsonObject:
    """With the app's properties, but those that are called like a field of the type and do not fit
    it: they would cost the record its type, and stay with the context."""
    spec = TYPES[fields["interaction_type"]]
    odd = {n: v for n, v in properties.items() if n in spec.own and not _fits(spec, {n: v})}
    if odd:
        context["properties"] = odd
    rest = {n: v for n, v in properties.items() if n not in odd}
    return {**fields, "properties": rest} if rest else fields


def _fits(spec: TypeSpec, fields: JsonObject) -> bool:
    try:
        msgspec.convert(fields, spec.struct)
    except msgspec.ValidationError:
        return False
    return True


def _traits(event: JsonObject, context: JsonObject) -> JsonObject:
    traits = {**object_of(context.get("traits")), **object_of(event.get("traits"))}
    return {"traits": traits} if traits else {}


def _identify(event: JsonObject, context: JsonObject) -> JsonObject:
    return {"interaction_type": "identify", **_traits(event, context)}


def _group(event: JsonObject, context: JsonObject) -> JsonObject:
    fields: JsonObject = {"interaction_type": "group"}
    _put(fields, "group_id", text_of(event.get("groupId")))
    traits = object_of(event.get("traits"))
    _put(fields, "group_type", text_of(event.get("groupType")))
    if traits:
        fields["traits"] = traits
    return fields


def _alias(event: JsonObject, context: JsonObject) -> JsonObject:
    """The id until now stands in `anonymous_id`, over the event's own one."""
    fields: JsonObject = {"interaction_type": "alias"}
    _put(fields, "anonymous_id", text_of(event.get("previousId")) or text_of(event.get("from")))
    _put(fields, "user_id", text_of(event.get("userId")) or text_of(event.get("to")))
    return fields


def _take(fields: JsonObject, names: Mapping[str, str], part: JsonObject, most: int) -> None:
    """Move what fits from a part of the event into fields that are not filled yet."""
    for theirs, ours in names.items():
        said = text_of(part.get(theirs))
        if said is not None and len(said) <= most and ours not in fields:
            fields[ours] = said
            del part[theirs]


def _put(fields: JsonObject, name: str, value: Any) -> None:
    if value is not None:
        fields[name] = value


_MAKERS: Final[Mapping[str, Callable[[JsonObject, JsonObject], JsonObject | Refused]]] = {
    "track": _track,
    "page": _page,
    "screen": _screen,
    "identify": _identify,
    "group": _group,
    "alias": _alias,
}
