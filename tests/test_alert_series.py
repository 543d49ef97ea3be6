"""Series, limits, budgets and silences are counted as a plain reading counts them."""

from __future__ import annotations

import logging
import sqlite3
from collections import defaultdict
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alert_lake import (
    DAY,
    FIVE,
    HOUR,
    START,
    Desk,
    Row,
    looked,
    rules_of,
    settings_of,
    spread,
    written,
)
from asked import answered, fill, nearest_rank
from conftest import Lake
from lakeward.alerts import judging, limits
from lakeward.alerts.budgets import period_start
from lakeward.alerts.memory import VERSION, Entry, Episode, Last, Memory, opened, throwaway
from lakeward.alerts.overview import Account, account, account_of, sentence, verdict, watched
from lakeward.alerts.ranking import rank
from lakeward.alerts.rules import GROUPS, Rules, Threshold, Watching
from lakeward.alerts.series import Found, Watched
from lakeward.alerts.thresholds import Measured
from lakeward.analysis.anomaly import watch
from lakeward.analysis.anomaly.watch import Bucket, Series
from lakeward.errors import LakeBusy
from lakeward.interaction import iso

BASE = START + 10 * HOUR
PEOPLE: list[Row] = [{}, {"bot": True}, {"user_type": "staff"}, {"user_id": "u2"}]
CALLS = [
    {"interaction_type": "api_call", "route": route, "response_status": status,
     "response_time_ms": ms}
    for route in ("/a", None) for status in (200, 503, None) for ms in (1.0, 5.0, None)
]  # fmt: skip
OTHERS: list[Row] = [
    {"interaction_type": "page_view", "service": "shop", "environment": "live"},
    {"interaction_type": "anomaly", "analysis": {"series": "x"}},
    {"interaction_type": "flow_step", "outcomes": {"flow": "c", "step": "s"}},
    {"interaction_type": "flow_step", "outcomes": {"flow": "c", "step": "s", "status": "entered"}},
    {"interaction_type": "flow_completion", "outcomes": {"flow": "c"}},
    {"interaction_type": "flow_completion", "outcomes": {"flow": "c", "derived": True}},
    {"interaction_type": "ai_conversation",
     "ai_metadata": {"model_answered": "m", "model_requested": "n", "cost_usd": 0.25}},
    {"interaction_type": "ai_conversation", "ai_metadata": {"model_requested": "n"}},
    {"interaction_type": "partner_match", "partner_id": "p9"},
    {"interaction_type": "demo_booking", "partner_id": "p9", "outcomes": {"status": "booked"}},
    {"interaction_type": "demo_booking", "partner_id": "p9", "outcomes": {"status": "held"}},
    {"interaction_type": "feedback_submission", "partner_id": "p9", "feedback": {"overall": 7}},
]  # fmt: skip
moments = st.sampled_from([0, 1, FIVE - 1, FIVE, FIVE + 1, 12 * FIVE, HOUR - 1])
rows = st.lists(
    st.builds(
        lambda kind, who, at: {**kind, **who, "ms": BASE + at},
        st.sampled_from([*CALLS, *OTHERS]), st.sampled_from(PEOPLE), moments,
    ),
    max_size=30,
)  # fmt: skip


def plainly(made: list[Row], seconds: int) -> dict[tuple[str, int], float]:
    """The value of each series in each bucket."""
    groups: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in made:
        at = row["ms"] // (seconds * 1000) * seconds * 1000
        kind, told = row["interaction_type"], row.get("outcomes", {})
        counted = not row.get("bot") and row.get("user_type") != "staff"
        names = []
        if kind == "api_call":
            names.append(f"route:{row['route'] or '(none)'}")
        if counted and kind != "anomaly":
            place = f"{row.get('service', '')}/{row.get('environment', '')}"
            names += [f"type:{kind}", f"type:{kind}@{place}"]
        if counted and kind == "flow_step":
            suffix = " entered" if "status" in told else ""
            names.append(f"step:{told['flow']}/{told['step']}{suffix}")
        if counted and kind == "flow_completion" and "derived" not in told:
            names.append("flow:c completed")
        if kind == "ai_conversation" and "cost_usd" in row["ai_metadata"]:
            names += ["ai:m cost", "ai cost"]
        if counted and "partner_id" in row and told.get("status") != "held":
            names.append(f"partner:p9 {kind}")
        if counted and kind == "feedback_submission":
            names.append("partner:p9 rating")
        for name in names:
            groups[name, at].append(row)
    return {key: value for each, found in groups.items() for key, value in _said(*each, found)}


