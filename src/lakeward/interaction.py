"""One interaction: the flat record every store holds, and how its id and time are made.

In: typed values, already scrubbed. Out: one JSON object whose first fourteen fields are those of
the seed, in the seed's order; absent values are left out. Nothing here fails for the content of a
string; a number out of JSON's range is refused by the encoder.

    {"interaction_id":"0198…","timestamp":"2025-08-14T16:11:28.677Z","environment":"development",
     "app_version":"1.0.0","interaction_type":"api_call","method":"GET","path":"/api/partners", …}

Ids are UUIDv7 of the same millisecond as `timestamp`. A foreign id becomes a UUIDv8 of its
original client millisecond and a hash of (source, id), so that the event date is a function of
the id and duplicates meet in one partition whenever they come. Ids that come from a public client
have a form of their own, which nobody else's have: they can take the place of no other record.

    0198a959-c225-7f8b-8d56-238c645cadb6   made here
    0198a959-c225-8a41-8d56-238c645cadb6   another system's, hashed
    0198a959-c225-8fff-8d56-238c645cadb6   a page's: made by the browser SDK, or hashed
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

JsonValue: TypeAlias = (
    "bool | int | float | str | list[JsonValue] | tuple[JsonValue, ...] | JsonObject | None"
)
JsonObject: TypeAlias = dict[str, Any]
"""A decoded JSON object: string keys, JSON values."""

SCHEMA_VERSION = 1

EARLIEST_NS, LATEST_NS = 946_684_800_000_000_000, 4_102_444_799_999_000_000
EARLIEST_MS = 946_684_800_000  # 2000-01-01T00:00:00Z
LATEST_MS = 4_102_444_799_999  # 2099-12-31T23:59:59.999Z

MILLIS: tuple[str, ...] = tuple(f".{ms:03d}Z" for ms in range(1000))


class Interaction(msgspec.Struct, gc=False):
    """The flat record. Field docs, units and personal-data classes: `dictionary.FIELDS_DOC`."""

    interaction_id: str
    timestamp: str
    environment: str
    app_version: str
    interaction_type: str
    method: str | UnsetType | None = UNSET
    path: str | UnsetType | None = UNSET
    user_id: str = "anonymous"
    user_type: str = "unknown"
    response_status: int | UnsetType | None = UNSET
    response_time_ms: float | UnsetType | None = UNSET
    ip_address: str | UnsetType | None = UNSET
    user_agent: str | UnsetType | None = UNSET
    session_id: str | UnsetType | None = UNSET
    service: str | UnsetType = UNSET
    schema_version: int | UnsetType = UNSET
    route: str | UnsetType | None = UNSET
    query_params: JsonObject | UnsetType = UNSET
    headers: JsonObject | UnsetType = UNSET
    request_body: Any = UNSET
    referrer: str | UnsetType | None = UNSET
    partner_id: str | UnsetType = UNSET
    conversation_id: str | UnsetType = UNSET
    parent_interaction_id: str | UnsetType = UNSET
    trace_id: str | UnsetType = UNSET
    ai_metadata: JsonObject | UnsetType = UNSET
    messages: list[Any] | UnsetType = UNSET
    outcomes: JsonObject | UnsetType = UNSET
    feedback: JsonObject | UnsetType = UNSET
    analysis: JsonObject | UnsetType = UNSET
    experiments: JsonObject | UnsetType = UNSET
    properties: JsonObject | UnsetType = UNSET
    client_timestamp: str | UnsetType = UNSET
    sent_at: str | UnsetType = UNSET
    received_at: str | UnsetType = UNSET
    anonymous_id: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    error_type: str | UnsetType = UNSET
    ttfb_ms: float | UnsetType = UNSET
    request_bytes: int | UnsetType = UNSET
    response_bytes: int | UnsetType = UNSET
    metadata: JsonObject | UnsetType = UNSET


class ApiCall(Interaction, gc=False):
    """An `api_call`: the seed's fourteen fields are all present, null where they are unknown."""

    method: str | None = None
    path: str | None = None
    response_status: int | None = None
    response_time_ms: float | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    session_id: str | None = None


FIELDS: tuple[str, ...] = Interaction.__struct_fields__
SEED_FIELDS: tuple[str, ...] = FIELDS[:14]
SERVER_OWNED: frozenset[str] = frozenset({"received_at", "ip_address", "service"})
"""Fields that a public client can never set."""


