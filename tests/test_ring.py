"""The ring keeps whole frames or nothing, never waits, and counts what it could not keep."""

from __future__ import annotations

import os
import signal
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeward import ring as ring_module
from lakeward.errors import Terminal, Unreadable
from lakeward.ring import CONTENDED, FULL, HEADS, INTERRUPTED, LINES, PUT, Label, Ring, create
from lakeward.ring_reader import RingReader

LAKE = "0198a959-c225-7347-933a-6911a06ab409"
LABEL = Label(pid=1, host="here", service="test", version="0", started="now")


def make(folder: Path, total: int = 1 << 20, lanes: int = 4, frame: int = 64 << 10) -> Ring:
    return create(folder, lake_id=LAKE, epoch=1, total=total, lanes=lanes, frame=frame, label=LABEL)


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[Ring]:
    made = make(tmp_path)
    yield made
    made.abandon()


def payloads(reader: RingReader) -> list[bytes]:
    drained = reader.drain(1 << 40)
    if drained is None:
        return []
    reader.release(drained.positions)
    return drained.lines


def test_what_is_put_in_comes_out_in_order(ring: Ring) -> None:
    reader = RingReader(ring.path)
    sent = [f"record {n}".encode() for n in range(100)]
    assert [ring.append(payload) for payload in sent] == [PUT] * 100
    assert payloads(reader) == sent
    assert payloads(reader) == []


def test_nothing_is_released_before_the_reader_says_so(ring: Ring) -> None:
    reader = RingReader(ring.path)
    mark_before = ring.mark()
    ring.append(b"x")
    drained = reader.drain(1 << 20)
    assert drained is not None
    assert ring.reached(mark_before)
    assert not ring.reached(ring.mark())
    reader.release(drained.positions)
    assert ring.reached(ring.mark())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(min_size=0, max_size=9000), max_size=60), st.integers(1, 9))
def test_any_sizes_survive_wrapping(tmp_path_factory: Any, sizes: list[bytes], every: int) -> None:
    folder = tmp_path_factory.mktemp("ring")
    ring = make(folder, total=96 << 10, lanes=2, frame=9000)
    reader = RingReader(ring.path)
    found: list[bytes] = []
    for n, payload in enumerate(sizes):
        if ring.append(payload) != PUT:
            found += payloads(reader)
            assert ring.append(payload) == PUT
        if n % every == 0:
            found += payloads(reader)
    found += payloads(reader)
    assert sorted(found) == sorted(sizes)
    assert ring.tallies()[:2] == (len(sizes), len(sizes))
    reader.close()
    ring.abandon()


def test_a_full_ring_refuses_and_goes_on_once_drained(ring: Ring) -> None:
    kept = 0
    while ring.append(b"x" * 1000) == PUT:
        kept += 1
    assert ring.append(b"x" * 1000) == FULL
    assert kept * 1000 > ring.capacity() * 0.9
    reader = RingReader(ring.path)
    assert len(payloads(reader)) == kept
    assert ring.append(b"x" * 1000) == PUT


def test_a_ring_with_every_lane_in_use_says_contended(ring: Ring) -> None:
    taken = [pool[0][:] for pool in (ring._pool, ring._wide_pool)]
    ring._pool[0].clear()
    ring._wide_pool[0].clear()
    assert ring.append(b"x") == CONTENDED
    ring.count(5)
    ring._pool[0].extend(taken[0])
    ring._wide_pool[0].extend(taken[1])
    offered, accepted, reasons = ring.tallies()
    assert (offered, accepted, reasons[5]) == (1, 0, 1)


def test_a_large_frame_uses_the_wide_lane(ring: Ring) -> None:
    reader = RingReader(ring.path)
    big = os.urandom(ring.frame_most)
    assert ring.append(big) == PUT
    assert payloads(reader) == [big]


