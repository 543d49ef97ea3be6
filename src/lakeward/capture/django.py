"""Django capture: `wrap(application)` in `wsgi.py` and `asgi.py`, or a line in `MIDDLEWARE`.

In: Django's handler, or its requests. Out: each call recorded with the route as all frameworks'
records write it (`/api/partners/{partner_id}`) and the user. Nothing is loaded for it: no query is
made, no session is touched, no header is added.

`wrap` sees every call: what no middleware of Django gets too, such as an upload that its client
breaks off, and a stream to its last byte. The middleware sees what reaches Django's first one, and
leaves the record to `wrap` where there are both. Rules come from the arguments, else from
`settings.LAKEWARD`.
"""

from __future__ import annotations

import sys
from asyncio import CancelledError
from collections.abc import AsyncIterator, Iterator
from time import perf_counter_ns
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.signals import got_request_exception
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string

from lakeward.capture import asgi, shared, wsgi
from lakeward.capture.body import BodyRule
from lakeward.capture.call import DISCONNECTED, Call, where_it_can
from lakeward.capture.django_request import DjangoRequest
from lakeward.capture.exchange import Capture
from lakeward.collector import Collector
from lakeward.errors import Terminal
from lakeward.ledger import Reason
from lakeward.trace import CURRENT

__all__ = ["BodyRule", "LakewardMiddleware", "wrap"]

RULES = ("collector", "exclude", "user", "consent", "bodies")


def wrap(application: Any, collector: Collector | None = None, **rules: Any) -> Any:
    """Capture every call of `get_wsgi_application()` or `get_asgi_application()`.

    `rules` are those of the WSGI and ASGI middlewares; `user` and `consent` get Django's request.
    A call that ended before there was a request has no user.
    """
    given = where_it_can(
        HttpRequest, _rules({"collector": collector, **rules} if collector else rules)
    )
    chosen = given.pop("collector")
    if isinstance(getattr(application, "get_response", None), _Noting):
        raise Terminal("wrap() was called for this application before: call it once")
    if not hasattr(application, "get_response"):
        raise Terminal("wrap() needs what get_wsgi_application() or get_asgi_application() gives: "
                       "wrap() it first, then put others around")  # fmt: skip
    application.get_response = _Noting(application.get_response)
    application.get_response_async = _noting_async(application.get_response_async)
    got_request_exception.connect(_unhandled, dispatch_uid="lakeward")
    if iscoroutinefunction(application.__call__):
        return asgi.LakewardMiddleware(application, chosen, **given)
    return wsgi.LakewardMiddleware(application, chosen, **given)


class _Noting:
    """Stands in for a handler's `get_response`, and shows the call what Django makes of it."""

    def __init__(self, get_response: Any) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        seen = _see(request)
        response = self._get_response(request)
        if seen is not None:
            seen.response = response
        return response


def _noting_async(get_response: Any) -> Any:
    async def noted(request: HttpRequest) -> HttpResponseBase:
        _see(request)
        return await get_response(request)

    return noted


def _see(request: HttpRequest) -> DjangoRequest | None:
    """Tie Django's request to the call that it is; None for one that is not recorded."""
    call = CURRENT.get()
    if not isinstance(call, Call) or call.framework is not None:
        return None
    seen = DjangoRequest(request)
    call.framework = seen
    return seen


def _unhandled(sender: object, request: HttpRequest | None = None, **_: object) -> None:
    """Remember an exception that Django answers with its own page."""
    call, error = CURRENT.get(), sys.exception()
    if isinstance(call, Call) and error is not None:
        call.raised = type(error).__name__


def _rules(given: dict[str, Any]) -> dict[str, Any]:
    """The rules given, else those of the settings; text names a thing to import."""
    found = {**getattr(settings, "LAKEWARD", {}), **given}
    strange = sorted(set(found) - set(RULES))
    if strange:
        raise Terminal(f"LAKEWARD: {strange[0]!r} is none of {', '.join(RULES)}")
    for name in ("collector", "user", "consent"):
        if isinstance(found.get(name), str):
            found[name] = import_string(found[name])
    return {"collector": found.pop("collector", None) or shared.collector(), **found}


