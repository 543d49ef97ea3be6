"""What units did, as SQL: the interactions of a measure, each with its unit, moment and value.

In: a `Measure`. Out: a select of service, unit, ms, value and kind. Fails with `Rejected` for what
cannot be asked of a measure.

Deals and bookings may be told more than once. By person they come from the views that know each
once, with its newest word on a field; their moment is the first, by the interaction's own clock. By
any other unit one can only say whether they happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from lakeward.analysis.events import Source
from lakeward.analysis.experiment.metric import Measure
from lakeward.analysis.filters import Filter, both, condition, fields_of
from lakeward.analysis.metric import number
from lakeward.analysis.scope import Dimension
from lakeward.errors import Rejected


class Told(msgspec.Struct, frozen=True):
    """A view in which each thing stands once."""

    relation: str
    at: str
    fields: Mapping[str, str]
    """Its columns by the names of the fields they are of."""


_BOTH: Final = {"person": "person", "service": "service", "partner_id": "partner_id"}
_BOOKING: Final = _BOTH | {
    f"outcomes.{name}": name
    for name in ("status", "demo_type", "source", "timezone", "date", "times_rescheduled")
}
_DEAL: Final = _BOTH | {
    f"outcomes.{name}": name
    for name in (
        "value", "currency", "deal_type", "contract_months", "days_to_close", "satisfaction",
        "match_score", "match_rank", "days_from_match",
    )
}  # fmt: skip
TOLD: Final[Mapping[str, Told]] = {
    "deal_closed": Told("deals", "closed_at", _DEAL),
    "demo_booking": Told("bookings", "first_at", _BOOKING),
    "demo_held": Told("bookings", "held_at", _BOOKING),
}
"""`demo_held` is a booking whose status was `held`, at that moment."""
MONEY: Final = "outcomes.value"
LARGEST: Final = 1e15
"""As for numbers of the catalog; infinity in one stranger's record would leave no figure."""


def deeds(measure: Measure, unit: str, source: Source) -> str:
    """The select of a measure's interactions."""
    told = TOLD.get(measure.event)
    if told is None:
        return _of_rows(measure, unit, source)
    if unit == "person":
        return _of_view(measure, told, source)
    if measure.verb != "did":
        raise Rejected(
            f"{measure.event} may be told more than once and is only counted by person: leave "
            f"`unit` away, or ask whether there was one ({measure.event} alone)."
        )
    if measure.event == "demo_held":
        held = Filter(field="outcomes.status", values=("held",))
        measure = Measure(event="demo_booking", where=both(measure.where, held))
    return _of_rows(measure, unit, source)


def _of_rows(measure: Measure, unit: str, source: Source) -> str:
    """Each record is one of its own."""
    value, named = "1.0", [unit, *fields_of(measure.where)]
    if measure.field is not None:
        value = _finite(number(source.field(measure.field)))
        named.append(measure.field)
    of = source.field(unit).sql
    terms = source.where(
        source.of_type(measure.event), source.condition(measure.where), f"{of} IS NOT NULL"
    )
    return (
        f"SELECT i.service, {of} AS unit, {source.ms} AS ms, {value} AS value, NULL AS kind "
        f"FROM {source.relation(*named)} WHERE {terms}"
    )


def _finite(value: str) -> str:
    """A number that can be squared and added up; any other is none."""
    return f"CASE WHEN abs({value}) <= {LARGEST:.0f} THEN {value} END"


def _of_view(measure: Measure, told: Told, source: Source) -> str:
    def look(name: str) -> Dimension:
        if name not in told.fields:
            raise Rejected(
                f"{measure.event} has no field {name[:80]!r} that fits here: take one of "
                f"{', '.join(told.fields)}."
            )
        return Dimension(f"CAST(i.{told.fields[name]} AS VARCHAR)", "")

    value = kind = None
    if measure.field is not None:
        value = _finite(f"TRY_CAST({look(measure.field).sql} AS DOUBLE)")
        kind = "i.currency" if measure.field == MONEY else None
    terms = ["i.person IS NOT NULL", f"i.{told.at} IS NOT NULL"]
    if source.events.until is not None:
        terms.append(f"i.{told.at} < {source.values(source.events.until)}")
    terms.append(condition(measure.where, look, source.values))
    return (
        f"SELECT i.service, i.person AS unit, epoch_ms(i.{told.at}) AS ms, {value or '1.0'} AS "
        f"value, {kind or 'NULL'} AS kind FROM {told.relation} i WHERE {' AND '.join(terms)}"
    )
