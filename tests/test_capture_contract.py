"""The same requests leave equal records, whichever framework and protocol served them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from apps import Stage
from conftest import Lake
from lakeward.capture.body import BodyRule
from sites import SITES, Asked, Rules

pytestmark = pytest.mark.filterwarnings(
    # Django leaves a request's body to the collector when a stream tears under ASGI.
    "ignore:Exception ignored in.*SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning"
)
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = "0198a3c1-0000-7000-8000-000000000001"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJlLW9mLWFubg"
JSON = ("content-type", "application/json")

EVERY_TIME = {"interaction_id", "timestamp", "response_time_ms", "ttfb_ms"}
"""What no two calls share."""
UNROUTED = {"asgi", "wsgi"}
"""Sites without a router: their records have no `route`."""


class Case(msgspec.Struct, frozen=True):
    """A request, and what its record holds besides what it must share with all the others."""

    name: str
    asked: Asked
    expected: dict[str, Any] = {}
    settings: dict[str, str] = {}
    counted: str = ""
    """The reason why there is no record."""
    own_page: bool = False
    """An error page, which is each framework's own: neither its size nor its bytes are alike."""
    but: frozenset[str] = frozenset()
    """Sites that are not asked, as their framework cannot answer alike; the case says why."""


def get(target: str, *headers: tuple[str, str], **more: Any) -> Asked:
    return Asked(target, "GET", headers, **more)


