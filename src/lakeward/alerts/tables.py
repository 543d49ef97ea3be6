"""Tables of a TOML file as frozen structs: what is unknown, of a wrong type or contradictory is
refused in one sentence.

In: what `tomllib` made of a table, the struct that it shall be, the file's name and the table's
place in it. Out: the struct. Fails with `SettingError` naming the file, the place and the mend; no
value of the file stands in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeVar, get_args

import msgspec

from lakeward.errors import SettingError

Made = TypeVar("Made", bound=msgspec.Struct)
PATH: Final = re.compile(r"^(?P<what>.*?) - at `\$\.?(?P<path>.*)`$", re.DOTALL)
WORDS: Final = {
    "str": "text", "int": "a whole number", "float": "a number", "bool": "true or false",
    "array": "a list", "object": "a table",
}  # fmt: skip
"""What a person calls these."""


def made(content: object, kind: type[Made], where: str, place: str) -> Made:
    """The struct that a table means; its `ValueError`s are sentences about the table."""
    table = table_of(content, where, place)
    known = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    only(table, tuple(known), where, place)
    for name, field in known.items():
        if field.required and name not in table:
            raise SettingError(f"{where}: {place} needs the key {name!r}")
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise SettingError(f"{where}: {_sentence(str(error), kind, place)}") from None


def listed(content: object, kind: type[Made], where: str, place: str) -> tuple[Made, ...]:
    """The structs that an array of tables means."""
    rows = tables_of(content, where, place)
    return tuple(made(row, kind, where, f"{place}[{n}]") for n, row in enumerate(rows, 1))


def tables_of(content: object, where: str, place: str) -> list[object]:
    """An array of tables; `place` is numbered from 1 in sentences."""
    if not isinstance(content, list):
        raise SettingError(
            f"{where}: {place} must be a list of tables, each begun with [[{place}]]"
        )
    return content


def table_of(content: object, where: str, place: str) -> Mapping[str, object]:
    """A table as it stands."""
    if not isinstance(content, dict):
        raise SettingError(f"{where}: {place} must be a table, such as [{place}]")
    return content


def only(table: Mapping[str, object], known: tuple[str, ...], where: str, place: str) -> None:
    """Refuse keys that mean nothing."""
    for key in table:
        if key not in known:
            raise SettingError(
                f"{where}: {place} has the unknown key {key[:80]!r}; known are {', '.join(known)}"
            )


def _sentence(text: str, kind: type[msgspec.Struct], place: str) -> str:
    """What msgspec says, in a person's words."""
    found = PATH.match(text)
    what, path = (found["what"], found["path"]) if found else (text, "")
    at = f"{place}.{path}" if path else place
    if what.startswith("Expected "):
        kinds = what.removeprefix("Expected ").split(", got")[0].strip("`").split(" | ")
        wanted = " or ".join(WORDS.get(name, name) for name in kinds if name != "null")
        return f"{at} must be {wanted}"
    if what.startswith("Invalid enum value"):
        return f"{at} must be one of {', '.join(_choices(kind, path))}"
    return f"{place}: {what}"


def _choices(kind: type[msgspec.Struct], path: str) -> list[str]:
    """The values that a field may have, which is a literal or a list of one."""
    name = path.partition("[")[0]
    field = next(each for each in msgspec.structs.fields(kind) if each.encode_name == name)
    found: list[str] = []
    waiting = [field.type]
    while waiting:
        for inner in get_args(waiting.pop()):
            if isinstance(inner, str):
                found.append(inner)
            elif inner is not ...:
                waiting.append(inner)
    return found
