"""One question, two engines: DuckDB and a real Spark give the same rows; Trino's SQL is strict."""

from __future__ import annotations

import os
import random
import re
import shutil
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from asked import START_MS, Row, answered, fill, memory
from conftest import Lake
from lakeward.analysis.api_calls import ApiFailures, ApiSlowest
from lakeward.analysis.api_health import ApiHealth
from lakeward.analysis.api_latency import ApiLatency
from lakeward.analysis.dialect import translated
from lakeward.analysis.engines import ask_engine
from lakeward.analysis.events import Events
from lakeward.analysis.experiment.listed import Experiments
from lakeward.analysis.experiment.measured import ExperimentMoments, ExperimentQuantile
from lakeward.analysis.experiment.metric import metric
from lakeward.analysis.experiment.question import ExperimentUnits
from lakeward.analysis.filters import Filter
from lakeward.analysis.forms import FormFields, Forms
from lakeward.analysis.funnel import Exclusion, Funnel, FunnelTimes, FunnelUnits
from lakeward.analysis.lifecycle import Lifecycle
from lakeward.analysis.listing import SHOWN
from lakeward.analysis.partner_figures import PartnerFigures
from lakeward.analysis.paths import Paths
from lakeward.analysis.quality import DataQuality
from lakeward.analysis.quality_fields import DataFields
from lakeward.analysis.quality_types import DataTypes
from lakeward.analysis.question import Portable, Prepared, Question, Sql, portable
from lakeward.analysis.registry import QUESTIONS, question_of
from lakeward.analysis.retention import Retention, RetentionCurve
from lakeward.analysis.sessions import Sessions
from lakeward.analysis.spark import Spark
from lakeward.analysis.step import Step, step_of
from lakeward.analysis.stickiness import Active, Stickiness
from lakeward.analysis.trend import Series, Trend
from lakeward.analysis.trino import foreign, foreign_functions
from lakeward.analysis.visits import Pages, Visits
from lakeward.analysis.web_vitals import WebVitals
from lakeward.cli import main
from lakeward.cli.compact import compact
from lakeward.errors import Terminal
from lakeward.lake.receipt import ask as ask_for_erasure
from lakeward.person import Person
from lakeward.settings import load

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROWS = int(os.environ.get("LAKEWARD_ENGINE_ROWS", "4000"))
"""`make soak` asks for a million."""
FALL_BACK_MS = 1_761_436_800_000  # 2025-10-26T00:00:00Z: Lisbon's clocks go back at 01:00Z
SPRING_MS = 1_743_292_800_000  # 2025-03-30T00:00:00Z: and forward
TEXTS = ("/a", "/A", "/a%", "it's", 'say "x"', "back\\slash", "ünï", "", "$p1", "x\ny")


