"""A Celery application with Lakeward: each attempt of each task is a `job_run`.

    cd examples
    celery -A celery_app worker --concurrency 2 &
    python celery_app.py

The broker is a folder, so that this runs anywhere. Needs Celery: `pip install celery`.
"""

from __future__ import annotations

import os
import tempfile

from celery import Celery

from lakeward import Collector
from lakeward.capture.celery import install
from lakeward.capture.job import job

folder = os.environ.get("BROKER_FOLDER", os.path.join(tempfile.gettempdir(), "celery-broker"))
for name in ("messages", "control"):
    os.makedirs(os.path.join(folder, name), exist_ok=True)

app = Celery("shop", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": os.path.join(folder, "messages"),
    "data_folder_out": os.path.join(folder, "messages"),
    "control_folder": os.path.join(folder, "control"),
}
collector = Collector.from_env()
install(app, collector)


@app.task(autoretry_for=(TimeoutError,), retry_kwargs={"max_retries": 1, "countdown": 0})
def match(contractor: str) -> None:
    collector.record("partner_match", user_id=contractor, partner_id="p1", score=87.5)
    raise TimeoutError("the partner's calendar does not answer")


if __name__ == "__main__":
    from celery_app import match  # by the name that the worker knows

    with job("nightly-matches", collector):
        match.delay("c-17")
