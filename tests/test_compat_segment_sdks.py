"""The SDKs of Segment, RudderStack and Jitsu as they are, with nothing but another host name."""

from __future__ import annotations

from typing import Any

import pytest

from conftest import Lake
from heard_server import Heard, heard_server
from lakeward.interaction import OURS

ONE_OF_EACH = {"order_completed": 1, "page_view": 1, "screen_view": 1, "identify": 1, "group": 1,
               "alias": 1}  # fmt: skip
SENT = {
    "segment_python.py": ONE_OF_EACH | {"signed_up": 1, "deal_closed": 1, "numbers_as_ids": 1,
                                        "segment.deal_closed": 1},
    "rudder_python.py": ONE_OF_EACH,
    "segment_node.mjs": ONE_OF_EACH,
    "rudder_node.mjs": ONE_OF_EACH,
    "jitsu_node.mjs": {"order_completed": 1, "page_view": 1, "identify": 1, "group": 1,
                       "signed_up": 1},
}  # fmt: skip


def only(heard: Heard, kind: str) -> dict[str, Any]:
    (row,) = heard.rows()[kind]
    return row


@pytest.mark.parametrize("script", SENT)
def test_every_kind_of_event_arrives_once_and_who_and_when_are_the_senders(
    lake: Lake, script: str
) -> None:
    with heard_server(lake) as heard:
        heard.run(script)
        assert heard.counted() == SENT[script]
        assert {line.split()[-1] for line in heard.heard()} == {"200"}
        assert lake.quarantined() == []
        bodies = [exchange.body for exchange in heard.proxy.sendings()]
        assert len(set(bodies)) == len(bodies), "a body came twice"
        for rows in heard.rows().values():
            for row in rows:
                assert OURS.fullmatch(row["interaction_id"])
                assert row["ip_address"] == "127.0.0.1"
                assert "library" in row["metadata"] or script == "jitsu_node.mjs"
        order = only(heard, "order_completed")
        assert order["partner_id"] == "p9"
        assert order["properties"]["total"] == 12.5
        assert order["properties"]["event"] == "Order Completed"
        assert only(heard, "identify")["properties"]["traits"]["plan"] == "pro"
        assert only(heard, "group")["properties"]["group_id"] == "g4"
        assert only(heard, "page_view")["url"] == "https://shop.example/install"
        if script == "jitsu_node.mjs":  # it tells neither
            return
        assert order["user_id"] == "u1"
        assert order["client_timestamp"] == "2025-08-14T16:11:28.677Z"
        assert order["timestamp"] > "2025-08-14T16:11:28.677Z", "corrected by when it was sent"
        assert only(heard, "identify")["anonymous_id"] == "a-1"
        alias = only(heard, "alias")
        assert (alias["user_id"], alias["anonymous_id"]) == ("u1", "lead-812")


def test_what_is_of_the_servers_own_or_secret_does_not_come_in(lake: Lake) -> None:
    with heard_server(lake) as heard:
        heard.run("segment_python.py", "gzip")
        raw = b"".join(path.read_bytes() for path in lake.root.glob("raw/**/*.jsonl"))
        assert b"203.0.113.77" not in raw
        assert b"hunter2" not in raw
        assert heard.key.encode() not in raw
        assert only(heard, "order_completed")["user_agent"] == "Mozilla/5.0 (X11)"
        assert only(heard, "page_view")["properties"]["utm_campaign"] == "spring"


def test_a_wrong_key_is_refused_and_not_tried_for_ever(lake: Lake) -> None:
    with heard_server(lake) as heard:
        for script, sent in SENT.items():
            before = len(heard.heard())
            heard.run(script, key="not-a-key")
            answers = [line.split()[-1] for line in heard.heard()[before:]]
            assert set(answers) == {"401"}, script
            assert len(answers) <= len(sent), script
        assert heard.rows() == {}
