"""The outbox: no death of a sender and no failure of a provider loses or doubles a message."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from sqlalchemy import event, text

from conftest import wait_until
from databases import Store, back_to
from lakeward.messaging.message import Channel
from lakeward.person import Person
from lakeward.store.database import postgresql, sqlite
from lakeward.store.eraser import DatabaseEraser
from lakeward.store.migration import revisions
from lakeward.store.outbox import Outbox, Route, Row
from lakeward.store.schema import REVISION
from lakeward.store.withdrawal import withdraw
from outbox_killing import POINTS
from provider import Provider

PHONE, EMAIL, SECRET = "+15125550123", "grace@example.com", "the text that nobody keeps"
SMS, MAIL = Route("sms", "own", "twilio"), Route("email", "own", "sendgrid")
NOW = 1_764_000_000_000
LATE_MS = 10_000


def row(n: int = 1, channel: Channel = "sms", **more: object) -> Row:
    """A queued message."""
    fields: dict[str, object] = {
        "outbox_id": f"0199e0f5-9f5c-7d30-8a52-{n:012d}", "key": f"key {n}", "kind": "own",
        "channel": channel, "queued_at": more.get("created_at", NOW),
        "template": "verification", "template_version": "v1", "recipient_hash": f"hash {n}",
        "twin": f"twin {n}", "address": PHONE if channel == "sms" else EMAIL,
        "subject": "Hello", "body": f"{SECRET} {n}", "created_at": NOW, "due_at": NOW,
    }  # fmt: skip
    return Row(**fields | more)  # type: ignore[arg-type] # fields of a row by name


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as running:
        yield running


class Senders:
    """Processes that send what stands in a database."""

    def __init__(self, store: Store, provider: Provider, kind: str) -> None:
        self.store, self.provider, self.kind = store, provider, kind
        self.outbox = Outbox(store.open())
        self.channel: Channel = "sms" if kind == "twilio" else "email"

    def queue(self, n: int) -> list[str]:
        """So many messages; their texts."""
        now = time.time_ns() // 1_000_000
        rows = [row(i, self.channel, created_at=now, due_at=now) for i in range(n)]
        for one in rows:
            self.outbox.add(one)
        return sorted(str(one.body) for one in rows)

    def start(self, point: str = "-", late: int = 0) -> subprocess.Popen[bytes]:
        program = Path(__file__).with_name("outbox_killing.py")
        return subprocess.Popen(
            [sys.executable, program, self.provider.url, self.kind, point, str(late)],
            env={**os.environ, **self.store.env, "ENABLE_DATA_COLLECTION": "false"},
        )

    def states(self) -> dict[str, int]:
        return {state: n for state, n in self.outbox.counts().items() if n}


@pytest.fixture
def twilio(store: Store, provider: Provider) -> Senders:
    return Senders(store, provider, "twilio")


# Killed, and cut off


@pytest.mark.parametrize("point", POINTS)
def test_a_sender_killed_at_a_point_loses_and_doubles_nothing(twilio: Senders, point: str) -> None:
    texts = twilio.queue(2)
    assert twilio.start(point).wait(120) == -9
    assert twilio.start(late=LATE_MS).wait(120) == 0
    assert twilio.provider.texts() == texts
    assert twilio.states() == {"sent": 2}


def test_a_sender_killed_while_the_provider_is_at_work_sends_nothing_again(
    twilio: Senders,
) -> None:
    texts = twilio.queue(1)
    twilio.provider.plan.append("hang")
    sender = twilio.start()
    assert twilio.provider.reached.wait(120)
    sender.kill()
    sender.wait(120)
    assert twilio.start(late=LATE_MS).wait(120) == 0
    assert twilio.provider.texts() == texts
    assert twilio.provider.asked > 0


@pytest.mark.parametrize("point", POINTS)
def test_where_the_provider_cannot_be_asked_nothing_is_doubled(
    tmp_path: Path, provider: Provider, point: str
) -> None:
    store = Store(tmp_path, "")
    senders = Senders(store, provider, "sendgrid")
    texts = senders.queue(2)
    assert senders.start(point).wait(120) == -9
    assert senders.start(late=LATE_MS).wait(120) == 0
    states = senders.states()
    assert sum(states.values()) == 2
    for waiting in senders.outbox.waiting():
        assert waiting.state == "unsure"
        went = waiting.body in provider.texts()
        assert went == (point == "after request")
        assert senders.outbox.resend(waiting.outbox_id, time.time_ns() // 1_000_000) or went
    if states.get("unsure") and point != "after request":
        assert senders.start(late=LATE_MS).wait(120) == 0
    assert (provider.texts() == texts) or point == "after request"
    assert len(provider.texts()) == len(set(provider.texts())) == 2
    store.close()


def test_answers_that_fail_are_tried_again_and_cut_ones_asked_for(twilio: Senders) -> None:
    texts = twilio.queue(6)
    twilio.provider.plan.extend(
        [429, 500, "cut", 503, "drop", 502, 0, "cut", "list 500", 500, "drop"]
    )
    assert twilio.start().wait(120) == 0
    assert twilio.provider.texts() == texts
    assert twilio.states() == {"sent": 6}


def test_a_provider_that_is_away_gets_everything_when_it_is_back(
    twilio: Senders, free_port: int
) -> None:
    texts = twilio.queue(3)
    back, twilio.provider.url = twilio.provider.url, f"http://127.0.0.1:{free_port}"
    sender = twilio.start()
    wait_until(lambda: all(one.attempts > 1 for one in twilio.outbox.waiting()))
    sender.kill()
    sender.wait(120)
    twilio.provider.url = back
    assert twilio.start(late=LATE_MS).wait(120) == 0
    assert twilio.provider.texts() == texts


def test_a_refused_message_fails_and_the_others_go(twilio: Senders) -> None:
    twilio.queue(3)
    twilio.provider.plan.append(400)
    assert twilio.start().wait(120) == 0
    assert twilio.states() == {"sent": 2, "failed": 1}


def test_several_senders_at_once_and_kills_at_random_send_each_message_once(
    twilio: Senders,
) -> None:
    dice = random.Random(7)
    texts = twilio.queue(60)
    for turn in range(4):
        senders = [twilio.start(late=LATE_MS * turn) for _ in range(3)]
        taken = len(twilio.provider.texts())
        more = min(taken + dice.randrange(1, 12), 60)
        wait_until(lambda more=more: len(twilio.provider.texts()) >= more)  # type: ignore[misc] # bound now
        for sender in senders:
            sender.kill()
            sender.wait(120)
    last = [twilio.start(late=LATE_MS * 5) for _ in range(2)]
    assert [sender.wait(120) for sender in last] == [0, 0]
    assert twilio.provider.texts() == texts
    assert twilio.states() == {"sent": 60}


def test_where_the_provider_cannot_be_asked_kills_at_random_double_and_lose_nothing(
    store: Store, provider: Provider
) -> None:
    senders = Senders(store, provider, "sendgrid")
    dice = random.Random(11)
    texts = senders.queue(30)
    for turn in range(2):
        running = [senders.start(late=LATE_MS * turn) for _ in range(2)]
        more = min(len(provider.texts()) + dice.randrange(1, 8), 26)
        wait_until(lambda more=more: len(provider.texts()) >= more)  # type: ignore[misc] # bound now
        for sender in running:
            sender.kill()
            sender.wait(120)
    assert senders.start(late=LATE_MS * 3).wait(120) == 0
    assert len(provider.texts()) == len(set(provider.texts()))
    unsure = {row.body for row in senders.outbox.waiting() if row.state == "unsure"}
    states = senders.states()
    assert set(states) <= {"sent", "unsure"}
    assert sum(states.values()) == len(texts)
    assert unsure | set(provider.texts()) == set(texts)
    assert len(unsure) == states.get("unsure", 0) <= 4


# Rows


def test_two_messages_of_the_same_text_to_the_same_address_are_both_sent(twilio: Senders) -> None:
    now = time.time_ns() // 1_000_000
    for n in (1, 2):
        twilio.outbox.add(row(n, twin="t", body="again", created_at=now, due_at=now))
    twilio.provider.plan.extend(["cut", "cut"])
    senders = [twilio.start(), twilio.start()]
    assert [sender.wait(120) for sender in senders] == [0, 0]
    assert twilio.provider.texts() == ["again", "again"]


def test_a_leased_message_is_nobody_elses_and_its_twin_waits(store: Store) -> None:
    outbox = Outbox(store.open())
    outbox.add(row(1, twin="t"))
    outbox.add(row(2, twin="t"))
    taken = outbox.take(SMS, NOW, 1000)
    assert taken is not None
    assert (taken.state, taken.attempts) == ("sending", 1)
    assert outbox.take(SMS, NOW, 1000) is None
    assert outbox.take(MAIL, NOW, 1000) is None
    again = outbox.take(SMS, NOW + 1001, 1000)
    assert again is not None
    assert (again.outbox_id, again.state, again.attempts) == (taken.outbox_id, "unsure", 1)
    assert not outbox.change(taken, state="sent")
    assert outbox.change(again, state="sent", final_at=NOW)


def test_a_message_that_is_withdrawn_while_it_is_taken_does_not_go(store: Store) -> None:
    """The sender has read the row, and waits for the erasure's transaction to change it."""
    outbox = Outbox(store.open())
    outbox.add(row(1, user_id="contractor-17"))
    outbox.add(row(2, due_at=NOW + 1, address="+15125550178"))
    taken: list[Row | None] = []
    sender = Thread(target=lambda: taken.append(outbox.take(SMS, NOW + 1, 1000)))
    with store.open().write() as erasing:
        assert withdraw(erasing, "contractor-17", NOW) == 1
        sender.start()
        if store.url:
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            with psycopg.connect(store.url, autocommit=True) as other:
                wait_until(lambda: (other.execute(waits).fetchone() or [0])[0])
    sender.join(120)
    [other_one] = taken
    assert other_one is not None
    assert other_one.outbox_id == row(2).outbox_id
    gone = outbox.find(row(1).outbox_id)
    assert gone is not None
    assert (gone.state, gone.lease, gone.attempts) == ("failed", None, 0)


