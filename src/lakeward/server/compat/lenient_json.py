"""JSON as SDKs write it, which is not always JSON.

In: a body. Out: what it holds. Fails with `ValueError`. Python's `json` writes `NaN` and
`Infinity`, which are no JSON: one of them must not cost a whole batch, and becomes null. Half
of an emoji, which a cut text ends with, becomes a question mark: no lake can hold it.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec


def decoded(body: bytes) -> Any:
    """What `body` holds."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        pass
    try:
        text = json.dumps(_loaded(body), ensure_ascii=False)
        return _loaded(text.encode("utf-8", "replace"))
    except RecursionError:
        raise ValueError("nested too deep") from None


def _loaded(body: bytes) -> Any:
    return json.loads(body, parse_constant=lambda _: None)
