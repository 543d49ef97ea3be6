"""The collector of everything that was given none: one per process, made on first use.

In: nothing, or the application's own collector by `use`. Out: the same collector each time. No
import makes one, so a decorator in a module costs nothing until its function runs; forked children
go on with their own ring, as any collector does.
"""

from __future__ import annotations

from lakeward.collector import Collector

_made: dict[str, Collector] = {}


def collector() -> Collector:
    """The shared collector; `Collector.from_env()` makes it, which never raises.

    Without a lock, so that no fork can find it held: of two that are made at once one is kept.
    """
    found = _made.get("it")
    return _made.setdefault("it", Collector.from_env()) if found is None else found


def use(given: Collector | None) -> None:
    """Share this collector from now on; None makes a new one on next use."""
    if given is None:
        _made.clear()
    else:
        _made["it"] = given
