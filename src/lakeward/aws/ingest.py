"""The Lambda that takes interactions: the server's own way in, and S3 in the place of a disk.

In: requests of an API Gateway. Out: answers, of which a 200 says that S3 has the batch, and with
`USE_DYNAMODB` that the table has its items. Decoder, scrubber, rules and limits are those of
`lakeward serve`; keys stand by their digests in `LAKEWARD_KEYS`, as there is no database. Opened
once for each process, at its first request; an error there is a 503.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import msgspec

from lakeward.aws.direct import DirectCollector
from lakeward.aws.gateway import answered
from lakeward.aws.given_keys import GivenKeys
from lakeward.aws.items import Items
from lakeward.errors import LakewardError
from lakeward.server.app import Server
from lakeward.server.gauges import Gauges
from lakeward.server.guard import Guard
from lakeward.server.intake import intake_of
from lakeward.server.rates import Rates
from lakeward.settings import Settings, load
from lakeward.sinks.blueprint import table_api
from lakeward.sinks.dynamodb import DynamoTable
from lakeward.sinks.objects import Bucket
from lakeward.sinks.s3 import bucket_of

logger = logging.getLogger("lakeward.aws")

PATIENCE: Final = 4.0
"""Seconds for one request to AWS: a gateway gives up after 29, and ten are for a commit."""


def handler(event: Mapping[str, Any], context: object = None) -> dict[str, Any]:
    """What Lambda calls."""
    del context
    try:
        function = opened()
    except (LakewardError, OSError) as error:
        logger.error("interactions cannot be taken: %s", error)
        body = {"code": "not_open", "message": "The lake cannot be opened: try again later."}
        return {
            "statusCode": 503, "body": msgspec.json.encode(body).decode(),
            "headers": {"content-type": "application/json", "retry-after": "5"},
        }  # fmt: skip
    return function.answer(event)


class Function:
    """The server of one process."""

    def __init__(self, settings: Settings) -> None:
        # A commit is in S3 already: nothing else is to be waited for.
        patience = min(settings.aws_seconds, PATIENCE)
        settings = msgspec.structs.replace(settings, ack="disk", aws_seconds=patience)
        guard = Guard(GivenKeys(settings.keys), loopback=False, hosts=settings.allowed_hosts)
        self._bucket = bucket_of(settings)
        self._items = items_of(settings, self._bucket) if settings.use_dynamodb else None
        self._collector = DirectCollector(settings, self._bucket, self._items)
        gauges = Gauges(None, 0, 1)
        rates = Rates(None, self._collector.lasting_salt())
        intake = intake_of(self._collector, guard, rates, gauges)
        self._server = Server(self._collector, guard, intake, gauges)
        self._loop = asyncio.new_event_loop()

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one request."""
        return self._loop.run_until_complete(answered(self._server, event))

    def close(self) -> None:
        """Let go of threads and connections; a Lambda's process is ended without."""
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        self._collector.close()
        if self._items is not None:
            self._items.close()
        self._bucket.api.close()


def items_of(settings: Settings, bucket: Bucket) -> Items:
    """The table that settings name; records over 400 KB go into the same bucket."""
    table = DynamoTable(
        table_api(settings),
        settings.interactions_table,
        bucket,
        ttl_days=settings.dynamodb_ttl_days,
    )
    return Items(table, settings.rollout_dynamodb)


@cache
def opened() -> Function:
    """The server of this process; SettingError, or MissingExtra, where there can be none."""
    return Function(load(os.environ))
