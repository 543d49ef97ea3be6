"""Flags from a file: read, changed under a running app, torn, away; the thread that looks."""

from __future__ import annotations

import gc
import logging
import os
import threading
import weakref
from pathlib import Path
from typing import Any

import msgspec
import pytest

from conftest import wait_until
from databases import exit_code, forked
from lakeward.errors import Rejected
from lakeward.flags import FileSource, Flags
from lakeward.flags.feature import Payload, read_feature, read_json, read_toml
from lakeward.flags.watch import EVERY, Change, Trouble, Watch

PLAIN = {"features": {"a": {"defaultValue": 1}, "b": {"defaultValue": True}}}
OTHER = {"features": {"a": {"defaultValue": 2}, "c": {"defaultValue": True}}}


def written(path: Path, payload: object) -> Path:
    path.write_bytes(payload if isinstance(payload, bytes) else msgspec.json.encode(payload))
    return path


def value(watch: Watch, key: str) -> Any:
    flag = watch.rules.flags.get(key)
    return None if flag is None else flag.default


def test_a_changed_file_is_found_by_the_next_look_which_is_within_five_seconds(
    tmp_path: Path,
) -> None:
    path = written(tmp_path / "flags.json", PLAIN)
    watch = Watch(FileSource(path))
    heard: list[Change] = []
    watch.listeners.append(heard.append)
    watch.look()
    assert (value(watch, "a"), value(watch, "b")) == (1, True)
    written(path, OTHER)
    watch.look()
    assert (value(watch, "a"), value(watch, "b"), value(watch, "c")) == (2, None, True)
    assert [change.changed for change in heard] == [("a", "b"), ("a", "b", "c")]
    assert watch.look() is None
    assert 2 * EVERY <= 5  # one look may be missed


def test_a_second_write_of_the_same_length_in_the_same_tick_is_seen(tmp_path: Path) -> None:
    path = written(tmp_path / "flags.json", PLAIN)
    before = path.stat()
    watch = Watch(FileSource(path))
    watch.look()
    path.write_bytes(path.read_bytes().replace(b"1", b"7"))  # the same inode and length
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    watch.look()
    assert value(watch, "a") == 7


def test_a_file_that_has_settled_is_not_read_again(tmp_path: Path) -> None:
    path = written(tmp_path / "flags.json", PLAIN)
    os.utime(path, ns=(0, 1_000_000_000))
    source = FileSource(path)
    first = source.read("")
    assert first is not None
    assert first.mark
    assert source.read(first.mark) is None
    fresh = FileSource(path, now_ns=lambda: 2_000_000_000).read("")
    assert fresh is not None
    assert fresh.mark == ""


@pytest.mark.parametrize(
    ("torn", "trouble"),
    [
        (b'{"features": {"a": {"defaultValue": 3', Trouble.invalid),
        (b"", Trouble.invalid),
        (b"\xff\xfe", Trouble.invalid),
        (b'{"features": {"a": {"rules": [{"coverage": "all"}]}}}', Trouble.invalid),
        (b'{"encryptedFeatures": "abc.def"}', Trouble.invalid),
        (b"[" * 100_000, Trouble.invalid),
        (b'{"features": {}, "pad": "' + b"x" * (16 << 20) + b'"}', Trouble.invalid),
    ],
    ids=["cut", "empty", "binary", "wrong type", "encrypted", "deep", "large"],
)
def test_a_torn_file_leaves_the_last_good_flags_with_one_warning_and_a_count(
    torn: bytes, trouble: Trouble, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path / "flags.json", PLAIN)
    watch = Watch(FileSource(path))
    watch.look()
    written(path, torn)
    changes = [watch.look() for _ in range(3)]
    assert value(watch, "a") == 1
    assert watch.counts[trouble] == 3
    assert [change.trouble if change else None for change in changes] == [trouble, None, None]
    assert len(caplog.records) == 1
    assert str(path) in caplog.text
    written(path, OTHER)
    change = watch.look()
    assert change is not None
    assert change.recovered
    assert (value(watch, "a"), watch.trouble) == (2, None)


def test_flags_that_are_good_again_and_the_same_are_told_as_recovered(tmp_path: Path) -> None:
    path = written(tmp_path / "flags.json", PLAIN)
    watch = Watch(FileSource(path))
    watch.look()
    path.unlink()
    watch.look()
    assert watch.counts["missing"] == 1
    written(path, PLAIN)
    change = watch.look()
    assert change is not None
    assert (change.changed, change.recovered) == ((), True)


def test_a_file_that_is_not_there_at_the_start_is_found_when_it_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    flags = Flags(FileSource(tmp_path / "flags.json"), every=3600)
    assert flags.value("a", 5) == 5
    assert not flags.is_on("b")
    assert "every flag has its default" in caplog.text
    written(tmp_path / "flags.json", PLAIN)
    flags.watch.look()
    assert flags.value("a", 5) == 1
    flags.close()


