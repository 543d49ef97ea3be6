"""A record as an item of DynamoDB, and back: nothing of the record is lost on the way.

In: a line of the log. Out: attributes in DynamoDB's wire form, each field of the record under its
own name and type. `Unfit` when no item can be made of the line: the reason names the rule and no
value.

    {"interaction_id": {"S": "0198…"}, "timestamp": {"S": "2025-08-14T16:11:28.677Z"},
     "response_time_ms": {"N": "12.5"}, "properties": {"M": {…}}, …,
     "expires_at": {"N": "1763136688"},        only when items expire
     "lakeward": {"M": {                       only where an item cannot say it as the record does
        "omitted": {"M": {"user_id": {"S": "anonymous"}}},
        "texts": {"L": [{"S": "/properties/big"}]}}}}

`omitted` holds fields that would enter an index and must not: `user_id` of nobody, `session_id` of
none; one partition of the index would take them all. `texts` are JSON pointers to values that stand
as the text of their JSON: numbers beyond 38 digits or DynamoDB's range, what is nested too deep,
and objects with a name that is empty.
"""

from __future__ import annotations

from decimal import Context, Decimal, Inexact
from json.encoder import encode_basestring_ascii
from typing import Any, Final

import msgspec

from lakeward.errors import Rejected
from lakeward.interaction import OURS, JsonObject, JsonValue, id_ms

ITEM_BYTES: Final = 400 * 1024
ROOM: Final = 2048  # sizes are counted a little high, so what fits by our count fits by theirs
DEPTH: Final = 30
KEY_BYTES, SORT_BYTES, NAME_BYTES = 2048, 1024, 65_535
DIGITS, LEAST, MOST = 38, -130, 125
EXACT: Final = Context(prec=DIGITS, Emin=-999_999, Emax=999_999, traps=[Inexact])
INDEXED: Final = ("user_id", "session_id")
OWN: Final = ("lakeward", "expires_at")
DAY_S: Final = 86_400
STALE_S: Final = 4 * 365 * DAY_S

_decode = msgspec.json.Decoder(dict[str, object], float_hook=Decimal).decode
_decode_any = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Unfit(Rejected):
    """No item can be made of a line; the message says why."""


class Item(msgspec.Struct, frozen=True):
    """One item: its key, its attributes, its size as DynamoDB counts and as JSON on the wire."""

    key: str
    attributes: JsonObject
    size: int
    wire: int

    @property
    def fits(self) -> bool:
        """Whether DynamoDB has room for it."""
        return self.size <= ITEM_BYTES - ROOM


def item_of(line: bytes, ttl_days: int = 0, now_s: float = 0) -> Item:
    """The item of a line; it may be too large for DynamoDB: see `fits` and `pointer`."""
    record = read(line)
    return _item(record, ttl_days, now_s, {})


def pointer(line: bytes, body: str, digest: str, ttl_days: int = 0, now_s: float = 0) -> Item:
    """The item for a record whose whole line is the object `body`: what is short, and where."""
    record = read(line)
    short = {
        name: value
        for name, value in record.items()
        if name in KEPT or (name not in OWN and _is_short(value))
    }
    where = {"body": body, "body_bytes": len(line), "body_sha256": digest}
    made = _item(short, ttl_days, now_s, where)
    if not made.fits:
        raise Unfit("the ids alone are larger than an item of DynamoDB may be")
    return made


KEPT: Final = ("interaction_id", "timestamp", *INDEXED, "anonymous_id")
"""What a pointer holds at any length: the key, the indexes, and who can be erased."""


def read(line: bytes) -> dict[str, object]:
    """The record of a line; Unfit when it can have no place in the table."""
    try:
        record = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError):
        raise Unfit("the line is not a JSON object") from None
    for name, most in (("interaction_id", KEY_BYTES), ("timestamp", SORT_BYTES)):
        if not _is_key(record.get(name), most):
            raise Unfit(f"{name} must be text of 1 to {most} bytes")
    return record


def _item(record: dict[str, object], ttl_days: int, now_s: float, own: JsonObject) -> Item:
    omitted: JsonObject = {name: record.pop(name) for name in OWN if name in record}
    for name in INDEXED:
        if name in record and not indexable(record[name]):
            omitted[name] = record.pop(name)
    shape = _Shape()
    attributes = {name: shape.value(value, (name,), 1) for name, value in record.items()}
    if omitted:
        own = {**own, "omitted": omitted}
    if own:
        attributes["lakeward"] = shape.value(own, ("lakeward",), 1)
    if shape.texts:
        mine = attributes.setdefault("lakeward", {"M": {}})
        mine["M"]["texts"] = shape.value(shape.texts, ("lakeward", "texts"), 2)
    if ttl_days:
        attributes["expires_at"] = {"N": str(_expiry(record, ttl_days, now_s))}
    names = sum(len(name.encode()) for name in attributes)
    key = str(record["interaction_id"])
    return Item(key, attributes, shape.size + names + 32, shape.wire + 8 * len(attributes) + 64)


