"""One turn under way: what was asked, what was answered, and how it ended.

In: what the app hands to its methods, each of which may be called any number of times, from any
thread. Out: one `ai_conversation` when the block and every stream in it have ended, whichever is
last. An exception inside the block is recorded and goes on unchanged; nothing of ours is raised.

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
from lakeward.ai.messages import asked
from lakeward.ai.reach import mapping
from lakeward.ai.shapes import Heard, heard
from lakeward.ai.streaming import Following, Yields, follow
from lakeward.ai.usage import ABOUT, added, filled, together
from lakeward.interaction import JsonObject
from lakeward.ledger import Reason
from lakeward.trace import CURRENT

if TYPE_CHECKING:
    from lakeward.ai.conversation import AI
    from lakeward.ai.draft import Draft

T = TypeVar("T")
MESSAGES_MOST: Final = 1000
"""Messages of a turn that are kept: the last ones."""
_CANCELLED: Final = frozenset({"CancelledError", "Cancelled", "KeyboardInterrupt", "SystemExit"})
_KNOWN_FIRST: Final = ("operation", "model_answered", "response_id")


class Turn:
    """What `AI.conversation` gives; `with` or `async with`, or `end()`."""

    __slots__ = (
        "__weakref__", "_active", "_ai", "_asked", "_asked_ns", "_began_ns", "_cause", "_draft",
        "_ended_ns", "_fields", "_first_ns", "_holds", "_more", "_on", "_open", "_pid", "_said",
        "_seen", "_timestamp", "_usages", "handed", "interaction_id",
    )  # fmt: skip

    def __init__(self, ai: AI, fields: JsonObject) -> None:
        clock = ai.collector.clock
        now_ns = clock.now()
        self.interaction_id = str(uuid7(nanoseconds=now_ns))
        """The record's id, known from the start: for a button that rates the answer."""
        self._ai = ai
        self._on = ai.collector.settings.collect
        self._timestamp = clock.stamp(now_ns)
        self._began_ns = self._asked_ns = time.perf_counter_ns()
        self._first_ns = self._ended_ns = 0
        self._pid = os.getpid()
        self._cause = CURRENT.get()
        self._fields = fields
        self._more: JsonObject = {}
        self._asked: list[JsonObject] = []
        self._said: list[JsonObject] = []
        self._seen: JsonObject = {}
        self._usages: list[tuple[JsonObject, str, JsonObject]] = []
        self._holds: set[object] = set()
        self.handed = False
        """Whether an answer or a stream of it was handed over."""
        self._open = [True]
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
            self._take(heard(response))
        return response

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
            self._ai.opened(self)
            self._drafted()
            return follow(source, following)
        except Exception as error:
            self._holds.discard(following)
            self._ai.collector.blame(Reason.unencodable, error)
            return source

    def flag(
        self,
        *,
        question_answered: bool | None = None,
        action_taken: bool | None = None,
        follow_up_needed: bool | None = None,
    ) -> None:
        """What became of it, as far as the app knows when the turn ends."""
        told = {
            "question_answered": question_answered, "action_taken": action_taken,
            "follow_up_needed": follow_up_needed,
        }  # fmt: skip
        self._fields.update({name: value for name, value in told.items() if value is not None})

    def usage(self, usage: object, dialect: str = "") -> None:
        """Tokens as the provider counts them, where no answer says it; see `ai.usage.buckets`."""
        if found := mapping(usage):
            self._usages.append((found, dialect, {}))

    def set(self, **fields: Any) -> None:
        """Any other field of `ai_conversation`; names that are none are kept as properties."""
        self._fields.update(fields)
        if self._draft is not None:  # a consent, say, that is refused while the answer streams
            self._draft.fields(fields)

    @property
    def is_open(self) -> bool:
        """Whether it is not recorded yet."""
        return bool(self._open)

    def heard(self, fields: JsonObject) -> None:
        """What an instrumentation saw of one request: it fills what is not known here."""
        before = dict(self._more)
        if "total_tokens" in before and fields.get("tokens_source") == "none":
            fields = {n: v for n, v in fields.items() if n not in ("tokens_source", "usage")}
        if "status" in fields:
            before.pop("error_type", None)
        if "total_tokens" in before and "total_tokens" in fields:
            fields = {**fields, **added([before, fields])}
            before.pop("requests", None)
        self._more = {**before, **fields}

    def end(self, error: BaseException | None = None) -> None:
        """The turn is over, for code that has no `with`; streams are still waited for."""
        self._leave(error)

    def __enter__(self) -> Self:
        self._holds.add(self)
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
            self._release(self)
        except Exception as failure:
            self._ai.collector.blame(Reason.unencodable, failure)

    def piece(self, added: str, first: Heard | None) -> None:
        """A stream's next text, before the app has it."""
        if first is not None:
            self._first_ns = self._first_ns or time.perf_counter_ns()
        draft = self._draft
        if draft is None:
            return
        if first is not None:
            waited = {"time_to_first_token_ms": (self._first_ns - self._asked_ns) / 1e6}
            known = {name: first.fields[name] for name in _KNOWN_FIRST if name in first.fields}
            draft.fields(waited | known)
        if added:
            draft.text(added)

    def over(self, following: Following, found: Heard, error: BaseException | None) -> None:
        """A stream ended."""
        try:
            if not (self.handed and isinstance(following, Yields)):
                self._ended_ns = following.ended_ns
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

    def _take(self, found: Heard) -> None:
        self._said += found.messages
        if found.usage:
            about = {name: found.fields[name] for name in ABOUT if name in found.fields}
            self._usages.append((found.usage, found.dialect, about))
        seen, fields = self._seen, found.fields
        if "tool_call_count" in seen:  # by an earlier request of this turn
            used = [*seen.get("tools_used", ()), *fields.get("tools_used", ())]
            fields["tools_used"] = list(dict.fromkeys(used))[:100]
            fields["tool_call_count"] = seen["tool_call_count"] + fields.get("tool_call_count", 0)
        if "status" in fields:  # a request that failed was made again
            seen.pop("error_type", None)
        seen.update(fields)

    def _broken(self, error: BaseException) -> None:
        if isinstance(error, GeneratorExit):  # nobody wants more; there may have been no more
            self._seen.setdefault("status", "abandoned")
            return
        names = {kind.__name__ for kind in type(error).__mro__}
        self._seen["status"] = "cancelled" if names & _CANCELLED else "failed"
        self._seen["error_type"] = type(error).__name__[:200]

    def _release(self, hold: object) -> None:
        """Let go of what the turn waits for; the last one records it."""
        self._holds.discard(hold)
        if self._holds:
            return
        try:
            self._open.pop()
        except IndexError:
            return
        self._ai.closed(self)
        if self._pid != os.getpid():
            return
        if not self._ended_ns:
            self._ended_ns = time.perf_counter_ns()
        token = CURRENT.set(self._cause)
        try:
            fields = self._whole()
            fields["interaction_id"], fields["timestamp"] = self.interaction_id, self._timestamp
            self._ai.collector.record("ai_conversation", **fields)
        finally:
            CURRENT.reset(token)
            if self._draft is not None:
                self._draft.close()

    def _whole(self) -> JsonObject:
        """The record's fields, as far as they are known."""
        made: JsonObject = {}
        if self._ended_ns:
            made["duration_ms"] = (self._ended_ns - self._began_ns) / 1e6
        if self._first_ns:
            made["time_to_first_token_ms"] = (self._first_ns - self._asked_ns) / 1e6
        made |= self._seen | together(self._usages)
        if messages := self._asked + self._said:
            made["messages"] = messages
        if self._more:
            made = filled(made, self._more)
        made["captured_by"] = "api"
        made.setdefault("status", "completed")
        made.setdefault("streamed", False)
        made.update(self._fields)
        return made

    def leave_open(self) -> None:
        """The process ends: streams that are still open were left unread."""
        self._end_streams(None)

    def _end_streams(self, error: BaseException | None) -> None:
        for following in list(self._holds):
            if isinstance(following, Following):
                following.end(error)
