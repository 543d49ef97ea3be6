"""Applications for real servers that answer every call with the id of the process that served it.

The lake is taken from the environment, as a user's would be.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import flask
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from lakeward.capture import asgi, wsgi
from lakeward.capture.flask import install


def pid() -> bytes:
    return str(os.getpid()).encode()


def plain_wsgi(environ: wsgi.Environ, start_response: wsgi.StartResponse) -> Iterable[bytes]:
    """Three ways to answer, by the path."""
    path, body = environ["PATH_INFO"], pid()
    if path == "/file":
        start_response("200 OK", [("content-length", str(Path(__file__).stat().st_size))])
        whole = io.BytesIO(Path(__file__).read_bytes())
        file: Iterable[bytes] = environ["wsgi.file_wrapper"](whole)
        return file
    if path == "/endless":
        start_response("200 OK", [("content-type", "text/plain")])
        return (b"more\n" * 1000 for _ in iter(int, 1))
    start_response("200 OK", [("content-length", str(len(body)))])
    return [body] if path.endswith("0") else iter([body[:1], body[1:]])


def wsgi_app() -> wsgi.LakewardMiddleware:
    return wsgi.LakewardMiddleware(plain_wsgi)


def flask_app() -> flask.Flask:
    app = flask.Flask("served")
    app.add_url_rule("/call/<int:number>/<int:n>", "call", lambda number, n: pid())
    install(app)
    return app


def starlette_app() -> Starlette:
    async def call(request: Request) -> PlainTextResponse:
        return PlainTextResponse(pid())

    app = Starlette(routes=[Route("/call/{number:int}/{n:int}", call)])
    asgi.install(app)
    return app


def django_app(how: str) -> Any:
    """A Django project in a function: settings, one route, and one way to capture it."""
    import django
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpRequest, HttpResponse
    from django.urls import path

    from lakeward.capture.django import wrap

    def call(request: HttpRequest, **values: int) -> HttpResponse:
        return HttpResponse(pid())

    class Urls:
        urlpatterns = (path("call/<int:number>/<int:n>", call),)

    ours = [] if how == "wrap" else ["lakeward.capture.django.LakewardMiddleware"]
    settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=Urls, MIDDLEWARE=ours, SECRET_KEY="t")
    django.setup()
    handler = get_asgi_application() if os.environ["KIND"] == "asgi" else get_wsgi_application()
    return wrap(handler) if how == "wrap" else handler


APPS: dict[str, Callable[[], Any]] = {
    "wsgi": wsgi_app,
    "flask": flask_app,
    "starlette": starlette_app,
    "django wrapped": lambda: django_app("wrap"),
    "django middleware": lambda: django_app("middleware"),
}

if "APP" in os.environ:
    app = APPS[os.environ["APP"]]()


def made() -> Any:
    """As a factory gives it."""
    return app
