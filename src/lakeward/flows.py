"""What the app declares of itself: its flows, their steps, and the outcomes that it expects.

In: settings, and the file `flows.toml` that they name. Out: frozen `Flows`, empty when there is no
file. Fails with `SettingError` that names the file, the place in it and the mend.

    [flows.contractor]
    steps = ["verification", "focus_areas", "matching", "completion"]
    quiet_seconds = 900          # optional; else LAKEWARD_FLOW_QUIET_SECONDS
    description = "…"            # optional

    [outcomes]
    expected = ["partner_match", "demo_booking", "signed_up"]
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from lakeward.declaration import content_of, document_of
from lakeward.errors import SettingError
from lakeward.settings import Settings

FILE = "flows.toml"
LONGEST_NAME, MOST_STEPS, MOST_FLOWS = 200, 100, 1000
"""As in the catalog: a name of `flow_step`, and the list `steps` of `flow_completion`."""
LONGEST_QUIET = 366 * 86_400
TYPE_NAME = re.compile(r"[a-z][a-z0-9_.:-]{0,63}")


class Flow(msgspec.Struct, frozen=True):
    """A declared flow; its steps in the order in which a user meets them."""

    name: str
    steps: tuple[str, ...]
    quiet_seconds: float
    description: str = ""


class Flows(msgspec.Struct, frozen=True):
    """All that is declared."""

    flows: tuple[Flow, ...] = ()
    expected: tuple[str, ...] = ()
    """Outcome types, of the catalog or custom."""

    def named(self, name: str) -> Flow | None:
        """The flow of that name, where it is declared."""
        return next((flow for flow in self.flows if flow.name == name), None)


def path_of(settings: Settings) -> Path:
    """The file that the settings mean, whether or not it is there."""
    return settings.flows or settings.source.env_file.parent / FILE


def read(settings: Settings) -> Flows:
    """The declarations; none where no file was named and there is none."""
    path = path_of(settings)
    content = content_of(path, "LAKEWARD_FLOWS", named=settings.flows is not None)
    if content is None:
        return Flows()
    return parse(content, str(path), settings.flow_quiet_seconds)


def parse(content: bytes, where: str, quiet_seconds: float) -> Flows:
    """The declarations in the bytes of a file; `where` names it in errors."""
    document = document_of(content, where)
    _only(document, ("flows", "outcomes"), where, "the file")
    tables = _table(document.get("flows", {}), where, "flows")
    if len(tables) > MOST_FLOWS:
        raise SettingError(f"{where}: [flows] may have at most {MOST_FLOWS} flows")
    flows = tuple(_flow(name, value, where, quiet_seconds) for name, value in tables.items())
    outcomes = _table(document.get("outcomes", {}), where, "outcomes")
    _only(outcomes, ("expected",), where, "[outcomes]")
    expected = _names(outcomes.get("expected", []), where, "outcomes.expected")
    for name in expected:
        _check_type(name, where)
    return Flows(flows, expected)


def _flow(name: str, value: object, where: str, quiet_seconds: float) -> Flow:
    place = f"flows.{name[:LONGEST_NAME]}"
    if not name or len(name) > LONGEST_NAME:
        raise SettingError(f"{where}: {place} must have a name of 1 to {LONGEST_NAME} letters")
    table = _table(value, where, place)
    _only(table, ("steps", "quiet_seconds", "description"), where, f"[{place}]")
    steps = _names(table.get("steps"), where, f"{place}.steps")
    if not 1 <= len(steps) <= MOST_STEPS:
        raise SettingError(f"{where}: {place}.steps must name 1 to {MOST_STEPS} steps")
    description = table.get("description", "")
    if not isinstance(description, str):
        raise SettingError(f"{where}: {place}.description must be text")
    quiet = table.get("quiet_seconds", quiet_seconds)
    if isinstance(quiet, bool) or not isinstance(quiet, int | float) or not _is_quiet(quiet):
        raise SettingError(
            f"{where}: {place}.quiet_seconds must be a number of seconds from 1 to {LONGEST_QUIET}"
        )
    return Flow(name, steps, float(quiet), description)


def _is_quiet(seconds: float) -> bool:
    return 1 <= seconds <= LONGEST_QUIET  # an integer of 400 digits cannot become a float


def _check_type(name: str, where: str) -> None:
    if not TYPE_NAME.fullmatch(name):
        raise SettingError(
            f"{where}: outcomes.expected has {name[:80]!r}, which no type can be called; "
            "use small letters, digits and _ . : -"
        )
    from lakeward.catalog import TYPES  # the keeper reads this module, and mostly no such file

    if name in TYPES and not TYPES[name].outcome:
        raise SettingError(
            f"{where}: outcomes.expected has {name}, which is no outcome but a type of the record "
            "of what happens; leave it out"
        )


def _names(value: object, where: str, place: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise SettingError(f'{where}: {place} must be a list of names, such as ["one", "two"]')
    found: list[str] = []
    for name in value:
        if not 1 <= len(name) <= LONGEST_NAME:
            raise SettingError(
                f"{where}: {place} has a name that is not of 1 to {LONGEST_NAME} letters"
            )
        if name in found:
            raise SettingError(f"{where}: {place} has {name!r} twice")
        found.append(name)
    return tuple(found)


def _table(value: object, where: str, place: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise SettingError(f"{where}: {place} must be a table, [{place}]")
    return value


def _only(table: Mapping[str, object], known: tuple[str, ...], where: str, place: str) -> None:
    for key in table:
        if key not in known:
            raise SettingError(
                f"{where}: {place} has the unknown key {key[:80]!r}; known are {', '.join(known)}"
            )
