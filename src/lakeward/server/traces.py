"""Traces over HTTP: everything that one click, call or turn caused, and single records whole.

    GET /api/traces/{id}     a trace id, or any interaction's id; ?near=2026-11-01T00:00:00Z&days=2
    GET /api/records/{id}    the record with this id, from table or log, as `lakeward get` shows it

In: requests of who may read everything. Out: what the question `trace` answers, and records as
JSON, both from the process that answers questions. Says no with 400 for what is no id, 403 to
partners, 404 where there is no such record, 429 and 503 as `Asker` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from lakeward.analysis.registry import question_of
from lakeward.analysis.trace import Trace
from lakeward.errors import Rejected
from lakeward.server.acting import refuse_partners
from lakeward.server.answer import Headers, Refusal, reply
from lakeward.server.asker import Asker
from lakeward.server.handler import GET, Handler
from lakeward.server.intake import Request
from lakeward.server.routes import Found, Part
from lakeward.server.wire import RECORD, Order

PARTS: Final = (
    Part("traces", "/api/traces", ("/{id}",)),
    Part("records", "/api/records", ("/{id}",)),
)
WHY: Final = "Traces and single records are not for partners."
JSON: Final = b"application/json"


class Traces:
    """Answers for one worker."""

    parts = PARTS

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    def moved(self, paths: Mapping[str, str]) -> None:
        """Nothing here depends on where the others are."""

    def handlers(self) -> dict[str, Handler]:
        """A trace, and a record."""
        return {
            "traces": Handler(GET, "read", self._trace),
            "records": Handler(GET, "read", self._record),
        }

    async def _trace(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        refuse_partners(request, WHY)
        question = msgspec.json.encode(_question(found.steps["id"], request.query))
        await self._answered(request, Trace.name, question)

    async def _record(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        refuse_partners(request, WHY)
        await self._answered(request, RECORD, msgspec.json.encode(found.steps["id"]))

    async def _answered(self, request: Request, kind: str, content: bytes) -> None:
        etag = request.headers.get(b"if-none-match", b"").decode("latin-1")
        word, answer = await self._asker.ask(
            Order(kind, msgspec.Raw(content), etag), request.reader
        )
        if word.status not in (200, 304):
            raise Refusal(word.status, word.code, word.message)
        said = [(b"cache-control", b"no-cache, private")]
        if word.etag:
            said.append((b"etag", word.etag.encode()))
        await reply(request.send, word.status, answer, JSON, said)


def _question(id_: str, query: bytes) -> Any:
    try:
        given = parse_qs(query.decode("latin-1"), max_num_fields=8)
    except ValueError:
        raise Refusal(400, "bad_query", "The address has more than 8 parameters.") from None
    parameters: dict[str, Any] = {"of": id_}
    if "near" in given:
        parameters["near"] = given["near"][-1]
    if "days" in given:
        text = given["days"][-1]
        parameters["days"] = int(text) if text.isascii() and text.isdigit() else text
    try:
        return question_of(Trace.name, parameters)
    except Rejected as error:
        raise Refusal(400, "bad_trace", str(error)[:500]) from None
