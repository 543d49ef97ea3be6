"""The turn that is under way in this context, so that nobody records it a second time.

In: a turn that begins or ends. Out: the turn, for whoever sees the same request from elsewhere, as
OpenTelemetry's instrumentations of the providers' SDKs do. Nothing fails.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol

from lakeward.interaction import JsonObject


class UnderWay(Protocol):
    """A turn that is recorded already."""

    interaction_id: str

    @property
    def is_open(self) -> bool:
        """Whether it is not recorded yet; contexts outlive their turns."""

    def heard(self, fields: JsonObject) -> None:
        """What somebody else saw of one request of it, as fields of `ai_conversation`: they fill
        what the turn does not know by itself. Never raises; too late is ignored."""


ACTIVE: ContextVar[UnderWay | None] = ContextVar("lakeward_turn", default=None)
"""Set by `AI.conversation` while its block runs."""
