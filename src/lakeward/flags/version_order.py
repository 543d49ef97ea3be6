"""Versions such as 1.10.2-beta.3+build as texts that sort in their order.

In: whatever an attribute or a condition holds. Out: a text. Nothing fails.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 200
_AROUND = re.compile(r"^v|\+.*$", re.DOTALL)
_PARTS = re.compile(r"[-.]")


def sortable(version: object) -> str:
    """Numbers are padded to five; a release sorts behind its own candidates; the build is left."""
    if isinstance(version, int | float) and not isinstance(version, bool):
        version = str(version)
    if not isinstance(version, str) or not version:
        version = "0"
    parts = _PARTS.split(_AROUND.sub("", version[:LONGEST]))
    if len(parts) == 3:
        parts.append("~")
    return "-".join(
        part.rjust(5) if part.isascii() and part.isdecimal() else part for part in parts
    )
