"""What a turn of an AI conversation costs its caller, beside the tools that do only this.

One and the same call stands in for the SDK's: it gives an answer of OpenAI's own classes at once,
or a stream of 50 chunks. Around it, in blocks that take turns:

    bare           the call alone; what is said of the others is beyond it
    lakeward       `with ai.conversation(…) as turn`, asked, answered; a keeper takes the records
    langfuse       a generation with input, output and usage, spans collected in memory
    opentelemetry  the instrumentation of the OpenAI SDK (openai-v2) with content in spans that go
                   in batches into memory

CPU time is that of the calling thread: what a user waits for. What exporters do in threads of
their own is not counted, nor the keeper, which is a process.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langfuse import Langfuse
from openai import OpenAI
from openai.resources.chat.completions import Completions
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, InMemoryLogRecordExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lakeward.ai import AI
from lakeward.collector import Collector
from lakeward.settings import load
from measure import Report, interleaved, scratch, spread, table

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
from otel_openai_v2 import instrumented

TURNS, STREAMS = 2_000, 300
CHUNKS = 50
GOAL = 60.0
"""µs of CPU beyond the bare call, of a turn of two messages."""
NAMES = ("bare", "lakeward", "langfuse", "opentelemetry")
USAGE = {
    "prompt_tokens": 17_903, "completion_tokens": 188, "total_tokens": 18_091,
    "prompt_tokens_details": {"cached_tokens": 17_817, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}  # fmt: skip
Ask = Callable[[int], None]


def answer(number: int) -> ChatCompletion:
    """What the call gives."""
    message = {"role": "assistant", "content": f"Start from the hours you expect, say {number}."}
    return ChatCompletion.model_validate(
        {
            "id": f"chatcmpl-{number}", "object": "chat.completion", "created": 1755129600,
            "model": "gpt-4o-2024-08-06", "usage": USAGE,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }
    )  # fmt: skip


def chunks(number: int) -> list[ChatCompletionChunk]:
    """What a streamed call gives: a piece in each chunk, the usage at the end."""
    head: dict[str, Any] = {"id": f"chatcmpl-{number}", "object": "chat.completion.chunk",
            "created": 1755129600, "model": "gpt-4o-2024-08-06"}  # fmt: skip
    deltas: list[Any] = [{"role": "assistant", "content": f"word{n} "} for n in range(CHUNKS - 2)]
    parts: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": d, "finish_reason": None}]} for d in deltas
    ]
    parts.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    parts.append({"choices": [], "usage": USAGE})
    return [ChatCompletionChunk.model_validate(head | part) for part in parts]


class Source:
    """Stands in for the request; its answers are made beforehand."""

    def __init__(self) -> None:
        self.answers = [answer(number) for number in range(TURNS)]
        self.streams = [chunks(number) for number in range(STREAMS)]
        self.number = 0

    def create(self, **asked: Any) -> Any:
        """As `chat.completions.create`."""
        number, self.number = self.number, self.number + 1
        if asked.get("stream"):
            return Stream(self.streams[number % STREAMS])
        return self.answers[number % TURNS]


class Stream:
    """As the SDK's, without a connection."""

    def __init__(self, parts: list[ChatCompletionChunk]) -> None:
        self._parts = iter(parts)

    def __iter__(self) -> Iterator[ChatCompletionChunk]:
        return self

    def __next__(self) -> ChatCompletionChunk:
        return next(self._parts)

    def close(self) -> None:
        """Hold nothing."""


def asked(number: int) -> list[Any]:
    """The two messages of a request."""
    question = f"How do I price a retainer for client {number}?"
    return [{"role": "system", "content": "You coach contractors."},
            {"role": "user", "content": question}]  # fmt: skip


