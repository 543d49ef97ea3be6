"""Visits: how many came, what they looked at, how long they stayed, and where that began.

In: views of pages (`page_view`) and screens (`screen_view`). Out: `visits` counts sessions of them,
`pages` the views of each page.

A view is told once when it begins and again when it is left: reports with one `view_id` are one
view, of the moment of the first, that was in use for as long as the longest of them says. What has
no `view_id` is a view of its own.

A session goes on while the next view begins within the gap after the one before, the time that it
was in use included, and takes from the beginning of its first view to the end of its last one's
use. A session of one view is a *bounce*; it is of the moment at which it began.

A *visitor* is the unit. Who has none, as somebody who asked not to be known, is told apart by the
session; a view without either is of nobody and not counted.

`by` takes fields of the view with which a session began, `ends` of the one with which it ended: so
the site of the referrer is where somebody came from, not the site itself. Of `pages`, `by` is about
each view.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import Annotated, Any, ClassVar, Final

from lakeward.analysis.events import CALENDAR, check_fields, field_columns, looked
from lakeward.analysis.grains import Grain, floored, following
from lakeward.analysis.question import Column, Row, Sql, says
from lakeward.analysis.sittings import Sat
from lakeward.errors import Rejected

MOST_ROWS: Final = 10_000
FIGURES: Final = (
    Column("visitors", "integer", "Whose sessions they were.", "visitors"),
    Column("sessions", "integer", "Sessions that began.", "sessions"),
    Column("views", "integer", "Views of pages in them.", "views"),
    Column("views_per_session", "number", "Of each, the mean.", "views"),
    Column("bounce_share", "number", "Sessions with one view.", "0 to 1"),
    Column("median_seconds", "number", "How long sessions took, median.", "s"),
)


class Visits(Sat, frozen=True, kw_only=True):
    """How many came, how much they looked at and how long they stayed; where it began and ended."""

    name: ClassVar[str] = "visits"

    grain: Annotated[Grain | None, says("How long a moment is; without it all is one.")] = None
    by: Annotated[tuple[str, ...], says("Fields that break it down; where sessions began.")] = ()
    ends: Annotated[tuple[str, ...], says("Fields that break it down; where they ended.")] = ()
    limit: Annotated[int, says("How many rows, at most; those with the most visitors.")] = 1000

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        check_fields("by", self.by)
        check_fields("ends", self.ends)
        for name in (*self.by, *self.ends):
            if name in CALENDAR:
                raise Rejected(f"{name!r} is of the session's beginning: take it as `grain`.")
        check_limit(self.limit)

    def columns(self) -> tuple[Column, ...]:
        """The moment, the fields, and the figures."""
        columns = [*field_columns(self.by)]
        if self.grain is not None:
            kind: Any = "time" if self.grain == "hour" else "date"
            columns.insert(0, Column("moment", kind, f"Beginning of the {self.grain}."))
        for name in self.ends:
            columns.append(Column(f"last_{name}", looked(name).kind, f"Of the last: `{name}`."))
        return (*columns, *FIGURES)

    def sql(self) -> Sql:
        """Over the days that the view knows."""
        from lakeward.analysis.visits_sql import visits

        return visits(self, quick=True)

    def portable(self) -> Sql:
        """The form that every engine takes."""
        from lakeward.analysis.visits_sql import visits

        return visits(self)

    def finish(self, rows: list[Row]) -> list[Row]:
        """With a row for each moment in which nobody came, where nothing else breaks it down."""
        if self.grain is None or not rows or self.by or self.ends:
            return rows
        first, last = rows[0][0], rows[-1][0]
        if self.since is not None:
            first = floored(self.grain, self.since, self.zone)
        if self.until is not None:
            last = floored(self.grain, self.until - timedelta(milliseconds=1), self.zone)
        found = {row[0]: row for row in rows}
        moments = list(islice(following(self.grain, first, last, self.zone), MOST_ROWS + 1))
        if len(moments) > MOST_ROWS:
            raise Rejected(f"The answer has more than {MOST_ROWS} rows: take a longer grain.")
        nobody = (0, 0, 0, None, None, None)
        return [found.get(moment) or (moment, *nobody) for moment in moments]


class Pages(Sat, frozen=True, kw_only=True):
    """How often each page was seen, by how many, for how long, and how often they left there."""

    name: ClassVar[str] = "pages"

    by: Annotated[tuple[str, ...], says("Fields of a view that break it down.")] = ("path",)
    limit: Annotated[int, says("How many rows, at most; those with the most views.")] = 100

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        check_fields("by", self.by)
        check_limit(self.limit)

    def columns(self) -> tuple[Column, ...]:
        """The fields and the figures."""
        return (
            *field_columns(self.by),
            Column("visitors", "integer", "Who saw it.", "visitors"),
            Column("views", "integer", "Views.", "views"),
            Column("entries", "integer", "Sessions that began there.", "sessions"),
            Column("exits", "integer", "Sessions that ended there.", "sessions"),
            Column("exit_share", "number", "Views with which a session ended.", "0 to 1"),
            Column("bounces", "integer", "Sessions that had no other view.", "sessions"),
            Column("bounce_share", "number", "Of the sessions that began there.", "0 to 1"),
            Column("median_seconds", "number", "Time in use, median of the views that tell it.",
                   "s"),
            Column("median_depth", "number", "Deepest point reached, median of the same.", "%"),
        )  # fmt: skip

    def sql(self) -> Sql:
        """Over the days that the view knows."""
        from lakeward.analysis.visits_sql import pages

        return pages(self, quick=True)

    def portable(self) -> Sql:
        """The form that every engine takes."""
        from lakeward.analysis.visits_sql import pages

        return pages(self)


def check_limit(limit: int) -> None:
    """Refuse a number of rows that is none."""
    if not 1 <= limit <= MOST_ROWS:
        raise Rejected(f"`limit` must be from 1 to {MOST_ROWS}.")
