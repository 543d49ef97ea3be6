"""Sends one event of every kind that rudder-sdk-python has: HOST KEY."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from rudderstack.analytics import Client

client = Client(sys.argv[2], host=sys.argv[1], upload_interval=0.1)
WHEN = datetime(2025, 8, 14, 16, 11, 28, 677000, tzinfo=UTC)
client.track("u1", "Order Completed", {"total": 12.5, "partner_id": "p9"}, timestamp=WHEN)
client.page("u1", "docs", "Install", {"url": "https://shop.example/install", "path": "/install"})
client.screen("u1", None, "Partner list", {"tab": 2})
client.identify("u1", {"plan": "pro"}, anonymous_id="a-1")
client.group("u1", "g4", {"industry": "roofing"})
client.alias("lead-812", "u1")
client.shutdown()
