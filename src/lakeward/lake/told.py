"""What the metadata of an AI turn say, of whichever door: tokens, models, tier of service.

In: the decoded metadata of one turn. Out: counts and texts, None or empty where it says nothing.
`Odd` for a count that is no number of tokens. Pure.
"""

from __future__ import annotations

from typing import Final

from lakeward.catalog.ai import TOKEN_BUCKETS
from lakeward.interaction import JsonObject
from lakeward.lake.prices import Asked
from lakeward.lake.rates import ANSWER

PROMPT: Final = tuple(name for name in TOKEN_BUCKETS if name not in ANSWER)
EMBEDDINGS: Final = frozenset({"embeddings", "embedding"})
MOST: Final = 1 << 53
"""Tokens of a bucket; more are no tokens."""


class Odd(ValueError):
    """A count that is no number of tokens."""


def count(told: JsonObject, name: str) -> int | None:
    """A number of tokens."""
    value = told.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < MOST:
        raise Odd(name)
    return value


def side(told: JsonObject, names: tuple[str, ...]) -> int | None:
    """The sum of the buckets of prompt or answer, None where none is known."""
    known = [value for name in names if (value := count(told, name)) is not None]
    return sum(known) if known else None


def has_no_answer(told: JsonObject) -> bool:
    """Whether the operation has a prompt alone."""
    return told.get("operation") in EMBEDDINGS


def rest(told: JsonObject, prompt: int | None, answer: int | None) -> JsonObject:
    """The bucket of the side that is not known, as what the other leaves of the total. A total that
    leaves nothing may be the sum of what was known when a stream was cut: it says nothing."""
    total = count(told, "total_tokens")
    if total is None:
        return {}
    if prompt is None and answer is None:
        return {"input_tokens": total} if has_no_answer(told) else {}
    left = total - (prompt or 0) - (answer or 0)
    if left <= 0:
        return {}
    return {"output_tokens" if answer is None else "input_tokens": left}


def requests(turn: JsonObject) -> list[JsonObject] | None:
    """What has a price by itself: each request of a turn of several, as a turn, or else the turn.
    None where the requests are not known one by one, or are not all that the turn took."""
    each = turn.get("requests")
    if each is None:
        usages = inside(turn, "usage", "requests")
        return None if isinstance(usages, list) and len(usages) > 1 else [turn]
    if not isinstance(each, list) or not all(isinstance(one, dict) for one in each):
        raise Odd("requests")
    for name in TOKEN_BUCKETS:
        if sum(count(one, name) or 0 for one in each) != (count(turn, name) or 0):
            return None
    return [_request(turn, one) for one in each]


def _request(turn: JsonObject, one: JsonObject) -> JsonObject:
    """One request with what it has of its turn. What the app asked for says nothing of a request
    that another model answered than the turn's."""
    names = ["operation", "provider", "parameters"]
    if text(one, "model_answered") in ("", text(turn, "model_answered")):
        names += ["model_requested", "model_answered"]
    shared = {name: turn[name] for name in names if name in turn}
    return shared | one | {"usage": one}


def buckets(turn: JsonObject) -> dict[str, int]:
    """The buckets; writes to the cache for an hour, which cost more, in one of their own."""
    found = {name: count(turn, name) or 0 for name in TOKEN_BUCKETS}
    long: object = count(turn, "cache_write_1h_tokens")
    if long is None:
        long = inside(turn, "usage", "cache_creation", "ephemeral_1h_input_tokens")
    if isinstance(long, int) and 0 < long <= found["cache_write_tokens"]:
        found["cache_write_tokens"] -= long
        found["cache_write_1h_tokens"] = long
    return found


def searches(turn: JsonObject) -> int:
    """Searches of the web that the model made, where the provider counts them."""
    found: object = count(turn, "web_searches")
    if found is None:
        found = inside(turn, "usage", "server_tool_use", "web_search_requests")
    return found if isinstance(found, int) and 0 < found < MOST else 0


def asked(turn: JsonObject) -> Asked:
    """Whose tokens they are."""
    return Asked(
        text(turn, "provider"), text(turn, "model_answered"), text(turn, "model_requested")
    )


def context(turn: JsonObject) -> dict[str, str]:
    """What of the request has a price of its own: the tier that served it, or a batch."""
    found: dict[str, str] = {}
    for name in ("service_tier", "speed", "processing"):
        for holder in ("usage", "parameters"):
            value = inside(turn, holder, name)
            if isinstance(value, str):
                found.setdefault(name, value)
    if found.get("service_tier") == "batch":
        found.setdefault("processing", "batch")
    return found


def inside(value: object, *path: str) -> object:
    """What stands at a path of objects."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def text(told: JsonObject, name: str) -> str:
    """A text, empty where there is none."""
    value = told.get(name)
    return value if isinstance(value, str) else ""
