"""The live feed: what a client of the stream gets, over a real socket, from a real lake."""

from __future__ import annotations

import contextlib
import datetime
import random
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from conftest import Lake, wait_until
from lakeward.collector import Collector
from lakeward.interaction import iso
from lakeward.lakedir import LakeDir, open_lake
from lakeward.ledger import State
from lakeward.log import Log, Position
from lakeward.server import feed as feed_module
from lakeward.server.assets import STATIC
from lakeward.server.feed import Watcher
from lakeward.server.hour import MINUTE, Hour, percentile, time_bin
from lakeward.server.sieve import Sieve
from lakeward.server.stream import SLOW_SECONDS
from lakeward.server.tail import Block, Entry, Row, parse_position, write_position
from live_server import Events, Served, Silence, served


def call(collector: Collector, n: int, **fields: Any) -> str | None:
    """Record an API call whose path ends in `n`."""
    given: dict[str, Any] = {
        "method": "GET", "path": f"/api/partners/{n}", "route": "/api/partners/{id}",
        "response_status": 200, "response_time_ms": 5.0, **fields,
    }  # fmt: skip
    return collector.record("api_call", **given)


def calls(collector: Collector, numbers: range, **fields: Any) -> None:
    for n in numbers:
        call(collector, n, **fields)
    collector.commit()


def paths(rows: list[dict[str, Any]]) -> list[str]:
    return [row["what"] for row in rows]


def expected(numbers: range) -> list[str]:
    return [f"/api/partners/{n}" for n in numbers]


def hour(url: str, query: str = "") -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{url}/v1/live/hour{query}").json()
    return found


# What arrives


def test_records_arrive_in_order_with_what_a_row_needs(lake: Lake) -> None:
    collector = lake.collector()
    calls(collector, range(3))
    with served(lake) as server, Events(server.url) as events:
        backlog = events.until("batch")
        assert paths(backlog["rows"]) == expected(range(3))
        assert backlog["backlog"]
        calls(collector, range(3, 40), user_id="c-17", trace_id="t1")
        rows = events.rows(37)
        assert paths(rows) == expected(range(3, 40))
        logged = lake.rows()[3]
        assert rows[0]["id"] == logged["interaction_id"]
        assert rows[0]["time"] == logged["timestamp"]
        assert (rows[0]["method"], rows[0]["status"], rows[0]["ms"]) == ("GET", 200, 5.0)
        assert (rows[0]["user"], rows[0]["trace"], rows[0]["type"]) == ("c-17", "t1", "api_call")


def test_every_process_of_the_lake_is_seen(lake: Lake) -> None:
    first = lake.collector()
    first.commit()
    with served(lake) as server, Events(server.url) as events:
        events.until("batch")
        second = lake.collector(LAKEWARD_KEEPER="external")
        second.record("signed_up", who="second")
        second.commit()
        first.record("signed_up", who="first")
        first.commit()
        assert sorted(paths(events.rows(2))) == ["who first", "who second"]


def test_a_lake_that_has_no_log_yet_is_watched_from_its_first_record(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_KEEPER="external")
    with served(lake) as server, Events(server.url) as events:
        assert events.until("batch")["rows"] == []
        with lake.collector() as keeping:
            calls(keeping, range(5))
            assert paths(events.rows(5)) == expected(range(5))
    collector.close()


def test_rolled_segments_are_followed_without_a_gap(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_SEGMENT_BYTES="4KiB")
    collector.commit()
    with served(lake) as server, Events(server.url) as events:
        events.until("batch")
        for start in range(0, 60, 6):
            calls(collector, range(start, start + 6))
        assert paths(events.rows(60)) == expected(range(60))
    assert len(list(lake.root.glob("raw/*/*/*/*.jsonl"))) > 4


def written(lake: LakeDir, log: Log, state: State, ms: int, *lines: bytes) -> State:
    """Lines put into the log as received at `ms`, and published."""
    content = b"".join(line + b"\n" for line in lines)
    segment, start = log.place("raw", len(content), ms)
    log.write("raw", content, len(lines))
    ends = {**state.ends, "raw": (segment, start + len(content), 0)}
    state = msgspec.structs.replace(state, batch=state.batch + 1, ends=ends)
    log.publish(state)
    return state


