"""What AWS cannot do at once is tried again, for about two minutes.

In: a step that may be repeated as a whole. Out: what it gives. `Transient` when it has failed so
often; what was settled before it stays so, and the next run goes on there.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

from lakeward.errors import Throttled, Transient

TRIES: Final = 9
FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 30.0

T = TypeVar("T")


class Patience:
    """Tries again, and tells why it waits, each reason once in a row."""

    def __init__(
        self, told: Callable[[str], None], sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        self._told, self._sleep, self._chance = told, sleep, chance
        self._said = ""

    def __call__(self, step: Callable[[], T]) -> T:
        """The step, until it is through."""
        for attempt in range(TRIES - 1):
            try:
                return step()
            except Transient as error:
                if str(error) != self._said:
                    self._told(str(error))
                    self._said = str(error)
                least = error.seconds if isinstance(error, Throttled) else 0.0
                wait = (0.5 + self._chance() / 2) * min(LONGEST_WAIT, FIRST_WAIT * 2.0**attempt)
                self._sleep(min(max(wait, least), LONGEST_WAIT))
        return step()
