"""Which of the declared flows and outcomes were ever seen, and what was seen undeclared.

In: a lake and what `flows.toml` declares. Out: a `Coverage`: each declared step and expected
outcome with how many, first and last, and beside them what nobody declared, with the declared name
that it may be meant for. A declared step counts whatever its status is. Fails as a reading does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

from lakeward.catalog import TYPES
from lakeward.flows import Flow, Flows
from lakeward.interaction import iso
from lakeward.lake.reading import open_reading
from lakeward.lakedir import LakeDir
from lakeward.settings import Settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOST: Final = 10_000
"""Names of one kind that are looked at, the most frequent first: visitors may make them up."""
DAY_MS: Final = 86_400_000
LIKENESS: Final = 0.75
OWN: Final = frozenset({"flow_step", "flow_completion"})
"""Outcomes that the flows themselves are told with."""
State: TypeAlias = Literal["seen", "stale", "never"]


class Seen(msgspec.Struct, frozen=True):
    """How often, and when first and last (ms since 1970)."""

    count: int = 0
    first_ms: int | None = None
    last_ms: int | None = None


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A step or an outcome type."""

    name: str
    declared: bool
    state: State
    count: int
    first: str | None
    last: str | None
    like: str = ""
    """The declared name that an undeclared one may be meant for."""


class FlowCoverage(msgspec.Struct, frozen=True, kw_only=True):
    """A flow: its declared steps in their order, then those that nobody declared."""

    name: str
    declared: bool
    steps: tuple[Item, ...]
    completed: int
    abandoned: int
    like: str = ""


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """All of it; `missing` names what was declared and not seen, or not within `days`."""

    days: float | None
    flows: tuple[FlowCoverage, ...]
    outcomes: tuple[Item, ...]
    missing: tuple[str, ...]


def coverage(
    lake: LakeDir, settings: Settings, flows: Flows, *, now_ms: int, days: float | None = None
) -> Coverage:
    """Look at table and log together."""
    with open_reading(lake, settings) as reading:
        types = _types(reading.con)
        steps = _steps(reading.con)
        ends = _ends(reading.con)
    since = None if days is None else now_ms - round(days * DAY_MS)
    declared = tuple(
        _flow(flow.name, flow, steps.get(flow.name, {}), ends, since) for flow in flows.flows
    )
    names = [flow.name for flow in flows.flows]
    others = sorted((steps.keys() | ends.keys()) - set(names))
    undeclared = tuple(
        _flow(name, None, steps.get(name, {}), ends, since, like=_like(name, names))
        for name in others
    )
    outcomes = tuple(_outcomes(flows.expected, types, since))
    gaps = [f"{f.name}.{i.name}" for f in declared for i in f.steps if _is_gap(i)]
    gaps += [item.name for item in outcomes if _is_gap(item)]
    return Coverage(
        days=days, flows=(*declared, *undeclared), outcomes=outcomes, missing=tuple(gaps)
    )


def _types(con: DuckDBPyConnection) -> dict[str, Seen]:
    rows = con.execute(
        "SELECT interaction_type, count(*), min(epoch_ms(timestamp)), max(epoch_ms(timestamp)) "
        f"FROM interactions GROUP BY 1 ORDER BY 2 DESC LIMIT {MOST}"
    ).fetchall()
    return {name: Seen(*seen) for name, *seen in rows}


def _steps(con: DuckDBPyConnection) -> dict[str, dict[str, Seen]]:
    rows = con.execute(
        "SELECT outcomes->>'$.flow', outcomes->>'$.step', count(*), "
        "min(epoch_ms(timestamp)), max(epoch_ms(timestamp)) FROM flow_step "
        f"GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT {MOST}"
    ).fetchall()
    found: dict[str, dict[str, Seen]] = {}
    for flow, step, *seen in rows:
        if flow is not None and step is not None:
            found.setdefault(flow, {})[step] = Seen(*seen)
    return found


def _ends(con: DuckDBPyConnection) -> dict[str, tuple[int, int]]:
    """Completed and abandoned of each flow."""
    abandoned = "count(*) FILTER (outcomes->>'$.status' = 'abandoned')"
    rows = con.execute(
        f"SELECT outcomes->>'$.flow', count(*) - {abandoned}, {abandoned} FROM flow_completion "
        f"GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT {MOST}"
    ).fetchall()
    return {name: (done, left) for name, done, left in rows if name is not None}


def _flow(
    name: str,
    flow: Flow | None,
    seen: Mapping[str, Seen],
    ends: Mapping[str, tuple[int, int]],
    since: int | None,
    like: str = "",
) -> FlowCoverage:
    steps = () if flow is None else flow.steps
    items = [_item(step, seen.get(step, Seen()), since, declared=True) for step in steps]
    others = sorted(seen.keys() - set(steps))
    items += [
        _item(step, seen[step], since, declared=False, like=_like(step, steps)) for step in others
    ]
    completed, abandoned = ends.get(name, (0, 0))
    return FlowCoverage(
        name=name, declared=flow is not None, steps=tuple(items), completed=completed,
        abandoned=abandoned, like=like,
    )  # fmt: skip


def _outcomes(
    expected: tuple[str, ...], types: Mapping[str, Seen], since: int | None
) -> Iterable[Item]:
    """The expected ones, then all others of the catalog, then what looks like a slip of them."""
    known = [name for name, spec in TYPES.items() if spec.outcome]
    for name in expected:
        yield _item(name, types.get(name, Seen()), since, declared=True)
    for name in known:
        if name not in expected and name not in OWN:
            yield _item(name, types.get(name, Seen()), since, declared=False)
    for name in sorted(types.keys() - TYPES.keys() - set(expected)):
        if like := _like(name, (*expected, *known)):
            yield _item(name, types[name], since, declared=False, like=like)


def _item(name: str, seen: Seen, since: int | None, *, declared: bool, like: str = "") -> Item:
    state: State = "seen"
    if not seen.count:
        state = "never"
    elif since is not None and (seen.last_ms is None or seen.last_ms < since):
        state = "stale"
    return Item(
        name=name, declared=declared, state=state, count=seen.count, like=like,
        first=None if seen.first_ms is None else iso(seen.first_ms),
        last=None if seen.last_ms is None else iso(seen.last_ms),
    )  # fmt: skip


def _is_gap(item: Item) -> bool:
    return item.declared and item.state != "seen"


def _like(name: str, declared: Iterable[str]) -> str:
    """The declared name that is meant, where one is near."""
    folded = {other.lower().replace("-", "_").replace(" ", "_"): other for other in declared}
    word = name.lower().replace("-", "_").replace(" ", "_")
    near = get_close_matches(word, folded, n=1, cutoff=LIKENESS)
    return folded[near[0]] if near else ""
