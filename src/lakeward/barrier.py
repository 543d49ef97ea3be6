"""A first form of what is to come."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from lakeward.lakedir import LakeDir


@contextlib.contextmanager
def delivering(lake: LakeDir) -> Iterator[None]:
    """A first form."""
    yield


@contextlib.contextmanager
def erasing(lake: LakeDir) -> Iterator[None]:
    """A first form."""
    yield
