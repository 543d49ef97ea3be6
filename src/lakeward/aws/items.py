"""Items in DynamoDB for what the Lambda takes: put when S3 has the batch, before the answer.

In: a slice that is an object in S3 already. Out: its items, of the users whom
`LAKEWARD_ROLLOUT_DYNAMODB` covers. `Transient` and `Terminal` as `sinks.dynamodb` says them: then
whoever sent the batch sends it again with the same ids. An item is put in its own place, and the
object that repeats in S3 is one row of the table.

A record that no item can hold is in S3, which is what the answer says; it is named in the log, and
counted.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from typing import Final, Protocol

import msgspec

from lakeward.errors import Undeliverable
from lakeward.followers.protocol import Slice
from lakeward.followers.slices import beyond, whose
from lakeward.rollout import DYNAMODB

logger = logging.getLogger("lakeward.aws")

PART_LINES: Final = 100
"""Of one delivery: between two of them it is seen whether there is time."""


class Table(Protocol):
    """What is asked of the table: `DynamoTable` is one."""

    def deliver(self, piece: Slice) -> None:
        """Put every record."""

    def close(self) -> None:
        """Let go of connections."""


class Items:
    """The table as a function fills it; `without` counts, by reason, records that have no item."""

    def __init__(self, table: Table, share: int) -> None:
        self._table = table
        self._left_out = beyond(share, DYNAMODB)
        self.without: Counter[str] = Counter()

    def parts(self, piece: Slice) -> Iterator[Slice]:
        """What is to be delivered of a slice, in the order of its lines, a part at a time."""
        lines = piece.lines
        if self._left_out is not None:
            left_out = self._left_out
            lines = tuple(line for line in lines if not left_out(whose(line)))
        for first in range(0, len(lines), PART_LINES):
            part = lines[first : first + PART_LINES]
            # A name of its own: by it the table knows what it has put of a part.
            start = msgspec.structs.replace(piece.start, offset=piece.start.offset + first)
            yield Slice(start, piece.end, part, piece.day)

    def deliver(self, part: Slice) -> None:
        """Put a part; another attempt puts what is missing."""
        try:
            self._table.deliver(part)
        except Undeliverable as error:
            reasons = Counter(why for _, why in error.records)
            self.without += reasons
            for why, count in reasons.items():
                logger.warning("%d of %d records have no item, S3 has them: %s (%d so far)",
                               count, len(part.lines), why, self.without[why])  # fmt: skip

    def close(self) -> None:
        """Let go of connections."""
        self._table.close()