def _said(name: str, at: int, found: list[Row]) -> list[tuple[tuple[str, int], float]]:
    if name.endswith("cost"):
        return [((name, at), 0.25 * len(found))]
    if name.endswith("rating"):
        return [((name, at), 7.0)]
    if not name.startswith("route:"):
        return [((name, at), float(len(found)))]
    statuses = [row["response_status"] for row in found if row["response_status"]]
    times = [row["response_time_ms"] for row in found if row["response_time_ms"] is not None]
    said = [((f"{name} calls", at), float(len(found)))]
    if len(statuses) >= 10:
        failed = sum(status >= 500 for status in statuses)
        said.append(((f"{name} errors", at), failed / len(statuses)))
    slow = nearest_rank(times, 0.95)
    if len(found) >= 10 and slow is not None:
        said.append(((f"{name} p95", at), slow))
    return said


@settings(max_examples=60)
@given(made=rows, seconds=st.sampled_from([300, 3600]))
def test_series_are_what_a_plain_reading_counts(made: list[Row], seconds: int) -> None:
    fill(made)
    found = [Found(**row) for row in answered(Watched(seconds=seconds, groups=GROUPS))]
    said = {(key, row.at): value for row in found for key, _, value, _ in row.measures()}
    assert said == pytest.approx(plainly(made, seconds))
    counts: dict[str, int] = defaultdict(int)
    for row in found:
        counts[row.name] += row.count
    whole = [Found(**row) for row in answered(Watched(seconds=0, groups=GROUPS))]
    assert {row.name: row.count for row in whole} == counts
    assert min((row.first for row in whole), default=0) == min(
        (row.first for row in found), default=0
    )


LIMITS = (
    Threshold("all", "api_call", minutes=5, above=1.0),
    Threshold("failed", "api_call", "error_rate", minutes=5, above=0.5, where=("route=/a",)),
    Threshold("views", "page_view", minutes=5, below=1.0),
    Threshold("slow", "api_call", "p95", minutes=5, above=2.0),
    Threshold("who", "*", "units", minutes=5, above=1.0),
)