def test_a_new_day_is_followed_and_so_is_a_clock_that_goes_back(lake: Lake) -> None:
    opened = open_lake(lake.root)
    log = Log(opened, 1 << 20)
    state = State(lake_id=opened.identity.lake_id, epoch=1)
    days = [datetime.datetime(2026, 3, day, tzinfo=datetime.UTC) for day in (7, 8, 7, 9)]
    lines = [b'{"interaction_type":"api_call","path":"/%d"}' % n for n in range(len(days))]
    state = written(opened, log, state, int(days[0].timestamp() * 1000), lines[0])
    with served(lake) as server, Events(server.url) as events:
        assert paths(events.until("batch")["rows"]) == ["/0"]
        for day, line in zip(days[1:], lines[1:], strict=True):
            state = written(opened, log, state, int(day.timestamp() * 1000), line)
        assert paths(events.rows(3)) == ["/1", "/2", "/3"]
    log.close()


def test_bytes_behind_the_published_end_are_not_shown(lake: Lake) -> None:
    collector = lake.collector()
    calls(collector, range(2))
    [path] = lake.root.glob("raw/*/*/*/*.jsonl")
    with served(lake) as server, Events(server.url) as events:
        assert paths(events.until("batch")["rows"]) == expected(range(2))
        whole = path.read_bytes()
        with path.open("ab") as file:
            file.write(b'{"interaction_type":"api_call","path":"/not-durable"}\n')
        with contextlib.suppress(Silence):
            while True:
                assert events.next(0.5)[0] != "batch"
        path.write_bytes(whole)


def test_erased_lines_are_passed_over_and_their_detail_says_so(lake: Lake) -> None:
    collector = lake.collector()
    calls(collector, range(4))
    with served(lake) as server:
        with Events(server.url) as events:
            rows = events.until("batch")["rows"]
        [path] = lake.root.glob("raw/*/*/*/*.jsonl")
        lines = path.read_bytes().split(b"\n")
        lines[1] = b" " * len(lines[1])
        path.write_bytes(b"\n".join(lines))
        with Events(server.url) as events:
            shown = events.until("batch")["rows"]
            assert [row["at"] for row in shown] == [rows[n]["at"] for n in (0, 2, 3)]
        answer = httpx.get(f"{server.url}/v1/live/record", params={"at": rows[1]["at"]})
        assert (answer.status_code, answer.json()["code"]) == (410, "erased")


def test_a_line_that_is_no_record_is_shown_as_it_stands(lake: Lake) -> None:
    opened = open_lake(lake.root)
    log = Log(opened, 1 << 20)
    state = State(lake_id=opened.identity.lake_id, epoch=1)
    odd = [
        b"not json",
        b'["a list"]',
        b'{"interaction_type":7,"path":"/odd","response_status":"x"}',
        b"\xff\xfe",
        b'{"interaction_type":"api_call","path":"\\ud800"}',
    ]
    written(opened, log, state, int(time.time() * 1000), *odd)
    with served(lake) as server, Events(server.url) as events:
        rows = events.until("batch")["rows"]
        types = [row["type"] for row in rows]
        assert len(rows) == 5
        assert types[:4] == ["(unreadable)", "(unreadable)", "(no type)", "(unreadable)"]
        assert rows[0]["what"] == "not json"
        assert rows[2]["what"] == "/odd"
        for row in rows:
            answer = httpx.get(f"{server.url}/v1/live/record", params={"at": row["at"]})
            assert answer.status_code == 200
    log.close()


# Going on, and beginning anew


