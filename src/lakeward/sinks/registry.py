"""The followers that settings ask for.

In: settings and a lake. Out: a subscription for each, unopened, so that one whose credentials,
extra or address is wrong stops alone. `SettingError` for a name or reference that cannot be.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import cast

import msgspec

from lakeward import rollout
from lakeward.errors import SettingError, Terminal
from lakeward.followers.cursor import NAME
from lakeward.followers.protocol import Follower, Pace, Subscription
from lakeward.lakedir import LakeDir
from lakeward.settings import Settings

FILES_PACE = Pace(bytes=1 << 20, lines=1000, seconds=0.2)
DYNAMODB_PACE = Pace(bytes=1 << 20, lines=500, seconds=0.5)
WEBHOOK_PACE = Pace(bytes=1 << 18, lines=100, seconds=0.5)
OWN_PACE = Pace(seconds=0.5)
S3_LINES = 1 << 30
BUILT_IN = ("files", "s3", "dynamodb", "webhook")
Make = Callable[[Settings, LakeDir], Follower]


def follower_names(settings: Settings) -> list[str]:
    """Names of the followers that settings ask for, without importing any."""
    wanted = {
        "files": settings.individual_files == "on"
        or (settings.individual_files == "auto" and settings.environment == "development"),
        "s3": settings.use_s3,
        "dynamodb": settings.use_dynamodb,
        "webhook": bool(settings.webhook_url),
    }
    own = [name for name, _ in _own(settings)]
    return [name for name in BUILT_IN if wanted[name]] + own


def configured(settings: Settings, lake: LakeDir) -> list[Subscription]:
    """A subscription for each of them."""
    made = {"files": _files, "s3": _s3, "dynamodb": _dynamodb, "webhook": _webhook}
    own = dict(_own(settings))
    return [
        _plugged(name, own[name], settings, lake) if name in own else made[name](settings, lake)
        for name in follower_names(settings)
    ]


def _files(settings: Settings, lake: LakeDir) -> Subscription:
    def make() -> Follower:
        from lakeward.sinks.files import IndividualFiles

        return IndividualFiles.from_settings(settings, lake)

    return Subscription("files", make, FILES_PACE)


def _s3(settings: Settings, lake: LakeDir) -> Subscription:
    def make() -> Follower:
        from lakeward.sinks.s3 import S3Archive

        return S3Archive.from_settings(settings, lake)

    if settings.ack == "s3":  # senders wait for it, and each record is one that somebody waits for
        return Subscription("s3", make, Pace(settings.s3_bytes, S3_LINES, settings.ack_seconds))
    pace = Pace(settings.s3_bytes, S3_LINES, settings.s3_seconds)
    return Subscription("s3", make, pace, rollout.S3)


def _dynamodb(settings: Settings, lake: LakeDir) -> Subscription:
    def make() -> Follower:
        from lakeward.sinks.dynamodb import DynamoTable

        return DynamoTable.from_settings(settings, lake)

    pace = DYNAMODB_PACE
    if settings.ack == "s3":  # what waits on a disk that does not last is waited for, too
        pace = msgspec.structs.replace(pace, seconds=settings.ack_seconds)
    return Subscription("dynamodb", make, pace, rollout.DYNAMODB)


def _webhook(settings: Settings, lake: LakeDir) -> Subscription:
    def make() -> Follower:
        from lakeward.sinks.webhook import Webhook

        return Webhook.from_settings(settings, lake)

    return Subscription("webhook", make, WEBHOOK_PACE)


def _plugged(name: str, reference: str, settings: Settings, lake: LakeDir) -> Subscription:
    """A follower of the user's: importable where the app runs."""

    def make() -> Follower:
        module, _, attribute = reference.partition(":")
        folder = str(settings.source.env_file.parent)
        if folder not in sys.path:
            sys.path.insert(0, folder)
        try:
            found: object = importlib.import_module(module)
            for part in attribute.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError) as error:
            raise Terminal(
                f"LAKEWARD_FOLLOWERS: {reference} cannot be imported ({type(error).__name__}): "
                "mend the name, or install what it needs where the keeper runs"
            ) from None
        return cast(Make, found)(settings, lake)

    return Subscription(name, make, OWN_PACE)


def _own(settings: Settings) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for entry in settings.followers:
        name, _, reference = (part.strip() for part in entry.partition("="))
        module, _, attribute = reference.partition(":")
        if not NAME.fullmatch(name) or not module or not attribute:
            raise SettingError("LAKEWARD_FOLLOWERS must be entries such as crm=shop.followers:Crm")
        if name in BUILT_IN or name in dict(found):
            raise SettingError(f"LAKEWARD_FOLLOWERS: the name {name} is taken")
        found.append((name, reference))
    return found
