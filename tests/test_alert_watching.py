"""Three weeks of a lake are watched with the clock passed in: what is wrong is told, once, and
nothing else."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

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
from conftest import Lake
from lakeward.alerts.band import AlertBand
from lakeward.alerts.drawn import AlertLimit, AlertSilence
from lakeward.alerts.memory import looked_at
from lakeward.alerts.overview import account_of, sentence, watched
from lakeward.alerts.picture import View, budget_of, of_series
from lakeward.alerts.signal import Signal
from lakeward.alerts.watching import replay
from lakeward.analysis.question import ask
from lakeward.cli import main
from lakeward.errors import Rejected
from lakeward.lake.reading import open_reading

FIRST, END = START + 19 * DAY, START + 21 * DAY
OUTAGE = (FIRST + 10 * HOUR, FIRST + 10 * HOUR + 8 * FIVE)
FAILING = (FIRST + 15 * HOUR, FIRST + 17 * HOUR)
SPIKE = (FIRST + 20 * HOUR, FIRST + 22 * HOUR)
UNTRACKED = (FIRST + DAY, FIRST + DAY + 6 * HOUR)
DEAR = (FIRST + DAY + 12 * HOUR, END)
UNBOOKED = (FIRST + DAY + 14 * HOUR, FIRST + DAY + 20 * HOUR)
RULES = """
[[threshold]]
name = "failing"
event = "api_call"
metric = "error_rate"
where = ["route=/api/book"]
above = 0.2
minutes = 15
for = 2
severity = "critical"

[[threshold]]
name = "few steps"
event = "flow_step"
below = 1
minutes = 60

[[budget]]
name = "AI"
amount = 20

