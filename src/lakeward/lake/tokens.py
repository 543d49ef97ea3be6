"""Tokens that no provider reported, counted offline from the messages of a turn.

In: the messages of one turn as they stand in its record, and the model. Out: a `Count`, or None
where no honest one is possible: a model whose tokeniser is not public, one that thinks unseen
before it answers, a message whose content is not there, a picture, a file. Never a guess by
characters. `MissingExtra` without the extra `ai`; nothing fails for what a message holds.

What a chat costs beside its texts is as OpenAI published it: 3 tokens a message, 1 more where it
has a name, 3 that prime the reply; definitions of tools by the published numbers too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Final, Literal, TypeAlias, cast

import msgspec

from lakeward.errors import MissingExtra
from lakeward.interaction import JsonObject

Encoding: TypeAlias = Literal["o200k_base", "cl100k_base"]

FAMILIES: Final[tuple[tuple[str, Encoding], ...]] = (
    ("gpt-4o", "o200k_base"),
    ("chatgpt-4o", "o200k_base"),
    ("gpt-4.1", "o200k_base"),
    ("gpt-4.5", "o200k_base"),
    ("gpt-4", "cl100k_base"),
    ("gpt-3.5", "cl100k_base"),
    ("gpt-35", "cl100k_base"),
    ("text-embedding-3-", "cl100k_base"),
    ("text-embedding-ada-002", "cl100k_base"),
    ("davinci-002", "cl100k_base"),
    ("babbage-002", "cl100k_base"),
)
"""How the names of models begin that use an encoding; the first that fits. Not here: o1, o3, o4
and gpt-5, whose reasoning is paid for and not shown, so that the text of an answer says little."""
UNLIKE: Final = ("audio", "realtime", "search", "transcribe", "tts", "image")
"""Words in the names of models that are paid for by more than their texts."""

PER_MESSAGE: Final = 3
PER_NAME: Final = 1
REPLY: Final = 3
FUNCTION: Final[dict[Encoding, int]] = {"o200k_base": 7, "cl100k_base": 10}
PROPERTIES: Final = 3
PROPERTY: Final = 3
ENUM: Final = -3
ENUM_ITEM: Final = 3
FUNCTIONS: Final = 12

LONGEST: Final = 8_000_000
"""Characters of a turn that are counted; the encoder takes 0.06 s for a million at worst."""
PLAIN: Final = frozenset(
    {"embeddings", "embedding", "text_completion", "completion", "completions"}
)
"""Operations whose texts go to the model as they are."""
ANSWERER: Final = frozenset({"assistant", "model"})
TEXT_PARTS: Final[dict[str, str]] = {
    "text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal",
}  # fmt: skip


class Count(msgspec.Struct, frozen=True):
    """Tokens of one turn."""

    input_tokens: int
    output_tokens: int
    tokenizer: str


class Uncountable(Exception):
    """A message holds what is no text, or does not hold its text."""


def encoding_of(model: str) -> Encoding | None:
    """The encoding of a model by its name; None where it is not known or would tell too little."""
    name = model.lower().rpartition("/")[2].removeprefix("ft:")
    if any(word in name for word in UNLIKE):
        return None
    return next((encoding for begin, encoding in FAMILIES if name.startswith(begin)), None)


class Tokens:
    """Counts texts; loads an encoder when the first text for it comes."""

    def __init__(self) -> None:
        if find_spec("rs_bpe") is None:
            raise MissingExtra("Counting tokens", "ai")
        self._counter = cache(_counter)

    def count(self, text: str, encoding: Encoding) -> int:
        """Tokens of a text; what looks like a special token is text."""
        return self._counter(encoding)(text)

    def turn(
        self, messages: Sequence[object], model: str, operation: str = "chat", tools: object = None
    ) -> Count | None:
        """Tokens of a turn: the messages that the assistant has at the end are the answer."""
        encoding = encoding_of(model)
        if encoding is None or not messages:
            return None
        try:
            return self._turn(messages, encoding, operation in PLAIN, tools)
        except (Uncountable, RecursionError):
            return None

    def _turn(
        self, messages: Sequence[object], encoding: Encoding, plain: bool, tools: object
    ) -> Count:
        known = [message for message in messages if isinstance(message, dict)]
        if len(known) < len(messages):
            raise Uncountable
        texts = [list(_texts(message)) for message in known]
        if sum(len(text) for parts in texts for text in parts) > LONGEST:
            raise Uncountable
        counts = [sum(self.count(text, encoding) for text in parts) for parts in texts]
        asked = len(known)
        while asked and known[asked - 1].get("role") in ANSWERER:
            asked -= 1
        prompt = sum(counts[:asked])
        if not plain and asked:
            prompt += sum(self._overhead(message, encoding) for message in known[:asked]) + REPLY
            prompt += self._definitions(tools, encoding)
        return Count(prompt, sum(counts[asked:]), encoding)

    def _overhead(self, message: JsonObject, encoding: Encoding) -> int:
        """What a message of the prompt costs beside its content."""
        tokens = PER_MESSAGE + self.count(_text(message.get("role", "")), encoding)
        if name := message.get("name"):
            tokens += self.count(_text(name), encoding) + PER_NAME
        return tokens

    def _definitions(self, tools: object, encoding: Encoding) -> int:
        """What the definitions of functions cost, if there are any."""
        if not tools:
            return 0
        if not isinstance(tools, list):
            raise Uncountable
        return sum(self._definition(tool, encoding) for tool in tools) + FUNCTIONS

    def _definition(self, tool: object, encoding: Encoding) -> int:
        if not isinstance(tool, dict):
            raise Uncountable
        function = tool.get("function", tool)
        if not isinstance(function, dict) or tool.get("type", "function") != "function":
            raise Uncountable
        tokens = FUNCTION[encoding] + self.count(_described(function, "name"), encoding)
        parameters = function.get("parameters") or {}
        properties = parameters.get("properties") if isinstance(parameters, dict) else None
        if not isinstance(properties, dict) or not properties:
            return tokens
        tokens += PROPERTIES
        for name, value in properties.items():
            tokens += self._property(name, value, encoding)
        return tokens

    def _property(self, name: str, value: object, encoding: Encoding) -> int:
        if not isinstance(value, dict) or value.keys() & {"properties", "items", "anyOf", "$ref"}:
            raise Uncountable  # nothing is published about what is nested
        tokens = PROPERTY
        if choices := value.get("enum"):
            if not isinstance(choices, list):
                raise Uncountable
            tokens += ENUM + sum(ENUM_ITEM + self.count(_text(one), encoding) for one in choices)
        line = f"{name}:{_text(value.get('type', ''))}:{_described(value, '')}"
        return tokens + self.count(line, encoding)


def _described(value: JsonObject, named: str) -> str:
    description = _text(value.get("description", "")).removesuffix(".")
    return f"{_text(value.get(named, ''))}:{description}" if named else description


def _texts(message: JsonObject) -> Iterator[str]:
    """The texts of a message: its content, and the calls that it asks for."""
    if message.get("attachments") or message.get("content_hash") or message.get("audio"):
        raise Uncountable
    calls = message.get("tool_calls") or []
    if call := message.get("function_call"):
        calls = [call]
    if not isinstance(calls, list) or ("content" not in message and not calls):
        raise Uncountable
    yield from _parts(message.get("content"))
    if refusal := message.get("refusal"):
        yield _text(refusal)
    for call in calls:
        yield from _call(call)


def _parts(content: object) -> Iterator[str]:
    if content is None:
        return
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            yield part if isinstance(part, str) else _part(part)
    else:
        raise Uncountable


def _part(part: object) -> str:
    if not isinstance(part, dict):
        raise Uncountable
    return _text(part.get(TEXT_PARTS.get(str(part.get("type", "text")), "")))


def _call(call: object) -> Iterator[str]:
    """Name and arguments of a call, in the provider's shape or in the record's."""
    if not isinstance(call, dict):
        raise Uncountable
    function = call.get("function", call)
    if not isinstance(function, dict):
        raise Uncountable
    if "arguments_hash" in function or "arguments_hash" in call:
        raise Uncountable
    yield _text(function.get("name", ""))
    arguments = function.get("arguments", "")
    if isinstance(arguments, str):
        yield arguments
    else:
        yield msgspec.json.encode(arguments).decode()


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Uncountable
    return value


def _counter(encoding: Encoding) -> Callable[[str], int]:
    from rs_bpe import openai

    return cast("Callable[[str], int]", getattr(openai, encoding)().count)
