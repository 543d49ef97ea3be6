"""The summary of a day equals what anybody can count in the day's files."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import Lake
from lakeward.catalog import TYPES
from lakeward.cli import main
from lakeward.cli.summary import WIDTH, cut, render
from lakeward.errors import Unreadable
from lakeward.lake.figures import Summary
from lakeward.lake.summary import day_named, summarize, summarize_named
from lakeward.lake.tally import LISTED
from lakeward.lake.times import RUN, Times, percentile
from lakeward.lakedir import LakeDir, open_lake
from lakeward.ledger import Batch, Part, State, Stream
from lakeward.log import Log
from lakeward.testing import FrozenClock, MemoryCollector

ROOT = Path(__file__).resolve().parent.parent
DAY, NEXT = "2025-08-14", "2025-08-15"
MIDNIGHT_MS = 1_755_216_000_000  # 2025-08-15T00:00:00Z
RANKS = (50, 95, 99, 100)
BUCKETS = ("input_tokens", "cache_read_tokens", "output_tokens", "reasoning_tokens")


class Day:
    """The keeper's part, for lines of any content received at any time."""

    def __init__(self, lake: LakeDir, segment_bytes: int = 4096) -> None:
        self.lake = lake
        self.log = Log(lake, segment_bytes)
        self.state = State(lake_id=lake.identity.lake_id)

    def write(self, lines: list[bytes], ms: int, stream: Stream = "raw") -> None:
        """Append a batch; readers do not see it yet."""
        content = b"".join(line + b"\n" for line in lines)
        segment, start = self.log.place(stream, len(content), ms)
        self.log.write(stream, content, len(lines))
        part = Part(stream, segment, start, start + len(content), len(lines), 0)
        self.state.apply(Batch(self.state.batch + 1, [part], {}))

    def publish(self) -> None:
        """Let readers see what was written."""
        self.log.publish(self.state)


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    made = Day(open_lake(tmp_path / "data-lake"))
    yield made
    made.log.close()


def lines_of(collector: MemoryCollector) -> list[bytes]:
    return [json.dumps(row, ensure_ascii=False).encode() for row in collector.records]


def line(kind: str = "api_call", **fields: Any) -> bytes:
    head = {"timestamp": f"{DAY}T12:00:00.000Z", "interaction_type": kind, "user_id": "anonymous"}
    return json.dumps(head | fields).encode()


# Brute force, with nothing but json


def counted(values: Any) -> dict[str, int]:
    counts = Counter(value for value in values if value is not None)
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def brute_latency(rows: list[dict[str, Any]]) -> dict[str, Any]:
    times = sorted(r["response_time_ms"] for r in rows if r.get("response_time_ms") is not None)
    found = [times[math.ceil(p / 100 * len(times)) - 1] if times else None for p in RANKS]
    return {"measured": len(times)} | dict(
        zip(("p50", "p95", "p99", "longest"), found, strict=True)
    )


def brute_route(rows: list[dict[str, Any]], method: str, route: str, matched: bool) -> Any:
    statuses = [row.get("response_status") or 0 for row in rows]
    return {
        "method": method, "route": route, "matched": matched, "calls": len(rows),
        "client_errors": sum(400 <= status < 500 for status in statuses),
        "server_errors": sum(500 <= status < 600 for status in statuses),
        "latency": brute_latency(rows),
    }  # fmt: skip


def brute_calls(rows: list[dict[str, Any]]) -> dict[str, Any]:
    keys = [
        (r.get("method") or "", r["route"], True)
        if r.get("route") is not None
        else (r.get("method") or "", r.get("path") or "", False)
        for r in rows
    ]
    routes = [
        brute_route([r for r, k in zip(rows, keys, strict=True) if k == key], *key)
        for key in set(keys)
    ]
    routes.sort(key=lambda r: (-r["calls"], r["route"], r["method"], not r["matched"]))
    statuses = [str(r.get("response_status") or "none") for r in rows]
    classes = [s if s == "none" else f"{s[0]}xx" for s in statuses]
    whole = brute_route(rows, "", "", False)
    return {
        "calls": len(rows),
        "client_errors": whole["client_errors"],
        "server_errors": whole["server_errors"],
        "latency": whole["latency"],
        "by_class": dict(sorted(Counter(classes).items())),
        "by_status": counted(statuses),
        "routes": routes,
        "other": None,
    }


