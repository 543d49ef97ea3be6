"""OpenTelemetry's spans of AI turns, recorded in the process that makes them.

In: spans that end, and log records that hold what was said in them. Out: an `ai_conversation` for
each span that asked a model, with `captured_by` otel, and the ratings that were given on it; other
spans cost a look. Importing fails with `MissingExtra` where there is no opentelemetry-sdk; after
that nothing raises: what goes wrong is counted by the collector.

    turns = TurnProcessor(collector)
    tracer_provider.add_span_processor(turns)
    logger_provider.add_log_record_processor(turns.logs)   # where the content is in log records

A turn joins the captured call or job in which its span began: session, user, trace and parent are
those, and the span's own trace stays in `properties.otel_trace_id`. Elsewhere the record has the
span's trace. Its id is the one that the same span would get over OTLP.

Not recorded, as it would count twice: a span inside the block of an `AI.conversation`, which is
told of it instead, and one that only wraps another of the same operation.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from lakeward.ai.active import ACTIVE, UnderWay
from lakeward.ai.genai import OPERATION, TURNS, ai_conversation
from lakeward.ai.spans import OF_THE_SDK, Event, Span, our_id
from lakeward.collector import Collector, join
from lakeward.errors import MissingExtra
from lakeward.interaction import JsonObject
from lakeward.ledger import Reason
from lakeward.trace import CURRENT, Cause

try:
    from opentelemetry.sdk._logs import LogRecordProcessor
    from opentelemetry.sdk.trace import SpanProcessor
except ImportError:
    raise MissingExtra("The processor of OpenTelemetry's spans", "ai") from None

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk._logs import ReadWriteLogRecord
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext

MOST_OPEN = 1024
"""Spans that began and did not end yet: some instrumentations never end one that was left."""
MOST_SAID = 1000
"""Log records of one span."""
OF_THE_RECORD = frozenset({"interaction_type", "captured_by", "metadata"})
SCALARS = frozenset({str, int, bool, type(None)})
ANYWHERE = 16
"""How deep a value is looked into."""


class _Open(msgspec.Struct):
    """What is known of a span that is under way, of an AI turn or around one."""

    cause: Cause | None
    turn: UnderWay | None
    said: list[Event] = []
    wraps: set[str] = set()
    """Operations of spans right inside it that were recorded."""


class TurnProcessor(SpanProcessor):  # type: ignore[misc]  # its package is not read
    """Records AI turns of the spans of a `TracerProvider`; safe to share, and to fork with."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._open: dict[int, _Open] = {}
        self._resource: tuple[object, JsonObject] = (None, {})
        self.logs = ContentProcessor(self._hear)

    def on_start(self, span: Any, parent_context: Context | None = None) -> None:
        """Notes in which call and in which turn it begins; it may end elsewhere."""
        try:
            if _operation(_copied(span.attributes)) is not None:
                self._began(span.context.span_id)
        except Exception as error:
            self._collector.blame(Reason.unencodable, error)

    def on_end(self, span: ReadableSpan) -> None:
        """Records it, when it asked a model."""
        try:
            began = self._open.pop(span.context.span_id, None) if self._open else None
            attributes = _copied(span.attributes)
            operation = _operation(attributes)
            if operation is None:
                return
            if began is None:
                began = _Open(CURRENT.get(), _under_way(ACTIVE.get()))
            if operation in began.wraps:
                return
            parent = span.parent
            if parent is not None and not parent.is_remote:
                # What it is may be said at its end only.
                outer = self._open.get(parent.span_id) or self._began(parent.span_id)
                outer.wraps.add(operation)
            self._record(span, began, attributes)
        except Exception as error:
            self._collector.blame(Reason.unencodable, error)

    def _began(self, span_id: int) -> _Open:
        while len(self._open) >= MOST_OPEN:
            self._open.pop(next(iter(self._open)), None)
        began = self._open[span_id] = _Open(CURRENT.get(), _under_way(ACTIVE.get()))
        return began

    def _record(self, span: ReadableSpan, began: _Open, attributes: JsonObject) -> None:
        read = _read(span, attributes, began.said, self._resource_of(span))
        turn, *ratings = ai_conversation(read)
        if (outer := _under_way(began.turn)) is not None:
            outer.heard(_of_the_turn(turn, read))
            return
        turn["trace_id"] = read.trace_id
        for fields in (turn, *ratings):
            if began.cause is not None:
                _joined(fields, began.cause)
        collector = self._collector
        del turn["interaction_type"]
        collector.record_turn(turn, our_id(read), collector.clock.stamp(read.start_ns))
        for fields in ratings:
            collector.record(fields.pop("interaction_type"), **fields)

    def _hear(self, span_id: int, event: Event) -> None:
        """What a log record says of a span that is under way."""
        began = self._open.get(span_id)
        if began is not None and len(began.said) < MOST_SAID:
            began.said.append(event)

    def _resource_of(self, span: ReadableSpan) -> JsonObject:
        """The same for all spans of a provider, so it is read once."""
        resource = span.resource
        if self._resource[0] is not resource:
            told = _plain(resource.attributes)
            self._resource = resource, {n: v for n, v in told.items() if not _made_up(n, v)}
        return self._resource[1]

    def shutdown(self) -> None:
        """Nothing waits here: a record is in the ring when its span has ended."""
        self._open.clear()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Whether all that was recorded is durable."""
        try:
            self._collector.commit(timeout_millis / 1000)
        except Exception:
            return False
        return True


class ContentProcessor(LogRecordProcessor):  # type: ignore[misc]  # its package is not read
    """Takes what is said in a turn out of log records: a `TurnProcessor`'s `logs`."""

    def __init__(self, hear: Callable[[int, Event], None]) -> None:
        self._hear = hear

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Keeps it for the span that it belongs to, while that is under way."""
        record = log_record.log_record
        name = record.event_name
        if not name or not name.startswith("gen_ai.") or not record.span_id:
            return
        try:
            said = _plain(record.attributes)
            if isinstance(record.body, Mapping):
                said |= _plain(record.body)
            self._hear(record.span_id, Event(name, record.timestamp or 0, said))
        except Exception:
            return  # a value that cannot be read is worth less than the app's answer

    def shutdown(self) -> None:
        """Nothing is held here."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held here."""
        return True


