"""The rules of `alerts.toml`: what is watched, what is left out, and limits of one's own.

In: settings, and the file that they name. Out: frozen `Rules`; without a file all is watched and
there are no limits. Fails with `SettingError` that names the file, the place in it and the mend.

    [watch]
    series = ["routes", "types", "steps", "ai_cost", "partners"]
    zone = "Europe/Lisbon"
    sensitivity = 1.0
    most = 1000

    [[exclude]]                       [[threshold]]                 [[budget]]
    from = 2026-12-24                 name = "checkout errors"      name = "AI"
    until = 2026-12-27                event = "api_call"            amount = 50
    series = "route:*"                metric = "error_rate"         per = "day"
                                      where = ["route=/checkout"]   warn_at = 0.8
    [[silent]]                        above = 0.05
    event = "demo_booking"            minutes = 15
    minutes = 120                     for = 2

`[[tell]]` and `[digest]` say who is told; they are kept as they stand.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final, Literal

import msgspec

from lakeward.alerts.excluding import Exclude, excluded
from lakeward.alerts.signal import Severity
from lakeward.alerts.tables import listed, made, only, table_of, tables_of
from lakeward.analysis.metric import field_of, metric_of
from lakeward.analysis.scope import check_times
from lakeward.analysis.step import filter_of
from lakeward.analysis.trend import Series
from lakeward.declaration import content_of, document_of
from lakeward.errors import Rejected, SettingError
from lakeward.settings import Settings

FILE: Final = "alerts.toml"
Group = Literal["routes", "types", "steps", "ai_cost", "partners"]
GROUPS: Final[tuple[Group, ...]] = ("routes", "types", "steps", "ai_cost", "partners")
TABLES: Final = ("watch", "exclude", "threshold", "budget", "silent", "tell", "digest")
MOST_RULES: Final = 50
MOST_SERIES: Final = 10_000
LONGEST_MINUTES: Final = 1440
LONGEST_SILENCE: Final = 43_200
LONGEST_NAME: Final = 80


class Watching(msgspec.Struct, frozen=True):
    """What detectors look at."""

    series: tuple[Group, ...] = GROUPS
    zone: str = "UTC"
    """Whose days and weeks series follow, and whose days a budget is of."""
    sensitivity: float = 1.0
    most: int = 1_000
    """Series that are watched, those with the most in them."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        try:
            check_times(None, None, self.zone)
        except Rejected:
            raise ValueError("zone must be a time zone such as Europe/Lisbon") from None
        if not 0.1 <= self.sensitivity <= 10:
            raise ValueError("sensitivity must be from 0.1 (few alarms) to 10 (many)")
        if not 1 <= self.most <= MOST_SERIES:
            raise ValueError(f"most must be from 1 to {MOST_SERIES}")


class Threshold(msgspec.Struct, frozen=True):
    """A limit of one's own on a metric."""

    name: str
    event: str
    metric: str = "events"
    field: str | None = None
    where: tuple[str, ...] = ()
    above: float | None = None
    below: float | None = None
    minutes: int = 5
    """How long a bucket is."""
    lasts: int = msgspec.field(name="for", default=1)
    """Buckets in a row that are beyond the limit, until it is told; as many within end it."""
    severity: Severity = "warning"

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        check_name(self.name)
        if (self.above is None) == (self.below is None):
            raise ValueError("give either above or below")
        if not math.isfinite(self.limit):
            raise ValueError("the limit must be a finite number")
        if not 1 <= self.minutes <= LONGEST_MINUTES:
            raise ValueError(f"minutes must be from 1 to {LONGEST_MINUTES}")
        if not 1 <= self.lasts <= 100:
            raise ValueError("for must be from 1 to 100")
        try:
            metric_of(self.metric)
            _ = self.measured
        except Rejected as error:
            raise ValueError(str(error).rstrip(".").replace("`event`: ", "")) from None

    @property
    def limit(self) -> float:
        """The number that is not to be passed."""
        return float(self.above if self.above is not None else self.below or 0.0)

    @property
    def measured(self) -> Series:
        """What is counted."""
        return Series(
            event=self.event, where=filter_of(list(self.where)), metric=self.metric,
            field=self.field,
        )  # fmt: skip

    def passed(self, value: float) -> bool:
        """Whether a value is beyond the limit; one that is equal to it is not."""
        return value > self.limit if self.above is not None else value < self.limit

    @property
    def unit(self) -> str:
        """What its values are in."""
        return metric_of(self.metric).unit

    @property
    def series(self) -> str:
        """What its signals say that they are of."""
        of = f"({field})" if (field := field_of(self.metric, self.field)) else ""
        return f"{self.event} {self.metric}{of}"


