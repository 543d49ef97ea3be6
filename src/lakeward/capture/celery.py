"""Celery capture: `install(app)` records each attempt of each task as a `job_run`.

In: a Celery application; its signals, in the process that publishes and in the workers. Out: one
record for each attempt, in the trace of the call or job that published the task. Arguments and
results are never looked at. A task that ends without its process, by a hard time limit or a lost
worker, is recorded by the worker's main process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from billiard import current_process
from celery import Celery, signals, states
from celery.exceptions import Reject, TimeLimitExceeded

from lakeward import trace
from lakeward.capture import shared
from lakeward.capture.job import Outcome, Run
from lakeward.collector import Collector
from lakeward.errors import Terminal
from lakeward.ledger import Reason

__all__ = ["install"]

MARK = "lakeward_tasks"
RUN = "lakeward_run"
"""Where a task's request holds its run while it lasts."""
MAIN = "MainProcess"
OUTCOMES: dict[str, Outcome] = {
    states.SUCCESS: "succeeded",
    states.IGNORED: "succeeded",
    states.RETRY: "retried",
}


def install(app: Celery, collector: Collector | None = None) -> None:
    """Capture the tasks of a Celery application; call it where the application is made.

    Publishers and workers import that module, so both are covered. Without a `collector` the one
    that `job` uses is taken, made on first use. Raises Terminal when called for this app before.
    """
    if hasattr(app, MARK):
        raise Terminal("install() was called for this Celery application before: call it once")
    tasks = _Tasks(app, collector)
    setattr(app, MARK, tasks)
    for signal, receiver in (
        (signals.before_task_publish, tasks.published),
        (signals.task_prerun, tasks.begins),
        (signals.task_postrun, tasks.ended),
        (signals.task_failure, tasks.failed),
        (signals.task_revoked, tasks.revoked),
    ):
        signal.connect(tasks.guarded(receiver), weak=False)


class _Tasks:
    """Receivers of the signals; Celery sends those of all its applications, one here is ours."""

    def __init__(self, app: Celery, collector: Collector | None) -> None:
        self._app = app
        self._given = collector

    @property
    def _collector(self) -> Collector:
        return self._given or shared.collector()

    def guarded(self, receiver: Callable[..., None]) -> Callable[..., None]:
        """A receiver that never fails: Celery would log it with the task's arguments."""

        def receive(sender: Any = None, **said: Any) -> None:
            try:
                receiver(sender, said)
            except Exception as error:
                self._collector.blame(Reason.unencodable, error)

        return receive

    def published(self, sender: Any, said: dict[str, Any]) -> None:
        """Give the message the trace of what publishes it, unless it has one."""
        headers = said["headers"]
        if headers is not None and "traceparent" not in headers:
            headers.update(trace.headers())

    def begins(self, task: Any, said: dict[str, Any]) -> None:
        """A worker takes up one attempt."""
        if task.app is self._app:
            run = Run(self._collector, task.name, _carried(task.request), _fields(task.request))
            setattr(task.request, RUN, run)
            run.begin()

    def ended(self, task: Any, said: dict[str, Any]) -> None:
        """The attempt is over, however it went."""
        run = task.request.__dict__.pop(RUN, None)
        if run is None:
            return
        state, result = said.get("state"), said.get("retval")
        if state == states.REJECTED:
            again = bool(getattr(result, "requeue", False))
            run.end("retried" if again else "failed", _name(result))
        elif state is not None:
            outcome = OUTCOMES.get(state, "failed")
            run.end(outcome, None if outcome == "succeeded" else _name(result))
        elif current_process().name == MAIN:
            run.end("failed", _name(sys.exception()))
        else:
            run.leave()  # this child is being ended: the main process knows why, and tells

    def failed(self, task: Any, said: dict[str, Any]) -> None:
        """A task failed whose process could not say so; an attempt under way says it itself."""
        error, request = said.get("exception"), task.request
        if task.app is not self._app or RUN in request.__dict__ or isinstance(error, Reject):
            return
        known = request.id == said["task_id"]
        if not known and isinstance(error, TimeLimitExceeded):
            return  # Celery tells of it twice, the second time with the request
        fields = _fields(request) if known else {"job_id": said["task_id"]}
        run = Run(self._collector, task.name, _carried(request) if known else None, fields)
        run.end("failed", _name(error), ran=False)

    def revoked(self, task: Any, said: dict[str, Any]) -> None:
        """A task was called back: before it began, too late to be worth it, or killed."""
        if task.app is self._app:
            request = said["request"]
            run = Run(self._collector, task.name, _carried(request), _fields(request))
            name = "Expired" if said.get("expired") else "Revoked"
            run.end("failed", "Terminated" if said.get("terminated") else name, ran=False)


def _carried(request: Any) -> dict[str, str]:
    """The trace's headers of a task's message."""
    found = {name: getattr(request, name, None) for name in ("traceparent", "tracestate")}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _fields(request: Any) -> dict[str, Any]:
    """What a task's message says of its run; no arguments."""
    delivery = request.delivery_info or {}
    fields = {
        "job_id": request.id,
        "retries": request.retries,
        "queue": delivery.get("routing_key"),
        "worker": request.hostname,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _name(error: object) -> str | None:
    """Type of an exception; of a retry, of what caused it."""
    cause = getattr(error, "exc", None)
    found = cause if isinstance(cause, BaseException) else error
    return type(found).__name__ if isinstance(found, BaseException) else None
