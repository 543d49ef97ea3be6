"""AI turns whose process was killed: kept with every piece that was handed out, exactly once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from uuid_utils import uuid7

from conftest import Lake, alive, wait_until
from drafting import SECRET
from lakeward.ai.draft import Drafts
from lakeward.ai.draft_file import CHUNK_BYTES, EXTENT_BYTES, MOST_BYTES
from lakeward.ai.unfinished import drafts_in, lock, read
from lakeward.capture.job import job
from lakeward.cli.unfinished import Unfinished, recover
from lakeward.interaction import id_ms, iso
from lakeward.settings import Settings, load
from lakeward.testing import MemoryCollector
from lakeward.trace import CURRENT

DRAFTING = Path(__file__).parent / "drafting.py"
POINTS = ("before record", "before commit", "before delete", "after delete")
KILLED = """
import os, signal, sys
from pathlib import Path
import msgspec
from lakeward.capture.job import job
from lakeward.ai.unfinished import drafts_in
from lakeward.cli.unfinished import recover
from lakeward.lakedir import open_lake
from lakeward.settings import load

def pause(point):
    if point == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)

settings = load()
recover(open_lake(settings.lake_dir, create=False), settings, drafts_in([settings.ring_dir]),
        pause=pause)
"""


def settings_of(lake: Lake, **more: str) -> Settings:
    return load({**lake.env, **more}, lake.root.parent)


def turns(lake: Lake) -> list[dict[str, Any]]:
    return [row for row in lake.rows() if row["interaction_type"] == "ai_conversation"]


def answer(row: dict[str, Any]) -> str:
    said = row["messages"][-1]
    return str(said["content"]) if said["role"] == "assistant" else ""


class Streaming:
    """A process of `drafting.py`, killed by its id."""

    def __init__(self, lake: Lake, *words: str, **env: str) -> None:
        self._lake = lake
        self.output = lake.root.parent / f"streamed-{uuid7()}.txt"
        with self.output.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, str(DRAFTING), *words], env=lake.process_env(**env), stdout=file
            )

    def said(self) -> dict[str, str]:
        """The pieces of each turn that were handed out."""
        found: dict[str, str] = {}
        for line in self.output.read_text().splitlines():
            turn, _, piece = line.partition(" ")
            if turn != "ready":
                found[turn] = found.get(turn, "") + piece
        return found

    def kill(self) -> dict[str, str]:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(120)
        return self.said()

    def wait(self, lines: int) -> None:
        wait_until(lambda: len(self.output.read_text().splitlines()) >= lines, what="pieces")


@contextmanager
def streaming(lake: Lake, *words: str, **env: str) -> Iterator[Streaming]:
    made = Streaming(lake, *words, **env)
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.kill()


def same(recorded: str, said: str) -> bool:
    """All that was handed out and told of, and one piece more at most, which was not told of."""
    more = recorded.removeprefix(said)
    return recorded.startswith(said) and more.count("[") <= 1


@pytest.mark.parametrize("pieces", [1, 7, 60, 400])
def test_a_kill_in_mid_stream_leaves_one_record_with_every_piece(lake: Lake, pieces: int) -> None:
    with streaming(lake, "1", "1", "100000") as process:
        process.wait(pieces + 1)
        said = process.kill()
    with lake.collector() as collector:
        collector.commit()
        wait_until(lambda: len(turns(lake)) == 1, what="the record")
    (row,) = turns(lake)
    assert {row["interaction_id"]: True} == {
        turn: same(answer(row), text) for turn, text in said.items()
    }
    assert (row["error_type"], row["user_id"]) == ("ProcessDied", "u1")
    own = row["ai_metadata"]
    assert (own["status"], own["content_mode"], own["streamed"]) == ("failed", "full", True)
    assert 0 <= own["duration_ms"] < 60_000
    assert own.get("model_answered") == ("gpt-4o-mini" if pieces > 5 else own.get("model_answered"))
    assert row["timestamp"] == iso(id_ms(row["interaction_id"]))
    wait_until(lambda: not drafts_in([lake.ring_dir]), what="the file's end")
    assert lake.settled().ok


def test_turns_of_many_threads_and_none_that_was_closed(lake: Lake) -> None:
    """What was recorded before is not told again, though its draft was open a moment before."""
    with streaming(lake, "1000", "6", "15", "close") as process:
        process.wait(900)
        said = process.kill()
    with lake.collector() as collector:
        collector.commit()
        wait_until(lambda: not drafts_in([lake.ring_dir]), what="the file's end")
    rows: dict[str, dict[str, Any]] = {}
    for row in turns(lake):  # in log order; the table keeps the first
        rows.setdefault(row["interaction_id"], row)
    assert set(said) <= set(rows), "each turn that began"
    failed = [row for row in rows.values() if row["ai_metadata"]["status"] == "failed"]
    assert 1 <= len(failed) <= 6
    for row in failed:
        assert same(answer(row), said.get(row["interaction_id"], ""))
    ended = {turn for turn, text in said.items() if "[14]" not in text}
    assert ended <= {row["interaction_id"] for row in failed}
    assert lake.settled().ok


def test_kills_at_any_moment_of_many_processes(lake: Lake) -> None:
    """Also in the middle of beginning, ending and growing: long answers, ended quickly."""
    said: dict[str, str] = {}
    for _ in range(2):
        running = [Streaming(lake, "100000", "2", "3", "close") for _ in range(4)]
        for n, process in enumerate(running):
            process.wait(30 + 17 * n)
            said |= process.kill()
    with lake.collector() as collector:
        collector.commit()
        wait_until(lambda: not drafts_in([lake.ring_dir]), what="the files' end")
    rows: dict[str, dict[str, Any]] = {}
    for row in turns(lake):
        rows.setdefault(row["interaction_id"], row)
    assert set(said) <= set(rows)
    for turn, row in rows.items():
        if row["ai_metadata"]["status"] == "failed" and turn in said:
            assert same(answer(row), said[turn])
        elif row["ai_metadata"]["status"] == "failed":
            assert answer(row) == "", "begun, and nothing told of it"
    assert lake.settled().ok


def test_a_forked_worker_has_a_file_of_its_own(lake: Lake) -> None:
    with streaming(lake, "1", "2", "9", "fork") as process:
        process.wait(1 + 5 + 2 * 10 + 2)
        parent = process.process.pid
        (worker,) = map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())
        assert len(drafts_in([lake.ring_dir])) == 2
        os.kill(worker, signal.SIGKILL)
        with lake.collector() as collector:
            collector.commit()
            wait_until(lambda: len(turns(lake)) == 2, what="the worker's turns")
            wait_until(lambda: len(drafts_in([lake.ring_dir])) == 1, what="the file's end")
            said = process.kill()
            wait_until(lambda: not alive(worker), what="the worker's end")
            wait_until(lambda: len(turns(lake)) == 3, what="the parent's turn")
    assert {row["interaction_id"]: answer(row) for row in turns(lake)} == said


@pytest.mark.parametrize("point", POINTS)
def test_a_recovery_killed_at_any_point_is_done_again_with_the_same_ids(
    lake: Lake, point: str
) -> None:
    env = {"LAKEWARD_KEEPER": "external"}
    with streaming(lake, "1", "3", "8", **env) as process:
        process.wait(3 * 9 + 1)
        said = process.kill()
    with keeping(lake):
        for _ in range(2):
            done = subprocess.run(
                [sys.executable, "-c", KILLED, point], env=lake.process_env(**env),
                cwd=lake.root.parent, timeout=120, check=False,
            )  # fmt: skip
            assert done.returncode in (-signal.SIGKILL, 0)  # 0 where the keeper was quicker
        recover(lake.open(), settings_of(lake), drafts_in([lake.ring_dir]))
        wait_until(lambda: not drafts_in([lake.ring_dir]), what="the file's end")
    assert {row["interaction_id"]: answer(row) for row in turns(lake)} == said


@contextmanager
def keeping(lake: Lake) -> Iterator[None]:
    """The lake's keeper as its own process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lakeward.cli", "run"], env=lake.process_env(),
        cwd=lake.root.parent, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(lambda: lake.keeper_pid() == process.pid, what="the keeper")
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def test_a_lake_that_nobody_kept_has_its_turns_at_the_next_keepers_start(lake: Lake) -> None:
    with streaming(lake, "2", "1", "5", LAKEWARD_KEEPER="external") as process:
        process.wait(13)
        said = process.kill()
    assert turns(lake) == []
    with keeping(lake):
        wait_until(lambda: len(turns(lake)) == 2, what="the records")
    assert {row["interaction_id"]: answer(row) for row in turns(lake)} == said


