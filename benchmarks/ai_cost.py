"""What counting and pricing AI turns costs where rows enter the table.

others    rows that are no AI turns into Parquet, with the function for turns in the select and
          without it: CPU time of the whole process
turns     turns into Parquet, of which nothing is known but what was said (estimated), or the
          provider's usage (reported), beside turns whose cost was told: the difference is what
          counting and pricing cost
"""

from __future__ import annotations

import random
import time
from contextlib import closing
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from duckdb import DuckDBPyConnection
from uuid_utils import uuid7

from generator import lines
from lakeward.lake import enrich
from lakeward.lake.rows import as_file, connect, copy, rows_of
from measure import Report, interleaved, spread, table

OTHERS = 20_000
TURNS = 4_096
WORDS = ("how", "do", "I", "price", "a", "retainer", "start", "from", "the", "hours")
SPOKEN = 150
"""Words of an answer; the prompt has half as many."""


def blocks() -> dict[str, list[bytes]]:
    """Lines of each kind."""
    dice = random.Random(7)
    base: dict[str, Any] = {
        "provider": "openai", "model_requested": "gpt-4o", "model_answered": "gpt-4o-2024-08-06",
        "status": "completed", "feature": "coach", "duration_ms": 2140.7,
    }  # fmt: skip
    usage = {"input_tokens": 86, "cache_read_tokens": 17817, "output_tokens": 188,
             "total_tokens": 18091, "tokens_source": "reported"}  # fmt: skip
    told = {"cost_usd": 0.02436625, "input_cost_usd": 0.02248625, "output_cost_usd": 0.00188,
            "price_source": "app", "price_version": "1"}  # fmt: skip
    return {
        "told": [_turn(dice, base | usage | told) for _ in range(TURNS)],
        "reported": [_turn(dice, base | usage) for _ in range(TURNS)],
        "estimated": [_turn(dice, base | {"tokens_source": "none"}) for _ in range(TURNS)],
    }


def _turn(dice: random.Random, metadata: dict[str, Any]) -> bytes:
    said = [" ".join(dice.choices(WORDS, k=count)) for count in (SPOKEN // 2, SPOKEN)]
    record = {
        "interaction_id": str(uuid7()), "timestamp": "2026-03-01T12:00:00.000Z",
        "environment": "bench", "interaction_type": "ai_conversation", "user_id": "u1",
        "ai_metadata": metadata,
        "messages": [
            {"role": "user", "content": said[0]}, {"role": "assistant", "content": said[1]},
        ],
    }  # fmt: skip
    return msgspec.json.encode(record)


def others(report: Report, rounds: int) -> None:
    """The select with and without the function, over rows of other types; twice without, to see
    what the machine makes of the same."""
    plain = list(islice((one for one in lines(7, 2 * OTHERS) if b'"ai_' not in one), OTHERS))
    taken: dict[str, list[float]] = {"without": [], "with": [], "again": []}
    with as_file(plain) as source, TemporaryDirectory() as folder, closing(_connected(1)) as con:
        select = rows_of(source, max(map(len, plain)))
        bare = select.replace(enrich.TURN_SQL, "ai_metadata")
        assert select != bare
        for number, name in interleaved(list(taken), rounds + 1):
            spent = _spent(con, select if name == "with" else bare, Path(folder))
            if number:  # the first is the warm-up
                taken[name].append(spent / len(plain) * 1e6)
    cells = [spread(taken[name]).text() for name in taken]
    cells += [
        spread([a / b for a, b in zip(taken[name], taken["without"], strict=True)]).text(3)
        for name in ("with", "again")
    ]
    report.figures["others"] = taken
    report.say(f"{len(plain):,} rows that are no AI turns, {rounds} rounds; CPU µs a row.")
    head = [
        "without the function",
        "with it",
        "without, again",
        "ratio (goal ≤ 1.02)",
        "of the same",
    ]
    report.say(table(head, [cells]))


def turns(report: Report, rounds: int) -> None:
    """What turns cost more than those whose cost was told."""
    kinds = blocks()
    taken: dict[str, list[float]] = {name: [] for name in kinds}
    with TemporaryDirectory() as folder, closing(_connected(2)) as con:
        for number, name in interleaved(list(kinds), rounds + 1):
            with as_file(kinds[name]) as source:
                spent = _spent(con, rows_of(source, max(map(len, kinds[name]))), Path(folder))
            if number:
                taken[name].append(spent / TURNS * 1e6)
    report.figures["turns"] = taken
    report.say(f"{TURNS:,} turns of {SPOKEN * 3 // 2} words, {rounds} rounds; CPU µs a turn.")
    rows = []
    for name, found in taken.items():
        more = [a - b for a, b in zip(found, taken["told"], strict=True)]
        rows.append([name, spread(found).text(1), spread(more).text(1)])
    report.say(table(["turns", "into Parquet", "more than told (goal ≤ 200)"], rows))


def _connected(threads: int) -> DuckDBPyConnection:
    con = connect(1 << 30, threads)
    enrich.register(con, None)
    return con


def _spent(con: DuckDBPyConnection, select: str, folder: Path) -> float:
    """CPU seconds of the process."""
    begun = time.process_time()
    copy(con, select, folder / "rows.parquet")
    return time.process_time() - begun


def main() -> None:
    """Measure both."""
    report = Report("ai_cost")
    others(report, report.rounds(31))
    turns(report, report.rounds(9))
    report.finish()


if __name__ == "__main__":
    main()
