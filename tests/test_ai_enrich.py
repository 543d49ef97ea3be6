"""AI turns on their way into the table: told, completed, the same before and after it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import given
from hypothesis import strategies as st

from ai_turns import ANSWER, CACHED, PROMPT, SILENT, said, turn
from conftest import Lake, wait_until
from lakeward.lake import prices, tokens
from lakeward.lake.enrich import TURN, enriched, register
from lakeward.lake.summary import summarize_named
from lakeward.lake.turns import Turns
from test_table import NOON, Desk, line

LATER = 1_793_000_000_000
"""A day of which genai-prices knows what batches cost."""
OWN = '[[price]]\nmodel = "house-*"\ninput = 1\noutput = 2\n'


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.log.close()


def completed(
    metadata: dict[str, Any],
    messages: list[dict[str, Any]] | None = None,
    own: Path | None = None,
    ms: int = NOON,
) -> dict[str, Any]:
    """What one turn's metadata becomes."""
    text = None if messages is None else json.dumps(messages)
    found = Turns(own).complete(json.dumps(metadata), text, ms)
    assert found is not None
    result: dict[str, Any] = json.loads(found)
    return result


def gained(
    metadata: dict[str, Any], messages: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """What is new or other than told."""
    found = completed(metadata, messages)
    assert metadata.items() <= (found | {"tokens_source": metadata.get("tokens_source")}).items()
    return {k: v for k, v in found.items() if metadata.get(k) != v}


def metadata_of(desk: Desk) -> list[dict[str, Any]]:
    rows = desk.rows("SELECT ai_metadata FROM ai_conversation ORDER BY interaction_id")
    return [json.loads(row[0]) for row in rows]


def test_a_turn_with_cached_tokens_costs_what_the_published_vector_says() -> None:
    found = completed(CACHED)
    assert found["cost_usd"] == 0.02436625
    assert (found["input_cost_usd"], found["output_cost_usd"]) == (0.02248625, 0.00188)
    assert found["price_source"] == "genai-prices"
    assert found["price_version"].startswith("0.2.3+")


def test_the_tail_and_the_table_show_the_same_turn(desk: Desk) -> None:
    desk.log.append([turn(CACHED), turn(SILENT, said(), NOON + 1), line(user_id="u1")])
    before = desk.rows("SELECT * FROM interactions ORDER BY interaction_id")
    costs = [turn["cost_usd"] for turn in metadata_of(desk)]
    assert costs[0] == 0.02436625
    assert costs[1] == pytest.approx(17 * 0.15e-6 + 60 * 0.6e-6)
    desk.compact()
    assert desk.rows("SELECT * FROM interactions ORDER BY interaction_id") == before
    desk.log.append([turn(CACHED, ms=NOON + 2)])
    assert [turn["cost_usd"] for turn in metadata_of(desk)] == [*costs, costs[0]]


def test_other_readers_of_the_table_see_the_cost(desk: Desk) -> None:
    desk.log.append([turn(CACHED), line()])
    desk.compact()
    frame = DeltaTable(str(desk.lake.root / "table")).to_pyarrow_table().to_pylist()
    costs = [json.loads(row["ai_metadata"])["cost_usd"] for row in frame if row["ai_metadata"]]
    assert costs == [0.02436625]


def test_a_turn_that_was_recorded_by_the_app_is_priced_in_the_table(lake: Lake) -> None:
    collector = lake.collector()
    collector.record("ai_conversation", **CACHED, messages=said())
    collector.commit(60)
    ask = [sys.executable, "-m", "lakeward.cli", "query", "--format", "json",
           "SELECT ai_metadata->>'cost_usd' AS cost FROM ai_conversation"]  # fmt: skip
    wait_until(lambda: len(lake.rows()) == 1)
    for command in (["compact"], None):
        done = subprocess.run(ask, env=lake.process_env(), capture_output=True, text=True)
        assert "0.02436625" in done.stdout, done.stderr
        if command:
            compacting = [sys.executable, "-m", "lakeward.cli", *command]
            subprocess.run(compacting, env=lake.process_env(), check=True, capture_output=True)
    assert "cost_usd" not in lake.rows()[0]["ai_metadata"]  # the log keeps what was told


def test_a_question_in_the_jail_prices_the_tail_with_own_prices_and_little_memory(
    lake: Lake, tmp_path: Path
) -> None:
    own = tmp_path / "prices.toml"
    own.write_text(OWN)
    desk = Desk(tmp_path / "desk")
    silent = {**SILENT, "model_requested": "house-1", "input_tokens": 1000, "output_tokens": 500}
    desk.log.append([turn(silent), turn(SILENT, said(), NOON + 1)])
    env = {**os.environ, "LAKEWARD_LAKE_DIR": str(desk.lake.root),
           "LAKEWARD_AI_PRICES": str(own), "LAKEWARD_QUERY_MEMORY": "256MiB"}  # fmt: skip
    ask = (
        "SELECT ai_metadata->>'price_source' AS p, ai_metadata->>'tokens_source' AS t "
        "FROM ai_conversation ORDER BY interaction_id"
    )
    done = subprocess.run(
        [sys.executable, "-m", "lakeward.cli", "query", "--format", "json", ask],
        env=env, capture_output=True, text=True,
    )  # fmt: skip
    desk.log.close()
    assert json.loads(done.stdout) == [
        {"p": "own", "t": "none"}, {"p": "genai-prices", "t": "estimated"},
    ], done.stderr  # fmt: skip


def test_rows_of_other_types_do_not_reach_the_function_and_load_nothing(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom test_table import Desk, line\n"
        f"desk = Desk(Path({str(tmp_path)!r}))\n"
        "from lakeward.lake.turns import Turns\nTurns.completed = None\n"
        "desk.log.append(line(user_id=f'u{n}', properties={'n': n}) for n in range(5000))\n"
        "desk.rows('SELECT count(*) FROM interactions')\nassert desk.compact().added == 5000\n"
        "desk.log.close()\n"
        "print([m for m in ('genai_prices', 'rs_bpe', 'pydantic') if m in sys.modules])\n"
    )
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]", done.stderr


