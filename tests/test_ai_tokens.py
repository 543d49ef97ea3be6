"""Tokens counted offline: the published numbers, and no number where there is none."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_turns import ANSWER, PROMPT, said
from lakeward.errors import MissingExtra
from lakeward.lake import tokens as tokens_module
from lakeward.lake.tokens import LONGEST, Encoding, Tokens, encoding_of

TOKENS = Tokens()

JARGON = [
    {
        "role": "system",
        "content": "You are a helpful, pattern-following assistant that translates corporate "
        "jargon into plain English.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "New synergies will help drive top-line growth.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Things working well together will increase revenue.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "Let's circle back when we have more bandwidth to touch base on opportunities "
        "for increased leverage.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Let's talk later when we're less busy about how to do better.",
    },
    {
        "role": "user",
        "content": "This late pivot means we don't have time to boil the ocean for the client "
        "deliverable.",
    },
]
"""The messages of OpenAI's cookbook, whose tokens its API counted: 129 for gpt-3.5-turbo-0613,
gpt-4-0314 and gpt-4-0613, 124 for gpt-4o-2024-08-06."""

WEATHER: list[dict[str, Any]] = [
    {
        "role": "system",
        "content": "You are a helpful assistant that can answer to questions about the weather.",
    },
    {"role": "user", "content": "What's the weather like in San Francisco?"},
]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_current_weather",
            "description": "Get the current weather in a given location",
            "parameters": {
                "type": "object",
                "properties": {
                    "location": {
                        "type": "string",
                        "description": "The city and state, e.g. San Francisco, CA",
                    },
                    "unit": {
                        "type": "string",
                        "description": "The unit of temperature to return",
                        "enum": ["celsius", "fahrenheit"],
                    },
                },
                "required": ["location"],
            },
        },
    }
]
"""The cookbook's example with a tool: 105 tokens for gpt-3.5-turbo and gpt-4, 101 for gpt-4o."""


@pytest.mark.parametrize(
    ("text", "encoding", "count"),
    [
        ("tiktoken is great!", "cl100k_base", 6),
        ("tiktoken is great!", "o200k_base", 6),
        ("antidisestablishmentarianism", "cl100k_base", 6),
        ("2 + 2 = 4", "cl100k_base", 7),
        ("お誕生日おめでとう", "cl100k_base", 9),
        ("", "o200k_base", 0),
    ],
)
def test_texts_have_as_many_tokens_as_openai_published(
    text: str, encoding: Encoding, count: int
) -> None:
    assert TOKENS.count(text, encoding) == count


@pytest.mark.parametrize(
    ("model", "count"),
    [
        ("gpt-3.5-turbo-0613", 129),
        ("gpt-4-0314", 129),
        ("gpt-4-0613", 129),
        ("gpt-4o-2024-08-06", 124),
    ],
)
def test_a_chat_has_as_many_tokens_as_the_api_counted(model: str, count: int) -> None:
    found = TOKENS.turn(JARGON, model)
    assert found is not None
    assert (found.input_tokens, found.output_tokens) == (count, 0)


@pytest.mark.parametrize(("model", "count"), [("gpt-4", 105), ("gpt-3.5-turbo", 105),
                                              ("gpt-4o", 101), ("gpt-4o-mini", 101)])  # fmt: skip
def test_definitions_of_tools_have_as_many_tokens_as_the_api_counted(
    model: str, count: int
) -> None:
    found = TOKENS.turn(WEATHER, model, tools=TOOLS)
    assert found is not None
    assert found.input_tokens == count


def test_a_real_turn_has_the_tokens_of_its_usage() -> None:
    found = TOKENS.turn(said(PROMPT, ANSWER), "gpt-4o-mini-2024-07-18")
    assert found is not None
    assert (found.input_tokens, found.output_tokens) == (17, 60)
    assert found.tokenizer == "o200k_base"


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4o", "o200k_base"),
        ("GPT-4o-Mini-2024-07-18", "o200k_base"),
        ("openai/gpt-4o", "o200k_base"),
        ("ft:gpt-4o-mini-2024-07-18:acme::x", "o200k_base"),
        ("gpt-4.1-nano", "o200k_base"),
        ("gpt-4-turbo", "cl100k_base"),
        ("gpt-35-turbo", "cl100k_base"),
        ("text-embedding-3-large", "cl100k_base"),
        ("text-embedding-ada-002", "cl100k_base"),
        ("o1", None),
        ("o3-mini", None),
        ("gpt-5", None),
        ("gpt-4o-audio-preview", None),
        ("gpt-4o-mini-transcribe", None),
        ("claude-sonnet-4-5", None),
        ("gemini-2.5-pro", None),
        ("text-davinci-003", None),
        ("my-gpt-4o", None),
        ("", None),
    ],
)
def test_each_family_of_models_has_its_encoding_and_others_have_none(
    model: str, encoding: str | None
) -> None:
    assert encoding_of(model) == encoding