@pytest.mark.parametrize("kind", ["folder", "pipe", "no rights"])
def test_what_is_no_readable_file_is_counted_and_waited_for_by_nobody(
    kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "flags.json"
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "no rights":
            path.symlink_to(path)  # root may read everything but a loop
    watch = Watch(FileSource(path))
    watch.look()
    assert sum(watch.counts[trouble] for trouble in Trouble) == 1


def test_toml_has_the_same_names(tmp_path: Path) -> None:
    path = tmp_path / "flags.toml"
    path.write_text(
        '[features.match-page]\ndefaultValue = "plain"\n'
        '[[features.match-page.rules]]\nvariations = ["plain", "reasons"]\n'
        'hashAttribute = "user_id"\nweights = [0.5, 0.5]\n'
        '[savedGroups]\nstaff = ["u1"]\n'
    )
    snapshot = FileSource(path).read("")
    assert snapshot is not None
    (rule,) = snapshot.payload.features["match-page"].rules
    assert (rule.hash_attribute, rule.weights) == ("user_id", (0.5, 0.5))
    assert snapshot.payload.saved_groups == {"staff": ["u1"]}


def test_what_cannot_be_read_is_named_by_its_place_and_not_by_its_value() -> None:
    secret = "hunter2"
    for read, content in (
        (read_json, b'{"features": {"a": {"rules": [{"coverage": "hunter2"}]}}}'),
        (read_toml, b'[features.a]\nrules = [{coverage = "hunter2"}]'),
        (read_json, b"hunter2"),
        (read_toml, b"hunter2"),
    ):
        with pytest.raises(Rejected) as refused:
            read(content)
        assert secret not in str(refused.value)
    with pytest.raises(Rejected, match="rules"):
        read_feature({"rules": 3})
    assert read_json(b'{"features": {}}') == Payload({})


def test_the_thread_starts_with_the_first_question_and_finds_a_change(tmp_path: Path) -> None:
    path = written(tmp_path / "flags.json", PLAIN)
    flags = Flags(FileSource(path), every=0.01)
    assert "lakeward-flags" not in {thread.name for thread in threading.enumerate()}
    assert flags.value("a", 0) == 1
    written(path, OTHER)
    wait_until(lambda: flags.value("a", 0) == 2, what="the change")
    flags.close()
    assert "lakeward-flags" not in {thread.name for thread in threading.enumerate()}
    assert flags.value("a", 0) == 2  # what is known can be asked for all the same


def test_a_forked_worker_looks_for_itself_though_the_lock_was_held(tmp_path: Path) -> None:
    path = written(tmp_path / "flags.json", PLAIN)
    flags = Flags(FileSource(path), every=0.01)
    assert flags.value("a", 0) == 1
    flags.watch.close()

    def asks() -> None:
        flags.watch.reopen()
        written(path, OTHER)
        wait_until(lambda: flags.value("a", 0) == 2, what="the change in the worker")

    def asks_at_once() -> None:
        assert flags.value("b", False) is True
        wait_until(lambda: flags.value("a", 0) == 2, what="the change in the worker")

    flags.watch.reopen()
    with flags.watch._lock:
        first = forked(asks)
        second = forked(asks_at_once)
    assert (exit_code(first), exit_code(second)) == (0, 0)
    flags.close()


def test_a_watch_that_nobody_holds_ends(tmp_path: Path) -> None:
    flags = Flags(FileSource(written(tmp_path / "flags.json", PLAIN)), every=3600)
    flags.is_on("b")
    (thread,) = (t for t in threading.enumerate() if t.name == "lakeward-flags")
    gone = weakref.ref(flags.watch)
    del flags

    def ended() -> bool:
        gc.collect()
        return gone() is None and not thread.is_alive()

    wait_until(ended, what="the thread's end")


def test_a_listener_that_raises_stops_neither_the_look_nor_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watch = Watch(FileSource(written(tmp_path / "flags.json", PLAIN)))
    heard: list[Change] = []

    def raises(change: Change) -> None:
        raise ZeroDivisionError

    watch.listeners += [raises, heard.append]
    with caplog.at_level(logging.WARNING):
        watch.look()
    assert len(heard) == 1
    assert "ZeroDivisionError" in caplog.text


def test_a_source_of_the_apps_own_may_raise_whatever_it_likes() -> None:
    class Odd:
        name = "odd"

        def read(self, mark: str) -> None:
            raise ZeroDivisionError

        def close(self) -> None:
            raise ZeroDivisionError

    watch = Watch(Odd())
    watch.look()
    assert watch.counts["unexpected"] == 1
    watch.close()
