"""The Lambda that compacts: the raw archive of all hosts into the table, on a schedule.

In: an event, `{"days": 3}` to list the last days only, else all of them. Out: what was done, as
`lakeward compact --format json` prints it; `unfinished` says that time ran out: what is committed
stays, and the next run goes on from the table's own word, as it does when this one is killed.
Whatever fails is raised, so that the schedule counts it and tries again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import msgspec

from lakeward.cli.compact import compact
from lakeward.errors import Terminal
from lakeward.lakedir import open_lake
from lakeward.retention import cutoffs
from lakeward.settings import MIB, Settings, load

LAST_SECONDS: Final = 120.0
"""Nothing is begun in them: a slice of the archive, or files merged into one, takes some seconds on
a small function, and minutes where other hosts commit all the time."""
SHARE: Final = 0.5
"""Of a function whose whole time is short, this much may pass."""
BESIDE: Final = 256 * MIB
"""Of the function's memory, for what the limit of a compaction does not count: code and files."""
LEAST: Final = 768 * MIB
"""As the setting has it."""


class Context(Protocol):
    """What Lambda says of an invocation."""

    @property
    def memory_limit_in_mb(self) -> str | int:
        """The size of the function."""

    def get_remaining_time_in_millis(self) -> int:
        """Until the process is killed."""


def handler(event: Mapping[str, Any] | None, context: Context | None = None) -> dict[str, Any]:
    """What Lambda calls."""
    days = (event or {}).get("days")
    if days is not None and not (isinstance(days, int) and 1 <= days <= 3650):
        raise Terminal("`days` of the event must be a whole number from 1 to 3650")
    settings = fitted(load(os.environ), context)
    if not settings.table.startswith("s3://"):
        raise Terminal("the table must be in S3: set LAKEWARD_TABLE=s3://bucket/prefix")
    lake = open_lake(settings.lake_dir)
    over = cutoffs(settings, time.time_ns() // 1_000_000)
    report = compact(
        lake, settings, over=over, archive=True, days=days, enough=out_of_time(context)
    )
    done: dict[str, Any] = msgspec.to_builtins(report)
    print(msgspec.json.encode(done).decode(), flush=True)  # the log's one line: the lag is a metric
    return done


def fitted(settings: Settings, context: Context | None) -> Settings:
    """With no more memory for compaction than the function has."""
    if context is None:
        return settings
    room = max(int(context.memory_limit_in_mb) * MIB - BESIDE, LEAST)
    return msgspec.structs.replace(settings, compact_memory=min(settings.compact_memory, room))


def out_of_time(context: Context | None) -> Callable[[], bool]:
    """Whether so little time is left that nothing may be begun."""
    if context is None:
        return lambda: False
    last_ms = min(LAST_SECONDS * 1000, context.get_remaining_time_in_millis() * SHARE)
    return lambda: context.get_remaining_time_in_millis() <= last_ms
