"""Flask capture: `install(app)` puts the WSGI middleware outside everything else of an application.

In: a Flask application. Out: the same one, each call recorded with the route as all frameworks'
records write it (`/api/partners/{partner_id}`) and the user, 404s, 405s and errors included.
Neither session nor user is loaded for it: what the application has not looked at stays untouched.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import flask
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from lakeward.capture.body import BodyRule
from lakeward.capture.call import Call, where_it_can
from lakeward.capture.exchange import ConsentHook, UserHook
from lakeward.capture.wsgi import LakewardMiddleware
from lakeward.collector import Collector
from lakeward.errors import Terminal
from lakeward.trace import CURRENT

__all__ = ["BodyRule", "install"]

VARIABLE = re.compile(r"<(?:[a-zA-Z_]\w*(?:\(.*?\))?:)?([a-zA-Z_]\w*)>")
"""`<name>`, `<int:name>`, `<any(about, help):name>`: as Werkzeug reads a rule."""


def install(
    app: flask.Flask,
    collector: Collector | None = None,
    *,
    exclude: Sequence[str] | None = None,
    user: UserHook | None = None,
    consent: ConsentHook | None = None,
    bodies: Sequence[BodyRule] = (),
) -> None:
    """Capture every call of a Flask application; call it after whatever else wraps `wsgi_app`.

    `user` and `consent` get the Flask request, within its context, when the response starts: `g`
    and `session` are there. Without a `user` hook the user of Flask-Login is taken. Raises Terminal
    when the application has the middleware already.
    """
    if isinstance(getattr(app.wsgi_app, "__self__", app.wsgi_app), LakewardMiddleware):
        raise Terminal("install() was called for this application before: call it once")
    hooks = where_it_can(flask.Request, {"user": user, "consent": consent})
    middleware = LakewardMiddleware(
        app.wsgi_app, collector, exclude=exclude, bodies=bodies, framework=FlaskRequests(), **hooks
    )
    setattr(app, "wsgi_app", middleware)  # noqa: B010
    handle = app.handle_user_exception

    def noting(error: Exception) -> Any:
        note(error)
        return handle(error)

    setattr(app, "handle_user_exception", noting)  # noqa: B010
    flask.got_request_exception.connect(unhandled, app)


def note(error: BaseException | None) -> None:
    """Remember an exception that the application may answer itself, with a page of its own."""
    call = CURRENT.get()
    if isinstance(call, Call) and error is not None and not isinstance(error, HTTPException):
        call.raised = type(error).__name__


def unhandled(sender: object, exception: BaseException | None = None, **_: object) -> None:
    """What no error handler of the application took; the request's context is still there."""
    note(exception)
    call = CURRENT.get()
    if isinstance(call, Call):
        call.look()
        call.capture.ask(call)


class FlaskRequests:
    """What Flask knows of the request in whose context it is asked."""

    def __init__(self) -> None:
        self._templates: dict[str, str] = {}

    def look(self, call: Call) -> None:
        """Note request, route and user, as long as the request's context lasts."""
        if not flask.has_request_context():
            return
        request = flask.request._get_current_object()  # type: ignore[attr-defined]  # a LocalProxy
        if call.request is not request and call.request is not request.environ:
            return  # another application's request, made while this one is served
        call.request = request
        rule = request.url_rule or _of_another_method(request)
        if rule is not None:
            call.route = self._template(rule.rule)
        call.user = _login()

    def _template(self, rule: str) -> str:
        found = self._templates.get(rule)
        if found is None:
            found = self._templates[rule] = VARIABLE.sub(r"{\1}", rule)
        return found


def _of_another_method(request: flask.Request) -> Any:
    """The rule of a path that is there, but not for this method."""
    error = request.routing_exception
    if not isinstance(error, MethodNotAllowed) or not error.valid_methods:
        return None
    adapter = flask.globals.request_ctx.url_adapter
    method = next(iter(error.valid_methods))
    return None if adapter is None else adapter.match(method=method, return_rule=True)[0]


def _login() -> object:
    """The user of Flask-Login: as loaded, else by the id in a session that is open anyway.

    Neither asks the application's user loader nor marks the session as accessed, which would add
    a `Vary: Cookie` header.
    """
    user = flask.g.get("_login_user")
    if user is not None:
        known = getattr(user, "is_authenticated", False)
        return user.get_id() if known and hasattr(user, "get_id") else user
    session = getattr(flask.globals.request_ctx, "_session", None)
    return dict.get(session, "_user_id") if isinstance(session, dict) else None
