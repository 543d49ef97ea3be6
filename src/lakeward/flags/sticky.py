"""Sticky assignments: what a unit was given once stays, though weights and conditions change.

In: a unit's earlier assignments by `attribute||value`, from a store, a cookie or wherever the app
keeps them. Out: the variation to keep; the assignments with a new one. Pure; the names are those
of GrowthBook's sticky buckets, so that documents of theirs can be carried over.

    {"user_id||u1": {"match-page__0": "1"}}        experiment__bucketVersion: key of the variation
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

Unit = tuple[str, str]
"""An attribute's name and its text."""
Known = Mapping[str, Mapping[str, str]]


class StickyStore(Protocol):
    """Keeps assignments; its methods may wait for a disk or a network, and fail as these do."""

    def fetch(self, units: Sequence[Unit]) -> dict[str, dict[str, str]]:
        """What is kept of these units, by `unit_name`; those without anything are left out."""

    def keep(self, assignments: Mapping[str, Mapping[str, str]]) -> None:
        """Add assignments; what was kept under the same name before stays: the first one wins."""

    def close(self) -> None:
        """Give back what is held; using it again is allowed."""


def unit_name(attribute: str, value: str) -> str:
    """A unit as assignments are kept under it."""
    return f"{attribute}||{value}"


def assignment_name(experiment: str, version: int) -> str:
    """An experiment of a bucket version, as an assignment is kept under it."""
    return f"{experiment}__{version}"


def kept_variation(
    known: Known, units: Sequence[Unit], experiment: str, keys: Sequence[str],
    version: int, least: int,
) -> tuple[int, bool]:  # fmt: skip
    """The index that was kept, -1 for none; and whether one of a version below `least` shuts the
    unit out. The first of the units counts before the others."""
    kept: dict[str, str] = {}
    for attribute, value in reversed(units):
        kept |= known.get(unit_name(attribute, value), {})
    if not kept:
        return -1, False
    if any(assignment_name(experiment, old) in kept for old in range(least)):
        return -1, True
    key = kept.get(assignment_name(experiment, version))
    return (keys.index(key) if key in keys else -1), False
