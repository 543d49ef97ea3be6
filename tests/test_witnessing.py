"""The keeper's task of PowerConfidence: a child when something is due, and none otherwise."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import insert

from conftest import Lake, wait_until
from databases import Store
from lakeward.cli.child import Child
from lakeward.cli.due import ANYWAY_SECONDS, AWAY_SECONDS
from lakeward.cli.viewing import Viewing
from lakeward.cli.witnessing import Witnessing, once
from lakeward.confidence.desk import Desk
from lakeward.lakedir import open_lake
from lakeward.person import Person
from lakeward.store.changes import untold
from lakeward.store.eraser import DatabaseEraser
from lakeward.store.schema import OUTBOX
from witnessed import NOON_MS, Asked

NOW_MS = time.time_ns() // 1_000_000


class Watched(Child):
    """Counts what is started and starts nothing."""

    started = 0
    running = False

    def start(self, *arguments: str, environ: object = None) -> None:
        self.started += 1

    def __bool__(self) -> bool:
        return self.running

    def reaped(self, now: float) -> int | None:
        return None


class Stage:
    """A task whose clock is in the test's hand."""

    def __init__(self, store: Store) -> None:
        self.asked = Asked(store)
        self.now = 0.0
        lake = open_lake(self.asked.settings.lake_dir)
        self.task = Witnessing(
            lake, Path("rings"), self.asked.settings, now=lambda: self.now,
            now_ms=self.asked.desk.now_ms,
        )  # fmt: skip
        self.child = Watched("x", 1.0)
        self.task._child = self.child

    def starts(self, seconds: float) -> int:
        """Children of the next so many seconds."""
        before = self.child.started
        for _ in range(int(seconds)):
            self.now += 1.0
            self.task.step(None)
        return self.child.started - before

    def quiet(self) -> None:
        """Everything is told."""
        from lakeward.store.changes import told

        desk = self.asked.desk
        told(desk.database, [one.change_id for one in untold(desk.database)], desk.now_ms())


@pytest.fixture
def stage(store: Store) -> Stage:
    return Stage(store)


SQLITE = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
POSTGRESQL = pytest.mark.parametrize("store", ["postgresql"], indirect=True)


@SQLITE
def test_what_nobody_heard_of_yet_starts_one(stage: Stage) -> None:
    assert stage.starts(4) > 0
    stage.quiet()
    assert stage.starts(60) == 0


@SQLITE
def test_a_due_invitation_starts_one_and_its_end_too(stage: Stage) -> None:
    seen = stage.asked.invite()
    stage.quiet()
    assert stage.starts(4) > 0
    stage.asked.desk.invitations.postpone(stage.asked.again(seen), None)
    assert stage.starts(60) == 0
    stage.asked.clock.on(30)
    assert stage.starts(4) > 0


@SQLITE
def test_a_message_that_no_provider_took_starts_one_that_tries_the_other_way(stage: Stage) -> None:
    seen = stage.asked.invite()
    desk = stage.asked.desk
    outbox_id = _queued(desk, state="failed", due_at=None)
    assert desk.invitations.sent(stage.asked.again(seen), "sms", outbox_id, None, "digest")
    stage.quiet()
    assert desk.invitations.lost() == [outbox_id]
    assert stage.starts(4) > 0
    desk.invitations.bounced(outbox_id, "refused by the provider", desk.now_ms())
    desk.invitations.postpone(stage.asked.again(seen), None)
    stage.quiet()
    assert stage.starts(60) == 0


@SQLITE
@pytest.mark.parametrize(
    ("fields", "starts"),
    [
        ({}, True),
        ({"state": "unsure"}, True),
        ({"due_at": NOON_MS + 3_600_000}, False),
        ({"state": "sent"}, False),
        ({"kind": "own"}, False),
        ({"purpose": "sign-in"}, False),
    ],
    ids=["due", "unsure", "later", "sent", "an app's own carrier", "an app's own message"],
)
def test_a_message_of_ours_that_waits_to_be_sent_starts_one(
    stage: Stage, fields: dict[str, object], starts: bool
) -> None:
    stage.quiet()
    assert stage.starts(4) == 0
    _queued(stage.asked.desk, **fields)
    assert (stage.starts(4) > 0) is starts


def test_what_is_due_and_cannot_be_done_is_not_tried_again_at_once(lake: Lake) -> None:
    """Without an address of the server nobody could follow a link."""
    from lakeward.errors import Transient
    from lakeward.settings import load

    store = _Opened(lake)
    asked = Asked(store)  # type: ignore[arg-type] # has what is asked of it
    asked.clock.now_ms = NOW_MS
    settings = load({**lake.env, "LAKEWARD_MESSAGES": "console"}, lake.root.parent)
    where = open_lake(lake.root)
    once(where, settings)  # the lake hears of the partner
    asked.invite()
    once(where, settings)  # and of the invitation
    with pytest.raises(Transient, match="due cannot be done now"):
        once(where, settings)
    once(where, msgspec.structs.replace(settings, public_url="https://data.example.com",
                                        invite_quiet=""))  # fmt: skip
    store.close()