def mean(values: list[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def slot(rows: list[dict[str, Any]], kind: str, name: str, field: str) -> list[Any]:
    """A field of a type's slot in each record that has it."""
    found = [r.get(name, {}).get(field) for r in rows if r["interaction_type"] == kind]
    return [value for value in found if value is not None]


def brute_outcomes(rows: list[dict[str, Any]]) -> dict[str, Any]:
    kinds = counted(r["interaction_type"] for r in rows if TYPES.get(r["interaction_type"]))
    by_type = {name: n for name, n in kinds.items() if TYPES[name].outcome}
    scores = slot(rows, "partner_match", "outcomes", "score")
    deals: dict[str, list[float]] = {}
    flows: dict[str, list[str]] = {}
    for row in rows:
        own = row.get("outcomes", {})
        if row["interaction_type"] == "deal_closed":
            deals.setdefault(own.get("currency", ""), []).append(own["value"])
        if row["interaction_type"] == "flow_completion":
            flows.setdefault(own["flow"], []).append(own.get("status", "completed"))
    ratings = slot(rows, "feedback_submission", "feedback", "overall")
    nps = slot(rows, "feedback_submission", "feedback", "nps")
    ended = Counter(status for statuses in flows.values() for status in statuses)
    return {
        "by_type": by_type,
        "matches": {
            "count": by_type.get("partner_match", 0), "scored": len(scores),
            "mean_score": mean(scores),
        },
        "bookings": counted(slot(rows, "demo_booking", "outcomes", "status")),
        "deals": {
            "count": by_type.get("deal_closed", 0),
            "value": {c: {"count": len(v), "total": math.fsum(v)} for c, v in deals.items()},
        },
        "completed": ended["completed"],
        "abandoned": ended["abandoned"],
        "flows": {
            name: {"completed": s.count("completed"), "abandoned": s.count("abandoned")}
            for name, s in flows.items()
        },
        "onboarding": counted(slot(rows, "partner_onboarding", "outcomes", "status")),
        "feedback": {
            "count": by_type.get("feedback_submission", 0), "rated": len(ratings),
            "mean_overall": mean(ratings), "nps_answers": len(nps),
            "nps": 100 * (sum(n >= 9 for n in nps) - sum(n <= 6 for n in nps)) / len(nps)
            if nps else None,
        },
    }  # fmt: skip


def brute_ai(rows: list[dict[str, Any]]) -> dict[str, Any]:
    turns = [r.get("ai_metadata", {}) for r in rows if r["interaction_type"] == "ai_conversation"]
    ratings = [r.get("ai_metadata", {}) for r in rows if r["interaction_type"] == "ai_rating"]

    def tokens(turn: dict[str, Any]) -> int:
        total: int = turn.get("total_tokens", sum(turn.get(bucket, 0) for bucket in BUCKETS))
        return total

    def key(turn: dict[str, Any]) -> tuple[str, str]:
        model = turn.get("model_answered") or turn.get("model_requested") or ""
        return turn.get("provider", ""), model

    models: list[dict[str, Any]] = []
    for provider, model in {key(turn) for turn in turns}:
        own = [turn for turn in turns if key(turn) == (provider, model)]
        costs = [turn["cost_usd"] for turn in own if "cost_usd" in turn]
        models.append(
            {
                "provider": provider, "model": model, "turns": len(own),
                "tokens": sum(map(tokens, own)), "priced": len(costs),
                "cost_usd": math.fsum(costs),
            }
        )  # fmt: skip
    models.sort(key=lambda m: (-m["turns"], m["provider"], m["model"]))
    sums = {bucket: sum(turn.get(bucket, 0) for turn in turns) for bucket in BUCKETS}
    return {
        "turns": len(turns),
        "by_status": counted(turn.get("status") for turn in turns),
        "tokens": sum(map(tokens, turns)),
        "by_bucket": {bucket: n for bucket, n in sums.items() if n},
        "priced": sum(m["priced"] for m in models),
        "cost_usd": math.fsum(turn["cost_usd"] for turn in turns if "cost_usd" in turn),
        "models": models,
        "ratings": len(ratings),
        "helpful": sum(r.get("helpful") is True for r in ratings),
        "unhelpful": sum(r.get("helpful") is False for r in ratings),
    }


def brute(rows: list[dict[str, Any]], date: str) -> dict[str, Any]:
    """The figures of a day's records, counted the slow and obvious way."""
    people = [r["user_id"] for r in rows]
    return {
        "date": date,
        "basis": "receipt",
        "interactions": len(rows),
        "other_days": sum(r["timestamp"][:10] != date for r in rows),
        "users": len(set(people) - {"anonymous"}),
        "sessions": len({r["session_id"] for r in rows if r.get("session_id")}),
        "anonymous": people.count("anonymous"),
        "by_type": counted(r["interaction_type"] for r in rows),
        "services": counted(r.get("service") for r in rows),
        "app_versions": counted(r.get("app_version") for r in rows),
        "api_calls": brute_calls([r for r in rows if r["interaction_type"] == "api_call"]),
        "outcomes": brute_outcomes(rows),
        "ai": brute_ai(rows),
        "folded": {},
    }


def check(summary: Summary, rows: list[dict[str, Any]]) -> None:
    found, expected = msgspec.to_builtins(summary), brute(rows, summary.date)
    for name, value in expected.items():
        assert found[name] == value, name
    orders = [("by_type",), ("services",), ("api_calls", "by_status"), ("outcomes", "by_type")]
    for path in orders:
        one, other = found, expected
        for step in path:
            one, other = one[step], other[step]
        assert list(one) == list(other), path


# Something of everything


def happen(dice: random.Random, collector: MemoryCollector) -> None:
    """Record one interaction of any kind, with any fields left out."""

    def some(**fields: Any) -> dict[str, Any]:
        return {name: value for name, value in fields.items() if dice.random() < 0.8}

    who = some(user_id=f"u{dice.randrange(9)}", session_id=f"s{dice.randrange(20)}")
    path = f"/api/partners/p{dice.randrange(4)}"
    kind = dice.choice(
        ["api_call"] * 9
        + ["partner_match", "demo_booking", "deal_closed", "flow_completion", "flow_step"]
        + ["feedback_submission", "partner_onboarding", "ai_conversation", "ai_rating", "cta_click"]
        + ["custom", "page_view"]
    )
    own: Callable[[], dict[str, Any]] = {
        "api_call": lambda: {
            "method": dice.choice(["GET", "POST", None]), "path": path,
            **some(
                route=dice.choice(["/api/partners/{id}", "/x", None]),
                response_status=dice.choice([101, 200, 200, 201, 301, 404, 422, 500, 503, None]),
                response_time_ms=dice.choice([0, 1, 2.5, dice.expovariate(0.01)]),
            ),
        },
        "partner_match": lambda: {"partner_id": "p1"} | some(score=dice.uniform(0, 100)),
        "demo_booking": lambda: {"status": dice.choice(["booked", "held", "no_show"])},
        "deal_closed": lambda: {"value": dice.uniform(0, 1e6)}
        | some(currency=dice.choice(["USD", "EUR"])),
        "flow_completion": lambda: {"flow": dice.choice("abc")}
        | some(status=dice.choice(["completed", "abandoned"])),
        "flow_step": lambda: {"flow": "a", "step": "b"},
        "feedback_submission": lambda: some(
            overall=dice.randint(1, 10), nps=dice.randint(0, 10), recommend=True
        ),
        "partner_onboarding": lambda: {"status": dice.choice(["started", "completed"])},
        "ai_conversation": lambda: some(
            provider=dice.choice(["openai", "anthropic"]), model_requested="m",
            model_answered=dice.choice(["m-1", "m-2"]), status=dice.choice(["completed", "failed"]),
            cost_usd=dice.uniform(0, 0.1), total_tokens=10_000,
            **{bucket: dice.randrange(100) for bucket in BUCKETS},
        ),
        "ai_rating": lambda: some(helpful=dice.random() < 0.5),
        "cta_click": lambda: {"cta": "book_demo"},
        "custom": lambda: {"n": dice.random()},
        "page_view": lambda: {"path": path},
    }[kind]  # fmt: skip
    assert collector.record(kind, **who, **own()) is not None


def erase(path: Path, number: int) -> dict[str, Any]:
    """Overwrite the numbered line with spaces; what it held."""
    lines = path.read_bytes().split(b"\n")
    number = min(number, len(lines) - 2)
    held: dict[str, Any] = json.loads(lines[number])
    lines[number] = b" " * len(lines[number])
    path.write_bytes(b"\n".join(lines))
    return held


@pytest.mark.parametrize("seed", range(8))
def test_a_days_summary_equals_brute_force_over_all_rolled_files(day: Day, seed: int) -> None:
    dice, clock = random.Random(seed), FrozenClock("2025-08-14T23:50:00Z")
    apps = [
        MemoryCollector({"LAKEWARD_SERVICE": name, "APP_VERSION": version}, now_ns=clock)
        for name, version in (("shop", "1.0.0"), ("", "2.1.0"))
    ]
    expected: dict[str, list[dict[str, Any]]] = {DAY: [], NEXT: []}
    for _ in range(60):
        batch = []
        for _ in range(dice.randint(1, 30)):
            app = dice.choice(apps)
            happen(dice, app)
            batch.append(app.records[-1])
        ms = clock() // 1_000_000
        day.write([json.dumps(row).encode() for row in batch], ms)
        expected[DAY if ms < MIDNIGHT_MS else NEXT] += batch
        clock.tick(dice.choice([10, 30]))
        for app in apps:
            app.clear()
    day.publish()
    files = {
        name: sorted(day.lake.root.glob(f"raw/*/*/day={name[-2:]}/*.jsonl")) for name in expected
    }
    assert all(len(paths) > 3 for paths in files.values())
    day.write([b'{"interaction_type":"api_call","beyond":"the published end"}'], clock() // 10**6)
    for name, rows in expected.items():
        assert rows
        check(summarize(day.lake, name), rows)
        assert summarize(day.lake, name).files == len(files[name])
    for n in range(3):
        gone = erase(files[DAY][n], n)
        expected[DAY] = [r for r in expected[DAY] if r["interaction_id"] != gone["interaction_id"]]
    found = summarize(day.lake, DAY)
    check(found, expected[DAY])
    assert (found.erased, found.unreadable) == (3, 0)
    check(summarize(day.lake, NEXT), expected[NEXT])


def test_two_apps_with_a_real_keeper_are_summed_up(lake: Lake) -> None:
    dice = random.Random(7)
    memory = MemoryCollector()
    apps = [lake.collector(LAKEWARD_SERVICE=name, LAKEWARD_SEGMENT_BYTES="4KiB") for name in "ab"]
    for n in range(120):
        happen(dice, memory)
        given = {k: v for k, v in memory.records[-1].items() if k not in ("environment",)}
        kind = given.pop("interaction_type")
        assert apps[n % 2].record(kind, **given) is not None
        if n % 40 == 0:
            apps[n % 2].record("demo_booking", status="later")
            apps[n % 2].commit()
    for app in apps:
        app.commit()
    rows, days = lake.rows(), sorted(lake.root.glob("raw/*/*/*"))
    assert len(rows) == 120
    names = [f"{p.parts[-3][5:]}-{p.parts[-2][6:]}-{p.parts[-1][4:]}" for p in days]
    found = [summarize(lake.open(), name, ring_dir=lake.ring_dir) for name in names]
    if len(found) == 1:  # not at midnight
        check(found[0], rows)
        assert found[0].files > 1  # how many more is for the rounds of the keeper to say
        assert list(found[0].services) == ["a", "b"]
    assert sum(summary.interactions for summary in found) == 120
    assert sum(summary.quarantine.count for summary in found) == 3
    [reason] = found[0].quarantine.by_reason
    assert reason.startswith("demo_booking refused: `status` must be one of")
    assert found[0].lake is not None
    assert (found[0].lake.offered, found[0].lake.delivered) == (123, 120)
    assert found[0].lake.quarantined == 3


def test_drops_are_those_of_the_whole_lake_and_running_processes_count(lake: Lake) -> None:
    collector = lake.collector(ENABLE_OUTCOME_TRACKING="false")
    for _ in range(3):
        collector.record("demo_booking", status="booked")
    collector.record("hello")
    collector.commit()
    found = summarize_named(lake.open(), "2001-01-01", ring_dir=lake.ring_dir)
    assert found.interactions == 0
    assert found.lake is not None
    assert found.lake.reasons == {"disabled": 3}
    assert (found.lake.offered, found.lake.delivered, found.lake.waiting) == (4, 1, 0)
    (lake.root / ".lakeward/ledger.jsonl").write_bytes(b"damaged")
    assert summarize(lake.open(), "2001-01-01", ring_dir=lake.ring_dir).lake is None


def test_a_day_without_data_has_a_summary_of_zeros(day: Day) -> None:
    for found in (summarize(day.lake, DAY), summarize_named(day.lake, "today")):
        check(found, [])
        assert (found.files, found.quarantine.count, found.lake is not None) == (0, 0, True)


# Days


def test_a_day_is_named_by_date_today_or_yesterday_in_utc() -> None:
    clock = FrozenClock("2025-03-01T00:00:00Z")
    assert day_named("today", clock) == "2025-03-01"
    assert day_named("yesterday", clock) == "2025-02-28"
    clock.tick(-0.001)
    assert day_named("today", clock) == "2025-02-28"
    assert day_named("2024-02-29", clock) == "2024-02-29"


@pytest.mark.parametrize(
    "name",
    ["", "tomorrow", "2025-02-30", "2025-8-14", "20250814", "2025-08-14T00:00", " 2025-08-14",
     "\uff12025-08-14", "../../..", "2025-08-14\n", "x" * 1000],
)  # fmt: skip
def test_any_other_name_is_refused_with_one_sentence(day: Day, name: str) -> None:
    for refuse in (summarize, summarize_named):
        with pytest.raises(ValueError, match="give today, yesterday or YYYY-MM-DD") as refused:
            refuse(day.lake, name)
        assert len(str(refused.value)) < 120


def test_the_folder_of_receipt_decides_and_other_times_are_counted(day: Day) -> None:
    day.write([line("a"), line("b", timestamp="2019-01-01T00:00:00.000Z")], MIDNIGHT_MS - 1)
    day.write([line("c")], MIDNIGHT_MS)
    day.publish()
    assert summarize(day.lake, DAY).by_type == {"a": 1, "b": 1}
    assert summarize(day.lake, DAY).other_days == 1
    assert summarize(day.lake, NEXT).by_type == {"c": 1}
    assert summarize(day.lake, NEXT).other_days == 1
    assert summarize(day.lake, "2019-01-01").interactions == 0


def test_sealed_and_open_files_count_and_nothing_beyond_the_published_end(day: Day) -> None:
    for n in range(30):
        day.write([line("hello", n=n, text="x" * 400)], MIDNIGHT_MS - 1)
    day.publish()
    before = summarize(day.lake, DAY)
    assert (before.interactions, before.files) == (30, 5)
    newest = max(day.lake.root.glob("raw/*/*/*/*.jsonl"), key=lambda p: p.stat().st_mtime_ns)
    with newest.open("ab") as file:
        file.write(line("torn")[:40])
    assert summarize(day.lake, DAY) == before


def test_a_deleted_file_is_an_error_and_no_smaller_number(day: Day) -> None:
    day.write([line("hello")], MIDNIGHT_MS - 1)
    day.publish()
    next(day.lake.root.glob("raw/*/*/*/*.jsonl")).unlink()
    with pytest.raises(FileNotFoundError):
        summarize(day.lake, DAY)


def test_a_damaged_table_of_files_is_named(day: Day) -> None:
    day.write([line("hello")], MIDNIGHT_MS - 1)
    day.publish()
    (day.lake.private / "segments.jsonl").write_bytes(b"damaged\n")
    with pytest.raises(Unreadable, match="segments"):
        summarize(day.lake, DAY)


# What somebody else wrote, and what strangers say


@pytest.mark.parametrize(
    "junk",
    [b"junk", b"[1]", b"null", b'{"a":1}', b'{"interaction_type":7}', b'{"interaction_type":"\xff"',
     b'{"interaction_type":"\xff"}',
     b'{"interaction_type":"a"}{"interaction_type":"b"}', b"[" * 5000, b'{"interaction_type":"a"'],
)  # fmt: skip
def test_a_line_that_is_no_record_is_counted_unreadable(day: Day, junk: bytes) -> None:
    day.write([line("hello"), junk, line("hello")], MIDNIGHT_MS - 1)
    day.publish()
    found = summarize(day.lake, DAY)
    assert (found.interactions, found.unreadable, found.erased) == (2, 1, 0)


def test_a_field_of_a_wrong_type_counts_as_absent(day: Day) -> None:
    odd: dict[str, Any] = {
        "user_id": 7, "session_id": [], "response_status": "200", "response_time_ms": "fast",
        "route": {}, "path": "/x", "service": 1, "app_version": None, "timestamp": 3,
        "method": "GET",
    }  # fmt: skip
    rows = [
        line(**odd),
        line("partner_match", outcomes={"score": "high"}),
        line("partner_match", outcomes=[]),
        line("deal_closed", outcomes={"value": None, "currency": "USD"}),
        line("flow_completion", outcomes={"flow": 3, "status": "abandoned"}),
        line("ai_conversation", ai_metadata={"input_tokens": 2.5, "output_tokens": 3, "status": 1}),
        line("ai_rating"),
        line("feedback_submission", feedback={"overall": "9", "nps": 10}),
        line("api_call", response_time_ms=-1),
    ]
    rows.append(b'{"interaction_type":"partner_match","outcomes":{"score":1e999}}')
    day.write(rows, MIDNIGHT_MS - 1)
    day.publish()
    found = summarize(day.lake, DAY)
    assert (found.interactions, found.unreadable) == (len(rows), 0)
    assert (found.users, found.sessions, found.services) == (0, 0, {})
    assert found.api_calls.by_status == {"none": 2}
    assert [(r.method, r.route) for r in found.api_calls.routes] == [("", ""), ("GET", "/x")]
    assert found.api_calls.latency.measured == 0
    assert found.outcomes.matches.scored == 0
    assert found.outcomes.deals.value == {}
    assert (found.outcomes.abandoned, list(found.outcomes.flows)) == (1, [""])
    assert found.ai.by_bucket == {"output_tokens": 3}
    assert (found.outcomes.feedback.rated, found.outcomes.feedback.nps) == (0, 100)
    render(found)


hostile = st.text(max_size=60) | st.just("\x1b]0;x\x07" * 40)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"user_id": hostile.filter(bool), "path": hostile},
            optional={
                "route": hostile, "method": hostile, "session_id": hostile.filter(bool),
                "response_status": st.integers(100, 599),
                "response_time_ms": st.floats(0, 1e300) | st.just(-0.0),
            },
        ),
        max_size=6,
    )
)  # fmt: skip
def test_hostile_strings_change_no_number_and_no_layout(
    tmp_path_factory: pytest.TempPathFactory, calls: list[dict[str, Any]]
) -> None:
    day = Day(open_lake(tmp_path_factory.mktemp("lake") / "data-lake"))
    collector = MemoryCollector({"LAKEWARD_SERVICE": "\x1b[31m" + "s" * 90}, now_ns=FrozenClock())
    for call in calls:
        collector.record("api_call", **({"method": None} | call))
    rows = [json.loads(text) for text in lines_of(collector)]
    if rows:
        day.write(lines_of(collector), MIDNIGHT_MS - 1)
        day.publish()
    found = summarize(day.lake, DAY)
    day.log.close()
    check(found, rows)
    for shown in render(found).split("\n"):
        assert len(shown) <= WIDTH
        assert shown.isprintable()
    assert msgspec.json.decode(msgspec.json.encode(found), type=Summary) == found


