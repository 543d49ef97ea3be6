"""Sends one event of every kind that segment-analytics-python has: HOST KEY."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from segment.analytics import Client

client = Client(sys.argv[2], host=sys.argv[1], gzip=len(sys.argv) > 3, upload_interval=0.1)
WHEN = datetime(2025, 8, 14, 16, 11, 28, 677000, tzinfo=UTC)
CONTEXT = {
    "ip": "203.0.113.77",
    "userAgent": "Mozilla/5.0 (X11)",
    "locale": "en-GB",
    "timezone": "Europe/London",
    "campaign": {"name": "spring", "source": "podcast"},
    "page": {"url": "https://shop.example/p?utm_source=podcast", "path": "/p", "title": "P"},
    "app": {"version": "7"},
}
client.track(
    "u1", "Order Completed", {"total": 12.5, "partner_id": "p9", "password": "hunter2hunter2"},
    context=CONTEXT, timestamp=WHEN,
)  # fmt: skip
client.track("u1", "signed_up", {"plan": "pro"})
client.track("u1", "deal_closed", {"value": 24000, "currency": "USD", "partner_id": "p9"})
client.track("u1", "Deal Closed", {"value": "a lot"})
client.page("u1", "docs", "Install", {"url": "https://shop.example/install"}, context=CONTEXT)
client.screen("u1", None, "Partner list", {"tab": 2}, context=CONTEXT)
client.identify("u1", {"plan": "pro", "employees": 12}, anonymous_id="a-1")
client.group("u1", "g4", {"industry": "roofing"})
client.alias("lead-812", "u1")
client.track(17, "numbers as ids")
client.shutdown()
