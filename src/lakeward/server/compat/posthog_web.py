"""PostHog's events of browsers and apps: pages, screens, clicks, forms, web vitals, errors.

In: an `Event`. Out: the records that it makes; several for one that tells of several things. Pure;
nothing fails. Of an element only its tag, id, text, place and link are kept, never a value.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from lakeward.interaction import JsonObject
from lakeward.plain import text_of
from lakeward.server.compat.dialect import object_of, path_of, type_of
from lakeward.server.compat.posthog_event import (
    LONGEST_ID,
    LONGEST_NAME,
    LONGEST_TEXT,
    Event,
    list_of,
    names,
    number,
    record,
    time_text,
    whole,
)

NAMED = {"language": "$browser_language", "timezone": "$timezone"}
SIZES = {"screen_width": "$screen_width", "screen_height": "$screen_height",
         "viewport_width": "$viewport_width", "viewport_height": "$viewport_height"}  # fmt: skip
UTM = {f"utm_{part}": f"utm_{part}" for part in ("source", "medium", "campaign", "term", "content")}
NAVIGATIONS = {"pushState": "spa", "replaceState": "spa", "popstate": "back_forward"}
VITALS = ("LCP", "INP", "CLS", "TTFB", "FCP")
INPUTS = frozenset({"input", "textarea", "select"})
NO_VALUES = frozenset({"value", "values", "field_value", "field_values", "data"})
MOST_FRAMES = 50
MARK = "attr__data-lw-"
_FIRST_OF_CHAIN = re.compile(r"^([A-Za-z][A-Za-z0-9-]*)([^;]*)")
_ID_IN_CHAIN = re.compile(r'attr_id="([^"]*)"')


def page_view(event: Event) -> list[JsonObject]:
    """`$pageview`, and what it tells of the view before it in a single-page app."""
    given = event.properties
    own = names(given, NAMED | UTM) | names(given, {"title": "title"}, LONGEST_TEXT)
    own |= names(given, {"view_id": "$pageview_id"}, LONGEST_ID)
    own |= {field: size for field, name in SIZES.items()
            if (size := whole(given.get(name))) is not None}  # fmt: skip
    navigation = given.get("navigation_type")
    if isinstance(navigation, str) and navigation in NAVIGATIONS:
        own["navigation"] = NAVIGATIONS[navigation]
    used = _used(event) | frozenset((*NAMED.values(), *UTM, *SIZES.values(), "$pageview_id",
                                     "title", "navigation_type"))  # fmt: skip
    return [record(event, "page_view", own, used), *_left(event, "left")]


def page_leave(event: Event) -> list[JsonObject]:
    """`$pageleave`: the later report of the view that ends."""
    return _left(event, "") or [record(event, "page_leave", {}, _used(event))]


def _used(event: Event) -> frozenset[str]:
    return frozenset(name for name in event.properties if name.startswith("$prev_pageview_"))


def _left(event: Event, part: str) -> list[JsonObject]:
    """The second `page_view` of a view, told by the event that came after it."""
    given = event.properties
    view_id = text_of(given.get("$prev_pageview_id"))
    if view_id is None:
        return []
    own: JsonObject = {"view_id": view_id[:LONGEST_ID]}
    share = number(given.get("$prev_pageview_max_content_percentage"), 1)
    if share is not None:
        own["scroll_depth"] = round(share * 100, 2)
    # Beside another view, what the app says belongs to that one.
    used = frozenset(given) if part else _used(event) | {"$pageview_id"}
    fields = record(event, "page_view", own, used, part)
    seconds = number(given.get("$prev_pageview_duration"))
    if seconds is not None:
        # Not `engagement_ms`: PostHog counts the time in a hidden tab as well.
        fields["properties"] = object_of(fields.get("properties")) | {
            "duration_ms": round(seconds * 1000)
        }
    before = text_of(given.get("$prev_pageview_pathname"))
    if before is not None and before != fields.get("path"):
        fields.pop("url", None)
        fields.pop("referrer", None)
        fields["path"] = before
    return [fields]


def screen_view(event: Event) -> list[JsonObject]:
    """`$screen`."""
    wanted = {"screen": "$screen_name", "language": "$locale", "timezone": "$timezone"}
    used = frozenset(wanted.values())
    return [record(event, "screen_view", names(event.properties, wanted), used)]


def autocapture(event: Event) -> list[JsonObject]:
    """`$autocapture`: a click, a form that was sent, a field that was changed."""
    kind = text_of(event.properties.get("$event_type"))
    if kind in {"submit", "change"}:
        return [_form(event, kind)]
    if kind in {"click", "touch", None}:
        return [record(event, "click", _element(event), _ELEMENT)]
    return touched(event)


def touched(event: Event) -> list[JsonObject]:
    """A custom type of the event's own name, with the element that it was about."""
    fields = custom(event, _ELEMENT)
    fields["properties"] = _element(event) | fields.get("properties", {})
    return [fields]