def test_a_client_that_comes_back_misses_nothing_and_gets_nothing_twice(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_SEGMENT_BYTES="16KiB")
    calls(collector, range(10))
    with served(lake) as server:
        with Events(server.url) as events:
            events.until("batch")
            calls(collector, range(10, 20))
            assert paths(events.rows(10)) == expected(range(10, 20))
            last = events.last
        calls(collector, range(20, 700))
        with Events(server.url, last=last) as events:
            assert paths(events.rows(680)) == expected(range(20, 700))
            calls(collector, range(700, 705))
            assert paths(events.rows(5)) == expected(range(700, 705))


def test_a_client_goes_on_over_a_restart_of_the_server(lake: Lake) -> None:
    collector = lake.collector()
    calls(collector, range(5))
    with served(lake) as server:
        events = Events(server.url)
        events.until("batch")
        before = hour(server.url)["hour"]
        server.restart()
        with pytest.raises((StopIteration, httpx.HTTPError)):
            events.until("never")
        calls(collector, range(5, 9))
        with Events(server.url, last=events.last) as again:
            assert paths(again.rows(4)) == expected(range(5, 9))
        after = hour(server.url)["hour"]
        assert after["totals"]["count"] == before["totals"]["count"] + 4
        events.close()


def test_a_position_that_leads_nowhere_makes_the_client_begin_anew(lake: Lake) -> None:
    calls(lake.collector(), range(3))
    with served(lake) as server:
        for last in ("nonsense", "9-1-0", "1-1-7", "1-99-0", "1-1-99999999", "-1-1-0"):
            with Events(server.url, last=last) as events:
                assert events.next() == ("reset", {"why": "position"}), last
                assert paths(events.until("batch")["rows"]) == expected(range(3))


def test_a_client_that_is_too_far_behind_begins_anew(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_RING_BYTES="16MiB")
    calls(collector, range(2))
    with served(lake) as server:
        with Events(server.url) as events:
            events.until("batch")
            last = events.last
        for n in range(50):
            calls(collector, range(n * 100, n * 100 + 100), user_agent="x" * 1000)
        with Events(server.url, last=last) as events:
            assert events.next() == ("reset", {"why": "position"})
            assert paths(events.until("batch")["rows"]) == expected(range(4_900, 5_000))


def test_a_lake_deleted_under_the_feed_is_followed_in_its_new_epoch(lake: Lake) -> None:
    collector = lake.collector()
    calls(collector, range(3))
    with served(lake) as server, Events(server.url) as events:
        events.until("batch")
        shutil.rmtree(lake.root)
        wait_until((lake.root / ".lakeward/published").exists, what="a new lake")
        assert events.until("reset") == {"why": "epoch"}
        seen: list[str] = []
        collector.record("signed_up", who="later")
        collector.commit()
        while "who later" not in seen:
            seen += paths(events.until("batch")["rows"])
        position = parse_position(events.last)
        assert position is not None
        assert position.epoch > 1
        assert hour(server.url)["hour"]["totals"]["count"] == seen.count("who later")


def test_a_restored_backup_resets_every_client(lake: Lake, tmp_path: Path) -> None:
    with lake.collector() as collector:
        calls(collector, range(3))
    shutil.copytree(lake.root, tmp_path / "backup")
    with lake.collector() as collector:
        calls(collector, range(3, 9))
    with served(lake) as server, Events(server.url) as events:
        assert len(events.until("batch")["rows"]) == 9
        lake.root.rename(tmp_path / "replaced")  # in one go: nobody sees half of either
        (tmp_path / "backup").rename(lake.root)
        rows: list[str] = ["something"]
        while rows != expected(range(3)):
            events.until("reset")
            rows = paths(events.until("batch")["rows"])
        wait_until(lambda: hour(server.url)["hour"]["totals"]["count"] == 3, what="the hour")


# Bounds


def test_a_burst_shows_a_sample_and_exact_counts(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_RING_BYTES="16MiB")
    collector.commit()
    with served(lake) as server, Events(server.url) as events:
        events.until("batch")
        seen = matched = shown = skipped = 0
        for start in range(0, 20_000, 5_000):
            calls(collector, range(start, start + 5_000))
        while seen < 20_000:
            name, data = events.next()
            if name == "batch" and not data["backlog"]:
                assert len(data["rows"]) <= 200
                seen, matched = seen + data["seen"], matched + data["matched"]
                shown += len(data["rows"])
                last = data["rows"]
            elif name == "skipped":
                assert data["why"] in {"burst", "slow"}
                skipped += data["n"]
        assert seen == matched == 20_000 == shown + skipped
        assert paths(last)[-1] == "/api/partners/19999"
        assert hour(server.url)["hour"]["totals"]["count"] == 20_000


