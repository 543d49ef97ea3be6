"""The real SDKs against a local server, killed in mid-stream: what was given is recorded."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ai_servers import Answer, model_server
from ai_streaming import ASKED
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
            wait_until(lambda: len(output.read_text().split()) >= held - 3, 60, "the pieces")
        finally:
            app.send_signal(signal.SIGKILL)
            app.wait(20)
    given = output.read_text()
    with lake.collector() as collector:
        collector.commit()
        wait_until(lake.rows, 60, "the record")
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
