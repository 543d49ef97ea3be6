"""The courier: the keeper's child that drives the followers, from its start to its end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Lake, alive, wait_until
from hooks import Receiver
from lakeward.cli import child, courier
from lakeward.cli.courier import Courier, Returns
from lakeward.errors import SettingError, Terminal, Transient
from lakeward.followers import state
from lakeward.ledger import State
from lakeward.settings import load
from lakeward.sinks.registry import BUILT_IN, configured, follower_names

STATE = State()


def settings_of(lake: Lake, **more: str) -> dict[str, str]:
    return {**lake.env, "LAKEWARD_INDIVIDUAL_FILES": "on", **more}


@contextlib.contextmanager
def keeper(lake: Lake, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """`lakeward run` for a lake whose followers are configured by `more`."""
    environ = {**os.environ, **settings_of(lake, **more)}
    process = subprocess.Popen(
        [sys.executable, "-m", "lakeward.cli", "run"], env=environ, cwd=lake.root.parent,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(lambda: lake.keeper_pid() == process.pid, what="the keeper")
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(120)


def couriers(parent: int) -> list[int]:
    """Living couriers that are children of a process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                words = (entry / "cmdline").read_bytes()
                if int(stat[1]) == parent and stat[0] != "Z" and b"lakeward.cli.courier" in words:
                    found.append(int(entry.name))
    return found


def the_courier(parent: int) -> int:
    wait_until(lambda: couriers(parent), what="the courier")
    return couriers(parent)[0]


def ended(pid: int) -> None:
    wait_until(lambda: not alive(pid), what="the courier's end")


def files(lake: Lake) -> set[str]:
    return {path.stem for path in lake.root.glob("raw/*/*/*/*.json")}


def record(lake: Lake, n: int = 1, **settings: str) -> set[str]:
    with lake.collector(LAKEWARD_KEEPER="external", **settings) as collector:
        ids = {str(collector.record("hello", n=i)) for i in range(n)}
        collector.commit(60)
    return ids


# From start to end


def test_what_is_recorded_becomes_files_while_the_keeper_runs(lake: Lake) -> None:
    with keeper(lake):
        ids = record(lake, 20)
        wait_until(lambda: files(lake) == ids, what="the files")
    report = lake.audit()
    assert report.ok, report.faults
    [account] = report.followers
    assert (account.name, account.delivered, account.waiting) == ("files", 20, 0)


def test_there_is_no_courier_without_a_follower(lake: Lake) -> None:
    with keeper(lake, LAKEWARD_INDIVIDUAL_FILES="off") as process:
        record(lake)
        time.sleep(0.5)
        assert couriers(process.pid) == []
    assert not (lake.root / ".lakeward/cursors").exists()


def test_a_killed_courier_is_started_again_and_loses_nothing(lake: Lake) -> None:
    with keeper(lake) as process:
        ids = record(lake, 5)
        first = the_courier(process.pid)
        os.kill(first, signal.SIGKILL)
        ids |= record(lake, 5)
        wait_until(lambda: files(lake) == ids, what="the files")
        assert the_courier(process.pid) != first


def test_a_courier_dies_with_its_keeper(lake: Lake) -> None:
    with keeper(lake) as process:
        pid = the_courier(process.pid)
        process.kill()
        process.wait()
        wait_until(lambda: not alive(pid), what="the courier's end")


def test_a_keeper_that_stops_lets_the_courier_deliver_what_lingers(lake: Lake) -> None:
    with Receiver() as receiver:
        more = {
            "LAKEWARD_WEBHOOK_URL": f"http://127.0.0.1:{receiver.port}/",
            "LAKEWARD_WEBHOOK_SECRET": "s", "LAKEWARD_WEBHOOK_PRIVATE": "true",
        }  # fmt: skip
        with keeper(lake, **more) as process:
            the_courier(process.pid)
            wait_until(lambda: state.read(lake.open(), "webhook").state == "running")
            ids = record(lake, 3)
            process.terminate()
            process.wait(120)
        assert {row["interaction_id"] for row in receiver.rows()} == ids


