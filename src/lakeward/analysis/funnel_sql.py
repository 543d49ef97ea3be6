"""The SQL of funnels, in the form that every engine takes: windows over the units' interactions.

In: a checked `Funnel`. Out: statements. Pure.

    e     one row for each interaction that is a step (all of them when strict): unit u, time t,
          its place among those of one millisecond, m1 … mn: whether it is of that step
    w     a<k>: the latest start from which this row reaches step k in time; p<k>: when that way was
          at the step before. Starts only grow with time, so the latest row that reaches a step has
          the latest start of all, and stands for all of them.
    reach one row for each unit (and held values): t<k>, a<k>, p<k> of the first row that reaches k
    way   one row for each unit: level, start, and the times
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lakeward.analysis.events import Source
from lakeward.analysis.filters import fields_of
from lakeward.analysis.funnel import overlaps
from lakeward.analysis.question import Sql

if TYPE_CHECKING:
    from lakeward.analysis.funnel import Funnel, FunnelTimes, FunnelUnits

BEFORE: Final = "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"


class Ways:
    """One statement under way."""

    def __init__(self, funnel: Funnel, *, quick: bool = False) -> None:
        self.funnel = funnel
        self.source = Source(funnel, quick=quick)
        self.n = len(funnel.steps)
        self.within = self.source.values(funnel.within_ms)
        self.keys = ["u", *(f"h{k}" for k in range(1, len(funnel.hold) + 1))]
        self.part = f"PARTITION BY {', '.join(self.keys)}"
        self.apart = funnel.order == "ordered" and overlaps(funnel.steps)
        """Whether a row must be kept from being two steps in a row."""

    def ways(self) -> str:
        """`WITH` … up to the relation `way`."""
        parts = [*self.rows(), self._way()]
        if self.funnel.by:
            parts.append(self._started())
        return "WITH " + ",\n".join(parts)

    def rows(self) -> list[str]:
        """The relations up to `reach`."""
        order = self.funnel.order
        rows = {"ordered": self._ordered, "strict": self._strict, "any": self._any}[order]()
        return [self._events(), *rows, self._reach()]

    def _events(self) -> str:
        funnel, source = self.funnel, self.source
        unit, known = source.unit(funnel.unit)
        terms = [f"{source.of_type(s.event)} AND {source.condition(s.where)}" for s in funnel.steps]
        shown = [f"{unit} AS u", f"{source.ms} AS t", "i.interaction_id AS id"]
        shown += [f"{source.field(name).sql} AS h{k}" for k, name in enumerate(funnel.hold, 1)]
        shown += [f"{source.field(name).sql} AS b{k}" for k, name in enumerate(funnel.by, 1)]
        shown += [f"({term}) AS m{k}" for k, term in enumerate(terms, 1)]
        for k, out in enumerate(funnel.exclude, 1):
            terms.append(f"{source.of_type(out.event)} AND {source.condition(out.where)}")
            shown.append(f"({terms[-1]}) AS x{k}")
        wanted = [] if funnel.order == "strict" else [f"({' OR '.join(f'({t})' for t in terms)})"]
        where = source.where(*wanted, known)
        return f"e AS (SELECT {', '.join(shown)} FROM {self.relation} WHERE {where})"

    @property
    def relation(self) -> str:
        """The view that has every field which the funnel names."""
        funnel = self.funnel
        steps = (*funnel.steps, *funnel.exclude)
        named = [f for step in steps for f in fields_of(step.where)]
        return self.source.relation(funnel.unit, *funnel.hold, *funnel.by, *named)

    def _latest(self, value: str) -> str:
        """The greatest `value` of a row not later than this one, and not this one where steps may
        overlap."""
        if not self.apart:
            return f"max({value}) OVER ({self.part} ORDER BY t)"
        earlier = f"max({value}) OVER ({self.part} ORDER BY t, id {BEFORE})"
        beside = f"max({value}) OVER ({self.part}, t ORDER BY id DESC {BEFORE})"
        return f"greatest(coalesce({earlier}, {beside}), coalesce({beside}, {earlier}))"

    def _ordered(self) -> list[str]:
        flags = [f"m{k}" for k in range(1, self.n + 1)]
        keep = ", ".join(("t", *self.keys, *flags))
        barred = self._barred()
        lasts = "".join(f", {sql} AS last{k}" for k, sql in barred.items())
        more = "".join(f", last{k}" for k in barred)
        ids = ", id" if self.apart else ""
        found = [
            f"w1 AS (SELECT {keep}{ids}{lasts}, CASE WHEN m1 THEN t END AS a1, "
            "CAST(NULL AS BIGINT) AS p1 FROM e)"
        ]
        for k in range(2, self.n + 1):
            done = "".join(f", a{j}, p{j}" for j in range(1, k))
            latest = (
                f"SELECT {keep}{ids}{more}{done}, {self._latest(f'a{k - 1}')} AS s, "
                f"{self._latest(f'CASE WHEN a{k - 1} IS NOT NULL THEN t END')} AS p FROM w{k - 1}"
            )
            open_ = f" AND (last{k - 1} IS NULL OR p >= last{k - 1})" if k - 1 in barred else ""
            reaches = f"m{k} AND t - s <= {self.within}{open_}"
            found.append(
                f"w{k} AS (SELECT {keep}{ids}{more}{done}, CASE WHEN {reaches} THEN s END AS a{k}, "
                f"CASE WHEN {reaches} THEN p END AS p{k} FROM ({latest}) v{k})"
            )
        return found

    def _barred(self) -> dict[int, str]:
        """By step: the last moment, before this row's, of what must not happen after it."""
        return {
            step: f"max(CASE WHEN {flags} THEN t END) OVER ({self.part} ORDER BY t "
            "RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
            for step, flags in self.barring().items()
        }

    def barring(self) -> dict[int, str]:
        """By step: the condition, over a row of `e`, of what must not happen after it."""
        by_step: dict[int, list[str]] = {}
        for k, out in enumerate(self.funnel.exclude, 1):
            for step in range(1, self.n) if out.after is None else (out.after,):
                by_step.setdefault(step, []).append(f"x{k}")
        return {step: " OR ".join(flags) for step, flags in by_step.items()}

    def _strict(self) -> list[str]:
        flags = [f"m{k}" for k in range(1, self.n + 1)]
        keep = ", ".join(("t", *self.keys, *flags, "place", "id"))
        cases = " ".join(f"WHEN m{k} THEN {k}" for k in range(1, self.n + 1))
        place = f"CASE {cases} ELSE {self.n + 1} END AS place"
        shown = ", ".join(("t", *self.keys, *flags, place, "id"))
        found = [
            f"w1 AS (SELECT {shown}, CASE WHEN m1 THEN t END AS a1, CAST(NULL AS BIGINT) AS p1 "
            "FROM e)"
        ]
        window = f"OVER ({self.part} ORDER BY t, place, id)"
        for k in range(2, self.n + 1):
            done = "".join(f", a{j}, p{j}" for j in range(1, k))
            latest = (
                f"SELECT {keep}{done}, lag(a{k - 1}) {window} AS s, lag(t) {window} AS p "
                f"FROM w{k - 1}"
            )
            reaches = f"m{k} AND t - s <= {self.within}"
            found.append(
                f"w{k} AS (SELECT {keep}{done}, CASE WHEN {reaches} THEN s END AS a{k}, "
                f"CASE WHEN {reaches} THEN p END AS p{k} FROM ({latest}) v{k})"
            )
        return found

    def _any(self) -> list[str]:
        """Of each row, the last moments of all steps; sorted, the k-th latest one is the start of
        a way through k steps that ends here."""
        numbers = range(1, self.n + 1)
        lasts = ", ".join(
            f"max(CASE WHEN m{k} THEN t END) OVER ({self.part} ORDER BY t) AS l{k}" for k in numbers
        )
        rank = [
            f"{' + '.join(self._ahead(k, j) for j in numbers if j != k)} + 1 AS r{k}"
            for k in numbers
        ]
        starts = []
        for k in numbers:
            start = "coalesce(" + ", ".join(f"CASE WHEN r{j} = {k} THEN l{j} END" for j in numbers)
            starts.append(f"{start}, NULL) AS z{k}")
        keys = ", ".join(("t", *self.keys))
        ways = []
        for k in numbers:
            inside = f"t - z{k} <= {self.within}"
            before = f"CASE WHEN {inside} THEN z2 END" if k > 1 else "CAST(NULL AS BIGINT)"
            ways.append(f"CASE WHEN {inside} THEN z{k} END AS a{k}, {before} AS p{k}")
        return [
            f"w0 AS (SELECT {keys}, {lasts} FROM e)",
            f"r0 AS (SELECT *, {', '.join(rank)} FROM w0)",
            f"z0 AS (SELECT {keys}, {', '.join(starts)} FROM r0)",
            f"w{self.n} AS (SELECT {keys}, {', '.join(ways)} FROM z0)",
        ]

    @staticmethod
    def _ahead(k: int, j: int) -> str:
        """1 when step j was done later than step k, the lower number first at one moment."""
        later = ">=" if j < k else ">"
        return (
            f"CASE WHEN l{j} IS NOT NULL AND (l{k} IS NULL OR l{j} {later} l{k}) THEN 1 ELSE 0 END"
        )

    def _reach(self) -> str:
        keys = ", ".join(self.keys)
        columns = []
        first = f"w{self.n}"
        if self.apart or self.funnel.order == "strict":  # rows of one millisecond may differ
            most = ", ".join(f"max(a{k}) AS a{k}, max(p{k}) AS p{k}" for k in range(1, self.n + 1))
            first = f"(SELECT t, {keys}, {most} FROM w{self.n} GROUP BY t, {keys}) g"
        for k in range(1, self.n + 1):
            there = f"CASE WHEN a{k} IS NOT NULL THEN t END"
            columns += [
                f"min({there}) AS t{k}", f"min_by(a{k}, {there}) AS a{k}",
                f"min_by(p{k}, {there}) AS p{k}",
            ]  # fmt: skip
        return (
            f"reach AS (SELECT {keys}, {', '.join(columns)} FROM {first} GROUP BY {keys} "
            "HAVING count(a1) > 0)"
        )

    def _way(self) -> str:
        levels = " ".join(f"WHEN t{k} IS NOT NULL THEN {k}" for k in range(self.n, 1, -1))
        starts = " ".join(f"WHEN t{k} IS NOT NULL THEN a{k}" for k in range(self.n, 1, -1))
        ends = " ".join(f"WHEN t{k} IS NOT NULL THEN t{k}" for k in range(self.n, 1, -1))
        times = [f"t{k}, a{k}, p{k}" for k in range(2, self.n + 1)]
        keys = ", ".join(self.keys)
        one = (
            f"SELECT {keys}, CASE {levels} ELSE 1 END AS level, "
            f"CASE {starts} ELSE a1 END AS start, "
            f"CASE {ends} ELSE t1 END AS reached, {', '.join(times)} FROM reach"
        )
        if not self.funnel.hold:
            return f"way AS ({one})"
        held = ", ".join(f"h{k}" for k in range(1, len(self.funnel.hold) + 1))
        return (
            f"ways AS ({one}),\nway AS (SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY u "
            f"ORDER BY level DESC, reached, start DESC, {held}) AS choice FROM ways) c "
            "WHERE choice = 1)"
        )

    def _started(self) -> str:
        """`way` with the fields of the interaction at its start."""
        numbers = range(1, len(self.funnel.by) + 1)
        same = " AND ".join(
            f"w.{key} = e.{key}" if key == "u" else f"w.{key} IS NOT DISTINCT FROM e.{key}"
            for key in self.keys
        )
        steps = "e.m1" if self.funnel.order != "any" else "TRUE"
        return (
            f"started AS (SELECT * FROM (SELECT w.*, {', '.join(f'e.b{k}' for k in numbers)}, "
            f"row_number() OVER (PARTITION BY w.u ORDER BY e.id) AS nth FROM way w JOIN e "
            f"ON {same} AND e.t = w.start AND {steps}) c WHERE nth = 1)"
        )

    @property
    def last(self) -> str:
        """The relation with one row for each unit."""
        return "started" if self.funnel.by else "way"


