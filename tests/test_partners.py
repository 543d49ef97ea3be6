"""A partner sees its own records and nothing of anybody else's, by every way of reading."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from conftest import Lake, wait_until
from lakeward.collector import Collector
from server_process import Serving, serving
from test_login import added, logged_in, people
from test_server_keys import bearer, created, keys

MINE, THEIRS = "p9", "p1"
SECRETS = ("their-secret", "nobody-secret", "inner-secret")


class Shared:
    """A server over the records of two partners and of none."""

    def __init__(self, lake: Lake, server: Serving, collector: Collector) -> None:
        self.lake, self.server, self.collector = lake, server, collector
        self.partner = created(lake, "read", "partner", "--partner", MINE)
        self.admin = created(lake, "read", "admin")

    def get(self, path: str, secret: str, **options: Any) -> httpx.Response:
        with self.server.client() as client:
            headers = bearer(secret, **options.pop("headers", {}))
            return client.get(path, headers=headers, **options)

    def stream(self, secret: str, until: Any, last: str = "", query: str = "") -> list[Any]:
        """The events of the feed as a key sees them, until one fits: (name, data, id)."""
        events: list[Any] = []
        headers = bearer(secret) | ({"last-event-id": last} if last else {})
        with (
            self.server.client() as client,
            client.stream("GET", f"/v1/live{query}", headers=headers) as answer,
        ):
            assert answer.status_code == 200
            deadline = time.monotonic() + 120
            event: dict[str, str] = {}
            for line in answer.iter_lines():
                assert time.monotonic() < deadline, events
                if line:
                    name, _, value = line.partition(": ")
                    event[name] = value
                elif "event" in event:
                    data = json.loads(event["data"])
                    events.append((event["event"], data, event.get("id", "")))
                    event = {}
                    if until(*events[-1]):
                        break
        return events


def planted(collector: Collector, partner: str | None, n: int, **more: Any) -> None:
    fields = {} if partner is None else {"partner_id": partner}
    for k in range(n):
        collector.record(
            "api_call", method="GET", path=f"/{partner}/{k}", response_status=200,
            response_time_ms=5.0, user_id=f"user of {partner}", trace_id="shared", **fields, **more,
        )  # fmt: skip


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("shared")
    lake = Lake(folder / "data-lake", folder / "rings")
    (folder / "rings").mkdir(mode=0o700)
    with serving(lake) as server:
        collector = lake.collector(LAKEWARD_KEEPER="external")
        made = Shared(lake, server, collector)
        wait_until(lambda: made.get("/v1/summary", made.admin).status_code == 200, what="keys")
        planted(collector, THEIRS, 5, properties={"note": "their-secret"})
        planted(collector, MINE, 3)
        planted(collector, None, 4, properties={"note": "nobody-secret", "partner_id": MINE})
        planted(collector, THEIRS, 2, properties={"x": {"partner_id": MINE, "y": "inner-secret"}})
        collector.commit()
        yield made
    lake.close()


def clean(content: Any) -> bool:
    """Whether nothing in it is of anybody else."""
    text = content if isinstance(content, str) else json.dumps(content)
    return not any(secret in text for secret in (*SECRETS, f"/{THEIRS}/", "/None/", "user of p1"))


def rows_of(events: list[Any]) -> list[Any]:
    return [row for name, data, _ in events if name == "batch" for row in data["rows"]]


def test_the_feed_shows_a_partner_its_own_records_and_counts_no_others(shared: Shared) -> None:
    everything = shared.stream(shared.admin, lambda name, *_: name == "batch")
    assert len(rows_of(everything)) == 14
    told: set[str] = set()

    def until(name: str, data: Any, at: str) -> bool:
        """Both the records, and the hour once it is counted."""
        if name == "batch" or (name == "hour" and data["hour"]["totals"]["count"] == 3):
            told.add(name)
        return told == {"batch", "hour"}

    events = shared.stream(shared.partner, until)
    assert [row["what"] for row in rows_of(events)] == ["/p9/0", "/p9/1", "/p9/2"]
    assert clean(events)
    [batch] = [data for name, data, _ in events if name == "batch"]
    assert (batch["backlog"], batch["matched"]) == (True, 3)
    assert batch["seen"] <= 3
    for query in ("?q=their-secret", "?id=user+of+p1", "?route=GET+/p1/0", "?q=p1"):
        events = shared.stream(shared.partner, lambda name, *_: name == "hour", query=query)
        assert rows_of(events) == []


def test_what_others_send_while_a_partner_watches_is_not_even_counted(shared: Shared) -> None:
    sent = False

    def until(name: str, data: Any, at: str) -> bool:
        nonlocal sent
        if not sent:
            sent = True
            planted(shared.collector, THEIRS, 4, properties={"note": "their-secret"})
            shared.collector.commit()
            planted(shared.collector, MINE, 1, app_version="last")
            shared.collector.commit()
        return bool(name == "batch" and not data["backlog"])

    events = shared.stream(shared.partner, until)
    _, data, _ = events[-1]
    assert (data["seen"], len(data["rows"])) == (1, 1)
    assert clean(events)


def test_going_on_from_any_position_shows_a_partner_nothing_of_others(shared: Shared) -> None:
    everything = shared.stream(shared.admin, lambda name, *_: name == "batch")
    [end] = [at for name, _, at in everything if name == "batch"]
    epoch, segment, offset = map(int, end.split("-"))
    places = [0, 1, 2, 17, *(int(row["at"].split("-")[2]) for row in rows_of(everything))]
    places += [place + 1 for place in places] + [offset - 1]
    for place in places:
        sent = shared.stream(
            shared.partner, lambda name, *_: name == "hour", last=f"{epoch}-{segment}-{place}"
        )
        assert clean(sent)
        # Whether a line of others begins there is not told either: it goes on in any case.
        assert [name for name, *_ in sent if name == "reset"] == []
        assert all(row["what"].startswith("/p9/") for row in rows_of(sent))
        assert all(data["seen"] == len(data["rows"]) for n, data, _ in sent if n == "batch")


def test_a_partner_reads_its_own_record_and_finds_others_as_gone_as_no_record(
    shared: Shared,
) -> None:
    everything = shared.stream(shared.admin, lambda name, *_: name == "batch")
    own = 0
    for row in rows_of(everything):
        whole = shared.get("/v1/live/record", shared.admin, params={"at": row["at"]})
        assert whole.status_code == 200
        answer = shared.get("/v1/live/record", shared.partner, params={"at": row["at"]})
        if f'"partner_id": "{MINE}"' in whole.text.replace("\\", "") and row["what"][:4] == "/p9/":
            own += 1
            assert answer.status_code == 200
            assert len(answer.json()["trace"]) >= 3
            assert all(near["what"].startswith("/p9/") for near in answer.json()["trace"])
            assert clean(answer.text)
        else:
            epoch, segment, offset = row["at"].split("-")
            nowhere = f"{epoch}-{segment}-{int(offset) + 1}"
            none = shared.get("/v1/live/record", shared.partner, params={"at": nowhere})
            assert (answer.status_code, answer.content) == (404, none.content)
    assert own >= 3


def test_an_erased_line_is_to_a_partner_as_gone_as_no_line(lake: Lake) -> None:
    collector = lake.collector()
    planted(collector, THEIRS, 1)
    planted(collector, MINE, 1)
    collector.commit()
    lake.close()
    [path] = lake.root.glob("raw/*/*/*/*.jsonl")
    lines = path.read_bytes().split(b"\n")
    lines[0] = b" " * len(lines[0])
    path.write_bytes(b"\n".join(lines))
    secrets = [created(lake, "read", "a"), created(lake, "read", "b", "--partner", MINE)]
    with serving(lake) as server, server.client() as client:
        wait_until(lambda: client.get("/v1/live/hour", headers=bearer(secrets[1])).is_success)
        gone = [
            client.get("/v1/live/record?at=1-1-0", headers=bearer(secret)).status_code
            for secret in secrets
        ]
        assert gone == [410, 404]


def test_the_hour_and_the_day_of_a_partner_are_of_its_records_only(shared: Shared) -> None:
    hour = shared.get("/v1/live/hour", shared.partner)
    assert hour.json()["hour"]["totals"]["count"] in (3, 4)
    assert clean(hour.text)
    day = shared.get("/v1/summary", shared.partner)
    assert day.json()["interactions"] in (3, 4)
    assert day.json()["users"] == 1
    assert day.json()["lake"] is None
    assert day.json()["quarantine"] == {"count": 0, "by_reason": {}}
    assert clean(day.text)
    assert shared.get("/v1/summary", shared.admin).json()["interactions"] > 10


def test_figures_of_everybody_together_are_not_for_partners(shared: Shared) -> None:
    answer = shared.get("/metrics", shared.partner)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_for_partners")
    assert shared.get("/metrics", shared.admin).status_code == 200


def test_a_person_who_is_a_partner_sees_the_same_and_another_role_another_part(
    shared: Shared,
) -> None:
    email = "pat@example.com"
    added(shared.lake, email, "--role", "partner", "--partner", MINE)
    with logged_in(shared.server, email) as client:
        me = client.get("/v1/me").json()
        assert (me["role"], me["partner_id"]) == ("partner", MINE)
        assert client.get("/metrics").status_code == 403
        assert client.get("/v1/summary").json()["interactions"] in (3, 4)
        with client.stream("GET", "/v1/live") as stream:
            people(shared.lake, "role", email, "partner", "--partner", THEIRS)
            for _ in stream.iter_bytes():  # ends: what was shown is not this partner's any more
                pass
        assert client.get("/v1/summary").json()["users"] == 1
        people(shared.lake, "role", email, "admin")
        wait_until(lambda: client.get("/metrics").status_code == 200, what="the other role")


def test_a_revoked_key_ends_its_streams(shared: Shared) -> None:
    secret = created(shared.lake, "read", "passing")
    wait_until(lambda: shared.get("/v1/summary", secret).status_code == 200, what="the key")
    with (
        shared.server.client() as client,
        client.stream("GET", "/v1/live", headers=bearer(secret)) as stream,
    ):
        keys(shared.lake, "revoke", "passing")
        for _ in stream.iter_bytes():
            pass


def test_the_partner_of_a_key_is_listed_and_audited(shared: Shared) -> None:
    [key] = [k for k in keys(shared.lake, "list")["keys"] if k["name"] == "partner"]
    assert key["partner_id"] == MINE
    trail = keys(shared.lake, "audit")["audit"]
    [made] = [e for e in trail if e["subject"] == key["key_id"]]
    assert made["details"]["partner_id"] == MINE
