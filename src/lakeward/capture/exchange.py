"""One request and its answer, whatever the framework: what is kept of it and what is left out.

In: raw facts of a call (method, path, headers as bytes, client address, times). Out: one `api_call`
in the collector, or a counted reason why not. Nothing here raises into the application: an adapter
calls `Capture.finish`, which catches at the door.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Sequence
from inspect import iscoroutinefunction
from typing import Any, Literal

import msgspec
from uuid_utils import uuid7

from lakeward.capture.body import BodyRule, content_type, recorded
from lakeward.capture.visitor import (
    CACHE_MOST,
    CACHED_LENGTH,
    Headers,
    Proxies,
    Sessions,
    identity,
)
from lakeward.collector import Collector
from lakeward.errors import Terminal
from lakeward.interaction import ApiCall
from lakeward.ledger import Reason

logger = logging.getLogger("lakeward")

Consent = Literal["full", "anonymous", "none"]
UserHook = Callable[[Any], "str | tuple[str | None, str] | None"]
"""Given the framework's request (the scope in ASGI): an id, an (id, type) pair, or None."""
ConsentHook = Callable[[Any], "Consent | None"]

STRICTEST_FIRST: tuple[Consent, ...] = ("none", "anonymous", "full")
DAY_NS = 86_400_000_000_000


METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "WEBSOCKET"})
"""Methods that need no look; any other is a stranger's text."""


class Exchange(msgspec.Struct, eq=False):
    """What one adapter noted of one call. Times are ns of one monotonic clock, 0 for not yet."""

    started: int
    method: str
    path: str
    """As it is recorded: scrubbed."""
    query: bytes
    headers: Headers
    """Names in lower case; of a repeated one the values, joined."""
    client: str | None
    request: Any
    """The framework's request, as hooks get it."""
    route: str | None = None
    user: object = None
    status: int | None = None
    first_byte: int = 0
    last_byte: int = 0
    request_bytes: int = 0
    response_bytes: int | None = 0
    error: str | None = None
    body_rule: BodyRule | None = None
    body: list[bytes] | None = None
    """What arrived, as long as `body_rule` lets it be recorded."""


Visitor = tuple[int, str | None, str | None, str]
"""Day, then address, agent and session as they are recorded on that day."""