def test_routes_beyond_the_list_are_folded_and_totals_stay_exact(day: Day) -> None:
    late: list[dict[str, Any]] = [
        {"route": "/last", "method": "GET", "response_status": 503, "response_time_ms": 9.0}
    ]
    paths = [{"path": f"/scan/{n}", "response_status": 404} for n in range(LISTED + 50)]
    routes = [{"route": f"/r/{n}", "response_time_ms": n} for n in range(LISTED + 20)]
    rows = [line(f"custom.t{n}") for n in range(LISTED + 5)]
    rows += [line(**call) for call in [*paths, *routes, *late]]
    rows += [line("flow_completion", outcomes={"flow": f"f{n}"}) for n in range(LISTED + 3)]
    rows += [line("ai_conversation", ai_metadata={"model_answered": f"m{n}", "total_tokens": 2})
             for n in range(LISTED + 2)]  # fmt: skip
    day.write(rows, MIDNIGHT_MS - 1)
    day.publish()
    found = summarize(day.lake, DAY)
    calls, other = found.api_calls, found.api_calls.other
    assert other is not None
    assert calls.calls == len(paths) + len(routes) + 1 == sum(r.calls for r in calls.routes) + 71
    assert (other.calls, other.client_errors, other.server_errors) == (71, 50, 1)
    assert other.latency.longest == LISTED + 19
    assert (calls.latency.measured, calls.latency.p50) == (LISTED + 21, (LISTED + 20) / 2 - 1)
    assert sum(route.matched for route in calls.routes) == LISTED
    assert found.folded["routes"] == 71
    # `api_call`, `flow_completion` and `ai_conversation` come when the list of types is full.
    assert found.folded["by_type"] == found.interactions - LISTED
    assert (found.folded["flows"], found.outcomes.completed) == (3, LISTED + 3)
    assert (found.folded["models"], found.ai.turns, found.ai.tokens) == (2, 1002, 2004)
    text = render(found)
    assert "(all further routes and paths)" in text
    assert "in 1,980 more, which --format json lists" in text


