"""The door of the compatible endpoints: what is the same whichever product's SDK calls.

In: a request, the dialect's endpoint that its path leads to. Out: the answer that the SDK expects,
once everything is durable. Says no as `POST /v1/interactions` does; a 4xx is never tried again by
these SDKs, 429 and 503 are.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any
from urllib.parse import parse_qs

from lakeward.server import body
from lakeward.server.answer import Headers, Refusal, reply
from lakeward.server.compat.dialect import (
    Answer,
    Call,
    Dialect,
    Endpoint,
    Outcome,
    Question,
    Undecodable,
)
from lakeward.server.flags import AskedFlags
from lakeward.server.ingest import Batch
from lakeward.server.intake import Intake, Request
from lakeward.server.routes import Found

MOST_FIELDS = 1000


class Speaker:
    """Answers for one endpoint of one dialect."""

    def __init__(
        self, intake: Intake, flags: AskedFlags, dialect: Dialect, endpoint: Endpoint, root: str
    ) -> None:
        self._flags = flags
        self._intake = intake
        self._dialect = dialect
        self._endpoint = endpoint
        self._root = root.rstrip("/")

    async def answer(self, request: Request, found: Found[Any], headers: Headers) -> None:
        """One request."""
        endpoint, intake = self._endpoint, self._intake
        with intake.shelf.lent(intake.client(request)) as lent:
            raw = await body.read(request.receive, request.headers, intake.most_bytes, lent)
            call = Call(
                request.method, found.below, found.steps, _query(request.query),
                request.headers, raw, request.base + self._root, self._flags.any,
            )  # fmt: skip
            if endpoint.flags is not None and self._flags.any:
                said = await self._evaluated(request, call, endpoint.flags)
                await reply(request.send, 200, said.body, said.kind, headers)
                return
            if endpoint.parse is None:
                outcome = Outcome(0, [])
            else:
                outcome = await self._taken(request, call)
        said = endpoint.answer(call, outcome)
        await reply(request.send, 200, said.body, said.kind, headers)

    async def _evaluated(self, request: Request, call: Call, question: Question) -> Answer:
        """Flags for a unit; the SDK tells of those that it uses by itself."""
        try:
            secret, attributes = question.asked(call)
        except Undecodable as error:
            self._intake.admitted(request, None)
            raise Refusal(400, "bad_body", str(error)) from None
        self._intake.admitted(request, secret)
        return question.answered(await self._flags.evaluated(attributes))

    async def _taken(self, request: Request, call: Call) -> Outcome:
        assert self._endpoint.parse is not None
        intake = self._intake
        try:
            sending = self._endpoint.parse(call)
        except Undecodable as error:
            # A stranger's bytes leave no trace: who has a key is asked before they are noted.
            intake.admitted(request, None)
            raise intake.ingest.undecodable(call.body, str(error), "bad_body") from None
        sender = intake.admitted(request, sending.secret)
        try:
            # One more than a batch holds is enough to be told that it is too many.
            events = list(islice(sending.events, intake.ingest.most_events + 1))
        except Undecodable as error:
            raise intake.ingest.undecodable(call.body, str(error), "bad_body") from None
        batch = Batch(events, self._sent_at(sending.sent_at), self._dialect.name)
        found = await intake.take(batch, sender)
        return Outcome(found.accepted, [(r["index"], r["reason"]) for r in found.rejected])

    def _sent_at(self, text: str | None) -> str | None:
        """A clock that cannot be read corrects nothing: the SDK could not be told anyway."""
        return text if text is not None and self._intake.ingest.is_time(text) else None


def _query(query: bytes) -> Mapping[str, list[str]]:
    try:
        return parse_qs(query.decode("latin-1"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        message = f"The query has more than {MOST_FIELDS} parameters."
        raise Refusal(400, "query", message) from None