def statement(funnel: Funnel, build: Ways) -> Sql:
    """A row for each step and combination."""
    text = build.ways()
    by = [f"b{k}" for k in range(1, len(funnel.by) + 1)]
    wide = [*by]
    for k in range(1, build.n + 1):
        wide.append(f"count(CASE WHEN level >= {k} THEN 1 END) AS n{k}")
        if k > 1:
            for name, time in (("d", f"(t{k} - p{k})"), ("f", f"(t{k} - a{k})")):
                wide.append(f"quantile_cont({time} / 1e3, 0.5) AS {name}m{k}")
                wide.append(f"quantile_cont({time} / 1e3, 0.9) AS {name}p{k}")
    group = f" GROUP BY {', '.join(by)}" if by else ""
    text += f",\nwide AS (SELECT {', '.join(wide)} FROM {build.last}{group})"
    shown = "".join(f'b{k} AS "{name}", ' for k, name in enumerate(funnel.by, 1))
    rows = []
    for k, step in enumerate(funnel.steps, 1):
        times = ", ".join(f"{n}{k}" if k > 1 else "NULL" for n in ("dm", "dp", "fm", "fp"))
        before = f"n{k - 1}" if k > 1 else "n1"
        rows.append(
            f"SELECT {shown}{k} AS step, {build.source.values(step.name)} AS name, n{k} AS users, "
            f"n{k} * 1e0 / nullif(n1, 0) AS conversion, "
            f"n{k} * 1e0 / nullif({before}, 0) AS conversion_from_previous, "
            f"{before} - n{k} AS dropped, {_named(times, k)}, n1 AS entered FROM wide"
        )
    columns = ", ".join(f'"{column.name}"' for column in funnel.columns())
    order = "".join(f'"{name}" NULLS LAST, ' for name in funnel.by)
    first = "entered DESC, " if funnel.by else ""
    calendar = bool(funnel.by) and funnel.columns()[0].kind in ("date", "time")
    text += (
        f"\nSELECT {columns} FROM ({' UNION ALL '.join(rows)}) r\n"
        f"ORDER BY {'' if calendar else first}{order}step"
    )
    return Sql(text, build.source.parameters)


