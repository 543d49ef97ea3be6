"""Data quality: volume, lag, clocks and fields against a plain reading; refusals of a real lake."""

from __future__ import annotations

import io
import json
import statistics
import sys
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asked import START_MS, Row, answered, fill, kept, moment_of, nearest_rank
from conftest import Lake
from lakeward.analysis.filters import Filter
from lakeward.analysis.quality import DataQuality
from lakeward.analysis.quality_fields import DataFields, fields_of_type
from lakeward.analysis.quality_types import DataTypes
from lakeward.catalog import TYPES
from lakeward.cli import main
from lakeward.errors import Rejected
from lakeward.interaction import iso

many = settings(deadline=None, max_examples=80)
DAY_MS = 86_400_000
times = st.integers(-100_000, 100_000).map(lambda ms: iso(START_MS + ms))
told = st.fixed_dictionaries(
    {
        "ms": st.tuples(st.sampled_from([0, 7, 14, 21, 28, 35, 1, 8]), st.integers(-3, 3)).map(
            lambda ago: START_MS - ago[0] * DAY_MS + ago[1] * 3_600_000
        ),
        "interaction_type": st.sampled_from(["page_view", "click"]),
    },
    optional={
        "received_at": times | st.just("never"),
        "sent_at": times,
        "bot": st.booleans(),
        "user_id": st.sampled_from(["anonymous", "u1"]),
    },
)
spans = {
    "zone": st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York"]),
    "since": st.none()
    | st.sampled_from([0, 1, 7]).map(
        lambda days: datetime.fromtimestamp(START_MS / 1000 - days * 86_400, UTC)
    ),
    "until": st.none() | st.just(datetime.fromtimestamp(START_MS / 1000 + 3600, UTC)),
    "bots": st.booleans(),
    "where": st.none() | st.just(Filter(field="user_id", op="known")),
    "types": st.sampled_from([(), ("page_view", "never")]),
}


def _ms(text: str | None) -> float | None:
    try:
        return None if text is None else datetime.fromisoformat(text).timestamp() * 1000
    except ValueError:
        return None


def _figures(rows: list[Row]) -> Row:
    lags = [_ms(r.get("received_at")) for r in rows]
    lags_ = [at - r["ms"] for at, r in zip(lags, rows, strict=True) if at is not None]
    skews = [
        received - sent
        for received, sent in ((_ms(r.get("received_at")), _ms(r.get("sent_at"))) for r in rows)
        if received is not None and sent is not None
    ]
    n = len(rows)

    def seconds(ms: float | None) -> float | None:
        return None if ms is None else ms / 1000

    return {
        "interactions": n, "received": len(lags_), "sent": len(skews),
        "bot_rate": sum(bool(r.get("bot")) for r in rows) / n if n else None,
        "unknown_user_rate":
            sum(r.get("user_id", "anonymous") == "anonymous" for r in rows) / n if n else None,
        "lag_p50": seconds(nearest_rank(lags_, 0.5)), "lag_p95": seconds(nearest_rank(lags_, 0.95)),
        "lag_most": seconds(max(lags_, default=None)),
        "skew_p50": seconds(nearest_rank(skews, 0.5)),
        "skewed_rate": sum(abs(s) > 60_000 for s in skews) / len(skews) if skews else None,
        "last_at": max((r["ms"] for r in rows), default=None),
    }  # fmt: skip