# Percentiles


@given(
    st.lists(st.lists(st.floats(0, 1e12) | st.sampled_from([0.0, -0.0, 1.0, 5e-324]), max_size=40)),
    st.integers(1, 100),
)
def test_a_percentile_is_the_value_at_nearest_rank(lists: list[list[float]], percent: int) -> None:
    runs = []
    for values in lists:
        times = Times()
        for value in values:
            times.add(value)
        runs += times.runs()
    ordered = sorted(value for values in lists for value in values)
    place = math.ceil(percent * len(ordered) / 100) - 1
    assert percentile(runs, percent) == (ordered[place] if ordered else None)


def test_percentiles_of_more_values_than_one_run_holds_are_exact() -> None:
    dice, times = random.Random(1), Times()
    values = [dice.expovariate(0.01) for _ in range(2 * RUN + 100)]
    for value in values:
        times.add(value)
    assert len(times.runs()) == 3
    values.sort()
    for percent in RANKS:
        expected = values[math.ceil(percent * len(values) / 100) - 1]
        assert percentile(times.runs(), percent) == expected


def test_a_lake_of_more_bytes_than_one_read_is_counted_whole(day: Day) -> None:
    day.log._segment_bytes = 1 << 30
    long = "x" * 300_000  # longer than one read
    lines = [line("hello", text="y" * (n % 700)) for n in range(2_000)]
    lines[700] = line("long", text=long)
    lines[701] = b" " * len(lines[701])
    day.write(lines, MIDNIGHT_MS - 1)
    day.publish()
    found = summarize(day.lake, DAY)
    assert found.by_type == {"hello": 1_998, "long": 1}
    assert (found.erased, found.unreadable) == (1, 0)