def _expiry(record: dict[str, object], days: int, now_s: float) -> int:
    """Seconds since 1970; never so far back that DynamoDB would no longer expire the item at all
    (five years)."""
    identifier = str(record["interaction_id"])
    born = id_ms(identifier) // 1000 if OURS.fullmatch(identifier) else int(now_s)
    return max(born + days * DAY_S, int(now_s) - STALE_S)


def indexable(value: object) -> bool:
    """Whether an index shall hold a `user_id` or `session_id`."""
    return value != "anonymous" and _is_key(value, KEY_BYTES)


def _is_key(value: object, most: int) -> bool:
    return isinstance(value, str) and 0 < len(value.encode()) <= most


def _is_short(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= 256
    return value is None or isinstance(value, (bool, int, Decimal))


class _Shape:
    """Values on their way into wire form; adds up sizes and where text stands for a value."""

    def __init__(self) -> None:
        self.size = 0
        self.wire = 0
        self.texts: list[str] = []

    def value(self, value: object, path: tuple[str, ...], depth: int) -> JsonObject:
        """One value; `path` leads to it."""
        match value:
            case None:
                return self._add(1, 16, "NULL", True)
            case bool():
                return self._add(1, 16, "BOOL", value)
            case str():
                return self._text(value)
            case int() | Decimal():
                number = number_text(value)
                if number is None:
                    return self._as_text(value, path)
                return self._add((len(number) + 1) // 2 + 2, len(number) + 12, "N", number)
            case list() if depth < DEPTH:
                rows = [self.value(v, (*path, str(n)), depth + 1) for n, v in enumerate(value)]
                return self._add(3 + len(rows), 10 + 2 * len(rows), "L", rows)
            case dict() if depth < DEPTH and all(_is_name(name) for name in value):
                map_ = {name: self._member(name, v, path, depth) for name, v in value.items()}
                return self._add(3 + len(map_), 10 + 4 * len(map_), "M", map_)
        return self._as_text(value, path)

    def _member(self, name: str, value: object, path: tuple[str, ...], depth: int) -> JsonObject:
        self.size += len(name.encode())
        self.wire += len(encode_basestring_ascii(name))
        return self.value(value, (*path, name), depth + 1)

    def _text(self, value: str) -> JsonObject:
        return self._add(len(value.encode()), len(encode_basestring_ascii(value)) + 12, "S", value)

    def _as_text(self, value: object, path: tuple[str, ...]) -> JsonObject:
        self.texts.append(pointer_text(path))
        return self._text(_encode(value).decode())

    def _add(self, size: int, wire: int, kind: str, value: object) -> JsonObject:
        self.size += size
        self.wire += wire
        return {kind: value}


def _is_name(name: str) -> bool:
    return 0 < len(name.encode()) <= NAME_BYTES


def number_text(value: int | Decimal) -> str | None:
    """A number as DynamoDB takes it, or None when it does not."""
    try:
        exact = EXACT.create_decimal(value).normalize(EXACT)
    except ArithmeticError:
        return None
    if not exact:
        return "0"
    if not LEAST <= exact.adjusted() <= MOST:
        return None
    return f"{exact:f}" if abs(exact.adjusted()) < DIGITS else str(exact)


def pointer_text(path: tuple[str, ...]) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)


def record_of(attributes: JsonObject) -> JsonObject:
    """The record that an item was made of; of a pointer, what the item itself holds of it.

    Numbers are equal as JSON has them: DynamoDB knows no difference between 1.0 and 1.
    """
    record: JsonObject = {name: _plain(value) for name, value in attributes.items()}
    own = record.pop("lakeward", {})
    record.pop("expires_at", None)
    everything = {**record, "lakeward": own}
    for text in own.get("texts", []):
        *way, last = (p.replace("~1", "/").replace("~0", "~") for p in text[1:].split("/"))
        holder: Any = everything
        for part in way:
            holder = holder[int(part) if isinstance(holder, list) else part]
        at = int(last) if isinstance(holder, list) else last
        holder[at] = _decode_any(holder[at])
    everything.pop("lakeward")
    return {**everything, **own.get("omitted", {})}


def _plain(value: JsonObject) -> JsonValue:
    kind: str
    content: Any
    kind, content = next(iter(value.items()))
    match kind:
        case "M":
            return {name: _plain(inner) for name, inner in content.items()}
        case "L":
            return [_plain(inner) for inner in content]
        case "N":
            number = Decimal(content)
            return int(number) if number == number.to_integral_value() else float(number)
        case "NULL":
            return None
        case "BOOL":
            return bool(content)
    return str(content)
