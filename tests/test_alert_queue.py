"""The queue of what is told: tried again, given up, in its order; a channel that fails holds up no
other; and no address stands anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from alerted import T0, Office, well, wrong
from conftest import Lake
from databases import Store
from hooks import Receiver
from lakeward.alerts.channels import Channels
from lakeward.alerts.delivery import LEASE_MS
from lakeward.alerts.desk import Desk
from lakeward.alerts.notifier import Notice
from lakeward.alerts.taking import Taking
from lakeward.alerts.telling import telling_of
from lakeward.errors import Rejected, Terminal, Throttled, Transient
from lakeward.settings import load
from lakeward.store.tellings import Telling
from provider import Provider
from test_alert_notifiers import SECRET, SIGN, Stand


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


def test_a_failure_is_tried_again_by_another_process_until_a_day_is_over(store: Store) -> None:
    office = Office(store)
    office.listeners[0].error = Transient("the receiver of SLACK answers 500")
    office.take(wrong(at=0))
    (row,) = office.desk.queue.failed(0)
    assert (row.attempts, row.reason) == (1, "the receiver of SLACK answers 500")
    assert row.due_at == office.now + 30_000
    later = Office(store)
    assert later.step(at=6) == row.due_at
    assert later.heard() == []
    later.step(at=7)
    assert later.heard() == ["opened"]
    later.listeners[0].error = Throttled("slowly", 900)
    later.take(wrong("type:click count", at=60))
    (row,) = later.desk.queue.failed(0)
    assert row.due_at == later.now + 900_000
    later.step(at=60 + 1440)
    (row,) = later.desk.queue.failed(0)
    assert (row.state, row.reason) == ("failed", "given up after a day: slowly")
    assert later.desk.queue.counts(0) == {"queued": 0, "told": 1, "failed": 1}
    later.step(at=60 + 1600)
    assert later.heard() == []


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_what_a_receiver_refuses_has_failed_at_once_and_holds_up_nothing(store: Store) -> None:
    office = Office(store)
    office.listeners[0].error = Rejected("the receiver of SLACK answers 400")
    office.take(wrong(at=0))
    assert office.desk.queue.counts(0)["failed"] == 1
    office.listeners[0].error = None
    office.take(wrong("type:click count", at=60))
    assert office.heard() == ["opened"]
    (failed,) = [one for one in office.desk.queue.failed(0) if one.state == "failed"]
    assert failed.reason == "the receiver of SLACK answers 400"


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_one_channel_that_fails_keeps_no_other_from_hearing(store: Store) -> None:
    office = Office(store, [{"by": "slack", "url_env": "A"}, {"by": "webhook", "url_env": "B"}])
    office.listeners[0].error = Terminal("gone")
    office.take(wrong(at=0))
    assert office.heard(1) == ["opened"]
    (row,) = office.collector.records
    assert row["analysis"]["notified"] == ["webhook"]


def test_what_is_told_late_is_told_in_its_order(store: Store) -> None:
    office = Office(store)
    office.listeners[0].error = Transient("away")
    office.take(wrong(at=0))
    for at in (8, 10, 14):
        office.step(at=at)
    office.listeners[0].error = None
    office.take(well(at=10))
    assert office.heard() == []  # the news that it is over waits for the news of it
    office.step(at=40)
    assert office.heard() == ["opened", "resolved"]


FIVE = [f"route:/{letter} errors" for letter in "abcde"]


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_channel_that_asks_to_be_left_alone_is_asked_once(store: Store) -> None:
    office = Office(store)
    ear = office.listeners[0]
    ear.error = Throttled("slowly", 600)
    for n, series in enumerate(FIVE):
        with office.desk.table.working() as work:
            Taking(work, office.telling, T0).take([wrong(series, at=-n * 6, begins=True)])
    office.now = T0
    due = office.desk.step(T0)
    assert due == T0 + 600_000
    assert sorted(one.attempts for one in rows(office)) == [0, 0, 0, 0, 1]
    assert office.desk.step(T0 + 599_000) == due
    ear.error = Transient("away")  # the others wait for the first pause, however often one failed
    assert office.desk.step(due) == due + 30_000
    assert office.desk.step(due + 29_999) == due + 30_000
    assert sum(one.attempts for one in rows(office)) == 2
    ear.error = None
    office.desk.step(due + 60_000)
    assert office.heard() == ["opened"] * 5


def rows(office: Office) -> list[Telling]:
    """Every telling of every incident."""
    return [one for known in office.all() for one in office.desk.queue.of(known.incident_id)]


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_lease_counts_from_when_it_is_taken_however_long_the_look_was(store: Store) -> None:
    office, clock, told = Office(store), [T0 + 360_000], list[str]()
    channel = office.telling.channels[0].channel_id

    class Slow:
        def tell(self, notice: Notice) -> None:
            told.append(notice.notice_id)
            clock[0] += 20_000
            second.step(clock[0])

        def close(self) -> None:
            """Nothing is held."""

    def desk(ear: Any) -> Desk:
        return Desk(
            office.database, office.telling, {channel: ear}, office.collector,
            clock=lambda: clock[0],
        )  # fmt: skip

    second = desk(office.listeners[0])
    began, clock[0] = clock[0], clock[0] + LEASE_MS - 10_000  # a look over a great lake
    desk(Slow()).take([wrong(at=0)], began)
    assert (len(told), office.heard()) == (1, [])
    (row,) = rows(office)
    assert (row.state, row.final_at) == ("told", clock[0])


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_telling_that_waits_for_an_earlier_one_is_not_due(store: Store) -> None:
    office = Office(store)
    office.listeners[0].error = Transient("away")
    office.take(wrong(at=0))
    for at in (7, 9, 12):
        due = office.step(at=at)
    office.take(well(at=8))
    assert office.desk.queue.next_due([office.telling.channels[0].channel_id]) == due
    assert due is not None
    assert due > office.now


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_variable_that_is_not_set_holds_up_its_own_channel_until_it_is(
    store: Store, receiver: Receiver
) -> None:
    telling = telling_of([{"by": "slack", "url_env": "OPS_URL"}], None, "alerts.toml")
    office = Office(store)
    settings = load(store.env, store.lake.parent)

    def step(environ: dict[str, str], at: int, *signals: Any) -> Desk:
        with Channels(telling, settings, lambda: office.collector, environ) as channels:
            desk = Desk(office.database, telling, channels.named, office.collector)
            desk.take(signals, T0 + at * 60_000)
            return desk

    desk = step({"OPS_URL": "your-key"}, 6, wrong(at=0))
    (row,) = desk.queue.failed(0)
    assert row.reason == "the variable OPS_URL is not set, here or in the .env file"
    (store.lake.parent / ".env.development").write_text(
        f"OPS_URL=http://127.0.0.1:{receiver.port}/{SIGN}\n"
    )
    step({}, 8)
    assert [got.path for got in receiver.taken] == [f"/{SIGN}"]
    assert SIGN.encode() not in store.raw()


def test_a_telling_holds_no_secret_wherever_it_is_kept(
    lake: Lake, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    with Provider() as provider:
        stand = Stand("webhook", lake, receiver, provider)
        receiver.answer = lambda _: (500, {})
        store = Store(lake.root.parent, "")
        office = Office(store, [{"by": "webhook", "url_env": "OPS", "secret_env": "OPS_SECRET"}])
        desk = Desk(office.database, office.telling, stand.channels.named, office.collector)
        desk.take([wrong(at=0)], T0 + 360_000)
        stand.channels.close()
    assert desk.queue.counts(0)["queued"] == 1
    raw = store.raw() + caplog.text.encode() + str(office.collector.records).encode()
    assert SIGN.encode() not in raw
    assert SECRET.encode() not in raw
