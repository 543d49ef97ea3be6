"""Records that are checked and built in one go: those that are right as they are, as most are.

In: the record's top-level fields. Out: the finished record without id, time, environment, version
and type, whose fields come in the order of `interaction.Interaction`; None for what `arrange` must
look at more closely, which says why it refuses. Nothing is raised.
"""

from __future__ import annotations

from typing import Annotated, Any, get_type_hints

import msgspec
from msgspec import UNSET, Meta, UnsetType

from lakeward.catalog.ai import TOKEN_BUCKETS, AiConversation, AiMessage
from lakeward.catalog.record import Record
from lakeward.catalog.spec import FIELD_SET, Id, Nullable, Opt
from lakeward.interaction import JsonObject

_convert = msgspec.convert


class Call(Record, kw_only=True, gc=False, forbid_unknown_fields=True):
    """A finished `api_call` that has nothing but fields of the record, the seed's fourteen always
    present."""

    method: str | None
    path: str
    user_id: Opt[Id] = "anonymous"
    user_type: Opt[str] = "unknown"
    response_status: Annotated[int, Meta(ge=100, le=599)] | None = None
    response_time_ms: Annotated[float, Meta(ge=0)] | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    session_id: Nullable[Id] = None


def _told() -> type[msgspec.Struct]:
    """What a turn has under `ai_metadata`, as `AiConversation` has it; its buckets are added up by
    who makes it. The provider's usage was looked at: it is written as it is."""
    hints = get_type_hints(AiConversation, include_extras=True) | {"usage": Any}
    own = [(name, hints[name], UNSET) for name in AiConversation.__struct_fields__
           if name not in FIELD_SET]  # fmt: skip
    return msgspec.defstruct("_Told", own, kw_only=True, gc=False, forbid_unknown_fields=True)


class Conversation(Record, kw_only=True, gc=False, forbid_unknown_fields=True):
    """A finished `ai_conversation` whose fields are all the record's or the type's own."""

    user_id: Opt[Id] = "anonymous"
    user_type: Opt[str] = "unknown"
    ai_metadata: _told() | UnsetType = UNSET  # type: ignore[valid-type]  # of the spec
    messages: Any = UNSET


def call(fields: JsonObject) -> Call | None:
    """`fields` as a finished `api_call`."""
    try:
        return _convert(fields, Call)
    except Exception:
        return None


def conversation(top: JsonObject, own: JsonObject) -> Conversation | None:
    """The record's fields and the type's own as a finished `ai_conversation`; `top` is used up. The
    messages in it are taken as they are: `is_messages` looks at them."""
    try:
        if (left := own.get("total_tokens")) is not None:
            for name in TOKEN_BUCKETS:
                if name in own:
                    left -= own[name]
            if left < 0:
                return None
        top["ai_metadata"] = own
        return _convert(top, Conversation)
    except Exception:
        return None


def is_messages(messages: list[Any]) -> bool:
    """Whether the type takes these messages."""
    try:
        _convert(messages, list[AiMessage])
    except Exception:
        return False
    return True


for _struct in (Call, Conversation):  # compiled under the import lock, as in `placement`
    msgspec.json.Decoder(_struct)
msgspec.json.Decoder(list[AiMessage])