class LakewardMiddleware:
    """The first line of `MIDDLEWARE`; works under WSGI and ASGI, in either colour."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response
        rules = _rules({})
        self.collector: Collector = rules.pop("collector")
        self.capture = Capture(self.collector, **rules)
        self._wanted = wsgi.wanted(self.capture)
        got_request_exception.connect(_unhandled, dispatch_uid="lakeward")
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """Serve one request."""
        if self._is_async:
            return self._acall(request)
        call = self._begin(request)
        if call is None:
            return self.get_response(request)
        outer = CURRENT.get()
        CURRENT.set(call)
        try:
            response = self.get_response(request)
        except BaseException as error:
            call.fail(error)
            raise
        finally:
            CURRENT.set(outer)
        return call.answered(response)

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        call = self._begin(request)
        if call is None:
            return await self.get_response(request)
        outer = CURRENT.get()
        CURRENT.set(call)
        try:
            response = await self.get_response(request)
        except BaseException as error:
            call.torn(error)
            raise
        finally:
            CURRENT.set(outer)
        return call.answered(response)

    def _begin(self, request: HttpRequest) -> DjangoCall | None:
        try:
            return self._call(request)
        except Exception as error:
            self.collector.blame(Reason.unencodable, error)
            return None

    def _call(self, request: HttpRequest) -> DjangoCall | None:
        """The state of a call that will be recorded; None for everything else, which is counted."""
        carrier = getattr(request, "scope", request.META)
        if wsgi.SEEN in carrier:
            return None
        carrier[wsgi.SEEN] = True
        capture, path = self.capture, request.path
        known = capture.paths.get(path)
        if known is None:
            if not self.collector.settings.collect:
                self.collector.record("api_call")  # counts it as disabled
                return None
            known = capture.look_up(path, path.removesuffix(request.path_info))
        if known is False:
            capture.leave_out(Reason.excluded)
            return None
        meta = request.META
        began_ns, interaction_id = capture.begin()
        call = DjangoCall(
            capture,
            began_ns,
            interaction_id,
            perf_counter_ns(),
            meta["REQUEST_METHOD"],
            known,
            meta.get("QUERY_STRING", "").encode("latin-1", "replace"),
            wsgi.picked(meta, self._wanted),
            meta.get("REMOTE_ADDR") or None,
            request,
            handling=sys.exception(),
            framework=DjangoRequest(request),
        )
        if capture.wants_bodies:
            capture.choose_body(call, path)
        return call


class DjangoCall(Call, kw_only=True, eq=False):
    """State of one call that Django's middleware sees: its answer as a whole, or as a stream."""

    def answered(self, response: HttpResponseBase) -> HttpResponseBase:
        """Note the answer: over with it, or, where it is a stream, with that."""
        try:
            self.status = response.status_code
            if not response.streaming:
                self.response_bytes = len(response.content)
                self.first_byte = self.last_byte = perf_counter_ns()
                self.finish()
            elif getattr(response, "file_to_stream", None) is not None:
                # The server may send the file itself: what is announced is all that is known.
                length = response.headers.get("Content-Length", "")
                self.response_bytes = int(length) if length.isdecimal() else None
                response._resource_closers.append(self.finish)
            else:
                watch = self._awatched if response.is_async else self._watched
                response.streaming_content = watch(response.streaming_content)
                response._resource_closers.append(self.closed)
        except Exception as error:
            self.spoil(error)
        return response

    def finish(self) -> None:
        """Take the body as Django has read it, and record."""
        read = self.request.__dict__.get("_body")
        if read and not self.finished and not self.request_bytes:
            self.received(read)
        super().finish()

    def closed(self) -> None:
        """Closed before the stream's end: the client has gone."""
        if not self.finished and self.method != "HEAD":
            self.error = self.error or DISCONNECTED
        self.finish()

    def torn(self, error: BaseException) -> None:
        """An error of the application, unless Django ends its task because the client has gone."""
        if isinstance(error, CancelledError | GeneratorExit):
            self.error = self.error or DISCONNECTED
        self.fail(error)

    def _sending(self, part: bytes) -> bytes:
        if not self.first_byte:
            self.first_byte = perf_counter_ns()
        self.response_bytes = (self.response_bytes or 0) + len(part)
        return part

    def _watched(self, parts: Any) -> Iterator[bytes]:
        parts = iter(parts)
        while True:
            outer = CURRENT.get()
            CURRENT.set(self)
            try:
                part = next(parts)
            except StopIteration:
                self.finish()
                return
            except BaseException as error:
                self.fail(error)
                raise
            finally:
                CURRENT.set(outer)
            yield self._sending(part)

    async def _awatched(self, parts: Any) -> AsyncIterator[bytes]:
        outer = CURRENT.get()
        CURRENT.set(self)
        try:
            async for part in parts:
                yield self._sending(part)
        except BaseException as error:
            self.torn(error)
            raise
        finally:
            CURRENT.set(outer)
        self.finish()
