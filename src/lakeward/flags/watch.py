"""The watch on a source: the newest good ruleset, looked for by a thread of its own.

In: a source. Out: `rules`, which an evaluation reads without waiting. A look that fails leaves the
last good rules standing, is counted, and warned of once until a look succeeds again. Nothing here
raises. The thread starts with the first evaluation, in a forked child anew, and ends with `close`,
or when nobody holds the watch any more.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec

from lakeward.errors import LakewardError, Rejected
from lakeward.flags.ruleset import EMPTY, ready
from lakeward.flags.source import Source

logger = logging.getLogger("lakeward")

EVERY: Final = 2.0
"""Seconds between two looks: with one look missed, a change is still there within five."""


class Trouble(StrEnum):
    """Why a look found no flags."""

    missing = "missing"
    invalid = "invalid"
    away = "away"
    unexpected = "unexpected"


class Change(msgspec.Struct, frozen=True):
    """What a look found that was not so before."""

    changed: tuple[str, ...] = ()
    """Keys of flags that came, went or are others now."""
    recovered: bool = False
    """Whether the look before had failed."""
    trouble: Trouble | None = None
    sentence: str = ""


class Watch:
    """Holds the rules, a lock for looks, and the thread."""

    def __init__(self, source: Source, *, every: float = EVERY) -> None:
        self.rules = EMPTY
        self.loaded = False
        self.trouble: Trouble | None = None
        self.sentence = ""
        self.counts = dict.fromkeys(("looks", *Trouble), 0)
        self.chores: list[Callable[[], None]] = []
        """What else the thread does after each look; none may raise."""
        self.listeners: list[Callable[[Change], None]] = []
        self._source = source
        self._every = every
        self._mark = ""
        self._features: dict[str, object] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._end, self._unheld = self._ending()
        me = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _in_child(me))

    @property
    def started(self) -> bool:
        """Whether the thread was started in this process."""
        return self._thread is not None

    def start(self) -> None:
        """Start the thread, once; without room for one the rules stay as they are."""
        with self._lock:
            if self._thread is not None or self._end.is_set():
                return
            thread = threading.Thread(
                target=_watch, args=(weakref.ref(self), self._end, self._every),
                name="lakeward-flags", daemon=True,
            )  # fmt: skip
            self._thread = thread
            try:
                thread.start()
            except RuntimeError as error:  # no threads left, or the interpreter is ending
                logger.warning("lakeward: flags are not looked for any more: %s", error)

    def reopen(self) -> None:
        """Start again after `close`."""
        with self._lock:
            if self._end.is_set():
                self._thread = None
                self._end, self._unheld = self._ending()
        self.start()

    def look(self) -> Change | None:
        """Look once; what changed, or None."""
        with self._lock:
            change = self._looked()
        if change is not None:
            for listener in list(self.listeners):
                _safely(listener, change)
        return change

    def _looked(self) -> Change | None:
        self.counts["looks"] += 1
        try:
            found = self._source.read(self._mark)
            if found is None:
                return self._recovered(())
            rules = self.rules
            if found.version != rules.version or not self.loaded:
                rules = ready(found.payload, found.version, self._source.name)
        except FileNotFoundError as error:
            return self._failed(Trouble.missing, f"{error.filename} is not there")
        except Rejected as error:
            return self._failed(Trouble.invalid, str(error))
        except (LakewardError, OSError) as error:
            return self._failed(Trouble.away, str(error))
        except Exception as error:
            return self._failed(Trouble.unexpected, type(error).__name__)
        features: dict[str, object] = {**found.payload.features}
        old, self._features = self._features, features
        self.rules, self._mark, self.loaded = rules, found.mark, True
        names = old.keys() | features.keys()
        return self._recovered(
            tuple(sorted(name for name in names if old.get(name) != features.get(name)))
        )

    def _recovered(self, changed: tuple[str, ...]) -> Change | None:
        recovered, self.trouble, self.sentence = self.trouble is not None, None, ""
        return Change(changed, recovered) if changed or recovered else None

    def _failed(self, trouble: Trouble, sentence: str) -> Change | None:
        self.counts[trouble] += 1
        again = self.trouble is not None
        self.trouble, self.sentence = trouble, sentence
        if again:
            return None
        stay = "the last good ones stay" if self.loaded else "every flag has its default"
        logger.warning("lakeward: flags cannot be read, %s: %s", stay, sentence)
        return Change(trouble=trouble, sentence=sentence)

    def work(self) -> None:
        """A look and the chores: what the thread does."""
        self.look()
        for chore in list(self.chores):
            _safely(chore)

    def close(self, seconds: float = 2.0) -> None:
        """End the thread, waiting no longer than this; the rules stay."""
        self._end.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread() and thread.is_alive():
            thread.join(seconds)
        _safely(self._source.close)

    def after_fork(self) -> None:
        """The parent's thread is not here, and its locks may be held by nobody."""
        self._lock = threading.Lock()
        self._thread = None
        self._unheld.detach()  # it would ask for a lock of the parent's
        ended = self._end.is_set()
        self._end, self._unheld = self._ending()
        if ended:
            self._end.set()

    def _ending(self) -> tuple[threading.Event, weakref.finalize[[], Watch]]:
        """What ends the thread, also when nobody holds this object any more."""
        end = threading.Event()
        return end, weakref.finalize(self, end.set)


def _watch(me: weakref.ref[Watch], end: threading.Event, every: float) -> None:
    while not end.wait(every):
        watch = me()
        if watch is None:
            return
        watch.work()
        del watch


def _safely(act: Callable[..., None], *given: object) -> None:
    try:
        act(*given)
    except Exception as error:
        logger.warning("lakeward: %s while flags were looked for", type(error).__name__)


def _in_child(me: weakref.ref[Watch]) -> None:
    watch = me()
    if watch is not None:
        watch.after_fork()
