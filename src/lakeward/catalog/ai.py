"""AI conversations, one turn a record, and how people rate them.

The messages are the record's own `messages`; who, where and when are `user_id`, `session_id`,
`conversation_id` and `trace_id`. An error's class is in `error_type`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta

from lakeward.catalog.spec import (
    Amount,
    Count,
    Id,
    Ids,
    Millis,
    Name,
    Names,
    Nullable,
    Opt,
    Sha256,
    Text,
    TypeSpec,
    doc,
    spec,
)
from lakeward.interaction import JsonObject


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A file that went with a message, by reference; its bytes are not stored."""

    media_type: Annotated[Opt[Name], doc("Its media type, such as `image/png`.")] = UNSET
    sha256: Annotated[Opt[Sha256], doc("SHA-256 of its bytes.", "hex")] = UNSET
    reference: Annotated[
        Opt[Text], doc("Where the app keeps it, scrubbed.", personal="pseudonymous")
    ] = UNSET
    size_bytes: Annotated[Opt[Count], doc("Its size.", "bytes")] = UNSET


class AiMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a turn. Keys beyond these are kept."""

    role: Annotated[
        Name, doc("Who speaks: system, user, assistant or tool, or the provider's own word.")
    ]
    content: Annotated[
        Any, doc("Text, or a list of parts; left out without consent.", personal="content")
    ] = UNSET
    tool_calls: Annotated[
        Nullable[list[JsonObject]],
        doc("Calls the model asked for: id, name, arguments.", "", "content"),
    ] = UNSET
    tool_call_id: Annotated[Nullable[Id], doc("The call that this message of a tool answers.")] = (
        UNSET
    )
    attachments: Annotated[
        Nullable[list[Attachment]],
        doc("Files that went with it, by reference.", "", "pseudonymous"),
    ] = UNSET
    content_hash: Annotated[
        Nullable[Name], doc("Hash of a content too long to store; the content is absent.", "hex")
    ] = UNSET


TELLING_ID = 16
"""Characters that a provider's id of an answer has at least if nobody gives it twice; servers on
one's own machine count `chatcmpl-1` to `chatcmpl-999`."""
TOKEN_BUCKETS: tuple[str, ...] = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_tokens",
)
"""Exclusive: each token is in one bucket, so the buckets add up to `total_tokens`."""


class AiRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One of several requests of a turn: what its price depends on. Keys beyond these are kept."""

    operation: Annotated[Opt[Name], doc("Kind of request, where its answer says it.")] = UNSET
    provider: Annotated[Opt[Name], doc("Who runs the model; left out: as the turn's.")] = UNSET
    model_requested: Annotated[Opt[Name], doc("Model that was asked for.")] = UNSET
    model_answered: Annotated[Opt[Name], doc("Model that answered; left out: as the turn's.")] = (
        UNSET
    )
    input_tokens: Annotated[Opt[Count], doc("As in the turn.", "tokens")] = UNSET
    cache_read_tokens: Annotated[Opt[Count], doc("As in the turn.", "tokens")] = UNSET
    cache_write_tokens: Annotated[Opt[Count], doc("As in the turn.", "tokens")] = UNSET
    cache_write_1h_tokens: Annotated[
        Opt[Count], doc("Those of `cache_write_tokens` that were written for an hour.", "tokens")
    ] = UNSET
    output_tokens: Annotated[Opt[Count], doc("As in the turn.", "tokens")] = UNSET
    reasoning_tokens: Annotated[Opt[Count], doc("As in the turn.", "tokens")] = UNSET
    audio_input_tokens: Annotated[Opt[Count], doc("As in the turn.", "tokens")] = UNSET
    audio_output_tokens: Annotated[Opt[Count], doc("As in the turn.", "tokens")] = UNSET
    image_tokens: Annotated[Opt[Count], doc("As in the turn.", "tokens")] = UNSET
    total_tokens: Annotated[Opt[Count], doc("Sum of its buckets.", "tokens")] = UNSET
    web_searches: Annotated[
        Opt[Count], doc("Searches of the web that the model made.", "searches")
    ] = UNSET
    service_tier: Annotated[Opt[Name], doc("Tier that served it, by the provider's word.")] = UNSET
    speed: Annotated[Opt[Name], doc("Speed that served it, by the provider's word.")] = UNSET


class AiConversation(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of an AI conversation ended: answered, failed, cancelled or abandoned.

    Token buckets are exclusive: a cached or reasoning token is in no other bucket.
    """

    messages: Annotated[
        Opt[list[AiMessage]],
        doc("Messages of the turn, oldest first, as AI_CONTENT allows.", personal="content"),
    ] = UNSET
    turn: Annotated[Opt[Count], doc("Number of the turn in its conversation, from 0.")] = UNSET
    feature: Annotated[Opt[Name], doc("What the app uses it for, such as `coach`.")] = UNSET
    operation: Annotated[Opt[Name], doc("Kind of request, such as chat or embeddings.")] = UNSET
    provider: Annotated[Opt[Name], doc("Who runs the model, such as openai or anthropic.")] = UNSET
    model_requested: Annotated[Opt[Name], doc("Model that the app asked for.")] = UNSET
    model_answered: Annotated[Opt[Name], doc("Model that answered, by its own word.")] = UNSET
    response_id: Annotated[Opt[Id], doc("The provider's id of the answer.")] = UNSET
    response_ids: Annotated[Opt[Ids], doc("Ids of all answers, where the turn had several.")] = (
        UNSET
    )
    parameters: Annotated[
        Opt[JsonObject], doc("Parameters of the request, such as temperature.", personal="content")
    ] = UNSET
    status: Annotated[
        Opt[Literal["completed", "failed", "refused", "cancelled", "abandoned"]],
        doc("How the turn ended; abandoned: the stream was left unread."),
    ] = UNSET
    finish_reason: Annotated[
        Opt[Name], doc("Why the model stopped, in the provider's word, such as stop.")
    ] = UNSET
    streamed: Annotated[Opt[bool], doc("The answer came as a stream.")] = UNSET
    time_to_first_token_ms: Annotated[
        Opt[Millis], doc("From the request to the first token.", "ms")
    ] = UNSET
    duration_ms: Annotated[Opt[Millis], doc("From the request to the last token.", "ms")] = UNSET
    tool_call_count: Annotated[Opt[Count], doc("Tool calls of the answer.", "calls")] = UNSET
    tools_used: Annotated[Opt[Names], doc("Names of the tools that were called.")] = UNSET
    prompt_name: Annotated[Opt[Name], doc("The app's name of the prompt.")] = UNSET
    prompt_version: Annotated[Opt[Name], doc("Version of that prompt.")] = UNSET
    content_mode: Annotated[
        Opt[Literal["full", "redacted", "none"]], doc("AI_CONTENT when it was recorded.")
    ] = UNSET
    captured_by: Annotated[
        Opt[Literal["api", "otel", "posthog", "import"]], doc("Which way it was captured.")
    ] = UNSET

    input_tokens: Annotated[
        Opt[Count], doc("Prompt tokens that no cache held, text.", "tokens")
    ] = UNSET
    cache_read_tokens: Annotated[
        Opt[Count], doc("Prompt tokens read from the provider's cache.", "tokens")
    ] = UNSET
    cache_write_tokens: Annotated[
        Opt[Count], doc("Prompt tokens written to that cache.", "tokens")
    ] = UNSET
    output_tokens: Annotated[
        Opt[Count], doc("Answer tokens, text, without reasoning.", "tokens")
    ] = UNSET
    reasoning_tokens: Annotated[
        Opt[Count], doc("Tokens the model spent on reasoning.", "tokens")
    ] = UNSET
    audio_input_tokens: Annotated[Opt[Count], doc("Audio in the prompt.", "tokens")] = UNSET
    audio_output_tokens: Annotated[Opt[Count], doc("Audio in the answer.", "tokens")] = UNSET
    image_tokens: Annotated[Opt[Count], doc("Images in the prompt.", "tokens")] = UNSET
    total_tokens: Annotated[Opt[Count], doc("Sum of the buckets.", "tokens")] = UNSET
    tokens_source: Annotated[
        Opt[Literal["reported", "estimated", "none"]],
        doc("Reported by the provider, estimated offline, or not known."),
    ] = UNSET
    tokenizer: Annotated[Opt[Name], doc("Tokeniser of an estimate, such as `o200k_base`.")] = UNSET
    usage: Annotated[
        Opt[JsonObject], doc("The provider's usage as it came.", personal="content")
    ] = UNSET
    requests: Annotated[
        Opt[Annotated[list[AiRequest], Meta(max_length=1000)]],
        doc("Of a turn of several requests, what each took; the buckets above are their sums."),
    ] = UNSET

    cost_usd: Annotated[
        Opt[Amount], doc("Cost of the turn; absent when the model has no price.", "USD")
    ] = UNSET
    input_cost_usd: Annotated[
        Opt[Amount], doc("Part of the cost that is the prompt, caches included.", "USD")
    ] = UNSET
    output_cost_usd: Annotated[
        Opt[Amount], doc("Part of the cost that is the answer, reasoning included.", "USD")
    ] = UNSET
    price_source: Annotated[
        Opt[Name], doc("Where the price comes from: genai-prices or own file.")
    ] = UNSET
    price_version: Annotated[Opt[Name], doc("Version of that price table.")] = UNSET

    question_answered: Annotated[Opt[bool], doc("The question was answered.")] = UNSET
    action_taken: Annotated[Opt[bool], doc("The user acted on the answer.")] = UNSET
    follow_up_needed: Annotated[Opt[bool], doc("Someone has to follow up.")] = UNSET
    content_consent: Annotated[
        Opt[bool],
        doc("Whether the person agreed that the content is kept; without it, none is."),
    ] = UNSET

    def __post_init__(self) -> None:
        """Refuse buckets that exceed the total: a sign that cached tokens were counted twice."""
        total = self.total_tokens
        if type(total) is not int:
            return
        for name in TOKEN_BUCKETS:
            count = getattr(self, name)
            if type(count) is int:
                total -= count
        if total < 0:
            raise ValueError(
                "Rule: the token buckets are exclusive and must not exceed `total_tokens`"
            )