[[silent]]
event = "demo_booking"
minutes = 120
"""
NOW = FIRST + 62_000
"""When the first look is: at midnight, a minute after."""


def within(at: int, time: tuple[int, int]) -> bool:
    return time[0] <= at < time[1]


def plan() -> Iterator[Row]:
    """What came: a busy route with a rhythm, a quiet one, pages, steps, an AI and a partner."""

    def calls(at: int) -> float:
        rhythm = 14 + 6 * math.sin(2 * math.pi * (at - START) / DAY)
        return 0.0 if within(at, OUTAGE) else rhythm

    call = {"interaction_type": "api_call", "method": "GET", "response_time_ms": 20.0}
    yield from spread(START, END, FIVE, calls, "a", route="/api/partners", path="/api/partners",
                      response_status=200, **call)  # fmt: skip
    for n, row in enumerate(spread(START, END, HOUR, lambda _: 60, "b", path="/api/book", **call)):
        failed = n % (2 if within(row["ms"], FAILING) else 50) == 0
        yield row | {"route": "/api/book", "response_status": 500 if failed else 201}
    yield from spread(
        START, END, HOUR, lambda at: 0 if within(at, UNTRACKED) else 30, "c",
        interaction_type="page_view", anonymous_id="v1", user_id="anonymous",
    )  # fmt: skip
    yield from spread(
        START, END, HOUR, lambda at: 60 if within(at, SPIKE) else 10, "d",
        interaction_type="flow_step", outcomes={"flow": "contractor", "step": "verify"},
    )  # fmt: skip
    for row in spread(START, END, HOUR, lambda _: 10, "e", interaction_type="ai_conversation"):
        cost = 2.0 if within(row["ms"], DEAR) else 0.05
        yield row | {"ai_metadata": {"model_answered": "m-1", "cost_usd": cost}}
    yield from spread(START, END, HOUR, lambda _: 8, "f", interaction_type="partner_match",
                      partner_id="p9", outcomes={"score": 80})  # fmt: skip
    for at in range(START, END, HOUR // 2):
        if not within(at, UNBOOKED):
            yield {"ms": at + 60_000, "interaction_type": "demo_booking", "partner_id": "p9",
                   "outcomes": {"status": "booked"}}  # fmt: skip


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """The lake of the plan, and a memory of the first look in it."""
    folder = tmp_path_factory.mktemp("lived")
    made = Lake(folder / "data-lake", folder / "rings")
    written(made, list(plan()))
    looked(made, rules_of(RULES), Desk(), NOW)
    shutil.copy(made.root / ".lakeward/alerts.state", folder / "first.state")
    yield made
    made.close()


@pytest.fixture
def lake(lived: Lake) -> Lake:
    """The same, as the first look left it."""
    shutil.copy(lived.root.parent / "first.state", lived.root / ".lakeward/alerts.state")
    return lived


LOOKS = (11, 13, 16, 21, 25, 36.1, 37, 38, 39, 40, 41, 42, 45, 47)


def at_hour(hours: float) -> int:
    return NOW + round(hours * HOUR)


@pytest.fixture(scope="module")
def seen(lived: Lake) -> Desk:
    """What was said in two days of looks; the memory of the last of them is kept."""
    folder, desk = lived.root.parent, Desk()
    shutil.copy(folder / "first.state", lived.root / ".lakeward/alerts.state")
    for hours in LOOKS:
        looked(lived, rules_of(RULES), desk, at_hour(hours))
    shutil.copy(lived.root / ".lakeward/alerts.state", folder / "last.state")
    return desk


@pytest.fixture
def lake_of_looks(lived: Lake, seen: Desk) -> Lake:
    """The lake as those looks left it."""
    shutil.copy(lived.root.parent / "last.state", lived.root / ".lakeward/alerts.state")
    return lived


def told(signals: list[Signal]) -> dict[str, list[float]]:
    """Hours after the first look in which each key began, and how urgent it was."""
    found: dict[str, list[float]] = {}
    for each in signals:
        found.setdefault(each.key, []).append(round((each.at - FIRST) / HOUR, 2))
    return found


WRONG = {
    "anomaly::route:/api/partners calls": [10.0],
    "anomaly::type:api_call": [10.17],
    "anomaly::route:/api/book errors": [15.0],
    "threshold:failing:api_call error_rate": [15.25],
    "anomaly::step:contractor/verify": [20.0],
    "anomaly::type:flow_step": [20.0],
    "silent::type:page_view": [24.0],
    "anomaly::ai cost": [36.0],
    "anomaly::ai:m-1 cost": [36.0],
    "budget:AI:ai cost per day": [36.33, 36.42],
    "silent:demo_booking:type:demo_booking": [39.52],
    "silent::type:demo_booking": [41.0],
    "anomaly::partner:p9 demo_booking": [41.0],
}
"""What a person who knows the plan expects to be told: all that it does, by whoever sees it, at the
first bucket in which that can be known; the calls of all routes are more than those of the one."""


def test_what_is_wrong_is_told_once_and_nothing_else(lake_of_looks: Lake, seen: Desk) -> None:
    desk = seen
    assert told(desk.begun()) == WRONG
    severities = {each.key: each.severity for each in desk.begun()}
    assert severities["anomaly::route:/api/partners calls"] == "critical"
    assert severities["budget:AI:ai cost per day"] == "critical"
    assert severities["anomaly::step:contractor/verify"] == "warning"
    over = {each.key for each in desk.said() if not each.wrong}
    assert over >= {
        "anomaly::route:/api/partners calls", "threshold:failing:api_call error_rate",
        "anomaly::step:contractor/verify", "silent:demo_booking:type:demo_booking",
    }  # fmt: skip
    first = desk.begun("route:/api/partners calls")[0]
    assert (first.value, first.direction, first.unit, first.seconds) == (0.0, "down", "calls", 300)
    assert first.why.startswith("route:/api/partners calls: nothing comes where ")
    shown = watched(lake_of_looks.open())
    assert sentence(account_of(shown)).startswith("17 series, ")
    (row,) = [row for row in shown.series if row.series == "route:/api/partners calls"]
    assert (row.minutes, row.unit, row.wrong_since) == (5, "calls", None)
    assert row.expected == pytest.approx(14, abs=7)


def test_after_a_pause_what_is_over_is_recorded_and_what_goes_on_is_told(lake: Lake) -> None:
    desk, rules = Desk(), rules_of(RULES)
    looked(lake, rules, desk, at_hour(40))
    recorded = {each.key for each in desk.said() if each.wrong}
    assert recorded >= {
        "anomaly::route:/api/partners calls", "anomaly::step:contractor/verify",
        "threshold:failing:api_call error_rate", "silent::type:page_view",
    }  # fmt: skip
    assert told(desk.begun()) == {
        "anomaly::ai cost": [39.0], "anomaly::ai:m-1 cost": [39.0],
        "budget:AI:ai cost per day": [36.33, 36.42],
    }, "the silence of bookings counts from when somebody watched again"  # fmt: skip
    for hours in (41, 42, 42.1):
        looked(lake, rules, desk, at_hour(hours))
    assert told(desk.begun())["silent:demo_booking:type:demo_booking"] == [42.0]


KILLED = r"""
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from alert_lake import looked, rules_of
from conftest import Lake
import msgspec

