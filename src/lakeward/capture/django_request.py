"""What Django knows of a request: its route, its user, and how long the answer is.

In: an `HttpRequest` at any stage. Out: what it holds by then; nothing is loaded, asked or touched.
"""

from __future__ import annotations

import re

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.functional import LazyObject, empty

from lakeward.capture.call import Call
from lakeward.capture.wsgi_exchange import WsgiExchange

LOGIN = "_auth_user_id"
"""Where Django's sessions keep the id of who is logged in."""
CONVERTER = re.compile(r"<(?:[^<>:]+:)?([^<>]+)>")
NAMED = re.compile(r"\(\?P<(\w+)>")


class DjangoRequest:
    """What Django knows of one request."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self.response: HttpResponseBase | None = None

    def look(self, call: Call) -> None:
        """Note request, route and user, and how long the answer is, where that is known."""
        request, response = self._request, self.response
        call.request = request
        match = getattr(request, "resolver_match", None)
        if match is not None:
            call.route = template(match.route)
        call.user = user_of(request)
        if isinstance(call, WsgiExchange) and response is not None and not response.streaming:
            call.left = len(response.content) - (call.response_bytes or 0)


def template(route: str) -> str:
    """A route as `path()` or `re_path()` has it, with `{name}` for what varies."""
    if "(" in route or route.startswith("^") or route.endswith("$"):
        route = _plain(route)
    return "/" + CONVERTER.sub(r"{\1}", route).removeprefix("/")


def _plain(route: str) -> str:
    """A regular expression's literal words, and its groups as `{name}` or `{number}`."""
    made, at, unnamed = "", 0, 0
    while at < len(route):
        char, end = route[at], at
        if char == "(":
            end = _closing(route, at)
            named = NAMED.match(route, at)
            if named:
                made += f"{{{named[1]}}}"
            elif route.startswith("(?:", at):
                made += _plain(route[at + 3 : end])
            elif not route.startswith("(?", at):
                made, unnamed = f"{made}{{{unnamed}}}", unnamed + 1
        elif char == "\\":
            end = at + 1
            escaped = route[end : end + 1]
            made += "" if escaped.isalnum() else escaped
        elif char not in "^$?*+":
            made += char
        at = end + 1
    return made


def _closing(route: str, at: int) -> int:
    """Where the group that opens at `at` ends."""
    depth, in_class = 0, False
    while at < len(route):
        char = route[at]
        if char == "\\":
            at += 1
        elif in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
        else:
            depth += (char == "(") - (char == ")")
            if not depth:
                return at
        at += 1
    return at


def user_of(request: HttpRequest) -> object:
    """The user as far as it is loaded, else the id in a session that is loaded."""
    held = request.__dict__
    user = held.get("user")
    if isinstance(user, LazyObject):
        user = user._wrapped if user._wrapped is not empty else None
    if user is None:
        user = held.get("_cached_user", held.get("_acached_user"))
    if user is None and "session" in held:
        loaded = getattr(held["session"], "__dict__", {}).get("_session_cache") or {}
        user = loaded.get(LOGIN)
    return user
