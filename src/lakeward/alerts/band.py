"""Band: a watched series as its detector sees it, bucket by bucket: what came, what was expected.

In: the name of a series, how it is watched, a stretch of time. Out: a row for each bucket of it,
with the band in which a single value raises no alarm. Fails with `Rejected` for a name that no
series has, and as a question does.

    learn_days before since     since ─── until
    ─────────────────────────┼───────────────────►
    judged, not shown           judged and shown

It is worked out anew over the lake, as `watching.replay` does: nobody keeps what was expected of a
bucket. A detector that had watched for longer knew more, and what came late was not there yet, so
the figures that were told at the time may differ a little; those stand in the incident's steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, ClassVar, Final

import msgspec

from lakeward.alerts.judging import is_idle
from lakeward.alerts.series import FAMILIES, NAMES, Family, Found, Track, Watched, key_of
from lakeward.alerts.sight import moment
from lakeward.analysis.anomaly.verdict import Verdict
from lakeward.analysis.anomaly.watch import Bucket, Series, judged
from lakeward.analysis.events import Source
from lakeward.analysis.question import Column, Row, Sql, says
from lakeward.errors import Rejected

LONGEST_DAYS: Final = 62
POINTS: Final = (
    Column("at", "time", "Start of the bucket."),
    Column("value", "number", "What came or was measured; none where it says nothing."),
    Column("expected", "number", "What was expected; none where nobody expects anything."),
    Column("low", "number", "From here down it is an alarm, or the limit."),
    Column("high", "number", "From here up it is an alarm, or the limit."),
    Column("judged", "boolean", "Whether anything was made of it: not in excluded times."),
    Column("wrong", "boolean", "Whether it is beyond the line."),
)


class AlertBand(Watched, frozen=True, kw_only=True):
    """A watched series with what was expected of each bucket."""

    name: ClassVar[str] = "alert_band"

    series: Annotated[str, says("Name of the series, such as route:/checkout errors.")]
    learn_days: Annotated[float, says("Days before that it is learned from.")] = 14
    sensitivity: Annotated[float, says("As in alerts.toml.")] = 1.0
    watched_in: Annotated[str, says("The zone whose days and weeks it follows.")] = "UTC"
    excluded: Annotated[
        tuple[tuple[int, int], ...], says("Times that are left out, in ms since 1970.")
    ] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        super().__post_init__()
        if not any(self._tracks()):
            raise Rejected(f"`series`: {self.series[:80]!r} is no name of a watched series.")
        if self.since is None or self.until is None:
            raise Rejected("`since` and `until` are needed.")
        if not 0 <= self.learn_days <= LONGEST_DAYS:
            raise Rejected(f"`learn_days` must be from 0 to {LONGEST_DAYS}.")
        if not 60 <= self.seconds <= 86_400:
            raise Rejected("`seconds` must be from 60 to 86400.")

    def columns(self) -> tuple[Column, ...]:
        """Of a bucket."""
        return POINTS

    def sql(self) -> Sql:
        """As the watch asks, of this one series."""
        assert self.since is not None
        since = self.since - timedelta(days=self.learn_days)
        source = Source(msgspec.structs.replace(self, since=since), quick=True)
        parts = [
            f"SELECT * FROM ({self._family(name, family)}) "
            f"WHERE {_named(name)} = {source.values(group)}"
            for name, family, group in dict.fromkeys(
                (name, family, group) for name, family, group, _ in self._tracks()
            )
        ]
        text = f"WITH i AS ({self._narrow(source)})\n" + "\nUNION ALL ".join(parts)
        return Sql(text, source.parameters)

    def _tracks(self) -> Iterator[tuple[str, Family, str, Track]]:
        """The families that may have a series of this name: family, its group's name, the track."""
        for name, family in FAMILIES.items():
            begins = NAMES[name].partition("{")[0]
            for track in family.tracks:
                group = self.series.removesuffix(f" {track.name}") if track.name else self.series
                if group.startswith(begins) and key_of(group, track) == self.series:
                    yield name, family, group, track

    def finish(self, rows: list[Row]) -> list[Row]:
        """Judged in the order of time; only what is asked for is shown."""
        assert self.since is not None
        assert self.until is not None
        step = self.seconds * 1000
        since, until = (round(each.timestamp() * 1000) for each in (self.since, self.until))
        measures, track = self._measured(rows)
        first = min(measures, default=until)
        verdicts = self._judged(measures, track, range(first - first % step, until, step))
        found: list[Row] = []
        for at in range(since - since % step, until, step):
            value = measures[at][0] if at in measures else None
            if value is None and track.zero and at >= first:
                value = 0.0
            verdict = verdicts.get(at)
            if verdict is None:
                found.append((moment(at), value, None, None, None, False, False))
                continue
            idle = is_idle(track.kind, value or 0.0, verdict)
            found.append((
                moment(at), value, verdict.expected, verdict.low, verdict.high, True,
                verdict.is_anomaly and not idle,
            ))  # fmt: skip
        return found

    def _measured(self, rows: list[Row]) -> tuple[dict[int, tuple[float, float]], Track]:
        """Value and volume by bucket."""
        track = next(track for *_, track in self._tracks())
        measures = {}
        for row in (Found(*row) for row in rows):
            for key, found, value, volume in row.measures():
                if key == self.series:
                    track, measures[row.at] = found, (value, volume)
        return measures, track

    def _judged(
        self, measures: dict[int, tuple[float, float]], track: Track, times: range
    ) -> dict[int, Verdict]:
        """Verdicts by bucket, of a detector such as the watch makes."""
        series = Series(
            self.series, track.kind, step=float(self.seconds), direction=track.direction,
            min_volume=float(track.least) if track.kind == "rate" else 0.0, zone=self.watched_in,
            sensitivity=self.sensitivity,
        )  # fmt: skip
        buckets = [
            Bucket(series, at / 1000, value, volume=volume)
            for at in times
            if (at in measures or track.zero)
            and not any(begin <= at < end for begin, end in self.excluded)
            for value, volume in [measures.get(at, (0.0, 0.0))]
        ]
        if not buckets:
            return {}
        return {round(bucket.start * 1000): verdict for bucket, verdict in judged(None, buckets)[1]}


def _named(family: str) -> str:
    """What a group is called, over the rows of its family; as `Found.name`."""
    text = NAMES[family]
    for column in ("a", "b"):
        value = f"CASE WHEN {column} = '' THEN '(none)' ELSE {column} END" if column == "a" else "b"
        text = text.replace(f"{{{column}}}", f"' || {value} || '")
    return f"('{text}')"
