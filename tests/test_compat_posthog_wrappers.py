"""posthog-python's own wrappers of OpenAI's and Anthropic's SDKs, as a real process, against a
server that speaks like a model and a real server of ours: one record a turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ai_servers import CACHED, PLAIN, SPEAKS_AND_CALLS, WRITES, Answer, model_server
from conftest import Lake
from heard_server import heard_server
from lakeward.catalog.ai import TOKEN_BUCKETS

PLAN = [
    Answer(CACHED),
    Answer(CACHED),
    Answer(SPEAKS_AND_CALLS),
    Answer(status=429),
    Answer(PLAIN),
    Answer(PLAIN),
    Answer(WRITES),
    Answer(PLAIN),
]
SAID = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "How do I price a retainer?"},
    {"role": "assistant", "content": "Start from the hours you expect."},
]
VECTOR = {"input_tokens": 86, "cache_read_tokens": 17_817, "output_tokens": 188}


@pytest.fixture
def turns(lake: Lake) -> Iterator[dict[str, dict[str, Any]]]:
    """What the program asked, by trace."""
    pytest.importorskip("posthog")
    with model_server(*PLAN) as models, heard_server(lake) as heard:
        heard.run("posthog_ai.py", models.openai, models.url)
        rows = heard.rows()["ai_conversation"]
        assert heard.lake.quarantined() == []
        assert len(rows) == len(PLAN)
        yield {row["trace_id"]: row | row["ai_metadata"] for row in rows}


def buckets(turn: dict[str, Any]) -> dict[str, int]:
    return {name: turn[name] for name in TOKEN_BUCKETS if turn.get(name)}


def test_each_turn_of_the_wrappers_is_one_record(turns: dict[str, dict[str, Any]]) -> None:
    for trace in ("plain", "streamed"):
        turn = turns[trace]
        assert turn["messages"] == SAID
        assert buckets(turn) == VECTOR
        assert turn["total_tokens"] == 18_091
        assert turn["finish_reason"] == "stop"
        assert turn["status"] == "completed"
        assert turn["captured_by"] == "posthog"
    assert turns["streamed"]["streamed"] is True
    assert turns["responses"]["messages"] == SAID
    assert turns["claude"]["messages"] == SAID
    assert buckets(turns["claude"]) == {
        "input_tokens": 10, "cache_read_tokens": 100, "cache_write_tokens": 40, "output_tokens": 20
    }  # fmt: skip
    assert turns["embedded"]["operation"] == "embeddings"
    tools = turns["tools"]
    assert tools["tools_used"] == ["search"]
    assert tools["messages"][-1] == {
        "role": "assistant",
        "content": "Let me look.",
        "tool_calls": [{"id": "call_1", "name": "search", "arguments": {"q": "crm"}}],
    }
    assert turns["refused"]["status"] == "failed"
    assert turns["refused"]["error_type"] == "429"
    closed = turns["closed"]
    assert closed["status"] == "abandoned"
    assert closed["messages"][-1] == {"role": "assistant", "content": "Start from "}
    assert closed["tokens_source"] == "none"
