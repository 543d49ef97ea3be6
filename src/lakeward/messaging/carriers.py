"""Which carrier takes which channel, by the settings.

In: settings and carriers of the app's own. Out: for each channel its carrier and sender, or the
sentence that says which settings are missing. `SettingError` when some of a provider's are there
and others are not, or when none is; `MissingExtra` when a provider's package is absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Final

import msgspec

from lakeward.errors import MissingExtra, SettingError
from lakeward.messaging.console import Console
from lakeward.messaging.message import CHANNELS, Carrier, Channel
from lakeward.settings import Settings
from lakeward.store.outbox import Kind

HOOK: Final = "/hooks/twilio"
"""Where the server hears what became of an SMS; Twilio calls only what the Internet sees."""
NEEDS: Final[Mapping[Channel, tuple[str, ...]]] = {
    "sms": ("twilio_account_sid", "twilio_auth_token", "twilio_phone_number"),
    "email": ("sendgrid_api_key", "sendgrid_from_email"),
}
"""Settings without which a channel cannot be live; the last one is the sender."""


class Carried(msgspec.Struct, frozen=True):
    """What carries a channel, and in whose name. A message goes by its kind of carrier only: one
    that was accepted to be sent is never shown instead, nor the other way round."""

    carrier: Carrier
    sender: str
    kind: Kind


def configured(
    settings: Settings, given: Mapping[Channel, Carrier]
) -> dict[Channel, Carried | str]:
    """Each channel's carrier, or why there is none."""
    found: dict[Channel, Carried | str] = {}
    for channel in CHANNELS:
        names = NEEDS[channel]
        sender = str(getattr(settings, names[-1]))
        if channel in given:
            found[channel] = Carried(given[channel], sender, "own")
        elif not is_live(settings):
            found[channel] = Carried(Console(), sender, "console")
        elif absent := missing(settings, channel):
            listed = ", ".join(name.upper() for name in absent)
            found[channel] = f"{channel} is not set up: {listed} must be set"
            if len(absent) < len(names):
                raise SettingError(str(found[channel]))
        else:
            found[channel] = Carried(_live(channel, settings), sender, "live")
    if all(isinstance(one, str) for one in found.values()):
        raise SettingError("; ".join(map(str, found.values())) + ", or LAKEWARD_MESSAGES=console")
    return found


def is_live(settings: Settings) -> bool:
    """Whether messages are handed to providers; else they are shown."""
    return settings.messages == "live" or (
        settings.messages == "auto" and settings.environment != "development"
    )


def missing(settings: Settings, channel: Channel) -> list[str]:
    """Settings without which the channel's provider cannot be asked."""
    return [name for name in NEEDS[channel] if not getattr(settings, name)]


def _live(channel: Channel, settings: Settings) -> Carrier:
    """The provider's carrier; its package is loaded only where it carries."""
    if not find_spec("twilio" if channel == "sms" else "sendgrid"):
        raise MissingExtra("sending messages", "messaging")
    if channel == "sms":
        from lakeward.messaging.sms import TwilioCarrier

        public = settings.public_url.rstrip("/")
        return TwilioCarrier(
            settings.twilio_account_sid, settings.twilio_auth_token, settings.twilio_endpoint,
            f"{public}{HOOK}" if public.startswith("https:") else None,
        )  # fmt: skip
    from lakeward.messaging.mail import SendGridCarrier

    return SendGridCarrier(settings.sendgrid_api_key, settings.sendgrid_endpoint)
