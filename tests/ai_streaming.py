"""An app that asks a model by the real SDK and reads the stream; killed by its test.

    python ai_streaming.py openai|responses|anthropic URL

Its output are the texts that it was given; `EVENT` on stderr for each event.
"""

from __future__ import annotations

import os
import sys

from anthropic import Anthropic
from openai import OpenAI

from lakeward import Collector
from lakeward.ai import AI
from lakeward.capture.job import job

EVENT = b"\x06"
"""No sentence of a warning has it."""
ASKED = "How do I price a retainer?"


def by_openai(ai: AI, url: str) -> None:
    client = OpenAI(base_url=f"{url}/v1", api_key="k")
    with ai.conversation("c5", feature="coach", user_id="u1") as turn:
        turn.ask(ASKED)
        stream = client.chat.completions.create(
            model="gpt-4o", stream=True, messages=[{"role": "user", "content": ASKED}]
        )
        for chunk in turn.stream(stream):
            os.write(2, EVENT)
            if chunk.choices and (text := chunk.choices[0].delta.content):
                os.write(1, text.encode())


def by_responses(ai: AI, url: str) -> None:
    client = OpenAI(base_url=f"{url}/v1", api_key="k")
    with ai.conversation("c5", feature="coach", user_id="u1") as turn:
        turn.ask(ASKED)
        for event in turn.stream(client.responses.create(model="gpt-4o", stream=True, input=ASKED)):
            os.write(2, EVENT)
            if event.type == "response.output_text.delta":
                os.write(1, event.delta.encode())


def by_anthropic(ai: AI, url: str) -> None:
    client = Anthropic(base_url=url, api_key="k")
    with ai.conversation("c5", feature="coach", user_id="u1") as turn:
        turn.ask(ASKED)
        events = client.messages.create(
            model="claude-sonnet-4-5", max_tokens=99, stream=True,
            messages=[{"role": "user", "content": ASKED}],
        )  # fmt: skip
        for event in turn.stream(events):
            os.write(2, EVENT)
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                os.write(1, event.delta.text.encode())


def main() -> None:
    collector = Collector.from_env()
    ask = {"openai": by_openai, "responses": by_responses, "anthropic": by_anthropic}[sys.argv[1]]
    with job("nightly", collector=collector):
        ask(AI(collector), sys.argv[2])


if __name__ == "__main__":
    main()
