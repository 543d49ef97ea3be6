"""Messages where several share a database: hosts, carriers of different kinds, the dead and the
living; and carriers of the app's own that answer anything."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from conftest import Lake, wait_until
from databases import Store, exit_code, forked
from lakeward.collector import Collector
from lakeward.errors import Rejected, SettingError, Throttled, Transient
from lakeward.messaging import Messages, Receipt
from lakeward.messaging.delivery import Timing
from lakeward.settings import load
from lakeward.store.secret import shared_secret
from posting import CODE, EMAIL, PHONE, Pigeon, Post, row_of, write_templates
from provider import Provider

FAR_MS = 4_000_000_000_000
OTHER_ID = "0199e0f5-9f5c-7d30-8a52-000000000002"
NO_KEEPER = {"LAKEWARD_KEEPER": "external", "LAKEWARD_RING_BYTES": "256KiB",
             "LAKEWARD_FRAME_BYTES": "4KiB", "LAKEWARD_EXIT_SECONDS": "0.1"}  # fmt: skip
TWILIO = {"LAKEWARD_ENV": "production", "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
          "TWILIO_AUTH_TOKEN": "t" * 32, "TWILIO_PHONE_NUMBER": "+15125550100"}  # fmt: skip


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    return write_templates(tmp_path)


def outbox(lake: Lake, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "lakeward.cli", "outbox", *arguments]
    return subprocess.run(
        words, env=lake.process_env(**env), capture_output=True, text=True, timeout=120
    )


# Hosts


def test_two_hosts_with_lakes_of_their_own_send_one_message_for_one_key(
    store: Store, lake: Lake, tmp_path: Path, templates: Path
) -> None:
    """With SQLite there is one lake, and two processes of it."""
    ids, pigeon = set(), Pigeon()
    for host in ("a", "b"):
        root = tmp_path / host if store.url else store.lake
        env = lake.env | store.env | {"LAKEWARD_LAKE_DIR": str(root), "LAKEWARD_KEEPER": "thread"}
        with Collector(load(env, tmp_path)) as collector:
            messages = Messages(
                collector.settings, collector, carriers={"sms": pigeon}, templates=templates
            )
            with messages:
                ids.add(
                    messages.send(
                        "verification", channel="sms", to=PHONE, values={"code": CODE}, key="k"
                    )
                )
    assert len(ids) == 1
    assert len(pigeon.messages) == 1


def test_the_shared_secret_is_made_once_by_many_processes(store: Store) -> None:
    store.open()
    found = store.lake.parent / "found"
    found.mkdir()

    def look() -> None:
        with store.open() as database:
            secret = shared_secret(database, "outbox")
        (found / secret.hex()).touch()

    assert [exit_code(child) for child in [forked(look) for _ in range(6)]] == [0] * 6
    [name] = [path.name for path in found.iterdir()]
    assert bytes.fromhex(name) == shared_secret(store.open(), "outbox")


# Kinds of carriers


def test_a_process_that_shows_messages_leaves_those_alone_that_are_to_be_sent(
    lake: Lake, templates: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    collector = lake.collector()
    with Messages(collector.settings, collector, templates=templates) as messages:
        messages.outbox.add(row_of(kind="live", body="for real"))
        messages.send("verification", channel="sms", to=PHONE, values={"code": CODE})
        wait_until(lambda: messages.outbox.counts()["sent"] == 1)
        with pytest.raises(SettingError, match="LAKEWARD_MESSAGES=console"):
            messages.drain()
        assert [row.body for row in messages.outbox.waiting()] == ["for real"]
    assert "for real" not in capfd.readouterr().err


def test_the_command_refuses_to_send_where_messages_are_shown_by_default(
    lake: Lake, templates: Path
) -> None:
    post = Post(lake, templates)
    for _ in range(2):
        refused = outbox(lake, "send")  # whether something waits or not: cron is to be mended
        assert refused.returncode == 2
        assert "LAKEWARD_ENV" in refused.stderr
        post.messages.outbox.add(row_of(kind="live"))
    shown = outbox(lake, "send", LAKEWARD_MESSAGES="console")
    assert (shown.returncode, shown.stdout) == (1, "0 sent, 0 failed, 1 still wait\n")
    assert post.messages.outbox.counts()["queued"] == 1
    post.messages.close()


def test_what_was_accepted_to_be_shown_is_never_sent(lake: Lake, templates: Path) -> None:
    post = Post(lake, templates)
    post.messages.outbox.add(row_of(kind="console", body="a developer's"))
    post.messages.outbox.add(
        row_of(kind="live", body="for real", outbox_id=OTHER_ID, key="k2", twin="t2")
    )
    with Provider() as provider:
        sent = outbox(lake, "send", LAKEWARD_TWILIO_ENDPOINT=provider.url, **TWILIO)
        assert sent.stdout == "1 sent, 0 failed, 1 still wait\n", sent.stderr
        assert provider.texts() == ["for real"]
    post.messages.close()


def test_a_key_that_was_shown_is_still_to_be_sent(lake: Lake, templates: Path) -> None:
    post = Post(lake, templates)
    collector = lake.collector()
    with Messages(collector.settings, collector, templates=templates) as shown:
        given = {"channel": "sms", "to": PHONE, "values": {"code": CODE}, "key": "k"}
        assert shown.send("verification", **given) != post.code("k")  # type: ignore[arg-type] # named
    wait_until(lambda: post.pigeon.messages)
    post.messages.close()


def test_only_the_provider_that_may_have_it_is_asked_for_a_message(
    lake: Lake, templates: Path
) -> None:
    post = Post(lake, templates)
    unsure = row_of(state="unsure", provider="twilio", attempts=1)
    post.messages.outbox.add(unsure)
    assert post.messages.drain() == 0
    assert post.messages.outbox.resend(unsure.outbox_id, FAR_MS - 10**12)
    post.messages.close()
    assert post.pigeon.messages == []


# Leftovers


def test_leftovers_of_every_channel_go_when_a_worker_starts(lake: Lake, templates: Path) -> None:
    post = Post(lake, templates)
    post.messages.outbox.add(row_of())
    post.messages.outbox.add(
        row_of(channel="email", address=EMAIL, outbox_id=OTHER_ID, key="k2", twin="t2")
    )
    post.messages.start()
    wait_until(lambda: len(post.pigeon.messages) == 2)
    post.messages.close()


def test_leftovers_of_another_channel_go_with_the_first_message(
    lake: Lake, templates: Path
) -> None:
    post = Post(lake, templates)
    post.messages.outbox.add(row_of(channel="email", address=EMAIL))
    post.code()
    wait_until(lambda: len(post.pigeon.messages) == 2)
    post.messages.close()


def test_starting_while_the_database_is_away_raises_nothing(
    lake: Lake, templates: Path, free_port: int
) -> None:
    url = f"postgresql://u:p@127.0.0.1:{free_port}/d"
    post = Post(lake, templates, LAKEWARD_DATABASE_URL=url)
    post.messages.start()
    post.messages.close()


def test_a_message_that_is_sent_again_has_a_day_of_its_own(lake: Lake, templates: Path) -> None:
    post = Post(lake, templates, timing=Timing(pause=10))
    old = row_of(state="unsure", due_at=None, attempts=3, provider="pigeon")
    post.messages.outbox.add(old)
    now_ms = post.collector.now_ns() // 1_000_000
    assert now_ms - old.created_at > Timing().give_up
    assert post.messages.outbox.resend(old.outbox_id, now_ms)
    post.pigeon.failures = [Transient("away")]
    post.messages.start()
    wait_until(lambda: not post.messages.outbox.waiting())
    [row] = post.told()
    assert (row["status"], row["attempt"]) == ("sent", 5)


# What is told


def test_what_the_ring_has_no_room_for_is_told_later_and_once(lake: Lake, templates: Path) -> None:
    full = Post(lake, templates, None, **NO_KEEPER)
    while full.collector.record("hello") is not None:
        pass
    full.code()
    wait_until(lambda: full.messages.outbox.counts()["sent"])
    full.messages.close()
    assert len(full.messages.outbox.unrecorded(FAR_MS)) == 1
    later = Post(lake, templates, timing=Timing(lease=0))
    later.messages.drain()
    assert later.messages.outbox.unrecorded(FAR_MS) == []
    later.messages.drain()
    assert [row["status"] for row in later.told()] == ["sent"]
    assert later.pigeon.messages == []


# Receipts


@pytest.mark.parametrize(
    ("answer", "left_out"),
    [
        (Receipt(message_id="", price="0.01", currency="USD"), "message_id"),
        (Receipt(message_id=17), "message_id"),  # type: ignore[arg-type] # on purpose, as all below
        (Receipt(message_id="a\0b", segments=1), "message_id"),
        (Receipt(message_id="P", price="free", currency="dollars"), "price, currency"),
        (Receipt(message_id="P", price="nan", currency="usd"), "price, currency"),
        (Receipt(message_id="P", price="1" * 40), "price"),
        (Receipt(message_id="P", price=["1"]), "price"),  # type: ignore[arg-type]
        (Receipt(message_id="P", segments=-1), "segments"),
        (Receipt(message_id="P", segments=2**70), "segments"),
        (Receipt(message_id="P", segments="two"), "segments"),  # type: ignore[arg-type]
        (None, "all of it"),
        ({"message_id": "P"}, "all of it"),
    ],
)
def test_a_receipt_that_is_invalid_leaves_the_message_sent(
    lake: Lake, templates: Path, answer: object, left_out: str, caplog: pytest.LogCaptureFixture
) -> None:
    post = Post(lake, templates, timing=Timing(ask=10, pause=10))
    post.pigeon.answers = [answer]
    outbox_id = post.code()
    wait_until(lambda: not post.messages.outbox.waiting())
    row = post.messages.outbox.find(str(outbox_id))
    assert row is not None
    assert (row.state, row.attempts) == ("sent", 1)
    assert (row.reason or "").endswith(f": {left_out}")
    [told] = post.told()
    assert told["status"] == "sent"
    assert len(post.pigeon.messages) == 1
    assert [one for one in caplog.messages if one.endswith(left_out)]
    assert lake.quarantined() == []


def test_a_receipt_may_be_in_numbers_and_its_id_long(lake: Lake, templates: Path) -> None:
    post = Post(lake, templates)
    given = Receipt(message_id="P" * 300, price=Decimal("-0.0075"), currency="USD")  # type: ignore[arg-type]
    post.pigeon.answers = [given]
    post.code()
    [told] = post.told()
    assert (told["status"], told["price"], told["currency"]) == ("sent", 0.0075, "USD")
    assert str(told["message_id"]).startswith("blake2b-")


def test_what_a_carrier_raises_may_hold_nonsense(lake: Lake, templates: Path) -> None:
    post = Post(lake, templates, timing=Timing(pause=10))
    post.pigeon.failures = [Throttled("later", float("nan")), Rejected("no\0 \ud83d")]
    post.code()
    [told] = post.told_when_final()
    assert (told["status"], told["reason"]) == ("failed", "refused (Rejected)")


# doctor


def doctor(lake: Lake, *arguments: str, **env: str) -> str:
    words = [sys.executable, "-m", "lakeward.cli", "doctor", *arguments]
    done = subprocess.run(
        words, env=lake.process_env(**env), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_doctor_says_how_many_messages_wait_and_what_carries_them(
    lake: Lake, templates: Path
) -> None:
    collector = lake.collector()
    collector.commit()
    assert "messages" not in doctor(lake)
    post = Post(lake, templates)
    post.messages.outbox.add(row_of(kind="live"))
    post.messages.outbox.add(
        row_of(outbox_id=OTHER_ID, key="k2", kind="own", state="unsure", due_at=None)
    )
    assert (
        "messages  2 wait (1 live, 1 own), 1 of them unsure, the oldest of "
        "2025-11-24T16:00:00.000Z; sms console, email console\n"
    ) in doctor(lake)
    said = doctor(lake, **TWILIO)
    assert "; sms configured, email needs SENDGRID_API_KEY, SENDGRID_FROM_EMAIL\n" in said
    assert PHONE not in said
    found = json.loads(doctor(lake, "--format", "json"))["messages"]
    assert (found["waiting"], found["unsure"]) == (2, 1)
    post.messages.close()


def test_doctor_says_so_where_the_database_is_away(lake: Lake, free_port: int) -> None:
    lake.collector().commit()
    url = f"postgresql://u:secret@127.0.0.1:{free_port}/d"
    said = doctor(lake, LAKEWARD_DATABASE_URL=url)
    assert "messages  cannot be looked at: the database of LAKEWARD_DATABASE_URL" in said
    assert "secret" not in said


# Forks


FORKS = """
import os, sys, threading
from lakeward.messaging import gate as room

room.WAIT_SECONDS = 0.2
first, inside, go = threading.get_ident(), threading.Event(), threading.Event()

def hold():  # registered before the gate, so called after it: the first fork stands still there
    if threading.get_ident() == first:
        inside.set()
        go.wait(120)

os.register_at_fork(before=hold)
gate = room.Gate()
os.register_at_fork(
    before=gate.before_fork, after_in_parent=gate.after_in_parent,
    after_in_child=gate.after_in_child,
)

def fork():
    pid = os.fork()
    if pid == 0:
        with gate.passing():
            os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0

def second():
    inside.wait(120)
    fork()  # the first holds the gate: this one gives up waiting, and forks
    go.set()

other = threading.Thread(target=second)
other.start()
fork()
other.join(120)
passed = threading.Event()

def passes():
    with gate.passing():
        passed.set()

threading.Thread(target=passes, daemon=True).start()
os._exit(0 if passed.wait(60) else 1)
"""


def test_of_two_forks_at_once_one_that_gives_up_waiting_leaves_the_gate_open() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
