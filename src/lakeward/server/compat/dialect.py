"""What a dialect is: the paths that another product's SDK calls, and what its requests mean here.

In: a request of such an SDK, whole and inflated. Out: interactions of ours, and the answer that the
SDK expects. A dialect is data and pure functions in one file; reading bodies, keys, limits, clock
skew, ids and the commit are done once for all of them (`compat/door.py`). Fails with `Undecodable`
for a body that is none of the dialect's.

What a dialect makes of one event is a dict as `POST /v1/interactions` takes it, with

    interaction_id   the SDK's own id as it came (`messageId`, `uuid`, `eid`): the door makes an id
                     of ours of it and of the original `timestamp`, so that a retry meets itself
    timestamp        ISO 8601 by the sender's clock, as it came: the door corrects it by `sent_at`

or a `Refused` for one that it cannot take.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from lakeward.catalog import TYPES
from lakeward.flags import Evaluation
from lakeward.interaction import JsonObject

JSON = b"application/json"
_OUTSIDE = re.compile(r"[^a-z0-9_.:-]+")
LONGEST_TYPE = 64
SHARED_BYTES = 32 * 1024
"""What all events of a request may share: it comes to stand in each of their records."""
BROKEN = "The event cannot be read."


class Undecodable(Exception):
    """A body that is none of the dialect's; the message is one sentence for people."""


class Call(msgspec.Struct, frozen=True):
    """A request of an SDK."""

    method: str
    path: str
    """Below the dialect's root, as `Endpoint.path` has it."""
    parts: Mapping[str, str]
    """What stood for the `{names}` of `Endpoint.path`."""
    query: Mapping[str, list[str]]
    headers: Mapping[bytes, bytes]
    """By lower-case name."""
    body: bytes
    base: str
    """Where the SDK reached the dialect: scheme, host and root, without a slash at the end."""
    has_flags: bool = False
    """Whether this server has feature flags."""


class Refused(msgspec.Struct, frozen=True):
    """An event that cannot be taken; it is set aside in the quarantine, with the reason."""

    reason: str
    event: Any


class Sending(msgspec.Struct, frozen=True):
    """What a request holds."""

    events: Iterable[JsonObject | Refused]
    """Made one by one as they are asked for (`each`): the door asks once it knows the key, and for
    no more than a batch may hold. `Undecodable` may come as late as that."""
    secret: str | None = None
    """The key, where the SDK puts it into the body or the path; headers and `key=` are looked at
    without the dialect."""
    sent_at: str | None = None
    """When it was sent by the sender's clock, ISO 8601; None: not said."""


class Outcome(msgspec.Struct, frozen=True):
    """What became of a sending: all that is accepted is durable."""

    accepted: int
    rejected: list[tuple[int, str]]
    """Index and reason."""


class Answer(msgspec.Struct, frozen=True):
    """What the SDK gets: always a 200, for anything else makes some of them try again."""

    body: bytes
    kind: bytes = JSON


class Question(msgspec.Struct, frozen=True):
    """How flags are asked for."""

    asked: Callable[[Call], tuple[str | None, JsonObject]]
    """The key, and the attributes of the unit."""
    answered: Callable[[Mapping[str, Evaluation]], Answer]


class Endpoint(msgspec.Struct, frozen=True):
    """Some paths of a dialect.

    With `parse`, a sending: keyed, and answered when it is durable. Without, a question about the
    configuration, which anybody may ask and which tells nothing of the lake.
    """

    paths: tuple[str, ...]
    """Such as `/v1/batch` or `/v1/projects/{key}/settings`; a name stands for one part."""
    answer: Callable[[Call, Outcome], Answer]
    parse: Callable[[Call], Sending] | None = None
    methods: tuple[str, ...] = ("POST",)
    flags: Question | None = None
    """A question about feature flags: keyed and answered by this where there are any, else by
    `answer`."""


class Dialect(msgspec.Struct, frozen=True):
    """One product's way of speaking."""

    name: str
    """Such as `segment`: the source of its foreign ids, and its name in `LAKEWARD_PATHS`."""
    endpoints: tuple[Endpoint, ...]


def each(
    raws: Iterable[Any], make: Callable[[Any], Iterable[JsonObject | Refused]]
) -> Iterator[JsonObject | Refused]:
    """What each event as it came makes. One on which its mapping breaks (nested too deep, a number
    beyond a double) costs itself alone; nothing of it is kept, for it may hold a key."""
    for raw in raws:
        try:
            made = [*make(raw)]
        except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError):
            yield Refused(BROKEN, {})
        else:
            yield from made


def type_of(name: str) -> str:
    """An event's name as an interaction type: `Order Completed` becomes `order_completed`."""
    slug = _OUTSIDE.sub("_", name.strip().lower())[:LONGEST_TYPE].strip("_.:-")
    if not slug:
        return "event"
    return slug if slug[0].isalpha() else f"event_{slug}"[:LONGEST_TYPE]


def placed(interaction_type: str, properties: Mapping[str, Any]) -> JsonObject:
    """An event's properties where a record has them: a known type's own names on top, the rest
    under `properties`, whatever they are called."""
    spec = TYPES.get(interaction_type)
    own = spec.own | spec.lifted if spec is not None else frozenset()
    fields: JsonObject = {name: value for name, value in properties.items() if name in own}
    rest = {name: value for name, value in properties.items() if name not in own}
    if rest:
        fields["properties"] = rest
    return fields


def object_of(value: object) -> JsonObject:
    """`value` when it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def path_of(url: str) -> str | None:
    """The path of an address, None when it is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return (parts.path or "/") if parts.scheme else None
