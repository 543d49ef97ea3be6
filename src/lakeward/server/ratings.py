"""Ratings of AI answers: `POST /v1/ai/ratings`, for buttons under an answer and apps behind them.

In: one rating, a list, or `{"ratings": […]}`. Out: how many are durable, and the index and reason
of each that is refused; each becomes an `ai_rating` on the way of every interaction. Says no as
`POST /v1/interactions` does, and with 400 `bad_rating` to a single one that rates nothing.

    interaction_id           the turn's id ─► parent_interaction_id
    conversation_id + turn   or the turn's place
    rating_id                the caller's own id of the rating ─► interaction_id

A retry with the same `rating_id` meets itself: the id is hashed at the rating's own time, else at
its turn's. Whether there is such a turn is not asked here: it may be on its way. Of a public client
(`Pass.public`) ingest gives it an id of the pages', by which the views know whose word it is.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from lakeward.collector import Collector
from lakeward.errors import Rejected
from lakeward.interaction import OURS, JsonObject, adopt_id, id_ms
from lakeward.server import body
from lakeward.server.answer import Headers, Refusal, reply_json
from lakeward.server.compat.dialect import Refused
from lakeward.server.ingest import Batch
from lakeward.server.intake import Intake, Request
from lakeward.server.routes import Found

SOURCE: Final = "ai.rating"
MOST_TURNS: Final = 2**53 - 1

Text = Annotated[str, Meta(max_length=200)]
Id = Annotated[str, Meta(min_length=1, max_length=200)]


class Rating(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is sent; the rules of the values are those of the type `ai_rating`."""

    rating_id: Id | UnsetType = UNSET
    interaction_id: Id | UnsetType = UNSET
    conversation_id: Id | UnsetType = UNSET
    turn: Annotated[int, Meta(ge=0, le=MOST_TURNS)] | UnsetType = UNSET
    helpful: bool | UnsetType = UNSET
    rating: Annotated[int, Meta(ge=1, le=5)] | UnsetType = UNSET
    reason: Text | UnsetType = UNSET
    comment: str | UnsetType = UNSET
    rater_id: Id | UnsetType = UNSET
    user_id: Id | UnsetType = UNSET
    anonymous_id: Id | UnsetType = UNSET
    session_id: Id | UnsetType = UNSET
    timestamp: str | UnsetType = UNSET
    sent_at: str | UnsetType = UNSET


SAYS: Final = ("helpful", "rating", "reason", "comment")
NAMED: Final = (
    "rating_id", "interaction_id", "conversation_id", "rater_id", "user_id", "anonymous_id",
    "session_id",
)  # fmt: skip
SCHEMA: Final[JsonObject] = {
    "type": "object",
    "properties": {
        **{name: {"type": "string", "minLength": 1, "maxLength": 200} for name in NAMED},
        "turn": {"type": "integer", "minimum": 0, "maximum": MOST_TURNS},
        "helpful": {"type": "boolean"},
        "rating": {"type": "integer", "minimum": 1, "maximum": 5},
        "reason": {"type": "string", "maxLength": 200},
        "comment": {"type": "string"},
        "timestamp": {"type": "string", "format": "date-time"},
        "sent_at": {"type": "string", "format": "date-time"},
    },
    "allOf": [
        {"anyOf": [{"required": ["interaction_id"]}, {"required": ["conversation_id", "turn"]}]},
        {"anyOf": [{"required": [name]} for name in SAYS]},
    ],
    "additionalProperties": False,
}
"""The same for programs."""
KIND: Final[JsonObject] = {"interaction_type": "ai_rating"}
OURSELVES: Final = ("interaction_id", "rating_id")