def test_counts_survive_in_the_file(ring: Ring) -> None:
    ring.append(b"x")
    ring.count(7, 3)
    reader = RingReader(ring.path, writable=False)
    offered, reasons = reader.tallies()
    assert (sum(offered), sum(lane[7] for lane in reasons)) == (4, 3)


def test_an_exception_from_a_signal_handler_is_counted_and_costs_no_lane(ring: Ring) -> None:
    class Interruption(Exception):
        pass

    def interrupt(*_: object) -> int:
        raise Interruption

    free = [len(pool[0]) for pool in (ring._pool, ring._wide_pool)]
    ring._crc = interrupt
    with pytest.raises(Interruption):
        ring.append(b"x")
    assert [len(pool[0]) for pool in (ring._pool, ring._wide_pool)] == free
    ring._crc = ring_module.crc32
    assert ring.append(b"y") == PUT
    offered, accepted, reasons = ring.tallies()
    assert (offered, accepted, reasons[INTERRUPTED]) == (2, 1, 1)
    assert payloads(RingReader(ring.path)) == [b"y"]


def test_exceptions_raised_by_real_signals_never_lose_a_lane_or_a_count(ring: Ring) -> None:
    class Alarm(Exception):
        pass

    armed: list[bool] = []

    def raise_alarm(*_: object) -> None:
        if armed:
            armed.clear()
            raise Alarm

    reader = RingReader(ring.path)
    before = signal.signal(signal.SIGALRM, raise_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    drained = alarms = 0
    try:
        while alarms < 300:
            try:
                armed.append(True)
                while True:
                    ring.append(b"x" * 50)
            except Alarm:
                alarms += 1
            drained += len(payloads(reader))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(ring._pool[0]) + len(ring._wide_pool[0]) == 4
    offered, accepted, reasons = ring.tallies()
    assert accepted == drained
    assert offered == accepted + sum(reasons)


def test_a_signal_handler_that_records_in_the_middle_of_a_record_is_kept(ring: Ring) -> None:
    def from_inside(payload: Any, start: int = 0) -> int:
        ring._crc = ring_module.crc32
        assert ring.append(b"from the handler") == PUT
        return ring_module.crc32(payload, start)

    ring._crc = from_inside
    assert ring.append(b"outer") == PUT
    assert sorted(payloads(RingReader(ring.path))) == [b"from the handler", b"outer"]


def test_threads_share_the_lanes_without_losing_anything(ring: Ring) -> None:
    reader = RingReader(ring.path)
    found: list[bytes] = []
    kept = [0] * 8

    def write(n: int) -> None:
        for i in range(2000):
            if ring.append(b"%d-%d" % (n, i)) == PUT:
                kept[n] += 1
            else:
                ring.count(1)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        found += payloads(reader)
    found += payloads(reader)
    offered, accepted, reasons = ring.tallies()
    assert accepted == sum(kept) == len(found) == len(set(found))
    assert offered == 16000 == accepted + sum(reasons)


def test_a_frame_whose_bytes_are_not_there_yet_is_looked_at_again(ring: Ring) -> None:
    ring.append(b"first")
    reader = RingReader(ring.path)
    lane = ring._pool[0][-1]
    at = lane.start + ring_module.FRAME_BYTES
    ring._map[at : at + 5] = b"\0\0\0\0\0"
    assert payloads(reader) == []
    ring._map[at : at + 5] = b"first"
    assert payloads(reader) == [b"first"]


def test_a_damaged_frame_is_never_handed_out_and_its_record_is_counted(ring: Ring) -> None:
    ring.append(b"lost")
    lane = ring._pool[0][-1]
    ring._map[lane.start + ring_module.FRAME_BYTES] = 0
    reader = RingReader(ring.path)
    for _ in range(60):
        assert payloads(reader) == []
    ring.append(b"kept")
    drained = reader.drain(1 << 20)
    assert drained is not None
    assert drained.lines == [b"kept"]
    assert drained.damaged == 1


def test_a_killed_writer_shows_nothing_of_a_half_made_frame(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        ring = make(tmp_path)
        ring.append(b"whole")

        def die(*_: object) -> int:
            os.kill(os.getpid(), signal.SIGKILL)
            return 0

        ring._crc = die
        ring.append(b"half")
        os._exit(1)
    os.waitpid(pid, 0)
    reader = RingReader(next(tmp_path.glob("*.ring")))
    assert reader.adopt()
    assert payloads(reader) == [b"whole"]
    assert sum(reader.tallies()[0]) == 2


def test_a_living_owner_cannot_be_adopted_and_a_forked_child_does_not_keep_it_alive(
    tmp_path: Path,
) -> None:
    ring = make(tmp_path)
    reader = RingReader(ring.path)
    assert reader.owner_lives()
    assert not reader.adopt()
    pid = os.fork()
    if pid == 0:
        ring.abandon()
        signal.pause()
        os._exit(0)
    try:
        ring.close()
        assert reader.closed()
        deadline = 100
        while not reader.adopt() and deadline:
            deadline -= 1
            threading.Event().wait(0.02)
        assert deadline
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.parametrize("version", [0, 2, 99])
def test_a_ring_of_another_version_is_refused_with_a_sentence(ring: Ring, version: int) -> None:
    ring._map[8:10] = struct.pack("<H", version)
    with pytest.raises(Unreadable, match=f"format {version}.*reads 1"):
        RingReader(ring.path)


@pytest.mark.parametrize("at", [0, 24, 60, ring_module.LABEL + 6, ring_module.TABLE + 8])
def test_a_ring_with_a_damaged_header_is_refused(ring: Ring, at: int) -> None:
    ring._map[at] ^= 0xFF
    with pytest.raises(Unreadable, match="not a ring|damaged header"):
        RingReader(ring.path)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 5000))
