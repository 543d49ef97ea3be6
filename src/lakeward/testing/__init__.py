"""For the test suites of apps that use Lakeward: a collector in memory, a clock, assertions.

In: an app that takes its collector as an argument. Out: what it recorded, without a lake. The
fixtures for pytest are in `lakeward_pytest`.
"""

from lakeward.testing.clock import FrozenClock
from lakeward.testing.matching import ABSENT, ANY
from lakeward.testing.memory import MemoryCollector
from lakeward.testing.recorded import assert_not_recorded, assert_recorded, recorded

__all__ = [
    "ABSENT",
    "ANY",
    "FrozenClock",
    "MemoryCollector",
    "assert_not_recorded",
    "assert_recorded",
    "recorded",
]
