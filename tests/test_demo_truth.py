"""The truth of a demo: computed from the plan, held against the lake, and every lie is found."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from conftest import Lake
from lakeward.collector import Collector
from lakeward.demo import truth as truth_of_demo
from lakeward.demo.acts import Act
from lakeward.demo.answers import answer, tokens
from lakeward.demo.answers import asked as asking
from lakeward.demo.evidence import can_ask, counted
from lakeward.demo.experiment import CONTROL, EXPERIMENT, TREATMENT
from lakeward.demo.figures import Figures, differences
from lakeward.demo.partners import LIBRARY
from lakeward.demo.plan import Plan, Visitor, plan, settled, shown
from lakeward.demo.stage import PRICES
from lakeward.demo.steps import CONTRACTOR, FINISHES, ONBOARDING
from lakeward.demo.truth import MESSAGES, STATUS, Truth, expected
from lakeward.errors import Terminal
from lakeward.interaction import iso
from lakeward.outcomes import Outcomes
from lakeward.settings import load

SMALL = plan(7, 30, 10.0)
ARMS = {number: TREATMENT if number % 2 else CONTROL for number in range(30)}
BEGAN = "2020-01-01T00:00:00.000Z"


class Enacted:
    """A platform of no pages: writes what a plan must leave in a lake."""

    def __init__(self, collector: Collector) -> None:
        self.collector, self.outcomes = collector, Outcomes(collector)

    def all(self, of: Plan) -> None:
        for visitor in settled(of, ARMS).visitors:
            self._visit(visitor)
        for _ in range(of.outage.reads):
            self.collector.record("api_call", method="GET", path="/api/partners",
                                  response_status=503)  # fmt: skip
        self.collector.commit()

    def _visit(self, visitor: Visitor) -> None:
        flow, steps = ("partner_onboarding", ONBOARDING) if visitor.role == "partner" else (
            "contractor", CONTRACTOR)  # fmt: skip
        kinds = {act.kind for act in visitor.acts}
        who: dict[str, Any] = {"user_id": f"c-{visitor.number}", "session_id": f"s{visitor.number}"}
        step = self.outcomes.flow_step
        if any(act.kind in {"start", "join"} or act.path in {"/start", "/join"}
               for act in visitor.acts):  # fmt: skip
            step(flow=flow, step=steps[0], status="entered", **who)
            if not kinds & {"choose", "review"}:
                self.outcomes.flow_completed(flow=flow, status="abandoned", **who)
        for before, act in pairwise(visitor.acts):
            if before.path == "/" and (act.kind == "start" or act.path == "/start"):
                self.outcomes.cta_clicked(cta="find_partner", **who)
        for act in visitor.acts:
            if act.kind in FINISHES:
                done = steps.index(FINISHES[act.kind])
                step(flow=flow, step=steps[done], status="completed", **who)
                if done + 1 < 4:
                    step(flow=flow, step=steps[done + 1], status="entered", **who)
            self._outcome(act, visitor, dict(act.fields), who)

    def _outcome(
        self, act: Act, visitor: Visitor, told: dict[str, str], who: dict[str, Any]
    ) -> None:
        for template in MESSAGES.get(act.kind, ()):
            self.collector.record("message_sent", channel="sms", template=template)
        if act.kind in STATUS:
            self.collector.record("demo_booking", status=STATUS[act.kind], partner_id="p1", **who)
        elif act.kind == "profile":
            found = shown(visitor)
            for rank, match in enumerate(found, 1):
                self.outcomes.partner_match(partner_id=match.partner.partner_id,
                                            score=match.score, rank=rank, **who)  # fmt: skip
            self.outcomes.experiment_exposed(
                experiment=EXPERIMENT, variant=ARMS[visitor.number], hash_attribute="user_id",
                hash_value=who["user_id"], **who,
            )  # fmt: skip
        elif act.kind == "choose":
            self.outcomes.flow_step(flow="contractor", step="completion", status="completed", **who)
            self.outcomes.flow_completed(flow="contractor", **who)
        elif act.kind == "deal":
            self.outcomes.deal_closed(value=float(told["value"]), currency=told["currency"],
                                      partner_id="p1", **who)  # fmt: skip
        elif act.kind == "feedback":
            scores = {name: float(told[name]) for name in ("communication", "expertise", "value")}
            self.outcomes.feedback_submitted(
                scores=scores, overall=float(told["overall"]), nps=int(told["nps"]),
                recommend=told["recommend"] == "yes", **who,
            )  # fmt: skip
        elif act.kind == "coach":
            focus = next(act for act in visitor.acts if act.kind == "focus")
            asked = asking([area for _, area in focus.fields], told["text"])
            prompt = sum(tokens(message["content"]) for message in asked)
            spoken = tokens(answer(told["text"]))
            self.turn = self.collector.record(
                "ai_conversation",
                conversation_id=f"k{visitor.number}",
                provider="lakeward-demo",
                model_answered="lakeward-demo-1",
                input_tokens=prompt,
                output_tokens=spoken,
                total_tokens=prompt + spoken,
                tokens_source="reported",
                **who,
            )
        elif act.kind == "rate":
            self.collector.record(
                "ai_rating",
                parent_interaction_id=self.turn,
                helpful=told["helpful"] == "yes",
                **who,
            )
        elif act.path.startswith("/library/"):
            content = LIBRARY[act.path.rpartition("/")[2]]
            for _ in range(3 if act.kind == "content" else 1):
                self.outcomes.content_interaction(content_type=content.kind, **who)
        elif act.path == "/join":
            self.outcomes.partner_onboarding(status="started", **who)
        elif act.kind in {"join", "join_focus", "proposition", "review"}:
            self.outcomes.partner_onboarding(status="step_completed", **who)
            if act.kind == "review":
                self.outcomes.partner_onboarding(status="completed", **who)
                self.outcomes.flow_completed(flow="partner_onboarding", **who)


@pytest.fixture
def enacted(lake: Lake) -> Lake:
    """A lake after the small plan."""
    Enacted(lake.collector()).all(SMALL)
    return lake


def the_truth() -> Truth:
    return Truth(seed=7, visitors=30, seconds=10.0, began=BEGAN, figures=expected(SMALL, ARMS))


def test_a_lake_that_holds_what_was_planned_equals_the_truth(enacted: Lake) -> None:
    env = enacted.process_env(LAKEWARD_AI_PRICES=str(PRICES))
    settings = load(env, enacted.root.parent) if can_ask() else None
    assert truth_of_demo.compare(enacted.open(), the_truth(), settings) == []


def altered(
    rows: list[dict[str, Any]], kind: str, change: Callable[[dict[str, Any]], None]
) -> Figures:
    made = copy.deepcopy(rows)
    change(next(row for row in made if row["interaction_type"] == kind))
    return counted(made)


def field(**new: Any) -> Callable[[dict[str, Any]], None]:
    return lambda row: row.update(new)


def outcome(**new: Any) -> Callable[[dict[str, Any]], None]:
    return lambda row: row["outcomes"].update(new)


def told(**new: Any) -> Callable[[dict[str, Any]], None]:
    return lambda row: row["properties"].update(new)


def exposed(**new: Any) -> Callable[[dict[str, Any]], None]:
    return lambda row: row["experiments"].update(new)


CHANGES: dict[str, tuple[str, Callable[[dict[str, Any]], None]]] = {
    "a step of another flow": ("flow_step", outcome(step="other")),
    "a step with another status": ("flow_step", outcome(status="back")),
    "a step of another person": ("flow_step", field(user_id="c-1")),
    "a completion of another flow": ("flow_completion", outcome(flow="x")),
    "a match with another partner": ("partner_match", field(partner_id="p99")),
    "a match with another score": ("partner_match", outcome(score=0.1)),
    "a match at another rank": ("partner_match", outcome(rank=9)),
    "a match of another person": ("partner_match", field(user_id="c-none")),
    "a booking with another status": ("demo_booking", outcome(status="no")),
    "a deal of another value": ("deal_closed", outcome(value=1.5)),
    "a deal in another currency": ("deal_closed", outcome(currency="CHF")),
    "a rating": ("feedback_submission", lambda row: row["feedback"]["scores"].update(value=0.0)),
    "an overall rating": ("feedback_submission", lambda row: row["feedback"].update(overall=0.0)),
    "a turn of another conversation": ("ai_conversation", field(conversation_id="x")),
    "content of another kind": ("content_interaction", outcome(content_type="video")),
    "an onboarding of another status": ("partner_onboarding", outcome(status="abandoned")),
    "a message of another template": ("message_sent", told(template="x")),
    "a failed request that went well": ("api_call", field(response_status=200)),
    "an exposure to another variant": ("experiment_exposure", exposed(variant="x")),
    "an exposure to another experiment": ("experiment_exposure", exposed(experiment="x")),
}  # fmt: skip


def test_each_altered_row_is_found(enacted: Lake) -> None:
    rows = enacted.rows()
    assert differences(expected(SMALL, ARMS), counted(rows)) == []
    for name, (kind, change) in CHANGES.items():
        assert differences(expected(SMALL, ARMS), altered(rows, kind, change)), name


def test_each_missing_and_each_doubled_outcome_is_found(enacted: Lake) -> None:
    rows = enacted.rows()
    for kind in {row["interaction_type"] for row in rows} - {"flow_step"}:
        place = next(n for n, row in enumerate(rows) if row["interaction_type"] == kind)
        without = rows[:place] + rows[place + 1 :]
        assert differences(expected(SMALL, ARMS), counted(without)), kind
        twice = [*rows, rows[place]]
        # an exposure may be told twice, and its person is one
        once = kind == "experiment_exposure"
        assert bool(differences(expected(SMALL, ARMS), counted(twice))) is not once, kind


def figures_within(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [found for key, one in value.items() for found in figures_within(one, (*path, key))]
    if isinstance(value, list):
        return [found for n, one in enumerate(value) for found in figures_within(one, (*path, n))]
    return [path] if isinstance(value, int | float) and not isinstance(value, bool) else []


def test_each_altered_figure_of_the_truth_is_found(enacted: Lake) -> None:
    built, found = msgspec.to_builtins(expected(SMALL, ARMS)), counted(enacted.rows())
    paths = figures_within(built)
    assert len(paths) > 60
    for path in paths:
        lie = copy.deepcopy(built)
        inner = lie
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] += 1
        if path[-1] != "cost_usd":  # the log knows none; the table does
            assert differences(msgspec.convert(lie, Figures), found), path


def test_a_difference_is_a_sentence_that_names_both_figures() -> None:
    want, have = Figures(bookings={"held": 3}), Figures(bookings={"held": 2})
    assert differences(want, have) == ["bookings.held: 3 expected, the lake has 2"]


def test_a_failed_request_outside_the_outage_is_found(enacted: Lake) -> None:
    long_ago = truth_of_demo.OutageTold(BEGAN, "2020-01-01T00:01:00.000Z", 30)
    told = msgspec.structs.replace(the_truth(), outage=long_ago)
    assert any("outside" in line for line in truth_of_demo.compare(enacted.open(), told))


def test_rows_from_before_the_demo_do_not_count(lake: Lake) -> None:
    collector = lake.collector()
    Outcomes(collector).deal_closed(value=5.0, currency="USD", partner_id="p1")
    collector.commit()
    before = truth_of_demo.position(lake.open())
    Enacted(collector).all(SMALL)
    told = msgspec.structs.replace(the_truth(), after=before)
    assert truth_of_demo.compare(lake.open(), told) == []
    assert truth_of_demo.compare(lake.open(), the_truth()) != []


def test_the_file_is_read_as_it_was_written(lake: Lake) -> None:
    lake.collector().record("hello")
    outage = truth_of_demo.OutageTold(BEGAN, iso(1_577_836_830_000), 40)
    told = msgspec.structs.replace(the_truth(), outage=outage)
    path = truth_of_demo.write(told, lake.open())
    assert path.name == "demo-truth.json"
    assert truth_of_demo.read(path) == told
    document = msgspec.json.decode(path.read_bytes())
    assert document["outage"]["minutes"] == 0.5
    document["later"] = {"tokens": 1}
    path.write_bytes(msgspec.json.encode(document))
    assert truth_of_demo.read(path) == told


@pytest.mark.parametrize("content", [b"", b"{}", b'{"format":"lakeward-demo-truth","version":2}'])
def test_a_file_that_is_no_truth_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "demo-truth.json").write_bytes(content)
    with pytest.raises(Terminal, match=r"demo-truth\.json"):
        truth_of_demo.read(tmp_path / "demo-truth.json")