@many
@given(st.lists(told, max_size=30), st.fixed_dictionaries(spans))
def test_quality_is_that_of_a_plain_reading(made: list[Row], asked: dict[str, Any]) -> None:
    fill(made)
    question = DataQuality(**asked)
    zone = ZoneInfo(question.zone)
    first = None
    whole = asked | {"since": None}
    if question.since is not None:
        first = question.since.astimezone(zone).date()
        before = datetime.combine(first - timedelta(days=35), datetime.min.time(), zone)
        whole["since"] = before.astimezone(UTC)
    days: dict[tuple[str, date], list[Row]] = {}
    for row in kept(made, DataQuality(**whole)):
        if row["interaction_type"] in (question.types or ("page_view", "click")):
            day = moment_of(row["ms"], "day", question.zone)
            days.setdefault((row["interaction_type"], day), []).append(row)
    got = {(row["interaction_type"], row["day"]): row for row in answered(question)}
    if not days:
        assert got == {}
        return
    first = first or min(day for _, day in days)
    last = max(day for _, day in days)
    if question.until is not None:
        last = (question.until - timedelta(milliseconds=1)).astimezone(zone).date()
    began = {kind: min(d for k, d in days if k == kind) for kind, _ in days}
    span = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    wanted = {(kind, day) for kind in began for day in span if day >= began[kind]}
    assert got.keys() == wanted
    for kind, day in wanted:
        expected = _figures(days.get((kind, day), []))
        weeks = [day - timedelta(days=7 * n) for n in (1, 2, 3, 4)]
        past = [len(days.get((kind, week), [])) for week in weeks if week >= began[kind]]
        usual = statistics.median(past) if past else None
        expected["expected"] = usual
        expected["ratio"] = expected["interactions"] / usual if usual else None
        row = got[kind, day]
        row["last_at"] = None if row["last_at"] is None else row["last_at"].timestamp() * 1000
        for name, value in expected.items():
            assert row[name] == (None if value is None else pytest.approx(value)), name


def test_a_type_that_stopped_coming_is_a_row_of_zero() -> None:
    fill({"ms": START_MS - n * DAY_MS} for n in (7, 14, 14, 21, 28))
    since = datetime.fromtimestamp(START_MS / 1000, UTC)
    [row] = answered(DataQuality(since=since, until=since + timedelta(hours=1)))
    assert (row["interactions"], row["expected"], row["ratio"]) == (0, 1, 0)
    assert row["bot_rate"] is None


matches = st.fixed_dictionaries(
    {
        "ms": st.sampled_from([START_MS, START_MS + DAY_MS]),
        "interaction_type": st.sampled_from(["partner_match", "partner_match", "click"]),
    },
    optional={
        "outcomes": st.fixed_dictionaries(
            {},
            optional={
                "score": st.sampled_from([None, 0, 50]),
                "reasons": st.sampled_from([None, [], ["a"]]),
                "primary": st.booleans(),
            },
        ),
        "partner_id": st.sampled_from([None, "p1"]),
        "user_id": st.sampled_from(["anonymous", "u1"]),
        "properties": st.sampled_from([{}, {"a": 1}]),
        "bot": st.booleans(),
    },
)


def _is_there(row: Row, name: str) -> bool:
    head, dot, rest = name.partition(".")
    found = (row.get(head) or {}).get(rest) if dot else row.get(head)
    if name == "bot":
        return found is not None
    if name in ("user_id", "user_type"):
        return found not in (None, "anonymous", "unknown")
    return found is not None and (bool(dot) or found not in ({}, []))


@many
@given(st.lists(matches, max_size=15), st.booleans())
def test_fields_are_as_full_as_a_plain_reading_finds(made: list[Row], daily: bool) -> None:
    fill(made)
    got = answered(DataFields(event="partner_match", daily=daily))
    mine = [row for row in made if row["interaction_type"] == "partner_match"]
    days = sorted({moment_of(row["ms"], "day", "UTC") for row in mine}) if daily else [None]
    names = fields_of_type("partner_match")
    assert len(got) == (len(days) * len(names) if mine else 0)
    for row in got:
        of = [r for r in mine if not daily or moment_of(r["ms"], "day", "UTC") == row["day"]]
        there = sum(_is_there(r, row["field"]) for r in of)
        if row["field"] in ("app_version", "environment"):
            continue
        assert (row["interactions"], row["present"]) == (len(of), there), row["field"]
        assert row["null_rate"] == pytest.approx(1 - there / len(of))
    needed = {row["field"] for row in got if row["required"]}
    assert not got or needed == {"partner_id"}


@pytest.mark.parametrize("name", [*TYPES, "own_type"])
def test_the_fields_of_every_type_can_be_asked_for(name: str) -> None:
    fill([{"interaction_type": name}])
    got = answered(DataFields(event=name))
    assert [row["field"] for row in got] == fields_of_type(name)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: DataQuality(types=("a b",)), "is no interaction type"),
        (lambda: DataQuality(types=("a",) * 201), "`types` takes 200"),
        (lambda: DataFields(event=""), "is no interaction type"),
    ],
)
def test_what_cannot_be_asked_of_quality_is_refused(make: Any, said: str) -> None:
    with pytest.raises(Rejected, match=said):
        make()


