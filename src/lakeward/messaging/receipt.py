"""What a carrier says of a message that it took, as far as it can be kept.

In: whatever a carrier returned; one of the app's own may return anything, and the message went all
the same. Out: columns of the outbox, and the names of what was left out. Never raises.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any, Final

import msgspec

from lakeward.catalog.spec import Amount, Count, Currency
from lakeward.messaging.message import Receipt
from lakeward.messaging.template import is_storable

ID_LENGTH: Final = 128
PRICE_LENGTH: Final = 32


def kept_id(found: object) -> str | None:
    """A provider's id; in place of one too long a digest, the same whenever it is told."""
    if not isinstance(found, str) or not found or not is_storable(found):
        return None
    if len(found) <= ID_LENGTH:
        return found
    return f"blake2b-{hashlib.blake2b(found.encode(), digest_size=16).hexdigest()}"


def kept(receipt: object) -> tuple[dict[str, Any], list[str]]:
    """Columns, and the names of fields that were given and will not do."""
    if not isinstance(receipt, Receipt):
        return {}, ["all of it"]
    given = msgspec.structs.asdict(receipt)
    columns = {
        "message_id": kept_id(given["message_id"]),
        "segments": _as(Count, given["segments"]),
        "price": _price(given["price"]),
        "currency": _as(Currency, given["currency"]),
    }
    return columns, [name for name, value in columns.items() if value is None is not given[name]]


def _as(kind: Any, value: object) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return None


def _price(value: object) -> str | None:
    """As text, because providers say amounts as decimals, some of them below zero."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    try:
        text = str(value)
        amount = abs(float(text))
    except ValueError:
        return None
    return text if len(text) <= PRICE_LENGTH and _as(Amount, amount) is not None else None
