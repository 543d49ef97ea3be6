"""The webhook: what is signed and sent, which answers mean what, and where it never connects."""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hooks import Answer, Received, Receiver
from lakeward.errors import (
    LakewardError,
    SettingError,
    Terminal,
    Throttled,
    Transient,
    Undeliverable,
)
from lakeward.followers.cursor import Cursor
from lakeward.followers.protocol import Slice
from lakeward.sinks.address import in_internet, in_internet_or_inside, pinned, resolve
from lakeward.sinks.webhook import Webhook

LAKE = "0198a959-c225-7f8b-8d56-238c645cadb6"
SECRET = "s3cr3t of the tests"
HOST = "hooks.example.org"


def piece(*lines: bytes) -> Slice:
    return Slice(Cursor(1, 7, 0), Cursor(1, 7, 900), lines, "2025-08-14")


LINES = tuple(b'{"interaction_id":"i%d"}\n' % n for n in range(8))


def anyone(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


def hook(receiver: Receiver, path: str = "/in?x=1", patience: float = 5.0) -> Webhook:
    return Webhook(
        f"http://{HOST}:{receiver.port}{path}", SECRET, LAKE, private=True, resolver=anyone,
        patience=patience, clock=lambda: 1_755_187_888.9,
    )  # fmt: skip


# What is sent


def test_a_slice_is_one_signed_request_that_anyone_can_verify(receiver: Receiver) -> None:
    hook(receiver).deliver(piece(*LINES))
    [got] = receiver.taken
    assert got.path == "/in?x=1"
    assert got.headers["host"] == f"{HOST}:{receiver.port}"
    assert got.headers["content-type"] == "application/json"
    assert got.headers["webhook-id"] == f"{LAKE}-000001-00000007-000000000000-000000000900"
    assert got.headers["webhook-timestamp"] == "1755187888"
    signed = b"%b.1755187888.%b" % (got.headers["webhook-id"].encode(), got.body)
    digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()
    assert got.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    assert [row["interaction_id"] for row in got.rows()] == [f"i{n}" for n in range(8)]


def test_a_secret_of_the_standards_form_is_decoded() -> None:
    # The example of the Standard Webhooks specification.
    from lakeward.sinks.webhook import _key, sign

    key = _key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    content = b'{"test": 2432232314}'
    assert sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", content) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_a_repeat_has_the_same_id_and_body(receiver: Receiver) -> None:
    for _ in range(2):
        hook(receiver).deliver(piece(*LINES))
    first, second = receiver.taken
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


# What answers mean


def answering(*answers: Answer) -> Callable[[Received], Answer]:
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_an_answer_that_may_pass_is_transient(receiver: Receiver, status: int) -> None:
    receiver.answer = answering((status, {}))
    with pytest.raises(Transient, match=f"answers {status}"):
        hook(receiver).deliver(piece(*LINES))
    assert receiver.asked == 1


def test_retry_after_is_heeded_within_reason(receiver: Receiver) -> None:
    for value, seconds in (("7", 7.0), ("9" * 40, 3600.0)):
        receiver.answer = answering((503, {"Retry-After": value}))
        with pytest.raises(Throttled) as caught:
            hook(receiver).deliver(piece(*LINES))
        assert caught.value.seconds == seconds
    receiver.answer = answering((503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}))
    with pytest.raises(Transient):
        hook(receiver).deliver(piece(*LINES))


@pytest.mark.parametrize("status", [301, 302, 307, 308, 401, 403, 404, 405, 410, 415])
def test_an_answer_that_will_not_pass_is_terminal(receiver: Receiver, status: int) -> None:
    receiver.answer = answering((status, {"Location": f"http://127.0.0.1:{receiver.port}/else"}))
    with pytest.raises(Terminal) as caught:
        hook(receiver, "/t0k3n").deliver(piece(*LINES))
    assert receiver.asked == 1
    for secret in (SECRET, "t0k3n", HOST, str(receiver.port)):
        assert secret not in str(caught.value)


