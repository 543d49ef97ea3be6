"""What a question is about and how it is broken down: times, a zone, filters, dimensions.

In: names and values of whoever asks. Out: pieces of SQL, whose identifiers come from a registry of
dimensions and whose values are parameters. Fails with `Rejected` naming the parameter.
"""

from __future__ import annotations

import functools
import zoneinfo
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from lakeward.analysis.question import Column, Kind, Row, Value, says
from lakeward.errors import Rejected

MOST_DIMENSIONS = 6


class Dimension(msgspec.Struct, frozen=True):
    """A way to break an answer down."""

    sql: str
    doc: str
    kind: Kind = "text"


Dimensions = Mapping[str, Dimension]


def days(at: str) -> dict[str, Dimension]:
    """The calendar's dimensions of a moment, in the zone that is asked for."""
    local = f"{at} AT TIME ZONE $zone"
    hour = f"epoch_ms({at}) - (epoch_ms({local}) % 3600000)"  # of two hours where clocks go back
    return {
        "hour": Dimension(f"make_timestamptz(({hour}) * 1000)", "Hour in the zone.", "time"),
        "day": Dimension(f"CAST({local} AS DATE)", "Day in the zone.", "date"),
        "week": Dimension(
            f"CAST(date_trunc('week', {local}) AS DATE)", "Monday of the week.", "date"
        ),
        "month": Dimension(
            f"CAST(date_trunc('month', {local}) AS DATE)", "First day of the month.", "date"
        ),
    }


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters that questions have in common."""

    by: Annotated[tuple[str, ...], says("Dimensions that break the answer down.")] = ()
    since: Annotated[datetime | None, says("The first moment that counts.")] = None
    until: Annotated[datetime | None, says("The first moment that counts no more.")] = None
    zone: Annotated[str, says("The time zone whose days are meant.")] = "UTC"
    only: Annotated[
        dict[str, tuple[str, ...]], says("Dimension → values, one of which it must have.")
    ] = {}

    def finish(self, rows: list[Row]) -> list[Row]:
        """As the statement gave them."""
        return rows


def check(scope: Scope, dimensions: Dimensions) -> None:
    """Refuse what cannot be asked."""
    for parameter, names in (("by", scope.by), ("only", scope.only)):
        for name in names:
            if name not in dimensions:
                raise Rejected(
                    f"`{parameter}`: {name[:40]!r} is no dimension here: take one of "
                    f"{', '.join(dimensions)}."
                )
    if len(set(scope.by)) < len(scope.by) or len(scope.by) > MOST_DIMENSIONS:
        raise Rejected(f"`by` takes {MOST_DIMENSIONS} different dimensions at most.")
    if not all(scope.only.values()):
        raise Rejected("`only` needs a value for each of its dimensions.")
    check_times(scope.since, scope.until, scope.zone)


def check_times(since: datetime | None, until: datetime | None, zone: str) -> None:
    """Refuse times that are none."""
    for parameter, moment in (("since", since), ("until", until)):
        if moment is not None and moment.tzinfo is None:
            raise Rejected(f"`{parameter}` must have a zone, such as 2026-11-01T00:00:00Z.")
    if since and until and since >= until:
        raise Rejected("`until` must be after `since`.")
    if zone not in _zones():
        raise Rejected(f"`zone`: {zone[:40]!r} is no time zone such as Europe/Lisbon.")


@functools.cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def columns_of(scope: Scope, dimensions: Dimensions) -> tuple[Column, ...]:
    """The columns of the dimensions that break it down."""
    return tuple(
        Column(name, dimensions[name].kind, dimensions[name].doc) for name in scope.by
    )  # fmt: skip


def selected(scope: Scope, dimensions: Dimensions) -> str:
    """Their select items, each followed by a comma."""
    return "".join(f'{dimensions[name].sql} AS "{name}", ' for name in scope.by)


def listed(scope: Scope, relation: str = "") -> str:
    """Their names, each followed by a comma."""
    prefix = f"{relation}." if relation else ""
    return "".join(f'{prefix}"{name}", ' for name in scope.by)


def grouped(scope: Scope) -> str:
    """The clause that makes a row of each; without dimensions all is one row, or none.

    Dimensions are named by their places: a name may be that of a column, too.
    """
    places = ", ".join(str(place) for place in range(1, len(scope.by) + 1))
    return f"GROUP BY {places}" if places else "HAVING count(*) > 0"


def same(scope: Scope, left: str, right: str) -> str:
    """The condition that two relations mean the same row."""
    return (
        " AND ".join(f'{left}."{name}" IS NOT DISTINCT FROM {right}."{name}"' for name in scope.by)
        or "TRUE"
    )


def ordered(scope: Scope, dimensions: Dimensions, measure: str) -> str:
    """By time where time comes first, else by what was measured, the most first."""
    keys = [f"{place} NULLS LAST" for place in range(1, len(scope.by) + 1)]
    if not scope.by or dimensions[scope.by[0]].kind not in ("date", "time"):
        keys.insert(0, f"{measure} DESC NULLS LAST")
    return "ORDER BY " + ", ".join(keys)


def where(scope: Scope, dimensions: Dimensions, at: str) -> str:
    """The condition of times and filters."""
    terms = ["TRUE"]
    if scope.since is not None:
        terms.append(f"{at} >= $since")
    if scope.until is not None:
        terms.append(f"{at} < $until")
    for n, (name, values) in enumerate(scope.only.items()):
        wanted = ", ".join(f"$only_{n}_{m}" for m in range(len(values)))
        terms.append(f"CAST({dimensions[name].sql} AS VARCHAR) IN ({wanted})")
    return " AND ".join(terms)


def parameters(scope: Scope, dimensions: Dimensions, **more: Value) -> dict[str, Value]:
    """The values of all pieces."""
    found: dict[str, Value] = dict(more)
    for parameter, moment in (("since", scope.since), ("until", scope.until)):
        if moment is not None:
            found[parameter] = moment.astimezone(UTC)
    for n, values in enumerate(scope.only.values()):
        found |= {f"only_{n}_{m}": value for m, value in enumerate(values)}
    used: Sequence[str] = (*scope.by, *scope.only)
    if any("$zone" in dimensions[name].sql for name in used):
        found["zone"] = scope.zone
    return found
