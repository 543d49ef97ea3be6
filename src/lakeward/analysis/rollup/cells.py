"""Cells: an hour or a day of interactions of one type, counted, by one field at a time.

Out: SQL of the cells of rows and of the sums of cells; which fields and figures they have. Pure.
A cell is of one *part*, and each part of each field and grain is a file of its own, so that a
question reads what it counts and nothing else: counts; times, of one band of bins each (see
`bins`); units, of one plane of a sketch each (see `sketch`).

    counts.route.hour   began              interaction_type bot   own   value    n  answered …
                        2026-01-01 10:00Z  api_call         false false /api/me  17       17
    times.route.hour    2026-01-01 10:00Z  api_call         false false /api/me  band 71  w0 5 …
    units.visitor.day   2026-01-01 00:00Z  page_view        false false plane 1  bits …

Own is the team's own traffic, as the settings said when the cell was made. A field has its `MOST`
most frequent values of a day; what is beyond them is `(other)`.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final, Literal

import msgspec

from lakeward.analysis.events import Events, Source, look
from lakeward.analysis.rollup import bins
from lakeward.analysis.values import Values
from lakeward.lake.rows import quoted

Grain = Literal["hour", "day"]
Part = Literal["counts", "times", "units"]
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
MOST: Final = 500
OTHER: Final = "(other)"
EVERY: Final = "*"
"""The type of a sketch of all types."""
APDEX_MS: Final = 300
"""The threshold whose Apdex can be had; the one that questions have unless they say another."""
ALL: Final = ""
"""The facet of cells that are of all values of all fields."""
FACETS: Final = (
    "route", "path", "method", "response_status", "error_type", "service", "environment",
    "app_version", "user_type", "partner_id", "device", "browser", "os", "country",
    "referrer_host", "utm_source", "utm_medium", "utm_campaign", "ai_metadata.provider",
    "ai_metadata.model_answered", "outcomes.currency",
)  # fmt: skip
"""Fields by which cells are. None of them names a person."""
TIMED: Final = (ALL, "route", "service")
"""Of these there are times, too."""
UNITS: Final = ("visitor", "user_id", "session_id")
"""Who can be counted."""
MEASURES: Final = (
    "response_time_ms", "ttfb_ms", "request_bytes", "response_bytes", "ai_metadata.cost_usd",
    "ai_metadata.total_tokens", "outcomes.value",
)  # fmt: skip
"""Fields that are summed."""
WHOLE: Final = frozenset({"request_bytes", "response_bytes"})
SHARED: Final = ("began", "interaction_type", "bot", "own")
"""What every cell is keyed by."""
KEYS: Final[dict[Part, tuple[str, ...]]] = {
    "counts": (*SHARED, "value"), "times": (*SHARED, "value", "band"), "units": (*SHARED, "plane"),
}  # fmt: skip


def summed(measure: str) -> str:
    """The column of a measure's sum."""
    return f"sum_{MEASURES.index(measure)}"


def counted(measure: str) -> str:
    """The column that says how many have a measure."""
    return f"count_{MEASURES.index(measure)}"


def _number(measure: str) -> str:
    found = look(measure, Literals())
    if measure in WHOLE:
        return f"CAST({found.sql} AS DECIMAL(38, 0))"
    return found.sql if found.kind in ("integer", "number") else f"TRY_CAST({found.sql} AS DOUBLE)"


class Literals(Values):
    """Values that stand in the text of a statement that takes no parameters."""

    def __call__(self, value: object) -> str:
        """The value, quoted."""
        return quoted(str(value))


_STATUS, _MS = "i.response_status", "i.response_time_ms"
_SERVED: Final = f"coalesce({_STATUS} < 500, TRUE)"


def _if(condition: str) -> str:
    return f"CASE WHEN {condition} THEN 1 ELSE 0 END"


