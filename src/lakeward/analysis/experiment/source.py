"""Where a measure's events are in the lake: relation, moment, value and conditions as SQL.

In: a `Measure`. Out: a `Source`. Identifiers come from the catalog and from this module's registry;
values, and paths into custom types, are parameters. Fails with `Rejected` for a field that the type
does not have, or that is no number where one is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from msgspec import inspect

from lakeward.analysis.experiment.metric import Measure
from lakeward.analysis.question import Value
from lakeward.catalog import TYPES
from lakeward.errors import Rejected
from lakeward.lake.columns import COLUMNS

Unit = Literal["person", "session", "visitor"]

UNITS: Final[Mapping[Unit, str]] = {
    "person": "person",
    "session": "nullif(session_id, '')",
    "visitor": "nullif(anonymous_id, '')",
}
"""What the units of an experiment may be, as columns of `stitched`."""
NUMERIC: Final = frozenset({"INTEGER", "BIGINT", "DOUBLE"})


class Told(msgspec.Struct, frozen=True):
    """A view in which each thing stands once, with its newest word on a field."""

    relation: str
    at: str
    numbers: frozenset[str]
    texts: frozenset[str]


TOLD: Final[Mapping[str, Told]] = {
    "deal_closed": Told(
        "deals", "closed_at",
        frozenset({"value", "contract_months", "days_to_close", "satisfaction"}),
        frozenset({"currency", "deal_type", "partner_id"}),
    ),
    "demo_booking": Told(
        "bookings", "first_at", frozenset({"times_rescheduled"}),
        frozenset({"status", "demo_type", "source", "timezone", "partner_id"}),
    ),
    "demo_held": Told(
        "bookings", "held_at", frozenset({"times_rescheduled"}),
        frozenset({"demo_type", "source", "timezone", "partner_id"}),
    ),
}  # fmt: skip
"""What may be told more than once: asked by person, of the views that know the newest word."""


class Source(msgspec.Struct, frozen=True):
    """A measure's events as SQL: a select of service, unit, moment, value and kind."""

    text: str
    parameters: Mapping[str, Value]


def source(measure: Measure, unit: Unit, prefix: str) -> Source:
    """The events of a measure; parameters begin with `prefix`."""
    told = TOLD.get(measure.type)
    if told is not None and unit == "person":
        return _of_view(measure, told, prefix)
    if told is not None and (measure.verb != "did" or measure.field is not None):
        raise Rejected(
            f"{measure.type} may be told more than once and is only counted by person: leave the "
            f"unit {unit!r} away, or ask for {measure.type} alone."
        )
    return _of_rows(measure, unit, prefix)


def _of_view(measure: Measure, told: Told, prefix: str) -> Source:
    terms, parameters = ["person IS NOT NULL", f"{told.at} IS NOT NULL"], {}
    for n, (field, value) in enumerate(measure.filters):
        if field not in told.texts | told.numbers:
            raise _unknown(measure, field, told.texts | told.numbers)
        terms.append(f"CAST({field} AS VARCHAR) = ${prefix}_{n}")
        parameters[f"{prefix}_{n}"] = value
    value_, kind = "1.0", "NULL"
    if measure.field is not None:
        if measure.field not in told.numbers:
            raise _unknown(measure, measure.field, told.numbers)
        value_ = f"CAST({measure.field} AS DOUBLE)"
        kind = "currency" if measure.field == "value" else "NULL"
    text = (
        f"SELECT service, person AS unit, {told.at} AS moment, {value_} AS value, {kind} AS kind "
        f"FROM {told.relation} WHERE {' AND '.join(terms)}"
    )
    return Source(text, parameters)


def _of_rows(measure: Measure, unit: Unit, prefix: str) -> Source:
    """Each record is an event of its own; those of programs are none."""
    type_, filters = measure.type, measure.filters
    if type_ == "demo_held":
        type_, filters = "demo_booking", (*filters, ("status", "held"))
    parameters: dict[str, Value] = {f"{prefix}_type": type_}
    known = Measure(measure.verb, type_, measure.field, filters)
    terms = [
        f"interaction_type = ${prefix}_type", "NOT coalesce(bot, false)",
        f"{UNITS[unit]} IS NOT NULL",
    ]  # fmt: skip
    for n, (field, value) in enumerate(filters):
        column = _column(known, field, f"{prefix}_{n}_path", parameters)
        terms.append(f"CAST({column} AS VARCHAR) = ${prefix}_{n}")
        parameters[f"{prefix}_{n}"] = value
    value_ = "1.0"
    if measure.field is not None:
        _check_number(known, measure.field)
        column = _column(known, measure.field, f"{prefix}_path", parameters)
        value_ = f"TRY_CAST({column} AS DOUBLE)"
    text = (
        f"SELECT service, {UNITS[unit]} AS unit, timestamp AS moment, {value_} AS value, NULL AS kind "
        f"FROM stitched WHERE {' AND '.join(terms)}"
    )
    return Source(text, parameters)


def _column(
    measure: Measure, field: str, name: str, parameters: dict[str, Value]
) -> str:  # fmt: skip
    """A field as SQL: a column, or a path into the type's object."""
    spec = TYPES.get(measure.type)
    slot = "properties" if spec is None else spec.slot
    first = field.partition(".")[0]
    if (spec is None or first not in spec.own) and field in COLUMNS:
        return f'"{field}"'
    if slot is None or (spec is not None and first not in spec.own):
        raise _unknown(measure, field, frozenset() if spec is None else spec.own | spec.lifted)
    parameters[name] = "$" + "".join(f'."{part}"' for part in field.split("."))
    return f"json_extract_string({slot}, ${name})"


def _check_number(measure: Measure, field: str) -> None:
    """Refuse a known field that is no number; of custom types nobody knows."""
    spec = TYPES.get(measure.type)
    if spec is None or field not in spec.own:
        if field in COLUMNS and COLUMNS[field] not in NUMERIC:
            raise Rejected(f"{measure.type}.{field} is no number.")
        return
    described = inspect.type_info(spec.struct)
    assert isinstance(described, inspect.StructType)
    kinds = next(_kinds(f.type) for f in described.fields if f.name == field)
    if not any(isinstance(kind, inspect.IntType | inspect.FloatType) for kind in kinds):
        raise Rejected(f"{measure.type}.{field} is no number.")


def _kinds(found: inspect.Type) -> list[inspect.Type]:
    if isinstance(found, inspect.Metadata):
        return _kinds(found.type)
    if isinstance(found, inspect.UnionType):
        return [kind for each in found.types for kind in _kinds(each)]
    return [found]


def _unknown(measure: Measure, field: str, known: frozenset[str]) -> Rejected:
    takes = f": take one of {', '.join(sorted(known))}" if known else ""
    return Rejected(f"{measure.type} has no field {field[:40]!r} that fits here{takes}.")
