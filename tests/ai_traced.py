"""The real SDKs of OpenAI and Anthropic under a real instrumentation, against the local server,
with Lakeward's processor at the end.

    with traced("openai_v2", "true") as run:
        run.openai().chat.completions.create(...)
        run.turn()   # the one record of it
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from anthropic import Anthropic, AsyncAnthropic
from anthropic.resources import beta, messages
from openai import AsyncOpenAI, OpenAI, resources
from openai.resources import chat, responses
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import TracerProvider

import otel_openai_v2
from ai_servers import Answer, ModelServer, model_server
from lakeward.ai.processor import TurnProcessor
from lakeward.testing import MemoryCollector

ASKED: list[Any] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "How do I price a retainer?"},
]
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}}
]
CLAUDE: dict[str, Any] = {"model": "claude-sonnet-5", "max_tokens": 100, "system": "Be brief.",
          "messages": ASKED[1:]}  # fmt: skip


class Run:
    """What one test has."""

    def __init__(self, stack: ExitStack, server: ModelServer, collector: MemoryCollector) -> None:
        self._stack = stack
        self.server = server
        self.collector = collector
        self.turns = TurnProcessor(collector)
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(self.turns)
        self.loggers = LoggerProvider()
        self.loggers.add_log_record_processor(self.turns.logs)
        stack.callback(self.tracers.shutdown)
        stack.callback(self.loggers.shutdown)

    def openai(self) -> OpenAI:
        """OpenAI's client, which tries once."""
        client = OpenAI(base_url=self.server.openai, api_key="k", max_retries=0)
        self._stack.callback(client.close)
        return client

    def async_openai(self) -> Any:
        """The same for coroutines; the test closes it."""
        return AsyncOpenAI(base_url=self.server.openai, api_key="k", max_retries=0)

    def anthropic(self) -> Anthropic:
        """Anthropic's client, which tries once."""
        client = Anthropic(base_url=self.server.url, api_key="k", max_retries=0)
        self._stack.callback(client.close)
        return client

    def async_anthropic(self) -> Any:
        """The same for coroutines; the test closes it."""
        return AsyncAnthropic(base_url=self.server.url, api_key="k", max_retries=0)

    def chat(self, answer: Answer, **more: Any) -> Any:
        """One chat of OpenAI, with `answer`."""
        self.server.plan.append(answer)
        return self.openai().chat.completions.create(
            model="gpt-4o", messages=ASKED, temperature=0.2, **more
        )

    def claude(self, answer: Answer, **more: Any) -> Any:
        """One message of Anthropic, with `answer`."""
        self.server.plan.append(answer)
        return self.anthropic().messages.create(**CLAUDE, **more)

    def turn(self) -> dict[str, Any]:
        """The one record that there is, its type's own fields beside the others."""
        (record,) = self.collector.records
        assert record["interaction_type"] == "ai_conversation", record
        assert self.collector.quarantined == []
        return {**record, **record.get("ai_metadata", {})}


@contextmanager
def traced(kind: str, content: str = "", **settings: str) -> Iterator[Run]:
    """The instrumentation `kind` around the SDKs: openai_v2, openllmetry, or none."""
    with ExitStack() as stack:
        server = stack.enter_context(model_server())
        run = Run(stack, server, stack.enter_context(MemoryCollector(settings)))
        if kind == "openai_v2":
            stack.enter_context(
                otel_openai_v2.instrumented(run.tracers, run.loggers, content=content)
            )
        elif kind == "openllmetry":
            stack.enter_context(_as_they_were())
            stack.enter_context(_openllmetry(run, attributes=content != "events"))
        yield run


@contextmanager
def _openllmetry(run: Run, *, attributes: bool) -> Iterator[None]:
    with warnings.catch_warnings():  # its own code is older than the pydantic beside it
        warnings.simplefilter("ignore", DeprecationWarning)
        from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor

        both = [
            OpenAIInstrumentor(use_attributes=attributes),
            AnthropicInstrumentor(use_attributes=attributes),
        ]
        for one in both:
            one.instrument(tracer_provider=run.tracers, logger_provider=run.loggers)
    try:
        yield
    finally:
        for one in both:
            one.uninstrument()


@contextmanager
def _as_they_were() -> Iterator[None]:
    """Methods that OpenLLMetry 0.62.4 leaves wrapped, for it unwraps them by wrong names."""
    classes = [
        getattr(module, name)
        for module, names in (
            (chat.completions, ("Completions", "AsyncCompletions")),
            (responses, ("Responses", "AsyncResponses")),
            (resources, ("Embeddings", "AsyncEmbeddings")),
            (resources, ("Completions", "AsyncCompletions", "Images")),
            (messages, ("Messages", "AsyncMessages")),
            (beta.messages, ("Messages", "AsyncMessages")),
        )
        for name in names
        if hasattr(module, name)
    ]
    before = [(one, name, value) for one in classes for name, value in vars(one).items()
              if callable(value) and not name.startswith("__")]  # fmt: skip
    try:
        yield
    finally:
        for one, name, value in before:
            setattr(one, name, value)
