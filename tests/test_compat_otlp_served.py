"""The real OpenTelemetry SDK and its OTLP exporter, against a real server and its lake."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from conftest import Lake
from lakeward.lake import sql
from lakeward.lakedir import open_lake
from lakeward.settings import load
from lakeward.store.database import open_database
from lakeward.store.keys import Keys
from server_process import Serving, serving
from test_compat_otlp import RECORDED, SPAN, TRACE, request, span

APP = Path(__file__).parent / "otel_app.py"
PROTOBUF = {"content-type": "application/x-protobuf"}
TYPES = ["ai_conversation", "ai_conversation", "ai_rating", "api_call", "span", "span", "span"]


class Traced:
    """A server, a key for who sends traces, and one for who may send operations only."""

    def __init__(self, lake: Lake, server: Serving, key: str, spans: str) -> None:
        self.spans = spans
        self.lake = lake
        self.server = server
        self.key = key

    def run(self, **env: str) -> None:
        """The app, from its start to its end."""
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.server.url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer%20{self.key}",
        }
        done = subprocess.run(
            [sys.executable, str(APP)], env=self.lake.process_env() | environ | env,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")

    def post(self, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
        """A body as it is."""
        with self.server.client() as client:
            return client.post(
                "/v1/traces", content=body, headers={"x-api-key": self.key} | (headers or {})
            )

    def asked(self, query: str) -> list[dict[str, Any]]:
        """Rows of `lakeward query`."""
        rows: list[dict[str, Any]] = sql(query, lake_dir=self.lake.root).to_pylist()
        return rows


@pytest.fixture
def traced(lake: Lake) -> Iterator[Traced]:
    settings = load(lake.process_env(), lake.root.parent)
    open_lake(lake.root)
    with open_database(settings) as database:
        key, spans = (Keys(database).create("write", name, actor="test", types=types)[1]
                      for name, types in (("traces", ["*"]), ("spans", ["span"])))  # fmt: skip
    with serving(lake) as server:
        yield Traced(lake, server, key, spans)


@pytest.mark.parametrize("env", [{}, {"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}], ids=["", "gzip"])
def test_the_sdk_is_told_another_host_and_its_spans_are_in_the_lake(
    traced: Traced, env: dict[str, str]
) -> None:
    traced.run(**env)
    rows = traced.lake.rows()
    assert sorted(row["interaction_type"] for row in rows) == TYPES
    assert {row["metadata"]["service"] for row in rows if "metadata" in row} == {"shop"}
    assert all(row.get("service") != "shop" for row in rows)
    assert traced.lake.quarantined() == []
    [joined] = traced.asked("""
        SELECT c.route, t.model_answered, r.rating, t.input, t.cached, t.output
        FROM api_call c
        JOIN (SELECT *, ai_metadata->>'$.model_answered' AS model_answered,
                     (ai_metadata->>'$.input_tokens')::INT AS input,
                     (ai_metadata->>'$.cache_read_tokens')::INT AS cached,
                     (ai_metadata->>'$.output_tokens')::INT AS output
              FROM ai_conversation) t USING (trace_id)
        JOIN (SELECT *, (ai_metadata->>'$.rating')::INT AS rating FROM ai_rating) r
          ON r.parent_interaction_id = t.interaction_id
    """)
    assert joined == {
        "route": "/api/partners/{partner_id}", "model_answered": "gpt-4o-2024-08-06", "rating": 4,
        "input": 86, "cached": 17817, "output": 188,
    }  # fmt: skip


def test_a_retry_meets_itself(traced: Traced) -> None:
    body = RECORDED.read_bytes()
    for content in (body, body, gzip.compress(body)):
        answer = traced.post(content, PROTOBUF)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-type"] == "application/x-protobuf"
    found = traced.asked("SELECT interaction_type AS t, count(*) AS n FROM interactions GROUP BY t")
    assert sorted(row["t"] for row in found for _ in range(row["n"])) == TYPES


def test_json_is_answered_in_json_and_dated_when_it_happened(traced: Traced) -> None:
    answer = traced.post(request(span()), {"content-type": "text/plain"})
    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["content-type"] == "application/json"
    [row] = traced.lake.rows()
    assert (row["timestamp"], row["trace_id"]) == ("2025-08-14T16:11:28.677Z", TRACE)
    assert row["properties"]["span_id"] == SPAN


def test_what_is_refused_is_told_as_a_partial_success_and_set_aside(traced: Traced) -> None:
    body = request(
        span(), span(traceId=""), span(attributes={f"a{n}": "x" * 10_000 for n in range(5)})
    )
    answer = traced.post(body)
    assert answer.status_code == 200
    partial = answer.json()["partialSuccess"]
    assert partial["rejectedSpans"] == "2"
    assert "trace id" in partial["errorMessage"]
    assert "larger" in partial["errorMessage"]
    assert len(traced.lake.rows()) == 1
    assert len(traced.lake.quarantined()) == 2


def test_a_type_that_the_key_does_not_permit_is_told_in_protobuf(traced: Traced) -> None:
    traced.key = traced.spans
    response = trace_service_pb2.ExportTraceServiceResponse()
    response.ParseFromString(traced.post(RECORDED.read_bytes(), PROTOBUF).content)
    assert response.partial_success.rejected_spans == 3
    assert {row["interaction_type"] for row in traced.lake.rows()} == {"span"}


@pytest.mark.parametrize("body", [b"\x0a\xff\xff", b"{", b'{"resourceSpans": 1}', b"no trace"])
def test_a_body_that_is_none_is_a_400_that_no_exporter_sends_again(
    traced: Traced, body: bytes
) -> None:
    answer = traced.post(body)
    assert answer.status_code == 400
    assert json.loads(answer.content)["code"] == "bad_body"
    assert traced.lake.rows() == []


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/metrics"])
def test_logs_and_metrics_are_not_kept_and_the_sender_is_told(traced: Traced, path: str) -> None:
    with traced.server.client() as client:
        assert client.post(path, content=b"", headers={"x-api-key": traced.key}).status_code == 404


def test_an_exporter_without_a_key_is_refused(traced: Traced) -> None:
    with traced.server.client() as client:
        assert client.post("/v1/traces", content=RECORDED.read_bytes()).status_code == 401
    assert traced.lake.rows() == []
