"""The generic webhook: a notice as JSON, signed.

In: a notice. Out: one POST, the same body on every attempt:

    X-Lakeward-Timestamp: 1755187888
    X-Lakeward-Signature: sha256=<hex of HMAC-SHA256(secret, "1755187888." + body)>
    {"id":"…","kind":"incident","at":"2025-08-14T…Z","incidents":[{"incident_id":…,"what":"opened",…}]}

Without a secret there is no signature. Fails as `Hook` does.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import msgspec

from lakeward.alerts.hook import Hook
from lakeward.alerts.notifier import Event, Notice
from lakeward.alerts.wording import heading
from lakeward.interaction import iso


class Webhook:
    """Posts notices to one address."""

    def __init__(
        self, hook: Hook, secret: str | None, clock: Callable[[], float] = time.time
    ) -> None:
        self._hook = hook
        self._secret = secret
        self._clock = clock

    def tell(self, notice: Notice) -> None:
        """One signed request."""
        content = body(notice)
        now = str(int(self._clock()))
        headers = {"X-Lakeward-Timestamp": now}
        if self._secret is not None:
            headers["X-Lakeward-Signature"] = signature(self._secret, now, content)
        self._hook.post(content, headers)

    def close(self) -> None:
        """Hold nothing."""


def signature(secret: str, timestamp: str, content: bytes) -> str:
    """What the receiver works out, too."""
    digest = hmac.digest(secret.encode(), f"{timestamp}.".encode() + content, sha256)
    return f"sha256={digest.hex()}"


def body(notice: Notice) -> bytes:
    """A notice for programs."""
    told: dict[str, Any] = {
        "id": notice.notice_id,
        "kind": notice.kind,
        "at": iso(notice.at),
        "text": heading(notice),
    }
    if notice.digest is None:
        told["incidents"] = [plain(event) for event in notice.events]
    else:
        found = msgspec.to_builtins(notice.digest)
        told["digest"] = found | {"open": [plain(event) for event in notice.digest.open]}
    return msgspec.json.encode(told)


def plain(event: Event) -> dict[str, Any]:
    """An incident for programs, times as ISO 8601."""
    found: dict[str, Any] = msgspec.to_builtins(event)
    return found | {"began_at": iso(event.began_at), "at": iso(event.at)}
