"""Overview: what is watched, how it is, and what was left out; what `lakeward alerts watch` shows.

In: a lake. Out: a row for each series, the most frequent first, and what does not hold for one
alone; empty where nobody watched yet. Nothing fails but the disk.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from lakeward.alerts.memory import is_foreign, looked_at
from lakeward.alerts.ranking import Ranked
from lakeward.alerts.rules import Rules, read
from lakeward.alerts.signal import KINDS
from lakeward.alerts.taking import is_of
from lakeward.alerts.watching import Position
from lakeward.errors import SettingError
from lakeward.interaction import iso, parse_iso
from lakeward.lakedir import LakeDir
from lakeward.settings import Settings

STALE_MS: Final = 15 * 60_000
"""Three looks: who has missed so many does not look."""


class Shown(msgspec.Struct, frozen=True):
    """A series."""

    series: str
    minutes: int
    """How long a bucket is."""
    per_hour: float
    """How many it had in an hour, of late."""
    unit: str
    at: str | None = None
    """The newest bucket that was judged."""
    value: float | None = None
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    learned_since: str | None = None
    """The first bucket that it learned from; not known of what was watched before this was."""
    wrong_since: str | None = None
    kind: str | None = None


class Overview(msgspec.Struct, frozen=True):
    """All of them."""

    series: tuple[Shown, ...] = ()
    left_out: int = 0
    """Series for which there was no room."""
    rare: int = 0
    """Groups of which too little came to know what is usual."""
    judged_until: str | None = None


def watched(lake: LakeDir) -> Overview:
    """What the last look left."""
    with looked_at(lake) as memory:
        if memory is None:
            return Overview()
        rows = []
        for entry in memory.entries.values():
            last, episode = entry.last, entry.episode
            shown = Shown(
                entry.series.key, entry.seconds // 60, round(entry.volume, 1), entry.unit,
                learned_since=None if entry.since is None else iso(entry.since),
                wrong_since=iso(episode.since) if episode else None,
                kind=episode.kind if episode else None,
            )  # fmt: skip
            if last is not None:
                shown = msgspec.structs.replace(
                    shown, at=iso(last.at), value=last.value, expected=last.expected,
                    low=last.low, high=last.high,
                )  # fmt: skip
            rows.append(shown)
        ranked, position = memory.word(Ranked()), memory.word(Position())
    rows.sort(key=lambda row: (-row.per_hour, row.series))
    until = iso(position.fine_ms) if position.fine_ms else None
    return Overview(tuple(rows), ranked.left_out, ranked.rare, until)


class Account(msgspec.Struct, frozen=True):
    """In numbers, for `lakeward doctor`."""

    watched: int
    wrong: int
    left_out: int
    rare: int
    judged_until: str | None
    refused: str = ""
    """What is wrong with `alerts.toml`."""
    other_version: bool = False
    """Whether another version of Lakeward watched; what it knew is learned anew."""


def account(lake: LakeDir, settings: Settings) -> Account:
    """How watching goes."""
    try:
        read(settings)
        refused = ""
    except SettingError as error:
        refused = str(error)
    found = account_of(watched(lake), refused)
    return msgspec.structs.replace(found, other_version=is_foreign(lake))


def account_of(shown: Overview, refused: str = "") -> Account:
    """The numbers of an overview."""
    wrong = sum(row.wrong_since is not None for row in shown.series)
    return Account(
        len(shown.series), wrong, shown.left_out, shown.rare, shown.judged_until, refused
    )


def sentence(told: Account) -> str:
    """One line of it."""
    if told.refused:
        return f"nothing is watched: {told.refused}"
    if told.other_version:
        return "another version of Lakeward watched this lake: the next look learns it anew"
    if told.judged_until is None:
        return "nobody has watched this lake yet"
    parts = [f"{told.watched:,} series, {told.wrong:,} out of their usual band"]
    if told.left_out:
        parts.append(f"{told.left_out:,} left out for want of room (watch.most)")
    if told.rare:
        parts.append(f"{told.rare:,} too rare to be judged")
    return f"{', '.join(parts)}; judged until {told.judged_until}"


class Verdict(msgspec.Struct, frozen=True):
    """How things are, in one word and one sentence, for whoever shows it."""

    state: Literal["usual", "unusual", "incidents", "unknown"]
    sentence: str


def verdict(told: Account, incidents: int, now_ms: int) -> Verdict:
    """The one verdict on a lake with so many open incidents; the gravest that holds."""
    if incidents:
        are = "incident is" if incidents == 1 else "incidents are"
        return Verdict("incidents", f"{incidents:,} {are} open.")
    if why := remark(told, now_ms):
        return Verdict("unknown", f"No incident is open, but {why}.")
    if told.wrong:
        series = "series is" if told.wrong == 1 else "series are"
        return Verdict(
            "unusual", f"No incident is open. {told.wrong:,} of {told.watched:,} {series} out of "
            "the usual band and no incident: what began before anybody watched, or was closed by "
            "hand, is not told.",
        )  # fmt: skip
    return Verdict("usual", f"All is as usual, in {told.watched:,} series.")


def meets(pattern: str, lake: LakeDir, rules: Rules) -> bool:
    """Whether a snooze of these series is of any that is watched, or that a rule is of."""
    keys = [f"{kind}::{row.series}" for row in watched(lake).series for kind in KINDS]
    keys += [f"threshold:{each.name}:{each.series}" for each in rules.thresholds]
    keys += [f"budget:{each.name}:ai cost per {each.per}" for each in rules.budgets]
    keys += [f"silent:{each.name}:type:{each.name}" for each in rules.silences]
    return any(is_of(pattern, key) for key in keys)


def remark(told: Account, now_ms: int) -> str:
    """Why no news is no good news; empty where somebody looks."""
    if told.refused or told.judged_until is None:
        return sentence(told)
    if parse_iso(told.judged_until) < now_ms - STALE_MS:
        return (
            f"nobody has looked since {told.judged_until}: `lakeward doctor` says whether a keeper "
            "runs"
        )
    return ""