class Desk:
    def take(self, signals, now_ms):
        with open(sys.argv[3], "ab") as file:
            file.writelines(msgspec.json.encode(each) + b"\n" for each in signals)

points = []

def pause(point):
    points.append(point)
    if points.count(sys.argv[5]) == 2:  # the first is of a part of the night in which nothing was
        os._exit(9)

root = Path(sys.argv[2])
lake = Lake(root, root.parent / "rings")
looked(lake, rules_of(sys.argv[6]), Desk(), int(sys.argv[4]), pause)
"""


@pytest.mark.parametrize("point", ["before take", "before keep", "after keep"])
def test_a_kill_at_any_point_neither_loses_nor_repeats_an_alarm(
    lake: Lake, point: str, tmp_path: Path
) -> None:
    heard = tmp_path / "heard"
    words = [str(Path(__file__).parent), str(lake.root), str(heard), str(at_hour(11)), point, RULES]
    done = subprocess.run([sys.executable, "-c", KILLED, *words], timeout=120)
    assert done.returncode == 9
    lines = heard.read_bytes().splitlines() if heard.exists() else []
    desk = Desk()
    desk.signals = [msgspec.json.decode(each, type=Signal) for each in lines]
    assert bool(lines) == (point != "before take")
    looked(lake, rules_of(RULES), desk, at_hour(11.5))  # by now it began more than an hour ago
    assert told(desk.begun()) == {
        "anomaly::route:/api/partners calls": [10.0], "anomaly::type:api_call": [10.17],
    }  # fmt: skip


KEPT = """
import os, sys
from pathlib import Path
from lakeward.cli.alerting import watch
from lakeward.lakedir import open_lake
from lakeward.settings import load

points = []

def pause(point):
    points.append(point)
    if points.count(sys.argv[3]) == 2:
        os._exit(9)

root = Path(sys.argv[1])
watch(open_lake(root, create=False), load(folder=root.parent), now_ms=int(sys.argv[2]), pause=pause)
"""


def test_a_keepers_look_that_is_killed_and_repeated_leaves_one_incident(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Into the app database, by the desk that incidents are kept at: killed after it took what was
    said, and before that was remembered."""
    (rules := tmp_path / "alerts.toml").write_text(RULES)
    for name, value in {**lake.env, "LAKEWARD_ALERTS": str(rules)}.items():
        monkeypatch.setenv(name, value)
    ended = []
    for hours, point in ((11.0, "before keep"), (11.2, "")):
        words = [str(lake.root), str(at_hour(hours)), point]
        ended.append(subprocess.run([sys.executable, "-c", KEPT, *words], timeout=120).returncode)
    assert ended == [9, 0]
    assert main(["alerts", "list", "--all", "--format", "json"]) == 0
    said = capsys.readouterr().out
    incidents = msgspec.json.decode(said)["incidents"]
    found = [(*one["series"], one["began_at"][11:16], one["direction"]) for one in incidents]
    assert sorted(found) == [
        ("route:/api/partners calls", "10:00", "down"), ("type:api_call", "10:10", "down"),
    ]  # fmt: skip


