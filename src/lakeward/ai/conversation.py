"""`AI`: turns of conversations with a model, by block or decorator, and what people say of them.

In: a collector, and for each turn whatever the app knows of it. Out: a `Turn`, or the id of a
rating's record (None when it was not kept). Nothing is raised into the app but what its own code
raises.
"""

from __future__ import annotations

import atexit
import os
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Required, TypedDict, TypeVar, Unpack, cast

from lakeward.ai.decorated import decorated
from lakeward.ai.draft import Drafts
from lakeward.ai.turn import Turn
from lakeward.collector import Collector

F = TypeVar("F", bound=Callable[..., Any])


class About(TypedDict, total=False):
    """What a turn may carry from the start; `Turn.set` takes everything else."""

    feature: str | None
    """What the app uses it for, such as `coach`."""
    provider: str | None
    """Who runs the model, such as `openai`."""
    model: str | None
    """The model that is asked for."""
    operation: str | None
    """Kind of request, where the answer does not show it."""
    prompt_name: str | None
    prompt_version: str | None
    turn: int | None
    """Number of the turn in its conversation, from 0."""
    parameters: dict[str, Any] | None
    """Parameters of the request, such as temperature."""
    consent: bool | None
    """Whether the person agreed that the content is kept; False keeps none of it."""
    user_id: str | None
    user_type: str | None
    anonymous_id: str | None
    session_id: str | None
    trace_id: str | None
    parent_interaction_id: str | None
    partner_id: str | None
    properties: dict[str, Any] | None
    """Whatever else the app wants to keep with it."""


class Rater(TypedDict, total=False):
    """Who rates, and where."""

    user_id: Required[str | None]
    """The person; its last rating of a turn counts."""
    user_type: str | None
    anonymous_id: str | None
    session_id: str | None
    trace_id: str | None
    timestamp: str | None
    properties: dict[str, Any] | None


_NAMES = {"model": "model_requested", "consent": "content_consent"}


class AI:
    """Makes turns; one for each app, over its one collector. Threads, tasks and forks share it."""

    def __init__(self, collector: Collector) -> None:
        self.collector = collector
        self.drafts = Drafts(collector)
        self._open: weakref.WeakValueDictionary[str, Turn] = weakref.WeakValueDictionary()
        """Turns whose end is not certain; who forgets one ends it."""
        self._watched = 0
        """The process whose end is watched."""

    def conversation(self, conversation_id: str | None = None, /, **about: Unpack[About]) -> Turn:
        """One turn of a conversation, which begins now:
        `with ai.conversation("c5", feature="coach") as turn:`."""
        return self._begun(conversation_id, about)

    def _begun(self, conversation_id: str | None, about: Mapping[str, Any]) -> Turn:
        fields = {_NAMES.get(name, name): v for name, v in about.items() if v is not None}
        if conversation_id is not None:
            fields["conversation_id"] = conversation_id
        return Turn(self, fields)

    def turns(self, *, ask: str | None = None, **about: Unpack[About]) -> Callable[[F], F]:
        """A decorator: each call of the function is a turn.

        `ask` names the parameter that holds what is asked. A parameter named `turn` gets the
        `Turn`. What the function returns, or yields piece by piece, is the answer, unless it hands
        one over itself.
        """

        def decorate(function: F) -> F:
            return cast("F", decorated(lambda: self._begun(None, about), function, ask))

        return decorate

    def rate(
        self,
        interaction_id: str | None = None,
        /,
        *,
        helpful: bool | None = None,
        rating: int | None = None,
        reason: str | None = None,
        comment: str | None = None,
        conversation_id: str | None = None,
        turn: int | None = None,
        rater_id: str | None = None,
        **rater: Unpack[Rater],
    ) -> str | None:
        """What a person thinks of an answer: `ai_rating`. The turn is `interaction_id`, or
        `conversation_id` with `turn`.

        helpful: The answer helped.
        rating: How good the answer was (1 to 5).
        reason: The reason chosen, such as `wrong` or `too_long`.
        comment: What the rater wrote, scrubbed.
        rater_id: Who rated, where it is not `user_id`.
        """
        told = {
            **rater, "parent_interaction_id": interaction_id, "helpful": helpful,
            "rating": rating, "reason": reason, "comment": comment, "turn": turn,
            "conversation_id": conversation_id, "rater_id": rater_id,
        }  # fmt: skip
        fields = {name: value for name, value in told.items() if value is not None}
        return self.collector.record("ai_rating", **fields)

    def opened(self, turn: Turn) -> None:
        """A turn streams or has no block: it ends with the process at the latest."""
        pid = os.getpid()
        if self._watched != pid:
            self._watched, self._open = pid, weakref.WeakValueDictionary()
            atexit.register(_at_exit, weakref.ref(self), pid)
        self._open[turn.interaction_id] = turn

    def leave_open(self) -> None:
        """End what nobody reads or ends any more, as the process ends."""
        for turn in list(self._open.values()):
            turn.leave_open()


def _at_exit(me: weakref.ref[AI], pid: int) -> None:
    ai = me()
    if ai is not None and pid == os.getpid():
        ai.leave_open()
