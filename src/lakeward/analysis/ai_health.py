"""How quick AI turns are, and how they end.

Percentiles are by nearest rank: values that were measured. Rates are of the turns that say how they
ended.
"""

from __future__ import annotations

from typing import ClassVar, Final

from lakeward.analysis.ai_turns import TURN, Z95, of_turns, share_columns, wilson
from lakeward.analysis.question import Column, Sql
from lakeward.analysis.scope import (
    Scope,
    check,
    columns_of,
    grouped,
    ordered,
    parameters,
    selected,
    where,
)

PERCENTS: Final = (50, 95, 99)
TIMES: Final = {
    "ttft": ("time_to_first_token_ms", "From the request to the first token"),
    "duration": ("duration_ms", "From the request to the last token"),
}
LATENCY: Final = (
    Column("turns", "integer", "Turns.", "turns"),
    *(
        column
        for short, (_, doc) in TIMES.items()
        for column in (
            Column(f"{short}_turns", "integer", "Turns that have this time.", "turns"),
            *(Column(f"{short}_p{p}", "number", f"{doc}, percentile {p}.", "ms") for p in PERCENTS),
        )
    ),
)


class AiLatency(Scope, frozen=True, kw_only=True):
    """How quick AI turns are."""

    name: ClassVar[str] = "ai_latency"

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        check(self, TURN)

    def columns(self) -> tuple[Column, ...]:
        """Dimensions, then percentiles."""
        return (*columns_of(self, TURN), *LATENCY)

    def sql(self) -> Sql:
        """Over `ai_turns`."""
        measured = ", ".join(
            f"count(t.{field}) AS {short}_turns, "
            + ", ".join(f"quantile_disc(t.{field}, {p / 100}) AS {short}_p{p}" for p in PERCENTS)
            for short, (field, _) in TIMES.items()
        )
        text = f"""SELECT {selected(self, TURN)}count(*) AS turns, {measured}
FROM ai_turns t WHERE {where(self, TURN, "t.started_at")}
{grouped(self)}
{ordered(self, TURN, "turns")}"""
        return Sql(of_turns(text), parameters(self, TURN))


ENDS: Final = ("completed", "failed", "refused", "cancelled", "abandoned")
ERRORS: Final = (
    Column("turns", "integer", "Turns.", "turns"),
    *(Column(name, "integer", f"Those that ended as {name}.", "turns") for name in ENDS),
    *share_columns("failed", "Failed ones of those that say how they ended."),
    *share_columns("refused", "Refused ones of those that say how they ended."),
)
SAID: Final = "(count(t.status))"


class AiErrors(Scope, frozen=True, kw_only=True):
    """How AI turns end: errors and refusals."""

    name: ClassVar[str] = "ai_errors"

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        check(self, TURN)

    def columns(self) -> tuple[Column, ...]:
        """Dimensions, then ends and rates."""
        return (*columns_of(self, TURN), *ERRORS)

    def sql(self) -> Sql:
        """Over `ai_turns`."""
        counts = {name: f"(count(*) FILTER (WHERE t.status = '{name}'))" for name in ENDS}
        rates = []
        for name in ("failed", "refused"):
            low, high = wilson(counts[name], SAID)
            rates += [
                f"{counts[name]} * 1.0 / nullif({SAID}, 0) AS {name}_rate",
                f"CASE WHEN {SAID} > 0 THEN {low} END AS {name}_low",
                f"CASE WHEN {SAID} > 0 THEN {high} END AS {name}_high",
            ]
        counted = ", ".join(f"{sql} AS {name}" for name, sql in counts.items())
        text = f"""SELECT {selected(self, TURN)}count(*) AS turns, {counted},
    {", ".join(rates)}
FROM ai_turns t WHERE {where(self, TURN, "t.started_at")}
{grouped(self)}
{ordered(self, TURN, "turns")}"""
        return Sql(of_turns(text), parameters(self, TURN, z=Z95))