def test_a_key_is_kept_once(store: Store) -> None:
    outbox = Outbox(store.open())
    first = outbox.add(row(1))
    assert outbox.add(row(2, key="key 1")) == first
    assert outbox.counts()["queued"] == 1


def test_what_is_final_holds_neither_address_nor_text(store: Store) -> None:
    outbox = Outbox(store.open())
    outbox.add(row(1))
    assert SECRET.encode() in store.raw()
    taken = outbox.take(SMS, NOW, 1000)
    assert taken is not None
    outbox.change(taken, state="sent", message_id="SM1", final_at=NOW)
    store.close()
    raw = store.raw()
    assert SECRET.encode() not in raw
    assert PHONE.encode() not in raw
    assert b"hash 1" in raw


def test_old_messages_are_deleted_once_the_lake_knows_of_them(store: Store) -> None:
    outbox = Outbox(store.open())
    for n in (1, 2):
        outbox.add(row(n))
        taken = outbox.take(SMS, NOW, 1000)
        assert taken is not None
        outbox.change(taken, state="failed", final_at=NOW)
    outbox.mark_recorded(row(1).outbox_id, NOW)
    assert outbox.prune(NOW + 1) == 1
    assert [one.outbox_id for one in outbox.unrecorded(NOW + 1)] == [row(2).outbox_id]


