"""The read API of a real server: every question by three ways, and who may not ask what."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from conftest import Lake, wait_until
from lakeward.analysis.copied import runnable
from lakeward.analysis.listing import SHOWN
from lakeward.analysis.question import Prepared, Question, ask, pieces
from lakeward.analysis.registry import QUESTIONS, question_of
from lakeward.cli.answers import plain
from lakeward.errors import Rejected
from lakeward.lake import derived
from lakeward.lake.guard import check
from lakeward.lake.jailed import VIEWS
from lakeward.lake.reading import Reading, open_reading
from lakeward.server.asking import document
from lakeward.settings import load
from lakeward.store.database import open_database
from lakeward.store.keys import Keys
from lakeward.store.token import Kind
from server_process import Serving, serving

BROWSER = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}


def fill(lake: Lake) -> None:
    collector = lake.collector()
    for n in range(6):
        about: dict[str, Any] = {"user_id": f"u{n % 3}", "partner_id": f"p{n % 2}"}
        collector.record("page_view", path="/x", timestamp=f"2026-09-0{n + 1}T09:00:00Z", **about)
        collector.record(
            "demo_booking", status="booked", timestamp=f"2026-09-0{n + 1}T10:00:00Z", **about
        )
        collector.record(
            "ai_conversation", conversation_id="c", turn=n, model_answered="gpt-4o",
            status="completed", input_tokens=10, output_tokens=5, cost_usd=0.5,
            timestamp=f"2026-09-0{n + 1}T11:00:00Z", **about,
        )  # fmt: skip
    collector.commit()
    collector.close()


@pytest.fixture
def server(lake: Lake) -> Iterator[Serving]:
    fill(lake)
    with serving(lake) as running:
        yield running


def test_every_question_has_the_same_answer_by_http_by_python_and_on_the_command_line(
    lake: Lake, server: Serving
) -> None:
    with server.client() as client, open_reading(lake.open(), load(lake.env)) as reading:
        for kind in QUESTIONS:
            parameters = dict(SHOWN.get(kind, {}))
            if kind == "ai_thread":
                parameters = {"conversation": "c"}
            asked = client.post(f"/api/questions/{kind}", json=parameters)
            assert asked.status_code == 200, asked.text
            question = question_of(kind, parameters, load(lake.env))
            answer = ask(reading, question)
            wanted = json.loads(document(question, answer, 0))
            assert asked.json() | {"took_ms": 0} == wanted
            names = [column["name"] for column in wanted["columns"]]
            lines = [dict(zip(names, row, strict=True)) for row in wanted["rows"]]
            assert json.loads(msgspec.json.encode(plain(answer))) == lines
            _runs_as_it_is_copied(reading, question)
            with contextlib.suppress(Rejected):  # some have no such range
                question = question_of(kind, parameters | SPAN, load(lake.env))
            _runs_as_it_is_copied(reading, question)


SPAN = {
    "since": "2026-09-02T09:30:00+00:00", "until": "2026-09-06T00:00:00+00:00",
    "zone": "Europe/Lisbon",
}  # fmt: skip


def _runs_as_it_is_copied(reading: Reading, question: Question) -> None:
    """Copied into Explore the statement is allowed, and has the same rows."""
    rows = [row for piece in pieces(reading, question) for row in piece]
    copied = runnable(question)
    assert (copied is None) == isinstance(question, Prepared)
    if copied is not None:
        check(copied, VIEWS)
        derived.create(reading.con)
        assert reading.con.execute(copied).fetchall() == rows, question.name


def test_the_list_says_how_each_question_is_asked(server: Serving) -> None:
    with server.client() as client:
        listed = client.get("/api/questions").json()
    assert [each["name"] for each in listed["questions"]] == list(QUESTIONS)
    funnel = listed["definitions"]["Funnel"]["properties"]
    assert funnel["within"]["description"].startswith("Seconds")
    assert funnel["order"]["enum"] == ["any", "ordered", "strict"]
    assert {"name": "route"}.items() <= next(
        f for f in listed["fields"] if f["name"] == "route"
    ).items()
    assert {metric["name"] for metric in listed["metrics"]} >= {"events", "p95"}


def test_the_statement_is_shown_when_it_is_asked_for(server: Serving) -> None:
    with server.client() as client:
        body = {"where": {"field": "path", "values": ["/x'y"]}}
        found = client.post("/api/questions/trend?sql=1", json=body).json()
        assert "/x'y" in found["sql"]["parameters"].values()
        assert "/x'y" not in found["sql"]["text"]
        asked = client.post("/api/sql", json={"sql": found["sql"]["runnable"]})
        assert asked.json()["rows"] == found["rows"]
        assert "sql" not in client.post("/api/questions/trend", json=body).json()


def test_an_address_with_too_many_parameters_is_refused(server: Serving) -> None:
    with server.client() as client:
        many = "&".join(f"{name}=1" for name in "abcdefghi")
        found = client.post(f"/api/questions/trend?{many}", json={})
        assert (found.status_code, found.json()["code"]) == (400, "bad_question")


def test_an_answer_has_a_tag_until_something_comes_in(lake: Lake, server: Serving) -> None:
    with server.client() as client:
        first = client.post("/api/questions/trend", json={})
        tag = {"if-none-match": first.headers["etag"]}
        again = client.post("/api/questions/trend", json={}, headers=tag)
        assert (again.status_code, again.content) == (304, b"")
        assert client.post("/api/questions/trend", json={"top": 3}, headers=tag).status_code == 200
        event = {"interaction_type": "page_view", "path": "/y"}
        assert client.post("/v1/interactions", json=event, headers=BROWSER).status_code == 200
        newer = client.post("/api/questions/trend", json={}, headers=tag)
        assert newer.status_code == 200
        assert newer.headers["etag"] != first.headers["etag"]
        assert sum(row[-1] for row in newer.json()["rows"]) == 19


CASES = [
    ("mood", "{}", 404, "no_question"),
    ("trend", "{", 400, "bad_json"),
    ("trend", "[]", 400, "bad_json"),
    ("trend", "[" * 100_000, 400, "bad_json"),
    ("trend", '{"grain": "year"}', 400, "bad_question"),
    ("trend", '{"colour": 1}', 400, "bad_question"),
    ("trend", '{"by": ["x"]}', 400, "bad_question"),
    ("funnel", "{}", 400, "bad_question"),
    ("trend", '{"where": ' + '{"none": [' * 30 + "]}" * 30 + "}", 400, "bad_question"),
    ("trend", '{"zone": "' + "x" * 2_000_000 + '"}', 413, "too_large"),
    ("trend", '{"where": {"field": "route", "values": ["\\ud800"]}}', 400, "bad_json"),
]


def test_what_cannot_be_asked_is_one_sentence(server: Serving) -> None:
    with server.client() as client:
        for path, content, status, code in CASES:
            found = client.post(f"/api/questions/{path}", content=content)
            assert (found.status_code, found.json()["code"]) == (status, code), content[:80]
            assert len(found.json()["message"]) < 600


def key(lake: Lake, kind: Kind, partner: str | None = None, name: str = "") -> dict[str, str]:
    with open_database(load(lake.env, lake.root.parent)) as database:
        _, secret = Keys(database).create(
            kind, f"{kind}{partner}{name}", actor="test", partner_id=partner
        )
    return {"authorization": f"Bearer {secret}"}


def test_a_partner_asks_about_its_own_records_and_never_who_somebody_is(lake: Lake) -> None:
    fill(lake)
    own, all_ = key(lake, "read", "p1"), key(lake, "read")
    with serving(lake) as server, server.client() as client:

        def asked(kind: str, body: Any, who: dict[str, str]) -> httpx.Response:
            return client.post(f"/api/questions/{kind}", json=body, headers=who)

        whole = {"grain": None, "series": [{"event": "page_view", "metric": "units"}]}
        assert asked("trend", whole, all_).json()["rows"] == [[3]]
        other = {"field": "partner_id", "values": ["p0"]}
        assert asked("trend", {**whole, "where": other}, own).json()["rows"] == [[0]]
        told = asked("trend", {**whole, "series": [{"event": "page_view"}]}, own).json()
        assert told["rows"] == [[3]]
        mine, no_witness = told["question"]["where"]["all"]
        assert mine == {"field": "partner_id", "values": ["p1"]}
        assert (no_witness["field"], no_witness["op"]) == ("interaction_type", "is_not")
        steps = SHOWN["funnel"]
        assert asked("funnel", steps, own).json()["rows"][0][2] == 3
        for kind, body in (
            ("trend", {"by": ["user_id"]}), ("trend", {"by": ["properties.mail"]}),
            ("trend", {"where": {"field": "user_id", "values": ["u1"]}}),
            ("trend", {"series": [{"metric": "unique", "field": "person"}]}),
            ("funnel", {**steps, "hold": ["session_id"]}), ("funnel_units", steps),
            ("ai_thread", {"conversation": "c"}), ("ai_cost", {}),
        ):  # fmt: skip
            refused = asked(kind, body, own)
            assert (refused.status_code, refused.json()["code"]) == (403, "not_for_partners"), kind
        shown = client.get("/api/questions", headers=own).json()
        assert "user_id" not in {field["name"] for field in shown["fields"]}


def test_a_partner_hears_nothing_of_what_the_teams_own_traffic_is(lake: Lake) -> None:
    fill(lake)
    own, all_ = key(lake, "read", "p1"), key(lake, "read")
    made = serving(lake, LAKEWARD_INTERNAL="ip_address:198.51.100.")
    with made as server, server.client() as client:
        whole = client.post("/api/questions/trend?sql=1", json={}, headers=all_)
        assert whole.text.count("198.51.100.") == 3  # in the question, and in both statements
        asked = client.post("/api/questions/trend", json={}, headers=own)
        assert "198.51.100." not in asked.text
        assert asked.json()["rows"] != []
        assert asked.json()["question"]["where"]["all"][0]["values"] == ["p1"]
        sql = client.post("/api/questions/trend?sql=1", json={}, headers=own)
        probe = {"internal_is": ["ip_address:203.0.113."]}
        probed = client.post("/api/questions/trend", json=probe, headers=own)
        for refused in (sql, probed):
            assert (refused.status_code, refused.json()["code"]) == (403, "not_for_partners")
            assert "198.51.100." not in refused.text


def test_only_who_may_read_may_ask_and_they_take_turns(lake: Lake) -> None:
    """However many questions of one key wait, one of another is answered before them."""
    write = key(lake, "write")
    readers = {"ann": key(lake, "read"), "bob": key(lake, "read", name="b")}
    told: list[tuple[str, int]] = []
    with serving(lake) as server, server.client() as client, ThreadPoolExecutor(70) as threads:
        assert client.post("/api/questions/trend", json={}).status_code == 401
        assert client.get("/api/questions").status_code == 401
        assert client.post("/api/questions/trend", json={}, headers=write).status_code == 403

        def ask_for(who: str, top: int) -> None:
            answer = httpx.post(
                f"{server.url}/api/questions/trend", json={"top": top}, headers=readers[who],
                timeout=120, verify=False,
            )  # fmt: skip
            if answer.status_code == 429:
                assert answer.json()["code"] == "too_many_questions"
                assert answer.headers["retry-after"]
            told.append((who, answer.status_code))

        wait_until(
            lambda: list(threads.map(ask_for, ["ann"] * 2, [1, 2])) and len(_asking(server)) == 2,
            what="two processes",
        )  # fmt: skip
        pids = _asking(server)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            for n, who in enumerate(readers):
                told.clear()
                for top in range(33):
                    threads.submit(ask_for, who, 3 + 40 * n + top)
                wait_until(lambda: told, what="the refusal of one too many")
                assert told == [(who, 429)]
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        wait_until(lambda: len(told) == 65, what="all answers")
        with contextlib.ExitStack() as streams:
            for n, who in enumerate(["ann"] * 17 + ["bob"]):
                stream = client.stream("GET", "/v1/live/changes", headers=readers[who])
                answer = streams.enter_context(stream)
                assert answer.status_code == (429 if n == 16 else 200)
                if n == 16:
                    assert answer.headers["retry-after"]
                    assert json.loads(answer.read())["code"] == "too_many_streams"
    assert {status for _, status in told[1:]} == {200}
    assert [who for who, _ in told[1:25]].count("bob") > 4, told


def _asking(server: Serving) -> list[int]:
    """Processes that answer questions."""
    found = []
    for worker in server.workers():
        path = Path(f"/proc/{worker}/task/{worker}/children")
        for pid in map(int, path.read_text().split()):
            with contextlib.suppress(FileNotFoundError):
                if b"lakeward.server.asking" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
    return found


def test_a_question_whose_process_dies_is_said_and_the_next_one_is_answered(
    server: Serving,
) -> None:
    with server.client() as client:
        assert client.post("/api/questions/trend", json={}).status_code == 200
        [pid] = _asking(server)
        os.kill(pid, signal.SIGSTOP)
        answers: list[httpx.Response] = []
        asking = threading.Thread(
            target=lambda: answers.append(client.post("/api/questions/trend", json={}))
        )
        asking.start()
        wait_until(asking.is_alive)
        os.kill(pid, signal.SIGKILL)
        asking.join(120)
        [answer] = answers  # answered by another, where it came once the process was dead
        assert (answer.status_code, answer.json().get("code")) in ((503, "died"), (200, None))
        assert client.post("/api/questions/trend", json={}).status_code == 200
        assert _asking(server) != [pid]


def test_a_question_that_takes_too_long_is_ended_and_holds_up_nobody(lake: Lake) -> None:
    fill(lake)
    with serving(lake, LAKEWARD_QUERY_SECONDS="8") as server, server.client() as client:
        assert client.post("/api/questions/trend", json={}).status_code == 200
        for pid in _asking(server):
            os.kill(pid, signal.SIGSTOP)
        slow = client.post("/api/questions/trend", json={"top": 7})
        assert (slow.status_code, slow.json()["code"]) == (503, "too_slow")
        assert "8 seconds" in slow.json()["message"]
        assert client.post("/api/questions/trend", json={"top": 7}).status_code == 200


def test_no_process_outlives_its_server(lake: Lake) -> None:
    fill(lake)
    with serving(lake) as server, server.client() as client:
        assert client.post("/api/questions/trend", json={}).status_code == 200
        pids = _asking(server)
    assert pids
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