def test_what_looks_like_a_special_token_is_text() -> None:
    assert TOKENS.count("<|endoftext|>", "cl100k_base") > 1


@pytest.mark.parametrize("encoding", ["o200k_base", "cl100k_base"])
@given(st.text(), st.text())
def test_a_text_has_at_most_as_many_tokens_as_bytes_and_joining_costs_none(
    encoding: Encoding, one: str, other: str
) -> None:
    first, second = TOKENS.count(one, encoding), TOKENS.count(other, encoding)
    assert first <= len(one.encode())
    assert TOKENS.count(f"{one}\n{other}", encoding) <= len(f"{one}\n{other}".encode())
    assert (first == 0) == (not one)
    assert second >= 0


@pytest.mark.parametrize("text", ["a", " ", "\n", "ab", "1", "誕", "é́", "{}", "\x00"])
def test_a_megabyte_of_the_same_letters_is_counted(text: str) -> None:
    count = TOKENS.count(text * (1_000_000 // len(text)), "o200k_base")
    assert 0 < count <= 3_000_000


def test_a_turn_that_is_longer_than_the_bound_is_not_counted() -> None:
    assert TOKENS.turn(said("a" * LONGEST, "b"), "gpt-4o") is None
    assert TOKENS.turn(said("a b" * 300_000, "b"), "gpt-4o") is not None


def test_texts_of_a_completion_and_of_embeddings_cost_nothing_beside() -> None:
    for operation in ("embeddings", "text_completion"):
        found = TOKENS.turn([{"role": "user", "content": "tiktoken is great!"}], "gpt-4", operation)
        assert found is not None
        assert found.input_tokens == 6


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]},
        {"role": "user", "content": [{"type": "text", "text": 5}]},
        {"role": "user", "content": {"text": "x"}},
        {"role": 5, "content": "x"},
        {"role": "user", "content": "x", "name": 5},
        {"role": "assistant", "tool_calls": "x"},
        {"role": "assistant", "tool_calls": [5]},
        {"role": "assistant", "tool_calls": [{"function": 5}]},
        {"role": "assistant", "tool_calls": [{"name": "f", "arguments_hash": "ab"}]},
        "text",
    ],
)
def test_what_is_no_text_is_not_counted(message: object) -> None:
    assert TOKENS.turn([message, *said()], "gpt-4o") is None


@pytest.mark.parametrize(
    "tools",
    [
        "x",
        [5],
        [{"type": "web_search"}],
        [{"function": 5}],
        [{"function": {"name": "f", "parameters": {"properties": {"x": {"type": ["a"]}}}}}],
        [{"function": {"name": "f", "parameters": {"properties": {"x": {"items": {}}}}}}],
        [{"function": {"name": "f", "parameters": {"properties": {"x": {"enum": 5}}}}}],
    ],
)
def test_definitions_of_which_nothing_is_published_are_not_guessed(tools: object) -> None:
    assert TOKENS.turn(WEATHER, "gpt-4o", tools=tools) is None


def test_without_the_extra_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        tokens_module, "find_spec", lambda name: None if name == "rs_bpe" else find_spec(name)
    )
    with pytest.raises(MissingExtra, match=r"pip install 'lakeward\[ai\]'"):
        Tokens()


def test_nothing_is_loaded_before_a_text_is_counted() -> None:
    import subprocess

    script = (
        "import sys\nfrom lakeward.lake.tokens import Tokens\nTokens()\n"
        "assert 'rs_bpe' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_refusal_and_a_call_of_old_are_answers_too() -> None:
    for message in (
        {"role": "assistant", "content": None, "refusal": "tiktoken is great!"},
        {"role": "assistant", "content": None, "function_call": {"name": "", "arguments":
                                                                  "tiktoken is great!"}},
    ):  # fmt: skip
        found = TOKENS.turn([*said(answer=None), message], "gpt-4o")
        assert found is not None
        assert found.output_tokens == 6
