"""The same small site written for each framework, and a server's side for ASGI and WSGI.

Every site answers the same paths in the same words, so that what is recorded can be compared. Error
pages are each framework's own.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import django
import fastapi
import flask
import msgspec
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.test import override_settings
from django.urls import include, path, re_path
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from lakeward.capture import asgi, wsgi
from lakeward.capture import django as lakeward_django
from lakeward.capture import flask as lakeward_flask
from lakeward.collector import Collector

CHUNKS = (b"one", b"", b"two", b"three")
BIG = b"x" * 200_000
LENGTH = {"content-length"}


class Asked(msgspec.Struct, frozen=True):
    """A request as its bytes come over the wire."""

    target: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    root: str = ""

    @property
    def split(self) -> tuple[str, str]:
        """Raw path and query."""
        raw, _, query = self.target.partition("?")
        return raw, query

    @property
    def all_headers(self) -> list[tuple[str, str]]:
        """Those given and those that every client sends."""
        sent = [("host", "site.test"), *self.headers]
        return sent + ([("content-length", str(len(self.body)))] if self.body else [])


class Answered(msgspec.Struct):
    """What a server would send: status, headers in lower case, body; and what the app raised."""

    status: int | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""
    raised: BaseException | None = None


Site = Callable[[Asked], Answered]


def environ_of(asked: Asked, **more: Any) -> dict[str, Any]:
    """A request as gunicorn hands it to an application."""
    raw, query = asked.split
    path_info = unquote_to_bytes(raw).decode("latin-1").removeprefix(asked.root)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": asked.method,
        "SCRIPT_NAME": asked.root,
        "PATH_INFO": path_info,
        "QUERY_STRING": query,
        "SERVER_NAME": "site.test",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "203.0.113.7",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(asked.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in asked.all_headers:
        key = name.upper().replace("-", "_")
        if name not in {"content-type", "content-length"}:
            key = f"HTTP_{key}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    environ.update(more)
    return environ


def wsgi_ask(app: wsgi.WsgiApp, asked: Asked, **more: Any) -> Answered:
    """The server's side of one WSGI request, read to its end and closed."""
    answered = Answered()
    pushed: list[bytes] = []

    def start_response(status: str, headers: list[Any], exc_info: Any = None) -> Any:
        answered.status = int(status[:3])
        answered.headers = {name.lower(): value for name, value in headers}
        return pushed.append

    parts: Iterable[bytes] = ()
    try:
        parts = app(environ_of(asked, **more), start_response)
        for part in parts:
            pushed.append(part)
    except Exception as error:
        answered.raised = error.with_traceback(None)
    finally:
        if hasattr(parts, "close"):
            parts.close()
    answered.body = b"".join(pushed)
    return answered


def asgi_ask(app: asgi.App, asked: Asked) -> Answered:
    """The server's side of one ASGI request."""
    raw, query = asked.split
    answered = Answered()
    pushed: list[bytes] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": asked.method,
        "scheme": "http",
        "path": unquote(raw, errors="replace"),
        "raw_path": raw.encode(),
        "query_string": query.encode(),
        "root_path": asked.root,
        "headers": [(n.encode(), v.encode("latin-1")) for n, v in asked.all_headers],
        "client": ("203.0.113.7", 4711),
        "server": ("site.test", 80),
    }

    async def main() -> None:
        whole = asyncio.Event()
        messages = iter([{"type": "http.request", "body": asked.body, "more_body": False}])

        async def receive() -> Any:
            for message in messages:
                return message
            await whole.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answered.status = message["status"]
                answered.headers = {
                    n.decode().lower(): v.decode("latin-1") for n, v in message["headers"]
                }
            else:
                pushed.append(message.get("body", b""))
                if not message.get("more_body"):
                    whole.set()

        try:
            await app(scope, receive, send)
        except Exception as error:
            answered.raised = error.with_traceback(None)

    asyncio.run(main())
    answered.body = b"".join(pushed)
    return answered


# What all sites answer


def user_of(name: str | None) -> tuple[str, str] | None:
    """The user that the hooks of all sites read from a header."""
    return (name, "contractor") if name else None


def consent_of(word: str | None) -> Any:
    """What the consent hooks of all sites read from a header."""
    return word


class Rules:
    """The rules of a site under test."""

    def __init__(self, collector: Collector, **rules: Any) -> None:
        self.collector = collector
        self.rules = rules

    def hooked(self, header: Callable[[Any, str], str | None]) -> dict[str, Any]:
        """The rules with hooks that find a header of this framework's request."""
        return {
            "user": lambda request: user_of(header(request, "x-user")),
            "consent": lambda request: consent_of(header(request, "x-consent")),
            **self.rules,
        }

    def outcome(self) -> None:
        """Something that happens during a call."""
        self.collector.record("cta_click", cta="book")


def scope_header(scope: Any, name: str) -> str | None:
    found = dict(scope["headers"]).get(name.encode())
    return found.decode() if found else None


def environ_header(environ: Any, name: str) -> str | None:
    return environ.get("HTTP_" + name.upper().replace("-", "_"))  # type: ignore[no-any-return]


