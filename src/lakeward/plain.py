"""Plain values: what foreign objects are as JSON, without running code of theirs.

In: any object that an application puts into a record. Out: text, number, list, dict or null of the
same content; `[unsupported: Type]` for what has none. Nothing here raises for what it is given.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from pathlib import PurePath
from types import MappingProxyType, MemberDescriptorType
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from lakeward.detectors import REDACTED, card


def text_of(value: object) -> str | None:
    """`value` as text when it is text or a number that stands for an id; None for an empty one."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value) or None


def number(value: int | float) -> int | float | str | None:
    """A JSON number, unless it is none, is a card's or does not fit 64 bits."""
    if isinstance(value, float):
        if not isfinite(value):
            return None
        return REDACTED if abs(value) < 1e19 and card(str(int(abs(value)))) else value
    if value.bit_length() > 4096:
        return "[too large]"
    digits = str(value)
    if card(digits.lstrip("-")):
        return REDACTED
    return value if -(1 << 63) <= value < 1 << 64 else digits


def name_text(key: object) -> str:
    """A dict's key that is no text, as JSON would write it."""
    shaped = key if key is None or type(key) in (bool, int, float) else plain(key)
    if type(shaped) in (int, float):
        shaped = number(shaped)  # type: ignore[arg-type]  # narrowed by its type
    if shaped is None or type(shaped) in (bool, int, float):
        return msgspec.json.encode(shaped).decode()
    return shaped if type(shaped) is str else f"[unsupported: {type(key).__name__}]"


def plain(item: object) -> object:
    """`item` as a plain value or container, never by code of its own class."""
    kind = type(item)
    try:
        for base, convert in _CONVERSIONS:
            if issubclass(kind, base):
                return convert(item)
        if kind.__module__ == "uuid_utils":
            return str(item)
        if names := _attribute_names(kind):
            return dict(_attributes(item, names))
    except Exception:  # noqa: S110 - whatever a foreign object does, it is only named
        pass
    return f"[unsupported: {kind.__name__}]"


def _tuple(item: Any) -> object:
    names = getattr(type(item), "_fields", None)
    values = list(tuple.__iter__(item))
    return dict(zip(names, values, strict=True)) if names else values


def _struct(item: Any) -> object:
    return {k: v for k, v in msgspec.structs.asdict(item).items() if v is not UNSET}


_CONVERSIONS: tuple[tuple[type, Callable[[Any], object]], ...] = (
    (Enum, lambda item: object.__getattribute__(item, "_value_")),
    (str, str.__str__),
    (int, lambda item: int.__add__(item, 0)),
    (float, lambda item: float.__add__(item, 0.0)),
    (dict, dict.copy),
    (list, list.copy),
    (tuple, _tuple),
    (set, lambda item: list(set.__iter__(item))),
    (frozenset, lambda item: list(frozenset.__iter__(item))),
    (deque, lambda item: list(deque.__iter__(item))),
    (MappingProxyType, dict),
    (msgspec.Struct, _struct),
    (bytes, lambda item: bytes.decode(item, "utf-8", "replace")),
    (bytearray, lambda item: bytearray.decode(item, "utf-8", "replace")),
    (memoryview, lambda item: item.tobytes().decode("utf-8", "replace")),
    (datetime, datetime.isoformat),
    (date, date.isoformat),
    (time, time.isoformat),
    (timedelta, timedelta.total_seconds),
    (Decimal, Decimal.__str__),
    (UUID, UUID.__str__),
    (PurePath, PurePath.__str__),
    (UnsetType, lambda item: None),
)


def _attribute_names(kind: type) -> list[str]:
    """The declared fields of a dataclass, an attrs class or a pydantic model."""
    if is_dataclass(kind):
        return [field.name for field in dataclass_fields(kind)]
    if attributes := getattr(kind, "__attrs_attrs__", None):
        return [attribute.name for attribute in attributes]
    return list(
        getattr(kind, "__pydantic_fields__", None) or getattr(kind, "__fields__", None) or ()
    )


def _attributes(item: object, names: list[str]) -> Iterator[tuple[str, object]]:
    """Stored values only: no property, no lazy load."""
    try:
        stored = object.__getattribute__(item, "__dict__")
    except AttributeError:
        stored = {}
    for name in names:
        if name in stored:
            yield name, stored[name]
        elif isinstance(slot := getattr(type(item), name, None), MemberDescriptorType):
            yield name, slot.__get__(item)