CASES = [
    Case("root", get("/"), {"path": "/", "route": "/", "response_bytes": 5}),
    Case(
        "a path parameter",
        get("/api/partners/7"),
        {"route": "/api/partners/{partner_id}", "response_status": 200},
    ),
    Case(
        "a query with a repeated name and a secret",
        get("/?tag=a&tag=b&q=x%20y+z&token=hunter2secret"),
        {"query_params": {"tag": ["a", "b"], "q": "x y z", "token": "[REDACTED]"}},
    ),
    Case("a query of strange bytes", get("/?%zz&=&a=%ff")),
    Case("a path of UTF-8", get("/text/caf%C3%A9/%E2%82%AC"), {"path": "/text/café/€"}),
    Case("an encoded slash and space", get("/text/a%2Fb%20c"), {"path": "/text/a/b c"}),
    Case(
        "a path that is no UTF-8",
        get("/text/%ff"),
        {"path": "/text/\ufffd"},
        # Django's request has only the path as Django quoted it again.
        but=frozenset({"django middleware, wsgi"}),
    ),
    Case("a token in the path", get(f"/reset/{TOKEN}"), {"route": "/reset/{token}"}),
    Case(
        "a session's cookie", get("/", ("cookie", "theme=dark; session=s3cr3t-cookie; x=y"))
    ),
    Case(
        "a session's header",
        get("/", ("x-session-id", "0b06c2f2-6c2d-4e5b-9a44-2b1c5f6a7d80")),
        {"session_id": "0b06c2f2-6c2d-4e5b-9a44-2b1c5f6a7d80"},
    ),
    Case(
        "agent and referrer",
        get("/", ("user-agent", "Mozilla/5.0"), ("referer", "https://example.org/?page=2")),
        {"user_agent": "Mozilla/5.0", "referrer": "https://example.org/?page=2"},
    ),
    Case("an empty agent", get("/", ("user-agent", "")), {"user_agent": ""}),
    Case("headers in Latin-1", get("/", ("user-agent", "Caf\xe9"))),
    Case(
        "a repeated header",
        get("/", ("x-tag", "a"), ("x-tag", "b")),
        # WSGI servers join the values themselves, most without a space.
        settings={"LAKEWARD_HEADERS": "x-tag"},
    ),
    Case(
        "an address behind a proxy",
        get("/", ("x-forwarded-for", "198.51.100.9")),
        {"ip_address": "198.51.100.9"},
        settings={"LAKEWARD_TRUSTED_PROXIES": "203.0.113.0/24"},
    ),
    Case(
        "a JSON body",
        Asked("/api/echo", "POST", (JSON,), b'{"focus": "crm", "api_key": "k-1"}'),
        {
            "request_body": {"focus": "crm", "api_key": "[REDACTED]"},
            "request_bytes": 34,
            "route": "/api/echo",
        },
    ),
    Case(
        "a form",
        Asked("/api/echo", "POST", (("content-type", "application/x-www-form-urlencoded"),),
              b"a=1&a=2&password=hunter2secret"),
        {"request_body": {"a": ["1", "2"], "password": "[REDACTED]"}},
    ),
    Case("a body that is no JSON", Asked("/api/echo", "POST", (JSON,), b"{"),
         {"request_body": "[undecodable: 1 bytes]"}),
    Case("a body too large", Asked("/api/echo", "POST", (JSON,), b'"' + b"x" * 300 + b'"'),
         {"request_body": "[too large: more than 256 bytes]", "request_bytes": 302}),
    Case("a body nobody asked for", Asked("/api/echo", "POST", (("content-type", "text/plain"),),
                                          b"abc"), {"request_bytes": 3}),
    Case("HEAD", Asked("/api/partners/7", "HEAD"), {"method": "HEAD", "response_bytes": 0}),
    Case("not found", get("/nothing"), {"response_status": 404}, own_page=True),
    Case("a parameter that does not fit", get("/api/partners/seven"), {"response_status": 404},
         own_page=True,
         # FastAPI finds the route and answers 422; a site without a router takes any word.
         but=frozenset({"fastapi", *UNROUTED})),
    Case("a method that is not allowed", Asked("/api/partners/7", "DELETE"),
         {"response_status": 405, "route": "/api/partners/{partner_id}"}, own_page=True),
    Case("a method of nobody's", Asked("/nothing", "BREW"), {"method": "BREW"}, own_page=True),
    Case("an exception", get("/boom"), {"response_status": 500, "error_type": "LookupError"},
         own_page=True),
    Case("a stream", get("/stream"), {"response_bytes": 11, "response_status": 200}),
    Case("a stream that tears", get("/torn"), {"response_status": 200, "error_type": "ValueError",
                                               "response_bytes": 11}),
    Case("no content", get("/empty"), {"response_status": 204, "response_bytes": 0}),
    Case("an empty body", get("/nobody"), {"response_status": 200, "response_bytes": 0}),
    Case("a redirect", get("/moved"), {"response_status": 302}),
    Case("a big body", get("/big"), {"response_bytes": 200_000}),
    Case(
        "a trace",
        get("/", ("traceparent", f"00-{TRACE}-{SPAN}-01"), ("tracestate", "rojo=1")),
        {"trace_id": TRACE},
    ),
    Case(
        "a trace of another app of ours",
        get("/", ("traceparent", f"00-{TRACE}-{SPAN}-01"), ("tracestate", f"lakeward={CALLER}")),
        {"trace_id": TRACE, "parent_interaction_id": CALLER},
    ),
    Case("a trace that is none", get("/", ("traceparent", "nonsense"))),
    Case("an excluded path", get("/health"), counted="excluded"),
    Case("a mounted prefix", get("/shop/api/partners/7", root="/shop"),
         {"path": "/shop/api/partners/7", "route": "/api/partners/{partner_id}"}),
    Case("an excluded path below a prefix", get("/shop/health", root="/shop"), counted="excluded"),
    Case("a prefix of UTF-8", get("/caf%C3%A9/api/partners/7", root="/caf\xc3\xa9"),
         {"path": "/café/api/partners/7"},
         # An ASGI server decodes its `root_path`; here it is given as WSGI has it.
         but=frozenset(name for name in SITES if "wsgi" not in name and name != "flask")),
    Case("a user", get("/", ("x-user", "c-17")), {"user_id": "c-17", "user_type": "contractor"}),
    Case("a user of an error", get("/nothing", ("x-user", "c-17")), {"user_id": "c-17"},
         own_page=True),
    Case("consent to nothing", get("/", ("x-user", "c-17"), ("x-consent", "none")),
         counted="consent"),
    Case("consent to no name", get("/", ("x-user", "c-17"), ("x-consent", "anonymous")),
         {"user_id": "anonymous", "ip_address": None, "session_id": None}),
    Case("a privacy signal", get("/", ("sec-gpc", "1"), ("x-user", "c-17")),
         {"user_id": "anonymous", "ip_address": None},
         settings={"LAKEWARD_PRIVACY_SIGNAL": "anonymous"}),
    Case("a privacy signal that leaves nothing", get("/", ("dnt", "1")), counted="consent",
         settings={"LAKEWARD_PRIVACY_SIGNAL": "none"}),
    Case("collection off", get("/"), counted="disabled",
         settings={"ENABLE_DATA_COLLECTION": "false"}),
]  # fmt: skip


