"""Invitations: whom, by what, when, how often, and when not at all; through a real outbox."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from conftest import wait_until
from databases import Store
from lakeward.collector import Collector
from lakeward.confidence import form, link
from lakeward.confidence.desk import Told
from lakeward.confidence.round import come_round, send
from lakeward.confidence.sending import TEMPLATES, manner_of
from lakeward.errors import Rejected, SettingError, Terminal
from lakeward.messaging import Message, Messages, Receipt
from lakeward.store.invitations import Invitation
from lakeward.store.outbox import Outbox
from lakeward.store.responses import Answers
from witnessed import ADMIN, DAY_MS, NOON_MS, PUBLIC, Asked, sheet

ADA = Told(name="Ada", phone="+1 512 555 0100", email="Ada@example.com")


class Shelf:
    """A carrier that keeps what it is handed; `refuses` are addresses that it never takes."""

    name = "shelf"

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.refuses: set[str] = set()

    def send(self, message: Message) -> Receipt:
        if message.to in self.refuses:
            raise Rejected("the address is none")
        self.messages.append(message)
        return Receipt(message_id=f"shelf-{len(self.messages)}")

    def sent(self, message: Message, since_ms: int) -> list[Receipt]:
        return []

    def close(self) -> None:
        pass


class Office(Asked):
    """Sends through an outbox in the same database."""

    def __init__(self, store: Store, channels: tuple[Any, ...] = ("sms", "email"), **settings: Any):
        super().__init__(store, **settings)
        self.shelf = Shelf()
        self.channels = channels
        self.collector = Collector(self.settings)
        self.messages = Messages(
            self.settings, self.collector, behind=TEMPLATES,
            carriers={"sms": self.shelf, "email": self.shelf},
        )  # fmt: skip

    def round(self) -> list[Message]:
        """What one round sends."""
        before = len(self.shelf.messages)
        send(self.desk, self.messages, self.channels)
        self.messages.drain()
        outbox = Outbox(self.desk.database)  # its own thread may have one in its hands
        wait_until(lambda: not sum(outbox.kinds().values()), what="the outbox")
        return self.shelf.messages[before:]

    def close(self) -> None:
        self.messages.close()
        self.collector.close()


@pytest.fixture
def office(store: Store) -> Iterator[Office]:
    made = Office(store)
    yield made
    made.close()


def opened(store: Store, **settings: Any) -> Office:
    return Office(store, **settings)


def ways(messages: list[Message]) -> list[tuple[str, str]]:
    return [(message.channel, message.template) for message in messages]


def test_an_sms_goes_first_with_a_link_of_this_person_alone(office: Office) -> None:
    seen = office.invite()
    [message] = office.round()
    assert (message.channel, message.to) == ("sms", "+15125550100")
    address = f"{PUBLIC}/w/{link.token(seen, office.desk.secret)}"
    assert address in message.text
    assert "Hello Ada, " in message.text
    assert "Acme" in message.text
    assert "2026-12-27" in message.text
    assert "STOP" in message.text
    found = office.again(seen)
    assert (found.state, found.sends, found.channel) == ("sent", 1, "sms")
    by_link = office.desk.by_link(address.rpartition("/")[2])
    assert by_link is not None
    assert by_link.invitation_id == seen.invitation_id
    assert office.round() == []


def test_a_mail_program_can_unsubscribe_from_each_mail(office: Office) -> None:
    seen = office.invite("employee", Told(name="Bob", email="bob@example.com"))
    stop = f"{PUBLIC}/w/{link.stop_token(seen, office.desk.secret)}/stop"
    first = office.round()
    office.clock.on(4)
    mails = first + office.round()
    assert ways(mails) == [("email", "invite-employee"), ("email", "remind-employee")]
    assert [(mail.unsubscribe, stop in mail.text) for mail in mails] == [(stop, True)] * 2
    office.invite()
    [sms] = office.round()
    assert (sms.channel, sms.unsubscribe) == ("sms", None)


def test_reminders_go_by_turns_on_their_days_and_then_no_more(office: Office) -> None:
    office.invite()
    sent = [(0, office.round())]
    for day in range(1, 30):
        office.clock.on(1)
        sent.append((day, office.round()))
    told = [(day, ways(messages)) for day, messages in sent if messages]
    assert told == [
        (0, [("sms", "invite-employee")]),
        (4, [("email", "remind-employee")]),
        (10, [("sms", "remind-employee")]),
    ]


def test_who_answered_hears_no_more(office: Office) -> None:
    seen = office.invite()
    office.round()
    office.answer(seen)
    for _ in range(30):
        office.clock.on(1)
        assert office.round() == []
    assert office.again(seen).state == "answered"


def test_an_invitation_ends_when_its_time_is_up(office: Office) -> None:
    seen = office.invite()
    office.round()
    office.clock.on(30)
    office.round()
    assert office.again(seen).state == "expired"
    with pytest.raises(Terminal, match="no answer may come"):
        office.answer(seen)
    again = office.invite()
    assert again.invitation_id == seen.invitation_id
    assert not link.is_genuine(
        link.token(seen, office.desk.secret), again, office.desk.secret
    )  # the older link is worthless
    assert ways(office.round()) == [("sms", "invite-employee")]


def test_without_a_number_it_goes_by_mail_alone(office: Office) -> None:
    office.invite("reference", Told(email="bo@example.com"))
    [message] = office.round()
    assert (message.channel, message.to) == ("email", "bo@example.com")
    assert message.subject == "How was working with Acme?"
    assert "Hello," in message.text
    assert f"{PUBLIC}/w/" in message.text
    assert "/stop" in message.text
    office.clock.on(4)
    assert ways(office.round()) == [("email", "remind-reference")]


def test_a_number_that_the_provider_refuses_makes_the_mail_the_way(office: Office) -> None:
    seen = office.invite()
    office.shelf.refuses = {"+15125550100"}
    assert office.round() == []  # taken by the outbox, refused by the provider
    assert ways(office.round()) == [("email", "invite-employee")]
    assert office.again(seen).reason == "bounced sms"
    office.clock.on(4)
    assert ways(office.round()) == [("email", "remind-employee")]


def test_where_no_way_is_left_it_fails_and_says_why(office: Office) -> None:
    seen = office.invite("employee", Told(phone="+15125550100"))
    office.shelf.refuses = {"+15125550100"}
    office.round()
    office.round()
    assert (office.again(seen).state, office.again(seen).reason) == ("failed", "bounced")


@pytest.mark.parametrize(
    ("zone", "hour", "waits"),
    [("", 12, 0), ("America/New_York", 12, 2), ("Asia/Tokyo", 12, 12), ("Asia/Tokyo", 2, 0),
     ("", 21, 12), ("", 4, 5)],
)  # fmt: skip
def test_nobody_is_woken_by_the_clocks_where_the_person_is(
    store: Store, zone: str, hour: int, waits: int
) -> None:
    office = opened(store, invite_quiet="20:00-09:00")
    office.clock.now_ms = int(datetime(2026, 11, 27, hour, tzinfo=UTC).timestamp() * 1000)
    office.invite("employee", Told(phone="+15125550100", zone=zone))
    hours = 0
    while not (sent := office.round()):
        office.clock.on(1 / 24)
        hours += 1
    assert len(sent) == 1
    assert hours == waits
    office.close()


def test_the_partners_zone_counts_where_the_person_has_none(store: Store) -> None:
    office = opened(store, invite_quiet="20:00-09:00")
    office.desk.partners.upsert("p9", actor=ADMIN, zone="Asia/Tokyo")
    seen = office.invite("employee", Told(phone="+15125550100"))
    assert office.round() == []  # nine in the evening there
    assert office.again(seen).due_at == NOON_MS + 12 * 3_600_000
    office.close()


def test_a_person_gets_no_more_than_the_cap_whichever_partners_ask(store: Store) -> None:
    office = opened(store, invite_cap=2, invite_reminders=())
    for n in range(4):
        office.desk.partners.upsert(f"q{n}", actor=ADMIN, name=f"Q{n}")
        office.desk.invite(f"q{n}", "reference", [ADA], ADMIN)
    assert len(office.round()) == 2
    for _ in range(29):
        office.clock.on(1)
        assert office.round() == []
    office.close()


def test_who_wants_no_messages_gets_none_by_any_way_whoever_asks(office: Office) -> None:
    seen = office.invite()
    office.round()
    office.desk.stop(office.desk.witnesses.get(seen.witness_id), "stop")
    office.clock.on(4)
    assert office.round() == []
    assert (office.again(seen).state, office.again(seen).reason) == ("failed", "opted out")
    office.desk.partners.upsert("q1", actor=ADMIN, name="Q1")
    other, _ = office.desk.invite("q1", "reference", [ADA], ADMIN)[0]
    assert office.round() == []
    assert office.again(other).reason == "opted out"


def test_a_stopped_number_leaves_the_mail(office: Office) -> None:
    office.invite()
    office.desk.opt_outs.add(office.desk.witnesses.digest("+15125550100"), "sms", "stop")
    assert ways(office.round()) == [("email", "invite-employee")]


def test_of_two_rounds_at_once_one_sends(office: Office) -> None:
    seen = office.invite()
    desk, messages = office.desk, office.messages
    due = desk.invitations.due(desk.now_ms())
    assert [one.invitation_id for one in due] == [seen.invitation_id]
    send(desk, messages, office.channels)
    assert not desk.invitations.sent(due[0], "sms", "another", None)
    messages.drain()
    assert len(office.shelf.messages) == 1


def test_killed_between_outbox_and_invitation_the_message_goes_once(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = office.invite()

    class Killed(Exception):
        pass

    def stopped(*_: object) -> bool:
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr(office.desk.invitations, "sent", stopped)  # the process ends here
        with pytest.raises(Killed):
            send(office.desk, office.messages, office.channels)
    assert office.again(seen).sends == 0
    office.round()
    assert len(office.shelf.messages) == 1
    assert office.again(seen).sends == 1


@pytest.mark.parametrize("address", ["", "data.example.com", "https://b\xfccher.example"])
def test_without_an_address_of_the_server_nothing_goes_and_the_setting_is_named(
    store: Store, address: str
) -> None:
    office = opened(store, public_url=address)
    seen = office.invite()
    with pytest.raises(SettingError, match="LAKEWARD_PUBLIC_URL"):
        office.round()
    assert office.again(seen).state == "waiting"
    office.close()


@pytest.mark.parametrize(
    ("setting", "value"),
    [("invite_quiet", "20:00"), ("invite_quiet", "25:00-09:00"), ("invite_quiet", "9-9"),
     ("invite_reminders", ("x",)), ("invite_reminders", ("0",)), ("invite_reminders", ("30",))],
)  # fmt: skip
def test_settings_that_will_not_do_are_named(store: Store, setting: str, value: Any) -> None:
    with pytest.raises(SettingError, match=f"LAKEWARD_{setting.upper()}"):
        manner_of(Asked(store, **{setting: value}).settings)


def test_a_customer_is_asked_again_in_each_later_quarter(office: Office) -> None:
    seen = office.invite("reference")
    office.answer(seen)
    assert come_round(office.desk) == 0  # of the same quarter
    office.clock.on(40)
    assert come_round(office.desk) == 0  # the next one, but too soon
    office.clock.on(10)
    assert come_round(office.desk) == 1
    assert come_round(office.desk) == 0
    [asked] = [one for one in office.desk.invitations.of("p9") if one.form == "quarterly"]
    assert asked.period == "2027-Q1"
    assert ways(office.round()) == [("sms", "invite-quarterly")]
    office.answer(asked)
    office.clock.on(90)
    assert come_round(office.desk) == 1


def test_the_survey_comes_not_where_it_is_switched_off_nor_to_who_was_never_asked(
    store: Store,
) -> None:
    quiet = opened(store, quarterly=False)
    quiet.answer(quiet.invite("reference"))
    quiet.clock.on(100)
    assert come_round(quiet.desk) == 0
    quiet.close()
    loud = Asked(store)
    loud.clock.now_ms = NOON_MS + 100 * DAY_MS
    loud.feed("reference", 1)  # imported: nobody consented to be asked
    loud.clock.on(100)
    found = come_round(loud.desk)
    assert found == 1  # the one above, whom somebody invited


def test_a_removed_partner_is_asked_about_no_more(office: Office) -> None:
    seen = office.invite()
    office.desk.partners.remove("p9", actor=ADMIN)
    assert office.round() == []
    assert office.again(seen).state == "withdrawn"


def test_an_employee_is_not_asked_as_a_customer(office: Office) -> None:
    seen = office.invite()
    witness = office.desk.witnesses.get(seen.witness_id)
    with pytest.raises(Terminal, match="a employee is not asked|an employee is not asked"):
        office.desk.invitations.invite(witness, "reference", actor=ADMIN, lasts_ms=DAY_MS)


@pytest.mark.parametrize(
    "told",
    [Told(name="x"), Told(user_id="u1"), Told(phone="12"), Told(email="nobody"),
     Told(phone="+15125550100", email="a@b")],
)  # fmt: skip
def test_whoever_cannot_be_reached_is_refused_before_anybody_is_asked(
    office: Office, told: Told
) -> None:
    with pytest.raises((Terminal, Rejected)):
        office.invite("employee", ADA, told)
    assert office.desk.invitations.of("p9") == []
    assert office.desk.witnesses.of("p9") == []


def test_every_step_is_told_once_and_names_nobody(office: Office) -> None:
    seen = office.invite()
    office.round()
    office.desk.invitations.opened(office.again(seen))
    office.desk.invitations.opened(office.again(seen))
    office.answer(seen, strengths="We help each other.")
    told = office.told()
    changes = [(f["record"], f["change"]) for kind, f in told if kind == "confidence_change"]
    assert changes == [
        ("partner", "created"), ("person", "created"), ("invitation", "created"),
        ("invitation", "sent"), ("invitation", "opened"), ("response", "answered"),
    ]  # fmt: skip
    [feedback] = [fields for kind, fields in told if kind == "employee_feedback"]
    assert feedback["verified"] is True
    assert feedback["strengths"] == "We help each other."
    assert feedback["nps"] == 8
    text = repr(told)
    assert "555" not in text
    assert "xample.com" not in text


def test_a_link_that_was_handed_over_proves_nobody(office: Office) -> None:
    seen: Invitation = office.invite()
    assert office.answer(seen).verified == 0
    assert Outbox(office.desk.database).counts()["queued"] == 0


def test_a_survey_that_was_withdrawn_or_stopped_is_not_begun_anew(office: Office) -> None:
    office.answer(office.invite("reference"))
    office.clock.on(50)
    assert come_round(office.desk) == 1
    [asked] = [one for one in office.desk.invitations.of("p9") if one.form == "quarterly"]
    assert office.desk.invitations.end(asked, "withdrawn", "withdrawn", ADMIN)
    for _ in range(3):
        assert come_round(office.desk) == 0
        assert office.round() == []


def test_asking_again_and_again_sends_no_more_than_the_cap(store: Store) -> None:
    office = opened(store, invite_cap=3)
    sent = 0
    for _ in range(6):
        seen = office.invite()
        sent += len(office.round())
        office.desk.invitations.end(office.again(seen), "withdrawn", "withdrawn", ADMIN)
    assert sent == 3
    office.close()


def test_one_address_among_many_numbers_has_the_cap_of_one(store: Store) -> None:
    office = opened(store, invite_cap=2, invite_reminders=())
    for n in range(6):
        told = Told(phone=f"+151255501{n:02}", email="victim@example.com")
        office.invite("employee", told)
        office.desk.opt_outs.add(office.desk.witnesses.digest(f"+151255501{n:02}"), "sms", "stop")
    assert len(office.round()) == 2
    office.close()


def test_who_stops_one_way_is_sent_nothing_by_another(office: Office) -> None:
    seen = office.invite()
    assert ways(office.round()) == [("sms", "invite-employee")]
    office.desk.stop_at("sms", "+15125550100", "stop")
    assert (office.again(seen).state, office.again(seen).reason) == ("withdrawn", "opted out")
    office.clock.on(4)
    assert office.round() == []
    office.invite()
    assert office.round() == []


@pytest.mark.parametrize(
    "name",
    ["see https://evil.example", "www.evil.example", "evil.example/x", "ada@evil.example",
     "call 5125550100", "x" * 81, "a\nb"],
)  # fmt: skip
def test_a_name_that_is_an_address_stands_in_no_message(office: Office, name: str) -> None:
    with pytest.raises(Terminal, match="`name` must"):
        office.invite("employee", Told(name=name, phone="+15125550100"))


@pytest.mark.parametrize("name", ["Dr. Ada King-Noel", "J. R. R. Tolkien", "O'Neil, M.", "Zoë 2."])
def test_a_name_may_have_dots_and_dashes(office: Office, name: str) -> None:
    office.invite("employee", Told(name=name, phone="+15125550100"))
    [message] = office.round()
    assert f"Hello {name}, " in message.text


def test_a_removed_person_gets_no_message_that_was_waiting(office: Office) -> None:
    seen = office.invite()
    send(office.desk, _Kept(office.messages), office.channels)
    office.desk.witnesses.remove(seen.witness_id, actor=ADMIN)
    office.messages.drain()
    assert office.shelf.messages == []


class _Kept:
    """Puts messages into the outbox and sends none: their thread has not begun."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages

    def send(self, *given: Any, **named: Any) -> str | None:
        begin, self._messages.start = self._messages.start, lambda: None  # type: ignore[method-assign] # as a process that ends here
        try:
            return self._messages.send(*given, **named)
        finally:
            self._messages.start = begin  # type: ignore[method-assign]