def test_a_keeper_in_a_thread_has_a_courier_as_well(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings_of(lake).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(lake.root.parent)
    collector = lake.collector(LAKEWARD_INDIVIDUAL_FILES="on")
    ids = {str(collector.record("hello", n=n)) for n in range(5)}
    collector.commit(60)
    wait_until(lambda: files(lake) == ids, what="the files")
    pid = the_courier(os.getpid())
    collector.close()
    wait_until(lambda: not alive(pid), what="the courier's end")


def test_a_spawned_keeper_has_a_courier_that_reads_the_apps_env_file(lake: Lake) -> None:
    (lake.root.parent / ".env.development").write_text("LAKEWARD_INDIVIDUAL_FILES=on\n")
    environ = {**os.environ, **lake.env}
    del environ["LAKEWARD_INDIVIDUAL_FILES"]
    code = (
        "from lakeward import Collector\n"
        "with Collector.from_env() as collector:\n"
        "    print(collector.record('hello'), flush=True)\n"
        "    collector.commit()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, cwd=lake.root.parent, capture_output=True,
        text=True, timeout=120,
    )  # fmt: skip
    wait_until(lambda: files(lake) == {done.stdout.strip()}, what="the file")


def test_one_follower_that_hangs_or_stops_holds_up_no_other(lake: Lake) -> None:
    with Receiver() as receiver:
        receiver.answer = lambda got: (-1, {})
        more = {
            "LAKEWARD_WEBHOOK_URL": f"http://127.0.0.1:{receiver.port}/",
            "LAKEWARD_WEBHOOK_SECRET": "s", "LAKEWARD_WEBHOOK_PRIVATE": "true",
            "LAKEWARD_FOLLOWERS": "shop=there.is.none:Such",
        }  # fmt: skip
        with keeper(lake, **more):
            ids = record(lake, 3)
            wait_until(lambda: files(lake) == ids, what="the files")
            wait_until(lambda: receiver.asked == 1, what="the hanging request")
            ids |= record(lake, 3)
            wait_until(lambda: files(lake) == ids, what="the files")
            told = state.read(lake.open(), "shop")
            assert told.state == "stopped"
            assert "there.is.none:Such cannot be imported" in told.sentence


def test_what_cannot_be_delivered_is_in_the_quarantine_with_the_followers_name(
    lake: Lake,
) -> None:
    with Receiver() as receiver:
        receiver.answer = lambda got: (422 if b"poison" in got.body else 200, {})
        more = {
            "LAKEWARD_WEBHOOK_URL": f"http://127.0.0.1:{receiver.port}/",
            "LAKEWARD_WEBHOOK_SECRET": "s", "LAKEWARD_WEBHOOK_PRIVATE": "true",
        }  # fmt: skip
        with keeper(lake, **more):
            with lake.collector(LAKEWARD_KEEPER="external") as collector:
                good = {str(collector.record("hello", n=n)) for n in range(5)}
                bad = collector.record("hello", word="poison")
            wait_until(lake.quarantined, what="the quarantine")
            wait_until(lambda: len(receiver.rows()) == 5, what="the delivery")
            assert {row["interaction_id"] for row in receiver.rows()} == good
            [entry] = lake.quarantined()
            assert entry["follower"] == "webhook"
            assert entry["reason"] == "the webhook answers 422"
            assert entry["interaction_type"] == "hello"
            assert entry["record"]["interaction_id"] == bad
            assert entry["record"]["properties"] == {"word": "poison"}
            wait_until(
                lambda: (
                    [a.quarantined for a in lake.audit().followers if a.name == "webhook"] == [1]
                )
            )
            wait_until(lambda: not list(lake.ring_dir.glob("*.ring")), what="the rings' end")
            assert lake.settled().ok


def test_doctor_shows_each_follower_and_turns_red_by_a_changed_count(lake: Lake) -> None:
    with keeper(lake):
        ids = record(lake, 4)
        wait_until(lambda: files(lake) == ids, what="the files")
    wait_until(lambda: lake.settled().followers[0].delivered == 4)

    def doctor() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "lakeward.cli", "doctor"]
        return subprocess.run(
            command, env=lake.process_env(), capture_output=True, text=True, timeout=120
        )

    done = doctor()
    assert done.returncode == 0, done.stdout
    assert "follower  files  4 delivered, 0 waiting; running since 20" in done.stdout
    path = lake.root / ".lakeward/cursors/files.json"
    row = json.loads(path.read_text())
    row["counts"]["delivered"] = 3
    path.write_text(json.dumps(row))
    done = doctor()
    assert done.returncode == 1
    assert "follower files: 4 lines stand before its cursor and 3 are counted" in done.stdout


def test_an_idle_courier_takes_next_to_nothing(lake: Lake) -> None:
    with keeper(lake) as process:
        ids = record(lake, 2)
        wait_until(lambda: files(lake) == ids, what="the files")
        pid = the_courier(process.pid)

        def switches() -> int:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            return sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)

        before, began = switches(), time.monotonic()
        time.sleep(2)
        assert switches() - before < 40 * (time.monotonic() - began)  # a busy loop has thousands


# The keeper's task