def test_a_slow_client_is_skipped_ahead_and_told_how_many(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_RING_BYTES="16MiB")
    collector.commit()
    with served(lake) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.sendall(b"GET /v1/live HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_until(lambda: server.live.feed.watchers, what="the watcher")
            [watcher] = server.live.feed.watchers
            total = 0
            while not watcher._matched:  # what is owed for a second waits for the client
                calls(collector, range(total, total + 2_000), user_agent="x" * 200)
                total += 2_000
                time.sleep(2 * SLOW_SECONDS)
                assert total < 100_000, "the client was never slow"
            calls(collector, range(total, total + 2_000))
            total += 2_000
            wait_until(lambda: watcher._matched >= 2_000, what="the watcher's count")
            assert len(watcher._entries) <= 200
            assert watcher._bytes <= feed_module.MOST_BYTES
            slow.settimeout(20)
            content = b""
            end = b"/api/partners/%d" % (total - 1)
            while end not in content:
                content += slow.recv(1 << 16)
        skips = [msgspec.json.decode(part.split(b"\n")[0])
                 for part in content.split(b"event: skipped\ndata: ")[1:]]  # fmt: skip
        assert any(skip["why"] == "slow" for skip in skips)
        rows = content.count(b'"at":"')
        assert rows + sum(skip["n"] for skip in skips) == total


def test_a_watcher_holds_no_more_than_its_bounds() -> None:
    watcher = Watcher(Sieve(), most=10, most_bytes=5_000)
    entries = [Entry(Row(), b"x" * 100, Position(1, 1, n)) for n in range(1000)]
    watcher.offer(Block(entries, Position(1, 1, 1000)))
    batch = watcher.take()
    assert batch is not None
    assert [entry.at.offset for entry in batch.entries] == list(range(990, 1000))
    assert (batch.seen, batch.matched, batch.hidden) == (1000, 1000, 990)
    large = [Entry(Row(), b"x" * 4_000, Position(1, 1, n)) for n in range(10)]
    watcher.offer(Block(large, Position(1, 1, 2000)))
    batch = watcher.take()
    assert batch is not None
    assert (len(batch.entries), batch.hidden) == (1, 9)
    assert watcher.take() is None


def test_nothing_runs_when_nobody_watches_and_the_hour_is_whole_again_after(lake: Lake) -> None:
    collector = lake.collector()
    calls(collector, range(5))
    with served(lake, linger_seconds=0.2) as server:
        feed = server.live.feed
        assert feed._task is None
        with Events(server.url) as events:
            events.until("batch")
        wait_until(lambda: feed._task and feed._task.done(), what="the feed's rest")
        calls(collector, range(5, 12))
        assert hour(server.url)["hour"]["totals"]["count"] == 12
        with Events(server.url) as events:
            assert paths(events.until("batch")["rows"]) == expected(range(12))


def test_no_more_than_64_streams_are_served_and_each_gives_its_place_back(lake: Lake) -> None:
    lake.collector().commit()
    with served(lake) as server:
        open_ = [Events(server.url) for _ in range(64)]
        answer = httpx.get(f"{server.url}/v1/live")
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        assert answer.headers["retry-after"]
        for events in open_:
            events.close()
        wait_until(lambda: not server.live.feed.watchers, what="the leaving")
        with Events(server.url) as events:
            events.until("batch")


def test_a_quiet_stream_says_that_it_is_still_there(lake: Lake) -> None:
    lake.collector().commit()
    with served(lake) as server, Events(server.url) as events:
        events.until("batch")
        lake.collector(LAKEWARD_KEEPER="external")
        for line in events._lines:
            if line.startswith(":"):
                break


def test_stopping_ends_every_stream_at_once(lake: Lake) -> None:
    lake.collector().commit()
    server = Served(lake.open())
    watching = [Events(server.url) for _ in range(5)]
    for events in watching:
        events.until("batch")
    server.stop()
    for events in watching:
        with pytest.raises(StopIteration):
            events.until("never")
        events.close()


# Filters


@pytest.fixture
def mixed(lake: Lake) -> Iterator[tuple[Served, Collector]]:
    """A served lake; its collector."""
    collector = lake.collector(LAKEWARD_RING_BYTES="16MiB")
    collector.commit()
    with served(lake) as server:
        yield server, collector


@pytest.mark.parametrize(
    "query",
    [
        "?type=partner_match", "?route=POST%20/api/match", "?status=503", "?status=5xx,404",
        "?id=c-17", "?id=trace-1", "?id=session-1", "?q=NORTHBUILD", "?q=%C3%A9t%C3%A9",
        "?q=say+%22hi%22", "?type=api_call,partner_match&q=northbuild",
    ],
)  # fmt: skip
def test_a_filter_lets_through_what_it_names_and_nothing_else(
    mixed: tuple[Served, Collector], query: str
) -> None:
    server, collector = mixed
    wanted: dict[str, Any] = {
        "user_id": "c-17", "trace_id": "trace-1", "session_id": "session-1",
    }  # fmt: skip
    if "partner_match" in query and "api_call" not in query:
        name, fields = "partner_match", {"partner_id": "p1", "score": 9.5}
    else:
        name = "api_call"
        fields = {"method": "POST", "path": "/api/match", "route": "/api/match",
                  "response_status": 503,
                  "query_params": {"q": 'Northbuild Été say "hi"'}}  # fmt: skip
    with Events(server.url, query) as events:
        assert events.until("batch")["rows"] == []
        calls(collector, range(2_000))
        collector.record(name, **wanted, **fields)
        calls(collector, range(2_000))
        seen, rows = 0, []
        while seen < 4_001:
            batch = events.until("batch")
            seen += batch["seen"]
            rows += batch["rows"]
        assert [row["type"] for row in rows] == [name]
    with Events(server.url, query) as events:
        assert len(events.until("batch")["rows"]) == 1, "the backlog is filtered too"


def test_a_filter_that_makes_no_sense_is_refused_in_one_sentence(
    mixed: tuple[Served, Collector],
) -> None:
    for query, named in (
        ("status=9xx", "status"),
        ("status=abc", "status"),
        ("q=" + "x" * 301, "q"),
    ):
        answer = httpx.get(f"{mixed[0].url}/v1/live?{query}")
        assert answer.status_code == 400
        assert answer.json()["code"] == "filter"
        assert f"`{named}`" in answer.json()["message"]
    answer = httpx.get(f"{mixed[0].url}/v1/live?" + "&".join(f"a{n}=1" for n in range(60)))
    assert (answer.status_code, answer.json()["code"]) == (400, "query")


# The hour


def test_the_hour_counts_by_minute_type_and_route(lake: Lake) -> None:
    collector = lake.collector()
    calls(collector, range(20))
    calls(collector, range(5), response_status=500, route="/api/report", response_time_ms=100.0)
    for _ in range(3):
        collector.record("partner_match", partner_id="p1", score=1.0)
    collector.commit()
    with served(lake) as server:
        found = hour(server.url)
        assert not found["loading"]
        assert not found["cut"]
        got = found["hour"]
        assert got["totals"]["count"] == 28
        assert got["totals"]["errors"] == 5
        assert got["totals"]["p50"] == pytest.approx(5.0, rel=0.1)
        assert got["totals"]["p95"] == pytest.approx(100.0, rel=0.1)
        assert {line["name"]: line["count"] for line in got["types"]} == {
            "api_call": 25, "partner_match": 3,
        }  # fmt: skip
        assert {line["name"]: line["count"] for line in got["routes"]} == {
            "GET /api/partners/{id}": 20, "GET /api/report": 5,
        }  # fmt: skip
        assert sum(minute[1] for minute in got["minutes"]) == 28
        assert [sum(m[5][n] for m in got["minutes"]) for n in (0, 1)] == [25, 3]
        only = hour(server.url, "?route=GET%20/api/report")["hour"]
        assert (only["totals"]["count"], only["totals"]["errors"]) == (5, 5)
        assert hour(server.url, "?type=partner_match")["hour"]["totals"]["count"] == 3


def test_the_streams_hour_adds_up_to_the_whole_one(lake: Lake) -> None:
    collector = lake.collector()
    calls(collector, range(7))
    with served(lake) as server, Events(server.url) as events:
        minutes: dict[int, int] = {}
        count = 0
        for start in range(7, 47, 10):
            calls(collector, range(start, start + 10))
            while count < start + 10:
                got = events.until("hour")["hour"]
                count = got["totals"]["count"]
                if got["whole"]:
                    minutes.clear()
                minutes |= {minute[0]: minute[1] for minute in got["minutes"]}
        assert sum(minutes.values()) == 47


def test_old_records_that_are_imported_now_are_listed_and_not_in_the_hour(lake: Lake) -> None:
    collector = lake.collector()
    calls(collector, range(4))
    with served(lake) as server, Events(server.url) as events:
        events.until("batch")
        call(collector, 99, timestamp="2025-08-14T16:11:28.677Z")
        collector.commit()
        assert paths(events.rows(1)) == ["/api/partners/99"]
        assert hour(server.url)["hour"]["totals"]["count"] == 4
        server.restart()
        assert hour(server.url)["hour"]["totals"]["count"] == 4
        events.close()


def test_an_hour_of_more_bytes_than_are_read_is_said_to_be_cut(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_SEGMENT_BYTES="16KiB")
    calls(collector, range(200))
    with served(lake, hour_bytes=30_000) as server:
        found = hour(server.url)
        assert found["cut"]
        assert 50 < found["hour"]["totals"]["count"] < 200


def test_the_hour_equals_brute_force_and_forgets_what_is_older() -> None:
    dice = random.Random(7)
    now = 1_764_100_000_000
    made = Hour()
    truth: dict[int, int]
    rows = []
    for _ in range(3_000):
        ms = now - dice.randrange(2 * 60 * MINUTE)
        row = Row(
            interaction_type=dice.choice(("api_call", "click")),
            timestamp=iso(ms),
            route=dice.choice(("/a", "/b")),
            method="GET",
            response_status=dice.choice((200, 500)),
            response_time_ms=dice.uniform(0, 2_000),
        )
        rows.append((ms // MINUTE * MINUTE, row))
    for start in range(0, 3_000, 100):
        made.add((row for _, row in rows[start : start + 100]), now)
    for later in (now, now + 20 * MINUTE, now + 90 * MINUTE):
        first = (later // MINUTE - 59) * MINUTE
        inside = [(minute, row) for minute, row in rows if minute >= first]
        truth = {}
        for minute, _ in inside:
            truth[minute] = truth.get(minute, 0) + 1
        got = made.snapshot(later)
        assert {minute.at: minute.count for minute in got.minutes} == truth
        assert got.totals.count == len(inside)
        assert got.totals.errors == sum(row.response_status == 500 for _, row in inside)
    assert not made._series


def test_names_beyond_the_bound_are_counted_together() -> None:
    made, now = Hour(), 1_764_100_000_000
    made.add(
        (Row(interaction_type=f"t{n}", timestamp=iso(now), route=f"/r{n}") for n in range(5_000)),
        now,
    )
    assert len(made._series) < 500
    got = made.snapshot(now)
    assert got.totals.count == 5_000
    assert len(got.types) <= 12
    assert sum(minute.count for minute in got.minutes) == sum(sum(m.stack) for m in got.minutes)
    made.add([Row(interaction_type="api_call", timestamp=iso(now))], now)
    assert made.snapshot(now, frozenset({"api_call"})).totals.count == 1


def test_percentiles_are_within_ten_percent() -> None:
    dice = random.Random(3)
    values = sorted(dice.lognormvariate(3, 1.5) for _ in range(5_000))
    times: dict[int, int] = {}
    for value in values:
        times[time_bin(value)] = times.get(time_bin(value), 0) + 1
    for q in (0.5, 0.95, 0.99):
        assert percentile(times, q) == pytest.approx(values[int(len(values) * q)], rel=0.1)
    assert percentile({}, 0.5) is None
    assert time_bin(float("nan")) == time_bin(-1.0) == 0


# Detail, files, refusals


def test_the_detail_is_the_whole_record(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_SEGMENT_BYTES="16KiB")
    calls(collector, range(30))
    call(collector, 1, trace_id="t-9")
    collector.record("partner_match", trace_id="t-9", partner_id="p1", n=2**53 + 1)
    collector.commit()
    calls(collector, range(30))
    with served(lake) as server, Events(server.url) as events:
        rows = events.until("batch")["rows"]
        [match] = [row for row in rows if row["type"] == "partner_match"]
        found = httpx.get(f"{server.url}/v1/live/record", params={"at": match["at"]}).json()
        [logged] = [row for row in lake.rows() if row["interaction_type"] == "partner_match"]
        assert msgspec.json.decode(found["text"]) == logged
        assert str(2**53 + 1) in found["text"]


def test_a_position_without_a_record_is_refused(lake: Lake) -> None:
    calls(lake.collector(), range(1))
    nowhere = {"": 400, "../../etc": 400, "1-1-1": 404, "7-1-0": 404, "1-9-0": 404}
    with served(lake) as server:
        for at, status in nowhere.items():
            answer = httpx.get(f"{server.url}/v1/live/record", params={"at": at})
            assert answer.status_code == status, at
            assert set(answer.json()) == {"code", "message"}


def test_a_position_survives_its_text() -> None:
    for position in (Position(1, 3, 52110), Position(0, 0, 0), Position(9, 10**9, 10**14)):
        assert parse_position(write_position(position)) == position
    for text in ("", "1-2", "1-2-3-4", "a-b-c", "1-2--3", "1-2-3\n", "9" * 40 + "-1-1"):
        assert parse_position(text) is None


def test_the_page_and_its_files_need_nothing_from_outside(lake: Lake) -> None:
    lake.collector().commit()
    with served(lake) as server, httpx.Client(base_url=server.url) as client:
        page = client.get("/")
        policy = page.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert page.headers["cache-control"] == "no-cache"
        names = {path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*.*")}
        assert [name for name in names if f"/static/{name}" in page.text]
        for name in names - {"index.html"}:
            got = client.get(f"/static/{name}")
            assert got.content == (STATIC / name).read_bytes()
            assert "immutable" in got.headers["cache-control"]
            assert got.headers["x-content-type-options"] == "nosniff"
            head = client.head(f"/static/{name}")
            assert head.content == b""

        for outside in ("../live.py", "%2e%2e/live.py", "assets", "", "index.htm"):
            answer = client.get(f"/static/{outside}")
            assert answer.status_code == 404, outside


def test_other_methods_and_paths_are_refused(lake: Lake) -> None:
    lake.collector().commit()
    with served(lake) as server, httpx.Client(base_url=server.url) as client:
        refused = client.post("/v1/live")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
        assert client.get("/v1/liver").status_code == 404
        assert client.head("/v1/live").headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize("name", ["segments.jsonl", "published"])
def test_a_log_that_cannot_be_read_is_said_and_tried_again(lake: Lake, name: str) -> None:
    collector = lake.collector()
    calls(collector, range(3))
    table = lake.root / ".lakeward" / name
    good = table.read_bytes()
    with served(lake) as server:
        table.write_bytes(b"damaged\n")
        with Events(server.url) as events:
            while not (said := events.until("hour")["trouble"]):
                pass
            assert name in said
            table.write_bytes(good)
            while events.until("hour")["trouble"]:
                pass
        assert hour(server.url)["hour"]["totals"]["count"] == 3
