"""No planted secret is in any byte that Lakeward leaves: ring, lake, log lines, error messages.

The application is killed before any keeper has drained its ring, so the bytes are scanned where
they first stand; then a keeper drains them, and they are scanned where they end.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from apps import answer, http_scope, ok, play
from conftest import Lake, wait_until
from lakeward.capture.asgi import App, LakewardMiddleware, Receive, Scope, Send
from lakeward.capture.body import FORM, JSON, BodyRule
from lakeward.capture.exchange import UserHook
from lakeward.collector import Collector
from lakeward.errors import LakewardError
from secrets_planted import (
    IN_TEXT,
    PATHS,
    SENSITIVE_KEYS,
    leaks,
    planted,
    planted_value,
    random_text,
    text_secrets,
)
from test_keeper import keeping

HARMLESS = "HarmlessAndRecorded"
SMALL = {
    "LAKEWARD_KEEPER": "external", "LAKEWARD_RING_BYTES": "1MiB", "LAKEWARD_RING_LANES": "4",
    "LAKEWARD_FRAME_BYTES": "128KiB",
}  # fmt: skip
HEADERS = {"LAKEWARD_HEADERS": "x-debug,authorization,x-api-key,x-csrf-token,accept"}
Needles = list[str]


class Act(NamedTuple):
    """Something an application does; `shown` is for whoever reads a failure."""

    shown: object
    do: Callable[[Collector], object]


def contents(*folders: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file in the folders, without the emptiness of a ring."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path, re.sub(rb"\0{16,}", b"\0", path.read_bytes())


def found_in(needles: Needles, *folders: Path) -> dict[str, list[str]]:
    """Files that hold a needle or a piece of it, with those needles."""
    told = {str(path): leaks(raw, needles) for path, raw in contents(*folders)}
    return {name: found for name, found in told.items() if found}


def holds(text: str, *folders: Path) -> bool:
    """The control: whether the same scanner sees `text`."""
    return bool(found_in([text], *folders))


def killed_after(lake: Lake, output: Path, acts: list[Act], **environ: str) -> None:
    """An application that does all this, logs everything it can, and is killed with SIGKILL."""
    pid = os.fork()
    if pid == 0:
        try:
            application(lake, output, acts, environ)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == -signal.SIGKILL, output.read_text()


def application(lake: Lake, output: Path, acts: list[Act], environ: dict[str, str]) -> None:
    fd = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    sys.stdout = sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115 - until it is killed
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, force=True)
    try:
        collector = lake.collector(**SMALL | HEADERS | environ)
        collector._complaints = Forgetful()  # every warning is written, not one a minute
        for act in acts:
            try:
                act.do(collector)
            except LakewardError:
                traceback.print_exc()
        collector.record("hello", it=HARMLESS)
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os.kill(os.getpid(), signal.SIGKILL)


class Forgetful(dict[str, float]):
    def __setitem__(self, key: str, value: float) -> None:
        """Forget."""


# What an application may be made to do


def record(kind: str, **fields: Any) -> Act:
    return Act((kind, fields), lambda collector: collector.record(kind, **fields))


def insist(kind: str, **fields: Any) -> Act:
    return Act((kind, fields), lambda collector: collector.record_or_raise(kind, **fields))


def set_aside(text: str) -> Act:
    raw = text.encode()
    return Act(text, lambda collector: collector.quarantine("undecodable", note="line", raw=raw))


TEXTS = ("user_id", "user_type", "session_id", "trace_id", "route", "url", "anonymous_id",
         "error_type", "partner_id", "conversation_id", "environment", "app_version")  # fmt: skip
PLACES = ("properties", "metadata", "outcomes", "feedback", "ai_metadata", "experiments")
INVALID: list[tuple[str, dict[str, Any]]] = [
    ("partner_match", {"score": -1}),
    ("demo_booking", {"status": "later"}),
    ("deal_closed", {"value": "much"}),
    ("api_call", {"response_status": 17}),
    ("no such type", {}),
    ("hello", {"timestamp": "soon"}),
    ("hello", {"properties": "text"}),
]


@st.composite
def recorded(draw: st.DrawFn) -> tuple[Act, Needles]:
    """One call of `record` of any kind, valid or not."""
    fields, needles = draw(planted())
    name = draw(st.sampled_from(TEXTS))
    text = draw(text_secrets())
    fields[name] = text.text
    needles = [*needles, text.needle]
    how = draw(st.integers(0, 4))
    if how == 0:
        return record("api_call", **fields), needles
    if how == 1:
        return record("signed_up", **fields), needles
    if how == 2:
        value, more = draw(planted_value())
        fields[draw(st.sampled_from(PLACES))] = {"it": value}
        return record("feedback_submission", comments=text.text, **fields), needles + more
    kind, wrong = draw(st.sampled_from(INVALID))
    return record(kind, **fields | wrong), needles


@st.composite
def misplaced(draw: st.DrawFn) -> tuple[Act, Needles]:
    """A secret where no value is expected at all."""
    secret = draw(text_secrets())
    text, needles = secret.text, [secret.needle]
    acts: list[Act] = [
        record(text, n=1),
        record("hello", **{text: 1}),
        record("hello", timestamp=text),
        record("hello", interaction_id=text),
        record("demo_booking", status=text),
        record("partner_match", score=text, partner_id=[text]),
        record("feedback_submission", scores={text: 99}),
        record("ai_conversation", messages=[{"role": text, "content": text, text: text}]),
        record("hello", interaction_type=text),
        insist("demo_booking", status=text),
        insist("feedback_submission", scores={text: text}),
        insist(text),
        set_aside(text),
    ]
    return draw(st.sampled_from(acts)), needles


async def reading_app(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await answer(send)


def failing_app(text: str) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise LookupError(text)

    return app


@st.composite
def called(draw: st.DrawFn) -> tuple[Act, Needles]:
    """One call of an application behind the middleware, with secrets in every part of it."""
    seed = draw(st.integers(0, 2**40))
    secrets = [draw(text_secrets()) for _ in range(6)]
    debug, agent, hook, kind, loose, error = secrets
    link = draw(text_secrets().filter(lambda secret: secret.text.startswith("http")))
    path = PATHS[draw(st.sampled_from(sorted(PATHS)))](seed)
    keys = draw(st.lists(st.sampled_from(SENSITIVE_KEYS), min_size=4, max_size=4, unique=True))
    tokens = [random_text(seed + n, 24) for n in range(1, 9)]
    query = urlencode({keys[0]: tokens[0], "next": link.text, "q": loose.text, "page": "2"})
    body, content_type = draw(
        st.sampled_from([
            (msgspec.json.encode({"user": {keys[1]: tokens[1]}, "text": loose.text}),
             b"application/json"),
            (f"{quote(keys[1])}={tokens[1]}&comment={quote(loose.text)}".encode(),
             b"application/x-www-form-urlencoded"),
            (f"{loose.text} {keys[1]}={tokens[1]}".encode(), b"text/plain; charset=utf-8"),
            (b'{"password": "' + tokens[1].encode(), b"application/json"),
        ])
    )  # fmt: skip
    headers = [
        (b"host", b"app.test"), (b"user-agent", f"Mozilla/5.0 {agent.text}".encode()),
        (b"referer", link.text.encode()), (b"x-debug", debug.text.encode()),
        (b"authorization", f"Bearer {tokens[2]}".encode()), (b"x-api-key", tokens[3].encode()),
        (b"X-CSRF-Token", tokens[4].encode()), (b"x-session-id", tokens[5].encode()),
        (b"cookie", f"theme=dark; session={tokens[6]}; remember={tokens[7]}".encode()),
        (b"content-type", content_type), (b"accept", b"text/html"),
    ]  # fmt: skip
    scope = http_scope(path.text, "POST", query_string=query.encode(), headers=headers)
    bodies = [BodyRule("*", (JSON, FORM, "text/plain"))]
    user = draw(st.sampled_from([answering(hook.text, kind.text), raising(hook.text)]))

    inner = draw(st.sampled_from([reading_app, failing_app(error.text)]))

    def act(collector: Collector) -> None:
        app = LakewardMiddleware(inner, collector, bodies=bodies, user=user)
        try:
            play(app, dict(scope), {"type": "http.request", "body": body})
        except LookupError:
            return

    return Act((scope, body), act), [secret.needle for secret in [*secrets, link, path]] + tokens


def answering(user: str, kind: str) -> UserHook:
    return lambda _: (user, kind)


def raising(text: str) -> UserHook:
    def hook(_: object) -> str:
        raise LookupError(text)

    return hook


ACTS = st.lists(recorded() | recorded() | misplaced() | called(), min_size=1, max_size=5)


def test_no_secret_is_in_any_byte_before_or_after_the_keeper(lake: Lake, tmp_path: Path) -> None:
    needles: Needles = []
    output = tmp_path / "output"

    @settings(
        max_examples=40, deadline=None, suppress_health_check=list(HealthCheck),
        phases=[Phase.reuse, Phase.generate],  # to shrink would take many more processes
    )  # fmt: skip
    @given(ACTS)
    def run(drawn: list[tuple[Act, Needles]]) -> None:
        before = set(lake.ring_dir.iterdir())
        mine = [needle for _, more in drawn for needle in more]
        needles.extend(mine)
        killed_after(lake, output, [act for act, _ in drawn])
        [ring] = [path for path in set(lake.ring_dir.iterdir()) - before if path.suffix == ".ring"]
        raw = re.sub(rb"\0{16,}", b"\0", ring.read_bytes())
        assert HARMLESS.encode() in raw
        assert leaks(raw, mine) == []
        assert leaks(output.read_bytes(), mine) == []
        assert found_in(mine, lake.root) == {}

    run()
    assert not list(lake.root.glob("raw/**/*.jsonl"))
    with keeping(lake):
        report = lake.settled()
    assert report.ok, report.faults
    assert report.sum["delivered"] > 40
    assert report.sum["quarantined"] > 10
    assert "lakeward: quarantined: " in output.read_text()
    assert {path.name for path, _ in contents(lake.root)} >= {
        "daily_summary.jsonl", "quarantine.jsonl", "ledger.jsonl", "segments.jsonl"
    }  # fmt: skip
    assert holds(HARMLESS, lake.root)
    assert found_in(sorted(set(needles)), lake.root, lake.ring_dir, output.parent) == {}


def test_no_secret_is_in_any_byte_of_a_lake_with_a_keeper_of_its_own(
    lake: Lake, tmp_path: Path
) -> None:
    secrets = [make(seed) for seed, make in enumerate(IN_TEXT.values())]
    needles = [secret.needle for secret in secrets]
    strange = lake.ring_dir / f"{UUID(int=7)}.ring"
    strange.write_bytes(b"LAKERING" + secrets[0].text.encode() * 100)
    acts = [record("hello", it=secret.text, more=[secret.text]) for secret in secrets]
    acts += [record("partner_match", score=-1, it=secret.text) for secret in secrets]
    killed_after(lake, tmp_path / "output", acts, LAKEWARD_KEEPER="spawn")
    strange_is_told = lake.root / ".lakeward" / "keeper.log"
    wait_until(lambda: strange.name.encode() in strange_is_told.read_bytes(), what="a log line")
    report = lake.settled()
    assert report.sum["delivered"] == len(secrets) + 1
    assert report.sum["quarantined"] == len(secrets)
    strange.unlink()
    lake.kill_keeper(signal.SIGTERM)
    assert holds(HARMLESS, lake.root)
    assert found_in(needles, lake.root, lake.ring_dir, tmp_path) == {}


PERSONAL = {
    "LAKEWARD_DETECT_EMAILS": "true", "LAKEWARD_DETECT_PHONES": "true",
    "LAKEWARD_SENSITIVE_KEYS": "nickname,shoe size", "LAKEWARD_SENSITIVE_PATHS": "/of/{}/profile",
    "LAKEWARD_TRUSTED_PROXIES": "*",
}  # fmt: skip
ADDRESS, OTHER_ADDRESS = "198.51.100.77", "2001:db8:7:8:9:a:b:c"
EMAIL, PHONE, NAME, PERSON = "ann.smith@example.com", "+49 170 1234567", "Anniepie", "ann-smith"


def personal_acts() -> list[Act]:
    text = f"write to {EMAIL} or call {PHONE} please"
    fields: dict[str, Any] = {
        "path": f"/of/{PERSON}/profile", "note": text, text: 1,
        "referrer": f"https://app.test/of/{PERSON}/profile?mail={quote(EMAIL)}",
        "metadata": {"nickname": NAME, "ShoeSize": NAME, "client_ip": ADDRESS, "phone": PHONE},
        "request_body": [{"name": "nickname", "value": NAME}, {"remote_addr": OTHER_ADDRESS}],
        "nickname": NAME,
    }  # fmt: skip
    headers = [
        (b"x-forwarded-for", f"{OTHER_ADDRESS}, {ADDRESS}".encode()), (b"x-debug", text.encode()),
        (b"referer", f"https://app.test/of/{PERSON}/profile".encode()),
        (b"user-agent", text.encode()), (b"content-type", b"application/json"),
    ]  # fmt: skip
    scope = http_scope(
        f"/of/{PERSON}/profile", "POST", client=(ADDRESS, 1), headers=headers,
        query_string=f"nickname={NAME}&mail={quote(EMAIL)}&ip={ADDRESS}".encode(),
    )  # fmt: skip
    body = msgspec.json.encode({"nickname": NAME, "text": text, "ip": ADDRESS})

    def call(collector: Collector) -> None:
        app = LakewardMiddleware(
            reading_app, collector, bodies=[BodyRule("*")], user=answering(EMAIL, PHONE)
        )
        play(app, dict(scope), {"type": "http.request", "body": body})

    return [
        record("api_call", method="POST", ip_address=ADDRESS, **fields),
        record("signed_up", ip_address=ADDRESS, **fields),
        record("feedback_submission", comments=text, ip_address=ADDRESS, **fields),
        record("partner_match", score=-1, **fields),
        record("hello", timestamp=text, **fields),
        record("no type", **fields),
        Act("a call", call),
    ]


@pytest.mark.parametrize("policy", ["truncate", "hash", "none"])
def test_configured_personal_data_are_in_no_byte(lake: Lake, tmp_path: Path, policy: str) -> None:
    needles = [ADDRESS, OTHER_ADDRESS, EMAIL, quote(EMAIL), PHONE, NAME, PERSON]
    output = tmp_path / "output"
    headers = {"LAKEWARD_HEADERS": "x-debug,x-forwarded-for"}
    killed_after(lake, output, personal_acts(), LAKEWARD_IP=policy, **PERSONAL, **headers)
    assert whole(needles, lake.ring_dir, lake.root, tmp_path) == []
    with keeping(lake):
        report = lake.settled()
    assert (report.sum["delivered"], report.sum["quarantined"]) == (5, 3)
    assert whole(needles, lake.ring_dir, lake.root, tmp_path) == []
    assert holds(HARMLESS, lake.root)
    addresses = {row.get("ip_address") for row in lake.rows() if "ip_address" in row}
    wanted = {"truncate": r"198\.51\.100\.0|2001:db8:7::", "hash": "ip_[0-9a-f]{32}", "none": "-"}
    assert all(address is None or re.fullmatch(wanted[policy], address) for address in addresses)
    assert (addresses == {None}) == (policy == "none")


@pytest.mark.parametrize("policy", ["truncate", "hash", "none"])
def test_a_hidden_address_is_hidden_in_the_quarantine_too(
    lake: Lake, tmp_path: Path, policy: str
) -> None:
    acts = [
        record("partner_match", score=-1, ip_address=ADDRESS),
        record("hello", timestamp="soon", ip_address=ADDRESS),
        record("no type", ip_address=ADDRESS),
    ]
    killed_after(lake, tmp_path / "output", acts, LAKEWARD_IP=policy)
    assert whole(["partner_match", "hello", "no type"], lake.ring_dir)
    assert whole([ADDRESS], lake.ring_dir, tmp_path) == []


def whole(needles: Needles, *folders: Path) -> Needles:
    """The needles that stand somewhere as a whole: a truncated address may keep a part of one."""
    return [n for n in needles for _, raw in contents(*folders) if n.encode() in raw]


def test_without_these_settings_the_same_data_are_recorded(lake: Lake, tmp_path: Path) -> None:
    killed_after(lake, tmp_path / "output", personal_acts())
    needles = [ADDRESS, EMAIL, PHONE, NAME, PERSON]
    assert set(whole(needles, lake.ring_dir)) == set(needles)


def test_a_type_is_scrubbed_before_it_is_cut(lake: Lake, tmp_path: Path) -> None:
    for length in range(236, 256):
        card = "4111111111111111"
        killed_after(lake, tmp_path / "output", [record("a" * length + f" {card} ")])
        assert found_in([card], lake.ring_dir) == {}


def test_a_method_that_is_a_secret_is_scrubbed_as_any_other_text(
    lake: Lake, tmp_path: Path
) -> None:
    secret = IN_TEXT["stripe"](1)

    def call(collector: Collector) -> None:
        play(LakewardMiddleware(ok, collector), http_scope(method=secret.text))

    killed_after(lake, tmp_path / "output", [Act("a call", call)])
    assert found_in([secret.needle], lake.ring_dir) == {}