class Budget(msgspec.Struct, frozen=True):
    """What AI may cost in a day or a month."""

    name: str
    amount: float
    currency: str = "USD"
    per: Literal["day", "month"] = "day"
    warn_at: float = 0.8

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        check_name(self.name)
        if not (math.isfinite(self.amount) and self.amount > 0):
            raise ValueError("amount must be a number above 0")
        if self.currency != "USD":
            raise ValueError("currency must be USD: the cost of AI is known in it alone")
        if not 0 < self.warn_at <= 1:
            raise ValueError("warn_at must be a share above 0 and at most 1")


class Silent(msgspec.Struct, frozen=True):
    """What must not be away for longer than so many minutes."""

    event: str
    minutes: float
    service: str | None = None
    severity: Severity = "warning"

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not 1 <= self.minutes <= LONGEST_SILENCE:
            raise ValueError(f"minutes must be from 1 to {LONGEST_SILENCE}")
        try:
            Series(event=self.event)
        except Rejected:
            raise ValueError("event must be an interaction type, such as demo_booking") from None
        if not self.name.isprintable():
            raise ValueError("service must be a name without control characters")

    @property
    def name(self) -> str:
        """What its signals say that they are of."""
        return self.event if self.service is None else f"{self.event} {self.service}"


class Rules(msgspec.Struct, frozen=True):
    """All that the file says."""

    watch: Watching = Watching()
    excluded: tuple[Exclude, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    budgets: tuple[Budget, ...] = ()
    silences: tuple[Silent, ...] = ()
    tell: tuple[dict[str, object], ...] = ()
    digest: dict[str, object] | None = None
    where: str = FILE
    """The file's name, for sentences about `tell` and `digest`."""

    @property
    def asks_nothing(self) -> bool:
        """Whether there is nothing to do."""
        watched = self.watch.series or self.thresholds or self.budgets or self.silences
        return not watched and self.digest is None

    def excludes(self, key: str, at: int) -> bool:
        """Whether a bucket of a series is neither judged nor learned."""
        return any(each.holds(key, at) for each in self.excluded)


def path_of(settings: Settings) -> Path:
    """The file that the settings mean, whether or not it is there."""
    return settings.alerts or settings.source.env_file.parent / FILE


def read(settings: Settings) -> Rules:
    """The rules; the usual ones where no file was named and there is none."""
    path = path_of(settings)
    content = content_of(path, "LAKEWARD_ALERTS", named=settings.alerts is not None)
    if content is None:
        return Rules()
    return parse(content, str(path))


def parse(content: bytes, where: str) -> Rules:
    """The rules in the bytes of a file; `where` names it in errors."""
    document = document_of(content, where)
    only(document, TABLES, where, "the file")
    watch = made(document.get("watch", {}), Watching, where, "watch")
    told = [table_of(row, where, f"tell[{n}]") for n, row in enumerate(
        tables_of(document.get("tell", []), where, "tell"), 1)]  # fmt: skip
    digest = document.get("digest")
    rules = Rules(
        watch,
        excluded(document.get("exclude", []), watch.zone, where),
        listed(document.get("threshold", []), Threshold, where, "threshold"),
        listed(document.get("budget", []), Budget, where, "budget"),
        listed(document.get("silent", []), Silent, where, "silent"),
        tuple(map(dict, told)),
        None if digest is None else dict(table_of(digest, where, "digest")),
        where,
    )
    for place, given in (("threshold", rules.thresholds), ("budget", rules.budgets),
                         ("silent", rules.silences)):  # fmt: skip
        _different([rule.name for rule in given], where, place)
    return rules


def check_name(name: str) -> None:
    """Refuse what is no name of a rule."""
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise ValueError(f"name must have 1 to {LONGEST_NAME} letters")


def _different(names: list[str], where: str, place: str) -> None:
    if len(names) > MOST_RULES:
        raise SettingError(f"{where}: there may be at most {MOST_RULES} of [[{place}]]")
    for n, name in enumerate(names):
        if name in names[:n]:
            raise SettingError(f"{where}: {place}[{n + 1}] is called as one before it: rename it")
