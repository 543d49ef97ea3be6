"""The past of a demo, as it was planned: who came before the run, and what each did when.

Structs alone; `lives.py` makes them, `chronicle.py` tells what was recorded of them, and
`annals.py` what must be in the lake.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Final

import msgspec

from lakeward.demo.acts import Act
from lakeward.demo.plan import Visitor
from lakeward.flags.evaluate import Assigned

DAY_MS: Final = 86_400_000
MINUTE_MS: Final = 60_000


class Moment(msgspec.Struct, frozen=True):
    """One act, and when its answer was asked for; ms since 1970."""

    at: int
    act: Act


class Visit(msgspec.Struct, frozen=True):
    """Acts in one go; those of staff concern a visitor's booking."""

    moments: tuple[Moment, ...]
    by_staff: bool = False

    @property
    def ends(self) -> int:
        """When everything that comes of it is over."""
        return self.moments[-1].at + MINUTE_MS


class Person(msgspec.Struct, frozen=True):
    """Somebody who came."""

    visitor: Visitor
    """With everything that is done, in the order of the plan."""
    user_id: str
    address: str
    met: Assigned | None
    """The variant of the page of matches; None where the experiment had not begun."""
    visits: tuple[Visit, ...]
    slots: tuple[str, ...] = ()
    """When the demo is, and when it is after it was moved."""

    @property
    def moments(self) -> Iterator[Moment]:
        """All that was done, the first first."""
        return (moment for visit in self.visits for moment in visit.moments)


class Outage(msgspec.Struct, frozen=True):
    """When the partners' API was switched off."""

    begins: int
    ends: int
    reads: tuple[int, ...]
    """Requests of a program that met it, besides those of contractors."""

    def covers(self, at: int) -> bool:
        """Whether a read at that moment meets it."""
        return self.begins < at < self.ends


class Past(msgspec.Struct, frozen=True, dict=True):
    """Everything before the run."""

    seed: int
    days: int
    begins: int
    until: int
    quiet_seconds: Mapping[str, float]
    outage: Outage
    spike: str
    """The day on which the coach was expensive."""
    experiment_began: int
    people: tuple[Person, ...]

    @cached_property
    def dates(self) -> list[str]:
        """The days, the first first; the last is the one on which the run began."""
        return [date_of(self.begins + n * DAY_MS) for n in range(self.days + 1)]


def date_of(ms: int) -> str:
    """The day (UTC) of a moment."""
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).date().isoformat()


def moment_of(slot: str) -> int:
    """When a half hour begins."""
    at = datetime.datetime.fromisoformat(f"{slot}:00+00:00")
    return round(at.timestamp() * 1000)