def iso(ms: int) -> str:
    """`ms` since 1970 as ISO 8601 with milliseconds and Z."""
    seconds, millis = divmod(ms, 1000)
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19] + MILLIS[millis]


def parse_iso(text: str) -> int:
    """ISO 8601 text as ms since 1970 (no zone means UTC); ValueError when it is not a time."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def clamp(ms: int) -> int:
    """`ms` moved into [2000, 2100), the years a lake has partitions for."""
    return min(max(ms, EARLIEST_MS), LATEST_MS)


def foreign_id(source: str, identifier: str, client_ms: int) -> str:
    """UUIDv8 for an id that another system gave: 48 bits of client ms, 74 of a hash."""
    digest = int.from_bytes(
        blake2b(
            f"{source}\x00{identifier}".encode("utf-8", "surrogatepass"), digest_size=10
        ).digest()
    )
    head = min(digest & 0xFFF, 0xFFE)  # 0xFFF is the pages'
    value = clamp(client_ms) << 80 | 0x8 << 76 | head << 64
    value |= 0b10 << 62 | (digest >> 12) & ((1 << 62) - 1)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


OURS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[78][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


PAGES = "8fff"
"""Third group of the ids of public clients."""


def is_pages(interaction_id: str) -> bool:
    """Whether an id of ours is one that a public client gave."""
    return interaction_id[14:18] == PAGES


def pages_id(interaction_id: str) -> str:
    """An id of ours in the form of the pages'."""
    return f"{interaction_id[:14]}{PAGES}{interaction_id[18:]}"


def adopt_id(identifier: str, ms: int, source: str = "app") -> str:
    """A UUIDv7 or v8 as it is; any other id becomes a UUIDv8 of (source, id) at `ms`."""
    ours = identifier.lower()
    if OURS.fullmatch(ours) and EARLIEST_MS <= id_ms(ours) <= LATEST_MS:
        return ours
    return foreign_id(source, identifier, ms)


def id_ms(interaction_id: str) -> int:
    """The millisecond that a UUIDv7 or UUIDv8 of ours carries."""
    return int(interaction_id[:8] + interaction_id[9:13], 16)


class Moments:
    """Milliseconds of time texts; remembers seconds, as a batch's are few."""

    __slots__ = ("_seconds",)

    def __init__(self) -> None:
        self._seconds: dict[str, int] = {}

    def ms(self, text: str) -> tuple[int, bool]:
        """ms since 1970 of ISO 8601 text, and whether it is written as the record has it;
        ValueError when it is no time."""
        if not text.isascii():  # other scripts have digits, too
            raise ValueError("a time is ASCII")
        if len(text) != 24 or text[23] != "Z" or text[19] != "." or not text[20:23].isdigit():
            return parse_iso(text), False
        second = self._seconds.get(text[:19])
        if second is None:
            second = parse_iso(text[:19])
            if len(self._seconds) >= 4096:
                self._seconds.clear()
            if iso(second)[:19] != text[:19]:
                return parse_iso(text), False  # another spelling, such as a space for the T
            self._seconds[text[:19]] = second
        return second + int(text[20:23]), True


class Clock:
    """Wall clock that renders ISO milliseconds from a cached second.

    Not locked: two threads may render the same second twice, never a wrong one.
    """

    __slots__ = ("_second", "now_ns")

    def __init__(self, now_ns: Any = time.time_ns) -> None:
        self.now_ns = now_ns
        self._second: tuple[int, str] = (LATEST_MS, "")

    def stamp(self, ns: int) -> str:
        """`ns` since 1970 as the record's timestamp text, clamped to the lake's years."""
        ms = ns // 1_000_000
        second, text = self._second
        if ms // 1000 != second:
            text = self._render(ms)
        return text + MILLIS[ms % 1000]

    def _render(self, ms: int) -> str:
        inside = clamp(ms)
        text = iso(inside)[:19]
        if inside == ms:
            self._second = (ms // 1000, text)
        return text

    def now(self) -> int:
        """The wall clock's ns, inside the lake's years whatever the machine believes."""
        ns: int = min(max(self.now_ns(), EARLIEST_NS), LATEST_NS)
        return ns