def rows(n: int) -> Iterator[Row]:
    """Ties, window edges, both ends of summer time, quotes, nulls, people who log in."""
    dice = random.Random(7)
    for _ in range(n):
        base = dice.choice((START_MS, FALL_BACK_MS, SPRING_MS))
        user = dice.randrange(max(20, n // 40))
        row: Row = {
            "ms": base + dice.choice((0, 1, 59_999, 3_600_000)) + dice.randrange(40) * 600_000,
            "interaction_type": dice.choice(("page_view", "click", "api_call", "deal_closed")),
            "anonymous_id": f"a{user}",
            "session_id": f"s{user}-{dice.randrange(3)}",
            "route": dice.choice(TEXTS),
            "properties": {"plan": dice.choice((*TEXTS, 1, 2.5, True, None)), "n": dice.random()},
        }
        if dice.random() < 0.4:
            row["user_id"] = f"u{user}"
        if dice.random() < 0.1:
            row |= {"interaction_type": "identify", "user_id": f"u{user}"}
        if row["interaction_type"] == "api_call":
            row |= {"response_status": dice.choice((200, 404, 500, None)),
                    "response_time_ms": dice.choice((0.5, 12.0, 250.25, 1e6))}  # fmt: skip
        if row["interaction_type"] == "deal_closed":
            row |= outcome(dice)
        if row["interaction_type"] == "click" and dice.random() < 0.2:
            row |= {"interaction_type": "experiment_exposure", "experiments": arm_of(user, dice)}
        if dice.random() < 0.05:
            row["bot"] = True
        if dice.random() < 0.05:
            row["user_type"] = "staff"
        if dice.random() < 0.3:
            moment = datetime.fromtimestamp((row["ms"] - 90_000) / 1000, UTC)
            row["client_timestamp"] = moment.isoformat(timespec="milliseconds")
        yield row | web(row["interaction_type"], dice)


def web(kind: str, dice: random.Random) -> Row:
    """Some clicks are of a form or a vital instead, some views are told twice."""
    if kind == "page_view" and dice.random() < 0.5:
        return {"properties": {"view_id": f"v{dice.randrange(400)}",
                               "engagement_ms": dice.choice((0, 40, 9.5e5))}}  # fmt: skip
    if kind != "click" or dice.random() < 0.5:
        return {}
    if dice.random() < 0.3:
        told: Row = {"name": dice.choice(("LCP", "CLS", "FID")), "value": dice.random() * 5000,
                     "metric_id": f"m{dice.randrange(300)}"}  # fmt: skip
        return {"interaction_type": "web_vital", "properties": told}
    told = {"form": dice.choice(("f", "it's")), "field": dice.choice((*TEXTS, None)),
            "action": dice.choice(("start", "field", "error", "submit", "abandon")),
            "field_ms": dice.randrange(9000), "duration_ms": 1500}  # fmt: skip
    return {"interaction_type": "form_interaction", "properties": told}


def outcome(dice: random.Random) -> Row:
    """Deals, a few told twice, demos, feedback, steps of joining: of a partner or of nobody."""
    kind = dice.choice(("deal_closed", "demo_booking", "feedback_submission", "partner_match",
                        "partner_onboarding"))  # fmt: skip
    told: Row = {"interaction_type": kind, "service": dice.choice(("match", "it's")),
                 "partner_id": dice.choice(("p1", "p'2", None))}  # fmt: skip
    if kind == "feedback_submission":
        return told | {"feedback": {"overall": dice.choice((1, 7.5, 10))}}
    name = dice.randrange(60)
    told["outcomes"] = {
        "deal_closed": {"deal_id": f"d{name}", "value": dice.choice((100, 2.5)),
                        "currency": dice.choice(("USD", "EUR", None))},
        "demo_booking": {"booking_id": f"b{name}", "status": dice.choice(("booked", "held"))},
        "partner_match": {},
        "partner_onboarding": {"status": dice.choice(("started", "completed")),
                               "steps_completed": dice.randrange(4), "steps_total": 4},
    }[kind]  # fmt: skip
    return told


def arm_of(user: int, dice: random.Random) -> Row:
    """Most meet one arm, some two; versions, exposures by hand, one without an arm."""
    arm = (user + (dice.random() < 0.05)) % 3
    met = {
        "experiment": "e's", "variant": ("plain", "new", None)[arm], "variant_index": arm,
        "hash_attribute": "user_id", "experiment_version": dice.choice((2, 2, 2, 1)),
    }  # fmt: skip
    return met | ({"forced": True} if dice.random() < 0.02 else {})


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spark]:
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        pytest.skip("Spark needs Java, which is not installed: run `make java`")
    from pyspark.sql import SparkSession

    fill(rows(ROWS))
    folder = tmp_path_factory.mktemp("spark")
    path = folder / "interactions.parquet"
    memory().execute(f"COPY interactions TO '{path}' (FORMAT parquet)")
    identities = memory().sql("FROM identities").to_arrow_table()
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    yield Spark(session, [str(path)], identities)
    session.stop()


STEPS = ("page_view", "click[route^=/a]", "deal_closed")
SAME = ("page_view", "*", "page_view")


def steps(words: tuple[str, ...]) -> tuple[Step, ...]:
    return tuple(map(step_of, words))


WHERE = Filter(
    any=(
        Filter(field="route", op="contains", values=("A", "\\", "'")),
        Filter(field="properties.plan", values=(1, True, 'say "x"', "ünï")),
        Filter(none=(Filter(field="response_time_ms", op="below", values=(20,)),)),
    )
)
RETAINED: tuple[Any, ...] = (
    ("day", "on", "every", ()), ("week", "on_or_after", "first_ever", ()),
    ("month", "on", "first", ("route",)),
)  # fmt: skip
QUESTIONS_ASKED: dict[str, Question] = {
    "API health by day and consumer": ApiHealth(
        by=("day", "consumer", "status_class"), zone="Europe/Lisbon", apdex_ms=20
    ),
    "API health by route": ApiHealth(),
    "API latency by hour": ApiLatency(zone="Asia/Kolkata"),
    "API latency by month": ApiLatency(grain="month", zone="Europe/Lisbon"),
    "the slowest calls": ApiSlowest(),
    "data quality": DataQuality(zone="Asia/Kolkata"),
    "the types there are": DataTypes(zone="Asia/Kolkata"),
    "how full fields are, by day": DataFields(event="api_call", daily=True),
    "trend by hour in a zone whose clock goes back": Trend(
        grain="hour", zone="Europe/Lisbon", since=datetime(2025, 10, 25, 20, tzinfo=UTC),
        until=datetime(2025, 10, 27, tzinfo=UTC), series=(Series(metric="units"), Series()),
    ),
    "trend by week in a zone of half an hour": Trend(
        grain="week", zone="Asia/Kolkata", by=("weekday",), top=1000,
        series=(Series(metric="events_per_unit"), Series(event="api_call", metric="error_rate"),
                Series(metric="p95"), Series(metric="p50"),
                Series(metric="mean", field="properties.n"), Series(metric="unique", field="route"),
                Series(metric="most", field="response_time_ms")),
    ),
    "trend by texts, filtered": Trend(
        grain="month", by=("properties.plan", "route"), where=WHERE, top=1000, unit="session_id",
        series=(Series(metric="units"), Series(metric="sum", field="response_time_ms")),
    ),
    "trend by the device's clock, with bots and staff": Trend(
        clock="device", bots=True, internal=True, grain="hour", zone="America/New_York",
        unit="user_id", series=(Series(metric="units"),), since=datetime(2025, 3, 30, tzinfo=UTC),
        until=datetime(2025, 3, 31, tzinfo=UTC),
    ),
    **{
        f"funnel {order} {words[1]}": Funnel(
            steps=steps(words), within=3600, order=order, by=("day",), zone="Europe/Lisbon"
        )
        for order in ("ordered", "strict", "any") for words in (STEPS, SAME)
    },
    "funnel within sessions, by a text, with an exclusion": Funnel(
        steps=steps(STEPS), within=7200.001, hold=("session_id",), by=("route",),
        exclude=(Exclusion(event="api_call", after=1),),
    ),
    "funnel of units": FunnelUnits(steps=steps(STEPS), within=3600, step=2, dropped=False),
    **{
        f"retention by {grain}, {kind}, {cohort}": Retention(
            grain=grain, kind=kind, cohort=cohort, by=by, zone="America/New_York", periods=62,
            since=datetime(2025, 3, 30, 1, tzinfo=UTC), until=datetime(2025, 10, 27, tzinfo=UTC),
            back=step_of("click"),
        )
        for grain, kind, cohort, by in RETAINED
    },
    "retention of all cohorts": RetentionCurve(
        grain="day", by=("route",), zone="Europe/Lisbon", back=step_of("click"),
        until=datetime(2025, 10, 26, 12, tzinfo=UTC),
    ),
    "retention without ends": Retention(grain="month", unit="session_id"),
    "stickiness": Stickiness(grain="hour", zone="Asia/Kolkata"),
    "active": Active(zone="Europe/Lisbon", since=datetime(2025, 10, 20, tzinfo=UTC)),
    "lifecycle": Lifecycle(grain="month", until=datetime(2025, 12, 1, tzinfo=UTC)),
    "sessions": Sessions(
        grain="hour", zone="Europe/Lisbon", by=("route",), ends=("interaction_type",), gap=600
    ),
    "visits": Visits(grain="day", by=("route",), ends=("interaction_type",), gap=600),
    "pages": Pages(by=("route",), gap=600),
    "forms": Forms(by=("route",)),
    "the fields of forms": FormFields(),
    "web vitals": WebVitals(by=("route",)),
    "paths": Paths(node="route", gap=600, depth=4, top=7),
    "paths from a text to another": Paths(
        node="route", start="it's", end="back\\slash", gap=3600, unit="session_id"
    ),
    "paths to a text": Paths(node="route", end="/a%", gap=600, unit="session_id"),
    "what partners' own records say": PartnerFigures(by=("partner_id", "currency")),
    "funnel of times": FunnelTimes(steps=steps(STEPS[:2]), within=3600, bins=7),
    "the newest failures": ApiFailures(limit=50),
    "which experiments there are": Experiments(unit="session_id"),
    "who met which arm": ExperimentUnits(
        experiment="e's", unit="anonymous_id", until=datetime(2025, 10, 27, tzinfo=UTC)
    ),
    **{
        f"an experiment's {text}, {days} days before": ExperimentMoments(
            experiment="e's", metric=metric(text), before_days=days, within_days=90
        )
        for text, days in (
            ("click[route^=/a]", 0), ("sum:response_time_ms:api_call", 60),
            ("ratio:count:click/count:page_view", 0),
        )
    },
    "an experiment's quantile": ExperimentQuantile(
        experiment="e's", metric=metric("p90:response_time_ms:api_call"), within_days=90,
        unit="session_id",
    ),
}  # fmt: skip


LONGER = frozenset(
    {
        "API health by route", "the slowest calls", "how full fields are, by day",
        "trend by the device's clock, with bots and staff", "funnel any *", "funnel strict *",
        "the newest failures", "an experiment's ratio:count:click/count:page_view, 0 days before",
        "an experiment's click[route^=/a], 0 days before",
        "visits", "pages", "forms", "web vitals",
        "funnel of times", "retention without ends", "stickiness", "paths to a text",
        *(f"retention by {grain}, {kind}, {cohort}" for grain, kind, cohort, _ in RETAINED[1:]),
    }
)  # fmt: skip
"""One of each kind is asked each time, the others by `make soak`: Spark takes seconds for each."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.soak] if n in LONGER else []) for n in QUESTIONS_ASKED],
)
def test_spark_answers_as_duckdb_does(spark: Spark, name: str) -> None:
    question = QUESTIONS_ASKED[name]
    mine = [tuple(row.values()) for row in answered(question)]
    assert len(mine) > 1
    if isinstance(question, Portable):
        assert _comparable(_in_duckdb(question.portable(), question)) == _comparable(mine)
    theirs = ask_engine(spark, question).rows
    assert _comparable(theirs) == _comparable(mine)


def _in_duckdb(form: Sql, question: Question) -> list[Any]:
    """The form that every engine takes, on this machine."""
    return question.finish(memory().execute(form.text, dict(form.parameters)).fetchall())


def _comparable(found: list[Any]) -> list[tuple[Any, ...]]:
    """Rows with numbers to twelve digits, and times as milliseconds; in their order."""
    return [tuple(map(_plain, row)) for row in found]


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.12g}")
    return round(value.timestamp() * 1000) if isinstance(value, datetime) else value


def test_every_question_about_interactions_is_strict_trino_with_known_functions() -> None:
    for name, kind in QUESTIONS.items():
        if issubclass(kind, Events):
            questions = [question_of(name, SHOWN.get(name, {}))]
            questions += [q for q in QUESTIONS_ASKED.values() if q.name == name]
            for question in questions:
                text = translated(portable(question), "trino")
                assert foreign(text) == set(), name
                assert "$p" not in text


def test_every_kind_that_other_engines_take_is_asked_here() -> None:
    carried = {
        name
        for name, kind in QUESTIONS.items()
        if issubclass(kind, Events) and not issubclass(kind, Prepared)
    }
    assert {question.name for question in QUESTIONS_ASKED.values()} == carried


def test_a_function_that_nobody_listed_is_found() -> None:
    assert foreign_functions("SELECT shell('x'), sum(a) FROM t WHERE b = 'lower(x)'") == {"shell"}


def test_a_view_that_duckdb_alone_has_is_said(spark: Spark) -> None:
    with pytest.raises(Terminal, match="bookings is worked out by DuckDB alone"):
        spark.rows(Sql("SELECT * FROM bookings", {}))


def test_values_come_through_as_they_are(spark: Spark) -> None:
    values = [*TEXTS, "'; DROP TABLE x; --", "\\' OR 1=1 --", "\x00", "a\tb"]
    for text in values:
        sql = Sql("SELECT $p1 AS a, length($p1) AS n", {"p1": text})
        assert spark.rows(sql) == [(text, len(text))]


def test_what_cannot_be_said_elsewhere_is_one_sentence() -> None:
    with pytest.raises(
        Terminal, match="cannot be asked in spark: nobody knows how to say list_sum"
    ):
        translated(Sql("SELECT list_sum(x) FROM interactions", {}), "spark")


@pytest.fixture
def session(spark: Spark) -> Iterator[SparkSession]:
    """The one session, whose views are given back."""
    kept = {
        name: spark.session.table(name)
        for name in ("stored", "interactions", "identities", "stitched")
    }
    yield spark.session
    for name, frame in kept.items():
        frame.createOrReplaceTempView(name)


def test_the_commands_ask_a_real_spark_as_they_ask_duckdb(
    session: SparkSession, lake: Lake, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    with lake.collector() as collector:
        for n in range(6):
            collector.record("page_view", anonymous_id=f"a{n % 3}", route="/it's", path="/")
            collector.record("experiment_exposure", anonymous_id=f"a{n}", experiment="e",
                             variant="ab"[n % 2])  # fmt: skip
        collector.record("identify", anonymous_id="a1", user_id="u1")
        collector.record("partner_match", user_id="u1", partner_id="p1")
        collector.record("partner_match", user_id="gone", partner_id="p1")
        collector.commit()
    compact(lake.open(), load(lake.env))
    ask_for_erasure(lake.open(), str(uuid.uuid4()), [Person("user_id", "gone")])
    for name, value in lake.env.items():
        monkeypatch.setenv(name, value)

    def said(*words: str) -> str:
        assert main((*words, "--format", "json")) == 0
        return capsys.readouterr().out

    trend = '{"grain": null, "by": ["person"], "series": [{"metric": "units"}]}'
    asked: tuple[tuple[str, ...], ...] = (
        ("funnel", "page_view", "partner_match", "--by", "day", "--where", "path=/"),
        ("ask", "trend", trend), ("quality",), ("experiment", "e", "--metric", "page_view"),
    )  # fmt: skip
    for words in asked:
        here = said(*words)
        assert said(*words, "--engine", "spark") == here
        assert "gone" not in here
    capsys.readouterr()
    assert main(("funnel", "page_view", "click", "--engine", "spark", "--sql")) == 0
    assert "unix_millis(" in capsys.readouterr().out.lower()
    refused = {
        ("quality", "--places"): "is about files beside the table",
        ("ask", "ai_cost"): "is worked out by DuckDB alone: ask this of the lake itself",
    }
    for asking, sentence in refused.items():
        assert main((*asking, "--engine", "spark")) == 2
        assert sentence in capsys.readouterr().err


def test_the_page_asks_a_real_spark_about_a_real_lake(
    session: SparkSession,
    lake: Lake,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with lake.collector() as collector:
        for user in ("u1", "u2"):
            collector.record("partner_match", user_id=user, partner_id="p1")
        collector.record("demo_booking", user_id="u1", partner_id="p1", status="booked")
        collector.commit()
    compact(lake.open(), load(lake.env))
    monkeypatch.chdir(lake.root.parent)
    monkeypatch.setenv("LAKEWARD_LAKE_DIR", str(lake.root))
    page = (Path(__file__).parent.parent / "docs" / "engines.md").read_text()
    blocks = re.findall(r"```(python|text)\n(.*?)```", page, re.DOTALL)
    exec(dict(blocks)["python"], {})
    assert capsys.readouterr().out == dict(blocks)["text"]
