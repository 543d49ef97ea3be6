"""Jobs: what runs without a request, such as a cron script, a thread or a queue's task.

In: a function or a block, and the headers of who asked for it. Out: one `job_run` when it ends, and
a cause for all that is recorded meanwhile. What the job raises is raised on; nothing of ours is.

    @job("nightly-sync")
    def sync() -> None: ...

    with job("import", headers=message.headers, queue="mail") as run:
        run.fields["retries"] = message.attempt
"""

from __future__ import annotations

import contextlib
import inspect
import time
from collections.abc import Callable, Mapping
from functools import wraps
from types import TracebackType
from typing import Any, Literal, ParamSpec, TypeVar

from uuid_utils import uuid7

from lakeward.capture import shared
from lakeward.collector import Collector
from lakeward.errors import Terminal
from lakeward.interaction import EARLIEST_NS, LATEST_NS, JsonObject
from lakeward.trace import CURRENT, Cause, Trace, incoming

__all__ = ["Job", "Run", "job", "use"]

use = shared.use

Outcome = Literal["succeeded", "failed", "retried"]
Headers = Mapping[str, str] | Mapping[bytes, bytes]

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Run:
    """One run of a job: the cause of what is recorded until it ends."""

    def __init__(
        self, collector: Collector, name: str, headers: Headers | None, fields: JsonObject
    ) -> None:
        now_ns = collector.now_ns()
        if not EARLIEST_NS <= now_ns <= LATEST_NS:
            now_ns = collector.clock.now()
        self.collector = collector
        self.name = name
        self.fields = fields
        """Further fields of the record; more may be put in while the job runs."""
        self.interaction_id = str(uuid7(nanoseconds=now_ns))
        self.outer: Cause | None = CURRENT.get()
        self.trace = _trace(self.interaction_id, headers, self.outer)
        self._started = time.perf_counter_ns()
        self._ended = False

    def person(self) -> dict[str, str]:
        """Whose call this job is part of, if it is part of one."""
        return {} if self.outer is None else self.outer.person()

    def begin(self) -> None:
        """What is recorded from here on joins this run."""
        CURRENT.set(self)

    def leave(self) -> None:
        """What is recorded from here on joins what this run was part of."""
        if CURRENT.get() is self:
            CURRENT.set(self.outer)

    def end(
        self, outcome: Outcome = "succeeded", error_type: str | None = None, *, ran: bool = True
    ) -> str | None:
        """Leave and record the run, once. One that never `ran` here has no duration."""
        self.leave()
        if self._ended:
            return None
        self._ended = True
        fields = {**self.fields, "job_name": self.name, "outcome": outcome}
        if ran:
            fields["duration_ms"] = (time.perf_counter_ns() - self._started) // 1000 / 1000
        fields |= {"interaction_id": self.interaction_id, "trace_id": self.trace.trace_id}
        if self.trace.parent_interaction_id is not None:
            fields["parent_interaction_id"] = self.trace.parent_interaction_id
        if error_type is not None:
            fields["error_type"] = error_type
        return self.collector.record("job_run", **fields)  # session and user join from `outer`


class Job:
    """A job by its name: a decorator, and a context manager, both for functions of either colour.

    One object may be used again and by many threads and tasks at once; each use is a run.
    """

    def __init__(
        self,
        name: str,
        collector: Collector | None,
        headers: Headers | None,
        retry_on: tuple[type[BaseException], ...],
        fields: JsonObject,
    ) -> None:
        self.name = name
        self._collector = collector
        self._headers = headers
        self._retry_on = retry_on
        self._fields = fields
        self._runs: list[Run] = []

    def __call__(self, function: Callable[_P, _R]) -> Callable[_P, _R]:
        """Record each run of a function; coroutine functions are awaited within it."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise Terminal(
                f"{function.__qualname__} is a generator, which ends when its reader likes: "
                f'use `with job("{self.name}"):` inside it'
            )
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def arun(*args: _P.args, **kwargs: _P.kwargs) -> Any:
                run = self._begin()
                try:
                    result = await function(*args, **kwargs)
                except BaseException as error:
                    self._failed(run, error)
                    raise
                run.end()
                return result

            return arun  # type: ignore[return-value]  # _R is the coroutine here

        @wraps(function)
        def run_it(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            run = self._begin()
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                self._failed(run, error)
                raise
            run.end()
            return result

        return run_it

    def __enter__(self) -> Run:
        run = self._begin()
        self._runs.append(run)
        return run

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # The run of this context; where begin and end have different ones, the latest.
        run = CURRENT.get()
        if not isinstance(run, Run) or run not in self._runs:
            run = self._runs[-1]
        self._runs.remove(run)
        if error is None:
            run.end()
        else:
            self._failed(run, error)

    async def __aenter__(self) -> Run:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)

    def _begin(self) -> Run:
        collector = self._collector or shared.collector()
        run = Run(collector, self.name, self._headers, dict(self._fields))
        run.begin()
        return run

    def _failed(self, run: Run, error: BaseException) -> None:
        if isinstance(error, SystemExit) and not error.code:
            run.end()  # `sys.exit()` is how a script says that it is through
        elif isinstance(error, self._retry_on):
            run.end("retried", type(error).__name__)
        else:
            run.end("failed", type(error).__name__)


def job(
    name: str,
    collector: Collector | None = None,
    *,
    headers: Headers | None = None,
    retry_on: tuple[type[BaseException], ...] = (),
    **fields: Any,
) -> Job:
    """A job of this name, to decorate a function with or to put around a block.

    Without a `collector` one is made by `Collector.from_env()` on the first run, and shared.
    `headers` with a `traceparent` continue its trace. An exception of `retry_on` makes the outcome
    `retried`, as it will run again. `fields` go into each record: `retries`, `queue`, `job_id`,
    `worker`, `wait_ms`, `scheduled_for`, and any of your own.
    """
    return Job(name, collector, headers, retry_on, fields)


def _trace(interaction_id: str, headers: Headers | None, outer: Cause | None) -> Trace:
    """The trace that the headers name, else that of the call or job around, else a new one."""
    found = _sent(headers)
    if found.get("traceparent") is not None:
        named = incoming(interaction_id, found["traceparent"], found.get("tracestate"))
        if named.trace_id != interaction_id.replace("-", ""):
            return named
    if outer is None:
        return incoming(interaction_id, None)
    above = outer.trace
    return Trace(above.trace_id, outer.interaction_id, above.flags, above.state)


def _sent(headers: Headers | None) -> dict[str, bytes]:
    """The two headers of a trace, however a queue spells them; strange headers are none."""
    found: dict[str, bytes] = {}
    with contextlib.suppress(Exception):
        for key, value in (headers or {}).items():
            name = (key.decode("latin-1") if isinstance(key, bytes) else str(key)).lower()
            if name in {"traceparent", "tracestate"}:
                found[name] = value if isinstance(value, bytes) else str(value).encode()
    return found
