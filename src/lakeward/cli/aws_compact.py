"""The Lambda that compacts: the raw archive of all hosts into the table, on a schedule.

In: an event, `{"days": 3}` to list the last days only, else all of them. Out: what was done, as
`lakeward compact --format json` prints it. Whatever fails is raised, so that the schedule counts it
and tries again; killed at any moment, the next run goes on from the table's own word.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from lakeward.cli.compact import compact
from lakeward.errors import Terminal
from lakeward.lakedir import open_lake
from lakeward.retention import cutoffs
from lakeward.settings import load


def handler(event: Mapping[str, Any] | None, context: object = None) -> dict[str, Any]:
    """What Lambda calls."""
    del context
    days = (event or {}).get("days")
    if days is not None and not (isinstance(days, int) and 1 <= days <= 3650):
        raise Terminal("`days` of the event must be a whole number from 1 to 3650")
    settings = load(os.environ)
    if not settings.table.startswith("s3://"):
        raise Terminal("the table must be in S3: set LAKEWARD_TABLE=s3://bucket/prefix")
    lake = open_lake(settings.lake_dir)
    over = cutoffs(settings, time.time_ns() // 1_000_000)
    report = compact(lake, settings, over=over, archive=True, days=days)
    done: dict[str, Any] = msgspec.to_builtins(report)
    print(msgspec.json.encode(done).decode(), flush=True)  # the log's one line: the lag is a metric
    return done
