"""How each follower fares, for `doctor`, the metrics and people.

In: what the driver met. Out: `.lakeward/cursors/NAME.state`, replaced when it changes:

    {"state":"retrying","sentence":"the webhook answers 503","since":"2025-08-14T16:11:28.677Z"}

Only the cursor counts for what was delivered: this file is not synced and may be missing.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import Literal

import msgspec

from lakeward.interaction import iso
from lakeward.lakedir import LakeDir

State = Literal["new", "running", "retrying", "stopped"]


class Condition(msgspec.Struct, frozen=True):
    """What a follower does just now, or did when its process ended."""

    state: State = "new"
    sentence: str = ""
    since: str = ""


_decode = msgspec.json.Decoder(Condition).decode


def read(lake: LakeDir, name: str) -> Condition:
    """The last word of a follower's driver."""
    try:
        return _decode((lake.private / "cursors" / f"{name}.state").read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return Condition()


def write(lake: LakeDir, name: str, condition: Condition) -> None:
    """Remember a condition unless it is the one that stands there; a full disk is no failure."""
    before = read(lake, name)
    if (before.state, before.sentence) == (condition.state, condition.sentence):
        return
    fresh = msgspec.structs.replace(condition, since=iso(time.time_ns() // 1_000_000))
    path = lake.private / "cursors" / f"{name}.state"
    temporary = path.with_suffix(f".state.{os.getpid()}")
    with contextlib.suppress(OSError):
        temporary.write_bytes(msgspec.json.encode(fresh) + b"\n")
        os.replace(temporary, path)
