"""The browser SDK as one file.

In: nothing. Out: the built script and the headers that it is served with.
"""

from __future__ import annotations

from typing import Final

SDK_HEADERS: Final = (
    (b"cache-control", b"public, max-age=3600"),
    (b"cross-origin-resource-policy", b"cross-origin"),
)


def sdk_file() -> bytes:
    """The script."""
    return b""
