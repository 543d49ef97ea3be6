"""A cron job with Lakeward: one `job_run` a night, whatever happens.

    12 3 * * *  cd /srv/shop && .venv/bin/python nightly.py

Needs nothing but Lakeward.
"""

from __future__ import annotations

from lakeward import Collector
from lakeward.capture.job import job

collector = Collector.from_env()


@job("nightly-sync", collector)
def sync() -> None:
    for partner in ("p1", "p2"):
        collector.record("partner_onboarding", partner_id=partner, status="completed")


sync()
