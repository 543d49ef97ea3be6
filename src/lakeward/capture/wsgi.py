"""WSGI capture: every call of an application becomes one `api_call`.

In: any WSGI application. Out: the same application, each call recorded or counted by reason. The
middleware holds the rules; an object per call holds its state. An exception is noted by its type
and raised on.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from time import perf_counter_ns
from typing import Any

from lakeward.capture.body import BodyRule
from lakeward.capture.call import Framework
from lakeward.capture.exchange import Capture, ConsentHook, UserHook
from lakeward.capture.wsgi_exchange import Environ, Input, StartResponse, WsgiApp, WsgiExchange
from lakeward.collector import Collector
from lakeward.ledger import Reason
from lakeward.trace import CURRENT

__all__ = ["BodyRule", "Environ", "LakewardMiddleware", "StartResponse", "WsgiApp"]

SEEN = "lakeward"
"""Marks an environ that a middleware of ours has taken: one inside another leaves it alone."""


class LakewardMiddleware:
    """Wrap a WSGI application; place it outermost, so that it sees every call.

    `collector` defaults to `Collector.from_env()`. `exclude` replaces `LAKEWARD_EXCLUDE`; `user`
    and `consent` are plain functions, asked with the environ before the last byte is sent; `bodies`
    lists the routes whose request bodies are recorded (none by default). `framework` is for
    adapters.
    """

    def __init__(
        self,
        app: WsgiApp,
        collector: Collector | None = None,
        *,
        exclude: Sequence[str] | None = None,
        user: UserHook | None = None,
        consent: ConsentHook | None = None,
        bodies: Sequence[BodyRule] = (),
        framework: Framework | None = None,
    ) -> None:
        self.app = app
        self.collector = Collector.from_env() if collector is None else collector
        self.capture = Capture(
            self.collector, exclude=exclude, user=user, consent=consent, bodies=bodies
        )
        self._framework = framework
        self._wanted = wanted(self.capture)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request of the server."""
        exchange = None
        try:
            exchange = self._begin(environ, start_response)
        except Exception as error:
            self.collector.blame(Reason.unencodable, error)
        if exchange is None:
            return self.app(environ, start_response)
        outer = CURRENT.get()
        CURRENT.set(exchange)
        try:
            parts = self.app(environ, exchange.start_response)
        except BaseException as error:
            exchange.fail(error)
            raise
        finally:
            CURRENT.set(outer)
        return exchange.answered(parts, environ.get("wsgi.file_wrapper"))

    def _begin(self, environ: Environ, start_response: StartResponse) -> WsgiExchange | None:
        """The state of a call that will be recorded; None for everything else, which is counted."""
        if SEEN in environ:
            return None
        environ[SEEN] = True
        capture, path = self.capture, path_of(environ)
        known = capture.paths.get(path)
        if known is None:
            if not self.collector.settings.collect:
                self.collector.record("api_call")  # counts it as disabled
                return None
            known = capture.look_up(path, decoded(environ.get("SCRIPT_NAME", "")))
        if known is False:
            capture.leave_out(Reason.excluded)
            return None
        began_ns, interaction_id = capture.begin()
        exchange = WsgiExchange(
            capture,
            began_ns,
            interaction_id,
            perf_counter_ns(),
            environ["REQUEST_METHOD"],
            known,
            environ.get("QUERY_STRING", "").encode("latin-1", "replace"),
            picked(environ, self._wanted),
            environ.get("REMOTE_ADDR") or None,
            environ,
            inner_start=start_response,
            framework=self._framework,
            handling=sys.exception(),
        )
        if capture.wants_bodies:
            capture.choose_body(exchange, path)
        if exchange.body_rule is not None or "HTTP_TRANSFER_ENCODING" in environ:
            environ["wsgi.input"] = Input(exchange, environ["wsgi.input"])
        return exchange


def path_of(environ: Mapping[str, Any]) -> str:
    """The whole path of a request as text, what the server mounts included."""
    path: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return decoded(path)


def decoded(text: str) -> str:
    """What an environ's text means: its characters are bytes."""
    return text if text.isascii() else text.encode("latin-1", "replace").decode("utf-8", "replace")


def wanted(capture: Capture) -> tuple[tuple[str, bytes], ...]:
    """Where an environ has the headers that records need, and their names."""
    plain = {b"content-type", b"content-length"}
    return tuple(
        (("" if name in plain else "HTTP_") + name.decode().upper().replace("-", "_"), name)
        for name in sorted(capture.reads)
    )


def picked(
    environ: Mapping[str, Any], names: tuple[tuple[str, bytes], ...]
) -> dict[bytes, bytes]:  # fmt: skip
    """The wanted headers of a request, as the bytes that came over the wire."""
    found = {}
    for key, name in names:
        value = environ.get(key)
        if value is not None:
            found[name] = value.encode("latin-1", "replace")
    return found
