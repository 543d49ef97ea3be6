"""What PowerConfidence says of the platform's partners: asked of Lakeward's server now and then.

In: the server's address, perhaps a read key. Out: the partners, each with its score where there is
a firm one. While the server is away the last answer stands; nobody's page waits for it.
"""

from __future__ import annotations

import http.client
import secrets
import threading
from contextlib import closing
from typing import Final
from urllib.parse import urlsplit

import msgspec

from lakeward.demo.partners import PARTNERS, Partner, scored
from lakeward.settings import Settings
from lakeward.store.database import open_database
from lakeward.store.keys import Keys

AGAIN_SECONDS: Final = 3.0
PATIENCE: Final = 5.0


class Standings:
    """The partners as they stand."""

    def __init__(self, address: str, key: str = "") -> None:
        self._address, self._key = address, key
        self._partners = tuple(PARTNERS.values())
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask_again, daemon=True)
        if address:
            self._look()
            self._thread.start()

    @property
    def partners(self) -> tuple[Partner, ...]:
        """All of them, in the order of their numbers."""
        return self._partners

    @property
    def known(self) -> int:
        """How many have a score."""
        return sum(one.confidence is not None for one in self._partners)

    def close(self) -> None:
        """Ask no more."""
        self._ended.set()

    def _ask_again(self) -> None:
        while not self._ended.wait(AGAIN_SECONDS):
            self._look()

    def _look(self) -> None:
        found = standing(self._address, self._key)
        if found is not None:
            self._partners = scored(found)


def wants_key(address: str) -> bool:
    """Whether the server lets nobody in who has none."""
    return _asked(address, "")[0] == http.client.UNAUTHORIZED


def standing(address: str, key: str = "") -> dict[str, float] | None:
    """Each partner's score in whole points, without those that are provisional; None where the
    server does not say."""
    status, raw = _asked(address, key)
    try:
        told = msgspec.json.decode(raw, type=_Told)
    except msgspec.DecodeError:
        return None
    if status != http.client.OK:
        return None
    return {
        one.partner_id: whole(one.score.value)
        for one in told.partners
        if one.score is not None and not one.score.provisional
    }


def _asked(address: str, key: str) -> tuple[int, bytes]:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        connection.request("GET", "/api/partners", headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def whole(score: float) -> float:
    """A score as the matching takes it: a tenth of a point is noise, and would change places."""
    return float(round(score))


class Borrowed:
    """A read key, for as long as the demo runs, where the server lets nobody in without one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._key_id = self.secret = ""

    def take(self) -> None:
        """Make one."""
        with closing(open_database(self._settings)) as database:
            name = f"demo {secrets.token_hex(4)}"
            key, self.secret = Keys(database).create("read", name, actor="lakeward demo")
            self._key_id = key.key_id

    def give_back(self) -> None:
        """Revoke it."""
        if self._key_id:
            with closing(open_database(self._settings)) as database:
                Keys(database).revoke(self._key_id, actor="lakeward demo")
            self._key_id = self.secret = ""


class _Score(msgspec.Struct, frozen=True):
    value: float
    provisional: bool


class _Row(msgspec.Struct, frozen=True):
    partner_id: str
    score: _Score | None = None


class _Told(msgspec.Struct, frozen=True):
    partners: list[_Row]