def custom(event: Event, used: frozenset[str] = frozenset()) -> JsonObject:
    """A type of the event's own name, which is kept as it was where that is another."""
    kind = type_of(event.name.lstrip("$"))
    if kind != event.name and "event" not in event.properties:
        event = msgspec.structs.replace(event, properties=event.properties | {"event": event.name})
    return record(event, kind, {}, used)


_ELEMENT = frozenset({"$el_text", "$external_click_url"})


def _element(event: Event) -> JsonObject:
    """The element at which something happened."""
    given = event.properties
    elements = [object_of(element) for element in list_of(given.get("$elements"))]
    if not elements:
        return _of_chain(given)
    first = elements[0]
    tag = text_of(first.get("tag_name"))
    found = names(first, {"element": "tag_name", "element_id": "attr__id"})
    if tag not in INPUTS:
        text = text_of(given.get("$el_text")) or text_of(first.get("$el_text"))
        if text is not None:
            found["element_text"] = text[:LONGEST_TEXT]
    link = next((e for e in elements if e.get("tag_name") == "a"), {})
    outbound = text_of(given.get("$external_click_url"))
    href = outbound or text_of(link.get("attr__href"))
    if href is not None:
        found["href"] = href[:LONGEST_TEXT]
    if outbound is not None:
        found["outbound"] = True
    if data := _marks(first):
        found["data"] = data
    found["selector"] = " > ".join(map(_step, reversed(elements)))[:LONGEST_TEXT]
    return found


def _marks(element: JsonObject) -> dict[str, str]:
    """The `data-lw-*` attributes."""
    return {
        name.removeprefix(MARK)[:LONGEST_NAME]: text[:LONGEST_TEXT]
        for name, value in element.items()
        if name.startswith(MARK) and (text := text_of(value)) is not None
    }


def _of_chain(given: JsonObject) -> JsonObject:
    """The element from `$elements_chain`, which some SDKs send instead of a list."""
    chain = _FIRST_OF_CHAIN.match(text_of(given.get("$elements_chain")) or "")
    if chain is None:
        return {}
    found: JsonObject = {"element": chain[1][:LONGEST_NAME]}
    if identifier := _ID_IN_CHAIN.search(chain[2]):
        found["element_id"] = identifier[1][:LONGEST_NAME]
    if chain[1] not in INPUTS and (text := text_of(given.get("$el_text"))) is not None:
        found["element_text"] = text[:LONGEST_TEXT]
    return found


def _step(element: JsonObject) -> str:
    """One step of a CSS path."""
    tag = text_of(element.get("tag_name")) or "*"
    if (identifier := text_of(element.get("attr__id"))) is not None:
        return f"{tag}#{identifier}"
    classes = "".join(f".{name}" for name in list_of(element.get("classes"))
                      if isinstance(name, str) and name)  # fmt: skip
    place = whole(element.get("nth_of_type"))
    return f"{tag}{classes}" + (f":nth-of-type({place})" if place and place > 1 else "")


def _form(event: Event, kind: str | None) -> JsonObject:
    """A form, by its name; of a field its name and type, never what was typed."""
    elements = [object_of(element) for element in list_of(event.properties.get("$elements"))]
    form = next((e for e in elements if e.get("tag_name") == "form"), {})
    own: JsonObject = {
        "form": _named(form) or "form",
        "action": "submit" if kind == "submit" else "field",
    }
    if kind == "change" and elements:
        if field := _named(elements[0]):
            own["field"] = field
        own |= names(elements[0], {"field_type": "attr__type"})
    used = _ELEMENT | NO_VALUES | {f"${name}" for name in NO_VALUES}
    return record(event, "form_interaction", own, used)


def _named(element: JsonObject) -> str | None:
    name = text_of(element.get("attr__name")) or text_of(element.get("attr__id"))
    return name[:LONGEST_NAME] if name else None