@settings(max_examples=60)
@given(made=rows)
def test_limits_measure_what_a_plain_reading_measures(made: list[Row]) -> None:
    fill(made)
    expected: dict[int, list[Any]] = {}
    groups: dict[int, list[Row]] = defaultdict(list)
    for row in made:
        groups[row["ms"] // FIVE * FIVE].append(row)
    for at, found in groups.items():
        calls = [row for row in found if row["interaction_type"] == "api_call"]
        usual = [row for row in found if not row.get("bot") and row.get("user_type") != "staff"]
        ours = [r["response_status"] for r in calls if r["route"] == "/a" and r["response_status"]]
        times = [r["response_time_ms"] for r in calls if r["response_time_ms"] is not None]
        people = {row["user_id"] for row in usual if "user_id" in row}
        views = sum(row["interaction_type"] == "page_view" for row in usual)
        share = sum(status >= 500 for status in ours) / len(ours) if ours else None
        expected[at] = [len(calls), share, views, nearest_rank(times, 0.95), len(people)]
        if not calls and not usual:
            del expected[at]
    said = {row["at"]: [row[f"rule_{n}"] for n in range(1, 6)]
            for row in answered(Measured(rules=LIMITS))}  # fmt: skip
    assert said == expected


@given(values=st.lists(st.sampled_from([0.0, 1.0, 2.0, None]), max_size=12),
       lasts=st.integers(1, 3))  # fmt: skip
def test_a_limit_opens_and_ends_after_so_many_buckets(
    values: list[float | None], lasts: int
) -> None:
    rule = Threshold("a", "api_call", above=1.0, lasts=lasts)
    held, said, expected = limits.Held(rule, 0), [], []
    run, opened = 0, False
    before: bool | None = None
    for n, value in enumerate(values):
        if value is None:  # unknown: passed over
            continue
        held, signal = limits.judged(held, n * FIVE, value, 0)
        if signal is not None:
            said.append((n, signal.wrong, signal.begins))
        beyond = value > 1.0
        run = run + 1 if beyond == before else 1
        before = beyond
        if beyond and (opened or run >= lasts):
            expected.append((n, True, not opened))
            opened = True
        elif opened and not beyond and run >= lasts:
            expected.append((n, False, False))
            opened = False
    assert said == expected


def found(name: str, count: int, hours: float = 24.0) -> Found:
    now = START + 10 * DAY
    return Found("type", name, "", 0, count, None, None, None, now - round(hours * HOUR))


def ranked(memory: Memory, *groups: Found, most: int = 100) -> dict[str, int]:
    """The seconds of each series that was chosen."""
    rank(groups, Watching(most=most), memory, START + 10 * DAY)
    return {key.removeprefix("type:"): entry.seconds for key, entry in memory.entries.items()}


def test_what_has_ten_in_five_minutes_has_such_buckets_and_does_not_go_to_and_fro() -> None:
    a_day = 24 * 12
    with throwaway() as memory:
        assert ranked(memory, found("a", 10 * a_day), found("b", 9 * a_day)) == {
            "a": 300, "b": 3600,
        }  # fmt: skip
        for times in (11, 7, 10, 6):
            assert ranked(memory, found("a", times * a_day), found("b", times * a_day)) == {
                "a": 300, "b": 3600,
            }, times  # fmt: skip
        assert ranked(memory, found("a", 5 * a_day), found("b", 12 * a_day)) == {
            "a": 3600, "b": 300,
        }  # fmt: skip


def test_those_with_the_most_are_watched_and_how_many_are_not_is_known() -> None:
    with throwaway() as memory:
        groups = [found(f"t{n}", 1000 - n) for n in range(30)] + [found("rare", 19)]
        outcome, _, _ = rank(groups, Watching(most=10), memory, START)
        assert sorted(memory.entries) == sorted(f"type:t{n}" for n in range(10))
        assert (outcome.left_out, outcome.rare) == (20, 1)


def hours_of(type_: str, since: int, until: int, level: float, **fields: Any) -> list[Row]:
    return list(
        spread(since, until, HOUR, lambda _: level, type_, interaction_type=type_, **fields)
    )


def test_one_watches_and_another_one_waits(lake: Lake) -> None:
    written(lake, hours_of("page_view", START, START + DAY, 10))
    with opened(lake.open()), pytest.raises(LakeBusy, match="another process watches this lake"):
        looked(lake, Rules(), Desk(), START + DAY)


def test_a_broken_memory_is_begun_anew_and_that_is_said(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    written(lake, hours_of("page_view", START, START + DAY, 10, service="shop")
            + hours_of("click", START, START + DAY, 10, service="blog"))  # fmt: skip
    state = lake.root / ".lakeward/alerts.state"
    now = START + DAY + 62_000
    for content in (b"nothing of ours", b"SQLite format 3\0" + bytes(5000)):
        state.write_bytes(content)
        assert watched(lake.open()).judged_until is None
        with caplog.at_level(logging.ERROR, "lakeward.alerts"):
            assert looked(lake, Rules(), Desk(), now).series == 4, "each type of each app, too"
        assert "is no memory of alerts" in caplog.text
        caplog.clear()
    assert sentence(account_of(watched(lake.open()))) == (
        "4 series, 0 out of their usual band; judged until 2025-11-11T00:00:00.000Z"
    )
    assert state.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("told", "incidents", "state", "words"),
    [
        (Account(4, 0, 0, 0, iso(START)), 0, "usual", "All is as usual, in 4 series."),
        (Account(4, 1, 0, 0, iso(START)), 0, "unusual", "1 of 4 series is out of the usual band"),
        (Account(4, 1, 0, 0, iso(START)), 1, "incidents", "1 incident is open."),
        (Account(4, 0, 0, 0, iso(START)), 2, "incidents", "2 incidents are open."),
        (Account(4, 0, 0, 0, iso(START - DAY)), 0, "unknown", "but nobody has looked since"),
        (Account(0, 0, 0, 0, None), 0, "unknown", "but nobody has watched this lake yet."),
        (Account(4, 0, 0, 0, iso(START), "no `x`"), 0, "unknown", "nothing is watched: no `x`."),
    ],
)
def test_there_is_one_verdict_and_only_where_nothing_is_unusual_it_says_so(
    told: Account, incidents: int, state: str, words: str
) -> None:
    found = verdict(told, incidents, START + 60_000)
    assert found.state == state
    assert words in found.sentence
    assert ("All is as usual" in found.sentence) == (state == "usual")


def test_a_memory_of_another_version_is_named_as_that(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    written(lake, hours_of("page_view", START, START + DAY, 10))
    looked(lake, Rules(), Desk(), START + DAY + 62_000)
    with closing(sqlite3.connect(lake.root / ".lakeward/alerts.state")) as con:
        con.execute("PRAGMA user_version = 1")
    said = sentence(account(lake.open(), settings_of(lake)))
    assert said == "another version of Lakeward watched this lake: the next look learns it anew"
    with caplog.at_level(logging.ERROR, "lakeward.alerts"):
        looked(lake, Rules(), Desk(), START + DAY + 62_000)
    assert "was made by another version of Lakeward: watching begins anew" in caplog.text
    assert not account(lake.open(), settings_of(lake)).other_version


def test_what_is_remembered_changes_together_with_its_version() -> None:
    fields = [name for each in (Entry, Last, Episode) for name in each.__struct_fields__]
    assert (VERSION, fields) == (3, [
        "series", "unit", "volume", "zero", "last", "episode", "told", "since",
        "at", "value", "expected", "low", "high", "since", "kind", "direction", "calm",
    ])  # fmt: skip


def test_a_limit_is_told_as_ones_own() -> None:
    rule = Threshold("few", "api_call", below=100.0)
    held, begun = limits.judged(limits.Held(rule, 0), 0, 40.0, 0)
    _, over = limits.judged(held, FIVE, 140.0, 0)
    assert [each and each.why for each in (begun, over)] == [
        "few: api_call events is 40 in 5 minutes, your limit is 100.",
        "few: api_call events is 140 in 5 minutes again, your limit is 100.",
    ]


def test_nothing_of_a_person_is_in_the_name_of_a_series(lake: Lake) -> None:
    calls = hours_of(
        "api_call", START, START + DAY, 40, method="GET", path="/who/anna@example.com",
        user_id="anna", response_status=404, ip_address="203.0.113.9",
    )  # fmt: skip
    written(lake, calls)
    looked(lake, Rules(), Desk(), START + DAY + 62_000)
    assert [row.series for row in watched(lake.open()).series] == [
        "route:(none) calls", "route:(none) errors", "route:(none) p95", "type:api_call",
    ]  # fmt: skip
    state = (lake.root / ".lakeward/alerts.state").read_bytes()
    assert not any(word in state for word in (b"anna", b"203.0.113"))


def test_what_comes_late_changes_nothing_and_a_pause_of_everything_is_no_alarm(lake: Lake) -> None:
    """Nothing came for ten hours while nobody watched: the machine was off."""
    off = (START + 9 * DAY, START + 9 * DAY + 10 * HOUR)
    views = hours_of("page_view", START, off[0], 20) + hours_of(
        "page_view", off[1], off[1] + 6 * HOUR, 20
    )
    written(lake, views)
    desk, rules = Desk(), rules_of("[watch]\nseries = ['types']")
    looked(lake, rules, desk, off[0] - HOUR + 62_000)
    looked(lake, rules, desk, off[1] + 3 * HOUR + 62_000)
    assert desk.signals == []
    (before,) = watched(lake.open()).series
    late = hours_of("page_view", off[0], off[0] + HOUR, 900) + hours_of(
        "page_view", off[1] + 2 * HOUR, off[1] + 3 * HOUR, 900
    )
    written(lake, [{"ms": row["ms"] + 7, **row, "anonymous_id": "late"} for row in late])
    looked(lake, rules, desk, off[1] + 3 * HOUR + FIVE + 62_000)
    assert watched(lake.open()).series == (before,)
    assert desk.signals == []


def turns(*costs: tuple[int, float]) -> list[Row]:
    return [
        {"ms": ms, "interaction_type": "ai_conversation", "conversation_id": f"c{ms}",
         "ai_metadata": {"model_answered": "m", "cost_usd": cost, "captured_by": "api"}}
        for ms, cost in costs
    ]  # fmt: skip


def test_a_budget_is_told_at_its_share_once_when_it_is_passed_and_over_with_the_day(
    lake: Lake,
) -> None:
    """The day is that of Lisbon, an hour of which lies in the day before of UTC in summer."""
    lisbon = START - 120 * DAY - HOUR  # 2025-07-13 00:00 there
    written(lake, turns(
        (lisbon - 1, 100.0), (lisbon, 4.0), (lisbon + 2 * HOUR, 4.0), (lisbon + 4 * HOUR, 1.9),
        (lisbon + 5 * HOUR, 0.2), (lisbon + DAY, 50.0),
    ))  # fmt: skip
    rules = rules_of("[watch]\nseries = []\nzone = 'Europe/Lisbon'\n"
                     "[[budget]]\nname = 'AI'\namount = 10")  # fmt: skip
    desk = Desk()
    for hours in (1, 3, 3.5, 6, 7):
        looked(lake, rules, desk, lisbon + round(hours * HOUR))
    said = [((each.at - lisbon) / HOUR, each.wrong, each.begins, each.severity)
            for each in desk.signals]  # fmt: skip
    assert said[0] == (2.0, True, True, "warning")
    passed = (6 - FIVE / HOUR, True, True, "critical")
    assert [row for row in said if row[2]] == [said[0], passed], "not before what was said last"
    assert [row[1:3] for row in said].count((True, False)) == 2, "each later look says it again"
    assert desk.begun()[1].why == "AI: AI has cost 10.10 of 10.00 USD this day (101%)."
    looked(lake, rules, desk, lisbon + DAY + HOUR)
    ended, over = desk.signals[-2:]
    assert (ended.wrong, ended.at) == (False, lisbon + DAY - FIVE)
    assert (over.begins, over.severity, over.at) == (True, "critical", lisbon + DAY)


def test_days_and_months_begin_where_the_zone_says() -> None:
    def ms(*moment: int) -> int:
        return round(datetime(*moment, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type,misc]  # parts of a moment

    autumn = ms(2025, 10, 26, 12)  # clocks went back in the night
    assert period_start(autumn, "day", "Europe/Lisbon") == ms(2025, 10, 25, 23)
    assert period_start(autumn, "month", "Europe/Lisbon") == ms(2025, 9, 30, 23)
    assert period_start(autumn, "day", "UTC") == ms(2025, 10, 26)


def test_silence_is_that_of_a_type_in_an_app_and_ends_when_it_is_back(lake: Lake) -> None:
    noon = START + 12 * HOUR
    shop = {"interaction_type": "page_view", "service": "shop"}
    written(lake, [
        {"ms": noon, **shop}, {"ms": noon + HOUR, **shop, "bot": True, "user_agent": "curl/8"},
        {"ms": noon + 3 * HOUR, **shop},
        *({"ms": ms, "interaction_type": "page_view", "service": "blog"}
          for ms in range(noon, noon + 6 * HOUR, FIVE)),
    ])  # fmt: skip
    silent = "[[silent]]\nevent = 'page_view'\nminutes = 60\n"
    rules = rules_of(f"[watch]\nseries = []\n{silent}service = 'shop'\n{silent}")
    desk = Desk()
    for minutes in (0, 30, 59, 62, 100, 160, 182, 230):
        looked(lake, rules, desk, noon + minutes * 60_000)
    assert {each.rule for each in desk.signals} == {"page_view shop"}
    said = [((each.at - noon) // 60_000, each.wrong, each.begins) for each in desk.signals]
    assert said[0][1:] == (True, True)
    assert [row for row in said if row[2]] == [said[0]]
    assert said[-1] == (180, False, False)


def test_a_rule_that_is_taken_out_leaves_nothing_open(lake: Lake) -> None:
    noon = START + 12 * HOUR
    written(lake, hours_of("page_view", START, noon, 10) + turns((noon - HOUR, 9.0)))
    none = "[watch]\nseries = []\n"
    rules = rules_of(
        f"{none}[[threshold]]\nname = 't'\nevent = 'page_view'\nbelow = 100\nminutes = 60\n"
        "[[budget]]\nname = 'b'\namount = 5\n[[silent]]\nevent = 'click'\nminutes = 1"
    )
    desk = Desk()
    looked(lake, rules, desk, noon + 62_000)
    looked(lake, rules, desk, noon + 200_000)
    assert {each.kind for each in desk.begun()} == {"threshold", "budget", "silent"}
    looked(lake, rules_of(none), desk, noon + HOUR + 62_000)
    ended = {each.key for each in desk.signals if not each.wrong}
    assert ended == {each.key for each in desk.begun()}


def test_what_is_taken_out_of_the_file_is_watched_no_more_and_what_is_new_soon_is(
    lake: Lake,
) -> None:
    noon = START + 12 * HOUR
    written(lake, hours_of("page_view", START, noon, 30))
    desk = Desk()
    looked(lake, Rules(), desk, noon + 62_000)
    assert [row.series for row in watched(lake.open()).series] == ["type:page_view"]
    looked(lake, rules_of("[watch]\nseries = ['routes']"), desk, noon + FIVE + 62_000)
    assert watched(lake.open()).series == ()
    looked(lake, Rules(), desk, noon + 2 * FIVE + 62_000)
    written(lake, hours_of("click", noon, noon + HOUR, 90))
    looked(lake, Rules(), desk, noon + HOUR + 2 * FIVE + 62_000)
    assert {row.series for row in watched(lake.open()).series} == {"type:page_view", "type:click"}


def test_after_one_burst_that_nothing_comes_is_no_alarm_but_a_silence_still_is() -> None:
    series = Series("type:page_view", step=3600.0, kind="count")
    entry = Entry(series, "interactions", 1.0, zero=True)
    burst, steady = [60.0, 60.0, *[0.0] * 240], [*[30.0] * 240, 0.0, 0.0]
    for values, kinds in ((burst, []), (steady, ["silent"])):
        buckets = [Bucket(series, n * 3600.0, value) for n, value in enumerate(values)]
        _, verdicts = watch.judged(None, buckets)
        _, signals = judging.signals_of(entry, verdicts, 10 * HOUR, silent=True)
        down = [each for each in signals if each.begins and each.value == 0.0]
        assert [each.kind for each in down] == kinds


def test_a_clock_that_was_far_ahead_stops_nothing(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    noon = START + 12 * HOUR
    written(lake, hours_of("page_view", START, noon, 30))
    rules = rules_of("[[threshold]]\nname = 't'\nevent = 'page_view'\nbelow = 100\nminutes = 60")
    looked(lake, rules, Desk(), START + 400 * DAY)
    desk = Desk()
    looked(lake, rules, desk, noon + 62_000)
    assert "the clock has gone back" in caplog.text
    shown = watched(lake.open())
    assert [row.series for row in shown.series] == ["type:page_view"]
    assert shown.judged_until == "2025-11-10T12:00:00.000Z"
    assert [each.kind for each in desk.begun()] == ["threshold"]


def test_a_memory_is_left_as_it_was_by_who_does_not_commit(lake: Lake, tmp_path: Path) -> None:
    written(lake, hours_of("page_view", START, START + DAY, 10))
    looked(lake, Rules(), Desk(), START + DAY + 62_000)
    with opened(lake.open()) as memory:
        memory.drop(list(memory.entries))
    with opened(lake.open()) as memory:
        assert list(memory.entries) == ["type:page_view"]
