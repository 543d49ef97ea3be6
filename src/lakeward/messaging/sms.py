"""SMS through Twilio, by its own package.

A message that may have gone is asked for by recipient, and known by its text: nothing else that we
could mark one with comes back in the list. Of two with the same text either may be taken for the
other, as long as none is taken twice; the outbox sees to that.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from requests import Session
from requests.exceptions import ConnectionError as NotReached
from requests.exceptions import RequestException, SSLError
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client
from urllib3.exceptions import NewConnectionError

from lakeward.errors import LakewardError, Transient, Unsure
from lakeward.messaging.answer import REQUEST_SECONDS, error_for
from lakeward.messaging.message import Message, Receipt

MOST_ASKED: Final = 1000
TRIAL: Final = "Sent from your Twilio trial account - "
"""What Twilio puts before the text while an account is on trial."""
SETTINGS: Final = "TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_PHONE_NUMBER"


class TwilioCarrier:
    """Hands SMS to Twilio, or to what speaks its protocol at `endpoint`."""

    name = "twilio"

    def __init__(
        self, account: str, token: str, endpoint: str = "", told_at: str | None = None
    ) -> None:
        self._http = _Http(endpoint)
        self._told_at = told_at
        """Where Twilio tells what became of a message."""
        self._client = Client(account, token, http_client=self._http)

    def send(self, message: Message) -> Receipt:
        """Hand it over, without any retry of the package's own."""
        try:
            made = self._client.messages.create(
                to=message.to,
                from_=message.sender,
                body=message.text,
                **({"status_callback": self._told_at} if self._told_at else {}),
            )
        except (TwilioRestException, RequestException) as error:
            raise self._meaning(error) from None
        return _receipt(made)

    def sent(self, message: Message, since_ms: int) -> list[Receipt]:
        """Messages with this recipient and text. Not by `DateSent`: one that waits has none."""
        same = {message.text.strip(), f"{TRIAL}{message.text}".strip()}
        since = datetime.fromtimestamp(since_ms / 1000, UTC)
        found = []
        try:
            for one in self._client.messages.stream(to=message.to, limit=MOST_ASKED, page_size=100):
                if one.date_created is not None and one.date_created < since:
                    break
                if (one.body or "").strip() in same and not one.direction.startswith("inbound"):
                    found.append(_receipt(one))
        except (TwilioException, RequestException, ValueError) as error:
            raise Transient(f"twilio does not tell what it took: {self._meaning(error)}") from None
        return found[::-1]

    def close(self) -> None:
        """Each request has a connection of its own, so that none crosses a fork."""

    def _meaning(self, error: Exception) -> LakewardError:
        if isinstance(error, TwilioRestException):
            return error_for(self.name, error.status, error.code, self._http.headers, SETTINGS)
        reason = getattr(error.args[0] if error.args else None, "reason", None)
        unreached = isinstance(error, NotReached) and isinstance(reason, NewConnectionError)
        if unreached or "ConnectTimeout" in type(error).__name__ or _is_mistrusted(error):
            return Transient("twilio is not reached: check the network")
        return Unsure("twilio was cut off before it answered")


class _Http(TwilioHttpClient):  # type: ignore[misc] # the package has no types
    """Twilio's client with a session per request, at another address when one is given; it logs
    nothing, because it would log recipients."""

    def __init__(self, endpoint: str) -> None:
        silent = logging.Logger("silent", logging.CRITICAL + 1)
        super().__init__(pool_connections=False, timeout=REQUEST_SECONDS, logger=silent)
        self._endpoint = endpoint.rstrip("/")
        self.headers: dict[str, str] = {}

    def request(self, method: str, url: str, *args: Any, **named: Any) -> Response:
        if self._endpoint:
            parts = urlsplit(url)
            url = self._endpoint + parts.path + (f"?{parts.query}" if parts.query else "")
        self.headers = {}
        with Session() as self.session:
            response = super().request(method, url, *args, **named)
        self.headers = dict(response.headers or {})
        return response


def _receipt(made: Any) -> Receipt:
    parts = str(made.num_segments or "")
    price = made.price
    return Receipt(
        message_id=str(made.sid),
        segments=int(parts) if parts.isdigit() else None,
        price=None if price is None else str(price)[:32],
        currency=str(made.price_unit).upper()[:3]
        if price is not None and made.price_unit
        else None,
    )


def _is_mistrusted(error: Exception) -> bool:
    """A certificate is looked at before anything is sent."""
    return isinstance(error, SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error)
