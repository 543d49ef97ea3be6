"""What one model's tokens cost, bucket by bucket, and the sum for a request.

In: a `Rates` and the exclusive token buckets of a request. Out: its `Cost` in Decimal, or None
where it has tokens or searches for which there is no rate: a cost is whole or absent, never part of
one. Pure.

Nothing is rounded here but what 28 digits cannot hold; whoever stores a cost rounds it once.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, TypeAlias

import msgspec

MILLION: Final = 1_000_000

PROMPT: Final = (
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "audio_input_tokens", "image_tokens",
)  # fmt: skip
ANSWER: Final = ("output_tokens", "reasoning_tokens", "audio_output_tokens")
BUCKETS: Final = (*PROMPT, *ANSWER)
"""Those of the record, and what of the cache writes was for an hour."""


class Tiered(msgspec.Struct, frozen=True):
    """A rate that depends on the length of the prompt: beyond `above` tokens the rate beside it is
    that of all tokens of the turn."""

    base: Decimal
    tiers: tuple[tuple[int, Decimal], ...]
    """`above` and rate, rising."""

    def at(self, prompt: int) -> Decimal:
        """The rate for a prompt of so many tokens."""
        found = self.base
        for above, rate in self.tiers:
            if prompt > above:
                found = rate
        return found


Rate: TypeAlias = Decimal | Tiered


class Cost(msgspec.Struct, frozen=True):
    """US dollars. `total` has also what is neither prompt nor answer: requests and searches."""

    total: Decimal
    prompt: Decimal
    answer: Decimal


class Rates(msgspec.Struct, frozen=True):
    """US dollars for a million tokens of each bucket; no rate where a bucket is not in it."""

    tokens: Mapping[str, Rate]
    request: Decimal = Decimal(0)
    search: Decimal | None = None
    """For one request, and for one search of the web that the model made, where that is known."""

    def cost(self, counts: Mapping[str, int], searches: int = 0) -> Cost | None:
        """What one request costs."""
        prompt = sum(counts.get(name, 0) for name in PROMPT)
        asked = self._side(PROMPT, counts, prompt)
        answered = self._side(ANSWER, counts, prompt)
        if asked is None or answered is None or (searches and self.search is None):
            return None
        beside = self.request + (self.search or 0) * searches
        return Cost(asked + answered + beside, asked, answered)

    def _side(
        self, names: tuple[str, ...], counts: Mapping[str, int], prompt: int
    ) -> Decimal | None:
        found = Decimal(0)
        for name in names:
            count = counts.get(name, 0)
            if not count:
                continue
            rate = self.tokens.get(name)
            if rate is None:
                return None
            found += (rate.at(prompt) if isinstance(rate, Tiered) else rate) * count
        return found / MILLION
