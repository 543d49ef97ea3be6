"""AI turns on their way into the table: tokens that nobody reported, and what the turn cost.

In: the metadata of a turn as it was told, its messages, its time. Out: the same metadata with what
it gains: `total_tokens`, `tokens_source`, `tokenizer`, buckets, cost and where the price is from.
What was told stays as it is. Nothing fails for what a row holds: metadata that are odd come out
unchanged, and so do all where the extra `ai` is missing or the file of own prices is wrong.

    told ──► tokens: reported, or counted from the messages, or none ──► cost, or none

A turn of which one side alone is known, prompt or answer, gains the other as the rest of the total,
or else by counting, and is an estimate then. A total alone says nothing of a cost.
"""

from __future__ import annotations

import contextlib
import logging
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
from msgspec import Raw

from lakeward.errors import MissingExtra, SettingError
from lakeward.interaction import JsonObject
from lakeward.lake import column
from lakeward.lake.prices import Priced, Prices
from lakeward.lake.rates import ANSWER
from lakeward.lake.tokens import ANSWERER, Count, Tokens, encoding_of
from lakeward.lake.told import (
    PROMPT,
    asked,
    buckets,
    context,
    count,
    has_no_answer,
    requests,
    rest,
    searches,
    side,
    text,
)

if TYPE_CHECKING:
    import pyarrow as pa

Messages: TypeAlias = "pa.Scalar | list[object] | str | None"
"""As Arrow has them, decoded only where they are to be counted, or already decoded, or as JSON."""

logger = logging.getLogger("lakeward.turns")

UNREAD: Final = frozenset({"cancelled", "abandoned"})
"""Ends of a turn of whose answer perhaps nothing was received."""
COSTS: Final = ("cost_usd", "input_cost_usd", "output_cost_usd")
OURS: Final = ("own", "genai-prices", "own+genai-prices")
"""Sources of prices that were looked up here; the last is of a turn whose requests differ."""
PRICED: Final = (*COSTS, "price_source", "price_version")
ODD: Final = (msgspec.MsgspecError, ValueError, ArithmeticError, TypeError, RecursionError)


