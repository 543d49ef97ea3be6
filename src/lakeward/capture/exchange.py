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
from lakeward.capture.fragment import LONGEST, MOST, Fragments, quoted
from lakeward.capture.visitor import Headers, Proxies, Sessions, identity
from lakeward.collector import Collector
from lakeward.errors import Terminal
from lakeward.interaction import EARLIEST_NS, LATEST_NS
from lakeward.ledger import Reason
from lakeward.rollout import ALL, API_CALLS, BODIES, covers
from lakeward.trace import TRACEPARENT, TRACESTATE, Trace, incoming

logger = logging.getLogger("lakeward")

Consent = Literal["full", "anonymous", "none"]
UserHook = Callable[[Any], "str | tuple[str | None, str] | None"]
"""Given the framework's request (the scope in ASGI): an id, an (id, type) pair, or None."""
ConsentHook = Callable[[Any], "Consent | None"]
Who = tuple[str, str, str]
"""User's id, user's type, and the type of what the hook raised."""

STRICTEST_FIRST: tuple[Consent, ...] = ("none", "anonymous", "full")
DAY_NS = 86_400_000_000_000

NOBODY = '"user_id":"anonymous","user_type":"unknown"'
ANONYMOUS = '"ip_address":null,"user_agent":null,"session_id":null'
SAMPLED_BODY = "[sampled]"
STRANGER = -1, ANONYMOUS, ""
STATUSES: dict[object, str] = {None: "null"} | {n: str(n) for n in range(100, 600)}
THOUSANDTHS = tuple(f".{n:03d}" for n in range(1000))
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "WEBSOCKET"})
"""Methods that need no look; any other is a stranger's text."""


READ = frozenset(
    {b"user-agent", b"cookie", b"x-forwarded-for", b"referer", b"content-length", b"content-type",
     b"sec-gpc", b"dnt", TRACEPARENT, TRACESTATE}
)  # fmt: skip


class Exchange(msgspec.Struct, eq=False):
    """What one adapter noted of one call: the cause of what is recorded while it lasts.

    `started`, `first_byte` and `last_byte` are ns of one monotonic clock, 0 for not yet.
    """

    capture: Capture
    began_ns: int
    """Wall-clock ns since 1970: the time of the record, and of its id."""
    interaction_id: str
    started: int
    method: str
    path: str
    """JSON text of the path as it is recorded: scrubbed and quoted, an answer of `look_up`."""
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
    found_trace: Trace | None = None
    consent: Consent | None = None
    who: Who | None = None
    """What the hooks answered, where they had to be asked before the end; see `Capture.ask`."""

    @property
    def trace(self) -> Trace:
        """The caller's trace, or the one that begins here."""
        if self.found_trace is None:
            headers = self.headers
            self.found_trace = incoming(
                self.interaction_id, headers.get(TRACEPARENT), headers.get(TRACESTATE)
            )
        return self.found_trace

    def person(self) -> dict[str, str]:
        """Who calls, for what is recorded while the call lasts."""
        return self.capture.person(self)


