"""Traces: what one click caused, from table and log together, each behind its cause."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from asked import START_MS, Row, answered, fill
from conftest import Lake, wait_until
from lakeward.analysis.trace import MOST, Trace
from lakeward.cli.compact import compact
from lakeward.errors import Rejected
from lakeward.interaction import iso
from lakeward.settings import load
from server_process import Serving, serving


def an_id(ms: int, n: int) -> str:
    digits = f"{ms:012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-{n:012x}"


def row(n: int, kind: str, ms: int = 0, **more: Any) -> Row:
    return {"interaction_id": an_id(START_MS + ms, n), "interaction_type": kind,
            "ms": START_MS + ms, **more}  # fmt: skip


def told(of: str, *names: str, **more: Any) -> list[Any]:
    rows = answered(Trace(of=of, **more))
    return [tuple(each[name] for name in names) for each in rows]


CLICK = row(1, "click", trace_id="t1", properties={"element_text": "Match me"})
CALL = row(2, "api_call", 40, trace_id="t1", parent_interaction_id=CLICK["interaction_id"],
           path="/api/match", response_time_ms=900.5)  # fmt: skip
TURN = row(3, "ai_conversation", 60, trace_id="t1", parent_interaction_id=CALL["interaction_id"],
           conversation_id="c1",
           ai_metadata={"model_answered": "m-1", "duration_ms": 700})  # fmt: skip
RATING = row(4, "ai_rating", 86_400_000, conversation_id="c1")
BOOKING = row(5, "demo_booking", 3_600_000, parent_interaction_id=CALL["interaction_id"])
OTHERS = [
    row(6, "click", trace_id="t2", conversation_id="c1"), row(7, "page_view", path="/"),
    row(8, "ai_rating", conversation_id="c2"), row(9, "job_run", trace_id="T1"),
]  # fmt: skip
STORY = [CLICK, CALL, TURN, BOOKING, RATING]


def test_a_click_leads_to_the_call_the_turn_the_outcome_and_the_rating() -> None:
    fill([*OTHERS, *reversed(STORY)])
    wanted = [
        ("click", "Match me", 0, 0.0, None, "trace"),
        ("api_call", "/api/match", 1, 40.0, 900.5, "trace"),
        ("ai_conversation", "m-1", 2, 60.0, 700.0, "trace"),
        ("demo_booking", None, 2, 3_600_000.0, None, "cause"),
        ("ai_rating", None, 0, 86_400_000.0, None, "conversation"),
    ]
    names = ("interaction_type", "what", "depth", "start_ms", "duration_ms", "joined_by")
    assert told("t1", *names) == wanted
    for start in (CLICK, CALL, TURN, BOOKING):
        found = told(start["interaction_id"], *names[:5])
        assert found == [each[:5] for each in wanted]
        assert told(start["interaction_id"].upper(), *names[:5]) == found


def test_who_asks_by_a_rating_finds_the_whole_conversation() -> None:
    fill([*OTHERS, *STORY])
    kinds = told(RATING["interaction_id"], "interaction_type", "trace_id")
    assert set(kinds) >= {("ai_conversation", "t1"), ("click", "t1"), ("click", "t2")}
    assert ("ai_rating", None) in kinds
    assert told("no-such-id", "interaction_id") == []


def test_only_the_days_around_are_looked_at_where_the_time_is_known() -> None:
    late = row(6, "deal_closed", 5 * 86_400_000, parent_interaction_id=CALL["interaction_id"])
    fill([*STORY, late])
    at = datetime.fromtimestamp(START_MS / 1000, UTC)
    by_id = CALL["interaction_id"]
    assert ("deal_closed",) not in told(by_id, "interaction_type")
    assert ("deal_closed",) in told(by_id, "interaction_type", days=6)
    assert ("deal_closed",) in told("t1", "interaction_type")  # nothing tells the time
    assert ("deal_closed",) not in told("t1", "interaction_type", near=at)
    digits = CLICK["interaction_id"].replace("-", "")
    fill([each | {"trace_id": digits} for each in (CLICK, CALL)])
    assert len(told(digits, "interaction_type")) == 2
    dated = Trace(of=digits).sql()
    assert {str(value) for value in dated.parameters.values()} >= {"2025-08-12", "2025-08-16"}


def test_circles_of_causes_and_what_names_itself_end() -> None:
    a, b, c = (row(n, "click", n, trace_id="t") for n in (1, 2, 3))
    a["parent_interaction_id"], b["parent_interaction_id"] = (
        b["interaction_id"],
        a["interaction_id"],
    )
    c["parent_interaction_id"] = c["interaction_id"]
    fill([a, b, c])
    found = told("t", "interaction_id", "depth", "cause")
    assert found == [
        (c["interaction_id"], 0, None), (a["interaction_id"], 0, None),
        (b["interaction_id"], 1, a["interaction_id"]),
    ]  # fmt: skip


def test_of_a_trace_that_never_ends_the_earliest_are_shown_and_all_are_counted() -> None:
    made = [row(n, "job_run", n, trace_id="t") for n in range(MOST + 7)]
    random.Random(1).shuffle(made)
    fill(made)
    found = told("t", "start_ms", "interactions")
    assert found == [(float(n), MOST + 7) for n in range(MOST)]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"of": " "}, "`of` must be an id"), ({"of": "x" * 257}, "`of` must be an id"),
        ({"of": "t", "days": 401}, "`days`"),
        ({"of": "t", "near": datetime(2025, 1, 1)}, "`near` must have a zone"),
    ],
)  # fmt: skip
def test_what_is_no_trace_is_one_sentence(parameters: Any, message: str) -> None:
    with pytest.raises(Rejected, match=message):
        Trace(**parameters)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lake, Serving]]:
    folder = tmp_path_factory.mktemp("traces")
    (folder / "rings").mkdir(mode=0o700)
    lake = Lake(folder / "data-lake", folder / "rings")
    with serving(lake, LAKEWARD_TABLE_SECONDS="0") as server:
        yield lake, server
    lake.close()


def get(server: Serving, path: str) -> httpx.Response:
    with server.client() as client:
        return client.get(path)


def test_a_trace_is_found_in_table_and_log_and_its_records_are_whole(
    served: tuple[Lake, Serving],
) -> None:
    lake, server = served
    collector = lake.collector(LAKEWARD_KEEPER="external")
    now = datetime.now(UTC) - timedelta(hours=1)
    at = iso(round(now.timestamp() * 1000))
    click = collector.record(
        "click", trace_id="4bf92f3577b34da6a3ce929d0e0e4736", element_text="<b>"
    )
    call = collector.record("api_call", method="POST", path="/api/match", response_status=200,
                            response_time_ms=12.5, parent_interaction_id=click, timestamp=at,
                            trace_id="4bf92f3577b34da6a3ce929d0e0e4736")  # fmt: skip
    collector.commit()
    compact(lake.open(), load(lake.env))
    booking = collector.record("demo_booking", partner_id="p1", status="booked",
                               parent_interaction_id=call, big=2**53 + 1)  # fmt: skip
    collector.commit()

    def found(path: str) -> list[Any]:
        answer = get(server, path).json()
        names = [column["name"] for column in answer["columns"]]
        return [dict(zip(names, each, strict=True)) for each in answer["rows"]]

    for path in ("4bf92f3577b34da6a3ce929d0e0e4736", str(booking), f"{booking}?days=1"):
        rows = found(f"/api/traces/{path}")
        assert sorted(each["interaction_type"] for each in rows) == [
            "api_call", "click", "demo_booking"
        ]  # fmt: skip
        causes = {each["interaction_type"]: each["cause"] for each in rows}
        assert causes == {"click": None, "api_call": click, "demo_booking": call}
    for interaction_id, text in ((call, '"response_time_ms": 12.5'), (booking, f"{2**53 + 1}")):
        whole = get(server, f"/api/records/{interaction_id}")
        assert (whole.status_code, whole.headers["content-type"]) == (200, "application/json")
        assert text in whole.text
        assert whole.json()["interaction_id"] == interaction_id
        assert "\n  " in whole.text  # laid out to be read


def test_what_is_not_there_is_said(served: tuple[Lake, Serving]) -> None:
    _, server = served
    wait_until(lambda: get(server, "/api/traces/none").status_code == 200, what="the first answer")
    assert get(server, "/api/traces/none").json()["rows"] == []
    refused = {
        "/api/traces/none?near=yesterday": (400, "bad_trace"),
        "/api/traces/none?days=-1": (400, "bad_trace"),
        "/api/traces/none?days=9999": (400, "bad_trace"),
        f"/api/records/{an_id(START_MS, 1)}": (404, "no_record"),
        "/api/records/17": (400, "bad_id"),
    }
    for path, wanted in refused.items():
        answer = get(server, path)
        assert (answer.status_code, answer.json()["code"]) == wanted, path
