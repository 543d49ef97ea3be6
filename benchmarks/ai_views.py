"""What questions about AI turns cost over half a million of them, beside a plain scan of the rows.

    python benchmarks/ai_views.py [--turns N] [--keep FOLDER]

turns, their ratings (one for each five) and as many page views, sorted by id, in the columns and
row groups that merging gives them; each question is put through `ask`, as `lakeward ai` does.
The scan reads the columns of the turns that a question needs at least and parses no JSON. Wall time
with two threads, since that is what a person waits for, and CPU time of the process.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bigtable import DAY_MS, START_MS, placed
from lakeward.analysis.ai_cost import AiCost
from lakeward.analysis.ai_health import AiErrors, AiLatency
from lakeward.analysis.ai_ratings import AiRatings
from lakeward.analysis.ai_threads import AiThread, AiThreads
from lakeward.analysis.question import Question, ask
from lakeward.interaction import iso
from lakeward.lake.columns import COLUMNS
from lakeward.lake.delta import Table
from lakeward.lake.reading import Reading
from lakeward.lake.rows import connect
from lakeward.lake.storage import table_storage
from lakeward.lakedir import open_lake
from lakeward.settings import load
from measure import Report, interleaved, spread, table

TURNS = 500_000
DAYS = 10
EACH = 2.2
"""Rows for each turn: itself, a fifth of a rating, and a page view."""
SCAN = (
    "SELECT count(*), sum(length(ai_metadata)), max(timestamp), count(DISTINCT conversation_id) "
    "FROM ai_conversation"
)
METADATA = """json_object('turn', if(h % 4 = 0, NULL, t % 6), 'feature', ['coach', 'match',
    'search'][h % 3 + 1], 'operation', 'chat', 'provider', 'openai', 'model_requested', model,
    'model_answered', model || '-2024-08-06', 'response_id', 'chatcmpl-' || m, 'status',
    if(h % 50 = 0, 'failed', 'completed'), 'finish_reason', 'stop', 'streamed', true,
    'time_to_first_token_ms', h % 900 + 0.5, 'duration_ms', h % 9000 + 0.25, 'prompt_name', 'coach',
    'prompt_version', (h % 3)::VARCHAR, 'content_mode', 'full', 'captured_by', 'api',
    'parameters', json_object('temperature', 0.2, 'max_tokens', 800, 'stream', true),
    'input_tokens', 86 + h % 900, 'cache_read_tokens', h % 17000, 'output_tokens', h % 700,
    'total_tokens', 86 + h % 900 + h % 17000 + h % 700, 'tokens_source', 'reported',
    'usage', json_object('prompt_tokens', 86 + h % 900 + h % 17000, 'completion_tokens', h % 700,
        'total_tokens', 86 + h % 900 + h % 17000 + h % 700, 'prompt_tokens_details',
        json_object('cached_tokens', h % 17000, 'audio_tokens', 0)),
    'cost_usd', (h % 99999) / 1e6, 'input_cost_usd', (h % 70000) / 1e6,
    'output_cost_usd', (h % 29999) / 1e6, 'price_source', 'genai-prices',
    'price_version', '0.2.3+7d793ac0f1b2')"""
RATING = """json_object('turn', if(h % 2 = 0, t % 6, NULL), 'helpful', h % 3 > 0,
    'rating', h % 5 + 1,
    'reason', ['clear', 'wrong', 'slow'][h % 3 + 1])"""
MESSAGES = """json_array(json_object('role', 'user', 'content', 'How do I price a retainer? ' || m),
    json_object('role', 'assistant', 'content', repeat('Start from the hours. ' || m[1:8], 12)))"""


def day_of_rows(day: int, turns: int) -> str:
    """The select that makes one day. Of eleven rows five are turns, the tenth rates the turn before
    it, by its id or by conversation and number, and five are page views."""
    start, rows = START_MS + day * DAY_MS, int(turns * EACH)
    id_of = (
        "concat(printf('%012x', {ms})[1:8], '-', printf('%012x', {ms})[9:12], '-7', {m}[1:3], "
        "'-8', {m}[4:6], '-', {m}[7:18])"
    )
    rated_ms = f"({start} + (i - 1) * {DAY_MS} // {rows})"
    columns = {
        "interaction_id": id_of.format(ms="ms", m="m"),
        "timestamp": "make_timestamptz(ms * 1000)",
        "environment": "'production'",
        "interaction_type": "['ai_conversation', 'page_view', 'ai_rating'][kind + 1]",
        "service": "'api'",
        "conversation_id": f"if(kind = 0 OR (kind = 2 AND h % 2 = 0), 'c-' || (t // 6 + "
        f"{day * turns}), NULL)",
        "user_id": "if(kind = 1, 'anonymous', 'user-' || h % 20000)",
        "session_id": "'s-' || h % 90000",
        "trace_id": "if(kind = 0, md5(m), NULL)",
        "parent_interaction_id": "if(kind = 2 AND h % 2 = 1, rated, NULL)",
        "ai_metadata": f"if(kind = 0, {METADATA}, if(kind = 2, {RATING}, NULL))",
        "messages": f"if(kind = 0, {MESSAGES}, NULL)",
    }
    made = ", ".join(
        f"({columns[name]})::{kind} AS {name}" if name in columns else f"NULL::{kind} AS {name}"
        for name, kind in COLUMNS.items()
    )
    return (
        f"SELECT {made} FROM (SELECT i, {start} + i * {DAY_MS} // {rows} AS ms, "
        f"(hash(i + {day}) >> 1)::BIGINT AS h, md5((i + {day * rows})::VARCHAR) AS m, "
        "['gpt-4o', 'gpt-4o-mini', 'gpt-4.1'][i % 3 + 1] AS model, "
        f"{id_of.format(ms=rated_ms, m=f'md5((i - 1 + {day * rows})::VARCHAR)')} AS rated, "
        "CASE WHEN place = 9 THEN 2 WHEN place < 10 AND place % 2 = 0 THEN 0 ELSE 1 END AS kind, "
        f"i // 11 * 5 + place // 2 AS t FROM (SELECT i, i % 11 AS place FROM range({rows}) r(i)))"
    )


def build(root: Path, turns: int) -> None:
    """A file for each day."""
    lake = open_lake(root)
    store = Table(table_storage(lake.root, load({}, root.parent)))
    con = connect(2 << 30, 2)
    for day in range(DAYS):
        start = START_MS + day * DAY_MS
        snapshot = store.snapshot()
        if not snapshot.dated(iso(start)[:10]):
            rows = con.sql(day_of_rows(day, turns // DAYS)).to_arrow_table()
            file = placed(store, root / "day.parquet", rows, start)
            store.commit(snapshot.version + 1, add=[file])


QUESTIONS: dict[str, tuple[Question, float]] = {
    "cost by day": (AiCost(by=("day",)), 0.4),
    "cost by model and feature": (AiCost(by=("model", "feature")), 0.4),
    "ratings by model": (AiRatings(by=("model",)), 1.5),
    "ratings, not broken down": (AiRatings(), 1.5),
    "latency by model": (AiLatency(by=("model",)), 0.5),
    "errors by model": (AiErrors(by=("model",)), 0.5),
    "threads": (AiThreads(), 2.0),
    "one thread": (AiThread(conversation="c-200000"), 0.5),
}
"""Each with the seconds that it may take."""


def measured(what: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall and of CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    what()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    """Measure all of them in one reading."""
    options = sys.argv[1:]
    turns = TURNS
    keep: str | None = None
    for name in ("--turns", "--keep"):
        if name in options:
            at = options.index(name)
            value = options[at + 1]
            del options[at : at + 2]
            turns, keep = (int(value), keep) if name == "--turns" else (turns, value)
    sys.argv[1:] = options
    report = Report("ai_views")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(keep or folder) / "lake"
        build(root, turns)
        with Reading(open_lake(root), load({}, root.parent), spill=root.parent) as reading:
            tell(report, reading, turns)
    report.finish()


def tell(report: Report, reading: Reading, turns: int) -> None:
    """All questions in turn, and the scan."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ("scan", *QUESTIONS)}
    rounds = report.rounds(5)
    for number, name in interleaved(list(taken), rounds + 1):
        if name == "scan":
            found = measured(lambda: reading.con.execute(SCAN).fetchall())
        else:
            question = QUESTIONS[name][0]
            found = measured(partial(ask, reading, question))
        if number:
            taken[name].append(found)
    report.figures["ai_views"] = taken
    rows = []
    for name, each in taken.items():
        ratios = [a[0] / b[0] for a, b in zip(each, taken["scan"], strict=True)]
        goal = f"{QUESTIONS[name][1]}" if name in QUESTIONS else ""
        rows.append([name, spread([w for w, _ in each]).text(), goal,
                     spread([c for _, c in each]).text(), spread(ratios).text(1)])  # fmt: skip
    report.say(f"{turns:,} turns, {turns // 5:,} ratings, as many page views, {rounds} rounds.")
    report.say(table(["question", "s (wall)", "goal", "s (CPU)", "times the scan"], rows))


if __name__ == "__main__":
    main()
