"""lakeward.testing: a suite of an app sees what the app would record, without a lake."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from conftest import Lake
from lakeward.capture.asgi import LakewardMiddleware, Message, Receive, Scope, Send
from lakeward.catalog import TYPES
from lakeward.collector import Collector
from lakeward.errors import Rejected, SettingError
from lakeward.interaction import id_ms, parse_iso
from lakeward.ledger import Reason
from lakeward.settings import load
from lakeward.testing import (
    ABSENT,
    ANY,
    FrozenClock,
    MemoryCollector,
    assert_not_recorded,
    assert_recorded,
    recorded,
)

ROOT = Path(__file__).resolve().parent.parent
SECRET = "sk-live-4eC39HqLyjWDarjtT1zdp7dc"


def made(**settings: str) -> MemoryCollector:
    return MemoryCollector(settings, now_ns=FrozenClock())


async def shop(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that records what its global collector is told to."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    scope["app"].record("partner_match", partner_id="p1", score=87.5)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def call(app: LakewardMiddleware, path: str = "/match", **headers: str) -> None:
    """One request through the middleware, as a server would make it."""
    scope: Scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(),
        "query_string": b"focus=crm&token=" + SECRET.encode(), "root_path": "", "scheme": "http",
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
        "client": ("192.0.2.7", 4711), "server": ("localhost", 80), "app": app.collector,
    }  # fmt: skip

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        del message

    asyncio.run(app(scope, receive, send))


def threads_and_files() -> tuple[int, list[str]]:
    return threading.active_count(), sorted(os.listdir("/proc/self/fd"))


# The collector in memory is the collector


def test_a_record_in_memory_is_what_a_lake_would_hold(lake: Lake) -> None:
    memory, real = made(), lake.collector()
    moment = {"timestamp": "2025-08-14T16:11:28.677Z"}
    for name, spec in TYPES.items():
        example = dict(spec.example)
        memory.record(name, **moment, **json.loads(json.dumps(example)))
        real.record(name, **moment, **example)
    memory.record("custom", **moment, password=SECRET, note=f"key {SECRET}", price=Decimal("1.5"))
    real.record("custom", **moment, password=SECRET, note=f"key {SECRET}", price=Decimal("1.5"))
    real.commit()
    ours, theirs = memory.records, lake.rows()
    assert len(ours) == len(TYPES) + 1
    for mine, other in zip(ours, theirs, strict=True):
        assert list(mine) == list(other)
        assert mine | {"interaction_id": ""} == other | {"interaction_id": ""}
    assert SECRET not in repr(ours)


def test_records_are_in_order_and_have_the_ids_that_record_returned() -> None:
    collector = made()
    ids = [collector.record("hello", n=n) for n in range(5)]
    assert [row["interaction_id"] for row in collector.records] == ids
    assert [row["properties"]["n"] for row in collector.records] == list(range(5))


def test_counts_and_the_quarantine_are_those_of_a_real_collector(lake: Lake) -> None:
    memory, real = made(LAKEWARD_FRAME_BYTES="4KiB"), lake.collector(LAKEWARD_FRAME_BYTES="4KiB")
    for collector in (memory, real):
        collector.record("hello")
        collector.record("demo_booking", status="later")
        collector.count(Reason.excluded, 2)
        collector.record("hello", text="long " * 2_000)
        collector.quarantine("not JSON", note="line 7", raw=b"\x00\xff")
        with pytest.raises(Rejected):
            collector.record_or_raise("demo_booking", status="later")
        assert collector.put_batch([collector.prepare("hello", {"n": n}) for n in range(3)])
        collector.commit()
    ours, theirs = memory.stats(), real.stats()
    assert {k: ours[k] for k in ("offered", "accepted", "reasons")} == {
        k: theirs[k] for k in ("offered", "accepted", "reasons")
    }
    assert list(ours) == list(theirs)
    assert ours["offered"] == ours["accepted"] + sum(ours["reasons"].values())
    assert [row["interaction_type"] for row in memory.records] == ["hello"] * 4

    def told(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        return [(r["reason"], r.get("record"), r.get("bytes"), r.get("hash")) for r in rows]

    assert told(memory.quarantined) == told(lake.quarantined())


def test_it_starts_no_thread_opens_no_file_and_makes_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    hooked: list[object] = []
    monkeypatch.setattr(os, "register_at_fork", lambda **hooks: hooked.append(hooks))
    monkeypatch.setattr("atexit.register", lambda *hook: hooked.append(hook))
    before = threads_and_files()
    with made() as collector:
        call(LakewardMiddleware(shop, collector))
        collector.commit()
        asyncio.run(collector.acommit())
        assert threads_and_files() == before
    assert (os.listdir(tmp_path), hooked) == ([], [])


def test_what_was_recorded_can_be_read_after_close_and_nothing_is_recorded_then() -> None:
    with made() as collector:
        collector.record("hello")
    assert collector.record("late") is None
    assert [row["interaction_type"] for row in collector.records] == ["hello"]
    assert collector.stats()["reasons"] == {"closed": 1}


def test_clear_forgets_records_quarantine_and_counts() -> None:
    collector = made()
    collector.record("hello")
    collector.record("demo_booking", status="later")
    collector.count(Reason.excluded)
    collector.clear()
    assert (collector.records, collector.quarantined) == ([], [])
    assert collector.stats()["offered"] == 0
    collector.record("hello")
    assert collector.stats()["accepted"] == 1


def test_neither_the_environment_nor_an_env_file_reaches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env.development").write_text("APP_VERSION=9.9.9\n")
    monkeypatch.setenv("ENABLE_DATA_COLLECTION", "false")
    collector = MemoryCollector()
    collector.record("hello")
    assert collector.records[0]["app_version"] == "1.0.0"
    assert MemoryCollector.from_env().record("hello") is None


def test_settings_are_a_mapping_or_finished_and_a_wrong_one_is_named() -> None:
    collector = MemoryCollector(load({"APP_VERSION": "2.0.0"}, Path(os.devnull)))
    collector.record("hello")
    assert collector.records[0]["app_version"] == "2.0.0"
    off = made(ENABLE_OUTCOME_TRACKING="false", LAKEWARD_SERVICE="shop")
    assert off.record("demo_booking", status="booked") is None
    off.record("hello")
    assert (off.records[0]["service"], off.stats()["reasons"]) == ("shop", {"disabled": 1})
    with pytest.raises(SettingError, match="LAKEWARD_IP"):
        made(LAKEWARD_IP="sometimes")


def test_a_scrubbing_callable_sees_and_changes_what_is_recorded() -> None:
    def scrub(fields: dict[str, Any]) -> dict[str, Any]:
        return fields | {"partner_id": "hidden"}

    collector = MemoryCollector(scrub=scrub)
    collector.record("partner_match", partner_id="p1")
    assert_recorded(collector, "partner_match", partner_id="hidden")


def test_calls_through_the_middleware_are_captured_and_joined() -> None:
    collector = made()
    app = LakewardMiddleware(shop, collector, user=lambda scope: ("c-17", "contractor"))
    call(app)
    match = assert_recorded(collector, "partner_match", user_id="c-17", score=87.5)
    found = assert_recorded(
        collector,
        "api_call",
        path="/match",
        response_status=200,
        query_params={"focus": "crm", "token": "[REDACTED]"},
    )
    assert match["parent_interaction_id"] == found["interaction_id"]
    assert match["trace_id"] == found["trace_id"]
    call(app, "/health")
    assert collector.stats()["reasons"] == {"excluded": 1}


def test_sessions_are_the_same_in_every_run() -> None:
    code = (
        "from lakeward.testing import MemoryCollector, FrozenClock\n"
        "from lakeward.capture.visitor import Sessions\n"
        "s = Sessions(MemoryCollector(now_ns=FrozenClock()))\n"
        "print(s.of_day('2025-08-14', '192.0.2.7', b'x'), s.named({b'cookie': b'session=abc'}))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(runs) == 1
    collector = made()
    app = LakewardMiddleware(shop, collector)
    for cookie in ("session=a", "session=b", "session=a"):
        call(app, cookie=cookie)
    one, two, three = [row["session_id"] for row in recorded(collector, "api_call")]
    assert one == three != two


def test_many_threads_lose_nothing() -> None:
    collector = made()

    def work() -> None:
        for n in range(200):
            collector.record("hello", n=n)
            collector.record("demo_booking", status="later")
            collector.count(Reason.excluded)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(collector.records) == 1600
    assert collector.stats()["reasons"] == {"excluded": 1600}
    assert len(collector.quarantined) == 1600


# The clock


def test_ids_and_times_follow_the_frozen_clock() -> None:
    clock = FrozenClock("2025-08-14T16:11:28.677Z")
    collector = MemoryCollector(now_ns=clock)
    collector.record("first")
    collector.record("demo_booking", status="later")
    clock.tick(90.5)
    collector.record("second")
    clock.set("2025-12-31T23:59:59.999Z")
    call(LakewardMiddleware(shop, collector))
    rows = collector.records
    assert [row["timestamp"] for row in rows] == [
        "2025-08-14T16:11:28.677Z",
        "2025-08-14T16:12:59.177Z",
        "2025-12-31T23:59:59.999Z",
        "2025-12-31T23:59:59.999Z",
    ]
    for row in rows:
        assert id_ms(row["interaction_id"]) == parse_iso(row["timestamp"])
    assert collector.quarantined[0]["quarantined_at"] == "2025-08-14T16:11:28.677Z"
    assert clock.text == "2025-12-31T23:59:59.999Z"


def test_the_clock_goes_backwards_and_refuses_what_is_no_time() -> None:
    clock = FrozenClock()
    clock.tick(-1)
    assert clock.text == "2025-08-14T16:11:27.677Z"
    with pytest.raises(ValueError, match="noon"):
        clock.set("noon")


# What can be expected


MATCH: Mapping[str, Any] = {
    "partner_id": "p1",
    "score": 87.5,
    "reasons": ["crm", "size"],
    "primary": True,
    "score_parts": {"focus": 90, "size": 85},
    "campaign": "spring",
}


@pytest.mark.parametrize(
    "expected",
    [
        {},
        {"partner_id": "p1"},
        {"score": 87.5},
        {"outcomes__score": 87.5},
        {"outcomes": {"score": 87.5}},
        {"campaign": "spring"},
        {"properties__campaign": "spring"},
        {"score_parts__focus": 90},
        {"score_parts": {"size": 85}},
        {"score_parts": {}},
        {"reasons": ["crm", "size"]},
        {"reasons": ("crm", ANY)},
        {"reasons__1": "size"},
        {"score": ANY},
        {"score": lambda score: score > 80},
        {"score": float},
        {"score": pytest.approx(87.4, abs=0.2)},
        {"partner_id": re.compile("^p[0-9]$")},
        {"rank": ABSENT},
        {"outcomes": {"rank": ABSENT, "primary": True}},
        {"user_id": "anonymous", "primary": True, "score": 87.5},
    ],
)
def test_a_record_is_as_expected(expected: dict[str, Any]) -> None:
    collector = made()
    interaction_id = collector.record("partner_match", **MATCH)
    found = assert_recorded(collector, "partner_match", **expected)
    assert found["interaction_id"] == interaction_id
    with pytest.raises(AssertionError):
        assert_not_recorded(collector, "partner_match", **expected)


@pytest.mark.parametrize(
    ("expected", "told"),
    [
        ({"partner_id": "p2"}, "- partner_id: 'p2'\n    + partner_id: 'p1'"),
        ({"score": 87}, "- outcomes.score: 87\n    + outcomes.score: 87.5"),
        ({"primary": 1}, "- outcomes.primary: 1\n    + outcomes.primary: True"),
        ({"rank": ANY}, "- outcomes.rank: ANY\n    + outcomes.rank: ABSENT"),
        ({"score": ABSENT}, "- outcomes.score: ABSENT\n    + outcomes.score: 87.5"),
        ({"score": lambda score: score > 90}, "+ outcomes.score: 87.5"),
        ({"score": lambda score: score > "x"}, "+ outcomes.score: 87.5  (raised TypeError)"),
        ({"score": str}, "+ outcomes.score: 87.5"),
        ({"partner_id": re.compile("^q")}, "+ partner_id: 'p1'"),
        ({"reasons": ["crm"]}, "- outcomes.reasons: ['crm']"),
        ({"reasons": ["crm", "price"]}, "- outcomes.reasons.1: 'price'"),
        ({"reasons__7": "x"}, "+ outcomes.reasons.7: ABSENT"),
        ({"score_parts": {"focus": 91}}, "- outcomes.score_parts.focus: 91"),
        ({"score_parts": []}, "- outcomes.score_parts: []"),
        ({"campaign": "autumn"}, "- properties.campaign: 'autumn'"),
        ({"partner_id__x": 1}, "+ partner_id.x: ABSENT"),
    ],
)
def test_a_record_that_differs_is_shown_with_the_difference(
    expected: dict[str, Any], told: str
) -> None:
    collector = made()
    collector.record("partner_match", **MATCH)
    assert_not_recorded(collector, "partner_match", **expected)
    with pytest.raises(AssertionError) as failure:
        assert_recorded(collector, "partner_match", **expected)
    assert told in str(failure.value)


def test_the_most_similar_record_is_shown_first() -> None:
    collector = made()
    collector.record("partner_match", partner_id="p9", score=1)
    collector.record("partner_match", partner_id="p1", score=42)
    for n in range(3):
        collector.record("partner_match", partner_id=f"x{n}", score=n)
    with pytest.raises(AssertionError) as failure:
        assert_recorded(collector, "partner_match", partner_id="p1", score=87.5)
    text = str(failure.value)
    first, *rest = re.findall(r"partner_id: '(\w+)'$", text, re.MULTILINE)
    assert first == "p1"
    assert "wanted once, recorded never" in text
    assert "5 others were, the most similar first (2 more not shown)" in text
    assert text.index("+ outcomes.score: 42") < text.index("+ partner_id: 'p9'")
    assert len(rest) == 4


def test_how_often_is_counted() -> None:
    collector = made()
    for n in range(3):
        collector.record("hello", n=n)
    assert len(assert_recorded(collector, "hello", times=3)) == 3
    assert [row["properties"]["n"] for row in assert_recorded(collector, "hello", times=None)] == [
        0,
        1,
        2,
    ]
    assert assert_recorded(collector, "goodbye", times=0) == []
    assert assert_recorded(collector, "hello", n=1)["properties"] == {"n": 1}
    for times, words in ((1, "wanted once, recorded 3 times"), (2, "wanted twice"), (0, "never")):
        with pytest.raises(AssertionError, match=words):
            assert_recorded(collector, "hello", times=times)
    with pytest.raises(AssertionError, match="wanted at least once, recorded never"):
        assert_recorded(collector, "goodbye", times=None)
    with pytest.raises(AssertionError, match="wanted never, recorded 3 times"):
        assert_not_recorded(collector, "hello")


def test_a_type_that_was_not_recorded_is_explained_by_what_was() -> None:
    collector = made()
    with pytest.raises(AssertionError, match="recorded were: nothing"):
        assert_recorded(collector, "partner_match")
    collector.record("partner_match", partner_id="p1")
    collector.record("hello")
    collector.record("demo_booking", status="later")
    with pytest.raises(AssertionError) as failure:
        assert_recorded(collector, "partner_matched")
    assert "recorded were: partner_match 1, hello 1" in str(failure.value)
    assert "did you mean 'partner_match'?" in str(failure.value)
    with pytest.raises(AssertionError, match="quarantined: demo_booking refused: `status` must"):
        assert_recorded(collector, "demo_booking")
    off = made(ENABLE_OUTCOME_TRACKING="false")
    off.record("demo_booking", status="booked")
    with pytest.raises(AssertionError, match="counted and not recorded: disabled 1"):
        assert_recorded(off, "demo_booking")


def test_no_secret_is_in_a_failure() -> None:
    collector = made()
    collector.record("hello", password=SECRET, note=f"Bearer {SECRET}")
    collector.record("demo_booking", status=SECRET, api_key=SECRET)
    for name in ("hello", "demo_booking", "nothing"):
        with pytest.raises(AssertionError) as failure:
            assert_recorded(collector, name, n=1)
        assert SECRET not in str(failure.value)


# A user's own pytest


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """The environment of a suite beside which Lakeward is installed: pytest finds the plugin by
    the entry point that pyproject.toml declares."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    points = project["entry-points"]["pytest11"]
    info = tmp_path / "site/lakeward_entry-0.dist-info"
    info.mkdir(parents=True)
    listed = "".join(f"{name} = {module}\n" for name, module in points.items())
    (info / "entry_points.txt").write_text(f"[pytest11]\n{listed}")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lakeward-entry\nVersion: 0\n")
    paths = os.pathsep.join((str(ROOT / "src"), str(info.parent)))
    return {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}


