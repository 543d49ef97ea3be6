"""The followers that need no cloud, in the contract suite: files, webhook, and the one that
`docs/followers.md` shows how to write."""

from __future__ import annotations

import contextlib
import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from destinations import Destination, Fault, destination
from hooks import Answer, Received, Receiver
from lakeward.lakedir import LakeDir

PAGE = Path(__file__).resolve().parent.parent / "docs/followers.md"
POISON = b'{"interaction_id":"0198a8b0-1f11-7000-8000-00000000bad0","poison":true}\n'
SECRET = "whsec_c2VjcmV0IG9mIHRoZSBjb250cmFjdCBzdWl0ZQ=="


class Files:
    """Individual files in the lake."""

    follower = "files"
    bad: bytes | None = b'{"interaction_id":"../../etc/passwd","n":-1}\n'

    def __init__(self, lake: LakeDir) -> None:
        self._root = lake.root / "raw"
        self.environ = {
            "LAKEWARD_INDIVIDUAL_FILES": "on", "LAKEWARD_INDIVIDUAL_FILES_DAYS": "0",
        }  # fmt: skip

    def arrived(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode((self._root / name).read_bytes()) for name in self.names()]

    def names(self) -> list[str]:
        return sorted(str(path.relative_to(self._root)) for path in self._root.rglob("*.json"))

    def fail(self, fault: Fault, times: int = 1 << 30) -> bool:
        return fault == "none"

    def close(self) -> None:
        for name in self.names():
            (self._root / name).unlink()


class Hook:
    """A receiver over plain HTTP on the loopback, which the settings allow here."""

    follower = "webhook"
    bad: bytes | None = POISON

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._fault: Fault = "none"
        self._left = 0
        receiver.answer = self._answer
        self.environ = {
            "LAKEWARD_WEBHOOK_URL": f"http://127.0.0.1:{receiver.port}/hook",
            "LAKEWARD_WEBHOOK_SECRET": SECRET,
            "LAKEWARD_WEBHOOK_PRIVATE": "true",
            "LAKEWARD_WEBHOOK_SECONDS": "1",
        }

    def _answer(self, received: Received) -> Answer:
        if self._fault != "none" and self._left:
            self._left -= 1
            return {
                "errors": (500, {}), "throttled": (429, {"Retry-After": "7"}), "timeout": (-1, {}),
                "hang": (-1, {}), "down": (0, {}), "refused": (401, {}),
            }[self._fault]  # fmt: skip
        return (422, {}) if b'"poison"' in received.body else (204, {})

    def arrived(self) -> list[dict[str, Any]]:
        return self._receiver.rows()

    def names(self) -> list[str]:
        return sorted({received.headers["webhook-id"] for received in self._receiver.taken})

    def fail(self, fault: Fault, times: int = 1 << 30) -> bool:
        self._fault, self._left = fault, times
        return True

    def close(self) -> None:
        """The receiver ends with its context."""


class Documented:
    """The SQLite follower of the page, plugged in by its setting."""

    follower = "shop"
    bad: bytes | None = POISON.replace(b'"poison"', b'"interaction_type":7,"n"')

    def __init__(self, folder: Path) -> None:
        code = re.search(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
        assert code is not None
        (folder / "shop_follower.py").write_text(code[1])
        self._path = folder / "shop.sqlite"
        self._held: sqlite3.Connection | None = None
        self.environ = {"LAKEWARD_FOLLOWERS": "shop=shop_follower:ShopDatabase"}

    def _rows(self, what: str) -> list[str]:
        with contextlib.closing(sqlite3.connect(self._path)) as database:
            return [row[0] for row in database.execute(f"SELECT {what} FROM interactions")]

    def arrived(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(row) for row in self._rows("record")]

    def names(self) -> list[str]:
        return sorted(self._rows("interaction_id"))

    def fail(self, fault: Fault, times: int = 1 << 30) -> bool:
        if self._held is not None:
            self._held.close()
            self._held = None
        if fault == "down" and times == 1 << 30:
            self._held = sqlite3.connect(self._path, isolation_level=None)
            self._held.execute("BEGIN EXCLUSIVE")
        return fault in {"none", "down"} and times == 1 << 30

    def close(self) -> None:
        self.fail("none")
        self._path.unlink(missing_ok=True)


@destination("files")
@contextlib.contextmanager
def files(lake: LakeDir, folder: Path) -> Iterator[Destination]:
    with contextlib.closing(Files(lake)) as made:
        made.close()
        yield made


@destination("webhook")
@contextlib.contextmanager
def webhook(lake: LakeDir, folder: Path) -> Iterator[Destination]:
    with Receiver() as receiver:
        yield Hook(receiver)


@destination("documented")
@contextlib.contextmanager
def documented(lake: LakeDir, folder: Path) -> Iterator[Destination]:
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    with contextlib.closing(Documented(folder)) as made:
        yield made
