"""A call under way: what an adapter watches until its end, and the ways in which it can end.

In: what the adapter notes. Out: one `Capture.finish` for each call, whichever end comes first; what
fails after that is a `job_run` of its own. Nothing is raised: what cannot be read costs the record,
counted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from inspect import iscoroutinefunction
from time import perf_counter_ns
from typing import Any, Protocol

from lakeward.capture.exchange import Exchange
from lakeward.ledger import Reason

DISCONNECTED, NO_RESPONSE, INCOMPLETE = "ClientDisconnect", "NoResponse", "IncompleteResponse"
"""`error_type` of calls that no exception ended."""
FAILED = 500


class Framework(Protocol):
    """What stands between the server's protocol and the application's code."""

    def look(self, call: Call, /) -> None:
        """Note what is known by now: `route`, `user`, `raised`, and `request` for the hooks."""


class Call(Exchange, kw_only=True, eq=False):
    """One call; subclasses stand between its server and its application."""

    handling: BaseException | None
    """What was being handled around the whole call, so is no error of it."""
    finished: bool = False
    kept: bool = False
    """Whether the record is in the ring."""
    framework: Framework | None = None
    raised: str | None = None
    """Type of an exception that the framework answered itself: an error when the answer is 5xx."""

    def look(self) -> None:
        """Let the framework say what it knows; one that fails costs its word, never the call."""
        if self.framework is not None:
            with contextlib.suppress(Exception):
                self.framework.look(self)

    def person(self) -> dict[str, str]:
        """Who calls: the framework may know by now."""
        self.look()
        return self.capture.person(self)

    def received(self, data: bytes) -> None:
        """Note a part of the request's body, and keep it as far as its rule wants it."""
        self.request_bytes += len(data)
        rule = self.body_rule
        if rule is not None and self.body is not None and self.request_bytes <= rule.most:
            self.body.append(data)

    def finish(self) -> None:
        """Record the call, once."""
        if self.finished:
            return
        self.finished = True
        if not self.last_byte:
            self.last_byte = perf_counter_ns()
        self.look()
        if self.error is None and self.status is not None and self.status >= FAILED:
            self.error = self.raised
        self.kept = self.capture.finish(self) is not None

    def spoil(self, error: Exception) -> None:
        """What cannot be read costs the record, which is counted, and nothing else."""
        if not self.finished:
            self.finished = True
            self.capture.collector.blame(Reason.unencodable, error)

    def end(self) -> None:
        """The application returned without a last byte: the server will say so to the client."""
        if self.error is None:
            if self.status is None:
                self.status, self.error = FAILED, NO_RESPONSE
            else:
                self.error = INCOMPLETE
        self.finish()

    def fail(self, error: BaseException) -> None:
        """The application raised: note the type, on the call or, after it, as its own event."""
        name = type(error).__name__
        if not self.finished:
            if self.error is None:
                self.error = name
                if self.status is None and isinstance(error, Exception):
                    self.status = FAILED
            self.finish()
        elif self.error is None:
            parent = {"parent_interaction_id": self.interaction_id} if self.kept else {}
            self.capture.collector.record(
                "job_run",
                job_name="after_response",
                outcome="failed",
                error_type=name,
                duration_ms=(perf_counter_ns() - self.last_byte) // 1000 / 1000,
                **parent,
            )


def caught(handling: BaseException | None, error: BaseException | None, status: int) -> str | None:
    """Type of the error that an application answers with `status` while it handles it.

    An exception that is only the framework's way to say that status is none.
    """
    said = getattr(error, "status_code", None) or getattr(error, "code", None)
    if error is None or error is handling or status < FAILED or said == status:
        return None
    return type(error).__name__


def where_it_can(kind: type, rules: dict[str, Any]) -> dict[str, Any]:
    """Rules whose hooks are asked with requests of this kind only.

    A call can end before its framework has made one of it: it is then nobody's, and anonymous where
    consent is a matter of a hook. A coroutine function stays what it is, to be refused.
    """

    def asking(hook: Callable[[Any], Any], otherwise: str | None) -> Callable[[Any], Any]:
        return lambda request: hook(request) if isinstance(request, kind) else otherwise

    guarded = {
        name: asking(rules[name], otherwise)
        for name, otherwise in (("user", None), ("consent", "anonymous"))
        if rules.get(name) is not None and not iscoroutinefunction(rules[name])
    }
    return rules | guarded
