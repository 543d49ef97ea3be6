"""The demo's coach and the service behind it: answers, failures, and visitors who leave."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from hypothesis import given
from hypothesis import strategies as st

from conftest import Lake, wait_until
from demo_served import FOCUS, GOOD, Contractor, Site, platform
from lakeward.demo.answers import NOTE, answer, tokens, topics
from lakeward.demo.assistant import Bundled, chunks
from lakeward.demo.partners import FOCUS_AREAS

CHUNK = {"id": "r-1", "model": "gpt-x-2026", "choices": [{"delta": {"content": "Hello"}}]}
END = {"id": "r-1", "model": "gpt-x-2026", "choices": [{"delta": {}, "finish_reason": "stop"}]}
USAGE = {
    "id": "r-1", "model": "gpt-x-2026", "choices": [],
    "usage": {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13},
}  # fmt: skip


def sse(*parts: object) -> bytes:
    return b"".join(b"data: " + json.dumps(part).encode() + b"\n\n" for part in parts)


@contextmanager
def service(
    status: int, body: bytes, *later: tuple[int, bytes], waits: bool = False
) -> Iterator[tuple[str, list[Any]]]:
    """An OpenAI-compatible service that answers this, later that, and what it was asked; with
    `waits` it sends the body and then nothing more until the end."""
    asked: list[Any] = []
    answers = [(status, body), *later]
    ended = threading.Event()

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append((
                self.path, self.headers.get("authorization"),
                json.loads(self.rfile.read(int(self.headers["content-length"]))),
            ))  # fmt: skip
            code, said = answers[min(len(asked), len(answers)) - 1]
            self.send_response(code)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            self.wfile.write(said)
            if waits:
                self.wfile.flush()
                ended.wait(120)

        def log_message(self, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", asked
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
        thread.join(120)


def admitted(site: Site) -> Contractor:
    ann = site.visitor()
    ann.verify()
    ann.post("/focus", **FOCUS)
    ann.post("/feedback", **GOOD)
    return ann


def turns(lake: Lake) -> list[dict[str, Any]]:
    return [row for row in lake.rows() if row["interaction_type"] == "ai_conversation"]


def turn(lake: Lake) -> dict[str, Any]:
    wait_until(lambda: turns(lake), what="the turn")
    (only,) = turns(lake)
    return only


def asked_with(lake: Lake, folder: Path, url: str, **env: str) -> tuple[str, dict[str, Any]]:
    """What a visitor reads, and the turn in the lake."""
    own = {"LAKEWARD_COACH_URL": url, "LAKEWARD_COACH_KEY": "k-3c9", "AI_MODEL": "gpt-x"}
    with platform(lake, folder, **own, **env) as site:
        read = admitted(site).post("/coach/messages", conversation="k-1", text="Hi?").text
        return read, turn(lake)


def test_a_service_of_the_settings_is_asked_as_openai_is(lake: Lake, tmp_path: Path) -> None:
    with service(200, sse(CHUNK, END, USAGE) + b"data: [DONE]\n\n") as (url, asked):
        read, row = asked_with(lake, tmp_path, url)
    ((path, key, body),) = asked
    assert (path, key) == ("/v1/chat/completions", "Bearer k-3c9")
    assert (body["model"], body["stream"]) == ("gpt-x", True)
    assert body["stream_options"] == {"include_usage": True}
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert "Hello" in read
    ai = row["ai_metadata"]
    assert (ai["status"], ai["finish_reason"], ai["response_id"]) == ("completed", "stop", "r-1")
    assert (ai["model_requested"], ai["model_answered"]) == ("gpt-x", "gpt-x-2026")
    assert (ai["input_tokens"], ai["output_tokens"], ai["total_tokens"]) == (11, 2, 13)
    assert ai["tokens_source"] == "reported"
    assert "k-3c9" not in json.dumps(lake.rows())


FAILING = (
    (500, b"oops"), (401, b'{"error": {"message": "bad key"}}'), (200, b"data: {nonsense\n\n"),
    (200, b"data: [1, 2]\n\n"), (200, b'data: {"choices": 7}\n\n'),
    (200, b'data: {"choices": [{"delta": 3}]}\n\n'), (200, b"\xff\xfe data: x\n\n"),
    (200, sse(CHUNK)), (200, sse(CHUNK, {"error": {"message": "overloaded"}})),
)  # fmt: skip


def test_a_service_that_fails_costs_an_apology_and_is_logged(lake: Lake, tmp_path: Path) -> None:
    first, *later = FAILING
    with (
        service(*first, *later) as (url, asked),
        platform(lake, tmp_path, LAKEWARD_COACH_URL=url, AI_MODEL="gpt-x") as site,
    ):
        ann = admitted(site)
        for n, failing in enumerate(FAILING, 1):
            read = ann.post("/coach/messages", conversation=f"k-{n}", text="Hi?").text
            assert "try again" in read, failing
            wait_until(lambda n=n: len(turns(lake)) == n, what="the turn")  # type: ignore[misc]
            row = turns(lake)[-1]
            assert row["ai_metadata"]["status"] == "failed", failing
            assert row["error_type"], failing
        assert len(asked) == len(FAILING)


def test_a_service_that_is_away_costs_an_apology(lake: Lake, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
        read, row = asked_with(lake, tmp_path, url)
    assert "try again" in read
    assert (row["ai_metadata"]["status"], row["error_type"]) == ("failed", "ConnectError")
    assert [message["role"] for message in row["messages"]] == ["system", "user"]


def test_a_visitor_who_leaves_in_mid_answer_cancels_the_turn(lake: Lake, tmp_path: Path) -> None:
    with (
        service(200, sse(CHUNK), waits=True) as (url, _),
        platform(lake, tmp_path, LAKEWARD_COACH_URL=url, AI_MODEL="gpt-x") as site,
    ):
        ann = admitted(site)
        form = {"conversation": "k-1", "text": "Hi?"}
        with ann.http.stream("POST", "/coach/messages", data=form) as reading:
            assert "Hello" in next(reading.iter_text())
        row = turn(lake)
    assert row["ai_metadata"]["status"] == "cancelled"
    assert row["messages"][-1] == {"role": "assistant", "content": "Hello"}


def test_a_visitor_who_is_cut_off_at_once_leaves_a_turn_too(lake: Lake, tmp_path: Path) -> None:
    with (
        service(200, sse(CHUNK), waits=True) as (url, asked),
        platform(lake, tmp_path, LAKEWARD_COACH_URL=url, AI_MODEL="gpt-x") as site,
    ):
        ann = admitted(site)
        cookie = ann.http.cookies["session"]
        body = b"conversation=k-1&text=Hi"
        place = urlsplit(site.address)
        with socket.create_connection((place.hostname, place.port)) as raw:
            raw.sendall(
                    b"POST /coach/messages HTTP/1.1\r\nHost: x\r\nCookie: session="
                    + cookie.encode() + b"\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                    b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body
                )  # fmt: skip
            wait_until(lambda: bool(asked), what="the question")
        assert turn(lake)["ai_metadata"]["status"] == "cancelled"


# The bundled assistant


def completion(question: str, **body: Any) -> list[Any]:
    async def ask() -> str:
        async with httpx.AsyncClient(transport=Bundled(), base_url="http://assistant.invalid") as c:
            messages = [{"role": "user", "content": question}]
            answered = await c.post("/v1/chat/completions", json={"messages": messages, **body})
            assert (await c.post("/v1/models", json={})).status_code == 404
            return answered.text

    lines = asyncio.run(ask()).split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    return [json.loads(line[6:]) for line in lines[:-2]]


def test_the_bundled_assistant_streams_as_openai_does() -> None:
    parts = completion("Who helps with payroll?", stream_options={"include_usage": True})
    text = "".join(part["choices"][0]["delta"].get("content", "") for part in parts[:-1])
    assert text == answer("Who helps with payroll?")
    assert parts[-2]["choices"][0]["finish_reason"] == "stop"
    assert parts[-1]["usage"]["completion_tokens"] == tokens(text)
    assert "usage" not in completion("payroll")[-1]


def test_the_bundled_assistant_says_that_it_is_a_demo_and_names_partners() -> None:
    assert NOTE in answer("What about the weather?")
    for area in FOCUS_AREAS:
        said = answer(f"I need help with {area}")
        assert said.endswith(NOTE)
        assert topics(area) == [area]
    assert "Paydirt Payroll" in answer("wages!")


@given(question=st.text())
def test_any_question_has_one_answer(question: str) -> None:
    body = {"messages": [{"role": "user", "content": question}]}
    assert chunks(body) == chunks(body)
    with contextlib.suppress(UnicodeEncodeError):
        question.encode()
    assert NOTE in answer(question)
