"""pytest's fixtures for apps that use Lakeward; pytest loads this module by its entry point.

In: nothing, or a fixture `lakeward_settings` of the suite's own. Out: a frozen clock and a
collector in memory for each test that asks for them. The module stands outside the package, and
imports it when a fixture is used, so that other test runs pay nothing for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lakeward.testing import FrozenClock, MemoryCollector


@pytest.fixture
def lakeward_settings() -> Mapping[str, str]:
    """Settings of `lakeward_collector`; override it to test with others than the defaults."""
    return {}


@pytest.fixture
def lakeward_clock() -> FrozenClock:
    """The clock of `lakeward_collector`: it stands still until the test moves it."""
    from lakeward.testing import FrozenClock

    return FrozenClock()


@pytest.fixture
def lakeward_collector(
    lakeward_settings: Mapping[str, str], lakeward_clock: FrozenClock
) -> Iterator[MemoryCollector]:
    """A collector that keeps what is recorded in memory."""
    from lakeward.testing import MemoryCollector

    with MemoryCollector(lakeward_settings, now_ns=lakeward_clock) as collector:
        yield collector
