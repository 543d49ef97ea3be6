"""Where followers deliver, as the contract suite sees it: what arrived, and how to make it fail.

A sink joins the suite by adding one function to `DESTINATIONS`, in a file of its own:

    @destination("s3-moto")
    @contextlib.contextmanager
    def s3(lake: LakeDir, folder: Path) -> Iterator[Destination]: …

The follower itself is made from settings (`Destination.environ`) by the product's own registry, in
the test's process or in one that is killed, so that nothing but the outside is the test's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

from lakeward.lakedir import LakeDir

Fault = Literal["none", "errors", "throttled", "timeout", "hang", "down", "refused"]
"""`errors`: 5xx; `throttled`: come back later; `timeout`: the request is taken, no answer comes in
time; `hang`: nothing is read or answered; `down`: no connection; `refused`: wrong credentials."""


class Destination(Protocol):
    """One place that a follower delivers to, with the power to fail it."""

    follower: str
    """Name of the follower in the registry, such as `s3`."""
    environ: dict[str, str]
    """Settings with which the registry makes the follower, patience included: an attempt against
    a fault must end within about a second."""
    bad: bytes | None
    """A line of JSON that this place can never take, with a valid `interaction_id` unless that is
    what is bad about it; None where every line is taken."""

    def arrived(self) -> list[dict[str, Any]]:
        """Every record that is there now, decoded, in any order; repeats as often as they are."""

    def names(self) -> list[str]:
        """Sorted names of what was made: objects, files, keys, ids of batches. The same after
        kills as without."""

    def fail(self, fault: Fault, times: int = 1 << 30) -> bool:
        """Let the next `times` requests meet the fault (`none` heals at once); False where this
        place has no such failure."""

    def close(self) -> None:
        """Leave nothing behind."""


Open = Callable[[LakeDir, Path], contextlib.AbstractContextManager[Destination]]
DESTINATIONS: dict[str, Open] = {}


def destination(name: str) -> Callable[[Open], Open]:
    """Register a destination under a name that the test's id shows."""

    def add(function: Open) -> Open:
        DESTINATIONS[name] = function
        return function

    return add
