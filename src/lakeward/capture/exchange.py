"""One request and its answer, whatever the framework: what is kept of it and what is left out.

In: raw facts of a call (method, path, headers as bytes, client address, times). Out: one `api_call`
in the collector, or a counted reason why not. Nothing here raises into the application: an adapter
calls `Capture.finish`, which catches at the door.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import parse_qs
from uuid import UUID

import msgspec
from uuid_utils import uuid7

from lakeward.collector import Collector
from lakeward.errors import SettingError
from lakeward.interaction import ApiCall
from lakeward.ledger import Reason
from lakeward.privacy import daily_id

Consent = Literal["full", "anonymous", "none"]
Headers = Mapping[bytes, bytes]
UserHook = Callable[[Any], "str | tuple[str, str] | None"]
"""Given the framework's request (the scope in ASGI): an id, an (id, type) pair, or None."""
ConsentHook = Callable[[Any], "Consent | None"]

CACHE_MOST = 4096
UUID_TEXT = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class BodyRule(msgspec.Struct, frozen=True):
    """Whose request bodies are recorded: a path pattern, content types and a largest size."""

    path: str
    content_types: tuple[str, ...] = ("application/json", "application/x-www-form-urlencoded")
    most: int = 16_384


class Exchange:
    """What one adapter noted of one call. Times are seconds of one monotonic clock."""

    __slots__ = (
        "body", "client", "content", "error", "first_byte", "headers", "last_byte", "method",
        "path", "query", "request", "response_bytes", "route", "started", "status", "user",
    )  # fmt: skip

    def __init__(self, started: float, method: str, path: str, query: bytes) -> None:
        self.started = started
        self.method = method
        self.path = path
        self.query = query
        self.headers: Headers = {}
        self.client: str | None = None
        self.request: Any = None
        self.route: str | None = None
        self.user: Any = None
        self.status: int | None = None
        self.first_byte = 0.0
        self.last_byte = 0.0
        self.response_bytes = 0
        self.error: str | None = None
        self.body: list[bytes] | None = None
        self.content: BodyRule | None = None


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
        settings = collector.settings
        self.collector = collector
        self._exclude = _patterns(settings.exclude if exclude is None else exclude)
        self._excluded: dict[str, bool] = {}
        self._user = user
        self._consent = consent
        self._asks = consent is not None or settings.consent != "full"
        self._heeds = settings.privacy_signal != "full"
        self._bodies = tuple((_patterns((rule.path,)), rule) for rule in bodies)
        self._trusted, self._trusts_all = _networks(settings.trusted_proxies)
        self._cookie = settings.session_cookie
        self._session_header = settings.session_header.lower().encode()
        self._allowed = frozenset(name.lower().encode() for name in settings.headers)
        self._agents: dict[bytes, str] = {}
        self._sessions: dict[tuple[str, str | None, bytes], str] = {}

    def excludes(self, path: str) -> bool:
        """Whether calls of `path` are counted instead of recorded."""
        verdict = self._excluded.get(path)
        if verdict is None:
            if len(self._excluded) >= CACHE_MOST:
                self._excluded.clear()
            verdict = self._excluded[path] = self._exclude.fullmatch(path) is not None
        return verdict

    def body_rule(self, path: str, headers: Headers) -> BodyRule | None:
        """The rule that lets this call's body be recorded, if any."""
        for pattern, rule in self._bodies:
            if pattern.fullmatch(path):
                kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
                if kind.decode("latin-1") in rule.content_types:
                    return rule
        return None

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
        collector = self.collector
        scrubber, settings, headers = collector.scrubber, collector.settings, exchange.headers
        consent: Consent = "full"
        if self._asks or self._heeds:
            consent = self._consent_of(exchange)
            if consent == "none":
                collector.count(Reason.consent)
                return None
        now_ns = collector.now_ns()
        timestamp = collector.clock.stamp(now_ns)
        raw_agent = headers.get(b"user-agent")
        address = exchange.client
        if self._trusts_all or self._trusted:
            address = self._behind_proxies(address, headers)
        call = ApiCall(
            str(uuid7(nanoseconds=now_ns)),
            timestamp,
            settings.environment,
            settings.app_version,
            "api_call",
            exchange.method,
            scrubber.path(exchange.path),
        )
        call.response_status = exchange.status
        call.response_time_ms = round((exchange.last_byte - exchange.started) * 1000.0, 3)
        if consent == "full":
            call.user_agent = self._agent(raw_agent) if raw_agent is not None else None
            call.ip_address = scrubber.address(address, timestamp[:10])
            call.session_id = self._session(exchange, timestamp[:10], address, raw_agent)
            if self._user is not None or exchange.user is not None:
                self._name_user(call, exchange)
        if exchange.route is not None:
            call.route = exchange.route
        self._add_details(call, exchange)
        return collector.submit(call, now_ns)

    def _add_details(self, call: ApiCall, exchange: Exchange) -> None:
        scrubber, headers = self.collector.scrubber, exchange.headers
        if exchange.query:
            query = scrubber.query(exchange.query)
            if query is not None:
                call.query_params = query
        referrer = headers.get(b"referer")
        if referrer is not None:
            call.referrer = scrubber.url(referrer.decode("latin-1"))
        if self._allowed:
            call.headers = dict(scrubber.headers(headers.items(), self._allowed))
        if exchange.error is not None:
            call.error_type = exchange.error
        if exchange.first_byte:
            call.ttfb_ms = round((exchange.first_byte - exchange.started) * 1000.0, 3)
        length = headers.get(b"content-length")
        if length is not None and length.isdigit():
            call.request_bytes = int(length[:15])
        call.response_bytes = exchange.response_bytes
        if exchange.body is not None and exchange.content is not None:
            call.request_body = self._decode_body(exchange.body, exchange.content, headers)

    def _decode_body(self, parts: list[bytes], rule: BodyRule, headers: Headers) -> Any:
        raw = b"".join(parts)
        if len(raw) > rule.most:
            return f"[too large: more than {rule.most} bytes]"
        scrubber = self.collector.scrubber
        try:
            if b"json" in headers.get(b"content-type", b""):
                return scrubber.value(msgspec.json.decode(raw))
            if b"form-urlencoded" in headers.get(b"content-type", b""):
                form = parse_qs(raw.decode("utf-8", "replace"), keep_blank_values=True)
                return scrubber.value({k: v[0] if len(v) == 1 else v for k, v in form.items()})
        except (msgspec.DecodeError, ValueError, RecursionError):
            return f"[undecodable: {len(raw)} bytes]"
        return scrubber.value(raw.decode("utf-8", "replace"))

    def _agent(self, raw: bytes) -> str:
        text = self._agents.get(raw)
        if text is None:
            text = self.collector.scrubber.text(raw.decode("latin-1"))
            if len(self._agents) >= CACHE_MOST:
                self._agents.clear()
            if len(raw) <= 512:
                self._agents[raw] = text
        return text

    def _name_user(self, call: ApiCall, exchange: Exchange) -> None:
        """The hook's answer, else the framework's authenticated user."""
        answer: Any = None
        if self._user is not None:
            answer = self._user(exchange.request)
        if answer is None:
            answer = _identity(exchange.user)
        if isinstance(answer, tuple):
            answer, kind = answer
            call.user_type = self.collector.scrubber.text(str(kind))
        if answer is not None:
            call.user_id = self.collector.scrubber.text(str(answer))

    def _consent_of(self, exchange: Exchange) -> Consent:
        """The stricter of the app's word, the default, and the caller's privacy signal."""
        answers: list[Consent] = []
        said = self._consent(exchange.request) if self._consent is not None else None
        answers.append(said or self.collector.settings.consent)
        headers = exchange.headers
        if headers.get(b"sec-gpc") == b"1" or headers.get(b"dnt") == b"1":
            answers.append(self.collector.settings.privacy_signal)
        for strictest in ("none", "anonymous"):
            if strictest in answers:
                return strictest
        return "full"

    def _session(
        self, exchange: Exchange, day: str, address: str | None, agent: bytes | None
    ) -> str:
        """The session that a header or cookie names, else a daily hash of address and agent.

        A session cookie is a credential, so only a keyed hash of it is recorded.
        """
        headers = exchange.headers
        named = headers.get(self._session_header)
        if named is not None:
            text = named.decode("latin-1").strip()
            if UUID_TEXT.fullmatch(text):
                return str(UUID(text))
            return self._remember(("header", text, b""), day)
        cookies = headers.get(b"cookie")
        if cookies is not None:
            value = cookie(cookies, self._cookie)
            if value:
                return self._remember(("cookie", None, value), "")
        return self._remember((day, address, agent or b""), day)

    def _remember(self, key: tuple[str, str | None, bytes], day: str) -> str:
        found = self._sessions.get(key)
        if found is None:
            secret = self.collector.salt(day) if day else self.collector.lasting_salt()
            found = daily_id(secret, key[0], key[1] or "", key[2].decode("latin-1"))
            if len(self._sessions) >= CACHE_MOST:
                self._sessions.clear()
            self._sessions[key] = found
        return found

    def _behind_proxies(self, peer: str | None, headers: Headers) -> str | None:
        """The nearest address that is not one of our proxies', by X-Forwarded-For."""
        forwarded = headers.get(b"x-forwarded-for")
        if forwarded is None or peer is None or not self._is_trusted(peer):
            return peer
        hops = [hop.strip() for hop in forwarded.decode("latin-1").split(",")]
        for hop in reversed(hops):
            hop = hop.strip("[]") if hop.count(":") != 1 else hop.split(":")[0]
            try:
                ipaddress.ip_address(hop)
            except ValueError:
                return peer
            peer = hop
            if not self._is_trusted(hop):
                return hop
        return peer

    def _is_trusted(self, address: str) -> bool:
        if self._trusts_all:
            return True
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._trusted)


