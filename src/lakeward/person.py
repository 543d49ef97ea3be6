"""A person as an erase or export names one, and what a store of personal data must be able to do.

In: an id of the app's own. Out: nothing of that person is left in the store. `Transient` when the
store is away; trying again goes on where it stopped. `docs/privacy.md` says what is erased where.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

Kind = Literal["user_id", "session_id", "anonymous_id"]


class Person(msgspec.Struct, frozen=True):
    """Who: one field of the record and its value. The value is never logged."""

    kind: Kind
    value: str

    def matches(self, record: dict[str, object]) -> bool:
        """Whether a record names this person."""
        value = record.get(self.kind)
        return (value if type(value) is str else id_text(value)) == self.value


def id_text(value: object) -> str | None:
    """The text under which an id is stored. In a record that was refused it may still be a number,
    and whole numbers become floats in data frames."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if type(value) is int else None


class Gone(msgspec.Struct, frozen=True):
    """What an eraser did: records removed, and what the store keeps elsewhere, until when."""

    records: int
    remains: str = ""
    until: str = ""


class Eraser(Protocol):
    """A store that can forget a person; both methods may be repeated."""

    name: str

    def find(self, person: Person) -> int:
        """Records, objects or rows that name the person now."""

    def erase(self, person: Person) -> Gone:
        """Remove them for good; Transient when the store is away."""