@pytest.mark.parametrize("status", [400, 422])
def test_records_at_fault_are_found_and_the_others_delivered(
    receiver: Receiver, status: int
) -> None:
    bad = (b'"i2"', b'"i5"')
    receiver.answer = lambda got: (status if any(b in got.body for b in bad) else 200, {})
    with pytest.raises(Undeliverable) as caught:
        hook(receiver).deliver(piece(*LINES))
    assert caught.value.records == [
        (2, f"the webhook answers {status}"), (5, f"the webhook answers {status}"),
    ]  # fmt: skip
    assert sorted(row["interaction_id"] for row in receiver.rows()) == [
        "i0", "i1", "i3", "i4", "i6", "i7",
    ]  # fmt: skip
    ids = [got.headers["webhook-id"] for got in receiver.taken]
    assert len(set(ids)) == len(ids)


def test_a_body_that_is_too_large_is_sent_in_parts(receiver: Receiver) -> None:
    receiver.answer = lambda got: (413 if len(got.rows()) > 3 else 200, {})
    hook(receiver).deliver(piece(*LINES))
    assert [row["interaction_id"] for row in receiver.rows()] == [f"i{n}" for n in range(8)]


def test_a_failure_in_the_middle_of_the_parts_is_a_failure_of_all(receiver: Receiver) -> None:
    receiver.answer = answering((413, {}), (200, {}), (500, {}))
    with pytest.raises(Transient):
        hook(receiver).deliver(piece(*LINES))


@pytest.mark.parametrize("answer", [(0, {}), (-1, {})], ids=["reset", "silence"])
def test_a_broken_or_silent_receiver_is_transient(receiver: Receiver, answer: Answer) -> None:
    receiver.answer = answering(answer)
    with pytest.raises(Transient, match="cannot be reached"):
        hook(receiver, patience=0.3).deliver(piece(*LINES))


def test_a_receiver_that_drips_is_cut_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = threading.Event()

        def drip() -> None:
            peer, _ = server.accept()
            with peer:
                for byte in b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1000:
                    if ended.wait(0.1):
                        return
                    try:
                        peer.send(bytes([byte]))
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        made = Webhook(
            f"http://{HOST}:{server.getsockname()[1]}/", SECRET, LAKE, private=True,
            resolver=anyone, patience=0.3,
        )  # fmt: skip
        began = time.monotonic()
        with pytest.raises(Transient):
            made.deliver(piece(*LINES))
        assert time.monotonic() - began < 30  # dripping to the end would take ten minutes
        ended.set()
        thread.join()


def test_endless_headers_are_not_read_to_their_end(receiver: Receiver) -> None:
    receiver.answer = answering((200, {f"x-{n}": "y" * 500 for n in range(300)}))
    with pytest.raises(Transient):
        hook(receiver).deliver(piece(*LINES))


# Where it never connects

FORBIDDEN = [
    "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "169.254.1.1", "100.64.0.1", "100.127.255.255", "100.100.100.200",
    "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "239.1.2.3", "240.0.0.1", "255.255.255.255", "168.63.129.16",
    "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a00:1::1",
    "2001:0:7f00:1::", "2001:db8::1", "100::1", "not an address",
]  # fmt: skip


@pytest.mark.parametrize("address", FORBIDDEN)
def test_an_address_outside_the_internet_is_refused(address: str) -> None:
    assert not in_internet(address)
    with pytest.raises(Terminal, match="private or reserved"):
        pinned("x", 443, lambda host, port: ["93.184.215.14", address], in_internet)


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_an_address_of_the_internet_is_taken(address: str) -> None:
    assert in_internet(address)
    assert pinned("x", 443, lambda host, port: [address], in_internet) == address


def test_private_receivers_may_be_allowed_but_never_metadata() -> None:
    allowed = {"127.0.0.1", "127.8.9.1", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
               "100.64.0.1", "100.127.255.255", "::1", "fc00::1", "::ffff:127.0.0.1",
               "::ffff:10.0.0.1"}  # fmt: skip
    for address in FORBIDDEN:
        if address in allowed:
            assert in_internet_or_inside(address), address
    for address in ("169.254.169.254", "100.100.100.200", "fd00:ec2::254", "168.63.129.16",
                    "::ffff:169.254.169.254", "fe80::1", "0.0.0.0", "224.0.0.1"):  # fmt: skip
        assert not in_internet_or_inside(address), address
    assert in_internet_or_inside("8.8.8.8")


