"""What each channel is told, over real sockets; one contract for all of them, and what only the
ones over HTTP can meet: errors, throttling, slowness, death, redirects, foreign addresses."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from alerted import T0
from conftest import Lake, wait_until
from hooks import Receiver
from lakeward.alerts.channels import Channels
from lakeward.alerts.hook import Hook
from lakeward.alerts.notifier import Digest, Event, Notice, Notifier, Total
from lakeward.alerts.slack import Slack, message
from lakeward.alerts.telling import telling_of
from lakeward.alerts.webhook import Webhook
from lakeward.errors import (
    LakewardError,
    Rejected,
    SettingError,
    Terminal,
    Throttled,
    Transient,
)
from provider import Provider

ROOT = Path(__file__).resolve().parent.parent
SECRET = "s3cr3t of the tests"
SIGN = "T0P-s3cr3t-path"
MAIL, PHONE = "ops@example.com", "+15125550100"
BYS = ("slack", "webhook", "email", "sms")


def event(**more: Any) -> Event:
    said: dict[str, Any] = {
        "incident_id": "0198a959-c225-7f8b-8d56-238c645cadb6", "what": "opened", "state": "opened",
        "kind": "anomaly", "severity": "critical", "series": ("route:/pay errors",), "members": 1,
        "began_at": T0, "at": T0, "value": 41.0, "low": 0.0, "high": 9.0,
        "why": "41 errors in 5 minutes where 0 to 9 are usual.",
    }  # fmt: skip
    return Event(**(said | more))


def notice(*events: Event, notice_id: str = "n-1", **more: Any) -> Notice:
    return Notice(notice_id=notice_id, kind="incident", at=T0, events=events or (event(),), **more)


DIGEST = Notice(
    notice_id="d-1", kind="digest", at=T0,
    digest=Digest(
        day="2025-08-13", zone="Europe/Lisbon", opened=2, resolved=1, open=(event(what="still"),),
        open_count=1,
        totals=(Total(name="events", value=1200.0, usual=1000.0, unit="interactions"),
                Total(name="AI cost", value=1.25, usual=None, unit="USD")),
    ),
)  # fmt: skip


class Stand:
    """A channel, and the real server that it tells."""

    def __init__(self, by: str, lake: Lake, receiver: Receiver, provider: Provider) -> None:
        self.by = by
        self._receiver, self._provider = receiver, provider
        tell: dict[str, Any] = {"by": by}
        tell["to_env" if by in ("email", "sms") else "url_env"] = "OPS"
        if by == "webhook":
            tell["secret_env"] = "OPS_SECRET"
        self.value = {"email": MAIL, "sms": PHONE}.get(
            by, f"http://127.0.0.1:{receiver.port}/{SIGN}"
        )
        environ = {
            "TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "t", "LAKEWARD_MESSAGES": "live",
            "TWILIO_PHONE_NUMBER": "+15125550199", "SENDGRID_API_KEY": "k",
            "SENDGRID_FROM_EMAIL": "from@example.com", "LAKEWARD_TWILIO_ENDPOINT": provider.url,
            "LAKEWARD_SENDGRID_ENDPOINT": provider.url,
        }  # fmt: skip
        self.collector = lake.collector(**environ)
        telling = telling_of([tell], None, "alerts.toml")
        secrets = {"OPS": self.value, "OPS_SECRET": SECRET}
        self.channels = Channels(telling, self.collector.settings, lambda: self.collector, secrets)
        (found,) = self.channels.named.values()
        assert not isinstance(found, str), found
        self.notifier: Notifier = found

    def arrived(self, number: int) -> list[str]:
        """What came in, once there are so many."""
        if self.by in ("email", "sms"):
            wait_until(lambda: len(self._provider.taken) >= number)
            return [json.dumps(body) for body in self._provider.bodies]
        return [received.body.decode() for received in self._receiver.taken]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


@pytest.fixture(params=BYS)
def stand(request: pytest.FixtureRequest, lake: Lake, receiver: Receiver) -> Iterator[Stand]:
    with Provider() as provider:
        made = Stand(request.param, lake, receiver, provider)
        yield made
        made.channels.close()


# The contract


def test_a_notice_arrives_with_its_reason_and_a_digest_with_its_totals(stand: Stand) -> None:
    stand.notifier.tell(notice())
    (first,) = stand.arrived(1)
    assert "route:/pay errors" in first
    assert "41 errors in 5 minutes where 0 to 9 are usual." in first
    stand.notifier.tell(DIGEST)
    second = next(text for text in stand.arrived(2) if text != first)
    assert "2 opened" in second
    assert "2025-08-13" in second
    if stand.by != "sms":
        assert "events" in second
        assert "1200" in second.replace(",", "")


def test_a_notice_told_again_can_be_known_by_its_id(stand: Stand) -> None:
    for _ in range(2):
        stand.notifier.tell(notice())
    stand.notifier.tell(notice(notice_id="n-2"))
    if stand.by in ("email", "sms"):
        assert len(stand.arrived(2)) == 2
    elif stand.by == "webhook":
        ids = [json.loads(text)["id"] for text in stand.arrived(3)]
        assert ids == ["n-1", "n-1", "n-2"]


def test_a_hundred_series_with_signs_of_every_kind_are_taken(stand: Stand) -> None:
    odd = tuple(f"route:/<!channel>&\u202e{n}\n*x* {'x' * 150}" for n in range(10))
    stand.notifier.tell(notice(*(event(series=odd, members=100, what="worse") for _ in range(60))))
    (text,) = stand.arrived(1)
    assert len(text) < 200_000
    if stand.by == "slack":
        blocks = json.loads(text)["blocks"]
        assert len(blocks) <= 50
        assert all(len(block["text"]["text"]) <= 3000 for block in blocks if "text" in block)
        assert "<!channel>" not in text


# Over HTTP


Maker = Callable[..., Notifier]


def slack(url: str, **more: Any) -> Notifier:
    return Slack(Hook("OPS_URL", url, **more))


def webhook(url: str, **more: Any) -> Notifier:
    return Webhook(Hook("OPS_URL", url, **more), SECRET, clock=lambda: 1_755_187_888.9)


@pytest.mark.parametrize("make", [slack, webhook])
def test_each_answer_says_whether_to_try_again_and_no_error_holds_the_address(
    make: Maker, receiver: Receiver
) -> None:
    notifier = make(f"http://127.0.0.1:{receiver.port}/{SIGN}", patience=0.3)
    cases: list[tuple[int, dict[str, str], type[LakewardError]]] = [
        (500, {}, Transient), (503, {"Retry-After": "7"}, Throttled),
        (429, {"Retry-After": "9" * 30}, Throttled), (429, {}, Transient), (0, {}, Transient),
        (-1, {}, Transient), (302, {"Location": "http://127.0.0.1:1/"}, Terminal),
        (307, {"Location": "/elsewhere"}, Terminal), (400, {}, Rejected), (413, {}, Rejected),
        (401, {}, Terminal), (404, {}, Terminal),
    ]  # fmt: skip
    for status, headers, kind in cases:
        answer = (status, headers)
        receiver.answer = lambda _, answer=answer: answer  # type: ignore[misc]
        with pytest.raises(kind) as caught:
            notifier.tell(notice())
        assert SIGN not in str(caught.value)
        if isinstance(caught.value, Throttled):
            assert caught.value.seconds in (7.0, 3600.0)
    assert receiver.asked == len(cases)  # no redirect was followed
    receiver.answer = lambda _: (204, {})
    notifier.tell(notice())


@pytest.mark.parametrize("make", [slack, webhook])
def test_a_receiver_that_is_dead_is_named_by_its_variable(make: Maker) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(Transient, match="OPS_URL cannot be reached"):
            make(f"http://127.0.0.1:{nobody.getsockname()[1]}/").tell(notice())


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("http://hooks.example.com/x", "must begin with https"),
        ("http://169.254.169.254/latest", "must begin with https"),
        ("ftp://example.com", "must begin with https"),
        ("https://user:pw@example.com/", "no user or password"),
        ("https:///nowhere", "must hold an address"),
        ("https://exa mple.com/", "must hold an address"),
        ("https://example.com:0x/", "no address"),
    ],
)
def test_an_address_that_will_not_do_is_refused_by_the_name_of_its_variable(
    url: str, match: str
) -> None:
    with pytest.raises(SettingError, match=match) as caught:
        Hook("OPS_URL", url)
    assert "OPS_URL" in str(caught.value)
    assert "pw" not in str(caught.value)


def test_metadata_services_are_never_asked() -> None:
    with pytest.raises(Terminal, match="metadata services are never asked"):
        Hook("OPS_URL", "https://169.254.169.254/").post(b"{}", {})
    with pytest.raises(Terminal):
        Hook("OPS_URL", "https://[::ffff:169.254.169.254]/").post(b"{}", {})


def test_the_webhook_is_signed_as_the_page_says(receiver: Receiver) -> None:
    webhook(f"http://127.0.0.1:{receiver.port}/in").tell(notice())
    (got,) = receiver.taken
    assert got.headers["x-lakeward-timestamp"] == "1755187888"
    digest = hmac.new(SECRET.encode(), b"1755187888." + got.body, hashlib.sha256).hexdigest()
    assert got.headers["x-lakeward-signature"] == f"sha256={digest}"
    page = (ROOT / "docs/alerts.md").read_text()
    code = re.search(r"^```python\n(def is_ours.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code[1], names)
    args = (SECRET, "1755187888", got.body, got.headers["x-lakeward-signature"])
    assert names["is_ours"](*args, now=1_755_187_900)
    assert not names["is_ours"](*args, now=1_755_199_999)
    assert not names["is_ours"](SECRET, "1755187888", got.body + b" ", args[3], now=1_755_187_900)


def test_the_webhooks_body_is_the_incident_for_programs(receiver: Receiver) -> None:
    notifier = webhook(f"http://127.0.0.1:{receiver.port}/in")
    notifier.tell(notice())
    notifier.tell(DIGEST)
    first, second = (json.loads(got.body) for got in receiver.taken)
    assert first["kind"] == "incident"
    assert first["incidents"][0] | {"began_at": "", "at": ""} == {
        "incident_id": event().incident_id, "what": "opened", "state": "opened", "kind": "anomaly",
        "severity": "critical", "series": ["route:/pay errors"], "members": 1, "value": 41.0,
        "low": 0.0, "high": 9.0, "why": event().why, "began_at": "", "at": "",
    }  # fmt: skip
    assert second["digest"]["totals"][0] == {
        "name": "events", "value": 1200.0, "usual": 1000.0, "unit": "interactions",
    }  # fmt: skip


def test_slack_shows_a_heading_and_the_reason_as_blocks() -> None:
    told = message(notice())
    assert told["text"] == "CRITICAL, route:/pay errors"
    header, *sections = told["blocks"]
    assert header["text"]["text"] == "CRITICAL, route:/pay errors"
    assert sections[0]["text"]["text"] == event().why
    held = message(notice(event(), event(what="resolved", severity="warning")))
    assert held["text"] == "2 alerts were held back in quiet hours, 1 of them open"
