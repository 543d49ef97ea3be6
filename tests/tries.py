"""How many examples a property is tried with: as many as tell something each time, and in `make
soak` `LAKEWARD_TRIES` times as many."""

from __future__ import annotations

import os

TIMES = int(os.environ.get("LAKEWARD_TRIES", "1"))


def tries(usually: int) -> int:
    """For `max_examples`."""
    return usually * TIMES