def test_an_erased_person_gets_nothing_more_and_leaves_no_byte(store: Store) -> None:
    outbox = Outbox(store.open())
    outbox.add(row(1, user_id="contractor-17"))
    outbox.add(row(2, user_id="other"))
    eraser = DatabaseEraser(store.open())
    whom = Person("user_id", "contractor-17")
    assert eraser.find(whom) == 1
    assert eraser.erase(whom).records == 1
    assert eraser.find(whom) == 0
    taken = outbox.take(SMS, NOW, 1000)
    assert taken is not None
    assert taken.user_id == "other"
    assert outbox.take(SMS, NOW, 1000) is None
    gone = outbox.find(row(1).outbox_id)
    assert gone is not None
    assert (gone.state, gone.reason, gone.address) == ("failed", "erased", None)
    raw = store.raw()
    assert b"contractor-17" not in raw
    assert f"{SECRET} 1".encode() not in raw
    assert b"hash 1" not in raw


@pytest.mark.parametrize("value", [PHONE, "+1 (512) 555-0123"])
def test_a_person_who_is_erased_by_address_gets_nothing_more(store: Store, value: str) -> None:
    outbox = Outbox(store.open())
    outbox.add(row(1))
    outbox.add(row(2, "email"))
    eraser = DatabaseEraser(store.open())
    whom = Person("user_id", value)
    assert eraser.find(whom) == 1
    assert eraser.erase(whom).records == 1
    assert eraser.find(whom) == 0
    assert [one.channel for one in outbox.waiting()] == ["email"]
    assert PHONE.encode() not in store.raw()
    assert eraser.erase(Person("user_id", EMAIL.upper())).records == 1
    assert outbox.waiting() == []


