"""Covers: the cells that a question counts, of packs as far as they reach and of rows for the rest.

In: a reading and what a question needs of cells. Out: SQL of all its cells; None where rows must be
counted. Nothing is left out and nothing counts twice: whole hours of files with a pack are cells of
packs, and rows are what other files, the log's tail, and the hours that a question cuts hold.

              since                                             until
                │ rows │ hours │      days      │ hours │ rows │
    files       ╞══════╪═══════╪════════════════╪═══════╪══════╡   with a pack
    files, tail ╞══════════════════════ rows ══════════════════╡   without one
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from lakeward.analysis.events import Source
from lakeward.analysis.rollup import bins, packs
from lakeward.analysis.rollup.cells import (
    DAY_MS,
    EVERY,
    HOLDS,
    HOUR_MS,
    TYPES,
    Grain,
    Part,
    binned,
    figures,
    flags,
    form,
    value_of,
)
from lakeward.analysis.rollup.packs import Pack
from lakeward.analysis.rollup.sketch import planes
from lakeward.analysis.rollup.write import of_packs, units_of
from lakeward.lake.columns import COLUMNS
from lakeward.lake.delta import DataFile
from lakeward.lake.files import select_of

if TYPE_CHECKING:
    from lakeward.lake.reading import Reading

Span = tuple[int | None, int | None]
"""From when to when, in ms since 1970; open where it is None."""
CAST: Final = TYPES | {"bits": "BIT"}
"""The types of a cell's columns, of packs and of rows."""


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """What a question needs of cells."""

    figures: tuple[str, ...] = ("n",)
    facet: str = ""
    times: bool = False
    unit: str | None = None
    typed: bool = False
    """Whether units are counted of some types alone."""
    coarse: bool = False
    """Whether days in UTC will do."""

    @property
    def bands(self) -> tuple[str, ...]:
        """The columns of times."""
        return ("band", *bins.SLOTS) if self.times else ()


class Cover(msgspec.Struct, frozen=True):
    """Packs that are right for a reading, the files they are of, and the others."""

    packs: tuple[Pack, ...]
    covered: tuple[DataFile, ...]
    others: tuple[DataFile, ...]

    @property
    def rest(self) -> frozenset[str]:
        """Fields that have `(other)`."""
        return frozenset(name for pack in self.packs for name in pack.other)


def cover(reading: Reading, rules: tuple[str, ...] | None) -> Cover | None:
    """What roll-ups there are for a reading; None for none, and for none of these rules."""
    index = packs.read(reading.lake)
    if index is None or reading.hides or index.form != form(reading.settings.internal):
        return None
    if rules is not None and rules != index.form.rules:
        return None
    files = reading.snapshot.files
    right = index.of(files)
    names = {name for pack in right for name in pack.covers}
    covered = tuple(file for file in files.values() if file.name in names)
    others = tuple(file for file in files.values() if file.name not in names)
    return Cover(right, covered, others) if right else None


def cells(reading: Reading, found: Cover, need: Need, source: Source) -> str | None:
    """The select of all cells of a question, with the columns of a pack."""
    span: Span = (_ms(source.events.since), _ms(source.events.until))
    spans = _spans(span, need)
    if spans is None:
        return None
    paths = [packs.folder(reading.lake) / pack.name for pack in found.packs]
    parts = [
        select
        for grain, part in spans.items()
        if part is not None
        for select in _packed(paths, grain[0], part, need, source)
    ]
    rest = [select_of(reading.table, found.others)] if found.others else []
    if reading.tail_rows:
        rest.append(f"SELECT {', '.join(COLUMNS)} FROM tail")
    if rest:
        parts += _counted(" UNION ALL BY NAME ".join(rest), [span], need, source)
    edges = _edges(span, spans)
    if cut := [file for file in found.covered if any(_touches(file, edge) for edge in edges)]:
        parts += _counted(select_of(reading.table, cut), edges, need, source)
    return " UNION ALL ".join(parts)


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)


