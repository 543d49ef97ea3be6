"""OpenTelemetry's own instrumentation of OpenAI's SDK, made to run with the package below it.

opentelemetry-instrumentation-openai-v2 2.4b0 asks for opentelemetry-util-genai >= 0.4b0.dev and is
installed beside 1.3b0, which has renamed what it calls: without these names its import fails
(`No module named 'opentelemetry.util.genai.instruments'`) and, after that, its calls. All that
makes spans, attributes and events is theirs.
"""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


def _bridge(*, experimental: bool) -> None:
    from opentelemetry.util.genai import _instruments, handler, utils

    names = types.ModuleType("opentelemetry.util.genai.instruments")
    made = _instruments._Instruments
    names.create_duration_histogram = lambda m: made(m).operation_duration  # type: ignore[attr-defined]  # a stand-in
    names.create_token_histogram = lambda m: made(m).token_usage  # type: ignore[attr-defined]  # a stand-in
    sys.modules[names.__name__] = names
    handler.TelemetryHandler.start_inference = handler.TelemetryHandler.inference
    utils.is_experimental_mode = lambda: experimental


def _error(*, type: type[BaseException], message: str) -> Any:  # noqa: A002  # theirs
    from opentelemetry.util.genai.types import Error

    return Error(type=type.__name__, message=message)


@contextmanager
def instrumented(tracer_provider: Any, logger_provider: Any, *, content: str) -> Iterator[None]:
    """OpenAI's SDK with it; `content` is `true` for the older conventions, `span_only` or
    `event_only` for today's."""
    experimental = content != "true"
    before = os.environ.get(CAPTURE)
    os.environ[CAPTURE] = content
    try:
        _bridge(experimental=experimental)
        from opentelemetry.instrumentation import openai_v2

        openai_v2.is_experimental_mode = lambda: experimental
        openai_v2.patch.Error = _error
        instrumentor = openai_v2.OpenAIInstrumentor()
        instrumentor.instrument(
            tracer_provider=tracer_provider,
            logger_provider=logger_provider,
            skip_dep_check=True,
        )
        try:
            yield
        finally:
            instrumentor.uninstrument()
    finally:
        os.environ.pop(CAPTURE)
        if before is not None:
            os.environ[CAPTURE] = before
