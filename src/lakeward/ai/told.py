"""What is known of one turn: as the app told it, as the answers say, and as others saw it.

In: fields, answers that were heard, errors, and what an instrumentation saw. Out: the fields of the
record, as far as they are known. Of several requests the last one counts, tokens and calls of tools
add up. Nothing fails.
"""

from __future__ import annotations

import time
from typing import Final

from lakeward.ai.reach import mapping
from lakeward.ai.shapes import Heard
from lakeward.ai.usage import ABOUT, added, filled, together
from lakeward.interaction import JsonObject

_CANCELLED: Final = frozenset({"CancelledError", "Cancelled", "KeyboardInterrupt", "SystemExit"})


class Told:
    """What is known; a `Turn` is one."""

    __slots__ = (
        "_asked", "_asked_ns", "_began_ns", "_ended_ns", "_fields", "_first_ns", "_more", "_said",
        "_seen", "_usages",
    )  # fmt: skip

    def __init__(self, fields: JsonObject) -> None:
        self._began_ns = self._asked_ns = time.perf_counter_ns()
        self._first_ns = self._ended_ns = 0
        self._fields = fields
        self._more: JsonObject = {}
        self._asked: list[JsonObject] = []
        self._said: list[JsonObject] = []
        self._seen: JsonObject = {}
        self._usages: list[tuple[JsonObject, str, JsonObject]] = []

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
        if "response_id" in seen and "response_id" in fields:
            ids = [*seen.get("response_ids", (seen["response_id"],)), fields["response_id"]]
            fields["response_ids"] = list(dict.fromkeys(ids))[-100:]
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
