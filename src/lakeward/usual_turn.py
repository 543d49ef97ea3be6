"""AI turns as most are: every field is right, nothing has to be scrubbed. They are finished in one
walk and one search.

In: the fields of an `ai_conversation`. Out: the finished record, equal to what `catalog.arrange`,
`Contents.settle` and the scrubber make of them together; None for every turn that needs one of
these to look closer. What the caller goes on to change is not in it. Nothing fails.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET

from lakeward.catalog import TYPES, Conversation, conversation, is_messages
from lakeward.content import Contents, rough
from lakeward.interaction import JsonObject
from lakeward.privacy import Scrubber
from lakeward.rollout import Shares

_OWN: Final = TYPES["ai_conversation"].own - {"content_mode"}
_TOP: Final = frozenset(
    {
        "user_id", "user_type", "anonymous_id", "session_id", "trace_id", "parent_interaction_id",
        "partner_id", "conversation_id", "error_type", "messages", "properties", "metadata",
    }
)  # fmt: skip
"""Of the record's fields those without a rule of their own."""
_WORDS: Final = frozenset(
    {
        "feature", "operation", "provider", "model_requested", "model_answered", "prompt_name",
        "prompt_version", "status", "finish_reason", "captured_by", "tokens_source", "user_type",
    }
)  # fmt: skip
"""Fields whose texts are few, and the same in most turns."""
_LONGEST: Final = 512
"""Characters of an id, than which no text of the type's is longer but what was said."""
_MOST_WORDS: Final = 1024
_SPOKEN: Final = frozenset({"role", "content"})
_ROLES: Final = frozenset({"system", "user", "assistant", "tool", "developer"})
_LARGE: Final = 10**12
"""The smallest number that can be a card's has 13 digits."""


class UsualTurns:
    """Of one collector; shared between threads."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._named = contents.scrubber.leaves_names({*_OWN, *_TOP, *_SPOKEN})
        """Whether no name of a field is a secret's, as a host may have it."""
        self._clear: set[str] = set()
        """Words that are no secrets."""

    def finished(self, fields: JsonObject, shares: Shares) -> Conversation | None:
        """The record of a turn without id, time, environment and version."""
        usual = self._contents.usual(shares) if self._named else None
        if usual is None:
            return None
        scrubber, mode, most = usual
        texts: list[str] = []
        words: list[str] = []
        known = self._clear
        own: JsonObject = {"content_mode": mode}
        top: JsonObject = {}
        try:
            for name, value in fields.items():
                kind = type(value)
                if kind is str:
                    if value not in known:
                        if len(value) > _LONGEST:
                            return None
                        texts.append(value)
                        if name in _WORDS:
                            words.append(value)
                elif kind is int or kind is float:
                    if not -_LARGE < value < _LARGE:
                        return None
                elif kind is dict or kind is list:
                    if name == "messages":
                        value = _messages(value, texts, scrubber, most)
                    else:
                        counts = scrubber.counted(value) if name == "usage" else None
                        value = counts or scrubber.gathered(value, texts)
                    if value is UNSET:
                        return None
                elif kind is not bool:
                    return None
                if name in _OWN:
                    own[name] = value
                elif name in _TOP:
                    top[name] = value
                else:
                    return None
        except Exception:  # who changes it meanwhile
            return None
        if own.get("content_consent", True) is not True or not scrubber.leaves(texts):
            return None
        made = conversation(top, own)
        if words and made is not None:
            if len(known) >= _MOST_WORDS:
                known.clear()
            known.update(words)
        return made


def _messages(messages: Any, texts: list[str], scrubber: Scrubber, most: int) -> Any:
    """A copy of messages that the type takes and that fit; UNSET for all others."""
    if type(messages) is not list:
        return UNSET
    made: list[JsonObject] = []
    size, strange = 0, False
    for message in messages:
        if type(message) is dict and message.keys() == _SPOKEN:
            role, content = message["role"], message["content"]
            if type(content) is str and type(role) is str and len(role) <= 200:
                if role not in _ROLES:
                    texts.append(role)
                texts.append(content)
                size += len(content) + 64
                made.append({"role": role, "content": content})
                continue
        strange = True
        kept = scrubber.gathered(message, texts) if type(message) is dict else UNSET
        if kept is UNSET:
            return UNSET
        made.append(kept)
    if strange:
        size = rough(made)
        if not is_messages(made):
            return UNSET
    return made if size * 6 < most else UNSET
