"""An erasure hides a person at once, comes to its end whatever happens, and leaves a receipt."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import msgspec
import pytest
from uuid_utils import uuid7

from conftest import Lake, wait_until
from databases import exit_code, forked
from lakeward.cli import main
from lakeward.cli.compact import compact
from lakeward.cli.erasing import Erasing
from lakeward.cli.stores import opened
from lakeward.errors import LakeBusy, Terminal, Transient
from lakeward.lake import receipt as book
from lakeward.lake.draining import drain
from lakeward.lake.erase import Setting, Stores, begin, go_on, named, verify
from lakeward.lake.reading import open_reading
from lakeward.lake.sweep import sweep
from lakeward.lakedir import LakeDir
from lakeward.person import Gone, Person
from lakeward.removal import LogEraser
from lakeward.settings import Settings, load
from lakeward.suppression import load as load_suppressed

ANN = Person("user_id", "ann@example.com")


class Drawer:
    """A store of its own for tests: lines in a file, each naming somebody."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self._path = path
        self.error: Exception | None = None

    def find(self, person: Person) -> int:
        """Lines that are the person's."""
        return self._lines().count(person.value)

    def erase(self, person: Person) -> Gone:
        """Write the file anew."""
        if self.error:
            raise self.error
        lines = self._lines()
        self._path.write_text("\n".join(line for line in lines if line != person.value))
        return Gone(
            lines.count(person.value), "a copy at the printer's", "2026-12-31T00:00:00.000Z"
        )

    def _lines(self) -> list[str]:
        return self._path.read_text().split("\n") if self._path.exists() else []


class Planted:
    """A lake with a person in its log, a drawer, and the way to erase there."""

    def __init__(self, lake: Lake, folder: Path) -> None:
        with lake.collector() as collector:
            for n in range(5):
                collector.record("signed_up", user_id=ANN.value, n=n)
                collector.record("signed_up", user_id="bob", n=n)
            collector.record("demo_booking", user_id=ANN.value, status="later")
            collector.commit()
        self.lake = lake
        self.home: LakeDir = lake.open()
        self.settings: Settings = load(lake.env, lake.root.parent)
        (folder / "drawer").write_text(f"bob\n{ANN.value}\n{ANN.value}")
        self.drawer = Drawer(folder / "drawer", "drawer")

    @contextmanager
    def setting(self, pause: Callable[[str], None] = lambda _: None) -> Iterator[Setting]:
        """The lake's own stores and the drawer."""
        with opened(self.home, self.settings) as stores:
            both = Stores(stores.source, [*stores.others, self.drawer])
            yield Setting(self.home, both, lambda: drain(self.home, self.settings), pause=pause)

    def raw(self) -> bytes:
        """Every byte below the lake."""
        return b"".join(path.read_bytes() for path in self.lake.root.rglob("*") if path.is_file())


@pytest.fixture
def planted(lake: Lake, tmp_path: Path) -> Planted:
    """Ann is everywhere, and Bob too."""
    return Planted(lake, tmp_path)


def test_a_receipt_says_what_each_store_lost_and_what_remains_until_when(planted: Planted) -> None:
    with planted.setting() as setting:
        receipt = begin(setting, [ANN])
    assert receipt.stage == "gone"
    assert receipt.asked_at <= receipt.hidden_at <= receipt.gone_at
    notes = {note.name: note for note in receipt.stores}
    assert {"log", "quarantine", "drawer"} <= set(notes)
    assert [notes[name].records for name in ("log", "quarantine", "drawer")] == [5, 1, 2]
    assert notes["drawer"].remains == "a copy at the printer's"
    assert notes["drawer"].until == "2026-12-31T00:00:00.000Z"
    assert book.load(planted.home, receipt.erasure_id) == receipt


def test_neither_the_receipt_nor_anything_else_in_the_lake_names_the_person(
    planted: Planted,
) -> None:
    assert ANN.value.encode() in planted.raw()
    with planted.setting() as setting:
        begin(setting, [ANN])
    assert ANN.value.encode() not in planted.raw()
    assert planted.raw().count(b'"bob"') == 5
    assert [row["user_id"] for row in planted.lake.rows()] == ["bob"] * 5


