"""Gradual rollout: a share of the users, the same everywhere, changed while the app runs."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from conftest import Lake, wait_until
from lakeward.attachment import STALE_NS
from lakeward.capture.asgi import BodyRule, LakewardMiddleware, Receive, Scope, Send
from lakeward.collector import Collector
from lakeward.errors import SettingError
from lakeward.keeper import ROUND_SECONDS, WATCH_SECONDS
from lakeward.rollout import ALL, API_CALLS, FEATURES, OUTCOMES, ShareFile, bucket, covers
from lakeward.settings import load

USERS = [f"user-{n}" for n in range(10_000)]


def shares(**some: int) -> tuple[int, ...]:
    return tuple(some.get(name, ALL) for name in FEATURES)


@pytest.mark.parametrize("feature", range(len(FEATURES)))
def test_ten_percent_of_ten_thousand_users_are_nine_to_eleven_percent(feature: int) -> None:
    ten = tuple([1_000] * len(FEATURES))
    assert 900 <= sum(covers(ten, feature, user) for user in USERS) <= 1100


def test_who_is_in_at_ten_percent_is_in_at_twenty() -> None:
    ten, twenty = shares(outcomes=1_000), shares(outcomes=2_000)
    assert all(covers(twenty, OUTCOMES, user) for user in USERS if covers(ten, OUTCOMES, user))


def test_features_choose_their_users_independently() -> None:
    ten = shares(outcomes=1_000, api_calls=1_000)
    both = sum(covers(ten, OUTCOMES, u) and covers(ten, API_CALLS, u) for u in USERS)
    assert 50 <= both <= 160


def test_nobody_at_zero_and_everybody_at_a_hundred() -> None:
    assert not any(covers(shares(outcomes=0), OUTCOMES, user) for user in USERS)
    assert all(covers(shares(), OUTCOMES, user) for user in USERS)


def test_the_verdict_is_the_same_in_every_process() -> None:
    code = (
        "from lakeward.rollout import bucket; print(*[bucket(2, f'user-{n}') for n in range(50)])"
    )
    runs = {
        subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed},
                       capture_output=True, text=True, check=True).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert runs == {" ".join(str(bucket(2, f"user-{n}")) for n in range(50)) + "\n"}


@pytest.mark.parametrize("text", ["-1", "101", "ten", "nan", "inf", "1e400"])
def test_what_is_no_percentage_is_refused_with_a_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingError, match="percentage from 0 to 100"):
        load({"LAKEWARD_ROLLOUT_OUTCOMES": text}, tmp_path)


def test_a_file_that_cannot_be_read_leaves_the_shares_as_they_were(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / ".env.development"
    path.write_text("LAKEWARD_ROLLOUT_OUTCOMES=25\n")
    look = ShareFile({}, path)
    assert look() == shares(outcomes=2_500)
    path.write_text("LAKEWARD_ROLLOUT_OUTCOMES=many\n")
    assert look() == look() == shares(outcomes=2_500)
    assert caplog.text.count("percentage from 0 to 100") == 1
    path.unlink()
    assert look() == shares()


def sum_of(collector: Collector) -> tuple[int, int, int]:
    stats = collector.stats()
    return stats["offered"], stats["accepted"], stats["reasons"].get("sampled", 0)


def test_outcomes_of_users_outside_the_share_are_counted_sampled(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_ROLLOUT_OUTCOMES="10")
    for user in USERS[:1000]:
        collector.record("cta_click", cta="book", user_id=user)
        collector.record("own_type", user_id=user)
    offered, accepted, sampled = sum_of(collector)
    assert (offered, accepted + sampled) == (2000, 2000)
    collector.commit()
    kept = [row["user_id"] for row in lake.rows() if row["interaction_type"] == "cta_click"]
    assert kept == [u for u in USERS[:1000] if covers(shares(outcomes=1_000), OUTCOMES, u)]
    assert sampled == 1000 - len(kept)


def test_a_flow_of_a_user_or_visitor_is_seen_whole_or_not_at_all(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_ROLLOUT_OUTCOMES="50")
    people: list[dict[str, str]] = [{"user_id": user} for user in USERS[:50]]
    people += [{"user_id": "anonymous", "anonymous_id": user} for user in USERS[50:100]]
    for n, who in enumerate(people):
        for step in ("one", "two"):
            collector.record("flow_step", flow="f", step=step, session_id=f"s{n}", **who)
        collector.record("flow_completion", flow="f", session_id=f"s{n + 1}", **who)
    collector.commit()
    kept = [row.get("anonymous_id") or row["user_id"] for row in lake.rows()]
    covered = [u for u in USERS[:100] if covers(shares(outcomes=5_000), OUTCOMES, u)]
    assert kept == [user for user in covered for _ in range(3)]


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def ask(app: Any, users: list[str], session: str = "", **options: Any) -> None:
    async def go() -> None:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            for user in users:
                headers = {"x-user": user} | ({"x-session-id": session} if session else {})
                await client.post("/api", headers=headers, **options)

    asyncio.run(go())


def user_of(scope: Scope) -> str:
    return str(dict(scope["headers"])[b"x-user"].decode())


def test_api_calls_are_sampled_by_the_user_that_the_hook_names(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_ROLLOUT_API_CALLS="10")
    ask(LakewardMiddleware(echo, collector, user=user_of), USERS[:300])
    collector.commit()
    inside = [u for u in USERS[:300] if covers(shares(api_calls=1_000), API_CALLS, u)]
    assert [row["user_id"] for row in lake.rows()] == inside
    assert sum_of(collector) == (300, len(inside), 300 - len(inside))


def test_without_a_user_a_session_is_in_or_out_as_a_whole(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_ROLLOUT_API_CALLS="50")
    app = LakewardMiddleware(echo, collector)
    for n in range(20):
        ask(app, ["x"] * 3, session=f"s{n}")
    collector.commit()
    by_session: dict[str, int] = {}
    for row in lake.rows():
        by_session[row["session_id"]] = by_session.get(row["session_id"], 0) + 1
    assert set(by_session.values()) == {3}
    assert 0 < len(by_session) < 20


def test_bodies_outside_the_share_leave_a_mark_and_are_counted(lake: Lake) -> None:
    collector = lake.collector(LAKEWARD_ROLLOUT_BODIES="0")
    app = LakewardMiddleware(echo, collector, bodies=[BodyRule("/api")])
    ask(app, ["x"], json={"a": 1})
    collector.commit()
    assert [row["request_body"] for row in lake.rows()] == ["[sampled]"]
    assert sum_of(collector) == (2, 1, 1)


@pytest.mark.parametrize("keeper", ["spawn", "thread"])
def test_a_change_of_the_file_counts_in_every_worker_without_a_restart(
    lake: Lake, keeper: str
) -> None:
    file = lake.root.parent / ".env.development"
    file.write_text("LAKEWARD_ROLLOUT_OUTCOMES=100\n")
    workers = [lake.collector(LAKEWARD_KEEPER=keeper) for _ in range(2)]

    def verdicts() -> list[list[bool]]:
        return [
            [worker.record("cta_click", cta="a", user_id=u) is not None for u in USERS[:40]]
            for worker in workers
        ]

    assert verdicts() == [[True] * 40] * 2
    file.write_text("LAKEWARD_ROLLOUT_OUTCOMES=30\n")
    expected = [covers(shares(outcomes=3_000), OUTCOMES, user) for user in USERS[:40]]
    wait_until(lambda: verdicts() == [expected] * 2, what="the new share")
    file.write_text("LAKEWARD_ROLLOUT_OUTCOMES=100\n")
    wait_until(lambda: verdicts() == [[True] * 40] * 2, what="the old share")


def test_a_change_of_the_file_needs_no_five_seconds() -> None:
    # The keeper looks so often, and an app looks again so long after a heartbeat.
    assert WATCH_SECONDS + ROUND_SECONDS + STALE_NS / 1e9 < 5


def test_what_the_environment_says_no_file_changes(lake: Lake) -> None:
    file = lake.root.parent / ".env.development"
    file.write_text("LAKEWARD_ROLLOUT_OUTCOMES=100\nLAKEWARD_ROLLOUT_BROWSER_EVENTS=100\n")
    collector = lake.collector(LAKEWARD_ROLLOUT_OUTCOMES="0")
    collector.record("click", element="a")
    file.write_text("LAKEWARD_ROLLOUT_OUTCOMES=100\nLAKEWARD_ROLLOUT_BROWSER_EVENTS=0\n")
    wait_until(lambda: collector.record("click", element="a") is None, what="the new share")
    assert collector.record("cta_click", cta="a") is None