def _queued(desk: Desk, **fields: object) -> str:
    """A message of ours in the outbox; its id."""
    row = {
        "outbox_id": str(uuid.uuid4()), "key": uuid.uuid4().hex, "state": "queued", "kind": "live",
        "channel": "sms", "template": "invite-employee", "template_version": "1",
        "purpose": "confidence", "recipient_hash": "r", "twin": "t", "attempts": 1,
        "created_at": desk.now_ms(), "queued_at": desk.now_ms(), "due_at": desk.now_ms(),
    } | fields  # fmt: skip
    with desk.database.write() as connection:
        connection.execute(insert(OUTBOX).values(row))
    return str(row["outbox_id"])


@SQLITE
def test_evidence_ages_so_that_one_is_started_now_and_then(stage: Stage) -> None:
    stage.quiet()
    assert stage.starts(ANYWAY_SECONDS * 2 + 10) == 2


@SQLITE
def test_a_child_that_runs_is_left_alone(stage: Stage) -> None:
    stage.child.running = True
    assert stage.starts(60) == 0


@POSTGRESQL
def test_a_database_elsewhere_is_not_looked_at_but_asked_now_and_then(stage: Stage) -> None:
    assert stage.starts(AWAY_SECONDS * 4) in (3, 4)


def test_a_database_that_is_not_there_or_none_has_nothing_due(tmp_path: Path) -> None:
    for task in (Witnessing, Viewing):
        assert task.looked(tmp_path / "none.db", NOW_MS) == (False, False)
        (tmp_path / "app.db").write_bytes(b"no database" * 1000)
        assert task.looked(tmp_path / "app.db", NOW_MS) == (False, False)


@SQLITE
def test_the_questions_are_of_the_tables_as_they_are(store: Store) -> None:
    asked = Asked(store)
    assert Witnessing.looked(store.file, NOW_MS) == (True, True)
    assert Viewing.looked(store.file, NOW_MS) == (False, False)
    with sqlite3.connect(store.file) as connection:  # each is a question that SQLite takes
        for task in (Witnessing, Viewing):
            assert len(connection.execute(task.question, {"now": NOW_MS}).fetchone()) == 2
    del asked


ROUNDS = """
import sys
from pathlib import Path
from lakeward.cli.confidence import rounded
from lakeward.settings import load
rounded(load(folder=Path(sys.argv[1])))
"""


def test_killed_at_any_moment_the_next_round_ends_what_was_begun(lake: Lake) -> None:
    """Each change is in the lake once, and each partner has one score of its evidence."""
    from lakeward.store.database import open_database

    env = {**os.environ, **lake.env, "LAKEWARD_KEEPER": "spawn", "LAKEWARD_MESSAGES": "console"}
    from lakeward.settings import load

    settings = load(lake.env, lake.root.parent)
    store = _Opened(lake)
    asked = Asked(store)  # type: ignore[arg-type] # has what is asked of it
    for n in range(6):
        asked.feed("employee", n, 5 + n % 5)
        asked.feed("reference", n, 5 + n % 5)
    command = [sys.executable, "-c", ROUNDS, str(lake.root.parent)]
    for n in range(12):
        with subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL) as process:
            time.sleep(0.4 + 0.15 * n)
            process.send_signal(signal.SIGKILL)
    assert subprocess.run(command, env=env, timeout=120).returncode == 0
    assert len(asked.desk.scores.history("p9")) == 1
    assert untold(asked.desk.database) == []
    # Whoever was killed between telling and noting it told twice: the log has that, the table once.
    wait_until(lambda: len({row["interaction_id"] for row in _told(lake)}) >= 12, what="the lake")
    assert len({row["interaction_id"] for row in _told(lake)}) == 12
    with open_database(settings) as database:
        eraser = DatabaseEraser(database)
        assert eraser.find(Person("user_id", "employee1@firm1.example")) > 0
    store.close()


def _told(lake: Lake) -> list[dict[str, object]]:
    return [row for row in lake.rows()
            if row["interaction_type"] in ("employee_feedback", "customer_reference")]  # fmt: skip


class _Opened:
    """The app database of a lake, as a `Store` has it."""

    def __init__(self, lake: Lake) -> None:
        from lakeward.settings import load
        from lakeward.store.database import open_database

        self._settings = load(lake.env, lake.root.parent)
        self._database = open_database(self._settings)

    def settings(self) -> object:
        return self._settings

    def open(self) -> object:
        return self._database

    def close(self) -> None:
        self._database.close()
