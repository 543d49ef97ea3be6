"""PostHog's SDKs for servers as real processes: what they send is in the lake, once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from conftest import Lake
from eavesdropper import sent_events
from heard_server import CLIENTS, Heard, heard_server
from test_compat_posthog import NODE, PYTHON

NO_NODE = not (CLIENTS / "node_modules/posthog-node").exists() or shutil.which("node") is None
needs_node = pytest.mark.skipif(NO_NODE, reason="posthog-node is not installed: npm ci")


@pytest.fixture
def heard(lake: Lake) -> Iterator[Heard]:
    pytest.importorskip("posthog")
    with heard_server(lake) as made:
        yield made


@pytest.mark.parametrize(("arguments", "expected", "paths"), [
    (("posthog_python.py",), PYTHON, {"/flags/", "/batch/", "/i/v0/ai/batch/"}),
    (("posthog_python.py", "v1"), PYTHON,
     {"/flags/", "/i/v1/analytics/events", "/i/v0/ai/batch/"}),
    pytest.param(("posthog_node.mjs",), NODE, {"/flags/", "/batch/"}, marks=needs_node),
])  # fmt: skip
def test_every_kind_of_event_arrives_once(
    heard: Heard, arguments: tuple[str, ...], expected: dict[str, int], paths: set[str]
) -> None:
    heard.run(*arguments)
    assert {line.split()[1] for line in heard.heard()} == paths
    assert {line.split()[2] for line in heard.heard()} == {"200"}
    sent = [event["uuid"] for e in heard.proxy.sendings() for event in sent_events(e)]
    assert len(sent) == len(set(sent)), "the SDK sent something twice"
    assert heard.counted() == expected
    assert len(sent) == sum(expected.values())
    assert heard.lake.quarantined() == []
    [order] = heard.rows()["order_completed"]
    assert order["client_timestamp"] == "2025-08-14T16:11:28.677Z"
    assert order["properties"]["total"] == 12.5
    assert order["properties"]["event"] == "Order Completed"
    assert order["properties"]["groups"] == {"company": "g4"}
    [alias] = heard.rows()["alias"]
    assert (alias["user_id"], alias["anonymous_id"]) == ("u1", "lead-812")
    [error] = heard.rows()["exception"]
    assert error["properties"]["message"] == "no such partner"
    assert heard.key not in str(heard.lake.rows())


def test_turns_of_an_ai_keep_tokens_times_and_messages(heard: Heard) -> None:
    heard.run("posthog_python.py")
    turns = {row["ai_metadata"]["provider"] + row["ai_metadata"]["operation"]: row
             for row in heard.rows()["ai_conversation"]}  # fmt: skip
    turn = turns["openaichat"]
    told = turn["ai_metadata"]
    assert (told["input_tokens"], told["cache_read_tokens"]) == (86, 17817)
    assert (told["output_tokens"], told["reasoning_tokens"]) == (168, 20)
    assert told["duration_ms"] == 2140.7
    assert turn["conversation_id"] == "chat-5"
    assert [message["role"] for message in turn["messages"]] == ["user", "assistant"]
    assert turns["anthropicchat"]["ai_metadata"]["status"] == "failed"
    assert turns["openaiembeddings"]["ai_metadata"]["input_tokens"] == 3


@pytest.mark.parametrize("arguments", [
    ("posthog_python.py",), ("posthog_python.py", "v1"),
    pytest.param(("posthog_node.mjs",), marks=needs_node),
])  # fmt: skip
def test_a_wrong_key_is_refused_and_not_asked_again(
    heard: Heard, arguments: tuple[str, ...]
) -> None:
    heard.run(*arguments, key="phc_wrong")
    sendings = [line for line in heard.heard() if "/flags/" not in line]
    assert {line.split()[2] for line in sendings} == {"401"}
    sent = [event["uuid"] for e in heard.proxy.sendings() for event in sent_events(e)]
    assert len(sent) == len(set(sent)), "something was sent again"
    assert heard.lake.rows() == []


@pytest.mark.parametrize("arguments", [
    ("posthog_python.py",), ("posthog_python.py", "v1"),
    pytest.param(("posthog_node.mjs",), marks=needs_node),
])  # fmt: skip
def test_what_a_busy_server_turned_away_comes_again_and_is_there_once(
    heard: Heard, arguments: tuple[str, ...]
) -> None:
    heard.proxy.refuse(2, 503, {"retry-after": "0"})
    heard.run(*arguments)
    assert "503" in {line.split()[2] for line in heard.heard()}
    assert heard.counted() == (NODE if "node" in arguments[0] else PYTHON)


def test_its_paths_stand_below_a_root_of_its_own(lake: Lake) -> None:
    pytest.importorskip("posthog")
    lake.env["LAKEWARD_PATHS"] = "posthog=/mine"
    with heard_server(lake) as made:
        made.run("posthog_python.py", host=f"{made.proxy.url}/mine")
        assert {line.split()[1] for line in made.heard()} == {
            "/mine/flags/", "/mine/batch/", "/mine/i/v0/ai/batch/"}  # fmt: skip
        assert made.counted() == PYTHON
