"""What a request costs, by the user's own prices or by those of genai-prices at the turn's date.

In: provider and models as a turn's record names them, the request's token buckets, its time. Out:
a `Priced`, or None where nobody knows the price, which is never a cost of zero. Own prices win.
`MissingExtra` without the extra `ai`, and `SettingError` where the file of own prices is wrong;
then nothing is priced, for the public price may be the wrong one.

The table of genai-prices is the one in its package: its updates over the network are never asked
for. What a bucket costs is worked out from it once for each price and then remembered; a test holds
the sum against the library's own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from lakeward.errors import MissingExtra
from lakeward.lake import pricelist
from lakeward.lake.rates import Cost, Rate, Rates, Tiered

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, ModelPrice

REMEMBERED: Final = 10_000
PROVIDERS: Final = {
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "gcp.gen_ai": "google",
    "x_ai": "x-ai",
}
"""Names of OpenTelemetry for providers that genai-prices knows by another, or by none."""
CHAINS: Final[dict[str, tuple[str, ...]]] = {
    "input_tokens": ("input_mtok",),
    "cache_read_tokens": ("cache_read_mtok", "input_mtok"),
    "cache_write_tokens": ("cache_write_mtok", "input_mtok"),
    "cache_write_1h_tokens": ("cache_write_1h_mtok", "cache_write_mtok", "input_mtok"),
    "audio_input_tokens": ("input_audio_mtok", "input_mtok"),
    "image_tokens": ("input_image_mtok", "input_mtok"),
    "output_tokens": ("output_mtok",),
    "reasoning_tokens": ("output_reasoning_mtok", "output_mtok"),
    "audio_output_tokens": ("output_audio_mtok", "output_mtok"),
}
"""Prices of genai-prices for each bucket, the closest first."""


class Asked(msgspec.Struct, frozen=True):
    """Whose tokens they are."""

    provider: str = ""
    answered: str = ""
    requested: str = ""

    def models(self) -> tuple[str, ...]:
        """The model that answered knows best what it is; the other name is for where it does not
        say, or says what nobody lists."""
        return tuple(dict.fromkeys(name for name in (self.answered, self.requested) if name))


class Priced(msgspec.Struct, frozen=True):
    """A cost and where it comes from."""

    cost: Cost
    source: str
    version: str


class Listed(msgspec.Struct, frozen=True):
    """A model of genai-prices; one that its provider borrowed of another has no contexts."""

    info: ModelInfo
    in_contexts: bool


def available() -> bool:
    """Whether what prices and counts is installed."""
    return find_spec("genai_prices") is not None and find_spec("rs_bpe") is not None


class Prices:
    """Finds prices and remembers them. The public table loads when first needed: it takes a
    quarter of a second and 30 MB."""

    def __init__(self, own: Path | None = None) -> None:
        self._own = pricelist.read(own)
        self._days: dict[tuple[str, str, date], Rates | None] = {}
        self._models: dict[tuple[str, str], Listed | None] = {}
        self._rates: dict[int, tuple[ModelPrice, Rates]] = {}

    def price(
        self,
        asked: Asked,
        counts: Mapping[str, int],
        at: datetime,
        *,
        searches: int = 0,
        context: Mapping[str, str] | None = None,
    ) -> Priced | None:
        """What a request costs; None where its model, a bucket or its searches have no price."""
        models = asked.models()
        for model in models:
            own = self._of_own(asked.provider, model, at.astimezone(UTC).date())
            if own is not None:
                return _priced(own.cost(counts, searches), "own", self._own.version)
        for model in models:
            rates = self._public(asked.provider, model, at, context)
            if rates is not None:
                return _priced(rates.cost(counts, searches), "genai-prices", self._version)
        return None

    def _of_own(self, provider: str, model: str, day: date) -> Rates | None:
        if not self._own.rows:
            return None
        key = (provider, model, day)
        if key not in self._days:
            if len(self._days) >= REMEMBERED:
                self._days.clear()
            self._days[key] = self._own.rates(provider, model, day)
        return self._days[key]

    def _public(
        self, provider: str, model: str, at: datetime, context: Mapping[str, str] | None
    ) -> Rates | None:
        key = (provider, model)
        if key not in self._models:
            if len(self._models) >= REMEMBERED:
                self._models.clear()
            self._models[key] = self._found(provider, model)
        listed = self._models[key]
        if listed is None:
            return None
        price = listed.info.get_prices(at, context if listed.in_contexts else None)
        if not price.__dict__:
            return FREE if listed.info.id.endswith(":free") else None
        return self._rated(price)

    def _found(self, provider: str, model: str) -> Listed | None:
        known = PROVIDERS.get(provider.lower(), provider) or None
        try:
            owner, info = self._snapshot.find_provider_model(model, None, known, None)
        except LookupError:
            return None
        lent = not any(info is one for one in owner.models)
        return Listed(info, bool(info.price_variants) and not lent)

    def _rated(self, price: ModelPrice) -> Rates:
        """The rates of a price; those of request contexts are made anew each time."""
        found = self._rates.get(id(price))
        if found is None or found[0] is not price:
            if len(self._rates) >= REMEMBERED:
                self._rates.clear()
            found = self._rates[id(price)] = (price, rates_of(price))
        return found[1]

    @cached_property
    def _snapshot(self) -> DataSnapshot:
        if find_spec("genai_prices") is None:
            raise MissingExtra("Prices of models", "ai")
        from genai_prices.data import providers
        from genai_prices.data_snapshot import DataSnapshot

        return DataSnapshot(providers=providers, from_auto_update=False)

    @cached_property
    def _version(self) -> str:
        """The package's version, and a hash of its table, which a vendor may have changed."""
        from genai_prices import data

        table = hashlib.sha256(Path(data.__file__).read_bytes()).hexdigest()
        return f"{version('genai-prices')}+{table[:12]}"


def _priced(cost: Cost | None, source: str, table: str) -> Priced | None:
    return None if cost is None else Priced(cost, source, table)


def rates_of(price: ModelPrice) -> Rates:
    """A price of genai-prices as rates of our buckets."""
    tokens = {
        bucket: _rate(listed)
        for bucket, chain in CHAINS.items()
        if (listed := next((p for key in chain if (p := getattr(price, key)) is not None), None))
        is not None
    }
    request, search = _thousandth(price.requests_kcount), _thousandth(price.web_searches_kcount)
    return Rates(tokens, request or Decimal(0), search)


FREE: Final = Rates(dict.fromkeys(CHAINS, Decimal(0)), search=Decimal(0))
"""A model whose name says so, and for which genai-prices therefore lists nothing."""


def _rate(listed: object) -> Rate:
    from genai_prices.types import TieredPrices

    if isinstance(listed, TieredPrices):
        return Tiered(listed.base, tuple((tier.start, tier.price) for tier in listed.tiers))
    assert isinstance(listed, Decimal)
    return listed


def _thousandth(listed: object) -> Decimal | None:
    if listed is None:
        return None
    rate = _rate(listed)
    return (rate.base if isinstance(rate, Tiered) else rate) / 1000
