"""What Django's capture promises beyond the contract: it sees all, loads nothing, adds nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper

import pytest
from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import path
from django.utils.functional import SimpleLazyObject

from apps import Stage
from conftest import Lake
from lakeward.capture import django as capture
from lakeward.capture import shared
from lakeward.capture.django_request import template, user_of
from lakeward.capture.wsgi import LakewardMiddleware
from lakeward.errors import Terminal
from sites import Asked, asgi_ask, configure_django, environ_of, wsgi_ask

OURS = "lakeward.capture.django.LakewardMiddleware"
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"
EVERY_WAY = [(under, how) for under in ("wsgi", "asgi") for how in ("wrap", "middleware")]
ROOT = Asked("/")


@pytest.fixture
def stage(lake: Lake) -> Stage:
    configure_django()
    return Stage(lake)


class Breaks:
    """A middleware of somebody's that fails."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        raise LookupError("password=hunter2secret")


class Urls:
    def __init__(self, *urlpatterns: Any) -> None:
        self.urlpatterns = urlpatterns


def served(
    stage: Stage,
    view: Any,
    *,
    under: str = "wsgi",
    how: str = "wrap",
    middleware: tuple[str, ...] = (),
    asked: Asked = ROOT,
    **rules: Any,
) -> Any:
    """The answer of a Django site with one view, captured in one of the ways."""
    ours = [OURS] if how == "middleware" else []
    rules = {"collector": stage.collector, **rules}
    with override_settings(
        ROOT_URLCONF=Urls(path("", view), path("p/<int:n>", view)),
        MIDDLEWARE=[*ours, *middleware],
        LAKEWARD=rules,
    ):
        handler = ASGIHandler() if under == "asgi" else WSGIHandler()
        if how == "wrap":
            handler = capture.wrap(handler)
        ask: Any = asgi_ask if under == "asgi" else wsgi_ask
        return ask(handler, asked)


def page(request: HttpRequest, **values: object) -> HttpResponse:
    return HttpResponse(b"page")


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ("", "/"),
        ("api/partners/<int:partner_id>", "/api/partners/{partner_id}"),
        ("<slug>/<path:rest>", "/{slug}/{rest}"),
        (r"^articles/(?P<year>[0-9]{4})/(?P<slug>[\w-]+)/$", "/articles/{year}/{slug}/"),
        (r"^(?P<a>(x|y)(?:z))/(\d+)/(.*)\Z", "/{a}/{0}/{1}"),
        (r"^file\.(?P<ext>[)\]]\)|b)$", "/file.{ext}"),
        (r"shop/<int:pk>/^edit/(?P<part>\w+)/?$", "/shop/{pk}/edit/{part}/"),
        (r"^page(?:/(?P<n>\d+))?$", "/page/{n}"),
        (r"^a(?=b)b$", "/ab"),
        (r"^broken(", "/broken{0}"),
    ],
)
def test_a_route_reads_as_every_frameworks_route(route: str, expected: str) -> None:
    assert template(route) == expected


@pytest.mark.parametrize(("under", "how"), EVERY_WAY)
def test_an_error_in_somebodys_middleware_is_seen_and_named(
    stage: Stage, under: str, how: str
) -> None:
    answered = served(stage, page, under=under, how=how, middleware=(f"{__name__}.Breaks",))
    assert answered.status == 500
    row = stage.row()
    assert (row["response_status"], row["error_type"]) == (500, "LookupError")
    assert b"hunter2secret" not in stage.stored()


@pytest.mark.parametrize(("under", "how"), EVERY_WAY)
def test_no_user_is_loaded_and_no_header_added_for_the_record(
    stage: Stage, under: str, how: str
) -> None:
    session = SessionStore()
    session[SESSION_KEY] = "7"
    session.save()
    cookie = ("cookie", f"sessionid={session.session_key}")
    # Any query fails here: there is no table.
    answered = served(stage, page, under=under, how=how, middleware=(SESSIONS, AUTH),
                      asked=Asked("/", "GET", (cookie,)))  # fmt: skip
    assert answered.status == 200
    assert "vary" not in answered.headers
    assert stage.row()["user_id"] == "anonymous"


