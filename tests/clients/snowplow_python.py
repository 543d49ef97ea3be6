"""Sends one event of every kind that snowplow-tracker has: `HOST KEY [post|get]`."""

import sys
import warnings
from typing import Any, Literal

from snowplow_tracker.emitters import Emitter
from snowplow_tracker.events.page_ping import PagePing
from snowplow_tracker.events.page_view import PageView
from snowplow_tracker.events.screen_view import ScreenView
from snowplow_tracker.events.self_describing import SelfDescribing
from snowplow_tracker.events.structured_event import StructuredEvent
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.subject import Subject
from snowplow_tracker.tracker import Tracker

warnings.simplefilter("ignore", DeprecationWarning)
host, key = sys.argv[1:3]
method: Literal["get", "post"] = "get" if sys.argv[3:] == ["get"] else "post"
name, _, port = host.removeprefix("http://").partition(":")
emitter = Emitter(name, protocol="http", port=int(port), method=method, batch_size=5)
subject = Subject()
subject.set_user_id("u1").set_platform("web").set_lang("en-GB").set_timezone("Europe/Brussels")
subject.set_screen_resolution(1920, 1080).set_viewport(1280, 720).set_domain_user_id("d-7f31")
subject.set_domain_session_id("0198a9c4-0f1a-4cc2-8f00-0123456789ab")
subject.set_useragent("Mozilla/5.0 (X11; Linux x86_64) Test/1.0").set_ip_address("203.0.113.9")
tracker = Tracker("shop", emitter, subject=subject, app_id=key, encode_base64=method == "post")

page = SelfDescribingJson(
    "iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0", {"id": "view-1"}
)
product = SelfDescribingJson("iglu:com.acme/product/jsonschema/1-0-0", {"sku": "s-1"})
vendor = "iglu:com.snowplowanalytics.snowplow"


def told(schema: str, data: dict[str, Any]) -> SelfDescribing:
    return SelfDescribing(event_json=SelfDescribingJson(schema, data), context=[product])


tracker.track(
    PageView(
        page_url="https://example.com/partners?utm_source=podcast",
        page_title="Partners",
        referrer="https://example.org/",
        context=[page, product],
        true_timestamp=1755187888677,
    )
)
tracker.track(PagePing(page_url="https://example.com/partners", max_y=900, context=[page]))
tracker.track(PagePing(page_url="https://example.com/other", max_y=10))
tracker.track(
    StructuredEvent(
        category="Shop", action="Add to basket", label="sku", property_="s-1", value=2.5
    )
)
tracker.track(
    ScreenView(name="Partner list", id_="5c63c2d3-f89d-4601-9200-ebd6ff077c78", type="list")
)
tracker.track(told("iglu:com.acme/order_placed/jsonschema/1-0-0", {"total": 12.5, "path": "mine"}))
tracker.track(
    told(
        "iglu:com.acme/deal_closed/jsonschema/2-0-0",
        {"partner_id": "p9", "value": 24000, "currency": "USD"},
    )
)
tracker.track(
    told(
        f"{vendor}/link_click/jsonschema/1-0-1",
        {
            "targetUrl": "https://example.org/x",
            "elementId": "out",
            "elementContent": "Out",
            "elementClasses": ["big"],
        },
    )
)
tracker.track(told(f"{vendor}/button_click/jsonschema/1-0-0", {"label": "Book", "id": "book"}))
tracker.track(
    told(
        f"{vendor}/submit_form/jsonschema/1-0-0",
        {
            "formId": "verification",
            "formClasses": ["wide"],
            "elements": [
                {"name": "phone", "value": "0151-typed", "nodeName": "INPUT"},
                {"name": "note", "value": "", "nodeName": "TEXTAREA"},
            ],
        },
    )
)
tracker.track(
    told(
        f"{vendor}/change_form/jsonschema/1-0-0",
        {
            "formId": "verification",
            "elementId": "phone",
            "nodeName": "INPUT",
            "type": "tel",
            "value": "0151-typed",
        },
    )
)
tracker.track(
    told(
        f"{vendor}/focus_form/jsonschema/1-0-0",
        {
            "formId": "verification",
            "elementId": "phone",
            "nodeName": "INPUT",
            "elementType": "tel",
            "value": "0151-typed",
        },
    )
)
tracker.track(
    told(
        f"{vendor}/application_error/jsonschema/1-0-1",
        {
            "message": "no such partner",
            "exceptionName": "TypeError",
            "lineNumber": 12,
            "programmingLanguage": "JAVASCRIPT",
            "isFatal": False,
        },
    )
)
tracker.track(
    told(
        f"{vendor}/application_error/jsonschema/1-0-1",
        {
            "message": "no such order",
            "exceptionName": "ValueError",
            "programmingLanguage": "PYTHON",
        },
    )
)
tracker.track(
    told(
        f"{vendor}/web_vitals/jsonschema/1-0-0",
        {"lcp": 1240.5, "cls": 0.01, "inp": 56, "navigationType": "navigate"},
    )
)
tracker.track_ecommerce_transaction(
    "o-1",
    12.5,
    affiliation="web",
    tax_value=2.0,
    shipping=1.5,
    city="Ghent",
    country="Belgium",
    currency="EUR",
    items=[{"sku": "s-1", "price": 12.5, "quantity": 1, "name": "Book"}],
)
tracker.flush()