class Ratings:
    """Answers for one worker."""

    def __init__(self, collector: Collector, intake: Intake) -> None:
        self._collector = collector
        self._intake = intake

    async def answer(self, request: Request, found: Found[Any], headers: Headers) -> None:
        """One request."""
        intake = self._intake
        sender = intake.admitted(request, None)
        if not sender.key.permits("ai_rating"):
            raise Refusal(403, "wrong_type", "The key may not send `ai_rating`.")
        with intake.shelf.lent(intake.client(request)) as lent:
            raw = await body.read(request.receive, request.headers, intake.most_bytes, lent)
            batch = self._batch(raw)
            outcome = await intake.take(batch, sender)
        if batch.single and outcome.rejected:
            raise Refusal(400, "bad_rating", outcome.rejected[0]["reason"])
        await reply_json(request.send, outcome, headers=headers)

    def _batch(self, raw: bytes) -> Batch:
        ingest = self._intake.ingest
        try:
            content = msgspec.json.decode(raw)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise ingest.undecodable(raw, "The body is not JSON.", "bad_json") from None
        single = isinstance(content, dict) and "ratings" not in content
        ratings = [content] if single else content
        if isinstance(content, dict) and not single:
            ratings = content["ratings"]
        if not isinstance(ratings, list):
            raise Refusal(400, "bad_batch", "`ratings` must be a list of ratings.")
        # One more than a batch holds is enough to be told that it is too many.
        return Batch([self._event(rating) for rating in ratings[: ingest.most_events + 1]],
                     single=single)  # fmt: skip

    def _event(self, content: Any) -> JsonObject | Refused:
        """A rating as an interaction."""
        if not isinstance(content, dict):
            return Refused("A rating must be an object.", {"value": content} | KIND)
        told = {name: _whole(value) for name, value in content.items() if value is not None}
        try:
            return self._interaction(checked(told))
        except Rejected as error:
            return Refused(str(error), _renamed(told))

    def _interaction(self, rating: Rating) -> JsonObject:
        fields: JsonObject = {
            name: value
            for name in rating.__struct_fields__
            if (value := getattr(rating, name)) is not UNSET
        }
        rating_id = fields.pop("rating_id", None)
        turn = fields.pop("interaction_id", None)
        if turn is not None:
            turn = turn.lower() if OURS.fullmatch(turn.lower()) else turn
            fields["parent_interaction_id"] = turn
        if rating_id is not None:  # never an id as it comes: it could be that of a turn
            what = (turn, fields.get("conversation_id"), fields.get("turn"), rating_id)
            rating_id = f"rating-{blake2b(repr(what).encode(), digest_size=16).hexdigest()}"
        if rating_id is not None and "timestamp" in fields:
            fields["interaction_id"] = rating_id  # ingest hashes it at this time
        elif rating_id is not None and turn is not None and OURS.fullmatch(turn):
            clock = self._collector.clock
            fields["interaction_id"] = adopt_id(rating_id, id_ms(turn), SOURCE)
            fields["timestamp"] = clock.stamp(clock.now())
            fields.pop("sent_at", None)
        elif rating_id is not None:
            fields["interaction_id"] = rating_id
        return fields | KIND


def checked(told: JsonObject) -> Rating:
    """A rating that rates a turn; Rejected with the field and its rule."""
    try:
        rating = msgspec.convert(told, Rating)
    except msgspec.ValidationError as error:
        raise Rejected(_sentence(str(error))) from None
    if all(getattr(rating, name) is UNSET for name in SAYS):
        raise Rejected("Say `helpful`, `rating`, `reason` or `comment`.")
    placed = rating.conversation_id is not UNSET and rating.turn is not UNSET
    if rating.interaction_id is UNSET and not placed:
        raise Rejected("Say which turn: its `interaction_id`, or `conversation_id` and `turn`.")
    return rating


def _whole(value: Any) -> Any:
    """`5.0` as the integer that it is in JSON Schema."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _sentence(said: str) -> str:
    """What msgspec says, without the sender's own names and values."""
    rule, _, place = said.partition(" - at `$.")
    if not rule.startswith("Expected ") or not place:
        return f"The fields of a rating are {', '.join(Rating.__struct_fields__)}."
    return f"`{place[:-1]}` must be {rule.removeprefix('Expected ').replace(', got', ', not')}."


def _renamed(told: JsonObject) -> JsonObject:
    """What is set aside, as it would come back: `interaction_id` is the turn's here."""
    turn = {"parent_interaction_id": told["interaction_id"]} if "interaction_id" in told else {}
    return {name: value for name, value in told.items() if name not in OURSELVES} | turn | KIND
