"""Prices of the user's own: the file that LAKEWARD_AI_PRICES names.

In: a TOML file. Out: a `PriceList`, whose `rates` finds what a model costs on a day. Fails with
`SettingError` that names the file, the row, the key and the mend.

    currency = "USD"                # may be left out; nothing else can be said

    [[price]]                       # the first row that fits wins
    provider = "azure*"             # may be left out; * and ? stand for any letters
    model = "gpt-4o*"
    from = 2026-01-01               # first day, in UTC; may be left out
    until = 2026-07-01              # first day after; may be left out
    input = 2.5                     # USD for a million tokens
    output = 10                     # left out: a turn with an answer has no price
    cache_read = 1.25               # left out: as input; so cache_write, audio_input, image
    cache_write_1h = 6              # left out: as cache_write
    reasoning = 10                  # left out: as output; so audio_output
    request = 0.005                 # USD for each request
    search = 0.01                   # USD for each search of the web; left out: a turn with
                                    # searches has no price

    [[price.tiers]]                 # all tokens of a request whose prompt is longer
    above = 200000
    input = 5
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import msgspec

from lakeward.errors import SettingError
from lakeward.lake.rates import Rate, Rates, Tiered

BUCKET: Final[dict[str, str]] = {
    "input": "input_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "cache_write_1h": "cache_write_1h_tokens",
    "audio_input": "audio_input_tokens",
    "image": "image_tokens",
    "output": "output_tokens",
    "reasoning": "reasoning_tokens",
    "audio_output": "audio_output_tokens",
}
"""The keys that hold rates, and the buckets they are for."""
INSTEAD: Final[dict[str, str]] = {
    "cache_read": "input",
    "cache_write": "input",
    "cache_write_1h": "cache_write",
    "audio_input": "input",
    "image": "input",
    "reasoning": "output",
    "audio_output": "output",
}
"""The rate that counts where one is left out."""
KEYS: Final = ("provider", "model", "from", "until", "request", "search", "tiers", *BUCKET)
MOST_ROWS, MOST_TIERS, MOST_BYTES, HIGHEST = 10_000, 20, 8 << 20, 1_000_000


class Row(msgspec.Struct, frozen=True):
    """What some models cost for some time."""

    provider: str
    model: str
    first: date
    end: date
    rates: Rates

    def fits(self, provider: str, model: str, day: date) -> bool:
        """Whether it is for this model on this day; names in small letters."""
        return (
            self.first <= day < self.end
            and fnmatchcase(model, self.model)
            and fnmatchcase(provider, self.provider)
        )


class PriceList(msgspec.Struct, frozen=True):
    """All rows of a file, and which file that was."""

    rows: tuple[Row, ...] = ()
    version: str = ""

    def rates(self, provider: str, model: str, day: date) -> Rates | None:
        """What the first row says that fits."""
        provider, model = provider.lower(), model.lower()
        return next((row.rates for row in self.rows if row.fits(provider, model, day)), None)


def read(path: Path | None) -> PriceList:
    """The list in a file, the empty one where no file is named."""
    if path is None:
        return PriceList()
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise SettingError(f"LAKEWARD_AI_PRICES names {path}, which is not there") from None
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > MOST_BYTES:
        raise SettingError(f"{path} is longer than {MOST_BYTES >> 20} MiB: leave rows out")
    return parse(content, str(path))


def parse(content: bytes, where: str) -> PriceList:
    """The list in the bytes of a file; `where` names it in errors."""
    try:
        document = tomllib.loads(content.decode("utf-8-sig"), parse_float=Decimal)
    except UnicodeDecodeError:
        raise SettingError(f"{where} is not UTF-8 text") from None
    except (tomllib.TOMLDecodeError, RecursionError, ValueError, ArithmeticError) as error:
        raise SettingError(f"{where} is not TOML: {str(error)[:200]}") from None
    _only(document, ("currency", "price"), where)
    if document.get("currency", "USD") != "USD":
        raise SettingError(f'{where}: currency must be "USD"; convert the prices')
    rows = document.get("price", [])
    if not isinstance(rows, list) or len(rows) > MOST_ROWS:
        raise SettingError(f"{where}: price must be up to {MOST_ROWS} rows that begin [[price]]")
    found = tuple(_row(row, f"{where}, row {index}") for index, row in enumerate(rows, 1))
    return PriceList(found, f"sha256:{hashlib.sha256(content).hexdigest()[:16]}")


def _row(row: object, where: str) -> Row:
    if not isinstance(row, dict):
        raise SettingError(f"{where} must be a table that begins [[price]]")
    _only(row, KEYS, where)
    first, end = _day(row, "from", date.min, where), _day(row, "until", date.max, where)
    if first >= end:
        raise SettingError(f"{where}: until must be a later day than from")
    if not _named(row, "model", "", where):
        raise SettingError(f'{where}: model is missing; name one, such as model = "gpt-4o*"')
    given = {key: _rate(row, key, where) for key in BUCKET if key in row}
    if "input" not in given:
        raise SettingError(f"{where}: input is missing; give USD for a million tokens")
    request = _rate(row, "request", where) if "request" in row else Decimal(0)
    search = _rate(row, "search", where) if "search" in row else None
    return Row(
        provider=_named(row, "provider", "*", where),
        model=_named(row, "model", "", where),
        first=first,
        end=end,
        rates=Rates(_tokens(given, _tiers(row.get("tiers", []), where)), request, search),
    )


def _tokens(
    given: dict[str, Decimal], tiers: list[tuple[int, dict[str, Decimal]]]
) -> Mapping[str, Rate]:
    """The rate of each bucket, where it is left out that of the next one."""
    found: dict[str, Rate] = {}
    steps = [(above, given | rates) for above, rates in tiers]
    for key, bucket in BUCKET.items():
        base = _instead(given, key)
        if base is None:
            continue
        higher = tuple(
            (above, rate) for above, step in steps if (rate := _instead(step, key)) is not None
        )
        found[bucket] = Tiered(base, higher) if higher else base
    return found


def _instead(given: dict[str, Decimal], key: str) -> Decimal | None:
    while key not in given and key in INSTEAD:
        key = INSTEAD[key]
    return given.get(key)


def _tiers(value: object, where: str) -> list[tuple[int, dict[str, Decimal]]]:
    if not isinstance(value, list) or len(value) > MOST_TIERS:
        raise SettingError(f"{where}: tiers must be up to {MOST_TIERS} that begin [[price.tiers]]")
    found: list[tuple[int, dict[str, Decimal]]] = []
    for index, tier in enumerate(value, 1):
        place = f"{where}, tier {index}"
        if not isinstance(tier, dict):
            raise SettingError(f"{place} must be a table that begins [[price.tiers]]")
        _only(tier, ("above", *BUCKET), place)
        above = tier.get("above")
        if not isinstance(above, int) or isinstance(above, bool) or above < 1:
            raise SettingError(f"{place}: above must be a number of tokens, such as 200000")
        if found and above <= found[-1][0]:
            raise SettingError(f"{place}: above must be more than that of the tier before")
        found.append((above, {key: _rate(tier, key, place) for key in BUCKET if key in tier}))
    return found


def _rate(row: dict[str, object], key: str, where: str) -> Decimal:
    value = row[key]
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        rate = Decimal(value)
        if rate.is_finite() and 0 <= rate <= HIGHEST:
            return rate
    raise SettingError(f"{where}: {key} must be US dollars from 0 to {HIGHEST}, such as 2.5")


def _day(row: dict[str, object], key: str, other: date, where: str) -> date:
    value = row.get(key, other)
    if isinstance(value, datetime) or not isinstance(value, date):
        raise SettingError(f"{where}: {key} must be a day without quotes, such as 2026-07-01")
    return value


def _named(row: dict[str, object], key: str, other: str, where: str) -> str:
    value = row.get(key, other)
    if not isinstance(value, str) or len(value) > 200:
        raise SettingError(f"{where}: {key} must be text of up to 200 letters")
    return value.lower()


def _only(table: dict[str, object], keys: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in keys:
            raise SettingError(f"{where}: {key[:80]!r} is unknown; the keys are {', '.join(keys)}")