class Contestants:
    """Each as its own documentation has it."""

    def __init__(self, collector: Collector, client: OpenAI) -> None:
        self.ai = AI(collector)
        self.completions = client.chat.completions
        self.spans = InMemorySpanExporter()
        self.events = InMemoryLogRecordExporter()
        self.langfuse = Langfuse(
            public_key="pk-lf-bench", secret_key="sk-lf-bench", base_url="http://127.0.0.1:9",
            tracer_provider=TracerProvider(), span_exporter=self.spans,
        )  # fmt: skip
        self.tracers, self.loggers = TracerProvider(), LoggerProvider()
        self.tracers.add_span_processor(BatchSpanProcessor(self.spans))
        self.loggers.add_log_record_processor(BatchLogRecordProcessor(self.events))

    @contextmanager
    def instrumented(self, name: str) -> Iterator[None]:
        """The SDK's class is wrapped for one of them only."""
        if name == "opentelemetry":
            with instrumented(self.tracers, self.loggers, content="span_only"):
                yield
        else:
            yield

    def bare(self, number: int) -> None:
        """The call alone; what OpenTelemetry sees is the same call."""
        self.completions.create(model="gpt-4o", messages=asked(number))

    opentelemetry = bare

    def lakeward(self, number: int) -> None:
        messages = asked(number)
        with self.ai.conversation(
            "c5", feature="coach", provider="openai", model="gpt-4o", prompt_name="coach",
            prompt_version="3", turn=number, user_id="u1",
        ) as turn:  # fmt: skip
            turn.ask(messages)
            turn.answer(self.completions.create(model="gpt-4o", messages=messages))

    def langfuse_(self, number: int) -> None:
        messages = asked(number)
        with self.langfuse.start_as_current_observation(
            as_type="generation", name="coach", model="gpt-4o", input=messages,
            metadata={"feature": "coach", "conversation": "c5"},
        ) as generation:  # fmt: skip
            found = self.completions.create(model="gpt-4o", messages=messages)
            generation.update(
                output=found.choices[0].message.content, model=found.model,
                usage_details={"input": 86, "cache_read": 17_817, "output": 188},
            )  # fmt: skip

    def bare_stream(self, number: int) -> None:
        stream = self.completions.create(
            model="gpt-4o", messages=asked(number), stream=True,
            stream_options={"include_usage": True},
        )  # fmt: skip
        for _ in stream:
            pass

    opentelemetry_stream = bare_stream

    def lakeward_stream(self, number: int) -> None:
        messages = asked(number)
        with self.ai.conversation(
            "c5", feature="coach", provider="openai", model="gpt-4o", prompt_name="coach",
            prompt_version="3", turn=number, user_id="u1",
        ) as turn:  # fmt: skip
            turn.ask(messages)
            for _ in turn.stream(
                self.completions.create(
                    model="gpt-4o", messages=messages, stream=True,
                    stream_options={"include_usage": True},
                )
            ):  # fmt: skip
                pass

    def langfuse_stream(self, number: int) -> None:
        messages, pieces, usage = asked(number), [], None
        with self.langfuse.start_as_current_observation(
            as_type="generation", name="coach", model="gpt-4o", input=messages,
        ) as generation:  # fmt: skip
            for chunk in self.completions.create(
                model="gpt-4o", messages=messages, stream=True,
                stream_options={"include_usage": True},
            ):  # fmt: skip
                usage = chunk.usage or usage
                if chunk.choices and chunk.choices[0].delta.content:
                    pieces.append(chunk.choices[0].delta.content)
            generation.update(
                output="".join(pieces),
                usage_details={"input": 86, "cache_read": 17_817, "output": 188},
            )

    def block(self, name: str, streamed: bool) -> float:
        """CPU µs of the calling thread, a turn."""
        way = name + ("_stream" if streamed else "_" if name == "langfuse" else "")
        ask: Ask = getattr(self, way)
        turns = STREAMS if streamed else TURNS
        with self.instrumented(name):
            begun = time.thread_time()
            for number in range(turns):
                ask(number)
            spent = time.thread_time() - begun
        self.langfuse.flush()
        self.tracers.force_flush()
        self.loggers.force_flush()
        self.spans.clear()
        self.events.clear()
        return spent / turns * 1e6


def measured(report: Report, contestants: Contestants, rounds: int, streamed: bool) -> None:
    """One table: each beyond the bare call of its round."""
    taken: dict[str, list[float]] = {name: [] for name in NAMES}
    for number, name in interleaved(NAMES, rounds + 1):
        spent = contestants.block(name, streamed)
        if number:  # the first is the warm-up
            taken[name].append(spent)
        contestants.ai.collector.commit()
    bare = taken["bare"]
    beyond = {n: [a - b for a, b in zip(taken[n], bare, strict=True)] for n in NAMES[1:]}
    ours = beyond["lakeward"]
    rows = [["bare", spread(bare).text(1), "", ""]]
    for name, found in beyond.items():
        ratio = spread([them / us for them, us in zip(found, ours, strict=True)])
        rows.append([name, spread(taken[name]).text(1), spread(found).text(1), ratio.text(1)])
    what = f"streamed in {CHUNKS} chunks" if streamed else "of two messages, answered at once"
    report.say(f"A turn {what}; CPU µs of the calling thread, {rounds} rounds.")
    report.say(table(["", "a turn", "beyond bare", "ratio to lakeward"], rows))
    if not streamed:
        report.goal("a turn, beyond bare", spread(ours).median, GOAL, "µs of CPU")
    report.figures["streamed" if streamed else "plain"] = taken


def main() -> None:
    """Measure both kinds of turn."""
    report = Report("ai")
    source = Source()

    def create(completions: Completions, **asked: Any) -> Any:
        return source.create(**asked)

    Completions.create = create  # type: ignore[method-assign,assignment]  # what is measured
    client = OpenAI(api_key="k", base_url="http://127.0.0.1:9")
    with scratch() as environ:
        environ |= {"LAKEWARD_ENV": "production", "LAKEWARD_RING_BYTES": "64MiB"}
        settings = load(environ, Path(environ["LAKEWARD_LAKE_DIR"]).parent)
        with Collector(settings) as collector:
            contestants = Contestants(collector, client)
            gc.collect()
            gc.freeze()  # what was made beforehand is not the cost of a turn
            for streamed in (False, True):
                measured(report, contestants, report.rounds(9), streamed)
            reasons = collector.stats()["reasons"]
            assert not reasons, f"records were dropped: {reasons}"
            contestants.langfuse.shutdown()
    client.close()
    report.finish()


if __name__ == "__main__":
    main()
