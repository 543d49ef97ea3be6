"""One contract for all carriers, against a server that fails in every way, and Twilio's and
SendGrid's own API descriptions."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lakeward.errors import LakewardError, Rejected, SettingError, Throttled, Transient, Unsure
from lakeward.messaging import Carrier, Message, Receipt
from lakeward.messaging.carriers import Carried, configured
from lakeward.messaging.console import Console
from lakeward.messaging.mail import SendGridCarrier
from lakeward.messaging.message import Channel
from lakeward.messaging.sms import TRIAL, TwilioCarrier
from lakeward.settings import load
from provider import Provider

HERE = Path(__file__).parent
PRISM = HERE / "clients/node_modules/.bin/prism"
PHONE, EMAIL = "+15125550123", "grace@example.com"
STOP = "https://data.example.com/w/token/stop"
ACCOUNT, TOKEN = "AC" + "0" * 32, "t" * 32
Make = Callable[[str], Carrier]
MAKERS: dict[str, tuple[Channel, Make]] = {
    "twilio": ("sms", lambda url: TwilioCarrier(ACCOUNT, TOKEN, url)),
    "sendgrid": ("email", lambda url: SendGridCarrier("SG.k", url)),
}


def message(
    channel: Channel, text: str = "Your code is 739104.", unsubscribe: str | None = None
) -> Message:
    to, sender = (PHONE, "+15125550100") if channel == "sms" else (EMAIL, "app@example.com")
    return Message(
        outbox_id="01a21b5e-9f5c-7d30-8a52-5a0f5b0b6a55", channel=channel, to=to, sender=sender,
        subject="" if channel == "sms" else "Welcome", text=text,
        html=None if channel == "sms" else "<p>Your code</p>", template="verification",
        unsubscribe=unsubscribe,
    )  # fmt: skip


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as running:
        yield running


@pytest.fixture(params=["twilio", "sendgrid"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def carried(kind: str, provider: Provider) -> Iterator[tuple[Carrier, Message]]:
    channel, make = MAKERS[kind]
    carrier = make(provider.url)
    yield carrier, message(channel)
    carrier.close()


def failure(carrier: Carrier, sent: Message) -> LakewardError:
    with pytest.raises(LakewardError) as caught:
        carrier.send(sent)
    assert sent.to not in str(caught.value)
    assert TOKEN not in str(caught.value)
    return caught.value


# The contract


@pytest.mark.parametrize("name", ["twilio", "sendgrid", "console"])
def test_a_message_that_is_taken_has_a_receipt_with_the_providers_id(
    name: str, provider: Provider
) -> None:
    channel, make = MAKERS.get(name, ("sms", lambda _: Console(io.StringIO())))
    carrier = make(provider.url)
    receipt = carrier.send(message(channel))
    assert isinstance(receipt, Receipt)
    assert receipt.message_id
    assert carrier.name == name
    carrier.close()
    carrier.close()


@pytest.mark.parametrize("status", [500, 501, 503, 408, 401, 403, 302])
def test_an_answer_that_nothing_was_taken_is_transient(
    status: int, provider: Provider, carried: tuple[Carrier, Message]
) -> None:
    provider.plan.append(status)
    assert isinstance(failure(*carried), Transient)
    assert len(provider.headers) == 1, "the package tried again"


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_an_answer_that_the_message_will_not_do_is_rejected(
    status: int, provider: Provider, carried: tuple[Carrier, Message]
) -> None:
    provider.plan.append(status)
    error = failure(*carried)
    assert isinstance(error, Rejected)
    assert str(status) in str(error)


@pytest.mark.parametrize("status", [429, 503])
def test_an_answer_to_wait_says_how_long(
    status: int, provider: Provider, carried: tuple[Carrier, Message]
) -> None:
    provider.plan.append(status)
    provider.retry_after = "17"
    error = failure(*carried)
    assert isinstance(error, Throttled)
    assert error.seconds == 17


@pytest.mark.parametrize("step", [502, 504, "cut", "drop"])
def test_a_request_without_the_providers_own_answer_is_unsure(
    step: int | str, provider: Provider, carried: tuple[Carrier, Message]
) -> None:
    provider.plan.append(step)
    assert isinstance(failure(*carried), Unsure)
    assert len(provider.headers) == 1, "the package tried again"


def test_a_provider_that_is_not_reached_took_nothing(kind: str, free_port: int) -> None:
    channel, make = MAKERS[kind]
    error = failure(make(f"http://127.0.0.1:{free_port}"), message(channel))
    assert isinstance(error, Transient)


# What is each one's own


def test_twilio_tells_what_it_took_by_recipient_and_text(provider: Provider) -> None:
    carrier = TwilioCarrier(ACCOUNT, TOKEN, provider.url)
    mine, before = message("sms"), round(time.time() * 1000) - 1000
    first = carrier.send(mine)
    carrier.send(message("sms", "another text"))
    second = carrier.send(message("sms", TRIAL + mine.text))
    found = carrier.sent(mine, before)
    assert [one.message_id for one in found] == [first.message_id, second.message_id]
    assert carrier.sent(mine, before + 3_600_000) == []
    provider.plan.append("list 500")
    with pytest.raises(Transient):
        carrier.sent(mine, before)


def test_sendgrid_cannot_be_asked(provider: Provider) -> None:
    with pytest.raises(Unsure):
        SendGridCarrier("SG.k", provider.url).sent(message("email"), 0)


def test_an_e_mail_carries_text_html_and_the_outbox_id(provider: Provider) -> None:
    SendGridCarrier("SG.k", provider.url).send(message("email"))
    [body] = provider.bodies
    assert [part["type"] for part in body["content"]] == ["text/plain", "text/html"]
    assert body["personalizations"][0]["custom_args"] == {"outbox_id": message("email").outbox_id}
    assert provider.headers[0]["Authorization"] == "Bearer SG.k"
    assert "headers" not in body


def test_an_e_mail_tells_mail_programs_where_to_unsubscribe(provider: Provider) -> None:
    carrier = SendGridCarrier("SG.k", provider.url)
    carrier.send(message("email", unsubscribe=STOP))
    carrier.send(message("email", unsubscribe=STOP.replace("https", "http")))
    assert [body["headers"] for body in provider.bodies] == [
        {"List-Unsubscribe": f"<{STOP}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
        {"List-Unsubscribe": f"<{STOP.replace('https', 'http')}>"},  # one click is for https alone
    ]


def test_the_console_shows_a_message_in_a_frame_and_steers_no_terminal() -> None:
    out = io.StringIO()
    Console(out).send(message("sms", "one\n\x1b[31mtwo"))
    assert "│ one\n│ \N{REPLACEMENT CHARACTER}[31mtwo\n└─" in out.getvalue()


# Which carrier


def chosen(folder: Path, **env: str) -> dict[Channel, Carried | str]:
    return configured(load(env, folder), {})


LIVE = {"LAKEWARD_ENV": "production"}
TWILIO = {
    "TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_AUTH_TOKEN": TOKEN, "TWILIO_PHONE_NUMBER": "+1512"
}  # fmt: skip


def test_development_has_the_console_and_production_what_is_set_up(tmp_path: Path) -> None:
    for one in chosen(tmp_path).values():
        assert isinstance(one, Carried)
        assert one.carrier.name == "console"
    found = chosen(tmp_path, **LIVE, **TWILIO)
    assert isinstance(found["sms"], Carried)
    assert (found["sms"].carrier.name, found["sms"].sender) == ("twilio", "+1512")
    assert found["email"] == (
        "email is not set up: SENDGRID_API_KEY, SENDGRID_FROM_EMAIL must be set"
    )


def test_production_without_credentials_says_which_are_missing(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"TWILIO_ACCOUNT_SID.*SENDGRID_API_KEY"):
        chosen(tmp_path, **LIVE, SENDGRID_API_KEY="your-key")
    with pytest.raises(SettingError, match=r"sms is not set up: TWILIO_AUTH_TOKEN must be set"):
        chosen(tmp_path, **LIVE, **TWILIO | {"TWILIO_AUTH_TOKEN": "<token>"})


# Against the providers' own descriptions


def prism(spec: str, folder: Path) -> Iterator[str]:
    """Prism, which answers 422 to what the description does not allow."""
    node = Path(sys.executable).parent / "node"
    if not PRISM.exists() or not (node.exists() or shutil.which("node")):
        pytest.skip("Prism is not installed: npm ci in tests/clients")
    described = folder / spec
    described.write_bytes(gzip.decompress((HERE / f"data/openapi/{spec}.gz").read_bytes()))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with (folder / "prism.log").open("wb") as log:
        process = subprocess.Popen(
            [PRISM, "mock", "-h", "127.0.0.1", "-p", str(port), described],
            stdout=log, stderr=log, env={**os.environ, "PATH": path}, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 90
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, (folder / "prism.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # `node` may be a launcher with a child
        process.wait(120)


@pytest.fixture
def twilio_described(tmp_path: Path) -> Iterator[str]:
    yield from prism("twilio_api_v2010.json", tmp_path)


@pytest.fixture
def sendgrid_described(tmp_path: Path) -> Iterator[str]:
    yield from prism("tsg_mail_v3.json", tmp_path)


def test_twilios_description_takes_what_is_sent_and_asked(twilio_described: str) -> None:
    carrier = TwilioCarrier(ACCOUNT, TOKEN, twilio_described)
    assert carrier.send(message("sms")).message_id.startswith(("SM", "MM"))
    assert carrier.sent(message("sms"), 0) == []
    broken = Message(outbox_id="o", channel="sms", to=PHONE, sender="", text="x")
    with pytest.raises(LakewardError):
        TwilioCarrier("nobody", TOKEN, twilio_described).send(broken)


def test_sendgrids_description_takes_what_is_sent(sendgrid_described: str) -> None:
    carrier = SendGridCarrier("SG.k", sendgrid_described)
    assert carrier.send(message("email")).message_id
    assert carrier.send(message("email", unsubscribe=STOP)).message_id
    with pytest.raises(Rejected):
        carrier.send(Message(outbox_id="o", channel="email", to="nobody", sender="x", text=""))