def test_messages_that_name_nobody_go_with_the_person_of_their_address(store: Store) -> None:
    outbox = Outbox(store.open())
    mine = "+15125550177"
    outbox.add(row(1, user_id="contractor-17", address=mine, recipient_hash="mine"))
    outbox.add(row(2, address=mine, recipient_hash="mine"))  # before the login, say
    outbox.add(row(3, address=mine, recipient_hash="of another host"))
    outbox.add(row(6, address=None, recipient_hash="mine", state="sent", final_at=NOW))
    outbox.add(row(4, user_id="other"))
    outbox.add(row(5))
    assert DatabaseEraser(store.open()).erase(Person("user_id", "contractor-17")).records == 4
    assert [one.outbox_id for one in outbox.waiting()] == [row(n).outbox_id for n in (4, 5)]
    assert b"+15125550177" not in store.raw()


def test_of_an_address_that_several_share_only_the_persons_own_messages_go(store: Store) -> None:
    outbox = Outbox(store.open())
    for n, user_id in enumerate(("contractor-17", None, "other"), 1):
        outbox.add(row(n, user_id=user_id, recipient_hash="shared"))
    assert DatabaseEraser(store.open()).erase(Person("user_id", "contractor-17")).records == 1
    assert [one.user_id for one in outbox.waiting()] == [None, "other"]


def test_an_erasure_loads_no_message(store: Store) -> None:
    database = store.open()
    Outbox(database).add(row(1, user_id="contractor-17"))
    asked: list[str] = []
    event.listen(
        database.engine, "before_cursor_execute", lambda *given: asked.append(str(given[2]))
    )
    eraser = DatabaseEraser(database)
    assert eraser.find(Person("user_id", "contractor-17")) == 1
    assert eraser.erase(Person("user_id", "contractor-17")).records == 1
    of_messages = [words for words in asked if "lakeward_outbox" in words]
    assert [words.split()[0] for words in of_messages[:2]] == ["SELECT", "UPDATE"]
    assert of_messages[0].startswith("SELECT count(*)")
    assert all(words.startswith("VACUUM") for words in of_messages[2:])


def test_a_database_of_the_version_before_keeps_its_people_and_gets_an_outbox(
    store: Store,
) -> None:
    store.open()
    store.close()
    unopened = postgresql(store.url) if store.url else sqlite(store.file.parent)
    back_to(unopened, "0002")
    with unopened as database, database.write() as connection:
        assert revisions(connection) == {"0002"}
        connection.execute(
            text(
                "INSERT INTO lakeward_people (person_id, email, role, created_at, created_by) "
                "VALUES ('p', 'ada@example.com', 'admin', 1, 'root')"
            )
        )
    database = store.open()
    with database.read() as connection:
        assert revisions(connection) == {REVISION}
        assert connection.scalar(text("SELECT email FROM lakeward_people")) == "ada@example.com"
    Outbox(database).add(row(1))