def rules(stage: Stage) -> Rules:
    bodies = [BodyRule("/api/echo", most=256)]
    return Rules(stage.collector, bodies=bodies)


def comparable(row: dict[str, Any], case: Case) -> dict[str, Any]:
    """A record without what no two calls share."""
    kept = {name: value for name, value in row.items() if name not in EVERY_TIME}
    assert row["response_time_ms"] >= row.get("ttfb_ms", 0)
    if kept["trace_id"] == row["interaction_id"].replace("-", ""):
        kept["trace_id"] = "begins here"
    if case.own_page:
        del kept["response_bytes"]
    else:
        assert "ttfb_ms" in row
    if "headers" in kept:
        kept["headers"] = {n: v.replace(", ", ",") for n, v in kept["headers"].items()}
    return kept


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_same_request_leaves_the_same_record_everywhere(lake: Lake, case: Case) -> None:
    stage = Stage(lake).set(**case.settings)
    expected: dict[str, Any] = {}
    names = [name for name in SITES if name not in case.but]
    for n, name in enumerate(names, 1):
        answered = SITES[name](rules(stage))(case.asked)
        offered, reasons = stage.collector.stats()["offered"], stage.reasons()
        assert offered == n, name
        if case.counted:
            assert reasons == {case.counted: n}, name
            continue
        assert reasons == {}, name
        row = stage.rows()[-1]
        assert answered.status in {row["response_status"], None}, name
        found = comparable(row, case)
        wanted = {k: v for k, v in case.expected.items() if k != "route" or name not in UNROUTED}
        assert found | wanted == found, name
        if name in UNROUTED:
            assert "route" not in found
        else:
            expected.setdefault("route", found.get("route"))
            assert found.pop("route", None) == expected["route"], name
        shared = expected.setdefault("all", found)
        assert found == shared, name
    if not case.counted:
        assert len(stage.rows()) == len(names)
    assert b"hunter2secret" not in stage.stored()


@pytest.mark.parametrize("name", SITES)
def test_an_outcome_during_a_call_joins_it(lake: Lake, name: str) -> None:
    stage = Stage(lake)
    headers = (("x-user", "c-17"), ("traceparent", f"00-{TRACE}-{SPAN}-01"))
    SITES[name](rules(stage))(Asked("/outcome", "GET", headers))
    rows = {row["interaction_type"]: row for row in stage.rows()}
    click, call = rows["cta_click"], rows["api_call"]
    assert click["parent_interaction_id"] == call["interaction_id"]
    assert click["trace_id"] == call["trace_id"] == TRACE
    assert click["session_id"] == call["session_id"]
    assert (click["user_id"], click["user_type"]) == ("c-17", "contractor")


@pytest.mark.parametrize("name", SITES)
def test_what_a_site_is_offered_is_recorded_or_counted_by_reason(lake: Lake, name: str) -> None:
    stage = Stage(lake)
    site = SITES[name](rules(stage))
    asked = [case.asked for case in CASES if not case.settings and name not in case.but]
    for request in asked:
        site(request)
    stats = stage.collector.stats()
    assert stats["offered"] == len(asked)
    assert stats["accepted"] + sum(stats["reasons"].values()) == len(asked)
    assert len(stage.rows()) == stats["accepted"]
    assert stage.lake.audit().ok


@pytest.mark.parametrize("name", SITES)
def test_a_hook_that_raises_costs_the_user_and_tells_so(lake: Lake, name: str) -> None:
    def hook(request: object) -> str:
        raise KeyError("hunter2secret")

    stage = Stage(lake)
    SITES[name](Rules(stage.collector, user=hook))(get("/"))
    row = stage.row()
    assert (row["user_id"], row["metadata"]) == ("anonymous", {"user_hook": "KeyError"})
    assert b"hunter2secret" not in stage.stored()


@pytest.mark.parametrize("name", SITES)
def test_the_site_answers_as_it_does_without_lakeward(lake: Lake, name: str) -> None:
    stage = Stage(lake)
    site = SITES[name](rules(stage))
    assert site(get("/")).body == b"found"
    assert site(get("/stream")).body == b"onetwothree"
    assert (site(get("/empty")).status, site(get("/moved")).headers["location"]) == (204, "/")
    assert "vary" not in site(get("/", ("cookie", "sessionid=x; session=y"))).headers
    assert site(get("/torn")).body == b"onetwothree"
