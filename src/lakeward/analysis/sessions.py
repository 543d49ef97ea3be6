"""Sessions: how many there were, how long they took, and where they began and ended.

In: whose sessions, and the pause that ends one (see `sittings`). Out: a row for each moment of the
grain and each combination of the fields that break it down.

A session is of the moment at which it began. It took the time from its first interaction to its
last: none, where it has one only, which is a *bounce*. `by` takes fields where the session began:
the value in the first of its interactions that has one; `ends` fields where it ended: the value in
the last that has one. Interactions of one millisecond stand in the order of their ids. Moments
without a session are no rows.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from lakeward.analysis.events import CALENDAR, check_fields, field_columns, looked
from lakeward.analysis.question import Column, Sql, says
from lakeward.analysis.sittings import Sat
from lakeward.errors import Rejected


class Sessions(Sat, frozen=True, kw_only=True):
    """How many sessions there were, how long they took, where they began and ended."""

    name: ClassVar[str] = "sessions"

    grain: Annotated[
        Literal["hour", "day", "week", "month"] | None,
        says("How long a moment is; without it all is one."),
    ] = "day"
    by: Annotated[tuple[str, ...], says("Fields that break it down; where sessions began.")] = ()
    ends: Annotated[tuple[str, ...], says("Fields that break it down; where they ended.")] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        check_fields("by", self.by)
        check_fields("ends", self.ends)
        for name in (*self.by, *self.ends):
            if name in CALENDAR:
                raise Rejected(f"{name!r} is of the session's beginning: take it as `grain`.")

    def columns(self) -> tuple[Column, ...]:
        """The moment, the fields, and the figures."""
        columns = [*field_columns(self.by)]
        if self.grain is not None:
            kind: Any = "time" if self.grain == "hour" else "date"
            columns.insert(0, Column("moment", kind, f"Beginning of the {self.grain}."))
        for name in self.ends:
            columns.append(Column(f"last_{name}", looked(name).kind, f"Of the last: `{name}`."))
        return (
            *columns,
            Column("sessions", "integer", "Sessions that began.", "sessions"),
            Column("units", "integer", "Whose they were.", "units"),
            Column("events", "integer", "Interactions in them.", "interactions"),
            Column("events_per_session", "number", "Of each, the mean.", "interactions"),
            Column("median_seconds", "number", "Time from first to last, median.", "s"),
            Column("p90_seconds", "number", "Time from first to last, percentile 90.", "s"),
            Column("bounce_share", "number", "Sessions with one interaction.", "0 to 1"),
        )

    def sql(self) -> Sql:
        """Over `interactions`, or `stitched` where the sessions are a person's."""
        from lakeward.analysis.sessions_sql import quick, statement

        return quick(self) or statement(self)

    def portable(self) -> Sql:
        """The form that every engine takes."""
        from lakeward.analysis.sessions_sql import statement

        return statement(self)
