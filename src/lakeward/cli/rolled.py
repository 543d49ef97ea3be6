"""What roll-ups a lake has, as `lakeward doctor` shows it.

In: a lake. Out: how many packs there are, and of how many rows; None where there are none. Fails
for nothing.
"""

from __future__ import annotations

import msgspec

from lakeward.lakedir import LakeDir


class RollupsAccount(msgspec.Struct, frozen=True):
    """The packs that the index names."""

    packs: int
    rows: int
    bytes: int


def look(lake: LakeDir) -> RollupsAccount | None:
    """What the index says."""
    if not (lake.root / "rollup").is_dir():
        return None  # what reads the index takes a while to be read itself
    from lakeward.analysis.rollup.packs import read

    index = read(lake)
    if index is None:
        return None
    packs = index.packs
    return RollupsAccount(
        len(packs), sum(pack.rows for pack in packs), sum(pack.bytes for pack in packs)
    )


def sentence(found: RollupsAccount) -> str:
    """The same for people."""
    return f"{found.packs} packs of {found.rows:,} rows, {found.bytes:,} bytes"
