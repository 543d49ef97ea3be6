"""Who is told: the tables `[[tell]]` and `[digest]` of `alerts.toml`.

In: these tables as TOML has them. Out: frozen `Channel`s and the digest's time. Fails with
`SettingError` naming file, place and mend. Addresses are secrets: the file names the variable of
the environment that holds one, and nothing here holds more than that name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from lakeward.alerts.signal import KINDS, SEVERITIES
from lakeward.errors import SettingError
from lakeward.hours import Quiet, minute_of

By = Literal["slack", "webhook", "email", "sms"]
BYS: Final[tuple[By, ...]] = ("slack", "webhook", "email", "sms")
ADDRESS: Final[Mapping[str, str]] = {
    "slack": "url_env", "webhook": "url_env", "email": "to_env", "sms": "to_env",
}  # fmt: skip
"""Which key of a table names the variable with its address."""
VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
MOST: Final = 20


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """One `[[tell]]`."""

    by: By
    address: str
    """The variable that holds the URL, address or number."""
    secret: str | None = None
    """The variable that holds what a webhook is signed with."""
    severity: str = "info"
    """What is milder is not told."""
    kinds: tuple[str, ...] = KINDS
    series: tuple[str, ...] = ("*",)
    quiet: Quiet | None = None

    @property
    def channel_id(self) -> str:
        """The same as long as the table means the same receiver."""
        return f"{self.by}-{blake2b(self.address.encode(), digest_size=8).hexdigest()}"

    def wants(self, kind: str, severity: str, series: Sequence[str]) -> bool:
        """Whether it is told of such an incident."""
        return (
            kind in self.kinds
            and SEVERITIES.index(severity) >= SEVERITIES.index(self.severity)
            and any(fnmatchcase(name, pattern) for name in series for pattern in self.series)
        )


class DigestTime(msgspec.Struct, frozen=True):
    """When the digest is due, and by which channels it goes."""

    minute: int
    zone: str
    by: tuple[str, ...]


class Telling(msgspec.Struct, frozen=True):
    """All that the file says of who is told."""

    channels: tuple[Channel, ...] = ()
    digest: DigestTime | None = None

    def digested(self) -> list[Channel]:
        """The channels of the digest."""
        by = () if self.digest is None else self.digest.by
        return [channel for channel in self.channels if channel.by in by]


class _Table:
    """A table of the file, and where it stands."""

    def __init__(self, content: Mapping[str, Any], where: str, known: Sequence[str]) -> None:
        self._content = content
        self._where = where
        for key in content:
            if key not in known:
                raise self.wrong(f"has the unknown key {str(key)[:80]!r}; known are "
                                 f"{', '.join(known)}")  # fmt: skip

    def wrong(self, sentence: str) -> SettingError:
        return SettingError(f"{self._where} {sentence}")

    def text(self, key: str, default: str | None = None) -> str | None:
        value = self._content.get(key, default)
        if value is not None and not isinstance(value, str):
            raise self.wrong(f"needs text as `{key}`")
        return value

    def texts(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        value = self._content.get(key, default)
        if not (isinstance(value, list | tuple) and value and all(map(_is_text, value))):
            raise self.wrong(f"needs a list of texts as `{key}`, with one at least")
        return tuple(value)

    def chosen(self, key: str, among: Sequence[str], default: str | None = None) -> str:
        value = self.text(key, default)
        if value not in among:
            raise self.wrong(f"needs `{key}` to be one of {', '.join(among)}")
        return str(value)

    def variable(self, key: str, example: str) -> str:
        value = self.text(key)
        if value is None or not VARIABLE.fullmatch(value):
            raise self.wrong(
                f'needs `{key}`, the name of a variable of the environment, such as "{example}"; '
                "the value itself is a secret and stands there only"
            )
        return value

    def zone(self) -> str:
        name = self.text("zone", "UTC") or ""
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise self.wrong(
                f"has no known time zone {name[:80]!r}: write one such as Europe/Lisbon"
            ) from None
        return name


def telling_of(
    tell: Sequence[Mapping[str, Any]], digest: Mapping[str, Any] | None, where: str
) -> Telling:
    """What the tables mean; `where` is the file."""
    if len(tell) > MOST:
        raise SettingError(f"{where}: there may be at most {MOST} of [[tell]], not {len(tell)}")
    channels: list[Channel] = []
    for n, content in enumerate(tell, 1):
        channel = _channel(content, f"{where}: [[tell]] number {n}")
        if any(channel.channel_id == other.channel_id for other in channels):
            raise SettingError(
                f"{where}: [[tell]] number {n} has the {ADDRESS[channel.by]} of an earlier one: "
                "tell it everything there"
            )
        channels.append(channel)
    return Telling(tuple(channels), None if digest is None else _digest(digest, where, channels))


def _channel(content: Mapping[str, Any], where: str) -> Channel:
    known = (
        "by",
        "severity",
        "kinds",
        "series",
        "quiet",
        "zone",
        "url_env",
        "to_env",
        "secret_env",
    )
    by = _Table(content, where, known).chosen("by", BYS)
    own = ("by", "severity", "kinds", "series", "quiet", "zone", ADDRESS[by])
    table = _Table(content, f"{where}, by {by},", (*own, "secret_env") if by == "webhook" else own)
    address = table.variable(ADDRESS[by], f"OPS_{by.upper()}")
    secret = table.variable("secret_env", "OPS_SECRET") if "secret_env" in content else None
    kinds = table.texts("kinds", KINDS)
    if unknown := set(kinds) - set(KINDS):
        raise table.wrong(f"knows no kind {min(unknown)[:80]!r}: there are {', '.join(KINDS)}")
    zone = table.zone()
    quiet = table.text("quiet")
    if quiet is None and "zone" in content:
        raise table.wrong("has a zone but no `quiet` hours that it could be of: take one away")
    return Channel(
        by=by, address=address, secret=secret, kinds=kinds,  # type: ignore[arg-type] # it was chosen from these
        severity=table.chosen("severity", SEVERITIES, "info"),
        series=table.texts("series", ("*",)),
        quiet=None if quiet is None else _quiet(quiet, zone, table),
    )  # fmt: skip


def _quiet(text: str, zone: str, table: _Table) -> Quiet:
    begins, dash, ends = text.partition("-")
    first, last = minute_of(begins), minute_of(ends)
    if not dash or first is None or last is None or first == last:
        raise table.wrong('needs `quiet` hours such as "22:00-07:00"')
    return Quiet(first, last, zone)


def _digest(content: Mapping[str, Any], where: str, channels: Sequence[Channel]) -> DigestTime:
    table = _Table(content, f"{where}: [digest]", ("at", "zone", "by"))
    minute = minute_of(table.text("at", "08:00") or "")
    if minute is None:
        raise table.wrong('needs `at`, a time of the day such as "08:00"')
    there = dict.fromkeys(channel.by for channel in channels if channel.by != "sms")
    by = table.texts("by", tuple(there) or ("email",))
    for name in by:
        if name not in BYS or name == "sms":
            raise table.wrong("goes `by` slack, webhook or email")
        if name not in there:
            raise table.wrong(
                f'goes by {name}, and there is no [[tell]] with by = "{name}": add it'
            )
    return DigestTime(minute, table.zone(), by)


def quiet_until(channel: Channel, now_ms: int) -> int | None:
    """When a channel may be told what is not critical; None: now."""
    return None if channel.quiet is None else channel.quiet.until(now_ms)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 512
