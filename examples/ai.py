"""A conversation with a model, recorded turn by turn; no account and no network is needed.

    python examples/ai.py
    lakeward query "SELECT interaction_type, messages FROM interactions"

A small server on this machine stands in for the provider. With `OPENAI_BASE_URL` and
`OPENAI_API_KEY` it is a real one. Needs the OpenAI SDK: `pip install openai`.
"""

from __future__ import annotations

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from openai import OpenAI

from lakeward import Collector
from lakeward.ai import AI

WORDS = ("Start from ", "the hours ", "you expect.")


class Stub(BaseHTTPRequestHandler):
    """Streams one answer as OpenAI does."""

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        usage = {"prompt_tokens": 24, "completion_tokens": 9, "total_tokens": 33}
        deltas = [{"delta": {"content": word}} for word in WORDS]
        for choice in (*deltas, {"delta": {}, "finish_reason": "stop"}, None):
            choices = [] if choice is None else [{"index": 0, **choice}]
            chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
                     "model": asked["model"], "choices": choices,
                     "usage": usage if choice is None else None}  # fmt: skip
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")


def converse(ai: AI, client: OpenAI, question: str) -> str:
    """Ask, show the answer as it comes, and give the id by which it can be rated."""
    messages: list[Any] = [
        {"role": "system", "content": "You coach contractors."},
        {"role": "user", "content": question},
    ]
    model = os.environ.get("AI_MODEL") or "gpt-4o-mini"
    with ai.conversation("c5", feature="coach", model=model, turn=0, user_id="c-17") as turn:
        turn.ask(messages)
        stream = client.chat.completions.create(
            model=model, messages=messages, stream=True, stream_options={"include_usage": True}
        )
        for chunk in turn.stream(stream):
            if chunk.choices and chunk.choices[0].delta.content:
                print(chunk.choices[0].delta.content, end="", flush=True)
        print()
        turn.flag(question_answered=True)
    return turn.interaction_id


def main() -> None:
    """One turn, and what the user thought of it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"http://127.0.0.1:{server.server_address[1]}/v1"
    address = os.environ.get("OPENAI_BASE_URL") or here
    key = os.environ.get("OPENAI_API_KEY") or "none-needed-here"
    with Collector.from_env() as collector, OpenAI(base_url=address, api_key=key) as client:
        ai = AI(collector)
        turn = converse(ai, client, "How do I price a retainer?")
        ai.rate(turn, helpful=True, rating=5, reason="clear", user_id="c-17")
        collector.commit()
        print(f"durable: turn {turn} and its rating")
    server.shutdown()
    server.server_close()


if __name__ == "__main__":
    main()
