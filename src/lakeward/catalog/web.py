"""Types that the browser SDK sends: what visitors see and do, and how fast the pages are.

The page itself is in the record's `url`, `path` and `referrer`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta

from lakeward.catalog.spec import (
    Count,
    Id,
    Millis,
    Name,
    Names,
    Opt,
    Score100,
    Text,
    TypeSpec,
    doc,
    spec,
)


class PageView(msgspec.Struct, frozen=True, kw_only=True):
    """A page came into view: loaded, or reached inside a single-page app.

    What is known only on leaving (scroll depth, engagement) comes in a second one with the
    same `view_id`.
    """

    title: Annotated[Opt[Text], doc("Title of the page.", personal="content")] = UNSET
    navigation: Annotated[
        Opt[Literal["load", "spa", "reload", "back_forward", "prerender"]],
        doc("How the page was reached; spa: without loading a document."),
    ] = UNSET
    view_id: Annotated[Opt[Id], doc("This view of the page, equal for its later reports.")] = UNSET
    scroll_depth: Annotated[Opt[Score100], doc("Deepest point reached.", "% of the page")] = UNSET
    engagement_ms: Annotated[Opt[Millis], doc("Time the page was visible and in use.", "ms")] = (
        UNSET
    )
    language: Annotated[Opt[Name], doc("The browser's language, such as `en-GB`.")] = UNSET
    timezone: Annotated[Opt[Name], doc("The browser's IANA time zone.")] = UNSET
    screen_width: Annotated[Opt[Count], doc("Width of the screen.", "CSS px")] = UNSET
    screen_height: Annotated[Opt[Count], doc("Height of the screen.", "CSS px")] = UNSET
    viewport_width: Annotated[Opt[Count], doc("Width of the window.", "CSS px")] = UNSET
    viewport_height: Annotated[Opt[Count], doc("Height of the window.", "CSS px")] = UNSET
    utm_source: Annotated[Opt[Name], doc("Campaign source of the address.")] = UNSET
    utm_medium: Annotated[Opt[Name], doc("Campaign medium of the address.")] = UNSET
    utm_campaign: Annotated[Opt[Name], doc("Campaign name of the address.")] = UNSET
    utm_term: Annotated[Opt[Name], doc("Campaign term of the address.")] = UNSET
    utm_content: Annotated[Opt[Name], doc("Campaign content of the address.")] = UNSET


class ScreenView(msgspec.Struct, frozen=True, kw_only=True):
    """A screen of a mobile or desktop app came into view."""

    screen: Annotated[Opt[Name], doc("Name of the screen.")] = UNSET
    screen_class: Annotated[Opt[Name], doc("Class or kind that implements it.")] = UNSET
    view_id: Annotated[Opt[Id], doc("This view of the screen, equal for later reports.")] = UNSET
    language: Annotated[Opt[Name], doc("The app's language, such as `en-GB`.")] = UNSET
    timezone: Annotated[Opt[Name], doc("The device's IANA time zone.")] = UNSET


class Click(msgspec.Struct, frozen=True, kw_only=True):
    """A visitor clicked a link, a button or an element marked with `data-lw-*`."""

    element: Annotated[Opt[Name], doc("Tag of the element, such as `button`.")] = UNSET
    element_id: Annotated[Opt[Name], doc("The element's id attribute.")] = UNSET
    element_text: Annotated[
        Opt[Text], doc("The element's visible text, cut short.", personal="content")
    ] = UNSET
    selector: Annotated[Opt[Text], doc("CSS path to the element.")] = UNSET
    href: Annotated[Opt[Text], doc("Where the link leads, scrubbed.", personal="pseudonymous")] = (
        UNSET
    )
    outbound: Annotated[Opt[bool], doc("The link leaves the site.")] = UNSET
    data: Annotated[
        Opt[dict[Name, Text]],
        doc("The element's `data-lw-*` attributes.", personal="content"),
    ] = UNSET
    x: Annotated[Opt[Count], doc("Distance from the page's left edge.", "CSS px")] = UNSET
    y: Annotated[Opt[Count], doc("Distance from the page's top edge.", "CSS px")] = UNSET


class FormInteraction(msgspec.Struct, frozen=True, kw_only=True):
    """A visitor started a form, left one of its fields, submitted it or gave up.

    Order and time of the fields, never what was typed: keys that would carry a value are refused.
    """

    form: Annotated[Name, doc("Name or id of the form.")]
    action: Annotated[
        Literal["start", "field", "submit", "error", "abandon"],
        doc("What happened; field: a field was left; error: the submit was refused."),
    ]
    field: Annotated[Opt[Name], doc("Name of the field; with abandon, the last one.")] = UNSET
    field_type: Annotated[Opt[Name], doc("Type of the input, such as `email`.")] = UNSET
    field_index: Annotated[Opt[Count], doc("Place of the field in the form, from 0.")] = UNSET
    field_ms: Annotated[Opt[Millis], doc("Time the field had the focus.", "ms")] = UNSET
    field_order: Annotated[Opt[Names], doc("Names of the fields in the order used.")] = UNSET
    fields_completed: Annotated[Opt[Count], doc("Fields that are filled.", "fields")] = UNSET
    fields_total: Annotated[Opt[Count], doc("Fields that the form has.", "fields")] = UNSET
    changes: Annotated[Opt[Count], doc("Times the field was corrected.", "changes")] = UNSET
    duration_ms: Annotated[Opt[Millis], doc("Time since the form was started.", "ms")] = UNSET


class WebVital(msgspec.Struct, frozen=True, kw_only=True):
    """The browser reported one Core Web Vital of a page."""

    name: Annotated[Literal["LCP", "INP", "CLS", "TTFB", "FCP"], doc("Which metric.")]
    value: Annotated[Millis, doc("The measurement.", "ms; CLS has no unit")]
    rating: Annotated[
        Opt[Literal["good", "needs-improvement", "poor"]], doc("Verdict of the web-vitals library.")
    ] = UNSET
    delta: Annotated[
        Opt[Millis], doc("Growth since the last report of this metric.", "ms; CLS has no unit")
    ] = UNSET
    metric_id: Annotated[Opt[Id], doc("The metric on this view, equal for its reports.")] = UNSET
    navigation: Annotated[
        Opt[Name], doc("Navigation type that the web-vitals library reports.")
    ] = UNSET
    target: Annotated[Opt[Text], doc("CSS path to the element that caused it.")] = UNSET


class ClientError(msgspec.Struct, frozen=True, kw_only=True):
    """An error went uncaught in the visitor's browser. Its class is in `error_type`."""

    message: Annotated[Text, doc("The browser's message, scrubbed.", personal="content")]
    kind: Annotated[
        Opt[Literal["error", "rejection", "resource", "reported"]],
        doc("Uncaught error, unhandled rejection, failed resource, or reported by the app."),
    ] = UNSET
    stack: Annotated[Opt[Text], doc("Stack trace, scrubbed.", personal="content")] = UNSET
    source: Annotated[
        Opt[Text], doc("Address of the script, scrubbed.", personal="pseudonymous")
    ] = UNSET
    line: Annotated[Opt[Count], doc("Line in the script.")] = UNSET
    column: Annotated[Opt[Count], doc("Column in the line.")] = UNSET
    count: Annotated[
        Opt[Annotated[int, Meta(ge=1, le=2**53 - 1)]],
        doc("How often it occurred since the last report.", "times"),
    ] = UNSET