def _named(times: str, k: int) -> str:
    names = ("median_seconds", "p90_seconds", "median_seconds_from_start", "p90_seconds_from_start")
    each = times.split(", ")
    if k == 1:
        each = ["CAST(NULL AS DOUBLE)"] * 4
    return ", ".join(f"{sql} AS {name}" for sql, name in zip(each, names, strict=True))


def units(funnel: FunnelUnits, build: Ways) -> Sql:
    """A row for each unit, the last started first."""
    text = build.ways()
    shown = "".join(f', b{k} AS "{name}"' for k, name in enumerate(funnel.by, 1))
    sign = "=" if funnel.dropped and funnel.step < build.n else ">="
    text += (
        f"\nSELECT CAST(u AS VARCHAR) AS unit{shown}, level AS reached, "
        "make_timestamptz(start * 1000) AS started_at, make_timestamptz(reached * 1000) AS "
        f"reached_at FROM {build.last} WHERE level {sign} {funnel.step}\n"
        f"ORDER BY start DESC, u LIMIT {funnel.limit}"
    )
    return Sql(text, build.source.parameters)


def times(funnel: FunnelTimes, build: Ways) -> Sql:
    """A row for each bin that holds somebody."""
    text = build.ways()
    n, bins = build.n, funnel.bins
    text += (
        f",\ntook AS (SELECT (t{n} - a{n}) / 1e3 AS s FROM way WHERE t{n} IS NOT NULL), "
        "ends AS (SELECT min(s) AS low, CASE WHEN max(s) > min(s) THEN (max(s) - min(s)) "
        f"ELSE 1e0 END / {bins} AS width FROM took), placed AS (SELECT low, width, "
        f"least(CAST(floor((s - low) / width) AS INTEGER), {bins - 1}) AS bin FROM took, ends)\n"
        "SELECT low + bin * width AS from_seconds, low + (bin + 1) * width AS to_seconds, "
        "count(*) AS users FROM placed GROUP BY low, width, bin ORDER BY 1"
    )
    return Sql(text, build.source.parameters)