# The command


def told(capsys: pytest.CaptureFixture[str], lake: LakeDir, *words: str) -> tuple[int, str, str]:
    code = main(["summary", "--lake", str(lake.root), *words])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def filled(day: Day) -> list[dict[str, Any]]:
    dice, collector = random.Random(3), MemoryCollector(now_ns=FrozenClock())
    for _ in range(400):
        happen(dice, collector)
    day.write(lines_of(collector), MIDNIGHT_MS - 1)
    refused = {"quarantine_id": "q", "reason": "demo_booking refused: `status` is missing."}
    day.write([json.dumps(refused).encode()] * 4, MIDNIGHT_MS - 1, "quarantine")
    day.publish()
    return collector.records


def test_the_command_prints_the_struct_as_json(
    day: Day, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = filled(day)
    code, out, err = told(capsys, day.lake, "--date", DAY, "--format", "json")
    assert (code, err) == (0, "")
    found = msgspec.json.decode(out, type=Summary)
    check(found, rows)
    assert found.quarantine.by_reason == {"demo_booking refused: `status` is missing.": 4}
    assert list(json.loads(out)) == list(Summary.__struct_fields__)


def test_the_text_has_the_figures_and_fits_a_hundred_columns(
    day: Day, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = filled(day)
    code, out, err = told(capsys, day.lake, "--date", DAY)
    assert (code, err) == (0, "")
    assert out.startswith("2025-08-14, Thursday, by day of receipt (UTC)\n")
    assert "         400  interactions          9 users, 20 sessions" in out
    calls = sum(row["interaction_type"] == "api_call" for row in rows)
    assert f"{calls:>12}  calls" in out
    assert "  GET /api/partners/{id}\n" in out
    assert "           4  demo_booking refused: `status` is missing." in out
    assert "The whole lake since it began, not this day alone" in out
    for title in ("API calls", "Outcomes", "AI", "Quarantine"):
        assert f"\n\n{title}\n" in out
    assert max(map(len, out.splitlines())) <= WIDTH


def test_the_default_is_today_so_far(day: Day, capsys: pytest.CaptureFixture[str]) -> None:
    day.write([line("hello")], int(datetime.now(UTC).timestamp() * 1000))
    day.publish()
    code, out, _ = told(capsys, day.lake)
    assert code == 0
    if "Nothing was recorded" not in out:  # not at midnight
        assert "(UTC), so far\n" in out
        assert "           1  interactions" in out
    code, out, _ = told(capsys, day.lake, "--date", "yesterday")
    assert code == 0
    assert "so far" not in out


def test_a_day_without_data_is_a_sentence_and_no_failure(
    day: Day, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = told(capsys, day.lake, "--date", "2001-02-03")
    assert (code, err) == (0, "")
    assert "Nothing was recorded on 2001-02-03." in out
    assert "           0  interactions" in out
    code, out, _ = told(capsys, day.lake, "--date", "2001-02-03", "--format", "json")
    assert (code, json.loads(out)["interactions"]) == (0, 0)


def test_a_wrong_day_or_no_lake_is_one_sentence_and_exit_2(
    day: Day, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = told(capsys, day.lake, "--date", "2025-02-30")
    assert (code, out) == (2, "")
    assert err == (
        "lakeward: --date: '2025-02-30' is no day: give today, yesterday or YYYY-MM-DD (UTC)\n"
    )
    assert main(["summary", "--lake", str(tmp_path / "none")]) == 2
    assert "there is no lake at" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_long_name_is_cut_in_the_middle() -> None:
    assert cut("abcdefghij", 10) == "abcdefghij"
    assert cut("abcdefghijk", 10) == "abcd…ghijk"
    assert cut("a\x1b\n", 9) == "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"


def test_a_summary_needs_no_extra() -> None:
    code = (
        "import sys, lakeward.lake.summary, lakeward.cli.summary\n"
        "known = {'lakeward', 'msgspec', 'uuid_utils', '__main__', *sys.stdlib_module_names}\n"
        "known.add('typing_extensions')\n"
        "tops = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(t for t in tops if t not in known and not t.startswith('_')))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_every_figure_is_documented() -> None:
    source = (ROOT / "src/lakeward/lake/figures.py").read_text(encoding="utf-8").splitlines()
    fields = [n for n, text in enumerate(source) if text.startswith("    ") and ": " in text
              and not text.startswith('    """')]  # fmt: skip
    assert len(fields) > 60
    for n in fields:
        assert source[n + 1].startswith('    """'), source[n]
