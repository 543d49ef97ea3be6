"""The errors a caller can meet, as one small tree whose branches decide what to do next.

`Terminal`: the same call will fail again; mend what the message names. `Transient`: the same call
may succeed later. `Rejected`: the data were refused; the application is otherwise fine.
"""

from __future__ import annotations


class LakewardError(Exception):
    """Anything Lakeward raises on purpose; the message is one sentence that names the mend."""


class Terminal(LakewardError):
    """Trying again cannot help: the setting, file or argument named must change."""


class Transient(LakewardError):
    """Trying again later can help: a disk, a keeper or a sink is away for now."""


class Rejected(LakewardError):
    """One interaction is invalid; the message names the field, the value's type and the rule."""


class Undeliverable(Rejected):
    """A sink can never take some records of a slice; it has delivered all others of it."""

    def __init__(self, records: list[tuple[int, str]]) -> None:
        """`records`: the index of each line in the slice, and why."""
        first = records[0][1] if records else ""
        super().__init__(f"{len(records)} records can never be delivered, the first: {first}")
        self.records = records


class Throttled(Transient):
    """A sink asks to be left alone for a while."""

    def __init__(self, sentence: str, seconds: float) -> None:
        super().__init__(sentence)
        self.seconds = seconds


class Unsure(LakewardError):
    """It may have been done and may not: whoever tries again must ask first."""


class SettingError(Terminal):
    """A setting has a value that it cannot take."""


class LakeBusy(Transient):
    """Another keeper holds the lake."""


class NotDurable(Transient):
    """`commit()` could not make everything recorded durable within its time."""


class Unreadable(Terminal):
    """A file of the lake is of another version or is damaged, and is not touched."""


class MissingExtra(Terminal):
    """A feature needs an optional dependency that is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an extra: pip install 'lakeward[{extra}]'")