def _under_way(turn: UnderWay | None) -> UnderWay | None:
    """The turn if it can still take something: a task that goes on after the block does not."""
    return turn if turn is not None and turn.is_open else None


def _operation(given: JsonObject) -> str | None:
    """The operation of a span that asks a model; None for any other span."""
    for name in OPERATION:
        value = given.get(name)
        if type(value) is str:
            operation = value.lower()
            return operation if operation in TURNS else None
    return None


def _copied(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The SDK's mapping takes a lock and a microsecond for each look; its copy is a dict."""
    copy = getattr(given, "copy", None)
    copied = copy() if copy is not None else None
    return copied if type(copied) is dict else dict(given or {})


def _made_up(name: str, value: object) -> bool:
    """What the SDK says of a process by itself; the record has its own service."""
    own = name.startswith(OF_THE_SDK) or name == "service.instance.id"
    return own or str(value).startswith("unknown_service")


def _of_the_turn(fields: JsonObject, span: Span) -> JsonObject:
    """What completes a turn that is recorded by itself: all but how this record was made."""
    known = {name: value for name, value in fields.items() if name not in OF_THE_RECORD}
    return known | {"properties": {"otel_trace_id": span.trace_id, "span_id": span.span_id}}


def _joined(fields: JsonObject, cause: Cause) -> None:
    """Give a record what it shares with the call in which its span began."""
    own = fields.pop("trace_id")
    join(fields, cause)
    if own != fields["trace_id"]:
        fields["properties"] = fields.get("properties", {}) | {"otel_trace_id": own}


def _read(
    span: ReadableSpan, attributes: JsonObject, said: list[Event], resource: JsonObject
) -> Span:
    """A span of the SDK as one of ours; the SDK numbers kinds from 0. `attributes` are a copy."""
    context, parent, status = span.context, span.parent, span.status
    events = [Event(event.name, event.timestamp, _plain(event.attributes)) for event in span.events]
    scope = span.instrumentation_scope
    return Span(
        format(context.trace_id, "032x"),
        format(context.span_id, "016x"),
        _span_id(parent),
        span.name,
        span.kind.value + 1,
        span.start_time or 0,
        span.end_time or 0,
        _settled(attributes),
        events + said if said else events,
        [(format(link.context.trace_id, "032x"), _span_id(link.context)) for link in span.links],
        status.status_code.value,
        status.description or "",
        resource,
        scope.name if scope is not None else "",
    )


def _span_id(context: SpanContext | None) -> str:
    return format(context.span_id, "016x") if context is not None else ""


def _plain(given: Mapping[str, Any] | None) -> JsonObject:
    return _settled(_copied(given))


def _settled(plain: JsonObject) -> JsonObject:
    """Attributes of which nobody else holds this dict, as JSON has them."""
    for name, value in plain.items():
        if type(value) not in SCALARS:
            plain[name] = _value(value, ANYWHERE)
    return plain


def _value(value: Any, depth: int) -> Any:
    """A value of an attribute as JSON has it; the SDK keeps lists as tuples."""
    if type(value) in SCALARS:
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if depth and isinstance(value, Mapping):
        return {str(name): _value(inner, depth - 1) for name, inner in value.items()}
    if depth and isinstance(value, list | tuple):
        return [_value(inner, depth - 1) for inner in value]
    return str(value)
