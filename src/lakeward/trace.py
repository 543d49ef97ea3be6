"""Traces: what joins a call to what it causes, in this process and in the next one.

In: W3C `traceparent` and `tracestate` of a caller, or none. Out: a trace id for every record made
while a call or a job runs, and the two headers for the calls that it makes in turn. Text that is no
valid `traceparent` begins a new trace, as the standard asks; nothing here fails.

    traceparent: 00-0198a3c17d2e8f409c3b2f1d5e6a7b8c-9c3b2f1d5e6a7b8c-01
    tracestate:  lakeward=0198a3c1-7d2e-7f40-9c3b-2f1d5e6a7b8c,other=…

A trace that begins here has the digits of its first record's id, and a span the last sixteen of
its record's. `tracestate` carries the whole id, so that the called app can name its parent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

import msgspec

TRACEPARENT, TRACESTATE = b"traceparent", b"tracestate"
_PARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_OURS = re.compile(
    rb"(?:^|,)[ \t]*lakeward="
    rb"([0-9a-f]{8}-[0-9a-f]{4}-[78][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})"
)
_MEMBER = re.compile(rb"[ \t]*[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,256}")
_NO_TRACE, _NO_SPAN = b"0" * 32, b"0" * 16
STATE_MOST = 32
"""Members of a `tracestate`, ours included."""


class Trace(msgspec.Struct, frozen=True):
    """Where a call stands: its trace, and what else its callers want passed on."""

    trace_id: str
    """32 hexadecimal digits."""
    parent_interaction_id: str | None = None
    """Record of the caller, when it is a Lakeward app too."""
    flags: str = "01"
    """Two hexadecimal digits of the caller, passed on unchanged."""
    state: str = ""
    """The other vendors' `tracestate`, passed on behind ours."""


class Cause(Protocol):
    """A call or a job that is under way in this context."""

    interaction_id: str

    @property
    def trace(self) -> Trace:
        """The trace that it belongs to."""

    def person(self) -> dict[str, str]:
        """`session_id`, `user_id` and `user_type`, as far as they are known and may be kept."""


CURRENT: ContextVar[Cause | None] = ContextVar("lakeward_cause", default=None)
"""The cause of what is recorded in this context: set by captures and jobs."""


def incoming(interaction_id: str, parent: bytes | None, state: bytes | None = None) -> Trace:
    """The trace of a record whose caller sent these two headers (None: it sent none)."""
    found = None if parent is None else _PARENT.fullmatch(parent.strip())
    if found is None or not _valid(found):
        return Trace(interaction_id.replace("-", ""))
    ours, others = _split(state)
    return Trace(found[2].decode(), ours, found[4].decode(), others)


def _valid(found: re.Match[bytes]) -> bool:
    version, trace, span, rest = found[1], found[2], found[3], found[5]
    known = version != b"ff" and (version != b"00" or rest is None)
    return known and trace != _NO_TRACE and span != _NO_SPAN


def _split(state: bytes | None) -> tuple[str | None, str]:
    """The record that our member of a `tracestate` names, and the valid members of others."""
    if not state or len(state) > 4096:
        return None, ""
    ours = _OURS.search(state)
    members = [m.strip() for m in state.split(b",")]
    others = [m for m in members if not m.startswith(b"lakeward=") and _MEMBER.fullmatch(m)]
    return (ours[1].decode() if ours else None), b",".join(others[: STATE_MOST - 1]).decode()


def outgoing(interaction_id: str, trace: Trace) -> dict[str, str]:
    """The two headers that a record's own calls carry."""
    span = interaction_id.replace("-", "")[16:]
    state = f"lakeward={interaction_id}"
    return {
        "traceparent": f"00-{trace.trace_id}-{span}-{trace.flags}",
        "tracestate": f"{state},{trace.state}" if trace.state else state,
    }


def headers() -> dict[str, str]:
    """`traceparent` and `tracestate` for a call that is made now; empty outside calls and jobs.

    `httpx.get(url, headers=trace.headers())` joins what the called app records to what this one
    does.
    """
    cause = CURRENT.get()
    return {} if cause is None else outgoing(cause.interaction_id, cause.trace)


@contextmanager
def caused_by(cause: Cause) -> Iterator[None]:
    """What is recorded inside joins `cause`."""
    token = CURRENT.set(cause)
    try:
        yield
    finally:
        CURRENT.reset(token)