@pytest.mark.parametrize(("under", "how"), EVERY_WAY)
def test_a_user_that_the_application_has_loaded_is_named_on_call_and_outcome(
    stage: Stage, under: str, how: str
) -> None:
    user = get_user_model()(id=7, username="ann")

    def view(request: HttpRequest) -> HttpResponse:
        request._cached_user = user
        assert request.user.username == "ann"
        stage.collector.record("cta_click", cta="book")
        return HttpResponse(b"page")

    served(stage, view, under=under, how=how, middleware=(SESSIONS, AUTH))
    assert [row["user_id"] for row in stage.rows()] == ["7", "7"]


def test_whoever_is_logged_in_is_known_by_a_session_that_was_read_anyway(stage: Stage) -> None:
    from django.contrib.auth.models import AnonymousUser  # it needs settings

    request = HttpRequest()
    request.session = SessionStore()
    request.user = SimpleLazyObject(lambda: pytest.fail("loaded"))
    assert user_of(request) is None
    request.session[SESSION_KEY] = "7"
    assert user_of(request) == "7"
    request.user = AnonymousUser()
    assert user_of(request) is request.user


@pytest.mark.parametrize("under", ["wsgi", "asgi"])
def test_the_wrap_and_the_middleware_together_make_one_record(stage: Stage, under: str) -> None:
    served(stage, page, under=under, middleware=(OURS,), asked=Asked("/p/7"))
    assert stage.row()["route"] == "/p/{n}"
    assert stage.collector.stats()["offered"] == 1


def test_a_whole_answer_is_in_the_ring_before_it_goes_to_the_server(stage: Stage) -> None:
    with override_settings(ROOT_URLCONF=Urls(path("", page)), MIDDLEWARE=[]):
        app = capture.wrap(WSGIHandler(), stage.collector)
        parts = app(environ_of(ROOT), lambda *_: None)
        assert [stage.collector.stats()["accepted"] for _ in parts] == [1]
        parts.close()


@pytest.mark.parametrize("how", ["wrap", "middleware"])
def test_a_file_goes_through_the_servers_own_wrapper(
    stage: Stage, tmp_path: Path, how: str
) -> None:
    (file := tmp_path / "film").write_bytes(b"x" * 500)
    ours = [OURS] if how == "middleware" else []
    urls = Urls(path("", lambda request: FileResponse(file.open("rb"))))
    with override_settings(
        ROOT_URLCONF=urls, MIDDLEWARE=ours, LAKEWARD={"collector": stage.collector}
    ):
        app = WSGIHandler() if ours else capture.wrap(WSGIHandler())
        environ = environ_of(ROOT, **{"wsgi.file_wrapper": FileWrapper})
        answer = app(environ, lambda *_: None)
        assert isinstance(answer, FileWrapper)
        assert stage.collector.stats()["accepted"] == 0
        answer.close()
    row = stage.row()
    assert (row["response_status"], row.get("error_type")) == (200, None)


@pytest.mark.parametrize("how", ["wrap", "middleware"])
def test_a_stream_that_the_server_closes_early_has_lost_its_client(stage: Stage, how: str) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"more"

    ours = [OURS] if how == "middleware" else []
    urls = Urls(path("", lambda request: StreamingHttpResponse(endless())))
    with override_settings(
        ROOT_URLCONF=urls, MIDDLEWARE=ours, LAKEWARD={"collector": stage.collector}
    ):
        app = WSGIHandler() if ours else capture.wrap(WSGIHandler())
        answer: Any = app(environ_of(ROOT), lambda *_: None)
        parts = iter(answer)
        assert [next(parts), next(parts)] == [b"more", b"more"]
        answer.close()
    row = stage.row()
    assert (row["error_type"], row["response_bytes"]) == ("ClientDisconnect", 8)


