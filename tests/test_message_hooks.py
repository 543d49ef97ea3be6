"""Providers tell what became of messages: heard when they signed it, once, and heeded."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twilio.request_validator import RequestValidator

from conftest import Lake, wait_until
from databases import Store
from lakeward.confidence import hooks
from lakeward.errors import Rejected, SettingError
from server_process import Serving, serving
from test_invitations import Office, ways
from witnessed import NOON_MS

TOKEN = "twilio-token-4711"
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC_KEY = base64.b64encode(
    KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()
URL = "https://data.example.com/hooks/twilio"
NAME = b"x-twilio-email-event-webhook-"


@pytest.fixture
def office(store: Store) -> Iterator[Office]:
    made = Office(store, twilio_auth_token=TOKEN, sendgrid_webhook_key=PUBLIC_KEY)
    yield made
    made.close()


def twilio(office: Office, **fields: str) -> int:
    """Heed what Twilio tells and signs."""
    signature = RequestValidator(TOKEN).compute_signature(URL, fields)
    hooks.check_twilio(office.desk, URL, fields, signature)
    read = hooks.answered_by_sms if "Body" in fields else hooks.told_by_twilio
    return hooks.heed(office.desk, read(office.desk, fields))


def signed(body: bytes, moment: int) -> dict[bytes, bytes]:
    raw = KEY.sign(str(moment).encode() + body, ec.ECDSA(hashes.SHA256()))
    return {NAME + b"signature": base64.b64encode(raw), NAME + b"timestamp": b"%d" % moment}


def sendgrid(office: Office, *events: dict[str, Any], late_s: int = 0) -> int:
    """Heed what SendGrid tells and signs."""
    body = msgspec.json.encode(events)
    headers = signed(body, office.clock.now_ms // 1000 - late_s)
    return hooks.heed(office.desk, hooks.told_by_sendgrid(office.desk, headers, body))


def sent_id(office: Office) -> str:
    return f"shelf-{len(office.shelf.messages)}"


def test_a_delivered_message_is_noted_once(office: Office) -> None:
    seen = office.invite()
    office.round()
    told = {"MessageSid": sent_id(office), "MessageStatus": "delivered", "To": "+15125550100"}
    assert twilio(office, **told) == 1
    assert office.again(seen).delivered_at is not None
    assert twilio(office, **told) == 0  # a replay, or a provider that was not sure
    events = [fields for kind, fields in office.told() if kind == "message_event"]
    assert [(one["event"], one["provider"], one["channel"]) for one in events] == [
        ("delivered", "twilio", "sms")
    ]
    assert events[0]["outbox_id"] == office.again(seen).outbox_id
    assert "5550100" not in repr(events)


def test_an_undelivered_sms_makes_the_mail_the_way(office: Office) -> None:
    office.invite()
    office.round()
    for status in ("undelivered", "failed"):
        twilio(office, MessageSid="shelf-1", MessageStatus=status, ErrorCode="30003")
    assert ways(office.round()) == [("email", "invite-employee")]
    assert office.round() == []


def test_a_bounced_mail_of_somebody_without_a_number_ends_it(office: Office) -> None:
    from lakeward.confidence.desk import Told

    seen = office.invite("reference", Told(email="bo@example.com"))
    office.round()
    bounce = {"event": "bounce", "email": "bo@example.com", "sg_event_id": "e1", "timestamp": 1,
              "sg_message_id": "x.y", "outbox_id": office.again(seen).outbox_id}  # fmt: skip
    assert sendgrid(office, bounce) == 1
    office.round()
    assert (office.again(seen).state, office.again(seen).reason) == ("failed", "bounced")


@pytest.mark.parametrize("word", ["STOP", "stop.", " Unsubscribe ", "QUIT", "StopAll"])
def test_who_answers_stop_is_left_alone_and_start_ends_that(office: Office, word: str) -> None:
    seen = office.invite("employee", _phone_only())
    assert twilio(office, MessageSid="in-1", From="+15125550100", Body=word) == 1
    assert office.round() == []
    assert office.again(seen).reason == "opted out"
    assert twilio(office, MessageSid="in-2", From="+15125550100", Body="Start") == 1
    office.invite("employee", _phone_only())
    assert len(office.round()) == 1


def _phone_only() -> Any:
    from lakeward.confidence.desk import Told

    return Told(phone="+15125550100")


def test_what_else_people_answer_stops_nothing(office: Office) -> None:
    office.invite("employee", _phone_only())
    for word in ("Please do not stop", "thanks", "", "stop it"):
        assert twilio(office, MessageSid="in-3", From="+15125550100", Body=word) == 0
    assert len(office.round()) == 1


@pytest.mark.parametrize("event", ["spamreport", "unsubscribe", "group_unsubscribe"])
def test_who_complains_of_a_mail_is_left_alone_there(office: Office, event: str) -> None:
    told = {"event": event, "email": "Ada@Example.com", "sg_event_id": event, "timestamp": 1}
    assert sendgrid(office, told) == 1
    assert sendgrid(office, told) == 0
    office.invite()
    assert ways(office.round()) == [("sms", "invite-employee")]
    office.clock.on(4)
    assert ways(office.round()) == [("sms", "remind-employee")]


def test_several_events_come_at_once_and_unknown_ones_are_passed_over(office: Office) -> None:
    names = ("processed", "open", "click", "deferred", "from_the_future")
    events = [{"event": name, "email": "x@y.example", "sg_event_id": name} for name in names]
    assert sendgrid(office, *events) == 4


def test_what_is_not_signed_by_the_provider_is_not_heard(office: Office) -> None:
    fields = {"MessageSid": "shelf-1", "MessageStatus": "delivered"}
    good = RequestValidator(TOKEN).compute_signature(URL, fields)
    for url, told, signature in (
        (URL, fields, ""),
        (URL, fields, RequestValidator("other").compute_signature(URL, fields)),
        (URL, {**fields, "MessageStatus": "failed"}, good),
        ("https://evil.example/hooks/twilio", fields, good),
    ):
        with pytest.raises(hooks.Forged):
            hooks.check_twilio(office.desk, url, told, signature)
    body = b"[]"
    now = office.clock.now_ms // 1000
    headers = signed(body, now)
    for wrong in (
        {},
        signed(b"[ ]", now),
        headers | {NAME + b"timestamp": b"%d" % (now + 1)},
        headers | {NAME + b"signature": b"AAAA"},
        headers | {NAME + b"signature": b"\xff"},
    ):
        with pytest.raises(hooks.Forged):
            hooks.told_by_sendgrid(office.desk, wrong, body)


@pytest.mark.parametrize("late", [601, -700])
def test_what_was_signed_long_ago_is_not_heard_again(office: Office, late: int) -> None:
    with pytest.raises(hooks.Forged, match="too long ago"):
        sendgrid(office, {"event": "open", "sg_event_id": "e"}, late_s=late)


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"[1]", b"\xff", b'[{"event":1}]'])
def test_a_signed_body_that_is_no_list_of_events_is_refused(office: Office, body: bytes) -> None:
    headers = signed(body, office.clock.now_ms // 1000)
    with pytest.raises((Rejected, hooks.Forged)):
        hooks.told_by_sendgrid(office.desk, headers, body)


def test_without_a_key_to_check_with_nothing_is_believed(store: Store) -> None:
    office = Office(store)
    with pytest.raises(SettingError, match="TWILIO_AUTH_TOKEN"):
        hooks.check_twilio(office.desk, URL, {}, "x")
    with pytest.raises(SettingError, match="LAKEWARD_SENDGRID_WEBHOOK_KEY"):
        hooks.told_by_sendgrid(office.desk, {}, b"[]")
    office.close()
    wrong = Office(store, sendgrid_webhook_key="bm8ga2V5")
    with pytest.raises(SettingError, match="no public key"):
        hooks.told_by_sendgrid(wrong.desk, {}, b"[]")
    wrong.close()


def test_an_event_whose_work_was_cut_off_is_heard_when_it_is_told_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = office.invite()
    office.round()
    told = {"MessageSid": "shelf-1", "MessageStatus": "delivered"}
    with monkeypatch.context() as broken:
        broken.setattr(office.desk.opt_outs, "tell", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            twilio(office, **told)
    assert twilio(office, **told) == 1
    assert office.again(seen).delivered_at is not None


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lake, Serving]]:
    folder = tmp_path_factory.mktemp("hooks")
    lake = Lake(folder / "data-lake", folder / "rings")
    (folder / "rings").mkdir(mode=0o700)
    lake.env |= {"TWILIO_AUTH_TOKEN": TOKEN, "LAKEWARD_SENDGRID_WEBHOOK_KEY": PUBLIC_KEY,
                 "LAKEWARD_PUBLIC_URL": "https://data.example.com"}  # fmt: skip
    with serving(lake) as server:
        yield lake, server
    lake.close()


def post(server: Serving, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
    with server.client() as client:
        return client.post(path, content=body, headers=headers)


def test_over_http_twilio_is_answered_in_its_own_words(served: tuple[Lake, Serving]) -> None:
    lake, server = served
    fields = {"MessageSid": "SM1", "MessageStatus": "delivered", "To": "+15125550100"}
    signature = RequestValidator(TOKEN).compute_signature(URL, fields)
    said = {"content-type": "application/x-www-form-urlencoded", "x-twilio-signature": signature}
    body = urlencode(fields).encode()
    answer = post(server, "/hooks/twilio", body, said)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/xml"
    assert answer.text.endswith("<Response></Response>")
    for path, content in (("/hooks/twilio/incoming", body), ("/hooks/twilio", body + b"&x=1")):
        refused = post(server, path, content, said)
        assert (refused.status_code, refused.json()["code"]) == (403, "bad_signature")
    wait_until(lambda: any(row["interaction_type"] == "message_event" for row in lake.rows()),
               what="the lake")  # fmt: skip


def test_over_http_sendgrid_is_told_how_much_was_new(served: tuple[Lake, Serving]) -> None:
    import time

    body = msgspec.json.encode([{"event": "open", "email": "a@b.example", "sg_event_id": "h1"}])
    headers = {name.decode(): value.decode() for name, value in
               signed(body, int(time.time())).items()}  # fmt: skip
    assert post(served[1], "/hooks/sendgrid", body, headers).json() == {"new": 1}
    assert post(served[1], "/hooks/sendgrid", body, headers).json() == {"new": 0}
    late = {name.decode(): value.decode() for name, value in signed(body, NOON_MS // 10**6).items()}
    assert post(served[1], "/hooks/sendgrid", body, late).status_code == 403
    assert post(served[1], "/hooks/sendgrid", b"x" * (1 << 21), headers).status_code == 413
