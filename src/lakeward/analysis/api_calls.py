"""Single calls of an API: the slowest, and the newest that failed.

Out: a row for each call, with the ids that lead to all that is known of it. Equally slow calls come
by their ids; of two failures in one millisecond the greater id is the newer. A call that has no
time is not slow; a call without a status failed where it names an error.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from lakeward.analysis.api_health import CALL, check_limit
from lakeward.analysis.events import Events, Source
from lakeward.analysis.question import Column, Sql, says
from lakeward.errors import Rejected

FIELDS: Final = {
    "method": ("i.method", Column("method", "text", "HTTP method.")),
    "route": ("i.route", Column("route", "text", "Template of the path; none matched: empty.")),
    "path": ("i.path", Column("path", "text", "Path of the request.")),
    "status": ("i.response_status", Column("status", "integer", "HTTP status.")),
    "response_time_ms": (
        "i.response_time_ms", Column("response_time_ms", "number", "How long it took.", "ms"),
    ),
    "ttfb_ms": ("i.ttfb_ms", Column("ttfb_ms", "number", "Time to the first byte.", "ms")),
    "error_type": ("i.error_type", Column("error_type", "text", "Class of the error.")),
    "user_id": (
        "nullif(i.user_id, 'anonymous')", Column("user_id", "text", "The user, where known."),
    ),
    "consumer": (CALL["consumer"].sql, Column("consumer", "text", CALL["consumer"].doc)),
    "service": ("i.service", Column("service", "text", "App that told of it.")),
    "app_version": ("i.app_version", Column("app_version", "text", "Version of the app.")),
    "trace_id": ("i.trace_id", Column("trace_id", "text", "W3C id of the trace.")),
    "interaction_id": ("i.interaction_id", Column("interaction_id", "text", "The record.")),
}  # fmt: skip


class _Calls(Events, frozen=True, kw_only=True):
    """What lists of calls have in common."""

    bots: Annotated[bool, says("Whether programs count.")] = True
    internal: Annotated[bool, says("Whether the team's own traffic counts.")] = True
    limit: Annotated[int, says("How many calls, at most.")] = 20

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        check_limit(self.limit)

    def columns(self) -> tuple[Column, ...]:
        """Of a call."""
        at = Column("at", "time", "When it was, on the chosen clock.")
        return (at, *(column for _, column in FIELDS.values()))

    def _listed(self, source: Source, order: str, *terms: str) -> Sql:
        shown = ", ".join(f"{sql} AS {name}" for name, (sql, _) in FIELDS.items())
        where = source.where(source.of_type("api_call"), *terms)
        text = f"""SELECT {source.at} AS "at", {shown}
FROM {source.relation()} WHERE {where}
ORDER BY {order} LIMIT {self.limit}"""
        return Sql(text, source.parameters)


class ApiSlowest(_Calls, frozen=True, kw_only=True):
    """The calls that took longest."""

    name: ClassVar[str] = "api_slowest"

    def sql(self) -> Sql:
        """Over `interactions`."""
        order = "i.response_time_ms DESC, i.interaction_id"
        return self._listed(Source(self), order, "i.response_time_ms IS NOT NULL")


class ApiFailures(_Calls, frozen=True, kw_only=True):
    """The newest calls that failed."""

    name: ClassVar[str] = "api_failures"

    status: Annotated[int, says("The least status that is a failure; 400 takes refusals in.")] = 500

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        if not 400 <= self.status <= 599:
            raise Rejected("`status` must be from 400 to 599.")

    def sql(self) -> Sql:
        """Over `interactions`."""
        source = Source(self)
        failed = (
            f"(i.response_status >= {source.values(self.status)} "
            "OR (i.response_status IS NULL AND i.error_type IS NOT NULL))"
        )
        return self._listed(source, f"{source.ms} DESC, i.interaction_id DESC", failed)
