"""Messages to people by SMS and e-mail, through an outbox that neither loses nor doubles one.

Importing this package without its extra fails with one sentence that names it; Twilio's and
SendGrid's own packages are asked for only where they carry.
"""

from __future__ import annotations

from importlib.util import find_spec

from lakeward.errors import MissingExtra

if not all(map(find_spec, ("sqlalchemy", "alembic"))):
    raise MissingExtra("messaging", "messaging")

from lakeward.messaging.message import Carrier, Message, Receipt
from lakeward.messaging.messages import Messages

__all__ = ["Carrier", "Message", "Messages", "Receipt"]
