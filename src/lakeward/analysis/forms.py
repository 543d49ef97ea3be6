"""Forms: how many who begin one send it, and at which field the others stop.

In: what browsers tell of forms (`form_interaction`). Out: a row for each form, or for each field of
it. Never what was typed: it is not there.

An *attempt* is what one session does with one form of one page: it begins with the first thing that
is told, with `start`, and with the first after it was sent or given up. It was *submitted* where
that is told, else *abandoned* where that is, else it is *open*: it goes on, or its end never came.
What is told in one millisecond is in the order in which it can only have been: start, fields,
refusals, the end. Who has no session is one by who they are; without either nothing is known of an
attempt.

An attempt that was not submitted *stopped* at the last field that is told of it: that of the
abandoning, else the last that was left or refused; at none (an empty field), where nothing was
touched. A field is *used* where that is told of it, and where the end of the attempt lists it: who
sends a form by a key does not leave its last field. Only what lies between `since` and `until`
counts.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from lakeward.analysis.events import VISITOR, Events, Source, check_fields, field_columns
from lakeward.analysis.metric import number
from lakeward.analysis.question import Column, Sql, says
from lakeward.errors import Rejected

MOST_ROWS: Final = 10_000
RANKS: Final = "CASE action WHEN 'start' THEN 0 WHEN 'field' THEN 1 WHEN 'error' THEN 2 ELSE 3 END"
TEXTS: Final = ("form", "action", "field", "field_order")
NUMBERS: Final = ("field_index", "field_ms", "changes", "duration_ms")
FORM: Final = Column("form", "text", "Name or id of the form.")


class _Form(Events, frozen=True, kw_only=True):
    """What both have in common."""

    by: Annotated[tuple[str, ...], says("Fields that break it down, such as path.")] = ()
    limit: Annotated[int, says("How many rows, at most.")] = 100

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        check_fields("by", self.by)
        if not 1 <= self.limit <= MOST_ROWS:
            raise Rejected(f"`limit` must be from 1 to {MOST_ROWS}.")

    @property
    def _keys(self) -> list[str]:
        return [f"by_{n}" for n in range(1, len(self.by) + 1)]

    def _shown(self, relation: str) -> str:
        pairs = zip(self._keys, self.by, strict=True)
        return "".join(f', {relation}.{key} AS "{name}"' for key, name in pairs)

    def _same(self, left: str, right: str) -> str:
        """The condition that two relations mean the same form, with the same fields."""
        return " AND ".join(
            f"{left}.{key} IS NOT DISTINCT FROM {right}.{key}" for key in ("form", *self._keys)
        )

    def _terms(self, source: Source) -> tuple[str, ...]:
        """What else must hold."""
        return ()

    def sql(self) -> Sql:
        """Over the days that the view knows."""
        source = Source(self, quick=True)
        return Sql(self._told(source) + self._answer(), source.parameters)

    def portable(self) -> Sql:
        """The form that every engine takes."""
        source = Source(self)
        return Sql(self._told(source) + self._answer(), source.parameters)

    def _answer(self) -> str:
        raise NotImplementedError

    def _told(self, source: Source) -> str:
        """The relations `numbered`, a row for each thing told, and `attempts`."""
        texts = {name: source.field(f"properties.{name}").sql for name in TEXTS}
        numbers = {name: number(source.field(f"properties.{name}")) for name in NUMBERS}
        told = "".join(f", {sql} AS {name}" for name, sql in (texts | numbers).items())
        fields = "".join(
            f", {source.field(name).sql} AS {key}"
            for name, key in zip(self.by, self._keys, strict=True)
        )
        who = f"coalesce(nullif(i.session_id, ''), {VISITOR.sql})"
        known = f"{who} IS NOT NULL AND {texts['form']} IS NOT NULL"
        terms = (source.of_type("form_interaction"), known, *self._terms(source))
        order = f"PARTITION BY u, form, path ORDER BY t, {RANKS}, id"
        ended = f"coalesce(lag(action) OVER ({order}) IN ('submit', 'abandon'), TRUE)"
        return f"""WITH told AS (
    SELECT {who} AS u, {source.ms} AS t, i.interaction_id AS id,
        coalesce(i.path, '') AS path{told}{fields}
    FROM {source.relation(*self.by)} WHERE {source.where(*terms)}
), begun AS (
    SELECT *, row_number() OVER ({order}) AS place,
        CASE WHEN action = 'start' OR {ended} THEN 1 ELSE 0 END AS f
    FROM told
), numbered AS (
    SELECT *, sum(f) OVER (PARTITION BY u, form, path ORDER BY place ROWS UNBOUNDED PRECEDING) AS n
    FROM begun
), attempts AS (
    SELECT u, form, path, n{"".join(_first(key) for key in self._keys)},
        max(CASE WHEN action = 'submit' THEN 1 ELSE 0 END) AS submitted,
        max(CASE WHEN action = 'abandon' THEN 1 ELSE 0 END) AS abandoned,
        max(CASE WHEN action = 'error' THEN 1 ELSE 0 END) AS refused,
        max(CASE WHEN action = 'submit' THEN duration_ms END) AS duration_ms,
        max(field_order) AS used,
        max_by(field, CASE WHEN field IS NOT NULL THEN place END) AS stopped_at
    FROM numbered GROUP BY u, form, path, n
)
"""


class Forms(_Form, frozen=True, kw_only=True):
    """How many who begin a form send it, give it up, or are refused, and how long it takes."""

    name: ClassVar[str] = "forms"

    def columns(self) -> tuple[Column, ...]:
        """The form, the fields, the figures."""
        return (
            FORM, *field_columns(self.by),
            Column("attempts", "integer", "Times that it was begun.", "attempts"),
            Column("submitted", "integer", "Those that were sent.", "attempts"),
            Column("abandoned", "integer", "Those that were given up.", "attempts"),
            Column("open", "integer", "Those of which neither is told.", "attempts"),
            Column("submitted_share", "number", "Sent ones, of all.", "0 to 1"),
            Column("refused", "integer", "Those that the browser refused once at least.",
                   "attempts"),
            Column("refused_share", "number", "Refused ones, of all.", "0 to 1"),
            Column("median_seconds", "number", "From the start to sending, median.", "s"),
            Column("stops_most_at", "text", "The field at which most of the others stopped."),
        )  # fmt: skip

    def _answer(self) -> str:
        keys, group = ", ".join(["form", *self._keys]), _places(1 + len(self._keys))
        order = "".join(f", c.{key} NULLS LAST" for key in ["form", *self._keys])
        return f""", counted AS (
    SELECT {keys}, count(*) AS attempts, sum(submitted) AS submitted,
        sum(CASE WHEN submitted = 0 THEN abandoned ELSE 0 END) AS abandoned,
        sum(refused) AS refused, quantile_cont(duration_ms, 0.5) / 1000.0 AS median_seconds
    FROM attempts GROUP BY {group}
), stops AS (
    SELECT {keys}, stopped_at,
        row_number() OVER (PARTITION BY {keys} ORDER BY count(*) DESC, stopped_at) AS place
    FROM attempts WHERE submitted = 0 AND stopped_at IS NOT NULL
    GROUP BY {_places(2 + len(self._keys))}
)
SELECT c.form{self._shown("c")}, c.attempts, CAST(c.submitted AS BIGINT) AS submitted,
    CAST(c.abandoned AS BIGINT) AS abandoned,
    CAST(c.attempts - c.submitted - c.abandoned AS BIGINT) AS "open",
    CAST(c.submitted AS DOUBLE) / c.attempts AS submitted_share,
    CAST(c.refused AS BIGINT) AS refused, CAST(c.refused AS DOUBLE) / c.attempts AS refused_share,
    c.median_seconds, s.stopped_at AS stops_most_at
