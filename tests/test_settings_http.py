"""`/api/keys`, `people`, `flags`, `settings`, `rules` and `views` on a real server: what is shown
to whom, what admins change, and every refusal."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx

from conftest import Lake, wait_until
from lakeward.flags.database import Editor
from lakeward.settings import load
from lakeward.store.database import open_database
from lakeward.store.keys import Keys
from server_process import serving
from test_login import EMAIL, PASSWORD, added, audited, logged_in

NEAR = {"sec-fetch-site": "same-site"}  # a page of another port of this machine
FOREIGN = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
SECRET = "swordfish-of-the-lake"
ENV = f"""
LAKEWARD_FLAGS=flags.json
LAKEWARD_WEBHOOK_SECRET={SECRET}
LAKEWARD_COACH_URL=https://joe:{SECRET}@coach.example/v1
OPS_SLACK=https://hooks.slack.example/{SECRET}
LAKEWARD_QUERY_SECONDS=45
"""
ALERTS = """
[watch]
series = ["routes"]
[[threshold]]
name = "checkout errors"
event = "api_call"
metric = "error_rate"
above = 0.05
[[tell]]
by = "slack"
url_env = "OPS_SLACK"
quiet = "22:00-07:00"
[[tell]]
by = "email"
to_env = "OPS_MAIL"
"""
FLAGS: dict[str, Any] = {
    "features": {
        "match-page": {
            "defaultValue": "plain", "rules": [
                {"condition": {"country": "NZ"}, "force": "reasons"},
                {"variations": ["plain", "reasons"], "weights": [0.9, 0.1], "hashAttribute": "u"},
            ],
        },
        "old": {"defaultValue": 1, "rules": [{"key": "gone"}]},
    },
    "savedGroups": {"staff": ["ann@example.com", "u2"]},
}  # fmt: skip


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def refused(client: httpx.Client, cases: list[tuple[str, Any, tuple[int, str]]]) -> None:
    for path, content, wanted in cases:
        assert code(client.post(path, json=content)) == wanted, (path, content)


def test_an_open_server_shows_files_as_they_are_in_force_and_saves_views(lake: Lake) -> None:
    folder = lake.root.parent
    (folder / ".env.development").write_text(ENV)
    (folder / "alerts.toml").write_text(ALERTS)
    (folder / "flags.json").write_text(json.dumps(FLAGS))
    with serving(lake, OPS_MAIL="your-address") as server, server.client() as client:
        settings = client.get("/api/settings")
        assert SECRET not in settings.text
        rows = {row["env"]: row for row in settings.json()["settings"]}
        seconds = rows["LAKEWARD_QUERY_SECONDS"]
        assert (seconds["value"], seconds["from"], seconds["default"]) == ("45", "file", "60")
        secret, unset = rows["LAKEWARD_WEBHOOK_SECRET"], rows["SENDGRID_API_KEY"]
        assert (secret["value"], secret["set"], unset["set"]) == (None, True, False)
        assert rows["LAKEWARD_COACH_URL"]["value"] == "https://coach.example/v1"
        assert rows["LAKEWARD_LAKE_DIR"]["from"] is None  # the server hands it on
        assert rows["LAKEWARD_RING_DIR"]["from"] == "environment"
        assert rows["AWS_REGION"]["from"] == "default"
        assert rows["LAKEWARD_ROLLOUT_S3"]["value"] == "100"
        (folder / ".env.development").write_text(ENV + "LAKEWARD_ROLLOUT_S3=5\n")
        again = client.get("/api/settings").json()["settings"]
        assert {row["env"]: row["value"] for row in again}["LAKEWARD_ROLLOUT_S3"] == "5"

        rules = client.get("/api/rules")
        assert SECRET not in rules.text
        told = rules.json()
        assert (told["file"], told["error"]) == (str(folder / "alerts.toml"), "")
        assert told["rules"]["thresholds"][0]["above"] == 0.05
        assert [(one["by"], one["variable"], one["set"]) for one in told["channels"]] == [
            ("slack", "OPS_SLACK", True), ("email", "OPS_MAIL", False),
        ]  # fmt: skip
        assert told["channels"][0]["quiet"] == "22:00 to 07:00 UTC"
        (folder / "alerts.toml").write_text("[watch]\nseries = 7\n")
        broken = client.get("/api/rules").json()
        assert broken["error"].startswith(f"{folder}/alerts.toml: watch")

        flags = client.get("/api/flags").json()
        assert (flags["source"], flags["file"], flags["may_change"]) == (
            "file", "flags.json", False,
        )  # fmt: skip
        match, old = flags["flags"]
        assert [each.get("value") for each in match["rules"]] == ["reasons", None]
        assert match["experiments"] == ["match-page"]
        assert [(v["key"], v["value"], v["share"]) for v in match["rules"][1]["variations"]] == [
            ("0", "plain", 0.9), ("1", "reasons", 0.1),
        ]  # fmt: skip
        assert old["to_mend"] == [
            "rule 1: it has neither `force` nor `variations`, so it does nothing"
        ]
        assert flags["groups"] == [{"name": "staff", "members": 2}]
        sent = client.post("/v1/flags/evaluate", json={"attributes": {"country": "NZ"}})
        assert sent.json()["flags"]["match-page"]["value"] == "reasons"  # the file of the .env
        assert code(client.post("/api/flags", json={"name": "old", "on": False})) == (
            409, "in_a_file",
        )  # fmt: skip
        (folder / "flags.json").write_text("{")
        assert "cannot be read" in client.get("/api/flags").json()["error"]

        week = client.post(
            "/api/views", json={"name": "Weekly", "page": "funnels", "query": "range=7d"}
        )
        assert (week.status_code, week.json()["created_by"]) == (201, "this machine")
        which = f"/api/views/{week.json()['view_id']}"
        renamed = client.post(f"{which}/rename", json={"name": "Signups"})
        assert (renamed.json()["name"], renamed.json()["query"]) == ("Signups", "range=7d")
        assert client.get("/api/views?page=api").json()["views"] == []
        assert [one["name"] for one in client.get("/api/views?page=funnels").json()["views"]] == [
            "Signups"
        ]
        refused(client, [
            ("/api/views", {"name": "Signups", "page": "funnels"}, (409, "name_taken")),
            ("/api/views", {"name": "x", "page": "nowhere"}, (400, "bad_page")),
            ("/api/views", {"name": "x" * 81, "page": "api"}, (400, "bad_view")),
            ("/api/views", {"name": "x", "page": "api", "query": "a b"}, (400, "bad_view")),
            ("/api/views", {"name": "x", "page": "api", "more": 1}, (400, "bad_body")),
            (f"{which}/shout", {}, (404, "not_found")),
            (f"{which}/rename", {}, (400, "bad_body")),
            ("/api/views/0/remove", {}, (404, "no_such_view")),
        ])  # fmt: skip
        assert code(client.get("/api/views?page=no")) == (400, "bad_page")
        for more in (NEAR, FOREIGN):
            for path in ("/api/views", "/api/keys", "/api/people", "/api/flags"):
                answer = client.post(path, json={}, headers=more)
                assert code(answer) == (403, "foreign_origin"), path
            assert code(client.get("/api/settings", headers=more))[0] == 403
        assert code(client.post(f"{which}/remove", content=b"{}")) == (415, "wrong_type")
        assert client.post(f"{which}/remove", json={}).json()["name"] == "Signups"
        assert client.get("/api/views").json() == {"views": [], "may_change": True}


def test_the_first_person_of_an_open_server_is_an_admin_who_lets_others_in(lake: Lake) -> None:
    with serving(lake) as server, server.client() as client:
        partner = {"email": "p@example.com", "role": "partner", "partner_id": "p1"}
        assert code(client.post("/api/people", json=partner)) == (409, "last_admin")
        invited = client.post("/api/people", json={"email": "Ada@Example.com"})
        assert (invited.status_code, invited.json()["email"]) == (201, EMAIL)
        link = invited.json()["link"]
        assert link.startswith(f"{server.url}/?welcome=")
        wait_until(lambda: client.get("/api/views").status_code == 401, what="a closed door")
        said = {"token": link.partition("=")[2], "email": EMAIL, "password": PASSWORD}
        assert client.post("/v1/welcome", json=said).json()["role"] == "admin"
        ada, path = client, f"/api/people/{invited.json()['person_id']}"
        for verb, content in (("remove", {}), ("role", {"role": "partner", "partner_id": "p1"})):
            assert code(ada.post(f"{path}/{verb}", json=content)) == (409, "own_login")
        other = ada.post("/api/people", json=partner).json()
        bob = f"/api/people/{other['person_id']}"
        assert ada.post(f"{bob}/role", json={"role": "admin"}).json()["partner_id"] is None
        removed = ada.post(f"{bob}/remove", json={}).json()
        assert removed["removed_at"] is not None
        assert ada.post(f"{bob}/restore", json={}).json()["removed_at"] is None
        ada.post(f"{bob}/remove", json={})
        again = ada.post(f"{path}/link", json={})
        assert "/?welcome=" in again.json()["link"]
        refused(ada, [
            ("/api/people", {"email": EMAIL}, (409, "is_there")),
            ("/api/people", {"email": "no"}, (400, "bad_person")),
            ("/api/people", {"email": "c@example.com", "role": "king"}, (400, "bad_body")),
            ("/api/people", {"email": "c@example.com", "role": "partner"}, (400, "bad_person")),
            (f"{bob}/link", {}, (409, "removed")),
            (f"{bob}/role", {}, (400, "bad_body")),
            (f"{bob}/shout", {}, (404, "not_found")),
            ("/api/people/nobody/remove", {}, (404, "no_such_person")),
        ])  # fmt: skip
        shown = {one["email"]: one for one in ada.get("/api/people").json()["people"]}
        assert shown[EMAIL]["you"]
        assert shown[EMAIL]["last_login_at"]
        assert shown["p@example.com"]["last_login_at"] is None
        assert not any("password" in one or "digest" in one for one in shown.values())
        # With somebody else's hands nobody removes the last admin either.
        with open_database(load(lake.env, lake.root.parent)) as database:
            _, secret = Keys(database).create("read", "all", actor="t")
        reader = {"authorization": f"Bearer {secret}"}
        with server.client(headers=reader) as key:
            wait_until(lambda: key.get("/api/keys").status_code == 200, what="the key")
            assert key.get("/api/keys").json()["may_change"] is False
            assert code(key.get("/api/people")) == (403, "not_a_person")
            assert code(key.post(f"{path}/remove", json={})) == (403, "not_a_person")
    said_once = re.sub(r"[^A-Za-z0-9_-]", "", said["token"])
    assert said_once not in server.output.read_text()
    assert ("person.disable", other["person_id"]) in audited(lake)


def test_admins_make_keys_and_change_flags_read_keys_look_and_partners_see_nothing(
    lake: Lake,
) -> None:
    with open_database(load(lake.env, lake.root.parent)) as database:
        _, all_ = Keys(database).create("read", "all", actor="t")
        _, one = Keys(database).create("read", "one", actor="t", partner_id="p1")
        editor = Editor(database)
        for name, definition in FLAGS["features"].items():
            if name == "match-page":
                editor.set_flag(name, definition, actor="t")
        editor.set_group("staff", ["u1"], actor="t")
    added(lake, EMAIL)
    with serving(lake, LAKEWARD_FLAGS="database") as server, logged_in(server) as ada:
        made = ada.post("/api/keys", json={"kind": "write", "name": "web", "origins": ["*.e.com"]})
        assert (made.status_code, made.json()["created_by"]) == (201, EMAIL)
        secret = made.json()["secret"]
        listed = ada.get("/api/keys")
        assert secret not in listed.text
        assert secret.encode() not in server.output.read_bytes()
        keys = {key["name"]: key for key in listed.json()["keys"]}
        assert (keys["web"]["public"], keys["web"]["origins"]) == (True, ["https://*.e.com"])
        assert (keys["one"]["partner_id"], keys["one"]["revoked_at"]) == ("p1", None)
        sent = {"authorization": f"Bearer {secret}"}
        wait_until(
            lambda: ada.post("/v1/interactions", json=[], headers=sent).status_code == 200,
            what="the key",
        )
        web = f"/api/keys/{keys['web']['key_id']}/revoke"
        assert ada.post(web, json={}).json()["revoked_at"] is not None
        refused(ada, [
            (web, {}, (409, "over")),
            (web, {"x": 1}, (400, "bad_body")),
            ("/api/keys/none/revoke", {}, (404, "no_such_key")),
            ("/api/keys", {"kind": "read", "name": "all"}, (409, "name_taken")),
            ("/api/keys", {"kind": "read", "name": "a", "types": ["*"]}, (400, "bad_key")),
            ("/api/keys", {"kind": "write", "name": "a", "types": ["A!"]}, (400, "bad_key")),
            ("/api/keys", {"kind": "admin", "name": "a"}, (400, "bad_body")),
        ])  # fmt: skip

        flags = ada.get("/api/flags").json()
        assert (flags["source"], flags["used"], flags["may_change"]) == ("database", True, True)
        (flag,) = flags["flags"]
        seen = {"name": "match-page", "after": flag["version"]}
        changed = ada.post("/api/flags", json={**seen, "weights": [0.5, 0.5]}).json()
        assert changed["version"] > flag["version"]
        refused(ada, [
            ("/api/flags", {**seen, "on": False}, (409, "changed")),
            ("/api/flags", {"name": "match-page", "weights": [0.5, 0.6]}, (400, "bad_flag")),
            ("/api/flags", {"name": "match-page", "on": True, "value": 1}, (400, "bad_body")),
            ("/api/flags", {"name": "match-page"}, (400, "bad_body")),
            ("/api/flags", {"name": "none", "on": True}, (404, "no_such_flag")),
        ])  # fmt: skip
        assert ada.post("/api/flags", json={"name": "match-page", "on": False}).status_code == 200
        assert ada.post("/api/flags", json={"name": "match-page", "value": "x"}).status_code == 200
        (flag,) = ada.get("/api/flags").json()["flags"]
        assert (flag["enabled"], flag["value"], flag["changed_by"]) == (False, "x", EMAIL)
        assert [each["share"] for each in flag["rules"][1]["variations"]] == [0.5, 0.5]

        reads = ("keys", "flags", "rules", "views")
        with server.client(headers={"authorization": f"Bearer {all_}"}) as key:
            assert [key.get(f"/api/{noun}").status_code for noun in reads] == [200] * 4
            assert not any(key.get(f"/api/{noun}").json().get("may_change") for noun in reads)
            assert key.get("/api/rules").json()["file"] == "alerts.toml"
            for noun in ("settings", "people"):
                assert code(key.get(f"/api/{noun}")) == (403, "not_a_person")
            for path in ("keys", "people", "flags", "views"):
                assert code(key.post(f"/api/{path}", json={})) == (403, "not_a_person")
        with server.client(headers={"authorization": f"Bearer {one}"}) as key:
            for noun in (*reads, "settings", "people"):
                assert code(key.get(f"/api/{noun}")) == (403, "not_for_partners")
            for path in ("keys", "people", "flags", "views"):
                assert code(key.post(f"/api/{path}", json={})) == (403, "not_for_partners")
        with server.client() as nobody:
            for noun in (*reads, "settings", "people"):
                assert code(nobody.get(f"/api/{noun}")) == (401, "no_key")