def test_no_bytes_on_disk_crash_the_reader(tmp_path_factory: Any, noise: bytes, at: int) -> None:
    folder = tmp_path_factory.mktemp("ring")
    ring = make(folder, total=96 << 10, lanes=2, frame=4000)
    for n in range(20):
        ring.append(b"payload %d" % n)
    end = len(ring._map)
    at = min(at * 19, end - len(noise))
    ring._map[at : at + len(noise)] = noise
    ring.abandon()
    try:
        reader = RingReader(ring.path)
    except Unreadable:
        return
    assert reader.adopt()
    for _ in range(3):
        drained = reader.drain(1 << 20)
        if drained is None:
            break
        assert set(drained.lines) <= {b"payload %d" % n for n in range(20)}
        reader.release(drained.positions)
    reader.close()


def test_a_full_mount_is_an_error_at_start_and_never_a_bus_error_later(tmp_path: Path) -> None:
    # posix_fallocate reserves every page; an absurd size stands for a mount without room.
    with pytest.raises(OSError, match="space|large|allocate"):
        make(tmp_path, total=1 << 55)
    assert list(tmp_path.iterdir()) == []


def test_a_ring_too_small_for_its_frames_says_which_setting_to_change(tmp_path: Path) -> None:
    with pytest.raises(Terminal, match="LAKEWARD_RING_BYTES"):
        make(tmp_path, total=256 << 10, lanes=16, frame=1 << 20)


def test_the_file_is_private_and_never_seen_half_made(tmp_path: Path) -> None:
    ring = make(tmp_path)
    assert oct(ring.path.stat().st_mode & 0o777) == "0o600"
    assert [path.name for path in tmp_path.iterdir()] == [ring.path.name]
    assert os.get_inheritable(ring._fd) is False
    ring.abandon()


def test_only_the_keeper_side_moves_tails(ring: Ring) -> None:
    ring.append(b"x", LINES)
    before = bytes(ring._map[ring_module.TAILS : ring_module.TABLE])
    ring.append(b"y")
    assert bytes(ring._map[ring_module.TAILS : ring_module.TABLE]) == before
    assert bytes(ring._map[HEADS : HEADS + 8]) is not None
