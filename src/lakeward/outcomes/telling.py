"""How every outcome is told: what all of them may carry, and who hears of one that is invalid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from lakeward.collector import Collector


class Joined(TypedDict, total=False):
    """What joins an outcome to a person and to its cause; every method takes these, too.

    While a captured call or a job runs, `trace_id`, `parent_interaction_id`, `session_id`,
    `user_id` and `user_type` are its own unless given here.
    """

    user_id: str | None
    """The person it is about, such as the contractor."""
    user_type: str | None
    """What the person is to the app, such as `contractor`."""
    anonymous_id: str | None
    """The browser's id of a person whom the app does not know yet."""
    session_id: str | None
    conversation_id: str | None
    trace_id: str | None
    """32 hexadecimal digits."""
    parent_interaction_id: str | None
    """The interaction that led to it."""
    referrer: str | None
    path: str | None
    timestamp: str | None
    """When it happened (ISO 8601), where that is not now."""
    interaction_id: str | None
    """An id of the app's own: told twice, it is one row in the table."""
    properties: dict[str, Any] | None
    """Whatever else the app wants to keep with it."""


class JoinedToPartner(Joined, total=False):
    """The same for an outcome that may be about a partner and need not."""

    partner_id: str | None
    """The partner it is about."""


class Telling:
    """Holds the collector that hears of everything."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def _tell(self, interaction_type: str, joined: Mapping[str, Any], **own: object) -> str | None:
        """Record what is not None; `own` are the fields of the type that the method names."""
        fields: dict[str, Any] = {**joined, **own}  # what the method says wins
        given = {name: value for name, value in fields.items() if value is not None}
        return self._collector.record_or_raise(interaction_type, **given)