def _identity(user: Any) -> str | None:
    """An id from a framework's user object, None when it says that nobody is logged in."""
    if user is None or isinstance(user, str):
        return user
    if getattr(user, "is_authenticated", True) is False:
        return None
    for name in ("id", "pk", "identity", "username", "display_name"):
        try:
            value = getattr(user, name, None)
        except Exception:  # noqa: S112 - Starlette's BaseUser.identity raises NotImplementedError
            continue
        if value is not None and not callable(value):
            return str(value)
    return None


def cookie(header: bytes, name: str) -> bytes | None:
    """The value of one cookie in a Cookie header."""
    wanted = name.encode()
    if wanted not in header:
        return None
    for part in header.split(b";"):
        key, equals, value = part.strip().partition(b"=")
        if equals and key == wanted:
            return value
    return None


def _patterns(paths: Sequence[str]) -> re.Pattern[str]:
    """One expression for paths of which a `*` at the end matches any rest."""
    parts = [
        re.escape(path[:-1]) + ".*" if path.endswith("*") else re.escape(path) for path in paths
    ]
    return re.compile("|".join(parts) if parts else r"(?!)", re.DOTALL)


def _networks(
    names: Sequence[str],
) -> tuple[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...], bool]:
    if "*" in names:
        return (), True
    try:
        return tuple(ipaddress.ip_network(name, strict=False) for name in names), False
    except ValueError:
        raise SettingError(
            "LAKEWARD_TRUSTED_PROXIES must be addresses or networks such as 10.0.0.0/8"
        ) from None
