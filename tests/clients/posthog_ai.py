"""Asks models through posthog-python's wrappers of the SDKs: `HOST KEY OPENAI ANTHROPIC`, where the
last two are the addresses of a server that speaks like both. Each turn has its own trace."""

import contextlib
import sys
from typing import Any

from posthog import Posthog
from posthog.ai.anthropic import Anthropic
from posthog.ai.openai import OpenAI

host, key, openai_url, anthropic_url = sys.argv[1:5]
client = Posthog(key, host=host, flush_interval=0.1, max_retries=2)
openai = OpenAI(base_url=openai_url, api_key="k", posthog_client=client, max_retries=0)
anthropic = Anthropic(base_url=anthropic_url, api_key="k", posthog_client=client, max_retries=0)
asked: list[Any] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "How do I price a retainer?"},
]


def chat(trace: str, **more: Any) -> Any:
    return openai.chat.completions.create(
        model="gpt-4o", messages=asked, posthog_distinct_id="u1", posthog_trace_id=trace, **more
    )


chat("plain")
for _ in chat("streamed", stream=True):
    pass
chat("tools")
with contextlib.suppress(Exception):
    chat("refused")
stream = chat("closed", stream=True)
next(stream)
next(stream)
stream.close()
openai.responses.create(
    model="gpt-4o", input="How do I price a retainer?", instructions="Be brief.",
    posthog_distinct_id="u1", posthog_trace_id="responses",
)  # fmt: skip
anthropic.messages.create(
    model="claude-sonnet-5", max_tokens=100, system="Be brief.", messages=asked[1:],
    posthog_distinct_id="u1", posthog_trace_id="claude",
)  # fmt: skip
openai.embeddings.create(
    model="text-embedding-3-small", input="retainer", posthog_distinct_id="u1",
    posthog_trace_id="embedded",
)  # fmt: skip
client.shutdown()
