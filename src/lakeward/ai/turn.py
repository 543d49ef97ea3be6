"""One turn under way: what was asked, what was answered, and how it ended.

In: what the app hands to its methods, each of which may be called any number of times, from any
thread. Out: one `ai_conversation` when the block and every stream in it have ended, whichever is
last; without a block `end` takes its place, and whoever forgets it has the turn recorded when
nothing holds it any more, or the process ends. An exception inside the block is recorded and goes
on unchanged; nothing of ours is raised.

A second request of the same turn, as after the call of a tool, holds what was said before: what is
asked then takes the place of what was asked, and tokens add up. A turn belongs to the process in
which it began; a forked child leaves it to its parent.
"""

from __future__ import annotations

import os
import time
from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, cast

from uuid_utils import uuid7

from lakeward.ai.active import ACTIVE, UnderWay
from lakeward.ai.following import Following, Yields
from lakeward.ai.messages import asked
from lakeward.ai.returned import returned
from lakeward.ai.shapes import Heard, heard
from lakeward.ai.streaming import follow
from lakeward.ai.told import Told
from lakeward.interaction import JsonObject
from lakeward.ledger import Reason
from lakeward.trace import CURRENT

if TYPE_CHECKING:
    from lakeward.ai.conversation import AI
    from lakeward.ai.draft import Draft

T = TypeVar("T")
MESSAGES_MOST: Final = 1000
"""Messages of a turn that are kept: the last ones."""
_KNOWN_FIRST: Final = ("operation", "model_answered", "response_id")


