"""Experiments over HTTP: which there are, what one shows, and how it came to be.

    GET /api/experiments               ?since=…&until=…&zone=…
    GET /api/experiments/{key}         the report; ?metric=…&split=50/50 … instead of the flag's
    GET /api/experiments/{key}/course  the same as of the end of each day
    GET /api/experiments/{key}/csv     the report's figures

In: requests of who may read everything. Out: JSON with an `ETag` that changes when the answer may,
or CSV; `?sql=1` adds the statements. What has a slash in its key is `-` with `?experiment=`.
The questions are answered, and judged, by the processes of `Asker`. Says no with 400 for what
cannot be asked, 403 `not_for_partners`, 404 `no_experiment` for one that nobody met, 503
`missing_extra` without scipy, and as questions do.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast
from urllib.parse import parse_qs

import msgspec

from lakeward.analysis.experiment.brief import Filled, Said, filled
from lakeward.analysis.experiment.course import ExperimentCourse
from lakeward.analysis.experiment.question import Exposed
from lakeward.analysis.experiment.result import Terms
from lakeward.analysis.experiment.study import Brief, ExperimentReport
from lakeward.analysis.registry import question_of
from lakeward.errors import Rejected
from lakeward.interaction import parse_iso
from lakeward.server.acting import refuse_partners
from lakeward.server.answer import JSON, Headers, Refusal, reply
from lakeward.server.asker import Asker
from lakeward.server.experiment_list import csv_of, listed
from lakeward.server.handler import GET, Handler
from lakeward.server.intake import Request
from lakeward.server.routes import Found, Part
from lakeward.server.wire import Order
from lakeward.settings import Settings

PARTS: Final = (
    Part("experiments", "/api/experiments", ("", "/{key}", "/{key}/course", "/{key}/csv")),
)
NOT_FOR_PARTNERS: Final = "Experiments are of everybody together."
CSV: Final = b"text/csv; charset=utf-8"
MOST_FIELDS: Final = 64
MOST_KEPT: Final = 32
LARGEST_KEPT: Final = 1 << 20
UNMET: Final = "Nobody met the experiment"
HOUR: Final = timedelta(hours=1)
NUMBERS: Final = ("within", "cuped", "level", "minimum", "prior")
TEXTS: Final = (
    "experiment",
    "split",
    "control",
    "unit",
    "since",
    "until",
    "zone",
    "correction",
    "fixed",
)
MANY: Final = ("metric", "guardrail")
Query = Mapping[str, list[str]]


class Experiments:
    """Answers for one worker."""

    parts = PARTS

    def __init__(self, asker: Asker, settings: Settings) -> None:
        self._asker = asker
        self._settings = settings
        self._kept: OrderedDict[bytes, tuple[str, bytes]] = OrderedDict()
        """Answers by what was asked, with their tags: several look at the same experiment."""

    def moved(self, paths: Mapping[str, str]) -> None:
        """Nothing here depends on where the others are."""

    def handlers(self) -> dict[str, Handler]:
        """The list, and what is known of one."""
        return {
            "experiments": Handler(GET, "read", self._list),
            "experiments/{key}": Handler(GET, "read", self._report),
            "experiments/{key}/course": Handler(GET, "read", self._course),
            "experiments/{key}/csv": Handler(GET, "read", self._csv),
        }

    async def _list(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        refuse_partners(request, NOT_FOR_PARTNERS)
        query = _query(request)
        parameters: dict[str, Any] = {
            name: query[name][-1] for name in ("since", "until", "zone", "unit") if name in query
        }
        try:
            question = question_of("experiments", parameters, self._settings)
        except Rejected as error:
            raise Refusal(400, "bad_question", str(error)[:500]) from None
        _, answer = await self._answer(request, "experiments", question)
        told = await asyncio.to_thread(listed, self._settings, answer)
        await reply(request.send, 200, msgspec.json.encode(told), headers=[_private()])

    async def _report(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        await self._told(request, found, ExperimentReport)

    async def _course(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        await self._told(request, found, ExperimentCourse)

    async def _csv(self, request: Request, found: Found[Handler], headers: Headers) -> None:
        brief = await self._brief(request, found, ExperimentReport)
        _, answer = await self._answer(request, ExperimentReport.name, brief)
        name = [(b"content-disposition", b'attachment; filename="experiment.csv"'), _private()]
        await reply(request.send, 200, csv_of(answer), CSV, name)

    async def _told(self, request: Request, found: Found[Handler], kind: type[Brief]) -> None:
        brief = await self._brief(request, found, kind)
        tag, answer = await self._answer(request, cast(Any, kind).name, brief)
        said = [(b"etag", tag.encode()), _private()]
        if request.headers.get(b"if-none-match", b"").decode("latin-1") == tag:
            await reply(request.send, 304, b"", headers=said)
            return
        if _query(request).get("sql") == ["1"]:
            told = [
                {"name": each.name, "text": statement.text, "parameters": statement.parameters}
                for each in brief.questions() for statement in [each.sql()]
            ]  # fmt: skip
            answer = answer[:-1] + b',"sql":' + msgspec.json.encode(told) + b"}"
        await reply(request.send, 200, answer, JSON, said)

    async def _brief(self, request: Request, found: Found[Handler], kind: type[Brief]) -> Brief:
        refuse_partners(request, NOT_FOR_PARTNERS)
        query = _query(request)
        try:
            brief = await asyncio.to_thread(
                brief_of, self._settings, found.steps["key"], query, kind
            )
            brief.questions()
        except (Rejected, ValueError, OverflowError) as error:
            raise Refusal(400, "bad_question", _sentence(error)) from None
        return brief

    async def _answer(self, request: Request, kind: str, asked: object) -> tuple[str, bytes]:
        """Out of what is kept, as long as nothing came in since."""
        content = msgspec.json.encode(asked)
        name = f"{kind} ".encode() + content
        tag, kept = self._kept.get(name, ("", b""))
        word, answer = await self._asker.ask(Order(kind, msgspec.Raw(content), tag), request.reader)
        if word.status == 304:
            self._kept.move_to_end(name)
            return tag, kept
        if word.status != 200:
            said = word.message[:1].upper() + word.message[1:]
            if word.status == 400 and said.startswith(UNMET):
                raise Refusal(404, "no_experiment", said)
            raise Refusal(word.status, word.code, said)
        if len(answer) <= LARGEST_KEPT:
            self._kept[name] = (word.etag, answer)
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return word.etag, answer


def brief_of(settings: Settings, key: str, query: Query, kind: type[Brief]) -> Brief:
    """What is to be judged: as the address says, else as the flag plans; reads the flags."""
    told = {name: query[name][-1] for name in TEXTS if name in query}
    numbers = {name: _number(name, query[name][-1]) for name in NUMBERS if name in query}
    found = filled(
        settings,
        Said(
            experiment=told.get("experiment", key),
            metrics=tuple(query.get("metric", ())),
            guardrails=tuple(query.get("guardrail", ())),
            split=told.get("split"),
            within_days=numbers.get("within"),
            unit=told.get("unit"),
            control=told.get("control"),
        ),
    )
    return kind(
        of=_exposed(settings, found, told),
        metrics=found.said.metrics,
        guardrails=found.said.guardrails,
        terms=_terms(found, told, numbers),
        before_days=numbers.get("cuped", 0.0),
        notes=found.notes,
    )


def _exposed(settings: Settings, found: Filled, told: Mapping[str, str]) -> Exposed:
    said, days = found.said, found.said.within_days
    return Exposed(
        experiment=said.experiment,
        unit=said.unit or "person",
        within_days=14 if days is None else days,
        since=_moment(told["since"]) if "since" in told else None,
        until=_moment(told["until"]) if "until" in told else _end_of_hour(),
        zone=told.get("zone", "UTC"),
        internal_is=settings.internal,
    )


def _terms(found: Filled, told: Mapping[str, str], numbers: Mapping[str, float]) -> Terms:
    more: dict[str, Any] = {n: numbers[n] for n in ("level", "minimum", "prior") if n in numbers}
    if "correction" in told:
        more["correction"] = told["correction"]
    return Terms(
        control=found.said.control, split=found.split, sequential=told.get("fixed") != "1", **more
    )


def _end_of_hour() -> datetime:
    """One moment for all questions, and the same for all that ask in this hour."""
    now = datetime.now(UTC)
    return now.replace(minute=0, second=0, microsecond=0) + HOUR


def _moment(text: str) -> datetime:
    return datetime.fromtimestamp(parse_iso(text) / 1000, UTC)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Rejected(f"`{name}` must be a number.") from None


def _query(request: Request) -> Query:
    try:
        found = parse_qs(request.query.decode("latin-1"), max_num_fields=MOST_FIELDS)
    except ValueError:
        sentence = f"The address has more than {MOST_FIELDS} parameters."
        raise Refusal(400, "bad_query", sentence) from None
    known = {*TEXTS, *NUMBERS, *MANY, "sql"}
    if unknown := [name for name in found if name not in known]:
        sentence = f"`{unknown[0][:40]}` is none of {', '.join(sorted(known))}."
        raise Refusal(400, "bad_query", sentence)
    return found


def _sentence(error: Exception) -> str:
    text = str(error)[:500]
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _private() -> tuple[bytes, bytes]:
    return (b"cache-control", b"no-cache, private")
