"""What the server does with what is sent: limits, clocks, ids, bodies, its own memory."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uuid_utils import uuid7

from conftest import Lake
from intakes import KEY, ingest_of, send, send_batch, sender, take
from lakeward.content import digest
from lakeward.interaction import (
    Clock,
    Moments,
    foreign_id,
    id_ms,
    is_pages,
    iso,
    pages_id,
    parse_iso,
)
from lakeward.server import body
from lakeward.server.answer import Refusal
from lakeward.server.body import MOST_MEMBERS, Shelf, inflated
from lakeward.server.compat.dialect import Refused as Untaken
from lakeward.server.compat.dialect import each
from lakeward.server.guard import Pass
from lakeward.server.ingest import Batch, Ingest, frames
from lakeward.server.skew import DAY_MS, Clocks

VIEW = {"interaction_type": "page_view", "path": "/p"}
NOW = 1_795_636_800_000  # 2026-11-25T20:00:00Z


@pytest.fixture
def ingest(lake: Lake) -> Ingest:
    return ingest_of(lake.collector())


# Limits


def test_an_interaction_over_its_limit_is_refused_alone_in_a_batch_and_names_the_limit(
    ingest: Ingest,
) -> None:
    big = VIEW | {"properties": {"x": ["y" * 1000] * 40}}
    outcome = take(ingest, VIEW, big, VIEW)
    assert outcome.accepted == 2
    reason = "The interaction is larger than 32768 bytes."
    assert outcome.rejected == [{"index": 1, "reason": reason}]


def test_a_single_interaction_over_its_limit_is_a_413_that_names_it(ingest: Ingest) -> None:
    with pytest.raises(Refusal) as refused:
        send(ingest, VIEW | {"properties": {"x": ["y" * 1000] * 40}})
    assert (refused.value.status, refused.value.code) == (413, "event_too_large")
    assert "32768 bytes" in refused.value.message


def test_an_ai_turn_may_be_a_megabyte_and_beyond_that_has_hashes(
    ingest: Ingest, lake: Lake
) -> None:
    def turn(kilobytes: int) -> dict[str, Any]:
        message = {"role": "user", "content": [{"text": "z" * 4000}] * (kilobytes // 4)}
        return {"interaction_type": "ai_conversation", "messages": [message]}

    assert take(ingest, turn(900)).accepted == 1
    assert take(ingest, turn(1100)).accepted == 1
    short, long = (row["messages"][0] for row in lake.rows())
    assert "content_hash" not in short
    assert long == {"role": "user", "content_hash": digest(turn(1100)["messages"][0]["content"])}
    large = turn(1) | {"parameters": {"tools": ["y" * 4000] * 300}}
    assert take(ingest, large).rejected[0]["reason"].endswith("1048576 bytes.")


def test_too_many_interactions_are_a_413_that_names_how_many_may_come(lake: Lake) -> None:
    few = ingest_of(lake.collector(), events=3)
    assert take(few, VIEW, VIEW, VIEW).accepted == 3
    with pytest.raises(Refusal, match="3 interactions at most") as refused:
        take(few, VIEW, VIEW, VIEW, VIEW)
    assert (refused.value.status, refused.value.code) == (413, "too_many")


def test_a_key_that_sends_more_than_its_share_waits_and_others_do_not(lake: Lake) -> None:
    slow = ingest_of(lake.collector(), key_rate=1)
    assert take(slow, *[VIEW] * 30).accepted == 30, "ten seconds' worth and a large one at once"
    with pytest.raises(Refusal) as refused:
        take(slow, VIEW)
    assert (refused.value.status, refused.value.code) == (429, "key_rate")
    assert 15 <= refused.value.retry_after <= 21
    other = sender(Pass(KEY.permits, None, "key-2"))
    assert asyncio.run(slow.take(Batch([VIEW]), other)).accepted == 1


def test_a_batch_is_cut_into_frames_that_fit_and_nothing_is_left_out() -> None:
    lines = [b"x" * n for n in (10, 20, 30, 95, 1, 2, 200)]
    parts = list(frames(lines, 100))
    assert [line for part in parts for line in part] == lines
    assert [sum(map(len, part)) + len(part) for part in parts] == [63, 98, 3, 201]
    assert list(frames([], 100)) == []


# Clocks and ids


def clocks(source: str = "app", now: int = NOW) -> Clocks:
    return Clocks(source, now, Moments(), Clock())


def test_times_are_corrected_by_how_wrong_the_senders_clock_was_and_the_original_is_kept(
    ingest: Ingest, lake: Lake
) -> None:
    wrong = (datetime.now(UTC) - timedelta(hours=26)).replace(microsecond=0)
    happened = (wrong - timedelta(seconds=30)).isoformat(timespec="milliseconds")
    content = {"sent_at": wrong.isoformat(), "batch": [VIEW | {"timestamp": happened}]}
    assert send(ingest, content).accepted == 1
    (row,) = lake.rows()
    assert abs(parse_iso(row["received_at"]) - parse_iso(row["timestamp"]) - 30_000) < 5_000
    assert parse_iso(row["client_timestamp"]) == parse_iso(happened)
    assert parse_iso(row["sent_at"]) == parse_iso(wrong.isoformat(timespec="milliseconds"))


def test_each_interaction_may_say_itself_when_it_was_sent() -> None:
    at = clocks()
    shift, sent = at.sent(iso(NOW - 5_000))
    assert (shift, sent) == (5_000, iso(NOW - 5_000))
    moment = at.moment(iso(NOW - 9_000), None, shift)
    assert (moment.timestamp, moment.client_timestamp) == (iso(NOW - 4_000), iso(NOW - 9_000))


def test_without_a_word_of_its_clock_a_time_stays_as_it_is() -> None:
    moment = clocks().moment("2026-11-25T20:00:00+01:00", None, 0)
    assert (moment.timestamp, moment.client_timestamp) == ("2026-11-25T19:00:00.000Z", None)
    assert id_ms(moment.interaction_id) == parse_iso("2026-11-25T19:00:00Z")


@given(
    happened=st.integers(NOW - 10**10, NOW + 10**9), delay=st.integers(0, 10**8),
    skew=st.integers(-(10**9), 10**9), retry=st.integers(0, 10**7), name=st.text(max_size=20),
)  # fmt: skip
def test_a_retry_meets_itself_whatever_the_clock_and_whenever_it_comes(
    happened: int, delay: int, skew: int, retry: int, name: str
) -> None:
    seen = set()
    for later in (0, retry):
        at = clocks("segment", happened - skew + delay + later)
        shift, _ = at.sent(iso(happened + delay + later))
        moment = at.moment(iso(happened), name, shift)
        assert parse_iso(moment.timestamp) == happened - skew
        seen.add(moment.interaction_id)
    assert seen == {foreign_id("segment", name, happened)}


def test_the_same_foreign_id_of_two_products_is_two_interactions() -> None:
    ids = {clocks(s).moment(iso(NOW), "m-1", 0).interaction_id for s in ("segment", "posthog")}
    assert len(ids) == 2


def test_a_foreign_id_without_a_time_meets_its_retry_on_the_same_day() -> None:
    ids = {clocks(now=NOW + n).moment(None, "m-1", 0).interaction_id for n in (0, 3_600_000)}
    assert len(ids) == 1
    assert id_ms(ids.pop()) == NOW // DAY_MS * DAY_MS
    assert clocks().moment(None, "m-1", 0).timestamp == iso(NOW)


def test_an_id_of_ours_brings_its_own_time() -> None:
    ours = foreign_id("app", "x", NOW - 7_000)
    moment = clocks().moment(None, ours.upper(), 2_000)
    assert moment.interaction_id == ours
    assert (moment.timestamp, moment.client_timestamp) == (iso(NOW - 5_000), iso(NOW - 7_000))


def test_whatever_id_a_public_client_gives_it_has_one_of_the_pages_and_a_retry_the_same() -> None:
    def stored(identifier: Any, source: str = "app", later: int = 0) -> str:
        at = Clocks(source, NOW + later, Moments(), Clock(), public=True)
        moment = at.moment(iso(NOW - 9_000), identifier, later)
        return moment.interaction_id

    turn = foreign_id("app", "x", NOW - 7_000)
    own = pages_id(turn)
    theirs = [turn, turn.upper(), str(uuid7()), "m-1", "", 7, None]
    assert all(is_pages(stored(each)) for each in theirs)
    assert stored(own) == stored(own.upper()) == own
    assert stored(turn) == stored(turn.upper(), later=5_000) != own
    assert id_ms(stored(turn)) == NOW - 7_000
    assert stored("m-1") == stored("m-1", later=5_000) != stored("m-1", "segment")
    assert id_ms(stored("m-1")) == NOW - 9_000
    assert stored(None) != stored(None)


def test_nobody_elses_id_looks_like_a_pages() -> None:
    assert not any(is_pages(foreign_id("app", str(n), NOW)) for n in range(20_000))


def test_what_a_public_client_sent_and_is_set_aside_comes_back_as_a_pages(
    ingest: Ingest, lake: Lake
) -> None:
    events = [
        {"interaction_type": "click", "interaction_id": foreign_id("app", "x", NOW), "element": 7},
        {"interaction_type": "ai_rating", "rating": 9, "timestamp": "soon"},
        Untaken("No.", {"interaction_type": "ai_rating"}),
    ]
    page = sender(Pass(lambda _: True, None, "key-1", public=True))
    outcome = asyncio.run(ingest.take(Batch(events), page))
    assert len(outcome.rejected) == 3
    assert all(is_pages(entry["record"]["interaction_id"]) for entry in lake.quarantined())


@pytest.mark.parametrize("name", ["timestamp", "sent_at"])
@pytest.mark.parametrize(
    "text", ["soon", "", 7, {}, "9999-99-99T00:00:00Z", "2026-11-25T\u0662\u0660:00"]
)
def test_a_time_that_is_none_is_said_and_the_rest_is_kept(
    ingest: Ingest, name: str, text: object
) -> None:
    outcome = take(ingest, VIEW | {name: text}, VIEW)
    assert outcome.accepted == 1
    assert outcome.rejected[0]["reason"].startswith(f"`{name}` must be ISO 8601 text")


def test_a_clock_that_is_decades_wrong_ends_in_the_lakes_years(ingest: Ingest, lake: Lake) -> None:
    content = {"sent_at": "1970-01-01T00:00:10Z",
               "batch": [VIEW | {"timestamp": "1970-01-01T00:00:09Z"}]}  # fmt: skip
    assert send(ingest, content).accepted == 1
    (row,) = lake.rows()
    assert abs(parse_iso(row["timestamp"]) + 1000 - parse_iso(row["received_at"])) < 5_000
    assert row["client_timestamp"] == "1970-01-01T00:00:09.000Z"


# What another product's events are


def test_an_event_that_is_called_like_a_type_and_does_not_fit_it_is_kept_as_the_products_own(
    ingest: Ingest, lake: Lake
) -> None:
    events = [{"interaction_type": "deal_closed", "user_id": "u", "value": "a lot"}]
    assert send_batch(ingest, Batch(list(events), source="segment")).accepted == 1
    assert take(ingest, *events).accepted == 0
    (row,) = lake.rows()
    assert row["interaction_type"] == "segment.deal_closed"
    assert row["properties"] == {"value": "a lot"}


def test_a_form_with_values_is_kept_under_no_name(ingest: Ingest, lake: Lake) -> None:
    form = {"interaction_type": "form_interaction", "form": "f", "action": "submit", "value": "x"}
    assert send_batch(ingest, Batch([form], source="posthog")).accepted == 0
    assert lake.rows() == []


def test_what_is_set_aside_keeps_the_id_it_would_have_had(ingest: Ingest, lake: Lake) -> None:
    event = {"interaction_type": "form_interaction", "interaction_id": "m-1",
             "timestamp": iso(NOW), "value": "x"}  # fmt: skip
    reason = Untaken("The event has no name.", {"anything": 1})
    outcome = send_batch(ingest, Batch([event, reason], source="posthog"))
    assert [refused["index"] for refused in outcome.rejected] == [0, 1]
    assert outcome.rejected[1]["reason"] == "The event has no name."
    first, second = lake.quarantined()
    assert first["record"]["interaction_id"] == foreign_id("posthog", "m-1", NOW)
    assert second["record"] == {"anything": 1}


# Bodies


def test_gzip_and_zlib_are_known_by_their_first_bytes_and_raw_deflate_by_the_header() -> None:
    content = json.dumps(VIEW).encode()
    raw = zlib.compressobj(wbits=-15)
    deflated = raw.compress(content) + raw.flush()
    assert read(gzip.compress(content)) == content
    assert read(zlib.compress(content)) == content
    assert read(zlib.compress(content), b"gzip") == content
    assert read(content, b"gzip") == content
    assert read(deflated, b"deflate") == content
    assert read(gzip.compress(content[:9]) + gzip.compress(content[9:])) == content


def read(raw: bytes, encoding: bytes = b"", most: int = 1 << 20) -> bytes:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": raw}

    async def whole() -> bytes:
        with Shelf(1 << 22).lent() as lent:
            return await body.read(receive, {b"content-encoding": encoding}, most, lent)

    return asyncio.run(whole())


BOMBS: dict[str, Callable[[], bytes]] = {
    "64 megabytes of nothing": lambda: gzip.compress(b"\0" * (64 << 20)),
    "as zlib": lambda: zlib.compress(b"\0" * (64 << 20)),
    "in many parts": lambda: gzip.compress(b"\0" * 4000) * 5000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_is_large(name: str) -> None:
    with pytest.raises(Refusal) as refused:
        inflated(BOMBS[name](), 1 << 20)
    assert (refused.value.status, refused.value.code) == (413, "too_large")


MANGLED: dict[str, tuple[bytes, bytes]] = {
    "cut short": (gzip.compress(b"{}", mtime=0)[:-3], b""),
    "with a tail": (gzip.compress(b"{}", mtime=0) + b"tail", b""),
    "two bytes": (b"\x1f\x8b", b""),
    "too many parts": (gzip.compress(b"") * (MOST_MEMBERS + 1), b""),
    "a header that lies": (b"{}", b"deflate"),
}


@pytest.mark.parametrize("name", MANGLED)
def test_what_looks_compressed_and_is_not_is_refused(name: str) -> None:
    with pytest.raises(Refusal) as refused:
        read(*MANGLED[name])
    assert (refused.value.status, refused.value.code) == (400, "bad_gzip")


def test_one_client_leaves_the_others_half_of_the_memory_for_bodies() -> None:
    shelf = Shelf(100)
    with shelf.lent("203.0.113.9") as greedy, shelf.lent("203.0.113.9") as again:
        greedy.grow(30)
        again.grow(20)
        with pytest.raises(Refusal, match="try again"):
            again.grow(1)
        with shelf.lent("203.0.113.10") as other, shelf.lent(None) as ours:
            other.grow(25)
            ours.grow(25)
    with shelf.lent("203.0.113.9") as later:
        later.grow(50)
    assert (shelf.taken, shelf._clients) == (0, {})


def test_no_event_is_made_of_a_body_whose_key_is_unknown() -> None:
    made: list[Any] = []

    def make(raw: Any) -> list[Any]:
        made.append(raw)
        return [{"interaction_type": "x"}]

    events = each([1, 2, 3], make)
    assert made == [], "a stranger's body costs one decode"
    assert len(list(events)) == len(made) == 3


def test_shapes_with_long_names_are_not_kept(lake: Lake) -> None:
    ingest = ingest_of(lake.collector())
    for n in range(20):
        strange = {"interaction_type": "page_view", f"{n}{'n' * 3000}": 1}
        assert take(ingest, strange).accepted == 1
    assert len(ingest._shapes._plans) == 0
    assert take(ingest, VIEW).accepted == 1
    assert len(ingest._shapes._plans) == 1


def test_bodies_together_take_no_more_memory_than_there_is_for_them() -> None:
    shelf = Shelf(100)
    with shelf.lent() as first, shelf.lent() as second:
        first.grow(60)
        second.grow(40)
        with pytest.raises(Refusal) as refused:
            second.grow(1)
        assert (refused.value.status, refused.value.code) == (503, "busy")
        assert refused.value.retry_after > 0
    assert shelf.taken == 0