def test_among_many_rows_the_function_sees_turns_alone() -> None:
    seen: list[int] = []

    class Watched(Turns):
        def completed(self, metadata: Any, messages: Any, times: Any) -> Any:
            seen.append(len(metadata))
            return super().completed(metadata, messages, times)

    con = duckdb.connect()
    register(con, None)
    con.remove_function(TURN)
    from lakeward.lake import enrich

    enrich._create_turn(con, Watched())
    kinds = ["ai_conversation" if n % 1000 == 7 else "click" for n in range(10_000)]
    told = [json.dumps(CACHED) if k == "ai_conversation" else '{"cost_usd":null}' for k in kinds]
    rows = pa.table(
        {"interaction_type": kinds, "ai_metadata": told, "timestamp": ["2026-01-01"] * len(kinds)}
    )
    from lakeward.lake.columns import RECORD

    con.register("few", rows)
    missing = ", ".join(f"NULL::VARCHAR AS {n}" for n in RECORD if n not in rows.column_names)
    found = con.sql(
        f"SELECT interaction_type, ai_metadata FROM ({enriched(f'SELECT *, {missing} FROM few')})"
    ).fetchall()
    assert sum(seen) == 10
    assert [json.loads(m).get("cost_usd") for k, m in found if k != "click"] == [0.02436625] * 10
    assert {m for k, m in found if k == "click"} == {'{"cost_usd":null}'}
    con.close()


def test_a_cost_that_was_told_stays_as_told() -> None:
    told = CACHED | {"cost_usd": 9.5, "price_source": "posthog"}
    assert gained(told) == {}


def test_unreported_tokens_are_counted_and_say_so() -> None:
    assert gained(SILENT, said()) == {
        "input_tokens": 17,
        "output_tokens": 60,
        "total_tokens": 77,
        "tokens_source": "estimated",
        "tokenizer": "o200k_base",
        "cost_usd": pytest.approx(17 * 0.15e-6 + 60 * 0.6e-6),
        "input_cost_usd": pytest.approx(17 * 0.15e-6),
        "output_cost_usd": pytest.approx(60 * 0.6e-6),
        "price_source": "genai-prices",
        "price_version": completed(CACHED)["price_version"],
    }


