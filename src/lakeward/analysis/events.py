"""What questions about interactions have in common: time, clock, filters, fields and units.

In: parameters of whoever asks. Out: the relation that a question counts over, as SQL over the views
`interactions` and `stitched`; its identifiers come from the registry here, its values are
parameters. Fails with `Rejected` naming the parameter.

    SELECT <unit> AS unit, <clock> AS ms, <dimensions> FROM interactions i WHERE <time and filters>

Bots and the team's own traffic are left out unless asked for. What is counted is a *unit*: a person
(who the view `stitched` says), a user, a session, or any field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, time
from typing import Annotated, Final, Literal

import msgspec

from lakeward.analysis.filters import Filter, check_size, condition, fields_of
from lakeward.analysis.question import Column, Kind, Row, Value, says
from lakeward.analysis.scope import MOST_DIMENSIONS, Dimension, check_times
from lakeward.analysis.values import Values
from lakeward.dictionary import FIELDS_DOC
from lakeward.errors import Rejected
from lakeward.lake.columns import COLUMNS, NESTED
from lakeward.lake.dated import DATED, DAY, STITCHED

Clock = Literal["event", "device", "sent", "received"]

CLOCKS: Final[dict[Clock, str]] = {
    "event": "i.timestamp",
    "device": "coalesce(TRY_CAST(i.client_timestamp AS TIMESTAMPTZ), i.timestamp)",
    "sent": "coalesce(TRY_CAST(i.sent_at AS TIMESTAMPTZ), i.timestamp)",
    "received": "coalesce(TRY_CAST(i.received_at AS TIMESTAMPTZ), i.timestamp)",
}
"""When something happened: as the record says, corrected for clocks that are wrong; as the device
said; when it was sent; when it came in. What lacks the one has the first."""
OWN: Final = ("user_type:internal", "user_type:staff", "user_type:test")
OWN_FIELDS: Final = (
    "user_type", "user_id", "anonymous_id", "session_id", "service", "environment", "ip_address",
    "app_version",
)  # fmt: skip
"""Fields by which a team may name its own traffic; of addresses, how they begin."""
ANY: Final = "*"
"""The name of a step or a series that every interaction is of."""
PATH: Final = re.compile(r"([a-z_]+)\.([\w$-]{1,100}(?:\.[\w$-]{1,100}){0,4})")
EVENT_NAME: Final = re.compile(r"[^\s\x00-\x1f]{1,200}")
KINDS: Final[dict[str, Kind]] = {
    "VARCHAR": "text", "TIMESTAMPTZ": "time", "INTEGER": "integer", "BIGINT": "integer",
    "DOUBLE": "number", "BOOLEAN": "boolean", "DATE": "date",
}  # fmt: skip
ADDED: Final = {
    "device": "Kind of device.", "browser": "Browser.", "os": "Operating system.",
    "bot": "Whether it was a bot.", "referrer_host": "Site that the visitor came from.",
    "utm_source": "Campaign's source.", "utm_medium": "Campaign's medium.",
    "utm_campaign": "Campaign.", "utm_term": "Campaign's term.",
    "utm_content": "Campaign's content.", "country": "Country.", "city": "City.",
}  # fmt: skip

HIDDEN: Final = {"user_id": "anonymous", "user_type": "unknown"}
"""Values that mean that nothing is known."""
DAYS: Final = {
    "day": f"i.{DAY}",
    "week": f"CAST(date_trunc('week', i.{DAY}) AS DATE)",
    "month": f"CAST(date_trunc('month', i.{DAY}) AS DATE)",
    "weekday": f"CAST(isodow(i.{DAY}) AS INTEGER)",
}
"""Of the calendar, what a day in UTC says."""


def _columns() -> dict[str, Dimension]:
    docs = {row.name: row.meaning for row in FIELDS_DOC} | ADDED
    named = {name: kind for name, kind in COLUMNS.items() if name not in NESTED}
    found = {
        name: Dimension(f"i.{name}", docs.get(name, ""), KINDS[kind])
        for name, kind in named.items()
    }
    for name, nobody in HIDDEN.items():
        found[name] = Dimension(f"nullif(i.{name}, '{nobody}')", docs[name])
    found["bot"] = Dimension("coalesce(i.bot, FALSE)", docs["bot"], "boolean")
    return found


FIELDS: Final[dict[str, Dimension]] = _columns()
"""The record's own fields and those that are added on the way in, over a row `i`."""
CALENDAR: Final = ("hour", "day", "week", "month", "hour_of_day", "weekday")
PERSON: Final = Dimension("i.person", "Who it was: the user, else the anonymous visitor.")
VISITOR: Final = Dimension(
    "coalesce(nullif(i.user_id, 'anonymous'), nullif(i.anonymous_id, ''))",
    "Who the record itself says it was: the user, else the anonymous visitor.",
)
"""As the person, but no two ids are ever one: it needs no look at all the others."""
PEOPLE: Final = {"person": PERSON, "visitor": VISITOR}
JSON_FIELDS: Final = tuple(name for name in COLUMNS if name in NESTED)


