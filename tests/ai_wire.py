"""What OpenAI and Anthropic send over the wire: bodies of answers, and events of streams.

In: a `Said` (what the model is to say, with the counts of its tokens) and the request's body. Out:
dicts as their APIs document them. `chat_events` and the like are `(event name, data)` pairs.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

Event = tuple[str, dict[str, Any]]
CHAT_MODEL, CLAUDE_MODEL = "gpt-4o-2024-08-06", "claude-sonnet-4-5-20250929"


@dataclasses.dataclass(frozen=True)
class Said:
    """One answer; counts are exclusive: each token is in one of them."""

    pieces: tuple[str, ...] = ("Start from ", "the hours ", "you expect.")
    tools: tuple[tuple[str, str, str], ...] = ()
    """(id, name, arguments as JSON) of each call that the model wants."""
    thoughts: tuple[str, ...] = ()
    refuses: bool = False
    cut_short: bool = False
    """It reached the most tokens that it may say."""
    fresh: int = 86
    read: int = 0
    written: int = 0
    spoken: int = 188
    reasoned: int = 0
    identifier: str = "chatcmpl-1"
    """Of a chat."""

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def chat_usage(said: Said) -> dict[str, Any]:
    asked, answered = said.fresh + said.read, said.spoken + said.reasoned
    return {
        "prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered,
        "prompt_tokens_details": {"cached_tokens": said.read, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": said.reasoned, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    }  # fmt: skip


def _chat_end(said: Said) -> str:
    return "length" if said.cut_short else "tool_calls" if said.tools else "stop"


def chat(said: Said) -> dict[str, Any]:
    """The body of `/chat/completions`."""
    message: dict[str, Any] = {"role": "assistant", "content": said.text or None, "refusal": None}
    if said.refuses:
        message |= {"content": None, "refusal": said.text}
    if said.tools:
        message["tool_calls"] = [
            {"id": i, "type": "function", "function": {"name": name, "arguments": arguments}}
            for i, name, arguments in said.tools
        ]
    choice = {"index": 0, "message": message, "finish_reason": _chat_end(said), "logprobs": None}
    return {
        "id": said.identifier, "object": "chat.completion", "created": 1755129600,
        "model": CHAT_MODEL, "choices": [choice], "usage": chat_usage(said),
        "service_tier": "default", "system_fingerprint": "fp_1",
    }  # fmt: skip


def chat_events(said: Said, asked: dict[str, Any]) -> list[Event]:
    """The stream of `/chat/completions`; usage at its end where it was asked for."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "", "refusal": None}]
    deltas += [{"refusal" if said.refuses else "content": piece} for piece in said.pieces]
    for index, (identifier, name, arguments) in enumerate(said.tools):
        head = {"index": index, "id": identifier, "type": "function",
                "function": {"name": name, "arguments": ""}}  # fmt: skip
        deltas.append({"tool_calls": [head]})
        for piece in halves(arguments):
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    ends = [None] * len(deltas) + [_chat_end(said)]
    base = {"id": said.identifier, "object": "chat.completion.chunk", "created": 1755129600,
            "model": CHAT_MODEL, "system_fingerprint": "fp_1"}  # fmt: skip
    wanted = (asked.get("stream_options") or {}).get("include_usage")
    usage: dict[str, Any] = {"usage": None} if wanted else {}
    events: list[Event] = [
        ("", base | {"choices": [{"index": 0, "delta": delta, "finish_reason": end}]} | usage)
        for delta, end in zip([*deltas, {}], ends, strict=True)
    ]
    return [*events, ("", base | {"choices": [], "usage": chat_usage(said)})] if wanted else events