def web_vitals(event: Event) -> list[JsonObject]:
    """`$web_vitals`: a record for each metric in it."""
    given = event.properties
    used = frozenset(name for name in given if name.startswith("$web_vitals_"))
    found = []
    for metric in VITALS:
        told = object_of(given.get(f"$web_vitals_{metric}_event"))
        value = number(told.get("value", given.get(f"$web_vitals_{metric}_value")))
        if value is None:
            continue
        own: JsonObject = {"name": metric, "value": value}
        own |= names(told, {"metric_id": "id", "navigation": "navigationType"})
        rating = text_of(told.get("rating"))
        if rating in {"good", "needs-improvement", "poor"}:
            own["rating"] = rating
        if (delta := number(told.get("delta"))) is not None:
            own["delta"] = delta
        cause = object_of(told.get("attribution"))
        target = text_of(cause.get("target")) or text_of(cause.get("interactionTarget"))
        if target is not None:
            own["target"] = target[:LONGEST_TEXT]
        if (moment := time_text(told.get("timestamp"))) is not None:
            own["timestamp"] = moment
        if (url := text_of(told.get("$current_url"))) is not None:
            own["url"] = url
            if (path := path_of(url)) is not None:
                own["path"] = path
        found.append(record(event, "web_vital", own, used, metric))
    return found or [record(event, "web_vitals", {})]


def exception(event: Event) -> list[JsonObject]:
    """`$exception`: an error of the visitor's device, or of a program of the app's own."""
    given = event.properties
    thrown = [object_of(error) for error in list_of(given.get("$exception_list"))]
    first = thrown[0] if thrown else {}
    how = object_of(first.get("mechanism"))
    message = text_of(first.get("value")) or text_of(given.get("$exception_message")) or ""
    own: JsonObject = {"message": message[:LONGEST_TEXT], "kind": _kind(how)}
    kind = text_of(first.get("type")) or text_of(given.get("$exception_type"))
    if kind is not None:
        own["error_type"] = kind
    stack = object_of(first.get("stacktrace"))
    # The innermost frame comes last.
    frames = [object_of(frame) for frame in list_of(stack.get("frames"))][::-1]
    if frames:
        own["stack"] = "\n".join(map(_frame, frames[:MOST_FRAMES]))[:LONGEST_TEXT]
        own |= names(frames[0], {"source": "filename"}, LONGEST_TEXT)
        own |= {field: count for field, name in (("line", "lineno"), ("column", "colno"))
                if (count := whole(frames[0].get(name))) is not None}  # fmt: skip
    if len(thrown) > 1:
        own["causes"] = [text_of(error.get("type")) or "" for error in thrown[1:]]
    used = frozenset({"$exception_list", "$exception_message", "$exception_type",
                      "$exception_stack_trace_raw"})  # fmt: skip
    if not event.of_a_server:
        return [record(event, "client_error", own, used)]
    fields = record(event, "exception", {}, used)
    fields |= {"error_type": own.pop("error_type")} if kind is not None else {}
    fields["properties"] = fields.get("properties", {}) | own
    return [fields]


def _kind(how: JsonObject) -> str:
    if how.get("handled") is not False:
        return "reported"
    return "rejection" if "rejection" in str(how.get("type")).lower() else "error"


def _frame(frame: JsonObject) -> str:
    """One line of a stack trace; the lines of code around it stay away."""
    numbers = ":".join(str(n) for name in ("lineno", "colno")
                       if (n := whole(frame.get(name))) is not None)  # fmt: skip
    where = ":".join(filter(None, (text_of(frame.get("filename")), numbers)))
    return f"at {text_of(frame.get('function')) or '?'} ({where})"


def exposure(event: Event) -> list[JsonObject]:
    """`$feature_flag_called`: with a variant the exposure to an experiment."""
    given: dict[str, Any] = event.properties
    flag, variant = text_of(given.get("$feature_flag")), given.get("$feature_flag_response")
    if flag is None or not isinstance(variant, str) or not variant:
        fields = record(event, "feature_flag_called", {})
        return [fields]
    used = frozenset({"$feature_flag", "$feature_flag_response", f"$feature/{flag}"})
    own = {"experiment": flag[:LONGEST_NAME], "variant": variant[:LONGEST_NAME],
           "feature_key": flag[:LONGEST_NAME]}  # fmt: skip
    return [record(event, "experiment_exposure", own, used)]