class AiRating(msgspec.Struct, frozen=True, kw_only=True):
    """A person rated an AI answer; the last rating of each rater counts.

    The turn is `parent_interaction_id`, or `conversation_id` with `turn`.
    """

    helpful: Annotated[Opt[bool], doc("The answer helped.")] = UNSET
    rating: Annotated[
        Opt[Annotated[int, Meta(ge=1, le=5)]], doc("How good the answer was.", "1 to 5")
    ] = UNSET
    reason: Annotated[Opt[Name], doc("The reason chosen, such as `wrong` or `too_long`.")] = UNSET
    comment: Annotated[Opt[Text], doc("What the rater wrote, scrubbed.", personal="content")] = (
        UNSET
    )
    turn: Annotated[Opt[Count], doc("Number of the turn in its conversation, from 0.")] = UNSET
    rater_id: Annotated[
        Opt[Id], doc("Who rated, where it is not `user_id`.", personal="pseudonymous")
    ] = UNSET


SPECS: tuple[TypeSpec, ...] = (
    spec(
        "ai_conversation",
        AiConversation,
        "ai_metadata",
        "ai_content",
        example={
            "user_id": "u1",
            "conversation_id": "c5",
            "messages": [
                {"role": "user", "content": "How do I price a retainer?"},
                {"role": "assistant", "content": "Start from the hours you expect."},
            ],
            "turn": 0,
            "feature": "coach",
            "provider": "openai",
            "model_requested": "gpt-4o",
            "model_answered": "gpt-4o-2024-08-06",
            "finish_reason": "stop",
            "time_to_first_token_ms": 310,
            "duration_ms": 2140.7,
            "input_tokens": 86,
            "cache_read_tokens": 17817,
            "output_tokens": 188,
            "total_tokens": 18091,
            "tokens_source": "reported",
            "cost_usd": 0.02436625,
            "question_answered": True,
        },
    ),
    spec(
        "ai_rating",
        AiRating,
        "ai_metadata",
        "ai_content",
        example={
            "user_id": "u1",
            "conversation_id": "c5",
            "turn": 0,
            "helpful": True,
            "rating": 5,
        },
    ),
)
