"""The real SDKs against a local server, killed in mid-stream: what was given is recorded."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ai_servers import STREAMS, Answer, model_server
from ai_streaming import ASKED, EVENT
from ai_wire import Said
from conftest import Lake, wait_until

APP = Path(__file__).parent / "ai_streaming.py"
PIECES = tuple(f"word{n} " for n in range(30))


@pytest.mark.parametrize("held", [4, 9, 21])
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_kill_in_mid_stream_keeps_what_was_received(lake: Lake, provider: str, held: int) -> None:
    output = lake.root.parent / "given.txt"
    with model_server(Answer(said=Said(pieces=PIECES), hold_after=held)) as server:
        with output.open("wb") as file:
            app = subprocess.Popen(
                [sys.executable, str(APP), provider, server.url], env=lake.process_env(),
                stdout=file,
            )  # fmt: skip
        try:
            wait_until(lambda: len(output.read_text().split()) >= held - 3, what="the pieces")
        finally:
            app.send_signal(signal.SIGKILL)
            app.wait(120)
    given = output.read_text()
    with lake.collector() as collector:
        collector.commit()
        wait_until(lake.rows, what="the record")
    (row,) = lake.rows()
    asked, answered = row["messages"]
    assert (asked["role"], asked["content"]) == ("user", ASKED)
    assert answered["role"] == "assistant"
    assert answered["content"].startswith(given)
    assert answered["content"].removeprefix(given) in ("", *PIECES), "and one that came meanwhile"
    assert (row["error_type"], row["ai_metadata"]["status"]) == ("ProcessDied", "failed")
    assert row["ai_metadata"]["feature"] == "coach"
    assert row["ai_metadata"]["time_to_first_token_ms"] > 0
    assert (row["user_id"], row["conversation_id"]) == ("u1", "c5")
    assert row["trace_id"]
    assert lake.settled().ok


CALLS = Said(
    pieces=("Let me ", "look."), thoughts=("What is ", "asked?"),
    tools=(("call_1", "search", '{"q": "crm"}'), ("call_2", "book", '{"day": 3}')),
)  # fmt: skip
BEGUN_CALL = '{"day'


@pytest.mark.parametrize(
    ("provider", "path"),
    [
        ("openai", "/v1/chat/completions"), ("responses", "/v1/responses"),
        ("anthropic", "/v1/messages"),
    ],
)  # fmt: skip
def test_a_kill_in_a_call_keeps_thoughts_and_the_beginning_of_its_arguments(
    lake: Lake, provider: str, path: str
) -> None:
    events = STREAMS[path](CALLS, {})
    told = [json.dumps(data) for _, data in events]
    held = 1 + next(
        n
        for n, text in enumerate(told)
        if json.dumps(BEGUN_CALL)[1:-1] in text and ": 3}" not in text
    )
    seen = sum('"type": "ping"' not in text for text in told[:held])
    events_seen = lake.root.parent / "events"
    with model_server(Answer(said=CALLS, hold_after=held)) as server:
        with events_seen.open("wb") as file:
            app = subprocess.Popen(
                [sys.executable, str(APP), provider, server.url], env=lake.process_env(),
                stdout=subprocess.DEVNULL, stderr=file,
            )  # fmt: skip
        try:
            wait_until(
                lambda: events_seen.read_bytes().count(EVENT) >= seen,
                what="the beginning of the call",
            )
        finally:
            app.send_signal(signal.SIGKILL)
            app.wait(120)
    with lake.collector() as collector:
        collector.commit()
        wait_until(lake.rows, what="the record")
    (row,) = lake.rows()
    answered = row["messages"][-1]
    content = answered["content"]
    texts = (
        {"text": content} if isinstance(content, str) else {p["type"]: p["text"] for p in content}
    )
    assert texts["text"] == "Let me look."
    if provider == "anthropic":
        assert texts["reasoning"] == "What is asked?"
    whole, begun = answered["tool_calls"]
    assert (whole["id"], whole["name"]) == ("call_1", "search")
    assert json.loads(whole["arguments"]) == {"q": "crm"}
    assert (begun["id"], begun["name"]) == ("call_2", "book")
    assert begun["arguments"].startswith(BEGUN_CALL[:3])
    assert len(begun["arguments"]) < len('{"day": 3}')
    assert lake.settled().ok
