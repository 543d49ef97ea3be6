"""Keys: who may write into the lake over HTTP, and who may read what the server tells of it.

In: a database and the words of whoever makes or revokes a key. Out: a `Key`, and once, when it is
made, its secret; for servers a `Keyring` that checks secrets from memory. Fails with `Terminal`
naming the word that will not do, and as the database does. Only a digest of a secret is stored.
"""

from __future__ import annotations

import hmac
import secrets
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError
from uuid_utils import uuid7

from lakeward.errors import Terminal
from lakeward.interaction import Clock
from lakeward.store import allowance
from lakeward.store.database import Database
from lakeward.store.people import checked_partner
from lakeward.store.row import record
from lakeward.store.schema import KEYS
from lakeward.store.token import HINT_LENGTH, RANDOM_BYTES, Kind, digest, is_token, make_token
from lakeward.store.trail import note

NAME_LENGTH = 64


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key without its secret; times are in ms since 1970."""

    key_id: str
    kind: Kind
    name: str
    hint: str
    origins: tuple[str, ...]
    types: tuple[str, ...]
    created_at: int
    created_by: str
    revoked_at: int | None = None
    partner_id: str | None = None
    """Whose records a read key shows; None: everybody's."""

    @property
    def public(self) -> bool:
        """Whether it is a page's."""
        return allowance.is_public(self.types, self.origins)

    def permits(self, interaction_type: str) -> bool:
        """Whether it may write this type; a read key may write none."""
        return self.kind == "write" and allowance.permits(self.types, interaction_type)

    def admits(self, origin: str | None) -> bool:
        """Whether a request with this Origin header (None: without) may use it."""
        return allowance.admits(self.origins, origin)


class Keys:
    """The keys of a database."""

    def __init__(
        self,
        database: Database,
        *,
        now_ns: Callable[[], int] = time.time_ns,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._database = database
        self._clock = Clock(now_ns)
        self._random = random

    def create(
        self,
        kind: Kind,
        name: str,
        *,
        actor: str,
        origins: Sequence[str] = (),
        types: Sequence[str] = (),
        partner_id: str | None = None,
    ) -> tuple[Key, str]:
        """A new key and its secret, which nothing can show again.

        A write key without `types` takes what browsers may claim (`BROWSER_TYPES`). A read key with
        a `partner_id` shows the records of that partner.
        """
        if partner_id is not None:
            if kind == "write":
                raise Terminal("a write key is of no partner: leave the partner id out")
            checked_partner("partner", partner_id)
        if kind == "read" and types:
            raise Terminal("a read key writes nothing: leave the types out")
        token = make_token(kind, self._random(RANDOM_BYTES))
        now_ns = self._clock.now()
        key = Key(
            key_id=str(uuid7(nanoseconds=now_ns)),
            kind=kind,
            name=_checked_name(name),
            hint=token[:HINT_LENGTH],
            origins=allowance.checked_origins(origins),
            types=allowance.checked_types(
                types or (allowance.BROWSER_TYPES if kind == "write" else ())
            ),
            created_at=now_ns // 1_000_000,
            created_by=actor,
            partner_id=partner_id,
        )
        row = {**msgspec.structs.asdict(key), "digest": digest(token)}
        with self._database.write() as connection:
            try:
                connection.execute(insert(KEYS).values(row))
            except IntegrityError:
                raise Terminal(
                    f"a key named {key.name!r} is in force: revoke it first, or take another name"
                ) from None
            self._note(connection, now_ns, actor, "key.create", key)
        return key, token

    def all(self) -> list[Key]:
        """Every key, the revoked ones too, in the order they were made."""
        with self._database.read() as connection:
            rows = connection.execute(select(KEYS).order_by(KEYS.c.created_at, KEYS.c.key_id))
            return [record(row, Key) for row in rows.mappings()]

    def revoke(self, which: str, *, actor: str) -> Key:
        """End the key with this id, or the one in force with this name."""
        if "lwk_" in which:
            raise Terminal("a key is revoked by its name or id, not by its secret")
        now_ns = self._clock.now()
        with self._database.write() as connection:
            key = _find(connection, which)
            if key.revoked_at is None:
                key = msgspec.structs.replace(key, revoked_at=now_ns // 1_000_000)
                done = connection.execute(
                    update(KEYS)
                    .where(KEYS.c.key_id == key.key_id, KEYS.c.revoked_at.is_(None))
                    .values(revoked_at=key.revoked_at)
                )
                if done.rowcount == 1:
                    self._note(connection, now_ns, actor, "key.revoke", key)
                    return key
        raise Terminal(f"the key {key.name!r} ({key.key_id}) is revoked already")

    def _note(self, connection: Connection, now_ns: int, actor: str, action: str, key: Key) -> None:
        details: dict[str, Any] = {
            "kind": key.kind,
            "name": key.name,
            "hint": key.hint,
            "origins": key.origins,
            "types": key.types,
        }
        if key.partner_id is not None:
            details["partner_id"] = key.partner_id
        note(connection, now_ns, actor, action, key.key_id, details)


class Keyring:
    """Keys in force by the digests of their secrets; true when there is any."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Iterable[tuple[str, Key]]) -> None:
        self._keys = {stored: (stored, key) for stored, key in keys if key.revoked_at is None}

    def find(self, secret: str) -> Key | None:
        """The key with this secret; None for any other text, and for a revoked one.

        Looking up by digest tells by its timing nothing that helps: who asks cannot choose a
        digest. The comparison is constant in time all the same, so that nobody has to argue it.
        """
        if not is_token(secret):
            return None
        asked = digest(secret)
        stored, key = self._keys.get(asked, ("", None))
        return key if hmac.compare_digest(stored, asked) else None

    def __len__(self) -> int:
        return len(self._keys)


def load_keyring(database: Database) -> Keyring:
    """The keys in force now, for a server that asks the database no more until it loads again."""
    with database.read() as connection:
        rows = connection.execute(select(KEYS).where(KEYS.c.revoked_at.is_(None))).mappings()
        return Keyring([(row["digest"], record(row, Key)) for row in rows])


def _find(connection: Connection, which: str) -> Key:
    """By id, else by name; of the revoked ones with a name the last, which can only be refused."""
    if which.isprintable() and len(which) <= NAME_LENGTH:
        query = (
            select(KEYS)
            .where((KEYS.c.key_id == which) | (KEYS.c.name == which))
            .order_by(KEYS.c.revoked_at.is_not(None), KEYS.c.revoked_at.desc())
            .limit(1)
        )
        if row := connection.execute(query).mappings().first():
            return record(row, Key)
    raise Terminal(f"there is no key {allowance.shown(which)}: `lakeward keys list` shows them")


def _checked_name(name: str) -> str:
    if not (0 < len(name) <= NAME_LENGTH and name.isprintable() and name == name.strip()):
        raise Terminal(
            f"a key's name is 1 to {NAME_LENGTH} printable characters, with no blank at its ends"
        )
    if "lwk_" in name or _is_uuid(name):
        raise Terminal("a key's name must not look like a key or an id")
    return name


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
