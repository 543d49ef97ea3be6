"""Clock skew: when it happened by the server's clock, and which id a foreign id becomes.

In: an interaction's `timestamp`, its `interaction_id`, the sender's `sent_at`, and the server's own
moment. Out: a `Moment`. Fails with `Rejected` for a `timestamp` that is none.

    timestamp         = timestamp as sent + (received_at - sent_at)
    client_timestamp  = timestamp as sent, where the two differ
    interaction_id    = ours as it is; a foreign one hashed at the *original* millisecond, so that a
                        retry, whose `sent_at` is another one, gets the same

A foreign id without a time is hashed at the start of the day of receipt: it meets its retries until
midnight. A public client's id is ours only in the form of the pages'; any other is hashed into it:
somebody else's record may have it.
"""

from __future__ import annotations

from typing import Any

import msgspec
from uuid_utils import uuid7

from lakeward.errors import Rejected
from lakeward.interaction import (
    EARLIEST_MS,
    LATEST_MS,
    OURS,
    Clock,
    Moments,
    clamp,
    foreign_id,
    id_ms,
    is_pages,
    iso,
    pages_id,
)

DAY_MS = 86_400_000


class Moment(msgspec.Struct, frozen=True, gc=False):
    """What a record gets of it."""

    interaction_id: str
    timestamp: str
    client_timestamp: str | None


class Clocks:
    """One request: the server's moment, and what the sender's clock showed then."""

    def __init__(
        self, source: str, received_ms: int, moments: Moments, clock: Clock, *,
        public: bool = False,
    ) -> None:  # fmt: skip
        self._source = source
        self._public = public
        self._received_ms = received_ms
        self._moments = moments
        self._stamp = clock.stamp
        self._sent: tuple[Any, tuple[int, str]] = (None, (0, ""))

    def sent(self, sent_at: Any) -> tuple[int, str]:
        """ms to add to the sender's times, and `sent_at` as the record has it."""
        if sent_at != self._sent[0]:
            ms, text = self._read("sent_at", sent_at)
            self._sent = sent_at, (self._received_ms - ms, text)
        return self._sent[1]

    def moment(self, timestamp: Any, identifier: Any, shift: int) -> Moment:
        """Time and id of one interaction, either of which may be None, of a sender whose clock is
        `shift` ms behind."""
        ours = _ours(identifier)
        if timestamp is not None:
            given, text = self._read("timestamp", timestamp)
        elif ours is not None:
            given = id_ms(ours)
            text = self._stamp(given * 1_000_000)
        else:
            now = self._received_ms
            at = now // DAY_MS * DAY_MS
            return Moment(self._id(None, identifier, at, now), self._stamp(now * 1_000_000), None)
        ms = clamp(given + shift)
        if ms == given:
            return Moment(self._id(ours, identifier, given, ms), text, None)
        return Moment(self._id(ours, identifier, given, ms), self._stamp(ms * 1_000_000), text)

    def _id(self, ours: str | None, identifier: Any, given: int, ms: int) -> str:
        if not self._public:
            if ours is not None:
                return ours
            if identifier is None:
                return str(uuid7(nanoseconds=ms * 1_000_000))
            return foreign_id(self._source, str(identifier), given)
        if identifier is None:
            return pages_id(str(uuid7(nanoseconds=ms * 1_000_000)))
        if ours is None:
            return pages_id(foreign_id(self._source, str(identifier), given))
        return ours if is_pages(ours) else pages_id(foreign_id(self._source, ours, id_ms(ours)))

    def _read(self, name: str, text: Any) -> tuple[int, str]:
        """ms since 1970 of a time, and the time as a record has it."""
        try:
            if type(text) is str:
                ms, finished = self._moments.ms(text)
                return ms, text if finished else iso(ms)
        except (ValueError, AttributeError, OverflowError, OSError):
            pass
        raise Rejected(f"`{name}` must be ISO 8601 text such as 2025-08-14T16:11:28.677Z.")


def _ours(identifier: Any) -> str | None:
    """An id of ours as it is stored, None for any other."""
    if type(identifier) is not str or len(identifier) != 36:
        return None
    text = identifier.lower()
    if OURS.fullmatch(text) and EARLIEST_MS <= id_ms(text) <= LATEST_MS:
        return text
    return None
