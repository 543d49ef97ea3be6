"""Keys where there is no database: digests in a setting, which tell nobody the secret.

    LAKEWARD_KEYS=app=sha256:9f86d0…,pages=sha256:1b4f0e…:page_view+click

In: entries of name, digest and perhaps the types that may be sent; without types those that a
browser may claim. Out: what the guard asks of a keyring. `SettingError` for what is none.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from lakeward.errors import LakewardError, SettingError
from lakeward.store import allowance
from lakeward.store.token import digest, is_token

ENTRY: Final = re.compile(r"([\w.-]{1,64})=sha256:([0-9a-f]{64})(?::(\S+))?")


class GivenKey(msgspec.Struct, frozen=True):
    """A write key of the settings."""

    key_id: str
    types: tuple[str, ...]
    kind: Literal["write"] = "write"
    partner_id: str | None = None

    @property
    def public(self) -> bool:
        """Whether it is a page's."""
        return allowance.is_public(self.types, ())

    def permits(self, interaction_type: str) -> bool:
        """Whether interactions of this type may be sent with it."""
        return allowance.permits(self.types, interaction_type)

    def admits(self, origin: str | None) -> bool:
        """Whether a page of this origin may use it."""
        return allowance.admits((), origin)


class GivenKeys:
    """All of them; true when there is any."""

    def __init__(self, entries: Sequence[str]) -> None:
        self._keys: dict[str, GivenKey] = {}
        for entry in entries:
            found = ENTRY.fullmatch(entry.strip())
            if found is None:
                raise SettingError(
                    "LAKEWARD_KEYS must be entries such as app=sha256:… of `lakeward keys digest`"
                )
            try:
                types = allowance.checked_types(
                    found[3].split("+") if found[3] else allowance.BROWSER_TYPES
                )
            except LakewardError as error:
                raise SettingError(f"LAKEWARD_KEYS, {found[1]}: {error}") from None
            self._keys[found[2]] = GivenKey(found[1], types)

    def find(self, secret: str) -> GivenKey | None:
        """The key with this secret."""
        if not is_token(secret):
            return None
        asked = digest(secret)
        for stored, key in self._keys.items():
            if hmac.compare_digest(stored, asked):
                return key
        return None

    def __len__(self) -> int:
        return len(self._keys)
