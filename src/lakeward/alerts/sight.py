"""What one look works with: the lake as it is, the rules, the memory, and which moments count.

In: nothing. Out: `Sight`. Nothing fails.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from lakeward.alerts.memory import Memory
from lakeward.alerts.rules import Rules
from lakeward.settings import Settings

if TYPE_CHECKING:
    from lakeward.lake.reading import Reading


class Sight(msgspec.Struct, frozen=True):
    """Given to all that looks."""

    reading: Reading
    settings: Settings
    rules: Rules
    memory: Memory
    whole_ms: int
    """What happened before is taken to be in the lake."""
    recent_ms: int
    """What was over before is too old to be told."""


def moment(ms: int) -> datetime:
    """A moment as questions take it."""
    return datetime.fromtimestamp(ms / 1000, UTC)
