"""Salts: secrets by day, and the ids that are made of them.

In: a folder that the processes of a lake share. Out: the same 32 random bytes for a day in each of
them, and hashes that nobody can undo or link once the day's salt is gone. Reading a salt never
raises; where the folder cannot be used, the salt is this process's own.
"""

from __future__ import annotations

import os
import re
import secrets
from hashlib import blake2b
from pathlib import Path
from uuid import UUID

_SALT_NAME = re.compile(r"[0-9a-z-]{1,32}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def daily_id(salt: bytes, *parts: str) -> str:
    """A UUIDv8 that is the same for the same parts on the day of `salt`, and tells nothing."""
    hashed = blake2b(key=salt[:64], digest_size=16)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        hashed.update(len(raw).to_bytes(8, "big") + raw)
    value = int.from_bytes(hashed.digest())
    value = value & ~(0xF << 76) | 8 << 76
    return str(UUID(int=value & ~(3 << 62) | 2 << 62))


class DailySalts:
    """Secrets by day in one folder, the same for every process that uses it.

    A file is 32 random bytes, written aside and linked into place, so that of racing processes the
    first one wins. A file that is damaged is damaged for all, and all take the next name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ephemeral = False
        """Whether a salt had to be made up that no other process knows."""
        self._salts: dict[str, bytes] = {}

    def __call__(self, day: str) -> bytes:
        """The salt of `day` (or of another short name), read or made. Never raises."""
        salt = self._salts.get(day)
        if salt is None:
            try:
                salt = self._shared(day)
            except (OSError, ValueError):
                salt = secrets.token_bytes(32)
                self.ephemeral = True
            if len(self._salts) >= 8:
                self._salts.clear()
            salt = self._salts.setdefault(day, salt)
        return salt

    def _shared(self, day: str) -> bytes:
        if not _SALT_NAME.fullmatch(day):
            raise ValueError("a salt's name is a date or a short word")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in (day, f"{day}.1", f"{day}.2"):
            path = self.folder / name
            if not path.exists():
                self._make(path)
            salt = path.read_bytes()
            if len(salt) == 32:
                return salt
        raise ValueError("every salt of this name is damaged")

    def _make(self, path: Path) -> None:
        aside = self.folder / f".{path.name}.{secrets.token_hex(8)}"
        try:
            with open(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                file.write(secrets.token_bytes(32))
            os.link(aside, path)
        except FileExistsError:
            pass  # another process was first
        finally:
            aside.unlink(missing_ok=True)

    def forget(self, before: str) -> int:
        """Delete the salts of days earlier than `before`; how many there were."""
        gone = 0
        for path in self.folder.glob("[0-9.]*") if self.folder.is_dir() else ():
            day = path.name.lstrip(".")[:10]
            if _DAY.fullmatch(day) and day < before:
                try:
                    path.unlink()
                except OSError:
                    continue
                gone += not path.name.startswith(".")
                self._salts.pop(day, None)
        return gone
