"""Snowplow: its trackers write into this lake as into a collector.

In: `POST /com.snowplowanalytics.snowplow/tp2` with `{"schema": …, "data": [{"e": "pv", …}, …]}`, or
`GET /i?e=pv&…`. Out: a record for each event (more for web vitals), and the answer of a collector:
`ok`, or an image of one pixel. Fails with `Undecodable` for a body that is none of this.

The key is `aid`, the app id, when it looks like one; else headers or `key=` have it. Every event
brings its own `stm`, by which its time is corrected, unless it has a true one, `ttm`.
"""

from __future__ import annotations

from typing import Any

from lakeward.interaction import JsonObject
from lakeward.server.compat.dialect import (
    Answer,
    Call,
    Dialect,
    Endpoint,
    Outcome,
    Refused,
    Sending,
    Undecodable,
    each,
    object_of,
)
from lakeward.server.compat.lenient_json import decoded
from lakeward.server.compat.snowplow_event import Unreadable, records
from lakeward.store.token import is_token

PIXEL = bytes.fromhex(
    "47494638396101000100800000ffffff00000021f90401000000002c00000000010001000002024401003b"
)
"""A GIF of one transparent pixel."""


def _posted(call: Call) -> Sending:
    """The events of a body."""
    try:
        content = decoded(call.body)
    except ValueError:
        raise Undecodable("The body is not JSON.") from None
    data = object_of(content).get("data")
    if not isinstance(data, list):
        raise Undecodable("The body holds no `data`, a list of events.")
    return _sending(data)


def _asked(call: Call) -> Sending:
    """The one event of a query."""
    return _sending([{name: values[-1] for name, values in call.query.items() if name != "key"}])


def _sending(data: list[Any]) -> Sending:
    keys = [object_of(raw).get("aid") for raw in data]
    secret = next((key for key in keys if isinstance(key, str) and is_token(key)), None)
    return Sending(each(data, _records), secret)


def _records(raw: Any) -> list[JsonObject | Refused]:
    """What one event makes."""
    if not isinstance(raw, dict):
        return [Refused("An event must be an object.", raw)]
    try:
        return [*records(raw)]
    except Unreadable as error:
        kept = {n: v for n, v in raw.items() if n != "aid" or not is_token(str(v))}
        return [Refused(str(error), kept)]


def _ok(call: Call, outcome: Outcome) -> Answer:
    return Answer(b"ok", b"text/plain; charset=utf-8")


def _pixel(call: Call, outcome: Outcome) -> Answer:
    return Answer(PIXEL, b"image/gif")


DIALECT = Dialect(
    "snowplow",
    (
        Endpoint(("/com.snowplowanalytics.snowplow/tp2",), _ok, _posted),
        Endpoint(("/i",), _pixel, _asked, ("GET",)),
    ),
)