FIGURES: Final[dict[str, tuple[str, str]]] = {
    "n": ("1", "sum"),
    "answered": (_if(f"{_STATUS} IS NOT NULL"), "sum"),
    "refused": (_if(f"{_STATUS} >= 400 AND {_STATUS} < 500"), "sum"),
    "failed": (_if(f"{_STATUS} >= 500"), "sum"),
    "rated": (_if(f"{_MS} IS NOT NULL OR {_STATUS} >= 500"), "sum"),
    "satisfied": (_if(f"{_MS} <= {APDEX_MS} AND {_SERVED}"), "sum"),
    "tolerating": (_if(f"{_MS} > {APDEX_MS} AND {_MS} <= {4 * APDEX_MS} AND {_SERVED}"), "sum"),
    "first_ms": ("epoch_ms(i.timestamp)", "min"),
    "last_ms": ("epoch_ms(i.timestamp)", "max"),
    "least": (_MS, "min"),
    "most": (_MS, "max"),
    **{summed(name): (_number(name), "sum") for name in MEASURES},
    **{counted(name): (_if(f"{_number(name)} IS NOT NULL"), "sum") for name in MEASURES},
}
"""What is counted: of a row, and how cells are put together."""
TYPES: Final[dict[str, str]] = {
    "began": "TIMESTAMPTZ", "interaction_type": "VARCHAR", "bot": "BOOLEAN", "own": "BOOLEAN",
    "value": "VARCHAR",
    **dict.fromkeys(FIGURES, "BIGINT"),
    **dict.fromkeys(("least", "most"), "DOUBLE"),
    **{summed(name): "DECIMAL(38, 0)" if name in WHOLE else "DOUBLE" for name in MEASURES},
    "band": "SMALLINT", **dict.fromkeys(bins.SLOTS, "BIGINT"), "plane": "TINYINT", "bits": "BLOB",
}  # fmt: skip
"""The columns of cells of any part."""
HOLDS: Final[dict[Part, tuple[str, ...]]] = {
    "counts": (*KEYS["counts"], *FIGURES),
    "times": (*KEYS["times"], *bins.SLOTS),
    "units": (*KEYS["units"], "bits"),
}
"""The columns of a file."""


def own_of(rules: tuple[str, ...]) -> str:
    """Whether a row `i` is the team's own traffic."""
    terms = Source(Events(internal_is=rules), Literals()).theirs()
    return f"NOT ({' AND '.join(terms)})" if terms else "FALSE"


def at_hour(at: str = "i.timestamp") -> str:
    """The hour, in UTC, that a row is in."""
    return f"make_timestamptz((epoch_ms({at}) - epoch_ms({at}) % {HOUR_MS}) * 1000)"


def at_day(at: str) -> str:
    """The day, in UTC, that an hour is in."""
    return f"make_timestamptz((epoch_ms({at}) - epoch_ms({at}) % {DAY_MS}) * 1000)"


def value_of(facet: str) -> str:
    """The value of a field, over a row `i`; text, whatever it is."""
    return f"CAST({look(facet, Literals()).sql} AS VARCHAR)" if facet else "CAST(NULL AS VARCHAR)"


def flags(rules: tuple[str, ...]) -> str:
    """The select items that every cell is keyed by, of a row `i`."""
    return (
        f"{at_hour()} AS began, i.interaction_type, coalesce(i.bot, FALSE) AS bot, "
        f"{own_of(rules)} AS own"
    )


def figures(names: Iterable[str] = tuple(FIGURES)) -> str:
    """The select items of a row that is a cell of its own."""
    return ", ".join(f"{FIGURES[name][0]} AS {name}" for name in names)


def together() -> str:
    """The select items of cells put together."""
    return ", ".join(
        f"CAST({how}({name}) AS {TYPES[name]}) AS {name}" for name, (_, how) in FIGURES.items()
    )


def put(part: Part) -> str:
    """The select items of what cells of a part hold when they are put together."""
    if part == "counts":
        return together()
    if part == "times":
        return ", ".join(f"CAST(sum({slot}) AS BIGINT) AS {slot}" for slot in bins.SLOTS)
    return "bit_or(bits) AS bits"


def binned() -> str:
    """The select item of a row's bin."""
    return f"{bins.bin_of(_MS)} AS bin"


class Form(msgspec.Struct, frozen=True):
    """What makes roll-ups what they are; with another one they are none."""

    rules: tuple[str, ...]
    definitions: str


def form(rules: tuple[str, ...]) -> Form:
    """Of the roll-ups that this version makes."""
    told = (HOLDS, FIGURES, TYPES, MOST, [value_of(name) for name in FACETS], TIMED, binned(),
            [look(unit, Literals()).sql for unit in UNITS])  # fmt: skip
    return Form(rules, blake2b(repr(told).encode(), digest_size=8).hexdigest())