def _inside(span: Span, width: int) -> Span | None:
    """The whole hours or days of a span; None where it has none."""
    since = None if span[0] is None else -(-span[0] // width) * width
    until = None if span[1] is None else span[1] // width * width
    return None if since is not None and until is not None and since >= until else (since, until)


def _spans(span: Span, need: Need) -> dict[tuple[Grain, int], Span | None] | None:
    """Which cells of packs are of which time; None where packs are of no use. The number tells the
    spans of one grain apart."""
    if span == (None, None):  # what has no time is in it, too
        return {("day" if need.coarse else "hour", 0): span}
    hours, days = _inside(span, HOUR_MS), _inside(span, DAY_MS) if need.coarse else None
    if hours is None or (need.typed and days is None):
        return None
    if days is None:
        return {("hour", 0): hours}
    found: dict[tuple[Grain, int], Span | None] = {("day", 0): days}
    if not need.typed:
        found["hour", 0] = _between(hours[0], days[0])
        found["hour", 1] = _between(days[1], hours[1])
    return found


def _between(since: int | None, until: int | None) -> Span | None:
    return (since, until) if since is not None and until is not None and since < until else None


def _edges(span: Span, spans: dict[tuple[Grain, int], Span | None]) -> list[Span]:
    """What of a span is in no cell."""
    told = [part for part in spans.values() if part is not None]
    first = min((part[0] for part in told if part[0] is not None), default=None)
    last = max((part[1] for part in told if part[1] is not None), default=None)
    ends = (_between(span[0], first), _between(last, span[1]))
    return [end for end in ends if end is not None]


def _touches(file: DataFile, span: Span) -> bool:
    """Whether a file may have rows of a span; what its statistics cannot tell, it may."""
    since, until = (_iso_ms(text) for text in (file.earliest, file.latest))
    assert span[0] is not None
    assert span[1] is not None
    return since is None or until is None or (since < span[1] and until >= span[0] - 1)


def _iso_ms(text: str) -> int | None:
    return _ms(datetime.fromisoformat(text)) if text else None


def _within(at: str, span: Span, source: Source) -> str:
    """The condition that a moment is in a span."""
    terms = [
        f"{at} {sign} {source.values(datetime.fromtimestamp(end / 1000, UTC))}"
        for sign, end in zip((">=", "<"), span, strict=True)
        if end is not None
    ]
    return " AND ".join(terms) or "TRUE"


def _packed(
    paths: Sequence[Path], grain: Grain, span: Span, need: Need, source: Source
) -> Iterator[str]:
    """Cells of packs, a select for each part."""
    parts: list[tuple[Part, str, str]] = [("counts", need.facet, "")]
    if need.times:
        parts.append(("times", need.facet, ""))
    if need.unit is not None:
        types = f" AND interaction_type {'<>' if need.typed else '='} {source.values(EVERY)}"
        parts.append(("units", need.unit, types))
    for part, facet, types in parts:
        items = ", ".join(
            f"{name if name in HOLDS[part] else f'CAST(NULL AS {CAST[name]})'} AS {name}"
            for name in ("value", *need.figures, *need.bands, "plane", "bits")
        )
        where = f"{_within('began', span, source)}{types}"
        yield (
            f"SELECT began AS timestamp, interaction_type, bot, own, {items} "
            f"FROM ({of_packs(paths, part, facet, grain)}) WHERE {where}"
        )


def _counted(rows: str, spans: list[Span], need: Need, source: Source) -> list[str]:
    """Cells of rows: each row is one; of units they are put together."""
    rules = source.events.internal_is
    within = " OR ".join(f"({_within('i.timestamp', span, source)})" for span in spans)
    kept = f"SELECT * FROM ({rows}) i WHERE {within}"
    times = f"{bins.band_of('bin')} AS band, {bins.alone('bin')}, " if need.times else ""
    found = [
        f"SELECT {flags(rules).replace(' AS began', ' AS timestamp')}, {value_of(need.facet)}, "
        f"{figures(need.figures)}, {times}CAST(NULL AS TINYINT), CAST(NULL AS BIT) "
        f"FROM (SELECT *, {binned()} FROM ({kept}) i) i"
    ]
    if need.unit is not None:
        keys = "began, interaction_type, bot, own"
        flagged = flags(rules)
        if not need.typed:
            flagged = flagged.replace("i.interaction_type,", f"'{EVERY}' AS interaction_type,")
        nothing = ", ".join("NULL" for _ in ("value", *need.figures, *need.bands))
        made = planes(units_of(kept, need.unit, flagged), keys)
        found.append(f"SELECT {keys}, {nothing}, plane, bits FROM ({made})")
    return found