@pytest.mark.parametrize(
    "told",
    [
        SILENT | {"content_mode": "redacted"},
        SILENT | {"content_mode": "none"},
        SILENT | {"content_consent": False},
        SILENT | {"model_requested": "claude-sonnet-4-5", "provider": "anthropic"},
        SILENT | {"model_requested": "o3"},
        SILENT | {"model_requested": "gpt-5-mini"},
    ],
    ids=["redacted", "none", "no consent", "tokeniser unknown", "o3", "gpt-5"],
)
def test_what_is_not_all_there_is_not_counted(told: dict[str, Any]) -> None:
    assert gained(told, said()) == {}


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user"}, {"role": "assistant", "content": "yes"}],
        [{"role": "user", "content_hash": "ab" * 32}, {"role": "assistant", "content": "yes"}],
        [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},
            {"role": "assistant", "content": "a cat"},
        ],
        [
            {"role": "user", "content": "see", "attachments": [{"media_type": "image/png"}]},
            {"role": "assistant", "content": "a cat"},
        ],
        [{"role": "user", "content": "no answer was recorded"}],
        [],
        None,
    ],
    ids=["no content", "by hash", "picture", "file", "unanswered", "empty", "no messages"],
)
def test_messages_without_all_their_text_are_not_counted(messages: Any) -> None:
    assert gained(SILENT, messages) == {}
    assert gained({"model_requested": "gpt-4o"}, messages) == {"tokens_source": "none"}


def test_of_a_stream_that_was_cut_what_was_received_is_the_answer() -> None:
    cut = SILENT | {"status": "abandoned", "streamed": True}
    found = gained(cut, said(answer="Argentina won"))
    assert (found["input_tokens"], found["output_tokens"]) == (17, 2)
    nothing = gained(cut, said(answer=None))
    assert (nothing["input_tokens"], nothing["output_tokens"]) == (17, 0)
    assert gained(SILENT | {"status": "failed"}, said(answer=None)) == {}