Caller = tuple[str | None, bytes | None, bytes | None, bytes | None, bytes | None]
"""Peer's address, agent, cookies, session header, X-Forwarded-For where a proxy is believed."""
Visitor = tuple[int, str, str]
"""A day, the JSON of address, agent and session as they are recorded on it, and the session."""


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
        self.reads = self._allowed | READ | {self._session_header}
        """Names of the request headers that a record can need, for adapters that pick them."""
        self._visitors: dict[Caller, Visitor] = {}
        self._next_warning = 0.0
        scrubber = collector.scrubber
        self._head = (
            f'","environment":{quoted(settings.environment)},'
            f'"app_version":{quoted(settings.app_version)},"interaction_type":"api_call","method":'
        )
        self._service = f',"service":{quoted(settings.service)}' if settings.service else ""
        self._methods = {method: f'"{method}"' for method in METHODS}
        self._forwarded = b"x-forwarded-for" if self._proxies else b"\0"
        self._queries: Fragments[bytes] = Fragments(self._query)
        self._referrers: Fragments[bytes] = Fragments(
            lambda raw: f',"referrer":{quoted(scrubber.url(_text(raw)))}'
        )
        self._routes: Fragments[str] = Fragments(lambda route: f',"route":{quoted(route)}')

    def look_up(self, path: str, root: str = "") -> str | Literal[False]:
        """JSON text of `path` as it is recorded, False when its calls are counted instead.

        `root` is where the server says that the application begins: the list leaves it out.
        """
        below = path.removeprefix(root) if root else path
        excluded = self._exclude.fullmatch(path) or self._exclude.fullmatch(below)
        found: str | Literal[False] = (
            False if excluded else quoted(self.collector.scrubber.path(path))
        )
        if len(path) <= LONGEST:
            if len(self.paths) >= MOST:
                self.paths.clear()
            self.paths[path] = found
        return found

    def choose_body(self, exchange: Exchange, path: str) -> None:
        """Find the rule that lets the request's body be recorded, if there is one."""
        for pattern, rule in self._bodies:
            if pattern.fullmatch(path) and content_type(exchange.headers) in rule.content_types:
                exchange.body_rule, exchange.body = rule, []
                return

    def ask(self, exchange: Exchange) -> None:
        """Ask the hooks now, for an adapter whose request cannot be asked at the end any more."""
        exchange.consent = exchange.who = None
        if self._asks:
            exchange.consent = self._consent_of(exchange)
        if self._user is not None and exchange.consent in {None, "full"}:
            exchange.who = self._who(exchange)

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
        """The record's line, put together in the order of the record's fields."""
        collector, headers, began_ns = self.collector, exchange.headers, exchange.began_ns
        user, visitor, metadata = NOBODY, ANONYMOUS, ""
        consent = self._consent_of(exchange) if self._asks else "full"
        if consent == "full":
            visitor = self._visitor(exchange)[1]
            if self._user is not None or exchange.user is not None:
                user, metadata = self._named(exchange)
        elif consent == "none":
            collector.count(Reason.consent)
            return None
        shares = collector.shares(began_ns)
        if shares[API_CALLS] < ALL and not covers(
            shares, API_CALLS, self._user_key(exchange, consent)
        ):
            collector.count(Reason.sampled)
            return None
        details = self._service
        if exchange.route is not None:
            details += self._routes[exchange.route]
        if exchange.query:
            details += self._queries[exchange.query]
        if consent == "full" and (self._allowed or exchange.body_rule is not None):
            details += self._opted_in(exchange)
        referrer = headers.get(b"referer")
        if referrer is not None:
            details += self._referrers[referrer]
        interaction_id = exchange.interaction_id
        if TRACEPARENT in headers:
            details += _of_trace(exchange.trace)
        else:
            details += f',"trace_id":"{interaction_id.replace("-", "")}"'
        if exchange.error is not None:
            details += f',"error_type":{quoted(exchange.error)}'
        took = _ms(exchange.last_byte - exchange.started)
        if exchange.first_byte:
            same = exchange.first_byte == exchange.last_byte
            details += f',"ttfb_ms":{took if same else _ms(exchange.first_byte - exchange.started)}'
        length = headers.get(b"content-length")
        if length is not None and length.isdigit():
            details += f',"request_bytes":{int(length[:15])}'
        elif exchange.request_bytes:
            details += f',"request_bytes":{exchange.request_bytes}'
        size = exchange.response_bytes
        if size is not None:
            details += f',"response_bytes":{size if exchange.method != "HEAD" else 0}'
        method = self._methods.get(exchange.method)
        if method is None:
            method = quoted(collector.scrubber.text(exchange.method))
        status = STATUSES.get(exchange.status) or f"{exchange.status:d}"
        return collector.put(
            f'{{"interaction_id":"{interaction_id}","timestamp":"{collector.clock.stamp(began_ns)}'
            f'{self._head}{method},"path":{exchange.path},{user},"response_status":{status},'
            f'"response_time_ms":{took},{visitor}{details}{metadata}}}',
            interaction_id,
            began_ns,
        )

    def _user_key(self, exchange: Exchange, consent: Consent) -> str:
        """What a rollout goes by: the user, else the session, else nothing but the call."""
        if consent != "full":
            return exchange.interaction_id
        user = self._who(exchange)[0]
        return self._visitor(exchange)[2] if user == "anonymous" else user

    def begin(self) -> tuple[int, str]:
        """Time (ns since 1970, within the lake's years) and id of a call that begins now."""
        began_ns = self.collector.now_ns()
        if not EARLIEST_NS <= began_ns <= LATEST_NS:
            began_ns = self.collector.clock.now()
        return began_ns, str(uuid7(nanoseconds=began_ns))

    def person(self, exchange: Exchange) -> dict[str, str]:
        """Session and user of a call under way, as far as its consent lets them be recorded."""
        if self._asks and self._consent_of(exchange) != "full":
            return {}
        found = {"session_id": self._visitor(exchange)[2]}
        if self._user is not None or exchange.user is not None:
            user_id, user_type, _ = self._who(exchange)
            if user_id != "anonymous":
                found |= {"user_id": user_id, "user_type": user_type}
        return found

    def _visitor(self, exchange: Exchange) -> Visitor:
        headers = exchange.headers
        key = (
            exchange.client, headers.get(b"user-agent"), headers.get(b"cookie"),
            headers.get(self._session_header), headers.get(self._forwarded),
        )  # fmt: skip
        visitor = self._visitors.get(key, STRANGER)
        if visitor[0] != exchange.began_ns // DAY_NS:
            visitor = self._meet(key, headers, exchange.began_ns)
        return visitor

    def _query(self, raw: bytes) -> str:
        query = self.collector.scrubber.query(raw)
        return "" if query is None else f',"query_params":{quoted(query)}'

    def _opted_in(self, exchange: Exchange) -> str:
        """Headers and body, where the application asked for them."""
        scrubber, headers, fragment = self.collector.scrubber, exchange.headers, ""
        if self._allowed:
            fragment = f',"headers":{quoted(scrubber.headers(headers.items(), self._allowed))}'
        if exchange.body_rule is not None and exchange.request_bytes:
            shares = self.collector.shares(exchange.began_ns)
            if covers(shares, BODIES, self._user_key(exchange, "full")):
                body = recorded(
                    exchange.body or [], exchange.request_bytes, exchange.body_rule,
                    content_type(headers), scrubber,
                )  # fmt: skip
            else:
                self.collector.count(Reason.sampled)
                body = SAMPLED_BODY
            fragment += f',"request_body":{quoted(body)}'
        return fragment

    def _meet(self, key: Caller, headers: Headers, now_ns: int) -> Visitor:
        """A caller not seen today; remembered, so that the next call costs one look."""
        collector = self.collector
        date, raw_agent = collector.clock.stamp(now_ns)[:10], headers.get(b"user-agent")
        address = self._proxies.client(key[0], headers.get(b"x-forwarded-for"))
        session = self._sessions.named(headers) or self._sessions.of_day(
            date, address, raw_agent or b""
        )
        agent = None if raw_agent is None else collector.scrubber.text(_text(raw_agent))
        fragment = (
            f'"ip_address":{quoted(collector.scrubber.address(address, date))},'
            f'"user_agent":{quoted(agent)},"session_id":{quoted(session)}'
        )
        visitor = now_ns // DAY_NS, fragment, session
        if sum(len(part) for part in key if part) <= LONGEST and collector.attached:
            if len(self._visitors) >= MOST:
                self._visitors.clear()
            self._visitors[key] = visitor
        return visitor

    def _named(self, exchange: Exchange) -> tuple[str, str]:
        """JSON of the user, and of the metadata that tells of a hook that failed."""
        user_id, user_type, failure = self._who(exchange)
        metadata = f',"metadata":{quoted({"user_hook": failure})}' if failure else ""
        return f'"user_id":{quoted(user_id)},"user_type":{quoted(user_type)}', metadata

    def _who(self, exchange: Exchange) -> Who:
        """User's id and type by the hook, else by the framework, and what the hook raised.

        A call took place whoever made it: a failing hook costs the name, not the record.
        """
        if exchange.who is not None:
            return exchange.who
        text = self.collector.scrubber.text
        answer: str | tuple[str | None, str] | None = None
        user_id, user_type, failure = "anonymous", "unknown", ""
        if self._user is not None:
            try:
                answer = self._user(exchange.request)
            except Exception as error:
                failure = type(error).__name__
                self._warn(f"the user hook failed ({failure})")
        if answer is None:
            answer = identity(exchange.user)
        if isinstance(answer, tuple):
            answer, kind = answer
            user_type = text(str(kind))
        if answer is not None and answer != "":
            user_id = text(str(answer))
        return user_id, user_type, failure

    def _consent_of(self, exchange: Exchange) -> Consent:
        """The strictest of the app's word, the default, and the caller's privacy signal.

        A hook that fails or says something else may not be read as a yes.
        """
        if exchange.consent is not None:
            return exchange.consent
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


def _ms(ns: int) -> str:
    """Milliseconds with three decimals; a third of what it takes to write a float."""
    us = (ns + 500) // 1000
    return f"{us // 1000}{THOUSANDTHS[us % 1000]}"


def _of_trace(trace: Trace) -> str:
    parent = trace.parent_interaction_id
    cause = "" if parent is None else f',"parent_interaction_id":"{parent}"'
    return f'{cause},"trace_id":"{trace.trace_id}"'


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def _patterns(paths: Sequence[str]) -> re.Pattern[str]:
    """One expression for paths of which a `*` at the end matches any rest."""
    parts = [
        re.escape(path[:-1]) + ".*" if path.endswith("*") else re.escape(path) for path in paths
    ]
    return re.compile("|".join(parts) if parts else r"(?!)", re.DOTALL)
