"""Feature flags over HTTP: `POST /v1/flags/evaluate`, for pages and programs in other languages.

In: attributes, and perhaps the names of flags. Out: their values; rules and groups stay here. What
is named will be used: its experiments are told on the way of every interaction, by the rules of the
key. Says no as `POST /v1/interactions` does, and with 400 `bad_question`. Without `LAKEWARD_FLAGS`
there are no flags.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from lakeward.flags import Evaluation, Flags
from lakeward.flags.exposure import TYPE, Fresh, told_of
from lakeward.interaction import JsonObject
from lakeward.server import body
from lakeward.server.answer import Headers, Refusal, reply_json
from lakeward.server.ingest import Batch
from lakeward.server.intake import Intake, Request
from lakeward.server.routes import Found
from lakeward.settings import Settings

QUESTION_BYTES: Final = 64 << 10
MOST: Final = 200
QUESTION: Final[JsonObject] = {
    "type": "object",
    "properties": {
        "attributes": {"type": "object"},
        "flags": {
            "type": "array", "maxItems": MOST, "items": {"type": "string", "maxLength": MOST},
        },
    },
    "additionalProperties": False,
}  # fmt: skip
FLAGS: Final[JsonObject] = {
    "type": "object",
    "required": ["flags"],
    "properties": {
        "flags": {
            "type": "object",
            "additionalProperties": {
                "type": "object", "required": ["value"], "properties": {"variant": {}, "value": {}},
            },
        },
    },
}  # fmt: skip


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked."""

    attributes: dict[str, Any] = {}
    flags: (
        Annotated[list[Annotated[str, Meta(max_length=MOST)]], Meta(max_length=MOST)] | UnsetType
    ) = UNSET


class AskedFlags:
    """The flags of one worker; nothing is told to the lake here."""

    def __init__(self, settings: Settings) -> None:
        self._flags = Flags.from_settings(settings) if settings.flags else None

    @property
    def any(self) -> bool:
        """Whether there is a source."""
        return self._flags is not None

    @property
    def source(self) -> str:
        """Where definitions come from."""
        return "" if self._flags is None else self._flags.rules.source

    async def evaluated(
        self, attributes: JsonObject, names: Iterable[str] | None = None
    ) -> Mapping[str, Evaluation]:
        """These flags, or all of them, for a unit."""
        flags = self._flags
        if flags is None:
            return {}
        if flags.sticks:
            await asyncio.to_thread(flags.recall, attributes)
        wanted = list(flags.rules.flags) if names is None else names
        found = {name: flags.evaluate(name, attributes) for name in wanted}
        return {n: one for n, one in found.items() if one.source not in ("unknownFeature", "error")}

    def close(self) -> None:
        """End the watch."""
        if self._flags is not None:
            self._flags.close()


class FlagPage:
    """Answers for one worker."""

    def __init__(self, flags: AskedFlags, intake: Intake) -> None:
        self._flags = flags
        self._intake = intake
        self._fresh = Fresh()

    async def answer(self, request: Request, found: Found[Any], headers: Headers) -> None:
        """One request."""
        intake = self._intake
        sender = intake.admitted(request, None)
        with intake.shelf.lent(intake.client(request)) as lent:
            raw = await body.read(request.receive, request.headers, QUESTION_BYTES, lent)
            asked = _question(raw)
            named = asked.flags is not UNSET
            evaluated = await self._flags.evaluated(
                asked.attributes, dict.fromkeys(asked.flags) if asked.flags is not UNSET else None
            )
            if named and sender.key.permits(TYPE):
                events = [*self._exposures(evaluated.values(), asked.attributes)]
                if events:
                    await intake.take(Batch(events), sender)
        told = {name: _told(one) for name, one in evaluated.items()}
        await reply_json(request.send, {"flags": told}, headers=headers)

    def _exposures(
        self, evaluated: Iterable[Evaluation], attributes: JsonObject
    ) -> Iterable[JsonObject]:
        for one in evaluated:
            for met in one.met:
                if self._fresh.is_fresh(met):
                    told = told_of(met, attributes, self._flags.source)
                    yield {"interaction_type": TYPE, **told}


def _told(found: Evaluation) -> JsonObject:
    variant = {} if found.assigned is None else {"variant": found.assigned.key}
    return {"value": found.value, **variant}


def _question(raw: bytes) -> Question:
    try:
        return msgspec.json.decode(raw, type=Question)
    except msgspec.ValidationError:
        sentence = (
            "The body must be an object with `attributes`, an object, and perhaps `flags`, a list "
            f"of up to {MOST} names."
        )
        raise Refusal(400, "bad_question", sentence) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal(400, "bad_json", "The body is not JSON.") from None