class Events(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The parameters that questions about interactions have in common."""

    since: Annotated[datetime | None, says("The first moment that counts.")] = None
    until: Annotated[datetime | None, says("The first moment that counts no more.")] = None
    zone: Annotated[str, says("The time zone whose days are meant.")] = "UTC"
    clock: Annotated[Clock, says("Whose clock says when it happened.")] = "event"
    where: Annotated[Filter | None, says("What must hold of an interaction.")] = None
    bots: Annotated[bool, says("Whether bots count.")] = False
    internal: Annotated[bool, says("Whether the team's own traffic counts.")] = False
    internal_is: Annotated[
        tuple[str, ...], says("What the team's own traffic is: `field:value`.")
    ] = OWN

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        check_times(self.since, self.until, self.zone)
        check_size(self.where)
        for rule in self.internal_is:
            own_rule(rule)
        condition(self.where, looked, Values())

    def finish(self, rows: list[Row]) -> list[Row]:
        """As the statement gave them."""
        return rows


def own_rule(rule: str) -> tuple[str, str]:
    """The field and the value of a rule for the team's own traffic."""
    field, colon, value = rule.partition(":")
    if not colon or not value or field not in OWN_FIELDS:
        raise Rejected(
            f"`internal_is`: {rule[:80]!r} must be like user_type:staff; the fields are "
            f"{', '.join(OWN_FIELDS)}."
        )
    return field, value


def look(name: str, values: Values, at: str = CLOCKS["event"], zone: str = "UTC") -> Dimension:
    """A field by its name; Rejected for a name that is none.

    `properties.plan` is what stands in the object `properties` under `plan`, as text.
    """
    if name in PEOPLE:
        return PEOPLE[name]
    if name in FIELDS:
        return FIELDS[name]
    if name in CALENDAR:
        return calendar(name, at, values(zone))
    path = PATH.fullmatch(name)
    if path is not None and path[1] in JSON_FIELDS:
        steps = "".join(f'."{step}"' for step in path[2].split("."))
        return Dimension(
            f"json_extract_string(i.{path[1]}, {values('$' + steps)})", f"`{name}` of the record."
        )
    raise Rejected(
        f"{name[:80]!r} is no field: take one of the record's, such as route, device or "
        "properties.plan, or one of " + ", ".join((*PEOPLE, *CALENDAR)) + "."
    )


def looked(name: str) -> Dimension:
    """As `look`, for a check."""
    return look(name, Values())


def calendar(name: str, at: str, zone: str) -> Dimension:
    """A dimension of the calendar; hours are moments, so that none is two where clocks go back."""
    local = f"({at} AT TIME ZONE {zone})"
    if name == "hour":
        ms = f"epoch_ms({at}) - (epoch_ms({local}) % 3600000)"
        return Dimension(f"make_timestamptz(({ms}) * 1000)", "Hour in the zone.", "time")
    if name == "hour_of_day":
        return Dimension(f"CAST(hour({local}) AS INTEGER)", "Hour of the day, 0 to 23.", "integer")
    if name == "weekday":
        day = f"CAST(isodow({local}) AS INTEGER)"
        return Dimension(day, "Day of the week, Monday is 1.", "integer")
    docs = {"day": "Day in the zone.", "week": "Monday of the week.",
            "month": "First day of the month."}  # fmt: skip
    start = f"CAST(date_trunc('{name}', {local}) AS DATE)"
    return Dimension(start, docs[name], "date")


def needs_person(events: Events, *names: str) -> bool:
    """Whether a question names the person, who is worked out and not stored."""
    return "person" in names or "person" in fields_of(events.where)


class Source:
    """Builds the relation that one question counts over."""

    def __init__(
        self, events: Events, values: Values | None = None, *, quick: bool = False
    ) -> None:
        """`quick`: for DuckDB alone, over the views that know the day."""
        self.events = events
        self.values = Values() if values is None else values
        self.quick = quick
        self.dated = quick and events.clock == "event"
        """Whether days in UTC are known without a look at the time."""
        self.at = CLOCKS[events.clock]
        self.ms = f"epoch_ms({self.at})"
        """Milliseconds since 1970 of the moment on the chosen clock."""

    def field(self, name: str) -> Dimension:
        """A field by its name, over a row `i`."""
        if self.dated and self.events.zone == "UTC" and name in DAYS:
            return msgspec.structs.replace(look(name, Values()), sql=DAYS[name])
        return look(name, self.values, self.at, self.events.zone)

    def unit(self, name: str) -> tuple[str, str]:
        """A unit as it stands in rows that have one, and the condition that a row has one."""
        if name in HIDDEN:
            return f"i.{name}", f"i.{name} <> '{HIDDEN[name]}'"
        sql = self.field(name).sql
        return sql, f"{sql} IS NOT NULL"

    def condition(self, where: Filter | None) -> str:
        """A filter, over a row `i`."""
        return condition(where, self.field, self.values)

    def of_type(self, name: str) -> str:
        """The condition of an interaction type; of every one for `*`."""
        return "TRUE" if name == ANY else f"i.interaction_type = {self.values(name)}"

    def where(self, *more: str, before_ms: int = 0, after_ms: int = 0) -> str:
        """The condition of time, traffic and filters, and of `more`; the time may be widened, for
        what happened before or after that belongs to it."""
        events, terms = self.events, list(more)
        for moment, sign, wider in (
            (events.since, ">=", -before_ms),
            (events.until, "<", after_ms),
        ):
            if moment is not None:
                shifted = datetime.fromtimestamp(moment.timestamp() + wider / 1000, UTC)
                terms.extend(self._bound(sign, shifted))
        if not events.bots:
            terms.append("NOT coalesce(i.bot, FALSE)")
        if not events.internal:
            terms.extend(self.theirs())
        if events.where is not None:
            terms.append(self.condition(events.where))
        return " AND ".join(terms) or "TRUE"

    def _bound(self, sign: str, moment: datetime) -> Iterator[str]:
        """The condition of `since` (>=) or `until` (<): by days alone where it is a midnight."""
        midnight = moment.time() == time()
        if self.dated:
            loose = sign if midnight or sign == ">=" else "<="
            yield f"i.{DAY} {loose} {self.values(moment.date())}"
        if not (self.dated and midnight):
            yield f"{self.at} {sign} {self.values(moment)}"

    def theirs(self) -> list[str]:
        """The conditions of traffic that is not the team's own."""
        by_field: dict[str, list[str]] = {}
        for field, value in map(own_rule, self.events.internal_is):
            by_field.setdefault(field, []).append(value)
        terms = []
        for field, texts in by_field.items():
            if field == "ip_address":
                begins = (f"starts_with(i.ip_address, {self.values(text)})" for text in texts)
                terms.append(f"NOT coalesce({' OR '.join(begins)}, FALSE)")
            else:
                named = self.values.list(tuple(texts))
                terms.append(f"coalesce(i.{field} NOT IN ({named}), TRUE)")
        return terms

    def relation(self, *names: str) -> str:
        """The view that has the named fields, as `i`."""
        person = needs_person(self.events, *names)
        if self.dated:
            return f"{STITCHED if person else DATED} i"
        return "stitched i" if person else "interactions i"

    @property
    def parameters(self) -> dict[str, Value]:
        """The values that the statement so far has."""
        return self.values.parameters


def check_fields(parameter: str, names: tuple[str, ...], most: int = MOST_DIMENSIONS) -> None:
    """Refuse names that are no fields, the same twice, and too many."""
    if len(set(names)) < len(names) or len(names) > most:
        raise Rejected(f"`{parameter}` takes {most} different fields at most.")
    for name in names:
        try:
            looked(name)
        except Rejected as error:
            raise Rejected(f"`{parameter}`: {error}") from None


def check_event(parameter: str, name: str) -> None:
    """Refuse what no interaction type can be called."""
    if EVENT_NAME.fullmatch(name) is None:
        raise Rejected(f"`{parameter}`: {name[:80]!r} is no interaction type such as page_view.")


def field_columns(names: tuple[str, ...]) -> tuple[Column, ...]:
    """The columns of fields that break an answer down."""
    found = [(name, looked(name)) for name in names]
    return tuple(Column(name, field.kind, field.doc) for name, field in found)