def test_a_person_is_suppressed_before_any_store_is_touched(planted: Planted) -> None:
    seen: list[tuple[str, bool]] = []
    rows = planted.lake.rows()
    record = next(row for row in rows if row["user_id"] == ANN.value)

    def look(step: str) -> None:
        seen.append((step, load_suppressed(planted.home).covers(record)))

    with planted.setting(look) as setting:
        begin(setting, [ANN])
    steps = [step for step, _ in seen]
    assert dict(seen) == dict.fromkeys(steps, True) | {"asked": False}
    assert steps.index("suppressed") < steps.index("drained") < steps.index("erased log")
    assert steps.index("erased quarantine") < steps.index("barrier") < steps.index("erased drawer")


def test_no_question_shows_a_person_whose_erasure_waits(planted: Planted) -> None:
    compact(planted.home, planted.settings)
    counted: dict[str, int] = {}

    def count(step: str) -> None:
        with open_reading(planted.home, planted.settings) as reading:
            rows = reading.con.execute(
                "SELECT count(*) FROM interactions WHERE user_id = ?", [ANN.value]
            ).fetchall()
        counted[step] = rows[0][0]

    with planted.setting(count) as setting:
        begin(setting, [ANN])
    assert counted["suppressed"] == 0
    assert set(counted.values()) == {0}


def test_a_store_that_is_away_leaves_it_waiting_and_another_run_ends_it(planted: Planted) -> None:
    planted.drawer.error = Transient("the drawer is locked: try again")
    with planted.setting() as setting:
        receipt = begin(setting, [ANN])
        assert receipt.stage == "hidden"
        note = next(note for note in receipt.stores if note.name == "drawer")
        assert (note.done, note.error) == (False, "the drawer is locked: try again")
        assert planted.drawer.find(ANN) == 2
        assert next(note for note in receipt.stores if note.name == "log").done
        planted.drawer.error = None
        (again,) = go_on(setting)
        assert again.erasure_id == receipt.erasure_id
        assert again.stage == "gone"
        assert next(note for note in again.stores if note.name == "log").records == 5
        assert next(note for note in again.stores if note.name == "drawer").records == 2
        assert go_on(setting) == []
    assert ANN.value.encode() not in planted.raw()


def steps(planted: Planted) -> list[str]:
    """Every place where it can be interrupted."""
    found: list[str] = []
    with planted.setting(found.append) as setting:
        begin(setting, [Person("user_id", "nobody")])
    return found


def test_a_kill_between_any_two_steps_loses_neither_the_erasure_nor_anything_else(
    planted: Planted,
) -> None:
    places = steps(planted)
    assert len(places) > 8
    for n, _ in enumerate(places):
        who = Person("user_id", f"ann{n}@example.com")
        with planted.lake.collector() as collector:
            collector.record("signed_up", user_id=who.value)
            collector.commit()
        planted.drawer._path.write_text(f"bob\n{who.value}")
        left = [n]

        def killed(_: str, left: list[int] = left) -> None:
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

        def work(who: Person = who, killed: Callable[[str], None] = killed) -> None:
            with planted.setting(killed) as setting:
                begin(setting, [who])

        assert exit_code(forked(work)) == -signal.SIGKILL
        with planted.setting() as setting:
            assert [receipt.stage for receipt in go_on(setting)] == ["gone"]
        assert who.value.encode() not in planted.raw()
        assert planted.drawer.find(who) == 0
        assert planted.drawer.find(Person("user_id", "bob")) == 1
    assert len(planted.lake.rows()) == 10


def erase_killed_after(planted: Planted, seconds: float) -> bool:
    """Run the command, and kill it so long after it wrote down what it was asked; whether that
    hit it."""
    command = [sys.executable, "-m", "lakeward.cli", "erase", "--user", ANN.value, "--yes"]
    environ = planted.lake.process_env()
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: process.poll() is not None or book.asked(planted.home))
        time.sleep(seconds)
        process.kill()
    return process.returncode == -signal.SIGKILL