SPECS: tuple[TypeSpec, ...] = (
    spec(
        "page_view",
        PageView,
        "properties",
        "browser_events",
        example={
            "url": "https://example.com/partners?utm_source=podcast",
            "path": "/partners",
            "title": "Partners",
            "navigation": "load",
            "utm_source": "podcast",
            "viewport_width": 1280,
        },
    ),
    spec(
        "screen_view",
        ScreenView,
        "properties",
        "browser_events",
        example={"user_id": "u1", "screen": "Partner list", "language": "en-GB"},
    ),
    spec(
        "click",
        Click,
        "properties",
        "browser_events",
        example={
            "path": "/partners",
            "element": "button",
            "element_text": "Book a demo",
            "selector": "main > button.primary",
        },
    ),
    spec(
        "form_interaction",
        FormInteraction,
        "properties",
        "browser_events",
        forbidden=frozenset({"value", "values", "field_value", "field_values", "data"}),
        example={
            "path": "/verify",
            "form": "verification",
            "action": "abandon",
            "field": "phone",
            "field_order": ["name", "email", "phone"],
            "fields_completed": 2,
            "duration_ms": 41200,
        },
    ),
    spec(
        "web_vital",
        WebVital,
        "properties",
        "browser_events",
        example={"path": "/partners", "name": "LCP", "value": 1240.5, "rating": "good"},
    ),
    spec(
        "client_error",
        ClientError,
        "properties",
        "browser_events",
        example={
            "path": "/match",
            "error_type": "TypeError",
            "message": "undefined is not a function",
            "line": 12,
            "column": 8,
        },
    ),
)
