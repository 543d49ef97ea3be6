"""A partner sees its own records and nothing of anybody else's, by every way of reading."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from conftest import Lake, wait_until
from lakeward.collector import Collector
from lakeward.server.app import OWN
from lakeward.server.assets import VIEWS
from lakeward.server.rooms import PARTS as ROOMS
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


PATHS: dict[tuple[str, str], str] = {
    ("interactions", ""): "door", ("ratings", ""): "door", ("flags", ""): "door",
    ("sdk", ""): "public", ("openapi", ""): "public", ("health", ""): "public",
    ("page", ""): "public", ("page", "/static/{folder}/{file}"): "public",
    ("login", ""): "public", ("login", "/oidc"): "public", ("login", "/oidc/callback"): "public",
    ("welcome", ""): "public", ("password", ""): "public", ("logout", ""): "public",
    ("me", ""): "public",
    ("summary", ""): "own", ("questions", ""): "own", ("questions", "/{kind}"): "own",
    ("live", ""): "shut", ("live", "/hour"): "shut", ("live", "/record"): "shut",
    ("metrics", ""): "shut",
    ("alerts", ""): "shut", ("alerts", "/{id}"): "shut", ("alerts", "/{id}/{verb}"): "shut",
    ("alerts", "/{id}/series"): "shut", ("alerts", "/watched"): "shut",
    ("alerts", "/watched/series"): "shut", ("alerts", "/budgets"): "shut",
    ("live", "/changes"): "shut",
    ("data", ""): "shut", ("data", "/storage"): "shut", ("overview", ""): "shut",
    ("quarantine", ""): "shut", ("quarantine", "/replay"): "shut", ("schema", ""): "shut",
    ("sql", ""): "shut",
    ("traces", "/{id}"): "shut", ("records", "/{id}"): "shut",
    ("experiments", ""): "shut", ("experiments", "/{key}"): "shut",
    ("experiments", "/{key}/csv"): "shut", ("experiments", "/{key}/course"): "shut",
    ("suggest", ""): "shut", ("suggest", "/funnels"): "shut",
    ("keys", ""): "shut", ("keys", "/{id}/revoke"): "shut",
    ("people", ""): "shut", ("people", "/{id}/link"): "shut", ("people", "/{id}/role"): "shut",
    ("people", "/{id}/remove"): "shut", ("people", "/{id}/restore"): "shut",
    ("switches", ""): "shut", ("rules", ""): "shut", ("settings", ""): "shut",
    ("views", ""): "shut", ("views", "/{id}/rename"): "shut", ("views", "/{id}/remove"): "shut",
    ("uploads", ""): "tus", ("uploads", "/{id}"): "tus",
    ("partner_demos", "/{id}/demos"): "shut", ("demos", "/{id}/file"): "shut",
    **{("demos", f"/{{id}}{verb}"): "nothing"
       for verb in ("", "/transcript", "/remove", "/thumbnail")},
    ("partners", ""): "own", ("partners", "/{id}"): "shut",
    ("partners", "/{id}/remove"): "refused", ("partner_invitations", "/{id}/invitations"): "shut",
    ("answers", "/{id}/employee-feedback"): "refused",
    ("answers", "/{id}/customer-references"): "refused",
    ("answers", "/{id}/demo-reviews"): "refused",
    ("partners", "/{id}/confidence"): "shut", ("partners", "/{id}/consistency"): "shut",
    ("partners", "/{id}/history"): "shut",
    ("invitations", "/{id}/withdraw"): "refused", ("witnesses", "/{id}/remove"): "refused",
    ("witness", "/{token}"): "link", ("witness", "/{token}/stop"): "link",
    ("witness", "/style.css"): "public",
    ("hooks", "/twilio"): "signed", ("hooks", "/twilio/incoming"): "signed",
    ("hooks", "/sendgrid"): "signed",
    **{("page", f"/{view}"): "public" for view in VIEWS},
}  # fmt: skip
"""What a partner may use: `own` shows its own records alone, `shut` nothing, with 403. `public` is
the same for everybody and shows nothing of the lake, `door` takes records, by write keys alone.
`nothing` is 404 for what is another partner's, as for what is not there; `tus` neither shows nor
takes anything by GET and POST (test_uploads_tus.py has its own ways).
`refused` is what the team does, `link` is for who has one, `signed` for who can sign."""
STEPS = {
    "token": "x",
    "kind": "trend",
    "id": "x",
    "key": "x",
    "verb": "ack",
    "folder": "a",
    "file": "n.js",
}


def test_every_path_of_the_server_is_decided_here() -> None:
    assert {(part.name, path) for part in (*OWN, *ROOMS) for path in part.paths} == set(PATHS)


def test_a_partner_is_let_in_where_it_sees_its_own_records_and_nowhere_else(
    shared: Shared,
) -> None:
    email = "pam@example.com"
    added(shared.lake, email, "--role", "partner", "--partner", MINE)
    roots = {part.name: part.root for part in (*OWN, *ROOMS)}
    with logged_in(shared.server, email) as by_login, shared.server.client() as by_key:
        by_key.headers.update(bearer(shared.partner))
        for client, way in ((by_key, "key"), (by_login, "login")):
            for (part, below), meant in PATHS.items():
                if way == "login" and part in ("logout", "password"):
                    continue  # it would be over
                path = roots[part].rstrip("/") + below.format_map(STEPS) or "/"
                answer = client.get(path)
                if answer.status_code == 405:
                    origin = {"origin": shared.server.url}
                    answer = client.post(path, json={}, headers=origin)
                told = (answer.status_code, path, way, answer.text[:200])
                if meant == "shut":
                    assert answer.status_code == 403, told
                    assert answer.json()["code"] == "not_for_partners", told
                elif meant == "nothing":
                    assert answer.status_code == 404, told
                elif meant == "tus":
                    assert answer.status_code == 405, told
                elif meant == "own":
                    assert answer.status_code == 200, told
                    assert clean(answer.text), told
                elif meant == "refused":
                    assert answer.status_code == 403, told
                    code = "not_for_partners" if way == "login" else "wrong_kind"
                    assert answer.json()["code"] == code, told
                elif meant == "link":
                    assert answer.status_code == 404, told
                elif meant == "signed":
                    assert answer.status_code == 403, told
                elif meant == "door":
                    assert answer.status_code in (401, 403), told
                else:
                    assert answer.status_code != 403 or part == "oidc", told


def test_the_day_and_the_questions_of_a_partner_are_of_its_records_only(shared: Shared) -> None:
    day = shared.get("/v1/summary", shared.partner)
    assert day.json()["interactions"] == 3
    assert day.json()["users"] == 1
    assert day.json()["lake"] is None
    assert day.json()["quarantine"] == {"count": 0, "by_reason": {}}
    assert clean(day.text)
    assert shared.get("/v1/summary", shared.admin).json()["interactions"] > 10
    with shared.server.client() as client:
        for secret, wanted in ((shared.partner, 3), (shared.admin, 14)):
            answer = client.post(
                "/api/questions/trend", json={"grain": None}, headers=bearer(secret)
            )
            assert answer.json()["rows"] == [[wanted]]
        closed = client.post("/api/questions/trace", json={"of": "shared"},
                             headers=bearer(shared.partner))  # fmt: skip
        assert (closed.status_code, closed.json()["code"]) == (403, "not_for_partners")


def test_a_person_who_becomes_a_partner_watches_no_longer(shared: Shared) -> None:
    email = "pat@example.com"
    added(shared.lake, email)
    with logged_in(shared.server, email) as client:
        with client.stream("GET", "/v1/live") as stream:
            people(shared.lake, "role", email, "partner", "--partner", THEIRS)
            for _ in stream.iter_bytes():  # ends: what was shown is not for partners
                pass
        me = client.get("/v1/me").json()
        assert (me["role"], me["partner_id"]) == ("partner", THEIRS)
        assert client.get("/v1/live").status_code == 403
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