def test_the_task_starts_the_courier_again_after_longer_and_longer_pauses(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.root.parent.mkdir(exist_ok=True)
    collector = lake.collector()
    collector.record("hello")
    collector.commit(60)
    now, starts = [0.0], [0]

    def start(*words: str) -> int:
        starts[0] += 1
        return 1

    monkeypatch.setattr(courier, "start", start)
    monkeypatch.setattr(courier, "ended", lambda pid: 1)
    task = Courier(lake.open(), load(settings_of(lake), lake.root.parent), lambda: now[0])
    while now[0] < 100.0:
        task.step(STATE)
        now[0] += 0.5
    assert 5 < starts[0] < 12
    monkeypatch.setattr(courier, "ended", lambda pid: 0)
    task.step(STATE)
    for _ in range(400):
        now[0] += 0.5
        task.step(STATE)
    before = starts[0]
    now[0] += 1_000
    task.step(STATE)
    assert starts[0] == before  # it said that there is nothing to do
    task._child = 0
    task.close()


def test_an_application_that_waits_for_all_its_children_does_no_harm() -> None:
    pid = child.start("lakeward.no_such_module")
    os.waitpid(pid, 0)
    assert child.ended(pid) == -1
    child.end(pid, 0.1)


def test_a_child_that_does_not_end_is_ended(tmp_path: Path) -> None:
    (tmp_path / "stubborn.py").write_text(
        "import signal, sys, time\n"
        "def child(path):\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "    open(path, 'w').close()\n"
        "    time.sleep(60)\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        pid = child.start("stubborn", str(tmp_path / "up"))
    finally:
        sys.path.remove(str(tmp_path))
    wait_until((tmp_path / "up").exists, what="the child")
    child.end(pid, 0.2)
    assert not alive(pid)


# The registry


def test_individual_files_are_on_in_development_and_off_in_production(tmp_path: Path) -> None:
    def names(**environ: str) -> list[str]:
        return follower_names(load(environ, tmp_path))

    assert names() == ["files"]
    assert names(LAKEWARD_ENV="production") == []
    assert names(LAKEWARD_ENV="production", LAKEWARD_INDIVIDUAL_FILES="on") == ["files"]
    assert names(LAKEWARD_INDIVIDUAL_FILES="off") == []
    assert names(
        USE_S3="true", USE_DYNAMODB="true", LAKEWARD_WEBHOOK_URL="https://x.example/",
        LAKEWARD_FOLLOWERS="crm=shop.followers:Crm",
    ) == [*BUILT_IN, "crm"]  # fmt: skip


@pytest.mark.parametrize("entry", ["crm", "crm=shop", "s3=a:b", "Crm=a:b", "a=b:c,a=d:e", "=a:b"])
def test_a_follower_of_ones_own_needs_a_name_and_a_reference(tmp_path: Path, entry: str) -> None:
    with pytest.raises(SettingError, match="LAKEWARD_FOLLOWERS"):
        follower_names(load({"LAKEWARD_FOLLOWERS": entry}, tmp_path))


def test_a_follower_that_cannot_be_imported_is_named_when_it_is_opened(lake: Lake) -> None:
    collector = lake.collector()
    collector.record("hello")
    settings = load({**lake.env, "LAKEWARD_FOLLOWERS": "a=os.path:nothing"}, lake.root.parent)
    [made] = configured(settings, lake.open())
    with pytest.raises(Terminal, match="os.path:nothing cannot be imported"):
        made.open()


def test_without_a_keeper_nothing_counts_as_quarantined(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = lake.collector()
    collector.record("hello")
    collector.close()
    monkeypatch.setattr(courier, "COMMIT_SECONDS", 0.2)
    returns = Returns(lake.open(), load(lake.env, lake.root.parent))
    with pytest.raises(Transient):
        returns("webhook", [(b'{"interaction_id":"x"}\n', "bad")])


def test_a_courier_leaves_when_another_lake_stands_in_the_place(lake: Lake) -> None:
    collector = lake.collector()
    collector.record("hello")
    collector.commit(60)
    collector.close()
    ended: list[int] = []
    settings = load(settings_of(lake), lake.root.parent)
    opened = lake.open()
    thread = threading.Thread(
        target=lambda: ended.append(courier.courier(opened, settings, threading.Event()))
    )
    thread.start()
    wait_until(lambda: len(files(lake)) == 1, what="the file")
    opened.with_epoch(7)
    thread.join(120)
    assert ended == [courier.MOVED]


def test_kills_of_keeper_and_courier_lose_and_repeat_no_file(lake: Lake) -> None:
    ids: set[str] = set()
    for n in range(6):
        with keeper(lake) as process:
            pid = the_courier(process.pid)
            ids |= record(lake, 40)
            time.sleep(0.03 * n)
            os.kill(process.pid if n % 2 else pid, signal.SIGKILL)
            if n % 2:
                process.wait()
            ended(pid)
    with keeper(lake):
        wait_until(lambda: files(lake) == ids, what="the files")
        # The last file is there a moment before the cursor says so.
        wait_until(lambda: lake.settled().followers[0].delivered == 240, what="the cursor")
        report = lake.settled()
    assert report.ok, report.faults
    assert report.followers[0].delivered == len(ids) == 240
