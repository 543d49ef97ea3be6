"""The examples run as they are, and what they record lands in the lake."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import Lake, wait_until
from lakeward.cli import main

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def ask(port: int, path: str, body: bytes | None = None, **headers: str) -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)
    with urllib.request.urlopen(request, timeout=120) as answer:
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
        server.wait(120)


def test_the_script_records_and_says_that_it_is_durable(lake: Lake) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / "script.py")],
        env=lake.process_env(), cwd=lake.root.parent, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "durable: 3 records" in done.stdout
    types = [row["interaction_type"] for row in lake.rows()]
    assert types == ["deal_closed", "deal_closed", "job_run"]
    assert lake.settled().ok


def test_the_conversation_is_streamed_recorded_and_rated(lake: Lake) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / "ai.py")],
        env=lake.process_env(OPENAI_BASE_URL="", OPENAI_API_KEY="", AI_MODEL=""),
        cwd=lake.root.parent, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Start from the hours you expect.\ndurable: turn ")
    turn, rating = lake.rows()
    assert rating["parent_interaction_id"] == turn["interaction_id"]
    assert turn["messages"][2] == {
        "role": "assistant",
        "content": "Start from the hours you expect.",
    }
    assert turn["ai_metadata"]["total_tokens"] == 33
    assert turn["ai_metadata"]["question_answered"] is True
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


def test_the_outcomes_of_the_application_join_up_to_a_deal(
    lake: Lake, free_port: int, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    with serving("outcomes.py", lake, free_port):
        for path in ("p1", "p1/demo", "p1/deal?value=24000"):
            ask(free_port, f"/matches/{path}", b"", **{"X-User": "c-17"})
    assert lake.settled().ok
    query = "SELECT person, partner_id, value, match_score, booking_id FROM deals"
    assert main(["query", query, "--lake", str(lake.root), "--format", "json"]) == 0
    assert json.loads(capsysbinary.readouterr().out) == [
        {"person": "c-17", "partner_id": "p1", "value": 24000.0, "match_score": 87.5,
         "booking_id": "c-17-p1"}
    ]  # fmt: skip


def test_the_plain_asgi_application_is_captured(lake: Lake, free_port: int) -> None:
    with serving("plain_asgi.py", lake, free_port):
        assert ask(free_port, "/anything") == b"hello from /anything\n"
    assert lake.settled().ok
    assert [row["path"] for row in lake.rows()] == ["/anything"]


def test_the_flask_application_joins_call_job_and_outcome(lake: Lake, free_port: int) -> None:
    with serving("flask_app.py", lake, free_port):
        ask(free_port, "/api/partners/7", None, **{"X-User": "c-17"})
    assert lake.settled().ok
    match, job, call = lake.rows()
    assert call["route"] == "/api/partners/{partner_id}"
    assert match["parent_interaction_id"] == job["interaction_id"]
    assert job["parent_interaction_id"] == call["interaction_id"]
    assert match["user_id"] == call["user_id"] == "c-17"


def test_the_django_project_is_captured_with_its_routes(lake: Lake, free_port: int) -> None:
    with serving("django_app.py", lake, free_port):
        ask(free_port, "/api/partners/7", None, **{"X-User": "c-17"})
    report = lake.settled()
    assert report.ok
    assert report.reasons["excluded"] >= 1
    match, call = lake.rows()
    assert (call["route"], call["user_id"]) == ("/api/partners/{partner_id}", "c-17")
    assert match["parent_interaction_id"] == call["interaction_id"]


def test_the_cron_script_leaves_its_run_and_what_it_did(lake: Lake) -> None:
    subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / "nightly.py")],
        env=lake.process_env(), cwd=lake.root.parent, check=True, timeout=120,
    )  # fmt: skip
    *done, run = lake.rows()
    assert [row["partner_id"] for row in done] == ["p1", "p2"]
    assert {row["parent_interaction_id"] for row in done} == {run["interaction_id"]}
    assert lake.settled().ok


def test_the_celery_application_records_both_attempts_in_one_trace(
    lake: Lake, tmp_path: Path
) -> None:
    env = lake.process_env(
        C_FORCE_ROOT="1", BROKER_FOLDER=str(tmp_path / "broker"), LAKEWARD_KEEPER_IDLE_SECONDS="20"
    )
    celery = [sys.executable, "-m", "celery", "-A", "celery_app", "worker", "--concurrency", "2"]
    worker = subprocess.Popen(
        [*celery, "-l", "CRITICAL", "--without-gossip", "--without-mingle"],
        env=env, cwd=EXAMPLES, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        subprocess.run([sys.executable, "celery_app.py"], env=env, cwd=EXAMPLES, check=True)
        wait_until(lambda: lake.root.exists() and len(lake.rows()) >= 5, what="both attempts")
    finally:
        worker.terminate()
        worker.wait(120)
    runs = [row for row in lake.rows() if row["interaction_type"] == "job_run"]
    assert [row["properties"]["outcome"] for row in runs] == ["succeeded", "retried", "failed"]
    assert len({row["trace_id"] for row in lake.rows()}) == 1
    assert lake.settled().ok


def test_what_the_capture_page_shows_and_cannot_run_stands_in_the_examples() -> None:
    page = (EXAMPLES.parent / "docs/capture.md").read_text()
    shown = [part.partition("```")[0] for part in page.split("```py\n")[1:]]
    examples = "".join(path.read_text() for path in EXAMPLES.glob("*.py"))
    lines = [line for block in shown for line in block.splitlines() if line]
    assert len(lines) > 4
    for line in lines:
        assert line in examples, line
