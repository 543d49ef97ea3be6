"""One event of Segment as an interaction of ours.

In: an event as `{"type": "track", "event": …, "properties": {…}, "context": {…}, …}`, and the
context that its batch shares. Out: fields as `POST /v1/interactions` takes them, or `Refused`.
Never fails. `docs/compatible.md` has the table; what an event's context has beyond it is kept under
`metadata`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from lakeward.interaction import JsonObject
from lakeward.server.compat.dialect import Refused, object_of, placed, text_of, type_of

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
DROPPED: Final = frozenset({"ip", "library", "page", "userAgent", "userAgentData", "campaign",
                            "locale", "timezone", "traits", "screen", "sessionId"})  # fmt: skip
"""Parts of the context that have a place of their own, and the address, which the server knows."""


def interaction(event: JsonObject, shared: JsonObject) -> JsonObject | Refused:
    """An event as our fields."""
    context = {**shared, **object_of(event.get("context"))}
    make = _MAKERS.get(str(event.get("type") or event.get("action") or ""))
    if make is None:
        return Refused(NO_TYPE, event)
    made = make(event, context)
    if isinstance(made, Refused):
        return made
    return _named(event, context) | made


def _named(event: JsonObject, context: JsonObject) -> JsonObject:
    """What every event says: who, when, with what, on which page."""
    fields: JsonObject = {}
    page = object_of(context.get("page"))
    _put(fields, "interaction_id", text_of(event.get("messageId")))
    _put(fields, "timestamp", _when(event))
    _put(fields, "user_id", text_of(event.get("userId")))
    _put(fields, "anonymous_id", text_of(event.get("anonymousId")))
    _put(fields, "session_id", text_of(context.get("sessionId")))
    _put(fields, "user_agent", text_of(context.get("userAgent")))
    for name in ("url", "path", "referrer"):
        _put(fields, name, text_of(page.get(name)))
    _put(fields, "metadata", _metadata(context))
    return fields


def _when(event: JsonObject) -> str | None:
    """By the sender's clock. RudderStack's `originalTimestamp` is when its SDK was called."""
    when = event.get("timestamp") or event.get("originalTimestamp")
    return text_of(when) if isinstance(when, str) else None


def _metadata(context: JsonObject) -> JsonObject | None:
    """Which SDK, and what of the context has no place of its own."""
    library = object_of(context.get("library"))
    name, version = text_of(library.get("name")), text_of(library.get("version"))
    rest = {key: value for key, value in context.items() if key not in DROPPED}
    found: JsonObject = {}
    if name:
        found["library"] = f"{name} {version}" if version else name
    if rest:
        found["context"] = rest
    return found or None


def _track(event: JsonObject, context: JsonObject) -> JsonObject | Refused:
    name = text_of(event.get("event"))
    if name is None:
        return Refused(NO_NAME, event)
    kind = type_of(name)
    properties = dict(object_of(event.get("properties")))
    if kind != name:
        properties.setdefault("event", name)
    fields = placed(kind, properties) | {"interaction_type": kind}
    if isinstance(partner := properties.get("partner_id"), str):
        fields["partner_id"] = partner
    return fields


def _page(event: JsonObject, context: JsonObject) -> JsonObject:
    properties = dict(object_of(event.get("properties")))
    page = object_of(context.get("page"))
    fields: JsonObject = {"interaction_type": "page_view"}
    for theirs, ours in PAGE.items():
        said = text_of(properties.pop(theirs, None))
        _put(fields, ours, said or text_of(page.get(theirs)))
    fields |= _seen(context)
    campaign = object_of(context.get("campaign"))
    for theirs, ours in CAMPAIGN.items():
        _put(fields, ours, text_of(campaign.get(theirs)))
    return _with_name(fields, event, properties, "name")


def _screen(event: JsonObject, context: JsonObject) -> JsonObject:
    fields: JsonObject = {"interaction_type": "screen_view"}
    properties = dict(object_of(event.get("properties")))
    fields |= {n: v for n, v in _seen(context).items() if n in {"language", "timezone"}}
    return _with_name(fields, event, properties, "screen")


def _with_name(
    fields: JsonObject, event: JsonObject, properties: JsonObject, place: str
) -> JsonObject:
    """A page's or a screen's name and category, and what else is said of it."""
    name = text_of(event.get("name")) or text_of(properties.pop("name", None))
    category = text_of(event.get("category")) or text_of(properties.pop("category", None))
    if place == "screen":
        _put(fields, "screen", name)
    elif name:
        properties.setdefault("name", name)
    if category:
        properties.setdefault("category", category)
    if properties:
        fields["properties"] = properties
    return fields


def _seen(context: JsonObject) -> JsonObject:
    """Language, time zone and screen."""
    fields: JsonObject = {}
    screen = object_of(context.get("screen"))
    _put(fields, "language", text_of(context.get("locale")))
    _put(fields, "timezone", text_of(context.get("timezone")))
    for theirs, ours in (
        ("width", "screen_width"), ("height", "screen_height"),
        ("innerWidth", "viewport_width"), ("innerHeight", "viewport_height"),
    ):  # fmt: skip
        size = screen.get(theirs)
        if isinstance(size, int) and not isinstance(size, bool) and size >= 0:
            fields[ours] = size
    return fields


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
