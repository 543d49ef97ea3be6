"""A follower's cursor survives kills and refuses to go on in a log that is not its own."""

from __future__ import annotations

import os

import msgspec
import pytest

from conftest import Lake
from lakeward.errors import Terminal
from lakeward.followers.cursor import Cursor, CursorFile, place, verify
from lakeward.followers.protocol import Slice
from lakeward.lakedir import LakeDir
from lakeward.log import read_lines


@pytest.fixture
def filled(lake: Lake) -> LakeDir:
    collector = lake.collector()
    for n in range(50):
        collector.record("hello", n=n)
    collector.commit(60)
    collector.close()
    return lake.open()


def test_a_new_follower_starts_at_the_earliest_record(filled: LakeDir) -> None:
    cursor = CursorFile(filled, "files").progress.done
    assert len(list(read_lines(filled, cursor.position()))) == 50


def test_a_planned_end_stays_the_same_after_a_kill(filled: LakeDir) -> None:
    places = [position for _, position in read_lines(filled)]
    first = CursorFile(filled, "files")
    assert first.plan(place(filled, places[9])) == place(filled, places[9])
    again = CursorFile(filled, "files")
    assert again.plan(place(filled, places[30])) == place(filled, places[9])
    again.settle()
    done = CursorFile(filled, "files").progress.done
    verify(filled, done)
    assert len(list(read_lines(filled, done.position()))) == 40


def test_a_slice_has_the_same_name_on_every_attempt(filled: LakeDir) -> None:
    end = place(filled, [position for _, position in read_lines(filled)][-1])
    names = {Slice(Cursor(1, 1, 0), end, ()).name for _ in range(3)}
    assert names == {f"000001-00000001-000000000000-{end.offset:012d}"}


def test_a_log_that_changed_before_the_cursor_stops_the_follower(filled: LakeDir) -> None:
    position = [position for _, position in read_lines(filled)][20]
    cursor = place(filled, position)
    path = next(filled.root.glob("raw/*/*/*/*.jsonl"))
    with path.open("r+b") as file:
        file.seek(position.offset - 10)
        file.write(b"X")
    with pytest.raises(Terminal, match="not what was delivered"):
        verify(filled, cursor)


def test_a_cursor_of_a_later_epoch_stops_the_follower(filled: LakeDir) -> None:
    with pytest.raises(Terminal, match="another copy"):
        verify(filled, Cursor(epoch=9, segment=1, offset=0))


def test_a_log_cut_before_the_cursor_stops_the_follower(filled: LakeDir) -> None:
    position = [position for _, position in read_lines(filled)][-1]
    cursor = place(filled, position)
    os.truncate(next(filled.root.glob("raw/*/*/*/*.jsonl")), 100)
    with pytest.raises(Terminal):
        verify(filled, cursor)


def test_a_damaged_cursor_file_is_refused_with_a_sentence(filled: LakeDir) -> None:
    first = CursorFile(filled, "files")
    first.plan(Cursor(1, 1, 10))
    first.path.write_bytes(msgspec.json.encode({"done": 5}))
    with pytest.raises(Terminal, match="damaged"):
        CursorFile(filled, "files")