def test_calls_of_tools_count_as_answer() -> None:
    call = {"id": "c1", "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}}
    asked = [*said(answer=None), {"role": "assistant", "content": None, "tool_calls": [call]}]
    found = gained(SILENT, asked)
    plain = gained(SILENT, said(answer="get_weather"))["output_tokens"]
    assert found["output_tokens"] > plain
    own = {"id": "c1", "name": "get_weather", "arguments": {"city": "Oslo"}}
    asked[-1]["tool_calls"] = [own]
    assert gained(SILENT, asked)["output_tokens"] == found["output_tokens"]


def test_the_side_that_was_not_reported_is_the_rest_of_the_total() -> None:
    told = {"provider": "openai", "model_requested": "gpt-4o", "input_tokens": 100,
            "total_tokens": 130}  # fmt: skip
    found = gained(told)
    assert (found["output_tokens"], found["tokens_source"]) == (30, "reported")
    assert found["cost_usd"] == pytest.approx(100 * 2.5e-6 + 30 * 10e-6)


def test_the_side_that_was_not_reported_is_counted_where_there_is_no_total() -> None:
    found = gained(SILENT | {"input_tokens": 20, "tokens_source": "reported"}, said())
    assert "input_tokens" not in found
    assert (found["output_tokens"], found["total_tokens"]) == (60, 80)
    assert found["tokens_source"] == "estimated"


def test_a_total_that_is_the_known_side_says_nothing_of_the_other() -> None:
    cut = SILENT | {"input_tokens": 20, "total_tokens": 20, "tokens_source": "reported",
                    "status": "abandoned"}  # fmt: skip
    found = completed(cut, said(answer="Argentina won"))
    assert (found["input_tokens"], found["output_tokens"], found["total_tokens"]) == (20, 2, 22)
    assert found["tokens_source"] == "estimated"
    assert completed(cut) == cut


def test_a_total_alone_has_no_cost_and_is_not_replaced_by_a_count() -> None:
    told = {"provider": "openai", "model_requested": "gpt-4o", "total_tokens": 77,
            "tokens_source": "reported"}  # fmt: skip
    assert gained(told, said()) == {}


def test_embeddings_have_no_answer() -> None:
    told = {"provider": "openai", "model_requested": "text-embedding-3-small",
            "operation": "embeddings"}  # fmt: skip
    reported = gained(told | {"input_tokens": 8})
    assert reported["cost_usd"] == pytest.approx(8 * 0.02e-6)
    assert gained(told | {"total_tokens": 8})["cost_usd"] == reported["cost_usd"]
    texts = [{"role": "user", "content": ["tiktoken is great!", "2 + 2 = 4"]}]
    found = gained(told, texts)
    assert (found["input_tokens"], found["tokenizer"]) == (6 + 7, "cl100k_base")


@pytest.mark.parametrize(
    "model", ["house-1", "", "gpt-99-imaginary"], ids=["own", "unnamed", "unknown"]
)
def test_an_unknown_model_has_no_cost_rather_than_none_at_all(model: str) -> None:
    found = completed({"model_requested": model, "input_tokens": 5, "output_tokens": 5})
    assert not found.keys() & {"cost_usd", "input_cost_usd", "output_cost_usd", "price_source"}
    assert (found["total_tokens"], found["tokens_source"]) == (10, "reported")


def test_a_wrong_file_of_prices_stops_nothing_and_prices_nothing(tmp_path: Path) -> None:
    wrong = tmp_path / "prices.toml"
    wrong.write_text("[[price]]\nmodel = 5\n")
    desk = Desk(tmp_path)
    desk.log.append([turn(CACHED), turn(SILENT, said(), NOON + 1)])
    assert desk.compact(prices=wrong).added == 2
    first, second = metadata_of(desk)
    assert first == CACHED
    assert second["total_tokens"] == 77
    assert "cost_usd" not in second
    desk.log.close()


ODD = [
    "",
    "5",
    "[]",
    '"text"',
    "{",
    "null",
    '{"input_tokens":-5,"output_tokens":1,"model_requested":"gpt-4o"}',
    '{"input_tokens":"5","output_tokens":1,"model_requested":"gpt-4o"}',
    '{"input_tokens":1e400,"output_tokens":1}',
    '{"input_tokens":1.5,"output_tokens":1}',
    '{"input_tokens":true,"output_tokens":1}',
    '{"input_tokens":99999999999999999999999,"output_tokens":1}',
    '{"model_requested":["gpt-4o"],"usage":[]}'[:-1],
    '{"a":"\\ud800"}',
    "[" * 5000,
]


@pytest.mark.parametrize("text", ODD)
def test_odd_metadata_come_out_as_they_are(text: str) -> None:
    assert Turns().complete(text, "[]", NOON) == text
    assert Turns().complete(text, "[" * 5000, NOON) == text


@pytest.mark.parametrize(
    "messages", ["", "{}", "5", "[[", "[5]", '[{"role":5,"content":5}]', "[" * 5000]
)
def test_odd_messages_are_not_counted(messages: str) -> None:
    text = json.dumps(SILENT)
    assert Turns().complete(text, messages, NOON) == text


NAMES = st.sampled_from(
    ["model_requested", "model_answered", "provider", "operation", "status", "input_tokens",
     "cache_write_tokens", "output_tokens", "reasoning_tokens", "total_tokens", "tokens_source",
     "usage", "parameters", "cost_usd", "content_mode", "content_consent", "own"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    | st.sampled_from(["gpt-4o", "openai", "anthropic", "claude-sonnet-4-5", "embeddings"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
TURNS = Turns()


@given(st.dictionaries(NAMES, VALUES), st.none() | VALUES)
def test_nothing_that_a_row_holds_fails_and_what_was_told_stays(told: Any, messages: Any) -> None:
    text = json.dumps(told)
    found = TURNS.complete(text, None if messages is None else json.dumps(messages), NOON)
    assert found is not None
    after = json.loads(found)
    for name, value in told.items():
        counted = after.get("tokens_source") == "estimated"
        if value is not None and not (counted and name in ("tokens_source", "total_tokens")):
            assert after[name] == value


def test_completing_twice_changes_nothing() -> None:
    for metadata, messages in ((CACHED, None), (SILENT, said()), ({"usage": {}}, said())):
        once = completed(metadata, messages)
        assert completed(once, messages) == once


def test_the_hour_long_cache_and_searches_cost_what_they_cost() -> None:
    told = {"provider": "anthropic", "model_answered": "claude-sonnet-4-5", "input_tokens": 10,
            "cache_write_tokens": 3000, "output_tokens": 5, "total_tokens": 3015,
            "tokens_source": "reported"}  # fmt: skip
    short = completed(told)["cost_usd"]
    usage = {"cache_creation": {"ephemeral_1h_input_tokens": 1000}}
    assert completed(told | {"usage": usage})["cost_usd"] - short == pytest.approx(1000 * 2.25e-6)
    usage = {"server_tool_use": {"web_search_requests": 3}}
    assert completed(told | {"usage": usage})["cost_usd"] - short == pytest.approx(0.03)


def test_a_batch_costs_what_batches_cost() -> None:
    told = {"provider": "openai", "model_answered": "gpt-4o", "input_tokens": 1_000_000,
            "output_tokens": 0}  # fmt: skip
    assert completed(told)["cost_usd"] == 2.5
    batch = {"usage": {"service_tier": "batch"}}
    assert completed(told | batch, ms=LATER)["cost_usd"] == 1.25


def test_the_row_keeps_the_words_of_the_conversation(desk: Desk) -> None:
    desk.log.append([turn(SILENT, said())])
    desk.compact()
    (row,) = desk.rows("SELECT messages FROM ai_conversation")
    assert [message["content"] for message in msgspec.json.decode(row[0])] == [PROMPT, ANSWER]


def test_looking_one_turn_up_shows_it_alike_in_log_and_table(desk: Desk) -> None:
    desk.log.append([turn(SILENT, said()), turn({"odd": 5}, ms=NOON + 1), line(ms=NOON + 2)])
    ids = desk.ids()
    before = [desk.get(one) for one in ids]
    assert before[0] is not None
    assert before[0]["ai_metadata"]["total_tokens"] == 77
    desk.compact()
    assert [desk.get(one) for one in ids] == before


def test_the_summary_of_a_day_counts_the_cost_as_the_table_does(lake: Lake) -> None:
    collector = lake.collector()
    collector.record("ai_conversation", **CACHED)
    collector.record("ai_conversation", **SILENT, messages=said())
    collector.record("ai_conversation", **SILENT, cost_usd=1.0)
    collector.commit(60)
    day = summarize_named(lake.open(), "today", turns=Turns())
    assert (day.ai.turns, day.ai.priced) == (3, 3)
    assert day.ai.cost_usd == pytest.approx(1 + 0.02436625 + 17 * 0.15e-6 + 60 * 0.6e-6)
    assert day.ai.tokens == 18091 + 77
    told = summarize_named(lake.open(), "today")
    assert (told.ai.priced, told.ai.cost_usd) == (1, 1)


def test_the_tokeniser_is_that_of_the_model_that_answered() -> None:
    assert gained(SILENT | {"model_answered": "claude-sonnet-4-5"}, said()) == {}


def test_without_the_extra_turns_stay_as_they_were_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(name: str) -> object:
        return None if name in {"genai_prices", "rs_bpe"} else find_spec(name)

    monkeypatch.setattr(prices, "find_spec", gone)
    monkeypatch.setattr(tokens, "find_spec", gone)
    assert completed(CACHED) == CACHED
    assert completed(SILENT, said()) == SILENT
    own = tmp_path / "prices.toml"
    own.write_text(OWN)
    told = CACHED | {"model_answered": "house-1"}
    assert completed(told, own=own)["price_source"] == "own"
