"""Gradual rollout: which share of the users a kind of collection covers, and whether one is in it.

In: percentages from settings, or as the keeper says them while the app runs; a user. Out: a verdict
that is the same in every worker and process, for it is a hash of feature and user. A user who is in
at 10 % is in at 20 %, too.

    share = percentage in hundredths, 0 to 10,000; a user is in when bucket(feature, user) < share
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Final

from lakeward.errors import SettingError
from lakeward.settings import ROLLOUTS, Settings, read_env_file, read_shares

logger = logging.getLogger("lakeward.keeper")

ALL: Final = 10_000
API_CALLS, BODIES, OUTCOMES, AI_CONTENT, BROWSER_EVENTS, S3, DYNAMODB = range(7)
FEATURES: Final = tuple(row.name.removeprefix("rollout_") for row in ROLLOUTS)
BROWSER_TYPES: Final = frozenset(
    {"page_view", "click", "form_interaction", "web_vital", "client_error"}
)

Shares = tuple[int, ...]
"""One share for each feature, in the order of FEATURES."""


def configured(settings: Settings) -> tuple[Shares, frozenset[int]]:
    """The shares as the app started with, and the features whose share its environment fixes."""
    shares = tuple(getattr(settings, row.name) for row in ROLLOUTS)
    fixed = frozenset(n for n, row in enumerate(ROLLOUTS) if row.env in settings.source.fixed)
    return shares, fixed


def bucket(feature: int, user: str) -> int:
    """Where a user stands among the ten thousand places of a feature."""
    raw = user.encode("utf-8", "surrogatepass")
    digest = blake2b(raw, digest_size=8, person=FEATURES[feature].encode()[:16]).digest()
    return int.from_bytes(digest, "big") % ALL


def covers(shares: Shares, feature: int, user: str) -> bool:
    """Whether a user is in the feature's share."""
    share = shares[feature]
    return share >= ALL or (share > 0 and bucket(feature, user) < share)


class ShareFile:
    """The shares as an environment and a `.env` file say them, looked at again when asked.

    What cannot be read leaves the shares as they were, named in the log once for each change.
    """

    def __init__(self, environ: Mapping[str, str], path: Path) -> None:
        self._environ = environ
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._shares: Shares = read_shares(environ, {})

    def __call__(self) -> Shares:
        """The shares now; costs one look at the file's dates while it does not change."""
        try:
            found = os.stat(self._path)
            seen = (found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError:
            seen = (0, 0, 0)
        if seen != self._seen:
            self._seen = seen
            try:
                self._shares = read_shares(self._environ, read_env_file(self._path))
            except SettingError as error:
                logger.error("rollout stays as it was: %s", error)
        return self._shares