def halves(text: str) -> tuple[str, str]:
    return text[: len(text) // 2], text[len(text) // 2 :]


def completion(said: Said) -> dict[str, Any]:
    """The body of the old `/completions`."""
    choice = {"index": 0, "text": said.text, "finish_reason": _chat_end(said), "logprobs": None}
    return {"id": "cmpl-1", "object": "text_completion", "created": 1755129600,
            "model": "gpt-3.5-turbo-instruct", "choices": [choice],
            "usage": chat_usage(said)}  # fmt: skip


def completion_events(said: Said, asked: dict[str, Any]) -> list[Event]:
    """The stream of the old `/completions`."""
    ends = [None] * len(said.pieces) + [_chat_end(said)]
    base = completion(said) | {"choices": [], "usage": None}
    events: list[Event] = [
        ("", base | {"choices": [{"index": 0, "text": piece, "finish_reason": end}]})
        for piece, end in zip([*said.pieces, ""], ends, strict=True)
    ]
    wanted = (asked.get("stream_options") or {}).get("include_usage")
    return [*events, ("", base | {"usage": chat_usage(said)})] if wanted else events


def embeddings(said: Said, asked: dict[str, Any]) -> dict[str, Any]:
    """The body of `/embeddings`."""
    given = asked["input"]
    texts = [given] if isinstance(given, str) else given
    data = [{"object": "embedding", "index": i, "embedding": [0.5, -0.25, 1.0]}
            for i in range(len(texts))]  # fmt: skip
    return {"object": "list", "model": "text-embedding-3-small", "data": data,
            "usage": {"prompt_tokens": said.fresh, "total_tokens": said.fresh}}  # fmt: skip


def response(said: Said, status: str = "completed") -> dict[str, Any]:
    """The body of `/responses`."""
    output: list[dict[str, Any]] = []
    if said.thoughts:
        summary = [{"type": "summary_text", "text": text} for text in said.thoughts]
        output.append({"id": "rs_1", "type": "reasoning", "summary": summary})
    part: dict[str, Any] = {"type": "output_text", "text": said.text, "annotations": []}
    if said.refuses:
        part = {"type": "refusal", "refusal": said.text}
    if said.pieces:
        output.append({"id": "msg_1", "type": "message", "role": "assistant",
                       "status": "completed", "content": [part]})  # fmt: skip
    output += [
        {"id": f"fc_{i}", "type": "function_call", "call_id": i, "name": name,
         "arguments": arguments, "status": "completed"}
        for i, name, arguments in said.tools
    ]  # fmt: skip
    asked, answered = said.fresh + said.read, said.spoken + said.reasoned
    ended = "incomplete" if said.cut_short and status == "completed" else status
    return {
        "id": "resp_1", "object": "response", "created_at": 1755129600, "status": ended,
        "model": CHAT_MODEL, "output": output if status == "completed" else [], "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if said.cut_short else None,
        "instructions": None, "metadata": {}, "parallel_tool_calls": True, "temperature": 1.0,
        "tool_choice": "auto", "tools": [], "top_p": 1.0, "text": {"format": {"type": "text"}},
        "usage": None if status == "in_progress" else {
            "input_tokens": asked, "output_tokens": answered, "total_tokens": asked + answered,
            "input_tokens_details": {"cached_tokens": said.read, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": said.reasoned},
        },
    }  # fmt: skip


def response_events(said: Said, asked: dict[str, Any]) -> list[Event]:
    """The stream of `/responses`."""
    begun, whole = response(said, "in_progress"), response(said)
    told: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
    for index, item in enumerate(whole["output"]):
        place = {"output_index": index, "item_id": item["id"]}
        empty = item | {"status": "in_progress"}
        empty |= {key: [] for key in ("content", "summary") if key in item}
        empty |= {"arguments": ""} if "arguments" in item else {}
        told.append({"type": "response.output_item.added", "output_index": index, "item": empty})
        told += [piece | place for piece in _item_pieces(said, item)]
        told.append({"type": "response.output_item.done", "output_index": index, "item": item})
    told.append({"type": f"response.{whole['status']}", "response": whole})
    return [(data["type"], data | {"sequence_number": n}) for n, data in enumerate(told)]


def _item_pieces(said: Said, item: dict[str, Any]) -> list[dict[str, Any]]:
    if item["type"] == "reasoning":
        part = {"summary_index": 0, "part": {"type": "summary_text", "text": ""}}
        kind = "response.reasoning_summary_text.delta"
        return [{"type": "response.reasoning_summary_part.added"} | part] + [
            {"type": kind, "summary_index": 0, "delta": text} for text in said.thoughts
        ]
    if item["type"] == "function_call":
        kind = "response.function_call_arguments.delta"
        return [{"type": kind, "delta": half} for half in halves(item["arguments"])]
    kind = "response.refusal.delta" if said.refuses else "response.output_text.delta"
    logprobs: dict[str, Any] = {} if said.refuses else {"logprobs": []}
    key = "refusal" if said.refuses else "text"
    begun = {"type": "response.content_part.added", "content_index": 0,
             "part": item["content"][0] | {key: ""}}  # fmt: skip
    return [begun] + [
        {"type": kind, "content_index": 0, "delta": piece} | logprobs for piece in said.pieces
    ]


def claude_usage(said: Said) -> dict[str, Any]:
    return {
        "input_tokens": said.fresh, "cache_read_input_tokens": said.read,
        "cache_creation_input_tokens": said.written, "output_tokens": said.spoken,
        "cache_creation": {"ephemeral_5m_input_tokens": said.written,
                           "ephemeral_1h_input_tokens": 0},
        "service_tier": "standard",
    }  # fmt: skip


def _claude_end(said: Said) -> str:
    if said.refuses:
        return "refusal"
    return "max_tokens" if said.cut_short else "tool_use" if said.tools else "end_turn"


def claude(said: Said) -> dict[str, Any]:
    """The body of `/messages`."""
    content: list[dict[str, Any]] = []
    if said.thoughts:
        content.append({"type": "thinking", "thinking": "".join(said.thoughts),
                        "signature": "c2lnbmF0dXJl"})  # fmt: skip
    if said.pieces:
        content.append({"type": "text", "text": said.text, "citations": None})
    content += [{"type": "tool_use", "id": i, "name": name, "input": json.loads(arguments)}
                for i, name, arguments in said.tools]  # fmt: skip
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": CLAUDE_MODEL,
            "content": content, "stop_reason": _claude_end(said), "stop_sequence": None,
            "usage": claude_usage(said)}  # fmt: skip


def claude_events(said: Said, asked: dict[str, Any]) -> list[Event]:
    """The stream of `/messages`; its last usage is cumulative."""
    whole = claude(said)
    begun = whole | {"content": [], "stop_reason": None}
    begun["usage"] = claude_usage(said) | {"output_tokens": 1}
    told: list[dict[str, Any]] = [{"type": "message_start", "message": begun}, {"type": "ping"}]
    for index, block in enumerate(whole["content"]):
        empty = dict(block)
        for key, nothing in (("text", ""), ("thinking", ""), ("signature", ""), ("input", {})):
            if key in empty:
                empty[key] = nothing
        told.append({"type": "content_block_start", "index": index, "content_block": empty})
        told += [{"type": "content_block_delta", "index": index, "delta": delta}
                 for delta in _block_deltas(said, block)]  # fmt: skip
        told.append({"type": "content_block_stop", "index": index})
    spent = {"output_tokens": said.spoken, "input_tokens": said.fresh,
             "cache_read_input_tokens": said.read,
             "cache_creation_input_tokens": said.written}  # fmt: skip
    ended = {"stop_reason": _claude_end(said), "stop_sequence": None}
    told += [{"type": "message_delta", "delta": ended, "usage": spent}, {"type": "message_stop"}]
    return [(data["type"], data) for data in told]


def _block_deltas(said: Said, block: dict[str, Any]) -> list[dict[str, Any]]:
    if block["type"] == "thinking":
        thoughts = [{"type": "thinking_delta", "thinking": text} for text in said.thoughts]
        return [*thoughts, {"type": "signature_delta", "signature": block["signature"]}]
    if block["type"] == "tool_use":
        halved = halves(json.dumps(block["input"]))
        return [{"type": "input_json_delta", "partial_json": half} for half in halved]
    return [{"type": "text_delta", "text": piece} for piece in said.pieces]


def openai_error(status: int) -> dict[str, Any]:
    kind = {401: "invalid_api_key", 429: "rate_limit_exceeded"}.get(status, "server_error")
    return {"error": {"message": "refused by the stub", "type": kind, "param": None, "code": kind}}


def claude_error(status: int) -> dict[str, Any]:
    kind = {401: "authentication_error", 429: "rate_limit_error"}.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": "refused by the stub"},
            "request_id": "req_1"}  # fmt: skip