def own_pytest(folder: Path, env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"]
    return subprocess.run(
        [*command, "--rootdir", str(folder), "-c", os.devnull, *words],
        env=env, cwd=folder, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_the_example_suite_passes(tmp_path: Path, installed: dict[str, str]) -> None:
    done = own_pytest(tmp_path, installed, str(ROOT / "examples/test_shop.py"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^5 passed", done.stdout, re.MULTILINE), done.stdout


def test_the_page_is_a_suite_that_passes(tmp_path: Path, installed: dict[str, str]) -> None:
    page = (ROOT / "docs/testing.md").read_text(encoding="utf-8")
    found = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    for n, block in enumerate(found):
        (tmp_path / f"test_{n}.py").write_text(block, encoding="utf-8")
    done = own_pytest(tmp_path, installed, str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_the_failure_that_the_page_shows_is_real() -> None:
    page = (ROOT / "docs/testing.md").read_text(encoding="utf-8")
    shown = re.search(r"^```\n(partner_match with .*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert shown is not None
    collector = made()
    collector.record("partner_match", user_id="c-17", partner_id="p1", score=42)
    with pytest.raises(AssertionError) as failure:
        assert_recorded(collector, "partner_match", partner_id="p1", score=87.5)

    def steady(text: str) -> str:
        return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text).strip()

    assert steady(shown[1]) == steady(str(failure.value))


def test_a_suite_overrides_the_settings_and_each_test_has_a_fresh_collector(
    tmp_path: Path, installed: dict[str, str]
) -> None:
    (tmp_path / "conftest.py").write_text(
        "import pytest\n\n"
        "@pytest.fixture\n"
        "def lakeward_settings():\n"
        '    return {"LAKEWARD_SERVICE": "shop"}\n'
    )
    (tmp_path / "test_own.py").write_text(
        "import pytest\n"
        "from lakeward.testing import assert_recorded\n\n"
        '@pytest.mark.parametrize("n", range(3))\n'
        "def test_one(lakeward_collector, lakeward_clock, n):\n"
        "    lakeward_clock.tick(n)\n"
        '    lakeward_collector.record("hello")\n'
        "    moment = lakeward_clock.text\n"
        '    assert_recorded(lakeward_collector, "hello", service="shop", timestamp=moment)\n'
    )
    done = own_pytest(tmp_path, installed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_a_suite_that_asks_for_nothing_imports_nothing_of_lakeward(
    tmp_path: Path, installed: dict[str, str]
) -> None:
    (tmp_path / "test_other.py").write_text(
        "import sys\n\n"
        "def test_other():\n"
        "    assert 'lakeward_pytest' in sys.modules\n"
        "    assert 'lakeward' not in sys.modules\n"
    )
    done = own_pytest(tmp_path, installed)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_failure_points_at_the_suites_own_line(tmp_path: Path, installed: dict[str, str]) -> None:
    (tmp_path / "test_fails.py").write_text(
        "from lakeward.testing import assert_recorded\n\n"
        "def test_fails(lakeward_collector):\n"
        '    assert_recorded(lakeward_collector, "hello")\n'
    )
    done = own_pytest(tmp_path, installed)
    assert done.returncode == 1
    assert "test_fails.py:4: AssertionError" in done.stdout
    assert "recorded.py" not in done.stdout


def test_importing_lakeward_testing_needs_no_pytest() -> None:
    code = (
        "import sys, lakeward.testing; print('pytest' in sys.modules or '_pytest' in sys.modules)"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


def test_a_memory_collector_is_a_collector() -> None:
    assert isinstance(made(), Collector)