def test_a_range_that_is_excluded_is_neither_judged_nor_learned(lake: Lake) -> None:
    said = "[[exclude]]\nfrom = {}\nuntil = {}\nseries = 'route:*'\n".format(
        *(datetime.fromtimestamp(ms / 1000, UTC).isoformat() for ms in OUTAGE)
    )
    desk = Desk()
    looked(lake, rules_of(RULES + said), desk, at_hour(11))
    assert told(desk.begun()) == {"anomaly::type:api_call": [10.17]}


def test_a_replay_says_what_would_have_been_told_and_keeps_nothing(lake: Lake) -> None:
    state = (lake.root / ".lakeward/alerts.state").read_bytes()
    rules = rules_of("[watch]\nseries = ['routes']\n" + RULES[: RULES.index("[[budget]]")])
    said = replay(
        lake.open(), settings_of(lake), rules, since_ms=FIRST + 8 * HOUR, now_ms=at_hour(18)
    )
    assert told([each for each in said if each.begins]) == {
        key: WRONG[key] for key in WRONG if "route:" in key or "threshold" in key
    }
    assert (lake.root / ".lakeward/alerts.state").read_bytes() == state


def at_moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def test_the_band_of_a_series_is_what_its_detector_said_bucket_by_bucket(
    lake_of_looks: Lake, seen: Desk
) -> None:
    lake, desk, rules = lake_of_looks, seen, rules_of(RULES)
    with looked_at(lake.open()) as memory:
        assert memory is not None
        view = View(rules, settings_of(lake), memory.entries, at_hour(47))
    names = {each.series for each in desk.said() if each.kind == "anomaly" or not each.rule}
    assert {"route:/api/partners calls", "route:/api/book errors", "type:page_view", "ai cost",
            "step:contractor/verify", "partner:p9 demo_booking"} <= names  # fmt: skip
    with open_reading(lake.open(), settings_of(lake)) as reading:
        for name in sorted(names):
            picture = of_series(view, name)
            assert picture.question is not None
            points = {
                round(row["at"].timestamp() * 1000): row  # type: ignore[union-attr]  # a time
                for row in ask(reading, picture.question).dicts()
            }
            said = [each for each in desk.said(name) if each.series == name]
            shown = [each for each in said if each.at in points and each.expected is not None]
            assert shown, name
            for each in shown:
                point = points[each.at]
                figures = (each.value, each.expected, each.low, each.high)
                told = tuple(point[part] for part in ("value", "expected", "low", "high"))
                assert told == figures, (name, each)
                assert point["judged"]
                assert point["wrong"] or not each.wrong
            assert sum(bool(point["wrong"]) for point in points.values()) <= len(said)


def test_what_a_rule_measures_is_drawn_beside_its_limit(lake: Lake) -> None:
    rules, settings = rules_of(RULES), settings_of(lake)
    (limit, *_), (budget,), (silent,) = rules.thresholds, rules.budgets, rules.silences
    since, until = at_moment(FAILING[0] - HOUR), at_moment(FAILING[1])
    with open_reading(lake.open(), settings) as reading:
        rows = list(ask(reading, AlertLimit(rules=(limit,), since=since, until=until)).dicts())
        assert len(rows) == 12
        assert [row["wrong"] for row in rows] == [False] * 4 + [True] * 8
        assert {(row["low"], row["high"], row["expected"]) for row in rows} == {(None, 0.2, None)}
        spent = ask(reading, budget_of(budget, DEAR[0] + 3 * HOUR, "UTC", END)).rows
        values = [float(str(row[1])) for row in spent]
        assert values == sorted(values)
        assert values[0] == 0.0
        assert spent[0][0] == at_moment(FIRST + DAY)
        first = next(row for row in spent if row[6])
        assert abs(first[0].timestamp() * 1000 - FIRST - 36.5 * HOUR) <= FIVE  # type: ignore[union-attr]
        quiet = AlertSilence(
            event=silent.event, since=at_moment(UNBOOKED[0] - HOUR),
            until=at_moment(UNBOOKED[0] + HOUR),
        )  # fmt: skip
        assert [row[1] for row in ask(reading, quiet).rows if row[1]] == [1.0, 1.0]
        with pytest.raises(Rejected, match="no name of a watched series"):
            AlertBand(series="nonsense", since=since, until=until)