@pytest.mark.parametrize("how", ["wrap", "middleware"])
def test_a_client_that_leaves_a_slow_asynchronous_view_is_named(stage: Stage, how: str) -> None:
    async def slow(request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(60)
        return HttpResponse(b"too late")

    ours = [OURS] if how == "middleware" else []

    async def main(app: Any) -> None:
        messages = iter([{"type": "http.request"}, {"type": "http.disconnect"}])

        async def receive() -> Any:
            await asyncio.sleep(0.05)
            return next(messages)

        async def send(message: Any) -> None:
            raise AssertionError("nobody is there")

        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
        await app(scope, receive, send)

    with override_settings(
        ROOT_URLCONF=Urls(path("", slow)), MIDDLEWARE=ours, LAKEWARD={"collector": stage.collector}
    ):
        asyncio.run(main(ASGIHandler() if ours else capture.wrap(ASGIHandler())))
    row = stage.row()
    assert (row["response_status"], row["error_type"]) == (None, "ClientDisconnect")


@pytest.mark.parametrize("consent", [None, lambda request: "full"])
def test_an_upload_that_is_broken_off_is_seen_by_the_wrap_and_is_nobodys(
    stage: Stage, consent: Any
) -> None:
    async def main(app: Any) -> None:
        messages = iter([
            {"type": "http.request", "body": b"half", "more_body": True},
            {"type": "http.disconnect"},
        ])  # fmt: skip

        async def receive() -> Any:
            return next(messages)

        scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
        await app(scope, receive, None)

    with override_settings(ROOT_URLCONF=Urls(path("", page)), MIDDLEWARE=[]):
        wrapped = capture.wrap(ASGIHandler(), stage.collector, user=account, consent=consent)
        asyncio.run(main(wrapped))
    row = stage.row()
    assert (row["error_type"], row["request_bytes"]) == ("ClientDisconnect", 4)
    assert (row["user_id"], row.get("metadata")) == ("anonymous", None)
    assert (row["session_id"] is None) == (consent is not None)


def test_a_hook_that_is_a_coroutine_function_is_refused(stage: Stage) -> None:
    async def hook(request: HttpRequest) -> str:
        return "ann"

    with (
        override_settings(ROOT_URLCONF=Urls(), MIDDLEWARE=[]),
        pytest.raises(Terminal, match="coroutine"),
    ):
        capture.wrap(WSGIHandler(), stage.collector, user=hook)


def test_the_settings_may_name_hooks_and_collector_by_their_path(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.COLLECTOR", stage.collector)
    served(stage, page, how="middleware", collector=f"{__name__}.COLLECTOR",
           user=f"{__name__}.account", exclude=["/p/*"])  # fmt: skip
    served(stage, page, how="middleware", exclude=["/p/*"], asked=Asked("/p/7"))
    assert stage.row()["user_id"] == "a-17"
    assert stage.reasons() == {"excluded": 1}


COLLECTOR: Any = None


def account(request: HttpRequest) -> str:
    return f"a-17{request.path.strip('/')}"


def test_without_a_collector_the_shared_one_is_taken(stage: Stage) -> None:
    shared.use(stage.collector)
    try:
        served(stage, page, how="middleware", collector=None)
    finally:
        shared.use(None)
    assert stage.row()["path"] == "/"


def test_a_rule_that_is_none_is_named(stage: Stage) -> None:
    with pytest.raises(Terminal, match="'hook' is none of collector, exclude"):
        served(stage, page, hook=account)


def test_a_second_wrap_and_a_wrap_of_something_else_are_refused(stage: Stage) -> None:
    with override_settings(ROOT_URLCONF=Urls(), MIDDLEWARE=[]):
        handler = WSGIHandler()
        assert isinstance(capture.wrap(handler, stage.collector), LakewardMiddleware)
        with pytest.raises(Terminal, match="once"):
            capture.wrap(handler, stage.collector)
        with pytest.raises(Terminal, match="get_wsgi_application"):
            capture.wrap(lambda environ, start: [], stage.collector)