def test_more_days_than_an_answer_has_rows_are_refused() -> None:
    fill({"ms": START_MS, "interaction_type": f"t{n}"} for n in range(60))
    until = datetime.fromtimestamp(START_MS / 1000, UTC) + timedelta(days=900)
    with pytest.raises(Rejected, match="take fewer days"):
        answered(DataQuality(until=until))


# A real lake: what is not in its table


@pytest.fixture
def asked(lake: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `lakeward quality` on a lake with refusals; gives its exit code, stdout and stderr."""
    collector = lake.collector()
    for n in range(3):
        collector.record("page_view", user_id="u1", path="/x", timestamp=f"2026-09-0{n + 1}T09:00Z")
    collector.record("partner_match", user_id="u1", partner_id="p1", score=7.0,
                     timestamp="2026-09-01T09:00Z")  # fmt: skip
    for score in (101.0, 102.0):
        collector.record("partner_match", user_id="u1", partner_id="p1", score=score)
    collector.commit()

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
        for name, value in lake.env.items():
            monkeypatch.setenv(name, value)
        code = main(words)
        return code, *capsys.readouterr()

    return run


def test_the_command_tells_of_volume_fields_refusals_and_places(asked: Any) -> None:
    code, out, _ = asked("quality", "--format", "json")
    rows = {(row["interaction_type"], row["day"]): row for row in json.loads(out)}
    assert code == 0
    assert rows["page_view", "2026-09-02"]["interactions"] == 1
    assert rows["partner_match", "2026-09-02"]["interactions"] == 0
    _, out, _ = asked("quality", "--fields", "partner_match", "--format", "json")
    full = {row["field"]: row["null_rate"] for row in json.loads(out)}
    assert (full["outcomes.score"], full["outcomes.rank"], full["user_id"]) == (0, 1, 0)
    _, out, _ = asked("quality", "--refused", "--daily", "--format", "json")
    [refused] = json.loads(out)
    assert (refused["type"], refused["refused"], refused["brought_back"]) == ("partner_match", 2, 0)
    assert "score" in refused["reason"]
    _, out, _ = asked("quality", "--refused", "--types", "click", "--format", "json")
    assert json.loads(out) == []
    _, out, _ = asked("quality", "--places", "--format", "json")
    places = {(row["place"], row["reason"]): row for row in json.loads(out)}
    assert places["offered", None]["interactions"] == 6
    assert places["quarantined", None]["interactions"] == 2
    assert places["compacted", "duplicate"]["interactions"] == 0
    assert places["not_in_table", None]["interactions"] == 4
    assert places["not_in_table", None]["oldest_at"] == "2026-09-01T09:00:00.000Z"
    _, names, _ = asked("ask", "data_refused", "--format", "json")
    assert json.loads(names)[0]["refused"] == 2
    code, out, err = asked("quality", "--fields", "a b")
    assert (code, out) == (2, "")
    assert "is no interaction type" in err


@given(st.lists(told, max_size=30), st.fixed_dictionaries({}, optional=spans))
@many
def test_types_are_counted_with_their_first_and_last_and_known_or_custom(
    rows: list[Row], asked: dict[str, Any]
) -> None:
    asked.pop("types", None)
    rows = [{**row, "interaction_type": "my_type"} if n % 3 == 0 else row
            for n, row in enumerate(rows)]  # fmt: skip
    fill(rows)
    question = DataTypes(**asked)
    mine: dict[str, list[Row]] = {}
    for row in kept(rows, question):
        mine.setdefault(row["interaction_type"], []).append(row)
    got = answered(question)
    assert {row["interaction_type"]: row["interactions"] for row in got} == {
        name: len(found) for name, found in mine.items()
    }
    for row in got:
        moments = [
            datetime.fromtimestamp(each["ms"] / 1000, UTC) for each in mine[row["interaction_type"]]
        ]
        assert (row["first_at"], row["last_at"]) == (min(moments), max(moments))
        assert row["known"] == (row["interaction_type"] != "my_type")
        assert row["schema_version"] == row["schema_version_least"] == 1
    assert [row["interactions"] for row in got] == sorted(map(len, mine.values()), reverse=True)
