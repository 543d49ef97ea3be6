"""Turns of AI conversations for the tests of tokens, prices and the table."""

from __future__ import annotations

from typing import Any

from test_table import NOON, line

PROMPT = "Who won the World Cup in 2022?"
ANSWER = (
    "Argentina won the 2022 FIFA World Cup, defeating France in the final match which ended in a "
    "dramatic penalty shootout after a 3-3 draw in regulation and extra time. This victory marked "
    "Argentina's third World Cup title, with their previous wins in 1978 and 1986."
)
"""A prompt of 17 tokens by OpenAI's own usage for gpt-4o-mini, and an answer of 60 (its usage has
61: one of them ends the answer and is no text)."""

CACHED: dict[str, Any] = {
    "provider": "openai",
    "model_requested": "gpt-4o",
    "model_answered": "gpt-4o-2024-08-06",
    "input_tokens": 86,
    "cache_read_tokens": 17817,
    "output_tokens": 188,
    "total_tokens": 18091,
    "tokens_source": "reported",
}
"""17,903 prompt tokens of which 17,817 were cached, 188 in the answer: 0.02436625 USD."""

SILENT: dict[str, Any] = {
    "provider": "openai",
    "model_requested": "gpt-4o-mini",
    "status": "completed",
    "tokens_source": "none",
}
"""A turn whose provider reported no usage."""


def said(prompt: str = PROMPT, answer: str | None = ANSWER) -> list[dict[str, Any]]:
    asked: list[dict[str, Any]] = [{"role": "user", "content": prompt}]
    return asked if answer is None else [*asked, {"role": "assistant", "content": answer}]


def turn(
    metadata: dict[str, Any], messages: list[dict[str, Any]] | None = None, ms: int = NOON
) -> bytes:
    """A line of the log."""
    more = {} if messages is None else {"messages": messages}
    return line(ms=ms, interaction_type="ai_conversation", ai_metadata=metadata, **more)
