"""What prices AI turns, as `lakeward doctor` shows it.

In: settings. Out: the tables of prices that there are, and what is wrong with the user's own. Fails
for nothing.
"""

from __future__ import annotations

from importlib.metadata import version

import msgspec

from lakeward.errors import SettingError
from lakeward.lake import pricelist
from lakeward.lake.prices import available
from lakeward.settings import Settings


class PriceTables(msgspec.Struct, frozen=True):
    """What prices AI turns."""

    own: int
    """Rows of the file that LAKEWARD_AI_PRICES names."""
    genai_prices: str | None
    """Version of the public table, None where the extra `ai` is missing."""
    fault: str = ""
    """Why nothing is priced."""


def price_tables(settings: Settings) -> PriceTables:
    """What the settings and the installation have of prices."""
    public = version("genai-prices") if available() else None
    try:
        return PriceTables(len(pricelist.read(settings.ai_prices).rows), public)
    except SettingError as error:
        return PriceTables(0, public, str(error))


def told(prices: PriceTables) -> str:
    """The same for people."""
    if prices.fault:
        return f"AI turns get no cost: {prices.fault}"
    public = f"genai-prices {prices.genai_prices}"
    if prices.genai_prices is None:
        public = "no public ones and no counted tokens: pip install 'lakeward[ai]'"
    return f"{prices.own:,} rows of your own; {public}" if prices.own else public