class Capture:
    """The rules of one application: what is excluded, who is the user, whose proxy is believed."""

    def __init__(
        self,
        collector: Collector,
        *,
        exclude: Sequence[str] | None = None,
        user: UserHook | None = None,
        consent: ConsentHook | None = None,
        bodies: Sequence[BodyRule] = (),
    ) -> None:
        for name, hook in (("user", user), ("consent", consent)):
            if iscoroutinefunction(hook):
                raise Terminal(f"the {name} hook is a coroutine function: give a plain one")
        settings = collector.settings
        self.collector = collector
        self.paths: dict[str, str | Literal[False]] = {}
        """Answers of `look_up`, for the adapter's quick look."""
        self._exclude = _patterns(settings.exclude if exclude is None else exclude)
        self._user = user
        self._consent = consent
        self._asks = (consent, settings.consent, settings.privacy_signal) != (None, "full", "full")
        self._bodies = [(_patterns((rule.path,)), rule) for rule in bodies]
        self.wants_bodies = bool(self._bodies)
        self._proxies = Proxies(settings.trusted_proxies)
        self._sessions = Sessions(collector)
        self._session_header = settings.session_header.lower().encode()
        self._allowed = frozenset(name.lower().encode() for name in settings.headers)
        self._visitors: dict[tuple[str | None, bytes | None], Visitor] = {}
        self._next_warning = 0.0

    def look_up(self, path: str, root: str = "") -> str | Literal[False]:
        """`path` as it is recorded, False when its calls are counted instead.

        `root` is where the server says that the application begins: the list leaves it out.
        """
        below = path.removeprefix(root) if root else path
        excluded = self._exclude.fullmatch(path) or self._exclude.fullmatch(below)
        found: str | Literal[False] = False if excluded else self.collector.scrubber.path(path)
        if len(path) <= CACHED_LENGTH:
            if len(self.paths) >= CACHE_MOST:
                self.paths.clear()
            self.paths[path] = found
        return found

    def choose_body(self, exchange: Exchange, path: str) -> None:
        """Find the rule that lets the request's body be recorded, if there is one."""
        for pattern, rule in self._bodies:
            if pattern.fullmatch(path) and content_type(exchange.headers) in rule.content_types:
                exchange.body_rule, exchange.body = rule, []
                return

    def leave_out(self, reason: Reason) -> None:
        """Count a call that is not recorded; never raises."""
        try:
            self.collector.count(reason)
        except Exception as error:
            self.collector.blame(Reason.unencodable, error)

    def finish(self, exchange: Exchange) -> str | None:
        """Record the call and return its id; a failure of ours is counted and swallowed."""
        try:
            return self._finish(exchange)
        except Exception as error:
            self.collector.blame(Reason.unencodable, error)
            return None

    def _finish(self, exchange: Exchange) -> str | None:
        consent = self._consent_of(exchange) if self._asks else "full"
        if consent == "none":
            self.collector.count(Reason.consent)
            return None
        collector = self.collector
        now_ns = collector.clock.now()
        timestamp = collector.clock.stamp(now_ns)
        address = agent = session = None
        if consent == "full":
            headers = exchange.headers
            address, raw_agent = exchange.client, headers.get(b"user-agent")
            if self._proxies:
                address = self._proxies.client(address, headers.get(b"x-forwarded-for"))
            visitor = self._visitors.get((address, raw_agent))
            if visitor is None or visitor[0] != now_ns // DAY_NS:
                visitor = self._meet(address, raw_agent, now_ns // DAY_NS, timestamp[:10])
            _, address, agent, session = visitor
            if b"cookie" in headers or self._session_header in headers:
                session = self._sessions.named(headers) or session
        call = ApiCall(
            str(uuid7(nanoseconds=now_ns)),
            timestamp,
            collector.settings.environment,
            collector.settings.app_version,
            "api_call",
            exchange.method
            if exchange.method in METHODS
            else collector.scrubber.text(exchange.method),
            exchange.path,
            "anonymous",
            "unknown",
            exchange.status,
            _ms(exchange.last_byte - exchange.started),
            address,
            agent,
            session,
        )
        if consent == "full":
            self._add_personal(call, exchange)
        self._add_details(call, exchange)
        return collector.keep(call, now_ns)

    def _add_personal(self, call: ApiCall, exchange: Exchange) -> None:
        """What is left out of an anonymous record besides address, agent and session."""
        if self._user is not None or exchange.user is not None:
            self._name_user(call, exchange)
        scrubber, headers = self.collector.scrubber, exchange.headers
        if self._allowed:
            call.headers = dict(scrubber.headers(headers.items(), self._allowed))
        if exchange.body_rule is not None and exchange.request_bytes:
            kind, parts = content_type(headers), exchange.body or []
            call.request_body = recorded(
                parts, exchange.request_bytes, exchange.body_rule, kind, scrubber
            )

    def _add_details(self, call: ApiCall, exchange: Exchange) -> None:
        headers = exchange.headers
        if exchange.route is not None:
            call.route = exchange.route
        if exchange.query:
            query = self.collector.scrubber.query(exchange.query)
            if query is not None:
                call.query_params = query
        referrer = headers.get(b"referer")
        if referrer is not None:
            call.referrer = self.collector.scrubber.url(_text(referrer))
        if exchange.error is not None:
            call.error_type = exchange.error
        if exchange.first_byte == exchange.last_byte:
            call.ttfb_ms = call.response_time_ms or 0.0
        elif exchange.first_byte:
            call.ttfb_ms = _ms(exchange.first_byte - exchange.started)
        length = headers.get(b"content-length")
        if length is not None and length.isdigit():
            call.request_bytes = int(length[:15])
        elif exchange.request_bytes:
            call.request_bytes = exchange.request_bytes
        if exchange.response_bytes is not None:
            call.response_bytes = 0 if exchange.method == "HEAD" else exchange.response_bytes

    def _meet(
        self, address: str | None, raw_agent: bytes | None, day: int, date: str
    ) -> Visitor:  # fmt: skip
        """A caller not seen today; remembered, so that the next call costs one look."""
        collector = self.collector
        agent = None if raw_agent is None else collector.scrubber.text(_text(raw_agent))
        session = self._sessions.of_day(date, address, raw_agent or b"")
        visitor = day, collector.scrubber.address(address, date), agent, session
        if len(raw_agent or b"") <= CACHED_LENGTH and collector.salts is not None:
            if len(self._visitors) >= CACHE_MOST:
                self._visitors.clear()
            self._visitors[(address, raw_agent)] = visitor
        return visitor

    def _name_user(self, call: ApiCall, exchange: Exchange) -> None:
        """The hook's answer, else the framework's authenticated user."""
        text = self.collector.scrubber.text
        answer: str | tuple[str | None, str] | None = None
        if self._user is not None:
            try:
                answer = self._user(exchange.request)
            except Exception as error:
                # The call took place whoever made it: kept, and the failure told in it.
                call.metadata = {"user_hook": type(error).__name__}
                self._warn(f"the user hook failed ({type(error).__name__})")
        if answer is None:
            answer = identity(exchange.user)
        if isinstance(answer, tuple):
            answer, kind = answer
            call.user_type = text(str(kind))
        if answer is not None and answer != "":
            call.user_id = text(str(answer))

    def _consent_of(self, exchange: Exchange) -> Consent:
        """The strictest of the app's word, the default, and the caller's privacy signal.

        A hook that fails or says something else may not be read as a yes.
        """
        settings, headers = self.collector.settings, exchange.headers
        said: Consent | None = None
        if self._consent is not None:
            try:
                said = self._consent(exchange.request)
            except Exception as error:
                said = "none"
                self._warn(f"the consent hook failed ({type(error).__name__})")
        answers = {settings.consent if said is None else said}
        if headers.get(b"sec-gpc", b"")[:1] == b"1" or headers.get(b"dnt", b"")[:1] == b"1":
            answers.add(settings.privacy_signal)
        if not answers.issubset(STRICTEST_FIRST):
            self._warn("the consent hook must answer full, anonymous, none or None")
            return "none"
        return next(consent for consent in STRICTEST_FIRST if consent in answers)

    def _warn(self, sentence: str) -> None:
        now = time.monotonic()
        if now >= self._next_warning:
            self._next_warning = now + 60.0
            logger.warning("lakeward: %s", sentence)


def merged(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by name, the values of a repeated one joined as HTTP joins them."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in found:
            value = found[name] + (b"; " if name == b"cookie" else b", ") + value
        found[name] = value
    return found


def _ms(ns: int) -> float:
    """Milliseconds with three decimals; twice as fast as `round`."""
    return (ns + 500) // 1000 / 1000


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def _patterns(paths: Sequence[str]) -> re.Pattern[str]:
    """One expression for paths of which a `*` at the end matches any rest."""
    parts = [
        re.escape(path[:-1]) + ".*" if path.endswith("*") else re.escape(path) for path in paths
    ]
    return re.compile("|".join(parts) if parts else r"(?!)", re.DOTALL)
