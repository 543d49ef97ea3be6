"""Metrics: what is counted, summed or ranked of the interactions that a series is of.

In: a name of the registry here and, where it takes one, a field. Out: the SQL of an aggregate, with
its unit. Fails with `Rejected` naming the metric.

Percentiles are by nearest rank: values that were measured. A metric of a field leaves out what does
not have it.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from lakeward.analysis.question import Kind
from lakeward.analysis.scope import Dimension
from lakeward.errors import Rejected


class Metric(msgspec.Struct, frozen=True):
    """A row of the registry; in its SQL `{rows}` is the condition of the series, and `{x}` the
    field."""

    sql: str
    doc: str
    unit: str = ""
    kind: Kind = "number"
    takes: Literal["nothing", "number", "anything"] = "nothing"
    default: str = ""
    """The field that is meant when none is named."""


def _percentile(share: float) -> Metric:
    return Metric(
        f"quantile_disc({{x}}, {share}) FILTER (WHERE {{rows}})",
        f"Percentile {share * 100:g} of the field.", takes="number", default="response_time_ms",
    )  # fmt: skip


FAILED: Final = "i.response_status >= 500"
METRICS: Final[dict[str, Metric]] = {
    "events": Metric("count(*) FILTER (WHERE {rows})", "Interactions.", "interactions", "integer"),
    "units": Metric(
        "count(DISTINCT CASE WHEN {rows} THEN i.unit END)", "Different units.", "units", "integer"
    ),
    "events_per_unit": Metric(
        "count(*) FILTER (WHERE {rows} AND i.unit IS NOT NULL) * 1e0 "
        "/ nullif(count(DISTINCT CASE WHEN {rows} THEN i.unit END), 0)",
        "Interactions for each unit.", "interactions",
    ),
    "unique": Metric(
        "count(DISTINCT CASE WHEN {rows} THEN {x} END)", "Different values of the field.",
        "values", "integer", "anything", "session_id",
    ),
    "sum": Metric("sum({x}) FILTER (WHERE {rows})", "Sum of the field.", takes="number"),
    "mean": Metric("avg({x}) FILTER (WHERE {rows})", "Mean of the field.", takes="number"),
    "least": Metric("min({x}) FILTER (WHERE {rows})", "Least of the field.", takes="number"),
    "most": Metric("max({x}) FILTER (WHERE {rows})", "Most of the field.", takes="number"),
    "p50": _percentile(0.5),
    "p90": _percentile(0.9),
    "p95": _percentile(0.95),
    "p99": _percentile(0.99),
    "errors": Metric(
        f"count(*) FILTER (WHERE {{rows}} AND {FAILED})", "Calls that the server failed (5xx).",
        "calls", "integer",
    ),
    "error_rate": Metric(
        f"count(*) FILTER (WHERE {{rows}} AND {FAILED}) * 1e0 "
        "/ nullif(count(i.response_status) FILTER (WHERE {rows}), 0)",
        "Calls that the server failed, of those that were answered.", "0 to 1",
    ),
}  # fmt: skip


def metric_of(name: str) -> Metric:
    """A metric by its name."""
    found = METRICS.get(name)
    if found is None:
        raise Rejected(f"{name[:40]!r} is no metric: take one of {', '.join(METRICS)}.")
    return found


def field_of(name: str, field: str | None) -> str | None:
    """The field that a metric is of; Rejected where it needs one, or takes none."""
    metric = metric_of(name)
    if metric.takes == "nothing":
        if field is not None:
            raise Rejected(f"The metric {name!r} takes no field.")
        return None
    if field is None and not metric.default:
        raise Rejected(f"The metric {name!r} needs a field, such as properties.amount.")
    return field or metric.default


def number(field: Dimension) -> str:
    """A field as a number."""
    if field.kind in ("integer", "number"):
        return field.sql
    return f"TRY_CAST({field.sql} AS DOUBLE)"
