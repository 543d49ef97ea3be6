"""A turn that the app records itself and that a span tells, too, is one turn of the views."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from openai import OpenAI
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import ai_wire
from ai_servers import Answer, model_server
from ai_traced import ASKED, Run, traced
from ai_wire import Said
from conftest import Lake, wait_until
from lakeward.ai import AI
from lakeward.ai.processor import TurnProcessor, _read
from lakeward.cli import main
from lakeward.server.compat.otlp import recorded
from lakeward.testing import MemoryCollector
from otel_openai_v2 import instrumented
from test_ai_views import asked

FIRST, SECOND = "chatcmpl-BqL0aX7fE3vT9m1c", "chatcmpl-BqL0bR4kW8zN2d5s"
TURNS = "SELECT interaction_id, captured_by, total_tokens FROM ai_turns ORDER BY interaction_id"


def viewed(records: list[dict[str, Any]], query: str = TURNS) -> list[dict[str, Any]]:
    """What the views make of these records."""
    rows = [
        {"id": r["interaction_id"], "at": number, "type": r["interaction_type"], "service": None,
         "conversation": r.get("conversation_id"), "parent": r.get("parent_interaction_id"),
         "who": (None, None, None), "trace": r.get("trace_id"), "own": r.get("ai_metadata", {})}
        for number, r in enumerate(records)
    ]  # fmt: skip
    return asked(rows, query)


def of(run: Run, captured_by: str) -> list[dict[str, Any]]:
    return [r for r in run.collector.records if r["ai_metadata"]["captured_by"] == captured_by]


def one_turn(records: list[dict[str, Any]], turn_id: str) -> None:
    """In whichever order they came."""
    for order in (records, records[::-1]):
        (turn,) = viewed(order)
        assert (turn["interaction_id"], turn["captured_by"]) == (turn_id, "api")
        assert turn["total_tokens"] == 274


@pytest.mark.parametrize("kind", ["openai_v2", "openllmetry"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_call_in_another_thread_of_the_block_is_one_turn(kind: str, streamed: bool) -> None:
    usage = {"stream": True, "stream_options": {"include_usage": True}} if streamed else {}
    with traced(kind, "span_only") as run, ThreadPoolExecutor() as pool:
        with AI(run.collector).conversation("c5") as turn:
            turn.ask(ASKED)
            call = pool.submit(run.chat, Answer(Said(identifier=FIRST)), **usage)
            if streamed:
                list(turn.stream(call.result()))
            else:
                turn.answer(call.result())
        records = run.collector.records
        assert len(of(run, "otel")) == 1, "a thread does not inherit the block"
    one_turn(records, turn.interaction_id)


def test_a_call_in_an_executor_of_the_loop_is_one_turn() -> None:
    async def talk(run: Run) -> str:
        async with AI(run.collector).conversation("c5") as turn:
            loop = asyncio.get_running_loop()
            said = Answer(Said(identifier=FIRST))
            turn.answer(await loop.run_in_executor(None, run.chat, said))
        return turn.interaction_id

    with traced("openai_v2", "span_only") as run:
        turn_id = asyncio.run(talk(run))
        records = run.collector.records
        assert len(records) == 2
    one_turn(records, turn_id)


@pytest.mark.parametrize("ours", [False, True])
def test_a_block_and_the_apps_own_exporter_are_one_turn(ours: bool) -> None:
    """Two requests of one turn, without and with our processor beside the exporter."""
    exporter, tracers, collector = InMemorySpanExporter(), TracerProvider(), MemoryCollector()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    if ours:
        tracers.add_span_processor(TurnProcessor(collector))
    plan = [Answer(Said(identifier=identifier)) for identifier in (FIRST, SECOND)]
    with (
        instrumented(tracers, LoggerProvider(), content="span_only"),
        model_server(*plan) as server,
        OpenAI(base_url=server.openai, api_key="k", max_retries=0) as client,
        AI(collector).conversation("c5") as turn,
    ):
        for _ in plan:
            turn.ask(ASKED)
            turn.answer(client.chat.completions.create(model="gpt-4o", messages=ASKED))
    (own,) = collector.records
    assert own["ai_metadata"]["response_ids"] == [FIRST, SECOND]
    collector.clear()
    for span in exporter.get_finished_spans():
        told = recorded(_read(span, dict(span.attributes or {}), [], {}))[0]
        assert isinstance(told, dict)
        collector.record(told.pop("interaction_type"), **told)
    spans = collector.records
    assert len(spans) == 2
    for order in ([own, *spans], [*spans, own]):
        (found,) = viewed(order)
        assert (found["interaction_id"], found["captured_by"]) == (turn.interaction_id, "api")
    tracers.shutdown()


def test_ids_that_a_server_gives_again_and_other_answers_are_turns_of_their_own() -> None:
    collector = MemoryCollector()
    ai = AI(collector)
    for identifier in ("chatcmpl-999", FIRST):
        with ai.conversation() as turn:
            turn.answer(ai_wire.chat(Said(identifier=identifier)))
    for told in ({"response_id": "chatcmpl-999"}, {"response_id": SECOND}, {}):
        collector.record("ai_conversation", captured_by="otel", **told)
    collector.record("ai_conversation", captured_by="posthog", response_id=FIRST)
    assert len(viewed(collector.records)) == 6
    assert viewed(collector.records, "FROM ai_told_twice") == []


def test_a_lake_counts_it_once_everywhere_and_its_rating_finds_the_turn(
    lake: Lake, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    collector = lake.collector()
    ai = AI(collector)

    def told(identifier: str) -> str | None:
        return collector.record(
            "ai_conversation", captured_by="otel", response_id=identifier, provider="openai",
            model_answered=ai_wire.CHAT_MODEL, input_tokens=86, output_tokens=188,
            total_tokens=274, tokens_source="reported", conversation_id="c5",
        )  # fmt: skip

    before = told(FIRST)
    with ai.conversation("c5", provider="openai") as turn:
        turn.answer(ai_wire.chat(Said(identifier=FIRST)))
        turn.answer(ai_wire.chat(Said(identifier=SECOND)))
    told(SECOND)
    begun = time.time_ns() // 1_000_000
    wait_until(lambda: time.time_ns() // 1_000_000 > begun)  # turns of one moment have no order
    alone = told("chatcmpl-BqL0cD9sX1pQ6h7j")
    ai.rate(before, helpful=True, user_id="u1")
    collector.commit()

    def said(*arguments: str) -> Any:
        assert main([*arguments, "--lake", str(lake.root)]) == 0
        return json.loads(capsysbinary.readouterr().out)

    def query(sql: str) -> Any:
        return said("query", sql, "--format", "json")

    for _ in range(2):  # in the log, then in the table
        found = query("SELECT interaction_id, turn, ratings_helpful FROM ai_turns ORDER BY turn")
        assert found == [
            {"interaction_id": turn.interaction_id, "turn": 0, "ratings_helpful": 1},
            {"interaction_id": alone, "turn": 1, "ratings_helpful": 0},
        ]
        found = query("SELECT turn_id, count(*) AS spans FROM ai_told_twice GROUP BY turn_id")
        assert found == [{"turn_id": turn.interaction_id, "spans": 2}]
        main(["compact", "--lake", str(lake.root)])
        capsysbinary.readouterr()
    figures = said("summary", "--format", "json")["ai"]
    assert (figures["turns"], figures["tokens"]) == (2, 3 * 274)
