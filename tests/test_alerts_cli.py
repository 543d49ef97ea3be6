"""`lakeward alerts`: what is wrong, what people do to it, who would be told; and the keeper's look
that feeds it all."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alert_lake import Desk as Watcher
from alerted import MINUTE, wrong
from conftest import Lake, wait_until
from databases import exit_code, forked
from hooks import Receiver
from lakeward.alerts import opening
from lakeward.alerts.opening import linger, opened_desk, take_all
from lakeward.alerts.rules import read
from lakeward.alerts.signal import Signal
from lakeward.alerts.watching import look
from lakeward.cli import alerting, main
from lakeward.lakedir import open_lake
from lakeward.settings import Settings, load

FILE = """
[[tell]]
by = "slack"
url_env = "OPS_SLACK_URL"
[[tell]]
by = "webhook"
url_env = "OPS_HOOK_URL"
[digest]
at = "00:00"
by = ["slack"]
"""


class Command:
    """The command in this process, on a lake with a receiver for Slack alone."""

    def __init__(
        self, lake: Lake, port: int, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        self._capsys = capsys
        self.folder = lake.root.parent
        monkeypatch.chdir(self.folder)
        self.env = {**lake.env, "OPS_SLACK_URL": f"http://127.0.0.1:{port}/slack",
                    "LAKEWARD_KEEPER": "thread"}  # fmt: skip
        for name, value in self.env.items():
            monkeypatch.setenv(name, value)
        (self.folder / "alerts.toml").write_text(FILE)
        self.lake = open_lake(lake.root)

    @property
    def settings(self) -> Settings:
        return load()

    def feed(self, *signals: Signal) -> None:
        now = max(signal.at for signal in signals) + 6 * MINUTE
        with opened_desk(self.lake, self.settings, read(self.settings)) as desk:
            desk.take(signals, now)

    def __call__(self, *words: str, code: int = 0) -> Any:
        assert main(["alerts", *words, "--format", "json"]) == code
        return json.loads(self._capsys.readouterr().out)

    def text(self, *words: str, code: int = 0) -> str:
        assert main(["alerts", *words]) == code
        said = self._capsys.readouterr()
        return said.out + said.err


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


@pytest.fixture
def command(
    lake: Lake, receiver: Receiver, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Command:  # fmt: skip
    return Command(lake, receiver.port, capsys, monkeypatch)


def in_order(lake: Lake) -> list[dict[str, Any]]:
    """Records in the order of their times."""
    return sorted(lake.rows(), key=lambda row: str(row["timestamp"]))


def told(receiver: Receiver) -> list[bytes]:
    """What was told of the incident itself."""
    return [got.body for got in receiver.taken
            if b"/a errors" in got.body and b"The day" not in got.body]  # fmt: skip


def now_minutes() -> int:
    """Since the moment that signals count from."""
    from alerted import T0

    return (time.time_ns() // 1_000_000 - T0) // MINUTE


def test_an_incident_is_listed_shown_acknowledged_snoozed_and_resolved(
    command: Command, lake: Lake
) -> None:
    assert "no incident is open" in command.text()
    at = now_minutes() - 6
    command.feed(wrong("route:/a errors", at=at), wrong("route:/b errors", at=at))
    (shown,) = command("list")["incidents"]
    which = shown["incident_id"]
    assert (shown["members"], shown["state"]) == (2, "opened")
    listed = command.text("list")
    assert "route:/a errors +1" in listed
    missed = f"webhook has not heard of {which[-12:]} (opened), tried 1 time, again at 20"
    assert missed in listed
    assert ": the variable OPS_HOOK_URL is not set" in listed
    assert command("list")["not_told"][0]["incident_id"] == which
    assert command("ack", which[-12:-4])["state"] == "acknowledged"
    assert which in command.text("show", which[-12:])
    assert command("show", which[:20])["incident_id"] == which
    assert command("snooze", which, "--for", "2h")["state"] == "snoozed"
    assert command("resolve", which)["state"] == "resolved"
    assert "resolved already" in command.text("ack", which, code=2)
    assert "no incident of that id" in command.text("show", "abc", code=2)
    whole = command("show", which)
    assert [step["what"] for step in whole["history"]] == [
        "opened", "acknowledged", "snoozed", "resolved",
    ]  # fmt: skip
    assert {one["by"]: one["state"] for one in whole["tellings"]}["slack"] == "told"
    assert "resolved by" in command.text("show", which)
    assert command("list")["incidents"] == []
    assert len(command("list", "--all")["incidents"]) == 1
    assert len(command("--all", "-n", "1")["incidents"]) == 1
    assert command("--all", "-n", "0")["incidents"] == []
    assert "\u2026" not in command.text("--all"), "whoever reads it from a pipe gets all of it"
    said = command("snooze", "route:*", "--for", "1d")
    assert said == {"series": "route:*", "until": said["until"], "incidents": []}
    assert "route:* is snoozed until" in command.text("list")
    wanted = ["opened", "acknowledged", "snoozed", "resolved"]
    lake.collector().commit()
    wait_until(lambda: [row["analysis"]["state"] for row in in_order(lake)] == wanted)
    assert lake.quarantined() == []


def test_what_is_long_is_cut_for_a_screen_alone(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    command.feed(wrong(at=now_minutes() - 6, why="It is wrong. " * 10))
    assert "It is wrong. " * 9 in command.text("list")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    cut = command.text("list").splitlines()[1]
    assert cut.endswith("\u2026")
    assert "It is wrong. " * 7 not in cut


def test_a_snooze_says_until_when_and_whether_it_meets_anything(command: Command) -> None:
    command.feed(wrong(at=now_minutes() - 6))
    which = command("list")["incidents"][0]["incident_id"]
    assert f"{which} is snoozed until 20" in command.text("snooze", which)
    assert f"{which} is ongoing" in command.text("snooze", which, "--for", "0")
    said = command.text("snooze", "route:/nobody*")
    assert "route:/nobody* is snoozed until 20" in said
    assert "route:/nobody* meets no series that is watched" in said
    said = command.text("snooze", "route:/nobody*", "--for", "0")
    assert said == "route:/nobody* is not snoozed any more, and 0 incidents of it\n"
    (command.folder / "alerts.toml").write_text('[[silent]]\nevent = "demo"\nminutes = 120')
    assert "meets no" not in command.text("snooze", "type:demo")


def test_a_test_says_of_each_channel_what_happened(command: Command, receiver: Receiver) -> None:
    said = command("test", code=1)["channels"]
    assert said == [
        {"by": "slack", "address": "OPS_SLACK_URL", "told": True, "result": "told"},
        {"by": "webhook", "address": "OPS_HOOK_URL", "told": False,
         "result": "the variable OPS_HOOK_URL is not set, here or in the .env file"},
    ]  # fmt: skip
    (got,) = receiver.taken
    assert b"test: lakeward alerts test" in got.body
    receiver.answer = lambda _: (404, {})
    assert "answers 404: mend OPS_SLACK_URL" in command.text("test", code=1)
    (command.folder / "alerts.toml").write_text("")
    assert "alerts.toml has no [[tell]]: nobody is told" in command.text("test", code=2)
    (command.folder / "alerts.toml").unlink()
    assert f"there is no {command.folder / 'alerts.toml'}: " in command.text("test", code=2)


def test_a_digest_is_shown_and_told_when_it_is_asked_for(
    command: Command, receiver: Receiver
) -> None:
    shown = command("digest", "--day", "2026-08-14")
    assert (shown["day"], shown["opened"]) == ("2026-08-14", 0)
    assert [one["name"] for one in shown["totals"]][:2] == ["events", "visitors"]
    assert receiver.taken == []
    assert "The day 2026-08-14: 0 opened" in command.text("digest", "--day", "2026-08-14", "--send")
    assert any(b"The day 2026-08-14" in got.body for got in receiver.taken)
    assert "no day" in command.text("digest", "--day", "soon", code=2)


def test_a_digest_that_nobody_heard_is_a_failure_and_is_not_queued_twice(
    command: Command, receiver: Receiver
) -> None:
    receiver.answer = lambda _: (503, {"Retry-After": "3000"})
    words = ("digest", "--day", "2026-08-14", "--send")
    said = command.text(*words, code=1)
    assert "slack was not told: " in said
    assert "it is tried again at 20" in said
    assert "waits already" not in said
    tried = len(receiver.taken)
    assert "a digest of that day waits already" in command.text(*words, code=1)
    assert len(receiver.taken) == tried
    receiver.answer = lambda _: (400, {})
    said = command.text("digest", "--day", "2026-08-13", "--send", code=1)
    assert "slack was not told: " in said
    assert "again at" not in said


def test_a_digest_of_a_day_that_has_not_come_is_refused(command: Command) -> None:
    said = command.text("digest", "--day", "2999-01-01", code=2)
    assert "2999-01-01 has not come yet" in said


def test_what_is_watched_is_shown_and_a_dry_run_tells_nobody(
    command: Command, receiver: Receiver
) -> None:
    assert command("watch")["series"] == []
    assert command("watch", "--dry-run", "--since", "1d") == {"signals": []}
    assert "nothing would have been said" in command.text("watch", "--dry-run")
    assert receiver.taken == []


def test_that_nobody_watches_is_said_where_nothing_is_wrong(command: Command) -> None:
    assert "no incident is open\nnobody has watched this lake yet" in command.text("list")
    now = time.time_ns() // 1_000_000
    rules = read(command.settings)
    look(command.lake, command.settings, rules, Watcher(), now_ms=now - 60 * MINUTE)
    said = command.text("list")
    assert "nobody has looked since" in said
    assert "nothing is wrong" not in said
    look(command.lake, command.settings, rules, Watcher(), now_ms=now)
    assert command.text("list") == "nothing is wrong that is watched\n"
    (command.folder / "alerts.toml").write_text("[watch]\nmost = 0")
    for verb in ("list", "watch"):
        said = command.text(verb)
        assert "nothing is watched: " in said
        assert "watch: most must be from 1 to 10000" in said
        assert "series, 0" not in said


def test_broken_tables_are_one_sentence(command: Command) -> None:
    (command.folder / "alerts.toml").write_text('[[tell]]\nby = "pager"')
    said = command.text("test", code=2)
    assert "alerts.toml: [[tell]] number 1 needs `by` to be one of" in said
    ring_dir = command.folder / "rings"
    task = alerting.Alerting(command.lake, ring_dir, command.settings)
    assert not task._asks()
    (command.folder / "alerts.toml").write_text(FILE)
    assert task._asks()


# The keeper's look


def test_a_look_takes_its_signals_to_the_desk_and_a_quiet_one_makes_no_database(
    command: Command, receiver: Receiver
) -> None:
    rules = read(command.settings)
    (command.folder / "alerts.toml").write_text(FILE.split("[digest]")[0])
    quiet = read(command.settings)
    take_all(command.lake, command.settings, quiet, (), 0)
    assert not (command.lake.private / "app.db").exists()
    alerting.watch(command.lake, command.settings, now_ms=time.time_ns() // 1_000_000)
    assert not (command.lake.private / "app.db").exists()
    at = now_minutes() - 6
    hand = alerting.Handing(command.lake, command.settings, rules, lambda _: None)
    hand.take([wrong(at=at)], time.time_ns() // 1_000_000)
    assert len(told(receiver)) == 1


def test_what_a_channel_did_not_take_is_told_by_the_next_look(
    command: Command, receiver: Receiver
) -> None:
    receiver.answer = lambda _: (503, {"Retry-After": "20"})
    command.feed(wrong(at=now_minutes() - 6))
    receiver.answer = lambda _: (200, {})
    slept: list[float] = []
    late = [0.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        late[0] += seconds

    def now_ms() -> int:
        return time.time_ns() // 1_000_000 + round(late[0] * 1000)

    linger(command.lake, command.settings, read(command.settings), sleep=sleep, now_ms=now_ms)
    assert told(receiver)
    assert sum(slept) <= opening.LINGER_SECONDS


@pytest.mark.parametrize("point", ["before take", "before commit", "taken over", "told"])
def test_a_killed_look_is_made_good_by_the_next(
    command: Command, receiver: Receiver, point: str
) -> None:
    import os
    import signal as signals

    at = now_minutes() - 6
    now = time.time_ns() // 1_000_000
    rules = read(command.settings)
    take_all(command.lake, command.settings, rules, (), now)  # the digest, and the database

    def die(where: str) -> None:
        if where == point:
            os.kill(os.getpid(), signals.SIGKILL)

    def work() -> None:
        take_all(command.lake, command.settings, rules, [wrong(at=at)], now, pause=die)

    assert exit_code(forked(work)) == -signals.SIGKILL
    later = now + 6 * MINUTE
    take_all(command.lake, command.settings, rules, [wrong(at=at)], later)
    assert len(told(receiver)) == (2 if point == "told" else 1)
    assert len(set(told(receiver))) == 1
    assert command("list")["incidents"][0]["state"] == "opened"


def test_no_address_is_in_what_is_stored_or_shown(
    command: Command, lake: Lake, receiver: Receiver
) -> None:
    receiver.answer = lambda _: (500, {})
    command.feed(wrong(at=now_minutes() - 6))
    shown = command.text("list") + command.text("test", code=1)
    raw = b"".join(path.read_bytes() for path in Path(lake.root).rglob("*") if path.is_file())
    assert b"/slack" not in raw + shown.encode()
