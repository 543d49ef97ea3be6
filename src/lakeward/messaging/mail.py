"""E-mail through SendGrid, by its own package.

SendGrid's public interface has no question whether it took a message, so `sent` says `Unsure`.
Each message carries `outbox_id` in its `custom_args`, which come back in SendGrid's events.
"""

from __future__ import annotations

import http.client
import ssl
from typing import Any
from urllib import request as urllib
from urllib.error import URLError

from python_http_client import Client
from python_http_client.exceptions import HTTPError, handle_error
from sendgrid import SendGridAPIClient

from lakeward.errors import Transient, Unsure
from lakeward.messaging.answer import REQUEST_SECONDS, error_for
from lakeward.messaging.message import Message, Receipt
from lakeward.messaging.unsubscribe import headers_of

ADDRESS = "https://api.sendgrid.com"
SETTINGS = "SENDGRID_API_KEY and SENDGRID_FROM_EMAIL"


class SendGridCarrier:
    """Hands e-mail to SendGrid, or to what speaks its protocol at `endpoint`."""

    name = "sendgrid"

    def __init__(self, key: str, endpoint: str = "") -> None:
        self._api = SendGridAPIClient(key, host=endpoint.rstrip("/") or ADDRESS)
        self._api.client = _Client(
            host=self._api.host, request_headers=self._api._default_headers, version=3,
            timeout=REQUEST_SECONDS,
        )  # fmt: skip

    def send(self, message: Message) -> Receipt:
        """Hand it over, once."""
        content = [{"type": "text/plain", "value": message.text}]
        if message.html is not None:
            content.append({"type": "text/html", "value": message.html})
        body = {
            "personalizations": [
                # here, as an object; at the top the description has a string
                {"to": [{"email": message.to}], "custom_args": {"outbox_id": message.outbox_id}}
            ],
            "from": {"email": message.sender},
            "subject": message.subject,
            "content": content,
        }
        if message.unsubscribe is not None:
            body["headers"] = headers_of(message.unsubscribe)
        try:
            response = self._api.send(body)
        except HTTPError as error:
            headers = dict(error.headers or {})
            raise error_for(self.name, error.status_code, None, headers, SETTINGS) from None
        except URLError as error:
            if isinstance(error.reason, _NotReached):
                raise Transient("sendgrid is not reached: check the network") from None
            raise Unsure("sendgrid was cut off before it took all") from None
        except (OSError, http.client.HTTPException):
            raise Unsure("sendgrid was cut off before it answered") from None
        if not 200 <= response.status_code < 300:
            raise Unsure(f"sendgrid answers {response.status_code}")
        return Receipt(message_id=str(response.headers.get("X-Message-Id") or message.outbox_id))

    def sent(self, message: Message, since_ms: int) -> list[Receipt]:
        """There is no such question."""
        raise Unsure("sendgrid cannot be asked which messages it took")

    def close(self) -> None:
        """Each request has a connection of its own."""


class _NotReached(OSError):
    """There was no connection, so nothing was sent."""


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        try:
            super().connect()
        except OSError as error:
            raise _NotReached(str(error)) from None


class _SecureConnection(http.client.HTTPSConnection):
    def connect(self) -> None:
        try:
            super().connect()
        except OSError as error:
            raise _NotReached(str(error)) from None


class _Plain(urllib.HTTPHandler):
    def http_open(self, req: urllib.Request) -> Any:
        return self.do_open(_Connection, req)


class _Secure(urllib.HTTPSHandler):
    def https_open(self, req: urllib.Request) -> Any:
        return self.do_open(_SecureConnection, req, context=ssl.create_default_context())


class _Straight(urllib.HTTPRedirectHandler):
    """A message goes where the settings say and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


class _Client(Client):  # type: ignore[misc] # the package has no types
    """The package's client, able to tell a failure to connect from one later; it logs nothing."""

    def _build_client(self, name: str | None = None) -> _Client:
        path = self._url_path + [name] if name else self._url_path
        return _Client(
            host=self.host, version=self._version, request_headers=self.request_headers,
            url_path=path, timeout=self.timeout,
        )  # fmt: skip

    def _make_request(self, opener: Any, request: Any, timeout: float | None = None) -> Any:
        opener = urllib.build_opener(_Plain, _Secure, _Straight)
        try:
            return opener.open(request, timeout=timeout or self.timeout)
        except urllib.HTTPError as error:
            with error:
                raised = handle_error(error)
            raise raised from None
