"""The read API: `GET /api/questions` lists what can be asked, `POST /api/questions/{kind}` asks.

In: a question's parameters as a JSON object, from who may read. Out: its columns and rows as JSON,
with an `ETag` that changes when the answer may. `?compare=previous` (or day, week, month, year)
adds the answer over that earlier time; `?sql=1` adds the statement, but for partners, who are not
told what the team's own traffic is. Says no with 400 `bad_question` in one sentence, and
`not_comparable` where a comparison means nothing; 404 for a kind that is none, 403 where a partner
may not ask, 429 and 503 as `Asker` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast
from urllib.parse import parse_qs

import msgspec

from lakeward.analysis.access import OPEN, SHOWN, narrowed
from lakeward.analysis.comparison import HOWS, earlier
from lakeward.analysis.copied import runnable
from lakeward.analysis.events import CALENDAR, FIELDS, JSON_FIELDS, OWN, PEOPLE, looked
from lakeward.analysis.metric import METRICS
from lakeward.analysis.question import Question
from lakeward.analysis.registry import QUESTIONS, question_of
from lakeward.errors import Rejected
from lakeward.server import body
from lakeward.server.answer import Headers, Refusal, reply
from lakeward.server.asker import Asker
from lakeward.server.handler import GET, POST, Handler
from lakeward.server.intake import Intake, Request
from lakeward.server.routes import Found, Part
from lakeward.server.wire import Order
from lakeward.settings import Settings

PARTS: Final = (Part("questions", "/api/questions", ("", "/{kind}")),)
MOST_BYTES: Final = 1 << 20
JSON: Final = b"application/json"


class Questions:
    """Answers for one worker."""

    parts = PARTS

    def __init__(self, asker: Asker, intake: Intake, settings: Settings) -> None:
        self._asker = asker
        self._intake = intake
        self._settings = settings
        self._listed: dict[bool, bytes] = {}

    def moved(self, paths: Mapping[str, str]) -> None:
        """Nothing here depends on where the others are."""

    def handlers(self) -> dict[str, Handler]:
        """The list, and one question."""
        return {
            "questions": Handler(GET, "read", self._list),
            "questions/{kind}": Handler(POST, "read", self._ask),
        }

    async def _list(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        partner = _partner(request) is not None
        if partner not in self._listed:
            self._listed[partner] = msgspec.json.encode(listing(partner))
        await reply(request.send, 200, self._listed[partner], JSON)

    async def _ask(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        with self._intake.shelf.lent(self._intake.client(request)) as lent:
            raw = await body.read(request.receive, request.headers, MOST_BYTES, lent)
        partner, asked = _partner(request), _asked(request)
        question = self._question(found.steps["kind"], raw, partner)
        compared = _compared(question, asked)
        wants_sql = asked.get("sql") == ["1"]
        if partner is not None and wants_sql:
            raise Refusal(403, "not_for_partners", "The statement is not for partners.")
        etag = request.headers.get(b"if-none-match", b"").decode("latin-1")
        content = msgspec.json.encode(question)
        word, answer = await self._asker.ask(
            Order(question.name, msgspec.Raw(content), etag, compared), request.reader
        )
        if word.status not in (200, 304):
            raise Refusal(word.status, word.code, word.message)
        if word.status == 200 and partner is not None:
            answer = _without_internal(answer, question)
        elif word.status == 200 and wants_sql:
            answer = _with_sql(answer, question)
        await reply(
            request.send, word.status, answer, JSON,
            [(b"etag", word.etag.encode()), (b"cache-control", b"no-cache, private")],
        )  # fmt: skip

    def _question(self, kind: str, raw: bytes, partner: str | None) -> Question:
        if kind not in QUESTIONS:
            raise Refusal(404, "no_question", f"Ask one of {', '.join(QUESTIONS)}.")
        try:
            parameters = msgspec.json.decode(raw or b"{}", type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise Refusal(400, "bad_json", "The parameters must be a JSON object.") from None
        try:
            question = question_of(kind, parameters, self._settings)
        except (Rejected, RecursionError) as error:
            raise Refusal(400, "bad_question", str(error)[:500]) from None
        if partner is None:
            return question
        try:
            return narrowed(question, partner, self._settings.internal)
        except Rejected as error:
            raise Refusal(403, "not_for_partners", str(error)) from None


def _partner(request: Request) -> str | None:
    return None if request.passed is None else request.passed.partner


def _asked(request: Request) -> dict[str, list[str]]:
    try:
        return parse_qs(request.query.decode("latin-1"), max_num_fields=8)
    except ValueError:
        raise Refusal(400, "bad_question", "The address has more than 8 parameters.") from None


def _compared(question: Question, asked: Mapping[str, list[str]]) -> msgspec.Raw:
    """The same question over an earlier time, where that is asked for."""
    how = asked.get("compare", [""])[-1]
    if not how:
        return msgspec.Raw(b"null")
    if how not in HOWS:
        raise Refusal(400, "bad_question", f"`compare` must be one of {', '.join(HOWS)}.")
    now = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    try:
        before = earlier(question, how, now)
    except Rejected as error:
        raise Refusal(400, "not_comparable", str(error)) from None
    return msgspec.Raw(msgspec.json.encode(before))


def _with_sql(answer: bytes, question: Question) -> bytes:
    statement = question.sql()
    said = {
        "text": statement.text, "parameters": statement.parameters, "runnable": runnable(question)
    }  # fmt: skip
    return answer[:-1] + b',"sql":' + msgspec.json.encode(said) + b"}"


def _without_internal(answer: bytes, question: Question) -> bytes:
    """The answer's own copy of the question says nothing of the settings."""
    shown = msgspec.structs.replace(cast(msgspec.Struct, question), internal_is=OWN)
    parts = msgspec.json.decode(answer, type=dict[str, msgspec.Raw])
    return msgspec.json.encode(parts | {"question": msgspec.Raw(msgspec.json.encode(shown))})


def listing(partner: bool = False) -> dict[str, Any]:
    """Everything that can be asked, for programs that build questions."""
    kinds = {name: kind for name, kind in QUESTIONS.items() if not partner or kind in OPEN}
    (_, definitions) = msgspec.json.schema_components(
        list(kinds.values()), ref_template="#/definitions/{name}"
    )
    names = [n for n in (*PEOPLE, *CALENDAR, *FIELDS) if not partner or n in SHOWN]
    return {
        "questions": [
            {
                "name": name,
                "doc": (kind.__doc__ or "").strip(),
                "parameters": {"$ref": f"#/definitions/{kind.__name__}"},
            }
            for name, kind in kinds.items()
        ],
        "definitions": definitions,
        "fields": [
            {"name": name, "kind": field.kind, "doc": field.doc}
            for name in names
            for field in [looked(name)]
        ],
        "objects": [] if partner else list(JSON_FIELDS),
        "metrics": [
            {
                "name": name, "doc": metric.doc, "unit": metric.unit, "takes": metric.takes,
                "field": metric.default,
            }
            for name, metric in METRICS.items()
        ],
    }  # fmt: skip