def test_of_two_at_once_one_is_kept_and_nobody_is_refused(office: Office) -> None:
    desk = office.desk
    told = Told(name="Bo", email="bo@example.com")
    answers = Answers(scores={"value": 3, "delivery": 4})

    def work(n: int) -> tuple[str, str, str]:
        desk.partners.upsert("q1", actor=ADMIN, name="Q1")
        [(seen, _)] = desk.invite("q1", "quarterly", [told], ADMIN)
        response, _ = desk.import_answer("q1", "reference", told, answers, key="1", actor=ADMIN)
        return seen.invitation_id, seen.witness_id, response.response_id

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(work, range(24)))
    assert len(found) == 1
    assert len(desk.witnesses.of("q1")) == 1
    assert len(desk.responses.of("q1")) == 1


def test_who_answers_before_the_message_is_marked_as_sent_is_heard(office: Office) -> None:
    seen = office.invite()
    office.round()  # marks it between the moment the form is looked at and the one it is kept
    assert office.again(seen).sends == seen.sends + 1
    assert office.desk.invitations.keep(seen, {"value": "4"})
    office.answer(seen)
    assert office.again(seen).state == "answered"


def test_the_same_form_sent_twice_at_once_is_one_answer_and_both_are_thanked(
    office: Office,
) -> None:
    seen = office.invite()
    filled = form.read("employee", sheet("employee"))

    def work(n: int) -> str:
        response, _ = office.desk.answer(seen, filled, seconds=9.0, address="", device="")
        return response.response_id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(work, range(16)))) == 1
