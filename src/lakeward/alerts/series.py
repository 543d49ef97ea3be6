"""Series: what is counted of the lake in each bucket of time, all of it in one pass.

In: a stretch of time and the length of a bucket. Out: a row for each bucket and each *group* (a
route, a type, a step of a flow, a model, a partner) in which something happened, and what series a
group has. Fails as a question does.

    routes    route:/api/partners calls | errors | p95     calls of everybody
    types     type:page_view                               without bots and the team's own traffic
              type:page_view@shop/production               … of each app, where there are several
    steps     step:contractor/focus_areas, … entered       one for each status
              flow:contractor completed
    ai_cost   ai:gpt-4o cost, ai cost                      of everybody
    partners  partner:p9 partner_match | demo_booking | … | rating

The record's moment says which bucket it is in. Alarms (`anomaly`) are no series, and neither are
abandonments that Lakeward concluded, as they are told long after their moment. The AI cost is what
records say, those that were told twice included. A group is known by templates, types and ids of
business partners: nothing of a person is in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal

import msgspec

from lakeward.alerts.rules import Group
from lakeward.analysis.anomaly.verdict import Direction, Kind
from lakeward.analysis.events import Events, Source
from lakeward.analysis.question import Column, Row, Sql, says

LONGEST_KEY: Final = 90
"""Letters of a name: a longer one is none that a person gave."""
MOST_GROUPS: Final = 20_000
ENOUGH: Final = 10
"""Calls in a bucket from which a share or a percentile says something."""


UNASKED: Final = "CAST(NULL AS BIGINT)"
COUNTED: Final = "CAST(sum(i.n) AS BIGINT)"
KIND: Final = (
    "w.at, w.type, w.place, w.route, w.partner_id, w.flow, w.step, w.status, w.derived, w.model, "
    "CASE WHEN w.amount IS NOT NULL THEN 1 END AS amount, w.counted"
)
"""What families look at, of the narrow rows."""


class Track(msgspec.Struct, frozen=True):
    """One series of a group."""

    name: str
    measure: Literal["count", "share", "amount"]
    kind: Kind
    unit: str
    direction: Direction = "both"
    least: int = 0
    """How many must be in a bucket, for a measure to be one."""
    zero: bool = True
    """Whether a bucket in which nothing came counts as 0; else it says nothing."""


class Family(msgspec.Struct, frozen=True):
    """A kind of groups: its names as SQL over the narrow rows `i`, and its series."""

    group: Group | None
    """None: it is asked for always, to know of moments in which there was nothing at all."""
    first: str
    second: str
    condition: str
    tracks: tuple[Track, ...]
    count: str = "count(*)"
    part: str = UNASKED
    whole: str = UNASKED
    amount: str = "CAST(NULL AS DOUBLE)"


COUNT: Final = Track("", "count", "count", "interactions")
COST: Final = Track("cost", "amount", "value", "USD", "up")
PARTNERED: Final = (
    "i.type IN ('partner_match', 'deal_closed', 'feedback_submission', 'content_interaction') "
    "OR (i.type = 'demo_booking' AND i.status = 'booked')"
)
ALL: Final = "all"
FAMILIES: Final[dict[str, Family]] = {
    ALL: Family(None, "''", "''", "TRUE", ()),
    "route": Family(
        "routes", "i.route", "''", "i.type = 'api_call'",
        (
            Track("calls", "count", "count", "calls"),
            Track("errors", "share", "rate", "0 to 1", "up", ENOUGH, zero=False),
            Track("p95", "amount", "latency", "ms", "up", ENOUGH, zero=False),
        ),
        part="count(*) FILTER (WHERE i.response_status >= 500)",
        whole="count(i.response_status)",
        amount="quantile_disc(i.response_time_ms, 0.95)",
    ),
    "type": Family("types", "i.type", "''", "i.counted", (COUNT,)),
    "place": Family("types", "i.type", "i.place", "i.counted", (COUNT,)),
    "step": Family(
        "steps", "i.flow", "i.step || CASE WHEN i.status = 'completed' THEN '' "
        "ELSE ' ' || i.status END", "i.type = 'flow_step' AND i.counted", (COUNT,),
    ),
    "flow": Family(
        "steps", "i.flow", "i.status",
        "i.type = 'flow_completion' AND i.counted AND NOT i.derived", (COUNT,),
    ),
    "model": Family(
        "ai_cost", "i.model", "''", "i.type = 'ai_conversation' AND i.amount IS NOT NULL",
        (COST,), amount="sum(i.amount)",
    ),
    "ai": Family(
        "ai_cost", "''", "''", "i.type = 'ai_conversation' AND i.amount IS NOT NULL",
        (COST,), amount="sum(i.amount)",
    ),
    "partner": Family("partners", "i.partner_id", "i.type", f"i.counted AND ({PARTNERED})",
                      (COUNT,)),
    "rating": Family(
        "partners", "i.partner_id", "''",
        "i.counted AND i.type = 'feedback_submission' AND i.amount IS NOT NULL",
        (Track("rating", "amount", "value", "1 to 10", "down", 1, zero=False),),
        amount="avg(i.amount)",
    ),
}  # fmt: skip
NAMES: Final = {
    ALL: "all", "route": "route:{a}", "type": "type:{a}", "place": "type:{a}@{b}",
    "step": "step:{a}/{b}", "flow": "flow:{a} {b}", "model": "ai:{a}", "ai": "ai",
    "partner": "partner:{a} {b}", "rating": "partner:{a}",
}  # fmt: skip


class Found(msgspec.Struct, frozen=True):
    """A row of the answer: a group in a bucket."""

    family: str
    a: str
    b: str
    at: int
    """Start of the bucket, in milliseconds."""
    count: int
    part: int | None
    whole: int | None
    amount: float | None
    first: int
    """Moment of the first one."""

    @property
    def name(self) -> str:
        """What the keys of its series begin with."""
        return NAMES[self.family].format(a=self.a or "(none)", b=self.b)

    def measures(self) -> Iterator[tuple[str, Track, float, float]]:
        """Key, track, value and volume of each series that says something."""
        for track in FAMILIES[self.family].tracks:
            value, volume = float(self.count), float(self.count)
            if track.measure == "share":
                volume = float(self.whole or 0)
                value = (self.part or 0) / volume if volume else 0.0
            elif track.measure == "amount":
                if self.amount is None:
                    continue
                value = float(self.amount)
            if volume >= track.least:
                yield key_of(self.name, track), track, value, volume


def key_of(name: str, track: Track) -> str:
    """The name of a series."""
    return f"{name} {track.name}" if track.name else name


class Watched(Events, frozen=True, kw_only=True):
    """What happened in each bucket, for each group."""

    name: ClassVar[str] = "watched"

    seconds: Annotated[int, says("How long a bucket is; 0: all is one.")] = 300
    groups: Annotated[tuple[Group, ...], says("Kinds of groups.")] = ("routes", "types")
    bots: Annotated[bool, says("Whether bots count.")] = True
    internal: Annotated[bool, says("Whether the team's own traffic counts.")] = True

    def columns(self) -> tuple[Column, ...]:
        """As `Found`."""
        texts = [Column(name, "text", "The group.") for name in ("family", "a", "b")]
        numbers = [Column(name, "integer", "Of it.") for name in ("at", "count", "part", "whole")]
        return (
            *texts, *numbers, Column("amount", "number", "Sum, mean or percentile."),
            Column("first", "integer", "First moment."),
        )  # fmt: skip

    def sql(self) -> Sql:
        """Over rows that know their day, once; families count over what is left of its columns."""
        source = Source(self, quick=True)
        families = [
            self._family(name, family)
            for name, family in FAMILIES.items()
            if family.group is None or family.group in self.groups
        ]
        narrow = self._narrow(source)
        if self.seconds:
            text = f"WITH i AS ({narrow})\n" + "\nUNION ALL ".join(families)
        else:  # days of rows, of which nothing is kept but how many there are of each kind
            text = (
                f"WITH w AS ({narrow}), i AS (SELECT {KIND}, count(*) AS n, min(w.ms) AS ms "
                f"FROM w GROUP BY ALL)\n"
                + "\nUNION ALL ".join(families)
                + f"\nORDER BY 5 DESC, 1, 2, 3 LIMIT {MOST_GROUPS}"
            )
        return Sql(text, source.parameters)

    def _narrow(self, source: Source) -> str:
        usual = Source(Events(internal_is=self.internal_is), source.values)
        bucket = f"{source.ms} - ({source.ms} % {self.seconds * 1000})" if self.seconds else "0"

        def told(column: str, name: str) -> str:
            return f"json_extract_string(i.{column}, {source.values(f'$.{name}')})"

        model = f"{told('ai_metadata', 'model_answered')}, {told('ai_metadata', 'model_requested')}"
        cost, rating = told("ai_metadata", "cost_usd"), told("feedback", "overall")
        outcome = {name: told("outcomes", name) for name in ("flow", "step", "status", "derived")}
        flows = "i.interaction_type IN ('flow_step', 'flow_completion')"
        return f"""
    SELECT CAST({bucket} AS BIGINT) AS at, {source.ms} AS ms, i.interaction_type AS type,
        coalesce(i.service, '') || '/' || coalesce(i.environment, '') AS place,
        coalesce(i.route, '') AS route, i.response_status, i.response_time_ms, i.partner_id,
        CASE WHEN {flows} THEN coalesce({outcome["flow"]}, '') END AS flow,
        CASE WHEN {flows} THEN coalesce({outcome["step"]}, '') END AS step,
        CASE WHEN {flows} OR i.interaction_type = 'demo_booking'
            THEN coalesce({outcome["status"]}, 'completed') END AS status,
        CASE WHEN i.interaction_type = 'flow_completion'
            THEN coalesce({outcome["derived"]} = 'true', FALSE) END AS derived,
        CASE WHEN i.interaction_type = 'ai_conversation'
            THEN coalesce({model}, '') END AS model,
        CASE WHEN i.interaction_type = 'ai_conversation' THEN TRY_CAST({cost} AS DOUBLE)
            WHEN i.interaction_type = 'feedback_submission' THEN TRY_CAST({rating} AS DOUBLE)
        END AS amount,
        {usual.where()} AS counted
    FROM {source.relation()}
    WHERE {source.where(f"i.interaction_type <> {source.values('anomaly')}")}
"""

    def _family(self, name: str, family: Family) -> str:
        count, part, whole, amount = family.count, family.part, family.whole, family.amount
        if not self.seconds:
            count, part, whole, amount = COUNTED, UNASKED, UNASKED, "CAST(NULL AS DOUBLE)"
        return (
            f"SELECT '{name}' AS family, {family.first} AS a, {family.second} AS b, "
            f'i.at AS "at", {count} AS "count", {part} AS part, '
            f'{whole} AS whole, {amount} AS amount, min(i.ms) AS "first" FROM i '
            f"WHERE ({family.condition}) AND {family.first} IS NOT NULL "
            f"AND length({family.first}) <= {LONGEST_KEY} "
            f"AND length({family.second}) <= {LONGEST_KEY} "
            f"GROUP BY {family.first}, {family.second}, i.at"
        )

    def finish(self, rows: list[Row]) -> list[Row]:
        """As the statement gave them."""
        return rows