# What stands in a file, and what may


def left(lake: Lake, **env: str) -> tuple[Path, dict[str, str]]:
    """The file of a process that was killed while it streamed three turns."""
    with streaming(lake, "1", "3", "40", LAKEWARD_KEEPER="external", **env) as process:
        process.wait(3 * 41 + 1)
        said = process.kill()
    (path,) = drafts_in([lake.ring_dir])
    return path, said


def recovered(lake: Lake, **env: str) -> dict[str, str]:
    """The turns of all files, by a keeper."""
    with lake.collector(**env) as collector:
        collector.commit()
        recover(lake.open(), settings_of(lake, **env), drafts_in([lake.ring_dir]))
        collector.commit()
        wait_until(lambda: not drafts_in([lake.ring_dir]), what="the file's end")
    return {row["interaction_id"]: answer(row) for row in turns(lake)}


def test_a_draft_is_this_users_alone_and_never_in_the_lake_unscrubbed(lake: Lake) -> None:
    path, said = left(lake)
    assert path.stat().st_mode & 0o777 == 0o600
    assert SECRET.encode() in path.read_bytes(), "raw, for a secret may come in two pieces"
    assert recovered(lake) == said
    folders = (lake.root.parent, lake.ring_dir)
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert not any(SECRET.encode() in path.read_bytes() for path in files)