def test_a_note_that_was_being_written_when_its_process_was_killed_is_taken_away(
    planted: Planted,
) -> None:
    folder = planted.home.private / "erasures"
    folder.mkdir(mode=0o700)
    left = folder / ".01a21adb-6fd6-772f-9518-fdb3a9df272a.people.17.26fed8cd"
    left.write_bytes(b'[{"kind":"user_id","value":"zoe@example.com"}]\n')
    assert book.leftovers(planted.home) == [left]
    with book.alone(planted.home):
        pass
    assert not left.exists()


def test_the_command_is_killed_at_random_while_others_record_and_compact(
    planted: Planted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in planted.lake.env.items():
        monkeypatch.setenv(name, value)
    chance = random.Random(20_261_125)
    killed, recorded = 0, 0
    with planted.lake.collector() as collector:
        for _ in range(8):
            for n in range(10):
                collector.record("signed_up", user_id=ANN.value, n=n)
                collector.record("signed_up", user_id="carol", n=n)
                recorded += 1
            collector.commit()
            compact(planted.home, planted.settings)
            killed += erase_killed_after(planted, chance.random() * 0.3)
        assert main(["erase", "--resume"]) == 0
    assert killed > 2
    assert book.asked(planted.home) == []
    assert ANN.value.encode() not in planted.raw()
    with open_reading(planted.home, planted.settings) as reading:
        rows = reading.con.execute(
            "SELECT user_id, count(*) FROM interactions GROUP BY 1 ORDER BY 1"
        ).fetchall()
    assert rows == [("bob", 5), ("carol", recorded)]
    report = planted.lake.audit()
    assert report.ok, report.faults


def test_what_waits_in_a_ring_is_erased_too(planted: Planted) -> None:
    with planted.lake.collector(LAKEWARD_KEEPER="external") as collector:
        collector.record("signed_up", user_id=ANN.value, n=99)
        collector.record("signed_up", user_id="carol")
        assert planted.lake.audit().sum["waiting"] == 2
        with planted.setting() as setting:
            receipt = begin(setting, [ANN])
    assert next(note for note in receipt.stores if note.name == "log").records == 6
    assert "carol" in [row["user_id"] for row in planted.lake.rows()]
    assert planted.lake.audit().ok


def test_draining_asks_the_keeper_that_runs(lake: Lake) -> None:
    with lake.collector(LAKEWARD_KEEPER="spawn") as collector:
        collector.record("signed_up")
        collector.commit()
        home = lake.open()
        for n in range(50):
            collector.record("signed_up", n=n)
        drain(home, load(lake.env, lake.root.parent))
        assert len(lake.rows()) == 51


def test_what_reaches_the_log_meanwhile_is_swept_out(planted: Planted) -> None:
    def late(step: str) -> None:
        if step == "barrier":
            with planted.lake.collector() as collector:
                collector.record("signed_up", user_id=ANN.value, n=100)
                collector.commit()

    with planted.setting(late) as setting:
        receipt = begin(setting, [ANN])
    assert next(note for note in receipt.stores if note.name == "log").records == 6
    assert ANN.value.encode() not in planted.raw()


def test_an_erasure_can_be_verified_by_who_knows_the_person(planted: Planted) -> None:
    with planted.setting() as setting:
        receipt = begin(setting, [ANN])
        assert set(verify(setting, receipt, [ANN]).values()) == {0}
        planted.drawer._path.write_text(ANN.value)
        assert verify(setting, receipt, [ANN])["drawer"] == 1
        with pytest.raises(Terminal, match="somebody else"):
            verify(setting, receipt, [Person("user_id", "bob")])


def test_two_erasures_at_once_are_refused(planted: Planted) -> None:
    with planted.setting() as setting, book.alone(planted.home), pytest.raises(LakeBusy):
        begin(setting, [ANN])


@pytest.mark.parametrize("value", ["", "anonymous"])
def test_what_names_nobody_is_refused(value: str) -> None:
    with pytest.raises(Terminal, match="names nobody"):
        named("user_id", value)


def test_an_id_that_is_erased_may_come_back_later(planted: Planted) -> None:
    with planted.setting() as setting:
        begin(setting, [ANN])
    with planted.lake.collector() as collector:
        collector.record("signed_up", user_id=ANN.value, n=7)
        collector.commit()
    row = planted.lake.rows()[-1]
    assert row["user_id"] == ANN.value
    assert not load_suppressed(planted.home).covers(row)


def test_the_keeper_goes_on_with_an_erasure_that_waits(lake: Lake) -> None:
    planted_lines = [("signed_up", ANN.value), ("signed_up", "bob")]
    with lake.collector() as collector:
        for name, user in planted_lines:
            collector.record(name, user_id=user)
        collector.commit()
    home = lake.open()
    clock = [0.0]
    task = Erasing(home, load(lake.env, lake.root.parent), now=lambda: clock[0])
    with patch.dict(os.environ, lake.env):

        def stepped() -> bool:
            clock[0] += 1.0
            task.step(None)
            return not book.asked(home) and not task._child

        wait_until(stepped)
        assert book.receipts(home) == []
        book.ask(home, str(uuid7()), [ANN])
        wait_until(stepped)
        task.close()
    (receipt,) = book.receipts(home)
    assert receipt.stage == "gone"
    assert [row["user_id"] for row in lake.rows()] == ["bob"]


def test_what_comes_late_of_an_erased_person_is_swept_out_of_the_log(planted: Planted) -> None:
    duplicate = next(row for row in planted.lake.rows() if row["user_id"] == ANN.value)
    with planted.setting() as setting:
        begin(setting, [ANN])
    late = {name: duplicate[name] for name in ("interaction_id", "timestamp", "user_id")}
    for _ in range(2):
        with planted.lake.collector() as collector:
            collector.record("signed_up", **late)
            collector.record("signed_up", user_id=ANN.value, n="came back")
            collector.commit()
        assert len(planted.lake.rows()) == 7
        assert sweep(planted.home) == 1
        assert sweep(planted.home) == 0
        rows = [row for row in planted.lake.rows() if row["user_id"] == ANN.value]
        assert {row["properties"]["n"] for row in rows} == {"came back"}
        assert planted.lake.audit().ok, planted.lake.audit().faults
        LogEraser(planted.home, "raw").erase(ANN)


# The command


def test_the_command_erases_and_shows_the_receipt(
    planted: Planted, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in planted.lake.env.items():
        monkeypatch.setenv(name, value)
    assert main(["erase", "--user", ANN.value, "--yes"]) == 0
    shown = capsys.readouterr().out
    assert ANN.value not in shown
    assert re.search(r"5  log\n", shown)
    (receipt,) = book.receipts(planted.home)
    assert main(["erase", "--list", "--format", "json"]) == 0
    listed = msgspec.json.decode(capsys.readouterr().out)["erasures"]
    assert [row["stage"] for row in listed] == ["gone"]
    assert main(["erase", "--verify", receipt.erasure_id, "--user", ANN.value]) == 0
    assert "nothing is left" in capsys.readouterr().out
    assert main(["erase", "--show", receipt.erasure_id]) == 0
    assert receipt.erasure_id in capsys.readouterr().out


def test_without_a_terminal_it_asks_for_yes(
    planted: Planted, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in planted.lake.env.items():
        monkeypatch.setenv(name, value)
    assert main(["erase", "--user", ANN.value]) == 2
    assert "--yes" in capsys.readouterr().err
    assert main(["erase", "--yes"]) == 2
    assert "--user" in capsys.readouterr().err
    assert len(planted.lake.rows()) == 10


def test_linked_takes_the_sessions_in_which_nobody_else_was_named(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with lake.collector() as collector:
        collector.record("page_view", session_id="hers", path="/before-login")
        collector.record("page_view", session_id="hers", user_id=ANN.value, path="/")
        collector.record("page_view", session_id="kiosk", user_id=ANN.value, path="/")
        collector.record("page_view", session_id="kiosk", user_id="bob", path="/")
        collector.record("page_view", session_id="kiosk", path="/")
        collector.commit()
    for name, value in lake.env.items():
        monkeypatch.setenv(name, value)
    assert main(["erase", "--user", ANN.value, "--linked", "--yes"]) == 0
    assert [(row["session_id"], row["user_id"]) for row in lake.rows()] == [
        ("kiosk", "bob"),
        ("kiosk", "anonymous"),
    ]
