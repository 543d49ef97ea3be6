"""Flags: the one object an application holds to ask what somebody sees.

In: a source, a collector, and at each question a key and attributes. Out: an `Evaluation`; the
collector hears of each experiment that the unit met. Nothing is raised into the app, and a question
neither reads nor waits: definitions are looked for by a thread, and earlier assignments are those
that the app hands over or recalled before.

    flags = Flags(FileSource("flags.json"), collector)
    if flags.is_on("match-reasons", {"user_id": "u1"}): …
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from lakeward.collector import Collector
from lakeward.errors import SettingError
from lakeward.flags.evaluate import Context, Evaluation, evaluate
from lakeward.flags.exposure import MOST, Exposures
from lakeward.flags.memory import Memory
from lakeward.flags.ruleset import Ruleset
from lakeward.flags.source import FileSource, Source
from lakeward.flags.sticky import Known, StickyStore
from lakeward.flags.watch import EVERY, Change, Watch
from lakeward.settings import Settings

logger = logging.getLogger("lakeward")

T = TypeVar("T")
NO_ATTRIBUTES: Mapping[str, Any] = {}
COMPLAIN_SECONDS = 60.0


class Flags:
    """Evaluates; safe to share between threads, tasks and forked workers."""

    def __init__(
        self,
        source: Source,
        collector: Collector | None = None,
        *,
        sticky: StickyStore | None = None,
        every: float = EVERY,
        remembered: int = MOST,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Reads the source once, so that the first question finds flags; a source that fails is
        warned of and looked at again."""
        self.watch = Watch(source, every=every)
        self.failures = 0
        self._exposures = None if collector is None else Exposures(collector, remembered)
        self._memory = None if sticky is None else Memory(sticky)
        if self._memory is not None:
            self.watch.chores.append(self._memory.work)
        self._monotonic = monotonic
        self._complained = -COMPLAIN_SECONDS
        self.watch.look()

    @classmethod
    def from_settings(cls, settings: Settings, collector: Collector | None = None) -> Self:
        """Of the source that `LAKEWARD_FLAGS` names: a file's path, or `database`, which keeps
        assignments, too."""
        if not settings.flags:
            raise SettingError(
                "LAKEWARD_FLAGS is empty: set it to a file in JSON or TOML, or to `database`"
            )
        if settings.flags != "database":
            return cls(FileSource(Path(settings.flags).expanduser()), collector)
        from lakeward.flags.database import DatabaseSource, DatabaseSticky

        return cls(DatabaseSource(settings), collector, sticky=DatabaseSticky(settings))

    @property
    def rules(self) -> Ruleset:
        """The flags of now."""
        return self.watch.rules

    def evaluate(
        self,
        key: str,
        attributes: Mapping[str, Any] = NO_ATTRIBUTES,
        *,
        sticky: Known | None = None,
        url: str = "",
        forced_variations: Mapping[str, int] | None = None,
        tell: bool = True,
    ) -> Evaluation:
        """A flag for a unit. `sticky` are earlier assignments that the app kept itself; `tell`
        says whether experiments that the unit meets are told to the lake."""
        try:
            watch = self.watch
            if not watch.started:
                watch.start()
            memory = self._memory
            if sticky is None and memory is not None:
                sticky = memory.known(attributes)
            context = Context(
                attributes=attributes, url=url, sticky=sticky,
                forced_variations=forced_variations or {},
            )  # fmt: skip
            rules = watch.rules
            found = evaluate(rules, key, context)
            if found.met:
                for met in found.met:
                    if memory is not None:
                        memory.keep(met)
                    if tell and self._exposures is not None:
                        self._exposures.tell(met, attributes, rules.source)
            return found
        except Exception as error:
            return self._failed(key, error)

    def _failed(self, key: str, error: Exception) -> Evaluation:
        self.failures += 1
        now = self._monotonic()
        if now - self._complained >= COMPLAIN_SECONDS:
            self._complained = now
            logger.warning(
                "lakeward: a flag has its default, its evaluation failed: %s (%s); are the "
                "attributes plain JSON?", type(error).__name__, str(key)[:80],
            )  # fmt: skip
        return Evaluation(None, "error")

    def is_on(self, key: str, attributes: Mapping[str, Any] = NO_ATTRIBUTES) -> bool:
        """Whether the flag's value switches on; a flag that is not there is off."""
        return self.evaluate(key, attributes).on

    def value(self, key: str, default: T, attributes: Mapping[str, Any] = NO_ATTRIBUTES) -> T:
        """The flag's value when it is of the default's type (any, when that is None), else the
        default."""
        found = self.evaluate(key, attributes).value
        if default is None or type(found) is type(default):
            return default if found is None else found
        if isinstance(default, float) and type(found) is int:
            return type(default)(found)
        return default

    @property
    def sticks(self) -> bool:
        """Whether assignments are kept, so that `recall` is worth its wait."""
        return self._memory is not None

    def recall(self, attributes: Mapping[str, Any]) -> bool:
        """Fetch what was assigned to this unit before: the one call that waits for the store.

        For the beginning of a request, where the app can afford it; without it, a unit that this
        process has not met is assigned by its hash until the thread has fetched it. Whether the
        store answered; never raises.
        """
        return self._memory is None or self._memory.recall(attributes)

    def on_change(self, listener: Callable[[Change], None]) -> None:
        """Call it, in the thread that looks, when flags changed or cannot be read."""
        self.watch.listeners.append(listener)

    def stats(self) -> dict[str, Any]:
        """Where the flags are from, and what was counted."""
        watch, exposures, memory = self.watch, self._exposures, self._memory
        return {
            "flags": len(watch.rules.flags),
            "version": watch.rules.version,
            "trouble": watch.trouble,
            **watch.counts,
            "evaluations_failed": self.failures,
            "exposures_told": 0 if exposures is None else exposures.told,
            "exposures_untold": 0 if exposures is None else exposures.untold,
            "sticky": None if memory is None else memory.stats(),
        }

    def close(self, seconds: float = 2.0) -> None:
        """End the thread and keep what is still to be kept; flags can be asked for all the same."""
        self.watch.close(seconds)
        if self._memory is not None:
            self._memory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