@pytest.mark.parametrize(
    "host", ["localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]",
             "[::ffff:7f00:1]"],
)  # fmt: skip
def test_other_spellings_of_this_machine_are_refused_as_well(host: str) -> None:
    made = Webhook(f"https://{host}/", SECRET, LAKE, patience=0.5)
    with pytest.raises(LakewardError):
        made.deliver(piece(*LINES))
    with pytest.raises(Terminal):
        pinned(host.strip("[]"), 443, resolve, in_internet)


def test_a_name_is_resolved_once_for_a_request(receiver: Receiver) -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    made = Webhook(
        f"http://{HOST}:{receiver.port}/", SECRET, LAKE, private=True, resolver=rebinding
    )
    made.deliver(piece(*LINES))
    assert asked == [HOST]
    with pytest.raises(Terminal):
        made.deliver(piece(*LINES))


def test_a_name_without_an_address_is_transient() -> None:
    with pytest.raises(Transient, match="resolved"):
        resolve("no-such-host.invalid", 443)
    with pytest.raises(Transient):
        pinned("x", 443, lambda host, port: [], in_internet)


# TLS


def certificate(folder: Path, host: str) -> tuple[Path, Path, Path]:
    """A certificate for `host` by an authority of its own: (certificate, key, authority)."""
    now = datetime.datetime.now(datetime.UTC)
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])

    def build(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder().subject_name(subject).issuer_name(root).public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )  # fmt: skip

    authority = (
        build(root, root_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    leaf = (
        build(name, key.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    paths = folder / "leaf.pem", folder / "key.pem", folder / "authority.pem"
    paths[0].write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )  # fmt: skip
    paths[2].write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    return paths


@pytest.mark.parametrize("host", [HOST, "other.example.org"])
def test_the_certificate_is_checked_against_the_name_and_not_the_address(
    tmp_path: Path, host: str
) -> None:
    leaf, key, authority = certificate(tmp_path, host)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(leaf, key)
    names: list[str] = []
    serving.sni_callback = lambda sock, name, context: names.append(name)
    with Receiver(serving) as receiver:
        made = Webhook(
            f"https://{HOST}:{receiver.port}/", SECRET, LAKE, private=True, resolver=anyone,
            context=ssl.create_default_context(cafile=str(authority)), patience=5,
        )  # fmt: skip
        if host == HOST:
            made.deliver(piece(*LINES))
            assert len(receiver.rows()) == 8
        else:
            with pytest.raises(Transient, match="certificate"):
                made.deliver(piece(*LINES))
            assert receiver.asked == 0
        assert names == [HOST]


# Settings


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("http://hooks.example.org/", "https://"),
        ("ftp://hooks.example.org/", "https://"),
        ("https:///path", "host"),
        ("https://user:pa55@hooks.example.org/", "user or password"),
        ("https://hooks.example.org/a b", "visible"),
        ("https://hooks.example.org/\r\nX: y", "visible"),
        ("https://hooks.example.org:99999/", "no address"),
        ("https://[::1/", "no address"),
    ],
)
def test_an_address_that_cannot_be_is_refused_without_being_quoted(url: str, word: str) -> None:
    with pytest.raises(SettingError, match=word) as caught:
        Webhook(url, SECRET, LAKE)
    assert "hooks.example.org" not in str(caught.value)
    assert "pa55" not in str(caught.value)


@pytest.mark.parametrize("secret", ["", "whsec_no base64"])
def test_a_webhook_without_a_usable_secret_is_refused(secret: str) -> None:
    with pytest.raises(SettingError, match="LAKEWARD_WEBHOOK_SECRET"):
        Webhook(f"https://{HOST}/", secret, LAKE)


def test_the_forbidden_list_holds_addresses_only() -> None:
    for text in FORBIDDEN[:-1]:
        ipaddress.ip_address(text)
