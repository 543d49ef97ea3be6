"""Units of a file that people bring → the fields, ids and times of interactions; pure.

In: `Unit`s of one of four kinds, told apart by the first of them. Out: `Row`s of fields.

    jsonl   {"interaction_type":"click","timestamp":"2025-08-14T16:11:28.677Z","path":"/", …}
    csv     When,Path,plan            a header, then rows; a quoted cell may span lines
    original  as jsonl, in the words of the system that Lakeward replaces
    access  1.2.3.4 - ann [17/May/2015:10:05:03 +0000] "GET /a?b=1 HTTP/1.1" 200 235 "ref" "agent"

`Terminal`: the file as a whole cannot be read as asked. `Rejected`: one unit cannot be read; its
message never quotes the unit, which is not scrubbed yet. No content raises anything else.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Literal, TypeAlias, get_args

import msgspec

from lakeward.catalog import TYPES
from lakeward.cli.intake import accesslog, original
from lakeward.cli.intake.framing import Unit, cells, csv_rows, filled, text_of
from lakeward.errors import Rejected, Terminal
from lakeward.interaction import (
    OURS,
    Interaction,
    JsonObject,
    clamp,
    foreign_id,
    id_ms,
    iso,
    parse_iso,
)

Kind: TypeAlias = Literal["jsonl", "csv", "access", "original"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_EPOCH = re.compile(r"\d{9,13}(?:\.\d+)?", re.ASCII)

_NUMBERS = {
    field.name: number
    for field in msgspec.structs.fields(Interaction)
    for number in (int, float)
    if number in get_args(field.type)
}
_NESTED = frozenset(
    field.name
    for field in msgspec.structs.fields(Interaction)
    if any(get_args(option) for option in get_args(field.type))
)
"""Fields that are JSON objects or lists; a CSV cell for one of them holds JSON text."""


class Layout(msgspec.Struct, frozen=True):
    """How a file is read; `mapping` is field → column, `columns` and `delimiter` are CSV's."""

    kind: Kind
    mapping: Mapping[str, str] = {}
    default_type: str | None = None
    columns: tuple[str, ...] = ()
    delimiter: str = ","


class Row(msgspec.Struct, frozen=True):
    """One parsed unit; `ms` is its event time, None when it has none."""

    interaction_type: str
    fields: JsonObject
    ms: int | None = None
    given_id: str | None = None

    @property
    def dated(self) -> bool:
        """Whether it says itself when it was; else nobody knows whether an erase came after it."""
        return self.ms is not None or _has_time(self.given_id)


def parse_mapping(pairs: Iterable[str]) -> dict[str, str]:
    """`--map field=column` values as field → column."""
    mapping: dict[str, str] = {}
    for pair in pairs:
        field, equals, column = pair.partition("=")
        if not (field and equals and column) or field in mapping:
            raise Terminal(f"--map {pair} is not understood; write field=column, each field once")
        mapping[field] = column
    return mapping


def layout_of(
    sample: Sequence[Unit], kind: Kind | None, mapping: Mapping[str, str], default_type: str | None
) -> Layout:
    """How to read the file that begins with `sample`; Terminal when it cannot be read so."""
    if kind == "access" and (mapping or default_type):
        raise Terminal("is read as an access log, which takes no --map and no --type")
    layout = Layout(kind or _detected(sample), mapping, default_type)
    if layout.kind == "access":
        return layout
    typed = mapping.get("interaction_type", "interaction_type")
    if layout.kind == "csv":
        layout = _csv_layout(sample, layout)
        named = typed in layout.columns
    else:
        objects = [_ours(_object(line.raw) or {}, layout) for line in sample]
        _check_keys(objects, mapping)
        named = any(typed in values for values in objects)
    if not (default_type or named):
        raise Terminal("does not name the interaction type of its rows; give it with --type")
    return layout


def _detected(sample: Sequence[Unit]) -> Kind:
    if any(accesslog.fields_of(text_of(line.raw)) for line in sample):
        return "access"
    if any(_object(line.raw) is not None for line in sample):
        return "jsonl"
    first = sample[0].raw
    if first.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Terminal("is UTF-16 text; save it as UTF-8")
    if first.lstrip().startswith(b"["):
        raise Terminal("is one JSON array; write one object a line (jq -c '.[]')")
    header = text_of(first)
    if header.replace("\t", "").isprintable() and any(mark in header for mark in ",;\t|"):
        return "csv"
    raise Terminal("is of no known format; give --as jsonl, csv or access")


def _csv_layout(sample: Sequence[Unit], layout: Layout) -> Layout:
    delimiter = max(",;\t|", key=text_of(sample[0].raw).count)
    try:
        names = [name.strip() for name in cells(next(csv_rows(sample, delimiter)).raw, delimiter)]
    except csv.Error as error:
        raise Terminal("has a CSV header whose quotes do not match; mend its first line") from error
    columns: list[str] = []
    for place, name in enumerate(names, 1):
        columns.append(f"{name or 'column'}_{place}" if not name or name in columns else name)
    for field, column in layout.mapping.items():
        if column not in columns:
            raise Terminal(f"has no column {column!r}, which --map {field}={column} names")
        if field in columns and field not in layout.mapping.values():
            raise Terminal(
                f"has a column {field!r} beside {column!r}; map it too: --map other_name={field}"
            )
    return msgspec.structs.replace(layout, columns=tuple(columns), delimiter=delimiter)