def request_header(request: Any, name: str) -> str | None:
    return request.headers.get(name)  # type: ignore[no-any-return]


def words(path: str, method: str, read: Callable[[], bytes]) -> tuple[int, bytes]:
    """Status and body by path, for the sites without a router."""
    if path == "/" or path.startswith(("/api/partners/", "/text/", "/reset/")):
        return (200, b"found") if method in {"GET", "HEAD"} else (405, b"no")
    if path == "/api/echo":
        return 200, str(len(read())).encode()
    plain = {"/empty": (204, b""), "/moved": (302, b""), "/nobody": (200, b""), "/big": (200, BIG)}
    return plain.get(path, (404, b"nothing"))


def plain_asgi(rules: Rules) -> Site:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"].removeprefix(scope["root_path"])
        body = (await receive())["body"]
        if path == "/outcome":
            rules.outcome()
        if path == "/boom":
            raise LookupError("password=hunter2secret")
        status, text = words(path, scope["method"], lambda: body)
        if path in {"/stream", "/torn", "/outcome"}:
            status, text = 200, b"found"
        headers = [(b"location", b"/")] if status == 302 else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if path in {"/stream", "/torn"}:
            for chunk in CHUNKS:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            if path == "/torn":
                raise ValueError("of no concern")
            text = b""
        await send({"type": "http.response.body", "body": text})

    made = asgi.LakewardMiddleware(app, rules.collector, **rules.hooked(scope_header))
    return lambda asked: asgi_ask(made, asked)


