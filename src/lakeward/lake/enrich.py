"""What is added to a row on its way into the table: device, browser, origin, place, and the tokens
and the cost of an AI turn.

In: a DuckDB connection and, where the user brings them, a MaxMind file and a file of own prices.
Out: the select that adds the enriched columns to rows of records. `MissingExtra` without the extra
`lake`; nothing fails for what a row holds.

Agents, addresses and turns go through functions of ours that see a few thousand rows at a time as
Arrow, agents and addresses each different value once; the rest is DuckDB's own SQL. Rows that are
no AI turns do not reach the function for turns.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakeward.lake.agents import Agent, Agents
from lakeward.lake.campaigns import CAMPAIGN_SQL
from lakeward.lake.columns import ENRICHED, RECORD, SqlType
from lakeward.lake.places import Place, Places
from lakeward.lake.turns import Turns

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

AGENT: Final = "lakeward_agent"
PLACE: Final = "lakeward_place"
TURN: Final = "lakeward_turn"
TURN_CALL: Final = f"{TURN}(ai_metadata, messages, epoch_ms(timestamp::TIMESTAMPTZ))"
TURN_SQL: Final = (
    f"CASE WHEN interaction_type = 'ai_conversation' THEN {TURN_CALL} ELSE ai_metadata END "
    "AS ai_metadata"
)


def register(
    con: DuckDBPyConnection, geo: Path | None, prices: Path | None = None, *, again: bool = False
) -> None:
    """Give a connection what `enriched` needs; once, before its first use. With `again` turns that
    have a cost of ours are priced anew."""
    _create_turn(con, Turns(prices, again=again))
    _create(con, AGENT, Agents().struct, {n: ENRICHED[n] for n in Agent.__struct_fields__})
    if geo is None:
        con.execute(
            f"CREATE TEMP MACRO {PLACE}(address) AS NULL::STRUCT(country VARCHAR, city VARCHAR)"
        )
        return
    _create(con, PLACE, Places(geo).struct, {n: ENRICHED[n] for n in Place.__struct_fields__})


def _create(
    con: DuckDBPyConnection,
    name: str,
    look: Callable[[pa.ChunkedArray], pa.StructArray],
    gained: dict[str, SqlType],
) -> None:
    from duckdb import struct_type
    from duckdb.func import ARROW, SPECIAL

    con.create_function(
        name,
        lambda values: look(values),  # noqa: PLW0108 - DuckDB would evaluate its annotations
        ["VARCHAR"],
        struct_type(gained),
        type=ARROW,
        null_handling=SPECIAL,
    )


def _create_turn(con: DuckDBPyConnection, turns: Turns) -> None:
    from duckdb.func import ARROW, SPECIAL

    con.create_function(
        TURN,
        lambda told, messages, times: turns.completed(told, messages, times),  # noqa: PLW0108
        ["VARCHAR", "VARCHAR", "BIGINT"],
        "VARCHAR",
        type=ARROW,
        null_handling=SPECIAL,
    )


def enriched(rows: str) -> str:
    """The select that adds the enriched columns to those of the select `rows`.

    In two steps, for DuckDB works an expression out as often as it is written.
    """
    record = [TURN_SQL if name == "ai_metadata" else name for name in RECORD]
    found = [f"{AGENT}(user_agent) AS agent", f"{PLACE}(ip_address) AS place"]
    found += [f"{sql} AS {name}" for name, sql in CAMPAIGN_SQL.items()]
    gained = [f"agent.{name}" for name in Agent.__struct_fields__]
    gained += [f"nullif({name}, '') AS {name}" for name in CAMPAIGN_SQL]
    gained += [f"place.{name}" for name in Place.__struct_fields__]
    return (
        f"SELECT {', '.join((*RECORD, *gained))} "
        f"FROM (SELECT {', '.join((*record, *found))} FROM ({rows}))"
    )