def _check_keys(objects: Sequence[JsonObject], mapping: Mapping[str, str]) -> None:
    """A misspelt key would give every object the wrong time, id or type; others may be rare."""
    for field in ("timestamp", "interaction_id", "interaction_type"):
        key = mapping.get(field)
        if key and not any(key in values for values in objects):
            raise Terminal(
                f"has no key {key!r} in its first lines, which --map {field}={key} names"
            )


def units(source: Iterable[Unit], layout: Layout) -> Iterator[Unit]:
    """The units of a file's lines: not the blank ones, not a CSV's header."""
    if layout.kind != "csv":
        return filled(source)
    rows = csv_rows(source, layout.delimiter)
    next(rows, None)
    return rows


def parse(raw: bytes, layout: Layout) -> Row:
    """The fields of one unit; Rejected when it cannot be read."""
    if layout.kind == "access":
        values = accesslog.fields_of(text_of(raw))
        if values is None:
            raise Rejected("not a line of a common or combined access log")
    elif layout.kind in ("jsonl", "original"):
        found = _object(raw)
        if found is None:
            raise Rejected("not one JSON object")
        values = _mapped(_ours(found, layout), layout.mapping)
    else:
        found = _mapped(_csv_values(raw, layout), layout.mapping)
        values = {name: _typed(name, text) for name, text in found.items() if text}
        _type_own(values, layout.default_type)
    return _row(values, layout.default_type)


def _ours(values: JsonObject, layout: Layout) -> JsonObject:
    return original.translated(values) if layout.kind == "original" else values


def _object(raw: bytes) -> JsonObject | None:
    try:
        value = msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _csv_values(raw: bytes, layout: Layout) -> JsonObject:
    try:
        found = cells(raw, layout.delimiter)
    except csv.Error:
        raise Rejected("not a CSV row: its quotes do not match") from None
    wanted = len(layout.columns)
    if len(found) < wanted or any(found[wanted:]):
        raise Rejected(f"{len(found)} cells under a header of {wanted}")
    return dict(zip(layout.columns, found, strict=False))


def _mapped(values: JsonObject, mapping: Mapping[str, str]) -> JsonObject:
    if not mapping:
        return values
    taken = frozenset(mapping.values())
    rest = {name: value for name, value in values.items() if name not in taken}
    named = {field: values[column] for field, column in mapping.items() if column in values}
    if both := rest.keys() & named.keys():
        raise Rejected(f"two values for {min(both)!r}: its own and the one mapped to it")
    return rest | named


def _typed(name: str, text: str) -> object:
    """A cell as its field's type; as it is where it does not fit, for the collector to judge."""
    try:
        if number := _NUMBERS.get(name):
            value = msgspec.convert(text.strip(), number, strict=False)
            return value if math.isfinite(value) else text
        return msgspec.json.decode(text) if name in _NESTED else text
    except (ValueError, RecursionError, OverflowError):
        return text


def _type_own(values: JsonObject, default_type: str | None) -> None:
    """The cells of a known type's own fields as that type has them, where they fit."""
    spec = TYPES.get(str(values.get("interaction_type") or default_type))
    if spec is None:
        return
    for field in msgspec.structs.fields(spec.struct):
        text = values.get(field.name)
        if field.name not in spec.own or not isinstance(text, str):
            continue
        with suppress(ValueError, RecursionError, OverflowError):
            given = msgspec.json.decode(text) if text[:1] in {"[", "{"} else text.strip()
            values[field.name] = msgspec.convert(given, field.type, strict=False)


def _row(values: JsonObject, default_type: str | None) -> Row:
    kind = values.pop("interaction_type", None) or default_type
    if not isinstance(kind, str):
        raise Rejected("interaction_type is not text")
    given, when = values.pop("interaction_id", None), values.pop("timestamp", None)
    if not isinstance(given, str | int | None):
        raise Rejected("interaction_id is neither text nor a number")
    ms = None
    if when not in (None, ""):
        exact = event_ms(when)
        ms = clamp(exact)
        if ms != exact:
            values.setdefault("client_timestamp", str(when))
    return Row(kind, values, ms, None if given in (None, "") else str(given))


def event_ms(when: object) -> int:
    """A time as ms since 1970: ISO 8601, a log's `17/May/2015:10:05:03 +0000`, epoch s or ms."""
    try:
        if isinstance(when, str):
            text = when.strip()
            if not _EPOCH.fullmatch(text):
                return parse_iso(accesslog.iso_of(text).removesuffix(" UTC"))
            when = float(text)
        if isinstance(when, bool) or not isinstance(when, int | float):
            raise ValueError
        return round(when if abs(when) >= 1e11 else when * 1000)
    except (ValueError, OverflowError):
        raise Rejected("its timestamp is not a time; write ISO 8601") from None


def _has_time(identifier: str | None) -> bool:
    ours = (identifier or "").lower()
    return bool(OURS.fullmatch(ours)) and clamp(id_ms(ours)) == id_ms(ours)


def keyed(row: Row, raw: bytes, occurrence: int, started_ms: int) -> JsonObject:
    """The row's fields with its id and time; the same bytes give the same id.

    A row without a time gets that of its id, else `started_ms`, when the file's import began.
    """
    given, ms = row.given_id, row.ms
    ours = given.lower() if given else ""
    if _has_time(ours):
        key, ms = ours, id_ms(ours) if ms is None else ms
    else:
        identifier = given or f"{blake2b(raw, digest_size=16).hexdigest()}:{occurrence}"
        ms = started_ms if ms is None else ms
        key = foreign_id("import", identifier, ms)
    return {**row.fields, "interaction_id": key, "timestamp": iso(ms)}