@pytest.mark.parametrize("cut", range(0, 4000, 271))
def test_a_torn_file_gives_what_came_before_the_tear(lake: Lake, cut: int) -> None:
    path, said = left(lake)
    raw = bytearray(path.read_bytes())
    first = next(at for at in range(4096, len(raw), CHUNK_BYTES) if raw[at + 16])
    raw[first + 48 + cut : first + 48 + cut + 9] = b"\xff" * 9
    path.write_bytes(raw)
    found = recovered(lake)
    assert len(found) in (2, 3)
    assert {turn: said[turn][: len(text)] for turn, text in found.items()} == found
    assert sum(found[turn] == said[turn] for turn in found) >= 2


@pytest.mark.parametrize("raw", [
    b"", b"garbage", b"LAKEDRFT", os.urandom(5000), b"LAKEDRFT" + os.urandom(9000),
    b"\0" * (MOST_BYTES + 1),
], ids=["empty", "short", "magic", "random", "magic and random", "huge"])  # fmt: skip
def test_a_file_that_is_none_is_deleted_and_breaks_nothing(
    lake: Lake, raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    _, said = left(lake)
    (lake.ring_dir / "0.draft").write_bytes(raw)
    assert recovered(lake) == said
    assert "0.draft was deleted unread" in caplog.text


def test_links_pipes_and_folders_are_not_followed(lake: Lake) -> None:
    _, said = left(lake)
    target = lake.root.parent / "mine.txt"
    target.write_text("precious")
    (lake.ring_dir / "a.draft").symlink_to(target)
    (lake.ring_dir / "b").write_text("precious, too")
    (lake.ring_dir / "b.draft").hardlink_to(lake.ring_dir / "b")
    os.mkfifo(lake.ring_dir / "c.draft")
    (lake.ring_dir / "d.draft").mkdir()
    assert recovered(lake) == said
    assert target.read_text() == "precious"
    assert (lake.ring_dir / "b").read_text() == "precious, too"


def test_drafts_of_another_lake_in_the_same_folder_are_left_to_its_keeper(
    lake: Lake, tmp_path: Path
) -> None:
    path, said = left(lake, LAKEWARD_LAKE_DIR=str(tmp_path / "other-lake"))
    with lake.collector() as collector:
        collector.commit()
        assert recover(lake.open(), settings_of(lake), [path]) == 0
        task = Unfinished(lake.open(), lake.ring_dir, settings_of(lake))
        task.step(None)
        task.close()
    assert path.exists()
    assert len(said) == 3
    assert turns(lake) == []


def test_frames_of_anything_break_nothing(lake: Lake) -> None:
    """JSON that is none of ours, an id that is none, fields that the type refuses."""
    with lake.collector() as collector:
        drafts = Drafts(collector)
        for head in ({"turn": -1}, {"messages": "x"}, {"timestamp": "never"}, {"tool_calls": 3},
                     {"interaction_type": "api_call", "interaction_id": "7"}):  # fmt: skip
            drafts.open(str(uuid7()), head).text("said")
        drafts.open("no id", {}).text("said")
        assert drafts.missed == 1
        (path,) = drafts_in([lake.ring_dir])
        drafts.at_exit()
        told = recover(lake.open(), settings_of(lake), [path])
        collector.commit()
        assert told == 5
    assert len(turns(lake)) + len(lake.quarantined()) == 5
    assert len(turns(lake)) >= 3


@pytest.mark.parametrize("env", [
    {"AI_CONTENT": "none"}, {"LAKEWARD_ROLLOUT_AI_CONTENT": "0"},
], ids=str)  # fmt: skip
def test_a_draft_holds_no_content_that_may_not_be_kept(lake: Lake, env: dict[str, str]) -> None:
    path, said = left(lake, **env)
    raw = path.read_bytes()
    assert b"asked of" not in raw
    assert b"[7]" not in raw
    assert recovered(lake) == dict.fromkeys(said, "")
    assert {row["ai_metadata"]["content_mode"] for row in turns(lake)} == {"none"}


def test_neither_without_consent_nor_behind_a_hosts_own_scrubbing(lake: Lake) -> None:
    head = {"messages": [{"role": "user", "content": "asked"}], "feature": "coach",
            "user_id": "ann-7", "conversation_id": "c5"}  # fmt: skip
    with lake.collector() as collector, lake.collector(scrub=lambda fields: fields) as hooked:
        for made, more in ((collector, {"content_consent": False}), (hooked, {})):
            before = set(drafts_in([lake.ring_dir]))
            draft = Drafts(made).open(str(uuid7()), head | more)
            draft.text("told so")
            draft.fields({"comment": "told so", "model_answered": "gpt-4o", "user_id": "ann-7"})
            (path,) = set(drafts_in([lake.ring_dir])) - before
            raw = path.read_bytes()
            assert b"asked" not in raw
            assert b"told so" not in raw
            assert all(word in raw for word in (b"coach", b"gpt-4o", b"c5"))
            assert (b"ann-7" in raw) is (made is collector), "what the host would cut, who knows"


REFUSED = """
import os, signal
from lakeward import Collector
from lakeward.ai import AI

with AI(Collector.from_env()).conversation("c5") as turn:
    turn.ask("asked of")
    next(turn.stream(iter(["told ", "so"])))
    turn.set(content_consent=False)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_consent_that_is_refused_while_the_answer_streams_holds_after_a_kill(lake: Lake) -> None:
    done = subprocess.run([sys.executable, "-c", REFUSED], env=lake.process_env())
    assert done.returncode == -signal.SIGKILL
    with lake.collector() as collector:
        recover(lake.open(), settings_of(lake), drafts_in([lake.ring_dir]))
        collector.commit()
        wait_until(lambda: turns(lake), what="the turn")
    (row,) = turns(lake)
    assert row["ai_metadata"]["content_mode"] == "none"
    assert not {"asked of", "told "} & {str(m.get("content")) for m in row["messages"]}


def test_the_apps_rules_of_scrubbing_hold_for_what_it_left(lake: Lake) -> None:
    """The keeper may have been started with others."""
    more = {"AI_CONTENT": "redacted", "LAKEWARD_SENSITIVE_KEYS": "nickname", "APP_VERSION": "7.1",
            "LAKEWARD_SERVICE": "coach"}  # fmt: skip
    with lake.collector(**more) as collector:
        drafts = Drafts(collector)
        draft = drafts.open(str(uuid7()), {"nickname": "Annie"})
        for piece in ("write to ann", "a@exam", "ple.com"):
            draft.text(piece)
        (path,) = drafts_in([lake.ring_dir])
        drafts.at_exit()
        recover(lake.open(), settings_of(lake), [path])
        collector.commit()
    (row,) = turns(lake)
    assert answer(row) == "write to [REDACTED]"
    assert row["properties"] == {"nickname": "[REDACTED]"}
    assert (row["app_version"], row["service"]) == ("7.1", "coach")
    assert row["ai_metadata"]["content_mode"] == "redacted"


# The writer


def test_a_turn_that_ends_leaves_nothing_in_the_file(lake: Lake) -> None:
    with lake.collector() as collector:
        drafts = Drafts(collector)
        first, second = (drafts.open(str(uuid7()), {"feature": f"f{n}"}) for n in range(2))
        for _ in range(40_000):
            first.text("a long answer ")
        second.text("a short one")
        (path,) = drafts_in([lake.ring_dir])
        assert path.stat().st_size > EXTENT_BYTES * 2
        first.close()
        assert b"long answer" not in path.read_bytes()
        assert b"short one" in path.read_bytes()
        second.close()
        second.close()
        second.text("too late")
        raw = path.read_bytes()
        assert len(raw) == 4096 + EXTENT_BYTES
        assert raw[4096:] == bytes(EXTENT_BYTES)
        third = drafts.open(str(uuid7()), {})
        assert b"captured_by" in path.read_bytes()
        third.close()
        assert drafts.missed == 0


def test_beyond_its_bound_pieces_are_dropped_and_counted_on_the_turn(lake: Lake) -> None:
    with lake.collector() as collector:
        drafts = Drafts(collector)
        draft, other = drafts.open(str(uuid7()), {}), drafts.open(str(uuid7()), {})
        for _ in range(20):
            draft.text("x" * (1 << 20))
        other.text("still")
        assert 4 <= draft.dropped <= 6
        assert drafts.missed == draft.dropped
        (path,) = drafts_in([lake.ring_dir])
        assert path.stat().st_size <= MOST_BYTES
        drafts.at_exit()
        fd = lock(path)
        assert fd is not None
        found = {turn.get("pieces_dropped"): turn for turn in read(fd).turns}
        os.close(fd)
        assert len(found[draft.dropped]["messages"][-1]["content"]) == (20 - draft.dropped) << 20
        recover(lake.open(), settings_of(lake), [path])
        collector.commit()
    assert {row.get("properties", {}).get("pieces_dropped") for row in turns(lake)} == {
        None, draft.dropped
    }  # fmt: skip
    (large,) = (row for row in turns(lake) if "properties" in row)
    assert len(large["messages"][-1]["content_hash"]) == 64


def test_a_disk_that_does_not_answer_one_turn_holds_no_other(lake: Lake) -> None:
    with lake.collector() as collector:
        drafts = Drafts(collector)
        first, second = (drafts.open(str(uuid7()), {}) for _ in range(2))
        file = drafts._file
        assert file is not None
        hanging, answers = threading.Event(), threading.Event()
        grow = file._grow

        def slow() -> None:
            hanging.set()
            answers.wait(120)
            grow()

        file._grow = slow  # type: ignore[method-assign]  # a disk that takes its time
        file.free.clear()
        held = threading.Thread(target=lambda: drafts.open(str(uuid7()), {"feature": "held"}))
        held.start()
        hanging.wait(120)
        others = [
            threading.Thread(target=first.close),
            threading.Thread(target=lambda: second.text("a piece")),
            threading.Thread(target=lambda: drafts.open(str(uuid7()), {"feature": "next"})),
        ]
        for thread in others:
            thread.start()
            thread.join(120)
        assert held.is_alive()
        assert not any(thread.is_alive() for thread in others)
        (path,) = drafts_in([lake.ring_dir])
        raw = path.read_bytes()
        assert (b"a piece" in raw, b"next" in raw, b"held" in raw) == (True, True, False)
        answers.set()
        held.join(120)
        assert b"held" in path.read_bytes()
        assert drafts.missed == 0


def test_where_nothing_can_be_written_nothing_happens_but_a_count(lake: Lake) -> None:
    collector = MemoryCollector()
    drafts = Drafts(collector)
    draft = drafts.open(str(uuid7()), {"feature": "coach"})
    draft.text("a")
    draft.fields({"turn": 1})
    draft.close()
    assert drafts.missed >= 1


def test_text_that_is_no_unicode_and_fields_that_are_no_json_raise_nothing(lake: Lake) -> None:
    with lake.collector() as collector:
        drafts = Drafts(collector)
        asked = [{"role": "user", "content": "half \ud83d", "of": object()}]
        draft = drafts.open(str(uuid7()), {"messages": asked})
        draft.text("\ud83d")
        draft.fields({"feature": object(), "turn": 1})
        draft.fields({3: "x"})  # type: ignore[dict-item]  # an app may
        assert drafts.missed == 0
        draft.text(7)  # type: ignore[arg-type]  # an app may
        assert drafts.missed == 1
        (path,) = drafts_in([lake.ring_dir])
        assert b"half" in path.read_bytes()
        draft.close()


def test_a_draft_joins_the_call_that_is_under_way(lake: Lake) -> None:
    with lake.collector() as collector, job("nightly", collector=collector) as run:
        drafts = Drafts(collector)
        drafts.open(str(uuid7()), {"feature": "coach"})
        (path,) = drafts_in([lake.ring_dir])
        cause = CURRENT.get()
        drafts.at_exit()
    fd = lock(path)
    assert fd is not None
    (turn,) = read(fd).turns
    os.close(fd)
    assert cause is not None
    assert turn["trace_id"] == cause.trace.trace_id
    assert turn["parent_interaction_id"] == cause.interaction_id
    assert run.interaction_id == cause.interaction_id
