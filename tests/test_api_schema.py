"""The server keeps to its own OpenAPI document, whatever a fuzzer makes of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from conftest import Lake
from server_process import Serving, serving

EXAMPLES = os.environ.get("LAKEWARD_SCHEMA_EXAMPLES", "12")
"""How many requests for each path and method; `make soak` asks for more."""
LEFT_OUT = "negative_data_rejection"
"""What a type refuses is listed in a 200: the batch is taken."""
JUDGED = (
    "/api/experiments/{key}",
    "/api/experiments/{key}/course",
    "/api/experiments/{key}/csv",
    "/api/flags",
    "/api/partners/{id}/demos",
    "/api/partners",
    "/api/partners/{id}/customer-references",
    "/api/partners/{id}/demo-reviews",
    "/api/partners/{id}/employee-feedback",
    "/api/partners/{id}/invitations",
    "/api/quarantine/replay",
    "/api/records/{id}",
    "/api/sql",
    "/api/suggest",
    "/api/views",
    "/api/views/{id}/rename",
)
"""Where more is asked than a schema can say: of SQL, of a field's or a view's name, of answers."""
TUS = (
    '[[operations]]\ninclude-path = "/api/uploads/{id}"\n'
    "checks.missing_required_header.expected-statuses = [404, 412]\n"
)
"""Who does not say the protocol's version is told so by a status of its own; who does, that there
is no such upload, before anything is said of the rest."""
HOOKS = """
import schemathesis

schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
"""
"""How the fuzzer writes a body of the protocol for uploads."""
PATHS = (
    "/",
    "/v1/interactions",
    "/v1/ai/ratings",
    "/v1/flags/evaluate",
    "/v1/summary",
    "/v1/live/hour",
    "/metrics",
    "/health",
)
POSTED = ("/v1/interactions", "/v1/ai/ratings", "/v1/flags/evaluate")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lake, Serving]]:
    ring_dir = Path("/dev/shm") / f"lw-test-{os.getpid()}-schema"
    ring_dir.mkdir(mode=0o700, exist_ok=True)
    lake = Lake(tmp_path_factory.mktemp("schema") / "data-lake", ring_dir)
    with serving(lake) as server:
        yield lake, server
    lake.close()


def test_no_request_that_the_document_describes_or_forbids_gets_an_answer_beside_it(
    served: tuple[Lake, Serving], tmp_path: Path
) -> None:
    lake, server = served
    (tmp_path / "schemathesis.toml").write_text("".join(map(judged, JUDGED)) + TUS)
    (tmp_path / "hooks.py").write_text(HOOKS)
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json",
        "--exclude-path", "/v1/live",  # a stream
        "--exclude-path", "/api/keys", "--exclude-path", "/api/people",  # they close the server
        "--checks", "all", "--exclude-checks", LEFT_OUT,
        "--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", "7",
        "--suppress-health-check", "all", "--warnings", "off", "--no-color",
        "--request-timeout", "60",
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=3600,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "Tested: 87" in done.stdout, done.stdout
    report = lake.audit()
    assert report.ok, report.faults
    assert report.sum["offered"] > 20
    assert b"Traceback" not in server.output.read_bytes()


def judged(path: str) -> str:
    """The line of a configuration that lets a path refuse what fits its schema."""
    return (
        f'[[operations]]\ninclude-path = "{path}"\n'
        "checks.positive_data_acceptance.expected-statuses = [200, 201, 400, 404, 409]\n"
    )


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "BREW"])
def test_a_method_that_a_path_does_not_take_is_refused_with_those_it_takes(
    served: tuple[Lake, Serving], path: str, method: str
) -> None:
    with served[1].client() as client:
        answer = client.request(method, path)
    if answer.status_code == 400:  # the parser knows no such method
        assert method == "BREW"
        return
    assert answer.status_code == 405
    assert set(answer.json()) == {"code", "message"}
    takes = "POST" if path in POSTED else "GET, HEAD"
    assert answer.headers["allow"] == takes


def test_the_document_is_open_to_all_and_names_every_path(served: tuple[Lake, Serving]) -> None:
    document = httpx.get(served[1].url + "/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert set(PATHS) - {"/"} <= set(document["paths"])
