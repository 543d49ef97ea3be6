"""`/api/sql`, `/api/schema`, `/api/data` and `/api/quarantine` on a real server: what they answer,
who may ask, and what ends with its asker."""

from __future__ import annotations

import csv
import io
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

import lakeward.lake
from conftest import Lake, wait_until
from lakeward.lake.derived import DESCRIBED, VIEWS
from lakeward.settings import load
from lakeward.store.database import open_database
from lakeward.store.keys import Keys
from lakeward.store.trail import entries
from server_process import Serving, serving
from test_login import added, logged_in

FOREVER = "SELECT count(*) FROM range(1000000000000) a, range(1000000) b"
FORMULA = "=cmd|' /C calc'!A0"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lake, Serving]]:
    """A lake of a few records, three of them set aside, behind a server."""
    ring_dir = Path("/dev/shm") / f"lw-test-{os.getpid()}-data"
    ring_dir.mkdir(mode=0o700, exist_ok=True)
    lake = Lake(tmp_path_factory.mktemp("data") / "data-lake", ring_dir)
    with serving(lake, LAKEWARD_QUERY_SECONDS="20") as server:
        with server.client() as client:
            batch: list[dict[str, Any]] = [
                {"interaction_type": "partner_match", "partner_id": "p1", "user_id": f"u{n}",
                 "outcomes": {"score": 50 + n}}
                for n in range(5)
            ]  # fmt: skip
            batch.append({"interaction_type": "my_type", "user_id": FORMULA})
            batch += [{"interaction_type": "partner_match", "score": n} for n in range(3)]
            answer = client.post("/v1/interactions", json=batch).json()
            assert (answer["accepted"], len(answer["rejected"])) == (6, 3)
        yield lake, server
    lake.close()