class Turns:
    """Completes turns; reads own prices once, and loads tables when the first turn needs them.

    With `again` a cost that was looked up before is looked up anew, and stays where none is found.
    """

    def __init__(self, own: Path | None = None, *, again: bool = False) -> None:
        self._own = own
        self._again = again
        self._decode = msgspec.json.Decoder(dict[str, object]).decode

    def completed(
        self, metadata: pa.ChunkedArray, messages: pa.ChunkedArray, times: pa.ChunkedArray
    ) -> pa.Array:
        """A column of metadata, completed; beside it the messages and the times in ms."""
        rows = zip(metadata, messages, times, strict=True)
        return column.texts(
            [self.complete(told.as_py(), said, ms.as_py()) for told, said, ms in rows]
        )

    def record(self, record: JsonObject) -> JsonObject:
        """A record of the log as the table will have it."""
        told = record.get("ai_metadata")
        if record.get("interaction_type") != "ai_conversation" or not isinstance(told, dict):
            return record
        try:
            at = datetime.fromisoformat(text(record, "timestamp"))
            return record | {"ai_metadata": told | self._gained(told, record.get("messages"), at)}
        except (*ODD, OSError):
            return record

    def line(self, metadata: Raw, messages: Raw, timestamp: str) -> bytes:
        """The same of parts of a line of the log, as they stand there."""
        told = bytes(metadata)
        if b'"cost_usd"' not in told:
            with contextlib.suppress(*ODD):
                ms = round(datetime.fromisoformat(timestamp).timestamp() * 1000)
                found = self.complete(told.decode(), bytes(messages).decode(), ms)
                return (found or "").encode()
        return told

    def complete(self, metadata: str | None, messages: Messages, ms: int | None) -> str | None:
        """One turn's metadata as JSON, completed."""
        if metadata is None or ms is None:
            return metadata
        try:
            told = self._decode(metadata)
            gained = self._gained(told, messages, datetime.fromtimestamp(ms / 1000, UTC))
            return msgspec.json.encode(told | gained).decode() if gained else metadata
        except (*ODD, OSError):
            return metadata

    def _gained(self, told: JsonObject, messages: Messages, at: datetime) -> JsonObject:
        if self._again and told.get("price_source") in OURS:
            plain = {name: value for name, value in told.items() if name not in PRICED}
            return self._cost(plain, at)
        gained = self._tokens(told, messages)
        if all(told.get(name) is None for name in COSTS):
            gained |= self._cost(told | gained, at)
        return gained

    def _tokens(self, told: JsonObject, messages: Messages) -> JsonObject:
        """What the turn gains in tokens."""
        prompt, answer = side(told, PROMPT), side(told, ANSWER)
        total = count(told, "total_tokens")
        if prompt is not None and answer is None and has_no_answer(told):
            answer = 0
        gained: JsonObject = {}
        if prompt is None and answer is None and total is None:
            return self._estimated(told, messages, None, None)
        if prompt is None or answer is None:
            gained = rest(told, prompt, answer)
            if not gained and total in (None, prompt, answer):
                return self._estimated(told, messages, prompt, answer)
        elif total is None:
            gained = {"total_tokens": prompt + answer}
        if told.get("tokens_source") is None:
            gained["tokens_source"] = "reported"
        return gained

    def _estimated(
        self,
        told: JsonObject,
        messages: Messages,
        prompt: int | None,
        answer: int | None,
    ) -> JsonObject:
        """The sides that are not known, counted; what is known alone says that it was reported."""
        count = self._counted(told, messages)
        if count is None:
            source = "none" if prompt is None and answer is None else "reported"
            return {} if told.get("tokens_source") is not None else {"tokens_source": source}
        gained: JsonObject = {}
        if prompt is None:
            gained["input_tokens"] = prompt = count.input_tokens
        if answer is None:
            gained["output_tokens"] = answer = count.output_tokens
        return gained | {
            "total_tokens": prompt + answer,
            "tokens_source": "estimated",
            "tokenizer": count.tokenizer,
        }

    def _counted(self, told: JsonObject, messages: Messages) -> Count | None:
        """The turn's tokens by its messages, where they are what was said and all of it."""
        if told.get("content_mode") in ("redacted", "none") or told.get("content_consent") is False:
            return None
        model = text(told, "model_answered") or text(told, "model_requested")
        if encoding_of(model) is None or self._counter is None:
            return None
        said = _decoded(messages)
        operation = text(told, "operation") or "chat"
        if not said or not (has_no_answer(told) or _is_answered(said, told)):
            return None
        parameters = told.get("parameters")
        tools = parameters.get("tools") if isinstance(parameters, dict) else None
        return self._counter.turn(said, model, operation, tools)

    def _cost(self, turn: JsonObject, at: datetime) -> JsonObject:
        """What the requests of the turn cost; nothing where one has no price."""
        found: list[Priced] = []
        for request in requests(turn) or ():
            priced = self._priced(request, at)
            if priced is None:
                return {}
            found.append(priced)
        if not found:
            return {}
        return {
            "cost_usd": float(sum(priced.cost.total for priced in found)),
            "input_cost_usd": float(sum(priced.cost.prompt for priced in found)),
            "output_cost_usd": float(sum(priced.cost.answer for priced in found)),
            "price_source": "+".join(sorted({priced.source for priced in found}, reverse=True)),
            "price_version": "+".join(sorted({priced.version for priced in found}, reverse=True)),
        }

    def _priced(self, request: JsonObject, at: datetime) -> Priced | None:
        """What one request costs; None where one side of its tokens is not known."""
        has_answer = has_no_answer(request) or side(request, ANSWER) is not None
        if side(request, PROMPT) is None or not has_answer or self._prices is None:
            return None
        with contextlib.suppress(MissingExtra):
            return self._prices.price(
                asked(request), buckets(request), at,
                searches=searches(request), context=context(request),
            )  # fmt: skip
        return None

    @cached_property
    def _counter(self) -> Tokens | None:
        try:
            return Tokens()
        except MissingExtra:
            return None

    @cached_property
    def _prices(self) -> Prices | None:
        try:
            return Prices(self._own)
        except SettingError as error:
            logger.warning("AI turns get no cost until the prices are mended: %s", error)
            return None


def _decoded(messages: Messages) -> list[object]:
    if messages is None or isinstance(messages, list):
        return messages or []
    text = messages if isinstance(messages, str) else messages.as_py()
    return msgspec.json.decode(text, type=list[object]) if text else []


def _is_answered(said: list[object], told: JsonObject) -> bool:
    """Whether an answer was received, or the turn ended before one could be."""
    last = said[-1]
    if isinstance(last, dict) and last.get("role") in ANSWERER:
        return True
    return told.get("status") in UNREAD
