"""A first form of what is to come."""

from __future__ import annotations

from lakeward.lakedir import LakeDir


class Suppressed:
    """A first form."""

    def __bool__(self) -> bool:
        return False

    def covers(self, record: dict[str, object]) -> bool:
        """A first form."""
        return False


def load(lake: LakeDir) -> Suppressed:
    """A first form."""
    return Suppressed()