def plain_wsgi(rules: Rules, around: Callable[[Any], Any] = lambda app: app) -> Site:
    def app(environ: wsgi.Environ, start_response: wsgi.StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        if path == "/outcome":
            rules.outcome()
        if path == "/boom":
            raise LookupError("password=hunter2secret")

        def read() -> bytes:
            body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH", "0")))
            return body

        status, text = words(path, environ["REQUEST_METHOD"], read)
        if path in {"/stream", "/torn", "/outcome"}:
            status, text = 200, b"found"
        headers = [("location", "/")] if status == 302 else []
        if status != 204:
            headers.append(("content-type", "text/plain"))
        start_response(f"{status} Word", headers)
        return chunks(path) if path in {"/stream", "/torn"} else [text]

    made = around(wsgi.LakewardMiddleware(around(app), rules.collector,
                                          **rules.hooked(environ_header)))  # fmt: skip
    return lambda asked: wsgi_ask(made, asked)


def chunks(path: str) -> Iterator[bytes]:
    """A streamed body; one of them tears."""
    yield from CHUNKS
    if path == "/torn":
        raise ValueError("of no concern")


def starlette_routes(rules: Rules) -> list[tuple[str, Any, list[str]]]:
    async def found(request: Request) -> Response:
        return PlainTextResponse("found")

    async def echo(request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    async def outcome(request: Request) -> Response:
        rules.outcome()
        return PlainTextResponse("found")

    async def boom(request: Request) -> Response:
        raise LookupError("password=hunter2secret")

    async def stream(request: Request) -> Response:
        return StreamingResponse(chunks(request.url.path))

    async def empty(request: Request) -> Response:
        return Response(status_code=204)

    async def moved(request: Request) -> Response:
        return RedirectResponse("/", 302)

    async def nobody(request: Request) -> Response:
        return Response()

    async def big(request: Request) -> Response:
        return Response(BIG)

    get = ["GET", "HEAD"]
    return [
        ("/", found, get), ("/api/partners/{partner_id:int}", found, get),
        ("/text/{word:path}", found, get), ("/reset/{token}", found, get),
        ("/api/echo", echo, ["POST"]), ("/outcome", outcome, get), ("/boom", boom, get),
        ("/stream", stream, get), ("/torn", stream, get), ("/empty", empty, get),
        ("/moved", moved, get), ("/nobody", nobody, get), ("/big", big, get),
    ]  # fmt: skip


def starlette_site(rules: Rules) -> Site:
    app = Starlette(routes=[Route(p, e, methods=m) for p, e, m in starlette_routes(rules)])
    asgi.install(app, rules.collector, **rules.hooked(scope_header))
    return lambda asked: asgi_ask(app, asked)


def fastapi_site(rules: Rules) -> Site:
    app = fastapi.FastAPI(openapi_url=None)
    for template, endpoint, methods in starlette_routes(rules):
        app.add_api_route(template.replace(":int", ""), endpoint, methods=methods)
    asgi.install(app, rules.collector, **rules.hooked(scope_header))
    return lambda asked: asgi_ask(app, asked)


def flask_app(rules: Rules) -> flask.Flask:
    """The site in Flask, the partners in a blueprint."""
    app = flask.Flask("site")
    partners = flask.Blueprint("partners", __name__, url_prefix="/api")

    @app.get("/")
    @app.get("/text/<path:word>")
    @app.get("/reset/<token>")
    def found(**values: str) -> str:
        return "found"

    @partners.get("/partners/<int:partner_id>")
    def partner(partner_id: int) -> str:
        return "found"

    @partners.post("/echo")
    def echo() -> str:
        return str(len(flask.request.get_data()))

    @app.get("/outcome")
    def outcome() -> str:
        rules.outcome()
        return "found"

    @app.get("/boom")
    def boom() -> str:
        raise LookupError("password=hunter2secret")

    @app.get("/stream")
    @app.get("/torn")
    def stream() -> flask.Response:
        return flask.Response(chunks(flask.request.path))

    @app.get("/empty")
    def empty() -> tuple[str, int]:
        return "", 204

    @app.get("/moved")
    def moved() -> flask.Response:
        return flask.Response(status=302, headers={"location": "/"})

    @app.get("/nobody")
    def nobody() -> str:
        return ""

    @app.get("/big")
    def big() -> bytes:
        return BIG

    app.register_blueprint(partners)
    return app


def flask_site(rules: Rules) -> Site:
    app = flask_app(rules)
    lakeward_flask.install(app, rules.collector, **rules.hooked(request_header))
    return lambda asked: wsgi_ask(app, asked)


class Urls:
    """A Django site's routes, some of them regular expressions, some included."""

    def __init__(self, outcome: Callable[[], None]) -> None:
        self._outcome = outcome
        found = self.only({"GET", "HEAD"}, lambda request: HttpResponse(b"found"))
        api = [
            path("partners/<int:partner_id>", found),
            re_path(r"^echo$", self.only({"POST"}, self.echo)),
        ]
        self.urlpatterns = [
            path("", found),
            path("api/", include(api)),
            path("text/<path:word>", found),
            re_path(r"^reset/(?P<token>[\w.\-%(]+)$", found),
            path("outcome", self.outcome),
            path("boom", self.boom),
            path("stream", self.stream),
            path("torn", self.stream),
            path("empty", self.empty),
            path("moved", lambda request: HttpResponse(status=302, headers={"location": "/"})),
            path("nobody", lambda request: HttpResponse()),
            path("big", lambda request: HttpResponse(BIG)),
        ]

    def only(
        self, methods: set[str], view: Callable[[HttpRequest], HttpResponseBase]
    ) -> Callable[..., HttpResponseBase]:
        def checked(request: HttpRequest, **values: object) -> HttpResponseBase:
            return view(request) if request.method in methods else HttpResponse(status=405)

        return checked

    def echo(self, request: HttpRequest) -> HttpResponseBase:
        return HttpResponse(str(len(request.body)))

    def outcome(self, request: HttpRequest) -> HttpResponseBase:
        self._outcome()
        return HttpResponse(b"found")

    def boom(self, request: HttpRequest) -> HttpResponseBase:
        raise LookupError("password=hunter2secret")

    def stream(self, request: HttpRequest) -> HttpResponseBase:
        parts: Any = chunks(request.path)
        if not isinstance(request.META.get("wsgi.version"), tuple):
            parts = async_chunks(request.path)  # Django warns of what it would read in a thread
        return StreamingHttpResponse(parts)

    def empty(self, request: HttpRequest) -> HttpResponseBase:
        response = HttpResponse(status=204)
        del response["content-type"]
        return response


async def async_chunks(path: str) -> Any:
    for chunk in CHUNKS:
        yield chunk
    if path == "/torn":
        raise ValueError("of no concern")


def configure_django() -> None:
    """Settings of a small project, once for this process."""
    if not settings.configured:
        settings.configure(
            SECRET_KEY="for tests only",
            ALLOWED_HOSTS=["*"],
            LOGGING_CONFIG=None,
            SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
            INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes",
                            "django.contrib.sessions"],
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        )  # fmt: skip
        django.setup()


def django_site(rules: Rules, *, under: str, how: str) -> Site:
    """The site in Django, captured by `wrap` or by the line in `MIDDLEWARE`, under ASGI or WSGI."""
    configure_django()
    hooked = rules.hooked(request_header)
    more: dict[str, Any] = {"ROOT_URLCONF": Urls(rules.outcome), "MIDDLEWARE": []}
    if how == "middleware":
        more["MIDDLEWARE"] = ["lakeward.capture.django.LakewardMiddleware"]
        more["LAKEWARD"] = {"collector": rules.collector, **hooked}
    with override_settings(**more):
        handler = ASGIHandler() if under == "asgi" else WSGIHandler()
        if how == "wrap":
            handler = lakeward_django.wrap(handler, rules.collector, **hooked)
    ask: Any = asgi_ask if under == "asgi" else wsgi_ask

    def site(asked: Asked) -> Answered:
        with override_settings(**more):
            answered: Answered = ask(handler, asked)
        return answered

    return site


SITES: dict[str, Callable[[Rules], Site]] = {
    "asgi": plain_asgi,
    "starlette": starlette_site,
    "fastapi": fastapi_site,
    "wsgi": plain_wsgi,
    "flask": flask_site,
    "django wrapped, wsgi": lambda rules: django_site(rules, under="wsgi", how="wrap"),
    "django wrapped, asgi": lambda rules: django_site(rules, under="asgi", how="wrap"),
    "django middleware, wsgi": lambda rules: django_site(rules, under="wsgi", how="middleware"),
    "django middleware, asgi": lambda rules: django_site(rules, under="asgi", how="middleware"),
}
