"""Snowplow's own schemas: events that have a known type here.

In: the data of a self-describing event. Out: what it means, one or more. Pure; nothing fails. Of a
form the names of its fields, never a value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from lakeward.interaction import JsonObject
from lakeward.plain import text_of
from lakeward.server.compat.dialect import object_of

LONGEST_NAME, LONGEST_TEXT, LONGEST_ID = 200, 32_768, 512
LANGUAGES_OF_SERVERS = frozenset({"PYTHON", "RUBY", "PHP", "GOLANG", "GO", "CSHARP", "SCALA",
                                  "NODEJS"})  # fmt: skip
VALUES = frozenset({"value", "elements", "content"})


class Meaning(msgspec.Struct, frozen=True):
    """A record's type and fields; `part` tells those of one event apart."""

    interaction_type: str
    fields: JsonObject
    part: str = ""


def _texts(data: JsonObject, wanted: dict[str, str], most: int = LONGEST_NAME) -> JsonObject:
    """Texts by the names that our fields have, cut to what they take."""
    return {
        field: text[:most]
        for field, name in wanted.items()
        if (text := text_of(data.get(name))) is not None
    }


def _others(data: JsonObject, *used: str) -> JsonObject:
    """What no field takes."""
    rest = {name: value for name, value in data.items() if name not in used and value is not None}
    return {"properties": rest} if rest else {}


def _count(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value < 2**53 else None


def _screen_view(data: JsonObject) -> list[Meaning]:
    own = _texts(data, {"screen": "name", "screen_class": "type"})
    own |= _texts(data, {"view_id": "id"}, LONGEST_ID)
    return [Meaning("screen_view", own | _others(data, "name", "type", "id"))]


def _link_click(data: JsonObject) -> list[Meaning]:
    own = {"element": "a"} | _texts(data, {"element_id": "elementId"})
    own |= _texts(data, {"href": "targetUrl", "element_text": "elementContent"}, LONGEST_TEXT)
    rest = _others(data, "elementId", "targetUrl", "elementContent")
    return [Meaning("click", own | rest)]


def _button_click(data: JsonObject) -> list[Meaning]:
    own = {"element": "button"} | _texts(data, {"element_id": "id"})
    own |= _texts(data, {"element_text": "label"}, LONGEST_TEXT)
    return [Meaning("click", own | _others(data, "id", "label"))]


def _form(data: JsonObject) -> JsonObject:
    return {"form": (text_of(data.get("formId")) or "form")[:LONGEST_NAME]}


def _submit_form(data: JsonObject) -> list[Meaning]:
    own = _form(data) | {"action": "submit"}
    given = data.get("elements")
    elements = [object_of(element) for element in given] if isinstance(given, list) else []
    if elements:
        own["fields_total"] = len(elements)
        own["fields_completed"] = sum(1 for e in elements if e.get("value") not in (None, ""))
    return [Meaning("form_interaction", own | _others(data, "formId", *VALUES))]


def _change_form(data: JsonObject) -> list[Meaning]:
    own = _form(data) | {"action": "field"}
    own |= _texts(data, {"field": "elementId", "field_type": "type"})
    rest = _others(data, "formId", "elementId", "type", *VALUES)
    return [Meaning("form_interaction", own | rest)]


def _focus_form(data: JsonObject) -> list[Meaning]:
    # A field that was entered, not left: none of the actions that our type has.
    return [Meaning("focus_form", _others(data, *VALUES))]


def _application_error(data: JsonObject) -> list[Meaning]:
    own = _texts(data, {"message": "message", "stack": "stackTrace"}, LONGEST_TEXT)
    own.setdefault("message", "")
    if (line := _count(data.get("lineNumber"))) is not None:
        own["line"] = line
    used = ("message", "stackTrace", "lineNumber", "exceptionName", "fileName")
    own |= _texts(data, {"source": "fileName"}, LONGEST_TEXT)
    kind = _texts(data, {"error_type": "exceptionName"})
    if text_of(data.get("programmingLanguage")) in LANGUAGES_OF_SERVERS:
        rest = object_of(_others(data, *used).get("properties"))
        return [Meaning("application_error", kind | {"properties": rest | own})]
    return [Meaning("client_error", {"kind": "error"} | own | kind | _others(data, *used))]


def _web_vitals(data: JsonObject) -> list[Meaning]:
    found = []
    for name in ("lcp", "inp", "cls", "ttfb", "fcp"):
        value = data.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
            continue
        own: JsonObject = {"name": name.upper(), "value": value}
        own |= _texts(data, {"navigation": "navigationType"})
        found.append(Meaning("web_vital", own, name.upper()))
    return found or [Meaning("web_vitals", _others(data))]


MEANINGS: Mapping[str, Callable[[JsonObject], list[Meaning]]] = MappingProxyType(
    {
        "screen_view": _screen_view,
        "link_click": _link_click,
        "button_click": _button_click,
        "submit_form": _submit_form,
        "change_form": _change_form,
        "focus_form": _focus_form,
        "application_error": _application_error,
        "web_vitals": _web_vitals,
    }
)
"""By the name of a schema of Snowplow's own."""