class Turn(Told):
    """What `AI.conversation` gives; `with` or `async with`, or `end()`."""

    __slots__ = (
        "__weakref__", "_active", "_ai", "_cause", "_draft", "_ended", "_holds", "_known", "_on",
        "_open", "_pid", "_timestamp", "handed", "interaction_id",
    )  # fmt: skip

    def __init__(self, ai: AI, fields: JsonObject) -> None:
        super().__init__(fields)
        clock = ai.collector.clock
        now_ns = clock.now()
        self.interaction_id = str(uuid7(nanoseconds=now_ns))
        """The record's id, known from the start: for a button that rates the answer."""
        self._ai = ai
        self._on = ai.collector.settings.collect
        self._timestamp = clock.stamp(now_ns)
        self._pid = os.getpid()
        self._cause = CURRENT.get()
        self._holds: set[Following] = set()
        self.handed = False
        """Whether an answer or a stream of it was handed over."""
        self._open = [True]
        self._ended = False
        """The block was left, or `end` called: what is waited for now are streams."""
        self._known = False
        """The end of the process would find it."""
        self._active: Token[UnderWay | None] | None = None
        self._draft: Draft | None = None

    def ask(self, messages: object, *, system: object = None) -> None:
        """What the model is asked: messages as the provider takes them, or a text.

        `system` is Anthropic's, or the `instructions` of OpenAI's Responses.
        """
        self._asked_ns = time.perf_counter_ns()
        if not self._ended_ns:
            self._began_ns = self._asked_ns
        if self._on:
            self._begun()
            found = asked(messages, system)
            self._asked, self._said = found[-MESSAGES_MOST:], []
            if len(found) > MESSAGES_MOST:
                self._fields["messages_left_out"] = len(found) - MESSAGES_MOST

    def answer(self, response: T) -> T:
        """What the model answered: a response of OpenAI's or Anthropic's SDK, a dict of the same
        shape, or a text. It is given back as it is."""
        self._ended_ns = time.perf_counter_ns()
        self.handed = True
        if self._on:
            self._begun()
            self._take(heard(response))
        return response

    def returned(self, result: object) -> None:
        """What a function of the app gave back: an answer, if it is one for certain."""
        found = returned(result) if self._on else None
        if found is not None and (found.messages or found.usage):
            self._ended_ns = time.perf_counter_ns()
            self.handed = True
            self._take(found)

    def stream(self, source: T) -> T:
        """A stream of the answer, which is followed while the app reads it."""
        self.handed = True
        return cast("T", self._followed(source, Following(self)))

    def yielded(self, source: Any) -> Any:
        """As `stream`, for what a generator of the app yields."""
        return self._followed(source, Yields(self))

    def _followed(self, source: Any, following: Following) -> Any:
        if not self._on:
            return source
        try:
            self._holds.add(following)
            self._begun(streams=True)
            self._drafted()
            return follow(source, following)
        except Exception as error:
            self._holds.discard(following)
            self._ai.collector.blame(Reason.unencodable, error)
            return source

    def set(self, **fields: Any) -> None:
        """Any other field of `ai_conversation`; names that are none are kept as properties."""
        self._fields.update(fields)
        if self._draft is not None:  # a consent, say, that is refused while the answer streams
            self._draft.fields(fields)

    @property
    def is_open(self) -> bool:
        """Whether it is not recorded yet."""
        return bool(self._open)

    def end(self, error: BaseException | None = None) -> None:
        """The turn is over, for code that has no `with`; streams are still waited for."""
        self._leave(error)

    def __enter__(self) -> Self:
        self._active = ACTIVE.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave(error)

    def _leave(self, error: BaseException | None) -> None:
        active, self._active = self._active, None
        if active is not None and ACTIVE.get() is self:
            try:
                ACTIVE.reset(active)
            except ValueError:  # a generator that is closed in another context than it began in
                ACTIVE.set(None)
            outer = ACTIVE.get()
            if outer is not None and not outer.is_open:  # generators that took turns
                ACTIVE.set(None)
        try:
            if error is not None:
                self._end_streams(error)
                self._broken(error)
            self._ended = True
            self._release(None)
        except Exception as failure:
            self._ai.collector.blame(Reason.unencodable, failure)

    def piece(self, added: str, first: Heard) -> None:
        """A stream's first text, before the app has it."""
        self._first_ns = self._first_ns or time.perf_counter_ns()
        draft = self._draft
        if draft is None:
            return
        waited = {"time_to_first_token_ms": (self._first_ns - self._asked_ns) / 1e6}
        known = {name: first.fields[name] for name in _KNOWN_FIRST if name in first.fields}
        draft.fields(waited | known)
        if added:
            draft.text(added)

    @property
    def writer(self) -> Draft | None:
        """What keeps a stream's next pieces, each before the app has it."""
        return self._draft

    def over(self, following: Following, found: Heard, error: BaseException | None) -> None:
        """A stream ended."""
        try:
            if not (self.handed and isinstance(following, Yields)):
                self._ended_ns = following.ended_ns
                if following.streamed:
                    self._seen["streamed"] = True
                self._take(found)
            if error is not None:
                self._broken(error)
            self._release(following)
        except Exception as failure:
            self._ai.collector.blame(Reason.unencodable, failure)

    def _drafted(self) -> None:
        """Write down what is known, before the first piece: the process may die in between."""
        if self._draft is None and self._pid == os.getpid():
            head = self._whole() | {"timestamp": self._timestamp, "streamed": True}
            self._draft = self._ai.drafts.open(self.interaction_id, head)

    def _release(self, hold: Following | None) -> None:
        """Let go of what the turn waits for; the last one records it."""
        if hold is not None:
            self._holds.discard(hold)
        if self._holds or not self._ended:
            return
        try:
            self._open.pop()
        except IndexError:
            return
        if self._pid != os.getpid():
            return
        if not self._ended_ns:
            self._ended_ns = time.perf_counter_ns()
        token = CURRENT.set(self._cause)
        try:
            self._ai.collector.record_turn(self._whole(), self.interaction_id, self._timestamp)
        finally:
            CURRENT.reset(token)
            if self._draft is not None:
                self._draft.close()

    def _begun(self, *, streams: bool = False) -> None:
        """There is something to record. In a block its end is certain; elsewhere, and of streams,
        the end of the process is the last occasion."""
        if not self._known and (streams or self._active is None):
            self._known = True
            self._ai.opened(self)

    def leave_open(self) -> None:
        """The process ends: streams that are still open were left unread, and so was a turn that
        waits for nothing but its `end`."""
        self._end_streams(None)
        if self._active is None:
            self._forgotten()

    def _forgotten(self) -> None:
        if not self.handed and not self._usages:
            self._seen.setdefault("status", "abandoned")
        self._leave(None)

    def __del__(self) -> None:
        try:
            if self._open and self._known:
                self._forgotten()
        except Exception:  # noqa: S110 - the interpreter may be gone
            pass

    def _end_streams(self, error: BaseException | None) -> None:
        for following in list(self._holds):
            following.end(error)
