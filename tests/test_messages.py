"""Messages from `send` to the carrier: what is kept, told, and never shown."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Lake, wait_until
from databases import exit_code, forked
from lakeward.errors import Rejected, Throttled, Transient
from lakeward.messaging.delivery import Timing
from lakeward.messaging.segments import segments
from lakeward.messaging.telling import tell
from lakeward.messaging.template import Templates
from lakeward.person import Person
from lakeward.store.database import open_database
from lakeward.store.eraser import DatabaseEraser
from posting import CODE, EMAIL, PHONE, Post, row_of, write_templates


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    return write_templates(tmp_path)


@pytest.fixture
def post(lake: Lake, templates: Path) -> Iterator[Post]:
    made = Post(lake, templates)
    yield made
    made.messages.close()


def test_a_message_goes_once_and_is_told_without_address_and_text(post: Post) -> None:
    outbox_id = post.code("verify-1")
    wait_until(lambda: post.pigeon.messages)
    assert post.pigeon.messages[0].text == f"Your code is {CODE}."
    [row] = post.told()
    assert row["outbox_id"] == outbox_id
    assert (row["status"], row["channel"], row["provider"]) == ("sent", "sms", "pigeon")
    assert (row["user_id"], row["template"], row["attempt"]) == ("c-17", "verification", 1)
    assert PHONE not in str(row)
    assert CODE not in str(row)


def test_the_same_key_gives_the_same_id_and_no_second_message(post: Post) -> None:
    assert post.code("k") == post.code("k")
    assert post.code("other") != post.code("k")
    post.messages.close()
    assert len(post.pigeon.messages) == 2


def test_a_refused_message_has_failed_and_says_why(post: Post) -> None:
    post.pigeon.failures = [Rejected(f"no such number {PHONE}")]
    post.code()
    [row] = post.told()
    assert (row["status"], row["reason"]) == ("failed", "no such number [address]")
    assert post.pigeon.messages == []


def test_a_message_that_is_not_taken_now_is_tried_again(lake: Lake, templates: Path) -> None:
    post = Post(lake, templates, timing=Timing(pause=10))
    post.pigeon.failures = [Transient("away"), Throttled("slowly", 0.01)]
    post.code()
    wait_until(lambda: post.pigeon.messages)
    [row] = post.told()
    assert (row["status"], row["attempt"]) == ("sent", 3)


def test_a_carrier_that_breaks_is_asked_and_the_message_adopted(
    lake: Lake, templates: Path
) -> None:
    post = Post(lake, templates, timing=Timing(ask=10))
    post.pigeon.breaks_after = True
    post.code()
    wait_until(lambda: post.messages.outbox.counts()["sent"])
    assert len(post.pigeon.messages) == 1
    [row] = post.told()
    assert (row["status"], row["message_id"]) == ("sent", "P1")


def test_what_nobody_takes_for_a_day_has_failed(lake: Lake, templates: Path) -> None:
    post = Post(lake, templates, timing=Timing(give_up=-1))
    post.pigeon.failures = [Transient("away")]
    post.code()
    [row] = post.told()
    assert (row["status"], row["reason"]) == ("failed", "given up after 1 attempts (Transient)")


def test_a_message_that_was_final_when_its_sender_died_is_told_by_the_next(
    lake: Lake, templates: Path
) -> None:
    post = Post(lake, templates, timing=Timing(lease=0))
    outbox = post.messages.outbox
    outbox.add(row_of(state="failed", reason="no", final_at=1_764_000_000_000, address=None))
    post.messages.drain()
    assert [row["reason"] for row in post.told()] == ["no"]
    assert outbox.unrecorded(2_000_000_000_000) == []


def test_leftovers_of_another_process_go_with_the_first_message(post: Post) -> None:
    post.messages.outbox.add(row_of())
    post.code()
    wait_until(lambda: len(post.pigeon.messages) == 2)


def test_without_collection_messages_go_all_the_same(lake: Lake, templates: Path) -> None:
    post = Post(lake, templates, ENABLE_DATA_COLLECTION="false")
    post.code()
    post.messages.close()
    assert len(post.pigeon.messages) == 1


def test_the_hash_of_a_recipient_is_the_same_in_every_process(lake: Lake, templates: Path) -> None:
    hashes = set()
    for _ in range(2):
        post = Post(lake, templates)
        post.code()
        hashes |= {row["recipient_hash"] for row in post.told()}
        post.collector.close()
    assert len(hashes) == 1


def test_a_forked_worker_sends_with_threads_of_its_own(post: Post, tmp_path: Path) -> None:
    post.code("parent")
    wait_until(lambda: not post.messages.outbox.waiting())
    wait_until(lambda: not post.messages.outbox.unrecorded(4_000_000_000_000))

    def work() -> None:
        post.code("child")
        wait_until(lambda: len(post.pigeon.messages) == 2)
        post.messages.close()

    assert exit_code(forked(work)) == 0
    assert post.messages.outbox.counts()["sent"] == 2


# What the app gives


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"to": "5125550123"}, "telephone number"),
    ({"to": "+15125550123\nBcc: x"}, "telephone number"),
    ({"to": 15125550123}, "must be text"),
    ({"channel": "fax"}, "sms or email"),
    ({"channel": "email", "template": "welcome", "to": "Grace <grace@example.com>"}, "e-mail"),
    ({"channel": "email", "template": "welcome", "to": "a@example.com\nBcc: b@x.org"}, "e-mail"),
    ({"channel": "email", "template": "welcome", "to": EMAIL, "values": {"name": "A\nBcc: x"}},
     "line break"),
    ({"values": {}}, "needs values for code"),
    ({"values": {"code": ["1"]}}, "text or a number"),
    ({"values": {"code": "x" * 1600}}, "1 to 1600 characters"),
    ({"template": "../secret"}, "lower-case letters"),
    ({"template": "absent"}, "there is no template absent"),
    ({"language": "../x"}, "`language`"),
    ({"key": "k" * 300}, "`key`"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "sentence"), WRONG)
def test_arguments_that_will_not_do_are_refused_without_showing_them(
    post: Post, given: dict[str, Any], sentence: str
) -> None:
    fields: dict[str, Any] = {"template": "verification", "channel": "sms", "to": PHONE}
    fields |= {"values": {"code": CODE}} | given
    with pytest.raises(Rejected, match=sentence) as caught:
        post.messages.send(fields.pop("template"), **fields)
    assert str(fields["to"]) not in str(caught.value)
    assert CODE not in str(caught.value)


def test_outside_development_they_are_quarantined_without_address_and_values(
    lake: Lake, templates: Path
) -> None:
    post = Post(lake, templates, LAKEWARD_ENV="production")
    assert post.code(to="5125550123") is None
    assert post.told() == []
    [entry] = lake.quarantined()
    assert entry["interaction_type"] == "message_sent"
    assert "telephone number" in entry["reason"]
    assert "5125550123" not in str(entry)
    assert CODE not in str(entry)


@pytest.mark.parametrize("odd", ["\ud83d", "\x00", "a\udc80b"])
def test_what_no_database_can_hold_is_refused_without_being_quoted(
    lake: Lake, templates: Path, odd: str
) -> None:
    post = Post(lake, templates, LAKEWARD_ENV="production")
    for said in ({"values": {"code": odd}}, {"user_id": odd}, {"purpose": odd}):
        given: Any = {"channel": "sms", "to": PHONE, "values": {"code": CODE}, **said}
        assert post.messages.send("verification", **given) is None
    assert post.told() == []
    assert len(lake.quarantined()) == 3
    assert CODE not in str(lake.quarantined())


def test_while_the_database_is_away_nothing_is_accepted(
    lake: Lake, templates: Path, free_port: int
) -> None:
    url = f"postgresql://u:p@127.0.0.1:{free_port}/d"
    post = Post(lake, templates, LAKEWARD_DATABASE_URL=url)
    with pytest.raises(Transient, match="LAKEWARD_DATABASE_URL"):
        post.code()


def test_html_escapes_values_and_text_does_not(templates: Path) -> None:
    template = Templates(templates).find("welcome", "email")
    written = template.render({"name": "<b>O'Neil</b> & Co"})
    assert written.subject == "Hello <b>O'Neil</b> & Co"
    assert written.text == "Dear <b>O'Neil</b> & Co,"
    assert written.html == "<p>Dear &lt;b&gt;O&#x27;Neil&lt;/b&gt; &amp; Co</p>"
    assert template.render({"name": "{{ name }}"}).text == "Dear {{ name }},"


def test_a_language_falls_back_and_a_version_follows_the_files(templates: Path) -> None:
    found = Templates(templates)
    spanish = found.find("verification", "sms", "es")
    assert spanish.text == "Su código es {{ code }}."
    assert found.find("verification", "sms", "fr").language is None
    (templates / "verification.es.sms.txt").write_text("Código: {{ code }}")
    assert found.find("verification", "sms", "es").version != spanish.version
    assert [(one.name, one.channel, one.language) for one in found.all()] == [
        ("verification", "sms", "es"), ("verification", "sms", None), ("welcome", "email", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", 1), ("a" * 160, 1), ("a" * 161, 2), ("a" * 306, 2), ("a" * 307, 3),
        ("€" * 80, 1), ("€" * 81, 2), ("a" * 152 + "€" + "a" * 10, 2), ("€" * 153, 3),
        ("я" * 70, 1), ("я" * 71, 2), ("я" * 134, 2), ("я" * 135, 3),
        ("😀" * 35, 1), ("😀" * 36, 2), ("😀" * 67, 3), ("naïve", 1), ("á" * 71, 2),
    ],
)  # fmt: skip
def test_segments_are_counted_as_networks_cut_them(text: str, parts: int) -> None:
    assert segments(text) == parts


# The command


def outbox(lake: Lake, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "lakeward.cli", "outbox", *arguments]
    return subprocess.run(
        words, env=lake.process_env(**env), capture_output=True, text=True, timeout=120
    )


def test_the_command_lists_sends_and_sends_again_without_showing_an_address(
    lake: Lake, templates: Path
) -> None:
    post = Post(lake, templates)
    post.messages.outbox.add(row_of(kind="console"))
    post.messages.outbox.add(
        row_of(outbox_id="0199e0f5-9f5c-7d30-8a52-000000000002", key="k2", state="unsure",
               due_at=None, twin="t2", kind="console")
    )  # fmt: skip
    post.messages.close()
    listed = outbox(lake, "list").stdout
    assert listed.startswith("1 queued, 0 sending, 1 unsure, 0 sent, 0 failed\n")
    assert PHONE not in listed + outbox(lake, "list", "--format", "json").stdout
    sent = outbox(lake, "send", LAKEWARD_MESSAGES="console")
    assert (sent.returncode, sent.stdout) == (1, "1 sent, 0 failed, 1 still wait\n")
    again = outbox(lake, "resend", "0199e0f5-9f5c-7d30-8a52-000000000002")
    assert again.returncode == 0, again.stderr
    sent = outbox(lake, "send", "--format", "json", LAKEWARD_MESSAGES="console")
    assert json.loads(sent.stdout) == {"sent": 1, "failed": 0, "waiting": 0}
    assert outbox(lake, "resend", "0199e0f5-9f5c-7d30-8a52-000000000002").returncode == 2


def test_the_command_previews_and_lists_templates(lake: Lake, templates: Path) -> None:
    env = {"LAKEWARD_TEMPLATES": str(templates)}
    values = '{"name": "<Ada>", "spare": 1}'
    shown = outbox(lake, "preview", "welcome", "--channel", "email", "--values", values, **env)
    assert shown.stdout.startswith("Subject: Hello <Ada>\n\nDear <Ada>,\n\n--- html ---\n")
    assert "&lt;Ada&gt;" in shown.stdout
    assert "not used: spare" in shown.stdout
    missing = outbox(lake, "preview", "verification", "--channel", "sms", **env)
    assert missing.returncode == 2
    assert "needs values for code" in missing.stderr
    listed = outbox(lake, "templates", **env).stdout.splitlines()
    assert listed[0].endswith(": 3 templates")
    assert listed[3].startswith("welcome  email  ")
    assert listed[3].endswith("needs name")


def test_without_the_extra_one_sentence_names_it() -> None:
    program = (
        "import sys, importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'sqlalchemy' else real(name, *a)\n"
        "import lakeward.messaging"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "messaging needs an extra: pip install 'lakeward[messaging]'" in done.stderr


def test_an_erased_persons_waiting_message_is_told_without_the_person(post: Post) -> None:
    post.messages.outbox.add(row_of(user_id="contractor-17"))
    with open_database(post.collector.settings) as database:
        DatabaseEraser(database).erase(Person("user_id", "contractor-17"))
    withdrawn = post.messages.outbox.unrecorded(4_000_000_000_000)
    assert [row.state for row in withdrawn] == ["failed"]
    assert tell(post.collector, withdrawn[0])
    [row] = post.told()
    assert row["reason"] == "erased"
    assert row["user_id"] == "anonymous"
    assert row.get("recipient_hash") is None
    assert post.pigeon.messages == []
