"""The examples run as they are, and what they record lands in the lake."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import Lake, wait_until

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def ask(port: int, path: str, body: bytes | None = None, **headers: str) -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: bytes = answer.read()
        return found


@contextmanager
def serving(name: str, lake: Lake, port: int) -> Iterator[None]:
    """Run an example's server until the block ends."""
    command = [sys.executable, str(EXAMPLES / name), str(port)]
    server = subprocess.Popen(command, env=lake.process_env(), cwd=lake.root.parent)

    def up() -> bool:
        assert server.poll() is None
        try:
            ask(port, "/health")
        except OSError:
            return False
        return True

    try:
        wait_until(up, what="the server's start")
        yield
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)


def test_the_script_records_and_says_that_it_is_durable(lake: Lake) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / "script.py")],
        env=lake.process_env(), cwd=lake.root.parent, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "durable: 3 records" in done.stdout
    types = [row["interaction_type"] for row in lake.rows()]
    assert types == ["deal_closed", "deal_closed", "job_run"]
    assert lake.settled().ok


def test_the_fastapi_application_names_its_user_and_keeps_one_routes_body(
    lake: Lake, free_port: int
) -> None:
    with serving("fastapi_app.py", lake, free_port):
        answer = ask(
            free_port,
            "/api/match",
            b'{"focus": "crm", "api_key": "k-1"}',
            **{"Content-Type": "application/json", "X-User": "c-17"},
        )
    assert answer == b'{"partner_id":"p1"}'
    report = lake.settled()
    assert report.ok
    assert report.reasons["excluded"] >= 1
    match, call = lake.rows()
    assert match["interaction_type"] == "partner_match"
    assert match["outcomes"] == {"score": 87.5, "focus_areas": ["crm"]}
    assert (call["user_id"], call["user_type"]) == ("c-17", "contractor")
    assert call["request_body"] == {"focus": "crm", "api_key": "[REDACTED]"}


def test_the_plain_asgi_application_is_captured(lake: Lake, free_port: int) -> None:
    with serving("plain_asgi.py", lake, free_port):
        assert ask(free_port, "/anything") == b"hello from /anything\n"
    assert lake.settled().ok
    assert [row["path"] for row in lake.rows()] == ["/anything"]
