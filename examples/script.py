"""A script or nightly job with Lakeward: record, and know that it is durable before going on.

    python examples/script.py

Needs nothing but Lakeward.
"""

from __future__ import annotations

import time

from lakeward import Collector, NotDurable

DEALS = (("c-17", "p1", 24_000), ("c-18", "p2", 9_500))

with Collector.from_env() as collector:
    started = time.monotonic()
    for contractor, partner, value in DEALS:
        found = collector.record(
            "deal_closed", user_id=contractor, partner_id=partner, value=value, currency="USD"
        )
        print("recorded", found)
    collector.record(
        "job_run",
        job_name="close_deals",
        outcome="succeeded",
        duration_ms=round((time.monotonic() - started) * 1000, 3),
    )
    try:
        collector.commit(timeout=5)
    except NotDurable as error:
        print(f"kept in memory, not yet on the disk: {error}")
    else:
        print(f"durable: {collector.stats()['accepted']} records")