@pytest.fixture
def client(house: tuple[Lake, Serving]) -> Iterator[httpx.Client]:
    with house[1].client() as client:
        yield client


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def children() -> list[int]:
    """The jailed processes of anybody on this machine that this test's server could have."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"lakeward.lake.jailed" in entry.read_bytes():
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


def under(server: Serving) -> list[int]:
    """Those whose parent is a worker of this server."""
    parents = {f"\nPPid:\t{pid}\n" for pid in server.workers()}
    told = {child: Path(f"/proc/{child}/status") for child in children()}
    return [
        child for child, path in told.items()
        if path.exists() and any(parent in path.read_text() for parent in parents)
    ]  # fmt: skip


def test_an_answer_in_json_has_columns_rows_and_whether_there_are_more(
    client: httpx.Client,
) -> None:
    sql = """SELECT user_id, (outcomes->>'$.score')::INTEGER AS score, sum(1) AS n,
        9007199254740993 AS wide, 0.1::DECIMAL(9, 1) AS tenth, NULL AS nothing, [1, 2] AS list
        FROM partner_match GROUP BY ALL ORDER BY score"""
    answer = client.post("/api/sql", json={"sql": sql, "limit": 3}).json()
    assert [(column["name"], column["kind"]) for column in answer["columns"]] == [
        ("user_id", "text"), ("score", "integer"), ("n", "integer"), ("wide", "integer"),
        ("tenth", "number"), ("nothing", "text"), ("list", "text"),
    ]  # fmt: skip
    assert answer["rows"] == [
        [f"u{n}", 50 + n, 1, "9007199254740993", 0.1, None, "[1,2]"] for n in range(3)
    ]
    assert answer["truncated"] is True
    assert answer["took_ms"] > 0
    whole = client.post("/api/sql", json={"sql": "SELECT 1 AS one WHERE false"}).json()
    assert (whole["rows"], whole["truncated"]) == ([], False)


def test_csv_and_parquet_are_files_and_no_cell_is_a_formula(client: httpx.Client) -> None:
    ask = {"sql": "SELECT user_id, -1 AS less FROM interactions WHERE user_id LIKE '=%'"}
    answer = client.post("/api/sql", json={**ask, "format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"].endswith('.csv"')
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert list(csv.reader(io.StringIO(answer.text))) == [
        ["user_id", "less"],
        ["'" + FORMULA, "-1"],
    ]
    answer = client.post("/api/sql", json={**ask, "format": "parquet"})
    assert pq.read_table(io.BytesIO(answer.content)).to_pylist() == [
        {"user_id": FORMULA, "less": -1}
    ]
    sql = "SELECT range AS n, repeat('x', 90) AS text FROM range(40000)"
    large = {"sql": sql, "format": "csv"}
    with client.stream("POST", "/api/sql", json=large) as streamed:
        assert "content-length" not in streamed.headers
        assert sum(1 for _ in streamed.iter_lines()) == 40_001


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("SELEKT 1", "cannot be read"),
        ("DELETE FROM interactions", "Only SELECT"),
        ("SELECT * FROM read_csv('/etc/passwd')", "not allowed"),
        ("SELECT nothing FROM interactions", "nothing"),
        ("SELECT CAST(user_id AS INTEGER) FROM interactions", "value that does not fit"),
    ],
)
@pytest.mark.parametrize("format_", ["json", "csv"])
def test_what_is_no_question_is_one_sentence_without_a_path(
    house: tuple[Lake, Serving], client: httpx.Client, sql: str, sentence: str, format_: str
) -> None:
    answer = client.post("/api/sql", json={"sql": sql, "format": format_})
    assert code(answer) == (400, "bad_sql")
    assert sentence in answer.json()["message"]
    assert str(house[0].root) not in answer.text
    assert "u1" not in answer.text


def test_a_body_that_is_none_is_refused(client: httpx.Client) -> None:
    for body in ({}, {"sql": 1}, {"sql": "SELECT 1", "format": "xml"}, {"sql": "SELECT 1", "x": 1}):
        assert code(client.post("/api/sql", json=body)) == (400, "bad_body")
    assert code(client.post("/api/sql", content=b"SELECT 1")) == (415, "wrong_type")


def test_two_queries_are_answered_at_a_time_and_who_leaves_ends_its_own(
    house: tuple[Lake, Serving], client: httpx.Client
) -> None:
    server = house[1]

    def answers() -> bool:
        return client.post("/api/sql", json={"sql": "SELECT 1"}).status_code == 200

    held = [_begun(client), _begun(client)]
    wait_until(lambda: len(under(server)) == 2, 30, "two processes")
    answer = client.post("/api/sql", json={"sql": "SELECT 1"})
    assert code(answer) == (429, "too_many_queries")
    assert int(answer.headers["retry-after"]) > 0
    held[0].close()
    wait_until(lambda: len(under(server)) < 2, 10, "the end of what nobody waits for")
    wait_until(answers, 30, "its place")
    held[1].close()
    wait_until(lambda: not under(server), 10, "the end of the other")


def _begun(client: httpx.Client) -> socket.socket:
    """A query without end that is under way, over a socket that can be closed."""
    url = client.base_url
    body = json.dumps({"sql": FOREVER}).encode()
    raw = socket.create_connection((url.host, url.port or 80))
    raw.sendall(
        f"POST /api/sql HTTP/1.1\r\nhost: {url.host}:{url.port}\r\ncontent-type: application/json"
        f"\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        + body
    )
    return raw


def test_a_query_that_takes_too_long_is_told_so(client: httpx.Client) -> None:
    answer = client.post("/api/sql", json={"sql": FOREVER}, timeout=60)
    assert code(answer) == (503, "too_much")
    assert "longer than 20 seconds" in answer.json()["message"]


def test_a_file_that_cannot_be_finished_breaks_off(client: httpx.Client) -> None:
    sql = """SELECT CASE WHEN range < 4000000 THEN range::VARCHAR ELSE
        (range::VARCHAR || 'x')::INTEGER::VARCHAR END AS n FROM range(4000001)"""
    with (
        pytest.raises(httpx.RemoteProtocolError),
        client.stream("POST", "/api/sql", json={"sql": sql, "format": "csv"}) as streamed,
    ):
        assert streamed.status_code == 200
        for _ in streamed.iter_bytes():
            pass


def test_the_schema_names_every_view_with_its_columns_and_stays_the_same(
    house: tuple[Lake, Serving], client: httpx.Client
) -> None:
    answer = client.get("/api/schema", timeout=60)
    schema = answer.json()
    views = {view["name"]: view for view in schema["views"]}
    told = client.post("/api/sql", json={"sql": "DESCRIBE interactions"}).json()["rows"]
    shown = [column["name"] for column in views["interactions"]["columns"]]
    assert sorted(shown) == sorted(row[0] for row in told)
    assert all(column["doc"] for column in views["interactions"]["columns"])
    described = lakeward.lake.sql(DESCRIBED, lake_dir=house[0].root).to_pylist()
    told = [tuple(row.values()) for row in described]
    assert {row[0] for row in told} == set(VIEWS)
    for name in VIEWS:  # `make docs` writes them anew
        columns = [column["name"] for column in views[name]["columns"]]
        assert columns == [row[1] for row in told if row[0] == name]
    assert all(view["doc"] for view in views.values())
    own = {field["path"]: field["sql"] for field in views["partner_match"]["own"]}
    found = client.post(
        "/api/sql", json={"sql": f"SELECT max({own['outcomes.score']}) FROM partner_match"}
    ).json()
    assert found["rows"] == [[54.0]]
    assert "date_trunc" in schema["functions"]
    again = client.get("/api/schema", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_state_of_the_data_is_an_equation_with_followers_and_the_table(
    house: tuple[Lake, Serving], client: httpx.Client
) -> None:
    state = client.get("/api/data").json()
    ledger = state["ledger"]
    places = {term["name"]: term["n"] for term in ledger["places"]}
    assert ledger["ok"], ledger["faults"]
    assert ledger["total"] == sum(places.values()) == 9
    assert (places["delivered"], places["quarantined"]) == (6, 3)
    assert all(term["doc"] for term in (*ledger["offered"], *ledger["places"]))
    assert state["keeper"]["status"] == "ok"
    assert state["log_changed_at"]
    table = state["table"]
    assert table["waiting_bytes"] > 0 or table["counts"]["read"] == 6
    assert str(house[0].root) not in str(state)
    storage = client.get("/api/data/storage").json()
    zones = {zone[0]: zone for zone in storage["zones"]["rows"]}
    log = [path.stat().st_size for path in (house[0].root / "raw").rglob("*.jsonl")]
    assert zones["log"][1] == sum(log) > 0
    days = storage["days"]
    assert (zones["quarantine"][2], len(days["rows"])) == (1, 60)
    place = [column["name"] for column in days["columns"]].index("log")
    assert sum(row[place] for row in days["rows"]) == sum(log)
    assert 0 < storage["free"] <= storage["total"]


def test_the_types_there_are_come_with_first_and_last_known_or_custom(
    client: httpx.Client,
) -> None:
    answer = client.post("/api/questions/data_types", json={}, timeout=60).json()
    names = [column["name"] for column in answer["columns"]]
    rows = [dict(zip(names, row, strict=True)) for row in answer["rows"]]
    assert [(row["interaction_type"], row["known"], row["interactions"]) for row in rows] == [
        ("partner_match", True, 5), ("my_type", False, 1),
    ]  # fmt: skip
    assert all(row["first_at"] and row["schema_version"] == 1 for row in rows)


def test_what_was_set_aside_is_listed_and_a_dry_run_changes_nothing(
    house: tuple[Lake, Serving], client: httpx.Client
) -> None:
    entries = client.get("/api/quarantine").json()["entries"]
    assert len(entries) == 3
    assert [entry["type"] for entry in entries] == ["partner_match"] * 3
    assert '"score"' in entries[0]["record"]
    assert len(client.get("/api/quarantine?most=1").json()["entries"]) == 1
    assert client.get("/api/quarantine?type=click").json()["entries"] == []
    for query in ("most=0", "day=never", "ids=x", "nothing=1"):
        assert client.get(f"/api/quarantine?{query}").status_code == 400
    wish = {"reason": entries[0]["reason"]}
    done = client.post("/api/quarantine/replay", json=wish).json()
    assert (done["dry_run"], done["selected"], done["replayed"]) == (True, 3, 0)
    assert sum(done["refused"].values()) == 3
    assert len(house[0].rows()) == 6


def test_what_is_mended_comes_back_once_by_a_person_who_is_an_admin_alone(lake: Lake) -> None:
    with open_database(load(lake.env, lake.root.parent)) as database:
        keys = Keys(database)
        made = [keys.create("read", "all", actor="t"), keys.create("write", "w", actor="t"),
                keys.create("read", "one", actor="t", partner_id="p1")]  # fmt: skip
    added(lake, "ada@example.com", "--role", "admin")
    read, write, partner = ({"authorization": f"Bearer {secret}"} for _, secret in made)
    path = "/api/quarantine/replay"
    with serving(lake) as server, server.client() as client:
        bad = {"interaction_type": "click", "outcomes": 5}
        sent = client.post("/v1/interactions", json=[bad, bad], headers=write).json()
        assert len(sent["rejected"]) == 2
        wish: dict[str, Any] = {"type": "click", "set": {"outcomes": None}}
        for where in ("/api/schema", "/api/data", "/api/data/storage", "/api/quarantine"):
            assert code(client.get(where)) == (401, "no_key")
            assert code(client.get(where, headers=write)) == (403, "wrong_kind")
            assert code(client.get(where, headers=partner)) == (403, "not_for_partners")
            assert client.get(where, headers=read).status_code == 200
        ask = {"sql": "SELECT 1 AS one"}
        assert code(client.post("/api/sql", json=ask, headers=partner)) == (403, "not_for_partners")
        assert client.post("/api/sql", json=ask, headers=read).json()["rows"] == [[1]]
        assert code(client.post(path, json=wish, headers=read)) == (403, "not_a_person")
        assert code(client.post(path, json=wish, headers=partner)) == (403, "not_for_partners")
        with logged_in(server, "ada@example.com") as ada:
            foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
            assert ada.post(path, json=wish, headers=foreign).status_code in (401, 403)
            dry = ada.post(path, json=wish).json()
            assert (dry["dry_run"], dry["selected"], dry["replayed"]) == (True, 2, 2)
            assert lake.rows() == []
            done = ada.post(path, json={**wish, "dry_run": False}).json()
            assert (done["replayed"], done["known"], done["left"]) == (2, 0, 0)
            again = ada.post(path, json={**wish, "dry_run": False}).json()
            assert (again["replayed"], again["known"]) == (0, 2)
            listed = ada.get("/api/quarantine").json()["entries"]
            assert [entry["replayed"] for entry in listed] == [True, True]
            assert ada.get("/api/data").json()["ledger"]["ok"]
    with open_database(load(lake.env, lake.root.parent)) as database:
        audit = entries(database, 10, ("quarantine.",))
    assert [(each.actor, each.action, each.subject) for each in audit] == [
        ("ada@example.com", "quarantine.replay", "click")
    ] * 2
    assert [each.details for each in audit] == [
        {"selected": 2, "replayed": replayed, "set": ["outcomes"]} for replayed in (2, 0)
    ]
    assert all(each.at > 1_700_000_000_000 for each in audit)
    assert [row["interaction_type"] for row in lake.rows()] == ["click", "click"]