FROM counted c LEFT JOIN stops s ON s.place = 1 AND {self._same("c", "s")}
ORDER BY c.attempts DESC{order} LIMIT {self.limit}"""


class FormFields(_Form, frozen=True, kw_only=True):
    """Where people stop: of each field of a form who reached it, stopped there, was refused."""

    name: ClassVar[str] = "form_fields"

    form: Annotated[str | None, says("Only this form.")] = None

    def columns(self) -> tuple[Column, ...]:
        """The form, the field, the figures."""
        return (
            FORM, *field_columns(self.by),
            Column("field", "text", "Name of the field; empty: none was touched."),
            Column("place", "integer", "Place of the field in the form, from 0."),
            Column("attempts", "integer", "Times that the form was begun.", "attempts"),
            Column("reached", "integer", "Attempts in which the field was used.", "attempts"),
            Column("reached_share", "number", "Of the times that the form was begun.", "0 to 1"),
            Column("stopped", "integer", "Attempts that ended there, unsent.", "attempts"),
            Column("stopped_share", "number", "Of all that ended unsent.", "0 to 1"),
            Column("refused", "integer", "Attempts in which the browser refused it.", "attempts"),
            Column("median_seconds", "number", "How long it had the focus each time, median.",
                   "s"),
            Column("changes", "number", "How often it was corrected each time, mean.", "changes"),
        )  # fmt: skip

    def _terms(self, source: Source) -> tuple[str, ...]:
        if self.form is None:
            return ()
        return (f"{source.field('properties.form').sql} = {source.values(self.form)}",)

    def _answer(self) -> str:
        keys = ", ".join(["form", *self._keys])
        mine = "".join(f", a.{key}" for key in self._keys)
        order = "".join(f", k.{key} NULLS LAST" for key in self._keys)
        group = _places(2 + len(self._keys))
        return f""", names AS (
    SELECT DISTINCT form, field FROM numbered WHERE field IS NOT NULL
), about AS (
    SELECT u, form, path, n, field, max(CASE WHEN action = 'error' THEN 1 ELSE 0 END) AS refused
    FROM numbered WHERE field IS NOT NULL GROUP BY 1, 2, 3, 4, 5
), touched AS (
    SELECT a.form{mine}, f.field, 1 AS reached, 0 AS stopped, coalesce(n.refused, 0) AS refused
    FROM attempts a JOIN names f ON f.form = a.form
    LEFT JOIN about n ON {_SAME_ATTEMPT} AND n.field = f.field
    WHERE n.field IS NOT NULL OR strpos(a.used, '"' || f.field || '"') > 0
    UNION ALL
    SELECT a.form{mine}, a.stopped_at AS field, 0 AS reached, 1 AS stopped, 0 AS refused
    FROM attempts a WHERE submitted = 0
), kept AS (
    SELECT {keys}, field, sum(reached) AS reached, sum(stopped) AS stopped, sum(refused) AS refused
    FROM touched GROUP BY {group}
), times AS (
    SELECT a.form{mine}, n.field, CAST(min(n.field_index) AS INTEGER) AS place,
        quantile_cont(n.field_ms, 0.5) / 1000.0 AS median_seconds, avg(n.changes) AS changes
    FROM attempts a JOIN numbered n ON {_SAME_ATTEMPT}
    WHERE n.action = 'field' AND n.field IS NOT NULL GROUP BY {group}
), overall AS (
    SELECT {keys}, count(*) AS attempts, sum(1 - submitted) AS unsent
    FROM attempts GROUP BY {_places(1 + len(self._keys))}
)
SELECT k.form{self._shown("k")}, k.field, t.place, o.attempts,
    CAST(k.reached AS BIGINT) AS reached,
    CAST(k.reached AS DOUBLE) / o.attempts AS reached_share, CAST(k.stopped AS BIGINT) AS stopped,
    CAST(k.stopped AS DOUBLE) / nullif(o.unsent, 0) AS stopped_share,
    CAST(k.refused AS BIGINT) AS refused, t.median_seconds, t.changes
FROM kept k JOIN overall o ON {self._same("k", "o")}
LEFT JOIN times t ON t.field = k.field AND {self._same("k", "t")}
ORDER BY o.attempts DESC, k.form{order}, t.place NULLS LAST, k.field NULLS LAST
LIMIT {self.limit}"""


_SAME_ATTEMPT: Final = "n.u = a.u AND n.form = a.form AND n.path = a.path AND n.n = a.n"


def _first(key: str) -> str:
    """The value in the first of an attempt that has one."""
    return f", min_by({key}, CASE WHEN {key} IS NOT NULL THEN place END) AS {key}"


def _places(most: int) -> str:
    return ", ".join(str(n) for n in range(1, most + 1))
