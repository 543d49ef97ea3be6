"""A person is erased while an answer to them stands in a file of drafts: nothing of it comes back,
and its bytes go."""

from __future__ import annotations

import fcntl
import json
import threading
from pathlib import Path

from uuid_utils import uuid7

from conftest import Lake, wait_until
from lakeward.ai.draft import Draft, Drafts
from lakeward.ai.unfinished import drafts_in
from lakeward.cli.compact import compact
from lakeward.cli.stores import opened
from lakeward.cli.unfinished import recover
from lakeward.collector import Collector
from lakeward.lake.draining import drain
from lakeward.lake.erase import Setting, begin, verify
from lakeward.lake.receipt import Receipt
from lakeward.lake.sweep import sweep
from lakeward.person import Person
from lakeward.settings import Settings, load
from scanning import files, found

ANN, BOB = "ann-7c1e9f", "bob-control"
ASKED, SAID = "may-i-resign-7c1e9f", "you-may-resign-7c1e9f"


def settings_of(lake: Lake) -> Settings:
    return load(lake.env, lake.root.parent)


def streaming(collector: Collector, *people: str) -> tuple[Drafts, dict[str, Draft]]:
    """A turn of each, under way in a process of its own: several chunks long."""
    drafts = Drafts(collector)
    made = {}
    for who in people:
        asked = [{"role": "user", "content": f"{ASKED} {who}"}]
        made[who] = drafts.open(str(uuid7()), {"user_id": who, "messages": asked})
        for _ in range(500):
            made[who].text(f"{SAID} {who} ")
    return drafts, made


def erased(lake: Lake, who: str = ANN) -> tuple[Receipt, int]:
    """The receipt, and how much is found afterwards."""
    settings, home = settings_of(lake), lake.open()
    person = Person("user_id", who)
    with opened(home, settings) as stores:
        setting = Setting(home, stores, lambda: drain(home, settings))
        receipt = begin(setting, [person])
        return receipt, sum(verify(setting, receipt, [person]).values())


def places(lake: Lake, *needles: str) -> list[str]:
    """Where any of these words of Ann's stand, in whatever belongs to the lake."""
    return [
        place
        for needle in needles or (ANN, f"{SAID} {ANN}")
        for place in found(needle.encode(), files(lake.root, lake.ring_dir))
    ]


def dead(lake: Lake, *people: str) -> Path:
    """The file that a process left."""
    with lake.collector() as collector:
        streaming(collector, *people)[0].at_exit()
    (path,) = drafts_in([lake.ring_dir])
    return path


def recovered(lake: Lake) -> list[str]:
    """Whose turns the keeper records."""
    with lake.collector() as collector:
        collector.commit()
        recover(lake.open(), settings_of(lake), drafts_in([lake.ring_dir]))
        collector.commit()
    return [row["user_id"] for row in lake.rows() if row["interaction_type"] == "ai_conversation"]


def waits(lake: Lake) -> bool:
    """Whether an erasure lets no new delivery begin."""
    with (lake.root / ".lakeward" / "erase.turn").open("rb") as turn:
        try:
            fcntl.flock(turn, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_who_is_erased_stands_in_no_file_of_a_dead_process_and_the_others_are_recorded(
    lake: Lake,
) -> None:
    path = dead(lake, ANN, BOB)
    assert str(path) in places(lake)
    receipt, left = erased(lake)
    assert (receipt.stage, left) == ("gone", 0)
    note = next(note for note in receipt.stores if note.name == "drafts")
    assert (note.records, note.remains) == (1, "")
    assert places(lake) == []
    assert recovered(lake) == [BOB]
    compact(lake.open(), settings_of(lake))
    assert places(lake, ANN, SAID + " " + ANN) == []
    assert places(lake, f"{SAID} {BOB}") != []


def test_a_file_that_holds_nobody_else_goes_and_one_that_is_none_too(lake: Lake) -> None:
    path = dead(lake, ANN)
    torn = path.with_name(f"{uuid7()}.draft")
    torn.write_bytes(path.read_bytes()[:-100][8:])
    assert len(places(lake, SAID)) == 2
    assert erased(lake)[0].stage == "gone"
    assert drafts_in([lake.ring_dir]) == []
    assert recovered(lake) == []


def test_leftovers_of_a_turn_that_was_just_ending_go_too(lake: Lake) -> None:
    with lake.collector() as collector:
        drafts, made = streaming(collector, ANN, BOB)
        for chunk in made[ANN].chunks:  # killed in the middle of `end`
            chunk.words[2] = 0
        drafts.at_exit()
    assert places(lake) != []
    erased(lake)
    assert places(lake) == []


def test_an_answer_that_is_being_given_is_told_of_and_never_recorded_when_its_process_dies(
    lake: Lake,
) -> None:
    with lake.collector() as collector:
        drafts, made = streaming(collector, ANN, BOB)
        receipt, left = erased(lake)
        note = next(note for note in receipt.stores if note.name == "drafts")
        assert note.remains.startswith("an answer that is being given")
        assert (receipt.stage, left) == ("gone", 1)
        made[ANN].text(f"and more, {SAID} {ANN}")
        drafts.at_exit()
    assert recovered(lake) == [BOB]
    compact(lake.open(), settings_of(lake))
    assert drafts_in([lake.ring_dir]) == []
    assert places(lake) == []


def test_an_answer_that_ends_after_the_erasure_is_swept_out(lake: Lake) -> None:
    with lake.collector() as collector:
        drafts = Drafts(collector)
        turn = str(uuid7())
        draft = drafts.open(turn, {"user_id": ANN, "messages": []})
        draft.text(f"{SAID} {ANN}")
        erased(lake)
        said = [{"role": "assistant", "content": f"{SAID} {ANN}"}]
        collector.record("ai_conversation", interaction_id=turn, user_id=ANN, messages=said)
        draft.close()
        collector.commit()
        assert sweep(lake.open()) == 1
    assert places(lake, f"{SAID} {ANN}") == []


def test_an_erasure_that_begins_while_the_dead_ones_turns_are_recorded_takes_them_too(
    lake: Lake,
) -> None:
    path = dead(lake, ANN, BOB)
    receipts: list[Receipt] = []
    erasing = threading.Thread(target=lambda: receipts.append(erased(lake)[0]))

    def pause(point: str) -> None:
        if point == "before record" and not erasing.is_alive():
            erasing.start()
            listed = lake.root / ".lakeward" / "suppressed.jsonl"
            wait_until(lambda: listed.exists() and listed.stat().st_size > 0, what="the list")
            wait_until(lambda: receipts or waits(lake), what="the erasure at the barrier, or over")

    with lake.collector() as collector:
        collector.commit()
        recover(lake.open(), settings_of(lake), [path], pause=pause)
        collector.commit()
        erasing.join(120)
    assert [receipt.stage for receipt in receipts] == ["gone"]
    assert places(lake) == []
    assert json.dumps(lake.rows()).count(BOB) > 1
